/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every call of libc and the kernel that can fail does, one after the other: the first one of a scenario, the second
 * one, and so on until none is left; once, or from then on. Each time, in a process of its own: what the library says
 * is that error, or that nothing was wrong; nothing is left behind or lost, in the process and outside of it; and a
 * second try, without a fault, succeeds. Its heap, mappings and descriptors are counted here, not by a sanitizer.
 */
#include "fault.h"
#include "support.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- the types ---- */

struct type {
	const char *file; /* of the object "a" */
	int (*open)(void **ret, unsigned flags);
	int (*close)(void *object);
	int (*unlink)(const char *name);
	void (*use)(void *object); /* any way that shows that it is whole */
};

#define TYPE(word, handle, open_call, use_call)                                                                       \
	static int open_##word(void **ret, unsigned flags)                                                            \
	{                                                                                                             \
		handle *object;                                                                                       \
		int r = open_call;                                                                                    \
                                                                                                                      \
		if (r >= 0)                                                                                           \
			*ret = object;                                                                                \
		return r;                                                                                             \
	}                                                                                                             \
	static int close_##word(void *object)                                                                         \
	{                                                                                                             \
		return handle##_close(object);                                                                        \
	}                                                                                                             \
	static const struct type word = {"a." #word, open_##word, close_##word, handle##_unlink, use_call}

static void use_mutex(void *m)
{
	must_be(fipc_mutex_lock(m), 0);
	must_be(fipc_mutex_unlock(m), 0);
}

static void use_sem(void *s)
{
	must_be(fipc_sem_value(s), 1);
	must_be(fipc_sem_wait(s), 0);
	must_be(fipc_sem_trywait(s), -EAGAIN);
	must_be(fipc_sem_post(s, 1), 0);
}

static void use_event(void *e)
{
	must_be(fipc_event_set(e), 0);
	must_be(fipc_event_wait(e), 0);
	must_be(fipc_event_clear(e), 0);
}

static void use_cond(void *c)
{
	must_be(fipc_cond_signal(c), 0);
	must_be(fipc_cond_broadcast(c), 0);
}

static void use_rwlock(void *l)
{
	must_be(fipc_rwlock_rdlock(l), 0);
	must_be(fipc_rwlock_unlock(l), 0);
	must_be(fipc_rwlock_wrlock(l), 0);
	must_be(fipc_rwlock_unlock(l), 0);
}

enum { SHM_SIZE = 3 * 4096 + 5, SHM_LARGER = 7 * 4096, SHM_SMALLER = 100 };

/* As it was made: nothing here writes but what a scenario says. */
static void use_shm(void *h)
{
	const char *bytes = fipc_shm_data(h);

	must_be(fipc_shm_size(h), SHM_SIZE);
	for (size_t i = 0; i < SHM_SIZE; i++)
		must_be(bytes[i], 0);
}

enum { MESSAGE_SIZE = 16 };

static void use_mq(void *q)
{
	char message[MESSAGE_SIZE] = "hello";
	unsigned priority;

	must_be(fipc_mq_send(q, message, 5, 7, FIPC_NOW), 0);
	must_be(fipc_mq_receive(q, message, sizeof(message), &priority, FIPC_NOW), 5);
	must_be(priority, 7);
	must_be(fipc_mq_count(q), 0);
}

TYPE(mutex, fipc_mutex, fipc_mutex_open(&object, "a", flags, 0600), use_mutex);
TYPE(sem, fipc_sem, fipc_sem_open(&object, "a", 1, flags, 0600), use_sem);
TYPE(event, fipc_event, fipc_event_open(&object, "a", flags, 0600), use_event);
TYPE(cond, fipc_cond, fipc_cond_open(&object, "a", flags, 0600), use_cond);
TYPE(rwlock, fipc_rwlock, fipc_rwlock_open(&object, "a", 8, flags, 0600), use_rwlock);
TYPE(shm, fipc_shm, fipc_shm_open(&object, "a", SHM_SIZE, flags, 0600), use_shm);
TYPE(mq, fipc_mq, fipc_mq_open(&object, "a", &(struct fipc_mq_attr){2, MESSAGE_SIZE}, flags, 0600), use_mq);

static int open_owned(void **ret, unsigned flags)
{
	return open_sem(ret, flags & FIPC_CREATE ? flags | FIPC_OWNED : flags);
}

static const struct type owned = {"a.sem", open_owned, close_sem, fipc_sem_unlink, use_sem};

/* ---- scenarios ---- */

enum others {
	NOBODY,
	PEER,       /* another process has it open */
	LEFT,       /* another process has left it behind */
	PERSISTENT, /* nobody has it open, and it stays */
	PARENT,     /* the parent has it open, and so the child has */
};

struct scenario {
	const char *name;
	enum others others;
	int virgin;                          /* begins in a process that has not used the library yet */
	int renews;                          /* takes the object's name away from its peer */
	unsigned flags;                      /* of the open that it is about */
	void (*prepare)(void);               /* without a fault */
	int (*act)(void);                    /* with one */
	void (*check)(int r);                /* without one: all is in order, then all is closed */
};

static const struct scenario *scenario;
static const struct type *type;
static char root[PATH_MAX];

/* What a run tells the one who started it. */
static struct report {
	int expected;                  /* what the act says when nothing fails */
	long pieces, mapped;           /* what it leaves in the process then */
	unsigned nth;
	int result;
	char first[32];
	int failures;
	int joined_left;
} *report;

static void *object; /* of the subject */

static void path_of(char ret[PATH_MAX], const char *file)
{
	must(snprintf(ret, PATH_MAX, "%s/%s", root, file) < PATH_MAX);
}

static void must_have_no_unfinished(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		must(strncmp(entry->d_name, ".new-", 5) != 0);
	if (dir)
		closedir(dir);
}

/* What can be seen at once, unless it was the tidying up that failed. */
static void must_have_left_nothing(int r)
{
	char trackers[PATH_MAX];

	if (r >= 0 || report->failures != 1 || fault_first_is("unlinkat"))
		return;
	path_of(trackers, FIPC_TRACKERS);
	must_have_no_unfinished(trackers);
	must_have_no_unfinished(root);
	if (scenario->others == NOBODY && inode_of(root, "."))
		must(is_clean(root, 1));
}

static void use_and_close(void)
{
	if (!(scenario->flags & FIPC_READONLY))
		type->use(object);
	must_be(type->close(object), 0);
}

static int act_open(void)
{
	return type->open(&object, scenario->flags);
}

/*
 * What a dead process left may stay when nobody can tell; and what could neither be finished nor be taken away, for
 * more than one call failed, is joined the next time.
 */
static int may_join(void)
{
	return scenario->others == LEFT || report->failures > 1;
}

static void check_open(int r)
{
	int wanted = report->expected;

	must_have_left_nothing(r);
	if (r < 0)
		r = act_open();
	report->joined_left = r == 0 && wanted != 0 && may_join();
	if (!report->joined_left)
		must_be(r, wanted);
	if (r >= 0)
		use_and_close();
}

static void prepare_opened(void)
{
	must_not_fail(type->open(&object, scenario->flags));
	type->use(object);
}

static int act_close(void)
{
	return type->close(object);
}

/* The first thing that it needs is a descriptor: without one, nothing happens. */
static void check_close(int r)
{
	if (report->nth == 1 && fault_gave(EMFILE))
		must_be(r, -EMFILE);
	if (r < 0)
		use_and_close();
}

static int act_unlink(void)
{
	return type->unlink("a");
}

static void check_unlink(int r)
{
	if (r < 0)
		r = act_unlink();
	if (r != -ENOENT || report->expected != 0) /* it said no when the name had gone, and only remains were left */
		must_be(r, report->expected);
	must_be(type->open(&object, 0), -ENOENT);
}

static const struct scenario create = {"create", .flags = FIPC_CREATE, .act = act_open, .check = check_open};
static const struct scenario create_first = {
	"create, first use", .virgin = 1, .flags = FIPC_CREATE, .act = act_open, .check = check_open,
};
static const struct scenario join = {"join", PEER, .act = act_open, .check = check_open};
static const struct scenario join_first = {
	"join, first use", PEER, .virgin = 1, .act = act_open, .check = check_open,
};
static const struct scenario look = {"look", PEER, .flags = FIPC_READONLY, .act = act_open, .check = check_open};
static const struct scenario exclusive = {
	"EXCL", PEER, .flags = FIPC_CREATE | FIPC_EXCL, .act = act_open, .check = check_open,
};
static const struct scenario replace = {
	"replace", PEER, .renews = 1, .flags = FIPC_CREATE | FIPC_REPLACE, .act = act_open, .check = check_open,
};
static const struct scenario join_left = {"join what is left", LEFT, .act = act_open, .check = check_open};
static const struct scenario make_of_left = {
	"make of what is left", LEFT, .flags = FIPC_CREATE, .act = act_open, .check = check_open,
};
static const struct scenario join_persistent = {"join, persistent", PERSISTENT, .act = act_open, .check = check_open};
static const struct scenario close_last = {
	"close, the last", .flags = FIPC_CREATE, .prepare = prepare_opened, .act = act_close, .check = check_close,
};
static const struct scenario close_not_last = {
	"close, not the last", PEER, .prepare = prepare_opened, .act = act_close, .check = check_close,
};
static const struct scenario close_persistent = {
	"close, persistent", PERSISTENT, .prepare = prepare_opened, .act = act_close, .check = check_close,
};
static const struct scenario unlink_used = {
	"unlink, in use", PEER, .renews = 1, .act = act_unlink, .check = check_unlink,
};
static const struct scenario unlink_left = {"unlink what is left", LEFT, .act = act_unlink, .check = check_unlink};

/* ---- a forked child, and a process whose tracker somebody has removed ---- */

static void *second;

static int act_open_again(void)
{
	return type->open(&second, 0);
}

static void check_open_again(int r)
{
	if (r < 0)
		must_be(act_open_again(), 0);
	must_be(type->close(second), 0);
	use_and_close();
}

static void prepare_untracked(void)
{
	char trackers[PATH_MAX];

	prepare_opened();
	path_of(trackers, FIPC_TRACKERS);
	remove_tree(trackers);
}

static int act_open_other(void)
{
	fipc_mutex *m;
	int r = fipc_mutex_open(&m, "other", FIPC_CREATE, 0600);

	if (r >= 0)
		second = m;
	return r;
}

static void check_open_other(int r)
{
	if (r < 0)
		r = act_open_other();
	if (r != 0 || !may_join())
		must_be(r, FIPC_CREATED);
	must_be(type->close(second), 0);
	use_and_close();
	if (report->failures == 0)
		must(is_clean(root, 1));
}

static const struct scenario adopt = {"adopt", PARENT, .act = act_open_again, .check = check_open_again};
static const struct scenario renew = {
	"renew the tracker", .flags = FIPC_CREATE, .prepare = prepare_untracked, .act = act_open_other,
	.check = check_open_other,
};

/* ---- the registry ---- */

static uint64_t kept[2];
static char dead[NAME_MAX + 1]; /* a tracker */

/* One of each kind of leavings, and an object that is to stay. */
static void leave_rubbish(void *unused)
{
	char path[PATH_MAX];
	fipc_mutex *m;
	fipc_shm *h;

	(void)unused;
	must_not_fail(fipc_mutex_open(&m, "persistent", FIPC_CREATE | FIPC_PERSIST, 0600));
	must_be(fipc_mutex_open(&m, "orphan", FIPC_CREATE, 0600), FIPC_CREATED);
	path_of(path, "orphan.mutex");
	must_be(unlink(path), 0);
	path_of(path, ".new-1-1");
	must_be(close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600)), 0);
	path_of(path, FIPC_TRACKERS "/.new-1-1");
	must_be(close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600)), 0);
	must_be(fipc_mutex_open(&m, "dead", FIPC_CREATE, 0600), FIPC_CREATED);
	must_be(fipc_shm_open(&h, "dead", 1, FIPC_CREATE, 0600), FIPC_CREATED);
}

