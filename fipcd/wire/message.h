/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Varlink's messages: a call, and a reply or an error, as JSON objects.
 */
#ifndef FIPC_WIRE_MESSAGE_H
#define FIPC_WIRE_MESSAGE_H

#include "frame.h"

#include <jansson.h>
#include <stdbool.h>

struct wire_call {
	json_t *root; /* owns all below */
	const char *method;
	json_t *parameters; /* an object, or NULL if there are none */
	bool more, oneway, upgrade;
};

struct wire_reply {
	json_t *root; /* owns all below */
	json_t *parameters; /* an object, or NULL if there are none */
	const char *error; /* full name, or NULL */
	bool continues;
};

/*
 * Parse one message. Returns 0, -EBADMSG if it is not such a message, or -ENOMEM; sets *ret only on success. A call
 * with more than WIRE_CALL_VALUES values is -EBADMSG before memory is spent on it: it comes from a stranger.
 */
#define WIRE_CALL_VALUES 1024
int wire_call_parse(struct wire_call *ret, const char *text, size_t size);
int wire_reply_parse(struct wire_reply *ret, const char *text, size_t size);
void wire_call_done(struct wire_call *call);
void wire_reply_done(struct wire_reply *reply);

/*
 * Add one message to the buffer. parameters are taken over and released, also on failure; for a call and an error they
 * may be NULL for none. Returns 0, -EMSGSIZE (with nothing added) or -ENOMEM (also if a reply's parameters are NULL, as
 * those of a failed json_pack() are).
 */
int wire_call_add(struct wire_buffer *b, const char *method, json_t *parameters);
int wire_call_more_add(struct wire_buffer *b, const char *method, json_t *parameters); /* asks for many replies */
int wire_reply_add(struct wire_buffer *b, json_t *parameters);
int wire_continue_add(struct wire_buffer *b, json_t *parameters); /* a reply after which more come */
int wire_error_add(struct wire_buffer *b, const char *error, json_t *parameters);

#endif
