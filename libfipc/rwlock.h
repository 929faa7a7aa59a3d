/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of a rwlock: a head, the gate, and a slot for each thread that may read at a time; 64 bytes each.
 *
 *	the gate    a whole mutex. Who has it is the writer, or waits to be, or is a reader that comes in the slow way.
 *	a slot      laid out as a mutex, of which only the word, the link and counts are used; zeros are a free one. Who
 *	            has it reads, or looks whether it may. Both are lock words as in layout.h, with one rule more:
 *
 * Only whoever has the gate sleeps on slots, and a death in a slot says nothing but that it is free.
 *
 * The state, in the head: written by who has the gate, and it alone says whether a death was one inside
 *
 *	value              meaning                               set by                       followed by
 *	RW_CLEAN           no writer is inside                   init; unlock                 WRITING, DESTROYED
 *	RW_WRITING         a writer is inside, or died there     wrlock, after the last       CLEAN (unlock), RECOVERING
 *	                                                         slot was found free;
 *	                                                         consistent
 *	RW_RECOVERING      the one inside was told of a death,   who gets the gate and finds  WRITING (consistent),
 *	                   or died there too                     WRITING or RECOVERING        NOT_RECOVERABLE (unlock)
 *	RW_NOT_RECOVERABLE nobody gets it any more               unlock without consistent    -
 *	RW_DESTROYED       it is none                            destroy                      CLEAN (attach)
 *
 * OWNER_DIED in the gate's word is not looked at: who died there with the state CLEAN (waiting for readers to leave, on
 * its way in to read, or having unlocked but for the word) has left nothing half done.
 */
#ifndef FIPC_INTERNAL_RWLOCK_H
#define FIPC_INTERNAL_RWLOCK_H

#include "robust.h"

#include <fipc/rwlock.h>

#define KIND_RWLOCK KIND(FIPC_TYPE_RWLOCK)
#define HEAD_PLAIN_RWLOCK ((uint64_t)KIND_RWLOCK << 32 | OBJECT_MAGIC)

enum { RW_CLEAN, RW_WRITING, RW_RECOVERING, RW_NOT_RECOVERABLE, RW_DESTROYED };

struct rwlock {
	union {
		struct {
			_Atomic uint32_t magic, kind;
		};
		_Atomic uint64_t head; /* both, for the fast path */
	};
	uint32_t maker, musl_waiters; /* see place.h */
	_Atomic uint32_t n_slots;
	_Atomic uint32_t state;
	_Atomic uint32_t freed; /* changes when a slot is given back that somebody may wait for; if there are many */
	_Atomic uint32_t owner_deaths, writes; /* by who has the gate */
	unsigned char link[12];
	_Atomic uint32_t contended; /* by who has the gate */
	_Atomic uint32_t features;  /* that older libraries may ignore; none yet */
	uint32_t reserved[2];
	struct mutex gate;
	struct mutex slots[];
} __attribute__((may_alias));

static_assert(offsetof(struct rwlock, gate) == 64 && offsetof(struct rwlock, slots) == 128, "a rwlock");
static_assert(offsetof(struct rwlock, link) == offsetof(struct mutex, link), "a rwlock's head");

/* Fill head and gate of a free one, 128 bytes, whatever was there before; its slots have to be zero. */
void fipc__rwlock_image(struct rwlock *l, unsigned n_slots);

/* 0: these 64 bytes are the head of one that takes `size` bytes. -EINVAL, -ENOTSUP. */
int fipc__rwlock_check(const struct rwlock *l, size_t size);

/* Fill info from one, or the copy of one, of n slots; without the number of sleepers. */
void fipc__rwlock_describe(const struct rwlock *l, unsigned n, struct fipc_rwlock_info *ret);

/* How many sleep on it. l: it or a copy; map: where they sleep. */
unsigned fipc__rwlock_sleepers(const struct rwlock *l, const char *map, unsigned n);

/* Keep in mind that the one here has n slots. */
void fipc__rwlock_remember(const struct rwlock *l, unsigned n);

#endif