static int note_dead(const struct fipc_process *p, void *context)
{
	if (p->life == FIPC_DEAD && p->pid == *(pid_t *)context)
		snprintf(dead, sizeof(dead), "%d-%llu", (int)p->pid, (unsigned long long)p->tracker);
	return 0;
}

static void prepare_rubbish(void)
{
	pid_t pid = start(leave_rubbish, NULL);
	fipc_registry *r;

	must_be(finish(pid), 0);
	must_be(fipc_registry_open(&r, root, 0), 0);
	must_be(fipc_registry_processes(r, 0, note_dead, &pid), 0);
	fipc_registry_close(r);
	kept[0] = inode_of(root, type->file);
	kept[1] = inode_of(root, "persistent.mutex");
}

static int act_collect(void)
{
	fipc_registry *r;
	int error = fipc_registry_open(&r, root, FIPC_CREATE), more;

	if (error < 0)
		return error;
	error = fipc_registry_walk(r, FIPC_WALK_COLLECT, NULL, NULL, NULL);
	more = fipc_registry_processes(r, FIPC_WALK_COLLECT, NULL, NULL);
	fipc_registry_close(r);
	return error < 0 ? error : more;
}

/* The walk that others' work comes between. */
static int act_collect_by_steps(void)
{
	fipc_walk *walk = NULL;
	fipc_registry *r;
	int error = fipc_registry_open(&r, root, 0);

	if (error < 0)
		return error;
	error = fipc_walk_open(&walk, r, FIPC_WALK_COLLECT, NULL);
	while (error == 0 && !fipc_walk_is_over(walk))
		error = fipc_walk_step(walk, 2, NULL, NULL);
	fipc_walk_close(walk);
	fipc_registry_close(r);
	return error;
}

