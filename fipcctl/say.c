/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "say.h"

static char *cover; /* NULL: standard error can be seen */
static size_t cover_size;

void say_into(char *line, size_t size)
{
	cover = line;
	cover_size = size;
}

static void say_line(const char *format, va_list arguments)
{
	char *text = NULL, *safe = NULL;

	if (vasprintf(&text, format, arguments) < 0)
		text = NULL;
	if (text)
		safe = safe_text(text);
	if (cover)
		snprintf(cover, cover_size, "%s", safe ? safe : "out of memory");
	else
		fprintf(stderr, "fipcctl: %s\n", safe ? safe : "out of memory");
	free(safe);
	free(text);
}

void say(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	say_line(format, arguments);
	va_end(arguments);
}

int fail(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	say_line(format, arguments);
	va_end(arguments);
	return STATUS_FAILED;
}

int misuse(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	say_line(format, arguments);
	va_end(arguments);
	return STATUS_USAGE;
}

char *safe_text(const char *bytes)
{
	char *text = malloc(4 * strlen(bytes) + 1), *p = text;

	if (!text)
		return NULL;
	for (const unsigned char *b = (const unsigned char *)bytes; *b; b++) {
		if (*b >= ' ' && *b <= '~' && *b != '\\')
			*p++ = (char)*b;
		else
			p += sprintf(p, "\\x%02x", *b);
	}
	*p = '\0';
	return text;
}
