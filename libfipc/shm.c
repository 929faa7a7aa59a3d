/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared memory: the bytes of a file, and this process's mapping of them.
 *
 * A handle's descriptor is the one that attached it (object.h), so whatever its user maps by it keeps the object,
 * too. A size changes under fipc__objects_lock, first the file's, then the mapping's. Killed in between: the file has
 * its new size. Emptying (FIPC_TRUNC): first the memory for what it will be, so that a failure has changed nothing;
 * then zeros; then, if it gets shorter, the cut. Killed in between: some of it is zero.
 */
#include <fipc/shm.h>

#include "fork.h"
#include "handle.h"
#include "place.h"
#include "room.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct fipc_shm {
	struct object_local local;
	dev_t dev;
	ino_t ino;
	/* Written under the objects lock. relaxed: who reads them while they change cannot use what he reads, anyway */
	_Atomic(void *) data;
	_Atomic size_t size;
};

static void *mapped_at(const fipc_shm *h)
{
	return atomic_load_explicit(&h->data, memory_order_relaxed);
}

static size_t mapped_size(const fipc_shm *h)
{
	return atomic_load_explicit(&h->size, memory_order_relaxed);
}

/* ---- mapping ---- */

static void *map(const fipc_shm *h, size_t size)
{
	return mmap(NULL, size, h->local.readonly ? PROT_READ : PROT_READ | PROT_WRITE, MAP_SHARED, h->local.fd, 0);
}

/* As many bytes as that. 0, or nothing has changed. */
static int map_as(fipc_shm *h, size_t size)
{
	void *p = mapped_at(h);
	size_t old = mapped_size(h);
	if (size == old)
		return 0;
	if (size > 0)
		p = p ? mremap(p, old, size, MREMAP_MAYMOVE) : map(h, size);
	else if (munmap(p, old) == 0)
		p = NULL;
	if (p == MAP_FAILED)
		return -errno;
	atomic_store_explicit(&h->data, p, memory_order_relaxed);
	atomic_store_explicit(&h->size, size, memory_order_relaxed);
	return 0;
}

/* The number of the descriptor may have come to mean something else: whoever closes all of them has closed ours. */
static int look_at(const fipc_shm *h, struct stat *st)
{
	if (fstat(h->local.fd, st) < 0)
		return -errno;
	return st->st_dev == h->dev && st->st_ino == h->ino ? 0 : -EBADF;
}

/* ---- the type ---- */

static int begin(struct object_local *local)
{
	fipc_shm *h = (fipc_shm *)(void *)local;
	struct stat st;
	if (fstat(local->fd, &st) < 0)
		return -errno;
	h->dev = st.st_dev;
	h->ino = st.st_ino;
	return map_as(h, (size_t)st.st_size);
}

static void end(struct object_local *local)
{
	fipc_shm *h = (fipc_shm *)(void *)local;
	struct stat st;
	if (mapped_at(h))
		munmap(mapped_at(h), mapped_size(h));
	if (look_at(h, &st) != -EBADF)
		close(local->fd);
}

static int busy(const void *object)
{
	(void)object; /* who uses the bytes cannot be told */
	return 0;
}

static void describe(const struct stat *st, struct fipc_shm_info *ret)
{
	*ret = (struct fipc_shm_info){
		.size = sizeof(*ret),
		.mode = st->st_mode & 0777,
		.bytes = (uint64_t)st->st_size,
		.allocated = (uint64_t)st->st_blocks * 512,
	};
}

static int look(const struct look *l, struct fipc_object *ret)
{
	describe(l->st, &ret->shm);
	return 0;
}

const struct object_kind fipc__kind_shm = {
	.type = FIPC_TYPE_SHM,
	.flags = FIPC_TRUNC,
	.anywhere = true,
	.bare = true,
	.busy = busy,
	.local_size = sizeof(fipc_shm),
	.begin = begin,
	.end = end,
	.look = look,
};

/* ---- size: all under the objects lock ---- */

/* The file gets this size; memory for what is added. 0, or nothing has changed. */
static int set_file_size(const fipc_shm *h, size_t old, size_t size)
{
	if (size > old)
		return fipc__make_room(h->local.fd, (off_t)old, (off_t)(size - old));
	return size < old && ftruncate(h->local.fd, (off_t)size) < 0 ? -errno : 0;
}

/* No room to map what was added: cut it off again, unless somebody else has changed it since. */
static void undo_growth(const fipc_shm *h, size_t old, size_t size)
{
	struct stat st;
	int r = look_at(h, &st);
	if (r == 0 && size > old && (size_t)st.st_size == size)
		r = ftruncate(h->local.fd, (off_t)old);
	(void)r; /* then it is larger than wanted, which harms nobody */
}

static int resize(fipc_shm *h, size_t size)
{
	struct stat st;
	int r = h->local.readonly ? -EACCES : look_at(h, &st);
	if (r < 0)
		return r;
	r = set_file_size(h, (size_t)st.st_size, size);
	if (r < 0)
		return r;
	r = map_as(h, size);
	if (r < 0)
		undo_growth(h, (size_t)st.st_size, size);
	return r;
}

static int remap(fipc_shm *h, size_t unused)
{
	struct stat st;
	int r = look_at(h, &st);
	(void)unused;
	return r < 0 ? r : map_as(h, (size_t)st.st_size);
}

