/* SPDX-License-Identifier: Apache-2.0 */
#include "array.h"

#include <errno.h>
#include <string.h>

void array_begin(struct array *a, const char *head)
{
	*a = (struct array){.head = head};
	text_raw(&a->text, head, strlen(head));
}

void array_free(struct array *a)
{
	text_free(&a->text);
}

size_t array_bytes(const struct array *a)
{
	return wire_buffer_pending(&a->text.bytes);
}

bool array_is_full(const struct array *a)
{
	return a->text.failed || array_bytes(a) > WIRE_MESSAGE_MAX;
}

int array_end(struct array *a, struct wire_buffer *out, bool continues)
{
	static const char end[] = "]}}", goes_on[] = "]},\"continues\":true}";
	text_raw(&a->text, continues ? goes_on : end, continues ? sizeof(goes_on) : sizeof(end));
	if (a->text.failed)
		return -ENOMEM;
	if (array_is_full(a))
		return -EMSGSIZE;
	int r = wire_buffer_add(out, a->text.bytes.data + a->text.bytes.start, array_bytes(a));
	array_free(a);
	array_begin(a, a->head);
	return r;
}
