/* SPDX-License-Identifier: Apache-2.0 */
/* The walk: what it reports, why an object stays or goes, and that saying and doing are the same. */
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { MOST = 64 };

struct seen {
	int n;
	struct fipc_object objects[MOST];
	struct fipc_attachment first[MOST]; /* attachment of each */
	char names[MOST][NAME_MAX];
};

static int see(const struct fipc_object *object, void *context)
{
	struct seen *s = context;

	must(s->n < MOST);
	s->objects[s->n] = *object;
	snprintf(s->names[s->n], NAME_MAX, "%s", object->name);
	if (object->n_attachments)
		s->first[s->n] = object->attachments[0];
	s->n++;
	return 0;
}

static struct seen *walk(const char *dir, unsigned flags, const struct fipc_filter *filter)
{
	static struct seen seen;
	fipc_registry *r;

	seen.n = 0;
	must_be(fipc_registry_open(&r, dir, 0), 0);
	must_be(fipc_registry_walk(r, flags, filter, see, &seen), 0);
	fipc_registry_close(r);
	return &seen;
}

static const struct fipc_object *only(struct seen *s)
{
	must_be(s->n, 1);
	return &s->objects[0];
}

static int see_processes(const struct fipc_process *process, void *context)
{
	struct fipc_process *list = context;

	while (list->pid)
		list++;
	*list = *process;
	return 0;
}

static struct fipc_process *processes(const char *dir, unsigned flags)
{
	static struct fipc_process list[MOST];
	fipc_registry *r;

	memset(list, 0, sizeof(list));
	must_be(fipc_registry_open(&r, dir, 0), 0);
	must_be(fipc_registry_processes(r, flags, see_processes, list), 0);
	fipc_registry_close(r);
	return list;
}

static struct fipc_process *process_of(struct fipc_process *list, pid_t pid)
{
	while (list->pid && list->pid != pid)
		list++;
	return list->pid ? list : NULL;
}

/* ---- words ---- */

static void test_words(void **state)
{
	(void)state;
	assert_string_equal(fipc_life_name(FIPC_UNKNOWN), "unknown");
	assert_string_equal(fipc_life_name(FIPC_ALIVE), "alive");
	assert_string_equal(fipc_life_name(FIPC_DEAD), "dead");
	assert_string_equal(fipc_type_name(FIPC_TYPE_MUTEX), "mutex");
	assert_null(fipc_type_name(0));
	assert_null(fipc_type_name(1000));
	assert_int_equal(fipc_type_from_name("mutex"), FIPC_TYPE_MUTEX);
	assert_int_equal(fipc_type_from_name("mute"), -EINVAL);
	assert_int_equal(fipc_type_from_name(""), -EINVAL);
	for (int reason = FIPC_KEEP_ATTACHED; reason <= FIPC_TAKE_UNFINISHED; reason++) {
		assert_int_equal(fipc_reason_takes(reason), reason >= FIPC_TAKE_UNUSED);
		assert_true(strlen(fipc_reason_name(reason)) > 0);
		assert_true(strlen(fipc_reason_text(reason)) > strlen(fipc_reason_name(reason)));
		assert_null(strchr(fipc_reason_name(reason), ' '));
		for (int other = 0; other < reason; other++)
			assert_string_not_equal(fipc_reason_name(reason), fipc_reason_name(other));
	}
}

IN_CHILD(test_open)
{
	const char *dir = fresh_dir();
	fipc_registry *r = NULL;
	char path[PATH_MAX];

	must_be(fipc_registry_open(&r, "relative", 0), -EINVAL);
	must_be(fipc_registry_open(&r, dir, FIPC_EXCL), -EINVAL);
	snprintf(path, sizeof(path), "%s/new", dir);
	must_be(fipc_registry_open(&r, path, 0), -ENOENT);
	must(r == NULL);
	must_be(fipc_registry_open(&r, path, FIPC_CREATE), 0);
	must_be(strcmp(fipc_registry_dir(r), path), 0);
	must_be(fipc_registry_walk(r, 2, NULL, see, NULL), -EINVAL);
	must_be(fipc_registry_processes(r, 2, NULL, NULL), -EINVAL);
	fipc_registry_close(r);
	fipc_registry_close(NULL);
	snprintf(path, sizeof(path), "%s/file", dir);
	close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	must_be(fipc_registry_open(&r, path, 0), -ENOTDIR);
	memset(path, 'x', 1100);
	path[0] = '/';
	path[1100] = 0;
	must_be(fipc_registry_open(&r, path, 0), -ENAMETOOLONG);
	must_be(fipc_registry_open(&r, NULL, 0), 0);
	must_be(strcmp(fipc_registry_dir(r), dir), 0);
	fipc_registry_close(r);
}

