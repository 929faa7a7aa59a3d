/* SPDX-License-Identifier: Apache-2.0 */
/* Shared memory: its bytes, its size, who keeps it, and what is left of it. */
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { PAGE = 4096, ALICE = 1001, BOB = 1002 };

static fipc_shm *const untouched = (fipc_shm *)(uintptr_t)0x1000;

static fipc_shm *must_get(const char *name, size_t size, unsigned flags, int wanted)
{
	fipc_shm *h;

	must_be(fipc_shm_open(&h, name, size, flags, 0600), wanted);
	return h;
}

/* A failed open leaves *ret as it was. */
static int try_open(const char *name, size_t size, unsigned flags, mode_t mode)
{
	fipc_shm *h = untouched;
	int r = fipc_shm_open(&h, name, size, flags, mode);

	must((r < 0) == (h == untouched));
	if (r >= 0)
		must_be(fipc_shm_close(h), 0);
	return r;
}

static void must_be_clean(const char *dir)
{
	must_become_clean(dir, 1);
}

static int all(const fipc_shm *h, size_t from, size_t to, int byte)
{
	const unsigned char *data = fipc_shm_data(h);

	while (from < to && data[from] == byte)
		from++;
	return from == to;
}

static struct fipc_shm_info info_of(const fipc_shm *h)
{
	struct fipc_shm_info info;

	must_be(fipc_shm_info(h, &info, sizeof(info)), 0);
	must_be(info.size, sizeof(info));
	return info;
}

static char *path_in(const char *dir, const char *file)
{
	static char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	return path;
}

/* The file beside the entries that says what the object is. */
static char *meta_of(const char *dir, const char *name)
{
	static char path[PATH_MAX];
	char file[256];

	snprintf(file, sizeof(file), "%s.shm", name);
	snprintf(path, sizeof(path), "%s/%s.pids/.meta.%llu", dir, file, (unsigned long long)inode_of(dir, file));
	return path;
}

struct seen {
	int n;
	struct fipc_object object;
};

static int note(const struct fipc_object *object, void *context)
{
	struct seen *seen = context;

	seen->n++;
	seen->object = *object;
	return 0;
}

static struct fipc_object look(const char *dir)
{
	struct seen seen = {0};
	fipc_registry *r;

	must_be(fipc_registry_open(&r, dir, 0), 0);
	must_be(fipc_registry_walk(r, 0, NULL, note, &seen), 0);
	fipc_registry_close(r);
	must_be(seen.n, 1);
	return seen.object;
}

/* ---- one process ---- */

IN_CHILD(test_open_and_close)
{
	const char *dir = fresh_dir();
	int fds = open_descriptors();
	fipc_shm *h = must_get("a", 100, FIPC_CREATE, FIPC_CREATED), *again;
	struct stat st;

	must(inode_of(dir, "a.shm") != 0);
	must_be(stat(path_in(dir, "a.shm"), &st), 0);
	must_be(st.st_size, 100);
	must_be(open_descriptors(), fds + 1);
	must_be(strcmp(fipc_name(h), "a"), 0);
	must_be(fipc_shm_size(h), 100);
	must(all(h, 0, 100, 0));
	must(fcntl(fipc_shm_fd(h), F_GETFD) & FD_CLOEXEC);
	again = must_get("a", 0, 0, 0);
	must(again == h);
	must(must_get("/a", 50, FIPC_CREATE, 0) == h);
	must_be(fipc_shm_size(h), 100);
	must_be(fipc_shm_close(h), 0);
	must_be(fipc_shm_close(h), 0);
	memset(fipc_shm_data(h), 1, 100);
	must_be(fipc_shm_close(h), 0);
	must_be(count_entries(dir), 1);
	must_be(open_descriptors(), fds);
	must_be(fipc_shm_close(h), -EINVAL);
	must_be(try_open("a", 0, 0, 0), -ENOENT);
	must_be(fipc_shm_close(NULL), 0);
	must_be_clean(dir);
}

IN_CHILD(test_arguments)
{
	static const unsigned bad[] = {
		FIPC_EXCL, FIPC_REPLACE, FIPC_PERSIST, FIPC_PRIVATE | FIPC_CREATE, FIPC_AUTORESET | FIPC_CREATE,
		FIPC_OWNED | FIPC_CREATE, FIPC_TIMESTAMPS | FIPC_CREATE, FIPC_READONLY | FIPC_CREATE,
		FIPC_READONLY | FIPC_TRUNC, FIPC_CREATE | 1u << 31,
	};
	const char *dir = fresh_dir();
	struct fipc_shm_info info;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		must_be(try_open("a", 10, bad[i], 0600), -EINVAL);
	must_be(try_open("a", 10, FIPC_CREATE, 01600), -EINVAL);
	must_be(try_open("a/b", 10, FIPC_CREATE, 0600), -EINVAL);
	must_be(try_open("a", SIZE_MAX, FIPC_CREATE, 0600), -EFBIG);
	must_be(try_open("a", (size_t)1 << 61, FIPC_CREATE, 0600) < 0, 1);
	must_be(count_entries(path_in(dir, ".")), 1);
	must(fipc_shm_data(NULL) == NULL);
	must_be(fipc_shm_size(NULL), 0);
	must_be(fipc_shm_fd(NULL), -EINVAL);
	must_be(fipc_shm_resize(NULL, 1), -EINVAL);
	must_be(fipc_shm_remap(NULL), -EINVAL);
	must_be(fipc_shm_info(NULL, &info, sizeof(info)), -EINVAL);
	must_be_clean(dir);
}

