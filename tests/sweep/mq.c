/* SPDX-License-Identifier: Apache-2.0 */
/*
 * No single SIGKILL, at any instruction of a send or a receive, loses, doubles or tears a message, or leaves anybody
 * asleep beside what he waits for; and the queue goes on, with all its slots.
 *
 * In each scene one process, the victim, is run up to an instruction and killed there. What others had asleep, or
 * come to do meanwhile, has to be done. Then all that is in the queue is taken out: each message that was sent is
 * there once, but for the victim's own, which may be missing if it was sending, and for one message, if it was
 * receiving. Then the queue is filled and emptied: as many go in as it was made for.
 */
#include "step.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { CAPACITY = 4, SIZE = 40, MOST_OTHERS = 3, STUCK_MS = 10000, ENOUGH_FAILURES = 5 };

/* The bytes of a message follow from its value: a torn one is found. */
struct message {
	uint32_t value, prio;
	unsigned char bytes[SIZE - 8];
};

/* Whose message it is. Those below were there before. */
enum { VICTIMS = 50, SLEEPERS = 100, LATE = 120, EXTRAS = 150, VALUES = 256 };

/* What those do who are asleep when the victim begins. */
enum doing { RECEIVING, SENDING, POLLING, REGISTERED };

struct stage {
	struct {
		fipc_word done;
		struct message got;
	} others[MOST_OTHERS];
};

static struct stage *stage;
static fipc_mq *q;

struct scene {
	unsigned n; /* messages in the queue before */
	unsigned prios[CAPACITY];
	unsigned received_before; /* of them, by the director: so there is a heap */
	int one_more; /* afterwards the director sends another one of the victim's priority */
	int died_before; /* a receiver died inside before */
	enum doing victim;
	unsigned victim_prio;
	unsigned sleepers;
	enum doing sleeping;
	int after_its_sleep; /* the victim slept, all sleepers but one came later, and the director has woken it */
	int urgent; /* the victim slept after the sleepers, but the kernel wakes it before them */
	int late; /* another one comes to do what the victim does, before it is killed */
	int served; /* before that the director does what the victim waits for, so often */
	int spared; /* and then the victim is not killed, but left to itself: it has to come to its end */
};

struct tally {
	unsigned points, stuck, lost, wrong;
};

struct run {
	pid_t victim, others[MOST_OTHERS];
	unsigned n_others, extras;
	enum stop stop;
	unsigned expected[VALUES], found[VALUES];
};

/* ---- messages ---- */

static struct message message(uint32_t value, uint32_t prio)
{
	struct message m = {value, prio, {0}};

	for (size_t i = 0; i < sizeof(m.bytes); i++)
		m.bytes[i] = (unsigned char)(value * 31 + i);
	return m;
}

static int send_one(uint32_t value, uint32_t prio, fipc_deadline d)
{
	struct message m = message(value, prio);

	return fipc_mq_send(q, &m, sizeof(m), prio, d);
}

static ssize_t receive_one(struct message *ret, fipc_deadline d)
{
	unsigned prio;
	ssize_t n = fipc_mq_receive(q, ret, sizeof(*ret), &prio, d);

	must(n < 0 || prio == ret->prio);
	return n;
}

/* 0: it is torn. */
static int is_whole(const struct message *m)
{
	struct message wanted = message(m->value, m->prio);

	return m->value < VALUES && memcmp(&wanted, m, sizeof(wanted)) == 0;
}

/* ---- the others ---- */

static void become_done(int i)
{
	fipc_word_store(&stage->others[i].done, 1);
	for (;;)
		pause();
}

static void be_receiver(void *argument)
{
	int i = (int)(intptr_t)argument;

	must_be(receive_one(&stage->others[i].got, FIPC_FOREVER), SIZE);
	become_done(i);
}

static void be_sender(void *argument)
{
	int i = (int)(intptr_t)argument;

	must_be(send_one(SLEEPERS + (uint32_t)i, 0, FIPC_FOREVER), 0);
	become_done(i);
}

static void be_late_sender(void *argument)
{
	must_be(send_one(LATE, 0, FIPC_FOREVER), 0);
	become_done((int)(intptr_t)argument);
}

