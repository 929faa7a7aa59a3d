/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting for the first of several: what it takes and what it leaves, and that no other sleeper pays for it. */
#include "support.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

static struct stage {
	fipc_sem sem;
	fipc_event manual, bell;
	fipc_word ready; /* children that are about to wait */
	fipc_word passed; /* plain waiters that have */
} *stage;

static void make_stage(void)
{
	memset(stage, 0, sizeof(*stage));
	must_be(fipc_sem_init(&stage->sem, 0, 0), 0);
	must_be(fipc_event_init(&stage->manual, 0), 0);
	must_be(fipc_event_init(&stage->bell, FIPC_AUTORESET), 0);
}

enum { SEM, MANUAL, BELL, THREE };

static void name_three(struct fipc_waitable w[THREE])
{
	w[SEM] = (struct fipc_waitable){FIPC_KIND_SEM, &stage->sem};
	w[MANUAL] = (struct fipc_waitable){FIPC_KIND_EVENT, &stage->manual};
	w[BELL] = (struct fipc_waitable){FIPC_KIND_EVENT, &stage->bell};
}

static unsigned asleep_on_sem(void)
{
	struct fipc_sem_info info;

	must_be(fipc_sem_info(&stage->sem, &info, sizeof(info)), 0);
	return info.waiters;
}

/* How many wait_any the semaphore, the event believe in. */
static uint32_t counted(const void *object)
{
	enum { ANY = 24 };
	uint32_t n;

	memcpy(&n, (const char *)object + ANY, sizeof(n));
	return n;
}

/* ---- alone ---- */

static void test_refuses(void **state)
{
	struct fipc_waitable w[FIPC_WAIT_MAX + 1];
	fipc_mutex m;

	(void)state;
	make_stage();
	for (int i = 0; i <= FIPC_WAIT_MAX; i++)
		w[i] = (struct fipc_waitable){FIPC_KIND_SEM, &stage->sem};
	assert_int_equal(fipc_wait_any(w, 0, FIPC_NOW), -EINVAL);
	assert_int_equal(fipc_wait_any(NULL, 1, FIPC_NOW), -EINVAL);
	assert_int_equal(fipc_wait_any(w, FIPC_WAIT_MAX + 1, FIPC_NOW), -EINVAL);
	assert_int_equal(fipc_wait_any(w, FIPC_WAIT_MAX, FIPC_NOW), -EAGAIN);
	w[1].kind = (enum fipc_kind)3;
	assert_int_equal(fipc_wait_any(w, 2, FIPC_NOW), -EINVAL);
	w[1].kind = FIPC_KIND_EVENT; /* it is none */
	assert_int_equal(fipc_wait_any(w, 2, FIPC_NOW), -EINVAL);
	w[1].object = NULL;
	assert_int_equal(fipc_wait_any(w, 2, FIPC_NOW), -EINVAL);
	w[1].kind = FIPC_KIND_MQ;
	assert_int_equal(fipc_wait_any(w, 2, FIPC_NOW), -EINVAL);
	must_be(fipc_mutex_init(&m, 0), 0);
	w[1] = (struct fipc_waitable){FIPC_KIND_SEM, &m};
	assert_int_equal(fipc_wait_any(w, 2, FIPC_NOW), -EINVAL);
	assert_int_equal(fipc_sem_value(&stage->sem), 0);
}

static void test_takes_the_first_and_no_other(void **state)
{
	struct fipc_waitable w[THREE];

	(void)state;
	make_stage();
	name_three(w);
	assert_int_equal(fipc_wait_any(w, THREE, FIPC_NOW), -EAGAIN);
	assert_int_equal(fipc_wait_any(w, THREE, fipc_after_ms(1)), -ETIMEDOUT);
	must_be(fipc_sem_post(&stage->sem, 2), 0);
	must_be(fipc_event_set(&stage->manual), 0);
	must_be(fipc_event_set(&stage->bell), 0);
	assert_int_equal(fipc_wait_any(w, THREE, FIPC_FOREVER), SEM);
	assert_int_equal(fipc_wait_any(w, THREE, FIPC_FOREVER), SEM);
	assert_int_equal(fipc_wait_any(w, THREE, FIPC_FOREVER), MANUAL);
	assert_int_equal(fipc_wait_any(w, THREE, FIPC_FOREVER), MANUAL);
	must_be(fipc_event_clear(&stage->manual), 0);
	assert_int_equal(fipc_wait_any(w, THREE, FIPC_FOREVER), BELL);
	assert_int_equal(fipc_wait_any(w, THREE, FIPC_NOW), -EAGAIN);
	assert_int_equal(counted(&stage->sem) + counted(&stage->manual) + counted(&stage->bell), 0);
}

