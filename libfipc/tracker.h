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
	char name[48];
};

/* Make this process's tracker. trackers: the directory. 0 or a negative errno. */
int fipc__tracker_make(int trackers, struct tracker *ret);

void fipc__tracker_hint(struct tracker *t, uint64_t object);
void fipc__tracker_unhint(struct tracker *t, uint64_t object);

/* Are so many hints in use that one should not be left behind only to be on the safe side? */
bool fipc__tracker_crowded(const struct tracker *t);

/* Is the process of this tracker (or entry) alive? -ENOENT: the file is gone. Fills st unless UNKNOWN. */
int fipc__tracker_life(int at, const char *path, struct stat *st);
enum fipc_life fipc__tracker_life_of(int fd);

/* What a tracker says of its process. It is only what that process wrote. */
struct tracker_text {
	uint64_t start, pidns;
	char comm[64];
};
void fipc__tracker_read_text(int fd, struct tracker_text *ret);

/* The objects it was attached to, ascending. Their number. */
size_t fipc__tracker_read_hints(int fd, uint64_t ret[TRACKER_HINTS]);

/* <pid>-<inode>. False: no tracker's name. */
bool fipc__tracker_parse_name(const char *name, int32_t *ret_pid, uint64_t *ret_inode);

#endif
