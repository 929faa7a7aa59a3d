/* SPDX-License-Identifier: Apache-2.0 */
/*
 * No single SIGKILL, at any instruction of any process, leaves a live waiter asleep while a semaphore has tokens, or
 * loses or doubles one: what is there, what the living took and what the dead had taken is what was there and was
 * added.
 *
 * In each scene one process, the victim, is run up to an instruction and killed there. What it had added or taken by
 * then follows from the sum: nothing before some instruction, all of it from that one on.
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

enum { MOST_WAITERS = 2, STUCK_MS = 10000, ENOUGH_FAILURES = 2 };

static struct stage {
	fipc_sem s;
	fipc_word got[MOST_WAITERS];
} *stage;

/* ---- who takes part ---- */

static void warm_up(void)
{
	fipc_sem s;

	must_be(fipc_sem_init(&s, 1, 0), 0);
	must_be(fipc_sem_wait(&s), 0);
	must_be(fipc_sem_wait_until(&s, 1), -ETIMEDOUT);
	must_be(fipc_sem_post(&s, 1), 0);
}

static void wait_for_one(void *argument)
{
	must_be(fipc_sem_wait(&stage->s), 0);
	fipc_word_store(&stage->got[(int)(intptr_t)argument], 1);
	for (;;)
		pause();
}

static void victim_posts(void *argument)
{
	warm_up();
	trace_me();
	must_be(fipc_sem_post(&stage->s, (uint32_t)(uintptr_t)argument), 0);
	trace_over();
}

static void victim_posts_the_first_time(void *argument)
{
	trace_me();
	must_be(fipc_sem_post(&stage->s, (uint32_t)(uintptr_t)argument), 0);
	trace_over();
}

static void victim_waits(void *argument)
{
	(void)argument;
	warm_up();
	trace_me();
	must_be(fipc_sem_wait(&stage->s), 0);
	trace_over();
}

static void victim_waits_the_first_time(void *argument)
{
	(void)argument;
	trace_me();
	must_be(fipc_sem_wait(&stage->s), 0);
	trace_over();
}

static void victim_tries(void *argument)
{
	(void)argument;
	warm_up();
	trace_me();
	must_be(fipc_sem_trywait(&stage->s), 0);
	trace_over();
}

static void victim_waits_in_vain(void *argument)
{
	(void)argument;
	warm_up();
	trace_me();
	must_be(fipc_sem_wait_until(&stage->s, fipc_after_ms(20)), -ETIMEDOUT);
	trace_over();
}

/* ---- the scenes ---- */

struct scene {
	void (*victim)(void *);
	uint32_t initial;
	uint32_t posts;     /* tokens that the victim adds; else it takes one */
	int in_vain;        /* or neither */
	int waiters;        /* asleep when the victim begins, or once it sleeps */
	int barger;         /* the director tries to get one between the victim's last instruction and its death */
	int dead_waiters;   /* that were killed asleep before: WAITERS stands there and nobody sleeps */
	int slept_on_beside; /* somebody has slept on this and other words at once */
	int after_its_sleep; /* the victim is left alone until it has been woken, */
	uint32_t woken_by;  /* by a post of so many tokens, */
	int poster_dies;    /* whose poster was killed before it woke anybody; 0: or by its deadline */
	int may_be_outrun;  /* by a waiter that is awake too: where it has got one is not the same each time */
	unsigned most;      /* kill points; 0: every instruction */
};

struct run {
	pid_t victim, waiters[MOST_WAITERS];
	enum stop stop;
	unsigned taken; /* by the director */
	uint32_t added;
};

static struct fipc_sem_info look(void)
{
	struct fipc_sem_info info;

	must_be(fipc_sem_info(&stage->s, &info, sizeof(info)), 0);
	return info;
}

static void start_waiters(const struct scene *scene, struct run *run)
{
	for (int i = 0; i < scene->waiters; i++) {
		run->waiters[i] = start(wait_for_one, (void *)(intptr_t)i);
		await(asleep_in_futex(run->waiters[i]));
	}
}

static void set_stage(const struct scene *scene, struct run *run)
{
	enum { ANY = 24 };
	pid_t dead[MOST_WAITERS];

	memset(run, 0, sizeof(*run));
	memset(stage, 0, sizeof(*stage));
	must_be(fipc_sem_init(&stage->s, 0, 0), 0);
	for (int i = 0; i < scene->dead_waiters; i++) {
		dead[i] = start(wait_for_one, NULL);
		await(look().waiters == (unsigned)i + 1);
	}
	for (int i = 0; i < scene->dead_waiters; i++)
		murder(dead[i]);
	if (scene->initial)
		must_be(fipc_sem_post(&stage->s, scene->initial), 0);
	((char *)&stage->s)[ANY] = scene->slept_on_beside != 0;
}

