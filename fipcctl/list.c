/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <pwd.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "column.h"
#include "command.h"
#include "object.h"
#include "say.h"
#include "source.h"
#include "table.h"

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
	{"FLAGS", "persistent, timestamps, autoreset, owned", "flags", format_flags, ALIGN_LEFT},
	{"RECLAIM", "why gc takes it or leaves it", "reclaim.reason", format_text, ALIGN_LEFT},
	{"ACQUIRED", "when a py-mutex or py-sema was had last", "state.acquired_usec", format_microseconds, ALIGN_LEFT},
	{"CREATED", "when it was made", "created_usec", format_microseconds, ALIGN_LEFT},
	{"CREATOR", "process that made it", "creator_pid", format_nonzero, ALIGN_RIGHT},
	{"PIDNS", "PID namespace of that process", "pidns", format_nonzero, ALIGN_RIGHT},
	{"SIZE", "bytes of shared memory that it takes", "size", format_integer, ALIGN_RIGHT},
	{"INODE", "inode of its file", "inode", format_nonzero, ALIGN_RIGHT},
	{"ERROR", "why it cannot be read", "error", format_text, ALIGN_LEFT_CUT},
	{"DIR", "its tracking directory", "dir", format_text, ALIGN_LEFT},
	{0},
};

/* A user's name, or number. */
static int select_user(struct source_filter *filter, const char *name)
{
	const struct passwd *user = getpwnam(name);
	char *end;

	filter->has_uid = true;
	filter->uid = user ? (json_int_t)user->pw_uid : (json_int_t)strtoul(name, &end, 10);
	if (!user && (!isdigit((unsigned char)*name) || *end || filter->uid > UINT32_MAX))
		return misuse("--user: there is no user '%s'", name);
	return STATUS_DONE;
}

/* ---- as a table: rows are made as objects come, and of each object only what the columns want is asked for ---- */

/* Of those that are made of several members. */
static const struct {
	char *(*format)(const json_t *object);
	const char *fields[8];
} made_of[] = {
	{format_state, {"state.state", "error"}},
	{format_detail,
	 {"state.tokens", "state.n_holders", "state.readers", "state.max_readers", "state.messages", "state.max_messages",
	  "state.bytes"}},
	{format_owner, {"state.owner_pid", "state.owner_tid"}},
};

/* Of the state a member can be asked for, of others all. */
static int want(json_t *fields, const char *path)
{
	size_t length = strncmp(path, "state.", 6) == 0 ? strlen(path) : strcspn(path, ".");

	return json_array_append_new(fields, json_stringn(path, length));
}

static int want_all(json_t *fields, const struct column *c)
{
	int r = 0;

	if (*c->path)
		return want(fields, c->path);
	for (size_t i = 0; i < sizeof(made_of) / sizeof(*made_of); i++)
		for (const char *const *field = made_of[i].fields; made_of[i].format == c->format && *field; field++)
			r |= want(fields, *field);
	return r;
}

static json_t *fields_of(const struct selection *selection)
{
	json_t *fields = json_array();
	int r = 0;

	for (unsigned i = 0; i < selection->n; i++)
		r |= want_all(fields, selection->columns[i]);
	if (r == 0)
		return fields;
	json_decref(fields);
	return NULL;
}

static int add_row(json_t *object, void *table)
{
	table_add_row(table, object);
	return 0;
}

static void drop_rows(void *table)
{
	table_drop_rows(table);
}

static int print_table(struct source *source, const struct source_filter *filter, const struct selection *selection,
		       const struct settings *settings)
{
	struct table table;
	const struct source_sink sink = {add_row, drop_rows, &table};
	json_t *fields = fields_of(selection);
	int r;

	if (!fields)
		return fail("out of memory");
	table_begin(&table, selection, settings);
	r = source_each(source, filter, fields, &sink);
	if (r == STATUS_DONE)
		r = table_print(&table);
	table_end(&table);
	json_decref(fields);
	return r;
}

/* ---- the command ---- */

static int print_objects(struct source *source, const struct source_filter *filter)
{
	json_t *objects = NULL;
	int r = source_select(source, filter, &objects);

	if (r == STATUS_DONE)
		r = print_json("objects", objects);
	json_decref(objects);
	return r;
}

static int print(const struct selection *selection, const struct settings *settings, const struct source_filter *filter)
{
	struct source *source = NULL;
	int r = source_open(&source, settings);

	if (r == STATUS_DONE)
		r = settings->json ? print_objects(source, filter) : print_table(source, filter, selection, settings);
	source_close(source);
	return r;
}

static int run(const struct command *self, const struct settings *settings, char **arguments)
{
	struct source_filter filter = {
		.pattern = arguments[0], .type = settings->type, .state = settings->state, .pid = settings->pid};
	struct selection selection;
	int r = columns_select(&selection, self, settings);

	if (r == STATUS_DONE && settings->user)
		r = select_user(&filter, settings->user);
	return r == STATUS_DONE ? print(&selection, settings, &filter) : r;
}

static const struct command_option options[] = {
	TAKES_COLUMNS,
	TAKES_TYPE,
	{0, "state", OPTION_TEXT, "STATE", "only objects in this state: held, owner-died, full, ...",
	 offsetof(struct settings, state), NULL},
	{'u', "user", OPTION_TEXT, "USER", "only objects of this user, a name or a number",
	 offsetof(struct settings, user), NULL},
	{'p', "pid", OPTION_NUMBER, "PID", "only objects that this process has, or left",
	 offsetof(struct settings, pid), NULL},
	TAKES_JSON,
	TAKES_COLOR,
	{0},
};

const struct command command_list = {
	.name = "list",
	.arguments = "[PATTERN]",
	.summary = "the objects, or those whose name matches a glob pattern",
	.options = options,
	.kind = ARGUMENT_OBJECT,
	.max_arguments = 1,
	.columns = columns,
	.default_columns = "NAME,TYPE,STATE,DETAIL,OWNER,WAITERS,ATTACHED,DEAD,UID",
	.run = run,
};
