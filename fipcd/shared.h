/* SPDX-License-Identifier: Apache-2.0 */
/* A registry that several use: the directory that it is of, and calls, which may outlast that directory. */
#ifndef FIPCD_SHARED_H
#define FIPCD_SHARED_H

#include <fipc/registry.h>

struct shared {
	fipc_registry *registry;
	unsigned users;
};

/* For a first user. path: NULL for the library's own. As fipc_registry_open(). */
int shared_open(struct shared **ret, const char *path);

/* For one more. */
struct shared *shared_ref(struct shared *s);

/* The last one closes it. NULL is accepted. */
void shared_unref(struct shared *s);

#endif
