/* SPDX-License-Identifier: Apache-2.0 */
/* The futex system call: the only place that knows its arguments, EINTR, and how time is said to the kernel. */
#ifndef FIPC_FUTEX_H
#define FIPC_FUTEX_H

#include <fipc/base.h>

enum futex_scope { FUTEX_SHARED, FUTEX_THIS_PROCESS };

/* Sleep while *w is expected. 0 woken, -EAGAIN other value, -ETIMEDOUT, -EINTR (thread asked for it), -EFAULT. */
int fipc__futex_wait(const void *w, uint32_t expected, fipc_deadline d, enum futex_scope scope);

/*
 * Sleep while every word is as expected, 128 of them at most: the index of one that was woken, or as above. Shared. Who
 * has asked to be told of signals is told of all; of several words, where a handler has SA_RESTART, within 50 ms, and they
 * are kept out meanwhile.
 */
struct futex_place {
	const void *word;
	uint32_t expected;
};
#define FUTEX_PLACES_MAX 128
int fipc__futex_wait_any(const struct futex_place *places, unsigned n, fipc_deadline d);

/* Wake up to n. The number woken, or -EFAULT. */
int fipc__futex_wake(const void *w, unsigned n, enum futex_scope scope);

/* Clear bit 31 of *w and wake all its sleepers, in one step of the kernel. */
void fipc__futex_clear_and_wake_all(void *w);

/* How many sleep on w at this moment; nothing changes. Works on read-only mappings; 0 where nothing is behind them. */
unsigned fipc__futex_sleepers(const void *w);

#endif
