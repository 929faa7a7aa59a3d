/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One tracking directory: hears of each death in it, and reclaims what the dead left. Between deaths it does nothing.
 */
#ifndef FIPCD_DIRECTORY_H
#define FIPCD_DIRECTORY_H

#include <fipc/registry.h>
#include <stdbool.h>
#include <systemd/sd-event.h>

struct directory;

/*
 * Make it if it is missing, watch it, and reclaim what is in it. path: NULL for the library's own.
 * Returns 0 or a negative errno.
 */
int directory_new(struct directory **ret, sd_event *event, const char *path);
void directory_free(struct directory *d);

const char *directory_path(const struct directory *d);
uint64_t directory_reclaimed(const struct directory *d); /* objects taken away since the start */

/* By systemd's rule for DirectoryNotEmpty=: names that begin with a dot don't count. Gone is empty, unknown is not. */
bool directory_is_empty(const struct directory *d);

/* As fipc_registry_walk() and fipc_registry_processes(). -ENOENT: the directory is gone. */
int directory_walk(struct directory *d, unsigned flags, const struct fipc_filter *filter, fipc_object_fn callback,
		   void *context);
int directory_processes(struct directory *d, fipc_process_fn callback, void *context);

#endif
