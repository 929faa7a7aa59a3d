/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared memory under a name. It goes when the last process that has it open leaves or is killed, unless it was made
 * with FIPC_PERSIST; what a killed process had made is taken away with it.
 *
 * The file holds the user's bytes and nothing else, from offset 0: write(2), mmap(2) and ftruncate(2) on
 * fipc_shm_fd() mean what they say, and fipc_shm_data() is the same bytes. They are zero when new. Nothing keeps two
 * writers apart: put a fipc_mutex inside. What is inside can be made ready before anybody else can see it:
 *
 *	struct account { fipc_mutex lock; int64_t balance, total; };   // lock protects: balance == total
 *
 *	static int fill(void *data, size_t size, void *context)
 *	{
 *		struct account *a = data;
 *		a->balance = a->total = 100;
 *		return size < sizeof(*a) ? -EINVAL : fipc_mutex_init(&a->lock, 0);
 *	}
 *	...
 *	r = fipc_shm_create(&shm, "account", sizeof(struct account), FIPC_CREATE, 0600, fill, NULL);
 *	if (r >= 0)
 *		r = fipc_mutex_lock(&((struct account *)fipc_shm_data(shm))->lock);
 *
 * The memory is taken when it is made, or grown by fipc_shm_resize(): -ENOSPC then, and no SIGBUS later.
 *
 * Illegal: touching bytes that somebody has cut off since, by a resize, FIPC_TRUNC or ftruncate(2) (SIGBUS); touching
 * an address that fipc_shm_data() gave before this process's last resize or close; writing between the end and the
 * end of its page; a child of vfork(). Bytes that ftruncate(2) added have no memory yet: touching them is SIGBUS if
 * the file system is full.
 *
 * A child of fork() has the parent's memory, at the same address, and its handles; a later resize by one of the two is
 * none of the other's. It may be used from another PID namespace (a fipc_mutex inside it may not).
 */
#ifndef FIPC_SHM_H
#define FIPC_SHM_H

#include <fipc/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fipc_shm fipc_shm; /* of this process; a child of fork() has a copy */

/*
 * Open shared memory by name (see <fipc/base.h>). Opening a name again gives the same handle, counted. The process is
 * tracked as its user until the last close, its exit or its death; after fork the child has the parent's handles. A
 * handle uses one descriptor.
 *
 * size: when it is made, how many bytes, all zero; 0 is an empty one, to be resized. When it is joined, how many the
 * caller needs at least: fewer there are made as many, as by fipc_shm_resize(); more are left, for others may use them.
 * 0: as it is.
 * flags: FIPC_CREATE, FIPC_EXCL, FIPC_REPLACE, FIPC_PERSIST, FIPC_READONLY, FIPC_ANY_OWNER, and FIPC_TRUNC.
 *	FIPC_READONLY  the memory can only be read, the descriptor too (fipc_mutex_info() on a mutex inside works)
 *	FIPC_TRUNC     what is joined is emptied: exactly `size` bytes, all zero. Others that have it open see it
 *	               happen, and lose what is behind if it gets shorter. Not with FIPC_READONLY.
 * mode: permission bits (0777 at most), exact whatever the umask; used by the call that creates, ignored by one that
 * joins. To write needs read and write permission, FIPC_READONLY read permission.
 *
 * Returns FIPC_CREATED or 0, and sets *ret; or, and then what is there is as it was (but FIPC_REPLACE has taken its name
 * away already if there is no memory for the new one),
 *	-EINVAL        a bad name, flag, mode or directory, or what is there is no shared memory
 *	-ENOENT        it is not there (or all who used it are gone), and no FIPC_CREATE; or nor is the directory's
 *	               parent
 *	-ENOTDIR       the directory is none
 *	-EEXIST        it is there, with FIPC_EXCL
 *	-EACCES        no permission on it or on the directory; or it is smaller than size, with FIPC_READONLY
 *	-EPERM         another user made it, and no FIPC_ANY_OWNER; or the directory, or that of its entries, is another
 *	               user's
 *	-ENOTSUP       made by an incompatible version of fipc
 *	-EBUSY         a process has kept it locked against opening and closing for 5 s (stopped in there, or hostile,
 *	               or it uses file locks: see fipc_shm_fd)
 *	-ENOSPC, -EDQUOT   the directory's file system, or the user's share of it, is full
 *	-EFBIG         larger than a file or this process may be
 *	-ENAMETOOLONG  the directory's path is longer than 1000 bytes
 *	-EMFILE, -ENFILE, -ENOMEM   the system's limits
 *	-ENOSYS        no memory that fork wipes (MADV_WIPEONFORK); others as the file system gives them (-EIO, -ENOLCK,
 *	               -EROFS)
 */
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_shm_open(fipc_shm **ret, const char *name, size_t size, unsigned flags,
					      mode_t mode);

