/* SPDX-License-Identifier: Apache-2.0 */
#include "deadlock.h"
#include "clock.h"
#include "graph.h"
#include "limit.h"
#include "log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct deadlocks {
	sd_event *event;
	sd_event_source *timer; /* of the next look; disabled: there is no need to */
	const char *dir;
	struct monitor *monitor;
	fipc_registry *registry; /* NULL: the directory is gone */
	struct graph *last;      /* look that saw a deadlock */
	uint64_t told[LIMIT_DEADLOCKS_TOLD]; /* fingerprints, the latest ones */
	size_t n_told;
	uint64_t not_before_usec;
	uint64_t possible_after_usec;
};

static uint64_t now_usec(const struct deadlocks *d)
{
	uint64_t now;
	return sd_event_now(d->event, CLOCK_MONOTONIC, &now) < 0 ? 0 : now;
}

static void failed(const struct deadlocks *d, int error)
{
	log_event(LOG_ERR, &(struct log_fields){.dir = d->dir, .action = "failed"},
		  "%s: cannot look who waits for whom: %s", d->dir, strerror(-error));
}

static void look_at(struct deadlocks *d, uint64_t usec)
{
	int r = sd_event_source_set_time(d->timer, usec);
	if (r >= 0)
		r = sd_event_source_set_enabled(d->timer, SD_EVENT_ONESHOT);
	if (r < 0)
		failed(d, r);
}

/* ---- telling ---- */

static void log_deadlock(const struct deadlocks *d, const struct graph_deadlock *deadlock, const char *text)
{
	const struct graph_wait *w = deadlock->waits[0];
	const struct log_fields fields = {
		.dir = d->dir,
		.object = w->object->name,
		.type = fipc_type_name(w->object->type),
		.action = "deadlock",
		.pid = w->wait.pid,
	};
	log_event(deadlock->possible ? LOG_NOTICE : LOG_WARNING, &fields, "%s: %s", d->dir, text);
}

static void publish(const struct deadlocks *d, const struct graph_deadlock *deadlock, const char *text)
{
	struct monitor_object *objects = calloc(deadlock->n, sizeof(*objects));
	json_t *waits = graph_cycle_to_json(deadlock, d->dir);
	for (size_t i = 0; objects && i < deadlock->n; i++) {
		const struct graph_object *o = deadlock->waits[i]->object;
		objects[i] = (struct monitor_object){o->name, o->type, o->uid, o->gid, o->mode};
	}
	if (objects && waits)
		monitor_publish(d->monitor, &(struct monitor_event){
						    .kind = MONITOR_DEADLOCK,
						    .dir = d->dir,
						    .objects = objects,
						    .n_objects = deadlock->n,
						    .pid = deadlock->waits[0]->wait.pid,
						    .text = text,
						    .waits = waits,
						    .possible = deadlock->possible,
					    });
	json_decref(waits);
	free(objects);
}

/* Of possible ones, which may come again and again, a few. */
static bool may_tell(struct deadlocks *d, const struct graph_deadlock *deadlock)
{
	uint64_t now = now_usec(d);
	if (!deadlock->possible)
		return true;
	if (now < d->possible_after_usec)
		return false;
	d->possible_after_usec = now + POSSIBLE_DEADLOCK_USEC;
	return true;
}

static bool tell(struct deadlocks *d, const struct graph_deadlock *deadlock)
{
	char *text = may_tell(d, deadlock) ? graph_deadlock_text(deadlock) : NULL;
	if (!text)
		return false;
	log_deadlock(d, deadlock, text);
	publish(d, deadlock, text);
	free(text);
	return true;
}

/* ---- looking ---- */

static uint64_t mix(uint64_t h, uint64_t with)
{
	h = (h ^ with) * UINT64_C(0x9e3779b97f4a7c15);
	return h ^ h >> 32;
}

/*
 * Who waits for which acquisition of what, in any order. Sleepers that were woken for nothing, by whoever collects, sleep
 * again, and then it is another wait; but no other deadlock.
 */
