/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The threads that a process has for a queue: one for its descriptor (mq_fd.c), one for its registration
 * (mq_notify.c). They are made when they are asked for, and ended at the last close.
 *
 * Started and ended by who holds fipc__objects_lock, and never need it themselves, so that they can be waited for.
 * All that is known of them lies in memory that fork wipes: a child, which has no such threads, finds none.
 */
#include "fork.h"
#include "mq.h"

#include <errno.h>
#include <limits.h>
#include <sys/mman.h>
#include <unistd.h>

int fipc__mq_helpers(fipc_mq *q, struct mq_helpers **ret)
{
	struct mq_helpers *all = atomic_load_explicit(&q->helpers, memory_order_relaxed);
	if (!all) {
		all = fipc__map_wiped_at_fork(sizeof(*all));
		if (!all)
			return -ENOMEM;
		/* release; pairs with the acquire in mq.c */
		atomic_store_explicit(&q->helpers, all, memory_order_release);
	}
	*ret = all;
	return 0;
}

void fipc__mq_helper_is(struct mq_helper *h, uint32_t state)
{
	/* release; pairs with the acquire in await_change */
	atomic_store_explicit(&h->state, state, memory_order_release);
	fipc__futex_wake((const void *)&h->state, UINT_MAX, FUTEX_THIS_PROCESS);
}

/* acquire; pairs with the release in fipc__mq_helper_is */
static uint32_t state_of(const struct mq_helper *h)
{
	return atomic_load_explicit(&h->state, memory_order_acquire);
}

/* Whatever interrupts or ends this sleep early, the state tells. */
static void await_change(const struct mq_helper *h, uint32_t from)
{
	while (state_of(h) == from)
		fipc__futex_wait((const void *)&h->state, from, FIPC_FOREVER, FUTEX_THIS_PROCESS);
}

bool fipc__mq_helper_kicked(const struct mq_helper *h)
{
	return atomic_load_explicit(&h->kick, memory_order_acquire) != 0;
}

static int create_thread(const pthread_attr_t *attr, void *(*body)(void *), struct mq_helper *h)
{
	sigset_t all, old;
	pthread_t thread;
	int r, detached = PTHREAD_CREATE_JOINABLE;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&thread, attr, body, h);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (attr)
		pthread_attr_getdetachstate(attr, &detached);
	if (r == 0 && detached == PTHREAD_CREATE_JOINABLE)
		pthread_detach(thread);
	return -r;
}

int fipc__mq_helper_start(fipc_mq *q, struct mq_helper *h, const pthread_attr_t *attr, void *(*body)(void *))
{
	int r;
	*h = (struct mq_helper){.q = q, .state = HELPER_STARTS};
	r = create_thread(attr, body, h);
	if (r < 0) {
		h->state = HELPER_NONE;
		return r;
	}
	await_change(h, HELPER_STARTS);
	return h->error;
}

void fipc__mq_helper_end(struct mq_helper *h)
{
	atomic_store_explicit(&h->kick, 1, memory_order_release);
	fipc__futex_wake((const void *)&h->kick, UINT_MAX, FUTEX_SHARED); /* it sleeps on shared words, too */
	if (state_of(h) == HELPER_RUNS)
		await_change(h, HELPER_RUNS);
	h->state = HELPER_NONE;
}

void fipc__mq_helpers_end(fipc_mq *q)
{
	struct mq_helpers *all = atomic_load_explicit(&q->helpers, memory_order_relaxed);
	if (!all)
		return;
	fipc__mq_helper_end(&all->registration);
	if (state_of(&all->fd_helper) != HELPER_NONE) {
		fipc__mq_helper_end(&all->fd_helper);
		close(all->fd);
	}
	munmap(all, sizeof(*all));
}
