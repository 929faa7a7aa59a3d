/* SPDX-License-Identifier: Apache-2.0 */
#include <fipc/registry.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "column.h"
#include "command.h"
#include "object.h"
#include "say.h"
#include "source.h"

enum { ERRORS = 200 }; /* errnos of Linux are below */

/* ---- which object is meant ---- */

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

/* ---- the record that people read ---- */

/* The comm of the process with this tracker; "" if nobody knows. */
static const char *comm_of(const json_t *processes, json_int_t tracker)
{
	const json_t *process;
	size_t index;

	json_array_foreach((json_t *)processes, index, process) {
		if (json_number(process, "tracker") == tracker)
			return json_text(process, "comm");
	}
	return "";
}

/* Put each attached process's comm beside it. */
static void add_comms(json_t *object, const json_t *processes)
{
	json_t *attachment;
	size_t index;

	json_array_foreach(json_object_get(object, "attachments"), index, attachment) {
		const char *comm = comm_of(processes, json_number(attachment, "tracker"));

		json_object_set_new(attachment, "comm", json_string(comm));
	}
}

static const char *owner_comm(const json_t *object)
{
	const json_t *attachment;
	size_t index;

	json_array_foreach(json_object_get(object, "attachments"), index, attachment) {
		if (json_number(attachment, "pid") == json_number(object, "state.owner_pid"))
			return json_text(attachment, "comm");
	}
	return "";
}

/* What asprintf(3) makes of it; NULL: no memory. */
static char *text(const char *format, ...) __attribute__((format(printf, 1, 2)));

static char *text(const char *format, ...)
{
	va_list arguments;
	char *ret = NULL;
	int r;

	va_start(arguments, format);
	r = vasprintf(&ret, format, arguments);
	va_end(arguments);
	return r < 0 ? NULL : ret;
}

/* "Permission denied" for "EACCES". */
static const char *error_text(const char *name)
{
	for (int error = 1; error < ERRORS; error++) {
		const char *known = strerrorname_np(error);

		if (known && !strcmp(known, name))
			return strerror(error);
	}
	return name;
}

static char *error_line(const json_t *object)
{
	const char *name = json_text(object, "error");

	return *name ? safe_text(error_text(name)) : strdup("");
}

static char *state_line(const json_t *object)
{
	char *state = format_state(object), *owner = format_owner(object), *comm = safe_text(owner_comm(object));
	char *line = NULL;

	if (state && owner && comm && strcmp(owner, "-"))
		line = text("%s by process %s%s%s%s", state, owner, *comm ? " (" : "", comm, *comm ? ")" : "");
	else if (state)
		line = strdup(state);
	free(comm);
	free(owner);
	free(state);
	return line;
}

/* Only of a lock with timestamps. */
static char *held_line(const json_t *object)
{
	json_int_t since = json_number(object, "state.acquired_nsec");
	struct timespec now;

	if (!since || !json_number(object, "state.owner_tid"))
		return strdup("");
	clock_gettime(CLOCK_MONOTONIC, &now);
	return text("%.3f s", (double)now.tv_sec - (double)since / 1e9 + (double)now.tv_nsec / 1e9);
}

static char *waiters_line(const json_t *object)
{
	return text("%" JSON_INTEGER_FORMAT, json_number(object, "state.waiters"));
}

static char *acquired_line(const json_t *object)
{
	return text("%" JSON_INTEGER_FORMAT ", of which %" JSON_INTEGER_FORMAT " after waiting",
		    json_number(object, "state.acquisitions"), json_number(object, "state.contended"));
}

static char *deaths_line(const json_t *object)
{
	return text("%" JSON_INTEGER_FORMAT, json_number(object, "state.owner_deaths"));
}

static char *permissions_line(const json_t *object)
{
	char *user = format_user(json_object_get(object, "uid"));
	char *line = user ? text("%04o, user %s, group %" JSON_INTEGER_FORMAT, (unsigned)json_number(object, "mode"),
				 user, json_number(object, "gid"))
			  : NULL;

	free(user);
	return line;
}

static char *created_line(const json_t *object)
{
	char *when = format_microseconds(json_object_get(object, "created_usec"));
	char *line = when ? text("%s by process %" JSON_INTEGER_FORMAT " of PID namespace %" JSON_INTEGER_FORMAT, when,
				 json_number(object, "creator_pid"), json_number(object, "pidns"))
			  : NULL;

	free(when);
	return line;
}

static char *flags_line(const json_t *object)
{
	char *flags = format_flags(object);

	if (flags && !strcmp(flags, "-"))
		*flags = '\0';
	return flags;
}

