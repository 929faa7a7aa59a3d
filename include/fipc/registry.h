/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tracking directory as an operator sees it: which objects there are, who is attached, who of them is dead, and the
 * sweep that takes away what dead processes left. fipcd and fipcctl are built on this alone.
 *
 * One walk. Listing, a dry run and a collection are the same walk with the same verdicts; FIPC_WALK_COLLECT carries
 * them out. It never waits, neither for a lock nor for a FIFO, follows no symbolic link, trusts no size, maps nothing writable,
 * and takes an object away only while the kernel says (fcntl F_SETLEASE) that nobody has it open or mapped.
 *
 * A handle is not thread-safe; two handles are independent. A thread must not be cancelled while it walks.
 */
#ifndef FIPC_REGISTRY_H
#define FIPC_REGISTRY_H

#include <fipc/base.h>
#include <fipc/cond.h>
#include <fipc/event.h>
#include <fipc/mq.h>
#include <fipc/mutex.h>
#include <fipc/rwlock.h>
#include <fipc/sem.h>
#include <fipc/shm.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Is it alive? Told by a file lock that the kernel drops with the process; never by a PID. UNKNOWN is left alone. */
enum fipc_life { FIPC_UNKNOWN, FIPC_ALIVE, FIPC_DEAD };
FIPC_PUBLIC const char *fipc_life_name(enum fipc_life life); /* "unknown", "alive", "dead" */

enum fipc_type { /* what a name ends in */
	FIPC_TYPE_MUTEX = 1,
	FIPC_TYPE_SEM,
	FIPC_TYPE_EVENT,
	FIPC_TYPE_COND,
	FIPC_TYPE_RWLOCK,
	FIPC_TYPE_SHM,
	FIPC_TYPE_MQ,
};
FIPC_PUBLIC const char *fipc_type_name(enum fipc_type type); /* "mutex", "sem", ...; NULL: no such type */
FIPC_PUBLIC int fipc_type_from_name(const char *name);       /* the type, or -EINVAL */

enum fipc_reason { /* why an object stays, or goes */
	FIPC_KEEP_ATTACHED,      /* a live process has it */
	FIPC_KEEP_PERSISTENT,    /* made with FIPC_PERSIST */
	FIPC_KEEP_UNKNOWN,       /* an entry that cannot be judged */
	FIPC_KEEP_UNTRACKED,     /* no live entry, but somebody has it open or mapped: a forked child, another namespace */
	FIPC_KEEP_BUSY,          /* being opened or closed at this moment */
	FIPC_KEEP_NOT_PERMITTED, /* only its owner or root can tell, or take it away */
	FIPC_KEEP_DAMAGED,       /* not a regular file, or not fipc's, or of an incompatible version */
	FIPC_KEEP_FAILED,        /* a system call failed: see error */
	FIPC_TAKE_UNUSED,        /* nobody is attached */
	FIPC_TAKE_ORPHAN,        /* only entries are left, the object's name is gone */
	FIPC_TAKE_UNFINISHED,    /* a temporary file whose maker died */
};
FIPC_PUBLIC int fipc_reason_takes(enum fipc_reason reason);         /* 1: the object goes; 0: it stays */
FIPC_PUBLIC const char *fipc_reason_name(enum fipc_reason reason);  /* "attached", "unused", ...: for programs */
FIPC_PUBLIC const char *fipc_reason_text(enum fipc_reason reason);  /* a clause for people */

struct fipc_attachment {
	enum fipc_life life;
	int32_t pid;      /* as the process saw itself, in its own PID namespace */
	uint32_t uid;     /* of its tracker file */
	uint32_t current; /* 1: of the object that the name leads to now; 0: of one that it led to before */
	uint64_t tracker; /* inode of its tracker file: with it two processes of one PID are told apart */
};

struct fipc_holder { /* as the object says; of a dead one too, until somebody has come by */
	uint32_t pid, tid; /* 0: it does not say */
	uint32_t count;    /* tokens; 1 of a reader */
};
#define FIPC_HOLDERS_MAX 128

