/* SPDX-License-Identifier: Apache-2.0 */
/* The contract of a condition variable, in place and by name; and of those who are killed at it. */
#include "support.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

/* What the mutex protects: items, taken. */
struct box {
	fipc_mutex m;
	fipc_cond c;
	int items, taken;
	fipc_word returned; /* waits that have returned */
};

static struct box *make_box(void)
{
	struct box *b = share(sizeof(*b));

	must_be(fipc_mutex_init(&b->m, 0), 0);
	must_be(fipc_cond_init(&b->c, 0), 0);
	return b;
}

static struct fipc_cond_info look(const fipc_cond *c)
{
	struct fipc_cond_info info;

	must_be(fipc_cond_info(c, &info, sizeof(info)), 0);
	return info;
}

static void count(fipc_word *w)
{
	uint32_t n = fipc_word_load(w);

	while (!fipc_word_cas(w, &n, n + 1))
		;
}

/* ---- init, attach, destroy, what is none ---- */

static void test_init(void **state)
{
	fipc_cond pair[2];

	(void)state;
	memset(pair, 0xa5, sizeof(pair));
	assert_int_equal(fipc_cond_init(pair, 0), 0);
	assert_int_equal(fipc_cond_signal(pair), 0);
	assert_int_equal(fipc_cond_broadcast(pair), 0);
	assert_int_equal(look(pair).signals, 0);
	assert_int_equal(fipc_cond_init(pair, FIPC_PRIVATE), 0);
	assert_int_equal(fipc_cond_destroy(pair), 0);
	assert_int_equal(fipc_cond_signal(pair), -EINVAL);
	assert_int_equal(fipc_cond_init(pair, FIPC_AUTORESET), -EINVAL);
	assert_int_equal(fipc_cond_init(pair, FIPC_TIMESTAMPS), -EINVAL);
	assert_int_equal(fipc_cond_init(pair, 1u << 31), -EINVAL);
	for (int shift = 1; shift < 8; shift++)
		assert_int_equal(fipc_cond_init((void *)((char *)pair + shift), 0), -EINVAL);
}

static void test_none(void **state)
{
	struct fipc_cond_info info;
	fipc_cond c = {{0}}, before = c;

	(void)state;
	assert_int_equal(fipc_cond_signal(&c), -EINVAL);
	assert_int_equal(fipc_cond_broadcast(&c), -EINVAL);
	assert_int_equal(fipc_cond_info(&c, &info, sizeof(info)), -EINVAL);
	assert_int_equal(fipc_cond_destroy(&c), -EINVAL);
	assert_memory_equal(&c, &before, sizeof(c));
	assert_int_equal(fipc_cond_init(&c, 0), 0);
	assert_int_equal(fipc_cond_info(&c, &info, 7), -EINVAL);
	((unsigned char *)&c)[5]++;
	assert_int_equal(fipc_cond_signal(&c), -ENOTSUP);
}

IN_CHILD(test_attach)
{
	fipc_cond *c = share(sizeof(*c));

	must_be(fipc_cond_attach(c, FIPC_PRIVATE), -EINVAL);
	must_be(fipc_cond_attach(c, 0), FIPC_CREATED);
	must_be(fipc_cond_attach(c, 0), 0);
	must_be(fipc_cond_destroy(c), 0);
	must_be(fipc_cond_attach(c, 0), FIPC_CREATED);
	memset(c, 0x5a, sizeof(*c));
	must_be(fipc_cond_attach(c, 0), -EINVAL);
}

/* ---- one thread ---- */

static void test_whoever_waits_holds_the_mutex(void **state)
{
	struct box *b = make_box();

	(void)state;
	assert_int_equal(fipc_cond_wait(&b->c, &b->m), -EPERM);
	assert_int_equal(fipc_cond_wait_until(&b->c, &b->m, FIPC_NOW), -EPERM);
	assert_int_equal(state_of(&b->m), FIPC_MUTEX_FREE);
	assert_int_equal(fipc_cond_wait(&b->c, &(fipc_mutex){{0}}), -EINVAL);
	munmap(b, sizeof(*b));
}

/* < 0 says that the mutex is not held, whatever was wrong. */
static void test_wait_on_none(void **state)
{
	struct box *b = make_box();

	(void)state;
	assert_int_equal(fipc_cond_destroy(&b->c), 0);
	assert_int_equal(fipc_mutex_lock(&b->m), 0);
	assert_int_equal(fipc_cond_wait(&b->c, &b->m), -EINVAL);
	assert_int_equal(state_of(&b->m), FIPC_MUTEX_FREE);
	munmap(b, sizeof(*b));
}

