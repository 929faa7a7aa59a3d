/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The header of an object whose file holds its users' bytes and nothing else (struct object_kind: bare). It lies
 * beside the object's entries:
 *
 *	<file>.pids/.meta.<inode of the object>
 *
 * so it belongs to one incarnation of a name, not to the name. It counts if it is the object's owner's or root's, and
 * says the same inode inside.
 *
 * Order. Made before the object has its name, and its maker has it open until then; removed after the name is gone.
 * So an object that has its name has its header, however processes are killed; what can be left is a header without
 * an object, which the next collection takes: no maker has it open (the lease), and then the name does not lead to
 * its object and never will.
 */
#ifndef FIPC_META_H
#define FIPC_META_H

#include "layout.h"

#include <stdbool.h>
#include <sys/stat.h>

/* Make it, and .pids. object: its file, with owner and mode as they will be. A descriptor that keeps it, or < 0. */
int fipc__meta_make(int root, const char *file, const struct stat *object, const struct object_header *header);

/* 0; -ENODATA: there is none that counts; -EBUSY: a collector is asking; -EINVAL, -ENOTSUP; -EMFILE, ... */
int fipc__meta_read(int root, const char *file, const struct stat *object, struct object_header *ret);

/* The object's name is gone, or it never got it. False: there was none, or it is not ours to remove. */
bool fipc__meta_remove(int root, const char *file, uint64_t object);

/*
 * A collector met this one in pids, the directory of the entries of `file`. True: its object is gone, nobody is
 * making it, and if so wanted it is removed. False: it is in use, or it cannot be told.
 */
bool fipc__meta_left_over(int root, const char *file, int pids, uint64_t object, bool remove);

#endif
