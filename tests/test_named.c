/* SPDX-License-Identifier: Apache-2.0 */
/* Names: open, close, unlink, and who keeps an object. */
#include "support.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static fipc_mutex *const untouched = (fipc_mutex *)(uintptr_t)0x1000;

/* A failed open leaves *ret as it was. */
static int try_open(const char *name, unsigned flags, mode_t mode)
{
	fipc_mutex *m = untouched;
	int r = fipc_mutex_open(&m, name, flags, mode);

	must((r < 0) == (m == untouched));
	if (r >= 0)
		must_be(fipc_mutex_close(m), 0);
	return r;
}

/* Nothing is left but this process's own tracker. */
static void must_be_clean(const char *dir)
{
	must_become_clean(dir, 1);
}

/* ---- one process ---- */

IN_CHILD(test_open_and_close)
{
	const char *dir = fresh_dir();
	int fds = open_descriptors();
	fipc_mutex *m = must_open("a", FIPC_CREATE, FIPC_CREATED), *again;

	must(inode_of(dir, "a.mutex") != 0);
	must(inode_of(dir, "a.mutex.pids") != 0);
	must_be(open_descriptors(), fds);
	must_be(strcmp(fipc_name(m), "a"), 0);
	must_be(fipc_mutex_lock(m), 0);
	again = must_open("a", 0, 0);
	must(again == m);
	must_be(fipc_mutex_lock(again), -EDEADLK);
	must_be(fipc_mutex_close(again), 0);
	must_be(fipc_mutex_unlock(m), 0);
	must_be(fipc_mutex_close(m), 0);
	must(inode_of(dir, "a.mutex") == 0);
	must(inode_of(dir, "a.mutex.pids") == 0);
	must_be(open_descriptors(), fds);
	must_be(fipc_mutex_close(m), -EINVAL);
	must(fipc_name(m) == NULL);
	must_be(try_open("a", 0, 0), -ENOENT);
	must_be(fipc_mutex_close(NULL), 0);
}

IN_CHILD(test_flags)
{
	static const unsigned bad[] = {
		FIPC_EXCL, FIPC_REPLACE, FIPC_PERSIST, FIPC_PRIVATE | FIPC_CREATE, FIPC_AUTORESET | FIPC_CREATE,
		FIPC_OWNED | FIPC_CREATE, FIPC_TRUNC | FIPC_CREATE, FIPC_CREATE | 1u << 31,
	};
	const char *dir = fresh_dir();

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		must_be(try_open("a", bad[i], 0600), -EINVAL);
	must_be(try_open("a", FIPC_CREATE, 01600), -EINVAL);
	must_be(try_open("a", FIPC_CREATE, 010600), -EINVAL);
	must_be(count_entries(dir), 0);
	must_be(try_open("a", FIPC_CREATE | FIPC_TIMESTAMPS, 0600), FIPC_CREATED);
}

IN_CHILD(test_exclusive)
{
	fipc_mutex *m;

	fresh_dir();
	must_be(try_open("a", FIPC_CREATE | FIPC_EXCL, 0600), FIPC_CREATED);
	m = must_open("a", FIPC_CREATE | FIPC_EXCL, FIPC_CREATED);
	must_be(try_open("a", FIPC_CREATE | FIPC_EXCL, 0600), -EEXIST);
	must_be(try_open("a", FIPC_CREATE, 0600), 0);
	must_be(fipc_mutex_close(m), 0);
}

static void good_name(const char *name)
{
	must_be(try_open(name, FIPC_CREATE, 0600), FIPC_CREATED);
	must_be(try_open(name, 0, 0), -ENOENT);
	must_be(fipc_mutex_unlink(name), -ENOENT);
}

static void bad_name(const char *name)
{
	must_be(try_open(name, FIPC_CREATE, 0600), -EINVAL);
	must_be(try_open(name, 0, 0), -EINVAL);
	must_be(fipc_mutex_unlink(name), -EINVAL);
}

