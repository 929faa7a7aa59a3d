/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which message is the next: the highest priority, and of one priority the lowest number.
 *
 * Messages below number `drained` have been moved to a binary heap, slots in the order of their messages; the others
 * stand in the places of their numbers. The senders say since which number all have one priority (`run`): if that is
 * not above `drained`, the places are sorted already, and the next message is the better one of the first place and
 * the heap's top. Then nothing is moved: a queue in which all have one priority never uses the heap. Else all are
 * moved first.
 *
 * Only receivers come here, in their lock, and only what they commit counts. Killed anywhere: who comes next rebuilds
 * heap and drained from the slots that are not free (fipc__mq_rebuild), of which each has its message's number and
 * priority. Killed in there: the same again.
 *
 * Everything read here may be scribbled on, at any moment: places and slots are compared with max_messages before they
 * are used, and all loops are bounded by it; `drained` is read once, and what was checked is what is used.
 */
#include "mq.h"

#include <errno.h>

/* relaxed throughout: in the receivers' lock, or committed by who wrote it, and the count was read with acquire */
static inline uint64_t load64(const _Atomic uint64_t *p)
{
	return atomic_load_explicit(p, memory_order_relaxed);
}

static inline uint32_t load32(const _Atomic uint32_t *p)
{
	return atomic_load_explicit(p, memory_order_relaxed);
}

static inline void store32(_Atomic uint32_t *p, uint32_t v)
{
	atomic_store_explicit(p, v, memory_order_relaxed);
}

static inline _Atomic uint64_t *drained(const fipc_mq *q)
{
	return &q->m->side[RECEIVERS].drained;
}

/* ---- the heap: of n slots, n <= max_messages ---- */

struct key {
	uint64_t number;
	uint32_t prio;
};

static inline struct key key_of(const fipc_mq *q, uint32_t slot)
{
	const struct slot *s = slot_at(q, slot < q->max_messages ? slot : 0);
	return (struct key){load64(&s->number), load32(&s->prio)};
}

static inline bool before(struct key a, struct key b)
{
	return a.prio != b.prio ? a.prio > b.prio : a.number < b.number;
}

static void sift_up(fipc_mq *q, uint32_t i, uint32_t slot)
{
	const struct key key = key_of(q, slot);
	while (i > 0) {
		uint32_t parent = (i - 1) / 2, above = load32(&q->heap[parent]);
		if (!before(key, key_of(q, above)))
			break;
		store32(&q->heap[i], above);
		i = parent;
	}
	store32(&q->heap[i], slot);
}

static void sift_down(fipc_mq *q, uint32_t n, uint32_t i, uint32_t slot)
{
	const struct key key = key_of(q, slot);
	for (uint32_t child; (child = 2 * i + 1) < n; i = child) {
		struct key best = key_of(q, load32(&q->heap[child]));
		if (child + 1 < n) {
			struct key right = key_of(q, load32(&q->heap[child + 1]));
			if (before(right, best)) {
				best = right;
				child++;
			}
		}
		if (!before(best, key))
			break;
		store32(&q->heap[i], load32(&q->heap[child]));
	}
	store32(&q->heap[i], slot);
}

/* ---- the next one ---- */

/* Move all that have been sent, from number k on, to the heap. */
static int drain(fipc_mq *q, uint64_t k, uint64_t received, uint64_t sent)
{
	for (; k < sent; k++) {
		uint32_t slot = slot_of(q, k);
		if (slot >= q->max_messages)
			return -EBADMSG;
		sift_up(q, (uint32_t)(k - received), slot);
		atomic_store_explicit(drained(q), k + 1, memory_order_relaxed);
	}
	return 0;
}

int fipc__mq_pick(fipc_mq *q, uint64_t received, uint64_t sent, struct pick *ret)
{
	uint64_t first = load64(drained(q));
	int r = 0;
	if (sent - received > q->max_messages || first - received > sent - received)
		return -EBADMSG;
	if (__builtin_expect(first < sent && load64(&q->m->side[SENDERS].run) > first, 0)) {
		r = drain(q, first, received, sent);
		first = sent;
	}
	ret->drained = first;
	ret->from_heap = first > received;
	ret->slot = ret->from_heap ? load32(&q->heap[0]) : slot_of(q, first);
	if (ret->from_heap && first < sent && before(key_of(q, slot_of(q, first)), key_of(q, ret->slot))) {
		ret->slot = slot_of(q, first);
		ret->from_heap = false;
	}
	return r == 0 && ret->slot >= q->max_messages ? -EBADMSG : r;
}

void fipc__mq_take(fipc_mq *q, uint64_t received, const struct pick *p)
{
	uint32_t place = (uint32_t)(received % q->max_messages);
	if (p->from_heap) {
		uint32_t n = (uint32_t)(p->drained - received) - 1;
		if (n > 0)
			sift_down(q, n, 0, load32(&q->heap[n]));
	} else {
		atomic_store_explicit(drained(q), p->drained + 1, memory_order_relaxed);
	}
	if (slot_of(q, received) != p->slot) /* a place that nobody needs: its message is in the heap, or this one */
		store32(&q->m->order[place], p->slot ^ place);
}

/* ---- after a death ---- */

/* Mark the free ones among the first `used` slots in the heap's memory. */
static int mark_free(fipc_mq *q, uint64_t received, uint64_t sent, uint32_t used)
{
	for (uint32_t i = 0; i < used; i++)
		store32(&q->heap[i], 0);
	for (uint64_t k = sent - used; k < received; k++) {
		uint32_t slot = slot_of(q, k);
		if (slot >= used)
			return -EBADMSG;
		store32(&q->heap[slot], 1);
	}
	return 0;
}

/* Put the others to its beginning. Returns how many there are. */
static uint32_t gather_rest(fipc_mq *q, uint32_t used)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < used; i++)
		if (!load32(&q->heap[i]))
			store32(&q->heap[n++], i);
	return n;
}

/* Of the first n messages each uses the slot of its own number: then no others have been used. */
int fipc__mq_rebuild(fipc_mq *q, uint64_t received, uint64_t sent)
{
	uint32_t used = sent < q->max_messages ? (uint32_t)sent : q->max_messages, n;
	int r = sent - received > used ? -EBADMSG : mark_free(q, received, sent, used);
	if (r < 0)
		return r;
	n = gather_rest(q, used);
	if (n != sent - received)
		return -EBADMSG;
	for (uint32_t i = n / 2; i-- > 0;)
		sift_down(q, n, i, load32(&q->heap[i]));
	atomic_store_explicit(drained(q), sent, memory_order_relaxed);
	return 0;
}
