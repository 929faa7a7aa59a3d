/* SPDX-License-Identifier: Apache-2.0 */
/* fipcctl: what an operator types to see, and to clear up, the objects that programs share through fipc. */
#include <errno.h>
#include <fipc/registry.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "column.h"
#include "command.h"
#include "options.h"
#include "say.h"

static const struct command *const commands[] = {&command_list, &command_show, &command_ps, &command_gc};
enum { N_COMMANDS = sizeof(commands) / sizeof(*commands) };

static const struct command *command_by_name(const char *name)
{
	for (size_t i = 0; i < N_COMMANDS; i++)
		if (!strcmp(commands[i]->name, name))
			return commands[i];
	return NULL;
}

static int print_help(void)
{
	puts("Usage: fipcctl COMMAND [OPTION...]\n\n"
	     "The objects that programs share through fipc, and the processes that use them.\n\nCommands");
	for (size_t i = 0; i < N_COMMANDS; i++) {
		char usage[60];

		snprintf(usage, sizeof(usage), "%s %s", commands[i]->name, commands[i]->arguments);
		printf("  %-18s %s\n", usage, commands[i]->summary);
	}
	options_print(0);
	puts("\nExit status: 0 done, 1 not there or failed, 2 usage. See fipcctl COMMAND --help.");
	return STATUS_DONE;
}

static int print_command_help(const struct command *c)
{
	printf("Usage: fipcctl %s [OPTION...]%s%s\n\n%s\n", c->name, *c->arguments ? " " : "", c->arguments,
	       c->summary);
	if (c->text)
		printf("\n%s\n", c->text);
	options_print(c->takes);
	if (c->takes & TAKES_COLUMNS)
		columns_print(c->columns, c->default_columns);
	return STATUS_DONE;
}

static int print_version(void)
{
	puts("fipcctl " FIPC_VERSION);
	return STATUS_DONE;
}

static int check_type(const char *type)
{
	char names[200] = "";

	if (!type || fipc_type_from_name(type) > 0)
		return STATUS_DONE;
	for (int i = 1; fipc_type_name((enum fipc_type)i); i++) {
		size_t used = strlen(names);

		snprintf(names + used, sizeof(names) - used, " %s", fipc_type_name((enum fipc_type)i));
	}
	return misuse("there is no type '%s'; there are%s", type, names);
}

static int run(const struct command *c, const struct settings *s, unsigned taken, int n, char **arguments)
{
	if (taken & ~c->takes)
		return misuse("%s takes no --%s; see fipcctl %s --help", c->name, option_of(taken & ~c->takes),
			      c->name);
	if (s->direct && s->socket)
		return misuse("--direct asks nobody, --socket asks fipcd: give one of them");
	if (s->json && (s->columns || s->no_headings))
		return misuse("--json gives everything: --%s is for the table", s->columns ? "output" : "no-headings");
	if (n < c->min_arguments)
		return misuse("%s wants %s; see fipcctl %s --help", c->name, c->arguments, c->name);
	if (n > c->max_arguments)
		return misuse("%s: one argument too many, '%s'; see fipcctl %s --help", c->name,
			      arguments[c->max_arguments], c->name);
	if (check_type(s->type) != STATUS_DONE)
		return STATUS_USAGE;
	return c->run(c, s, arguments);
}

static int dispatch(int argc, char **argv)
{
	const struct command *c;
	struct settings settings;
	unsigned taken;
	int r = options_parse(argc, argv, &settings, &taken);

	if (r != STATUS_DONE)
		return r;
	if (settings.version)
		return print_version();
	if (optind == argc)
		return settings.help ? print_help() : misuse("which command? See fipcctl --help");
	c = command_by_name(argv[optind]);
	if (!c)
		return misuse("there is no command '%s'; see fipcctl --help", argv[optind]);
	if (settings.help)
		return print_command_help(c);
	return run(c, &settings, taken, argc - optind - 1, argv + optind + 1);
}

int main(int argc, char **argv)
{
	int r = dispatch(argc, argv);

	/* A full disk or a closed pipe must not look like an empty answer. */
	if ((fflush(stdout) || ferror(stdout)) && r == STATUS_DONE)
		return fail("cannot write the output: %s", strerror(errno));
	return r;
}