static void test_deadline(void **state)
{
	struct box *b = make_box();

	(void)state;
	assert_int_equal(fipc_mutex_lock(&b->m), 0);
	assert_int_equal(fipc_cond_wait_until(&b->c, &b->m, FIPC_NOW), -ETIMEDOUT);
	assert_int_equal(fipc_cond_wait_until(&b->c, &b->m, INT64_MIN), -ETIMEDOUT);
	assert_int_equal(fipc_cond_wait_until(&b->c, &b->m, fipc_after_ms(2)), -ETIMEDOUT);
	assert_int_equal(state_of(&b->m), FIPC_MUTEX_HELD);
	assert_int_equal(fipc_mutex_unlock(&b->m), 0);
	munmap(b, sizeof(*b));
}

/* ---- several ---- */

static void take_one(void *argument)
{
	struct box *b = argument;
	int r = fipc_mutex_lock(&b->m);

	while (r == 0 && b->items == 0)
		r = fipc_cond_wait(&b->c, &b->m);
	must_be(r, 0);
	b->items--;
	b->taken++;
	count(&b->returned);
	must_be(fipc_mutex_unlock(&b->m), 0);
}

static void start_takers(struct box *b, int n, pid_t *pids)
{
	for (int i = 0; i < n; i++) {
		pids[i] = start(take_one, b);
		await(look(&b->c).waiters == (unsigned)i + 1);
	}
}

static void put(struct box *b, int items, int (*tell)(fipc_cond *), int times)
{
	must_be(fipc_mutex_lock(&b->m), 0);
	b->items += items;
	for (int i = 0; i < times; i++)
		must_be(tell(&b->c), 0);
	must_be(fipc_mutex_unlock(&b->m), 0);
}

enum { MANY = 5 };

static void test_one_signal_one_item(void **state)
{
	struct box *b = make_box();
	pid_t pids[MANY];

	(void)state;
	start_takers(b, MANY, pids);
	for (unsigned i = 0; i < MANY; i++) {
		put(b, 1, fipc_cond_signal, 1);
		await(fipc_word_load(&b->returned) == i + 1);
	}
	for (int i = 0; i < MANY; i++)
		assert_int_equal(finish(pids[i]), 0);
	assert_int_equal(b->taken, MANY);
	assert_in_range(look(&b->c).signals, 1, MANY); /* of those only that may have found somebody waiting */
	munmap(b, sizeof(*b));
}

/* Each of several signals, sent before anybody woken had the mutex, gets one through. */
static void test_signals_in_a_row(void **state)
{
	(void)state;
	for (int round = 0; round < 20; round++) {
		struct box *b = make_box();
		pid_t pids[MANY];

		start_takers(b, MANY, pids);
		put(b, MANY, fipc_cond_signal, MANY);
		for (int i = 0; i < MANY; i++)
			assert_int_equal(finish(pids[i]), 0);
		munmap(b, sizeof(*b));
	}
}

static void test_broadcast(void **state)
{
	struct box *b = make_box();
	pid_t pids[MANY];

	(void)state;
	start_takers(b, MANY, pids);
	put(b, MANY, fipc_cond_broadcast, 1);
	for (int i = 0; i < MANY; i++)
		assert_int_equal(finish(pids[i]), 0);
	start_takers(b, MANY, pids);
	put(b, MANY, fipc_cond_broadcast, 1);
	for (int i = 0; i < MANY; i++)
		assert_int_equal(finish(pids[i]), 0);
	munmap(b, sizeof(*b));
}

/* Two play ball: none of many signals is lost. */
enum { ROUNDS = 2000 };

static void play(void *argument)
{
	struct box *b = argument;

	must_be(fipc_mutex_lock(&b->m), 0);
	for (int i = 0; i < ROUNDS; i++) {
		while (b->items == 0)
			must_be(fipc_cond_wait(&b->c, &b->m), 0);
		b->items = 0;
		must_be(fipc_cond_signal(&b->c), 0);
	}
	must_be(fipc_mutex_unlock(&b->m), 0);
}

