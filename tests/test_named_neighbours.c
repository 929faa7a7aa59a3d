/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names, and who or what else is there: a neighbour who locks or squats what he can reach, a thread that is cancelled,
 * a process short of descriptors, or one that has changed its user or its root, or has lost its tracker.
 */
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

enum { BOB = 1002 };

static int try_open(const char *name, unsigned flags, mode_t mode)
{
	fipc_mutex *m;
	int r = fipc_mutex_open(&m, name, flags, mode);

	if (r >= 0)
		must_be(fipc_mutex_close(m), 0);
	return r;
}

static void lock_once(void *m)
{
	must_be(fipc_mutex_lock(m), 0);
	must_be(fipc_mutex_unlock(m), 0);
}

/* What a walk says of one object. Its numbers are meant: what it points to is gone. */
struct look {
	const char *name;
	struct fipc_object object;
	int met;
};

static int note(const struct fipc_object *object, void *context)
{
	struct look *l = context;

	if (strcmp(object->name, l->name) != 0)
		return 0;
	l->object = *object;
	l->met++;
	return 0;
}

static struct fipc_object look_at(const char *dir, const char *name)
{
	struct look l = {.name = name};
	fipc_registry *r;

	must_be(fipc_registry_open(&r, dir, 0), 0);
	must_be(fipc_registry_walk(r, 0, NULL, note, &l), 0);
	fipc_registry_close(r);
	must_be(l.met, 1);
	return l.object;
}

static int note_tracker(const struct fipc_process *process, void *context)
{
	snprintf(context, NAME_MAX, "%d-%llu", process->pid, (unsigned long long)process->tracker);
	return 0;
}

/* The news that the only tracked process has died, as the daemon has it: told its tracker, and nothing else. */
static void tell_of_the_death(const char *dir)
{
	char tracker[NAME_MAX] = "";
	fipc_registry *r;

	must_be(fipc_registry_open(&r, dir, 0), 0);
	must_be(fipc_registry_processes(r, 0, note_tracker, tracker), 0);
	must_be(fipc_registry_reclaim(r, tracker, NULL, NULL), 1);
	fipc_registry_close(r);
}

/* Hold an object's lock, as anybody can who may read it. */
static int hold(const char *dir, const char *name)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/%s.mutex", dir, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	must(fd >= 0);
	must_be(flock(fd, LOCK_EX), 0);
	return fd;
}

/* A hostile writer's lock on the byte by which whoever has it open is attached: nobody can join meanwhile. */
static int keep_out(const char *dir, const char *name)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = INT64_MAX - 1, .l_len = 1};
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/%s.mutex", dir, name);
	fd = open(path, O_RDWR | O_CLOEXEC);
	must(fd >= 0);
	must_be(fcntl(fd, F_OFD_SETLK, &lock), 0);
	return fd;
}

/* ---- in the same process ---- */

static void *open_while_cancelled(void *argument)
{
	fipc_mutex *m;
	int state;

	must_be(pthread_cancel(pthread_self()), 0); /* at the first cancellation point from here */
	must_be(fipc_mutex_open(&m, "a", FIPC_CREATE, 0600), FIPC_CREATED);
	must_be(fipc_mutex_close(m), 0);
	must_be(fipc_mutex_unlink("a"), -ENOENT);
	must_be(try_open("held", 0, 0), 0); /* not even where it waits */
	must_be(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state), 0);
	must_be(state, PTHREAD_CANCEL_ENABLE); /* as it was */
	*(bool *)argument = true;
	return NULL; /* enough seen: ASan does not bear the end of a thread that is cancelled */
}

static void open_another(void *argument)
{
	(void)argument;
	must_be(try_open("b", FIPC_CREATE, 0600), 0);
}

IN_CHILD(test_cancelled)
{
	bool came_through = false;
	pthread_t thread;
	const char *dir = fresh_dir();
	fipc_mutex *m;
	int fd, fds;

	must_be(try_open("held", FIPC_CREATE | FIPC_PERSIST, 0600), FIPC_CREATED);
	fds = open_descriptors();
	fd = keep_out(dir, "held");
	must_be(pthread_create(&thread, NULL, open_while_cancelled, &came_through), 0);
	nap_us(20000); /* it waits by now; or it will not have to, and there is less to see */
	close(fd);
	must_be(pthread_join(thread, NULL), 0);
	must(came_through);
	must_be(open_descriptors(), fds);
	m = must_open("b", FIPC_CREATE, FIPC_CREATED);
	must_be(in_child(open_another, NULL), 0);
	must_be(fipc_mutex_close(m), 0);
}

