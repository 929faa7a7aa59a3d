/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tool tells people: one line each on stderr. Standard output is left to data.
 * A function of this program that returns an exit status has said why; one that returns a negative errno has not.
 */
#ifndef FIPCCTL_SAY_H
#define FIPCCTL_SAY_H

#include <stddef.h>

enum { STATUS_DONE = 0, STATUS_FAILED = 1, STATUS_USAGE = 2 };

void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
int fail(const char *format, ...) __attribute__((format(printf, 1, 2)));   /* says it; STATUS_FAILED */
int misuse(const char *format, ...) __attribute__((format(printf, 1, 2))); /* says it; STATUS_USAGE */

/* From now on a line goes there, in place of the one before, for standard error is covered; NULL: no longer. */
void say_into(char *line, size_t size);

/*
 * A copy of bytes that somebody else chose, fit for a terminal: printable ASCII stays, every other byte and the
 * backslash become \xNN. free() it; NULL: no memory.
 */
char *safe_text(const char *bytes);

#endif
