/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the daemon comes by its listening socket: from systemd, or by making it.
 */
#ifndef FIPCD_LISTEN_H
#define FIPCD_LISTEN_H

#include <stdbool.h>
#include <sys/stat.h>

struct listener {
	int fd;           /* -1: whoever serves on it has taken it over */
	bool activated;   /* handed over by systemd */
	const char *path; /* else: where it was made, */
	dev_t device;     /* and what was made there, so that nobody else's is removed */
	ino_t inode;
};

/* path is used if no socket was handed over. Returns 0, or logs and returns a negative errno. */
int listener_open(struct listener *ret, const char *path);

/* Remove the socket that was made by hand. */
void listener_remove(const struct listener *listener);

#endif
