/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A condition variable for fipc_mutex: threads that hold the mutex and find that something is not yet so, sleep until
 * another one says that it may have changed. It lives in the caller's memory (init, attach) or under a name (open);
 * the same type, so every other call serves both; the mutex may be of either sort, too.
 *
 *	struct box { fipc_mutex lock; fipc_cond filled; int full, item; };   // lock protects: item is valid while full
 *
 *	r = fipc_mutex_lock(&b->lock);
 *	while (r == 0 && !b->full)                     // a loop: a wait may return for no reason
 *		r = fipc_cond_wait(&b->filled, &b->lock);
 *	if (r < 0)
 *		return r;                              // not held
 *	if (r == FIPC_OWNER_DIED)                      // held, and whoever had it died inside: mend b,
 *		r = mend(b);                           // fipc_mutex_consistent(), fipc_cond_broadcast()
 *
 * What is promised of death. A signal is not lost: of those who sleep at that moment at least one returns from its
 * wait, whoever is killed; a waiter killed after it was woken, and before it had the mutex, is stood in for by another
 * sleeper, and so is a signaller killed before it could wake. Of a waiter that is killed when it has the mutex, the
 * next one to lock is told (FIPC_OWNER_DIED), and should broadcast when it has mended the data: what the dead was to
 * do is left undone.
 *
 * Illegal: copying or moving it; using it in memory that another process may truncate (SIGBUS); waiting on it with one
 * mutex while others wait with another; freeing or unmapping the memory of one in place while a thread is still inside
 * a call of it; a child of vfork(); calls from a signal handler. Of one open by name: its last close while another
 * thread of the process is inside another call of it (one that sleeps is noticed: -EBUSY).
 *
 * Limits: those of the mutex (one PID namespace). Linux 5.16; that no kill of a waiter strands another needs 5.19.
 * Those who are woken by signals take the mutex one after the other: while one of them is stopped (SIGSTOP) on its
 * way, each of the others is held up by 20 ms.
 */
#ifndef FIPC_COND_H
#define FIPC_COND_H

#include <fipc/mutex.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fipc_cond {
	uint64_t opaque[8];
} fipc_cond;

/*
 * Make a condition variable in 64 bytes of writable memory aligned to 8, whatever was there before. Nobody may be
 * using it.
 * flags: FIPC_PRIVATE. Returns 0 or -EINVAL (flags, alignment).
 */
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_cond_init(fipc_cond *c, unsigned flags);

/*
 * Join one in shared memory, or make it if its 64 bytes are zero: of any number of callers at once exactly one makes
 * it, and if that one is killed, another does. flags: 0.
 * Returns FIPC_CREATED, 0 (joined), or
 *	-EINVAL   unknown flags, misaligned, or the bytes are neither zero nor a condition variable
 *	-ENOTSUP  one of an incompatible version of fipc
 *	-EACCES   a FIPC_READONLY handle
 *	-EINTR, -ENOSYS, -ENOMEM, -EAGAIN   as fipc_mutex_lock() (it waits for an attach that is under way)
 */
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_cond_attach(fipc_cond *c, unsigned flags);

/*
 * End one in place: from then on every call on it fails with -EINVAL, and attach makes it anew. Its memory may be
 * reused when this has returned 0 and every other thread has returned from its last call.
 * Returns 0, -EBUSY (somebody waits on it), -EINVAL (none, or open by name), -ENOTSUP, -EACCES (as attach).
 */
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_cond_destroy(fipc_cond *c);

/*
 * Open one by name (see <fipc/base.h>). Opening a name again gives the same pointer, counted. The process is tracked
 * as its user until the last close, its exit or its death; after fork the child has the parent's handles.
 *
 * flags: FIPC_CREATE, FIPC_EXCL, FIPC_REPLACE, FIPC_PERSIST, FIPC_READONLY, FIPC_ANY_OWNER.
 * mode: permission bits (0777 at most), exact whatever the umask. To wait and to signal need read and write permission.
 *
 * Returns FIPC_CREATED or 0, and sets *ret; or, as fipc_mutex_open() says at length, -EINVAL (also: what is there is
 * none), -ENOENT, -ENOTDIR, -EEXIST, -EACCES, -EPERM, -EXDEV, -ENOTSUP, -EBUSY, -ENOSPC, -EDQUOT, -ENAMETOOLONG,
 * -EMFILE, -ENFILE, -ENOMEM, -ENOSYS.
 */
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_cond_open(fipc_cond **ret, const char *name, unsigned flags, mode_t mode);

