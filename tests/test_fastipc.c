/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the Python package fastipc leaves, written by hand as the package writes it: shown, and taken away by the rules of
 * docs/design-fastipc.md. In a /dev/shm of its own, for whoever else collects on this machine answers for the real one's.
 */
#include "fipcctl_support.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { SIZE = 64, STRANGER = 60001 };
#define MUTX UINT32_C(0x4d555458)
#define SEMA UINT32_C(0x53454d41)

struct bytes {
	uint32_t magic, flags;
	_Atomic uint32_t word, pid;
	_Atomic int64_t acquired_ns;
	char reserved[40];
};

/* ---- the package ---- */

static const char mutex_name[] = FIPC_PYTHON_PREFIX "mutex_jobs", sema_name[] = FIPC_PYTHON_PREFIX "sema_jobs",
		  event_name[] = FIPC_PYTHON_PREFIX "event_jobs", queue_name[] = FIPC_PYTHON_PREFIX "queue_jobs";

static int64_t real_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static const char *segment_path(const char *name)
{
	static char path[PATH_MAX];

	snprintf(path, sizeof(path), FIPC_PYTHON_DIR "/%s", name);
	return path;
}

static const char *pids_path(const char *name)
{
	static char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s.pids", names(), name);
	return path;
}

static void remove_segments(void)
{
	unlink(segment_path(mutex_name));
	unlink(segment_path(sema_name));
	unlink(segment_path(event_name));
	unlink(segment_path(queue_name));
}

/* No segment is there; the directory of entries of the mutex is. */
static void begin(void)
{
	remove_segments();
	must_be(mkdir(pids_path(mutex_name), 0755), 0);
}

