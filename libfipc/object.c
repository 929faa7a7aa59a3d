/* SPDX-License-Identifier: Apache-2.0 */
#include "object.h"

#include "fork.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

void fipc__object_settle(struct object *o)
{
	flock(o->fd, LOCK_UN); /* said aloud: a child of _Fork may have a copy of the descriptor */
	close(o->fd);
	o->fd = -1;
}

static int give_up(struct object *o, int r)
{
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

int fipc__object_find(int root, const char *file, unsigned flags, struct object *ret)
{
	struct object o = {.fd = open_file(root, file, O_RDONLY)};
	if (o.fd < 0)
		return o.fd;
	if (fstat(o.fd, &o.st) < 0)
		return give_up(&o, -errno);
	if (!S_ISREG(o.st.st_mode))
		return give_up(&o, -EINVAL);
	if (o.st.st_uid != 0 && o.st.st_uid != geteuid() && !(flags & FIPC_ANY_OWNER))
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

static int read_and_check(struct object *o, const struct object_kind *kind)
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
	return r < 0 ? r : kind->check(image + OBJECT_OFFSET, o->size);
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
	int r = fipc__entries_survey(root, file, o->st.st_ino, true, NULL, NULL, &s);
	if (r == 0 && s.alive == 0 && s.unknown == 0)
		return NOBODY;
	fipc__file_end_lease(o->fd);
	return r == 0 && s.alive > 0 ? SOMEBODY : CANNOT_TELL;
}

/*
 * Is nobody else there? Asked under the object's lock, through a descriptor that only reads. Whoever uses the object has it
 * mapped for writing, and the kernel says so at once. Whoever has it open for reading has a live entry; or only looks, or
 * leaves too and looks, or has just looked (the kernel drops a closed file's lock before it forgets that the file was
 * open), and so is gone in a moment; or has no entry.
 * NOBODY: dead entries are removed, and the lease is held.
 */
static enum left who_is_left(int root, const char *file, const struct object *o)
{
	struct patience patience = {.until = FIPC_FOREVER};
	int r = fipc__file_lease_from_writers(o->fd);
	if (r == -EAGAIN)
		return SOMEBODY;
	for (int looks = 0; looks < LOOKS; looks++) {
		if (looks < LOOKS_QUICK)
			patience.sleep_ns = LOOK_AGAIN_NS;
		if (r == 0)
			r = fipc__file_lease(o->fd);
		if (r == 0)
			return ask_entries(root, file, o);
		fipc__file_end_lease(o->fd);
		if (fipc__entries_any(root, file, o->st.st_ino))
			return SOMEBODY;
		if (r != -EAGAIN)
			return CANNOT_TELL;
		fipc__be_patient(&patience);
		r = 0;
	}
	return CANNOT_TELL;
}

/* Left by the dead: nobody is there. Then it is taken away. */
static bool taken_away(int root, const char *file, struct object *o)
{
	if (o->header.flags & FIPC_PERSIST || who_is_left(root, file, o) != NOBODY)
		return false;
	if (fipc__object_drop(root, file) == 0)
		return true;
	fipc__file_end_lease(o->fd);
	return false;
}

/* Lock what was found, and see that the name still leads to it. */
static int lock_named(int root, const char *file, struct object *o)
{
	int r = fipc__file_lock(o->fd);
	return r < 0 ? r : fipc__file_is_named(root, file, &o->st) ? 0 : -EAGAIN;
}

int fipc__object_join(int root, const char *file, const struct object_kind *kind, struct object *o)
{
	int r = lock_named(root, file, o);
	if (r == 0)
		r = read_and_check(o, kind);
	if (r == 0 && taken_away(root, file, o))
		r = -EAGAIN;
	return r < 0 ? give_up(o, r) : 0;
}

/* Looking takes a descriptor that only reads, mapping for writing one that writes. It is locked, so the name is its own. */
static int open_for_writing(int root, const char *file, const struct object *o)
{
	struct stat st;
	int fd = open_file(root, file, O_RDWR);
	if (fd >= 0 && (fstat(fd, &st) < 0 || st.st_ino != o->st.st_ino)) {
		close(fd);
		return -EINVAL; /* somebody meddles who does not lock */
	}
	return fd;
}

int fipc__object_map(int root, const char *file, const struct object *o, size_t size, bool readonly, char **ret)
{
	int fd = readonly ? o->fd : o->writable ? o->fd : open_for_writing(root, file, o), r = 0;
	void *p;
	if (fd < 0)
		return fd;
	p = mmap(NULL, size, readonly ? PROT_READ : PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		r = -errno;
	else
		*ret = p;
	if (fd != o->fd)
		close(fd);
	return r;
}

int fipc__object_replace(int root, const char *file, struct object *o)
{
	struct survey s;
	int r = lock_named(root, file, o);
	if (r < 0)
		return give_up(o, r);
	r = unlink_file(root, file);
	if (r < 0)
		return give_up(o, r);
	r = fipc__entries_survey(root, file, o->st.st_ino, true, NULL, NULL, &s);
	(void)r; /* what cannot be looked at now is for the next collection */
	return give_up(o, 0);
}

/* ---- a new one ---- */

struct unfinished {
	int fd;
	char name[64]; /* empty: it has none */
};

static int make_unnamed(int root, struct unfinished *ret)
{
	ret->name[0] = '\0';
	ret->fd = openat(root, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	return ret->fd < 0 ? -errno : 0;
}

static int make_named(int root, struct unfinished *ret)
{
	fipc__name_unfinished(ret->name);
	ret->fd = openat(root, ret->name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	return ret->fd < 0 ? -errno : 0;
}

/* Give it its name, which nobody else may have. -ENOENT: an unnamed file cannot be had a name here. */
static int finish(int root, const struct unfinished *u, const char *file)
{
	char path[48];
	if (u->name[0]) /* -ENOENT: a collector took it between its making and its opening; the caller looks again */
		return linkat(root, u->name, root, file, 0) == 0 ? 0 : errno == ENOENT ? -EAGAIN : -errno;
	snprintf(path, sizeof(path), "/proc/thread-self/fd/%d", u->fd);
	if (linkat(AT_FDCWD, path, root, file, AT_SYMLINK_FOLLOW) == 0)
		return 0;
	if (errno != ENOENT && errno != ENOTDIR && errno != EACCES)
		return -errno;
	return linkat(u->fd, "", root, file, AT_EMPTY_PATH) < 0 ? -errno : 0; /* without /proc: Linux 6.10, or root */
}

static void fill(void *image, const struct making *m, struct object_header *h)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	*h = (struct object_header){
		.magic = HEADER_MAGIC,
		.abi = FIPC__ABI,
		.type = m->kind->type,
		.flags = m->flags & ~(unsigned)(FIPC_CREATE | FIPC_EXCL | FIPC_REPLACE | FIPC_ANY_OWNER),
		.creator = getpid(),
		.pidns = fipc__process_pidns(),
		.created_ns = now.tv_sec * INT64_C(1000000000) + now.tv_nsec,
	};
	memcpy(image, h, sizeof(*h));
	m->kind->image((char *)image + OBJECT_OFFSET, m->params, m->flags);
}

static int write_whole(int fd, const void *image, size_t written, size_t size)
{
	int r = posix_fallocate(fd, 0, (off_t)size); /* the memory is had now, or -ENOSPC: never a SIGBUS later */
	ssize_t n;
	if (r != 0)
		return -r;
	n = pwrite(fd, image, written, 0);
	return n < 0 ? -errno : (size_t)n == written ? 0 : -EIO;
}

static int complete(struct object *o, const struct making *m)
{
	unsigned char image[OBJECT_OFFSET + OBJECT_IMAGE_MAX] __attribute__((aligned(8))) = {0};
	int r = m->kind->size(m->params, &o->size);
	if (r == 0)
		r = fipc__file_lock(o->fd);
	if (r < 0)
		return r;
	fill(image, m, &o->header);
	r = write_whole(o->fd, image, o->size < OBJECT_IMAGE_MAX ? OBJECT_OFFSET + o->size : sizeof(image),
			OBJECT_OFFSET + o->size);
	if (r == 0 && fchmod(o->fd, m->mode) < 0)
		r = -errno;
	if (r == 0 && fstat(o->fd, &o->st) < 0)
		r = -errno;
	return r;
}

static int create(int root, const char *file, const struct unfinished *u, const struct making *m, struct tracker *t,
		  struct object *ret)
{
	struct object o = {.fd = u->fd, .writable = true};
	int r = complete(&o, m);
	if (r == 0) {
		fipc__tracker_hint(t, o.st.st_ino); /* before the name: a maker killed before its entry is found by it */
		r = finish(root, u, file);
		if (r < 0)
			fipc__tracker_unhint(t, o.st.st_ino);
	}
	if (u->name[0])
		unlinkat(root, u->name, 0);
	if (r < 0)
		return give_up(&o, r);
	*ret = o;
	return 0;
}

int fipc__object_create(int root, const char *file, const struct making *m, struct tracker *t, struct object *ret)
{
	struct unfinished u;
	int r = make_unnamed(root, &u);
	if (r == 0)
		r = create(root, file, &u, m, t, ret);
	/* No unnamed files on this file system (open(2)), or no way to name one. */
	if (r != -EOPNOTSUPP && r != -EISDIR && r != -ENOENT)
		return r;
	r = make_named(root, &u);
	return r < 0 ? r : create(root, file, &u, m, t, ret);
}

/* ---- going ---- */

/* The directory of the entries goes if it is empty. False: there are some. */
static bool remove_pids(int root, const char *file)
{
	char pids[PIDS_SIZE_MAX];
	fipc__name_pids(pids, file);
	return unlinkat(root, pids, AT_REMOVEDIR) == 0 || errno == ENOENT;
}

/* The last one out takes it away; who may not unlink leaves that to its owner, or to fipcd. */
static int take_away_if_last(int root, const char *file, const struct object *o)
{
	switch (who_is_left(root, file, o)) {
	case SOMEBODY: /* without an entry: a forked child that has not called yet */
		return remove_pids(root, file) ? LEFT_BEHIND : 0;
	case NOBODY:
		if (!fipc__file_is_named(root, file, &o->st))
			return 0;
		return fipc__object_drop(root, file) < 0 ? LEFT_BEHIND : 0;
	default:
		return LEFT_BEHIND;
	}
}

int fipc__object_leave(int root, const char *file, const struct stat *st, bool persistent)
{
	struct object o = {.fd = open_file(root, file, O_RDONLY)};
	int r;
	if (o.fd == -EBUSY)
		return -EBUSY;
	if (o.fd < 0 && o.fd != -ENOENT)
		return LEFT_BEHIND;
	if (o.fd < 0 || fstat(o.fd, &o.st) < 0 || o.st.st_ino != st->st_ino) {
		remove_pids(root, file); /* the name leads elsewhere: the last of this object takes the directory */
		r = 0;
	} else if (persistent) {
		r = 0;
	} else {
		r = fipc__file_lock(o.fd);
		if (r == 0)
			r = take_away_if_last(root, file, &o);
	}
	return o.fd < 0 ? r : give_up(&o, r);
}

/* Under the lock, if it can be had: what cannot be opened, and may be unlinked, is nothing of ours. */
int fipc__object_unlink(int root, const char *file)
{
	struct object o = {.fd = open_file(root, file, O_RDONLY)};
	struct survey s;
	int r;
	if (o.fd == -EACCES || o.fd == -EINVAL)
		return unlink_file(root, file);
	if (o.fd < 0)
		return o.fd;
	r = fstat(o.fd, &o.st) < 0 ? -errno : lock_named(root, file, &o);
	if (r == 0)
		r = unlink_file(root, file);
	if (r == 0 && fipc__entries_survey(root, file, o.st.st_ino, true, NULL, NULL, &s) == 0)
		remove_pids(root, file);
	return give_up(&o, r);
}
