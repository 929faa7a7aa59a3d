/* SPDX-License-Identifier: Apache-2.0 */
/* What other files need of the mutex beyond its public calls. */
#ifndef FIPC_INTERNAL_MUTEX_H
#define FIPC_INTERNAL_MUTEX_H

#include "robust.h"

/* Fill 64 bytes: a free mutex of this PID namespace. flags: FIPC_PRIVATE, FIPC_TIMESTAMPS. */
void fipc__mutex_image(struct mutex *m, unsigned flags);

/* Release a held lock as the owner's death would. */
void fipc__mutex_abandon(struct thread *t, struct mutex *m);

/*
 * The lock word alone, of memory in which there is no mutex (yet), by a thread that is ready; and the newest lock held let
 * go of. take_bare: 0 or FIPC_OWNER_DIED, -EINVAL (the word is no lock's), or as fipc_mutex_lock().
 */
int fipc__mutex_take_bare(struct mutex *m);
void fipc__mutex_let_go_bare(struct mutex *m);

/* Is it held by a thread of this process? */
bool fipc__mutex_held_here(const struct mutex *m);

/* Fill info from a copy of a mutex, without the number of sleepers. 0, -EINVAL, -ENOTSUP. */
int fipc__mutex_describe(const struct mutex *m, struct fipc_mutex_info *ret);

/* 0: a mutex that this library can use, wherever it was made; -EINVAL, -ENOTSUP. */
int fipc__mutex_check(const struct mutex *m);

#endif
