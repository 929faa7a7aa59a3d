/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The semaphore whose tokens belong to processes.
 *
 * What is true stands in the slots, one for each thread that holds tokens: how many, of which process, and the thread's
 * `life`, a word in its robust list. How many there are to be had is their number at the beginning less the sum of what
 * slots hold whose thread has not died. `available` is a cache: of that, less what the dead hold who have not been
 * buried. All of it is changed under a robust mutex. So nothing has to be undone: a process changes no slot but its
 * own, its death makes its slots count for nothing, and if it died inside the mutex the next one counts anew. See
 * docs/design-sem-owned.md for why that is exact.
 *
 *	life word        held   the slot is
 *	0                0      free
 *	TID              any    that thread's; with 0 held: until its next call, or its end
 *	0                > 0    its process's, whose thread has left (robust.c, abandon); whether the process lives, its
 *	                        tracker says
 *	OWNER_DIED       any    a dead process's: it counts for nothing, and is free when somebody has come by (bury)
 *
 * Its bit WAITERS, once set by a sleeper, stays. It is written plainly, under the mutex, by the thread whose it becomes
 * or is; atomically by sleepers, who set WAITERS while its thread may be dying, and by a thread that leaves.
 *
 * Sleeping. Whoever finds no token arms, under the mutex: sets WAITERS in `queue` (a park word, see park.h), in the
 * relay and in the life words of the first 125 slots, and sleeps on all of these and on `sequence` at once. A post
 * wakes by `queue`; a death wakes one sleeper by the dead's life word. A slot beyond `span` is watched by nobody: so
 * who takes the first of these wakes all, to arm anew.
 *
 * A woken sleeper owes: if it dies before it has looked, another one has to look. From before its sleep `queue` is its
 * pending entry; then it must have the mutex, and that needs the entry. So meanwhile it holds the relay, a robust word
 * that is only ever tried for and that all sleepers watch; inside the mutex `queue` is pending again, and the relay is
 * given back before anything is looked at. If another has the relay, that one has yet to look, and will see what this
 * one was woken for. Life words enter the robust list before they carry the TID, and leave it after, so that they do not
 * need the pending entry; they change hands under the mutex. The relay is tried for by many at once, and its link is the
 * winner's alone: so it enters the list after, and leaves it before.
 *
 * Killed (crash list; M: the kernel marks the mutex, the next one inside counts anew; Q: it wakes one by `queue`):
 *
 *	in wait, before `held`           M; its life word, if it has one, holds nothing
 *	in wait, after `held`            M if inside; the life word is marked, one sleeper woken by it
 *	in wait, woken, before the relay Q
 *	in wait, holding the relay       the relay is marked, one sleeper woken by it; not on the list yet, or any more:
 *	                                 Q, and the next one to try marks it (marked_for_gone)
 *	in wait, inside, after that      M, Q
 *	in wait, before span or sequence M, and nobody sleeps who would have to know; after it, before the wake: M, Q
 *	in post, before the first change M, and its tokens come back as above
 *	in post, before the wake         M, Q, and the same
 *	in post, after it                M if inside; the woken one looks
 *	in bury, after held = 0          M; the life word still says dead
 *	holding, or between calls        the life word is marked, one sleeper woken by it
 *	a thread leaves: before its word is free: as a death of the process, which it is; after it: it is its process's
 *
 * A wake-up may stand for many tokens: whoever was inside and leaves some behind wakes on (pass_on), before it is done.
 */
#include "sem_owned.h"

#include "clock.h"
#include "fork.h"
#include "handle.h"
#include "mutex.h"
#include "park.h"
#include "sem.h"
#include "slot.h"
#include "spin.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#define SPINS 100
#define STOPPED_INSIDE_MS 100 /* how long a deadline may be overrun, waiting for the mutex */
#define NONE UINT32_MAX

struct life { /* laid out as a mutex, for the robust list */
	_Atomic uint32_t pid;
	_Atomic uint32_t kind; /* KIND_LIFE */
	_Atomic uint32_t word;
	_Atomic uint32_t musl_waiters; /* always 0 */
	_Atomic uint32_t held;
	uint32_t unused;
	_Atomic uint64_t tracker; /* of its process: inode; 0: none */
	uint32_t unused_too;
	unsigned char link[12];
	_Atomic uint64_t process; /* fipc__process_number */
	uint64_t unused_three;
} __attribute__((may_alias));
static_assert(sizeof(struct life) == sizeof(struct mutex), "life");
static_assert(offsetof(struct life, word) == offsetof(struct mutex, word), "life");
static_assert(offsetof(struct life, kind) == offsetof(struct mutex, kind), "life");
static_assert(offsetof(struct life, link) == offsetof(struct mutex, link), "life");