static void be_poller(void *argument)
{
	struct pollfd p = {.fd = fipc_mq_fd(q), .events = POLLIN};

	must_not_fail(p.fd);
	must_be(poll(&p, 1, -1), 1);
	become_done((int)(intptr_t)argument);
}

static void be_registered(void *argument)
{
	struct sigevent how = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	must_be(sigprocmask(SIG_BLOCK, &set, NULL), 0);
	must_be(fipc_mq_notify(q, &how), 0);
	must_be(sigwaitinfo(&set, NULL), SIGUSR1);
	become_done((int)(intptr_t)argument);
}

/* The thread of one that polls or is registered sleeps where receivers do. */
static unsigned asleep(void)
{
	struct fipc_mq_info info;

	must_be(fipc_mq_info(q, &info, sizeof(info)), 0);
	return info.receivers + info.senders;
}

static void start_sleeper(const struct scene *scene, struct run *run)
{
	static void (*const bodies[])(void *) = {be_receiver, be_sender, be_poller, be_registered};
	unsigned before = asleep(), i = run->n_others++;

	run->others[i] = start(bodies[scene->sleeping], (void *)(intptr_t)i);
	if (scene->sleeping == SENDING)
		run->expected[SLEEPERS + i]++;
	await(asleep() > before || asleep_in_futex(run->others[i]));
}

static void start_sleepers(const struct scene *scene, struct run *run)
{
	while (run->n_others < scene->sleepers) {
		unsigned before = asleep();

		start_sleeper(scene, run);
		await(asleep() == before + 1);
	}
}

static void start_late(const struct scene *scene, struct run *run)
{
	unsigned i = run->n_others++;

	run->others[i] = start(scene->victim == SENDING ? be_late_sender : be_receiver, (void *)(intptr_t)i);
	if (scene->victim == SENDING)
		run->expected[LATE]++;
	await(fipc_word_load(&stage->others[i].done) || asleep_in_futex(run->others[i]));
}

/* ---- the victim ---- */

static void become_urgent(const struct scene *scene)
{
	const struct sched_param lowest = {.sched_priority = 1};

	if (scene->urgent)
		must_be(sched_setscheduler(0, SCHED_FIFO, &lowest), 0);
}

/* The first use is long, and a matter of the mutex's sweep. Who has slept in vain, on one processor, does not spin. */
static void warm_up(void)
{
	fipc_mutex m;
	fipc_sem s;

	must_be(fipc_sem_init(&s, 0, FIPC_PRIVATE), 0);
	must_be(fipc_sem_wait_until(&s, fipc_after_ns(1000)), -ETIMEDOUT);
	must_be(fipc_mutex_init(&m, FIPC_TIMESTAMPS), 0);
	must_be(fipc_mutex_lock(&m), 0);
	must_be(fipc_mutex_unlock(&m), 0);
}

static void victim_sends(void *argument)
{
	const struct scene *scene = argument;
	struct message m = message(VICTIMS, scene->victim_prio);

	warm_up();
	become_urgent(scene);
	trace_me();
	must_be(fipc_mq_send(q, &m, sizeof(m), m.prio, FIPC_FOREVER), 0);
	trace_over();
}

static void victim_receives(void *argument)
{
	struct message m;
	unsigned prio;

	warm_up();
	become_urgent(argument);
	trace_me();
	must_be(fipc_mq_receive(q, &m, sizeof(m), &prio, FIPC_FOREVER), SIZE);
	trace_over();
}

/* ---- setting the stage ---- */

static void fill(const struct scene *scene, struct run *run)
{
	struct message m;

	for (unsigned i = 0; i < scene->n; i++) {
		must_be(send_one(i, scene->prios[i], FIPC_NOW), 0);
		run->expected[i]++;
	}
	for (unsigned i = 0; i < scene->received_before; i++) {
		must_be(receive_one(&m, FIPC_NOW), SIZE);
		run->expected[m.value]--;
	}
}

/* Killed before it took anything. */
static void let_one_die_inside(const struct scene *scene)
{
	pid_t pid = start(victim_receives, (void *)(uintptr_t)scene);
	uint64_t received;
	struct fipc_mq_info info;

	enum { INSIDE = 100 }; /* instructions: past the lock, before the commit; checked below */

	must_be(fipc_mq_info(q, &info, sizeof(info)), 0);
	received = info.received;
	await_traced(pid);
	kill_there(pid, step_instructions(pid, INSIDE));
	must_be(fipc_mq_info(q, &info, sizeof(info)), 0);
	must(info.received == received);
}

