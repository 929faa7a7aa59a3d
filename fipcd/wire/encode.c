/* SPDX-License-Identifier: Apache-2.0 */
#include "encode.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

/* A Varlink integer is an int64. */
static void count(struct text *t, const char *key, uint64_t n)
{
	text_integer(t, key, n > INT64_MAX ? INT64_MAX : (int64_t)n);
}

static void unless_zero(struct text *t, const char *key, uint64_t n)
{
	if (n)
		count(t, key, n);
}

/* ---- its state, in a word ---- */

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

static const char *sem_state_name(const struct fipc_object *o)
{
	return o->sem.value ? "available" : "exhausted";
}

static const char *mq_state_name(const struct fipc_mq_info *q)
{
	return q->messages == 0 ? "empty" : q->messages < q->max_messages ? "queued" : "full";
}

/* NULL: it is not known. */
static const char *state_name(const struct fipc_object *o)
{
	if (o->error != 0 || o->inode == 0)
		return NULL;
	switch (o->type) {
	case FIPC_TYPE_MUTEX:
	case FIPC_TYPE_PY_MUTEX:
		return mutex_state_name(o->mutex.state);
	case FIPC_TYPE_SEM:
	case FIPC_TYPE_PY_SEMA:
		return sem_state_name(o);
	case FIPC_TYPE_EVENT:
	case FIPC_TYPE_PY_EVENT:
		return o->event.set ? "set" : "clear";
	case FIPC_TYPE_COND:
		return o->cond.waiters ? "awaited" : "idle";
	case FIPC_TYPE_RWLOCK:
		return rwlock_state_name(o->rwlock.state);
	case FIPC_TYPE_SHM:
		return o->shm.bytes ? "filled" : "empty";
	case FIPC_TYPE_MQ:
		return mq_state_name(&o->mq);
	}
	return NULL;
}

/* ---- and in full ---- */

enum state_member {
	STATE,
	OWNER_PID,
	OWNER_TID,
	OWNER_UID,
	OWNER_COMM,
	WAITERS,
	OWNER_DEATHS,
	CONTENDED,
	ACQUISITIONS,
	ACQUIRED_NSEC,
	ACQUIRED_USEC,
	TOKENS,
	LAST_PID,
	N_HOLDERS,
	HOLDERS,
	SETS,
	SIGNALS,
	READERS,
	MAX_READERS,
	READER_DEATHS,
	READS,
	WRITES,
	BYTES,
	ALLOCATED,
	MESSAGES,
	MAX_MESSAGES,
	MAX_MESSAGE_SIZE,
	RECEIVERS,
	SENDERS,
	NOTIFY_PID,
	SENT,
	RECEIVED,
	HELD_SINCE_NSEC,
	SLEEPERS,
	STATE_MEMBERS
};

static const char *const state_members[STATE_MEMBERS] = {
	[STATE] = "state",
	[OWNER_PID] = "owner_pid",
	[OWNER_TID] = "owner_tid",
	[OWNER_UID] = "owner_uid",
	[OWNER_COMM] = "owner_comm",
	[WAITERS] = "waiters",
	[OWNER_DEATHS] = "owner_deaths",
	[CONTENDED] = "contended",
	[ACQUISITIONS] = "acquisitions",
	[ACQUIRED_NSEC] = "acquired_nsec",
	[ACQUIRED_USEC] = "acquired_usec",
	[TOKENS] = "tokens",
	[LAST_PID] = "last_pid",
	[N_HOLDERS] = "n_holders",
	[HOLDERS] = "holders",
	[SETS] = "sets",
	[SIGNALS] = "signals",
	[READERS] = "readers",
	[MAX_READERS] = "max_readers",
	[READER_DEATHS] = "reader_deaths",
	[READS] = "reads",
	[WRITES] = "writes",
	[BYTES] = "bytes",
	[ALLOCATED] = "allocated",
	[MESSAGES] = "messages",
	[MAX_MESSAGES] = "max_messages",
	[MAX_MESSAGE_SIZE] = "max_message_size",
	[RECEIVERS] = "receivers",
	[SENDERS] = "senders",
	[NOTIFY_PID] = "notify_pid",
	[SENT] = "sent",
	[RECEIVED] = "received",
	[HELD_SINCE_NSEC] = "held_since_nsec",
	[SLEEPERS] = "sleepers",
};

