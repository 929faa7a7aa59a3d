/* SPDX-License-Identifier: Apache-2.0 */
/* The operator's tool, against processes that hold real locks; directly, and through fipcd. */
#include "fipcctl_support.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <grp.h>
#include <jansson.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

enum { OTHER_UID = 54321 };

/* ---- a process that has locks ---- */

struct holder {
	struct gate ready, go;
	pid_t pid;
};

static struct holder holder;

static void hold(void *argument)
{
	fipc_mutex *held, *idle, *kept;

	(void)argument;
	prctl(PR_SET_NAME, "holder");
	must_be(fipc_mutex_open(&held, "held", FIPC_CREATE, 0600), FIPC_CREATED);
	must_be(fipc_mutex_open(&idle, "idle", FIPC_CREATE, 0640), FIPC_CREATED);
	must_be(fipc_mutex_open(&kept, "kept", FIPC_CREATE | FIPC_PERSIST | FIPC_TIMESTAMPS, 0600), FIPC_CREATED);
	must_be(fipc_mutex_lock(held), 0);
	gate_open(&holder.ready);
	gate_pass(&holder.go);
}

static void hold_start(void)
{
	names();
	gate_make(&holder.ready);
	gate_make(&holder.go);
	holder.pid = start(hold, NULL);
	gate_pass(&holder.ready);
}

/* ---- what stands on the command line ---- */

static const struct {
	const char *line, *says;
} misuses[] = {
	{"", "which command? See fipcctl --help"},
	{"lits", "no command 'lits'"},
	{"--lits list", "no option --lits"},
	{"-x list", "no option -x"},
	{"list --dir", "--dir wants DIR"},
	{"list --json=yes", "--json takes no argument"},
	{"list --dry-run", "list takes no --dry-run"},
	{"show held -o NAME", "show takes no --output"},
	{"list -o NAME,WEIGHT", "no column 'WEIGHT'; there are NAME TYPE STATE"},
	{"ps -o NAME", "no column 'NAME'; there are PID LIFE"},
	{"list -o ,", "--output names no column"},
	{"list --type mutant", "no type 'mutant'; there are mutex"},
	{"list a b", "one argument too many, 'b'"},
	{"ps a", "one argument too many, 'a'"},
	{"show", "show wants NAME[.TYPE]"},
	{"list --direct --socket /x", "--direct asks nobody"},
	{"list --json -o NAME", "--output is for the table"},
	{"gc --json --no-headings", "--no-headings is for the table"},
};

IN_CHILD(misuse_is_told_in_one_line)
{
	names();
	for (size_t i = 0; i < sizeof(misuses) / sizeof(*misuses); i++) {
		fipcctl(USAGE, misuses[i].line);
		must_say(told.err, misuses[i].says);
		must_be(lines(told.err), 1);
		must_print("");
	}
}

IN_CHILD(foreign_bytes_do_not_reach_the_terminal)
{
	names();
	fipcctl(USAGE, "%", "l\033[31m");
	must_say(told.err, "'l\\x1b[31m'");
	fipcctl(USAGE, "%", "--x\033[31m");
	must(!strchr(told.err, '\033'));
}

IN_CHILD(help_and_version)
{
	static const char *const commands[] = {"list", "show", "ps", "gc"};

	fipcctl(DONE, "--help");
	for (int i = 0; i < 4; i++)
		must_say(told.out, commands[i]);
	must_say(told.out, "--socket PATH");
	fipcctl(DONE, "--version");
	must_be(strncmp(told.out, "fipcctl ", 8), 0);
	for (int i = 0; i < 4; i++) {
		fipcctl(DONE, "% --help", commands[i]);
		must_say(told.out, "Usage: fipcctl");
		must_be(*told.err, '\0');
	}
}

