/* SPDX-License-Identifier: Apache-2.0 */
#include <client.h>
#include <encode.h>
#include <errno.h>
#include <fipc/registry.h>
#include <stdlib.h>
#include <string.h>

#include "say.h"
#include "source.h"

#define DEFAULT_SOCKET "/run/fipc/fipcd.sock"
#define INTERFACE "io.fipc.Manager."
enum { PATIENCE_MS = 5000 }; /* with a daemon that does not answer */

struct source {
	char *directory;         /* NULL if `absent` */
	fipc_registry *registry; /* NULL if we cannot open it: then fipcd may still */
	int registry_error;
	bool absent;                /* nobody has made the usual directory: there is nothing to see */
	struct wire_client *client; /* NULL: fipcd is not asked, or not any more */
	const char *socket;
	bool must_answer; /* the socket was given on the command line */
};

/* ---- opening ---- */

/* A relative --dir is one of the shell's; the registry and fipcd want absolute ones. Returns NULL and sets errno. */
static char *absolute(const char *directory)
{
	return *directory == '/' ? strdup(directory) : realpath(directory, NULL);
}

static int cannot_open(const struct source *s, int error)
{
	if (s->directory)
		return fail("cannot read the directory %s: %s", s->directory, strerror(error));
	return fail("cannot use the tracking directory: %s; name one with --dir", strerror(error));
}

static int open_given(struct source *s, const char *directory)
{
	s->directory = absolute(directory);
	if (!s->directory)
		return fail("cannot find the directory %s: %s", directory, strerror(errno));
	s->registry_error = -fipc_registry_open(&s->registry, s->directory, 0);
	return STATUS_DONE;
}

static int open_usual(struct source *s)
{
	int r = fipc_registry_open(&s->registry, NULL, 0);

	if (r == -ENOENT && !s->must_answer) {
		say("the tracking directory is not there: nobody has used fipc yet");
		s->absent = true;
		return STATUS_DONE;
	}
	if (r < 0)
		return cannot_open(s, -r);
	s->directory = strdup(fipc_registry_dir(s->registry));
	return s->directory ? STATUS_DONE : fail("out of memory");
}

static int connect_daemon(struct source *s)
{
	int r = wire_client_connect(&s->client, s->socket, PATIENCE_MS);

	if (r < 0 && s->must_answer)
		return fail("no fipcd at %s: %s", s->socket, strerror(-r));
	return STATUS_DONE; /* else it is not there, and we look for ourselves */
}

static int fill_source(struct source *s, const struct settings *settings)
{
	const char *socket = getenv("FIPC_SOCKET");
	int r;

	s->must_answer = settings->socket != NULL;
	s->socket = s->must_answer ? settings->socket : socket && *socket ? socket : DEFAULT_SOCKET;
	r = settings->directory ? open_given(s, settings->directory) : open_usual(s);
	if (r == STATUS_DONE && !settings->direct && !s->absent)
		r = connect_daemon(s);
	return r;
}

int source_open(struct source **ret, const struct settings *settings)
{
	struct source *s = calloc(1, sizeof(*s));
	int r = s ? fill_source(s, settings) : fail("out of memory");

	if (r == STATUS_DONE)
		*ret = s;
	else
		source_close(s);
	return r;
}

void source_close(struct source *s)
{
	if (!s)
		return;
	wire_client_free(s->client);
	fipc_registry_close(s->registry);
	free(s->directory);
	free(s);
}

/* ---- fipcd ---- */

enum { LOOK_FOR_YOURSELF = -1 }; /* beside the exit statuses: fipcd has not answered, and need not */

/* Does not answer, or not what was asked. */
static int daemon_failed(struct source *s, const char *why)
{
	if (s->must_answer)
		return fail("fipcd at %s: %s", s->socket, why);
	say("fipcd at %s: %s; going on without it", s->socket, why);
	return LOOK_FOR_YOURSELF;
}

