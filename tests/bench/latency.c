/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fipc-latency [--objects N] [--processes N] [--deaths N]: how fipcd bears a crowd. How long it takes to start and to
 * tell of everything, what memory it takes, and how long it is from SIGKILL of a small process until the name it used
 * is gone. 1000 objects, 100 processes and 200 deaths unless told.
 */
#include "population.h"

#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { LISTS = 5 };

static const struct option options[] = {
	{"objects", required_argument, NULL, 'o'},
	{"processes", required_argument, NULL, 'p'},
	{"deaths", required_argument, NULL, 'd'},
	{NULL, 0, NULL, 0},
};

static int positive(const char *text)
{
	int n = atoi(text);

	if (n > 0)
		return n;
	fprintf(stderr, "fipc-latency: %s: not a number above 0\n", text);
	exit(2);
}

static int by_value(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

static void tell_deaths(int deaths)
{
	int64_t *took = calloc((size_t)deaths, sizeof(*took));

	must(took);
	for (int i = 0; i < deaths; i++)
		took[i] = population_time_a_death();
	qsort(took, (size_t)deaths, sizeof(*took), by_value);
	printf("from SIGKILL to the name gone, %d deaths: p50 %.2f ms, p99 %.2f ms, most %.2f ms\n", deaths,
	       (double)took[(deaths - 1) * 50 / 100] / 1e6, (double)took[(deaths - 1) * 99 / 100] / 1e6,
	       (double)took[deaths - 1] / 1e6);
	free(took);
}

static void list_all(void *argument)
{
	const struct population *p = argument;
	int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);

	dup2(nowhere, STDOUT_FILENO);
	execl(FIPCCTL_PATH, "fipcctl", "list", "--socket", p->socket, "--dir", test_dir(), (char *)NULL);
	_exit(1);
}

static void tell_lists(struct population *p)
{
	int64_t best = INT64_MAX, cpu = population_cpu_ns(p);

	for (int i = 0; i < LISTS; i++) {
		int64_t begun = now_ns();

		must_be(in_child(list_all, p), 0);
		if (now_ns() - begun < best)
			best = now_ns() - begun;
	}
	printf("fipcctl list: %.3f s, the best of %d; of fipcd's CPU time %.3f s each\n", (double)best / 1e9, LISTS,
	       (double)(population_cpu_ns(p) - cpu) / LISTS / 1e9);
}

int main(int argc, char **argv)
{
	struct population p = {.objects = 1000, .processes = 100};
	int deaths = 200, option;
	int64_t started;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == '?')
			return 2;
		*(option == 'o' ? &p.objects : option == 'p' ? &p.processes : &deaths) = positive(optarg);
	}
	population_make(&p);
	started = population_serve(&p);
	printf("%d objects, %d processes\n", p.objects, p.processes);
	printf("fipcd started in %.3f s, %.3f s of CPU time\n", (double)started / 1e9,
	       (double)population_cpu_ns(&p) / 1e9);
	tell_deaths(deaths);
	tell_lists(&p);
	printf("fipcd's memory: %ld KiB, at most %ld KiB\n", population_memory(&p, "VmRSS:"),
	       population_memory(&p, "VmHWM:"));
	population_end(&p);
	return 0;
}
