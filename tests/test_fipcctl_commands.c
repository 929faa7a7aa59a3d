/* SPDX-License-Identifier: Apache-2.0 */
/* fipcctl's commands for operators: revoke, unlink, check, metrics. */
#include "fipcctl_support.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- what there is ---- */

/* A process that has a mutex, and one that only has one open. */
struct peers {
	struct peer holder, user;
};

static void peers_start(struct peers *p)
{
	names();
	*p = (struct peers){
		.holder = {.name = "held", .flags = FIPC_CREATE | FIPC_TIMESTAMPS, .wanted = FIPC_CREATED, .holds = 1},
		.user = {.name = "idle", .flags = FIPC_CREATE, .wanted = FIPC_CREATED},
	};
	peer_begins(&p->holder);
	peer_begins(&p->user);
}

/* ---- revoke ---- */

IN_CHILD(revoke_takes_a_lock_from_a_living_owner)
{
	struct peers p;

	peers_start(&p);
	fipcctl(USAGE, "revoke held");
	must_say(told.err, "say so with --yes");
	must_be(lines(told.err), 1);
	must_list("NAME,STATE", "held held\nidle free\n");
	fipcctl(FAILED, "revoke idle --yes");
	must_say(told.err, "nobody has 'idle'");
	must_be(lines(told.err), 1);
	fipcctl(FAILED, "revoke nothing --yes");
	fipcctl(DONE, "revoke held.mutex --yes");
	must_say(told.err, "its owner lives, so nobody gets it");
	must_list("NAME,STATE", "held not-recoverable\nidle free\n");
	fipcctl(FAILED, "lock held -- true");
	peer_dies(&p.holder);
	peer_leaves(&p.user);
}

IN_CHILD(only_a_mutex_can_be_revoked)
{
	fipc_sem *s;

	names();
	must_be(fipc_sem_open(&s, "tokens", 1, FIPC_CREATE, 0600), FIPC_CREATED);
	fipcctl(FAILED, "revoke tokens --yes");
	must_say(told.err, "only a mutex can be revoked");
	must_be(fipc_sem_close(s), 0);
}

static void answer_on_terminal(void *argument)
{
	char *words[] = {(char *)"fipcctl", (char *)"revoke", (char *)"held", NULL};
	const char *line = argument;
	int primary = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), terminal;

	must(primary >= 0 && grantpt(primary) == 0 && unlockpt(primary) == 0);
	terminal = open(ptsname(primary), O_RDWR | O_NOCTTY);
	must(terminal >= 0);
	must_be(write(primary, line, strlen(line)), (long)strlen(line)); /* stays there until it is read */
	must_be(fcntl(primary, F_SETFD, 0), 0);                          /* closed, the terminal would hang up */
	dup2(terminal, STDIN_FILENO);
	fipcctl_exec(words, open("/dev/null", O_WRONLY | O_CLOEXEC), open("/dev/null", O_WRONLY | O_CLOEXEC));
}

IN_CHILD(revoke_asks_on_a_terminal)
{
	static char no[] = "n\n", nothing[] = "\n", yes[] = "y\n";
	struct peers p;

	peers_start(&p);
	must_be(in_child(answer_on_terminal, no), FAILED);
	must_be(in_child(answer_on_terminal, nothing), FAILED);
	must_list("NAME,STATE", "held held\nidle free\n");
	must_be(in_child(answer_on_terminal, yes), DONE);
	must_list("NAME,STATE", "held not-recoverable\nidle free\n");
	peer_dies(&p.holder);
	peer_leaves(&p.user);
}

