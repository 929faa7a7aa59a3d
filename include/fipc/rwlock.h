/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A robust readers-writer lock: many read at a time, or one writes. A reader that dies is dropped, at once, by the
 * kernel: it has changed nothing. A writer that dies inside is reported to the next one: FIPC_OWNER_DIED. It lives in
 * the caller's memory (init, attach) or under a name (open); the same type, so every other call serves both.
 *
 * Who holds it: a thread, once: not recursive, and a reader can't become a writer. Uncontended, neither reading nor
 * writing makes a system call, and readers that run at the same time write to no memory in common.
 *
 *	struct place { int64_t lat, lon, sum; };       // lock protects: sum == lat + lon
 *
 *	int r = fipc_rwlock_wrlock(l);
 *	if (r < 0)
 *		return r;                              // not held
 *	if (r == FIPC_OWNER_DIED) {                    // held to write, and the one before died writing
 *		p->sum = p->lat + p->lon;              // mend what it left half done,
 *		r = fipc_rwlock_consistent(l);         // and say so: else nobody gets the lock again
 *	}
 *	p->lat++;
 *	p->sum++;
 *	r = fipc_rwlock_unlock(l);
 *
 * After FIPC_OWNER_DIED the caller holds the lock alone, to write, also if it had asked to read: so that it can mend.
 * Then fipc_rwlock_consistent(), then unlock, and read it anew. Unlocking without it says that the data cannot be
 * mended, and from then on every lock fails with -ENOTRECOVERABLE until it is made anew (init, or open with
 * FIPC_REPLACE). A writer that dies while it still waits for readers to leave has changed nothing: nobody is told.
 *
 * Who comes first. A writer first shuts the gate, then waits for the readers inside to leave; meanwhile nobody else
 * gets in, so a stream of readers does not starve it. Readers that find the gate shut queue there, with writers, as
 * for a mutex, and so are not starved by writers. A reader that waits, while it reads, for another who has yet to
 * lock waits for ever if a writer has come between them: so don't.
 *
 * How many. Each thread that reads has a slot of 64 bytes, which is what makes its death known; the number of slots is
 * fixed when the lock is made, 1 to FIPC_RWLOCK_READERS_MAX. All taken: who wants to read waits until one is free,
 * before all who come later. A writer looks at every slot (about 1 ns each), so do not make many more than you need:
 * two or three times as many as threads read at a time keeps them out of each other's way. Of more than 127, all taken,
 * one waits for 127 to be freed in any way, and for the others to be unlocked; that a reader died in one of those is
 * noticed after up to 100 ms. Everything else here is at once.
 *
 * Illegal: copying or moving it; using it in memory that another process may truncate (SIGBUS); freeing or unmapping
 * the memory of one in place while a thread is still inside fipc_rwlock_unlock() of it; a child of vfork().
 * A child of fork() holds nothing. An exec by a thread other than the main one leaves what that thread held locked.
 *
 * In place, each process should say how large it is: by init, by attach, or as a child of one that has. One that
 * just uses it believes what the memory says, which another process may have written.
 *
 * Limits: those of a mutex (<fipc/mutex.h>): one PID namespace, one word size, 2047 locks held by a thread (to get this
 * one takes two of them for a moment), Linux 5.16; that no kill strands another needs 5.19.
 */
#ifndef FIPC_RWLOCK_H
#define FIPC_RWLOCK_H

#include <fipc/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fipc_rwlock fipc_rwlock;

#define FIPC_RWLOCK_READERS_MAX 1022 /* it takes 64 KiB then */

/* The bytes that a lock takes in which so many read at a time: 128 + 64 each. 0: there is no such lock. */
FIPC_PUBLIC FIPC_MUST_CHECK size_t fipc_rwlock_size(unsigned readers);

/*
 * Make a lock in `size` bytes of writable memory aligned to 8, whatever was there before, for as many readers as there
 * is room for. Nobody may be using it. flags: FIPC_PRIVATE. Returns 0, -EINVAL (flags, alignment, too small for one
 * reader), or what fipc_rwlock_rdlock() says of a thread's first use (-ENOSYS, -ENOMEM, -EAGAIN).
 */
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_rwlock_init(fipc_rwlock *l, size_t size, unsigned flags);