/*
 * The same, but what is made is filled by fill() before it has its name: nobody ever sees it half done, and if the
 * process is killed in there, nothing is left (where unnamed files cannot be had, a temporary one, for the next
 * collection).
 * fill: data, `size` zero bytes, at another address than fipc_shm_data() will give; returns 0, or a negative errno,
 * which the call returns, and nothing is made. It may use fipc, but must not leave a lock held. It is not called for
 * what is joined; should somebody else make it at the same time, its work is thrown away.
 * Returns as fipc_shm_open() does; -EINVAL also if size is 0, or there is no fill or no FIPC_CREATE.
 */
typedef int (*fipc_shm_fill)(void *data, size_t size, void *context);
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_shm_create(fipc_shm **ret, const char *name, size_t size, unsigned flags,
						mode_t mode, fipc_shm_fill fill, void *context);

/*
 * Balance one open. The last one unmaps it, closes its descriptor, and leaves; if nobody else is attached and it is not
 * FIPC_PERSIST, it goes. Who still has mapped it himself, by fipc_shm_fd(), keeps it there until his end.
 * NULL is 0. Returns 0, or, and then nothing has changed,
 *	-EINVAL  not shared memory that this process has open
 *	-EMFILE, -ENFILE, -ENOMEM   no descriptor or memory to leave with
 */
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_shm_close(fipc_shm *h);

/*
 * Take the name away. Those who have it open go on; the next open makes a new one.
 * Returns 0, -ENOENT, -EINVAL (name, directory), -EPERM, -EACCES (another user's), or, as fipc_mutex_open() says at
 * length, -EBUSY, -ENOTDIR, -ENAMETOOLONG, -EMFILE, -ENFILE, -ENOMEM, -ENOSYS.
 */
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_shm_unlink(const char *name);

/*
 * What this process has mapped: where (NULL if it is empty), and how many bytes; they change by its own calls alone
 * (open of the same name with a larger size, fipc_shm_resize, fipc_shm_remap). Of NULL: NULL and 0.
 */
FIPC_PUBLIC void *fipc_shm_data(const fipc_shm *h);
FIPC_PUBLIC size_t fipc_shm_size(const fipc_shm *h);

/*
 * Its descriptor, for mmap, read, write, ftruncate, fstat; closed by the last fipc_shm_close() and at exec, not to be
 * closed by others. No file locks of one's own on the whole of it: flock(2), and fcntl(2) without a length, are in
 * the way of those who open and close. -EINVAL: h is NULL.
 */
FIPC_PUBLIC int fipc_shm_fd(const fipc_shm *h);

/*
 * Make it larger or smaller, and map what it is then; new bytes are zero. The address may change, as with realloc: no
 * other thread of this process may be using it. Other processes go on with what they have mapped (of a smaller one,
 * SIGBUS behind its end), and get the new bytes by fipc_shm_remap(). Two at once: one of the two sizes.
 * Returns 0; or, and then nothing has changed,
 *	-ENOSPC, -EDQUOT  no memory for it
 *	-EACCES  opened FIPC_READONLY
 *	-EFBIG   larger than a file or this process may be
 *	-ENOMEM  no room to map it
 *	-EBADF   somebody closed its descriptor
 *	-EINVAL  h is NULL
 */
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_shm_resize(fipc_shm *h, size_t size);

/*
 * Map what it is now, after somebody else has made it larger or smaller; for FIPC_READONLY handles too. As a resize to
 * the size that it has.
 * Returns 0; or, and then nothing has changed, -ENOMEM, -EBADF, -EINVAL as fipc_shm_resize().
 */
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_shm_remap(fipc_shm *h);

struct fipc_shm_info {
	uint32_t size;      /* bytes of this struct that were filled */
	uint32_t mode;      /* permission bits */
	uint64_t bytes;     /* how many it holds now */
	uint64_t allocated; /* how many of them have memory; whole pages */
	uint64_t mapped;    /* how many this process has mapped; 0 in a listing */
};

/*
 * Look at it. size: sizeof(struct fipc_shm_info) as the caller was compiled with; more than the library knows is left
 * alone. Returns 0, -EINVAL (h is NULL; size < 8), -EBADF (somebody closed its descriptor).
 */
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_shm_info(const fipc_shm *h, struct fipc_shm_info *ret, size_t size);

#ifdef __cplusplus
}
#endif
#endif
