/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a process is dead that is known by its PID alone, as Python fastipc records it. That is much harder to tell
 * than by a lock, for a PID says neither which PID namespace it is of, nor how often it has been used since.
 *
 * Dead is said only if no process of this machine can be the one that recorded itself, at that time, by that number:
 * none has the number in any PID namespace, or those who have it were started later. That can be seen only from the
 * initial PID namespace, through a /proc that hides nobody (hidepid=); from anywhere else nobody is ever said to be dead.
 */
#ifndef FIPC_CENSUS_H
#define FIPC_CENSUS_H

#include <fipc/registry.h>
#include <stdbool.h>

/* All processes with all their numbers. Taken when it is first needed. Zeroed: not taken. */
#define CENSUS_TIMES 8 /* so often it is taken at most: whoever leaves entries can cause it, and it takes milliseconds */
struct census {
	unsigned times;
	bool complete;
	int64_t taken_ns; /* CLOCK_REALTIME; what was recorded later must not be judged by it */
	struct numbered {
		int32_t number; /* in some PID namespace */
		int32_t pid;    /* in ours */
	} *items;               /* by number */
	size_t n, room;
};
void fipc__census_forget(struct census *c);

/*
 * Of the process that recorded `pid` at recorded_ns (0: not known). FIPC_ALIVE: one of our namespace has that number, and
 * may be it. FIPC_DEAD, as above. FIPC_UNKNOWN: neither can be told.
 *
 * recorded_ns is on CLOCK_REALTIME, as file times are and as the package writes. Such a time that is before the boot was
 * written before the clock was set, and says nothing. One that is smaller than the uptime is taken for CLOCK_MONOTONIC,
 * which is right for a clock that began at 0 with the boot, too.
 */
enum fipc_life fipc__census_life(struct census *c, uint32_t pid, int64_t recorded_ns);

#endif
