/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes that processes share: mutexes, object files, trackers. Nothing else may know an offset, a bit or a magic.
 * Whoever reads them has to remember that another process may have written anything.
 *
 * The lock word
 *
 *	bits     meaning              set by                                cleared by
 *	0..29    TID of the owner,    whoever acquires (CAS)                unlock (subtracts its TID); kernel, at
 *	         0: free                                                    the owner's death
 *	30       OWNER_DIED: the      kernel, at the owner's death; a       whoever acquires
 *	         last owner died      thread that exits holding; revoke
 *	         with a TID beside    revoke, of a living owner's lock      the owner's unlock or death
 *	         it: nobody waits
 *	31       WAITERS: somebody    a locker, before it sleeps;           the unlock that found nobody to wake,
 *	         may be asleep        kept by unlock, acquire and death     together with waking all (one kernel step)
 *
 * WAITERS may be stale in one direction: set with nobody asleep (it costs one unlock a system call). Clear with somebody
 * asleep cannot be: sleeping needs FUTEX_WAIT on a value that has the bit, and the bit goes only in a step that wakes
 * all. Nobody sleeps on a word whose TID part is 0.
 *
 * The state word: written by the owner, while it holds the lock word, and by revoke, which only ever makes it
 * not-recoverable; after the owner's death it stands as the dead left it. Not-recoverable is said here and not in the
 * lock word, which has to keep TID 0 for the kernel to pass a killed waiter's wake-up on.
 */
#ifndef FIPC_LAYOUT_H
#define FIPC_LAYOUT_H

#include <assert.h>
#include <fipc/mutex.h>
#include <fipc/registry.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#if UINTPTR_MAX != UINT64_MAX || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "fipc: peers have 64-bit pointers and are little-endian"
#endif

#define FIPC__ABI 1

/* ---- every primitive begins with these 8 bytes: a magic, set last by whoever makes it, and what kind it is ---- */

#define OBJECT_MAGIC UINT32_C(0x63706966)    /* "fipc" */
#define VIEW_MAGIC UINT32_C(0x76706966)      /* "fipv": no primitive but a process's read-only view of one */
#define KIND_MUSL_SHARED UINT32_C(0x80)      /* where musl looks for "process-shared" when it walks a list */
#define KIND_PRIVATE UINT32_C(0x01000000)
#define KIND_TIMESTAMPS UINT32_C(0x02000000)
#define KIND_AUTORESET UINT32_C(0x04000000)
#define KIND_OWNED UINT32_C(0x08000000)
#define KIND(class) (KIND_MUSL_SHARED | FIPC__ABI << 8 | (uint32_t)(class) << 16)
#define KIND_MUTEX KIND(FIPC_TYPE_MUTEX)
#define KIND_MUTEX_FLAGS (KIND_PRIVATE | KIND_TIMESTAMPS)
#define KIND_LIFE KIND(0x7f) /* no object: a word whose owner is a thread that uses an owned semaphore */
#define HEAD_PLAIN ((uint64_t)KIND_MUTEX << 32 | OBJECT_MAGIC)

/* ---- a mutex: 64 bytes ---- */

#define WORD_TID UINT32_C(0x3fffffff)
#define WORD_OWNER_DIED UINT32_C(0x40000000)
#define WORD_WAITERS UINT32_C(0x80000000)

enum {
	STATE_CONSISTENT,
	STATE_RECOVERING,      /* its owner was told of a death */
	STATE_NOT_RECOVERABLE,
	STATE_DESTROYED,
	STATE_NEW,             /* made by attach, and nobody has been inside yet */
};

/*
 * Where libc keeps its links: it decides the distance between a node's `next` and the lock word: 32 (glibc) or 28
 * (musl). `prev` would be before it, but none of our nodes is ever a neighbour of one of libc's, so only `next` is used;
 * it is written, never read, by its owner, and read by the kernel when the owner dies.
 */
struct mutex {
	union {
		struct {
			_Atomic uint32_t magic; /* set last by init */
			_Atomic uint32_t kind;
		};
		_Atomic uint64_t head; /* both, for the fast path */
	};
	_Atomic uint32_t word;
	_Atomic uint32_t musl_waiters; /* always 0 */
	_Atomic uint32_t state;
	_Atomic uint32_t pidns; /* PID namespace in which TIDs mean something: its inode */
	_Atomic uint32_t owner_deaths, contended;
	_Atomic uint32_t features; /* that older libraries may ignore; none yet */
	unsigned char link[12];
	_Atomic uint32_t acquisitions, owner_pid;
	_Atomic uint64_t acquired_ns;
} __attribute__((may_alias));

