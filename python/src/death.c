/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What follows when the owner of a lock has died inside. Python programs tend not to look at what a lock returns, so
 * nobody gets the lock by chance: who acquires it
 *
 *	has said how to mend (on_owner_death=)   mends, and has it
 *	is in recover()                          has it, is told, and mends
 *	else                                     gets OwnerDied, and has it not
 *
 * and as long as nobody has mended, the next one is in the same position: the lock is let go of as the dead let go of
 * it (fipc_mutex_abandon).
 */
#include "fipcmodule.h"

#include <errno.h>

PyObject *fpy_ignore_death(PyObject *module, PyObject *lock)
{
	(void)module;
	(void)lock;
	Py_RETURN_NONE;
}

/* As it was found. If even that fails there is nothing to be done: what it was for is an exception already. */
static void abandon(Object *self, const struct lock_calls *calls)
{
	int r = calls->abandon(self->object);
	(void)r;
}

/* It may have been acquired through another object. */
static void count_release(Object *self)
{
	if (self->held > 0)
		self->held--;
}

static int say_mended(Object *self, const struct lock_calls *calls)
{
	int r = calls->consistent(self->object);
	if (r == 0)
		return 0;
	/* Revoked meanwhile: unlocked so, it is not recoverable. */
	r = calls->unlock(self->object);
	fpy_raise_of(self, r < 0 ? r : -ENOTRECOVERABLE);
	return -1;
}

static int call_handler(Object *self, const struct lock_calls *calls)
{
	PyObject *handler = self->on_owner_death, *r;
	Py_INCREF(handler);
	self->repairer = PyThread_get_thread_ident();
	fpy_enter(self); /* nobody closes it meanwhile, the handler itself neither */
	r = PyObject_CallOneArg(handler, (PyObject *)self);
	fpy_leave(self);
	self->repairer = 0;
	Py_DECREF(handler);
	if (!r) {
		abandon(self, calls);
		return -1;
	}
	Py_DECREF(r);
	return say_mended(self, calls);
}

/* Held, after a death. */
static int admit_after_death(Object *self, const struct lock_calls *calls)
{
	if (self->on_owner_death)
		return call_handler(self, calls);
	fpy_raise_of(self, -EOWNERDEAD);
	abandon(self, calls);
	return -1;
}

int fpy_admit(Object *self, const struct lock_calls *calls, int r)
{
	if (r == -EINTR)
		return -1;
	if (r < 0) {
		fpy_raise_of(self, r);
		return -1;
	}
	if (r == FIPC_OWNER_DIED && admit_after_death(self, calls) < 0)
		return -1;
	self->held++;
	return 0;
}

int fpy_readmit(Object *self, const struct lock_calls *calls, int r)
{
	count_release(self);
	return fpy_admit(self, calls, r);
}

int fpy_lock(Object *self, const struct hold_call *how, patience p)
{
	fipc_deadline d = FIPC_NOW;
	int r;
	do {
		r = how->call(self->object, FIPC_NOW, NULL);
		if (r == -EBUSY && p > 0) {
			d = d == FIPC_NOW ? fpy_until(p) : d;
			r = fpy_sleep_in(self, how->call, d, NULL);
		}
		if (r == -EBUSY || r == -ETIMEDOUT)
			return 0;
		if (fpy_admit(self, how->calls, r) < 0)
			return -1;
		if (r == 0 || !how->to_read)
			return 1;
		/* Mended, and held to write, which was not asked for. */
		count_release(self);
		r = how->calls->unlock(self->object);
	} while (r == 0);
	fpy_raise_of(self, r);
	return -1;
}

int fpy_check_not_repairing(Object *self)
{
	if (__builtin_expect(self->repairer == 0, 1) || self->repairer != PyThread_get_thread_ident())
		return 0;
	PyErr_Format(PyExc_RuntimeError, "what a dead owner left is being mended: %R is let go of when that is done",
		     self);
	return -1;
}

PyObject *fpy_release(Object *self, const struct lock_calls *calls, PyObject *exc)
{
	int r;
	if (fpy_check_open(self) < 0 || fpy_check_not_repairing(self) < 0)
		return NULL;
	r = calls->unlock(self->object);
	if (__builtin_expect(r == 0, 1))
		count_release(self);
	/* else wait() has lost it to a death, and says so: that is the exception to be seen. */
	else if (r != -EPERM || exc == Py_None)
		return fpy_raise_of(self, r);
	Py_RETURN_NONE;
}

int fpy_set_on_owner_death(Object *self, PyObject *handler)
{
	if (!handler || handler == Py_None)
		handler = NULL;
	else if (!PyCallable_Check(handler)) {
		PyErr_Format(PyExc_TypeError, "on_owner_death must be callable, or None, not %s",
			     Py_TYPE(handler)->tp_name);
		return -1;
	}
	Py_XINCREF(handler);
	Py_XSETREF(self->on_owner_death, handler);
	return 0;
}

static PyObject *get_on_owner_death(PyObject *self, void *unused)
{
	PyObject *handler = ((Object *)self)->on_owner_death;
	(void)unused;
	if (!handler)
		handler = Py_None;
	Py_INCREF(handler);
	return handler;
}

static int set_on_owner_death(PyObject *self, PyObject *handler, void *unused)
{
	(void)unused;
	return fpy_set_on_owner_death((Object *)self, handler);
}

PyGetSetDef fpy_on_owner_death[] = {
	{"on_owner_death", get_on_owner_death, set_on_owner_death,
	 "Called with the lock, held, when its last owner died inside. It returns: all is mended.\n"
	 "It raises: nothing is.",
	 NULL},
	{NULL, NULL, NULL, NULL, NULL},
};

/* ---- recover(), reader(), writer() ---- */

