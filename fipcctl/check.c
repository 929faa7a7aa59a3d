/* SPDX-License-Identifier: Apache-2.0 */
/* For monitoring: is anything wrong? One line, and the exit status. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "column.h"
#include "command.h"
#include "object.h"
#include "say.h"
#include "source.h"

enum {
	NAMED_MAX = 5,        /* objects that the line names, of one kind of trouble */
	SECOND_LOOK_MS = 100, /* is the second look after the first */
};

struct findings {
	json_t *held, *deadlocks, *leaked; /* arrays; NULL: not asked for */
};

/* ---- what is wrong ---- */

typedef bool (*test_fn)(json_t *object, const struct settings *settings);

/* Add those rows that the test finds, with what it puts into them. */
static int select_rows(json_t *ret, const json_t *rows, test_fn is, const struct settings *settings)
{
	json_t *row;
	size_t index;

	json_array_foreach((json_t *)rows, index, row) {
		if (is(row, settings) && json_array_append(ret, row))
			return fail("out of memory");
	}
	return STATUS_DONE;
}

static bool is_held(json_t *object, const struct settings *settings)
{
	json_int_t nsec = held_nsec(object);

	if (nsec < 0 || nsec < settings->held.ns)
		return false;
	json_object_set_new(object, "held_nsec", json_integer(nsec));
	return true;
}

static bool is_leaked(json_t *object, const struct settings *settings)
{
	(void)settings;
	return json_truth(object, "reclaim.takes") || json_number(object, "dead") > 0;
}

static bool has_inode(const json_t *objects, json_int_t inode)
{
	const json_t *object;
	size_t index;

	json_array_foreach((json_t *)objects, index, object) {
		if (json_number(object, "inode") == inode)
			return true;
	}
	return false;
}

/* Of a lock that changed hands just now, owner and time may be of two acquisitions; of a death fipcd may just hear. */
static int confirm(struct source *source, const struct settings *settings, json_t *rows, test_fn is)
{
	json_t *objects = NULL, *again = json_array();
	int r = again ? source_list(source, NULL, NULL, &objects) : fail("out of memory");

	if (r == STATUS_DONE)
		r = select_rows(again, objects, is, settings);
	for (size_t i = json_array_size(rows); r == STATUS_DONE && i-- > 0;)
		if (!has_inode(again, json_number(json_array_get(rows, i), "inode")))
			json_array_remove(rows, i);
	json_decref(objects);
	json_decref(again);
	return r;
}

static int look_at_objects(struct source *source, const struct settings *settings, struct findings *f)
{
	json_t *objects = NULL;
	int r = source_list(source, NULL, NULL, &objects);

	if (r == STATUS_DONE && f->held)
		r = select_rows(f->held, objects, is_held, settings);
	if (r == STATUS_DONE && f->leaked)
		r = select_rows(f->leaked, objects, is_leaked, settings);
	json_decref(objects);
	if (json_array_size(f->held) + json_array_size(f->leaked) > 0)
		usleep(SECOND_LOOK_MS * 1000);
	if (r == STATUS_DONE && json_array_size(f->held) > 0)
		r = confirm(source, settings, f->held, is_held);
	if (r == STATUS_DONE && json_array_size(f->leaked) > 0)
		r = confirm(source, settings, f->leaked, is_leaked);
	return r;
}

static int look_for_deadlocks(struct source *source, struct findings *f)
{
	json_t *graph = NULL;
	int r = source_graph(source, &graph);

	if (r == STATUS_DONE && json_array_extend(f->deadlocks, json_object_get(graph, "deadlocks")))
		r = fail("fipcd does not tell of deadlocks");
	json_decref(graph);
	return r;
}

static int look(struct source *source, const struct settings *settings, struct findings *f)
{
	int r = f->held || f->leaked ? look_at_objects(source, settings, f) : STATUS_DONE;

	if (r == STATUS_DONE && f->deadlocks)
		r = look_for_deadlocks(source, f);
	return r;
}

/* ---- the line ---- */

static void name_held(FILE *out, const json_t *object)
{
	char *owner = format_owner(object);

	fprintf(out, "%s.%s for %.1f s by process %s", json_text(object, "name"), json_text(object, "type"),
		(double)json_number(object, "held_nsec") / 1e9, owner ? owner : "?");
	free(owner);
}

static void name_leaked(FILE *out, const json_t *object)
{
	const char *type = json_text(object, "type");

	fprintf(out, "%s%s%s", json_text(object, "name"), *type ? "." : "", type);
}

static void name_deadlock(FILE *out, const json_t *deadlock)
{
	fprintf(out, "%s%s", json_truth(deadlock, "possible") ? "(possible) " : "", json_text(deadlock, "text"));
}

