/* SPDX-License-Identifier: Apache-2.0 */
#include "handover.h"

#include <errno.h>
#include <pthread.h>

void use_the_library(void)
{
	fipc_mutex m;

	must_be(fipc_mutex_init(&m, 0), 0);
	must_be(fipc_mutex_lock(&m), 0);
	must_be(fipc_mutex_unlock(&m), 0);
}

static int close_mutex(void *m)
{
	return fipc_mutex_close(m);
}

static int close_rwlock(void *l)
{
	return fipc_rwlock_close(l);
}

static int close_sem(void *s)
{
	return fipc_sem_close(s);
}

static int close_event(void *e)
{
	return fipc_event_close(e);
}

/* ---- locks: the giver holds it, and unlocks ---- */

static void *open_mutex(void)
{
	fipc_mutex *m = must_open("a", FIPC_CREATE, FIPC_CREATED);

	must_be(fipc_mutex_lock(m), 0);
	return m;
}

static int unlock_mutex(void *m)
{
	return fipc_mutex_unlock(m);
}

static int take_mutex(void *m, fipc_deadline d)
{
	int r = fipc_mutex_lock_until(m, d);

	return r < 0 ? r : fipc_mutex_unlock(m);
}

static fipc_rwlock *open_rwlock(void)
{
	fipc_rwlock *l;

	must_be(fipc_rwlock_open(&l, "a", 4, FIPC_CREATE, 0600), FIPC_CREATED);
	return l;
}

static void *open_and_read(void)
{
	fipc_rwlock *l = open_rwlock();

	must_be(fipc_rwlock_rdlock(l), 0);
	return l;
}

static void *open_and_write(void)
{
	fipc_rwlock *l = open_rwlock();

	must_be(fipc_rwlock_wrlock(l), 0);
	return l;
}

static int unlock_rwlock(void *l)
{
	return fipc_rwlock_unlock(l);
}

static int read_it(void *l, fipc_deadline d)
{
	int r = fipc_rwlock_rdlock_until(l, d);

	return r < 0 ? r : fipc_rwlock_unlock(l);
}

static int write_it(void *l, fipc_deadline d)
{
	int r = fipc_rwlock_wrlock_until(l, d);

	return r < 0 ? r : fipc_rwlock_unlock(l);
}

/* ---- semaphores: the giver posts ---- */

static void *open_sem(void)
{
	fipc_sem *s;

	must_be(fipc_sem_open(&s, "a", 0, FIPC_CREATE, 0600), FIPC_CREATED);
	return s;
}

static void *open_owned(void)
{
	fipc_sem *s;

	must_be(fipc_sem_open(&s, "a", 1, FIPC_CREATE | FIPC_OWNED, 0600), FIPC_CREATED);
	must_be(fipc_sem_wait(s), 0);
	return s;
}

static int post(void *s)
{
	return fipc_sem_post(s, 1);
}

static int take_token(void *s, fipc_deadline d)
{
	return fipc_sem_wait_until(s, d);
}

static int take_owned(void *s, fipc_deadline d)
{
	int r = fipc_sem_wait_until(s, d);

	return r < 0 ? r : fipc_sem_post(s, 1);
}

/* ---- events and conditions: the giver sets, or signals ---- */

static void *open_event(unsigned flags)
{
	fipc_event *e;

	must_be(fipc_event_open(&e, "a", flags | FIPC_CREATE, 0600), FIPC_CREATED);
	return e;
}

static void *open_manual(void)
{
	return open_event(0);
}

static void *open_auto(void)
{
	return open_event(FIPC_AUTORESET);
}

static int set(void *e)
{
	return fipc_event_set(e);
}

static int await_event(void *e, fipc_deadline d)
{
	return fipc_event_wait_until(e, d);
}

static fipc_mutex for_cond = FIPC_MUTEX_INITIALIZER;
static fipc_word signalled;

static void *open_cond(void)
{
	fipc_cond *c;

	must_be(fipc_cond_open(&c, "a", FIPC_CREATE, 0600), FIPC_CREATED);
	fipc_word_store(&signalled, 0);
	return c;
}

static int signal_it(void *c)
{
	fipc_word_store(&signalled, 1);
	return fipc_cond_signal(c);
}

static int await_signal(void *c, fipc_deadline d)
{
	int r;

	must_be(fipc_mutex_lock(&for_cond), 0);
	do
		r = fipc_cond_wait_until(c, &for_cond, d);
	while (r == 0 && !fipc_word_load(&signalled));
	must_be(fipc_mutex_unlock(&for_cond), 0);
	return r;
}

static int close_cond(void *c)
{
	return fipc_cond_close(c);
}

/* ---- queues: the giver sends, or makes room ---- */

static int close_mq(void *q)
{
	return fipc_mq_close(q);
}

static void *open_mq(void)
{
	const struct fipc_mq_attr one = {1, 1};
	fipc_mq *q;

	must_be(fipc_mq_open(&q, "a", &one, FIPC_CREATE, 0600), FIPC_CREATED);
	return q;
}

static int send_it(void *q)
{
	return fipc_mq_send(q, "x", 1, 0, FIPC_FOREVER);
}

static int receive_it(void *q, fipc_deadline d)
{
	char message;
	ssize_t r = fipc_mq_receive(q, &message, 1, NULL, d);

	return r < 0 ? (int)r : 0;
}

static void *open_full_mq(void)
{
	void *q = open_mq();

	must_be(send_it(q), 0);
	return q;
}

static int make_room(void *q)
{
	return receive_it(q, FIPC_FOREVER);
}

static int send_one_more(void *q, fipc_deadline d)
{
	return fipc_mq_send(q, "x", 1, 0, d);
}

const struct handover handovers[] = {
	{"mutex", open_mutex, unlock_mutex, take_mutex, close_mutex, HELD},
	{"rwlock, read", open_and_read, unlock_rwlock, write_it, close_rwlock, HELD},
	{"rwlock, written", open_and_write, unlock_rwlock, read_it, close_rwlock, HELD},
	{"semaphore", open_sem, post, take_token, close_sem, NOT_THERE},
	{"owned semaphore", open_owned, post, take_owned, close_sem, HELD},
	{"event", open_manual, set, await_event, close_event, NOT_THERE},
	{"event, auto-reset", open_auto, set, await_event, close_event, NOT_THERE},
	{"queue, sent to", open_mq, send_it, receive_it, close_mq, NOT_THERE},
	{"queue, received from", open_full_mq, make_room, send_one_more, close_mq, NOT_THERE},
	{"condition", open_cond, signal_it, await_signal, close_cond, TO_SLEEPERS},
};
const unsigned n_handovers = sizeof(handovers) / sizeof(*handovers);
