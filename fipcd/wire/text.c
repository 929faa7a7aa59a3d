/* SPDX-License-Identifier: Apache-2.0 */
#include "text.h"

#include <stdlib.h>
#include <string.h>

enum { FOREIGN_MAX = 255 }; /* bytes of a string that are told */

void text_free(struct text *t)
{
	wire_buffer_free(&t->bytes);
	*t = (struct text){0};
}

/* Most of what is written is a few bytes, and there is room for them. */
void text_raw(struct text *t, const char *bytes, size_t size)
{
	struct wire_buffer *b = &t->bytes;
	if (b->capacity - b->end >= size) {
		memcpy(b->data + b->end, bytes, size);
		b->end += size;
	} else if (wire_buffer_add(&t->bytes, bytes, size) < 0)
		t->failed = true;
}

static void add_byte(struct text *t, char byte)
{
	text_raw(t, &byte, 1);
}

/* All that stands before a value. */
static void begin(struct text *t, const char *key)
{
	if (t->goes_on)
		add_byte(t, ',');
	t->goes_on = true;
	if (!key)
		return;
	add_byte(t, '"');
	text_raw(t, key, strlen(key));
	text_raw(t, "\":", 2);
}

void text_open(struct text *t, const char *key, char bracket)
{
	begin(t, key);
	add_byte(t, bracket);
	t->goes_on = false;
}

void text_close(struct text *t, char bracket)
{
	add_byte(t, bracket);
	t->goes_on = true;
}

void text_integer(struct text *t, const char *key, int64_t n)
{
	char digits[24], *first = digits + sizeof(digits);
	uint64_t rest = n < 0 ? -(uint64_t)n : (uint64_t)n;
	do
		*--first = (char)('0' + rest % 10);
	while ((rest /= 10) > 0);
	if (n < 0)
		*--first = '-';
	begin(t, key);
	text_raw(t, first, (size_t)(digits + sizeof(digits) - first));
}

void text_truth(struct text *t, const char *key, bool truth)
{
	begin(t, key);
	text_raw(t, truth ? "true" : "false", truth ? 4 : 5);
}

void text_string(struct text *t, const char *key, const char *string)
{
	text_foreign(t, key, string, strlen(string));
}

static bool is_plain(char c)
{
	return c >= ' ' && c <= '~';
}

void text_foreign(struct text *t, const char *key, const char *bytes, size_t size)
{
	char clean[2 * FOREIGN_MAX + 2], *end = clean;
	const char *limit = bytes + (size < FOREIGN_MAX ? size : FOREIGN_MAX);
	*end++ = '"';
	for (; bytes < limit && *bytes; bytes++) {
		if (*bytes == '"' || *bytes == '\\')
			*end++ = '\\';
		*end++ = is_plain(*bytes) ? *bytes : '?';
	}
	*end++ = '"';
	begin(t, key);
	text_raw(t, clean, (size_t)(end - clean));
}

static bool is_plain_and_short(const char *string)
{
	size_t n = 0;
	while (n < FOREIGN_MAX && is_plain(string[n]))
		n++;
	return !string[n];
}

void text_path(struct text *t, const char *key, const char *path)
{
	json_t *string = is_plain_and_short(path) ? NULL : json_string(path);
	char *quoted = string ? json_dumps(string, JSON_ENCODE_ANY) : NULL;
	if (!string) {
		text_foreign(t, key, path, strlen(path));
		return;
	}
	begin(t, key);
	if (quoted)
		text_raw(t, quoted, strlen(quoted));
	else
		t->failed = true;
	free(quoted);
	json_decref(string);
}

json_t *text_to_json(struct text *t)
{
	json_t *json = NULL;
	if (!t->failed)
		json = json_loadb(t->bytes.data + t->bytes.start, wire_buffer_pending(&t->bytes), 0, NULL);
	text_free(t);
	return json;
}
