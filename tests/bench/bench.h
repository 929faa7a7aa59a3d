/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What fipc costs, beside what one would use instead: the parts of fipc-bench.
 *
 * A group is what is compared with each other: a title, the quantities that each run measures, and the contenders, ours
 * first. The contenders take turns, REPETITIONS times, so that whatever else the machine does hits all alike; a ratio
 * is the median of the ratios of neighbours in time, which is steadier than the ratio of the medians.
 *
 * To add a group: write `const struct group bench_<name>` in a file (names.c is a short example), name the file in
 * CMakeLists.txt, the group in the list of bench.c, and its place on the page in performance.md.in. A run should take
 * no more than 0.3 s, and ask turns() how often it does what it does. Contenders that loop make direct calls
 * (TIME_PAIRS), so that the loop costs all the same, and next to nothing. What a group needs once, for all its
 * contenders, it makes in prepare(). While working on it: fipc-bench <name>.
 */
#ifndef FIPC_BENCH_H
#define FIPC_BENCH_H

#include "../support.h"

#include <pthread.h>

enum { REPETITIONS = 21, MOST_CONTENDERS = 12, MOST_QUANTITIES = 6 };

struct quantity {
	const char *what; /* may be NULL, if it is the only one */
	const char *unit;
	int more; /* is better; else less is */
};

struct contender {
	const char *name;
	void (*run)(const void *argument, double *ret); /* ret[i]: of quantities[i]; NAN: that is not to be had here */
	const void *argument;
	int recovers; /* from an owner's death, without help */
};

struct group {
	const char *name, *title;
	void (*prepare)(void); /* may be NULL */
	struct quantity quantities[MOST_QUANTITIES];
	struct contender contenders[MOST_CONTENDERS];
	int repetitions; /* 0: REPETITIONS; no more than that, and odd */
};

/* ---- what groups share ---- */

double thread_ns(void); /* processor time of this thread: what others run meanwhile does not count */
int by_value(const void *a, const void *b); /* for qsort() of double */

/* How often, of what is `full` times when measured in earnest; at least once. */
enum effort { IN_EARNEST, QUICKLY, UNDER_CALLGRIND };
extern enum effort effort;
int turns(int full);

/* Callgrind writes down the instructions between these two, and to which contender and quantity they belong. */
void count_for(const char *group, const char *contender, const double *ret); /* ret: of its first quantity */
void count_begin(const double *ret, int pairs);
void count_end(void);

/* Nanoseconds for one lock and unlock of `pairs`; each an expression that is 0 when it worked. */
#define TIME_PAIRS(ret, pairs, lock, unlock)                                                                          \
	do {                                                                                                          \
		const int n = turns(pairs);                                                                           \
		int failed = 0;                                                                                       \
		double begun;                                                                                         \
		failed |= lock; /* whatever is done once only */                                                      \
		failed |= unlock;                                                                                     \
		begun = thread_ns();                                                                                  \
		count_begin(ret, n);                                                                                  \
		for (int i = 0; i < n; i++) {                                                                         \
			failed |= lock;                                                                               \
			failed |= unlock;                                                                             \
		}                                                                                                     \
		count_end();                                                                                          \
		*(ret) = (thread_ns() - begun) / n;                                                                   \
		must_be(failed, 0);                                                                                   \
	} while (0)

/* Busy for about so long, without a system call or a look at memory; calibrate_work() before. */
void calibrate_work(void);
void work_ns(double ns);

/* SysV's, n of them, each with so many tokens; removed at exit. Returns what semop() takes. */
int make_semaphores(int n, int tokens);

/* A contender: one such, taken and given back by semop() with the flags that argument points to. */
void time_semop(const void *argument, double *ret);
extern const short semop_plain, semop_undo;

/* The locks that are compared, in memory that children share, each in cache lines of its own. */
struct locks {
	fipc_mutex fipc __attribute__((aligned(64)));
	pthread_mutex_t normal __attribute__((aligned(64))), robust __attribute__((aligned(64)));
	pthread_mutex_t pi __attribute__((aligned(64))), robust_pi __attribute__((aligned(64)));
	_Atomic uint32_t word __attribute__((aligned(64)));
};
extern struct locks *locks;
void make_locks(void);

/* The same and those of the kernel's, for what takes longer than a call through a pointer. */
struct lock {
	void (*lock)(void), (*unlock)(void);
	void (*begin)(void); /* once in each process; may be NULL */
};
extern const struct lock fipc_lock, normal_lock, robust_lock, pi_lock, robust_pi_lock, semaphore_lock, owned_lock,
			 semop_lock, undo_lock, flock_lock, ofd_lock, boost_lock;

/* A contender of Boost's; nothing where Boost is not. */
#ifdef HAVE_BOOST
#define BOOST(...) {__VA_ARGS__},
#else
#define BOOST(...)
#endif

#endif
