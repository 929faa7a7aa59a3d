/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Eight processes on all primitives, all named, one of them killed every 20 ms by chance: what each primitive promises is
 * checked throughout, nobody may be stuck, and nothing may be left in the directory at the end.
 * soak_all [<seconds>], 5 unless told.
 *
 * What is known of the processes lies in `witness`, memory that has nothing to do with fipc: what each one does, since
 * when, and what it has. Whatever a process may have done when it was killed between the call and the note is allowed
 * once, and no more: that is what the counts of the killed are for.
 */
#include "../support.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	PROCESSES = 8,
	KILL_EVERY_US = 20000,
	STUCK_MS = 20000,  /* for a call without a deadline: longer, and it is stuck */
	TOKENS = 3,        /* of the owned semaphore */
	READERS = 6,       /* fewer than processes */
	DEPTH = 7,         /* of the queue */
	MESSAGE_MAX = 200,
	MESSAGES_MAX = 1 << 20, /* that a sender's numbers may reach */
};

enum act { IDLE, LOCKING, READING, WRITING, TAKING, ONE_AT_A_TIME, SENDING, RECEIVING, CONDITION, EVENTS, ANY, NAMES, SEGMENT };
static const char *const act_names[] = {"idle",      "lock",      "read lock", "write lock", "owned tokens",
					"owned one", "send",      "receive",   "condition",  "events",
					"wait_any",  "open",      "segment"};

static struct {
	struct worker {
		_Atomic int act;
		_Atomic int64_t since;
		_Atomic uint32_t killed; /* set before it is */
		_Atomic uint32_t tokens; /* taken and not given back, as it noted */
		_Atomic uint64_t done;
	} workers[PROCESSES];
	_Atomic uint32_t violations, deaths_told;

	/* Under the mutex: outside of it a == b, and nobody is inside. */
	volatile uint64_t a, b, inside;
	/* Under the rwlock. */
	volatile uint64_t x, y;
	/* Under the semaphore with one token: whose it is. */
	_Atomic uint32_t only; /* index + 1 */
	/* Under the mutex of the condition. */
	volatile uint32_t items;
	/* Messages: numbered by their sender's index; how often each was received. */
	_Atomic uint32_t next_number;
	_Atomic uint8_t received[MESSAGES_MAX], sent[MESSAGES_MAX];
} *witness;

static struct {
	fipc_mutex *mutex, *cond_mutex;
	fipc_rwlock *rwlock;
	fipc_sem *tokens, *one, *plain;
	fipc_cond *cond;
	fipc_event *manual, *automatic;
	fipc_mq *mq;
} o;
static struct worker *self;
static unsigned seed;

static int chance(int of)
{
	return rand_r(&seed) % of;
}

static void violation(const char *what, long got)
{
	fprintf(stderr, "soak_all: violated: %s (got %ld) by process %d\n", what, got, (int)getpid());
	atomic_fetch_add(&witness->violations, 1);
}

#define hold_true(condition, got) ((condition) ? (void)0 : violation(#condition, (long)(got)))

static void begin(enum act act)
{
	atomic_store(&self->since, now_ns());
	atomic_store(&self->act, (int)act);
}

/* Now and then for long, or hardly anybody would be killed inside. */
static void work_a_little(void)
{
	for (int i = chance(chance(20) ? 2000 : 2000000); i > 0; i--)
		__asm__ volatile("");
}

static void open_all(void)
{
	const struct fipc_mq_attr attr = {DEPTH, MESSAGE_MAX};

	must_not_fail(fipc_mutex_open(&o.mutex, "mutex", FIPC_CREATE, 0600));
	must_not_fail(fipc_mutex_open(&o.cond_mutex, "cond", FIPC_CREATE, 0600));
	must_not_fail(fipc_rwlock_open(&o.rwlock, "rwlock", READERS, FIPC_CREATE, 0600));
	must_not_fail(fipc_sem_open(&o.tokens, "tokens", TOKENS, FIPC_CREATE | FIPC_OWNED, 0600));
	must_not_fail(fipc_sem_open(&o.one, "one", 1, FIPC_CREATE | FIPC_OWNED, 0600));
	must_not_fail(fipc_sem_open(&o.plain, "plain", 2, FIPC_CREATE, 0600));
	must_not_fail(fipc_cond_open(&o.cond, "cond", FIPC_CREATE, 0600));
	must_not_fail(fipc_event_open(&o.manual, "manual", FIPC_CREATE, 0600));
	must_not_fail(fipc_event_open(&o.automatic, "automatic", FIPC_CREATE | FIPC_AUTORESET, 0600));
	must_not_fail(fipc_mq_open(&o.mq, "mq", &attr, FIPC_CREATE, 0600));
}

