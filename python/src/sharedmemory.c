/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SharedMemory. All those of one name in a process have one mapping (fipc_shm counts its opens), which an open of a
 * larger size, a resize or a remap may move. So a mapping counts the views that Python has of it, and whatever may move
 * it is refused while there are any.
 *
 * `moving` is held by a thread that may be moving a mapping; it does so without the GIL. Who wants it waits without the
 * GIL, too. With it and the GIL held the counts are read, and views are made.
 */
#include "fipcmodule.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

struct mapping {
	struct mapping *next;
	fipc_shm *shm;
	unsigned opens;	  /* SharedMemory that have it */
	Py_ssize_t views; /* all of them together */
};

typedef struct {
	Object base;
	struct mapping *mapping;
	Py_ssize_t views;
} SharedMemory;

static pthread_mutex_t moving; /* recursive: what holds it may drop, and so close, other SharedMemory */
static struct mapping *mappings;

/* In a child, too: the thread that held it did not come along. */
static void init_moving(void)
{
	pthread_mutexattr_t a;
	pthread_mutexattr_init(&a);
	pthread_mutexattr_settype(&a, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&moving, &a);
	pthread_mutexattr_destroy(&a);
}

int fpy_shm_begin(void)
{
	static bool begun; /* another interpreter of this process */
	if (begun)
		return 0;
	init_moving();
	begun = pthread_atfork(NULL, NULL, init_moving) == 0;
	if (begun)
		return 0;
	PyErr_NoMemory();
	return -1;
}

static void begin_moving(void)
{
	if (pthread_mutex_trylock(&moving) == 0)
		return;
	Py_BEGIN_ALLOW_THREADS
	pthread_mutex_lock(&moving);
	Py_END_ALLOW_THREADS
}

static void end_moving(void)
{
	pthread_mutex_unlock(&moving);
}

/* ---- mappings ---- */

static struct mapping *mapping_of(const fipc_shm *shm)
{
	struct mapping *m = mappings;
	while (m && m->shm != shm)
		m = m->next;
	return m;
}

static int take_mapping(Object *o)
{
	SharedMemory *self = (SharedMemory *)o;
	struct mapping *m = mapping_of(o->object);
	if (!m) {
		m = calloc(1, sizeof(*m));
		if (!m) {
			PyErr_NoMemory();
			return -1;
		}
		m->shm = o->object;
		m->next = mappings;
		mappings = m;
	}
	m->opens++;
	self->mapping = m;
	return 0;
}

static void leave_mapping(Object *o, void *object)
{
	SharedMemory *self = (SharedMemory *)o;
	struct mapping **at = &mappings, *m = self->mapping;
	(void)object;
	self->mapping = NULL;
	if (--m->opens > 0)
		return;
	while (*at != m)
		at = &(*at)->next;
	*at = m->next;
	free(m);
}

static int check_no_views(Py_ssize_t views)
{
	if (views == 0)
		return 0;
	PyErr_Format(PyExc_BufferError, "%zd views of this SharedMemory are in use: release() them first", views);
	return -1;
}

static int check_closable(Object *o)
{
	return check_no_views(((SharedMemory *)o)->views);
}

/* Called without the GIL. Who looks at mappings holds `moving`, so that none of them ends meanwhile. */
static int close_named(void *shm)
{
	int r;
	pthread_mutex_lock(&moving);
	r = fipc_shm_close(shm);
	pthread_mutex_unlock(&moving);
	return r;
}

/* Not while somebody may be using it. */
static int close_at_exit(void *shm)
{
	const struct mapping *m = mapping_of(shm);
	return m && m->views > 0 ? -EBUSY : fipc_shm_close(shm);
}

static int open_named(void **ret, const struct request *q)
{
	return fipc_shm_open((fipc_shm **)ret, q->name, q->size, q->flags, q->mode);
}

const struct kind fpy_shm_kind = {
	.name = "SharedMemory",
	.open = open_named,
	.close = close_named,
	.close_at_exit = close_at_exit,
	.unlink = fipc_shm_unlink,
	.opened = take_mapping,
	.closing = check_closable,
	.closed = leave_mapping,
};

