/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FIPC_CLOCK_H
#define FIPC_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline int64_t fipc__clock_ns(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

/* Of CLOCK_MONOTONIC, as every deadline and time stamp is. */
static inline int64_t fipc__now_ns(void)
{
	return fipc__clock_ns(CLOCK_MONOTONIC);
}

#endif
