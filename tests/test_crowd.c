/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several processes of several threads that all want the same, with patience and without, and all live: nobody is let
 * in who should not be, nothing is lost, and all come to their end.
 */
#include "support.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>

#include <cmocka.h>

enum { PROCESSES = 3, THREADS = 2, TOKENS = 2, CROWD_MS = 150, IMPATIENT_US = 30 };

static struct shared {
	_Atomic int inside, writers;
	int value[2]; /* the lock's: equal whenever nobody writes */
	_Atomic long taken;
} *shared;

static void stay(void)
{
	int64_t end = now_ns() + 2000;

	while (now_ns() < end)
		;
}

/* Each second time with little patience. */
static fipc_deadline deadline(int turn)
{
	return turn % 2 ? fipc_after_ns(IMPATIENT_US * 1000) : FIPC_FOREVER;
}

static void take_token(fipc_sem *s, int turn)
{
	int r = fipc_sem_wait_until(s, deadline(turn));

	if (r == -ETIMEDOUT)
		return;
	must_be(r, 0);
	must(atomic_fetch_add(&shared->inside, 1) < TOKENS);
	stay();
	atomic_fetch_sub(&shared->inside, 1);
	atomic_fetch_add(&shared->taken, 1);
	must_be(fipc_sem_post(s, 1), 0);
}

static void read_values(fipc_rwlock *l, int turn)
{
	int r = fipc_rwlock_rdlock_until(l, deadline(turn));

	if (r == -ETIMEDOUT)
		return;
	must_be(r, 0);
	must_be(shared->value[0], shared->value[1]);
	must_be(shared->writers, 0);
	must_be(fipc_rwlock_unlock(l), 0);
}

static void write_values(fipc_rwlock *l, int turn)
{
	int r = fipc_rwlock_wrlock_until(l, deadline(turn));

	if (r == -ETIMEDOUT)
		return;
	must_be(r, 0);
	must_be(shared->writers++, 0);
	shared->value[0]++;
	stay();
	shared->value[1]++;
	must_be(shared->writers--, 1);
	must_be(fipc_rwlock_unlock(l), 0);
}

static void *want_tokens(void *s)
{
	int64_t end = now_ns() + CROWD_MS * INT64_C(1000000);

	for (int turn = 0; now_ns() < end; turn++)
		take_token(s, turn);
	return NULL;
}

static void *want_lock(void *l)
{
	int64_t end = now_ns() + CROWD_MS * INT64_C(1000000);

	for (int turn = 0; now_ns() < end; turn++)
		if (turn % 3)
			read_values(l, turn);
		else
			write_values(l, turn);
	return NULL;
}

static void be_threads(void *(*body)(void *), void *object)
{
	pthread_t threads[THREADS];

	for (int i = 0; i < THREADS; i++)
		must_be(pthread_create(&threads[i], NULL, body, object), 0);
	for (int i = 0; i < THREADS; i++)
		must_be(pthread_join(threads[i], NULL), 0);
}

static void crowd_of(void (*process)(void *), void *argument)
{
	pid_t pids[PROCESSES];

	for (int i = 0; i < PROCESSES; i++)
		pids[i] = start(process, argument);
	for (int i = 0; i < PROCESSES; i++)
		must_be(finish(pids[i]), 0);
}

static void want_semaphore(void *name)
{
	fipc_sem *s;

	must_be(fipc_sem_open(&s, name, 0, 0, 0), 0);
	be_threads(want_tokens, s);
	must_be(fipc_sem_close(s), 0);
}

static void semaphore(char *name, unsigned flags)
{
	fipc_sem *s;

	must_be(fipc_sem_open(&s, name, TOKENS, FIPC_CREATE | flags, 0600), FIPC_CREATED);
	crowd_of(want_semaphore, name);
	must_be(fipc_sem_value(s), TOKENS);
	must(shared->taken > 0);
	must_be(fipc_sem_close(s), 0);
	must_become_clean(test_dir(), 1);
}

IN_CHILD(test_semaphore)
{
	semaphore("plain", 0);
}

IN_CHILD(test_owned_semaphore)
{
	semaphore("owned", FIPC_OWNED);
}

static void want_rwlock(void *unused)
{
	fipc_rwlock *l;

	(void)unused;
	must_be(fipc_rwlock_open(&l, "a", 0, 0, 0), 0);
	be_threads(want_lock, l);
	must_be(fipc_rwlock_close(l), 0);
}

IN_CHILD(test_rwlock)
{
	fipc_rwlock *l;

	must_be(fipc_rwlock_open(&l, "a", PROCESSES * THREADS, FIPC_CREATE, 0600), FIPC_CREATED);
	crowd_of(want_rwlock, NULL);
	must(shared->value[0] > 0);
	must_be(fipc_rwlock_close(l), 0);
	must_become_clean(test_dir(), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_semaphore),
		cmocka_unit_test(test_owned_semaphore),
		cmocka_unit_test(test_rwlock),
	};

	test_dir();
	shared = share(sizeof(*shared));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
