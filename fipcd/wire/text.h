/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON as text, written value by value: what is told of thousands of objects needs no tree of each.
 *
 *	text_open(t, NULL, '{');
 *	text_string(t, "name", "ledger");
 *	text_open(t, "waiters", '[');
 *	text_integer(t, NULL, 7);
 *	text_close(t, ']');
 *	text_close(t, '}');
 *
 * key: of a member, a word that needs no escapes; NULL: in an array, and of the outermost value.
 */
#ifndef FIPC_WIRE_TEXT_H
#define FIPC_WIRE_TEXT_H

#include "frame.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct text { /* zeroed is empty */
	struct wire_buffer bytes;
	bool goes_on; /* a comma comes before the next value */
	bool failed;  /* no memory was left: what is here is of no use */
};

void text_free(struct text *t);

void text_open(struct text *t, const char *key, char bracket); /* '{' or '[' */
void text_close(struct text *t, char bracket);                 /* '}' or ']' */
void text_integer(struct text *t, const char *key, int64_t n);
void text_truth(struct text *t, const char *key, bool truth);

/* A word of our own, in printable ASCII. */
void text_string(struct text *t, const char *key, const char *string);

/* What another user may have written, up to size bytes or a NUL: printable ASCII, and '?' for the rest. */
void text_foreign(struct text *t, const char *key, const char *bytes, size_t size);

/* A path is the operator's own: as it is if it is UTF-8, else as what is foreign. */
void text_path(struct text *t, const char *key, const char *path);

/* What is JSON already, or a part of it. */
void text_raw(struct text *t, const char *bytes, size_t size);

/* The value that was written, as a tree: a new reference, or NULL, out of memory. The text is freed. */
json_t *text_to_json(struct text *t);

#endif
