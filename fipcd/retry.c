/* SPDX-License-Identifier: Apache-2.0 */
#include "retry.h"
#include "limit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct retry *find(const struct retries *q, const struct retry *like)
{
	for (size_t i = 0; i < q->n; i++) {
		struct retry *item = &q->items[i];
		if (item->what == like->what && item->type == like->type &&
		    (!like->name || strcmp(item->name, like->name) == 0))
			return item;
	}
	return NULL;
}

static int reserve(struct retries *q)
{
	if (q->n < q->capacity)
		return 0;
	size_t capacity = q->capacity ? 2 * q->capacity : 16;
	struct retry *items = realloc(q->items, capacity * sizeof(*items));
	if (!items)
		return -ENOMEM;
	q->items = items;
	q->capacity = capacity;
	return 0;
}

/* The name is borrowed; the item gets a copy. */
static int note(struct retries *q, struct retry wanted)
{
	struct retry *item = find(q, &wanted);
	if (item) {
		item->open = true;
		return 0;
	}
	if (q->n >= LIMIT_RETRIES && wanted.what != RETRY_ALL)
		return note(q, (struct retry){.what = RETRY_ALL, .due_usec = wanted.due_usec});
	int r = reserve(q);
	if (r < 0)
		return r;
	if (wanted.name && !(wanted.name = strdup(wanted.name)))
		return -ENOMEM;
	wanted.open = true;
	q->items[q->n++] = wanted;
	return 0;
}

static struct retry object(const char *name, enum fipc_type type, int pid, uint64_t due_usec)
{
	return (struct retry){RETRY_OBJECT, .name = (char *)name, .type = type, .pid = pid, .due_usec = due_usec};
}

int retry_object(struct retries *q, const char *name, enum fipc_type type, int pid, uint64_t now_usec)
{
	return note(q, object(name, type, pid, now_usec + RETRY_FIRST_USEC));
}

int retry_tracker(struct retries *q, const char *tracker, uint64_t now_usec)
{
	return note(q, (struct retry){RETRY_TRACKER, .name = (char *)tracker, .due_usec = now_usec + RETRY_FIRST_USEC});
}

int retry_object_now(struct retries *q, const char *name, enum fipc_type type, int pid, uint64_t now_usec)
{
	const struct retry wanted = object(name, type, pid, now_usec);
	struct retry *item = find(q, &wanted);
	if (!item)
		return note(q, wanted);
	item->open = true;
	item->tries = 0;
	item->due_usec = now_usec;
	return 0;
}

int retry_dead(struct retries *q, uint64_t now_usec)
{
	return note(q, (struct retry){RETRY_DEAD, .due_usec = now_usec + RETRY_DEAD_USEC});
}

int retry_pid(const struct retries *q, const char *name, enum fipc_type type)
{
	const struct retry wanted = object(name, type, 0, 0), *item = find(q, &wanted);
	return item ? item->pid : 0;
}

uint64_t retry_next(const struct retries *q)
{
	uint64_t next = RETRY_NEVER;
	for (size_t i = 0; i < q->n; i++)
		if (q->items[i].due_usec < next)
			next = q->items[i].due_usec;
	return next;
}

void retry_begin(struct retries *q, uint64_t now_usec)
{
	for (size_t i = 0; i < q->n; i++)
		if (q->items[i].due_usec <= now_usec)
			q->items[i].open = false;
}

static void put_off(struct retry *item, uint64_t now_usec)
{
	if (item->due_usec > now_usec)
		return;
	item->due_usec = now_usec + ((uint64_t)RETRY_FIRST_USEC << item->tries);
	item->tries++;
}

void retry_end(struct retries *q, uint64_t now_usec, void (*given_up)(const struct retry *, void *), void *context)
{
	size_t kept = 0;
	for (size_t i = 0; i < q->n; i++) {
		struct retry *item = &q->items[i];
		put_off(item, now_usec);
		if (item->open && item->tries > RETRY_TRIES)
			given_up(item, context);
		if (item->open && item->tries <= RETRY_TRIES)
			q->items[kept++] = *item;
		else
			free(item->name);
	}
	q->n = kept;
}

void retries_free(struct retries *q)
{
	for (size_t i = 0; i < q->n; i++)
		free(q->items[i].name);
	free(q->items);
	*q = (struct retries){0};
}
