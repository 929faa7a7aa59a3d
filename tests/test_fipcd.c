/* SPDX-License-Identifier: Apache-2.0 */
/* fipcd as it is run by hand: what it answers, what it refuses, and what it reclaims. */
#include "fipcd_support.h"

#include <linux/futex.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define MANAGER "io.fipc.Manager"
#define SERVICE "org.varlink.service"

/* ---- what it answers ---- */

static void tells_about_itself(void **state)
{
	struct daemon *d = *state;
	json_t *info = call(d, SERVICE ".GetInfo", NULL);
	assert_int_equal(json_object_size(info), 5);
	assert_string_equal(string_of(info, "product"), "fipcd");
	json_t *names = json_object_get(info, "interfaces");
	assert_int_equal(json_array_size(names), 2);
	for (size_t i = 0; i < json_array_size(names); i++) {
		char parameters[100], wanted[100];
		const char *name = json_string_value(json_array_get(names, i));
		snprintf(parameters, sizeof(parameters), "{\"interface\":\"%s\"}", name);
		snprintf(wanted, sizeof(wanted), "\ninterface %s\n", name);
		json_t *description = call(d, SERVICE ".GetInterfaceDescription", parameters);
		assert_non_null(strstr(string_of(description, "description"), wanted));
		json_decref(description);
	}
	json_decref(info);
}

