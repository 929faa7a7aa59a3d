/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fipcd's methods beyond a look: long lists in pieces, taking locks and names away, numbers; that the interface's
 * text and the code say the same; and what clients can do to it and to each other, which is nothing.
 */
#include "fipcd_support.h"
#include "interface_support.h"

#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define MANAGER "io.fipc.Manager"
#define SERVICE "org.varlink.service"

/* ---- lists ---- */

enum { MANY = 300 }; /* more than a turn looks at, and more than one reply takes */

static void make_many(void *argument)
{
	const struct gate *ready = argument;
	for (int i = 0; i < MANY; i++) {
		char name[16];
		fipc_event *e;
		snprintf(name, sizeof(name), "e%03d", i);
		must_be(fipc_event_open(&e, name, FIPC_CREATE, 0600), FIPC_CREATED);
	}
	gate_open(ready);
	for (;;)
		pause();
}

static pid_t start_many(void)
{
	struct gate ready;
	gate_make(&ready);
	pid_t pid = start(make_many, &ready);
	gate_pass(&ready);
	gate_free(&ready);
	return pid;
}

static size_t count_listed(const struct daemon *d, const char *parameters)
{
	json_t *reply = call(d, MANAGER ".List", parameters);
	size_t n = json_array_size(json_object_get(reply, "objects"));
	must_be_reply("List", reply);
	json_decref(reply);
	return n;
}

static void lists_what_is_asked_for(void **state)
{
	struct daemon *d = *state;
	char parameters[100];
	pid_t held = start_holder("held", 0), persistent = start_holder("persistent", FIPC_PERSIST);
	fipc_mutex *m = must_open("free", FIPC_CREATE, FIPC_CREATED);
	murder(persistent);
	await(count_listed(d, "{\"state\":\"owner-died\"}") == 1);
	assert_int_equal(count_listed(d, NULL), 3);
	assert_int_equal(count_listed(d, "{\"state\":\"held\"}"), 1);
	assert_int_equal(count_listed(d, "{\"state\":\"held\",\"name\":\"f*\"}"), 0);
	assert_int_equal(count_listed(d, "{\"state\":null,\"reason\":\"attached\"}"), 2);
	assert_int_equal(count_listed(d, "{\"reason\":\"persistent\"}"), 1);
	snprintf(parameters, sizeof(parameters), "{\"pid\":%d}", (int)held);
	assert_int_equal(count_listed(d, parameters), 1);
	snprintf(parameters, sizeof(parameters), "{\"uid\":%u}", (unsigned)geteuid());
	assert_int_equal(count_listed(d, parameters), 3);
	assert_int_equal(count_listed(d, "{\"uid\":61099}"), 0);
	assert_int_equal(fipc_mutex_close(m), 0);
	murder(held);
}

static void expect_members(const struct daemon *d, const char *fields, const char *wanted)
{
	char parameters[200];
	snprintf(parameters, sizeof(parameters), "{\"fields\":%s}", fields);
	json_t *reply = call(d, MANAGER ".List", parameters);
	char *text = json_dumps(json_object_get(reply, "objects"), JSON_COMPACT);
	assert_string_equal(text, wanted);
	free(text);
	json_decref(reply);
}

static void only_the_members_that_are_asked_for(void **state)
{
	struct daemon *d = *state;
	fipc_event *e;
	must_be(fipc_event_open(&e, "e", FIPC_CREATE, 0600), FIPC_CREATED);
	expect_members(d, "[\"name\"]", "[{\"name\":\"e\"}]");
	expect_members(d, "[\"attached\",\"error\",\"type\",\"type\"]", "[{\"type\":\"event\",\"attached\":1}]");
	expect_members(d, "[\"state\"]", "[{\"state\":{\"state\":\"clear\",\"waiters\":0,\"sets\":0}}]");
	expect_members(d, "[\"state.sets\",\"state.owner_pid\"]", "[{\"state\":{\"sets\":0}}]");
	expect_members(d, "[\"state.sets\",\"state\"]", "[{\"state\":{\"state\":\"clear\",\"waiters\":0,\"sets\":0}}]");
	expect_members(d, "[\"mode\"],\"state\":\"clear\"", "[{\"mode\":384}]"); /* a filter needs no member */
	expect_members(d, "[\"mode\"],\"reason\":\"unused\"", "[]");
	expect_refused(d, MANAGER ".List", "{\"fields\":[\"names\"]}", SERVICE ".InvalidParameter");
	expect_refused(d, MANAGER ".List", "{\"fields\":[\"state.\"]}", SERVICE ".InvalidParameter");
	expect_refused(d, MANAGER ".List", "{\"fields\":[\"state.name\"]}", SERVICE ".InvalidParameter");
	expect_refused(d, MANAGER ".List", "{\"fields\":[\"name.state\"]}", SERVICE ".InvalidParameter");
	expect_refused(d, MANAGER ".List", "{\"fields\":[\"name\",7]}", SERVICE ".InvalidParameter");
	expect_refused(d, MANAGER ".List", "{\"fields\":\"name\"}", SERVICE ".InvalidParameter");
	assert_int_equal(fipc_event_close(e), 0);
}

