/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The method Monitor. What a listener has not read yet waits in its connection's buffer, up to a limit; from then on
 * he is told how many events he missed, once he has read the others. So a slow one costs a bounded memory, and holds
 * up nobody.
 */
#include "monitor.h"
#include "limit.h"
#include "request.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct listener {
	struct answer answer;
	struct listener *next, **at; /* at: what leads to this one */
	struct monitor *monitor;
	struct connection *connection;
	struct directory **directories; /* that he hears of */
	size_t n_directories;
	char *pattern;       /* NULL: any */
	enum fipc_type type; /* 0: any */
	uint64_t missed;     /* since he was told last */
};

struct monitor {
	struct listener *first;
	uint64_t counts[MONITOR_KINDS], missed;
};

int monitor_new(struct monitor **ret)
{
	struct monitor *m = calloc(1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	*ret = m;
	return 0;
}

void monitor_free(struct monitor *m)
{
	free(m);
}

/* ---- who hears what ---- */

static bool listens_to(const struct listener *l, const char *dir)
{
	for (size_t i = 0; i < l->n_directories; i++)
		if (strcmp(directory_path(l->directories[i]), dir) == 0)
			return true;
	return false;
}

static bool asked_for(const struct listener *l, const char *name, enum fipc_type type)
{
	return (!l->type || l->type == type) && (!l->pattern || fnmatch(l->pattern, name, 0) == 0);
}

bool monitor_is_heard(const struct monitor *m, const char *dir)
{
	for (const struct listener *l = m->first; l; l = l->next)
		if (listens_to(l, dir))
			return true;
	return false;
}

bool monitor_is_heard_of(const struct monitor *m, const char *dir, const char *name, enum fipc_type type)
{
	for (const struct listener *l = m->first; l; l = l->next)
		if (listens_to(l, dir) && asked_for(l, name, type))
			return true;
	return false;
}

static bool hears(const struct listener *l, const struct monitor_event *event)
{
	bool asked = event->n_objects == 0 && (event->kind == MONITOR_LOST || (!l->type && !l->pattern));
	for (size_t i = 0; i < event->n_objects; i++) {
		const struct monitor_object *o = &event->objects[i];
		if (!caller_reads(&l->connection->caller, o->uid, o->gid, o->mode))
			return false;
		asked = asked || asked_for(l, o->name, o->type);
	}
	return asked && listens_to(l, event->dir);
}

/* ---- telling ---- */

static json_t *unless_zero(int n)
{
	return n ? json_integer(n) : NULL;
}

static json_int_t now_usec(void)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return (json_int_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static json_t *encode(const struct monitor_event *event)
{
	static const char *const names[] = {
		[MONITOR_LISTENING] = "listening", [MONITOR_CREATED] = "created",
		[MONITOR_ATTACHED] = "attached",   [MONITOR_DETACHED] = "detached",
		[MONITOR_DIED] = "died",           [MONITOR_OWNER_DIED] = "owner-died",
		[MONITOR_RECLAIMED] = "reclaimed", [MONITOR_DEADLOCK] = "deadlock",
		[MONITOR_LOST] = "lost",
	};
	const struct monitor_object *o = event->n_objects > 0 ? event->objects : NULL;
	return json_pack("{s:s, s:I, s:s*, s:s*, s:s*, s:o*, s:o*, s:s*, s:s*, s:o*, s:O*}", "event", names[event->kind],
			 "time_usec", now_usec(), "dir", event->dir, "name", o ? o->name : NULL, "type",
			 o ? fipc_type_name(o->type) : NULL, "uid", o ? json_integer(o->uid) : NULL, "pid",
			 unless_zero(event->pid), "reason", event->reason, "text", event->text, "possible",
			 event->kind == MONITOR_DEADLOCK ? json_boolean(event->possible) : NULL, "waits", event->waits);
}

/* Written once for all who hear it. */
static void tell(struct listener *l, struct wire_buffer *message, const struct monitor_event *event)
{
	struct wire_buffer *out = &l->connection->out;
	int r = wire_buffer_pending(message) == 0 ? wire_continue_add(message, encode(event)) : 0;
	if (r == 0 && l->missed == 0 && wire_buffer_pending(out) < LIMIT_EVENTS_PENDING)
		r = wire_buffer_add(out, message->data + message->start, wire_buffer_pending(message));
	else
		r = -ENOBUFS;
	if (r < 0) {
		l->missed++;
		l->monitor->missed++;
	}
	sd_event_source_set_enabled(l->connection->turn, SD_EVENT_ONESHOT);
}

void monitor_publish(struct monitor *m, const struct monitor_event *event)
{
	struct wire_buffer message = {0};
	m->counts[event->kind]++;
	for (struct listener *l = m->first; l; l = l->next)
		if (hears(l, event))
			tell(l, &message, event);
	wire_buffer_free(&message);
}

static int tell_missed(struct listener *l, struct wire_buffer *out)
{
	const struct monitor_event event = {.kind = MONITOR_LOST, .text = "they came faster than they were read"};
	json_t *parameters = encode(&event);
	if (!parameters || json_object_set_new(parameters, "lost", json_integer((json_int_t)l->missed)) < 0) {
		json_decref(parameters);
		return -ENOMEM;
	}
	l->missed = 0;
	return wire_continue_add(out, parameters);
}

static int go_on(struct answer *answer, struct connection *connection)
{
	struct listener *l = (struct listener *)answer;
	int r = 0;
	if (l->missed > 0 && wire_buffer_pending(&connection->out) == 0)
		r = tell_missed(l, &connection->out);
	return r < 0 ? r : ANSWER_WAITS;
}

/* ---- for Metrics ---- */

unsigned monitor_listeners(const struct monitor *m)
{
	unsigned n = 0;
	for (const struct listener *l = m->first; l; l = l->next)
		n++;
	return n;
}

uint64_t monitor_count(const struct monitor *m, enum monitor_kind kind)
{
	return m->counts[kind];
}

uint64_t monitor_missed(const struct monitor *m)
{
	return m->missed;
}

/* ---- coming and going of listeners ---- */

static void listener_free(struct answer *answer)
{
	struct listener *l = (struct listener *)answer;
	if (l->at) {
		*l->at = l->next;
		if (l->next)
			l->next->at = l->at;
	}
	for (size_t i = 0; i < l->n_directories; i++)
		directory_tell_traffic(l->directories[i]);
	free(l->directories);
	free(l->pattern);
	free(l);
}

static void link_listener(struct listener *l, struct monitor *m)
{
	l->next = m->first;
	l->at = &m->first;
	if (l->next)
		l->next->at = &l->next;
	m->first = l;
}

static struct listener *listener_new(const struct request *request)
{
	struct listener *l = calloc(1, sizeof(*l));
	if (!l)
		return NULL;
	l->answer = (struct answer){.go_on = go_on, .free = listener_free};
	l->monitor = request->service->monitor;
	l->connection = request->connection;
	l->type = request->arguments.type;
	l->directories = calloc(request->service->n_directories, sizeof(struct directory *));
	if (request->arguments.name)
		l->pattern = strdup(request->arguments.name);
	if (!l->directories || (request->arguments.name && !l->pattern)) {
		listener_free(&l->answer);
		return NULL;
	}
	return l;
}

static int note_directory(struct directory *d, void *context)
{
	struct listener *l = context;
	l->directories[l->n_directories++] = d;
	return 0;
}

/* He listens first, then is told so: what is amiss with a directory is told, too. */
static int begin(struct request *request, struct listener *l)
{
	const struct monitor_event event = {.kind = MONITOR_LISTENING};
	int r = wire_continue_add(request->out, encode(&event));
	if (r < 0) {
		listener_free(&l->answer);
		return r;
	}
	request->connection->answer = &l->answer;
	link_listener(l, l->monitor);
	for (size_t i = 0; i < l->n_directories; i++)
		directory_tell_traffic(l->directories[i]);
	return 0;
}

int run_monitor(struct request *request)
{
	struct listener *l = listener_new(request);
	if (!l)
		return -ENOMEM;
	int r = request_visit_directories(request, note_directory, l);
	if (r == 0)
		return begin(request, l);
	l->n_directories = 0;
	listener_free(&l->answer);
	return r < 0 ? r : 0;
}
