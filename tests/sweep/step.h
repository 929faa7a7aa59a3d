/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A child that is run one instruction, or one system call, at a time, to be killed exactly there.
 *
 * A kill point needs a process of its own, so a sweep over n points runs the operation n times, each time a little
 * further. Loops that wait would make that long: record_points() leaves out what only repeats.
 */
#ifndef FIPC_TESTS_SWEEP_STEP_H
#define FIPC_TESTS_SWEEP_STEP_H

#include "../support.h"

enum stop {
	STEPPED,  /* stands after the instruction, or at the system call's entry or exit */
	SLEEPS,   /* inside a system call that does not return */
	FINISHED, /* body has returned */
};

/* In the child, before and after the operation: stop until the parent goes on with it; end. */
void trace_me(void);
noreturn void trace_over(void);
/* In the parent: wait until it has called trace_me(). */
void await_traced(pid_t pid);

enum stop step_instruction(pid_t pid);
enum stop step_syscall(pid_t pid);
/* n instructions, fewer if it sleeps or finishes before. */
enum stop step_instructions(pid_t pid, unsigned n);
/* Start it, traced; where everything is slow its deadline may have passed before it slept: then another one. */
pid_t start_until_it_sleeps(void (*victim)(void *), void *argument);
/* A sleeper that is woken stops again: 1, or 0 when it has not within PATIENCE_MS. */
int stops_again(pid_t pid);
/* SIGKILL it where it stands, and reap; nothing if it has finished. */
void kill_there(pid_t pid, enum stop stop);

/*
 * FIPC_SWEEP_EVERY=n in the environment: kill at every n-th point only, beginning at one that chance chooses. So `make test`
 * does, for the sake of time; `make sweep`, and a sweep run by hand, leaves out nothing.
 */
unsigned sweep_every(void); /* n */
unsigned sweep_first(void); /* 0 to n - 1; another one at each call */

/* Where to kill: numbers of instructions, ascending. */
struct points {
	unsigned n, *at;
};
/*
 * Run it to its end, or until it sleeps, and say where to kill: after every instruction; only of one that is run again
 * and again, as in a loop that spins, the first two times and then now and then; and of these what FIPC_SWEEP_EVERY
 * leaves. Does not kill.
 */
struct points record_points(pid_t pid, enum stop *ret);
/* At most `most` points, evenly, of an operation too long for every one. */
struct points record_some_points(pid_t pid, unsigned most, enum stop *ret);

/*
 * Kill at each of them, until that went wrong too often; tell how it went, and fail the test if once was wrong, or if
 * there was next to nothing to do. killed_at: 1 when it went wrong. Frees the points.
 */
void sweep_points(const char *name, struct points points, int (*killed_at)(const void *scene, unsigned point),
		  const void *scene);

/* A test that sweeps over one scene: a struct scene, and sweep(name, scene), are what each file has of its own. */
#define SCENE(test, ...)                                                                                              \
	static void test(void **state)                                                                                \
	{                                                                                                             \
		const struct scene scene = {__VA_ARGS__};                                                             \
                                                                                                                      \
		(void)state;                                                                                          \
		sweep(#test, &scene);                                                                                 \
	}

#endif
