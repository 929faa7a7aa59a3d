/* SPDX-License-Identifier: Apache-2.0 */
/* MessageQueue. */
#include "fipcmodule.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

/* Longer ones are copied without the GIL: 64 KiB take 5 us. */
#define LONG_MESSAGE 65536

typedef struct {
	Object base;
	struct fipc_mq_attr attr;
	char *room; /* where a message is received; NULL while a thread is using it, and before the first */
} MessageQueue;

static int open_named(void **ret, const struct request *q)
{
	return fipc_mq_open((fipc_mq **)ret, q->name, &q->attr, q->flags, q->mode);
}

static int close_named(void *q)
{
	return fipc_mq_close(q);
}

static int opened(Object *o)
{
	MessageQueue *self = (MessageQueue *)o;
	int r = fipc_mq_getattr(o->object, &self->attr);
	if (r == 0)
		return 0;
	fpy_raise_of(o, r);
	return -1;
}

static void forget_registration(void *queue);

static void closed(Object *o, void *queue)
{
	MessageQueue *self = (MessageQueue *)o;
	PyMem_RawFree(self->room);
	self->room = NULL;
	if (!fipc_name(queue)) /* the last one to close it has ended its registration */
		forget_registration(queue);
}

const struct kind fpy_mq_kind = {
	.name = "MessageQueue",
	.open = open_named,
	.close = close_named,
	.unlink = fipc_mq_unlink,
	.opened = opened,
	.closed = closed,
};

static int init_mq(PyObject *o, PyObject *args, PyObject *named)
{
	static char *names[] = {"name", "flags", "mode", "max_messages", "max_message_size", NULL};
	PyObject *name, *flags = NULL, *mode = NULL, *messages = NULL, *size = NULL;
	unsigned long long n = 10, bytes = 8192;
	struct request q = {0};
	if (!PyArg_ParseTupleAndKeywords(args, named, "O|OO$OO:MessageQueue", names, &name, &flags, &mode, &messages,
					 &size) ||
	    fpy_open_flags(flags, mode, &q) < 0 || fpy_unsigned(messages, "max_messages", 1000000, &n) < 0 ||
	    fpy_unsigned(size, "max_message_size", 16777216, &bytes) < 0)
		return -1;
	q.attr = (struct fipc_mq_attr){(uint32_t)n, (uint32_t)bytes};
	return fpy_open((Object *)o, &fpy_mq_kind, name, NULL, &q);
}

/* ---- send, receive ---- */

struct message {
	char *data;
	size_t size;
	unsigned priority;
};

static int send_until(void *q, fipc_deadline d, void *argument)
{
	const struct message *m = argument;
	return fipc_mq_send(q, m->data, m->size, m->priority, d);
}

/* What it returns fits: 16 MiB at most. */
static int receive_until(void *q, fipc_deadline d, void *argument)
{
	struct message *m = argument;
	return (int)fipc_mq_receive(q, m->data, m->size, &m->priority, d);
}

/* With the GIL, if that is soon done; then without. -EBUSY: a peer is stopped in the middle; it may yet go on. */
static int transfer(Object *self, fpy_call call, struct message *m, size_t size, patience p)
{
	int r = size > LONG_MESSAGE ? -EBUSY : call(self->object, FIPC_NOW, m);
	if (r == -EBUSY || (r == -EAGAIN && p > 0))
		r = fpy_sleep_in(self, call, p > 0 ? fpy_until(p) : FIPC_NOW, m);
	return r;
}

static PyObject *raise_of_transfer(Object *self, int r)
{
	if (r == -EINTR)
		return NULL;
	return r == -EAGAIN ? fpy_raise_would_block(self->state, self->name) : fpy_raise_of(self, r);
}