static void set_stage(const struct scene *scene, struct run *run)
{
	const struct fipc_mq_attr attr = {CAPACITY, SIZE};

	memset(run, 0, sizeof(*run));
	memset(stage, 0, sizeof(*stage));
	must_be(fipc_mq_open(&q, "q", &attr, FIPC_CREATE | FIPC_REPLACE, 0600), FIPC_CREATED);
	fill(scene, run);
	if (scene->died_before)
		let_one_die_inside(scene);
}

static void start_victim(const struct scene *scene, struct run *run)
{
	run->victim = start(scene->victim == SENDING ? victim_sends : victim_receives, (void *)(uintptr_t)scene);
	await_traced(run->victim);
}

static void let_it_sleep(struct run *run)
{
	while ((run->stop = step_syscall(run->victim)) == STEPPED)
		;
	must(run->stop == SLEEPS);
}

static void wake_one(const struct scene *scene, struct run *run)
{
	struct message m;

	if (scene->victim == RECEIVING) {
		must_be(send_one(EXTRAS + run->extras, 0, FIPC_NOW), 0);
		run->expected[EXTRAS + run->extras++]++;
	} else {
		must_be(receive_one(&m, FIPC_NOW), SIZE);
		run->expected[m.value]--;
	}
}

/* Up to where the victim stands at the first instruction that is swept. */
static void begin(const struct scene *scene, struct run *run)
{
	set_stage(scene, run);
	if (!scene->after_its_sleep)
		start_sleepers(scene, run);
	start_victim(scene, run);
	if (!scene->after_its_sleep && !scene->urgent)
		return;
	let_it_sleep(run);
	if (scene->urgent) {
		await(asleep() == scene->sleepers + 1);
	} else if (scene->sleepers > 0) { /* who comes second gets the first one up, and is then before it */
		start_sleeper(scene, run);
		must(stops_again(run->victim));
		let_it_sleep(run);
		start_sleepers(scene, run);
		wake_one(scene, run);
		await(fipc_word_load(&stage->others[0].done));
	}
	wake_one(scene, run);
	must(stops_again(run->victim));
	run->stop = STEPPED;
}

static void strike(const struct run *run)
{
	for (unsigned i = 0; i < run->n_others; i++)
		murder(run->others[i]);
	must_be(fipc_mq_close(q), 0);
}

/* ---- afterwards ---- */

static unsigned undone(const struct run *run)
{
	unsigned n = 0;

	for (unsigned i = 0; i < run->n_others; i++)
		n += !fipc_word_load(&stage->others[i].done);
	return n;
}

/* Is there nothing that anybody waits for? */
static int is_settled(const struct scene *scene, const struct run *run)
{
	enum doing doing = scene->late ? scene->victim : scene->sleeping;

	return undone(run) == 0 || fipc_mq_count(q) == (doing == SENDING ? CAPACITY : 0);
}

static int becomes_settled(const struct scene *scene, const struct run *run)
{
	int64_t end = now_ns() + STUCK_MS * INT64_C(1000000);

	while (!is_settled(scene, run)) {
		if (now_ns() > end)
			return 0;
		nap_us(20);
	}
	return 1;
}

static void find(struct run *run, const struct message *m, struct tally *tally)
{
	if (is_whole(m))
		run->found[m->value]++;
	else
		tally->wrong++;
}

/* Those who are still asleep get what they wait for, one after the other. */
static int serve_the_rest(const struct scene *scene, struct run *run, struct tally *tally)
{
	enum doing doing = scene->late ? scene->victim : scene->sleeping;

	for (unsigned left; (left = undone(run)) > 0;) {
		struct message m;

		if (doing == SENDING) {
			must_be(receive_one(&m, FIPC_NOW), SIZE);
			find(run, &m, tally);
		} else {
			must_be(send_one(EXTRAS + run->extras, 0, FIPC_NOW), 0);
			run->expected[EXTRAS + run->extras++]++;
		}
		if (!becomes_settled(scene, run))
			return 0;
		await(undone(run) < left || fipc_mq_count(q) > 0 || doing == SENDING);
		await(undone(run) < left);
	}
	return 1;
}