struct owned {
	_Atomic uint32_t magic, kind;
	uint32_t initial, slots;
	_Atomic uint32_t queue;    /* a park word without READY */
	_Atomic uint32_t sequence; /* of what sleepers have to hear of */
	_Atomic uint32_t available;
	_Atomic uint32_t span; /* slots that have been used: those behind are free */
	_Atomic uint32_t last_pid;
	_Atomic uint32_t any; /* how many sleep on other words, too (wait_any.c): who wakes, wakes all */
	_Atomic uint64_t acquired_ns;
	uint64_t unused_too[2];
	fipc_mutex mutex;
	struct life relay;
	struct life slot[];
} __attribute__((may_alias));
static_assert(offsetof(struct owned, mutex) == OBJECT_HEAD, "head");
static_assert(offsetof(struct owned, slot) == 192, "slots");

#define SLOTS_MIN ((uint32_t)((OBJECT_IMAGE_MAX - sizeof(struct owned)) / sizeof(struct life))) /* in one page */
#define SLOTS_MAX ((uint32_t)((LOOK_MAX - sizeof(struct owned)) / sizeof(struct life)))
#define WATCHED_MAX (FUTEX_PLACES_MAX - 3)

/* relaxed, as most here: the mutex orders it; or it is looked at for people, or before the kernel compares it again */
static inline uint32_t get(const _Atomic uint32_t *w)
{
	return atomic_load_explicit(w, memory_order_relaxed);
}

static inline void put(_Atomic uint32_t *w, uint32_t v)
{
	atomic_store_explicit(w, v, memory_order_relaxed);
}

static inline bool is_dead(uint32_t word)
{
	return (word & WORD_OWNER_DIED) != 0;
}

static inline bool is_unowned(uint32_t word)
{
	return (word & (WORD_TID | WORD_OWNER_DIED)) == 0;
}

static struct mutex *as_mutex(struct life *l)
{
	return (struct mutex *)(void *)l;
}

/* ---- its bytes ---- */

static uint32_t slots_for(uint32_t initial)
{
	if (initial >= SLOTS_MAX / 2)
		return SLOTS_MAX;
	return 2 * initial > SLOTS_MIN ? 2 * initial : SLOTS_MIN;
}

static size_t size_for(uint32_t slots)
{
	return sizeof(struct owned) + slots * sizeof(struct life);
}

int fipc__owned_size(uint32_t initial, size_t *ret)
{
	*ret = size_for(slots_for(initial));
	return 0;
}

void fipc__owned_image(void *ret, uint32_t initial, unsigned flags)
{
	struct owned *o = ret;
	atomic_store_explicit(&o->kind, KIND_SEM | fipc__kind_flags(flags), memory_order_relaxed);
	o->initial = initial;
	o->slots = slots_for(initial);
	put(&o->available, initial);
	fipc__mutex_image(mutex_of(&o->mutex), 0);
	put(&o->relay.kind, KIND_LIFE);
	put(&o->magic, OBJECT_MAGIC); /* relaxed: of a file that nobody has yet */
}

int fipc__owned_check(const void *head, size_t *size)
{
	const struct owned *o = head;
	return o->slots == slots_for(o->initial) ? fipc__takes(size_for(o->slots), size) : -EINVAL;
}

/* ---- what this thread knows of it ---- */

/* relaxed: to close an object while others use it is illegal, and who opens another has been told of the closing */
static _Atomic uint32_t closings;

static inline struct owned_view *place_of_view(struct thread *t, const struct owned *o)
{
	return &t->owned[((uintptr_t)o >> 12) % OWNED_VIEWS]; /* mappings differ in their pages */
}

/* The slot that is this thread's: the private stack knows. */
static uint32_t find_mine(const struct thread *t, struct owned *o, uint32_t slots)
{
	uintptr_t first = (uintptr_t)node_of(t, as_mutex(o->slot));
	for (void **at = t->top; at > t->stack; at--)
		if ((uintptr_t)*at - first < slots * sizeof(struct life))
			return (uint32_t)(((uintptr_t)*at - first) / sizeof(struct life));
	return NONE;
}