/* Help and --output are of one mind: each column that help lists is one, with its name for a heading. */
static void columns_of_help_exist(const char *command)
{
	char *help, *rest = NULL, headings[600] = "";
	int columns = 0;

	fipcctl(DONE, "% --help", command);
	help = strstr(told.out, "\nColumns");
	must(help != NULL);
	for (char *line = strtok_r(help, "\n", &rest); (line = strtok_r(NULL, "\n", &rest)); columns++) {
		char name[40];

		must_be(sscanf(line, " %39s", name), 1);
		strcat(strcat(headings, columns ? " " : ""), name);
	}
	must(columns > 5);
	fipcctl(DONE, "% -o %", command, headings);
	told.out[strcspn(told.out, "\n")] = '\0';
	must_print(headings);
}

IN_CHILD(help_lists_the_columns_that_there_are)
{
	hold_start();
	columns_of_help_exist("list");
	columns_of_help_exist("ps");
}

/* ---- tables ---- */

IN_CHILD(list_shows_what_is_there)
{
	char wanted[600];

	hold_start();
	fipcctl(DONE, "list");
	squeeze(told.out);
	snprintf(wanted, sizeof(wanted),
		 "NAME TYPE STATE DETAIL OWNER WAITERS ATTACHED DEAD UID\n"
		 "held mutex held - %d 0 1 0 %u\n"
		 "idle mutex free - - 0 1 0 %u\n"
		 "kept mutex free - - 0 1 0 %u\n",
		 holder.pid, getuid(), getuid(), getuid());
	must_print(wanted);
	must_be(*told.err, '\0');
}

IN_CHILD(columns_are_chosen_and_aligned)
{
	hold_start();
	fipcctl(DONE, "list -o NAME,STATE,MODE,FLAGS,RECLAIM");
	must_print_exactly("NAME STATE MODE FLAGS                 RECLAIM\n"
			   "held held  0600 -                     attached\n"
			   "idle free  0640 -                     attached\n"
			   "kept free  0600 persistent,timestamps attached\n");
	fipcctl(DONE, "list --no-headings --output name,acquisitions");
	must_print("held 1\nidle 0\nkept 0\n");
	fipcctl(DONE, "list -o +DEATHS --no-headings idle");
	squeeze(told.out);
	must(fnmatch("idle mutex free - - 0 1 0 * 0\n", told.out, 0) == 0);
}

static const char *text_of(long number)
{
	static char text[24];

	snprintf(text, sizeof(text), "%ld", number);
	return text;
}

IN_CHILD(list_filters)
{
	hold_start();
	fipcctl(DONE, "list --no-headings -o NAME %", "[hi]*d*");
	must_print("held\nidle\n");
	fipcctl(DONE, "list --no-headings -o NAME --type mutex k*");
	must_print("kept\n");
	fipcctl(DONE, "list nothing*");
	must_print("");
	fipcctl(DONE, "list --no-headings -o NAME --state free");
	must_print("idle\nkept\n");
	fipcctl(DONE, "list --no-headings -o NAME --user % i*", text_of(getuid()));
	must_print("idle\n");
	fipcctl(DONE, "list --user %", text_of(OTHER_UID));
	must_print("");
	fipcctl(DONE, "list --no-headings -o NAME --pid % --state held", text_of(holder.pid));
	must_print("held\n");
	fipcctl(DONE, "list --pid %", text_of(getpid()));
	must_print("");
	fipcctl(USAGE, "list --user no-such-user");
	must_be(lines(told.err), 1);
}

IN_CHILD(ps_shows_the_holder)
{
	char wanted[100];

	hold_start();
	fipcctl(DONE, "ps -o PID,LIFE,UID,COMM,ATTACHED");
	squeeze(told.out);
	snprintf(wanted, sizeof(wanted), "PID LIFE UID COMM ATTACHED\n%d alive %u holder 3\n", holder.pid, getuid());
	must_print(wanted);
	fipcctl(DONE, "ps");
	must_be(lines(told.out), 2);
	must_say(told.out, " 20"); /* of START: in this century */
}

