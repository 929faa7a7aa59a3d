/* SPDX-License-Identifier: Apache-2.0 */
/* A mutex under a name. */
#include "fork.h"
#include "handle.h"
#include "mutex.h"

#include <errno.h>

static void image(void *ret, unsigned flags)
{
	fipc__mutex_image(ret, flags);
}

static int check(const void *m)
{
	return fipc__mutex_check(m);
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

static const struct object_kind mutex = {
	.type = FIPC_TYPE_MUTEX,
	.size = sizeof(fipc_mutex),
	.image = image,
	.check = check,
	.busy = busy,
};

int fipc_mutex_open(fipc_mutex **ret, const char *name, unsigned flags, mode_t mode)
{
	void *object;
	int r = fipc__named_open(&object, &mutex, name, flags, mode);
	if (r >= 0)
		*ret = object;
	return r;
}

int fipc_mutex_close(fipc_mutex *m)
{
	return fipc__named_close(m, &mutex);
}

int fipc_mutex_unlink(const char *name)
{
	return fipc__named_unlink(name, FIPC_TYPE_MUTEX);
}
