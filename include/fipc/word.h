/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A futex word: 32 bits that processes wait on, and a 64-bit counter to go with it. For those who build a primitive of
 * their own; see futex(2). Zeroed memory is a valid word of value 0. The memory must be writable for store and cas,
 * readable for the rest, and aligned (4 bytes; 8 for fipc_u64).
 *
 *	while ((v = fipc_word_load(&box->full)) == 0)         // the box is read only while full != 0
 *		r = fipc_word_wait(&box->full, 0, FIPC_FOREVER, 0);
 *
 * A word knows no owner: nothing is repaired when a process dies. A waiter that is woken and then killed takes the
 * wake-up with it; wake all, or use a primitive that passes it on.
 *
 * All calls are async-signal-safe.
 */
#ifndef FIPC_WORD_H
#define FIPC_WORD_H

#include <fipc/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fipc_word {
	uint32_t value;
} fipc_word;

typedef struct fipc_u64 {
	uint64_t value;
} fipc_u64;

/* Load with acquire, store with release, compare-and-swap with both. cas: 1 done; 0 not, and *expected is updated. */
FIPC_PUBLIC uint32_t fipc_word_load(const fipc_word *w);
FIPC_PUBLIC void fipc_word_store(fipc_word *w, uint32_t v);
FIPC_PUBLIC int fipc_word_cas(fipc_word *w, uint32_t *expected, uint32_t desired);
FIPC_PUBLIC uint64_t fipc_u64_load(const fipc_u64 *w);
FIPC_PUBLIC void fipc_u64_store(fipc_u64 *w, uint64_t v);
FIPC_PUBLIC int fipc_u64_cas(fipc_u64 *w, uint64_t *expected, uint64_t desired);

/*
 * Sleep while *w is `expected`. flags: 0, or FIPC_PRIVATE when only threads of this process wake the word (waiter and
 * waker must agree).
 * Returns 0 woken (as with every futex it may be for no reason: look at the value again), or
 *	-EAGAIN     the value is another, or d is FIPC_NOW
 *	-ETIMEDOUT  the deadline passed
 *	-EINTR      a signal was handled, and the thread asked to be told (fipc_set_interruptible)
 *	-EINVAL     unknown flags, or a misaligned word
 *	-EFAULT     w does not lead to readable memory
 */
FIPC_PUBLIC FIPC_MUST_CHECK int fipc_word_wait(fipc_word *w, uint32_t expected, fipc_deadline d, int flags);

/* Wake up to n sleepers (UINT_MAX: all). Returns how many were woken, or -EINVAL, -EFAULT as above. */
FIPC_PUBLIC int fipc_word_wake(fipc_word *w, unsigned n, int flags);

#ifdef __cplusplus
}
#endif
#endif
