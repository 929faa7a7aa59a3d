/* SPDX-License-Identifier: Apache-2.0 */
#include <fipc/word.h>

#include "futex.h"

#include <errno.h>

static int scope_of(const fipc_word *w, int flags, enum futex_scope *ret)
{
	if (flags & ~FIPC_PRIVATE || (uintptr_t)w % sizeof(*w) != 0)
		return -EINVAL;
	*ret = flags & FIPC_PRIVATE ? FUTEX_THIS_PROCESS : FUTEX_SHARED;
	return 0;
}

uint32_t fipc_word_load(const fipc_word *w)
{
	return __atomic_load_n(&w->value, __ATOMIC_ACQUIRE);
}

void fipc_word_store(fipc_word *w, uint32_t v)
{
	__atomic_store_n(&w->value, v, __ATOMIC_RELEASE);
}

int fipc_word_cas(fipc_word *w, uint32_t *expected, uint32_t desired)
{
	return __atomic_compare_exchange_n(&w->value, expected, desired, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

int fipc_word_wait(fipc_word *w, uint32_t expected, fipc_deadline d, int flags)
{
	enum futex_scope scope;
	int r = scope_of(w, flags, &scope);
	if (r < 0)
		return r;
	if (d <= FIPC_NOW)
		return -EAGAIN;
	return fipc__futex_wait(&w->value, expected, d, scope);
}

int fipc_word_wake(fipc_word *w, unsigned n, int flags)
{
	enum futex_scope scope;
	int r = scope_of(w, flags, &scope);
	return r < 0 ? r : fipc__futex_wake(&w->value, n, scope);
}

uint64_t fipc_u64_load(const fipc_u64 *w)
{
	return __atomic_load_n(&w->value, __ATOMIC_ACQUIRE);
}

void fipc_u64_store(fipc_u64 *w, uint64_t v)
{
	__atomic_store_n(&w->value, v, __ATOMIC_RELEASE);
}

int fipc_u64_cas(fipc_u64 *w, uint64_t *expected, uint64_t desired)
{
	return __atomic_compare_exchange_n(&w->value, expected, desired, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}
