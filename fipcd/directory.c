/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where news comes from: one inotify instance per directory. Where the kernel's limits refuse it, or a watch that is
 * needed, everything is looked at by a timer, until they don't.
 *
 *	<dir>/.procs          IN_CLOSE_WRITE: a tracker was let go of, its process is dead. IN_ATTRIB: touched, somebody
 *	                      has slept for long. (Links to trackers that come and go are not told of here.)
 *	<dir>                 while there is no .procs: its creation. Always: that the directory itself is moved away
 *	the directory above   while there is no .procs: that <dir> goes or comes. Whoever removes <dir> must remove .procs
 *	                      first, and the kernel tells that; so with .procs the busy directory above is left alone
 *	an object             that nobody is attached to, but somebody has mapped: its release. One of Python's fastipc: the
 *	                      release by any process, for these have no trackers
 *	/dev/shm              the making of such a one; of whatever else is made there, the name is read, and that is all
 *
 * Each watch is set before the look that makes it unnecessary: what happens in between is seen by one of the two.
 */
#include "directory.h"
#include "clock.h"
#include "deadlock.h"
#include "limit.h"
#include "log.h"
#include "retry.h"
#include "shared.h"
#include "toll.h"
#include "traffic.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <time.h>
#include <unistd.h>

enum {
	EVENTS_SIZE = 32 << 10,
	NO_WATCH = -1,
	WATCH_ROOT = IN_ONLYDIR | IN_MOVE_SELF | IN_DELETE_SELF,
	WATCH_ROOT_INCOMPLETE = WATCH_ROOT | IN_CREATE | IN_MOVED_TO,
	WATCH_TRACKERS = IN_ONLYDIR | IN_DONT_FOLLOW | IN_CLOSE_WRITE | IN_ATTRIB | IN_MOVE_SELF | IN_DELETE_SELF,
	WATCH_PARENT = IN_ONLYDIR | IN_CREATE | IN_MOVED_TO | IN_DELETE | IN_MOVED_FROM,
	/* The daemon's own looks are read-only, and don't raise it. A holder that is read-only too is not heard. */
	WATCH_OBJECT = IN_DONT_FOLLOW | IN_CLOSE_WRITE | IN_ONESHOT,
	/* added to what else is watched there: it may be the directory above */
	WATCH_PYTHON = IN_ONLYDIR | IN_CREATE | IN_MOVED_TO | IN_MASK_ADD,
};

struct watch {
	int wd;
	int pid; /* of who left it */
	char *name;
	enum fipc_type type;
};

struct directory {
	sd_event *event;
	sd_event_source *news;
	sd_event_source *timer; /* enabled only while something is to be looked at again */
	sd_event_source *scan;  /* enabled only while something goes unheard */
	bool is_default;
	char *path, *parent;
	const char *base; /* the last part of path */
	struct shared *shared;   /* NULL: the directory is gone */
	int inotify, wd_root, wd_trackers, wd_parent, wd_python; /* < 0: none */
	struct watch objects[LIMIT_OBJECT_WATCHES];
	unsigned n_objects;
	struct retries retries;
	struct monitor *monitor;
	struct deadlocks *deadlocks;
	struct traffic *traffic; /* while somebody listens, and it is there */
	struct toll toll;
	struct directory_counts counts;
	int reclaiming;   /* pid of the dead process whose things are looked at; 0: not for one */
	bool is_new;      /* it has not been looked at yet */
	bool look_at_all; /* news was lost, or the directory is new */
	bool reattach;    /* the directory, or .procs, came or went */
	bool dead_are_left; /* the tracker of a dead process could not be taken away yet */
	bool unheard;       /* a watch that is needed could not be had */
	bool said_unheard;
	uint64_t scan_took_usec;
};

static uint64_t now_usec(const struct directory *d)
{
	uint64_t now;
	return sd_event_now(d->event, CLOCK_MONOTONIC, &now) < 0 ? 0 : now;
}

const char *directory_path(const struct directory *d)
{
	return d->path;
}

const struct directory_counts *directory_counts(const struct directory *d)
{
	return &d->counts;
}

static fipc_registry *registry_of(const struct directory *d)
{
	return d->shared ? d->shared->registry : NULL;
}

bool directory_is_there(const struct directory *d)
{
	return d->shared;
}