IN_CHILD(test_names)
{
	static const char *const good[] = {
		"a", "A9", "-", "_", "a.b", "a.mutex", "a..b", "a.", "a.pids", "a.mutex.pids", "/a", "__pyfastip",
		"_pyfastipc_", "x...", "0123456789", "/__py",
	};
	static const char *const bad[] = {
		"", "/", ".", "..", ".a", "/.a", "//a", "a/b", "a/", "a b", "a\n", "\x7f", "a\xc3\xa4", "a*", "a~",
		"a%", 		"__pyfastipc_", "__pyfastipc_x", "/__pyfastipc_x", "a\\b", "a:b",
	};
	const char *dir = fresh_dir();
	char longest[202];

	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		good_name(good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		bad_name(bad[i]);
	memset(longest, 'x', sizeof(longest) - 1);
	longest[201] = 0;
	bad_name(longest);
	longest[200] = 0;
	good_name(longest);
	longest[0] = '/';
	good_name(longest);
	bad_name(NULL);
	must_be_clean(dir);
}

IN_CHILD(test_leading_slash_is_the_same)
{
	fipc_mutex *m;

	fresh_dir();
	m = must_open("/a", FIPC_CREATE, FIPC_CREATED);
	must(must_open("a", 0, 0) == m);
	must_be(strcmp(fipc_name(m), "a"), 0);
	must_be(fipc_mutex_close(m), 0);
	must_be(fipc_mutex_close(m), 0);
}

IN_CHILD(test_random_names)
{
	fipc_mutex *m[20], in_place;

	fresh_dir();
	must_be(try_open(NULL, FIPC_CREATE, 0600), -EINVAL);
	must_be(try_open(NULL, 0, 0600), -EINVAL);
	for (int i = 0; i < 20; i++) {
		m[i] = must_open(NULL, FIPC_CREATE | FIPC_EXCL, FIPC_CREATED);
		for (int j = 0; j < i; j++)
			must(strcmp(fipc_name(m[i]), fipc_name(m[j])) != 0);
		must(must_open(fipc_name(m[i]), 0, 0) == m[i]);
		must_be(fipc_mutex_close(m[i]), 0);
	}
	for (int i = 0; i < 20; i++)
		must_be(fipc_mutex_close(m[i]), 0);
	must_be(fipc_mutex_init(&in_place, 0), 0);
	must(fipc_name(&in_place) == NULL);
}

static mode_t mode_of(const char *dir, const char *file)
{
	char path[PATH_MAX];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	must_be(stat(path, &st), 0);
	return st.st_mode & 07777;
}

IN_CHILD(test_modes_are_exact)
{
	static const mode_t modes[] = {0600, 0660, 0666, 0644, 0640, 0777, 0400, 0};
	const char *dir = fresh_dir();

	umask(077);
	for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++) {
		fipc_mutex *m;

		must_be(fipc_mutex_open(&m, "a", FIPC_CREATE, modes[i]), FIPC_CREATED);
		must_be(mode_of(dir, "a.mutex"), modes[i]);
		must(mode_of(dir, "a.mutex.pids") & 01000);
		must_be(mode_of(dir, FIPC_TRACKERS), 01777);
		if (geteuid() == 0 || (modes[i] & 0600) == 0600)
			must_be(try_open("a", FIPC_CREATE, 0123), 0);
		must_be(mode_of(dir, "a.mutex"), modes[i]);
		must_be(fipc_mutex_close(m), 0);
	}
}

IN_CHILD(test_is_a_mutex_like_any)
{
	fipc_mutex *m;
	struct fipc_mutex_info info;

	fresh_dir();
	m = must_open("a", FIPC_CREATE | FIPC_TIMESTAMPS, FIPC_CREATED);
	must_be(fipc_mutex_lock(m), 0);
	must_be(fipc_mutex_trylock(m), -EDEADLK);
	must_be(fipc_mutex_info(m, &info, sizeof(info)), 0);
	must(info.acquired_ns > 0);
	must_be(info.owner_pid, getpid());
	must_be(fipc_mutex_unlock(m), 0);
	must_be(fipc_mutex_attach(m, 0), 0);
	must_be(fipc_mutex_destroy(m), -EINVAL);
	must_be(fipc_mutex_lock_until(m, FIPC_NOW), 0);
	must_be(fipc_mutex_unlock(m), 0);
	must_be(fipc_mutex_close(m), 0);
}

