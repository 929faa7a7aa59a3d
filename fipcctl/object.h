/* SPDX-License-Identifier: Apache-2.0 */
/* What list, show and gc know in common about an object's JSON. */
#ifndef FIPCCTL_OBJECT_H
#define FIPCCTL_OBJECT_H

#include <jansson.h>

/* Cells of a table; value is the whole object. */
char *format_state(const json_t *object);
char *format_detail(const json_t *object); /* what matters for its type, in a few words */
char *format_owner(const json_t *object);
char *format_flags(const json_t *flags); /* not the whole: the member of this name */

/* How long its owner has had it, as far as that is known; -1: nobody has it, or it is not known. */
json_int_t held_nsec(const json_t *object);

/* Since a moment of CLOCK_MONOTONIC, in nanoseconds; a cell: "1.234 s". */
char *format_since(const json_t *nsec);
char *format_yes(const json_t *truth); /* "yes" or "-" */

char *make_text(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Print an answer, {"key": value} or (key NULL) the value alone, on stdout. Returns an exit status. */
int print_json(const char *key, const json_t *value);

#endif
