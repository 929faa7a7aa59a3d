/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where news comes from: one inotify instance per directory.
 *
 *	<dir>/.procs          IN_CLOSE_WRITE: a tracker was let go of, its process is dead
 *	<dir>                 while there is no .procs: its creation. Always: that the directory itself is moved away
 *	the directory above   while there is no .procs: that <dir> goes or comes. Whoever removes <dir> must remove .procs
 *	                      first, and the kernel tells that; so with .procs the busy directory above is left alone
 *	an object             that nobody is attached to, but somebody has mapped: its release
 *
 * Each watch is set before the look that makes it unnecessary: what happens in between is seen by one of the two.
 */
#include "directory.h"
#include "limit.h"
#include "log.h"
#include "retry.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

enum {
	EVENTS_SIZE = 32 << 10,
	NO_WATCH = -1,
	WATCH_ROOT = IN_ONLYDIR | IN_MOVE_SELF | IN_DELETE_SELF,
	WATCH_ROOT_INCOMPLETE = WATCH_ROOT | IN_CREATE | IN_MOVED_TO,
	WATCH_TRACKERS = IN_ONLYDIR | IN_DONT_FOLLOW | IN_CLOSE_WRITE | IN_MOVE_SELF | IN_DELETE_SELF,
	WATCH_PARENT = IN_ONLYDIR | IN_CREATE | IN_MOVED_TO | IN_DELETE | IN_MOVED_FROM,
	/* The daemon's own looks are read-only, and don't raise it. A holder that is read-only too is not heard. */
	WATCH_OBJECT = IN_DONT_FOLLOW | IN_CLOSE_WRITE | IN_ONESHOT,
};

struct watch {
	int wd;
	int pid; /* of who left it */
	uint64_t inode;
};