static void refuses_what_it_does_not_know(void **state)
{
	static const struct {
		const char *method, *parameters, *error, *key, *value;
	} cases[] = {
		{"a.b.C", NULL, SERVICE ".InterfaceNotFound", "interface", "a.b"},
		{"C", NULL, SERVICE ".InterfaceNotFound", "interface", "C"},
		{"", NULL, SERVICE ".InterfaceNotFound", "interface", ""},
		{MANAGER ".Lis", NULL, SERVICE ".MethodNotFound", "method", MANAGER ".Lis"},
		{SERVICE ".getInfo", NULL, SERVICE ".MethodNotFound", "method", SERVICE ".getInfo"},
		{SERVICE ".GetInterfaceDescription", NULL, SERVICE ".InvalidParameter", "parameter", "interface"},
		{SERVICE ".GetInterfaceDescription", "{\"interface\":\"x\"}", SERVICE ".InterfaceNotFound", "interface", "x"},
		{SERVICE ".GetInfo", "{\"x\":1}", SERVICE ".InvalidParameter", "parameter", "x"},
		{MANAGER ".List", "{\"interface\":\"x\"}", SERVICE ".InvalidParameter", "parameter", "interface"},
		{MANAGER ".List", "{\"name\":1}", SERVICE ".InvalidParameter", "parameter", "name"},
		{MANAGER ".List", "{\"type\":\"dog\"}", SERVICE ".InvalidParameter", "parameter", "type"},
		{MANAGER ".List", "{\"dir\":\"/nowhere\"}", MANAGER ".NoSuchDirectory", "dir", "/nowhere"},
		{MANAGER ".Get", NULL, SERVICE ".InvalidParameter", "parameter", "name"},
		{MANAGER ".Get", "{\"name\":null}", SERVICE ".InvalidParameter", "parameter", "name"},
		{MANAGER ".Get", "{\"name\":\"*\"}", MANAGER ".NoSuchObject", "name", "*"},
		{MANAGER ".Get", "{\"name\":\"/a/../b\"}", MANAGER ".NoSuchObject", "name", "a/../b"},
		{MANAGER ".Collect", "{\"dry_run\":\"yes\"}", SERVICE ".InvalidParameter", "parameter", "dry_run"},
		{MANAGER ".ListProcesses", "{\"name\":\"x\"}", SERVICE ".InvalidParameter", "parameter", "name"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		json_t *reply = refused(*state, cases[i].method, cases[i].parameters, cases[i].error);
		assert_int_equal(json_object_size(reply), 1);
		assert_string_equal(string_of(reply, cases[i].key), cases[i].value);
		json_decref(reply);
	}
}

static void expect_held(json_t *object, const struct daemon *d, pid_t owner)
{
	json_t *mutex = json_object_get(object, "state"), *reclaim = json_object_get(object, "reclaim");
	json_t *attachment = json_array_get(json_object_get(object, "attachments"), 0);
	assert_string_equal(string_of(object, "dir"), d->dir);
	assert_string_equal(string_of(object, "type"), "mutex");
	assert_int_equal(number_of(object, "mode"), 0600);
	assert_int_equal(number_of(object, "creator_pid"), owner);
	assert_int_equal(number_of(object, "attached"), 1);
	assert_int_equal(number_of(object, "dead"), 0);
	assert_true(number_of(object, "inode") > 0 && number_of(object, "created_usec") > 0);
	assert_null(json_object_get(object, "error"));
	assert_string_equal(string_of(mutex, "state"), "held");
	assert_int_equal(number_of(mutex, "owner_pid"), owner);
	assert_string_equal(string_of(attachment, "life"), "alive");
	assert_int_equal(number_of(attachment, "pid"), owner);
	assert_true(json_is_true(json_object_get(attachment, "current")));
	assert_string_equal(string_of(reclaim, "reason"), "attached");
	assert_true(json_is_false(json_object_get(reclaim, "takes")));
}

/* Every member of a reply, at any depth, is in the interface's description. */
static void expect_described(json_t *value, const char *description)
{
	const char *key;
	char line[64];
	size_t i;
	json_t *member;
	json_array_foreach(value, i, member)
		expect_described(member, description);
	json_object_foreach(value, key, member) {
		snprintf(line, sizeof(line), "\n  %s: ", key);
		if (!strstr(description, line))
			fail_msg("not described: %s", key);
		expect_described(member, description);
	}
}

static void expect_all_described(const struct daemon *d, json_t *reply, const char *list)
{
	json_t *description = call(d, SERVICE ".GetInterfaceDescription", "{\"interface\":\"" MANAGER "\"}");
	assert_true(json_array_size(json_object_get(reply, list)) > 0);
	expect_described(json_object_get(reply, list), string_of(description, "description"));
	json_decref(description);
}

static void shows_who_has_what(void **state)
{
	struct daemon *d = *state;
	pid_t a = start_holder("a", 0), b = start_holder("b", FIPC_PERSIST | FIPC_TIMESTAMPS);
	json_t *reply = call(d, MANAGER ".List", NULL);
	assert_int_equal(json_array_size(json_object_get(reply, "objects")), 2);
	expect_held(object_named(reply, "a"), d, a);
	expect_all_described(d, reply, "objects");
	json_t *flags = json_object_get(object_named(reply, "b"), "flags");
	assert_true(json_is_true(json_object_get(flags, "persistent")));
	json_decref(reply);

	reply = call(d, MANAGER ".List", "{\"name\":\"[b-z]*\",\"type\":\"mutex\",\"dir\":null}");
	assert_int_equal(json_array_size(json_object_get(reply, "objects")), 1);
	json_decref(reply);

	reply = call(d, MANAGER ".Get", "{\"name\":\"a\"}");
	expect_held(json_object_get(reply, "object"), d, a);
	json_decref(reply);

	reply = call(d, MANAGER ".ListProcesses", NULL);
	assert_int_equal(json_array_size(json_object_get(reply, "processes")), 2);
	expect_all_described(d, reply, "processes");
	json_t *process = json_array_get(json_object_get(reply, "processes"), 0);
	assert_true(number_of(process, "pid") == a || number_of(process, "pid") == b);
	assert_int_equal(number_of(process, "attachments"), 1);
	assert_string_equal(string_of(process, "life"), "alive");
	json_decref(reply);
	murder(a);
	murder(b);
}

static const char list_call[] = "{\"method\":\"" MANAGER ".List\"}";
static const char info_call[] = "{\"method\":\"" SERVICE ".GetInfo\",\"more\":true}";
static const char oneway_call[] = "{\"method\":\"" SERVICE ".GetInfo\",\"oneway\":true}";

static void expect_reply(int fd, struct wire_buffer *b, const char *key)
{
	json_t *message = receive_raw(fd, b);
	assert_non_null(message);
	assert_int_equal(json_object_size(message), 1);
	assert_non_null(json_object_get(json_object_get(message, "parameters"), key));
	json_decref(message);
}

static void answers_five_calls_in_one_write(void **state)
{
	char text[1024];
	size_t n = 0;
	struct wire_buffer b = {0};
	for (int i = 0; i < 5; i++) {
		const char *one = i % 2 ? info_call : list_call;
		memcpy(text + n, one, strlen(one) + 1);
		n += strlen(one) + 1;
		memcpy(text + n, oneway_call, sizeof(oneway_call)); /* not answered */
		n += sizeof(oneway_call);
	}
	int fd = connect_raw(*state);
	send_raw(fd, text, n);
	shutdown(fd, SHUT_WR);
	for (int i = 0; i < 5; i++)
		expect_reply(fd, &b, i % 2 ? "product" : "objects");
	assert_null(receive_raw(fd, &b));
	wire_buffer_free(&b);
	close(fd);
}

static void a_slow_client_holds_up_nobody(void **state)
{
	struct wire_buffer b = {0};
	int slow = connect_raw(*state), deaf = connect_raw(*state);
	send_raw(slow, list_call, 5);
	/* One that asks and never reads: until the daemon stops reading from it. */
	while (send(deaf, info_call, sizeof(info_call), MSG_NOSIGNAL | MSG_DONTWAIT) > 0)
		continue;
	json_decref(call(*state, MANAGER ".List", NULL));
	send_raw(slow, list_call + 5, sizeof(list_call) - 5);
	expect_reply(slow, &b, "objects");
	wire_buffer_free(&b);
	close(slow);
	close(deaf);
}

static void expect_hung_up(const struct daemon *d, const void *bytes, size_t size)
{
	struct wire_buffer b = {0};
	int fd = connect_raw(d);
	send_raw(fd, bytes, size);
	assert_null(receive_raw(fd, &b));
	wire_buffer_free(&b);
	close(fd);
}

static void hangs_up_on_garbage(void **state)
{
	static const char *const bad[] = {
		"", "x", "[]", "{}", "{\"method\":1}", "{\"method\":\"a\",\"parameters\":[]}", "GET / HTTP/1.1\r\n\r\n",
		"{\"method\":\"\xff\xfe\"}", "{\"method\":\"" MANAGER ".List\"}{}",
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		expect_hung_up(*state, bad[i], strlen(bad[i]) + 1);

	enum { DEPTH = 100000 };
	char *deep = calloc(1, DEPTH + 1);
	assert_non_null(deep);
	memset(deep, '[', DEPTH);
	expect_hung_up(*state, deep, DEPTH + 1);
	free(deep);
	json_decref(call(*state, SERVICE ".GetInfo", NULL));
}

static void hangs_up_on_an_endless_message(void **state)
{
	struct wire_buffer b = {0};
	char block[65536];
	size_t sent = 0;
	int fd = connect_raw(*state);
	memset(block, ' ', sizeof(block));
	ssize_t n;
	while (sent <= 2 * WIRE_MESSAGE_MAX && (n = send(fd, block, sizeof(block), MSG_NOSIGNAL)) > 0)
		sent += (size_t)n;
	assert_true(sent < 2 * WIRE_MESSAGE_MAX);
	assert_null(receive_raw(fd, &b));
	wire_buffer_free(&b);
	close(fd);
	json_decref(call(*state, SERVICE ".GetInfo", NULL));
}

/* ---- what it reclaims ---- */

static void a_dead_process_loses_its_names(void **state)
{
	struct daemon *d = *state;
	pid_t a = start_holder("a", 0), b = start_holder("b", FIPC_PERSIST), c = start_holder("c", 0);
	char death[64];
	murder(a);
	murder(b);
	await(!exists(d, "a"));
	assert_true(exists(d, "b"));
	assert_true(exists(d, "c"));
	snprintf(death, sizeof(death), "/dir after the death of %d: nobody is attached\n", (int)a);
	await(daemon_logged(d, "reclaimed mutex a in ") && daemon_logged(d, death));

	json_t *reply = call(d, MANAGER ".Get", "{\"name\":\"b\"}");
	json_t *b_object = json_object_get(reply, "object");
	assert_string_equal(string_of(json_object_get(b_object, "state"), "state"), "owner-died");
	assert_int_equal(number_of(b_object, "attached"), 0);
	json_decref(reply);
	murder(c);
	await(!exists(d, "c"));
	expect_refused(d, MANAGER ".Get", "{\"name\":\"c\"}", MANAGER ".NoSuchObject");
}

/* ---- a list that the kernel does not walk ---- */

struct cut {
	fipc_mutex *m;
	fipc_rwlock *l;
	struct gate holds, sleeps;
};

static void open_both(struct cut *c)
{
	must_not_fail(fipc_mutex_open(&c->m, "m", FIPC_CREATE, 0600));
	must_not_fail(fipc_rwlock_open(&c->l, "l", 4, FIPC_CREATE, 0600));
}

static void hold_with_a_list_cut(void *argument)
{
	static struct robust_list_head empty = {.list = {&empty.list}};
	struct cut *c = argument;
	open_both(c);
	must_be(fipc_mutex_lock(c->m), 0);
	must_be(fipc_rwlock_wrlock(c->l), 0);
	must_be(syscall(SYS_set_robust_list, &empty, sizeof(empty)), 0);
	gate_open(&c->holds);
	for (;;)
		pause();
}

static void wait_to_be_told(void *argument)
{
	struct cut *c = argument;
	open_both(c);
	gate_open(&c->sleeps);
	must_be(fipc_mutex_lock(c->m), FIPC_OWNER_DIED);
	must_be(fipc_rwlock_wrlock(c->l), FIPC_OWNER_DIED);
}

static void what_the_kernel_did_not_reach_is_mended(void **state)
{
	struct cut c;
	(void)state;
	gate_make(&c.holds);
	gate_make(&c.sleeps);
	pid_t owner = start(hold_with_a_list_cut, &c);
	gate_pass(&c.holds);
	pid_t waiter = start(wait_to_be_told, &c);
	gate_pass(&c.sleeps);
	await(asleep_in_futex(waiter));
	murder(owner);
	assert_int_equal(finish(waiter), 0);
	gate_free(&c.holds);
	gate_free(&c.sleeps);
}

static void what_died_before_it_came_goes_too(void **state)
{
	struct daemon *d = *state;
	murder(start_holder("a", 0));
	assert_true(exists(d, "a"));
	daemon_start(d);
	assert_false(exists(d, "a"));
	await(is_clean(d->dir, 0));
}

static void collects_on_demand(void **state)
{
	struct daemon *d = *state;
	pid_t a = start_holder("a", 0);
	json_t *reply = call(d, MANAGER ".Collect", "{\"dry_run\":true}");
	assert_true(json_is_true(json_object_get(reply, "dry_run")));
	assert_string_equal(string_of(json_object_get(object_named(reply, "a"), "reclaim"), "reason"), "attached");
	json_decref(reply);

	/* Stopped, it hears of no death; the kernel hands the call over when it goes on. */
	must_be(kill(d->pid, SIGSTOP), 0);
	murder(a);
	must_be(kill(d->pid, SIGCONT), 0);
	reply = call(d, MANAGER ".Collect", "{\"name\":\"a\"}");
	assert_true(json_is_false(json_object_get(reply, "dry_run")));
	json_decref(reply);
	await(!exists(d, "a"));
}

struct fork_scene {
	struct gate ready, stay;
};

static void open_and_fork(void *argument)
{
	struct fork_scene *scene = argument;
	fipc_mutex *m;
	must(fipc_mutex_open(&m, "a", FIPC_CREATE, 0600) == FIPC_CREATED);
	if (fork() == 0) {
		gate_open(&scene->ready);
		gate_pass(&scene->stay); /* as a daemonising program's child: it has not called the library yet */
		_exit(0);
	}
	for (;;)
		pause();
}

static void a_forked_child_keeps_what_it_has_mapped(void **state)
{
	struct daemon *d = *state;
	struct fork_scene scene;
	gate_make(&scene.ready);
	gate_make(&scene.stay);
	pid_t parent = start(open_and_fork, &scene);
	gate_pass(&scene.ready);
	murder(parent);
	/* The daemon has looked, more than once, and left it: the mapping is the witness. */
	await(daemon_logged(d, "detached the dead (1) from mutex a"));
	json_t *reply = call(d, MANAGER ".Collect", NULL);
	assert_string_equal(string_of(json_object_get(object_named(reply, "a"), "reclaim"), "reason"), "untracked");
	json_decref(reply);
	assert_true(exists(d, "a"));
	gate_open(&scene.stay);
	await(!exists(d, "a"));
	gate_free(&scene.ready);
	gate_free(&scene.stay);
}

enum { CROWD = 40 };

static void start_crowd(pid_t *pids)
{
	char name[16];
	for (int i = 0; i < CROWD; i++) {
		snprintf(name, sizeof(name), "crowd-%d", i);
		pids[i] = start_holder(name, 0);
	}
}

static void murder_crowd(const pid_t *pids)
{
	for (int i = 0; i < CROWD; i++)
		must_be(kill(pids[i], SIGKILL), 0);
	for (int i = 0; i < CROWD; i++)
		finish(pids[i]);
}

static void killed_while_it_collects_another_goes_on(void **state)
{
	struct daemon *d = *state;
	pid_t pids[CROWD];
	for (int round = 0; round < 5; round++) {
		const char *const arguments[] = {"--socket", d->socket, "--dir", d->dir, NULL};
		start_crowd(pids);
		murder_crowd(pids);
		int all = count_entries(d->dir);
		pid_t victim = daemon_spawn(d, arguments);
		await(count_entries(d->dir) < all - 2 * round);
		murder(victim);
		daemon_start(d); /* over the stale socket, too */
		await(is_clean(d->dir, 0));
		daemon_kill(d);
	}
}

static void two_of_them_share_a_directory(void **state)
{
	struct daemon *d = *state, other = *d;
	pid_t pids[CROWD];
	snprintf(other.socket, sizeof(other.socket), "%s/other", d->base);
	daemon_start(&other);
	start_crowd(pids);
	murder_crowd(pids);
	await(is_clean(d->dir, 0));
	daemon_stop(&other);
}

static void a_directory_made_anew_is_served_again(void **state)
{
	struct daemon *d = *state;
	murder(start_holder("a", 0));
	await(is_clean(d->dir, 0));
	remove_tree(d->dir);
	await(daemon_logged(d, "is gone"));
	expect_refused(d, MANAGER ".Collect", "{\"dir\":\"/dev/shm/none\"}", MANAGER ".NoSuchDirectory");
	json_decref(call(d, MANAGER ".List", NULL));
	for (int i = 0; i < 3; i++) {
		murder(start_holder("b", 0));
		await(inode_of(d->base, "dir") && is_clean(d->dir, 0));
		remove_tree(d->dir);
	}
}

static unsigned long switches_of(pid_t pid)
{
	char path[64], line[128];
	unsigned long n = 0;
	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	FILE *file = fopen(path, "re");
	must(file);
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "voluntary_ctxt_switches: %lu", &n) == 1)
			break;
	fclose(file);
	return n;
}

