/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A counting semaphore: a number of tokens, 0 to 4294967295 (UINT32_MAX). wait takes one, and sleeps while there is
 * none; post adds some, and wakes as many sleepers. It lives in the caller's memory (init, attach) or under a name
 * (open); the same type, so every other call serves both.
 *
 * Who owns a token: nobody; any thread may post. So what a killed process has taken stays taken. Those made FIPC_OWNED
 * are the exception: there a token belongs to the process that took it, and comes back when that process dies (see
 * fipc_sem_open). A wake-up is never lost: a process that is killed after it was woken, or between adding tokens and
 * waking, is stood in for by the kernel.
 *
 *	fipc_sem *slots;                               // slots: 4 workers at most are inside convert(), on this machine
 *
 *	int r = fipc_sem_open(&slots, "convert", 4, FIPC_CREATE | FIPC_OWNED, 0600);
 *	if (r < 0)
 *		return r;
 *	r = fipc_sem_wait(slots);
 *	if (r < 0)
 *		return r;                              // not inside
 *	convert(file);                                 // killed in here: the slot is free again
 *	r = fipc_sem_post(slots, 1);
 *
 * Uncontended it makes no system call. Its order is that of a lock: what was written before a post is seen by whoever
 * takes the token.
 *
 * Signals. fipc_sem_post() of a semaphore that is not FIPC_OWNED is async-signal-safe; but a handler that interrupts it
 * must return. One limit: a handler that interrupts another call of fipc adds and wakes as always; should the process be
 * killed between the two, a few instructions, then the sleepers hear of it from the next post (or, of one open by name,
 * from fipcd or the next collection).
 *
 * Illegal: copying or moving it; using it in memory that another process may truncate (SIGBUS); freeing or unmapping
 * the memory of one in place while a thread is still inside fipc_sem_post() of it, also when its token was taken
 * already; a child of vfork(). Of one open by name: its last close while another thread of the process is inside
 * another call of it (one that sleeps is noticed: -EBUSY).
 *
 * fork: the child has the same semaphore; one of FIPC_OWNED counts the child as a process of its own, that holds
 * nothing.
 *
 * Limits: peers of one word size. Linux 5.16; that no kill of a waiter strands another needs 5.19.
 */
#ifndef FIPC_SEM_H
#define FIPC_SEM_H

#include <fipc/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fipc_sem {
	uint64_t opaque[8];
} fipc_sem;

/* A FIPC_PRIVATE semaphore of `initial` tokens, a constant, as fipc_sem_init() makes it; for static storage. */
#define FIPC_SEM_INITIALIZER(initial)                                                                                 \
	{                                                                                                             \
		{                                                                                                     \
			UINT64_C(0x0102018063706966), 0,                                                              \
				(uint32_t)(initial) | ((uint32_t)(initial) ? UINT64_C(0x4000000000000000) : 0), 0, 0, \
				0, 0, 0                                                                               \
		}                                                                                                     \
	}

/*
 * Make a semaphore of `initial` tokens in 64 bytes of writable memory aligned to 8, whatever was there before. Nobody
 * may be using it. flags: FIPC_PRIVATE, FIPC_TIMESTAMPS. Returns 0 or -EINVAL (flags, alignment).
 */
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_sem_init(fipc_sem *s, uint32_t initial, unsigned flags);

/*
 * Join a semaphore in shared memory, or make it if its 64 bytes are zero: of any number of callers at once exactly one
 * makes it, and if that one is killed, another does. initial, flags: used by the one who makes it; FIPC_TIMESTAMPS.
 * Returns FIPC_CREATED, 0 (joined), or
 *	-EINVAL   unknown flags, misaligned, or the bytes are neither zero nor a semaphore
 *	-ENOTSUP  a semaphore of an incompatible version of fipc
 *	-EACCES   a FIPC_READONLY handle
 *	-EINTR, -ENOSYS, -ENOMEM, -EAGAIN   as fipc_mutex_lock() (it waits for an attach that is under way)
 */
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_sem_attach(fipc_sem *s, uint32_t initial, unsigned flags);

/*
 * End a semaphore in place, however many tokens it has: from then on every call on it fails with -EINVAL, and attach
 * makes it anew. Its memory may be reused when this has returned 0 and every other thread has returned from its last
 * call.
 * Returns 0, -EBUSY (somebody sleeps on it), -EINVAL (not a semaphore, or open by name), -ENOTSUP, -EACCES (as attach).
 */
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_sem_destroy(fipc_sem *s);

