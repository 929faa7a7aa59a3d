/* SPDX-License-Identifier: Apache-2.0 */
/* What Prometheus reads: its text format, version 0.0.4. Names, kinds and help are data, below. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "column.h"
#include "command.h"
#include "object.h"
#include "say.h"
#include "source.h"

enum { FILE_MODE = 0644 }; /* node_exporter is another user */

enum kind { GAUGE, COUNTER };

struct metric {
	const char *name;
	enum kind kind;
	const char *help;
	const char *path; /* where the value is */
	double unit;      /* what one of it is, in seconds or bytes or pieces */
};

static void print_head(FILE *out, const struct metric *m)
{
	fprintf(out, "# HELP fipc_%s %s\n# TYPE fipc_%s %s\n", m->name, m->help, m->name,
		m->kind == COUNTER ? "counter" : "gauge");
}

/* labels: as label() makes them; "" none */
static void print_sample(FILE *out, const struct metric *m, const char *labels, json_int_t value)
{
	fprintf(out, *labels ? "fipc_%s{%s} " : "fipc_%s%s ", m->name, labels);
	if (m->unit == 1)
		fprintf(out, INT "\n", value);
	else
		fprintf(out, "%.15g\n", (double)value * m->unit);
}

/* Add name="value". The format wants three characters escaped; the rest of UTF-8 may stand. */
static void label(FILE *out, const char *name, const char *value)
{
	fprintf(out, "%s%s=\"", ftell(out) > 0 ? "," : "", name);
	for (; *value; value++) {
		if (*value == '\n')
			fputs("\\n", out);
		else if (*value == '"' || *value == '\\')
			fprintf(out, "\\%c", *value);
		else
			fputc(*value, out);
	}
	fputc('"', out);
}

struct key {
	const char *label, *path;
};

/* The labels of a value; free() them. NULL: no memory. */
static char *labels_of(const json_t *value, const struct key *keys)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	for (; keys->label; keys++)
		label(out, keys->label, json_text(value, keys->path));
	if (fclose(out) == 0)
		return text;
	free(text);
	return NULL;
}

/* ---- sums over objects, or processes ---- */

struct sum {
	struct metric metric; /* path: what is added; "" 1 for each */
	struct key keys[4];
	bool (*counts)(const json_t *row); /* add 1 for these; NULL: by the path */
};

static bool would_go(const json_t *object)
{
	return json_truth(object, "reclaim.takes");
}

static const struct sum of_objects[] = {
	{{"objects", GAUGE, "Objects, by type and state.", "", 1},
	 {{"dir", "dir"}, {"type", "type"}, {"state", "state.state"}},
	 NULL},
	{{"waiters", GAUGE, "Threads asleep on objects.", "state.waiters", 1},
	 {{"dir", "dir"}, {"type", "type"}},
	 NULL},
	{{"attachments", GAUGE, "Live processes that have objects open, counted once for each object.", "attached", 1},
	 {{"dir", "dir"}, {"type", "type"}},
	 NULL},
	{{"dead_attachments", GAUGE, "Entries that dead processes left on objects.", "dead", 1},
	 {{"dir", "dir"}, {"type", "type"}},
	 NULL},
	{{"leaked_objects", GAUGE, "Objects that nobody uses any more and a collection would take away.", "", 1},
	 {{"dir", "dir"}, {"type", "type"}},
	 would_go},
	{{"object_bytes", GAUGE, "Shared memory that the objects take.", "size", 1},
	 {{"dir", "dir"}, {"type", "type"}},
	 NULL},
};

static const struct sum of_processes[] = {
	{{"processes", GAUGE, "Processes that use objects, or died and left something.", "", 1},
	 {{"dir", "dir"}, {"life", "life"}},
	 NULL},
};

static int add_to(json_t *sums, const char *labels, json_int_t n)
{
	json_int_t before = json_integer_value(json_object_get(sums, labels));

	return json_object_set_new(sums, labels, json_integer(before + n));
}

static json_int_t amount(const struct sum *sum, const json_t *row)
{
	if (sum->counts)
		return sum->counts(row);
	return *sum->metric.path ? json_number(row, sum->metric.path) : 1;
}

/* Of each set of labels: how much. A new reference; NULL: no memory. */
static json_t *add_up(const struct sum *sum, const json_t *rows)
{
	json_t *sums = json_object();
	const json_t *row;
	size_t index;
	int r = sums ? 0 : -ENOMEM;

	json_array_foreach((json_t *)rows, index, row) {
		char *labels = labels_of(row, sum->keys);

		if (r == 0)
			r = labels ? add_to(sums, labels, amount(sum, row)) : -ENOMEM;
		free(labels);
	}
	if (r < 0)
		json_decref(sums);
	return r < 0 ? NULL : sums;
}

