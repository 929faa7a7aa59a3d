/* SPDX-License-Identifier: Apache-2.0 */
/* Two processes that wake each other in turn. */
#include "bench.h"
#include "boost.h"

#include <fcntl.h>
#include <sched.h>
#include <semaphore.h>
#include <sys/eventfd.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TURNS = 5000 };

static struct {
	struct {
		fipc_sem fipc __attribute__((aligned(64)));
		fipc_event event __attribute__((aligned(64)));
		sem_t libc __attribute__((aligned(64)));
	} ways[2]; /* there, back */
	double ns_per_turn;
} *shared;
static int kernel, descriptors[2], pipes[2][2], sockets[2][2];

static void prepare(void)
{
	if (shared)
		return;
	shared = share(sizeof(*shared));
	for (int i = 0; i < 2; i++) {
		must_be(fipc_sem_init(&shared->ways[i].fipc, 0, 0), 0);
		must_be(fipc_event_init(&shared->ways[i].event, FIPC_AUTORESET), 0);
		must_be(sem_init(&shared->ways[i].libc, 1, 0), 0);
		descriptors[i] = eventfd(0, EFD_CLOEXEC);
		must(descriptors[i] >= 0);
		must_be(pipe2(pipes[i], O_CLOEXEC), 0);
		must_be(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets[i]), 0);
	}
	kernel = make_semaphores(2, 0);
}

/* ---- the ways ---- */

struct turn {
	void (*wait)(int back), (*post)(int back);
};

static void wait_fipc(int back)
{
	must_be(fipc_sem_wait(&shared->ways[back].fipc), 0);
}

static void post_fipc(int back)
{
	must_be(fipc_sem_post(&shared->ways[back].fipc, 1), 0);
}

static void wait_event(int back)
{
	must_be(fipc_event_wait(&shared->ways[back].event), 0);
}

static void set_event(int back)
{
	must_be(fipc_event_set(&shared->ways[back].event), 0);
}

static void wait_libc(int back)
{
	must_be(sem_wait(&shared->ways[back].libc), 0);
}

static void post_libc(int back)
{
	must_be(sem_post(&shared->ways[back].libc), 0);
}

static void wait_kernel(int back)
{
	must_be(semop(kernel, &(struct sembuf){back, -1, 0}, 1), 0);
}

static void post_kernel(int back)
{
	must_be(semop(kernel, &(struct sembuf){back, 1, 0}, 1), 0);
}

static void wait_descriptor(int back)
{
	eventfd_t value;

	must_be(eventfd_read(descriptors[back], &value), 0);
}

static void post_descriptor(int back)
{
	must_be(eventfd_write(descriptors[back], 1), 0);
}

static void read_byte(int fd)
{
	char byte;

	must_be(read(fd, &byte, 1), 1);
}

static void wait_pipe(int back)
{
	read_byte(pipes[back][0]);
}

static void post_pipe(int back)
{
	must_be(write(pipes[back][1], "", 1), 1);
}

static void wait_socket(int back)
{
	read_byte(sockets[back][0]);
}

static void post_socket(int back)
{
	must_be(write(sockets[back][1], "", 1), 1);
}

static const struct turn fipc_turn = {wait_fipc, post_fipc}, event_turn = {wait_event, set_event},
			 libc_turn = {wait_libc, post_libc}, kernel_turn = {wait_kernel, post_kernel},
			 descriptor_turn = {wait_descriptor, post_descriptor}, pipe_turn = {wait_pipe, post_pipe},
			 socket_turn = {wait_socket, post_socket};
#ifdef HAVE_BOOST
static const struct turn boost_turn = {boost_semaphore_wait, boost_semaphore_post};
#endif

/* ---- the play ---- */

static void pin(int processor)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(processor, &set);
	sched_setaffinity(0, sizeof(set), &set); /* refused: then where the kernel likes */
}

struct court {
	const struct turn *turn;
	int processors;
};

static void return_all(void *argument)
{
	const struct court *c = argument;

	pin(c->processors - 1);
	for (int i = turns(TURNS); i > 0; i--) {
		c->turn->wait(0);
		c->turn->post(1);
	}
}

static void serve_all(void *argument)
{
	struct court *c = argument;
	pid_t other = start(return_all, c);
	int n = turns(TURNS), untimed = n / 10;
	int64_t begun = 0;

	pin(0);
	for (int i = 0; i < n; i++) {
		if (i == untimed)
			begun = now_ns();
		c->turn->post(0);
		c->turn->wait(1);
	}
	shared->ns_per_turn = (double)(now_ns() - begun) / (n - untimed);
	must_be(finish(other), 0);
}

static void ping_pong(const void *argument, double *ret)
{
	struct court c = *(const struct court *)argument;

	must_be(in_child(serve_all, &c), 0);
	*ret = shared->ns_per_turn / 1000;
}

#define PLAYED(name) static const struct court name##_1 = {&name##_turn, 1}, name##_2 = {&name##_turn, 2}

PLAYED(fipc);
PLAYED(event);
PLAYED(libc);
PLAYED(kernel);
PLAYED(descriptor);
PLAYED(pipe);
PLAYED(socket);
#ifdef HAVE_BOOST
PLAYED(boost);
#endif

#define CONTENDERS(n)                                                                                                 \
	{                                                                                                             \
		{"fipc semaphore", ping_pong, &fipc_##n, 0}, {"fipc event", ping_pong, &event_##n, 0},                \
			{"sem_t", ping_pong, &libc_##n, 0},                                                           \
			BOOST("Boost interprocess_semaphore", ping_pong, &boost_##n, 0)                               \
			{"semop", ping_pong, &kernel_##n, 0}, {"eventfd", ping_pong, &descriptor_##n, 0},             \
			{"a byte through a pipe", ping_pong, &pipe_##n, 0},                                           \
			{"a byte by SOCK_SEQPACKET", ping_pong, &socket_##n, 0},                                      \
	}

const struct group bench_pingpong = {
	.name = "pingpong",
	.title = "two processes on one processor wake each other in turn: there and back",
	.prepare = prepare,
	.quantities = {{NULL, "us", 0}},
	.contenders = CONTENDERS(1),
};

const struct group bench_pingpong_two = {
	.name = "pingpong-two",
	.title = "the same, each on its own processor",
	.prepare = prepare,
	.quantities = {{NULL, "us", 0}},
	.contenders = CONTENDERS(2),
};