/*
 * Open a semaphore by name (see <fipc/base.h>). Opening a name again gives the same pointer, counted. The process is
 * tracked as its user until the last close, its exit or its death; after fork the child has the parent's handles.
 *
 * initial: its tokens when it is made; ignored by a call that joins.
 * flags: FIPC_CREATE, FIPC_EXCL, FIPC_REPLACE, FIPC_PERSIST, FIPC_READONLY, FIPC_ANY_OWNER, FIPC_TIMESTAMPS,
 * FIPC_OWNED.
 * FIPC_OWNED, FIPC_TIMESTAMPS: used by the call that creates; one that joins gets what is there.
 * mode: permission bits (0777 at most), exact whatever the umask. To wait and to post need read and write permission.
 *
 * FIPC_OWNED. A token belongs to the process that took it: any thread of it may post it back, a thread's end gives
 * nothing back; exit, exec and death give all back, and a forked child holds none. So there are never more than
 * `initial`. When a process dies, at whatever instruction, the count is exactly right again, and who sleeps for a token
 * gets it at once, from the kernel, without any daemon. Except in three cases, where it comes back when the next one
 * calls wait or trywait and finds none, or when fipcd, told of the death, wakes the sleepers: it was taken in a thread
 * that ended before the process died; exec was called in a thread other than the main one; or (then the count is right,
 * but no sleeper is woken) more than 125 threads held tokens. At most 1021 threads hold tokens at once. Its calls are
 * not async-signal-safe.
 *
 * Returns FIPC_CREATED or 0, and sets *ret; or, as fipc_mutex_open() says at length, -EINVAL (also: what is there is no
 * semaphore), -ENOENT, -ENOTDIR, -EEXIST, -EACCES, -EPERM, -EXDEV, -ENOTSUP, -EBUSY, -ENOSPC, -EDQUOT, -ENAMETOOLONG,
 * -EMFILE, -ENFILE, -ENOMEM, -ENOSYS.
 */
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_sem_open(fipc_sem **ret, const char *name, uint32_t initial, unsigned flags,
					      mode_t mode);

/*
 * Balance one open. The last one leaves the semaphore; if nobody else is attached and it is not FIPC_PERSIST, it goes.
 * NULL is 0. Returns 0, or, and then nothing has changed,
 *	-EBUSY   a thread of this process waits for it; or, FIPC_OWNED, this process holds tokens, or a thread of it took one
 *	         that another gave back, and has neither called since nor ended
 *	-EINVAL  not a semaphore that this process has open
 *	-EMFILE, -ENFILE, -ENOMEM   no descriptor or memory to leave with
 */
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_sem_close(fipc_sem *s);

/*
 * Take the name away. Those who have it open go on; the next open makes a new one.
 * Returns 0, -ENOENT, -EINVAL (name, directory), -EPERM, -EACCES (another user's), or, as fipc_mutex_open() says at
 * length, -EBUSY, -ENOTDIR, -ENAMETOOLONG, -EMFILE, -ENFILE, -ENOMEM, -ENOSYS.
 */
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_sem_unlink(const char *name);

/*
 * Add n tokens, all or none of them, and wake as many sleepers. Never waits. 0 tokens is no change.
 * Returns 0, or, and then nothing has changed,
 *	-EOVERFLOW  there would be more than UINT32_MAX
 *	-EPERM      FIPC_OWNED: more than this process holds; -EAGAIN, -ENOSYS, -ENOMEM: as fipc_sem_wait()
 *	-EINVAL     not a semaphore, or it was destroyed
 *	-EACCES     opened FIPC_READONLY
 *	-ENOTSUP    made by an incompatible version of fipc
 */
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_sem_post(fipc_sem *s, uint32_t n);

/*
 * Take one token. wait waits as long as it takes; trywait does not; wait_until waits up to the deadline. Tokens are had
 * by whoever comes first: a sleeper that is woken may find that another was faster, and sleeps on.
 * Returns 0: one was taken. Else none was:
 *	-EAGAIN     there is none (trywait, or d <= 0); FIPC_OWNED: or this thread holds 2047 locks and such tokens' slots
 *	-ETIMEDOUT  the deadline passed
 *	-EUSERS     FIPC_OWNED: too many threads hold tokens
 *	-EINTR      a signal was handled, and the thread asked to be told (fipc_set_interruptible)
 *	-EINVAL     not a semaphore, or it was destroyed meanwhile
 *	-EACCES     opened FIPC_READONLY
 *	-ENOTSUP    made by an incompatible version of fipc
 *	-ENOSYS     no robust list here (qemu-user, a libc that fipc does not know)
 *	-ENOMEM     the thread's first use, and no memory for its list; -EAGAIN too: no pthread key is left for it
 */
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_sem_wait(fipc_sem *s);
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_sem_trywait(fipc_sem *s);
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_sem_wait_until(fipc_sem *s, fipc_deadline d);

/* The tokens that there are at this moment; or -EINVAL, -ENOTSUP. Works on FIPC_READONLY handles. */
FIPC_PUBLIC FIPC_MUST_CHECK int64_t fipc_sem_value(const fipc_sem *s);

struct fipc_sem_info {
	uint32_t size;        /* bytes of this struct that were filled */
	uint32_t value;       /* tokens that there are */
	uint32_t waiters;     /* threads asleep on it at this moment */
	uint32_t last_pid;    /* who took a token last, as it saw itself; 0: nobody yet. Written just after */
	uint32_t holders;     /* FIPC_OWNED: processes that hold tokens; else 0 */
	uint64_t acquired_ns; /* FIPC_TIMESTAMPS: when one was taken last, on CLOCK_MONOTONIC; else 0 */
};

/*
 * Look at it, without touching it; a snapshot of words that change. size: sizeof(struct fipc_sem_info) as the caller
 * was compiled with; more than the library knows is left alone. Works on FIPC_READONLY handles.
 * Returns 0, -EINVAL (not a semaphore; size < 8), -ENOTSUP.
 */
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_sem_info(const fipc_sem *s, struct fipc_sem_info *ret, size_t size);

#ifdef __cplusplus
}
#endif
#endif
