/* SPDX-License-Identifier: Apache-2.0 */
/* A message queue's name, and the file behind it. */
#include "handle.h"
#include "mq.h"
#include "mutex.h"
#include "place.h"

#include <errno.h>
#include <limits.h>

static const struct fipc_mq_attr usual = {10, 8192};

static size_t round_up(size_t n, size_t to)
{
	return (n + to - 1) / to * to;
}

struct mq_shape {
	size_t heap, slots, slot_size, size;
};

/* Where everything is, for so many messages of such a size. 0, -EINVAL. */
static int shape_of(uint32_t max_messages, uint32_t max_message_size, struct mq_shape *ret)
{
	const size_t line = 64, n = max_messages, slot = sizeof(struct slot) + max_message_size;
	if (n < 1 || n > MQ_MESSAGES_MAX || max_message_size < 1 || max_message_size > MQ_MESSAGE_SIZE_MAX)
		return -EINVAL;
	ret->heap = sizeof(struct mq) + n * sizeof(uint32_t);
	ret->slots = round_up(ret->heap + n * sizeof(uint32_t), line);
	/* A line for itself each; many small ones rather take less memory. */
	ret->slot_size = round_up(slot, slot < line ? sizeof(uint64_t) : line);
	ret->size = ret->slots + n * ret->slot_size;
	return 0;
}

static int size(const void *params, size_t *ret)
{
	const struct fipc_mq_attr *attr = params;
	struct mq_shape shape;
	int r = shape_of(attr->max_messages, attr->max_message_size, &shape);
	if (r == 0)
		*ret = shape.size;
	return r;
}

/* The rest is zeros: see mq.h. */
static void image(void *ret, const void *params, unsigned flags)
{
	const struct fipc_mq_attr *attr = params;
	struct mq *m = ret;
	(void)flags;
	fipc__mutex_image(&m->registrant, 0);
	fipc__mutex_image(&m->side[SENDERS].lock, 0);
	fipc__mutex_image(&m->side[RECEIVERS].lock, 0);
	m->max_messages = attr->max_messages;
	m->max_message_size = attr->max_message_size;
	m->kind = KIND_MQ;
	m->magic = OBJECT_MAGIC;
}

static int check(const void *head, size_t *size)
{
	const struct mq *m = head;
	struct mq_shape shape;
	int r = fipc__kind_check(m->magic, m->kind, KIND_MQ, 0);
	if (r == 0)
		r = shape_of(m->max_messages, m->max_message_size, &shape);
	return r < 0 ? r : fipc__takes(shape.size, size);
}

/* Does a thread of this process sleep, or is it on its way in or out? Then it will be out in a moment, or is in use. */
static int busy(const void *object)
{
	const fipc_mq *q = object;
	for (int who = RECEIVERS; who <= SENDERS; who++) {
		const struct mutex *lock = &q->m->side[who].lock;
		/* In this order: who leaves has the lock pending from before he lets go of it. */
		if (fipc__mutex_held_here(lock) || fipc__robust_pending(lock) ||
		    fipc__park_pending(&q->m->side[who].bed))
			return -EAGAIN;
	}
	return 0;
}

/* The sizes are read once more, for somebody may have changed them since check(): what counts is how much is mapped. */
static int begin(struct object_local *local)
{
	fipc_mq *q = (fipc_mq *)local;
	struct mq *m = local->object;
	char *base = local->object;
	uint32_t n = m->max_messages, size = m->max_message_size;
	struct mq_shape shape;
	int r = shape_of(n, size, &shape);
	if (r < 0 || shape.size > local->size)
		return -EINVAL;
	q->m = m;
	q->max_messages = n;
	q->max_message_size = size;
	q->slot_size = shape.slot_size;
	q->heap = (_Atomic uint32_t *)(void *)(base + shape.heap);
	q->slots = (unsigned char *)base + shape.slots;
	return 0;
}

static void end(struct object_local *local)
{
	fipc__mq_helpers_end((fipc_mq *)local);
}

static void wake_all(const char *map)
{
	static const size_t words[] = {
		offsetof(struct mq, side[RECEIVERS].bed),
		offsetof(struct mq, side[SENDERS].bed),
		offsetof(struct mq, emptied),
	};
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		fipc__futex_wake(map + words[i], UINT_MAX, FUTEX_SHARED);
}

static int look(const struct look *l, struct fipc_object *ret)
{
	const char *map = fipc__look_map(l);
	if (l->copied < sizeof(struct mq))
		return -EINVAL;
	fipc__mq_describe(l->copy, map, &ret->mq);
	if (map && l->wake)
		wake_all(map);
	return 0;
}

const struct object_kind fipc__kind_mq = {
	.type = FIPC_TYPE_MQ,
	.size = size,
	.image = image,
	.check = check,
	.busy = busy,
	.local_size = sizeof(fipc_mq),
	.begin = begin,
	.end = end,
	.look = look,
};

int fipc_mq_open(fipc_mq **ret, const char *name, const struct fipc_mq_attr *attr, unsigned flags, mode_t mode)
{
	void *object;
	int r = fipc__named_open(&object, &fipc__kind_mq, attr ? attr : &usual, name, flags, mode);
	if (r >= 0)
		*ret = object;
	return r;
}

int fipc_mq_close(fipc_mq *q)
{
	return fipc__named_close(q, &fipc__kind_mq);
}

int fipc_mq_unlink(const char *name)
{
	return fipc__named_unlink(name, FIPC_TYPE_MQ);
}
