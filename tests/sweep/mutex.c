/* SPDX-License-Identifier: Apache-2.0 */
/*
 * No single SIGKILL, at any instruction of any process, leaves a live waiter asleep on a free or dead lock, lets two
 * in, or loses the fact that an owner died inside.
 *
 * In each scene one process, the victim, is run up to an instruction and killed there; then whoever waits has to get
 * the mutex, and the death has to be told exactly if the victim was the owner. Or nobody gets it any more, where it was
 * revoked.
 */
#include "step.h"

#include <errno.h>
#include <limits.h>
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

enum { MOST_WAITERS = 2, NOT_YET = -1000, STUCK_MS = 10000, ENOUGH_FAILURES = 5 };

struct stage {
	fipc_mutex m;
	fipc_word inside; /* number of those between lock and unlock; after a death inside, what it left */
	fipc_word double_entries;
	fipc_word not_yet; /* an owner that lives is inside still: not even one who is told of a death may be */
	pid_t thread;      /* a victim that is not its process's main thread */
	struct {
		int result; /* of its lock */
		fipc_word done;
	} waiters[MOST_WAITERS];
};

static struct stage *stage;
static struct gate victim_ready, victim_go;

struct tally {
	unsigned points, stuck, double_entries, deaths_lost, deaths_made_up;
};

/* ---- what everybody does with the mutex ---- */

static void visit(int r)
{
	if (r == FIPC_OWNER_DIED)
		must_be(fipc_mutex_consistent(&stage->m), 0);
	else if (fipc_word_load(&stage->inside))
		fipc_word_store(&stage->double_entries, 1);
	if (fipc_word_load(&stage->not_yet))
		fipc_word_store(&stage->double_entries, 1);
	fipc_word_store(&stage->inside, 1);
	fipc_word_store(&stage->inside, 0);
}

static void leave(void)
{
	must_be(fipc_mutex_unlock(&stage->m), 0);
}

/* The first use is long, and a scene of its own. FIPC_TIMESTAMPS takes the slow way in. */
static void warm_up(void)
{
	fipc_mutex m;

	must_be(fipc_mutex_init(&m, FIPC_TIMESTAMPS), 0);
	must_be(fipc_mutex_lock(&m), 0);
	must_be(fipc_mutex_unlock(&m), 0);
	must_be(fipc_mutex_consistent(&m), -EINVAL);
}

static void wait_for_it(void *argument)
{
	int i = (int)(intptr_t)argument, r = fipc_mutex_lock(&stage->m);

	stage->waiters[i].result = r;
	if (r >= 0) {
		visit(r);
		leave();
	}
	fipc_word_store(&stage->waiters[i].done, 1);
	for (;;)
		pause();
}

static void lock_and_die(void *argument)
{
	(void)argument;
	must_not_fail(fipc_mutex_lock(&stage->m));
	raise(SIGKILL);
}

/* ---- the victims: what is before trace_me() runs freely ---- */

static void hold_until_waited_for(void)
{
	must_be(fipc_mutex_lock(&stage->m), 0);
	gate_open(&victim_ready);
	gate_pass(&victim_go);
}

static void victim_locks_and_unlocks(void *argument)
{
	int r;

	(void)argument;
	warm_up();
	trace_me();
	r = fipc_mutex_lock(&stage->m);
	visit(r);
	leave();
	trace_over();
}

static void victim_tries(void *argument)
{
	(void)argument;
	warm_up();
	trace_me();
	must_be(fipc_mutex_trylock(&stage->m), 0);
	visit(0);
	leave();
	trace_over();
}

static void victim_uses_it_the_first_time(void *argument)
{
	(void)argument;
	trace_me();
	must_be(fipc_mutex_lock(&stage->m), 0);
	visit(0);
	leave();
	trace_over();
}

static void victim_gives_up(void *argument)
{
	(void)argument;
	warm_up();
	trace_me();
	must_be(fipc_mutex_lock(&stage->m), FIPC_OWNER_DIED);
	leave();
	trace_over();
}

