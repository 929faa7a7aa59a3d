/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waiting for a queue to have messages, or to have none, without wanting one.
 *
 * Who waits for messages sleeps on the receivers' bed, as one of a crowd (mq_side.c), and sets `any`: then a sender
 * wakes all there. A sender that is killed before it wakes is stood in for by the kernel, which wakes one: so who
 * watches, and is woken, wakes the others.
 *
 * Who waits for the queue to be empty sleeps on `emptied`, with the receivers' count compared. A receiver that has
 * taken the last message wakes all there, also if there is another one by then: for who is to be notified, the queue
 * was empty. Killed between its commit and that: a descriptor says "readable" of an empty queue until the queue is
 * emptied the next time, or its own process receives; and the sender of a message that is to be notified of wakes
 * those there itself (fipc_mq_send).
 */
#include "mq.h"

#include <errno.h>

struct mq_seen fipc__mq_look(const fipc_mq *q)
{
	struct mq_seen seen;
	int32_t n;
	seen.received = done(q, RECEIVERS); /* first: if there are none, then there were none at the second look */
	seen.sent = done(q, SENDERS);
	n = ahead(seen.sent, seen.received);
	seen.messages = n < 0 ? 0 : (uint32_t)n < q->max_messages ? (uint32_t)n : q->max_messages;
	return seen;
}

/* ---- until there are messages ---- */

/*
 * One of a crowd in any case: of a lone sleeper who is woken, WAITERS does not tell any more. The count is compared, too:
 * READY, in the bed, may have come and gone with a receiver that then took nothing.
 */
int fipc__mq_watch(fipc_mq *q, uint32_t sent, struct futex_place ret[2])
{
	struct mq_side *senders = &q->m->side[SENDERS];
	uint64_t v, next;
	/* seq_cst, and before the bed; pairs with wake_bed() */
	atomic_store_explicit(&q->m->any, 1, memory_order_seq_cst);
	v = atomic_load_explicit(&senders->state, memory_order_relaxed);
	if (v >> 32 & ~(uint64_t)(PARK_WAITERS | PARK_READY))
		return -EBADMSG;
	if ((v & STATE_COUNT) != sent)
		return -EAGAIN;
	if (is_alone(v)) {
		bool owing = fipc__owe(fipc__self, &senders->bed);
		fipc__mq_make_crowd(senders, v);
		fipc__owe_nothing(fipc__self, owing);
		return -EAGAIN;
	}
	next = sent | STATE_WAITERS | STATE_CROWD;
	/* seq_cst; pairs with the swap of commit */
	if (v != next && !atomic_compare_exchange_strong_explicit(&senders->state, &v, next, memory_order_seq_cst,
								  memory_order_relaxed))
		return -EAGAIN;
	ret[0] = (struct futex_place){(const void *)&senders->bed, PARK_WAITERS};
	ret[1] = (struct futex_place){(const void *)&senders->count, (uint32_t)next};
	return 0;
}

void fipc__mq_pass_on(fipc_mq *q)
{
	struct mq_side *senders = &q->m->side[SENDERS];
	if (atomic_load_explicit(&senders->state, memory_order_seq_cst) & STATE_WAITERS)
		fipc__unpark_all(&senders->bed);
}

/* ---- until there are none ---- */

void fipc__mq_tell_emptied(fipc_mq *q)
{
	bool owing = fipc__owe(fipc__self, &q->m->emptied);
	fipc__unpark_all(&q->m->emptied);
	fipc__owe_nothing(fipc__self, owing);
}

static int watch_emptied(fipc_mq *q, uint32_t received, struct futex_place ret[2])
{
	struct mq_side *receivers = &q->m->side[RECEIVERS];
	uint32_t count;
	/* seq_cst; pairs with is_emptied_watched() */
	if (atomic_fetch_or_explicit(&q->m->emptied, PARK_WAITERS, memory_order_seq_cst) & ~PARK_WAITERS)
		return -EBADMSG;
	count = atomic_load_explicit(&receivers->count, memory_order_seq_cst);
	if ((count & STATE_COUNT) != received)
		return -EAGAIN;
	ret[0] = (struct futex_place){(const void *)&q->m->emptied, PARK_WAITERS};
	ret[1] = (struct futex_place){(const void *)&receivers->count, count};
	return 0;
}

int fipc__mq_sleep_while(fipc_mq *q, const struct mq_seen *seen, const _Atomic uint32_t *kick, uint32_t was)
{
	const bool empty = seen->messages == 0;
	struct futex_place places[3];
	int r = empty ? fipc__mq_watch(q, seen->sent, places) : watch_emptied(q, seen->received, places);
	if (r < 0)
		return r == -EAGAIN ? 0 : r;
	places[2] = (struct futex_place){(const void *)kick, was};
	r = fipc__futex_wait_any(places, 3, FIPC_FOREVER);
	if (empty && r == 0)
		fipc__mq_pass_on(q);
	return r == -EAGAIN || r == -EINTR || r > 0 ? 0 : r;
}
