/* SPDX-License-Identifier: Apache-2.0 */
/* Names among several users, in another PID namespace, and on a file system that is full. Needs root. */
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
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { ALICE = 1001, BOB = 1002 };

static int try_open(const char *name, unsigned flags, mode_t mode)
{
	fipc_mutex *m;
	int r = fipc_mutex_open(&m, name, flags, mode);

	if (r >= 0)
		must_be(fipc_mutex_close(m), 0);
	return r;
}

/* What another user does, in a child; the caller waits for its end. */
struct deed {
	uid_t uid;
	void (*body)(void);
};

static void do_as(void *argument)
{
	const struct deed *d = argument;

	become_user(d->uid);
	d->body();
}

static void as(uid_t uid, void (*body)(void))
{
	struct deed d = {uid, body};

	must_be(in_child(do_as, &d), 0);
}

/* Alice has made "a", mode as asked, and stays. */
struct owner {
	mode_t mode;
	unsigned flags;
	uid_t uid;
	struct gate ready, leave;
	pid_t pid;
};

static void own(void *argument)
{
	struct owner *o = argument;
	fipc_mutex *m;

	become_user(o->uid);
	must_be(fipc_mutex_open(&m, "a", FIPC_CREATE | o->flags, o->mode), FIPC_CREATED);
	gate_open(&o->ready);
	gate_pass(&o->leave);
	must_be(fipc_mutex_lock(m), 0);
	must_be(fipc_mutex_unlock(m), 0);
	must_be(fipc_mutex_close(m), 0);
}

static void owner_begins(struct owner *o)
{
	if (!o->uid)
		o->uid = ALICE;
	gate_make(&o->ready);
	gate_make(&o->leave);
	o->pid = start(own, o);
	gate_pass(&o->ready);
}

static void owner_leaves(struct owner *o)
{
	gate_open(&o->leave);
	must_be(finish(o->pid), 0);
}

static void bob_meets_a_public_one(void)
{
	fipc_mutex *m;
	struct fipc_mutex_info info;

	must_be(try_open("a", 0, 0), -EPERM);
	must_be(try_open("a", FIPC_CREATE, 0600), -EPERM);
	must_be(try_open("a", FIPC_READONLY, 0), -EPERM);
	must_be(fipc_mutex_open(&m, "a", FIPC_ANY_OWNER, 0), 0);
	must_be(fipc_mutex_lock(m), 0);
	must_be(fipc_mutex_unlock(m), 0);
	must_be(fipc_mutex_info(m, &info, sizeof(info)), 0);
	must_be(fipc_mutex_close(m), 0);
	must(fipc_mutex_unlink("a") == -EPERM || fipc_mutex_unlink("a") == -EACCES);
	must(try_open("a", FIPC_CREATE | FIPC_REPLACE | FIPC_ANY_OWNER, 0600) < 0);
	must_be(try_open("a", FIPC_ANY_OWNER, 0), 0);
}

IN_CHILD(test_any_owner)
{
	const char *dir = fresh_dir();
	struct owner o = {.mode = 0666};

	owner_begins(&o);
	as(BOB, bob_meets_a_public_one);
	must_be(try_open("a", 0, 0), -EPERM); /* root, too, has to say that it trusts Alice */
	must_be(try_open("a", FIPC_ANY_OWNER, 0), 0);
	owner_leaves(&o);
	must_become_clean(dir, 1);
}

static void bob_meets_a_private_one(void)
{
	must_be(try_open("a", FIPC_ANY_OWNER, 0), -EACCES);
	must_be(try_open("a", FIPC_CREATE | FIPC_ANY_OWNER, 0600), -EACCES);
	must_be(try_open("a", FIPC_READONLY | FIPC_ANY_OWNER, 0), -EACCES);
	must(try_open("a", FIPC_CREATE | FIPC_REPLACE | FIPC_ANY_OWNER, 0600) < 0);
	must(fipc_mutex_unlink("a") < 0);
}

IN_CHILD(test_private)
{
	const char *dir = fresh_dir();
	struct owner o = {.mode = 0600};

	owner_begins(&o);
	as(BOB, bob_meets_a_private_one);
	must(inode_of(dir, "a.mutex") != 0);
	owner_leaves(&o);
	must_become_clean(dir, 1);
}

static void bob_may_look(void)
{
	fipc_mutex *view;
	struct fipc_mutex_info info;

	must_be(try_open("a", FIPC_ANY_OWNER, 0), -EACCES);
	must_be(fipc_mutex_open(&view, "a", FIPC_READONLY | FIPC_ANY_OWNER, 0), 0);
	must_be(fipc_mutex_info(view, &info, sizeof(info)), 0);
	must_be(info.state, FIPC_MUTEX_FREE);
	must_be(fipc_mutex_lock(view), -EACCES);
	must_be(fipc_mutex_close(view), 0);
}

