/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What fipcd does takes as long as there are objects, no longer; and a death takes as long as the dead one had objects.
 * By its CPU time for a small crowd and one ten times as large: what is quadratic would take a hundred times as much.
 * Without inotify it still hears of deaths, later.
 */
#include "bench/population.h"

#include "client.h"
#include "fipcd_support.h"

#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { SMALL = 250, TIMES = 10, DEATHS = 10, ROUNDS = 4, LINEAR_AT_MOST = 40, CONSTANT_AT_MOST = 4 };

struct costs {
	int64_t start, list, deaths; /* ns of CPU time; the least of some tries, for others are at work, too */
};

static int64_t least(int64_t a, int64_t b)
{
	return a == 0 || b < a ? b : a;
}

static int count_objects(json_t *parameters, void *n)
{
	*(size_t *)n += json_array_size(json_object_get(parameters, "objects"));
	return 0;
}

static void list_all(const struct population *p)
{
	struct wire_client *client;
	json_t *reply;
	char *error;
	size_t n = 0;

	must_be(wire_client_connect(&client, p->socket, PATIENCE_MS), 0);
	must_be(wire_client_call_more(client, "io.fipc.Manager.List", NULL, count_objects, &n, &reply, &error), 0);
	must(!error);
	must_be(n, p->objects);
	wire_client_free(client);
}

static void measure(struct population *p, struct costs *ret)
{
	population_make(p);
	population_serve(p);
	ret->start = population_cpu_ns(p);
	for (int i = 0; i < ROUNDS; i++) {
		int64_t begun = population_cpu_ns(p), listed;

		list_all(p);
		listed = population_cpu_ns(p);
		ret->list = least(ret->list, listed - begun);
		for (int k = 0; k < DEATHS; k++)
			population_time_a_death();
		ret->deaths = least(ret->deaths, population_cpu_ns(p) - listed);
	}
	population_end(p);
}

static void compare(const char *what, int64_t small, int64_t large, int at_most)
{
	printf("%s: %.3f ms, and %.3f ms\n", what, (double)small / 1e6, (double)large / 1e6);
	fflush(stdout);
	must(large <= at_most * small);
}

/* ---- inotify's limits ---- */

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	must(fd >= 0);
	must_be(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

/* A user namespace has limits of its own, for whoever is in it. */
static int enter_namespace(void)
{
	char map[32];

	snprintf(map, sizeof(map), "0 %u 1", (unsigned)geteuid());
	if (unshare(CLONE_NEWUSER) < 0)
		return 0;
	write_file("/proc/self/uid_map", map);
	return 1;
}

static void limit_watches(const char *n)
{
	write_file("/proc/sys/user/max_inotify_watches", n);
}

IN_CHILD(without_watches_it_scans)
{
	struct daemon *d;
	void *state;

	if (!enter_namespace()) {
		skip_aloud(__func__, "no user namespace to be had");
		_exit(SKIPPED);
	}
	limit_watches("0");
	daemon_set_up(&state);
	d = state;
	must(daemon_logged(d, "not everything can be watched"));
	murder(start_holder("a", 0));
	await(!exists(d, "a"));
	limit_watches("1000");
	await(daemon_logged(d, "everything is watched again"));
	murder(start_holder("b", 0));
	await(!exists(d, "b"));
	daemon_tear_down(&state);
}

/* ---- names ---- */

/* A tracker has room for the names of most objects; of the others it tells the inode. */
IN_CHILD(long_names_are_found_too)
{
	char name[121];
	struct daemon *d;
	void *state;

	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	daemon_set_up(&state);
	d = state;
	murder(start_holder(name, 0));
	await(!exists(d, name));
	must_become_clean(d->dir, 0);
	daemon_tear_down(&state);
}

/* ---- growth ---- */

/* In a child: its processes are children of its own. */
IN_CHILD(costs_follow_what_there_is)
{
	struct population small = {.objects = SMALL, .processes = 10};
	struct population large = {.objects = TIMES * SMALL, .processes = 100};
	struct costs few = {0}, many = {0};

	measure(&small, &few);
	measure(&large, &many);
	compare("start", few.start, many.start, LINEAR_AT_MOST);
	compare("list", few.list, many.list, LINEAR_AT_MOST);
	compare("deaths", few.deaths, many.deaths, CONSTANT_AT_MOST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(costs_follow_what_there_is),
		cmocka_unit_test(without_watches_it_scans),
		cmocka_unit_test(long_names_are_found_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
