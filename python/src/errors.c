/* SPDX-License-Identifier: Apache-2.0 */
/* Which exception an errno becomes, and its words. */
#include "fipcmodule.h"

#include <errno.h>
#include <string.h>

static const struct {
	const char *name, *doc;
	PyObject **builtin; /* a base besides Error */
} classes[ERROR_CLASSES] = {
	[ERROR] = {"Error", "What fipc could not do; errno says why. Its subclasses are what programs handle.", NULL},
	[OWNER_DIED] = {"OwnerDied",
			"The last owner of the lock died inside, and nobody has mended yet what it protects.\n\n"
			"The lock is NOT held. Every acquire raises this until somebody mends:\n"
			"    with lock.recover() as died: ...\n"
			"or until on_owner_death= does. See help(fipc.Mutex).",
			NULL},
	[NOT_RECOVERABLE] = {"NotRecoverable",
			     "Nobody gets the lock again: it was revoked, or somebody gave up mending it.\n\n"
			     "Make it anew: Mutex(name, CREATE | REPLACE).",
			     NULL},
	[DEADLOCK] = {"Deadlock", "This thread holds the lock already: it would wait for itself.", NULL},
	[NOT_OWNER] = {"NotOwner", "This thread does not hold the lock (tokens of OWNED: this process).",
		       &PyExc_PermissionError},
	[ACCESS_DENIED] = {"AccessDenied",
			   "No permission: the object's mode, its owner (see ANY_OWNER), or it is opened READONLY.",
			   &PyExc_PermissionError},
	[NOT_FOUND] = {"NotFound", "There is no object of this name.", &PyExc_FileNotFoundError},
	[EXISTS] = {"Exists", "There is an object of this name, and EXCL was given.", &PyExc_FileExistsError},
	[TIMED_OUT] = {"TimedOut", "The time is over. (Calls that return a bool return False instead.)",
		       &PyExc_TimeoutError},
	[WOULD_BLOCK] = {"WouldBlock", "The queue is full, or empty, and the call was not to block.",
			 &PyExc_BlockingIOError},
	[BUSY] = {"Busy", "A thread is inside it, or holds it; of notify(): somebody is registered.", NULL},
	[INVALID] = {"Invalid", "A name, flag or mode that is none, or what is there is something else.",
		     &PyExc_ValueError},
	[TOO_LONG] = {"TooLong", "A message of more than max_message_size bytes.", &PyExc_ValueError},
	[TOO_MANY] = {"TooMany", "More tokens than a semaphore can count.", &PyExc_OverflowError},
	[CORRUPT] = {"Corrupt", "The queue's memory was overwritten.", NULL},
};

static const struct {
	int number;
	enum error_class class;
	const char *text; /* NULL: what strerror says */
} meanings[] = {
	{EOWNERDEAD, OWNER_DIED, "its last owner died inside, and what it protects is not mended: see recover()"},
	{ENOTRECOVERABLE, NOT_RECOVERABLE, "nobody gets it again: make it anew, with CREATE | REPLACE"},
	{EDEADLK, DEADLOCK, "this thread holds it already"},
	{EPERM, NOT_OWNER, "this thread does not hold it"},
	{EACCES, ACCESS_DENIED, NULL},
	{ENOENT, NOT_FOUND, NULL},
	{EEXIST, EXISTS, NULL},
	{ETIMEDOUT, TIMED_OUT, "the time is over"},
	{EBUSY, BUSY, "a thread is inside it, or holds it"},
	{EINVAL, INVALID, "it was destroyed, or its memory overwritten"},
	{EMSGSIZE, TOO_LONG, "the message is longer than max_message_size"},
	{EOVERFLOW, TOO_MANY, "too many tokens"},
	{EBADMSG, CORRUPT, "its memory was overwritten: make it anew, with CREATE | REPLACE"},
	{EXDEV, ERROR, "it was made in another PID namespace"},
	{ENOTSUP, ERROR, "it was made by an incompatible version of fipc"},
};

static PyObject *make_class(PyObject *error, int i)
{
	char name[64];
	PyObject *bases, *class;
	snprintf(name, sizeof(name), "fipc.%s", classes[i].name);
	if (!error)
		return PyErr_NewExceptionWithDoc(name, classes[i].doc, PyExc_OSError, NULL);
	if (!classes[i].builtin)
		return PyErr_NewExceptionWithDoc(name, classes[i].doc, error, NULL);
	bases = PyTuple_Pack(2, error, *classes[i].builtin);
	class = bases ? PyErr_NewExceptionWithDoc(name, classes[i].doc, bases, NULL) : NULL;
	Py_XDECREF(bases);
	return class;
}

int fpy_errors_add(PyObject *module, struct state *state)
{
	for (int i = 0; i < ERROR_CLASSES; i++) {
		state->errors[i] = make_class(state->errors[ERROR], i);
		if (!state->errors[i] || PyObject_SetAttrString(module, classes[i].name, state->errors[i]) < 0)
			return -1;
	}
	return 0;
}

static void raise_as(struct state *state, enum error_class i, int number, const char *text, PyObject *name)
{
	PyObject *class = state->errors[i] ? state->errors[i] : PyExc_OSError; /* the module may have been cleared */
	PyObject *args = name ? Py_BuildValue("(isO)", number, text, name) : Py_BuildValue("(is)", number, text);
	if (args)
		PyErr_SetObject(class, args);
	Py_XDECREF(args);
}

PyObject *fpy_raise(struct state *state, int r, PyObject *name)
{
	int number = -r;
	for (size_t i = 0; i < Py_ARRAY_LENGTH(meanings); i++) {
		if (meanings[i].number != number)
			continue;
		raise_as(state, meanings[i].class, number,
			 meanings[i].text ? meanings[i].text : strerror(number), name);
		return NULL;
	}
	raise_as(state, ERROR, number, strerror(number), name);
	return NULL;
}

PyObject *fpy_raise_would_block(struct state *state, PyObject *name)
{
	raise_as(state, WOULD_BLOCK, EAGAIN, "it is full, or empty, and this was not to wait", name);
	return NULL;
}

PyObject *fpy_raise_open(struct state *state, int r, PyObject *name, const char *kind)
{
	char text[200];
	switch (r) {
	case -EPERM:
		raise_as(state, ACCESS_DENIED, EPERM,
			 "another user's: of an object see ANY_OWNER, of the directory FIPC_DIR", name);
		return NULL;
	case -EINVAL:
		snprintf(text, sizeof(text), "a bad name, flag, mode or size, or what is there is no %s", kind);
		raise_as(state, INVALID, EINVAL, text, name);
		return NULL;
	case -EBUSY:
		raise_as(state, BUSY, EBUSY, "a process keeps it locked against opening and closing", name);
		return NULL;
	default:
		return fpy_raise(state, r, name);
	}
}
