/* SPDX-License-Identifier: Apache-2.0 */
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

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
