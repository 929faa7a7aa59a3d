/* SPDX-License-Identifier: Apache-2.0 */
#include "server.h"
#include "limit.h"
#include "log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define USEC_PER_SEC UINT64_C(1000000)

struct client {
	struct connection connection; /* its turn: enabled while there may be one more call in the buffer, too */
	struct client *next, *previous;
	struct server *server;
	int fd;
	sd_event_source *io;
	sd_event_source *idle; /* enabled while the client has something to do: call, or read */
	struct wire_buffer in;
	size_t accounted; /* bytes of all its buffers that its user's account knows of */
	bool ended;       /* it will send no more */
};

struct server {
	sd_event *event;
	sd_event_source *listening;
	sd_event_source *pause; /* enabled while no connection can be accepted */
	struct service *service;
	struct client *clients;
	int fd;
};

static uint64_t now_usec(const struct server *server)
{
	uint64_t now;
	return sd_event_now(server->event, CLOCK_MONOTONIC, &now) < 0 ? 0 : now;
}

unsigned server_clients(const struct server *server)
{
	return server->service->accounts.clients;
}

/* ---- one client ---- */

static void unlink_client(struct client *client)
{
	if (client->previous)
		client->previous->next = client->next;
	else
		client->server->clients = client->next;
	if (client->next)
		client->next->previous = client->previous;
}

static void end_answer(struct connection *connection)
{
	if (connection->answer)
		connection->answer->free(connection->answer);
	connection->answer = NULL;
}

static void client_free(struct client *client)
{
	struct connection *connection = &client->connection;
	struct accounts *accounts = &client->server->service->accounts;
	unlink_client(client);
	end_answer(connection);
	account_hold(accounts, connection->account, client->accounted, 0);
	account_leave(accounts, connection->account);
	sd_event_source_disable_unref(client->io);
	sd_event_source_disable_unref(connection->turn);
	sd_event_source_disable_unref(client->idle);
	wire_buffer_free(&client->in);
	wire_buffer_free(&connection->out);
	caller_done(&connection->caller);
	close(client->fd);
	free(client);
}

static int put_off_idle(struct client *client)
{
	uint64_t until = now_usec(client->server) + LIMIT_CLIENT_IDLE_SEC * USEC_PER_SEC;
	return sd_event_source_set_time(client->idle, until);
}

static size_t unread(const struct client *client)
{
	return wire_buffer_pending(&client->connection.out);
}

static int account_for(struct client *client)
{
	const struct answer *answer = client->connection.answer;
	size_t before = client->accounted;
	client->accounted = wire_buffer_pending(&client->in) + unread(client) + (answer ? answer->held : 0);
	return account_hold(&client->server->service->accounts, client->connection.account, before, client->accounted);
}

static bool is_blocked(const struct client *client)
{
	return unread(client) > LIMIT_PENDING_PER_CLIENT;
}

/* Returns 1 if the answer goes on, or is over and the next call may be served; 0 if it waits; or a negative errno. */
static int go_on(struct connection *connection)
{
	int r = connection->answer->go_on(connection->answer, connection);
	if (r == ANSWER_IS_OVER)
		end_answer(connection);
	return r < 0 ? r : r != ANSWER_WAITS;
}

/*
 * Serve at most one call, or go on with the last one. Returns 1 if that may be done again, 0 if not, or a negative
 * errno.
 */
static int serve_one(struct client *client)
{
	const char *text;
	size_t size;
	if (is_blocked(client))
		return 0;
	if (client->connection.answer)
		return go_on(&client->connection);
	int r = wire_buffer_next(&client->in, &text, &size);
	if (r <= 0)
		return r;
	r = service_handle(client->server->service, &client->connection, now_usec(client->server), text, size);
	if (r < 0)
		return r;
	r = put_off_idle(client);
	return r < 0 ? r : 1;
}

/* Returns 1 if all has been sent that was not before, 0 if not, or a negative errno. */
static int send_pending(struct client *client)
{
	size_t before = unread(client);
	int r = wire_buffer_send(&client->connection.out, client->fd);
	if (unread(client) < before)
		put_off_idle(client);
	return r == -EAGAIN ? 0 : r < 0 ? r : before > 0;
}

/* One that listens, and has read all, is not idle, and nothing wakes the daemon for its sake. */
static int watch_idle(struct client *client, bool listens)
{
	int enabled;
	int r = sd_event_source_get_enabled(client->idle, &enabled);
	if (r >= 0 && !listens && enabled == SD_EVENT_OFF)
		r = put_off_idle(client);
	return r < 0 ? r : sd_event_source_set_enabled(client->idle, listens ? SD_EVENT_OFF : SD_EVENT_ONESHOT);
}

