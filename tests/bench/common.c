/* SPDX-License-Identifier: Apache-2.0 */
#include "bench.h"

#include <errno.h>
#include <time.h>

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

/* ---- work ---- */

static double ns_per_turn;

static __attribute__((noinline)) void turn(unsigned turns)
{
	for (; turns > 0; turns--)
		__asm__ volatile("");
}

void calibrate_work(void)
{
	enum { TURNS = 10000000, TRIES = 5 };

	for (int i = 0; i < TRIES; i++) {
		double begun = thread_ns(), ns;

		turn(TURNS);
		ns = (thread_ns() - begun) / TURNS;
		if (i == 0 || ns < ns_per_turn)
			ns_per_turn = ns;
	}
}

void work_ns(double ns)
{
	turn((unsigned)(ns / ns_per_turn));
}

/* ---- locks ---- */

struct locks *locks;

static void make_pthread(pthread_mutex_t *m, int robustness)
{
	pthread_mutexattr_t attr;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&attr, robustness);
	must_be(pthread_mutex_init(m, &attr), 0);
}

void make_locks(void)
{
	locks = share(sizeof(*locks));
	must_be(fipc_mutex_init(&locks->fipc, 0), 0);
	make_pthread(&locks->normal, PTHREAD_MUTEX_STALLED);
	make_pthread(&locks->robust, PTHREAD_MUTEX_ROBUST);
}

static void lock_fipc(void)
{
	if (fipc_mutex_lock(&locks->fipc) == FIPC_OWNER_DIED)
		must_be(fipc_mutex_consistent(&locks->fipc), 0);
}

static void unlock_fipc(void)
{
	must_be(fipc_mutex_unlock(&locks->fipc), 0);
}

static void lock_normal(void)
{
	must_be(pthread_mutex_lock(&locks->normal), 0);
}

static void unlock_normal(void)
{
	must_be(pthread_mutex_unlock(&locks->normal), 0);
}

static void lock_robust(void)
{
	if (pthread_mutex_lock(&locks->robust) == EOWNERDEAD)
		must_be(pthread_mutex_consistent(&locks->robust), 0);
}

static void unlock_robust(void)
{
	must_be(pthread_mutex_unlock(&locks->robust), 0);
}

const struct lock fipc_lock = {lock_fipc, unlock_fipc}, normal_lock = {lock_normal, unlock_normal},
		  robust_lock = {lock_robust, unlock_robust};
