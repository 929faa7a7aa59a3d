/* SPDX-License-Identifier: Apache-2.0 */
/* How fipcctl's output is dressed: JSON as docs/json.md has it, of each command; and colours, where they belong. */
#include "fipcctl_support.h"
#include "interface_support.h"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

/* ---- a directory with something of everything ---- */

static struct gate ready, go;
static fipc_mutex *one, *two;

/* Both lock their own, then each wants the other's. */
static void lock_crosswise(void *argument)
{
	fipc_mutex *first = argument == &one ? one : two, *second = argument == &one ? two : one;

	must_be(fipc_mutex_lock(first), 0);
	gate_open(&ready);
	gate_pass(&go);
	(void)!fipc_mutex_lock(second);
}

static void leave_all(void *argument)
{
	fipc_mutex *mutex = must_open("dead", FIPC_CREATE | FIPC_PERSIST, FIPC_CREATED);
	fipc_sem *sem;
	fipc_event *event;
	fipc_cond *cond;
	fipc_rwlock *rwlock;
	fipc_shm *shm;
	fipc_mq *mq;
	struct fipc_mq_attr attr = {.max_messages = 2, .max_message_size = 8};

	(void)argument;
	must_be(fipc_sem_open(&sem, "sem", 2, FIPC_CREATE | FIPC_OWNED, 0600), FIPC_CREATED);
	must_be(fipc_event_open(&event, "event", FIPC_CREATE, 0600), FIPC_CREATED);
	must_be(fipc_cond_open(&cond, "cond", FIPC_CREATE, 0600), FIPC_CREATED);
	must_be(fipc_rwlock_open(&rwlock, "rwlock", 4, FIPC_CREATE, 0600), FIPC_CREATED);
	must_be(fipc_shm_open(&shm, "shm", 100, FIPC_CREATE, 0600), FIPC_CREATED);
	must_be(fipc_mq_open(&mq, "mq", &attr, FIPC_CREATE, 0600), FIPC_CREATED);
	must_be(fipc_sem_wait(sem), 0);
	must_be(fipc_rwlock_rdlock(rwlock), 0);
	must_be(fipc_mutex_lock(mutex), 0);
	gate_open(&ready);
	pause();
}

struct zoo {
	pid_t pids[3];
};

static void zoo_open(struct zoo *z)
{
	names();
	gate_make(&ready);
	gate_make(&go);
	one = must_open("one", FIPC_CREATE, FIPC_CREATED);
	two = must_open("two", FIPC_CREATE, FIPC_CREATED);
	z->pids[0] = start(leave_all, NULL);
	gate_pass(&ready);
	z->pids[1] = start(lock_crosswise, &one);
	gate_pass(&ready);
	z->pids[2] = start(lock_crosswise, &two);
	gate_pass(&ready);
	gate_open(&go);
	gate_open(&go);
	await(asleep_in_futex(z->pids[1]) && asleep_in_futex(z->pids[2]));
}

static void zoo_close(struct zoo *z)
{
	murder(z->pids[1]);
	murder(z->pids[2]);
}

/* ---- JSON ---- */

static const struct {
	const char *line;
	int status;
	const char *type; /* in docs/json.md */
} outputs[] = {
	{"list", DONE, "ListOutput"},
	{"show one", DONE, "ShowOutput"},
	{"show dead", DONE, "ShowOutput"},
	{"ps", DONE, "PsOutput"},
	{"graph", DONE, "GraphOutput"},
	{"check", FAILED, "CheckOutput"},
	{"check --held 10h", DONE, "CheckOutput"},
	{"gc --dry-run", DONE, "GcOutput"},
	{"gc", DONE, "GcOutput"},
};

static void must_be_typed(const char *type)
{
	json_t *answer = json_loads(told.out, JSON_REJECT_DUPLICATES, NULL);

	must(answer != NULL);
	must_be_of(type, answer);
	json_decref(answer);
	for (const char *p = told.out; *p; p++)
		must((*p >= ' ' && *p <= '~') || *p == '\n');
}

static void try_all(const char *option, const char *argument)
{
	char line[100];

	for (size_t i = 0; i < COUNT(outputs); i++) {
		snprintf(line, sizeof(line), "%s --json %s %%", outputs[i].line, option);
		fipcctl(outputs[i].status, line, argument);
		must_be_typed(outputs[i].type);
	}
}

/* A member that a command adds to a type of the interface is taken out, once it is known to be of its type. */
static void must_have(json_t *object, const char *member, const char *type)
{
	must_be_of(type, json_object_get(object, member));
	must_be(json_object_del(object, member), 0);
}

static void members_that_are_added(void)
{
	json_t *value, *object;

	fipcctl(DONE, "show one --json --stack");
	value = answer("object");
	object = json_object_get(value, "state");
	if (json_object_get(object, "owner_stack")) /* root's only */
		must_have(object, "owner_stack", "[]string");
	must_be_of("Object", value);
	json_decref(value);
	fipcctl(FAILED, "check --json --held 0s");
	value = answer("check");
	must(json_array_size(json_object_get(value, "held")) >= 2);
	for (size_t i = 0; i < json_array_size(json_object_get(value, "held")); i++)
		must_have(json_array_get(json_object_get(value, "held"), i), "held_nsec", "int");
	must_be_of("Check", value);
	json_decref(value);
}

