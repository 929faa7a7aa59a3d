/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An event: 64 bytes (place.h). Its state is one 64-bit atomic, of which sleepers use the upper half, as a futex word.
 *
 *	bits     meaning                        set by                          cleared by
 *	0..31    generation: how often it was   set of a clear event: one       -
 *	         set                            compare-and-swap of all 64 bits
 *	32..61   always 0
 *	62       PARK_READY: it is set          that same compare-and-swap      clear; whoever takes an auto-reset one
 *	63       PARK_WAITERS: somebody may     a waiter that finds it clear,   the wake that found nobody, and every
 *	         be asleep                      before it sleeps; kept by set,  wake of all, together with waking all
 *	                                        clear and take                  (one kernel step)
 *
 * Nobody falls asleep while it is set: the kernel asks for an upper half of PARK_WAITERS alone. On a manual event it
 * asks for the generation too that the waiter has seen: it may have been set and cleared meanwhile, and this waiter
 * was there. WAITERS may be stale in one direction: set with nobody asleep. READY cannot be stale.
 *
 * `any`: how many threads are in fipc_wait_any() and may sleep on this word among others (wait_any.c). While there are
 * some, one who wakes for an auto-reset event wakes all.
 */
#ifndef FIPC_INTERNAL_EVENT_H
#define FIPC_INTERNAL_EVENT_H

#include "park.h"
#include "place.h"

#include <fipc/event.h>

#define KIND_EVENT KIND(FIPC_TYPE_EVENT)
#define KIND_EVENT_FLAGS (KIND_PRIVATE | KIND_AUTORESET)

struct event {
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
			_Atomic uint32_t generation; /* changed with all 64 bits; alone only compared, by the kernel */
			_Atomic uint32_t word;       /* where they sleep */
		};
	};
	_Atomic uint32_t any;
	uint32_t unused;
	uint32_t features; /* that older libraries may ignore; none yet */
	unsigned char link[12];
	uint32_t unused_too[4];
} __attribute__((may_alias));

static_assert(sizeof(struct event) == sizeof(struct place) && sizeof(fipc_event) == 64, "an event is 64 bytes");
static_assert(offsetof(struct event, state) == offsetof(struct place, own_a), "state");
static_assert(offsetof(struct event, word) == offsetof(struct event, state) + 4, "the upper half is the futex word");
static_assert(offsetof(struct event, link) == offsetof(struct place, link), "link");

/* relaxed: stands from before the magic is published */
static inline bool resets_itself(const struct event *e)
{
	return (atomic_load_explicit(&e->kind, memory_order_relaxed) & KIND_AUTORESET) != 0;
}

/* Fill 64 bytes. flags: FIPC_PRIVATE, FIPC_AUTORESET. */
void fipc__event_image(struct event *e, unsigned flags);

/* 0: an event that this library can use; -EINVAL, -ENOTSUP. */
int fipc__event_check(const struct event *e);

/* Fill info, without the number of sleepers. */
void fipc__event_describe(const struct event *e, struct fipc_event_info *ret);

/*
 * For who waits for several things at once. look: where its waiter stands; *ret_seen is for the calls that follow.
 * take: true, it was set (since look), and is taken if it resets itself. note: before sleeping; true: asleep is right
 * while word is PARK_WAITERS and, of a manual one, generation is *seen. pass_on: a wake-up that came may have been for
 * somebody else.
 */
void fipc__event_look(const struct event *e, uint32_t *ret_seen);
bool fipc__event_take(struct event *e, uint32_t seen);
bool fipc__event_note(struct event *e, uint32_t seen);
void fipc__event_pass_on(struct event *e, uint32_t seen);

#endif