/* The descriptor, the file by its path and the memory are the same bytes, from offset 0. */
IN_CHILD(test_file_is_the_bytes)
{
	const char *dir = fresh_dir();
	fipc_shm *h = must_get("a", PAGE + 10, FIPC_CREATE, FIPC_CREATED);
	char *data = fipc_shm_data(h), byte, *mine;
	int fd = fipc_shm_fd(h), by_path = open(path_in(dir, "a.shm"), O_RDONLY | O_CLOEXEC);

	must(by_path >= 0);
	must_be(pwrite(fd, "hello", 5, 0), 5);
	must_be(memcmp(data, "hello", 5), 0);
	data[PAGE + 9] = 'x';
	must_be(pread(by_path, &byte, 1, PAGE + 9), 1);
	must_be(byte, 'x');
	must_be(pread(by_path, &byte, 1, PAGE + 10), 0);
	mine = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	must(mine != MAP_FAILED);
	mine[1] = 'E';
	must_be(memcmp(data, "hEllo", 5), 0);
	must_be(munmap(mine, PAGE), 0);
	must_be(write(fd, "H", 1), 1);
	must_be(data[0], 'H');
	must_be(close(by_path), 0);
	must_be(fipc_shm_close(h), 0);
	must_be_clean(dir);
}

IN_CHILD(test_modes_are_exact)
{
	static const mode_t modes[] = {0600, 0660, 0666, 0644, 0640, 0777, 0400, 0};
	const char *dir = fresh_dir();
	struct stat st;

	umask(077);
	for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++) {
		fipc_shm *h;

		must_be(fipc_shm_open(&h, "a", 10, FIPC_CREATE, modes[i]), FIPC_CREATED);
		must_be(stat(path_in(dir, "a.shm"), &st), 0);
		must_be(st.st_mode & 07777, modes[i]);
		must_be(info_of(h).mode, modes[i]);
		*(char *)fipc_shm_data(h) = 1;
		if (geteuid() == 0 || (modes[i] & 0600) == 0600)
			must_be(try_open("a", 0, FIPC_CREATE, 0123), 0);
		must_be(info_of(h).mode, modes[i]);
		must_be(fipc_shm_close(h), 0);
	}
	must_be_clean(dir);
}

IN_CHILD(test_exclusive_and_random)
{
	const char *dir = fresh_dir();
	fipc_shm *h = must_get(NULL, 10, FIPC_CREATE | FIPC_EXCL, FIPC_CREATED);

	must_be(try_open(fipc_name(h), 10, FIPC_CREATE | FIPC_EXCL, 0600), -EEXIST);
	must_be(try_open(NULL, 10, FIPC_CREATE, 0600), -EINVAL);
	must_be(fipc_shm_close(h), 0);
	must_be_clean(dir);
}

/* ---- size ---- */

IN_CHILD(test_joining_with_a_size)
{
	const char *dir = fresh_dir();
	fipc_shm *h = must_get("a", 100, FIPC_CREATE, FIPC_CREATED), *reader;

	memset(fipc_shm_data(h), 7, 100);
	must(must_get("a", 3 * PAGE, FIPC_CREATE, 0) == h);
	must_be(fipc_shm_size(h), 3 * PAGE);
	must_be(info_of(h).bytes, 3 * PAGE);
	must_be(info_of(h).allocated, 3 * PAGE);
	must(all(h, 0, 100, 7) && all(h, 100, 3 * PAGE, 0));
	must(must_get("a", 10, 0, 0) == h);
	must_be(fipc_shm_size(h), 3 * PAGE);
	must_be(try_open("a", 3 * PAGE + 1, FIPC_READONLY, 0), -EACCES);
	must_be(info_of(h).bytes, 3 * PAGE);
	reader = must_get("a", 3 * PAGE, FIPC_READONLY, 0);
	must(reader != h);
	must_be(fipc_shm_close(reader), 0);
	for (int i = 0; i < 3; i++)
		must_be(fipc_shm_close(h), 0);
	must_be_clean(dir);
}

IN_CHILD(test_resize)
{
	static const size_t sizes[] = {PAGE, 1, 10 * PAGE + 1, 2, 0, 5, PAGE + 1, 0, 300 * PAGE, 17};
	const char *dir = fresh_dir();
	fipc_shm *h = must_get("a", 0, FIPC_CREATE, FIPC_CREATED);

	must(fipc_shm_data(h) == NULL);
	must_be(fipc_shm_size(h), 0);
	for (size_t i = 0, old = 0; i < sizeof(sizes) / sizeof(*sizes); old = sizes[i++]) {
		size_t kept = old < sizes[i] ? old : sizes[i];

		must_be(fipc_shm_resize(h, sizes[i]), 0);
		must(fipc_shm_size(h) == sizes[i]);
		must(info_of(h).bytes == sizes[i]);
		must((fipc_shm_data(h) != NULL) == (sizes[i] > 0));
		must(all(h, 0, kept, (int)i));
		must(all(h, kept, sizes[i], 0));
		if (sizes[i])
			memset(fipc_shm_data(h), (int)i + 1, sizes[i]);
	}
	must_be(fipc_shm_resize(h, SIZE_MAX), -EFBIG);
	must_be(fipc_shm_size(h), 17);
	must_be(info_of(h).bytes, 17);
	must_be(fipc_shm_close(h), 0);
	must_be_clean(dir);
}