static void test_ball(void **state)
{
	struct box *b = make_box();
	pid_t pid = start(play, b);

	(void)state;
	must_be(fipc_mutex_lock(&b->m), 0);
	for (int i = 0; i < ROUNDS; i++) {
		b->items = 1;
		must_be(fipc_cond_signal(&b->c), 0);
		while (b->items == 1)
			must_be(fipc_cond_wait(&b->c, &b->m), 0);
	}
	must_be(fipc_mutex_unlock(&b->m), 0);
	assert_int_equal(finish(pid), 0);
	munmap(b, sizeof(*b));
}

static void test_destroy_is_refused_to_sleepers(void **state)
{
	struct box *b = make_box();
	pid_t pid;

	(void)state;
	start_takers(b, 1, &pid);
	assert_int_equal(fipc_cond_destroy(&b->c), -EBUSY);
	put(b, 1, fipc_cond_signal, 1);
	assert_int_equal(finish(pid), 0);
	assert_int_equal(fipc_cond_destroy(&b->c), 0);
	munmap(b, sizeof(*b));
}

/* ---- signals ---- */

static void handle(int signal)
{
	(void)signal;
}

/* Interrupted, and the mutex is had again although another one keeps it for a while, and more signals come. */
static void be_interrupted(void *argument)
{
	struct sigaction action = {.sa_handler = handle, .sa_flags = SA_RESTART};
	struct box *b = argument;

	sigaction(SIGUSR1, &action, NULL);
	must_be(fipc_set_interruptible(1), 0);
	must_be(fipc_mutex_lock(&b->m), 0);
	must_be(fipc_cond_wait(&b->c, &b->m), -EINTR);
	count(&b->returned);
	must_be(fipc_mutex_unlock(&b->m), 0);
	must_be(fipc_set_interruptible(0), 1);
}

static void test_interruption(void **state)
{
	struct box *b = make_box();
	pid_t pid = start(be_interrupted, b);

	(void)state;
	await(look(&b->c).waiters == 1);
	assert_int_equal(fipc_mutex_lock(&b->m), 0);
	assert_int_equal(kill(pid, SIGUSR1), 0);
	await(sleepers(&b->m) == 1);
	for (int i = 0; i < 5; i++)
		assert_int_equal(kill(pid, SIGUSR1), 0);
	assert_int_equal(fipc_word_load(&b->returned), 0);
	assert_int_equal(fipc_mutex_unlock(&b->m), 0);
	assert_int_equal(finish(pid), 0);
	assert_int_equal(fipc_word_load(&b->returned), 1);
	munmap(b, sizeof(*b));
}

static void take_interruptibly(void *argument)
{
	fipc_set_interruptible(1);
	take_one(argument);
}

/* Who wants to hear of signals sleeps otherwise. */
static void test_signalled_though_interruptible(void **state)
{
	struct box *b = make_box();
	pid_t pids[2];

	(void)state;
	for (int i = 0; i < 2; i++) {
		pids[i] = start(take_interruptibly, b);
		await(look(&b->c).waiters == (unsigned)i + 1);
	}
	put(b, 1, fipc_cond_signal, 1);
	await(fipc_word_load(&b->returned) == 1);
	put(b, 1, fipc_cond_broadcast, 1);
	for (int i = 0; i < 2; i++)
		assert_int_equal(finish(pids[i]), 0);
	munmap(b, sizeof(*b));
}

/* ---- deaths ---- */

static void lock_and_die(void *argument)
{
	must_not_fail(fipc_mutex_lock(argument));
	raise(SIGKILL);
}

static void mend_after_waiting(void *argument)
{
	struct box *b = argument;

	must_be(fipc_mutex_lock(&b->m), 0);
	must_be(fipc_cond_wait(&b->c, &b->m), FIPC_OWNER_DIED);
	must_be(fipc_mutex_consistent(&b->m), 0);
	must_be(fipc_mutex_unlock(&b->m), 0);
}

/* It may time out before the death, too: then it waits again. */
static void time_out_after_a_death(void *argument)
{
	struct box *b = argument;
	int r;

	must_be(fipc_mutex_lock(&b->m), 0);
	count(&b->returned);
	do
		r = fipc_cond_wait_until(&b->c, &b->m, fipc_after_ms(200));
	while (r == -ETIMEDOUT);
	must_be(r, FIPC_OWNER_DIED);
	must_be(fipc_mutex_consistent(&b->m), 0);
	must_be(fipc_mutex_unlock(&b->m), 0);
}

