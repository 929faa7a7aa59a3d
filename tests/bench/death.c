/* SPDX-License-Identifier: Apache-2.0 */
/* From SIGKILL of the owner to the next one inside, who had been asleep. */
#include "bench.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MOST_DEATHS = 20 };

struct death {
	const struct lock *lock;
	size_t touched; /* by the owner: memory that the kernel has to take down */
	int deaths;     /* a run's value is the median of so many */
};

static struct {
	struct gate held;
	_Atomic int64_t *entered_at;
} shared;

static void prepare(void)
{
	if (shared.entered_at)
		return;
	shared.entered_at = share(sizeof(*shared.entered_at));
	gate_make(&shared.held);
}

static void hold(void *argument)
{
	const struct death *d = argument;
	void *memory;

	if (d->touched > 0) {
		memory = mmap(NULL, d->touched, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1,
			      0);
		must(memory != MAP_FAILED);
	}
	d->lock->lock();
	gate_open(&shared.held);
	for (;;)
		pause();
}

static void take_over(void *argument)
{
	const struct death *d = argument;

	d->lock->lock();
	*shared.entered_at = now_ns();
	d->lock->unlock();
}

static double time_one(const struct death *d)
{
	void *argument = (void *)(uintptr_t)d;
	pid_t owner = start(hold, argument), next;
	int64_t killed_at;

	gate_pass(&shared.held);
	next = start(take_over, argument);
	await(asleep_in_futex(next));
	killed_at = now_ns();
	kill(owner, SIGKILL);
	must_be(finish(next), 0);
	must_be(finish(owner), 128 + SIGKILL);
	return (double)(*shared.entered_at - killed_at) / 1000;
}

static void die(const void *argument, double *ret)
{
	const struct death *d = argument;
	double took[MOST_DEATHS];

	for (int i = 0; i < d->deaths; i++)
		took[i] = time_one(d);
	qsort(took, d->deaths, sizeof(*took), by_value);
	*ret = took[d->deaths / 2];
}

static const struct death fipc_small = {&fipc_lock, 0, 15}, robust_small = {&robust_lock, 0, 15},
			  fipc_big = {&fipc_lock, 256 << 20, 5}, robust_big = {&robust_lock, 256 << 20, 5};

const struct group bench_death = {
	.name = "death",
	.title = "from SIGKILL of the owner to the next one inside",
	.prepare = prepare,
	.quantities = {{NULL, "us"}},
	.contenders = {{"fipc", die, &fipc_small}, {"pthread, robust", die, &robust_small}},
};

const struct group bench_big_death = {
	.name = "big-death",
	.title = "the same, of an owner that has touched 256 MB",
	.prepare = prepare,
	.quantities = {{NULL, "us"}},
	.contenders = {{"fipc", die, &fipc_big}, {"pthread, robust", die, &robust_big}},
};
