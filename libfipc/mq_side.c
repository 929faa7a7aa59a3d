/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Getting into one of the two sides of a queue when there is something to do there, and waking who waits for that.
 *
 * A side has a lock, and a bed, which is the upper half of the other side's state (bits: mq.h). Whoever wants to
 * sleep says so there in the same step in which he sees that nothing was done since he looked: one compare-and-swap
 * of all 64 bits. From then on whoever does more sets READY with it, in one step; so nobody falls asleep beside a
 * message. Then he sleeps
 *
 *	on the bed alone              if nobody else is there: FUTEX_WAIT. Who does more clears WAITERS in the same
 *	                              step, and wakes him;
 *	on the bed and the lock word  in a crowd, or when somebody is inside: futex_waitv. Who leaves wakes one at the
 *	                              lock word if there is room, and so does the kernel for the dead.
 *
 * Why the lock word, too. Whoever was woken has to get the lock; killed on the way, his wake-up has to be passed on.
 * A thread has one pending entry, and while it takes a lock that has to be the lock word. It is, from before the
 * sleep until the lock stands in the list, without a gap; so all in a crowd can be woken at the lock word. Who sleeps
 * alone has nobody to pass anything on to; the next one to come first gets him up (fipc__mq_make_crowd), and he goes
 * back as one of two.
 *
 * A thread is killed (crash list); "inside" is between enter and leave:
 *
 *	before it sleeps, asleep,     pending: the lock word. TID part 0: the kernel wakes another sleeper. Another's
 *	woken, before the swap that   TID: that one wakes on leaving, if there is room: it kept WAITERS, and looks after
 *	takes the lock                its release at what the other side has done.
 *	making a crowd, before the    pending: the bed, and the kernel wakes the lone sleeper.
 *	wake
 *	after the swap, inside        pending or in the list, with its own TID: OWNER_DIED, and the kernel wakes one if
 *	                              WAITERS. The next one is told; nothing was committed.
 *	inside, before the commit     pending: the other side's bed. One there is woken in vain.
 *	between commit and wake       the same: the kernel wakes one there. And OWNER_DIED here, as above.
 *	in leave, before the release  as inside.
 *	in leave, between release     pending: the lock word, TID part 0: the kernel wakes one.
 *	and wake
 *	between a wake of nobody and  WAITERS stays set with nobody asleep: the next wake clears it.
 *	the clearing
 *
 * Who was woken and finds nothing left sleeps again; who was woken and finds more than it takes wakes the next one on
 * leaving. Who timed out was not woken. A sleeper woken on both words at once has eaten a wake-up, and makes it good on
 * leaving in the same way.
 */
#include "mq.h"
#include "spin.h"

#include <errno.h>
#include <limits.h>

/*
 * A waiter looks SPINS times before it sleeps, 20 us: about what it costs to wake an idle virtual core. If it
 * was in vain, the next wait does not spin, then the next 2, 4, ...: a queue that is seldom used costs little, and
 * one that has become busy is soon found out.
 */
enum { SPINS = 800, SKIPS_MAX = 32 };

/* FIPC_NOW waits for nobody but who is inside at the moment, and for him in turns of this, so often. */
enum { TURN_MS = 1, TURNS = 1000 };

static inline struct mq_side *side_of(const fipc_mq *q, enum mq_who who)
{
	return &q->m->side[who];
}

/* Where `who` sleep: what the other side has done, and the bed. */
static inline struct mq_side *awaited_by(const fipc_mq *q, enum mq_who who)
{
	return side_of(q, other(who));
}

static inline void *node_of_bed(const struct thread *t, const _Atomic uint32_t *bed)
{
	return (void *)((uintptr_t)bed - (uintptr_t)t->futex_offset);
}

/* ---- leaving ---- */

/*
 * The word was ours and had WAITERS: who waits for the lock, or was woken for what is there, may come. It is pending.
 */
static void wake_own(fipc_mq *q, enum mq_who who)
{
	uint32_t own = done(q, who);
	/* seq_cst, as the release before it: either this sees what a sleeper saw, or the sleeper sees the word free */
	uint64_t others = atomic_load_explicit(&awaited_by(q, who)->state, memory_order_seq_cst);
	if (room(q, who, own, (uint32_t)others & STATE_COUNT) > 0)
		fipc__unpark(&side_of(q, who)->lock.word, 1);
}

