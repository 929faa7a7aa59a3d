/* SPDX-License-Identifier: Apache-2.0 */
/*
 * _Object: what all types of fipc have in common. An object has a name, or is in memory, which is pinned, as a buffer,
 * for as long as it lives: a bytearray can't be resized, a mmap not be closed meanwhile.
 *
 * Not to be let go of: memory with a lock inside that this process holds. The kernel, at the thread's death, and the
 * next lock of that thread would write there. So who drops such an object leaks its memory, and is warned.
 */
#include "fipcmodule.h"

#include <errno.h>
#include <structmember.h>

static Object *object_of(PyObject *self)
{
	return (Object *)self;
}

int fpy_say_closed(Object *self)
{
	PyErr_Format(PyExc_ValueError, "this %s is closed, or was never opened", Py_TYPE(self)->tp_name);
	return -1;
}

PyObject *fpy_raise_of(Object *self, int r)
{
	return fpy_raise(self->state, r, self->name);
}

PyObject *fpy_none_or_raise(Object *self, int r)
{
	if (r < 0)
		return fpy_raise_of(self, r);
	Py_RETURN_NONE;
}

bool fpy_looked(Object *self, int r)
{
	if (r < 0)
		fpy_raise_of(self, r);
	return r == 0;
}

PyObject *fpy_info(PyTypeObject *type, PyObject *tuple)
{
	PyObject *info = tuple ? PyObject_CallOneArg((PyObject *)type, tuple) : NULL;
	Py_XDECREF(tuple);
	return info;
}

/* ---- who is inside ---- */

bool fpy_inside(const Object *self)
{
	/* A child has none of its parent's threads. */
	return self->inside > 0 && self->forks == fpy_forks();
}

void fpy_enter(Object *self)
{
	if (!fpy_inside(self))
		self->inside = 0;
	self->forks = fpy_forks();
	self->inside++;
	fpy_at_exit_note(self->opened, self->inside);
}

void fpy_leave(Object *self)
{
	self->inside--;
	fpy_at_exit_note(self->opened, self->inside);
}

static int check_nobody_inside(Object *self)
{
	if (!fpy_inside(self))
		return 0;
	fpy_raise_of(self, -EBUSY);
	return -1;
}

/* ---- open, by name ---- */

static const char *text_of(PyObject *name)
{
	Py_ssize_t length;
	const char *text = PyUnicode_AsUTF8AndSize(name, &length);
	if (text && strlen(text) != (size_t)length) {
		PyErr_SetString(PyExc_ValueError, "a name with a null character");
		return NULL;
	}
	return text;
}

static int close_object(Object *self, void *object)
{
	int r;
	Py_BEGIN_ALLOW_THREADS
	r = self->kind->close(object);
	Py_END_ALLOW_THREADS
	return r;
}

/* Everything that goes with being open; the object is in self->object already. */
static int begin(Object *self)
{
	self->name = PyUnicode_FromString(fipc_name(self->object));
	if (!self->name)
		return -1;
	self->opened = fpy_at_exit_add(self->object,
				       self->kind->close_at_exit ? self->kind->close_at_exit : self->kind->close);
	if (!self->opened)
		return -1;
	return self->kind->opened ? self->kind->opened(self) : 0;
}

static void end(Object *self)
{
	fpy_at_exit_remove(self->opened);
	self->opened = NULL;
	Py_CLEAR(self->name);
	self->held = 0;
	self->repairer = 0;
}

static int open_name(Object *self, PyObject *name, struct request *q)
{
	void *object;
	int r;
	q->name = NULL;
	if (name != Py_None && !(q->name = text_of(name)))
		return -1;
	fpy_enter(self);
	Py_BEGIN_ALLOW_THREADS
	r = self->kind->open(&object, q);
	Py_END_ALLOW_THREADS
	fpy_leave(self);
	if (r < 0) {
		fpy_raise_open(self->state, r, name == Py_None ? NULL : name, self->kind->name);
		return -1;
	}
	self->object = object;
	self->created = r == FIPC_CREATED;
	self->flags = q->flags & (FIPC_READONLY | FIPC_ANY_OWNER);
	if (begin(self) == 0)
		return 0;
	self->object = NULL;
	end(self);
	r = close_object(self, object); /* just opened: nobody uses it */
	return -1;
}

/* ---- attach, in memory ---- */