/* ---- what they do ---- */

static void mutex(void)
{
	int r;

	begin(LOCKING);
	r = fipc_mutex_lock(o.mutex);
	must_not_fail(r);
	if (r == FIPC_OWNER_DIED) {
		atomic_fetch_add(&witness->deaths_told, 1);
		witness->inside = 0;
		witness->b = witness->a;
		must_be(fipc_mutex_consistent(o.mutex), 0);
	}
	hold_true(!witness->inside, witness->inside);
	hold_true(witness->a == witness->b, witness->a - witness->b);
	witness->inside = 1;
	witness->a++;
	work_a_little();
	witness->b++;
	witness->inside = 0;
	must_be(fipc_mutex_unlock(o.mutex), 0);
}

static void mend_rwlock(void)
{
	atomic_fetch_add(&witness->deaths_told, 1);
	witness->y = witness->x;
	must_be(fipc_rwlock_consistent(o.rwlock), 0);
}

static void reader(void)
{
	int r;

	begin(READING);
	r = fipc_rwlock_rdlock(o.rwlock);
	must_not_fail(r);
	if (r == FIPC_OWNER_DIED)
		mend_rwlock();
	hold_true(witness->x == witness->y, witness->x - witness->y);
	work_a_little();
	hold_true(witness->x == witness->y, witness->x - witness->y);
	must_be(fipc_rwlock_unlock(o.rwlock), 0);
}

static void writer(void)
{
	int r;

	begin(WRITING);
	r = fipc_rwlock_wrlock(o.rwlock);
	must_not_fail(r);
	if (r == FIPC_OWNER_DIED)
		mend_rwlock();
	hold_true(witness->x == witness->y, witness->x - witness->y);
	witness->x++;
	work_a_little();
	witness->y++;
	must_be(fipc_rwlock_unlock(o.rwlock), 0);
}

static void tokens(void)
{
	int n = 1 + chance(2);

	begin(TAKING);
	/* Two at once would be a deadlock of their own making: the second one only if it is there. */
	must_be(fipc_sem_wait(o.tokens), 0);
	if (n == 2 && fipc_sem_trywait(o.tokens) < 0)
		n = 1;
	hold_true(fipc_sem_value(o.tokens) <= TOKENS - n, fipc_sem_value(o.tokens));
	work_a_little();
	must_be(fipc_sem_post(o.tokens, (uint32_t)n), 0);
}

static void one_at_a_time(void)
{
	uint32_t me = (uint32_t)(self - witness->workers) + 1, before;

	begin(ONE_AT_A_TIME);
	must_be(fipc_sem_wait(o.one), 0);
	before = atomic_exchange(&witness->only, me);
	hold_true(before == 0 || before == me || atomic_load(&witness->workers[before - 1].killed), before);
	work_a_little();
	before = atomic_exchange(&witness->only, 0);
	hold_true(before == me, before);
	must_be(fipc_sem_post(o.one, 1), 0);
}

/* A number, and as many bytes as it says, all made from it. */
static size_t fill(unsigned char *message, uint32_t number)
{
	size_t length = sizeof(number) + number * 2654435761u % (MESSAGE_MAX - sizeof(number));

	memcpy(message, &number, sizeof(number));
	for (size_t i = sizeof(number); i < length; i++)
		message[i] = (unsigned char)(number + i);
	return length;
}

static void sender(void)
{
	unsigned char message[MESSAGE_MAX];
	uint32_t number = atomic_fetch_add(&witness->next_number, 1);
	int r;

	if (number >= MESSAGES_MAX)
		return;
	begin(SENDING);
	r = fipc_mq_send(o.mq, message, fill(message, number), (unsigned)chance(3), fipc_after_ms(chance(3)));
	if (r == 0)
		atomic_store(&witness->sent[number], 1);
	else
		hold_true(r == -ETIMEDOUT || r == -EAGAIN, r);
}

static int check_message(const unsigned char *message, ssize_t length)
{
	unsigned char wanted[MESSAGE_MAX];
	uint32_t number;

	memcpy(&number, message, sizeof(number));
	if (length < (ssize_t)sizeof(number) || number >= MESSAGES_MAX || fill(wanted, number) != (size_t)length ||
	    memcmp(wanted, message, (size_t)length) != 0)
		return -1;
	return (int)number;
}