static uint64_t fingerprint(const struct graph_deadlock *deadlock)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < deadlock->n; i++) {
		const struct fipc_wait *w = &deadlock->waits[i]->wait;
		uint64_t h = mix(mix(w->tracker, w->tid), w->inode);
		sum += mix(mix(h, w->owner_tid), w->acquisition);
	}
	return sum;
}

static bool was_told(const struct deadlocks *d, uint64_t fingerprint)
{
	for (size_t i = 0; i < d->n_told && i < LIMIT_DEADLOCKS_TOLD; i++)
		if (d->told[i] == fingerprint)
			return true;
	return false;
}

static bool was_seen(const struct deadlocks *d, const struct graph_deadlock *deadlock)
{
	const struct graph_deadlock *before;
	size_t n = d->last ? graph_deadlocks(d->last, &before) : 0;
	for (size_t i = 0; i < n; i++)
		if (graph_same_deadlock(&before[i], deadlock))
			return true;
	return false;
}

static void forget(struct deadlocks *d)
{
	graph_free(d->last);
	d->last = NULL;
}

/*
 * Tell of those that were there before. Returns whether there are others, to be looked at once more; takes the graph
 * over.
 */
static bool compare(struct deadlocks *d, struct graph *g)
{
	const struct graph_deadlock *deadlocks;
	size_t n = graph_deadlocks(g, &deadlocks);
	bool again = false;
	for (size_t i = 0; i < n; i++) {
		uint64_t print = fingerprint(&deadlocks[i]);
		if (was_told(d, print))
			continue;
		if (!was_seen(d, &deadlocks[i]))
			again = true;
		else if (tell(d, &deadlocks[i]))
			d->told[d->n_told++ % LIMIT_DEADLOCKS_TOLD] = print;
	}
	forget(d);
	d->last = g;
	return again;
}

static int look(sd_event_source *source, uint64_t usec, void *context)
{
	(void)source;
	(void)usec;
	struct deadlocks *d = context;
	struct graph *g;
	uint64_t begun = clock_usec();
	int r = d->registry ? graph_scan(&g, d->registry, NULL, NULL) : -ENOENT;
	if (r < 0) {
		if (r != -ENOENT)
			failed(d, r);
		return 0;
	}
	uint64_t now = clock_usec();
	d->not_before_usec = now + GRAPH_LEAST_USEC + (now - begun) * GRAPH_SHARE;
	if (compare(d, g))
		look_at(d, now + GRAPH_CONFIRM_MS * 1000);
	return 0;
}

/* ---- for the directory ---- */

void deadlocks_heard(struct deadlocks *d)
{
	int enabled;
	uint64_t now = now_usec(d);
	if (sd_event_source_get_enabled(d->timer, &enabled) >= 0 && enabled != SD_EVENT_OFF)
		return;
	look_at(d, now > d->not_before_usec ? now : d->not_before_usec);
}

void deadlocks_attach(struct deadlocks *d, fipc_registry *r)
{
	if (!d)
		return; /* the directory could not be opened at all */
	forget(d);
	d->registry = r;
	if (r)
		deadlocks_heard(d);
}

int deadlocks_new(struct deadlocks **ret, sd_event *event, const char *dir, struct monitor *monitor)
{
	struct deadlocks *d = calloc(1, sizeof(*d));
	if (!d)
		return -ENOMEM;
	d->event = sd_event_ref(event);
	d->dir = dir;
	d->monitor = monitor;
	/* accuracy 1: to the microsecond */
	int r = sd_event_add_time(event, &d->timer, CLOCK_MONOTONIC, UINT64_MAX, 1, look, d);
	if (r >= 0)
		r = sd_event_source_set_enabled(d->timer, SD_EVENT_OFF);
	if (r < 0) {
		deadlocks_free(d);
		return r;
	}
	*ret = d;
	return 0;
}

void deadlocks_free(struct deadlocks *d)
{
	if (!d)
		return;
	forget(d);
	sd_event_source_disable_unref(d->timer);
	sd_event_unref(d->event);
	free(d);
}