static __attribute__((noinline)) int make_view(struct owned *o, struct owned_view **ret)
{
	int r = fipc__robust_enter();
	struct thread *t = fipc__self;
	struct owned_view *v;
	size_t size;
	if (r == 0)
		r = fipc__place_check(o, KIND_SEM, KIND_SEM_FLAGS);
	if (r == 0)
		r = fipc__mutex_usable(t, mutex_of(&o->mutex));
	if (r < 0)
		return r;
	size = fipc__handle_size(o);
	if (size < sizeof(*o) || fipc__owned_check(o, &size) < 0)
		return -EINVAL;
	v = place_of_view(t, o);
	v->object = NULL;
	v->slots = (uint32_t)((size - sizeof(*o)) / sizeof(struct life));
	v->tracker = fipc__handle_tracker(o);
	v->process = fipc__process_number();
	v->mine = find_mine(t, o, v->slots);
	v->hint = v->mine == NONE ? 0 : v->mine;
	v->closings = get(&closings);
	v->object = o;
	*ret = v;
	return 0;
}

static inline int find_view(struct owned *o, struct owned_view **ret)
{
	struct owned_view *v = place_of_view(fipc__self, o);
	*ret = v;
	return __builtin_expect(v->object == o && v->closings == get(&closings), 1) ? 0 : make_view(o, ret);
}

static inline uint32_t span_of(const struct owned *o, const struct owned_view *v)
{
	uint32_t span = get(&o->span);
	return span < v->slots ? span : v->slots;
}

static inline bool is_ours(const struct life *l, const struct owned_view *v)
{
	return atomic_load_explicit(&l->process, memory_order_relaxed) == v->process &&
	       get(&l->pid) == fipc__self->pid && !is_dead(get(&l->word));
}

/* ---- the mutex ---- */

/* What all slots hold; those of the dead too, until they are buried. */
static void count_anew(struct owned *o, uint32_t slots)
{
	uint64_t sum = 0;
	for (uint32_t i = 0; i < slots; i++)
		sum += get(&o->slot[i].held);
	put(&o->available, sum < o->initial ? o->initial - (uint32_t)sum : 0);
}

/* Somebody may have died in the middle of any change. */
static int recover(struct owned *o, const struct owned_view *v)
{
	count_anew(o, v->slots);
	return fipc_mutex_consistent(&o->mutex);
}

/* Others are inside for an instant only, so it is waited for by those too who would not wait for a token. */
static __attribute__((noinline, cold)) int enter_slowly(struct owned *o, const struct owned_view *v, int r,
							fipc_deadline d)
{
	if (r == -EBUSY) {
		fipc_deadline least = fipc_after_ms(STOPPED_INSIDE_MS);
		r = fipc_mutex_lock_until(&o->mutex, d > least ? d : least);
	}
	if (r == FIPC_OWNER_DIED)
		return recover(o, v);
	return r == -ETIMEDOUT && d <= FIPC_NOW ? -EAGAIN : r;
}

static inline int enter(struct owned *o, const struct owned_view *v, fipc_deadline d)
{
	int r = fipc_mutex_trylock(&o->mutex);
	return __builtin_expect(r == 0, 1) ? 0 : enter_slowly(o, v, r, d);
}

static inline void leave(struct owned *o)
{
	int r = fipc_mutex_unlock(&o->mutex);
	(void)r; /* but for a scribble it is ours */
}

/*
 * In and out for the most frequent case: the word is 0, so nobody has died inside nor waits. It stays the pending
 * entry until it is left, which is as good as the list, and shorter; what is done inside must leave that entry alone.
 * The view says that it is a mutex of this namespace.
 */
static inline bool dash_in(struct thread *t, struct owned *o)
{
	struct mutex *m = mutex_of(&o->mutex);
	uint32_t expected = 0;
	set_pending(t, node_of(t, m));
	/* acquire; pairs with the release in dash_out and unlock */
	if (__builtin_expect(atomic_compare_exchange_strong_explicit(&m->word, &expected, t->tid, memory_order_acquire,
								     memory_order_relaxed),
			     1))
		return true;
	set_pending(t, NULL);
	return false;
}

static inline void dash_out(struct thread *t, struct owned *o)
{
	struct mutex *m = mutex_of(&o->mutex);
	uint32_t expected = t->tid;
	/* release; pairs with the acquire in dash_in and lock */
	if (__builtin_expect(!atomic_compare_exchange_strong_explicit(&m->word, &expected, 0, memory_order_release,
								      memory_order_relaxed),
			     0))
		fipc__mutex_release(t, m, 0); /* somebody waits for it */
	set_pending(t, NULL);
}

/* Stay in, as by enter(). */
static void settle_in(struct thread *t, struct owned *o)
{
	push_held(t, node_of(t, mutex_of(&o->mutex)));
	set_pending(t, NULL);
}

/* ---- waking: inside the mutex, with `queue` pending ---- */

