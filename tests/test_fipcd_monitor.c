/* SPDX-License-Identifier: Apache-2.0 */
/* The method Monitor: what is told, to whom, and what becomes of those who don't listen. */
#include "fipcd_support.h"
#include "interface_support.h"

#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define MANAGER "io.fipc.Manager"

/* ---- what is told ---- */

/* It must be this one, and as the interface says. name NULL: of no object; pid 0: of no process. Taken over. */
static void must_be_event(json_t *got, const char *event, const char *name, pid_t pid)
{
	if (strcmp(string_of(got, "event"), event) != 0)
		fprintf(stderr, "%s instead of %s\n", string_of(got, "event"), event);
	assert_string_equal(string_of(got, "event"), event);
	assert_string_equal(string_of(got, "name"), name ? name : "");
	assert_string_equal(string_of(got, "type"), name ? "mutex" : "");
	assert_int_equal(number_of(got, "pid"), pid ? pid : -1);
	assert_int_equal(number_of(got, "uid"), name ? (int)geteuid() : -1);
	assert_true(number_of(got, "time_usec") > 0);
	must_be_reply("Monitor", got);
	json_decref(got);
}

static void expect_event(int fd, struct wire_buffer *b, const char *event, const char *name, pid_t pid)
{
	must_be_event(next_event(fd, b), event, name, pid);
}

/* The same after "lost", which may be told more than once. */
static void expect_after_lost(int fd, struct wire_buffer *b, const char *event, const char *name)
{
	json_t *got;
	expect_event(fd, b, "lost", NULL, 0);
	for (got = next_event(fd, b); strcmp(string_of(got, "event"), "lost") == 0; got = next_event(fd, b))
		json_decref(got);
	must_be_event(got, event, name, 0);
}

/* Each once, of a process that had one object and died inside: in any order, for a look may have to be repeated. */
static void expect_end(int fd, struct wire_buffer *b, pid_t pid)
{
	static const char *const ends[] = {"owner-died", "reclaimed", "died", "detached"};
	unsigned seen = 0;
	while (seen != 0xf) {
		json_t *event = next_event(fd, b);
		unsigned i = 0;
		while (i < 4 && strcmp(string_of(event, "event"), ends[i]) != 0)
			i++;
		assert_true(i < 4 && !(seen & 1U << i));
		assert_int_equal(number_of(event, "pid"), pid);
		assert_string_equal(string_of(event, "name"), i == 2 ? "" : "a");
		must_be_reply("Monitor", event);
		seen |= 1U << i;
		json_decref(event);
	}
}

static void tells_the_life_of_an_object(void **state)
{
	struct daemon *d = *state;
	struct wire_buffer b = {0};
	int fd = listen_to(d, "{}", &b);
	for (int i = 0; i < 3; i++) {
		pid_t pid = start_holder("a", 0);
		expect_event(fd, &b, "created", "a", 0);
		expect_event(fd, &b, "attached", "a", pid);
		murder(pid);
		expect_end(fd, &b, pid);
	}
	wire_buffer_free(&b);
	close(fd);
}

/* Nobody saw it lie there with its owner dead: who waited had it at once, mended it and gave it back. */
static void a_death_that_was_mended_is_told(void **state)
{
	struct daemon *d = *state;
	struct wire_buffer b = {0};
	pid_t pid = start_holder("a", 0);
	fipc_mutex *m = must_open("a", 0, 0);
	int fd = listen_to(d, "{\"name\":\"a\"}", &b);
	must_be(kill(d->pid, SIGSTOP), 0);
	murder(pid);
	assert_int_equal(fipc_mutex_lock(m), FIPC_OWNER_DIED);
	assert_int_equal(fipc_mutex_consistent(m), 0);
	assert_int_equal(fipc_mutex_unlock(m), 0);
	must_be(kill(d->pid, SIGCONT), 0);
	expect_event(fd, &b, "owner-died", "a", pid);
	expect_event(fd, &b, "detached", "a", pid);
	assert_int_equal(fipc_mutex_close(m), 0);
	expect_event(fd, &b, "detached", "a", getpid());
	wire_buffer_free(&b);
	close(fd);
}