/* What others do to the size is followed when asked for. */
IN_CHILD(test_remap)
{
	const char *dir = fresh_dir();
	fipc_shm *h = must_get("a", 10, FIPC_CREATE, FIPC_CREATED), *reader = must_get("a", 0, FIPC_READONLY, 0);

	must_be(ftruncate(fipc_shm_fd(h), 5 * PAGE), 0);
	must_be(fipc_shm_size(h), 10);
	must_be(info_of(h).bytes, 5 * PAGE);
	must_be(info_of(h).mapped, 10);
	must_be(fipc_shm_remap(h), 0);
	must_be(fipc_shm_size(h), 5 * PAGE);
	((char *)fipc_shm_data(h))[5 * PAGE - 1] = 9;
	must_be(fipc_shm_remap(reader), 0);
	must_be(fipc_shm_size(reader), 5 * PAGE);
	must(all(reader, 5 * PAGE - 1, 5 * PAGE, 9));
	must_be(ftruncate(fipc_shm_fd(h), 0), 0);
	must_be(fipc_shm_remap(reader), 0);
	must(fipc_shm_data(reader) == NULL);
	must_be(fipc_shm_resize(h, 0), 0);
	must(fipc_shm_data(h) == NULL);
	must_be(fipc_shm_close(h), 0);
	must_be(fipc_shm_close(reader), 0);
	must_be_clean(dir);
}

IN_CHILD(test_truncate)
{
	const char *dir = fresh_dir();
	fipc_shm *h = must_get("a", 3 * PAGE, FIPC_CREATE | FIPC_TRUNC, FIPC_CREATED);

	memset(fipc_shm_data(h), 1, 3 * PAGE);
	must(must_get("a", 3 * PAGE, FIPC_TRUNC, 0) == h);
	must(all(h, 0, 3 * PAGE, 0));
	memset(fipc_shm_data(h), 2, 3 * PAGE);
	must(must_get("a", 5 * PAGE, FIPC_CREATE | FIPC_TRUNC, 0) == h);
	must_be(fipc_shm_size(h), 5 * PAGE);
	must(all(h, 0, 5 * PAGE, 0));
	memset(fipc_shm_data(h), 3, 5 * PAGE);
	must(must_get("a", 7, FIPC_TRUNC, 0) == h);
	must_be(fipc_shm_size(h), 7);
	must_be(info_of(h).bytes, 7);
	must(all(h, 0, 7, 0));
	must_be(fipc_shm_resize(h, PAGE), 0);
	must(all(h, 0, PAGE, 0));
	must(must_get("a", 0, FIPC_TRUNC, 0) == h);
	must_be(info_of(h).bytes, 0);
	must(fipc_shm_data(h) == NULL);
	for (int i = 0; i < 5; i++)
		must_be(fipc_shm_close(h), 0);
	must_be_clean(dir);
}

IN_CHILD(test_readonly)
{
	const char *dir = fresh_dir();
	fipc_shm *h = must_get("a", PAGE, FIPC_CREATE, FIPC_CREATED), *reader;
	char byte = 0;

	must_be(try_open("b", 0, FIPC_READONLY, 0), -ENOENT);
	reader = must_get("a", 0, FIPC_READONLY, 0);
	must(must_get("a", 0, FIPC_READONLY, 0) == reader);
	must(reader != h);
	*(char *)fipc_shm_data(h) = 5;
	must_be(*(char *)fipc_shm_data(reader), 5);
	must_be(fcntl(fipc_shm_fd(reader), F_GETFL) & O_ACCMODE, O_RDONLY);
	must(write(fipc_shm_fd(reader), &byte, 1) < 0);
	must_be(pread(fipc_shm_fd(reader), &byte, 1, 0), 1);
	must_be(byte, 5);
	must_be(fipc_shm_resize(reader, 1), -EACCES);
	must_be(fipc_shm_resize(reader, 2 * PAGE), -EACCES);
	must_be(fipc_shm_size(reader), PAGE);
	must_be(mprotect(fipc_shm_data(reader), PAGE, PROT_READ | PROT_WRITE), -1); /* a file not open for writing */
	must_be(fipc_shm_close(h), 0);
	must_be(*(char *)fipc_shm_data(reader), 5);
	must(inode_of(dir, "a.shm") != 0);
	must_be(fipc_shm_close(reader), 0);
	must_be(fipc_shm_close(reader), 0);
	must_be_clean(dir);
}

/* ---- filled before it has its name ---- */

struct filling {
	const char *dir;
	int calls, result;
	int dies;
};

static int fill(void *data, size_t size, void *context)
{
	struct filling *f = context;

	f->calls++;
	must_be(size, 100);
	must(inode_of(f->dir, "a.shm") == 0);
	must_be(try_open("b", 10, FIPC_CREATE, 0600), FIPC_CREATED); /* it may use the library */
	for (int i = 0; i < 100; i++)
		must_be(((char *)data)[i], 0);
	memset(data, 6, size);
	if (f->dies)
		raise(SIGKILL);
	return f->result;
}

static int try_create(struct filling *f, unsigned flags)
{
	fipc_shm *h = untouched;
	int r = fipc_shm_create(&h, "a", 100, flags, 0640, fill, f);

	must((r < 0) == (h == untouched));
	if (r < 0)
		return r;
	must_be(info_of(h).mode, 0640);
	must(all(h, 0, 100, 6));
	must_be(fipc_shm_close(h), 0);
	return r;
}

static void create_and_die(void *argument)
{
	try_create(argument, FIPC_CREATE);
}

