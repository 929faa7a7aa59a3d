/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The counting semaphore. Bits and their rules: sem.h; how threads sleep: park.h.
 *
 * A thread is killed (crash list); the word is pending from before it sleeps, or from before a post that sees WAITERS:
 *
 *	in wait, before the swap that    nothing was taken. WAITERS may stand there with nobody asleep. If it had been
 *	takes                            woken: the kernel wakes the next sleeper, who finds the token, or finds it gone
 *	                                 and sleeps on.
 *	in wait, after it                the dead has taken the token. The kernel wakes one: in vain, or for the tokens
 *	                                 that are left, if a killed poster's single wake-up stood for several.
 *	in post, before the swap         nothing was added.
 *	in post, between swap and wake   n were added, and the kernel wakes one. Whoever was asleep, takes a token and
 *	                                 leaves some behind with WAITERS wakes one more (come_back): so n get up. If the
 *	                                 swap took WAITERS away, he sets it again when others may sleep, or by falling
 *	                                 asleep again; and killed before that, he has the word pending, and the next
 *	                                 sleeper comes back in his stead.
 *	in post, between the wake of     WAITERS stays set with nobody asleep, or with a sleeper that came since: there
 *	nobody and the clearing          was no token any more when he fell asleep, and the next post wakes him.
 *	in wait, while counted           `sleepers` stays too high: see sem.h.
 *
 * WAITERS cannot appear between post's look and its swap: they are one atomic, and the swap fails.
 */
#include "sem.h"

#include "clock.h"
#include "handle.h"
#include "sem_owned.h"
#include "spin.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

/*
 * Before it sleeps a waiter spins as long as a wake-up takes: 17 us, of an idle virtual core. Measured, two processes
 * on two cores that post to each other, on a busy machine: 45 us a round without, the same with 100 pauses of 25 ns,
 * 0.8 to 35 with
 * 400, 4 with 700 (0.1 if nobody else runs). Where it is in vain, spin.h tells.
 */
#define SPINS 700
#define WAITERS ((uint64_t)PARK_WAITERS << 32)
#define READY ((uint64_t)PARK_READY << 32)

static inline uint32_t tokens_of(uint64_t v)
{
	return (uint32_t)v;
}

/* A state with so many tokens, and WAITERS as in v. */
static inline uint64_t with_tokens(uint64_t v, uint32_t tokens)
{
	return (v & WAITERS) | (tokens ? READY : 0) | tokens;
}

/* ---- what kind of memory is this ---- */

int fipc__sem_check(const struct sem *s)
{
	/* acquire; pairs with the release in place.c: who sees the magic sees the rest */
	uint32_t magic = atomic_load_explicit(&s->magic, memory_order_acquire);
	return fipc__kind_check(magic, atomic_load_explicit(&s->kind, memory_order_relaxed), KIND_SEM, KIND_SEM_FLAGS);
}

static int check_given(const struct sem *s)
{
	return fipc__place_check(s, KIND_SEM, KIND_SEM_FLAGS);
}

/* ---- the fast paths ---- */

#define PLAIN ((uint64_t)KIND_SEM << 32 | OBJECT_MAGIC)
#define PLAIN_PRIVATE ((uint64_t)(KIND_SEM | KIND_PRIVATE) << 32 | OBJECT_MAGIC)

/* The whole header in one comparison: a semaphore with no flags, or none but FIPC_PRIVATE. */
static inline bool is_plain(const struct sem *s)
{
	uint64_t head = atomic_load_explicit(&s->head, memory_order_relaxed);
	return __builtin_expect(head == PLAIN, 1) || head == PLAIN_PRIVATE;
}

/* acquire and release, each pairing with the other */
static inline __attribute__((always_inline)) bool swap(struct sem *s, uint64_t seen, uint64_t wanted)
{
	return __builtin_expect(atomic_compare_exchange_strong_explicit(&s->state, &seen, wanted, memory_order_acq_rel,
									memory_order_relaxed),
				1);
}

/*
 * A constant that the compiler does not know, and so does not replace by the state that was found equal to it. For a
 * swap has to wait for what was loaded, and need not for a constant: that they are equal is a branch, and foretold. Of
 * a semaphore that is used as a lock, a sixth of wait and post.
 */
static inline __attribute__((always_inline)) uint64_t hidden(uint64_t v)
{
	__asm__ volatile("" : "+r"(v));
	return v;
}

/* ---- post ---- */

