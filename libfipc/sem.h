/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A semaphore: 64 bytes (place.h). Its state is one 64-bit atomic, of which sleepers use the upper half, as a futex
 * word.
 *
 *	bits     meaning                        set by                          cleared by
 *	0..31    tokens                         post (adds), wait (takes one): one compare-and-swap of all 64 bits
 *	32..61   always 0
 *	62       PARK_READY: tokens > 0, no     that same compare-and-swap
 *	         more and no less
 *	63       PARK_WAITERS: somebody may     a waiter that finds no token,   a wake, together with waking all
 *	         be asleep                      before it sleeps; who comes     (one kernel step); the swap of a post,
 *	                                        back, if others sleep; kept     if one sleeps alone, as it seems, who
 *	                                        by take                         then wakes all
 *
 * Nobody falls asleep while there are tokens: FUTEX_WAIT asks for an upper half of PARK_WAITERS alone. WAITERS may be
 * set with nobody asleep. It is clear with somebody asleep only between the swap of a post and its wake; and, if the
 * poster was killed there, until the one whom the kernel wakes instead has come back. READY cannot be stale.
 *
 * `sleepers`: how many threads are asleep here, or about to fall asleep, or have just come back. One that is killed stays
 * in it: it may be too high, never too low; too high, it costs system calls that find nobody.
 *
 * `any`: how many threads sleep on this and other words at once (wait_any.c), each content with what another one has. A
 * wake-up that it is given would end there, so while there are some, whoever wakes, wakes all. Raised before such a
 * thread sleeps (seq_cst; pairs with the load after post's swap); one that is killed leaves it too high, which costs
 * wake-ups and strands nobody.
 */
#ifndef FIPC_INTERNAL_SEM_H
#define FIPC_INTERNAL_SEM_H

#include "park.h"
#include "place.h"

#include <fipc/sem.h>

#define KIND_SEM KIND(FIPC_TYPE_SEM)
#define KIND_SEM_FLAGS (KIND_PRIVATE | KIND_TIMESTAMPS | KIND_OWNED)

struct sem {
	union {
		struct {
			_Atomic uint32_t magic, kind;
		};
		_Atomic uint64_t head; /* both, for the fast path */
	};
	uint32_t place[2];
	union {
		_Atomic uint64_t state;
		struct {
			uint32_t tokens;       /* never alone */
			_Atomic uint32_t word; /* where they sleep */
		};
	};
	_Atomic uint32_t any;
	_Atomic uint32_t sleepers;
	uint32_t features; /* that older libraries may ignore; none yet */
	unsigned char link[12];
	_Atomic uint32_t last_pid;
	uint32_t unused_too;
	_Atomic uint64_t acquired_ns;
} __attribute__((may_alias));

static_assert(sizeof(struct sem) == sizeof(struct place) && sizeof(fipc_sem) == 64, "a semaphore is 64 bytes");
static_assert(offsetof(struct sem, state) == offsetof(struct place, own_a), "state");
static_assert(offsetof(struct sem, word) == offsetof(struct sem, state) + 4, "the upper half is the futex word");
static_assert(offsetof(struct sem, link) == offsetof(struct place, link), "link");
static_assert(FIPC_TYPE_SEM == 2 && PARK_READY == UINT32_C(0x40000000), "FIPC_SEM_INITIALIZER");

/* Is it one whose tokens have owners (sem_owned.h)? relaxed: stands from before the magic is published. */
static inline bool is_owned(const struct sem *s)
{
	return (atomic_load_explicit(&s->kind, memory_order_relaxed) & KIND_OWNED) != 0;
}

/* Fill 64 bytes. flags: FIPC_PRIVATE, FIPC_TIMESTAMPS. */
void fipc__sem_image(struct sem *s, uint32_t initial, unsigned flags);

/* 0: a semaphore that this library can use, owned or not; -EINVAL, -ENOTSUP. */
int fipc__sem_check(const struct sem *s);

/*
 * For who waits for several things at once, of one that is not owned. note: before sleeping; true: there is no token,
 * and asleep is right while word is PARK_WAITERS. pass_on: a wake-up that came may have been for somebody else.
 */
bool fipc__sem_note(struct sem *s);
void fipc__sem_pass_on(struct sem *s);

/* Fill info from one that is not owned, without the number of sleepers. */
void fipc__sem_describe(const struct sem *s, struct fipc_sem_info *ret);

#endif
