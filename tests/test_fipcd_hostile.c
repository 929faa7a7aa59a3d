/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fipcd among those who mean it no good, or whom it cannot tell apart: files locked for ever, truncated under its feet,
 * planted, trackers that lie; processes of one PID in two namespaces; users who have no number here.
 */
#include "fipcd_support.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define MANAGER "io.fipc.Manager"

enum { ALICE = 61001, BOB = 61002, LOOKS = 200 };

/* It answers, and it sees deaths. */
static void expect_well(const struct daemon *d)
{
	pid_t pid = start_holder("canary", 0);
	json_t *reply = call(d, MANAGER ".Get", "{\"name\":\"canary\"}");

	must_be(number_of(json_object_get(reply, "object"), "attached"), 1);
	json_decref(reply);
	json_decref(call(d, MANAGER ".List", NULL));
	json_decref(call(d, MANAGER ".ListProcesses", NULL));
	murder(pid);
	await(!exists(d, "canary"));
}

static void path_of(const struct daemon *d, const char *file, char ret[PATH_MAX])
{
	snprintf(ret, PATH_MAX, "%s/%s", d->dir, file);
}

/* ---- locked ---- */

static int lock_for_ever(const struct daemon *d, const char *file, int how)
{
	char path[PATH_MAX];
	path_of(d, file, path);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	must(fd >= 0);
	must_be(flock(fd, how), 0);
	return fd;
}

static void a_locked_object_holds_nobody_up(void **state)
{
	static const int how[] = {LOCK_EX, LOCK_SH};
	struct daemon *d = *state;
	for (int i = 0; i < 2; i++) {
		pid_t pid = start_holder("a", 0);
		int fd = lock_for_ever(d, "a.mutex", how[i]);
		murder(pid);
		expect_well(d);
		json_t *reply = call(d, MANAGER ".Collect", NULL);
		const char *reason = string_of(json_object_get(object_named(reply, "a"), "reclaim"), "reason");
		assert_string_equal(reason, "busy");
		json_decref(reply);
		assert_true(exists(d, "a"));
		/* It does not try for ever; who is told that the lock is gone has it looked at again. */
		if (i == 0)
			await(daemon_logged(d, "is kept locked or open by somebody"));
		close(fd);
		if (i == 0)
			json_decref(call(d, MANAGER ".Collect", NULL));
		await(!exists(d, "a"));
	}
	await(is_clean(d->dir, 0));
}

static const char *tracker_of(const struct daemon *d, pid_t pid)
{
	static char name[NAME_MAX + 16];
	char trackers[PATH_MAX], prefix[16];
	path_of(d, FIPC_TRACKERS, trackers);
	int length = snprintf(prefix, sizeof(prefix), "%d-", (int)pid);
	DIR *dir = opendir(trackers);
	must(dir);
	*name = 0;
	for (struct dirent *e; (e = readdir(dir));)
		if (strncmp(e->d_name, prefix, (size_t)length) == 0)
			snprintf(name, sizeof(name), FIPC_TRACKERS "/%s", e->d_name);
	closedir(dir);
	must(*name);
	return name;
}

/* Whoever may read a tracker can lock it so, and make a dead process look alive to nobody. */
static void a_locked_tracker_is_no_life(void **state)
{
	struct daemon *d = *state;
	char path[PATH_MAX];
	pid_t pid = start_holder("a", 0);
	path_of(d, tracker_of(d, pid), path);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
	assert_true(fd >= 0);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	assert_int_equal(fcntl(fd, F_OFD_SETLK, &lock), -1); /* refused by the living one's */
	murder(pid);
	await(fcntl(fd, F_OFD_SETLK, &lock) == 0);
	await(!exists(d, "a"));
	close(fd);
}

/* ---- files that change under its feet ---- */

struct meddler {
	char path[PATH_MAX];
	struct gate ready;
};