static inline bool has_sleepers(const struct owned *o)
{
	return (get(&o->queue) & PARK_WAITERS) != 0;
}

static void wake(struct owned *o, uint32_t n)
{
	put(&o->sequence, get(&o->sequence) + 1);
	fipc__unpark(&o->queue, get(&o->any) ? UINT_MAX : n);
}

static void pass_on(struct owned *o)
{
	uint32_t n = get(&o->available);
	if (n > 0 && has_sleepers(o))
		wake(o, n);
}

/* ---- slots: inside the mutex ---- */

/* What a dead process held is there again. */
static void bury(struct owned *o, struct life *l)
{
	uint32_t held = get(&l->held);
	put(&l->held, 0);
	barrier();
	put(&l->word, get(&l->word) & WORD_WAITERS);
	barrier();
	put(&o->available, get(&o->available) + held);
}

/* A thread that is gone and was not marked: it was in a process whose other thread called exec. */
static bool marked_for_gone(struct life *l, uint32_t word)
{
	if ((word & WORD_TID) == fipc__self->tid || !fipc__thread_is_gone(word & WORD_TID))
		return false;
	/* relaxed: if it is marked meanwhile, or another's, the next look tells */
	return atomic_compare_exchange_strong_explicit(&l->word, &word, (word & WORD_WAITERS) | WORD_OWNER_DIED,
						       memory_order_relaxed, memory_order_relaxed);
}

/* Tokens that a thread left to its process, which has died since. */
static bool left_by_dead(const struct owned *o, struct life *l, const struct owned_view *v)
{
	return get(&l->held) > 0 && !is_ours(l, v) &&
	       fipc__handle_life(o, (int32_t)get(&l->pid), atomic_load_explicit(&l->tracker, memory_order_relaxed)) ==
		       FIPC_DEAD;
}

static bool is_lost(const struct owned *o, struct life *l, const struct owned_view *v)
{
	uint32_t word = get(&l->word);
	if (is_dead(word))
		return true;
	return is_unowned(word) ? left_by_dead(o, l, v) : marked_for_gone(l, word);
}

/* Get back what the dead had. */
static void reap(struct owned *o, const struct owned_view *v)
{
	uint32_t span = span_of(o, v);
	for (uint32_t i = 0; i < span; i++)
		if (is_lost(o, &o->slot[i], v))
			bury(o, &o->slot[i]);
}

/* One that can become this thread's: free, or with tokens that another thread has left to this process. */
static bool can_be_mine(struct owned *o, struct life *l, const struct owned_view *v)
{
	uint32_t word = get(&l->word);
	if (is_dead(word)) {
		bury(o, l);
		return true;
	}
	return is_unowned(word) && (get(&l->held) == 0 || is_ours(l, v));
}

/* First the one that it had the last time. */
static uint32_t find_slot(struct owned *o, const struct owned_view *v)
{
	uint32_t span = span_of(o, v);
	if (v->hint < span && can_be_mine(o, &o->slot[v->hint], v))
		return v->hint;
	for (uint32_t i = 0; i < span; i++)
		if (can_be_mine(o, &o->slot[i], v))
			return i;
	return NONE;
}

/* The first slot that has never been used. No sleeper watches it, so all have to look again. */
static uint32_t new_slot(struct thread *t, struct owned *o, const struct owned_view *v)
{
	uint32_t span = span_of(o, v);
	bool owing;
	if (span == v->slots)
		return NONE;
	owing = fipc__owe(t, &o->queue);
	put(&o->span, span + 1);
	if (has_sleepers(o)) {
		put(&o->sequence, get(&o->sequence) + 1);
		fipc__unpark_all(&o->queue);
	}
	fipc__owe_nothing(t, owing);
	return span;
}

static inline void occupy(struct thread *t, struct owned *o, struct owned_view *v, uint32_t i)
{
	struct life *l = &o->slot[i];
	put(&l->pid, t->pid);
	put(&l->kind, KIND_LIFE);
	atomic_store_explicit(&l->tracker, v->tracker, memory_order_relaxed);
	atomic_store_explicit(&l->process, v->process, memory_order_relaxed);
	push_held(t, node_of(t, as_mutex(l)));
	put(&l->word, (get(&l->word) & WORD_WAITERS) | t->tid);
	barrier();
	v->mine = v->hint = i;
}

static inline void vacate(struct thread *t, struct owned *o, struct owned_view *v)
{
	struct life *l = &o->slot[v->mine];
	void *node = node_of(t, as_mutex(l));
	barrier();
	put(&l->word, get(&l->word) & WORD_WAITERS);
	barrier();
	if (__builtin_expect(*t->top == node, 1))
		pop_held(t);
	else
		remove_held(t, find_held(t, node));
	v->mine = NONE;
}

