/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lost wake-up: A owns, B and C sleep. A unlocks, which wakes B, and locks again before B gets there; B is killed;
 * A unlocks. Nobody woke C: it sleeps on a free lock for ever, unless the protocol provides for it.
 *
 * The same rounds with a robust mutex of pthreads are the control: they show that this test can fail. (glibc's strands
 * C in its first round; nothing is asserted of other people's libraries.)
 */
#include "../support.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

enum { ROUNDS = 400, CONTROL_ROUNDS = 20, STUCK_MS = 5000, CONTROL_STUCK_MS = 500 };

struct stage {
	fipc_mutex m;
	pthread_mutex_t p;
	fipc_word b_entered, c_entered;
};

struct locker {
	int (*lock)(struct stage *);
	int (*trylock)(struct stage *); /* 1: got it */
	void (*unlock)(struct stage *);
};

static struct stage *stage;

static int lock_fipc(struct stage *s)
{
	int r = fipc_mutex_lock(&s->m);

	if (r == FIPC_OWNER_DIED)
		must_be(fipc_mutex_consistent(&s->m), 0);
	return r;
}

static int trylock_fipc(struct stage *s)
{
	return fipc_mutex_trylock(&s->m) >= 0;
}

static void unlock_fipc(struct stage *s)
{
	must_be(fipc_mutex_unlock(&s->m), 0);
}

static int lock_pthread(struct stage *s)
{
	int r = pthread_mutex_lock(&s->p);

	if (r == EOWNERDEAD)
		pthread_mutex_consistent(&s->p);
	return r;
}

static int trylock_pthread(struct stage *s)
{
	return pthread_mutex_trylock(&s->p) == 0;
}

static void unlock_pthread(struct stage *s)
{
	pthread_mutex_unlock(&s->p);
}

static const struct locker of_fipc = {lock_fipc, trylock_fipc, unlock_fipc},
			   of_pthread = {lock_pthread, trylock_pthread, unlock_pthread};

static void wait_as_b(void *argument)
{
	((const struct locker *)argument)->lock(stage);
	fipc_word_store(&stage->b_entered, 1);
	for (;;)
		pause();
}

static void wait_as_c(void *argument)
{
	const struct locker *l = argument;

	l->lock(stage);
	fipc_word_store(&stage->c_entered, 1);
	l->unlock(stage);
	for (;;)
		pause();
}

static void make_stage(void)
{
	pthread_mutexattr_t attr;

	memset(stage, 0, sizeof(*stage));
	must_be(fipc_mutex_init(&stage->m, 0), 0);
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	must_be(pthread_mutex_init(&stage->p, &attr), 0);
}

static int c_gets_it(int within_ms)
{
	int64_t end = now_ns() + within_ms * INT64_C(1000000);

	while (!fipc_word_load(&stage->c_entered)) {
		if (now_ns() > end)
			return 0;
		nap_us(20);
	}
	return 1;
}

/* 1: C got the lock. */
static int round_of(const struct locker *l, int patience_ms)
{
	pid_t b, c;
	int ok, again;

	make_stage();
	l->lock(stage);
	b = start(wait_as_b, (void *)(uintptr_t)l);
	await(asleep_in_futex(b));
	c = start(wait_as_c, (void *)(uintptr_t)l);
	await(asleep_in_futex(c));
	l->unlock(stage);
	again = l->trylock(stage); /* if B was quicker it is killed as the owner, and C has to get it from there */
	murder(b);
	if (again)
		l->unlock(stage);
	ok = c_gets_it(patience_ms);
	murder(c);
	return ok;
}

static void test_nobody_is_stranded(void **state)
{
	int stranded = 0;

	(void)state;
	for (int i = 0; i < ROUNDS && stranded < 3; i++)
		stranded += !round_of(&of_fipc, STUCK_MS);
	printf("fipc: %d rounds, %d stranded\n", ROUNDS, stranded);
	assert_int_equal(stranded, 0);
}

static void test_control(void **state)
{
	int i = 0;

	(void)state;
	while (i < CONTROL_ROUNDS && round_of(&of_pthread, CONTROL_STUCK_MS))
		i++;
	if (i < CONTROL_ROUNDS)
		printf("control, pthread robust mutex: stranded a waiter in round %d\n", i + 1);
	else
		printf("control, pthread robust mutex: stranded nobody in %d rounds\n", CONTROL_ROUNDS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nobody_is_stranded),
		cmocka_unit_test(test_control),
	};

	stage = share(sizeof(*stage));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