IN_CHILD(test_filled)
{
	const char *dir = fresh_dir();
	int fds = open_descriptors();
	struct filling f = {.dir = dir};
	fipc_shm *h;

	must_be(try_create(&f, 0), -EINVAL);
	must_be(fipc_shm_create(&h, "a", 0, FIPC_CREATE, 0600, fill, &f), -EINVAL);
	must_be(fipc_shm_create(&h, "a", 100, FIPC_CREATE, 0600, NULL, &f), -EINVAL);
	must_be(f.calls, 0);
	must_be(try_create(&f, FIPC_CREATE), FIPC_CREATED);
	must_be(try_create(&f, FIPC_CREATE | FIPC_EXCL), FIPC_CREATED);
	must_be(try_create(&f, FIPC_CREATE | FIPC_REPLACE), FIPC_CREATED);
	must_be(f.calls, 3);
	f.result = -EDOM;
	must_be(try_create(&f, FIPC_CREATE), -EDOM);
	must_be(f.calls, 4);
	must_be_clean(dir);
	f.dies = 1;
	must_be(in_child(create_and_die, &f), 128 + SIGKILL);
	must(inode_of(dir, "a.shm") == 0);
	must_be_clean(dir);
	must_be(open_descriptors(), fds);
}

/* The example of the header. */
struct account {
	fipc_mutex lock;
	int64_t balance, total;
};

static int fill_account(void *data, size_t size, void *context)
{
	struct account *a = data;

	(void)context;
	a->balance = a->total = 100;
	return size < sizeof(*a) ? -EINVAL : fipc_mutex_init(&a->lock, 0);
}

static void withdraw_and_die(void *argument)
{
	fipc_shm *h;
	struct account *a;

	(void)argument;
	must_be(fipc_shm_create(&h, "account", sizeof(*a), FIPC_CREATE, 0600, fill_account, NULL), 0);
	a = fipc_shm_data(h);
	must_be(fipc_mutex_lock(&a->lock), 0);
	a->balance -= 10;
	raise(SIGKILL);
}

IN_CHILD(test_mutex_inside)
{
	const char *dir = fresh_dir();
	struct fipc_mutex_info info;
	struct account *a;
	fipc_shm *h, *reader;

	needs_robust("test_mutex_inside");
	must_be(fipc_shm_create(&h, "account", sizeof(*a), FIPC_CREATE, 0600, fill_account, NULL), FIPC_CREATED);
	a = fipc_shm_data(h);
	must_be(in_child(withdraw_and_die, NULL), 128 + SIGKILL);
	reader = must_get("account", 0, FIPC_READONLY, 0);
	must_be(fipc_mutex_info(fipc_shm_data(reader), &info, sizeof(info)), 0);
	must_be(info.state, FIPC_MUTEX_DIED);
	must_be(fipc_mutex_lock(&a->lock), FIPC_OWNER_DIED);
	must_be(a->balance, 90);
	must_be(fipc_mutex_consistent(&a->lock), 0);
	must_be(fipc_mutex_unlock(&a->lock), 0);
	must_be(fipc_shm_close(reader), 0);
	must_be(fipc_shm_close(h), 0);
	must_be_clean(dir);
}

IN_CHILD(test_filled_or_joined)
{
	const char *dir = fresh_dir();
	fipc_shm *h = must_get("a", 100, FIPC_CREATE, FIPC_CREATED), *again;
	struct filling f = {.dir = dir};

	memset(fipc_shm_data(h), 9, 100);
	must_be(fipc_shm_create(&again, "a", 100, FIPC_CREATE, 0600, fill, &f), 0);
	must(again == h);
	must_be(f.calls, 0);
	must(all(h, 0, 100, 9));
	must_be(fipc_shm_close(h), 0);
	must_be(fipc_shm_close(h), 0);
	must_be_clean(dir);
}

/* ---- who keeps it, and what it leaves ---- */

static void keep_or_not(unsigned flags, int stays)
{
	const char *dir = fresh_dir();
	fipc_shm *h = must_get("a", 10, FIPC_CREATE | flags, FIPC_CREATED);

	strcpy(fipc_shm_data(h), "kept");
	must_be(fipc_shm_close(h), 0);
	must_be(inode_of(dir, "a.shm") != 0, stays);
	must_be(inode_of(dir, "a.shm.pids") != 0, stays);
	collect(dir);
	must_be(inode_of(dir, "a.shm") != 0, stays);
	must_be(try_open("a", 0, 0, 0), stays ? 0 : -ENOENT);
	if (!stays)
		return;
	h = must_get("a", 0, 0, 0);
	must_be(strcmp(fipc_shm_data(h), "kept"), 0);
	must_be(fipc_shm_unlink("a"), 0);
	must(inode_of(dir, "a.shm") == 0);
	must_be(strcmp(fipc_shm_data(h), "kept"), 0);
	must_be(fipc_shm_close(h), 0);
	must_be(count_entries(dir), 1);
	must_be_clean(dir);
}

IN_CHILD(test_the_last_one_takes_it)
{
	keep_or_not(0, 0);
}

IN_CHILD(test_persistent)
{
	keep_or_not(FIPC_PERSIST, 1);
}

struct user {
	unsigned flags;
	int wanted;
	struct gate ready, leave;
	pid_t pid;
};

static void use(void *argument)
{
	struct user *u = argument;
	fipc_shm *h = must_get("a", 100, u->flags, u->wanted);

	gate_open(&u->ready);
	gate_pass(&u->leave);
	memset(fipc_shm_data(h), 1, 100);
	must_be(fipc_shm_close(h), 0);
}

