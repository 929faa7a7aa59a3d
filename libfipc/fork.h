/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this process is, and how it learns that it is a forked child: a page that the kernel wipes at fork tells, also
 * when the fork ran no handlers (_Fork, clone). fork() itself runs ours, so that no lock below is copied while held.
 */
#ifndef FIPC_FORK_H
#define FIPC_FORK_H

#include <stddef.h>
#include <stdint.h>

/*
 * To be called before anything below, and first in whatever may be a child's first call: it throws away what a child
 * must not use. 0; -ENOSYS (no MADV_WIPEONFORK); -ENOMEM, -EMFILE, -ENFILE: not for the moment.
 */
int fipc__process_enter(void);

/* The inode of this process's PID namespace; 1 where the system does not tell (no /proc). */
uint32_t fipc__process_pidns(void);

/* A number that with the pid, on one machine, is this process's alone; not a forked child's, nor that of the program before exec. */
uint64_t fipc__process_number(void);

/*
 * The lists of this process. Order: objects before threads. Whoever holds `objects` cannot be cancelled and waits for
 * nobody else; file locks and leases are had only meanwhile, so that no fork() copies a descriptor that has one.
 */
void fipc__objects_lock(void);
void fipc__objects_unlock(void);
void fipc__threads_lock(void);
void fipc__threads_unlock(void);

/* An anonymous private mapping that reads as zeros in a forked child; NULL when there is no memory or no support. */
void *fipc__map_wiped_at_fork(size_t size);

/* What a child throws away, each in its own file; called with no lock held, by one thread. */
void fipc__threads_forked(void);
void fipc__strays_forked(void);
void fipc__objects_forked(void);

#endif
