/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A table on stdout, made row by row. libsmartcols lays it out, once it has been told of all rows, for their cells make
 * the columns as wide as they are. A long one is therefore cut into pages: each is laid out when it is full, as wide as
 * the columns are so far, which mostly is what they stay; while whoever tells of the rows looks for the next ones. What
 * is kept of a row is the text of its cells: what libsmartcols makes of them takes twenty times as much memory.
 */
#ifndef FIPCCTL_TABLE_H
#define FIPCCTL_TABLE_H

#include "column.h"

struct page;

struct table {
	const struct selection *selection;
	const struct settings *settings;
	bool has_colors;
	size_t page_rows; /* of a whole page */
	struct page *pages;
	size_t n_pages;
	size_t widths[COLUMNS_MAX]; /* of the widest cells; the headings are not counted */
	unsigned widened;           /* how often one has become wider */
	int error;                  /* 0, or -errno: what is here is of no use */
};

void table_begin(struct table *ret, const struct selection *selection, const struct settings *settings);
void table_end(struct table *t);

void table_add_row(struct table *t, const json_t *row);
void table_drop_rows(struct table *t);

/* Print it; without rows, nothing. Returns an exit status. */
int table_print(struct table *t);

/* All of that, of an array of JSON objects. */
int table_of(const struct selection *selection, const json_t *rows, const struct settings *settings);

#endif
