/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names where something is out of the ordinary: an object replaced or a tebibyte long, one of another version, trackers
 * that are none, a directory nobody may write, a system without /proc or with fs.protected_regular.
 */
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { ALICE = 1001, BOB = 1002 };

static char object[PATH_MAX];

static const char *new_place(void)
{
	const char *dir = fresh_dir();

	snprintf(object, sizeof(object), "%s/a.mutex", dir);
	return dir;
}

static int try_open(unsigned flags, mode_t mode)
{
	fipc_mutex *m;
	int r = fipc_mutex_open(&m, "a", flags, mode);

	if (r >= 0)
		must_be(fipc_mutex_close(m), 0);
	return r;
}

static void lock_once(fipc_mutex *m)
{
	must_be(fipc_mutex_lock(m), 0);
	must_be(fipc_mutex_unlock(m), 0);
}

static void write_file(const char *path, const void *bytes, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	must(fd >= 0);
	must_be(write(fd, bytes, size), (long)size);
	close(fd);
}

static size_t read_file(const char *path, void *ret, size_t room)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, ret, room);

	must(n >= 0);
	close(fd);
	return (size_t)n;
}

static int64_t blocks_of(const char *path)
{
	struct stat st;

	must_be(stat(path, &st), 0);
	return st.st_blocks;
}

static int walk(const char *dir)
{
	fipc_registry *r;
	int error;

	must_be(fipc_registry_open(&r, dir, 0), 0);
	error = fipc_registry_walk(r, 0, NULL, NULL, NULL);
	if (error == 0)
		error = fipc_registry_processes(r, 0, NULL, NULL);
	fipc_registry_close(r);
	return error;
}

/* ---- the file ---- */

enum { TEBIBYTE = 40 };

/* No size is believed: neither time nor memory follows it. */
IN_CHILD(test_sparse)
{
	const char *dir = new_place();
	struct peer p = {.name = "a", .flags = FIPC_CREATE, .wanted = FIPC_CREATED};
	int64_t blocks;
	fipc_mutex *m;

	write_file(object, "", 0);
	must_be(truncate(object, INT64_C(1) << TEBIBYTE), 0);
	must_be(try_open(0, 0), -EINVAL);
	must_be(try_open(FIPC_CREATE, 0600), -EINVAL);
	must_be(collect(dir), 0);
	must_be(blocks_of(object), 0);
	must_be(try_open(FIPC_CREATE | FIPC_REPLACE, 0600), FIPC_CREATED);
	peer_begins(&p);
	blocks = blocks_of(object);
	must_be(truncate(object, INT64_C(1) << TEBIBYTE), 0);
	m = must_open("a", 0, 0);
	lock_once(m);
	must_be(collect(dir), 0);
	must_be(fipc_mutex_close(m), 0);
	must_be(blocks_of(object), blocks);
	peer_leaves(&p);
	must_become_clean(dir, 1);
}

/* Somebody exchanges the file under a user: he goes on, and leaves what he does not know alone. */
IN_CHILD(test_exchanged)
{
	const char *dir = new_place();
	struct peer p = {.name = "a", .flags = FIPC_CREATE, .wanted = FIPC_CREATED};
	struct peer other = {.name = "b", .flags = FIPC_CREATE, .wanted = FIPC_CREATED};
	char path[PATH_MAX];
	uint64_t inode;

	peer_begins(&p);
	peer_begins(&other);
	snprintf(path, sizeof(path), "%s/b.mutex", dir);
	must_be(rename(path, object), 0);
	inode = inode_of(dir, "a.mutex");
	collect(dir);
	must(inode_of(dir, "a.mutex") == inode); /* whoever uses it is tracked under another name: the lease tells */
	peer_leaves(&p);
	must(inode_of(dir, "a.mutex") == inode);
	must_be(try_open(0, 0), 0);
	must(inode_of(dir, "a.mutex") == inode);
	peer_leaves(&other);
	must_become_clean(dir, 1);
}

/* By a copy of what it was, in another file: the walk takes it for what it is, unused. */
IN_CHILD(test_exchanged_for_a_copy)
{
	const char *dir = new_place();
	struct peer p = {.name = "a", .flags = FIPC_CREATE, .wanted = FIPC_CREATED, .holds = 1};
	unsigned char bytes[4096];
	size_t n;

	peer_begins(&p);
	n = read_file(object, bytes, sizeof(bytes));
	must_be(unlink(object), 0);
	write_file(object, bytes, n);
	must_be(try_open(0, 0), -ENOENT); /* nobody is attached to it, as the dead might have left it */
	must_be(try_open(FIPC_CREATE, 0600), FIPC_CREATED);
	peer_leaves(&p);
	must_become_clean(dir, 1);
}

