/* SPDX-License-Identifier: Apache-2.0 */
#include <fipc/registry.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "column.h"
#include "find.h"
#include "say.h"

/* A name as a pattern that matches nothing else. */
static char *literal_pattern(const char *name)
{
	char *pattern = malloc(2 * strlen(name) + 1), *p = pattern;

	if (!pattern)
		return NULL;
	for (; *name; name++) {
		if (strchr("*?[\\", *name))
			*p++ = '\\';
		*p++ = *name;
	}
	*p = '\0';
	return pattern;
}

/* Add to *found the objects of exactly this name, and type if it is not NULL. */
static int find(struct source *source, const char *name, const char *type, json_t *found)
{
	char *pattern = literal_pattern(name);
	json_t *objects = NULL;
	int r = pattern ? source_list(source, pattern, type, &objects) : fail("out of memory");

	if (r == STATUS_DONE && json_array_extend(found, objects))
		r = fail("out of memory");
	json_decref(objects);
	free(pattern);
	return r;
}

/* NAME.TYPE may also be a name with a dot in it. */
static int find_typed(struct source *source, const char *argument, json_t *found)
{
	const char *dot = strrchr(argument, '.');
	char *name;
	int r;

	if (!dot || fipc_type_from_name(dot + 1) < 0)
		return STATUS_DONE;
	name = strndup(argument, (size_t)(dot - argument));
	r = name ? find(source, name, dot + 1, found) : fail("out of memory");
	free(name);
	return r;
}

static int say_ambiguous(const char *argument, const json_t *found)
{
	const json_t *object;
	char names[1000] = "";
	size_t index, used = 0;

	json_array_foreach((json_t *)found, index, object) {
		if (used < sizeof(names))
			used += (size_t)snprintf(names + used, sizeof(names) - used, "%s%s.%s", index ? ", " : "",
						 json_text(object, "name"), json_text(object, "type"));
	}
	return fail("'%s' is more than one: %s; say which", argument, names);
}

static int find_one(struct source *source, const char *argument, const char *type, json_t *found)
{
	int r = find(source, argument, type, found);

	if (r == STATUS_DONE && !type)
		r = find_typed(source, argument, found);
	if (r != STATUS_DONE)
		return r;
	if (json_array_size(found) == 0)
		return fail("there is no object '%s'; see fipcctl list", argument);
	return json_array_size(found) > 1 ? say_ambiguous(argument, found) : STATUS_DONE;
}

int find_and(const struct settings *settings, const char *argument,
	     int (*act)(struct source *source, json_t *object, const struct settings *settings))
{
	struct source *source = NULL;
	json_t *found = json_array();
	int r = found ? source_open(&source, settings) : fail("out of memory");

	if (r == STATUS_DONE)
		r = find_one(source, argument, settings->type, found);
	if (r == STATUS_DONE)
		r = act(source, json_array_get(found, 0), settings);
	json_decref(found);
	source_close(source);
	return r;
}
