/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Those who only look: at a mutex, at the directory. They see everything in order, and nobody takes them for users:
 * what the dead left is made anew, and the last one out takes his object away, while somebody looks all the time.
 *
 * One who looks may lose the processor while he has a file open. Nobody waits for that longer than a millisecond or
 * two, and what is left then is for the next one: so some rounds may end otherwise, one in ten where a machine has
 * three times as much to do as it can.
 */
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

enum { ROUNDS = 200, UNLUCKY = ROUNDS / 4, CHILDREN = 40 };

/* ---- what they see ---- */

static void test_info_of_nothing(void **state)
{
	struct fipc_mutex_info info;

	(void)state;
	assert_int_equal(fipc_mutex_info(NULL, &info, sizeof(info)), -EINVAL);
}

static int append_name(const struct fipc_object *object, void *context)
{
	strcat(strcat(context, object->name), " ");
	return 0;
}

/* By name, which is not the order of the file names: '-' comes before the '.' of a type. */
IN_CHILD(test_order_of_names)
{
	static const char *const names[] = {"a.b", "a-b", "a0", "a"};
	const char *dir = fresh_dir();
	char seen[100] = "";
	fipc_registry *r;

	for (int i = 0; i < 4; i++)
		must_open(names[i], FIPC_CREATE, FIPC_CREATED);
	must_be(fipc_registry_open(&r, dir, 0), 0);
	must_be(fipc_registry_walk(r, 0, NULL, append_name, seen), 0);
	fipc_registry_close(r);
	must_be(strcmp(seen, "a a-b a.b a0 "), 0);
}

/* ---- what they must not do ---- */

struct looker {
	char path[PATH_MAX];
	struct gate ready;
	pid_t pid;
};

static void list_all_the_time(void *argument)
{
	struct looker *l = argument;
	fipc_registry *r;

	must_be(fipc_registry_open(&r, l->path, 0), 0);
	for (gate_open(&l->ready);;)
		must_be(fipc_registry_walk(r, 0, NULL, NULL, NULL), 0);
}

