/* SPDX-License-Identifier: Apache-2.0 */
/* Processes that wait and post are killed: nobody sleeps on while there are tokens, and none is lost or doubled. */
#include "support.h"

#include <errno.h>
#include <sched.h>
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

enum { ROUNDS = 50, SLEEPERS = 4 };

static struct stage {
	fipc_sem s;
	fipc_word got[SLEEPERS];
} *stage;

static struct fipc_sem_info look(const fipc_sem *s)
{
	struct fipc_sem_info info;

	must_be(fipc_sem_info(s, &info, sizeof(info)), 0);
	return info;
}

static void wait_for_one(void *argument)
{
	must_be(fipc_sem_wait(&stage->s), 0);
	fipc_word_store(&stage->got[(int)(intptr_t)argument], 1);
	for (;;)
		pause();
}

static unsigned count_got(void)
{
	unsigned n = 0;

	for (int i = 0; i < SLEEPERS; i++)
		n += fipc_word_load(&stage->got[i]);
	return n;
}

static void set_stage(pid_t pids[SLEEPERS], int n)
{
	memset(stage, 0, sizeof(*stage));
	must_be(fipc_sem_init(&stage->s, 0, 0), 0);
	for (int i = 0; i < n; i++) {
		pids[i] = start(wait_for_one, (void *)(intptr_t)i);
		await(look(&stage->s).waiters == (unsigned)i + 1);
	}
}

static void clear_stage(const pid_t pids[SLEEPERS], int n)
{
	for (int i = 0; i < n; i++)
		murder(pids[i]);
}

/* So that whoever is woken does not run before the one who woke it has killed it. */
static void stay_on_one_processor(void)
{
	cpu_set_t set, one;

	must_be(sched_getaffinity(0, sizeof(set), &set), 0);
	CPU_ZERO(&one);
	for (int cpu = 0; CPU_COUNT(&one) == 0; cpu++)
		if (CPU_ISSET(cpu, &set))
			CPU_SET(cpu, &one);
	must_be(sched_setaffinity(0, sizeof(one), &one), 0);
}

/* The first of two sleepers is woken, and killed: it had taken the token, or the second gets it. */
IN_CHILD(test_woken_and_killed)
{
	unsigned passed_on = 0;
	pid_t pids[SLEEPERS];

	stay_on_one_processor();
	for (int i = 0; i < ROUNDS; i++) {
		set_stage(pids, 2);
		must_be(fipc_sem_post(&stage->s, 1), 0);
		murder(pids[0]);
		await(fipc_sem_value(&stage->s) == 0);
		if (!fipc_word_load(&stage->got[0])) {
			/* Killed between its taking and its saying so, it leaves the second asleep. */
			await(fipc_word_load(&stage->got[1]) || look(&stage->s).waiters == 1);
			passed_on += fipc_word_load(&stage->got[1]);
		}
		murder(pids[1]);
	}
	printf("woken and killed: passed on in %u of %d rounds\n", passed_on, ROUNDS);
	must(passed_on > 0);
}

/* n tokens at once: n of the sleepers get up, in other processes too. */
IN_CHILD(test_post_several)
{
	pid_t pids[SLEEPERS];

	for (uint32_t n = 1; n <= SLEEPERS; n++) {
		set_stage(pids, SLEEPERS);
		must_be(fipc_sem_post(&stage->s, n), 0);
		await(count_got() == n && look(&stage->s).waiters == SLEEPERS - n);
		must_be(fipc_sem_value(&stage->s), 0);
		clear_stage(pids, SLEEPERS);
	}
}

static void take_and_die(void *argument)
{
	(void)argument;
	must_be(fipc_sem_wait(&stage->s), 0);
	raise(SIGKILL);
}

/* What the dead had taken stays taken, and all else goes on. */
IN_CHILD(test_taken_by_the_dead)
{
	must_be(fipc_sem_init(&stage->s, 3, 0), 0);
	must_be(in_child(take_and_die, NULL), 128 + SIGKILL);
	must_be(fipc_sem_value(&stage->s), 2);
	must_be(fipc_sem_wait(&stage->s), 0);
	must_be(fipc_sem_post(&stage->s, 2), 0);
	must_be(fipc_sem_value(&stage->s), 3);
}

/* ---- killed by chance ---- */

enum { WORKERS = 5, TOKENS = 2, KILL_EVERY_US = 3000, PAUSE_EVERY = 20, DEFAULT_SECONDS = 3 };
/* What a worker is at; killed while TAKING or GIVING it may have done it or not. */
enum { IDLE, TAKING, HOLDS, GIVING };

static struct soak {
	fipc_sem s;
	fipc_word pause, at[WORKERS], turns;
} *soak;

static void add_to(fipc_word *w, uint32_t n)
{
	uint32_t seen = fipc_word_load(w);

	while (!fipc_word_cas(w, &seen, seen + n))
		;
}

