/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "command.h"

const struct command *const commands[] = {
	&command_list,  &command_show,    &command_ps,     &command_top,        &command_monitor,
	&command_graph, &command_gc,      &command_lock,   &command_revoke,     &command_unlink,
	&command_check, &command_metrics, &command_doctor, &command_completion, NULL};

const struct command *command_by_name(const char *name)
{
	for (const struct command *const *c = commands; *c; c++)
		if (!strcmp((*c)->name, name))
			return *c;
	return NULL;
}
