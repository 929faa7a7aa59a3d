/* SPDX-License-Identifier: Apache-2.0 */
#include "graph.h"
#include "who.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { STEPS_MAX = 1 << 22 }; /* of all searches: so many that only who builds a maze takes more, and is found less */

/* What the walk over the cycles knows of a wait. */
struct node {
	bool stuck;      /* it does not end by itself, if those with a deadline do not either */
	bool stuck_hard; /* nor if those do */
	bool in_cycle;
	struct graph_wait *from; /* breadth first: who led here */
	unsigned round;          /* of which search */
	size_t behind, n_behind; /* who waits for it, in `behind` */
};

struct graph {
	struct graph_wait *waits;
	struct node *nodes; /* one for each */
	size_t n_waits;
	struct graph_wait **by_thread;
	struct graph_wait **behind; /* who waits for a wait's thread: each one's beside each other */
	struct graph_wait **queue;  /* room for all waits */
	size_t steps;               /* that searches may still take */
	struct graph_object **objects;
	size_t n_objects;
	struct graph_deadlock *deadlocks;
	size_t n_deadlocks;
};

static struct node *node_of(const struct graph *g, const struct graph_wait *w)
{
	return &g->nodes[w - g->waits];
}

/* ---- from sleepers and objects to waits ---- */

struct scan {
	struct graph *g;
	const struct sleepers *sleepers;
	graph_filter_fn sees;
	void *context;
};

/* Each list grows by one; a graph is small. */
static void *one_more(void *items, size_t n, size_t size)
{
	return n & (n - 1) ? items : realloc(items, (n ? 2 * n : 1) * size);
}

static struct graph_object *add_object(struct graph *g, const struct fipc_object *o)
{
	void *objects = one_more(g->objects, g->n_objects, sizeof(*g->objects));
	struct graph_object *object = objects ? malloc(sizeof(*object)) : NULL;
	if (objects)
		g->objects = objects;
	if (!object)
		return NULL;
	*object = (struct graph_object){strdup(o->name), o->type, o->uid, o->gid, o->mode, o->inode};
	g->objects[g->n_objects++] = object;
	return object->name ? object : NULL;
}

static int add_holder(struct graph_wait *w, uint32_t pid, uint32_t tid)
{
	if (tid == 0 || tid == w->wait.tid)
		return 0;
	void *holders = one_more(w->holders, w->n_holders, sizeof(*w->holders));
	if (!holders)
		return -ENOMEM;
	w->holders = holders;
	w->holders[w->n_holders++] = (struct graph_holder){(int32_t)pid, tid, NULL};
	return 0;
}

static int add_readers(struct graph_wait *w, const struct fipc_object *o)
{
	int r = 0;
	for (unsigned i = 0; i < o->n_holders && i < FIPC_HOLDERS_MAX && r == 0; i++)
		r = add_holder(w, o->holders[i].pid, o->holders[i].tid);
	w->more = o->n_holders > FIPC_HOLDERS_MAX;
	return r;
}

/* Of a lock that is not recoverable everybody is sent away. */
static int add_holders(struct graph_wait *w, const struct fipc_object *o)
{
	if (o->type == FIPC_TYPE_MUTEX)
		return o->mutex.state == FIPC_MUTEX_NOT_RECOVERABLE
			       ? 0
			       : add_holder(w, o->mutex.owner_pid, o->mutex.owner_tid);
	if (o->rwlock.state == FIPC_RWLOCK_NOT_RECOVERABLE)
		return 0;
	if (w->wait.kind == FIPC_WAIT_READERS || w->wait.kind == FIPC_WAIT_SLOT)
		return add_readers(w, o);
	return o->rwlock.writer_tid ? add_holder(w, o->rwlock.writer_pid, o->rwlock.writer_tid)
				    : add_holder(w, 0, o->rwlock.entering_tid);
}

static int add_wait(struct graph *g, const struct fipc_wait *wait, const struct fipc_object *o,
		    const struct graph_object *object)
{
	struct graph_wait *w = &g->waits[g->n_waits++];
	*w = (struct graph_wait){.wait = *wait, .object = object};
	return wait->pidns == o->pidns ? add_holders(w, o) : 0;
}