/* As many as the kernel can sleep on at once. */
static void test_many(void **state)
{
	struct fipc_waitable w[FIPC_WAIT_MAX];
	fipc_event *events = share(FIPC_WAIT_MAX * sizeof(*events));

	(void)state;
	for (int i = 0; i < FIPC_WAIT_MAX; i++) {
		must_be(fipc_event_init(&events[i], FIPC_AUTORESET), 0);
		w[i] = (struct fipc_waitable){FIPC_KIND_EVENT, &events[i]};
	}
	assert_int_equal(fipc_wait_any(w, FIPC_WAIT_MAX, fipc_after_ms(1)), -ETIMEDOUT);
	must_be(fipc_event_set(&events[FIPC_WAIT_MAX - 1]), 0);
	assert_int_equal(fipc_wait_any(w, FIPC_WAIT_MAX, FIPC_FOREVER), FIPC_WAIT_MAX - 1);
	for (int i = 0; i < FIPC_WAIT_MAX; i++)
		must_be(fipc_event_init(&events[i], 0), 0);
	assert_int_equal(fipc_wait_any(w, FIPC_WAIT_MAX / 2, fipc_after_ms(1)), -ETIMEDOUT);
	assert_int_equal(fipc_wait_any(w, FIPC_WAIT_MAX / 2 + 1, fipc_after_ms(1)), -E2BIG);
	assert_int_equal(counted(&events[0]), 0);
	munmap(events, FIPC_WAIT_MAX * sizeof(*events));
}

/* ---- asleep ---- */

static void wait_for_three(void *argument)
{
	struct fipc_waitable w[THREE];
	int wanted = (int)(intptr_t)argument;

	name_three(w);
	must_be(fipc_wait_any(w, THREE, FIPC_FOREVER), wanted);
}

static pid_t start_three(int wanted)
{
	unsigned before = asleep_on_sem();
	pid_t pid = start(wait_for_three, (void *)(intptr_t)wanted);

	await(asleep_on_sem() == before + 1);
	return pid;
}

static void test_woken_by_each(void **state)
{
	pid_t pid;

	(void)state;
	make_stage();
	pid = start_three(SEM);
	must_be(fipc_sem_post(&stage->sem, 1), 0);
	assert_int_equal(finish(pid), 0);
	assert_int_equal(fipc_sem_value(&stage->sem), 0);
	pid = start_three(BELL);
	must_be(fipc_event_set(&stage->bell), 0);
	assert_int_equal(finish(pid), 0);
	assert_int_equal(fipc_event_is_set(&stage->bell), 0);
	pid = start_three(MANUAL);
	must_be(fipc_event_set(&stage->manual), 0);
	must_be(fipc_event_clear(&stage->manual), 0);
	assert_int_equal(finish(pid), 0);
	assert_int_equal(counted(&stage->sem) + counted(&stage->manual) + counted(&stage->bell), 0);
}

/* ---- signals ---- */

static void handle(int signal)
{
	(void)signal;
}

static void be_interrupted(void *argument)
{
	struct sigaction action = {.sa_handler = handle, .sa_flags = SA_RESTART};
	struct fipc_waitable w[THREE];

	(void)argument;
	must_be(sigaction(SIGUSR1, &action, NULL), 0);
	must_be(fipc_set_interruptible(1), 0);
	name_three(w);
	must_be(fipc_wait_any(w, THREE, FIPC_FOREVER), -EINTR);
}

/* One signal is enough, whenever it comes while it sleeps. */
static void test_interrupted(void **state)
{
	(void)state;
	make_stage();
	for (int i = 0; i < 20; i++) {
		pid_t pid = start(be_interrupted, NULL);

		await(asleep_on_sem() == 1);
		nap_us(i * 5000); /* the moments differ */
		must_be(kill(pid, SIGUSR1), 0);
		assert_int_equal(finish(pid), 0);
	}
	assert_int_equal(counted(&stage->sem) + counted(&stage->manual) + counted(&stage->bell), 0);
}

/* ---- others who sleep ---- */

static void pass(fipc_word *w)
{
	uint32_t n = fipc_word_load(w);

	while (!fipc_word_cas(w, &n, n + 1))
		;
}

static void take_token(void *argument)
{
	(void)argument;
	must_be(fipc_sem_wait(&stage->sem), 0);
	pass(&stage->passed);
}

/* Whoever waits for several is woken by one thing and then by another, before it runs: nobody else waits for that. */
static void test_does_not_eat_the_others_wakeup(void **state)
{
	pid_t any, plain;

	(void)state;
	make_stage();
	any = start_three(BELL);
	plain = start(take_token, NULL);
	await(asleep_on_sem() == 2);
	kill(any, SIGSTOP);
	must_be(fipc_event_set(&stage->bell), 0);
	must_be(fipc_sem_post(&stage->sem, 1), 0);
	await(fipc_word_load(&stage->passed) == 1);
	kill(any, SIGCONT);
	assert_int_equal(finish(any), 0);
	assert_int_equal(finish(plain), 0);
}

