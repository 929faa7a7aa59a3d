/* SPDX-License-Identifier: Apache-2.0 */
#include <client.h>
#include <encode.h>
#include <errno.h>
#include <fipc/registry.h>
#include <graph.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <who.h>

#include "column.h"
#include "journal.h"
#include "library.h"
#include "say.h"
#include "source.h"

#define DEFAULT_DIRECTORY "/dev/shm/fastipc"
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

char *absolute_directory(const char *directory)
{
	return *directory == '/' ? strdup(directory) : realpath(directory, NULL);
}

/* As the library chooses; but that tells only of one that is there. */
char *source_directory(const struct settings *settings, bool *named)
{
	const char *path = settings->directory;

	if (!path || !*path)
		path = getenv("FIPC_DIR");
	if (!path || !*path)
		path = getenv("FASTIPC_PID_DIR");
	*named = path && *path;
	return *named ? absolute_directory(path) : strdup(DEFAULT_DIRECTORY);
}

const char *source_socket(const struct settings *settings)
{
	const char *socket = settings->socket ? settings->socket : getenv("FIPC_SOCKET");

	return socket && *socket ? socket : DEFAULT_SOCKET;
}

static int cannot_open(const struct source *s, int error)
{
	if (s->directory)
		return fail("cannot read the directory %s: %s", s->directory, strerror(error));
	return fail("cannot use the tracking directory: %s; name one with --dir", strerror(error));
}

