/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rwlock: a gate and a slot for each reader (rwlock.h).
 *
 *	a reader   takes a free slot, then looks at the gate. Nobody there: it reads. Else it gives the slot back, and
 *	           gets through the gate like everybody: has it, takes a slot, lets go of it. All slots taken: waits.
 *	a writer   has the gate, keeps it, and waits for each slot in turn to be free.
 *
 * Each stores first and then looks, in one order that all see (seq_cst): so a writer sees the slot of a reader that saw
 * no writer. Nobody passes the gate while a writer has it, so writers do not starve; nor do readers: they queue there.
 *
 * How a writer sleeps on many readers: on the word of one slot at a time. Whoever has the gate is the only one to sleep
 * on slots, so a slot has one sleeper at most. It looks at all that it waits for itself, and loses nothing when it is
 * killed: it is off the slot's queue before the kernel releases the gate.
 *
 * A thread is killed (crash list; what happens to the words themselves: mutex.c):
 *
 *	reader, its slot taken, before    the kernel frees the slot (OWNER_DIED, TID 0), and wakes whoever sleeps on it
 *	or while it reads
 *	reader, its slot given back,      pending: the kernel wakes that one
 *	before the wake
 *	reader with the gate              the kernel frees both. The state is CLEAN: nobody is told
 *	between slot and gate's release   the same
 *	writer waiting for slots          the kernel frees the gate. CLEAN: nobody is told; WAITERS may be stale there
 *	writer, after WRITING             the next to have the gate finds WRITING, and is told
 *	told one, before RECOVERING       it stays WRITING: the next one is told
 *	told one, after it                RECOVERING: the next one is told again
 *	consistent, before the store      RECOVERING: told. After it: WRITING: told
 *	unlock, before the state          WRITING: told. RECOVERING: told
 *	unlock, between state and word    CLEAN: it was done, nobody is told. NOT_RECOVERABLE: the next one finds it
 *	thread ends holding               robust.c releases it in the same two ways
 *	init                              is not atomic; attach: no magic, and the next attach makes it anew
 *	destroy                           before the magic goes: CLEAN, nothing happened. After it: attach makes it anew
 */
#include "rwlock.h"

#include "futex.h"
#include "handle.h"
#include "mutex.h"
#include "place.h"
#include "probe.h"
#include "slot.h"

#include <errno.h>
#include <limits.h>

/* Slots that are slept on at once; of more than that, one that is freed says so in `freed`. */
#define WATCHED (FUTEX_PLACES_MAX - 1)
#define LOOK_AGAIN_MS 100 /* then: a reader that dies says nothing there */

static struct rwlock *rwlock_of(fipc_rwlock *l)
{
	return (struct rwlock *)(void *)l;
}

static size_t size_for(unsigned n)
{
	return sizeof(struct rwlock) + n * sizeof(struct mutex);
}

/* A count that only who has the gate, or the slot, writes; relaxed: others read it for people. */
static void count(_Atomic uint32_t *counter)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1, memory_order_relaxed);
}

/* ---- how many slots ---- */

/*
 * The head tells, but a peer may write there, and what is behind the slots is none of the peer's. So each process keeps
 * in mind what it was told when it made, joined or opened the lock: the address, and in its 10 highest bits, by
 * exclusive-or, the number. A cache, direct-mapped: what has been pushed out is looked up by look_up_slots().
 */
#define KNOWN_BITS 10
#define COUNT_SHIFT 54
static_assert(FIPC_RWLOCK_READERS_MAX < 1 << (64 - COUNT_SHIFT), "10 bits");
static _Atomic uint64_t known[1 << KNOWN_BITS]; /* relaxed: each is whole in itself */

static _Atomic uint64_t *place_of(const struct rwlock *l)
{
	return &known[((uintptr_t)l >> 3) * UINT64_C(0x9e3779b97f4a7c15) >> (64 - KNOWN_BITS)];
}

/* 0: not known. */
static unsigned known_slots(const struct rwlock *l)
{
	uint64_t v = atomic_load_explicit(place_of(l), memory_order_relaxed) ^ (uintptr_t)l;
	return v << (64 - COUNT_SHIFT) ? 0 : (unsigned)(v >> COUNT_SHIFT);
}

