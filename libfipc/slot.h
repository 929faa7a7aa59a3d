/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sleeping, and saying so: who is about to sleep on a word of a named object writes into a slot of its process's
 * tracker for what, so that operators, and fipcd, can tell who waits for whom. Whoever still sleeps after 50 ms
 * touches the tracker once: the kernel tells fipcd of that (inotify IN_ATTRIB), where stores into a mapping say
 * nothing.
 *
 * Nobody's correctness rests on it. Only those pay who enter the kernel to sleep, and of them only those who sleep on a
 * named object. An object in memory of the caller's own is not shown: there may be no tracker, and it has no name.
 *
 * All of it is done without a lock and may be interrupted by a handler that sleeps itself: then the wait that it
 * interrupted is not shown any more. Data, invariants and crash list: docs/design-waits.md.
 */
#ifndef FIPC_SLOT_H
#define FIPC_SLOT_H

#include "futex.h"
#include "tracker.h"

/* As fipc__futex_wait_any(), or fipc__futex_wait() of one place; the first one is what it is shown to sleep on. */
int fipc__sleep(const struct futex_place *places, unsigned n, fipc_deadline d);

/*
 * Where the threads of this process say it: one for each tracking directory, never freed. Whoever changes it has
 * fipc__objects_lock; who sleeps reads it at any time.
 */
struct desk {
	struct tracker_page *_Atomic page; /* of the tracker; NULL: there is none */
	_Atomic uint64_t tracker;          /* its inode */
	const char *directory;
};
void fipc__desk_open(struct desk *d, const struct tracker *t);
void fipc__desk_forked(struct desk *d);

/*
 * A tracker is given up. Threads may sleep, with their slots in it: so its place stays mapped, but no longer leads to
 * the file, and whatever they write there is nobody's.
 */
void fipc__desk_abandon(struct tracker *t);

/* From now on it is known what lies in this mapping of a named object; or not any more. */
struct named {
	const void *map;
	size_t size;
	uint64_t inode;
	enum fipc_type type;
	struct desk *desk;
};
void fipc__slot_know(const struct named *n);
void fipc__slot_forget(const void *map, size_t size, enum fipc_type type);

/* A thread ends: its slot is free. */
struct thread;
void fipc__slot_leave(struct thread *t);

#endif