static void user_begins(struct user *u, unsigned flags, int wanted)
{
	u->flags = flags;
	u->wanted = wanted;
	gate_make(&u->ready);
	gate_make(&u->leave);
	u->pid = start(use, u);
	gate_pass(&u->ready);
}

static void user_leaves(struct user *u)
{
	gate_open(&u->leave);
	must_be(finish(u->pid), 0);
}

IN_CHILD(test_two_processes)
{
	const char *dir = fresh_dir();
	struct user first, second;

	user_begins(&first, FIPC_CREATE, FIPC_CREATED);
	user_begins(&second, 0, 0);
	user_leaves(&first);
	must(inode_of(dir, "a.shm") != 0);
	must_be(collect(dir), 0);
	user_leaves(&second);
	must_be(count_entries(dir), 1);
	must_be_clean(dir);
}

IN_CHILD(test_of_the_dead)
{
	const char *dir = fresh_dir();
	struct user u, persistent;

	needs_robust("test_of_the_dead");
	user_begins(&u, FIPC_CREATE, FIPC_CREATED);
	murder(u.pid);
	must(inode_of(dir, "a.shm") != 0);
	must_be(try_open("a", 0, 0, 0), -ENOENT);
	must_be_clean(dir);
	user_begins(&u, FIPC_CREATE, FIPC_CREATED);
	murder(u.pid);
	must_be(collect(dir), 1);
	must_be_clean(dir);
	user_begins(&persistent, FIPC_CREATE | FIPC_PERSIST, FIPC_CREATED);
	murder(persistent.pid);
	must_be(collect(dir), 0);
	must_be(try_open("a", 0, 0, 0), 0);
	must_be(fipc_shm_unlink("a"), 0);
	must_be(fipc_shm_unlink("a"), -ENOENT);
	must_be_clean(dir);
}

/* Two incarnations: each has its own bytes, and what the first leaves does not touch the second. */
static void replace_while_used(unsigned flags)
{
	const char *dir = fresh_dir();
	struct user old;
	fipc_shm *h;
	uint64_t inode;

	user_begins(&old, FIPC_CREATE | FIPC_PERSIST, FIPC_CREATED);
	h = must_get("a", 50, FIPC_CREATE | FIPC_REPLACE | flags, FIPC_CREATED);
	inode = inode_of(dir, "a.shm");
	collect(dir);
	user_leaves(&old);
	must(all(h, 0, 50, 0));
	must(inode_of(dir, "a.shm") == inode);
	collect(dir);
	must_be(access(meta_of(dir, "a"), F_OK), 0);
	must_be(count_entries(path_in(dir, "a.shm.pids")), 2);
	must_be(fipc_shm_close(h), 0);
	must_be(inode_of(dir, "a.shm") == inode, (flags & FIPC_PERSIST) != 0);
	if (flags & FIPC_PERSIST)
		must_be(fipc_shm_unlink("a"), 0);
	must_be(count_entries(dir), 1);
	must_be_clean(dir);
}

IN_CHILD(test_replace)
{
	replace_while_used(0);
	replace_while_used(FIPC_PERSIST);
}

/* A mapping that its user made himself by the descriptor keeps it after the close. */
IN_CHILD(test_own_mapping_keeps_it)
{
	const char *dir = fresh_dir();
	fipc_shm *h = must_get("a", PAGE, FIPC_CREATE, FIPC_CREATED);
	char *mine = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fipc_shm_fd(h), 0);

	must(mine != MAP_FAILED);
	must_be(fipc_shm_close(h), 0);
	must(inode_of(dir, "a.shm") != 0);
	must_be(collect(dir), 0);
	mine[0] = 1;
	must_be(munmap(mine, PAGE), 0);
	must_be_clean(dir);
}

static void close_and_leave(void *argument)
{
	fipc_shm *h = argument;

	memset(fipc_shm_data(h), 3, 100);
	must_be(fipc_shm_resize(h, 2 * PAGE), 0);
	must_be(fipc_shm_close(h), 0);
}

IN_CHILD(test_fork)
{
	const char *dir = fresh_dir();
	fipc_shm *h = must_get("a", 100, FIPC_CREATE, FIPC_CREATED);

	must_be(in_child(close_and_leave, h), 0);
	must_be(fipc_shm_size(h), 100);
	must(all(h, 0, 100, 3));
	must_be(fipc_shm_remap(h), 0);
	must_be(fipc_shm_size(h), 2 * PAGE);
	must_be(fipc_shm_close(h), 0);
	must_be(count_entries(dir), 1);
	must_be_clean(dir);
}

/* Daemons close all descriptors; what opens another under the same number keeps it. */
IN_CHILD(test_descriptor_closed_by_others)
{
	const char *dir = fresh_dir();
	fipc_shm *h = must_get("a", PAGE, FIPC_CREATE, FIPC_CREATED);
	struct fipc_shm_info info;
	int fd = fipc_shm_fd(h), other;

	must_be(close(fd), 0);
	must_be(collect(dir), 0);
	must_be(fipc_shm_resize(h, 1), -EBADF);
	other = open("/dev/null", O_RDONLY | O_CLOEXEC);
	must_be(dup2(other, fd), fd);
	must_be(fipc_shm_resize(h, 2 * PAGE), -EBADF);
	must_be(fipc_shm_remap(h), -EBADF);
	must_be(fipc_shm_info(h, &info, sizeof(info)), -EBADF);
	memset(fipc_shm_data(h), 1, PAGE);
	must_be(fipc_shm_close(h), 0);
	must(fcntl(fd, F_GETFD) >= 0);
	must_be_clean(dir);
}