IN_CHILD(fipcd_revokes_and_unlinks)
{
	struct service service = {0};
	struct peers p;

	peers_start(&p);
	service_start(&service);
	fipcctl(FAILED, "revoke idle --yes --socket %", service.socket);
	must_be(lines(told.err), 1);
	fipcctl(DONE, "revoke held --yes --socket %", service.socket);
	must_say(told.err, "its owner lives");
	must_list("NAME,STATE", "held not-recoverable\nidle free\n");
	fipcctl(DONE, "unlink held --socket %", service.socket);
	must_say(told.err, "1 process");
	fipcctl(FAILED, "unlink held --socket %", service.socket);
	fipcctl(DONE, "list --no-headings -o NAME --type mutex idle");
	must_print("idle\n");
	peer_dies(&p.holder);
	peer_leaves(&p.user);
	service_stop(&service);
}

/* ---- unlink ---- */

IN_CHILD(unlink_takes_the_name_away)
{
	fipc_event *e;

	names();
	must_be(fipc_event_open(&e, "open", FIPC_CREATE, 0600), FIPC_CREATED);
	fipcctl(FAILED, "unlink shut");
	must_say(told.err, "no object 'shut'");
	fipcctl(DONE, "unlink open.event");
	must_say(told.err, "open is gone; who has it open (1 process) goes on with the old one");
	must_be(fipc_event_close(e), 0);
	must_be(fipc_event_open(&e, "open", FIPC_CREATE | FIPC_PERSIST, 0600), FIPC_CREATED);
	must_be(fipc_event_close(e), 0);
	fipcctl(DONE, "unlink open");
	must_be(*told.err, '\0');
	must_list("NAME", "");
}

/* ---- check ---- */

IN_CHILD(check_finds_what_is_held_or_leaked)
{
	char unfinished[200];
	struct peers p;

	peers_start(&p);
	fipcctl(DONE, "check");
	must_print("OK: no deadlock, nothing leaked\n");
	fipcctl(DONE, "check --held 1h --leaked");
	must_print("OK: nothing held for 3600 s, nothing leaked\n");
	fipcctl(FAILED, "check --held 0");
	must(!fnmatch("PROBLEM: 1 held: held.mutex for *.? s by process *\n", told.out, 0));
	must_be(lines(told.out), 1);
	must_be(*told.err, '\0');
	peer_dies(&p.user);
	fipcctl(FAILED, "check --leaked --held 1h");
	must_print("PROBLEM: 1 leaked: idle.mutex\n");
	fipcctl(DONE, "check --held 1h");
	fipcctl(DONE, "gc");
	fipcctl(DONE, "check --leaked");
	snprintf(unfinished, sizeof(unfinished), "%s/.new-1", names());
	must_be(mknod(unfinished, S_IFREG | 0600, 0), 0); /* by somebody who died */
	fipcctl(FAILED, "check --leaked");
	must_print("PROBLEM: 1 leaked: .new-1\n");
	peer_leaves(&p.holder);
}

IN_CHILD(check_names_no_more_than_a_few)
{
	struct peer peers[7];
	char name[sizeof(peers) / sizeof(*peers)][20];

	names();
	for (int i = 0; i < 7; i++) {
		snprintf(name[i], sizeof(name[i]), "left-%d", i);
		peers[i] = (struct peer){.name = name[i], .flags = FIPC_CREATE, .wanted = FIPC_CREATED};
		peer_begins(&peers[i]);
	}
	for (int i = 0; i < 7; i++)
		peer_dies(&peers[i]);
	fipcctl(FAILED, "check --leaked");
	must_print(
		"PROBLEM: 7 leaked: left-0.mutex, left-1.mutex, left-2.mutex, left-3.mutex, left-4.mutex and 2 more\n");
}

IN_CHILD(check_answers_in_json)
{
	struct peers p;
	int ok, pid;
	json_int_t nsec;
	json_t *value;

	peers_start(&p);
	fipcctl(FAILED, "check --json --held 0 --leaked");
	value = answer("check");
	must_be(json_unpack(value, "{s:b, s:[{s:I, s:{s:i}}], s:[]}", "ok", &ok, "held", "held_nsec", &nsec, "state",
			    "owner_pid", &pid, "leaked"),
		0);
	must(!ok && nsec >= 0 && pid == p.holder.pid && !json_object_get(value, "deadlocks"));
	json_decref(value);
	peer_leaves(&p.holder);
	peer_leaves(&p.user);
}

