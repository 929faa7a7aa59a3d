/* SPDX-License-Identifier: Apache-2.0 */
#include "service.h"
#include "encode.h"
#include "interfaces.h"
#include "message.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MANAGER "io.fipc.Manager"
#define SERVICE "org.varlink.service"

enum { /* parameters that a method knows */
	ARG_DIR = 1 << 0,
	ARG_NAME = 1 << 1,
	ARG_TYPE = 1 << 2,
	ARG_DRY_RUN = 1 << 3,
	ARG_INTERFACE = 1 << 4,
};

struct arguments {
	const char *dir, *name, *interface; /* NULL: not given */
	enum fipc_type type;
	bool dry_run;
};

struct request {
	const struct service *service;
	const struct caller *caller;
	const struct wire_call *call;
	struct arguments arguments;
	struct wire_buffer *out;
};

struct method {
	const char *name;
	unsigned arguments, required;
	bool walks;
	int (*run)(struct request *request);
};

/* ---- errors ---- */

static int error_with(struct request *request, const char *error, const char *key, const char *value)
{
	json_t *parameters = json_pack("{s:s}", key, value);
	return parameters ? wire_error_add(request->out, error, parameters) : -ENOMEM;
}

static int invalid_parameter(struct request *request, const char *parameter)
{
	return error_with(request, SERVICE ".InvalidParameter", "parameter", parameter);
}

static int permission_denied(struct request *request)
{
	return wire_error_add(request->out, MANAGER ".PermissionDenied", NULL);
}

static int too_large(struct request *request, size_t bytes)
{
	return wire_error_add(request->out, MANAGER ".ReplyTooLarge", json_pack("{s:I}", "bytes", (json_int_t)bytes));
}

static int failed(struct request *request, const struct directory *d, int error)
{
	const char *dir = directory_path(d);
	if (error == -ENOENT)
		return error_with(request, MANAGER ".NoSuchDirectory", "dir", dir);
	if (error == -EACCES || error == -EPERM)
		return permission_denied(request);
	return wire_error_add(request->out, MANAGER ".Failed",
			      json_pack("{s:s, s:s}", "dir", dir, "message", strerror(-error)));
}

int service_refuse(struct wire_buffer *out)
{
	return wire_error_add(out, MANAGER ".Busy", NULL);
}

/* ---- a list that is written as it is found: memory follows the text, not the number of objects ---- */

struct list {
	struct wire_buffer text;
	size_t bytes; /* that it would have, were there no limit */
	int error;    /* -ENOMEM */
};

static int append(const char *bytes, size_t size, void *context)
{
	struct list *list = context;
	list->bytes += size;
	if (list->bytes <= WIRE_MESSAGE_MAX && wire_buffer_add(&list->text, bytes, size) < 0)
		list->error = -ENOMEM;
	return list->error;
}

static void append_text(struct list *list, const char *text)
{
	append(text, strlen(text), list);
}

/* Takes the value over; `first` is what stands before the first one. */
static void append_value(struct list *list, const char *first, json_t *value)
{
	size_t n = list->bytes;
	append_text(list, n == strlen(first) ? "" : ",");
	if (!value || json_dump_callback(value, append, list, JSON_COMPACT) < 0)
		list->error = -ENOMEM;
	json_decref(value);
}

static bool is_full(const struct list *list)
{
	return list->error < 0 || list->bytes > WIRE_MESSAGE_MAX;
}

static int reply_list(struct request *request, struct list *list)
{
	append("]}}", sizeof("]}}"), list);
	if (list->error < 0)
		return list->error;
	if (list->bytes > WIRE_MESSAGE_MAX)
		return too_large(request, list->bytes);
	return wire_buffer_add(request->out, list->text.data + list->text.start, wire_buffer_pending(&list->text));
}

/* ---- walks, as the caller may see them ---- */

