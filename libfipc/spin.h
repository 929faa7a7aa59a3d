/* SPDX-License-Identifier: Apache-2.0 */
/* Looking again a few times before sleeping: where two can run at once, most waits are shorter than a wake-up. */
#ifndef FIPC_SPIN_H
#define FIPC_SPIN_H

#include <stdbool.h>

/* Can somebody else run while this process spins? Not when it has one processor. */
bool fipc__may_spin(void);

static inline void fipc__spin_pause(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

#endif
