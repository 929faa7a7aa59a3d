/* SPDX-License-Identifier: Apache-2.0 */
/* Semaphores and events that nobody else wants. */
#include "bench.h"
#include "boost.h"

#include <fcntl.h>
#include <semaphore.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { PAIRS = 1000000, SYSCALL_PAIRS = 20000, OF_BOOST = 2 };

static struct {
	fipc_sem fipc __attribute__((aligned(64)));
	sem_t libc __attribute__((aligned(64)));
	fipc_event event __attribute__((aligned(64)));
} *shared;
static sem_t *unnamed, *named;
static fipc_sem *owned;
static int descriptor, ends[2];

static void open_named(void)
{
	char name[64];

	snprintf(name, sizeof(name), "/fipc-test.%d", (int)getpid());
	named = sem_open(name, O_CREAT | O_EXCL, 0600, 1);
	must(named != SEM_FAILED);
	sem_unlink(name);
}

static void prepare(void)
{
	if (shared)
		return;
	shared = share(sizeof(*shared));
	must_be(fipc_sem_init(&shared->fipc, 1, 0), 0);
	must_be(fipc_event_init(&shared->event, FIPC_AUTORESET), 0);
	must_be(fipc_sem_open(&owned, "owned", 1, FIPC_CREATE | FIPC_OWNED, 0600), FIPC_CREATED);
	unnamed = &shared->libc;
	must_be(sem_init(unnamed, 1, 1), 0);
	open_named();
	descriptor = eventfd(1, EFD_SEMAPHORE | EFD_CLOEXEC);
	must(descriptor >= 0);
	must_be(pipe2(ends, O_CLOEXEC), 0);
#ifdef HAVE_BOOST
	boost_semaphore_post(OF_BOOST);
#endif
}

static void fipc(const void *argument, double *ret)
{
	fipc_sem *s = &shared->fipc;

	(void)argument;
	TIME_PAIRS(ret, PAIRS, fipc_sem_wait(s), fipc_sem_post(s, 1));
}

static void libc(const void *argument, double *ret)
{
	sem_t *s = *(sem_t *const *)argument;

	TIME_PAIRS(ret, PAIRS, sem_wait(s), sem_post(s));
}

static void fipc_owned(const void *argument, double *ret)
{
	(void)argument;
	TIME_PAIRS(ret, PAIRS, fipc_sem_wait(owned), fipc_sem_post(owned, 1));
}

#ifdef HAVE_BOOST
static void boost(const void *argument, double *ret)
{
	(void)argument;
	TIME_PAIRS(ret, PAIRS, (boost_semaphore_wait(OF_BOOST), 0), (boost_semaphore_post(OF_BOOST), 0));
}
#endif

static void event_descriptor(const void *argument, double *ret)
{
	eventfd_t value;

	(void)argument;
	TIME_PAIRS(ret, SYSCALL_PAIRS, eventfd_read(descriptor, &value), eventfd_write(descriptor, 1));
}

const struct group bench_sem = {
	.name = "sem",
	.title = "a semaphore: wait and post, nobody else there",
	.prepare = prepare,
	.quantities = {{NULL, "ns", 0}},
	.contenders = {{"fipc", fipc, NULL, 0},
		       {"sem_t", libc, &unnamed, 0},
		       {"sem_open", libc, &named, 0},
		       BOOST("Boost interprocess_semaphore", boost, NULL, 0)
		       {"semop", time_semop, &semop_plain, 0},
		       {"eventfd, EFD_SEMAPHORE", event_descriptor, NULL, 0}},
};

const struct group bench_owned = {
	.name = "owned",
	.title = "a semaphore whose tokens come back at a death: wait and post, nobody else there",
	.prepare = prepare,
	.quantities = {{NULL, "ns", 0}},
	.contenders = {{"fipc, FIPC_OWNED", fipc_owned, NULL, 1},
		       {"sem_t", libc, &unnamed, 0},
		       {"semop, SEM_UNDO", time_semop, &semop_undo, 1}},
};

/* ---- set, and wait for it ---- */

static void fipc_event_pair(const void *argument, double *ret)
{
	fipc_event *e = &shared->event;

	(void)argument;
	TIME_PAIRS(ret, PAIRS, fipc_event_set(e), fipc_event_wait(e));
}

static void pipe_pair(const void *argument, double *ret)
{
	char byte = 0;

	(void)argument;
	TIME_PAIRS(ret, SYSCALL_PAIRS, write(ends[1], &byte, 1) != 1, read(ends[0], &byte, 1) != 1);
}

const struct group bench_event = {
	.name = "event",
	.title = "an event that resets itself: set and wait, nobody else there",
	.prepare = prepare,
	.quantities = {{NULL, "ns", 0}},
	.contenders = {{"fipc", fipc_event_pair, NULL, 0},
		       {"eventfd", event_descriptor, NULL, 0},
		       {"a byte through a pipe", pipe_pair, NULL, 0}},
};