struct view {
	struct request *request;
	const struct directory *directory;
	bool collects;
	const char *head; /* of the reply, up to the list */
	struct list list;
	json_t *found; /* Get: the first one */
	unsigned n_found;
};

static json_t *object_for_caller(const struct view *view, const struct fipc_object *object)
{
	const char *dir = directory_path(view->directory);
	if (caller_reads(view->request->caller, object->uid, object->gid, object->mode))
		return fipc_object_to_json(object, dir);
	const struct fipc_object outside = {
		.name = object->name,
		.type = object->type,
		.uid = object->uid,
		.gid = object->gid,
		.mode = object->mode,
		.inode = object->inode,
		.error = -EACCES,
		.reason = FIPC_KEEP_NOT_PERMITTED,
	};
	return fipc_object_to_json(&outside, dir);
}

static int view_object(const struct fipc_object *object, void *context)
{
	struct view *view = context;
	if (!is_full(&view->list) || view->collects)
		append_value(&view->list, view->head, object_for_caller(view, object));
	/* A collection goes on when its report is too long. */
	return is_full(&view->list) && !view->collects;
}

static int view_named(const struct fipc_object *object, void *context)
{
	struct view *view = context;
	if (strcmp(object->name, view->request->arguments.name) != 0)
		return 0;
	view->n_found++;
	if (!view->found)
		view->found = object_for_caller(view, object);
	return 0;
}

static int view_process(const struct fipc_process *process, void *context)
{
	struct view *view = context;
	append_value(&view->list, view->head, fipc_process_to_json(process, directory_path(view->directory)));
	return is_full(&view->list);
}

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

/*
 * Walk over the directories that were asked for: the one that was named, or all that the caller may list. Returns 0 if
 * there is something to reply; 1 if an error is the reply already; or a negative errno.
 */
static int view_directories(struct view *view, int (*walk)(struct directory *d, struct view *view))
{
	struct request *request = view->request;
	bool named = request->arguments.dir, met = !named;
	for (size_t i = 0; i < request->service->n_directories; i++) {
		struct directory *d = request->service->directories[i];
		if (!is_asked_for(request, d))
			continue;
		met = true;
		bool lists = caller_lists(request->caller, directory_path(d));
		view->directory = d;
		int r = lists ? walk(d, view) : named ? -EACCES : 0;
		if (r < 0 && (named || r != -ENOENT)) {
			r = failed(request, d, r);
			return r < 0 ? r : 1;
		}
	}
	if (met)
		return 0;
	int r = error_with(request, MANAGER ".NoSuchDirectory", "dir", request->arguments.dir);
	return r < 0 ? r : 1;
}

static int list_directory(struct directory *d, struct view *view)
{
	const struct request *request = view->request;
	const struct arguments *arguments = &request->arguments;
	const struct fipc_filter filter = {
		.pattern = arguments->name,
		.type = arguments->type,
		.by_owner = view->collects && !caller_is_privileged(request->caller),
		.owner = request->caller->uid,
	};
	bool carry_out = view->collects && !arguments->dry_run;
	return directory_walk(d, carry_out ? FIPC_WALK_COLLECT : 0, &filter, view_object, view);
}

static int find_in_directory(struct directory *d, struct view *view)
{
	/* No name has a character that is special in a pattern. */
	const struct arguments *arguments = &view->request->arguments;
	const struct fipc_filter filter = {.pattern = arguments->name, .type = arguments->type};
	return directory_walk(d, 0, &filter, view_named, view);
}

static int list_processes_of(struct directory *d, struct view *view)
{
	return directory_processes(d, view_process, view);
}

static int reply_view(struct view *view, int (*walk)(struct directory *d, struct view *view))
{
	append_text(&view->list, view->head);
	int r = view_directories(view, walk);
	if (r == 0)
		r = reply_list(view->request, &view->list);
	wire_buffer_free(&view->list.text);
	return r < 0 ? r : 0;
}

