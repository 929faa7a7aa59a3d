/* SPDX-License-Identifier: Apache-2.0 */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/sem.h>
#include <time.h>

#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#else
#define CALLGRIND_ZERO_STATS ((void)0)
#define CALLGRIND_DUMP_STATS_AT(label) ((void)(label))
#endif

double thread_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* ---- how much ---- */

enum effort effort;

int turns(int full)
{
	enum { QUICKER = 100, COUNTED = 1000 };

	if (effort == UNDER_CALLGRIND)
		return full < COUNTED ? full : COUNTED;
	if (effort == IN_EARNEST)
		return full;
	return full > QUICKER ? full / QUICKER : 1;
}

/* ---- instructions ---- */

static const char *counted_group, *counted_contender;
static const double *first_quantity;
static char label[128];

void count_for(const char *group, const char *contender, const double *ret)
{
	counted_group = group;
	counted_contender = contender;
	first_quantity = ret;
}

void count_begin(const double *ret, int pairs)
{
	snprintf(label, sizeof(label), "%s|%s|%d|%d", counted_group, counted_contender, (int)(ret - first_quantity),
		 pairs);
	CALLGRIND_ZERO_STATS;
}

void count_end(void)
{
	CALLGRIND_DUMP_STATS_AT(label);
}

/* ---- SysV's semaphores ---- */

static int made[4], n_made;

static void remove_semaphores(void)
{
	while (n_made > 0)
		semctl(made[--n_made], 0, IPC_RMID);
}

int make_semaphores(int n, int tokens)
{
	int set = semget(IPC_PRIVATE, n, 0600);

	must(set >= 0 && n_made < (int)(sizeof(made) / sizeof(*made)));
	if (n_made == 0)
		atexit(remove_semaphores);
	made[n_made++] = set;
	for (int i = 0; i < n; i++)
		must_be(semctl(set, i, SETVAL, tokens), 0);
	return set;
}

/* ---- work ---- */

static double ns_per_turn;

static __attribute__((noinline)) void spin(unsigned times)
{
	for (; times > 0; times--)
		__asm__ volatile("");
}

void calibrate_work(void)
{
	enum { TURNS = 10000000, TRIES = 5 };

	for (int i = 0; i < TRIES; i++) {
		int n = turns(TURNS);
		double begun = thread_ns(), ns;

		spin(n);
		ns = (thread_ns() - begun) / n;
		if (i == 0 || ns < ns_per_turn)
			ns_per_turn = ns;
	}
}

void work_ns(double ns)
{
	spin((unsigned)(ns / ns_per_turn));
}