/* All slots are in use: then a token of this thread's is another's of its process. */
static uint32_t lodge(const struct owned *o, const struct owned_view *v)
{
	for (uint32_t i = 0; i < v->slots; i++)
		if (is_ours(&o->slot[i], v))
			return i;
	return NONE;
}

static __attribute__((noinline)) int have_slot(struct thread *t, struct owned *o, struct owned_view *v, uint32_t *ret)
{
	if (t->top == t->limit)
		return -EAGAIN;
	*ret = find_slot(o, v);
	if (*ret == NONE)
		*ret = new_slot(t, o, v);
	if (*ret == NONE) {
		reap(o, v);
		*ret = find_slot(o, v);
	}
	if (*ret != NONE) {
		occupy(t, o, v, *ret);
		return 0;
	}
	*ret = lodge(o, v);
	return *ret == NONE ? -EUSERS : 0;
}

/* ---- wait ---- */

/* There is one: take it, into a slot of this process. */
static inline void take_into(struct thread *t, struct owned *o, struct life *l)
{
	put(&l->held, get(&l->held) + 1);
	put(&o->available, get(&o->available) - 1);
	put(&o->last_pid, t->pid);
	if (__builtin_expect(get(&o->kind) & KIND_TIMESTAMPS, 0))
		atomic_store_explicit(&o->acquired_ns, (uint64_t)fipc__now_ns(), memory_order_relaxed);
}

static int take(struct thread *t, struct owned *o, struct owned_view *v)
{
	uint32_t i = v->mine;
	int r = i == NONE ? have_slot(t, o, v, &i) : 0;
	if (r == 0)
		take_into(t, o, &o->slot[i]);
	return r;
}

/* Take one, if there is one, into the slot that is this thread's or was. Leaves the pending entry alone. */
static inline bool take_quickly(struct thread *t, struct owned *o, struct owned_view *v)
{
	struct life *l = &o->slot[v->hint];
	if (__builtin_expect(get(&o->available) == 0, 0))
		return false;
	if (v->mine == NONE) {
		if (__builtin_expect(v->hint >= get(&o->span) || t->top == t->limit || !is_unowned(get(&l->word)) ||
					     get(&l->held) != 0,
				     0))
			return false;
		occupy(t, o, v, v->hint);
	}
	take_into(t, o, l);
	return true;
}

static void spin(const struct owned *o)
{
	for (int i = fipc__may_spin() ? SPINS : 0; i > 0 && get(&o->available) == 0; i--)
		fipc__spin_pause();
}

/* Set WAITERS; what it is then. The word's owner may die meanwhile. */
static uint32_t arm_word(_Atomic uint32_t *w)
{
	uint32_t v = get(w);
	/* relaxed: orders nothing, the kernel compares the word again */
	return v & WORD_WAITERS ? v : atomic_fetch_or_explicit(w, WORD_WAITERS, memory_order_relaxed) | WORD_WAITERS;
}

/*
 * Inside the mutex, no token being there: where to sleep. False: one has died meanwhile. Of the slots the first
 * ones: the others' deaths are not heard of.
 */
static bool arm(struct owned *o, const struct owned_view *v, struct futex_place *places, unsigned *ret)
{
	uint32_t span = span_of(o, v);
	unsigned n = 0;
	places[n++] = (struct futex_place){(const void *)&o->queue, arm_word(&o->queue)};
	places[n++] = (struct futex_place){(const void *)&o->sequence, get(&o->sequence)};
	places[n++] = (struct futex_place){(const void *)&o->relay.word, arm_word(&o->relay.word)};
	for (uint32_t i = 0; i < span && i < WATCHED_MAX; i++) {
		struct life *l = &o->slot[i];
		places[n] = (struct futex_place){(const void *)&l->word, arm_word(&l->word)};
		if (is_dead(places[n++].expected))
			return false;
	}
	*ret = n;
	return true;
}

/* Woken, with `queue` pending: have the relay, or see that another has it. */
static bool take_relay(struct thread *t, struct owned *o)
{
	_Atomic uint32_t *word = &o->relay.word;
	uint32_t v = get(word);
	if ((v & WORD_TID) != 0 && !marked_for_gone(&o->relay, v))
		return false;
	if (t->top == t->limit)
		return false;
	v = get(word);
	/* acquire; pairs with the release in give_relay: the link is its last owner's until then */
	while ((v & WORD_TID) == 0)
		if (atomic_compare_exchange_weak_explicit(word, &v, (v & WORD_WAITERS) | t->tid, memory_order_acquire,
							  memory_order_relaxed)) {
			/* Not before: the link is shared, and whoever has the word owns it. */
			push_held(t, node_of(t, as_mutex(&o->relay)));
			return true;
		}
	return false;
}

