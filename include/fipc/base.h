/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What all of fipc has in common: return values, flags, deadlines, names.
 *
 * Return values. >= 0 is success, < 0 a negative errno; errno itself carries no meaning. A call that locks returns 0
 * (held), FIPC_OWNER_DIED (held, and the previous owner died inside) or < 0 (not held). An open or attach returns
 * FIPC_CREATED (this call made it) or 0 (joined). A failed call leaves *ret as it was.
 *
 * Names. 1 to 200 bytes of A-Z a-z 0-9 . _ -, not beginning with a dot nor with "__pyfastipc_"; one leading '/' is
 * dropped; anything else is -EINVAL. Each type has its own names. NULL with FIPC_CREATE | FIPC_EXCL makes a random
 * name, which fipc_name() tells.
 *
 * Where names live. $FIPC_DIR, else $FASTIPC_PID_DIR (both ignored in a setuid program, both absolute paths), else
 * /dev/shm/fastipc. A directory that belongs neither to root nor to the caller is refused with -EPERM unless one of
 * the variables names it.
 *
 * Threads and signals. Every call is thread-safe, and none is a cancellation point. Async-signal-safe are the calls of
 * <fipc/word.h>, fipc_event_set(), and fipc_sem_post() of a semaphore that is not FIPC_OWNED; no others.
 */
#ifndef FIPC_BASE_H
#define FIPC_BASE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FIPC_PUBLIC __attribute__((visibility("default")))
#define FIPC_MUST_CHECK __attribute__((warn_unused_result))

#define FIPC_OWNER_DIED 1 /* returned by whatever locks: held, and the previous owner died inside */
#define FIPC_CREATED 1    /* returned by open and attach: this call made the object */

enum { /* flags of init, attach and open; a bit that a call does not know is -EINVAL */
	FIPC_PRIVATE = 1 << 0,    /* init: threads of this process only */
	FIPC_TIMESTAMPS = 1 << 1, /* mutex, sem: record the time of each acquisition (about 20 ns) */
	FIPC_AUTORESET = 1 << 2,  /* event */
	FIPC_OWNED = 1 << 3,      /* sem, named: tokens come back when their process dies */
	FIPC_CREATE = 1 << 8,     /* open: create, or join what is there */
	FIPC_EXCL = 1 << 9,       /* with CREATE: -EEXIST if it is there */
	FIPC_REPLACE = 1 << 10,   /* with CREATE: unlink what is there, make a new one (the cure for -ENOTRECOVERABLE) */
	FIPC_PERSIST = 1 << 11,   /* with CREATE: stays when nobody is attached */
	FIPC_READONLY = 1 << 12,  /* inspect only: calls that change the object give -EACCES */
	FIPC_TRUNC = 1 << 13,     /* shm: empty it */
	FIPC_ANY_OWNER = 1 << 14, /* join objects made by a uid other than root or mine (else -EPERM) */
};

/* A deadline: nanoseconds on CLOCK_MONOTONIC. Loops need no recomputation. */
typedef int64_t fipc_deadline;
#define FIPC_FOREVER INT64_MAX
#define FIPC_NOW 0 /* the try form: -EBUSY (locks), -EAGAIN (the rest). Every deadline <= 0 is this one. */

/* The deadline ns nanoseconds (ms milliseconds) from now. Saturates at FIPC_FOREVER; <= 0 gives FIPC_NOW. */
FIPC_PUBLIC fipc_deadline fipc_after_ns(int64_t ns);
FIPC_PUBLIC fipc_deadline fipc_after_ms(int64_t ms);

/*
 * Shall a signal that this thread handles end its waits with -EINTR? on: 0 no (every thread starts so), else yes.
 * It is the thread's property, kept over fork, and no property of an object. Returns the old setting, 0 or 1.
 * As with every call that is not told which signals to let in (see pselect(2)), one that is handled just before the thread
 * falls asleep does not end the wait: where that must not be, wait with a deadline, and look again. Waits on several words
 * (conditions, manual events, queues, fipc_wait_any), where some handler was installed with SA_RESTART, keep signals out,
 * and let them in every 50 ms; what is sent to the process goes to another thread then, if there is one that lets it in.
 */
FIPC_PUBLIC int fipc_set_interruptible(int on);

/*
 * The name under which this process opened the object, without directory or type; NULL for an object that has none
 * (in place), or that this process has not open. Valid until its last close.
 */
FIPC_PUBLIC const char *fipc_name(const void *object);

#ifdef __cplusplus
}
#endif
#endif