/* ---- of another version ---- */

IN_CHILD(test_other_versions)
{
	static const struct {
		size_t at;
		unsigned char byte;
		int wanted;
	} cases[] = {
		{8, 2, -ENOTSUP},       /* the header's ABI */
		{8, 0, -ENOTSUP},
		{11, 1, -ENOTSUP},
		{12, 2, -EINVAL},       /* another type */
		{40, 1, -ENOTSUP},      /* an incompatible feature */
		{43, 0x80, -ENOTSUP},
		{44, 1, 0},             /* a compatible one */
		{64 + 5, 2, -ENOTSUP},  /* the mutex's ABI */
		{64 + 6, 9, -EINVAL},   /* another class */
		{64 + 7, 0x80, -ENOTSUP}, /* a flag that nobody knows yet */
		{64 + 32, 1, 0},        /* a compatible feature */
	};
	const char *dir = new_place();
	unsigned char bytes[4096];
	size_t n;

	must_be(try_open(FIPC_CREATE | FIPC_PERSIST, 0600), FIPC_CREATED);
	n = read_file(object, bytes, sizeof(bytes));
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		unsigned char good = bytes[cases[i].at];
		uint64_t inode;

		bytes[cases[i].at] = cases[i].byte;
		write_file(object, bytes, n);
		bytes[cases[i].at] = good;
		inode = inode_of(dir, "a.mutex");
		must_be(try_open(0, 0), cases[i].wanted);
		must_be(try_open(FIPC_CREATE, 0600), cases[i].wanted);
		must_be(try_open(FIPC_READONLY, 0), cases[i].wanted);
		must_be(collect(dir), 0);
		must(inode_of(dir, "a.mutex") == inode);
	}
	must_be(fipc_mutex_unlink("a"), 0);
}

/* ---- trackers that are none ---- */

static void plant(const char *path, int kind)
{
	if (kind == 0)
		must_be(mkfifo(path, 0666), 0);
	else if (kind == 1)
		must_be(symlink("/dev/zero", path), 0);
	else if (kind == 2)
		must_be(mkdir(path, 0777), 0);
	else
		write_file(path, "fipc tracker 1\npid: 1\n", 22);
	if (kind == 3)
		must_be(truncate(path, INT64_C(1) << TEBIBYTE), 0);
}

static void reclaim(const char *dir, const char *tracker)
{
	fipc_registry *r;

	must_be(fipc_registry_open(&r, dir, 0), 0);
	must_not_fail(fipc_registry_reclaim(r, tracker, NULL, NULL));
	fipc_registry_close(r);
}

/* Whatever is where the trackers are: no look at it waits, and none is taken for a process. */
IN_CHILD(test_planted_trackers)
{
	static const char *const names[] = {"1-2", "x", "-", "1-", "99999999999-1",
					    "1-18446744073709551616", ".new-1-x"};
	const char *dir = new_place();
	char path[PATH_MAX + 32], renamed[PATH_MAX + 32];
	struct peer p = {.name = "a", .flags = FIPC_CREATE, .wanted = FIPC_CREATED};

	peer_begins(&p);
	for (int kind = 0; kind < 4; kind++)
		for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
			snprintf(path, sizeof(path), "%s/%s/%s", dir, FIPC_TRACKERS, names[i]);
			plant(path, kind);
			must_be(collect(dir), 0);
			reclaim(dir, names[i]);
			must_be(try_open(0, 0), 0);
			remove(path);
			/* And with a name that is right for it. */
			plant(path, kind);
			snprintf(renamed, sizeof(renamed), "%s/%s/1-%llu", dir, FIPC_TRACKERS,
				 (unsigned long long)inode_of(path, ""));
			must_be(rename(path, renamed), 0);
			reclaim(dir, strrchr(renamed, '/') + 1);
			must_be(collect(dir), 0);
			remove(renamed);
		}
	peer_leaves(&p);
	must_become_clean(dir, 1);
}

/* ---- a directory that may not be written ---- */

