/* SPDX-License-Identifier: Apache-2.0 */
#include "census.h"

#include "clock.h"
#include "each.h"
#include "fork.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PID_NAMESPACE_OF_BOOT UINT32_C(0xeffffffc) /* PROC_PID_INIT_INO of <linux/proc_ns.h> */
#define NS_PER_SEC INT64_C(1000000000)
#define COARSE_NS 20000000 /* a file's time is that of the last tick of a clock: up to 10 ms old */

/* ---- one process, as /proc tells ---- */

enum seen { SEEN_NOBODY, SEEN_SOMEBODY, SEEN_CANNOT_TELL };

/* Its end may be cut off. */
static enum seen read_of(int32_t pid, const char *file, char *ret, size_t size)
{
	char path[40];
	ssize_t n;
	int fd;
	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? SEEN_NOBODY : SEEN_CANNOT_TELL;
	n = read(fd, ret, size - 1);
	if (n < 0) {
		int error = errno;
		close(fd);
		return error == ESRCH ? SEEN_NOBODY : SEEN_CANNOT_TELL;
	}
	close(fd);
	ret[n] = '\0';
	return n > 0 ? SEEN_SOMEBODY : SEEN_CANNOT_TELL;
}

enum { STATUS_SIZE = 4096 };

/* What follows a key at the beginning of a line; NULL: there is none. */
static const char *value_of(const char *status, const char *key)
{
	const char *at = strstr(status, key); /* the name of the process is in the first line, with its newlines escaped */
	return at ? at + strlen(key) : NULL;
}

/* Dead, and not yet waited for: it has no memory any more. The first thread of several may be over before the others. */
static bool is_zombie(const char *status)
{
	const char *state = value_of(status, "\nState:\t"), *threads = value_of(status, "\nThreads:\t");
	return state && (*state == 'Z' || *state == 'X') && threads && atoi(threads) <= 1;
}

static enum seen read_status(int32_t pid, char ret[STATUS_SIZE])
{
	enum seen seen = read_of(pid, "status", ret, STATUS_SIZE);
	return seen == SEEN_SOMEBODY && is_zombie(ret) ? SEEN_NOBODY : seen;
}

/* Stopped by a signal or a debugger. */
static bool is_stopped(const char *status)
{
	const char *state = value_of(status, "\nState:\t");
	return state && (*state == 'T' || *state == 't');
}

/* When it was started, on CLOCK_BOOTTIME, or a tick before; 0: it cannot be told. */
static int64_t start_of(int32_t pid)
{
	enum { STATE = 3, START = 22 }; /* fields of proc(5)'s stat; the name before them may hold anything */
	char text[1024], *at;
	if (read_of(pid, "stat", text, sizeof(text)) != SEEN_SOMEBODY)
		return 0;
	at = strrchr(text, ')');
	for (int field = STATE; at && field <= START; field++)
		at = strchr(at + 1, ' ');
	return at ? (int64_t)strtoull(at, NULL, 10) * (NS_PER_SEC / sysconf(_SC_CLK_TCK)) : 0;
}

/* ---- when ---- */

/* The latest moment on CLOCK_BOOTTIME that it can stand for; INT64_MAX: any. */
static int64_t latest(int64_t recorded_ns)
{
	int64_t boot = fipc__clock_ns(CLOCK_BOOTTIME), real = fipc__clock_ns(CLOCK_REALTIME);
	if (recorded_ns <= 0 || recorded_ns > real)
		return INT64_MAX;
	if (recorded_ns <= boot)
		return recorded_ns + (boot - fipc__clock_ns(CLOCK_MONOTONIC));
	return recorded_ns >= real - boot ? recorded_ns - (real - boot) : INT64_MAX;
}

/*
 * Can this process, of this PID in our namespace, have recorded something then? One that is stopped may have been so
 * since it wrote its number, and before it wrote the time.
 */
static enum seen may_have(int32_t pid, int64_t recorded_ns)
{
	char status[STATUS_SIZE];
	enum seen seen = read_status(pid, status);
	if (seen != SEEN_SOMEBODY || is_stopped(status))
		return seen;
	return start_of(pid) - COARSE_NS > latest(recorded_ns) ? SEEN_NOBODY : SEEN_SOMEBODY;
}

/* ---- all of them ---- */