static int print_sums(FILE *out, const struct sum *sum, size_t n, const json_t *rows)
{
	for (const struct sum *end = sum + n; sum < end; sum++) {
		json_t *sums = add_up(sum, rows), *value;
		const char *labels;

		if (!sums)
			return fail("out of memory");
		if (json_object_size(sums) > 0)
			print_head(out, &sum->metric);
		json_object_foreach(sums, labels, value)
			print_sample(out, &sum->metric, labels, json_integer_value(value));
		json_decref(sums);
	}
	return STATUS_DONE;
}

/* ---- one sample for each ---- */

static const struct metric of_object[] = {
	{"object_waiters", GAUGE, "Threads asleep on this object.", "state.waiters", 1},
	{"object_attachments", GAUGE, "Live processes that have this object open.", "attached", 1},
	{"object_acquisitions_total", COUNTER, "Times that this lock was had.", "state.acquisitions", 1},
	{"object_contended_total", COUNTER, "Times that this lock was had only after waiting.", "state.contended", 1},
	{"object_owner_deaths_total", COUNTER, "Times that an owner died inside this lock.", "state.owner_deaths", 1},
	{"object_held_seconds", GAUGE, "How long at least its owner has had this lock.", "held_nsec", 1e-9},
	{"object_readers", GAUGE, "Threads that read under this lock.", "state.readers", 1},
	{"object_tokens", GAUGE, "Tokens that this semaphore has left.", "state.tokens", 1},
	{"object_messages", GAUGE, "Messages in this queue.", "state.messages", 1},
	{"object_messages_limit", GAUGE, "Messages that this queue has room for.", "state.max_messages", 1},
	{"object_sent_total", COUNTER, "Messages sent to this queue.", "state.sent", 1},
	{"object_received_total", COUNTER, "Messages received from this queue.", "state.received", 1},
	{"object_contents_bytes", GAUGE, "Bytes that users have in this shared memory.", "state.bytes", 1},
};

static const struct metric of_directory[] = {
	{"reclaimed_objects_total", COUNTER, "Objects that fipcd has taken away.", "reclaimed", 1},
	{"removed_entries_total", COUNTER, "Entries of dead processes that fipcd has removed.", "entries_removed", 1},
	{"scans_total", COUNTER, "Times that fipcd has looked at the whole directory.", "scans", 1},
	{"scan_duration_seconds_total", COUNTER, "How long these looks took.", "scan_total_usec", 1e-6},
	{"scan_duration_max_seconds", GAUGE, "How long the longest of them took.", "scan_max_usec", 1e-6},
};

static const struct metric of_daemon[] = {
	{"daemon_uptime_seconds", GAUGE, "How long fipcd has run.", "uptime_usec", 1e-6},
	{"daemon_memory_bytes", GAUGE, "Memory of fipcd.", "memory_bytes", 1},
	{"daemon_clients", GAUGE, "Connections to fipcd.", "clients", 1},
	{"daemon_monitors", GAUGE, "Of these, those that listen to what happens.", "monitors", 1},
	{"daemon_calls_total", COUNTER, "Calls that fipcd has answered.", "calls", 1},
	{"daemon_call_errors_total", COUNTER, "Of these, those that it answered by an error.", "errors", 1},
	{"daemon_refused_connections_total", COUNTER, "Connections that were too many for fipcd.", "refused", 1},
	{"daemon_lost_events_total", COUNTER, "Events that listeners were too slow for.", "lost", 1},
	{"process_deaths_total", COUNTER, "Deaths of processes that fipcd has seen.", "deaths", 1},
	{"owner_deaths_total", COUNTER, "Of these, those of processes that held a lock.", "owner_deaths", 1},
	{"deadlocks_total", COUNTER, "Deadlocks that fipcd has found.", "deadlocks", 1},
};

static const struct key object_keys[] = {{"dir", "dir"}, {"name", "name"}, {"type", "type"}, {0}};
static const struct key directory_keys[] = {{"dir", "dir"}, {0}};
static const struct key no_keys[] = {{0}};

static int print_value(FILE *out, const struct metric *m, const json_t *row, const struct key *keys)
{
	char *labels = labels_of(row, keys);

	if (labels)
		print_sample(out, m, labels, json_number(row, m->path));
	free(labels);
	return labels ? 0 : -ENOMEM;
}

/* Not every type of object has every figure. */
static int print_metric(FILE *out, const struct metric *m, const json_t *rows, const struct key *keys)
{
	const json_t *row;
	bool begun = false;
	size_t index;
	int r = 0;

	json_array_foreach((json_t *)rows, index, row) {
		if (r < 0 || !json_is_integer(json_at(row, m->path)))
			continue;
		if (!begun)
			print_head(out, m);
		begun = true;
		r = print_value(out, m, row, keys);
	}
	return r;
}

static int print_each(FILE *out, const struct metric *m, size_t n, const json_t *rows, const struct key *keys)
{
	int r = 0;

	for (const struct metric *end = m + n; r == 0 && m < end; m++)
		r = print_metric(out, m, rows, keys);
	return r < 0 ? fail("out of memory") : STATUS_DONE;
}
#define PRINT_EACH(out, metrics, rows, keys) print_each(out, metrics, sizeof(metrics) / sizeof(*metrics), rows, keys)
#define PRINT_SUMS(out, sums, rows) print_sums(out, sums, sizeof(sums) / sizeof(*sums), rows)

