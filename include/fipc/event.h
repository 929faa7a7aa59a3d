/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An event: it is set or clear, and threads wait until it is set. It lives in the caller's memory (init, attach) or
 * under a name (open); the same type, so every other call serves both.
 *
 *	manual (the default)   stays set until it is cleared: a gate. A set wakes all who wait at that moment, also
 *	                       when it is cleared again before they have run.
 *	FIPC_AUTORESET         lets one through, who clears it: a bell. Setting it twice before anybody comes is once.
 *
 * A wake-up is never lost: a process that is killed after it was woken, or between setting the event and waking, is
 * stood in for by the kernel. An event has no owner; what a killed process has taken of an auto-reset one stays taken.
 *
 *	fipc_event *loaded;                            // set: config is complete, and is never written again
 *
 *	r = fipc_event_open(&loaded, "config-loaded", FIPC_CREATE, 0600);
 *	if (r < 0)
 *		return r;
 *	r = fipc_event_wait(loaded);                   // the loader fills config, then: fipc_event_set(loaded)
 *	if (r < 0)
 *		return r;                              // config must not be read
 *	use(config);
 *
 * Uncontended it makes no system call. What was written before a set is seen by whoever returns from a wait because of
 * it, and by whoever clears it afterwards.
 *
 * Signals. fipc_event_set() is async-signal-safe (of a FIPC_READONLY handle, which it refuses, it is not). One limit: a
 * handler that interrupts another call of fipc sets and wakes as always; but should the process be killed between the
 * two, a few instructions, then the sleepers hear of it from the next set (or, of one open by name, from fipcd or the
 * next collection).
 *
 * Illegal: copying or moving it; using it in memory that another process may truncate (SIGBUS); freeing or unmapping
 * the memory of one in place while a thread is still inside a call of it, a set also when its effect was seen already;
 * a child of vfork(). Of one open by name: its last close while another thread of the process is inside another call
 * of it (one that sleeps is noticed: -EBUSY).
 *
 * fork: the child has the same event.
 *
 * Limits: peers of one word size. Of a manual event that is set and cleared 4294967296 times while a waiter is not
 * scheduled once, that waiter sleeps on. Linux 5.16; that no kill of a waiter strands another needs 5.19.
 */
#ifndef FIPC_EVENT_H
#define FIPC_EVENT_H

#include <fipc/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fipc_event {
	uint64_t opaque[8];
} fipc_event;

/*
 * Make an event, clear, in 64 bytes of writable memory aligned to 8, whatever was there before. Nobody may be using it.
 * flags: FIPC_PRIVATE, FIPC_AUTORESET. Returns 0 or -EINVAL (flags, alignment).
 */
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_event_init(fipc_event *e, unsigned flags);

/*
 * Join an event in shared memory, or make it if its 64 bytes are zero: of any number of callers at once exactly one
 * makes it, and if that one is killed, another does. flags, used by the one who makes it: FIPC_AUTORESET.
 * Returns FIPC_CREATED, 0 (joined), or
 *	-EINVAL   unknown flags, misaligned, or the bytes are neither zero nor an event
 *	-ENOTSUP  an event of an incompatible version of fipc
 *	-EACCES   a FIPC_READONLY handle
 *	-EINTR, -ENOSYS, -ENOMEM, -EAGAIN   as fipc_mutex_lock() (it waits for an attach that is under way)
 */
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_event_attach(fipc_event *e, unsigned flags);

/*
 * End an event in place, set or not: from then on every call on it fails with -EINVAL, and attach makes it anew. Its
 * memory may be reused when this has returned 0 and every other thread has returned from its last call.
 * Returns 0, -EBUSY (somebody sleeps on it), -EINVAL (not an event, or open by name), -ENOTSUP, -EACCES (as attach).
 */
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_event_destroy(fipc_event *e);