static void only_what_was_asked_for(void **state)
{
	struct daemon *d = *state;
	struct wire_buffer b = {0};
	char parameters[300];
	snprintf(parameters, sizeof(parameters), "{\"dir\":\"%s\",\"type\":\"mutex\",\"name\":\"b*\"}", d->dir);
	int fd = listen_to(d, parameters, &b);
	fipc_event *e;
	pid_t a = start_holder("a", 0);
	must_be(fipc_event_open(&e, "bell", FIPC_CREATE, 0600), FIPC_CREATED);
	pid_t bee = start_holder("bee", 0);
	expect_event(fd, &b, "created", "bee", 0);
	expect_event(fd, &b, "attached", "bee", bee);
	murder(a);
	must_be(fipc_event_close(e), 0);
	murder(bee);
	expect_event(fd, &b, "owner-died", "bee", bee);
	wire_buffer_free(&b);
	close(fd);
}

static void refuses_what_it_cannot_do(void **state)
{
	struct daemon *d = *state;
	struct wire_buffer b = {0};
	static const char nowhere[] =
		"{\"method\":\"" MANAGER ".Monitor\",\"more\":true,\"parameters\":{\"dir\":\"/nowhere\"}}";
	json_t *reply = refused(d, MANAGER ".Monitor", NULL, "org.varlink.service.ExpectedMore");
	assert_int_equal(json_object_size(reply), 0);
	json_decref(reply);
	int fd = connect_raw(d);
	send_raw(fd, nowhere, sizeof(nowhere));
	reply = receive_raw(fd, &b);
	assert_string_equal(string_of(reply, "error"), MANAGER ".NoSuchDirectory");
	json_decref(reply);
	wire_buffer_free(&b);
	close(fd);
}

/* Whoever is already there when the first listener comes, and who comes with a directory made anew. */
static void the_second_listener_and_the_second_directory(void **state)
{
	struct daemon *d = *state;
	struct wire_buffer b = {0}, c = {0};
	pid_t a = start_holder("a", FIPC_PERSIST), bee = start_holder("b", FIPC_PERSIST);
	int first = listen_to(d, "{\"name\":\"a\"}", &b);
	int second = listen_to(d, "{\"name\":\"b\"}", &c);
	murder(a);
	murder(bee);
	expect_event(first, &b, "owner-died", "a", a);
	expect_event(first, &b, "detached", "a", a);
	expect_event(second, &c, "owner-died", "b", bee);
	expect_event(second, &c, "detached", "b", bee);
	remove_tree(d->dir);
	await(daemon_logged(d, "is gone"));
	a = start_holder("a", 0);
	await(daemon_logged(d, "is back"));
	bee = start_holder("b", 0);
	expect_after_lost(second, &c, "created", "b");
	murder(a);
	murder(bee);
	wire_buffer_free(&b);
	wire_buffer_free(&c);
	close(first);
	close(second);
}

/* ---- many who come and go ---- */

enum { COMERS = 4, TIMES = 100 };

static void come_and_go(void *argument)
{
	(void)argument;
	for (int i = 0; i < TIMES; i++) {
		fipc_mutex *m;
		must_not_fail(fipc_mutex_open(&m, i % 2 ? "busy" : "kept", FIPC_CREATE, 0600));
		must_be(fipc_mutex_close(m), 0);
	}
}

/* Everybody, of an object that stays: it is watched before they come. */
static void everybody_who_comes_goes(void **state)
{
	struct daemon *d = *state;
	struct wire_buffer b = {0};
	pid_t pids[COMERS];
	pid_t keeper = start_holder("kept", 0);
	int fd = listen_to(d, "{}", &b), attached = 0, detached = 0;
	for (int i = 0; i < COMERS; i++)
		pids[i] = start(come_and_go, NULL);
	while (detached < COMERS * TIMES / 2) {
		json_t *event = next_event(fd, &b);
		const char *kind = string_of(event, "event");
		bool kept = strcmp(string_of(event, "name"), "kept") == 0;
		attached += kept && strcmp(kind, "attached") == 0;
		detached += kept && strcmp(kind, "detached") == 0;
		assert_string_not_equal(kind, "lost");
		json_decref(event);
	}
	assert_int_equal(attached, detached);
	for (int i = 0; i < COMERS; i++)
		assert_int_equal(finish(pids[i]), 0);
	murder(keeper);
	wire_buffer_free(&b);
	close(fd);
}

/* ---- those who don't listen ---- */

enum { MADE = 1500 };

static void make_and_stay(void *argument)
{
	for (int i = 0; i < MADE; i++) {
		char name[16];
		fipc_mutex *m;
		snprintf(name, sizeof(name), "m%d", i);
		must_be(fipc_mutex_open(&m, name, FIPC_CREATE, 0600), FIPC_CREATED);
	}
	gate_open(argument);
	for (;;)
		pause();
}

