/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The methods that look at once: Get, ListProcesses and Collect; and what the caller may see of an object.
 */
#include "array.h"
#include "encode.h"
#include "request.h"

#include <errno.h>
#include <string.h>

const struct fipc_object *request_sees(const struct request *request, const struct fipc_object *object,
				       struct fipc_object *outside)
{
	if (caller_reads(&request->connection->caller, object->uid, object->gid, object->mode))
		return object;
	*outside = (struct fipc_object){
		.name = object->name,
		.type = object->type,
		.uid = object->uid,
		.gid = object->gid,
		.mode = object->mode,
		.inode = object->inode,
		.error = -EACCES,
		.reason = FIPC_KEEP_NOT_PERMITTED,
	};
	return outside;
}

json_t *request_object_to_json(const struct request *request, const struct directory *d,
			       const struct fipc_object *object, const struct who *who)
{
	struct fipc_object outside;
	return fipc_object_to_json(request_sees(request, object, &outside), directory_path(d), who, OBJECT_WHOLE);
}

/* ---- one object ---- */

struct search {
	struct request *request;
	struct directory *directory; /* where it is looked for */
	struct who *who;
	struct found *found;
	unsigned n;
};

static int meet(const struct fipc_object *object, void *context)
{
	struct search *search = context;
	if (strcmp(object->name, search->request->arguments.name) != 0 || search->n++ > 0)
		return 0;
	*search->found = (struct found){
		.directory = search->directory,
		.type = object->type,
		.inode = object->inode,
		.uid = object->uid,
		.attached = object->n_alive,
		.json = request_object_to_json(search->request, search->directory, object, search->who),
	};
	if (object->type == FIPC_TYPE_MUTEX && object->error == 0) {
		search->found->owner_pid = object->mutex.owner_pid;
		search->found->owner_tid = object->mutex.owner_tid;
	}
	return 0;
}

static int search_directory(struct directory *d, void *context)
{
	/* No name has a character that is special in a pattern. */
	struct search *search = context;
	const struct arguments *arguments = &search->request->arguments;
	const struct fipc_filter filter = {.pattern = arguments->name, .type = arguments->type};
	search->directory = d;
	int r = directory_who(d, &search->who);
	if (r >= 0)
		r = directory_walk(d, 0, &filter, meet, search);
	who_free(search->who);
	search->who = NULL;
	return r;
}

int request_find_object(struct request *request, struct found *ret)
{
	const char **name = &request->arguments.name;
	struct search search = {.request = request, .found = ret};
	*ret = (struct found){0};
	*name += **name == '/'; /* as the library's open */
	int r = request_visit_directories(request, search_directory, &search);
	if (r != 0)
		return r;
	if (search.n == 1)
		return ret->json ? 0 : -ENOMEM;
	r = answer_error_with(request, search.n == 0 ? MANAGER ".NoSuchObject" : MANAGER ".Ambiguous", "name", *name);
	return r < 0 ? r : 1;
}

void found_done(struct found *found)
{
	json_decref(found->json);
}

int run_get(struct request *request)
{
	struct found found;
	int r = request_find_object(request, &found);
	if (r == 0)
		r = wire_reply_add(request->out, json_pack("{s:O}", "object", found.json));
	if (r == -EMSGSIZE)
		r = answer_too_large(request, WIRE_MESSAGE_MAX);
	found_done(&found);
	return r < 0 ? r : 0;
}

/* ---- many ---- */

struct view {
	struct request *request;
	struct directory *directory;
	struct who *who; /* Collect: of what is only looked at */
	struct array array;
};

static int reply_view(struct view *view, const char *head, visit_fn visit)
{
	struct request *request = view->request;
	array_begin(&view->array, head);
	int r = request_visit_directories(request, visit, view);
	if (r == 0)
		r = array_end(&view->array, request->out, false);
	if (r == -EMSGSIZE)
		r = answer_too_large(request, array_bytes(&view->array));
	array_free(&view->array);
	return r < 0 ? r : 0;
}

static int view_process(const struct fipc_process *process, void *context)
{
	struct view *view = context;
	process_write(&view->array.text, process, directory_path(view->directory));
	return array_is_full(&view->array);
}

static int list_processes_of(struct directory *d, void *context)
{
	struct view *view = context;
	view->directory = d;
	return directory_processes(d, view_process, view);
}

int run_list_processes(struct request *request)
{
	struct view view = {.request = request};
	return reply_view(&view, "{\"parameters\":{\"processes\":[", list_processes_of);
}

/* A collection goes on when its report is too long. */
static int view_collected(const struct fipc_object *object, void *context)
{
	struct view *view = context;
	struct fipc_object outside;
	if (!array_is_full(&view->array))
		object_write(&view->array.text, request_sees(view->request, object, &outside),
			     directory_path(view->directory), view->who, OBJECT_WHOLE);
	return 0;
}

static int collect_in(struct directory *d, void *context)
{
	struct view *view = context;
	const struct request *request = view->request;
	const struct fipc_filter filter = {
		.pattern = request->arguments.name,
		.type = request->arguments.type,
		.by_owner = !caller_is_privileged(&request->connection->caller),
		.owner = request->connection->caller.uid,
	};
	bool dry_run = request->arguments.dry_run;
	view->directory = d;
	int r = dry_run ? directory_who(d, &view->who) : 0;
	if (r >= 0)
		r = directory_walk(d, dry_run ? 0 : FIPC_WALK_COLLECT, &filter, view_collected, view);
	who_free(view->who);
	view->who = NULL;
	return r;
}

struct census { /* of the objects that fit a pattern */
	struct request *request;
	struct directory *directory;
	bool own;           /* there is one of the caller's */
	struct found other; /* another user's; without one its directory is NULL */
};

static int count(const struct fipc_object *object, void *context)
{
	struct census *census = context;
	if (caller_owns(&census->request->connection->caller, object->uid))
		census->own = true;
	else if (!census->other.directory)
		census->other = (struct found){
			.directory = census->directory, .type = object->type, .uid = object->uid};
	return census->own;
}

static int count_in(struct directory *d, void *context)
{
	struct census *census = context;
	const struct arguments *arguments = &census->request->arguments;
	const struct fipc_filter filter = {.pattern = arguments->name, .type = arguments->type};
	census->directory = d;
	int r = directory_walk(d, 0, &filter, count, census);
	return r < 0 ? r : 0;
}

/*
 * Nobody is told that others' objects stay, but he who asks for nothing else. Returns as request_visit_directories().
 */
static int refuse_others(struct request *request)
{
	struct census census = {.request = request};
	const struct caller *caller = &request->connection->caller;
	if (caller_is_privileged(caller))
		return 0;
	int r = request->arguments.name ? request_visit_directories(request, count_in, &census) : 0;
	if (r == 0 && (!caller_owns(caller, caller->uid) || (census.other.directory && !census.own))) {
		r = answer_refused(request, "collect", &census.other);
		return r < 0 ? r : 1;
	}
	return r;
}

int run_collect(struct request *request)
{
	struct view view = {.request = request};
	int r = refuse_others(request);
	if (r != 0)
		return r < 0 ? r : 0;
	return reply_view(&view, request->arguments.dry_run ? "{\"parameters\":{\"dry_run\":true,\"objects\":["
							    : "{\"parameters\":{\"dry_run\":false,\"objects\":[",
			  collect_in);
}
