/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A robust mutex. When the thread or process that holds it dies, the kernel hands it to the next waiter at once, who is
 * told: FIPC_OWNER_DIED. It lives in the caller's memory (init, attach) or under a name (open); the same type, so every
 * other call serves both.
 *
 * Who owns it: a thread. Not recursive. Uncontended it makes no system call.
 *
 *	struct pair { fipc_mutex lock; uint32_t half, whole; };   // lock protects: whole == 2 * half
 *
 *	int r = fipc_mutex_lock_until(&p->lock, fipc_after_ms(100));
 *	if (r < 0)
 *		return r;                              // not held: -ETIMEDOUT, ...
 *	if (r == FIPC_OWNER_DIED) {                    // held, and the previous owner died inside
 *		p->whole = 2 * p->half;                // mend what it left half done,
 *		r = fipc_mutex_consistent(&p->lock);   // and say so: else nobody gets the lock again
 *	}
 *	p->half++;
 *	p->whole += 2;
 *	r = fipc_mutex_unlock(&p->lock);
 *
 * After FIPC_OWNER_DIED the caller holds the mutex and the data may be half changed: mend them, then call
 * fipc_mutex_consistent(). Unlocking without it says that they cannot be mended, and from then on every lock fails with
 * -ENOTRECOVERABLE until the mutex is made anew (init, or open with FIPC_REPLACE).
 *
 * Illegal: copying or moving it; using it in memory that another process may truncate (SIGBUS); freeing or unmapping
 * the memory of a mutex in place while a thread is still inside fipc_mutex_unlock() of it; a child of vfork().
 * A child of fork() holds nothing. An exec by a thread other than the main one loses what that thread holds.
 *
 * Limits: one PID namespace (the kernel compares thread ids); 2047 of them held by one thread at a time, pthread robust
 * mutexes that it holds included, which fipc cannot count; peers of one word size. Linux 5.16; that no kill of a waiter
 * strands another needs 5.19, whose kernel passes the pending wake-up on when the word still says that others wait.
 * The rules are those of the kernel's Documentation/locking/robust-futex-ABI.rst; each thread's list is libc's, so
 * fipc mutexes and pthread robust mutexes can be held together.
 */
#ifndef FIPC_MUTEX_H
#define FIPC_MUTEX_H

#include <fipc/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fipc_mutex {
	uint64_t opaque[8];
} fipc_mutex;

/* A FIPC_PRIVATE mutex, as fipc_mutex_init() makes it; for static storage. */
#define FIPC_MUTEX_INITIALIZER { { UINT64_C(0x0101018063706966), 0, 0, 0, 0, 0, 0, 0 } }

/*
 * Make a mutex in 64 bytes of writable memory aligned to 8, whatever was there before. Nobody may be using it.
 * flags: FIPC_PRIVATE, FIPC_TIMESTAMPS. Returns 0, -EINVAL (flags, alignment), or what fipc_mutex_lock() says of a
 * thread's first use (-ENOSYS, -ENOMEM, -EAGAIN).
 */
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_mutex_init(fipc_mutex *m, unsigned flags);

/*
 * Join a mutex in shared memory, or make it if its 64 bytes are zero: of any number of callers at once exactly one makes
 * it, and if that one is killed, another does. flags, used by the one who makes it: FIPC_TIMESTAMPS.
 * Returns FIPC_CREATED, 0 (joined), or
 *	-EINVAL   unknown flags, misaligned, or the bytes are neither zero nor a mutex
 *	-EACCES   a FIPC_READONLY handle
 *	-ENOTSUP  a mutex of an incompatible version of fipc
 *	-EXDEV    made in another PID namespace
 *	-EINTR, -ENOSYS, -ENOMEM, -EAGAIN as fipc_mutex_lock() (it waits for an attach that is under way)
 */
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_mutex_attach(fipc_mutex *m, unsigned flags);