static int act_look_for_waits(void)
{
	fipc_registry *r;
	int error = fipc_registry_open(&r, root, 0);

	if (error < 0)
		return error;
	error = fipc_registry_waits(r, NULL, 0, NULL, NULL);
	fipc_registry_close(r);
	return error;
}

static int act_reclaim(void)
{
	fipc_registry *r;
	int error = fipc_registry_open(&r, NULL, 0);

	if (error < 0)
		return error;
	error = fipc_registry_reclaim(r, dead, NULL, NULL);
	fipc_registry_close(r);
	return error;
}

static int act_list(void)
{
	fipc_registry *r;
	int error = fipc_registry_open(&r, root, 0);

	if (error < 0)
		return error;
	error = fipc_registry_walk(r, 0, NULL, NULL, NULL);
	fipc_registry_close(r);
	return error;
}

static void check_kept(int r)
{
	if (r < 0)
		must_not_fail(scenario->act());
	must(inode_of(root, type->file) == kept[0]);
	must(inode_of(root, "persistent.mutex") == kept[1]);
	must_be(fipc_mutex_unlink("persistent"), 0);
	collect(root);
	must_be(count_entries(root), 3);
}

/* That there is nothing to do is only said when the tracker cannot be read. */
static void check_reclaimed(int r)
{
	if (r == 0)
		must(!fault_gave(EMFILE) && !fault_gave(ENFILE));
	check_kept(r);
}