IN_CHILD(json_is_as_it_is_written_down)
{
	struct service service = {0};
	struct zoo zoo;

	interface_also(FIPC_TEST_SOURCES "/../docs/json.md");
	zoo_open(&zoo);
	service_start(&service);
	members_that_are_added();
	fipcctl(DONE, "graph --json");
	must_say(told.out, "\"possible\": false");
	try_all("--dir", getenv("FIPC_DIR"));
	murder(zoo.pids[0]);
	try_all("--socket", service.socket);
	zoo_close(&zoo);
	service_stop(&service);
}

/* What doctor finds depends on the machine. */
IN_CHILD(doctors_json_is_as_it_is_written_down)
{
	names();
	interface_also(FIPC_TEST_SOURCES "/../docs/json.md");
	fipcctl(ANY, "doctor --json");
	must_be_typed("DoctorOutput");
}

/* A command that learns --json has to be written down, too. */
static void must_be_written_down(const char *command)
{
	static const char *const known[] = {"list", "show", "ps", "graph", "gc", "monitor", "check", "doctor"};
	bool is_known = false;

	for (size_t i = 0; i < COUNT(known); i++)
		is_known = is_known || !strcmp(known[i], command);
	fipcctl(DONE, "% --help", command);
	if (strstr(told.out, " --json ") && !is_known)
		fprintf(stderr, "%s --json is not in docs/json.md\n", command);
	must(is_known == !!strstr(told.out, " --json "));
}

IN_CHILD(each_command_with_json_is_written_down)
{
	names();
	must(each_command(must_be_written_down) > 5);
}

/* ---- colours ---- */

static bool is_colored(void)
{
	return strstr(told.out, "\033[") != NULL;
}

static const char *shade_before(const char *word)
{
	const char *at = strstr(told.out, word);

	must(at != NULL);
	return at - told.out >= 5 ? at - 5 : "";
}

IN_CHILD(bad_states_are_red_if_one_wants_colours)
{
	struct zoo zoo;

	zoo_open(&zoo);
	murder(zoo.pids[0]);
	fipcctl(DONE, "list --color always");
	must_be(strncmp(shade_before("owner-died"), "\033[31m", 5), 0);
	must_be(strncmp(shade_before("held"), "\033[31m", 5) != 0, 1);
	must_be(strncmp(told.out, "\033[1mNAME", 8), 0);
	fipcctl(DONE, "show dead --color=always");
	must_be(strncmp(shade_before("owner-died"), "\033[31m", 5), 0);
	fipcctl(DONE, "ps --color=always");
	must_be(strncmp(shade_before("dead"), "\033[31m", 5), 0);
	fipcctl(DONE, "graph --color=always");
	must(is_colored());
	for (const char *const *line = (const char *const[]){"list", "list --color never", "show dead", "ps", "graph",
							     "list --json --color always", NULL};
	     *line; line++) {
		fipcctl(DONE, *line);
		must(!is_colored());
	}
	fipcctl(USAGE, "list --color sometimes");
	must_say(told.err, "one of: auto always never");
	zoo_close(&zoo);
}

struct terminal {
	int fd, slave;
	const char *option;
};

static void list_on_terminal(void *argument)
{
	struct terminal *t = argument;
	char *words[] = {(char *)"fipcctl", (char *)"list", (char *)t->option, NULL};

	fipcctl_exec(words, t->slave, STDERR_FILENO);
}

/* What it prints on a terminal goes where fipcctl() would leave it. */
static void run_on_terminal(const char *option, const struct winsize *size)
{
	struct terminal t = {.option = option};
	struct pollfd fd = {.events = POLLIN};
	size_t n = 0;

	must_be(openpty(&t.fd, &t.slave, NULL, NULL, size), 0);
	must_be(in_child(list_on_terminal, &t), DONE);
	for (fd.fd = t.fd; poll(&fd, 1, 0) > 0 && n < sizeof(told.out) - 1;) {
		ssize_t got = read(t.fd, told.out + n, sizeof(told.out) - 1 - n);

		must(got > 0);
		n += (size_t)got;
	}
	told.out[n] = '\0';
	must_say(told.out, "NAME");
	close(t.fd);
	close(t.slave);
}

static void set(const char *name, const char *value)
{
	must_be(value ? setenv(name, value, 1) : unsetenv(name), 0);
}

