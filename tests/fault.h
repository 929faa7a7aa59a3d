/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the library asks of libc and the kernel, refused: its n-th call that can fail does, with an error that this
 * function may give. For programs linked with libfipc.a and --wrap= of each function below (see fipc_faults() in
 * core.cmake). Per thread: what another thread calls meanwhile is carried out.
 */
#ifndef FIPC_TESTS_FAULT_H
#define FIPC_TESTS_FAULT_H

#include <stdbool.h>

enum fault_kind {
	FAULT_LIMIT,   /* too many descriptors, no memory, no room */
	FAULT_REFUSED, /* no permission, an I/O error, an old kernel */
	FAULT_PASSING, /* once only: somebody else was there in the same moment, or a signal, or there is no /proc */
	FAULT_KINDS,
};

enum fault_reach {
	FAULT_ONCE,     /* that call */
	FAULT_FUNCTION, /* and from then on each of the same function */
	FAULT_ALL,      /* and from then on each that can fail */
	FAULT_REACHES,
};

/* From now on. nth 0: none fails. */
void fault_arm(unsigned nth, enum fault_kind kind, enum fault_reach reach);
/* No more. Returns how many calls have failed. */
unsigned fault_disarm(void);

/* Of the faults since fault_arm(). */
bool fault_gave(int error);      /* was this errno among them? */
const char *fault_first(void);   /* which function it was at first; "none" */
bool fault_first_is(const char *function);

/* What the library has at this moment: pieces of the heap with open files and directories; bytes mapped. */
struct fault_balance {
	long pieces, mapped;
};
struct fault_balance fault_balance(void);

#endif
