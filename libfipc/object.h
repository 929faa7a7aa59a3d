/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file of a named object: found, joined, made, left. Whatever is read from it may have been written by anybody.
 *
 * Made whole before it has a name: an unnamed file (O_TMPFILE), locked, allocated, filled, then linked to the name; it
 * stays locked until its maker's entry exists, so no collector can meet it in between.
 * Killed before the link: nothing is left (with a temporary name, where unnamed files can't be had: that one). Killed
 * between link and entry: an object that nobody is attached to.
 */
#ifndef FIPC_OBJECT_H
#define FIPC_OBJECT_H

#include "attach.h"
#include "name.h"

struct object_kind {
	enum fipc_type type;
	size_t size;                              /* of the primitive, behind the header */
	void (*image)(void *ret, unsigned flags); /* fill a new one */
	int (*check)(const void *);               /* 0: it is one; or a negative errno */
	int (*busy)(const void *mapped); /* by a thread of this process: 0 no, -EBUSY yes, -EAGAIN perhaps not for long */
};

struct object {
	int fd; /* locked by join and create, until fipc__object_settle */
	bool writable; /* the descriptor: of one that was created */
	struct stat st;
	struct object_header header;
};

/* Nothing here waits: -EBUSY says that somebody has the file locked at this moment. */

/* Open what is at the name, to look: a regular file of an owner that flags allow. 0, -ENOENT, -EPERM, -EINVAL, ... */
int fipc__object_find(int root, const char *file, unsigned flags, struct object *ret);

/*
 * Lock what was found, and see what it is. 0: an object of this kind, which may be joined. -EAGAIN: it is no longer there,
 * or nobody was left and it has been taken away; look again. Others: it is closed.
 */
int fipc__object_join(int root, const char *file, const struct object_kind *kind, struct object *o);

/* Map what was joined or created, from its beginning. 0, -EACCES, ... */
int fipc__object_map(int root, const char *file, const struct object *o, size_t size, bool readonly, char **ret);

/* Lock what was found and take its name away, whatever it is. 0, -EAGAIN (look again), -EPERM, ... It is closed. */
int fipc__object_replace(int root, const char *file, struct object *o);

/* Make one. The maker's tracker has a hint of it from before it has its name. 0, -EEXIST, -ENOSPC, ... */
int fipc__object_create(int root, const char *file, const struct object_kind *kind, unsigned flags, mode_t mode,
			struct tracker *t, struct object *ret);

/* Unlock and close. */
void fipc__object_settle(struct object *o);

/*
 * This process has let go of it, and its entry is removed: if nobody else is left, take the object away.
 * 0: settled; LEFT_BEHIND: whether somebody is left cannot be told, or it is not ours to take; -EBUSY: not now.
 */
#define LEFT_BEHIND 1
int fipc__object_leave(int root, const char *file, const struct stat *st, bool persistent);

/* Take a name away for good. 0, -ENOENT, -EPERM, ...; -EBUSY: not now; -EAGAIN: it has changed meanwhile, look again. */
int fipc__object_unlink(int root, const char *file);

/* Is this header one that we can read, and of this type? 0, -EINVAL, -ENOTSUP. */
int fipc__header_check(const struct object_header *h, enum fipc_type type);

#define OBJECT_OFFSET sizeof(struct object_header)

#endif
