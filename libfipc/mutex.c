/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The robust mutex. Bits and their rules: layout.h; the list: robust.h.
 *
 * A thread is killed (crash list):
 *
 *	in lock, before the CAS          pending is set, TID part 0 or another's. If 0 the kernel wakes the next sleeper:
 *	                                 a wake-up that the dead had been given is passed on. If another's, that one's
 *	                                 unlock wakes, because WAITERS was kept.
 *	in lock, after the CAS           the word carries its TID: the kernel makes it OWNER_DIED (keeping WAITERS) and
 *	                                 wakes one; by pending, or by the list.
 *	inside                           the same, by the list. The state word stays: a death while RECOVERING is a death.
 *	in abandon                       as in unlock; the word that it leaves is the one that its death would.
 *	in unlock, before the subtract   the same, by pending or the list. If the state was already set NOT_RECOVERABLE, the
 *	                                 next owner finds that.
 *	in unlock, after it, before the  pending is set, TID part 0: the kernel wakes one. If another has acquired meanwhile
 *	wake                             it kept WAITERS, and its unlock wakes.
 *	between the wake of nobody and   WAITERS stays set with nobody asleep, or with a sleeper that came since and whom the
 *	the clearing                     next unlock wakes. TID part 0 and a sleeper cannot be: nobody sleeps on a free word.
 */
#include "mutex.h"

#include "clock.h"
#include "fork.h"
#include "futex.h"
#include "handle.h"
#include "place.h"
#include "probe.h"
#include "slot.h"
#include "spin.h"

#include <errno.h>
#include <limits.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * A waiter spins first, in pauses (25 ns each where this was measured: two cores). At first it looks at the word ever
 * more rarely, for each look takes the cache line from the owner. Then it sets WAITERS and goes on: the owner's next
 * unlock enters the kernel, to wake, and leaves the word free for as long as that takes; else the owner, which has the
 * line, would win it back nearly every time. "x" below: times the throughput of glibc's robust process-shared mutex.
 *
 *	SPIN_QUIETLY	What the owner may do undisturbed from one hand-over, of a microsecond, to the next. Two
 *			processes, 100 ns inside: 32 makes 2.0 x, 64 makes 2.5 x, 128 makes 3.0 x; 99.9 % of the
 *			acquisitions take at most 1.1, 1.9 and 3.5 us, glibc's 1.2. Eight: 1.9, 2.3 and 2.7 x, no longer.
 *			On processors that happen to be further apart 64 makes 1.5, 128 makes 2.2, 256 makes 2.8 x, and
 *			99.9 % take at most 3.0, 4.4 and 7.5 us.
 *	SPIN_MAX	13 us: about what it costs to sleep and be woken, so waiting costs at most twice what it has to.
 *			With 1 us inside it makes 1.4 x, with 5 us 1.25 x; 84, enough for 100 ns, makes 1.2 and 0.9 x.
 *
 * And not where it is in vain (spin.h): all on one processor, and an owner that yields inside makes 0.95 x; spinning every
 * time 0.33 x.
 */
enum { SPIN_QUIETLY = 128, SPIN_MAX = 528, SPIN_STEP = 4 };

/* Until the next look; returns how many pauses that makes in all. */
static unsigned spin(unsigned spun)
{
	unsigned more = spun == 0 ? 1 : spun < SPIN_QUIETLY ? spun : SPIN_STEP;
	for (unsigned i = 0; i < more; i++)
		fipc__spin_pause();
	return spun + more;
}

/* A count that only the owner writes; relaxed: others read it for people. */
static void count(_Atomic uint32_t *counter)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1, memory_order_relaxed);
}

/* ---- what kind of memory is this ---- */

/* relaxed: stands from before the magic is published */
static inline uint32_t kind_of(const struct mutex *m)
{
	return atomic_load_explicit(&m->kind, memory_order_relaxed);
}

int fipc__mutex_check(const struct mutex *m)
{
	/* acquire; pairs with the release of publish(): who sees the magic sees the rest */
	uint32_t magic = atomic_load_explicit(&m->magic, memory_order_acquire);
	return fipc__kind_check(magic, kind_of(m), KIND_MUTEX, KIND_MUTEX_FLAGS);
}

