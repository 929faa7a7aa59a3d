/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One directory, several namespaces. Of PIDs: processes that both call themselves 1, and one that has got the PID of
 * one who died. Of users: owners who have no number here, and all look like the same stranger.
 */
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { ALICE = 1001, BOB = 1002, NOBODY = 65534, MOST = 8 };

static int try_open(const char *name, unsigned flags)
{
	fipc_mutex *m;
	int r = fipc_mutex_open(&m, name, flags, 0666);

	if (r >= 0)
		must_be(fipc_mutex_close(m), 0);
	return r;
}

/* What a walk says of one object. */
struct look {
	const char *name;
	bool met;
	struct fipc_object object;
	struct fipc_attachment attachments[MOST];
};

static int note(const struct fipc_object *object, void *context)
{
	struct look *l = context;

	if (strcmp(object->name, l->name) != 0)
		return 0;
	must(object->n_attachments <= MOST);
	l->met = true;
	l->object = *object;
	for (unsigned i = 0; i < object->n_attachments; i++)
		l->attachments[i] = object->attachments[i];
	return 0;
}

static struct look look_at(const char *dir, const char *name)
{
	struct look l = {.name = name};
	fipc_registry *r;

	must_be(fipc_registry_open(&r, dir, 0), 0);
	must_be(fipc_registry_walk(r, 0, NULL, note, &l), 0);
	fipc_registry_close(r);
	must(l.met);
	return l;
}

/* ---- the first process of a PID namespace ---- */

enum proc { INHERITED, OWN, NONE }; /* its /proc: the one outside, as a container has it, or covered */

struct world {
	const char *dir, *own, *other;
	enum proc proc;
	void (*body)(struct world *w);
	struct gate known, ready, go;
	pid_t outside, first; /* who waits for the first process; and that one, as we see it */
	pid_t free_pid;       /* that nobody has outside */
	unsigned long rounds;
};

static void enter(const struct world *w)
{
	must_be(prctl(PR_SET_PDEATHSIG, SIGKILL), 0);
	must_be(getpid(), 1);
	if (w->proc != INHERITED)
		must(unshare(CLONE_NEWNS) == 0 && mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) == 0 &&
		     mount("none", "/proc", w->proc == OWN ? "proc" : "tmpfs", 0, NULL) == 0);
}

