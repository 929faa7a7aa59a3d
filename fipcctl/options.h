/* SPDX-License-Identifier: Apache-2.0 */
/* The command line's options: one table, from which they are parsed and explained. */
#ifndef FIPCCTL_OPTIONS_H
#define FIPCCTL_OPTIONS_H

#include "command.h"

/*
 * Options may stand anywhere before "--". Returns an exit status; then *settings is filled in, *taken has the TAKES_*
 * bits of the options met, and the other arguments stand from argv[optind] on.
 */
int options_parse(int argc, char **argv, struct settings *settings, unsigned *taken);

/* The name of an option among these bits, for an error message. */
const char *option_of(unsigned takes);

/* Explain on stdout the options that every command takes, and those in `takes`. */
void options_print(unsigned takes);

#endif