IN_CHILD(show_tells_all)
{
	char wanted[100];

	hold_start();
	fipcctl(DONE, "show held");
	squeeze(told.out);
	must_be(strncmp(told.out, "held.mutex\n", 11), 0);
	snprintf(wanted, sizeof(wanted), "State held by process %d (holder)\n", holder.pid);
	must_say(told.out, wanted);
	must_say(told.out, "Attached 1 alive, 0 dead, 0 unknown\n");
	must_say(told.out, "Verdict stays: ");
	snprintf(wanted, sizeof(wanted), "PID LIFE UID COMM OBJECT\n%d alive %u holder this\n", holder.pid, getuid());
	must_say(told.out, wanted);
	fipcctl(DONE, "show kept.mutex");
	must_say(told.out, "persistent,timestamps");
	fipcctl(FAILED, "show kep*");
	must_say(told.err, "no object 'kep*'");
	must_be(lines(told.err), 1);
	must_print("");
}

/* With "x" and "x.mutex" there, "x.mutex" may mean either. */
IN_CHILD(show_asks_when_it_cannot_tell)
{
	fipc_mutex *x, *dotted;

	names();
	must_be(fipc_mutex_open(&x, "x", FIPC_CREATE, 0600), FIPC_CREATED);
	must_be(fipc_mutex_open(&dotted, "x.mutex", FIPC_CREATE, 0600), FIPC_CREATED);
	fipcctl(DONE, "show x");
	fipcctl(FAILED, "show x.mutex");
	must_say(told.err, "x.mutex.mutex, x.mutex; say which");
	fipcctl(DONE, "show x.mutex.mutex");
	must_be(fipc_mutex_close(x), 0);
	must_be(fipc_mutex_close(dotted), 0);
}

/* ---- JSON ---- */

IN_CHILD(json_is_typed)
{
	const char *name, *state, *reason, *life, *comm;
	int mode, persistent, pid, waiters, takes, started;
	json_t *value;

	hold_start();
	fipcctl(DONE, "list --json");
	value = answer("objects");
	must_be(json_array_size(value), 3);
	json_decref(value);

	fipcctl(DONE, "show held --json");
	value = answer("object");
	must_be(json_unpack(value, "{s:s, s:i, s:{s:b}, s:{s:s, s:i, s:i}, s:{s:b, s:s}, s:[{s:s}]}", "name", &name,
			    "mode", &mode, "flags", "persistent", &persistent, "state", "state", &state, "owner_pid",
			    &pid, "waiters", &waiters, "reclaim", "takes", &takes, "reason", &reason, "attachments",
			    "life", &life),
		0);
	must(!strcmp(name, "held") && mode == 0600 && !persistent && !strcmp(state, "held") && pid == holder.pid);
	must(!waiters && !takes && !strcmp(reason, "attached") && !strcmp(life, "alive"));
	json_decref(value);

	fipcctl(DONE, "ps --json");
	value = answer("processes");
	must_be(json_unpack(value, "[{s:i, s:s, s:i}]", "pid", &pid, "comm", &comm, "start", &started), 0);
	must(pid == holder.pid && !strcmp(comm, "holder") && started > 0);
	json_decref(value);
}

/* ---- clearing up ---- */

IN_CHILD(gc_dry_run_tells_what_gc_does)
{
	hold_start();
	fipcctl(DONE, "gc");
	must_print("");
	must_say(told.err, "removed 0 objects and 0 entries of dead processes; 3 stay");
	fipcctl(DONE, "gc -v -o NAME,VERDICT --no-headings");
	must_print("held stays\nidle stays\nkept stays\n");

	murder(holder.pid);
	fipcctl(DONE, "list --no-headings -o NAME,STATE,ATTACHED,DEAD");
	must_print("held owner-died 0 1\nidle free 0 1\nkept free 0 1\n");
	fipcctl(DONE, "gc --dry-run -o NAME,VERDICT,ENTRIES,CODE --no-headings");
	must_print("held would remove 1 unused\nidle would remove 1 unused\nkept stays 1 persistent\n");
	must_say(told.err, "would remove 2 objects and 3 entries of dead processes; 1 stays");
	fipcctl(DONE, "list --no-headings -o NAME");
	must_print("held\nidle\nkept\n");

	fipcctl(DONE, "gc --json idle");
	must_say(told.out, "\"collected\": true");
	fipcctl(DONE, "gc -o NAME,VERDICT,ENTRIES,CODE --no-headings");
	must_print("held removed 1 unused\nkept stays 1 persistent\n");
	must_say(told.err, "removed 1 object and 2 entries of dead processes; 1 stays");
	fipcctl(DONE, "list --no-headings -o NAME,DEAD");
	must_print("kept 0\n");
	fipcctl(DONE, "ps");
	must_print("");
	must_be(fipc_mutex_unlink("kept"), 0);
	must(is_clean(names(), 0));
}

