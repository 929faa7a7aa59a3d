/* SPDX-License-Identifier: Apache-2.0 */
/* Who is there at this moment: the processes, by their trackers, and the threads that sleep, by what they sleep on. */
#ifndef FIPC_WIRE_WHO_H
#define FIPC_WIRE_WHO_H

#include <fipc/registry.h>
#include <jansson.h>
#include <stdbool.h>

struct who;

/* 0, or a negative errno of the registry. */
int who_look(struct who **ret, fipc_registry *r);
void who_free(struct who *w); /* NULL is fine */

/*
 * Say in the JSON of an object who has it and who sleeps on it: what is known beyond the object itself. 0 or -ENOMEM.
 */
int who_add(const struct who *w, const struct fipc_object *object, json_t *json);

/* ---- the sleepers alone ---- */

struct sleepers {
	struct fipc_wait *items; /* by the inode of what they sleep on, then the longest first */
	size_t n, room;
};

/* inodes: as of fipc_registry_waits(). What the list holds already is dropped. 0, or a negative errno. */
int sleepers_look(struct sleepers *ret, fipc_registry *r, const uint64_t *inodes, size_t n_inodes);
void sleepers_free(struct sleepers *s);

/* Those on the object of this inode: the first one, and how many. */
struct fipc_wait *sleepers_on(const struct sleepers *s, uint64_t inode, size_t *ret_n);

/*
 * Is this one of a process that is attached to the object? Else it may not sleep there, and what it says is not
 * believed.
 */
bool sleeper_is_attached(const struct fipc_wait *w, const struct fipc_object *object);

#endif
