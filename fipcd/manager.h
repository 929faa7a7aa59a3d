/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon's state and its loop: directories, server, and what systemd wants to know.
 */
#ifndef FIPCD_MANAGER_H
#define FIPCD_MANAGER_H

#include <stddef.h>
#include <stdint.h>

struct manager;

struct manager_options {
	const char *socket;
	const char **dirs; /* none: the library's own */
	size_t n_dirs;
	uint64_t idle_exit_usec; /* 0: never */
};

/* Logs what goes wrong, and returns a negative errno. */
int manager_new(struct manager **ret, const struct manager_options *options);
void manager_free(struct manager *manager);

/* Until a signal ends it, or idleness. Returns 0 or a negative errno. */
int manager_run(struct manager *manager);

#endif