/* Nothing is touched. */
static void check_listed(int r)
{
	must_be(count_entries(root), 11);
	check_kept(r);
}

static const struct scenario collection = {
	"collect", PEER, .prepare = prepare_rubbish, .act = act_collect, .check = check_kept,
};
static const struct scenario collection_by_steps = {
	"collect, by steps", PEER, .prepare = prepare_rubbish, .act = act_collect_by_steps, .check = check_kept,
};
static const struct scenario looking_for_waits = {
	"look for waits", PEER, .prepare = prepare_rubbish, .act = act_look_for_waits, .check = check_listed,
};
static const struct scenario reclaiming = {
	"reclaim", PEER, .prepare = prepare_rubbish, .act = act_reclaim, .check = check_reclaimed,
};
static const struct scenario listing = {
	"list", PEER, .prepare = prepare_rubbish, .act = act_list, .check = check_listed,
};

/* ---- shared memory ---- */

enum { PATTERN = 0x5a };

static int act_grow(void)
{
	return fipc_shm_resize(object, SHM_LARGER);
}

static int act_shrink(void)
{
	return fipc_shm_resize(object, SHM_SMALLER);
}

static void check_resized(long size, int (*again)(void), int r)
{
	struct fipc_shm_info info;

	if (r < 0) {
		use_shm(object);
		must_be(fipc_shm_info(object, &info, sizeof(info)), 0);
		must(info.bytes == SHM_SIZE || report->failures > 1); /* it could not be made smaller again */
		must_be(again(), 0);
	}
	must_be((long)fipc_shm_size(object), size);
	must_be(fipc_shm_resize(object, SHM_SIZE), 0);
	use_and_close();
}

static void check_grown(int r)
{
	check_resized(SHM_LARGER, act_grow, r);
}

static void check_shrunk(int r)
{
	check_resized(SHM_SMALLER, act_shrink, r);
}