static void test_told_of_a_death(void **state)
{
	struct box *b = make_box();
	pid_t pid = start(mend_after_waiting, b);

	(void)state;
	await(look(&b->c).waiters == 1);
	assert_int_equal(in_child(lock_and_die, &b->m), 128 + SIGKILL);
	assert_int_equal(fipc_cond_signal(&b->c), 0);
	assert_int_equal(finish(pid), 0);
	pid = start(time_out_after_a_death, b);
	await(fipc_word_load(&b->returned) == 1 && look(&b->c).waiters == 1);
	assert_int_equal(in_child(lock_and_die, &b->m), 128 + SIGKILL);
	assert_int_equal(finish(pid), 0);
	munmap(b, sizeof(*b));
}

static void wait_in_vain(void *argument)
{
	struct box *b = argument;

	must_be(fipc_mutex_lock(&b->m), 0);
	must_be(fipc_cond_wait(&b->c, &b->m), -ENOTRECOVERABLE);
}

static void test_not_recoverable(void **state)
{
	struct box *b = make_box();
	pid_t pid = start(wait_in_vain, b);

	(void)state;
	await(look(&b->c).waiters == 1);
	assert_int_equal(in_child(lock_and_die, &b->m), 128 + SIGKILL);
	assert_int_equal(fipc_mutex_lock(&b->m), FIPC_OWNER_DIED);
	assert_int_equal(fipc_mutex_unlock(&b->m), 0);
	assert_int_equal(fipc_cond_signal(&b->c), 0);
	assert_int_equal(finish(pid), 0);
	munmap(b, sizeof(*b));
}

/* Woken by the only signal, and killed: at once, mostly before it has run; or while it queues for the mutex. */
static int next_one_gets_the_item(int queues)
{
	struct box *b = make_box();
	pid_t pids[2];
	int ok, status;

	start_takers(b, 2, pids);
	must_be(fipc_mutex_lock(&b->m), 0);
	b->items = 1;
	must_be(fipc_cond_signal(&b->c), 0);
	if (queues)
		await(sleepers(&b->m) == 1);
	murder(pids[0]);
	must_be(fipc_mutex_unlock(&b->m), 0);
	ok = ended(pids[1], &status, PATIENCE_MS) && status == 0;
	if (!ok)
		murder(pids[1]);
	munmap(b, sizeof(*b));
	return ok;
}

static void test_killed_when_woken(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++) {
		assert_true(next_one_gets_the_item(0));
		assert_true(next_one_gets_the_item(1));
	}
}

/* One of those who were woken is stopped on its way to the mutex: the others are not kept by it. */
static void test_stopped_when_woken(void **state)
{
	struct box *b = make_box();
	pid_t pids[3];

	(void)state;
	start_takers(b, 3, pids);
	assert_int_equal(fipc_mutex_lock(&b->m), 0);
	b->items = 3;
	assert_int_equal(fipc_cond_signal(&b->c), 0);
	await(sleepers(&b->m) == 1);
	kill(pids[0], SIGSTOP);
	assert_int_equal(fipc_cond_signal(&b->c), 0);
	assert_int_equal(fipc_cond_signal(&b->c), 0);
	assert_int_equal(fipc_mutex_unlock(&b->m), 0);
	await(fipc_word_load(&b->returned) >= 2);
	kill(pids[0], SIGCONT);
	for (int i = 0; i < 3; i++)
		assert_int_equal(finish(pids[i]), 0);
	munmap(b, sizeof(*b));
}

/* ---- by name ---- */

IN_CHILD(test_named)
{
	struct fipc_cond_info info;
	fipc_cond *c, *again, *reader;
	fipc_mutex *m;

	test_dir();
	must_be(fipc_cond_open(&c, "filled", 0, 0), -ENOENT);
	must_be(fipc_cond_open(&c, "filled", FIPC_CREATE | FIPC_AUTORESET, 0600), -EINVAL);
	must_be(fipc_cond_open(&c, "filled", FIPC_CREATE, 0600), FIPC_CREATED);
	must_be(fipc_cond_open(&again, "filled", 0, 0), 0);
	must(c == again);
	must_be(strcmp(fipc_name(c), "filled"), 0);
	m = must_open("filled", FIPC_CREATE, FIPC_CREATED);
	must_be(fipc_mutex_lock(m), 0);
	must_be(fipc_cond_wait_until(c, m, fipc_after_ms(1)), -ETIMEDOUT);
	must_be(fipc_cond_open(&reader, "filled", FIPC_READONLY, 0), 0);
	must_be(fipc_cond_info(reader, &info, sizeof(info)), 0);
	must_be(fipc_cond_signal(reader), -EACCES);
	must_be(fipc_cond_broadcast(reader), -EACCES);
	must_be(fipc_cond_attach(reader, 0), -EACCES);
	must_be(fipc_cond_destroy(reader), -EACCES);
	must_be(fipc_cond_destroy(c), -EINVAL);
	must_be(fipc_cond_wait(reader, m), -EACCES);
	must_be(fipc_mutex_trylock(m), 0);
	must_be(fipc_mutex_unlock(m), 0);
	must_be(fipc_mutex_close(m), 0);
	must_be(fipc_cond_close(reader), 0);
	must_be(fipc_cond_close(again), 0);
	must_be(fipc_cond_unlink("filled"), 0);
	must_be(fipc_cond_unlink("filled"), -ENOENT);
	must_be(fipc_cond_close(c), 0);
	must_be(fipc_cond_close(NULL), 0);
	must_become_clean(test_dir(), 1);
}