/* ---- what others have put there ---- */

static void put(const char *name, const char *bytes)
{
	char path[300];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", names(), name);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	must(fd >= 0);
	must_be(write(fd, bytes, strlen(bytes)), (long)strlen(bytes));
	close(fd);
}

IN_CHILD(litter_is_shown_safely_and_left)
{
	char fifo[300];

	put("esc\033[31m\n.mutex", "x");
	put("short.mutex", "");
	snprintf(fifo, sizeof(fifo), "%s/fifo.mutex", names());
	must_be(mkfifo(fifo, 0600), 0);
	for (const char *const *line =
		     (const char *const[]){"list", "list --json", "gc", "gc --json", "show short", "show fifo", NULL};
	     *line; line++) {
		fipcctl(DONE, *line);
		must(!strchr(told.out, '\033') && !strchr(told.err, '\033'));
		must(*told.out);
	}
	fipcctl(DONE, "gc --no-headings -o CODE short");
	must_print("damaged\n");
	must_be(access(fifo, F_OK), 0);
}

IN_CHILD(without_a_directory_there_is_nothing)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/none", names());
	setenv("FIPC_DIR", path, 1);
	fipcctl(DONE, "list");
	must_print("");
	must_say(told.err, "nobody has used fipc yet");
	must_be(lines(told.err), 1);
	fipcctl(FAILED, "show x");
	fipcctl(FAILED, "list --dir %", path);
	must_say(told.err, path);
	must_be(lines(told.err), 1);
	must_print("");
	must_be(access(path, F_OK), -1);
}

IN_CHILD(a_relative_directory_is_the_shells)
{
	hold_start();
	must_be(chdir(test_dir()), 0);
	fipcctl(DONE, "list --no-headings -o NAME idle --dir %", strrchr(names(), '/') + 1);
	must_print("idle\n");
}

static void be_somebody_else(void *argument)
{
	(void)argument;
	must_be(setgroups(0, NULL), 0);
	must_be(setgid(OTHER_UID), 0);
	must_be(setuid(OTHER_UID), 0);
	fipcctl(DONE, "list --no-headings -o NAME,STATE,WAITERS,ATTACHED,MODE");
	must_print("held EACCES - - 0600\nidle EACCES - - 0640\nkept EACCES - - 0600\n");
	fipcctl(DONE, "show held");
	must_say(told.out, "Permission denied");
	fipcctl(DONE, "gc -v --no-headings -o NAME,VERDICT,CODE");
	must_print("held stays not-permitted\nidle stays not-permitted\nkept stays not-permitted\n");
}

/* Below a home directory, for one, it cannot. */
static void see_the_tool(void *argument)
{
	(void)argument;
	must_be(setuid(OTHER_UID), 0);
	_exit(access(FIPCCTL_PATH, X_OK) == 0 ? 0 : SKIPPED);
}

IN_CHILD(objects_of_another_user_stay_closed)
{
	const char *obstacle = getuid() != 0                             ? "needs root"
			       : in_child(see_the_tool, NULL) == SKIPPED ? "other users cannot run the tool here"
									 : NULL;

	if (obstacle) {
		skip_aloud("objects of another user", obstacle);
		_exit(SKIPPED);
	}
	hold_start();
	murder(holder.pid);
	must_be(in_child(be_somebody_else, NULL), 0);
	fipcctl(DONE, "list --no-headings -o NAME");
	must_print("held\nidle\nkept\n");
}

/* ---- output that cannot be written ---- */