/* ---- without the file that says what it is ---- */

IN_CHILD(test_missing_header)
{
	const char *dir = fresh_dir();
	fipc_shm *h = must_get("a", 10, FIPC_CREATE, FIPC_CREATED);

	strcpy(fipc_shm_data(h), "mine");
	must_be(unlink(meta_of(dir, "a")), 0);
	must_be(fipc_shm_close(h), 0);
	h = must_get("b", 10, FIPC_CREATE | FIPC_PERSIST, FIPC_CREATED);
	strcpy(fipc_shm_data(h), "kept");
	must_be(fipc_shm_close(h), 0);
	must_be(unlink(meta_of(dir, "b")), 0);
	collect(dir);
	h = must_get("b", 0, 0, 0);
	must_be(strcmp(fipc_shm_data(h), "kept"), 0);
	must_be(fipc_shm_close(h), 0);
	collect(dir);
	must(inode_of(dir, "b.shm") != 0);
	must_be(try_open("b", 10, FIPC_CREATE | FIPC_REPLACE, 0600), FIPC_CREATED);
	must(inode_of(dir, "b.shm") == 0);
	must_be_clean(dir);
}

static void scribble(const char *path, const void *bytes, size_t n)
{
	int fd;

	must_be(chmod(path, 0600), 0);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	must(fd >= 0);
	must_be(pwrite(fd, bytes, n, 0), (long)n);
	must_be(close(fd), 0);
}

IN_CHILD(test_damaged_header)
{
	const char *dir = fresh_dir();

	must_be(try_open("a", 10, FIPC_CREATE | FIPC_PERSIST, 0600), FIPC_CREATED);
	scribble(meta_of(dir, "a"), "nonsense", 8);
	must_be(try_open("a", 0, 0, 0), -EINVAL);
	must_be(collect(dir), 0);
	must(inode_of(dir, "a.shm") != 0);
	must_be(fipc_shm_unlink("a"), 0);
	must_be_clean(dir);
}

static void plant(const char *dir, const char *file)
{
	int fd;

	must_not_fail(mkdir(path_in(dir, "a.shm.pids"), 0755));
	fd = open(path_in(dir, file), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
	must(fd >= 0);
	must_be(close(fd), 0);
}

/* A header whose object is gone, alone or beside another object's. */
IN_CHILD(test_left_over_header)
{
	const char *dir = fresh_dir();
	fipc_shm *h;
	int fd;

	plant(dir, "a.shm.pids/.meta.12345");
	fd = open(path_in(dir, "a.shm.pids/.meta.12345"), O_RDONLY | O_CLOEXEC); /* as its maker has it */
	must_be(collect(dir), 0);
	must_be(look(dir).reason, FIPC_KEEP_BUSY);
	must_be(count_entries(path_in(dir, "a.shm.pids")), 1);
	must_be(close(fd), 0);
	must_be(look(dir).reason, FIPC_TAKE_ORPHAN);
	must_be(collect(dir), 1);
	must_be_clean(dir);
	plant(dir, "a.shm.pids/.meta.12345");
	h = must_get("a", 10, FIPC_CREATE, FIPC_CREATED);
	collect(dir);
	must_be(count_entries(path_in(dir, "a.shm.pids")), 2);
	must_be(fipc_shm_close(h), 0);
	must_be_clean(dir);
}

/* ---- as others see it ---- */

IN_CHILD(test_listed)
{
	const char *dir = fresh_dir();
	fipc_shm *h = must_get("a", PAGE + 1, FIPC_CREATE | FIPC_PERSIST, FIPC_CREATED);
	struct fipc_object o = look(dir);

	must_be(o.type, FIPC_TYPE_SHM);
	must_be(o.error, 0);
	must_be(o.size, PAGE + 1);
	must_be(o.flags, FIPC_PERSIST);
	must_be(o.creator, getpid());
	must(o.created_ns > 0);
	must_be(o.mode, 0600);
	must_be(o.n_alive, 1);
	must_be(o.n_attachments, 1);
	must_be(o.shm.bytes, PAGE + 1);
	must_be(o.shm.allocated, 2 * PAGE);
	must_be(o.reason, FIPC_KEEP_ATTACHED);
	must_be(ftruncate(fipc_shm_fd(h), INT64_C(1) << 40), 0);
	o = look(dir);
	must(o.size == UINT64_C(1) << 40 && o.error == 0);
	must_be(ftruncate(fipc_shm_fd(h), 0), 0);
	must_be(fipc_shm_close(h), 0);
	o = look(dir);
	must_be(o.reason, FIPC_KEEP_PERSISTENT);
	must_be(o.size, 0);
	must_be(unlink(meta_of(dir, "a")), 0);
	o = look(dir);
	must_be(o.error, -ENODATA);
	must_be(o.reason, FIPC_KEEP_DAMAGED);
	must_be(fipc_shm_unlink("a"), 0);
	must_be_clean(dir);
}

/* What is at the name is nothing of ours. */
IN_CHILD(test_strange_things)
{
	const char *dir = fresh_dir();
	char *path = path_in(dir, "a.shm");

	must_be(symlink("/etc/passwd", path), 0);
	must_be(try_open("a", 0, 0, 0), -EINVAL);
	must_be(try_open("a", 10, FIPC_CREATE, 0600), -EINVAL);
	must_be(try_open("a", 10, FIPC_CREATE | FIPC_REPLACE, 0600), FIPC_CREATED);
	must_be(mkfifo(path, 0600), 0);
	must_be(try_open("a", 0, 0, 0), -EINVAL);
	must_be(collect(dir), 0);
	must_be(fipc_shm_unlink("a"), 0);
	must_be(mkdir(path, 0700), 0);
	must_be(try_open("a", 10, FIPC_CREATE, 0600), -EINVAL);
	must_be(rmdir(path), 0);
	must_be(symlink(dir, path_in(dir, "a.shm.pids")), 0);
	must(try_open("a", 10, FIPC_CREATE, 0600) < 0);
	must_be(count_entries(dir), 2);
	must_be(unlink(path_in(dir, "a.shm.pids")), 0);
	must_be_clean(dir);
}

/* ---- threads ---- */

enum { THREADS = 4, ROUNDS = 200 };

static void *open_and_resize(void *argument)
{
	size_t size = (size_t)(uintptr_t)argument;

	for (int i = 0; i < ROUNDS; i++) {
		fipc_shm *h;

		must_not_fail(fipc_shm_open(&h, "a", size, FIPC_CREATE, 0600));
		must(fipc_shm_size(h) >= size);
		must_be(fipc_shm_resize(h, size + (size_t)i % 3 * PAGE + 100), 0);
		must(fipc_shm_data(h) != NULL);
		must_be(fipc_shm_close(h), 0);
	}
	return NULL;
}

IN_CHILD(test_threads)
{
	const char *dir = fresh_dir();
	pthread_t threads[THREADS];

	for (uintptr_t i = 0; i < THREADS; i++)
		must_be(pthread_create(&threads[i], NULL, open_and_resize, (void *)(uintptr_t)100), 0);
	for (int i = 0; i < THREADS; i++)
		must_be(pthread_join(threads[i], NULL), 0);
	must_be_clean(dir);
}

/* ---- as root: a file system that is full, other users, another PID namespace ---- */

/* A tracking directory on a file system of so many bytes. NULL: it cannot be had here. */
static const char *small_dir(const char *size)
{
	const char *dir = fresh_dir();

	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", dir, "tmpfs", 0, size) < 0) {
		skip_aloud("test_full", "mounting a tmpfs needs root");
		return NULL;
	}
	must_be(chmod(dir, 01777), 0);
	return dir;
}

