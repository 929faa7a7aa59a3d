/* SPDX-License-Identifier: Apache-2.0 */
#include "spin.h"

#include "clock.h"

#include <errno.h>
#include <sched.h>

static bool is_on_one_processor(void)
{
	cpu_set_t mine;
	int saved = errno;
	bool one = sched_getaffinity(0, sizeof(mine), &mine) == 0 && CPU_COUNT(&mine) == 1;
	errno = saved;
	return one;
}

void fipc__spun_in_vain(void)
{
	struct thread *t = fipc__self;
	if (!t->top)
		return;
	if (t->spins_to_skip > 0)
		t->spins_to_skip--;
	else if (is_on_one_processor())
		t->spins_to_skip = SPIN_SKIPPED;
}

static void give_turn(struct thread *t)
{
	enum { LONG_NS = 100000 }; /* somebody who computes had it to himself */
	int64_t begun = fipc__now_ns();
	sched_yield();
	if (fipc__now_ns() - begun > LONG_NS)
		t->yields_to_skip = YIELD_SKIPPED;
}

static bool may_give_turn(struct thread *t)
{
	if (t->spins_to_skip == 0) /* on several processors, as far as is known */
		return false;
	if (t->yields_to_skip == 0)
		return true;
	t->yields_to_skip--;
	return false;
}

bool fipc__let_others_run(enum turn *turn)
{
	struct thread *t = fipc__self;
	if (*turn == TURN_OURS && may_give_turn(t)) {
		give_turn(t);
		*turn = TURN_GIVEN;
		return true;
	}
	if (*turn == TURN_GIVEN && t->yields_to_skip < SPIN_SKIPPED)
		t->yields_to_skip = SPIN_SKIPPED; /* it was in vain */
	*turn = TURN_OVER;
	return false;
}
