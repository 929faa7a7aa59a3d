/* SPDX-License-Identifier: Apache-2.0 */
/* A command of the tool is one struct in a file of its own; parsing and help are driven by it. */
#ifndef FIPCCTL_COMMAND_H
#define FIPCCTL_COMMAND_H

#include <stdbool.h>

struct column;

struct settings { /* what the command line said */
	const char *directory, *socket, *columns, *type;
	bool direct, json, no_headings, dry_run, verbose, help, version;
};

enum { /* options that only some commands take */
       TAKES_COLUMNS = 1 << 0,
       TAKES_TYPE = 1 << 1,
       TAKES_DRY_RUN = 1 << 2,
       TAKES_VERBOSE = 1 << 3,
};

struct command {
	const char *name;
	const char *arguments; /* of the usage line */
	const char *summary;
	const char *text; /* of --help, below the summary; NULL none */
	unsigned takes;
	int min_arguments, max_arguments;
	const struct column *columns; /* of its table; the last has no name */
	const char *default_columns;
	int (*run)(const struct command *self, const struct settings *settings, char **arguments); /* an exit status */
};

extern const struct command command_list, command_show, command_ps, command_gc;

#endif
