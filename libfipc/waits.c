/* SPDX-License-Identifier: Apache-2.0 */
/* Who sleeps on what: what processes say of it in their trackers (slot.c), and whether it can be believed. */
#include "fork.h"
#include "root.h"
#include "tracker.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *const kinds[] = {
	[FIPC_WAIT_WAKE] = "wake",   [FIPC_WAIT_LOCK] = "lock",       [FIPC_WAIT_READ] = "read",
	[FIPC_WAIT_WRITE] = "write", [FIPC_WAIT_READERS] = "readers", [FIPC_WAIT_SLOT] = "slot",
};
enum { KINDS = sizeof(kinds) / sizeof(*kinds) };

const char *fipc_wait_kind_name(enum fipc_wait_kind kind)
{
	return (unsigned)kind < KINDS ? kinds[kind] : NULL;
}

struct look {
	const uint64_t *inodes;
	size_t n_inodes;
	fipc_wait_fn callback;
	void *context;
	struct wait_slot slots[WAIT_SLOTS];
};

/*
 * The user of a process that may not be looked into: /proc says it is root's. A line of proc(5)'s status; -1: not
 * known.
 */
static int64_t uid_in_status(int32_t pid, uint32_t tid)
{
	char path[64], text[2048];
	const char *at;
	ssize_t n;
	int fd;
	snprintf(path, sizeof(path), "/proc/%" PRId32 "/task/%" PRIu32 "/status", pid, tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	at = strstr(text, "\nUid:\t");
	at = at ? strchr(at + strlen("\nUid:\t"), '\t') : NULL; /* real, effective, ... */
	return at ? strtoll(at, NULL, 10) : -1;
}

/*
 * Is there such a thread, in that process, and is it its user who says so? A user may leave trackers that name
 * another's process; what is told of that must not be his. In another PID namespace it cannot be known.
 */
static bool is_thread(const struct fipc_process *p, uint32_t tid)
{
	char path[64];
	struct stat st;
	if (p->pidns != fipc__process_pidns())
		return true;
	snprintf(path, sizeof(path), "/proc/%" PRId32 "/task/%" PRIu32, p->pid, tid);
	if (stat(path, &st) == 0)
		return st.st_uid == p->uid || (st.st_uid == 0 && uid_in_status(p->pid, tid) == (int64_t)p->uid);
	return access("/proc/self", F_OK) < 0 && (syscall(SYS_tgkill, p->pid, tid, 0) == 0 || errno == EPERM);
}

static bool is_wanted(const struct look *look, uint64_t inode)
{
	return !look->inodes || bsearch(&inode, look->inodes, look->n_inodes, sizeof(inode), fipc__by_inode);
}

static struct fipc_wait wait_in(const struct wait_slot *s, const struct fipc_process *p)
{
	struct fipc_wait w = {
		.pid = p->pid,
		.tid = s->tid,
		.uid = p->uid,
		.owner_tid = s->owner_tid,
		.acquisition = s->acquisition,
		.timed = WAIT_TIMED(s->what),
		.type = (enum fipc_type)WAIT_TYPE(s->what),
		.kind = (enum fipc_wait_kind)WAIT_KIND(s->what),
		.inode = s->object,
		.since_ns = (int64_t)s->since_ns,
		.tracker = p->tracker,
		.pidns = p->pidns,
		.number = s->number,
	};
	memcpy(w.comm, p->comm, sizeof(w.comm));
	return w;
}

/* As a thread of fipc's would have written it? */
static bool makes_sense(const struct fipc_wait *w)
{
	return fipc_type_name(w->type) && fipc_wait_kind_name(w->kind) && w->since_ns > 0 && w->tid <= WORD_TID;
}

static int visit_slots(struct look *look, const struct fipc_process *p, size_t n)
{
	int r = 0;
	for (size_t i = 0; i < n && r == 0; i++) {
		struct fipc_wait w = wait_in(&look->slots[i], p);
		if (makes_sense(&w) && is_wanted(look, w.inode) && is_thread(p, w.tid))
			r = look->callback(&w, look->context);
	}
	return r;
}

static int visit_tracker(int trackers, const char *name, void *context)
{
	struct look *look = context;
	struct fipc_process p;
	struct stat st;
	size_t n;
	int r = 0, fd = fipc__tracker_open(trackers, name, &p, &st);
	if (fd < 0)
		return fd == -EMFILE || fd == -ENFILE || fd == -ENOMEM ? fd : 0;
	n = fipc__tracker_read_slots(fd, look->slots);
	if (n > 0) {
		fipc__tracker_describe(fd, &st, &p);
		r = p.life == FIPC_ALIVE ? visit_slots(look, &p, n) : 0;
	}
	close(fd);
	return r;
}

int fipc_registry_waits(fipc_registry *r, const uint64_t *inodes, size_t n_inodes, fipc_wait_fn callback, void *context)
{
	struct look *look = malloc(sizeof(*look));
	int error;
	if (!look)
		return -ENOMEM;
	look->inodes = inodes;
	look->n_inodes = n_inodes;
	look->callback = callback;
	look->context = context;
	error = fipc__registry_trackers(r, visit_tracker, look);
	free(look);
	return error;
}
