/* SPDX-License-Identifier: Apache-2.0 */
/*
 * No single SIGKILL, at any instruction of a reader or a writer, leaves anybody alive asleep for ever, lets a writer in
 * beside somebody else, loses the death of a writer inside, or makes one up.
 *
 * In each scene one process, the victim, is run up to an instruction and killed there, or has finished; then all who
 * wait have to get in, and a stranger after them; and a death is told once exactly if the victim was inside, writing.
 */
#include "step.h"

#include <errno.h>
#include <sched.h>
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

enum { MOST_WAITERS = 2, NOT_YET = -1000, STUCK_MS = 10000, SLOTS = 2 };

enum way { NOBODY, READER, WRITER }; /* who somebody is, and what it holds */

struct stage {
	fipc_word inside[MOST_WAITERS + 2]; /* what each holds: the waiters, the director, the victim */
	fipc_word victim_is_gone;           /* what it held counts no more */
	fipc_word wrong_company;
	struct {
		int result; /* of its lock */
		fipc_word done;
	} waiters[MOST_WAITERS];
	fipc_mutex never_free;
	uint64_t lock[128 / 8 + SLOTS * 64 / 8];
};
enum { DIRECTOR = MOST_WAITERS, VICTIM };

static struct stage *stage;
static struct gate victim_ready, victim_go;

static fipc_rwlock *l(void)
{
	return (fipc_rwlock *)(void *)stage->lock;
}

static struct fipc_rwlock_info look(void)
{
	struct fipc_rwlock_info info;

	must_be(fipc_rwlock_info(l(), &info, sizeof(info)), 0);
	return info;
}

/* ---- what everybody does with the lock ---- */

static int lock(enum way way, fipc_deadline d)
{
	return way == READER ? fipc_rwlock_rdlock_until(l(), d) : fipc_rwlock_wrlock_until(l(), d);
}

static void come_in(int who, enum way way, int r)
{
	if (r == FIPC_OWNER_DIED)
		way = WRITER;
	fipc_word_store(&stage->inside[who], way);
	for (int i = 0; i < MOST_WAITERS + 2; i++) {
		enum way other = fipc_word_load(&stage->inside[i]);

		if (i == who || other == NOBODY || (other == READER && way == READER))
			continue;
		if (i != VICTIM || !fipc_word_load(&stage->victim_is_gone))
			fipc_word_store(&stage->wrong_company, 1);
	}
	if (r == FIPC_OWNER_DIED)
		must_be(fipc_rwlock_consistent(l()), 0);
}

static void go_out(int who)
{
	fipc_word_store(&stage->inside[who], NOBODY);
	must_be(fipc_rwlock_unlock(l()), 0);
}

static void visit(int who, enum way way)
{
	int r = lock(way, FIPC_FOREVER);

	must_not_fail(r);
	come_in(who, way, r);
	go_out(who);
}

/* Nobody spins there after it has slept once: how a spinner dies is a scene of the mutex's. */
static void be_on_one_processor(void)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	must_be(sched_setaffinity(0, sizeof(one), &one), 0);
}

static void sleep_once(void)
{
	must_be(fipc_mutex_lock_until(&stage->never_free, fipc_after_ms(1)), -ETIMEDOUT);
}

/* The first use is long, and a scene of the mutex's. */
static void warm_up(void)
{
	uint64_t bytes[sizeof(stage->lock) / 8];
	fipc_rwlock *other = (fipc_rwlock *)(void *)bytes;

	must_be(fipc_rwlock_init(other, sizeof(bytes), 0), 0);
	must_be(fipc_rwlock_rdlock(other), 0);
	must_be(fipc_rwlock_unlock(other), 0);
	must_be(fipc_rwlock_wrlock(other), 0);
	must_be(fipc_rwlock_consistent(other), -EINVAL);
	must_be(fipc_rwlock_unlock(other), 0);
	sleep_once();
}

static void wait_as(int i, enum way way)
{
	int r = lock(way, FIPC_FOREVER);

	stage->waiters[i].result = r;
	if (r >= 0) {
		come_in(i, way, r);
		go_out(i);
	}
	fipc_word_store(&stage->waiters[i].done, 1);
	for (;;)
		pause();
}

static void wait_to_read(void *argument)
{
	wait_as((int)(intptr_t)argument, READER);
}

static void wait_to_write(void *argument)
{
	wait_as((int)(intptr_t)argument, WRITER);
}