IN_CHILD(test_full)
{
	const char *dir = small_dir("size=1m");
	fipc_shm *h;
	char *data;

	if (!dir)
		_exit(SKIPPED);
	must_be(try_open("a", 2 << 20, FIPC_CREATE, 0600), -ENOSPC);
	must_be(try_open("a", 1 << 20, FIPC_CREATE, 0600), -ENOSPC);
	must_be(count_entries(dir), 1);
	h = must_get("a", 300000, FIPC_CREATE, FIPC_CREATED);
	data = fipc_shm_data(h);
	memset(data, 1, 300000);
	must_be(fipc_shm_resize(h, 2 << 20), -ENOSPC);
	must(fipc_shm_data(h) == data);
	must_be(fipc_shm_size(h), 300000);
	must_be(info_of(h).bytes, 300000);
	must_be(try_open("a", 2 << 20, 0, 0), -ENOSPC);
	must_be(try_open("a", 2 << 20, FIPC_TRUNC, 0), -ENOSPC);
	must(all(h, 0, 300000, 1));
	must_be(fipc_shm_resize(h, 800000), 0);
	memset(fipc_shm_data(h), 2, 800000);
	must_be(try_open("b", 800000, FIPC_CREATE, 0600), -ENOSPC);
	must_be(fipc_shm_close(h), 0);
	must_be_clean(dir);
}

/* Room for the bytes, and none for what lies beside them. */
IN_CHILD(test_nearly_full)
{
	const char *dir = small_dir("size=64k");
	int created = 0;

	needs_robust("test_nearly_full");
	if (!dir)
		_exit(SKIPPED);
	for (size_t pages = 16; pages > 0 && !created; pages--) {
		int r = try_open("a", pages * PAGE, FIPC_CREATE, 0600);

		must(r == -ENOSPC || r == FIPC_CREATED);
		created = r == FIPC_CREATED;
		must_be_clean(dir);
	}
	must(created);
}

struct deed {
	uid_t uid;
	void (*body)(void *);
	void *argument;
};

static void do_as(void *argument)
{
	const struct deed *d = argument;

	must_be(setgroups(0, NULL), 0);
	must_be(setresgid(d->uid, d->uid, d->uid), 0);
	must_be(setresuid(d->uid, d->uid, d->uid), 0);
	d->body(d->argument);
}

static void as(uid_t uid, void (*body)(void *), void *argument)
{
	struct deed d = {uid, body, argument};

	must_be(in_child(do_as, &d), 0);
}

static void make_public(void *argument)
{
	fipc_shm *h;

	(void)argument;
	must_be(fipc_shm_open(&h, "a", 10, FIPC_CREATE | FIPC_PERSIST, 0666), FIPC_CREATED);
	strcpy(fipc_shm_data(h), "alice");
	must_be(fipc_shm_close(h), 0);
	must_be(fipc_shm_open(&h, "private", 10, FIPC_CREATE | FIPC_PERSIST, 0600), FIPC_CREATED);
	must_be(fipc_shm_close(h), 0);
	must_be(fipc_shm_open(&h, "shown", 10, FIPC_CREATE | FIPC_PERSIST, 0644), FIPC_CREATED);
	must_be(fipc_shm_close(h), 0);
}