static void victim_unlocks(void *argument)
{
	(void)argument;
	hold_until_waited_for();
	trace_me();
	leave();
	trace_over();
}

static void victim_abandons(void *argument)
{
	(void)argument;
	hold_until_waited_for();
	trace_me();
	must_be(fipc_mutex_abandon(&stage->m), 0);
	trace_over();
}

static void victim_unlocks_and_locks(void *argument)
{
	(void)argument;
	hold_until_waited_for();
	trace_me();
	leave();
	visit(fipc_mutex_lock(&stage->m));
	leave();
	trace_over();
}

static void victim_unlocks_out_of_order(void *argument)
{
	fipc_mutex others[2];

	(void)argument;
	for (int i = 0; i < 2; i++)
		must_be(fipc_mutex_init(&others[i], 0), 0);
	must_be(fipc_mutex_lock(&others[0]), 0);
	must_be(fipc_mutex_lock(&stage->m), 0);
	must_be(fipc_mutex_lock(&others[1]), 0);
	gate_open(&victim_ready);
	gate_pass(&victim_go);
	trace_me();
	leave();
	trace_over();
}

static void victim_waits(void *argument)
{
	(void)argument;
	warm_up();
	trace_me();
	visit(fipc_mutex_lock(&stage->m));
	leave();
	trace_over();
}

static void victim_waits_in_vain(void *argument)
{
	(void)argument;
	warm_up();
	trace_me();
	must_be(fipc_mutex_lock_until(&stage->m, fipc_after_ms(20)), -ETIMEDOUT);
	trace_over();
}

static void victim_mends(void *argument)
{
	(void)argument;
	must_be(fipc_mutex_lock(&stage->m), FIPC_OWNER_DIED);
	gate_open(&victim_ready);
	gate_pass(&victim_go);
	trace_me();
	must_be(fipc_mutex_consistent(&stage->m), 0);
	leave();
	trace_over();
}

