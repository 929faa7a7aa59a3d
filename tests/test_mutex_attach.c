/* SPDX-License-Identifier: Apache-2.0 */
/* fipc_mutex_attach(): of many, one makes it. */
#include "support.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

static void test_first_makes_second_joins(void **state)
{
	fipc_mutex *m = share(sizeof(*m));
	struct fipc_mutex_info info;

	(void)state;
	assert_int_equal(fipc_mutex_attach(m, FIPC_TIMESTAMPS), FIPC_CREATED);
	assert_int_equal(fipc_mutex_attach(m, 0), 0);
	assert_int_equal(fipc_mutex_lock(m), 0);
	assert_int_equal(fipc_mutex_attach(m, 0), 0);
	assert_int_equal(fipc_mutex_info(m, &info, sizeof(info)), 0);
	assert_true(info.acquired_ns > 0);
	assert_int_equal(info.acquisitions, 1);
	assert_int_equal(fipc_mutex_unlock(m), 0);
	munmap(m, sizeof(*m));
}

static void test_joins_what_init_made(void **state)
{
	fipc_mutex m;

	(void)state;
	assert_int_equal(fipc_mutex_init(&m, 0), 0);
	assert_int_equal(fipc_mutex_attach(&m, 0), 0);
	assert_int_equal(fipc_mutex_lock(&m), 0);
	assert_int_equal(fipc_mutex_unlock(&m), 0);
}

static void refuse_and_leave(fipc_mutex *m, int wanted)
{
	fipc_mutex before = *m;

	assert_int_equal(fipc_mutex_attach(m, 0), wanted);
	assert_memory_equal(m, &before, sizeof(*m));
}

static void test_refuses(void **state)
{
	fipc_mutex m, pair[2] = {{{0}}};

	(void)state;
	memset(&m, 0, sizeof(m));
	assert_int_equal(fipc_mutex_attach(&m, FIPC_PRIVATE), -EINVAL);
	assert_int_equal(fipc_mutex_attach(&m, FIPC_CREATE), -EINVAL);
	assert_int_equal(fipc_mutex_attach(&m, 1u << 31), -EINVAL);
	for (int shift = 1; shift < 8; shift++)
		assert_int_equal(fipc_mutex_attach((void *)((char *)pair + shift), 0), -EINVAL);
	memset(&m, 0xff, sizeof(m));
	refuse_and_leave(&m, -EINVAL);
	/* The second half of the header's eight bytes is its kind: ABI in byte 5. */
	assert_int_equal(fipc_mutex_init(&m, 0), 0);
	((unsigned char *)&m)[5] = 0x7e;
	refuse_and_leave(&m, -ENOTSUP);
	assert_int_equal(fipc_mutex_lock(&m), -ENOTSUP);
	assert_int_equal(fipc_mutex_destroy(&m), -ENOTSUP);
}

/* Where a maker that was killed may have left something: lock word, PID namespace, links. */
static int may_be_half_made(size_t byte)
{
	return (byte >= 8 && byte < 12) || (byte >= 20 && byte < 24) || (byte >= 36 && byte < 48);
}

/* Any other stray bit makes it "neither zero nor a mutex", wherever it is. */
static void test_almost_zero(void **state)
{
	fipc_mutex m;

	(void)state;
	for (size_t i = 0; i < sizeof(m); i++) {
		if (may_be_half_made(i))
			continue;
		memset(&m, 0, sizeof(m));
		((unsigned char *)&m)[i] = 0x40;
		refuse_and_leave(&m, -EINVAL);
	}
}

enum { CALLERS = 8, ROUNDS = 150 };

struct start_line {
	fipc_mutex m;
	fipc_word ready, go, created, inside, sum;
	int some_are_killed;
};

static void add_to(fipc_word *w)
{
	uint32_t seen = fipc_word_load(w);

	while (!fipc_word_cas(w, &seen, seen + 1))
		;
}