static int take_somehow(unsigned turn)
{
	switch (turn % 4) {
	case 0:
		return fipc_sem_trywait(&soak->s);
	case 1:
		return fipc_sem_wait_until(&soak->s, fipc_after_ns(20000));
	default:
		return fipc_sem_wait(&soak->s);
	}
}

/* By a swap, before the look at `pause`: either this sees that, or settle() sees us busy. */
static void begin_turn(fipc_word *at)
{
	for (;;) {
		uint32_t idle = IDLE;

		must(fipc_word_cas(at, &idle, TAKING));
		if (!fipc_word_load(&soak->pause))
			return;
		fipc_word_store(at, IDLE);
		nap_us(100);
	}
}

static void work(void *argument)
{
	fipc_word *at = &soak->at[(int)(intptr_t)argument];

	for (unsigned turn = (unsigned)getpid();; turn++) {
		int r;

		begin_turn(at);
		r = take_somehow(turn);
		fipc_word_store(at, r == 0 ? HOLDS : IDLE);
		if (r < 0)
			continue;
		add_to(&soak->turns, 1);
		if (turn % 4 == 0)
			nap_us(20); /* so that others come to sleep */
		fipc_word_store(at, GIVING);
		must_be(fipc_sem_post(&soak->s, 1), 0);
		fipc_word_store(at, IDLE);
	}
}

struct books {
	unsigned kills, doubtful; /* doubtful: tokens that may be lost */
};

static void kill_one(pid_t pids[WORKERS], unsigned which, struct books *books)
{
	murder(pids[which]);
	books->kills++;
	switch (fipc_word_load(&soak->at[which])) {
	case HOLDS:
		must_be(fipc_sem_post(&soak->s, 1), 0);
		break;
	case TAKING:
	case GIVING:
		books->doubtful++;
		break;
	}
	fipc_word_store(&soak->at[which], IDLE);
	pids[which] = start(work, (void *)(intptr_t)which);
}

static unsigned count_busy(void)
{
	unsigned n = 0;

	for (int i = 0; i < WORKERS; i++)
		n += fipc_word_load(&soak->at[i]) != IDLE;
	return n;
}

/*
 * Nobody becomes busy any more: if as many sleep as were busy before, all do, and the value read after that stays. Read
 * before, it could be that from before a post whose poster is idle by now.
 */
static int all_sleep_beside_nothing(void)
{
	unsigned busy = count_busy();

	return busy > 0 && look(&soak->s).waiters == busy && fipc_sem_value(&soak->s) == 0;
}

/* Everybody stops; whoever sleeps while there is nothing to be had is given what was lost, and only that. */
static void settle(struct books *books)
{
	int64_t end = now_ns() + PATIENCE_MS * INT64_C(1000000);
	int64_t value;

	fipc_word_store(&soak->pause, 1);
	while (count_busy() > 0) {
		if (books->doubtful > 0 && all_sleep_beside_nothing()) {
			books->doubtful--;
			must_be(fipc_sem_post(&soak->s, 1), 0);
		}
		if (now_ns() > end)
			must_fail(__FILE__, __LINE__, "a worker is stuck; tokens:",
				  (long)fipc_sem_value(&soak->s));
		nap_us(50);
	}
	value = fipc_sem_value(&soak->s);
	must(value <= TOKENS);
	must(value >= TOKENS - (int64_t)books->doubtful);
	books->doubtful = 0;
	if (value < TOKENS)
		must_be(fipc_sem_post(&soak->s, (uint32_t)(TOKENS - value)), 0);
	fipc_word_store(&soak->pause, 0);
}

static int seconds = DEFAULT_SECONDS;

IN_CHILD(test_soak)
{
	int64_t end = now_ns() + seconds * INT64_C(1000000000);
	struct books books = {0};
	pid_t pids[WORKERS];

	soak = share(sizeof(*soak));
	must_be(fipc_sem_init(&soak->s, TOKENS, 0), 0);
	for (int i = 0; i < WORKERS; i++)
		pids[i] = start(work, (void *)(intptr_t)i);
	while (now_ns() < end) {
		nap_us(KILL_EVERY_US);
		kill_one(pids, (unsigned)random() % WORKERS, &books);
		if (books.kills % PAUSE_EVERY == 0)
			settle(&books);
	}
	settle(&books);
	for (int i = 0; i < WORKERS; i++)
		murder(pids[i]);
	printf("soak: %u kills, %u turns\n", books.kills, fipc_word_load(&soak->turns));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_woken_and_killed),
		cmocka_unit_test(test_post_several),
		cmocka_unit_test(test_taken_by_the_dead),
		cmocka_unit_test(test_soak),
	};

	if (argc > 1)
		seconds = atoi(argv[1]);
	stage = share(sizeof(*stage));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
