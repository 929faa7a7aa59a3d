/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two wait for a token; one of them, the victim, for a bell as well, and it is killed at every instruction of that.
 * Where there is a token, the other one gets it.
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

enum { STUCK_MS = 10000 };

static struct stage {
	fipc_sem sem;
	fipc_event bell;
	fipc_word done;
} *stage;

struct scene {
	int sleeps; /* the victim does, before it is stepped, until there is what follows */
	int token, bell;
	int plain_first; /* the other one sleeps before the victim */
};

struct run {
	pid_t victim, plain;
	enum stop stop;
};

static void take_token(void *argument)
{
	(void)argument;
	must_be(fipc_sem_wait(&stage->sem), 0);
	fipc_word_store(&stage->done, 1);
	for (;;)
		pause();
}

static void victim_waits(void *argument)
{
	const struct fipc_waitable w[] = {{FIPC_KIND_EVENT, &stage->bell}, {FIPC_KIND_SEM, &stage->sem}};

	(void)argument;
	must_be(fipc_wait_any(w, 2, fipc_after_ns(1)), -ETIMEDOUT);
	trace_me();
	must_not_fail(fipc_wait_any(w, 2, FIPC_FOREVER));
	trace_over();
}

static void start_plain(struct run *run)
{
	run->plain = start(take_token, NULL);
	await(asleep_in_futex(run->plain));
}

static void begin(const struct scene *scene, struct run *run)
{
	memset(run, 0, sizeof(*run));
	memset(stage, 0, sizeof(*stage));
	must_be(fipc_sem_init(&stage->sem, 0, 0), 0);
	must_be(fipc_event_init(&stage->bell, FIPC_AUTORESET), 0);
	if (scene->plain_first)
		start_plain(run);
	run->victim = start(victim_waits, NULL);
	await_traced(run->victim);
	while (scene->sleeps && run->stop == STEPPED)
		run->stop = step_syscall(run->victim);
	if (!scene->plain_first)
		start_plain(run);
	if (scene->bell)
		must_be(fipc_event_set(&stage->bell), 0);
	if (scene->token)
		must_be(fipc_sem_post(&stage->sem, 1), 0);
	if (scene->sleeps)
		must(stops_again(run->victim));
	run->stop = STEPPED;
}

static int settled(void)
{
	return fipc_word_load(&stage->done) || fipc_sem_value(&stage->sem) == 0;
}

static int settles(void)
{
	int64_t end = now_ns() + STUCK_MS * INT64_C(1000000);

	while (!settled()) {
		if (now_ns() > end)
			return 0;
		nap_us(20);
	}
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
	ok = settles();
	if (ok && !fipc_word_load(&stage->done)) {
		must_be(fipc_sem_post(&stage->sem, 1), 0); /* the dead one has taken it, or there was none */
		ok = settles();
	}
	if (!ok)
		fprintf(stderr, "killed after %u instructions: a token is left, and one sleeps; word %#lx\n", point,
			(unsigned long)stage->sem.opaque[2]);
	murder(run.plain);
	return !ok;
}

static struct points find_points(const struct scene *scene)
{
	struct points points;
	struct run run;

	begin(scene, &run);
	points = record_points(run.victim, &run.stop);
	kill_there(run.victim, run.stop);
	murder(run.plain);
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

SCENE(going_to_sleep, .plain_first = 1)
SCENE(woken_by_a_token, .sleeps = 1, .token = 1)
SCENE(woken_by_a_token_behind_another, .sleeps = 1, .token = 1, .plain_first = 1)
SCENE(woken_by_both, .sleeps = 1, .token = 1, .bell = 1)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(going_to_sleep),
		cmocka_unit_test(woken_by_a_token),
		cmocka_unit_test(woken_by_a_token_behind_another),
		cmocka_unit_test(woken_by_both),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