static void each_can_be_asked_for(const struct daemon *d, const char *type, const char *prefix)
{
	struct declared declared;
	char parameters[100];
	find_type(type, &declared);
	for (int i = 0; i < declared.n; i++) {
		snprintf(parameters, sizeof(parameters), "{\"fields\":[\"%s%s\"]}", prefix, declared.fields[i].name);
		json_decref(call(d, MANAGER ".List", parameters));
	}
}

/* Each member of the type can be asked for, and each one of the state. */
static void the_members_of_the_text_are_known(void **state)
{
	each_can_be_asked_for(*state, "Object", "");
	each_can_be_asked_for(*state, "State", "state.");
}

struct pieces {
	size_t replies, objects;
	char last[32];
};

/* Each once, in order. */
static int take_piece(json_t *parameters, void *context)
{
	struct pieces *p = context;
	json_t *object;
	size_t i;
	p->replies++;
	must_be_reply("List", parameters);
	json_array_foreach(json_object_get(parameters, "objects"), i, object) {
		must(strcmp(string_of(object, "name"), p->last) > 0);
		snprintf(p->last, sizeof(p->last), "%s", string_of(object, "name"));
		p->objects++;
	}
	return 0;
}

static struct wire_client *connect_client(const struct daemon *d)
{
	struct wire_client *client;
	must_be(wire_client_connect(&client, d->socket, PATIENCE_MS), 0);
	return client;
}

static void a_long_list_comes_in_pieces(void **state)
{
	struct daemon *d = *state;
	struct pieces p = {0};
	json_t *reply;
	char *error;
	pid_t pid = start_many();
	struct wire_client *client = connect_client(d);
	assert_int_equal(wire_client_call_more(client, MANAGER ".List", NULL, take_piece, &p, &reply, &error), 0);
	assert_null(error);
	assert_int_equal(p.objects, MANY);
	assert_true(p.replies > 2);
	/* the same connection, and the same list in one */
	assert_int_equal(wire_client_call(client, MANAGER ".List", NULL, &reply, &error), 0);
	assert_int_equal(json_array_size(json_object_get(reply, "objects")), MANY);
	json_decref(reply);
	/* an error ends it, and nothing else */
	must_be(wire_client_call_more(client, MANAGER ".List", json_pack("{s:s}", "dir", "/nowhere"), take_piece, &p,
				      &reply, &error), 0);
	assert_string_equal(error, MANAGER ".NoSuchDirectory");
	json_decref(reply);
	free(error);
	wire_client_free(client);
	murder(pid);
}

static const char list_more[] = "{\"method\":\"" MANAGER ".List\",\"more\":true}";
static const char get_info[] = "{\"method\":\"" SERVICE ".GetInfo\"}";

/* Its replies come in the order of the calls; who reads none of them keeps nobody, and is let go when he is dead. */
static void slow_and_dead_readers_of_long_lists(void **state)
{
	struct daemon *d = *state;
	enum { READERS = 3, CALLS = 6 };
	int fds[READERS];
	struct wire_buffer b = {0};
	json_t *message;
	pid_t pid = start_many();
	json_int_t before = metric(d, "memory_bytes");
	for (int i = 0; i < READERS; i++) {
		fds[i] = connect_raw(d);
		for (int k = 0; k < CALLS; k++)
			send_raw(fds[i], list_more, sizeof(list_more));
		send_raw(fds[i], get_info, sizeof(get_info));
	}
	json_decref(call(d, MANAGER ".Get", "{\"name\":\"e000\"}"));
	for (int i = 1; i < READERS; i++)
		close(fds[i]);
	await(metric(d, "clients") == 2);
	assert_true(has_at_most(d, before + (32 << 20)));
	for (int last = 0; last < CALLS;) {
		message = receive_raw(fds[0], &b);
		assert_non_null(json_object_get(json_object_get(message, "parameters"), "objects"));
		last += !json_object_get(message, "continues");
		json_decref(message);
	}
	message = receive_raw(fds[0], &b);
	assert_string_equal(string_of(json_object_get(message, "parameters"), "product"), "fipcd");
	json_decref(message);
	wire_buffer_free(&b);
	close(fds[0]);
	murder(pid);
}

