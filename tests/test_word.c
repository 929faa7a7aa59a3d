/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

static void test_load_store(void **state)
{
	fipc_word w = {0};
	fipc_u64 u = {0};

	(void)state;
	assert_int_equal(fipc_word_load(&w), 0);
	fipc_word_store(&w, UINT32_MAX);
	assert_true(fipc_word_load(&w) == UINT32_MAX);
	assert_int_equal(fipc_u64_load(&u), 0);
	fipc_u64_store(&u, UINT64_MAX);
	assert_true(fipc_u64_load(&u) == UINT64_MAX);
}

static void test_cas(void **state)
{
	fipc_word w = {7};
	fipc_u64 u = {UINT64_C(7) << 40};
	uint32_t e = 6;
	uint64_t f = 6;

	(void)state;
	assert_int_equal(fipc_word_cas(&w, &e, 8), 0);
	assert_int_equal(e, 7);
	assert_int_equal(fipc_word_cas(&w, &e, 8), 1);
	assert_int_equal(e, 7);
	assert_int_equal(w.value, 8);
	assert_int_equal(fipc_u64_cas(&u, &f, 8), 0);
	assert_true(f == UINT64_C(7) << 40);
	assert_int_equal(fipc_u64_cas(&u, &f, 8), 1);
	assert_int_equal(u.value, 8);
}

enum { THREADS = 4, ADDS = 20000 };

static void *add(void *argument)
{
	fipc_u64 *u = argument;

	for (int i = 0; i < ADDS; i++) {
		uint64_t seen = fipc_u64_load(u);

		while (!fipc_u64_cas(u, &seen, seen + 1))
			;
	}
	return NULL;
}

static void test_cas_loses_nothing(void **state)
{
	static fipc_u64 u;
	pthread_t threads[THREADS];

	(void)state;
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, add, &u), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(u.value, THREADS * ADDS);
}

static void test_wait_that_does_not_sleep(void **state)
{
	fipc_word w = {1};
	int64_t end = now_ns() + 20000000;

	(void)state;
	assert_int_equal(fipc_word_wait(&w, 0, FIPC_FOREVER, 0), -EAGAIN);
	assert_int_equal(fipc_word_wait(&w, 0, FIPC_NOW, 0), -EAGAIN);
	assert_int_equal(fipc_word_wait(&w, 1, FIPC_NOW, 0), -EAGAIN);
	assert_int_equal(fipc_word_wait(&w, 1, -5, 0), -EAGAIN);
	assert_int_equal(fipc_word_wait(&w, 1, 1, 0), -ETIMEDOUT);
	assert_int_equal(fipc_word_wait(&w, 1, end, 0), -ETIMEDOUT);
	assert_true(now_ns() >= end);
	assert_int_equal(fipc_word_wait(&w, 1, fipc_after_ms(1), FIPC_PRIVATE), -ETIMEDOUT);
}

static void test_arguments(void **state)
{
	uint32_t two[2] = {0, 0};
	fipc_word *w = (fipc_word *)two, *misaligned = (fipc_word *)((char *)two + 2);
	void *hole = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)state;
	assert_int_equal(fipc_word_wait(w, 0, fipc_after_ms(1), FIPC_TIMESTAMPS), -EINVAL);
	assert_int_equal(fipc_word_wait(w, 0, fipc_after_ms(1), 1 << 30), -EINVAL);
	assert_int_equal(fipc_word_wait(misaligned, 0, fipc_after_ms(1), 0), -EINVAL);
	assert_int_equal(fipc_word_wake(w, 1, FIPC_CREATE), -EINVAL);
	assert_int_equal(fipc_word_wake(misaligned, 1, 0), -EINVAL);
	assert_int_equal(fipc_word_wake(w, 1, 0), 0);
	assert_int_equal(fipc_word_wake(w, 0, 0), 0);
	assert_int_equal(fipc_word_wait(hole, 0, fipc_after_ms(1), 0), -EFAULT);
	assert_int_equal(fipc_word_wake(hole, 1, 0), -EFAULT);
	munmap(hole, 4096);
}

static void sleep_on(void *argument)
{
	fipc_word *w = argument;

	must_be(fipc_word_wait(w, 0, FIPC_FOREVER, 0), 0);
}

