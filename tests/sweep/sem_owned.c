/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owned semaphores: wherever a process is killed, in wait or in post, the tokens that there are afterwards are exactly
 * those that no living process holds, and nobody who waits for one is left asleep.
 *
 * In each scene one process, the victim, is run up to an instruction and killed there. Whoever waits takes a token and
 * gives it back; then all of them have to be there.
 */
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
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { MOST_WAITERS = 2, STUCK_MS = 10000 };

static fipc_sem *s;
static struct stage {
	fipc_word done[MOST_WAITERS];
	pid_t thread; /* a victim that is not its process's main thread */
} *stage;
static struct gate victim_ready, victim_go, holder_ready;

/* ---- the victims: what is before trace_me() runs freely ---- */

static void warm_up(void)
{
	if (fipc_sem_trywait(s) == 0)
		must_be(fipc_sem_post(s, 1), 0);
}

static void hold(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		must_be(fipc_sem_trywait(s), 0);
	gate_open(&victim_ready);
	gate_pass(&victim_go);
}

static void victim_takes_and_gives(void *argument)
{
	(void)argument;
	warm_up();
	trace_me();
	must_be(fipc_sem_wait(s), 0);
	must_be(fipc_sem_post(s, 1), 0);
	trace_over();
}

static void victim_comes_the_first_time(void *argument)
{
	(void)argument;
	trace_me();
	must_be(fipc_sem_wait(s), 0);
	must_be(fipc_sem_post(s, 1), 0);
	trace_over();
}

static void victim_takes_two(void *argument)
{
	(void)argument;
	warm_up();
	trace_me();
	must_be(fipc_sem_wait(s), 0);
	must_be(fipc_sem_wait(s), 0);
	must_be(fipc_sem_post(s, 2), 0);
	trace_over();
}

static void victim_tries(void *argument)
{
	(void)argument;
	warm_up();
	trace_me();
	must_be(fipc_sem_trywait(s), -EAGAIN);
	trace_over();
}

static void victim_gives_one(void *argument)
{
	(void)argument;
	hold(1);
	trace_me();
	must_be(fipc_sem_post(s, 1), 0);
	trace_over();
}

static void victim_gives_two(void *argument)
{
	(void)argument;
	hold(2);
	trace_me();
	must_be(fipc_sem_post(s, 2), 0);
	trace_over();
}

static void victim_gives_and_takes(void *argument)
{
	(void)argument;
	hold(1);
	trace_me();
	must_be(fipc_sem_post(s, 1), 0);
	must_be(fipc_sem_wait(s), 0);
	trace_over(); /* an exit gives it back as a death does */
}

static void *take_one(void *argument)
{
	must_be(fipc_sem_wait(s), 0);
	return argument;
}

static void *take_one_and_stay(void *argument)
{
	must_be(fipc_sem_wait(s), 0);
	gate_open(&holder_ready);
	pause();
	return argument;
}

/* What other threads took: one that has left, and one that is there. */
static void victim_gives_for_others(void *argument)
{
	pthread_t thread;

	must_be(pthread_create(&thread, NULL, take_one, argument), 0);
	must_be(pthread_join(thread, NULL), 0);
	must_be(pthread_create(&thread, NULL, take_one_and_stay, argument), 0);
	gate_pass(&holder_ready);
	warm_up();
	hold(0);
	trace_me();
	must_be(fipc_sem_post(s, 2), 0);
	trace_over();
}

static void victim_gives_for_one_that_left(void *argument)
{
	pthread_t thread;

	must_be(pthread_create(&thread, NULL, take_one, argument), 0);
	must_be(pthread_join(thread, NULL), 0);
	warm_up();
	hold(0);
	trace_me();
	must_be(fipc_sem_post(s, 1), 0);
	trace_over();
}

static void *end_holding(void *argument)
{
	stage->thread = (pid_t)syscall(SYS_gettid);
	hold(1);
	trace_me();
	return argument;
}

static void victim_is_a_thread_that_ends(void *argument)
{
	pthread_t thread;

	must_be(pthread_create(&thread, NULL, end_holding, argument), 0);
	for (;;)
		pause();
}

static void victim_waits(void *argument)
{
	(void)argument;
	warm_up();
	trace_me();
	must_be(fipc_sem_wait(s), 0);
	trace_over();
}

static void victim_waits_in_vain(void *argument)
{
	(void)argument;
	warm_up();
	trace_me();
	must_be(fipc_sem_wait_until(s, fipc_after_ms(20)), -ETIMEDOUT);
	trace_over();
}

/* ---- the others ---- */

static void wait_for_one(void *argument)
{
	int i = (int)(intptr_t)argument;

	must_be(fipc_sem_wait(s), 0);
	must_be(fipc_sem_post(s, 1), 0);
	fipc_word_store(&stage->done[i], 1);
	for (;;)
		pause();
}

static void hold_for_ever(void *argument)
{
	for (uintptr_t i = 0; i < (uintptr_t)argument; i++)
		must_be(fipc_sem_trywait(s), 0);
	gate_open(&holder_ready);
	for (;;)
		pause();
}

