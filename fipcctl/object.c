/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "column.h"
#include "object.h"
#include "say.h"

/* An object that cannot be read has no state; why it cannot is the better answer then. */
char *format_state(const json_t *object)
{
	const char *state = json_text(object, "state.state");

	return *state ? safe_text(state) : format_text(json_object_get(object, "error"));
}

/* What asprintf(3) makes of it; NULL: no memory. */
char *make_text(const char *format, ...)
{
	va_list arguments;
	char *ret = NULL;
	int r;

	va_start(arguments, format);
	r = vasprintf(&ret, format, arguments);
	va_end(arguments);
	return r < 0 ? NULL : ret;
}

char *format_detail(const json_t *object)
{
	const json_t *state = json_object_get(object, "state");

	if (json_object_get(state, "n_holders"))
		return make_text(INT " free, " INT " holders", json_number(state, "tokens"),
				 json_number(state, "n_holders"));
	if (json_object_get(state, "tokens"))
		return make_text(INT " free", json_number(state, "tokens"));
	if (json_object_get(state, "readers"))
		return make_text(INT "/" INT " readers", json_number(state, "readers"),
				 json_number(state, "max_readers"));
	if (json_object_get(state, "messages"))
		return make_text(INT "/" INT " messages", json_number(state, "messages"),
				 json_number(state, "max_messages"));
	if (json_object_get(state, "bytes"))
		return make_text(INT " bytes", json_number(state, "bytes"));
	return strdup("-");
}

char *format_owner(const json_t *object)
{
	json_int_t pid = json_number(object, "state.owner_pid"), tid = json_number(object, "state.owner_tid");
	char text[60];

	if (!tid)
		return format_nonzero(json_at(object, "state.owner_pid")); /* Python's fastipc tells no thread */
	/* The thread is in the lock word; the pid is written just after it, and so may be missing. */
	if (!pid || pid == tid)
		snprintf(text, sizeof(text), INT, tid);
	else
		snprintf(text, sizeof(text), INT "/" INT, pid, tid);
	return strdup(text);
}

char *format_flags(const json_t *flags)
{
	char text[200] = "";
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)flags, name, value) {
		size_t used = strlen(text);

		if (json_is_true(value))
			snprintf(text + used, sizeof(text) - used, "%s%s", used ? "," : "", name);
	}
	return *text ? safe_text(text) : strdup("-");
}

static json_int_t nsec_since(json_int_t since)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec - since;
}

char *format_since(const json_t *nsec)
{
	return make_text("%.3f s", (double)nsec_since(json_integer_value(nsec)) / 1e9);
}

char *format_yes(const json_t *truth)
{
	return strdup(json_is_true(truth) ? "yes" : "-");
}

json_int_t held_nsec(const json_t *object)
{
	/* The one is exact, and only there with FIPC_TIMESTAMPS; the other is when a sleeper has seen it held. */
	json_int_t exact = json_number(object, "state.acquired_nsec");
	json_int_t since = exact ? exact : json_number(object, "state.held_since_nsec");

	return since && json_number(object, "state.owner_tid") ? nsec_since(since) : -1;
}

int print_json(const char *key, const json_t *value)
{
	json_t *answer = key ? json_pack("{sO}", key, value) : json_incref((json_t *)value);
	int r = STATUS_DONE;

	/* ASCII: so a foreign name cannot talk to the terminal by control characters of eight bits. */
	if (!answer || json_dumpf(answer, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII))
		r = fail("cannot print the answer");
	else
		putchar('\n');
	json_decref(answer);
	return r;
}
