/* SPDX-License-Identifier: Apache-2.0 */
/* A condition variable under a name. */
#include "cond.h"
#include "handle.h"

#include <errno.h>

static int size(const void *params, size_t *ret)
{
	(void)params;
	*ret = sizeof(fipc_cond);
	return 0;
}

static void image(void *ret, const void *params, unsigned flags)
{
	(void)params;
	fipc__cond_image(ret, flags);
}

static int check(const void *head, size_t *size)
{
	int r = fipc__cond_check(head);
	return r < 0 ? r : fipc__takes(sizeof(fipc_cond), size);
}

/* Unmapping must not overtake a thread that is about to wake, that sleeps, or that is on its way to the mutex. */
static int busy(const void *object)
{
	const struct cond *c = object;
	return fipc__park_pending(&c->word) || fipc__cond_courier_here(c) ? -EAGAIN : 0;
}

static int look(const struct look *l, struct fipc_object *ret)
{
	const struct cond *c = l->copy;
	int r = fipc__cond_check(c);
	if (r < 0)
		return r;
	fipc__cond_describe(c, &ret->cond);
	ret->cond.waiters = fipc__look_asleep(l, offsetof(struct cond, word));
	if (l->wake)
		fipc__look_asleep(l, offsetof(struct cond, turn)); /* on their way to the mutex, and not counted */
	return 0;
}

const struct object_kind fipc__kind_cond = {
	.type = FIPC_TYPE_COND,
	.size = size,
	.image = image,
	.check = check,
	.busy = busy,
	.look = look,
};

int fipc_cond_open(fipc_cond **ret, const char *name, unsigned flags, mode_t mode)
{
	void *object;
	int r = fipc__named_open(&object, &fipc__kind_cond, NULL, name, flags, mode);
	if (r >= 0)
		*ret = object;
	return r;
}

int fipc_cond_close(fipc_cond *c)
{
	return fipc__named_close(c, &fipc__kind_cond);
}

int fipc_cond_unlink(const char *name)
{
	return fipc__named_unlink(name, FIPC_TYPE_COND);
}
