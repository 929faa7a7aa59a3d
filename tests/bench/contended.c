/* SPDX-License-Identifier: Apache-2.0 */
/* A lock that several processes want all the time: how much they get done, who how much, and how long one waits. */
#include "bench.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

enum {
	MOST_PROCESSES = 8,
	ROUND_US = 300000,
	EACH = 7, /* one of so many acquisitions is timed, or the clock would be most of what is measured */
	MOST_TIMES = 1 << 19,
};

struct contention {
	const struct lock *lock;
	int processes;
};

struct contestant {
	unsigned acquisitions, n;
	uint32_t times[MOST_TIMES]; /* ns, of n acquisitions */
};

static struct {
	_Atomic int ready, go, stop;
	uint64_t counter __attribute__((aligned(64)));
	struct contestant contestants[MOST_PROCESSES] __attribute__((aligned(64)));
} *shared;

static void prepare(void)
{
	if (!shared)
		shared = share(sizeof(*shared));
}

static uint32_t timed(void (*lock)(void))
{
	int64_t begun = now_ns(), took;

	lock();
	took = now_ns() - begun;
	return took > UINT32_MAX ? UINT32_MAX : (uint32_t)took;
}

static void compete(const struct lock *l, struct contestant *c)
{
	while (!atomic_load_explicit(&shared->stop, memory_order_relaxed)) {
		if (c->acquisitions++ % EACH == 0 && c->n < MOST_TIMES)
			c->times[c->n++] = timed(l->lock);
		else
			l->lock();
		work_ns(100);
		shared->counter++;
		l->unlock();
	}
}

static const struct lock *fought_for;

static void be_contestant(void *argument)
{
	struct contestant *c = argument;

	c->acquisitions = c->n = 0;
	atomic_fetch_add(&shared->ready, 1);
	while (!atomic_load(&shared->go))
		sched_yield();
	compete(fought_for, c);
}

/* ---- what came of it ---- */

static double *gather(int processes, unsigned *ret_n)
{
	unsigned n = 0;
	double *all;

	for (int i = 0; i < processes; i++)
		n += shared->contestants[i].n;
	all = malloc(n * sizeof(*all));
	must(all);
	*ret_n = 0;
	for (int i = 0; i < processes; i++)
		for (unsigned k = 0; k < shared->contestants[i].n; k++)
			all[(*ret_n)++] = shared->contestants[i].times[k] / 1000.0;
	qsort(all, n, sizeof(*all), by_value);
	return all;
}

static void report(int processes, double seconds, double *ret)
{
	double least = 1e18, sum = 0, *all;
	unsigned n;

	for (int i = 0; i < processes; i++) {
		double mine = shared->contestants[i].acquisitions;

		sum += mine;
		least = mine < least ? mine : least;
	}
	must_be(shared->counter, (long)sum);
	all = gather(processes, &n);
	ret[0] = sum / seconds / 1e6;
	ret[1] = 100 * least / sum;
	ret[2] = all[n / 2];
	ret[3] = all[(uint64_t)n * 99 / 100];
	ret[4] = all[(uint64_t)n * 999 / 1000];
	free(all);
}

static void contend(const void *argument, double *ret)
{
	const struct contention *c = argument;
	pid_t pids[MOST_PROCESSES];
	int64_t begun, ended;

	shared->ready = shared->go = shared->stop = 0;
	shared->counter = 0;
	fought_for = c->lock;
	for (int i = 0; i < c->processes; i++)
		pids[i] = start(be_contestant, &shared->contestants[i]);
	await(shared->ready == c->processes);
	begun = now_ns();
	shared->go = 1;
	nap_us(ROUND_US);
	shared->stop = 1;
	ended = now_ns();
	for (int i = 0; i < c->processes; i++)
		must_be(finish(pids[i]), 0);
	report(c->processes, (double)(ended - begun) / 1e9, ret);
}

static const struct contention fipc_2 = {&fipc_lock, 2}, normal_2 = {&normal_lock, 2}, robust_2 = {&robust_lock, 2},
			       fipc_8 = {&fipc_lock, 8}, normal_8 = {&normal_lock, 8}, robust_8 = {&robust_lock, 8};

#define QUANTITIES                                                                                                    \
	{                                                                                                             \
		{"acquisitions", "M/s"}, {"of the one that gets the least", "%"}, {"time to acquire, p50", "us"},     \
			{"time to acquire, p99", "us"}, {"time to acquire, p99.9", "us"},                             \
	}

const struct group bench_two = {
	.name = "two",
	.title = "lock and unlock, two processes at once, 100 ns inside",
	.prepare = prepare,
	.quantities = QUANTITIES,
	.contenders = {{"fipc", contend, &fipc_2},
		       {"pthread, process-shared", contend, &normal_2},
		       {"pthread, robust", contend, &robust_2}},
};

const struct group bench_eight = {
	.name = "eight",
	.title = "lock and unlock, eight processes at once, 100 ns inside",
	.prepare = prepare,
	.quantities = QUANTITIES,
	.contenders = {{"fipc", contend, &fipc_8},
		       {"pthread, process-shared", contend, &normal_8},
		       {"pthread, robust", contend, &robust_8}},
};
