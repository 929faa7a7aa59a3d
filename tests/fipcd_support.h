/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fipcd of the test's own: its directory, its socket, its log; and calls on it, answered or refused.
 */
#ifndef FIPC_TESTS_FIPCD_SUPPORT_H
#define FIPC_TESTS_FIPCD_SUPPORT_H

#include "client.h"
#include "support.h"

#include <stdbool.h>

struct daemon {
	char base[96], dir[112], socket[112], log[112];
	pid_t pid; /* 0: does not run */
};

/* As a cmocka fixture: an empty directory, and with a daemon that serves. FIPC_DIR leads there. */
int daemon_set_up_only(void **state);
int daemon_set_up(void **state);
int daemon_tear_down(void **state);

void daemon_start(struct daemon *d); /* returns when it answers */
pid_t daemon_spawn(const struct daemon *d, const char *const *arguments); /* its output goes into the log */
void daemon_exec(const struct daemon *d, const char *const *arguments);   /* the same, as this process */
void daemon_stop(struct daemon *d); /* SIGTERM, and it must end well */
void daemon_kill(struct daemon *d);
bool daemon_logged(const struct daemon *d, const char *text);

/* Call a method with parameters in JSON (NULL none), on a connection of its own. It must not be refused. */
json_t *call(const struct daemon *d, const char *method, const char *parameters);
/* The same for a call that must be refused with this error. Returns its parameters. */
json_t *refused(const struct daemon *d, const char *method, const char *parameters, const char *error);
void expect_refused(const struct daemon *d, const char *method, const char *parameters, const char *error);

json_int_t metric(const struct daemon *d, const char *key); /* of the reply of Metrics */
bool has_at_most(const struct daemon *d, json_int_t bytes); /* memory; a sanitizer's, which keeps what is freed, always */

/* The object of this name in a reply's `objects`, borrowed; NULL: not there. */
json_t *object_named(json_t *reply, const char *name);
const char *string_of(json_t *object, const char *key); /* "" if absent */
json_int_t number_of(json_t *object, const char *key);   /* -1 if absent */

/* Raw bytes on a connection of its own. */
int connect_raw(const struct daemon *d);
void send_raw(int fd, const void *bytes, size_t size);
json_t *receive_raw(int fd, struct wire_buffer *b); /* the next message; NULL at the end */

/* A connection on which Monitor has been called with these parameters, and has said "listening". */
int listen_to(const struct daemon *d, const char *parameters, struct wire_buffer *b);
json_t *next_event(int fd, struct wire_buffer *b); /* there must be one */

/* A process that has a mutex of this name open, and holds it; it sleeps until it is killed. */
pid_t start_holder(const char *name, unsigned flags);
bool exists(const struct daemon *d, const char *name); /* the mutex's file */

/* A socket of the test's own, bound to a path; SOCK_DGRAM: for messages, of which one with this text must come. */
int make_socket(const char *path, int kind);
void expect_notice(int fd, const char *wanted);

#endif