IN_CHILD(test_readonly)
{
	fipc_mutex *m, *view;
	struct fipc_mutex_info info;

	fresh_dir();
	must_be(try_open("a", FIPC_READONLY, 0), -ENOENT);
	m = must_open("a", FIPC_CREATE, FIPC_CREATED);
	view = must_open("a", FIPC_READONLY, 0);
	must(view != m);
	must(must_open("a", FIPC_READONLY, 0) == view);
	must_be(strcmp(fipc_name(view), "a"), 0);
	must_be(fipc_mutex_lock(view), -EACCES);
	must_be(fipc_mutex_trylock(view), -EACCES);
	must_be(fipc_mutex_lock_until(view, fipc_after_ms(1)), -EACCES);
	must(fipc_mutex_unlock(view) < 0);
	must_be(fipc_mutex_consistent(view), -EINVAL);
	must(fipc_mutex_destroy(view) < 0);
	must_be(fipc_mutex_lock(m), 0);
	must_be(fipc_mutex_info(view, &info, sizeof(info)), 0);
	must_be(info.state, FIPC_MUTEX_HELD);
	must_be(info.owner_tid, getpid());
	must_be(fipc_mutex_lock(view), -EACCES);
	must_be(fipc_mutex_unlock(m), 0);
	must_be(fipc_mutex_close(view), 0);
	must_be(fipc_mutex_close(m), 0);
	must_be(fipc_mutex_info(view, &info, sizeof(info)), 0);
	must_be(fipc_mutex_close(view), 0);
	must_be(try_open("a", 0, 0), -ENOENT);
}

IN_CHILD(test_unlink)
{
	const char *dir = fresh_dir();
	fipc_mutex *old, *new;

	must_be(fipc_mutex_unlink("a"), -ENOENT);
	old = must_open("a", FIPC_CREATE, FIPC_CREATED);
	must_be(fipc_mutex_lock(old), 0);
	must_be(fipc_mutex_unlink("a"), 0);
	must_be(fipc_mutex_unlink("a"), -ENOENT);
	must_be(try_open("a", 0, 0), -ENOENT);
	new = must_open("a", FIPC_CREATE, FIPC_CREATED);
	must(new != old);
	must_be(fipc_mutex_trylock(new), 0);
	must_be(fipc_mutex_unlock(old), 0);
	must_be(fipc_mutex_close(old), 0);
	must_be(fipc_mutex_unlock(new), 0);
	must(inode_of(dir, "a.mutex") != 0);
	must_be(fipc_mutex_close(new), 0);
	must(inode_of(dir, "a.mutex") == 0);
	must(inode_of(dir, "a.mutex.pids") == 0);
}

IN_CHILD(test_persistent)
{
	const char *dir = fresh_dir();
	fipc_mutex *m;
	uint64_t inode;

	must_be(try_open("a", FIPC_CREATE | FIPC_PERSIST, 0600), FIPC_CREATED);
	inode = inode_of(dir, "a.mutex");
	must(inode != 0);
	must_be(collect(dir), 0);
	must(inode_of(dir, "a.mutex") == inode);
	m = must_open("a", FIPC_CREATE, 0);
	must_be(fipc_mutex_lock(m), 0);
	must_be(fipc_mutex_unlock(m), 0);
	must_be(fipc_mutex_close(m), 0);
	must(inode_of(dir, "a.mutex") == inode);
	must_be(try_open("a", FIPC_CREATE | FIPC_EXCL, 0600), -EEXIST);
	must_be(fipc_mutex_unlink("a"), 0);
	must_be(try_open("a", 0, 0), -ENOENT);
	must_be(collect(dir), 0);
	must_be(count_entries(dir), 1);
}

enum { MANY = 600 }; /* more than a tracker has room for hints */

IN_CHILD(test_many_at_once)
{
	static fipc_mutex *m[MANY];
	const char *dir = fresh_dir();
	int fds = open_descriptors();
	char name[16];

	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		m[i] = must_open(name, FIPC_CREATE, FIPC_CREATED);
		must_be(fipc_mutex_lock(m[i]), 0);
	}
	must_be(open_descriptors(), fds);
	for (int i = 0; i < MANY; i++) {
		must_be(fipc_mutex_unlock(m[i]), 0);
		must_be(fipc_mutex_close(m[i]), 0);
	}
	must_be(count_entries(dir), 1);
}

