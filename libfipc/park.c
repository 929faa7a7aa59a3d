/* SPDX-License-Identifier: Apache-2.0 */
#include "park.h"

#include <errno.h>

int fipc__park(const _Atomic uint32_t *w, uint32_t expected, const _Atomic uint32_t *v, uint32_t v_expected,
	       fipc_deadline d)
{
	struct futex_place places[2] = {{(const void *)w, expected}, {(const void *)v, v_expected}};
	int r = v ? fipc__futex_wait_any(places, 2, d) : fipc__futex_wait((const void *)w, expected, d, FUTEX_SHARED);
	return r > 0 ? 0 : r;
}

void fipc__unpark_all(_Atomic uint32_t *w)
{
	fipc__futex_clear_and_wake_all((void *)w);
}

void fipc__unpark(_Atomic uint32_t *w, unsigned n)
{
	if (fipc__futex_wake((const void *)w, n, FUTEX_SHARED) == 0)
		fipc__unpark_all(w);
}