static void resize_and_scribble(void *argument)
{
	const struct meddler *meddler = argument;
	unsigned seed = 1;
	uint64_t good[16];
	int fd = open(meddler->path, O_RDWR | O_CLOEXEC);
	must_be(pread(fd, good, sizeof(good), 0), sizeof(good));
	for (gate_open(&meddler->ready);;) {
		uint64_t words[16];
		memcpy(words, good, sizeof(words));
		words[rand_r(&seed) % 16] ^= (uint64_t)rand_r(&seed) << rand_r(&seed) % 40;
		words[9] |= UINT64_C(0x80000000); /* in the lock word: somebody seems to sleep, which is worth a look */
		must_be(ftruncate(fd, rand_r(&seed) % 2 ? INT64_C(1) << 40 : rand_r(&seed) % 128), 0);
		must_be(pwrite(fd, words, sizeof(words), 0), sizeof(words));
	}
}

static void a_meddled_object_does_it_no_harm(void **state)
{
	struct daemon *d = *state;
	struct meddler meddler;
	pid_t user = start_holder("a", 0);
	uint64_t inode = inode_of(d->dir, "a.mutex");
	path_of(d, "a.mutex", meddler.path);
	gate_make(&meddler.ready);
	pid_t pid = start(resize_and_scribble, &meddler);
	gate_pass(&meddler.ready);
	for (int i = 0; i < LOOKS; i++) {
		json_decref(call(d, MANAGER ".List", NULL));
		json_decref(call(d, MANAGER ".Collect", NULL));
	}
	expect_well(d);
	murder(pid);
	assert_true(inode_of(d->dir, "a.mutex") == inode);
	gate_free(&meddler.ready);
	murder(user);
}

static void plant(const char *path, int kind)
{
	if (kind == 0)
		must_be(mkfifo(path, 0666), 0);
	else if (kind == 1)
		must_be(symlink("/dev/zero", path), 0);
	else if (kind == 2)
		must_be(mkdir(path, 0777), 0);
	else
		close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666)); /* which is news: IN_CLOSE_WRITE */
}

/* Also what is written to, so that it is told; a FIFO that nobody reads. */
static void planted_files_are_left_alone(void **state)
{
	static const char *const names[] = {".procs/1-2", ".procs/x", ".procs/.new-1-x",
					    "b.mutex", "b.mutex.pids", ".new-1-x"};
	struct daemon *d = *state;
	char path[PATH_MAX];
	pid_t user = start_holder("a", 0);
	for (int kind = 0; kind < 4; kind++)
		for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
			path_of(d, names[i], path);
			plant(path, kind);
			int fd = open(path, O_RDWR | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
			if (fd >= 0)
				close(fd);
			expect_well(d);
			json_decref(call(d, MANAGER ".Collect", NULL));
			remove(path);
		}
	assert_true(exists(d, "a"));
	murder(user);
	await(!exists(d, "a"));
}

/* ---- trackers that lie ---- */

static void open_and_lie(void *argument)
{
	const struct daemon *d = ((void **)argument)[0];
	const struct gate *ready = ((void **)argument)[1];
	char path[PATH_MAX];
	uint64_t page[512];
	fipc_mutex *m;
	must_be(fipc_mutex_open(&m, "liar", FIPC_CREATE, 0600), FIPC_CREATED);
	path_of(d, tracker_of(d, getpid()), path);
	int fd = open(path, O_RDWR | O_CLOEXEC);
	must(fd >= 0);
	for (int i = 0; i < 512; i++)
		page[i] = inode_of(d->dir, "a.mutex"); /* that it was attached to this one, and nothing else */
	snprintf((char *)page, 512, "fipc tracker 1\npid: 1\nstart: -9\npidns: x\nuid: 0\ncomm: \x1b[2J\"\xff\\\n");
	must_be(pwrite(fd, page, sizeof(page), 0), sizeof(page));
	gate_open(ready);
	for (;;)
		pause();
}

static void a_lying_tracker_costs_time_not_truth(void **state)
{
	struct daemon *d = *state;
	struct gate ready;
	void *argument[] = {d, &ready};
	pid_t user = start_holder("a", 0);
	gate_make(&ready);
	pid_t pid = start(open_and_lie, argument);
	gate_pass(&ready);
	json_decref(call(d, MANAGER ".ListProcesses", NULL));
	murder(pid);
	await(!exists(d, "liar"));
	assert_true(exists(d, "a"));
	json_t *reply = call(d, MANAGER ".Get", "{\"name\":\"a\"}");
	assert_int_equal(number_of(json_object_get(reply, "object"), "attached"), 1);
	json_decref(reply);
	murder(user);
	await(is_clean(d->dir, 0));
	gate_free(&ready);
}

