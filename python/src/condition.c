/* SPDX-License-Identifier: Apache-2.0 */
/* Condition. */
#include "fipcmodule.h"

#include <errno.h>

SMALL_KIND(fpy_condition_kind, cond, "Condition", FIPC_PRIVATE | FIPC_REPLACE, NULL, q->flags);

static int init_condition(PyObject *o, PyObject *args, PyObject *named)
{
	return fpy_open_plain((Object *)o, &fpy_condition_kind, args, named);
}

/* ---- wait ---- */

static int check_mutex(Object *self, PyObject *mutex)
{
	if (PyObject_TypeCheck(mutex, self->state->mutex))
		return fpy_check_open((Object *)mutex) < 0 ? -1 : fpy_check_not_repairing((Object *)mutex);
	PyErr_Format(PyExc_TypeError, "wait() needs the fipc.Mutex that this thread holds, not %s",
		     Py_TYPE(mutex)->tp_name);
	return -1;
}

static int sleep_without_gil(Object *self, Object *mutex, fipc_deadline d)
{
	int r, old;
	fpy_enter(self);
	fpy_enter(mutex);
	Py_BEGIN_ALLOW_THREADS
	old = fipc_set_interruptible(1);
	r = fipc_cond_wait_until(self->object, mutex->object, d);
	fipc_set_interruptible(old);
	Py_END_ALLOW_THREADS
	fpy_leave(mutex);
	fpy_leave(self);
	return r;
}

/* Is the mutex held, with nobody's death to be told of? */
static bool is_held(int r)
{
	return r == 0 || r == -ETIMEDOUT || r == -EINTR;
}

/*
 * 1: notified, or for no reason; 0: the time is over; -1 and an exception. After a signal's handler it does not sleep
 * again: while the mutex was not held what is waited for may have come, and its notice was not for one who is awake.
 */
static int wait_until(Object *self, Object *mutex, fipc_deadline d)
{
	int r = sleep_without_gil(self, mutex, d);
	if (r == -EPERM) { /* it was not held before */
		fpy_raise_of(mutex, r);
		return -1;
	}
	if (!is_held(r))
		return fpy_mutex_readmit(mutex, r) < 0 ? -1 : 1;
	if (r == -EINTR && PyErr_CheckSignals() < 0)
		return -1;
	return r != -ETIMEDOUT;
}

static PyObject *wait_once(PyObject *o, PyObject *const *args, Py_ssize_t nargs, PyObject *names)
{
	static const char *const parameters[] = {"mutex", "timeout", "timeout_ns"};
	static const struct signature s = {"wait", parameters, 2, 3, 1};
	Object *self = (Object *)o;
	PyObject *given[3];
	patience p;
	int r;
	if (fpy_parse(&s, args, nargs, names, given) < 0 || fpy_patience(given[1], given[2], &p) < 0 ||
	    fpy_check_open(self) < 0 || check_mutex(self, given[0]) < 0)
		return NULL;
	r = wait_until(self, (Object *)given[0], fpy_until(p));
	return r < 0 ? NULL : PyBool_FromLong(r);
}

static PyObject *wait_for(PyObject *o, PyObject *const *args, Py_ssize_t nargs, PyObject *names)
{
	static const char *const parameters[] = {"mutex", "predicate", "timeout", "timeout_ns"};
	static const struct signature s = {"wait_for", parameters, 3, 4, 2};
	Object *self = (Object *)o;
	PyObject *given[4], *value;
	fipc_deadline d;
	patience p;
	int done, waited = 1;
	if (fpy_parse(&s, args, nargs, names, given) < 0 || fpy_patience(given[2], given[3], &p) < 0)
		return NULL;
	d = fpy_until(p);
	for (;;) {
		value = PyObject_CallNoArgs(given[1]);
		done = value ? PyObject_IsTrue(value) : -1;
		if (done < 0)
			break;
		if (done || !waited)
			return value;
		Py_CLEAR(value);
		/* Each time: the predicate may have closed them. */
		if (fpy_check_open(self) < 0 || check_mutex(self, given[0]) < 0)
			break;
		waited = wait_until(self, (Object *)given[0], d);
		if (waited < 0)
			break;
	}
	Py_XDECREF(value);
	return NULL;
}

/* ---- notify ---- */

static int notify_some(Object *self, unsigned long long n)
{
	struct fipc_cond_info i;
	int r = fipc_cond_info(self->object, &i, sizeof(i));
	if (r == 0 && n > i.waiters)
		return fipc_cond_broadcast(self->object);
	for (; r == 0 && n > 0; n--)
		r = fipc_cond_signal(self->object);
	return r;
}