/*
 * Having changed the state, and left WAITERS in it. n of a crowd are enough; where nobody is found, WAITERS goes.
 * `any`: seq_cst; pairs with the store of one who sleeps on several words, and the swap was seq_cst too: either this
 * sees `any`, or the kernel, when it puts that one to sleep, sees READY.
 */
static __attribute__((noinline, cold)) void wake(struct sem *s, uint32_t n)
{
	if (atomic_load_explicit(&s->any, memory_order_seq_cst) != 0 ||
	    fipc__futex_wake((const void *)&s->word, n, FUTEX_SHARED) <= 0)
		fipc__unpark_all(&s->word);
}

/*
 * Does one sleep alone, as it seems? relaxed: who comes meanwhile is woken by who takes WAITERS away, or, should that
 * one be killed, sees to it that it is set again (come_back).
 */
static bool one_sleeps(const struct sem *s)
{
	return atomic_load_explicit(&s->sleepers, memory_order_relaxed) <= 1 &&
	       atomic_load_explicit(&s->any, memory_order_relaxed) == 0;
}

/*
 * The word goes on record as soon as WAITERS is seen: before the swap that adds. That swap takes WAITERS away if one
 * sleeps alone, and this wakes all there: so a hand-over between two costs one wake-up, and leaves nothing behind that
 * would make the next post look for sleepers. Not without a record, for then nobody would set it again.
 */
static int add(struct thread *t, struct sem *s, uint32_t n)
{
	uint64_t v = atomic_load_explicit(&s->state, memory_order_relaxed), next;
	struct debt debt = {0};
	int r = 0;
	do {
		if (n > UINT32_MAX - tokens_of(v)) {
			r = -EOVERFLOW;
			break;
		}
		if (v & WAITERS && !debt.pending)
			fipc__incur(&debt, t, &s->word);
		next = with_tokens(v, tokens_of(v) + n);
		if (debt.pending && one_sleeps(s))
			next &= ~WAITERS;
	} while (!atomic_compare_exchange_weak_explicit(&s->state, &v, next, memory_order_seq_cst,
							memory_order_relaxed));
	if (r == 0 && next & WAITERS)
		wake(s, n);
	else if (r == 0 && v & WAITERS)
		fipc__futex_wake((const void *)&s->word, UINT_MAX, FUTEX_SHARED);
	fipc__settle(&debt);
	return r;
}

static __attribute__((noinline)) int post_slowly(struct sem *s, uint32_t n)
{
	int r = check_given(s);
	if (r < 0)
		return r;
	return n ? add(fipc__self, s, n) : 0;
}

int fipc_sem_post(fipc_sem *public, uint32_t n)
{
	struct sem *s = (struct sem *)(void *)public;
	const uint64_t none = hidden(0);
	uint64_t v = atomic_load_explicit(&s->state, memory_order_relaxed);
	if (__builtin_expect(is_plain(s) && n != 0, 1)) {
		if (v == 0) {
			if (swap(s, none, READY + n))
				return 0;
		} else if (v > READY && v < WAITERS && tokens_of(v) <= UINT32_MAX - n) {
			if (swap(s, v, v + n))
				return 0;
		}
	}
	return is_owned(s) ? fipc__owned_post(s, n) : post_slowly(s, n);
}

/* ---- wait ---- */

/* Take one, if there is one; *v: the state as it was seen, and as it is left. */
static inline bool take(struct sem *s, uint64_t *v)
{
	uint64_t left;
	do {
		if (tokens_of(*v) == 0)
			return false;
		left = with_tokens(*v, tokens_of(*v) - 1);
		/* acquire; pairs with the release in post */
	} while (!atomic_compare_exchange_weak_explicit(&s->state, v, left, memory_order_acquire,
							memory_order_relaxed));
	*v = left;
	return true;
}

/* relaxed: for people. A store that changes nothing is left out: it would hold up the next swap. */
static inline void note_pid(struct sem *s, uint32_t pid)
{
	if (__builtin_expect(atomic_load_explicit(&s->last_pid, memory_order_relaxed) != pid, 0))
		atomic_store_explicit(&s->last_pid, pid, memory_order_relaxed);
}

static void note(const struct thread *t, struct sem *s)
{
	note_pid(s, t->pid);
	if (atomic_load_explicit(&s->kind, memory_order_relaxed) & KIND_TIMESTAMPS)
		atomic_store_explicit(&s->acquired_ns, (uint64_t)fipc__now_ns(), memory_order_relaxed);
}