static int open_segment(const char *name, off_t size)
{
	int fd = open(segment_path(name), O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	must(fd >= 0);
	must_be(ftruncate(fd, size), 0);
	return fd;
}

static struct bytes *map_segment(const char *name)
{
	int fd = open_segment(name, SIZE);
	struct bytes *b = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	must(b != MAP_FAILED);
	close(fd);
	return b;
}

static void leave_segment(const char *name, const void *bytes, size_t size)
{
	int fd = open_segment(name, 0);

	must_be(write(fd, bytes, size), (long)size);
	close(fd);
}

static void leave_entry(const char *name, pid_t pid)
{
	char path[PATH_MAX + 16];

	mkdir(pids_path(name), 0755);
	snprintf(path, sizeof(path), "%s/%d", pids_path(name), (int)pid);
	close(open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
}

static void note_owner(struct bytes *b)
{
	atomic_store(&b->pid, (uint32_t)getpid());
	atomic_store(&b->acquired_ns, real_ns());
}

static void py_acquire(struct bytes *b)
{
	uint32_t expected = 0;

	if (!atomic_compare_exchange_strong(&b->word, &expected, 1))
		while (atomic_exchange(&b->word, 2) != 0)
			syscall(SYS_futex, &b->word, FUTEX_WAIT, 2, NULL, NULL, 0);
	note_owner(b);
}

static void py_release(struct bytes *b)
{
	uint32_t was = atomic_exchange(&b->word, 0);

	atomic_store(&b->pid, 0);
	if (was == 2)
		syscall(SYS_futex, &b->word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

/* ---- processes ---- */

struct user {
	struct gate ready;
	bool locks, leaves_entry;
	pid_t pid;
};

static void be_user(void *argument)
{
	struct user *u = argument;
	struct bytes *b = map_segment(mutex_name);

	if (u->leaves_entry)
		leave_entry(mutex_name, getpid());
	b->magic = MUTX;
	if (u->locks)
		py_acquire(b);
	gate_open(&u->ready);
	for (;;)
		pause();
}

static void user_begins(struct user *u)
{
	gate_make(&u->ready);
	u->pid = start(be_user, u);
	gate_pass(&u->ready);
}

static void lock_and_release(void *argument)
{
	struct bytes *b = map_segment(mutex_name);

	(void)argument;
	py_acquire(b);
	py_release(b);
}

/* It sleeps, for somebody holds the mutex. */
static pid_t sleeper_begins(void)
{
	pid_t pid = start(lock_and_release, NULL);

	await(asleep_in_futex(pid));
	return pid;
}

static void do_nothing(void *argument)
{
	(void)argument;
}

/* The PID of a process that is dead and waited for. */
static pid_t dead_pid(void)
{
	pid_t pid = start(do_nothing, NULL);

	must_be(finish(pid), 0);
	return pid;
}

static void sleep_on(void *argument)
{
	(void)argument;
	for (;;)
		pause();
}

/* ---- what the walk says ---- */

struct verdict {
	int n;
	struct fipc_object object;
};

static int hear(const struct fipc_object *object, void *context)
{
	struct verdict *v = context;

	v->n++;
	v->object = *object;
	return 0;
}

static struct verdict look(unsigned flags, const char *name)
{
	const struct fipc_filter filter = {.pattern = name};
	struct verdict v = {.n = 0};
	fipc_registry *r;

	must_be(fipc_registry_open(&r, names(), 0), 0);
	must_be(fipc_registry_walk(r, flags, &filter, hear, &v), 0);
	fipc_registry_close(r);
	must(v.n <= 1);
	return v;
}

/* A dry run says the same as the collection after it, which does it. */
static void verdict_is(const char *name, enum fipc_reason wanted)
{
	struct verdict v = look(0, name);

	must_be(v.n, 1);
	must_be(v.object.reason, wanted);
	must_be(v.object.collected, 0);
	v = look(FIPC_WALK_COLLECT, name);
	must_be(v.object.reason, wanted);
	must_be(v.object.collected, fipc_reason_takes(wanted));
	must_be(look(0, name).n, !fipc_reason_takes(wanted));
}

static bool is_gone(const char *name)
{
	struct stat st;

	return lstat(segment_path(name), &st) < 0 && lstat(pids_path(name), &st) < 0;
}

/* ---- leaked segments ---- */

static const struct timespec old[2] = {{.tv_sec = 0}, {.tv_sec = 0}};

static const struct bytes free_mutex = {.magic = MUTX}, semaphore = {.magic = SEMA, .word = 3, .pid = 77};

IN_CHILD(test_leaked)
{
	const uint32_t set = 1;
	json_t *objects;

	begin();
	leave_segment(mutex_name, &free_mutex, SIZE);
	leave_entry(mutex_name, dead_pid());
	leave_segment(sema_name, &semaphore, SIZE);
	leave_entry(sema_name, dead_pid());
	leave_segment(event_name, &set, sizeof(set));
	leave_entry(event_name, dead_pid());
	leave_entry(event_name, getpid()); /* but we have not got it, says the kernel */
	fipcctl(DONE, "list --no-headings -o TYPE,STATE,DETAIL,OWNER,WAITERS,ATTACHED,DEAD,MODE,RECLAIM");
	must_print("py-event set - - 0 1 1 0600 unused\n"
		   "py-mutex free - - 0 0 1 0600 unused\n"
		   "py-sema available 3 free - 0 0 1 0600 unused\n");
	fipcctl(DONE, "show % --json", sema_name);
	objects = answer("object");
	must_be(strcmp(json_string_value(json_object_get(objects, "name")), sema_name), 0);
	must(!json_object_get(objects, "created_usec") && !json_object_get(objects, "flags"));
	json_decref(objects);
	fipcctl(DONE, "gc --dry-run");
	must_say(told.err, "would remove 3 objects");
	fipcctl(DONE, "gc");
	must_say(told.err, "removed 3 objects and 4 entries");
	must(is_gone(mutex_name) && is_gone(sema_name) && is_gone(event_name));
}

/* Who makes a mutex zeroes it, its magic too; and the magic may be taken for four letters. */
IN_CHILD(test_magics)
{
	struct bytes b = {.magic = 0};

	begin();
	leave_segment(mutex_name, &b, SIZE);
	verdict_is(mutex_name, FIPC_TAKE_UNUSED);
	memcpy(&b.magic, "MUTX", 4);
	must_be(mkdir(pids_path(mutex_name), 0755), 0);
	leave_segment(mutex_name, &b, SIZE);
	verdict_is(mutex_name, FIPC_TAKE_UNUSED);
}

/* Killed between the making of the file and its first byte. */
IN_CHILD(test_unfinished)
{
	int fd;

	begin();
	fd = open_segment(mutex_name, 0);
	verdict_is(mutex_name, FIPC_KEEP_BUSY);
	must_be(futimens(fd, old), 0);
	verdict_is(mutex_name, FIPC_KEEP_BUSY);
	close(fd);
	verdict_is(mutex_name, FIPC_TAKE_UNFINISHED);
	must(is_gone(mutex_name));
	must_be(mkdir(pids_path(mutex_name), 0755), 0);
	close(open_segment(mutex_name, 0)); /* as between its getting a name and its being open */
	verdict_is(mutex_name, FIPC_KEEP_BUSY);
}

IN_CHILD(test_orphans)
{
	pid_t alive;

	begin();
	verdict_is(mutex_name, FIPC_KEEP_BUSY); /* somebody may just be about to make it */
	must_be(utimensat(AT_FDCWD, pids_path(mutex_name), old, 0), 0);
	verdict_is(mutex_name, FIPC_TAKE_ORPHAN);
	leave_entry(mutex_name, dead_pid());
	alive = start(sleep_on, NULL);
	leave_entry(mutex_name, alive);
	verdict_is(mutex_name, FIPC_KEEP_ATTACHED);
	murder(alive);
	verdict_is(mutex_name, FIPC_TAKE_ORPHAN);
	must(is_gone(mutex_name));
}

/* ---- in use ---- */

IN_CHILD(test_in_use)
{
	struct user with = {.leaves_entry = true}, without = {.leaves_entry = false};
	struct verdict v;

	begin();
	user_begins(&with);
	user_begins(&without);
	leave_entry(mutex_name, dead_pid());
	verdict_is(mutex_name, FIPC_KEEP_ATTACHED);
	v = look(0, mutex_name);
	must_be(v.object.n_alive, 1);
	must_be(v.object.n_dead, 0); /* the other entry is taken */
	murder(with.pid);
	verdict_is(mutex_name, FIPC_KEEP_UNTRACKED);
	murder(without.pid);
	verdict_is(mutex_name, FIPC_TAKE_UNUSED);
}

/* ---- a dead owner ---- */

IN_CHILD(test_dead_owner)
{
	struct user owner = {.locks = true};
	pid_t sleeper;

	begin();
	user_begins(&owner);
	sleeper = sleeper_begins();
	verdict_is(mutex_name, FIPC_KEEP_UNTRACKED);
	must_be(look(0, mutex_name).object.mutex.owner_pid, owner.pid);
	must_be(look(0, mutex_name).object.mutex.waiters, 1);
	murder(owner.pid);
	fipcctl(DONE, "gc --dry-run --no-headings -o CODE");
	must_print("owner-died\n");
	must(asleep_in_futex(sleeper));
	fipcctl(DONE, "gc --no-headings -o CODE");
	must_print("owner-died\n");
	must_be(finish(sleeper), 0); /* it had it */
	verdict_is(mutex_name, FIPC_TAKE_UNUSED);
}

/* Not waited for yet by its parent, it holds nothing any more all the same. */
IN_CHILD(test_owner_is_a_zombie)
{
	struct user owner = {.locks = true};
	struct bytes *b;

	begin();
	user_begins(&owner);
	b = map_segment(mutex_name);
	must_be(kill(owner.pid, SIGKILL), 0);
	await(look(FIPC_WALK_COLLECT, mutex_name).object.reason == FIPC_KEEP_OWNER_DIED);
	must_be(atomic_load(&b->word), 0);
	must_be(atomic_load(&b->pid), 0);
	must_be(finish(owner.pid), 128 + SIGKILL);
}

static void owner_stays(enum fipc_reason wanted)
{
	struct bytes before, *b = map_segment(mutex_name);

	memcpy(&before, b, SIZE);
	verdict_is(mutex_name, wanted);
	must_be(memcmp(&before, b, SIZE), 0);
	munmap(b, SIZE);
}

/* His number has been given to another process since. */
IN_CHILD(test_recycled)
{
	struct user user = {.locks = false};
	struct bytes *b;
	int64_t before = real_ns();
	pid_t other;

	begin();
	user_begins(&user);
	nap_us(50000); /* a process's start is told by the 10 ms, and a file's time no better */
	other = start(sleep_on, NULL);
	b = map_segment(mutex_name);
	b->pid = (uint32_t)other;
	b->word = 2;
	b->acquired_ns = real_ns(); /* his own acquisition */
	owner_stays(FIPC_KEEP_UNTRACKED);
	b->acquired_ns = 1000000000; /* when the clock was not set yet, or long ago by another one: a second after the boot */
	verdict_is(mutex_name, FIPC_KEEP_OWNER_DIED);
	must_be(b->word, 0);
	b->pid = (uint32_t)other;
	b->word = 1;
	b->acquired_ns = INT64_C(1000000000) * 1000000000; /* 2001, before any boot: it says nothing */
	owner_stays(FIPC_KEEP_UNTRACKED);
	b->acquired_ns = 0;
	owner_stays(FIPC_KEEP_UNTRACKED);
	b->acquired_ns = before;
	verdict_is(mutex_name, FIPC_KEEP_OWNER_DIED);
	must_be(b->word, 0);
	murder(other);
	murder(user.pid);
}

/* Between his acquisition and his writing it down he has no number. */
IN_CHILD(test_owner_unknown)
{
	struct bytes *b;

	begin();
	b = map_segment(mutex_name);
	b->magic = MUTX;
	b->word = 1;
	owner_stays(FIPC_KEEP_UNTRACKED);
	b->pid = UINT32_MAX;
	owner_stays(FIPC_KEEP_UNTRACKED);
}

/* Whoever had to wake somebody was killed before. */
IN_CHILD(test_missed_wakeups)
{
	struct user owner = {.locks = true};
	struct bytes *b;
	pid_t sleeper;

	begin();
	user_begins(&owner);
	sleeper = sleeper_begins();
	b = map_segment(mutex_name);
	atomic_store(&b->word, 0);
	must_be(look(0, mutex_name).object.mutex.waiters, 1);
	must(asleep_in_futex(sleeper));
	look(FIPC_WALK_COLLECT, mutex_name);
	must_be(finish(sleeper), 0);
	murder(owner.pid);
}

/* ---- another PID namespace ---- */

/* Its first process, 1 there, does it; this one ends with it, and the reverse. */
static void enter_namespace(void (*body)(void *), void *argument)
{
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		body(argument);
		_exit(0);
	}
	must_be(finish(pid), 0);
}

static void write_file(const char *path, const char *format, unsigned id)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	must(fd >= 0);
	must(dprintf(fd, format, id, id) > 0);
	close(fd);
}

/* By the number that u->pid says. */
static void start_owner(void *argument)
{
	struct user *u = argument;
	pid_t pid;

	write_file("/proc/sys/kernel/ns_last_pid", "%u", (unsigned)u->pid - 1); /* of the writer's namespace */
	pid = fork();
	if (pid == 0)
		be_user(u);
	must_be(pid, u->pid);
	must_be(finish(pid), 0);
}

static void be_owner_elsewhere(void *argument)
{
	must_be(unshare(CLONE_NEWPID), 0);
	enter_namespace(start_owner, argument);
}

/* Who holds it calls himself by a number that nobody has here. */
IN_CHILD(test_owner_elsewhere)
{
	struct user *u;
	pid_t outside;

	begin();
	needs_root("an owner in another PID namespace");
	u = share(sizeof(*u));
	*u = (struct user){.locks = true, .pid = dead_pid()};
	gate_make(&u->ready);
	outside = start(be_owner_elsewhere, u);
	gate_pass(&u->ready);
	must_be(look(0, mutex_name).object.mutex.owner_pid, u->pid);
	owner_stays(FIPC_KEEP_UNTRACKED);
	murder(outside); /* and with it, who is inside */
	await(look(FIPC_WALK_COLLECT, mutex_name).object.collected == 1);
}

static void judge_from_inside(void *argument)
{
	(void)argument;
	must_be(mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL), 0);
	must_be(mount("proc", "/proc", "proc", 0, NULL), 0);
	owner_stays(FIPC_KEEP_UNKNOWN);
}

static void judge_from_another(void *argument)
{
	(void)argument;
	must_be(unshare(CLONE_NEWPID | CLONE_NEWNS), 0);
	enter_namespace(judge_from_inside, NULL);
}

/* From inside another namespace nothing is seen of whoever is outside: he may be alive, and is left alone. */
IN_CHILD(test_judged_elsewhere)
{
	struct user owner = {.locks = true};

	begin();
	needs_root("judged from another PID namespace");
	user_begins(&owner);
	leave_entry(mutex_name, owner.pid);
	must_be(in_child(judge_from_another, NULL), 0);
	murder(owner.pid);
	verdict_is(mutex_name, FIPC_TAKE_UNUSED);
}

/* ---- what is none of the package's ---- */

static void stays_damaged(const char *name)
{
	struct verdict v;

	verdict_is(name, FIPC_KEEP_DAMAGED);
	v = look(0, name);
	must_be(v.object.error, -EINVAL);
	unlink(segment_path(name));
}

IN_CHILD(test_garbage)
{
	const struct bytes no_magic = {.magic = 0xdeadbeef}, no_state = {.magic = MUTX, .word = 7};
	char other[PATH_MAX];

	begin();
	leave_segment(mutex_name, &free_mutex, 10);
	stays_damaged(mutex_name);
	leave_segment(mutex_name, &no_magic, SIZE);
	stays_damaged(mutex_name);
	leave_segment(mutex_name, &no_state, SIZE);
	stays_damaged(mutex_name);
	leave_segment(mutex_name, &semaphore, SIZE);
	stays_damaged(mutex_name);
	must_be(symlink("/etc/passwd", segment_path(mutex_name)), 0);
	stays_damaged(mutex_name);
	must_be(mkfifo(segment_path(mutex_name), 0600), 0);
	stays_damaged(mutex_name);
	must_be(mkdir(segment_path(mutex_name), 0700), 0);
	stays_damaged(mutex_name);
	must_be(rmdir(segment_path(mutex_name)), 0);
	/* a second name: what would be taken away might be somebody else's */
	snprintf(other, sizeof(other), "%s/other", names());
	leave_segment(mutex_name, &free_mutex, SIZE);
	must_be(link(segment_path(mutex_name), other), 0);
	stays_damaged(mutex_name);
	must_be(unlink(other), 0);
}

/* A terabyte of holes behind a good beginning is not read, and any other name is not even looked at. */
IN_CHILD(test_large_and_others)
{
	begin();
	leave_segment(mutex_name, &free_mutex, SIZE);
	must_be(truncate(segment_path(mutex_name), INT64_C(1) << 40), 0);
	leave_segment(queue_name, &free_mutex, SIZE);
	leave_entry(queue_name, dead_pid());
	must_be(look(FIPC_WALK_COLLECT, queue_name).n, 0);
	must_be(unlink(segment_path(queue_name)), 0);
	fipcctl(DONE, "list --no-headings -o TYPE,SIZE");
	must_print("py-mutex 1099511627776\n");
	verdict_is(mutex_name, FIPC_TAKE_UNUSED);
}

/* ---- another user's ---- */

static void stranger_collects(void *argument)
{
	(void)argument;
	must_be(setgid(STRANGER) | setuid(STRANGER), 0);
	owner_stays(FIPC_KEEP_NOT_PERMITTED);
}

static void stranger_looks(void *argument)
{
	(void)argument;
	must_be(setgid(STRANGER) | setuid(STRANGER), 0);
	verdict_is(mutex_name, FIPC_KEEP_NOT_PERMITTED);
}

IN_CHILD(test_other_user)
{
	struct user owner = {.locks = true};
	struct user *rest;

	begin();
	needs_root("another user's segment");
	rest = share(sizeof(*rest));
	gate_make(&rest->ready);
	must_be(chmod(names(), 0755), 0);
	must_be(chmod(test_dir(), 0755), 0);
	user_begins(&owner);
	must_be(chmod(segment_path(mutex_name), 0666), 0); /* who may write there may not decide who is dead */
	rest->pid = start(be_user, rest);
	gate_pass(&rest->ready);
	murder(owner.pid);
	must_be(in_child(stranger_collects, NULL), 0);
	verdict_is(mutex_name, FIPC_KEEP_OWNER_DIED);
	murder(rest->pid);
	must_be(in_child(stranger_collects, NULL), 0);
	must_be(chmod(segment_path(mutex_name), 0600), 0);
	must_be(in_child(stranger_looks, NULL), 0);
	verdict_is(mutex_name, FIPC_TAKE_UNUSED);
}

/* ---- against those who come and go ---- */

enum { ROUNDS = 300, TAKEN = 10, RACE_MS = 700 }; /* for so long, and so often at least */

/* As the package does: it waits while a collector has the lease, and tries again if there are too few bytes. */
static int py_open(void)
{
	for (;;) {
		struct stat st;
		int fd;

		mkdir(pids_path(mutex_name), 0755);
		fd = open(segment_path(mutex_name), O_RDWR | O_CLOEXEC);

		if (fd < 0 && errno == ENOENT) {
			fd = open(segment_path(mutex_name), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
			must(fd >= 0 || errno == EEXIST);
			must_be(fd < 0 ? 0 : ftruncate(fd, SIZE), 0);
		}
		if (fd < 0)
			continue;
		must_be(fstat(fd, &st), 0);
		if (st.st_size == SIZE)
			return fd;
		close(fd);
		nap_us(100);
	}
}

static void come_and_go(void *taken)
{
	int64_t until = now_ns() + RACE_MS * INT64_C(1000000);
	struct stat st, named;

	while (now_ns() < until || *(volatile unsigned *)taken < TAKEN) {
		int fd = py_open();

		must_be(fstat(fd, &st), 0);
		must_be(stat(segment_path(mutex_name), &named), 0);
		must_be(st.st_ino == named.st_ino, 1); /* else the next one would get another */
		close(fd);
	}
}

static void collect_for_ever(void *taken)
{
	for (;;)
		*(volatile unsigned *)taken += look(FIPC_WALK_COLLECT, mutex_name).object.collected != 0;
}

IN_CHILD(test_openers_race)
{
	void *taken = share(sizeof(unsigned));
	pid_t collector, users[2];

	begin();
	collector = start(collect_for_ever, taken);
	for (int i = 0; i < 2; i++)
		users[i] = start(come_and_go, taken);
	for (int i = 0; i < 2; i++)
		must_be(finish(users[i]), 0);
	murder(collector);
}

static void shrink_and_grow(void *argument)
{
	int fd = open_segment(mutex_name, SIZE);
	struct bytes held = {.magic = MUTX, .word = 2, .pid = *(uint32_t *)argument};

	for (;;) {
		must_be(ftruncate(fd, 0), 0);
		must_be(pwrite(fd, &held, SIZE, 0), SIZE);
	}
}

/* Truncated whenever it hurts: nobody is killed by SIGBUS who looks or mends. */
IN_CHILD(test_truncated)
{
	uint32_t dead;
	pid_t hostile;

	begin();
	dead = (uint32_t)dead_pid();
	hostile = start(shrink_and_grow, &dead);
	for (int i = 0; i < ROUNDS; i++)
		look(FIPC_WALK_COLLECT, mutex_name);
	murder(hostile);
}

#ifdef WRAPS_MMAP
static bool truncates; /* what is mapped to be written to */

void *__real_mmap(void *at, size_t size, int prot, int flags, int fd, off_t offset);
void *__wrap_mmap(void *at, size_t size, int prot, int flags, int fd, off_t offset);

void *__wrap_mmap(void *at, size_t size, int prot, int flags, int fd, off_t offset)
{
	void *map = __real_mmap(at, size, prot, flags, fd, offset);

	if (truncates && fd >= 0 && prot & PROT_WRITE)
		must_be(ftruncate(fd, 0), 0);
	return map;
}

IN_CHILD(test_truncated_at_the_worst)
{
	const struct bytes held = {.magic = MUTX, .word = 1, .pid = (uint32_t)dead_pid(), .acquired_ns = real_ns()};
	int fd;

	begin();
	leave_segment(mutex_name, &held, SIZE);
	fd = open(segment_path(mutex_name), O_RDWR | O_CLOEXEC);
	truncates = true;
	must_be(look(FIPC_WALK_COLLECT, mutex_name).object.reason, FIPC_KEEP_FAILED);
	truncates = false;
	verdict_is(mutex_name, FIPC_KEEP_BUSY);
	close(fd);
}
#endif

/* ---- fipcd ---- */

IN_CHILD(test_fipcd)
{
	struct user owner = {.locks = true, .leaves_entry = true}, other = {.leaves_entry = true};
	struct service service = {0};
	pid_t sleeper;

	begin();
	service_start(&service);
	user_begins(&owner);
	user_begins(&other);
	sleeper = sleeper_begins();
	same_through(&service, "list");
	same_through(&service, "list --json");
	murder(owner.pid);
	must_be(finish(sleeper), 0);
	await(look(0, mutex_name).object.n_attachments == 1);
	murder(other.pid);
	await(is_gone(mutex_name));
	service_stop(&service);
}

/* What was there before it. */
IN_CHILD(test_fipcd_starts)
{
	struct user owner = {.locks = true}, other = {.leaves_entry = true};
	struct service service = {0};
	pid_t sleeper;

	begin();
	user_begins(&owner);
	user_begins(&other);
	sleeper = sleeper_begins();
	murder(owner.pid);
	leave_segment(sema_name, &semaphore, SIZE);
	leave_entry(sema_name, dead_pid());
	service_start(&service);
	must_be(finish(sleeper), 0);
	await(is_gone(sema_name));
	murder(other.pid);
	await(is_gone(mutex_name));
	service_stop(&service);
}

/* ---- the usual directory answers for all ---- */

IN_CHILD(test_usual_directory)
{
	begin();
	must_be(rmdir(pids_path(mutex_name)), 0);
	must_be(unsetenv("FIPC_DIR"), 0);
	must_be(mkdir("/dev/shm/fastipc", 01777), 0);
	must_be(mkdir("/dev/shm/deeper", 0755), 0);
	must_be(mkdir("/dev/shm/deeper/down", 0755), 0);
	leave_segment(mutex_name, &free_mutex, SIZE);
	leave_segment(event_name, &free_mutex, 4);
	fipcctl(DONE, "list --dir /dev/shm/deeper/down");
	must_print("");
	fipcctl(DONE, "list --no-headings -o TYPE,RECLAIM");
	must_print("py-event unused\npy-mutex unused\n");
	fipcctl(DONE, "list --no-headings -o TYPE %", mutex_name);
	must_print("py-mutex\n");
	fipcctl(DONE, "list --no-headings -o TYPE --type py-event");
	must_print("py-event\n");
	fipcctl(DONE, "gc");
	must_say(told.err, "removed 2 objects");
	must_be(is_clean("/dev/shm/fastipc", 0), 1);
}

/* Who is not root is so in a user namespace, and stays who he is. */
static bool may_mount(void)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();

	if (unshare(CLONE_NEWNS) == 0)
		return true;
	if (uid == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
		return false;
	write_file("/proc/self/setgroups", "deny", 0);
	write_file("/proc/self/uid_map", "%u %u 1", uid);
	write_file("/proc/self/gid_map", "%u %u 1", gid);
	return true;
}

static void need_own_shm(void)
{
	if (may_mount() && mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) == 0 &&
	    mount("fipc-test", FIPC_PYTHON_DIR, "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777,size=8m") == 0)
		return;
	skip_aloud("Python's fastipc", "cannot mount a /dev/shm of its own");
	exit(SKIPPED);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_leaked),
		cmocka_unit_test(test_magics),
		cmocka_unit_test(test_unfinished),
		cmocka_unit_test(test_orphans),
		cmocka_unit_test(test_in_use),
		cmocka_unit_test(test_dead_owner),
		cmocka_unit_test(test_owner_is_a_zombie),
		cmocka_unit_test(test_recycled),
		cmocka_unit_test(test_owner_unknown),
		cmocka_unit_test(test_missed_wakeups),
		cmocka_unit_test(test_owner_elsewhere),
		cmocka_unit_test(test_judged_elsewhere),
		cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_large_and_others),
		cmocka_unit_test(test_other_user),
		cmocka_unit_test(test_openers_race),
		cmocka_unit_test(test_truncated),
#ifdef WRAPS_MMAP
		cmocka_unit_test(test_truncated_at_the_worst),
#endif
		cmocka_unit_test(test_fipcd),
		cmocka_unit_test(test_fipcd_starts),
		cmocka_unit_test(test_usual_directory),
	};

	need_own_shm();
	test_dir();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