/* ---- one object ---- */

IN_CHILD(test_what_is_said_of_an_object)
{
	const char *dir = fresh_dir();
	struct peer p = {.name = "a", .flags = FIPC_CREATE | FIPC_TIMESTAMPS, .wanted = FIPC_CREATED, .holds = 1};
	const struct fipc_object *o;
	struct seen *s;

	peer_begins(&p);
	s = walk(dir, 0, NULL);
	o = only(s);
	must_be(strcmp(s->names[0], "a"), 0);
	must_be(o->type, FIPC_TYPE_MUTEX);
	must_be(o->uid, geteuid());
	must_be(o->mode, 0600);
	must(o->inode == inode_of(dir, "a.mutex"));
	must_be(o->error, 0);
	must_be(o->flags, FIPC_TIMESTAMPS);
	must_be(o->creator, p.pid);
	must(o->pidns != 0);
	must(o->created_ns > INT64_C(1500000000) * 1000000000);
	must_be(o->mutex.state, FIPC_MUTEX_HELD);
	must_be(o->mutex.owner_pid, p.pid);
	must_be(o->mutex.size, sizeof(o->mutex));
	must_be(o->n_attachments, 1);
	must_be(o->n_alive, 1);
	must_be(s->first[0].life, FIPC_ALIVE);
	must_be(s->first[0].pid, p.pid);
	must_be(s->first[0].current, 1);
	must_be(s->first[0].uid, geteuid());
	must_be(o->reason, FIPC_KEEP_ATTACHED);
	must_be(o->collected, 0);
	peer_dies(&p);
	o = only(walk(dir, 0, NULL));
	must_be(o->n_dead, 1);
	must_be(o->mutex.state, FIPC_MUTEX_DIED);
	must_be(o->reason, FIPC_TAKE_UNUSED);
	must_be(o->collected, 0);
	must_be(o->entries_removed, 0);
	o = only(walk(dir, FIPC_WALK_COLLECT, NULL));
	must_be(o->reason, FIPC_TAKE_UNUSED);
	must_be(o->collected, 1);
	must_be(o->entries_removed, 1);
	must_be(walk(dir, 0, NULL)->n, 0);
	must_become_clean(dir, 0);
}

static void lock_and_wait(void *argument)
{
	must(fipc_mutex_lock(must_open(argument, 0, 0)) >= 0);
}

IN_CHILD(test_sleepers_are_counted)
{
	const char *dir = fresh_dir();
	struct peer p = {.name = "a", .flags = FIPC_CREATE, .wanted = FIPC_CREATED, .holds = 1};
	pid_t waiting;

	peer_begins(&p);
	waiting = start(lock_and_wait, "a");
	await(only(walk(dir, 0, NULL))->mutex.waiters == 1);
	must_be(only(walk(dir, 0, NULL))->n_alive, 2);
	peer_leaves(&p);
	must_be(finish(waiting), 0);
	must_become_clean(dir, 0);
}

/* ---- reasons ---- */

/* A dry run and a collection give the same verdict; what stays, stays. */
static void verdict_is(const char *dir, enum fipc_reason wanted)
{
	must_be(only(walk(dir, 0, NULL))->reason, wanted);
	must_be(only(walk(dir, 0, NULL))->collected, 0);
	must_be(only(walk(dir, FIPC_WALK_COLLECT, NULL))->reason, wanted);
	must_be(walk(dir, 0, NULL)->n, !fipc_reason_takes(wanted));
}