/* The same of what a caller gave us, which may be the read-only view of a mutex. */
static int check_given(const struct mutex *m)
{
	int r = fipc__mutex_check(m);
	return r == -EINVAL && fipc__handle_is_view(m) ? -EACCES : r;
}

/* May this thread, made ready, lock it? */
int fipc__mutex_usable(struct thread *t, struct mutex *m)
{
	int r = check_given(m);
	if (r < 0)
		return r;
	if (atomic_load_explicit(&m->pidns, memory_order_relaxed) == t->pidns)
		return 0;
	if (!(kind_of(m) & KIND_PRIVATE))
		return -EXDEV;
	/* Static memory does not know its namespace, and a child's copy knows the parent's. */
	atomic_store_explicit(&m->pidns, t->pidns, memory_order_relaxed);
	return 0;
}

static uint32_t kind_for(unsigned flags)
{
	return KIND_MUTEX | (flags & FIPC_PRIVATE ? KIND_PRIVATE : 0) | (flags & FIPC_TIMESTAMPS ? KIND_TIMESTAMPS : 0);
}

static void fill(struct mutex *m, unsigned flags)
{
	m->kind = kind_for(flags);
	m->musl_waiters = 0;
	m->features = 0;
	m->state = STATE_CONSISTENT;
	m->pidns = fipc__process_pidns();
	m->owner_deaths = m->contended = m->acquisitions = m->owner_pid = 0;
	m->acquired_ns = 0;
}

static void publish(struct mutex *m)
{
	/* release; pairs with the acquire in fipc__mutex_check */
	atomic_store_explicit(&m->magic, OBJECT_MAGIC, memory_order_release);
}

void fipc__mutex_image(struct mutex *m, unsigned flags)
{
	memset(m, 0, sizeof(*m));
	fill(m, flags);
	publish(m);
}

/* ---- the lock word ---- */

/* Does no thread of this TID exist? Then its owner is dead for sure; one that took the TID since makes it look alive. */
bool fipc__thread_is_gone(uint32_t tid)
{
	int saved = errno;
	bool gone = syscall(SYS_tkill, (pid_t)tid, 0) < 0 && errno == ESRCH;
	errno = saved;
	return gone;
}

/* May this thread wait for the owner in v? */
static int may_wait(const struct thread *t, uint32_t v, fipc_deadline d)
{
	if ((v & WORD_TID) == t->tid)
		return -EDEADLK; /* through another mapping too: within one PID namespace the TID is ours alone */
	if (v & WORD_OWNER_DIED)
		return -ENOTRECOVERABLE; /* revoked, and its owner lives: nobody waits for it any more */
	return d <= FIPC_NOW ? -EBUSY : 0;
}

/* Until it is woken, or the word is not v any more. */
static int sleep_on(struct mutex *m, uint32_t v, fipc_deadline d)
{
	const struct futex_place place = {&m->word, v};
	fipc__spun_in_vain();
	return fipc__sleep(&place, 1, d);
}

/* Spin, say that somebody waits, or sleep, while *v stands there, with an owner; then *v is what does. An error: not woken. */
static int wait_a_turn(struct mutex *m, uint32_t *v, unsigned *spun, fipc_deadline d)
{
	if (*spun < SPIN_QUIETLY || (*v & WORD_WAITERS && *spun < SPIN_MAX)) {
		*spun = spin(*spun);
	} else if (!(*v & WORD_WAITERS)) {
		/* relaxed: orders nothing, the kernel compares the word again under its own lock */
		if (atomic_compare_exchange_strong_explicit(&m->word, v, *v | WORD_WAITERS, memory_order_relaxed,
							    memory_order_relaxed))
			*v |= WORD_WAITERS;
		return 0;
	} else {
		int r = sleep_on(m, *v, d);
		if (r < 0 && r != -EAGAIN)
			return r; /* it was not woken: a wake-up and a time-out at once are a wake-up */
	}
	*v = atomic_load_explicit(&m->word, memory_order_relaxed);
	return 0;
}

/* Before the first turn: not to spin, where it was found to be in vain. */
static unsigned spun_already(void)
{
	return fipc__may_spin() ? 0 : SPIN_MAX;
}

