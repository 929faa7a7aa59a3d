/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A primitive in the caller's 64 bytes: made by init or by the first attach, ended by destroy.
 *
 * Zeroed memory is a free lock word (at 8, as a mutex has it), so whoever wants to make a primitive takes that lock,
 * robustly, before there is anything; of any number of callers exactly one makes it. Bytes 8 to 15, and 36 to 47 where
 * the list's link goes, are for this and nothing else, in every primitive that can be attached.
 * Killed meanwhile: the magic is still 0, OWNER_DIED stands in the word, and the next one to take it makes it anew.
 *
 * A mutex knows more (its word goes on being a lock), and does this for itself.
 */
#ifndef FIPC_PLACE_H
#define FIPC_PLACE_H

#include "layout.h"

#include <stdbool.h>

struct place { /* what a primitive of 64 bytes leaves alone between its fields */
	_Atomic uint32_t magic, kind;
	_Atomic uint32_t maker, musl_waiters;
	_Atomic uint32_t own_a[5]; /* 16 */
	unsigned char link[12];
	_Atomic uint32_t own_b[4]; /* 48 */
};
static_assert(sizeof(struct place) == 64 && offsetof(struct place, link) == offsetof(struct mutex, link), "place");
static_assert(offsetof(struct place, maker) == offsetof(struct mutex, word), "place");

/*
 * 0: these are the magic and kind of a primitive of this kind, with no flags but those known. -EINVAL, or -ENOTSUP: of an
 * incompatible version.
 */
int fipc__kind_check(uint32_t magic, uint32_t kind, uint32_t wanted, uint32_t known_flags);

/* The same of memory a caller gave us. -EACCES: it is a read-only view. acquire; pairs with fipc__place_publish. */
int fipc__place_check(const void *object, uint32_t wanted, uint32_t known_flags);

/* NULL, or not aligned as every primitive is. */
static inline bool fipc__misaligned(const void *object)
{
	return !object || (uintptr_t)object % sizeof(uint64_t) != 0;
}

/* The least that a caller of an info call can have been compiled with. */
#define INFO_SIZE_MIN (2 * sizeof(uint32_t))

/* Answer an info call: as much of `info`, which begins with its size, as the caller has room for. */
void fipc__give_info(void *ret, size_t room, void *info);

/* The bits of `kind` that flags of init, attach or open ask for. */
uint32_t fipc__kind_flags(unsigned flags);

/*
 * How a primitive fills its own bytes (own_a, own_b), which are zeros; called with kind set and magic still 0. release,
 * where it stores anything but 0; pairs with an attacher's look (unmade): who sees that sees the kind.
 */
typedef void (*fill_fn)(void *object, uint32_t initial);

/* Fill 64 bytes whatever was there before, and set the magic. */
void fipc__place_image(void *object, uint32_t kind, fill_fn fill, uint32_t initial);

/* Join, or make if there is nothing. FIPC_CREATED, 0, -EINVAL, -ENOTSUP, -EACCES, or as fipc_mutex_lock(). */
int fipc__place_attach(void *object, uint32_t kind, uint32_t known_flags, fill_fn fill, uint32_t initial);

/* End it, unless somebody sleeps on w: from now on it is none. -EBUSY; -EINVAL: it is open by name. */
int fipc__place_destroy(void *object, const _Atomic uint32_t *w);

#endif