static void attach_at_once(void *argument)
{
	struct start_line *line = argument;
	int r;

	add_to(&line->ready);
	while (!fipc_word_load(&line->go))
		must(fipc_word_wait(&line->go, 0, fipc_after_ms(PATIENCE_MS), 0) != -ETIMEDOUT);
	r = fipc_mutex_attach(&line->m, 0);
	must(r >= 0);
	if (r == FIPC_CREATED)
		add_to(&line->created);
	r = fipc_mutex_lock(&line->m);
	if (r == FIPC_OWNER_DIED && line->some_are_killed) {
		fipc_word_store(&line->inside, 0);
		r = fipc_mutex_consistent(&line->m);
	}
	must_be(r, 0);
	must_be(fipc_word_load(&line->inside), 0);
	fipc_word_store(&line->inside, 1);
	fipc_word_store(&line->sum, fipc_word_load(&line->sum) + 1);
	fipc_word_store(&line->inside, 0);
	must_be(fipc_mutex_unlock(&line->m), 0);
}

static void test_exactly_one_makes_it(void **state)
{
	struct start_line *line = share(sizeof(*line));

	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		pid_t pids[CALLERS];

		memset(line, 0, sizeof(*line));
		for (int i = 0; i < CALLERS; i++)
			pids[i] = start(attach_at_once, line);
		await(fipc_word_load(&line->ready) == CALLERS);
		fipc_word_store(&line->go, 1);
		fipc_word_wake(&line->go, CALLERS, 0);
		for (int i = 0; i < CALLERS; i++)
			assert_int_equal(finish(pids[i]), 0);
		assert_int_equal(fipc_word_load(&line->created), 1);
		assert_int_equal(fipc_word_load(&line->sum), CALLERS);
	}
	munmap(line, sizeof(*line));
}

static void *attach_in_thread(void *argument)
{
	attach_at_once(argument);
	return NULL;
}

static void test_exactly_one_thread_makes_it(void **state)
{
	struct start_line *line = share(sizeof(*line));
	pthread_t threads[CALLERS];

	(void)state;
	for (int i = 0; i < CALLERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, attach_in_thread, line), 0);
	await(fipc_word_load(&line->ready) == CALLERS);
	fipc_word_store(&line->go, 1);
	fipc_word_wake(&line->go, CALLERS, 0);
	for (int i = 0; i < CALLERS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(fipc_word_load(&line->created), 1);
	munmap(line, sizeof(*line));
}

/* Killed somewhere in it, by chance; at every instruction is for the sweep. Whoever is left has a mutex. */
static void test_callers_are_killed(void **state)
{
	struct start_line *line = share(sizeof(*line));
	unsigned seed = 3;

	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		pid_t pids[CALLERS];

		memset(line, 0, sizeof(*line));
		line->some_are_killed = 1;
		for (int i = 0; i < CALLERS; i++)
			pids[i] = start(attach_at_once, line);
		await(fipc_word_load(&line->ready) == CALLERS);
		fipc_word_store(&line->go, 1);
		fipc_word_wake(&line->go, CALLERS, 0);
		for (unsigned spin = rand_r(&seed) % 20000; spin; spin--)
			__asm__ volatile("");
		for (int i = 0; i < CALLERS; i += 2)
			murder(pids[i]);
		for (int i = 1; i < CALLERS; i += 2)
			assert_int_equal(finish(pids[i]), 0);
		assert_true(fipc_word_load(&line->created) <= 1);
		assert_true(fipc_mutex_attach(&line->m, 0) >= 0);
		assert_true(fresh_trylock(&line->m) >= 0);
	}
	munmap(line, sizeof(*line));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_makes_second_joins),
		cmocka_unit_test(test_joins_what_init_made),
		cmocka_unit_test(test_refuses),
		cmocka_unit_test(test_almost_zero),
		cmocka_unit_test(test_exactly_one_makes_it),
		cmocka_unit_test(test_exactly_one_thread_makes_it),
		cmocka_unit_test(test_callers_are_killed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
