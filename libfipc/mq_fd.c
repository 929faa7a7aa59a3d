/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A queue's descriptor: an eventfd of this process that is set while there are messages. Whoever has reason to
 * believe that this has changed looks at the queue, and sets or clears it, under a lock of this process, so the last
 * to look is right: after each of this process's own sends and receives; and, for what others do, a thread that
 * sleeps until the queue is no longer as the descriptor says.
 */
#include "fork.h"
#include "mq.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Returns what it tells of then. */
static struct mq_seen refresh(fipc_mq *q, struct mq_helpers *all)
{
	struct mq_seen seen;
	uint64_t n = 1;
	bool readable;
	pthread_mutex_lock(&all->lock);
	seen = fipc__mq_look(q);
	readable = seen.messages > 0;
	/* Neither can fail or block: the counter is 0 or 1, as `readable` says. */
	if (readable != all->readable &&
	    (readable ? write(all->fd, &n, sizeof(n)) : read(all->fd, &n, sizeof(n))) == sizeof(n))
		all->readable = readable;
	pthread_mutex_unlock(&all->lock);
	return seen;
}

void fipc__mq_fd_refresh(fipc_mq *q)
{
	struct mq_helpers *all = atomic_load_explicit(&q->helpers, memory_order_relaxed);
	int saved = errno;
	/* acquire; pairs with the release in fipc__mq_helper_is */
	if (atomic_load_explicit(&all->fd_helper.state, memory_order_acquire) == HELPER_RUNS)
		refresh(q, all);
	errno = saved;
}

static void *tend(void *helper)
{
	struct mq_helper *h = helper;
	fipc_mq *q = h->q;
	struct mq_helpers *all = atomic_load_explicit(&q->helpers, memory_order_acquire);
	int r = 0;
	fipc__mq_helper_is(h, HELPER_RUNS);
	while (r == 0 && !fipc__mq_helper_kicked(h)) {
		struct mq_seen seen = refresh(q, all);
		r = fipc__mq_sleep_while(q, &seen, &h->kick, 0);
	}
	while (!fipc__mq_helper_kicked(h)) /* the queue is scribbled on: nothing to learn from it any more */
		fipc__futex_wait((const void *)&h->kick, 0, FIPC_FOREVER, FUTEX_SHARED);
	fipc__mq_helper_is(h, HELPER_GONE);
	return NULL;
}

static int make(fipc_mq *q, struct mq_helpers *all)
{
	int r;
	pthread_mutex_init(&all->lock, NULL);
	all->readable = false;
	all->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (all->fd < 0)
		return -errno;
	r = fipc__mq_helper_start(q, &all->fd_helper, NULL, tend);
	if (r < 0)
		close(all->fd);
	else
		refresh(q, all);
	return r;
}

int fipc_mq_fd(fipc_mq *q)
{
	struct mq_helpers *all;
	int r;
	if (!q)
		return -EINVAL;
	if (q->local.readonly)
		return -EACCES;
	r = fipc__process_enter();
	if (r < 0)
		return r;
	fipc__objects_lock();
	r = fipc__mq_helpers(q, &all);
	if (r == 0 && all->fd_helper.state == HELPER_NONE)
		r = make(q, all);
	if (r == 0)
		r = all->fd;
	fipc__objects_unlock();
	return r;
}
