/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two senders and two receivers on one queue, one of them killed every now and then, and another one started in its
 * place: nothing is lost, doubled or torn, each receiver sees each sender's messages of one priority in their order,
 * and all go on. test_mq_death [<seconds>], 3 unless told, 60 at most.
 *
 * A sender that is killed leaves its last message whole or not at all. A receiver that is killed may take one with
 * it: the one in its hands.
 */
#include "support.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SENDERS = 2, RECEIVERS = 2, PRIORITIES = 3, LONGEST = 300 };
enum { MOST_LIVES = 20000, SEQUENCES = 2000, STUCK_MS = 10000 };

struct message {
	uint32_t life, sequence, prio, length, checksum;
	unsigned char bytes[LONGEST];
};

/* A life: of a sender, up to SEQUENCES messages; then it takes another one. */
static struct {
	fipc_word next_life, stop;
	fipc_word progress[SENDERS + RECEIVERS];
	uint32_t begun[MOST_LIVES], sent[MOST_LIVES];
	unsigned char received[MOST_LIVES][SEQUENCES];
} *shared;

static fipc_mq *q;

static uint32_t take_number(fipc_word *w)
{
	uint32_t seen = fipc_word_load(w);

	while (!fipc_word_cas(w, &seen, seen + 1))
		;
	return seen;
}

static uint32_t checksum(const struct message *m)
{
	uint32_t sum = m->life * 31 + m->sequence * 17 + m->prio * 7 + m->length;

	for (uint32_t i = 0; i < m->length; i++)
		sum = sum * 16777619 ^ m->bytes[i];
	return sum;
}

static size_t size_of(const struct message *m)
{
	return offsetof(struct message, bytes) + m->length;
}

static fipc_deadline some_deadline(unsigned *seed)
{
	switch (rand_r(seed) % 3) {
	case 0:
		return FIPC_NOW;
	case 1:
		return fipc_after_ns(rand_r(seed) % 200000);
	default:
		return FIPC_FOREVER;
	}
}

static int is_no_failure(long r)
{
	return r == -EAGAIN || r == -ETIMEDOUT;
}

static void send_all_of_a_life(uint32_t life, fipc_word *progress, unsigned *seed)
{
	struct message m = {.life = life};

	for (; m.sequence < SEQUENCES && !fipc_word_load(&shared->stop); m.sequence++) {
		int r;

		m.prio = rand_r(seed) % 8 < 5 ? 1 : (unsigned)rand_r(seed) % PRIORITIES;
		m.length = (uint32_t)rand_r(seed) % LONGEST;
		memset(m.bytes, (int)m.sequence, m.length);
		m.checksum = checksum(&m);
		shared->begun[life] = m.sequence + 1;
		while (is_no_failure(r = fipc_mq_send(q, &m, size_of(&m), m.prio, some_deadline(seed))))
			if (fipc_word_load(&shared->stop)) {
				shared->begun[life] = m.sequence;
				return;
			}
		must_be(r, 0);
		shared->sent[life] = m.sequence + 1;
		take_number(progress);
	}
}

static void be_sender(void *argument)
{
	unsigned seed = (unsigned)getpid();

	while (!fipc_word_load(&shared->stop)) {
		uint32_t life = take_number(&shared->next_life);

		must(life < MOST_LIVES);
		send_all_of_a_life(life, &shared->progress[(intptr_t)argument], &seed);
	}
}

/* Of each life and priority the sequence must rise. */
static void check(const struct message *m, size_t n, unsigned prio)
{
	static uint32_t last[MOST_LIVES][PRIORITIES];

	must(n >= offsetof(struct message, bytes) && m->length <= LONGEST && n == size_of(m));
	must(m->checksum == checksum(m) && m->prio == prio && prio < PRIORITIES);
	must(m->life < MOST_LIVES && m->sequence < SEQUENCES);
	must(m->sequence + 1 > last[m->life][prio]);
	last[m->life][prio] = m->sequence + 1;
}