static int bad_memory(Object *self, const char *why, size_t number)
{
	PyErr_Format(PyExc_ValueError, "memory for a %s %s %zu bytes", self->kind->name, why, number);
	return -1;
}

/* Is there room in the buffer, at the offset? *ret: where. */
static int look_at_memory(Object *self, PyObject *offset, struct request *q, char **ret)
{
	const struct kind *k = self->kind;
	size_t length = (size_t)self->memory.len, at;
	unsigned long long given = 0;
	if (fpy_unsigned(offset, "offset", PY_SSIZE_T_MAX, &given) < 0)
		return -1;
	at = (size_t)given;
	if (self->memory.readonly && !(q->flags & k->memory_flags & FIPC_READONLY)) {
		PyErr_Format(PyExc_TypeError, "memory for a %s must be writable: this buffer is read-only", k->name);
		return -1;
	}
	if (!PyBuffer_IsContiguous(&self->memory, 'C')) {
		PyErr_Format(PyExc_ValueError, "memory for a %s must be C-contiguous", k->name);
		return -1;
	}
	if (length < k->size || at > length - k->size)
		return bad_memory(self, "from the offset on must be at least", k->size);
	*ret = (char *)self->memory.buf + at;
	if ((uintptr_t)*ret % k->alignment != 0)
		return bad_memory(self, "must begin at a multiple of", k->alignment);
	q->size = length - at;
	return 0;
}

static bool all_zero(const char *p, size_t n)
{
	while (n > 0 && *p == 0)
		p++, n--;
	return n == 0;
}

/* PRIVATE is what only the one who makes it can say; REPLACE makes it anew, whatever was there. */
static int attach(Object *self, char *at, struct request *q)
{
	const struct kind *k = self->kind;
	bool anew = q->flags & FIPC_REPLACE || (q->flags & FIPC_PRIVATE && all_zero(at, k->size));
	int r;
	q->flags &= ~(unsigned)FIPC_REPLACE;
	if (anew) {
		r = k->init(at, q);
		return r < 0 ? r : FIPC_CREATED;
	}
	q->flags &= ~(unsigned)FIPC_PRIVATE;
	fpy_enter(self);
	Py_BEGIN_ALLOW_THREADS
	r = k->attach(at, q);
	Py_END_ALLOW_THREADS
	fpy_leave(self);
	return r;
}

static int check_memory_flags(Object *self, const struct request *q)
{
	if (!(q->flags & ~self->kind->memory_flags))
		return 0;
	PyErr_Format(PyExc_ValueError, "flags 0x%x are not for a %s in memory", q->flags & ~self->kind->memory_flags,
		     self->kind->name);
	return -1;
}

static int attach_memory(Object *self, PyObject *offset, struct request *q)
{
	char *at;
	int r;
	if (check_memory_flags(self, q) < 0 || look_at_memory(self, offset, q, &at) < 0)
		return -1;
	self->flags = q->flags;
	r = attach(self, at, q);
	if (r < 0) {
		fpy_raise_open(self->state, r, NULL, self->kind->name);
		return -1;
	}
	self->created = r == FIPC_CREATED;
	self->object = at;
	return 0;
}

static int pin_and_attach(Object *self, PyObject *target, PyObject *offset, struct request *q)
{
	if (PyObject_GetBuffer(target, &self->memory, PyBUF_FULL_RO) < 0)
		return -1;
	if (attach_memory(self, offset, q) == 0)
		return 0;
	PyBuffer_Release(&self->memory);
	return -1;
}

/* ---- __init__ ---- */

int fpy_open_flags(PyObject *flags, PyObject *mode, struct request *q)
{
	unsigned long long f = 0, m = 0600;
	if (fpy_unsigned(flags, "flags", UINT_MAX, &f) < 0 || fpy_unsigned(mode, "mode", 0777, &m) < 0)
		return -1;
	q->flags = (unsigned)f;
	q->mode = (mode_t)m;
	return 0;
}

static bool is_name(PyObject *target)
{
	return target == Py_None || PyUnicode_Check(target);
}

