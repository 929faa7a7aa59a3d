/* SPDX-License-Identifier: Apache-2.0 */
#include "limit.h"
#include "log.h"
#include "manager.h"

#include <getopt.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_USAGE = 2, USEC_PER_MSEC = 1000, USEC_PER_SEC = 1000000 };

static const char help[] =
	"fipcd [--socket PATH] [--dir DIR]... [--idle-exit SECONDS]\n"
	"Reclaim what dead processes left in fipc's directories, and tell who uses what.\n"
	"\n"
	"  --socket PATH        serve on this Unix socket (default /run/fipc/fipcd.sock); a socket\n"
	"                       handed over by systemd goes first\n"
	"  --dir DIR            watch this directory; may be repeated (default: $FIPC_DIR, else\n"
	"                       $FASTIPC_PID_DIR, else /dev/shm/fastipc)\n"
	"  --idle-exit SECONDS  when started by systemd, end after so long without objects and clients\n"
	"  --help               this\n"
	"  --version            the version\n"
	"\n"
	"FIPCD_IDLE_EXIT_MS: milliseconds in place of --idle-exit, for tests. So short a time starts\n"
	"and ends it with every object that is made and goes.\n";

static const struct option long_options[] = {
	{"socket", required_argument, NULL, 's'},
	{"dir", required_argument, NULL, 'd'},
	{"idle-exit", required_argument, NULL, 'i'},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'v'},
	{NULL, 0, NULL, 0},
};

static void usage_error(const char *argument, const char *message)
{
	fprintf(stderr, "fipcd: %s: %s; see fipcd --help\n", argument, message);
	exit(EXIT_USAGE);
}

static void say(const char *text)
{
	exit(fputs(text, stdout) < 0 || fflush(stdout) != 0 ? EXIT_FAILURE : EXIT_SUCCESS);
}

static uint64_t parse_number(const char *text, unsigned long least, const char *message)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || n < least || n > UINT32_MAX / 2)
		usage_error(*text ? text : "''", message);
	return n;
}

static uint64_t parse_seconds(const char *text)
{
	return parse_number(text, IDLE_EXIT_MIN_SEC, "--idle-exit takes a number of seconds, 30 at least") *
	       USEC_PER_SEC;
}

static void parse_environment(struct manager_options *options)
{
	const char *milliseconds = getenv("FIPCD_IDLE_EXIT_MS");
	if (milliseconds)
		options->idle_exit_usec =
			parse_number(milliseconds, 1, "FIPCD_IDLE_EXIT_MS is a number of milliseconds") * USEC_PER_MSEC;
}

static const char *parse_path(const char *text)
{
	if (*text != '/')
		usage_error(*text ? text : "''", "not an absolute path");
	return text;
}

static void parse(struct manager_options *options, int argc, char **argv)
{
	int c;
	opterr = 0;
	while ((c = getopt_long(argc, argv, ":", long_options, NULL)) != -1) {
		switch (c) {
		case 's':
			options->socket = parse_path(optarg);
			break;
		case 'd':
			options->dirs[options->n_dirs++] = parse_path(optarg);
			break;
		case 'i':
			options->idle_exit_usec = parse_seconds(optarg);
			break;
		case 'h':
			say(help);
			break;
		case 'v':
			say("fipcd " FIPC_VERSION "\n");
			break;
		case ':':
			usage_error(argv[optind - 1], "needs a value");
			break;
		default:
			usage_error(argv[optind - 1], "unknown option");
		}
	}
	if (optind < argc)
		usage_error(argv[optind], "unexpected argument");
}

int main(int argc, char **argv)
{
	struct manager *manager;
	struct manager_options options = {.socket = "/run/fipc/fipcd.sock"};
	log_open();
	options.dirs = calloc((size_t)argc, sizeof(*options.dirs));
	if (!options.dirs)
		return EXIT_FAILURE;
	parse(&options, argc, argv);
	parse_environment(&options);
	int r = manager_new(&manager, &options);
	if (r >= 0) {
		r = manager_run(manager);
		manager_free(manager);
	}
	free(options.dirs);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
