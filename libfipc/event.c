/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The event. Bits and their rules: event.h; how threads sleep: park.h.
 *
 * A thread is killed (crash list); the word is pending from before it sleeps, or from before a set that sees WAITERS:
 *
 *	in wait, before it returns       a manual event is as it was. Of an auto-reset one nothing was taken before the
 *	                                 swap; after it the dead has taken it. If it had been woken: the kernel wakes
 *	                                 the next sleeper, who finds the event set, or sleeps on.
 *	in set, before the swap          nothing happened.
 *	in set, between swap and wake    it is set, and the kernel wakes one. Of an auto-reset event that is all. Of a
 *	                                 manual one he finds WAITERS still there, which a completed wake of all had
 *	                                 cleared, and wakes all (pass_on); killed before, the kernel wakes the next.
 *	in set, between the wake of      WAITERS stays set with nobody asleep, or with a sleeper that came since: the
 *	nobody and the clearing          event was taken, or cleared, before he fell asleep, and the next set wakes him.
 *	in clear                         one atomic instruction.
 *
 * A set of an event that is set wakes too, if it sees WAITERS: so whatever was missed is made up for.
 */
#include "event.h"

#include "handle.h"
#include "spin.h"

#include <errno.h>
#include <string.h>

#define SPINS 100 /* then sleep */
#define WAITERS ((uint64_t)PARK_WAITERS << 32)
#define READY ((uint64_t)PARK_READY << 32)

static inline uint32_t generation_of(uint64_t v)
{
	return (uint32_t)v;
}

/* What set makes of it: the generation counts the times that it became set. */
static inline uint64_t when_set(uint64_t v)
{
	return v & READY ? v : (v & WAITERS) | READY | (generation_of(v) + UINT32_C(1));
}

/* ---- what kind of memory is this ---- */

static struct event *event_of(fipc_event *e)
{
	return (struct event *)(void *)e;
}

int fipc__event_check(const struct event *e)
{
	/* acquire; pairs with the release in place.c: who sees the magic sees the rest */
	uint32_t magic = atomic_load_explicit(&e->magic, memory_order_acquire);
	return fipc__kind_check(magic, atomic_load_explicit(&e->kind, memory_order_relaxed), KIND_EVENT,
				KIND_EVENT_FLAGS);
}

static int check_given(const struct event *e)
{
	return fipc__place_check(e, KIND_EVENT, KIND_EVENT_FLAGS);
}

/* The whole header in one comparison, whatever its flags. */
static inline bool plain(const struct event *e)
{
	return (atomic_load_explicit(&e->head, memory_order_relaxed) & ~((uint64_t)KIND_EVENT_FLAGS << 32)) ==
	       ((uint64_t)KIND_EVENT << 32 | OBJECT_MAGIC);
}

/* ---- set and clear ---- */

static __attribute__((noinline, cold)) void wake(struct event *e)
{
	/* any: seq_cst, as the swap before it; pairs with the count that a wait_any raises before it looks at the
	 * state. Either we see it, or it sees what we have set. */
	if (!resets_itself(e) || atomic_load_explicit(&e->any, memory_order_seq_cst) != 0)
		fipc__unpark_all(&e->word);
	else
		fipc__unpark(&e->word, 1);
}

/* The word goes on record as soon as WAITERS is seen: before the swap that sets. */
static __attribute__((noinline)) int set_slowly(struct event *e)
{
	uint64_t v = atomic_load_explicit(&e->state, memory_order_relaxed);
	struct debt debt = {0};
	int r = check_given(e);
	if (r < 0)
		return r;
	do
		if (v & WAITERS && !debt.pending)
			fipc__incur(&debt, fipc__self, &e->word);
	while (!atomic_compare_exchange_weak_explicit(&e->state, &v, when_set(v), memory_order_seq_cst,
						      memory_order_relaxed));
	if (v & WAITERS)
		wake(e);
	fipc__settle(&debt);
	return 0;
}

int fipc_event_set(fipc_event *public)
{
	struct event *e = event_of(public);
	uint64_t v = atomic_load_explicit(&e->state, memory_order_relaxed);
	/* release; pairs with the acquire of whoever finds it set, or its generation changed. Also when it is set
	 * already: what was written before this set has to be seen too. */
	if (__builtin_expect(plain(e) && !(v & WAITERS), 1) &&
	    atomic_compare_exchange_strong_explicit(&e->state, &v, when_set(v), memory_order_release,
						    memory_order_relaxed))
		return 0;
	return set_slowly(e);
}

int fipc_event_clear(fipc_event *public)
{
	struct event *e = event_of(public);
	int r = plain(e) ? 0 : check_given(e);
	if (r < 0)
		return r;
	/* acquire: who clears and then looks sees what was written before the set that he has cleared */
	atomic_fetch_and_explicit(&e->state, ~READY, memory_order_acq_rel);
	return 0;
}

int fipc_event_is_set(const fipc_event *public)
{
	const struct event *e;
	int r;
	if (fipc__misaligned(public))
		return -EINVAL;
	e = fipc__handle_behind_view(public);
	r = fipc__event_check(e);
	/* acquire; pairs with set */
	return r < 0 ? r : (atomic_load_explicit(&e->state, memory_order_acquire) & READY) != 0;
}

/* ---- wait ---- */

void fipc__event_look(const struct event *e, uint32_t *ret_seen)
{
	*ret_seen = generation_of(atomic_load_explicit(&e->state, memory_order_relaxed));
}