static int check_target(const struct kind *k, PyObject *target, PyObject *offset)
{
	if (is_name(target) ? k->open && !offset : k->size > 0 && PyObject_CheckBuffer(target))
		return 0;
	if (is_name(target) && k->open)
		PyErr_SetString(PyExc_TypeError, "offset is for memory, not for a name");
	else
		PyErr_Format(PyExc_TypeError, "%s() takes %s, not %s", k->name,
			     !k->open	   ? "a writable buffer"
			     : k->size > 0 ? "a name (str), None for a random one, or a writable buffer"
					   : "a name (str), or None for a random one",
			     target == Py_None ? "None" : Py_TYPE(target)->tp_name);
	return -1;
}

int fpy_open(Object *self, const struct kind *kind, PyObject *target, PyObject *offset, struct request *q)
{
	if (self->object || fpy_inside(self)) {
		PyErr_Format(PyExc_ValueError, "this %s is open already: close() it before another __init__()",
			     kind->name);
		return -1;
	}
	self->kind = kind;
	if (check_target(kind, target, offset) < 0)
		return -1;
	return is_name(target) ? open_name(self, target, q) : pin_and_attach(self, target, offset, q);
}

int fpy_open_plain(Object *self, const struct kind *kind, PyObject *args, PyObject *named)
{
	static char *names[] = {"target", "flags", "mode", "offset", NULL};
	PyObject *target, *flags = NULL, *mode = NULL, *offset = NULL;
	struct request q = {0};
	if (!PyArg_ParseTupleAndKeywords(args, named, "O|OO$O", names, &target, &flags, &mode, &offset) ||
	    fpy_open_flags(flags, mode, &q) < 0)
		return -1;
	return fpy_open(self, kind, target, offset, &q);
}

/* ---- close ---- */

static int leave_name(Object *self)
{
	void *object = self->object;
	int r;
	/* Another thread finds it closed meanwhile, and can't open it anew. */
	self->object = NULL;
	fpy_enter(self);
	r = close_object(self, object);
	fpy_leave(self);
	if (r < 0) {
		self->object = object;
		fpy_raise_of(self, r);
		return -1;
	}
	if (self->kind->closed)
		self->kind->closed(self, object);
	end(self);
	return 0;
}

static int leave_memory(Object *self)
{
	if (self->kind->held && self->held > 0 && self->kind->held(self)) {
		fpy_raise_of(self, -EBUSY);
		return -1;
	}
	self->object = NULL;
	end(self);
	PyBuffer_Release(&self->memory);
	return 0;
}

int fpy_close(Object *self)
{
	if (!self->object)
		return check_nobody_inside(self); /* else another thread is opening it, or closing */
	if (check_nobody_inside(self) < 0 || (self->kind->closing && self->kind->closing(self) < 0))
		return -1;
	return self->memory.obj ? leave_memory(self) : leave_name(self);
}

static PyObject *object_close(PyObject *self, PyObject *unused)
{
	(void)unused;
	if (fpy_close(object_of(self)) < 0)
		return NULL;
	Py_RETURN_NONE;
}

PyObject *fpy_enter_to_close(PyObject *self, PyObject *unused)
{
	(void)unused;
	if (fpy_check_open(object_of(self)) < 0)
		return NULL;
	Py_INCREF(self);
	return self;
}

PyObject *fpy_exit_and_close(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
	(void)args;
	(void)nargs;
	return object_close(self, NULL);
}

PyObject *fpy_destroy(PyObject *o, PyObject *unused)
{
	Object *self = object_of(o);
	int r;
	(void)unused;
	if (fpy_check_open(self) < 0 || check_nobody_inside(self) < 0)
		return NULL;
	if (!self->memory.obj) {
		PyErr_Format(PyExc_ValueError,
			     "destroy() is for a %s in memory: this one has a name; see close(), unlink()",
			     self->kind->name);
		return NULL;
	}
	r = self->kind->destroy(self->object);
	if (r < 0)
		return fpy_raise_of(self, r);
	return object_close(o, NULL);
}

/* ---- unlink ---- */

static PyObject *unlink_name(struct state *state, PyObject *name, const struct kind *kind)
{
	const char *text = text_of(name);
	int r;
	if (!text)
		return NULL;
	Py_BEGIN_ALLOW_THREADS
	r = kind->unlink(text);
	Py_END_ALLOW_THREADS
	if (r < 0)
		return fpy_raise_open(state, r, name, kind->name);
	Py_RETURN_NONE;
}