/*
 * End a mutex in place: from then on every call on it fails with -EINVAL, and attach makes it anew. Its memory may be
 * reused when this has returned 0 and every other thread has returned from its last call.
 * Returns 0, -EBUSY (somebody holds it, or sleeps on it), -EINVAL (not a mutex, or open by name), or -EACCES, -ENOTSUP,
 * -EXDEV, -ENOSYS, -ENOMEM, -EAGAIN as fipc_mutex_lock().
 */
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_mutex_destroy(fipc_mutex *m);

/*
 * Open a mutex by name (see <fipc/base.h>). Opening a name again gives the same pointer, counted. The process is
 * tracked as its user until the last close, its exit or its death; after fork the child has the parent's handles.
 * Somebody must stay attached, or hold FIPC_PERSIST, for the object to stay.
 *
 * flags: FIPC_CREATE, FIPC_EXCL, FIPC_REPLACE, FIPC_PERSIST, FIPC_READONLY, FIPC_ANY_OWNER, FIPC_TIMESTAMPS.
 * mode: permission bits (0777 at most), exact whatever the umask; used by the call that creates, ignored by one that
 * joins. To lock needs read and write permission.
 *
 * Returns FIPC_CREATED or 0, and sets *ret; or
 *	-EINVAL        a bad name, flag, mode or directory, or what is there is no mutex
 *	-ENOENT        it is not there (or all who used it are gone), and no FIPC_CREATE; or nor is the directory's parent
 *	-ENOTDIR       the directory is none
 *	-EEXIST        it is there, with FIPC_EXCL
 *	-EACCES        no permission on the object or on the directory
 *	-EPERM         another user made it, and no FIPC_ANY_OWNER; or the directory, or that of its entries, is another
 *	               user's
 *	-EXDEV         it was made in another PID namespace (FIPC_READONLY may look)
 *	-ENOTSUP       made by an incompatible version of fipc
 *	-EBUSY         a process has kept it locked against opening and closing for 5 s (stopped in there, or hostile)
 *	-ENOSPC, -EDQUOT   the directory's file system, or the user's share of it, is full
 *	-ENAMETOOLONG  the directory's path is longer than 1000 bytes
 *	-EMFILE, -ENFILE, -ENOMEM   the system's limits
 *	-ENOSYS        no memory that fork wipes (MADV_WIPEONFORK); others as the file system gives them (-EIO, -ENOLCK, -EROFS)
 */
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_mutex_open(fipc_mutex **ret, const char *name, unsigned flags, mode_t mode);

/*
 * Balance one open. The last one leaves the object; if nobody else is attached and it is not FIPC_PERSIST, it goes.
 * NULL is 0. Returns 0, or, and then nothing has changed,
 *	-EBUSY   a thread of this process holds it, or waits for it
 *	-EINVAL  not a mutex that this process has open
 *	-EMFILE, -ENFILE, -ENOMEM   no descriptor or memory to leave with
 */
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_mutex_close(fipc_mutex *m);

/*
 * Take the name away. Those who have it open go on; the next open makes a new one.
 * Returns 0, -ENOENT, -EINVAL (name, directory), -EPERM, -EACCES (another user's), or, as fipc_mutex_open() says at
 * length, -EBUSY, -ENOTDIR, -ENAMETOOLONG, -EMFILE, -ENFILE, -ENOMEM, -ENOSYS.
 */
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_mutex_unlink(const char *name);

/*
 * Lock. lock waits as long as it takes; trylock does not; lock_until waits up to the deadline.
 * Returns 0, or FIPC_OWNER_DIED: held. Else not held:
 *	-EBUSY           somebody has it (trylock, or d <= 0)
 *	-ETIMEDOUT       the deadline passed
 *	-EDEADLK         this thread holds it already
 *	-ENOTRECOVERABLE an owner died, and the next one unlocked without fipc_mutex_consistent(); or it was revoked
 *	-EINTR           a signal was handled, and the thread asked to be told (fipc_set_interruptible)
 *	-EINVAL          not a mutex, or it was destroyed meanwhile
 *	-EACCES          opened FIPC_READONLY
 *	-ENOTSUP         made by an incompatible version of fipc
 *	-EXDEV           made in another PID namespace
 *	-EAGAIN          this thread holds 2047 of them
 *	-ENOSYS          no robust list here (qemu-user, a libc that fipc does not know)
 *	-ENOMEM          the thread's first use, and no memory for its list; -EAGAIN too: no pthread key is left for it
 */
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_mutex_lock(fipc_mutex *m);
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_mutex_trylock(fipc_mutex *m);
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_mutex_lock_until(fipc_mutex *m, fipc_deadline d);