static void write_and_die(void *argument)
{
	(void)argument;
	must_not_fail(fipc_rwlock_wrlock(l()));
	raise(SIGKILL);
}

/* ---- the victims: what is before trace_me() runs freely ---- */

static void victim_visits(enum way way)
{
	warm_up();
	trace_me();
	visit(VICTIM, way);
	trace_over();
}

static void victim_reads(void *argument)
{
	(void)argument;
	victim_visits(READER);
}

static void victim_writes(void *argument)
{
	(void)argument;
	victim_visits(WRITER);
}

static void victim_leaves(enum way way)
{
	must_be(lock(way, FIPC_FOREVER), 0);
	come_in(VICTIM, way, 0);
	gate_open(&victim_ready);
	gate_pass(&victim_go);
	trace_me();
	go_out(VICTIM);
	trace_over();
}

static void victim_leaves_reading(void *argument)
{
	(void)argument;
	victim_leaves(READER);
}

static void victim_leaves_writing(void *argument)
{
	(void)argument;
	victim_leaves(WRITER);
}

static void victim_abandons(void *argument)
{
	(void)argument;
	must_be(fipc_rwlock_wrlock(l()), 0);
	come_in(VICTIM, WRITER, 0);
	gate_open(&victim_ready);
	gate_pass(&victim_go);
	trace_me();
	fipc_word_store(&stage->inside[VICTIM], NOBODY);
	must_be(fipc_rwlock_abandon(l()), 0);
	trace_over();
}

static void victim_gives_up(void *argument)
{
	(void)argument;
	warm_up();
	trace_me();
	must_be(fipc_rwlock_rdlock(l()), FIPC_OWNER_DIED);
	must_be(fipc_rwlock_unlock(l()), 0);
	trace_over();
}

static void victim_waits_in_vain(enum way way)
{
	warm_up();
	trace_me();
	must_be(lock(way, fipc_after_ms(20)), -ETIMEDOUT);
	trace_over();
}

static void victim_waits_in_vain_to_read(void *argument)
{
	(void)argument;
	victim_waits_in_vain(READER);
}

static void victim_waits_in_vain_to_write(void *argument)
{
	(void)argument;
	victim_waits_in_vain(WRITER);
}

/* ---- the scenes ---- */

struct scene {
	void (*victim)(void *);
	unsigned slots;             /* SLOTS unless told */
	enum way waiters[MOST_WAITERS];
	enum way director;          /* what the director holds, from before the victim begins until after its death */
	int died_before;            /* the lock comes with a death not yet told */
	int may_give_up;            /* and may end as not recoverable */
	int always_told;            /* of a death, wherever the victim is killed, and if it is not */
	int waiters_late;           /* they come between the victim's last instruction and its death; else before */
	int victim_holds;           /* it is inside, and waited for, when it begins */
	int after_its_sleep;        /* the victim is left alone until it has been woken */
	int leave_first;            /* with that: by the director's unlock, else by its deadline */
	int from_its_slot;          /* the victim is left alone until it has a slot, and then the waiters come */
};

struct run {
	pid_t victim, waiters[MOST_WAITERS];
	enum stop stop;
	int director_is_inside;
};

static void start_waiters(const struct scene *scene, struct run *run)
{
	for (int i = 0; i < MOST_WAITERS && scene->waiters[i]; i++) {
		void (*body)(void *) = scene->waiters[i] == READER ? wait_to_read : wait_to_write;

		run->waiters[i] = start(body, (void *)(intptr_t)i);
		await(asleep_in_futex(run->waiters[i]) || fipc_word_load(&stage->waiters[i].done));
	}
}

static void stop_waiters(struct run *run)
{
	for (int i = 0; i < MOST_WAITERS && run->waiters[i]; i++)
		murder(run->waiters[i]);
}

static void director_leaves(struct run *run)
{
	if (run->director_is_inside)
		go_out(DIRECTOR);
	run->director_is_inside = 0;
}

static void set_stage(const struct scene *scene, struct run *run)
{
	memset(run, 0, sizeof(*run));
	memset(stage, 0, sizeof(*stage));
	must_be(fipc_rwlock_init(l(), fipc_rwlock_size(scene->slots ? scene->slots : SLOTS), 0), 0);
	must_be(fipc_mutex_init(&stage->never_free, 0), 0);
	must_be(fipc_mutex_lock(&stage->never_free), 0);
	for (int i = 0; i < MOST_WAITERS; i++)
		stage->waiters[i].result = NOT_YET;
	if (scene->died_before)
		must_be(in_child(write_and_die, NULL), 128 + SIGKILL);
	if (scene->director) {
		must_be(lock(scene->director, FIPC_FOREVER), 0);
		come_in(DIRECTOR, scene->director, 0);
		run->director_is_inside = 1;
	}
}