static void make_and_leave(const char *name, unsigned flags)
{
	struct peer p = {.name = name, .flags = FIPC_CREATE | flags, .wanted = FIPC_CREATED};

	peer_begins(&p);
	peer_dies(&p);
}

IN_CHILD(test_persistent)
{
	const char *dir = fresh_dir();

	make_and_leave("a", FIPC_PERSIST);
	must_be(only(walk(dir, 0, NULL))->flags, FIPC_PERSIST);
	verdict_is(dir, FIPC_KEEP_PERSISTENT);
	must_be(fipc_mutex_unlink("a"), 0);
	must_become_clean(dir, 0);
}

IN_CHILD(test_untracked)
{
	const char *dir = fresh_dir();
	char path[PATH_MAX];
	int fd;

	make_and_leave("a", 0);
	snprintf(path, sizeof(path), "%s/a.mutex", dir);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	verdict_is(dir, FIPC_KEEP_UNTRACKED);
	close(fd);
	verdict_is(dir, FIPC_TAKE_UNUSED);
}

IN_CHILD(test_busy)
{
	const char *dir = fresh_dir();
	char path[PATH_MAX];
	int fd;

	make_and_leave("a", 0);
	snprintf(path, sizeof(path), "%s/a.mutex", dir);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	must_be(flock(fd, LOCK_EX), 0);
	verdict_is(dir, FIPC_KEEP_BUSY);
	close(fd);
	verdict_is(dir, FIPC_TAKE_UNUSED);
}

IN_CHILD(test_unknown)
{
	const char *dir = fresh_dir();
	char path[PATH_MAX];

	make_and_leave("a", 0);
	snprintf(path, sizeof(path), "%s/a.mutex.pids/who-knows", dir);
	must_be(mkfifo(path, 0600), 0);
	must_be(only(walk(dir, 0, NULL))->n_unknown, 1);
	verdict_is(dir, FIPC_KEEP_UNKNOWN);
	unlink(path);
	verdict_is(dir, FIPC_TAKE_UNUSED);
}

IN_CHILD(test_damaged)
{
	const char *dir = fresh_dir();
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/a.mutex", dir);
	must_be(mkfifo(path, 0600), 0);
	verdict_is(dir, FIPC_KEEP_DAMAGED);
	unlink(path);
	must_be(symlink("/etc/passwd", path), 0);
	verdict_is(dir, FIPC_KEEP_DAMAGED);
	unlink(path);
	must_be(mkdir(path, 0700), 0);
	verdict_is(dir, FIPC_KEEP_DAMAGED);
	rmdir(path);
	close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	must(only(walk(dir, 0, NULL))->error < 0);
	verdict_is(dir, FIPC_KEEP_DAMAGED);
}

IN_CHILD(test_orphan)
{
	const char *dir = fresh_dir();
	char path[PATH_MAX];

	make_and_leave("a", 0);
	snprintf(path, sizeof(path), "%s/a.mutex", dir);
	unlink(path);
	must(only(walk(dir, 0, NULL))->inode == 0);
	verdict_is(dir, FIPC_TAKE_ORPHAN);
	must_become_clean(dir, 0);
}

IN_CHILD(test_orphan_of_the_living)
{
	const char *dir = fresh_dir();
	struct peer p = {.name = "a", .flags = FIPC_CREATE, .wanted = FIPC_CREATED};

	peer_begins(&p);
	must_be(fipc_mutex_unlink("a"), 0);
	verdict_is(dir, FIPC_KEEP_ATTACHED);
	peer_leaves(&p);
	must_become_clean(dir, 0);
}

IN_CHILD(test_unfinished)
{
	const char *dir = fresh_dir();
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/.new-1-0123456789abcdef", dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	must_be(only(walk(dir, 0, NULL))->type, 0);
	verdict_is(dir, FIPC_KEEP_BUSY);
	close(fd);
	verdict_is(dir, FIPC_TAKE_UNFINISHED);
}

