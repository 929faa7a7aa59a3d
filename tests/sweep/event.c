/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An event, and a process killed at every instruction of set and wait: who sleeps on an event that is set, or that was
 * set while it slept (manual), passes; nobody is stranded afterwards.
 */
#include "step.h"

#include <errno.h>
#include <limits.h>
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

enum { MOST_WAITERS = 3, STUCK_MS = 10000 };

static struct stage {
	fipc_event e;
	fipc_word done[MOST_WAITERS];
} *stage;

struct scene {
	void (*victim)(void *);
	unsigned flags;
	int waiters;
	int sleeps; /* the victim does, before it is stepped: the director sets the event, or the deadline comes */
	int clear;  /* the director clears it again at once */
};

struct run {
	pid_t victim, waiters[MOST_WAITERS];
	enum stop stop;
};

static struct fipc_event_info look(void)
{
	struct fipc_event_info info;

	must_be(fipc_event_info(&stage->e, &info, sizeof(info)), 0);
	return info;
}

static void wait_for_it(void *argument)
{
	must_be(fipc_event_wait(&stage->e), 0);
	fipc_word_store(&stage->done[(intptr_t)argument], 1);
	for (;;)
		pause();
}

/* The first use is long, and the same for all: see the sweep of the mutex. */
static void warm_up(void)
{
	fipc_event e;

	must_be(fipc_event_init(&e, 0), 0);
	must_be(fipc_event_wait_until(&e, fipc_after_ns(1)), -ETIMEDOUT);
}

/* ---- the victims ---- */

static void victim_sets(void *argument)
{
	(void)argument;
	warm_up();
	trace_me();
	must_be(fipc_event_set(&stage->e), 0);
	trace_over();
}

/* It has not used fipc before: libc's list serves. */
static void victim_sets_first_of_all(void *argument)
{
	(void)argument;
	trace_me();
	must_be(fipc_event_set(&stage->e), 0);
	trace_over();
}

static void victim_pulses(void *argument)
{
	(void)argument;
	warm_up();
	trace_me();
	must_be(fipc_event_set(&stage->e), 0);
	must_be(fipc_event_clear(&stage->e), 0);
	trace_over();
}

static void victim_waits(void *argument)
{
	(void)argument;
	warm_up();
	trace_me();
	must_be(fipc_event_wait(&stage->e), 0);
	trace_over();
}

static void victim_waits_in_vain(void *argument)
{
	(void)argument;
	warm_up();
	trace_me();
	must_be(fipc_event_wait_until(&stage->e, fipc_after_ms(10)), -ETIMEDOUT);
	trace_over();
}

/* ---- the scenes ---- */

static void start_waiters(const struct scene *scene, struct run *run)
{
	for (int i = 0; i < scene->waiters; i++) {
		unsigned before = look().waiters;

		run->waiters[i] = start(wait_for_it, (void *)(intptr_t)i);
		await(look().waiters == before + 1);
	}
}

static void stop_waiters(const struct scene *scene, struct run *run)
{
	for (int i = 0; i < scene->waiters; i++)
		if (run->waiters[i])
			murder(run->waiters[i]);
}

/* 0: the victim's deadline came before it slept. */
static int begin_once(const struct scene *scene, struct run *run)
{
	memset(run, 0, sizeof(*run));
	memset(stage, 0, sizeof(*stage));
	must_be(fipc_event_init(&stage->e, scene->flags), 0);
	if (!scene->sleeps)
		start_waiters(scene, run);
	run->victim = start(scene->victim, NULL);
	await_traced(run->victim);
	if (!scene->sleeps)
		return 1;
	while (run->stop == STEPPED)
		run->stop = step_syscall(run->victim);
	if (run->stop != SLEEPS)
		return 0;
	if (scene->victim == victim_waits) {
		start_waiters(scene, run);
		must_be(fipc_event_set(&stage->e), 0);
		if (scene->clear)
			must_be(fipc_event_clear(&stage->e), 0);
	}
	must(stops_again(run->victim));
	run->stop = STEPPED;
	if (scene->victim != victim_waits)
		start_waiters(scene, run);
	return 1;
}

static void begin(const struct scene *scene, struct run *run)
{
	while (!begin_once(scene, run))
		stop_waiters(scene, run);
}

static int count_done(const struct scene *scene)
{
	int n = 0;

	for (int i = 0; i < scene->waiters; i++)
		n += fipc_word_load(&stage->done[i]) != 0;
	return n;
}

/* Nobody is left who should have passed; the victim may have taken an auto-reset one. */
static int settled(const struct scene *scene)
{
	if (count_done(scene) == scene->waiters)
		return 1;
	return look().autoreset ? !look().set : look().sets == 0;
}

