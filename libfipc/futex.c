/* SPDX-License-Identifier: Apache-2.0 */
#include "futex.h"

#include "tls.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef SYS_futex_waitv /* Linux 5.16; the same number on every machine */
#define SYS_futex_waitv 449
#endif

#define KERNEL_SIGSET_SIZE 8
#define SLICE_MS 20 /* how long a change, or a signal, may go unnoticed by fipc__futex_wait_first() */

static FIPC_TLS int interruptible;

int fipc_set_interruptible(int on)
{
	int old = interruptible;
	interruptible = on != 0;
	return old;
}

bool fipc__futex_interruptible(void)
{
	return interruptible != 0;
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

int fipc__futex_wait_any(const struct futex_place *places, unsigned n, fipc_deadline d)
{
	struct futex_waitv waiters[FUTEX_PLACES_MAX];
	struct timespec until = {.tv_sec = d / 1000000000, .tv_nsec = d % 1000000000};
	const struct timespec *timeout = d == FIPC_FOREVER && !interruptible ? NULL : &until; /* as above */
	int saved = errno;
	long r;
	for (unsigned i = 0; i < n; i++)
		waiters[i] = (struct futex_waitv){places[i].expected, (uintptr_t)places[i].word, FUTEX_32, 0};
	do
		r = syscall(SYS_futex_waitv, waiters, n, 0, timeout, CLOCK_MONOTONIC);
	while (r < 0 && errno == EINTR && !interruptible);
	if (r < 0)
		r = -errno;
	errno = saved;
	return r == -ENOSYS ? fipc__futex_wait_first(places, n, d) : (int)r;
}

/* As fipc__futex_wait_first(), for a while; 1: that is over. */
static int wait_a_while(const struct futex_place *places, unsigned n, fipc_deadline d)
{
	fipc_deadline slice = fipc_after_ms(SLICE_MS);
	int r;
	for (unsigned i = 1; i < n; i++)
		if (__atomic_load_n((const uint32_t *)places[i].word, __ATOMIC_RELAXED) != places[i].expected)
			return -EAGAIN;
	r = fipc__futex_wait(places[0].word, places[0].expected, slice < d ? slice : d, FUTEX_SHARED);
	return (r == -ETIMEDOUT && slice < d) || r == -EINTR ? 1 : r;
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

/*
 * A signal that came at the end of one while, or between two, would be handled, and this would never know. So signals
 * are kept out, and let in between, where the kernel says whether there was one.
 */
static int wait_and_listen(const struct futex_place *places, unsigned n, fipc_deadline d)
{
	int r, saved = errno;
	sigset_t all, open;
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &open);
	do
		r = wait_a_while(places, n, d);
	while (r == 1 && !let_signals_in(&open));
	pthread_sigmask(SIG_SETMASK, &open, NULL);
	errno = saved;
	return r == 1 ? -EINTR : r;
}

int fipc__futex_wait_first(const struct futex_place *places, unsigned n, fipc_deadline d)
{
	int r;
	if (interruptible)
		return wait_and_listen(places, n, d);
	do
		r = wait_a_while(places, n, d);
	while (r == 1);
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
