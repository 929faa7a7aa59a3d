/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking again a few times before sleeping: where two can run at once, most waits are shorter than a wake-up. But a thread
 * on one processor spins in vain, for whom it waits for could not run meanwhile, unless he is on another one. So after it
 * has, this many sleeps come without spinning before the next try: then the tries, of 17 us, are 0.03 us of each sleep.
 *
 * There it lets others run instead, once, and looks again: a hand-over between two on one processor then takes neither a
 * sleep nor a wake-up, but two thirds of the time (docs/design-sem.md). Whoever yields comes last, and behind one that
 * computes waits for that one's turn to end, which a sleeper need not: a yield that took so long is the last one for many
 * waits, so that those, of 3 ms, are two hundredths of what is waited otherwise.
 */
#ifndef FIPC_SPIN_H
#define FIPC_SPIN_H

#include "robust.h"

enum { SPIN_SKIPPED = 512, YIELD_SKIPPED = 16384 };

/* May this thread spin? */
static inline bool fipc__may_spin(void)
{
	return fipc__self->spins_to_skip == 0;
}

/* Each time before this thread sleeps; of one wait, at first TURN_OURS. True: others have run, and it is to look again. */
enum turn { TURN_OURS, TURN_GIVEN, TURN_OVER };
bool fipc__let_others_run(enum turn *turn);

/* This thread goes to sleep: whatever spinning there was did not help. */
void fipc__spun_in_vain(void);

static inline void fipc__spin_pause(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

#endif
