/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is attached to an object, and taking an object away. Used by those who open and close, and by collectors.
 *
 * <name>.<type>                                         the object
 * <name>.<type>.pids/<pid>.<tracker inode>.<inode>      an entry: a hard link to the tracker of an attached process
 *
 * Attaching, taking away and the question who is left happen under a lock on the object's file (flock), after a look that
 * the name still leads to it. Whoever leaves removes his own entry before, without it. Whoever takes an object away first removes the dead entries, then the empty .pids, then the name. Killed after any
 * of these steps: an object that nobody is attached to, found by the next open, the next collection, or by the inode in
 * the dead process's tracker.
 *
 * A live entry keeps an object. So does anybody, tracked or not, in whatever PID namespace, who has it open or mapped:
 * the kernel then refuses a write lease on it, and without that lease nothing is unlinked.
 */
#ifndef FIPC_ATTACH_H
#define FIPC_ATTACH_H

#include "tracker.h"

#include <fipc/registry.h>
#include <stdbool.h>
#include <sys/stat.h>

/* Lock an object's file, open in any mode, without waiting. 0 or -EBUSY. */
int fipc__file_lock(int fd);

/* For who may wait: a little longer each time. False: 5 s are over, for a reader may hold a file's lock for ever. */
struct patience {
	fipc_deadline until;
	long sleep_ns;
};
bool fipc__be_patient(struct patience *p);

/* Does the name lead to this file? */
bool fipc__file_is_named(int at, const char *file, const struct stat *st);

/*
 * Does nobody but this descriptor have the file open or mapped? 0: nobody; nobody can open it either until the lease is
 * ended or the descriptor closed. -EAGAIN: somebody. Others: this caller may not ask (-EACCES), or cannot.
 */
int fipc__file_lease(int fd);

/*
 * Does nobody have it open or mapped for writing? Asked through a descriptor that only reads; it sees who uses the object,
 * tracked or not, and not who only looks. 0: nobody, and the lease is to be ended, or made the one above. Others as above.
 */
int fipc__file_lease_from_writers(int fd);
void fipc__file_end_lease(int fd);

/* 0; -ESTALE: this process's tracker has lost its name; -EACCES, -EROFS: it may not leave entries there; ... */
int fipc__entry_add(int root, const char *file, struct tracker *t, const struct stat *object);
/* 0: it is gone, or not ours to remove; -EMFILE, -ENFILE, -ENOMEM: not now. Its hint stays. */
int fipc__entry_remove(int root, const char *file, const struct tracker *t, uint64_t object);

struct survey {
	unsigned alive, dead, unknown; /* of the object asked for */
	unsigned removed;
};
typedef int (*attachment_fn)(const struct fipc_attachment *a, void *context);

/*
 * Look at an object's entries. object: its inode. remove_dead: and take away those of dead processes, of any object.
 * 0, -EACCES, ..., or what the callback (may be NULL) returned.
 */
int fipc__entries_survey(int root, const char *file, uint64_t object, bool remove_dead, attachment_fn callback,
			 void *context, struct survey *ret);

/* Is anybody attached who is not dead? */
bool fipc__entries_any(int root, const char *file, uint64_t object);

/* Take the object away: it is locked, named, leased, and its dead entries are removed. 0, -EACCES, -EPERM. */
int fipc__object_drop(int root, const char *file);

#endif