void fipc__rwlock_remember(const struct rwlock *l, unsigned n)
{
	atomic_store_explicit(place_of(l), (uintptr_t)l ^ (uint64_t)n << COUNT_SHIFT, memory_order_relaxed);
}

/* relaxed: stands from before the magic is published */
static unsigned slots_said(const struct rwlock *l)
{
	return atomic_load_explicit(&l->n_slots, memory_order_relaxed);
}

/*
 * Of one that is named, the file's size has to agree; in place, there is nothing but its head. given: l, or the view
 * of it. -EINVAL: it is none.
 */
static int look_up_slots(const void *given, const struct rwlock *l, unsigned *ret)
{
	unsigned n = slots_said(l);
	size_t mapped = fipc__handle_size(given);
	if (n < 1 || n > FIPC_RWLOCK_READERS_MAX || (mapped && mapped != size_for(n)))
		return -EINVAL;
	*ret = n;
	return 0;
}

/* ---- what kind of memory is this ---- */

/* The whole of magic and kind in one comparison; private or not makes no difference. */
static inline bool is_plain(const struct rwlock *l)
{
	uint64_t head = atomic_load_explicit(&l->head, memory_order_relaxed);
	return (head & ~((uint64_t)KIND_PRIVATE << 32)) == HEAD_PLAIN_RWLOCK;
}

/* All that can be said without a call: a rwlock whose slots are known, and a thread ready to hold two words more. */
static inline bool ready(const struct thread *t, const struct rwlock *l, unsigned *ret_n)
{
	*ret_n = known_slots(l);
	return is_plain(l) && *ret_n != 0 && *ret_n == slots_said(l) &&
	       atomic_load_explicit(&l->gate.pidns, memory_order_relaxed) == t->pidns &&
	       (uintptr_t)t->limit - (uintptr_t)t->top >= 2 * sizeof(*t->top);
}

static int check_given(const struct rwlock *l)
{
	return fipc__place_check(l, KIND_RWLOCK, KIND_PRIVATE);
}

static __attribute__((noinline)) int get_ready(struct rwlock *l, unsigned *ret_n)
{
	int r = fipc__robust_enter();
	if (r == 0)
		r = check_given(l);
	if (r == 0)
		r = fipc__mutex_usable(fipc__self, &l->gate);
	if (r == 0)
		r = look_up_slots(l, l, ret_n);
	if (r < 0)
		return r;
	fipc__rwlock_remember(l, *ret_n);
	if (fipc__self->limit - fipc__self->top < 2)
		return -EAGAIN;
	return 0;
}

int fipc__rwlock_check(const struct rwlock *l, size_t size)
{
	/* acquire; pairs with place.c: who sees the magic sees the rest */
	uint32_t magic = atomic_load_explicit(&l->magic, memory_order_acquire);
	uint32_t kind = atomic_load_explicit(&l->kind, memory_order_relaxed);
	int r = fipc__kind_check(magic, kind, KIND_RWLOCK, KIND_PRIVATE);
	unsigned n = slots_said(l);
	if (r < 0)
		return r;
	return n >= 1 && n <= FIPC_RWLOCK_READERS_MAX && size_for(n) == size ? 0 : -EINVAL;
}

/* What this thread holds of it, gate or slot: its place in the stack; NULL: nothing. */
static inline void **find_part(const struct thread *t, const struct rwlock *l, unsigned n)
{
	uintptr_t first = (uintptr_t)node_of(t, &l->gate);
	void **at = t->top;
	if (!at)
		return NULL;
	while (at > t->stack && (uintptr_t)*at - first >= (n + 1) * sizeof(struct mutex))
		at--;
	return at == t->stack ? NULL : at;
}

/* ---- the words: of the gate, and of the slots ---- */

static inline bool is_free(const struct mutex *m, memory_order order)
{
	return (atomic_load_explicit(&m->word, order) & WORD_TID) == 0;
}

/*
 * Have it, if it is free, and be on record for it. seq_cst: acquire, which pairs with the release of give_back(); and a
 * reader has its slot before it looks at the gate, a writer the gate before it looks at the slots.
 */
