/* SPDX-License-Identifier: Apache-2.0 */
#include "array.h"

#include <errno.h>
#include <string.h>

static int append(const char *bytes, size_t size, void *context)
{
	struct array *a = context;
	a->bytes += size;
	if (a->bytes <= WIRE_MESSAGE_MAX && wire_buffer_add(&a->text, bytes, size) < 0)
		a->error = -ENOMEM;
	return a->error;
}

void array_begin(struct array *a, const char *head)
{
	*a = (struct array){.head = head};
	append(head, strlen(head), a);
}

void array_free(struct array *a)
{
	wire_buffer_free(&a->text);
}

void array_add(struct array *a, json_t *value)
{
	if (a->bytes > strlen(a->head))
		append(",", 1, a);
	if (!value || json_dump_callback(value, append, a, JSON_COMPACT) < 0)
		a->error = -ENOMEM;
	json_decref(value);
}

bool array_is_full(const struct array *a)
{
	return a->error < 0 || a->bytes > WIRE_MESSAGE_MAX;
}

int array_end(struct array *a, struct wire_buffer *out, bool continues)
{
	static const char end[] = "]}}", goes_on[] = "]},\"continues\":true}";
	append(continues ? goes_on : end, continues ? sizeof(goes_on) : sizeof(end), a);
	if (a->error < 0)
		return a->error;
	if (a->bytes > WIRE_MESSAGE_MAX)
		return -EMSGSIZE;
	int r = wire_buffer_add(out, a->text.data + a->text.start, wire_buffer_pending(&a->text));
	array_free(a);
	array_begin(a, a->head);
	return r;
}