/* ---- open ---- */

/* Would it move a mapping of that name that is in use? */
static int check_may_open(const char *name, const struct request *q)
{
	for (const struct mapping *m = mappings; m; m = m->next) {
		const char *its = fipc_name(m->shm);
		if (its && strcmp(its, name + (*name == '/')) == 0 &&
		    (q->size > fipc_shm_size(m->shm) || q->flags & FIPC_TRUNC) && check_no_views(m->views) < 0)
			return -1;
	}
	return 0;
}

static int open_unmoved(Object *self, PyObject *name, struct request *q)
{
	const char *text = PyUnicode_Check(name) ? PyUnicode_AsUTF8(name) : "";
	if (!text || check_may_open(text, q) < 0)
		return -1;
	return fpy_open(self, &fpy_shm_kind, name, NULL, q);
}

static int init_shm(PyObject *o, PyObject *args, PyObject *named)
{
	static char *names[] = {"name", "flags", "mode", "size", NULL};
	PyObject *name, *flags = NULL, *mode = NULL, *size = NULL;
	unsigned long long bytes = 0;
	struct request q = {0};
	int r;
	if (!PyArg_ParseTupleAndKeywords(args, named, "O|OO$O:SharedMemory", names, &name, &flags, &mode, &size) ||
	    fpy_open_flags(flags, mode, &q) < 0 || fpy_unsigned(size, "size", PY_SSIZE_T_MAX, &bytes) < 0)
		return -1;
	q.size = (size_t)bytes;
	begin_moving();
	r = open_unmoved((Object *)o, name, &q);
	end_moving();
	return r;
}

/* ---- as a buffer ---- */

static int get_buffer(PyObject *o, Py_buffer *view, int flags)
{
	SharedMemory *self = (SharedMemory *)o;
	static char nothing[1]; /* what an empty one leads to */
	int r = -1;
	view->obj = NULL;
	begin_moving();
	if (fpy_check_open(&self->base) == 0) {
		fipc_shm *shm = self->base.object;
		void *data = fipc_shm_data(shm);
		r = PyBuffer_FillInfo(view, o, data ? data : nothing, (Py_ssize_t)fipc_shm_size(shm),
				      (self->base.flags & FIPC_READONLY) != 0, flags);
	}
	if (r == 0) {
		self->views++;
		self->mapping->views++;
	}
	end_moving();
	return r;
}

static void release_buffer(PyObject *o, Py_buffer *view)
{
	SharedMemory *self = (SharedMemory *)o;
	(void)view;
	self->views--;
	self->mapping->views--;
}

static PyObject *get_buf(PyObject *self, void *unused)
{
	(void)unused;
	return PyMemoryView_FromObject(self);
}

/* ---- size ---- */

static PyObject *get_size(PyObject *o, void *unused)
{
	Object *self = (Object *)o;
	(void)unused;
	return fpy_check_open(self) < 0 ? NULL : PyLong_FromSize_t(fipc_shm_size(self->object));
}

/* size NULL: as large as it is now. Inside, so that nobody closes it meanwhile. */
static int move(SharedMemory *self, const size_t *size)
{
	fipc_shm *shm = self->base.object;
	int r;
	if (fpy_check_open(&self->base) < 0 || check_no_views(self->mapping->views) < 0)
		return -EINTR;
	fpy_enter(&self->base);
	Py_BEGIN_ALLOW_THREADS
	r = size ? fipc_shm_resize(shm, *size) : fipc_shm_remap(shm);
	Py_END_ALLOW_THREADS
	fpy_leave(&self->base);
	return r;
}

static PyObject *move_alone(PyObject *o, const size_t *size)
{
	int r;
	begin_moving();
	r = move((SharedMemory *)o, size);
	end_moving();
	return r == -EINTR ? NULL : fpy_none_or_raise((Object *)o, r);
}

static PyObject *resize(PyObject *o, PyObject *given)
{
	unsigned long long bytes;
	size_t size;
	if (fpy_unsigned(given, "size", PY_SSIZE_T_MAX, &bytes) < 0)
		return NULL;
	size = (size_t)bytes;
	return move_alone(o, &size);
}