static inline bool try_word(struct thread *t, struct mutex *m)
{
	uint32_t v = atomic_load_explicit(&m->word, memory_order_relaxed);
	void *node = node_of(t, m), *_Atomic *pending = t->pending;
	bool taken;
	if (v & WORD_TID)
		return false;
	store_pending(pending, node);
	taken = atomic_compare_exchange_strong_explicit(&m->word, &v, t->tid | (v & WORD_WAITERS), memory_order_seq_cst,
							memory_order_relaxed);
	if (taken)
		push_held(t, node);
	store_pending(pending, NULL);
	if (taken && __builtin_expect(v & WORD_OWNER_DIED, 0))
		count(&m->owner_deaths);
	return taken;
}

/* WAITERS was set, or somebody has written there. Pending. False: the word was not ours. */
static __attribute__((noinline, cold)) bool give_back_slowly(struct thread *t, struct rwlock *l, struct mutex *m,
							     unsigned n)
{
	bool ours = fipc__mutex_release(t, m, 0);
	if (n > WATCHED) { /* killed before it is done: who waits looks again after a while */
		/* release; pairs with the acquire in wait_for_slot() */
		atomic_fetch_add_explicit(&l->freed, 1, memory_order_release);
		fipc__futex_wake(&l->freed, 1, FUTEX_SHARED);
	}
	return ours;
}

/* False: the word was not ours. */
static inline bool give_back(struct thread *t, struct rwlock *l, struct mutex *m, void **at, unsigned n)
{
	void *_Atomic *pending = t->pending;
	uint32_t expected = t->tid;
	bool ours = true;
	store_pending(pending, *at);
	remove_held(t, at);
	/* release; pairs with the acquire of who has it next, and of fipc__mutex_await_free() */
	if (__builtin_expect(!atomic_compare_exchange_strong_explicit(&m->word, &expected, 0, memory_order_release,
								      memory_order_relaxed),
			     0))
		ours = give_back_slowly(t, l, m, n);
	store_pending(pending, NULL);
	return ours;
}

/* ---- the gate ---- */

static uint32_t state_of(const struct rwlock *l)
{
	return atomic_load_explicit(&l->state, memory_order_relaxed); /* published by the gate's word */
}

/* By who has the gate. release: who is killed after this store had written, before it, all that it wrote inside. */
static void set_state(struct rwlock *l, uint32_t state)
{
	atomic_store_explicit(&l->state, state, memory_order_release);
	barrier(); /* and what it writes inside comes after WRITING */
}

static void leave_gate(struct thread *t, struct rwlock *l)
{
	give_back(t, l, &l->gate, find_held(t, node_of(t, &l->gate)), 0);
}

static void own_gate(const struct thread *t, struct rwlock *l)
{
	count(&l->writes);
	atomic_store_explicit(&l->gate.owner_pid, t->pid, memory_order_relaxed);
}

/* What it means to have got the gate. */
static int judge(struct rwlock *l)
{
	int r = is_plain(l) ? 0 : check_given(l);
	if (r < 0)
		return r;
	switch (state_of(l)) {
	case RW_CLEAN:
		return 0;
	case RW_WRITING:
	case RW_RECOVERING:
		set_state(l, RW_RECOVERING);
		return FIPC_OWNER_DIED;
	case RW_DESTROYED:
		return -EINVAL;
	default:
		return -ENOTRECOVERABLE;
	}
}

static int wait_at_gate(struct thread *t, struct rwlock *l, bool reads, fipc_deadline d, bool *ret_waited)
{
	t->reads = reads;
	return fipc__mutex_take(t, &l->gate, d, ret_waited);
}

/* 0: have the gate. FIPC_OWNER_DIED: have the gate, and with it the lock. Else an error. */
static int enter_gate(struct thread *t, struct rwlock *l, bool reads, fipc_deadline d)
{
	bool waited = false;
	/* That a death stands in the word says nothing, see rwlock.h. */
	int r = try_word(t, &l->gate) ? 0 : wait_at_gate(t, l, reads, d, &waited);
	if (r < 0)
		return r;
	r = judge(l);
	if (r < 0) {
		leave_gate(t, l); /* and the next one finds the same */
		return r;
	}
	if (waited)
		count(&l->contended);
	if (r == FIPC_OWNER_DIED) {
		count(&l->owner_deaths);
		own_gate(t, l);
		PROBE2(owner_died, l, FIPC_TYPE_RWLOCK);
	}
	return r;
}