#define LINK_GLIBC (-32)
#define LINK_MUSL (-28)

static_assert(FIPC_TYPE_MUTEX == 1, "FIPC_MUTEX_INITIALIZER");
static_assert(sizeof(struct mutex) == sizeof(fipc_mutex) && sizeof(fipc_mutex) == 64, "a mutex is 64 bytes");
static_assert(offsetof(struct mutex, word) == 8, "word");
static_assert(offsetof(struct mutex, word) - LINK_MUSL == offsetof(struct mutex, link), "musl's next");
static_assert(offsetof(struct mutex, word) - LINK_GLIBC + sizeof(void *) == offsetof(struct mutex, link) + 12,
	      "glibc's next");
static_assert(offsetof(struct mutex, kind) == offsetof(struct mutex, word) - 4, "musl's type");

static inline struct mutex *mutex_of(fipc_mutex *m)
{
	return (struct mutex *)(void *)m;
}

/* ---- the file of a named object: this header, then the primitive ---- */

#define HEADER_MAGIC UINT64_C(0x0a6a626f63706966) /* "fipcobj\n" */

struct object_header {
	uint64_t magic;
	uint32_t abi, type;
	uint32_t flags; /* FIPC_PERSIST, FIPC_TIMESTAMPS */
	int32_t creator;
	uint64_t pidns;
	int64_t created_ns;
	uint32_t incompatible, compatible; /* features; an unknown incompatible one is -ENOTSUP */
	uint64_t inode; /* of the object, in a header that lies beside it (meta.h); else 0 */
	uint64_t reserved;
};
static_assert(sizeof(struct object_header) == 64, "header");

/*
 * ---- a tracker: one page of text for people, then of the inodes of the objects that its process is attached to; behind
 * it the names of these objects, and slots in which its threads say what they wait for ----
 */

/*
 * Inodes and names are hints that spare a search, no more: written before an entry is linked, the inode cleared after it
 * is gone, by the process itself alone. What is true is said by the entries (hard links) and their number (st_nlink).
 * A name stands before its inode does. Names begin a page; a process that has few objects has memory for few of them, and
 * a name that is too long, or for which there is no memory, is empty: then the directory is read to find the inode.
 */
#define TRACKER_TEXT 504
#define TRACKER_HEAD 4096
#define TRACKER_HINTS ((TRACKER_HEAD - TRACKER_TEXT - 8) / 8)

/*
 * One thread's, from its first sleep until it ends; written by it alone. What is in it is as its `number` says:
 *
 *	number   even  it does not sleep, and the rest means nothing
 *	         odd   it sleeps, or has just been woken: one wait, one number
 *
 * A page of them takes memory once a thread has had to use it: a process that never sleeps has none.
 */
struct wait_slot {
	_Atomic uint32_t tid; /* 0: nobody's */
	_Atomic uint32_t number;
	_Atomic uint64_t object; /* inode */
	_Atomic uint64_t since_ns;
	_Atomic uint32_t what;        /* WAIT_WHAT() */
	_Atomic uint32_t owner_tid;   /* seen when it fell asleep; 0: for nobody in particular */
	_Atomic uint32_t acquisition; /* the lock's number of them, seen before that */
	uint32_t reserved[7];
};
static_assert(sizeof(struct wait_slot) == 64, "wait slot");

#define WAIT_WHAT(type, kind, timed) ((uint32_t)(type) | (uint32_t)(kind) << 8 | (uint32_t)(timed) << 16)
#define WAIT_TYPE(what) ((what) & 0xff)
#define WAIT_KIND(what) ((what) >> 8 & 0xff)
#define WAIT_TIMED(what) ((what) >> 16 & 1)

#define WAIT_SLOTS 1024 /* threads of one process that can be asleep and be shown at a time */
#define WAIT_SLOTS_PAGE 64

#define TRACKER_NAME 64 /* <name>.<type> and a NUL */
#define TRACKER_PAGE 4096

struct tracker_page {
	char text[TRACKER_TEXT];
	_Atomic uint32_t slot_pages; /* of `slots`, that have ever been used */
	uint32_t reserved;
	_Atomic uint64_t hints[TRACKER_HINTS];
	struct wait_slot slots[WAIT_SLOTS];
	char names[TRACKER_HINTS][TRACKER_NAME];
};
static_assert(offsetof(struct tracker_page, slots) == TRACKER_HEAD, "tracker");
static_assert(offsetof(struct tracker_page, names) % TRACKER_PAGE == 0 && TRACKER_PAGE % TRACKER_NAME == 0, "names");

#endif
