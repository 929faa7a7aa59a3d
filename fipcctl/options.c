/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <errno.h>
#include <fipc/registry.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"
#include "say.h"

enum {
	OPTIONS_MAX = 80, /* of all commands together */
	LONG_BASE = 256,  /* getopt's values of long options: above all letters */
	SECONDS_MAX = 1000000000,
};

#define IN_SETTINGS(member) offsetof(struct settings, member)

const struct command_option common_options[] = {
	{0, "dir", OPTION_DIRECTORY, "DIR",
	 "the tracking directory (else $FIPC_DIR, $FASTIPC_PID_DIR, /dev/shm/fastipc)", IN_SETTINGS(directory), NULL},
	{0, "socket", OPTION_FILE, "PATH",
	 "ask only the fipcd here (else $FIPC_SOCKET, /run/fipc/fipcd.sock, if it is there)", IN_SETTINGS(socket),
	 NULL},
	{0, "direct", OPTION_FLAG, NULL, "look for yourself, do not ask fipcd", IN_SETTINGS(direct), NULL},
	{'h', "help", OPTION_FLAG, NULL, "this text", IN_SETTINGS(help), NULL},
	{'V', "version", OPTION_FLAG, NULL, "the version", IN_SETTINGS(version), NULL},
	{0},
};

/* ---- the options that are known ---- */

struct known {
	const struct command_option *options[OPTIONS_MAX];
	int n;
};

static const struct command_option *known_name(const struct known *known, const char *name, size_t length)
{
	for (int i = 0; i < known->n; i++)
		if (strlen(known->options[i]->name) == length && !strncmp(known->options[i]->name, name, length))
			return known->options[i];
	return NULL;
}

static const struct command_option *known_letter(const struct known *known, int letter)
{
	for (int i = 0; letter && i < known->n; i++)
		if (known->options[i]->letter == letter)
			return known->options[i];
	return NULL;
}

/* The first of a name is it. */
static void learn(struct known *known, const struct command_option *options)
{
	for (; options && options->name; options++)
		if (known->n < OPTIONS_MAX && !known_name(known, options->name, strlen(options->name)))
			known->options[known->n++] = options;
}

/* Of one command; NULL: of all. */
static void learn_command(struct known *known, const struct command *command)
{
	known->n = 0;
	learn(known, common_options);
	if (command)
		learn(known, command->options);
	for (const struct command *const *c = commands; !command && *c; c++)
		learn(known, (*c)->options);
}

/* ---- what follows them ---- */

static int check_type(const struct command_option *o, const char *type)
{
	char names[200] = "";

	if (fipc_type_from_name(type) > 0)
		return STATUS_DONE;
	for (int i = 1; fipc_type_name((enum fipc_type)i); i++) {
		size_t used = strlen(names);

		snprintf(names + used, sizeof(names) - used, " %s", fipc_type_name((enum fipc_type)i));
	}
	return misuse("--%s: there is no type '%s'; there are%s", o->name, type, names);
}

static int check_word(const struct command_option *o, const char *word)
{
	size_t length = strlen(word);

	for (const char *w = o->words; length && *w; w += strspn(w, " ")) {
		if (strcspn(w, " ") == length && !strncmp(w, word, length))
			return STATUS_DONE;
		w += strcspn(w, " ");
	}
	return misuse("--%s: not '%s', but one of: %s", o->name, word, o->words);
}

static int set_number(const struct command_option *o, void *field, const char *text)
{
	char *end;
	unsigned long number = isdigit((unsigned char)*text) ? strtoul(text, &end, 10) : 0;

	if (number < 1 || number > INT32_MAX || *end)
		return misuse("--%s: '%s' is no number from 1 on", o->name, text);
	*(unsigned *)field = (unsigned)number;
	return STATUS_DONE;
}

static int64_t unit_ns(const char *unit)
{
	static const struct {
		const char *name;
		int64_t ns;
	} units[] = {
		{"", 1000000000}, {"s", 1000000000},    {"ms", 1000000},
		{"us", 1000},     {"min", 60000000000}, {"h", 3600000000000},
	};

	for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++)
		if (!strcmp(units[i].name, unit))
			return units[i].ns;
	return 0;
}

static int set_duration(const struct command_option *o, void *field, const char *text)
{
	char *unit = (char *)"?";
	/* strtod() also reads signs, infinity and hexadecimal. */
	double number =
		isdigit((unsigned char)*text) && tolower((unsigned char)text[1]) != 'x' ? strtod(text, &unit) : 0;
	double ns = number * (double)unit_ns(unit);

	if (!unit_ns(unit) || ns > SECONDS_MAX * 1e9)
		return misuse("--%s: '%s' is no time; 5s is one, 200ms, 1.5min", o->name, text);
	*(struct duration *)field = (struct duration){.given = true, .ns = (int64_t)ns};
	return STATUS_DONE;
}

