/* SPDX-License-Identifier: Apache-2.0 */
/* The command line: parsed and explained from the options that the commands and all of them together take. */
#ifndef FIPCCTL_OPTIONS_H
#define FIPCCTL_OPTIONS_H

#include "command.h"

extern const struct command_option common_options[]; /* of every command; the last has no name */

struct command_line {
	const struct command *command; /* NULL: none is named */
	struct settings settings;
	int n_arguments;
	char **arguments; /* of the command; NULL is the last */
};

/* Options may stand anywhere before "--", before the command too. Returns an exit status. */
int options_parse(struct command_line *ret, int argc, char **argv);

/* Explain on stdout the options of a command (NULL: those of every command). */
void options_print(const struct command *command);

#endif