static void make_world(void *argument)
{
	struct world *w = argument;
	pid_t first;
	int status;

	must_be(unshare(CLONE_NEWPID), 0);
	first = fork(); /* not start(): it looks for its parent's PID */
	must(first >= 0);
	if (first == 0) {
		gate_pass(&w->known);
		enter(w);
		w->body(w);
		_exit(0);
	}
	w->first = first;
	gate_open(&w->known);
	while (waitpid(first, &status, 0) < 0)
		must(errno == EINTR);
	_exit(WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
}

static void world_begins(struct world *w)
{
	w->outside = start(make_world, w);
	gate_pass(&w->ready);
}

static void world_dies(struct world *w)
{
	must(w->first > 0);
	must_be(kill(w->first, SIGKILL), 0);
	must_be(finish(w->outside), 128 + SIGKILL);
}

static struct world *two_worlds(const char *dir, void (*body)(struct world *w))
{
	struct world *worlds = share(2 * sizeof(*worlds));

	for (int i = 0; i < 2; i++) {
		worlds[i].dir = dir;
		worlds[i].own = i ? "two" : "one";
		worlds[i].other = i ? "one" : "two";
		worlds[i].proc = i ? OWN : INHERITED;
		worlds[i].body = body;
		gate_make(&worlds[i].known);
		gate_make(&worlds[i].ready);
		gate_make(&worlds[i].go);
	}
	return worlds;
}

/* ---- two who are both 1 ---- */

/* The other one's mutex is held by a process 1 whose TID is 1, as is ours: nothing here may take them for one. */
static fipc_mutex *meet_the_other(struct world *w)
{
	struct fipc_mutex_info info;
	fipc_mutex *view;

	must_be(try_open(w->other, 0), -EXDEV);
	must_be(try_open(w->other, FIPC_CREATE), -EXDEV);
	must_be(try_open(w->other, FIPC_CREATE | FIPC_EXCL), -EEXIST);
	must_be(collect(w->dir), 0);
	must_be(fipc_mutex_open(&view, w->other, FIPC_READONLY, 0), 0);
	must_be(fipc_mutex_info(view, &info, sizeof(info)), 0);
	must_be(info.state, FIPC_MUTEX_HELD);
	must_be(info.owner_tid, 1);
	return view;
}

static void live_beside_the_other(struct world *w)
{
	fipc_mutex *m = must_open(w->own, FIPC_CREATE, FIPC_CREATED), *view;

	must_be(fipc_mutex_lock(m), 0);
	gate_open(&w->ready);
	gate_pass(&w->go);
	view = meet_the_other(w);
	gate_open(&w->ready);
	gate_pass(&w->go);
	must_be(fipc_mutex_unlock(m), 0);
	must_be(fipc_mutex_close(m), 0);
	must_be(fipc_mutex_close(view), 0);
}

static void expect_both_attached(const char *dir, const char *name)
{
	struct look l = look_at(dir, name);

	must_be(l.object.creator, 1);
	must_be(l.object.n_attachments, 2);
	must_be(l.object.n_alive, 2);
	must_be(l.attachments[0].pid, 1);
	must_be(l.attachments[1].pid, 1);
	must(l.attachments[0].tracker != l.attachments[1].tracker);
	must_be(l.object.reason, FIPC_KEEP_ATTACHED);
}

#ifndef PIDFD_GET_PID_NAMESPACE
#define PIDFD_GET_PID_NAMESPACE _IO(0xff, 5) /* <linux/pidfd.h> of 6.11 */
#endif

static bool pidfd_tells_the_namespace(void)
{
	int pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
	int ns = pidfd < 0 ? -1 : ioctl(pidfd, PIDFD_GET_PID_NAMESPACE, 0);

	if (ns >= 0)
		close(ns);
	if (pidfd >= 0)
		close(pidfd);
	return ns >= 0;
}

static void live_side_by_side(const char *dir, struct world *worlds)
{
	world_begins(&worlds[0]);
	world_begins(&worlds[1]);
	must(look_at(dir, "one").object.pidns != look_at(dir, "two").object.pidns);
	for (int i = 0; i < 2; i++)
		gate_open(&worlds[i].go);
	for (int i = 0; i < 2; i++)
		gate_pass(&worlds[i].ready);
	must_be(try_open("one", 0), -EXDEV);
	must_be(try_open("two", FIPC_CREATE), -EXDEV);
	expect_both_attached(dir, "one");
	expect_both_attached(dir, "two");
	must_be(collect(dir), 0);
	expect_both_attached(dir, "one");
	world_dies(&worlds[0]);
	must_be(look_at(dir, "two").object.n_dead, 1);
	must_be(look_at(dir, "one").object.mutex.state, FIPC_MUTEX_DIED);
	must_be(collect(dir), 0); /* it is looked at from the other one, who lives */
	must_be(look_at(dir, "one").object.n_alive, 1);
	must_be(look_at(dir, "two").object.n_alive, 1);
	must_be(look_at(dir, "two").object.mutex.state, FIPC_MUTEX_HELD);
	gate_open(&worlds[1].go);
	must_be(finish(worlds[1].outside), 0);
	must(inode_of(dir, "one.mutex") == 0 && inode_of(dir, "two.mutex") == 0);
	must_become_clean(dir, 1);
}

IN_CHILD(test_equal_pids)
{
	const char *dir = fresh_dir();

	needs_root("two PID namespaces");
	live_side_by_side(dir, two_worlds(dir, live_beside_the_other));
}

/* Where nothing is there to read it from, a process's namespace is told by a pidfd of it, since Linux 6.11. */
IN_CHILD(test_equal_pids_without_proc)
{
	const char *dir = fresh_dir();
	struct world *worlds;

	needs_root("two PID namespaces");
	if (!pidfd_tells_the_namespace()) {
		skip_aloud("two PID namespaces without /proc", "this kernel, or valgrind, does not tell them apart");
		_exit(SKIPPED);
	}
	worlds = two_worlds(dir, live_beside_the_other);
	worlds[0].proc = worlds[1].proc = NONE;
	live_side_by_side(dir, worlds);
}

/* ---- and all the time ---- */

enum { DEATHS = 40 };

static void collect_until_killed(void *dir)
{
	for (;;)
		collect(dir);
}

/* Process 1 opens and closes, 2 collects. Who has a name open gets the same object by it, whoever collects. */
static void come_and_go(struct world *w)
{
	start(collect_until_killed, (void *)(uintptr_t)w->dir);
	for (gate_open(&w->ready);; w->rounds++) {
		fipc_mutex *m, *again;

		must_not_fail(fipc_mutex_open(&m, w->own, FIPC_CREATE, 0600));
		must(fipc_mutex_lock(m) >= 0);
		must(try_open(w->other, 0) < 0); /* there, and not for us; or gone */
		must_be(fipc_mutex_open(&again, w->own, 0, 0), 0);
		must(again == m);
		must_be(fipc_mutex_close(again), 0);
		must(fipc_mutex_consistent(m) <= 0);
		must_be(fipc_mutex_unlock(m), 0);
		must_be(fipc_mutex_close(m), 0);
	}
}

IN_CHILD(test_equal_pids_all_the_time)
{
	const char *dir = fresh_dir();
	struct world *worlds;

	needs_root("two PID namespaces");
	worlds = two_worlds(dir, come_and_go);
	world_begins(&worlds[0]);
	world_begins(&worlds[1]);
	for (int i = 0; i < DEATHS; i++) {
		struct world *w = &worlds[i % 2], *other = &worlds[1 - i % 2];
		unsigned long rounds = *(volatile unsigned long *)&other->rounds;

		collect(dir);
		await(*(volatile unsigned long *)&other->rounds > rounds + 3);
		world_dies(w);
		world_begins(w);
	}
	world_dies(&worlds[0]);
	world_dies(&worlds[1]);
	must_become_clean(dir, 0);
}

/* ---- a PID that is used again ---- */

#define NS_LAST_PID "/proc/sys/kernel/ns_last_pid"

struct successor {
	struct gate ready, go;
	bool opens;    /* the same name, else it never calls the library */
	bool is_first; /* nobody had the name before */
};

static void succeed(struct successor *s)
{
	fipc_mutex *m = s->opens ? must_open("a", FIPC_CREATE, s->is_first ? FIPC_CREATED : 0) : NULL;

	gate_open(&s->ready);
	gate_pass(&s->go);
	if (!m)
		return;
	must_be(fipc_mutex_lock(m), s->is_first ? 0 : FIPC_OWNER_DIED);
	must_be(s->is_first ? 0 : fipc_mutex_consistent(m), 0);
	must_be(fipc_mutex_unlock(m), 0);
	must_be(fipc_mutex_close(m), 0);
}

static bool write_number(const char *path, int number)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && dprintf(fd, "%d", number) > 0;

	if (fd >= 0)
		close(fd);
	return ok;
}