static void bob_meets_a_closed_directory(void *dir)
{
	int fds = open_descriptors();

	become_user(BOB);
	must_be(try_open(0, 0), -ENOENT);
	must_be(try_open(FIPC_CREATE, 0666), -EACCES);
	must_be(try_open(FIPC_CREATE | FIPC_EXCL, 0666), -EACCES);
	must_be(try_open(FIPC_CREATE | FIPC_REPLACE, 0666), -EACCES);
	must_be(fipc_mutex_unlink("a"), -ENOENT);
	must_be(walk(dir), 0);
	must_be(collect(dir), 0);
	must_be(open_descriptors(), fds);
}

static void bob_uses_what_is_there(void *dir)
{
	fipc_mutex *m;

	become_user(BOB);
	m = must_open("a", 0, 0); /* root's, 0666: he may use it, tracked or not, though he can make none */
	lock_once(m);
	must_be(collect(dir), 0);
	must_be(fipc_mutex_close(m), 0);
	must(inode_of(dir, "a.mutex") != 0);
}

static void bob_may_not_even_look(void *dir)
{
	fipc_registry *r;

	become_user(BOB);
	must_be(try_open(0, 0), -EACCES);
	must_be(try_open(FIPC_CREATE, 0666), -EACCES);
	must_be(fipc_mutex_unlink("a"), -EACCES);
	must_be(fipc_registry_open(&r, dir, 0), 0);
	must_be(fipc_registry_walk(r, 0, NULL, NULL, NULL), -EACCES);
	fipc_registry_close(r);
}

IN_CHILD(test_unwritable_directory)
{
	const char *dir = new_place();
	void *where = (void *)(uintptr_t)dir;
	fipc_mutex *m;

	needs_root("a directory that may not be written");
	must_be(chmod(dir, 0755), 0);
	must_be(in_child(bob_meets_a_closed_directory, where), 0);
	must_be(count_entries(dir), 0);
	must_be(fipc_mutex_open(&m, "a", FIPC_CREATE, 0666), FIPC_CREATED);
	must_be(in_child(bob_uses_what_is_there, where), 0);
	must_be(chmod(dir, 0), 0);
	must_be(in_child(bob_may_not_even_look, where), 0);
	must_be(chmod(dir, 0755), 0);
	must_be(fipc_mutex_close(m), 0);
	must_become_clean(dir, 1);
}

static void make_readonly(const char *dir, const char *what)
{
	if (unshare(CLONE_NEWNS) || mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) ||
	    mount(dir, dir, "none", MS_BIND, NULL) ||
	    mount("none", dir, "none", MS_REMOUNT | MS_BIND | MS_RDONLY, NULL)) {
		skip_aloud(what, "cannot mount it so");
		_exit(SKIPPED);
	}
}

/* As a container is often given it. Somebody outside has an object there: to look at it needs no trace. */
IN_CHILD(test_readonly_mount)
{
	const char *dir = new_place();
	struct peer p = {.name = "a", .flags = FIPC_CREATE, .wanted = FIPC_CREATED, .holds = 1};
	struct fipc_mutex_info info;
	fipc_mutex *view;
	uint64_t inode;

	needs_root("a read-only mount");
	peer_begins(&p);
	inode = inode_of(dir, "a.mutex");
	make_readonly(dir, "a read-only mount");
	must_be(try_open(0, 0), -EROFS);
	must_be(try_open(FIPC_CREATE, 0600), -EROFS);
	must_be(try_open(FIPC_CREATE | FIPC_REPLACE, 0600), -EROFS);
	must_be(fipc_mutex_unlink("a"), -EROFS);
	must_be(fipc_mutex_open(&view, "a", FIPC_READONLY, 0), 0);
	must_be(fipc_mutex_info(view, &info, sizeof(info)), 0);
	must_be(info.state, FIPC_MUTEX_HELD);
	must_be(fipc_mutex_close(view), 0);
	must_be(walk(dir), 0);
	peer_dies(&p);
	must_be(collect(dir), 0); /* it cannot, and says so, and that is all */
	must(inode_of(dir, "a.mutex") == inode);
}

/* ---- without /proc ---- */

static void use_without_proc(void *dir)
{
	struct peer a = {.name = "a", .flags = FIPC_CREATE, .wanted = FIPC_CREATED, .holds = 1}, b = {.name = "a"};
	fipc_mutex *m;

	become_user(BOB);
	peer_begins(&a);
	peer_begins(&b);
	must_be(collect(dir), 0);
	m = must_open("a", 0, 0);
	peer_dies(&a);
	must_be(fipc_mutex_lock(m), FIPC_OWNER_DIED);
	must_be(fipc_mutex_consistent(m), 0);
	must_be(fipc_mutex_unlock(m), 0);
	must_be(walk(dir), 0);
	must_be(collect(dir), 0);
	must_be(fipc_mutex_close(m), 0);
	peer_leaves(&b);
	must(inode_of(dir, "a.mutex") == 0);
	must_be(try_open(FIPC_CREATE | FIPC_EXCL, 0600), FIPC_CREATED);
}

