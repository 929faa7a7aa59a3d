/* SPDX-License-Identifier: Apache-2.0 */
#include "toll.h"
#include "limit.h"
#include "sorted.h"

#include <stdlib.h>
#include <string.h>

struct toll_item {
	uint64_t inode, deaths;
};

/* An owner's death is counted by the next one who gets the lock: until then its state tells. */
static uint64_t deaths_in(const struct fipc_object *o)
{
	if (o->error < 0)
		return 0;
	if (o->type == FIPC_TYPE_MUTEX)
		return (uint64_t)o->mutex.owner_deaths + (o->mutex.state == FIPC_MUTEX_DIED);
	if (o->type == FIPC_TYPE_RWLOCK)
		return (uint64_t)o->rwlock.owner_deaths + (o->rwlock.state == FIPC_RWLOCK_DIED);
	return 0;
}

static bool comes_before(const void *item, const void *inode)
{
	return ((const struct toll_item *)item)->inode < *(const uint64_t *)inode;
}

static size_t index_of(const struct toll *t, uint64_t inode)
{
	return sorted_index(t->items, t->n, sizeof(*t->items), comes_before, &inode);
}

static void erase(struct toll *t, size_t i)
{
	t->n--;
	memmove(&t->items[i], &t->items[i + 1], (t->n - i) * sizeof(*t->items));
}

/* Without room it is told again at the next look: better than not at all. */
static void insert(struct toll *t, size_t i, const struct toll_item *item)
{
	if (t->n == t->capacity) {
		size_t capacity = t->capacity ? 2 * t->capacity : 16;
		struct toll_item *items = capacity > LIMIT_TOLL ? NULL : realloc(t->items, capacity * sizeof(*items));
		if (!items)
			return;
		t->items = items;
		t->capacity = capacity;
	}
	memmove(&t->items[i + 1], &t->items[i], (t->n - i) * sizeof(*t->items));
	t->items[i] = *item;
	t->n++;
}

bool toll_has_grown(struct toll *t, const struct fipc_object *object)
{
	const struct toll_item now = {object->inode, deaths_in(object)};
	size_t i = index_of(t, object->inode);
	bool known = i < t->n && t->items[i].inode == object->inode;
	uint64_t before = known ? t->items[i].deaths : 0;
	if (known && (object->collected || now.deaths == 0))
		erase(t, i);
	else if (known)
		t->items[i] = now;
	else if (now.deaths > 0 && !object->collected)
		insert(t, i, &now);
	return now.deaths > before;
}

void toll_free(struct toll *t)
{
	free(t->items);
	*t = (struct toll){0};
}
