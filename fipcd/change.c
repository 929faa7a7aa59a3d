/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The methods that change an object in the name of whoever calls: Revoke and Unlink. Who did it to what, and who was
 * refused, is in the journal.
 */
#include "log.h"
#include "request.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

enum { WHO_SIZE = 64 };

static const char *who(const struct request *request, char ret[WHO_SIZE])
{
	const struct caller *caller = &request->connection->caller;
	snprintf(ret, WHO_SIZE, "uid %u (process %d)", (unsigned)caller->uid, (int)caller->pid);
	return ret;
}

static struct log_fields fields_of(const struct request *request, const struct found *found, const char *action)
{
	return (struct log_fields){
		.dir = found->directory ? directory_path(found->directory) : NULL,
		.object = request->arguments.name,
		.type = fipc_type_name(found->type),
		.action = action,
		.pid = (int)found->owner_pid,
		.has_caller = true,
		.caller_uid = request->connection->caller.uid,
		.caller_pid = request->connection->caller.pid,
	};
}

int answer_refused(struct request *request, const char *what, const struct found *of)
{
	char caller[WHO_SIZE];
	const struct log_fields fields = fields_of(request, of, "refuse");
	if (of->directory)
		log_event(LOG_NOTICE, &fields, "refused: %s may not %s %s %s in %s: it belongs to uid %u",
			  who(request, caller), what, fields.type ? fields.type : "file", request->arguments.name,
			  fields.dir, (unsigned)of->uid);
	else
		log_event(LOG_NOTICE, &fields, "refused: %s may not %s: it owns nothing", who(request, caller), what);
	return answer_denied(request);
}

/* Find what is to be changed, by one who may. Returns as request_find_object(). */
static int find_own(struct request *request, const char *what, struct found *ret)
{
	const struct caller *caller = &request->connection->caller;
	int r = request_find_object(request, ret);
	if (r != 0 || caller_is_privileged(caller) || caller_owns(caller, ret->uid))
		return r;
	r = answer_refused(request, what, ret);
	return r < 0 ? r : 1;
}

static json_t *pack_object(const struct request *request, const struct found *found)
{
	return json_pack("{s:O, s:s, s:s}", "dir", json_object_get(found->json, "dir"), "name", request->arguments.name,
			 "type", fipc_type_name(found->type));
}

/* Between the look and the deed it went, or another one came. */
static int answer_error_of(struct request *request, const struct found *found, int error)
{
	if (error == -ENOENT)
		return answer_error_with(request, MANAGER ".NoSuchObject", "name", request->arguments.name);
	return answer_failed(request, found->directory, error);
}

/* ---- Unlink ---- */

static int unlink_found(const struct request *request, const struct found *found)
{
	struct shared *shared;
	int r = directory_share(found->directory, &shared);
	if (r < 0)
		return r;
	r = fipc_registry_unlink(shared->registry, request->arguments.name, found->type, found->inode);
	shared_unref(shared);
	return r;
}

static int reply_unlinked(struct request *request, const struct found *found)
{
	char caller[WHO_SIZE];
	const struct log_fields fields = fields_of(request, found, "unlink");
	json_t *reply = pack_object(request, found);
	log_event(LOG_NOTICE, &fields, "%s unlinked %s %s in %s, which belongs to uid %u; %u processes have it open",
		  who(request, caller), fields.type, fields.object, fields.dir, (unsigned)found->uid, found->attached);
	if (reply && json_object_set_new(reply, "attached", json_integer(found->attached)) < 0) {
		json_decref(reply);
		reply = NULL;
	}
	return wire_reply_add(request->out, reply);
}

int run_unlink(struct request *request)
{
	struct found found;
	int r = find_own(request, "unlink", &found);
	if (r == 0) {
		r = unlink_found(request, &found);
		r = r < 0 ? answer_error_of(request, &found, r) : reply_unlinked(request, &found);
	}
	found_done(&found);
	return r < 0 ? r : 0;
}

/* ---- Revoke ---- */

static int revoke_found(const struct request *request, const struct found *found)
{
	struct shared *shared;
	int r = directory_share(found->directory, &shared);
	if (r == 0)
		r = fipc_registry_revoke(shared->registry, request->arguments.name, found->type, found->inode);
	return r; /* the process ends: what is open is closed */
}

/*
 * It writes into a file that its users may truncate just then: a process of its own meets the SIGBUS. It waits for
 * nobody, so it can be waited for. Returns what it returned, or a negative errno.
 */
static int revoke_in_child(const struct request *request, const struct found *found)
{
	int status;
	pid_t pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0) {
		signal(SIGBUS, SIG_DFL);
		_exit(-revoke_found(request, found));
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -EIO;
}

struct second_look {
	const struct request *request;
	struct directory *directory;
	json_t *json; /* NULL: it has gone meanwhile */
};

static int meet_again(const struct fipc_object *object, void *context)
{
	struct second_look *look = context;
	look->json = request_object_to_json(look->request, look->directory, object, NULL);
	return 1;
}

/* What has become of it: a new reference, or NULL. */
static json_t *state_after(const struct request *request, const struct found *found)
{
	struct second_look look = {request, found->directory, NULL};
	const struct fipc_filter filter = {
		.pattern = request->arguments.name, .type = found->type, .inodes = &found->inode, .n_inodes = 1};
	int r = directory_walk(found->directory, 0, &filter, meet_again, &look);
	json_t *state = r < 0 ? NULL : json_incref(json_object_get(json_object_get(look.json, "state"), "state"));
	json_decref(look.json);
	return state;
}

static json_t *unless_zero(uint32_t n)
{
	return n ? json_integer(n) : NULL;
}

static void log_revoked(const struct request *request, const struct found *found, json_t *state)
{
	char caller[WHO_SIZE];
	const struct log_fields fields = fields_of(request, found, "revoke");
	log_event(LOG_WARNING, &fields, "%s revoked %s %s in %s, which process %u (thread %u) held: it is %s now",
		  who(request, caller), fields.type, fields.object, fields.dir, found->owner_pid, found->owner_tid,
		  state ? json_string_value(state) : "gone");
}

static int reply_revoked(struct request *request, const struct found *found)
{
	json_t *state = state_after(request, found);
	json_t *reply = pack_object(request, found), *more;
	log_revoked(request, found, state);
	more = json_pack("{s:o*, s:o*, s:o*}", "state", state, "owner_pid", unless_zero(found->owner_pid), "owner_tid",
			 unless_zero(found->owner_tid));
	if (!reply || !more || json_object_update(reply, more) < 0) {
		json_decref(reply);
		reply = NULL;
	}
	json_decref(more);
	return wire_reply_add(request->out, reply);
}

static int answer_not_revoked(struct request *request, const struct found *found, int error)
{
	const char *name = request->arguments.name;
	if (error == -ESRCH)
		return answer_error_with(request, MANAGER ".NotHeld", "name", name);
	return answer_error_of(request, found, error);
}

int run_revoke(struct request *request)
{
	struct found found;
	int r = find_own(request, "revoke", &found);
	if (r == 0 && found.type != FIPC_TYPE_MUTEX) {
		const char *type = fipc_type_name(found.type);
		r = answer_error(request, MANAGER ".NotRevocable",
				 json_pack("{s:s, s:s*}", "name", request->arguments.name, "type", type));
	} else if (r == 0) {
		r = revoke_in_child(request, &found);
		r = r < 0 ? answer_not_revoked(request, &found, r) : reply_revoked(request, &found);
	}
	found_done(&found);
	return r < 0 ? r : 0;
}
