/* SPDX-License-Identifier: Apache-2.0 */
/* From SIGKILL of the owner to the next one inside, who had been asleep. */
#include "bench.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MOST_DEATHS = 20 };

struct death {
	const struct lock *lock;
	int touched; /* by the owner: memory that the kernel has to take down */
	int deaths;  /* a run's value is the median of so many */
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
	int bytes = turns(d->touched);

	if (bytes > 0)
		must(mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0) !=
		     MAP_FAILED);
	if (d->lock->begin)
		d->lock->begin();
	d->lock->lock();
	gate_open(&shared.held);
	for (;;)
		pause();
}

static void take_over(void *argument)
{
	const struct death *d = argument;

	if (d->lock->begin)
		d->lock->begin();
	d->lock->lock();
	*shared.entered_at = now_ns();
	d->lock->unlock();
}

static int waits(pid_t pid)
{
	return asleep_in_futex(pid) || asleep_in(pid, SYS_semop) || asleep_in(pid, SYS_semtimedop) ||
	       asleep_in(pid, SYS_flock) || asleep_in(pid, SYS_fcntl);
}

static double time_one(const struct death *d)
{
	void *argument = (void *)(uintptr_t)d;
	pid_t owner = start(hold, argument), next;
	int64_t killed_at;

	gate_pass(&shared.held);
	next = start(take_over, argument);
	await(waits(next));
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

	int deaths = turns(d->deaths);

	for (int i = 0; i < deaths; i++)
		took[i] = time_one(d);
	qsort(took, deaths, sizeof(*took), by_value);
	*ret = took[deaths / 2];
}

#define DIES(name)                                                                                                    \
	static const struct death name##_small = {&name##_lock, 0, 15}, name##_big = {&name##_lock, 256 << 20, 3}

DIES(fipc);
DIES(robust);
DIES(robust_pi);
DIES(owned);
DIES(undo);
DIES(flock);
DIES(ofd);

#define CONTENDERS(size)                                                                                              \
	{                                                                                                             \
		{"fipc", die, &fipc_##size, 1}, {"pthread, robust", die, &robust_##size, 1},                          \
			{"pthread, robust, PI", die, &robust_pi_##size, 1},                                           \
			{"fipc semaphore, FIPC_OWNED", die, &owned_##size, 1},                                        \
			{"semop, SEM_UNDO", die, &undo_##size, 1}, {"flock", die, &flock_##size, 1},                  \
			{"OFD lock", die, &ofd_##size, 1},                                                            \
	}

const struct group bench_death = {
	.name = "death",
	.title = "from SIGKILL of the owner to the next one inside",
	.prepare = prepare,
	.quantities = {{NULL, "us", 0}},
	.contenders = CONTENDERS(small),
};

const struct group bench_big_death = {
	.name = "big-death",
	.title = "the same, of an owner that has touched 256 MB",
	.prepare = prepare,
	.quantities = {{NULL, "us", 0}},
	.contenders = CONTENDERS(big),
	.repetitions = 15,
};
