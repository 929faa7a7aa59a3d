/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `top` shows: rates, made of two looks at the objects; which rows, in which order, in which columns; as text.
 * It knows neither screen nor clock nor where the objects come from.
 */
#ifndef FIPCCTL_TOP_VIEW_H
#define FIPCCTL_TOP_VIEW_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum top_column { /* texts first, then numbers */
		  TOP_NAME,
		  TOP_TYPE,
		  TOP_STATE,
		  TOP_OWNER,
		  TOP_WAIT,
		  TOP_HOLD,
		  TOP_ACQUIRED,
		  TOP_CONTENDED,
		  TOP_SENT,
		  TOP_RECEIVED,
		  TOP_COLUMNS,
		  TOP_TEXTS = TOP_WAIT,
};

enum { TOP_COUNTERS = 8, TOP_WIDTH_MAX = 400 };

struct top_row {
	char *text[TOP_TEXTS]; /* fit for a terminal */
	char *dir;
	json_int_t inode;
	json_int_t counters[TOP_COUNTERS]; /* -1: it has none such */
	double number[TOP_COLUMNS];        /* of those that are numbers; NaN: not known, or it has none such */
};

struct top_look {             /* at all objects */
	struct top_row *rows; /* in order of what tells them apart */
	size_t n;
	int64_t ns; /* when, on CLOCK_MONOTONIC */
};

struct top_view {
	enum top_column sort; /* texts from a on, numbers from the largest on */
	bool reverse;
	char pattern[128]; /* as the shell's; without any of *?[ it may stand anywhere in the name; "": all */
	const char *type;  /* NULL: all */
	struct top_look now;
	const struct top_row **shown; /* of now */
	size_t n_shown;
};

void top_view_free(struct top_view *v);

/* Take a new look: an array of the interface's type Object. Rates are those since the last one. Returns 0 or -ENOMEM.
 */
int top_view_look(struct top_view *v, const json_t *objects, int64_t ns);

/* After a change of pattern, type or order: choose and order the rows anew. Never fails. */
void top_view_arrange(struct top_view *v);

/* ---- as text ---- */

extern const char *const top_headings[TOP_COLUMNS];

/* How wide each column is in lines of this width; 0: there is no room for it. That of the order is always there. */
struct top_layout {
	unsigned width[TOP_COLUMNS];
};
void top_layout_make(struct top_layout *ret, const struct top_view *v, unsigned width);

/* One cell, filled up with blanks to its column's width. */
void top_cell(char *ret, size_t size, const struct top_layout *l, enum top_column column, const struct top_row *row);
void top_heading(char *ret, size_t size, const struct top_layout *l, enum top_column column);

/* "3/12 objects, ..." and "Order: WAIT  ...". */
void top_summary(char *ret, size_t size, const struct top_view *v);
void top_choice(char *ret, size_t size, const struct top_view *v);

/* 1234567 as 1.2M: at most five characters. */
void top_number(char *ret, size_t size, double number);

#endif