/* Among the bits of what is wanted, above those of the object's own members. */
#define STATE_BIT(member) (UINT64_C(1) << (63 - (member)))

struct looked_at { /* an object, where it is, what is known of its users beyond it, and what is to be told of it */
	const struct fipc_object *object;
	const char *dir;
	const struct who *who;
	uint64_t wanted;
};

static bool wants(const struct looked_at *l, enum state_member member)
{
	return l->wanted & STATE_BIT(member);
}

static void tell(struct text *t, const struct looked_at *l, enum state_member member, uint64_t n)
{
	if (wants(l, member))
		count(t, state_members[member], n);
}

static void tell_unless_zero(struct text *t, const struct looked_at *l, enum state_member member, uint64_t n)
{
	if (n)
		tell(t, l, member, n);
}

static const struct who_process *process_of(const struct looked_at *l, uint32_t pid)
{
	return pid ? who_process(l->who, l->object, pid) : NULL;
}

static void owner(struct text *t, const struct looked_at *l, uint32_t pid, uint32_t tid)
{
	const struct who_process *p = process_of(l, pid);
	tell_unless_zero(t, l, OWNER_PID, pid);
	tell_unless_zero(t, l, OWNER_TID, tid);
	if (p)
		tell(t, l, OWNER_UID, p->uid);
	if (p && wants(l, OWNER_COMM))
		text_foreign(t, state_members[OWNER_COMM], p->comm, sizeof(p->comm));
}

static void mutex(struct text *t, const struct looked_at *l)
{
	const struct fipc_mutex_info *m = &l->object->mutex;
	owner(t, l, m->owner_pid, m->owner_tid);
	tell(t, l, WAITERS, m->waiters);
	tell(t, l, OWNER_DEATHS, m->owner_deaths);
	tell(t, l, CONTENDED, m->contended);
	tell(t, l, ACQUISITIONS, m->acquisitions);
	tell_unless_zero(t, l, ACQUIRED_NSEC, m->acquired_ns);
}

static void holder(struct text *t, const struct looked_at *l, const struct fipc_holder *h)
{
	const struct who_process *p = process_of(l, h->pid);
	text_open(t, NULL, '{');
	unless_zero(t, "pid", h->pid);
	unless_zero(t, "tid", h->tid);
	if (p) {
		count(t, "uid", p->uid);
		text_foreign(t, "comm", p->comm, sizeof(p->comm));
	}
	count(t, "count", h->count);
	text_close(t, '}');
}

static void holders(struct text *t, const struct looked_at *l)
{
	const struct fipc_object *o = l->object;
	if (!wants(l, HOLDERS))
		return;
	text_open(t, state_members[HOLDERS], '[');
	for (unsigned i = 0; i < o->n_holders && i < FIPC_HOLDERS_MAX; i++)
		holder(t, l, &o->holders[i]);
	text_close(t, ']');
}

static void sem(struct text *t, const struct looked_at *l)
{
	const struct fipc_sem_info *s = &l->object->sem;
	tell(t, l, TOKENS, s->value);
	tell(t, l, WAITERS, s->waiters);
	tell_unless_zero(t, l, LAST_PID, s->last_pid);
	tell_unless_zero(t, l, ACQUIRED_NSEC, s->acquired_ns);
	if (!(l->object->flags & FIPC_OWNED))
		return;
	tell(t, l, N_HOLDERS, l->object->n_holders);
	holders(t, l);
}

static void event(struct text *t, const struct looked_at *l)
{
	tell(t, l, WAITERS, l->object->event.waiters);
	tell(t, l, SETS, l->object->event.sets);
}

static void cond(struct text *t, const struct looked_at *l)
{
	tell(t, l, WAITERS, l->object->cond.waiters);
	tell(t, l, SIGNALS, l->object->cond.signals);
}

static void rwlock(struct text *t, const struct looked_at *l)
{
	const struct fipc_rwlock_info *r = &l->object->rwlock;
	tell(t, l, READERS, r->readers);
	tell(t, l, MAX_READERS, r->max_readers);
	owner(t, l, r->writer_pid, r->writer_tid);
	tell(t, l, WAITERS, r->waiters);
	tell(t, l, OWNER_DEATHS, r->owner_deaths);
	tell(t, l, READER_DEATHS, r->reader_deaths);
	tell(t, l, CONTENDED, r->contended);
	tell(t, l, READS, r->reads);
	tell(t, l, WRITES, r->writes);
	holders(t, l);
}