static void die_holding(void *argument)
{
	(void)argument;
	must_be(fipc_sem_trywait(s), 0);
	raise(SIGKILL);
}

/* ---- the scenes ---- */

struct scene {
	void (*victim)(void *);
	uint32_t tokens;
	int waiters;         /* asleep when the victim begins, or, of one that waits itself, when it is woken */
	uint32_t held;       /* another process has these meanwhile */
	int holder_dies;     /* that one is killed when all sleep; else the director has them, and gives them back */
	int after_its_sleep; /* the victim is left alone until it has been woken */
	int barger;          /* the director takes one between the victim's last instruction and its death */
	int one_died;        /* the semaphore comes with a dead holder */
	int next_call;       /* what a thread of the victim's left with it is found by who calls next */
	unsigned most;       /* kill points; 0: every instruction */
};

struct run {
	pid_t process, victim, holder, waiters[MOST_WAITERS]; /* victim: the thread */
	enum stop stop;
	uint32_t holds; /* the director */
};

static void start_waiters(const struct scene *scene, struct run *run)
{
	for (int i = 0; i < scene->waiters; i++) {
		run->waiters[i] = start(wait_for_one, (void *)(intptr_t)i);
		await(asleep_in_futex(run->waiters[i]));
	}
}

static void hold_some(const struct scene *scene, struct run *run)
{
	if (scene->holder_dies) {
		run->holder = start(hold_for_ever, (void *)(uintptr_t)scene->held);
		gate_pass(&holder_ready);
		return;
	}
	for (; run->holds < scene->held; run->holds++)
		must_be(fipc_sem_trywait(s), 0);
}

static void let_go(struct run *run)
{
	if (run->holder)
		murder(run->holder);
	run->holder = 0;
	if (run->holds)
		must_be(fipc_sem_post(s, run->holds), 0);
	run->holds = 0;
}

static void call_next(const struct scene *scene)
{
	if (scene->next_call && fipc_sem_value(s) == 0 && fipc_sem_trywait(s) == 0)
		must_be(fipc_sem_post(s, 1), 0);
}

static int is_traced(pid_t tid)
{
	siginfo_t unused;

	return waitid(P_PID, (id_t)tid, &unused, WSTOPPED | WEXITED | WNOWAIT | WNOHANG | __WALL) == 0;
}

static void begin_with_sleep(const struct scene *scene, struct run *run)
{
	run->process = run->victim = start_until_it_sleeps(scene->victim, NULL);
	start_waiters(scene, run);
	let_go(run);
	must(stops_again(run->victim));
	run->stop = STEPPED;
}

/* Up to where the victim stands at the first instruction that is swept. */
static void begin(const struct scene *scene, struct run *run)
{
	memset(run, 0, sizeof(*run));
	memset(stage, 0, sizeof(*stage));
	if (scene->one_died)
		must_be(in_child(die_holding, NULL), 128 + SIGKILL);
	hold_some(scene, run);
	if (scene->held && !scene->after_its_sleep)
		start_waiters(scene, run);
	if (scene->after_its_sleep) {
		begin_with_sleep(scene, run);
		return;
	}
	run->process = run->victim = start(scene->victim, NULL);
	if (scene->waiters && !scene->held) {
		gate_pass(&victim_ready);
		if (stage->thread)
			run->victim = stage->thread;
		start_waiters(scene, run);
		gate_open(&victim_go);
	}
	await(is_traced(run->victim));
	await_traced(run->victim);
}

static void end(const struct scene *scene, struct run *run)
{
	for (int i = 0; i < scene->waiters; i++)
		murder(run->waiters[i]);
}

static void barge(struct run *run)
{
	if (fipc_sem_trywait(s) == 0)
		run->holds++;
}

static void kill_victim(const struct run *run)
{
	kill_there(run->victim, run->stop);
	if (run->process != run->victim)
		murder(run->process);
}

static int all_done(const struct scene *scene)
{
	for (int i = 0; i < scene->waiters; i++)
		if (!fipc_word_load(&stage->done[i]))
			return 0;
	return 1;
}

static int get_done(const struct scene *scene)
{
	int64_t last = now_ns() + STUCK_MS * INT64_C(1000000);

	while (!all_done(scene)) {
		if (now_ns() > last)
			return 0;
		nap_us(20);
	}
	return 1;
}

/* All tokens are there, and can be had: 0, or what is wrong. */
static const char *count_tokens(uint32_t tokens)
{
	if (fipc_sem_value(s) != tokens)
		return "tokens are missing, or too many";
	for (uint32_t i = 0; i < tokens; i++)
		if (fipc_sem_trywait(s) != 0)
			return "a token cannot be had";
	if (fipc_sem_trywait(s) != -EAGAIN)
		return "there is one too many";
	return fipc_sem_post(s, tokens) == 0 ? NULL : "they cannot be given back";
}

