/* SPDX-License-Identifier: Apache-2.0 */
/* Columns are data: the table that is printed, the check of --output and the list in --help come from one array. */
#ifndef FIPCCTL_COLUMN_H
#define FIPCCTL_COLUMN_H

#include <jansson.h>

#include "command.h"

#define INT "%" JSON_INTEGER_FORMAT /* for json_number() */

struct column {
	const char *name; /* NULL: the last */
	const char *help;
	const char *path; /* where its value is in the row's JSON, as "state.waiters"; "" the row itself */
	char *(*format)(const json_t *value); /* a cell to free(), NULL: no memory. value NULL: it is not there */
	enum { ALIGN_LEFT, ALIGN_RIGHT, ALIGN_LEFT_CUT /* shortened if the terminal is too narrow */ } align;
};

enum { COLUMNS_MAX = 64 }; /* in one table */

struct selection {
	const struct column *columns[COLUMNS_MAX];
	unsigned n;
};

/* The columns that the command line chooses. Returns an exit status. */
int columns_select(struct selection *ret, const struct command *command, const struct settings *settings);

/* List them on stdout for --help. */
void columns_print(const struct column *columns, const char *defaults);

/* The value at a path as above; NULL if it is not there. Borrowed. */
const json_t *json_at(const json_t *value, const char *path);
const char *json_text(const json_t *value, const char *path);  /* "" if there is no string */
json_int_t json_number(const json_t *value, const char *path); /* 0 if there is no integer */
int json_truth(const json_t *value, const char *path);         /* 0 if there is no true */

/* Ways to show a value. What is not there, or is of another type, is "-". */
char *format_text(const json_t *value);
char *format_integer(const json_t *value);
char *format_nonzero(const json_t *value);      /* 0 is "-" */
char *format_mode(const json_t *value);         /* octal */
char *format_user(const json_t *value);         /* the name of a uid */
char *format_microseconds(const json_t *value); /* since the epoch, as local date and time */

#endif
