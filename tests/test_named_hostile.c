/* SPDX-License-Identifier: Apache-2.0 */
/* What somebody else put where a mutex, its entries or a tracker should be: refused, and left alone. */
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

static char object[PATH_MAX], elsewhere[PATH_MAX];

static const char *new_place(void)
{
	const char *dir = fresh_dir();

	snprintf(object, sizeof(object), "%s/a.mutex", dir);
	snprintf(elsewhere, sizeof(elsewhere), "%s/elsewhere", dir);
	return dir;
}

static void write_file(const char *path, const void *bytes, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	must(fd >= 0);
	must_be(write(fd, bytes, size), (long)size);
	close(fd);
}

static int try_open(unsigned flags)
{
	fipc_mutex *m;
	int r = fipc_mutex_open(&m, "a", flags, 0600);

	if (r >= 0)
		must_be(fipc_mutex_close(m), 0);
	return r;
}

/* Every way to open it says so at once, does not touch it, and loses no descriptor. */
static void refused(const char *dir, int wanted)
{
	int fds = open_descriptors();
	uint64_t inode = inode_of(dir, "a.mutex");

	must_be(try_open(0), wanted);
	must_be(try_open(FIPC_CREATE), wanted);
	must_be(try_open(FIPC_READONLY), wanted);
	must_be(try_open(FIPC_ANY_OWNER), wanted);
	must(try_open(FIPC_CREATE | FIPC_EXCL) < 0);
	must_be(collect(dir), 0);
	must(inode_of(dir, "a.mutex") == inode);
	must_be(open_descriptors(), fds);
}

static void curable(void)
{
	must_be(try_open(FIPC_CREATE | FIPC_REPLACE), FIPC_CREATED);
}

IN_CHILD(test_symbolic_link)
{
	const char *dir = new_place();
	struct peer p = {.name = "elsewhere", .flags = FIPC_CREATE, .wanted = FIPC_CREATED};

	peer_begins(&p);
	must_be(symlink("elsewhere.mutex", object), 0); /* even to a good one */
	refused(dir, -EINVAL);
	curable();
	must(inode_of(dir, "elsewhere.mutex") != 0);
	must_be(symlink("/nowhere", object), 0);
	refused(dir, -EINVAL);
	must_be(fipc_mutex_unlink("a"), 0);
	must_be(fipc_mutex_unlink("a"), -ENOENT);
	peer_leaves(&p);
}

IN_CHILD(test_fifo)
{
	const char *dir = new_place();

	must_be(mkfifo(object, 0600), 0);
	refused(dir, -EINVAL);
	curable();
}