/* Have the word, or not: 0, FIPC_OWNER_DIED, or an error. Pending is set. */
static int acquire(struct thread *t, struct mutex *m, fipc_deadline d, bool *ret_waited)
{
	unsigned spun = spun_already();
	uint32_t v = atomic_load_explicit(&m->word, memory_order_relaxed);
	for (;;) {
		int r;
		if ((v & WORD_TID) == 0) {
			/* seq_cst: acquire, which pairs with the release in unlock; and more for rwlock.c, whose writer has
			 * the gate before it looks at the slots. Whoever acquires keeps WAITERS. */
			if (atomic_compare_exchange_strong_explicit(&m->word, &v, t->tid | (v & WORD_WAITERS),
								    memory_order_seq_cst, memory_order_relaxed))
				return v & WORD_OWNER_DIED ? FIPC_OWNER_DIED : 0;
			continue;
		}
		r = may_wait(t, v, d);
		if (r < 0)
			return r;
		*ret_waited = true;
		r = wait_a_turn(m, &v, &spun, d);
		if (r < 0)
			return r;
	}
}

int fipc__mutex_await_free(struct thread *t, struct mutex *m, fipc_deadline d)
{
	unsigned spun = spun_already();
	/* seq_cst: acquire, which pairs with the release in unlock; and more for rwlock.c, as in acquire(). Read again it
	 * needs no more than acquire: what the first look had to see, every later one sees. */
	uint32_t v = atomic_load_explicit(&m->word, memory_order_seq_cst);
	while ((v & WORD_TID) != 0) {
		int r = may_wait(t, v, d);
		if (r == 0)
			r = wait_a_turn(m, &v, &spun, d);
		if (r < 0)
			return r;
		if ((v & WORD_TID) == 0)
			v = atomic_load_explicit(&m->word, memory_order_acquire);
	}
	return 0;
}

static __attribute__((noinline, cold)) void wake(struct mutex *m)
{
	/* Always shared: the kernel's own wake-ups, at a death, reach no private waiter. */
	if (fipc__futex_wake(&m->word, 1, FUTEX_SHARED) == 0)
		fipc__futex_clear_and_wake_all(&m->word);
}

/* Release a word that carries our TID, leaving `left` (0 or OWNER_DIED) and WAITERS. False: somebody had overwritten it. */
bool fipc__mutex_release(struct thread *t, struct mutex *m, uint32_t left)
{
	uint32_t v = atomic_load_explicit(&m->word, memory_order_relaxed);
	do
		if ((v & WORD_TID) != t->tid)
			return false;
	/* release; pairs with the acquire in acquire() */
	while (!atomic_compare_exchange_weak_explicit(&m->word, &v, (v & WORD_WAITERS) | left, memory_order_release,
						      memory_order_relaxed));
	if (v & WORD_WAITERS)
		wake(m);
	return true;
}

/* Take it off the list and release it. */
bool fipc__mutex_let_go(struct thread *t, struct mutex *m, void **at, uint32_t left)
{
	bool ours;
	set_pending(t, *at);
	remove_held(t, at);
	ours = fipc__mutex_release(t, m, left);
	set_pending(t, NULL);
	return ours;
}

void fipc__mutex_abandon(struct thread *t, struct mutex *m)
{
	fipc__mutex_let_go(t, m, t->top, WORD_OWNER_DIED);
}

/* ---- lock ---- */

static void note_acquisition(const struct thread *t, struct mutex *m)
{
	count(&m->acquisitions);
	atomic_store_explicit(&m->owner_pid, t->pid, memory_order_relaxed);
	if (kind_of(m) & KIND_TIMESTAMPS)
		atomic_store_explicit(&m->acquired_ns, (uint64_t)fipc__now_ns(), memory_order_relaxed);
}

/* By its owner; false: somebody has revoked it since. relaxed: the lock word publishes it. */
static bool change_state(struct mutex *m, uint32_t from, uint32_t to)
{
	return atomic_compare_exchange_strong_explicit(&m->state, &from, to, memory_order_relaxed, memory_order_relaxed);
}

/* A mutex that is not simply consistent: what follows for the one who has got it. died: what acquire said. */
static int judge(struct mutex *m, uint32_t state, int died)
{
	switch (state) {
	case STATE_NEW: /* if somebody died, then its maker, and nobody was ever inside */
		return change_state(m, state, STATE_CONSISTENT) ? 0 : -ENOTRECOVERABLE;
	case STATE_CONSISTENT:
		if (!died)
			return 0;
		__attribute__((fallthrough));
	case STATE_RECOVERING:
		return change_state(m, state, STATE_RECOVERING) ? FIPC_OWNER_DIED : -ENOTRECOVERABLE;
	case STATE_DESTROYED:
		return -EINVAL;
	default:
		return -ENOTRECOVERABLE;
	}
}

