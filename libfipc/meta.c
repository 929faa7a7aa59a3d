/* SPDX-License-Identifier: Apache-2.0 */
#include "meta.h"

#include "attach.h"
#include "name.h"
#include "object.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define MAKE_TRIES 100 /* a collector may remove an empty .pids, or take what was not open yet, again and again */
#define META_MODE 0444 /* who may come into .pids may read it, and not link it elsewhere (fs.protected_hardlinks) */

/* Without following a symbolic link, which anybody could have put there. */
static int open_pids(int root, const char *file)
{
	char pids[PIDS_SIZE_MAX];
	int fd;
	fipc__name_pids(pids, file);
	fd = openat(root, pids, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int open_to_read(int pids, const char *name)
{
	int fd = openat(pids, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* ---- make ---- */

/* An inode is used again, and its last header was left. While we have it open, no collector unlinks it, or the new. */
static int remove_old(int pids, const char *name)
{
	int r, fd = open_to_read(pids, name);
	if (fd == -EAGAIN)
		return -EBUSY; /* a collector has the lease */
	r = unlinkat(pids, name, 0) == 0 || errno == ENOENT ? -EAGAIN : -errno;
	if (fd >= 0)
		close(fd);
	return r;
}

static int fill(int fd, const struct object_header *header)
{
	struct stat st;
	ssize_t n = pwrite(fd, header, sizeof(*header), 0);
	if (n < 0 || fchmod(fd, META_MODE) < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (n != (ssize_t)sizeof(*header))
		return -EIO;
	return st.st_nlink > 0 ? 0 : -EAGAIN; /* a collector took it between its making and its opening */
}

static int make(int pids, const char *name, const struct object_header *header)
{
	int r, fd = openat(pids, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return errno == EEXIST ? remove_old(pids, name) : errno == ENOENT ? -EAGAIN : -errno;
	r = fill(fd, header);
	if (r == 0)
		return fd;
	if (r != -EAGAIN)
		unlinkat(pids, name, 0);
	close(fd);
	return r;
}

static int make_in(int root, const char *file, const char *name, const struct object_header *header)
{
	int r, pids = open_pids(root, file);
	if (pids < 0)
		return pids == -ENOENT ? -EAGAIN : pids == -ENOTDIR || pids == -ELOOP ? -EINVAL : pids;
	r = make(pids, name, header);
	close(pids);
	return r;
}

int fipc__meta_make(int root, const char *file, const struct stat *object, const struct object_header *header)
{
	char name[META_SIZE_MAX];
	fipc__name_meta(name, object->st_ino);
	for (int i = 0; i < MAKE_TRIES; i++) {
		int r = fipc__pids_check(root, file, object);
		if (r == 0)
			r = make_in(root, file, name, header);
		if (r != -EAGAIN)
			return r;
	}
	return -EBUSY;
}

/* ---- read ---- */

static int read_header(int fd, const struct stat *object, struct object_header *ret)
{
	struct object_header header;
	struct stat st;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || (st.st_uid != object->st_uid && st.st_uid != 0))
		return -ENODATA;
	if (pread(fd, &header, sizeof(header), 0) != (ssize_t)sizeof(header) || header.inode != object->st_ino)
		return -ENODATA;
	*ret = header;
	return fipc__header_check(&header, FIPC_TYPE_SHM);
}

/* What cannot be opened is as good as not there, unless it may be another time. */
static int not_opened(int error)
{
	switch (error) {
	case -EMFILE:
	case -ENFILE:
	case -ENOMEM:
		return error;
	case -EAGAIN:
		return -EBUSY;
	default:
		return -ENODATA;
	}
}

int fipc__meta_read(int root, const char *file, const struct stat *object, struct object_header *ret)
{
	char name[META_SIZE_MAX];
	int fd, r, pids = open_pids(root, file);
	if (pids < 0)
		return not_opened(pids);
	fipc__name_meta(name, object->st_ino);
	fd = open_to_read(pids, name);
	close(pids);
	if (fd < 0)
		return not_opened(fd);
	r = read_header(fd, object, ret);
	close(fd);
	return r;
}

/* ---- remove ---- */

bool fipc__meta_remove(int root, const char *file, uint64_t object)
{
	char name[META_SIZE_MAX];
	bool removed;
	int pids = open_pids(root, file);
	if (pids < 0)
		return false;
	fipc__name_meta(name, object);
	removed = unlinkat(pids, name, 0) == 0;
	close(pids);
	return removed;
}

static bool has_its_name(int root, const char *file, uint64_t object)
{
	struct stat st;
	return fstatat(root, file, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_ino == object;
}

bool fipc__meta_left_over(int root, const char *file, int pids, uint64_t object, bool remove)
{
	char name[META_SIZE_MAX];
	bool left_over;
	int fd;
	fipc__name_meta(name, object);
	fd = open_to_read(pids, name);
	if (fd < 0)
		return fd == -ENOENT;
	/* in this order: a maker has it open until the name is there */
	left_over = fipc__file_lease(fd) == 0 && !has_its_name(root, file, object);
	if (left_over && remove)
		left_over = unlinkat(pids, name, 0) == 0;
	close(fd);
	return left_over;
}
