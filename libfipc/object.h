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

#define OBJECT_OFFSET sizeof(struct object_header)
#define OBJECT_HEAD 64 /* bytes of a primitive that say how large all of it is */
#define OBJECT_IMAGE_MAX (4096 - OBJECT_OFFSET)

struct object_local;
struct look;

/* What names, files and handles have to know of a type. */
struct object_kind {
	enum fipc_type type;
	unsigned flags; /* of open, beyond those that every type knows */

	/* Of a new one, behind the header. params: as the type's open gave them. 0 and *ret, or -EINVAL, -EFBIG. */
	int (*size)(const void *params, size_t *ret);
	/* Fill the first OBJECT_IMAGE_MAX bytes (or all, if there are fewer) of a new one; they are, and the rest is, zero. */
	void (*image)(void *ret, const void *params, unsigned flags);
	/* Given a copy of the first OBJECT_HEAD bytes: is it one, and does it take `size` bytes? 0 or a negative errno. */
	int (*check)(const void *head, size_t size);

	/* Does a thread of this process use it? 0 no, -EBUSY yes, -EAGAIN perhaps not for long. */
	int (*busy)(const void *object);

	/*
	 * A type whose users get no pointer into the mapping but something of their process's own: its size, zeroed when
	 * made; begin() is called when it has been opened, end() before it is unmapped; both under fipc__objects_lock.
	 */
	size_t local_size;
	int (*begin)(struct object_local *local);
	void (*end)(struct object_local *local);

	/* For the registry: say what it is like. 0, or a negative errno: it is none. */
	int (*look)(const struct look *l, struct fipc_object *ret);
};

/* The beginning of what the users of such a type get. */
struct object_local {
	void *object; /* the primitive in the mapping */
	size_t size;
	bool readonly;
};

/*
 * An object as a collector or a listing sees it. Its file may be scribbled on and truncated at any moment: only the copy
 * is read; the mapping (NULL: there is none) serves to count and to wake sleepers (fipc__futex_*), which faults nobody.
 */
struct look {
	const void *copy; /* of the primitive */
	size_t copied;    /* LOOK_MAX at most */
	size_t size;      /* of the primitive, as the file says */
	const char *map;
	bool wake; /* a dead process may have taken a wake-up with it: wake all sleepers */
};
#define LOOK_MAX 65536

/* The kinds by type; NULL: there is none. */
const struct object_kind *fipc__object_kind(enum fipc_type type);
extern const struct object_kind fipc__kind_mutex;

struct object {
	int fd; /* locked by join and create, until fipc__object_settle */
	bool writable; /* the descriptor: of one that was created */
	struct stat st;
	size_t size; /* of the primitive, behind the header; once it is joined or created */
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
struct making {
	const struct object_kind *kind;
	const void *params; /* for kind->size and kind->image */
	unsigned flags;
	mode_t mode;
};
int fipc__object_create(int root, const char *file, const struct making *making, struct tracker *t, struct object *ret);

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

#endif
