/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FIPCD_CLOCK_H
#define FIPCD_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Of CLOCK_MONOTONIC, at this instant; sd_event_now() is when this turn of the loop began. */
static inline uint64_t clock_usec(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

#endif
