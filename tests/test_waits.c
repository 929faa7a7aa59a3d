/* SPDX-License-Identifier: Apache-2.0 */
/* Who sleeps on what, as the registry tells it: docs/design-waits.md. */
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { SLOTS = 1024, HEAD = 4096 }; /* of a tracker: layout.h */

/* ---- looking ---- */

static const char *dir; /* of this test */

struct seen {
	unsigned n;
	struct fipc_wait last;
};

static int see(const struct fipc_wait *w, void *context)
{
	struct seen *seen = context;
	seen->n++;
	seen->last = *w;
	return 0;
}

static struct seen look(void)
{
	struct seen seen = {0};
	fipc_registry *r;
	must_be(fipc_registry_open(&r, dir, 0), 0);
	must_be(fipc_registry_waits(r, NULL, 0, see, &seen), 0);
	fipc_registry_close(r);
	return seen;
}

/* Until one is seen that sleeps for this. */
static struct fipc_wait one(enum fipc_type type, enum fipc_wait_kind kind)
{
	struct seen seen;
	await((seen = look()).n == 1 && seen.last.type == type && seen.last.kind == kind);
	return seen.last;
}

/* ---- those who sleep: children that do one thing, having said that they are about to ---- */

static fipc_mutex *mutex;
static fipc_rwlock *rwlock;
static fipc_sem *sem;
static fipc_event *event;

static void locks(void *unused)
{
	(void)unused;
	must_be(fipc_mutex_lock(mutex), 0);
}

static void locks_until(void *ms)
{
	must_be(fipc_mutex_lock_until(mutex, fipc_after_ms(*(int *)ms)), -ETIMEDOUT);
}

static void reads(void *unused)
{
	(void)unused;
	must_be(fipc_rwlock_rdlock(rwlock), 0);
}

static void writes(void *unused)
{
	(void)unused;
	must_be(fipc_rwlock_wrlock(rwlock), 0);
}

static void takes(void *unused)
{
	(void)unused;
	must_be(fipc_sem_wait(sem), 0);
}

static void hears(void *unused)
{
	(void)unused;
	must_be(fipc_event_wait(event), 0);
}

enum { OTHER_UID = 65534 };

static void hears_as_another(void *unused)
{
	must_be(setgid(OTHER_UID), 0);
	must_be(setuid(OTHER_UID), 0);
	must_be(fipc_event_open(&event, "theirs", FIPC_CREATE, 0600), FIPC_CREATED);
	hears(unused);
}

static void must_open_all(void)
{
	must_be(fipc_mutex_open(&mutex, "m", FIPC_CREATE, 0600), FIPC_CREATED);
	must_be(fipc_rwlock_open(&rwlock, "l", 2, FIPC_CREATE, 0600), FIPC_CREATED);
	must_be(fipc_sem_open(&sem, "s", 0, FIPC_CREATE, 0600), FIPC_CREATED);
	must_be(fipc_event_open(&event, "e", FIPC_CREATE, 0600), FIPC_CREATED);
}

/* ---- what is told of one ---- */

IN_CHILD(a_sleeper_is_told_of_until_it_wakes)
{
	struct fipc_mutex_info info;
	struct fipc_wait w;
	int64_t before = now_ns();
	pid_t pid;
	must_open_all();
	must_be(look().n, 0);
	must_be(fipc_mutex_lock(mutex), 0);
	pid = start(locks, NULL);
	w = one(FIPC_TYPE_MUTEX, FIPC_WAIT_LOCK);
	must_be(fipc_mutex_info(mutex, &info, sizeof(info)), 0);
	must_be(w.pid, pid);
	must_be(w.tid, pid);
	must_be(w.uid, getuid());
	must_be(w.owner_tid, getpid());
	must_be(w.acquisition, info.acquisitions);
	must_be(w.timed, 0);
	must_be(w.inode == inode_of(dir, "m.mutex"), 1);
	must(w.since_ns > before && w.since_ns < now_ns());
	must(*w.comm);
	must_be(fipc_mutex_unlock(mutex), 0);
	must_be(finish(pid), 0);
	must_be(look().n, 0);
}

IN_CHILD(one_with_a_deadline_is_told_apart)
{
	int ms = 200;
	pid_t pid;
	must_open_all();
	must_be(fipc_mutex_lock(mutex), 0);
	pid = start(locks_until, &ms);
	must_be(one(FIPC_TYPE_MUTEX, FIPC_WAIT_LOCK).timed, 1);
	must_be(finish(pid), 0); /* neither more nor less than it would have waited otherwise: see locks_until() */
	must_be(look().n, 0);
}

