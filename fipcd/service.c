/* SPDX-License-Identifier: Apache-2.0 */
#include "encode.h"
#include "interfaces.h"
#include "limit.h"
#include "request.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

enum { /* parameters that a method knows */
	ARG_DIR = 1 << 0,
	ARG_NAME = 1 << 1,
	ARG_TYPE = 1 << 2,
	ARG_DRY_RUN = 1 << 3,
	ARG_INTERFACE = 1 << 4,
	ARG_UID = 1 << 5,
	ARG_STATE = 1 << 6,
	ARG_REASON = 1 << 7,
	ARG_PID = 1 << 8,
	ARG_FIELDS = 1 << 9,
	ARG_OBJECT = ARG_DIR | ARG_NAME | ARG_TYPE,
};

enum { /* what a method is like */
	WALKS = 1 << 0, /* looks at a directory: each user may so often */
	STREAMS = 1 << 1, /* only with `more` */
};

struct method {
	const char *name;
	unsigned arguments, required, traits;
	int (*run)(struct request *request);
};

/* ---- errors ---- */

int answer_error(struct request *request, const char *error, json_t *parameters)
{
	request->service->errors++;
	return wire_error_add(request->out, error, parameters);
}

int answer_error_with(struct request *request, const char *error, const char *key, const char *value)
{
	json_t *parameters = json_pack("{s:s}", key, value);
	return parameters ? answer_error(request, error, parameters) : -ENOMEM;
}

int answer_invalid(struct request *request, const char *parameter)
{
	return answer_error_with(request, SERVICE ".InvalidParameter", "parameter", parameter);
}

int answer_denied(struct request *request)
{
	return answer_error(request, MANAGER ".PermissionDenied", NULL);
}

int answer_too_large(struct request *request, size_t bytes)
{
	return answer_error(request, MANAGER ".ReplyTooLarge", json_pack("{s:I}", "bytes", (json_int_t)bytes));
}

int answer_failed(struct request *request, const struct directory *d, int error)
{
	const char *dir = directory_path(d);
	if (error == -ENOENT)
		return answer_error_with(request, MANAGER ".NoSuchDirectory", "dir", dir);
	if (error == -EACCES || error == -EPERM)
		return answer_denied(request);
	return answer_error(request, MANAGER ".Failed",
			    json_pack("{s:s, s:s}", "dir", dir, "message", strerror(-error)));
}

int service_refuse(struct service *service, struct wire_buffer *out)
{
	service->refused++;
	return wire_error_add(out, MANAGER ".Busy", NULL);
}

/* ---- directories ---- */

static bool is_asked_for(const struct request *request, const struct directory *d)
{
	const char *dir = request->arguments.dir, *path = directory_path(d);
	if (!dir)
		return true;
	size_t n = strlen(dir);
	while (n > 1 && dir[n - 1] == '/')
		n--;
	return strlen(path) == n && memcmp(dir, path, n) == 0;
}

int request_visit_directories(struct request *request, visit_fn visit, void *context)
{
	bool named = request->arguments.dir, met = !named;
	for (size_t i = 0; i < request->service->n_directories; i++) {
		struct directory *d = request->service->directories[i];
		if (!is_asked_for(request, d))
			continue;
		met = true;
		bool lists = caller_lists(&request->connection->caller, directory_path(d));
		int r = lists ? visit(d, context) : named ? -EACCES : 0;
		if (r < 0 && (named || r != -ENOENT)) {
			r = answer_failed(request, d, r);
			return r < 0 ? r : 1;
		}
	}
	if (met)
		return 0;
	int r = answer_error_with(request, MANAGER ".NoSuchDirectory", "dir", request->arguments.dir);
	return r < 0 ? r : 1;
}

/* ---- org.varlink.service ---- */

static int run_get_info(struct request *request)
{
	json_t *names = json_array();
	for (const struct interface *i = interfaces; i->name; i++)
		json_array_append_new(names, json_string(i->name));
	return wire_reply_add(request->out,
			      json_pack("{s:s, s:s, s:s, s:s, s:o}", "vendor", "fipc", "product", "fipcd", "version",
					FIPC_VERSION, "url", FIPC_URL, "interfaces", names));
}