static void test_killed_when_woken(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++) {
		pid_t any, plain;

		make_stage();
		any = start_three(SEM);
		plain = start(take_token, NULL);
		await(asleep_on_sem() == 2);
		kill(any, SIGSTOP);
		must_be(fipc_sem_post(&stage->sem, 1), 0);
		murder(any);
		assert_int_equal(finish(plain), 0);
		assert_int_equal(counted(&stage->sem), 1); /* which costs wake-ups, no more */
	}
}

/* A plain sleeper dies, having been woken, and the kernel's wake-up for it reaches one who then has something else. */
static void test_hands_on_a_dead_ones_wakeup(void **state)
{
	pid_t dead, any, plain;

	(void)state;
	make_stage();
	dead = start(take_token, NULL);
	await(asleep_on_sem() == 1);
	kill(dead, SIGSTOP);
	must_be(fipc_sem_post(&stage->sem, 1), 0);
	/* It has the wake-up and no token yet; so the token is there, and these two must not see it: take it away. */
	must_be(fipc_sem_trywait(&stage->sem), 0);
	any = start_three(MANUAL);
	plain = start(take_token, NULL);
	await(asleep_on_sem() == 2);
	kill(any, SIGSTOP);
	must_be(fipc_event_set(&stage->manual), 0);
	murder(dead);
	must_be(fipc_sem_post(&stage->sem, 1), 0);
	await(fipc_word_load(&stage->passed) == 1);
	kill(any, SIGCONT);
	assert_int_equal(finish(any), 0);
	assert_int_equal(finish(plain), 0);
}

/* ---- by name ---- */

IN_CHILD(test_read_only)
{
	fipc_event *e, *reader;
	struct fipc_waitable w;
	struct fipc_futex f;

	test_dir();
	must_be(fipc_event_open(&e, "gate", FIPC_CREATE, 0600), FIPC_CREATED);
	must_be(fipc_event_open(&reader, "gate", FIPC_READONLY, 0), 0);
	w = (struct fipc_waitable){FIPC_KIND_EVENT, reader};
	must_be(fipc_wait_any(&w, 1, FIPC_NOW), -EACCES);
	must_be(fipc_futex_arm(&w, &f), -EACCES);
	must_be(fipc_event_close(reader), 0);
	must_be(fipc_event_close(e), 0);
}

static void send_one(void *argument)
{
	fipc_mq *q;

	(void)argument;
	must_be(fipc_mq_open(&q, "in", NULL, 0, 0), 0);
	must_be(fipc_mq_send(q, "x", 1, 0, FIPC_FOREVER), 0);
	must_be(fipc_mq_close(q), 0);
}

IN_CHILD(test_queue)
{
	struct fipc_waitable w[2];
	char buffer[8192];
	fipc_event *e;
	fipc_mq *q;
	pid_t pid;

	test_dir();
	must_be(fipc_mq_open(&q, "in", NULL, FIPC_CREATE, 0600), FIPC_CREATED);
	must_be(fipc_event_open(&e, "gate", FIPC_CREATE, 0600), FIPC_CREATED);
	w[0] = (struct fipc_waitable){FIPC_KIND_EVENT, e};
	w[1] = (struct fipc_waitable){FIPC_KIND_MQ, q};
	must_be(fipc_wait_any(w, 2, FIPC_NOW), -EAGAIN);
	must_be(fipc_wait_any(w, 2, fipc_after_ms(1)), -ETIMEDOUT);
	for (int i = 0; i < 20; i++) {
		pid = start(send_one, NULL);
		must_be(fipc_wait_any(w, 2, FIPC_FOREVER), 1);
		must_be(fipc_wait_any(w, 2, FIPC_NOW), 1); /* readable, not received */
		must_be(fipc_mq_receive(q, buffer, sizeof(buffer), NULL, FIPC_NOW), 1);
		must_be(fipc_wait_any(w, 2, FIPC_NOW), -EAGAIN);
		must_be(finish(pid), 0);
	}
	must_be(fipc_mq_close(q), 0);
	must_be(fipc_event_close(e), 0);
}

static void hold_a_token(void *argument)
{
	fipc_sem *s;

	must_be(fipc_sem_open(&s, "slots", 0, 0, 0), 0);
	must_be(fipc_sem_wait(s), 0);
	gate_open(argument);
	for (;;)
		pause();
}