static void take_message(const unsigned char *message, ssize_t length)
{
	int number = check_message(message, length);

	hold_true(number >= 0, length);
	if (number >= 0)
		hold_true(atomic_fetch_add(&witness->received[number], 1) == 0, number);
}

static void receiver(void)
{
	unsigned char message[MESSAGE_MAX];
	ssize_t r;

	begin(RECEIVING);
	r = fipc_mq_receive(o.mq, message, sizeof(message), NULL, fipc_after_ms(chance(3)));
	if (r >= 0)
		take_message(message, r);
	else
		hold_true(r == -ETIMEDOUT || r == -EAGAIN, r);
}

static void enter_condition(void)
{
	int r = fipc_mutex_lock(o.cond_mutex);

	must_not_fail(r);
	if (r == FIPC_OWNER_DIED)
		must_be(fipc_mutex_consistent(o.cond_mutex), 0);
}

/* Whoever waits for an item while there is one was not told of it. */
static void condition(void)
{
	begin(CONDITION);
	enter_condition();
	if (chance(2)) {
		witness->items++;
		must_be(chance(8) ? fipc_cond_signal(o.cond) : fipc_cond_broadcast(o.cond), 0);
	} else {
		fipc_deadline d = fipc_after_ms(2000);
		int r = 0;

		while (witness->items == 0 && r != -ETIMEDOUT) {
			r = fipc_cond_wait_until(o.cond, o.cond_mutex, d);
			if (r == FIPC_OWNER_DIED)
				must_be(fipc_mutex_consistent(o.cond_mutex), 0);
			else
				must(r == 0 || r == -ETIMEDOUT);
		}
		if (witness->items > 0)
			witness->items--;
	}
	must_be(fipc_mutex_unlock(o.cond_mutex), 0);
}

static void events(void)
{
	int r;

	begin(EVENTS);
	switch (chance(6)) {
	case 0:
		must_be(fipc_event_set(o.manual), 0);
		break;
	case 1:
		must_be(fipc_event_clear(o.manual), 0);
		break;
	case 2:
	case 3:
		must_be(fipc_event_set(o.automatic), 0);
		break;
	case 4:
		r = fipc_event_wait_until(o.manual, fipc_after_ms(chance(4)));
		must(r == 0 || r == -ETIMEDOUT || r == -EAGAIN);
		break;
	default:
		r = fipc_event_wait_until(o.automatic, fipc_after_ms(chance(4)));
		must(r == 0 || r == -ETIMEDOUT || r == -EAGAIN);
	}
}

static void any(void)
{
	const struct fipc_waitable w[] = {
		{FIPC_KIND_SEM, o.plain}, {FIPC_KIND_EVENT, o.automatic}, {FIPC_KIND_MQ, o.mq}};
	int r;

	begin(ANY);
	r = fipc_wait_any(w, sizeof(w) / sizeof(*w), fipc_after_ms(chance(4)));
	must(r == -ETIMEDOUT || r == -EAGAIN || (r >= 0 && r < 3));
	if (r == 0 || chance(4) == 0)
		must_be(fipc_sem_post(o.plain, 1), 0);
}

static void names(void)
{
	char name[20];
	fipc_mutex *m;

	begin(NAMES);
	snprintf(name, sizeof(name), "other%d", chance(4));
	must_not_fail(fipc_mutex_open(&m, name, FIPC_CREATE | (chance(10) ? 0 : FIPC_REPLACE), 0600));
	must_be(fipc_mutex_close(m), 0);
}

static void segment(void)
{
	fipc_shm *h;
	int r;

	begin(SEGMENT);
	r = fipc_shm_open(&h, "segment", 4096, FIPC_CREATE, 0600);
	must_not_fail(r);
	hold_true(fipc_shm_size(h) >= 4096, fipc_shm_size(h));
	*(volatile char *)fipc_shm_data(h) = 1;
	must_be(fipc_shm_close(h), 0);
}

static void (*const acts[])(void) = {mutex,  mutex,    reader,    writer, tokens, one_at_a_time, sender,
				     sender, receiver, receiver, condition, events, any,    names,         segment};

static void work(void *argument)
{
	self = argument;
	seed = (unsigned)getpid() * 2654435761u;
	begin(NAMES);
	open_all();
	for (;;) {
		acts[chance(sizeof(acts) / sizeof(*acts))]();
		begin(IDLE);
		atomic_fetch_add(&self->done, 1);
	}
}

/* ---- the one who kills ---- */

static pid_t begin_worker(struct worker *w)
{
	atomic_store(&w->killed, 0);
	atomic_store(&w->act, IDLE);
	return start(work, w);
}

