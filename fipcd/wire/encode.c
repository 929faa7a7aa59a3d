/* SPDX-License-Identifier: Apache-2.0 */
#include "encode.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

/* A Varlink integer is an int64. */
static json_int_t integer(uint64_t n)
{
	return n > INT64_MAX ? INT64_MAX : (json_int_t)n;
}

/* A string that came from a file another user may have written. */
static json_t *text(const char *s, size_t size)
{
	char clean[256];
	size_t n = 0;
	for (; n < size && n < sizeof(clean) - 1 && s[n]; n++)
		clean[n] = s[n] >= ' ' && s[n] <= '~' ? s[n] : '?';
	clean[n] = 0;
	return json_string(clean);
}

/* A directory's path is the operator's own, and need not be UTF-8. */
static json_t *path(const char *s)
{
	json_t *string = json_string(s);
	return string ? string : text(s, strlen(s));
}

static json_t *unless_zero(uint64_t n)
{
	return n ? json_integer(integer(n)) : NULL;
}

static const char *mutex_state_name(uint32_t state)
{
	switch (state) {
	case FIPC_MUTEX_FREE:
		return "free";
	case FIPC_MUTEX_HELD:
		return "held";
	case FIPC_MUTEX_DIED:
		return "owner-died";
	case FIPC_MUTEX_RECOVERING:
		return "recovering";
	case FIPC_MUTEX_NOT_RECOVERABLE:
		return "not-recoverable";
	}
	return "unknown";
}

static json_t *mutex(const struct fipc_object *o)
{
	const struct fipc_mutex_info *m = &o->mutex;
	return json_pack("{s:s, s:o*, s:o*, s:I, s:I, s:I, s:I, s:o*}", "state", mutex_state_name(m->state),
			 "owner_pid", unless_zero(m->owner_pid), "owner_tid", unless_zero(m->owner_tid), "waiters",
			 (json_int_t)m->waiters, "owner_deaths", (json_int_t)m->owner_deaths, "contended",
			 (json_int_t)m->contended, "acquisitions", (json_int_t)m->acquisitions, "acquired_nsec",
			 unless_zero(m->acquired_ns));
}

static json_t *holders(const struct fipc_object *o)
{
	json_t *array = json_array();
	for (unsigned i = 0; array && i < o->n_holders && i < FIPC_HOLDERS_MAX; i++) {
		const struct fipc_holder *h = &o->holders[i];
		if (json_array_append_new(array, json_pack("{s:o*, s:o*, s:I}", "pid", unless_zero(h->pid), "tid",
							   unless_zero(h->tid), "count", (json_int_t)h->count)) < 0) {
			json_decref(array);
			array = NULL;
		}
	}
	return array;
}

static json_t *sem(const struct fipc_object *o)
{
	const struct fipc_sem_info *s = &o->sem;
	bool owned = (o->flags & FIPC_OWNED) != 0;
	return json_pack("{s:s, s:I, s:I, s:o*, s:o*, s:o*, s:o*}", "state", s->value ? "available" : "exhausted",
			 "tokens", (json_int_t)s->value, "waiters", (json_int_t)s->waiters, "last_pid",
			 unless_zero(s->last_pid), "acquired_nsec", unless_zero(s->acquired_ns), "n_holders",
			 owned ? json_integer((json_int_t)o->n_holders) : NULL, "holders", owned ? holders(o) : NULL);
}

static json_t *event(const struct fipc_object *o)
{
	return json_pack("{s:s, s:I, s:I}", "state", o->event.set ? "set" : "clear", "waiters",
			 (json_int_t)o->event.waiters, "sets", (json_int_t)o->event.sets);
}

static json_t *cond(const struct fipc_object *o)
{
	return json_pack("{s:s, s:I, s:I}", "state", o->cond.waiters ? "awaited" : "idle", "waiters",
			 (json_int_t)o->cond.waiters, "signals", (json_int_t)o->cond.signals);
}