/* Sleep for a moment, there being no token in v. 0 woken; -EAGAIN look again; or an error. */
static int sleep_on(struct sem *s, uint64_t v, fipc_deadline d)
{
	/* relaxed: the kernel compares the word again. All 64 bits: a token posted meanwhile makes it fail. */
	if (v != WAITERS && !atomic_compare_exchange_strong_explicit(&s->state, &v, WAITERS, memory_order_relaxed,
								     memory_order_relaxed))
		return -EAGAIN;
	return fipc__park(&s->word, PARK_WAITERS, NULL, 0, d);
}

/*
 * Whoever was woken may have been the only one, in the stead of a killed poster: so if others sleep, as far as can be
 * told, he sets the WAITERS that the poster may have taken away; and if there are more tokens, wakes one more.
 * relaxed: who slept when the poster took it away was counted before he was put to sleep, and that before the wake.
 */
static void come_back(struct sem *s, uint64_t v)
{
	if (atomic_load_explicit(&s->sleepers, memory_order_relaxed) != 0 ||
	    atomic_load_explicit(&s->any, memory_order_relaxed) != 0)
		v = atomic_fetch_or_explicit(&s->state, WAITERS, memory_order_relaxed) | WAITERS;
	if (v & WAITERS && tokens_of(v) > 0)
		wake(s, 1);
}

/* Sleep until there is one, and have it. The word is pending, and this counted. */
static int sleep_and_take(struct sem *s, fipc_deadline d, uint64_t *ret_left, bool *ret_woken)
{
	*ret_woken = false;
	for (;;) {
		int r;
		*ret_left = atomic_load_explicit(&s->state, memory_order_relaxed);
		if (take(s, ret_left))
			return 0;
		r = sleep_on(s, *ret_left, d);
		*ret_woken |= r == 0;
		if (r == -EAGAIN || r == 0)
			r = fipc__sem_check(s); /* destroyed meanwhile? */
		if (r < 0)
			return r;
	}
}

/* relaxed: the count is looked at on the same occasions as the word, and may be too high */
static int get_asleep(struct sem *s, fipc_deadline d)
{
	uint64_t left;
	bool woken;
	int r;
	atomic_fetch_add_explicit(&s->sleepers, 1, memory_order_relaxed);
	r = sleep_and_take(s, d, &left, &woken);
	atomic_fetch_sub_explicit(&s->sleepers, 1, memory_order_relaxed);
	if (woken)
		come_back(s, left);
	return r;
}

/* Have one, or not. The word is pending. */
static int get(struct sem *s, fipc_deadline d)
{
	unsigned spins = fipc__may_spin() ? SPINS : 0;
	enum turn turn = TURN_OURS;
	for (;;) {
		uint64_t v = atomic_load_explicit(&s->state, memory_order_relaxed);
		if (take(s, &v))
			return 0;
		if (d <= FIPC_NOW)
			return -EAGAIN;
		if (spins > 0) {
			spins--;
			fipc__spin_pause();
		} else if (!fipc__let_others_run(&turn)) {
			return get_asleep(s, d);
		}
	}
}

static __attribute__((noinline)) int wait_slowly(struct sem *s, fipc_deadline d)
{
	struct thread *t;
	bool owing;
	int r = fipc__robust_enter();
	if (r == 0)
		r = check_given(s);
	if (r < 0)
		return r;
	t = fipc__self;
	owing = fipc__owe(t, &s->word);
	r = get(s, d);
	fipc__owe_nothing(t, owing);
	if (r == 0)
		note(t, s);
	return r;
}

/*
 * No system call, no clock: a plain semaphore that has tokens, and a thread that is ready (else its pid is 0 here). Or
 * the slow way does it all. Inlined in each caller.
 */
static inline __attribute__((always_inline)) int have_one(struct sem *s, fipc_deadline d)
{
	const uint64_t one = hidden(READY | 1);
	uint32_t pid = fipc__self->pid;
	uint64_t v = atomic_load_explicit(&s->state, memory_order_relaxed);
	if (__builtin_expect(is_plain(s) && pid != 0, 1)) {
		if (v == (READY | 1)) {
			if (swap(s, one, 0))
				goto taken;
		} else if (tokens_of(v) > 1) {
			if (swap(s, v, v - 1))
				goto taken;
		}
	}
	return is_owned(s) ? fipc__owned_wait(s, d) : wait_slowly(s, d);
taken:
	note_pid(s, pid);
	return 0;
}