static void begin_after_its_sleep(const struct scene *scene, struct run *run)
{
	run->victim = start_until_it_sleeps(scene->victim, NULL);
	start_waiters(scene, run);
	if (scene->leave_first)
		director_leaves(run);
	must(stops_again(run->victim));
	run->stop = STEPPED;
}

/* Up to where the victim stands at the first instruction that is swept. */
static void begin(const struct scene *scene, struct run *run)
{
	set_stage(scene, run);
	if (scene->after_its_sleep) {
		begin_after_its_sleep(scene, run);
		return;
	}
	if (!scene->waiters_late && !scene->victim_holds && !scene->from_its_slot)
		start_waiters(scene, run);
	run->victim = start(scene->victim, NULL);
	if (scene->victim_holds) {
		gate_pass(&victim_ready);
		start_waiters(scene, run);
		gate_open(&victim_go);
	}
	await_traced(run->victim);
	if (!scene->from_its_slot)
		return;
	while (look().readers == 0)
		must_be(step_instruction(run->victim), STEPPED);
	start_waiters(scene, run);
}

static void end(const struct scene *scene, struct run *run)
{
	if (scene->waiters_late)
		start_waiters(scene, run);
	fipc_word_store(&stage->victim_is_gone, 1); /* it stands still */
	kill_there(run->victim, run->stop);
	director_leaves(run);
	must_be(fipc_mutex_unlock(&stage->never_free), 0);
}

static int all_done(const struct scene *scene)
{
	int64_t until = now_ns() + STUCK_MS * INT64_C(1000000);

	for (int i = 0; i < MOST_WAITERS && scene->waiters[i]; i++)
		while (!fipc_word_load(&stage->waiters[i].done)) {
			if (now_ns() > until)
				return 0;
			nap_us(50);
		}
	return 1;
}

static int *stranger_got;

static void come_as_a_stranger(void *argument)
{
	(void)argument;
	*stranger_got = fipc_rwlock_trywrlock(l());
	if (*stranger_got < 0)
		return;
	if (*stranger_got == FIPC_OWNER_DIED)
		must_be(fipc_rwlock_consistent(l()), 0);
	must_be(fipc_rwlock_unlock(l()), 0);
	must_be(fipc_rwlock_tryrdlock(l()), 0);
	must_be(fipc_rwlock_unlock(l()), 0);
}

static const char *what_is_wrong(const struct scene *scene, const struct run *run,
				 const struct fipc_rwlock_info *before)
{
	int expected = scene->always_told || before->state == FIPC_RWLOCK_DIED ||
		       before->writer_tid == (uint32_t)run->victim;
	int told = 0;

	if (!all_done(scene))
		return "a waiter is stuck";
	if (fipc_word_load(&stage->wrong_company))
		return "two inside that may not be";
	must_be(in_child(come_as_a_stranger, NULL), 0);
	if (*stranger_got == -ENOTRECOVERABLE && scene->may_give_up)
		return before->state == FIPC_RWLOCK_NOT_RECOVERABLE ? NULL : "not recoverable";
	if (*stranger_got < 0)
		return "nobody can lock it";
	if (before->state == FIPC_RWLOCK_NOT_RECOVERABLE)
		return "recoverable";
	told = *stranger_got == FIPC_OWNER_DIED;
	for (int i = 0; i < MOST_WAITERS && scene->waiters[i]; i++)
		told += stage->waiters[i].result == FIPC_OWNER_DIED;
	return told < expected ? "a death was not told" : told > expected ? "a death was told that was none" : NULL;
}

static int killed_at(const void *which, unsigned point)
{
	const struct scene *scene = which;
	struct fipc_rwlock_info before;
	const char *wrong;
	struct run run;

	begin(scene, &run);
	run.stop = step_instructions(run.victim, point);
	before = look();
	end(scene, &run);
	wrong = what_is_wrong(scene, &run, &before);
	if (wrong)
		fprintf(stderr, "killed after %u instructions: %s; then state %u writer %u victim %d readers %u\n",
			point, wrong, before.state, before.writer_tid, (int)run.victim, before.readers);
	stop_waiters(&run);
	return wrong != NULL;
}

static struct points find_points(const struct scene *scene)
{
	struct points points;
	struct run run;

