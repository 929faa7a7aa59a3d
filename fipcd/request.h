/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One call: who makes it, what it asks, and how it is answered. For those who implement methods; each returns 0, or a
 * negative errno: then the connection is of no more use.
 */
#ifndef FIPCD_REQUEST_H
#define FIPCD_REQUEST_H

#include "message.h"
#include "service.h"
#include "who.h"

#define MANAGER "io.fipc.Manager"
#define SERVICE "org.varlink.service"

struct arguments {
	const char *dir, *name, *interface, *state, *reason; /* NULL: not given */
	enum fipc_type type;
	bool dry_run, by_owner;
	uid_t owner;
	int pid; /* 0: not given */
	uint64_t members; /* of each object only these, bits of encode.h; 0: not given */
};

struct request {
	struct service *service;
	struct connection *connection;
	const struct wire_call *call;
	struct arguments arguments;
	struct wire_buffer *out; /* where to answer */
	bool more;               /* with several replies */
};

/* ---- errors ---- */

int answer_error(struct request *request, const char *error, json_t *parameters); /* taken over; NULL: none */
int answer_error_with(struct request *request, const char *error, const char *key, const char *value);
int answer_invalid(struct request *request, const char *parameter);
int answer_denied(struct request *request);
int answer_too_large(struct request *request, size_t bytes);
int answer_failed(struct request *request, const struct directory *d, int error); /* a negative errno */

/* ---- directories ---- */

/*
 * Those that were asked for: the one that was named, or all that the caller may list. Returns 0 if there is something
 * to reply; 1 if an error is the reply already; or a negative errno. visit returns 0, or a negative errno of the
 * directory.
 */
typedef int (*visit_fn)(struct directory *d, void *context);
int request_visit_directories(struct request *request, visit_fn visit, void *context);

/* Of one object, by its exact name. */
struct found {
	struct directory *directory;
	enum fipc_type type;
	uint64_t inode;
	uid_t uid;
	unsigned attached;
	uint32_t owner_pid, owner_tid; /* of a mutex that is held */
	json_t *json;                  /* as the caller may see it */
};

/*
 * What was asked for is not the caller's to do: told to him, and to the administrator. of: without a directory,
 * nothing.
 */
int answer_refused(struct request *request, const char *what, const struct found *of);

/* Returns as above: the error may be that there is none, or several. found_done() in any case. */
int request_find_object(struct request *request, struct found *ret);
void found_done(struct found *found);

/* What the caller may see of it: the object itself, or *outside, what `ls -l` shows of it. */
const struct fipc_object *request_sees(const struct request *request, const struct fipc_object *object,
				       struct fipc_object *outside);

/* As he may see it, with who has it and sleeps on it (NULL: without); a new reference, NULL: no memory. */
json_t *request_object_to_json(const struct request *request, const struct directory *d,
			       const struct fipc_object *object, const struct who *who);

/* ---- methods: the rest is in service.c ---- */

int run_list(struct request *request);
int run_get(struct request *request);
int run_list_processes(struct request *request);
int run_collect(struct request *request);
int run_revoke(struct request *request);
int run_unlink(struct request *request);
int run_graph(struct request *request);
int run_metrics(struct request *request);
int run_monitor(struct request *request);

#endif