/* Each of n sleepers is woken once, and wake says so. */
static void test_wake_counts(void **state)
{
	fipc_word *w = share(sizeof(*w));
	pid_t pids[3];
	int woken = 0;

	(void)state;
	for (int i = 0; i < 3; i++)
		pids[i] = start(sleep_on, w);
	for (int i = 0; i < 3; i++)
		await(asleep_in_futex(pids[i]));
	woken = fipc_word_wake(w, 1, 0);
	assert_int_equal(woken, 1);
	assert_int_equal(fipc_word_wake(w, UINT_MAX, 0), 2);
	assert_int_equal(fipc_word_wake(w, UINT_MAX, 0), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(finish(pids[i]), 0);
	munmap(w, sizeof(*w));
}

static void *sleep_privately(void *argument)
{
	return (void *)(intptr_t)fipc_word_wait(argument, 0, FIPC_FOREVER, FIPC_PRIVATE);
}

static void test_private(void **state)
{
	static fipc_word w;
	pthread_t thread;
	void *result;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, sleep_privately, &w), 0);
	await(fipc_word_wake(&w, 1, FIPC_PRIVATE) == 1);
	pthread_join(thread, &result);
	assert_null(result);
}

static volatile sig_atomic_t handled;

static void handle(int number)
{
	(void)number;
	handled++;
}

struct interruption {
	fipc_word w;
	int on;
	int result; /* of the wait, once `returned` */
	fipc_word returned, ready;
};

static void *sleep_through_signals(void *argument)
{
	struct interruption *i = argument;

	must_be(fipc_set_interruptible(i->on), 0);
	must_be(fipc_set_interruptible(i->on), i->on != 0);
	fipc_word_store(&i->ready, 1);
	i->result = fipc_word_wait(&i->w, 0, FIPC_FOREVER, 0);
	fipc_word_store(&i->returned, 1);
	return NULL;
}

static void run_interruption(int on, int sa_flags, int wanted)
{
	struct interruption i = {.on = on};
	struct sigaction action = {.sa_handler = handle, .sa_flags = sa_flags};
	pthread_t thread;

	handled = 0;
	sigaction(SIGUSR1, &action, NULL);
	assert_int_equal(pthread_create(&thread, NULL, sleep_through_signals, &i), 0);
	await(fipc_word_load(&i.ready));
	if (on) {
		/* A signal that comes before the sleep is not seen by it: another one. */
		await(fipc_word_load(&i.returned) || pthread_kill(thread, SIGUSR1) != 0);
	} else {
		for (int n = 1; n <= 20; n++) {
			pthread_kill(thread, SIGUSR1);
			await(handled >= n);
		}
		assert_false(fipc_word_load(&i.returned));
		await(fipc_word_wake(&i.w, 1, 0) == 1);
	}
	pthread_join(thread, NULL);
	assert_int_equal(i.result, wanted);
}

static void test_signals(void **state)
{
	(void)state;
	skip_under_tsan("a handler runs only at a call that TSan knows, and a futex wait is none");
	run_interruption(0, 0, 0);
	run_interruption(0, SA_RESTART, 0);
	run_interruption(1, 0, -EINTR);
	run_interruption(-7, SA_RESTART, -EINTR);
}

/* "The thread's property, kept over fork". */
static void tell_interruptible(void *argument)
{
	(void)argument;
	_exit(fipc_set_interruptible(0));
}

static void test_interruptible_is_kept_over_fork(void **state)
{
	(void)state;
	assert_int_equal(fipc_set_interruptible(1), 0);
	assert_int_equal(in_child(tell_interruptible, NULL), 1);
	assert_int_equal(fipc_set_interruptible(0), 1);
	assert_int_equal(in_child(tell_interruptible, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_load_store),
		cmocka_unit_test(test_cas),
		cmocka_unit_test(test_cas_loses_nothing),
		cmocka_unit_test(test_wait_that_does_not_sleep),
		cmocka_unit_test(test_arguments),
		cmocka_unit_test(test_wake_counts),
		cmocka_unit_test(test_private),
		cmocka_unit_test(test_signals),
		cmocka_unit_test(test_interruptible_is_kept_over_fork),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