/* Release a word that has been ours. It is pending. */
static inline void release(fipc_mq *q, enum mq_who who, uint32_t tid, uint32_t left)
{
	struct mutex *lock = &side_of(q, who)->lock;
	/* release; pairs with the acquire in take(). WAITERS stays. */
	uint32_t old = atomic_fetch_add_explicit(&lock->word, left - tid, memory_order_seq_cst);
	if (__builtin_expect(old == tid, 1))
		return;
	if ((old & WORD_TID) != tid) /* somebody's scribble */
		atomic_fetch_add_explicit(&lock->word, tid - left, memory_order_relaxed);
	else
		wake_own(q, who);
}

void fipc__mq_leave(fipc_mq *q, enum mq_who who, uint32_t left)
{
	struct thread *t = fipc__self;
	void *node = node_of(t, &side_of(q, who)->lock);
	set_pending(t, node);
	if (__builtin_expect(*t->top == node, 1))
		pop_held(t);
	else
		remove_held(t, find_held(t, node)); /* a signal handler has locked something, and kept it */
	release(q, who, t->tid, left);
	set_pending(t, NULL);
}

/* ---- waking the other side ---- */

/*
 * One of a crowd. Whether it is one still is asked now and then: who sleeps alone does so at two thirds of the cost,
 * and a wake that finds somebody does not tell whether he was the last.
 */
static void wake_one_of_crowd(_Atomic uint32_t *bed, uint32_t count)
{
	enum { NOW_AND_THEN = 8 };
	fipc__unpark(bed, 1);
	if (count % NOW_AND_THEN == 0 && fipc__futex_sleepers((const void *)bed) == 0)
		fipc__unpark_all(bed); /* none now; who comes meanwhile is woken by this, or goes to bed alone */
}

/* Having done more, and seen WAITERS in that step. The bed is pending. */
static __attribute__((noinline, cold)) void wake_bed(struct mq *m, struct mq_side *side, uint64_t seen)
{
	if (!(seen & STATE_CROWD)) {
		fipc__futex_wake((const void *)&side->bed, 1, FUTEX_SHARED);
		return;
	}
	/* seq_cst; pairs with fipc__mq_watch(). Who may be content without taking anything must not be the only one. */
	if (side != &m->side[SENDERS] || !atomic_load_explicit(&m->any, memory_order_seq_cst)) {
		wake_one_of_crowd(&side->bed, (uint32_t)seen);
		return;
	}
	/* First: who says so again from now on sleeps only if the bed is not cleared after that. */
	atomic_store_explicit(&m->any, 0, memory_order_seq_cst);
	fipc__unpark_all(&side->bed);
}

/* The state when one more has been done. Of a lone sleeper, who will be woken, WAITERS goes in the same step. */
static inline uint64_t one_more(uint64_t v)
{
	uint64_t next = (v & ~(uint64_t)STATE_COUNT) | (((uint32_t)v + 1) & STATE_COUNT);
	if (v & STATE_WAITERS)
		next |= STATE_READY;
	return v & STATE_CROWD ? next : next & ~STATE_WAITERS;
}

void fipc__mq_commit(fipc_mq *q, enum mq_who who, uint64_t number)
{
	struct thread *t = fipc__self;
	struct mq_side *side = side_of(q, who);
	uint64_t v = atomic_load_explicit(&side->state, memory_order_relaxed);
	set_pending(t, node_of_bed(t, &side->bed));
	/* release; pairs with the acquire in done(). seq_cst: before the looks at `any` and `emptied`. */
	while (!atomic_compare_exchange_weak_explicit(&side->state, &v, one_more(v), memory_order_seq_cst,
						      memory_order_relaxed))
		;
	if (__builtin_expect((v & STATE_WAITERS) != 0, 0))
		wake_bed(q->m, side, v);
	set_pending(t, NULL);
	atomic_store_explicit(&side->number, number + 1, memory_order_relaxed);
}

/* ---- sleeping ---- */

void fipc__mq_make_crowd(struct mq_side *side, uint64_t v)
{
	/* relaxed: orders nothing; the kernel compares the bed again */
	if (atomic_compare_exchange_strong_explicit(&side->state, &v, v | STATE_CROWD | STATE_READY,
						    memory_order_relaxed, memory_order_relaxed))
		fipc__futex_wake((const void *)&side->bed, UINT_MAX, FUTEX_SHARED);
}

/* In a crowd, or while somebody is inside. */
static int sleep_in_crowd(struct mutex *lock, struct mq_side *side, uint32_t word, fipc_deadline d)
{
	/* seq_cst; pairs with the release in release() */
	if (!(word & WORD_WAITERS) &&
	    !atomic_compare_exchange_strong_explicit(&lock->word, &word, word | WORD_WAITERS, memory_order_seq_cst,
						     memory_order_relaxed))
		return -EAGAIN;
	return fipc__park(&side->bed, PARK_WAITERS, &lock->word, word | WORD_WAITERS, d);
}

