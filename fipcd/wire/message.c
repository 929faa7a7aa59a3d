/* SPDX-License-Identifier: Apache-2.0 */
#include "message.h"

#include <errno.h>
#include <string.h>

/* Every value but the first comes after one of these; in a string they are counted too, for a call has no long ones. */
static bool too_many_values(const char *text, size_t size)
{
	size_t n = 0;
	for (size_t i = 0; i < size && n <= WIRE_CALL_VALUES; i++)
		n += text[i] == ',' || text[i] == '[' || text[i] == '{';
	return n > WIRE_CALL_VALUES;
}

static int parse(json_t **ret, const char *text, size_t size)
{
	json_error_t error;
	json_t *root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
	if (!root)
		return json_error_code(&error) == json_error_out_of_memory ? -ENOMEM : -EBADMSG;
	if (!json_is_object(root)) {
		json_decref(root);
		return -EBADMSG;
	}
	*ret = root;
	return 0;
}

/* Clients leave parameters out, or send null: both say none. */
static bool get_parameters(json_t **ret, json_t *root)
{
	json_t *parameters = json_object_get(root, "parameters");
	if (json_is_null(parameters))
		parameters = NULL;
	*ret = parameters;
	return !parameters || json_is_object(parameters);
}

static bool get_flag(bool *ret, json_t *root, const char *key)
{
	json_t *flag = json_object_get(root, key);
	*ret = json_is_true(flag);
	return !flag || json_is_boolean(flag) || json_is_null(flag);
}

static bool get_string(const char **ret, json_t *root, const char *key)
{
	json_t *string = json_object_get(root, key);
	*ret = json_string_value(string);
	return !string || json_is_string(string) || json_is_null(string);
}

int wire_call_parse(struct wire_call *ret, const char *text, size_t size)
{
	struct wire_call call;
	if (too_many_values(text, size))
		return -EBADMSG;
	int r = parse(&call.root, text, size);
	if (r < 0)
		return r;
	if (!get_string(&call.method, call.root, "method") || !call.method ||
	    !get_parameters(&call.parameters, call.root) || !get_flag(&call.more, call.root, "more") ||
	    !get_flag(&call.oneway, call.root, "oneway") || !get_flag(&call.upgrade, call.root, "upgrade")) {
		json_decref(call.root);
		return -EBADMSG;
	}
	*ret = call;
	return 0;
}

int wire_reply_parse(struct wire_reply *ret, const char *text, size_t size)
{
	struct wire_reply reply;
	int r = parse(&reply.root, text, size);
	if (r < 0)
		return r;
	if (!get_string(&reply.error, reply.root, "error") || !get_parameters(&reply.parameters, reply.root) ||
	    !get_flag(&reply.continues, reply.root, "continues")) {
		json_decref(reply.root);
		return -EBADMSG;
	}
	*ret = reply;
	return 0;
}

void wire_call_done(struct wire_call *call)
{
	json_decref(call->root);
}

void wire_reply_done(struct wire_reply *reply)
{
	json_decref(reply->root);
}

static int add_message(struct wire_buffer *b, json_t *message)
{
	if (!message)
		return -ENOMEM;
	int r = -ENOMEM;
	char *text = json_dumps(message, JSON_COMPACT);
	json_decref(message);
	if (text) {
		size_t size = strlen(text) + 1;
		r = size > WIRE_MESSAGE_MAX ? -EMSGSIZE : wire_buffer_add(b, text, size);
		free(text);
	}
	return r;
}

int wire_call_add(struct wire_buffer *b, const char *method, json_t *parameters)
{
	return add_message(b, json_pack("{s:s, s:o*}", "method", method, "parameters", parameters));
}

int wire_call_more_add(struct wire_buffer *b, const char *method, json_t *parameters)
{
	return add_message(b, json_pack("{s:s, s:o*, s:b}", "method", method, "parameters", parameters, "more", 1));
}

int wire_reply_add(struct wire_buffer *b, json_t *parameters)
{
	return parameters ? add_message(b, json_pack("{s:o}", "parameters", parameters)) : -ENOMEM;
}

int wire_continue_add(struct wire_buffer *b, json_t *parameters)
{
	return parameters ? add_message(b, json_pack("{s:o, s:b}", "parameters", parameters, "continues", 1)) : -ENOMEM;
}

int wire_error_add(struct wire_buffer *b, const char *error, json_t *parameters)
{
	return add_message(b, json_pack("{s:s, s:o*}", "error", error, "parameters", parameters));
}
