/* SPDX-License-Identifier: Apache-2.0 */
#include <fipc/base.h>

#include "clock.h"

fipc_deadline fipc_after_ns(int64_t ns)
{
	fipc_deadline d;
	if (ns <= 0)
		return FIPC_NOW;
	return __builtin_add_overflow(fipc__now_ns(), ns, &d) ? FIPC_FOREVER : d;
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