/* "held: a for 7.2 s by process 12, ...; " */
static void print_trouble(FILE *out, const char *title, const json_t *rows, void (*name)(FILE *out, const json_t *row))
{
	const char *between = ftell(out) > 0 ? "; " : "";
	const json_t *row;
	size_t index, n = json_array_size(rows);

	json_array_foreach((json_t *)rows, index, row) {
		if (index == NAMED_MAX)
			break;
		fprintf(out, index ? ", " : "%s%zu %s: ", between, n, title);
		name(out, row);
	}
	if (n > NAMED_MAX)
		fprintf(out, " and %zu more", n - NAMED_MAX);
}

/* What was looked for, when nothing of it is there. */
static void print_health(FILE *out, const struct findings *f, const struct settings *settings)
{
	if (f->held)
		fprintf(out, "nothing held for %g s", (double)settings->held.ns / 1e9);
	if (f->deadlocks)
		fprintf(out, "%sno deadlock", ftell(out) > 0 ? ", " : "");
	if (f->leaked)
		fprintf(out, "%snothing leaked", ftell(out) > 0 ? ", " : "");
}

static size_t troubles(const struct findings *f)
{
	return json_array_size(f->held) + json_array_size(f->deadlocks) + json_array_size(f->leaked);
}

/* free() it; NULL: no memory. */
static char *line_of(const struct findings *f, const struct settings *settings)
{
	char *text = NULL, *safe = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	print_trouble(out, "held", f->held, name_held);
	print_trouble(out, "deadlocked", f->deadlocks, name_deadlock);
	print_trouble(out, "leaked", f->leaked, name_leaked);
	if (!troubles(f))
		print_health(out, f, settings);
	if (fclose(out) == 0)
		safe = safe_text(text);
	free(text);
	return safe;
}

static int print_line(const struct findings *f, const struct settings *settings)
{
	char *line = line_of(f, settings);

	if (!line)
		return fail("out of memory");
	printf("%s: %s\n", troubles(f) ? "PROBLEM" : "OK", line);
	free(line);
	return STATUS_DONE;
}

static int print_answer(const struct findings *f)
{
	json_t *answer = json_pack("{sb, sO*, sO*, sO*}", "ok", troubles(f) == 0, "held", f->held, "deadlocks",
				   f->deadlocks, "leaked", f->leaked);
	int r = answer ? print_json("check", answer) : fail("out of memory");

	json_decref(answer);
	return r;
}

/* ---- the command ---- */

static int report(const struct findings *f, const struct settings *settings)
{
	int r = settings->json ? print_answer(f) : print_line(f, settings);

	return r == STATUS_DONE && troubles(f) ? STATUS_FAILED : r;
}

static int run(const struct command *self, const struct settings *settings, char **arguments)
{
	bool all = !settings->held.given && !settings->deadlock && !settings->leaked;
	struct findings f = {
		.held = settings->held.given ? json_array() : NULL,
		.deadlocks = all || settings->deadlock ? json_array() : NULL,
		.leaked = all || settings->leaked ? json_array() : NULL,
	};
	struct source *source = NULL;
	int r = source_open(&source, settings);

	(void)self, (void)arguments;
	if (r == STATUS_DONE)
		r = look(source, settings, &f);
	if (r == STATUS_DONE)
		r = report(&f, settings);
	source_close(source);
	json_decref(f.held);
	json_decref(f.deadlocks);
	json_decref(f.leaked);
	return r;
}

static const struct command_option options[] = {
	{0, "held", OPTION_DURATION, "TIME", "a lock that one owner has had for so long (5s, 200ms)",
	 offsetof(struct settings, held), NULL},
	{0, "deadlock", OPTION_FLAG, NULL, "threads that wait for each other", offsetof(struct settings, deadlock),
	 NULL},
	{0, "leaked", OPTION_FLAG, NULL, "what dead processes left, and nobody has cleared up",
	 offsetof(struct settings, leaked), NULL},
	TAKES_JSON,
	{0},
};

const struct command command_check = {
	.name = "check",
	.arguments = "",
	.summary = "for alerts: is anything wrong?",
	.text = "One line on standard output: OK: or PROBLEM: and what. Without an option, --deadlock and --leaked.\n"
		"How long a lock has been held is known if it was made with FIPC_TIMESTAMPS, else since somebody\n"
		"waits for it.\n\n"
		"Exit status: 0 nothing is wrong, 1 something is, or it could not be looked at (then standard\n"
		"output is empty), 2 usage.",
	.options = options,
	.run = run,
};
