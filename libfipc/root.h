/* SPDX-License-Identifier: Apache-2.0 */
/* The tracking directory: which it is, whether it can be trusted, and how it and what is in it are made. */
#ifndef FIPC_ROOT_H
#define FIPC_ROOT_H

#include <fipc/registry.h>
#include <stdbool.h>
#include <sys/types.h>

struct root_choice {
	const char *path;
	bool explicitly; /* somebody named it: then whoever owns it is trusted */
};

/* The one this process's objects live in. 0, -EINVAL (not absolute), -ENAMETOOLONG. */
int fipc__root_choose(struct root_choice *ret);

/* Is the path one that can be used? 0, -EINVAL, -ENAMETOOLONG. */
int fipc__root_check_path(const char *path);

/* Root, or this user; not the overflow uid where that may be anybody. */
bool fipc__uid_trusted(uid_t uid);

/* Is it ours, or named by somebody? 0, -ENOENT, -ENOTDIR, -EPERM. Nothing is asked of one that was named. */
int fipc__root_trust(const struct root_choice *choice);

/* Open it, or make it. A descriptor to be closed, or a negative errno. */
int fipc__root_open(const struct root_choice *choice, bool create);

/* The descriptor of the directory that a registry has open. */
int fipc__registry_root(const fipc_registry *r);

/* Open the directory of the trackers, or make it. Likewise. */
int fipc__root_open_trackers(int root, bool explicitly, bool create);

/*
 * Make a directory of exactly this mode, or see to it that one of ours has it: a maker may have been killed before its
 * chmod. A descriptor to be closed, or a negative errno.
 */
int fipc__make_directory(int at, const char *name, mode_t mode);

#endif
