/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A reply with an array in it, whose values are written as they are found: memory follows the text, not the number of
 * values.
 */
#ifndef FIPCD_ARRAY_H
#define FIPCD_ARRAY_H

#include "text.h"

struct array {
	const char *head; /* of the reply, up to the array's "[" */
	struct text text; /* where values are written */
};

void array_begin(struct array *a, const char *head);
void array_free(struct array *a);
size_t array_bytes(const struct array *a);

/* What is in it will not be sent: the message is too large, or there is no memory. Nothing need be added. */
bool array_is_full(const struct array *a);

/*
 * End the reply, add it to what is to be sent, and begin anew. continues: others follow. Returns 0; -EMSGSIZE: it is
 * too large, and nothing was added; -ENOMEM.
 */
int array_end(struct array *a, struct wire_buffer *out, bool continues);

#endif