static PyObject *send_it(Object *self, PyObject *data, unsigned priority, patience p)
{
	Py_buffer b;
	struct message m;
	int r;
	if (PyObject_GetBuffer(data, &b, PyBUF_SIMPLE) < 0)
		return NULL;
	m = (struct message){b.buf, (size_t)b.len, priority};
	r = fpy_check_open(self) < 0 ? -EINTR : transfer(self, send_until, &m, m.size, p);
	PyBuffer_Release(&b);
	if (r < 0)
		return raise_of_transfer(self, r);
	Py_RETURN_NONE;
}

static PyObject *send(PyObject *o, PyObject *const *args, Py_ssize_t nargs, PyObject *names)
{
	static const char *const parameters[] = {"message", "priority", "block", "timeout", "timeout_ns"};
	static const struct signature s = {"send", parameters, 4, 5, 1};
	PyObject *given[5];
	unsigned long long priority = 0;
	patience p;
	if (fpy_parse(&s, args, nargs, names, given) < 0 ||
	    fpy_unsigned(given[1], "priority", UINT32_MAX, &priority) < 0 ||
	    fpy_patience_to_block(given[2], given[3], given[4], &p) < 0)
		return NULL;
	return send_it((Object *)o, given[0], (unsigned)priority, p);
}

/* Room for one message. Who finds it in use by a thread that waits takes other room. */
static char *take_room(MessageQueue *self)
{
	char *room = self->room;
	self->room = NULL;
	if (!room)
		room = PyMem_RawMalloc(self->attr.max_message_size);
	if (!room)
		PyErr_NoMemory();
	return room;
}

static void give_room_back(MessageQueue *self, char *room)
{
	if (self->room || !self->base.object) {
		PyMem_RawFree(room);
		return;
	}
	self->room = room;
}

static PyObject *receive(PyObject *o, PyObject *const *args, Py_ssize_t nargs, PyObject *names)
{
	MessageQueue *self = (MessageQueue *)o;
	struct message m;
	PyObject *result;
	patience p;
	int r;
	if (fpy_parse_acquire("receive", args, nargs, names, &p) < 0 || fpy_check_open(&self->base) < 0)
		return NULL;
	m = (struct message){take_room(self), self->attr.max_message_size, 0};
	if (!m.data)
		return NULL;
	r = transfer(&self->base, receive_until, &m, m.size, p);
	result = r < 0 ? raise_of_transfer(&self->base, r)
		       : Py_BuildValue("(y#I)", m.data, (Py_ssize_t)r, m.priority);
	give_room_back(self, m.data);
	return result;
}

/* ---- notify ---- */

/*
 * The thread that libfipc calls back in may come late: when the registration was ended, or Python is about to. So it
 * brings a number, and whoever takes what is registered under it first, with the GIL held, has it.
 */
struct registration {
	struct registration *next;
	uintptr_t number;
	const void *queue;
	PyObject *callback;
};

static struct registration *registrations;
static atomic_bool ended; /* relaxed: a thread that is too late for it finds no GIL */

static PyObject *take_callback(uintptr_t number)
{
	for (struct registration **at = &registrations; *at; at = &(*at)->next) {
		struct registration *r = *at;
		if (r->number == number) {
			PyObject *callback = r->callback;
			*at = r->next;
			free(r);
			return callback;
		}
	}
	return NULL;
}

static struct registration *registration_of(const void *queue)
{
	struct registration *r = registrations;
	while (r && queue && r->queue != queue)
		r = r->next;
	return r;
}

/* NULL: all. One by one, from the beginning: to drop a callback may do anything. */
static void forget_registration(void *queue)
{
	struct registration *r;
	while ((r = registration_of(queue)))
		Py_XDECREF(take_callback(r->number));
}

PyObject *fpy_mq_end(PyObject *module, PyObject *unused)
{
	(void)module;
	(void)unused;
	atomic_store_explicit(&ended, true, memory_order_relaxed);
	forget_registration(NULL);
	Py_RETURN_NONE;
}

