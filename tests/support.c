/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <grp.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef SYS_futex_waitv /* the same number on every machine */
#define SYS_futex_waitv 449
#endif
#define FUTEX_OF_X86_64 202 /* of a program that qemu-user emulates, /proc tells what qemu-user sleeps in */

static char own_dir[sizeof(TEST_DIR_TEMPLATE)];

noreturn void must_fail(const char *file, int line, const char *what, long got)
{
	fprintf(stderr, "%s:%d: not so: %s (got %ld)\n", file, line, what, got);
	fflush(NULL);
	_exit(1);
}

void skip_aloud(const char *what, const char *why)
{
	printf("SKIP: %s: %s\n", what, why);
	fflush(stdout);
}

int lacks_root(const char *what)
{
	if (geteuid() == 0)
		return 0;
	skip_aloud(what, "needs root");
	return 1;
}

void needs_root(const char *what)
{
	if (lacks_root(what))
		_exit(SKIPPED);
}

int lacks_robust(const char *what)
{
	void *head;
	size_t size;

	if (syscall(SYS_get_robust_list, 0, &head, &size) == 0)
		return 0;
	skip_aloud(what, "no robust list here (qemu-user has none)");
	return 1;
}

void needs_robust(const char *what)
{
	if (lacks_robust(what))
		_exit(SKIPPED);
}

void become_member(uid_t uid, gid_t gid, gid_t also)
{
	must_be(setgroups(also != 0, &also), 0);
	must_be(setresgid(gid, gid, gid), 0);
	must_be(setresuid(uid, uid, uid), 0);
	must_be(prctl(PR_SET_PDEATHSIG, SIGKILL), 0); /* forgotten with the change */
}

void become_user(uid_t uid)
{
	become_member(uid, uid, 0);
}

void *share(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	must(memory != MAP_FAILED);
	return memory;
}

void gate_make(struct gate *gate)
{
	must_be(pipe2(gate->pipe, O_CLOEXEC), 0);
}

void gate_free(struct gate *gate)
{
	close(gate->pipe[0]);
	close(gate->pipe[1]);
}

void gate_open(const struct gate *gate)
{
	must_be(write(gate->pipe[1], "", 1), 1);
}

int gate_try(const struct gate *gate, int ms)
{
	struct pollfd ready = {.fd = gate->pipe[0], .events = POLLIN};
	int64_t end = now_ns() + ms * INT64_C(1000000);
	char byte;
	int n;

	do {
		int64_t left = (end - now_ns()) / 1000000;

		n = poll(&ready, 1, left > 0 ? (int)left : 0);
	} while (n < 0 && errno == EINTR);
	if (n == 0)
		return 0;
	while (read(gate->pipe[0], &byte, 1) != 1)
		must(errno == EINTR);
	return 1;
}

void gate_pass(const struct gate *gate)
{
	must(gate_try(gate, PATIENCE_MS));
}

pid_t start(void (*body)(void *), void *argument)
{
	pid_t parent = getpid();
	pid_t pid;

	fflush(NULL);
	pid = fork();
	must(pid >= 0);
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	body(argument);
	fflush(NULL);
	_exit(0);
}

int ended(pid_t pid, int *status, int ms)
{
	int64_t end = now_ns() + ms * INT64_C(1000000);
	pid_t got;

	while ((got = waitpid(pid, status, WNOHANG)) == 0 || (got < 0 && errno == EINTR)) {
		if (now_ns() > end)
			return 0;
		nap_us(100);
	}
	must(got == pid);
	*status = WIFSIGNALED(*status) ? 128 + WTERMSIG(*status) : WEXITSTATUS(*status);
	return 1;
}

int finish(pid_t pid)
{
	int status;

	if (!ended(pid, &status, 2 * PATIENCE_MS)) {
		murder(pid);
		must_fail(__FILE__, __LINE__, "a child did not end in time", pid);
	}
	return status;
}

void murder(pid_t pid)
{
	int status;

	must_be(kill(pid, SIGKILL), 0);
	while (waitpid(pid, &status, __WALL) != pid || !(WIFSIGNALED(status) || WIFEXITED(status)))
		must(errno == EINTR || WIFSTOPPED(status));
}

int in_child(void (*body)(void *), void *argument)
{
	return finish(start(body, argument));
}

int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

void nap_us(long us)
{
	struct timespec nap = {.tv_nsec = us * 1000};

	nanosleep(&nap, NULL);
}

/* The system call that a thread sleeps in; -1: none. */
static long sleeps_in(pid_t tid)
{
	char path[64], text[32], *end;
	ssize_t n;
	long call;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/syscall", (int)tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n > 0 ? n : 0] = 0;
	call = strtol(text, &end, 10); /* of one that runs it says "running" */
	return end == text ? -1 : call;
}

int asleep_in(pid_t tid, long call)
{
	return sleeps_in(tid) == call;
}

int asleep_in_futex(pid_t tid)
{
	long call = sleeps_in(tid);

	return call == SYS_futex || call == SYS_futex_waitv || (SYS_futex != FUTEX_OF_X86_64 && call == FUTEX_OF_X86_64);
}

unsigned sleepers(const fipc_mutex *m)
{
	struct fipc_mutex_info info;

	must_be(fipc_mutex_info(m, &info, sizeof(info)), 0);
	return info.waiters;
}

unsigned state_of(const fipc_mutex *m)
{
	struct fipc_mutex_info info;

	must_be(fipc_mutex_info(m, &info, sizeof(info)), 0);
	return info.state;
}

