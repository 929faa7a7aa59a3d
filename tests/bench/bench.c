/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fipc-bench: what fipc costs, beside what one would use instead.
 *
 * The contenders of a group take turns, REPETITIONS times, so that whatever else the machine does hits all alike; the
 * ratio is the median of the ratios of neighbours in time, which is steadier than the ratio of the medians.
 */
#include "../support.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { REPETITIONS = 21, PAIRS = 1000000, CONTENDED_PAIRS = 300000, HAND_OFFS = 20, OPENS = 300, MOST_CONTENDERS = 4 };

struct contender {
	const char *name;
	double (*run)(void); /* nanoseconds for one */
};

struct group {
	const char *title;
	struct contender contenders[MOST_CONTENDERS]; /* the first is ours */
};

static struct {
	fipc_mutex fipc;
	pthread_mutex_t normal, robust;
	_Atomic uint32_t atomic __attribute__((aligned(64)));
	volatile uint64_t counter __attribute__((aligned(64)));
	fipc_word ready, go;
	volatile int64_t entered_at;
} *shared;

/* ---- the locks ---- */

static void lock_fipc(void)
{
	if (fipc_mutex_lock(&shared->fipc) == FIPC_OWNER_DIED)
		must_be(fipc_mutex_consistent(&shared->fipc), 0);
}

static void unlock_fipc(void)
{
	must_be(fipc_mutex_unlock(&shared->fipc), 0);
}

static void lock_normal(void)
{
	pthread_mutex_lock(&shared->normal);
}

static void unlock_normal(void)
{
	pthread_mutex_unlock(&shared->normal);
}

static void lock_robust(void)
{
	if (pthread_mutex_lock(&shared->robust) == EOWNERDEAD)
		pthread_mutex_consistent(&shared->robust);
}

static void unlock_robust(void)
{
	pthread_mutex_unlock(&shared->robust);
}

static void make_pthread(pthread_mutex_t *m, int robustness)
{
	pthread_mutexattr_t attr;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&attr, robustness);
	must_be(pthread_mutex_init(m, &attr), 0);
}

/* ---- alone ---- */

#define TIME_PAIRS(lock, unlock)                                                                                      \
	do {                                                                                                          \
		int64_t begun = now_ns();                                                                             \
                                                                                                                      \
		for (int i = 0; i < PAIRS; i++) {                                                                     \
			lock;                                                                                         \
			unlock;                                                                                       \
		}                                                                                                     \
		return (double)(now_ns() - begun) / PAIRS;                                                            \
	} while (0)

static double alone_fipc(void)
{
	TIME_PAIRS(must(fipc_mutex_lock(&shared->fipc) == 0), must(fipc_mutex_unlock(&shared->fipc) == 0));
}

static double alone_normal(void)
{
	TIME_PAIRS(pthread_mutex_lock(&shared->normal), pthread_mutex_unlock(&shared->normal));
}

static double alone_robust(void)
{
	TIME_PAIRS(pthread_mutex_lock(&shared->robust), pthread_mutex_unlock(&shared->robust));
}

/* What no lock can be without: one compare-and-swap, one exchange. */
static double alone_atomics(void)
{
	uint32_t zero;

	TIME_PAIRS((zero = 0, atomic_compare_exchange_strong(&shared->atomic, &zero, 1)),
		   atomic_exchange(&shared->atomic, 0));
}

/* ---- two processes ---- */

struct lock {
	void (*lock)(void), (*unlock)(void);
};
static const struct lock fipc = {lock_fipc, unlock_fipc}, normal = {lock_normal, unlock_normal},
			 robust = {lock_robust, unlock_robust};

static void add_to(fipc_word *w)
{
	uint32_t seen = fipc_word_load(w);

	while (!fipc_word_cas(w, &seen, seen + 1))
		;
}

static unsigned turns_of_work; /* that take 100 ns */

static void work(unsigned turns)
{
	for (volatile unsigned i = 0; i < turns; i++)
		;
}

