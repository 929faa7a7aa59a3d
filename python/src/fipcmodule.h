/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The module fipc._fipc: what its files share. Each type of fipc is a Python type, of a file of its own, derived from
 * _Object (object.c), which knows how an object is opened, attached, closed, pickled and dropped.
 *
 * The GIL. Calls that cannot wait are made with it. Those that can are tried with it first, and then sleep without
 * (sleep.c). Whoever is inside a call without the GIL has counted itself in self->inside, so that nobody closes the
 * object meanwhile; that count, and all else here, is written with the GIL held.
 */
#ifndef FIPC_MODULE_H
#define FIPC_MODULE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <fipc.h>

#include <stdbool.h>

/* ---- module ---- */

enum error_class { /* index into state.errors; see errors.c */
	ERROR,
	OWNER_DIED,
	NOT_RECOVERABLE,
	DEADLOCK,
	NOT_OWNER,
	ACCESS_DENIED,
	NOT_FOUND,
	EXISTS,
	TIMED_OUT,
	WOULD_BLOCK,
	BUSY,
	INVALID,
	TOO_LONG,
	TOO_MANY,
	CORRUPT,
	ERROR_CLASSES
};

enum info_class { /* index into state.infos */
	MUTEX_INFO,
	RWLOCK_INFO,
	SEMAPHORE_INFO,
	EVENT_INFO,
	CONDITION_INFO,
	SHARED_MEMORY_INFO,
	MESSAGE_QUEUE_INFO,
	INFO_CLASSES
};

struct state {
	PyObject *errors[ERROR_CLASSES];
	PyTypeObject *infos[INFO_CLASSES];
	PyTypeObject *object, *hold, *recovery, *mutex;
	PyObject *reopen; /* what a pickle calls */
};

struct state *fpy_module_state(PyObject *module);
/* The type of ours that it is, or is derived from; NULL: it is neither. */
PyTypeObject *fpy_own_type(PyTypeObject *type);

/* ---- errors.c ---- */

int fpy_errors_add(PyObject *module, struct state *state);
/* Raise what r, a negative errno, is; about the object `name` (a str, or NULL). Returns NULL. */
PyObject *fpy_raise(struct state *state, int r, PyObject *name);
/* -EAGAIN, of a queue. */
PyObject *fpy_raise_would_block(struct state *state, PyObject *name);
/* The same of an open or unlink, where -EPERM is about the object, and -EINVAL about the arguments. */
PyObject *fpy_raise_open(struct state *state, int r, PyObject *name, const char *kind);

/* ---- arguments.c ---- */

/* The parameters of a function: `positional` of the `total` may be given without a name, `required` must be given. */
struct signature {
	const char *function;
	const char *const *names;
	int positional, total, required;
};
/* *ret: total borrowed references, NULL where nothing was given. 0, or -1 and an exception. */
int fpy_parse(const struct signature *s, PyObject *const *args, Py_ssize_t nargs, PyObject *names, PyObject **ret);

/*
 * How long to wait: nanoseconds; 0 not at all, FIPC_FOREVER for ever. It becomes a deadline, which takes a look at the
 * clock, only when a wait begins.
 */
typedef int64_t patience;
static inline fipc_deadline fpy_until(patience p)
{
	return p == FIPC_FOREVER ? FIPC_FOREVER : fipc_after_ns(p);
}

/* Of both NULL and None is for ever. 0, or -1 and an exception. */
int fpy_patience(PyObject *timeout, PyObject *timeout_ns, patience *ret);
/* The same with block (NULL: true). */
int fpy_patience_to_block(PyObject *block, PyObject *timeout, PyObject *timeout_ns, patience *ret);
/* (block, timeout, *, timeout_ns): what acquire and receive take. */
int fpy_parse_acquire(const char *function, PyObject *const *args, Py_ssize_t nargs, PyObject *names, patience *ret);
/* (timeout, *, timeout_ns) */
int fpy_parse_timeout(const char *function, PyObject *const *args, Py_ssize_t nargs, PyObject *names, patience *ret);
/* An int of 0 to max; NULL: *ret stays. 0, or -1 and an exception that names it `what`. */
int fpy_unsigned(PyObject *value, const char *what, unsigned long long max, unsigned long long *ret);