int fipc_sem_wait(fipc_sem *s)
{
	return have_one((struct sem *)(void *)s, FIPC_FOREVER);
}

int fipc_sem_trywait(fipc_sem *s)
{
	return have_one((struct sem *)(void *)s, FIPC_NOW);
}

int fipc_sem_wait_until(fipc_sem *s, fipc_deadline d)
{
	return have_one((struct sem *)(void *)s, d);
}

/* ---- for who waits for several things at once ---- */

bool fipc__sem_note(struct sem *s)
{
	uint64_t v = atomic_load_explicit(&s->state, memory_order_relaxed);
	/* relaxed: the kernel compares the word again */
	while (tokens_of(v) == 0 && v != WAITERS)
		if (atomic_compare_exchange_weak_explicit(&s->state, &v, WAITERS, memory_order_relaxed,
							  memory_order_relaxed))
			return true;
	return tokens_of(v) == 0;
}

void fipc__sem_pass_on(struct sem *s)
{
	come_back(s, atomic_load_explicit(&s->state, memory_order_relaxed));
}

/* ---- in place ---- */

static void fill(void *object, uint32_t initial)
{
	struct sem *s = object;
	/* release; see fill_fn */
	atomic_store_explicit(&s->state, with_tokens(0, initial), memory_order_release);
}

void fipc__sem_image(struct sem *s, uint32_t initial, unsigned flags)
{
	fipc__place_image(s, KIND_SEM | fipc__kind_flags(flags), fill, initial);
}

int fipc_sem_init(fipc_sem *public, uint32_t initial, unsigned flags)
{
	if (fipc__misaligned(public) || flags & ~(unsigned)(FIPC_PRIVATE | FIPC_TIMESTAMPS))
		return -EINVAL;
	fipc__sem_image((struct sem *)(void *)public, initial, flags);
	return 0;
}

int fipc_sem_attach(fipc_sem *public, uint32_t initial, unsigned flags)
{
	if (fipc__misaligned(public) || flags & ~(unsigned)FIPC_TIMESTAMPS)
		return -EINVAL;
	return fipc__place_attach(public, KIND_SEM | fipc__kind_flags(flags), KIND_PRIVATE | KIND_TIMESTAMPS, fill,
				  initial);
}

int fipc_sem_destroy(fipc_sem *public)
{
	struct sem *s = (struct sem *)(void *)public;
	int r = fipc__misaligned(public) ? -EINVAL : check_given(s);
	return r < 0 ? r : fipc__place_destroy(s, &s->word);
}

/* ---- looking ---- */

/* relaxed throughout: a snapshot of words that change, for people */
void fipc__sem_describe(const struct sem *s, struct fipc_sem_info *ret)
{
	*ret = (struct fipc_sem_info){
		.size = sizeof(*ret),
		.value = tokens_of(atomic_load_explicit(&s->state, memory_order_relaxed)),
		.last_pid = atomic_load_explicit(&s->last_pid, memory_order_relaxed),
		.acquired_ns = atomic_load_explicit(&s->acquired_ns, memory_order_relaxed),
	};
}

int64_t fipc_sem_value(const fipc_sem *public)
{
	const struct sem *s;
	int r;
	if (fipc__misaligned(public))
		return -EINVAL;
	s = fipc__handle_behind_view(public);
	r = fipc__sem_check(s);
	if (r < 0)
		return r;
	if (is_owned(s))
		return fipc__owned_value(s, fipc__handle_size(public));
	return tokens_of(atomic_load_explicit(&s->state, memory_order_relaxed));
}

static void describe_here(const struct sem *s, struct fipc_sem_info *ret)
{
	fipc__sem_describe(s, ret);
	ret->waiters = fipc__futex_sleepers((const void *)&s->word);
}

int fipc_sem_info(const fipc_sem *public, struct fipc_sem_info *ret, size_t size)
{
	struct fipc_sem_info info;
	const struct sem *s;
	int r;
	if (fipc__misaligned(public) || size < INFO_SIZE_MIN)
		return -EINVAL;
	s = fipc__handle_behind_view(public);
	r = fipc__sem_check(s);
	if (r == 0 && is_owned(s))
		r = fipc__owned_info(s, fipc__handle_size(public), &info);
	else if (r == 0)
		describe_here(s, &info);
	if (r < 0)
		return r;
	fipc__give_info(ret, size, &info);
	return 0;
}