static void drain(struct run *run, struct tally *tally)
{
	struct message m, last = {.prio = UINT32_MAX};

	while (receive_one(&m, FIPC_NOW) == SIZE) {
		if (m.prio > last.prio || (m.prio == last.prio && m.value < last.value && m.value < VICTIMS))
			tally->wrong++;
		find(run, &m, tally);
		last = m;
	}
}

static int works_on(void)
{
	struct message m;

	for (uint32_t i = 0; i < CAPACITY; i++)
		if (send_one(i, i % 2, FIPC_NOW) != 0)
			return 0;
	if (send_one(9, 9, FIPC_NOW) != -EAGAIN)
		return 0;
	for (uint32_t i = 0; i < CAPACITY; i++)
		if (receive_one(&m, FIPC_NOW) != SIZE || m.value != (i < CAPACITY / 2 ? 2 * i + 1 : 2 * i - CAPACITY))
			return 0;
	return receive_one(&m, FIPC_NOW) == -EAGAIN;
}

static void complain(unsigned point, const char *what)
{
	struct fipc_mq_info i;

	must_be(fipc_mq_info(q, &i, sizeof(i)), 0);
	fprintf(stderr, "killed after %u instructions: %s; sent %d received %d, asleep %u receivers %u senders, done",
		point, what, (int)i.sent, (int)i.received, i.receivers, i.senders);
	for (int k = 0; k < MOST_OTHERS; k++)
		fprintf(stderr, " %u", fipc_word_load(&stage->others[k].done));
	fprintf(stderr, "\n");
}

/* The victim's own message may be missing; or one that it was receiving. */
static void compare(const struct scene *scene, struct run *run, unsigned point, struct tally *tally)
{
	unsigned missing = 0, doubled = 0, allowed = scene->victim == RECEIVING;

	if (scene->victim == SENDING)
		run->expected[VICTIMS] = scene->spared || run->found[VICTIMS];
	for (int i = 0; i < VALUES; i++) {
		missing += run->found[i] < run->expected[i];
		doubled += run->found[i] > run->expected[i];
	}
	if (missing <= allowed && !doubled)
		return;
	tally->lost++;
	complain(point, doubled ? "a message was doubled" : "a message was lost");
}

static void judge(const struct scene *scene, struct run *run, unsigned point, struct tally *tally)
{
	unsigned wrong = tally->wrong;

	if (!becomes_settled(scene, run) || !serve_the_rest(scene, run, tally)) {
		tally->stuck++;
		complain(point, "somebody is stuck");
		return;
	}
	if (scene->one_more) {
		must_be(send_one(EXTRAS, scene->victim_prio, FIPC_NOW), 0);
		run->expected[EXTRAS]++;
	}
	for (unsigned i = 0; i < run->n_others; i++)
		if (stage->others[i].got.bytes[1])
			find(run, &stage->others[i].got, tally);
	drain(run, tally);
	compare(scene, run, point, tally);
	if (!works_on())
		tally->wrong++;
	if (tally->wrong != wrong)
		complain(point, "a message or its order was wrong, or the queue does not go on");
}

/* Let go of, wherever it stands or sleeps. */
static int comes_to_its_end(const struct run *run)
{
	int status;

	if (run->stop == FINISHED)
		return 1;
	if (run->stop == STEPPED || stops_again(run->victim)) {
		must_be(ptrace(PTRACE_DETACH, run->victim, 0, 0), 0);
		if (ended(run->victim, &status, STUCK_MS))
			return status == 0;
	}
	murder(run->victim);
	return 0;
}

static void run_once(const struct scene *scene, unsigned point, struct tally *tally)
{
	struct run run;

	begin(scene, &run);
	run.stop = step_instructions(run.victim, point);
	if (scene->late)
		start_late(scene, &run);
	for (int i = 0; i < scene->served; i++)
		wake_one(scene, &run);
	if (!scene->spared) {
		kill_there(run.victim, run.stop);
	} else if (!comes_to_its_end(&run)) {
		tally->stuck++;
		complain(point, "the victim does not come to its end");
	}
	judge(scene, &run, point, tally);
	strike(&run);
	tally->points++;
}