IN_CHILD(test_readonly)
{
	const char *dir = fresh_dir();
	struct owner o = {.mode = 0644};

	owner_begins(&o);
	as(BOB, bob_may_look);
	owner_leaves(&o);
	must_become_clean(dir, 1);
}

static void made_by_root_is_trusted(void)
{
	must_be(try_open("a", 0, 0), 0);
	must_be(try_open("a", FIPC_CREATE, 0600), 0);
}

IN_CHILD(test_made_by_root)
{
	fipc_mutex *m;

	fresh_dir();
	must_be(fipc_mutex_open(&m, "a", FIPC_CREATE, 0666), FIPC_CREATED);
	as(BOB, made_by_root_is_trusted);
	must_be(fipc_mutex_close(m), 0);
}

/* Bob is the last one out, and may not unlink Alice's: she, or root, can; and her next open finds it unused. */
static void bob_stays_until_told(void *argument)
{
	struct owner *o = argument;
	fipc_mutex *m;

	become_user(BOB);
	must_be(fipc_mutex_open(&m, "a", FIPC_ANY_OWNER, 0), 0);
	gate_open(&o->ready);
	gate_pass(&o->leave);
	must_be(fipc_mutex_lock(m), 0);
	must_be(fipc_mutex_unlock(m), 0);
	must_be(fipc_mutex_close(m), 0);
}

static void alice_finds_nothing(void)
{
	must_be(try_open("a", 0, 0), -ENOENT);
	must_be(try_open("a", FIPC_CREATE | FIPC_EXCL, 0600), FIPC_CREATED);
}

IN_CHILD(test_last_one_may_not_unlink)
{
	const char *dir = fresh_dir();
	struct owner o = {.mode = 0666}, bob = {.mode = 0};

	gate_make(&bob.ready);
	gate_make(&bob.leave);
	owner_begins(&o);
	bob.pid = start(bob_stays_until_told, &bob);
	gate_pass(&bob.ready);
	owner_leaves(&o);
	must(inode_of(dir, "a.mutex") != 0);
	must_be(collect(dir), 0);
	owner_leaves(&bob);
	as(ALICE, alice_finds_nothing);
	must_become_clean(dir, 1);
}

/* Bob is killed: his entry, in Alice's directory, is taken by root's collection. */
IN_CHILD(test_users_are_killed)
{
	const char *dir = fresh_dir();
	struct owner o = {.mode = 0666}, bob = {.mode = 0};

	gate_make(&bob.ready);
	gate_make(&bob.leave);
	owner_begins(&o);
	bob.pid = start(bob_stays_until_told, &bob);
	gate_pass(&bob.ready);
	murder(bob.pid);
	must_be(collect(dir), 0);
	murder(o.pid);
	must_be(collect(dir), 1);
	must_become_clean(dir, 0);
}

/* ---- whose directory ---- */

static void bob_has_no_default(void)
{
	must_be(try_open("a", FIPC_CREATE, 0600), -EPERM);
	must_be(try_open("a", 0, 0), -EPERM);
	must_be(fipc_mutex_unlink("a"), -EPERM);
	setenv("FIPC_DIR", "/dev/shm/fastipc", 1); /* named explicitly, it is trusted */
	must_be(try_open("a", FIPC_CREATE, 0600), FIPC_CREATED);
}

static void alice_makes_the_default(void)
{
	must_be(try_open("a", FIPC_CREATE, 0600), FIPC_CREATED);
	must_be(try_open("a", FIPC_CREATE, 0600), FIPC_CREATED);
}

static int private_mount(const char *where, const char *options)
{
	return unshare(CLONE_NEWNS) || mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) ||
	       mount("fipc-test", where, "tmpfs", MS_NOSUID | MS_NODEV, options);
}

IN_CHILD(test_default_directory)
{
	if (private_mount("/dev/shm", "mode=1777,size=1m")) {
		skip_aloud("the default directory", "cannot mount a tmpfs of its own");
		_exit(SKIPPED);
	}
	unsetenv("FIPC_DIR");
	as(ALICE, alice_makes_the_default);
	as(BOB, bob_has_no_default);
	must_be(try_open("a", FIPC_CREATE, 0600), -EPERM);
}