static void idle_it_sleeps(void **state)
{
	struct daemon *d = *state;
	pid_t a = start_holder("a", 0);
	murder(start_holder("b", 0));
	await(is_clean(d->dir, 0) || !exists(d, "b"));
	/* What was to be looked at again has been: then, for a while, nothing. */
	unsigned long before = 0;
	int64_t since = 0;
	await(switches_of(d->pid) == before ? now_ns() - since > INT64_C(1500000000)
					    : (before = switches_of(d->pid), since = now_ns(), false));
	murder(a);
}

/* ---- starting and ending ---- */

static void two_on_one_socket_are_one_too_many(void **state)
{
	struct daemon *d = *state;
	const char *const arguments[] = {"--socket", d->socket, "--dir", d->dir, NULL};
	assert_int_equal(finish(daemon_spawn(d, arguments)), 1);
	assert_true(daemon_logged(d, "somebody serves there already"));
	json_decref(call(d, SERVICE ".GetInfo", NULL));
	daemon_stop(d);
	assert_int_equal(inode_of(d->base, "socket"), 0);
	daemon_start(d);
}

static void refuses_what_is_no_socket(void **state)
{
	struct daemon *d = *state;
	const char *const arguments[] = {"--socket", d->log, "--dir", d->dir, NULL};
	assert_int_equal(finish(daemon_spawn(d, arguments)), 1);
	assert_true(daemon_logged(d, "it exists and is no socket"));
}

