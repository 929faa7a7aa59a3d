/* SPDX-License-Identifier: Apache-2.0 */
#include "root.h"

#include "name.h"

#include <fipc/registry.h>

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROOT_DEFAULT "/dev/shm/fastipc"
#define SHARED_MODE 01777
#define OVERFLOW_UID 65534 /* whom the kernel names for every user that has no number in this user namespace */

int fipc__root_check_path(const char *path)
{
	if (*path != '/')
		return -EINVAL;
	return strlen(path) > ROOT_LONGEST ? -ENAMETOOLONG : 0;
}

int fipc__root_choose(struct root_choice *ret)
{
	static const char *const variables[] = {"FIPC_DIR", "FASTIPC_PID_DIR"};
	for (size_t i = 0; i < sizeof(variables) / sizeof(*variables); i++) {
		const char *path = secure_getenv(variables[i]);
		if (path && *path) {
			*ret = (struct root_choice){path, true};
			return fipc__root_check_path(path);
		}
	}
	*ret = (struct root_choice){ROOT_DEFAULT, false};
	return 0;
}

static int open_directory(int at, const char *name, int flags)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | flags);
	return fd < 0 ? -errno : fd;
}

/* So it is outside of any user namespace, and there 65534 is one user, as good as any. */
static bool everybody_has_a_number(void)
{
	unsigned long from = 1, to = 1, count = 0;
	FILE *f = fopen("/proc/self/uid_map", "re");
	if (!f)
		return false;
	if (fscanf(f, "%lu %lu %lu", &from, &to, &count) != 3)
		count = 0;
	fclose(f);
	return from == 0 && to == 0 && count == UINT32_MAX;
}

bool fipc__uid_trusted(uid_t uid)
{
	return uid == 0 || (uid == geteuid() && (uid != OVERFLOW_UID || everybody_has_a_number()));
}

/* The owner of a shared directory can take away what others put there, sticky or not. */
static int trusted(int fd, bool explicitly)
{
	struct stat st;
	if (explicitly)
		return 0;
	if (fstat(fd, &st) < 0)
		return -errno;
	return fipc__uid_trusted(st.st_uid) ? 0 : -EPERM;
}

int fipc__root_trust(const struct root_choice *choice)
{
	struct stat st;
	if (choice->explicitly)
		return 0;
	if (lstat(choice->path, &st) < 0)
		return -errno;
	if (!S_ISDIR(st.st_mode)) /* anybody can put a symbolic link into /dev/shm */
		return -ENOTDIR;
	return fipc__uid_trusted(st.st_uid) ? 0 : -EPERM;
}

static int mend_mode(int fd, mode_t mode)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_uid != geteuid() || (st.st_mode & 07777) == mode)
		return 0;
	return fchmod(fd, mode) < 0 ? -errno : 0;
}

int fipc__make_directory(int at, const char *name, mode_t mode)
{
	int fd, r;
	if (mkdirat(at, name, mode) < 0 && errno != EEXIST)
		return -errno;
	fd = open_directory(at, name, O_NOFOLLOW);
	if (fd < 0)
		return fd;
	r = mend_mode(fd, mode); /* the umask */
	if (r < 0) {
		close(fd);
		return r;
	}
	return fd;
}

static int checked(int fd, bool explicitly)
{
	int r = fd < 0 ? fd : trusted(fd, explicitly);
	if (r < 0 && fd >= 0)
		close(fd);
	return r < 0 ? r : fd;
}

int fipc__root_open(const struct root_choice *choice, bool create)
{
	/* Anybody can put a symbolic link into /dev/shm; one that somebody named is meant. */
	int fd = open_directory(AT_FDCWD, choice->path, O_PATH | (choice->explicitly ? 0 : O_NOFOLLOW));
	if (fd == -ENOENT && create)
		fd = fipc__make_directory(AT_FDCWD, choice->path, SHARED_MODE);
	return checked(fd, choice->explicitly);
}

int fipc__root_open_trackers(int root, bool explicitly, bool create)
{
	int fd = create ? fipc__make_directory(root, FIPC_TRACKERS, SHARED_MODE)
			: open_directory(root, FIPC_TRACKERS, O_NOFOLLOW);
	return checked(fd, explicitly);
}