static int visit(const struct fipc_object *o, void *context)
{
	struct scan *scan = context;
	const struct graph_object *object = NULL;
	size_t n;
	const struct fipc_wait *waits = sleepers_on(scan->sleepers, o->inode, &n);
	int r = 0;
	if (o->error || (scan->sees && !scan->sees(o, scan->context)))
		return 0;
	for (size_t i = 0; i < n && r == 0; i++) {
		if (!sleeper_is_attached(&waits[i], o))
			continue;
		if (!object && !(object = add_object(scan->g, o)))
			return -ENOMEM;
		r = add_wait(scan->g, &waits[i], o, object);
	}
	return r;
}

static bool is_of_lock(const struct fipc_wait *w)
{
	return w->kind != FIPC_WAIT_WAKE && (w->type == FIPC_TYPE_MUTEX || w->type == FIPC_TYPE_RWLOCK);
}

static void keep_those_of_locks(struct sleepers *s)
{
	size_t n = 0;
	for (size_t i = 0; i < s->n; i++)
		if (is_of_lock(&s->items[i]))
			s->items[n++] = s->items[i];
	s->n = n;
}

/* Ascending, each once. */
static uint64_t *inodes_of(const struct sleepers *s, size_t *ret_n)
{
	uint64_t *inodes = calloc(s->n + 1, sizeof(*inodes));
	size_t n = 0;
	for (size_t i = 0; inodes && i < s->n; i++)
		if (n == 0 || inodes[n - 1] != s->items[i].inode)
			inodes[n++] = s->items[i].inode;
	*ret_n = n;
	return inodes;
}

/* ---- what stands in the same place before and after ---- */

static bool same_wait(const struct fipc_wait *a, const struct fipc_wait *b)
{
	return a->tracker == b->tracker && a->tid == b->tid && a->number == b->number && a->since_ns == b->since_ns &&
	       a->inode == b->inode;
}

static bool is_still_asleep(const struct sleepers *s, const struct fipc_wait *w)
{
	size_t n;
	const struct fipc_wait *waits = sleepers_on(s, w->inode, &n);
	for (size_t i = 0; i < n; i++)
		if (same_wait(&waits[i], w))
			return true;
	return false;
}

static void keep_those_asleep(struct graph *g, const struct sleepers *now)
{
	size_t n = 0;
	for (size_t i = 0; i < g->n_waits; i++)
		if (is_still_asleep(now, &g->waits[i].wait))
			g->waits[n++] = g->waits[i];
		else
			free(g->waits[i].holders);
	g->n_waits = n;
}

/* ---- who waits for whom ---- */

#define COMPARE(a, b) (((a) > (b)) - ((a) < (b)))

static int by_thread(const void *a, const void *b)
{
	const struct fipc_wait *x = &(*(struct graph_wait *const *)a)->wait;
	const struct fipc_wait *y = &(*(struct graph_wait *const *)b)->wait;
	int r = COMPARE(x->pidns, y->pidns);
	return r ? r : COMPARE(x->tid, y->tid);
}

static const struct graph_wait *wait_of(const struct graph *g, uint64_t pidns, uint32_t tid)
{
	struct graph_wait wanted = {.wait = {.pidns = pidns, .tid = tid}}, *key = &wanted;
	struct graph_wait **found = bsearch(&key, g->by_thread, g->n_waits, sizeof(key), by_thread);
	return found ? *found : NULL;
}

/* Calls for each pair of one that waits, and the wait of one it waits for. */
static void each_edge(struct graph *g, void (*visit)(struct graph *g, struct graph_wait *w, struct node *of))
{
	for (size_t i = 0; i < g->n_waits; i++)
		for (size_t j = 0; j < g->waits[i].n_holders; j++)
			if (g->waits[i].holders[j].waits)
				visit(g, &g->waits[i], node_of(g, g->waits[i].holders[j].waits));
}

static void count_edge(struct graph *g, struct graph_wait *w, struct node *of)
{
	(void)g;
	(void)w;
	of->n_behind++;
}

static void put_edge(struct graph *g, struct graph_wait *w, struct node *of)
{
	g->behind[of->behind + of->n_behind++] = w;
}

static int connect_back(struct graph *g)
{
	size_t n = 0;
	each_edge(g, count_edge);
	for (size_t i = 0; i < g->n_waits; i++) {
		g->nodes[i].behind = n;
		n += g->nodes[i].n_behind;
		g->nodes[i].n_behind = 0;
	}
	g->behind = calloc(n + 1, sizeof(*g->behind));
	if (!g->behind)
		return -ENOMEM;
	each_edge(g, put_edge);
	return 0;
}