IN_CHILD(test_socket)
{
	const char *dir = new_place();
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%.100s", object);
	must_be(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	refused(dir, -EINVAL);
	curable();
	close(fd);
}

IN_CHILD(test_directory)
{
	const char *dir = new_place();

	must_be(mkdir(object, 0700), 0);
	refused(dir, -EINVAL);
	must_be(try_open(FIPC_CREATE | FIPC_REPLACE), -EINVAL);
	must_be(fipc_mutex_unlink("a"), -EINVAL);
	must(inode_of(dir, "a.mutex") != 0);
}

/* A good object's bytes, to be spoilt. */
static size_t good_bytes(unsigned char *ret, size_t room)
{
	fipc_mutex *m = must_open("a", FIPC_CREATE, FIPC_CREATED);
	int fd = open(object, O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, ret, room);

	close(fd);
	must(n > 64);
	must_be(fipc_mutex_close(m), 0);
	return (size_t)n;
}

IN_CHILD(test_short_files)
{
	const char *dir = new_place();
	unsigned char bytes[4096];
	size_t n = good_bytes(bytes, sizeof(bytes));

	for (size_t size = 0; size < n; size += size < 8 ? 1 : 7) {
		write_file(object, bytes, size);
		refused(dir, -EINVAL);
		curable();
	}
}

IN_CHILD(test_wrong_bytes)
{
	const char *dir = new_place();
	unsigned char bytes[4096];
	size_t n = good_bytes(bytes, sizeof(bytes));

	bytes[0] ^= 1;
	write_file(object, bytes, n);
	refused(dir, -EINVAL);
	bytes[0] ^= 1;
	bytes[64] ^= 1; /* of the mutex behind the header */
	write_file(object, bytes, n);
	must(try_open(0) < 0);
	must(try_open(FIPC_CREATE) < 0);
	bytes[64] ^= 1;
	bytes[8] = 99; /* the header's ABI */
	write_file(object, bytes, n);
	refused(dir, -ENOTSUP);
	memset(bytes, 0, n);
	write_file(object, bytes, n);
	refused(dir, -EINVAL);
	memset(bytes, 0xff, n);
	write_file(object, bytes, n);
	refused(dir, -EINVAL);
	curable();
}

/* Each byte spoilt in turn: whatever it says, it neither crashes nor waits for what nobody will give. */
IN_CHILD(test_any_byte_wrong)
{
	const char *dir = new_place();
	unsigned char bytes[4096];
	size_t n = good_bytes(bytes, sizeof(bytes));

	for (size_t i = 0; i < n; i++) {
		fipc_mutex *m;

		bytes[i] ^= 0xff;
		write_file(object, bytes, n);
		bytes[i] ^= 0xff;
		if (fipc_mutex_open(&m, "a", 0, 0) >= 0) {
			int r = fipc_mutex_lock_until(m, fipc_after_ms(1));

			if (r >= 0)
				must(fipc_mutex_unlock(m) <= 0);
			must_be(fipc_mutex_close(m), 0);
		}
		collect(dir);
		unlink(object);
	}
}

/* Its owner truncates an object that nobody uses, or makes it huge. */
IN_CHILD(test_odd_sizes)
{
	const char *dir = new_place();

	must_be(try_open(FIPC_CREATE | FIPC_PERSIST), FIPC_CREATED);
	must_be(truncate(object, 1 << 30), 0);
	must_be(try_open(0), 0);
	must_be(truncate(object, 70), 0);
	refused(dir, -EINVAL);
}

IN_CHILD(test_entries_are_no_directory)
{
	const char *dir = new_place();
	char pids[PATH_MAX + 8];

	snprintf(pids, sizeof(pids), "%s.pids", object);
	write_file(pids, "", 0);
	must(try_open(FIPC_CREATE) < 0);
	must(inode_of(dir, "a.mutex") == 0);
	unlink(pids);
	must_be(mkdir(elsewhere, 0777), 0);
	must_be(symlink(elsewhere, pids), 0);
	must(try_open(FIPC_CREATE) < 0);
	must(inode_of(dir, "a.mutex") == 0);
	must_be(count_entries(elsewhere), 0);
	unlink(pids);
	must_be(try_open(FIPC_CREATE), FIPC_CREATED);
}

IN_CHILD(test_trackers_are_no_directory)
{
	const char *dir = new_place();
	char trackers[PATH_MAX];

	snprintf(trackers, sizeof(trackers), "%s/%s", dir, FIPC_TRACKERS);
	must_be(mkdir(elsewhere, 0777), 0);
	must_be(symlink(elsewhere, trackers), 0);
	must(try_open(FIPC_CREATE) < 0);
	must_be(count_entries(elsewhere), 0);
	must(inode_of(dir, "a.mutex") == 0);
}

/* Entries that are none: they count as unknown, and keep the object; none is followed or opened. */
static void plant(int kind, const char *path)
{
	if (kind == 0)
		write_file(path, "", 0);
	else if (kind == 1)
		must_be(mkfifo(path, 0600), 0);
	else if (kind == 2)
		must_be(symlink("/dev/zero", path), 0);
	else
		must_be(mkdir(path, 0700), 0);
}

IN_CHILD(test_planted_entries)
{
	static const char *const names[] = {"1.2.3", "x", "999999999.1.1", "-1.0.0"};
	const char *dir = new_place();
	char path[PATH_MAX + 64];

	for (int kind = 0; kind < 4; kind++)
		for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
			struct peer p = {.name = "a", .flags = FIPC_CREATE, .wanted = FIPC_CREATED};
			uint64_t inode;

			peer_begins(&p);
			inode = inode_of(dir, "a.mutex");
			snprintf(path, sizeof(path), "%s.pids/%s", object, names[i]);
			plant(kind, path);
			collect(dir);
			must(inode_of(dir, "a.mutex") == inode);
			must_be(try_open(0), 0);
			peer_leaves(&p);
			collect(dir);
			remove(path);
			must_become_clean(dir, 1);
		}
}

/*
 * A reader may hold its lock for ever. Who joins what somebody has does not mind; who would have to take away what the dead
 * left gives up after a while; a collection does not wait at all.
 */
IN_CHILD(test_locked_by_a_stranger)
{
	const char *dir = new_place();
	struct peer p = {.name = "a", .flags = FIPC_CREATE, .wanted = FIPC_CREATED};
	int64_t begun;
	int fd;

	peer_begins(&p);
	fd = open(object, O_RDONLY | O_CLOEXEC);
	must_be(flock(fd, LOCK_EX), 0);
	begun = now_ns();
	must_be(collect(dir), 0);
	must(now_ns() - begun < INT64_C(2000000000));
	must_be(try_open(0), 0);
	peer_dies(&p);
	must_be(try_open(FIPC_CREATE), -EBUSY);
	must(now_ns() - begun < INT64_C(20000000000));
	close(fd);
	must_be(try_open(FIPC_CREATE), FIPC_CREATED);
	must_become_clean(dir, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_symbolic_link),
		cmocka_unit_test(test_fifo),
		cmocka_unit_test(test_socket),
		cmocka_unit_test(test_directory),
		cmocka_unit_test(test_short_files),
		cmocka_unit_test(test_wrong_bytes),
		cmocka_unit_test(test_any_byte_wrong),
		cmocka_unit_test(test_odd_sizes),
		cmocka_unit_test(test_entries_are_no_directory),
		cmocka_unit_test(test_trackers_are_no_directory),
		cmocka_unit_test(test_planted_entries),
		cmocka_unit_test(test_locked_by_a_stranger),
	};

	test_dir();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
