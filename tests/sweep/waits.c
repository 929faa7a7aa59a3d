/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whoever is killed while he falls asleep on a named object, tells that he has slept for long, or wakes, is told of
 * no more, and the others go on.
 */
#include "step.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { SOME = 16 }; /* points, where each costs the 50 ms after which it is told */

struct scene {
	bool slept; /* begin where it comes out of its first sleep: */
	bool woken; /* because it got the mutex; else because it has slept for long */
};

static fipc_mutex *mutex;

static void victim(void *unused)
{
	fipc_sem *sem;
	(void)unused;
	must_be(fipc_sem_open(&sem, "warm-up", 0, FIPC_CREATE, 0600), FIPC_CREATED);
	must_be(fipc_sem_wait_until(sem, fipc_after_ms(1)), -ETIMEDOUT); /* the first use is long, and none of this */
	must_be(fipc_sem_close(sem), 0);
	trace_me();
	must_be(fipc_mutex_lock(mutex), 0);
	must_be(fipc_mutex_unlock(mutex), 0);
	trace_over();
}

static void leave(void)
{
	must_be(fipc_mutex_unlock(mutex), 0);
}

/* Up to where the first instruction that is swept begins. */
static pid_t begin(const struct scene *scene)
{
	pid_t pid = start(victim, NULL);
	enum stop stop = STEPPED;
	await_traced(pid);
	while (scene->slept && stop == STEPPED)
		stop = step_syscall(pid);
	if (scene->woken)
		leave();
	if (scene->slept)
		must(stops_again(pid));
	return pid;
}

static int count(const struct fipc_wait *w, void *context)
{
	(void)w;
	++*(int *)context;
	return 0;
}

static int asleep(void)
{
	fipc_registry *r;
	int n = 0;
	must_be(fipc_registry_open(&r, NULL, 0), 0);
	must_be(fipc_registry_waits(r, NULL, 0, count, &n), 0);
	fipc_registry_close(r);
	return n;
}

/* And held again, as at the beginning. False: nobody gets it any more. */
static bool goes_on(const struct scene *scene)
{
	int r;
	if (!scene->woken)
		leave();
	r = fipc_mutex_lock_until(mutex, fipc_after_ms(PATIENCE_MS));
	if (r == FIPC_OWNER_DIED)
		r = scene->woken ? fipc_mutex_consistent(mutex) : -EBADMSG; /* it has never had it */
	return r == 0;
}

static int killed_at(const void *argument, unsigned point)
{
	const struct scene *scene = argument;
	pid_t pid = begin(scene);
	kill_there(pid, step_instructions(pid, point));
	bool told = asleep() > 0, on = goes_on(scene);
	if (told || !on)
		fprintf(stderr, "%u: %s\n", point, told ? "is told of as asleep" : "the others do not go on");
	return told || !on;
}

static void sweep(const char *name, const struct scene *scene)
{
	enum stop stop;
	struct points points;
	fresh_dir();
	must_be(fipc_mutex_open(&mutex, "m", FIPC_CREATE, 0600), FIPC_CREATED);
	must_be(fipc_mutex_lock(mutex), 0);
	pid_t pid = begin(scene);
	points = scene->slept && !scene->woken ? record_some_points(pid, SOME, &stop) : record_points(pid, &stop);
	kill_there(pid, stop);
	must(goes_on(scene));
	sweep_points(name, points, killed_at, scene);
	leave();
	must_be(fipc_mutex_close(mutex), 0);
}

SCENE(falls_asleep, .slept = false)
SCENE(has_slept_for_long, .slept = true)
SCENE(wakes, .slept = true, .woken = true)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(falls_asleep),
		cmocka_unit_test(has_slept_for_long),
		cmocka_unit_test(wakes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
