/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Varlink's frames: each message is a text followed by one NUL. Bytes go in as they arrive, in any split and any number
 * of messages at once; whole messages come out. Knows no JSON.
 */
#ifndef FIPC_WIRE_FRAME_H
#define FIPC_WIRE_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define WIRE_MESSAGE_MAX ((size_t)16 << 20) /* bytes of one message, its NUL included */

/* Bytes between a socket and messages. Zeroed is empty. */
struct wire_buffer {
	char *data;
	size_t capacity;
	size_t start;   /* the first byte not yet taken */
	size_t end;     /* the byte after the last one */
	bool stays;     /* its memory stays when it is empty, for more to come */
	size_t scanned; /* input: there is no NUL before here; so a message that comes byte by byte is searched once */
};

void wire_buffer_free(struct wire_buffer *b);
size_t wire_buffer_pending(const struct wire_buffer *b);

/* Add bytes at the end. Returns 0 or -ENOMEM. */
int wire_buffer_add(struct wire_buffer *b, const void *bytes, size_t size);

/* Read once from a socket. Returns the number of bytes, 0 at its end, or a negative errno (-EAGAIN: nothing yet). */
ssize_t wire_buffer_receive(struct wire_buffer *b, int fd);

/* Send what the socket takes. Returns 0: all is sent; -EAGAIN: some is left; or another negative errno. */
int wire_buffer_send(struct wire_buffer *b, int fd);

/*
 * The next whole message, without its NUL; valid until the buffer is next changed. Returns 1 and sets both, 0 if there
 * is none yet, -EMSGSIZE if the one that has begun is longer than WIRE_MESSAGE_MAX, -EBADMSG if it is empty.
 */
int wire_buffer_next(struct wire_buffer *b, const char **ret, size_t *ret_size);

#endif
