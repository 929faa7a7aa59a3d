/* SPDX-License-Identifier: Apache-2.0 */
#include "park.h"

#include "fork.h"
#include "slot.h"
#include "spin.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * Words that are on no listed thread's record: of a thread that has not used fipc yet, and of a handler that
 * interrupted another operation. They stand here for those who close, that memory is not unmapped under such a one.
 * Without a lock: handlers cannot wait for the thread that they interrupted.
 */
enum { STRAYS = 32 };
static _Atomic uintptr_t strays[STRAYS]; /* addresses; 0: room for one */

void fipc__strays_forked(void)
{
	memset(strays, 0, sizeof(strays));
}

/* seq_cst: before the change that lets another thread close; pairs with is_stray: that one has seen the change. */
static bool put_stray(struct debt *debt, const _Atomic uint32_t *w)
{
	for (int i = 0; i < STRAYS; i++) {
		uintptr_t none = 0;
		if (atomic_compare_exchange_strong(&strays[i], &none, (uintptr_t)w)) {
			debt->stray = &strays[i];
			return true;
		}
	}
	return false;
}

/* Where there is no room, as many are at work, and soon done. */
static void go_astray(struct debt *debt, const _Atomic uint32_t *w)
{
	while (!put_stray(debt, w))
		sched_yield();
}

/* seq_cst; pairs with put_stray, and with the release in fipc__settle: who does not find it may unmap the word. */
static bool is_stray(const _Atomic uint32_t *w)
{
	int i = 0;
	while (i < STRAYS && atomic_load(&strays[i]) != (uintptr_t)w)
		i++;
	return i < STRAYS;
}

bool fipc__park_pending(const _Atomic uint32_t *w)
{
	return fipc__robust_pending((const struct mutex *)((uintptr_t)w - offsetof(struct mutex, word))) ||
	       is_stray(w);
}

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
	if (debt->stray)
		return;
	if (t->top && fipc__owe(t, w)) {
		debt->pending = t->pending;
		return;
	}
	go_astray(debt, w);
	if (t->top)
		return;
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
	/* release; pairs with is_stray. The last touch. */
	if (debt->stray)
		atomic_store_explicit(debt->stray, 0, memory_order_release);
}

int fipc__park(const _Atomic uint32_t *w, uint32_t expected, const _Atomic uint32_t *v, uint32_t v_expected,
	       fipc_deadline d)
{
	struct futex_place places[2] = {{(const void *)w, expected}, {(const void *)v, v_expected}};
	int r;
	fipc__spun_in_vain();
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
