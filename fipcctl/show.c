/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fipc/registry.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "color.h"
#include "column.h"
#include "command.h"
#include "find.h"
#include "object.h"
#include "say.h"
#include "source.h"
#include "table.h"

enum { ERRORS = 200 }; /* errnos of Linux are below */

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

static char *owner_line(const json_t *object)
{
	char *user = format_user(json_at(object, "state.owner_uid"));
	char *line = user ? make_text("user %s, thread " INT, user, json_number(object, "state.owner_tid")) : NULL;

	free(user);
	return line;
}

/* This one acquisition. Exact of a lock with timestamps; else it is known since when somebody waits for its end. */
static char *held_line(const json_t *object)
{
	json_int_t nsec = held_nsec(object);

	return nsec < 0 ? strdup("")
			: make_text("%s%.3f s", json_at(object, "state.acquired_nsec") ? "" : "at least ",
				    (double)nsec / 1e9);
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

static char *had_line(const json_t *object)
{
	return format_microseconds(json_at(object, "state.acquired_usec"));
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
	char *flags = format_flags(json_object_get(object, "flags"));

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
	{"Owner", owner_line, "state.owner_uid"},
	{"Unreadable", error_line, "error"},
	{"Held for", held_line, "state.owner_tid"},
	{"Tokens", tokens_line, "state.tokens"},
	{"Last taken", taken_line, "state.last_pid"},
	{"Last had", had_line, "state.acquired_usec"},
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

static void print_line(const char *label, const char *line, bool color)
{
	const char *begin = color ? shade_begin(shade_of(label, line)) : "";

	printf("  %-12s %s%s%s\n", label, begin, line, *begin ? SHADE_END : "");
}

static void print_record(const json_t *object, bool color)
{
	char *name = safe_text(json_text(object, "name")), *type = safe_text(json_text(object, "type"));

	if (name && type)
		printf("%s%s%s\n", name, *type ? "." : "", type);
	free(name);
	free(type);
	for (size_t i = 0; i < sizeof(record) / sizeof(*record); i++) {
		char *line = json_at(object, record[i].needs) ? record[i].make(object) : NULL;

		if (line && *line)
			print_line(record[i].label, line, color);
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
	{"UID", "its user", "uid", format_integer, ALIGN_RIGHT},
	{"COMM", "what the process called itself", "comm", format_text, ALIGN_LEFT},
	{0},
};

static const struct column sleeper_columns[] = {
	{"SLEEPER", "a process with a thread that sleeps on it", "pid", format_integer, ALIGN_RIGHT},
	{"THREAD", "that thread", "tid", format_integer, ALIGN_RIGHT},
	{"UID", "its user", "uid", format_integer, ALIGN_RIGHT},
	{"COMM", "what the process called itself", "comm", format_text, ALIGN_LEFT},
	{"WANTS", "what it sleeps for", "kind", format_text, ALIGN_LEFT},
	{"SLEEPS", "how long, at least", "since_nsec", format_since, ALIGN_RIGHT},
	{"TIMED", "whether up to a deadline only", "timed", format_yes, ALIGN_LEFT},
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
	return table_of(&selection, rows, settings);
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

static int print_sleepers(const json_t *object, const struct settings *settings)
{
	const json_t *sleepers = json_at(object, "state.sleepers");
	json_int_t more = json_number(object, "state.waiters") - (json_int_t)json_array_size(sleepers);
	int r = print_rows(sleeper_columns, sleepers, settings);

	if (r == STATUS_DONE && json_array_size(sleepers) > 0 && more > 0)
		printf("and " INT " more\n", more);
	return r;
}

/* ---- the owner's kernel stack ---- */

/* Why there is none, on standard error: that is no failure. */
static void say_no_stack(const json_t *object, int error)
{
	char *owner = format_owner(object);

	if (error == EACCES || error == EPERM)
		say("cannot read the kernel stack of process %s: the kernel shows it to root alone",
		    owner ? owner : "?");
	else
		say("cannot read the kernel stack of process %s: %s", owner ? owner : "?", strerror(error));
	free(owner);
}

/* The lines; an array of none if it cannot be had. */
static json_t *read_stack(const json_t *object)
{
	json_t *lines = json_array();
	char path[80], line[256];
	FILE *f;

	if (!json_number(object, "state.owner_tid")) {
		say("nobody has it: --stack has nothing to show");
		return lines;
	}
	/* Through the thread alone where the object does not say whose it is. */
	snprintf(path, sizeof(path), "/proc/" INT "/stack", json_number(object, "state.owner_tid"));
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		json_array_append_new(lines, json_string(line));
	}
	if (!f || ferror(f))
		say_no_stack(object, errno);
	if (f)
		fclose(f);
	return lines;
}

static bool is_of_our_namespace(const json_t *object)
{
	struct stat st;

	return stat("/proc/self/ns/pid", &st) < 0 || (json_int_t)st.st_ino == json_number(object, "pidns");
}

static void add_stack(json_t *object)
{
	if (is_of_our_namespace(object))
		json_object_set_new(json_object_get(object, "state"), "owner_stack", read_stack(object));
	else
		say("cannot read the kernel stack of its owner: it is in another PID namespace");
}

static void print_stack(const json_t *object)
{
	const json_t *lines = json_at(object, "state.owner_stack"), *line;
	size_t index;

	if (json_array_size(lines))
		puts("\nKernel stack of the owner");
	json_array_foreach((json_t *)lines, index, line) {
		printf("  %s\n", json_string_value(line));
	}
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
	print_record(object, color_wanted(settings));
	print_stack(object);
	r = print_holders(object, settings);
	if (r == STATUS_DONE)
		r = print_sleepers(object, settings);
	return r == STATUS_DONE ? print_rows(attachment_columns, json_object_get(object, "attachments"), settings) : r;
}

/* ---- the command ---- */

static int show(struct source *source, json_t *object, const struct settings *settings)
{
	if (settings->stack)
		add_stack(object);
	return settings->json ? print_json("object", object) : print_for_people(source, object, settings);
}

static int run(const struct command *self, const struct settings *settings, char **arguments)
{
	(void)self;
	return find_and(settings, arguments[0], show);
}

static const struct command_option options[] = {
	TAKES_TYPE,
	{0, "stack", OPTION_FLAG, NULL, "with the kernel stack of the thread that holds it; for root",
	 offsetof(struct settings, stack), NULL},
	TAKES_JSON,
	TAKES_COLOR,
	{0},
};

const struct command command_show = {
	.name = "show",
	.arguments = "NAME[.TYPE]",
	.summary = "all about one object, and who has it",
	.options = options,
	.kind = ARGUMENT_OBJECT,
	.min_arguments = 1,
	.max_arguments = 1,
	.run = run,
};
