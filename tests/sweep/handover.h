/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An object handed from one thread of a process to another, for tests of the moment after: whoever gets it may close
 * it, and the giver, who has let go, may still be on his way out of the call that let go.
 */
#ifndef FIPC_TESTS_SWEEP_HANDOVER_H
#define FIPC_TESTS_SWEEP_HANDOVER_H

#include "../support.h"

struct handover {
	const char *name;
	void *(*open)(void);                     /* the object "a" of its type, as its giver has it */
	int (*give)(void *object);               /* 0 */
	int (*take)(void *object, fipc_deadline d); /* 0: got, and done with; or an error */
	int (*close)(void *object);
	enum {
		NOT_THERE,   /* until it is given */
		HELD,        /* until then, and a close says -EBUSY */
		TO_SLEEPERS, /* who comes late gets nothing */
	} before;
};

extern const struct handover handovers[];
extern const unsigned n_handovers;

/* The thread that calls this is known to the library from then on. */
void use_the_library(void);

#endif
