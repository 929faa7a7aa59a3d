/* SPDX-License-Identifier: Apache-2.0 */
/* To wait without the GIL, and yet to hear of signals. */
#include "fipcmodule.h"

#include <errno.h>

static int sleep_once(fpy_call call, void *object, fipc_deadline d, void *argument)
{
	int r, old;
	Py_BEGIN_ALLOW_THREADS
	/* The thread's setting may be of use to another library of this thread: it is put back. */
	old = fipc_set_interruptible(1);
	r = call(object, d, argument);
	fipc_set_interruptible(old);
	Py_END_ALLOW_THREADS
	return r;
}

int fpy_sleep(fpy_call call, void *object, fipc_deadline d, void *argument)
{
	int r;
	/* Handlers run here, in the main thread; as with threading.Lock one that raises ends the wait. */
	do
		r = sleep_once(call, object, d, argument);
	while (r == -EINTR && PyErr_CheckSignals() == 0);
	return r;
}

static int sleep_interruptibly(Object *self, fpy_call call, fipc_deadline d, void *argument)
{
	int r = sleep_once(call, self->object, d, argument);
	if (r == -EINTR && PyErr_CheckSignals() == 0)
		PyErr_SetString(PyExc_InterruptedError, "a signal was handled");
	return r;
}

int fpy_sleep_in(Object *self, fpy_call call, fipc_deadline d, void *argument)
{
	int r;
	fpy_enter(self);
	r = self->interruptible ? sleep_interruptibly(self, call, d, argument)
				: fpy_sleep(call, self->object, d, argument);
	fpy_leave(self);
	return r;
}