/* ---- object.c ---- */

/* What __init__ was told. */
struct request {
	const char *name; /* NULL: a random one */
	unsigned flags;
	mode_t mode;
	uint32_t initial;	  /* Semaphore */
	unsigned readers;	  /* RWLock */
	size_t size;		  /* SharedMemory; in memory: how much there is from the offset on */
	struct fipc_mq_attr attr; /* MessageQueue */
};

typedef struct Object Object;

struct kind {
	const char *name;
	size_t size, alignment; /* in memory: bytes needed at least; 0: not there */
	unsigned memory_flags;	/* in memory: those that are allowed */
	int (*open)(void **ret, const struct request *q);
	int (*close)(void *object);
	int (*close_at_exit)(void *object); /* NULL: the same */
	int (*unlink)(const char *name);
	int (*attach)(void *memory, const struct request *q);
	int (*init)(void *memory, const struct request *q);
	int (*destroy)(void *memory);
	bool (*held)(Object *self);   /* by this process, as far as is known; NULL: never */
	/* NULL: nothing to do. */
	int (*opened)(Object *self);  /* just now; -1 and an exception closes it again */
	int (*closing)(Object *self); /* may it be? else -1 and an exception */
	void (*closed)(Object *self, void *object);
};

struct opened; /* at_exit.c */

struct Object {
	PyObject_HEAD
	struct state *state;
	const struct kind *kind;
	void *object;	  /* libfipc's; NULL: closed, or not yet open */
	Py_buffer memory; /* pinned while the object lives; obj NULL: it is one with a name */
	PyObject *name;
	PyObject *on_owner_death;
	PyObject *weak_references;
	struct opened *opened;
	Py_ssize_t inside;	/* calls without the GIL; of this process: */
	unsigned long forks;	/* how often it had been forked when that was counted */
	Py_ssize_t held;	/* locks: times acquired through this object and not released */
	unsigned long repairer; /* the thread that is in recover() or on_owner_death; 0: none */
	unsigned flags;		/* that a copy is opened with */
	bool created;
	char interruptible; /* a bool of Python's: a handled signal ends its waits */
};

extern PyType_Spec fpy_object_spec;

/* What all __init__ do, with what they parsed. target: name, None or buffer. offset: NULL, or an int. */
int fpy_open(Object *self, const struct kind *kind, PyObject *target, PyObject *offset, struct request *q);
/* The same for those that take (target, flags, mode, *, offset), and nothing else. */
int fpy_open_plain(Object *self, const struct kind *kind, PyObject *args, PyObject *named);
/* NULL where not given. */
int fpy_open_flags(PyObject *flags, PyObject *mode, struct request *q);
PyObject *fpy_reopen(PyObject *module, PyObject *args);
/* What keeps it open goes; for SharedMemory, which has more to say about that. 0, or -1 and an exception. */
int fpy_close(Object *self);

/* Is it open? Else -1 and a ValueError. */
static inline int fpy_check_open(Object *self);
int fpy_say_closed(Object *self);
/* Around a call without the GIL. */
void fpy_enter(Object *self);
void fpy_leave(Object *self);
/* Is a call of this process inside? */
bool fpy_inside(const Object *self);
PyObject *fpy_raise_of(Object *self, int r);
/* None, or what r < 0 is. */
PyObject *fpy_none_or_raise(Object *self, int r);
/* Was that, what an info call has returned, a success? Else there is an exception. */
bool fpy_looked(Object *self, int r);
/* __enter__ and __exit__ of those where `with` closes. */
PyObject *fpy_enter_to_close(PyObject *self, PyObject *unused);
PyObject *fpy_exit_and_close(PyObject *self, PyObject *const *args, Py_ssize_t nargs);
/* The object's unlink(), destroy(); and by name alone. */
PyObject *fpy_unlink(PyObject *self, PyObject *unused);
PyObject *fpy_destroy(PyObject *self, PyObject *unused);
PyObject *fpy_unlink_by_name(PyObject *module, PyObject *name, const struct kind *kind);