/* Others' files are none of our business, whatever they are called. */
IN_CHILD(test_strangers_are_left_alone)
{
	static const char *const names[] = {"notes.txt", ".hidden", "a.spin", "x.mutex.bak", ".a.mutex", "mutex",
					    "__pyfastipc_x.mutex", "b\n.mutex", "x.pids", "notes.txt.pids"};
	const char *dir = fresh_dir();
	char path[PATH_MAX];

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	}
	must_be(walk(dir, FIPC_WALK_COLLECT, NULL)->n, 0);
	must_be(count_entries(dir), sizeof(names) / sizeof(*names));
}

/* The PID in an entry says nothing: an entry with this process's own, living PID is dead when its tracker is. */
IN_CHILD(test_pid_means_nothing)
{
	const char *dir = fresh_dir();
	char from[PATH_MAX], to[PATH_MAX];
	struct seen *s;

	make_and_leave("a", 0);
	s = walk(dir, 0, NULL);
	snprintf(from, sizeof(from), "%s/a.mutex.pids/%d.%llu.%llu", dir, s->first[0].pid,
		 (unsigned long long)s->first[0].tracker, (unsigned long long)s->objects[0].inode);
	snprintf(to, sizeof(to), "%s/a.mutex.pids/%d.%llu.%llu", dir, (int)getpid(),
		 (unsigned long long)s->first[0].tracker, (unsigned long long)s->objects[0].inode);
	must_be(rename(from, to), 0);
	must_be(walk(dir, 0, NULL)->first[0].pid, getpid());
	verdict_is(dir, FIPC_TAKE_UNUSED);
	must_become_clean(dir, 0);
}

/* ---- several ---- */

static int stop_at_second(const struct fipc_object *object, void *context)
{
	(void)object;
	return ++*(int *)context == 2 ? 42 : 0;
}

IN_CHILD(test_order_and_filter)
{
	static const char *const names[] = {"beta", "alpha", "gamma", "alpha2"};
	const char *dir = fresh_dir();
	struct fipc_filter by_pattern = {.pattern = "alpha*"}, by_type = {.type = FIPC_TYPE_MUTEX};
	struct fipc_filter by_owner = {.by_owner = 1, .owner = geteuid() + 1}, by_inode = {.n_inodes = 1};
	uint64_t inode;
	fipc_registry *r;
	int n = 0;
	struct seen *s;

	for (size_t i = 0; i < 4; i++)
		make_and_leave(names[i], 0);
	s = walk(dir, 0, NULL);
	must_be(s->n, 4);
	must_be(strcmp(s->names[0], "alpha") + strcmp(s->names[3], "gamma"), 0);
	for (int i = 1; i < 4; i++)
		must(strcmp(s->names[i - 1], s->names[i]) < 0);
	must_be(walk(dir, 0, &by_type)->n, 4);
	must_be(walk(dir, FIPC_WALK_COLLECT, &by_owner)->n, 0);
	inode = inode_of(dir, "beta.mutex");
	by_inode.inodes = &inode;
	s = walk(dir, FIPC_WALK_COLLECT, &by_inode);
	must_be(s->n, 1);
	must_be(strcmp(s->names[0], "beta"), 0);
	must_be(fipc_registry_open(&r, dir, 0), 0);
	must_be(fipc_registry_walk(r, 0, NULL, stop_at_second, &n), 42);
	must_be(n, 2);
	fipc_registry_close(r);
	must_be(walk(dir, FIPC_WALK_COLLECT, &by_pattern)->n, 2);
	s = walk(dir, 0, NULL);
	must_be(s->n, 1);
	must_be(strcmp(s->names[0], "gamma"), 0);
	must_become_clean(dir, 0);
}

/* ---- processes ---- */

