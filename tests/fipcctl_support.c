/* SPDX-License-Identifier: Apache-2.0 */
#include "fipcctl_support.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { WORDS_MAX = 12 };

struct told told;

const char *names(void)
{
	static const char *path;

	if (path)
		return path;
	path = fresh_dir();
	must_be(setenv("FIPC_SOCKET", "/nonexistent/socket", 1), 0); /* whatever runs on this machine */
	return path;
}

/* ---- the tool ---- */

struct order {
	char *words[WORDS_MAX + 2];
	int out, err;
};

void fipcctl_exec(char **words, int out, int err)
{
	dup2(out, STDOUT_FILENO);
	dup2(err, STDERR_FILENO);
	execv(FIPCCTL_PATH, words);
	_exit(127);
}

static void be_fipcctl(void *argument)
{
	struct order *order = argument;

	fipcctl_exec(order->words, order->out, order->err);
}

static void read_back(int fd, char *text, size_t size)
{
	ssize_t n = pread(fd, text, size - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	close(fd);
}

static void run(const char *line, va_list words)
{
	struct order order = {.words = {(char *)"fipcctl"}};
	char copy[400], *rest = NULL;
	int n = 1;

	snprintf(copy, sizeof(copy), "%s", line);
	for (char *word = strtok_r(copy, " ", &rest); word && n <= WORDS_MAX; word = strtok_r(NULL, " ", &rest))
		order.words[n++] = *word == '%' ? va_arg(words, char *) : word;
	order.out = memfd_create("out", MFD_CLOEXEC);
	order.err = memfd_create("err", MFD_CLOEXEC);
	told.status = in_child(be_fipcctl, &order);
	read_back(order.out, told.out, sizeof(told.out));
	read_back(order.err, told.err, sizeof(told.err));
}

void fipcctl(int status, const char *line, ...)
{
	va_list words;

	va_start(words, line);
	run(line, words);
	va_end(words);
	if (told.status == status || status == ANY)
		return;
	fprintf(stderr, "fipcctl %s: %d\n%s%s", line, told.status, told.out, told.err);
	must_be(told.status, status);
}

int each_command(void (*body)(const char *command))
{
	char list[4000], *rest = NULL;
	int n = 0;

	fipcctl(DONE, "--help");
	snprintf(list, sizeof(list), "%s", strstr(told.out, "\nCommands\n") + strlen("\nCommands\n"));
	*strstr(list, "\n\n") = '\0';
	for (char *row = strtok_r(list, "\n", &rest); row; row = strtok_r(NULL, "\n", &rest), n++) {
		char *command = row + strspn(row, " ");

		command[strcspn(command, " ")] = '\0';
		body(command);
	}
	return n;
}

/* ---- what it said ---- */

int lines(const char *text)
{
	int n = 0;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

void must_say(const char *text, const char *wanted)
{
	if (strstr(text, wanted))
		return;
	fprintf(stderr, "wanted: %s\ngot: %s\n", wanted, text);
	must(!"in the output");
}

void squeeze(char *text)
{
	char *to = text;

	for (const char *from = text; *from; from++) {
		if (*from == ' ' && (to == text || to[-1] == ' ' || to[-1] == '\n'))
			continue;
		if (*from == '\n' && to > text && to[-1] == ' ')
			to--;
		*to++ = *from;
	}
	*to = '\0';
}

void hide_times(char *text)
{
	char *to = text;

	for (const char *from = text; *from;) {
		size_t whole = strspn(from, "0123456789");
		size_t part = from[whole] == '.' ? strspn(from + whole + 1, "0123456789") : 0;

		if (whole && part && !strncmp(from + whole + 1 + part, " s", 2)) {
			*to++ = 'T';
			from += whole + 1 + part;
		} else {
			*to++ = *from++;
		}
	}
	*to = '\0';
}

void must_print_exactly(const char *wanted)
{
	if (!strcmp(told.out, wanted))
		return;
	fprintf(stderr, "wanted:\n%s\ngot:\n%s\nand: %s\n", wanted, told.out, told.err);
	must(!"the same output");
}

void must_print(const char *wanted)
{
	squeeze(told.out);
	must_print_exactly(wanted);
}

void must_list(const char *columns, const char *wanted)
{
	fipcctl(DONE, "list --no-headings -o %", columns);
	must_print(wanted);
}

json_t *answer(const char *key)
{
	json_t *root = json_loads(told.out, JSON_REJECT_DUPLICATES, NULL);
	json_t *value = json_incref(json_object_get(root, key));

	must(value != NULL);
	must_be(json_object_size(root), 1);
	json_decref(root);
	return value;
}

/* ---- fipcd ---- */

static void be_fipcd(void *argument)
{
	const struct service *s = argument;

	execl(FIPCD_PATH, FIPCD_PATH, "--socket", s->socket, "--dir", getenv("FIPC_DIR"), (char *)NULL);
	_exit(127);
}

static int answers(const struct service *s)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), r;

	strcpy(address.sun_path, s->socket);
	r = connect(fd, (struct sockaddr *)&address, sizeof(address));
	close(fd);
	return r == 0;
}

void service_name(struct service *s)
{
	snprintf(s->socket, sizeof(s->socket), "%s.sock", names());
}

void service_start(struct service *s)
{
	service_name(s);
	s->pid = start(be_fipcd, s);
	await(answers(s));
}

void service_stop(struct service *s)
{
	murder(s->pid);
	unlink(s->socket);
}

void same_through(const struct service *s, const char *line)
{
	char *direct, command[200];

	fipcctl(DONE, line);
	must_be(*told.err, '\0');
	hide_times(told.out);
	direct = strdup(told.out);
	must(*direct);
	snprintf(command, sizeof(command), "%s --socket %%", line);
	fipcctl(DONE, command, s->socket);
	must_be(*told.err, '\0');
	hide_times(told.out);
	must_print_exactly(direct);
	free(direct);
}