static void call_back(union sigval number)
{
	PyGILState_STATE gil;
	PyObject *callback, *r = NULL;
	if (atomic_load_explicit(&ended, memory_order_relaxed))
		return;
	gil = PyGILState_Ensure();
	callback = take_callback((uintptr_t)number.sival_ptr);
	if (callback) {
		r = PyObject_CallNoArgs(callback);
		if (!r)
			PyErr_WriteUnraisable(callback);
	}
	Py_XDECREF(r);
	Py_XDECREF(callback);
	PyGILState_Release(gil);
}

static int notify_without_gil(Object *self, const struct sigevent *how)
{
	int r;
	fpy_enter(self);
	Py_BEGIN_ALLOW_THREADS
	r = fipc_mq_notify(self->object, how);
	Py_END_ALLOW_THREADS
	fpy_leave(self);
	return r;
}

static int notify_by_call(Object *self, PyObject *callback)
{
	static uintptr_t number;
	struct sigevent how = {.sigev_notify = SIGEV_THREAD, .sigev_notify_function = call_back};
	struct registration *new = malloc(sizeof(*new));
	uintptr_t mine = ++number;
	int r;
	if (!new)
		return -ENOMEM;
	Py_INCREF(callback);
	*new = (struct registration){registrations, mine, self->object, callback};
	registrations = new;
	how.sigev_value.sival_ptr = (void *)mine;
	r = notify_without_gil(self, &how);
	if (r < 0)
		Py_XDECREF(take_callback(mine));
	return r;
}

static int notify_by_signal(Object *self, PyObject *signal)
{
	struct sigevent how = {.sigev_notify = SIGEV_SIGNAL};
	unsigned long long number;
	if (fpy_unsigned(signal, "a signal's number", (unsigned long long)SIGRTMAX, &number) < 0)
		return -EINTR;
	how.sigev_signo = (int)number;
	if (number > 0)
		return notify_without_gil(self, &how);
	PyErr_SetString(PyExc_ValueError, "0 is no signal; None ends the registration");
	return -EINTR;
}

static int end_registration(Object *self)
{
	int r = notify_without_gil(self, NULL);
	if (r == 0)
		forget_registration(self->object);
	return r;
}

static PyObject *notify(PyObject *o, PyObject *how)
{
	Object *self = (Object *)o;
	int r;
	if (fpy_check_open(self) < 0)
		return NULL;
	if (how == Py_None)
		r = end_registration(self);
	else if (PyCallable_Check(how))
		r = notify_by_call(self, how);
	else
		r = notify_by_signal(self, how);
	return r == -EINTR ? NULL : fpy_none_or_raise(self, r);
}

/* ---- looking ---- */

static PyObject *fileno_of(PyObject *o, PyObject *unused)
{
	Object *self = (Object *)o;
	int r;
	(void)unused;
	if (fpy_check_open(self) < 0)
		return NULL;
	r = fipc_mq_fd(self->object);
	return r < 0 ? fpy_raise_of(self, r) : PyLong_FromLong(r);
}

static PyObject *get_count(PyObject *o, void *unused)
{
	Object *self = (Object *)o;
	(void)unused;
	return fpy_check_open(self) < 0 ? NULL : PyLong_FromLongLong(fipc_mq_count(self->object));
}

static PyObject *get_max_messages(PyObject *self, void *unused)
{
	(void)unused;
	return PyLong_FromUnsignedLong(((MessageQueue *)self)->attr.max_messages);
}

static PyObject *get_max_message_size(PyObject *self, void *unused)
{
	(void)unused;
	return PyLong_FromUnsignedLong(((MessageQueue *)self)->attr.max_message_size);
}

static PyObject *info(PyObject *o, PyObject *unused)
{
	Object *self = (Object *)o;
	struct fipc_mq_info i;
	(void)unused;
	if (!LOOK(self, fipc_mq_info, &i))
		return NULL;
	return fpy_info(self->state->infos[MESSAGE_QUEUE_INFO],
			Py_BuildValue("(IIIIIIKK)", i.max_messages, i.max_message_size, i.messages, i.receivers,
				      i.senders, i.notify_pid, (unsigned long long)i.sent, (unsigned long long)i.received));
}

