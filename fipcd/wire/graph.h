/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who waits for whom: threads asleep on named mutexes and rwlocks, who has these, and the cycles among them. For
 * fipcd and fipcctl alike.
 *
 * A cycle is told of only if all its threads slept on, in the same wait, from before the locks were looked at until
 * after: a thread asleep neither takes nor gives back a lock, so what was seen of it held at one and the same moment.
 * Still, the looker looks twice (graph_confirm): a thread that was woken and has not run yet looks asleep.
 */
#ifndef FIPC_WIRE_GRAPH_H
#define FIPC_WIRE_GRAPH_H

#include <fipc/registry.h>
#include <jansson.h>
#include <stdbool.h>

struct graph;

struct graph_object {
	char *name;
	enum fipc_type type;
	uint32_t uid, gid, mode;
	uint64_t inode;
};

struct graph_holder { /* a thread that has what another one waits for */
	int32_t pid; /* as the object says; 0: it does not */
	uint32_t tid;
	const struct graph_wait *waits; /* what it waits for itself; NULL: for nothing that is known */
};

struct graph_wait { /* a thread that sleeps */
	struct fipc_wait wait;
	const struct graph_object *object;
	struct graph_holder *holders; /* it needs all of them to let go; FIPC_WAIT_SLOT: one of them */
	size_t n_holders;
	bool more; /* there are holders that are not told */
};

struct graph_deadlock { /* wait 0 is for what the thread of wait 1 has, ..., the last one for what the first has */
	bool possible; /* one of them waits up to a deadline only: it may still end by itself */
	size_t n;
	const struct graph_wait **waits; /* begins with the oldest wait: two looks at one deadlock tell the same */
};

/* May these objects be seen? NULL: all that the caller can read. */
typedef bool (*graph_filter_fn)(const struct fipc_object *object, void *context);

/* Look once. 0, or a negative errno of the registry. */
int graph_scan(struct graph **ret, fipc_registry *r, graph_filter_fn sees, void *context);

/* Look twice, a moment apart if there is need to: what is told then is confirmed. */
int graph_look(struct graph **ret, fipc_registry *r, graph_filter_fn sees, void *context);

/* Forget those deadlocks that an earlier look did not see: the same waits, on and on. */
void graph_confirm(struct graph *g, const struct graph *earlier);
enum { GRAPH_CONFIRM_MS = 5 }; /* a moment */

void graph_free(struct graph *g); /* NULL is fine */

size_t graph_waits(const struct graph *g, const struct graph_wait **ret);
size_t graph_deadlocks(const struct graph *g, const struct graph_deadlock **ret);

/* Is it the same one, seen at another time? */
bool graph_same_deadlock(const struct graph_deadlock *a, const struct graph_deadlock *b);

/*
 * In one line, for people: "deadlock: 12 (bank) waits for alpha.mutex of 13 (till), which waits for beta.mutex of 12
 * (bank)". free() it; NULL: no memory.
 */
char *graph_deadlock_text(const struct graph_deadlock *d);

/* As JSON, arrays of the types Wait and Deadlock of io.fipc.Manager; new references, NULL: no memory. */
json_t *graph_waits_to_json(const struct graph *g, const char *dir);
json_t *graph_deadlocks_to_json(const struct graph *g, const char *dir);
json_t *graph_cycle_to_json(const struct graph_deadlock *d, const char *dir); /* an array of Wait */

#endif
