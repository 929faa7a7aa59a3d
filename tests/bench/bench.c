/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fipc-bench [--quick] [--json FILE] [<group>...]: all groups unless told. See bench.h.
 *	--quick          hardly at all: shows that it runs
 *	--instructions   once, few turns: for callgrind to count the instructions of
 *	--json FILE      append there a line of JSON for each contender and quantity, too
 *	--list           say which groups there are
 */
#include "bench.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern const struct group bench_alone, bench_two, bench_eight, bench_death, bench_big_death, bench_open, bench_create,
			  bench_sem, bench_owned, bench_event, bench_pingpong, bench_pingpong_two, bench_mq,
			  bench_mq_stream, bench_mq_back;

static const struct group *const groups[] = {
	&bench_alone,	&bench_sem,	 &bench_owned,	      &bench_event, &bench_two,
	&bench_eight,	&bench_pingpong, &bench_pingpong_two, &bench_mq,    &bench_mq_stream,
	&bench_mq_back, &bench_open,	 &bench_create,	      &bench_death, &bench_big_death,
};
enum { GROUPS = sizeof(groups) / sizeof(*groups) };

static FILE *json;

static int repetitions(const struct group *g)
{
	return effort != IN_EARNEST ? 1 : g->repetitions ? g->repetitions : REPETITIONS;
}

/* ---- many samples in three figures ---- */

struct summary {
	double low, median, high; /* quartiles */
};

static struct summary summarise(const double *samples, int n)
{
	double sorted[REPETITIONS];

	for (int i = 0; i < n; i++)
		if (isnan(samples[i]))
			return (struct summary){NAN, NAN, NAN};
	memcpy(sorted, samples, sizeof(*sorted) * n);
	qsort(sorted, n, sizeof(*sorted), by_value);
	return (struct summary){sorted[n / 4], sorted[n / 2], sorted[n * 3 / 4]};
}

typedef double samples_t[MOST_CONTENDERS][MOST_QUANTITIES][REPETITIONS];

/* Of ours, the first contender, to those of another; NAN: that is the first. */
static struct summary ratios_to(samples_t samples, int contender, int quantity, int n)
{
	double ratios[REPETITIONS];

	for (int i = 0; i < n; i++)
		ratios[i] = contender ? samples[0][quantity][i] / samples[contender][quantity][i] : NAN;
	return summarise(ratios, n);
}

/* ---- measure and tell ---- */

static void measure(const struct group *g, samples_t samples)
{
	for (int i = 0; i < repetitions(g); i++)
		for (int c = 0; c < MOST_CONTENDERS && g->contenders[c].run; c++) {
			double values[MOST_QUANTITIES] = {0};

			count_for(g->name, g->contenders[c].name, values);
			g->contenders[c].run(g->contenders[c].argument, values);
			for (int q = 0; q < MOST_QUANTITIES; q++)
				samples[c][q][i] = values[q];
		}
}

/* JSON has no NaN, and no infinity: of a share of nothing. */
static void print_summary_json(const char *key, struct summary s)
{
	if (isfinite(s.low) && isfinite(s.median) && isfinite(s.high))
		fprintf(json, ", \"%s\": [%.6g, %.6g, %.6g]", key, s.low, s.median, s.high);
	else
		fprintf(json, ", \"%s\": null", key);
}

static void print_one_json(const struct group *g, const struct quantity *quantity, const struct contender *c,
			   struct summary s, struct summary ratio)
{
	fprintf(json,
		"{\"kind\": \"bench\", \"command\": \"%s %s\", \"linked\": \"%s\", \"group\": \"%s\", "
		"\"title\": \"%s\", ",
		program_invocation_short_name, g->name, LINKED, g->name, g->title);
	fprintf(json,
		"\"quantity\": \"%s\", \"unit\": \"%s\", \"better\": \"%s\", \"contender\": \"%s\", "
		"\"recovers\": %s, \"repetitions\": %d",
		quantity->what ? quantity->what : "", quantity->unit, quantity->more ? "more" : "less", c->name,
		c->recovers ? "true" : "false", repetitions(g));
	print_summary_json("quartiles", s);
	print_summary_json("fipc_is_times_this", ratio);
	fprintf(json, "}\n");
	fflush(json); /* or children have it, too */
}

static void print_all_json(const struct group *g, samples_t samples)
{
	int n = repetitions(g);

	for (int q = 0; q < MOST_QUANTITIES && g->quantities[q].unit; q++)
		for (int c = 0; c < MOST_CONTENDERS && g->contenders[c].run; c++)
			print_one_json(g, &g->quantities[q], &g->contenders[c], summarise(samples[c][q], n),
				       ratios_to(samples, c, q, n));
}

