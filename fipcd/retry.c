/* SPDX-License-Identifier: Apache-2.0 */
#include "retry.h"
#include "limit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct retry *find(const struct retries *q, const char *tracker, uint64_t inode)
{
	for (size_t i = 0; i < q->n; i++) {
		struct retry *item = &q->items[i];
		if (tracker ? item->tracker && strcmp(item->tracker, tracker) == 0
			    : !item->tracker && item->inode == inode)
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

static int note(struct retries *q, const char *tracker, uint64_t inode, int pid, uint64_t due_usec)
{
	struct retry *item = find(q, tracker, inode);
	if (item) {
		item->open = true;
		return 0;
	}
	if (q->n >= LIMIT_RETRIES && (tracker || inode != 0))
		return note(q, NULL, 0, 0, due_usec);
	int r = reserve(q);
	if (r < 0)
		return r;
	char *copy = tracker ? strdup(tracker) : NULL;
	if (tracker && !copy)
		return -ENOMEM;
	q->items[q->n++] =
		(struct retry){.tracker = copy, .inode = inode, .pid = pid, .due_usec = due_usec, .open = true};
	return 0;
}

int retry_object(struct retries *q, uint64_t inode, int pid, uint64_t now_usec)
{
	return note(q, NULL, inode, pid, now_usec + RETRY_FIRST_USEC);
}

int retry_tracker(struct retries *q, const char *tracker, uint64_t now_usec)
{
	return note(q, tracker, 0, 0, now_usec + RETRY_FIRST_USEC);
}

int retry_object_now(struct retries *q, uint64_t inode, int pid, uint64_t now_usec)
{
	struct retry *item = find(q, NULL, inode);
	if (!item)
		return note(q, NULL, inode, pid, now_usec);
	item->tries = 0;
	item->due_usec = now_usec;
	return 0;
}

int retry_all(struct retries *q, uint64_t now_usec)
{
	return note(q, NULL, 0, 0, now_usec + RETRY_ALL_USEC);
}

int retry_pid(const struct retries *q, uint64_t inode)
{
	const struct retry *item = inode ? find(q, NULL, inode) : NULL;
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
			free(item->tracker);
	}
	q->n = kept;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return (x > y) - (x < y);
}

uint64_t *retry_due_inodes(const struct retries *q, uint64_t now_usec, size_t *ret_n, bool *ret_all)
{
	uint64_t *inodes = malloc((q->n + 1) * sizeof(*inodes));
	*ret_n = 0;
	*ret_all = !inodes;
	for (size_t i = 0; i < q->n; i++) {
		const struct retry *item = &q->items[i];
		if (item->tracker || item->due_usec > now_usec)
			continue;
		if (item->inode == 0)
			*ret_all = true;
		else if (inodes)
			inodes[(*ret_n)++] = item->inode;
	}
	if (inodes)
		qsort(inodes, *ret_n, sizeof(*inodes), compare);
	return inodes;
}

void retries_free(struct retries *q)
{
	for (size_t i = 0; i < q->n; i++)
		free(q->items[i].tracker);
	free(q->items);
	*q = (struct retries){0};
}