	begin(scene, &run);
	points = record_points(run.victim, &run.stop);
	end(scene, &run);
	must(all_done(scene));
	stop_waiters(&run);
	return points;
}

static void sweep(const char *name, const struct scene *scene)
{
	struct points points;

	stage = share(sizeof(*stage));
	stranger_got = share(sizeof(*stranger_got));
	gate_make(&victim_ready);
	gate_make(&victim_go);
	points = find_points(scene);
	sweep_points(name, points, killed_at, scene);
	gate_free(&victim_ready);
	gate_free(&victim_go);
	munmap(stage, sizeof(*stage));
	munmap(stranger_got, sizeof(*stranger_got));
}

SCENE(read_alone, .victim = victim_reads)
SCENE(write_alone, .victim = victim_writes)
SCENE(read_when_a_writer_comes, .victim = victim_reads, .waiters = {WRITER}, .waiters_late = 1)
SCENE(write_when_others_come, .victim = victim_writes, .waiters = {READER, WRITER}, .waiters_late = 1)
SCENE(read_after_a_death, .victim = victim_reads, .died_before = 1)
SCENE(write_after_a_death, .victim = victim_writes, .died_before = 1, .waiters = {READER}, .waiters_late = 1)
SCENE(giving_up, .victim = victim_gives_up, .died_before = 1, .may_give_up = 1)
SCENE(last_reader_leaves, .victim = victim_leaves_reading, .victim_holds = 1, .waiters = {WRITER, READER})
SCENE(writer_leaves, .victim = victim_leaves_writing, .victim_holds = 1, .waiters = {READER, WRITER})
SCENE(writer_abandons, .victim = victim_abandons, .victim_holds = 1, .waiters = {READER, WRITER}, .always_told = 1)
SCENE(reader_finds_the_gate_shut, .victim = victim_reads, .from_its_slot = 1, .waiters = {WRITER, READER})
SCENE(reader_goes_to_sleep, .victim = victim_reads, .director = WRITER, .waiters = {READER, WRITER})
SCENE(reader_passes_the_gate, .victim = victim_reads, .director = WRITER, .waiters = {WRITER, READER},
      .after_its_sleep = 1, .leave_first = 1)
SCENE(reader_waits_for_a_slot, .victim = victim_reads, .slots = 1, .director = READER, .waiters = {WRITER, READER},
      .waiters_late = 1)
SCENE(reader_gets_a_slot, .victim = victim_reads, .slots = 1, .director = READER, .waiters = {WRITER, READER},
      .after_its_sleep = 1, .leave_first = 1)
SCENE(reader_gets_no_slot, .victim = victim_waits_in_vain_to_read, .slots = 1, .director = READER, .waiters = {WRITER},
      .after_its_sleep = 1)
SCENE(writer_waits_for_a_reader, .victim = victim_writes, .director = READER, .waiters = {READER, WRITER},
      .waiters_late = 1)
SCENE(writer_sees_the_reader_leave, .victim = victim_writes, .director = READER, .waiters = {READER, WRITER},
      .after_its_sleep = 1, .leave_first = 1)
SCENE(writer_waits_in_vain, .victim = victim_waits_in_vain_to_write, .director = READER, .waiters = {READER, WRITER},
      .after_its_sleep = 1)
SCENE(writer_waits_at_the_gate, .victim = victim_writes, .director = READER, .waiters = {WRITER, READER})

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(read_alone),
		cmocka_unit_test(write_alone),
		cmocka_unit_test(read_when_a_writer_comes),
		cmocka_unit_test(write_when_others_come),
		cmocka_unit_test(read_after_a_death),
		cmocka_unit_test(write_after_a_death),
		cmocka_unit_test(giving_up),
		cmocka_unit_test(last_reader_leaves),
		cmocka_unit_test(writer_leaves),
		cmocka_unit_test(writer_abandons),
		cmocka_unit_test(reader_finds_the_gate_shut),
		cmocka_unit_test(reader_goes_to_sleep),
		cmocka_unit_test(reader_passes_the_gate),
		cmocka_unit_test(reader_waits_for_a_slot),
		cmocka_unit_test(reader_gets_a_slot),
		cmocka_unit_test(reader_gets_no_slot),
		cmocka_unit_test(writer_waits_for_a_reader),
		cmocka_unit_test(writer_sees_the_reader_leave),
		cmocka_unit_test(writer_waits_in_vain),
		cmocka_unit_test(writer_waits_at_the_gate),
	};

	be_on_one_processor();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
