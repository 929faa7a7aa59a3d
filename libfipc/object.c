/* SPDX-License-Identifier: Apache-2.0 */
#include "object.h"

#include "fork.h"
#include "meta.h"
#include "room.h"
#include "root.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE 1 /* of <linux/fs.h>; musl's headers lack it */
#endif

void fipc__object_settle(struct object *o)
{
	close(o->fd);
	o->fd = -1;
}

static int give_up(struct object *o, int r)
{
	flock(o->fd, LOCK_UN); /* said aloud: a child of _Fork may have a copy of the descriptor */
	fipc__object_settle(o);
	return r;
}

static int unlink_file(int root, const char *file)
{
	if (unlinkat(root, file, 0) == 0)
		return 0;
	return errno == EISDIR ? -EINVAL : -errno;
}

/* ---- what is there ---- */

static int open_file(int root, const char *file, int flags)
{
	/* O_NONBLOCK: a FIFO does not block, and a file that a collector has a lease on is refused for the moment */
	int fd = openat(root, file, flags | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd >= 0)
		return fd;
	switch (errno) {
	case EWOULDBLOCK:
		return -EBUSY;
	case ELOOP: /* a symbolic link, a directory, a socket: nothing of ours */
	case EISDIR:
	case ENXIO:
	case ENODEV:
		return -EINVAL;
	default:
		return -errno;
	}
}

/* To use it, one that reads and writes; who may not write, or only wants to look, gets one that reads. */
static int open_to_use(int root, const char *file, unsigned flags, int *ret_refused)
{
	int fd = flags & FIPC_READONLY ? -EACCES : open_file(root, file, O_RDWR);
	*ret_refused = fd < 0 ? fd : 0;
	return fd == -EACCES || fd == -EROFS ? open_file(root, file, O_RDONLY) : fd;
}

int fipc__object_find(int root, const char *file, unsigned flags, struct object *ret)
{
	struct object o = {0};
	o.fd = open_to_use(root, file, flags, &o.refused);
	if (o.fd < 0)
		return o.fd;
	if (fstat(o.fd, &o.st) < 0)
		return give_up(&o, -errno);
	if (!S_ISREG(o.st.st_mode))
		return give_up(&o, -EINVAL);
	if (o.st.st_nlink == 0) /* on its way: it was taken away before we had it open, which nobody does from now on */
		return give_up(&o, -EAGAIN);
	if (!(flags & FIPC_ANY_OWNER) && !fipc__uid_trusted(o.st.st_uid))
		return give_up(&o, -EPERM);
	*ret = o;
	return 0;
}

int fipc__header_check(const struct object_header *h, enum fipc_type type)
{
	if (h->magic != HEADER_MAGIC)
		return -EINVAL;
	if (h->abi != FIPC__ABI || h->incompatible != 0)
		return -ENOTSUP;
	return h->type == type ? 0 : -EINVAL;
}

/* Without a header that counts nobody knows whether it was to persist: so it does. */
static int read_meta(int root, const char *file, const struct object_kind *kind, struct object *o)
{
	int r = fipc__meta_read(root, file, &o->st, &o->header);
	o->size = (size_t)o->st.st_size;
	if (r != -ENODATA)
		return r;
	o->header = (struct object_header){.type = kind->type, .flags = FIPC_PERSIST};
	return 0;
}

int fipc__object_read(struct object *o, const struct object_kind *kind)
{
	unsigned char image[OBJECT_OFFSET + OBJECT_HEAD] __attribute__((aligned(8)));
	ssize_t n = pread(o->fd, image, sizeof(image), 0);
	int r;
	if (n < 0)
		return -errno;
	if ((size_t)n < sizeof(image) || o->st.st_size < (off_t)sizeof(image))
		return -EINVAL;
	memcpy(&o->header, image, sizeof(o->header));
	o->size = (size_t)o->st.st_size - OBJECT_OFFSET;
	r = fipc__header_check(&o->header, kind->type);
	return r < 0 ? r : kind->check(image + OBJECT_OFFSET, &o->size);
}