static PyObject *notify(PyObject *o, PyObject *const *args, Py_ssize_t nargs, PyObject *names)
{
	static const char *const parameters[] = {"n"};
	static const struct signature s = {"notify", parameters, 1, 1, 0};
	Object *self = (Object *)o;
	unsigned long long n = 1;
	PyObject *given;
	if (fpy_parse(&s, args, nargs, names, &given) < 0 || fpy_unsigned(given, "n", ULLONG_MAX, &n) < 0 ||
	    fpy_check_open(self) < 0)
		return NULL;
	return fpy_none_or_raise(self, n == 1 ? fipc_cond_signal(self->object) : notify_some(self, n));
}

static PyObject *notify_all(PyObject *o, PyObject *unused)
{
	Object *self = (Object *)o;
	(void)unused;
	return fpy_check_open(self) < 0 ? NULL : fpy_none_or_raise(self, fipc_cond_broadcast(self->object));
}

static PyObject *info(PyObject *o, PyObject *unused)
{
	Object *self = (Object *)o;
	struct fipc_cond_info i;
	(void)unused;
	if (!LOOK(self, fipc_cond_info, &i))
		return NULL;
	return fpy_info(self->state->infos[CONDITION_INFO], Py_BuildValue("(II)", i.waiters, i.signals));
}

static PyStructSequence_Field fields[] = {
	{"waiters", "threads asleep on it"},
	{"signals", "notices that may have found somebody waiting; modulo 2 ** 32"},
	{NULL, NULL},
};

PyStructSequence_Desc fpy_condition_info = {"fipc.ConditionInfo", "What Condition.info() saw: words that change.",
					    fields, 2};

static PyMethodDef methods[] = {
	{"wait", FASTCALL(wait_once), METH_FAST,
	 DOC("wait($self, /, mutex, timeout=None, *, timeout_ns=None)",
	     "Let go of mutex, which this thread holds, sleep, and have it again: the timeout is\n"
	     "not for that.\n\n"
	     "True: notified, or for no reason, as after a signal's handler: look again. False:\n"
	     "the time is over. The mutex is held, then, and also when a handler raises. It is not\n"
	     "when it says OwnerDied (who had it meanwhile died inside; its on_owner_death is\n"
	     "heeded) or NotRecoverable. NotOwner: it was not held.")},
	{"wait_for", FASTCALL(wait_for), METH_FAST,
	 DOC("wait_for($self, /, mutex, predicate, timeout=None, *, timeout_ns=None)",
	     "wait() until predicate() is true; returns what it gave last, which is false only\n"
	     "when the time is over.")},
	{"notify", FASTCALL(notify), METH_FAST,
	 DOC("notify($self, /, n=1)",
	     "Wake up to n of those who wait. Who changes what they wait for holds the mutex for\n"
	     "that.")},
	{"notify_all", notify_all, METH_NOARGS, DOC("notify_all($self, /)", "Wake all who wait.")},
	INFO_METHOD("a ConditionInfo"),
	UNLINK_METHOD,
	DESTROY_METHOD,
	CLOSING_ENTER_METHOD,
	CLOSING_EXIT_METHOD,
	{NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
	{Py_tp_doc,
	 DOC("Condition(target, flags=0, mode=0o600, *, offset=0)",
	     "Threads of any number of processes that hold a Mutex, and find that something is not\n"
	     "yet so, sleep until another one says that it may have changed.\n\n"
	     "    with mutex:\n"
	     "        if not filled.wait_for(mutex, lambda: shared[0] > 0, timeout=5):\n"
	     "            raise TimeoutError\n"
	     "        ...                     # and who fills it, with the mutex held: filled.notify()\n\n"
	     "All who wait on it use the same mutex. A notice is not lost, whoever is killed.\n"
	     "target, mode: see help(fipc.Mutex). flags: of a name CREATE, EXCL, REPLACE, PERSIST,\n"
	     "READONLY, ANY_OWNER; of memory PRIVATE, REPLACE. A with block closes it: unlike\n"
	     "threading.Condition it has no lock of its own.")},
	{Py_tp_init, init_condition},
	{Py_tp_methods, methods},
	{0, NULL},
};

PyType_Spec fpy_condition_spec = TYPE_SPEC("fipc.Condition", Object, slots);