/* ---- several users ---- */

struct departure {
	uid_t uid;
	unsigned flags;
	struct gate ready, close, closed;
};

static void open_and_close_when_told(void *argument)
{
	struct departure *p = argument;
	fipc_mutex *m;
	become_user(p->uid);
	must_not_fail(fipc_mutex_open(&m, "a", p->flags, 0666));
	gate_open(&p->ready);
	gate_pass(&p->close);
	must_be(fipc_mutex_close(m), 0);
	gate_open(&p->closed);
	for (;;)
		pause();
}

static pid_t departure_begins(struct departure *p)
{
	for (struct gate *g = &p->ready; g <= &p->closed; g++)
		gate_make(g);
	pid_t pid = start(open_and_close_when_told, p);
	gate_pass(&p->ready);
	return pid;
}

/* Bob leaves last what he may not take away. */
static void the_last_one_is_not_the_owner(void **state)
{
	struct daemon *d = *state;
	struct departure alice = {.uid = ALICE, .flags = FIPC_CREATE};
	struct departure bob = {.uid = BOB, .flags = FIPC_ANY_OWNER};
	if (lacks_root("the last one is not the owner"))
		skip();
	pid_t owner = departure_begins(&alice), last = departure_begins(&bob);
	gate_open(&alice.close);
	gate_pass(&alice.closed);
	murder(owner);
	expect_well(d);
	assert_true(exists(d, "a"));
	gate_open(&bob.close);
	gate_pass(&bob.closed);
	assert_true(exists(d, "a"));
	murder(last);
	await(!exists(d, "a"));
	await(is_clean(d->dir, 0));
}

static bool serves(const struct daemon *d)
{
	struct wire_client *client;
	if (wire_client_connect(&client, d->socket, PATIENCE_MS) < 0)
		return false;
	wire_client_free(client);
	return true;
}

static void run_in_user_namespace(void *argument)
{
	const struct daemon *d = argument;
	const char *const arguments[] = {"--socket", d->socket, "--dir", d->dir, NULL};
	if (unshare(CLONE_NEWUSER) < 0)
		_exit(SKIPPED);
	int fd = open("/proc/self/uid_map", O_WRONLY | O_CLOEXEC);
	must(fd >= 0 && dprintf(fd, "0 0 1") > 0);
	close(fd);
	daemon_exec(d, arguments);
}

static void make_and_die(void *argument)
{
	uid_t uid = *(uid_t *)argument;
	fipc_mutex *m;
	become_user(uid);
	must_be(fipc_mutex_open(&m, uid == ALICE ? "alices" : "bobs", FIPC_CREATE, 0600), FIPC_CREATED);
	raise(SIGKILL);
}

static void ask_as_alice(void *daemon)
{
	const struct daemon *d = daemon;
	become_user(ALICE);
	expect_refused(d, MANAGER ".Collect", NULL, MANAGER ".PermissionDenied");
	/* Where both look like the same one, neither is shown the other's. */
	json_t *reply = call(d, MANAGER ".List", NULL);
	for (const char *name = "alices"; *name; name = *name == 'a' ? "bobs" : "") {
		json_t *object = object_named(reply, name);
		must(object && !json_object_get(object, "state") && !json_object_get(object, "creator_pid"));
	}
	json_decref(reply);
}