PyObject *fpy_unlink(PyObject *o, PyObject *unused)
{
	Object *self = object_of(o);
	PyObject *name, *r;
	(void)unused;
	if (fpy_check_open(self) < 0)
		return NULL;
	if (self->memory.obj) {
		PyErr_Format(PyExc_ValueError, "unlink(): this %s is in memory and has no name", self->kind->name);
		return NULL;
	}
	name = self->name; /* close() by another thread meanwhile would drop it */
	Py_INCREF(name);
	r = unlink_name(self->state, name, self->kind);
	Py_DECREF(name);
	return r;
}

PyObject *fpy_unlink_by_name(PyObject *module, PyObject *name, const struct kind *kind)
{
	if (!PyUnicode_Check(name)) {
		PyErr_Format(PyExc_TypeError, "a name (str) is needed, not %s", Py_TYPE(name)->tp_name);
		return NULL;
	}
	return unlink_name(fpy_module_state(module), name, kind);
}

/* ---- pickle: the name ---- */

/* (function, arguments), and what attributes a class derived from it has added. */
static PyObject *object_reduce(PyObject *o, PyObject *unused)
{
	Object *self = object_of(o);
	PyObject *handler = self->on_owner_death ? self->on_owner_death : Py_None, *attributes, *r;
	(void)unused;
	if (fpy_check_open(self) < 0)
		return NULL;
	if (self->memory.obj)
		return PyErr_Format(PyExc_TypeError, "a %s in memory can't be pickled: only one with a name",
				    self->kind->name);
	attributes = PyObject_GenericGetDict(o, NULL);
	if (!attributes) {
		PyErr_Clear();
		attributes = Py_None;
		Py_INCREF(attributes);
	}
	r = Py_BuildValue("(O(OOIO)O)", self->state->reopen, Py_TYPE(o), self->name, self->flags, handler, attributes);
	Py_DECREF(attributes);
	return r;
}

/* A new one of the class, opened by our type's __init__: the class's own may want to know more. */
static PyObject *make_open(PyTypeObject *class, PyTypeObject *type, PyObject *args)
{
	PyObject *nothing = PyTuple_New(0), *object = nothing ? class->tp_new(class, nothing, NULL) : NULL;
	Py_XDECREF(nothing);
	if (object && (!PyObject_TypeCheck(object, type) || type->tp_init(object, args, NULL) < 0))
		Py_CLEAR(object);
	if (!object && !PyErr_Occurred())
		PyErr_Format(PyExc_TypeError, "%s.__new__() makes something else", class->tp_name);
	return object;
}

PyObject *fpy_reopen(PyObject *module, PyObject *args)
{
	PyTypeObject *class, *type;
	PyObject *name, *flags, *handler, *arguments, *object;
	if (!PyArg_ParseTuple(args, "O!UOO", &PyType_Type, &class, &name, &flags, &handler))
		return NULL;
	type = PyType_IsSubtype(class, fpy_module_state(module)->object) ? fpy_own_type(class) : NULL;
	if (!type || !type->tp_init || !class->tp_new)
		return PyErr_Format(PyExc_TypeError, "%s is no type of fipc", class->tp_name);
	arguments = PyTuple_Pack(2, name, flags);
	object = arguments ? make_open(class, type, arguments) : NULL;
	Py_XDECREF(arguments);
	if (object && handler != Py_None && PyObject_SetAttrString(object, "on_owner_death", handler) < 0)
		Py_CLEAR(object);
	return object;
}

/* ---- attributes ---- */

static PyObject *get_name(PyObject *self, void *unused)
{
	PyObject *name = object_of(self)->name ? object_of(self)->name : Py_None;
	(void)unused;
	Py_INCREF(name);
	return name;
}

static PyObject *get_created(PyObject *self, void *unused)
{
	(void)unused;
	return PyBool_FromLong(object_of(self)->created);
}

static PyObject *get_closed(PyObject *self, void *unused)
{
	(void)unused;
	return PyBool_FromLong(object_of(self)->object == NULL);
}

static PyObject *object_repr(PyObject *o)
{
	Object *self = object_of(o);
	const char *type = Py_TYPE(o)->tp_name;
	if (!self->object)
		return PyUnicode_FromFormat("<%s, closed>", type);
	if (self->memory.obj)
		return PyUnicode_FromFormat("<%s in memory at %p>", type, self->object);
	return PyUnicode_FromFormat("<%s %R>", type, self->name);
}

/* ---- life ---- */

