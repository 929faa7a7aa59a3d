/* SPDX-License-Identifier: Apache-2.0 */
/* AtomicU32, AtomicU64, and Word, which is an AtomicU32 to sleep on. */
#include "fipcmodule.h"

#include <errno.h>

static int nothing_to_do(void *memory, const struct request *q)
{
	(void)memory;
	(void)q;
	return 0; /* zeros are a 0 */
}

#define KIND(type, bytes, flags)                                                                               \
	{                                                                                                      \
		.name = type, .size = bytes, .alignment = bytes, .memory_flags = flags, .attach = nothing_to_do, \
		.init = nothing_to_do,                                                                         \
	}
static const struct kind u32_kind = KIND("AtomicU32", 4, FIPC_READONLY);
static const struct kind u64_kind = KIND("AtomicU64", 8, FIPC_READONLY);
static const struct kind word_kind = KIND("Word", 4, FIPC_READONLY | FIPC_PRIVATE);

static int open_word(PyObject *o, const struct kind *kind, PyObject *args, PyObject *named)
{
	static char *names[] = {"memory", "flags", "offset", NULL};
	PyObject *memory, *flags = NULL, *offset = NULL;
	struct request q = {0};
	if (!PyArg_ParseTupleAndKeywords(args, named, "O|O$O", names, &memory, &flags, &offset) ||
	    fpy_open_flags(flags, NULL, &q) < 0)
		return -1;
	return fpy_open((Object *)o, kind, memory, offset, &q);
}

static int init_u32(PyObject *o, PyObject *args, PyObject *named)
{
	return open_word(o, &u32_kind, args, named);
}

static int init_u64(PyObject *o, PyObject *args, PyObject *named)
{
	return open_word(o, &u64_kind, args, named);
}

static int init_word(PyObject *o, PyObject *args, PyObject *named)
{
	return open_word(o, &word_kind, args, named);
}

/* ---- values ---- */

static bool is_wide(const Object *self)
{
	return self->kind == &u64_kind;
}

/* Modulo 2 ** 64, so that -1 can be added. */
static int number_of(PyObject *value, uint64_t *ret)
{
	PyObject *number = PyNumber_Index(value);
	if (!number)
		return -1;
	*ret = PyLong_AsUnsignedLongLongMask(number);
	Py_DECREF(number);
	return *ret == UINT64_MAX && PyErr_Occurred() ? -1 : 0;
}

static int check_writable(Object *self)
{
	if (fpy_check_open(self) < 0)
		return -1;
	if (!(self->flags & FIPC_READONLY))
		return 0;
	fpy_raise_of(self, -EACCES);
	return -1;
}

static uint64_t value_of(const Object *self)
{
	return is_wide(self) ? fipc_u64_load(self->object) : fipc_word_load(self->object);
}

static PyObject *load(PyObject *o, PyObject *unused)
{
	Object *self = (Object *)o;
	(void)unused;
	return fpy_check_open(self) < 0 ? NULL : PyLong_FromUnsignedLongLong(value_of(self));
}

static int set_value(Object *self, PyObject *value)
{
	uint64_t v;
	/* The value first: its __index__ may close us. */
	if (number_of(value, &v) < 0 || check_writable(self) < 0)
		return -1;
	if (is_wide(self))
		fipc_u64_store(self->object, v);
	else
		fipc_word_store(self->object, (uint32_t)v);
	return 0;
}

static PyObject *store(PyObject *self, PyObject *value)
{
	if (set_value((Object *)self, value) < 0)
		return NULL;
	Py_RETURN_NONE;
}