static int set(const struct command_option *o, struct settings *settings, const char *argument)
{
	void *field = (char *)settings + o->offset;

	if (o->kind == OPTION_NUMBER)
		return set_number(o, field, argument);
	if (o->kind == OPTION_DURATION)
		return set_duration(o, field, argument);
	if (o->kind == OPTION_FLAG)
		*(bool *)field = true;
	else
		*(const char **)field = argument;
	return o->kind == OPTION_TYPE   ? check_type(o, argument)
	       : o->kind == OPTION_WORD ? check_word(o, argument)
					: STATUS_DONE;
}

/* ---- the line ---- */

/* What getopt_long() wants to know. A missing argument is told from an unknown option (':'). */
static void describe(const struct known *known, const char *mode, struct option *longs, char *shorts)
{
	shorts += sprintf(shorts, "%s:", mode);
	for (int i = 0; i < known->n; i++) {
		const struct command_option *o = known->options[i];

		longs[i] = (struct option){o->name, o->argument ? required_argument : no_argument, NULL, LONG_BASE + i};
		if (o->letter)
			shorts += sprintf(shorts, "%c%s", o->letter, o->argument ? ":" : "");
	}
	longs[known->n] = (struct option){0};
	*shorts = '\0';
}

static const struct command_option *option_of(const struct known *known, int value)
{
	return value >= LONG_BASE ? known->options[value - LONG_BASE] : known_letter(known, value);
}

/* The option is not this command's: does another take it? */
static int explain_unknown(const struct command *command, int letter, const char *word)
{
	struct known all;
	const struct command_option *o;
	bool is_long = !letter && !strncmp(word, "--", 2);

	learn_command(&all, NULL);
	o = is_long ? known_name(&all, word + 2, strcspn(word + 2, "=")) : known_letter(&all, letter);
	if (o && command)
		return misuse("%s takes no --%s; see fipcctl %s --help", command->name, o->name, command->name);
	if (letter)
		return misuse("there is no option -%c; see fipcctl --help", letter);
	return misuse("there is no option %s; see fipcctl --help", word);
}

/* getopt_long() returned '?' or ':'; optopt is 0 for a long option that it does not know, or knows twice. */
static int explain(const struct known *known, const struct command *command, int returned, const char *word)
{
	const struct command_option *o = optopt ? option_of(known, optopt) : NULL;
	const char *name = command ? command->name : "", *space = command ? " " : "";

	if (o && returned == ':')
		return misuse("--%s wants %s; see fipcctl %s%s--help", o->name, o->argument, name, space);
	if (o)
		return misuse("--%s takes no argument; see fipcctl %s%s--help", o->name, name, space);
	return explain_unknown(command, optopt, word);
}

/* In mode "+" no further than the first word that is no option. */
static int parse(struct command_line *line, const char *mode, int argc, char **argv)
{
	struct option longs[OPTIONS_MAX + 1];
	char shorts[2 * OPTIONS_MAX + 3];
	struct known known;
	int value, r = STATUS_DONE;

	learn_command(&known, line->command);
	describe(&known, mode, longs, shorts);
	opterr = 0;
	optind = 0; /* anew */
	line->settings = (struct settings){0};
	while (r == STATUS_DONE && (value = getopt_long(argc, argv, shorts, longs, NULL)) != -1)
		r = value == '?' || value == ':' ? explain(&known, line->command, value, argv[optind - 1])
						 : set(option_of(&known, value), &line->settings, optarg);
	return r;
}

/* Which options there are depends on the command, so that is looked for first, past any command's options. */
int options_parse(struct command_line *ret, int argc, char **argv)
{
	int r;

	ret->command = NULL;
	r = parse(ret, "+", argc, argv);
	if (r != STATUS_DONE || optind == argc)
		return r;
	ret->command = command_by_name(argv[optind]);
	if (!ret->command)
		return misuse("there is no command '%s'; see fipcctl --help", argv[optind]);
	r = parse(ret, "", argc, argv);
	ret->settings.dashes = !strcmp(argv[optind - 1], "--");
	ret->n_arguments = argc - optind - 1;
	ret->arguments = argv + optind + 1;
	return r;
}

void options_print(const struct command *command)
{
	struct known known;

	known.n = 0;
	learn(&known, command ? command->options : NULL);
	learn(&known, common_options);
	puts("\nOptions");
	for (int i = 0; i < known.n; i++) {
		const struct command_option *o = known.options[i];
		char name[40], letter[4] = "";

		if (o->letter)
			snprintf(letter, sizeof(letter), "-%c,", o->letter);
		snprintf(name, sizeof(name), "--%s%s%s", o->name, o->argument ? " " : "",
			 o->argument ? o->argument : "");
		printf("  %-3s %-22s %s\n", letter, name, o->help);
	}
}