static char *file_line(const json_t *object)
{
	char *directory = safe_text(json_text(object, "dir"));
	char *line =
		directory ? text("%s, inode %" JSON_INTEGER_FORMAT, directory, json_number(object, "inode")) : NULL;

	free(directory);
	return line;
}

static char *attached_line(const json_t *object)
{
	return text("%" JSON_INTEGER_FORMAT " alive, %" JSON_INTEGER_FORMAT " dead, %" JSON_INTEGER_FORMAT " unknown",
		    json_number(object, "attached"), json_number(object, "dead"), json_number(object, "unknown"));
}

static char *verdict_line(const json_t *object)
{
	char *why = safe_text(json_text(object, "reclaim.text"));
	char *line =
		why ? text("%s: %s", json_truth(object, "reclaim.takes") ? "gc would remove it" : "stays", why) : NULL;

	free(why);
	return line;
}

static const struct record_line {
	const char *label;
	char *(*make)(const json_t *object); /* "": nothing to say */
	const char *needs;                   /* only if there is a value at this path */
} record[] = {
	{"State", state_line, "state"},
	{"Unreadable", error_line, "error"},
	{"Held for", held_line, "state"},
	{"Waiters", waiters_line, "state"},
	{"Acquired", acquired_line, "state"},
	{"Owners died", deaths_line, "state"},
	{"Permissions", permissions_line, "mode"},
	{"Created", created_line, "created_usec"},
	{"Flags", flags_line, "flags"},
	{"Directory", file_line, "dir"},
	{"Attached", attached_line, "attached"},
	{"Verdict", verdict_line, "reclaim"},
};

static void print_record(const json_t *object)
{
	char *name = safe_text(json_text(object, "name")), *type = safe_text(json_text(object, "type"));

	if (name && type)
		printf("%s%s%s\n", name, *type ? "." : "", type);
	free(name);
	free(type);
	for (size_t i = 0; i < sizeof(record) / sizeof(*record); i++) {
		char *line = json_at(object, record[i].needs) ? record[i].make(object) : NULL;

		if (line && *line)
			printf("  %-12s %s\n", record[i].label, line);
		free(line);
	}
}

static char *format_incarnation(const json_t *value)
{
	return strdup(json_is_true(value) ? "this" : "an earlier one");
}

static const struct column attachment_columns[] = {
	{"PID", "its pid, as it saw itself", "pid", format_integer, ALIGN_RIGHT},
	{"LIFE", "alive, dead, or unknown", "life", format_text, ALIGN_LEFT},
	{"UID", "its user", "uid", format_integer, ALIGN_RIGHT},
	{"COMM", "what it called itself", "comm", format_text, ALIGN_LEFT},
	{"OBJECT", "this one, or one that had the name before", "current", format_incarnation, ALIGN_LEFT},
	{0},
};

static int print_attachments(const json_t *object, const struct settings *settings)
{
	const json_t *attachments = json_object_get(object, "attachments");
	struct selection selection = {.n = 0};

	if (json_array_size(attachments) == 0)
		return STATUS_DONE;
	for (const struct column *c = attachment_columns; c->name; c++)
		selection.columns[selection.n++] = c;
	putchar('\n');
	return columns_table(&selection, attachments, settings);
}

static int print_for_people(struct source *source, json_t *object, const struct settings *settings)
{
	json_t *processes = NULL;
	int r = source_processes(source, &processes);

	if (r != STATUS_DONE)
		return r;
	add_comms(object, processes);
	json_decref(processes);
	print_record(object);
	return print_attachments(object, settings);
}

/* ---- the command ---- */

static int show(struct source *source, const struct settings *settings, const char *argument, json_t *found)
{
	int r = find_one(source, argument, settings->type, found);
	json_t *object = json_array_get(found, 0);

	if (r != STATUS_DONE)
		return r;
	return settings->json ? print_json("object", object) : print_for_people(source, object, settings);
}

static int run(const struct command *self, const struct settings *settings, char **arguments)
{
	struct source *source = NULL;
	json_t *found = json_array();
	int r = found ? source_open(&source, settings) : fail("out of memory");

	(void)self;
	if (r == STATUS_DONE)
		r = show(source, settings, arguments[0], found);
	json_decref(found);
	source_close(source);
	return r;
}

const struct command command_show = {
	.name = "show",
	.arguments = "NAME[.TYPE]",
	.summary = "all about one object, and who has it",
	.takes = TAKES_TYPE,
	.min_arguments = 1,
	.max_arguments = 1,
	.run = run,
};