static void write_to_full(void *argument)
{
	char *words[] = {(char *)"fipcctl", (char *)"list", NULL};

	(void)argument;
	fipcctl_exec(words, open("/dev/full", O_WRONLY | O_CLOEXEC), open("/dev/null", O_WRONLY | O_CLOEXEC));
}

IN_CHILD(lost_output_is_a_failure)
{
	hold_start();
	must_be(in_child(write_to_full, NULL), FAILED);
}

/* ---- through fipcd ---- */

IN_CHILD(fipcd_gives_the_same_data)
{
	struct service service = {0};

	hold_start();
	service_start(&service);
	same_through(&service, "list");
	same_through(&service, "list --json");
	same_through(&service, "list --json --type mutex [hk]*");
	same_through(&service, "list --state held");
	same_through(&service, "show idle --json");
	same_through(&service, "show held");
	same_through(&service, "ps");
	same_through(&service, "ps --json");
	fipcctl(DONE, "gc --dry-run -v --no-headings -o NAME,VERDICT --socket %", service.socket);
	must_print("held stays\nidle stays\nkept stays\n");
	fipcctl(DONE, "gc -v --no-headings -o NAME,VERDICT --socket %", service.socket);
	must_print("held stays\nidle stays\nkept stays\n");
	fipcctl(DONE, "list --no-headings -o NAME --state held --pid % --socket %", text_of(holder.pid), service.socket);
	must_print("held\n");
	fipcctl(DONE, "list --user % --socket %", text_of(OTHER_UID), service.socket);
	must_print("");
	fipcctl(FAILED, "show nothing --socket %", service.socket);
	must_be(lines(told.err), 1);
	service_stop(&service);
}

IN_CHILD(fipcd_is_asked_when_it_is_there)
{
	struct service service = {0};
	char other[300];

	hold_start();
	service_start(&service);
	setenv("FIPC_SOCKET", service.socket, 1);
	snprintf(other, sizeof(other), "%s/other", test_dir());
	must_be(mkdir(other, 0700), 0);
	fipcctl(DONE, "list --no-headings -o NAME --dir %", other);
	must_print("");
	must_be(*told.err, '\0');
	fipcctl(FAILED, "list --dir % --socket %", other, service.socket);
	must_say(told.err, "does not look after");
	must_be(lines(told.err), 1);
	must_be(rmdir(other), 0);

	murder(holder.pid);
	await((fipcctl(DONE, "list --no-headings -o NAME,DEAD"), squeeze(told.out), !strcmp(told.out, "kept 0\n")));
	fipcctl(DONE, "gc");
	service_stop(&service);
	fipcctl(DONE, "list --no-headings -o NAME");
	must_print("kept\n");
	must_be(*told.err, '\0');
	fipcctl(FAILED, "list --socket %", service.socket);
	must_say(told.err, service.socket);
	must_be(lines(told.err), 1);
	must_print("");
}

/* ---- through something that is not fipcd ---- */

static void be_impostor(void *argument)
{
	const struct service *s = argument;

	for (;;) {
		char call[1000];
		int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);

		must(fd >= 0);
		must(read(fd, call, sizeof(call)) >= 0);
		/* The terminating NUL is Varlink's, too. */
		must_be(send(fd, s->reply, strlen(s->reply) + 1, MSG_NOSIGNAL), (long)strlen(s->reply) + 1);
		close(fd);
	}
}

static void impostor_start(struct service *s, const char *reply)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	service_name(s);
	strcpy(address.sun_path, s->socket);
	s->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	must_be(bind(s->listener, (struct sockaddr *)&address, sizeof(address)), 0);
	must_be(listen(s->listener, 4), 0);
	s->reply = reply;
	s->pid = start(be_impostor, s);
}

static const char *const nonsense[] = {
	"garbage",
	"",
	"{}",
	"{\"parameters\":{\"objects\":{}}}",
	"{\"error\":\"io.fipc.Manager.Failed\",\"parameters\":{\"message\":\"\\u001b[31m\"}}",
	"{\"error\":\"org.varlink.service.MethodNotFound\"}",
};