IN_CHILD(test_processes)
{
	const char *dir = fresh_dir();
	struct peer p = {.name = "a", .flags = FIPC_CREATE, .wanted = FIPC_CREATED};
	struct fipc_process *of;
	char comm[16];

	must_be(processes(dir, 0)->pid, 0);
	peer_begins(&p);
	of = process_of(processes(dir, 0), p.pid);
	must(of != NULL);
	must_be(of->life, FIPC_ALIVE);
	must_be(of->uid, geteuid());
	must_be(of->attachments, 1);
	must(of->tracker != 0 && of->start != 0 && of->pidns != 0);
	must_be(prctl(PR_GET_NAME, comm), 0); /* under valgrind it is valgrind's */
	must_be(strcmp(of->comm, comm), 0);
	must(process_of(processes(dir, FIPC_WALK_COLLECT), p.pid) != NULL);
	peer_dies(&p);
	must_be(process_of(processes(dir, 0), p.pid)->life, FIPC_DEAD);
	must_be(process_of(processes(dir, FIPC_WALK_COLLECT), p.pid)->attachments, 1); /* and so it stays */
	must(process_of(processes(dir, 0), p.pid) != NULL);
	walk(dir, FIPC_WALK_COLLECT, NULL);
	must_be(process_of(processes(dir, FIPC_WALK_COLLECT), p.pid)->attachments, 0);
	must(process_of(processes(dir, 0), p.pid) == NULL);
	must_be(is_clean(dir, 0), 1);
}

/* ---- reclaim ---- */

enum { HELD = 500 }; /* more than a tracker has room for hints */

static void hold_many(void *argument)
{
	const struct gate *ready = argument;
	char name[32];

	for (int i = 0; i < HELD; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		must_be(fipc_mutex_lock(must_open(name, FIPC_CREATE, FIPC_CREATED)), 0);
	}
	gate_open(ready);
	for (;;)
		pause();
}

static void tracker_name(const char *dir, pid_t pid, char ret[64])
{
	const struct fipc_process *p = process_of(processes(dir, 0), pid);

	must(p != NULL);
	snprintf(ret, 64, "%d-%llu", (int)pid, (unsigned long long)p->tracker);
}

static void reclaim_is(const char *dir, const char *tracker, int wanted, int objects)
{
	fipc_registry *r;
	int n = 0;

	must_be(fipc_registry_open(&r, dir, 0), 0);
	must_be(fipc_registry_reclaim(r, tracker, NULL, &n), wanted);
	fipc_registry_close(r);
	must_be(walk(dir, 0, NULL)->n, objects);
}

IN_CHILD(test_reclaim)
{
	const char *dir = fresh_dir();
	struct peer a = {.name = "a", .flags = FIPC_CREATE, .wanted = FIPC_CREATED, .holds = 1};
	struct peer b = {.name = "b", .flags = FIPC_CREATE, .wanted = FIPC_CREATED};
	char tracker[64];

	peer_begins(&a);
	peer_begins(&b);
	tracker_name(dir, a.pid, tracker);
	reclaim_is(dir, tracker, 0, 2);
	peer_dies(&a);
	reclaim_is(dir, tracker, 1, 1);
	reclaim_is(dir, tracker, 0, 1);
	reclaim_is(dir, "nonsense", 0, 1);
	reclaim_is(dir, "../b.mutex", 0, 1);
	reclaim_is(dir, "1-1", 0, 1);
	reclaim_is(dir, "", 0, 1);
	must(process_of(processes(dir, 0), a.pid) == NULL);
	peer_leaves(&b);
	must_become_clean(dir, 0);
}

IN_CHILD(test_reclaim_of_many)
{
	const char *dir = fresh_dir();
	struct gate ready;
	char tracker[64];
	pid_t pid;

	gate_make(&ready);
	pid = start(hold_many, &ready);
	gate_pass(&ready);
	tracker_name(dir, pid, tracker);
	murder(pid);
	reclaim_is(dir, tracker, 1, 0);
	must_be(is_clean(dir, 0), 1);
}

/* One dies, others stay attached to the same object. */
IN_CHILD(test_reclaim_leaves_the_living)
{
	const char *dir = fresh_dir();
	struct peer a = {.name = "a", .flags = FIPC_CREATE, .wanted = FIPC_CREATED, .holds = 1};
	struct peer b = {.name = "a"};
	char tracker[64];
	const struct fipc_object *o;

	peer_begins(&a);
	peer_begins(&b);
	tracker_name(dir, a.pid, tracker);
	peer_dies(&a);
	reclaim_is(dir, tracker, 1, 1);
	o = only(walk(dir, 0, NULL));
	must_be(o->n_attachments, 1);
	must_be(o->n_alive, 1);
	must_be(o->mutex.state, FIPC_MUTEX_DIED);
	must_be(b.pid, walk(dir, 0, NULL)->first[0].pid);
	peer_dies(&b);
	must_become_clean(dir, 0);
}