static void log_failed(const struct directory *d, const char *what, int error)
{
	const struct log_fields fields = {.dir = d->path, .action = "failed"};
	log_event(LOG_ERR, &fields, "%s: %s: %s", d->path, what, strerror(-error));
}

static void keep(const struct directory *d, int r)
{
	if (r < 0)
		log_failed(d, "cannot note an object to be looked at again", r);
}

/* ---- watches ---- */

static bool is_limit(int error)
{
	return error == ENOSPC || error == EMFILE || error == ENFILE || error == ENOMEM;
}

/* A negative errno: none; if it is for want of room, that goes unheard. */
static int add_watch(struct directory *d, const char *path, uint32_t events)
{
	int wd = d->inotify < 0 ? -1 : inotify_add_watch(d->inotify, path, events);
	if (wd >= 0)
		return wd;
	if (d->inotify >= 0 && !is_limit(errno))
		return -errno;
	d->unheard = true;
	return -ENOSPC;
}

static bool is_watched(const struct directory *d, const char *name, enum fipc_type type)
{
	for (unsigned i = 0; i < d->n_objects; i++)
		if (d->objects[i].type == type && strcmp(d->objects[i].name, name) == 0)
			return true;
	return false;
}

static int add_object_watch(struct directory *d, const struct fipc_object *object)
{
	char path[PATH_MAX];
	int n = fipc_type_is_python(object->type)
			? snprintf(path, sizeof(path), FIPC_PYTHON_DIR "/%s", object->name)
			: snprintf(path, sizeof(path), "%s/%s.%s", d->path, object->name, fipc_type_name(object->type));
	return n < (int)sizeof(path) ? add_watch(d, path, WATCH_OBJECT) : -ENAMETOOLONG;
}

/* Returns true if the watch is new: then the object must be looked at once more. */
static bool watch_object(struct directory *d, const struct fipc_object *object, int pid)
{
	if (object->type == 0 || object->inode == 0 || is_watched(d, object->name, object->type))
		return false;
	if (d->n_objects == LIMIT_OBJECT_WATCHES) {
		d->unheard = true;
		return false;
	}
	char *name = strdup(object->name);
	int wd = name ? add_object_watch(d, object) : -ENOMEM;
	if (wd < 0) {
		free(name);
		return false; /* gone, which is well; or there is no room: then the timer looks */
	}
	d->objects[d->n_objects++] = (struct watch){wd, pid, name, object->type};
	return true;
}

/* Hand out a watch that has done its work, or whose object is gone. Returns false if it was none of an object. */
static bool take_watch(struct directory *d, int wd, struct watch *ret)
{
	for (unsigned i = 0; i < d->n_objects; i++) {
		if (d->objects[i].wd == wd) {
			*ret = d->objects[i];
			d->objects[i] = d->objects[--d->n_objects];
			return true;
		}
	}
	return false;
}

/* ---- reclaiming ---- */

/* Whose death it is about. Entries tell only while they are there. */
static int pid_of_dead(const struct directory *d, const struct fipc_object *object)
{
	int pid = d->reclaiming ? d->reclaiming : retry_pid(&d->retries, object->name, object->type);
	for (unsigned i = 0; pid == 0 && i < object->n_attachments; i++)
		if (object->attachments[i].life == FIPC_DEAD)
			pid = object->attachments[i].pid;
	return pid;
}

static void log_collected(const struct directory *d, const struct fipc_object *object, int pid)
{
	char death[40] = "";
	const char *type = object->type ? fipc_type_name(object->type) : NULL;
	const struct log_fields fields = {
		.dir = d->path,
		.object = object->name,
		.type = type,
		.action = object->collected ? "reclaim" : "detach",
		.pid = pid,
	};
	if (pid)
		snprintf(death, sizeof(death), " after the death of %d", pid);
	if (object->collected)
		log_event(LOG_INFO, &fields, "reclaimed %s %s in %s%s: %s", type ? type : "file", object->name, d->path,
			  death, fipc_reason_text(object->reason));
	else
		log_event(LOG_INFO, &fields, "detached the dead (%u) from %s %s in %s%s", object->entries_removed,
			  type ? type : "file", object->name, d->path, death);
}

