/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Message queues of depth 10: one thread that sends and receives; two processes, of which one sends and one receives,
 * or which send something there and back. For both on one processor: taskset -c 0 fipc-bench mq_two.
 */
#include "bench.h"

#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DEPTH = 10, SMALL = 64, LARGE = 8192, PAIRS = 200000, SYSCALL_PAIRS = 20000, MESSAGES = 20000, TURNS = 5000 };
enum { THERE, BACK };

static fipc_mq *ours[2];
static mqd_t posix[2];
static char names[2][64], buffer[LARGE];

static void remove_posix(void)
{
	for (int i = 0; i < 2; i++)
		mq_unlink(names[i]);
}

static void prepare(void)
{
	const struct fipc_mq_attr attr = {DEPTH, LARGE};
	struct mq_attr posix_attr = {.mq_maxmsg = DEPTH, .mq_msgsize = LARGE};

	if (*names[0])
		return;
	test_dir();
	for (int i = 0; i < 2; i++) {
		must_be(fipc_mq_open(&ours[i], i == THERE ? "there" : "back", &attr, FIPC_CREATE, 0600), FIPC_CREATED);
		snprintf(names[i], sizeof(names[i]), "/fipc-test.%d.%d", (int)getpid(), i);
		posix[i] = mq_open(names[i], O_RDWR | O_CREAT | O_EXCL, 0600, &posix_attr);
		must(posix[i] != (mqd_t)-1);
	}
	atexit(remove_posix);
}

/* ---- one thread ---- */

static void fipc_alone(const void *argument, double *ret)
{
	(void)argument;
	TIME_PAIRS(ret, PAIRS, fipc_mq_send(ours[THERE], buffer, SMALL, 0, FIPC_FOREVER),
		   fipc_mq_receive(ours[THERE], buffer, LARGE, NULL, FIPC_FOREVER) != SMALL);
}

static void posix_alone(const void *argument, double *ret)
{
	(void)argument;
	TIME_PAIRS(ret, SYSCALL_PAIRS, mq_send(posix[THERE], buffer, SMALL, 0),
		   mq_receive(posix[THERE], buffer, LARGE, NULL) != SMALL);
}

const struct group bench_mq = {
	.name = "mq",
	.title = "a message queue: send and receive 64 bytes, nobody else there",
	.prepare = prepare,
	.quantities = {{NULL, "ns"}},
	.contenders = {{"fipc", fipc_alone, NULL}, {"POSIX mq", posix_alone, NULL}},
};

/* ---- two processes ---- */

struct queue {
	void (*send)(int which, size_t size);
	void (*receive)(int which);
};

static void send_fipc(int which, size_t size)
{
	must_be(fipc_mq_send(ours[which], buffer, size, 0, FIPC_FOREVER), 0);
}

static void receive_fipc(int which)
{
	must(fipc_mq_receive(ours[which], buffer, LARGE, NULL, FIPC_FOREVER) > 0);
}

static void send_posix(int which, size_t size)
{
	must_be(mq_send(posix[which], buffer, size, 0), 0);
}

static void receive_posix(int which)
{
	must(mq_receive(posix[which], buffer, LARGE, NULL) > 0);
}

static const struct queue fipc_queue = {send_fipc, receive_fipc}, posix_queue = {send_posix, receive_posix};

static void receive_all(void *argument)
{
	const struct queue *q = argument;

	for (int i = 0; i < MESSAGES; i++)
		q->receive(THERE);
}

static void return_all(void *argument)
{
	const struct queue *q = argument;

	for (int i = 0; i < TURNS; i++) {
		q->receive(THERE);
		q->send(BACK, SMALL);
	}
}

static double stream(const struct queue *q, size_t size)
{
	pid_t pid = start(receive_all, (void *)(uintptr_t)q);
	int64_t begun;

	q->send(THERE, size); /* when it is taken the other one runs */
	begun = now_ns();
	for (int i = 1; i < MESSAGES; i++)
		q->send(THERE, size);
	must_be(waitpid(pid, NULL, 0), pid);
	return (double)(now_ns() - begun) / MESSAGES;
}

static double there_and_back(const struct queue *q)
{
	pid_t pid = start(return_all, (void *)(uintptr_t)q);
	int64_t begun = now_ns();

	for (int i = 0; i < TURNS; i++) {
		q->send(THERE, SMALL);
		q->receive(BACK);
	}
	must_be(waitpid(pid, NULL, 0), pid);
	return (double)(now_ns() - begun) / TURNS;
}

static void two(const void *argument, double *ret)
{
	const struct queue *q = argument;

	ret[0] = stream(q, SMALL);
	ret[1] = stream(q, LARGE);
	ret[2] = there_and_back(q);
}

const struct group bench_mq_two = {
	.name = "mq_two",
	.title = "a message queue between two processes",
	.prepare = prepare,
	.quantities = {{"a message of 64 bytes", "ns"}, {"of 8 KiB", "ns"}, {"there and back, 64 bytes", "ns"}},
	.contenders = {{"fipc", two, &fipc_queue}, {"POSIX mq", two, &posix_queue}},
};
