/* SPDX-License-Identifier: Apache-2.0 */
/* fipcd and the place that it runs in: the journal, too few descriptors, a socket that cannot be. */
#include "fipcd_support.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define MANAGER "io.fipc.Manager"

/* ---- the journal ---- */

/* A /run of its own, for this process and its children: 0 where that is not to be had. */
static int enter_namespace(void)
{
	return unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mount("tmpfs", "/run", "tmpfs", 0, NULL) == 0;
}

/* Where journald listens; and standard error, which goes to the log, is said to be the journal, as systemd says it. */
static int be_the_journal(const struct daemon *d)
{
	char stream[48];
	struct stat st;
	int fd = open(d->log, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);

	must(fd >= 0);
	must_be(fstat(fd, &st), 0);
	close(fd);
	snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
	must_be(setenv("JOURNAL_STREAM", stream, 1), 0);
	must_be(mkdir("/run/systemd", 0755), 0);
	must_be(mkdir("/run/systemd/journal", 0755), 0);
	return make_socket("/run/systemd/journal/socket", SOCK_DGRAM);
}

/* Of one entry, each field on a line of its own, in this order. caller: the fields that tell who asked for it. */
static void expect_entry(int journal, const char *action, const char *object, pid_t pid, const char *caller)
{
	char fields[256];

	snprintf(fields, sizeof(fields), "\nFIPC_OBJECT=%s\nFIPC_TYPE=mutex\nFIPC_ACTION=%s\nFIPC_PID=%d\n%s", object,
		 action, (int)pid, caller);
	expect_notice(journal, fields);
}

IN_CHILD(test_the_journal_gets_fields)
{
	struct daemon *d;
	struct stat st;
	char caller[80];
	void *state;
	pid_t pid;
	int journal;

	if (!enter_namespace()) {
		skip_aloud(__func__, "no mount namespace to be had");
		_exit(SKIPPED);
	}
	daemon_set_up_only(&state);
	d = state;
	journal = be_the_journal(d);
	daemon_start(d);
	pid = start_holder("dead", 0);
	murder(pid);
	expect_entry(journal, "reclaim", "dead", pid, "");
	pid = start_holder("unlinked", 0);
	json_decref(call(d, MANAGER ".Unlink", "{\"name\":\"unlinked\",\"type\":\"mutex\"}"));
	snprintf(caller, sizeof(caller), "FIPC_CALLER_UID=%d\nFIPC_CALLER_PID=%d\n", (int)geteuid(), (int)getpid());
	expect_entry(journal, "unlink", "unlinked", pid, caller);
	murder(pid);
	must_be(stat(d->log, &st), 0);
	must_be(st.st_size, 0); /* not twice */
	daemon_tear_down(&state);
}

/* ---- descriptors ---- */

static rlim_t first_free_descriptor(pid_t pid)
{
	char path[64];
	int fd = -1;

	do
		snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)pid, ++fd);
	while (access(path, F_OK) == 0 || errno != ENOENT);
	return (rlim_t)fd;
}

/* It serves who is connected, and does not ask the kernel again and again; who connects meanwhile is served later. */
static void without_descriptors_it_waits(void **state)
{
	static const char info[] = "{\"method\":\"org.varlink.service.GetInfo\"}";
	struct wire_buffer early = {0}, late = {0};
	const struct daemon *d = *state;
	int before = connect_raw(d), after;
	struct rlimit all, none;
	json_t *reply;

	send_raw(before, info, sizeof(info));
	must((reply = receive_raw(before, &early)));
	json_decref(reply);
	must_be(prlimit(d->pid, RLIMIT_NOFILE, NULL, &all), 0);
	none = (struct rlimit){first_free_descriptor(d->pid), all.rlim_max};
	must_be(prlimit(d->pid, RLIMIT_NOFILE, &none, NULL), 0);
	after = connect_raw(d);
	send_raw(after, info, sizeof(info));
	await(daemon_logged(d, "cannot accept connections for a second: Too many open files"));
	send_raw(before, info, sizeof(info));
	must((reply = receive_raw(before, &early)));
	json_decref(reply);
	must_be(prlimit(d->pid, RLIMIT_NOFILE, &all, NULL), 0);
	must((reply = receive_raw(after, &late)));
	json_decref(reply);
	wire_buffer_free(&early);
	wire_buffer_free(&late);
	close(before);
	close(after);
}