/* The word is ours and the list says so: look at what we got. */
static int entered(struct thread *t, struct mutex *m, int died)
{
	int r = fipc__mutex_check(m);
	if (r == 0) /* relaxed: written under the lock, but by revoke, which change_state sees */
		r = judge(m, atomic_load_explicit(&m->state, memory_order_relaxed), died);
	if (r < 0) {
		fipc__mutex_let_go(t, m, t->top, 0); /* and the next one finds the same */
		return r;
	}
	note_acquisition(t, m);
	if (r == FIPC_OWNER_DIED) {
		count(&m->owner_deaths);
		PROBE2(owner_died, m, FIPC_TYPE_MUTEX);
	}
	return r;
}

/* Have the word and be on record for it, whatever the memory around it says. As acquire, and -EAGAIN. */
int fipc__mutex_take(struct thread *t, struct mutex *m, fipc_deadline d, bool *ret_waited)
{
	void *node = node_of(t, m);
	int r;
	if (find_held(t, node))
		return -EDEADLK;
	if (t->top == t->limit)
		return -EAGAIN;
	set_pending(t, node);
	r = acquire(t, m, d, ret_waited);
	if (r >= 0)
		push_held(t, node);
	set_pending(t, NULL);
	return r;
}

static __attribute__((noinline)) int lock_slowly(struct mutex *m, fipc_deadline d)
{
	bool waited = false;
	struct thread *t;
	int r = fipc__robust_enter();
	if (r < 0)
		return r;
	t = fipc__self;
	r = fipc__mutex_usable(t, m);
	if (r == 0)
		r = fipc__mutex_take(t, m, d, &waited);
	if (r < 0)
		return r;
	r = entered(t, m, r);
	if (r >= 0 && waited)
		count(&m->contended);
	return r;
}

/* The whole header in one comparison; private or not makes no difference. */
static inline bool plain(const struct mutex *m)
{
	return (atomic_load_explicit(&m->head, memory_order_relaxed) & ~((uint64_t)KIND_PRIVATE << 32)) == HEAD_PLAIN;
}

/* At the beginning of a cache line, whatever stands before it: 0.2 ns of 5.5, or not, with each change elsewhere. */
#define HOT __attribute__((aligned(64)))

/*
 * No system call, no clock: a plain mutex that is free, and a thread that is ready. Else the slow way does it all.
 * Inlined in each caller, and without a second load of what a barrier would make it load again: 0.3 ns of 5.4 each.
 */
static inline __attribute__((always_inline)) int lock(struct mutex *m, fipc_deadline d)
{
	struct thread *t = fipc__self;
	uint32_t expected = 0;
	void *node, *_Atomic *pending;
	if (__builtin_expect(!plain(m) || atomic_load_explicit(&m->pidns, memory_order_relaxed) != t->pidns ||
				     t->top == t->limit,
			     0))
		return lock_slowly(m, d);
	node = node_of(t, m);
	pending = t->pending;
	store_pending(pending, node);
	/* acquire; pairs with the release in unlock */
	if (__builtin_expect(!atomic_compare_exchange_strong_explicit(&m->word, &expected, t->tid, memory_order_acquire,
								      memory_order_relaxed),
			     0)) {
		store_pending(pending, NULL);
		return lock_slowly(m, d);
	}
	push_held(t, node);
	store_pending(pending, NULL);
	if (__builtin_expect(atomic_load_explicit(&m->state, memory_order_relaxed) != STATE_CONSISTENT, 0))
		return entered(t, m, 0);
	count(&m->acquisitions);
	atomic_store_explicit(&m->owner_pid, t->pid, memory_order_relaxed);
	return 0;
}

HOT int fipc_mutex_lock(fipc_mutex *m)
{
	return lock(mutex_of(m), FIPC_FOREVER);
}

int fipc_mutex_trylock(fipc_mutex *m)
{
	return lock(mutex_of(m), FIPC_NOW);
}

int fipc_mutex_lock_until(fipc_mutex *m, fipc_deadline d)
{
	return lock(mutex_of(m), d);
}

/* ---- unlock ---- */

