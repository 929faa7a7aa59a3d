/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "color.h"

static const char NOT_ZERO[] = "a number but 0";

static const struct {
	const char *column, *cell;
	enum shade shade;
} rules[] = {
	{"STATE", "owner-died", SHADE_BAD},   {"STATE", "not-recoverable", SHADE_BAD},
	{"STATE", "recovering", SHADE_DOUBT}, {"LIFE", "dead", SHADE_BAD},
	{"LIFE", "unknown", SHADE_DOUBT},     {"DEAD", NOT_ZERO, SHADE_BAD},
	{"HEALTH", "warn", SHADE_DOUBT},      {"HEALTH", "fail", SHADE_BAD},
	{"UNKNOWN", NOT_ZERO, SHADE_DOUBT},   {"DEATHS", NOT_ZERO, SHADE_DOUBT},
	{"EVENT", "owner-died", SHADE_BAD},   {"EVENT", "deadlock", SHADE_BAD},
	{"EVENT", "lost", SHADE_DOUBT},
};

/* An empty $NO_COLOR is none, as no-color.org has it. */
static bool terminal_has_color(void)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	return (!no || !*no) && term && *term && strcmp(term, "dumb") != 0 && isatty(STDOUT_FILENO);
}

bool color_wanted(const struct settings *settings)
{
	if (!settings->color || !strcmp(settings->color, "auto"))
		return terminal_has_color();
	return !strcmp(settings->color, "always");
}

/* The first word is it: in a record more may follow. */
static bool matches(const char *wanted, const char *cell)
{
	size_t length = strlen(wanted);

	if (wanted == NOT_ZERO)
		return strtoll(cell, NULL, 10) != 0;
	return !strncmp(wanted, cell, length) && (!cell[length] || cell[length] == ' ');
}

enum shade shade_of(const char *column, const char *cell)
{
	for (size_t i = 0; i < sizeof(rules) / sizeof(*rules); i++)
		if (!strcasecmp(rules[i].column, column) && matches(rules[i].cell, cell))
			return rules[i].shade;
	return SHADE_NONE;
}

const char *shade_begin(enum shade shade)
{
	static const char *const sequences[] = {
		[SHADE_NONE] = "", [SHADE_HEADING] = "\033[1m", [SHADE_DOUBT] = "\033[33m", [SHADE_BAD] = "\033[31m"};

	return sequences[shade];
}
