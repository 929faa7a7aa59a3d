/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "column.h"
#include "command.h"
#include "object.h"
#include "say.h"
#include "source.h"
#include "table.h"

static int64_t now_usec(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * INT64_C(1000000) + now.tv_nsec / 1000;
}

/* A process's start is counted in clock ticks since boot. */
static char *format_start(const json_t *value)
{
	json_int_t ticks = json_integer_value(value), hertz = sysconf(_SC_CLK_TCK);
	json_t *usec;
	char *text;

	if (ticks <= 0 || ticks > INT64_MAX / 1000000)
		return strdup("-");
	usec = json_integer(now_usec(CLOCK_REALTIME) - now_usec(CLOCK_BOOTTIME) + ticks * 1000000 / hertz);
	text = format_microseconds(usec);
	json_decref(usec);
	return text;
}

static const struct column columns[] = {
	{"PID", "its pid, as it saw itself", "pid", format_integer, ALIGN_RIGHT},
	{"LIFE", "alive, dead, or unknown", "life", format_text, ALIGN_LEFT},
	{"UID", "its user", "uid", format_integer, ALIGN_RIGHT},
	{"USER", "the same, by name", "uid", format_user, ALIGN_LEFT},
	{"GID", "its group", "gid", format_integer, ALIGN_RIGHT},
	{"COMM", "what it called itself", "comm", format_text, ALIGN_LEFT},
	{"START", "when it started", "start", format_start, ALIGN_LEFT},
	{"ATTACHED", "objects that it has open, or left", "attachments", format_integer, ALIGN_RIGHT},
	{"PIDNS", "its PID namespace", "pidns", format_nonzero, ALIGN_RIGHT},
	{"TRACKER", "inode of its tracker file", "tracker", format_nonzero, ALIGN_RIGHT},
	{"DIR", "the tracking directory", "dir", format_text, ALIGN_LEFT},
	{0},
};

static int print(const struct selection *selection, const struct settings *settings)
{
	struct source *source = NULL;
	json_t *processes = NULL;
	int r = source_open(&source, settings);

	if (r == STATUS_DONE)
		r = source_processes(source, &processes);
	if (r == STATUS_DONE)
		r = settings->json ? print_json("processes", processes) : table_of(selection, processes, settings);
	json_decref(processes);
	source_close(source);
	return r;
}

static int run(const struct command *self, const struct settings *settings, char **arguments)
{
	struct selection selection;
	int r = columns_select(&selection, self, settings);

	(void)arguments;
	return r == STATUS_DONE ? print(&selection, settings) : r;
}

static const struct command_option options[] = {TAKES_COLUMNS, TAKES_JSON, TAKES_COLOR, {0}};

const struct command command_ps = {
	.name = "ps",
	.arguments = "",
	.summary = "the processes that use fipc, or died and left something",
	.options = options,
	.columns = columns,
	.default_columns = "PID,LIFE,UID,COMM,START,ATTACHED",
	.run = run,
};