static void trylock_and_tell(void *argument)
{
	fipc_mutex *m = argument;
	int r = fipc_mutex_trylock(m);

	if (r == FIPC_OWNER_DIED)
		must_be(fipc_mutex_consistent(m), 0);
	if (r >= 0)
		must_be(fipc_mutex_unlock(m), 0);
	_exit(r < 0 ? -r : r == FIPC_OWNER_DIED ? 200 : 0);
}

int fresh_trylock(fipc_mutex *m)
{
	int status = in_child(trylock_and_tell, m);

	return status == 200 ? FIPC_OWNER_DIED : -status;
}

fipc_mutex *must_open(const char *name, unsigned flags, int wanted)
{
	fipc_mutex *m;

	must_be(fipc_mutex_open(&m, name, flags, 0600), wanted);
	return m;
}

static void be_peer(void *argument)
{
	struct peer *p = argument;
	fipc_mutex *m = must_open(p->name, p->flags, p->wanted);

	if (p->holds)
		must_be(fipc_mutex_lock(m), 0);
	gate_open(&p->ready);
	gate_pass(&p->leave);
	if (!p->holds)
		must_be(fipc_mutex_lock(m), 0);
	must_be(fipc_mutex_unlock(m), 0);
	must_be(fipc_mutex_close(m), 0);
}

void peer_begins(struct peer *p)
{
	gate_make(&p->ready);
	gate_make(&p->leave);
	p->pid = start(be_peer, p);
	gate_pass(&p->ready);
}

void peer_leaves(struct peer *p)
{
	gate_open(&p->leave);
	must_be(finish(p->pid), 0);
	gate_free(&p->ready);
	gate_free(&p->leave);
}

void peer_dies(struct peer *p)
{
	murder(p->pid);
	gate_free(&p->ready);
	gate_free(&p->leave);
}

/*
 * However a test ends, killed by its time limit too, its directory goes: a process of its own waits until nobody has
 * the other end of a pipe any more.
 */
static void remove_in_the_end(void)
{
	char byte;
	int ends[2];
	pid_t pid;

	must_be(pipe2(ends, O_CLOEXEC), 0);
	pid = fork();
	must(pid >= 0);
	if (pid) {
		close(ends[0]);
		return;
	}
	setsid(); /* an interrupt from the keyboard is not meant for it */
	for (int fd = 0; fd < 1024; fd++)
		if (fd != ends[0])
			close(fd);
	while (read(ends[0], &byte, 1) < 0 && errno == EINTR)
		;
	remove_tree(own_dir);
	_exit(0);
}

const char *test_dir(void)
{
	if (*own_dir)
		return own_dir;
	strcpy(own_dir, TEST_DIR_TEMPLATE);
	must(mkdtemp(own_dir) != NULL);
	must_be(chmod(own_dir, 01777), 0); /* also for children of other users */
	remove_in_the_end();
	must_be(setenv("FIPC_DIR", own_dir, 1), 0);
	return own_dir;
}

const char *fresh_dir(void)
{
	static char path[sizeof(own_dir) + 8];

	snprintf(path, sizeof(path), "%s/XXXXXX", test_dir());
	must(mkdtemp(path) != NULL);
	must_be(chmod(path, 01777), 0);
	must_be(setenv("FIPC_DIR", path, 1), 0);
	return path;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *where)
{
	(void)st;
	(void)where;
	if (kind == FTW_DP || kind == FTW_D || kind == FTW_DNR)
		rmdir(path);
	else
		unlink(path);
	return 0;
}

void remove_tree(const char *path)
{
	nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

int count_entries(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	int n = 0;

	if (!dir)
		return -errno;
	while ((entry = readdir(dir)))
		n += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
	closedir(dir);
	return n;
}

static int print_one(const char *path, const struct stat *st, int kind, struct FTW *where)
{
	(void)kind;
	(void)where;
	fprintf(stderr, "    %06o %8lld %s\n", (unsigned)st->st_mode, (long long)st->st_size, path);
	return 0;
}

void print_tree(const char *dir)
{
	nftw(dir, print_one, 16, FTW_PHYS);
}

uint64_t inode_of(const char *dir, const char *file)
{
	char path[PATH_MAX];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	return lstat(path, &st) ? 0 : st.st_ino;
}

static int count_collected(const struct fipc_object *object, void *context)
{
	*(int *)context += object->collected;
	return 0;
}

static int see_process(const struct fipc_process *process, void *context)
{
	(void)process;
	(void)context;
	return 0;
}

int open_descriptors(void)
{
	return count_entries("/proc/self/fd");
}

int collect(const char *dir)
{
	fipc_registry *registry;
	int n = 0;

	must_be(fipc_registry_open(&registry, dir, 0), 0);
	must_be(fipc_registry_walk(registry, FIPC_WALK_COLLECT, NULL, count_collected, &n), 0);
	must_be(fipc_registry_processes(registry, FIPC_WALK_COLLECT, see_process, NULL), 0);
	fipc_registry_close(registry);
	return n;
}

int is_clean(const char *dir, int living)
{
	char trackers[PATH_MAX];
	int n = count_entries(dir);

	snprintf(trackers, sizeof(trackers), "%s/%s", dir, FIPC_TRACKERS);
	return n == 0 || (n == 1 && count_entries(trackers) >= 0 && count_entries(trackers) <= living);
}

void must_become_clean(const char *dir, int living)
{
	int64_t end = now_ns() + PATIENCE_MS * INT64_C(1000000);

	/* More than once: who has just been killed, or has said that it is over, may not be gone yet. */
	while (collect(dir), !is_clean(dir, living)) {
		if (now_ns() > end) {
			print_tree(dir);
			must_fail(__FILE__, __LINE__, "the directory is clean", living);
		}
		nap_us(1000);
	}
}
