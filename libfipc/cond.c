/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The condition variable. Words and their rules: cond.h; how threads sleep: park.h.
 *
 * A thread is killed (crash list). In signal and broadcast the word is pending from before the swap:
 *
 *	before the swap                  nothing happened.
 *	signal, between swap and wake    the kernel wakes one: whom the signal would have woken.
 *	broadcast, between swap and      the kernel wakes one, who finds READY beside WAITERS and wakes all; killed before,
 *	wake                             the kernel wakes the next. Who comes to wait meanwhile wakes all too.
 *
 * In wait:
 *
 *	before m is unlocked             m says OWNER_DIED. WAITERS may stand there with nobody asleep.
 *	before it sleeps                 nothing was given to it: a wake-up goes to one who sleeps.
 *	asleep, woken, waiting for its   the word is pending: the kernel wakes the next sleeper.
 *	turn
 *	between the courier's swap and   the same, by the word; the courier's word has the TID of a thread that is gone.
 *	its record                       Who next wants to be courier asks the kernel about it, and takes its place.
 *	the courier, until it has m      its word carries its TID, by pending or the list: the kernel makes it OWNER_DIED
 *	                                 and wakes one who sleeps on it: a sleeper; or one who waits for its turn, and
 *	                                 who, courier then, finds OWNER_DIED and wakes a sleeper. What it had been given
 *	                                 of m: mutex.c.
 *	the courier that has m           m says OWNER_DIED. One sleeper too many wakes up.
 *	between the release of the       the word is pending and free: the kernel wakes one who sleeps on it. Who waits
 *	courier's word and the wake of   for its turn then has it; a sleeper wakes those who wait for their turn.
 *	those who wait for their turn
 *
 * Not every wake-up finds the one it was meant for: a kernel that wakes for the dead, a signaller that is late, may
 * meet one who began to wait after the signal (seen == sequence). He wakes one more, and returns, for no reason: so
 * this ends, at the latest when nobody sleeps.
 *
 * Whoever sees that WAITERS is clear owes nothing: it is cleared in one step with waking all, and whoever was about to
 * sleep then finds the sequence changed, or came after the signal.
 */
#include "cond.h"

#include "handle.h"
#include "mutex.h"
#include "slot.h"

#include <errno.h>
#include <string.h>

#define TURN_MS 20 /* no longer does one stopped process hold up the others */
#define WAITERS ((uint64_t)PARK_WAITERS << 32)
#define READY ((uint64_t)PARK_READY << 32)

static inline uint32_t sequence_of(uint64_t v)
{
	return (uint32_t)v;
}

/* relaxed: what is waited for is published by the mutex, and a signaller who has held it since sees WAITERS by that; the
 * kernel compares again before it lets anybody sleep. */
static inline uint64_t look_at(const struct cond *c)
{
	return atomic_load_explicit(&c->state, memory_order_relaxed);
}

/* release: who has seen a signal and closes finds the word pending until its signaller has woken (busy, cond_named.c) */
static inline bool swap(struct cond *c, uint64_t *v, uint64_t desired)
{
	return atomic_compare_exchange_strong_explicit(&c->state, v, desired, memory_order_release,
						       memory_order_relaxed);
}

/* ---- what kind of memory is this ---- */

static struct cond *cond_of(fipc_cond *c)
{
	return (struct cond *)(void *)c;
}

int fipc__cond_check(const struct cond *c)
{
	/* acquire; pairs with the release in place.c: who sees the magic sees the rest */
	uint32_t magic = atomic_load_explicit(&c->magic, memory_order_acquire);
	return fipc__kind_check(magic, atomic_load_explicit(&c->kind, memory_order_relaxed), KIND_COND,
				KIND_COND_FLAGS);
}

static int check_given(const struct cond *c)
{
	return fipc__place_check(c, KIND_COND, KIND_COND_FLAGS);
}

