/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A reply with an array in it, written as its values are found: memory follows the text, not the number of values.
 */
#ifndef FIPCD_ARRAY_H
#define FIPCD_ARRAY_H

#include "frame.h"

#include <jansson.h>
#include <stdbool.h>

struct array {
	const char *head; /* of the reply, up to the array's "[" */
	struct wire_buffer text;
	size_t bytes; /* that it would have, were there no limit */
	int error;    /* -ENOMEM */
};

void array_begin(struct array *a, const char *head);
void array_free(struct array *a);

void array_add(struct array *a, json_t *value); /* taken over; NULL: no memory was left for it */

/* Nothing that is added will be sent: the message would be too large, or there is no memory. */
bool array_is_full(const struct array *a);

/*
 * End the reply, add it to what is to be sent, and begin anew. continues: others follow. Returns 0; -EMSGSIZE: it is
 * too large, and nothing was added; -ENOMEM.
 */
int array_end(struct array *a, struct wire_buffer *out, bool continues);

#endif
