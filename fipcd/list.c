/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The method List. However many objects there are, a turn of the loop looks at a few: deaths are seen to in between,
 * and others are answered. With `more` what was found is sent, and read, before the next look.
 */
#include "array.h"
#include "encode.h"
#include "limit.h"
#include "request.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct listing {
	struct answer answer;
	struct request request; /* without the call */
	struct array objects;
	struct fipc_filter filter;
	struct object_filter wanted;
	char *pattern, *state, *reason; /* of the two filters; NULL: any */
	uint64_t members;               /* of each object */
	struct directory **directories; /* to look at */
	size_t n_directories, next;
	struct directory *directory; /* the one that is being looked at, */
	struct shared *shared;       /* through its handle, which stays if the directory goes meanwhile */
	fipc_walk *walk;             /* NULL: none is */
	struct who *who;             /* as it was when the walk began */
};

static int list_object(const struct fipc_object *object, void *context)
{
	struct listing *l = context;
	struct fipc_object outside;
	const struct fipc_object *seen = request_sees(&l->request, object, &outside);
	/* Asked of what the caller is shown: what he may not see he cannot find by it. */
	if (object_is_wanted(seen, &l->wanted))
		object_write(&l->objects.text, seen, directory_path(l->directory), l->who, l->members);
	return array_is_full(&l->objects) ? -EMSGSIZE : 0;
}

static void close_walk(struct listing *l)
{
	fipc_walk_close(l->walk);
	shared_unref(l->shared);
	who_free(l->who);
	l->who = NULL;
	l->walk = NULL;
	l->shared = NULL;
}

static int open_walk(struct listing *l)
{
	l->directory = l->directories[l->next++];
	int r = directory_share(l->directory, &l->shared);
	if (r >= 0 && object_tells_who(l->members))
		r = who_look(&l->who, l->shared->registry);
	if (r >= 0)
		r = fipc_walk_open(&l->walk, l->shared->registry, 0, &l->filter);
	if (r < 0)
		close_walk(l);
	return r;
}

/* Returns 1 if there is more to look at, 0 if that was all, or a negative errno. */
static int look_on(struct listing *l)
{
	if (!l->walk && l->next == l->n_directories)
		return 0;
	int r = l->walk ? 0 : open_walk(l);
	if (r == -ENOENT)
		return 1; /* it has gone */
	if (r >= 0)
		r = fipc_walk_step(l->walk, LIMIT_OBJECTS_PER_TURN, list_object, l);
	if (r < 0)
		return r;
	if (fipc_walk_is_over(l->walk))
		close_walk(l);
	return 1;
}

static int say_error(struct listing *l, int error)
{
	if (l->objects.text.failed)
		return -ENOMEM;
	int r = error == -EMSGSIZE ? answer_too_large(&l->request, array_bytes(&l->objects))
				   : answer_failed(&l->request, l->directory, error);
	return r < 0 ? r : ANSWER_IS_OVER;
}

static int go_on(struct answer *answer, struct connection *connection)
{
	struct listing *l = (struct listing *)answer;
	int r = look_on(l);
	bool all = r == 0;
	if (all || (r > 0 && l->request.more && array_bytes(&l->objects) >= LIMIT_LIST_CHUNK))
		r = array_end(&l->objects, &connection->out, !all);
	l->answer.held = array_bytes(&l->objects);
	if (r < 0)
		return say_error(l, r);
	return all ? ANSWER_IS_OVER : ANSWER_GOES_ON;
}

static void listing_free(struct answer *answer)
{
	struct listing *l = (struct listing *)answer;
	close_walk(l);
	array_free(&l->objects);
	free(l->pattern);
	free(l->state);
	free(l->reason);
	free(l->directories);
	free(l);
}

static int note_directory(struct directory *d, void *context)
{
	struct listing *l = context;
	if (!directory_is_there(d))
		return -ENOENT;
	l->directories[l->n_directories++] = d;
	return 0;
}

static bool copy(char **ret, const char *string)
{
	return !string || (*ret = strdup(string));
}

static struct listing *listing_new(const struct request *request)
{
	const struct arguments *arguments = &request->arguments;
	struct listing *l = calloc(1, sizeof(*l));
	if (!l)
		return NULL;
	l->answer = (struct answer){.go_on = go_on, .free = listing_free};
	l->request = (struct request){
		.service = request->service,
		.connection = request->connection,
		.out = request->out,
		.more = request->more,
	};
	l->directories = calloc(request->service->n_directories, sizeof(struct directory *));
	if (!l->directories || !copy(&l->pattern, arguments->name) || !copy(&l->state, arguments->state) ||
	    !copy(&l->reason, arguments->reason)) {
		listing_free(&l->answer);
		return NULL;
	}
	l->filter = (struct fipc_filter){
		.pattern = l->pattern,
		.type = arguments->type,
		.by_owner = arguments->by_owner,
		.owner = arguments->owner,
	};
	l->wanted = (struct object_filter){.state = l->state, .reason = l->reason, .pid = arguments->pid};
	l->members = arguments->members ? arguments->members : OBJECT_WHOLE;
	array_begin(&l->objects, "{\"parameters\":{\"objects\":[");
	return l;
}

int run_list(struct request *request)
{
	if (request->call->oneway)
		return 0; /* nobody hears it */
	struct listing *l = listing_new(request);
	if (!l)
		return -ENOMEM;
	int r = request_visit_directories(request, note_directory, l);
	if (r == 0)
		request->connection->answer = &l->answer;
	else
		listing_free(&l->answer);
	return r < 0 ? r : 0;
}
