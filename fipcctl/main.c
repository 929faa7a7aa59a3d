/* SPDX-License-Identifier: Apache-2.0 */
/* fipcctl: what an operator types to see, and to clear up, the objects that programs share through fipc. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "column.h"
#include "command.h"
#include "options.h"
#include "say.h"

static int print_help(void)
{
	puts("Usage: fipcctl COMMAND [OPTION...]\n\n"
	     "The objects that programs share through fipc, and the processes that use them.\n\nCommands");
	for (const struct command *const *c = commands; *c; c++) {
		char usage[60];

		snprintf(usage, sizeof(usage), "%s %s", (*c)->name, (*c)->arguments);
		printf("  %-23s %s\n", usage, (*c)->summary);
	}
	options_print(NULL);
	puts("\nExit status: 0 done, 1 not there or failed, 2 usage. See fipcctl COMMAND --help.");
	return STATUS_DONE;
}

static int print_command_help(const struct command *c)
{
	printf("Usage: fipcctl %s [OPTION...]%s%s\n\n%s\n", c->name, *c->arguments ? " " : "", c->arguments,
	       c->summary);
	if (c->text)
		printf("\n%s\n", c->text);
	options_print(c);
	if (c->columns)
		columns_print(c->columns, c->default_columns);
	return STATUS_DONE;
}

static int print_version(void)
{
	puts("fipcctl " FIPC_VERSION);
	return STATUS_DONE;
}

static int run(const struct command_line *line)
{
	const struct command *c = line->command;
	const struct settings *s = &line->settings;

	if (s->direct && s->socket)
		return misuse("--direct asks nobody, --socket asks fipcd: give one of them");
	if (s->json && (s->columns || s->no_headings))
		return misuse("--json gives everything: --%s is for the table", s->columns ? "output" : "no-headings");
	if (line->n_arguments < c->min_arguments)
		return misuse("%s wants %s; see fipcctl %s --help", c->name, c->arguments, c->name);
	if (line->n_arguments > c->max_arguments)
		return misuse("%s: one argument too many, '%s'; see fipcctl %s --help", c->name,
			      line->arguments[c->max_arguments], c->name);
	return c->run(c, s, line->arguments);
}

static int dispatch(int argc, char **argv)
{
	struct command_line line;
	int r = options_parse(&line, argc, argv);

	if (r != STATUS_DONE)
		return r;
	if (line.settings.version)
		return print_version();
	if (line.settings.help)
		return line.command ? print_command_help(line.command) : print_help();
	return line.command ? run(&line) : misuse("which command? See fipcctl --help");
}

int main(int argc, char **argv)
{
	int r = dispatch(argc, argv);

	/* A full disk or a closed pipe must not look like an empty answer. */
	if ((fflush(stdout) || ferror(stdout)) && r == STATUS_DONE)
		return fail("cannot write the output: %s", strerror(errno));
	return r;
}
