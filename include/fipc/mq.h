/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A message queue under a name: 1 to 1,000,000 messages of up to 16 MiB, in memory that is had when the queue is
 * made. The highest priority comes out first; of one priority, what was sent first. As mq_overview(7), but that no
 * kill hurts it.
 *
 * When a process is killed, at any instruction, a message that it was sending is in the queue whole, or not at all;
 * one that it was receiving is still in the queue, or gone, having been in its hands; the order stays, and the others
 * go on. Nobody is left asleep beside a message, or beside a free slot: the kernel wakes in the dead one's stead.
 *
 *	struct job { uint64_t id; uint32_t pages; };    // each job is printed by one worker, or by one that died
 *
 *	fipc_mq *jobs;
 *	struct fipc_mq_attr attr = {.max_messages = 100, .max_message_size = sizeof(struct job)};
 *	int r = fipc_mq_open(&jobs, "jobs", &attr, FIPC_CREATE, 0600);
 *	if (r < 0)
 *		return r;
 *	ssize_t n = fipc_mq_receive(jobs, &job, sizeof(job), NULL, fipc_after_ms(1000));
 *	if (n == sizeof(job))
 *		print_pages(&job);
 *
 * What opens it gets a handle of the process's own, which all its threads may use at once; opening the name again
 * gives the same one. Senders and receivers do not hold each other up. Nobody sleeps inside: a process that is
 * stopped (SIGSTOP) while it waits holds up nobody, but it may have been woken for a message that stays in the queue
 * until others look; one that is stopped in the middle of copying keeps its side waiting.
 *
 * Signals: no call is async-signal-safe. fork: the child has the queue; it asks anew for a descriptor, and has no
 * registration. Illegal: a child of vfork(); the last close while another thread is in a call on it (one that waits is
 * noticed: -EBUSY).
 *
 * Limits: one PID namespace, peers of one word size, Linux 5.16; that no kill strands a sleeper needs 5.19. Who may
 * write a queue may ruin it: then calls return -EBADMSG, or messages are not what was sent; nothing is written
 * outside it, and FIPC_REPLACE makes a new one.
 */
#ifndef FIPC_MQ_H
#define FIPC_MQ_H

#include <fipc/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fipc_mq fipc_mq;

struct fipc_mq_attr {
	uint32_t max_messages;     /* 1 to 1000000 */
	uint32_t max_message_size; /* bytes: 1 to 16777216 */
};

/*
 * Open a queue by name (see <fipc/base.h>). The process is tracked as its user until the last close, its exit or its
 * death.
 *
 * attr: for the call that creates; NULL is 10 messages of 8192 bytes. Ignored by a call that joins, as by mq_open(3):
 * fipc_mq_getattr() tells what is there. The file takes about max_messages * (max_message_size + 24) bytes, rounded
 * up. flags: FIPC_CREATE, FIPC_EXCL, FIPC_REPLACE, FIPC_PERSIST, FIPC_READONLY, FIPC_ANY_OWNER. mode: permission bits
 * (0777 at most), exact whatever the umask. To send and to receive need read and write permission; FIPC_READONLY
 * needs read permission, and serves fipc_mq_count(), fipc_mq_getattr() and fipc_mq_info().
 *
 * Returns FIPC_CREATED or 0, and sets *ret; or, as fipc_mutex_open() says at length, -EINVAL (also: attr is out of
 * range, what is there is no queue), -ENOENT, -ENOTDIR, -EEXIST, -EACCES, -EPERM, -EXDEV, -ENOTSUP, -EBUSY, -ENOSPC
 * (also: larger than the file system can hold), -EFBIG, -EDQUOT, -ENAMETOOLONG, -EMFILE, -ENFILE, -ENOMEM, -ENOSYS.
 */
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_mq_open(fipc_mq **ret, const char *name, const struct fipc_mq_attr *attr,
					     unsigned flags, mode_t mode);

/*
 * Balance one open. The last one ends this process's registration and descriptor, and leaves the queue; if nobody
 * else is attached and it is not FIPC_PERSIST, it goes, with what is in it. NULL is 0. Returns 0, or, and then
 * nothing has changed,
 *	-EBUSY   a thread of this process waits in a call on it
 *	-EINVAL  not a queue that this process has open
 *	-EMFILE, -ENFILE, -ENOMEM   no descriptor or memory to leave with
 */
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_mq_close(fipc_mq *q);

/*
 * Take the name away. Those who have it open go on; the next open makes a new one.
 * Returns 0, -ENOENT, -EINVAL (name, directory), -EPERM, -EACCES (another user's), or, as fipc_mutex_open() says at
 * length, -EBUSY, -ENOTDIR, -ENAMETOOLONG, -EMFILE, -ENFILE, -ENOMEM, -ENOSYS.
 */
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_mq_unlink(const char *name);

