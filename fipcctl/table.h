/* SPDX-License-Identifier: Apache-2.0 */
/* A table on stdout, made row by row; libsmartcols lays it out. */
#ifndef FIPCCTL_TABLE_H
#define FIPCCTL_TABLE_H

#include "column.h"

struct libscols_table;

struct table {
	const struct selection *selection;
	struct libscols_table *lines;
	bool has_colors;
	int error; /* 0, or -errno: what is here is of no use */
};

void table_begin(struct table *ret, const struct selection *selection, const struct settings *settings);
void table_end(struct table *t);

void table_add_row(struct table *t, const json_t *row);
void table_drop_rows(struct table *t);

/* Print it; without rows, nothing. Returns an exit status. */
int table_print(const struct table *t);

/* All of that, of an array of JSON objects. */
int table_of(const struct selection *selection, const json_t *rows, const struct settings *settings);

#endif
