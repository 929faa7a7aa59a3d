/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two at once: processes that lock, nest, wait, open and close under several names, with fipcd running, and two of them
 * killed at nearly the same moment, again and again; now and then fipcd as well. Whoever lives gets every lock; no
 * death inside goes untold; fipcd alone takes away what is left. double_kill [<seconds>], 8 unless told.
 */
#include "../fipcd_support.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PROCESSES = 6, MUTEXES = 4, STUCK_MS = 10000, DAEMON_TOO = 64 };

static struct {
	/* Who is inside each, and how far: outside of the lock both are 0. */
	fipc_word inside[MUTEXES], half[MUTEXES];
	fipc_word violations, deaths, reopened;
	fipc_u64 laps[PROCESSES]; /* a lap: every lock once */
} *shared;
static struct gate kept;

static void add_to(fipc_word *w)
{
	uint32_t seen = fipc_word_load(w);

	while (!fipc_word_cas(w, &seen, seen + 1))
		;
}

static void violated_if(bool wrong)
{
	if (wrong)
		add_to(&shared->violations);
}

static fipc_mutex *open_one(int i, unsigned flags)
{
	char name[16];
	fipc_mutex *m;
	int r;

	snprintf(name, sizeof(name), "m%d", i);
	while ((r = fipc_mutex_open(&m, name, flags, 0600)) == -EBUSY) /* held up for longer than an open waits */
		;
	must_not_fail(r);
	return m;
}

static void spend_time(unsigned *seed)
{
	for (int i = rand_r(seed) % 16384; i > 0; i--)
		__asm__ volatile("");
}

static int lock_somehow(fipc_mutex *m, unsigned *seed)
{
	int r;

	switch (rand_r(seed) % 4) {
	case 0:
		while ((r = fipc_mutex_trylock(m)) == -EBUSY)
			;
		return r;
	case 1:
		do
			r = fipc_mutex_lock_until(m, fipc_after_ns(rand_r(seed) % 200000));
		while (r == -ETIMEDOUT || r == -EBUSY);
		return r;
	default:
		return fipc_mutex_lock(m);
	}
}

/* Not told of a death, it must find everything as an unlock leaves it. */
static void enter(int me, int i, fipc_mutex *m, unsigned *seed)
{
	int r = lock_somehow(m, seed);

	must_not_fail(r);
	if (r == FIPC_OWNER_DIED) {
		add_to(&shared->deaths);
		fipc_word_store(&shared->inside[i], 0);
		spend_time(seed); /* to be killed while it mends, too */
		fipc_word_store(&shared->half[i], 0);
		must_be(fipc_mutex_consistent(m), 0);
	}
	violated_if(fipc_word_load(&shared->inside[i]) || fipc_word_load(&shared->half[i]));
	fipc_word_store(&shared->inside[i], (uint32_t)me + 1);
	fipc_word_store(&shared->half[i], 1);
}

static void leave(int me, int i, fipc_mutex *m)
{
	violated_if(fipc_word_load(&shared->inside[i]) != (uint32_t)me + 1);
	fipc_word_store(&shared->half[i], 0);
	fipc_word_store(&shared->inside[i], 0);
	must_be(fipc_mutex_unlock(m), 0);
}

/* Nested from there to the last, in order; then unlocked in one order or the other. */
static void nest(int me, int from, fipc_mutex **m, unsigned *seed)
{
	for (int i = from; i < MUTEXES; i++) {
		enter(me, i, m[i], seed);
		spend_time(seed);
	}
	if (rand_r(seed) % 2)
		for (int i = from; i < MUTEXES; i++)
			leave(me, i, m[i]);
	else
		for (int i = MUTEXES - 1; i >= from; i--)
			leave(me, i, m[i]);
}

/* A name that nobody keeps: it comes and goes with its users. */
static void pass_by(unsigned *seed)
{
	fipc_mutex *m = open_one(MUTEXES, FIPC_CREATE);
	int r = lock_somehow(m, seed);

	must_not_fail(r);
	must_be(r == FIPC_OWNER_DIED ? fipc_mutex_consistent(m) : 0, 0);
	must_be(fipc_mutex_unlock(m), 0);
	must_be(fipc_mutex_close(m), 0);
}

static void reopen(fipc_mutex **m, unsigned *seed)
{
	int i = rand_r(seed) % MUTEXES;

	must_be(fipc_mutex_close(m[i]), 0);
	m[i] = open_one(i, 0);
	add_to(&shared->reopened);
}

