/* SPDX-License-Identifier: Apache-2.0 */
#include "fipcd_support.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* ---- the daemon ---- */

int daemon_set_up_only(void **state)
{
	static int n;
	struct daemon *d = calloc(1, sizeof(*d));
	must(d);
	snprintf(d->base, sizeof(d->base), "%s/%d", test_dir(), ++n);
	snprintf(d->dir, sizeof(d->dir), "%s/dir", d->base);
	snprintf(d->socket, sizeof(d->socket), "%s/socket", d->base);
	snprintf(d->log, sizeof(d->log), "%s/log", d->base);
	must_be(chmod(test_dir(), 0755), 0);
	must_be(mkdir(d->base, 0755), 0);
	must_be(setenv("FIPC_DIR", d->dir, 1), 0);
	*state = d;
	return 0;
}

int daemon_set_up(void **state)
{
	daemon_set_up_only(state);
	daemon_start(*state);
	return 0;
}

int daemon_tear_down(void **state)
{
	struct daemon *d = *state;
	if (d->pid)
		daemon_stop(d);
	remove_tree(d->base);
	free(d);
	return 0;
}

struct command {
	const struct daemon *daemon;
	const char *const *arguments;
};

void daemon_exec(const struct daemon *d, const char *const *arguments)
{
	char *argv[16] = {"fipcd"};
	for (int i = 0; arguments[i]; i++)
		argv[i + 1] = (char *)arguments[i];
	int log = open(d->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
	must(log >= 0 && dup2(log, STDERR_FILENO) == STDERR_FILENO && dup2(log, STDOUT_FILENO) == STDOUT_FILENO);
	execv(FIPCD_PATH, argv);
	_exit(127);
}

static void run_daemon(void *argument)
{
	const struct command *command = argument;
	daemon_exec(command->daemon, command->arguments);
}

pid_t daemon_spawn(const struct daemon *d, const char *const *arguments)
{
	struct command command = {d, arguments};
	return start(run_daemon, &command);
}

static bool answers(const struct daemon *d)
{
	json_t *reply;
	char *error;
	struct wire_client *client;
	if (wire_client_connect(&client, d->socket, PATIENCE_MS) < 0)
		return false;
	int r = wire_client_call(client, "org.varlink.service.GetInfo", NULL, &reply, &error);
	wire_client_free(client);
	if (r < 0)
		return false;
	free(error);
	json_decref(reply);
	return true;
}

static void print_log(const struct daemon *d)
{
	char text[8192];
	int fd = open(d->log, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text));
	fprintf(stderr, "%.*s", n > 0 ? (int)n : 0, text);
	close(fd);
}

void daemon_start(struct daemon *d)
{
	const char *const arguments[] = {"--socket", d->socket, "--dir", d->dir, NULL};
	int status = 0;
	d->pid = daemon_spawn(d, arguments);
	await(answers(d) || ended(d->pid, &status, 0));
	if (status)
		print_log(d);
	must_be(status, 0);
}

void daemon_stop(struct daemon *d)
{
	must_be(kill(d->pid, SIGTERM), 0);
	int status = finish(d->pid);
	d->pid = 0;
	if (status)
		print_log(d);
	must_be(status, 0);
}

void daemon_kill(struct daemon *d)
{
	murder(d->pid);
	d->pid = 0;
}

bool daemon_logged(const struct daemon *d, const char *text)
{
	char log[65536];
	int fd = open(d->log, O_RDONLY | O_CLOEXEC);
	must(fd >= 0);
	ssize_t n = read(fd, log, sizeof(log) - 1);
	must(n >= 0);
	log[n] = 0;
	close(fd);
	return strstr(log, text);
}

/* ---- calls ---- */

static json_t *ask(const struct daemon *d, const char *method, const char *parameters, char **ret_error)
{
	struct wire_client *client;
	json_t *reply, *object = NULL;
	if (parameters)
		must(object = json_loads(parameters, 0, NULL));
	must_be(wire_client_connect(&client, d->socket, PATIENCE_MS), 0);
	must_be(wire_client_call(client, method, object, &reply, ret_error), 0);
	wire_client_free(client);
	return reply;
}

json_t *call(const struct daemon *d, const char *method, const char *parameters)
{
	char *error;
	json_t *reply = ask(d, method, parameters, &error);
	if (error)
		fprintf(stderr, "%s: %s\n", method, error);
	must(!error);
	return reply;
}

json_t *refused(const struct daemon *d, const char *method, const char *parameters, const char *error)
{
	char *got;
	json_t *reply = ask(d, method, parameters, &got);
	if (!got || strcmp(got, error) != 0)
		fprintf(stderr, "%s: %s instead of %s\n", method, got ? got : "a reply", error);
	must(got && strcmp(got, error) == 0);
	free(got);
	return reply;
}

