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

/*
 * What it takes to build another lock of such words, by a thread that is ready; who looks at a death, and at what else the
 * mutex says, is up to that lock.
 *
 * usable: a mutex, and of this thread's PID namespace. take: have the word and be on record for it, 0, FIPC_OWNER_DIED, or
 * as fipc_mutex_lock(). await_free: wait until nobody has it, and leave it at that; 0, or as fipc_mutex_lock(). let_go: the
 * one that stands at `at` in the stack of those held; left: 0 or WORD_OWNER_DIED. release: the second half of it, of one
 * that is pending and off the list. Both false: somebody had overwritten the word.
 */
int fipc__mutex_usable(struct thread *t, struct mutex *m);
int fipc__mutex_take(struct thread *t, struct mutex *m, fipc_deadline d, bool *ret_waited);
int fipc__mutex_await_free(struct thread *t, struct mutex *m, fipc_deadline d);
bool fipc__mutex_let_go(struct thread *t, struct mutex *m, void **at, uint32_t left);
bool fipc__mutex_release(struct thread *t, struct mutex *m, uint32_t left);

/* Does no thread of this TID exist, in this PID namespace? One that took the TID since makes it look alive. */
bool fipc__thread_is_gone(uint32_t tid);

/* Is it held by a thread of this process? */
bool fipc__mutex_held_here(const struct mutex *m);
bool fipc__mutex_word_is_ours(const struct mutex *m); /* the same of a word of this process's PID namespace */

/* Fill info from a copy of a mutex, without the number of sleepers. 0, -EINVAL, -ENOTSUP. */
int fipc__mutex_describe(const struct mutex *m, struct fipc_mutex_info *ret);

/* 0: a mutex that this library can use, wherever it was made; -EINVAL, -ENOTSUP. */
int fipc__mutex_check(const struct mutex *m);

#endif