/*
 * Join a lock in shared memory, or make it if its first 64 bytes are zero: of any number of callers at once exactly one
 * makes it, and if that one is killed, another does. flags: none yet.
 * Returns FIPC_CREATED, 0 (joined; it may have fewer slots than there is room for), or
 *	-EINVAL   flags, misaligned, too small for one reader or for the lock that is there, or the bytes are neither
 *	          zero nor a lock
 *	-EACCES   a FIPC_READONLY handle
 *	-ENOTSUP  a lock of an incompatible version of fipc
 *	-EXDEV    made in another PID namespace
 *	-EINTR, -ENOSYS, -ENOMEM, -EAGAIN as fipc_rwlock_rdlock() (it waits for an attach that is under way)
 */
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_rwlock_attach(fipc_rwlock *l, size_t size, unsigned flags);

/*
 * End a lock in place: from then on every call on it fails with -EINVAL, and attach makes it anew. Its memory may be
 * reused when this has returned 0 and every other thread has returned from its last call.
 * Returns 0, -EBUSY (somebody holds it, or sleeps on it), -EINVAL (not a lock, or open by name), or -EACCES, -ENOTSUP,
 * -EXDEV, -ENOSYS, -ENOMEM, -EAGAIN as fipc_rwlock_rdlock().
 */
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_rwlock_destroy(fipc_rwlock *l);

/*
 * Open a lock by name (see <fipc/base.h>). Opening a name again gives the same pointer, counted. The process is tracked
 * as its user until the last close, its exit or its death; after fork the child has the parent's handles.
 *
 * readers: slots, when it is made; ignored by a call that joins.
 * flags: FIPC_CREATE, FIPC_EXCL, FIPC_REPLACE, FIPC_PERSIST, FIPC_READONLY, FIPC_ANY_OWNER.
 * mode: permission bits (0777 at most), exact whatever the umask. To read, too, takes read and write permission.
 *
 * Returns FIPC_CREATED or 0, and sets *ret; or, as fipc_mutex_open() says at length, -EINVAL (also: readers is 0 or
 * more than FIPC_RWLOCK_READERS_MAX; what is there is no rwlock), -ENOENT, -ENOTDIR, -EEXIST, -EACCES, -EPERM, -EXDEV,
 * -ENOTSUP, -EBUSY, -ENOSPC, -EDQUOT, -ENAMETOOLONG, -EMFILE, -ENFILE, -ENOMEM, -ENOSYS.
 */
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_rwlock_open(fipc_rwlock **ret, const char *name, unsigned readers, unsigned flags,
						 mode_t mode);

/*
 * Balance one open. The last one leaves the lock; if nobody else is attached and it is not FIPC_PERSIST, it goes.
 * NULL is 0. Returns 0, or, and then nothing has changed,
 *	-EBUSY   a thread of this process holds it, or waits for it
 *	-EINVAL  not a rwlock that this process has open
 *	-EMFILE, -ENFILE, -ENOMEM   no descriptor or memory to leave with
 */
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_rwlock_close(fipc_rwlock *l);

/*
 * Take the name away. Those who have it open go on; the next open makes a new one.
 * Returns 0, -ENOENT, -EINVAL (name, directory), -EPERM, -EACCES (another user's), or, as fipc_mutex_open() says at
 * length, -EBUSY, -ENOTDIR, -ENAMETOOLONG, -EMFILE, -ENFILE, -ENOMEM, -ENOSYS.
 */
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_rwlock_unlink(const char *name);

