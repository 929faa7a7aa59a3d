/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <libsmartcols/libsmartcols.h>
#include <stdlib.h>
#include <string.h>

#include "color.h"
#include "say.h"
#include "table.h"

static int add_column(struct libscols_table *lines, const struct column *c)
{
	static const int flags[] = {
		[ALIGN_LEFT] = 0, [ALIGN_RIGHT] = SCOLS_FL_RIGHT, [ALIGN_LEFT_CUT] = SCOLS_FL_TRUNC};

	struct libscols_column *column = scols_table_new_column(lines, c->name, 0, flags[c->align]);

	if (!column)
		return -ENOMEM;
	return scols_cell_set_color(scols_column_get_header(column), shade_begin(SHADE_HEADING));
}

void table_begin(struct table *ret, const struct selection *selection, const struct settings *settings)
{
	struct libscols_table *lines = scols_new_table();

	*ret = (struct table){
		.selection = selection,
		.lines = lines,
		.has_colors = color_wanted(settings),
		.error = lines ? 0 : -ENOMEM,
	};
	if (!lines)
		return;
	scols_table_enable_noheadings(lines, settings->no_headings);
	scols_table_enable_colors(lines, ret->has_colors);
	scols_table_enable_noencoding(lines, 1); /* cells are printable ASCII already */
	for (unsigned i = 0; ret->error == 0 && i < selection->n; i++)
		ret->error = add_column(lines, selection->columns[i]);
}

void table_end(struct table *t)
{
	scols_unref_table(t->lines);
}

/* The cell is taken over, also on failure. NULL: no memory. */
static int add_cell(const struct table *t, struct libscols_line *line, unsigned i, char *cell)
{
	const char *color = "";
	int r = cell ? scols_line_refer_data(line, i, cell) : -ENOMEM;

	if (r)
		free(cell);
	else if (t->has_colors)
		color = shade_begin(shade_of(t->selection->columns[i]->name, cell));
	return r == 0 && *color ? scols_cell_set_color(scols_line_get_cell(line, i), color) : r;
}

static int add_row(const struct table *t, const json_t *row)
{
	const struct selection *s = t->selection;
	struct libscols_line *line = scols_table_new_line(t->lines, NULL);
	int r = line ? 0 : -ENOMEM;

	for (unsigned i = 0; r == 0 && i < s->n; i++)
		r = add_cell(t, line, i, s->columns[i]->format(json_at(row, s->columns[i]->path)));
	return r;
}

void table_add_row(struct table *t, const json_t *row)
{
	if (t->error == 0)
		t->error = add_row(t, row);
}

void table_drop_rows(struct table *t)
{
	if (t->lines)
		scols_table_remove_lines(t->lines);
}

int table_print(const struct table *t)
{
	int r = t->error;

	if (r == 0 && scols_table_get_nlines(t->lines) > 0)
		r = scols_print_table(t->lines);
	return r ? fail("cannot print the table: %s", strerror(-r)) : STATUS_DONE;
}

int table_of(const struct selection *selection, const json_t *rows, const struct settings *settings)
{
	struct table table;
	size_t index;
	json_t *row;
	int r;

	table_begin(&table, selection, settings);
	json_array_foreach((json_t *)rows, index, row)
		table_add_row(&table, row);
	r = table_print(&table);
	table_end(&table);
	return r;
}
