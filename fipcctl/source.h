/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the data come from: fipcd when it is there, else a scan of our own. Both give the same JSON values, those of
 * io.fipc.Manager, so nothing above this file knows which of the two it was.
 *
 * Each call returns an exit status, and has said why if it is not STATUS_DONE. *ret is set only then; json_decref() it.
 */
#ifndef FIPCCTL_SOURCE_H
#define FIPCCTL_SOURCE_H

#include <jansson.h>

#include "command.h"

struct source;

int source_open(struct source **ret, const struct settings *settings);
void source_close(struct source *s); /* NULL is fine */

/* Objects whose name matches a glob pattern (NULL any), of one type (NULL any): an array. */
int source_list(struct source *s, const char *pattern, const char *type, json_t **ret);

/* Processes that are tracked: an array. */
int source_processes(struct source *s, json_t **ret);

/* Take away what dead processes left, or with dry_run say what would go: the objects looked at, an array. */
int source_collect(struct source *s, const char *pattern, const char *type, bool dry_run, json_t **ret);

#endif