/* The same, by whoever calls; and say how many slots there are. */
static int enter(struct rwlock *l, unsigned *ret_n, bool reads, fipc_deadline d)
{
	int r = ready(fipc__self, l, ret_n) ? 0 : get_ready(l, ret_n);
	if (r < 0)
		return r;
	return find_part(fipc__self, l, *ret_n) ? -EDEADLK : enter_gate(fipc__self, l, reads, d);
}

/* ---- slots ---- */

/* Threads begin at different places, and each at its own: its slot's line stays in its cache. NULL: all are taken. */
static inline struct mutex *take_slot(struct thread *t, struct rwlock *l, unsigned n)
{
	unsigned first = (unsigned)((uint64_t)(t->tid * UINT32_C(0x9e3779b9)) * n >> 32);
	for (unsigned i = first; i < n; i++)
		if (try_word(t, &l->slots[i]))
			return &l->slots[i];
	for (unsigned i = 0; i < first; i++)
		if (try_word(t, &l->slots[i]))
			return &l->slots[i];
	return NULL;
}

static inline void note_reader(const struct thread *t, struct mutex *slot)
{
	count(&slot->acquisitions);
	atomic_store_explicit(&slot->owner_pid, t->pid, memory_order_relaxed);
}

/* Say in a slot that somebody sleeps on it; *ret: what stands there then. False: it is free, or has just changed. */
static bool mark(struct mutex *slot, uint32_t *ret)
{
	uint32_t v = atomic_load_explicit(&slot->word, memory_order_relaxed);
	*ret = v | WORD_WAITERS;
	/* relaxed: the kernel compares the word again under its own lock */
	return (v & WORD_TID) != 0 &&
	       (v & WORD_WAITERS || atomic_compare_exchange_strong_explicit(&slot->word, &v, *ret, memory_order_relaxed,
									    memory_order_relaxed));
}

/* 0: look again. */
static int sleep_on_slots(struct rwlock *l, unsigned n, uint32_t freed, fipc_deadline d)
{
	struct futex_place places[FUTEX_PLACES_MAX];
	fipc_deadline soon = fipc_after_ms(LOOK_AGAIN_MS);
	bool many = n > WATCHED;
	int r;
	for (unsigned i = 0; i < n; i++) {
		uint32_t v;
		if (!mark(&l->slots[i], &v))
			return 0;
		if (i < WATCHED)
			places[i] = (struct futex_place){&l->slots[i].word, v};
	}
	if (many)
		places[WATCHED] = (struct futex_place){&l->freed, freed};
	r = fipc__sleep(places, many ? WATCHED + 1 : n, many && soon < d ? soon : d);
	return r >= 0 || r == -EAGAIN || (r == -ETIMEDOUT && many && soon < d) ? 0 : r;
}

/* With the gate: the slots that are taken are readers', or of some that will see the gate and give them back. */
static int wait_for_slot(struct thread *t, struct rwlock *l, unsigned n, fipc_deadline d)
{
	int r = 0;
	t->reads = true;
	while (r == 0) {
		/* acquire; pairs with the release in give_back_slowly(): a slot given back since then changes it */
		uint32_t freed = atomic_load_explicit(&l->freed, memory_order_acquire);
		struct mutex *slot = take_slot(t, l, n);
		if (slot) {
			note_reader(t, slot);
			return 0;
		}
		r = d <= FIPC_NOW ? -EBUSY : sleep_on_slots(l, n, freed, d);
	}
	return r;
}

/* ---- read ---- */

static __attribute__((noinline)) int rdlock_slowly(struct rwlock *l, fipc_deadline d)
{
	unsigned n;
	int r = enter(l, &n, true, d);
	if (r != 0)
		return r;
	r = wait_for_slot(fipc__self, l, n, d);
	leave_gate(fipc__self, l);
	return r;
}

