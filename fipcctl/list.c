/* SPDX-License-Identifier: Apache-2.0 */
#include "column.h"
#include "command.h"
#include "object.h"
#include "say.h"
#include "source.h"

static const struct column columns[] = {
	{"NAME", "its name", "name", format_text, ALIGN_LEFT},
	{"TYPE", "its type", "type", format_text, ALIGN_LEFT},
	{"STATE", "its state, in a word: free, held, set, empty, ...; or why it cannot be read", "", format_state,
	 ALIGN_LEFT},
	{"DETAIL", "tokens and how many hold some, readers, messages, bytes", "", format_detail, ALIGN_LEFT},
	{"OWNER", "who holds or writes it: process, or process/thread", "", format_owner, ALIGN_RIGHT},
	{"WAITERS", "threads asleep on it", "state.waiters", format_integer, ALIGN_RIGHT},
	{"ATTACHED", "live processes that have it open", "attached", format_integer, ALIGN_RIGHT},
	{"DEAD", "dead processes that left an entry", "dead", format_integer, ALIGN_RIGHT},
	{"UNKNOWN", "entries that cannot be judged", "unknown", format_integer, ALIGN_RIGHT},
	{"MODE", "permission bits", "mode", format_mode, ALIGN_RIGHT},
	{"UID", "user that made it", "uid", format_integer, ALIGN_RIGHT},
	{"USER", "the same, by name", "uid", format_user, ALIGN_LEFT},
	{"GID", "its group", "gid", format_integer, ALIGN_RIGHT},
	{"DEATHS", "times that an owner died inside", "state.owner_deaths", format_integer, ALIGN_RIGHT},
	{"CONTENDED", "times that it was had only after waiting", "state.contended", format_integer, ALIGN_RIGHT},
	{"ACQUISITIONS", "times that it was had", "state.acquisitions", format_integer, ALIGN_RIGHT},
	{"FLAGS", "persistent, timestamps, autoreset, owned", "", format_flags, ALIGN_LEFT},
	{"RECLAIM", "why gc takes it or leaves it", "reclaim.reason", format_text, ALIGN_LEFT},
	{"CREATED", "when it was made", "created_usec", format_microseconds, ALIGN_LEFT},
	{"CREATOR", "process that made it", "creator_pid", format_nonzero, ALIGN_RIGHT},
	{"PIDNS", "PID namespace of that process", "pidns", format_nonzero, ALIGN_RIGHT},
	{"SIZE", "bytes of shared memory that it takes", "size", format_integer, ALIGN_RIGHT},
	{"INODE", "inode of its file", "inode", format_nonzero, ALIGN_RIGHT},
	{"ERROR", "why it cannot be read", "error", format_text, ALIGN_LEFT_CUT},
	{"DIR", "its tracking directory", "dir", format_text, ALIGN_LEFT},
	{0},
};

static int print(const struct selection *selection, const struct settings *settings, const char *pattern)
{
	struct source *source = NULL;
	json_t *objects = NULL;
	int r = source_open(&source, settings);

	if (r == STATUS_DONE)
		r = source_list(source, pattern, settings->type, &objects);
	if (r == STATUS_DONE)
		r = settings->json ? print_json("objects", objects) : columns_table(selection, objects, settings);
	json_decref(objects);
	source_close(source);
	return r;
}

static int run(const struct command *self, const struct settings *settings, char **arguments)
{
	struct selection selection;
	int r = columns_select(&selection, self, settings);

	return r == STATUS_DONE ? print(&selection, settings, arguments[0]) : r;
}

const struct command command_list = {
	.name = "list",
	.arguments = "[PATTERN]",
	.summary = "the objects, or those whose name matches a glob pattern",
	.takes = TAKES_COLUMNS | TAKES_TYPE,
	.max_arguments = 1,
	.columns = columns,
	.default_columns = "NAME,TYPE,STATE,DETAIL,OWNER,WAITERS,ATTACHED,DEAD,UID",
	.run = run,
};
