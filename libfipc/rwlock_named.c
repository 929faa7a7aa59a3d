/* SPDX-License-Identifier: Apache-2.0 */
/* A rwlock under a name. */
#include "futex.h"
#include "handle.h"
#include "mutex.h"
#include "rwlock.h"

#include <errno.h>
#include <limits.h>

static int size(const void *params, size_t *ret)
{
	const unsigned *readers = params;
	*ret = fipc_rwlock_size(*readers);
	return *ret ? 0 : -EINVAL;
}

static void image(void *ret, const void *params, unsigned flags)
{
	const unsigned *readers = params;
	(void)flags;
	fipc__rwlock_image(ret, *readers);
}

static int check(const void *head, size_t *size)
{
	return fipc__rwlock_check(head, *size);
}

/* Of the file's size, which was found to agree with the head when it was opened; the head may say anything by now. */
static unsigned slots_in(size_t size)
{
	return (unsigned)((size - sizeof(struct rwlock)) / sizeof(struct mutex));
}

/* What mutex_named.c says of a mutex goes for the gate and for each slot. */
static int busy(const void *object)
{
	const struct rwlock *l = object;
	unsigned n = slots_in(fipc__handle_size_locked(object));
	if (fipc__mutex_held_here(&l->gate))
		return -EBUSY;
	for (unsigned i = 0; i < n; i++)
		if (fipc__mutex_word_is_ours(&l->slots[i]))
			return -EBUSY;
	return fipc__robust_pending_among(&l->gate, n + 1) ? -EAGAIN : 0;
}

static void wake_all(const char *map, unsigned n)
{
	const char *words = map + offsetof(struct rwlock, gate) + offsetof(struct mutex, word);
	fipc__futex_wake(map + offsetof(struct rwlock, freed), UINT_MAX, FUTEX_SHARED);
	for (unsigned i = 0; i < n + 1; i++)
		fipc__futex_wake(words + i * sizeof(struct mutex), UINT_MAX, FUTEX_SHARED);
}

static void note_readers(const struct rwlock *copy, unsigned n, struct fipc_holder *holders, struct fipc_object *ret)
{
	for (unsigned i = 0; i < n; i++) {
		const struct mutex *slot = &copy->slots[i];
		uint32_t tid = atomic_load_explicit(&slot->word, memory_order_relaxed) & WORD_TID;
		if (tid == 0)
			continue;
		if (ret->n_holders < FIPC_HOLDERS_MAX)
			holders[ret->n_holders] = (struct fipc_holder){
				atomic_load_explicit(&slot->owner_pid, memory_order_relaxed), tid, 1};
		ret->n_holders++;
	}
}

static int look(const struct look *l, struct fipc_object *ret)
{
	const struct rwlock *copy = l->copy;
	unsigned n = slots_in(l->size);
	int r = fipc__rwlock_check(copy, l->size);
	const char *map;
	if (r < 0 || l->copied < l->size)
		return r < 0 ? r : -EINVAL;
	fipc__rwlock_describe(copy, n, &ret->rwlock);
	note_readers(copy, n, l->holders, ret);
	map = fipc__look_map(l);
	if (!map)
		return 0;
	ret->rwlock.waiters = fipc__rwlock_sleepers(copy, map, n);
	if (l->wake && ret->rwlock.waiters > 0)
		wake_all(map, n);
	return 0;
}

const struct object_kind fipc__kind_rwlock = {
	.type = FIPC_TYPE_RWLOCK,
	.size = size,
	.image = image,
	.check = check,
	.busy = busy,
	.look = look,
};

int fipc_rwlock_open(fipc_rwlock **ret, const char *name, unsigned readers, unsigned flags, mode_t mode)
{
	void *object;
	int r = fipc__named_open(&object, &fipc__kind_rwlock, &readers, name, flags, mode);
	if (r < 0)
		return r;
	if (!(flags & FIPC_READONLY))
		fipc__rwlock_remember(object, slots_in(fipc__handle_size(object)));
	*ret = object;
	return r;
}

int fipc_rwlock_close(fipc_rwlock *l)
{
	return fipc__named_close(l, &fipc__kind_rwlock);
}

int fipc_rwlock_unlink(const char *name)
{
	return fipc__named_unlink(name, FIPC_TYPE_RWLOCK);
}
