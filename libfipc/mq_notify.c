/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fipc_mq_notify(). The registration is a robust mutex in the queue, held by a thread of the registered process: so
 * there is one in the system, and the kernel ends it when the process dies. Who holds it is the sign for senders to
 * look further.
 *
 * Whether a message is to be notified of is known to its sender alone, inside, before it commits: the queue is empty,
 * and no receiver sleeps. It says so by the message's number, and then commits and wakes as always; the thread sleeps
 * as one who watches the queue (mq_watch.c).
 *
 *	killed before the commit       the notice is of a message that is not there: the next sender judges anew
 *	between commit and wake        the kernel wakes one of those who sleep there, and they wake the others
 *	registered, before delivery    the lock goes with the process
 */
#include "fork.h"
#include "mq.h"
#include "mutex.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- the sender ---- */

static bool receivers_sleep(const struct mq *m)
{
	const struct mq_side *senders = &m->side[SENDERS];
	uint64_t v = atomic_load_explicit(&senders->state, memory_order_relaxed);
	/* In a crowd, receivers sleep on their lock word, too, and who only watches does not. */
	const void *where = is_alone(v) ? &senders->bed : &m->side[RECEIVERS].lock.word;
	return v & STATE_WAITERS && fipc__futex_sleepers(where) > 0;
}

/* relaxed: the commit publishes them */
void fipc__mq_give_notice(fipc_mq *q, uint64_t number)
{
	struct mq *m = q->m;
	uint64_t given = atomic_load_explicit(&m->notice, memory_order_relaxed);
	bool due = done(q, RECEIVERS) == (number & STATE_COUNT) && !receivers_sleep(m);
	if (given != 0 && given <= number)
		return; /* of a message that was sent: the registration is used up */
	if (due) {
		atomic_store_explicit(&m->notice_pid, fipc__self->pid, memory_order_relaxed);
		atomic_store_explicit(&m->notice_uid, getuid(), memory_order_relaxed);
	}
	atomic_store_explicit(&m->notice, due ? number + 1 : 0, memory_order_relaxed);
}

/* ---- the registered process ---- */

/* The notice, if it is of a message that was sent; else 0. */
static uint64_t notice_of(const fipc_mq *q)
{
	uint32_t sent = done(q, SENDERS); /* first: it publishes the notice */
	uint64_t given = atomic_load_explicit(&q->m->notice, memory_order_relaxed);
	return given != 0 && ahead(sent, (uint32_t)given & STATE_COUNT) >= 0 ? given : 0;
}

/*
 * A notice that stands there before is an earlier registration's. It goes only if it is still the same afterwards,
 * for from the moment that we are registered a sender may give ours; which is of a later message, so another one.
 */
static int become_registered(const fipc_mq *q)
{
	struct mq *m = q->m;
	uint64_t old = notice_of(q);
	bool waited;
	/* The word alone: the public calls may look for a handle, under a lock that our creator holds. */
	int r = fipc__robust_enter();
	if (r == 0)
		r = fipc__mutex_take(fipc__self, &m->registrant, FIPC_NOW, &waited);
	if (r < 0)
		return r == -ENOTRECOVERABLE ? -EBADMSG : r;
	atomic_store_explicit(&m->registrant.owner_pid, fipc__self->pid, memory_order_relaxed); /* for people */
	if (old != 0)
		atomic_compare_exchange_strong_explicit(&m->notice, &old, 0, memory_order_relaxed,
							memory_order_relaxed);
	return 0; /* also after a death: there is nothing to mend */
}

static void send_signal(const struct sigevent *how, uint32_t pid, uint32_t uid)
{
	siginfo_t info;
	memset(&info, 0, sizeof(info));
	info.si_signo = how->sigev_signo;
	info.si_code = SI_MESGQ;
	info.si_pid = (pid_t)pid;
	info.si_uid = uid;
	info.si_value = how->sigev_value;
	syscall(SYS_rt_sigqueueinfo, getpid(), how->sigev_signo, &info); /* too many are queued: not told */
}

/* Until it is due, or the registration is to end. */
static bool await_notice(fipc_mq *q, struct mq_helper *h)
{
	bool due = false;
	int r = 0;
	while (r == 0 && !fipc__mq_helper_kicked(h)) {
		struct mq_seen seen = fipc__mq_look(q); /* first: what is sent after the look at the notice wakes */
		due = notice_of(q) != 0;
		if (due)
			break;
		r = fipc__mq_sleep_while(q, &seen, &h->kick, 0);
	}
	return due;
}

static void *be_registered(void *helper)
{
	struct mq_helper *h = helper;
	fipc_mq *q = h->q;
	struct mq_helpers *all = atomic_load_explicit(&q->helpers, memory_order_acquire);
	const struct sigevent how = all->how;
	const sigset_t mask = all->mask;
	uint32_t pid, uid;
	bool due;
	h->error = become_registered(q);
	if (h->error < 0) {
		fipc__mq_helper_is(h, HELPER_GONE);
		return NULL;
	}
	fipc__mq_helper_is(h, HELPER_RUNS);
	due = await_notice(q, h);
	pid = atomic_load_explicit(&q->m->notice_pid, memory_order_relaxed);
	uid = atomic_load_explicit(&q->m->notice_uid, memory_order_relaxed);
	fipc__mutex_let_go(fipc__self, &q->m->registrant, fipc__self->top, 0);
	fipc__mq_helper_is(h, HELPER_GONE); /* from here on it may be closed, or registered anew */
	if (due && how.sigev_notify == SIGEV_SIGNAL)
		send_signal(&how, pid, uid);
	if (due && how.sigev_notify == SIGEV_THREAD) {
		pthread_sigmask(SIG_SETMASK, &mask, NULL);
		how.sigev_notify_function(how.sigev_value);
	}
	return NULL;
}

static int check(const struct sigevent *how)
{
	switch (how->sigev_notify) {
	case SIGEV_NONE:
		return 0;
	case SIGEV_SIGNAL:
		return how->sigev_signo >= 1 && how->sigev_signo <= SIGRTMAX ? 0 : -EINVAL;
	case SIGEV_THREAD:
		return how->sigev_notify_function ? 0 : -EINVAL;
	default:
		return -EINVAL;
	}
}

static int enrol(fipc_mq *q, struct mq_helpers *all, const struct sigevent *how)
{
	const pthread_attr_t *attr = how->sigev_notify == SIGEV_THREAD ? how->sigev_notify_attributes : NULL;
	/* acquire; pairs with the release in fipc__mq_helper_is */
	if (atomic_load_explicit(&all->registration.state, memory_order_acquire) == HELPER_RUNS)
		return -EBUSY;
	all->how = *how;
	pthread_sigmask(SIG_SETMASK, NULL, &all->mask);
	return fipc__mq_helper_start(q, &all->registration, attr, be_registered);
}

int fipc_mq_notify(fipc_mq *q, const struct sigevent *how)
{
	struct mq_helpers *all;
	int r = !q ? -EINVAL : q->local.readonly ? -EACCES : how ? check(how) : 0;
	if (r == 0)
		r = fipc__robust_enter(); /* first, and so for all its threads: a child is tracked now */
	if (r < 0)
		return r;
	fipc__objects_lock();
	r = fipc__mq_helpers(q, &all);
	if (r == 0 && how)
		r = enrol(q, all, how);
	else if (r == 0)
		fipc__mq_helper_end(&all->registration);
	fipc__objects_unlock();
	return r;
}
