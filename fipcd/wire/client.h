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

/*
 * Call a method and wait for its reply. parameters (NULL: none) are taken over and released.
 * Returns 0 if it was answered: *ret_error is NULL and *ret the reply's parameters (an object, possibly empty), or
 * *ret_error is the error's full name and *ret its parameters. Release both: json_decref(), free().
 * Else a negative errno: -ECONNRESET (it hung up), -EAGAIN (timeout), -EBADMSG or -EMSGSIZE (no Varlink), ...; the
 * client is then good for wire_client_free() only.
 */
int wire_client_call(struct wire_client *client, const char *method, json_t *parameters, json_t **ret,
		     char **ret_error);

#endif