static void *end_holding(void *argument)
{
	stage->thread = (pid_t)syscall(SYS_gettid);
	hold_until_waited_for();
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

static void victim_revokes(void *argument)
{
	(void)argument;
	warm_up();
	trace_me();
	must_be(fipc_mutex_revoke(&stage->m), 0);
	trace_over();
}

/* ---- the scenes ---- */

struct scene {
	void (*victim)(void *);
	int waiters;       /* asleep when the victim begins */
	int barger;        /* the director tries to get it between the victim's last instruction and its death */
	int died_before;   /* the mutex comes with a death not yet told */
	int may_give_up;   /* and may end as not recoverable */
	int always_told;   /* of a death, wherever the victim is killed, and if it is not */
	void (*revoke)(void); /* the director does, when the waiters sleep and before the victim begins */
	int victim_waits;  /* the director holds it meanwhile */
	int after_its_sleep; /* the victim is left alone until it has been woken */
	int unlock_first;  /* with that: by the director's unlock, else by its deadline */
	unsigned most;     /* kill points; 0: every instruction */
};

struct run {
	pid_t process, victim, waiters[MOST_WAITERS]; /* victim: the thread */
	enum stop stop;
	int holds; /* the director */
};

static void start_waiters(const struct scene *scene, struct run *run)
{
	for (int i = 0; i < scene->waiters; i++) {
		run->waiters[i] = start(wait_for_it, (void *)(intptr_t)i);
		await(asleep_in_futex(run->waiters[i]));
	}
}

static void stop_waiters(const struct scene *scene, struct run *run)
{
	for (int i = 0; i < scene->waiters; i++)
		murder(run->waiters[i]);
}

static void kill_victim(const struct run *run)
{
	kill_there(run->victim, run->stop);
	if (run->process != run->victim)
		murder(run->process);
}

static void take_it(struct run *run)
{
	int r = fipc_mutex_trylock(&stage->m);

	run->holds = r >= 0;
	if (run->holds)
		visit(r);
}

static void let_it_go(struct run *run)
{
	if (run->holds)
		leave();
	run->holds = 0;
}

static void set_stage(struct run *run)
{
	memset(run, 0, sizeof(*run));
	memset(stage, 0, sizeof(*stage));
	must_be(fipc_mutex_init(&stage->m, 0), 0);
	for (int i = 0; i < MOST_WAITERS; i++)
		stage->waiters[i].result = NOT_YET;
}

/* A thread that is not a child of ours becomes one by trace_me(). */
static int is_traced(pid_t tid)
{
	siginfo_t unused;

	return waitid(P_PID, (id_t)tid, &unused, WSTOPPED | WEXITED | WNOWAIT | WNOHANG | __WALL) == 0;
}

/* Up to where the victim stands at the first instruction that is swept. */
static void begin(const struct scene *scene, struct run *run)
{
	set_stage(run);
	if (scene->died_before)
		must_be(in_child(lock_and_die, NULL), 128 + SIGKILL);
	if (scene->victim_waits)
		take_it(run);
	if (scene->after_its_sleep) {
		run->process = run->victim = start_until_it_sleeps(scene->victim, NULL);
		start_waiters(scene, run);
		if (scene->unlock_first)
			let_it_go(run);
		must(stops_again(run->victim));
		run->stop = STEPPED;
		if (!scene->unlock_first)
			let_it_go(run);
		if (scene->barger)
			take_it(run);
		return;
	}
	if (scene->victim_waits)
		start_waiters(scene, run);
	run->process = run->victim = start(scene->victim, NULL);
	if (scene->waiters && !scene->victim_waits) {
		gate_pass(&victim_ready);
		if (stage->thread)
			run->victim = stage->thread;
		start_waiters(scene, run);
		if (scene->revoke)
			scene->revoke();
		gate_open(&victim_go);
	}
	await(is_traced(run->victim));
	await_traced(run->victim);
}

static int all_done(const struct scene *scene)
{
	for (int i = 0; i < scene->waiters; i++)
		if (!fipc_word_load(&stage->waiters[i].done))
			return 0;
	return 1;
}

static int get_done(const struct scene *scene)
{
	int64_t end = now_ns() + STUCK_MS * INT64_C(1000000);

	while (!all_done(scene)) {
		if (now_ns() > end)
			return 0;
		nap_us(20);
	}
	return 1;
}

/* Deaths that the waiters, and one who came afterwards, have been told of. */
static int count_told(const struct scene *scene, int after)
{
	int told = after == FIPC_OWNER_DIED;

	for (int i = 0; i < scene->waiters; i++)
		told += stage->waiters[i].result == FIPC_OWNER_DIED;
	return told;
}

static void complain(const struct scene *scene, unsigned point, const char *what, const struct fipc_mutex_info *before)
{
	struct fipc_mutex_info info;

	must_be(fipc_mutex_info(&stage->m, &info, sizeof(info)), 0);
	fprintf(stderr, "killed after %u instructions: %s; then state %u owner %u; ", point, what, before->state,
		before->owner_tid);
	fprintf(stderr, "now word %#x state %u owner %u waiters %u, results", (unsigned)stage->m.opaque[1], info.state,
		info.owner_tid, info.waiters);
	for (int i = 0; i < scene->waiters; i++)
		fprintf(stderr, " %d", stage->waiters[i].result);
	fprintf(stderr, "\n");
}

static void judge(const struct scene *scene, const struct run *run, unsigned point,
		  const struct fipc_mutex_info *before, struct tally *tally)
{
	int expected = scene->always_told || before->owner_tid == (uint32_t)run->victim ||
		       before->state == FIPC_MUTEX_DIED;
	int stuck = !get_done(scene), after = stuck ? 0 : fresh_trylock(&stage->m);
	int gone = scene->may_give_up && after == -ENOTRECOVERABLE, told = count_told(scene, after);

	if (stuck || (after < 0 && !gone)) {
		tally->stuck++;
		complain(scene, point, stuck ? "a waiter is stuck" : "nobody can lock it", before);
	} else if (fipc_word_load(&stage->double_entries)) {
		tally->double_entries++;
		complain(scene, point, "two inside", before);
	} else if (gone != (before->state == FIPC_MUTEX_NOT_RECOVERABLE)) {
		tally->deaths_lost++;
		complain(scene, point, gone ? "nobody can lock it" : "it can be locked again", before);
	} else if (!gone && told < expected) {
		tally->deaths_lost++;
		complain(scene, point, "its death was not told", before);
	} else if (!gone && told > expected) {
		tally->deaths_made_up++;
		complain(scene, point, "a death was told that was none", before);
	}
}

static void run_once(const struct scene *scene, unsigned point, struct tally *tally)
{
	struct fipc_mutex_info before;
	struct run run;

	begin(scene, &run);
	run.stop = step_instructions(run.victim, point);
	if (scene->barger && !scene->after_its_sleep)
		take_it(&run);
	must_be(fipc_mutex_info(&stage->m, &before, sizeof(before)), 0);
	kill_victim(&run);
	let_it_go(&run);
	judge(scene, &run, point, &before, tally);
	stop_waiters(scene, &run);
	tally->points++;
}

static struct points find_points(const struct scene *scene)
{
	struct points points;
	struct run run;

	begin(scene, &run);
	points = scene->most ? record_some_points(run.victim, scene->most, &run.stop)
			     : record_points(run.victim, &run.stop);
	kill_victim(&run);
	let_it_go(&run);
	must(get_done(scene));
	stop_waiters(scene, &run);
	return points;
}

static void sweep(const char *name, const struct scene *scene)
{
	struct tally t = {0};
	struct points points;

	stage = share(sizeof(*stage));
	gate_make(&victim_ready);
	gate_make(&victim_go);
	points = find_points(scene);
	for (unsigned i = 0; i < points.n && t.stuck + t.double_entries + t.deaths_lost < ENOUGH_FAILURES; i++)
		run_once(scene, points.at[i], &t);
	printf("%s: %u kill points, %u stuck, %u double entry, %u lost deaths, %u deaths made up\n", name, t.points,
	       t.stuck, t.double_entries, t.deaths_lost, t.deaths_made_up);
	free(points.at);
	gate_free(&victim_ready);
	gate_free(&victim_go);
	munmap(stage, sizeof(*stage));
	assert_true(t.points > 10);
	assert_int_equal(t.stuck + t.double_entries + t.deaths_lost + t.deaths_made_up, 0);
}

/* ---- revoked before the victim unlocks: wholly, or by one who is killed as soon as the word has the mark ---- */

static void revoke_wholly(void)
{
	must_be(fipc_mutex_revoke(&stage->m), 0);
}

static int is_marked(void)
{
	enum { LOCK_WORD = 1, OWNER_DIED_BIT = 30 };

	return *(volatile uint64_t *)&stage->m.opaque[LOCK_WORD] >> OWNER_DIED_BIT & 1;
}

static pid_t start_to_mark(void)
{
	pid_t revoker = start(victim_revokes, NULL);

	await_traced(revoker);
	while (!is_marked())
		must(step_instruction(revoker) == STEPPED);
	return revoker;
}

static void revoke_half_way(void)
{
	murder(start_to_mark());
}

SCENE(lock_and_unlock_alone, .victim = victim_locks_and_unlocks)
SCENE(trylock_and_unlock_alone, .victim = victim_tries)
SCENE(first_use, .victim = victim_uses_it_the_first_time, .most = 150)
SCENE(after_a_death, .victim = victim_locks_and_unlocks, .died_before = 1)
SCENE(giving_up, .victim = victim_gives_up, .died_before = 1, .may_give_up = 1)
SCENE(unlock_with_a_waiter, .victim = victim_unlocks, .waiters = 1)
SCENE(unlock_with_two_waiters, .victim = victim_unlocks, .waiters = 2)
SCENE(unlock_with_two_waiters_and_a_barger, .victim = victim_unlocks, .waiters = 2, .barger = 1)
SCENE(unlock_out_of_order_with_a_waiter, .victim = victim_unlocks_out_of_order, .waiters = 1)
SCENE(unlock_and_lock_with_a_waiter, .victim = victim_unlocks_and_locks, .waiters = 1)
SCENE(waiter_killed_going_to_sleep, .victim = victim_waits, .victim_waits = 1, .waiters = 1)
SCENE(waiter_killed_when_woken, .victim = victim_waits, .victim_waits = 1, .waiters = 1, .after_its_sleep = 1,
      .unlock_first = 1)
SCENE(waiter_killed_when_woken_too_late, .victim = victim_waits, .victim_waits = 1, .waiters = 1,
      .after_its_sleep = 1, .unlock_first = 1, .barger = 1)
SCENE(waiter_killed_when_timed_out, .victim = victim_waits_in_vain, .victim_waits = 1, .waiters = 1,
      .after_its_sleep = 1, .barger = 1)

SCENE(consistent_and_unlock_with_a_waiter, .victim = victim_mends, .died_before = 1, .waiters = 1)
SCENE(abandon_with_two_waiters, .victim = victim_abandons, .waiters = 2, .always_told = 1)
SCENE(thread_ends_holding, .victim = victim_is_a_thread_that_ends, .waiters = 1, .always_told = 1)
SCENE(unlock_of_a_revoked_one, .victim = victim_unlocks, .waiters = 1, .revoke = revoke_wholly, .may_give_up = 1)
SCENE(unlock_of_a_half_revoked_one, .victim = victim_unlocks, .waiters = 2, .revoke = revoke_half_way, .always_told = 1)

/* ---- revoke: whoever does it is killed, while two sleep and the owner is inside; or has vanished there ---- */

struct revoking {
	void (*owner)(void *);
	void (*then)(pid_t owner); /* after the revoker's death; then nobody may be stuck any more */
	enum { NEVER, PERHAPS, ALWAYS } gone; /* nobody gets it any more */
	int least_told;                       /* of a death, if it is not gone */
};

static const struct scene two_asleep = {.waiters = 2};

static void owner_holds(void *argument)
{
	(void)argument;
	hold_until_waited_for();
	leave();
	for (;;)
		pause();
}

/* As an exec by another thread than the main one: the kernel finds no list of the TID that goes. */
static void owner_vanishes(void *argument)
{
	enum { HEAD_SIZE = 3 * sizeof(void *) };

	(void)argument;
	hold_until_waited_for();
	must_be(syscall(SYS_set_robust_list, NULL, HEAD_SIZE), 0);
	raise(SIGKILL);
}

static void it_unlocks(pid_t owner)
{
	(void)owner;
	fipc_word_store(&stage->not_yet, 0);
	gate_open(&victim_go);
}

static void it_dies(pid_t owner)
{
	fipc_word_store(&stage->not_yet, 0);
	murder(owner);
}

static void it_is_revoked_again(pid_t owner)
{
	int r = fipc_mutex_revoke(&stage->m);

	(void)owner;
	must(r == 0 || r == -ESRCH); /* a dead owner's may have been had, and left, by a waiter */
}

static pid_t begin_revoking(const struct revoking *scene, struct run *run)
{
	pid_t owner;

	set_stage(run);
	owner = start(scene->owner, NULL);
	gate_pass(&victim_ready);
	start_waiters(&two_asleep, run);
	if (scene->owner == owner_vanishes) {
		gate_open(&victim_go);
		must_be(finish(owner), 128 + SIGKILL);
	} else {
		fipc_word_store(&stage->not_yet, 1);
	}
	run->process = run->victim = start(victim_revokes, NULL);
	await_traced(run->victim);
	return owner;
}

static const char *what_is_wrong(const struct revoking *scene)
{
	int stuck = !get_done(&two_asleep), after = stuck ? 0 : fresh_trylock(&stage->m);
	int gone = after == -ENOTRECOVERABLE, told = count_told(&two_asleep, after);

	if (stuck)
		return "a waiter is stuck";
	if (after < 0 && !gone)
		return "nobody can lock it";
	if (fipc_word_load(&stage->double_entries))
		return "two inside";
	if (gone ? scene->gone == NEVER : scene->gone == ALWAYS)
		return gone ? "it is not recoverable" : "it can be locked again";
	if (told > 1 || (!gone && told < scene->least_told))
		return "not told of just one death";
	return NULL;
}

static int revoke_killed_at(const void *which, unsigned point)
{
	const struct revoking *scene = which;
	struct fipc_mutex_info before;
	const char *wrong;
	struct run run;
	pid_t owner = begin_revoking(scene, &run);

	run.stop = step_instructions(run.victim, point);
	must_be(fipc_mutex_info(&stage->m, &before, sizeof(before)), 0);
	kill_victim(&run);
	scene->then(owner);
	wrong = what_is_wrong(scene);
	if (wrong)
		complain(&two_asleep, point, wrong, &before);
	stop_waiters(&two_asleep, &run);
	if (scene->owner == owner_holds && scene->then != it_dies)
		murder(owner);
	return wrong != NULL;
}

static struct points find_points_of_revoke(const struct revoking *scene)
{
	struct points points;
	struct run run;
	pid_t owner = begin_revoking(scene, &run);

	points = record_points(run.victim, &run.stop);
	must(run.stop == FINISHED && get_done(&two_asleep));
	stop_waiters(&two_asleep, &run);
	if (scene->owner == owner_holds)
		murder(owner);
	return points;
}

static void sweep_revoke(const char *name, const struct revoking *scene)
{
	struct points points;

	stage = share(sizeof(*stage));
	gate_make(&victim_ready);
	gate_make(&victim_go);
	points = find_points_of_revoke(scene);
	sweep_points(name, points, revoke_killed_at, scene);
	gate_free(&victim_ready);
	gate_free(&victim_go);
	munmap(stage, sizeof(*stage));
}

#define REVOKING(test, ...)                                                                                           \
	static void test(void **state)                                                                                \
	{                                                                                                             \
		const struct revoking scene = {__VA_ARGS__};                                                          \
                                                                                                                      \
		(void)state;                                                                                          \
		sweep_revoke(#test, &scene);                                                                          \
	}

REVOKING(revoke_killed_then_unlock, .owner = owner_holds, .then = it_unlocks, .gone = PERHAPS)
REVOKING(revoke_killed_then_death, .owner = owner_holds, .then = it_dies, .gone = PERHAPS, .least_told = 1)
REVOKING(revoke_killed_then_again, .owner = owner_holds, .then = it_is_revoked_again, .gone = ALWAYS)
REVOKING(revoke_killed_of_a_dead_one, .owner = owner_vanishes, .then = it_is_revoked_again, .gone = NEVER,
	 .least_told = 1)

/* The owner unlocks before its revoke is completed, and the next one stays inside: it takes a second revoke. */
static void revoke_overtaken(void **state)
{
	pid_t owner, revoker;
	struct run run;

	(void)state;
	stage = share(sizeof(*stage));
	gate_make(&victim_ready);
	gate_make(&victim_go);
	set_stage(&run);
	owner = start(owner_holds, NULL);
	gate_pass(&victim_ready);
	revoker = start_to_mark();
	gate_open(&victim_go);
	await(state_of(&stage->m) == FIPC_MUTEX_DIED);
	must_be(fipc_mutex_lock(&stage->m), FIPC_OWNER_DIED);
	start_waiters(&two_asleep, &run);
	must_be(step_instructions(revoker, UINT_MAX), FINISHED);
	await(sleepers(&stage->m) == 2);
	must_be(fipc_mutex_revoke(&stage->m), 0);
	must(get_done(&two_asleep));
	leave();
	assert_int_equal(stage->waiters[0].result, -ENOTRECOVERABLE);
	assert_int_equal(stage->waiters[1].result, -ENOTRECOVERABLE);
	assert_int_equal(fresh_trylock(&stage->m), -ENOTRECOVERABLE);
	stop_waiters(&two_asleep, &run);
	murder(owner);
	gate_free(&victim_ready);
	gate_free(&victim_go);
	munmap(stage, sizeof(*stage));
}

/* ---- attach: whoever makes a mutex of zeroed memory is killed, and another one, who came meanwhile, makes it ---- */

static void victim_attaches(void *argument)
{
	(void)argument;
	warm_up();
	trace_me();
	must_be(fipc_mutex_attach(&stage->m, 0), FIPC_CREATED);
	trace_over();
}

static void attach_and_use(void *argument)
{
	(void)argument;
	must_not_fail(fipc_mutex_attach(&stage->m, 0));
	stage->waiters[0].result = fipc_mutex_lock(&stage->m);
	must_not_fail(stage->waiters[0].result);
	visit(stage->waiters[0].result);
	leave();
}

static pid_t begin_attach(void)
{
	pid_t pid;

	memset(stage, 0, sizeof(*stage));
	pid = start(victim_attaches, NULL);
	await_traced(pid);
	return pid;
}

static void attach_killed_half_way(void **state)
{
	struct points points;
	unsigned failures = 0, told = 0;
	enum stop stop;

	(void)state;
	stage = share(sizeof(*stage));
	points = record_points(begin_attach(), &stop);
	assert_int_equal(stop, FINISHED);
	for (unsigned i = 0; i < points.n; i++) {
		pid_t victim = begin_attach(), other;
		int status, done;

		stop = step_instructions(victim, points.at[i]);
		other = start(attach_and_use, NULL);
		while (!(done = ended(other, &status, 0)) && !asleep_in_futex(other))
			nap_us(20);
		kill_there(victim, stop);
		if (!done && !ended(other, &status, STUCK_MS)) {
			murder(other);
			status = -1;
		}
		failures += status != 0 || fresh_trylock(&stage->m) != 0;
		told += stage->waiters[0].result == FIPC_OWNER_DIED;
	}
	printf("attach_killed_half_way: %u kill points, %u left no good mutex, %u told of a death\n", points.n,
	       failures, told);
	free(points.at);
	munmap(stage, sizeof(*stage));
	assert_int_equal(failures + told, 0); /* nobody was inside */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lock_and_unlock_alone),
		cmocka_unit_test(trylock_and_unlock_alone),
		cmocka_unit_test(first_use),
		cmocka_unit_test(after_a_death),
		cmocka_unit_test(giving_up),
		cmocka_unit_test(unlock_with_a_waiter),
		cmocka_unit_test(unlock_with_two_waiters),
		cmocka_unit_test(unlock_with_two_waiters_and_a_barger),
		cmocka_unit_test(unlock_out_of_order_with_a_waiter),
		cmocka_unit_test(unlock_and_lock_with_a_waiter),
		cmocka_unit_test(waiter_killed_going_to_sleep),
		cmocka_unit_test(waiter_killed_when_woken),
		cmocka_unit_test(waiter_killed_when_woken_too_late),
		cmocka_unit_test(waiter_killed_when_timed_out),
		cmocka_unit_test(consistent_and_unlock_with_a_waiter),
		cmocka_unit_test(abandon_with_two_waiters),
		cmocka_unit_test(thread_ends_holding),
		cmocka_unit_test(unlock_of_a_revoked_one),
		cmocka_unit_test(unlock_of_a_half_revoked_one),
		cmocka_unit_test(revoke_killed_then_unlock),
		cmocka_unit_test(revoke_killed_then_death),
		cmocka_unit_test(revoke_killed_then_again),
		cmocka_unit_test(revoke_killed_of_a_dead_one),
		cmocka_unit_test(revoke_overtaken),
		cmocka_unit_test(attach_killed_half_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
