/* SPDX-License-Identifier: Apache-2.0 */
/* Does the kernel, and the file system, what fipc rests on? Each is tried, for a version tells little. */
#include <errno.h>
#include <fcntl.h>
#include <fipc/mutex.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "doctor.h"

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449 /* of every architecture */
#endif
#define OTHER_FILE_SYSTEM "keep the directory on a tmpfs of Linux 5.16 or later: FIPC_DIR, or --dir"

/* ---- the kernel itself ---- */

static void try_robust_list(struct patient *p)
{
	fipc_mutex m;
	int r = fipc_mutex_init(&m, FIPC_PRIVATE);

	if (r == 0)
		r = fipc_mutex_lock(&m);
	if (r == 0)
		r = fipc_mutex_unlock(&m);
	if (r < 0)
		find_that(p, HEALTH_FAIL,
			  "run it on a Linux kernel: emulators have none, and some sandboxes forbid get_robust_list",
			  "no robust list: the death of a lock's owner would not be seen (%s)", strerror(-r));
	else
		find_that(p, HEALTH_OK, NULL, "robust list: the kernel tells when the owner of a lock dies");
}

static void try_futex_waitv(struct patient *p)
{
	/* Without futexes it is invalid where it is known. */
	if (syscall(SYS_futex_waitv, NULL, 0, 0, NULL, 0) < 0 && errno == ENOSYS)
		find_that(p, HEALTH_FAIL, "Linux 5.16 or later, or let the sandbox's filter pass futex_waitv",
			  "no futex_waitv: nobody can sleep on a rwlock, an owned semaphore or a queue");
	else
		find_that(p, HEALTH_OK, NULL, "futex_waitv: there");
}

static void try_pidfd(struct patient *p)
{
	int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);

	if (fd < 0)
		find_that(p, HEALTH_WARN, "let the sandbox's filter pass pidfd_open",
			  "no pidfd_open (%s): after a chroot without /proc nothing can be opened", strerror(errno));
	else
		find_that(p, HEALTH_OK, NULL, "pidfd_open: there");
	if (fd >= 0)
		close(fd);
}

static void look_at_release(struct patient *p)
{
	struct utsname kernel;
	unsigned major = 0, minor = 0;

	uname(&kernel);
	if (sscanf(kernel.release, "%u.%u", &major, &minor) == 2 && (major < 5 || (major == 5 && minor < 19)))
		find_that(p, HEALTH_WARN, "Linux 5.19 or later, or keep fipcd running: it wakes who was forgotten",
			  "Linux %s: a waiter that is killed just as it is woken can leave another asleep",
			  kernel.release);
	else
		find_that(p, HEALTH_OK, NULL, "Linux %s: passes on the wake-ups of waiters that are killed",
			  kernel.release);
}

/* ---- the directory's file system, on a file without a name ---- */

static int take_lock(int fd)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};

	return fcntl(fd, F_OFD_SETLK, &lock);
}

static int take_lease(int fd)
{
	int r = fcntl(fd, F_SETLEASE, F_WRLCK);

	if (r == 0)
		fcntl(fd, F_SETLEASE, F_UNLCK);
	return r;
}

/* Of what is not there: where it is known, that is all it finds wrong. */
static int rename_nothing(int fd)
{
	(void)fd;
	syscall(SYS_renameat2, AT_FDCWD, "", AT_FDCWD, "", 1 /* RENAME_NOREPLACE */);
	return errno == ENOENT ? 0 : -1;
}

static void try_on_file(struct patient *p, int fd)
{
	static const struct {
		const char *name, *use;
		int (*try_it)(int fd);
	} features[] = {
		{"OFD locks", "by them it is known who lives", take_lock},
		{"leases", "without one nothing is taken away", take_lease},
		{"renameat2", "it makes names where there is no /proc", rename_nothing},
	};

	for (size_t i = 0; i < sizeof(features) / sizeof(*features); i++) {
		if (features[i].try_it(fd) == 0)
			find_that(p, HEALTH_OK, NULL, "%s: work in %s", features[i].name, p->directory);
		else
			find_that(p, HEALTH_FAIL, OTHER_FILE_SYSTEM, "%s do not work in %s (%s): %s", features[i].name,
				  p->directory, strerror(errno), features[i].use);
	}
}

static void try_file_system(struct patient *p)
{
	int fd = open(p->directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd >= 0)
		try_on_file(p, fd);
	else if (errno == EOPNOTSUPP || errno == EISDIR)
		find_that(p, HEALTH_FAIL, OTHER_FILE_SYSTEM, "the file system of %s has no unnamed files (O_TMPFILE)",
			  p->directory);
	else
		find_that(p, HEALTH_WARN, "run doctor as a user who may make objects there",
			  "locks and leases in %s were not tried: %s", p->directory, strerror(errno));
	if (fd >= 0)
		close(fd);
}

void examine_kernel(struct patient *p)
{
	try_robust_list(p);
	try_futex_waitv(p);
	try_pidfd(p);
	look_at_release(p);
	if (!p->absent)
		try_file_system(p);
}
