/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "column.h"
#include "command.h"
#include "object.h"
#include "say.h"
#include "source.h"
#include "table.h"

/* The verdict and the number of entries depend on whether this was a dry run: they are put into each row beforehand. */
static const struct column columns[] = {
	{"NAME", "its name", "name", format_text, ALIGN_LEFT},
	{"TYPE", "its type", "type", format_text, ALIGN_LEFT},
	{"VERDICT", "removed, would remove, or stays", "verdict", format_text, ALIGN_LEFT},
	{"ENTRIES", "entries of dead processes that went, or would go", "entries", format_integer, ALIGN_RIGHT},
	{"REASON", "why", "reclaim.text", format_text, ALIGN_LEFT_CUT},
	{"CODE", "why, in a word for programs", "reclaim.reason", format_text, ALIGN_LEFT},
	{"UID", "user that made it", "uid", format_integer, ALIGN_RIGHT},
	{"INODE", "inode of its file", "inode", format_nonzero, ALIGN_RIGHT},
	{"DIR", "its tracking directory", "dir", format_text, ALIGN_LEFT},
	{0},
};

struct tally {
	unsigned objects, failed, stay;
	json_int_t entries;
};

static int goes(const json_t *object, const struct settings *settings)
{
	return json_truth(object, settings->dry_run ? "reclaim.takes" : "reclaim.collected");
}

/* Dead processes' entries go with the object, or from one that stays. */
static json_int_t entries_of(const json_t *object, const struct settings *settings)
{
	return json_number(object, settings->dry_run ? "dead" : "reclaim.entries_removed");
}

static void count(struct tally *t, const json_t *object, const struct settings *settings)
{
	int gone = goes(object, settings);

	t->objects += gone;
	t->stay += !gone;
	t->entries += entries_of(object, settings);
	t->failed += !strcmp(json_text(object, "reclaim.reason"), "failed") ||
		     (!gone && json_truth(object, "reclaim.takes"));
}

/* What is in use is no news. */
static int is_news(const json_t *object, const struct settings *settings)
{
	return settings->verbose || goes(object, settings) || entries_of(object, settings) ||
	       strcmp(json_text(object, "reclaim.reason"), "attached") != 0;
}

static int add_row(json_t *rows, json_t *object, const struct settings *settings)
{
	const char *gone = settings->dry_run ? "would remove" : "removed";
	json_t *row = json_copy(object);

	if (!row)
		return -1;
	json_object_set_new(row, "verdict", json_string(goes(object, settings) ? gone : "stays"));
	json_object_set_new(row, "entries", json_integer(entries_of(object, settings)));
	return json_array_append_new(rows, row);
}

static int print_table(const json_t *objects, const struct selection *selection, const struct settings *settings)
{
	json_t *rows = json_array(), *object;
	int failed = 0, r;
	size_t index;

	json_array_foreach((json_t *)objects, index, object) {
		if (is_news(object, settings))
			failed |= add_row(rows, object, settings);
	}
	r = failed ? fail("out of memory") : table_of(selection, rows, settings);
	json_decref(rows);
	return r;
}

static const char *plural(json_int_t n, const char *one, const char *many)
{
	return n == 1 ? one : many;
}

static void summarise(const struct tally *t, const struct settings *settings)
{
	say("%s %u %s and " INT " %s of dead processes; %u %s",
	    settings->dry_run ? "would remove" : "removed", t->objects, plural(t->objects, "object", "objects"),
	    t->entries, plural(t->entries, "entry", "entries"), t->stay, plural(t->stay, "stays", "stay"));
}

static int report(const json_t *objects, const struct selection *selection, const struct settings *settings)
{
	struct tally tally = {0};
	const json_t *object;
	size_t index;
	int r;

	json_array_foreach((json_t *)objects, index, object)
		count(&tally, object, settings);
	r = settings->json ? print_json("objects", objects) : print_table(objects, selection, settings);
	summarise(&tally, settings);
	return tally.failed ? STATUS_FAILED : r;
}

static int collect(const struct selection *selection, const struct settings *settings, const char *pattern)
{
	struct source *source = NULL;
	json_t *objects = NULL;
	int r = source_open(&source, settings);

	if (r == STATUS_DONE)
		r = source_collect(source, pattern, settings->type, settings->dry_run, &objects);
	if (r == STATUS_DONE)
		r = report(objects, selection, settings);
	json_decref(objects);
	source_close(source);
	return r;
}

static int run(const struct command *self, const struct settings *settings, char **arguments)
{
	struct selection selection;
	int r = columns_select(&selection, self, settings);

	return r == STATUS_DONE ? collect(&selection, settings, arguments[0]) : r;
}

static const struct command_option options[] = {
	TAKES_COLUMNS,
	TAKES_TYPE,
	TAKES_JSON,
	TAKES_COLOR,
	{'n', "dry-run", OPTION_FLAG, NULL, "change nothing, say what would be done",
	 offsetof(struct settings, dry_run), NULL},
	{'v', "verbose", OPTION_FLAG, NULL, "also what stays because it is in use",
	 offsetof(struct settings, verbose), NULL},
	{0},
};

const struct command command_gc = {
	.name = "gc",
	.arguments = "[PATTERN]",
	.summary = "take away what dead processes left",
	.text = "Objects that a live process has stay, and those made to persist, and all about which there is doubt.\n"
		"Other users' objects stay, too, unless you are root.",
	.options = options,
	.kind = ARGUMENT_OBJECT,
	.max_arguments = 1,
	.columns = columns,
	.default_columns = "NAME,TYPE,VERDICT,ENTRIES,REASON",
	.run = run,
};
