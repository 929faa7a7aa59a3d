/* SPDX-License-Identifier: Apache-2.0 */
/*
 * At the interpreter's end not every object has been dropped: some are in cycles, or belong to threads. What has a name
 * and is open then is closed when Python is gone, and so its name goes now, not with the next collection. Locks that
 * are held stay: their owner is about to die inside, and the next one is to be told.
 *
 * Kept apart from the objects: their memory may be gone by then.
 */
#include "fipcmodule.h"

#include <pthread.h>
#include <stdlib.h>

struct opened {
	struct opened *next, *previous;
	void *object;
	int (*close)(void *);
	Py_ssize_t inside; /* calls without the GIL, of threads of the process that had been forked so often */
	unsigned long forks;
};

static struct opened all = {.next = &all, .previous = &all}; /* written with the GIL held */
static unsigned long forks;

static void count_fork(void)
{
	forks++;
}

unsigned long fpy_forks(void)
{
	return forks;
}

static void close_all(void)
{
	for (struct opened *o = all.next; o != &all; o = o->next) {
		int r = 0;
		/* A daemon thread goes on without Python, up to the end of its call, and libfipc may not know of it yet. */
		if (o->inside == 0 || o->forks != forks)
			r = o->close(o->object);
		(void)r; /* in use to the last: the kernel tells the others */
	}
}

int fpy_at_exit_begin(void)
{
	static bool begun; /* another interpreter of this process */
	if (begun)
		return 0;
	begun = true;
	if (pthread_atfork(NULL, NULL, count_fork) != 0 || Py_AtExit(close_all) < 0) {
		PyErr_SetString(PyExc_ImportError, "fipc: no room for what is to be done at exit");
		return -1;
	}
	return 0;
}

struct opened *fpy_at_exit_add(void *object, int (*close)(void *))
{
	struct opened *o = malloc(sizeof(*o));
	if (!o) {
		PyErr_NoMemory();
		return NULL;
	}
	*o = (struct opened){.next = all.next, .previous = &all, .object = object, .close = close};
	all.next->previous = o;
	all.next = o;
	return o;
}

void fpy_at_exit_note(struct opened *o, Py_ssize_t inside)
{
	if (!o)
		return;
	o->inside = inside;
	o->forks = forks;
}

void fpy_at_exit_remove(struct opened *o)
{
	if (!o)
		return;
	o->previous->next = o->next;
	o->next->previous = o->previous;
	free(o);
}