static void kill_worker(struct worker *w, pid_t pid)
{
	atomic_store(&w->killed, 1);
	murder(pid);
	/* One who had the only token had noted it; nobody may find the note of one who lives. */
	uint32_t mine = (uint32_t)(w - witness->workers) + 1;
	atomic_compare_exchange_strong(&witness->only, &mine, 0);
}

static int stuck(void)
{
	int n = 0;

	for (int i = 0; i < PROCESSES; i++) {
		struct worker *w = &witness->workers[i];
		int act = atomic_load(&w->act);
		int64_t since = atomic_load(&w->since);

		if (act == IDLE || now_ns() - since < STUCK_MS * INT64_C(1000000) || atomic_load(&w->since) != since)
			continue;
		fprintf(stderr, "soak_all: stuck for %d s: process %d, %s\n", STUCK_MS / 1000, i, act_names[act]);
		n++;
	}
	return n;
}

/* Dead senders' and receivers' messages: each kill may have cost one. */
static unsigned count_lost(void)
{
	unsigned lost = 0;

	for (uint32_t i = 0; i < MESSAGES_MAX; i++)
		lost += atomic_load(&witness->sent[i]) && !atomic_load(&witness->received[i]);
	return lost;
}

/* All are dead: what they had must be there again. */
static void check_what_is_left(void)
{
	unsigned char message[MESSAGE_MAX];
	ssize_t r;

	self = &witness->workers[0];
	hold_true(fipc_sem_value(o.tokens) == TOKENS, fipc_sem_value(o.tokens));
	for (int i = 0; i < TOKENS; i++)
		must_be(fipc_sem_trywait(o.tokens), 0);
	hold_true(fipc_sem_trywait(o.tokens) == -EAGAIN, 0);
	must_be(fipc_sem_post(o.tokens, TOKENS), 0);
	must_be(fipc_sem_trywait(o.one), 0);
	while ((r = fipc_mq_receive(o.mq, message, sizeof(message), NULL, FIPC_NOW)) >= 0)
		take_message(message, r);
	hold_true(r == -EAGAIN, r);
	mutex();
	writer();
	reader();
}

static void keep_open(void *argument)
{
	const struct gate *gates = argument;

	open_all();
	gate_open(&gates[0]);
	while (!gate_try(&gates[1], PATIENCE_MS)) /* for as long as the others are killed */
		;
	check_what_is_left();
}

int main(int argc, char **argv)
{
	int64_t end = now_ns() + (argc > 1 ? atoi(argv[1]) : 5) * INT64_C(1000000000);
	unsigned kills = 0, lost, n_stuck = 0;
	uint64_t done = 0;
	pid_t pids[PROCESSES], keeper;
	struct gate gates[2];
	const char *dir = test_dir();

	witness = share(sizeof(*witness));
	seed = 1;
	gate_make(&gates[0]);
	gate_make(&gates[1]);
	/* One stays, so that what the killed leave can be looked at: with nobody left it would be taken away. */
	keeper = start(keep_open, gates);
	gate_pass(&gates[0]);
	for (int i = 0; i < PROCESSES; i++)
		pids[i] = begin_worker(&witness->workers[i]);
	while (now_ns() < end && !n_stuck && !atomic_load(&witness->violations)) {
		int i = chance(PROCESSES), status;

		nap_us(KILL_EVERY_US);
		if (ended(pids[i], &status, 0)) {
			violation("a process ended by itself", status);
			pids[i] = begin_worker(&witness->workers[i]);
		}
		kill_worker(&witness->workers[i], pids[i]);
		pids[i] = begin_worker(&witness->workers[i]);
		n_stuck = (unsigned)stuck();
		kills++;
	}
	for (int i = 0; i < PROCESSES; i++) {
		kill_worker(&witness->workers[i], pids[i]);
		done += atomic_load(&witness->workers[i].done);
	}
	gate_open(&gates[1]);
	hold_true(finish(keeper) == 0, 0);
	lost = count_lost();
	hold_true(lost <= kills + PROCESSES, lost);
	printf("soak_all: %llu operations, %u messages, %u kills, %u owners died inside, %u messages lost with their "
	       "receivers, %u stuck, %u violations\n",
	       (unsigned long long)done, atomic_load(&witness->next_number), kills, atomic_load(&witness->deaths_told), lost,
	       n_stuck, atomic_load(&witness->violations));
	must_become_clean(dir, 0);
	return n_stuck || atomic_load(&witness->violations);
}
