/* SPDX-License-Identifier: Apache-2.0 */
#include <client.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "color.h"
#include "column.h"
#include "command.h"
#include "object.h"
#include "say.h"
#include "source.h"

enum { PATIENCE_MS = 5000 /* until fipcd says that it listens */, LINE_SIZE = 1 << 16 };

struct monitor {
	const struct settings *settings;
	struct wire_client *client;
	bool color, listens;
};

/* ---- an event ---- */

static char *event_time(const json_t *event)
{
	const json_t *usec = json_object_get(event, "time_usec");
	char *seconds = format_microseconds(usec);
	char *time = seconds ? make_text("%s.%03d", seconds, (int)(json_integer_value(usec) / 1000 % 1000)) : NULL;

	free(seconds);
	return time;
}

static char *event_object(const json_t *event)
{
	const char *name = json_text(event, "name"), *type = json_text(event, "type");
	char *object = *name ? make_text("%s%s%s", name, *type ? "." : "", type) : NULL;
	char *safe = *name ? (object ? safe_text(object) : NULL) : strdup("-");

	free(object);
	return safe;
}

static char *event_text(const json_t *event)
{
	const char *text = json_text(event, "text");
	json_int_t lost = json_number(event, "lost");

	if (lost > 0)
		return make_text(INT " events: %s", lost, text);
	return make_text("%s%s", json_truth(event, "possible") ? "possible: " : "", text);
}

/* Time, event, object and process; then words, if there are any. */
static int print_words(const struct monitor *m, const json_t *event)
{
	const char *kind = json_text(event, "event"), *begin = m->color ? shade_begin(shade_of("EVENT", kind)) : "";
	char *time = event_time(event), *object = event_object(event), *text = event_text(event);
	char *safe_kind = safe_text(kind), *safe = text ? safe_text(text) : NULL;
	char *pid = format_nonzero(json_object_get(event, "pid"));
	bool whole = time && object && safe && safe_kind && pid;

	if (whole)
		printf("%s %s%-10s%s %-20s %7s%s%s\n", time, begin, safe_kind, *begin ? SHADE_END : "", object, pid,
		       *safe ? " " : "", safe);
	free(pid);
	free(safe);
	free(safe_kind);
	free(text);
	free(object);
	free(time);
	return whole ? 0 : -ENOMEM;
}

static int print_event(json_t *event, void *context)
{
	struct monitor *m = context;
	int r = 0;

	if (!m->listens) {
		m->listens = true;
		r = wire_client_set_timeout(m->client, 0);
	}
	if (r < 0)
		return r;
	if (!m->settings->json)
		r = print_words(m, event);
	else if (json_dumpf(event, stdout, JSON_COMPACT | JSON_ENSURE_ASCII) == 0)
		putchar('\n');
	else
		r = -ENOMEM;
	/* Each line goes out whole, and at once. */
	return r == 0 && fflush(stdout) ? -errno : r;
}

/* ---- the end ---- */

static void end(int signal)
{
	(void)signal;
	_exit(STATUS_DONE); /* whatever was to be told has been written */
}

/* Whoever reads may be gone long before there is something to tell him. */
static void *await_reader_gone(void *unused)
{
	struct pollfd out = {.fd = STDOUT_FILENO};

	(void)unused;
	while (poll(&out, 1, -1) <= 0)
		;
	_exit(STATUS_DONE);
}

static int prepare_end(void)
{
	static char buffer[LINE_SIZE];
	static const int ending[] = {SIGINT, SIGTERM, SIGPIPE};
	struct sigaction action = {.sa_handler = end};
	pthread_t thread;
	int r;

	setvbuf(stdout, buffer, _IOFBF, sizeof(buffer));
	for (size_t i = 0; i < sizeof(ending) / sizeof(*ending); i++)
		sigaction(ending[i], &action, NULL);
	r = pthread_create(&thread, NULL, await_reader_gone, NULL);
	return r ? fail("cannot start a thread: %s", strerror(r)) : STATUS_DONE;
}

/* ---- the call ---- */

/* All that fipcd looks after, unless a directory is named. */
static int parameters(json_t **ret, const struct settings *settings, const char *pattern)
{
	bool named;
	char *directory = source_directory(settings, &named);

	if (!directory)
		return fail("cannot find the directory: %s", strerror(errno));
	*ret = json_pack("{ss*, ss*, ss*}", "dir", named ? directory : NULL, "name", pattern, "type", settings->type);
	free(directory);
	return *ret ? STATUS_DONE : fail("a pattern or directory is not UTF-8, or out of memory");
}

static int listen_to(struct monitor *m, const char *socket, json_t *call_parameters)
{
	json_t *reply = NULL;
	char *error = NULL;
	int r = wire_client_call_more(m->client, "io.fipc.Manager.Monitor", call_parameters, print_event, m, &reply,
				      &error);

	if (error)
		r = fail("fipcd at %s: %s", socket, source_error(error));
	else
		r = fail("fipcd at %s: %s", socket,
			 r == -EAGAIN                 ? "no answer"
			 : r == 0 || r == -ECONNRESET ? "it has ended"
						      : strerror(-r));
	json_decref(reply);
	free(error);
	return r;
}

static int monitor(const struct settings *settings, const char *pattern)
{
	struct monitor m = {.settings = settings, .color = color_wanted(settings)};
	const char *socket = source_socket(settings);
	json_t *call_parameters = NULL;
	int r = wire_client_connect(&m.client, socket, PATIENCE_MS);

	if (r < 0)
		return fail("no fipcd at %s: %s; to start it: systemctl start fipcd.socket, or fipcd --socket %s",
			    socket, strerror(-r), socket);
	r = parameters(&call_parameters, settings, pattern);
	if (r == STATUS_DONE)
		r = listen_to(&m, socket, call_parameters);
	wire_client_free(m.client);
	return r;
}

static int run(const struct command *self, const struct settings *settings, char **arguments)
{
	int r;

	(void)self;
	if (settings->direct)
		return misuse("monitor: only fipcd knows what happens; leave out --direct");
	r = prepare_end();
	return r == STATUS_DONE ? monitor(settings, arguments[0]) : r;
}

static const struct command_option options[] = {
	TAKES_TYPE,
	{0, "json", OPTION_FLAG, NULL, "everything, as one JSON object in each line", offsetof(struct settings, json),
	 NULL},
	TAKES_COLOR,
	{0},
};

const struct command command_monitor = {
	.name = "monitor",
	.arguments = "[PATTERN]",
	.summary = "what happens to the objects, as it happens; by fipcd",
	.text = "A line for each event: date and time, event, object, process, and words. Events:\n\n"
		"  listening   from now on nothing is missed\n"
		"  created     an object\n"
		"  attached    a process has opened it\n"
		"  detached    it has closed it, or was dead and its entry has been removed\n"
		"  died        a process\n"
		"  owner-died  a process that had the lock\n"
		"  reclaimed   the object was taken away\n"
		"  deadlock    processes wait for each other\n"
		"  lost        something may have been missed",
	.options = options,
	.kind = ARGUMENT_OBJECT,
	.max_arguments = 1,
	.run = run,
};
