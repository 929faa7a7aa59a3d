/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A condition variable, and a process killed at every instruction of wait, signal and broadcast: no signal is lost to
 * those who sleep, and nobody is stranded.
 *
 * What a killed waiter may take with it: a signal, if it had the mutex. Then the mutex tells of its death; before,
 * another sleeper returns in its place.
 */
#include "step.h"

#include <errno.h>
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

struct stage {
	fipc_mutex m;
	fipc_cond c;
	fipc_word returned; /* the victim's wait has: it has the mutex, or had it */
	fipc_word done[MOST_WAITERS];
};

static struct stage *stage;

struct scene {
	void (*victim)(void *);
	int ahead;   /* waiters that sleep before the victim does */
	int waiters; /* in all; the others come after it */
	int sleeps;  /* the victim does, before it is stepped: until the director's signals */
	int signals; /* the director's, when all sleep */
	int held;    /* the director holds the mutex meanwhile, and lets it go when the victim is dead */
	int all;     /* one announcement of the victim is for all */
};

struct run {
	pid_t victim, waiters[MOST_WAITERS];
	enum stop stop;
};

static unsigned asleep(void)
{
	struct fipc_cond_info info;

	must_be(fipc_cond_info(&stage->c, &info, sizeof(info)), 0);
	return info.waiters;
}

static unsigned announced(void)
{
	struct fipc_cond_info info;

	must_be(fipc_cond_info(&stage->c, &info, sizeof(info)), 0);
	return info.signals;
}

static void lock(void)
{
	int r = fipc_mutex_lock(&stage->m);

	must_not_fail(r);
	if (r == FIPC_OWNER_DIED)
		must_be(fipc_mutex_consistent(&stage->m), 0);
}

static void unlock(void)
{
	must_be(fipc_mutex_unlock(&stage->m), 0);
}

static void wait_for_it(void *argument)
{
	int r;

	lock();
	r = fipc_cond_wait(&stage->c, &stage->m);
	must_not_fail(r);
	if (r == FIPC_OWNER_DIED)
		must_be(fipc_mutex_consistent(&stage->m), 0);
	unlock();
	fipc_word_store(&stage->done[(intptr_t)argument], 1);
	for (;;)
		pause();
}

/* ---- the victims ---- */

static void victim_waits(void *argument)
{
	(void)argument;
	lock();
	trace_me();
	must_be(fipc_cond_wait(&stage->c, &stage->m), 0);
	fipc_word_store(&stage->returned, 1);
	unlock();
	trace_over();
}

static void victim_waits_in_vain(void *argument)
{
	(void)argument;
	lock();
	trace_me();
	must_be(fipc_cond_wait_until(&stage->c, &stage->m, fipc_after_ms(10)), -ETIMEDOUT);
	fipc_word_store(&stage->returned, 1);
	unlock();
	trace_over();
}

static void victim_signals(void *argument)
{
	(void)argument;
	lock();
	unlock();
	trace_me();
	must_be(fipc_cond_signal(&stage->c), 0);
	trace_over();
}

static void victim_broadcasts(void *argument)
{
	(void)argument;
	lock();
	unlock();
	trace_me();
	must_be(fipc_cond_broadcast(&stage->c), 0);
	trace_over();
}

/* ---- the scenes ---- */

static void start_waiters(struct run *run, int from, int to)
{
	for (int i = from; i < to; i++) {
		unsigned before = asleep();

		run->waiters[i] = start(wait_for_it, (void *)(intptr_t)i);
		await(asleep() == before + 1);
	}
}

/* 0: its deadline came first. */
static int let_it_sleep(struct run *run)
{
	while (run->stop == STEPPED)
		run->stop = step_syscall(run->victim);
	return run->stop == SLEEPS;
}

/* With the mutex held, who is woken first queues for it; those behind it wait for their turn. */
static void signal_all(const struct scene *scene)
{
	for (int i = 0; i < scene->signals; i++) {
		must_be(fipc_cond_signal(&stage->c), 0);
		if (i < scene->ahead && scene->held)
			await(sleepers(&stage->m) == 1);
	}
}

static void stop_waiters(const struct scene *scene, struct run *run)
{
	for (int i = 0; i < scene->waiters; i++)
		if (run->waiters[i])
			murder(run->waiters[i]);
}

