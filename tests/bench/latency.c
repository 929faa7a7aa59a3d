/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fipc-latency [<objects> [<processes> [<deaths>]]]: how long from SIGKILL of a small process until the name it used is
 * gone, with fipcd running and so many objects and processes tracked. 1000, 100 and 200 unless told.
 */
#include "../support.h"

#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { MOST_NS = 2000000000 }; /* more than this is a failure, on however slow a machine */

static const char *dir;
static char socket_path[PATH_MAX];
static int objects = 1000, processes = 100, deaths = 200;

static void be_fipcd(void *argument)
{
	int quiet = open("/dev/null", O_WRONLY | O_CLOEXEC);

	(void)argument;
	dup2(quiet, STDERR_FILENO); /* it says each object that it takes */
	execl(FIPCD_PATH, "fipcd", "--socket", socket_path, "--dir", dir, (char *)NULL);
	_exit(1);
}

static int is_served(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), r;

	snprintf(address.sun_path, sizeof(address.sun_path), "%.100s", socket_path);
	r = connect(fd, (struct sockaddr *)&address, sizeof(address));
	close(fd);
	return r == 0;
}

struct user {
	int number;
	struct gate ready;
};

static void use_some(void *argument)
{
	const struct user *u = argument;
	char name[32];

	for (int i = u->number; i < objects; i += processes) {
		snprintf(name, sizeof(name), "object-%d", i);
		must_open(name, FIPC_CREATE, FIPC_CREATED);
	}
	gate_open(&u->ready);
	for (;;)
		pause();
}

static void die_when_killed(void *argument)
{
	const struct user *u = argument;

	must_open("victim", FIPC_CREATE, FIPC_CREATED);
	gate_open(&u->ready);
	for (;;)
		pause();
}

static int64_t time_a_death(struct user *u)
{
	pid_t pid = start(die_when_killed, u);
	int64_t killed_at, gone_at;

	gate_pass(&u->ready);
	must(inode_of(dir, "victim.mutex") != 0);
	killed_at = now_ns();
	must_be(kill(pid, SIGKILL), 0);
	while (inode_of(dir, "victim.mutex") != 0) {
		must(now_ns() - killed_at < MOST_NS);
		sched_yield();
	}
	gone_at = now_ns();
	must_be(finish(pid), 128 + SIGKILL);
	return gone_at - killed_at;
}

static int by_value(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

static double percentile_us(const int64_t *sorted, int percent)
{
	return (double)sorted[(deaths - 1) * percent / 100] / 1000;
}

static int argument(int argc, char **argv, int i, int otherwise)
{
	return argc > i && atoi(argv[i]) > 0 ? atoi(argv[i]) : otherwise;
}

int main(int argc, char **argv)
{
	struct user u;
	int64_t *took;
	pid_t daemon, *users;

	objects = argument(argc, argv, 1, objects);
	processes = argument(argc, argv, 2, processes);
	deaths = argument(argc, argv, 3, deaths);
	took = calloc(deaths, sizeof(*took));
	users = calloc(processes, sizeof(*users));
	dir = test_dir();
	snprintf(socket_path, sizeof(socket_path), "%s/socket", dir);
	gate_make(&u.ready);
	for (int i = 0; i < processes; i++) {
		u.number = i;
		users[i] = start(use_some, &u);
		gate_pass(&u.ready);
	}
	daemon = start(be_fipcd, NULL);
	await(is_served());
	for (int i = 0; i < deaths; i++)
		took[i] = time_a_death(&u);
	qsort(took, deaths, sizeof(*took), by_value);
	printf("from SIGKILL to the name gone, %d objects, %d processes, %d deaths: ", objects, processes, deaths);
	printf("p50 %.0f us, p99 %.0f us, most %.0f us\n", percentile_us(took, 50), percentile_us(took, 99),
	       percentile_us(took, 100));
	for (int i = 0; i < processes; i++)
		murder(users[i]);
	await(inode_of(dir, "object-0.mutex") == 0);
	must_be(kill(daemon, SIGTERM), 0);
	must_be(finish(daemon), 0);
	free(took);
	free(users);
	return 0;
}