/* What fipcd's errors mean; of others the name must do. */
static const char *error_words(const char *error)
{
	static const struct {
		const char *error, *words;
	} known[] = {
		{INTERFACE "PermissionDenied", "it does not serve this user"},
		{INTERFACE "ReplyTooLarge", "the answer would be too long; ask for less, with a pattern"},
		{INTERFACE "Busy", "it has too much to do; try again later"},
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (!strcmp(known[i].error, error))
			return known[i].words;
	return error;
}

static int daemon_refused(struct source *s, const char *error)
{
	int elsewhere = !strcmp(error, INTERFACE "NoSuchDirectory");

	if (elsewhere && s->must_answer)
		return fail("fipcd at %s does not look after %s", s->socket, s->directory);
	return elsewhere ? LOOK_FOR_YOURSELF : daemon_failed(s, error_words(error));
}

/* Call a method (parameters are taken over) and keep the array `key` of its reply. */
static int call(struct source *s, const char *method, json_t *parameters, const char *key, json_t **ret)
{
	json_t *reply = NULL, *array;
	char *error = NULL;
	int r = wire_client_call(s->client, method, parameters, &reply, &error);

	if (r < 0)
		return daemon_failed(s, r == -EAGAIN ? "no answer" : strerror(-r));
	array = json_object_get(reply, key);
	if (error)
		r = daemon_refused(s, error);
	else if (!json_is_array(array))
		r = daemon_failed(s, "not the answer expected");
	else
		*ret = json_incref(array);
	json_decref(reply);
	free(error);
	return r;
}

static int ask(struct source *s, const char *method, json_t *parameters, const char *key, json_t **ret)
{
	int r;

	/* Without parameters a method means everything: what was to be said must not get lost. */
	if (!parameters)
		return fail("a pattern or directory is not UTF-8, or out of memory");
	r = call(s, method, parameters, key, ret);
	if (r == LOOK_FOR_YOURSELF) {
		wire_client_free(s->client);
		s->client = NULL;
	}
	return r;
}

/* ---- our own scan ---- */

struct scan {
	const struct source *source;
	json_t *array;
};

static int add_object(const struct fipc_object *object, void *context)
{
	struct scan *scan = context;

	return json_array_append_new(scan->array, fipc_object_to_json(object, scan->source->directory)) ? -ENOMEM : 0;
}

static int add_process(const struct fipc_process *process, void *context)
{
	struct scan *scan = context;

	return json_array_append_new(scan->array, fipc_process_to_json(process, scan->source->directory)) ? -ENOMEM : 0;
}

static int start_scan(struct scan *scan, const struct source *s)
{
	if (!s->registry && !s->absent)
		return cannot_open(s, s->registry_error);
	scan->source = s;
	scan->array = json_array();
	return scan->array ? STATUS_DONE : fail("out of memory");
}

static int finish_scan(struct scan *scan, int error, json_t **ret)
{
	if (error) {
		json_decref(scan->array);
		return fail("cannot read the directory %s: %s", scan->source->directory, strerror(-error));
	}
	*ret = scan->array;
	return STATUS_DONE;
}

static int scan_objects(struct source *s, unsigned flags, const char *pattern, const char *type, json_t **ret)
{
	struct fipc_filter filter = {.pattern = pattern};
	struct scan scan;
	int r = start_scan(&scan, s);

	if (r != STATUS_DONE)
		return r;
	if (type)
		filter.type = (enum fipc_type)fipc_type_from_name(type);
	r = s->absent ? 0 : fipc_registry_walk(s->registry, flags, &filter, add_object, &scan);
	return finish_scan(&scan, r, ret);
}

static int ignore_process(const struct fipc_process *process, void *context)
{
	(void)process, (void)context;
	return 0;
}

/* The trackers of the dead who own nothing any more are litter, too; but nobody is told of each. */
static void sweep_trackers(struct source *s)
{
	int r = s->absent ? 0 : fipc_registry_processes(s->registry, FIPC_WALK_COLLECT, ignore_process, NULL);

	if (r < 0)
		say("cannot clear up %s/" FIPC_TRACKERS ": %s", s->directory, strerror(-r));
}

/* ---- what the commands call ---- */

int source_list(struct source *s, const char *pattern, const char *type, json_t **ret)
{
	int r = LOOK_FOR_YOURSELF;

	if (s->client)
		r = ask(s, INTERFACE "List",
			json_pack("{ss, ss*, ss*}", "dir", s->directory, "name", pattern, "type", type), "objects",
			ret);
	return r == LOOK_FOR_YOURSELF ? scan_objects(s, 0, pattern, type, ret) : r;
}

int source_processes(struct source *s, json_t **ret)
{
	struct scan scan;
	int r = LOOK_FOR_YOURSELF;

	if (s->client)
		r = ask(s, INTERFACE "ListProcesses", json_pack("{ss}", "dir", s->directory), "processes", ret);
	if (r != LOOK_FOR_YOURSELF)
		return r;
	r = start_scan(&scan, s);
	if (r != STATUS_DONE)
		return r;
	r = s->absent ? 0 : fipc_registry_processes(s->registry, 0, add_process, &scan);
	return finish_scan(&scan, r, ret);
}

int source_collect(struct source *s, const char *pattern, const char *type, bool dry_run, json_t **ret)
{
	int r = LOOK_FOR_YOURSELF;

	if (s->client)
		r = ask(s, INTERFACE "Collect",
			json_pack("{ss, sb, ss*, ss*}", "dir", s->directory, "dry_run", (int)dry_run, "name", pattern,
				  "type", type),
			"objects", ret);
	if (r != LOOK_FOR_YOURSELF)
		return r;
	r = scan_objects(s, dry_run ? 0 : FIPC_WALK_COLLECT, pattern, type, ret);
	if (r == STATUS_DONE && !dry_run)
		sweep_trackers(s);
	return r;
}
