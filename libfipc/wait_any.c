/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waiting for the first of several.
 *
 * A thread has one pending entry, and sleeps on many words here. So none of its wake-ups may be meant for it alone:
 * before it sleeps it counts itself in each object's `any`, and while that is not 0 whoever wakes there wakes all. (A
 * queue has a flag for it, which whoever wakes all clears; an object that is always woken as a whole has none.) A
 * thread that is killed in here has therefore taken no wake-up from anybody; it leaves the count too high, which costs
 * wake-ups and nothing else.
 *
 * One sort of wake-up does reach a single one: the kernel's, for a thread that died with a word on its record. If it
 * reaches one of ours, who then has something else, it wakes on (pass_on) at every other object where there is
 * something to be had. Only if it is killed too, before that, is somebody left asleep who could go on, until the next
 * wake at that object.
 *
 * A thread is killed (crash list):
 *
 *	before it sleeps, asleep, woken  nothing was taken; the counts stay too high. The first word is pending, so that
 *	                                 with one object it is as exact as its own wait.
 *	having taken                     as in that object's wait. What others are owed at other objects, it was not given
 *	                                 by a living thread: see above.
 */
#include "event.h"
#include "handle.h"
#include "mq.h"
#include "sem.h"
#include "sem_owned.h"

#include <fipc/wait.h>

#include <errno.h>

/* One of those waited for. */
struct seat {
	const struct waitable_kind *kind;
	void *object;
	uint32_t seen; /* an event's generation, a queue's count: what had been when we looked */
};

/*
 * What there is to know of a kind. check: 0, or why it cannot be waited for. look: where we stand; before the first
 * take. ready: 1 something is to be had, 0, or an error. take: the same, and it is had. arm: where to sleep, how many
 * places, at least 1; 0: look again; -E2BIG. any: NULL: it has no count.
 */
struct waitable_kind {
	int (*check)(const void *object);
	void (*look)(struct seat *s);
	int (*ready)(struct seat *s);
	int (*take)(struct seat *s);
	int (*arm)(struct seat *s, struct futex_place *places, unsigned room);
	void (*pass_on)(struct seat *s);
	_Atomic uint32_t *(*any)(void *object);
};

/* ---- semaphores ---- */

static int sem_check(const void *object)
{
	return fipc__misaligned(object) ? -EINVAL : fipc__place_check(object, KIND_SEM, KIND_SEM_FLAGS);
}

static int sem_ready(struct seat *s)
{
	int64_t n = fipc_sem_value(s->object);
	return n < 0 ? (int)n : n > 0;
}

static int sem_take(struct seat *s)
{
	int r = fipc_sem_trywait(s->object);
	return r == 0 ? 1 : r == -EAGAIN ? 0 : r;
}

static int owned_arm(struct seat *s, struct futex_place *places, unsigned room)
{
	unsigned n = 0;
	int r = fipc__owned_watch(s->object, places, room, &n);
	return r < 0 ? r : r > 0 ? 0 : (int)n;
}

static int sem_arm(struct seat *s, struct futex_place *places, unsigned room)
{
	struct sem *sem = s->object;
	if (is_owned(sem))
		return owned_arm(s, places, room);
	if (room < 1)
		return -E2BIG;
	if (!fipc__sem_note(sem))
		return 0;
	places[0] = (struct futex_place){(const void *)&sem->word, PARK_WAITERS};
	return 1;
}

static void sem_pass_on(struct seat *s)
{
	if (is_owned(s->object))
		fipc__owned_pass_on(s->object);
	else
		fipc__sem_pass_on(s->object);
}

static _Atomic uint32_t *sem_any(void *object)
{
	return is_owned(object) ? fipc__owned_any(object) : &((struct sem *)object)->any;
}

/* ---- events ---- */

static int event_check(const void *object)
{
	return fipc__misaligned(object) ? -EINVAL : fipc__place_check(object, KIND_EVENT, KIND_EVENT_FLAGS);
}

static void event_look(struct seat *s)
{
	fipc__event_look(s->object, &s->seen);
}

static int event_ready(struct seat *s)
{
	return fipc_event_is_set(s->object);
}

static int event_take(struct seat *s)
{
	int r = fipc__event_check(s->object);
	return r < 0 ? r : fipc__event_take(s->object, s->seen);
}

static int event_arm(struct seat *s, struct futex_place *places, unsigned room)
{
	struct event *e = s->object;
	unsigned n = resets_itself(e) ? 1 : 2;
	if (room < n)
		return -E2BIG;
	if (!fipc__event_note(e, s->seen))
		return 0;
	places[0] = (struct futex_place){(const void *)&e->word, PARK_WAITERS};
	if (n == 2)
		places[1] = (struct futex_place){(const void *)&e->generation, s->seen};
	return (int)n;
}

static void event_pass_on(struct seat *s)
{
	fipc__event_pass_on(s->object, s->seen);
}

static _Atomic uint32_t *event_any(void *object)
{
	return &((struct event *)object)->any;
}

/* ---- queues ---- */

static int mq_check(const void *object)
{
	const fipc_mq *q = object;
	return !q ? -EINVAL : q->local.readonly ? -EACCES : 0;
}

static int mq_ready(struct seat *s)
{
	struct mq_seen seen = fipc__mq_look(s->object);
	s->seen = seen.sent;
	return seen.messages > 0;
}

static int mq_arm(struct seat *s, struct futex_place *places, unsigned room)
{
	int r = room < 2 ? -E2BIG : fipc__mq_watch(s->object, s->seen, places);
	return r == 0 ? 2 : r == -EAGAIN ? 0 : r;
}

