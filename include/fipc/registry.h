/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tracking directory as an operator sees it: which objects there are, who is attached, who of them is dead, and the
 * sweep that takes away what dead processes left. fipcd and fipcctl are built on this alone.
 *
 * One walk. Listing, a dry run and a collection are the same walk with the same verdicts; FIPC_WALK_COLLECT carries
 * them out. It never waits, neither for a lock nor for a FIFO, follows no symbolic link, trusts no size, writes to no memory
 * of others, and takes an object away only while the kernel says (fcntl F_SETLEASE) that nobody has it open or mapped.
 *
 * What the Python package fastipc has left is met by the same walk. A mutex of it that a dead process holds is made free;
 * a child process does that, for it has to write.
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
	FIPC_TYPE_PY_MUTEX, /* these three: the Python package fastipc's, __pyfastipc_... in /dev/shm; a name ends in no type */
	FIPC_TYPE_PY_SEMA,
	FIPC_TYPE_PY_EVENT,
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
	FIPC_KEEP_OWNER_DIED,    /* py-mutex: in use; its owner is dead, and a collection makes it free */
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
	const char *name; /* without the type; of an unfinished one, and of Python's, its file name */
	enum fipc_type type; /* 0 for an unfinished one */
	uint32_t uid, gid, mode; /* mode: permission bits */
	uint64_t inode;          /* 0: there are only entries left */
	int error;               /* 0: what follows up to the state is known; else the negative errno why not */
	uint32_t flags;          /* FIPC_PERSIST, FIPC_TIMESTAMPS */
	int32_t creator;         /* pid, as it saw itself */
	uint64_t pidns;          /* PID namespace of its creator */
	int64_t created_ns;      /* CLOCK_REALTIME */
	uint64_t size;           /* bytes of the primitive, in shared memory */
	union {                  /* by type; Python's: of these what there is, times on CLOCK_REALTIME */
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
 * -ENOMEM, -EMFILE, -ENFILE, -ENOSYS; sets *ret only on success. Uses one descriptor until closed (NULL is accepted); and
 * a walk leaves in it what spares the next one work: 64 to 128 bytes for each object, 16 MiB at most.
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
 * stays is met once. filter and callback may be NULL. Returns 0, what the callback returned, or -EACCES, -ENOMEM,
 * -EMFILE, -ENFILE, -EINVAL (flags).
 */
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_registry_walk(fipc_registry *r, unsigned flags, const struct fipc_filter *filter,
						   fipc_object_fn callback, void *context);

/*
 * The same walk, a few objects at a time: for whoever has other things to do meanwhile. The registry must stay open; the
 * filter need not stay. open returns 0, or as fipc_registry_walk() does; step visits up to n names and returns as that
 * does; is_over: no name is left to visit.
 */
typedef struct fipc_walk fipc_walk;
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_walk_open(fipc_walk **ret, fipc_registry *r, unsigned flags,
					       const struct fipc_filter *filter);
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_walk_step(fipc_walk *w, size_t n, fipc_object_fn callback, void *context);
FIPC_PUBLIC int fipc_walk_is_over(const fipc_walk *w);
FIPC_PUBLIC void fipc_walk_close(fipc_walk *w); /* NULL is accepted */

/*
 * Walk over the processes that have a tracker; the callback may be NULL. FIPC_WALK_COLLECT removes the trackers of the
 * dead that own no entry any more, and is meant to follow a collecting fipc_registry_walk(). Returns as
 * fipc_registry_walk() does.
 */
typedef int (*fipc_process_fn)(const struct fipc_process *process, void *context);
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_registry_processes(fipc_registry *r, unsigned flags, fipc_process_fn callback,
							void *context);

enum fipc_wait_kind { /* what a thread sleeps for */
	FIPC_WAIT_WAKE,    /* a token, an event, a signal, a message: nobody in particular */
	FIPC_WAIT_LOCK,    /* a mutex: its owner */
	FIPC_WAIT_READ,    /* to read under a rwlock: who writes, or is just entering */
	FIPC_WAIT_WRITE,   /* to write under it: the same */
	FIPC_WAIT_READERS, /* the same, being next: all who read */
	FIPC_WAIT_SLOT,    /* to read, being next, where as many read as can: any of them */
};
FIPC_PUBLIC const char *fipc_wait_kind_name(enum fipc_wait_kind kind); /* "wake", "lock", ...; NULL: no such kind */

struct fipc_wait { /* a thread asleep, as its process says */
	int32_t pid;         /* of its process, as that saw itself */
	uint32_t tid;        /* likewise */
	uint32_t uid;        /* of its process's tracker */
	uint32_t owner_tid;  /* who had it when it fell asleep; 0: FIPC_WAIT_WAKE */
	uint32_t acquisition; /* the mutex's acquisitions, or the rwlock's writes, then */
	int timed;           /* 1: up to a deadline */
	enum fipc_type type; /* of the object */
	enum fipc_wait_kind kind;
	uint64_t inode;      /* of the object: one that has, or had, a name */
	int64_t since_ns;    /* CLOCK_MONOTONIC: since then it sleeps */
	uint64_t tracker;    /* inode of its process's tracker */
	uint64_t pidns;      /* its PID namespace */
	uint64_t number;     /* of this wait: with the same tracker, tid and number it is the same, without a break */
	char comm[64];       /* of its process */
};

/*
 * Walk over the threads that sleep on named objects: on mutexes and rwlocks, and also on what is waited for otherwise, but
 * for fipc_wait_any(). Of a process 1024 threads can be seen at a time. Each is told as it was at one moment: it lived
 * then, and slept, or had just been woken. Only a process can say it of itself, or who runs as its user, or root.
 * inodes: only waits for these objects, ascending; NULL: for any. Returns as fipc_registry_processes().
 */
typedef int (*fipc_wait_fn)(const struct fipc_wait *wait, void *context);
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_registry_waits(fipc_registry *r, const uint64_t *inodes, size_t n_inodes,
						    fipc_wait_fn callback, void *context);

/*
 * Reclaim what one dead process left, given the name of its tracker, as inotify (IN_CLOSE_WRITE) tells it: cost follows
 * what it had, not what there is. The callback (may be NULL) hears of each object looked at. Returns 1: it was dead, and
 * this has been done; 0: it is alive, or already gone; an error as fipc_registry_walk(); or what the callback returned.
 */
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_registry_reclaim(fipc_registry *r, const char *tracker, fipc_object_fn callback,
						      void *context);

/*
 * For operators: what is done to one object. inode: as a walk told it, so that nobody can have put another one in its
 * place since; 0: whatever the name leads to. Neither waits. Who may do it, beyond what the file modes say, is the
 * caller's affair.
 *
 * unlink: take the name away. Those who have it open go on; the next open makes a new one. Returns 0, -ENOENT (gone,
 * or another one), -EBUSY (somebody has it locked just now), -EINVAL (name, type), -EPERM, -EACCES.
 *
 * revoke: fipc_mutex_revoke() of a mutex that this process has not opened; it becomes attached to nothing. Returns as
 * fipc_mutex_revoke() does, or -ENOENT, -EINVAL, -EACCES; -EOPNOTSUPP: a type that cannot be revoked. It writes to
 * the object's memory: whoever may truncate the file just then can end this process by SIGBUS.
 */
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_registry_unlink(fipc_registry *r, const char *name, enum fipc_type type,
						     uint64_t inode);
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_registry_revoke(fipc_registry *r, const char *name, enum fipc_type type,
						     uint64_t inode);

/* The directory of the trackers, below the registry's: what to watch for news of deaths. */
#define FIPC_TRACKERS ".procs"

/* Where Python's fastipc has its segments, whichever the tracking directory is, and how their names begin. */
#define FIPC_PYTHON_DIR "/dev/shm"
#define FIPC_PYTHON_PREFIX "__pyfastipc_"
static inline int fipc_type_is_python(enum fipc_type type)
{
	return type >= FIPC_TYPE_PY_MUTEX;
}

#ifdef __cplusplus
}
#endif
#endif
