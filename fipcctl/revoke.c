/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "column.h"
#include "command.h"
#include "find.h"
#include "object.h"
#include "say.h"

/* A line of the terminal, on which the question stands on standard error: standard output is for data. */
static int ask(const char *name, const char *owner)
{
	char answer[16] = "";

	fprintf(stderr,
		"Revoke %s, which process %s has? If that lives, nobody gets the lock until it is made anew. [y/N] ",
		name, owner);
	if (fgets(answer, sizeof(answer), stdin) && (!strcmp(answer, "y\n") || !strcmp(answer, "yes\n")))
		return STATUS_DONE;
	return fail("%s is not revoked", name);
}

static int confirm(const json_t *object, const struct settings *settings)
{
	char *owner;
	int r;

	if (settings->yes)
		return STATUS_DONE;
	if (!isatty(STDIN_FILENO))
		return misuse("revoke: there is no terminal to ask on; if it is meant, say so with --yes");
	owner = format_owner(object);
	r = owner ? ask(json_text(object, "name"), owner) : fail("out of memory");
	free(owner);
	return r;
}

/* What has become of it depends on whether its owner lives; that was the library's to tell. */
static int tell(struct source *source, json_t *object, const struct settings *settings)
{
	const char *name = json_text(object, "name"), *state = json_text(object, "state.state");

	(void)source, (void)settings;
	if (!strcmp(state, "not-recoverable"))
		say("%s is revoked: its owner lives, so nobody gets it until it is made anew (fipcctl unlink %s.mutex)",
		    name, name);
	else
		say("%s is revoked: its owner was dead, so the next one gets it, and is told", name);
	return STATUS_DONE;
}

static int take_it(struct source *source, json_t *object, const struct settings *settings)
{
	const char *name = json_text(object, "name"), *type = json_text(object, "type");
	int r;

	if (strcmp(type, "mutex") != 0)
		return fail("'%s' is a %s: only a mutex can be revoked", name, type);
	if (!json_number(object, "state.owner_tid"))
		return fail("nobody has '%s': there is nothing to revoke", name);
	r = confirm(object, settings);
	return r == STATUS_DONE ? source_do(source, DEED_REVOKE, object) : r;
}

static int run(const struct command *self, const struct settings *settings, char **arguments)
{
	int r = find_and(settings, arguments[0], take_it);

	(void)self;
	return r == STATUS_DONE ? find_and(settings, arguments[0], tell) : r;
}

static const struct command_option options[] = {
	TAKES_TYPE,
	{'y', "yes", OPTION_FLAG, NULL, "do not ask", offsetof(struct settings, yes), NULL},
	{0},
};

const struct command command_revoke = {
	.name = "revoke",
	.arguments = "NAME[.TYPE]",
	.summary = "take a mutex from an owner that will not let go",
	.text = "If its owner is dead and the kernel has not noticed, the next one gets it, as after any death. If\n"
		"its owner lives, it is never given to a second one: from now on everybody gets ENOTRECOVERABLE,\n"
		"until the mutex is made anew. Asks on the terminal first, and without a terminal wants --yes. The\n"
		"journal says who did it, and to whom.",
	.options = options,
	.kind = ARGUMENT_OBJECT,
	.min_arguments = 1,
	.max_arguments = 1,
	.run = run,
};
