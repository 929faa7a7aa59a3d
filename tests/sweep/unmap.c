/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unlock, then unmap: a thread that lets an object go stands still after every instruction of that call, and another
 * one takes the object and closes it, the last handle of it. The memory must be there for as long as the first one
 * touches it: the close waits, or says -EBUSY. If it was unmapped, nothing that the first one still does may need it:
 * no fault, and no futex call is told of an address where nothing is (-EFAULT).
 */
#include "handover.h"
#include "step.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum doing {
	BEGINS,
	IS_READY,
	TAKES,  /* it may sleep */
	CLOSES, /* it may wait, and try again */
	CLOSED,
};

/* Of the closer. Shared: the subject writes, its tracer reads. */
static struct stage {
	fipc_word doing, busy;
	pid_t tid;
} *stage;
static struct gate go;

struct scene {
	const struct handover *type;
	enum {
		COMES,         /* when the giver stands still */
		COMES_BEFORE,  /* the same; and another process sleeps for it, so that the giver has to wake */
		SLEEPS_BEFORE, /* in its take, when the giver begins */
	} closer;
	int first; /* the giver has not used the library before */
};

struct subject {
	const struct scene *scene;
	void *object;
};

/* ---- the closer, a thread that is not traced ---- */

static void goes_on_to(enum doing next)
{
	fipc_word_store(&stage->doing, next);
}

/* 1: closed; 0: not yet. */
static int try_to_close(const struct subject *s)
{
	int r;

	goes_on_to(CLOSES);
	r = s->scene->type->close(s->object);
	must(r == 0 || r == -EBUSY);
	if (r < 0)
		fipc_word_store(&stage->busy, 1);
	return r == 0;
}

static int take(const struct subject *s, fipc_deadline d)
{
	goes_on_to(TAKES);
	return s->scene->type->take(s->object, d);
}

/* What is held, and not given yet, cannot be closed; what need not be held is not its to close before it has got it. */
static int close_when_given(const struct subject *s)
{
	if (s->scene->closer != SLEEPS_BEFORE && take(s, FIPC_NOW) == 0)
		return try_to_close(s);
	if (s->scene->closer != SLEEPS_BEFORE && s->scene->type->before == HELD && try_to_close(s))
		return 1;
	must_be(take(s, FIPC_FOREVER), 0);
	return try_to_close(s);
}

static void *take_and_close(void *argument)
{
	const struct subject *s = argument;

	stage->tid = gettid();
	use_the_library();
	goes_on_to(IS_READY);
	if (s->scene->closer != SLEEPS_BEFORE)
		gate_pass(&go);
	if (!close_when_given(s))
		while (!try_to_close(s))
			;
	goes_on_to(CLOSED);
	for (;;)
		pause();
	return NULL;
}

/* ---- the giver ---- */

static int is_asleep_taking(void)
{
	return fipc_word_load(&stage->doing) == TAKES && asleep_in_futex(stage->tid);
}

/* In a process of its own, which goes with this one. */
static void sleep_for_it(void *argument)
{
	const struct subject *s = argument;
	int r = s->scene->type->take(s->object, FIPC_FOREVER);

	(void)r;
	for (;;)
		pause();
}

static void start_sleeper(struct subject *s)
{
	pid_t pid = start(sleep_for_it, s);

	await(asleep_in_futex(pid));
}

static void be_subject(void *argument)
{
	struct subject s = {.scene = argument};
	pthread_t closer;

	if (!s.scene->first)
		use_the_library();
	s.object = s.scene->type->open();
	if (s.scene->closer == COMES_BEFORE)
		start_sleeper(&s);
	must_be(pthread_create(&closer, NULL, take_and_close, &s), 0);
	await(s.scene->closer == SLEEPS_BEFORE ? is_asleep_taking() : fipc_word_load(&stage->doing) == IS_READY);
	trace_me();
	must_be(s.scene->type->give(s.object), 0);
	pthread_join(closer, NULL); /* sleeps for good: the end of what is stepped */
	trace_over();
}

static pid_t begin(const struct scene *scene)
{
	pid_t pid;

	memset(stage, 0, sizeof(*stage));
	pid = start(be_subject, (void *)(uintptr_t)scene);
	await_traced(pid);
	return pid;
}

/* And until the other process, should there be one, has let go of the object: the next giver makes it anew. */
static void end(pid_t giver)
{
	murder(giver);
	must_become_clean(test_dir(), 0);
}

/* ---- the tracer ---- */

/*
 * The closer gets no further: it sleeps for the object, or waits with its close (also for a lock of the library's own,
 * that the giver has in its first use), or is through.
 */