static int not_held(const struct mutex *m)
{
	int r = check_given(m);
	return r < 0 ? r : -EPERM;
}

static __attribute__((noinline)) int unlock_slowly(struct mutex *m)
{
	struct thread *t = fipc__self;
	void **at = find_held(t, node_of(t, m));
	if (!at)
		return not_held(m);
	if (atomic_load_explicit(&m->state, memory_order_relaxed) == STATE_RECOVERING)
		atomic_store_explicit(&m->state, STATE_NOT_RECOVERABLE, memory_order_relaxed);
	return fipc__mutex_let_go(t, m, at, 0) ? 0 : -EINVAL;
}

int fipc_mutex_abandon(fipc_mutex *public)
{
	struct mutex *m = mutex_of(public);
	struct thread *t = fipc__self;
	void **at = find_held(t, node_of(t, m));
	if (!at)
		return not_held(m);
	return fipc__mutex_let_go(t, m, at, WORD_OWNER_DIED) ? 0 : -EINVAL; /* the state stays, as at a death */
}

/* The subtraction did not leave 0: sleepers to wake, or, if the word was not ours, somebody's scribble. */
static __attribute__((noinline, cold)) int unlock_odd(struct thread *t, struct mutex *m, uint32_t old)
{
	int r = 0;
	if ((old & WORD_TID) == t->tid) {
		wake(m);
	} else {
		atomic_fetch_add_explicit(&m->word, t->tid, memory_order_relaxed);
		r = -EINVAL;
	}
	set_pending(t, NULL);
	return r;
}

HOT int fipc_mutex_unlock(fipc_mutex *public)
{
	struct mutex *m = mutex_of(public);
	struct thread *t = fipc__self;
	void *node = node_of(t, m);
	void *_Atomic *pending;
	uint32_t old;
	if (__builtin_expect(!t->top || *t->top != node ||
				     atomic_load_explicit(&m->state, memory_order_relaxed) != STATE_CONSISTENT,
			     0))
		return unlock_slowly(m);
	pending = t->pending;
	store_pending(pending, node);
	pop_held(t);
	/* release; pairs with the acquire in lock and acquire(). WAITERS stays. */
	old = atomic_fetch_sub_explicit(&m->word, t->tid, memory_order_release);
	if (__builtin_expect(old != t->tid, 0))
		return unlock_odd(t, m, old);
	store_pending(pending, NULL);
	return 0;
}

int fipc_mutex_consistent(fipc_mutex *public)
{
	struct mutex *m = mutex_of(public);
	struct thread *t = fipc__self;
	if (!find_held(t, node_of(t, m)))
		return -EINVAL;
	return change_state(m, STATE_RECOVERING, STATE_CONSISTENT) ? 0 : -EINVAL;
}

/* ---- revoke ---- */

/*
 * A dead owner's word, as the kernel would have left it. A living owner's: OWNER_DIED beside its TID, which no locker
 * waits for; it wakes those who do. The owner stays on its own list: to take a node off another thread's list would cut
 * it, and the thread's other locks would not be recovered at its death.
 * Killed after the swap, before the wake: of a dead owner's, the kernel wakes (pending is set); of a living one's, sleepers
 * stay until the owner unlocks or dies, or the revoke is repeated.
 * Killed before the state is set: until the owner unlocks nobody gets it; then the next one may be told of a death.
 * Overtaken there by the owner's unlock: whoever has got it by then is the last one to have it.
 */
static int revoke_word(struct mutex *m)
{
	uint32_t v = atomic_load_explicit(&m->word, memory_order_relaxed);
	bool dead;
	uint32_t left;
	do {
		if ((v & WORD_TID) == 0)
			return -ESRCH;
		dead = fipc__thread_is_gone(v & WORD_TID);
		left = dead ? (v & WORD_WAITERS) | WORD_OWNER_DIED : v | WORD_OWNER_DIED;
		/* acquire and release: stands for the owner, as the kernel would */
	} while (!atomic_compare_exchange_strong_explicit(&m->word, &v, left, memory_order_acq_rel,
							  memory_order_relaxed));
	if (dead) {
		if (v & WORD_WAITERS)
			wake(m);
		return 0;
	}
	fipc__futex_wake(&m->word, UINT_MAX, FUTEX_SHARED);
	/* relaxed: who reads it has the lock word, or will have; a recovery that began since is refused by change_state */
	atomic_store_explicit(&m->state, STATE_NOT_RECOVERABLE, memory_order_relaxed);
	return 0;
}

