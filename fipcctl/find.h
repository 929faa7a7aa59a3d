/* SPDX-License-Identifier: Apache-2.0 */
/* Which object a command line means. */
#ifndef FIPCCTL_FIND_H
#define FIPCCTL_FIND_H

#include <jansson.h>

#include "source.h"

/*
 * Look for the object that is meant by NAME or NAME.TYPE (and --type), and act on it. None, and more than one, is a
 * failure. Returns an exit status.
 */
int find_and(const struct settings *settings, const char *argument,
	     int (*act)(struct source *source, json_t *object, const struct settings *settings));

#endif
