/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fipc-latency [--objects N] [--processes N] [--deaths N] [--json FILE]: how fipcd bears a crowd. How long it takes to
 * start and to tell of everything, what memory it takes, and how long it is from SIGKILL of a small process until the
 * name it used is gone. 1000 objects, 100 processes and 200 deaths unless told. --json: a line of JSON is appended
 * there, too.
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
	{"json", required_argument, NULL, 'j'},
	{NULL, 0, NULL, 0},
};

/* What came of it: milliseconds, KiB. */
struct findings {
	double start, start_cpu, p50, p99, most, list, list_cpu;
	long memory, peak;
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

static void time_deaths(int deaths, struct findings *f)
{
	int64_t *took = calloc((size_t)deaths, sizeof(*took));

	must(took);
	for (int i = 0; i < deaths; i++)
		took[i] = population_time_a_death();
	qsort(took, (size_t)deaths, sizeof(*took), by_value);
	f->p50 = (double)took[(deaths - 1) * 50 / 100] / 1e6;
	f->p99 = (double)took[(deaths - 1) * 99 / 100] / 1e6;
	f->most = (double)took[deaths - 1] / 1e6;
	printf("from SIGKILL to the name gone, %d deaths: p50 %.2f ms, p99 %.2f ms, most %.2f ms\n", deaths, f->p50,
	       f->p99, f->most);
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

static void time_lists(struct population *p, struct findings *f)
{
	int64_t best = INT64_MAX, cpu = population_cpu_ns(p);

	for (int i = 0; i < LISTS; i++) {
		int64_t begun = now_ns();

		must_be(in_child(list_all, p), 0);
		if (now_ns() - begun < best)
			best = now_ns() - begun;
	}
	f->list = (double)best / 1e6;
	f->list_cpu = (double)(population_cpu_ns(p) - cpu) / LISTS / 1e6;
	printf("fipcctl list: %.3f s, the best of %d; of fipcd's CPU time %.3f s each\n", f->list / 1e3, LISTS,
	       f->list_cpu / 1e3);
}

static void time_start(struct population *p, struct findings *f)
{
	f->start = (double)population_serve(p) / 1e6;
	f->start_cpu = (double)population_cpu_ns(p) / 1e6;
	printf("fipcd started in %.3f s, %.3f s of CPU time\n", f->start / 1e3, f->start_cpu / 1e3);
}

static void write_json(const char *path, const struct population *p, int deaths, const struct findings *f)
{
	FILE *json = fopen(path, "ae");

	if (!json) {
		fprintf(stderr, "fipc-latency: %s: cannot be written\n", path);
		exit(1);
	}
	fprintf(json,
		"{\"kind\": \"scale\", \"command\": \"fipc-latency --objects %d --processes %d --deaths %d\", "
		"\"objects\": %d, \"processes\": %d, \"deaths\": %d, ",
		p->objects, p->processes, deaths, p->objects, p->processes, deaths);
	fprintf(json,
		"\"start_ms\": %.6g, \"start_cpu_ms\": %.6g, \"death_p50_ms\": %.6g, \"death_p99_ms\": %.6g, "
		"\"death_most_ms\": %.6g, \"list_ms\": %.6g, \"list_cpu_ms\": %.6g, \"memory_kib\": %ld, "
		"\"peak_kib\": %ld}\n",
		f->start, f->start_cpu, f->p50, f->p99, f->most, f->list, f->list_cpu, f->memory, f->peak);
	fclose(json);
}

int main(int argc, char **argv)
{
	struct population p = {.objects = 1000, .processes = 100};
	const char *json = NULL;
	struct findings found;
	int deaths = 200, option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == '?')
			return 2;
		if (option == 'j')
			json = optarg;
		else
			*(option == 'o' ? &p.objects : option == 'p' ? &p.processes : &deaths) = positive(optarg);
	}
	population_make(&p);
	printf("%d objects, %d processes\n", p.objects, p.processes);
	time_start(&p, &found);
	time_deaths(deaths, &found);
	time_lists(&p, &found);
	found.memory = population_memory(&p, "VmRSS:");
	found.peak = population_memory(&p, "VmHWM:");
	printf("fipcd's memory: %ld KiB, at most %ld KiB\n", found.memory, found.peak);
	if (json)
		write_json(json, &p, deaths, &found);
	population_end(&p);
	return 0;
}
