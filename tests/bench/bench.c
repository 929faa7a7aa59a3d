/* SPDX-License-Identifier: Apache-2.0 */
/* fipc-bench [<group>...]: all groups unless told. See bench.h. */
#include "bench.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern const struct group bench_alone, bench_two, bench_eight, bench_death, bench_big_death, bench_open, bench_create,
			  bench_sem, bench_owned, bench_pingpong, bench_pingpong_two, bench_mq, bench_mq_two;

static const struct group *const groups[] = {
	&bench_alone, &bench_two, &bench_eight, &bench_death, &bench_big_death, &bench_open, &bench_create,
	&bench_sem, &bench_owned, &bench_pingpong, &bench_pingpong_two, &bench_mq, &bench_mq_two,
};
enum { GROUPS = sizeof(groups) / sizeof(*groups) };

struct summary {
	double low, median, high; /* quartiles */
};

static struct summary summarise(const double *samples)
{
	double sorted[REPETITIONS];

	memcpy(sorted, samples, sizeof(sorted));
	qsort(sorted, REPETITIONS, sizeof(*sorted), by_value);
	return (struct summary){sorted[REPETITIONS / 4], sorted[REPETITIONS / 2], sorted[REPETITIONS * 3 / 4]};
}

static struct summary summarise_ratios(const double *ours, const double *theirs)
{
	double ratios[REPETITIONS];

	for (int i = 0; i < REPETITIONS; i++)
		ratios[i] = ours[i] / theirs[i];
	return summarise(ratios);
}

typedef double samples_t[MOST_CONTENDERS][MOST_QUANTITIES][REPETITIONS];

static void measure(const struct group *g, samples_t samples)
{
	for (int i = 0; i < REPETITIONS; i++)
		for (int c = 0; c < MOST_CONTENDERS && g->contenders[c].run; c++) {
			double values[MOST_QUANTITIES] = {0};

			g->contenders[c].run(g->contenders[c].argument, values);
			for (int q = 0; q < MOST_QUANTITIES; q++)
				samples[c][q][i] = values[q];
		}
}

static void print_quantity(const struct group *g, int q, samples_t samples)
{
	if (g->quantities[q].what)
		printf(" %s\n", g->quantities[q].what);
	for (int c = 0; c < MOST_CONTENDERS && g->contenders[c].run; c++) {
		struct summary s = summarise(samples[c][q]);

		printf("  %-26s %9.2f %s (%.2f to %.2f)", g->contenders[c].name, s.median, g->quantities[q].unit, s.low,
		       s.high);
		if (c > 0) {
			struct summary r = summarise_ratios(samples[0][q], samples[c][q]);

			printf(", fipc is %.3g x this (%.3g to %.3g)", r.median, r.low, r.high);
		}
		printf("\n");
	}
}

static void run(const struct group *g)
{
	static samples_t samples;

	if (g->prepare)
		g->prepare();
	measure(g, samples);
	printf("%s: %s\n", g->name, g->title);
	for (int q = 0; q < MOST_QUANTITIES && g->quantities[q].unit; q++)
		print_quantity(g, q, samples);
	fflush(stdout);
}

static const struct group *find_group(const char *name)
{
	for (int i = 0; i < GROUPS; i++)
		if (!strcmp(groups[i]->name, name))
			return groups[i];
	return NULL;
}

static int usage(void)
{
	fprintf(stderr, "usage: fipc-bench [<group>...], of");
	for (int i = 0; i < GROUPS; i++)
		fprintf(stderr, " %s", groups[i]->name);
	fprintf(stderr, "\n");
	return 2;
}

static void *idle(void *argument)
{
	for (;;)
		pause();
	return argument;
}

int main(int argc, char **argv)
{
	pthread_t second; /* libcs take short cuts while a process has one thread */

	for (int i = 1; i < argc; i++)
		if (!find_group(argv[i]))
			return usage();
	signal(SIGPIPE, SIG_IGN); /* as by `fipc-bench | head` */
	test_dir();
	calibrate_work();
	make_locks();
	must_be(pthread_create(&second, NULL, idle, NULL), 0);
	printf("medians (quartiles) of %d repetitions, libfipc linked " LINKED ", %ld processors\n", REPETITIONS,
	       sysconf(_SC_NPROCESSORS_ONLN));
	for (int i = 1; i < argc; i++)
		run(find_group(argv[i]));
	for (int i = 0; argc == 1 && i < GROUPS; i++)
		run(groups[i]);
	return 0;
}
