/* SPDX-License-Identifier: Apache-2.0 */
#include "place.h"

#include "handle.h"
#include "mutex.h"
#include "park.h"

#include <errno.h>
#include <limits.h>

int fipc__kind_check(uint32_t magic, uint32_t kind, uint32_t wanted, uint32_t known_flags)
{
	const uint32_t without_abi = UINT32_C(0x00ff00ff);
	if (magic != OBJECT_MAGIC || (kind & without_abi) != (wanted & without_abi))
		return -EINVAL;
	return (kind & ~known_flags) == wanted ? 0 : -ENOTSUP;
}

int fipc__place_check(const void *object, uint32_t wanted, uint32_t known_flags)
{
	const struct place *p = object;
	/* acquire; pairs with publish(): who sees the magic sees the rest */
	uint32_t magic = atomic_load_explicit(&p->magic, memory_order_acquire);
	int r = fipc__kind_check(magic, atomic_load_explicit(&p->kind, memory_order_relaxed), wanted, known_flags);
	return r == -EINVAL && fipc__handle_is_view(object) ? -EACCES : r;
}

void fipc__give_info(void *ret, size_t room, void *info)
{
	uint32_t *size = info;
	if (*size > room)
		*size = (uint32_t)room;
	memcpy(ret, info, *size);
}

uint32_t fipc__kind_flags(unsigned flags)
{
	return (flags & FIPC_PRIVATE ? KIND_PRIVATE : 0) | (flags & FIPC_TIMESTAMPS ? KIND_TIMESTAMPS : 0) |
	       (flags & FIPC_AUTORESET ? KIND_AUTORESET : 0) | (flags & FIPC_OWNED ? KIND_OWNED : 0);
}

static void publish(struct place *p)
{
	/* release; pairs with fipc__place_check */
	atomic_store_explicit(&p->magic, OBJECT_MAGIC, memory_order_release);
}

void fipc__place_image(void *object, uint32_t kind, fill_fn fill, uint32_t initial)
{
	struct place *p = object;
	memset(p, 0, sizeof(*p));
	atomic_store_explicit(&p->kind, kind, memory_order_relaxed);
	fill(p, initial);
	publish(p);
}

/* acquire, each; pairs with the release in fill_fn: who sees that a maker has filled them sees the kind */
static bool all_zero(const _Atomic uint32_t *words, size_t n)
{
	while (n > 0 && atomic_load_explicit(&words[n - 1], memory_order_acquire) == 0)
		n--;
	return n == 0;
}

/* relaxed: zeros seen before the kind are those of memory that nobody has begun to make */
static void clear(_Atomic uint32_t *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		atomic_store_explicit(&words[i], 0, memory_order_relaxed);
}

#define WORDS(array) (array), sizeof(array) / sizeof(*(array))

/* Zeros but for the maker's lock, or what a killed maker or a destroyer left of the same kind. */
static bool unmade(const struct place *p, uint32_t kind, uint32_t known_flags)
{
	uint32_t found = atomic_load_explicit(&p->kind, memory_order_relaxed);
	if (atomic_load_explicit(&p->magic, memory_order_relaxed) != 0 || p->musl_waiters != 0)
		return false;
	if (found == 0 && all_zero(WORDS(p->own_a)) && all_zero(WORDS(p->own_b)))
		return true;
	/* Again, after that: somebody may have begun to make it between the two looks. */
	found = atomic_load_explicit(&p->kind, memory_order_acquire);
	return found != 0 && (found & ~known_flags) == (kind & ~known_flags);
}

static void make(struct place *p, uint32_t kind, fill_fn fill, uint32_t initial)
{
	/* First: what follows is a killed maker's if it stays. relaxed: fill's stores are release. */
	atomic_store_explicit(&p->kind, kind, memory_order_relaxed);
	clear(WORDS(p->own_a));
	clear(WORDS(p->own_b));
	fill(p, initial);
	publish(p);
}

int fipc__place_attach(void *object, uint32_t kind, uint32_t known_flags, fill_fn fill, uint32_t initial)
{
	struct place *p = object;
	struct mutex *lock = object;
	bool made = false;
	int r = fipc__robust_enter();
	if (r < 0)
		return r;
	if (!unmade(p, kind, known_flags))
		return fipc__place_check(p, kind & ~known_flags, known_flags);
	r = fipc__mutex_take_bare(lock);
	if (r < 0)
		return r;
	if (unmade(p, kind, known_flags)) {
		make(p, kind, fill, initial);
		made = true;
	}
	fipc__mutex_let_go_bare(lock);
	return made ? FIPC_CREATED : fipc__place_check(p, kind & ~known_flags, known_flags);
}

int fipc__place_destroy(void *object, const _Atomic uint32_t *w)
{
	struct place *p = object;
	if (fipc__handle_is_named(object))
		return -EINVAL;
	if (fipc__futex_sleepers((const void *)w) > 0)
		return -EBUSY;
	/* release; pairs with fipc__place_check. Who came to sleep since wakes up, and finds nothing. */
	atomic_store_explicit(&p->magic, 0, memory_order_release);
	fipc__futex_wake((const void *)w, UINT_MAX, FUTEX_SHARED);
	return 0;
}
