/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small client that waits for its answers.
 */
#ifndef FIPC_WIRE_CLIENT_H
#define FIPC_WIRE_CLIENT_H

#include "message.h"

struct wire_client;

/*
 * Connect to a Unix socket. No step of a later call waits longer than timeout_ms for the service (0: no limit).
 * Returns 0; -ENAMETOOLONG; -ENOENT or -ECONNREFUSED: nobody is there; or another negative errno.
 */
int wire_client_connect(struct wire_client **ret, const char *path, unsigned timeout_ms);
void wire_client_free(struct wire_client *client);

/* From now on no step waits longer than this (0: no limit). Returns 0 or a negative errno. */
int wire_client_set_timeout(struct wire_client *client, unsigned timeout_ms);

/*
 * Call a method and wait for its reply. parameters (NULL: none) are taken over and released.
 * Returns 0 if it was answered: *ret_error is NULL and *ret the reply's parameters (an object, possibly empty), or
 * *ret_error is the error's full name and *ret its parameters. Release both: json_decref(), free().
 * Else a negative errno: -ECONNRESET (it hung up), -EAGAIN (timeout), -EBADMSG or -EMSGSIZE (no Varlink), ...; the
 * client is then good for wire_client_free() only.
 */
int wire_client_call(struct wire_client *client, const char *method, json_t *parameters, json_t **ret,
		     char **ret_error);

/*
 * Call a method that replies many times, and tell the callback the parameters of each reply as it comes (borrowed). It
 * returns 0 to hear the next one; anything else ends the call, and is returned: the client is then good for
 * wire_client_free() only. Returns 0 when the service has sent its last reply (*ret_error NULL, *ret NULL), or an error
 * as above; or a negative errno as above. A service that is silent for longer than the timeout: -EAGAIN.
 */
typedef int (*wire_reply_fn)(json_t *parameters, void *context);
int wire_client_call_more(struct wire_client *client, const char *method, json_t *parameters, wire_reply_fn callback,
			  void *context, json_t **ret, char **ret_error);

#endif