/* With `queue` pending, in or outside the mutex. */
static void give_relay(struct thread *t, struct owned *o)
{
	remove_held(t, find_held(t, node_of(t, as_mutex(&o->relay))));
	/* release; pairs with the acquire in take_relay. Sleepers may set WAITERS meanwhile */
	atomic_fetch_and_explicit(&o->relay.word, WORD_WAITERS, memory_order_release);
}

/* Inside. 0 or an error: done; 1: there is no token, and places say where to sleep. */
static int look_for_one(struct thread *t, struct owned *o, struct owned_view *v, fipc_deadline d,
			struct futex_place *places, unsigned *ret_n)
{
	for (;;) {
		int r;
		if (get(&o->available) == 0)
			reap(o, v);
		if (get(&o->available) > 0) {
			r = take(t, o, v);
			pass_on(o);
			return r;
		}
		if (d <= FIPC_NOW)
			return -EAGAIN;
		if (arm(o, v, places, ret_n))
			return 1;
	}
}

/* Woken, and yet it cannot look: another one has to. */
static int give_up(struct thread *t, struct owned *o, bool relay, int r)
{
	bool owing = fipc__owe(t, &o->queue);
	fipc__unpark(&o->queue, 1);
	if (relay)
		give_relay(t, o);
	fipc__owe_nothing(t, owing);
	return r;
}

/* Inside, and out of it. */
static __attribute__((noinline)) int wait_slowly(struct thread *t, struct owned *o, struct owned_view *v,
						 fipc_deadline d)
{
	struct futex_place places[FUTEX_PLACES_MAX];
	bool relay = false, owing;
	unsigned n = 0;
	int r;
	for (;;) {
		owing = fipc__owe(t, &o->queue);
		if (relay)
			give_relay(t, o);
		r = look_for_one(t, o, v, d, places, &n);
		fipc__owe_nothing(t, owing);
		leave(o);
		if (r <= 0)
			return r;
		owing = fipc__owe(t, &o->queue);
		fipc__spun_in_vain();
		r = fipc__sleep(places, n, d);
		if (r >= 0 || r == -EAGAIN)
			relay = take_relay(t, o);
		fipc__owe_nothing(t, owing);
		if (r < 0 && r != -EAGAIN)
			return r; /* it was not woken */
		r = enter(o, v, d);
		if (r < 0)
			return give_up(t, o, relay, r);
	}
}

int fipc__owned_wait(void *object, fipc_deadline d)
{
	struct owned *o = object;
	struct owned_view *v;
	struct thread *t;
	int r = find_view(o, &v);
	if (r < 0)
		return r;
	t = fipc__self;
	if (__builtin_expect(get(&o->available) == 0 && d > FIPC_NOW, 0))
		spin(o);
	if (dash_in(t, o)) {
		if (__builtin_expect(take_quickly(t, o, v), 1)) {
			dash_out(t, o);
			return 0;
		}
		settle_in(t, o);
	} else {
		r = enter(o, v, d);
	}
	return r < 0 ? r : wait_slowly(t, o, v, d);
}

/* ---- for who waits for several things at once ---- */

_Atomic uint32_t *fipc__owned_any(void *object)
{
	return &((struct owned *)object)->any;
}

/* Inside. As fipc__owned_watch(). */
static int watch(struct owned *o, const struct owned_view *v, struct futex_place *places, unsigned room,
		 unsigned *ret_n)
{
	uint32_t span = span_of(o, v);
	if (get(&o->available) == 0)
		reap(o, v);
	if (get(&o->available) > 0)
		return 1;
	if (room < FUTEX_PLACES_MAX - WATCHED_MAX + (span < WATCHED_MAX ? span : WATCHED_MAX))
		return -E2BIG;
	return arm(o, v, places, ret_n) ? 0 : 1;
}

int fipc__owned_watch(void *object, struct futex_place *places, unsigned room, unsigned *ret_n)
{
	struct owned *o = object;
	struct owned_view *v;
	int r = find_view(o, &v);
	if (r == 0)
		r = enter(o, v, FIPC_FOREVER);
	if (r < 0)
		return r;
	r = watch(o, v, places, room, ret_n);
	leave(o);
	return r;
}

