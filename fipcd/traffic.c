/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An inotify instance of its own, so that however much there is to tell here, no news of a death is lost:
 *
 *	<dir>            IN_CREATE: an object has got its name (it is made whole before), or it has got its .pids
 *	<object>.pids    IN_CREATE, IN_DELETE of an entry: a process has attached, or detached
 *
 * Between the making of a .pids and its watch entries may come and go: it is read once it is watched, and what is found
 * is told as attached; what is then reported all the same is not told twice (`seen`). An object that has gone before it
 * was looked at, and whoever has opened and closed it in that time, is not told of at all.
 */
#include "traffic.h"
#include "limit.h"
#include "sorted.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIDS ".pids"

enum {
	EVENTS_SIZE = 32 << 10,
	WATCH_ROOT = IN_ONLYDIR | IN_CREATE | IN_MOVED_TO,
	WATCH_PIDS = IN_ONLYDIR | IN_DONT_FOLLOW | IN_CREATE | IN_DELETE,
};

struct place { /* a .pids that is watched */
	int wd;
	char *name;
	struct monitor_object object; /* its owner and mode as they were at the last look */
	json_t *seen; /* a set: entries that were told when it was read, and may be reported again; NULL: none */
};

struct traffic {
	sd_event_source *news;
	const char *dir;
	struct monitor *monitor;
	int inotify, root; /* root: the directory, for looks at what is in it */
	struct place *places; /* ascending by wd */
	size_t n_places, capacity;
	bool said_too_many;
};

/* ---- names ---- */

/* <name>.<type>: cut in two. Returns the type, or 0. */
static enum fipc_type split(char *file)
{
	char *dot = strrchr(file, '.');
	int type = dot && dot != file ? fipc_type_from_name(dot + 1) : 0;
	if (type <= 0 || *file == '.')
		return 0;
	*dot = 0;
	return (enum fipc_type)type;
}

static bool cut_pids(char *file)
{
	size_t n = strlen(file), suffix = strlen(PIDS);
	if (n <= suffix || strcmp(file + n - suffix, PIDS) != 0)
		return false;
	file[n - suffix] = 0;
	return true;
}

/* <pid>.<tracker's inode>.<object's inode>; 0: something else. */
static int pid_of(const char *entry)
{
	unsigned long long tracker, object;
	int pid;
	char rest;
	return sscanf(entry, "%d.%llu.%llu%c", &pid, &tracker, &object, &rest) == 3 ? pid : 0;
}

/* ---- telling ---- */

static void lost(struct traffic *t, const char *reason, const char *text)
{
	monitor_publish(t->monitor,
			&(struct monitor_event){.kind = MONITOR_LOST, .dir = t->dir, .reason = reason, .text = text});
}

static void publish(struct traffic *t, enum monitor_kind kind, const struct monitor_object *object, int pid)
{
	const struct monitor_event event = {
		.kind = kind, .dir = t->dir, .objects = object, .n_objects = 1, .pid = pid};
	monitor_publish(t->monitor, &event);
}