static int run_get_interface_description(struct request *request)
{
	const char *name = request->arguments.interface;
	for (const struct interface *i = interfaces; i->name; i++)
		if (strcmp(i->name, name) == 0)
			return wire_reply_add(request->out, json_pack("{s:s}", "description", i->description));
	return answer_error_with(request, SERVICE ".InterfaceNotFound", "interface", name);
}

static const struct method methods[] = {
	{SERVICE ".GetInfo", 0, 0, 0, run_get_info},
	{SERVICE ".GetInterfaceDescription", ARG_INTERFACE, ARG_INTERFACE, 0, run_get_interface_description},
	{MANAGER ".List", ARG_OBJECT | ARG_UID | ARG_STATE | ARG_REASON | ARG_PID | ARG_FIELDS, 0, WALKS, run_list},
	{MANAGER ".Get", ARG_OBJECT, ARG_NAME, WALKS, run_get},
	{MANAGER ".ListProcesses", ARG_DIR, 0, WALKS, run_list_processes},
	{MANAGER ".Collect", ARG_OBJECT | ARG_DRY_RUN, 0, WALKS, run_collect},
	{MANAGER ".Revoke", ARG_OBJECT, ARG_NAME, WALKS, run_revoke},
	{MANAGER ".Unlink", ARG_OBJECT, ARG_NAME, WALKS, run_unlink},
	{MANAGER ".Graph", ARG_DIR, 0, WALKS, run_graph},
	{MANAGER ".Metrics", 0, 0, WALKS, run_metrics},
	{MANAGER ".Monitor", ARG_OBJECT, 0, WALKS | STREAMS, run_monitor},
};

/* ---- arguments ---- */

static const struct {
	const char *key;
	unsigned bit;
} argument_names[] = {
	{"dir", ARG_DIR},     {"name", ARG_NAME},     {"type", ARG_TYPE}, {"dry_run", ARG_DRY_RUN},
	{"uid", ARG_UID},     {"state", ARG_STATE},   {"pid", ARG_PID},   {"interface", ARG_INTERFACE},
	{"reason", ARG_REASON}, {"fields", ARG_FIELDS},
};

static unsigned argument_bit(const char *key)
{
	for (size_t i = 0; i < sizeof(argument_names) / sizeof(*argument_names); i++)
		if (strcmp(argument_names[i].key, key) == 0)
			return argument_names[i].bit;
	return 0;
}

static const char *argument_name(unsigned bits)
{
	for (size_t i = 0; i < sizeof(argument_names) / sizeof(*argument_names); i++)
		if (argument_names[i].bit & bits)
			return argument_names[i].key;
	return "";
}

static bool take_type(enum fipc_type *ret, const char *name)
{
	int type = name ? fipc_type_from_name(name) : -EINVAL;
	if (type < 0)
		return false;
	*ret = (enum fipc_type)type;
	return true;
}

static bool take_uid(struct arguments *arguments, const json_t *value)
{
	json_int_t uid = json_integer_value(value);
	arguments->by_owner = true;
	arguments->owner = (uid_t)uid;
	return json_is_integer(value) && uid >= 0 && uid < (uid_t)-1;
}

static bool take_pid(int *ret, const json_t *value)
{
	json_int_t pid = json_integer_value(value);
	*ret = (int)pid;
	return pid > 0 && pid <= INT_MAX;
}

static bool take_fields(struct arguments *arguments, const json_t *names)
{
	size_t i;
	const json_t *name;
	json_array_foreach(names, i, name) {
		uint64_t member = json_is_string(name) ? object_member(json_string_value(name)) : 0;
		if (!member)
			return false;
		arguments->members |= member;
	}
	return arguments->members;
}