int fipc_mutex_revoke(fipc_mutex *public)
{
	struct mutex *m = mutex_of(public);
	int r = fipc__robust_enter();
	if (r == 0)
		r = fipc__mutex_usable(fipc__self, m);
	if (r < 0)
		return r;
	set_pending(fipc__self, node_of(fipc__self, m)); /* killed before the wake: the kernel wakes */
	r = revoke_word(m);
	set_pending(fipc__self, NULL);
	/* The state alone does not tell: one who overtook a revoke may be inside, and others wait for him. */
	if (r == -ESRCH && atomic_load_explicit(&m->state, memory_order_relaxed) == STATE_NOT_RECOVERABLE)
		r = 0;
	return r;
}

/* ---- in place ---- */

int fipc_mutex_init(fipc_mutex *public, unsigned flags)
{
	struct mutex *m = mutex_of(public);
	int r;
	if (fipc__misaligned(public) || flags & ~(unsigned)(FIPC_PRIVATE | FIPC_TIMESTAMPS))
		return -EINVAL;
	r = fipc__robust_enter();
	if (r < 0)
		return r;
	fipc__mutex_image(m, flags);
	return 0;
}

/* Zeros, or what a killed maker or destroyer left: the lock word and the links are anything, the rest as by fill(). */
static bool unmade(const struct mutex *m)
{
	uint32_t state = m->state;
	if (m->magic != 0 && !(m->magic == OBJECT_MAGIC && state == STATE_DESTROYED))
		return false;
	if (kind_of(m) != 0 && (kind_of(m) & ~KIND_MUTEX_FLAGS) != KIND_MUTEX)
		return false;
	return (state == STATE_CONSISTENT || state == STATE_NEW || state == STATE_DESTROYED) && m->musl_waiters == 0 &&
	       m->features == 0 && m->owner_deaths == 0 && m->contended == 0 && m->acquisitions == 0 &&
	       m->owner_pid == 0 && m->acquired_ns == 0;
}

/*
 * Zeroed memory is a free lock word, so whoever wants to make the mutex takes it, robustly, before there is a mutex.
 * Killed meanwhile: OWNER_DIED stands in the word, the magic is still 0, and the next one to take it makes it anew.
 * Had it been made, and locked by its users, before we got the word, then a death is theirs, and is left to be told.
 */
static int make_in_place(struct thread *t, struct mutex *m, unsigned flags)
{
	bool waited, made = false;
	int r = fipc__mutex_take(t, m, FIPC_FOREVER, &waited);
	if (r < 0)
		return r;
	if (unmade(m)) {
		fill(m, flags);
		m->state = STATE_NEW;
		publish(m);
		made = true;
	}
	fipc__mutex_let_go(t, m, t->top, made || r == 0 ? 0 : WORD_OWNER_DIED);
	return made ? FIPC_CREATED : fipc__mutex_usable(t, m);
}

/* A TID that no thread has, where the kernel would have left OWNER_DIED: bytes that were never a mutex's. */
static bool owned_by_nobody(const struct mutex *m)
{
	uint32_t v = atomic_load_explicit(&m->word, memory_order_relaxed);
	return (v & WORD_TID) != 0 && fipc__thread_is_gone(v & WORD_TID) &&
	       atomic_load_explicit(&m->word, memory_order_relaxed) == v;
}

int fipc_mutex_attach(fipc_mutex *public, unsigned flags)
{
	struct mutex *m = mutex_of(public);
	int r;
	if (fipc__misaligned(public) || flags & ~(unsigned)FIPC_TIMESTAMPS)
		return -EINVAL;
	r = fipc__robust_enter();
	if (r < 0)
		return r;
	if (!unmade(m))
		return fipc__mutex_usable(fipc__self, m);
	return owned_by_nobody(m) ? -EINVAL : make_in_place(fipc__self, m, flags);
}

int fipc__mutex_take_bare(struct mutex *m)
{
	bool waited;
	return owned_by_nobody(m) ? -EINVAL : fipc__mutex_take(fipc__self, m, FIPC_FOREVER, &waited);
}

