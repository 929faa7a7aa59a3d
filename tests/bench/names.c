/* SPDX-License-Identifier: Apache-2.0 */
/* Names: finding what is there, and making what is not. */
#include "bench.h"
#include "boost.h"

#include <fcntl.h>
#include <mqueue.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { OPENS = 300, SIZE = 64 };

/* What has a name: make it or find it, and close it; remove the name. */
struct named {
	char letter; /* its names' own, for some of these share a directory */
	void (*use)(const char *name, int flags);
	int (*remove)(const char *name);
};

static void use_fipc(const char *name, int flags)
{
	must_be(fipc_mutex_close(must_open(name, flags ? FIPC_CREATE : 0, flags ? FIPC_CREATED : 0)), 0);
}

/* Whoever leaves last has removed it. */
static int remove_fipc(const char *name)
{
	(void)name;
	return 0;
}

static void use_semaphore(const char *name, int flags)
{
	sem_t *s = sem_open(name, flags, 0600, 1);

	must(s != SEM_FAILED);
	sem_close(s);
}

/* What one does by hand: memory with a name, for whatever is to be in it. */
static void use_memory(const char *name, int flags)
{
	int fd = shm_open(name, O_RDWR | flags, 0600);
	void *memory;

	must(fd >= 0);
	if (flags)
		must_be(ftruncate(fd, SIZE), 0);
	memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	must(memory != MAP_FAILED);
	close(fd);
	munmap(memory, SIZE);
}

static void use_queue(const char *name, int flags)
{
	mqd_t q = mq_open(name, O_RDWR | flags, 0600, NULL);

	must(q != (mqd_t)-1);
	mq_close(q);
}

static const struct named fipc = {'f', use_fipc, remove_fipc}, semaphore = {'s', use_semaphore, sem_unlink},
			  memory = {'m', use_memory, shm_unlink}, queue = {'q', use_queue, mq_unlink};

#ifdef HAVE_BOOST
static void use_boost(const char *name, int flags)
{
	(flags ? boost_named_create : boost_named_open)(name + 1);
}

static int remove_boost(const char *name)
{
	boost_named_remove(name + 1);
	return 0;
}

static const struct named boost = {'b', use_boost, remove_boost};
#endif

/* A contender of each. */
#define ALL(run)                                                                                                      \
	{                                                                                                             \
		{"fipc", run, &fipc, 0}, {"sem_open", run, &semaphore, 0}, {"shm_open, mmap", run, &memory, 0},       \
			{"mq_open", run, &queue, 0}, BOOST("Boost named_mutex", run, &boost, 0)                       \
	}

static const char *name_of(const struct named *kind, const char *what)
{
	static char name[64];

	snprintf(name, sizeof(name), "/fipc-test.%d.%c.%s", (int)getpid(), kind->letter, what);
	return name;
}

/* ---- open and close what another process has open ---- */

static void open_it(const void *argument, double *ret)
{
	const struct named *kind = argument;
	const char *name = name_of(kind, "there");
	int64_t begun = now_ns();
	int n = turns(OPENS);

	for (int i = 0; i < n; i++)
		kind->use(name, 0);
	*ret = (double)(now_ns() - begun) / n / 1000;
}

static void prepare(void);

const struct group bench_open = {
	.name = "open",
	.title = "open and close what is there",
	.prepare = prepare,
	.quantities = {{NULL, "us", 0}},
	.contenders = ALL(open_it),
};

static void each_peer(void (*act)(const struct named *kind))
{
	for (const struct contender *c = bench_open.contenders + 1; c->run; c++)
		act(c->argument);
}

static void make(const struct named *kind)
{
	kind->use(name_of(kind, "there"), O_CREAT | O_EXCL);
}

static void take_away(const struct named *kind)
{
	kind->remove(name_of(kind, "there"));
}

static struct gate opened;
static pid_t other;

static void keep_open(void *argument)
{
	must_open(argument, FIPC_CREATE, FIPC_CREATED);
	gate_open(&opened);
	for (;;)
		pause();
}

static void let_go(void)
{
	murder(other);
	each_peer(take_away);
}

/* What the process itself has open is found in a table, by sem_open as by fipc_mutex_open; so it has none. */
static void prepare(void)
{
	each_peer(make);
	gate_make(&opened);
	other = start(keep_open, (char *)name_of(&fipc, "there"));
	gate_pass(&opened);
	atexit(let_go);
}

/* ---- create, close and remove ---- */

static void create_it(const void *argument, double *ret)
{
	const struct named *kind = argument;
	const char *name = name_of(kind, "new");
	int64_t begun = now_ns();
	int n = turns(OPENS);

	for (int i = 0; i < n; i++) {
		kind->use(name, O_CREAT | O_EXCL);
		kind->remove(name);
	}
	*ret = (double)(now_ns() - begun) / n / 1000;
}

const struct group bench_create = {
	.name = "create",
	.title = "create, close and remove",
	.quantities = {{NULL, "us", 0}},
	.contenders = ALL(create_it),
};