static inline int fpy_check_open(Object *self)
{
	return __builtin_expect(self->object != NULL, 1) ? 0 : fpy_say_closed(self);
}

/* ---- sleep.c ---- */

typedef int (*fpy_call)(void *object, fipc_deadline d, void *argument);
/*
 * Call it without the GIL, until it is not interrupted any more. Returns what it did, or -EINTR and the exception that
 * a signal handler has raised.
 */
int fpy_sleep(fpy_call call, void *object, fipc_deadline d, void *argument);
/* The same inside self. */
int fpy_sleep_in(Object *self, fpy_call call, fipc_deadline d, void *argument);

/* ---- at_exit.c: what Python did not close ---- */

int fpy_at_exit_begin(void);
struct opened *fpy_at_exit_add(void *object, int (*close)(void *));
void fpy_at_exit_remove(struct opened *opened);
/* How many calls without the GIL are inside it now; NULL: it is not one of them. */
void fpy_at_exit_note(struct opened *opened, Py_ssize_t inside);
/* How often this process, and those that it comes from, were forked. */
unsigned long fpy_forks(void);

/* ---- death.c: what follows when an owner died inside ---- */

struct lock_calls { /* of a mutex or rwlock */
	int (*abandon)(void *object);
	int (*consistent)(void *object);
	int (*unlock)(void *object);
};

/*
 * r is what a locking call returned. Held: 0 if self is to go on with it; else it is not held any more, and there is an
 * exception. -EINTR: there is one already.
 */
int fpy_admit(Object *self, const struct lock_calls *calls, int r);

/* The same of a lock that was held, let go of, and had again: r is what that gave. */
int fpy_readmit(Object *self, const struct lock_calls *calls, int r);

struct hold_call { /* one way to hold it */
	fpy_call call;
	const struct lock_calls *calls;
	bool to_read; /* after a death, which is told to who holds it to write, it is to be had once more */
};
/* 1: held; 0: not, and the time is over; -1 and an exception. */
int fpy_lock(Object *self, const struct hold_call *how, patience p);
/* release(), and that of a with block; exc: the exception that it ends with, or None. */
PyObject *fpy_release(Object *self, const struct lock_calls *calls, PyObject *exc);
/* Is the caller where only the block may release? Then -1 and an exception. */
int fpy_check_not_repairing(Object *self);
int fpy_set_on_owner_death(Object *self, PyObject *handler);
extern PyGetSetDef fpy_on_owner_death[];
PyObject *fpy_ignore_death(PyObject *module, PyObject *lock);

/* What `with` gets. type: state->hold, or state->recovery. The rest is what recover(), reader() or writer() was given. */
PyObject *fpy_hold_new(PyTypeObject *type, Object *lock, const struct hold_call *how, const char *function,
		       PyObject *const *args, Py_ssize_t nargs, PyObject *names);
extern PyType_Spec fpy_hold_spec, fpy_recovery_spec;

/*
 * The kind of an object of 64 bytes, by libfipc's calls of that prefix; last, what of the request init, attach and open
 * take. The casts from void * are theirs: a function is not called through a pointer to another type.
 */
