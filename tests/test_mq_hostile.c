/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A queue whose memory a peer writes over. What comes of it is anybody's guess, but for this: no call crashes, none
 * writes outside the queue and the caller's buffer, FIPC_NOW returns, and so does a wait with a deadline.
 */
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { MESSAGES = 5, SIZE = 100, HEADER = 64, GUARD = 64 };

static fipc_mq *q;
static unsigned char *map;
static size_t map_size;

/* The queue's file, as a peer has it. */
static void make(const char *dir, unsigned flags)
{
	const struct fipc_mq_attr attr = {MESSAGES, SIZE};
	char path[PATH_MAX];
	struct stat st;
	int fd;

	must_be(fipc_mq_open(&q, "q", &attr, FIPC_CREATE | FIPC_REPLACE | flags, 0600), FIPC_CREATED);
	snprintf(path, sizeof(path), "%s/q.mq", dir);
	fd = open(path, O_RDWR | O_CLOEXEC);
	must_not_fail(fd);
	must_be(fstat(fd, &st), 0);
	map_size = (size_t)st.st_size;
	map = mmap(NULL, map_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	must(map != MAP_FAILED);
	close(fd);
}

static void unmake(void)
{
	munmap(map, map_size);
	must_be(fipc_mq_close(q), 0);
}

static long receive_guarded(fipc_deadline d)
{
	unsigned char buf[SIZE + GUARD];
	ssize_t n;

	memset(buf, 0x5a, sizeof(buf));
	n = fipc_mq_receive(q, buf, SIZE, NULL, d);
	must(n <= SIZE);
	for (int i = SIZE; i < SIZE + GUARD; i++)
		must_be(buf[i], 0x5a);
	return n;
}

static int is_known(long r)
{
	return r >= 0 || r == -EAGAIN || r == -ETIMEDOUT || r == -EBADMSG || r == -EBUSY || r == -EDEADLK;
}

static void use(unsigned *seed)
{
	unsigned char msg[SIZE] = {1, 2, 3};
	fipc_deadline d = rand_r(seed) % 4 ? FIPC_NOW : fipc_after_ns(rand_r(seed) % 100000);
	struct fipc_mq_info info;

	if (rand_r(seed) % 2)
		must(is_known(fipc_mq_send(q, msg, (size_t)rand_r(seed) % (SIZE + 1), (unsigned)rand_r(seed) % 3, d)));
	else
		must(is_known(receive_guarded(d)));
	must(fipc_mq_count(q) >= 0 && fipc_mq_count(q) <= MESSAGES);
	must_be(fipc_mq_info(q, &info, sizeof(info)), 0);
	must(info.messages <= MESSAGES && info.max_messages == MESSAGES && info.max_message_size == SIZE);
}

/* Everything but the two lock words: one that carries a TID of nobody's is waited for, FIPC_NOW a second long. */
static int is_lock_word(size_t at)
{
	enum { LOCK_OF_RECEIVERS = HEADER + 256 + 8, LOCK_OF_SENDERS = LOCK_OF_RECEIVERS + 192 };

	return at / 4 == LOCK_OF_RECEIVERS / 4 || at / 4 == LOCK_OF_SENDERS / 4;
}

/* Of the beginning, where all but the messages is, more often than of the rest. */
static void scribble(unsigned *seed)
{
	size_t at = (size_t)rand_r(seed) % (rand_r(seed) % 4 ? 800 : map_size);
	static const uint32_t odd[] = {0, 1, 5, 0x7fffffff, 0x80000000, 0xc0000000, UINT32_MAX};
	uint32_t v = rand_r(seed) % 2 ? odd[(unsigned)rand_r(seed) % 7] : (uint32_t)rand_r(seed);

	at -= at % 4;
	if (at + sizeof(v) <= map_size && !is_lock_word(at))
		memcpy(map + at, &v, sizeof(v));
}

IN_CHILD(test_scribbled_at_random)
{
	enum { QUEUES = 150, STEPS = 150 };
	const char *dir = fresh_dir();

	for (unsigned round = 0; round < QUEUES; round++) {
		unsigned seed = round + 1;

		make(dir, 0);
		for (int i = rand_r(&seed) % 8; i > 0; i--)
			use(&seed);
		for (int i = 0; i < STEPS; i++) {
			if (i % 10 == 0)
				scribble(&seed);
			use(&seed);
		}
		unmake();
	}
}

/* While it is used: a peer that never stops. */
static void keep_scribbling(void *argument)
{
	unsigned seed = (unsigned)(uintptr_t)argument;

	for (;;)
		scribble(&seed);
}

IN_CHILD(test_scribbled_meanwhile)
{
	const char *dir = fresh_dir();

	for (unsigned round = 0; round < 20; round++) {
		unsigned seed = round + 1;
		pid_t peer;

		make(dir, 0);
		peer = start(keep_scribbling, (void *)(uintptr_t)(round + 1));
		for (int i = 0; i < 500; i++)
			use(&seed);
		murder(peer);
		unmake();
	}
}

/* A descriptor and a registration on such a queue can still be ended. */
IN_CHILD(test_helpers_end)
{
	const struct sigevent how = {.sigev_notify = SIGEV_NONE};
	const char *dir = fresh_dir();

	for (unsigned round = 0; round < 40; round++) {
		unsigned seed = round + 1;
		int r;

		make(dir, 0);
		must_not_fail(fipc_mq_fd(q));
		must_be(fipc_mq_notify(q, &how), 0);
		for (int i = 0; i < 20; i++) {
			scribble(&seed);
			use(&seed);
		}
		r = fipc_mq_notify(q, &how);
		must(r == 0 || r == -EBUSY || r == -EBADMSG);
		unmake();
	}
}

/* A lock that nobody will release: FIPC_NOW gives up, and so does a deadline. */
IN_CHILD(test_a_lock_of_nobody)
{
	enum { RECEIVERS_LOCK = HEADER + 256 + 8, NOBODY = 0x3ffffffe };
	const uint32_t nobody = NOBODY;
	const char *dir = fresh_dir();

	make(dir, 0);
	must_be(fipc_mq_send(q, "x", 1, 0, FIPC_NOW), 0);
	memcpy(map + RECEIVERS_LOCK, &nobody, sizeof(nobody));
	must_be(receive_guarded(fipc_after_ms(20)), -ETIMEDOUT);
	must_be(receive_guarded(FIPC_NOW), -EBUSY);
	must_be(fipc_mq_send(q, "x", 1, 0, FIPC_NOW), 0);
	unmake();
}

static void open_and_tell(void *argument)
{
	fipc_mq *other;

	(void)argument;
	_exit(-fipc_mq_open(&other, "q", NULL, 0, 0));
}

/* A file that says it is something else, or larger than it is. It stays, and nobody has it open. */
IN_CHILD(test_a_lying_head)
{
	enum { MAGIC = HEADER, KIND = HEADER + 4, MAX_MESSAGES = HEADER + 8, MAX_SIZE = HEADER + 12 };
	static const struct {
		size_t at;
		uint32_t value;
	} lies[] = {
		{MAGIC, 0},
		{KIND, 0},
		{MAX_MESSAGES, 0},
		{MAX_MESSAGES, 1000000},
		{MAX_MESSAGES, UINT32_MAX},
		{MAX_SIZE, 0},
		{MAX_SIZE, 1000},
		{MAX_SIZE, UINT32_MAX},
	};

	make(fresh_dir(), FIPC_PERSIST);
	must_be(fipc_mq_close(q), 0);
	must_be(in_child(open_and_tell, NULL), 0);
	for (size_t i = 0; i < sizeof(lies) / sizeof(*lies); i++) {
		uint32_t truth;

		memcpy(&truth, map + lies[i].at, sizeof(truth));
		memcpy(map + lies[i].at, &lies[i].value, sizeof(truth));
		must_be(in_child(open_and_tell, NULL), EINVAL);
		memcpy(map + lies[i].at, &truth, sizeof(truth));
	}
	must_be(in_child(open_and_tell, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scribbled_at_random),
		cmocka_unit_test(test_scribbled_meanwhile),
		cmocka_unit_test(test_helpers_end),
		cmocka_unit_test(test_a_lock_of_nobody),
		cmocka_unit_test(test_a_lying_head),
	};

	test_dir();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
