/* SPDX-License-Identifier: Apache-2.0 */
/* For the commands that use an object as programs do: by its name, through the library. */
#ifndef FIPCCTL_LIBRARY_H
#define FIPCCTL_LIBRARY_H

#include "command.h"

/* Names live in the directory of --dir from now on, if there is one. Returns an exit status. */
int library_enter(const struct settings *settings);

/* Take that back out of the environment. */
void library_leave(void);

/* What the negative errno of an open, an unlink or a revoke means to whoever named the object. */
const char *library_words(int error);

#endif