/* A child of that PID, which nobody has; in this namespace nobody else forks. */
static pid_t start_as(pid_t wanted, struct successor *s)
{
	for (int i = 0; i < 100; i++) {
		pid_t pid;

		if (!write_number(NS_LAST_PID, wanted - 1)) {
			skip_aloud("a PID that is used again", "cannot choose the next PID");
			_exit(SKIPPED);
		}
		pid = fork();
		must(pid >= 0);
		if (pid == 0) {
			if (getpid() != wanted)
				_exit(0);
			succeed(s);
			_exit(0);
		}
		if (pid == wanted)
			return pid;
		finish(pid);
	}
	must_fail(__FILE__, __LINE__, "a child of the wanted PID", wanted);
}

static void hold_and_die(void *argument)
{
	fipc_mutex *m;

	(void)argument;
	must_not_fail(fipc_mutex_open(&m, "a", FIPC_CREATE, 0600));
	must_be(fipc_mutex_lock(m), 0);
	raise(SIGKILL);
}

static pid_t make_a_dead_one(void)
{
	pid_t pid = start(hold_and_die, NULL);

	must_be(finish(pid), 128 + SIGKILL);
	return pid;
}

static void tell_of_the_death(const char *dir, const struct fipc_attachment *dead)
{
	fipc_registry *r;
	char tracker[64];

	snprintf(tracker, sizeof(tracker), "%d-%llu", dead->pid, (unsigned long long)dead->tracker);
	must_be(fipc_registry_open(&r, dir, 0), 0);
	must_be(fipc_registry_reclaim(r, tracker, NULL, NULL), 1);
	fipc_registry_close(r);
}

