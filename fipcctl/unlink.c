/* SPDX-License-Identifier: Apache-2.0 */
#include "column.h"
#include "command.h"
#include "find.h"
#include "say.h"

static int take_away(struct source *source, json_t *object, const struct settings *settings)
{
	json_int_t attached = json_number(object, "attached");
	int r = source_do(source, DEED_UNLINK, object);

	(void)settings;
	if (r == STATUS_DONE && attached > 0)
		say("%s is gone; who has it open (" INT " %s) goes on with the old one", json_text(object, "name"),
		    attached, attached == 1 ? "process" : "processes");
	return r;
}

static int run(const struct command *self, const struct settings *settings, char **arguments)
{
	(void)self;
	return find_and(settings, arguments[0], take_away);
}

static const struct command_option options[] = {TAKES_TYPE, {0}};

const struct command command_unlink = {
	.name = "unlink",
	.arguments = "NAME[.TYPE]",
	.summary = "take an object's name away",
	.text = "Whoever has it open goes on with it; the next open makes another one. Two groups may then believe\n"
		"that they exclude each other: let everybody open it anew.",
	.options = options,
	.kind = ARGUMENT_OBJECT,
	.min_arguments = 1,
	.max_arguments = 1,
	.run = run,
};
