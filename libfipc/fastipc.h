/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the Python package fastipc leaves behind: the only place that knows its bytes and its ways.
 *
 *	/dev/shm/__pyfastipc_mutex_NAME           64 bytes; likewise sema; event: 4
 *	<root>/<the same name>.pids/<pid>         empty: a process that opened it
 *
 * A segment of it says of itself neither who made it, nor which PID namespace its numbers are of, and its users hold no
 * lock on anything. But whoever uses one has it open or mapped, and leaves an entry only then; so F_SETLEASE tells whether it is used,
 * and nothing else is asked for that. What else is decided by PIDs, see census.h.
 *
 * A root directly below /dev/shm, as the usual one, answers for all segments there; another one for those that have
 * entries in it.
 */
#ifndef FIPC_FASTIPC_H
#define FIPC_FASTIPC_H

#include "attach.h"
#include "census.h"

#define FASTIPC_FREES 256 /* mutexes freed in one walk: each takes a process and a moment */

struct fastipc { /* what one walk needs */
	int root, shm; /* directories */
	bool all;      /* the root answers for all segments */
	unsigned frees;
	struct census census;
};

/* The type of a segment of this name, without ".pids"; 0: it is none of the package's. */
enum fipc_type fipc__fastipc_type(const char *file);

/* 0; -ENOENT: there is no /dev/shm; -EMFILE, ... */
int fipc__fastipc_open(struct fastipc *ret, int root);
void fipc__fastipc_close(struct fastipc *f); /* NULL is accepted */

/*
 * Look into one, of ret->type, without touching its memory. mend: wake who sleeps on it though it is free: whoever had
 * to wake him may be dead. 0; -EINVAL: it is none; -ENODATA: empty, whoever was making it has not come further.
 */
int fipc__fastipc_look(int fd, const struct stat *st, bool mend, struct fipc_object *ret);

/* Its owner, as looked at, is dead. */
bool fipc__fastipc_owner_died(struct fastipc *f, const struct fipc_object *o);

/*
 * Then make it free and wake one sleeper, if it is still this one and so held. 0; -EAGAIN: it has changed; -EBUSY: no more of
 * this in this walk; -EACCES, -ENOMEM, ...
 */
int fipc__fastipc_free(struct fastipc *f, const char *file, int fd, const struct fipc_object *o);

/* As fipc__entries_survey. */
int fipc__fastipc_entries(struct fastipc *f, const char *file, bool remove_dead, attachment_fn callback, void *context,
			  struct survey *ret);

/*
 * Take away a segment that nobody has open, with all its entries. *removed grows by their number. 0; -EAGAIN: somebody
 * has it open now; -EBUSY: it is another one now; -EACCES, -EPERM, ...
 */
int fipc__fastipc_drop(struct fastipc *f, const char *file, const struct stat *st, unsigned *removed);

/*
 * Is this directory of entries so new that its maker may still be about to make the segment; or this empty segment, that he
 * may not have it open yet? open(2) gives a file its name before it has it open, and then nobody sees that it is too late.
 */
bool fipc__fastipc_is_new(const struct stat *st);

#endif
