/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who calls, as the kernel says, and what that user could see or do without the daemon. The daemon reads with
 * capabilities: so these rules stand between its eyes and the caller's.
 */
#ifndef FIPCD_CALLER_H
#define FIPCD_CALLER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct caller {
	uid_t uid;
	gid_t gid;
	pid_t pid;
	gid_t *groups;
	size_t n_groups;
};

/* Ask the kernel who has connected. Returns 0 or a negative errno. */
int caller_from_socket(struct caller *ret, int fd);
void caller_done(struct caller *caller);

/* Root, or the user the daemon runs as: may see and do everything. */
bool caller_is_privileged(const struct caller *caller);

/* Does the file belong to the caller? The overflow uid stands for many users without a name here: it owns nothing. */
bool caller_owns(const struct caller *caller, uid_t uid);

/* May the caller read a file of this owner, group and mode? Its owner may: he can change the mode. */
bool caller_reads(const struct caller *caller, uid_t uid, gid_t gid, mode_t mode);

/* May the caller list this directory, an absolute path, and search all those above it? */
bool caller_lists(const struct caller *caller, const char *dir);

#endif