static PyStructSequence_Field fields[] = {
	{"max_messages", "how many it can hold"},
	{"max_message_size", "of how many bytes each"},
	{"messages", "in the queue"},
	{"receivers", "threads asleep in receive()"},
	{"senders", "threads asleep in send()"},
	{"notify_pid", "the process that is registered by notify(); 0: none"},
	{"sent", "messages since it was made"},
	{"received", "the same"},
	{NULL, NULL},
};

PyStructSequence_Desc fpy_mq_info = {"fipc.MessageQueueInfo", "What MessageQueue.info() saw: words that change.", fields,
				     8};

static PyMethodDef methods[] = {
	{"send", FASTCALL(send), METH_FAST,
	 DOC("send($self, /, message, priority=0, block=True, timeout=None, *, timeout_ns=None)",
	     "Send bytes, or another buffer, of max_message_size at most (TooLong). priority: 0 to\n"
	     "2 ** 32 - 1, the highest comes out first. While it is full this waits; WouldBlock, a\n"
	     "BlockingIOError: it was not to (block=False, or a timeout of 0); TimedOut, a\n"
	     "TimeoutError: the time is over. Nothing was sent, then.")},
	{"receive", FASTCALL(receive), METH_FAST,
	 DOC("receive($self, /, block=True, timeout=None, *, timeout_ns=None)",
	     "The next message: (bytes, priority). While it is empty this waits; WouldBlock,\n"
	     "TimedOut: see send().")},
	{"notify", notify, METH_O,
	 DOC("notify($self, how, /)",
	     "Be told, once, when a message comes to the empty queue and nobody waits in\n"
	     "receive().\n\n"
	     "how: a signal's number; or a callable, which is called without arguments, in a\n"
	     "thread of its own; or None: not any more. Messages that are there already are not\n"
	     "told of: who has been told registers again, and then empties the queue. Busy:\n"
	     "somebody is registered; there is one registration in the whole system.")},
	{"fileno", fileno_of, METH_NOARGS,
	 DOC("fileno($self, /)",
	     "A descriptor that is readable, for select and asyncio, while the queue is not empty;\n"
	     "for nothing else. Another process may be faster: receive(block=False). A child of\n"
	     "fork asks anew.")},
	INFO_METHOD("a MessageQueueInfo"),
	UNLINK_METHOD,
	CLOSING_ENTER_METHOD,
	CLOSING_EXIT_METHOD,
	{NULL, NULL, 0, NULL},
};

static PyGetSetDef attributes[] = {
	{"count", get_count, NULL, "The messages that are in it at this moment.", NULL},
	{"max_messages", get_max_messages, NULL, "How many it can hold.", NULL},
	{"max_message_size", get_max_message_size, NULL, "Of how many bytes each.", NULL},
	{NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot slots[] = {
	{Py_tp_doc,
	 DOC("MessageQueue(name, flags=0, mode=0o600, *, max_messages=10, max_message_size=8192)",
	     "Messages for any number of processes, under a name: the highest priority first, then\n"
	     "the oldest.\n\n"
	     "    jobs = fipc.MessageQueue('jobs', fipc.CREATE, max_messages=100)\n"
	     "    jobs.send(b'print 7', timeout=1)\n"
	     "    message, priority = jobs.receive()\n\n"
	     "Who is killed while it sends has sent the message whole, or not at all; of who is\n"
	     "killed while it receives, the message is still there, or was in its hands. The\n"
	     "others go on.\n\n"
	     "max_messages (1 to 1000000), max_message_size (1 to 16777216): of a queue that is\n"
	     "made, in memory that is had then; ignored by who joins. flags: CREATE, EXCL,\n"
	     "REPLACE, PERSIST, READONLY, ANY_OWNER. A with block closes it.")},
	{Py_tp_init, init_mq},
	{Py_tp_methods, methods},
	{Py_tp_getset, attributes},
	{0, NULL},
};

PyType_Spec fpy_mq_spec = TYPE_SPEC("fipc.MessageQueue", MessageQueue, slots);
