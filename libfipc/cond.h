/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A condition variable: 64 bytes (place.h). Its state is one 64-bit atomic, of which sleepers use both halves.
 *
 *	bits     meaning                        set by                          cleared by
 *	0..31    sequence of signals and        signal and broadcast that see   -
 *	         broadcasts                     WAITERS: one compare-and-swap
 *	32..61   always 0
 *	62       PARK_READY: all who sleep are  broadcast, with that same       the next waiter, when the wake is done
 *	         to be woken                    compare-and-swap
 *	63       PARK_WAITERS: somebody may     a waiter, before it unlocks     the wake that found nobody, and every
 *	         be asleep, or about to         the mutex                       wake of all, together with waking all
 *	                                                                        (one kernel step)
 *
 * A sleeper asks the kernel (futex_waitv) for a word of PARK_WAITERS alone, and for the sequence that it saw while it
 * held the mutex: so nobody falls asleep after a signal that was for him. READY beside WAITERS: a broadcast has not
 * woken all yet, or its thread was killed; whoever sees it wakes all.
 *
 * The courier: the sleeper that a signal has woken and who is on its way to the mutex. It owes the next sleeper a
 * wake-up, should it die before it has the mutex; but while it waits for the mutex, the mutex is its pending entry. So
 * it holds this lock word meanwhile, robustly, and every sleeper sleeps on that word too (its third): at the courier's
 * death the kernel wakes one of them.
 *
 *	0..29    TID of the courier             compare-and-swap, from TID 0    the courier, when it has the mutex; the
 *	                                        or a thread that is gone        kernel, at its death
 *	30       OWNER_DIED: a courier died     the kernel                      the next courier, who wakes one more
 *	31       WAITERS, for the kernel's      whoever sleeps, whoever         -
 *	         wake-up at a death             becomes courier
 *
 * One courier at a time. The next, woken meanwhile, would only queue behind it for the same mutex; it sleeps on `turn`
 * (bit 31: somebody may sleep there; the courier, when it is done, wakes all of them), and on the courier's word.
 */
#ifndef FIPC_INTERNAL_COND_H
#define FIPC_INTERNAL_COND_H

#include "park.h"
#include "place.h"

#include <fipc/cond.h>

#define KIND_COND KIND(FIPC_TYPE_COND)
#define KIND_COND_FLAGS KIND_PRIVATE

struct cond {
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
			_Atomic uint32_t sequence; /* changed with all 64 bits; alone only compared, by the kernel */
			_Atomic uint32_t word;     /* where they sleep */
		};
	};
	_Atomic uint32_t courier;
	uint32_t musl_waiters; /* always 0 */
	uint32_t features;     /* that older libraries may ignore; none yet */
	unsigned char link[12];
	_Atomic uint32_t turn;
	unsigned char courier_link[12];
} __attribute__((may_alias));

static_assert(sizeof(struct cond) == sizeof(struct place) && sizeof(fipc_cond) == 64, "64 bytes");
static_assert(offsetof(struct cond, state) == offsetof(struct place, own_a), "state");
static_assert(offsetof(struct cond, word) == offsetof(struct cond, state) + 4, "the upper half is the futex word");
static_assert(offsetof(struct cond, link) == offsetof(struct place, link), "link");

/* The courier's word and link stand to each other as those of a mutex that begins here. */
#define COURIER_BASE (offsetof(struct cond, courier) - offsetof(struct mutex, word))
static_assert(COURIER_BASE % 8 == 0, "as a mutex is aligned");
static_assert(offsetof(struct cond, courier_link) == COURIER_BASE + offsetof(struct mutex, link), "the courier's link");
static_assert(offsetof(struct cond, musl_waiters) == COURIER_BASE + offsetof(struct mutex, musl_waiters), "courier");

/* Fill 64 bytes. flags: FIPC_PRIVATE. */
void fipc__cond_image(struct cond *c, unsigned flags);

/* 0: a condition variable that this library can use; -EINVAL, -ENOTSUP. */
int fipc__cond_check(const struct cond *c);

/* Fill info, without the number of sleepers. */
void fipc__cond_describe(const struct cond *c, struct fipc_cond_info *ret);

/* Is a thread of this process on its way out of a wait? */
bool fipc__cond_courier_here(const struct cond *c);

#endif
