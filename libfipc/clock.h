/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FIPC_CLOCK_H
#define FIPC_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Of CLOCK_MONOTONIC, as every deadline and time stamp is. */
static inline int64_t fipc__now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

#endif
