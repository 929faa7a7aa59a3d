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

bool fipc__let_others_run(void)
{
	enum { LONG_NS = 100000 }; /* somebody had a turn to himself */
	struct thread *t = fipc__self;
	int64_t begun;
	if (t->spins_to_skip == 0)
		return false; /* on several processors, as far as is known */
	if (t->yields_to_skip > 0) {
		t->yields_to_skip--;
		return false;
	}
	begun = fipc__now_ns();
	sched_yield();
	if (fipc__now_ns() - begun > LONG_NS)
		t->yields_to_skip = YIELD_SKIPPED;
	return true;
}