static void usage(void **state)
{
	static const char *const bad[][3] = {
		{"--nonsense"}, {"--dir"}, {"--socket"}, {"stray"}, {"--idle-exit", "29"}, {"--idle-exit", "x"},
		{"--dir", "relative"}, {"--socket", ""},
	};
	static const char *const good[][2] = {{"--help"}, {"--version"}};
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(finish(daemon_spawn(*state, bad[i])), 2);
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		assert_int_equal(finish(daemon_spawn(*state, good[i])), 0);
}

/* ---- as systemd starts it ---- */

struct activation {
	struct daemon *daemon;
	int listening, notices;
	char notify[128];
	const char *idle_exit_ms; /* NULL: as its option says */
};

static void run_activated(void *argument)
{
	const struct activation *a = argument;
	const char *const arguments[] = {"--dir", a->daemon->dir, "--idle-exit", "30", NULL};
	char pid[16];
	enum { FIRST = 3 };
	must(dup2(a->listening, FIRST) == FIRST); /* the copy is not closed on exec */
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	setenv("LISTEN_PID", pid, 1);
	setenv("LISTEN_FDS", "1", 1);
	setenv("NOTIFY_SOCKET", a->notify, 1);
	setenv("WATCHDOG_USEC", "200000", 1);
	setenv("WATCHDOG_PID", pid, 1);
	if (a->idle_exit_ms)
		setenv("FIPCD_IDLE_EXIT_MS", a->idle_exit_ms, 1);
	daemon_exec(a->daemon, arguments);
}