static void calibrate_work(void)
{
	enum { TURNS = 10000000 };
	int64_t begun = now_ns();

	work(TURNS);
	turns_of_work = (unsigned)(100.0 * TURNS / (double)(now_ns() - begun));
}

static void count(void *argument)
{
	const struct lock *l = argument;

	add_to(&shared->ready);
	while (!fipc_word_load(&shared->go))
		;
	for (int i = 0; i < CONTENDED_PAIRS; i++) {
		l->lock();
		work(turns_of_work);
		shared->counter++;
		l->unlock();
	}
}

static double contended(const struct lock *l)
{
	pid_t pids[2];
	int64_t begun;

	fipc_word_store(&shared->ready, 0);
	fipc_word_store(&shared->go, 0);
	for (int i = 0; i < 2; i++)
		pids[i] = start(count, (void *)(uintptr_t)l);
	await(fipc_word_load(&shared->ready) == 2);
	begun = now_ns();
	fipc_word_store(&shared->go, 1);
	for (int i = 0; i < 2; i++)
		must_be(waitpid(pids[i], NULL, 0), pids[i]);
	return (double)(now_ns() - begun) / (2 * CONTENDED_PAIRS);
}

static double contended_fipc(void)
{
	return contended(&fipc);
}

static double contended_normal(void)
{
	return contended(&normal);
}

static double contended_robust(void)
{
	return contended(&robust);
}

/* ---- from SIGKILL of the owner to the next one inside ---- */

static void hold(void *argument)
{
	((const struct lock *)argument)->lock();
	fipc_word_store(&shared->ready, 1);
	for (;;)
		pause();
}

static void take_over(void *argument)
{
	const struct lock *l = argument;

	l->lock();
	shared->entered_at = now_ns();
	l->unlock();
}

static double hand_off(const struct lock *l)
{
	int64_t sum = 0;

	for (int i = 0; i < HAND_OFFS; i++) {
		pid_t owner, next;
		int64_t killed_at;

		fipc_word_store(&shared->ready, 0);
		owner = start(hold, (void *)(uintptr_t)l);
		await(fipc_word_load(&shared->ready));
		next = start(take_over, (void *)(uintptr_t)l);
		await(asleep_in_futex(next));
		killed_at = now_ns();
		kill(owner, SIGKILL);
		must_be(finish(next), 0);
		sum += shared->entered_at - killed_at;
		must_be(finish(owner), 128 + SIGKILL);
	}
	return (double)sum / HAND_OFFS;
}

static double hand_off_fipc(void)
{
	return hand_off(&fipc);
}

static double hand_off_robust(void)
{
	return hand_off(&robust);
}

/* ---- names ---- */

static char semaphore_name[64];

static double open_fipc(void)
{
	int64_t begun = now_ns();

	for (int i = 0; i < OPENS; i++)
		must_be(fipc_mutex_close(must_open("there", 0, 0)), 0);
	return (double)(now_ns() - begun) / OPENS;
}

static double open_semaphore(void)
{
	int64_t begun = now_ns();

	for (int i = 0; i < OPENS; i++) {
		sem_t *s = sem_open(semaphore_name, 0);

		must(s != SEM_FAILED);
		sem_close(s);
	}
	return (double)(now_ns() - begun) / OPENS;
}

static double create_fipc(void)
{
	int64_t begun = now_ns();

	for (int i = 0; i < OPENS; i++)
		must_be(fipc_mutex_close(must_open("new", FIPC_CREATE, FIPC_CREATED)), 0);
	return (double)(now_ns() - begun) / OPENS;
}

static double create_semaphore(void)
{
	char name[sizeof(semaphore_name) + 8];
	int64_t begun = now_ns();

	snprintf(name, sizeof(name), "%s.new", semaphore_name);
	for (int i = 0; i < OPENS; i++) {
		sem_t *s = sem_open(name, O_CREAT | O_EXCL, 0600, 1);

		must(s != SEM_FAILED);
		sem_close(s);
		sem_unlink(name);
	}
	return (double)(now_ns() - begun) / OPENS;
}