/* Each of MADE objects is created, attached, reclaimed and detached. */
static void make_and_die(const struct daemon *d)
{
	struct gate ready;
	gate_make(&ready);
	pid_t pid = start(make_and_stay, &ready);
	gate_pass(&ready);
	murder(pid);
	await(metric(d, "deaths") == 1);
	gate_free(&ready);
}

/* Told what he missed, when he reads at last: what was told and what is said to be lost is all there was. */
static void a_slow_one_is_told_what_he_missed(void **state)
{
	struct daemon *d = *state;
	struct wire_buffer b = {0}, c = {0};
	int slow = listen_to(d, "{\"name\":\"m*\"}", &b), told = 0;
	int quick = listen_to(d, "{\"name\":\"z\"}", &c);
	json_int_t lost = 0, before = metric(d, "memory_bytes");
	make_and_die(d);
	pid_t pid = start_holder("z", 0);
	expect_event(quick, &c, "created", "z", 0); /* so all before it has been told, or counted */
	assert_true(metric(d, "lost") > 0);
	assert_true(has_at_most(d, before + (8 << 20)));
	while (lost == 0) {
		json_t *event = next_event(slow, &b);
		if (strcmp(string_of(event, "event"), "lost") == 0)
			lost = number_of(event, "lost");
		else
			told++;
		must_be_reply("Monitor", event);
		json_decref(event);
	}
	assert_int_equal(lost, metric(d, "lost"));
	assert_true(told > 100);
	murder(pid);
	pid = start_holder("m", 0); /* and he hears again */
	expect_event(slow, &b, "created", "m", 0);
	murder(pid);
	wire_buffer_free(&b);
	wire_buffer_free(&c);
	close(slow);
	close(quick);
}

static void listen_and_die(void *argument)
{
	struct wire_buffer b = {0};
	listen_to(argument, "{}", &b);
	raise(SIGKILL);
}

static int inotify_instances(pid_t pid)
{
	char path[64], target[64];
	int n = 0;
	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	DIR *dir = opendir(path);
	must(dir);
	for (struct dirent *e; (e = readdir(dir));) {
		ssize_t length = readlinkat(dirfd(dir), e->d_name, target, sizeof(target) - 1);
		target[length < 0 ? 0 : length] = 0;
		n += strstr(target, "inotify") != NULL;
	}
	closedir(dir);
	return n;
}

/* Nobody listens: nothing is watched for it. */
static void a_dead_one_is_forgotten(void **state)
{
	struct daemon *d = *state;
	struct wire_buffer b = {0};
	int before = inotify_instances(d->pid);
	for (int i = 0; i < 20; i++)
		assert_int_equal(in_child(listen_and_die, d), 128 + SIGKILL);
	int fd = listen_to(d, "{}", &b);
	assert_int_equal(inotify_instances(d->pid), before + 1);
	await(metric(d, "monitors") == 1);
	close(fd);
	await(metric(d, "monitors") == 0);
	assert_int_equal(inotify_instances(d->pid), before);
	wire_buffer_free(&b);
}

/* As `printf ... | nc -N` does it. */
static void who_says_no_more_still_hears(void **state)
{
	struct daemon *d = *state;
	struct wire_buffer b = {0};
	int fd = listen_to(d, "{}", &b);
	must_be(shutdown(fd, SHUT_WR), 0);
	pid_t pid = start_holder("a", 0);
	expect_event(fd, &b, "created", "a", 0);
	murder(pid);
	wire_buffer_free(&b);
	close(fd);
}

int main(void)
{
#define WITH_DAEMON(test) cmocka_unit_test_setup_teardown(test, daemon_set_up, daemon_tear_down)
	const struct CMUnitTest tests[] = {
		WITH_DAEMON(tells_the_life_of_an_object),
		WITH_DAEMON(a_death_that_was_mended_is_told),
		WITH_DAEMON(only_what_was_asked_for),
		WITH_DAEMON(refuses_what_it_cannot_do),
		WITH_DAEMON(the_second_listener_and_the_second_directory),
		WITH_DAEMON(everybody_who_comes_goes),
		WITH_DAEMON(a_slow_one_is_told_what_he_missed),
		WITH_DAEMON(a_dead_one_is_forgotten),
		WITH_DAEMON(who_says_no_more_still_hears),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