/*
 * Balance one open. The last one leaves it; if nobody else is attached and it is not FIPC_PERSIST, it goes.
 * NULL is 0. Returns 0, or, and then nothing has changed,
 *	-EBUSY   a thread of this process waits on it
 *	-EINVAL  none that this process has open
 *	-EMFILE, -ENFILE, -ENOMEM   no descriptor or memory to leave with
 */
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_cond_close(fipc_cond *c);

/*
 * Take the name away. Those who have it open go on; the next open makes a new one.
 * Returns 0, -ENOENT, -EINVAL (name, directory), -EPERM, -EACCES (another user's), or, as fipc_mutex_open() says at
 * length, -EBUSY, -ENOTDIR, -ENAMETOOLONG, -EMFILE, -ENFILE, -ENOMEM, -ENOSYS.
 */
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_cond_unlink(const char *name);

/*
 * Unlock m, sleep until signalled, and lock m again. Nothing that is signalled by one who has held m since is missed.
 * It may return without a signal: look again at what was waited for.
 * The caller holds m. If an owner of m has died, it calls fipc_mutex_consistent() first: this unlocks, and an unlock
 * without it says that the data cannot be mended.
 * The lock of m at the end waits as long as it takes: neither the deadline nor a signal ends that.
 *
 * Held, when it returns:
 *	0                signalled, or for no reason
 *	FIPC_OWNER_DIED  the same, or the deadline passed, or -EINTR; and the owner of m before had died inside
 *	-ETIMEDOUT       the deadline passed (d <= 0: at once, yet others have had their chance to lock m)
 *	-EINTR           a signal was handled, and the thread asked to be told (fipc_set_interruptible)
 * Not held; m was unlocked, also if it is c that was wrong:
 *	-EINVAL          c is none, or was destroyed meanwhile; m was overwritten or destroyed meanwhile
 *	-EACCES          c is opened FIPC_READONLY
 *	-ENOTSUP         c was made by an incompatible version of fipc
 *	-ENOTRECOVERABLE as fipc_mutex_lock() of m
 * Not held, and was not before; nothing has changed:
 *	-EPERM           this thread does not hold m; or, if m is no usable mutex at all, -EINVAL, -EACCES, -ENOTSUP
 */
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_cond_wait(fipc_cond *c, fipc_mutex *m);
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_cond_wait_until(fipc_cond *c, fipc_mutex *m, fipc_deadline d);

/*
 * Wake one of those who wait, if there are any; broadcast: all. Never waits. The caller need not hold the mutex, but
 * must have held it when it changed what they wait for. Without waiters it makes no system call.
 * Returns 0, or, and then nothing has changed,
 *	-EINVAL   none, or it was destroyed
 *	-EACCES   opened FIPC_READONLY
 *	-ENOTSUP  made by an incompatible version of fipc
 */
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_cond_signal(fipc_cond *c);
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_cond_broadcast(fipc_cond *c);

struct fipc_cond_info {
	uint32_t size;    /* bytes of this struct that were filled */
	uint32_t waiters; /* threads asleep on it at this moment */
	uint32_t signals; /* signals and broadcasts that may have found somebody waiting; wraps around */
};

/*
 * Look at it, without touching it; a snapshot of words that change. size: sizeof(struct fipc_cond_info) as the caller
 * was compiled with; more than the library knows is left alone. Works on FIPC_READONLY handles.
 * Returns 0, -EINVAL (none; size < 8), -ENOTSUP.
 */
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_cond_info(const fipc_cond *c, struct fipc_cond_info *ret, size_t size);

#ifdef __cplusplus
}
#endif
#endif