/* A post that wakes nobody: its poster is killed as soon as the tokens are there. */
static void post_and_die(uint32_t n)
{
	pid_t poster = start(victim_posts, (void *)(uintptr_t)n);

	await_traced(poster);
	while (fipc_sem_value(&stage->s) == 0)
		must(step_instruction(poster) == STEPPED);
	kill_there(poster, STEPPED);
}

static void wake_it(const struct scene *scene, struct run *run)
{
	run->added = scene->woken_by;
	if (scene->poster_dies)
		post_and_die(scene->woken_by);
	else if (scene->woken_by)
		must_be(fipc_sem_post(&stage->s, scene->woken_by), 0);
	must(stops_again(run->victim));
	run->stop = STEPPED;
}

/* Up to where the victim stands at the first instruction that is swept. */
static void begin(const struct scene *scene, struct run *run)
{
	void *posts = (void *)(uintptr_t)scene->posts;

	set_stage(scene, run);
	if (!scene->after_its_sleep) {
		start_waiters(scene, run);
		run->victim = start(scene->victim, posts);
		await_traced(run->victim);
		return;
	}
	run->victim = start_until_it_sleeps(scene->victim, posts);
	start_waiters(scene, run); /* behind it: the kernel wakes who came first */
	wake_it(scene, run);
}

static unsigned count_got(const struct scene *scene)
{
	unsigned n = 0;

	for (int i = 0; i < scene->waiters; i++)
		n += fipc_word_load(&stage->got[i]);
	return n;
}

/* All who live have got one or sleep, and none sleeps while there are tokens. */
static int come_to_rest(const struct scene *scene)
{
	int64_t end = now_ns() + STUCK_MS * INT64_C(1000000);

	for (;;) {
		struct fipc_sem_info info = look();

		if (count_got(scene) + info.waiters == (unsigned)scene->waiters && (!info.value || !info.waiters))
			return 1;
		if (now_ns() > end)
			return 0;
		nap_us(20);
	}
}

struct tally {
	unsigned points, stuck, wrong;
	int64_t done; /* by the last victim */
};

static void complain(const struct scene *scene, unsigned point, const char *what, int64_t done)
{
	struct fipc_sem_info info = look();

	fprintf(stderr, "killed after %u instructions: %s; value %u, %u asleep, %u of %d served, victim did %lld\n",
		point, what, info.value, info.waiters, count_got(scene), scene->waiters, (long long)done);
}

static void judge(const struct scene *scene, const struct run *run, unsigned point, struct tally *t)
{
	int rest = come_to_rest(scene);
	int64_t sum = (int64_t)look().value + count_got(scene) + run->taken - scene->initial - run->added;
	int64_t done = sum < 0 ? -sum : sum, all = scene->posts ? scene->posts : !scene->in_vain;

	if (!rest) {
		t->stuck++;
		complain(scene, point, "somebody sleeps, and there are tokens", sum);
	} else if ((done != 0 && done != all) || (sum < 0) != (done && !scene->posts) ||
		   (done < t->done && !scene->may_be_outrun)) {
		t->wrong++;
		complain(scene, point, "the sum is wrong", sum);
	}
	t->done = done;
}

/* Whoever still sleeps can be woken. */
static void dismiss(const struct scene *scene, struct run *run, struct tally *t)
{
	must_be(fipc_sem_post(&stage->s, MOST_WAITERS), 0);
	if (!come_to_rest(scene))
		t->stuck++;
	for (int i = 0; i < scene->waiters; i++)
		murder(run->waiters[i]);
}

static void run_once(const struct scene *scene, unsigned point, struct tally *t)
{
	struct run run;

	begin(scene, &run);
	run.stop = step_instructions(run.victim, point);
	if (scene->barger)
		run.taken = fipc_sem_trywait(&stage->s) == 0;
	kill_there(run.victim, run.stop);
	judge(scene, &run, point, t);
	dismiss(scene, &run, t);
	t->points++;
}

static struct points find_points(const struct scene *scene)
{
	struct points points;
	struct tally unused = {0};
	struct run run;

