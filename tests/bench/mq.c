/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Message queues of depth 10, or what the kernel gives: one thread that sends and receives; two processes, of which one
 * sends and one receives, or which send something there and back. For both on one processor: taskset -c 0 fipc-bench
 * mq_stream.
 */
#include "bench.h"
#include "boost.h"

#include <fcntl.h>
#include <math.h>
#include <mqueue.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { DEPTH = 10, LARGE = 65536, PAIRS = 50000, MESSAGES = 10000, TURNS = 2000 };
enum { THERE, BACK };

static const size_t sizes[] = {1, 64, 1024, 8192, LARGE};
enum { SIZES = sizeof(sizes) / sizeof(*sizes) };

/* Large ones take long. */
static int fewer(int n, size_t size)
{
	return size >= LARGE ? n / 10 : size >= 8192 ? n / 2 : n;
}

struct message {
	long type; /* of SysV's */
	char data[LARGE];
};
static struct message message = {.type = 1};

static fipc_mq *ours[2];
static mqd_t posix[2];
static int sysv[2], sockets[2][2], pipes[2][2];
static size_t posix_most = LARGE, sysv_most;

/* ---- making them ---- */

/* More than 8 KiB is for those who may, root at least. */
static mqd_t try_posix(void)
{
	struct mq_attr attr = {.mq_maxmsg = DEPTH, .mq_msgsize = posix_most};
	char name[64];
	mqd_t q;

	snprintf(name, sizeof(name), "/fipc-test.%d", (int)getpid());
	q = mq_open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600, &attr);
	mq_unlink(name);
	return q;
}

static mqd_t make_posix(void)
{
	mqd_t q = try_posix();

	if (q != (mqd_t)-1)
		return q;
	posix_most = 8192;
	q = try_posix();
	must(q != (mqd_t)-1);
	return q;
}

static void remove_sysv(void)
{
	for (int i = 0; i < 2; i++)
		msgctl(sysv[i], IPC_RMID, NULL);
}

static int make_sysv(void)
{
	struct msqid_ds state;
	struct msginfo info;
	int q = msgget(IPC_PRIVATE, 0600);

	must(q >= 0);
	must_be(msgctl(q, IPC_STAT, &state), 0);
	state.msg_qbytes = DEPTH * 8192;
	msgctl(q, IPC_SET, &state); /* refused: then as many as there is room for */
	must(msgctl(q, IPC_INFO, (struct msqid_ds *)&info) >= 0);
	sysv_most = info.msgmax;
	return q;
}

static void prepare(void)
{
	const struct fipc_mq_attr attr = {DEPTH, LARGE};

	if (ours[0])
		return;
	setrlimit(RLIMIT_MSGQUEUE, &(struct rlimit){RLIM_INFINITY, RLIM_INFINITY}); /* for those who may, as above */
	for (int i = 0; i < 2; i++) {
		must_be(fipc_mq_open(&ours[i], i == THERE ? "there" : "back", &attr, FIPC_CREATE, 0600), FIPC_CREATED);
		posix[i] = make_posix();
		sysv[i] = make_sysv();
		must_be(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets[i]), 0);
		must_be(pipe2(pipes[i], O_CLOEXEC), 0);
	}
	atexit(remove_sysv);
#ifdef HAVE_BOOST
	boost_make_queues(DEPTH, LARGE);
#endif
}

/* ---- the queues ---- */

struct queue {
	int (*send)(int which, size_t size); /* 0 when it worked */
	ssize_t (*receive)(int which, size_t size);
	const size_t *most; /* bytes in a message; NULL: enough */
};

static int send_fipc(int which, size_t size)
{
	return fipc_mq_send(ours[which], message.data, size, 0, FIPC_FOREVER);
}

static ssize_t receive_fipc(int which, size_t size)
{
	(void)size;
	return fipc_mq_receive(ours[which], message.data, LARGE, NULL, FIPC_FOREVER);
}

static int send_posix(int which, size_t size)
{
	return mq_send(posix[which], message.data, size, 0);
}

static ssize_t receive_posix(int which, size_t size)
{
	(void)size;
	return mq_receive(posix[which], message.data, LARGE, NULL);
}

static int send_sysv(int which, size_t size)
{
	return msgsnd(sysv[which], &message, size, 0);
}

static ssize_t receive_sysv(int which, size_t size)
{
	(void)size;
	return msgrcv(sysv[which], &message, LARGE, 0, 0);
}

static int send_socket(int which, size_t size)
{
	return write(sockets[which][1], message.data, size) != (ssize_t)size;
}

static ssize_t receive_socket(int which, size_t size)
{
	(void)size;
	return read(sockets[which][0], message.data, LARGE);
}

/* It has no messages: whoever reads knows how much there is to come. */
static int send_pipe(int which, size_t size)
{
	return write(pipes[which][1], message.data, size) != (ssize_t)size;
}

static ssize_t receive_pipe(int which, size_t size)
{
	size_t n = 0;
	ssize_t more;

	while (n < size && (more = read(pipes[which][0], message.data + n, size - n)) > 0)
		n += (size_t)more;
	return (ssize_t)n;
}