/* Each has one mutex, and waits for the other's. */
struct embrace {
	const char *mine, *yours;
	struct gate *has, *go;
};

static void embrace(void *argument)
{
	const struct embrace *e = argument;
	fipc_mutex *mine = must_open(e->mine, 0, 0), *yours = must_open(e->yours, 0, 0);

	must_be(fipc_mutex_lock(mine), 0);
	gate_open(e->has);
	gate_pass(e->go);
	must_be(fipc_mutex_lock(yours), FIPC_OWNER_DIED);
}

IN_CHILD(check_finds_a_deadlock)
{
	struct service service = {0};
	struct gate has, go;
	struct embrace a = {"one", "two", &has, &go}, b = {"two", "one", &has, &go};
	fipc_mutex *one, *two;
	pid_t pids[2];

	names();
	gate_make(&has);
	gate_make(&go);
	one = must_open("one", FIPC_CREATE, FIPC_CREATED);
	two = must_open("two", FIPC_CREATE, FIPC_CREATED);
	pids[0] = start(embrace, &a);
	pids[1] = start(embrace, &b);
	gate_pass(&has);
	gate_pass(&has);
	fipcctl(DONE, "check --deadlock");
	gate_open(&go);
	gate_open(&go);
	await(sleepers(one) == 1 && sleepers(two) == 1);
	fipcctl(FAILED, "check --deadlock --leaked");
	must_say(told.out, "PROBLEM: 1 deadlocked: ");
	must_be(lines(told.out), 1);
	fipcctl(FAILED, "check --held 0"); /* without timestamps those who wait tell */
	must_say(told.out, "PROBLEM: 2 held: one.mutex for ");
	service_start(&service);
	fipcctl(FAILED, "check --deadlock --held 0 --socket %", service.socket);
	must_say(told.out, "PROBLEM: 2 held: one.mutex for ");
	must_say(told.out, "; 1 deadlocked: ");
	service_stop(&service);
	murder(pids[0]);
	must_be(finish(pids[1]), 0);
	fipcctl(DONE, "check --deadlock");
	must_be(fipc_mutex_close(one), 0);
	must_be(fipc_mutex_close(two), 0);
}

/* ---- metrics ---- */

