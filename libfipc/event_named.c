/* SPDX-License-Identifier: Apache-2.0 */
/* An event under a name. */
#include "event.h"
#include "handle.h"

#include <errno.h>

static int size(const void *params, size_t *ret)
{
	(void)params;
	*ret = sizeof(fipc_event);
	return 0;
}

static void image(void *ret, const void *params, unsigned flags)
{
	(void)params;
	fipc__event_image(ret, flags);
}

static int check(const void *head, size_t *size)
{
	int r = fipc__event_check(head);
	return r < 0 ? r : fipc__takes(sizeof(fipc_event), size);
}

/* Unmapping must not overtake a thread that has set it and is about to wake, nor one that sleeps. */
static int busy(const void *object)
{
	const struct event *e = object;
	return fipc__park_pending(&e->word) ? -EAGAIN : 0;
}

static int look(const struct look *l, struct fipc_object *ret)
{
	const struct event *e = l->copy;
	int r = fipc__event_check(e);
	if (r < 0)
		return r;
	fipc__event_describe(e, &ret->event);
	ret->event.waiters = fipc__look_asleep(l, offsetof(struct event, word));
	return 0;
}

const struct object_kind fipc__kind_event = {
	.type = FIPC_TYPE_EVENT,
	.flags = FIPC_AUTORESET,
	.size = size,
	.image = image,
	.check = check,
	.busy = busy,
	.look = look,
};

int fipc_event_open(fipc_event **ret, const char *name, unsigned flags, mode_t mode)
{
	void *object;
	int r = fipc__named_open(&object, &fipc__kind_event, NULL, name, flags, mode);
	if (r >= 0)
		*ret = object;
	return r;
}

int fipc_event_close(fipc_event *e)
{
	return fipc__named_close(e, &fipc__kind_event);
}

int fipc_event_unlink(const char *name)
{
	return fipc__named_unlink(name, FIPC_TYPE_EVENT);
}
