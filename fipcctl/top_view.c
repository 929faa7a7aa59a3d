/* SPDX-License-Identifier: Apache-2.0 */
#include "top_view.h"

#include <errno.h>
#include <fnmatch.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "column.h"
#include "object.h"
#include "say.h"

/* ---- a look ---- */

/* Two counters of one column are added. Those of 32 bits wrap around. */
static const struct {
	const char *path;
	enum top_column column;
} counters[TOP_COUNTERS] = {
	{"state.acquisitions", TOP_ACQUIRED}, {"state.reads", TOP_ACQUIRED},    {"state.writes", TOP_ACQUIRED},
	{"state.contended", TOP_CONTENDED},   {"state.sent", TOP_SENT},         {"state.sets", TOP_SENT},
	{"state.signals", TOP_SENT},          {"state.received", TOP_RECEIVED},
};

static double number_at(const json_t *object, const char *path)
{
	const json_t *value = json_at(object, path);

	return json_is_integer(value) ? (double)json_integer_value(value) : NAN;
}

/* Threads that have a lock, or processes that have tokens. */
static double holders(const json_t *object)
{
	double readers = number_at(object, "state.readers"), tokens = number_at(object, "state.n_holders");

	if (!isnan(tokens))
		return tokens;
	if (!json_at(object, "state.acquisitions") && isnan(readers))
		return NAN;
	return (isnan(readers) ? 0 : readers) + (json_number(object, "state.owner_tid") != 0);
}

static void fill_row(struct top_row *row, const json_t *object)
{
	row->text[TOP_NAME] = safe_text(json_text(object, "name"));
	row->text[TOP_TYPE] = format_text(json_object_get(object, "type"));
	row->text[TOP_STATE] = format_state(object);
	row->text[TOP_OWNER] = format_owner(object);
	row->dir = strdup(json_text(object, "dir"));
	row->inode = json_number(object, "inode");
	for (int i = 0; i < TOP_COLUMNS; i++)
		row->number[i] = NAN;
	row->number[TOP_WAIT] = number_at(object, "state.waiters");
	row->number[TOP_HOLD] = holders(object);
	for (int i = 0; i < TOP_COUNTERS; i++) {
		const json_t *value = json_at(object, counters[i].path);

		row->counters[i] = json_is_integer(value) ? json_integer_value(value) : -1;
	}
}

static bool is_whole(const struct top_row *row)
{
	for (int i = 0; i < TOP_TEXTS; i++)
		if (!row->text[i])
			return false;
	return row->dir != NULL;
}

static void look_free(struct top_look *look)
{
	for (size_t i = 0; i < look->n; i++) {
		for (int t = 0; t < TOP_TEXTS; t++)
			free(look->rows[i].text[t]);
		free(look->rows[i].dir);
	}
	free(look->rows);
}

void top_view_free(struct top_view *v)
{
	look_free(&v->now);
	free(v->shown);
}

/* By what tells an object from any other, and from one that had its name before. */
static int compare_identity(const void *a, const void *b)
{
	const struct top_row *x = a, *y = b;
	int r = strcmp(x->text[TOP_NAME], y->text[TOP_NAME]);

	if (r == 0)
		r = strcmp(x->text[TOP_TYPE], y->text[TOP_TYPE]);
	if (r == 0)
		r = strcmp(x->dir, y->dir);
	return r != 0 ? r : (x->inode > y->inode) - (x->inode < y->inode);
}

static int look_make(struct top_look *ret, const json_t *objects, int64_t ns)
{
	size_t index;
	const json_t *object;
	bool whole = true;

	*ret = (struct top_look){.rows = calloc(json_array_size(objects) + 1, sizeof(*ret->rows)), .ns = ns};
	if (!ret->rows)
		return -ENOMEM;
	json_array_foreach ((json_t *)objects, index, object) {
		fill_row(&ret->rows[index], object);
		whole = whole && is_whole(&ret->rows[index]);
		ret->n++;
	}
	if (!whole) {
		look_free(ret);
		return -ENOMEM;
	}
	qsort(ret->rows, ret->n, sizeof(*ret->rows), compare_identity);
	return 0;
}