/*
 * Sleep, having seen that there is no room when the others have done so many, or the lock word `word`, with an owner
 * in it. 0 woken, -EAGAIN look again, -ETIMEDOUT, -EINTR, -EBADMSG. The lock word is pending, and stays so.
 */
static int sleep_on(struct thread *t, fipc_mq *q, enum mq_who who, uint32_t others, uint32_t word, fipc_deadline d)
{
	struct mq_side *side = awaited_by(q, who);
	struct mutex *lock = &side_of(q, who)->lock;
	uint64_t v = atomic_load_explicit(&side->state, memory_order_relaxed), next = others | STATE_WAITERS;
	bool alone = !(v & STATE_WAITERS) && !(word & WORD_TID);
	if ((v & STATE_COUNT) != others)
		return -EAGAIN;
	if (v >> 32 & ~(uint64_t)(PARK_WAITERS | PARK_READY))
		return -EBADMSG;
	if (is_alone(v)) {
		set_pending(t, node_of_bed(t, &side->bed));
		fipc__mq_make_crowd(side, v);
		set_pending(t, node_of(t, lock));
		return -EAGAIN;
	}
	if (!alone)
		next |= STATE_CROWD;
	/* seq_cst; pairs with the swap of commit, which from now on sets READY and wakes */
	if (v != next && !atomic_compare_exchange_strong_explicit(&side->state, &v, next, memory_order_seq_cst,
								  memory_order_relaxed))
		return -EAGAIN;
	return alone ? fipc__park(&side->bed, PARK_WAITERS, NULL, 0, d) : sleep_in_crowd(lock, side, word, d);
}

struct wait {
	fipc_deadline d;
	unsigned spins, turns;
	enum turn turn;
};

/* Is it worth to spin this time? */
static unsigned spins_for(fipc_mq *q, enum mq_who who)
{
	/* relaxed: a guess of this process */
	uint32_t skip = atomic_load_explicit(&q->spins_to_skip[who], memory_order_relaxed);
	uint32_t cpu = this_cpu(), others = cpu_of(q, other(who));
	note_cpu(q, who, cpu);
	if (others != 0 ? !are_apart(cpu, others) : !fipc__may_spin())
		return 0; /* two that are bound to one processor each have two, and two on one have one */
	if (is_registered(q->m)) /* a notice is given only if no receiver waits, and of who sleeps that is known */
		return 0;
	if (skip == 0)
		return SPINS;
	atomic_store_explicit(&q->spins_to_skip[who], skip - 1, memory_order_relaxed);
	return 0;
}

static void learn(fipc_mq *q, enum mq_who who, bool in_vain)
{
	uint32_t skips = atomic_load_explicit(&q->skips[who], memory_order_relaxed);
	skips = !in_vain ? 0 : skips == 0 ? 1 : skips < SKIPS_MAX ? 2 * skips : SKIPS_MAX;
	atomic_store_explicit(&q->skips[who], skips, memory_order_relaxed);
	atomic_store_explicit(&q->spins_to_skip[who], skips, memory_order_relaxed);
}

/* Somebody is inside, and will be out in a moment. */
static int sleep_a_turn(struct thread *t, fipc_mq *q, enum mq_who who, uint32_t others, uint32_t word, unsigned *turns)
{
	int r;
	if (++*turns > TURNS)
		return -EBUSY;
	r = sleep_on(t, q, who, others, word, fipc_after_ms(TURN_MS));
	return r == -ETIMEDOUT ? 0 : r;
}

static int wait_a_turn(struct thread *t, fipc_mq *q, enum mq_who who, uint32_t others, uint32_t word, struct wait *w)
{
	int r;
	if (w->spins > 0) {
		if (--w->spins == 0)
			learn(q, who, true);
		fipc__spin_pause();
		return 0;
	}
	if (!is_registered(q->m) && fipc__let_others_run(&w->turn)) /* else it is to sleep: see spins_for() */
		return 0;
	if (w->d > FIPC_NOW)
		r = sleep_on(t, q, who, others, word, w->d);
	else
		r = sleep_a_turn(t, q, who, others, word, &w->turns);
	return r == -EAGAIN ? 0 : r;
}

/* ---- getting in ---- */

/*
 * The word is free, and there was room: take it, and look again. 0, FIPC_OWNER_DIED; -EAGAIN: somebody else was
 * quicker. It is pending.
 */