static void shm(struct text *t, const struct looked_at *l)
{
	tell(t, l, BYTES, l->object->shm.bytes);
	tell(t, l, ALLOCATED, l->object->shm.allocated);
}

static void mq(struct text *t, const struct looked_at *l)
{
	const struct fipc_mq_info *q = &l->object->mq;
	tell(t, l, MESSAGES, q->messages);
	tell(t, l, MAX_MESSAGES, q->max_messages);
	tell(t, l, MAX_MESSAGE_SIZE, q->max_message_size);
	tell(t, l, WAITERS, (uint64_t)q->receivers + q->senders);
	tell(t, l, RECEIVERS, q->receivers);
	tell(t, l, SENDERS, q->senders);
	tell_unless_zero(t, l, NOTIFY_PID, q->notify_pid);
	tell(t, l, SENT, q->sent);
	tell(t, l, RECEIVED, q->received);
}

/* Python's fastipc keeps time by CLOCK_REALTIME. */
static void py_mutex(struct text *t, const struct looked_at *l)
{
	const struct fipc_mutex_info *m = &l->object->mutex;
	owner(t, l, m->owner_pid, 0);
	tell(t, l, WAITERS, m->waiters);
	tell_unless_zero(t, l, ACQUIRED_USEC, m->acquired_ns / 1000);
}

static void py_sema(struct text *t, const struct looked_at *l)
{
	const struct fipc_sem_info *s = &l->object->sem;
	tell(t, l, TOKENS, s->value);
	tell(t, l, WAITERS, s->waiters);
	tell_unless_zero(t, l, LAST_PID, s->last_pid);
	tell_unless_zero(t, l, ACQUIRED_USEC, s->acquired_ns / 1000);
}

static void py_event(struct text *t, const struct looked_at *l)
{
	tell(t, l, WAITERS, l->object->event.waiters);
}

static void sleeper(struct text *t, const struct fipc_wait *w)
{
	text_open(t, NULL, '{');
	text_integer(t, "pid", w->pid);
	count(t, "tid", w->tid);
	count(t, "uid", w->uid);
	text_foreign(t, "comm", w->comm, sizeof(w->comm));
	text_string(t, "kind", fipc_wait_kind_name(w->kind));
	text_truth(t, "timed", w->timed);
	text_integer(t, "since_nsec", w->since_ns);
	text_close(t, '}');
}

enum { SLEEPERS_MAX = FIPC_HOLDERS_MAX }; /* that are told of one object; the state says how many there are */

static void sleepers(struct text *t, const struct looked_at *l)
{
	size_t n, told = 0;
	const struct fipc_wait *waits = who_sleepers(l->who, l->object, &n);
	for (size_t i = 0; wants(l, SLEEPERS) && i < n && told < SLEEPERS_MAX; i++) {
		if (!sleeper_is_attached(&waits[i], l->object))
			continue;
		if (told++ == 0)
			text_open(t, state_members[SLEEPERS], '[');
		sleeper(t, &waits[i]);
	}
	if (told > 0)
		text_close(t, ']');
}

static void state(struct text *t, const struct looked_at *l)
{
	static void (*const encoders[])(struct text *, const struct looked_at *) = {
		[FIPC_TYPE_MUTEX] = mutex,   [FIPC_TYPE_SEM] = sem, [FIPC_TYPE_EVENT] = event, [FIPC_TYPE_COND] = cond,
		[FIPC_TYPE_RWLOCK] = rwlock, [FIPC_TYPE_SHM] = shm, [FIPC_TYPE_MQ] = mq,
		[FIPC_TYPE_PY_MUTEX] = py_mutex, [FIPC_TYPE_PY_SEMA] = py_sema, [FIPC_TYPE_PY_EVENT] = py_event,
	};
	const char *name = state_name(l->object);
	if (!name)
		return;
	text_open(t, "state", '{');
	if (wants(l, STATE))
		text_string(t, state_members[STATE], name);
	encoders[l->object->type](t, l);
	tell_unless_zero(t, l, HELD_SINCE_NSEC, (uint64_t)who_held_since(l->who, l->object));
	sleepers(t, l);
	text_close(t, '}');
}

/* ---- its users ---- */