/* ---- what an operator takes away ---- */

static void wait_for_it(void *argument)
{
	fipc_mutex *m = must_open("a", 0, 0);
	gate_open(argument);
	_exit(fipc_mutex_lock(m) == -ENOTRECOVERABLE ? 0 : 1);
}

static void revokes_a_lock(void **state)
{
	struct daemon *d = *state;
	struct gate ready;
	gate_make(&ready);
	pid_t owner = start_holder("a", 0), waiter = start(wait_for_it, &ready);
	gate_pass(&ready);
	await(asleep_in_futex(waiter));
	json_t *reply = call(d, MANAGER ".Revoke", "{\"name\":\"/a\"}");
	must_be_reply("Revoke", reply);
	assert_string_equal(string_of(reply, "name"), "a");
	assert_string_equal(string_of(reply, "state"), "not-recoverable");
	assert_int_equal(number_of(reply, "owner_pid"), owner);
	json_decref(reply);
	assert_int_equal(finish(waiter), 0);
	gate_free(&ready);
	murder(owner);
	await(!exists(d, "a"));
}

static void refuses_what_cannot_be_revoked(void **state)
{
	struct daemon *d = *state;
	fipc_mutex *m = must_open("a", FIPC_CREATE, FIPC_CREATED);
	fipc_sem *s;
	must_be(fipc_sem_open(&s, "s", 1, FIPC_CREATE, 0600), FIPC_CREATED);
	json_t *reply = refused(d, MANAGER ".Revoke", "{\"name\":\"s\"}", MANAGER ".NotRevocable");
	assert_string_equal(string_of(reply, "type"), "sem");
	json_decref(reply);
	expect_refused(d, MANAGER ".Revoke", "{\"name\":\"a\"}", MANAGER ".NotHeld");
	expect_refused(d, MANAGER ".Revoke", "{\"name\":\"b\"}", MANAGER ".NoSuchObject");
	expect_refused(d, MANAGER ".Revoke", "{\"name\":\"a\",\"type\":\"sem\"}", MANAGER ".NoSuchObject");
	assert_int_equal(fipc_mutex_lock(m), 0);
	assert_int_equal(fipc_mutex_unlock(m), 0);
	assert_int_equal(fipc_mutex_close(m), 0);
	assert_int_equal(fipc_sem_close(s), 0);
}

/* A file that is cut off while it is written to ends the child that writes, not the daemon. */
static void a_truncated_mutex_is_not_revoked(void **state)
{
	struct daemon *d = *state;
	char path[256];
	pid_t owner = start_holder("a", 0);
	snprintf(path, sizeof(path), "%s/a.mutex", d->dir);
	must_be(truncate(path, 100), 0);
	expect_refused(d, MANAGER ".Revoke", "{\"name\":\"a\"}", MANAGER ".Failed");
	json_t *reply = call(d, MANAGER ".Unlink", "{\"name\":\"a\"}");
	assert_int_equal(number_of(reply, "attached"), 1);
	json_decref(reply);
	assert_false(exists(d, "a"));
	murder(owner);
	await(is_clean(d->dir, 0));
}

static void unlinks_a_name(void **state)
{
	struct daemon *d = *state;
	fipc_mutex *m = must_open("a", FIPC_CREATE | FIPC_PERSIST, FIPC_CREATED);
	fipc_event *e;
	must_be(fipc_event_open(&e, "a", FIPC_CREATE, 0600), FIPC_CREATED);
	expect_refused(d, MANAGER ".Unlink", "{\"name\":\"a\"}", MANAGER ".Ambiguous");
	json_t *reply = call(d, MANAGER ".Unlink", "{\"name\":\"a\",\"type\":\"mutex\"}");
	must_be_reply("Unlink", reply);
	assert_int_equal(number_of(reply, "attached"), 1);
	json_decref(reply);
	assert_false(exists(d, "a"));
	assert_int_equal(fipc_mutex_lock(m), 0); /* who has it goes on */
	assert_int_equal(fipc_mutex_unlock(m), 0);
	assert_int_equal(fipc_mutex_close(m), 0);
	expect_refused(d, MANAGER ".Unlink", "{\"name\":\"a\",\"type\":\"mutex\"}", MANAGER ".NoSuchObject");
	assert_int_equal(fipc_event_close(e), 0);
}