static int connect_threads(struct graph *g)
{
	g->by_thread = calloc(g->n_waits + 1, sizeof(*g->by_thread));
	g->nodes = calloc(g->n_waits + 1, sizeof(*g->nodes));
	g->queue = calloc(g->n_waits + 1, sizeof(*g->queue));
	if (!g->by_thread || !g->nodes || !g->queue)
		return -ENOMEM;
	for (size_t i = 0; i < g->n_waits; i++)
		g->by_thread[i] = &g->waits[i];
	qsort(g->by_thread, g->n_waits, sizeof(*g->by_thread), by_thread);
	for (size_t i = 0; i < g->n_waits; i++)
		for (size_t j = 0; j < g->waits[i].n_holders; j++) {
			struct graph_holder *h = &g->waits[i].holders[j];
			h->waits = wait_of(g, g->waits[i].wait.pidns, h->tid);
		}
	return connect_back(g);
}

/* ---- cycles ---- */

static bool *stuck_flag(struct node *node, bool hard)
{
	return hard ? &node->stuck_hard : &node->stuck;
}

static bool is_stuck(const struct graph *g, const struct graph_wait *w, bool hard)
{
	return w && *stuck_flag(node_of(g, w), hard);
}

/* All it needs, or of several one, may let go. */
static bool may_end(const struct graph *g, const struct graph_wait *w, bool hard)
{
	size_t stuck = 0;
	for (size_t i = 0; i < w->n_holders; i++)
		stuck += is_stuck(g, w->holders[i].waits, hard);
	if (w->wait.kind == FIPC_WAIT_SLOT)
		return stuck < w->n_holders || w->n_holders == 0 || w->more;
	return stuck == 0;
}

/* If it may end it does, and those behind it are to be looked at again. Returns the end of the queue. */
static size_t try_to_end(struct graph *g, struct graph_wait *w, bool hard, size_t end)
{
	bool *stuck = stuck_flag(node_of(g, w), hard);
	if (*stuck && ((hard && w->wait.timed) || may_end(g, w, hard))) {
		*stuck = false;
		g->queue[end++] = w;
	}
	return end;
}

/* Whoever waits is stuck, until it is seen that he may end. hard: a wait with a deadline ends. */
static void find_stuck(struct graph *g, bool hard)
{
	size_t end = 0;
	for (size_t i = 0; i < g->n_waits; i++)
		*stuck_flag(&g->nodes[i], hard) = true;
	for (size_t i = 0; i < g->n_waits; i++)
		end = try_to_end(g, &g->waits[i], hard, end);
	for (size_t first = 0; first < end; first++) {
		const struct node *node = node_of(g, g->queue[first]);
		for (size_t i = 0; i < node->n_behind; i++)
			end = try_to_end(g, g->behind[node->behind + i], hard, end);
	}
}

/* One who waits for any of several is stuck in as many circles at once, and that is one deadlock. */
static bool is_told(const struct graph *g, const struct graph_wait *w)
{
	return w->wait.kind == FIPC_WAIT_SLOT && node_of(g, w)->in_cycle;
}

/*
 * Breadth first, from a wait to those it is stuck behind. The last one of a shortest way back to it; NULL: there is
 * none.
 */
static struct graph_wait *search(struct graph *g, struct graph_wait *start, unsigned round)
{
	size_t first = 0, end = 0;
	g->queue[end++] = start;
	while (first < end) {
		struct graph_wait *w = g->queue[first++];
		for (size_t i = 0; i < w->n_holders && g->steps > 0; i++, g->steps--) {
			struct graph_wait *next = (struct graph_wait *)w->holders[i].waits;
			if (next == start)
				return w;
			if (!is_stuck(g, next, false) || node_of(g, next)->round == round || is_told(g, next))
				continue;
			node_of(g, next)->round = round;
			node_of(g, next)->from = w;
			g->queue[end++] = next;
		}
	}
	return NULL;
}

static bool is_older(const struct graph_wait *a, const struct graph_wait *b)
{
	int r = COMPARE(a->wait.since_ns, b->wait.since_ns);
	return r ? r < 0 : a->wait.tid < b->wait.tid;
}

/* So that two looks at one cycle tell it alike. */
static void begin_with_oldest(struct graph_deadlock *d)
{
	size_t oldest = 0;
	for (size_t i = 1; i < d->n; i++)
		if (is_older(d->waits[i], d->waits[oldest]))
			oldest = i;
	for (; oldest > 0; oldest--) {
		const struct graph_wait *first = d->waits[0];
		memmove(&d->waits[0], &d->waits[1], (d->n - 1) * sizeof(*d->waits));
		d->waits[d->n - 1] = first;
	}
}

