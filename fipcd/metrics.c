/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The method Metrics. What is in a directory is counted by its listing alone: no object is opened.
 */
#include "request.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { TYPES = FIPC_TYPE_MQ + 1 };

struct census {
	uint64_t objects[TYPES]; /* by type */
	uint64_t processes, attachments;
};

typedef void (*count_fn)(struct census *census, int fd, const char *name);

static void count_object(struct census *census, int fd, const char *name)
{
	(void)fd;
	const char *dot = strrchr(name, '.');
	int type = dot && dot != name && *name != '.' ? fipc_type_from_name(dot + 1) : 0;
	if (type > 0 && type < TYPES)
		census->objects[type]++;
}

/* Each entry of a process is a link to its tracker. */
static void count_process(struct census *census, int fd, const char *name)
{
	struct stat st;
	if (*name == '.' || fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
		return;
	census->processes++;
	census->attachments += st.st_nlink - 1;
}

static int count_in(const char *path, count_fn count, struct census *census)
{
	DIR *dir = opendir(path);
	if (!dir)
		return -errno;
	for (struct dirent *e; (e = readdir(dir));)
		count(census, dirfd(dir), e->d_name);
	closedir(dir);
	return 0;
}

static int count(struct census *ret, const char *path)
{
	char trackers[PATH_MAX];
	int r = count_in(path, count_object, ret);
	if (r == 0 && snprintf(trackers, sizeof(trackers), "%s/" FIPC_TRACKERS, path) < (int)sizeof(trackers))
		r = count_in(trackers, count_process, ret);
	return r == -ENOENT ? 0 : r;
}

static json_t *objects_to_json(const struct census *census)
{
	json_t *objects = json_object();
	for (int type = 1; objects && type < TYPES; type++)
		json_object_set_new(objects, fipc_type_name((enum fipc_type)type),
				    json_integer((json_int_t)census->objects[type]));
	return objects;
}

static int add_directory(struct directory *d, void *context)
{
	json_t *array = context;
	struct census census = {0};
	const struct directory_counts *c = directory_counts(d);
	int r = count(&census, directory_path(d));
	if (r < 0)
		return r;
	json_t *json = json_pack("{s:s, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "dir", directory_path(d),
				 "objects", objects_to_json(&census), "processes", (json_int_t)census.processes,
				 "attachments", (json_int_t)census.attachments, "reclaimed", (json_int_t)c->reclaimed,
				 "entries_removed", (json_int_t)c->entries_removed, "scans", (json_int_t)c->scans,
				 "scan_last_usec", (json_int_t)c->scan_last_usec, "scan_max_usec",
				 (json_int_t)c->scan_max_usec, "scan_total_usec", (json_int_t)c->scan_total_usec);
	return json_array_append_new(array, json) < 0 ? -ENOMEM : 0;
}

static json_int_t uptime_usec(const struct service *service)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (json_int_t)((uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000 - service->started_usec);
}

/* 0: /proc is not there. */
static json_int_t memory_bytes(void)
{
	long long pages = 0;
	FILE *file = fopen("/proc/self/statm", "re");
	if (!file)
		return 0;
	if (fscanf(file, "%*s %lld", &pages) != 1)
		pages = 0;
	fclose(file);
	return pages * sysconf(_SC_PAGESIZE);
}

static json_t *encode(const struct service *service, json_t *directories)
{
	const struct monitor *m = service->monitor;
	return json_pack("{s:s, s:I, s:I, s:i, s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:O}", "version", FIPC_VERSION,
			 "uptime_usec", uptime_usec(service), "memory_bytes", memory_bytes(), "clients",
			 (int)service->accounts.clients, "monitors", (int)monitor_listeners(m), "calls",
			 (json_int_t)service->calls, "errors", (json_int_t)service->errors, "refused",
			 (json_int_t)service->refused, "deaths", (json_int_t)monitor_count(m, MONITOR_DIED),
			 "owner_deaths", (json_int_t)monitor_count(m, MONITOR_OWNER_DIED), "deadlocks",
			 (json_int_t)monitor_count(m, MONITOR_DEADLOCK), "lost", (json_int_t)monitor_missed(m),
			 "directories", directories);
}

int run_metrics(struct request *request)
{
	json_t *directories = json_array();
	if (!directories)
		return -ENOMEM;
	int r = request_visit_directories(request, add_directory, directories);
	if (r == 0)
		r = wire_reply_add(request->out, encode(request->service, directories));
	json_decref(directories);
	return r < 0 ? r : 0;
}