typedef struct {
	PyObject_HEAD
	Object *lock;
	const struct hold_call *how;
	patience patience;
	bool died;
} Hold;

PyObject *fpy_hold_new(PyTypeObject *type, Object *lock, const struct hold_call *how, const char *function,
		       PyObject *const *args, Py_ssize_t nargs, PyObject *names)
{
	Hold *self;
	patience p;
	if (fpy_parse_timeout(function, args, nargs, names, &p) < 0)
		return NULL;
	self = PyObject_GC_New(Hold, type);
	if (!self)
		return NULL;
	Py_INCREF(lock);
	self->lock = lock;
	self->how = how;
	self->patience = p;
	self->died = false;
	PyObject_GC_Track(self);
	return (PyObject *)self;
}

static PyObject *refuse_new(PyTypeObject *type, PyObject *args, PyObject *names)
{
	(void)args;
	(void)names;
	return PyErr_Format(PyExc_TypeError, "%s is what recover(), reader() and writer() make", type->tp_name);
}

static int check_lockable(Object *l)
{
	return fpy_check_open(l) < 0 ? -1 : fpy_check_not_repairing(l);
}

static PyObject *hold_enter(PyObject *o, PyObject *unused)
{
	Hold *self = (Hold *)o;
	int r = check_lockable(self->lock);
	(void)unused;
	if (r == 0)
		r = fpy_lock(self->lock, self->how, self->patience);
	if (r < 0)
		return NULL;
	if (r == 0)
		return fpy_raise_of(self->lock, -ETIMEDOUT);
	Py_RETURN_TRUE;
}

static PyObject *hold_exit(PyObject *o, PyObject *const *args, Py_ssize_t nargs)
{
	Hold *self = (Hold *)o;
	return fpy_release(self->lock, self->how->calls, nargs > 0 ? args[0] : Py_None);
}

static PyObject *recovery_enter(PyObject *o, PyObject *unused)
{
	Hold *self = (Hold *)o;
	Object *l = self->lock;
	int r;
	(void)unused;
	if (check_lockable(l) < 0)
		return NULL;
	r = self->how->call(l->object, FIPC_NOW, NULL);
	if (r == -EBUSY && self->patience > 0)
		r = fpy_sleep_in(l, self->how->call, fpy_until(self->patience), NULL);
	if (r != FIPC_OWNER_DIED) {
		if (fpy_admit(l, self->how->calls, r == -EBUSY ? -ETIMEDOUT : r) < 0)
			return NULL;
		Py_RETURN_FALSE;
	}
	self->died = true;
	l->held++;
	l->repairer = PyThread_get_thread_ident();
	Py_RETURN_TRUE;
}

static PyObject *recovery_exit(PyObject *o, PyObject *const *args, Py_ssize_t nargs)
{
	Hold *self = (Hold *)o;
	PyObject *exc = nargs > 0 ? args[0] : Py_None;
	Object *l = self->lock;
	if (!self->died)
		return hold_exit(o, args, nargs);
	if (fpy_check_open(l) < 0)
		return NULL;
	self->died = false;
	l->repairer = 0;
	if (exc == Py_None && say_mended(l, self->how->calls) == 0)
		return hold_exit(o, args, nargs);
	count_release(l);
	if (exc == Py_None)
		return NULL;
	abandon(l, self->how->calls);
	Py_RETURN_NONE;
}

static int hold_traverse(PyObject *o, visitproc visit, void *arg)
{
	Py_VISIT(Py_TYPE(o));
	Py_VISIT(((Hold *)o)->lock);
	return 0;
}

static void hold_dealloc(PyObject *o)
{
	PyTypeObject *type = Py_TYPE(o);
	PyObject_GC_UnTrack(o);
	Py_DECREF(((Hold *)o)->lock);
	type->tp_free(o);
	Py_DECREF(type);
}

static PyMethodDef hold_methods[] = {
	{"__enter__", hold_enter, METH_NOARGS, DOC("__enter__($self, /)", "Have the lock. TimedOut, OwnerDied.")},
	{"__exit__", FASTCALL(hold_exit), METH_FASTCALL, DOC("__exit__($self, kind, exc, trace, /)", "Let go of it.")},
	{NULL, NULL, 0, NULL},
};

static PyMethodDef recovery_methods[] = {
	{"__enter__", recovery_enter, METH_NOARGS,
	 DOC("__enter__($self, /)", "Have the lock. True: its last owner died inside. TimedOut.")},
	{"__exit__", FASTCALL(recovery_exit), METH_FASTCALL,
	 DOC("__exit__($self, kind, exc, trace, /)",
	     "Let go of it: as mended, or, when the block has raised, as it was found.")},
	{NULL, NULL, 0, NULL},
};

static PyType_Slot hold_slots[] = {
	{Py_tp_doc, "A lock, held for the length of a with block."},
	{Py_tp_new, refuse_new},
	{Py_tp_dealloc, hold_dealloc},
	{Py_tp_traverse, hold_traverse},
	{Py_tp_methods, hold_methods},
	{0, NULL},
};

PyType_Spec fpy_hold_spec = {
	.name = "fipc._Hold",
	.basicsize = sizeof(Hold),
	.flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
	.slots = hold_slots,
};

static PyType_Slot recovery_slots[] = {
	{Py_tp_doc, "A lock, held for the length of a with block in which its data are mended if need be."},
	{Py_tp_new, refuse_new},
	{Py_tp_dealloc, hold_dealloc},
	{Py_tp_traverse, hold_traverse},
	{Py_tp_methods, recovery_methods},
	{0, NULL},
};

PyType_Spec fpy_recovery_spec = {
	.name = "fipc._Recovery",
	.basicsize = sizeof(Hold),
	.flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
	.slots = recovery_slots,
};