static double advance(json_int_t before, json_int_t now)
{
	if (now < before && before <= UINT32_MAX)
		now += INT64_C(1) << 32;
	return now < before ? NAN : (double)(now - before);
}

static void rate(struct top_row *now, const struct top_row *before, double seconds)
{
	for (int i = 0; i < TOP_COUNTERS; i++) {
		double *number = &now->number[counters[i].column];

		if (now->counters[i] >= 0 && before->counters[i] >= 0)
			*number = (isnan(*number) ? 0 : *number) +
				  advance(before->counters[i], now->counters[i]) / seconds;
	}
}

static void rate_all(struct top_look *now, const struct top_look *before)
{
	double seconds = (double)(now->ns - before->ns) / 1e9;

	for (size_t i = 0; seconds > 0 && i < now->n; i++) {
		const struct top_row *old =
			bsearch(&now->rows[i], before->rows, before->n, sizeof(*before->rows), compare_identity);

		if (old)
			rate(&now->rows[i], old, seconds);
	}
}

int top_view_look(struct top_view *v, const json_t *objects, int64_t ns)
{
	struct top_look now;
	const struct top_row **shown;
	int r = look_make(&now, objects, ns);

	if (r < 0)
		return r;
	shown = calloc(now.n + 1, sizeof(*shown));
	if (!shown) {
		look_free(&now);
		return -ENOMEM;
	}
	if (v->now.rows)
		rate_all(&now, &v->now);
	top_view_free(v);
	v->now = now;
	v->shown = shown;
	top_view_arrange(v);
	return 0;
}

/* ---- which, and in which order ---- */

static bool is_wanted(const struct top_view *v, const struct top_row *row)
{
	if (v->type && strcmp(v->type, row->text[TOP_TYPE]) != 0)
		return false;
	if (strpbrk(v->pattern, "*?["))
		return fnmatch(v->pattern, row->text[TOP_NAME], 0) == 0;
	return strstr(row->text[TOP_NAME], v->pattern) != NULL;
}

/* What is not known comes last. */
static int compare_number(double a, double b)
{
	if (isnan(a) || isnan(b))
		return !!isnan(a) - !!isnan(b);
	return (a < b) - (a > b);
}

static int compare_column(enum top_column column, const struct top_row *a, const struct top_row *b)
{
	return column < TOP_TEXTS ? strcmp(a->text[column], b->text[column])
				  : compare_number(a->number[column], b->number[column]);
}

/* The busiest first. */
static double activity(const struct top_row *row)
{
	double sum = 0;

	for (enum top_column c = TOP_ACQUIRED; c < TOP_COLUMNS; c++)
		sum += isnan(row->number[c]) ? 0 : row->number[c];
	return sum;
}

static int compare_rows(const void *a, const void *b, void *context)
{
	const struct top_view *v = context;
	const struct top_row *x = *(const struct top_row *const *)a, *y = *(const struct top_row *const *)b;
	int r = compare_column(v->sort, x, y);

	if (v->reverse)
		r = -r;
	if (r == 0)
		r = compare_number(activity(x), activity(y));
	return r != 0 ? r : compare_identity(x, y);
}

void top_view_arrange(struct top_view *v)
{
	v->n_shown = 0;
	for (size_t i = 0; i < v->now.n; i++)
		if (is_wanted(v, &v->now.rows[i]))
			v->shown[v->n_shown++] = &v->now.rows[i];
	qsort_r(v->shown, v->n_shown, sizeof(*v->shown), compare_rows, v);
}

/* ---- as text ---- */

const char *const top_headings[TOP_COLUMNS] = {
	[TOP_NAME] = "NAME",   [TOP_TYPE] = "TYPE",       [TOP_STATE] = "STATE",    [TOP_OWNER] = "OWNER",
	[TOP_WAIT] = "WAIT",   [TOP_HOLD] = "HOLD",       [TOP_ACQUIRED] = "ACQ/S", [TOP_CONTENDED] = "CONT/S",
	[TOP_SENT] = "SENT/S", [TOP_RECEIVED] = "RECV/S",
};

enum { NAME_MIN = 12, NAME_AMPLE = 24 };

