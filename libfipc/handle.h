/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this process has open by name: each object mapped once (twice, if also read-only), counted. And its trackers, one
 * for each directory that it uses. All under fipc__objects_lock, which fork takes too.
 *
 * A forked child has its parent's handles but no tracker; its first call gives it one, and entries. Until then nobody
 * takes away what it has mapped: the kernel refuses the lease.
 */
#ifndef FIPC_HANDLE_H
#define FIPC_HANDLE_H

#include "layout.h"
#include "object.h"

#include <stdbool.h>

/*
 * The named calls of every type. *ret is the primitive, or with FIPC_READONLY a view of it: 64 bytes of VIEW_MAGIC; or
 * its struct object_local, of a type that has one. params: for kind->size and kind->image.
 */
int fipc__named_open(void **ret, const struct object_kind *kind, const void *params, const char *name, unsigned flags,
		     mode_t mode);
/* As fipc__object_prepare(), where named objects are made; without a lock, so the caller may take his time. */
int fipc__named_prepare(struct unfinished *ret);
int fipc__named_close(void *object, const struct object_kind *kind);
int fipc__named_unlink(const char *name, enum fipc_type type);

/* Is this the address of a view that this process was given? (A peer can write VIEW_MAGIC anywhere.) */
bool fipc__handle_is_view(const void *object);

/* What is behind a view; everything else is itself. */
const void *fipc__handle_behind_view(const void *object);

/* The bytes mapped behind an object that is open by name; 0: it is not. */
size_t fipc__handle_size(const void *object);
size_t fipc__handle_size_locked(const void *object); /* under fipc__objects_lock, as kind->busy() is called */

/* Is it open by name? */
bool fipc__handle_is_named(const void *object);

/* The inode of the tracker under which this process has it open by name; 0: none. */
uint64_t fipc__handle_tracker(const void *object);

/* Does the process of this pid and tracker, a user of an object that is open by name, live? It may be told by anybody. */
enum fipc_life fipc__handle_life(const void *object, int32_t pid, uint64_t tracker);

/* A thread of this process begins to use fipc: if this is a child that was not tracked yet, it is now. */
void fipc__handles_adopt(void);

#endif