/*
 * Lock it to read, or to write. rdlock and wrlock wait as long as it takes; the try forms do not; the until forms wait
 * up to the deadline.
 * Returns 0: held, to read, or to write. FIPC_OWNER_DIED: held, to write, whichever was asked for. Else not held:
 *	-EBUSY           the try forms, or d <= 0: somebody writes, or is about to (a writer that waits for readers; for
 *	                 an instant also one that only tries, and a reader passing the gate); to read: all slots are
 *	                 taken; to write: somebody reads
 *	-ETIMEDOUT       the deadline passed
 *	-EDEADLK         this thread holds it already, to read or to write
 *	-ENOTRECOVERABLE a writer died, and the next one unlocked without fipc_rwlock_consistent()
 *	-EINTR           a signal was handled, and the thread asked to be told (fipc_set_interruptible)
 *	-EINVAL          not a lock, or it was destroyed meanwhile
 *	-EACCES          opened FIPC_READONLY
 *	-ENOTSUP         made by an incompatible version of fipc
 *	-EXDEV           made in another PID namespace
 *	-EAGAIN          this thread holds 2046 locks, or more
 *	-ENOSYS          no robust list here (qemu-user, a libc that fipc does not know)
 *	-ENOMEM          the thread's first use, and no memory for its list; -EAGAIN too: no pthread key is left for it
 */
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_rwlock_rdlock(fipc_rwlock *l);
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_rwlock_tryrdlock(fipc_rwlock *l);
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_rwlock_rdlock_until(fipc_rwlock *l, fipc_deadline d);
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_rwlock_wrlock(fipc_rwlock *l);
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_rwlock_trywrlock(fipc_rwlock *l);
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_rwlock_wrlock_until(fipc_rwlock *l, fipc_deadline d);

/*
 * Unlock, whichever way this thread holds it, and wake who waits. In any order with other locks.
 * Returns 0: not held any more. -EPERM: this thread does not hold it (through this address), and nothing has changed;
 * or -EINVAL: nor is it a lock; -EACCES: it is opened FIPC_READONLY; -ENOTSUP. -EINVAL also if the memory was
 * overwritten while this thread held it: it has let go of it all the same.
 */
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_rwlock_unlock(fipc_rwlock *l);

/*
 * Say that the data are mended after FIPC_OWNER_DIED. The lock stays held, to write.
 * Returns 0, or -EINVAL: this thread does not hold it after a death.
 */
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_rwlock_consistent(fipc_rwlock *l);

/*
 * Let go of it as the caller's death would. Held to write: the data may be half changed, and the next one to get it is
 * told, FIPC_OWNER_DIED; unlike fipc_rwlock_unlock() after FIPC_OWNER_DIED this loses nothing. Held to read: unlocked.
 * Returns as fipc_rwlock_unlock(). Not held any more, then.
 */
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_rwlock_abandon(fipc_rwlock *l);

enum { /* fipc_rwlock_info.state */
	FIPC_RWLOCK_FREE,            /* nobody is inside; a writer may be about to */
	FIPC_RWLOCK_READ,
	FIPC_RWLOCK_WRITTEN,
	FIPC_RWLOCK_DIED,            /* nobody is inside; the last writer died there, and the next one will be told */
	FIPC_RWLOCK_RECOVERING,      /* held by one who was told, and has not said consistent yet */
	FIPC_RWLOCK_NOT_RECOVERABLE,
};

struct fipc_rwlock_info {
	uint32_t size;          /* bytes of this struct that were filled */
	uint32_t state;         /* FIPC_RWLOCK_* */
	uint32_t readers;       /* slots taken: threads that read, and for an instant those that find they may not */
	uint32_t max_readers;   /* slots */
	uint32_t writer_pid;    /* who is inside, while WRITTEN or RECOVERING, else 0 */
	uint32_t writer_tid;
	uint32_t waiters;       /* threads asleep on it at this moment, to read or to write */
	uint32_t owner_deaths;  /* times that a writer died inside and the next one was told */
	uint32_t reader_deaths; /* times that a thread died with a slot */
	uint32_t contended;     /* times that the gate was had only after waiting, to write or to read */
	uint32_t reads, writes; /* times that it was had; both wrap around */
	uint32_t entering_tid;  /* who is inside next, or lets somebody in: a writer that waits for the readers to leave,
				   a reader that waits for a slot; 0: nobody */
};

/*
 * Look at it, without touching it; a snapshot of words that change. size: sizeof(struct fipc_rwlock_info) as the caller
 * was compiled with; more than the library knows is left alone. Works on FIPC_READONLY handles and from another PID
 * namespace. Returns 0, -EINVAL (not a lock; size < 8), -ENOTSUP.
 */
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_rwlock_info(const fipc_rwlock *l, struct fipc_rwlock_info *ret, size_t size);

#ifdef __cplusplus
}
#endif
#endif