static void work(void *argument)
{
	int me = (int)(intptr_t)argument;
	unsigned seed = (unsigned)getpid();
	fipc_mutex *m[MUTEXES];

	for (int i = 0; i < MUTEXES; i++)
		m[i] = open_one(i, 0);
	for (;;) {
		for (int i = 0; i < MUTEXES; i++) {
			enter(me, i, m[i], &seed);
			spend_time(&seed);
			leave(me, i, m[i]);
		}
		nest(me, rand_r(&seed) % MUTEXES, m, &seed);
		if (rand_r(&seed) % 8 == 0)
			pass_by(&seed);
		if (rand_r(&seed) % 8 == 0)
			reopen(m, &seed);
		fipc_u64_store(&shared->laps[me], fipc_u64_load(&shared->laps[me]) + 1);
		if (rand_r(&seed) % 16 == 0)
			nap_us(rand_r(&seed) % 50);
	}
}

static void keep_all_open(void *argument)
{
	(void)argument;
	for (int i = 0; i < MUTEXES; i++)
		open_one(i, FIPC_CREATE);
	gate_open(&kept);
	for (;;)
		pause();
}

/* Two laps from now, of which one is whole: every lock was had since. */
static bool is_stuck(int i)
{
	uint64_t before = fipc_u64_load(&shared->laps[i]);
	int64_t end = now_ns() + STUCK_MS * INT64_C(1000000);

	while (fipc_u64_load(&shared->laps[i]) < before + 2) {
		if (now_ns() > end)
			return true;
		nap_us(100);
	}
	return false;
}

static pid_t begin(int i)
{
	return start(work, (void *)(intptr_t)i);
}

/* Both signals are sent before either process is waited for. */
static void kill_two(const pid_t *pids, int one, int two, long apart_us)
{
	int status;

	must(!ended(pids[one], &status, 0) && !ended(pids[two], &status, 0)); /* nobody ends by himself */
	must_be(kill(pids[one], SIGKILL), 0);
	if (apart_us)
		nap_us(apart_us);
	must_be(kill(pids[two], SIGKILL), 0);
	must_be(finish(pids[one]), 128 + SIGKILL);
	must_be(finish(pids[two]), 128 + SIGKILL);
}

static void kill_by_chance(struct daemon *d, pid_t *pids, int64_t end, unsigned *ret_kills, unsigned *ret_stuck)
{
	unsigned seed = 11;

	for (unsigned round = 1; now_ns() < end && !*ret_stuck; round++) {
		int one = rand_r(&seed) % PROCESSES, two = (one + 1 + rand_r(&seed) % (PROCESSES - 1)) % PROCESSES;

		nap_us(rand_r(&seed) % 4000);
		if (round % DAEMON_TOO == 0)
			daemon_kill(d);
		kill_two(pids, one, two, rand_r(&seed) % 2 ? rand_r(&seed) % 200 : 0);
		*ret_kills += 2;
		if (round % 4 == 0)
			for (int i = 0; i < PROCESSES && !*ret_stuck; i++)
				*ret_stuck += i != one && i != two && is_stuck(i);
		if (!d->pid)
			daemon_start(d);
		pids[one] = begin(one);
		pids[two] = begin(two);
	}
}

/* Of the dead nothing is left: all who live have all of them open, and nobody else. */
static bool shows_the_living_alone(const struct daemon *d)
{
	json_t *reply = call(d, "io.fipc.Manager.List", "{\"name\":\"m[0-3]\"}");
	json_t *objects = json_object_get(reply, "objects");
	bool right = json_array_size(objects) == MUTEXES;
	size_t i;
	json_t *object;

	json_array_foreach(objects, i, object)
		right &= number_of(object, "attached") == 1 && number_of(object, "dead") == 0;
	json_decref(reply);
	return right;
}

int main(int argc, char **argv)
{
	int64_t length = (argc > 1 ? atoi(argv[1]) : 8) * INT64_C(1000000000);
	unsigned kills = 0, stuck = 0, violations;
	pid_t pids[PROCESSES], keeper;
	struct daemon *d;
	void *state;

	shared = share(sizeof(*shared));
	daemon_set_up(&state);
	d = state;
	gate_make(&kept);
	keeper = start(keep_all_open, NULL);
	gate_pass(&kept);
	for (int i = 0; i < PROCESSES; i++)
		pids[i] = begin(i);
	kill_by_chance(d, pids, now_ns() + length, &kills, &stuck);
	for (int i = 0; i < PROCESSES && !stuck; i++)
		stuck += is_stuck(i);
	for (int i = 0; i < PROCESSES; i++)
		murder(pids[i]);
	violations = fipc_word_load(&shared->violations);
	printf("double_kill: %u killed in pairs, %u owners died inside, %u reopened, %u stuck, %u violations\n", kills,
	       fipc_word_load(&shared->deaths), fipc_word_load(&shared->reopened), stuck, violations);
	await(shows_the_living_alone(d));
	murder(keeper);
	await(is_clean(d->dir, 0)); /* nobody but fipcd collects */
	daemon_tear_down(&state);
	return stuck || violations || !fipc_word_load(&shared->deaths);
}