bool fipc__event_take(struct event *e, uint32_t seen)
{
	/* acquire; pairs with set. Of one that was cleared since, too: clear continues the set's release sequence. */
	uint64_t v = atomic_load_explicit(&e->state, memory_order_acquire);
	if (!resets_itself(e))
		return v & READY || generation_of(v) != seen;
	while (v & READY)
		if (atomic_compare_exchange_weak_explicit(&e->state, &v, v & ~READY, memory_order_acquire,
							  memory_order_relaxed))
			return true;
	return false;
}

bool fipc__event_note(struct event *e, uint32_t seen)
{
	uint64_t v = atomic_load_explicit(&e->state, memory_order_relaxed);
	if (v & READY || (!resets_itself(e) && generation_of(v) != seen))
		return false;
	/* relaxed: orders nothing, the kernel compares again. All 64 bits: a set meanwhile makes it fail. */
	return v & WAITERS || atomic_compare_exchange_strong_explicit(&e->state, &v, v | WAITERS, memory_order_relaxed,
								      memory_order_relaxed);
}

void fipc__event_pass_on(struct event *e, uint32_t seen)
{
	uint64_t v = atomic_load_explicit(&e->state, memory_order_relaxed);
	if (v & WAITERS && (v & READY || (!resets_itself(e) && generation_of(v) != seen)))
		wake(e);
}

static int sleep_on(struct event *e, uint32_t seen, fipc_deadline d)
{
	if (!fipc__event_note(e, seen))
		return -EAGAIN;
	return fipc__park(&e->word, PARK_WAITERS, resets_itself(e) ? NULL : &e->generation, seen, d);
}

/* The word is pending. */
static int get(struct event *e, fipc_deadline d)
{
	unsigned spins = fipc__may_spin() ? SPINS : 0;
	enum turn turn = TURN_OURS;
	uint32_t seen;
	fipc__event_look(e, &seen);
	for (;;) {
		int r;
		if (fipc__event_take(e, seen)) {
			fipc__event_pass_on(e, seen);
			return 0;
		}
		if (d <= FIPC_NOW)
			return -EAGAIN;
		if (spins > 0) {
			spins--;
			fipc__spin_pause();
			continue;
		}
		if (fipc__let_others_run(&turn))
			continue;
		r = sleep_on(e, seen, d);
		if (r == -EAGAIN || r == 0)
			r = fipc__event_check(e); /* destroyed meanwhile? */
		if (r < 0)
			return r;
	}
}

static __attribute__((noinline)) int wait_slowly(struct event *e, fipc_deadline d)
{
	bool owing;
	int r = fipc__robust_enter();
	if (r == 0)
		r = check_given(e);
	if (r < 0)
		return r;
	owing = fipc__owe(fipc__self, &e->word);
	r = get(e, d);
	fipc__owe_nothing(fipc__self, owing);
	return r;
}

/* No system call: a manual event that is set, and nobody who should have been woken; an auto-reset one that is set. */
static inline __attribute__((always_inline)) int wait_for(struct event *e, fipc_deadline d)
{
	/* acquire; pairs with set */
	uint64_t v = atomic_load_explicit(&e->state, memory_order_acquire);
	if (__builtin_expect(plain(e) && (v & (READY | WAITERS)) == READY, 1) &&
	    (!resets_itself(e) || atomic_compare_exchange_strong_explicit(&e->state, &v, v & ~READY,
									  memory_order_acquire, memory_order_relaxed)))
		return 0;
	return wait_slowly(e, d);
}

int fipc_event_wait(fipc_event *e)
{
	return wait_for(event_of(e), FIPC_FOREVER);
}

int fipc_event_wait_until(fipc_event *e, fipc_deadline d)
{
	return wait_for(event_of(e), d);
}

/* ---- in place ---- */

/* Clear, and never set: zeros. */
static void fill(void *object, uint32_t initial)
{
	(void)object, (void)initial;
}

void fipc__event_image(struct event *e, unsigned flags)
{
	fipc__place_image(e, KIND_EVENT | fipc__kind_flags(flags), fill, 0);
}

int fipc_event_init(fipc_event *public, unsigned flags)
{
	if (fipc__misaligned(public) || flags & ~(unsigned)(FIPC_PRIVATE | FIPC_AUTORESET))
		return -EINVAL;
	fipc__event_image(event_of(public), flags);
	return 0;
}

int fipc_event_attach(fipc_event *public, unsigned flags)
{
	if (fipc__misaligned(public) || flags & ~(unsigned)FIPC_AUTORESET)
		return -EINVAL;
	return fipc__place_attach(public, KIND_EVENT | fipc__kind_flags(flags), KIND_EVENT_FLAGS, fill, 0);
}

int fipc_event_destroy(fipc_event *public)
{
	struct event *e = event_of(public);
	int r = fipc__misaligned(public) ? -EINVAL : check_given(e);
	return r < 0 ? r : fipc__place_destroy(e, &e->word);
}

/* ---- looking ---- */

void fipc__event_describe(const struct event *e, struct fipc_event_info *ret)
{
	/* relaxed: a snapshot, for people */
	uint64_t v = atomic_load_explicit(&e->state, memory_order_relaxed);
	*ret = (struct fipc_event_info){
		.size = sizeof(*ret),
		.set = (v & READY) != 0,
		.autoreset = resets_itself(e),
		.sets = generation_of(v),
	};
}

int fipc_event_info(const fipc_event *public, struct fipc_event_info *ret, size_t size)
{
	struct fipc_event_info info;
	const struct event *e;
	int r;
	if (fipc__misaligned(public) || size < INFO_SIZE_MIN)
		return -EINVAL;
	e = fipc__handle_behind_view(public);
	r = fipc__event_check(e);
	if (r < 0)
		return r;
	fipc__event_describe(e, &info);
	info.waiters = fipc__futex_sleepers((const void *)&e->word);
	fipc__give_info(ret, size, &info);
	return 0;
}
