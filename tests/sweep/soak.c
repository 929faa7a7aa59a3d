/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Five processes on one mutex, one or two of them killed every now and then: 0 stuck, 0 violations of what the mutex
 * protects. soak [<seconds>], 5 unless told.
 */
#include "../support.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { PROCESSES = 5, STUCK_MS = 10000 };

static struct {
	fipc_mutex m;
	/* The invariant: outside of the lock inside is 0 and a == b. */
	volatile uint64_t inside, a, b;
	fipc_word violations, deaths;
	fipc_u64 progress[PROCESSES];
} *shared;

static void add_to(fipc_word *w)
{
	uint32_t seen = fipc_word_load(w);

	while (!fipc_word_cas(w, &seen, seen + 1))
		;
}

static void enter(unsigned *seed)
{
	int r;

	switch (rand_r(seed) % 8) {
	case 0:
		while ((r = fipc_mutex_trylock(&shared->m)) == -EBUSY)
			;
		break;
	case 1:
		while ((r = fipc_mutex_lock_until(&shared->m, fipc_after_ns(rand_r(seed) % 100000))) < 0)
			must(r == -ETIMEDOUT || r == -EBUSY);
		break;
	default:
		r = fipc_mutex_lock(&shared->m);
	}
	must_not_fail(r);
	if (r == FIPC_OWNER_DIED) {
		add_to(&shared->deaths);
		shared->inside = 0;
		shared->b = shared->a;
		must_be(fipc_mutex_consistent(&shared->m), 0);
	}
}

static void work(void *argument)
{
	int me = (int)(intptr_t)argument;
	unsigned seed = (unsigned)getpid();

	for (;;) {
		enter(&seed);
		if (shared->inside || shared->a != shared->b)
			add_to(&shared->violations);
		shared->inside = 1;
		shared->a++;
		for (int i = rand_r(&seed) % 4096; i > 0; i--)
			__asm__ volatile("");
		shared->b++;
		shared->inside = 0;
		must_be(fipc_mutex_unlock(&shared->m), 0);
		fipc_u64_store(&shared->progress[me], fipc_u64_load(&shared->progress[me]) + 1);
		if (rand_r(&seed) % 64 == 0)
			nap_us(rand_r(&seed) % 30);
	}
}

/* Whoever lives gets on. */
static int is_stuck(int i)
{
	uint64_t before = fipc_u64_load(&shared->progress[i]);
	int64_t end = now_ns() + STUCK_MS * INT64_C(1000000);

	while (fipc_u64_load(&shared->progress[i]) == before) {
		if (now_ns() > end)
			return 1;
		nap_us(100);
	}
	return 0;
}

static pid_t begin(int i)
{
	return start(work, (void *)(intptr_t)i);
}

int main(int argc, char **argv)
{
	int64_t end = now_ns() + (argc > 1 ? atoi(argv[1]) : 5) * INT64_C(1000000000);
	unsigned seed = 1, kills = 0, stuck = 0;
	pid_t pids[PROCESSES];

	shared = share(sizeof(*shared));
	must_be(fipc_mutex_init(&shared->m, 0), 0);
	for (int i = 0; i < PROCESSES; i++)
		pids[i] = begin(i);
	while (now_ns() < end && !stuck) {
		int one = rand_r(&seed) % PROCESSES, two = rand_r(&seed) % PROCESSES;

		nap_us(rand_r(&seed) % 2000);
		if (two != one && rand_r(&seed) % 2)
			murder(pids[two]);
		else
			two = one;
		murder(pids[one]);
		kills += 1 + (two != one);
		if (kills % 8 == 0)
			for (int i = 0; i < PROCESSES; i++)
				stuck += i != one && i != two && is_stuck(i);
		pids[one] = begin(one);
		if (two != one)
			pids[two] = begin(two);
	}
	for (int i = 0; i < PROCESSES; i++)
		murder(pids[i]);
	printf("soak: %u kills, %u owners died inside, %u stuck, %u violations\n", kills,
	       fipc_word_load(&shared->deaths), stuck, fipc_word_load(&shared->violations));
	return stuck || fipc_word_load(&shared->violations) || fresh_trylock(&shared->m) < 0;
}