static struct points find_points(const struct scene *scene)
{
	struct points points;
	struct run run;

	begin(scene, &run);
	points = record_points(run.victim, &run.stop);
	kill_there(run.victim, run.stop);
	strike(&run);
	return points;
}

static int may_be_urgent(void)
{
	const struct sched_param lowest = {.sched_priority = 1}, none = {0};

	return sched_setscheduler(0, SCHED_FIFO, &lowest) == 0 && sched_setscheduler(0, SCHED_OTHER, &none) == 0;
}

static void sweep(const char *name, const struct scene *scene)
{
	struct tally t = {0};
	struct points points;

	if (scene->urgent && !may_be_urgent()) {
		skip_aloud(name, "needs leave for SCHED_FIFO");
		skip();
	}
	points = find_points(scene);
	for (unsigned i = 0; i < points.n && t.stuck + t.lost + t.wrong < ENOUGH_FAILURES; i++)
		run_once(scene, points.at[i], &t);
	printf("%s: %u kill points, %u stuck, %u lost or doubled, %u wrong\n", name, t.points, t.stuck, t.lost,
	       t.wrong);
	free(points.at);
	assert_true(t.points > 10);
	assert_int_equal(t.stuck + t.lost + t.wrong, 0);
}

SCENE(send_alone, .victim = SENDING)
SCENE(send_another_priority, .victim = SENDING, .n = 2, .victim_prio = 1, .one_more = 1)
SCENE(send_a_third_priority, .victim = SENDING, .n = 3, .prios = {0, 2, 2}, .victim_prio = 1)
SCENE(send_the_last_slot, .victim = SENDING, .n = 4, .received_before = 1)
SCENE(send_with_a_receiver_asleep, .victim = SENDING, .sleepers = 1, .sleeping = RECEIVING)
SCENE(send_with_receivers_asleep, .victim = SENDING, .sleepers = 3, .sleeping = RECEIVING)
SCENE(send_with_a_poller, .victim = SENDING, .sleepers = 1, .sleeping = POLLING)
SCENE(send_with_pollers, .victim = SENDING, .sleepers = 2, .sleeping = POLLING)
SCENE(send_with_one_registered, .victim = SENDING, .sleepers = 1, .sleeping = REGISTERED)
SCENE(send_and_another_comes, .victim = SENDING, .n = 2, .late = 1)
SCENE(sender_going_to_sleep, .victim = SENDING, .n = 4, .sleepers = 1, .sleeping = SENDING)
SCENE(sender_going_to_sleep_among_others, .victim = SENDING, .n = 4, .sleepers = 2, .sleeping = SENDING)
SCENE(sender_woken, .victim = SENDING, .n = 4, .sleeping = SENDING, .after_its_sleep = 1, .late = 1)
SCENE(sender_woken_among_others, .victim = SENDING, .n = 4, .sleepers = 3, .sleeping = SENDING, .after_its_sleep = 1)
SCENE(send_spared_and_another_comes, .victim = SENDING, .n = 2, .late = 1, .spared = 1)
SCENE(sender_going_to_sleep_is_served, .victim = SENDING, .n = 4, .served = 1, .spared = 1)
SCENE(senders_going_to_sleep_are_served, .victim = SENDING, .n = 4, .sleepers = 1, .sleeping = SENDING, .served = 2,
      .spared = 1)
