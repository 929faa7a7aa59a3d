/* SPDX-License-Identifier: Apache-2.0 */
/* Event. */
#include "fipcmodule.h"

#include <errno.h>

SMALL_KIND(fpy_event_kind, event, "Event", FIPC_PRIVATE | FIPC_REPLACE | FIPC_AUTORESET, NULL, q->flags);

static int init_event(PyObject *o, PyObject *args, PyObject *named)
{
	return fpy_open_plain((Object *)o, &fpy_event_kind, args, named);
}

static PyObject *set(PyObject *o, PyObject *unused)
{
	Object *self = (Object *)o;
	(void)unused;
	return fpy_check_open(self) < 0 ? NULL : fpy_none_or_raise(self, fipc_event_set(self->object));
}

static PyObject *clear(PyObject *o, PyObject *unused)
{
	Object *self = (Object *)o;
	(void)unused;
	return fpy_check_open(self) < 0 ? NULL : fpy_none_or_raise(self, fipc_event_clear(self->object));
}

static PyObject *is_set(PyObject *o, PyObject *unused)
{
	Object *self = (Object *)o;
	int r;
	(void)unused;
	if (fpy_check_open(self) < 0)
		return NULL;
	r = fipc_event_is_set(self->object);
	return r < 0 ? fpy_raise_of(self, r) : PyBool_FromLong(r);
}

static int wait_until(void *e, fipc_deadline d, void *unused)
{
	(void)unused;
	return fipc_event_wait_until(e, d);
}

static PyObject *wait_for_it(PyObject *o, PyObject *const *args, Py_ssize_t nargs, PyObject *names)
{
	Object *self = (Object *)o;
	patience p = FIPC_FOREVER;
	int r;
	if (fpy_parse_timeout("wait", args, nargs, names, &p) < 0 || fpy_check_open(self) < 0)
		return NULL;
	r = fipc_event_wait_until(self->object, FIPC_NOW);
	if (r == -EAGAIN && p > 0)
		r = fpy_sleep_in(self, wait_until, fpy_until(p), NULL);
	if (r == -EAGAIN || r == -ETIMEDOUT)
		Py_RETURN_FALSE;
	if (r < 0)
		return r == -EINTR ? NULL : fpy_raise_of(self, r);
	Py_RETURN_TRUE;
}

static PyObject *info(PyObject *o, PyObject *unused)
{
	Object *self = (Object *)o;
	struct fipc_event_info i;
	(void)unused;
	if (!LOOK(self, fipc_event_info, &i))
		return NULL;
	return fpy_info(self->state->infos[EVENT_INFO], Py_BuildValue("(NINI)", PyBool_FromLong((long)i.set), i.waiters,
								      PyBool_FromLong((long)i.autoreset), i.sets));
}

static PyStructSequence_Field fields[] = {
	{"set", "is it set?"},
	{"waiters", "threads asleep on it"},
	{"autoreset", "is it AUTORESET?"},
	{"sets", "times that it was set when it was clear; modulo 2 ** 32"},
	{NULL, NULL},
};

PyStructSequence_Desc fpy_event_info = {"fipc.EventInfo", "What Event.info() saw: words that change.", fields, 4};

static PyMethodDef methods[] = {
	{"set", set, METH_NOARGS, DOC("set($self, /)", "Set it, and wake all who wait; one, if it is AUTORESET.")},
	{"clear", clear, METH_NOARGS, DOC("clear($self, /)", "Clear it.")},
	{"is_set", is_set, METH_NOARGS, DOC("is_set($self, /)", "Is it set, at this moment?")},
	{"wait", FASTCALL(wait_for_it), METH_FAST,
	 DOC("wait($self, /, timeout=None, *, timeout_ns=None)",
	     "Wait until it is set; at once if it is. True: it was, and if it is AUTORESET it is\n"
	     "clear now. False: the time is over.")},
	INFO_METHOD("an EventInfo"),
	UNLINK_METHOD,
	DESTROY_METHOD,
	CLOSING_ENTER_METHOD,
	CLOSING_EXIT_METHOD,
	{NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
	{Py_tp_doc,
	 DOC("Event(target, flags=0, mode=0o600, *, offset=0)",
	     "Set or clear; threads of any number of processes wait until it is set.\n\n"
	     "    loaded = fipc.Event('config-loaded', fipc.CREATE)\n"
	     "    loaded.wait(timeout=5)          # and whoever loads: loaded.set()\n\n"
	     "It stays set until it is cleared: a gate. With AUTORESET it lets one through, who\n"
	     "clears it: a bell. A wake-up is never lost, whoever is killed.\n\n"
	     "target, mode: see help(fipc.Mutex). flags: of a name CREATE, EXCL, REPLACE, PERSIST,\n"
	     "READONLY, ANY_OWNER, AUTORESET; of memory PRIVATE, REPLACE, AUTORESET. A with block\n"
	     "closes it.")},
	{Py_tp_init, init_event},
	{Py_tp_methods, methods},
	{0, NULL},
};

PyType_Spec fpy_event_spec = TYPE_SPEC("fipc.Event", Object, slots);
