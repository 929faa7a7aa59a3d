/* SPDX-License-Identifier: Apache-2.0 */
#include "client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

struct wire_client {
	int fd;
	struct wire_buffer in, out;
};

static int set_timeout(int fd, unsigned timeout_ms)
{
	struct timeval t = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t)) < 0)
		return -errno;
	return 0;
}

static int connect_socket(const char *path, unsigned timeout_ms)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);

	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	int r = set_timeout(fd, timeout_ms);
	if (r == 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		r = -errno;
	if (r < 0) {
		close(fd);
		return r;
	}
	return fd;
}

int wire_client_connect(struct wire_client **ret, const char *path, unsigned timeout_ms)
{
	struct wire_client *client = calloc(1, sizeof(*client));
	if (!client)
		return -ENOMEM;
	client->in.stays = true;
	client->fd = connect_socket(path, timeout_ms);
	if (client->fd < 0) {
		int r = client->fd;
		free(client);
		return r;
	}
	*ret = client;
	return 0;
}

void wire_client_free(struct wire_client *client)
{
	if (!client)
		return;
	close(client->fd);
	wire_buffer_free(&client->in);
	wire_buffer_free(&client->out);
	free(client);
}

static int receive_reply(struct wire_client *client, struct wire_reply *ret)
{
	for (;;) {
		const char *text;
		size_t size;
		int r = wire_buffer_next(&client->in, &text, &size);
		if (r < 0)
			return r;
		if (r > 0)
			return wire_reply_parse(ret, text, size);
		ssize_t n = wire_buffer_receive(&client->in, client->fd);
		if (n <= 0)
			return n < 0 ? (int)n : -ECONNRESET;
	}
}

static int take_reply(const struct wire_reply *reply, json_t **ret, char **ret_error)
{
	char *error = reply->error ? strdup(reply->error) : NULL;
	json_t *parameters = reply->parameters ? json_incref(reply->parameters) : json_object();
	if (!parameters || (reply->error && !error)) {
		free(error);
		json_decref(parameters);
		return -ENOMEM;
	}
	*ret = parameters;
	*ret_error = error;
	return 0;
}

/* Send what is in the buffer, and wait for the first reply. */
static int exchange(struct wire_client *client, struct wire_reply *ret)
{
	int r = wire_buffer_send(&client->out, client->fd);
	/* A service that refuses a connection says why before it hangs up: read that, though it took no call. */
	if (r < 0 && r != -EPIPE && r != -ECONNRESET)
		return r;
	int received = receive_reply(client, ret);
	return received < 0 && r < 0 ? r : received;
}

int wire_client_call(struct wire_client *client, const char *method, json_t *parameters, json_t **ret,
		     char **ret_error)
{
	struct wire_reply reply;
	int r = wire_call_add(&client->out, method, parameters);
	if (r == 0)
		r = exchange(client, &reply);
	if (r < 0)
		return r;
	r = take_reply(&reply, ret, ret_error);
	wire_reply_done(&reply);
	return r;
}

int wire_client_set_timeout(struct wire_client *client, unsigned timeout_ms)
{
	return set_timeout(client->fd, timeout_ms);
}

static int tell_reply(const struct wire_reply *reply, wire_reply_fn callback, void *context)
{
	json_t *parameters;
	char *error;
	int r = take_reply(reply, &parameters, &error);
	if (r == 0) {
		r = callback(parameters, context);
		json_decref(parameters);
	}
	return r;
}

int wire_client_call_more(struct wire_client *client, const char *method, json_t *parameters, wire_reply_fn callback,
			  void *context, json_t **ret, char **ret_error)
{
	struct wire_reply reply;
	int r = wire_call_more_add(&client->out, method, parameters);
	*ret = NULL;
	*ret_error = NULL;
	if (r == 0)
		r = exchange(client, &reply);
	for (bool last = false; r == 0 && !last;) {
		last = !reply.continues || reply.error;
		r = reply.error ? take_reply(&reply, ret, ret_error) : tell_reply(&reply, callback, context);
		wire_reply_done(&reply);
		if (r == 0 && !last)
			r = receive_reply(client, &reply);
	}
	return r;
}