void fipc__mutex_let_go_bare(struct mutex *m)
{
	fipc__mutex_let_go(fipc__self, m, fipc__self->top, 0);
}

/* Killed before the magic goes: a mutex that nobody gets (see entered) and that attach makes anew (see unmade). */
int fipc_mutex_destroy(fipc_mutex *public)
{
	struct mutex *m = mutex_of(public);
	bool waited;
	int r;
	if (fipc__misaligned(public))
		return -EINVAL;
	r = fipc__robust_enter();
	if (r == 0)
		r = fipc__mutex_usable(fipc__self, m);
	if (r == 0 && fipc__handle_is_named(public))
		r = -EINVAL;
	if (r == 0 && fipc__futex_sleepers(&m->word) > 0)
		r = -EBUSY;
	if (r == 0)
		r = fipc__mutex_take(fipc__self, m, FIPC_NOW, &waited);
	if (r < 0)
		return r == -EDEADLK ? -EBUSY : r;
	fill(m, 0);
	atomic_store_explicit(&m->state, STATE_DESTROYED, memory_order_relaxed);
	/* Who came to wait since will have the word, and find no mutex. release; pairs with fipc__mutex_check. */
	atomic_store_explicit(&m->magic, 0, memory_order_release);
	fipc__mutex_let_go(fipc__self, m, fipc__self->top, 0);
	return 0;
}

/* ---- looking ---- */

static uint32_t state_of(uint32_t word, uint32_t state)
{
	if (state == STATE_NOT_RECOVERABLE)
		return FIPC_MUTEX_NOT_RECOVERABLE;
	if ((word & WORD_TID) != 0)
		return state == STATE_RECOVERING ? FIPC_MUTEX_RECOVERING : FIPC_MUTEX_HELD;
	if (state == STATE_NEW)
		return FIPC_MUTEX_FREE;
	return word & WORD_OWNER_DIED || state == STATE_RECOVERING ? FIPC_MUTEX_DIED : FIPC_MUTEX_FREE;
}

int fipc__mutex_describe(const struct mutex *m, struct fipc_mutex_info *ret)
{
	/* relaxed throughout: a snapshot of words that change, for people */
	uint32_t word = atomic_load_explicit(&m->word, memory_order_relaxed);
	int r = fipc__mutex_check(m);
	if (r < 0)
		return r;
	*ret = (struct fipc_mutex_info){
		.size = sizeof(*ret),
		.state = state_of(word, atomic_load_explicit(&m->state, memory_order_relaxed)),
		.owner_tid = word & WORD_TID,
		.owner_deaths = atomic_load_explicit(&m->owner_deaths, memory_order_relaxed),
		.contended = atomic_load_explicit(&m->contended, memory_order_relaxed),
		.acquisitions = atomic_load_explicit(&m->acquisitions, memory_order_relaxed),
		.acquired_ns = atomic_load_explicit(&m->acquired_ns, memory_order_relaxed),
		.last_pid = atomic_load_explicit(&m->owner_pid, memory_order_relaxed),
	};
	if (ret->owner_tid)
		ret->owner_pid = ret->last_pid;
	return 0;
}

int fipc_mutex_info(const fipc_mutex *public, struct fipc_mutex_info *ret, size_t size)
{
	const struct mutex *m;
	struct fipc_mutex_info info;
	int r;
	if (fipc__misaligned(public) || size < INFO_SIZE_MIN)
		return -EINVAL;
	m = fipc__handle_behind_view(public);
	r = fipc__mutex_describe(m, &info);
	if (r < 0)
		return r;
	info.waiters = fipc__futex_sleepers(&m->word);
	fipc__give_info(ret, size, &info);
	return 0;
}

/* ---- closing ---- */

bool fipc__mutex_word_is_ours(const struct mutex *m)
{
	/* acquire; pairs with the release of who lets go of it: he is pending until he is done, and looked for after this */
	uint32_t tid = atomic_load_explicit(&m->word, memory_order_acquire) & WORD_TID;
	/* tgkill(2) with signal 0: is it a thread of this process? Told by the kernel, not by what the object says. */
	return tid != 0 && syscall(SYS_tgkill, getpid(), (pid_t)tid, 0) == 0;
}

bool fipc__mutex_held_here(const struct mutex *m)
{
	return fipc__robust_holds(m); /* the mutex itself is not looked at: a page that nobody touched costs as much as a mmap */
}
