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

static int take_objects(json_t *parameters, void *context)
{
	const struct source_sink *sink = context;
	json_t *objects = json_object_get(parameters, "objects"), *object;
	size_t index;
	int r = json_is_array(objects) ? 0 : -EBADMSG;

	json_array_foreach(objects, index, object) {
		if (r == 0)
			r = sink->add(object, sink->context);
	}
	return r;
}

/* The method List, whose reply comes in pieces: all of it would be too large for one. */
static int call_list(struct source *s, json_t *parameters, const struct source_sink *sink)
{
	json_t *reply = NULL;
	char *error = NULL;
	int r = wire_client_call_more(s->client, INTERFACE "List", parameters, take_objects, (void *)sink, &reply,
				      &error);

	if (r < 0)
		r = daemon_failed(s, r == -EAGAIN ? "no answer" : strerror(-r));
	else if (error)
		r = daemon_refused(s, error, false);
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

static int ask_for_list(struct source *s, json_t *parameters, const struct source_sink *sink)
{
	int r = parameters ? call_list(s, parameters, sink) : no_parameters();

	if (r != LOOK_FOR_YOURSELF)
		return r;
	forget_daemon(s);
	sink->begin_anew(sink->context); /* it may have told of some */
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
	const struct source_sink *sink;
	struct object_filter wanted;
	uint64_t members; /* of an object */
	struct who *who;  /* NULL: nobody asks */
};

/* value: a new reference, or NULL, out of memory. */
static int tell(const struct scan *scan, json_t *value)
{
	int r = value ? scan->sink->add(value, scan->sink->context) : -ENOMEM;

	json_decref(value);
	return r;
}

static int tell_object(const struct fipc_object *object, void *context)
{
	const struct scan *scan = context;

	if (!object_is_wanted(object, &scan->wanted))
		return 0;
	return tell(scan, fipc_object_to_json(object, scan->source->directory, scan->who, scan->members));
}

static int tell_process(const struct fipc_process *process, void *context)
{
	const struct scan *scan = context;

	return tell(scan, fipc_process_to_json(process, scan->source->directory));
}

/* As fipcd does: who has them and who sleeps is told of what is only looked at. */
static int walk(fipc_registry *registry, unsigned flags, const struct fipc_filter *filter, struct scan *scan)
{
	bool only_looks = !(flags & FIPC_WALK_COLLECT);
	int r = only_looks && object_tells_who(scan->members) ? who_look(&scan->who, registry) : 0;

	if (r == 0)
		r = fipc_registry_walk(registry, flags, filter, tell_object, scan);
	who_free(scan->who);
	return r;
}

static int can_scan(const struct source *s)
{
	return s->registry || s->absent ? STATUS_DONE : cannot_open(s, s->registry_error);
}

static int scanned(const struct source *s, int error)
{
	return error ? fail("cannot read the directory %s: %s", s->directory, strerror(-error)) : STATUS_DONE;
}

static uint64_t members_of(const json_t *fields)
{
	const json_t *name;
	uint64_t members = fields ? 0 : OBJECT_WHOLE;
	size_t index;

	json_array_foreach(fields, index, name)
		members |= object_member(json_string_value(name));
	return members;
}

static int scan_objects(struct source *s, unsigned flags, const struct source_filter *wanted, const json_t *fields,
			const struct source_sink *sink)
{
	struct scan scan = {
		.source = s,
		.sink = sink,
		.wanted = {.state = wanted->state, .pid = (int)wanted->pid},
		.members = members_of(fields),
	};
	struct fipc_filter filter = {
		.pattern = wanted->pattern, .by_owner = wanted->has_uid, .owner = (uint32_t)wanted->uid};

	if (can_scan(s) != STATUS_DONE)
		return STATUS_FAILED;
	if (wanted->type)
		filter.type = (enum fipc_type)fipc_type_from_name(wanted->type);
	return scanned(s, s->absent ? 0 : walk(s->registry, flags, &filter, &scan));
}

static int scan_processes(struct source *s, const struct source_sink *sink)
{
	struct scan scan = {.source = s, .sink = sink};

	if (can_scan(s) != STATUS_DONE)
		return STATUS_FAILED;
	return scanned(s, s->absent ? 0 : fipc_registry_processes(s->registry, 0, tell_process, &scan));
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

static int append(json_t *value, void *array)
{
	return json_array_append(array, value) ? -ENOMEM : 0;
}

static void clear(void *array)
{
	json_array_clear(array);
}

static struct source_sink into(json_t *array)
{
	return (struct source_sink){append, clear, array};
}

/* What came into it; NULL: there was no memory for one. */
static int give(json_t *array, int r, json_t **ret)
{
	if (r == STATUS_DONE && !array)
		return fail("out of memory");
	if (r == STATUS_DONE)
		*ret = array;
	else
		json_decref(array);
	return r;
}

static int ask_for_objects(struct source *s, const struct source_filter *filter, const json_t *fields,
			   const struct source_sink *sink)
{
	json_t *parameters = json_pack("{ss, ss*, ss*, ss*, so*, so*, sO*}", "dir", s->directory, "name",
				       filter->pattern, "type", filter->type, "state", filter->state, "uid",
				       filter->has_uid ? json_integer(filter->uid) : NULL, "pid",
				       filter->pid ? json_integer(filter->pid) : NULL, "fields", (json_t *)fields);

	return ask_for_list(s, parameters, sink);
}

int source_each(struct source *s, const struct source_filter *filter, const json_t *fields,
		const struct source_sink *sink)
{
	int r = s->client ? ask_for_objects(s, filter, fields, sink) : LOOK_FOR_YOURSELF;

	return r == LOOK_FOR_YOURSELF ? scan_objects(s, 0, filter, fields, sink) : r;
}

int source_select(struct source *s, const struct source_filter *filter, json_t **ret)
{
	json_t *array = json_array();
	const struct source_sink sink = into(array);

	return give(array, source_each(s, filter, NULL, &sink), ret);
}

int source_list(struct source *s, const char *pattern, const char *type, json_t **ret)
{
	return source_select(s, &(struct source_filter){.pattern = pattern, .type = type}, ret);
}

int source_processes(struct source *s, json_t **ret)
{
	struct source_sink sink;
	json_t *array;
	int r = LOOK_FOR_YOURSELF;

	if (s->client)
		r = ask(s, INTERFACE "ListProcesses", json_pack("{ss}", "dir", s->directory), "processes", ret);
	if (r != LOOK_FOR_YOURSELF)
		return r;
	array = json_array();
	sink = into(array);
	return give(array, scan_processes(s, &sink), ret);
}

static int collect_ourselves(struct source *s, unsigned flags, const struct source_filter *filter, json_t **ret)
{
	json_t *array = json_array();
	const struct source_sink sink = into(array);

	return give(array, scan_objects(s, flags, filter, NULL, &sink), ret);
}

int source_collect(struct source *s, const char *pattern, const char *type, bool dry_run, json_t **ret)
{
	const struct source_filter filter = {.pattern = pattern, .type = type};
	int r = LOOK_FOR_YOURSELF;

	if (s->client)
		r = ask(s, INTERFACE "Collect",
			json_pack("{ss, sb, ss*, ss*}", "dir", s->directory, "dry_run", (int)dry_run, "name", pattern,
				  "type", type),
			"objects", ret);
	if (r != LOOK_FOR_YOURSELF)
		return r;
	r = collect_ourselves(s, dry_run ? 0 : FIPC_WALK_COLLECT, &filter, ret);
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