IN_CHILD(test_no_descriptor_to_close_with)
{
	const char *dir = fresh_dir();
	fipc_mutex *m = must_open("a", FIPC_CREATE, FIPC_CREATED);
	struct rlimit limit, none;

	must_be(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = limit;
	none.rlim_cur = 0;
	must_be(setrlimit(RLIMIT_NOFILE, &none), 0);
	must_be(fipc_mutex_close(m), -EMFILE);
	must_be(fipc_mutex_close(m), -EMFILE);
	must_be(setrlimit(RLIMIT_NOFILE, &limit), 0);
	must(fipc_name(m) != NULL);
	must_be(look_at(dir, "a").n_alive, 1);
	lock_once(m);
	must_be(fipc_mutex_close(m), 0);
	must_become_clean(dir, 1);
}

struct loser {
	const char *dir;
	struct gate ready, leave;
};

static void lose_tracker(void *argument)
{
	struct loser *l = argument;
	char trackers[PATH_MAX];

	must_open("a", FIPC_CREATE, FIPC_CREATED);
	snprintf(trackers, sizeof(trackers), "%s/%s", l->dir, FIPC_TRACKERS);
	remove_tree(trackers);
	must_open("b", FIPC_CREATE, FIPC_CREATED);
	gate_open(&l->ready);
	gate_pass(&l->leave); /* never opened: it is killed here */
}

/* What was opened under the lost tracker moves to the next one. */
IN_CHILD(test_tracker_is_lost)
{
	struct loser l = {.dir = fresh_dir()};
	pid_t pid;

	gate_make(&l.ready);
	gate_make(&l.leave);
	pid = start(lose_tracker, &l);
	gate_pass(&l.ready);
	must_be(collect(l.dir), 0);
	for (const char *name = "a"; *name; name = *name == 'a' ? "b" : "") {
		struct fipc_object o = look_at(l.dir, name);

		must_be(o.n_attachments, 1);
		must_be(o.n_alive, 1);
	}
	murder(pid);
	tell_of_the_death(l.dir);
	must(is_clean(l.dir, 0));
}

/* ---- another user, another root ---- */

static void open_and_drop_privileges(void *dir)
{
	fipc_mutex *a, *b;

	must_be(fipc_mutex_open(&a, "a", FIPC_CREATE, 0666), FIPC_CREATED);
	become_user(BOB);
	b = must_open("b", FIPC_CREATE, FIPC_CREATED);
	must_be(look_at(dir, "a").n_alive, 1);
	must_be(look_at(dir, "b").n_alive, 1);
	lock_once(a);
	must_be(fipc_mutex_close(b), 0);
	must_be(try_open("b", 0, 0), -ENOENT);
	must_be(fipc_mutex_close(a), 0);
}

IN_CHILD(test_privileges_dropped)
{
	const char *dir = fresh_dir();

	needs_root("privileges dropped while a name is open");
	must_be(in_child(open_and_drop_privileges, (void *)(uintptr_t)dir), 0);
	must_become_clean(dir, 0);
}

/* Separation of privileges: open, chroot, fork the workers. */
IN_CHILD(test_worker_in_a_chroot)
{
	fipc_mutex *m;
	char empty[PATH_MAX];

	needs_root("chroot");
	snprintf(empty, sizeof(empty), "%s/empty", fresh_dir());
	must_be(mkdir(empty, 0755), 0);
	m = must_open("a", FIPC_CREATE, FIPC_CREATED);
	must_be(chroot(empty), 0);
	must_be(chdir("/"), 0);
	lock_once(m);
	must_be(in_child(lock_once, m), 0);
}

/*
 * An unnamed file is given its name through /proc. Where that leads nowhere, Linux 6.10 and later can do without; here
 * they are earlier.
 */
static bool early_linux;

__attribute__((visibility("default"))) /* the library calls it */
int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
	if (early_linux && flags & AT_EMPTY_PATH) {
		errno = ENOENT;
		return -1;
	}
	return (int)syscall(SYS_linkat, from_dir, from, to_dir, to, flags);
}

