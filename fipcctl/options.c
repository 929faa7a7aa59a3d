/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "options.h"
#include "say.h"

#define COUNT(array) (sizeof(array) / sizeof(*(array)))
enum { LONG_BASE = 256 }; /* getopt's values of long options: above all letters */

static const struct row {
	char letter; /* 0 none */
	const char *name, *argument, *help;
	unsigned takes; /* 0: every command takes it */
	size_t offset;  /* in struct settings: a string if it has an argument, else a bool */
} rows[] = {
	{0, "dir", "DIR", "the tracking directory (else $FIPC_DIR, $FASTIPC_PID_DIR, /dev/shm/fastipc)", 0,
	 offsetof(struct settings, directory)},
	{0, "socket", "PATH", "ask only the fipcd here (else $FIPC_SOCKET, /run/fipc/fipcd.sock, if it is there)", 0,
	 offsetof(struct settings, socket)},
	{0, "direct", NULL, "look for yourself, do not ask fipcd", 0, offsetof(struct settings, direct)},
	{0, "json", NULL, "everything, as JSON", 0, offsetof(struct settings, json)},
	{'o', "output", "COLUMNS", "these columns, separated by commas; +COLUMNS adds to the usual ones", TAKES_COLUMNS,
	 offsetof(struct settings, columns)},
	{0, "no-headings", NULL, "no line of headings", TAKES_COLUMNS, offsetof(struct settings, no_headings)},
	{'t', "type", "TYPE", "only objects of this type", TAKES_TYPE, offsetof(struct settings, type)},
	{'n', "dry-run", NULL, "change nothing, say what would be done", TAKES_DRY_RUN,
	 offsetof(struct settings, dry_run)},
	{'v', "verbose", NULL, "also what stays because it is in use", TAKES_VERBOSE,
	 offsetof(struct settings, verbose)},
	{'h', "help", NULL, "this text", 0, offsetof(struct settings, help)},
	{'V', "version", NULL, "the version", 0, offsetof(struct settings, version)},
};

static const struct row *row_of_letter(int letter)
{
	for (size_t i = 0; i < COUNT(rows); i++)
		if (rows[i].letter && rows[i].letter == letter)
			return &rows[i];
	return NULL;
}

static const struct row *row_of_value(int value)
{
	return value >= LONG_BASE ? &rows[value - LONG_BASE] : row_of_letter(value);
}

/* What getopt_long() wants to know, made from the rows. */
static void describe(struct option *longs, char *shorts)
{
	*shorts++ = ':'; /* a missing argument is told from an unknown option */
	for (size_t i = 0; i < COUNT(rows); i++) {
		longs[i] = (struct option){rows[i].name, rows[i].argument ? required_argument : no_argument, NULL,
					   LONG_BASE + (int)i};
		if (!rows[i].letter)
			continue;
		*shorts++ = rows[i].letter;
		if (rows[i].argument)
			*shorts++ = ':';
	}
	*shorts = '\0';
}

static void set(const struct row *row, struct settings *settings, const char *argument)
{
	char *field = (char *)settings + row->offset;

	if (row->argument)
		memcpy(field, &argument, sizeof(argument));
	else
		*(bool *)field = true;
}

/* getopt_long() returned '?' or ':'; optopt is 0 for a long option that it does not know, or knows twice. */
static int explain(int returned, const char *word)
{
	const struct row *row = optopt ? row_of_value(optopt) : NULL;

	if (row && returned == ':')
		return misuse("--%s wants %s; see fipcctl --help", row->name, row->argument);
	if (row)
		return misuse("--%s takes no argument; see fipcctl --help", row->name);
	if (optopt)
		return misuse("there is no option -%c; see fipcctl --help", optopt);
	return misuse("there is no option %s; see fipcctl --help", word);
}

int options_parse(int argc, char **argv, struct settings *settings, unsigned *taken)
{
	struct option longs[COUNT(rows) + 1] = {0};
	char shorts[2 * COUNT(rows) + 2];
	int value;

	describe(longs, shorts);
	*settings = (struct settings){0};
	*taken = 0;
	opterr = 0;
	while ((value = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		if (value == '?' || value == ':')
			return explain(value, argv[optind - 1]);
		set(row_of_value(value), settings, optarg);
		*taken |= row_of_value(value)->takes;
	}
	return STATUS_DONE;
}

const char *option_of(unsigned takes)
{
	for (size_t i = 0; i < COUNT(rows); i++)
		if (rows[i].takes & takes)
			return rows[i].name;
	return NULL;
}

void options_print(unsigned takes)
{
	puts("\nOptions");
	for (size_t i = 0; i < COUNT(rows); i++) {
		char name[40], letter[4] = "";

		if (rows[i].takes && !(rows[i].takes & takes))
			continue;
		if (rows[i].letter)
			snprintf(letter, sizeof(letter), "-%c,", rows[i].letter);
		snprintf(name, sizeof(name), "--%s%s%s", rows[i].name, rows[i].argument ? " " : "",
			 rows[i].argument ? rows[i].argument : "");
		printf("  %-3s %-18s %s\n", letter, name, rows[i].help);
	}
}
