/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "column.h"
#include "command.h"
#include "object.h"
#include "say.h"
#include "source.h"
#include "table.h"

/* "12/34", or "12" of a process's first thread. */
static char *thread_name(const json_t *thread)
{
	json_int_t pid = json_number(thread, "pid"), tid = json_number(thread, "tid");

	return pid && pid != tid ? make_text(INT "/" INT, pid, tid) : make_text(INT, tid);
}

/* ---- for people ---- */

static char *format_object(const json_t *wait)
{
	return make_text("%s.%s", json_text(wait, "object"), json_text(wait, "type"));
}

static char *format_holders(const json_t *holders)
{
	const json_t *holder;
	char *text = strdup(json_array_size(holders) ? "" : "-");
	size_t index;

	json_array_foreach((json_t *)holders, index, holder) {
		char *name = thread_name(holder), *longer = NULL;

		if (text && name)
			longer = make_text("%s%s%s", text, index ? "," : "", name);
		free(name);
		free(text);
		text = longer;
	}
	return text;
}

static const struct column columns[] = {
	{"PID", "of the process that waits, as it saw itself", "pid", format_integer, ALIGN_RIGHT},
	{"TID", "of its thread that sleeps", "tid", format_integer, ALIGN_RIGHT},
	{"UID", "its user", "uid", format_integer, ALIGN_RIGHT},
	{"USER", "the same, by name", "uid", format_user, ALIGN_LEFT},
	{"COMM", "what it called itself", "comm", format_text, ALIGN_LEFT},
	{"WANTS", "lock, read, write; readers: to write, when all have let go; slot: to read, when one has", "kind",
	 format_text, ALIGN_LEFT},
	{"OBJECT", "what it sleeps on", "", format_object, ALIGN_LEFT},
	{"HOLDERS", "the threads that have it: PID/TID, or PID of a process's first", "holders", format_holders,
	 ALIGN_LEFT},
	{"SLEEPS", "how long, at least", "since_nsec", format_since, ALIGN_RIGHT},
	{"TIMED", "whether up to a deadline only", "timed", format_yes, ALIGN_LEFT},
	{"DIR", "the tracking directory", "dir", format_text, ALIGN_LEFT},
	{0},
};

static int print_deadlocks(const json_t *deadlocks)
{
	const json_t *deadlock;
	size_t index;

	json_array_foreach((json_t *)deadlocks, index, deadlock) {
		char *text = safe_text(json_text(deadlock, "text"));

		if (!text)
			return fail("out of memory");
		puts(text);
		free(text);
	}
	return STATUS_DONE;
}

static int print_for_people(const json_t *graph, const struct selection *selection, const struct settings *settings)
{
	const json_t *deadlocks = json_object_get(graph, "deadlocks");
	int r = table_of(selection, json_object_get(graph, "waits"), settings);

	if (r == STATUS_DONE && json_array_size(deadlocks) && !settings->no_headings)
		putchar('\n');
	return r == STATUS_DONE ? print_deadlocks(deadlocks) : r;
}

/* ---- for dot(1) ---- */

static bool same_thread(const json_t *a, const json_t *b)
{
	return json_number(a, "pid") == json_number(b, "pid") && json_number(a, "tid") == json_number(b, "tid");
}

static bool is_in_deadlock(const json_t *deadlocks, const json_t *wait)
{
	const json_t *deadlock, *other;
	size_t i, j;

	json_array_foreach((json_t *)deadlocks, i, deadlock) {
		json_array_foreach(json_object_get(deadlock, "waits"), j, other) {
			if (same_thread(wait, other))
				return true;
		}
	}
	return false;
}

/* Names of objects and comms have neither quotes nor backslashes that were not made safe. */
static void print_quoted(const char *bytes)
{
	char *text = safe_text(bytes);

	putchar('"');
	for (const char *p = text ? text : "?"; *p; p++) {
		if (*p == '"' || *p == '\\')
			putchar('\\');
		putchar(*p);
	}
	putchar('"');
	free(text);
}

static void print_edge(const json_t *deadlocks, const json_t *wait, const json_t *holder)
{
	char *from = thread_name(wait), *to = thread_name(holder), *label = format_object(wait);

	if (from && to && label) {
		printf("\t\"%s\" -> \"%s\" [label=", from, to);
		print_quoted(label);
		printf("%s%s];\n", json_truth(wait, "timed") ? ", style=dashed" : "",
		       is_in_deadlock(deadlocks, wait) && is_in_deadlock(deadlocks, holder) ? ", color=red" : "");
	}
	free(from);
	free(to);
	free(label);
}

static void print_wait(const json_t *deadlocks, const json_t *wait)
{
	const json_t *holder;
	char *name = thread_name(wait), *label = name ? make_text("%s %s", json_text(wait, "comm"), name) : NULL;
	size_t index;

	if (label) {
		printf("\t\"%s\" [label=", name);
		print_quoted(label);
		printf("%s];\n", is_in_deadlock(deadlocks, wait) ? ", color=red" : "");
	}
	free(name);
	free(label);
	json_array_foreach(json_object_get(wait, "holders"), index, holder) {
		print_edge(deadlocks, wait, holder);
	}
}

static int print_dot(const json_t *graph)
{
	const json_t *wait;
	size_t index;

	puts("digraph fipc {");
	json_array_foreach(json_object_get(graph, "waits"), index, wait) {
		print_wait(json_object_get(graph, "deadlocks"), wait);
	}
	puts("}");
	return STATUS_DONE;
}

/* ---- the command ---- */

static int print(const json_t *graph, const struct selection *selection, const struct settings *settings)
{
	if (settings->json)
		return print_json(NULL, graph);
	return settings->dot ? print_dot(graph) : print_for_people(graph, selection, settings);
}

static int run(const struct command *self, const struct settings *settings, char **arguments)
{
	struct source *source = NULL;
	struct selection selection;
	json_t *graph = NULL;
	int r;

	(void)arguments;
	if (settings->json && settings->dot)
		return misuse("--json and --dot: give one of them");
	r = columns_select(&selection, self, settings);
	if (r == STATUS_DONE)
		r = source_open(&source, settings);
	if (r == STATUS_DONE)
		r = source_graph(source, &graph);
	if (r == STATUS_DONE)
		r = print(graph, &selection, settings);
	json_decref(graph);
	source_close(source);
	return r;
}

static const struct command_option options[] = {
	TAKES_COLUMNS,
	TAKES_JSON,
	{0, "dot", OPTION_FLAG, NULL, "as a graph, for dot(1)", offsetof(struct settings, dot), NULL},
	TAKES_COLOR,
	{0},
};

const struct command command_graph = {
	.name = "graph",
	.arguments = "",
	.summary = "who waits for whom, and the deadlocks",
	.text = "Threads that sleep on mutexes and rwlocks, of all processes, and who has these. Below them\n"
		"each deadlock, in one line; it was seen twice. If one of its waits has a deadline it is a\n"
		"possible one.",
	.options = options,
	.columns = columns,
	.default_columns = "PID,TID,COMM,WANTS,OBJECT,HOLDERS,SLEEPS,TIMED",
	.run = run,
};