/* ---- a socket that cannot be ---- */

static void says_why_it_cannot_listen(void **state)
{
	struct daemon *d = *state;
	char nowhere[128], long_path[256];
	const struct {
		const char *socket, *said;
	} bad[] = {
		{nowhere, "its directory is missing: make it, or choose another path with --socket"},
		{long_path, "a socket's path has at most"},
	};

	snprintf(nowhere, sizeof(nowhere), "%s/nowhere/socket", d->base);
	snprintf(long_path, sizeof(long_path), "%s/%0120d", d->base, 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		const char *const arguments[] = {"--socket", bad[i].socket, "--dir", d->dir, NULL};

		assert_int_equal(finish(daemon_spawn(d, arguments)), 1);
		assert_true(daemon_logged(d, bad[i].said));
	}
}

/* It may not make its socket there; of a directory of somebody else's nobody else makes it his. */
static void listen_in_vain(void *argument)
{
	const struct daemon *d = argument;
	const char *const arguments[] = {"--socket", d->socket, "--dir", d->dir, NULL};

	become_user(61001);
	daemon_exec(d, arguments);
}

static void says_what_it_may_not(void **state)
{
	struct daemon *d = *state;
	int fd;

	if (lacks_root("fipcd as another user"))
		skip();
	fd = open(d->log, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
	must(fd >= 0);
	must_be(fchmod(fd, 0666), 0);
	close(fd);
	assert_int_equal(in_child(listen_in_vain, d), 1);
	assert_true(daemon_logged(d, "no permission: run as root, or choose another path with --socket"));
}

/* As by two .socket units. */
static void exec_with_two_sockets(void *argument)
{
	const struct daemon *d = argument;
	const char *const arguments[] = {"--dir", d->dir, NULL};
	enum { FIRST = 3, SECOND };
	int fd = make_socket(d->socket, SOCK_STREAM);
	char pid[16];

	must(dup2(fd, FIRST) == FIRST && dup2(fd, SECOND) == SECOND);
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	setenv("LISTEN_PID", pid, 1);
	setenv("LISTEN_FDS", "2", 1);
	daemon_exec(d, arguments);
}

static void two_sockets_are_one_too_many(void **state)
{
	assert_int_equal(in_child(exec_with_two_sockets, *state), 1);
	assert_true(daemon_logged(*state, "handed over: 2 file descriptors"));
}

/* Two names of one directory are one; and without systemd nobody would start it again. */
static void serves_a_directory_once(void **state)
{
	struct daemon *d = *state;
	const char *const arguments[] = {"--socket", d->socket,     "--dir", d->dir, "--dir", d->dir,
					 "--idle-exit", "30", NULL};
	json_t *reply;

	d->pid = daemon_spawn(d, arguments);
	await(inode_of(d->base, "socket") && daemon_logged(d, "--idle-exit is for a socket handed over by systemd"));
	reply = call(d, MANAGER ".Metrics", NULL);
	must_be(json_array_size(json_object_get(reply, "directories")), 1);
	json_decref(reply);
}

int main(void)
{
#define WITH_DAEMON(test) cmocka_unit_test_setup_teardown(test, daemon_set_up, daemon_tear_down)
#define ALONE(test) cmocka_unit_test_setup_teardown(test, daemon_set_up_only, daemon_tear_down)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_journal_gets_fields),
		WITH_DAEMON(without_descriptors_it_waits),
		ALONE(says_why_it_cannot_listen),
		ALONE(says_what_it_may_not),
		ALONE(two_sockets_are_one_too_many),
		ALONE(serves_a_directory_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