static void publish(struct directory *d, enum monitor_kind kind, const struct fipc_object *object, int pid)
{
	const struct monitor_object subject = {
		.name = object->name,
		.type = object->type,
		.uid = object->uid,
		.gid = object->gid,
		.mode = object->mode,
	};
	bool why = kind == MONITOR_RECLAIMED;
	monitor_publish(d->monitor, &(struct monitor_event){.kind = kind,
							    .dir = d->path,
							    .objects = &subject,
							    .n_objects = 1,
							    .pid = pid,
							    .reason = why ? fipc_reason_name(object->reason) : NULL,
							    .text = why ? fipc_reason_text(object->reason) : NULL});
}

static void publish_death(struct directory *d, int pid)
{
	monitor_publish(d->monitor, &(struct monitor_event){.kind = MONITOR_DIED, .dir = d->path, .pid = pid});
}

/* Those who died before the first look are no news. */
static void observe_toll(struct directory *d, const struct fipc_object *object, int pid)
{
	if (toll_has_grown(&d->toll, object) && !d->is_new)
		publish(d, MONITOR_OWNER_DIED, object, pid);
}

static void log_freed(struct directory *d, const struct fipc_object *object)
{
	int pid = (int)object->mutex.owner_pid;
	const struct log_fields fields = {
		.dir = d->path,
		.object = object->name,
		.type = fipc_type_name(object->type),
		.action = "owner-died",
		.pid = pid,
	};
	log_event(LOG_INFO, &fields, "freed %s %s, which process %d held when it died", fields.type, object->name, pid);
	publish(d, MONITOR_OWNER_DIED, object, pid);
}

/* Of whose users nothing else will be heard. */
static bool is_told_by_release(const struct fipc_object *object)
{
	switch (object->reason) {
	case FIPC_KEEP_UNTRACKED:
		return true;
	case FIPC_KEEP_ATTACHED:
	case FIPC_KEEP_UNKNOWN:
	case FIPC_KEEP_OWNER_DIED:
		return fipc_type_is_python(object->type);
	default:
		return false;
	}
}

/*
 * Does it still hold a lock? Then the kernel did not get to that one (its list was cut), and a look mends it as soon as the
 * process is quite gone, which it is a moment after its tracker.
 */
static bool still_holds(const struct fipc_object *o, int pid)
{
	if (o->type == FIPC_TYPE_MUTEX)
		return (o->mutex.state == FIPC_MUTEX_HELD || o->mutex.state == FIPC_MUTEX_RECOVERING) &&
		       (int)o->mutex.owner_pid == pid;
	if (o->type != FIPC_TYPE_RWLOCK)
		return false;
	for (unsigned i = 0; i < o->n_holders && i < FIPC_HOLDERS_MAX; i++)
		if ((int)o->holders[i].pid == pid)
			return true;
	return (int)o->rwlock.writer_pid == pid;
}

/* Hears of each object that a collecting look met. */
static void observe(struct directory *d, const struct fipc_object *object)
{
	uint64_t now = now_usec(d);
	int pid = pid_of_dead(d, object);
	observe_toll(d, object, pid);
	d->counts.reclaimed += object->collected != 0;
	d->counts.entries_removed += object->entries_removed;
	if (object->collected || object->entries_removed > 0)
		log_collected(d, object, pid);
	if (object->collected)
		publish(d, MONITOR_RECLAIMED, object, pid);
	if (object->reason == FIPC_KEEP_OWNER_DIED)
		log_freed(d, object);
	if (is_told_by_release(object) && watch_object(d, object, pid))
		keep(d, retry_object_now(&d->retries, object->name, object->type, pid, now));
	else if (is_told_by_release(object) || object->reason == FIPC_KEEP_BUSY || (pid && still_holds(object, pid)))
		keep(d, retry_object(&d->retries, object->name, object->type, pid, now));
	else if (object->reason == FIPC_KEEP_FAILED)
		log_failed(d, object->name, object->error);
}

static int observe_only(const struct fipc_object *object, void *context)
{
	observe(context, object);
	return 0;
}

static void count_scan(struct directory_counts *counts, uint64_t took_usec)
{
	counts->scans++;
	counts->scan_last_usec = took_usec;
	counts->scan_total_usec += took_usec;
	if (counts->scan_max_usec < took_usec)
		counts->scan_max_usec = took_usec;
}