static void activate(struct activation *a, struct daemon *d)
{
	a->daemon = d;
	snprintf(a->notify, sizeof(a->notify), "%s/notify", d->base);
	a->notices = make_socket(a->notify, SOCK_DGRAM);
	a->listening = make_socket(d->socket, SOCK_STREAM);
	must_be(listen(a->listening, 8), 0);
	d->pid = start(run_activated, a);
	close(a->listening);
	expect_notice(a->notices, "READY=1\nSTATUS=0 objects reclaimed, 0 clients");
}

static void expect_end(struct activation *a)
{
	struct daemon *d = a->daemon;
	expect_notice(a->notices, "STOPPING=1");
	assert_int_equal(finish(d->pid), 0);
	d->pid = 0;
	assert_true(inode_of(d->base, "socket") != 0); /* it is systemd's */
	close(a->notices);
}

static void as_systemd_starts_it(void **state)
{
	struct daemon *d = *state;
	struct activation a = {0};
	activate(&a, d);
	expect_notice(a.notices, "WATCHDOG=1");
	json_decref(call(d, SERVICE ".GetInfo", NULL));
	murder(start_holder("a", 0));
	expect_notice(a.notices, "STATUS=1 objects reclaimed");
	must_be(kill(d->pid, SIGTERM), 0);
	expect_end(&a);
}

