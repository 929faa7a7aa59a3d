/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <libsmartcols/libsmartcols.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "color.h"
#include "column.h"
#include "say.h"

static const char separators[] = ", ";

static const struct column *column_by_name(const struct column *columns, const char *name)
{
	for (const struct column *c = columns; c->name; c++)
		if (!strcasecmp(c->name, name))
			return c;
	return NULL;
}

static int unknown_column(const struct column *columns, const char *name)
{
	char names[1024] = "";
	size_t used = 0;

	for (const struct column *c = columns; c->name && used < sizeof(names); c++)
		used += (size_t)snprintf(names + used, sizeof(names) - used, " %s", c->name);
	return misuse("there is no column '%s'; there are%s", name, names);
}

/* Add the columns of a list, which this eats. */
static int select_list(struct selection *s, const struct column *columns, char *list)
{
	char *rest = NULL;

	for (char *name = strtok_r(list, separators, &rest); name; name = strtok_r(NULL, separators, &rest)) {
		const struct column *c = column_by_name(columns, name);

		if (!c)
			return unknown_column(columns, name);
		if (s->n == COLUMNS_MAX)
			return misuse("--output: more than %d columns", COLUMNS_MAX);
		s->columns[s->n++] = c;
	}
	return STATUS_DONE;
}

static int select_copy(struct selection *s, const struct column *columns, const char *list)
{
	char *copy = strdup(list);
	int r;

	if (!copy)
		return fail("out of memory");
	r = select_list(s, columns, copy);
	free(copy);
	return r;
}

int columns_select(struct selection *ret, const struct command *command, const struct settings *settings)
{
	const char *list = settings->columns;
	int r = STATUS_DONE;

	ret->n = 0;
	if (!list || *list == '+')
		r = select_copy(ret, command->columns, command->default_columns);
	if (r == STATUS_DONE && list)
		r = select_copy(ret, command->columns, list + (*list == '+'));
	if (r == STATUS_DONE && !ret->n)
		return misuse("--output names no column; see fipcctl %s --help", command->name);
	return r;
}

static int add_column(struct libscols_table *table, const struct column *c)
{
	static const int flags[] = {
		[ALIGN_LEFT] = 0, [ALIGN_RIGHT] = SCOLS_FL_RIGHT, [ALIGN_LEFT_CUT] = SCOLS_FL_TRUNC};

	struct libscols_column *column = scols_table_new_column(table, c->name, 0, flags[c->align]);

	if (!column)
		return -ENOMEM;
	return scols_cell_set_color(scols_column_get_header(column), shade_begin(SHADE_HEADING));
}

/* The cell is taken over, also on failure. NULL: no memory. */
static int add_cell(struct libscols_line *line, unsigned i, const char *column, char *cell)
{
	const char *color = cell ? shade_begin(shade_of(column, cell)) : "";
	int r = cell ? scols_line_refer_data(line, i, cell) : -ENOMEM;

	if (r)
		free(cell);
	return r == 0 && *color ? scols_cell_set_color(scols_line_get_cell(line, i), color) : r;
}

static int add_row(struct libscols_table *table, const struct selection *s, const json_t *row)
{
	struct libscols_line *line = scols_table_new_line(table, NULL);
	int r = line ? 0 : -ENOMEM;

	for (unsigned i = 0; r == 0 && i < s->n; i++)
		r = add_cell(line, i, s->columns[i]->name, s->columns[i]->format(json_at(row, s->columns[i]->path)));
	return r;
}

static int fill_table(struct libscols_table *table, const struct selection *s, const json_t *rows)
{
	size_t index;
	json_t *row;
	int r = 0;

	for (unsigned i = 0; r == 0 && i < s->n; i++)
		r = add_column(table, s->columns[i]);
	json_array_foreach((json_t *)rows, index, row) {
		if (r == 0)
			r = add_row(table, s, row);
	}
	return r;
}

int columns_table(const struct selection *selection, const json_t *rows, const struct settings *settings)
{
	struct libscols_table *table = scols_new_table();
	int r;

	if (!table)
		return fail("out of memory");
	scols_table_enable_noheadings(table, settings->no_headings);
	scols_table_enable_colors(table, color_wanted(settings));
	scols_table_enable_noencoding(table, 1); /* cells are printable ASCII already */
	r = fill_table(table, selection, rows);
	if (r == 0 && json_array_size(rows) > 0)
		r = scols_print_table(table);
	scols_unref_table(table);
	return r ? fail("cannot print the table: %s", strerror(-r)) : STATUS_DONE;
}

void columns_print(const struct column *columns, const char *defaults)
{
	printf("\nColumns (usual: %s)\n", defaults);
	for (const struct column *c = columns; c->name; c++)
		printf("  %-13s %s\n", c->name, c->help);
}

const json_t *json_at(const json_t *value, const char *path)
{
	while (value && *path) {
		size_t length = strcspn(path, ".");

		value = json_object_getn(value, path, length);
		path += length + (path[length] == '.');
	}
	return value;
}

const char *json_text(const json_t *value, const char *path)
{
	const char *text = json_string_value(json_at(value, path));

	return text ? text : "";
}

json_int_t json_number(const json_t *value, const char *path)
{
	return json_integer_value(json_at(value, path));
}

int json_truth(const json_t *value, const char *path)
{
	return json_is_true(json_at(value, path));
}

char *format_text(const json_t *value)
{
	const char *text = json_string_value(value);

	return text && *text ? safe_text(text) : strdup("-");
}

char *format_integer(const json_t *value)
{
	char text[24];

	if (!json_is_integer(value))
		return strdup("-");
	snprintf(text, sizeof(text), INT, json_integer_value(value));
	return strdup(text);
}

char *format_nonzero(const json_t *value)
{
	return json_integer_value(value) ? format_integer(value) : strdup("-");
}

char *format_mode(const json_t *value)
{
	char text[24];

	if (!json_is_integer(value))
		return strdup("-");
	snprintf(text, sizeof(text), "%04o", (unsigned)json_integer_value(value));
	return strdup(text);
}

char *format_user(const json_t *value)
{
	const struct passwd *user = json_is_integer(value) ? getpwuid((uid_t)json_integer_value(value)) : NULL;

	return user ? safe_text(user->pw_name) : format_integer(value);
}

char *format_microseconds(const json_t *value)
{
	time_t seconds = (time_t)(json_integer_value(value) / 1000000);
	struct tm tm;
	char text[64];

	if (seconds <= 0 || !localtime_r(&seconds, &tm) || !strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm))
		return strdup("-");
	return strdup(text);
}