/* ---- methods ---- */

static int run_list(struct request *request)
{
	struct view view = {.request = request, .head = "{\"parameters\":{\"objects\":["};
	return reply_view(&view, list_directory);
}

static int run_list_processes(struct request *request)
{
	struct view view = {.request = request, .head = "{\"parameters\":{\"processes\":["};
	return reply_view(&view, list_processes_of);
}

static int run_collect(struct request *request)
{
	struct view view = {.request = request, .collects = true};
	view.head = request->arguments.dry_run ? "{\"parameters\":{\"dry_run\":true,\"objects\":["
					       : "{\"parameters\":{\"dry_run\":false,\"objects\":[";
	if (!caller_is_privileged(request->caller) && !caller_owns(request->caller, request->caller->uid))
		return permission_denied(request);
	return reply_view(&view, list_directory);
}

static int run_get(struct request *request)
{
	const char **name = &request->arguments.name;
	struct view view = {.request = request};
	*name += **name == '/'; /* as the library's open */
	int r = view_directories(&view, find_in_directory);
	if (r == 0 && view.n_found == 0)
		r = error_with(request, MANAGER ".NoSuchObject", "name", *name);
	else if (r == 0 && view.n_found > 1)
		r = error_with(request, MANAGER ".Ambiguous", "name", *name);
	else if (r == 0)
		r = wire_reply_add(request->out, view.found ? json_pack("{s:O}", "object", view.found) : NULL);
	json_decref(view.found);
	return r < 0 ? r : 0;
}

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
	return error_with(request, SERVICE ".InterfaceNotFound", "interface", name);
}

static const struct method methods[] = {
	{SERVICE ".GetInfo", 0, 0, false, run_get_info},
	{SERVICE ".GetInterfaceDescription", ARG_INTERFACE, ARG_INTERFACE, false, run_get_interface_description},
	{MANAGER ".List", ARG_DIR | ARG_NAME | ARG_TYPE, 0, true, run_list},
	{MANAGER ".Get", ARG_DIR | ARG_NAME | ARG_TYPE, ARG_NAME, true, run_get},
	{MANAGER ".ListProcesses", ARG_DIR, 0, true, run_list_processes},
	{MANAGER ".Collect", ARG_DIR | ARG_DRY_RUN | ARG_NAME | ARG_TYPE, 0, true, run_collect},
};

/* ---- dispatch ---- */

static const struct {
	const char *key;
	unsigned bit;
} argument_names[] = {
	{"dir", ARG_DIR}, {"name", ARG_NAME}, {"type", ARG_TYPE}, {"dry_run", ARG_DRY_RUN}, {"interface", ARG_INTERFACE},
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
			return error_with(request, SERVICE ".MethodNotFound", "method", name);
	return wire_error_add(request->out, SERVICE ".InterfaceNotFound",
			      json_pack("{s:s%}", "interface", name, n));
}

static int dispatch(struct request *request, struct account *account, uint64_t now_usec)
{
	const struct method *method = find_method(request->call->method);
	if (!method)
		return unknown_method(request);
	const char *wrong = take_arguments(&request->arguments, method, request->call->parameters);
	if (wrong)
		return invalid_parameter(request, wrong);
	if (method->walks && !caller_is_privileged(request->caller) && !account_take_walk(account, now_usec))
		return service_refuse(request->out);
	return method->run(request);
}

int service_handle(const struct service *service, const struct caller *caller, struct account *account,
		   uint64_t now_usec, const char *text, size_t size, struct wire_buffer *out)
{
	struct wire_call call;
	struct wire_buffer unsent = {0};
	int r = wire_call_parse(&call, text, size);
	if (r < 0)
		return r;
	struct request request = {service, caller, &call, {0}, call.oneway ? &unsent : out};
	r = dispatch(&request, account, now_usec);
	wire_buffer_free(&unsent);
	wire_call_done(&call);
	return r;
}
