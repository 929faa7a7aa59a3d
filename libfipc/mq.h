/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A message queue, as processes share it. Two sides, each with a lock of its own, so that a sender and a receiver
 * copy at the same time; what a side changes, the other one only reads.
 *
 *	head                    what it is, and how large; never changes
 *	any, emptied            who sleeps and takes nothing; on a line that is seldom written
 *	registrant, notice      who is to be notified, and of which message
 *	side[SENDERS]           lock; state: messages sent, and where receivers sleep; run, last_prio
 *	side[RECEIVERS]         lock; state: messages received, and where senders sleep; drained
 *	order[max_messages]     which slot a message uses
 *	heap[max_messages]      the receivers' own: slots of messages waiting, the best one first
 *	slots                   max_messages times {number, priority, length, bytes}
 *
 * Message number k (from 0) lies in slot(k) = order[k % n] ^ (k % n), n being max_messages: zeros mean that each
 * message k lies in slot k % n, and as long as messages leave in the order in which they came, nobody ever writes
 * there. Whoever receives the j-th message, from whatever slot, writes that slot to the place of number j + n (the
 * same place as j's, whose message is known to the receivers by then): so the slots that are free are those of the
 * places received - n + n ..., that is of the numbers sent to received + n - 1. A sender takes the slot of number
 * `sent`.
 *
 * Each side commits by one compare-and-swap of its state:
 *
 *	send     writes the slot, then counts one more: the message is there, whole, and its slot is no longer free
 *	receive  copies the message out, then counts one more: it is gone, and its slot is free
 *
 * Everything else that a side writes is its own until then, or can be told from what is committed: a receiver that
 * died inside may have left heap and drained in any state, so who comes next makes them anew (fipc__mq_rebuild). What
 * a sender that died inside wrote is nothing.
 *
 * The state of a side, 64 bits: what it has done, and the bed of those on the other side who wait for more of it
 *
 *	bits     meaning                        set by                          cleared by
 *	0..30    how many it has done, modulo   the side, in its lock: adds 1   -
 *	         2^31
 *	31       STATE_CROWD: who sleeps there  a sleeper who finds another     the next sleeper who finds
 *	         sleeps on his lock word, too   one, or waits for the lock      nobody
 *	32..61   always 0
 *	62       PARK_READY: more was done      the side, with adding 1, if     who is about to sleep, having
 *	         since somebody went to bed     WAITERS; a sleeper who wants    seen that number
 *	                                        the others up
 *	63       PARK_WAITERS: somebody may     who is about to sleep           not CROWD: the side, with adding 1,
 *	         be asleep                                                      and then it wakes him. CROWD: the wake
 *	                                                                        that finds nobody, or none left,
 *	                                                                        with waking all
 *
 * The other words, beside the locks (bits of a lock word: layout.h):
 *
 *	word        value                       written by              may be stale
 *	number      all that a side has done    the side, in its lock   one too low: number_of() corrects it
 *	seen        what receivers had done     senders, in their lock  yes: too low, then it is looked up
 *	cpu         1 + the processor of who    the side                yes: a hint
 *	            waited, or copied much,
 *	            last; 0: unknown
 *	run         since this number all       senders, before the     too high: receivers sort what need not be sorted
 *	            have one priority           commit
 *	any         1: a sleeper may be         fipc__mq_watch; who     set with nobody asleep
 *	            content without taking      wakes all clears it
 *	emptied     PARK_WAITERS                mq_fd.c                 set with nobody asleep
 *	registrant  a lock: held by the thread  mq_notify.c             no
 *	            that notifies
 *	notice      1 + number of the message   senders, before the     ahead of what is sent: its sender died
 *	            to notify of                commit
 *
 * Whoever maps it remembers that another process may have written anything: sizes are read once, checked against the
 * file, and kept in the process; slots are compared with max_messages, lengths with max_message_size, at each use.
 */
#ifndef FIPC_INTERNAL_MQ_H
#define FIPC_INTERNAL_MQ_H

#include "object.h"
#include "park.h"

#include <fipc/mq.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>

#define KIND_MQ KIND(FIPC_TYPE_MQ)
#define MQ_MESSAGES_MAX 1000000
#define MQ_MESSAGE_SIZE_MAX (16 << 20)

enum mq_who { RECEIVERS, SENDERS };

static inline enum mq_who other(enum mq_who who)
{
	return who == SENDERS ? RECEIVERS : SENDERS;
}

/*
 * Three cache lines: what is written at each entry, what only the side uses, what the other side reads. By padding:
 * copies of these (struct look) are aligned as their largest member.
 */
struct mq_side {
	struct mutex lock;
	_Atomic uint64_t number;
	_Atomic uint64_t drained;   /* receivers: messages below this number are in the heap, or received */
	_Atomic uint32_t seen;      /* senders */
	_Atomic uint32_t last_prio; /* senders: of the last message, or of one that was never committed; see run */
	unsigned char unused[40];
	_Atomic uint64_t run;
	union {
		_Atomic uint64_t state;
		struct {
			_Atomic uint32_t count; /* with CROWD; compared by the kernel, else never alone */
			_Atomic uint32_t bed;
		};
	};
	_Atomic uint32_t cpu;
	unsigned char unused_too[44];
} __attribute__((may_alias));

#define STATE_COUNT UINT32_C(0x7fffffff)
#define STATE_CROWD UINT64_C(0x80000000)
#define STATE_READY ((uint64_t)PARK_READY << 32)
#define STATE_WAITERS ((uint64_t)PARK_WAITERS << 32)

struct mq {
	_Atomic uint32_t magic, kind;
	_Atomic uint32_t max_messages, max_message_size;
	_Atomic uint32_t features; /* that older libraries may ignore; none yet */
	unsigned char unused[44];
	_Atomic uint32_t any, emptied;
	unsigned char unused_too[56];
	struct mutex registrant;
	_Atomic uint64_t notice;
	_Atomic uint32_t notice_pid, notice_uid; /* of its sender; for si_pid and si_uid */
	unsigned char and_unused[48];
	struct mq_side side[2];
	_Atomic uint32_t order[];
} __attribute__((may_alias));
static_assert(sizeof(struct mq_side) == 192 && sizeof(struct mq) == 640 && _Alignof(struct mq) == 8, "mq");
static_assert(offsetof(struct mq_side, number) == 64 && offsetof(struct mq_side, run) == 128, "lines of a side");
static_assert(offsetof(struct mq, any) == 64 && offsetof(struct mq, side) == 256, "lines of a queue");
static_assert(offsetof(struct mq, max_message_size) < OBJECT_HEAD, "the head tells the size");
static_assert(offsetof(struct mq_side, bed) == offsetof(struct mq_side, state) + 4, "the upper half is the bed");

struct slot {
	_Atomic uint64_t number;
	_Atomic uint32_t prio, length;
	unsigned char bytes[];
};
static_assert(sizeof(struct slot) == 16, "slot");

/*
 * A thread that this process has for a queue: signals blocked, ended by a kick. Fields as the two files below say.
 * All lies in memory that fork wipes, for a child has no such threads.
 */
struct mq_helper {
	fipc_mq *q;
	_Atomic uint32_t state; /* HELPER_*: a futex word of this process */
	_Atomic uint32_t kick;  /* 1: end */
	int error;
};
enum { HELPER_NONE, HELPER_STARTS, HELPER_RUNS, HELPER_GONE };

struct mq_helpers {
	struct mq_helper fd_helper, registration;
	pthread_mutex_t lock; /* over the two below, in this process */
	int fd;
	bool readable; /* what fd says */
	struct sigevent how;
	sigset_t mask; /* of who registered */
};

/* What a process has of a queue. The sizes are those that were checked. */
struct fipc_mq {
	struct object_local local;
	struct mq *m;
	uint32_t max_messages, max_message_size;
	size_t slot_size;
	_Atomic uint32_t *heap;
	unsigned char *slots;
	_Atomic uint32_t spins_to_skip[2], skips[2]; /* see mq_side.c */
	_Atomic uint32_t cpu[2]; /* of each side, as the other one has seen it here lately: see mq.c */
	struct mq_helpers *_Atomic helpers; /* NULL: nobody has asked for one yet */
};

/*
 * The slot at a place; the caller compares it with max_messages. relaxed: ordered by `done`, or by the receivers'
 * lock.
 */
static inline uint32_t slot_of(const fipc_mq *q, uint64_t number)
{
	uint32_t place = (uint32_t)(number % q->max_messages);
	return atomic_load_explicit(&q->m->order[place], memory_order_relaxed) ^ place;
}

static inline struct slot *slot_at(const fipc_mq *q, uint32_t i)
{
	return (struct slot *)(void *)(q->slots + i * q->slot_size);
}

static inline uint32_t this_cpu(void)
{
	return (uint32_t)(sched_getcpu() + 1);
}

/* relaxed: a hint, on a line that is the side's to write. 0: unknown. */
static inline uint32_t cpu_of(const fipc_mq *q, enum mq_who who)
{
	return atomic_load_explicit(&q->m->side[who].cpu, memory_order_relaxed);
}

static inline void note_cpu(const fipc_mq *q, enum mq_who who, uint32_t cpu)
{
	if (cpu_of(q, who) != cpu)
		atomic_store_explicit(&q->m->side[who].cpu, cpu, memory_order_relaxed);
}

/* Are these two processors, as far as is known? */
static inline bool are_apart(uint32_t a, uint32_t b)
{
	return a != 0 && b != 0 && a != b;
}

/* acquire; pairs with the swap of fipc__mq_commit: what it counts can be read */
static inline uint32_t done(const fipc_mq *q, enum mq_who who)
{
	return (uint32_t)atomic_load_explicit(&q->m->side[who].state, memory_order_acquire) & STATE_COUNT;
}

/* a - b of two counts, of which neither is far ahead. */
static inline int32_t ahead(uint32_t a, uint32_t b)
{
	return (int32_t)((a - b) << 1) >> 1;
}

/* By the side itself, in its lock: what it has done, in full. `number` is one too low if its writer died. */
static inline uint64_t number_of(const fipc_mq *q, enum mq_who who)
{
	uint64_t n = atomic_load_explicit(&q->m->side[who].number, memory_order_relaxed);
	return n + (uint64_t)(int64_t)ahead(done(q, who), (uint32_t)n);
}

/* How many a side could do, having done `own` when the other one has done `others`; less than 1: none. */
static inline int64_t room(const fipc_mq *q, enum mq_who who, uint32_t own, uint32_t others)
{
	return ahead(others, own) + (who == SENDERS ? (int64_t)q->max_messages : 0);
}

/* ---- mq_side.c: getting in, waiting, waking ---- */

/*
 * Get in when there is room; *ret_others: the other side's count then. Held afterwards: 0, or FIPC_OWNER_DIED:
 * somebody died inside. Not held: -EAGAIN (d <= 0), -ETIMEDOUT, -EINTR, -EBUSY, -EBADMSG, -EDEADLK, -ENOLCK, or a
 * thread's first use.
 */
int fipc__mq_enter(fipc_mq *q, enum mq_who who, fipc_deadline d, uint32_t *ret_others);
/* Inside: one more is done, the number-th, counted from 0. Wake who waits for it. */
void fipc__mq_commit(fipc_mq *q, enum mq_who who, uint64_t number);
/* left: WORD_OWNER_DIED hands on that somebody died inside, else 0. */
void fipc__mq_leave(fipc_mq *q, enum mq_who who, uint32_t left);

/* Does one sleep here, in state v, alone? */
static inline bool is_alone(uint64_t v)
{
	return (v & (STATE_WAITERS | STATE_CROWD)) == STATE_WAITERS;
}

/* Get him up, to sleep as one of several. The bed is pending. */
void fipc__mq_make_crowd(struct mq_side *side, uint64_t v);

/* ---- mq_watch.c: waiting for messages, not for oneself ---- */

/* If there were no messages, there are none while `sent` stays; and if there were, there are while `received` does. */
struct mq_seen {
	uint32_t received, sent, messages;
};
struct mq_seen fipc__mq_look(const fipc_mq *q);

/*
 * For wait_any, and those below. To be called before each sleep, with the senders' count that was seen when there was
 * no message: 0, and ret is where to sleep, on the first and while the second stands; -EAGAIN: it has changed; -EBADMSG.
 * Whoever was woken, and leaves the message there, calls fipc__mq_pass_on(), for the wake-up may have been another's.
 */
int fipc__mq_watch(fipc_mq *q, uint32_t sent, struct futex_place ret[2]);
void fipc__mq_pass_on(fipc_mq *q);

/* After a commit. */
static inline bool is_emptied_watched(const struct mq *m)
{
	/* seq_cst, as the commit before it; pairs with watch_emptied() */
	return atomic_load_explicit(&m->emptied, memory_order_seq_cst) != 0;
}
void fipc__mq_tell_emptied(fipc_mq *q);

/*
 * Sleep while there are messages, as was seen, or while there are none; and *kick is what it was. Whatever else decides
 * about sleeping is to be looked at between that look at the queue and this. 0: look again; an error: it is useless to
 * try again.
 */
int fipc__mq_sleep_while(fipc_mq *q, const struct mq_seen *seen, const _Atomic uint32_t *kick, uint32_t was);

/* ---- mq_copy.c: bytes for another processor to read ---- */

/*
 * Copy to where nobody of this processor will look soon; complete when it has returned, for who sees what is
 * committed after it. Much faster than memcpy for who reads it on another processor, and much slower for who reads it
 * on this one.
 */
void fipc__mq_copy_away(void *to, const void *from, size_t n);

/* The same bytes, by that other processor: all lines of a piece are asked for before the first is waited for. */
void fipc__mq_copy_here(void *to, const void *from, size_t n);
/* Ask for them, or for the first piece of so many, and do not wait. */
void fipc__mq_ask_for(const void *from, size_t n);

/* ---- mq_heap.c: which message is the next. By a receiver, inside ---- */

struct pick {
	uint64_t drained; /* as it was read, and checked, once */
	uint32_t slot;
	bool from_heap;
};
/* 0, -EBADMSG: the queue was overwritten. */
int fipc__mq_pick(fipc_mq *q, uint64_t received, uint64_t sent, struct pick *ret);
/* It has been copied: take it out, up to the commit. */
void fipc__mq_take(fipc_mq *q, uint64_t received, const struct pick *p);
/* Somebody died inside: find out what there is. 0, -EBADMSG. */
int fipc__mq_rebuild(fipc_mq *q, uint64_t received, uint64_t sent);

/* ---- mq_helper.c: threads; under fipc__objects_lock ---- */

/* Make room for them, once. */
int fipc__mq_helpers(fipc_mq *q, struct mq_helpers **ret);
/* Start one, and wait until it runs, or has set an error and is gone. attr may be NULL. */
int fipc__mq_helper_start(fipc_mq *q, struct mq_helper *h, const pthread_attr_t *attr, void *(*body)(void *));
/* End it, if it runs. */
void fipc__mq_helper_end(struct mq_helper *h);
/* By the thread: its state; whoever waits for it is told. After HELPER_GONE it touches nothing of the queue's. */
void fipc__mq_helper_is(struct mq_helper *h, uint32_t state);
bool fipc__mq_helper_kicked(const struct mq_helper *h);

/* ---- mq_notify.c, mq_fd.c ---- */

/* Is somebody registered? relaxed: a registration that comes now may miss this message, as if it had come later. */
static inline bool is_registered(const struct mq *m)
{
	return (atomic_load_explicit(&m->registrant.word, memory_order_relaxed) & WORD_TID) != 0;
}


/* A sender, inside, before it commits this message: if it is to be notified of, say so. */
void fipc__mq_give_notice(fipc_mq *q, uint64_t number);
/* What the descriptor says has to be looked at again: this process has sent or received. */
void fipc__mq_fd_refresh(fipc_mq *q);
/* The last close. */
void fipc__mq_helpers_end(fipc_mq *q);

/* Where threads sleep, and their number for people: from a copy of a queue, and where it is mapped. */
void fipc__mq_describe(const struct mq *copy, const char *map, struct fipc_mq_info *ret);

#endif
