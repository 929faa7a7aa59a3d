/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The interface's text, and whether what the programs say is as it is written there.
 */
#ifndef FIPC_TESTS_INTERFACE_SUPPORT_H
#define FIPC_TESTS_INTERFACE_SUPPORT_H

#include <jansson.h>
#include <stdbool.h>

/* From now on also types that this page of docs/ declares. */
void interface_also(const char *path);

struct field {
	char name[40], type[40]; /* of type: "?[]Holder", ... */
};

struct declared { /* the members of a type, or of a method's parameters or reply */
	char name[40];
	struct field fields[64];
	int n;
};

void find_type(const char *name, struct declared *ret);
void find_parameters(const char *method, struct declared *ret);
int find_field(const struct declared *type, const char *name); /* it must be there */

/* The next word after each `keyword` at the beginning of a line ("method", "error"): false after the last one. */
bool next_declared(const char *keyword, int *at, char ret[40]);

void must_be_of(const char *type, const json_t *value);             /* "Object", "[]Object", "[string]int", ... */
void must_be_reply(const char *method, const json_t *parameters); /* what the method replies */

#endif
