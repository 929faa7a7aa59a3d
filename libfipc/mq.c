/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sending and receiving. Where things lie and how they are committed: mq.h; how a thread gets in, sleeps and wakes:
 * mq_side.c; which message is the next: mq_heap.c.
 *
 * A thread is killed inside (crash list):
 *
 *	a sender, before the commit    the slot is still free, whatever was written to it, and nothing counted. The
 *	                               next sender takes the same slot. `run` may say that a run begins with this
 *	                               number: then receivers sort once for nothing, for it is never too low
 *	                               (note_prio).
 *	a sender, after it             the message is there, whole.
 *	a receiver, before the commit  the message is there, and the next receiver, who is told of the death, finds it:
 *	                               it makes heap and `drained` anew. The place that the dead may have written is
 *	                               nobody's before the commit.
 *	a receiver, after it           the message is gone: it was in the dead one's hands. The next one rebuilds.
 */
#include "mq.h"
#include "place.h"

#include <errno.h>
#include <string.h>

/* ---- large messages ---- */

/*
 * A large message that is received on another processor: written around the cache, it need not be fetched from ours, and
 * is read as memory is (mq_copy.c). Two processes, 8 KiB: 0.6 us a message instead of 1.0; but in one thread 1.3 us
 * instead of 0.2. Where either side copied a large one last, or waited, decides.
 */
enum { COPY_AWAY_FROM = 4096 };

/* Where the other side runs. Asked now and then: that stands on a line which it writes at each message. */
static uint32_t cpu_of_other(fipc_mq *q, enum mq_who who, uint64_t number)
{
	enum { NOW_AND_THEN = 8 };
	/* relaxed: a hint */
	if (number % NOW_AND_THEN == 0)
		atomic_store_explicit(&q->cpu[other(who)], cpu_of(q, other(who)), memory_order_relaxed);
	return atomic_load_explicit(&q->cpu[other(who)], memory_order_relaxed);
}

/* Is this one such? The other side is told where this one runs. */
static bool goes_elsewhere(fipc_mq *q, enum mq_who who, uint64_t number, size_t len)
{
	uint32_t cpu;
	if (len < COPY_AWAY_FROM)
		return false;
	cpu = this_cpu();
	note_cpu(q, who, cpu);
	return are_apart(cpu, cpu_of_other(q, who, number));
}

/* ---- send ---- */

/* `run` first: killed between the two, the next one to send the old priority must not join a run that has ended. */
static inline void note_prio(struct mq_side *senders, uint64_t number, uint32_t prio)
{
	/* relaxed: the commit publishes them */
	if (atomic_load_explicit(&senders->last_prio, memory_order_relaxed) == prio)
		return;
	atomic_store_explicit(&senders->run, number, memory_order_relaxed);
	barrier();
	atomic_store_explicit(&senders->last_prio, prio, memory_order_relaxed);
}

static void copy_in(fipc_mq *q, uint64_t number, void *to, const void *msg, size_t len)
{
	if (goes_elsewhere(q, SENDERS, number, len))
		fipc__mq_copy_away(to, msg, len);
	else if (len > 0)
		memcpy(to, msg, len);
}

static int put(fipc_mq *q, uint64_t number, const void *msg, size_t len, uint32_t prio)
{
	uint32_t i = slot_of(q, number);
	struct slot *s;
	if (i >= q->max_messages)
		return -EBADMSG;
	s = slot_at(q, i);
	atomic_store_explicit(&s->number, number, memory_order_relaxed);
	atomic_store_explicit(&s->prio, prio, memory_order_relaxed);
	atomic_store_explicit(&s->length, (uint32_t)len, memory_order_relaxed);
	copy_in(q, number, s->bytes, msg, len);
	note_prio(&q->m->side[SENDERS], number, prio);
	if (is_registered(q->m))
		fipc__mq_give_notice(q, number);
	return 0;
}

static inline void refresh_fd(fipc_mq *q)
{
	if (atomic_load_explicit(&q->helpers, memory_order_acquire))
		fipc__mq_fd_refresh(q);
}

int fipc_mq_send(fipc_mq *q, const void *msg, size_t len, unsigned prio, fipc_deadline d)
{
	uint64_t number;
	uint32_t received;
	int r;
	if (!q || (!msg && len > 0))
		return -EINVAL;
	if (q->local.readonly)
		return -EACCES;
	if (len > q->max_message_size)
		return -EMSGSIZE;
	r = fipc__mq_enter(q, SENDERS, d, &received);
	if (r < 0)
		return r;
	number = number_of(q, SENDERS);
	r = put(q, number, msg, len, prio); /* what a dead sender left needs no repair */
	if (r == 0)
		fipc__mq_commit(q, SENDERS, number);
	if (r == 0 && is_registered(q->m) && is_emptied_watched(q->m))
		fipc__mq_tell_emptied(q); /* the receiver that should have may have died */
	refresh_fd(q);
	fipc__mq_leave(q, SENDERS, 0); /* the last touch: who has the message may close the queue */
	return r;
}

/* ---- receive ---- */

/* If there is one, it is as large, and comes from elsewhere, by all appearances: its bytes may be on their way. */
static void ask_for_next(const fipc_mq *q, uint64_t received, uint64_t sent, size_t length)
{
	uint32_t next = slot_of(q, received + 1);
	if (received + 1 != sent && next < q->max_messages)
		fipc__mq_ask_for(slot_at(q, next)->bytes, length);
}

