/* SPDX-License-Identifier: Apache-2.0 */
/* What functions are called with. By hand, for the locks' sake: PyArg_Parse takes longer than a lock and its unlock. */
#include "fipcmodule.h"

#include <math.h>

#define NS_PER_S 1e9

static int find_name(const struct signature *s, PyObject *name)
{
	for (int i = 0; i < s->total; i++)
		if (PyUnicode_CompareWithASCIIString(name, s->names[i]) == 0)
			return i;
	PyErr_Format(PyExc_TypeError, "%s() got an unexpected keyword argument '%U'", s->function, name);
	return -1;
}

static int parse_named(const struct signature *s, PyObject *const *values, PyObject *names, PyObject **ret)
{
	for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(names); i++) {
		int at = find_name(s, PyTuple_GET_ITEM(names, i));
		if (at < 0)
			return -1;
		if (ret[at]) {
			PyErr_Format(PyExc_TypeError, "%s() got multiple values for argument '%s'", s->function,
				     s->names[at]);
			return -1;
		}
		ret[at] = values[i];
	}
	return 0;
}

int fpy_parse(const struct signature *s, PyObject *const *args, Py_ssize_t nargs, PyObject *names, PyObject **ret)
{
	if (nargs > s->positional) {
		PyErr_Format(PyExc_TypeError, "%s() takes at most %d positional arguments (%zd given)", s->function,
			     s->positional, nargs);
		return -1;
	}
	for (Py_ssize_t i = 0; i < s->total; i++)
		ret[i] = i < nargs ? args[i] : NULL;
	if (names && parse_named(s, args + nargs, names, ret) < 0)
		return -1;
	for (int i = 0; i < s->required; i++) {
		if (!ret[i]) {
			PyErr_Format(PyExc_TypeError, "%s() missing required argument '%s'", s->function, s->names[i]);
			return -1;
		}
	}
	return 0;
}

static bool given(PyObject *value)
{
	return value && value != Py_None;
}

static int negative(const char *what)
{
	PyErr_Format(PyExc_ValueError, "%s must not be negative; None waits for ever", what);
	return -1;
}

static int from_seconds(PyObject *timeout, patience *ret)
{
	double seconds = PyFloat_AsDouble(timeout);
	if (seconds == -1.0 && PyErr_Occurred())
		return -1;
	if (isnan(seconds)) {
		PyErr_SetString(PyExc_ValueError, "timeout is NaN, not a number of seconds");
		return -1;
	}
	if (seconds < 0)
		return negative("timeout");
	/* Not a moment too early. What does not fit, 292 years, is for ever. */
	*ret = seconds * NS_PER_S >= 0x1p63 ? FIPC_FOREVER : (patience)ceil(seconds * NS_PER_S);
	return 0;
}

static int from_ns(PyObject *timeout_ns, patience *ret)
{
	int overflow;
	PyObject *number = PyNumber_Index(timeout_ns);
	long long ns = number ? PyLong_AsLongLongAndOverflow(number, &overflow) : -1;
	Py_XDECREF(number);
	if (!number)
		return -1;
	if (overflow < 0 || (overflow == 0 && ns < 0))
		return negative("timeout_ns");
	*ret = overflow > 0 ? FIPC_FOREVER : ns;
	return 0;
}

int fpy_patience(PyObject *timeout, PyObject *timeout_ns, patience *ret)
{
	if (given(timeout) && given(timeout_ns)) {
		PyErr_SetString(PyExc_TypeError, "timeout and timeout_ns at once: one of them will do");
		return -1;
	}
	if (given(timeout))
		return from_seconds(timeout, ret);
	if (given(timeout_ns))
		return from_ns(timeout_ns, ret);
	*ret = FIPC_FOREVER;
	return 0;
}

int fpy_patience_to_block(PyObject *block, PyObject *timeout, PyObject *timeout_ns, patience *ret)
{
	int blocks = block ? PyObject_IsTrue(block) : 1;
	if (blocks < 0 || fpy_patience(timeout, timeout_ns, ret) < 0)
		return -1;
	if (blocks)
		return 0;
	if (given(timeout) || given(timeout_ns)) {
		PyErr_SetString(PyExc_ValueError, "a timeout for a call that is not to block");
		return -1;
	}
	*ret = 0;
	return 0;
}

int fpy_parse_acquire(const char *function, PyObject *const *args, Py_ssize_t nargs, PyObject *names, patience *ret)
{
	static const char *const parameters[] = {"block", "timeout", "timeout_ns"};
	const struct signature s = {function, parameters, 2, 3, 0};
	PyObject *given[3];
	if (nargs == 0 && !names) {
		*ret = FIPC_FOREVER;
		return 0;
	}
	if (fpy_parse(&s, args, nargs, names, given) < 0)
		return -1;
	return fpy_patience_to_block(given[0], given[1], given[2], ret);
}

int fpy_parse_timeout(const char *function, PyObject *const *args, Py_ssize_t nargs, PyObject *names, patience *ret)
{
	static const char *const parameters[] = {"timeout", "timeout_ns"};
	const struct signature s = {function, parameters, 1, 2, 0};
	PyObject *given[2];
	if (fpy_parse(&s, args, nargs, names, given) < 0)
		return -1;
	return fpy_patience(given[0], given[1], ret);
}

int fpy_unsigned(PyObject *value, const char *what, unsigned long long max, unsigned long long *ret)
{
	PyObject *number;
	unsigned long long n;
	if (!value)
		return 0;
	number = PyNumber_Index(value);
	if (!number)
		return -1;
	n = PyLong_AsUnsignedLongLong(number);
	Py_DECREF(number);
	if (n == (unsigned long long)-1 && PyErr_Occurred()) {
		if (!PyErr_ExceptionMatches(PyExc_OverflowError))
			return -1;
	} else if (n <= max) {
		*ret = n;
		return 0;
	}
	PyErr_Format(PyExc_ValueError, "%s must be 0 to %llu, not %R", what, max, value);
	return -1;
}
