/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many processes that each have some mutexes open and sleep, in test_dir(); and a fipcd that looks after them.
 */
#ifndef FIPC_TESTS_POPULATION_H
#define FIPC_TESTS_POPULATION_H

#include "../support.h"

struct population {
	int objects, processes;
	pid_t *pids;
	pid_t daemon;
	char socket[64];
};

void population_make(struct population *p); /* of so many objects and processes */
void population_end(struct population *p);  /* murders them; the daemon, if it runs, has cleaned up when this returns */

/* Start fipcd. Returns how long it took until it had looked at everything and answered a call. */
int64_t population_serve(struct population *p);

/* A line of its /proc/PID/status, as "VmHWM:", in KiB. */
long population_memory(const struct population *p, const char *line);

/* Its CPU time until now. */
int64_t population_cpu_ns(const struct population *p);

/* How long from SIGKILL of a process that has one mutex of its own until its name is gone. */
int64_t population_time_a_death(void);

#endif