#define SMALL_KIND(variable, prefix, class, flags_in_memory, held_here, ...)                                    \
	static int prefix##_open(void **ret, const struct request *q)                                           \
	{                                                                                                       \
		return fipc_##prefix##_open((fipc_##prefix **)ret, q->name, __VA_ARGS__, q->mode);              \
	}                                                                                                       \
	static int prefix##_close(void *object)                                                                 \
	{                                                                                                       \
		return fipc_##prefix##_close(object);                                                           \
	}                                                                                                       \
	static int prefix##_attach(void *memory, const struct request *q)                                       \
	{                                                                                                       \
		return fipc_##prefix##_attach(memory, __VA_ARGS__);                                             \
	}                                                                                                       \
	static int prefix##_init(void *memory, const struct request *q)                                         \
	{                                                                                                       \
		return fipc_##prefix##_init(memory, __VA_ARGS__);                                               \
	}                                                                                                       \
	static int prefix##_destroy(void *memory)                                                               \
	{                                                                                                       \
		return fipc_##prefix##_destroy(memory);                                                         \
	}                                                                                                       \
	const struct kind variable = {                                                                          \
		.name = class,                                                                                  \
		.size = sizeof(fipc_##prefix),                                                                  \
		.alignment = 8,                                                                                 \
		.memory_flags = flags_in_memory,                                                                \
		.open = prefix##_open,                                                                          \
		.close = prefix##_close,                                                                        \
		.unlink = fipc_##prefix##_unlink,                                                               \
		.attach = prefix##_attach,                                                                      \
		.init = prefix##_init,                                                                          \
		.destroy = prefix##_destroy,                                                                    \
		.held = held_here,                                                                              \
	}

#define TYPE_SPEC(class, object, its_slots)                                                                     \
	{                                                                                                       \
		.name = class, .basicsize = sizeof(object), .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,  \
		.slots = its_slots,                                                                             \
	}

/* ---- the types ---- */

extern PyType_Spec fpy_u32_spec, fpy_u64_spec, fpy_word_spec, fpy_mutex_spec, fpy_rwlock_spec, fpy_semaphore_spec,
	fpy_event_spec, fpy_condition_spec, fpy_shm_spec, fpy_mq_spec;
extern PyStructSequence_Desc fpy_mutex_info, fpy_rwlock_info, fpy_semaphore_info, fpy_event_info, fpy_condition_info,
	fpy_shm_info, fpy_mq_info;
extern const struct kind fpy_mutex_kind, fpy_rwlock_kind, fpy_semaphore_kind, fpy_event_kind, fpy_condition_kind,
	fpy_shm_kind, fpy_mq_kind;
int fpy_mutex_readmit(Object *mutex, int r);
PyObject *fpy_wait_any(PyObject *module, PyObject *const *args, Py_ssize_t nargs, PyObject *names);
int fpy_shm_begin(void);
/* At exit: who is told of messages by a call is not told any more. */
PyObject *fpy_mq_end(PyObject *module, PyObject *unused);

/* A struct sequence of what is in the tuple, which it takes; NULL: an exception is set. */
PyObject *fpy_info(PyTypeObject *type, PyObject *tuple);

/* ---- for the method tables ---- */

#define FASTCALL(function) ((PyCFunction)(void (*)(void))(function))
#define METH_FAST (METH_FASTCALL | METH_KEYWORDS)
#define DOC(signature, text) signature "\n--\n\n" text

/* What several types have. */
#define UNLINK_METHOD                                                                                         \
	{"unlink", fpy_unlink, METH_NOARGS,                                                                   \
	 DOC("unlink($self, /)", "Take the name away. Who has it open goes on; the next open makes a new one.")}
#define DESTROY_METHOD                                                                                        \
	{"destroy", fpy_destroy, METH_NOARGS,                                                                 \
	 DOC("destroy($self, /)",                                                                             \
	     "In memory: end it, and close; its memory may be used for something else. Busy: it is\n"         \
	     "in use.")}
#define CLOSING_ENTER_METHOD                                                                                  \
	{"__enter__", fpy_enter_to_close, METH_NOARGS, DOC("__enter__($self, /)", "Itself.")}
#define CLOSING_EXIT_METHOD                                                                                   \
	{"__exit__", FASTCALL(fpy_exit_and_close), METH_FASTCALL,                                             \
	 DOC("__exit__($self, kind, exc, trace, /)", "close()")}
#define INFO_METHOD(class)                                                                                    \
	{"info", info, METH_NOARGS, DOC("info($self, /)", "Look at it, without touching it: " class ".")}

/* What info() of a type looks at its object with: false, and an exception, if it can't. */
#define LOOK(self, call, ret) (fpy_check_open(self) == 0 && fpy_looked(self, call((self)->object, ret, sizeof(*(ret)))))

#endif
