/* SPDX-License-Identifier: Apache-2.0 */
/* Names: finding what is there, and making what is not. */
#include "bench.h"

#include <fcntl.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { OPENS = 300 };

/* ---- open and close what another process has open ---- */

static struct gate opened;
static pid_t other;
static char semaphore_name[64];

static void keep_open(void *argument)
{
	(void)argument;
	must_open("there", FIPC_CREATE, FIPC_CREATED);
	gate_open(&opened);
	for (;;)
		pause();
}

static void let_go(void)
{
	murder(other);
	sem_unlink(semaphore_name);
}

/* One that the process itself has open is found in a table, by sem_open as by fipc_mutex_open; so it has none. */
static void prepare(void)
{
	sem_t *s;

	snprintf(semaphore_name, sizeof(semaphore_name), "/fipc-test.%d", (int)getpid());
	s = sem_open(semaphore_name, O_CREAT | O_EXCL, 0600, 1);
	must(s != SEM_FAILED);
	sem_close(s);
	gate_make(&opened);
	other = start(keep_open, NULL);
	gate_pass(&opened);
	atexit(let_go);
}

static void open_fipc(const void *argument, double *ret)
{
	int64_t begun = now_ns();

	(void)argument;
	for (int i = 0; i < OPENS; i++)
		must_be(fipc_mutex_close(must_open("there", 0, 0)), 0);
	*ret = (double)(now_ns() - begun) / OPENS / 1000;
}

static void open_semaphore(const void *argument, double *ret)
{
	int64_t begun = now_ns();

	(void)argument;
	for (int i = 0; i < OPENS; i++) {
		sem_t *s = sem_open(semaphore_name, 0);

		must(s != SEM_FAILED);
		sem_close(s);
	}
	*ret = (double)(now_ns() - begun) / OPENS / 1000;
}

const struct group bench_open = {
	.name = "open",
	.title = "open and close what is there",
	.prepare = prepare,
	.quantities = {{NULL, "us"}},
	.contenders = {{"fipc", open_fipc, NULL}, {"sem_open, sem_close", open_semaphore, NULL}},
};

/* ---- create, close and remove: fipc_mutex_close, for whoever leaves last ---- */

static void create_fipc(const void *argument, double *ret)
{
	int64_t begun = now_ns();

	(void)argument;
	for (int i = 0; i < OPENS; i++)
		must_be(fipc_mutex_close(must_open("new", FIPC_CREATE, FIPC_CREATED)), 0);
	*ret = (double)(now_ns() - begun) / OPENS / 1000;
}

static void create_semaphore(const void *argument, double *ret)
{
	char name[64];
	int64_t begun = now_ns();

	(void)argument;
	snprintf(name, sizeof(name), "/fipc-test.%d.new", (int)getpid());
	for (int i = 0; i < OPENS; i++) {
		sem_t *s = sem_open(name, O_CREAT | O_EXCL, 0600, 1);

		must(s != SEM_FAILED);
		sem_close(s);
		sem_unlink(name);
	}
	*ret = (double)(now_ns() - begun) / OPENS / 1000;
}

const struct group bench_create = {
	.name = "create",
	.title = "create, close and remove",
	.quantities = {{NULL, "us"}},
	.contenders = {{"fipc", create_fipc, NULL}, {"sem_open, _close, _unlink", create_semaphore, NULL}},
};