static void be_receiver(void *argument)
{
	unsigned seed = (unsigned)getpid();
	struct message m;
	unsigned prio;

	for (;;) {
		ssize_t n = fipc_mq_receive(q, &m, sizeof(m), &prio, some_deadline(&seed));

		if (is_no_failure(n))
			continue;
		must_not_fail(n);
		check(&m, (size_t)n, prio);
		__atomic_fetch_add(&shared->received[m.life][m.sequence], 1, __ATOMIC_RELAXED);
		take_number(&shared->progress[(intptr_t)argument]);
	}
}

static pid_t begin(int i)
{
	return start(i < SENDERS ? be_sender : be_receiver, (void *)(intptr_t)i);
}

static void must_get_on(void)
{
	for (int i = 0; i < SENDERS + RECEIVERS; i++) {
		uint32_t before = fipc_word_load(&shared->progress[i]);
		int64_t end = now_ns() + STUCK_MS * INT64_C(1000000);

		while (fipc_word_load(&shared->progress[i]) == before) {
			must(now_ns() < end);
			nap_us(50);
		}
	}
}

/* Returns how many receivers were killed. */
static unsigned kill_some(pid_t pids[], int64_t seconds)
{
	int64_t end = now_ns() + seconds * 1000000000;
	unsigned seed = 1, receivers = 0, kills = 0;

	while (now_ns() < end) {
		int i = rand_r(&seed) % (SENDERS + RECEIVERS);

		nap_us(rand_r(&seed) % 3000);
		murder(pids[i]);
		receivers += i >= SENDERS;
		pids[i] = begin(i);
		if (++kills % 16 == 0)
			must_get_on();
	}
	printf("%u kills, %u of receivers; ", kills, receivers);
	return receivers;
}

static void drain(void)
{
	struct message m;
	unsigned prio;
	ssize_t n;

	while ((n = fipc_mq_receive(q, &m, sizeof(m), &prio, FIPC_NOW)) != -EAGAIN) {
		must_not_fail(n);
		must(m.checksum == checksum(&m));
		shared->received[m.life][m.sequence]++;
	}
}

static void judge(unsigned receivers_killed)
{
	unsigned lost = 0, sent = 0;

	for (uint32_t life = 0; life < fipc_word_load(&shared->next_life); life++) {
		sent += shared->sent[life];
		for (uint32_t i = 0; i < SEQUENCES; i++) {
			must(shared->received[life][i] <= (i < shared->begun[life]));
			lost += i < shared->sent[life] && !shared->received[life][i];
		}
	}
	printf("%u messages, %u in dead hands\n", sent, lost);
	must(lost <= receivers_killed);
	must(sent > 100);
}

int main(int argc, char **argv)
{
	const struct fipc_mq_attr attr = {4, sizeof(struct message)};
	pid_t pids[SENDERS + RECEIVERS];
	struct fipc_mq_info info;
	unsigned killed;

	test_dir();
	shared = share(sizeof(*shared));
	must_be(fipc_mq_open(&q, "q", &attr, FIPC_CREATE, 0600), FIPC_CREATED);
	for (int i = 0; i < SENDERS + RECEIVERS; i++)
		pids[i] = begin(i);
	killed = kill_some(pids, argc > 1 ? atoi(argv[1]) : 3);
	fipc_word_store(&shared->stop, 1);
	for (int i = 0; i < SENDERS; i++)
		must_be(finish(pids[i]), 0);
	await(fipc_mq_count(q) == 0);
	for (int i = SENDERS; i < SENDERS + RECEIVERS; i++)
		murder(pids[i]);
	drain();
	judge(killed + RECEIVERS);
	must_be(fipc_mq_info(q, &info, sizeof(info)), 0);
	must(info.messages == 0 && info.sent == info.received && info.receivers == 0 && info.senders == 0);
	must_be(fipc_mq_close(q), 0);
	return 0;
}
