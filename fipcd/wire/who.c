/* SPDX-License-Identifier: Apache-2.0 */
#include "who.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- sleepers ---- */

/* More are not looked at: who leaves trackers without number shall not have all memory. */
enum { SLEEPERS_KEPT = 1 << 16 };

static int keep_wait(const struct fipc_wait *w, void *context)
{
	struct sleepers *s = context;
	if (s->n == SLEEPERS_KEPT)
		return 0;
	if (s->n == s->room) {
		size_t room = s->room ? 2 * s->room : 32;
		void *p = realloc(s->items, room * sizeof(*s->items));
		if (!p)
			return -ENOMEM;
		s->items = p;
		s->room = room;
	}
	s->items[s->n++] = *w;
	return 0;
}

#define COMPARE(a, b) (((a) > (b)) - ((a) < (b)))

static int by_object(const void *a, const void *b)
{
	const struct fipc_wait *x = a, *y = b;
	int r = COMPARE(x->inode, y->inode);
	if (r == 0)
		r = COMPARE(x->since_ns, y->since_ns);
	return r ? r : COMPARE(x->tid, y->tid);
}

int sleepers_look(struct sleepers *ret, fipc_registry *r, const uint64_t *inodes, size_t n_inodes)
{
	ret->n = 0;
	int error = fipc_registry_waits(r, inodes, n_inodes, keep_wait, ret);
	if (ret->n > 0)
		qsort(ret->items, ret->n, sizeof(*ret->items), by_object);
	return error;
}

void sleepers_free(struct sleepers *s)
{
	free(s->items);
	*s = (struct sleepers){0};
}

struct fipc_wait *sleepers_on(const struct sleepers *s, uint64_t inode, size_t *ret_n)
{
	size_t first = 0, end = s->n;
	while (first < end) {
		size_t middle = first + (end - first) / 2;
		if (s->items[middle].inode < inode)
			first = middle + 1;
		else
			end = middle;
	}
	while (end < s->n && s->items[end].inode == inode)
		end++;
	*ret_n = end - first;
	return s->items ? s->items + first : NULL;
}

bool sleeper_is_attached(const struct fipc_wait *w, const struct fipc_object *object)
{
	for (unsigned i = 0; i < object->n_attachments; i++) {
		const struct fipc_attachment *a = &object->attachments[i];
		if (a->current && a->tracker == w->tracker)
			return w->type == object->type;
	}
	return false;
}

/* ---- processes, and all of it ---- */

struct who {
	struct sleepers sleepers;
	struct who_process *processes; /* by tracker */
	size_t n, room;
};

static int keep_process(const struct fipc_process *p, void *context)
{
	struct who *w = context;
	if (w->n == w->room) {
		size_t room = w->room ? 2 * w->room : 32;
		void *more = realloc(w->processes, room * sizeof(*w->processes));
		if (!more)
			return -ENOMEM;
		w->processes = more;
		w->room = room;
	}
	struct who_process *process = &w->processes[w->n++];
	process->tracker = p->tracker;
	process->uid = p->uid;
	memcpy(process->comm, p->comm, sizeof(process->comm));
	return 0;
}

static int by_tracker(const void *a, const void *b)
{
	const struct who_process *x = a, *y = b;
	return COMPARE(x->tracker, y->tracker);
}

int who_look(struct who **ret, fipc_registry *r)
{
	struct who *w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	int error = fipc_registry_processes(r, 0, keep_process, w);
	if (error == 0)
		error = sleepers_look(&w->sleepers, r, NULL, 0);
	if (error != 0) {
		who_free(w);
		return error;
	}
	if (w->n > 0)
		qsort(w->processes, w->n, sizeof(*w->processes), by_tracker);
	*ret = w;
	return 0;
}

void who_free(struct who *w)
{
	if (!w)
		return;
	sleepers_free(&w->sleepers);
	free(w->processes);
	free(w);
}

const struct who_process *who_process(const struct who *w, const struct fipc_object *object, uint32_t pid)
{
	for (unsigned i = 0; w && w->n > 0 && i < object->n_attachments; i++) {
		const struct fipc_attachment *a = &object->attachments[i];
		if (a->current && a->pid == (int32_t)pid)
			return bsearch(&(struct who_process){.tracker = a->tracker}, w->processes, w->n,
				       sizeof(*w->processes), by_tracker);
	}
	return NULL;
}

const struct fipc_wait *who_sleepers(const struct who *w, const struct fipc_object *object, size_t *ret_n)
{
	*ret_n = 0;
	return w ? sleepers_on(&w->sleepers, object->inode, ret_n) : NULL;
}

/* Who sleeps has seen the owner have this one acquisition when he fell asleep: so it is held since then at least. */
static bool saw_same(const struct fipc_wait *w, const struct fipc_object *object)
{
	if (object->type == FIPC_TYPE_MUTEX)
		return object->mutex.owner_tid == w->owner_tid && object->mutex.acquisitions == w->acquisition;
	return object->type == FIPC_TYPE_RWLOCK && (w->kind == FIPC_WAIT_READ || w->kind == FIPC_WAIT_WRITE) &&
	       object->rwlock.writer_tid == w->owner_tid && object->rwlock.writes == w->acquisition;
}

int64_t who_held_since(const struct who *w, const struct fipc_object *object)
{
	size_t n;
	const struct fipc_wait *waits = who_sleepers(w, object, &n);
	for (size_t i = 0; i < n; i++) /* the longest come first */
		if (waits[i].owner_tid && saw_same(&waits[i], object) && sleeper_is_attached(&waits[i], object))
			return waits[i].since_ns;
	return 0;
}
