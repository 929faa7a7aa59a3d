/* SPDX-License-Identifier: Apache-2.0 */
/* fipcctl lock: what it runs, what becomes of the lock, and who is told of a death. */
#include "fipcctl_support.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- one that runs beside the test ---- */

struct runner {
	char *words[8];
	int out[2], err; /* a pipe; a file */
	pid_t pid;
};

static void be_runner(void *argument)
{
	struct runner *r = argument;

	close(r->out[0]);
	fipcctl_exec(r->words, r->out[1], r->err);
}

static void runner_start(struct runner *r)
{
	must_be(pipe2(r->out, O_CLOEXEC), 0);
	r->err = memfd_create("err", MFD_CLOEXEC);
	r->pid = start(be_runner, r);
	close(r->out[1]);
}

/* What its command says first; it has the lock, then. */
static void runner_says(const struct runner *r, char *text, size_t size)
{
	ssize_t n = read(r->out[0], text, size - 1);

	must(n > 0);
	text[n] = '\0';
}

/* How it ends; what it said on standard error is in told.err. */
static int runner_ends(struct runner *r)
{
	int status = finish(r->pid);
	ssize_t n = pread(r->err, told.err, sizeof(told.err) - 1, 0);

	told.err[n > 0 ? n : 0] = '\0';
	close(r->err);
	close(r->out[0]);
	return status;
}

/* fipcctl lock NAME -- sh -c SCRIPT */
static struct runner locked(const char *name, const char *script)
{
	return (struct runner){.words = {(char *)"fipcctl", (char *)"lock", (char *)name, (char *)"--", (char *)"sh",
					 (char *)"-c", (char *)script, NULL}};
}

/* ---- the command ---- */

IN_CHILD(the_status_is_the_commands)
{
	names();
	fipcctl(DONE, "lock a -- true");
	must_be(*told.err, '\0');
	fipcctl(3, "lock a -- sh -c %", "echo out; exit 3");
	must_print("out\n");
	fipcctl(128 + SIGUSR1, "lock a -- sh -c %", "kill -USR1 $$");
	fipcctl(127, "lock a -- ./nonesuch");
	must_say(told.err, "cannot run './nonesuch'");
	must_be(lines(told.err), 1);
	fipcctl(126, "lock a -- /dev/null");
	must_list("NAME,TYPE,STATE,MODE,FLAGS", "a mutex free 0600 persistent,timestamps\n");
	fipcctl(DONE, "lock b --mode 0640 -- true");
	must_list("NAME,MODE", "a 0600\nb 0640\n");
}

IN_CHILD(it_is_held_meanwhile)
{
	struct runner r = locked("a", "echo up; exec sleep 1000");
	char said[20];

	names();
	runner_start(&r);
	runner_says(&r, said, sizeof(said));
	must_list("NAME,STATE", "a held\n");
	must_be(kill(r.pid, SIGTERM), 0);
	must_be(runner_ends(&r), 128 + SIGTERM);
	must_list("NAME,STATE,DEAD", "a free 0\n");
}

/* The command's own --json, -h and --dir, too. */
IN_CHILD(the_commands_options_are_its_own)
{
	names();
	fipcctl(DONE, "lock a -- echo -h --json --dir x");
	must_print("-h --json --dir x\n");
}

IN_CHILD(a_directory_is_not_handed_on)
{
	char other[100], script[300];

	snprintf(other, sizeof(other), "%s/other", names());
	snprintf(script, sizeof(script), "test \"$FIPC_DIR\" = %s", names());
	fipcctl(DONE, "lock a --dir % -- sh -c %", other, script);
	must_list("NAME", "");
	must_be(unsetenv("FIPC_DIR"), 0);
	fipcctl(DONE, "lock a --dir % -- sh -c %", other, "test -z \"${FIPC_DIR+x}\"");
	fipcctl(DONE, "list --no-headings -o NAME --dir %", other);
	must_print("a\n");
}

IN_CHILD(misuse_is_told)
{
	static const struct {
		const char *line, *says;
	} misuses[] = {
		{"lock", "lock wants NAME -- COMMAND"},
		{"lock a", "lock wants NAME -- COMMAND"},
		{"lock a true", "put -- before the command"},
		{"lock a -n -w 1s -- true", "--nonblock does not wait"},
		{"lock a --mode 9 -- true", "--mode: '9' is no mode"},
		{"lock a --mode 07777 -- true", "is no mode"},
		{"lock a -w soon -- true", "'soon' is no time"},
		{"lock a -E 256 -- true", "255 at most"},
	};

	names();
	for (size_t i = 0; i < sizeof(misuses) / sizeof(*misuses); i++) {
		fipcctl(USAGE, misuses[i].line);
		must_say(told.err, misuses[i].says);
		must_be(lines(told.err), 1);
	}
	fipcctl(FAILED, "lock % -- true", "a/b");
	must_say(told.err, "cannot open the mutex 'a/b'");
	must_list("NAME", "");
}

/* ---- waiting ---- */

IN_CHILD(what_another_has_is_not_to_be_had)
{
	fipc_mutex *m;
	char process[40];

	names();
	m = must_open("m", FIPC_CREATE, FIPC_CREATED);
	must_be(fipc_mutex_lock(m), 0);
	snprintf(process, sizeof(process), "process %d has it", getpid());
	fipcctl(FAILED, "lock m -n -- echo ran");
	must_say(told.err, process);
	must_be(lines(told.err), 1);
	must_print("");
	fipcctl(9, "lock m --timeout 10ms -E 9 -- echo ran");
	must_say(told.err, "in time");
	must_print("");
	fipcctl(FAILED, "lock m --wait 0 -- echo ran");
	must_be(fipc_mutex_unlock(m), 0);
	must_be(fipc_mutex_close(m), 0);
}

