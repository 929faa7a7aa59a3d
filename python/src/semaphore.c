/* SPDX-License-Identifier: Apache-2.0 */
/* Semaphore. */
#include "fipcmodule.h"

#include <errno.h>

SMALL_KIND(fpy_semaphore_kind, sem, "Semaphore", FIPC_PRIVATE | FIPC_REPLACE | FIPC_TIMESTAMPS, NULL,
	   q->initial, q->flags);

static int init_semaphore(PyObject *o, PyObject *args, PyObject *named)
{
	static char *names[] = {"target", "flags", "mode", "initial", "offset", NULL};
	PyObject *target, *flags = NULL, *mode = NULL, *initial = NULL, *offset = NULL;
	unsigned long long tokens = 1;
	struct request q = {0};
	if (!PyArg_ParseTupleAndKeywords(args, named, "O|OO$OO:Semaphore", names, &target, &flags, &mode, &initial,
					 &offset) ||
	    fpy_open_flags(flags, mode, &q) < 0 || fpy_unsigned(initial, "initial", UINT32_MAX, &tokens) < 0)
		return -1;
	q.initial = (uint32_t)tokens;
	return fpy_open((Object *)o, &fpy_semaphore_kind, target, offset, &q);
}

static int wait_until(void *s, fipc_deadline d, void *unused)
{
	(void)unused;
	return fipc_sem_wait_until(s, d);
}

/* -EAGAIN of one that waits: too many locks, of a thread. */
static PyObject *answer(Object *self, int r, patience p)
{
	if (r == 0)
		Py_RETURN_TRUE;
	if (r == -ETIMEDOUT || (r == -EAGAIN && p == 0))
		Py_RETURN_FALSE;
	return r == -EINTR ? NULL : fpy_raise_of(self, r);
}

static PyObject *acquire(PyObject *o, PyObject *const *args, Py_ssize_t nargs, PyObject *names)
{
	Object *self = (Object *)o;
	patience p;
	int r;
	if (fpy_parse_acquire("acquire", args, nargs, names, &p) < 0 || fpy_check_open(self) < 0)
		return NULL;
	r = fipc_sem_trywait(self->object);
	if (r == -EAGAIN && p > 0)
		r = fpy_sleep_in(self, wait_until, fpy_until(p), NULL);
	return answer(self, r, p);
}

static PyObject *release(PyObject *o, PyObject *const *args, Py_ssize_t nargs, PyObject *names)
{
	static const char *const parameters[] = {"n"};
	static const struct signature s = {"release", parameters, 1, 1, 0};
	Object *self = (Object *)o;
	unsigned long long n = 1;
	PyObject *given;
	if ((nargs > 0 || names) && (fpy_parse(&s, args, nargs, names, &given) < 0 ||
				     fpy_unsigned(given, "n", UINT32_MAX, &n) < 0))
		return NULL;
	return fpy_check_open(self) < 0 ? NULL : fpy_none_or_raise(self, fipc_sem_post(self->object, (uint32_t)n));
}

static PyObject *enter(PyObject *self, PyObject *unused)
{
	(void)unused;
	return acquire(self, NULL, 0, NULL);
}

static PyObject *leave(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
	(void)args;
	(void)nargs;
	return release(self, NULL, 0, NULL);
}

static PyObject *get_value(PyObject *o, void *unused)
{
	Object *self = (Object *)o;
	int64_t r;
	(void)unused;
	if (fpy_check_open(self) < 0)
		return NULL;
	r = fipc_sem_value(self->object);
	return r < 0 ? fpy_raise_of(self, (int)r) : PyLong_FromLongLong(r);
}

static PyObject *info(PyObject *o, PyObject *unused)
{
	Object *self = (Object *)o;
	struct fipc_sem_info i;
	(void)unused;
	if (!LOOK(self, fipc_sem_info, &i))
		return NULL;
	return fpy_info(self->state->infos[SEMAPHORE_INFO],
			Py_BuildValue("(IIIIK)", i.value, i.waiters, i.last_pid, i.holders,
				      (unsigned long long)i.acquired_ns));
}

static PyStructSequence_Field fields[] = {
	{"value", "tokens that there are"},
	{"waiters", "threads asleep on it"},
	{"last_pid", "the process that took a token last; 0: nobody yet"},
	{"holders", "OWNED: processes that hold tokens; else 0"},
	{"acquired_ns", "TIMESTAMPS: time.monotonic_ns() when one was taken last; else 0"},
	{NULL, NULL},
};

PyStructSequence_Desc fpy_semaphore_info = {"fipc.SemaphoreInfo", "What Semaphore.info() saw: words that change.",
					    fields, 5};

static PyMethodDef methods[] = {
	{"acquire", FASTCALL(acquire), METH_FAST,
	 DOC("acquire($self, /, block=True, timeout=None, *, timeout_ns=None)",
	     "Take a token. True: taken. False: not, and the time is over, or it was not to block.")},
	{"release", FASTCALL(release), METH_FAST,
	 DOC("release($self, /, n=1)",
	     "Add n tokens, and wake as many who wait. TooMany: it can't count so many. NotOwner:\n"
	     "of one that is OWNED, more than this process holds.")},
	{"__enter__", enter, METH_NOARGS, DOC("__enter__($self, /)", "acquire()")},
	{"__exit__", FASTCALL(leave), METH_FASTCALL, DOC("__exit__($self, kind, exc, trace, /)", "release()")},
	INFO_METHOD("a SemaphoreInfo"),
	UNLINK_METHOD,
	DESTROY_METHOD,
	{NULL, NULL, 0, NULL},
};

static PyGetSetDef attributes[] = {
	{"value", get_value, NULL, "The tokens that there are at this moment.", NULL},
	{NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot slots[] = {
	{Py_tp_doc,
	 DOC("Semaphore(target, flags=0, mode=0o600, *, initial=1, offset=0)",
	     "A number of tokens: acquire takes one, and waits while there is none; release adds\n"
	     "some.\n\n"
	     "    slots = fipc.Semaphore('convert', fipc.CREATE | fipc.OWNED, initial=4)\n"
	     "    with slots:          # four at most are inside, on this machine\n"
	     "        ...\n\n"
	     "Any thread may release. What a killed process has taken stays taken; but of one that\n"
	     "is OWNED tokens belong to the process that took them, and are back when it dies. A\n"
	     "wake-up is never lost.\n\n"
	     "target, mode: see help(fipc.Mutex). initial: tokens when it is made; ignored by who\n"
	     "joins. flags: of a name CREATE, EXCL, REPLACE, PERSIST, READONLY, ANY_OWNER,\n"
	     "TIMESTAMPS, OWNED; of memory PRIVATE, REPLACE, TIMESTAMPS.")},
	{Py_tp_init, init_semaphore},
	{Py_tp_methods, methods},
	{Py_tp_getset, attributes},
	{0, NULL},
};

PyType_Spec fpy_semaphore_spec = TYPE_SPEC("fipc.Semaphore", Object, slots);
