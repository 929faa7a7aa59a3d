/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One tracking directory: hears of each death in it, and reclaims what the dead left. Between deaths it does nothing.
 */
#ifndef FIPCD_DIRECTORY_H
#define FIPCD_DIRECTORY_H

#include "monitor.h"
#include "shared.h"
#include "who.h"

#include <fipc/registry.h>
#include <stdbool.h>
#include <systemd/sd-event.h>

struct directory;

/*
 * Make it if it is missing, watch it, and reclaim what is in it. path: NULL for the library's own. What happens in it
 * is published to the monitor. Returns 0 or a negative errno.
 */
int directory_new(struct directory **ret, sd_event *event, const char *path, struct monitor *monitor);
void directory_free(struct directory *d);

const char *directory_path(const struct directory *d);
bool directory_is_there(const struct directory *d);

struct directory_counts { /* since the start */
	uint64_t reclaimed;       /* objects taken away */
	uint64_t entries_removed; /* of dead processes */
	uint64_t scans;           /* looks at everything, and how long they took */
	uint64_t scan_last_usec, scan_max_usec, scan_total_usec;
};
const struct directory_counts *directory_counts(const struct directory *d);

/* By systemd's rule for DirectoryNotEmpty=: names that begin with a dot don't count. Gone is empty, unknown is not. */
bool directory_is_empty(const struct directory *d);

/* As fipc_registry_walk() and fipc_registry_processes(). -ENOENT: the directory is gone. */
int directory_walk(struct directory *d, unsigned flags, const struct fipc_filter *filter, fipc_object_fn callback,
		   void *context);
int directory_processes(struct directory *d, fipc_process_fn callback, void *context);

/* As who_look(). -ENOENT: the directory is gone. */
int directory_who(const struct directory *d, struct who **ret);

/* Its handle: the caller's, too, until he lets go of it (shared_unref). -ENOENT: the directory is gone. */
int directory_share(const struct directory *d, struct shared **ret);

/* Listeners have come, or gone: publish who comes and goes while there are some. */
void directory_tell_traffic(struct directory *d);

#endif