/* The way from start to last, as it was found: backwards. */
static int add_deadlock(struct graph *g, struct graph_wait *start, struct graph_wait *last)
{
	struct graph_deadlock d = {.n = 1};
	void *deadlocks = one_more(g->deadlocks, g->n_deadlocks, sizeof(*g->deadlocks));
	if (!deadlocks)
		return -ENOMEM;
	g->deadlocks = deadlocks;
	for (const struct graph_wait *w = last; w != start; w = node_of(g, w)->from)
		d.n++;
	d.waits = calloc(d.n, sizeof(*d.waits));
	if (!d.waits)
		return -ENOMEM;
	const struct graph_wait *w = last;
	for (size_t i = d.n; i-- > 0; w = node_of(g, w)->from) {
		d.waits[i] = w;
		d.possible |= !node_of(g, w)->stuck_hard;
		node_of(g, w)->in_cycle = true;
	}
	begin_with_oldest(&d);
	g->deadlocks[g->n_deadlocks++] = d;
	return 0;
}

static int find_cycles(struct graph *g)
{
	int r = 0;
	g->steps = STEPS_MAX;
	find_stuck(g, false);
	find_stuck(g, true);
	for (size_t i = 0; i < g->n_waits && r == 0; i++) {
		struct graph_wait *start = &g->waits[i], *last;
		if (!g->nodes[i].stuck || g->nodes[i].in_cycle)
			continue;
		last = search(g, start, (unsigned)i + 1);
		if (last)
			r = add_deadlock(g, start, last);
	}
	return r;
}

/* ---- looking ---- */

static int fill(struct graph *g, fipc_registry *r, struct sleepers *sleepers, struct scan *scan)
{
	int error = sleepers_look(sleepers, r, NULL, 0);
	if (error != 0)
		return error;
	keep_those_of_locks(sleepers);
	g->waits = calloc(sleepers->n + 1, sizeof(*g->waits));
	size_t n;
	uint64_t *inodes = inodes_of(sleepers, &n);
	if (!g->waits || !inodes)
		error = -ENOMEM;
	else if (n > 0)
		error = fipc_registry_walk(r, 0, &(struct fipc_filter){.inodes = inodes, .n_inodes = n}, visit, scan);
	if (error == 0 && n > 0)
		error = sleepers_look(sleepers, r, inodes, n);
	free(inodes);
	return error;
}

int graph_scan(struct graph **ret, fipc_registry *r, graph_filter_fn sees, void *context)
{
	struct graph *g = calloc(1, sizeof(*g));
	struct sleepers sleepers = {0};
	struct scan scan = {g, &sleepers, sees, context};
	int error = g ? fill(g, r, &sleepers, &scan) : -ENOMEM;
	if (error == 0) {
		keep_those_asleep(g, &sleepers);
		error = connect_threads(g);
	}
	if (error == 0)
		error = find_cycles(g);
	sleepers_free(&sleepers);
	if (error != 0)
		graph_free(g);
	else
		*ret = g;
	return error;
}

int graph_look(struct graph **ret, fipc_registry *r, graph_filter_fn sees, void *context)
{
	const struct timespec moment = {.tv_nsec = GRAPH_CONFIRM_MS * 1000000};
	struct graph *first, *second;
	int error = graph_scan(&first, r, sees, context);
	if (error != 0 || first->n_deadlocks == 0) {
		if (error == 0)
			*ret = first;
		return error;
	}
	nanosleep(&moment, NULL);
	error = graph_scan(&second, r, sees, context);
	if (error == 0) {
		graph_confirm(second, first);
		*ret = second;
	}
	graph_free(first);
	return error;
}

bool graph_same_deadlock(const struct graph_deadlock *a, const struct graph_deadlock *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (!same_wait(&a->waits[i]->wait, &b->waits[i]->wait))
			return false;
	return true;
}

static bool has_deadlock(const struct graph *g, const struct graph_deadlock *d)
{
	for (size_t i = 0; i < g->n_deadlocks; i++)
		if (graph_same_deadlock(&g->deadlocks[i], d))
			return true;
	return false;
}

void graph_confirm(struct graph *g, const struct graph *earlier)
{
	size_t n = 0;
	for (size_t i = 0; i < g->n_deadlocks; i++)
		if (has_deadlock(earlier, &g->deadlocks[i]))
			g->deadlocks[n++] = g->deadlocks[i];
		else
			free(g->deadlocks[i].waits);
	g->n_deadlocks = n;
}