static void wait_for_a_slot(void *argument)
{
	struct fipc_waitable w[2];
	fipc_sem *s;

	must_be(fipc_sem_open(&s, "slots", 0, 0, 0), 0);
	w[0] = (struct fipc_waitable){FIPC_KIND_SEM, s};
	w[1] = (struct fipc_waitable){FIPC_KIND_EVENT, &stage->bell};
	must_be(fipc_wait_any(w, 2, FIPC_FOREVER), (intptr_t)argument);
	if (!argument)
		must_be(fipc_sem_post(s, 1), 0);
	must_be(fipc_sem_close(s), 0);
}

static unsigned asleep_on(const fipc_sem *s)
{
	struct fipc_sem_info info;

	must_be(fipc_sem_info(s, &info, sizeof(info)), 0);
	return info.waiters;
}

/* A token that comes back by a death, and one that is given back. */
IN_CHILD(test_owned_semaphore)
{
	struct gate gate;
	pid_t holder, waiter;
	fipc_sem *s;

	test_dir();
	make_stage();
	gate_make(&gate);
	must_be(fipc_sem_open(&s, "slots", 1, FIPC_CREATE | FIPC_OWNED, 0600), FIPC_CREATED);
	for (int i = 0; i < 10; i++) {
		holder = start(hold_a_token, &gate);
		gate_pass(&gate);
		waiter = start(wait_for_a_slot, NULL);
		await(asleep_on(s) == 1);
		murder(holder);
		must_be(finish(waiter), 0);
	}
	must_be(fipc_sem_wait(s), 0);
	waiter = start(wait_for_a_slot, NULL);
	await(asleep_on(s) == 1);
	must_be(fipc_sem_post(s, 1), 0);
	must_be(finish(waiter), 0);
	must_be(fipc_sem_wait(s), 0);
	waiter = start(wait_for_a_slot, (void *)1);
	await(asleep_on(s) == 1);
	must_be(fipc_event_set(&stage->bell), 0);
	must_be(finish(waiter), 0);
	must_be(fipc_sem_post(s, 1), 0);
	must_be(fipc_sem_close(s), 0);
	gate_free(&gate);
}

/* ---- where to sleep ---- */

static void sleep_by_oneself(void *argument)
{
	struct fipc_waitable w = {FIPC_KIND_SEM, &stage->sem};
	struct fipc_futex f;
	int r;

	(void)argument;
	while ((r = fipc_futex_arm(&w, &f)) == 0) {
		r = fipc_word_wait((fipc_word *)(uintptr_t)f.word, f.expected, FIPC_FOREVER, 0);
		must(r == 0 || r == -EAGAIN);
		must_be(fipc_futex_disarm(&w), 0);
	}
	must_be(r, 1);
	must_be(fipc_sem_trywait(&stage->sem), 0);
	pass(&stage->passed);
}

static void test_futex(void **state)
{
	struct fipc_waitable w[THREE];
	struct fipc_futex f;
	pid_t pids[2];

	(void)state;
	make_stage();
	name_three(w);
	assert_int_equal(fipc_futex_arm(NULL, &f), -EINVAL);
	for (int i = 0; i < THREE; i++) {
		assert_int_equal(fipc_futex_arm(&w[i], &f), 0);
		assert_int_equal(*(volatile const uint32_t *)f.word, f.expected);
		assert_int_equal(counted(w[i].object), 1);
		assert_int_equal(fipc_futex_disarm(&w[i]), 0);
		assert_int_equal(counted(w[i].object), 0);
	}
	must_be(fipc_event_set(&stage->bell), 0);
	assert_int_equal(fipc_futex_arm(&w[BELL], &f), 1);
	assert_int_equal(counted(&stage->bell), 0);
	assert_int_equal(fipc_event_is_set(&stage->bell), 1);
	for (int i = 0; i < 2; i++) {
		pids[i] = start(i ? take_token : sleep_by_oneself, NULL);
		await(asleep_on_sem() == (unsigned)i + 1);
	}
	must_be(fipc_sem_post(&stage->sem, 1), 0);
	await(fipc_word_load(&stage->passed) == 1);
	must_be(fipc_sem_post(&stage->sem, 1), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(finish(pids[i]), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refuses),
		cmocka_unit_test(test_takes_the_first_and_no_other),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_woken_by_each),
		cmocka_unit_test(test_interrupted),
		cmocka_unit_test(test_does_not_eat_the_others_wakeup),
		cmocka_unit_test(test_killed_when_woken),
		cmocka_unit_test(test_hands_on_a_dead_ones_wakeup),
		cmocka_unit_test(test_read_only),
		cmocka_unit_test(test_queue),
		cmocka_unit_test(test_owned_semaphore),
		cmocka_unit_test(test_futex),
	};

	stage = share(sizeof(*stage));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