void expect_refused(const struct daemon *d, const char *method, const char *parameters, const char *error)
{
	json_decref(refused(d, method, parameters, error));
}

json_int_t metric(const struct daemon *d, const char *key)
{
	json_t *reply = call(d, "io.fipc.Manager.Metrics", NULL);
	json_int_t n = number_of(reply, key);
	json_decref(reply);
	return n;
}

bool has_at_most(const struct daemon *d, json_int_t bytes)
{
	return UNDER_SANITIZER || metric(d, "memory_bytes") < bytes;
}

json_t *object_named(json_t *reply, const char *name)
{
	size_t i;
	json_t *object;
	json_array_foreach(json_object_get(reply, "objects"), i, object)
		if (strcmp(string_of(object, "name"), name) == 0)
			return object;
	return NULL;
}

const char *string_of(json_t *object, const char *key)
{
	const char *string = json_string_value(json_object_get(object, key));
	return string ? string : "";
}

json_int_t number_of(json_t *object, const char *key)
{
	json_t *number = json_object_get(object, key);
	return json_is_integer(number) ? json_integer_value(number) : -1;
}

int connect_raw(const struct daemon *d)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct timeval patience = {.tv_sec = PATIENCE_MS / 1000};
	must(strlen(d->socket) < sizeof(address.sun_path));
	strcpy(address.sun_path, d->socket);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	must(fd >= 0);
	must_be(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
	must_be(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

void send_raw(int fd, const void *bytes, size_t size)
{
	must_be(send(fd, bytes, size, MSG_NOSIGNAL), (ssize_t)size);
}

json_t *receive_raw(int fd, struct wire_buffer *b)
{
	const char *text;
	size_t size;
	int r;
	while ((r = wire_buffer_next(b, &text, &size)) == 0) {
		ssize_t n = wire_buffer_receive(b, fd);
		if (n == 0 || n == -ECONNRESET)
			return NULL;
		must(n > 0);
	}
	must_be(r, 1);
	json_t *message = json_loadb(text, size, 0, NULL);
	must(message);
	return message;
}

json_t *next_event(int fd, struct wire_buffer *b)
{
	json_t *message = receive_raw(fd, b), *event;
	must(message && json_is_true(json_object_get(message, "continues")));
	event = json_incref(json_object_get(message, "parameters"));
	json_decref(message);
	return event;
}

int listen_to(const struct daemon *d, const char *parameters, struct wire_buffer *b)
{
	char text[400];
	int fd = connect_raw(d);
	int n = snprintf(text, sizeof(text), "{\"method\":\"io.fipc.Manager.Monitor\",\"more\":true,\"parameters\":%s}",
			 parameters);
	must(n < (int)sizeof(text));
	send_raw(fd, text, (size_t)n + 1);
	json_t *event = next_event(fd, b);
	must(strcmp(string_of(event, "event"), "listening") == 0);
	json_decref(event);
	return fd;
}

/* ---- those who hold locks ---- */

struct holder {
	const char *name;
	unsigned flags;
	struct gate ready;
};

static void hold(void *argument)
{
	const struct holder *holder = argument;
	fipc_mutex *m;
	must(fipc_mutex_open(&m, holder->name, FIPC_CREATE | holder->flags, 0600) >= 0);
	must(fipc_mutex_lock(m) >= 0);
	gate_open(&holder->ready);
	for (;;)
		pause();
}

pid_t start_holder(const char *name, unsigned flags)
{
	struct holder holder = {.name = name, .flags = flags};
	gate_make(&holder.ready);
	pid_t pid = start(hold, &holder);
	gate_pass(&holder.ready);
	gate_free(&holder.ready);
	return pid;
}

bool exists(const struct daemon *d, const char *name)
{
	char file[256];
	snprintf(file, sizeof(file), "%s.mutex", name);
	return inode_of(d->dir, file) != 0;
}

/* ---- those whom it tells ---- */

int make_socket(const char *path, int kind)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct timeval patience = {.tv_sec = PATIENCE_MS / 1000};
	must(strlen(path) < sizeof(address.sun_path));
	strcpy(address.sun_path, path);
	int fd = socket(AF_UNIX, kind | SOCK_CLOEXEC, 0);
	must(fd >= 0);
	must_be(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
	must_be(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

void expect_notice(int fd, const char *wanted)
{
	char text[4096];
	ssize_t n;
	do {
		n = recv(fd, text, sizeof(text) - 1, 0);
		must(n > 0);
		text[n] = 0;
	} while (!strstr(text, wanted));
}