static void ends_when_idle(void **state)
{
	struct daemon *d = *state;
	struct activation a = {.idle_exit_ms = "20"};
	pid_t holder = start_holder("a", 0);
	activate(&a, d);
	for (int i = 0; i < 3; i++) /* each comes after several times the idle time */
		expect_notice(a.notices, "WATCHDOG=1");
	assert_int_equal(waitpid(d->pid, NULL, WNOHANG), 0);
	murder(holder);
	expect_end(&a);
	assert_true(daemon_logged(d, "nothing to watch: ends"));
}

int main(void)
{
#define WITH_DAEMON(test) cmocka_unit_test_setup_teardown(test, daemon_set_up, daemon_tear_down)
#define ALONE(test) cmocka_unit_test_setup_teardown(test, daemon_set_up_only, daemon_tear_down)
	const struct CMUnitTest tests[] = {
		WITH_DAEMON(tells_about_itself),
		WITH_DAEMON(refuses_what_it_does_not_know),
		WITH_DAEMON(shows_who_has_what),
		WITH_DAEMON(answers_five_calls_in_one_write),
		WITH_DAEMON(a_slow_client_holds_up_nobody),
		WITH_DAEMON(hangs_up_on_garbage),
		WITH_DAEMON(hangs_up_on_an_endless_message),
		WITH_DAEMON(a_dead_process_loses_its_names),
		ALONE(what_died_before_it_came_goes_too),
		WITH_DAEMON(what_the_kernel_did_not_reach_is_mended),
		WITH_DAEMON(collects_on_demand),
		WITH_DAEMON(a_forked_child_keeps_what_it_has_mapped),
		ALONE(killed_while_it_collects_another_goes_on),
		WITH_DAEMON(two_of_them_share_a_directory),
		WITH_DAEMON(a_directory_made_anew_is_served_again),
		WITH_DAEMON(idle_it_sleeps),
		WITH_DAEMON(two_on_one_socket_are_one_too_many),
		ALONE(refuses_what_is_no_socket),
		ALONE(usage),
		ALONE(as_systemd_starts_it),
		ALONE(ends_when_idle),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