static int empty(fipc_shm *h, size_t size)
{
	struct stat st;
	size_t old;
	int r = look_at(h, &st);
	if (r < 0)
		return r;
	old = (size_t)st.st_size;
	if (size > 0) /* holes that somebody left in it, too */
		r = fipc__make_room(h->local.fd, 0, (off_t)size);
	if (r == 0)
		r = map_as(h, size);
	if (r < 0) {
		undo_growth(h, old, size);
		return r;
	}
	if (size > 0)
		memset(mapped_at(h), 0, size < old ? size : old);
	return size < old ? set_file_size(h, old, size) : 0;
}

/* It was joined: as many bytes as the caller needs, and no move if there are. */
static int fit(fipc_shm *h, size_t size)
{
	struct stat st;
	int r = mapped_size(h) >= size ? 0 : look_at(h, &st);
	if (r < 0 || mapped_size(h) >= size)
		return r;
	return (size_t)st.st_size >= size ? map_as(h, (size_t)st.st_size) : resize(h, size);
}

static int locked(int (*change)(fipc_shm *, size_t), fipc_shm *h, size_t size)
{
	int r = !h ? -EINVAL : size > PTRDIFF_MAX ? -EFBIG : fipc__process_enter();
	if (r < 0)
		return r;
	fipc__objects_lock();
	r = change(h, size);
	fipc__objects_unlock();
	return r;
}

int fipc_shm_resize(fipc_shm *h, size_t size)
{
	return locked(resize, h, size);
}

int fipc_shm_remap(fipc_shm *h)
{
	return locked(remap, h, 0);
}

/* ---- open, close, unlink ---- */

static int check(size_t size, unsigned flags)
{
	if (flags & FIPC_TRUNC && flags & FIPC_READONLY)
		return -EINVAL;
	return size > PTRDIFF_MAX ? -EFBIG : 0;
}

static int open_with(fipc_shm **ret, const char *name, const struct bare *params, unsigned flags, mode_t mode)
{
	void *object;
	int ignored, r = fipc__named_open(&object, &fipc__kind_shm, params, name, flags, mode);
	if (r < 0)
		return r;
	if (r != FIPC_CREATED) {
		int fitted = locked(flags & FIPC_TRUNC ? empty : fit, object, params->size);
		if (fitted < 0) {
			ignored = fipc_shm_close(object);
			(void)ignored; /* what was opened just now can be closed */
			return fitted;
		}
	}
	*ret = object;
	return r;
}

int fipc_shm_open(fipc_shm **ret, const char *name, size_t size, unsigned flags, mode_t mode)
{
	const struct bare params = {size, NULL};
	int r = check(size, flags);
	return r < 0 ? r : open_with(ret, name, &params, flags, mode);
}

int fipc_shm_close(fipc_shm *h)
{
	return fipc__named_close(h, &fipc__kind_shm);
}

int fipc_shm_unlink(const char *name)
{
	return fipc__named_unlink(name, FIPC_TYPE_SHM);
}

/* ---- filled before it has its name; no lock is held meanwhile ---- */

static int fill_file(const struct unfinished *u, size_t size, fipc_shm_fill fill, void *context)
{
	void *p;
	int r = fipc__make_room(u->fd, 0, (off_t)size);
	if (r < 0)
		return r;
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, u->fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	r = fill(p, size, context);
	munmap(p, size);
	return r < 0 ? r : 0;
}

int fipc_shm_create(fipc_shm **ret, const char *name, size_t size, unsigned flags, mode_t mode, fipc_shm_fill fill,
		    void *context)
{
	struct unfinished made;
	const struct bare params = {size, &made};
	int r = fill && size > 0 && flags & FIPC_CREATE ? check(size, flags) : -EINVAL;
	if (r == 0 && !(flags & (FIPC_EXCL | FIPC_REPLACE))) {
		r = fipc_shm_open(ret, name, size, flags & ~(unsigned)(FIPC_CREATE | FIPC_PERSIST), mode);
		if (r != -ENOENT)
			return r;
		r = 0;
	}
	if (r == 0)
		r = fipc__named_prepare(&made);
	if (r < 0)
		return r;
	r = fill_file(&made, size, fill, context);
	if (r == 0)
		r = open_with(ret, name, &params, flags, mode);
	fipc__object_discard(AT_FDCWD, &made);
	return r;
}

/* ---- looking ---- */

void *fipc_shm_data(const fipc_shm *h)
{
	return h ? mapped_at(h) : NULL;
}

size_t fipc_shm_size(const fipc_shm *h)
{
	return h ? mapped_size(h) : 0;
}

int fipc_shm_fd(const fipc_shm *h)
{
	return h ? h->local.fd : -EINVAL;
}

int fipc_shm_info(const fipc_shm *h, struct fipc_shm_info *ret, size_t size)
{
	struct fipc_shm_info info;
	struct stat st;
	int r = !h || size < INFO_SIZE_MIN ? -EINVAL : look_at(h, &st);
	if (r < 0)
		return r;
	describe(&st, &info);
	info.mapped = mapped_size(h);
	fipc__give_info(ret, size, &info);
	return 0;
}