static const char *rwlock_state_name(uint32_t state)
{
	switch (state) {
	case FIPC_RWLOCK_FREE:
		return "free";
	case FIPC_RWLOCK_READ:
		return "read";
	case FIPC_RWLOCK_WRITTEN:
		return "written";
	case FIPC_RWLOCK_DIED:
		return "owner-died";
	case FIPC_RWLOCK_RECOVERING:
		return "recovering";
	case FIPC_RWLOCK_NOT_RECOVERABLE:
		return "not-recoverable";
	}
	return "unknown";
}

static json_t *rwlock(const struct fipc_object *o)
{
	const struct fipc_rwlock_info *l = &o->rwlock;
	return json_pack("{s:s, s:I, s:I, s:o*, s:o*, s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "state",
			 rwlock_state_name(l->state), "readers", (json_int_t)l->readers, "max_readers",
			 (json_int_t)l->max_readers, "owner_pid", unless_zero(l->writer_pid), "owner_tid",
			 unless_zero(l->writer_tid), "waiters", (json_int_t)l->waiters, "owner_deaths",
			 (json_int_t)l->owner_deaths, "reader_deaths", (json_int_t)l->reader_deaths, "contended",
			 (json_int_t)l->contended, "reads", (json_int_t)l->reads, "writes", (json_int_t)l->writes,
			 "holders", holders(o));
}

static json_t *shm(const struct fipc_object *o)
{
	return json_pack("{s:s, s:I, s:I}", "state", o->shm.bytes ? "filled" : "empty", "bytes", integer(o->shm.bytes),
			 "allocated", integer(o->shm.allocated));
}

static json_t *mq(const struct fipc_object *o)
{
	const struct fipc_mq_info *q = &o->mq;
	const char *state = q->messages == 0 ? "empty" : q->messages < q->max_messages ? "queued" : "full";
	return json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:o*, s:I, s:I}", "state", state, "messages",
			 (json_int_t)q->messages, "max_messages", (json_int_t)q->max_messages, "max_message_size",
			 (json_int_t)q->max_message_size, "waiters", (json_int_t)q->receivers + q->senders, "receivers",
			 (json_int_t)q->receivers, "senders", (json_int_t)q->senders, "notify_pid",
			 unless_zero(q->notify_pid), "sent", integer(q->sent), "received", integer(q->received));
}

/* Python's fastipc keeps time by CLOCK_REALTIME. */
static json_t *microseconds(uint64_t ns)
{
	return unless_zero(ns / 1000);
}

static json_t *py_mutex(const struct fipc_object *o)
{
	const struct fipc_mutex_info *m = &o->mutex;
	return json_pack("{s:s, s:o*, s:I, s:o*}", "state", mutex_state_name(m->state), "owner_pid",
			 unless_zero(m->owner_pid), "waiters", (json_int_t)m->waiters, "acquired_usec",
			 microseconds(m->acquired_ns));
}

static json_t *py_sema(const struct fipc_object *o)
{
	const struct fipc_sem_info *s = &o->sem;
	return json_pack("{s:s, s:I, s:I, s:o*, s:o*}", "state", s->value ? "available" : "exhausted", "tokens",
			 (json_int_t)s->value, "waiters", (json_int_t)s->waiters, "last_pid", unless_zero(s->last_pid),
			 "acquired_usec", microseconds(s->acquired_ns));
}

static json_t *py_event(const struct fipc_object *o)
{
	return json_pack("{s:s, s:I}", "state", o->event.set ? "set" : "clear", "waiters", (json_int_t)o->event.waiters);
}

static json_t *state(const struct fipc_object *o)
{
	static json_t *(*const encoders[])(const struct fipc_object *) = {
		[FIPC_TYPE_MUTEX] = mutex,   [FIPC_TYPE_SEM] = sem, [FIPC_TYPE_EVENT] = event, [FIPC_TYPE_COND] = cond,
		[FIPC_TYPE_RWLOCK] = rwlock, [FIPC_TYPE_SHM] = shm, [FIPC_TYPE_MQ] = mq,
		[FIPC_TYPE_PY_MUTEX] = py_mutex, [FIPC_TYPE_PY_SEMA] = py_sema, [FIPC_TYPE_PY_EVENT] = py_event,
	};
	return (size_t)o->type < sizeof(encoders) / sizeof(*encoders) && encoders[o->type] ? encoders[o->type](o) : NULL;
}

