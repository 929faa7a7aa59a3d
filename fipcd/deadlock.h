/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deadlocks of one directory: each new one is said once, in the journal and to those who listen. Nothing is polled:
 * whoever has slept for 50 ms tells (libfipc/slot.h), and then everybody who sleeps is looked at; what looks like a
 * deadlock is looked at twice.
 */
#ifndef FIPCD_DEADLOCK_H
#define FIPCD_DEADLOCK_H

#include "monitor.h"

#include <fipc/registry.h>
#include <systemd/sd-event.h>

struct deadlocks;

/* dir stays as long as this does. 0 or a negative errno. */
int deadlocks_new(struct deadlocks **ret, sd_event *event, const char *dir, struct monitor *monitor);
void deadlocks_free(struct deadlocks *d); /* NULL is fine */

/* The directory is there, or (NULL) has gone. Those who had slept long before are looked at, too. */
void deadlocks_attach(struct deadlocks *d, fipc_registry *r);

/* Somebody has slept for long. */
void deadlocks_heard(struct deadlocks *d);

#endif
