/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is attached to an object, and taking an object away. Used by those who open and close, and by collectors.
 *
 * <name>.<type>                                         the object
 * <name>.<type>.pids/<pid>.<tracker inode>.<inode>      an entry: a hard link to the tracker of an attached process
 * <name>.<type>.pids/.meta.<inode>                      the header of an object that has none in its file (meta.h)
 *
 * Whoever has an object open is attached (below), and has an entry. Taking away is for when nobody is attached: under a lock
 * on the object's file (flock), after a look that the name still leads to it, and with a write lease, which the kernel refuses
 * while anybody has the file open or mapped. First go the dead entries, then the empty .pids, then the name. Killed after any
 * of these steps: an object that nobody is attached to, found by the next open, the next collection, or by the inode in
 * the dead process's tracker.
 */
#ifndef FIPC_ATTACH_H
#define FIPC_ATTACH_H

#include "recall.h"
#include "tracker.h"

#include <fipc/registry.h>
#include <stdbool.h>
#include <sys/stat.h>

/*
 * Being attached, for the kernel to see: a read lock (fcntl F_OFD_SETLK) on one byte far behind the end of any file. It
 * belongs to the open file, and so to the mapping that is made of it: the descriptor can be closed, a forked child shares it
 * with its mapping, and it goes with the last unmapping, exit, exec or death. 0; -EBUSY: a writer of the file is hostile.
 */
int fipc__file_attach(int fd);

/* Is anybody else attached? 1, 0, or a negative errno. The descriptor need only read. */
int fipc__file_anybody(int fd);

/* Lock an object's file, open in any mode, without waiting: who changes what its name leads to. 0 or -EBUSY. */
int fipc__file_lock(int fd);

/* For who may wait: a little longer each time. False: 5 s are over, for a reader may hold a file's lock for ever. */
struct patience {
	fipc_deadline until;
	long sleep_ns;
};
bool fipc__be_patient(struct patience *p);

/* Does the name lead to this file? 1, 0, or a negative errno: it cannot be told. */
int fipc__file_is_named(int at, const char *file, const struct stat *st);

/*
 * Does nobody but this descriptor have the file open or mapped? 0: nobody; nobody can open it either until the lease is
 * ended or the descriptor closed. -EAGAIN: somebody. Others: this caller may not ask (-EACCES), or cannot.
 */
int fipc__file_lease(int fd);

void fipc__file_end_lease(int fd);

/*
 * maker: this process makes the object, or cannot know who did. 0; -ESTALE: this process's tracker has lost its name;
 * -EACCES, -EROFS: it may not leave entries there; ...
 */
int fipc__entry_add(int root, const char *file, struct tracker *t, const struct stat *object, bool maker);
/* Could the maker of such an object (st_uid, st_mode) have entries there? 0, -EPERM, ... */
int fipc__entries_usable(int root, const char *file, const struct stat *object);

/* It is gone, or not ours to remove. Its hint stays. */
void fipc__entry_remove(int root, const char *file, const struct tracker *t, uint64_t object);

struct survey {
	unsigned alive, dead, unknown; /* of the object asked for */
	unsigned removed;
	unsigned metas; /* headers of other objects (meta.h) that stay: somebody is making one, or it cannot be told */
};
typedef int (*attachment_fn)(const struct fipc_attachment *a, void *context);

/*
 * Who was found alive just now, in a walk. Each process has one tracker and many entries, and one that is alive may
 * still be said to be so a moment later; so it is asked once. Of the others each entry is asked. Zeroed is empty.
 */
#define LIVING_ROW_BITS 10
#define LIVING_IN_ROW 4 /* in all 4096 processes; of more some are asked again */
struct life_seen {
	uint64_t tracker;
	uint32_t uid;
};
struct living {
	struct life_seen at[1 << LIVING_ROW_BITS][LIVING_IN_ROW];
};

/* What spares a walk some of the system calls. */
struct memory {
	struct living living;
	struct recall *recall;
};

/*
 * Look at an object's entries. object: its inode; memory: may be NULL. remove_dead: and take away those of dead processes,
 * of any object, and the headers of objects that are gone.
 * 0, -EACCES, ..., or what the callback (may be NULL) returned.
 */
int fipc__entries_survey(int root, const char *file, uint64_t object, bool remove_dead, struct memory *memory,
			 attachment_fn callback, void *context, struct survey *ret);

/* Is anybody attached who is not dead? */
bool fipc__entries_any(int root, const char *file, uint64_t object);

/* See to the directory of the entries: that it is there, and whom it belongs to. 0; -EAGAIN: look again; -EPERM, ... */
int fipc__pids_check(int root, const char *file, const struct stat *object);

/*
 * It goes, if there is nothing in it but the header of this object, whose name is gone. False: somebody has an entry,
 * or it is not ours to remove.
 */
bool fipc__pids_remove(int root, const char *file, uint64_t object);

/* Take the object away: it is locked, named, leased, and its dead entries are removed. 0, -EACCES, -EPERM. */
int fipc__object_drop(int root, const char *file, uint64_t object);

#endif
