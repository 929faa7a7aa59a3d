/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Running fipcctl, with and without a fipcd, and comparing what it says.
 */
#ifndef FIPC_TESTS_FIPCCTL_SUPPORT_H
#define FIPC_TESTS_FIPCCTL_SUPPORT_H

#include "support.h"

#include <jansson.h>

enum { DONE = 0, FAILED = 1, USAGE = 2, ANY = -1 };

struct told { /* by the last fipcctl() */
	int status;
	char out[1 << 16], err[1 << 12];
};
extern struct told told;

/* The tracking directory of one test; no fipcd of this machine is asked. */
const char *names(void);

/* Run it with the words of a line; those that begin with % are taken from the arguments. It must end with `status`. */
void fipcctl(int status, const char *line, ...);

/* For each command that --help lists. Returns how many there are. */
int each_command(void (*body)(const char *command));

/* Become it. words: NULL at the end; the first is its name. */
noreturn void fipcctl_exec(char **words, int out, int err);

int lines(const char *text);
void must_say(const char *text, const char *wanted);

/* Make one blank of many, and none at a line's end: widths depend on how long a pid is. */
void squeeze(char *text);
/* "1.234 s" becomes "T s". */
void hide_times(char *text);

void must_print_exactly(const char *wanted); /* standard output */
void must_print(const char *wanted);         /* the same, squeezed */

/* `fipcctl list` of these columns, without headings, prints that. */
void must_list(const char *columns, const char *wanted);

/* The one value of the answer, under `key`. A new reference. */
json_t *answer(const char *key);

struct service {
	char socket[100];
	int listener; /* of a service that is not fipcd */
	const char *reply;
	pid_t pid;
};
void service_name(struct service *s);
void service_start(struct service *s); /* a fipcd for names(); returns when it answers */
void service_stop(struct service *s);

/* What this prints is the same with and without fipcd, and nothing is said on standard error. */
void same_through(const struct service *s, const char *line);

#endif
