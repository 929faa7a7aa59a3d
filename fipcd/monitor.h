/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who listens to what happens (the method Monitor), and telling them. Each hears of those objects only that he could
 * read by himself. While nobody listens nothing is gathered.
 */
#ifndef FIPCD_MONITOR_H
#define FIPCD_MONITOR_H

#include "caller.h"
#include "frame.h"

#include <fipc/registry.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct monitor;

enum monitor_kind {
	MONITOR_LISTENING, /* the first one that a listener hears */
	MONITOR_CREATED,
	MONITOR_ATTACHED,
	MONITOR_DETACHED,
	MONITOR_DIED,
	MONITOR_OWNER_DIED,
	MONITOR_RECLAIMED,
	MONITOR_DEADLOCK,
	MONITOR_LOST, /* something may have happened that is not told */
	MONITOR_KINDS
};

struct monitor_object {
	const char *name;
	enum fipc_type type;
	uid_t uid;
	gid_t gid;
	mode_t mode;
};

/* Everything is borrowed for the call. */
struct monitor_event {
	enum monitor_kind kind;
	const char *dir;
	/*
	 * What it is about: only who may read them all hears it, and one of them must pass his filter. The first is
	 * named.
	 */
	const struct monitor_object *objects;
	size_t n_objects; /* 0: about none; then who may list the directory hears it, if his filter names no object */
	int pid;          /* the process it is about, as it saw itself; 0: not known */
	const char *reason, *text; /* for programs, and for people; may be NULL */
	json_t *waits;    /* of a deadlock: the cycle, an array of the interface's type Wait */
	bool possible;    /* of a deadlock: some of them wait with a timeout */
};

int monitor_new(struct monitor **ret);
void monitor_free(struct monitor *m); /* nobody listens any more */

/* Does anybody? What is costly to gather need not be, otherwise. */
bool monitor_is_heard(const struct monitor *m, const char *dir);
bool monitor_is_heard_of(const struct monitor *m, const char *dir, const char *name, enum fipc_type type);

void monitor_publish(struct monitor *m, const struct monitor_event *event);

/*
 * For Metrics: how many listen; how often something of a kind was published; events that a listener was too slow for.
 */
unsigned monitor_listeners(const struct monitor *m);
uint64_t monitor_count(const struct monitor *m, enum monitor_kind kind);
uint64_t monitor_missed(const struct monitor *m);

#endif
