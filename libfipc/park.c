/* SPDX-License-Identifier: Apache-2.0 */
#include "park.h"

#include "slot.h"
#include "spin.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What the kernel knows of this thread; NULL: nothing, and it is not to be told either. */
static struct robust_list_head *find_list(struct debt *debt)
{
	struct robust_list_head *head = NULL;
	size_t size = 0;
	int saved = errno;
	if (syscall(SYS_get_robust_list, 0, &head, &size) < 0 || size != sizeof(*head))
		head = NULL;
	else if (!head) {
		debt->own = (struct robust_list_head){.list = {&debt->own.list}, .futex_offset = LINK_GLIBC};
		debt->lent = syscall(SYS_set_robust_list, &debt->own, sizeof(debt->own)) == 0;
		head = debt->lent ? &debt->own : NULL;
	}
	errno = saved;
	return head;
}

void fipc__incur(struct debt *debt, struct thread *t, const _Atomic uint32_t *w)
{
	struct robust_list_head *head;
	*debt = (struct debt){0};
	if (t->top) {
		debt->pending = fipc__owe(t, w) ? t->pending : NULL;
		return;
	}
	head = find_list(debt);
	/* musl fills the offset in after it has told the kernel */
	if (!head || (head->futex_offset != LINK_GLIBC && head->futex_offset != LINK_MUSL) || head->list_op_pending)
		return;
	debt->pending = (void *_Atomic *)(void *)&head->list_op_pending;
	store_pending(debt->pending, (void *)((uintptr_t)w - (uintptr_t)head->futex_offset));
}

void fipc__settle(struct debt *debt)
{
	int saved = errno;
	if (debt->pending)
		store_pending(debt->pending, NULL);
	if (debt->lent)
		syscall(SYS_set_robust_list, NULL, sizeof(debt->own));
	errno = saved;
}

int fipc__park(const _Atomic uint32_t *w, uint32_t expected, const _Atomic uint32_t *v, uint32_t v_expected,
	       fipc_deadline d)
{
	struct futex_place places[2] = {{(const void *)w, expected}, {(const void *)v, v_expected}};
	int r;
	fipc__spun_in_vain();
	if (v && fipc__futex_interruptible())
		return fipc__futex_wait_first(places, 2, d);
	r = fipc__sleep(places, v ? 2 : 1, d);
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