/* Each line is a comment of a family, or a sample of the family that was begun last. */
static void must_be_well_formed(const char *text)
{
	char family[100] = "", *copy = strdup(text), *rest = NULL;

	must(*text && text[strlen(text) - 1] == '\n');
	for (char *line = strtok_r(copy, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		char name[100], kind[20];
		int used = 0;

		if (sscanf(line, "# HELP %99s %n", name, &used) == 1 && used) {
			strcpy(family, name);
			must(line[strlen(line) - 1] == '.');
		} else if (sscanf(line, "# TYPE %99s %19s", name, kind) == 2) {
			must(!strcmp(name, family));
			must(!strcmp(kind, fnmatch("*_total", name, 0) ? "gauge" : "counter"));
		} else {
			must(!strncmp(line, family, strlen(family)) &&
			     strspn(line, "abcdefghijklmnopqrstuvwxyz_") == strlen(family));
			must(!strncmp(family, "fipc_", 5) && strtod(strrchr(line, ' '), NULL) >= 0);
		}
	}
	free(copy);
}

static void judge(void *argument)
{
	int fd = memfd_create("metrics", 0);

	must_be(write(fd, argument, strlen(argument)), (long)strlen(argument));
	must_be(lseek(fd, 0, SEEK_SET), 0);
	dup2(fd, STDIN_FILENO);
	execlp("promtool", "promtool", "check", "metrics", (char *)NULL);
	_exit(SKIPPED);
}

/* By Prometheus's own measure, where it is installed. */
static void must_please_prometheus(char *text)
{
	int status;

	must_be_well_formed(text);
	status = in_child(judge, text);
	if (status == SKIPPED)
		skip_aloud("the format of fipcctl metrics, by its reader", "no promtool here (package prometheus)");
	else
		must_be(status, 0);
}

IN_CHILD(metrics_please_prometheus)
{
	struct service service = {0};
	struct peers p;

	peers_start(&p);
	fipcctl(DONE, "metrics");
	must_be(*told.err, '\0');
	must_be_well_formed(told.out);
	must_say(told.out, "\nfipc_daemon_up 0\n");
	must_say(told.out, "type=\"mutex\",state=\"held\"} 1\n");
	must_say(told.out, "\nfipc_processes{dir=");
	must(!strstr(told.out, "name=\"held\""));
	service_start(&service);
	fipcctl(DONE, "metrics % --socket %", "he*", service.socket);
	must_say(told.out, "\nfipc_daemon_up 1\n");
	must_say(told.out, "\nfipc_daemon_calls_total ");
	must_say(told.out, "\nfipc_scans_total{dir=");
	must_say(told.out, "name=\"held\",type=\"mutex\"} 1\n");
	must(!strstr(told.out, "name=\"idle\""));
	must_please_prometheus(told.out);
	service_stop(&service);
	peer_leaves(&p.holder);
	peer_leaves(&p.user);
}

IN_CHILD(metrics_escape_labels)
{
	char dir[200];

	snprintf(dir, sizeof(dir), "%s/a\"b\\c\nd", names());
	must_be(setenv("FIPC_DIR", dir, 1), 0);
	fipcctl(DONE, "lock x -- true");
	fipcctl(DONE, "metrics x");
	must_say(told.out, "/a\\\"b\\\\c\\nd\",name=\"x\",type=\"mutex\"} 1\n");
	must_please_prometheus(told.out);
}

IN_CHILD(metrics_are_written_whole_or_not_at_all)
{
	char dir[200], file[220], *text;
	static char written[1 << 16];
	struct stat st;
	int fd;

	snprintf(dir, sizeof(dir), "%s/out", test_dir());
	snprintf(file, sizeof(file), "%s/fipc.prom", dir);
	names();
	fipcctl(FAILED, "metrics --output %", file);
	must_say(told.err, file);
	must_be(lines(told.err), 1);
	must_be(mkdir(dir, 0700), 0);
	fipcctl(DONE, "metrics --output %", file);
	fipcctl(DONE, "lock more -- true");
	fipcctl(DONE, "metrics");
	text = strdup(told.out);
	fipcctl(DONE, "metrics --output %", file); /* over the old one */
	must_print("");
	fd = open(file, O_RDONLY | O_CLOEXEC);
	must(fd >= 0 && read(fd, written, sizeof(written) - 1) == (ssize_t)strlen(text) && !strcmp(text, written));
	must_be(fstat(fd, &st), 0);
	must_be(st.st_mode & 0777, 0644);
	must_be(count_entries(dir), 1);
	close(fd);
	free(text);
	remove_tree(dir);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(revoke_takes_a_lock_from_a_living_owner),
		cmocka_unit_test(only_a_mutex_can_be_revoked),
		cmocka_unit_test(revoke_asks_on_a_terminal),
		cmocka_unit_test(fipcd_revokes_and_unlinks),
		cmocka_unit_test(unlink_takes_the_name_away),
		cmocka_unit_test(check_finds_what_is_held_or_leaked),
		cmocka_unit_test(check_names_no_more_than_a_few),
		cmocka_unit_test(check_answers_in_json),
		cmocka_unit_test(check_finds_a_deadlock),
		cmocka_unit_test(metrics_please_prometheus),
		cmocka_unit_test(metrics_escape_labels),
		cmocka_unit_test(metrics_are_written_whole_or_not_at_all),
	};

	/* Nobody is to be asked, whatever terminal the tests have. */
	must(freopen("/dev/null", "r", stdin) != NULL);
	test_dir();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
