/* SPDX-License-Identifier: Apache-2.0 */
/* fipc._fipc: what is in it. */
#include "fipcmodule.h"

static PyModuleDef definition;

struct state *fpy_module_state(PyObject *module)
{
	return PyModule_GetState(module);
}

PyTypeObject *fpy_own_type(PyTypeObject *type)
{
	PyObject *mro = type->tp_mro;
	for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(mro); i++) {
		PyTypeObject *t = (PyTypeObject *)PyTuple_GET_ITEM(mro, i);
		PyObject *module = PyType_HasFeature(t, Py_TPFLAGS_HEAPTYPE) ? PyType_GetModule(t) : NULL;
		if (module && PyModule_GetDef(module) == &definition)
			return t;
		PyErr_Clear(); /* a class of somebody else's has no module in C */
	}
	return NULL;
}

/* ---- functions ---- */

#define UNLINK(type)                                                              \
	static PyObject *unlink_##type(PyObject *module, PyObject *name)          \
	{                                                                         \
		return fpy_unlink_by_name(module, name, &fpy_##type##_kind);      \
	}
UNLINK(mutex)
UNLINK(rwlock)
UNLINK(semaphore)
UNLINK(event)
UNLINK(condition)
UNLINK(shm)
UNLINK(mq)

#define UNLINK_FUNCTION(type, what)          \
	{"unlink_" type, what, METH_O,       \
	 DOC("unlink_" type "(name, /)", "Take the name away, without opening it. NotFound, AccessDenied.")}

static PyMethodDef functions[] = {
	{"wait_any", FASTCALL(fpy_wait_any), METH_FAST,
	 DOC("wait_any(objects, timeout=None, *, timeout_ns=None)",
	     "Wait for the first of several: Semaphore, Event, MessageQueue, 128 at most. Returns\n"
	     "the one that was ready, None if the time is over. Of a Semaphore a token was taken;\n"
	     "an AUTORESET Event is clear now; a MessageQueue has a message, which is not\n"
	     "received. If several are ready it is the first.\n\n"
	     "    if fipc.wait_any([stop, work], timeout=1) is work: ...")},
	UNLINK_FUNCTION("mutex", unlink_mutex),
	UNLINK_FUNCTION("rwlock", unlink_rwlock),
	UNLINK_FUNCTION("semaphore", unlink_semaphore),
	UNLINK_FUNCTION("event", unlink_event),
	UNLINK_FUNCTION("condition", unlink_condition),
	UNLINK_FUNCTION("shared_memory", unlink_shm),
	UNLINK_FUNCTION("message_queue", unlink_mq),
	{"IGNORE_DEATH", fpy_ignore_death, METH_O,
	 DOC("IGNORE_DEATH(lock, /)", "For on_owner_death=: what a dead owner has left needs no mending.")},
	{"_reopen", fpy_reopen, METH_VARARGS, DOC("_reopen(type, name, flags, on_owner_death, /)",
	     "What a pickle calls.")},
	{"_end", fpy_mq_end, METH_NOARGS, DOC("_end()", "At exit: callbacks of MessageQueue.notify() are dropped.")},
	{NULL, NULL, 0, NULL},
};

/* ---- constants ---- */

static const struct {
	const char *name;
	long value;
} constants[] = {
	{"CREATE", FIPC_CREATE},	 {"EXCL", FIPC_EXCL},
	{"REPLACE", FIPC_REPLACE},	 {"PERSIST", FIPC_PERSIST},
	{"READONLY", FIPC_READONLY},	 {"TRUNC", FIPC_TRUNC},
	{"ANY_OWNER", FIPC_ANY_OWNER},	 {"TIMESTAMPS", FIPC_TIMESTAMPS},
	{"AUTORESET", FIPC_AUTORESET},	 {"OWNED", FIPC_OWNED},
	{"PRIVATE", FIPC_PRIVATE},	 {"READERS_MAX", FIPC_RWLOCK_READERS_MAX},
	{"WAIT_MAX", FIPC_WAIT_MAX},
};

static int add_constants(PyObject *module)
{
	for (size_t i = 0; i < Py_ARRAY_LENGTH(constants); i++)
		if (PyModule_AddIntConstant(module, constants[i].name, constants[i].value) < 0)
			return -1;
	return 0;
}

/* ---- types ---- */

static const struct {
	PyStructSequence_Desc *description;
	enum info_class class;
} infos[] = {
	{&fpy_mutex_info, MUTEX_INFO},
	{&fpy_rwlock_info, RWLOCK_INFO},
	{&fpy_semaphore_info, SEMAPHORE_INFO},
	{&fpy_event_info, EVENT_INFO},
	{&fpy_condition_info, CONDITION_INFO},
	{&fpy_shm_info, SHARED_MEMORY_INFO},
	{&fpy_mq_info, MESSAGE_QUEUE_INFO},
};

static int add_infos(PyObject *module, struct state *state)
{
	for (size_t i = 0; i < Py_ARRAY_LENGTH(infos); i++) {
		PyTypeObject *type = PyStructSequence_NewType(infos[i].description);
		if (!type || PyModule_AddType(module, type) < 0)
			return -1;
		state->infos[infos[i].class] = type;
	}
	return 0;
}

static PyTypeObject *add_type(PyObject *module, PyType_Spec *spec, PyTypeObject *base)
{
	PyObject *bases = base ? PyTuple_Pack(1, base) : NULL;
	PyTypeObject *type = base && !bases ? NULL : (PyTypeObject *)PyType_FromModuleAndSpec(module, spec, bases);
	Py_XDECREF(bases);
	if (type && PyModule_AddType(module, type) < 0)
		Py_CLEAR(type);
	return type;
}

/* size: 0 if it depends. */
static int add_class(PyObject *module, PyType_Spec *spec, PyTypeObject *base, long size, long alignment,
		     PyTypeObject **ret)
{
	PyTypeObject *type = add_type(module, spec, base);
	PyObject *o = (PyObject *)type, *bytes = PyLong_FromLong(size), *multiple = PyLong_FromLong(alignment);
	int r = type && bytes && multiple ? 0 : -1;
	if (r == 0 && size)
		r = PyObject_SetAttrString(o, "SIZE", bytes);
	if (r == 0 && alignment)
		r = PyObject_SetAttrString(o, "ALIGNMENT", multiple);
	Py_XDECREF(bytes);
	Py_XDECREF(multiple);
	if (r == 0 && ret)
		*ret = type;
	else
		Py_XDECREF(type);
	return r;
}

static int add_types(PyObject *module, struct state *state)
{
	PyTypeObject *u32 = NULL;
	int r = add_class(module, &fpy_object_spec, NULL, 0, 0, &state->object);
	if (r == 0)
		r = add_class(module, &fpy_hold_spec, NULL, 0, 0, &state->hold);
	if (r == 0)
		r = add_class(module, &fpy_recovery_spec, NULL, 0, 0, &state->recovery);
	if (r == 0)
		r = add_class(module, &fpy_u32_spec, state->object, 4, 4, &u32);
	if (r == 0)
		r = add_class(module, &fpy_word_spec, u32, 4, 4, NULL);
	if (r == 0)
		r = add_class(module, &fpy_u64_spec, state->object, 8, 8, NULL);
	if (r == 0)
		r = add_class(module, &fpy_mutex_spec, state->object, sizeof(fipc_mutex), 8, &state->mutex);
	if (r == 0)
		r = add_class(module, &fpy_rwlock_spec, state->object, 0, 8, NULL);
	if (r == 0)
		r = add_class(module, &fpy_semaphore_spec, state->object, sizeof(fipc_sem), 8, NULL);
	if (r == 0)
		r = add_class(module, &fpy_event_spec, state->object, sizeof(fipc_event), 8, NULL);
	if (r == 0)
		r = add_class(module, &fpy_condition_spec, state->object, sizeof(fipc_cond), 8, NULL);
	if (r == 0)
		r = add_class(module, &fpy_shm_spec, state->object, 0, 0, NULL);
	if (r == 0)
		r = add_class(module, &fpy_mq_spec, state->object, 0, 0, NULL);
	Py_XDECREF(u32);
	return r;
}

/* ---- the module ---- */

static int end_at_exit(PyObject *module)
{
	PyObject *atexit = PyImport_ImportModule("atexit"), *end = PyObject_GetAttrString(module, "_end"), *r = NULL;
	if (atexit && end)
		r = PyObject_CallMethod(atexit, "register", "O", end);
	Py_XDECREF(atexit);
	Py_XDECREF(end);
	Py_XDECREF(r);
	return r ? 0 : -1;
}

static int fill(PyObject *module)
{
	struct state *state = fpy_module_state(module);
	if (fpy_at_exit_begin() < 0 || fpy_shm_begin() < 0 || add_constants(module) < 0 ||
	    fpy_errors_add(module, state) < 0 || add_infos(module, state) < 0 || add_types(module, state) < 0 ||
	    end_at_exit(module) < 0)
		return -1;
	state->reopen = PyObject_GetAttrString(module, "_reopen");
	return state->reopen && PyModule_AddStringConstant(module, "__version__", FIPC_PYTHON_VERSION) == 0 ? 0 : -1;
}

/*
 * The types of info() are not shown to the collector: CPython (3.11) can't drop a struct sequence whose type it has
 * cleared, as it would at the interpreter's end. They go with the module.
 */
static int traverse(PyObject *module, visitproc visit, void *arg)
{
	struct state *state = fpy_module_state(module);
	for (int i = 0; i < ERROR_CLASSES; i++)
		Py_VISIT(state->errors[i]);
	Py_VISIT(state->object);
	Py_VISIT(state->hold);
	Py_VISIT(state->recovery);
	Py_VISIT(state->mutex);
	Py_VISIT(state->reopen);
	return 0;
}

static int clear(PyObject *module)
{
	struct state *state = fpy_module_state(module);
	for (int i = 0; i < ERROR_CLASSES; i++)
		Py_CLEAR(state->errors[i]);
	Py_CLEAR(state->object);
	Py_CLEAR(state->hold);
	Py_CLEAR(state->recovery);
	Py_CLEAR(state->mutex);
	Py_CLEAR(state->reopen);
	return 0;
}

static void drop(void *module)
{
	struct state *state = fpy_module_state(module);
	clear(module);
	for (int i = 0; i < INFO_CLASSES; i++)
		Py_CLEAR(state->infos[i]);
}

static PyModuleDef_Slot slots[] = {
	{Py_mod_exec, fill},
	{0, NULL},
};

static PyModuleDef definition = {
	PyModuleDef_HEAD_INIT,
	.m_name = "fipc._fipc",
	.m_doc = "The package fipc, in C.",
	.m_size = sizeof(struct state),
	.m_methods = functions,
	.m_slots = slots,
	.m_traverse = traverse,
	.m_clear = clear,
	.m_free = drop,
};

PyMODINIT_FUNC PyInit__fipc(void)
{
	return PyModuleDef_Init(&definition);
}