/*
 * May who has taken a slot read? seq_cst: see try_word(); acquire, which pairs with the last writer's release of the
 * gate. Acquire of the state pairs with set_state(): the gate was seen as a dead writer left it, and by now another
 * one, which is told and does not look at slots, has had it and mended the data.
 */
static inline bool is_open(const struct rwlock *l)
{
	return is_free(&l->gate, memory_order_seq_cst) &&
	       atomic_load_explicit(&l->state, memory_order_acquire) == RW_CLEAN;
}

static inline int rdlock(struct rwlock *l, fipc_deadline d)
{
	struct thread *t = fipc__self;
	struct mutex *slot;
	unsigned n;
	if (!ready(t, l, &n) || find_part(t, l, n) || !is_free(&l->gate, memory_order_relaxed))
		return rdlock_slowly(l, d);
	slot = take_slot(t, l, n);
	if (!slot)
		return rdlock_slowly(l, d);
	if (__builtin_expect(!is_open(l), 0)) {
		give_back(t, l, slot, t->top, n);
		return rdlock_slowly(l, d);
	}
	note_reader(t, slot);
	return 0;
}

int fipc_rwlock_rdlock(fipc_rwlock *l)
{
	return rdlock(rwlock_of(l), FIPC_FOREVER);
}

int fipc_rwlock_tryrdlock(fipc_rwlock *l)
{
	return rdlock(rwlock_of(l), FIPC_NOW);
}

int fipc_rwlock_rdlock_until(fipc_rwlock *l, fipc_deadline d)
{
	return rdlock(rwlock_of(l), d);
}

/* ---- write ---- */

/* With the gate: who sees it taken gives its slot back, so each has to be seen free just once. */
static int await_readers(struct thread *t, struct rwlock *l, unsigned n, fipc_deadline d)
{
	int r = 0;
	for (unsigned i = 0; i < n && r == 0; i++)
		if (!is_free(&l->slots[i], memory_order_seq_cst)) {
			t->reads = false;
			r = fipc__mutex_await_free(t, &l->slots[i], d);
		}
	return r;
}

static int wrlock(struct rwlock *l, fipc_deadline d)
{
	unsigned n;
	int r = enter(l, &n, false, d);
	struct thread *t = fipc__self;
	if (r != 0)
		return r;
	r = await_readers(t, l, n, d);
	if (r < 0) {
		leave_gate(t, l);
		return r;
	}
	own_gate(t, l);
	set_state(l, RW_WRITING);
	return 0;
}

int fipc_rwlock_wrlock(fipc_rwlock *l)
{
	return wrlock(rwlock_of(l), FIPC_FOREVER);
}

int fipc_rwlock_trywrlock(fipc_rwlock *l)
{
	return wrlock(rwlock_of(l), FIPC_NOW);
}

int fipc_rwlock_wrlock_until(fipc_rwlock *l, fipc_deadline d)
{
	return wrlock(rwlock_of(l), d);
}

/* ---- unlock ---- */

/* What this thread holds of it, and how many slots it has; also when the head has been scribbled on since. */
static void **find_mine(const struct thread *t, struct rwlock *l, unsigned *ret_n)
{
	*ret_n = known_slots(l);
	if (*ret_n == 0 && (!t->top || look_up_slots(l, l, ret_n) < 0))
		return NULL;
	return find_part(t, l, *ret_n);
}

/* abandoning: the state stays, which says that somebody is inside, and nobody is: as at a writer's death. */
static int let_go(struct rwlock *l, bool abandoning)
{
	struct thread *t = fipc__self;
	struct mutex *part;
	unsigned n;
	void **at = find_mine(t, l, &n);
	if (!at) {
		int r = check_given(l);
		return r < 0 ? r : -EPERM;
	}
	part = mutex_of_node(t, *at);
	if (part != &l->gate)
		return give_back(t, l, part, at, n) ? 0 : -EINVAL;
	if (!abandoning)
		set_state(l, state_of(l) == RW_WRITING ? RW_CLEAN : RW_NOT_RECOVERABLE);
	return give_back(t, l, part, at, 0) ? 0 : -EINVAL;
}

