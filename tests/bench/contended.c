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
	do { /* once at least */
		if (c->acquisitions++ % EACH == 0 && c->n < MOST_TIMES)
			c->times[c->n++] = timed(l->lock);
		else
			l->lock();
		work_ns(100);
		shared->counter++;
		l->unlock();
	} while (!atomic_load_explicit(&shared->stop, memory_order_relaxed));
}

static const struct lock *fought_for;

static void be_contestant(void *argument)
{
	struct contestant *c = argument;

	c->acquisitions = c->n = 0;
	if (fought_for->begin)
		fought_for->begin();
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
	ret[5] = all[n - 1] / 1000;
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
	nap_us(turns(ROUND_US));
	shared->stop = 1;
	ended = now_ns();
	for (int i = 0; i < c->processes; i++)
		must_be(finish(pids[i]), 0);
	report(c->processes, (double)(ended - begun) / 1e9, ret);
}

#define BETWEEN(name) static const struct contention name##_2 = {&name##_lock, 2}, name##_8 = {&name##_lock, 8}

BETWEEN(fipc);
BETWEEN(normal);
BETWEEN(robust);
BETWEEN(pi);
BETWEEN(robust_pi);
BETWEEN(semaphore);
BETWEEN(semop);
BETWEEN(undo);
BETWEEN(flock);
BETWEEN(ofd);
#ifdef HAVE_BOOST
BETWEEN(boost);
#endif

#define QUANTITIES                                                                                                    \
	{                                                                                                             \
		{"throughput", "M/s", 1}, {"least share", "%", 1}, {"acquire p50", "us", 0},                          \
			{"acquire p99", "us", 0}, {"acquire p99.9", "us", 0}, {"longest", "ms", 0},                   \
	}

#define CONTENDERS(n)                                                                                                 \
	{                                                                                                             \
		{"fipc", contend, &fipc_##n, 1}, {"pthread", contend, &normal_##n, 0},                                \
			{"pthread, robust", contend, &robust_##n, 1}, {"pthread, PI", contend, &pi_##n, 0},           \
			{"pthread, robust, PI", contend, &robust_pi_##n, 1},                                          \
			BOOST("Boost interprocess_mutex", contend, &boost_##n, 0)                                     \
			{"sem_t", contend, &semaphore_##n, 0}, {"semop", contend, &semop_##n, 0},                     \
			{"semop, SEM_UNDO", contend, &undo_##n, 1}, {"flock", contend, &flock_##n, 1},                \
			{"OFD lock", contend, &ofd_##n, 1},                                                           \
	}

const struct group bench_two = {
	.name = "two",
	.title = "lock and unlock, two processes at once, 100 ns inside",
	.prepare = prepare,
	.quantities = QUANTITIES,
	.contenders = CONTENDERS(2),
	.repetitions = 15,
};

const struct group bench_eight = {
	.name = "eight",
	.title = "lock and unlock, eight processes at once, 100 ns inside",
	.prepare = prepare,
	.quantities = QUANTITIES,
	.contenders = CONTENDERS(8),
	.repetitions = 15,
};