void graph_free(struct graph *g)
{
	if (!g)
		return;
	for (size_t i = 0; i < g->n_waits; i++)
		free(g->waits[i].holders);
	for (size_t i = 0; i < g->n_objects; i++) {
		free(g->objects[i]->name);
		free(g->objects[i]);
	}
	for (size_t i = 0; i < g->n_deadlocks; i++)
		free(g->deadlocks[i].waits);
	free(g->waits);
	free(g->nodes);
	free(g->by_thread);
	free(g->behind);
	free(g->queue);
	free(g->objects);
	free(g->deadlocks);
	free(g);
}

size_t graph_waits(const struct graph *g, const struct graph_wait **ret)
{
	*ret = g->waits;
	return g->n_waits;
}

size_t graph_deadlocks(const struct graph *g, const struct graph_deadlock **ret)
{
	*ret = g->deadlocks;
	return g->n_deadlocks;
}

/* ---- saying ---- */

static void say_thread(FILE *f, const struct fipc_wait *w)
{
	fprintf(f, "%d", (int)w->pid);
	if (w->tid != (uint32_t)w->pid)
		fprintf(f, "/%u", w->tid);
	fprintf(f, " (%s)", w->comm);
}

char *graph_deadlock_text(const struct graph_deadlock *d)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	if (!f)
		return NULL;
	fputs(d->possible ? "possible deadlock, a wait in it has a deadline: " : "deadlock: ", f);
	say_thread(f, &d->waits[0]->wait);
	for (size_t i = 0; i < d->n; i++) {
		const struct graph_object *o = d->waits[i]->object;
		fprintf(f, "%s waits for %s.%s of ", i ? ", which" : "", o->name, fipc_type_name(o->type));
		say_thread(f, &d->waits[(i + 1) % d->n]->wait);
	}
	if (fclose(f) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

/* Appends, taking the value over; NULL if there is no memory. */
static json_t *append(json_t *array, json_t *value)
{
	if (array && json_array_append_new(array, value) < 0) {
		json_decref(array);
		return NULL;
	}
	if (!array)
		json_decref(value);
	return array;
}

static json_t *holders_to_json(const struct graph_wait *w)
{
	json_t *array = json_array();
	for (size_t i = 0; i < w->n_holders && array; i++) {
		const struct graph_holder *h = &w->holders[i];
		int32_t pid = h->waits ? h->waits->wait.pid : h->pid;
		array = append(array, json_pack("{s:o*, s:I}", "pid", pid ? json_integer(pid) : NULL, "tid",
						(json_int_t)h->tid));
	}
	return array;
}

static json_t *wait_to_json(const struct graph_wait *w, const char *dir)
{
	const struct fipc_wait *wait = &w->wait;
	return json_pack("{s:s, s:s, s:s, s:I, s:s, s:i, s:I, s:I, s:s, s:b, s:I, s:o}", "dir", dir, "object",
			 w->object->name, "type", fipc_type_name(w->object->type), "inode",
			 (json_int_t)w->object->inode, "kind", fipc_wait_kind_name(wait->kind), "pid", (int)wait->pid,
			 "tid", (json_int_t)wait->tid, "uid", (json_int_t)wait->uid, "comm", wait->comm, "timed",
			 wait->timed, "since_nsec", (json_int_t)wait->since_ns, "holders", holders_to_json(w));
}

json_t *graph_waits_to_json(const struct graph *g, const char *dir)
{
	json_t *array = json_array();
	for (size_t i = 0; i < g->n_waits && array; i++)
		array = append(array, wait_to_json(&g->waits[i], dir));
	return array;
}

json_t *graph_cycle_to_json(const struct graph_deadlock *d, const char *dir)
{
	json_t *array = json_array();
	for (size_t i = 0; i < d->n && array; i++)
		array = append(array, wait_to_json(d->waits[i], dir));
	return array;
}

static json_t *deadlock_to_json(const struct graph_deadlock *d, const char *dir)
{
	char *text = graph_deadlock_text(d);
	json_t *json = text ? json_pack("{s:b, s:s, s:o}", "possible", d->possible, "text", text, "waits",
					graph_cycle_to_json(d, dir))
			    : NULL;
	free(text);
	return json;
}

json_t *graph_deadlocks_to_json(const struct graph *g, const char *dir)
{
	json_t *array = json_array();
	for (size_t i = 0; i < g->n_deadlocks && array; i++)
		array = append(array, deadlock_to_json(&g->deadlocks[i], dir));
	return array;
}
