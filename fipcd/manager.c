/* SPDX-License-Identifier: Apache-2.0 */
#include "manager.h"
#include "limit.h"
#include "listen.h"
#include "log.h"
#include "server.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <systemd/sd-daemon.h>

enum { IDLE_ACCURACY = 30 }; /* the time until the exit may be off by this part of it */

struct manager {
	sd_event *event;
	sd_event_source *after_all; /* runs after all others */
	sd_event_source *idle;
	struct service service;
	struct server *server;
	struct listener listener;
	uint64_t idle_exit_usec; /* 0: never */
	uint64_t said_reclaimed; /* in the last status line */
	unsigned said_clients;
};

/* ---- what systemd is told ---- */

static uint64_t reclaimed(const struct manager *m)
{
	uint64_t n = 0;
	for (size_t i = 0; i < m->service.n_directories; i++)
		n += directory_counts(m->service.directories[i])->reclaimed;
	return n;
}

static void say_status(struct manager *m, const char *state)
{
	m->said_reclaimed = reclaimed(m);
	m->said_clients = server_clients(m->server);
	sd_notifyf(0, "%sSTATUS=%llu objects reclaimed, %u clients connected", state,
		   (unsigned long long)m->said_reclaimed, m->said_clients);
}

/* ---- exit when idle ---- */

static int put_off_idle_exit(struct manager *m)
{
	uint64_t now;
	int r = sd_event_now(m->event, CLOCK_MONOTONIC, &now);
	if (r >= 0)
		r = sd_event_source_set_time(m->idle, now + m->idle_exit_usec);
	if (r >= 0)
		r = sd_event_source_set_enabled(m->idle, SD_EVENT_ONESHOT);
	return r;
}

/* By the very rule by which fipcd.path would start it again: else the two would chase each other. */
static bool is_idle(const struct manager *m)
{
	for (size_t i = 0; i < m->service.n_directories; i++)
		if (!directory_is_empty(m->service.directories[i]))
			return false;
	return server_clients(m->server) == 0;
}

static int on_idle(sd_event_source *source, uint64_t usec, void *context)
{
	(void)source;
	(void)usec;
	struct manager *m = context;
	if (is_idle(m)) {
		log_event(LOG_INFO, &(struct log_fields){.action = "idle-exit"},
			  "nothing to watch: ends, until the next connection or object");
		return sd_event_exit(m->event, 0);
	}
	return put_off_idle_exit(m);
}

static int enable_idle_exit(struct manager *m, uint64_t usec)
{
	if (usec == 0)
		return 0;
	if (!m->listener.activated) {
		log_event(LOG_NOTICE, NULL, "--idle-exit is for a socket handed over by systemd, and is ignored");
		return 0;
	}
	m->idle_exit_usec = usec;
	int r = sd_event_add_time(m->event, &m->idle, CLOCK_MONOTONIC, UINT64_MAX, usec / IDLE_ACCURACY, on_idle, m);
	return r < 0 ? r : put_off_idle_exit(m);
}

/* ---- the loop ---- */

static int on_after_all(sd_event_source *source, void *context)
{
	(void)source;
	struct manager *m = context;
	if (m->said_reclaimed == reclaimed(m) && m->said_clients == server_clients(m->server))
		return 0;
	say_status(m, "");
	return m->idle ? put_off_idle_exit(m) : 0;
}

static int handle_signals(sd_event *event)
{
	sigset_t mask;
	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGINT);
	if (sigprocmask(SIG_BLOCK, &mask, NULL) < 0)
		return -errno;
	signal(SIGPIPE, SIG_IGN);
	signal(SIGIO, SIG_IGN); /* somebody opens an object while its lease is held */
	signal(SIGURG, SIG_IGN);
	int r = sd_event_add_signal(event, NULL, SIGTERM, NULL, NULL);
	return r < 0 ? r : sd_event_add_signal(event, NULL, SIGINT, NULL, NULL);
}

static int open_loop(struct manager *m)
{
	int r = sd_event_new(&m->event);
	if (r >= 0)
		r = handle_signals(m->event);
	if (r >= 0)
		r = sd_event_set_watchdog(m->event, 1); /* only if WATCHDOG_USEC is set */
	if (r >= 0)
		r = sd_event_add_post(m->event, &m->after_all, on_after_all, m);
	if (r < 0)
		log_event(LOG_ERR, NULL, "cannot set up the event loop: %s", strerror(-r));
	return r;
}