/*
 * Unlock, and wake one waiter. In any order with other locks.
 * Returns 0: not held any more. -EPERM: this thread does not hold it (through this address), and nothing has changed; or
 * -EINVAL: nor is it a mutex; -EACCES: it is opened FIPC_READONLY. -EINVAL also if the memory was overwritten while this
 * thread held it: it has let go of it all the same.
 */
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_mutex_unlock(fipc_mutex *m);

/*
 * Say that the data are mended after FIPC_OWNER_DIED. The lock stays held.
 * Returns 0, or -EINVAL: this thread does not hold it after a death.
 */
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_mutex_consistent(fipc_mutex *m);

/*
 * Let go of it as the caller's death would: the data may be half changed, and the next one to get it is told,
 * FIPC_OWNER_DIED. For who meets an error inside that it cannot mend itself (in a language with exceptions, say), and for
 * who was told of a death and leaves the mending to others: unlike fipc_mutex_unlock() this loses nothing.
 * Returns as fipc_mutex_unlock(). Not held any more, then.
 */
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_mutex_abandon(fipc_mutex *m);

/*
 * For operators: end the wait for an owner that will not let go. The caller need not hold it, and never does afterwards.
 * Its owner is dead (its death was not seen: an exec by a thread other than the main one): as if it had died inside.
 * Its owner lives: nobody gets it again. Who waits and who comes gets -ENOTRECOVERABLE; the owner keeps what it has, its
 * unlock returns 0, and its other locks stay robust. It is never handed to a second owner.
 * Returns 0 (also when it is not recoverable already), -ESRCH (nobody holds it), -EINVAL, -EACCES, -ENOTSUP, -EXDEV,
 * -ENOSYS, -ENOMEM, -EAGAIN as fipc_mutex_lock().
 */
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_mutex_revoke(fipc_mutex *m);

enum { /* fipc_mutex_info.state */
	FIPC_MUTEX_FREE,
	FIPC_MUTEX_HELD,
	FIPC_MUTEX_DIED,            /* free; its last owner died inside, and the next one will be told */
	FIPC_MUTEX_RECOVERING,      /* held by one who was told, and has not said consistent yet */
	FIPC_MUTEX_NOT_RECOVERABLE,
};

struct fipc_mutex_info {
	uint32_t size;         /* bytes of this struct that were filled */
	uint32_t state;        /* FIPC_MUTEX_* */
	uint32_t owner_pid;    /* its owner, while HELD or RECOVERING, else 0; in the namespace where the mutex was made. */
	uint32_t owner_tid;    /* The pid is written just after the lock is taken: for an instant it is the last owner's. */
	uint32_t waiters;      /* threads asleep on it at this moment */
	uint32_t owner_deaths; /* times that an owner died inside and the next one was told */
	uint32_t contended;    /* times that it was had only after waiting */
	uint32_t acquisitions; /* times that it was had; wraps around. Two looks that give the same number, and HELD: the
	                          same acquisition */
	uint64_t acquired_ns;  /* FIPC_TIMESTAMPS: when it was last had, on CLOCK_MONOTONIC; else 0 */
	uint32_t last_pid;     /* the process that had it last, dead or alive; 0: nobody yet. For an instant too old, as above */
};

/*
 * Look at it, without touching it; a snapshot of words that change. size: sizeof(struct fipc_mutex_info) as the caller
 * was compiled with; more than the library knows is left alone. Works on FIPC_READONLY handles and from another PID
 * namespace. Returns 0, -EINVAL (not a mutex; size < 8), -ENOTSUP.
 */
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_mutex_info(const fipc_mutex *m, struct fipc_mutex_info *ret, size_t size);

#ifdef __cplusplus
}
#endif
#endif