SCENE(sender_served_and_killed, .victim = SENDING, .n = 4, .sleepers = 1, .sleeping = SENDING, .served = 1)
SCENE(urgent_sender_woken, .victim = SENDING, .n = 4, .sleepers = 1, .sleeping = SENDING, .urgent = 1)
SCENE(receive_alone, .victim = RECEIVING, .n = 1)
SCENE(receive_one_of_several, .victim = RECEIVING, .n = 4, .prios = {5, 5, 5, 5})
SCENE(receive_mixed, .victim = RECEIVING, .n = 4, .prios = {1, 3, 2, 3})
SCENE(receive_from_the_heap, .victim = RECEIVING, .n = 4, .prios = {1, 3, 2, 3}, .received_before = 1)
SCENE(receive_after_a_death, .victim = RECEIVING, .n = 4, .prios = {1, 3, 2, 3}, .received_before = 1, .died_before = 1)
SCENE(receive_with_a_sender_asleep, .victim = RECEIVING, .n = 4, .sleepers = 1, .sleeping = SENDING)
SCENE(receive_with_senders_asleep, .victim = RECEIVING, .n = 4, .sleepers = 3, .sleeping = SENDING)
SCENE(receive_and_another_comes, .victim = RECEIVING, .n = 3, .prios = {1, 2, 1}, .late = 1)
SCENE(receive_the_last_and_another_comes, .victim = RECEIVING, .n = 1, .late = 1)
SCENE(receiver_going_to_sleep, .victim = RECEIVING, .sleepers = 1, .sleeping = RECEIVING)
SCENE(receiver_going_to_sleep_among_others, .victim = RECEIVING, .sleepers = 2, .sleeping = RECEIVING)
SCENE(receive_spared_and_another_comes, .victim = RECEIVING, .n = 3, .prios = {1, 2, 1}, .late = 1, .spared = 1)
SCENE(receiver_going_to_sleep_is_served, .victim = RECEIVING, .served = 1, .spared = 1)
SCENE(receivers_going_to_sleep_are_served, .victim = RECEIVING, .sleepers = 1, .sleeping = RECEIVING, .served = 2,
      .spared = 1)
SCENE(receiver_served_and_killed, .victim = RECEIVING, .sleepers = 1, .sleeping = RECEIVING, .served = 1)
SCENE(urgent_receiver_woken, .victim = RECEIVING, .sleepers = 1, .sleeping = RECEIVING, .urgent = 1)
SCENE(receiver_woken, .victim = RECEIVING, .sleeping = RECEIVING, .after_its_sleep = 1, .late = 1)
SCENE(receiver_woken_among_others, .victim = RECEIVING, .sleepers = 3, .sleeping = RECEIVING, .after_its_sleep = 1)

/* Whoever is single-stepped would spin long. */
static void stay_on_one_processor(void)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	must_be(sched_setaffinity(0, sizeof(one), &one), 0);
}

/* sweep_mq [<pattern of the scenes>] */
int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(send_alone),
		cmocka_unit_test(send_another_priority),
		cmocka_unit_test(send_a_third_priority),
		cmocka_unit_test(send_the_last_slot),
		cmocka_unit_test(send_with_a_receiver_asleep),
		cmocka_unit_test(send_with_receivers_asleep),
		cmocka_unit_test(send_with_a_poller),
		cmocka_unit_test(send_with_pollers),
		cmocka_unit_test(send_with_one_registered),
		cmocka_unit_test(send_and_another_comes),
		cmocka_unit_test(sender_going_to_sleep),
		cmocka_unit_test(sender_going_to_sleep_among_others),
		cmocka_unit_test(sender_woken),
		cmocka_unit_test(sender_woken_among_others),
		cmocka_unit_test(send_spared_and_another_comes),
		cmocka_unit_test(sender_going_to_sleep_is_served),
		cmocka_unit_test(senders_going_to_sleep_are_served),
		cmocka_unit_test(sender_served_and_killed),
		cmocka_unit_test(urgent_sender_woken),
		cmocka_unit_test(receive_alone),
		cmocka_unit_test(receive_one_of_several),
		cmocka_unit_test(receive_mixed),
		cmocka_unit_test(receive_from_the_heap),
		cmocka_unit_test(receive_after_a_death),
		cmocka_unit_test(receive_with_a_sender_asleep),
		cmocka_unit_test(receive_with_senders_asleep),
		cmocka_unit_test(receive_and_another_comes),
		cmocka_unit_test(receive_the_last_and_another_comes),
		cmocka_unit_test(receiver_going_to_sleep),
		cmocka_unit_test(receiver_going_to_sleep_among_others),
		cmocka_unit_test(receive_spared_and_another_comes),
		cmocka_unit_test(receiver_going_to_sleep_is_served),
		cmocka_unit_test(receivers_going_to_sleep_are_served),
		cmocka_unit_test(receiver_served_and_killed),
		cmocka_unit_test(urgent_receiver_woken),
		cmocka_unit_test(receiver_woken),
		cmocka_unit_test(receiver_woken_among_others),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	stay_on_one_processor();
	test_dir();
	stage = share(sizeof(*stage));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