/* What somebody sleeps for, whom it is killed in the middle of. */
static void must_sleep_for(void (*body)(void *), enum fipc_type type, enum fipc_wait_kind kind, uint32_t owner)
{
	pid_t pid = start(body, NULL);
	struct fipc_wait w = one(type, kind);
	must_be(w.pid, pid);
	must_be(w.owner_tid, owner);
	murder(pid);
	must_be(look().n, 0);
}

static void holds_to_read(void *argument)
{
	must_be(fipc_rwlock_rdlock(rwlock), 0);
	gate_open(argument);
	pause();
}

IN_CHILD(what_each_sleeps_for_is_told)
{
	struct gate gate;
	pid_t reader[2];
	must_open_all();
	gate_make(&gate);
	must_sleep_for(takes, FIPC_TYPE_SEM, FIPC_WAIT_WAKE, 0);
	must_sleep_for(hears, FIPC_TYPE_EVENT, FIPC_WAIT_WAKE, 0);
	must_be(fipc_rwlock_wrlock(rwlock), 0);
	must_sleep_for(reads, FIPC_TYPE_RWLOCK, FIPC_WAIT_READ, (uint32_t)getpid());
	must_sleep_for(writes, FIPC_TYPE_RWLOCK, FIPC_WAIT_WRITE, (uint32_t)getpid());
	must_be(fipc_rwlock_unlock(rwlock), 0);
	for (int i = 0; i < 2; i++) {
		reader[i] = start(holds_to_read, &gate);
		gate_pass(&gate);
	}
	pid_t pid = start(writes, NULL);
	struct fipc_wait w = one(FIPC_TYPE_RWLOCK, FIPC_WAIT_READERS);
	must((pid_t)w.owner_tid == reader[0] || (pid_t)w.owner_tid == reader[1]);
	murder(pid);
	pid = start(reads, NULL);
	one(FIPC_TYPE_RWLOCK, FIPC_WAIT_SLOT);
	murder(pid);
	murder(reader[0]);
	murder(reader[1]);
}

IN_CHILD(only_the_objects_asked_for)
{
	struct seen seen = {0};
	fipc_registry *r;
	pid_t pid;
	must_open_all();
	must_be(fipc_mutex_lock(mutex), 0);
	pid = start(locks, NULL);
	one(FIPC_TYPE_MUTEX, FIPC_WAIT_LOCK);
	must_be(fipc_registry_open(&r, dir, 0), 0);
	uint64_t inode = inode_of(dir, "s.sem");
	must_be(fipc_registry_waits(r, &inode, 1, see, &seen), 0);
	must_be(seen.n, 0);
	inode = inode_of(dir, "m.mutex");
	must_be(fipc_registry_waits(r, &inode, 1, see, &seen), 0);
	must_be(seen.n, 1);
	fipc_registry_close(r);
	murder(pid);
}

IN_CHILD(in_memory_of_ones_own_nobody_is_told)
{
	mutex = share(sizeof(*mutex));
	must_be(fipc_mutex_init(mutex, 0), 0);
	must_be(fipc_mutex_lock(mutex), 0);
	pid_t pid = start(locks, NULL);
	await(asleep_in_futex(pid));
	must_be(count_entries(dir), 0);
	murder(pid);
}

/* ---- threads, forks, trackers ---- */

static void *sleeps_on_event(void *unused)
{
	(void)unused;
	must_be(fipc_event_wait(event), 0);
	return NULL;
}

static pthread_t start_sleeper(void)
{
	pthread_attr_t attr;
	pthread_t thread;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 128 << 10);
	must_be(pthread_create(&thread, &attr, sleeps_on_event, NULL), 0);
	pthread_attr_destroy(&attr);
	return thread;
}

IN_CHILD(a_thread_that_ends_gives_its_slot_back)
{
	must_be(fipc_event_open(&event, "e", FIPC_CREATE | FIPC_AUTORESET, 0600), FIPC_CREATED);
	for (int i = 0; i < SLOTS + 1; i++) {
		pthread_t thread = start_sleeper();
		await(look().n == 1);
		must_be(fipc_event_set(event), 0);
		must_be(pthread_join(thread, NULL), 0);
	}
	must_be(look().n, 0);
}

IN_CHILD(of_a_process_as_many_are_told_as_there_are_slots)
{
	enum { MORE = 3 };
	static pthread_t threads[SLOTS + MORE];
	skip_child_under_tsan("as many threads as there are slots, and more");
	must_be(fipc_event_open(&event, "e", FIPC_CREATE, 0600), FIPC_CREATED);
	for (int i = 0; i < SLOTS + MORE; i++)
		threads[i] = start_sleeper();
	await(look().n == SLOTS);
	must_be(fipc_event_set(event), 0);
	for (int i = 0; i < SLOTS + MORE; i++)
		must_be(pthread_join(threads[i], NULL), 0);
	must_be(look().n, 0);
}

