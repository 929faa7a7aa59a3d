/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FIPC_ROOM_H
#define FIPC_ROOM_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * The memory for these bytes of a file is had now, and no SIGBUS comes later; the file gets as long as that. 0; or
 * -ENOSPC, -EDQUOT, -EFBIG, ...: nothing has changed.
 */
int fipc__make_room(int fd, off_t from, off_t size);

/* The same for the page at this address, where a file is mapped: a store into a hole of it would be a SIGBUS. */
bool fipc__page_has_memory(const void *at);

#endif
