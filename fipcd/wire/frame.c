/* SPDX-License-Identifier: Apache-2.0 */
#include "frame.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
	READ_SIZE = 64 << 10, /* asked of a socket at once */
	KEEP_SIZE = 4 << 10,  /* an empty buffer larger than this is given back */
};

void wire_buffer_free(struct wire_buffer *b)
{
	free(b->data);
	*b = (struct wire_buffer){0};
}

size_t wire_buffer_pending(const struct wire_buffer *b)
{
	return b->end - b->start;
}

static void compact(struct wire_buffer *b)
{
	if (b->start == 0)
		return;
	memmove(b->data, b->data + b->start, b->end - b->start);
	b->scanned -= b->scanned > b->start ? b->start : b->scanned;
	b->end -= b->start;
	b->start = 0;
}

static int make_room(struct wire_buffer *b, size_t size)
{
	if (b->capacity - b->end >= size)
		return 0;
	compact(b);
	if (b->capacity - b->end >= size)
		return 0;
	size_t capacity = b->end + size > 2 * b->capacity ? b->end + size : 2 * b->capacity;
	char *data = realloc(b->data, capacity);
	if (!data)
		return -ENOMEM;
	b->data = data;
	b->capacity = capacity;
	return 0;
}

static void take(struct wire_buffer *b, size_t size)
{
	b->start += size;
	if (b->start < b->end)
		return;
	b->start = b->end = b->scanned = 0;
	if (b->capacity > KEEP_SIZE && !b->stays)
		wire_buffer_free(b);
}

int wire_buffer_add(struct wire_buffer *b, const void *bytes, size_t size)
{
	if (size == 0)
		return 0;
	int r = make_room(b, size);
	if (r < 0)
		return r;
	memcpy(b->data + b->end, bytes, size);
	b->end += size;
	return 0;
}

ssize_t wire_buffer_receive(struct wire_buffer *b, int fd)
{
	char bytes[READ_SIZE]; /* on the way: else each of thousands of connections would keep room for so many */
	ssize_t n;
	do
		n = recv(fd, bytes, sizeof(bytes), 0);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	int r = wire_buffer_add(b, bytes, (size_t)n);
	return r < 0 ? r : n;
}

int wire_buffer_send(struct wire_buffer *b, int fd)
{
	while (b->start < b->end) {
		ssize_t n = send(fd, b->data + b->start, b->end - b->start, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		take(b, (size_t)n);
	}
	return 0;
}

/* The last message's bytes stay in place until the buffer is used again: so *ret need not be copied. */
int wire_buffer_next(struct wire_buffer *b, const char **ret, size_t *ret_size)
{
	if (b->start == b->end) {
		take(b, 0);
		return 0;
	}
	if (b->scanned < b->start)
		b->scanned = b->start;
	char *nul = memchr(b->data + b->scanned, 0, b->end - b->scanned);
	size_t size = (nul ? (size_t)(nul - b->data) : b->end) - b->start;
	if (size >= WIRE_MESSAGE_MAX)
		return -EMSGSIZE;
	if (!nul) {
		b->scanned = b->end;
		return 0;
	}
	if (size == 0)
		return -EBADMSG;
	*ret = b->data + b->start;
	*ret_size = size;
	b->start += size + 1;
	return 1;
}