/*
 * Open an event by name (see <fipc/base.h>). Opening a name again gives the same pointer, counted. The process is
 * tracked as its user until the last close, its exit or its death; after fork the child has the parent's handles.
 *
 * flags: FIPC_CREATE, FIPC_EXCL, FIPC_REPLACE, FIPC_PERSIST, FIPC_READONLY, FIPC_ANY_OWNER, FIPC_AUTORESET.
 * FIPC_AUTORESET: used by the call that creates; one that joins gets what is there (see fipc_event_info).
 * mode: permission bits (0777 at most), exact whatever the umask. To wait and to set need read and write permission.
 *
 * Returns FIPC_CREATED or 0, and sets *ret; or, as fipc_mutex_open() says at length, -EINVAL (also: what is there is no
 * event), -ENOENT, -ENOTDIR, -EEXIST, -EACCES, -EPERM, -EXDEV, -ENOTSUP, -EBUSY, -ENOSPC, -EDQUOT, -ENAMETOOLONG,
 * -EMFILE, -ENFILE, -ENOMEM, -ENOSYS.
 */
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_event_open(fipc_event **ret, const char *name, unsigned flags, mode_t mode);

/*
 * Balance one open. The last one leaves the event; if nobody else is attached and it is not FIPC_PERSIST, it goes.
 * NULL is 0. Returns 0, or, and then nothing has changed,
 *	-EBUSY   a thread of this process waits for it
 *	-EINVAL  not an event that this process has open
 *	-EMFILE, -ENFILE, -ENOMEM   no descriptor or memory to leave with
 */
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_event_close(fipc_event *e);

/*
 * Take the name away. Those who have it open go on; the next open makes a new one.
 * Returns 0, -ENOENT, -EINVAL (name, directory), -EPERM, -EACCES (another user's), or, as fipc_mutex_open() says at
 * length, -EBUSY, -ENOTDIR, -ENAMETOOLONG, -EMFILE, -ENFILE, -ENOMEM, -ENOSYS.
 */
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_event_unlink(const char *name);

/*
 * Set it, and wake those who sleep: all, or one if it is FIPC_AUTORESET. Never waits. It may be set already.
 * Clear it; it may be clear already. Nobody is woken.
 * Both return 0, or, and then nothing has changed,
 *	-EINVAL   not an event, or it was destroyed
 *	-EACCES   opened FIPC_READONLY
 *	-ENOTSUP  made by an incompatible version of fipc
 */
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_event_set(fipc_event *e);
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_event_clear(fipc_event *e);

/* 1 set, 0 clear, at this moment; or -EINVAL, -ENOTSUP. Works on FIPC_READONLY handles. */
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_event_is_set(const fipc_event *e);

/*
 * Wait until it is set; at once if it is. wait waits as long as it takes, wait_until up to the deadline. Of an
 * auto-reset event the one who returns has cleared it; which of several that is, is not said.
 * Returns 0: it was set. Else
 *	-EAGAIN     it is clear (d <= 0)
 *	-ETIMEDOUT  the deadline passed
 *	-EINTR      a signal was handled, and the thread asked to be told (fipc_set_interruptible)
 *	-EINVAL     not an event, or it was destroyed meanwhile
 *	-EACCES     opened FIPC_READONLY
 *	-ENOTSUP    made by an incompatible version of fipc
 *	-ENOSYS     no robust list here (qemu-user, a libc that fipc does not know)
 *	-ENOMEM     the thread's first use, and no memory for its list; -EAGAIN too: no pthread key is left for it
 */
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_event_wait(fipc_event *e);
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_event_wait_until(fipc_event *e, fipc_deadline d);

struct fipc_event_info {
	uint32_t size;      /* bytes of this struct that were filled */
	uint32_t set;       /* 1 set, 0 clear */
	uint32_t waiters;   /* threads asleep on it at this moment */
	uint32_t autoreset; /* 1: FIPC_AUTORESET */
	uint32_t sets;      /* times that it was set when it was clear; wraps around */
};

/*
 * Look at it, without touching it; a snapshot of words that change. size: sizeof(struct fipc_event_info) as the caller
 * was compiled with; more than the library knows is left alone. Works on FIPC_READONLY handles.
 * Returns 0, -EINVAL (not an event; size < 8), -ENOTSUP.
 */
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_event_info(const fipc_event *e, struct fipc_event_info *ret, size_t size);

#ifdef __cplusplus
}
#endif
#endif
