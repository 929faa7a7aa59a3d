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

struct process {
	uint64_t tracker;
	uint32_t uid;
	char comm[64];
};

struct who {
	struct sleepers sleepers;
	struct process *processes; /* by tracker */
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
	struct process *process = &w->processes[w->n++];
	process->tracker = p->tracker;
	process->uid = p->uid;
	memcpy(process->comm, p->comm, sizeof(process->comm));
	return 0;
}

static int by_tracker(const void *a, const void *b)
{
	const struct process *x = a, *y = b;
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

/* The attached process of this pid; NULL: it left no entry. */
static const struct process *process_of(const struct who *w, const struct fipc_object *object, uint32_t pid)
{
	for (unsigned i = 0; i < object->n_attachments; i++) {
		const struct fipc_attachment *a = &object->attachments[i];
		if (a->current && a->pid == (int32_t)pid && w->n > 0)
			return bsearch(&(struct process){.tracker = a->tracker}, w->processes, w->n,
				       sizeof(*w->processes), by_tracker);
	}
	return NULL;
}

static int set(json_t *json, const char *key, json_t *value)
{
	return json_object_set_new(json, key, value) < 0 ? -ENOMEM : 0;
}

static int add_process(const struct process *p, json_t *json, const char *uid_key, const char *comm_key)
{
	if (!p)
		return 0;
	int r = set(json, uid_key, json_integer(p->uid));
	return r < 0 ? r : set(json, comm_key, json_string(p->comm));
}

static int add_holders(const struct who *w, const struct fipc_object *object, json_t *holders)
{
	size_t index;
	json_t *holder;
	int r = 0;
	json_array_foreach(holders, index, holder) {
		json_int_t pid = json_integer_value(json_object_get(holder, "pid"));
		if (r == 0 && pid)
			r = add_process(process_of(w, object, (uint32_t)pid), holder, "uid", "comm");
	}
	return r;
}

/* Who sleeps has seen the owner have this one acquisition when he fell asleep: so it is held since then at least. */
static bool saw_same(const struct fipc_wait *w, const struct fipc_object *object)
{
	if (object->type == FIPC_TYPE_MUTEX)
		return object->mutex.owner_tid == w->owner_tid && object->mutex.acquisitions == w->acquisition;
	return object->type == FIPC_TYPE_RWLOCK && (w->kind == FIPC_WAIT_READ || w->kind == FIPC_WAIT_WRITE) &&
	       object->rwlock.writer_tid == w->owner_tid && object->rwlock.writes == w->acquisition;
}

static int add_sleeper(json_t *sleepers, const struct fipc_wait *w)
{
	json_t *sleeper = json_pack("{s:i, s:I, s:I, s:s, s:s, s:b, s:I}", "pid", (int)w->pid, "tid",
				    (json_int_t)w->tid, "uid", (json_int_t)w->uid, "comm", w->comm, "kind",
				    fipc_wait_kind_name(w->kind), "timed", w->timed, "since_nsec",
				    (json_int_t)w->since_ns);
	return json_array_append_new(sleepers, sleeper) < 0 ? -ENOMEM : 0;
}

enum { SLEEPERS_MAX = FIPC_HOLDERS_MAX }; /* that are told of one object; the state says how many there are */

static int add_sleepers(const struct who *w, const struct fipc_object *object, json_t *state)
{
	json_t *sleepers = json_array();
	int64_t since_ns = 0;
	size_t n;
	const struct fipc_wait *waits = sleepers_on(&w->sleepers, object->inode, &n);
	int r = sleepers ? 0 : -ENOMEM;
	for (size_t i = 0; i < n && r == 0; i++) {
		if (!sleeper_is_attached(&waits[i], object))
			continue;
		if (since_ns == 0 && waits[i].owner_tid && saw_same(&waits[i], object))
			since_ns = waits[i].since_ns; /* the longest come first */
		if (json_array_size(sleepers) < SLEEPERS_MAX)
			r = add_sleeper(sleepers, &waits[i]);
	}
	if (r == 0 && since_ns)
		r = set(state, "held_since_nsec", json_integer(since_ns));
	if (r == 0 && json_array_size(sleepers) > 0)
		r = set(state, "sleepers", json_incref(sleepers));
	json_decref(sleepers);
	return r;
}

int who_add(const struct who *w, const struct fipc_object *object, json_t *json)
{
	json_t *state = json_object_get(json, "state");
	json_int_t owner = json_integer_value(json_object_get(state, "owner_pid"));
	int r = 0;
	if (!state)
		return 0;
	if (owner)
		r = add_process(process_of(w, object, (uint32_t)owner), state, "owner_uid", "owner_comm");
	if (r == 0)
		r = add_holders(w, object, json_object_get(state, "holders"));
	return r < 0 ? r : add_sleepers(w, object, state);
}