static int take(struct thread *t, fipc_mq *q, enum mq_who who, uint32_t word, uint32_t *ret_others)
{
	/* acquire; pairs with the release in release(). Whoever takes it keeps WAITERS. */
	if (!atomic_compare_exchange_strong_explicit(&side_of(q, who)->lock.word, &word, t->tid | (word & WORD_WAITERS),
						     memory_order_acquire, memory_order_relaxed))
		return -EAGAIN;
	*ret_others = done(q, other(who));
	if (room(q, who, done(q, who), *ret_others) > 0)
		return word & WORD_OWNER_DIED ? FIPC_OWNER_DIED : 0;
	release(q, who, t->tid, word & WORD_OWNER_DIED);
	return -EAGAIN;
}

/* The lock word is pending, and stays so. */
static int wait_to_get_in(struct thread *t, fipc_mq *q, enum mq_who who, fipc_deadline d, uint32_t *ret_others)
{
	struct wait w = {.d = d, .spins = spins_for(q, who)};
	const bool spins = w.spins > 0;
	for (;;) {
		/* In this order: if there was no room then, there is none now, or it has come since. */
		uint32_t own = done(q, who), others = done(q, other(who));
		uint32_t word = atomic_load_explicit(&side_of(q, who)->lock.word, memory_order_relaxed);
		bool may = room(q, who, own, others) > 0;
		int r;
		if (!may && d <= FIPC_NOW)
			return -EAGAIN;
		if ((word & WORD_TID) == t->tid)
			return -EDEADLK; /* a signal handler, in the middle of a call */
		if (!may || (word & WORD_TID) != 0) {
			r = wait_a_turn(t, q, who, others, word, &w);
			if (r < 0)
				return r;
			continue;
		}
		r = take(t, q, who, word, ret_others);
		if (r != -EAGAIN) {
			if (spins && w.spins > 0)
				learn(q, who, false);
			return r;
		}
	}
}

static __attribute__((noinline)) int enter_slowly(fipc_mq *q, enum mq_who who, fipc_deadline d, uint32_t *ret_others)
{
	struct thread *t;
	void *node;
	int r = fipc__robust_enter();
	if (r < 0)
		return r == -EAGAIN ? -ENOMEM : r;
	t = fipc__self;
	if (t->top == t->limit)
		return -ENOLCK;
	node = node_of(t, &side_of(q, who)->lock);
	set_pending(t, node);
	r = wait_to_get_in(t, q, who, d, ret_others);
	if (r >= 0)
		push_held(t, node);
	set_pending(t, NULL);
	return r;
}

/*
 * A sender need not know exactly how many slots are free: `seen` spares the look at what receivers write. A receiver
 * has to know the last message sent, which may have the highest priority.
 */
static inline uint32_t look(const fipc_mq *q, enum mq_who who)
{
	/* relaxed: what was seen by who had the lock before */
	uint32_t seen = atomic_load_explicit(&side_of(q, who)->seen, memory_order_relaxed);
	if (who == SENDERS && room(q, who, done(q, who), seen) > 0)
		return seen;
	return done(q, other(who));
}

/* Inside: is there still room? */
static inline bool look_again(fipc_mq *q, enum mq_who who, uint32_t *ret_others)
{
	*ret_others = look(q, who);
	if (who == SENDERS)
		atomic_store_explicit(&side_of(q, who)->seen, *ret_others, memory_order_relaxed);
	return room(q, who, done(q, who), *ret_others) > 0;
}

/* No system call when there is room, and nobody inside, and the thread is ready. Else the slow way does it all. */
int fipc__mq_enter(fipc_mq *q, enum mq_who who, fipc_deadline d, uint32_t *ret_others)
{
	struct mutex *lock = &side_of(q, who)->lock;
	struct thread *t = fipc__self;
	uint32_t free = 0;
	void *node;
	/* A look outside of the lock first: it is not taken to find out that there is nothing to do. */
	if (__builtin_expect(t->top == t->limit || room(q, who, done(q, who), look(q, who)) <= 0, 0))
		return enter_slowly(q, who, d, ret_others);
	node = node_of(t, lock);
	set_pending(t, node);
	/* acquire; pairs with the release in release() */
	if (__builtin_expect(!atomic_compare_exchange_strong_explicit(&lock->word, &free, t->tid, memory_order_acquire,
								      memory_order_relaxed),
			     0))
		return enter_slowly(q, who, d, ret_others); /* it stays pending */
	push_held(t, node);
	set_pending(t, NULL);
	if (__builtin_expect(look_again(q, who, ret_others), 1))
		return 0;
	fipc__mq_leave(q, who, 0);
	return enter_slowly(q, who, d, ret_others);
}