/* ---- all of it ---- */

static int print_daemon(FILE *out, json_t *counters)
{
	static const struct metric up = {"daemon_up", GAUGE, "Whether fipcd answered.", "", 1};
	static const struct metric info = {"daemon_info", GAUGE, "The version of fipcd.", "", 1};
	static const struct key version[] = {{"version", "version"}, {0}};
	json_t *one;
	char *labels;
	int r;

	print_head(out, &up);
	print_sample(out, &up, "", counters != NULL);
	if (!counters)
		return STATUS_DONE;
	one = json_pack("[O]", counters);
	labels = labels_of(counters, version);
	if (!one || !labels) {
		r = fail("out of memory");
	} else {
		print_head(out, &info);
		print_sample(out, &info, labels, 1);
		r = PRINT_EACH(out, of_daemon, one, no_keys);
	}
	free(labels);
	json_decref(one);
	if (r == STATUS_DONE)
		r = PRINT_EACH(out, of_directory, json_object_get(counters, "directories"), directory_keys);
	return r;
}

/* Those of the pattern, one by one: of how many there are sums is the user's to choose. */
static int print_objects(FILE *out, struct source *source, const char *pattern)
{
	json_t *objects = NULL, *object;
	size_t index;
	int r = source_list(source, pattern, NULL, &objects);

	json_array_foreach(objects, index, object) {
		json_int_t held = held_nsec(object);

		if (held >= 0)
			json_object_set_new(object, "held_nsec", json_integer(held));
	}
	if (r == STATUS_DONE)
		r = PRINT_EACH(out, of_object, objects, object_keys);
	json_decref(objects);
	return r;
}

static int print_all(FILE *out, struct source *source, const char *pattern)
{
	json_t *objects = NULL, *processes = NULL, *counters = NULL;
	int r = source_list(source, NULL, NULL, &objects);

	if (r == STATUS_DONE)
		r = PRINT_SUMS(out, of_objects, objects);
	json_decref(objects);
	if (r == STATUS_DONE)
		r = source_processes(source, &processes);
	if (r == STATUS_DONE)
		r = PRINT_SUMS(out, of_processes, processes);
	json_decref(processes);
	if (r == STATUS_DONE && pattern)
		r = print_objects(out, source, pattern);
	if (r == STATUS_DONE)
		r = source_counters(source, &counters);
	if (r == STATUS_DONE)
		r = print_daemon(out, counters);
	json_decref(counters);
	return r;
}

/* ---- where it goes ---- */

static int write_all(int fd, const char *text, size_t size)
{
	while (size > 0) {
		ssize_t n = write(fd, text, size);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			text += n;
			size -= (size_t)n;
		}
	}
	return 0;
}

/* Its name does not end in .prom before it is whole. Killed before the rename: a temporary file is left beside it. */
static int write_file(const char *path, const char *text, size_t size)
{
	char *temporary = make_text("%s.XXXXXX", path);
	int fd = temporary ? mkstemp(temporary) : -1;
	int r = !temporary ? -ENOMEM : fd < 0 ? -errno : write_all(fd, text, size);

	if (r == 0 && (fchmod(fd, FILE_MODE) < 0 || rename(temporary, path) < 0))
		r = -errno;
	if (r < 0 && fd >= 0)
		unlink(temporary);
	if (fd >= 0)
		close(fd);
	free(temporary);
	return r < 0 ? fail("cannot write %s: %s", path, strerror(-r)) : STATUS_DONE;
}

static int put(const char *path, const char *text, size_t size)
{
	if (path)
		return write_file(path, text, size);
	fwrite(text, 1, size, stdout);
	return STATUS_DONE;
}

/* Half of it would be read as all of it: it is printed when it is whole. */
static int run(const struct command *self, const struct settings *settings, char **arguments)
{
	struct source *source = NULL;
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	int r = out ? source_open(&source, settings) : fail("out of memory");

	(void)self;
	if (r == STATUS_DONE)
		r = print_all(out, source, arguments[0]);
	if (out && fclose(out) != 0)
		r = fail("out of memory");
	if (r == STATUS_DONE)
		r = put(settings->file, text, size);
	free(text);
	source_close(source);
	return r;
}

static const struct command_option options[] = {
	{'o', "output", OPTION_FILE, "FILE", "write it there, whole or not at all, not on standard output",
	 offsetof(struct settings, file), NULL},
	{0},
};

const struct command command_metrics = {
	.name = "metrics",
	.arguments = "[PATTERN]",
	.summary = "figures for Prometheus, in its text format",
	.text = "Sums over all objects and processes, and with fipcd its counters; and for each object whose name\n"
		"matches the glob pattern its own figures, for which Prometheus pays one by one. For\n"
		"node_exporter's textfile collector: --output FILE, as fipc-metrics.timer does.",
	.options = options,
	.kind = ARGUMENT_OBJECT,
	.max_arguments = 1,
	.run = run,
};