/* ---- the table ---- */

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

struct summary {
	double low, median, high; /* quartiles */
};

static struct summary summarise(const double *samples)
{
	double sorted[REPETITIONS];

	memcpy(sorted, samples, sizeof(sorted));
	qsort(sorted, REPETITIONS, sizeof(*sorted), by_value);
	return (struct summary){sorted[REPETITIONS / 4], sorted[REPETITIONS / 2], sorted[REPETITIONS * 3 / 4]};
}

static double median_ratio(const double *ours, const double *theirs)
{
	double ratios[REPETITIONS];

	for (int i = 0; i < REPETITIONS; i++)
		ratios[i] = ours[i] / theirs[i];
	return summarise(ratios).median;
}

static void run(const struct group *g)
{
	double samples[MOST_CONTENDERS][REPETITIONS];
	int n = 0;

	while (n < MOST_CONTENDERS && g->contenders[n].run)
		n++;
	for (int i = 0; i < REPETITIONS; i++)
		for (int c = 0; c < n; c++)
			samples[c][i] = g->contenders[c].run();
	printf("%s\n", g->title);
	for (int c = 0; c < n; c++) {
		struct summary s = summarise(samples[c]);

		printf("  %-28s %10.1f ns  (%.1f to %.1f)", g->contenders[c].name, s.median, s.low, s.high);
		if (c > 0)
			printf("  fipc is %.2f x this", median_ratio(samples[0], samples[c]));
		printf("\n");
	}
	fflush(stdout);
}

static void remove_semaphore(void)
{
	sem_unlink(semaphore_name);
}

static void *idle(void *argument)
{
	for (;;)
		pause();
	return argument;
}

static const struct group groups[] = {
	{"lock and unlock, nobody else there",
	 {{"fipc", alone_fipc},
	  {"pthread, process-shared", alone_normal},
	  {"pthread, robust", alone_robust},
	  {"two bare atomics", alone_atomics}}},
	{"lock and unlock, two processes at once, 100 ns inside",
	 {{"fipc", contended_fipc},
	  {"pthread, process-shared", contended_normal},
	  {"pthread, robust", contended_robust}}},
	{"from SIGKILL of the owner to the next one inside",
	 {{"fipc", hand_off_fipc}, {"pthread, robust", hand_off_robust}}},
	{"open and close what is there", {{"fipc", open_fipc}, {"sem_open, sem_close", open_semaphore}}},
	{"create, close and remove",
	 {{"fipc", create_fipc}, {"sem_open, _close, _unlink", create_semaphore}}},
};

int main(void)
{
	struct peer there = {.name = "there", .flags = FIPC_CREATE, .wanted = FIPC_CREATED};
	sem_t *s;
	pthread_t second; /* libcs take short cuts while a process has one thread */

	calibrate_work();
	test_dir();
	shared = share(sizeof(*shared));
	must_be(fipc_mutex_init(&shared->fipc, 0), 0);
	make_pthread(&shared->normal, PTHREAD_MUTEX_STALLED);
	make_pthread(&shared->robust, PTHREAD_MUTEX_ROBUST);
	snprintf(semaphore_name, sizeof(semaphore_name), "/fipc-test.%d", (int)getpid());
	s = sem_open(semaphore_name, O_CREAT | O_EXCL, 0600, 1);
	must(s != SEM_FAILED);
	sem_close(s); /* one that the process has open is found in a table, as a second fipc_mutex_open is */
	atexit(remove_semaphore);
	signal(SIGPIPE, SIG_IGN); /* as by `fipc-bench | head` */
	peer_begins(&there);
	must_be(pthread_create(&second, NULL, idle, NULL), 0);
	printf("median (quartiles) of %d repetitions, %ld processors\n", REPETITIONS, sysconf(_SC_NPROCESSORS_ONLN));
	for (size_t i = 0; i < sizeof(groups) / sizeof(*groups); i++)
		run(&groups[i]);
	peer_leaves(&there);
	return 0;
}