static PyObject *remap(PyObject *self, PyObject *unused)
{
	(void)unused;
	return move_alone(self, NULL);
}

static PyObject *fileno_of(PyObject *o, PyObject *unused)
{
	Object *self = (Object *)o;
	(void)unused;
	return fpy_check_open(self) < 0 ? NULL : PyLong_FromLong(fipc_shm_fd(self->object));
}

static PyObject *info(PyObject *o, PyObject *unused)
{
	Object *self = (Object *)o;
	struct fipc_shm_info i;
	(void)unused;
	if (!LOOK(self, fipc_shm_info, &i))
		return NULL;
	return fpy_info(self->state->infos[SHARED_MEMORY_INFO],
			Py_BuildValue("(IKKK)", i.mode, (unsigned long long)i.bytes, (unsigned long long)i.allocated,
				      (unsigned long long)i.mapped));
}

static PyStructSequence_Field fields[] = {
	{"mode", "permission bits"},
	{"bytes", "how many it holds now"},
	{"allocated", "how many of them have memory"},
	{"mapped", "how many this process has mapped"},
	{NULL, NULL},
};

PyStructSequence_Desc fpy_shm_info = {"fipc.SharedMemoryInfo", "What SharedMemory.info() saw.", fields, 4};

static PyMethodDef methods[] = {
	{"fileno", fileno_of, METH_NOARGS,
	 DOC("fileno($self, /)", "Its descriptor, for mmap and os.fstat; not to be closed, and no file locks on it.")},
	{"resize", resize, METH_O,
	 DOC("resize($self, size, /)",
	     "Make it larger, by zeros, or smaller. BufferError: there are views of it in this\n"
	     "process. Other processes go on with what they have mapped, of which they must not\n"
	     "use what is gone; see remap().")},
	{"remap", remap, METH_NOARGS,
	 DOC("remap($self, /)", "Map what it is now, after another process has resized it. BufferError, as resize().")},
	INFO_METHOD("a SharedMemoryInfo"),
	UNLINK_METHOD,
	CLOSING_ENTER_METHOD,
	CLOSING_EXIT_METHOD,
	{NULL, NULL, 0, NULL},
};

static PyGetSetDef attributes[] = {
	{"buf", get_buf, NULL, "A memoryview of it: each time a new one.", NULL},
	{"size", get_size, NULL, "How many bytes this process has mapped.", NULL},
	{NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot slots[] = {
	{Py_tp_doc,
	 DOC("SharedMemory(name, flags=0, mode=0o600, *, size=0)",
	     "Memory of any number of processes, under a name. It goes with the last process that\n"
	     "has it open, also if that is killed, unless it was made with PERSIST.\n\n"
	     "    shm = fipc.SharedMemory('account', fipc.CREATE, size=4096)\n"
	     "    lock = fipc.Mutex(shm)                      # in its first 64 bytes\n"
	     "    figures = memoryview(shm)[64:].cast('q')\n\n"
	     "It is a buffer: for memoryview(), numpy.frombuffer(), struct.pack_into(), and for a\n"
	     "target of fipc's other types. It can't be closed or resized while such a view is in\n"
	     "use: BufferError.\n\n"
	     "size: bytes, zeros, when it is made; when it is joined, how many are needed at\n"
	     "least: fewer are made as many. flags: CREATE, EXCL, REPLACE, PERSIST, READONLY,\n"
	     "ANY_OWNER, and TRUNC: what is joined is emptied. All SharedMemory of one name in a\n"
	     "process have one mapping. A with block closes it.")},
	{Py_tp_init, init_shm},
	{Py_tp_methods, methods},
	{Py_tp_getset, attributes},
	{Py_bf_getbuffer, get_buffer},
	{Py_bf_releasebuffer, release_buffer},
	{0, NULL},
};

PyType_Spec fpy_shm_spec = TYPE_SPEC("fipc.SharedMemory", SharedMemory, slots);
