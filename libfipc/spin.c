/* SPDX-License-Identifier: Apache-2.0 */
#include "spin.h"

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <unistd.h>

/* More processors than a cpu_set_t has: then there are two. */
static int count_processors(void)
{
	cpu_set_t set;
	int saved = errno, n = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 2;
	errno = saved;
	return n;
}

bool fipc__may_spin(void)
{
	static _Atomic int processors; /* relaxed: a number that every thread would find the same */
	int n = atomic_load_explicit(&processors, memory_order_relaxed);
	if (n == 0) {
		n = count_processors();
		atomic_store_explicit(&processors, n, memory_order_relaxed);
	}
	return n > 1;
}
