/* SPDX-License-Identifier: Apache-2.0 */
#include "worker.h"

#include <fipc.h>
#include <time.h>
#include <unistd.h>

enum { THINKING_US = 50 }; /* between transfers: a program that does nothing but lock is none */

struct worker {
	struct stage *stage;
	int self;
	fipc_mutex *lock;
	uint32_t dice;
	int from, to;
	long amount;
};

int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

void nap_us(long us)
{
	struct timespec nap = {.tv_nsec = us * 1000};

	nanosleep(&nap, NULL);
}

void stage_init(struct stage *stage)
{
	bank_init(&stage->bank);
	stage->stop_halfway = stage->halfway = stage->heir = NOBODY;
}

static uint32_t roll(struct worker *w)
{
	w->dice = w->dice * 1664525 + 1013904223;
	return w->dice >> 8;
}

/* The one who is to be killed stops here, inside, and never goes on by itself. */
static void stop_if_wished(void *context)
{
	struct worker *w = context;
	struct stage *stage = w->stage;

	if (stage->stop_halfway != w->self)
		return;
	stage->from = w->from;
	stage->to = w->to;
	stage->amount = w->amount;
	stage->halfway = w->self;
	for (;;)
		pause();
}

static void choose(struct worker *w)
{
	w->from = (int)(roll(w) % BANK_ACCOUNTS);
	w->to = (w->from + 1 + (int)(roll(w) % (BANK_ACCOUNTS - 1))) % BANK_ACCOUNTS;
	w->amount = 1 + roll(w) % 10;
}

/* The owner before us was killed inside. */
static int mend(struct worker *w)
{
	struct stage *stage = w->stage;
	int64_t told = now_ns();
	int r;

	if (atomic_exchange(&stage->inside, 0) != 1) /* the one who died, and nobody else */
		stage->wrong++;
	stage->put_back = bank_mend(&stage->bank);
	r = fipc_mutex_consistent(w->lock);
	stage->mended_ns = now_ns();
	stage->told_ns = told;
	stage->heir = w->self;
	stage->deaths++;
	return r;
}

/* The lock is held. */
static int work(struct worker *w, int locked)
{
	struct stage *stage = w->stage;
	int r = locked == FIPC_OWNER_DIED ? mend(w) : 0;

	if (r < 0)
		return r;
	if (stage->inside++ != 0 || !bank_is_right(&stage->bank))
		stage->wrong++;
	choose(w);
	bank_transfer(&stage->bank, w->from, w->to, w->amount, stop_if_wished, w);
	stage->inside--;
	return 0;
}

static int turn(struct worker *w)
{
	int r = fipc_mutex_lock(w->lock);

	if (r < 0)
		return r;
	r = work(w, r);
	return r < 0 ? r : fipc_mutex_unlock(w->lock);
}

static int live(struct worker *w)
{
	int r = fipc_mutex_open(&w->lock, LOCK_NAME, FIPC_CREATE, 0600);

	if (r < 0)
		return r;
	w->stage->ready++;
	do {
		nap_us(THINKING_US);
		r = turn(w);
	} while (r == 0 && !(w->stage->leave & 1 << w->self));
	return r < 0 ? r : fipc_mutex_close(w->lock);
}

int worker_run(struct stage *stage, int self)
{
	struct worker w = {.stage = stage, .self = self, .dice = (uint32_t)self + 1};
	int r = live(&w);

	if (r < 0)
		stage->error = r;
	return r < 0;
}
