/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who comes and goes in a tracking directory: objects created, processes attached and detached. It exists only while
 * somebody listens: each open and close of an object wakes the daemon then.
 */
#ifndef FIPCD_TRAFFIC_H
#define FIPCD_TRAFFIC_H

#include "monitor.h"

#include <systemd/sd-event.h>

struct traffic;

/* Publish what happens from now on. dir stays the caller's. Returns 0 or a negative errno. */
int traffic_new(struct traffic **ret, sd_event *event, const char *dir, struct monitor *monitor);
void traffic_free(struct traffic *t);

/* There is a new listener: watch those objects, too, that he asked for and nobody else did. */
void traffic_widen(struct traffic *t);

/* Is it still the directory of that name? */
bool traffic_is_current(const struct traffic *t);

/* A death is to be told: first what was before it, as far as one read of the kernel's queue goes. */
void traffic_catch_up(struct traffic *t);

#endif
