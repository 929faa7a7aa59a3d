/* SPDX-License-Identifier: Apache-2.0 */
#include <fipc/registry.h>
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

/* The comm of the attached process with this pid; "" if nobody knows. */
static const char *attached_comm(const json_t *object, json_int_t pid)
{
	const json_t *attachment;
	size_t index;

	json_array_foreach(json_object_get(object, "attachments"), index, attachment) {
		if (json_number(attachment, "pid") == pid)
			return json_text(attachment, "comm");
	}
	return "";
}

/* And beside each holder. */
static void add_holders_comms(json_t *object)
{
	json_t *holder;
	size_t index;

	json_array_foreach((json_t *)json_at(object, "state.holders"), index, holder) {
		const char *comm = attached_comm(object, json_number(holder, "pid"));

		json_object_set_new(holder, "comm", json_string(comm));
	}
}

/* "process 1234 (comm)" for what format_*() or we made of a pid. */
static char *process_text(const json_t *object, const char *pid, const char *pid_at)
{
	char *comm = safe_text(attached_comm(object, json_number(object, pid_at)));
	char *text = NULL;

	if (comm)
		text = *comm ? make_text("process %s (%s)", pid, comm) : make_text("process %s", pid);
	free(comm);
	return text;
}

static char *process_at(const json_t *object, const char *path)
{
	char *pid = make_text(INT, json_number(object, path));
	char *text = pid ? process_text(object, pid, path) : NULL;

	free(pid);
	return text;
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
	char *state = format_state(object), *owner = format_owner(object);
	char *who = owner ? process_text(object, owner, "state.owner_pid") : NULL;
	char *line = NULL;

	if (state && who && strcmp(owner, "-"))
		line = make_text("%s by %s", state, who);
	else if (state)
		line = strdup(state);
	free(who);
	free(owner);
	free(state);
	return line;
}

static double seconds_since_acquired(const json_t *object)
{
	json_int_t since = json_number(object, "state.acquired_nsec");
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec - (double)since / 1e9 + (double)now.tv_nsec / 1e9;
}

/* Of a lock with timestamps. */
static char *held_line(const json_t *object)
{
	if (!json_number(object, "state.owner_tid"))
		return strdup("");
	return make_text("%.3f s", seconds_since_acquired(object));
}

static char *waiters_line(const json_t *object)
{
	if (json_at(object, "state.receivers"))
		return make_text(INT " to receive, " INT " to send", json_number(object, "state.receivers"),
				 json_number(object, "state.senders"));
	return make_text(INT, json_number(object, "state.waiters"));
}

static char *acquired_line(const json_t *object)
{
	return make_text(INT ", of which " INT " after waiting", json_number(object, "state.acquisitions"),
			 json_number(object, "state.contended"));
}

static char *tokens_line(const json_t *object)
{
	json_int_t tokens = json_number(object, "state.tokens");

	if (!json_at(object, "state.n_holders"))
		return make_text(INT " free", tokens);
	return make_text(INT " free; processes that have some: " INT, tokens, json_number(object, "state.n_holders"));
}

static char *taken_line(const json_t *object)
{
	char *who = process_at(object, "state.last_pid");
	char *line = who && json_at(object, "state.acquired_nsec")
			     ? make_text("by %s, %.3f s ago", who, seconds_since_acquired(object))
		     : who ? make_text("by %s", who)
			   : NULL;

	free(who);
	return line;
}

static char *readers_line(const json_t *object)
{
	return make_text(INT " of at most " INT, json_number(object, "state.readers"),
			 json_number(object, "state.max_readers"));
}

static char *used_line(const json_t *object)
{
	return make_text(INT " times to read, " INT " to write; " INT " of these after waiting",
			 json_number(object, "state.reads"), json_number(object, "state.writes"),
			 json_number(object, "state.contended"));
}

static char *messages_line(const json_t *object)
{
	return make_text(INT " of at most " INT ", of up to " INT " bytes each", json_number(object, "state.messages"),
			 json_number(object, "state.max_messages"), json_number(object, "state.max_message_size"));
}

static char *passed_line(const json_t *object)
{
	return make_text(INT " sent, " INT " received", json_number(object, "state.sent"),
			 json_number(object, "state.received"));
}

static char *notified_line(const json_t *object)
{
	return process_at(object, "state.notify_pid");
}

static char *bytes_line(const json_t *object)
{
	return make_text(INT " bytes; " INT " bytes of memory", json_number(object, "state.bytes"),
			 json_number(object, "state.allocated"));
}

