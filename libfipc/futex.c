/* SPDX-License-Identifier: Apache-2.0 */
#include "futex.h"

#include "tls.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef SYS_futex_waitv /* Linux 5.16; the same number on every machine */
#define SYS_futex_waitv 449
#endif

#define KERNEL_SIGSET_SIZE 8
#define SLICE_MS 50 /* how long a signal, and without futex_waitv a change, may go unnoticed by who sleeps on several words */

static FIPC_TLS int interruptible;

int fipc_set_interruptible(int on)
{
	int old = interruptible;
	interruptible = on != 0;
	return old;
}

static int futex(const void *w, int op, uint32_t value, uintptr_t argument, const void *w2, uint32_t value3)
{
	int saved = errno;
	long r = syscall(SYS_futex, w, op, value, argument, w2, value3);
	if (r < 0)
		r = -errno;
	errno = saved;
	return (int)r;
}

static int flag(enum futex_scope scope)
{
	return scope == FUTEX_THIS_PROCESS ? FUTEX_PRIVATE_FLAG : 0;
}

int fipc__futex_wait(const void *w, uint32_t expected, fipc_deadline d, enum futex_scope scope)
{
	struct timespec until = {.tv_sec = d / 1000000000, .tv_nsec = d % 1000000000};
	/* futex(2): a wait without a time-out is restarted after a handler with SA_RESTART, one with a time-out never. So
	 * who wants to hear of signals always has one. */
	const struct timespec *timeout = d == FIPC_FOREVER && !interruptible ? NULL : &until;
	int r;
	do
		r = futex(w, FUTEX_WAIT_BITSET | flag(scope), expected, (uintptr_t)timeout, NULL,
			  FUTEX_BITSET_MATCH_ANY);
	while (r == -EINTR && !interruptible);
	return r;
}

static int futex_waitv(const struct futex_place *places, unsigned n, fipc_deadline d)
{
	struct futex_waitv waiters[FUTEX_PLACES_MAX];
	struct timespec until = {.tv_sec = d / 1000000000, .tv_nsec = d % 1000000000};
	long r;
	for (unsigned i = 0; i < n; i++)
		waiters[i] = (struct futex_waitv){places[i].expected, (uintptr_t)places[i].word, FUTEX_32, 0};
	r = syscall(SYS_futex_waitv, waiters, n, 0, d == FIPC_FOREVER ? NULL : &until, CLOCK_MONOTONIC);
	return r < 0 ? -errno : (int)r;
}

/* By futex(2) alone, where futex_waitv is missing (valgrind 3.19): sleep on the first word, having looked at the others. */
static int wait_first(const struct futex_place *places, unsigned n, fipc_deadline d)
{
	for (unsigned i = 1; i < n; i++)
		if (__atomic_load_n((const uint32_t *)places[i].word, __ATOMIC_RELAXED) != places[i].expected)
			return -EAGAIN;
	return fipc__futex_wait(places[0].word, places[0].expected, d, FUTEX_SHARED);
}

/* For a while; false: that is over. */
static bool wait_a_while(const struct futex_place *places, unsigned n, fipc_deadline d, int *ret)
{
	fipc_deadline slice = fipc_after_ms(SLICE_MS), until = slice < d ? slice : d;
	*ret = futex_waitv(places, n, until);
	if (*ret == -ENOSYS)
		*ret = wait_first(places, n, until);
	return *ret != -EINTR && (*ret != -ETIMEDOUT || until == d);
}

/*
 * Was one of those signals waiting that `open` lets in? Then its handler has run. Not by libc: its ppoll is a point of
 * cancellation.
 */
static bool let_signals_in(const sigset_t *open)
{
	struct timespec now = {0};
	return syscall(SYS_ppoll, NULL, 0, &now, open, KERNEL_SIGSET_SIZE) < 0 && errno == EINTR;
}

/* Is there a handler after which futex_waitv would go on, and say nothing? */
static bool some_restart(void)
{
	for (int i = 1; i <= SIGRTMAX; i++) {
		struct sigaction a;
		if (sigaction(i, NULL, &a) == 0 && a.sa_flags & SA_RESTART && a.sa_handler != SIG_DFL &&
		    a.sa_handler != SIG_IGN)
			return true;
	}
	return false;
}

/*
 * Where it would; or where one sleeps for a while only, for of a signal that came when that was over, and the thread was
 * not yet running again, the kernel says nothing. So signals are kept out, and let in now and then, where it says whether
 * there was one. Not without need: what is sent to the process would go to another thread, as Python's handlers do not.
 */
static int wait_and_listen(const struct futex_place *places, unsigned n, fipc_deadline d)
{
	bool decided, heard = false;
	sigset_t all, open;
	int r;
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &open);
	do
		decided = wait_a_while(places, n, d, &r);
	while (!decided && !(heard = let_signals_in(&open)));
	pthread_sigmask(SIG_SETMASK, &open, NULL);
	return heard ? -EINTR : r;
}

static int wait_any(const struct futex_place *places, unsigned n, fipc_deadline d)
{
	int r;
	if (n == 1)
		return fipc__futex_wait(places->word, places->expected, d, FUTEX_SHARED);
	if (interruptible && some_restart())
		return wait_and_listen(places, n, d);
	do
		r = futex_waitv(places, n, d);
	while (r == -EINTR && !interruptible);
	if (r != -ENOSYS)
		return r;
	if (interruptible)
		return wait_and_listen(places, n, d);
	while (!wait_a_while(places, n, d, &r))
		;
	return r;
}

int fipc__futex_wait_any(const struct futex_place *places, unsigned n, fipc_deadline d)
{
	int saved = errno, r = wait_any(places, n, d);
	errno = saved;
	return r;
}

int fipc__futex_wake(const void *w, unsigned n, enum futex_scope scope)
{
	return futex(w, FUTEX_WAKE | flag(scope), n > INT_MAX ? INT_MAX : n, 0, NULL, 0);
}

void fipc__futex_clear_and_wake_all(void *w)
{
	/* word &= ~(1 << 31), whatever it was; then wake. In unsigned numbers: FUTEX_OP() shifts into the sign. */
	uint32_t clear_bit_31 = (uint32_t)(FUTEX_OP_ANDN | FUTEX_OP_OPARG_SHIFT) << 28 | UINT32_C(31) << 12;
	futex(w, FUTEX_WAKE_OP, INT_MAX, 0, w, clear_bit_31);
}

unsigned fipc__futex_sleepers(const void *w)
{
	/* Requeueing all from a word to itself moves nobody and returns how many there are. */
	int r = futex(w, FUTEX_REQUEUE, 0, INT_MAX, w, 0);
	return r > 0 ? (unsigned)r : 0;
}
