/* SPDX-License-Identifier: Apache-2.0 */
/* RWLock. */
#include "fipcmodule.h"

#include <errno.h>
#include <unistd.h>

#define READERS 64 /* of one with a name, unless told */

static int read_until(void *l, fipc_deadline d, void *unused)
{
	(void)unused;
	return fipc_rwlock_rdlock_until(l, d);
}

static int write_until(void *l, fipc_deadline d, void *unused)
{
	(void)unused;
	return fipc_rwlock_wrlock_until(l, d);
}

static int abandon(void *l)
{
	return fipc_rwlock_abandon(l);
}

static int consistent(void *l)
{
	return fipc_rwlock_consistent(l);
}

static int unlock(void *l)
{
	return fipc_rwlock_unlock(l);
}

static const struct lock_calls calls = {abandon, consistent, unlock};
static const struct hold_call to_read = {read_until, &calls, true};
static const struct hold_call to_write = {write_until, &calls, false};

static int open_named(void **ret, const struct request *q)
{
	return fipc_rwlock_open((fipc_rwlock **)ret, q->name, q->readers ? q->readers : READERS, q->flags, q->mode);
}

static int close_named(void *l)
{
	return fipc_rwlock_close(l);
}

static size_t size_of(const struct request *q)
{
	size_t most = fipc_rwlock_size(FIPC_RWLOCK_READERS_MAX);
	return q->readers ? fipc_rwlock_size(q->readers) : q->size < most ? q->size : most;
}

static int attach(void *l, const struct request *q)
{
	return size_of(q) > q->size ? -EINVAL : fipc_rwlock_attach(l, size_of(q), q->flags);
}

static int init(void *l, const struct request *q)
{
	return size_of(q) > q->size ? -EINVAL : fipc_rwlock_init(l, size_of(q), q->flags);
}

static int destroy(void *l)
{
	return fipc_rwlock_destroy(l);
}

/* Of readers it is not known which process they belong to: if there are any, ours may be among them. */
static bool held(Object *self)
{
	struct fipc_rwlock_info i;
	if (fipc_rwlock_info(self->object, &i, sizeof(i)) < 0)
		return false;
	return i.state == FIPC_RWLOCK_READ || i.writer_pid == (uint32_t)getpid();
}

const struct kind fpy_rwlock_kind = {
	.name = "RWLock",
	.size = 192, /* for one reader: fipc_rwlock_size(1) */
	.alignment = 8,
	.memory_flags = FIPC_PRIVATE | FIPC_REPLACE,
	.open = open_named,
	.close = close_named,
	.unlink = fipc_rwlock_unlink,
	.attach = attach,
	.init = init,
	.destroy = destroy,
	.held = held,
};

/* None: 0, which means as many as usual, or as there is room for. */
static int parse_readers(PyObject *given, struct request *q)
{
	unsigned long long readers = 0;
	if (!given || given == Py_None)
		return 0;
	if (fpy_unsigned(given, "readers", FIPC_RWLOCK_READERS_MAX, &readers) < 0)
		return -1;
	if (readers == 0) {
		PyErr_SetString(PyExc_ValueError, "readers must be 1 at least");
		return -1;
	}
	q->readers = (unsigned)readers;
	return 0;
}

static int init_rwlock(PyObject *o, PyObject *args, PyObject *named)
{
	static char *names[] = {"target", "flags", "mode", "readers", "offset", "on_owner_death", NULL};
	PyObject *target, *flags = NULL, *mode = NULL, *readers = NULL, *offset = NULL, *handler = NULL;
	Object *self = (Object *)o;
	struct request q = {0};
	if (!PyArg_ParseTupleAndKeywords(args, named, "O|OO$OOO:RWLock", names, &target, &flags, &mode, &readers,
					 &offset, &handler) ||
	    fpy_open_flags(flags, mode, &q) < 0 || parse_readers(readers, &q) < 0 ||
	    fpy_set_on_owner_death(self, handler) < 0)
		return -1;
	return fpy_open(self, &fpy_rwlock_kind, target, offset, &q);
}

static PyObject *acquire(PyObject *o, const struct hold_call *how, const char *function, PyObject *const *args,
			 Py_ssize_t nargs, PyObject *names)
{
	Object *self = (Object *)o;
	patience p;
	int r;
	if (fpy_parse_acquire(function, args, nargs, names, &p) < 0 || fpy_check_open(self) < 0)
		return NULL;
	r = fpy_lock(self, how, p);
	return r < 0 ? NULL : PyBool_FromLong(r);
}

static PyObject *acquire_read(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *names)
{
	return acquire(self, &to_read, "acquire_read", args, nargs, names);
}

static PyObject *acquire_write(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *names)
{
	return acquire(self, &to_write, "acquire_write", args, nargs, names);
}

static PyObject *release(PyObject *self, PyObject *unused)
{
	(void)unused;
	return fpy_release((Object *)self, &calls, Py_None);
}

static PyObject *reader(PyObject *o, PyObject *const *args, Py_ssize_t nargs, PyObject *names)
{
	Object *self = (Object *)o;
	return fpy_hold_new(self->state->hold, self, &to_read, "reader", args, nargs, names);
}

static PyObject *writer(PyObject *o, PyObject *const *args, Py_ssize_t nargs, PyObject *names)
{
	Object *self = (Object *)o;
	return fpy_hold_new(self->state->hold, self, &to_write, "writer", args, nargs, names);
}