static void mq_pass_on(struct seat *s)
{
	if (mq_ready(s))
		fipc__mq_pass_on(s->object);
}

/* ---- all of them ---- */

static void no_look(struct seat *s)
{
	s->seen = 0;
}

static const struct waitable_kind kinds[] = {
	[FIPC_KIND_SEM] = {sem_check, no_look, sem_ready, sem_take, sem_arm, sem_pass_on, sem_any},
	[FIPC_KIND_EVENT] = {event_check, event_look, event_ready, event_take, event_arm, event_pass_on, event_any},
	[FIPC_KIND_MQ] = {mq_check, no_look, mq_ready, mq_ready, mq_arm, mq_pass_on, NULL},
};

static int take_seat(const struct fipc_waitable *w, struct seat *ret)
{
	int r;
	if ((size_t)w->kind >= sizeof(kinds) / sizeof(*kinds))
		return -EINVAL;
	*ret = (struct seat){&kinds[w->kind], w->object, 0};
	r = ret->kind->check(w->object);
	if (r == 0)
		ret->kind->look(ret);
	return r;
}

/* seq_cst, before the state is looked at; pairs with the look of whoever wakes: it sees this, or we see its change */
static void count(const struct seat *s, unsigned n, uint32_t difference)
{
	for (unsigned i = 0; i < n; i++)
		if (s[i].kind->any)
			atomic_fetch_add_explicit(s[i].kind->any(s[i].object), difference, memory_order_seq_cst);
}

/* The first that is ready, taken; -EAGAIN: none. */
static int scan(struct seat *s, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		int r = s[i].kind->take(&s[i]);
		if (r != 0)
			return r < 0 ? r : (int)i;
	}
	return -EAGAIN;
}

/* Where to sleep for all of them: how many places; 0: look again. */
static int arm(struct seat *s, unsigned n, struct futex_place *places)
{
	unsigned used = 0;
	for (unsigned i = 0; i < n; i++) {
		int r = s[i].kind->arm(&s[i], places + used, FUTEX_PLACES_MAX - used);
		if (r <= 0)
			return r;
		used += (unsigned)r;
	}
	return (int)used;
}

/* 0 woken, -EAGAIN look again, or an error: was not woken. */
static int sleep_on(const struct futex_place *places, unsigned n, fipc_deadline d)
{
	bool owing = fipc__owe(fipc__self, places[0].word);
	int r = fipc__futex_wait_any(places, n, d);
	fipc__owe_nothing(fipc__self, owing);
	return r > 0 ? 0 : r;
}

static void pass_on(struct seat *s, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (s[i].kind->check(s[i].object) == 0)
			s[i].kind->pass_on(&s[i]);
}

/* None was ready, and we are counted. *ret_woken: a wake-up may have been for somebody else. */
static int wait_for(struct seat *s, unsigned n, fipc_deadline d, bool *ret_woken)
{
	struct futex_place places[FUTEX_PLACES_MAX];
	for (*ret_woken = false;;) {
		int r = arm(s, n, places), slept = -EAGAIN;
		if (r < 0)
			return r;
		if (r > 0)
			slept = sleep_on(places, (unsigned)r, d);
		if (slept < 0 && slept != -EAGAIN)
			return slept;
		*ret_woken |= slept == 0;
		r = scan(s, n);
		if (r != -EAGAIN)
			return r;
	}
}

int fipc_wait_any(const struct fipc_waitable *w, unsigned n, fipc_deadline d)
{
	struct seat s[FIPC_WAIT_MAX];
	bool woken;
	int r;
	if (!w || n == 0 || n > FIPC_WAIT_MAX)
		return -EINVAL;
	r = fipc__robust_enter();
	for (unsigned i = 0; i < n && r == 0; i++)
		r = take_seat(&w[i], &s[i]);
	if (r < 0)
		return r;
	r = scan(s, n);
	if (r != -EAGAIN || d <= FIPC_NOW)
		return r;
	count(s, n, 1);
	r = wait_for(s, n, d, &woken);
	count(s, n, UINT32_MAX); /* one less */
	if (woken)
		pass_on(s, n);
	return r;
}

/* ---- for loops that sleep themselves ---- */

static int seat_alone(const struct fipc_waitable *w, struct seat *ret)
{
	int r = w ? fipc__robust_enter() : -EINVAL;
	if (r == 0)
		r = take_seat(w, ret);
	return r == 0 && w->kind == FIPC_KIND_SEM && is_owned(w->object) ? -ENOTSUP : r;
}

int fipc_futex_arm(const struct fipc_waitable *w, struct fipc_futex *ret)
{
	struct futex_place places[2];
	struct seat s;
	int r = seat_alone(w, &s);
	if (r < 0)
		return r;
	count(&s, 1, 1);
	do {
		s.kind->look(&s);
		r = s.kind->ready(&s);
		if (r != 0) {
			count(&s, 1, UINT32_MAX);
			return r;
		}
		r = s.kind->arm(&s, places, 2);
	} while (r == 0);
	if (r < 0) {
		count(&s, 1, UINT32_MAX);
		return r;
	}
	*ret = (struct fipc_futex){places[0].word, places[0].expected};
	return 0;
}

int fipc_futex_disarm(const struct fipc_waitable *w)
{
	struct seat s;
	int r = seat_alone(w, &s);
	if (r < 0)
		return r;
	count(&s, 1, UINT32_MAX);
	pass_on(&s, 1);
	return 0;
}
