/* SPDX-License-Identifier: Apache-2.0 */
/* What bash offers for a word of fipcctl's command line; the script is printed by the program, and run by bash. */
#include "fipcctl_support.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static const struct completion {
	const char *line, *offers; /* the last word of the line is to be completed */
} completions[] = {
	{"fipcctl li", "list"},
	{"fipcctl com", "completion"},
	{"fipcctl nonsense ", ""},
	{"fipcctl --so", "--socket"},
	{"fipcctl --json li", "list"},
	{"fipcctl list --no", "--no-headings"},
	{"fipcctl list --d", "--dir --direct"},
	{"fipcctl gc --dr", "--dry-run"},
	{"fipcctl list --dr", ""},
	{"fipcctl list --type rw", "rwlock"},
	{"fipcctl list --type=rw", "rwlock"},
	{"fipcctl list -t s", "sem shm"},
	{"fipcctl list -o STAT", "STATE"},
	{"fipcctl list -o NAME,STAT", "NAME,STATE"},
	{"fipcctl list --output=+WAIT", "+WAITERS"},
	{"fipcctl ps -o STAT", ""},
	{"fipcctl ps -o STAR", "START"},
	{"fipcctl list --color=", "auto always never"},
	{"fipcctl top --sort w", "wait"},
	{"fipcctl top -n ", ""},
	{"fipcctl completion ", "bash"},
	{"fipcctl show ", "idle ledger list"},
	{"fipcctl show l", "ledger list"},
	{"fipcctl show -- l", "ledger list"},
	{"fipcctl show --type mutex l", "ledger list"},
	{"fipcctl show ledger ", ""},
	{"fipcctl ps ", ""},
	{"fipcctl --dir /nonexistent show l", ""},
	{"fipcctl --dir=/nonexistent show l", ""},
	{"fipcctl lock le", "ledger"},
	{"fipcctl lock ledger -- readonl", "readonly"},
	{"fipcctl list --dir /etc/ssl/cert", "/etc/ssl/certs"},
};

static void put_line(FILE *file, const char *line)
{
	must(fprintf(file, "%s\n", line) > 0);
}

/* All lines at once: bash is slow to start. */
static FILE *run_bash(const char *questions)
{
	char command[1000];
	FILE *answers;

	snprintf(command, sizeof(command), "bash '%s/completion.bash' '%s' <'%s'", FIPC_TEST_SOURCES, FIPCCTL_PATH,
		 questions);
	answers = popen(command, "r");
	must(answers != NULL);
	return answers;
}

static void must_offer(const struct completion *wanted, size_t n)
{
	char questions[300], answer[4000];
	FILE *file;

	snprintf(questions, sizeof(questions), "%s/questions", test_dir());
	file = fopen(questions, "we");
	must(file != NULL);
	for (size_t i = 0; i < n; i++)
		put_line(file, wanted[i].line);
	must_be(fclose(file), 0);
	file = run_bash(questions);
	for (size_t i = 0; i < n; i++) {
		must(fgets(answer, sizeof(answer), file) != NULL);
		answer[strcspn(answer, "\n")] = '\0';
		if (strcmp(answer, wanted[i].offers) != 0)
			fprintf(stderr, "%s: wanted '%s', got '%s'\n", wanted[i].line, wanted[i].offers, answer);
		must_be(strcmp(answer, wanted[i].offers), 0);
	}
	must_be(pclose(file), 0);
	must_be(unlink(questions), 0);
}

static void make_file(const char *name)
{
	char path[400];

	snprintf(path, sizeof(path), "%s/%s", names(), name);
	must_not_fail(close(open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)));
}

IN_CHILD(words_are_offered)
{
	fipc_mutex *m[3];

	if (access("/bin/bash", X_OK) != 0) {
		skip_aloud("completion", "there is no bash");
		_exit(SKIPPED);
	}
	names();
	m[0] = must_open("ledger", FIPC_CREATE, FIPC_CREATED);
	m[1] = must_open("list", FIPC_CREATE, FIPC_CREATED);
	m[2] = must_open("idle", FIPC_CREATE, FIPC_CREATED);
	/* What another user may leave there is neither run nor offered. */
	make_file("$(touch ran).mutex");
	make_file("`touch ran`.mutex");
	make_file("two words.mutex");
	must_be(chdir(names()), 0);
	must_offer(completions, COUNT(completions));
	must_be(access("ran", F_OK), -1);
	for (int i = 0; i < 3; i++)
		must_be(fipc_mutex_close(m[i]), 0);
}

/* Help and completion are of one mind: each option that help lists is offered, and no other. */
static void must_offer_what_help_lists(const char *command)
{
	char line[80], offers[1000] = "", *help, *rest = NULL;
	struct completion one = {line, offers};

	fipcctl(DONE, "% --help", command);
	help = strstr(told.out, "\nOptions\n");
	must(help != NULL);
	help += strlen("\nOptions\n");
	help[strstr(help, "\n\n") ? strstr(help, "\n\n") - help : (long)strlen(help)] = '\0';
	for (char *row = strtok_r(help, "\n", &rest); row; row = strtok_r(NULL, "\n", &rest)) {
		char *name = strstr(row, "--");

		must(name != NULL);
		name[strcspn(name, " ")] = '\0';
		strcat(strcat(offers, *offers ? " " : ""), name);
	}
	snprintf(line, sizeof(line), "fipcctl %s --", command);
	must_offer(&one, 1);
}

IN_CHILD(each_option_of_help_is_offered)
{
	names();
	must(each_command(must_offer_what_help_lists) > 5);
}

IN_CHILD(other_shells_are_refused)
{
	fipcctl(USAGE, "completion fish");
	must_say(told.err, "there is one for bash");
	must_print("");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_are_offered),
		cmocka_unit_test(each_option_of_help_is_offered),
		cmocka_unit_test(other_shells_are_refused),
	};

	test_dir();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
