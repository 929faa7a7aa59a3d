/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two processes bound to one processor hand over to each other: in turn, whatever else computes there; and without
 * sleeping, where nothing does.
 */
#include "support.h"

#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { ROUNDS = 300, WAYS = 2 };

static struct shared {
	fipc_sem sems[WAYS];
	fipc_event events[WAYS];
	int turns; /* handed over with the turn: never written by both */
} *shared;
static fipc_mq *queues[WAYS];

/* ---- by what they hand over, there and back ---- */

struct kind {
	void (*give)(int way), (*take)(int way);
};

static void post(int way)
{
	must_be(fipc_sem_post(&shared->sems[way], 1), 0);
}

static void wait_for_token(int way)
{
	must_be(fipc_sem_wait(&shared->sems[way]), 0);
}

static void set(int way)
{
	must_be(fipc_event_set(&shared->events[way]), 0);
}

static void wait_for_event(int way)
{
	must_be(fipc_event_wait(&shared->events[way]), 0);
}

static void send(int way)
{
	must_be(fipc_mq_send(queues[way], "x", 1, 0, FIPC_FOREVER), 0);
}

static void receive(int way)
{
	char c;

	must_be(fipc_mq_receive(queues[way], &c, 1, NULL, FIPC_FOREVER), 1);
}

static const struct kind by_semaphore = {post, wait_for_token}, by_event = {set, wait_for_event},
			 by_message = {send, receive};

static void make_all(void)
{
	const struct fipc_mq_attr attr = {1, 1};

	shared = share(sizeof(*shared));
	for (int i = 0; i < WAYS; i++) {
		must_be(fipc_sem_init(&shared->sems[i], 0, 0), 0);
		must_be(fipc_event_init(&shared->events[i], FIPC_AUTORESET), 0);
		must_be(fipc_mq_open(&queues[i], i ? "back" : "there", &attr, FIPC_CREATE, 0600), FIPC_CREATED);
	}
}

static void close_all(void)
{
	for (int i = 0; i < WAYS; i++)
		must_be(fipc_mq_close(queues[i]), 0);
	must_become_clean(test_dir(), 1);
}

/* ---- the play ---- */

/* Of those that this process may run on: the first. */
static void bind_to_one(void)
{
	cpu_set_t mine, one;
	int cpu = 0;

	must_be(sched_getaffinity(0, sizeof(mine), &mine), 0);
	while (!CPU_ISSET(cpu, &mine))
		cpu++;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	must_be(sched_setaffinity(0, sizeof(one), &one), 0);
}

static void return_all(void *argument)
{
	const struct kind *kind = argument;

	for (int i = 0; i < ROUNDS; i++) {
		kind->take(0);
		must_be(shared->turns++, 2 * i);
		kind->give(1);
	}
}

static void serve_all(const struct kind *kind)
{
	for (int i = 0; i < ROUNDS; i++) {
		kind->give(0);
		kind->take(1);
		must_be(shared->turns++, 2 * i + 1);
	}
}

static void play(void *argument)
{
	pid_t other;

	bind_to_one();
	shared->turns = 0;
	other = start(return_all, argument);
	serve_all(argument);
	must_be(finish(other), 0);
}

static void compute(void *argument)
{
	(void)argument;
	bind_to_one();
	for (;;)
		__asm__ volatile("");
}

/* ---- the tests ---- */

static void play_all(void)
{
	must_be(in_child(play, (void *)&by_semaphore), 0);
	must_be(in_child(play, (void *)&by_event), 0);
	must_be(in_child(play, (void *)&by_message), 0);
}

IN_CHILD(they_take_turns)
{
	make_all();
	play_all();
	close_all();
}

IN_CHILD(they_take_turns_beside_one_that_computes)
{
	pid_t third;

	make_all();
	third = start(compute, NULL);
	play_all();
	murder(third);
	close_all();
}

/* How often both slept, in a play of their own: what they have learnt does not last. */
static long sleeps(const struct kind *kind)
{
	struct rusage before, after;

	must_be(getrusage(RUSAGE_CHILDREN, &before), 0);
	must_be(in_child(play, (void *)kind), 0);
	must_be(getrusage(RUSAGE_CHILDREN, &after), 0);
	return after.ru_nvcsw - before.ru_nvcsw;
}

/* Each round takes a sleep otherwise. Before all who compute there: behind them nobody is let run. */
IN_CHILD(they_do_not_sleep)
{
	const struct sched_param lowest = {.sched_priority = 1};

	if (sched_setscheduler(0, SCHED_FIFO, &lowest) < 0) {
		skip_aloud("they_do_not_sleep", "no permission for SCHED_FIFO");
		_exit(SKIPPED);
	}
	make_all();
	await(sleeps(&by_semaphore) < ROUNDS / 2);
	await(sleeps(&by_event) < ROUNDS / 2);
	await(sleeps(&by_message) < ROUNDS / 2);
	close_all();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(they_take_turns),
		cmocka_unit_test(they_take_turns_beside_one_that_computes),
		cmocka_unit_test(they_do_not_sleep),
	};

	if (lacks_robust("one_processor"))
		return SKIPPED;
	test_dir();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