/* Looks at a looker: many at short intervals, for most are gone in a moment; then longer ones, 40 ms in all. */
#define LOOKS 26
#define LOOKS_QUICK 16
#define LOOK_AGAIN_NS 20000

enum left { SOMEBODY, NOBODY, CANNOT_TELL };

/* The lease is ours: do the entries agree? Those of the dead go. */
static enum left ask_entries(int root, const char *file, const struct object *o)
{
	struct survey s;
	int r = fipc__entries_survey(root, file, o->st.st_ino, true, NULL, NULL, NULL, &s);
	if (r == -ENOTDIR || (r == 0 && s.alive == 0 && s.unknown == 0))
		return NOBODY;
	fipc__file_end_lease(o->fd);
	return r == 0 && s.alive > 0 ? SOMEBODY : CANNOT_TELL;
}

/*
 * Is nobody else there? Asked under the object's lock. Whoever uses it is attached, which the kernel says at once. Who has
 * it open all the same may be about to attach; or only looks, or leaves and looks, and so is gone in a moment; or is none
 * of fipc's.
 * NOBODY: dead entries are removed, and the lease is held: nobody can open it.
 */
static enum left who_is_left(int root, const char *file, const struct object *o)
{
	struct patience patience = {.until = FIPC_FOREVER};
	for (int looks = 0; looks < LOOKS; looks++) {
		int r = fipc__file_anybody(o->fd);
		if (r != 0)
			return r > 0 ? SOMEBODY : CANNOT_TELL;
		r = fipc__file_lease(o->fd);
		if (r == 0)
			return ask_entries(root, file, o);
		if (r != -EAGAIN)
			return CANNOT_TELL;
		if (looks < LOOKS_QUICK)
			patience.sleep_ns = LOOK_AGAIN_NS;
		fipc__be_patient(&patience);
	}
	return CANNOT_TELL;
}

/* Lock what was found, and see that the name still leads to it. */
static int lock_named(int root, const char *file, struct object *o)
{
	int r = fipc__file_lock(o->fd);
	if (r == 0)
		r = fipc__file_is_named(root, file, &o->st);
	return r < 0 ? r : r > 0 ? 0 : -EAGAIN;
}

/* Nobody is attached. If it was left by the dead it is taken away: -EAGAIN. 0: it stays. */
static int take_away_if_left(int root, const char *file, struct object *o)
{
	int r;
	if (o->header.flags & FIPC_PERSIST)
		return 0;
	r = lock_named(root, file, o);
	if (r < 0)
		return r;
	if (who_is_left(root, file, o) == NOBODY) {
		if (fipc__object_drop(root, file, o->st.st_ino) == 0)
			return -EAGAIN;
		fipc__file_end_lease(o->fd);
	}
	flock(o->fd, LOCK_UN);
	return 0;
}

int fipc__object_probe(int root, const char *file, const struct object_kind *kind, struct object *o)
{
	int r = kind->bare ? read_meta(root, file, kind, o) : fipc__object_read(o, kind), anybody;
	if (r == 0) {
		anybody = fipc__file_anybody(o->fd);
		r = anybody == 0 ? take_away_if_left(root, file, o) : anybody < 0 ? anybody : 0;
	}
	return r < 0 ? give_up(o, r) : 0;
}

int fipc__object_join(int root, const char *file, const struct object_kind *kind, struct object *o)
{
	int r = fipc__object_probe(root, file, kind, o);
	if (r < 0)
		return r;
	r = fipc__file_attach(o->fd);
	return r < 0 ? give_up(o, r) : 0;
}