static void prepare_pattern(void)
{
	prepare_opened();
	memset(fipc_shm_data(object), PATTERN, SHM_SIZE);
}

static int act_empty(void)
{
	fipc_shm *h;
	int r = fipc_shm_open(&h, "a", SHM_SMALLER, FIPC_TRUNC, 0600);

	if (r >= 0)
		second = h;
	return r;
}

/* A failure has changed nothing. */
static void check_emptied(int r)
{
	const char *bytes = fipc_shm_data(object);

	if (r < 0) {
		must_be(fipc_shm_size(object), SHM_SIZE);
		for (size_t i = 0; i < SHM_SIZE; i++)
			must_be(bytes[i], PATTERN);
		must_be(act_empty(), 0);
	}
	must_be(fipc_shm_size(object), SHM_SMALLER);
	must_be(fipc_shm_resize(object, SHM_SIZE), 0);
	must_be(fipc_shm_close(second), 0);
	use_and_close();
}

static int fill(void *data, size_t size, void *unused)
{
	(void)data;
	(void)size;
	(void)unused;
	return 0;
}

static int act_create_filled(void)
{
	fipc_shm *h;
	int r = fipc_shm_create(&h, "a", SHM_SIZE, FIPC_CREATE, 0600, fill, NULL);

	if (r >= 0)
		object = h;
	return r;
}

static const struct scenario grow = {
	"grow", .flags = FIPC_CREATE, .prepare = prepare_opened, .act = act_grow, .check = check_grown,
};
static const struct scenario shrink = {
	"shrink", .flags = FIPC_CREATE, .prepare = prepare_opened, .act = act_shrink, .check = check_shrunk,
};
static const struct scenario empty = {
	"empty", .flags = FIPC_CREATE, .prepare = prepare_pattern, .act = act_empty, .check = check_emptied,
};
static const struct scenario create_filled = {
	"create, filled", .flags = FIPC_CREATE, .act = act_create_filled, .check = check_open,
};

/* ---- first use, in place; and waits ---- */

static union {
	fipc_mutex mutex;
	fipc_sem sem;
	fipc_event event;
	fipc_cond cond;
	uint64_t rwlock[64];
} place;

static fipc_rwlock *rwlock_in_place(void)
{
	return (fipc_rwlock *)(void *)place.rwlock;
}

/* An error ends a chain of calls, each of which gives 0 or more if it succeeds. */
static int lock_and_unlock(int r)
{
	if (r >= 0)
		r = fipc_mutex_lock(&place.mutex);
	return r < 0 ? r : fipc_mutex_unlock(&place.mutex);
}

static int act_lock(void)
{
	static fipc_mutex m = FIPC_MUTEX_INITIALIZER;
	int r = fipc_mutex_lock(&m);

	return r < 0 ? r : fipc_mutex_unlock(&m);
}

static int act_init(void)
{
	return lock_and_unlock(fipc_mutex_init(&place.mutex, 0));
}

static int act_attach(void)
{
	return lock_and_unlock(fipc_mutex_attach(&place.mutex, 0));
}

static int act_attach_sem(void)
{
	int r = fipc_sem_attach(&place.sem, 1, 0);

	return r < 0 ? r : fipc_sem_wait_until(&place.sem, FIPC_NOW);
}

static int act_rwlock(void)
{
	int r = fipc_rwlock_attach(rwlock_in_place(), sizeof(place.rwlock), 0);

	if (r >= 0)
		r = fipc_rwlock_rdlock(rwlock_in_place());
	return r < 0 ? r : fipc_rwlock_unlock(rwlock_in_place());
}

static int act_attach_cond(void)
{
	int r = fipc_cond_attach(&place.cond, 0);

	return r < 0 ? r : fipc_cond_broadcast(&place.cond);
}

static int act_wait(void)
{
	int r = fipc_event_attach(&place.event, 0);

	return r < 0 ? r : fipc_event_wait_until(&place.event, fipc_after_ms(1));
}

static void check_in_place(int r)
{
	if (r < 0)
		must_be(scenario->act(), report->expected);
}

