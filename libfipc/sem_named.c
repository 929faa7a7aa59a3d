/* SPDX-License-Identifier: Apache-2.0 */
/* A semaphore under a name, of either kind. */
#include "handle.h"
#include "sem.h"
#include "sem_owned.h"

#include <errno.h>

struct wish {
	uint32_t initial;
	unsigned flags;
};

static int size(const void *params, size_t *ret)
{
	const struct wish *w = params;
	if (w->flags & FIPC_OWNED)
		return fipc__owned_size(w->initial, ret);
	*ret = sizeof(fipc_sem);
	return 0;
}

static void image(void *ret, const void *params, unsigned flags)
{
	const struct wish *w = params;
	if (w->flags & FIPC_OWNED)
		fipc__owned_image(ret, w->initial, flags);
	else
		fipc__sem_image(ret, w->initial, flags);
}

static int check(const void *head, size_t *size)
{
	int r = fipc__sem_check(head);
	if (r < 0)
		return r;
	if (is_owned(head))
		return fipc__owned_check(head, size);
	return fipc__takes(sizeof(fipc_sem), size);
}

/* Unmapping must not overtake a thread that has posted and is about to wake, nor one that sleeps. */
static int busy(const void *object)
{
	const struct sem *s = object;
	if (is_owned(s))
		return fipc__owned_busy(s);
	return fipc__park_pending(&s->word) ? -EAGAIN : 0;
}

static int look_at_owned(const struct look *l, struct fipc_object *ret)
{
	struct owned_holder holders[FIPC_HOLDERS_MAX];
	int r = fipc__owned_look(l, &ret->sem);
	unsigned n = r < 0 ? 0 : fipc__owned_holders(l->copy, l->copied, holders, FIPC_HOLDERS_MAX);
	for (unsigned i = 0; i < n; i++)
		l->holders[i] = (struct fipc_holder){holders[i].pid, 0, holders[i].held};
	ret->n_holders = r < 0 ? 0 : ret->sem.holders; /* there may be more than have room */
	return r;
}

static int look(const struct look *l, struct fipc_object *ret)
{
	const struct sem *s = l->copy;
	int r = fipc__sem_check(s);
	if (r < 0)
		return r;
	if (is_owned(s))
		return look_at_owned(l, ret);
	fipc__sem_describe(s, &ret->sem);
	ret->sem.waiters = fipc__look_asleep(l, offsetof(struct sem, word));
	return 0;
}

const struct object_kind fipc__kind_sem = {
	.type = FIPC_TYPE_SEM,
	.flags = FIPC_TIMESTAMPS | FIPC_OWNED,
	.size = size,
	.image = image,
	.check = check,
	.busy = busy,
	.look = look,
};

int fipc_sem_open(fipc_sem **ret, const char *name, uint32_t initial, unsigned flags, mode_t mode)
{
	const struct wish w = {initial, flags};
	void *object;
	int r = fipc__named_open(&object, &fipc__kind_sem, &w, name, flags, mode);
	if (r >= 0)
		*ret = object;
	return r;
}

int fipc_sem_close(fipc_sem *s)
{
	return fipc__named_close(s, &fipc__kind_sem);
}

int fipc_sem_unlink(const char *name)
{
	return fipc__named_unlink(name, FIPC_TYPE_SEM);
}