/* ---- threads ---- */

struct holder {
	fipc_mutex *m;
	struct gate held, release;
};

static void *hold(void *argument)
{
	struct holder *h = argument;

	must_be(fipc_mutex_lock(h->m), 0);
	gate_open(&h->held);
	gate_pass(&h->release);
	must_be(fipc_mutex_unlock(h->m), 0);
	gate_open(&h->held);
	return NULL;
}

static void *lock_once(void *argument)
{
	struct holder *h = argument;

	must_be(fipc_mutex_lock(h->m), 0);
	must_be(fipc_mutex_unlock(h->m), 0);
	return NULL;
}

IN_CHILD(test_close_while_a_thread_uses_it)
{
	struct holder h;
	pthread_t holding, waiting;
	fipc_mutex *m;

	fresh_dir();
	gate_make(&h.held);
	gate_make(&h.release);
	h.m = m = must_open("a", FIPC_CREATE, FIPC_CREATED);
	must_be(fipc_mutex_lock(m), 0);
	must_be(fipc_mutex_close(m), -EBUSY);
	must_be(pthread_create(&waiting, NULL, lock_once, &h), 0);
	await(sleepers(m) == 1);
	must_be(fipc_mutex_close(m), -EBUSY);
	must_be(fipc_mutex_unlock(m), 0);
	pthread_join(waiting, NULL);
	must_be(pthread_create(&holding, NULL, hold, &h), 0);
	gate_pass(&h.held);
	must_be(fipc_mutex_close(m), -EBUSY);
	must_be(fipc_mutex_trylock(m), -EBUSY);
	gate_open(&h.release);
	gate_pass(&h.held);
	must_be(fipc_mutex_close(m), 0);
	pthread_join(holding, NULL);
}

enum { THREADS = 4, TURNS = 300 };

static void *open_lock_close(void *argument)
{
	unsigned *sum = argument;

	for (int i = 0; i < TURNS; i++) {
		fipc_mutex *m;
		int r;

		must_not_fail(fipc_mutex_open(&m, "a", FIPC_CREATE, 0600));
		must_be(fipc_mutex_lock(m), 0);
		++*sum;
		must_be(fipc_mutex_unlock(m), 0);
		/* Counted: it is busy while another thread of this process uses it and this would be the last close. */
		while ((r = fipc_mutex_close(m)) == -EBUSY)
			;
		must_be(r, 0);
	}
	return NULL;
}

