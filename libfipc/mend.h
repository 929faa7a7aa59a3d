/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Locks that the kernel did not get to. It walks the list of a dying thread's locks: not beyond 2,048, and not beyond a link
 * that somebody has scribbled on. What is behind keeps the TID of the dead, and whoever waits for it sleeps for ever. A
 * collecting look does to such a lock what the kernel would have done: OWNER_DIED, and one sleeper woken.
 *
 * Of mutexes and rwlocks, in this PID namespace. That the owner is dead is asked of the kernel (a pidfd); a TID that is in use
 * again makes it look alive, and then `fipcctl revoke` is left.
 *
 * A thread is killed here: before the swap, nothing has happened; the child that swaps wakes, too, and lives on.
 */
#ifndef FIPC_MEND_H
#define FIPC_MEND_H

#include "object.h"

/* copy: the object as it was read, of `copied` bytes, and checked. */
void fipc__mend_locks(int root, const char *file, const struct fipc_object *o, const void *copy, size_t copied);

#endif