static const struct scenario in_place[] = {
	{"lock, first use", .virgin = 1, .act = act_lock, .check = check_in_place},
	{"lock, the thread's first use", .act = act_lock, .check = check_in_place},
	{"init", .virgin = 1, .act = act_init, .check = check_in_place},
	{"attach", .virgin = 1, .act = act_attach, .check = check_in_place},
	{"attach a semaphore", .act = act_attach_sem, .check = check_in_place},
	{"attach a rwlock", .act = act_rwlock, .check = check_in_place},
	{"attach a condition", .act = act_attach_cond, .check = check_in_place},
	{"wait", .act = act_wait, .check = check_in_place},
};

static int act_take(void)
{
	return fipc_sem_wait(object);
}

/* Nothing is lost that was not had. */
static void check_taken(int r)
{
	if (r < 0) {
		must_be(fipc_sem_value(object), 1);
		must_be(act_take(), 0);
	}
	must_be(fipc_sem_value(object), 0);
	must_be(fipc_sem_post(object, 1), 0);
	use_and_close();
}

static void prepare_unused(void)
{
	must_not_fail(type->open(&object, scenario->flags));
}

static const struct scenario take = {
	"take", .flags = FIPC_CREATE, .prepare = prepare_unused, .act = act_take, .check = check_taken,
};

/* ---- queues ---- */

static int act_send(void)
{
	return fipc_mq_send(object, "x", 1, 0, fipc_after_ms(1));
}

static void check_sent(int r)
{
	char message[MESSAGE_SIZE];

	must_be(fipc_mq_count(object), r < 0 ? 0 : 1);
	if (r < 0)
		must_be(act_send(), 0);
	must_be(fipc_mq_receive(object, message, sizeof(message), NULL, FIPC_NOW), 1);
	use_and_close();
}

static int act_receive(void)
{
	char message[MESSAGE_SIZE];

	return (int)fipc_mq_receive(object, message, sizeof(message), NULL, fipc_after_ms(1));
}

static void check_received(int r)
{
	must(r < 0);
	use_and_close();
}

/* A descriptor, whatever its number. */
static int act_descriptor(void)
{
	int r = fipc_mq_fd(object);

	return r < 0 ? r : 0;
}

static void check_descriptor(int r)
{
	if (r < 0)
		must_be(act_descriptor(), 0);
	use_and_close();
}

static void hear(union sigval value)
{
	(void)value;
}

static int act_notify(void)
{
	struct sigevent how = {.sigev_notify = SIGEV_THREAD, .sigev_notify_function = hear};

	return fipc_mq_notify(object, &how);
}

static void check_notified(int r)
{
	if (r < 0)
		must_be(act_notify(), 0);
	must_be(fipc_mq_notify(object, NULL), 0);
	use_and_close();
}

static const struct scenario queue[] = {
	{"send", .flags = FIPC_CREATE, .prepare = prepare_unused, .act = act_send, .check = check_sent},
	{"receive", .flags = FIPC_CREATE, .prepare = prepare_unused, .act = act_receive, .check = check_received},
	{"describe", .flags = FIPC_CREATE, .prepare = prepare_unused, .act = act_descriptor, .check = check_descriptor},
	{"notify", .flags = FIPC_CREATE, .prepare = prepare_unused, .act = act_notify, .check = check_notified},
};

/* ---- other processes ---- */

static void be_other(void *argument)
{
	struct peer *p = argument;
	void *mine;

	must_not_fail(type->open(&mine, p->flags));
	if (!p->wanted)
		return;
	gate_open(&p->ready);
	gate_pass(&p->leave);
	type->use(mine);
	must_be(type->close(mine), 0);
}

static void other_begins(struct peer *p)
{
	*p = (struct peer){.flags = FIPC_CREATE, .wanted = 1};
	gate_make(&p->ready);
	gate_make(&p->leave);
	p->pid = start(be_other, p);
	gate_pass(&p->ready);
}

static void leave_behind(unsigned flags)
{
	struct peer p = {.flags = flags};

	must_be(in_child(be_other, &p), 0);
}

static void unlink_persistent(void *unused)
{
	(void)unused;
	must_be(type->unlink("a"), 0);
}

/* ---- a run ---- */

struct run {
	unsigned nth;
	enum fault_kind kind;
	enum fault_reach reach;
};

enum { NOTHING_FAILED = 2 }; /* exit status of a subject */

/* An error that has another name in the contract. */
static int is_known(int r)
{
	return fault_gave(-r) || (r == -ENOSYS && (fault_gave(EINVAL) || fault_gave(ENOTSUP))) ||
	       (r == -ENOMEM && (fault_gave(EPERM) || fault_gave(EINVAL) || fault_gave(EAGAIN)));
}

