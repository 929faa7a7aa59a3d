/* SPDX-License-Identifier: Apache-2.0 */
/* Who is there at this moment: the processes, by their trackers, and the threads that sleep, by what they sleep on. */
#ifndef FIPC_WIRE_WHO_H
#define FIPC_WIRE_WHO_H

#include <fipc/registry.h>
#include <stdbool.h>

struct who;

/* 0, or a negative errno of the registry. */
int who_look(struct who **ret, fipc_registry *r);
void who_free(struct who *w); /* NULL is fine */

/* An attached process, by what the object calls its pid; NULL: it left no entry. Of these, w may be NULL: nobody is known. */
struct who_process {
	uint64_t tracker;
	uint32_t uid;
	char comm[64];
};
const struct who_process *who_process(const struct who *w, const struct fipc_object *object, uint32_t pid);

/* Who says that he sleeps on it: the first one, and how many; each is to be asked by sleeper_is_attached(). */
const struct fipc_wait *who_sleepers(const struct who *w, const struct fipc_object *object, size_t *ret_n);

/* Since when, at least, its owner has had it without a break, on CLOCK_MONOTONIC; 0: nobody who sleeps can tell. */
int64_t who_held_since(const struct who *w, const struct fipc_object *object);

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