struct fipc_object {
	const char *name; /* without the type; of an unfinished one, its file name */
	enum fipc_type type; /* 0 for an unfinished one */
	uint32_t uid, gid, mode; /* mode: permission bits */
	uint64_t inode;          /* 0: there are only entries left */
	int error;               /* 0: what follows up to the state is known; else the negative errno why not */
	uint32_t flags;          /* FIPC_PERSIST, FIPC_TIMESTAMPS */
	int32_t creator;         /* pid, as it saw itself */
	uint64_t pidns;          /* PID namespace of its creator */
	int64_t created_ns;      /* CLOCK_REALTIME */
	uint64_t size;           /* bytes of the primitive, in shared memory */
	union {                  /* by type */
		struct fipc_mq_info mq;
		struct fipc_mutex_info mutex;
		struct fipc_cond_info cond;
		struct fipc_event_info event;
		struct fipc_rwlock_info rwlock;
		struct fipc_sem_info sem;
		struct fipc_shm_info shm;
	};
	unsigned n_holders;      /* of an owned semaphore or a rwlock: who holds it */
	const struct fipc_holder *holders; /* the first FIPC_HOLDERS_MAX of them */
	unsigned n_attachments, n_alive, n_dead, n_unknown; /* the last three: of the current object */
	const struct fipc_attachment *attachments;
	enum fipc_reason reason;
	int collected;           /* FIPC_WALK_COLLECT: 1, it has been taken away */
	unsigned entries_removed; /* FIPC_WALK_COLLECT: dead processes' entries taken away */
};

struct fipc_process {
	enum fipc_life life;
	int32_t pid; /* as it saw itself */
	uint32_t uid, gid;
	uint64_t tracker; /* inode */
	uint64_t pidns;
	uint64_t start;   /* field 22 of its /proc/PID/stat: clock ticks since boot */
	unsigned attachments; /* entries that it has, or left */
	char comm[64];    /* what it called itself; printable ASCII */
};

typedef struct fipc_registry fipc_registry;

/*
 * Open a tracking directory. dir: its absolute path; NULL: the one that this process's own objects live in.
 * flags: FIPC_CREATE makes it (mode 1777) if it is missing.
 * Returns 0, or -ENOENT, -ENOTDIR, -EACCES, -EPERM (another user's, and not named explicitly), -EINVAL, -ENAMETOOLONG,
 * -ENOMEM, -EMFILE, -ENFILE; sets *ret only on success. Uses one descriptor until closed (NULL is accepted).
 */
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_registry_open(fipc_registry **ret, const char *dir, unsigned flags);
FIPC_PUBLIC void fipc_registry_close(fipc_registry *r);
FIPC_PUBLIC const char *fipc_registry_dir(const fipc_registry *r);

enum { FIPC_WALK_COLLECT = 1 << 0 }; /* carry the verdicts out; without it, only say them */

struct fipc_filter { /* zeroed: everything. What it excludes is neither reported nor touched. */
	const char *pattern;    /* of the name, as fnmatch(3); NULL any */
	enum fipc_type type;    /* 0 any */
	int by_owner;           /* 1: only objects of uid `owner` */
	uint32_t owner;
	const uint64_t *inodes; /* only objects of these inodes, ascending; NULL any */
	size_t n_inodes;
};

/* Called for each object; what it points to is valid during the call. Returning non-zero ends the walk. */
typedef int (*fipc_object_fn)(const struct fipc_object *object, void *context);

/*
 * Walk over all objects, in the order of their names. An object that comes or goes meanwhile may be met or not; one that
 * stays is met once. filter and callback may be NULL. Returns 0, what the callback returned, or -EACCES, -ENOMEM, -EMFILE, -ENFILE,
 * -EINVAL (flags).
 */
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_registry_walk(fipc_registry *r, unsigned flags, const struct fipc_filter *filter,
						   fipc_object_fn callback, void *context);

/*
 * Walk over the processes that have a tracker; the callback may be NULL. FIPC_WALK_COLLECT removes the trackers of the dead that own no entry any
 * more, and is meant to follow a collecting fipc_registry_walk(). Returns as that does.
 */
typedef int (*fipc_process_fn)(const struct fipc_process *process, void *context);
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_registry_processes(fipc_registry *r, unsigned flags, fipc_process_fn callback,
							void *context);

/*
 * Reclaim what one dead process left, given the name of its tracker, as inotify (IN_CLOSE_WRITE) tells it: cost follows
 * what it had, not what there is. The callback (may be NULL) hears of each object looked at. Returns 1: it was dead, and
 * this has been done; 0: it is alive, or already gone; or an error as of the walk, or the callback's return.
 */
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_registry_reclaim(fipc_registry *r, const char *tracker, fipc_object_fn callback,
						      void *context);

/* The directory of the trackers, below the registry's: what to watch for news of deaths. */
#define FIPC_TRACKERS ".procs"

#ifdef __cplusplus
}
#endif
#endif