int fipc_rwlock_unlock(fipc_rwlock *l)
{
	return let_go(rwlock_of(l), false);
}

int fipc_rwlock_abandon(fipc_rwlock *l)
{
	return let_go(rwlock_of(l), true);
}

int fipc_rwlock_consistent(fipc_rwlock *public)
{
	struct rwlock *l = rwlock_of(public);
	struct thread *t = fipc__self;
	if (!find_held(t, node_of(t, &l->gate)) || state_of(l) != RW_RECOVERING)
		return -EINVAL;
	set_state(l, RW_WRITING);
	return 0;
}

/* ---- in place ---- */

size_t fipc_rwlock_size(unsigned readers)
{
	return readers < 1 || readers > FIPC_RWLOCK_READERS_MAX ? 0 : size_for(readers);
}

static unsigned slots_in(size_t size)
{
	size_t n = size < sizeof(struct rwlock) ? 0 : (size - sizeof(struct rwlock)) / sizeof(struct mutex);
	return n < FIPC_RWLOCK_READERS_MAX ? (unsigned)n : FIPC_RWLOCK_READERS_MAX;
}

static void fill_head(void *object, uint32_t n)
{
	struct rwlock *l = object;
	bool private = atomic_load_explicit(&l->kind, memory_order_relaxed) & KIND_PRIVATE;
	atomic_store_explicit(&l->n_slots, n, memory_order_release); /* see fill_fn */
	atomic_store_explicit(&l->state, RW_CLEAN, memory_order_relaxed);
	fipc__mutex_image(&l->gate, private ? FIPC_PRIVATE : 0);
}

static void fill(void *object, uint32_t n)
{
	struct rwlock *l = object;
	memset(l->slots, 0, n * sizeof(*l->slots));
	fill_head(object, n);
}

void fipc__rwlock_image(struct rwlock *l, unsigned n_slots)
{
	fipc__place_image(l, KIND_RWLOCK, fill_head, n_slots);
}

int fipc_rwlock_init(fipc_rwlock *public, size_t size, unsigned flags)
{
	struct rwlock *l = rwlock_of(public);
	unsigned n = slots_in(size);
	int r;
	if (fipc__misaligned(public) || n == 0 || flags & ~(unsigned)FIPC_PRIVATE)
		return -EINVAL;
	r = fipc__robust_enter();
	if (r < 0)
		return r;
	fipc__place_image(l, KIND_RWLOCK | fipc__kind_flags(flags), fill, n);
	fipc__rwlock_remember(l, n);
	return 0;
}

int fipc_rwlock_attach(fipc_rwlock *public, size_t size, unsigned flags)
{
	struct rwlock *l = rwlock_of(public);
	unsigned n = slots_in(size), said;
	int r, made;
	if (fipc__misaligned(public) || n == 0 || flags)
		return -EINVAL;
	made = fipc__place_attach(l, KIND_RWLOCK, KIND_PRIVATE, fill, n);
	if (made < 0)
		return made;
	said = slots_said(l);
	if (said < 1 || said > n)
		return -EINVAL;
	r = fipc__mutex_usable(fipc__self, &l->gate);
	if (r < 0)
		return r;
	fipc__rwlock_remember(l, said);
	return made;
}

static bool is_read(const struct rwlock *l, unsigned n)
{
	unsigned i = 0;
	while (i < n && is_free(&l->slots[i], memory_order_seq_cst)) /* as a writer looks at them */
		i++;
	return i < n;
}

/* Who is on its way in finds no magic, or DESTROYED. */
static int end_it(struct rwlock *l, unsigned n)
{
	bool waited;
	int r = fipc__mutex_take(fipc__self, &l->gate, FIPC_NOW, &waited);
	if (r < 0)
		return r == -EDEADLK ? -EBUSY : r;
	r = is_read(l, n) ? -EBUSY : 0;
	if (r == 0) {
		/* release; pairs with fipc__place_check */
		atomic_store_explicit(&l->magic, 0, memory_order_release);
		set_state(l, RW_DESTROYED); /* for a reader that has seen the magic, and not yet the gate */
	}
	leave_gate(fipc__self, l);
	return r;
}

