/* SPDX-License-Identifier: Apache-2.0 */
#include "mq.h"

#include <string.h>

#if defined(__x86_64__)
#include <emmintrin.h>

void fipc__mq_copy_away(void *to, const void *from, size_t n)
{
	unsigned char *d = to;
	const unsigned char *s = from;
	size_t head = -(uintptr_t)d % 64;
	if (head > n)
		head = n;
	memcpy(d, s, head);
	for (d += head, s += head, n -= head; n >= 64; d += 64, s += 64, n -= 64)
		for (int i = 0; i < 64; i += 16)
			_mm_stream_si128((void *)(d + i), _mm_loadu_si128((const void *)(s + i)));
	_mm_sfence(); /* such stores are not ordered by those that follow */
	memcpy(d, s, n);
}

#else

void fipc__mq_copy_away(void *to, const void *from, size_t n)
{
	memcpy(to, from, n);
}

#endif