/* The whole header in one comparison, whatever its flags. */
static inline bool plain(const struct cond *c)
{
	return (atomic_load_explicit(&c->head, memory_order_relaxed) & ~((uint64_t)KIND_COND_FLAGS << 32)) ==
	       ((uint64_t)KIND_COND << 32 | OBJECT_MAGIC);
}

/* ---- signal and broadcast ---- */

/* left: what the state has besides WAITERS and the next sequence. The word goes on record before the swap. */
static __attribute__((noinline)) int announce(struct cond *c, uint64_t left)
{
	uint64_t v = look_at(c);
	struct debt debt = {0};
	while (v & WAITERS) {
		if (!debt.pending)
			fipc__incur(&debt, fipc__self, &c->word);
		if (!swap(c, &v, (v & (WAITERS | READY)) | left | (sequence_of(v) + UINT32_C(1))))
			continue;
		if ((v | left) & READY)
			fipc__unpark_all(&c->word);
		else
			fipc__unpark(&c->word, 1);
		break;
	}
	fipc__settle(&debt);
	return 0;
}

static inline int tell(struct cond *c, uint64_t left)
{
	int r = plain(c) ? 0 : check_given(c);
	return r < 0 || !(look_at(c) & WAITERS) ? r : announce(c, left);
}

int fipc_cond_signal(fipc_cond *c)
{
	return tell(cond_of(c), 0);
}

int fipc_cond_broadcast(fipc_cond *c)
{
	return tell(cond_of(c), READY);
}

/* ---- the courier ---- */

static struct mutex *courier_lock(const struct cond *c)
{
	return (struct mutex *)((uintptr_t)c + COURIER_BASE);
}

/* Sleep until the courier k may be done. False: long enough. The word stays pending. */
static bool await_turn(struct cond *c, uint32_t k, fipc_deadline patience)
{
	int r;
	/* seq_cst; pairs with the courier's swap and its look at `turn`: it sees this, or the kernel sees its swap */
	if (!(atomic_load_explicit(&c->turn, memory_order_relaxed) & PARK_WAITERS))
		atomic_fetch_or_explicit(&c->turn, PARK_WAITERS, memory_order_seq_cst);
	r = fipc__park(&c->turn, PARK_WAITERS, &c->courier, k, patience);
	return r == 0 || r == -EAGAIN;
}

/* Have the courier's word, with the other one pending. *ret_old: what it was. False: not in time. */
static bool have_turn(const struct thread *t, struct cond *c, uint32_t *ret_old)
{
	fipc_deadline patience = FIPC_NOW;
	uint32_t k = atomic_load_explicit(&c->courier, memory_order_relaxed);
	for (;;) {
		if ((k & WORD_TID) == 0 || fipc__thread_is_gone(k & WORD_TID)) {
			*ret_old = k;
			/* acquire; pairs with the release of the courier before: our list goes through the same link */
			if (atomic_compare_exchange_strong_explicit(&c->courier, &k, t->tid | WORD_WAITERS,
								    memory_order_acquire, memory_order_relaxed))
				return true;
			continue;
		}
		if (patience == FIPC_NOW)
			patience = fipc_after_ms(TURN_MS);
		if (!await_turn(c, k, patience))
			return false;
		k = atomic_load_explicit(&c->courier, memory_order_relaxed);
	}
}

/* True: this thread is the courier, and on record for it alone. False: one is in the way; the word is pending. */
static bool become_courier(struct thread *t, struct cond *c)
{
	void *node = node_of(t, courier_lock(c));
	uint32_t old;
	if (t->limit - t->top < 2 || !have_turn(t, c, &old)) /* one for the courier, one for the mutex */
		return false;
	/* release: who closes, and does not find the other word pending any more, finds the courier's taken */
	set_pending(t, node);
	push_held(t, node);
	set_pending(t, NULL);
	if (old & (WORD_TID | WORD_OWNER_DIED))
		fipc__unpark(&c->word, 1); /* what the dead owed */
	return true;
}