static PyObject *recover(PyObject *o, PyObject *const *args, Py_ssize_t nargs, PyObject *names)
{
	Object *self = (Object *)o;
	return fpy_hold_new(self->state->recovery, self, &to_write, "recover", args, nargs, names);
}

static PyObject *size(PyObject *unused, PyObject *readers)
{
	struct request q = {0};
	(void)unused;
	return parse_readers(readers, &q) < 0 ? NULL : PyLong_FromSize_t(fipc_rwlock_size(q.readers));
}

static PyObject *info(PyObject *o, PyObject *unused)
{
	static const char *const states[] = {"free", "read", "written", "died", "recovering", "not recoverable"};
	Object *self = (Object *)o;
	struct fipc_rwlock_info i;
	(void)unused;
	if (!LOOK(self, fipc_rwlock_info, &i))
		return NULL;
	return fpy_info(self->state->infos[RWLOCK_INFO],
			Py_BuildValue("(sIIIIIIIIIII)", states[i.state], i.readers, i.max_readers, i.writer_pid,
				      i.writer_tid, i.waiters, i.owner_deaths, i.reader_deaths, i.contended, i.reads,
				      i.writes, i.entering_tid));
}

static PyStructSequence_Field fields[] = {
	{"state", "'free', 'read', 'written', 'died' (free, and the next one will be told), 'recovering' or\n"
		  "'not recoverable'"},
	{"readers", "threads that read"},
	{"max_readers", "how many may at a time"},
	{"writer_pid", "the process that writes; 0: none"},
	{"writer_tid", "the thread"},
	{"waiters", "threads asleep on it"},
	{"owner_deaths", "times that a writer died inside and the next one was told"},
	{"reader_deaths", "times that a reader died"},
	{"contended", "times that it was had only after waiting"},
	{"reads", "times that it was had to read; modulo 2 ** 32"},
	{"writes", "the same to write"},
	{"entering_tid", "a writer that waits for readers to leave; 0: none"},
	{NULL, NULL},
};

PyStructSequence_Desc fpy_rwlock_info = {"fipc.RWLockInfo", "What RWLock.info() saw: words that change.", fields, 12};

#define ACQUIRE_DOC                                                                                            \
	"True: held. False: not, and the time is over, or it was not to block.\n\n"                              \
	"OwnerDied: NOT held; a writer died inside, and nobody has mended yet: see recover(). Deadlock: this\n" \
	"thread holds it already, to read or to write. NotRecoverable."

static PyMethodDef methods[] = {
	{"acquire_read", FASTCALL(acquire_read), METH_FAST,
	 DOC("acquire_read($self, /, block=True, timeout=None, *, timeout_ns=None)",
	     "Have it to read, with others that read. " ACQUIRE_DOC)},
	{"acquire_write", FASTCALL(acquire_write), METH_FAST,
	 DOC("acquire_write($self, /, block=True, timeout=None, *, timeout_ns=None)",
	     "Have it to write, alone. " ACQUIRE_DOC)},
	{"release", release, METH_NOARGS,
	 DOC("release($self, /)", "Let go of it, whichever way this thread holds it. NotOwner: it does not.")},
	{"reader", FASTCALL(reader), METH_FAST,
	 DOC("reader($self, /, timeout=None, *, timeout_ns=None)",
	     "with l.reader(): holds it to read. TimedOut, and as acquire_read().")},
	{"writer", FASTCALL(writer), METH_FAST,
	 DOC("writer($self, /, timeout=None, *, timeout_ns=None)",
	     "with l.writer(): holds it to write. TimedOut, and as acquire_write().")},
	{"recover", FASTCALL(recover), METH_FAST,
	 DOC("recover($self, /, timeout=None, *, timeout_ns=None)",
	     "with l.recover() as died: holds it to write, whether the last writer died inside or\n"
	     "not; see Mutex.recover().")},
	{"size", size, METH_O | METH_STATIC, DOC("size(readers, /)", "The bytes that one takes in memory.")},
	INFO_METHOD("a RWLockInfo"),
	UNLINK_METHOD,
	DESTROY_METHOD,
	{NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
	{Py_tp_doc,
	 DOC("RWLock(target, flags=0, mode=0o600, *, readers=None, offset=0, on_owner_death=None)",
	     "Many read at a time, or one writes; threads of any number of processes.\n\n"
	     "    with l.reader(timeout=1): ...\n"
	     "    with l.writer(): ...\n\n"
	     "A reader that dies is forgotten at once. A writer that dies inside is told to\n"
	     "whoever comes next, as by a Mutex, to readers too: OwnerDied; see help(fipc.Mutex)\n"
	     "for target, mode, recover() and on_owner_death, which is called with the lock held\n"
	     "to write.\n\n"
	     "readers: how many may read at a time, 1 to READERS_MAX; the next one waits. None: 64\n"
	     "with a name; in memory as many as there is room for; see size(). A name that is\n"
	     "there is as it was made. flags: of a name CREATE, EXCL, REPLACE, PERSIST, READONLY,\n"
	     "ANY_OWNER; of memory PRIVATE, REPLACE.")},
	{Py_tp_init, init_rwlock},
	{Py_tp_methods, methods},
	{Py_tp_getset, fpy_on_owner_death},
	{0, NULL},
};

PyType_Spec fpy_rwlock_spec = TYPE_SPEC("fipc.RWLock", Object, slots);
