/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Trackers: how a process's life is told.
 *
 * A process has one file below .procs, on which it holds a write lock (fcntl F_OFD_SETLK) that lives in a mapping: the
 * descriptor is closed, so closing all descriptors does no harm, and a forked child does not inherit it (MADV_DONTFORK).
 * The kernel drops the lock when the mapping goes: at exit, exec or death. Its entries below the objects' .pids are hard
 * links to the same file, so each of them can be asked.
 *
 * Made as a temporary file, locked, then renamed: whoever sees its name sees it locked.
 * Killed before the rename: an unlocked temporary file that nobody has open; the next collection takes it.
 */
#ifndef FIPC_TRACKER_H
#define FIPC_TRACKER_H

#include "layout.h"

#include <fipc/registry.h>
#include <stdbool.h>
#include <sys/stat.h>

struct tracker {
	struct tracker_page *page; /* NULL: none, or the parent's */
	uint64_t inode;
	uint32_t uid; /* whose it is: who has changed his user since cannot link it (fs.protected_hardlinks) */
	uint32_t pid;
	unsigned used; /* hints: those behind are free */
	unsigned named; /* hints whose names have memory */
	char name[48];
};

/* Make this process's tracker. trackers: the directory. 0 or a negative errno. */
int fipc__tracker_make(int trackers, struct tracker *ret);

/* file: where the object is, or will be. */
void fipc__tracker_hint(struct tracker *t, uint64_t object, const char *file);
void fipc__tracker_unhint(struct tracker *t, uint64_t object);

/* Are so many hints in use that one should not be left behind only to be on the safe side? */
bool fipc__tracker_crowded(const struct tracker *t);

/* Is the process of this tracker (or entry) alive? -ENOENT: the file is gone. Fills st unless UNKNOWN. */
int fipc__tracker_life(int at, const char *path, struct stat *st);
enum fipc_life fipc__tracker_life_of(int fd);

/*
 * Open what this name below .procs leads to, to look at it: a descriptor, or a negative errno, -EINVAL if it is no
 * tracker. Of *ret, pid and tracker are set then; describe adds the rest. What the text says is what that process wrote.
 */
int fipc__tracker_open(int trackers, const char *name, struct fipc_process *ret, struct stat *st);
void fipc__tracker_describe(int fd, const struct stat *st, struct fipc_process *ret);

/* For qsort(3) and bsearch(3) among uint64_t. */
int fipc__by_inode(const void *a, const void *b);

/* Call for each name below .procs, until that returns an error; 0, or that, or why they can't be read. */
typedef int (*tracker_fn)(int trackers, const char *name, void *context);
int fipc__registry_trackers(fipc_registry *r, tracker_fn visit, void *context);

/* The slots of those of its threads that sleep, as they stood at one moment each. Their number. */
size_t fipc__tracker_read_slots(int fd, struct wait_slot ret[WAIT_SLOTS]);

/* The objects it was attached to. It is only what that process wrote, but each name ends. Their number. */
struct tracker_hint {
	uint64_t inode;
	char file[TRACKER_NAME]; /* empty: not known */
};
size_t fipc__tracker_read_hints(int fd, struct tracker_hint ret[TRACKER_HINTS]);

/* <pid>-<inode>. False: no tracker's name. */
bool fipc__tracker_parse_name(const char *name, int32_t *ret_pid, uint64_t *ret_inode);

#endif
