/* SPDX-License-Identifier: Apache-2.0 */
/* The method Graph: who waits for whom. */
#include "graph.h"
#include "request.h"

#include <errno.h>

struct view {
	const struct request *request;
	json_t *waits, *deadlocks;
};

static bool sees(const struct fipc_object *object, void *context)
{
	const struct view *view = context;
	return caller_reads(&view->request->connection->caller, object->uid, object->gid, object->mode);
}

/* Twice, for what is said has to be confirmed; without a moment in between, for others wait. */
static int look_twice(struct graph **ret, fipc_registry *registry, struct view *view)
{
	struct graph *first;
	int r = graph_scan(&first, registry, sees, view);
	if (r < 0)
		return r;
	r = graph_scan(ret, registry, sees, view);
	if (r >= 0)
		graph_confirm(*ret, first);
	graph_free(first);
	return r;
}

static int extend(json_t *array, json_t *more)
{
	int r = more && json_array_extend(array, more) == 0 ? 0 : -ENOMEM;
	json_decref(more);
	return r;
}

static int look_in(struct directory *d, void *context)
{
	struct view *view = context;
	struct graph *graph;
	struct shared *shared;
	int r = directory_share(d, &shared);
	if (r < 0)
		return r;
	r = look_twice(&graph, shared->registry, view);
	shared_unref(shared);
	if (r < 0)
		return r;
	r = extend(view->waits, graph_waits_to_json(graph, directory_path(d)));
	if (r == 0)
		r = extend(view->deadlocks, graph_deadlocks_to_json(graph, directory_path(d)));
	graph_free(graph);
	return r;
}

int run_graph(struct request *request)
{
	struct view view = {request, json_array(), json_array()};
	int r = view.waits && view.deadlocks ? request_visit_directories(request, look_in, &view) : -ENOMEM;
	if (r == 0)
		r = wire_reply_add(request->out,
				   json_pack("{s:O, s:O}", "waits", view.waits, "deadlocks", view.deadlocks));
	if (r == -EMSGSIZE)
		r = answer_too_large(request, WIRE_MESSAGE_MAX);
	json_decref(view.waits);
	json_decref(view.deadlocks);
	return r < 0 ? r : 0;
}