struct directory {
	sd_event *event;
	sd_event_source *news;
	sd_event_source *timer; /* enabled only while something is to be looked at again */
	bool is_default;
	char *path, *parent;
	const char *base; /* the last part of path */
	fipc_registry *registry; /* NULL: the directory is gone */
	int inotify, wd_root, wd_trackers, wd_parent;
	struct watch objects[LIMIT_OBJECT_WATCHES];
	unsigned n_objects;
	struct retries retries;
	uint64_t reclaimed;
	int reclaiming;   /* pid of the dead process whose things are looked at; 0: not for one */
	bool look_at_all; /* news was lost, or the directory is new */
	bool reattach;    /* the directory, or .procs, came or went */
	bool said_too_many;
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

uint64_t directory_reclaimed(const struct directory *d)
{
	return d->reclaimed;
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

/* ---- watches on objects ---- */

static bool is_watched(const struct directory *d, uint64_t inode)
{
	for (unsigned i = 0; i < d->n_objects; i++)
		if (d->objects[i].inode == inode)
			return true;
	return false;
}

static void say_too_many(struct directory *d)
{
	const struct log_fields fields = {.dir = d->path, .action = "limit"};
	if (!d->said_too_many)
		log_event(LOG_WARNING, &fields,
			  "%s: more than %d objects are mapped by processes that are not attached to them; the release of "
			  "the others goes unnoticed until the next fipcctl gc", d->path, (int)LIMIT_OBJECT_WATCHES);
	d->said_too_many = true;
}

/* Returns true if the watch is new: then the object must be looked at once more. */
static bool watch_object(struct directory *d, const struct fipc_object *object, int pid)
{
	char path[PATH_MAX];
	if (object->type == 0 || object->inode == 0 || is_watched(d, object->inode))
		return false;
	if (d->n_objects == LIMIT_OBJECT_WATCHES) {
		say_too_many(d);
		return false;
	}
	int n = snprintf(path, sizeof(path), "%s/%s.%s", d->path, object->name, fipc_type_name(object->type));
	int wd = n < (int)sizeof(path) ? inotify_add_watch(d->inotify, path, WATCH_OBJECT) : -1;
	if (wd < 0)
		return false; /* gone, which is well; or no memory, or the user's limit: then the tries are all */
	d->objects[d->n_objects++] = (struct watch){wd, pid, object->inode};
	return true;
}

/* Forget a watch that has done its work, or whose object is gone. Returns false if it was none of an object. */
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
	int pid = d->reclaiming ? d->reclaiming : retry_pid(&d->retries, object->inode);
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

/* Hears of each object that a collecting look met. */
static void observe(struct directory *d, const struct fipc_object *object)
{
	uint64_t now = now_usec(d);
	int pid = pid_of_dead(d, object);
	if (object->collected)
		d->reclaimed++;
	if (object->collected || object->entries_removed > 0)
		log_collected(d, object, pid);
	if (object->reason == FIPC_KEEP_UNTRACKED && watch_object(d, object, pid))
		keep(d, retry_object_now(&d->retries, object->inode, pid, now));
	else if (object->reason == FIPC_KEEP_UNTRACKED || object->reason == FIPC_KEEP_BUSY)
		keep(d, retry_object(&d->retries, object->inode, pid, now));
	else if (object->reason == FIPC_KEEP_FAILED)
		log_failed(d, object->name, object->error);
}

static int observe_only(const struct fipc_object *object, void *context)
{
	observe(context, object);
	return 0;
}

static void look(struct directory *d, const struct fipc_filter *filter)
{
	int r = fipc_registry_walk(d->registry, FIPC_WALK_COLLECT, filter, observe_only, d);
	if (r < 0)
		log_failed(d, "cannot look at it", r);
}

/* Trackers go last: an entry is a link to one, and says whose it is. */
static void sweep_trackers(struct directory *d)
{
	int r = fipc_registry_processes(d->registry, FIPC_WALK_COLLECT, NULL, NULL);
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
	int r = fipc_registry_reclaim(d->registry, tracker, observe_only, d);
	d->reclaiming = 0;
	if (r < 0)
		log_failed(d, tracker, r);
	/* inotify tells of the last close before the kernel drops the lock: "alive" may be a moment too early. */
	if (r <= 0 && tracker_exists(d, tracker))
		keep(d, retry_tracker(&d->retries, tracker, now_usec(d)));
}

static void given_up(const struct retry *item, void *context)
{
	struct directory *d = context;
	const struct log_fields fields = {.dir = d->path, .action = "give-up"};
	if (!item->tracker && !is_watched(d, item->inode))
		log_event(LOG_WARNING, &fields,
			  "%s: the object of inode %llu is kept locked or open by somebody; left to the next look",
			  d->path, (unsigned long long)item->inode);
}

static void look_at_due_objects(struct directory *d, uint64_t now)
{
	size_t n;
	bool all;
	uint64_t *inodes = retry_due_inodes(&d->retries, now, &n, &all);
	const struct fipc_filter filter = {.inodes = inodes, .n_inodes = n};
	if (all || n > 0)
		look(d, all ? NULL : &filter);
	free(inodes);
}

/* By index and with copies: a reclaim may note more, which moves the array, and it notes only at the end. */
static void look_at_due_trackers(struct directory *d, uint64_t now)
{
	size_t n = d->retries.n;
	for (size_t i = 0; i < n; i++) {
		const struct retry *item = &d->retries.items[i];
		if (item->tracker && item->due_usec <= now)
			reclaim(d, item->tracker);
	}
}

static void look_again(struct directory *d)
{
	uint64_t now = now_usec(d);
	if (retry_next(&d->retries) > now)
		return;
	retry_begin(&d->retries, now);
	look_at_due_trackers(d, now);
	look_at_due_objects(d, now);
	retry_end(&d->retries, now, given_up, d);
	if (d->retries.n == 0)
		sweep_trackers(d);
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
	if (*wd != NO_WATCH)
		inotify_rm_watch(d->inotify, *wd); /* -EINVAL if the kernel did it already */
	*wd = NO_WATCH;
}

static void detach(struct directory *d)
{
	fipc_registry_close(d->registry);
	d->registry = NULL;
	drop_watch(d, &d->wd_parent);
	drop_watch(d, &d->wd_root);
	drop_watch(d, &d->wd_trackers);
	while (d->n_objects > 0)
		inotify_rm_watch(d->inotify, d->objects[--d->n_objects].wd);
	retries_free(&d->retries);
}

static void watch_trackers(struct directory *d)
{
	char path[PATH_MAX];
	int n = snprintf(path, sizeof(path), "%s/" FIPC_TRACKERS, d->path);
	if (n < (int)sizeof(path))
		d->wd_trackers = inotify_add_watch(d->inotify, path, WATCH_TRACKERS);
}

/* From the outside in, and opened last: whichever part is exchanged meanwhile, its watch tells. */
static int attach(struct directory *d)
{
	detach(d);
	d->wd_parent = inotify_add_watch(d->inotify, d->parent, WATCH_PARENT);
	d->wd_root = inotify_add_watch(d->inotify, d->path, WATCH_ROOT_INCOMPLETE);
	if (d->wd_root < 0)
		return -errno;
	watch_trackers(d);
	int r = fipc_registry_open(&d->registry, d->is_default ? NULL : d->path, 0);
	if (r < 0)
		return r;
	if (d->wd_trackers >= 0) {
		drop_watch(d, &d->wd_parent);
		inotify_add_watch(d->inotify, d->path, WATCH_ROOT);
	}
	d->look_at_all = true;
	return 0;
}

static void attach_again(struct directory *d)
{
	bool was_there = d->registry;
	int r = attach(d);
	if (r == -ENOENT && was_there)
		log_event(LOG_NOTICE, &(struct log_fields){.dir = d->path, .action = "gone"},
			  "%s is gone; it is served again when it is made anew", d->path);
	else if (r < 0 && r != -ENOENT)
		log_failed(d, "cannot open it", r);
	else if (r == 0 && !was_there)
		log_event(LOG_NOTICE, &(struct log_fields){.dir = d->path, .action = "back"}, "%s is back", d->path);
}

/* All that the last events asked for. */
static void settle(struct directory *d)
{
	if (d->reattach) {
		d->reattach = false;
		attach_again(d);
	}
	if (d->look_at_all && d->registry) {
		d->look_at_all = false;
		look(d, NULL);
		sweep_trackers(d);
		/* A death that was told before the watch was there may still have looked like a life: see reclaim(). */
		keep(d, retry_all(&d->retries, now_usec(d)));
	}
	if (d->registry)
		look_again(d);
	set_timer(d);
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
	if (e->len == 0)
		d->reattach = true; /* .procs itself */
	else if (d->registry)
		reclaim(d, e->name);
}

static void on_object(struct directory *d, const struct inotify_event *e)
{
	struct watch watch;
	if (take_watch(d, e->wd, &watch))
		keep(d, retry_object_now(&d->retries, watch.inode, watch.pid, now_usec(d)));
}

static void on_inotify(struct directory *d, const struct inotify_event *e)
{
	if (e->mask & IN_Q_OVERFLOW)
		d->look_at_all = d->reattach = true;
	else if (e->wd == d->wd_trackers)
		on_trackers(d, e);
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
	for (ssize_t at = 0; at < n;) {
		const struct inotify_event *e = (const void *)(events + at);
		on_inotify(d, e);
		at += (ssize_t)(sizeof(*e) + e->len);
	}
	settle(d);
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
	if (!d->registry)
		return -ENOENT;
	int r = fipc_registry_walk(d->registry, flags, filter, observe_and_tell, &walk);
	if (walk.collects) {
		sweep_trackers(d);
		set_timer(d);
	}
	return r;
}

int directory_processes(struct directory *d, fipc_process_fn callback, void *context)
{
	return d->registry ? fipc_registry_processes(d->registry, 0, callback, context) : -ENOENT;
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
	int r = sd_event_add_io(d->event, &d->news, d->inotify, EPOLLIN, on_news, d);
	/* accuracy 1: to the microsecond; the default coalesces timers over 250 ms */
	if (r >= 0)
		r = sd_event_add_time(d->event, &d->timer, CLOCK_MONOTONIC, UINT64_MAX, 1, on_timer, d);
	if (r >= 0)
		r = sd_event_source_set_enabled(d->timer, SD_EVENT_OFF);
	return r;
}

int directory_new(struct directory **ret, sd_event *event, const char *path)
{
	struct directory *d = calloc(1, sizeof(*d));
	if (!d)
		return -ENOMEM;
	d->event = sd_event_ref(event);
	d->is_default = !path;
	d->wd_root = d->wd_trackers = d->wd_parent = NO_WATCH;
	d->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	int r = d->inotify < 0 ? -errno : find_paths(d, path);
	if (r >= 0)
		r = add_sources(d);
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
	if (d->inotify >= 0) {
		detach(d);
		close(d->inotify);
	}
	sd_event_source_disable_unref(d->news);
	sd_event_source_disable_unref(d->timer);
	sd_event_unref(d->event);
	free(d->path);
	free(d->parent);
	free(d);
}