void fipc__owned_pass_on(void *object)
{
	struct owned *o = object;
	struct owned_view *v;
	bool owing;
	if (find_view(o, &v) < 0 || enter(o, v, FIPC_FOREVER) < 0)
		return;
	owing = fipc__owe(fipc__self, &o->queue);
	reap(o, v);
	pass_on(o);
	fipc__owe_nothing(fipc__self, owing);
	leave(o);
}

/* ---- post ---- */

static uint64_t held_here(const struct owned *o, const struct owned_view *v)
{
	uint32_t span = span_of(o, v);
	uint64_t sum = 0;
	for (uint32_t i = 0; i < span; i++)
		if (is_ours(&o->slot[i], v))
			sum += get(&o->slot[i].held);
	return sum;
}

static uint32_t give_from(struct life *l, uint32_t n)
{
	uint32_t held = get(&l->held), given = held < n ? held : n;
	put(&l->held, held - given);
	return n - given;
}

/* First this thread's, then other threads' of its process. */
static void give(struct owned *o, const struct owned_view *v, uint32_t n)
{
	uint32_t left = v->mine == NONE ? n : give_from(&o->slot[v->mine], n);
	for (uint32_t i = 0; left > 0 && i < span_of(o, v); i++)
		if (is_ours(&o->slot[i], v))
			left = give_from(&o->slot[i], left);
	put(&o->available, get(&o->available) + n);
}

static inline bool holds_here(const struct owned *o, const struct owned_view *v, uint32_t n)
{
	return (v->mine != NONE && get(&o->slot[v->mine].held) >= n) || held_here(o, v) >= n;
}

static __attribute__((noinline, cold)) void give_and_wake(struct thread *t, struct owned *o, const struct owned_view *v,
							   uint32_t n)
{
	bool owing = fipc__owe(t, &o->queue);
	give(o, v, n);
	if (has_sleepers(o))
		wake(o, n);
	fipc__owe_nothing(t, owing);
}

/* A post is not given up for a signal. */
static int enter_to_post(struct owned *o, const struct owned_view *v)
{
	int r;
	do
		r = enter(o, v, FIPC_FOREVER);
	while (r == -EINTR);
	return r;
}

static __attribute__((noinline)) int post_slowly(struct thread *t, struct owned *o, struct owned_view *v, uint32_t n)
{
	int r = enter_to_post(o, v);
	if (r < 0)
		return r;
	if (!holds_here(o, v, n))
		r = -EPERM;
	else if (n > 0)
		give_and_wake(t, o, v, n);
	if (v->mine != NONE && get(&o->slot[v->mine].held) == 0)
		vacate(t, o, v);
	leave(o);
	return r;
}

/* Give back what this thread holds, if nobody sleeps. Leaves the pending entry alone. */
static inline bool give_quickly(struct thread *t, struct owned *o, struct owned_view *v, uint32_t n)
{
	struct life *l = &o->slot[v->mine];
	if (__builtin_expect(get(&l->held) < n || has_sleepers(o), 0))
		return false;
	put(&l->held, get(&l->held) - n);
	put(&o->available, get(&o->available) + n);
	if (get(&l->held) == 0)
		vacate(t, o, v);
	return true;
}

int fipc__owned_post(void *object, uint32_t n)
{
	struct owned *o = object;
	struct owned_view *v;
	struct thread *t;
	int r = find_view(o, &v);
	if (r < 0)
		return r;
	t = fipc__self;
	if (__builtin_expect(v->mine != NONE && dash_in(t, o), 1)) {
		bool given = give_quickly(t, o, v, n);
		dash_out(t, o);
		if (__builtin_expect(given, 1))
			return 0;
	}
	return post_slowly(t, o, v, n);
}

/* ---- closing ---- */

/* Does a thread of this process hold a token, or own a slot? One that is the caller's and holds nothing is given up. */
static int in_use(struct owned *o, struct owned_view *v)
{
	uint32_t span = span_of(o, v);
	if (v->mine != NONE && get(&o->slot[v->mine].held) == 0)
		vacate(fipc__self, o, v);
	for (uint32_t i = 0; i < span; i++)
		if (is_ours(&o->slot[i], v) && (get(&o->slot[i].held) > 0 || !is_unowned(get(&o->slot[i].word))))
			return -EBUSY;
	return 0;
}

/* The caller has the lock over all handles, so nobody is waited for. */
static int busy_in(struct owned *o, size_t size)
{
	struct owned_view v = {.process = fipc__process_number(),
			       .slots = (uint32_t)((size - sizeof(*o)) / sizeof(struct life))};
	int r = fipc_mutex_trylock(&o->mutex);
	if (r == FIPC_OWNER_DIED)
		r = recover(o, &v);
	if (r < 0)
		return r == -EBUSY ? -EAGAIN : 0; /* what is no mutex any more is not waited for */
	v.mine = find_mine(fipc__self, o, v.slots);
	r = in_use(o, &v);
	leave(o);
	return r;
}