static void look(struct directory *d, const struct fipc_filter *filter)
{
	uint64_t begun = clock_usec();
	int r = fipc_registry_walk(registry_of(d), FIPC_WALK_COLLECT, filter, observe_only, d);
	if (!filter)
		count_scan(&d->counts, clock_usec() - begun);
	if (r < 0)
		log_failed(d, "cannot look at it", r);
}

/* Trackers go last: an entry is a link to one, and says whose it is. */
static void sweep_trackers(struct directory *d)
{
	int r = fipc_registry_processes(registry_of(d), FIPC_WALK_COLLECT, NULL, NULL);
	if (r < 0)
		log_failed(d, "cannot look at the processes", r);
}

static bool tracker_exists(const struct directory *d, const char *tracker)
{
	char path[PATH_MAX];
	int n = snprintf(path, sizeof(path), "%s/" FIPC_TRACKERS "/%s", d->path, tracker);
	return n < (int)sizeof(path) && faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void reclaim(struct directory *d, const char *tracker)
{
	d->reclaiming = atoi(tracker); /* a tracker's name begins with the pid */
	int r = fipc_registry_reclaim(registry_of(d), tracker, observe_only, d);
	d->reclaiming = 0;
	if (r < 0)
		log_failed(d, tracker, r);
	if (r > 0)
		publish_death(d, atoi(tracker));
	if (!tracker_exists(d, tracker))
		return;
	/* inotify tells of the last close before the kernel drops the lock: "alive" may be a moment too early. */
	if (r <= 0)
		keep(d, retry_tracker(&d->retries, tracker, now_usec(d)));
	else
		d->dead_are_left = true; /* an entry that cannot be removed yet is a link to it */
}

static int reclaim_if_dead(const struct fipc_process *process, void *context)
{
	char tracker[48];
	snprintf(tracker, sizeof(tracker), "%d-%llu", process->pid, (unsigned long long)process->tracker);
	if (process->life == FIPC_DEAD)
		reclaim(context, tracker);
	return 0;
}

static void look_for_the_dead(struct directory *d)
{
	int r = fipc_registry_processes(registry_of(d), 0, reclaim_if_dead, d);
	if (r < 0)
		log_failed(d, "cannot look at the processes", r);
}

static void given_up(const struct retry *item, void *context)
{
	struct directory *d = context;
	const struct log_fields fields = {.dir = d->path, .action = "give-up"};
	if (item->what == RETRY_OBJECT && !is_watched(d, item->name, item->type))
		log_event(LOG_WARNING, &fields, "%s: %s %s is kept locked or open by somebody; left to the next look",
			  d->path, item->type ? fipc_type_name(item->type) : "file", item->name);
}

static void look_at_due(struct directory *d, const struct retry *item)
{
	const struct fipc_filter filter = {.pattern = item->name, .type = item->type};
	switch (item->what) {
	case RETRY_ALL:
		look(d, NULL);
		break;
	case RETRY_DEAD:
		look_for_the_dead(d);
		break;
	case RETRY_TRACKER:
		reclaim(d, item->name);
		break;
	case RETRY_OBJECT:
		look(d, &filter);
		break;
	}
}

static void look_again(struct directory *d)
{
	uint64_t now = now_usec(d);
	if (retry_next(&d->retries) > now)
		return;
	retry_begin(&d->retries, now);
	/* By index, and with a copy of the item: a look may note more, at the end, which moves the array. */
	for (size_t i = 0, n = d->retries.n; i < n; i++) {
		const struct retry item = d->retries.items[i];
		if (item.due_usec <= now)
			look_at_due(d, &item);
	}
	retry_end(&d->retries, now, given_up, d);
	if (d->retries.n == 0 && d->dead_are_left) {
		d->dead_are_left = false;
		sweep_trackers(d);
	}
}

static void set_timer(struct directory *d)
{
	uint64_t next = retry_next(&d->retries);
	int r = sd_event_source_set_enabled(d->timer, next == RETRY_NEVER ? SD_EVENT_OFF : SD_EVENT_ONESHOT);
	if (r >= 0 && next != RETRY_NEVER)
		r = sd_event_source_set_time(d->timer, next);
	if (r < 0)
		log_failed(d, "cannot set its timer", r);
}

/* ---- coming and going of the directory ---- */

static void drop_watch(const struct directory *d, int *wd)
{
	if (*wd >= 0)
		inotify_rm_watch(d->inotify, *wd); /* -EINVAL if the kernel did it already */
	*wd = NO_WATCH;
}

static void detach(struct directory *d)
{
	deadlocks_attach(d->deadlocks, NULL);
	shared_unref(d->shared);
	d->shared = NULL;
	toll_free(&d->toll);
	drop_watch(d, &d->wd_parent);
	drop_watch(d, &d->wd_python);
	drop_watch(d, &d->wd_root);
	drop_watch(d, &d->wd_trackers);
	while (d->n_objects > 0) {
		const struct watch *w = &d->objects[--d->n_objects];
		inotify_rm_watch(d->inotify, w->wd);
		free(w->name);
	}
	retries_free(&d->retries);
}

static void watch_trackers(struct directory *d)
{
	char path[PATH_MAX];
	int n = snprintf(path, sizeof(path), "%s/" FIPC_TRACKERS, d->path);
	if (n < (int)sizeof(path))
		d->wd_trackers = add_watch(d, path, WATCH_TRACKERS);
}

static int on_news(sd_event_source *source, int fd, uint32_t revents, void *context);

static int open_inotify(struct directory *d)
{
	if (d->inotify >= 0)
		return 0;
	d->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (d->inotify < 0)
		return is_limit(errno) ? 0 : -errno;
	return sd_event_add_io(d->event, &d->news, d->inotify, EPOLLIN, on_news, d);
}

/* From the outside in, and opened last: whichever part is exchanged meanwhile, its watch tells. */
static int attach(struct directory *d)
{
	detach(d);
	int r = open_inotify(d);
	if (r < 0)
		return r;
	d->wd_parent = add_watch(d, d->parent, WATCH_PARENT);
	d->wd_root = add_watch(d, d->path, WATCH_ROOT_INCOMPLETE);
	if (d->wd_root < 0 && d->wd_root != -ENOSPC)
		return d->wd_root;
	watch_trackers(d);
	r = shared_open(&d->shared, d->is_default ? NULL : d->path);
	if (r < 0)
		return r;
	if (d->wd_trackers >= 0) {
		drop_watch(d, &d->wd_parent);
		d->wd_root = add_watch(d, d->path, WATCH_ROOT);
	}
	d->wd_python = add_watch(d, FIPC_PYTHON_DIR, WATCH_PYTHON);
	d->look_at_all = d->is_new = true;
	deadlocks_attach(d->deadlocks, registry_of(d));
	directory_tell_traffic(d);
	return 0;
}

static void attach_again(struct directory *d)
{
	bool was_there = d->shared;
	int r = attach(d);
	if (r == -ENOENT && was_there)
		log_event(LOG_NOTICE, &(struct log_fields){.dir = d->path, .action = "gone"},
			  "%s is gone; it is served again when it is made anew", d->path);
	else if (r < 0 && r != -ENOENT)
		log_failed(d, "cannot open it", r);
	else if (r == 0 && !was_there)
		log_event(LOG_NOTICE, &(struct log_fields){.dir = d->path, .action = "back"}, "%s is back", d->path);
}

/* ---- when not everything is heard ---- */

static void say_unheard(struct directory *d)
{
	const struct log_fields fields = {.dir = d->path, .action = "limit"};
	if (d->unheard == d->said_unheard)
		return;
	d->said_unheard = d->unheard;
	if (d->unheard)
		log_event(LOG_WARNING, &fields,
			  "%s: not everything can be watched; looks at all of it once a second, or less often, instead: "
			  "raise fs.inotify.max_user_watches and max_user_instances", d->path);
	else
		log_event(LOG_NOTICE, &fields, "%s: everything is watched again", d->path);
}

static void set_scan(struct directory *d)
{
	uint64_t pause = SCAN_SHARE * d->scan_took_usec;
	bool waits = sd_event_source_get_enabled(d->scan, NULL) > 0;
	int r = 0;
	if (d->unheard && !waits)
		r = sd_event_source_set_time_relative(d->scan, pause > SCAN_LEAST_USEC ? pause : SCAN_LEAST_USEC);
	if (r >= 0 && d->unheard != waits)
		r = sd_event_source_set_enabled(d->scan, d->unheard ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
	if (r < 0)
		log_failed(d, "cannot set its timer", r);
	say_unheard(d);
}

/* All that the last events asked for. */
static void settle(struct directory *d)
{
	if (d->reattach) {
		d->reattach = false;
		attach_again(d);
	}
	if (d->look_at_all && d->shared) {
		d->look_at_all = false;
		look(d, NULL);
		d->is_new = false;
		sweep_trackers(d);
		/* A death that was told before the watch was there may still have looked like a life: see reclaim(). */
		keep(d, retry_dead(&d->retries, now_usec(d)));
	}
	if (d->shared)
		look_again(d);
	set_timer(d);
	set_scan(d);
}

/* ---- events ---- */

static void on_structure(struct directory *d, const struct inotify_event *e)
{
	const char *awaited = e->wd == d->wd_root ? FIPC_TRACKERS : d->base;
	if (e->len == 0 || strcmp(e->name, awaited) == 0)
		d->reattach = true;
}

static void on_trackers(struct directory *d, const struct inotify_event *e)
{
	if (e->mask & IN_ATTRIB) {
		if (e->len > 0 && e->name[0] != '.') /* one that is being made gets its mode */
			deadlocks_heard(d->deadlocks);
	} else if (e->len == 0) {
		d->reattach = true; /* .procs itself */
	} else if (d->shared) {
		reclaim(d, e->name);
	}
}

static bool is_python(const struct directory *d, const struct inotify_event *e)
{
	return e->wd == d->wd_python && e->mask & (IN_CREATE | IN_MOVED_TO) &&
	       strncmp(e->name, FIPC_PYTHON_PREFIX, strlen(FIPC_PYTHON_PREFIX)) == 0;
}

static void on_object(struct directory *d, const struct inotify_event *e)
{
	struct watch watch;
	if (!take_watch(d, e->wd, &watch))
		return;
	keep(d, retry_object_now(&d->retries, watch.name, watch.type, watch.pid, now_usec(d)));
	free(watch.name);
}

static void on_inotify(struct directory *d, const struct inotify_event *e)
{
	if (e->mask & IN_Q_OVERFLOW)
		d->look_at_all = d->reattach = true;
	else if (e->wd == d->wd_trackers)
		on_trackers(d, e);
	else if (is_python(d, e))
		keep(d, retry_object_now(&d->retries, e->name, 0, 0, now_usec(d)));
	else if (e->wd == d->wd_root || e->wd == d->wd_parent)
		on_structure(d, e);
	else
		on_object(d, e);
}

static int on_news(sd_event_source *source, int fd, uint32_t revents, void *context)
{
	(void)source;
	(void)revents;
	struct directory *d = context;
	_Alignas(struct inotify_event) char events[EVENTS_SIZE];
	ssize_t n = read(fd, events, sizeof(events));
	if (d->traffic)
		traffic_catch_up(d->traffic);
	for (ssize_t at = 0; at < n;) {
		const struct inotify_event *e = (const void *)(events + at);
		on_inotify(d, e);
		at += (ssize_t)(sizeof(*e) + e->len);
	}
	settle(d);
	return 0;
}

/* Whatever is still missing says so again. */
static int on_scan(sd_event_source *source, uint64_t usec, void *context)
{
	(void)source;
	(void)usec;
	struct directory *d = context;
	uint64_t begun = clock_usec();
	d->unheard = false;
	d->look_at_all = true;
	d->reattach = d->reattach || d->inotify < 0 || d->wd_root < 0 || d->wd_trackers < 0;
	settle(d);
	deadlocks_heard(d->deadlocks);
	d->scan_took_usec = clock_usec() - begun;
	return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *context)
{
	(void)source;
	(void)usec;
	settle(context);
	return 0;
}

/* ---- for the rest of the daemon ---- */

struct walk {
	struct directory *d;
	bool collects;
	fipc_object_fn callback;
	void *context;
};

static int observe_and_tell(const struct fipc_object *object, void *context)
{
	const struct walk *walk = context;
	if (walk->collects)
		observe(walk->d, object);
	return walk->callback(object, walk->context);
}

int directory_walk(struct directory *d, unsigned flags, const struct fipc_filter *filter, fipc_object_fn callback,
		   void *context)
{
	struct walk walk = {d, flags & FIPC_WALK_COLLECT, callback, context};
	if (!d->shared)
		return -ENOENT;
	int r = fipc_registry_walk(registry_of(d), flags, filter, observe_and_tell, &walk);
	if (walk.collects) {
		sweep_trackers(d);
		set_timer(d);
	}
	return r;
}

int directory_who(const struct directory *d, struct who **ret)
{
	return d->shared ? who_look(ret, registry_of(d)) : -ENOENT;
}

int directory_share(const struct directory *d, struct shared **ret)
{
	if (!d->shared)
		return -ENOENT;
	*ret = shared_ref(d->shared);
	return 0;
}

static void publish_lost(struct directory *d, const char *reason, const char *text)
{
	monitor_publish(d->monitor, &(struct monitor_event){
					    .kind = MONITOR_LOST, .dir = d->path, .reason = reason, .text = text});
}

static void drop_traffic(struct directory *d)
{
	traffic_free(d->traffic);
	d->traffic = NULL;
}

void directory_tell_traffic(struct directory *d)
{
	if (d->traffic && d->shared && !traffic_is_current(d->traffic)) {
		drop_traffic(d);
		publish_lost(d, "anew", "the directory has been made anew");
	}
	if (!monitor_is_heard(d->monitor, d->path))
		drop_traffic(d);
	else if (d->traffic)
		traffic_widen(d->traffic);
	else if (d->shared && traffic_new(&d->traffic, d->event, d->path, d->monitor) < 0)
		publish_lost(d, "failed", "who comes and goes cannot be watched");
}

int directory_processes(struct directory *d, fipc_process_fn callback, void *context)
{
	return d->shared ? fipc_registry_processes(registry_of(d), 0, callback, context) : -ENOENT;
}

bool directory_is_empty(const struct directory *d)
{
	DIR *dir = opendir(d->path);
	if (!dir)
		return errno == ENOENT;
	bool empty = true;
	for (struct dirent *e; empty && (e = readdir(dir));)
		empty = e->d_name[0] == '.';
	closedir(dir);
	return empty;
}

static int find_paths(struct directory *d, const char *path)
{
	fipc_registry *registry;
	int r = fipc_registry_open(&registry, path, FIPC_CREATE);
	if (r < 0)
		return r;
	d->path = strdup(fipc_registry_dir(registry));
	fipc_registry_close(registry);
	if (!d->path)
		return -ENOMEM;
	size_t n = strlen(d->path);
	while (n > 1 && d->path[n - 1] == '/')
		d->path[--n] = 0;
	char *slash = strrchr(d->path, '/');
	d->base = slash + 1;
	d->parent = slash == d->path ? strdup("/") : strndup(d->path, (size_t)(slash - d->path));
	return d->parent ? 0 : -ENOMEM;
}

static int add_sources(struct directory *d)
{
	/* accuracy 1: to the microsecond; the default coalesces timers over 250 ms */
	int r = sd_event_add_time(d->event, &d->timer, CLOCK_MONOTONIC, UINT64_MAX, 1, on_timer, d);
	if (r >= 0)
		r = sd_event_source_set_enabled(d->timer, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_add_time(d->event, &d->scan, CLOCK_MONOTONIC, UINT64_MAX, 0, on_scan, d);
	if (r >= 0)
		r = sd_event_source_set_enabled(d->scan, SD_EVENT_OFF);
	return r;
}

int directory_new(struct directory **ret, sd_event *event, const char *path, struct monitor *monitor)
{
	struct directory *d = calloc(1, sizeof(*d));
	if (!d)
		return -ENOMEM;
	d->event = sd_event_ref(event);
	d->is_default = !path;
	d->monitor = monitor;
	d->wd_root = d->wd_trackers = d->wd_parent = d->wd_python = NO_WATCH;
	d->inotify = -1;
	int r = find_paths(d, path);
	if (r >= 0)
		r = add_sources(d);
	if (r >= 0)
		r = deadlocks_new(&d->deadlocks, event, d->path, monitor);
	if (r >= 0)
		r = attach(d);
	if (r < 0) {
		directory_free(d);
		return r;
	}
	settle(d);
	*ret = d;
	return 0;
}

void directory_free(struct directory *d)
{
	if (!d)
		return;
	drop_traffic(d);
	detach(d);
	deadlocks_free(d->deadlocks);
	sd_event_source_disable_unref(d->news);
	sd_event_source_disable_unref(d->timer);
	sd_event_source_disable_unref(d->scan);
	if (d->inotify >= 0)
		close(d->inotify);
	sd_event_unref(d->event);
	free(d->path);
	free(d->parent);
	free(d);
}