static void attachment(struct text *t, const struct fipc_attachment *a)
{
	text_open(t, NULL, '{');
	text_integer(t, "pid", a->pid);
	count(t, "uid", a->uid);
	text_string(t, "life", fipc_life_name(a->life));
	text_truth(t, "current", a->current);
	count(t, "tracker", a->tracker);
	text_close(t, '}');
}

static void attachments(struct text *t, const struct looked_at *l)
{
	text_open(t, "attachments", '[');
	for (unsigned i = 0; i < l->object->n_attachments; i++)
		attachment(t, &l->object->attachments[i]);
	text_close(t, ']');
}

/* ---- its other members ---- */

static void dir(struct text *t, const struct looked_at *l)
{
	text_path(t, "dir", l->dir);
}

static void name(struct text *t, const struct looked_at *l)
{
	text_foreign(t, "name", l->object->name, strlen(l->object->name));
}

static void reclaim(struct text *t, const struct looked_at *l)
{
	const struct fipc_object *o = l->object;
	text_open(t, "reclaim", '{');
	text_truth(t, "takes", fipc_reason_takes(o->reason));
	text_string(t, "reason", fipc_reason_name(o->reason));
	text_string(t, "text", fipc_reason_text(o->reason));
	text_truth(t, "collected", o->collected);
	count(t, "entries_removed", o->entries_removed);
	text_close(t, '}');
}

static void type(struct text *t, const struct looked_at *l)
{
	const char *name = fipc_type_name(l->object->type);
	if (name)
		text_string(t, "type", name);
}

static void error(struct text *t, const struct looked_at *l)
{
	const char *name = l->object->error ? strerrorname_np(-l->object->error) : NULL;
	if (name)
		text_string(t, "error", name);
}

static void flags(struct text *t, const struct looked_at *l)
{
	const uint32_t set = l->object->flags;
	text_open(t, "flags", '{');
	text_truth(t, "persistent", set & FIPC_PERSIST);
	text_truth(t, "timestamps", set & FIPC_TIMESTAMPS);
	text_truth(t, "autoreset", set & FIPC_AUTORESET);
	text_truth(t, "owned", set & FIPC_OWNED);
	text_close(t, '}');
}

static void creator_pid(struct text *t, const struct looked_at *l)
{
	text_integer(t, "creator_pid", l->object->creator);
}

static void created_usec(struct text *t, const struct looked_at *l)
{
	text_integer(t, "created_usec", l->object->created_ns / 1000);
}

enum known { /* what must be known of an object to tell a member */
	OUTSIDE, /* what `ls -l` shows */
	USERS,
	INSIDE,
	HEADER, /* which Python's objects don't have */
};

static bool is_known(const struct fipc_object *o, enum known what)
{
	bool inside = o->error == 0 && o->inode != 0 && o->type != 0;
	switch (what) {
	case OUTSIDE:
		return true;
	case USERS:
		return o->error != -EACCES;
	case INSIDE:
		return inside;
	case HEADER:
		return inside && !fipc_type_is_python(o->type);
	}
	return false;
}

#define NUMBER(member) NULL, offsetof(struct fipc_object, member), sizeof(((struct fipc_object *)0)->member)

static const struct member {
	const char *name;
	enum known known;
	void (*write)(struct text *t, const struct looked_at *l); /* NULL: it is a number, that stands in the object */
	size_t offset, size;
} members[] = {
	{"dir", OUTSIDE, dir, 0, 0},
	{"name", OUTSIDE, name, 0, 0},
	{"type", OUTSIDE, type, 0, 0},
	{"uid", OUTSIDE, NUMBER(uid)},
	{"gid", OUTSIDE, NUMBER(gid)},
	{"mode", OUTSIDE, NUMBER(mode)},
	{"inode", OUTSIDE, NUMBER(inode)},
	{"reclaim", OUTSIDE, reclaim, 0, 0},
	{"error", OUTSIDE, error, 0, 0},
	{"attached", USERS, NUMBER(n_alive)},
	{"dead", USERS, NUMBER(n_dead)},
	{"unknown", USERS, NUMBER(n_unknown)},
	{"attachments", USERS, attachments, 0, 0},
	{"flags", HEADER, flags, 0, 0},
	{"creator_pid", HEADER, creator_pid, 0, 0},
	{"pidns", HEADER, NUMBER(pidns)},
	{"created_usec", HEADER, created_usec, 0, 0},
	{"size", INSIDE, NUMBER(size)},
	{"state", INSIDE, state, 0, 0},
};

