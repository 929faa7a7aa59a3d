/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking again a few times before sleeping: where two can run at once, most waits are shorter than a wake-up. But a thread
 * on one processor spins in vain, for whom it waits for could not run meanwhile, unless he is on another one. So after it
 * has, this many sleeps come without spinning before the next try: then the tries, of 17 us, are 0.03 us of each sleep.
 */
#ifndef FIPC_SPIN_H
#define FIPC_SPIN_H

#include "robust.h"

enum { SPIN_SKIPPED = 512 };

/* May this thread spin? */
static inline bool fipc__may_spin(void)
{
	return fipc__self->spins_to_skip == 0;
}

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