static int open_given(struct source *s, const char *directory)
{
	s->directory = absolute_directory(directory);
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
	int r;

	s->must_answer = settings->socket != NULL;
	s->socket = source_socket(settings);
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

void source_describe(const struct source *s, char *ret, size_t size)
{
	char *directory = safe_text(s->directory ? s->directory : "no directory");

	snprintf(ret, size, "%s in %s", s->client ? "through fipcd" : "directly", directory ? directory : "?");
	free(directory);
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

const char *source_error(const char *error)
{
	static const struct {
		const char *error, *words;
	} known[] = {
		{INTERFACE "PermissionDenied", "this user may not do that"},
		{INTERFACE "ReplyTooLarge", "the answer would be too long; ask for less, with a pattern"},
		{INTERFACE "NotHeld", "nobody has it"},
		{INTERFACE "NotRevocable", "only mutexes can be revoked"},
		{INTERFACE "NoSuchObject", "it is not there any more"},
		{INTERFACE "Busy", "it has too much to do; try again later"},
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (!strcmp(known[i].error, error))
			return known[i].words;
	return error;
}

/* A deed that it refuses is not tried behind its back. */
static int daemon_refused(struct source *s, const char *error, bool is_deed)
{
	int elsewhere = !strcmp(error, INTERFACE "NoSuchDirectory");

	if (elsewhere && s->must_answer)
		return fail("fipcd at %s does not look after %s", s->socket, s->directory);
	if (is_deed && !elsewhere && strcmp(error, "org.varlink.service.MethodNotFound") != 0)
		return fail("fipcd refuses: %s", source_error(error));
	return elsewhere ? LOOK_FOR_YOURSELF : daemon_failed(s, source_error(error));
}

/* Call a method (parameters are taken over) and keep the array `key` of its reply; NULL: all of it. */
static int call(struct source *s, const char *method, json_t *parameters, const char *key, bool is_deed, json_t **ret)
{
	json_t *reply = NULL, *value;
	char *error = NULL;
	int r = wire_client_call(s->client, method, parameters, &reply, &error);

	if (r < 0)
		return daemon_failed(s, r == -EAGAIN ? "no answer" : strerror(-r));
	value = key ? json_object_get(reply, key) : reply;
	if (error)
		r = daemon_refused(s, error, is_deed);
	else if (key && !json_is_array(value))
		r = daemon_failed(s, "not the answer expected");
	else
		*ret = json_incref(value);
	json_decref(reply);
	free(error);
	return r;
}

static int take_objects(json_t *parameters, void *objects)
{
	json_t *some = json_object_get(parameters, "objects");

	return !json_is_array(some) ? -EBADMSG : json_array_extend(objects, some) < 0 ? -ENOMEM : 0;
}

/* The method List, whose reply comes in pieces: all of it would be too large for one. */
static int call_list(struct source *s, json_t *parameters, json_t **ret)
{
	json_t *objects = json_array(), *reply = NULL;
	char *error = NULL;
	int r = wire_client_call_more(s->client, INTERFACE "List", parameters, take_objects, objects, &reply, &error);

	if (r < 0)
		r = daemon_failed(s, r == -EAGAIN ? "no answer" : strerror(-r));
	else if (error)
		r = daemon_refused(s, error, false);
	else
		*ret = json_incref(objects);
	json_decref(objects);
	json_decref(reply);
	free(error);
	return r;
}

/* Without parameters a method means everything: what was to be said must not get lost. */
static int no_parameters(void)
{
	return fail("a pattern or directory is not UTF-8, or out of memory");
}

static void forget_daemon(struct source *s)
{
	wire_client_free(s->client);
	s->client = NULL;
}

static int ask_for_list(struct source *s, json_t *parameters, json_t **ret)
{
	int r = parameters ? call_list(s, parameters, ret) : no_parameters();

	if (r == LOOK_FOR_YOURSELF)
		forget_daemon(s);
	return r;
}

static int ask_for(struct source *s, const char *method, json_t *parameters, const char *key, bool is_deed,
		   json_t **ret)
{
	int r = parameters ? call(s, method, parameters, key, is_deed, ret) : no_parameters();

	if (r == LOOK_FOR_YOURSELF)
		forget_daemon(s);
	return r;
}

static int ask(struct source *s, const char *method, json_t *parameters, const char *key, json_t **ret)
{
	return ask_for(s, method, parameters, key, false, ret);
}

/* ---- our own scan ---- */

struct scan {
	const struct source *source;
	struct who *who; /* NULL: nobody asks */
	json_t *array;
};

static int add_object(const struct fipc_object *object, void *context)
{
	struct scan *scan = context;
	json_t *json = fipc_object_to_json(object, scan->source->directory);
	int r = json && scan->who ? who_add(scan->who, object, json) : 0;

	return json_array_append_new(scan->array, json) ? -ENOMEM : r;
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
	scan->who = NULL;
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

/* As fipcd does: who has them and who sleeps is told of what is only looked at. */
static int walk(fipc_registry *registry, unsigned flags, const struct fipc_filter *filter, struct scan *scan)
{
	int r = flags & FIPC_WALK_COLLECT ? 0 : who_look(&scan->who, registry);

	if (r == 0)
		r = fipc_registry_walk(registry, flags, filter, add_object, scan);
	who_free(scan->who);
	return r;
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
	r = s->absent ? 0 : walk(s->registry, flags, &filter, &scan);
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

static bool is_attached(const json_t *object, json_int_t pid)
{
	const json_t *attachment;
	size_t index;

	json_array_foreach(json_object_get(object, "attachments"), index, attachment) {
		if (json_number(attachment, "pid") == pid)
			return true;
	}
	return false;
}

/* As fipcd does, what the registry cannot. */
static bool is_wanted(const json_t *object, const struct source_filter *filter)
{
	if (filter->state && strcmp(filter->state, json_text(object, "state.state")) != 0)
		return false;
	if (filter->has_uid && json_number(object, "uid") != filter->uid)
		return false;
	return !filter->pid || is_attached(object, filter->pid);
}

static void drop_unwanted(json_t *objects, const struct source_filter *filter)
{
	for (size_t i = json_array_size(objects); i > 0; i--)
		if (!is_wanted(json_array_get(objects, i - 1), filter))
			json_array_remove(objects, i - 1);
}

static int ask_for_objects(struct source *s, const struct source_filter *filter, json_t **ret)
{
	json_t *parameters = json_pack("{ss, ss*, ss*, ss*, so*, so*}", "dir", s->directory, "name", filter->pattern,
				       "type", filter->type, "state", filter->state, "uid",
				       filter->has_uid ? json_integer(filter->uid) : NULL, "pid",
				       filter->pid ? json_integer(filter->pid) : NULL);

	return ask_for_list(s, parameters, ret);
}

int source_select(struct source *s, const struct source_filter *filter, json_t **ret)
{
	int r = s->client ? ask_for_objects(s, filter, ret) : LOOK_FOR_YOURSELF;

	if (r != LOOK_FOR_YOURSELF)
		return r;
	r = scan_objects(s, 0, filter->pattern, filter->type, ret);
	if (r == STATUS_DONE)
		drop_unwanted(*ret, filter);
	return r;
}

int source_list(struct source *s, const char *pattern, const char *type, json_t **ret)
{
	return source_select(s, &(struct source_filter){.pattern = pattern, .type = type}, ret);
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

/* What fipcd counts is nowhere else: without it there is no array of it. */
int source_counters(struct source *s, json_t **ret)
{
	int r = LOOK_FOR_YOURSELF;

	*ret = NULL;
	if (s->client)
		r = ask(s, INTERFACE "Metrics", json_object(), NULL, ret);
	return r == LOOK_FOR_YOURSELF ? STATUS_DONE : r;
}

static int scan_graph(struct source *s, json_t **ret)
{
	struct graph *graph = NULL;
	int r;

	if (!s->registry && !s->absent)
		return cannot_open(s, s->registry_error);
	r = s->absent ? 0 : graph_look(&graph, s->registry, NULL, NULL);
	if (r < 0)
		return fail("cannot read the directory %s: %s", s->directory, strerror(-r));
	*ret = graph ? json_pack("{so, so}", "waits", graph_waits_to_json(graph, s->directory), "deadlocks",
				 graph_deadlocks_to_json(graph, s->directory))
		     : json_pack("{s[], s[]}", "waits", "deadlocks");
	graph_free(graph);
	return *ret ? STATUS_DONE : fail("out of memory");
}

int source_graph(struct source *s, json_t **ret)
{
	int r = LOOK_FOR_YOURSELF;

	if (s->client)
		r = ask(s, INTERFACE "Graph", json_pack("{ss}", "dir", s->directory), NULL, ret);
	return r == LOOK_FOR_YOURSELF ? scan_graph(s, ret) : r;
}

/* ---- what is done to one object ---- */

static const struct {
	const char *verb, *method;
	int (*do_it)(fipc_registry *r, const char *name, enum fipc_type type, uint64_t inode);
} deeds[] = {
	[DEED_REVOKE] = {"revoke", INTERFACE "Revoke", fipc_registry_revoke},
	[DEED_UNLINK] = {"unlink", INTERFACE "Unlink", fipc_registry_unlink},
};

static int do_ourselves(struct source *s, enum deed deed, const json_t *object)
{
	const char *name = json_string_value(json_object_get(object, "name"));
	const char *type = json_string_value(json_object_get(object, "type"));
	int number = type ? fipc_type_from_name(type) : -EINVAL, r = number;

	if (!s->registry)
		return cannot_open(s, s->registry_error);
	if (number > 0)
		r = deeds[deed].do_it(s->registry, name, (enum fipc_type)number,
				      (uint64_t)json_integer_value(json_object_get(object, "inode")));
	if (r < 0)
		return fail("cannot %s '%s': %s", deeds[deed].verb, name, library_words(r));
	journal_deed(deed, object);
	return STATUS_DONE;
}

int source_do(struct source *s, enum deed deed, const json_t *object)
{
	json_t *reply = NULL;
	int r = LOOK_FOR_YOURSELF;

	if (s->client)
		r = ask_for(s, deeds[deed].method,
			    json_pack("{sO, sO, sO}", "dir", json_object_get(object, "dir"), "name",
				      json_object_get(object, "name"), "type", json_object_get(object, "type")),
			    NULL, true, &reply);
	json_decref(reply);
	return r == LOOK_FOR_YOURSELF ? do_ourselves(s, deed, object) : r;
}