static void bob_joins(void *argument)
{
	const char *dir = argument;
	fipc_shm *h;

	must_be(try_open("a", 0, 0, 0), -EPERM);
	must_be(try_open("a", 0, FIPC_READONLY, 0), -EPERM);
	must_be(try_open("private", 0, FIPC_ANY_OWNER, 0), -EACCES);
	must_be(try_open("private", 0, FIPC_ANY_OWNER | FIPC_READONLY, 0), -EACCES);
	must_be(try_open("shown", 0, FIPC_ANY_OWNER, 0), -EACCES);
	must_be(try_open("shown", 0, FIPC_ANY_OWNER | FIPC_READONLY, 0), 0);
	h = must_get("a", 0, FIPC_ANY_OWNER, 0);
	must_be(strcmp(fipc_shm_data(h), "alice"), 0);
	strcpy(fipc_shm_data(h), "bob");
	must(unlink(meta_of(dir, "a")) < 0);
	must(open(meta_of(dir, "a"), O_WRONLY | O_CLOEXEC) < 0);
	must_be(fipc_shm_close(h), 0);
	must(fipc_shm_unlink("a") < 0);
}

/* Bob may write into .pids, so he can plant a header there that says "not persistent"; it does not count. */
struct planted {
	const char *dir;
	char header[64];
};

enum { FLAGS_OFFSET = 16 };

static void read_header(struct planted *p)
{
	int fd = open(meta_of(p->dir, "a"), O_RDONLY | O_CLOEXEC);

	must(fd >= 0);
	must_be(read(fd, p->header, sizeof(p->header)), sizeof(p->header));
	must_be(close(fd), 0);
	must(memcmp(p->header + FLAGS_OFFSET, &(uint32_t){FIPC_PERSIST}, 4) == 0);
	memset(p->header + FLAGS_OFFSET, 0, 4);
}

static void bob_plants(void *argument)
{
	const struct planted *p = argument;
	int fd = open(meta_of(p->dir, "a"), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0444);

	must(fd >= 0);
	must_be(write(fd, p->header, sizeof(p->header)), sizeof(p->header));
	must_be(close(fd), 0);
}

static void bob_collects(void *argument)
{
	must_be(collect(argument), 0);
}

static void alice_unlinks(void *argument)
{
	(void)argument;
	must_be(try_open("a", 0, 0, 0), 0);
	must_be(fipc_shm_unlink("a"), 0);
	must_be(fipc_shm_unlink("private"), 0);
	must_be(fipc_shm_unlink("shown"), 0);
}

IN_CHILD(test_users)
{
	const char *dir = fresh_dir();
	struct planted planted = {.dir = dir};

	needs_robust("test_users");
	if (geteuid() != 0) {
		skip_aloud("test_users", "needs root");
		_exit(SKIPPED);
	}
	as(ALICE, make_public, NULL);
	as(BOB, bob_joins, (void *)dir);
	collect(dir);
	must(inode_of(dir, "a.shm") != 0);
	read_header(&planted);
	must_be(unlink(meta_of(dir, "a")), 0);
	as(BOB, bob_plants, &planted);
	as(BOB, bob_collects, (void *)dir);
	collect(dir);
	must(inode_of(dir, "a.shm") != 0);
	as(ALICE, alice_unlinks, NULL);
	must_be(count_entries(dir), 1);
	must_become_clean(dir, 0);
}

static void join_elsewhere(void)
{
	fipc_shm *h = must_get("a", 0, 0, 0);

	strcpy(fipc_shm_data(h), "there");
	must_be(fipc_shm_close(h), 0);
}

IN_CHILD(test_another_pid_namespace)
{
	const char *dir = fresh_dir();
	fipc_shm *h = must_get("a", 10, FIPC_CREATE, FIPC_CREATED);
	pid_t pid;

	needs_robust("test_another_pid_namespace");
	if (unshare(CLONE_NEWPID) < 0) {
		skip_aloud("test_another_pid_namespace", "needs root");
		_exit(SKIPPED);
	}
	pid = fork();
	must(pid >= 0);
	if (!pid) {
		join_elsewhere();
		_exit(0);
	}
	must_be(finish(pid), 0);
	must_be(strcmp(fipc_shm_data(h), "there"), 0);
	must_be(fipc_shm_close(h), 0);
	must_be_clean(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_open_and_close),
		cmocka_unit_test(test_arguments),
		cmocka_unit_test(test_file_is_the_bytes),
		cmocka_unit_test(test_modes_are_exact),
		cmocka_unit_test(test_exclusive_and_random),
		cmocka_unit_test(test_joining_with_a_size),
		cmocka_unit_test(test_resize),
		cmocka_unit_test(test_remap),
		cmocka_unit_test(test_truncate),
		cmocka_unit_test(test_readonly),
		cmocka_unit_test(test_filled),
		cmocka_unit_test(test_mutex_inside),
		cmocka_unit_test(test_filled_or_joined),
		cmocka_unit_test(test_the_last_one_takes_it),
		cmocka_unit_test(test_persistent),
		cmocka_unit_test(test_two_processes),
		cmocka_unit_test(test_of_the_dead),
		cmocka_unit_test(test_replace),
		cmocka_unit_test(test_own_mapping_keeps_it),
		cmocka_unit_test(test_fork),
		cmocka_unit_test(test_descriptor_closed_by_others),
		cmocka_unit_test(test_missing_header),
		cmocka_unit_test(test_damaged_header),
		cmocka_unit_test(test_left_over_header),
		cmocka_unit_test(test_listed),
		cmocka_unit_test(test_strange_things),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_nearly_full),
		cmocka_unit_test(test_users),
		cmocka_unit_test(test_another_pid_namespace),
	};

	test_dir();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