/* Whose PID lives is dead all the same. */
static void be_succeeded_by_a_stranger(struct world *w)
{
	struct successor s = {.opens = false};
	struct look l;
	pid_t pid;

	gate_make(&s.ready);
	gate_make(&s.go);
	pid = start_as(make_a_dead_one(), &s);
	gate_pass(&s.ready);
	l = look_at(w->dir, "a");
	must_be(l.object.n_attachments, 1);
	must_be(l.attachments[0].pid, pid);
	must_be(l.attachments[0].life, FIPC_DEAD);
	must_be(l.object.reason, FIPC_TAKE_UNUSED);
	must_be(collect(w->dir), 1);
	gate_open(&s.go);
	must_be(finish(pid), 0);
	must_become_clean(w->dir, 0);
}

/* And whose PID somebody died with is alive. */
static void be_succeeded_by_a_user(struct world *w)
{
	struct peer keeper = {.name = "a", .flags = FIPC_CREATE, .wanted = FIPC_CREATED};
	struct successor s = {.opens = true};
	struct look l;
	pid_t pid;

	gate_make(&s.ready);
	gate_make(&s.go);
	peer_begins(&keeper); /* else the next one would find what the dead one left, and take it away */
	pid = start_as(make_a_dead_one(), &s);
	gate_pass(&s.ready);
	l = look_at(w->dir, "a");
	for (unsigned i = 0; i < l.object.n_attachments; i++)
		if (l.attachments[i].life == FIPC_DEAD)
			tell_of_the_death(w->dir, &l.attachments[i]);
	l = look_at(w->dir, "a");
	must_be(l.object.n_dead, 0);
	must_be(l.object.n_alive, 2);
	must_be(collect(w->dir), 0);
	gate_open(&s.go);
	must_be(finish(pid), 0);
	peer_leaves(&keeper);
}

/* Alive, and nobody outside has that PID. */
static void use_a_pid_of_its_own(struct world *w)
{
	struct successor s = {.opens = true, .is_first = true};
	pid_t pid;

	gate_make(&s.ready);
	gate_make(&s.go);
	pid = start_as(w->free_pid, &s);
	gate_pass(&s.ready);
	gate_open(&w->ready);
	gate_pass(&w->go);
	gate_open(&s.go);
	must_be(finish(pid), 0);
}

static void use_pids_again(struct world *w)
{
	be_succeeded_by_a_stranger(w);
	be_succeeded_by_a_user(w);
}

static void skip_if_skipped(int status)
{
	if (status == SKIPPED)
		_exit(SKIPPED);
	must_be(status, 0);
}

IN_CHILD(test_pid_is_used_again)
{
	const char *dir = fresh_dir();

	needs_root("a PID that is used again");
	skip_if_skipped(in_child(make_world, &two_worlds(dir, use_pids_again)[0]));
	must_become_clean(dir, 0);
}

IN_CHILD(test_pid_unknown_outside)
{
	const char *dir = fresh_dir();
	struct world *w;
	int status = 0;

	needs_root("a PID that nobody has outside");
	w = &two_worlds(dir, use_a_pid_of_its_own)[0];
	for (w->free_pid = 20000; kill(w->free_pid, 0) == 0;)
		w->free_pid++;
	w->outside = start(make_world, w);
	await(gate_try(&w->ready, 0) || ended(w->outside, &status, 0));
	skip_if_skipped(status);
	must_be(look_at(dir, "a").object.n_alive, 1);
	must_be(collect(dir), 0);
	must_be(try_open("a", FIPC_CREATE), -EXDEV);
	gate_open(&w->go);
	must_be(finish(w->outside), 0);
	must_become_clean(dir, 1);
}

/* ---- users without a number ---- */

static void become(uid_t uid)
{
	become_user(uid);
	must_be(prctl(PR_SET_DUMPABLE, 1), 0); /* else its /proc/self is root's */
}

static bool enter_user_namespace(const char *map)
{
	int fd;

	if (unshare(CLONE_NEWUSER) < 0)
		return false;
	if (!map)
		return true;
	fd = open("/proc/self/uid_map", O_WRONLY | O_CLOEXEC);
	must(fd >= 0 && dprintf(fd, "%s", map) > 0);
	close(fd);
	return true;
}

/* Alice, root and Bob each have made an object, and stay; and one of Bob's is there whose user is dead. */
struct crowd {
	const char *dir, *map;
	uid_t seen_as; /* what Alice is called inside */
	struct gate ready, leave;
};

struct maker {
	const struct crowd *crowd;
	uid_t uid;
	const char *name;
	bool dies;
};