/*
 * Send len bytes (0 to max_message_size), with a priority of 0 to UINT32_MAX, the highest coming out first. Waits up
 * to d while the queue is full; FIPC_NOW does not. Returns 0: it is in the queue. Else nothing was sent:
 *	-EMSGSIZE   len > max_message_size
 *	-EAGAIN     full, and d <= 0
 *	-ETIMEDOUT  the deadline passed
 *	-EINTR      a signal was handled, and the thread asked to be told (fipc_set_interruptible)
 *	-EINVAL     q is NULL, or msg is and len > 0
 *	-EACCES     opened FIPC_READONLY
 *	-EBADMSG    the queue's memory was overwritten
 *	-EBUSY      d <= 0, and somebody has been copying a message for a second (is stopped, or the memory ruined)
 *	-EDEADLK    called by a signal handler that has interrupted another call on it
 *	-ENOLCK     this thread holds 2047 locks
 *	-ENOSYS     no robust list here (qemu-user, a libc that fipc does not know)
 *	-ENOMEM     the thread's first use, and no memory for its list
 */
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_mq_send(fipc_mq *q, const void *msg, size_t len, unsigned prio, fipc_deadline d);

/*
 * Receive the next message into buf, of at least max_message_size bytes. *ret_prio (may be NULL): its priority. Waits
 * up to d while the queue is empty; FIPC_NOW does not. Returns its length, 0 possible. Else nothing was received, and
 * what is in buf means nothing:
 *	-EMSGSIZE   size < max_message_size
 *	-EAGAIN     empty, and d <= 0
 *	-EINVAL     q or buf is NULL
 *	others as fipc_mq_send()
 * After the death of a receiver in the middle of this, the next one looks through all slots once (a millisecond for
 * each 100,000).
 */
FIPC_PUBLIC FIPC_MUST_CHECK ssize_t fipc_mq_receive(fipc_mq *q, void *buf, size_t size, unsigned *ret_prio,
						    fipc_deadline d);

/* How many messages are in the queue at this moment; -EINVAL: q is NULL. */
FIPC_PUBLIC FIPC_MUST_CHECK int64_t fipc_mq_count(const fipc_mq *q);

/* What it was made with. 0, or -EINVAL: NULL. */
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_mq_getattr(const fipc_mq *q, struct fipc_mq_attr *ret);

/*
 * Be told, once, when a message comes to the empty queue and nobody waits in fipc_mq_receive(), as mq_notify(3).
 * Messages that are there already are not told of; who has been told registers again before emptying the queue. One
 * registration for each queue, in the whole system; it ends when it was used, by NULL, by the last close, and by the
 * process's death.
 *
 * how: sigev_notify
 *	SIGEV_SIGNAL  sigev_signo is sent to the process, with si_code SI_MESGQ, sigev_value, and pid and real uid of
 *	              the sender as it wrote them
 *	SIGEV_THREAD  sigev_notify_function(sigev_value) is called in a thread of sigev_notify_attributes (may be NULL;
 *	              the thread is made now, waits, and is detached), with the signal mask of the caller of this
 *	SIGEV_NONE    the registration is used up, and nothing happens
 * NULL: end this process's registration, if there is one.
 *
 * Returns 0, or
 *	-EBUSY   somebody, perhaps this process, is registered
 *	-EINVAL  q is NULL, another sigev_notify, a sigev_signo that is no signal, or no function
 *	-EACCES  opened FIPC_READONLY
 *	-EBADMSG the queue's memory was overwritten
 *	-EPERM   sigev_notify_attributes asks for a scheduling that this process may not have
 *	-EAGAIN  no thread can be made; others as for a thread's first use (-ENOMEM, -ENOSYS)
 */
struct sigevent;
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_mq_notify(fipc_mq *q, const struct sigevent *how);

/*
 * A descriptor that is readable (poll, select, epoll) while the queue is not empty; for nothing else: not to be read,
 * written or closed. It belongs to the handle, up to the last close, and each call returns the same one. A child of
 * fork has to ask anew. After this process's own calls it tells what is so; of what others do it learns through a
 * thread of fipc's, a moment later: a receive after poll may find that another process was faster, so it should be
 * with FIPC_NOW. Returns it, or -EINVAL (q is NULL), -EACCES (opened FIPC_READONLY), -EMFILE, -ENFILE, -ENOMEM,
 * -EAGAIN (no thread), -ENOSYS.
 */
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_mq_fd(fipc_mq *q);

struct fipc_mq_info {
	uint32_t size;             /* bytes of this struct that were filled */
	uint32_t max_messages, max_message_size;
	uint32_t messages;         /* in the queue */
	uint32_t receivers;        /* threads asleep in fipc_mq_receive() */
	uint32_t senders;          /* threads asleep in fipc_mq_send() */
	uint32_t notify_pid;       /* the process that is registered to be notified; 0: none */
	uint32_t reserved;
	uint64_t sent, received;   /* messages since it was made */
};

/*
 * Look at it, without touching it; a snapshot of words that change. size: sizeof(struct fipc_mq_info) as the caller
 * was compiled with; more than the library knows is left alone. Works on FIPC_READONLY handles and from another PID
 * namespace. Returns 0, -EINVAL (NULL, or size < 8).
 */
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_mq_info(const fipc_mq *q, struct fipc_mq_info *ret, size_t size);

#ifdef __cplusplus
}
#endif
#endif
