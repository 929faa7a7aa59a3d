/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <libsmartcols/libsmartcols.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "color.h"
#include "say.h"
#include "table.h"

enum { PAGE_ROWS = 512 }; /* what is made of them while they are laid out stays in the processor's cache */

struct page {
	char *cells; /* one behind the other, each with its NUL */
	size_t size, room;
	size_t rows;
	char *text;       /* laid out; NULL: not yet */
	unsigned widened; /* as it was then: if a column has become wider since, the text is of no use */
};

/* ---- laying out ---- */

static int add_column(struct libscols_table *lines, const struct column *c, size_t width)
{
	static const int flags[] = {
		[ALIGN_LEFT] = 0, [ALIGN_RIGHT] = SCOLS_FL_RIGHT, [ALIGN_LEFT_CUT] = SCOLS_FL_TRUNC};

	struct libscols_column *column = scols_table_new_column(lines, c->name, (double)width, flags[c->align]);

	if (!column)
		return -ENOMEM;
	return scols_cell_set_color(scols_column_get_header(column), shade_begin(SHADE_HEADING));
}

static int add_columns(const struct table *t, const struct page *p, struct libscols_table *lines)
{
	const struct selection *s = t->selection;
	int r = 0;

	scols_table_enable_noheadings(lines, t->settings->no_headings || p > t->pages);
	scols_table_enable_colors(lines, t->has_colors);
	scols_table_enable_noencoding(lines, 1); /* cells are printable ASCII already */
	for (unsigned i = 0; r == 0 && i < s->n; i++)
		r = add_column(lines, s->columns[i], t->n_pages > 1 ? t->widths[i] : 0);
	return r;
}

static int add_cell(const struct table *t, struct libscols_line *line, unsigned i, const char *cell)
{
	const char *color = t->has_colors ? shade_begin(shade_of(t->selection->columns[i]->name, cell)) : "";
	int r = scols_line_set_data(line, i, cell);

	return r == 0 && *color ? scols_cell_set_color(scols_line_get_cell(line, i), color) : r;
}

static int add_lines(const struct table *t, const struct page *p, struct libscols_table *lines)
{
	const char *cell = p->cells;
	int r = 0;

	for (size_t row = 0; r == 0 && row < p->rows; row++) {
		struct libscols_line *line = scols_table_new_line(lines, NULL);

		r = line ? 0 : -ENOMEM;
		for (unsigned i = 0; r == 0 && i < t->selection->n; i++, cell += strlen(cell) + 1)
			r = add_cell(t, line, i, cell);
	}
	return r;
}

static int lay_out(const struct table *t, struct page *p)
{
	struct libscols_table *lines = scols_new_table();
	int r = lines ? add_columns(t, p, lines) : -ENOMEM;

	free(p->text);
	p->text = NULL;
	if (r == 0)
		r = add_lines(t, p, lines);
	if (r == 0)
		r = scols_print_table_to_string(lines, &p->text);
	p->widened = t->widened;
	scols_unref_table(lines);
	return r;
}

/* ---- rows ---- */

void table_begin(struct table *ret, const struct selection *selection, const struct settings *settings)
{
	*ret = (struct table){
		.selection = selection,
		.settings = settings,
		.has_colors = color_wanted(settings),
		/* On a terminal columns give way to each other if there is not enough room for all: that needs all rows. */
		.page_rows = isatty(STDOUT_FILENO) ? SIZE_MAX : PAGE_ROWS,
	};
}

void table_drop_rows(struct table *t)
{
	for (size_t i = 0; i < t->n_pages; i++) {
		free(t->pages[i].cells);
		free(t->pages[i].text);
	}
	t->n_pages = 0;
	memset(t->widths, 0, sizeof(t->widths));
}

void table_end(struct table *t)
{
	table_drop_rows(t);
	free(t->pages);
}

static int make_room(struct page *p, size_t size)
{
	size_t room = p->room > size ? 2 * p->room : p->room + size;
	char *cells;

	if (p->room - p->size >= size)
		return 0;
	cells = realloc(p->cells, room);
	if (!cells)
		return -ENOMEM;
	p->cells = cells;
	p->room = room;
	return 0;
}

static int keep_cell(struct table *t, struct page *p, unsigned i, const char *cell)
{
	size_t width = cell ? strlen(cell) : 0;
	int r = cell ? make_room(p, width + 1) : -ENOMEM;

	if (r)
		return r;
	memcpy(p->cells + p->size, cell, width + 1);
	p->size += width + 1;
	if (width > t->widths[i]) {
		t->widths[i] = width;
		t->widened++;
	}
	return 0;
}

/* The page that is not full; NULL: no memory. */
static struct page *page_to_fill(struct table *t)
{
	struct page *last = t->n_pages > 0 ? &t->pages[t->n_pages - 1] : NULL, *pages;

	if (last && last->rows < t->page_rows)
		return last;
	pages = realloc(t->pages, (t->n_pages + 1) * sizeof(*pages));
	if (!pages)
		return NULL;
	t->pages = pages;
	pages[t->n_pages] = (struct page){.rows = 0};
	return &pages[t->n_pages++];
}

static int add_row(struct table *t, const json_t *row)
{
	const struct selection *s = t->selection;
	struct page *p = page_to_fill(t);
	int r = p ? 0 : -ENOMEM;

	for (unsigned i = 0; r == 0 && i < s->n; i++) {
		char *cell = s->columns[i]->format(json_at(row, s->columns[i]->path));

		r = keep_cell(t, p, i, cell);
		free(cell);
	}
	if (r == 0 && ++p->rows == t->page_rows)
		r = lay_out(t, p);
	return r;
}

void table_add_row(struct table *t, const json_t *row)
{
	if (t->error == 0)
		t->error = add_row(t, row);
}

/* ---- all of it ---- */

static int print_page(const struct table *t, struct page *p)
{
	int r = p->text && p->widened == t->widened ? 0 : lay_out(t, p);

	return r == 0 && puts(p->text) == EOF ? -errno : r;
}

int table_print(struct table *t)
{
	int r = t->error;

	for (size_t i = 0; r == 0 && i < t->n_pages; i++)
		r = print_page(t, &t->pages[i]);
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
