/* SPDX-License-Identifier: Apache-2.0 */
/* Mutex. */
#include "fipcmodule.h"

#include <unistd.h>

static int lock_until(void *m, fipc_deadline d, void *unused)
{
	(void)unused;
	return fipc_mutex_lock_until(m, d);
}

static int abandon(void *m)
{
	return fipc_mutex_abandon(m);
}

static int consistent(void *m)
{
	return fipc_mutex_consistent(m);
}

static int unlock(void *m)
{
	return fipc_mutex_unlock(m);
}

static const struct lock_calls calls = {abandon, consistent, unlock};
static const struct hold_call to_hold = {lock_until, &calls, false};

static bool held(Object *self)
{
	struct fipc_mutex_info i;
	return fipc_mutex_info(self->object, &i, sizeof(i)) == 0 && i.owner_pid == (uint32_t)getpid();
}

SMALL_KIND(fpy_mutex_kind, mutex, "Mutex", FIPC_PRIVATE | FIPC_REPLACE | FIPC_TIMESTAMPS, held, q->flags);

int fpy_mutex_readmit(Object *mutex, int r)
{
	return fpy_readmit(mutex, &calls, r);
}

static int init_mutex(PyObject *o, PyObject *args, PyObject *named)
{
	static char *names[] = {"target", "flags", "mode", "offset", "on_owner_death", NULL};
	PyObject *target, *flags = NULL, *mode = NULL, *offset = NULL, *handler = NULL;
	Object *self = (Object *)o;
	struct request q = {0};
	if (!PyArg_ParseTupleAndKeywords(args, named, "O|OO$OO:Mutex", names, &target, &flags, &mode, &offset,
					 &handler) ||
	    fpy_open_flags(flags, mode, &q) < 0 || fpy_set_on_owner_death(self, handler) < 0)
		return -1;
	return fpy_open(self, &fpy_mutex_kind, target, offset, &q);
}

static PyObject *acquire(PyObject *o, PyObject *const *args, Py_ssize_t nargs, PyObject *names)
{
	Object *self = (Object *)o;
	patience p;
	int r;
	if (fpy_parse_acquire("acquire", args, nargs, names, &p) < 0 || fpy_check_open(self) < 0)
		return NULL;
	r = fpy_lock(self, &to_hold, p);
	return r < 0 ? NULL : PyBool_FromLong(r);
}

static PyObject *release(PyObject *self, PyObject *unused)
{
	(void)unused;
	return fpy_release((Object *)self, &calls, Py_None);
}

static PyObject *enter(PyObject *self, PyObject *unused)
{
	(void)unused;
	return acquire(self, NULL, 0, NULL);
}

static PyObject *leave(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
	return fpy_release((Object *)self, &calls, nargs > 0 ? args[0] : Py_None);
}

static PyObject *recover(PyObject *o, PyObject *const *args, Py_ssize_t nargs, PyObject *names)
{
	Object *self = (Object *)o;
	return fpy_hold_new(self->state->recovery, self, &to_hold, "recover", args, nargs, names);
}

static PyObject *revoke_it(PyObject *o, PyObject *unused)
{
	Object *self = (Object *)o;
	(void)unused;
	return fpy_check_open(self) < 0 ? NULL : fpy_none_or_raise(self, fipc_mutex_revoke(self->object));
}

static PyObject *locked(PyObject *o, PyObject *unused)
{
	Object *self = (Object *)o;
	struct fipc_mutex_info i;
	(void)unused;
	return LOOK(self, fipc_mutex_info, &i) ? PyBool_FromLong(i.owner_tid != 0) : NULL;
}

static PyObject *info(PyObject *o, PyObject *unused)
{
	static const char *const states[] = {"free", "held", "died", "recovering", "not recoverable"};
	Object *self = (Object *)o;
	struct fipc_mutex_info i;
	(void)unused;
	if (!LOOK(self, fipc_mutex_info, &i))
		return NULL;
	return fpy_info(self->state->infos[MUTEX_INFO],
			Py_BuildValue("(sIIIIIIKI)", states[i.state], i.owner_pid, i.owner_tid, i.waiters,
				      i.owner_deaths, i.contended, i.acquisitions, (unsigned long long)i.acquired_ns, i.last_pid));
}