/* One quantity: a line for each contender. */
static void print_lines(const struct group *g, samples_t samples)
{
	int n = repetitions(g);

	for (int c = 0; c < MOST_CONTENDERS && g->contenders[c].run; c++) {
		struct summary s = summarise(samples[c][0], n), ratio = ratios_to(samples, c, 0, n);

		printf("  %-28s %9.2f %s (%.2f to %.2f)", g->contenders[c].name, s.median, g->quantities[0].unit, s.low,
		       s.high);
		if (!isnan(ratio.median))
			printf(", fipc is %.3g x this (%.3g to %.3g)", ratio.median, ratio.low, ratio.high);
		printf("\n");
	}
}

/* Several: a column for each, of medians and half of what is between the quartiles. */
static void print_columns(const struct group *g, samples_t samples)
{
	char text[64];

	printf("  %-28s", "");
	for (int q = 0; q < MOST_QUANTITIES && g->quantities[q].unit; q++) {
		snprintf(text, sizeof(text), "%s, %s", g->quantities[q].what, g->quantities[q].unit);
		printf("%20s", text);
	}
	for (int c = 0; c < MOST_CONTENDERS && g->contenders[c].run; c++) {
		printf("\n  %-28s", g->contenders[c].name);
		for (int q = 0; q < MOST_QUANTITIES && g->quantities[q].unit; q++) {
			struct summary s = summarise(samples[c][q], repetitions(g));

			if (isnan(s.median))
				printf("%20s", "not to be had");
			else
				printf("%12.5g +-%4.0f %%", s.median, 50 * (s.high - s.low) / s.median);
		}
	}
	printf("\n");
}

static void run(const struct group *g)
{
	static samples_t samples;

	if (g->prepare)
		g->prepare();
	measure(g, samples);
	if (effort == UNDER_CALLGRIND)
		return;
	printf("%s: %s; %d repetitions\n", g->name, g->title, repetitions(g));
	(g->quantities[1].unit ? print_columns : print_lines)(g, samples);
	fflush(stdout);
	if (json)
		print_all_json(g, samples);
}

/* ---- the command line ---- */

static const struct group *find_group(const char *name)
{
	for (int i = 0; i < GROUPS; i++)
		if (!strcmp(groups[i]->name, name))
			return groups[i];
	return NULL;
}

static void list_groups(void)
{
	for (int i = 0; i < GROUPS; i++)
		printf("%s\n", groups[i]->name);
}

static void usage(void)
{
	fprintf(stderr, "usage: fipc-bench [--quick] [--instructions] [--json FILE] [--list] [<group>...], of");
	for (int i = 0; i < GROUPS; i++)
		fprintf(stderr, " %s", groups[i]->name);
	fprintf(stderr, "\n");
	exit(2);
}

static void open_json(const char *path)
{
	json = fopen(path, "ae");
	if (json)
		return;
	fprintf(stderr, "fipc-bench: %s: cannot be written\n", path);
	exit(1);
}

static void parse(int argc, char **argv)
{
	static const struct option options[] = {
		{"quick", no_argument, NULL, 'q'},
		{"instructions", no_argument, NULL, 'i'},
		{"json", required_argument, NULL, 'j'},
		{"list", no_argument, NULL, 'l'},
		{NULL, 0, NULL, 0},
	};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (option) {
		case 'q':
			effort = QUICKLY;
			break;
		case 'i':
			effort = UNDER_CALLGRIND;
			break;
		case 'j':
			open_json(optarg);
			break;
		case 'l':
			list_groups();
			exit(0);
		default:
			usage();
		}
	for (int i = optind; i < argc; i++)
		if (!find_group(argv[i]))
			usage();
}

static void *idle(void *argument)
{
	for (;;)
		pause();
	return argument;
}

static void tell_how(void)
{
	printf("medians (quartiles), libfipc linked " LINKED ", %ld processors\n", sysconf(_SC_NPROCESSORS_ONLN));
#ifndef HAVE_BOOST
	skip_aloud("Boost.Interprocess", "not built here (sh tests/setup.sh bench installs libboost-dev)");
#endif
}

int main(int argc, char **argv)
{
	pthread_t second; /* libcs take short cuts while a process has one thread */

	parse(argc, argv);
	signal(SIGPIPE, SIG_IGN); /* as by `fipc-bench | head` */
	test_dir();
	calibrate_work();
	make_locks();
	must_be(pthread_create(&second, NULL, idle, NULL), 0);
	tell_how();
	for (int i = optind; i < argc; i++)
		run(find_group(argv[i]));
	for (int i = 0; optind == argc && i < GROUPS; i++)
		run(groups[i]);
	return 0;
}
