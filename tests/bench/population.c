/* SPDX-License-Identifier: Apache-2.0 */
#include "population.h"

#include "client.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct user {
	const struct population *population;
	int number;
	struct gate ready;
};

static void sleep_until_killed(const struct gate *ready)
{
	gate_open(ready);
	for (;;)
		pause();
}

static void use_some(void *argument)
{
	const struct user *u = argument;
	char name[32];

	for (int i = u->number; i < u->population->objects; i += u->population->processes) {
		snprintf(name, sizeof(name), "object-%d", i);
		must_open(name, FIPC_CREATE, FIPC_CREATED);
	}
	sleep_until_killed(&u->ready);
}

void population_make(struct population *p)
{
	struct user u = {.population = p};

	test_dir();
	p->pids = calloc((size_t)p->processes, sizeof(*p->pids));
	must(p->pids);
	gate_make(&u.ready);
	for (u.number = 0; u.number < p->processes; u.number++) {
		p->pids[u.number] = start(use_some, &u);
		gate_pass(&u.ready);
	}
	gate_free(&u.ready);
}

void population_end(struct population *p)
{
	for (int i = 0; i < p->processes; i++)
		murder(p->pids[i]);
	free(p->pids);
	if (!p->daemon)
		return;
	for (int i = 0; i < p->objects; i++) {
		char file[48];

		snprintf(file, sizeof(file), "object-%d.mutex", i);
		await(inode_of(test_dir(), file) == 0);
	}
	must_be(kill(p->daemon, SIGTERM), 0);
	must_be(finish(p->daemon), 0);
}

/* ---- the daemon ---- */

static void be_fipcd(void *argument)
{
	const struct population *p = argument;
	int quiet = open("/dev/null", O_WRONLY | O_CLOEXEC);

	dup2(quiet, STDERR_FILENO); /* it says each object that it takes */
	execl(FIPCD_PATH, "fipcd", "--socket", p->socket, "--dir", test_dir(), (char *)NULL);
	_exit(1);
}

/* It listens before it looks, and answers afterwards. */
static int answers(const struct population *p)
{
	struct wire_client *client;
	json_t *reply;
	char *error;
	int r = wire_client_connect(&client, p->socket, 0);

	if (r < 0)
		return 0;
	must_be(wire_client_call(client, "org.varlink.service.GetInfo", NULL, &reply, &error), 0);
	must(!error);
	json_decref(reply);
	wire_client_free(client);
	return 1;
}

int64_t population_serve(struct population *p)
{
	int64_t begun = now_ns();

	snprintf(p->socket, sizeof(p->socket), "%s/socket", test_dir());
	p->daemon = start(be_fipcd, p);
	await(answers(p));
	return now_ns() - begun;
}

long population_memory(const struct population *p, const char *line)
{
	char path[32], text[128];
	long kib = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)p->daemon);
	f = fopen(path, "re");
	must(f);
	while (kib == 0 && fgets(text, sizeof(text), f))
		if (strncmp(text, line, strlen(line)) == 0)
			kib = atol(text + strlen(line));
	fclose(f);
	must(kib > 0);
	return kib;
}

int64_t population_cpu_ns(const struct population *p)
{
	struct timespec t;
	clockid_t clock;

	must_be(clock_getcpuclockid(p->daemon, &clock), 0);
	must_be(clock_gettime(clock, &t), 0);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

/* ---- a death ---- */

static void die_when_killed(void *argument)
{
	must_open("victim", FIPC_CREATE, FIPC_CREATED);
	sleep_until_killed(argument);
}

int64_t population_time_a_death(void)
{
	struct gate ready;
	int64_t killed_at, gone_at;
	pid_t pid;

	gate_make(&ready);
	pid = start(die_when_killed, &ready);
	gate_pass(&ready);
	gate_free(&ready);
	must(inode_of(test_dir(), "victim.mutex") != 0);
	killed_at = now_ns();
	must_be(kill(pid, SIGKILL), 0);
	while (inode_of(test_dir(), "victim.mutex") != 0) {
		must(now_ns() - killed_at < PATIENCE_MS * INT64_C(1000000));
		sched_yield();
	}
	gone_at = now_ns();
	must_be(finish(pid), 128 + SIGKILL);
	return gone_at - killed_at;
}