static void make_and_stay(void *argument)
{
	const struct maker *maker = argument;
	fipc_mutex *m;

	become(maker->uid);
	must_be(fipc_mutex_open(&m, maker->name, FIPC_CREATE, 0666), FIPC_CREATED);
	must_be(fipc_mutex_lock(m), 0);
	gate_open(&maker->crowd->ready);
	if (maker->dies)
		raise(SIGKILL);
	must_be(fipc_mutex_unlock(m), 0);
	gate_pass(&maker->crowd->leave);
	must_be(fipc_mutex_close(m), 0);
}

static pid_t maker_begins(const struct crowd *crowd, uid_t uid, const char *name, bool dies)
{
	struct maker maker = {crowd, uid, name, dies};
	pid_t pid = start(make_and_stay, &maker);

	gate_pass(&crowd->ready);
	return pid;
}

/* Who has no number is no friend: neither as the owner of an object nor as oneself. */
static void use_as_alice(const struct crowd *c)
{
	bool known = c->seen_as != NOBODY;
	fipc_mutex *m;

	must_be(try_open("bobs", 0), -EPERM);
	must_be(try_open("bobs", FIPC_CREATE), -EPERM);
	must_be(try_open("roots", 0), -EPERM); /* the real root is nobody here, and the one here is Alice */
	must_be(try_open("bobs", FIPC_ANY_OWNER), 0);
	must_be(fipc_mutex_open(&m, "dead", FIPC_ANY_OWNER, 0), 0); /* not hers to take away */
	must_be(fipc_mutex_lock(m), FIPC_OWNER_DIED);
	must_be(fipc_mutex_consistent(m), 0);
	must_be(fipc_mutex_unlock(m), 0);
	must_be(fipc_mutex_close(m), 0);
	must_be(try_open("alices", 0), known ? 0 : -EPERM);
	must_be(try_open("alices", FIPC_ANY_OWNER), 0);
	must(fipc_mutex_unlink("bobs") < 0 && fipc_mutex_unlink("roots") < 0);
	must_be(collect(c->dir), 0);
	must_be(try_open("own", FIPC_CREATE), FIPC_CREATED);
}

static void go_in_and_use(void *argument)
{
	const struct crowd *c = argument;

	become(ALICE);
	if (!enter_user_namespace(c->map)) {
		skip_aloud("a user namespace", "cannot make one");
		_exit(SKIPPED);
	}
	must_be(geteuid(), c->seen_as);
	use_as_alice(c);
}

static void use_from_inside(const char *map, uid_t seen_as)
{
	struct crowd c = {fresh_dir(), map, seen_as, {{0}}, {{0}}};
	pid_t stays[3], dies;
	int status;

	gate_make(&c.ready);
	gate_make(&c.leave);
	stays[0] = maker_begins(&c, ALICE, "alices", false);
	stays[1] = maker_begins(&c, BOB, "bobs", false);
	stays[2] = maker_begins(&c, 0, "roots", false);
	dies = maker_begins(&c, BOB, "dead", true);
	must_be(finish(dies), 128 + SIGKILL);
	status = in_child(go_in_and_use, &c);
	skip_if_skipped(status);
	must(inode_of(c.dir, "dead.mutex") != 0);
	must_be(collect(c.dir), 1);
	for (int i = 0; i < 3; i++)
		gate_open(&c.leave);
	for (int i = 0; i < 3; i++)
		must_be(finish(stays[i]), 0);
	must_become_clean(c.dir, 0);
}

IN_CHILD(test_root_of_a_user_namespace)
{
	needs_root("a user namespace");
	skip_child_under_tsan("it has a thread of its own, and who has two cannot enter a user namespace");
	use_from_inside("0 1001 1", 0);
}

IN_CHILD(test_unmapped_users)
{
	needs_root("a user namespace");
	skip_child_under_tsan("it has a thread of its own, and who has two cannot enter a user namespace");
	use_from_inside(NULL, NOBODY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_equal_pids),
		cmocka_unit_test(test_equal_pids_without_proc),
		cmocka_unit_test(test_equal_pids_all_the_time),
		cmocka_unit_test(test_pid_is_used_again),
		cmocka_unit_test(test_pid_unknown_outside),
		cmocka_unit_test(test_root_of_a_user_namespace),
		cmocka_unit_test(test_unmapped_users),
	};

	test_dir();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
