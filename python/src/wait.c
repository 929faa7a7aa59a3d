/* SPDX-License-Identifier: Apache-2.0 */
/* wait_any(). */
#include "fipcmodule.h"

#include <errno.h>

struct several {
	struct fipc_waitable what[FIPC_WAIT_MAX];
	unsigned n;
};

static int wait_until(void *unused, fipc_deadline d, void *argument)
{
	const struct several *s = argument;
	(void)unused;
	return fipc_wait_any(s->what, s->n, d);
}

static int kind_of(struct state *state, PyObject *o, enum fipc_kind *ret)
{
	const struct kind *k = PyObject_TypeCheck(o, state->object) ? ((Object *)o)->kind : NULL;
	if (k == &fpy_semaphore_kind)
		*ret = FIPC_KIND_SEM;
	else if (k == &fpy_event_kind)
		*ret = FIPC_KIND_EVENT;
	else if (k == &fpy_mq_kind)
		*ret = FIPC_KIND_MQ;
	else {
		PyErr_Format(PyExc_TypeError, "wait_any() is for Semaphore, Event and MessageQueue, not %s",
			     Py_TYPE(o)->tp_name);
		return -1;
	}
	return 0;
}

static int collect(struct state *state, PyObject *objects, struct several *ret)
{
	Py_ssize_t n = PyTuple_GET_SIZE(objects);
	if (n < 1 || n > FIPC_WAIT_MAX) {
		PyErr_Format(PyExc_ValueError, "wait_any() takes 1 to %d objects, not %zd", FIPC_WAIT_MAX, n);
		return -1;
	}
	for (ret->n = 0; ret->n < n; ret->n++) {
		PyObject *o = PyTuple_GET_ITEM(objects, ret->n);
		struct fipc_waitable *w = &ret->what[ret->n];
		if (kind_of(state, o, &w->kind) < 0 || fpy_check_open((Object *)o) < 0)
			return -1;
		w->object = ((Object *)o)->object;
	}
	return 0;
}

static int sleep_in_all(PyObject *objects, struct several *s, fipc_deadline d)
{
	int r;
	for (unsigned i = 0; i < s->n; i++)
		fpy_enter((Object *)PyTuple_GET_ITEM(objects, i));
	r = fpy_sleep(wait_until, NULL, d, s);
	for (unsigned i = 0; i < s->n; i++)
		fpy_leave((Object *)PyTuple_GET_ITEM(objects, i));
	return r;
}

/* The tuple's members do not change, and live as long as it does. */
static PyObject *wait_for_first(struct state *state, PyObject *objects, patience p)
{
	struct several s;
	int r;
	if (collect(state, objects, &s) < 0)
		return NULL;
	r = wait_until(NULL, FIPC_NOW, &s);
	if (r == -EAGAIN && p > 0)
		r = sleep_in_all(objects, &s, fpy_until(p));
	if (r == -EAGAIN || r == -ETIMEDOUT)
		Py_RETURN_NONE;
	if (r < 0)
		return r == -EINTR ? NULL : fpy_raise(state, r, NULL);
	Py_INCREF(PyTuple_GET_ITEM(objects, r));
	return PyTuple_GET_ITEM(objects, r);
}

PyObject *fpy_wait_any(PyObject *module, PyObject *const *args, Py_ssize_t nargs, PyObject *names)
{
	static const char *const parameters[] = {"objects", "timeout", "timeout_ns"};
	static const struct signature s = {"wait_any", parameters, 2, 3, 1};
	PyObject *given[3], *objects, *r;
	patience p;
	if (fpy_parse(&s, args, nargs, names, given) < 0 || fpy_patience(given[1], given[2], &p) < 0)
		return NULL;
	objects = PySequence_Tuple(given[0]);
	if (!objects)
		return NULL;
	r = wait_for_first(fpy_module_state(module), objects, p);
	Py_DECREF(objects);
	return r;
}
