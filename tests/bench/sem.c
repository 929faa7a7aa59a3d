/* SPDX-License-Identifier: Apache-2.0 */
/* Semaphores: nobody else there, and two processes that wake each other in turn. */
#include "bench.h"

#include <sched.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/sem.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAIRS = 1000000, SYSCALL_PAIRS = 20000, TURNS = 5000 };

static struct {
	fipc_sem fipc __attribute__((aligned(64)));
	sem_t libc __attribute__((aligned(64)));
	fipc_sem there __attribute__((aligned(64))), back __attribute__((aligned(64)));
	sem_t libc_there __attribute__((aligned(64))), libc_back __attribute__((aligned(64)));
	double ns_per_turn;
} *shared;
static fipc_sem *owned;
static int kernel;

static void remove_kernel(void)
{
	semctl(kernel, 0, IPC_RMID);
}

static void prepare(void)
{
	if (shared)
		return;
	shared = share(sizeof(*shared));
	must_be(fipc_sem_init(&shared->fipc, 1, 0), 0);
	must_be(fipc_sem_init(&shared->there, 0, 0), 0);
	must_be(fipc_sem_init(&shared->back, 0, 0), 0);
	must_be(sem_init(&shared->libc, 1, 1), 0);
	must_be(sem_init(&shared->libc_there, 1, 0), 0);
	must_be(sem_init(&shared->libc_back, 1, 0), 0);
	test_dir();
	must_be(fipc_sem_open(&owned, "owned", 1, FIPC_CREATE | FIPC_OWNED, 0600), FIPC_CREATED);
	kernel = semget(IPC_PRIVATE, 1, 0600);
	must(kernel >= 0);
	atexit(remove_kernel);
	must_be(semctl(kernel, 0, SETVAL, 1), 0);
}

static void fipc(const void *argument, double *ret)
{
	fipc_sem *s = &shared->fipc;

	(void)argument;
	TIME_PAIRS(ret, PAIRS, fipc_sem_wait(s), fipc_sem_post(s, 1));
}

static void libc(const void *argument, double *ret)
{
	sem_t *s = &shared->libc;

	(void)argument;
	TIME_PAIRS(ret, PAIRS, sem_wait(s), sem_post(s));
}

static void fipc_owned(const void *argument, double *ret)
{
	(void)argument;
	TIME_PAIRS(ret, PAIRS, fipc_sem_wait(owned), fipc_sem_post(owned, 1));
}

static void semop_with(const void *argument, double *ret)
{
	short flags = *(const short *)argument;
	struct sembuf down = {0, -1, flags}, up = {0, 1, flags};

	TIME_PAIRS(ret, SYSCALL_PAIRS, semop(kernel, &down, 1), semop(kernel, &up, 1));
}

static const short undo = SEM_UNDO, plain = 0;

const struct group bench_sem = {
	.name = "sem",
	.title = "a semaphore: wait and post, nobody else there",
	.prepare = prepare,
	.quantities = {{NULL, "ns"}},
	.contenders = {{"fipc", fipc, NULL},
		       {"sem_t, process-shared", libc, NULL},
		       {"semop", semop_with, &plain}},
};

const struct group bench_owned = {
	.name = "owned",
	.title = "a semaphore whose tokens come back at a death: wait and post, nobody else there",
	.prepare = prepare,
	.quantities = {{NULL, "ns"}},
	.contenders = {{"fipc, FIPC_OWNED", fipc_owned, NULL},
		       {"sem_t, process-shared", libc, NULL},
		       {"semop, SEM_UNDO", semop_with, &undo}},
};

/* ---- ping-pong ---- */

struct turn {
	void (*wait)(int back), (*post)(int back);
};

static void wait_fipc(int back)
{
	must_be(fipc_sem_wait(back ? &shared->back : &shared->there), 0);
}

static void post_fipc(int back)
{
	must_be(fipc_sem_post(back ? &shared->back : &shared->there, 1), 0);
}

static void wait_libc(int back)
{
	must_be(sem_wait(back ? &shared->libc_back : &shared->libc_there), 0);
}

static void post_libc(int back)
{
	must_be(sem_post(back ? &shared->libc_back : &shared->libc_there), 0);
}

static const struct turn fipc_turn = {wait_fipc, post_fipc}, libc_turn = {wait_libc, post_libc};

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
	for (int i = 0; i < TURNS; i++) {
		c->turn->wait(0);
		c->turn->post(1);
	}
}

static void serve_all(void *argument)
{
	struct court *c = argument;
	pid_t other = start(return_all, c);
	int64_t begun = 0;

	pin(0);
	for (int i = 0; i < TURNS; i++) {
		if (i == TURNS / 10)
			begun = now_ns();
		c->turn->post(0);
		c->turn->wait(1);
	}
	shared->ns_per_turn = (double)(now_ns() - begun) / (TURNS - TURNS / 10);
	must_be(finish(other), 0);
}

static void ping_pong(const void *argument, double *ret)
{
	struct court c = *(const struct court *)argument;

	must_be(in_child(serve_all, &c), 0);
	*ret = shared->ns_per_turn / 1000;
}

static const struct court fipc_one = {&fipc_turn, 1}, libc_one = {&libc_turn, 1}, fipc_two = {&fipc_turn, 2},
			  libc_two = {&libc_turn, 2};

const struct group bench_pingpong = {
	.name = "pingpong",
	.title = "two processes on one processor wake each other in turn: there and back",
	.prepare = prepare,
	.quantities = {{NULL, "us"}},
	.contenders = {{"fipc", ping_pong, &fipc_one}, {"sem_t, process-shared", ping_pong, &libc_one}},
};

const struct group bench_pingpong_two = {
	.name = "pingpong-two",
	.title = "the same, each on its own processor",
	.prepare = prepare,
	.quantities = {{NULL, "us"}},
	.contenders = {{"fipc", ping_pong, &fipc_two}, {"sem_t, process-shared", ping_pong, &libc_two}},
};