static json_t *attachment(const struct fipc_attachment *a)
{
	return json_pack("{s:i, s:I, s:s, s:b, s:I}", "pid", (int)a->pid, "uid", (json_int_t)a->uid, "life",
			 fipc_life_name(a->life), "current", (int)a->current, "tracker", integer(a->tracker));
}

static json_t *attachments(const struct fipc_object *object)
{
	json_t *array = json_array();
	for (unsigned i = 0; array && i < object->n_attachments; i++) {
		if (json_array_append_new(array, attachment(&object->attachments[i])) < 0) {
			json_decref(array);
			array = NULL;
		}
	}
	return array;
}

static json_t *reclaim(const struct fipc_object *object)
{
	return json_pack("{s:b, s:s, s:s, s:b, s:I}", "takes", fipc_reason_takes(object->reason), "reason",
			 fipc_reason_name(object->reason), "text", fipc_reason_text(object->reason), "collected",
			 object->collected, "entries_removed", (json_int_t)object->entries_removed);
}

/* What `ls -l` shows. */
static json_t *outside(const struct fipc_object *object, const char *dir)
{
	const char *type = fipc_type_name(object->type);
	return json_pack("{s:o, s:o, s:s*, s:I, s:I, s:i, s:I, s:o, s:s*}", "dir", path(dir), "name",
			 text(object->name, strlen(object->name)), "type", type, "uid", (json_int_t)object->uid, "gid",
			 (json_int_t)object->gid, "mode", (int)object->mode, "inode", integer(object->inode),
			 "reclaim", reclaim(object), "error",
			 object->error ? strerrorname_np(-object->error) : NULL);
}

/* Nothing but its state is known of what has no header. */
static json_t *inside_python(const struct fipc_object *object)
{
	return json_pack("{s:I, s:o*}", "size", integer(object->size), "state", state(object));
}

static json_t *inside(const struct fipc_object *object)
{
	return json_pack("{s:{s:b, s:b, s:b, s:b}, s:i, s:I, s:I, s:I, s:o*}", "flags", "persistent",
			 (object->flags & FIPC_PERSIST) != 0, "timestamps", (object->flags & FIPC_TIMESTAMPS) != 0,
			 "autoreset", (object->flags & FIPC_AUTORESET) != 0, "owned", (object->flags & FIPC_OWNED) != 0,
			 "creator_pid", (int)object->creator, "pidns", integer(object->pidns), "created_usec",
			 (json_int_t)(object->created_ns / 1000), "size", integer(object->size), "state", state(object));
}

static json_t *users(const struct fipc_object *object)
{
	return json_pack("{s:I, s:I, s:I, s:o}", "attached", (json_int_t)object->n_alive, "dead",
			 (json_int_t)object->n_dead, "unknown", (json_int_t)object->n_unknown, "attachments",
			 attachments(object));
}

/* Merges new references; NULL if any of them is. */
static json_t *merge(json_t *into, json_t *from)
{
	if (into && (!from || json_object_update(into, from) < 0)) {
		json_decref(into);
		into = NULL;
	}
	json_decref(from);
	return into;
}

json_t *fipc_object_to_json(const struct fipc_object *object, const char *dir)
{
	json_t *json = outside(object, dir);
	if (object->error != -EACCES)
		json = merge(json, users(object));
	if (object->error == 0 && object->inode != 0 && object->type != 0)
		json = merge(json, fipc_type_is_python(object->type) ? inside_python(object) : inside(object));
	return json;
}

json_t *fipc_process_to_json(const struct fipc_process *process, const char *dir)
{
	return json_pack("{s:o, s:s, s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "dir", path(dir), "life",
			 fipc_life_name(process->life), "pid", (int)process->pid, "uid", (json_int_t)process->uid,
			 "gid", (json_int_t)process->gid, "tracker", integer(process->tracker), "pidns",
			 integer(process->pidns), "start", integer(process->start), "attachments",
			 (json_int_t)process->attachments, "comm", text(process->comm, sizeof(process->comm)));
}