struct pair {
	fipc_cond *c;
	fipc_mutex m;
};

static void *wait_once(void *argument)
{
	struct pair *p = argument;

	must_be(fipc_mutex_lock(&p->m), 0);
	must_be(fipc_cond_wait(p->c, &p->m), 0);
	must_be(fipc_mutex_unlock(&p->m), 0);
	return NULL;
}

IN_CHILD(test_close_with_a_waiter)
{
	struct pair p;
	pthread_t thread;

	test_dir();
	must_be(fipc_mutex_init(&p.m, FIPC_PRIVATE), 0);
	must_be(fipc_cond_open(&p.c, "filled", FIPC_CREATE, 0600), FIPC_CREATED);
	must_be(pthread_create(&thread, NULL, wait_once, &p), 0);
	await(look(p.c).waiters == 1);
	must_be(fipc_cond_close(p.c), -EBUSY);
	must_be(fipc_mutex_lock(&p.m), 0);
	must_be(fipc_cond_signal(p.c), 0);
	await(sleepers(&p.m) == 1);
	must_be(fipc_cond_close(p.c), -EBUSY); /* on its way to the mutex, and not done with this */
	must_be(fipc_mutex_unlock(&p.m), 0);
	must_be(pthread_join(thread, NULL), 0);
	must_be(fipc_cond_close(p.c), 0);
}

static int see(const struct fipc_object *object, void *argument)
{
	struct fipc_cond_info *ret = argument;

	must_be(object->type, FIPC_TYPE_COND);
	must_be(object->error, 0);
	*ret = object->cond;
	return 0;
}

IN_CHILD(test_in_the_registry)
{
	struct fipc_cond_info info;
	fipc_registry *registry;
	pthread_t thread;
	struct pair p;

	test_dir();
	must_be(fipc_mutex_init(&p.m, FIPC_PRIVATE), 0);
	must_be(fipc_cond_open(&p.c, "filled", FIPC_CREATE, 0600), FIPC_CREATED);
	must_be(fipc_registry_open(&registry, test_dir(), 0), 0);
	must_be(pthread_create(&thread, NULL, wait_once, &p), 0);
	await(look(p.c).waiters == 1);
	must_be(fipc_registry_walk(registry, 0, NULL, see, &info), 0);
	must(info.waiters == 1 && info.signals == 0);
	must_be(fipc_cond_broadcast(p.c), 0);
	must_be(pthread_join(thread, NULL), 0);
	must_be(fipc_registry_walk(registry, 0, NULL, see, &info), 0);
	must(info.waiters == 0 && info.signals == 1);
	fipc_registry_close(registry);
	must_be(fipc_cond_close(p.c), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_init),
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_attach),
		cmocka_unit_test(test_whoever_waits_holds_the_mutex),
		cmocka_unit_test(test_wait_on_none),
		cmocka_unit_test(test_deadline),
		cmocka_unit_test(test_one_signal_one_item),
		cmocka_unit_test(test_signals_in_a_row),
		cmocka_unit_test(test_broadcast),
		cmocka_unit_test(test_ball),
		cmocka_unit_test(test_destroy_is_refused_to_sleepers),
		cmocka_unit_test(test_interruption),
		cmocka_unit_test(test_signalled_though_interruptible),
		cmocka_unit_test(test_told_of_a_death),
		cmocka_unit_test(test_not_recoverable),
		cmocka_unit_test(test_killed_when_woken),
		cmocka_unit_test(test_stopped_when_woken),
		cmocka_unit_test(test_named),
		cmocka_unit_test(test_close_with_a_waiter),
		cmocka_unit_test(test_in_the_registry),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