IN_CHILD(a_terminal_is_coloured_unless_it_should_not_be)
{
	static const struct {
		const char *term, *no_color, *option;
		bool colored;
	} cases[] = {
		{"xterm", NULL, NULL, true},
		{"xterm", "", NULL, true},
		{"xterm", "1", NULL, false},
		{"dumb", NULL, NULL, false},
		{NULL, NULL, NULL, false},
		{"xterm", NULL, "--color=never", false},
		{"xterm", "1", "--color=auto", false},
		{"dumb", "1", "--color=always", true},
	};
	fipc_mutex *m;

	names();
	m = must_open("m", FIPC_CREATE, FIPC_CREATED);
	for (size_t i = 0; i < COUNT(cases); i++) {
		set("TERM", cases[i].term);
		set("NO_COLOR", cases[i].no_color);
		run_on_terminal(cases[i].option, NULL);
		if (is_colored() != cases[i].colored)
			fprintf(stderr, "case %zu\n%s\n", i, told.out);
		must(is_colored() == cases[i].colored);
	}
	must_be(fipc_mutex_close(m), 0);
}

/* ---- tables ---- */

static void make_damaged(const char *name)
{
	char path[200];
	int fd;

	snprintf(path, sizeof(path), "%s/%s.mutex", names(), name);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	must(fd >= 0);
	close(fd);
}

static void make_broken(void)
{
	make_damaged("broken");
}

/* A column that may be cut is, as far as its heading; the others never are, nor is anything but on a terminal. */
IN_CHILD(a_narrow_terminal_cuts_what_may_be_cut)
{
	static const struct {
		unsigned short columns;
		const char *wanted;
	} cases[] = {
		{0, "NAME   ERROR  MODE TYPE\r\nbroken EINVAL 0600 mutex\r\n"},
		{24, "NAME   ERROR  MODE TYPE\r\nbroken EINVAL 0600 mutex\r\n"},
		{23, "NAME   ERROR MODE TYPE\r\nbroken EINVA 0600 mutex\r\n"},
		{5, "NAME   ERROR MODE TYPE\r\nbroken EINVA 0600 mutex\r\n"},
	};

	make_broken();
	set("NO_COLOR", "1");
	for (size_t i = 0; i < COUNT(cases); i++) {
		run_on_terminal("--output=NAME,ERROR,MODE,TYPE", &(struct winsize){.ws_col = cases[i].columns});
		must_be(strcmp(told.out, cases[i].wanted), 0);
	}
	fipcctl(DONE, "list --output=NAME,ERROR,MODE,TYPE");
	must_print_exactly("NAME   ERROR  MODE TYPE\nbroken EINVAL 0600 mutex\n");
}

/* Headings count, also where they are not shown; a shade ends where the text does, or the blanks before the next one. */
IN_CHILD(columns_are_aligned)
{
	make_broken();
	fipcctl(DONE, "list --no-headings --output=NAME,MODE,WAITERS,DEAD");
	must_print_exactly("broken 0600       -    0\n");
	fipcctl(DONE, "list --color=always --output=DEAD,NAME,TYPE");
	must_print_exactly("\033[1mDEAD\033[0m \033[1mNAME  \033[0m \033[1mTYPE\033[0m\n   0 broken mutex\n");
}

/* Each line names a mutex in the same place. Returns how many there are. */
static int lines_with_type_at(size_t place)
{
	const char *line = told.out;
	int n = 0;

	for (; *line; line = strchr(line, '\n') + 1, n++)
		must_be(strncmp(line + place, n == 0 ? "TYPE\n" : "mutex\n", n == 0 ? 5 : 6), 0);
	return n;
}

/* Whichever row is the widest: one of the last, so that those before are laid out once more, or one of the first. */
IN_CHILD(long_tables_are_aligned)
{
	enum { ROWS = 1500 };
	char name[32];

	names();
	for (int i = 0; i < ROWS; i++) {
		snprintf(name, sizeof(name), "m-%04d", i);
		make_damaged(name);
	}
	fipcctl(DONE, "list --output=NAME,TYPE");
	must_be(lines_with_type_at(strlen("m-0000 ")), 1 + ROWS);
	make_damaged("n-is-longer");
	fipcctl(DONE, "list --output=NAME,TYPE");
	must_be(lines_with_type_at(strlen("n-is-longer ")), 1 + ROWS + 1);
	make_damaged("a-is-longer-still");
	fipcctl(DONE, "list --output=NAME,TYPE");
	must_be(lines_with_type_at(strlen("a-is-longer-still ")), 1 + ROWS + 2);
	fipcctl(DONE, "list --output=NAME,TYPE --no-headings m-*");
	must_be(strncmp(told.out, "m-0000 mutex\nm-0001 mutex\n", 26), 0);
	must_be(lines(told.out), ROWS);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(json_is_as_it_is_written_down),
		cmocka_unit_test(doctors_json_is_as_it_is_written_down),
		cmocka_unit_test(each_command_with_json_is_written_down),
		cmocka_unit_test(bad_states_are_red_if_one_wants_colours),
		cmocka_unit_test(a_terminal_is_coloured_unless_it_should_not_be),
		cmocka_unit_test(a_narrow_terminal_cuts_what_may_be_cut),
		cmocka_unit_test(columns_are_aligned),
		cmocka_unit_test(long_tables_are_aligned),
	};

	test_dir();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
