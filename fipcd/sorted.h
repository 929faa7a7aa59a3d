/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FIPCD_SORTED_H
#define FIPCD_SORTED_H

#include <stdbool.h>
#include <stddef.h>

/* The index of the first of n items, each of so many bytes and in order, that does not come before the key; n: none. */
static inline size_t sorted_index(const void *items, size_t n, size_t size,
				  bool (*comes_before)(const void *item, const void *key), const void *key)
{
	size_t low = 0, high = n;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (comes_before((const char *)items + middle * size, key))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

#endif