static char *sets_line(const json_t *object)
{
	return make_text(INT, json_number(object, "state.sets"));
}

static char *signals_line(const json_t *object)
{
	return make_text(INT, json_number(object, "state.signals"));
}

static char *deaths_line(const json_t *object)
{
	json_int_t owners = json_number(object, "state.owner_deaths");

	return json_at(object, "state.reader_deaths")
		       ? make_text(INT " writing, " INT " reading", owners, json_number(object, "state.reader_deaths"))
		       : make_text(INT, owners);
}

static char *permissions_line(const json_t *object)
{
	char *user = format_user(json_object_get(object, "uid"));
	char *line = user ? make_text("%04o, user %s, group " INT, (unsigned)json_number(object, "mode"),
				 user, json_number(object, "gid"))
			  : NULL;

	free(user);
	return line;
}

static char *created_line(const json_t *object)
{
	char *when = format_microseconds(json_object_get(object, "created_usec"));
	char *line = when ? make_text("%s by process " INT " of PID namespace " INT, when,
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
		directory ? make_text("%s, inode " INT, directory, json_number(object, "inode")) : NULL;

	free(directory);
	return line;
}

static char *attached_line(const json_t *object)
{
	return make_text(INT " alive, " INT " dead, " INT " unknown", json_number(object, "attached"),
			 json_number(object, "dead"), json_number(object, "unknown"));
}

static char *verdict_line(const json_t *object)
{
	char *why = safe_text(json_text(object, "reclaim.text"));
	char *line =
		why ? make_text("%s: %s", json_truth(object, "reclaim.takes") ? "gc would remove it" : "stays", why) : NULL;

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
	{"Held for", held_line, "state.acquired_nsec"},
	{"Tokens", tokens_line, "state.tokens"},
	{"Last taken", taken_line, "state.last_pid"},
	{"Readers", readers_line, "state.readers"},
	{"Messages", messages_line, "state.messages"},
	{"Passed on", passed_line, "state.sent"},
	{"Contents", bytes_line, "state.bytes"},
	{"Waiters", waiters_line, "state.waiters"},
	{"Notifies", notified_line, "state.notify_pid"},
	{"Times set", sets_line, "state.sets"},
	{"Signals", signals_line, "state.signals"},
	{"Acquired", acquired_line, "state.acquisitions"},
	{"Acquired", used_line, "state.reads"},
	{"Died inside", deaths_line, "state.owner_deaths"},
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

static const struct column holder_columns[] = {
	{"HOLDER", "a process with tokens", "pid", format_integer, ALIGN_RIGHT},
	{"TOKENS", "how many", "count", format_integer, ALIGN_RIGHT},
	{"COMM", "what it called itself", "comm", format_text, ALIGN_LEFT},
	{0},
};

static const struct column reader_columns[] = {
	{"READER", "a process with a thread that reads", "pid", format_integer, ALIGN_RIGHT},
	{"THREAD", "that thread", "tid", format_integer, ALIGN_RIGHT},
	{"COMM", "what the process called itself", "comm", format_text, ALIGN_LEFT},
	{0},
};

static int print_rows(const struct column *columns, const json_t *rows, const struct settings *settings)
{
	struct selection selection = {.n = 0};

	if (json_array_size(rows) == 0)
		return STATUS_DONE;
	for (const struct column *c = columns; c->name; c++)
		selection.columns[selection.n++] = c;
	putchar('\n');
	return columns_table(&selection, rows, settings);
}

static int print_holders(const json_t *object, const struct settings *settings)
{
	const json_t *holders = json_at(object, "state.holders");
	const char *all = json_at(object, "state.readers") ? "state.readers" : "state.n_holders";
	const struct column *columns = json_at(object, "state.readers") ? reader_columns : holder_columns;
	json_int_t more = json_number(object, all) - (json_int_t)json_array_size(holders);
	int r = print_rows(columns, holders, settings);

	if (r == STATUS_DONE && more > 0)
		printf("and " INT " more\n", more);
	return r;
}

static int print_for_people(struct source *source, json_t *object, const struct settings *settings)
{
	json_t *processes = NULL;
	int r = source_processes(source, &processes);

	if (r != STATUS_DONE)
		return r;
	add_comms(object, processes);
	add_holders_comms(object);
	json_decref(processes);
	print_record(object);
	r = print_holders(object, settings);
	return r == STATUS_DONE ? print_rows(attachment_columns, json_object_get(object, "attachments"), settings) : r;
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
