/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where threads sleep that wait for no owner: for a token, an event, a signal, a message. The word they sleep on:
 *
 *	bits     meaning                        set by                          cleared by
 *	0..29    always 0                       -                               -
 *	30       PARK_READY: there is what      as its primitive says, in the   as its primitive says
 *	         sleepers wait for (or unused)  same atomic step as the state
 *	31       PARK_WAITERS: somebody may     a waiter, before it sleeps;     the wake that found nobody, together with
 *	         be asleep                      kept by every other change      waking all (one kernel step)
 *
 * The kernel takes bits 0 to 29 for the TID of an owner. Where a thread dies with the word as its pending entry and finds
 * nobody there, it wakes the next sleeper: so whoever sleeps, or owes somebody a wake-up, has the word pending. A sleeper
 * killed after it was woken passes the wake-up on; a waker killed after its change, before its wake, is stood in for.
 *
 * Two rules make it exact; every user of this file keeps them.
 *
 *	Nobody falls asleep on a state that has changed. What is waited for is compared by the kernel, in the step that puts
 *	the thread to sleep: READY in the word itself (the state being the other half of one 64-bit atomic), or a second
 *	word (futex_waitv). A mere flag beside the word does not do: of a waiter that has looked and does not sleep yet,
 *	neither a wake-up nor the kernel's knows.
 *
 *	One wake-up may stand for many. The kernel wakes one for a dead waker that had to wake several, so whoever comes
 *	back from sleep, has got what it wanted and sees more of it, or others who should have been woken too, wakes on
 *	before it takes the word off its record.
 *
 * Always shared futexes, for private objects too: the kernel's own wake-ups reach no private waiter.
 */
#ifndef FIPC_PARK_H
#define FIPC_PARK_H

#include "futex.h"
#include "robust.h"

#include <linux/futex.h>

#define PARK_READY UINT32_C(0x40000000)
#define PARK_WAITERS UINT32_C(0x80000000)

/*
 * Have the word on this thread's record, or not: false when the thread has not used fipc yet, or was interrupted, by a
 * signal handler that calls us, in the middle of another operation, whose record must stand. Then the caller goes on
 * without: should it be killed between its change and its wake, the sleeper hears of it from the next one who wakes.
 */
static inline bool fipc__owe(struct thread *t, const _Atomic uint32_t *w)
{
	if (!t->top || atomic_load_explicit(t->pending, memory_order_relaxed))
		return false;
	set_pending(t, (void *)((uintptr_t)w - (uintptr_t)t->futex_offset));
	return true;
}

/* Take it off again; owing: what fipc__owe said. */
static inline void fipc__owe_nothing(struct thread *t, bool owing)
{
	if (owing)
		set_pending(t, NULL);
}

/*
 * The same for a call that is async-signal-safe, and so cannot make its thread ready: the entry of libc's list serves as it
 * is; where libc has told the kernel of none yet, one of our own is lent to the thread meanwhile. debt->pending is NULL
 * where nothing could be put on record: in a handler that interrupted another operation, or the making of libc's list.
 */
struct debt {
	void *_Atomic *pending;
	struct robust_list_head own;
	bool lent;
	_Atomic uintptr_t *stray; /* where it stands for those who close (park.c) */
};
void fipc__incur(struct debt *debt, struct thread *t, const _Atomic uint32_t *w);
void fipc__settle(struct debt *debt);

/*
 * Sleep on *w while it is `expected`, which has PARK_WAITERS; of v and v_expected (if v is not NULL), also only while *v is
 * v_expected. The word is pending. 0 woken, -EAGAIN one of them has changed, -ETIMEDOUT, -EINTR (the thread asked for it).
 * Whoever timed out, or was interrupted, was not woken.
 */
int fipc__park(const _Atomic uint32_t *w, uint32_t expected, const _Atomic uint32_t *v, uint32_t v_expected,
	       fipc_deadline d);

/* Has a thread of this process the word on record: is it asleep on it, or about to wake somebody? */
bool fipc__park_pending(const _Atomic uint32_t *w);

/* Wake n sleepers, having changed the state and seen PARK_WAITERS. The word is pending. */
void fipc__unpark(_Atomic uint32_t *w, unsigned n);

/* Wake all sleepers. */
void fipc__unpark_all(_Atomic uint32_t *w);

#endif
