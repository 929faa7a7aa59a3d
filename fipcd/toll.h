/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many owners had died inside each lock when it was last looked at: a lock that has been taken over and mended
 * since looks like any other, but for its count.
 */
#ifndef FIPCD_TOLL_H
#define FIPCD_TOLL_H

#include <fipc/registry.h>
#include <stdbool.h>

struct toll {
	struct toll_item *items; /* ascending by inode; only of locks in which an owner has died */
	size_t n, capacity;
};

/*
 * Note what a look tells. Has anybody died in it since the last one? How many may be a lie: the users write the
 * count.
 */
bool toll_has_grown(struct toll *t, const struct fipc_object *object);
void toll_free(struct toll *t);

#endif