/* What a list does to one object, with a better chance to be met doing it. */
static void glance_all_the_time(void *argument)
{
	struct looker *l = argument;

	for (gate_open(&l->ready);;) {
		int fd = open(l->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

		nap_us(100);
		if (fd >= 0)
			close(fd);
		nap_us(20);
	}
}

static void looker_begins(struct looker *l, void (*body)(void *))
{
	gate_make(&l->ready);
	l->pid = start(body, l);
	gate_pass(&l->ready);
}

static void looker_ends(struct looker *l)
{
	murder(l->pid);
	gate_free(&l->ready);
}

static void hold_and_die(void *argument)
{
	must_be(fipc_mutex_lock(must_open(argument, FIPC_CREATE, FIPC_CREATED)), 0);
	raise(SIGKILL);
}

/* How often an open beside one who lists says `wrong`, and not `right`, of what a dead process has left. */
static int count_wrong(unsigned flags, int right, int wrong)
{
	struct looker l;
	int n = 0;

	snprintf(l.path, sizeof(l.path), "%s", fresh_dir());
	looker_begins(&l, list_all_the_time);
	for (int i = 0; i < ROUNDS; i++) {
		fipc_mutex *m;
		int r;

		must_be(in_child(hold_and_die, "a"), 128 + SIGKILL);
		r = fipc_mutex_open(&m, "a", flags, 0600);
		must(r == right || r == wrong);
		n += r == wrong;
		if (r >= 0)
			must_be(fipc_mutex_close(m), 0);
		r = fipc_mutex_unlink("a"); /* the next round begins with nothing, whatever came of this one */
		must(r == 0 || r == -ENOENT);
	}
	looker_ends(&l);
	return n;
}

IN_CHILD(test_made_anew_beside_a_lister)
{
	int wrong = count_wrong(FIPC_CREATE | FIPC_EXCL, FIPC_CREATED, -EEXIST);

	printf("made anew beside a lister: %d of %d not\n", wrong, ROUNDS);
	must(wrong <= UNLUCKY);
}

IN_CHILD(test_not_joined_beside_a_lister)
{
	int wrong = count_wrong(0, -ENOENT, 0);

	printf("not joined beside a lister: %d of %d were\n", wrong, ROUNDS);
	must(wrong <= UNLUCKY);
}

IN_CHILD(test_last_one_beside_a_looker)
{
	const char *dir = fresh_dir();
	struct looker l;
	int left = 0;

	snprintf(l.path, sizeof(l.path), "%s/a.mutex", dir);
	looker_begins(&l, glance_all_the_time);
	for (int i = 0; i < ROUNDS; i++) {
		fipc_mutex *m;

		must_not_fail(fipc_mutex_open(&m, "a", FIPC_CREATE, 0600));
		nap_us(100);
		must_be(fipc_mutex_close(m), 0);
		left += inode_of(dir, "a.mutex") != 0;
	}
	looker_ends(&l);
	printf("taken away beside a looker: %d of %d not\n", left, ROUNDS);
	must(left <= UNLUCKY);
	must_become_clean(dir, 1);
}

/* One who has let go of an object's lock, and has its file open yet, for longer than it takes by nature. */
static bool slow_to_close;

__attribute__((visibility("default"))) int flock(int fd, int operation) /* the library calls it */
{
	int r = (int)syscall(SYS_flock, fd, operation);

	if (slow_to_close && operation == LOCK_UN)
		nap_us(200);
	return r;
}

struct pair {
	pthread_barrier_t meet;
};

static void open_and_close(struct pair *p)
{
	fipc_mutex *m;

	must_not_fail(fipc_mutex_open(&m, "a", FIPC_CREATE, 0600));
	pthread_barrier_wait(&p->meet);
	must_be(fipc_mutex_close(m), 0);
	pthread_barrier_wait(&p->meet);
}

static void open_and_close_all_the_time(void *argument)
{
	struct pair *p = argument;

	for (int i = 0; i < ROUNDS; i++) {
		open_and_close(p);
		pthread_barrier_wait(&p->meet); /* until the other one has looked */
	}
}

IN_CHILD(test_two_are_the_last)
{
	const char *dir = fresh_dir();
	struct pair *p = share(sizeof(*p));
	pthread_barrierattr_t attr;
	int left = 0;
	pid_t other;

	slow_to_close = true;
	must_be(pthread_barrierattr_init(&attr), 0);
	must_be(pthread_barrierattr_setpshared(&attr, PTHREAD_PROCESS_SHARED), 0);
	must_be(pthread_barrier_init(&p->meet, &attr, 2), 0);
	alarm(2 * PATIENCE_MS / 1000); /* a barrier has no patience of its own, should the other one fail */
	other = start(open_and_close_all_the_time, p);
	for (int i = 0; i < ROUNDS; i++) {
		open_and_close(p);
		left += inode_of(dir, "a.mutex") != 0;
		pthread_barrier_wait(&p->meet);
	}
	must_be(finish(other), 0);
	printf("two are the last ones: %d of %d left it behind\n", left, ROUNDS);
	must(left <= UNLUCKY);
}

/* ---- what a child must not keep of a walk ---- */

static _Atomic bool stop;

static void *walk_until_stopped(void *dir)
{
	fipc_registry *r;

	must_be(fipc_registry_open(&r, dir, 0), 0);
	while (!atomic_load(&stop))
		must_be(fipc_registry_walk(r, 0, NULL, NULL, NULL), 0);
	fipc_registry_close(r);
	return NULL;
}

static void pass(void *gate)
{
	gate_pass(gate);
}

/* Neither an object's lock nor its lease: then nobody else could open it, as long as the child lives. */
IN_CHILD(test_forks_beside_a_walk)
{
	const char *dir = fresh_dir();
	pid_t children[CHILDREN];
	pthread_t walker;
	struct gate leave;

	must_be(in_child(hold_and_die, "a"), 128 + SIGKILL);
	gate_make(&leave);
	must_be(pthread_create(&walker, NULL, walk_until_stopped, (void *)(uintptr_t)dir), 0);
	for (int i = 0; i < CHILDREN; i++) {
		children[i] = start(pass, &leave);
		nap_us(500);
	}
	atomic_store(&stop, true);
	must_be(pthread_join(walker, NULL), 0);
	must_be(fipc_mutex_close(must_open("a", FIPC_CREATE, FIPC_CREATED)), 0);
	for (int i = 0; i < CHILDREN; i++)
		gate_open(&leave);
	for (int i = 0; i < CHILDREN; i++)
		must_be(finish(children[i]), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_info_of_nothing),
		cmocka_unit_test(test_order_of_names),
		cmocka_unit_test(test_made_anew_beside_a_lister),
		cmocka_unit_test(test_not_joined_beside_a_lister),
		cmocka_unit_test(test_last_one_beside_a_looker),
		cmocka_unit_test(test_two_are_the_last),
		cmocka_unit_test(test_forks_beside_a_walk),
	};

	test_dir();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