static int killed_at(const void *which, unsigned point)
{
	const struct scene *scene = which;
	const char *wrong;
	struct run run;

	begin(scene, &run);
	run.stop = step_instructions(run.victim, point);
	if (scene->barger)
		barge(&run);
	kill_victim(&run);
	let_go(&run);
	call_next(scene);
	wrong = get_done(scene) ? count_tokens(scene->tokens) : "a waiter is stuck";
	if (wrong)
		fprintf(stderr, "killed after %u instructions: %s; value %ld of %u\n", point, wrong,
			(long)fipc_sem_value(s), scene->tokens);
	end(scene, &run);
	return wrong != NULL;
}

static struct points find_points(const struct scene *scene)
{
	struct points points;
	struct run run;

	begin(scene, &run);
	points = scene->most ? record_some_points(run.victim, scene->most, &run.stop)
			     : record_points(run.victim, &run.stop);
	kill_victim(&run);
	let_go(&run);
	call_next(scene);
	must(get_done(scene));
	end(scene, &run);
	return points;
}

static void sweep(const char *name, const struct scene *scene)
{
	struct points points;

	fresh_dir();
	must_be(fipc_sem_open(&s, "swept", scene->tokens, FIPC_CREATE | FIPC_OWNED, 0600), FIPC_CREATED);
	stage = share(sizeof(*stage));
	gate_make(&victim_ready);
	gate_make(&victim_go);
	gate_make(&holder_ready);
	points = find_points(scene);
	sweep_points(name, points, killed_at, scene);
	gate_free(&victim_ready);
	gate_free(&victim_go);
	gate_free(&holder_ready);
	munmap(stage, sizeof(*stage));
	assert_int_equal(fipc_sem_close(s), 0);
}

SCENE(take_and_give_alone, .victim = victim_takes_and_gives, .tokens = 1)
SCENE(the_first_time, .victim = victim_comes_the_first_time, .tokens = 1, .most = 100)
SCENE(take_two_and_give_both, .victim = victim_takes_two, .tokens = 2)
SCENE(take_what_a_dead_one_held, .victim = victim_takes_and_gives, .tokens = 1, .one_died = 1)
SCENE(try_in_vain, .victim = victim_tries, .tokens = 1, .held = 1)
SCENE(give_with_two_waiters, .victim = victim_gives_one, .tokens = 1, .waiters = 2)
SCENE(give_two_with_two_waiters, .victim = victim_gives_two, .tokens = 2, .waiters = 2)
SCENE(give_with_two_waiters_and_a_barger, .victim = victim_gives_one, .tokens = 1, .waiters = 2, .barger = 1)
SCENE(give_and_take_with_a_waiter, .victim = victim_gives_and_takes, .tokens = 1, .waiters = 1)
SCENE(give_for_other_threads_with_a_waiter, .victim = victim_gives_for_others, .tokens = 2, .waiters = 1)
SCENE(give_for_a_thread_that_left, .victim = victim_gives_for_one_that_left, .tokens = 1, .waiters = 1, .next_call = 1)
SCENE(thread_ends_holding, .victim = victim_is_a_thread_that_ends, .tokens = 1, .waiters = 1, .next_call = 1,
      .most = 200)
SCENE(waiter_killed_going_to_sleep, .victim = victim_waits, .tokens = 1, .held = 1, .waiters = 1)
SCENE(waiter_killed_when_woken, .victim = victim_waits, .tokens = 1, .held = 1, .waiters = 1, .after_its_sleep = 1)
SCENE(waiter_killed_when_woken_too_late, .victim = victim_waits, .tokens = 1, .held = 1, .waiters = 1,
      .after_its_sleep = 1, .barger = 1)
SCENE(waiter_killed_when_woken_by_a_death, .victim = victim_waits, .tokens = 1, .held = 1, .holder_dies = 1,
      .waiters = 2, .after_its_sleep = 1)
SCENE(waiter_killed_when_woken_for_two, .victim = victim_waits, .tokens = 2, .held = 2, .holder_dies = 1, .waiters = 2,
      .after_its_sleep = 1)
SCENE(waiter_killed_when_timed_out, .victim = victim_waits_in_vain, .tokens = 1, .held = 1, .waiters = 1, .most = 60)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(take_and_give_alone),
		cmocka_unit_test(the_first_time),
		cmocka_unit_test(take_two_and_give_both),
		cmocka_unit_test(take_what_a_dead_one_held),
		cmocka_unit_test(try_in_vain),
		cmocka_unit_test(give_with_two_waiters),
		cmocka_unit_test(give_two_with_two_waiters),
		cmocka_unit_test(give_with_two_waiters_and_a_barger),
		cmocka_unit_test(give_and_take_with_a_waiter),
		cmocka_unit_test(give_for_other_threads_with_a_waiter),
		cmocka_unit_test(give_for_a_thread_that_left),
		cmocka_unit_test(thread_ends_holding),
		cmocka_unit_test(waiter_killed_going_to_sleep),
		cmocka_unit_test(waiter_killed_when_woken),
		cmocka_unit_test(waiter_killed_when_woken_too_late),
		cmocka_unit_test(waiter_killed_when_woken_by_a_death),
		cmocka_unit_test(waiter_killed_when_woken_for_two),
		cmocka_unit_test(waiter_killed_when_timed_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