/* ---- numbers ---- */

static void counts(void **state)
{
	struct daemon *d = *state;
	pid_t a = start_holder("a", 0), b = start_holder("b", FIPC_PERSIST);
	murder(a);
	await(!exists(d, "a"));
	await(metric(d, "deaths") == 1);
	expect_refused(d, MANAGER ".Get", "{\"name\":\"a\"}", MANAGER ".NoSuchObject");
	json_t *reply = call(d, MANAGER ".Metrics", NULL);
	json_t *directory = json_array_get(json_object_get(reply, "directories"), 0);
	must_be_reply("Metrics", reply);
	assert_int_equal(number_of(reply, "owner_deaths"), 1);
	assert_int_equal(number_of(reply, "errors"), 1);
	assert_int_equal(number_of(reply, "clients"), 1);
	assert_true(number_of(reply, "calls") > 3 && number_of(reply, "uptime_usec") > 0);
	assert_true(number_of(reply, "memory_bytes") > 100000);
	assert_string_equal(string_of(directory, "dir"), d->dir);
	assert_int_equal(number_of(json_object_get(directory, "objects"), "mutex"), 1);
	assert_int_equal(number_of(json_object_get(directory, "objects"), "sem"), 0);
	assert_int_equal(number_of(directory, "processes"), 1);
	assert_int_equal(number_of(directory, "attachments"), 1);
	assert_int_equal(number_of(directory, "reclaimed"), 1);
	assert_int_equal(number_of(directory, "entries_removed"), 1);
	assert_true(number_of(directory, "scans") > 0);
	json_decref(reply);
	murder(b);
}

/* ---- the text and the code ---- */

static json_t *ask_method(const struct daemon *d, const char *method, const char *parameters)
{
	char text[200];
	struct wire_buffer b = {0};
	int fd = connect_raw(d);
	int n = snprintf(text, sizeof(text), "{\"method\":\"" MANAGER ".%s\",\"more\":true,\"parameters\":%s}", method,
			 parameters);
	send_raw(fd, text, (size_t)n + 1);
	json_t *message = receive_raw(fd, &b);
	close(fd);
	wire_buffer_free(&b);
	return message;
}

/* The daemon knows it, and complains of just this parameter. */
static void expect_parameter(const struct daemon *d, const char *method, const char *parameter)
{
	char parameters[100];
	snprintf(parameters, sizeof(parameters), "{\"%s\":[]}", parameter);
	json_t *message = ask_method(d, method, parameters);
	assert_string_equal(string_of(message, "error"), SERVICE ".InvalidParameter");
	assert_string_equal(string_of(json_object_get(message, "parameters"), "parameter"), parameter);
	json_decref(message);
}

static void every_method_of_the_text_is_there(void **state)
{
	struct declared parameters;
	char method[40];
	int n = 0;
	for (int at = 0; next_declared("method", &at, method); n++) {
		find_parameters(method, &parameters);
		expect_parameter(*state, method, "no_such_parameter");
		for (int i = 0; i < parameters.n; i++)
			expect_parameter(*state, method, parameters.fields[i].name);
	}
	assert_true(n >= 8);
}

static bool is_declared(const char *keyword, const char *name)
{
	char declared[40];
	for (int at = 0; next_declared(keyword, &at, declared);)
		if (strcmp(declared, name) == 0)
			return true;
	return false;
}

/* What the daemon's sources name behind the interface's own name: methods and errors. */
static void look_into_source(const char *file, bool *ret_named, const char *error)
{
	static char text[1 << 17];
	static const char prefix[] = "MANAGER \".";
	char path[300], name[40];
	snprintf(path, sizeof(path), FIPC_TEST_SOURCES "/../fipcd/%s", file);
	FILE *f = fopen(path, "re");
	must(f);
	text[fread(text, 1, sizeof(text) - 1, f)] = 0;
	fclose(f);
	for (char *at = text; (at = strstr(at, prefix)); at += strlen(prefix)) {
		must_be(sscanf(at + strlen(prefix), "%39[A-Za-z]", name), 1);
		if (!is_declared("method", name) && !is_declared("error", name))
			fail_msg("%s: not in the interface: %s", file, name);
		*ret_named = *ret_named || strcmp(name, error) == 0;
	}
}

static bool is_named_in_the_sources(const char *error)
{
	bool named = false;
	DIR *dir = opendir(FIPC_TEST_SOURCES "/../fipcd");
	must(dir);
	for (struct dirent *e; (e = readdir(dir));) {
		size_t n = strlen(e->d_name);
		if (n > 2 && strcmp(e->d_name + n - 2, ".c") == 0)
			look_into_source(e->d_name, &named, error);
	}
	closedir(dir);
	return named;
}