/* Nobody can lead it somewhere else by a symbolic link where it will be. */
IN_CHILD(test_default_directory_is_no_link)
{
	if (private_mount("/dev/shm", "mode=1777,size=1m")) {
		skip_aloud("the default directory as a link", "cannot mount a tmpfs of its own");
		_exit(SKIPPED);
	}
	unsetenv("FIPC_DIR");
	must_be(mkdir("/dev/shm/trap", 01777), 0);
	must_be(symlink("/dev/shm/trap", "/dev/shm/fastipc"), 0);
	must(try_open("a", FIPC_CREATE, 0600) < 0);
	must_be(count_entries("/dev/shm/trap"), 0);
}

/* ---- a full file system ---- */

static void fill_but(const char *dir, unsigned pages)
{
	char path[PATH_MAX + 8], page[4096] = {1};
	unsigned filled = 0;
	struct stat st;
	int fd;

	snprintf(path, sizeof(path), "%s/filler", dir);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	while (write(fd, page, sizeof(page)) == (ssize_t)sizeof(page))
		filled++;
	must_be(fstat(fd, &st), 0);
	must_be(ftruncate(fd, (filled - pages) * (off_t)sizeof(page)), 0);
	close(fd);
}

IN_CHILD(test_no_space)
{
	char dir[PATH_MAX], filler[PATH_MAX + 8];
	int r = 0, refused = 0, fds = open_descriptors();

	snprintf(dir, sizeof(dir), "%s", fresh_dir());
	if (private_mount(dir, "mode=1777,size=64k")) {
		skip_aloud("a full file system", "cannot mount a tmpfs of its own");
		_exit(SKIPPED);
	}
	snprintf(filler, sizeof(filler), "%s/filler", dir);
	for (unsigned pages = 0; r != FIPC_CREATED; pages++) {
		must(pages < 8);
		fill_but(dir, pages);
		r = try_open("a", FIPC_CREATE, 0600);
		must(r == -ENOSPC || r == FIPC_CREATED);
		refused += r < 0;
		must(inode_of(dir, "a.mutex") == 0);
		must(inode_of(dir, "a.mutex.pids") == 0);
		must_be(open_descriptors(), fds);
		unlink(filler);
	}
	must(refused > 0);
	must_become_clean(dir, 1);
}

IN_CHILD(test_no_inodes)
{
	char dir[PATH_MAX], options[64];
	int r = 0, refused = 0;

	snprintf(dir, sizeof(dir), "%s", fresh_dir());
	for (int inodes = 1; r != FIPC_CREATED; inodes++) {
		must(inodes < 20);
		snprintf(options, sizeof(options), "mode=1777,nr_inodes=%d", inodes);
		if (private_mount(dir, options)) {
			skip_aloud("a file system without inodes", "cannot mount a tmpfs of its own");
			_exit(SKIPPED);
		}
		r = try_open("a", FIPC_CREATE, 0600);
		must(r == -ENOSPC || r == FIPC_CREATED);
		refused += r < 0;
		must(inode_of(dir, "a.mutex") == 0);
		must(inode_of(dir, "a.mutex.pids") == 0);
	}
	must(refused > 0);
}

/* ---- another PID namespace ---- */

static void use_from_another_namespace(void)
{
	struct fipc_mutex_info info;
	fipc_mutex *view;

	must_be(getpid(), 1);
	must_be(try_open("a", 0, 0), -EXDEV);
	must_be(try_open("a", FIPC_CREATE, 0600), -EXDEV);
	must_be(fipc_mutex_open(&view, "a", FIPC_READONLY, 0), 0);
	must_be(fipc_mutex_info(view, &info, sizeof(info)), 0);
	must_be(info.state, FIPC_MUTEX_HELD);
	must_be(fipc_mutex_close(view), 0);
	must_be(try_open("b", FIPC_CREATE, 0600), FIPC_CREATED);
}

IN_CHILD(test_pid_namespace)
{
	const char *dir = fresh_dir();
	struct peer p = {.name = "a", .flags = FIPC_CREATE, .wanted = FIPC_CREATED, .holds = 1};
	pid_t pid;

	peer_begins(&p);
	must_be(unshare(CLONE_NEWPID), 0);
	pid = fork();
	must(pid >= 0);
	if (!pid) {
		use_from_another_namespace();
		_exit(0);
	}
	must_be(finish(pid), 0);
	peer_leaves(&p);
	must_become_clean(dir, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_any_owner),
		cmocka_unit_test(test_private),
		cmocka_unit_test(test_readonly),
		cmocka_unit_test(test_made_by_root),
		cmocka_unit_test(test_last_one_may_not_unlink),
		cmocka_unit_test(test_users_are_killed),
		cmocka_unit_test(test_default_directory),
		cmocka_unit_test(test_default_directory_is_no_link),
		cmocka_unit_test(test_no_space),
		cmocka_unit_test(test_no_inodes),
		cmocka_unit_test(test_pid_namespace),
	};

	test_dir();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