static void wake_those_in_turn(struct cond *c)
{
	/* seq_cst; pairs with await_turn */
	if (atomic_load_explicit(&c->turn, memory_order_seq_cst) & PARK_WAITERS)
		fipc__unpark_all(&c->turn);
}

static void courier_is_done(struct thread *t, struct cond *c)
{
	void *node = node_of(t, courier_lock(c));
	void **at = find_held(t, node);
	set_pending(t, node);
	remove_held(t, at);
	/* release; pairs with have_turn */
	atomic_store_explicit(&c->courier, WORD_WAITERS, memory_order_seq_cst);
	wake_those_in_turn(c);
	set_pending(t, NULL);
}

bool fipc__cond_courier_here(const struct cond *c)
{
	/* In this order: who lets go of the word has it pending from before that. */
	return fipc__mutex_word_is_ours(courier_lock(c)) || fipc__park_pending(&c->courier);
}

/* ---- wait ---- */

/* Say that somebody is about to sleep who has seen this sequence. False: it has moved on. */
static bool note(struct cond *c, uint32_t seen)
{
	uint64_t v = look_at(c);
	while (sequence_of(v) == seen) {
		if ((v & (READY | WAITERS)) == (READY | WAITERS)) {
			fipc__unpark_all(&c->word);
			v = look_at(c);
		} else if (v == (WAITERS | seen) || swap(c, &v, WAITERS | seen)) {
			return true;
		}
	}
	return false;
}

/* For the kernel's wake-up at a courier's death; relaxed: it compares the word again. */
static uint32_t note_at_courier(struct cond *c)
{
	uint32_t k = atomic_load_explicit(&c->courier, memory_order_relaxed);
	if (!(k & WORD_WAITERS))
		k = atomic_fetch_or_explicit(&c->courier, WORD_WAITERS, memory_order_relaxed) | WORD_WAITERS;
	return k;
}

/* A courier's death wakes by the third word. */
static int sleep_once(struct cond *c, uint32_t seen, fipc_deadline d)
{
	const struct futex_place places[] = {
		{(const void *)&c->word, PARK_WAITERS},
		{(const void *)&c->sequence, seen},
		{(const void *)&c->courier, note_at_courier(c)},
	};
	return fipc__sleep(places, 3, d);
}

/* The word is pending. 0 signalled, not asleep at that moment; 1 woken; or why not. */
static int sleep_on(struct cond *c, uint32_t seen, fipc_deadline d)
{
	while (note(c, seen)) {
		int r = sleep_once(c, seen, d);
		if (r != -EAGAIN)
			return r < 0 ? r : 1;
	}
	return 0;
}

/* Woken: does it owe the next sleeper a wake-up, should it die before it has the mutex? What can be done now, is. */
static bool owes(struct cond *c, uint32_t seen)
{
	uint64_t v = look_at(c);
	if ((atomic_load_explicit(&c->courier, memory_order_relaxed) & WORD_TID) == 0)
		wake_those_in_turn(c); /* by the death of one who was about to */
	if (!(v & WAITERS))
		return false;
	if (v & READY)
		fipc__unpark_all(&c->word);
	else if (sequence_of(v) == seen)
		fipc__unpark(&c->word, 1);
	else
		return true;
	return false;
}

/* Waits as long as it takes: the caller is promised the mutex. */
static int lock_again(fipc_mutex *m)
{
	int interruptible = fipc_set_interruptible(0), r = fipc_mutex_lock(m);
	fipc_set_interruptible(interruptible);
	return r;
}

/* Back from sleep, with the word pending. */
static int lock_as_woken(struct thread *t, struct cond *c, fipc_mutex *m, uint32_t seen)
{
	bool courier = false;
	int r;
	if (owes(c, seen)) {
		courier = become_courier(t, c);
		if (!courier)
			fipc__unpark(&c->word, 1);
	}
	set_pending(t, NULL);
	r = lock_again(m);
	if (courier)
		courier_is_done(t, c);
	return r;
}