enum { MEMBERS = sizeof(members) / sizeof(*members) };

#define STATE_WHOLE (OBJECT_WHOLE << (64 - STATE_MEMBERS))
#define TELLS_WHO                                                                                                     \
	(STATE_BIT(OWNER_UID) | STATE_BIT(OWNER_COMM) | STATE_BIT(HOLDERS) | STATE_BIT(HELD_SINCE_NSEC) |              \
	 STATE_BIT(SLEEPERS))
static_assert((int)MEMBERS + (int)STATE_MEMBERS <= 64, "a bit for each");

static uint64_t state_member(const char *name)
{
	for (unsigned i = 0; i < STATE_MEMBERS; i++)
		if (strcmp(state_members[i], name) == 0)
			return STATE_BIT(i);
	return 0;
}

/* Of the name, as far as a dot. */
static uint64_t outer_member(const char *name, size_t length)
{
	for (unsigned i = 0; i < MEMBERS; i++)
		if (strncmp(members[i].name, name, length) == 0 && !members[i].name[length])
			return UINT64_C(1) << i;
	return 0;
}

uint64_t object_member(const char *name)
{
	size_t length = strcspn(name, ".");
	uint64_t outer = outer_member(name, length), inner = STATE_WHOLE;
	if (outer != outer_member("state", strlen("state")))
		return name[length] ? 0 : outer;
	if (name[length])
		inner = state_member(name + length + 1);
	return inner ? outer | inner : 0;
}

bool object_tells_who(uint64_t wanted)
{
	return wanted & TELLS_WHO;
}

static uint64_t number(const struct fipc_object *object, const struct member *m)
{
	const char *at = (const char *)object + m->offset;
	uint32_t n;
	uint64_t wide;
	if (m->size == sizeof(wide)) {
		memcpy(&wide, at, sizeof(wide));
		return wide;
	}
	memcpy(&n, at, sizeof(n));
	return n;
}

static void write_member(struct text *t, const struct looked_at *l, const struct member *m)
{
	if (m->write)
		m->write(t, l);
	else
		count(t, m->name, number(l->object, m));
}

void object_write(struct text *t, const struct fipc_object *object, const char *dir, const struct who *who,
		  uint64_t wanted)
{
	const struct looked_at l = {object, dir, who, wanted};
	text_open(t, NULL, '{');
	for (unsigned i = 0; i < MEMBERS; i++)
		if (wanted >> i & 1 && is_known(object, members[i].known))
			write_member(t, &l, &members[i]);
	text_close(t, '}');
}

void process_write(struct text *t, const struct fipc_process *process, const char *dir)
{
	text_open(t, NULL, '{');
	text_path(t, "dir", dir);
	text_string(t, "life", fipc_life_name(process->life));
	text_integer(t, "pid", process->pid);
	count(t, "uid", process->uid);
	count(t, "gid", process->gid);
	count(t, "tracker", process->tracker);
	count(t, "pidns", process->pidns);
	count(t, "start", process->start);
	count(t, "attachments", process->attachments);
	text_foreign(t, "comm", process->comm, sizeof(process->comm));
	text_close(t, '}');
}

json_t *fipc_object_to_json(const struct fipc_object *object, const char *dir, const struct who *who, uint64_t wanted)
{
	struct text t = {0};
	object_write(&t, object, dir, who, wanted);
	return text_to_json(&t);
}

json_t *fipc_process_to_json(const struct fipc_process *process, const char *dir)
{
	struct text t = {0};
	process_write(&t, process, dir);
	return text_to_json(&t);
}

/* ---- what is asked for ---- */

static bool is_attached(const struct fipc_object *object, int pid)
{
	for (unsigned i = 0; i < object->n_attachments; i++)
		if (object->attachments[i].pid == pid)
			return true;
	return false;
}

static bool is_state(const struct fipc_object *object, const char *wanted)
{
	const char *name = state_name(object);
	return name && strcmp(name, wanted) == 0;
}

bool object_is_wanted(const struct fipc_object *object, const struct object_filter *filter)
{
	return (!filter->state || is_state(object, filter->state)) &&
	       (!filter->reason || strcmp(fipc_reason_name(object->reason), filter->reason) == 0) &&
	       (!filter->pid || is_attached(object, filter->pid));
}
