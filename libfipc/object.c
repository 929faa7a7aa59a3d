/* SPDX-License-Identifier: Apache-2.0 */
#include "object.h"

#include "fork.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#define IMAGE_MAX 4096

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

static int open_patiently(int root, const char *file, int flags)
{
	struct patience patience = {0};
	int fd;
	/* O_NONBLOCK: a FIFO does not block, and a file that a collector has a lease on is refused for the moment */
	while ((fd = openat(root, file, flags | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)) < 0) {
		if (errno == EWOULDBLOCK) {
			if (!fipc__be_patient(&patience))
				return -EBUSY;
		} else if (errno == ELOOP || errno == EISDIR || errno == ENXIO || errno == ENODEV) {
			return -EINVAL; /* a symbolic link, a directory, a socket: nothing of ours */
		} else if (errno != EINTR) {
			return -errno;
		}
	}
	return fd;
}

int fipc__object_find(int root, const char *file, unsigned flags, struct object *ret)
{
	struct object o = {.fd = open_patiently(root, file, flags & FIPC_READONLY ? O_RDONLY : O_RDWR)};
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
	unsigned char image[IMAGE_MAX] __attribute__((aligned(8)));
	ssize_t n = pread(o->fd, image, OBJECT_OFFSET + kind->size, 0);
	int r;
	if (n < 0)
		return -errno;
	if ((size_t)n < OBJECT_OFFSET + kind->size)
		return -EINVAL;
	memcpy(&o->header, image, sizeof(o->header));
	r = fipc__header_check(&o->header, kind->type);
	return r < 0 ? r : kind->check(image + OBJECT_OFFSET);
}

/* Left by the dead: nobody has it open or mapped, and no entry says otherwise. Then it is taken away. */
static bool taken_away(int root, const char *file, struct object *o)
{
	struct survey s;
	if (o->header.flags & FIPC_PERSIST || fipc__file_lease(o->fd) < 0)
		return false;
	if (fipc__entries_survey(root, file, o->st.st_ino, true, NULL, NULL, &s) == 0 && s.alive == 0 &&
	    s.unknown == 0 && fipc__object_drop(root, file) == 0)
		return true;
	fipc__file_end_lease(o->fd);
	return false;
}

