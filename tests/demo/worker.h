/* SPDX-License-Identifier: Apache-2.0 */
/* A process of the demo that moves money, and what it tells the director in shared memory. */
#ifndef FIPC_DEMO_WORKER_H
#define FIPC_DEMO_WORKER_H

#include "bank.h"

#include <stdint.h>

enum { WORKERS = 4, NOBODY = -1 };
#define LOCK_NAME "bank"

struct stage { /* shared; zeroed, then stage_init() */
	struct bank bank;
	/* the director's wishes */
	atomic_int stop_halfway; /* worker that shall stop in the middle of its next transfer; NOBODY */
	atomic_int leave;        /* bit i: worker i shall close the lock and end */
	/* what workers tell */
	atomic_int ready;       /* how many have it open */
	atomic_int halfway;     /* worker that has stopped; NOBODY */
	atomic_int from, to;    /* its accounts */
	atomic_long amount;     /* and what it has taken */
	atomic_int heir;        /* worker that was told FIPC_OWNER_DIED; NOBODY */
	atomic_llong told_ns;   /* when, on CLOCK_MONOTONIC: its lock had just returned */
	atomic_llong mended_ns; /* when it had mended the data and said so */
	atomic_long put_back;   /* money */
	atomic_int deaths;      /* times that anyone was told */
	atomic_int inside;      /* workers that hold the lock: 0 or 1 */
	atomic_int wrong;       /* times that two were inside, or the invariant did not hold */
	atomic_int error;       /* a negative errno that ended a worker */
};

void stage_init(struct stage *stage);

/* The life of worker `self`. Returns its exit status: 0 it left as wished. */
int worker_run(struct stage *stage, int self);

int64_t now_ns(void); /* CLOCK_MONOTONIC */
void nap_us(long us);

#endif
