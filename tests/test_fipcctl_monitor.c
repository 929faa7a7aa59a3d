/* SPDX-License-Identifier: Apache-2.0 */
/* `fipcctl monitor`: what fipcd hears is told at once, line by line; and it ends when nobody wants to know. */
#include "fipcctl_support.h"

#include <fcntl.h>
#include <fnmatch.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct listener {
	char *words[8];
	int out[2];
	pid_t pid;
	char line[4000]; /* the last one read */
};

static void be_listener(void *argument)
{
	struct listener *l = argument;

	fipcctl_exec(l->words, l->out[1], STDERR_FILENO);
}

/* Byte by byte: a line that is being written is waited for. */
static void read_line(struct listener *l)
{
	struct pollfd in = {.fd = l->out[0], .events = POLLIN};
	size_t n = 0;

	do {
		must(n < sizeof(l->line));
		must_be(poll(&in, 1, PATIENCE_MS), 1);
		must_be(read(l->out[0], &l->line[n], 1), 1);
	} while (l->line[n++] != '\n');
	l->line[n - 1] = '\0';
}

static void must_read(struct listener *l, const char *pattern)
{
	read_line(l);
	squeeze(l->line);
	if (fnmatch(pattern, l->line, 0) != 0)
		fprintf(stderr, "wanted: %s\ngot: %s\n", pattern, l->line);
	must_be(fnmatch(pattern, l->line, 0), 0);
}

static void listen_with(struct listener *l, const char *option, const char *argument)
{
	*l = (struct listener){.words = {(char *)"fipcctl", (char *)"monitor", (char *)option, (char *)argument}};
	must_be(pipe2(l->out, O_CLOEXEC), 0);
	l->pid = start(be_listener, l);
	close(l->out[1]);
}

static void must_end(struct listener *l, int wanted)
{
	int status;

	must_be(ended(l->pid, &status, PATIENCE_MS), 1);
	must_be(status, wanted);
}

static void stop(struct listener *l, int signal)
{
	must_be(kill(l->pid, signal), 0);
	must_end(l, DONE);
	close(l->out[0]);
}

static void serve(struct service *s)
{
	names();
	service_start(s);
	setenv("FIPC_SOCKET", s->socket, 1);
}

static struct gate locked;

static void lock_and_wait(void *argument)
{
	fipc_mutex *m = must_open(argument, FIPC_CREATE, FIPC_CREATED);

	must_be(fipc_mutex_lock(m), 0);
	gate_open(&locked);
	pause();
}

static pid_t start_owner(const char *name)
{
	pid_t pid = start(lock_and_wait, (void *)name);

	gate_pass(&locked);
	return pid;
}

static void must_read_of(struct listener *l, const char *event, const char *object, pid_t pid)
{
	char pattern[200];

	snprintf(pattern, sizeof(pattern), "20[0-9]*-*-* *:*:*.[0-9]* %s %s %d*", event, object, pid);
	must_read(l, pattern);
}

IN_CHILD(the_life_of_an_object_is_told)
{
	struct service service = {0};
	struct listener l;
	bool died = false, owner_died = false, reclaimed = false;
	pid_t owner;

	gate_make(&locked);
	serve(&service);
	listen_with(&l, NULL, NULL);
	must_read(&l, "20* listening - -");
	owner = start_owner("ledger");
	must_read(&l, "20* created ledger.mutex *");
	must_read_of(&l, "attached", "ledger.mutex", owner);
	murder(owner);
	while (!died || !owner_died || !reclaimed) {
		read_line(&l);
		died = died || strstr(l.line, " died ");
		owner_died = owner_died || strstr(l.line, " owner-died ledger.mutex ");
		reclaimed = reclaimed || strstr(l.line, " reclaimed  ledger.mutex ");
	}
	stop(&l, SIGINT);
	service_stop(&service);
}

IN_CHILD(json_is_one_object_a_line)
{
	struct service service = {0};
	struct listener l;
	const char *event, *name, *type, *dir;
	json_t *line;
	json_int_t usec;
	pid_t owner;

	gate_make(&locked);
	serve(&service);
	listen_with(&l, "--json", "l*");
	read_line(&l);
	must(strstr(l.line, "\"listening\"") != NULL);
	owner = start_owner("other");
	murder(owner);
	owner = start_owner("ledger");
	read_line(&l);
	line = json_loads(l.line, JSON_REJECT_DUPLICATES, NULL);
	must(line != NULL);
	must_be(json_unpack(line, "{s:s, s:I, s:s, s:s, s:s}", "event", &event, "time_usec", &usec, "dir", &dir, "name",
			    &name, "type", &type),
		0);
	must(!strcmp(event, "created") && !strcmp(name, "ledger") && !strcmp(type, "mutex") && !strcmp(dir, names()));
	json_decref(line);
	stop(&l, SIGTERM);
	murder(owner);
	service_stop(&service);
}

IN_CHILD(it_ends_when_nobody_reads)
{
	struct service service = {0};
	struct listener l;

	serve(&service);
	listen_with(&l, "--type", "sem");
	must_read(&l, "20* listening - -");
	close(l.out[0]);
	must_end(&l, DONE);
	/* And with fipcd, but that is a failure: something may happen now that is not told. */
	listen_with(&l, NULL, NULL);
	must_read(&l, "20* listening - -");
	service_stop(&service);
	must_end(&l, FAILED);
}

IN_CHILD(without_fipcd_it_says_how_to_start_one)
{
	names();
	fipcctl(FAILED, "monitor");
	must_say(told.err, "no fipcd at /nonexistent/socket");
	must_say(told.err, "systemctl start fipcd.socket");
	must_be(lines(told.err), 1);
	must_print("");
	fipcctl(USAGE, "monitor --direct");
	must_be(lines(told.err), 1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_life_of_an_object_is_told),
		cmocka_unit_test(json_is_one_object_a_line),
		cmocka_unit_test(it_ends_when_nobody_reads),
		cmocka_unit_test(without_fipcd_it_says_how_to_start_one),
	};

	test_dir();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