static bool take_argument(struct arguments *arguments, unsigned bit, const json_t *value)
{
	const char *string = json_string_value(value);
	switch (bit) {
	case ARG_DIR:
		return (arguments->dir = string);
	case ARG_NAME:
		return (arguments->name = string);
	case ARG_TYPE:
		return take_type(&arguments->type, string);
	case ARG_DRY_RUN:
		arguments->dry_run = json_is_true(value);
		return json_is_boolean(value);
	case ARG_INTERFACE:
		return (arguments->interface = string);
	case ARG_UID:
		return take_uid(arguments, value);
	case ARG_STATE:
		return (arguments->state = string);
	case ARG_REASON:
		return (arguments->reason = string);
	case ARG_PID:
		return take_pid(&arguments->pid, value);
	case ARG_FIELDS:
		return take_fields(arguments, value);
	}
	return false;
}

/* Returns NULL, or the name of the parameter that is wrong, unknown or missing. null is as good as absent. */
static const char *take_arguments(struct arguments *arguments, const struct method *method, json_t *parameters)
{
	unsigned missing = method->required;
	const char *key;
	json_t *value;
	json_object_foreach(parameters, key, value) {
		unsigned bit = argument_bit(key) & method->arguments;
		if (!bit)
			return key;
		if (json_is_null(value))
			continue;
		if (!take_argument(arguments, bit, value))
			return key;
		missing &= ~bit;
	}
	return missing ? argument_name(missing) : NULL;
}

/* ---- dispatch ---- */

static const struct method *find_method(const char *name)
{
	for (size_t i = 0; i < sizeof(methods) / sizeof(*methods); i++)
		if (strcmp(methods[i].name, name) == 0)
			return &methods[i];
	return NULL;
}

static int unknown_method(struct request *request)
{
	const char *name = request->call->method, *dot = strrchr(name, '.');
	size_t n = dot ? (size_t)(dot - name) : strlen(name);
	for (const struct interface *i = interfaces; i->name; i++)
		if (strlen(i->name) == n && memcmp(i->name, name, n) == 0)
			return answer_error_with(request, SERVICE ".MethodNotFound", "method", name);
	return answer_error(request, SERVICE ".InterfaceNotFound", json_pack("{s:s%}", "interface", name, n));
}

static bool may_walk(const struct connection *connection, uint64_t now_usec)
{
	return caller_is_privileged(&connection->caller) || account_take_walk(connection->account, now_usec);
}

/* To read a long message takes as long as looks do, while others wait. */
static bool may_say_so_much(const struct connection *connection, uint64_t now_usec, size_t size)
{
	for (; size > LIMIT_CALL_PER_WALK; size -= LIMIT_CALL_PER_WALK)
		if (!may_walk(connection, now_usec))
			return false;
	return true;
}

static int dispatch(struct request *request, uint64_t now_usec)
{
	const struct method *method = find_method(request->call->method);
	if (!method)
		return unknown_method(request);
	const char *wrong = take_arguments(&request->arguments, method, request->call->parameters);
	if (wrong)
		return answer_invalid(request, wrong);
	if (method->traits & STREAMS && !request->more)
		return answer_error(request, SERVICE ".ExpectedMore", NULL);
	if (method->traits & WALKS && !may_walk(request->connection, now_usec))
		return answer_error(request, MANAGER ".Busy", NULL);
	return method->run(request);
}

int service_handle(struct service *service, struct connection *connection, uint64_t now_usec, const char *text,
		   size_t size)
{
	struct wire_call call;
	struct wire_buffer unsent = {0};
	if (!may_say_so_much(connection, now_usec, size))
		return wire_error_add(&connection->out, MANAGER ".Busy", NULL);
	int r = wire_call_parse(&call, text, size);
	if (r < 0)
		return r;
	struct request request = {
		.service = service,
		.connection = connection,
		.call = &call,
		.out = call.oneway ? &unsent : &connection->out,
		.more = call.more && !call.oneway,
	};
	service->calls++;
	r = dispatch(&request, now_usec);
	wire_buffer_free(&unsent);
	wire_call_done(&call);
	return r;
}