static int begin_once(const struct scene *scene, struct run *run)
{
	memset(run, 0, sizeof(*run));
	memset(stage, 0, sizeof(*stage));
	must_be(fipc_mutex_init(&stage->m, 0), 0);
	must_be(fipc_cond_init(&stage->c, 0), 0);
	start_waiters(run, 0, scene->ahead);
	run->victim = start(scene->victim, NULL);
	await_traced(run->victim);
	if (!scene->sleeps) {
		if (scene->victim != victim_waits)
			start_waiters(run, scene->ahead, scene->waiters);
		return 1;
	}
	if (!let_it_sleep(run))
		return 0;
	if (scene->signals) {
		start_waiters(run, scene->ahead, scene->waiters);
		if (scene->held)
			lock();
		signal_all(scene);
	}
	must(stops_again(run->victim));
	run->stop = STEPPED;
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

static int get_done(const struct scene *scene, int wanted)
{
	int64_t end = now_ns() + STUCK_MS * INT64_C(1000000);

	while (count_done(scene) < wanted) {
		if (now_ns() > end)
			return 0;
		nap_us(20);
	}
	return 1;
}

/* How many of the waiters have to return, the victim having been killed now. */
static int count_due(const struct scene *scene, const struct run *run)
{
	struct fipc_mutex_info info;
	int due = (int)announced();

	must_be(fipc_mutex_info(&stage->m, &info, sizeof(info)), 0);
	if (scene->sleeps && (fipc_word_load(&stage->returned) || info.owner_tid == (uint32_t)run->victim))
		due--; /* it had the mutex */
	if (scene->all && due > 0)
		due = scene->waiters;
	return due < scene->waiters ? due : scene->waiters;
}

/* Those who are left return too, one by one. */
static int empty(const struct scene *scene)
{
	int n;

	while ((n = count_done(scene)) < scene->waiters) {
		lock();
		must_be(fipc_cond_signal(&stage->c), 0);
		unlock();
		if (!get_done(scene, n + 1))
			return 0;
	}
	return 1;
}

static int killed_at(const void *which, unsigned point)
{
	const struct scene *scene = which;
	struct run run;
	int due, ok, all;

	begin(scene, &run);
	run.stop = step_instructions(run.victim, point);
	due = count_due(scene, &run);
	kill_there(run.victim, run.stop);
	if (scene->held)
		unlock();
	ok = get_done(scene, due);
	all = ok && empty(scene);
	if (!all)
		fprintf(stderr, "killed after %u instructions: %d of %d due returned; word %#lx, courier %#lx\n", point,
			count_done(scene), due, (unsigned long)stage->c.opaque[2], (unsigned long)stage->c.opaque[3]);
	stop_waiters(scene, &run);
	return !all;
}

static struct points find_points(const struct scene *scene)
{
	struct points points;
	struct run run;

	begin(scene, &run);
	points = record_points(run.victim, &run.stop);
	kill_there(run.victim, run.stop);
	if (scene->held)
		unlock();
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

SCENE(signal_to_two, .victim = victim_signals, .waiters = 2)
SCENE(broadcast_to_three, .victim = victim_broadcasts, .waiters = 3, .all = 1)
SCENE(going_to_sleep, .victim = victim_waits)
SCENE(going_to_sleep_behind_another, .victim = victim_waits, .ahead = 1, .waiters = 1)
SCENE(timed_out, .victim = victim_waits_in_vain, .ahead = 1, .waiters = 1, .sleeps = 1)
SCENE(woken, .victim = victim_waits, .waiters = 1, .sleeps = 1, .signals = 1)
SCENE(woken_and_the_mutex_is_held, .victim = victim_waits, .waiters = 1, .sleeps = 1, .signals = 1, .held = 1)
SCENE(woken_before_another, .victim = victim_waits, .waiters = 2, .sleeps = 1, .signals = 2, .held = 1)
SCENE(woken_behind_another, .victim = victim_waits, .ahead = 1, .waiters = 2, .sleeps = 1, .signals = 2, .held = 1)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(signal_to_two),
		cmocka_unit_test(broadcast_to_three),
		cmocka_unit_test(going_to_sleep),
		cmocka_unit_test(going_to_sleep_behind_another),
		cmocka_unit_test(timed_out),
		cmocka_unit_test(woken),
		cmocka_unit_test(woken_and_the_mutex_is_held),
		cmocka_unit_test(woken_before_another),
		cmocka_unit_test(woken_behind_another),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
