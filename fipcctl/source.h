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
#include "journal.h"

struct source;

int source_open(struct source **ret, const struct settings *settings);
void source_close(struct source *s); /* NULL is fine */

/* "through fipcd in /dev/shm/fastipc", or "directly in ...": where data came from last. */
void source_describe(const struct source *s, char *ret, size_t size);

/* Objects whose name matches a glob pattern (NULL any), of one type (NULL any): an array. */
int source_list(struct source *s, const char *pattern, const char *type, json_t **ret);

/* The same, if they are in this state, of this user, and a process of this pid is attached. */
struct source_filter {
	const char *pattern, *type, *state; /* NULL any */
	bool has_uid;
	json_int_t uid, pid; /* pid 0: any */
};
/*
 * Told one by one, borrowed, as they are found. fields: only these members of each, an array of names; NULL: all.
 * add returns 0 or a negative errno; begin_anew: what was added so far does not count.
 */
struct source_sink {
	int (*add)(json_t *object, void *context);
	void (*begin_anew)(void *context);
	void *context;
};
int source_each(struct source *s, const struct source_filter *filter, const json_t *fields,
		const struct source_sink *sink);

/* All of them, whole: an array. */
int source_select(struct source *s, const struct source_filter *filter, json_t **ret);

/* Processes that are tracked: an array. */
int source_processes(struct source *s, json_t **ret);

/* Take away what dead processes left, or with dry_run say what would go: the objects looked at, an array. */
int source_collect(struct source *s, const char *pattern, const char *type, bool dry_run, json_t **ret);

/* Who waits for whom: an object of two arrays, the `waits` and among them the `deadlocks`. */
int source_graph(struct source *s, json_t **ret);

/* What fipcd has counted, the reply to Metrics; NULL if it is not there. */
int source_counters(struct source *s, json_t **ret);

/* Do that to one object, as the look told it; the journal hears of it. */
int source_do(struct source *s, enum deed deed, const json_t *object);

/* The directory that names live in, there or not; *named: somebody named it. free() it; NULL: failed; sets errno. */
char *source_directory(const struct settings *settings, bool *named);
const char *source_socket(const struct settings *settings); /* of fipcd */

/* What an error of fipcd means; of one that is not known its name must do. */
const char *source_error(const char *error);

/* A relative --dir is one of the shell's; registry, library and fipcd want absolute ones. NULL: failed; sets errno. */
char *absolute_directory(const char *directory);

#endif