	begin(scene, &run);
	points = scene->most ? record_some_points(run.victim, scene->most, &run.stop)
			     : record_points(run.victim, &run.stop);
	kill_there(run.victim, run.stop);
	dismiss(scene, &run, &unused);
	return points;
}

static void sweep(const char *name, const struct scene *scene)
{
	struct tally t = {0};
	struct points points;

	stage = share(sizeof(*stage));
	points = find_points(scene);
	for (unsigned i = 0; i < points.n && t.stuck + t.wrong < ENOUGH_FAILURES; i++)
		run_once(scene, points.at[i], &t);
	printf("%s: %u kill points, %u stuck, %u wrong sums\n", name, t.points, t.stuck, t.wrong);
	free(points.at);
	munmap(stage, sizeof(*stage));
	assert_true(t.points > 10);
	assert_int_equal(t.stuck + t.wrong, 0);
	assert_true(t.done || scene->in_vain || scene->may_be_outrun); /* else what it does was never reached */
}

SCENE(post_alone, .victim = victim_posts, .posts = 1)
SCENE(post_to_one, .victim = victim_posts, .posts = 1, .waiters = 1)
SCENE(post_to_two, .victim = victim_posts, .posts = 1, .waiters = 2)
SCENE(post_and_a_barger, .victim = victim_posts, .posts = 1, .waiters = 2, .barger = 1)
SCENE(post_two_to_two, .victim = victim_posts, .posts = 2, .waiters = 2)
SCENE(post_two_and_a_barger, .victim = victim_posts, .posts = 2, .waiters = 2, .barger = 1)
SCENE(post_three_to_two, .victim = victim_posts, .posts = 3, .waiters = 2)
SCENE(post_after_a_dead_waiter, .victim = victim_posts, .posts = 1, .dead_waiters = 1)
SCENE(post_after_dead_waiters, .victim = victim_posts, .posts = 1, .dead_waiters = 2, .barger = 1)
SCENE(post_beside_others, .victim = victim_posts, .posts = 1, .waiters = 2, .slept_on_beside = 1)
SCENE(first_post, .victim = victim_posts_the_first_time, .posts = 2, .waiters = 2, .barger = 1)
SCENE(wait_alone, .victim = victim_waits, .initial = 2)
SCENE(try_alone, .victim = victim_tries, .initial = 2, .barger = 1)
SCENE(wait_after_a_dead_waiter, .victim = victim_waits, .initial = 1, .dead_waiters = 1)
SCENE(first_wait, .victim = victim_waits_the_first_time, .initial = 1, .most = 300)
SCENE(wait_in_vain, .victim = victim_waits_in_vain, .in_vain = 1, .waiters = 2)
SCENE(timed_out, .victim = victim_waits_in_vain, .in_vain = 1, .waiters = 2, .after_its_sleep = 1)
SCENE(woken, .victim = victim_waits, .waiters = 2, .after_its_sleep = 1, .woken_by = 1)
SCENE(woken_and_a_barger, .victim = victim_waits, .waiters = 2, .after_its_sleep = 1, .woken_by = 2, .barger = 1,
      .may_be_outrun = 1)
SCENE(woken_for_three, .victim = victim_waits, .waiters = 2, .after_its_sleep = 1, .woken_by = 3, .poster_dies = 1)
SCENE(woken_for_two_and_a_barger, .victim = victim_waits, .waiters = 2, .after_its_sleep = 1, .woken_by = 2,
      .poster_dies = 1, .barger = 1)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(post_alone),
		cmocka_unit_test(post_to_one),
		cmocka_unit_test(post_to_two),
		cmocka_unit_test(post_and_a_barger),
		cmocka_unit_test(post_two_to_two),
		cmocka_unit_test(post_two_and_a_barger),
		cmocka_unit_test(post_three_to_two),
		cmocka_unit_test(post_after_a_dead_waiter),
		cmocka_unit_test(post_after_dead_waiters),
		cmocka_unit_test(post_beside_others),
		cmocka_unit_test(first_post),
		cmocka_unit_test(wait_alone),
		cmocka_unit_test(try_alone),
		cmocka_unit_test(wait_after_a_dead_waiter),
		cmocka_unit_test(first_wait),
		cmocka_unit_test(wait_in_vain),
		cmocka_unit_test(timed_out),
		cmocka_unit_test(woken),
		cmocka_unit_test(woken_and_a_barger),
		cmocka_unit_test(woken_for_three),
		cmocka_unit_test(woken_for_two_and_a_barger),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