static void compare_left(long pieces, long mapped, const struct run *run)
{
	/* It has used an object that else it would not have got; or a helper thread is on its way out (see below). */
	if (report->joined_left || UNDER_TSAN)
		mapped = report->mapped;
	if (run->nth == 0) {
		report->pieces = pieces;
		report->mapped = mapped;
	}
	must_be(pieces, report->pieces);
	must(mapped <= report->mapped); /* who may not leave an entry has no tracker */
}

static void be_subject(void *argument)
{
	const struct run *run = argument;
	struct fault_balance before = fault_balance(), after;
	int descriptors = open_descriptors(), r;

	if (scenario->prepare)
		scenario->prepare();
	fault_arm(run->nth, run->kind, run->reach);
	r = scenario->act();
	report->failures = (int)fault_disarm();
	report->nth = run->nth;
	report->result = r;
	strcpy(report->first, fault_first());
	if (run->nth == 0)
		report->expected = r;
	if (run->kind == FAULT_PASSING && scenario->others != LEFT && scenario != &reclaiming)
		must_be(r, report->expected);
	if (r < 0 && r != report->expected)
		must(is_known(r));
	scenario->check(r);
	/* A queue's helper may be on its way out. ThreadSanitizer has a thread of its own. */
	await(UNDER_TSAN || count_entries("/proc/self/task") == 1);
	after = fault_balance();
	must_be(open_descriptors(), descriptors);
	compare_left(after.pieces - before.pieces, after.mapped - before.mapped, run);
	if (!report->failures)
		_exit(NOTHING_FAILED);
}

static void clean(void *living)
{
	must_become_clean(root, living ? 1 : 0);
}

/* The other's object is there, and who has gone has left nothing with it. */
static void must_be_as_before(void *argument)
{
	const uint64_t inode = *(uint64_t *)argument;
	char pids[PATH_MAX];
	int64_t end = now_ns() + PATIENCE_MS * INT64_C(1000000);
	int shm_more = type == &shm; /* its header */

	path_of(pids, type->file);
	strcat(pids, ".pids");
	while (collect(root), scenario->others != PERSISTENT && count_entries(pids) != 1 + shm_more) {
		must(now_ns() < end);
		nap_us(1000);
	}
	must(inode_of(root, type->file) == inode);
	must_be(count_entries(root), 3);
}

/* One run. 1: a call failed; 0: none was left to fail. */
static int try_one(struct run *run, struct peer *other)
{
	uint64_t inode = inode_of(root, type->file);
	int status;

	if (scenario->others == LEFT)
		leave_behind(FIPC_CREATE);
	report->joined_left = 0;
	status = in_child(be_subject, run);
	if (status != 0 && status != NOTHING_FAILED) {
		fprintf(stderr, "    %s of %s: fault %u (%d, %d), at first of %s: %d\n", scenario->name, type->file,
			run->nth, run->kind, run->reach, report->first, report->result);
		print_tree(root);
		must_fail(__FILE__, __LINE__, "the subject's status", status);
	}
	if (scenario->renews)
		murder(other->pid);
	if (!inode_of(root, "."))
		return status == 0;
	if (scenario->others == NOBODY || scenario->others == LEFT || scenario->renews)
		must_be(in_child(clean, NULL), 0);
	else
		must_be(in_child(must_be_as_before, &inode), 0);
	if (scenario->renews)
		other_begins(other);
	else if (scenario->others == NOBODY || scenario->others == LEFT)
		remove_tree(root);
	return status == 0;
}

/* Of a scenario, in its process: what came of the runs in which something failed. */
static struct {
	unsigned runs, errors;
} tally;

static void count_run(void)
{
	tally.runs++;
	tally.errors += report->result < 0;
}

static const char *type_name(void)
{
	return scenario->check == check_in_place ? "" : type == &owned ? "owned sem" : strchr(type->file, '.') + 1;
}

/* Each call in turn; of those behind the first few, when many fail, only some. */
static unsigned next(const struct run *run)
{
	if (UNDER_TSAN) /* which has nothing to find where one thread runs */
		return run->nth + 9;
	return run->nth + 1 + (run->reach == FAULT_ONCE ? 0 : run->nth / 12);
}