IN_CHILD(a_forked_child_tells_of_itself)
{
	must_open_all();
	must_be(fipc_mutex_lock(mutex), 0);
	must_be(fipc_mutex_lock_until(mutex, fipc_after_ms(1)), -EDEADLK);
	must_be(fipc_sem_wait_until(sem, fipc_after_ms(1)), -ETIMEDOUT); /* so the parent has a slot */
	pid_t pid = start(locks, NULL);
	struct fipc_wait w = one(FIPC_TYPE_MUTEX, FIPC_WAIT_LOCK);
	must_be(w.pid, pid);
	must(w.tracker != 0);
	murder(pid);
}

IN_CHILD(a_tracker_given_up_under_a_sleeper)
{
	char trackers[300];
	fipc_mutex *other;
	must_be(fipc_event_open(&event, "e", FIPC_CREATE | FIPC_AUTORESET, 0600), FIPC_CREATED);
	pthread_t thread = start_sleeper();
	await(look().n == 1);
	snprintf(trackers, sizeof(trackers), "%s/" FIPC_TRACKERS, dir);
	remove_tree(trackers);
	must_be(fipc_mutex_open(&other, "other", FIPC_CREATE, 0600), FIPC_CREATED); /* makes another tracker */
	must_be(look().n, 0);
	must_be(fipc_event_set(event), 0);
	must_be(pthread_join(thread, NULL), 0);
	thread = start_sleeper();
	await(look().n == 1);
	must_be(fipc_event_set(event), 0);
	must_be(pthread_join(thread, NULL), 0);
}

/* A handler that sleeps itself while its thread sleeps. */
static void on_signal(int unused)
{
	(void)unused;
	must_be(fipc_sem_wait(sem), 0);
}

static void locks_and_is_interrupted(void *unused)
{
	const struct sigaction action = {.sa_handler = on_signal};
	(void)unused;
	sigaction(SIGUSR1, &action, NULL);
	locks(NULL);
}

IN_CHILD(a_handler_that_sleeps_is_told_of_in_place_of_whom_it_interrupted)
{
	must_open_all();
	must_be(fipc_mutex_lock(mutex), 0);
	pid_t pid = start(locks_and_is_interrupted, NULL);
	one(FIPC_TYPE_MUTEX, FIPC_WAIT_LOCK);
	kill(pid, SIGUSR1);
	one(FIPC_TYPE_SEM, FIPC_WAIT_WAKE);
	must_be(fipc_sem_post(sem, 1), 0);
	await(look().n == 0);
	must_be(fipc_mutex_unlock(mutex), 0);
	must_be(finish(pid), 0);
}

/* ---- news ---- */

static int watch_trackers(void)
{
	char trackers[300];
	int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	snprintf(trackers, sizeof(trackers), "%s/" FIPC_TRACKERS, dir);
	must_not_fail(fd);
	must_not_fail(inotify_add_watch(fd, trackers, IN_ATTRIB | IN_ONLYDIR));
	return fd;
}

static unsigned touches(int fd, uint64_t tracker)
{
	_Alignas(struct inotify_event) char events[4096];
	ssize_t n = read(fd, events, sizeof(events));
	char name[64];
	unsigned found = 0;
	for (ssize_t at = 0; at < n;) {
		const struct inotify_event *e = (const void *)(events + at);
		snprintf(name, sizeof(name), "-%llu", (unsigned long long)tracker);
		found += e->len && e->name[0] != '.' && (!tracker || strstr(e->name, name));
		at += (ssize_t)(sizeof(*e) + e->len);
	}
	return found;
}

IN_CHILD(a_long_wait_is_news_and_coming_and_going_is_not)
{
	fipc_mutex *other;
	must_open_all();
	int fd = watch_trackers();
	for (int i = 0; i < 3; i++) {
		must_be(fipc_mutex_open(&other, "other", FIPC_CREATE, 0600), FIPC_CREATED);
		must_be(fipc_mutex_close(other), 0);
	}
	must_be(touches(fd, 0), 0);
	must_be(fipc_mutex_lock(mutex), 0);
	pid_t pid = start(locks, NULL);
	struct fipc_wait w = one(FIPC_TYPE_MUTEX, FIPC_WAIT_LOCK);
	unsigned n = 0;
	await((n += touches(fd, w.tracker)) > 0);
	must_be(n, 1);
	must(now_ns() - w.since_ns >= 50000000);
	must_be(one(FIPC_TYPE_MUTEX, FIPC_WAIT_LOCK).number == w.number, 1); /* and it still is the same wait */
	must_be(fipc_mutex_unlock(mutex), 0);
	must_be(finish(pid), 0);
	close(fd);
}

