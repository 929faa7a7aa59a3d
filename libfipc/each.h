/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FIPC_EACH_H
#define FIPC_EACH_H

#include <dirent.h>

/*
 * Call for each name in a directory but . and .., until that returns other than 0. fd: of the directory, or a negative
 * errno; it is closed. Returns what that returned, or why the directory cannot be read.
 */
typedef int (*each_fn)(int directory, const struct dirent *e, void *context);
int fipc__each_name(int fd, each_fn visit, void *context);

#endif