/* What to wait for now. Returns -ECONNRESET if nothing: the client has been served. */
static int wait_for_more(struct client *client, bool served)
{
	bool answering = client->connection.answer;
	uint32_t events = 0;
	if (unread(client) > 0)
		events |= EPOLLOUT;
	if (!client->ended && !is_blocked(client) && !answering)
		events |= EPOLLIN;
	if (events == 0 && !served && !answering)
		return -ECONNRESET;
	int r = sd_event_source_set_io_events(client->io, events);
	if (r >= 0)
		r = sd_event_source_set_enabled(client->connection.turn, served ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
	return r < 0 ? r : watch_idle(client, answering && events == 0 && !served);
}

/* Any error ends the connection and nothing else: it is the client's affair. */
static void take_turn(struct client *client)
{
	int served = serve_one(client), sent = 0;
	int r = served;
	if (r >= 0)
		r = sent = send_pending(client);
	if (r >= 0)
		r = account_for(client);
	if (r >= 0) /* an answer may have waited for what was sent */
		r = wait_for_more(client, served > 0 || (sent > 0 && client->connection.answer));
	if (r < 0)
		client_free(client);
}

static int on_turn(sd_event_source *source, void *context)
{
	(void)source;
	take_turn(context);
	return 0;
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *context)
{
	(void)source;
	struct client *client = context;
	if (client->connection.answer && (revents & (EPOLLHUP | EPOLLERR))) {
		client_free(client);
		return 0;
	}
	if (!client->ended && !is_blocked(client) && (revents & (EPOLLIN | EPOLLHUP | EPOLLERR))) {
		ssize_t n = wire_buffer_receive(&client->in, fd);
		if (n < 0 && n != -EAGAIN) {
			client_free(client);
			return 0;
		}
		client->ended = n == 0;
	}
	take_turn(client);
	return 0;
}

static int on_idle(sd_event_source *source, uint64_t usec, void *context)
{
	(void)source;
	(void)usec;
	client_free(context);
	return 0;
}

static int add_sources(struct client *client)
{
	sd_event *event = client->server->event;
	int r = sd_event_add_io(event, &client->io, client->fd, EPOLLIN, on_io, client);
	if (r >= 0)
		r = sd_event_add_defer(event, &client->connection.turn, on_turn, client);
	if (r >= 0)
		r = sd_event_source_set_enabled(client->connection.turn, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_add_time(event, &client->idle, CLOCK_MONOTONIC, UINT64_MAX, USEC_PER_SEC, on_idle, client);
	return r < 0 ? r : put_off_idle(client);
}

static void link_client(struct server *server, struct client *client)
{
	client->server = server;
	client->next = server->clients;
	if (client->next)
		client->next->previous = client;
	server->clients = client;
}

/* Takes the caller over on success. */
static int client_new(struct server *server, int fd, const struct caller *caller)
{
	struct accounts *accounts = &server->service->accounts;
	struct account *account = account_enter(accounts, caller->uid, now_usec(server));
	if (!account)
		return -EBUSY;
	struct client *client = calloc(1, sizeof(*client));
	if (!client) {
		account_leave(accounts, account);
		return -ENOMEM;
	}
	client->fd = fd;
	client->connection.account = account;
	client->connection.caller = *caller;
	link_client(server, client);
	if (add_sources(client) < 0)
		client_free(client);
	return 0;
}

/* ---- the socket ---- */

/* As much of a word as the socket takes: the connection is closed in any case. */
static void refuse(struct server *server, int fd)
{
	struct wire_buffer out = {0};
	if (service_refuse(server->service, &out) == 0 && wire_buffer_send(&out, fd) < 0)
		log_event(LOG_DEBUG, NULL, "a connection was refused without a word");
	wire_buffer_free(&out);
	close(fd);
}

static void welcome(struct server *server, int fd)
{
	struct caller caller;
	if (caller_from_socket(&caller, fd) < 0) {
		close(fd);
		return;
	}
	if (client_new(server, fd, &caller) < 0) {
		caller_done(&caller);
		refuse(server, fd);
	}
}

static bool is_transient(int error)
{
	return error == EAGAIN || error == EINTR || error == ECONNABORTED;
}

/* Out of descriptors or memory, the socket stays readable: wait, instead of asking again and again. */
static void pause_listening(struct server *server, int error)
{
	log_event(LOG_WARNING, NULL, "cannot accept connections for a second: %s", strerror(error));
	sd_event_source_set_enabled(server->listening, SD_EVENT_OFF);
	sd_event_source_set_time(server->pause, now_usec(server) + USEC_PER_SEC);
	sd_event_source_set_enabled(server->pause, SD_EVENT_ONESHOT);
}

static int on_pause_over(sd_event_source *source, uint64_t usec, void *context)
{
	(void)source;
	(void)usec;
	struct server *server = context;
	return sd_event_source_set_enabled(server->listening, SD_EVENT_ON);
}

static int on_connection(sd_event_source *source, int fd, uint32_t revents, void *context)
{
	(void)source;
	(void)revents;
	int connection = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (connection >= 0)
		welcome(context, connection);
	else if (!is_transient(errno))
		pause_listening(context, errno);
	return 0;
}

int server_new(struct server **ret, sd_event *event, int fd, struct service *service)
{
	struct server *server = calloc(1, sizeof(*server));
	if (!server) {
		close(fd);
		return -ENOMEM;
	}
	server->event = sd_event_ref(event);
	server->service = service;
	server->fd = fd;
	int r = sd_event_add_io(event, &server->listening, fd, EPOLLIN, on_connection, server);
	if (r >= 0)
		r = sd_event_add_time(event, &server->pause, CLOCK_MONOTONIC, UINT64_MAX, 0, on_pause_over, server);
	if (r >= 0)
		r = sd_event_source_set_enabled(server->pause, SD_EVENT_OFF);
	if (r < 0) {
		server_free(server);
		return r;
	}
	*ret = server;
	return 0;
}

void server_free(struct server *server)
{
	if (!server)
		return;
	while (server->clients)
		client_free(server->clients);
	accounts_free(&server->service->accounts);
	sd_event_source_disable_unref(server->listening);
	sd_event_source_disable_unref(server->pause);
	sd_event_unref(server->event);
	close(server->fd);
	free(server);
}