static const struct {
	unsigned width, ample; /* where there is room */
} widths[TOP_COLUMNS] = {
	[TOP_NAME] = {NAME_MIN, NAME_AMPLE},
	[TOP_TYPE] = {6, 8},
	[TOP_STATE] = {10, 15},
	[TOP_OWNER] = {7, 15},
	[TOP_WAIT] = {4, 5},
	[TOP_HOLD] = {4, 5},
	[TOP_ACQUIRED] = {6, 6},
	[TOP_CONTENDED] = {6, 6},
	[TOP_SENT] = {6, 6},
	[TOP_RECEIVED] = {6, 6},
};

/* What gives way first. */
static const enum top_column expendable[] = {TOP_RECEIVED,  TOP_SENT,     TOP_HOLD,  TOP_OWNER, TOP_TYPE,
					     TOP_CONTENDED, TOP_ACQUIRED, TOP_STATE, TOP_WAIT};

/* Of a line that has the columns of l, one blank between them. */
static unsigned total(const struct top_layout *l)
{
	unsigned n = 0;

	for (int i = 0; i < TOP_COLUMNS; i++)
		n += l->width[i] ? l->width[i] + 1 : 0;
	return n - 1;
}

void top_layout_make(struct top_layout *ret, const struct top_view *v, unsigned width)
{
	for (int i = 0; i < TOP_COLUMNS; i++)
		ret->width[i] = widths[i].ample;
	for (int i = 0; total(ret) > width && i < TOP_COLUMNS; i++)
		ret->width[i] = widths[i].width;
	for (size_t i = 0; total(ret) > width && i < sizeof(expendable) / sizeof(*expendable); i++)
		if (expendable[i] != v->sort)
			ret->width[expendable[i]] = 0;
	if (total(ret) < width)
		ret->width[TOP_NAME] += width - total(ret);
}

void top_number(char *ret, size_t size, double number)
{
	static const char units[] = " kMGTPE";
	int unit = 0;

	if (isnan(number)) {
		snprintf(ret, size, "-");
		return;
	}
	while (number >= (unit ? 999.5 : 9999.5) && units[unit + 1]) {
		number /= 1000;
		unit++;
	}
	/* 99.95 would become 100.0 */
	if (unit)
		snprintf(ret, size, "%.*f%c", number < 99.95, number, units[unit]);
	else
		snprintf(ret, size, "%.*f", number < 9.95 && number != (double)(int)number, number);
}

/* To the left, or the right, and cut with a mark if it must be. */
static void fit(char *ret, size_t size, const char *text, unsigned width, bool right)
{
	int length = (int)strlen(text);

	if (length > (int)width)
		snprintf(ret, size, "%.*s+", (int)width - 1, text);
	else
		snprintf(ret, size, "%*s", right ? (int)width : -(int)width, text);
}

void top_cell(char *ret, size_t size, const struct top_layout *l, enum top_column column, const struct top_row *row)
{
	char number[24];
	const char *text = column < TOP_TEXTS ? row->text[column] : number;
	char owner[24];

	if (column >= TOP_TEXTS)
		top_number(number, sizeof(number), row->number[column]);
	if (column == TOP_OWNER && strlen(text) > l->width[column]) {
		/* The process is worth more than half a thread. */
		snprintf(owner, sizeof(owner), "%.*s", (int)strcspn(text, "/"), text);
		text = owner;
	}
	fit(ret, size, text, l->width[column], column >= TOP_OWNER);
}

void top_heading(char *ret, size_t size, const struct top_layout *l, enum top_column column)
{
	fit(ret, size, top_headings[column], l->width[column], column >= TOP_OWNER);
}

void top_summary(char *ret, size_t size, const struct top_view *v)
{
	size_t waited = 0, died = 0;

	for (size_t i = 0; i < v->n_shown; i++) {
		waited += v->shown[i]->number[TOP_WAIT] > 0;
		died += !strcmp(v->shown[i]->text[TOP_STATE], "owner-died");
	}
	snprintf(ret, size, "%zu/%zu objects, %zu awaited, %zu owner-died", v->n_shown, v->now.n, waited, died);
}

void top_choice(char *ret, size_t size, const struct top_view *v)
{
	snprintf(ret, size, "Order: %s%s  Names: %s  Type: %s", top_headings[v->sort], v->reverse ? " reversed" : "",
		 *v->pattern ? v->pattern : "all", v->type ? v->type : "all");
}