IN_CHILD(it_waits_for_its_turn)
{
	struct runner r = locked("m", "echo ran");
	fipc_mutex *m;

	names();
	m = must_open("m", FIPC_CREATE, FIPC_CREATED);
	must_be(fipc_mutex_lock(m), 0);
	runner_start(&r);
	await(sleepers(m) == 1);
	must_be(fipc_mutex_unlock(m), 0);
	must_be(runner_ends(&r), 0);
	must_be(*told.err, '\0');
	must_be(fipc_mutex_close(m), 0);
}

/* ---- deaths ---- */

static void lock_and_stay(void *argument)
{
	const struct gate *held = argument;
	fipc_mutex *m = must_open("m", FIPC_CREATE | FIPC_PERSIST, FIPC_CREATED);

	must_be(fipc_mutex_lock(m), 0);
	gate_open(held);
	for (;;)
		pause();
}

/* Another program has it, and is killed inside. */
static pid_t die_inside(void)
{
	struct gate held;
	pid_t pid;

	gate_make(&held);
	pid = start(lock_and_stay, &held);
	gate_pass(&held);
	murder(pid);
	return pid;
}

static void must_tell_of(pid_t pid)
{
	char wanted[100];

	snprintf(wanted, sizeof(wanted), "the previous owner (process %d) died while it held 'm'", pid);
	must_say(told.err, wanted);
}

#define TOLD "test \"$FIPC_OWNER_DIED\" = 1"
#define NOT_TOLD "test -z \"${FIPC_OWNER_DIED+x}\""

IN_CHILD(a_death_is_told_until_a_command_succeeds)
{
	pid_t dead;

	names();
	dead = die_inside();
	fipcctl(1, "lock m -- sh -c %", TOLD "; exit 1");
	must_tell_of(dead);
	must_say(told.err, "the command failed");
	must_list("NAME,STATE", "m owner-died\n");
	fipcctl(127, "lock m -- ./nonesuch");
	must_list("NAME,STATE", "m owner-died\n");
	fipcctl(DONE, "lock m -- sh -c %", TOLD);
	must_say(told.err, "the previous owner (process");
	must_be(lines(told.err), 1);
	must_list("NAME,STATE", "m free\n");
	must_be(setenv("FIPC_OWNER_DIED", "1", 1), 0); /* of another lock */
	fipcctl(DONE, "lock m -- sh -c %", NOT_TOLD);
	must_be(*told.err, '\0');
}

IN_CHILD(a_death_is_told_to_who_waits)
{
	struct runner r = locked("m", TOLD " && echo told");
	struct gate held;
	fipc_mutex *m;
	char said[20];
	pid_t pid;

	names();
	gate_make(&held);
	pid = start(lock_and_stay, &held);
	gate_pass(&held);
	m = must_open("m", 0, 0);
	runner_start(&r);
	await(sleepers(m) == 1);
	murder(pid);
	runner_says(&r, said, sizeof(said));
	must_be(strcmp(said, "told\n"), 0);
	must_be(runner_ends(&r), 0);
	must_tell_of(pid);
	must_be(fipc_mutex_close(m), 0);
}

IN_CHILD(what_is_lost_is_said)
{
	fipc_mutex *m;

	names();
	die_inside();
	m = must_open("m", 0, 0);
	must_be(fipc_mutex_lock(m), FIPC_OWNER_DIED);
	must_be(fipc_mutex_unlock(m), 0); /* not mended */
	must_be(fipc_mutex_close(m), 0);
	fipcctl(FAILED, "lock m -- echo ran");
	must_say(told.err, "fipcctl unlink m.mutex");
	must_be(lines(told.err), 1);
	must_print("");
	fipcctl(DONE, "unlink m.mutex");
	fipcctl(DONE, "lock m -- echo ran");
	must_print("ran\n");
}

/* ---- killed itself ---- */

/* The lock goes to others with its death, so its command may not go on. */
IN_CHILD(killed_it_takes_the_command_along)
{
	struct runner r = locked("m", "echo $$; exec sleep 1000");
	char said[20];
	pid_t command;
	int status;

	names();
	must_be(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	runner_start(&r);
	runner_says(&r, said, sizeof(said));
	command = (pid_t)strtol(said, NULL, 10);
	must(command > 0);
	murder(r.pid);
	await(waitpid(command, &status, WNOHANG) == command);
	must(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	fipcctl(DONE, "lock m -- sh -c %", TOLD);
	must_tell_of(r.pid);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_status_is_the_commands),
		cmocka_unit_test(it_is_held_meanwhile),
		cmocka_unit_test(the_commands_options_are_its_own),
		cmocka_unit_test(a_directory_is_not_handed_on),
		cmocka_unit_test(misuse_is_told),
		cmocka_unit_test(what_another_has_is_not_to_be_had),
		cmocka_unit_test(it_waits_for_its_turn),
		cmocka_unit_test(a_death_is_told_until_a_command_succeeds),
		cmocka_unit_test(a_death_is_told_to_who_waits),
		cmocka_unit_test(what_is_lost_is_said),
		cmocka_unit_test(killed_it_takes_the_command_along),
	};

	test_dir();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
