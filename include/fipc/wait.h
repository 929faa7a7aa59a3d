/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waiting for the first of several things: semaphores, events and message queues, in any mixture.
 *
 *	struct fipc_waitable w[] = {{FIPC_KIND_EVENT, stop}, {FIPC_KIND_SEM, work}};
 *
 *	while ((r = fipc_wait_any(w, 2, FIPC_FOREVER)) == 1)   // invariant: one token of work is ours in here
 *		do_one();
 *	if (r < 0)
 *		return r;
 *	leave();                                               // r == 0: stop was set
 *
 * And, for those who have a loop of their own, where to sleep: fipc_futex_arm().
 */
#ifndef FIPC_WAIT_H
#define FIPC_WAIT_H

#include <fipc/base.h>

#ifdef __cplusplus
extern "C" {
#endif

enum fipc_kind {
	FIPC_KIND_SEM,   /* a fipc_sem *: ready when it has a token, which is taken */
	FIPC_KIND_EVENT, /* a fipc_event *: ready when it is set; one that resets itself is cleared by that */
	FIPC_KIND_MQ,    /* a fipc_mq *: ready when it has a message; none is received */
};

struct fipc_waitable {
	enum fipc_kind kind;
	void *object;
};

#define FIPC_WAIT_MAX 128

/*
 * Wait until one of n is ready, and take what that one has; of the others nothing is taken. If several are ready it is
 * the first of them in the array: put what must not starve first. d <= 0: look, and do not wait. A manual event counts
 * as ready also if it was set while this waited and is clear again.
 *
 * Where somebody waits like this for a semaphore or an auto-reset event, each post or set wakes all who sleep there,
 * in case the one it would have chosen has got something else meanwhile. So keep it for a few waiters an object. (A
 * waiter killed in here leaves the object like that.)
 *
 * Returns the index of the one that was ready, 0 to n - 1; or, and then nothing was taken,
 *	-EAGAIN     none is (d <= 0)
 *	-ETIMEDOUT  the deadline passed
 *	-EINTR      a signal was handled, and the thread asked to be told (fipc_set_interruptible)
 *	-EINVAL     n is 0 or more than FIPC_WAIT_MAX, an unknown kind, not an object of that kind, or destroyed
 *	            meanwhile
 *	-E2BIG      they take more than 128 futex words together: a semaphore takes 1, an auto-reset event 1, a manual
 *	            one 2, a queue 2, and a semaphore of FIPC_OWNED 3 and one for each thread that has used it
 *	-EACCES     one is opened FIPC_READONLY
 *	-ENOTSUP    one was made by an incompatible version of fipc
 *	-EBADMSG    a queue was overwritten
 *	-ENOSYS     no robust list here (qemu-user, a libc that fipc does not know)
 *	-ENOMEM     the thread's first use, and no memory for its list; -EAGAIN too: no pthread key is left for it
 *	others      as fipc_sem_wait() of a semaphore of FIPC_OWNED
 */
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_wait_any(const struct fipc_waitable *w, unsigned n, fipc_deadline d);

/*
 * For an event loop that can wait for a futex itself, as io_uring can (IORING_OP_FUTEX_WAIT, Linux 6.7): where to
 * sleep, and on what value. It is a 32-bit futex, shared (no FUTEX2_PRIVATE), woken with all bits set.
 *
 *	arm       1: it is ready; nothing is armed: call its try form. 0: submit a wait for *ret, once.
 *	          When that has completed, for whatever reason (the value was another; it was cancelled):
 *	disarm    exactly once for each arm that returned 0.
 *	try       fipc_sem_trywait(), fipc_event_wait_until(e, FIPC_NOW), fipc_mq_receive(..., FIPC_NOW): it may say
 *	          -EAGAIN. Then begin again.
 *
 * Between disarm and try whatever was there may be had by somebody else. Of a manual event that is set and cleared at
 * once the wait may not hear. A loop that is killed strands nobody; while it is armed, and if it is killed then for
 * good, each post or set wakes all who sleep there, as with fipc_wait_any(). Do not keep the word after disarm, nor
 * past the object's last close.
 *
 * Returns: arm 0, 1, or -EINVAL, -EACCES, -ENOTSUP, -EBADMSG, -ENOSYS, -ENOMEM as fipc_wait_any() (-ENOTSUP also for a
 * semaphore of FIPC_OWNED, whose sleepers need several words). disarm returns 0, or the same errors.
 */
struct fipc_futex {
	const uint32_t *word;
	uint32_t expected;
};
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_futex_arm(const struct fipc_waitable *w, struct fipc_futex *ret);
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_futex_disarm(const struct fipc_waitable *w);

#ifdef __cplusplus
}
#endif
#endif