/* To a daemon in a user namespace all but root may be the same one: it does nothing for him, nor to his things. */
static void unmapped_users_own_nothing(void **state)
{
	struct daemon *d = *state;
	int status = 0;
	uid_t alice = ALICE, bob = BOB;
	skip_under_tsan("it has a thread of its own, and who has two cannot enter a user namespace");
	if (lacks_root("unmapped users"))
		skip();
	must_be(mkdir(d->dir, 01777), 0);
	must_be(chmod(d->dir, 01777), 0);
	d->pid = start(run_in_user_namespace, d);
	await(serves(d) || ended(d->pid, &status, 0));
	if (status == SKIPPED) {
		d->pid = 0;
		skip_aloud("unmapped users", "cannot make a user namespace");
		skip();
	}
	must_be(status, 0);
	must_be(chmod(d->socket, 0666), 0);
	assert_int_equal(in_child(make_and_die, &alice), 128 + SIGKILL);
	assert_int_equal(in_child(make_and_die, &bob), 128 + SIGKILL);
	assert_int_equal(in_child(ask_as_alice, d), 0);
	json_t *reply = call(d, MANAGER ".Collect", NULL);
	json_t *reclaim = json_object_get(object_named(reply, "bobs"), "reclaim");
	assert_string_equal(string_of(reclaim, "reason"), "not-permitted");
	json_decref(reply);
	assert_true(exists(d, "alices") && exists(d, "bobs"));
	assert_int_equal(collect(d->dir), 2);
}

/* ---- two PID namespaces ---- */

struct world {
	const char *name;
	struct gate known, ready;
	pid_t outside, first;
};

static void be_the_first(struct world *w)
{
	fipc_mutex *m;
	gate_pass(&w->known);
	must_be(prctl(PR_SET_PDEATHSIG, SIGKILL), 0);
	must_be(getpid(), 1);
	must_be(fipc_mutex_open(&m, w->name, FIPC_CREATE, 0600), FIPC_CREATED);
	must_be(fipc_mutex_lock(m), 0);
	gate_open(&w->ready);
	for (;;)
		pause();
}

static void make_world(void *argument)
{
	struct world *w = argument;
	must_be(unshare(CLONE_NEWPID), 0);
	pid_t first = fork();
	must(first >= 0);
	if (first == 0)
		be_the_first(w);
	w->first = first;
	gate_open(&w->known);
	int status = finish(first);
	_exit(status);
}

static void world_begins(struct world *w, const char *name)
{
	w->name = name;
	gate_make(&w->known);
	gate_make(&w->ready);
	w->outside = start(make_world, w);
	gate_pass(&w->ready);
}

static void world_dies(struct world *w)
{
	must(w->first > 0);
	must_be(kill(w->first, SIGKILL), 0);
	must_be(finish(w->outside), 128 + SIGKILL);
}

static void two_of_one_pid_are_told_apart(void **state)
{
	struct daemon *d = *state;
	struct world *worlds = share(2 * sizeof(*worlds));
	if (lacks_root("two PID namespaces"))
		skip();
	world_begins(&worlds[0], "one");
	world_begins(&worlds[1], "two");
	json_t *reply = call(d, MANAGER ".Collect", NULL);
	for (int i = 0; i < 2; i++) {
		json_t *object = object_named(reply, worlds[i].name);
		json_t *attachment = json_array_get(json_object_get(object, "attachments"), 0);
		assert_int_equal(number_of(object, "attached"), 1);
		assert_int_equal(number_of(attachment, "pid"), 1);
		assert_string_equal(string_of(attachment, "life"), "alive");
	}
	json_decref(reply);
	world_dies(&worlds[0]);
	await(!exists(d, "one"));
	expect_well(d);
	assert_true(exists(d, "two"));
	reply = call(d, MANAGER ".Get", "{\"name\":\"two\"}");
	assert_string_equal(string_of(json_object_get(json_object_get(reply, "object"), "state"), "state"), "held");
	json_decref(reply);
	world_dies(&worlds[1]);
	await(is_clean(d->dir, 0));
}

int main(void)
{
#define WITH_DAEMON(test) cmocka_unit_test_setup_teardown(test, daemon_set_up, daemon_tear_down)
#define ALONE(test) cmocka_unit_test_setup_teardown(test, daemon_set_up_only, daemon_tear_down)
	const struct CMUnitTest tests[] = {
		WITH_DAEMON(a_locked_object_holds_nobody_up),
		WITH_DAEMON(a_locked_tracker_is_no_life),
		WITH_DAEMON(a_meddled_object_does_it_no_harm),
		WITH_DAEMON(planted_files_are_left_alone),
		WITH_DAEMON(a_lying_tracker_costs_time_not_truth),
		WITH_DAEMON(the_last_one_is_not_the_owner),
		ALONE(unmapped_users_own_nothing),
		WITH_DAEMON(two_of_one_pid_are_told_apart),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