#ifdef HAVE_BOOST
static int send_boost(int which, size_t size)
{
	boost_send(which, message.data, size);
	return 0;
}

static ssize_t receive_boost(int which, size_t size)
{
	(void)size;
	return (ssize_t)boost_receive(which, message.data, LARGE);
}

static const struct queue boost_queue = {send_boost, receive_boost, NULL};
#endif

static const struct queue fipc_queue = {send_fipc, receive_fipc, NULL},
			  posix_queue = {send_posix, receive_posix, &posix_most},
			  sysv_queue = {send_sysv, receive_sysv, &sysv_most},
			  socket_queue = {send_socket, receive_socket, NULL},
			  pipe_queue = {send_pipe, receive_pipe, NULL};

static void must_send(const struct queue *q, int which, size_t size)
{
	must_be(q->send(which, size), 0);
}

static void must_receive(const struct queue *q, int which, size_t size)
{
	must_be(q->receive(which, size), (ssize_t)size);
}

static void each_size(const struct queue *q, void (*time)(const struct queue *q, size_t size, double *ret), double *ret)
{
	for (int i = 0; i < SIZES; i++) {
		ret[i] = NAN;
		if (!q->most || sizes[i] <= *q->most)
			time(q, sizes[i], &ret[i]);
	}
}

/* The same for all groups: contenders, and a quantity for each size. */
#define GROUP(run)                                                                                                    \
	.prepare = prepare,                                                                                           \
	.quantities = {{"1 byte", "ns", 0}, {"64 bytes", "ns", 0}, {"1 KiB", "ns", 0}, {"8 KiB", "ns", 0},            \
		       {"64 KiB", "ns", 0}},                                                                          \
	.contenders = {{"fipc", run, &fipc_queue, 0}, {"POSIX mq", run, &posix_queue, 0},                             \
		       {"SysV msg", run, &sysv_queue, 0}, {"SOCK_SEQPACKET", run, &socket_queue, 0},                  \
		       {"pipe", run, &pipe_queue, 0}, BOOST("Boost message_queue", run, &boost_queue, 0)},            \
	.repetitions = 15

/* ---- one thread ---- */

static void time_alone(const struct queue *q, size_t size, double *ret)
{
	TIME_PAIRS(ret, fewer(PAIRS, size), q->send(THERE, size), q->receive(THERE, size) != (ssize_t)size);
}

static void alone(const void *argument, double *ret)
{
	each_size(argument, time_alone, ret);
}

const struct group bench_mq = {
	.name = "mq",
	.title = "a message queue: send and receive, nobody else there",
	GROUP(alone),
};

/* ---- two processes ---- */

struct flow {
	const struct queue *queue;
	size_t size;
};

static void receive_all(void *argument)
{
	const struct flow *f = argument;

	must_receive(f->queue, THERE, f->size);
	must_send(f->queue, BACK, 1); /* begun */
	for (int i = turns(fewer(MESSAGES, f->size)); i > 0; i--)
		must_receive(f->queue, THERE, f->size);
	must_send(f->queue, BACK, 1);
}

static void time_stream(const struct queue *q, size_t size, double *ret)
{
	struct flow f = {q, size};
	pid_t pid = start(receive_all, &f);
	int n = turns(fewer(MESSAGES, size));
	int64_t begun, took;

	must_send(q, THERE, size);
	must_receive(q, BACK, 1); /* the other one runs, and has had its first message */
	begun = now_ns();
	for (int i = 0; i < n; i++)
		must_send(q, THERE, size);
	must_receive(q, BACK, 1);
	took = now_ns() - begun;
	must_be(finish(pid), 0);
	*ret = (double)took / n;
}

static void stream(const void *argument, double *ret)
{
	each_size(argument, time_stream, ret);
}

const struct group bench_mq_stream = {
	.name = "mq_stream",
	.title = "a message queue: one process sends, another receives; for each message",
	GROUP(stream),
};

static void return_all(void *argument)
{
	const struct flow *f = argument;

	for (int i = turns(fewer(TURNS, f->size)); i > 0; i--) {
		must_receive(f->queue, THERE, f->size);
		must_send(f->queue, BACK, f->size);
	}
}

static void time_there_and_back(const struct queue *q, size_t size, double *ret)
{
	struct flow f = {q, size};
	pid_t pid = start(return_all, &f);
	int n = turns(fewer(TURNS, size));
	int64_t begun = now_ns(), took;

	for (int i = 0; i < n; i++) {
		must_send(q, THERE, size);
		must_receive(q, BACK, size);
	}
	took = now_ns() - begun;
	must_be(finish(pid), 0);
	*ret = (double)took / n;
}

static void there_and_back(const void *argument, double *ret)
{
	each_size(argument, time_there_and_back, ret);
}

const struct group bench_mq_back = {
	.name = "mq_back",
	.title = "a message queue: two processes, there and back",
	GROUP(there_and_back),
};