IN_CHILD(test_without_proc)
{
	const char *dir = fresh_dir();

	needs_root("a create without /proc");
	if (unshare(CLONE_NEWNS) || mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) ||
	    mount("fipc-test", "/proc", "tmpfs", 0, NULL)) {
		skip_aloud("a create without /proc", "cannot cover it");
		_exit(SKIPPED);
	}
	become_user(BOB);
	for (int i = 0; i < 2; i++) {
		fipc_mutex *m = must_open("a", FIPC_CREATE, FIPC_CREATED);

		must_be(look_at(dir, "a").n_alive, 1);
		must_be(count_entries(dir), 3); /* the object, its entries, the trackers: no temporary name */
		must_be(fipc_mutex_close(m), 0);
		early_linux = true;
	}
}

static char squatted[PATH_MAX];

static void squat(void *argument)
{
	char entry[PATH_MAX + 16];

	become_user(BOB);
	must_be(mkdir(squatted, 0777), 0);
	must_be(chmod(squatted, 0777), 0);
	if (!*(bool *)argument)
		return;
	snprintf(entry, sizeof(entry), "%s/1.2.3", squatted);
	must_be(mkdir(entry, 0777), 0);
}

/* Whose directory it is, he could take the entries away. */
IN_CHILD(test_squatted_entries)
{
	const char *dir = fresh_dir();
	bool full = false;
	struct stat st;
	fipc_mutex *m;

	needs_root("entries of another user");
	snprintf(squatted, sizeof(squatted), "%s/a.mutex.pids", dir);
	must_be(in_child(squat, &full), 0);
	m = must_open("a", FIPC_CREATE, FIPC_CREATED);
	must_be(stat(squatted, &st), 0);
	must_be(st.st_uid, 0);
	must_be(st.st_mode & 022, 0);
	must_be(look_at(dir, "a").n_alive, 1);
	must_be(fipc_mutex_close(m), 0);
	must(inode_of(dir, "a.mutex.pids") == 0);
	full = true;
	must_be(in_child(squat, &full), 0);
	must_be(try_open("a", FIPC_CREATE, 0600), -EPERM);
	must(inode_of(dir, "a.mutex") == 0);
}

static void bob_joins(void *dir)
{
	fipc_mutex *m;

	become_user(BOB);
	m = must_open("a", 0, 0);
	must_be(look_at(dir, "a").n_alive, 2);
	must_be(fipc_mutex_close(m), 0);
}

IN_CHILD(test_replaced_by_a_wider_one)
{
	const char *dir = fresh_dir();
	fipc_mutex *old, *new;

	needs_root("a user of an object that replaced a private one");
	old = must_open("a", FIPC_CREATE, FIPC_CREATED);
	must_be(fipc_mutex_open(&new, "a", FIPC_CREATE | FIPC_REPLACE, 0666), FIPC_CREATED);
	must_be(in_child(bob_joins, (void *)(uintptr_t)dir), 0);
	must_be(look_at(dir, "a").n_alive, 1);
	must_be(fipc_mutex_close(new), 0);
	must_be(fipc_mutex_close(old), 0);
	must_become_clean(dir, 1);
}

struct last {
	struct gate in, close, closed, leave;
};

static void bob_leaves_last(void *argument)
{
	struct last *l = argument;
	fipc_mutex *m;

	become_user(BOB);
	m = must_open("a", 0, 0);
	gate_open(&l->in);
	gate_pass(&l->close);
	must_be(fipc_mutex_close(m), 0);
	gate_open(&l->closed);
	gate_pass(&l->leave); /* never opened: it is killed here */
}

static void make_and_close(void *argument)
{
	struct last *l = argument;
	fipc_mutex *m;

	must_be(fipc_mutex_open(&m, "a", FIPC_CREATE, 0666), FIPC_CREATED);
	gate_open(&l->in);
	gate_pass(&l->close);
	must_be(fipc_mutex_close(m), 0);
}

