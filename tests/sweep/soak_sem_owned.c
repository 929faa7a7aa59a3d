/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Six processes, of two threads each, on an owned semaphore of one token and on one of three, one or two of them killed
 * every now and then: 0 stuck, never two at once with the one token, and in the end all tokens are there.
 * soak_sem_owned [<seconds>], 4 unless told.
 */
#include "../support.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { PROCESSES = 6, THREADS = 2, TOKENS = 3, STUCK_MS = 10000 };

static fipc_sem *one, *three;
static struct {
	fipc_word inside; /* who has the one token: a thread's mark */
	fipc_word violations;
	fipc_u64 progress[PROCESSES * THREADS];
} *shared;

static void take(fipc_sem *s, unsigned *seed)
{
	int r;

	switch (rand_r(seed) % 8) {
	case 0:
		while ((r = fipc_sem_trywait(s)) == -EAGAIN)
			;
		break;
	case 1:
		while ((r = fipc_sem_wait_until(s, fipc_after_ns(rand_r(seed) % 100000))) < 0)
			must(r == -ETIMEDOUT || r == -EAGAIN);
		break;
	default:
		r = fipc_sem_wait(s);
	}
	must_be(r, 0);
}

static void dally(unsigned *seed)
{
	for (int i = rand_r(seed) % 4096; i > 0; i--)
		__asm__ volatile("");
}

static void be_alone(uint32_t mark, unsigned *seed)
{
	take(one, seed);
	fipc_word_store(&shared->inside, mark);
	dally(seed);
	if (fipc_word_load(&shared->inside) != mark)
		fipc_word_store(&shared->violations, 1);
	must_be(fipc_sem_post(one, 1), 0);
}

static void take_some(unsigned *seed)
{
	take(three, seed);
	dally(seed);
	must_be(fipc_sem_post(three, 1), 0);
}

static void *work(void *argument)
{
	int me = (int)(intptr_t)argument;
	unsigned seed = (unsigned)getpid() * THREADS + (unsigned)me % THREADS;

	for (;;) {
		if (rand_r(&seed) % 2)
			be_alone(seed + (uint32_t)me, &seed);
		else
			take_some(&seed);
		fipc_u64_store(&shared->progress[me], fipc_u64_load(&shared->progress[me]) + 1);
	}
	return NULL;
}

/* Threads that take one for their process and end. */
static void *take_and_end(void *argument)
{
	must_be(fipc_sem_wait(three), 0);
	return argument;
}

static void be_process(void *argument)
{
	intptr_t first = (intptr_t)argument * THREADS;
	unsigned seed = (unsigned)getpid();
	pthread_t thread;

	if (rand_r(&seed) % 4 == 0) {
		must_be(pthread_create(&thread, NULL, take_and_end, NULL), 0);
		must_be(pthread_join(thread, NULL), 0);
		must_be(fipc_sem_post(three, 1), 0);
	}
	for (int i = 1; i < THREADS; i++)
		must_be(pthread_create(&thread, NULL, work, (void *)(first + i)), 0);
	work((void *)first);
}

static int is_stuck(int process)
{
	int64_t end = now_ns() + STUCK_MS * INT64_C(1000000);

	for (int i = process * THREADS; i < (process + 1) * THREADS; i++) {
		uint64_t before = fipc_u64_load(&shared->progress[i]);

		while (fipc_u64_load(&shared->progress[i]) == before) {
			if (now_ns() > end)
				return 1;
			nap_us(100);
		}
	}
	return 0;
}

static pid_t begin(int i)
{
	return start(be_process, (void *)(intptr_t)i);
}

int main(int argc, char **argv)
{
	int64_t end = now_ns() + (argc > 1 ? atoi(argv[1]) : 4) * INT64_C(1000000000);
	unsigned seed = 1, kills = 0, stuck = 0;
	pid_t pids[PROCESSES];

	fresh_dir();
	shared = share(sizeof(*shared));
	must_be(fipc_sem_open(&one, "one", 1, FIPC_CREATE | FIPC_OWNED, 0600), FIPC_CREATED);
	must_be(fipc_sem_open(&three, "three", TOKENS, FIPC_CREATE | FIPC_OWNED, 0600), FIPC_CREATED);
	for (int i = 0; i < PROCESSES; i++)
		pids[i] = begin(i);
	while (now_ns() < end && !stuck) {
		int first = rand_r(&seed) % PROCESSES, second = rand_r(&seed) % PROCESSES;

		nap_us(rand_r(&seed) % 3000);
		if (second != first && rand_r(&seed) % 2) {
			must_be(kill(pids[second], SIGKILL), 0);
			kills++;
		} else {
			second = first;
		}
		murder(pids[first]);
		kills++;
		if (second != first)
			must_be(finish(pids[second]), 128 + SIGKILL);
		if (kills % 8 == 0)
			for (int i = 0; i < PROCESSES; i++)
				stuck += i != first && i != second && is_stuck(i);
		pids[first] = begin(first);
		if (second != first)
			pids[second] = begin(second);
	}
	for (int i = 0; i < PROCESSES; i++)
		murder(pids[i]);
	for (int i = 0; i < TOKENS; i++)
		must_be(fipc_sem_trywait(three), 0);
	must_be(fipc_sem_trywait(three), -EAGAIN);
	must_be(fipc_sem_post(three, TOKENS), 0);
	must_be(fipc_sem_value(one), 1);
	printf("soak: %u kills, %u stuck, %u violations\n", kills, stuck, fipc_word_load(&shared->violations));
	must_be(fipc_sem_close(one), 0);
	must_be(fipc_sem_close(three), 0);
	return stuck || fipc_word_load(&shared->violations);
}
