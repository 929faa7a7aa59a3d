/* SPDX-License-Identifier: Apache-2.0 */
#include <fipc/base.h>

#include <time.h>

fipc_deadline fipc_after_ns(int64_t ns)
{
	struct timespec now;
	fipc_deadline d;
	if (ns <= 0)
		return FIPC_NOW;
	clock_gettime(CLOCK_MONOTONIC, &now);
	if (__builtin_add_overflow(now.tv_sec * INT64_C(1000000000) + now.tv_nsec, ns, &d))
		return FIPC_FOREVER;
	return d;
}

fipc_deadline fipc_after_ms(int64_t ms)
{
	int64_t ns;
	if (ms <= 0)
		return FIPC_NOW;
	if (__builtin_mul_overflow(ms, INT64_C(1000000), &ns))
		return FIPC_FOREVER;
	return fipc_after_ns(ns);
}