static PyStructSequence_Field fields[] = {
	{"state", "'free', 'held', 'died' (free, and the next one will be told), 'recovering' or 'not recoverable'"},
	{"owner_pid", "the process that holds it; 0: nobody"},
	{"owner_tid", "the thread"},
	{"waiters", "threads asleep on it"},
	{"owner_deaths", "times that an owner died inside and the next one was told"},
	{"contended", "times that it was had only after waiting"},
	{"acquisitions", "times that it was had; modulo 2 ** 32"},
	{"acquired_ns", "TIMESTAMPS: time.monotonic_ns() when it was last had; else 0"},
	{"last_pid", "the process that had it last, dead or alive"},
	{NULL, NULL},
};

PyStructSequence_Desc fpy_mutex_info = {"fipc.MutexInfo", "What Mutex.info() saw: words that change.", fields, 9};

static PyMethodDef methods[] = {
	{"acquire", FASTCALL(acquire), METH_FAST,
	 DOC("acquire($self, /, block=True, timeout=None, *, timeout_ns=None)",
	     "Have it. True: this thread holds it. False: not, and the time is over, or it was not\n"
	     "to block.\n\n"
	     "OwnerDied: NOT held; its last owner died inside. Each acquire raises it, until\n"
	     "somebody has mended, by recover() or on_owner_death=. Deadlock: this thread holds it\n"
	     "already. NotRecoverable.")},
	{"release", release, METH_NOARGS,
	 DOC("release($self, /)", "Let go of it, and wake one who waits. NotOwner: this thread does not hold it.")},
	{"__enter__", enter, METH_NOARGS, DOC("__enter__($self, /)", "acquire()")},
	{"__exit__", FASTCALL(leave), METH_FASTCALL, DOC("__exit__($self, kind, exc, trace, /)", "release()")},
	{"recover", FASTCALL(recover), METH_FAST,
	 DOC("recover($self, /, timeout=None, *, timeout_ns=None)",
	     "Hold it for a with block, whether its last owner died inside or not.\n\n"
	     "    with m.recover(timeout=5) as died:\n"
	     "        if died:\n"
	     "            mend()\n\n"
	     "When the block ends, what a dead owner left is mended, and acquire() is as always.\n"
	     "When it raises, it is as it was before, and the next one is told again. TimedOut,\n"
	     "NotRecoverable, Deadlock.")},
	{"locked", locked, METH_NOARGS, DOC("locked($self, /)", "Does somebody hold it, at this moment?")},
	{"revoke", revoke_it, METH_NOARGS,
	 DOC("revoke($self, /)",
	     "For operators: end the wait for an owner that will not let go.\n\n"
	     "It lives: nobody gets the mutex again (NotRecoverable). It is dead, and its death\n"
	     "was not seen: as if it had been. Error with errno.ESRCH: nobody holds it.")},
	INFO_METHOD("a MutexInfo"),
	UNLINK_METHOD,
	DESTROY_METHOD,
	{NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
	{Py_tp_doc,
	 DOC("Mutex(target, flags=0, mode=0o600, *, offset=0, on_owner_death=None)",
	     "A lock for threads of any number of processes, that survives the death of its owner.\n\n"
	     "target: a name, as Mutex('bank', fipc.CREATE); None with CREATE | EXCL for a random\n"
	     "one, see .name; or a writable buffer, as a bytearray, a mmap, a SharedMemory, in\n"
	     "which it takes SIZE bytes from the offset on. Zeroed memory becomes one, and is\n"
	     "joined by whoever comes next. flags: of a name CREATE, EXCL, REPLACE, PERSIST,\n"
	     "READONLY, ANY_OWNER, TIMESTAMPS; of memory PRIVATE, REPLACE, TIMESTAMPS. mode:\n"
	     "permission bits of a name that is made.\n\n"
	     "Held by a thread; not recursive. If its owner dies inside, the next one to acquire\n"
	     "it gets OwnerDied, and does not hold it: what it protects may be half changed. So\n"
	     "does the one after that, until somebody mends:\n\n"
	     "    with m.recover() as died:\n"
	     "        if died:\n"
	     "            mend()\n\n"
	     "or, for each acquire, Mutex('bank', fipc.CREATE, on_owner_death=mend), which is\n"
	     "called as mend(m), with m held: it returns, and acquire goes on; or raises, and the\n"
	     "mutex is let go of unmended. With on_owner_death=fipc.IGNORE_DEATH nothing needs\n"
	     "mending.")},
	{Py_tp_init, init_mutex},
	{Py_tp_methods, methods},
	{Py_tp_getset, fpy_on_owner_death},
	{0, NULL},
};

PyType_Spec fpy_mutex_spec = TYPE_SPEC("fipc.Mutex", Object, slots);