/* exchange and fetch_*: what was there before. seq_cst: in Python nobody counts nanoseconds of an atomic. */
#define CHANGE(name, atomic_of, by_default)                                                                          \
	static PyObject *name(PyObject *o, PyObject *const *args, Py_ssize_t nargs)                                  \
	{                                                                                                            \
		Object *self = (Object *)o;                                                                          \
		uint64_t v;                                                                                          \
		if (operand(#name, args, nargs, by_default, &v) < 0 || check_writable(self) < 0)                     \
			return NULL;                                                                                 \
		v = is_wide(self) ? atomic_of((uint64_t *)self->object, v, __ATOMIC_SEQ_CST)                         \
				  : atomic_of((uint32_t *)self->object, (uint32_t)v, __ATOMIC_SEQ_CST);              \
		return PyLong_FromUnsignedLongLong(v);                                                               \
	}

/* The only argument of such a function; by_default: 1 stands for one that was not given, else it must be. */
static int operand(const char *function, PyObject *const *args, Py_ssize_t nargs, bool by_default, uint64_t *ret)
{
	if (nargs == 1)
		return number_of(args[0], ret);
	*ret = 1;
	if (nargs == 0 && by_default)
		return 0;
	PyErr_Format(PyExc_TypeError, "%s() takes one argument (%zd given)", function, nargs);
	return -1;
}

CHANGE(exchange, __atomic_exchange_n, false)
CHANGE(fetch_add, __atomic_fetch_add, true)
CHANGE(fetch_sub, __atomic_fetch_sub, true)
CHANGE(fetch_and, __atomic_fetch_and, false)
CHANGE(fetch_or, __atomic_fetch_or, false)
CHANGE(fetch_xor, __atomic_fetch_xor, false)

static int compare_and_swap(const Object *self, uint64_t expected, uint64_t desired)
{
	uint32_t narrow = (uint32_t)expected;
	return is_wide(self) ? fipc_u64_cas(self->object, &expected, desired)
			     : fipc_word_cas(self->object, &narrow, (uint32_t)desired);
}

static PyObject *compare_exchange(PyObject *o, PyObject *const *args, Py_ssize_t nargs)
{
	Object *self = (Object *)o;
	uint64_t expected, desired;
	if (nargs != 2)
		return PyErr_Format(PyExc_TypeError, "compare_exchange() takes two arguments (%zd given)", nargs);
	if (number_of(args[0], &expected) < 0 || number_of(args[1], &desired) < 0 || check_writable(self) < 0)
		return NULL;
	return PyBool_FromLong(compare_and_swap(self, expected, desired));
}

static PyObject *get_value(PyObject *self, void *unused)
{
	(void)unused;
	return load(self, NULL);
}

static int set_value_attribute(PyObject *self, PyObject *value, void *unused)
{
	(void)unused;
	if (value)
		return set_value((Object *)self, value);
	PyErr_SetString(PyExc_TypeError, "value can't be deleted");
	return -1;
}

/* ---- Word ---- */

static int scope(const Object *self)
{
	return (int)(self->flags & FIPC_PRIVATE);
}

struct waiting {
	uint32_t expected;
	int flags;
};

static int wait_until(void *w, fipc_deadline d, void *argument)
{
	const struct waiting *a = argument;
	return fipc_word_wait(w, a->expected, d, a->flags);
}

static PyObject *wait_for_change(Object *self, uint32_t expected, patience p)
{
	struct waiting a = {expected, scope(self)};
	int r;
	if (value_of(self) != expected)
		Py_RETURN_TRUE;
	if (p == 0)
		Py_RETURN_FALSE;
	r = fpy_sleep_in(self, wait_until, fpy_until(p), &a);
	if (r == -EINTR)
		return NULL;
	if (r < 0 && r != -ETIMEDOUT && r != -EAGAIN)
		return fpy_raise_of(self, r);
	return PyBool_FromLong(r != -ETIMEDOUT);
}

static PyObject *word_wait(PyObject *o, PyObject *const *args, Py_ssize_t nargs, PyObject *names)
{
	static const char *const parameters[] = {"expected", "timeout", "timeout_ns"};
	static const struct signature s = {"wait", parameters, 2, 3, 1};
	Object *self = (Object *)o;
	PyObject *given[3];
	uint64_t expected;
	patience p;
	if (fpy_parse(&s, args, nargs, names, given) < 0 || number_of(given[0], &expected) < 0 ||
	    fpy_patience(given[1], given[2], &p) < 0 || fpy_check_open(self) < 0)
		return NULL;
	return wait_for_change(self, (uint32_t)expected, p);
}

static PyObject *wake_up_to(Object *self, unsigned n)
{
	int r;
	if (fpy_check_open(self) < 0)
		return NULL;
	r = fipc_word_wake(self->object, n, scope(self));
	return r < 0 ? fpy_raise_of(self, r) : PyLong_FromLong(r);
}

static PyObject *wake(PyObject *o, PyObject *const *args, Py_ssize_t nargs, PyObject *names)
{
	static const char *const parameters[] = {"n"};
	static const struct signature s = {"wake", parameters, 1, 1, 0};
	PyObject *given;
	unsigned long long n = 1;
	if (fpy_parse(&s, args, nargs, names, &given) < 0 || fpy_unsigned(given, "n", UINT_MAX, &n) < 0)
		return NULL;
	return wake_up_to((Object *)o, (unsigned)n);
}

static PyObject *wake_all(PyObject *self, PyObject *unused)
{
	(void)unused;
	return wake_up_to((Object *)self, UINT_MAX);
}

/* ---- the types ---- */

static PyMethodDef methods[] = {
	{"load", load, METH_NOARGS, DOC("load($self, /)", "Its value; acquire.")},
	{"store", store, METH_O, DOC("store($self, value, /)", "Set it; release.")},
	{"exchange", FASTCALL(exchange), METH_FASTCALL,
	 DOC("exchange($self, value, /)", "Set it, and return what was there before.")},
	{"fetch_add", FASTCALL(fetch_add), METH_FASTCALL,
	 DOC("fetch_add($self, value=1, /)", "Add to it, and return what was there before.")},
	{"fetch_sub", FASTCALL(fetch_sub), METH_FASTCALL,
	 DOC("fetch_sub($self, value=1, /)", "Subtract from it, and return what was there before.")},
	{"fetch_and", FASTCALL(fetch_and), METH_FASTCALL,
	 DOC("fetch_and($self, value, /)", "Keep these bits, and return what was there before.")},
	{"fetch_or", FASTCALL(fetch_or), METH_FASTCALL,
	 DOC("fetch_or($self, value, /)", "Set these bits, and return what was there before.")},
	{"fetch_xor", FASTCALL(fetch_xor), METH_FASTCALL,
	 DOC("fetch_xor($self, value, /)", "Turn these bits over, and return what was there before.")},
	{"compare_exchange", FASTCALL(compare_exchange), METH_FASTCALL,
	 DOC("compare_exchange($self, expected, desired, /)",
	     "If it is expected, set it to desired, and return True; else False.")},
	{NULL, NULL, 0, NULL},
};

static PyMethodDef word_methods[] = {
	{"wait", FASTCALL(word_wait), METH_FAST,
	 DOC("wait($self, /, expected, timeout=None, *, timeout_ns=None)",
	     "Sleep while its value is expected. True: woken, perhaps for no reason, or the value\n"
	     "is another: look again. False: the time is over.")},
	{"wake", FASTCALL(wake), METH_FAST,
	 DOC("wake($self, /, n=1)", "Wake up to n who sleep; returns how many were woken.")},
	{"wake_all", wake_all, METH_NOARGS, DOC("wake_all($self, /)", "Wake all who sleep; returns how many.")},
	{NULL, NULL, 0, NULL},
};

static PyGetSetDef attributes[] = {
	{"value", get_value, set_value_attribute, "load() and store().", NULL},
	{NULL, NULL, NULL, NULL, NULL},
};

#define MEMORY_DOC                                                                               \
	"memory: a writable C-contiguous buffer, as a bytearray, a mmap, a SharedMemory; there it\n" \
	"takes SIZE bytes, from the offset on, which is a multiple of that. Zeroed memory is a 0.\n" \
	"flags: READONLY, for memory that can only be read"

static PyType_Slot u32_slots[] = {
	{Py_tp_doc, DOC("AtomicU32(memory, flags=0, *, offset=0)",
			"32 bits in shared memory, changed in one step. Values are taken modulo 2 ** 32.\n\n"
			MEMORY_DOC ".")},
	{Py_tp_init, init_u32},
	{Py_tp_methods, methods},
	{Py_tp_getset, attributes},
	{0, NULL},
};

static PyType_Slot u64_slots[] = {
	{Py_tp_doc, DOC("AtomicU64(memory, flags=0, *, offset=0)",
			"64 bits in shared memory, changed in one step. Values are taken modulo 2 ** 64.\n\n"
			MEMORY_DOC ".")},
	{Py_tp_init, init_u64},
	{Py_tp_methods, methods},
	{Py_tp_getset, attributes},
	{0, NULL},
};

static PyType_Slot word_slots[] = {
	{Py_tp_doc,
	 DOC("Word(memory, flags=0, *, offset=0)",
	     "A futex: an AtomicU32 that threads of any number of processes sleep on, until its value changes.\n\n"
	     "    while word.load() == 0:\n"
	     "        word.wait(0, timeout=5)         # and somebody else: word.store(1); word.wake()\n\n"
	     "It knows no owner, and a sleeper that is woken and then killed takes the wake-up with\n"
	     "it: Mutex, Semaphore and Event do better.\n\n" MEMORY_DOC ";\nPRIVATE, when only threads of this process use it.")},
	{Py_tp_init, init_word},
	{Py_tp_methods, word_methods},
	{0, NULL},
};

PyType_Spec fpy_u32_spec = TYPE_SPEC("fipc.AtomicU32", Object, u32_slots);
PyType_Spec fpy_u64_spec = TYPE_SPEC("fipc.AtomicU64", Object, u64_slots);
PyType_Spec fpy_word_spec = TYPE_SPEC("fipc.Word", Object, word_slots);