static int has_settled(void)
{
	switch (fipc_word_load(&stage->doing)) {
	case TAKES:
		return asleep_in_futex(stage->tid);
	case CLOSES:
		return asleep_in_futex(stage->tid) || asleep_in(stage->tid, SYS_clock_nanosleep) ||
		       asleep_in(stage->tid, SYS_nanosleep);
	default:
		return fipc_word_load(&stage->doing) == CLOSED;
	}
}

static const char *what_went_wrong(pid_t pid)
{
	struct __ptrace_syscall_info call;
	siginfo_t signal;

	must_be(ptrace(PTRACE_GETSIGINFO, pid, NULL, &signal), 0);
	if (signal.si_signo == SIGSEGV || signal.si_signo == SIGBUS)
		return "it touched memory that was gone";
	must_not_fail(ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(call), &call));
	if (call.op == PTRACE_SYSCALL_INFO_EXIT && call.exit.rval == -EFAULT)
		return "it told the kernel of memory that was gone";
	return NULL;
}

/* From where it stands until it has given the object, and sleeps. */
static const char *let_it_give(pid_t pid)
{
	const char *wrong = what_went_wrong(pid);

	while (!wrong && step_syscall(pid) == STEPPED)
		wrong = what_went_wrong(pid);
	return wrong;
}

/* What there is one of only, the other process may have got. */
static int is_over(const struct scene *scene)
{
	return fipc_word_load(&stage->doing) == CLOSED || (scene->closer == COMES_BEFORE && is_asleep_taking());
}

static unsigned held_up; /* closes */

static int stopped_at(const void *which, unsigned point)
{
	const struct scene *scene = which;
	const char *wrong = NULL;
	pid_t giver = begin(scene);
	enum stop stop = step_instructions(giver, point);

	if (scene->closer != SLEEPS_BEFORE)
		gate_open(&go);
	await(has_settled());
	held_up += fipc_word_load(&stage->busy) || fipc_word_load(&stage->doing) == CLOSES;
	if (stop == STEPPED)
		wrong = let_it_give(giver);
	if (wrong)
		fprintf(stderr, "    %s, stopped after %u instructions: %s\n", scene->type->name, point, wrong);
	else
		await(is_over(scene));
	end(giver);
	return wrong != NULL;
}

static void sweep(const struct scene *scene)
{
	static const char *const closers[] = {"one who comes", "one who comes before a sleeper", "a sleeper"};
	char name[80];
	enum stop stop;
	pid_t giver = begin(scene);
	struct points points = record_points(giver, &stop);

	end(giver);
	assert_int_equal(stop, SLEEPS);
	snprintf(name, sizeof(name), "%s, closed by %s%s", scene->type->name, closers[scene->closer],
		 scene->first ? ", first use" : "");
	held_up = 0;
	sweep_points(name, points, stopped_at, scene);
	printf("\tof the closes: %u held up\n", held_up);
}

/* When points are left out, types are too, each time others. */
static int has_its_turn(unsigned i)
{
	enum { PART = 4 };
	static unsigned first;

	if (i == 0)
		first = sweep_first();
	return sweep_every() == 1 || (first + i) % PART == 0;
}

static int makes_sense(const struct scene *scene)
{
	if (scene->first && scene->type->before == HELD)
		return 0;
	return scene->closer == SLEEPS_BEFORE || scene->type->before != TO_SLEEPERS;
}

static void sweep_types(struct scene scene)
{
	for (unsigned i = 0; i < n_handovers; i++) {
		scene.type = &handovers[i];
		if (has_its_turn(i) && makes_sense(&scene))
			sweep(&scene);
	}
}

#define CLOSED(test, ...)                                                                                             \
	static void test(void **state)                                                                                \
	{                                                                                                             \
		(void)state;                                                                                          \
		sweep_types((struct scene){__VA_ARGS__});                                                             \
	}

CLOSED(by_one_who_comes, .closer = COMES)
CLOSED(by_one_who_comes_before_a_sleeper, .closer = COMES_BEFORE)
CLOSED(by_a_sleeper, .closer = SLEEPS_BEFORE)
/* The giver's thread is not on the library's list, and cannot get there: post and set are for signal handlers, too. */
CLOSED(first_use_by_one_who_comes_before_a_sleeper, .closer = COMES_BEFORE, .first = 1)
CLOSED(first_use_by_a_sleeper, .closer = SLEEPS_BEFORE, .first = 1)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_one_who_comes),
		cmocka_unit_test(by_one_who_comes_before_a_sleeper),
		cmocka_unit_test(by_a_sleeper),
		cmocka_unit_test(first_use_by_one_who_comes_before_a_sleeper),
		cmocka_unit_test(first_use_by_a_sleeper),
	};

	test_dir();
	stage = share(sizeof(*stage));
	gate_make(&go);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