IN_CHILD(test_threads_open_and_close)
{
	const char *dir = fresh_dir();
	pthread_t threads[THREADS];
	unsigned sum = 0;

	for (int i = 0; i < THREADS; i++)
		must_be(pthread_create(&threads[i], NULL, open_lock_close, &sum), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	must_be(sum, THREADS * TURNS);
	must_be(count_entries(dir), 1);
}

static void open_and_close_often(void *argument)
{
	open_lock_close(argument);
}

IN_CHILD(test_processes_open_and_close)
{
	const char *dir = fresh_dir();
	unsigned *sum = share(sizeof(*sum)); /* of one object or of its successors: nobody is left between them */
	pid_t pids[THREADS];

	for (int i = 0; i < THREADS; i++)
		pids[i] = start(open_and_close_often, sum);
	for (int i = 0; i < THREADS; i++)
		must_be(finish(pids[i]), 0);
	must_be(*sum, THREADS * TURNS);
	must_be_clean(dir);
}

/* ---- several processes ---- */

IN_CHILD(test_shared_by_name)
{
	const char *dir = fresh_dir();
	struct peer p = {.name = "a", .flags = FIPC_CREATE, .holds = 1, .wanted = FIPC_CREATED};
	struct fipc_mutex_info info;
	fipc_mutex *m;

	peer_begins(&p);
	m = must_open("a", 0, 0);
	must_be(fipc_mutex_trylock(m), -EBUSY);
	must_be(fipc_mutex_info(m, &info, sizeof(info)), 0);
	must_be(info.owner_pid, p.pid);
	peer_dies(&p);
	must_be(fipc_mutex_lock(m), FIPC_OWNER_DIED);
	must_be(fipc_mutex_consistent(m), 0);
	must_be(fipc_mutex_unlock(m), 0);
	must_be(fipc_mutex_close(m), 0);
	must_be_clean(dir);
}

IN_CHILD(test_last_one_takes_it_away)
{
	const char *dir = fresh_dir();
	struct peer p = {.name = "a", .wanted = 0};
	fipc_mutex *m = must_open("a", FIPC_CREATE, FIPC_CREATED);
	uint64_t inode = inode_of(dir, "a.mutex");

	peer_begins(&p);
	must_be(fipc_mutex_close(m), 0);
	must(inode_of(dir, "a.mutex") == inode);
	must_be(collect(dir), 0);
	peer_leaves(&p);
	/* The peer is a child, and had our handle as well: that goes with it, and the object with that. */
	must_be(try_open("a", 0, 0), -ENOENT);
	must_be_clean(dir);
}

static void open_and_exit(void *argument)
{
	must_open(argument, FIPC_CREATE, FIPC_CREATED);
	_exit(0);
}

IN_CHILD(test_exit_without_close)
{
	const char *dir = fresh_dir();

	must_be(in_child(open_and_exit, "a"), 0);
	must_be(try_open("a", 0, 0), -ENOENT);
	must_be(in_child(open_and_exit, "a"), 0);
	must_be(in_child(open_and_exit, "a"), 0);
	must_be(try_open("a", FIPC_CREATE | FIPC_EXCL, 0600), FIPC_CREATED);
	must_be(in_child(open_and_exit, "b"), 0);
	must_be_clean(dir);
}

static void hold_persistent_and_die(void *argument)
{
	(void)argument;
	must_be(fipc_mutex_lock(must_open("a", FIPC_CREATE | FIPC_PERSIST, FIPC_CREATED)), 0);
	raise(SIGKILL);
}

static void hold_persistent_and_exit(void *argument)
{
	fipc_mutex *m = must_open("a", 0, 0);

	(void)argument;
	must_be(fipc_mutex_lock(m), FIPC_OWNER_DIED);
	must_be(fipc_mutex_consistent(m), 0);
	_exit(0);
}

/* Exit without close is a clean leave for the name, a death for a lock that is held. */
IN_CHILD(test_death_outlasts_the_process)
{
	const char *dir = fresh_dir();
	fipc_mutex *m;

	must_be(in_child(hold_persistent_and_die, NULL), 128 + SIGKILL);
	must_be(collect(dir), 0);
	must_be(in_child(hold_persistent_and_exit, NULL), 0);
	m = must_open("a", 0, 0);
	must_be(fipc_mutex_lock(m), FIPC_OWNER_DIED);
	must_be(fipc_mutex_unlock(m), 0);
	must_be(fipc_mutex_lock(m), -ENOTRECOVERABLE);
	must_be(fipc_mutex_close(m), 0);
	/* the cure */
	m = must_open("a", FIPC_CREATE | FIPC_REPLACE, FIPC_CREATED);
	must_be(fipc_mutex_lock(m), 0);
	must_be(fipc_mutex_unlock(m), 0);
	must_be(fipc_mutex_close(m), 0);
	must_be_clean(dir);
}

IN_CHILD(test_replace)
{
	const char *dir = fresh_dir();
	struct peer p = {.name = "a", .flags = FIPC_CREATE, .holds = 1, .wanted = FIPC_CREATED};
	fipc_mutex *m, *newer;
	uint64_t inode;

	peer_begins(&p);
	inode = inode_of(dir, "a.mutex");
	m = must_open("a", FIPC_CREATE | FIPC_REPLACE, FIPC_CREATED);
	must(inode_of(dir, "a.mutex") != inode);
	must_be(fipc_mutex_lock(m), 0);
	inode = inode_of(dir, "a.mutex");
	peer_leaves(&p);
	must(inode_of(dir, "a.mutex") == inode);
	must_be(collect(dir), 0);
	newer = must_open("a", FIPC_CREATE | FIPC_REPLACE, FIPC_CREATED);
	must(newer != m);
	must_be(fipc_mutex_trylock(newer), 0);
	must_be(fipc_mutex_unlock(newer), 0);
	must_be(fipc_mutex_close(newer), 0);
	must_be(fipc_mutex_unlock(m), 0);
	must_be(fipc_mutex_close(m), 0);
	must_be_clean(dir);
}

/* Killed, and one of an older object of the name lives on: each is judged by itself. */
IN_CHILD(test_replaced_and_killed)
{
	const char *dir = fresh_dir();
	struct peer old = {.name = "a", .flags = FIPC_CREATE, .holds = 1, .wanted = FIPC_CREATED};
	struct peer new = {.name = "a", .flags = FIPC_CREATE | FIPC_REPLACE, .wanted = FIPC_CREATED};

	peer_begins(&old);
	peer_begins(&new);
	peer_dies(&new);
	must_be(collect(dir), 1);
	must(inode_of(dir, "a.mutex") == 0);
	must_be(try_open("a", FIPC_CREATE | FIPC_EXCL, 0600), FIPC_CREATED);
	peer_leaves(&old);
	must_be_clean(dir);
}

/* ---- fork ---- */

static void child_uses_and_closes(void *argument)
{
	fipc_mutex *m = argument;

	must_be(strcmp(fipc_name(m), "a"), 0);
	must(must_open("a", 0, 0) == m);
	must_be(fipc_mutex_lock(m), 0);
	must_be(fipc_mutex_close(m), 0);
	must_be(fipc_mutex_close(m), -EBUSY);
	must_be(fipc_mutex_unlock(m), 0);
	must_be(fipc_mutex_close(m), 0);
	must_be(fipc_mutex_close(m), -EINVAL);
}

IN_CHILD(test_child_has_the_handles)
{
	const char *dir = fresh_dir();
	fipc_mutex *m = must_open("a", FIPC_CREATE, FIPC_CREATED);

	must_be(in_child(child_uses_and_closes, m), 0);
	must_be(fipc_mutex_lock(m), 0);
	must_be(fipc_mutex_unlock(m), 0);
	must_be(try_open("a", 0, 0), 0);
	must_be(fipc_mutex_close(m), 0);
	must(inode_of(dir, "a.mutex") == 0);
	must_be_clean(dir);
}

struct daemonising {
	struct gate child_may_lock, child_locked, child_may_go, child_gone;
};

static void daemonise(void *argument)
{
	struct daemonising *d = argument;
	fipc_mutex *m = must_open("a", FIPC_CREATE, FIPC_CREATED);
	pid_t pid = fork();

	must(pid >= 0);
	if (pid)
		_exit(0);
	/* Nobody kills this one: each wait is bounded, and it ends by itself. */
	gate_pass(&d->child_may_lock);
	must_be(fipc_mutex_lock(m), 0);
	gate_open(&d->child_locked);
	gate_pass(&d->child_may_go);
	must_be(fipc_mutex_unlock(m), 0);
	must_be(fipc_mutex_close(m), 0);
	gate_open(&d->child_gone);
	_exit(0);
}

static int reason_of_object(const struct fipc_object *object, void *context)
{
	*(int *)context = object->reason;
	return 0;
}

static int verdict(const char *dir)
{
	fipc_registry *registry;
	int reason = -1;

	must_be(fipc_registry_open(&registry, dir, 0), 0);
	must_be(fipc_registry_walk(registry, 0, NULL, reason_of_object, &reason), 0);
	fipc_registry_close(registry);
	return reason;
}

/* The parent is gone before the child's first call: no entry is alive, and yet nobody may take the object. */
IN_CHILD(test_daemonising)
{
	const char *dir = fresh_dir();
	struct daemonising d;
	fipc_mutex *m;
	uint64_t inode;

	gate_make(&d.child_may_lock);
	gate_make(&d.child_locked);
	gate_make(&d.child_may_go);
	gate_make(&d.child_gone);
	must_be(in_child(daemonise, &d), 0);
	inode = inode_of(dir, "a.mutex");
	must_be(verdict(dir), FIPC_KEEP_UNTRACKED);
	must_be(collect(dir), 0);
	must(inode_of(dir, "a.mutex") == inode);
	must_be(try_open("a", FIPC_CREATE, 0600), 0); /* and an open joins it, and its close does not take it away */
	must(inode_of(dir, "a.mutex") == inode);
	gate_open(&d.child_may_lock);
	gate_pass(&d.child_locked);
	must_be(verdict(dir), FIPC_KEEP_ATTACHED);
	m = must_open("a", 0, 0);
	must_be(fipc_mutex_trylock(m), -EBUSY);
	must_be(fipc_mutex_close(m), 0);
	gate_open(&d.child_may_go);
	gate_pass(&d.child_gone);
	must_be_clean(dir);
}

static void close_everything(void *argument)
{
	struct peer *p = argument;
	fipc_mutex *m = must_open("a", FIPC_CREATE, FIPC_CREATED);
	int ready = p->ready.pipe[1];

	for (int fd = 3; fd < 1024; fd++)
		if (fd != ready)
			close(fd);
	must_be(fipc_mutex_lock(m), 0);
	must_be(write(ready, "", 1), 1);
	for (;;)
		pause();
}

IN_CHILD(test_all_descriptors_closed)
{
	const char *dir = fresh_dir();
	struct peer p;
	fipc_mutex *m;

	gate_make(&p.ready);
	p.pid = start(close_everything, &p);
	gate_pass(&p.ready);
	must_be(verdict(dir), FIPC_KEEP_ATTACHED);
	must_be(collect(dir), 0);
	m = must_open("a", 0, 0);
	must_be(fipc_mutex_trylock(m), -EBUSY);
	murder(p.pid);
	must_be(fipc_mutex_lock(m), FIPC_OWNER_DIED);
	must_be(fipc_mutex_unlock(m), 0);
	must_be(fipc_mutex_close(m), 0);
	must_be_clean(dir);
}

/* An exec keeps neither mapping nor lock. */
static void open_and_exec(void *argument)
{
	(void)argument;
	must_open("a", FIPC_CREATE, FIPC_CREATED);
	execl("/bin/sleep", "sleep", "60", (char *)NULL);
	_exit(1);
}

IN_CHILD(test_exec_leaves)
{
	const char *dir = fresh_dir();
	pid_t pid = start(open_and_exec, NULL);

	await(inode_of(dir, "a.mutex") != 0);
	await(verdict(dir) == FIPC_TAKE_UNUSED);
	must_be(collect(dir), 1);
	murder(pid);
	must_be_clean(dir);
}

/* ---- the directory ---- */

IN_CHILD(test_which_directory)
{
	char first[PATH_MAX], second[PATH_MAX], long_path[1200];

	snprintf(first, sizeof(first), "%s/first", fresh_dir());
	snprintf(second, sizeof(second), "%s/second", fresh_dir());
	setenv("FIPC_DIR", first, 1);
	setenv("FASTIPC_PID_DIR", second, 1);
	must_be(try_open("a", 0, 0), -ENOENT);
	must_be(fipc_mutex_unlink("a"), -ENOENT);
	umask(077);
	must_be(try_open("a", FIPC_CREATE | FIPC_PERSIST, 0600), FIPC_CREATED);
	must(inode_of(first, "a.mutex") != 0);
	must_be(mode_of(first, "."), 01777);
	must(inode_of(second, "a.mutex") == 0);
	setenv("FIPC_DIR", "", 1);
	must_be(try_open("a", FIPC_CREATE | FIPC_PERSIST, 0600), FIPC_CREATED);
	must(inode_of(second, "a.mutex") != 0);
	unsetenv("FIPC_DIR");
	must_be(try_open("a", 0, 0), 0);
	setenv("FASTIPC_PID_DIR", "relative/path", 1);
	must_be(try_open("a", FIPC_CREATE, 0600), -EINVAL);
	must_be(fipc_mutex_unlink("a"), -EINVAL);
	memset(long_path, 'x', sizeof(long_path) - 1);
	long_path[0] = '/';
	long_path[1001] = 0;
	setenv("FIPC_DIR", long_path, 1);
	must_be(try_open("a", FIPC_CREATE, 0600), -ENAMETOOLONG);
	snprintf(first + strlen(first), 20, "/a.mutex");
	setenv("FIPC_DIR", first, 1);
	must_be(try_open("a", FIPC_CREATE, 0600), -ENOTDIR);
}

/* One process may use several; an object knows where it was opened. */
IN_CHILD(test_two_directories)
{
	char first[PATH_MAX], second[PATH_MAX];
	fipc_mutex *a, *b;

	snprintf(first, sizeof(first), "%s", fresh_dir());
	a = must_open("a", FIPC_CREATE, FIPC_CREATED);
	snprintf(second, sizeof(second), "%s", fresh_dir());
	b = must_open("a", FIPC_CREATE, FIPC_CREATED);
	must(a != b);
	must_be(fipc_mutex_lock(a), 0);
	must_be(fipc_mutex_trylock(b), 0);
	must_be(fipc_mutex_unlock(a), 0);
	must_be(fipc_mutex_unlock(b), 0);
	must_be(fipc_mutex_close(a), 0);
	must(inode_of(first, "a.mutex") == 0);
	must(inode_of(second, "a.mutex") != 0);
	must_be(fipc_mutex_close(b), 0);
	must_be(count_entries(first), 1);
	must_be(count_entries(second), 1);
}

/* Somebody removes the whole directory while it is used. */
IN_CHILD(test_directory_vanishes)
{
	char dir[PATH_MAX];
	fipc_mutex *a, *b;

	snprintf(dir, sizeof(dir), "%s", fresh_dir());
	a = must_open("a", FIPC_CREATE, FIPC_CREATED);
	remove_tree(dir);
	must_be(fipc_mutex_lock(a), 0);
	must_be(fipc_mutex_unlock(a), 0);
	b = must_open("b", FIPC_CREATE, FIPC_CREATED);
	must_be(verdict(dir), FIPC_KEEP_ATTACHED);
	must_be(fipc_mutex_close(a), 0);
	must_be(fipc_mutex_close(b), 0);
	must_be(count_entries(dir), 1);
}

/* ---- out of descriptors ---- */

IN_CHILD(test_too_many_open_files)
{
	const char *dir = fresh_dir();
	int fds = open_descriptors(), r = 0, failures = 0;
	struct rlimit limit;

	must_be(getrlimit(RLIMIT_NOFILE, &limit), 0);
	for (rlim_t n = 3; r != FIPC_CREATED; n++) {
		limit.rlim_cur = n;
		must_be(setrlimit(RLIMIT_NOFILE, &limit), 0);
		r = try_open("a", FIPC_CREATE, 0600);
		must(r == -EMFILE || r == FIPC_CREATED);
		failures += r < 0;
		limit.rlim_cur = 200;
		must_be(setrlimit(RLIMIT_NOFILE, &limit), 0);
		must_be(open_descriptors(), fds);
		must(inode_of(dir, "a.mutex") == 0);
		must(n < 200);
	}
	must(failures >= 2);
	must_be_clean(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_open_and_close),
		cmocka_unit_test(test_flags),
		cmocka_unit_test(test_exclusive),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_leading_slash_is_the_same),
		cmocka_unit_test(test_random_names),
		cmocka_unit_test(test_modes_are_exact),
		cmocka_unit_test(test_is_a_mutex_like_any),
		cmocka_unit_test(test_readonly),
		cmocka_unit_test(test_unlink),
		cmocka_unit_test(test_persistent),
		cmocka_unit_test(test_many_at_once),
		cmocka_unit_test(test_close_while_a_thread_uses_it),
		cmocka_unit_test(test_threads_open_and_close),
		cmocka_unit_test(test_processes_open_and_close),
		cmocka_unit_test(test_shared_by_name),
		cmocka_unit_test(test_last_one_takes_it_away),
		cmocka_unit_test(test_exit_without_close),
		cmocka_unit_test(test_death_outlasts_the_process),
		cmocka_unit_test(test_replace),
		cmocka_unit_test(test_replaced_and_killed),
		cmocka_unit_test(test_child_has_the_handles),
		cmocka_unit_test(test_daemonising),
		cmocka_unit_test(test_all_descriptors_closed),
		cmocka_unit_test(test_exec_leaves),
		cmocka_unit_test(test_which_directory),
		cmocka_unit_test(test_two_directories),
		cmocka_unit_test(test_directory_vanishes),
		cmocka_unit_test(test_too_many_open_files),
	};

	test_dir();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