static int add(struct census *c, int32_t number, int32_t pid)
{
	if (c->n == c->room) {
		size_t room = c->room ? 2 * c->room : 256;
		void *p = realloc(c->items, room * sizeof(*c->items));
		if (!p)
			return -ENOMEM;
		c->items = p;
		c->room = room;
	}
	c->items[c->n++] = (struct numbered){number, pid};
	return 0;
}

/* NSpid: its number in our namespace, in the next one inside, and so on. */
static int add_numbers(struct census *c, const char *status, int32_t pid)
{
	const char *at = value_of(status, "\nNSpid:");
	char *end;
	int r = at ? 0 : -ENODATA;
	while (r == 0 && *at == '\t') {
		long number = strtol(at + 1, &end, 10);
		at = end;
		r = add(c, (int32_t)number, pid);
	}
	return r;
}

static int visit_process(int proc, const struct dirent *e, void *context)
{
	char status[STATUS_SIZE];
	int32_t pid = *e->d_name >= '1' && *e->d_name <= '9' ? atoi(e->d_name) : 0;
	enum seen seen = pid ? read_status(pid, status) : SEEN_NOBODY;
	(void)proc;
	if (seen == SEEN_SOMEBODY)
		return add_numbers(context, status, pid);
	return seen == SEEN_NOBODY ? 0 : -EACCES;
}

/* /proc is of our own namespace, and not mounted so that it hides others' processes. */
static bool proc_shows_all(void)
{
	char line[PATH_MAX], self[24] = "";
	ssize_t n = readlink("/proc/self", self, sizeof(self) - 1);
	FILE *f = fopen("/proc/self/mounts", "re");
	bool all = f && n > 0 && atoi(self) == getpid();
	while (all && fgets(line, sizeof(line), f)) {
		const char *hides = strstr(line, " /proc proc ") ? strstr(line, "hidepid=") : NULL;
		all = !hides || strncmp(hides, "hidepid=0", 9) == 0 || strncmp(hides, "hidepid=off", 11) == 0;
	}
	if (f)
		fclose(f);
	return all;
}

static int by_number(const void *a, const void *b)
{
	const struct numbered *x = a, *y = b;
	return x->number < y->number ? -1 : x->number > y->number;
}

static void take(struct census *c)
{
	int r = -ENOTSUP;
	c->n = 0;
	c->times++;
	c->taken_ns = fipc__clock_ns(CLOCK_REALTIME);
	if (fipc__process_pidns() == PID_NAMESPACE_OF_BOOT && proc_shows_all()) {
		int fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		r = fipc__each_name(fd < 0 ? -errno : fd, visit_process, c);
	}
	c->complete = r == 0;
	if (c->n > 0)
		qsort(c->items, c->n, sizeof(*c->items), by_number);
}

void fipc__census_forget(struct census *c)
{
	free(c->items);
	*c = (struct census){.times = 0};
}

/* See to it that it was taken after that moment, or now. False: there is none. */
static bool taken_after(struct census *c, int64_t recorded_ns)
{
	if (c->times == 0 || recorded_ns <= 0 || recorded_ns >= c->taken_ns) {
		if (c->times == CENSUS_TIMES)
			return false;
		take(c);
	}
	return c->complete;
}

/* The first of those who have it; NULL: nobody. */
static const struct numbered *find(const struct census *c, int32_t number)
{
	size_t from = 0, to = c->n;
	while (from < to) {
		size_t middle = from + (to - from) / 2;
		if (c->items[middle].number < number)
			from = middle + 1;
		else
			to = middle;
	}
	return from < c->n && c->items[from].number == number ? &c->items[from] : NULL;
}

enum fipc_life fipc__census_life(struct census *c, uint32_t pid, int64_t recorded_ns)
{
	const int32_t number = (int32_t)pid;
	if (number <= 0)
		return FIPC_UNKNOWN;
	if (may_have(number, recorded_ns) == SEEN_SOMEBODY)
		return FIPC_ALIVE;
	if (!taken_after(c, recorded_ns))
		return FIPC_UNKNOWN;
	for (const struct numbered *who = find(c, number); who && who < c->items + c->n && who->number == number; who++)
		if (may_have(who->pid, recorded_ns) != SEEN_NOBODY)
			return FIPC_UNKNOWN;
	return FIPC_DEAD;
}
