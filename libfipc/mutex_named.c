/* SPDX-License-Identifier: Apache-2.0 */
/* A mutex under a name. */
#include "fork.h"
#include "handle.h"
#include "mutex.h"

#include <errno.h>

static int size(const void *params, size_t *ret)
{
	(void)params;
	*ret = sizeof(fipc_mutex);
	return 0;
}

static void image(void *ret, const void *params, unsigned flags)
{
	(void)params;
	fipc__mutex_image(ret, flags);
}

static int check(const void *head, size_t *size)
{
	int r = fipc__mutex_check(head);
	return r < 0 ? r : fipc__takes(sizeof(fipc_mutex), size);
}

/*
 * Unmapping must not overtake a thread that has released the lock and is still on its way out of unlock. Such a thread
 * needs no more than to run; one that waits for the lock stays, and then the object is in use.
 */
static int busy(const void *m)
{
	if (fipc__mutex_held_here(m))
		return -EBUSY;
	return fipc__robust_pending(m) ? -EAGAIN : 0;
}

static int look(const struct look *l, struct fipc_object *ret)
{
	const struct mutex *m = l->copy;
	int r = fipc__mutex_describe(m, &ret->mutex);
	if (r < 0 || !(atomic_load_explicit(&m->word, memory_order_relaxed) & WORD_WAITERS))
		return r;
	ret->mutex.waiters = fipc__look_asleep(l, offsetof(struct mutex, word));
	return 0;
}

const struct object_kind fipc__kind_mutex = {
	.type = FIPC_TYPE_MUTEX,
	.flags = FIPC_TIMESTAMPS,
	.size = size,
	.image = image,
	.check = check,
	.busy = busy,
	.look = look,
};

int fipc_mutex_open(fipc_mutex **ret, const char *name, unsigned flags, mode_t mode)
{
	void *object;
	int r = fipc__named_open(&object, &fipc__kind_mutex, NULL, name, flags, mode);
	if (r >= 0)
		*ret = object;
	return r;
}

int fipc_mutex_close(fipc_mutex *m)
{
	return fipc__named_close(m, &fipc__kind_mutex);
}

int fipc_mutex_unlink(const char *name)
{
	return fipc__named_unlink(name, FIPC_TYPE_MUTEX);
}