static int count_steps(const struct fipc_object *object, void *context)
{
	(void)object;
	++*(unsigned *)context;
	return 0;
}

IN_CHILD(test_walk_in_steps)
{
	fipc_registry *r;
	fipc_walk *w;
	unsigned n = 0, steps = 0;
	const char *dir = fresh_dir();

	must_open("a", FIPC_CREATE, FIPC_CREATED);
	must_open("b", FIPC_CREATE, FIPC_CREATED);
	must_open("c", FIPC_CREATE, FIPC_CREATED);
	must_be(fipc_registry_open(&r, dir, 0), 0);
	must_be(fipc_walk_open(&w, r, ~0U, NULL), -EINVAL);
	must_be(fipc_walk_open(&w, r, 0, NULL), 0);
	for (; !fipc_walk_is_over(w); steps++) {
		unsigned before = n;

		must_be(fipc_walk_step(w, 1, count_steps, &n), 0);
		must(n - before <= 1);
	}
	must_be(n, 3);
	must(steps >= 3);
	fipc_walk_close(w);
	fipc_walk_close(NULL);
	fipc_registry_close(r);
}

/* By its inode: what was put in its place is left alone. */
IN_CHILD(test_intervene)
{
	const char *dir = fresh_dir();
	fipc_registry *r;
	fipc_mutex *m = must_open("a", FIPC_CREATE, FIPC_CREATED);
	uint64_t inode = inode_of(dir, "a.mutex");

	must_be(fipc_registry_open(&r, dir, 0), 0);
	must_be(fipc_registry_revoke(r, "a", FIPC_TYPE_MUTEX, inode), -ESRCH);
	must_be(fipc_mutex_lock(m), 0);
	must_be(fipc_registry_revoke(r, "a", FIPC_TYPE_MUTEX, inode + 1), -ENOENT);
	must_be(fipc_registry_revoke(r, "a", FIPC_TYPE_SEM, 0), -EOPNOTSUPP);
	must_be(fipc_registry_revoke(r, "../a", FIPC_TYPE_MUTEX, 0), -EINVAL);
	must_be(fipc_registry_revoke(r, "b", FIPC_TYPE_MUTEX, 0), -ENOENT);
	must_be(fipc_registry_revoke(r, "a", FIPC_TYPE_MUTEX, inode), 0);
	must_be(state_of(m), FIPC_MUTEX_NOT_RECOVERABLE);
	must_be(fipc_mutex_unlock(m), 0);
	must_be(fipc_registry_unlink(r, "a", FIPC_TYPE_MUTEX, inode + 1), -ENOENT);
	must(inode_of(dir, "a.mutex") == inode);
	must_be(fipc_registry_unlink(r, "a", FIPC_TYPE_MUTEX, inode), 0);
	must(inode_of(dir, "a.mutex") == 0);
	must_be(fipc_registry_unlink(r, "a", FIPC_TYPE_MUTEX, 0), -ENOENT);
	must_be(fipc_registry_unlink(r, "a", (enum fipc_type)0, 0), -EINVAL);
	must_be(fipc_mutex_close(m), 0);
	fipc_registry_close(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_open),
		cmocka_unit_test(test_what_is_said_of_an_object),
		cmocka_unit_test(test_sleepers_are_counted),
		cmocka_unit_test(test_persistent),
		cmocka_unit_test(test_untracked),
		cmocka_unit_test(test_busy),
		cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_orphan),
		cmocka_unit_test(test_orphan_of_the_living),
		cmocka_unit_test(test_unfinished),
		cmocka_unit_test(test_strangers_are_left_alone),
		cmocka_unit_test(test_pid_means_nothing),
		cmocka_unit_test(test_order_and_filter),
		cmocka_unit_test(test_processes),
		cmocka_unit_test(test_reclaim),
		cmocka_unit_test(test_reclaim_of_many),
		cmocka_unit_test(test_reclaim_leaves_the_living),
		cmocka_unit_test(test_walk_in_steps),
		cmocka_unit_test(test_intervene),
	};

	test_dir();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