int fipc__object_map(const struct object *o, size_t size, bool readonly, char **ret)
{
	void *p;
	if (!readonly && o->refused)
		return o->refused;
	p = mmap(NULL, size, readonly ? PROT_READ : PROT_READ | PROT_WRITE, MAP_SHARED, o->fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	*ret = p;
	return 0;
}

int fipc__object_keep(const struct object *o, bool readonly)
{
	int fd;
	if (!readonly && o->refused)
		return o->refused;
	fd = fcntl(o->fd, F_DUPFD_CLOEXEC, 0);
	return fd < 0 ? -errno : fd;
}

/* Of the type whose name this is. */
static bool bare(const char *file)
{
	const char *dot = strrchr(file, '.');
	int type = dot ? fipc_type_from_name(dot + 1) : -EINVAL;
	const struct object_kind *kind = type < 0 ? NULL : fipc__object_kind((enum fipc_type)type);
	return kind && kind->bare;
}

/* The name is gone. What is left of the dead, and a header, goes; what cannot now is for the next collection. */
static int remove_remains(int root, const char *file, uint64_t object)
{
	struct survey s;
	if (bare(file))
		fipc__meta_remove(root, file, object);
	return fipc__entries_survey(root, file, object, true, NULL, NULL, NULL, &s);
}

int fipc__object_replace(int root, const char *file, struct object *o)
{
	int r = lock_named(root, file, o);
	if (r < 0)
		return give_up(o, r);
	r = unlink_file(root, file);
	if (r < 0)
		return give_up(o, r);
	remove_remains(root, file, o->st.st_ino);
	return give_up(o, 0);
}

/* ---- a new one ---- */

static int make_unnamed(int root, const char *file, struct unfinished *ret)
{
	char directory[PATH_SIZE_MAX];
	fipc__name_directory(directory, file);
	ret->name[0] = '\0';
	ret->fd = openat(root, directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	return ret->fd < 0 ? -errno : 0;
}

/* A collector may take it between its making and its opening; once it is open, it stays. */
static int make_named(int root, const char *file, struct unfinished *ret)
{
	struct stat st;
	for (;;) {
		fipc__name_unfinished(ret->name, file);
		ret->fd = openat(root, ret->name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (ret->fd < 0)
			return -errno;
		if (fstat(ret->fd, &st) < 0 || st.st_nlink > 0)
			return 0;
		close(ret->fd);
	}
}

#define FD_PATH_SIZE 48
static void fd_path(char ret[FD_PATH_SIZE], int fd)
{
	snprintf(ret, FD_PATH_SIZE, "/proc/thread-self/fd/%d", fd);
}

/* Not by a second link, if it can be helped: who finds no link left knows that its name was taken away. */
static int move(int root, const char *from, const char *to)
{
	long r = syscall(SYS_renameat2, root, from, root, to, RENAME_NOREPLACE);
	return r < 0 && (errno == EINVAL || errno == ENOSYS) ? linkat(root, from, root, to, 0) : (int)r;
}

/* Give it its name, which nobody else may have. -ENOENT: an unnamed file cannot be had a name here. */
static int finish(int root, const struct unfinished *u, const char *file)
{
	char path[FD_PATH_SIZE];
	if (u->name[0]) /* -ENOENT: somebody took it away; the caller makes another */
		return move(root, u->name, file) == 0 ? 0 : errno == ENOENT ? -EAGAIN : -errno;
	fd_path(path, u->fd);
	if (linkat(AT_FDCWD, path, root, file, AT_SYMLINK_FOLLOW) == 0)
		return 0;
	if (errno != ENOENT && errno != ENOTDIR && errno != EACCES)
		return -errno;
	return linkat(u->fd, "", root, file, AT_EMPTY_PATH) < 0 ? -errno : 0; /* without /proc: Linux 6.10, or root */
}

static struct object_header new_header(const struct making *m)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (struct object_header){
		.magic = HEADER_MAGIC,
		.abi = FIPC__ABI,
		.type = m->kind->type,
		.flags = m->flags & ~(unsigned)(FIPC_CREATE | FIPC_EXCL | FIPC_REPLACE | FIPC_TRUNC | FIPC_ANY_OWNER),
		.creator = getpid(),
		.pidns = fipc__process_pidns(),
		.created_ns = now.tv_sec * INT64_C(1000000000) + now.tv_nsec,
	};
}

static int write_whole(int fd, const void *image, size_t written, size_t size)
{
	int r = fipc__make_room(fd, 0, (off_t)size);
	ssize_t n;
	if (r < 0)
		return r;
	n = pwrite(fd, image, written, 0);
	return n < 0 ? -errno : (size_t)n == written ? 0 : -EIO;
}

static int fill(struct object *o, const struct making *m)
{
	unsigned char image[OBJECT_OFFSET + OBJECT_IMAGE_MAX] __attribute__((aligned(8))) = {0};
	int r = m->kind->size(m->params, &o->size);
	if (r < 0)
		return r;
	memcpy(image, &o->header, sizeof(o->header));
	m->kind->image((char *)image + OBJECT_OFFSET, m->params, m->flags);
	return write_whole(o->fd, image, o->size < OBJECT_IMAGE_MAX ? OBJECT_OFFSET + o->size : sizeof(image),
			   OBJECT_OFFSET + o->size);
}

static int fill_bare(struct object *o, const struct bare *b)
{
	o->size = b->size;
	return b->made || b->size == 0 ? 0 : fipc__make_room(o->fd, 0, (off_t)b->size);
}

static int complete(struct object *o, const struct making *m)
{
	int r = fipc__file_attach(o->fd); /* before it has its name: no collector can meet it unattached */
	if (r < 0)
		return r;
	o->header = new_header(m);
	r = m->kind->bare ? fill_bare(o, m->params) : fill(o, m);
	if (r == 0 && fchmod(o->fd, m->mode) < 0)
		r = -errno;
	if (r == 0 && fstat(o->fd, &o->st) < 0)
		r = -errno;
	return r;
}

/* First the header beside the entries. It is open until the name is there, so no collector takes it. */
static int finish_bare(int root, const struct unfinished *u, const char *file, struct object *o)
{
	int r, meta;
	o->header.inode = o->st.st_ino;
	meta = fipc__meta_make(root, file, &o->st, &o->header);
	r = meta < 0 ? meta : finish(root, u, file);
	if (r < 0)
		fipc__pids_remove(root, file, o->st.st_ino);
	if (meta >= 0)
		close(meta);
	return r;
}

static int create(int root, const char *file, const struct unfinished *u, const struct making *m, struct tracker *t,
		  struct object *ret)
{
	struct object o = {.fd = u->fd, .made = true};
	int r = complete(&o, m);
	if (r == 0) {
		fipc__tracker_hint(t, o.st.st_ino, file); /* before the name: a maker killed before its entry is found by it */
		r = m->kind->bare ? finish_bare(root, u, file, &o) : finish(root, u, file);
		if (r < 0)
			fipc__tracker_unhint(t, o.st.st_ino);
	}
	if (r < 0)
		return give_up(&o, r);
	*ret = o;
	return 0;
}

int fipc__object_prepare(int root, const char *file, struct unfinished *ret)
{
	char path[FD_PATH_SIZE];
	int r = make_unnamed(root, file, ret);
	if (r == 0) {
		fd_path(path, ret->fd);
		if (faccessat(AT_FDCWD, path, F_OK, 0) == 0)
			return 0;
		close(ret->fd); /* it could not be had a name later */
	} else if (r != -EOPNOTSUPP && r != -EISDIR) {
		return r;
	}
	return make_named(root, file, ret);
}

void fipc__object_discard(int root, struct unfinished *u)
{
	close(u->fd);
	if (u->name[0])
		unlinkat(root, u->name, 0);
}

/* Once, with a descriptor of its own; the caller may come again. */
static int create_prepared(int root, const char *file, const struct unfinished *made, const struct making *m,
			   struct tracker *t, struct object *ret)
{
	struct unfinished u = *made;
	int r;
	u.fd = fcntl(made->fd, F_DUPFD_CLOEXEC, 0);
	if (u.fd < 0)
		return -errno;
	r = create(root, file, &u, m, t, ret);
	return r == -EAGAIN ? -ENOENT : r; /* somebody removed the temporary file: it does not come back */
}

int fipc__object_create(int root, const char *file, const struct making *m, struct tracker *t, struct object *ret)
{
	const struct unfinished *made = m->kind->bare ? ((const struct bare *)m->params)->made : NULL;
	struct unfinished u;
	int r;
	if (made)
		return create_prepared(root, file, made, m, t, ret);
	r = make_unnamed(root, file, &u);
	if (r == 0)
		r = create(root, file, &u, m, t, ret);
	/* No unnamed files on this file system (open(2)), or no way to name one. */
	if (r != -EOPNOTSUPP && r != -EISDIR && r != -ENOENT)
		return r;
	r = make_named(root, file, &u);
	if (r < 0)
		return r;
	r = create(root, file, &u, m, t, ret);
	unlinkat(root, u.name, 0);
	return r;
}

void fipc__object_unmake(int root, const char *file, struct object *o)
{
	if (lock_named(root, file, o) == 0 && fipc__file_lease(o->fd) == 0)
		fipc__object_drop(root, file, o->st.st_ino);
	give_up(o, 0);
}

/* ---- going ---- */

/* The last one out takes it away; who may not unlink leaves that to its owner, or to fipcd. */
static int take_away_if_last(int root, const char *file, struct object *o)
{
	int r = lock_named(root, file, o);
	if (r < 0)
		return r == -EAGAIN ? 0 : r; /* it has been taken away meanwhile */
	if (who_is_left(root, file, o) != NOBODY)
		return LEFT_BEHIND;
	return fipc__object_drop(root, file, o->st.st_ino) < 0 ? LEFT_BEHIND : 0;
}

int fipc__object_open_to_leave(int root, const char *file)
{
	return open_file(root, file, O_RDONLY);
}

int fipc__object_leave(int root, const char *file, int fd, const struct stat *st, bool persistent)
{
	struct object o = {.fd = fd};
	int r;
	if (o.fd == -EBUSY)
		return -EBUSY;
	if (o.fd < 0 && o.fd != -ENOENT)
		return LEFT_BEHIND;
	if (o.fd >= 0 && !persistent && fipc__file_anybody(o.fd) != 0) {
		fipc__object_settle(&o);
		return LEFT_BEHIND;
	}
	if (o.fd < 0) {
		fipc__pids_remove(root, file, st->st_ino); /* the name is gone: the last of this object takes the directory */
		return 0;
	}
	/* If the name leads elsewhere, the directory is that other object's now. */
	if (persistent || fstat(o.fd, &o.st) < 0 || o.st.st_ino != st->st_ino)
		return give_up(&o, 0);
	r = take_away_if_last(root, file, &o);
	return give_up(&o, r);
}

/* Under the lock, if it can be had: what cannot be opened, and may be unlinked, is nothing of ours. */
int fipc__object_unlink(int root, const char *file, uint64_t inode)
{
	struct object o = {.fd = open_file(root, file, O_RDONLY)};
	int r;
	if (!inode && (o.fd == -EACCES || o.fd == -EINVAL))
		return unlink_file(root, file);
	if (o.fd < 0)
		return o.fd;
	r = fstat(o.fd, &o.st) < 0 ? -errno : 0;
	if (r == 0)
		r = inode && inode != o.st.st_ino ? -ENOENT : lock_named(root, file, &o);
	if (r == 0)
		r = unlink_file(root, file);
	if (r == 0 && remove_remains(root, file, o.st.st_ino) == 0)
		fipc__pids_remove(root, file, o.st.st_ino);
	return give_up(&o, r);
}
