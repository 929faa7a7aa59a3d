/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What fipc costs, beside what one would use instead: the parts of fipc-bench.
 *
 * A group is what is compared with each other: a title, the quantities that each run measures, and the contenders, ours
 * first. The contenders take turns, REPETITIONS times, so that whatever else the machine does hits all alike; a ratio
 * is the median of the ratios of neighbours in time, which is steadier than the ratio of the medians.
 *
 * To add a group: write `const struct group bench_<name>` in a file (names.c is a short example), name the file in
 * CMakeLists.txt, and the group in the list of bench.c. A run should take no more than 0.3 s. Contenders that loop make
 * direct calls (TIME_PAIRS), so that the loop costs all the same, and next to nothing. What a group needs once, for all
 * its contenders, it makes in prepare(). While working on it: fipc-bench <name>.
 */
#ifndef FIPC_BENCH_H
#define FIPC_BENCH_H

#include "../support.h"

#include <pthread.h>

enum { REPETITIONS = 21, MOST_CONTENDERS = 8, MOST_QUANTITIES = 6 };

struct quantity {
	const char *what; /* may be NULL, if it is the only one */
	const char *unit;
};

struct contender {
	const char *name;
	void (*run)(const void *argument, double *ret); /* ret[i]: of quantities[i] */
	const void *argument;
};

struct group {
	const char *name, *title;
	void (*prepare)(void); /* may be NULL */
	struct quantity quantities[MOST_QUANTITIES];
	struct contender contenders[MOST_CONTENDERS];
};

/* ---- what groups share ---- */

double thread_ns(void); /* processor time of this thread: what others run meanwhile does not count */
int by_value(const void *a, const void *b); /* for qsort() of double */

/* Nanoseconds for one lock and unlock of `pairs`; each an expression that is 0 when it worked. */
#define TIME_PAIRS(ret, pairs, lock, unlock)                                                                          \
	do {                                                                                                          \
		int failed = 0;                                                                                       \
		double begun = thread_ns();                                                                           \
		for (int i = 0; i < (pairs); i++) {                                                                   \
			failed |= lock;                                                                               \
			failed |= unlock;                                                                             \
		}                                                                                                     \
		*(ret) = (thread_ns() - begun) / (pairs);                                                             \
		must_be(failed, 0);                                                                                   \
	} while (0)

/* Busy for about so long, without a system call or a look at memory; calibrate_work() before. */
void calibrate_work(void);
void work_ns(double ns);

/* The locks that are compared, in memory that children share, each in cache lines of its own. */
struct locks {
	fipc_mutex fipc __attribute__((aligned(64)));
	pthread_mutex_t normal __attribute__((aligned(64))), robust __attribute__((aligned(64)));
	_Atomic uint32_t word __attribute__((aligned(64)));
};
extern struct locks *locks;
void make_locks(void);

/* The same, for what takes longer than a call through a pointer. */
struct lock {
	void (*lock)(void), (*unlock)(void);
};
extern const struct lock fipc_lock, normal_lock, robust_lock;

#endif