/* It may not spoil the answer: that is looked up directly then; but if it was named, that is a failure. */
IN_CHILD(what_is_not_fipcd_is_passed_over)
{
	hold_start();
	for (size_t i = 0; i < sizeof(nonsense) / sizeof(*nonsense); i++) {
		struct service service = {0};

		impostor_start(&service, nonsense[i]);
		setenv("FIPC_SOCKET", service.socket, 1);
		fipcctl(DONE, "list --no-headings -o NAME");
		must_print("held\nidle\nkept\n");
		must_say(told.err, "going on without it");
		must_be(lines(told.err), 1);
		fipcctl(FAILED, "gc --socket %", service.socket);
		must_say(told.err, service.socket);
		must_be(lines(told.err), 1);
		must_print("");
		service_stop(&service);
		close(service.listener);
	}
}

/* What it told before it hung up does not count: all is looked up directly. */
IN_CHILD(a_list_that_breaks_off_is_begun_anew)
{
	static const char begun[] = "{\"parameters\":{\"objects\":[{\"name\":\"ghost\"}]},\"continues\":true}";
	static const char *const commands[] = {"list --no-headings -o NAME", "list --json"};
	struct service service = {0};

	hold_start();
	impostor_start(&service, begun);
	setenv("FIPC_SOCKET", service.socket, 1);
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++) {
		fipcctl(DONE, commands[i]);
		must_say(told.out, "idle");
		must(!strstr(told.out, "ghost"));
		must_say(told.err, "going on without it");
	}
	service_stop(&service);
	close(service.listener);
}

/* A reply whose values are of other types than they should be. */
IN_CHILD(strange_rows_are_printed_all_the_same)
{
	struct service service = {0};

	hold_start();
	impostor_start(
		&service,
		"{\"parameters\":{\"objects\":[1,null,[],{},{\"name\":7,\"state\":[],\"mode\":\"x\",\"uid\":{}},"
		"{\"name\":\"\\u009b31m\\u001b\",\"type\":\"mutex\",\"state\":{\"state\":\"a\\nb\",\"owner_tid\":1}}],"
		"\"processes\":[{\"start\":9223372036854775807,\"pid\":\"p\"}]}}");
	fipcctl(DONE, "list --socket %", service.socket);
	must_be(lines(told.out), 7);
	must(!strchr(told.out, '\033') && !strchr(told.out, '\x9b'));
	fipcctl(DONE, "list --json --socket %", service.socket);
	must(!strchr(told.out, '\033') && !strchr(told.out, '\x9b'));
	fipcctl(DONE, "ps --socket %", service.socket);
	must_be(lines(told.out), 2);
	fipcctl(DONE, "gc -v --socket %", service.socket);
	fipcctl(FAILED, "show x --socket %", service.socket);
	service_stop(&service);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(misuse_is_told_in_one_line),
		cmocka_unit_test(foreign_bytes_do_not_reach_the_terminal),
		cmocka_unit_test(help_and_version),
		cmocka_unit_test(help_lists_the_columns_that_there_are),
		cmocka_unit_test(list_shows_what_is_there),
		cmocka_unit_test(columns_are_chosen_and_aligned),
		cmocka_unit_test(list_filters),
		cmocka_unit_test(ps_shows_the_holder),
		cmocka_unit_test(show_tells_all),
		cmocka_unit_test(show_asks_when_it_cannot_tell),
		cmocka_unit_test(json_is_typed),
		cmocka_unit_test(gc_dry_run_tells_what_gc_does),
		cmocka_unit_test(litter_is_shown_safely_and_left),
		cmocka_unit_test(without_a_directory_there_is_nothing),
		cmocka_unit_test(a_relative_directory_is_the_shells),
		cmocka_unit_test(objects_of_another_user_stay_closed),
		cmocka_unit_test(lost_output_is_a_failure),
		cmocka_unit_test(fipcd_gives_the_same_data),
		cmocka_unit_test(fipcd_is_asked_when_it_is_there),
		cmocka_unit_test(what_is_not_fipcd_is_passed_over),
		cmocka_unit_test(a_list_that_breaks_off_is_begun_anew),
		cmocka_unit_test(strange_rows_are_printed_all_the_same),
	};

	test_dir();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
