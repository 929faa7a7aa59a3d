/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How an owner's death is learnt: the robust list (futex(2), Documentation/locking/robust-futex-ABI.rst).
 *
 * The kernel keeps one list a thread, and libc has it; so fipc joins libc's, once per thread:
 *
 *	head -> libc's newer nodes -> FIRST -> our held locks, newest first -> LAST -> libc's older nodes -> head
 *
 * FIRST and LAST are private memory. Between them libc neither reads nor writes, beyond them we touch nothing but at the
 * thread's start and end; so no pointer is ever read from shared memory, and libc never has a node of ours, which a
 * peer may have scribbled on, for a neighbour. Which locks are held is known from a private stack.
 *
 * Killed at any step: `pending` names the lock from before its word changes until after the links are right, so the
 * kernel looks at it whether or not it stands in the list; a node that the list still has but whose word no longer
 * carries the thread's TID is passed over. Only stores of this thread count, in program order (its death is in its own
 * order too), so a compiler barrier between them is enough on every machine.
 *
 * All of it lies in memory that fork wipes: a child's thread holds nothing and starts anew, however it was forked.
 */
#ifndef FIPC_ROBUST_H
#define FIPC_ROBUST_H

#include "layout.h"
#include "tls.h"

#include <stdbool.h>
#include <string.h>

/* The kernel's walk ends after 2048 entries (ROBUST_LIST_LIMIT), of which FIRST is one. */
#define HELD_MAX 2047

struct sentinel { /* laid out as libc's: an imaginary mutex of TID 0, whose next is `next` */
	uint32_t words[8];
	void *prev, *next;
};

/* What a thread remembers of an owned semaphore that it uses: see sem_owned.c. */
struct owned_view {
	const void *object; /* NULL: nothing */
	uint64_t tracker, process;
	uint32_t closings; /* the number of closings then: it is good until the next one */
	uint32_t slots, mine, hint;
};
#define OWNED_VIEWS 8

struct thread {
	void **top;   /* of `stack`: the newest node held; NULL before the first use, and in a forked child */
	void **limit; /* top stands here when no more may be held */
	void *_Atomic *pending;
	intptr_t futex_offset; /* from a node to its lock word, as libc told the kernel */
	uint32_t tid, pid, pidns;
	uint32_t spins_to_skip, yields_to_skip; /* see spin.h */
	struct sentinel first, last;
	struct thread *next_thread, **back; /* all threads of the process, under fipc__threads_lock */
	void **head;
	struct owned_view owned[OWNED_VIEWS];
	struct wait_slot *slot; /* where it says what it waits for, in this page: slot.c */
	struct tracker_page *slot_page;
	bool reads; /* a rwlock, if that is what it is about to sleep on */
	void *stack[1 + HELD_MAX]; /* [0] is LAST's node */
};

extern FIPC_TLS struct thread *fipc__self __attribute__((visibility("hidden"))); /* never NULL */

/* Make this thread ready, if it is not. 0, -ENOSYS, -ENOMEM, -EAGAIN (no key left). */
int fipc__robust_begin(void);
static inline int fipc__robust_enter(void)
{
	return __builtin_expect(fipc__self->top != NULL, 1) ? 0 : fipc__robust_begin();
}

/* Is a thread of this process in the middle of locking or unlocking this word, or asleep on it? */
bool fipc__robust_pending(const struct mutex *m);
/* The same of any of n words in a row, laid out as mutexes. */
bool fipc__robust_pending_among(const struct mutex *first, size_t n);

/* Does a thread of this process hold it? */
bool fipc__robust_holds(const struct mutex *m);

static inline void *node_of(const struct thread *t, const struct mutex *m)
{
	return (void *)((uintptr_t)m + offsetof(struct mutex, word) - (uintptr_t)t->futex_offset);
}

static inline struct mutex *mutex_of_node(const struct thread *t, void *node)
{
	return (struct mutex *)((char *)node + t->futex_offset - offsetof(struct mutex, word));
}

static inline void barrier(void)
{
	atomic_signal_fence(memory_order_seq_cst);
}

static inline void store_pending(void *_Atomic *pending, void *node)
{
	barrier();
	/* release; pairs with fipc__robust_pending_among: who closes, and finds it cleared, may free what was worked on */
	atomic_store_explicit(pending, node, memory_order_release);
	barrier();
}

static inline void set_pending(struct thread *t, void *node)
{
	store_pending(t->pending, node);
}

/*
 * release; pairs with the acquire in holds(): one who closes, and does not find it held any more, finds it pending until it
 * has been let go of.
 */
static inline void set_top(struct thread *t, void **top)
{
	__atomic_store_n(&t->top, top, __ATOMIC_RELEASE);
}

static inline void set_held(void **at, void *node)
{
	__atomic_store_n(at, node, __ATOMIC_RELAXED);
}

/* Having acquired, with pending set. A node may be aligned to 4 only. */
static inline void push_held(struct thread *t, void *node)
{
	void **top = t->top;
	memcpy(node, top, sizeof(void *));
	barrier();
	t->first.next = node;
	set_held(&top[1], node);
	set_top(t, top + 1);
	barrier();
}

/* Before releasing the newest, with pending set. */
static inline void pop_held(struct thread *t)
{
	void **top = t->top - 1;
	t->first.next = *top;
	set_top(t, top);
	barrier();
}

/* The place in the stack of a node, NULL if it is not held. */
static inline void **find_held(struct thread *t, const void *node)
{
	void **at = t->top;
	if (!at)
		return NULL;
	while (at > t->stack && *at != node)
		at--;
	return at == t->stack ? NULL : at;
}

/* Before releasing any of them, with pending set; or after its word is no longer ours. */
static inline void remove_held(struct thread *t, void **at)
{
	if (at == t->top) {
		pop_held(t);
		return;
	}
	memcpy(at[1], &at[-1], sizeof(void *)); /* at[1] is the next newer one: it now leads to the next older one */
	for (; at < t->top; at++)
		set_held(at, at[1]);
	set_top(t, t->top - 1);
	barrier();
}

#endif