/* Who may not take it away leaves it behind: the news of his death leads to it. */
IN_CHILD(test_left_behind)
{
	const char *dir = fresh_dir();
	struct last root, bob;
	pid_t maker, other;

	needs_root("an object left behind by another user");
	for (struct gate *g = &root.in; g <= &root.leave; g++)
		gate_make(g);
	for (struct gate *g = &bob.in; g <= &bob.leave; g++)
		gate_make(g);
	maker = start(make_and_close, &root);
	gate_pass(&root.in);
	other = start(bob_leaves_last, &bob);
	gate_pass(&bob.in);
	gate_open(&root.close);
	must_be(finish(maker), 0);
	collect(dir); /* the maker's tracker */
	gate_open(&bob.close);
	gate_pass(&bob.closed);
	must(inode_of(dir, "a.mutex") != 0);
	murder(other);
	tell_of_the_death(dir);
	must(is_clean(dir, 0));
}

/* ---- who holds an object's locks ---- */

static void *open_what_is_held(void *argument)
{
	must_be(try_open("held", 0, 0), 0);
	atomic_store((_Atomic bool *)argument, true);
	return NULL;
}

static void *lock_in_a_thread(void *m)
{
	lock_once(m);
	return NULL;
}

/* Whoever opens that object waits. Nothing else of his process does: no other name, no new thread, no fork. */
IN_CHILD(test_held_up_alone)
{
	static fipc_mutex own = FIPC_MUTEX_INITIALIZER;
	const char *dir = fresh_dir();
	_Atomic bool opened = false;
	pthread_t opener, thread;
	int fd;

	must_be(try_open("held", FIPC_CREATE | FIPC_PERSIST, 0644), FIPC_CREATED);
	fd = keep_out(dir, "held");
	must_be(pthread_create(&opener, NULL, open_what_is_held, &opened), 0);
	for (int i = 0; i < 10; i++) { /* more than once: the other thread may begin late */
		must_be(try_open("own", FIPC_CREATE, 0600), FIPC_CREATED);
		must_be(pthread_create(&thread, NULL, lock_in_a_thread, &own), 0);
		must_be(pthread_join(thread, NULL), 0);
		must_be(in_child(lock_once, &own), 0);
		nap_us(1000);
	}
	must(!atomic_load(&opened));
	close(fd);
	must_be(pthread_join(opener, NULL), 0);
	must(atomic_load(&opened));
}

struct held_up {
	struct gate go, done;
};

static void open_when_told(void *argument)
{
	struct held_up *h = argument;

	gate_pass(&h->go);
	must_be(try_open("a", 0, 0), 0);
	gate_open(&h->done);
}

/* A child's first call takes over what its parent has open. Neither it nor any other process waits for who looks. */
IN_CHILD(test_child_is_not_held_up)
{
	static const char *const names[] = {"a", "b", "c"};
	static fipc_mutex own = FIPC_MUTEX_INITIALIZER;
	const char *dir = fresh_dir();
	struct held_up h;
	int fds[3];
	pid_t other;

	gate_make(&h.go);
	gate_make(&h.done);
	other = start(open_when_told, &h);
	for (int i = 0; i < 3; i++) {
		must_open(names[i], FIPC_CREATE, FIPC_CREATED);
		fds[i] = hold(dir, names[i]);
	}
	gate_open(&h.go);
	must_be(in_child(lock_once, &own), 0);
	must_be(finish(other), 0);
	for (int i = 0; i < 3; i++)
		close(fds[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cancelled),
		cmocka_unit_test(test_no_descriptor_to_close_with),
		cmocka_unit_test(test_tracker_is_lost),
		cmocka_unit_test(test_privileges_dropped),
		cmocka_unit_test(test_worker_in_a_chroot),
		cmocka_unit_test(test_without_proc),
		cmocka_unit_test(test_squatted_entries),
		cmocka_unit_test(test_replaced_by_a_wider_one),
		cmocka_unit_test(test_left_behind),
		cmocka_unit_test(test_held_up_alone),
		cmocka_unit_test(test_child_is_not_held_up),
	};

	test_dir();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
