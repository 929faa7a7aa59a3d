/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file of a named object: found, joined, made, left. Whatever is read from it may have been written by anybody.
 *
 * Made whole before it has a name: an unnamed file (O_TMPFILE), attached, allocated, filled, then linked to the name; so no
 * collector can meet it when nobody is attached to it.
 * Killed before the link: nothing is left (with a temporary name, where unnamed files can't be had: that one). Killed
 * between link and entry: an object that nobody is attached to.
 */
#ifndef FIPC_OBJECT_H
#define FIPC_OBJECT_H

#include "attach.h"
#include "name.h"

#include <errno.h>

#define OBJECT_OFFSET sizeof(struct object_header)
#define OBJECT_HEAD 64 /* bytes of a primitive that say how large all of it is */
#define OBJECT_IMAGE_MAX (4096 - OBJECT_OFFSET)

struct object_local;
struct look;

/* What names, files and handles have to know of a type. */
struct object_kind {
	enum fipc_type type;
	unsigned flags; /* of open, beyond those that every type knows */
	bool anywhere;  /* no thread ids in it: it may be joined from another PID namespace */

	/*
	 * Its file holds the users' bytes and nothing else; the header lies beside the entries (meta.h). Its params are
	 * a struct bare. It has a local_size, and what begin() makes of the descriptor that it gets is its own affair:
	 * no size(), image() and check(), and no mapping.
	 */
	bool bare;

	/* Of a new one, behind the header. params: as the type's open gave them. 0 and *ret, or -EINVAL, -EFBIG. */
	int (*size)(const void *params, size_t *ret);
	/* Fill the first OBJECT_IMAGE_MAX bytes (or all, if there are fewer) of a new one; they are, and the rest is, zero. */
	void (*image)(void *ret, const void *params, unsigned flags);
	/*
	 * Given a copy of the first OBJECT_HEAD bytes: is it one, whole in a file that has room for *size bytes? 0, and *size
	 * is what it takes (of a file that somebody has made larger no more is mapped); or a negative errno.
	 */
	int (*check)(const void *head, size_t *size);

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
	void *object; /* the primitive in the mapping; NULL of a bare type */
	size_t size;
	bool readonly;
	int fd; /* of a bare type, for end() to close; else -1 */
};

/* A file that has not got its name yet. */
struct unfinished {
	int fd;
	char name[PATH_SIZE_MAX]; /* empty: it has none */
};

/* What a bare type's open says of a new one. */
struct bare {
	size_t size;
	const struct unfinished *made; /* as many bytes, and what they are to be; NULL: zeros */
};

/*
 * An object as a collector or a listing sees it. Its file may be scribbled on and truncated at any moment: only the copy
 * is read; the mapping, made when it is asked for, serves to count and to wake sleepers (fipc__futex_*), which faults nobody.
 */
struct look_map {
	int fd;
	size_t size; /* of the primitive: that much of it is mapped */
	char *at;    /* NULL: not yet; of the file, so the primitive is OBJECT_OFFSET behind */
};

struct look {
	const void *copy; /* of the primitive */
	size_t copied;    /* LOOK_MAX at most */
	size_t size;      /* of the primitive, as the file says */
	struct look_map *map;
	struct fipc_holder *holders; /* room for FIPC_HOLDERS_MAX, of the types that say who holds them */
	bool wake; /* a dead process may have taken a wake-up with it: wake all sleepers */
	const struct stat *st; /* of the file; all there is of a bare type */
};
#define LOOK_MAX 65536

/* The primitive, mapped to be read; NULL: it cannot be. */
const char *fipc__look_map(const struct look *l);

/* How many sleep on the word at this offset; and they are woken, if that is wanted. 0 when there is no mapping. */
uint32_t fipc__look_asleep(const struct look *l, size_t word);

/* Of a type that takes `bytes`, for its check(): is there room? 0, and *size is that; or -EINVAL. */
static inline int fipc__takes(size_t bytes, size_t *size)
{
	if (*size < bytes)
		return -EINVAL;
	*size = bytes;
	return 0;
}

/* The kinds by type; NULL: there is none. */
const struct object_kind *fipc__object_kind(enum fipc_type type);
extern const struct object_kind fipc__kind_cond;
extern const struct object_kind fipc__kind_event;
extern const struct object_kind fipc__kind_mq;
extern const struct object_kind fipc__kind_mutex;
extern const struct object_kind fipc__kind_rwlock;
extern const struct object_kind fipc__kind_sem;
extern const struct object_kind fipc__kind_shm;

struct object {
	int fd;
	int refused;   /* why the descriptor only reads: -EACCES, -EROFS; 0: it also writes */
	bool made;     /* by this process, just now */
	struct stat st;
	size_t size; /* of the primitive, behind the header; once it is joined or created */
	struct object_header header;
};

/* Nothing here waits long: -EBUSY says that somebody is taking the file away, or has it locked, at this moment. */

/* Open what is at the name, to look: a regular file of an owner that flags allow. 0, -ENOENT, -EPERM, -EINVAL, ... */
int fipc__object_find(int root, const char *file, unsigned flags, struct object *ret);

/* Read the header of what was found, of a type that is not bare. 0: an object of this kind; -EINVAL, -ENOTSUP, ... */
int fipc__object_read(struct object *o, const struct object_kind *kind);

/*
 * See what was found. 0: an object of this kind. -EAGAIN: nobody was left and it has been taken away; look again. With any
 * error it is closed.
 */
int fipc__object_probe(int root, const char *file, const struct object_kind *kind, struct object *o);

/*
 * The same, and attach to it: it stays while this descriptor, or what is mapped by it, does. Whoever has attached must
 * leave (fipc__object_leave), for somebody else may have left meanwhile and seen that he is not the last. -EAGAIN also: it
 * is no longer there.
 */
int fipc__object_join(int root, const char *file, const struct object_kind *kind, struct object *o);

/* Map what was joined or created, from its beginning. 0, -EACCES, ... */
int fipc__object_map(const struct object *o, size_t size, bool readonly, char **ret);

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

/*
 * A file for one of a bare type, in the directory where `file` is, to be filled before it has its name (struct bare).
 * Killed meanwhile: nothing is left; without unnamed files, a temporary one. Discarded in the end, whatever it became.
 */
int fipc__object_prepare(int root, const char *file, struct unfinished *ret);
void fipc__object_discard(int root, struct unfinished *u);

/* Another descriptor of what was joined or created, attached with it. -EACCES, -EMFILE, ... */
int fipc__object_keep(const struct object *o, bool readonly);

/* It was created, and cannot be used after all: take it away, unless somebody has joined it. It is closed. */
void fipc__object_unmake(int root, const char *file, struct object *o);

/* Close. */
void fipc__object_settle(struct object *o);

/*
 * This process has let go of it, and its entry is removed: if nobody else is left, take the object away.
 * 0: settled; LEFT_BEHIND: somebody is left, or whether so cannot be told, or it is not ours to take; -EBUSY: not now.
 */
#define LEFT_BEHIND 1
int fipc__object_leave(int root, const char *file, int fd, const struct stat *st, bool persistent);

/* What the former asks it through, and closes: a descriptor, or an error, which it judges. */
int fipc__object_open_to_leave(int root, const char *file);

/*
 * Take a name away for good; if it leads to this inode (0: wherever it leads). 0, -ENOENT, -EPERM, ...; -EBUSY: not now;
 * -EAGAIN: it has changed meanwhile, look again.
 */
int fipc__object_unlink(int root, const char *file, uint64_t inode);

/* Is this header one that we can read, and of this type? 0, -EINVAL, -ENOTSUP. */
int fipc__header_check(const struct object_header *h, enum fipc_type type);

#endif