int fipc__owned_busy(const void *object)
{
	struct owned *o = (struct owned *)(uintptr_t)object;
	size_t size = size_for(o->slots <= SLOTS_MAX ? o->slots : 0);
	int r;
	if (fipc__mutex_held_here(mutex_of(&o->mutex)) ||
	    fipc__robust_pending_among((const struct mutex *)object, size / sizeof(struct mutex)))
		return -EAGAIN;
	r = busy_in(o, size);
	if (r == 0)
		atomic_fetch_add_explicit(&closings, 1, memory_order_relaxed);
	return r;
}

/* ---- looking: at shared memory, or at a copy ---- */

static uint32_t slots_in(const struct owned *o, size_t size)
{
	uint32_t room = size < sizeof(*o) ? 0 : (uint32_t)((size - sizeof(*o)) / sizeof(struct life));
	return o->slots < room ? o->slots : room;
}

static uint32_t count_held_by_living(const struct owned *o, uint32_t slots)
{
	uint64_t sum = 0;
	for (uint32_t i = 0; i < slots; i++)
		if (!is_dead(get(&o->slot[i].word)))
			sum += get(&o->slot[i].held);
	return sum < o->initial ? (uint32_t)sum : o->initial;
}

/* Nobody was inside meanwhile if all tokens are there, in the slots or to be had; of a dead process's, those too. */
static bool adds_up(const struct owned *o, uint32_t slots)
{
	uint64_t sum = get(&o->available);
	for (uint32_t i = 0; i < slots; i++)
		sum += get(&o->slot[i].held);
	return sum == o->initial;
}

/* Tried a few times: a process that died inside may have left `available` wrong. */
static uint32_t value_of(const struct owned *o, size_t size)
{
	uint32_t slots = slots_in(o, size), held;
	int tries = SPINS;
	do
		held = count_held_by_living(o, slots);
	while (!adds_up(o, slots) && --tries > 0);
	return o->initial - held;
}

int64_t fipc__owned_value(const void *object, size_t size)
{
	return size < sizeof(struct owned) ? -EINVAL : (int64_t)value_of(object, size);
}

static unsigned find_holder(const struct owned_holder *holders, unsigned n, const struct life *l)
{
	unsigned i = 0;
	while (i < n && (holders[i].pid != get(&l->pid) ||
			 holders[i].process != atomic_load_explicit(&l->process, memory_order_relaxed)))
		i++;
	return i;
}

unsigned fipc__owned_holders(const void *object, size_t size, struct owned_holder *ret, unsigned room)
{
	const struct owned *o = object;
	uint32_t slots = slots_in(o, size);
	unsigned n = 0;
	for (uint32_t i = 0; i < slots; i++) {
		const struct life *l = &o->slot[i];
		unsigned at;
		if (get(&l->held) == 0 || is_dead(get(&l->word)))
			continue;
		at = find_holder(ret, n, l);
		if (at == room)
			continue;
		if (at == n)
			ret[n++] = (struct owned_holder){atomic_load_explicit(&l->process, memory_order_relaxed),
							 get(&l->pid), 0};
		ret[at].held += get(&l->held);
	}
	return n;
}

static int describe(const struct owned *o, size_t size, struct fipc_sem_info *ret)
{
	struct owned_holder holders[SLOTS_MAX];
	if (size < sizeof(*o))
		return -EINVAL;
	*ret = (struct fipc_sem_info){
		.size = sizeof(*ret),
		.value = value_of(o, size),
		.last_pid = get(&o->last_pid),
		.holders = fipc__owned_holders(o, size, holders, SLOTS_MAX),
		.acquired_ns = atomic_load_explicit(&o->acquired_ns, memory_order_relaxed),
	};
	return 0;
}

int fipc__owned_info(const void *object, size_t size, struct fipc_sem_info *ret)
{
	int r = describe(object, size, ret);
	if (r == 0)
		ret->waiters = fipc__futex_sleepers((const char *)object + offsetof(struct owned, queue));
	return r;
}

int fipc__owned_look(const struct look *l, struct fipc_sem_info *ret)
{
	int r = describe(l->copy, l->copied, ret);
	if (r == 0)
		ret->waiters = fipc__look_asleep(l, offsetof(struct owned, queue));
	return r;
}