static int settles(const struct scene *scene)
{
	int64_t end = now_ns() + STUCK_MS * INT64_C(1000000);

	while (!settled(scene)) {
		if (now_ns() > end)
			return 0;
		nap_us(20);
	}
	return 1;
}

/* Those who are left pass too: one for each set, or all. */
static int empty(const struct scene *scene)
{
	for (int i = 0; i < scene->waiters; i++) {
		must_be(fipc_event_set(&stage->e), 0);
		if (!settles(scene))
			return 0;
	}
	await(count_done(scene) == scene->waiters);
	return 1;
}

static int killed_at(const void *which, unsigned point)
{
	const struct scene *scene = which;
	struct run run;
	int ok;

	begin(scene, &run);
	run.stop = step_instructions(run.victim, point);
	kill_there(run.victim, run.stop);
	ok = settles(scene) && empty(scene);
	if (!ok)
		fprintf(stderr, "killed after %u instructions: %d of %d passed, word %#lx\n", point, count_done(scene),
			scene->waiters, (unsigned long)stage->e.opaque[2]);
	stop_waiters(scene, &run);
	return !ok;
}

static struct points find_points(const struct scene *scene)
{
	struct points points;
	struct run run;

	begin(scene, &run);
	points = record_points(run.victim, &run.stop);
	kill_there(run.victim, run.stop);
	stop_waiters(scene, &run);
	return points;
}

static void sweep(const char *name, const struct scene *scene)
{
	struct points points;

	stage = share(sizeof(*stage));
	points = find_points(scene);
	sweep_points(name, points, killed_at, scene);
	munmap(stage, sizeof(*stage));
}

SCENE(set_with_two_waiters, .victim = victim_sets, .waiters = 2)
SCENE(set_of_an_autoreset_one, .victim = victim_sets, .flags = FIPC_AUTORESET, .waiters = 2)
SCENE(set_by_one_who_used_nothing_before, .victim = victim_sets_first_of_all, .waiters = 2)
SCENE(pulse_with_three_waiters, .victim = victim_pulses, .waiters = 3)
SCENE(going_to_sleep, .victim = victim_waits, .waiters = 1)
SCENE(going_to_sleep_on_an_autoreset_one, .victim = victim_waits, .flags = FIPC_AUTORESET, .waiters = 1)
SCENE(woken, .victim = victim_waits, .waiters = 1, .sleeps = 1)
SCENE(woken_by_a_pulse, .victim = victim_waits, .waiters = 1, .sleeps = 1, .clear = 1)
SCENE(woken_by_an_autoreset_one, .victim = victim_waits, .flags = FIPC_AUTORESET, .waiters = 1, .sleeps = 1)
SCENE(timed_out, .victim = victim_waits_in_vain, .flags = FIPC_AUTORESET, .waiters = 1, .sleeps = 1)

/* ---- nobody dies: it is set and cleared while one is about to sleep, and another one then sleeps at once ---- */

static int noted(void)
{
	return *(volatile uint64_t *)&stage->e.opaque[2] >> 63 != 0;
}

static int misses_a_pulse(const struct scene *scene, unsigned point)
{
	struct run run;
	int was_noted, missed;

	begin(scene, &run);
	must_be(step_instructions(run.victim, point), STEPPED);
	was_noted = noted();
	must_be(fipc_event_set(&stage->e), 0);
	must_be(fipc_event_clear(&stage->e), 0);
	run.waiters[0] = start(wait_for_it, NULL);
	await(look().waiters == 1);
	run.stop = step_instructions(run.victim, UINT_MAX);
	missed = was_noted && run.stop == SLEEPS;
	kill_there(run.victim, run.stop);
	murder(run.waiters[0]);
	return missed;
}

static void pulse_before_sleep(void **state)
{
	const struct scene scene = {.victim = victim_waits};
	struct points points;
	unsigned missed = 0;

	(void)state;
	stage = share(sizeof(*stage));
	points = find_points(&scene);
	for (unsigned i = 0; i < points.n; i++)
		missed += (unsigned)misses_a_pulse(&scene, points.at[i]);
	printf("pulse_before_sleep: %u points, %u missed\n", points.n, missed);
	free(points.at);
	munmap(stage, sizeof(*stage));
	assert_int_equal(missed, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(set_with_two_waiters),
		cmocka_unit_test(set_of_an_autoreset_one),
		cmocka_unit_test(set_by_one_who_used_nothing_before),
		cmocka_unit_test(pulse_with_three_waiters),
		cmocka_unit_test(going_to_sleep),
		cmocka_unit_test(going_to_sleep_on_an_autoreset_one),
		cmocka_unit_test(woken),
		cmocka_unit_test(woken_by_a_pulse),
		cmocka_unit_test(woken_by_an_autoreset_one),
		cmocka_unit_test(timed_out),
		cmocka_unit_test(pulse_before_sleep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