int fipc_rwlock_destroy(fipc_rwlock *public)
{
	struct rwlock *l = rwlock_of(public);
	unsigned n;
	int r;
	if (fipc__misaligned(public))
		return -EINVAL;
	r = get_ready(l, &n);
	if (r == 0 && fipc__handle_is_named(public))
		r = -EINVAL;
	if (r == 0 && fipc__rwlock_sleepers(l, (const char *)l, n) > 0)
		r = -EBUSY;
	return r == 0 ? end_it(l, n) : r;
}

/* ---- looking ---- */

static uint32_t load(const _Atomic uint32_t *word)
{
	return atomic_load_explicit(word, memory_order_relaxed); /* a snapshot of words that change, for people */
}

static uint32_t public_state(uint32_t state, bool held, bool read)
{
	switch (state) {
	case RW_CLEAN:
		return read ? FIPC_RWLOCK_READ : FIPC_RWLOCK_FREE;
	case RW_WRITING:
		return held ? FIPC_RWLOCK_WRITTEN : FIPC_RWLOCK_DIED;
	case RW_RECOVERING:
		return held ? FIPC_RWLOCK_RECOVERING : FIPC_RWLOCK_DIED;
	default:
		return FIPC_RWLOCK_NOT_RECOVERABLE;
	}
}

static void describe_slots(const struct rwlock *l, unsigned n, struct fipc_rwlock_info *ret)
{
	for (unsigned i = 0; i < n; i++) {
		uint32_t word = load(&l->slots[i].word);
		ret->readers += (word & WORD_TID) != 0;
		ret->reads += load(&l->slots[i].acquisitions);
		ret->reader_deaths += load(&l->slots[i].owner_deaths) + ((word & WORD_OWNER_DIED) != 0);
	}
}

void fipc__rwlock_describe(const struct rwlock *l, unsigned n, struct fipc_rwlock_info *ret)
{
	uint32_t word = load(&l->gate.word);
	*ret = (struct fipc_rwlock_info){
		.size = sizeof(*ret),
		.max_readers = n,
		.owner_deaths = load(&l->owner_deaths),
		.contended = load(&l->contended),
		.writes = load(&l->writes),
	};
	describe_slots(l, n, ret);
	ret->state = public_state(load(&l->state), (word & WORD_TID) != 0, ret->readers > 0);
	if (ret->state == FIPC_RWLOCK_WRITTEN || ret->state == FIPC_RWLOCK_RECOVERING) {
		ret->writer_tid = word & WORD_TID;
		ret->writer_pid = load(&l->gate.owner_pid);
	} else {
		ret->entering_tid = word & WORD_TID;
	}
}

static bool is_slept_on(const struct mutex *m, const char *word)
{
	return load(&m->word) & WORD_WAITERS && fipc__futex_sleepers(word) > 0;
}

/* Slots are slept on by one thread at most, on several at a time perhaps. */
unsigned fipc__rwlock_sleepers(const struct rwlock *l, const char *map, unsigned n)
{
	const char *gate = map + offsetof(struct rwlock, gate) + offsetof(struct mutex, word);
	unsigned i = 0;
	while (i < n && !is_slept_on(&l->slots[i], gate + (i + 1) * sizeof(struct mutex)))
		i++;
	return fipc__futex_sleepers(gate) + (i < n);
}

int fipc_rwlock_info(const fipc_rwlock *public, struct fipc_rwlock_info *ret, size_t size)
{
	const struct rwlock *l;
	struct fipc_rwlock_info info;
	unsigned n;
	int r;
	if (fipc__misaligned(public) || size < INFO_SIZE_MIN)
		return -EINVAL;
	l = fipc__handle_behind_view(public);
	r = check_given(l);
	if (r < 0)
		return r;
	r = look_up_slots(public, l, &n);
	if (r < 0)
		return r;
	fipc__rwlock_describe(l, n, &info);
	info.waiters = fipc__rwlock_sleepers(l, (const char *)l, n);
	fipc__give_info(ret, size, &info);
	return 0;
}