static PyObject *object_new(PyTypeObject *type, PyObject *args, PyObject *names)
{
	struct state *state = PyType_GetModuleState(fpy_own_type(type));
	Object *self;
	(void)args;
	(void)names;
	if (type == state->object)
		return PyErr_Format(PyExc_TypeError, "%s is what the types of fipc have in common: make one of those",
				    type->tp_name);
	self = (Object *)type->tp_alloc(type, 0);
	if (self)
		self->state = state;
	return (PyObject *)self;
}

static int object_traverse(PyObject *o, visitproc visit, void *arg)
{
	Object *self = object_of(o);
	Py_VISIT(Py_TYPE(o));
	Py_VISIT(self->memory.obj);
	Py_VISIT(self->on_owner_death);
	return 0;
}

/* The memory is not let go of here: a cycle through it leads through something else that is cleared. */
static int object_clear(PyObject *self)
{
	Py_CLEAR(object_of(self)->on_owner_death);
	return 0;
}

/* Dropped without close(), and can't be closed: it stays as it is, to the end of the process. */
static void leak(Object *self)
{
	const char *what = "%R was dropped while a thread of this process holds it or is inside: it stays";
	PyErr_Clear();
	if (PyErr_ResourceWarning(NULL, 1, what, self) < 0)
		PyErr_WriteUnraisable(NULL);
	self->object = NULL;
	self->memory.obj = NULL; /* its reference is leaked, so that nobody moves what is locked */
	self->opened = NULL;	 /* to be tried once more at exit */
	end(self);
}

static void object_finalize(PyObject *o)
{
	Object *self = object_of(o);
	PyObject *error, *value, *trace;
	PyErr_Fetch(&error, &value, &trace);
	if (self->object && fpy_close(self) < 0)
		leak(self);
	PyErr_Restore(error, value, trace);
}

static void object_dealloc(PyObject *o)
{
	PyTypeObject *type = Py_TYPE(o);
	if (PyObject_CallFinalizerFromDealloc(o) < 0)
		return;
	PyObject_GC_UnTrack(o);
	object_finalize(o); /* again: a derived class may have a __del__ instead, which may even have opened it anew */
	if (object_of(o)->weak_references)
		PyObject_ClearWeakRefs(o);
	object_clear(o);
	type->tp_free(o);
	Py_DECREF(type);
}

static PyMethodDef methods[] = {
	{"close", object_close, METH_NOARGS,
	 DOC("close($self, /)",
	     "With a name: leave it. It goes with the last one that leaves, unless it was made\n"
	     "with PERSIST. In memory: let go of the memory, in which it stays for others (see\n"
	     "destroy()).\n\n"
	     "Busy: a thread of this process is inside, or holds it. Closing it twice is fine. An\n"
	     "object that is dropped is closed.")},
	{"__reduce__", object_reduce, METH_NOARGS,
	 DOC("__reduce__($self, /)", "What is pickled is the name; who unpickles it opens that, and creates nothing.")},
	{NULL, NULL, 0, NULL},
};

static PyGetSetDef attributes[] = {
	{"name", get_name, NULL, "Its name; None if it is in memory, or closed.", NULL},
	{"created", get_created, NULL, "True: this open or attach made it. False: it was there, and was joined.", NULL},
	{"closed", get_closed, NULL, "True after close(), and before __init__().", NULL},
	{NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef members[] = {
	{"__weaklistoffset__", T_PYSSIZET, offsetof(Object, weak_references), READONLY, NULL},
	{"interruptible", T_BOOL, offsetof(Object, interruptible), 0,
	 "True: a signal that was handled ends waits of this object with InterruptedError. False, as it begins: they go\n"
	 "on, unless the handler raises. (Condition.wait() and wait_any() always do.)"},
	{NULL, 0, 0, 0, NULL},
};

static PyType_Slot slots[] = {
	{Py_tp_doc, "What all types of fipc have in common."},
	{Py_tp_new, object_new},
	{Py_tp_dealloc, object_dealloc},
	{Py_tp_finalize, object_finalize},
	{Py_tp_traverse, object_traverse},
	{Py_tp_clear, object_clear},
	{Py_tp_repr, object_repr},
	{Py_tp_methods, methods},
	{Py_tp_getset, attributes},
	{Py_tp_members, members},
	{0, NULL},
};

PyType_Spec fpy_object_spec = {
	.name = "fipc._Object",
	.basicsize = sizeof(Object),
	.flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
	.slots = slots,
};