/* Whose it is now, and of what mode. False: it is no longer there. */
static bool look_at(const struct traffic *t, struct monitor_object *object)
{
	char file[NAME_MAX + 1];
	struct stat st;
	snprintf(file, sizeof(file), "%s.%s", object->name, fipc_type_name(object->type));
	if (fstatat(t->root, file, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return false;
	object->uid = st.st_uid;
	object->gid = st.st_gid;
	object->mode = st.st_mode & 0777;
	return true;
}

/* ---- places ---- */

static bool comes_before(const void *place, const void *wd)
{
	return ((const struct place *)place)->wd < *(const int *)wd;
}

static size_t index_of(const struct traffic *t, int wd)
{
	return sorted_index(t->places, t->n_places, sizeof(*t->places), comes_before, &wd);
}

static struct place *find(struct traffic *t, int wd)
{
	size_t i = index_of(t, wd);
	return i < t->n_places && t->places[i].wd == wd ? &t->places[i] : NULL;
}

static struct place *insert(struct traffic *t, int wd, const struct monitor_object *object)
{
	if (t->n_places == t->capacity) {
		size_t capacity = t->capacity ? 2 * t->capacity : 16;
		struct place *places = realloc(t->places, capacity * sizeof(*places));
		if (!places)
			return NULL;
		t->places = places;
		t->capacity = capacity;
	}
	char *name = strdup(object->name);
	if (!name)
		return NULL;
	size_t i = index_of(t, wd);
	struct place *p = &t->places[i];
	memmove(p + 1, p, (t->n_places++ - i) * sizeof(*p));
	*p = (struct place){.wd = wd, .name = name, .object = *object};
	p->object.name = name;
	return p;
}

static void forget(struct place *p)
{
	json_decref(p->seen);
	free(p->name);
}

static void drop(struct traffic *t, struct place *p)
{
	forget(p);
	t->n_places--;
	memmove(p, p + 1, (t->n_places - (size_t)(p - t->places)) * sizeof(*p));
}

static void say_too_many(struct traffic *t)
{
	if (!t->said_too_many)
		lost(t, "limit", "too many objects: who attaches to some of them, and detaches, is not told");
	t->said_too_many = true;
}

/* Returns the new place; NULL: it is watched already, has gone, or cannot be watched. */
static struct place *watch_pids(struct traffic *t, const char *file, const struct monitor_object *object)
{
	char path[PATH_MAX];
	if (t->n_places >= LIMIT_TRAFFIC_WATCHES) {
		say_too_many(t);
		return NULL;
	}
	int n = snprintf(path, sizeof(path), "%s/%s", t->dir, file);
	int wd = n < (int)sizeof(path) ? inotify_add_watch(t->inotify, path, WATCH_PIDS) : -1;
	if (wd < 0 && (errno == ENOSPC || errno == ENOMEM))
		say_too_many(t);
	if (wd < 0 || find(t, wd))
		return NULL;
	struct place *p = insert(t, wd, object);
	if (!p) {
		inotify_rm_watch(t->inotify, wd);
		say_too_many(t);
	}
	return p;
}

static DIR *open_directory(const struct traffic *t, const char *file)
{
	int fd = openat(t->root, file, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir && fd >= 0)
		close(fd);
	return dir;
}

/* It is new: those who were faster than the watch. */
static void tell_entries(struct traffic *t, struct place *p, const char *file)
{
	DIR *dir = open_directory(t, file);
	if (!dir)
		return;
	for (struct dirent *e; (e = readdir(dir));) {
		int pid = pid_of(e->d_name);
		if (pid == 0)
			continue;
		if (!p->seen)
			p->seen = json_object();
		json_object_set_new(p->seen, e->d_name, json_true());
		publish(t, MONITOR_ATTACHED, &p->object, pid);
	}
	closedir(dir);
}

/* Of a .pids: which object, if somebody listens to it. file is cut. */
static bool is_worth_watching(const struct traffic *t, char *file, struct monitor_object *ret)
{
	if (!cut_pids(file))
		return false;
	*ret = (struct monitor_object){.name = file};
	ret->type = split(file);
	return ret->type && monitor_is_heard_of(t->monitor, t->dir, file, ret->type) && look_at(t, ret);
}

void traffic_widen(struct traffic *t)
{
	char file[NAME_MAX + 1];
	struct monitor_object object;
	DIR *dir = open_directory(t, ".");
	if (!dir)
		return;
	for (struct dirent *e; (e = readdir(dir));) {
		strcpy(file, e->d_name);
		if (is_worth_watching(t, file, &object))
			watch_pids(t, e->d_name, &object);
	}
	closedir(dir);
}

/* ---- events ---- */

static void on_root(struct traffic *t, const struct inotify_event *e)
{
	char file[NAME_MAX + 1];
	struct monitor_object object;
	strcpy(file, e->name);
	if (is_worth_watching(t, file, &object)) {
		struct place *p = watch_pids(t, e->name, &object);
		if (p)
			tell_entries(t, p, e->name);
		return;
	}
	strcpy(file, e->name);
	object = (struct monitor_object){.name = file};
	object.type = split(file);
	if (object.type && look_at(t, &object))
		publish(t, MONITOR_CREATED, &object, 0);
}

static void on_entry(struct traffic *t, struct place *p, const struct inotify_event *e)
{
	int pid = pid_of(e->name);
	bool told = p->seen && json_object_del(p->seen, e->name) == 0;
	if (pid == 0)
		return;
	look_at(t, &p->object); /* gone: as it was */
	if (e->mask & IN_DELETE)
		publish(t, MONITOR_DETACHED, &p->object, pid);
	else if (!told)
		publish(t, MONITOR_ATTACHED, &p->object, pid);
}

static void on_event(struct traffic *t, const struct inotify_event *e)
{
	struct place *p = find(t, e->wd);
	if (e->mask & IN_Q_OVERFLOW)
		lost(t, "overflow", "more has happened at once than the kernel keeps");
	else if (p && e->mask & IN_IGNORED)
		drop(t, p);
	else if (p && e->len > 0)
		on_entry(t, p, e);
	else if (e->len > 0)
		on_root(t, e);
}

bool traffic_is_current(const struct traffic *t)
{
	struct stat ours, named;
	return fstat(t->root, &ours) == 0 && stat(t->dir, &named) == 0 && ours.st_dev == named.st_dev &&
	       ours.st_ino == named.st_ino;
}

void traffic_catch_up(struct traffic *t)
{
	_Alignas(struct inotify_event) char events[EVENTS_SIZE];
	ssize_t n = read(t->inotify, events, sizeof(events));
	bool overflow = false;
	for (ssize_t at = 0; at < n;) {
		const struct inotify_event *e = (const void *)(events + at);
		on_event(t, e);
		overflow = overflow || e->mask & IN_Q_OVERFLOW;
		at += (ssize_t)(sizeof(*e) + e->len);
	}
	if (overflow)
		traffic_widen(t); /* objects whose .pids were among it */
}

static int on_news(sd_event_source *source, int fd, uint32_t revents, void *context)
{
	(void)source;
	(void)fd;
	(void)revents;
	traffic_catch_up(context);
	return 0;
}

static int watch_root(struct traffic *t)
{
	t->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	return t->inotify < 0 || inotify_add_watch(t->inotify, t->dir, WATCH_ROOT) < 0 ? -errno : 0;
}

int traffic_new(struct traffic **ret, sd_event *event, const char *dir, struct monitor *monitor)
{
	struct traffic *t = calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	t->dir = dir;
	t->monitor = monitor;
	t->inotify = -1;
	t->root = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = t->root < 0 ? -errno : watch_root(t);
	if (r == 0)
		r = sd_event_add_io(event, &t->news, t->inotify, EPOLLIN, on_news, t);
	if (r < 0) {
		traffic_free(t);
		return r;
	}
	traffic_widen(t);
	*ret = t;
	return 0;
}

void traffic_free(struct traffic *t)
{
	if (!t)
		return;
	sd_event_source_disable_unref(t->news);
	for (size_t i = 0; i < t->n_places; i++)
		forget(&t->places[i]);
	free(t->places);
	if (t->inotify >= 0)
		close(t->inotify);
	if (t->root >= 0)
		close(t->root);
	free(t);
}