static void run_all(struct peer *other)
{
	static const struct run kinds[] = {
		{0, FAULT_LIMIT, FAULT_ONCE},       {0, FAULT_LIMIT, FAULT_FUNCTION}, {0, FAULT_LIMIT, FAULT_ALL},
		{0, FAULT_REFUSED, FAULT_ONCE},     {0, FAULT_REFUSED, FAULT_FUNCTION},
		{0, FAULT_PASSING, FAULT_ONCE},
	};
	struct run run = {0};

	must_be(try_one(&run, other), 0);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		run = kinds[i];
		while (run.nth = next(&run), try_one(&run, other))
			count_run();
	}
	printf("%s%s%s: %u faults, %u errors told, %u done all the same\n", scenario->name,
	       scenario->check == check_in_place ? "" : ", ", type_name(), tally.runs, tally.errors,
	       tally.runs - tally.errors);
}

/* In a child of its own. */
static void run_scenario(void *unused)
{
	struct peer other;
	fipc_registry *r;

	(void)unused;
	snprintf(root, sizeof(root), "%s/%d", test_dir(), (int)getpid());
	must_be(setenv("FIPC_DIR", root, 1), 0);
	if (!scenario->virgin) /* so that no subject is the first */
		must_be(fipc_registry_open(&r, root, 0), -ENOENT);
	if (scenario->others == PEER)
		other_begins(&other);
	if (scenario->others == PERSISTENT)
		leave_behind(FIPC_CREATE | FIPC_PERSIST);
	if (scenario->others == PARENT)
		must_be(type->open(&object, FIPC_CREATE), FIPC_CREATED);
	run_all(&other);
	if (scenario->others == PEER) {
		gate_open(&other.leave);
		must_be(finish(other.pid), 0);
	}
	if (scenario->others == PERSISTENT)
		must_be(in_child(unlink_persistent, NULL), 0);
	if (scenario->others == PARENT)
		use_and_close();
	if (inode_of(root, "."))
		must_be(in_child(clean, scenario->others == PARENT ? root : NULL), 0);
	remove_tree(root);
}

static int bad; /* scenarios */

static void run_with(const struct type *t, const struct scenario *s)
{
	type = t;
	scenario = s;
	if (in_child(run_scenario, NULL) != 0)
		bad++;
}

static void none_bad(void)
{
	int n = bad;

	bad = 0;
	assert_int_equal(n, 0);
}

static void test_names(void **state)
{
	static const struct scenario *const all[] = {
		&create, &create_first, &join, &join_first, &look, &exclusive, &replace, &join_left, &make_of_left,
		&join_persistent, &close_last, &close_not_last, &close_persistent, &unlink_used, &unlink_left, &adopt,
		&renew,
	};

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		run_with(&mutex, all[i]);
	none_bad();
}

static void test_types(void **state)
{
	static const struct type *const types[] = {&sem, &owned, &event, &cond, &rwlock, &shm, &mq};
	static const struct scenario *const some[] = {&create, &join, &close_last};

	(void)state;
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
		for (size_t j = 0; j < sizeof(some) / sizeof(*some); j++)
			run_with(types[i], some[j]);
	none_bad();
}

static void test_registry(void **state)
{
	(void)state;
	run_with(&mutex, &collection);
	run_with(&mutex, &collection_by_steps);
	run_with(&mutex, &looking_for_waits);
	run_with(&mutex, &reclaiming);
	run_with(&mutex, &listing);
	none_bad();
}

static void test_shm(void **state)
{
	static const struct scenario *const all[] = {
		&grow, &shrink, &empty, &create_filled, &join_left, &replace, &look, &close_not_last, &unlink_used,
	};

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		run_with(&shm, all[i]);
	none_bad();
}

static void test_mq(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(queue) / sizeof(*queue); i++)
		run_with(&mq, &queue[i]);
	none_bad();
}

static void test_in_place(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(in_place) / sizeof(*in_place); i++)
		run_with(&mutex, &in_place[i]);
	run_with(&sem, &take);
	run_with(&owned, &take);
	none_bad();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_in_place),
		cmocka_unit_test(test_registry),
		cmocka_unit_test(test_shm),
		cmocka_unit_test(test_mq),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_types),
	};

	test_dir();
	report = share(sizeof(*report));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