static ssize_t copy_out(fipc_mq *q, uint64_t received, uint64_t sent, uint32_t i, void *buf, unsigned *ret_prio)
{
	struct slot *s = slot_at(q, i);
	uint32_t length = atomic_load_explicit(&s->length, memory_order_relaxed);
	if (length > q->max_message_size)
		return -EBADMSG;
	if (goes_elsewhere(q, RECEIVERS, received, length)) {
		fipc__mq_copy_here(buf, s->bytes, length);
		ask_for_next(q, received, sent, length);
	} else {
		memcpy(buf, s->bytes, length);
	}
	if (ret_prio)
		*ret_prio = atomic_load_explicit(&s->prio, memory_order_relaxed);
	return length;
}

static ssize_t get(fipc_mq *q, uint64_t received, uint64_t sent, void *buf, unsigned *ret_prio)
{
	struct pick p;
	ssize_t length = fipc__mq_pick(q, received, sent, &p);
	if (length == 0)
		length = copy_out(q, received, sent, p.slot, buf, ret_prio);
	if (length >= 0)
		fipc__mq_take(q, received, &p);
	return length;
}

ssize_t fipc_mq_receive(fipc_mq *q, void *buf, size_t size, unsigned *ret_prio, fipc_deadline d)
{
	uint64_t received, sent;
	uint32_t others;
	ssize_t length;
	int r;
	if (!q || !buf)
		return -EINVAL;
	if (q->local.readonly)
		return -EACCES;
	if (size < q->max_message_size)
		return -EMSGSIZE;
	r = fipc__mq_enter(q, RECEIVERS, d, &others);
	if (r < 0)
		return r;
	received = number_of(q, RECEIVERS);
	sent = received + (uint32_t)ahead(others, (uint32_t)received & STATE_COUNT); /* at least one more */
	r = r == FIPC_OWNER_DIED ? fipc__mq_rebuild(q, received, sent) : 0;
	length = r < 0 ? r : get(q, received, sent, buf, ret_prio);
	if (length >= 0)
		fipc__mq_commit(q, RECEIVERS, received);
	if (length >= 0 && received + 1 == sent && is_emptied_watched(q->m))
		fipc__mq_tell_emptied(q);
	refresh_fd(q);
	fipc__mq_leave(q, RECEIVERS, r < 0 ? WORD_OWNER_DIED : 0); /* not mended: the next one has to try, too */
	return length;
}

/* ---- looking ---- */

int64_t fipc_mq_count(const fipc_mq *q)
{
	return q ? (int64_t)fipc__mq_look(q).messages : -EINVAL;
}

int fipc_mq_getattr(const fipc_mq *q, struct fipc_mq_attr *ret)
{
	if (!q || !ret)
		return -EINVAL;
	*ret = (struct fipc_mq_attr){q->max_messages, q->max_message_size};
	return 0;
}

static uint32_t sleepers_on(const char *map, size_t offset)
{
	return map ? fipc__futex_sleepers(map + offset) : 0;
}

/* relaxed throughout: a snapshot of words that change, for people */
static uint32_t count_of(const struct mq_side *side)
{
	return (uint32_t)atomic_load_explicit(&side->state, memory_order_relaxed) & STATE_COUNT;
}

static uint64_t total_of(const struct mq_side *side)
{
	uint64_t n = atomic_load_explicit(&side->number, memory_order_relaxed);
	return n + (uint64_t)(int64_t)ahead(count_of(side), (uint32_t)n);
}

void fipc__mq_describe(const struct mq *m, const char *map, struct fipc_mq_info *ret)
{
	uint32_t max = atomic_load_explicit(&m->max_messages, memory_order_relaxed);
	int32_t n = ahead(count_of(&m->side[SENDERS]), count_of(&m->side[RECEIVERS]));
	*ret = (struct fipc_mq_info){
		.size = sizeof(*ret),
		.max_messages = max,
		.max_message_size = atomic_load_explicit(&m->max_message_size, memory_order_relaxed),
		.messages = n < 0 ? 0 : (uint32_t)n < max ? (uint32_t)n : max,
		.receivers = sleepers_on(map, offsetof(struct mq, side[SENDERS].bed)),
		.senders = sleepers_on(map, offsetof(struct mq, side[RECEIVERS].bed)),
		.sent = total_of(&m->side[SENDERS]),
		.received = total_of(&m->side[RECEIVERS]),
	};
	if (atomic_load_explicit(&m->registrant.word, memory_order_relaxed) & WORD_TID)
		ret->notify_pid = atomic_load_explicit(&m->registrant.owner_pid, memory_order_relaxed);
}

int fipc_mq_info(const fipc_mq *q, struct fipc_mq_info *ret, size_t size)
{
	struct fipc_mq_info info;
	if (!q || !ret || size < INFO_SIZE_MIN)
		return -EINVAL;
	fipc__mq_describe(q->m, (const char *)q->m, &info);
	info.messages = fipc__mq_look(q).messages;
	info.max_messages = q->max_messages;
	info.max_message_size = q->max_message_size;
	fipc__give_info(ret, size, &info);
	return 0;
}
