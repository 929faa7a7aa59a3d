/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the directories of entries (<file>.pids) held when they were looked at last. As long as one has not changed,
 * its time says as much as opening, reading and closing it, and asking for that costs a third.
 *
 * That time is its ctime, which the kernel sets whenever a name in it comes or goes, and nobody else can set. It is
 * believed only
 * - on tmpfs, where it is exact to the nanosecond, and comes from a clock that can be read here (CLOCK_REALTIME_COARSE,
 *   or a finer one of which that is the past);
 * - if that clock was past it when the look began: whatever comes or goes after that gives it a later one. (A clock
 *   that is set back may give it the same one, if that happens in the very nanosecond.)
 *
 * Only directories are remembered in which somebody is, and nothing but entries of this object: so it never says that
 * nobody is attached, and nothing is taken away on its word.
 *
 * It belongs to a registry; whoever uses it has the lock of the objects (fork.h).
 */
#ifndef FIPC_RECALL_H
#define FIPC_RECALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#define RECALL_ENTRIES 3
#define RECALL_OBJECTS_MAX (1 << 18) /* 16 MiB; of more objects some are looked at again each time */

struct recalled { /* 64 bytes: it lies in one line of the processor's cache */
	uint64_t object;    /* the inode; 0: nothing is remembered */
	uint64_t directory; /* likewise */
	int64_t changed_ns; /* ctime of the directory */
	uint64_t trackers[RECALL_ENTRIES];
	int32_t pids[RECALL_ENTRIES];
	uint32_t n; /* entries */
};

struct recall { /* zeroed: it remembers nothing, and never will */
	bool usable;
	uint64_t device;
	struct recalled *slots; /* NULL: none */
	size_t n;               /* of them: a power of two */
};

/* root: the tracking directory. */
void fipc__recall_init(struct recall *r, int root);
void fipc__recall_forget(struct recall *r);

/* Make room for so many objects, if they are more than before. all: there are no others, so it may become less, too. */
void fipc__recall_make_room(struct recall *r, size_t objects, bool all);

/* What is remembered of this object; NULL: nothing. It holds if fipc__recall_holds. */
const struct recalled *fipc__recall_find(const struct recall *r, uint64_t object);
bool fipc__recall_holds(const struct recall *r, const struct recalled *what, const struct stat *directory);

/* What is to be remembered of a look (r: NULL: nothing): begun before the directory is read, */
void fipc__recall_begin(const struct recall *r, struct recalled *ret, int directory, uint64_t object);
/* told of each entry, or that there is something else (tracker: 0), */
void fipc__recall_note(struct recalled *what, uint64_t tracker, int32_t pid);
/* and kept when it has been read to its end. */
void fipc__recall_keep(struct recall *r, const struct recalled *what);

#endif