static void every_error_of_the_text_is_used_and_no_other(void **state)
{
	char error[40];
	int n = 0;
	(void)state;
	for (int at = 0; next_declared("error", &at, error); n++)
		if (!is_named_in_the_sources(error))
			fail_msg("no source names the error %s", error);
	assert_true(n >= 8);
}

/* ---- crowds, and long messages ---- */

/* A message of the greatest length, its NUL included, is one; sent slowly it keeps nobody. */
static void a_message_of_16_mib_is_served(void **state)
{
	static const char begin[] = "{\"method\":\"" MANAGER ".List\",\"parameters\":{\"name\":\"", end[] = "\"}}";
	struct wire_buffer b = {0};
	char *text = malloc(WIRE_MESSAGE_MAX);
	must(text);
	memset(text, 'x', WIRE_MESSAGE_MAX);
	memcpy(text, begin, strlen(begin));
	memcpy(text + WIRE_MESSAGE_MAX - sizeof(end), end, sizeof(end));
	int fd = connect_raw(*state);
	for (size_t sent = 0; sent < WIRE_MESSAGE_MAX;) {
		size_t left = WIRE_MESSAGE_MAX - sent;
		ssize_t n = send(fd, text + sent, left < (3 << 20) ? left : 3 << 20, MSG_NOSIGNAL);
		must(n > 0);
		sent += (size_t)n;
		json_decref(call(*state, SERVICE ".GetInfo", NULL));
	}
	json_t *message = receive_raw(fd, &b);
	assert_int_equal(json_array_size(json_object_get(json_object_get(message, "parameters"), "objects")), 0);
	json_decref(message);
	await(has_at_most(*state, 24 << 20));
	wire_buffer_free(&b);
	close(fd);
	free(text);
}

/* Root may have as many as there may be at all; others are told that it is enough. */
static unsigned connect_crowd(const struct daemon *d, int *fds, unsigned most)
{
	static const char half[] = "{\"method\":\"" MANAGER ".Li";
	unsigned n = 0;
	for (; n < most; n++) {
		fds[n] = connect_raw(d);
		send_raw(fds[n], half, strlen(half));
	}
	return n;
}

static void a_crowd_that_says_half_a_word(void **state)
{
	enum { CROWD = 1200, OTHERS = 200 };
	static int fds[CROWD];
	struct daemon *d = *state;
	struct rlimit files;
	must_be(getrlimit(RLIMIT_NOFILE, &files), 0);
	files.rlim_cur = files.rlim_max;
	must_be(setrlimit(RLIMIT_NOFILE, &files), 0);
	bool room = geteuid() == 0 && files.rlim_max >= 2 * CROWD + 200;
	json_int_t before = metric(d, "memory_bytes");
	unsigned n = connect_crowd(d, fds, room ? CROWD : OTHERS);
	assert_int_equal(metric(d, "clients"), n + 1);
	assert_true(has_at_most(d, before + (32 << 20)));
	for (unsigned i = 0; i < n; i++) {
		struct wire_buffer b = {0};
		send_raw(fds[i], "st\"}", 5);
		json_decref(receive_raw(fds[i], &b));
		wire_buffer_free(&b);
		close(fds[i]);
	}
	await(metric(d, "clients") == 1);
}

int main(void)
{
#define WITH_DAEMON(test) cmocka_unit_test_setup_teardown(test, daemon_set_up, daemon_tear_down)
	const struct CMUnitTest tests[] = {
		WITH_DAEMON(lists_what_is_asked_for),
		WITH_DAEMON(only_the_members_that_are_asked_for),
		WITH_DAEMON(the_members_of_the_text_are_known),
		WITH_DAEMON(a_long_list_comes_in_pieces),
		WITH_DAEMON(slow_and_dead_readers_of_long_lists),
		WITH_DAEMON(revokes_a_lock),
		WITH_DAEMON(refuses_what_cannot_be_revoked),
		WITH_DAEMON(a_truncated_mutex_is_not_revoked),
		WITH_DAEMON(unlinks_a_name),
		WITH_DAEMON(counts),
		WITH_DAEMON(every_method_of_the_text_is_there),
		cmocka_unit_test(every_error_of_the_text_is_used_and_no_other),
		WITH_DAEMON(a_message_of_16_mib_is_served),
		WITH_DAEMON(a_crowd_that_says_half_a_word),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