/* ---- who lies, or is damaged ---- */

static int open_tracker(const struct fipc_wait *w, int flags)
{
	char path[300];
	snprintf(path, sizeof(path), "%s/" FIPC_TRACKERS "/%d-%llu", dir, (int)w->pid,
		 (unsigned long long)w->tracker);
	int fd = open(path, flags);
	must_not_fail(fd);
	return fd;
}

IN_CHILD(scribbled_slots_are_passed_over)
{
	static uint32_t page[1024], garbage[1024];
	must_open_all();
	must_be(fipc_mutex_lock(mutex), 0);
	pid_t pid = start(locks, NULL);
	struct fipc_wait w = one(FIPC_TYPE_MUTEX, FIPC_WAIT_LOCK);
	int fd = open_tracker(&w, O_RDWR);
	must_be(pread(fd, page, sizeof(page), HEAD), sizeof(page));
	must_be(page[0], w.tid);
	srandom(1);
	for (int turn = 0; turn < 200; turn++) {
		for (int i = 0; i < 1024; i++)
			garbage[i] = (uint32_t)random() << turn % 8;
		must_be(pwrite(fd, garbage, sizeof(garbage), HEAD), sizeof(garbage));
		must_be(look().n, 0); /* no thread of that process has such a tid */
	}
	page[1 * 16] = (uint32_t)getpid(); /* a thread, but of another process */
	page[1 * 16 + 1] = 1;
	must_be(pwrite(fd, page, sizeof(page), HEAD), sizeof(page));
	must_be(look().n, 1);
	must_be(ftruncate(fd, HEAD + 100), 0);
	must_be(look().n, 0);
	must_be(ftruncate(fd, HEAD + 100 * 4096), 0); /* where its pages were it would be killed by SIGBUS now */
	close(fd);
	murder(pid);
}

/* A tracker can be given any pid for a name. What is said there of a process of another user's is not believed. */
IN_CHILD(nobody_speaks_for_another_user)
{
	char from[300], to[300];
	uint32_t tid = (uint32_t)getpid();
	if (getuid() != 0) {
		skip_aloud("nobody_speaks_for_another_user", "it takes root to be two users");
		_exit(SKIPPED);
	}
	must_be(chmod(dir, 01777), 0);
	must_be(fipc_event_open(&event, "mine", FIPC_CREATE, 0600), FIPC_CREATED);
	pid_t pid = start(hears_as_another, NULL);
	struct fipc_wait w = one(FIPC_TYPE_EVENT, FIPC_WAIT_WAKE);
	must_be(w.uid, OTHER_UID);
	int fd = open_tracker(&w, O_RDWR);
	must_be(pwrite(fd, &tid, sizeof(tid), HEAD), sizeof(tid));
	snprintf(from, sizeof(from), "%s/" FIPC_TRACKERS "/%d-%llu", dir, (int)pid, (unsigned long long)w.tracker);
	snprintf(to, sizeof(to), "%s/" FIPC_TRACKERS "/%d-%llu", dir, (int)getpid(), (unsigned long long)w.tracker);
	must_be(rename(from, to), 0);
	must_be(look().n, 0);
	must_be(fchown(fd, 0, 0), 0);
	must_be(look().n, 1); /* it was for nothing else */
	close(fd);
	murder(pid);
}

IN_CHILD(a_kind_has_a_name)
{
	must(!strcmp(fipc_wait_kind_name(FIPC_WAIT_READERS), "readers"));
	must(!fipc_wait_kind_name((enum fipc_wait_kind)(FIPC_WAIT_SLOT + 1)));
	must(!fipc_wait_kind_name((enum fipc_wait_kind)-1));
}

static int set_up(void **state)
{
	(void)state;
	dir = fresh_dir();
	return 0;
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_sleeper_is_told_of_until_it_wakes),
		TEST(one_with_a_deadline_is_told_apart),
		TEST(what_each_sleeps_for_is_told),
		TEST(only_the_objects_asked_for),
		TEST(in_memory_of_ones_own_nobody_is_told),
		TEST(a_thread_that_ends_gives_its_slot_back),
		TEST(of_a_process_as_many_are_told_as_there_are_slots),
		TEST(a_forked_child_tells_of_itself),
		TEST(a_tracker_given_up_under_a_sleeper),
		TEST(a_handler_that_sleeps_is_told_of_in_place_of_whom_it_interrupted),
		TEST(a_long_wait_is_news_and_coming_and_going_is_not),
		TEST(scribbled_slots_are_passed_over),
		TEST(nobody_speaks_for_another_user),
		TEST(a_kind_has_a_name),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
