/* SPDX-License-Identifier: Apache-2.0 */
#include "mq.h"

#include <string.h>

enum { LINE = 64, PIECE = 8192 }; /* a piece: little enough for every second-level cache */

static size_t piece_of(size_t n)
{
	return n < PIECE ? n : PIECE;
}

void fipc__mq_ask_for(const void *from, size_t n)
{
	for (size_t i = 0; i < piece_of(n); i += LINE)
		__builtin_prefetch((const char *)from + i, 0, 2);
}

void fipc__mq_copy_here(void *to, const void *from, size_t n)
{
	unsigned char *d = to;
	const unsigned char *s = from;
	for (size_t piece; n > 0; d += piece, s += piece, n -= piece) {
		piece = piece_of(n);
		fipc__mq_ask_for(s, piece);
		__asm__("" : "+r"(piece)); /* or gcc, knowing how large it may be, copies by itself, a third slower */
		memcpy(d, s, piece);
	}
}

#if defined(__x86_64__)
#include <emmintrin.h>

void fipc__mq_copy_away(void *to, const void *from, size_t n)
{
	unsigned char *d = to;
	const unsigned char *s = from;
	size_t head = -(uintptr_t)d % LINE, tail;
	if (head > n)
		head = n;
	tail = (n - head) % LINE;
	memcpy(d, s, head);
	memcpy(d + n - tail, s + n - tail, tail); /* these two first: their lines come from the other one meanwhile */
	n -= head + tail;
	for (d += head, s += head; n > 0; d += LINE, s += LINE, n -= LINE)
		for (int i = 0; i < LINE; i += 16)
			_mm_stream_si128((void *)(d + i), _mm_loadu_si128((const void *)(s + i)));
	_mm_sfence(); /* such stores are not ordered by those that follow */
}

#else

void fipc__mq_copy_away(void *to, const void *from, size_t n)
{
	memcpy(to, from, n);
}

#endif