/* m is unlocked. As fipc_cond_wait(). */
static int wait_and_lock(struct thread *t, struct cond *c, fipc_mutex *m, uint32_t seen, fipc_deadline d)
{
	int r, locked;
	set_pending(t, (void *)((uintptr_t)&c->word - (uintptr_t)t->futex_offset));
	r = sleep_on(c, seen, d);
	if (fipc__cond_check(c) < 0) {
		set_pending(t, NULL);
		return -EINVAL; /* destroyed meanwhile */
	}
	if (r == 1)
		return lock_as_woken(t, c, m, seen);
	set_pending(t, NULL);
	if (r < 0 && r != -ETIMEDOUT && r != -EINTR)
		return r;
	locked = lock_again(m);
	return locked != 0 ? locked : r;
}

int fipc_cond_wait_until(fipc_cond *public, fipc_mutex *m, fipc_deadline d)
{
	struct cond *c = cond_of(public);
	struct thread *t = fipc__self;
	uint32_t seen = 0;
	int r, unlocked;
	if (!find_held(t, node_of(t, mutex_of(m))))
		return fipc_mutex_unlock(m); /* knows why not */
	r = plain(c) ? 0 : check_given(c);
	if (r == 0)
		do
			seen = sequence_of(look_at(c));
		while (!note(c, seen));
	unlocked = fipc_mutex_unlock(m);
	if (unlocked < 0 || r < 0)
		return unlocked < 0 ? unlocked : r;
	return wait_and_lock(t, c, m, seen, d < FIPC_NOW ? FIPC_NOW : d);
}

int fipc_cond_wait(fipc_cond *c, fipc_mutex *m)
{
	return fipc_cond_wait_until(c, m, FIPC_FOREVER);
}

/* ---- in place ---- */

/* Nobody waits, and nothing was signalled: zeros. */
static void fill(void *object, uint32_t initial)
{
	(void)object, (void)initial;
}

void fipc__cond_image(struct cond *c, unsigned flags)
{
	fipc__place_image(c, KIND_COND | fipc__kind_flags(flags), fill, 0);
}

int fipc_cond_init(fipc_cond *public, unsigned flags)
{
	if (fipc__misaligned(public) || flags & ~(unsigned)FIPC_PRIVATE)
		return -EINVAL;
	fipc__cond_image(cond_of(public), flags);
	return 0;
}

int fipc_cond_attach(fipc_cond *public, unsigned flags)
{
	if (fipc__misaligned(public) || flags)
		return -EINVAL;
	return fipc__place_attach(public, KIND_COND, KIND_COND_FLAGS, fill, 0);
}

int fipc_cond_destroy(fipc_cond *public)
{
	struct cond *c = cond_of(public);
	uint32_t k;
	int r = fipc__misaligned(public) ? -EINVAL : check_given(c);
	if (r < 0)
		return r;
	k = atomic_load_explicit(&c->courier, memory_order_relaxed) & WORD_TID;
	if (k != 0 && !fipc__thread_is_gone(k))
		return -EBUSY;
	return fipc__place_destroy(c, &c->word);
}

/* ---- looking ---- */

void fipc__cond_describe(const struct cond *c, struct fipc_cond_info *ret)
{
	*ret = (struct fipc_cond_info){.size = sizeof(*ret), .signals = sequence_of(look_at(c))};
}

int fipc_cond_info(const fipc_cond *public, struct fipc_cond_info *ret, size_t size)
{
	struct fipc_cond_info info;
	const struct cond *c;
	int r;
	if (fipc__misaligned(public) || size < INFO_SIZE_MIN)
		return -EINVAL;
	c = fipc__handle_behind_view(public);
	r = fipc__cond_check(c);
	if (r < 0)
		return r;
	fipc__cond_describe(c, &info);
	info.waiters = fipc__futex_sleepers((const void *)&c->word);
	fipc__give_info(ret, size, &info);
	return 0;
}