IN_CHILD(test_life_without_proc)
{
	const char *dir = new_place();

	needs_root("life and death without /proc");
	if (unshare(CLONE_NEWNS) || mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) ||
	    mount("fipc-test", "/proc", "tmpfs", 0, NULL)) {
		skip_aloud("life and death without /proc", "cannot cover it");
		_exit(SKIPPED);
	}
	must(access("/proc/self", F_OK) < 0);
	must_be(in_child(use_without_proc, (void *)(uintptr_t)dir), 0);
	must_become_clean(dir, 0);
}

/* ---- fs.protected_regular ---- */

#define PROTECTED_REGULAR "/proc/sys/fs/protected_regular"

static void alice_makes_and_leaves(void *gates)
{
	struct gate *gate = gates;
	fipc_mutex *m;

	become_user(ALICE);
	must_be(fipc_mutex_open(&m, "a", FIPC_CREATE, 0666), FIPC_CREATED);
	gate_open(&gate[0]);
	gate_pass(&gate[1]);
	must_be(fipc_mutex_lock(m), 0);
	raise(SIGKILL);
}

static void bob_joins(void *told)
{
	fipc_mutex *m;

	become_user(BOB);
	must_be(fipc_mutex_open(&m, "a", FIPC_CREATE | FIPC_ANY_OWNER, 0666), 0);
	must_be(fipc_mutex_lock(m), *(int *)told);
	must_be(*(int *)told ? fipc_mutex_consistent(m) : 0, 0);
	must_be(fipc_mutex_unlock(m), 0);
	must_be(fipc_mutex_close(m), 0);
}

/* The setting is on: O_CREAT on a file of somebody else's, in a sticky directory, fails even for root. */
static void use_protected(void *argument)
{
	const char *dir = new_place();
	struct gate gates[2];
	int nobody_died = 0, died = FIPC_OWNER_DIED;
	fipc_mutex *m;
	pid_t alice;

	(void)argument;
	gate_make(&gates[0]);
	gate_make(&gates[1]);
	alice = start(alice_makes_and_leaves, gates);
	gate_pass(&gates[0]);
	must(open(object, O_RDWR | O_CREAT | O_CLOEXEC, 0600) < 0 && errno == EACCES);
	must_be(fipc_mutex_open(&m, "a", FIPC_CREATE | FIPC_ANY_OWNER, 0600), 0);
	lock_once(m);
	must_be(in_child(bob_joins, &nobody_died), 0);
	gate_open(&gates[1]);
	must_be(finish(alice), 128 + SIGKILL);
	must_be(in_child(bob_joins, &died), 0);
	must_be(collect(dir), 0);
	must_be(fipc_mutex_close(m), 0);
	must_be(try_open(FIPC_CREATE | FIPC_EXCL, 0600), FIPC_CREATED);
	must_become_clean(dir, 1);
}

static int set_sysctl(int fd, char value)
{
	return pwrite(fd, &value, 1, 0) == 1;
}

IN_CHILD(test_protected_regular)
{
	int fd = open(PROTECTED_REGULAR, O_RDWR | O_CLOEXEC), status;
	char before = '2';

	needs_root("fs.protected_regular = 2");
	/* One at a time: the other one would put back what this one has set. */
	if (fd >= 0)
		must_be(flock(fd, LOCK_EX), 0);
	if (fd < 0 || pread(fd, &before, 1, 0) != 1 || (before != '2' && !set_sysctl(fd, '2'))) {
		skip_aloud("fs.protected_regular = 2", "the setting is read-only here, and another");
		_exit(SKIPPED);
	}
	status = in_child(use_protected, NULL);
	if (before != '2')
		must(set_sysctl(fd, before));
	must_be(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sparse),
		cmocka_unit_test(test_exchanged),
		cmocka_unit_test(test_exchanged_for_a_copy),
		cmocka_unit_test(test_other_versions),
		cmocka_unit_test(test_planted_trackers),
		cmocka_unit_test(test_unwritable_directory),
		cmocka_unit_test(test_readonly_mount),
		cmocka_unit_test(test_life_without_proc),
		cmocka_unit_test(test_protected_regular),
	};

	test_dir();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