static const char *way_out(int error)
{
	switch (error) {
	case -EPERM:
		return "it belongs to another user: name it with --dir if that is meant";
	case -EINVAL:
		return "a directory is given by its absolute path";
	}
	return strerror(-error);
}

static bool is_served(const struct manager *m, const char *path)
{
	for (size_t i = 0; i < m->service.n_directories; i++)
		if (strcmp(directory_path(m->service.directories[i]), path) == 0)
			return true;
	return false;
}

static int add_directory(struct manager *m, const char *path)
{
	struct directory *d;
	int r = directory_new(&d, m->event, path, m->service.monitor);
	if (r < 0) {
		log_event(LOG_ERR, NULL, "%s: %s", path ? path : "the tracking directory", way_out(r));
		return r;
	}
	if (is_served(m, directory_path(d))) {
		directory_free(d); /* named twice */
		return 0;
	}
	m->service.directories[m->service.n_directories++] = d;
	return 0;
}

static int add_directories(struct manager *m, const char **paths, size_t n)
{
	m->service.directories = calloc(n + 1, sizeof(*m->service.directories));
	if (!m->service.directories)
		return -ENOMEM;
	if (n == 0)
		return add_directory(m, NULL);
	int r = 0;
	for (size_t i = 0; r == 0 && i < n; i++)
		r = add_directory(m, paths[i]);
	return r;
}

/* Each connection needs a descriptor, and while it has much listed another one; without any nothing else goes on. */
static unsigned most_clients(void)
{
	const rlim_t wanted = LIMIT_OTHER_FILES + 2 * LIMIT_CLIENTS;
	struct rlimit files;
	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		return 1;
	struct rlimit more = {files.rlim_max < wanted ? files.rlim_max : wanted, files.rlim_max};
	if (more.rlim_cur > files.rlim_cur && setrlimit(RLIMIT_NOFILE, &more) == 0)
		files = more;
	if (files.rlim_cur >= wanted)
		return LIMIT_CLIENTS;
	return files.rlim_cur > LIMIT_OTHER_FILES ? (unsigned)(files.rlim_cur - LIMIT_OTHER_FILES) / 2 : 1;
}

static int start_service(struct manager *m)
{
	m->service.accounts.most_clients = most_clients();
	int r = sd_event_now(m->event, CLOCK_MONOTONIC, &m->service.started_usec);
	return r < 0 ? r : monitor_new(&m->service.monitor);
}

static int start_server(struct manager *m)
{
	int fd = m->listener.fd;
	m->listener.fd = -1;
	int r = server_new(&m->server, m->event, fd, &m->service);
	if (r < 0)
		log_event(LOG_ERR, NULL, "cannot serve: %s", strerror(-r));
	return r;
}

int manager_new(struct manager **ret, const struct manager_options *options)
{
	struct manager *m = calloc(1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	int r = open_loop(m);
	if (r >= 0)
		r = start_service(m);
	/* The socket first: running twice is found out before anything is touched. */
	if (r >= 0)
		r = listener_open(&m->listener, options->socket);
	if (r >= 0)
		r = start_server(m);
	if (r >= 0)
		r = add_directories(m, options->dirs, options->n_dirs);
	if (r >= 0)
		r = enable_idle_exit(m, options->idle_exit_usec);
	if (r < 0) {
		manager_free(m);
		return r;
	}
	*ret = m;
	return 0;
}

int manager_run(struct manager *m)
{
	say_status(m, "READY=1\n");
	int r = sd_event_loop(m->event);
	say_status(m, "STOPPING=1\n");
	if (r < 0)
		log_event(LOG_ERR, NULL, "the event loop ended: %s", strerror(-r));
	return r;
}

void manager_free(struct manager *m)
{
	if (!m)
		return;
	listener_remove(&m->listener);
	server_free(m->server);
	for (size_t i = 0; i < m->service.n_directories; i++)
		directory_free(m->service.directories[i]);
	free(m->service.directories);
	monitor_free(m->service.monitor);
	sd_event_source_disable_unref(m->after_all);
	sd_event_source_disable_unref(m->idle);
	sd_event_unref(m->event);
	free(m);
}