/* Lock what was found, and see that the name still leads to it. */
static int lock_named(int root, const char *file, struct object *o)
{
	int r = fipc__file_lock(o->fd, true);
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

static int make_unfinished(int root, struct unfinished *ret)
{
	ret->name[0] = '\0';
	ret->fd = openat(root, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (ret->fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR)) { /* open(2): a file system without unnamed files */
		fipc__name_unfinished(ret->name);
		ret->fd = openat(root, ret->name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	}
	return ret->fd < 0 ? -errno : 0;
}

/* Give it its name, which nobody else may have. Three ways, each for a system that lacks the one before. */
static int finish(int root, const struct unfinished *u, const char *file)
{
	char path[32];
	if (u->name[0])
		return linkat(root, u->name, root, file, 0) < 0 ? -errno : 0;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", u->fd);
	if (linkat(AT_FDCWD, path, root, file, AT_SYMLINK_FOLLOW) == 0)
		return 0;
	if (errno != ENOENT && errno != ENOTDIR && errno != EACCES)
		return -errno;
	return linkat(u->fd, "", root, file, AT_EMPTY_PATH) < 0 ? -errno : 0; /* without /proc: Linux 6.10, or root */
}

static void fill(void *image, const struct object_kind *kind, unsigned flags, struct object_header *h)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	*h = (struct object_header){
		.magic = HEADER_MAGIC,
		.abi = FIPC__ABI,
		.type = kind->type,
		.flags = flags & (FIPC_PERSIST | FIPC_TIMESTAMPS),
		.creator = getpid(),
		.pidns = fipc__process_pidns(),
		.created_ns = now.tv_sec * INT64_C(1000000000) + now.tv_nsec,
	};
	memcpy(image, h, sizeof(*h));
	kind->image((char *)image + OBJECT_OFFSET, flags);
}

static int write_whole(int fd, const void *image, size_t size)
{
	int r = posix_fallocate(fd, 0, (off_t)size); /* the memory is had now, or -ENOSPC: never a SIGBUS later */
	ssize_t n;
	if (r != 0)
		return -r;
	n = pwrite(fd, image, size, 0);
	return n < 0 ? -errno : (size_t)n == size ? 0 : -EIO;
}

static int complete(struct object *o, const struct object_kind *kind, unsigned flags, mode_t mode)
{
	unsigned char image[IMAGE_MAX] __attribute__((aligned(8)));
	int r = fipc__file_lock(o->fd, false);
	fill(image, kind, flags, &o->header);
	if (r == 0)
		r = write_whole(o->fd, image, OBJECT_OFFSET + kind->size);
	if (r == 0 && fchmod(o->fd, mode) < 0)
		r = -errno;
	if (r == 0 && fstat(o->fd, &o->st) < 0)
		r = -errno;
	return r;
}

int fipc__object_create(int root, const char *file, const struct object_kind *kind, unsigned flags, mode_t mode,
			struct tracker *t, struct object *ret)
{
	struct unfinished u;
	struct object o = {0};
	int r = make_unfinished(root, &u);
	if (r < 0)
		return r;
	o.fd = u.fd;
	r = complete(&o, kind, flags, mode);
	if (r == 0) {
		fipc__tracker_hint(t, o.st.st_ino); /* before the name: a maker killed before its entry is found by it */
		r = finish(root, &u, file);
		if (r < 0)
			fipc__tracker_unhint(t, o.st.st_ino);
	}
	if (u.name[0])
		unlinkat(root, u.name, 0);
	if (r < 0)
		return give_up(&o, r);
	*ret = o;
	return 0;
}

/* ---- going ---- */

#define LAST_LOOKS 6 /* 10 us, then twice as long each time: 0.6 ms in all */

static bool no_entries(int root, const char *file)
{
	char pids[PIDS_SIZE_MAX];
	fipc__name_pids(pids, file);
	return unlinkat(root, pids, AT_REMOVEDIR) == 0 || errno == ENOENT;
}

/*
 * Does nobody else have it? Others with entries: there is no more to ask. None with an entry, but somebody has it open:
 * perhaps one who leaves too, and looks, or has just looked (the kernel drops a closed file's lock before it forgets that
 * it was open). The later one of the two must find out.
 */
static bool is_last(int root, const char *file, const struct object *o)
{
	struct patience patience = {.until = FIPC_FOREVER, .sleep_ns = 10000};
	for (int looks = 0; looks < LAST_LOOKS; looks++) {
		int r = fipc__file_lease(o->fd);
		if (r != -EAGAIN)
			return r == 0;
		if (!no_entries(root, file))
			return false;
		fipc__be_patient(&patience);
	}
	return false;
}

/* The last one out takes it away; who may not unlink leaves that to its owner, or to fipcd. */
static void take_away_if_last(int root, const char *file, struct object *o)
{
	struct survey s;
	if (is_last(root, file, o) && fipc__file_is_named(root, file, &o->st) &&
	    fipc__entries_survey(root, file, o->st.st_ino, true, NULL, NULL, &s) == 0 && s.alive == 0 && s.unknown == 0)
		fipc__object_drop(root, file);
}

void fipc__object_leave(int root, const char *file, struct tracker *t, const struct stat *st, bool persistent)
{
	struct object o = {.fd = open_patiently(root, file, O_RDONLY)};
	bool named = o.fd >= 0 && fstat(o.fd, &o.st) == 0 && o.st.st_ino == st->st_ino;
	bool locked = named && fipc__file_lock(o.fd, true) == 0;
	if (t->page)
		fipc__entry_remove(root, file, t, st->st_ino);
	if (locked && !persistent)
		take_away_if_last(root, file, &o);
	if (!named)
		no_entries(root, file); /* of an object that the name no longer leads to: the last takes the directory */
	if (o.fd >= 0)
		fipc__object_settle(&o);
}

int fipc__object_unlink(int root, const char *file)
{
	struct object o = {.fd = open_patiently(root, file, O_RDONLY)};
	struct survey s;
	char pids[PIDS_SIZE_MAX];
	int r;
	if (o.fd == -EACCES || o.fd == -EINVAL) /* it cannot be locked; if it may be unlinked, it is nothing of ours */
		return unlink_file(root, file);
	if (o.fd < 0)
		return o.fd;
	do {
		if (fstat(o.fd, &o.st) < 0)
			return give_up(&o, -errno);
		r = lock_named(root, file, &o);
		if (r == -EAGAIN) {
			fipc__object_settle(&o);
			o.fd = open_patiently(root, file, O_RDONLY);
			if (o.fd < 0)
				return o.fd;
		}
	} while (r == -EAGAIN);
	if (r == 0)
		r = unlink_file(root, file);
	if (r == 0 && fipc__entries_survey(root, file, o.st.st_ino, true, NULL, NULL, &s) == 0) {
		fipc__name_pids(pids, file);
		unlinkat(root, pids, AT_REMOVEDIR);
	}
	return give_up(&o, r);
}
