/* SPDX-License-Identifier: Apache-2.0 */
/* The rwlock: what each call says, who gets in beside whom, and what becomes of it when readers and writers die. */
#include "support.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

enum { FEW = 4, MANY = 200 };

static fipc_rwlock *make_shared(unsigned readers)
{
	fipc_rwlock *l = share(fipc_rwlock_size(readers));

	must_be(fipc_rwlock_init(l, fipc_rwlock_size(readers), 0), 0);
	return l;
}

static struct fipc_rwlock_info look_at(const fipc_rwlock *l)
{
	struct fipc_rwlock_info info;

	must_be(fipc_rwlock_info(l, &info, sizeof(info)), 0);
	return info;
}

static void read_once(void *l)
{
	must_be(fipc_rwlock_rdlock(l), 0);
	must_be(fipc_rwlock_unlock(l), 0);
}

static void write_once(void *l)
{
	must_be(fipc_rwlock_wrlock(l), 0);
	must_be(fipc_rwlock_unlock(l), 0);
}

static void be_told_reading(void *l)
{
	must_be(fipc_rwlock_rdlock(l), FIPC_OWNER_DIED);
	must_be(fipc_rwlock_consistent(l), 0);
	must_be(fipc_rwlock_unlock(l), 0);
}

static void be_told_writing(void *l)
{
	must_be(fipc_rwlock_wrlock(l), FIPC_OWNER_DIED);
	must_be(fipc_rwlock_consistent(l), 0);
	must_be(fipc_rwlock_unlock(l), 0);
}

static void read_and_die(void *l)
{
	must_be(fipc_rwlock_rdlock(l), 0);
	raise(SIGKILL);
}

static void write_and_die(void *l)
{
	must_not_fail(fipc_rwlock_wrlock(l));
	raise(SIGKILL);
}

/* What a thread that holds nothing is told. */
static void try_to_read(void *l)
{
	int r = fipc_rwlock_tryrdlock(l);

	if (r >= 0)
		must_be(fipc_rwlock_unlock(l), 0);
	_exit(-r);
}

static void try_to_write(void *l)
{
	int r = fipc_rwlock_trywrlock(l);

	if (r >= 0)
		must_be(fipc_rwlock_unlock(l), 0);
	_exit(-r);
}

/* A process inside, until it is told to leave or killed. */
struct holder {
	fipc_rwlock *l;
	int (*lock)(fipc_rwlock *);
	struct gate in, leave;
	pid_t pid;
};

static void hold(void *argument)
{
	struct holder *h = argument;

	must_be(h->lock(h->l), 0);
	gate_open(&h->in);
	gate_pass(&h->leave);
	must_be(fipc_rwlock_unlock(h->l), 0);
}

static void begin(struct holder *h, fipc_rwlock *l, int (*lock)(fipc_rwlock *))
{
	h->l = l;
	h->lock = lock;
	gate_make(&h->in);
	gate_make(&h->leave);
	h->pid = start(hold, h);
}

static void enter(struct holder *h, fipc_rwlock *l, int (*lock)(fipc_rwlock *))
{
	begin(h, l, lock);
	gate_pass(&h->in);
}

static void forget(struct holder *h)
{
	gate_free(&h->in);
	gate_free(&h->leave);
}

static void leave(struct holder *h)
{
	gate_open(&h->leave);
	must_be(finish(h->pid), 0);
	forget(h);
}

static void die(struct holder *h)
{
	murder(h->pid);
	forget(h);
}

/* ---- one thread ---- */

IN_CHILD(test_size_and_init)
{
	uint64_t bytes[64];
	fipc_rwlock *l = (fipc_rwlock *)(void *)bytes;

	must_be((long)fipc_rwlock_size(0), 0);
	must_be((long)fipc_rwlock_size(1), 192);
	must_be((long)fipc_rwlock_size(FIPC_RWLOCK_READERS_MAX), 65536);
	must_be((long)fipc_rwlock_size(FIPC_RWLOCK_READERS_MAX + 1), 0);
	must_be(fipc_rwlock_init(NULL, sizeof(bytes), 0), -EINVAL);
	must_be(fipc_rwlock_init(l, 191, 0), -EINVAL);
	must_be(fipc_rwlock_init((fipc_rwlock *)(void *)((char *)bytes + 4), 192, 0), -EINVAL);
	must_be(fipc_rwlock_init(l, sizeof(bytes), FIPC_TIMESTAMPS), -EINVAL);
	memset(bytes, 0xff, sizeof(bytes));
	must_be(fipc_rwlock_rdlock(l), -EINVAL);
	must_be(fipc_rwlock_wrlock(l), -EINVAL);
	must_be(fipc_rwlock_unlock(l), -EINVAL);
	must_be(fipc_rwlock_init(l, sizeof(bytes), FIPC_PRIVATE), 0);
	must_be((long)look_at(l).max_readers, 6);
	read_once(l);
	write_once(l);
	must_be(fipc_rwlock_destroy(l), 0);
	must_be(fipc_rwlock_rdlock(l), -EINVAL);
	must_be(fipc_rwlock_unlock(l), -EINVAL);
	must_be(fipc_rwlock_destroy(l), -EINVAL);
}

IN_CHILD(test_held_by_this_thread)
{
	fipc_rwlock *l = make_shared(FEW);

	must_be(fipc_rwlock_unlock(l), -EPERM);
	must_be(fipc_rwlock_consistent(l), -EINVAL);
	must_be(fipc_rwlock_rdlock(l), 0);
	must_be(fipc_rwlock_rdlock(l), -EDEADLK);
	must_be(fipc_rwlock_tryrdlock(l), -EDEADLK);
	must_be(fipc_rwlock_wrlock(l), -EDEADLK);
	must_be(fipc_rwlock_consistent(l), -EINVAL);
	must_be(fipc_rwlock_destroy(l), -EBUSY);
	must_be(fipc_rwlock_unlock(l), 0);
	must_be(fipc_rwlock_unlock(l), -EPERM);
	must_be(fipc_rwlock_wrlock_until(l, fipc_after_ms(1)), 0);
	must_be(fipc_rwlock_wrlock(l), -EDEADLK);
	must_be(fipc_rwlock_rdlock_until(l, FIPC_FOREVER), -EDEADLK);
	must_be(fipc_rwlock_consistent(l), -EINVAL);
	must_be(fipc_rwlock_destroy(l), -EBUSY);
	must_be(fipc_rwlock_unlock(l), 0);
	must_be(fipc_rwlock_unlock(l), -EPERM);
}

IN_CHILD(test_through_another_mapping)
{
	char name[] = TEST_DIR_TEMPLATE;
	int fd = mkstemp(name);
	size_t size = fipc_rwlock_size(FEW);
	fipc_rwlock *a, *b;

	unlink(name);
	must_be(ftruncate(fd, 4096), 0);
	a = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	b = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	must(a != MAP_FAILED && b != MAP_FAILED);
	must_be(fipc_rwlock_attach(a, size, 0), FIPC_CREATED);
	must_be(fipc_rwlock_attach(b, size, 0), 0);
	must_be(fipc_rwlock_rdlock(a), 0);
	must_be(fipc_rwlock_wrlock(b), -EDEADLK);
	must_be(fipc_rwlock_unlock(b), -EPERM);
	must_be(fipc_rwlock_unlock(a), 0);
	must_be(fipc_rwlock_wrlock(a), 0);
	must_be(fipc_rwlock_wrlock(b), -EDEADLK);
	must_be(fipc_rwlock_rdlock(b), -EDEADLK);
	must_be(fipc_rwlock_unlock(a), 0);
	close(fd);
}

IN_CHILD(test_any_order_with_other_locks)
{
	fipc_rwlock *l[3];
	fipc_mutex m;

	must_be(fipc_mutex_init(&m, FIPC_PRIVATE), 0);
	for (int i = 0; i < 3; i++)
		l[i] = make_shared(FEW);
	must_be(fipc_rwlock_rdlock(l[0]), 0);
	must_be(fipc_rwlock_wrlock(l[1]), 0);
	must_be(fipc_mutex_lock(&m), 0);
	must_be(fipc_rwlock_rdlock(l[2]), 0);
	must_be(fipc_rwlock_unlock(l[1]), 0);
	must_be(fipc_rwlock_unlock(l[0]), 0);
	must_be(fipc_mutex_unlock(&m), 0);
	must_be(fipc_rwlock_unlock(l[2]), 0);
	for (int i = 0; i < 3; i++)
		must_be(in_child(try_to_write, l[i]), 0);
}

/* The list that the kernel walks ends somewhere. */
IN_CHILD(test_too_many_held)
{
	enum { MOST = 2046 };
	size_t size = fipc_rwlock_size(1);
	char *memory = share(size * (MOST + 1));

	for (int i = 0; i <= MOST; i++)
		must_be(fipc_rwlock_init((fipc_rwlock *)(void *)(memory + i * size), size, 0), 0);
	for (int i = 0; i < MOST; i++)
		must_be(fipc_rwlock_rdlock((fipc_rwlock *)(void *)(memory + i * size)), 0);
	must_be(fipc_rwlock_rdlock((fipc_rwlock *)(void *)(memory + MOST * size)), -EAGAIN);
	must_be(fipc_rwlock_wrlock((fipc_rwlock *)(void *)(memory + MOST * size)), -EAGAIN);
	for (int i = 0; i < MOST; i++)
		must_be(fipc_rwlock_unlock((fipc_rwlock *)(void *)(memory + i * size)), 0);
}

/* ---- who gets in beside whom ---- */

static void test_readers_together_writers_alone(void **state)
{
	struct holder a, b;
	fipc_rwlock *l = make_shared(FEW);

	(void)state;
	enter(&a, l, fipc_rwlock_rdlock);
	enter(&b, l, fipc_rwlock_rdlock);
	assert_int_equal(look_at(l).state, FIPC_RWLOCK_READ);
	assert_int_equal(look_at(l).readers, 2);
	assert_int_equal(in_child(try_to_read, l), 0);
	assert_int_equal(in_child(try_to_write, l), EBUSY);
	assert_int_equal(fipc_rwlock_wrlock_until(l, fipc_after_ms(5)), -ETIMEDOUT);
	assert_int_equal(in_child(try_to_read, l), 0);
	leave(&a);
	leave(&b);
	enter(&a, l, fipc_rwlock_wrlock);
	assert_int_equal(look_at(l).state, FIPC_RWLOCK_WRITTEN);
	assert_int_equal(look_at(l).writer_pid, a.pid);
	assert_int_equal(look_at(l).writer_tid, a.pid);
	assert_int_equal(in_child(try_to_read, l), EBUSY);
	assert_int_equal(in_child(try_to_write, l), EBUSY);
	assert_int_equal(fipc_rwlock_rdlock_until(l, fipc_after_ms(5)), -ETIMEDOUT);
	assert_int_equal(fipc_rwlock_wrlock_until(l, fipc_after_ms(5)), -ETIMEDOUT);
	leave(&a);
	assert_int_equal(look_at(l).state, FIPC_RWLOCK_FREE);
	assert_int_equal(look_at(l).writer_tid, 0);
	assert_int_equal(look_at(l).owner_deaths + look_at(l).reader_deaths, 0);
	assert_int_equal(in_child(write_once, l), 0);
	munmap(l, fipc_rwlock_size(FEW));
}

/* A writer waits: nobody else gets in before it. */
static void test_writer_shuts_the_gate(void **state)
{
	struct holder reader, writer;
	fipc_rwlock *l = make_shared(FEW);
	pid_t late;

	(void)state;
	enter(&reader, l, fipc_rwlock_rdlock);
	begin(&writer, l, fipc_rwlock_wrlock);
	await(look_at(l).waiters == 1);
	assert_int_equal(look_at(l).state, FIPC_RWLOCK_READ);
	assert_int_equal(in_child(try_to_read, l), EBUSY);
	late = start(read_once, l);
	await(look_at(l).waiters == 2);
	leave(&reader);
	gate_pass(&writer.in);
	assert_int_equal(look_at(l).state, FIPC_RWLOCK_WRITTEN);
	await(look_at(l).waiters == 1);
	leave(&writer);
	assert_int_equal(finish(late), 0);
	munmap(l, fipc_rwlock_size(FEW));
}

struct stream {
	fipc_rwlock *l;
	fipc_word over;
};

static void read_all_the_time(void *argument)
{
	struct stream *s = argument;

	while (!fipc_word_load(&s->over))
		read_once(s->l);
}

/* Each reads again as soon as it has left: there is hardly a moment without readers. */
static void test_writers_do_not_starve(void **state)
{
	enum { READERS = 4, TURNS = 200 };
	struct stream *s = share(sizeof(*s));
	pid_t pids[READERS];

	(void)state;
	s->l = make_shared(READERS);
	for (int i = 0; i < READERS; i++)
		pids[i] = start(read_all_the_time, s);
	await(look_at(s->l).reads > 1000);
	for (int i = 0; i < TURNS; i++) {
		assert_int_equal(fipc_rwlock_wrlock_until(s->l, fipc_after_ms(PATIENCE_MS)), 0);
		assert_int_equal(fipc_rwlock_unlock(s->l), 0);
	}
	fipc_word_store(&s->over, 1);
	for (int i = 0; i < READERS; i++)
		assert_int_equal(finish(pids[i]), 0);
	munmap(s->l, fipc_rwlock_size(READERS));
	munmap(s, sizeof(*s));
}

static void all_taken(unsigned n, int dies)
{
	struct holder *h = calloc(n, sizeof(*h));
	fipc_rwlock *l = make_shared(n);
	pid_t late;

	for (unsigned i = 0; i < n; i++)
		enter(&h[i], l, fipc_rwlock_rdlock);
	assert_int_equal(look_at(l).readers, n);
	assert_int_equal(in_child(try_to_read, l), EBUSY);
	assert_int_equal(fipc_rwlock_rdlock_until(l, fipc_after_ms(5)), -ETIMEDOUT);
	late = start(read_once, l);
	await(look_at(l).waiters == 1);
	if (dies)
		die(&h[n - 1]);
	else
		leave(&h[n - 1]);
	assert_int_equal(finish(late), 0);
	for (unsigned i = 0; i < n - 1; i++)
		leave(&h[i]);
	assert_int_equal(look_at(l).reader_deaths, dies);
	assert_int_equal(in_child(write_once, l), 0);
	munmap(l, fipc_rwlock_size(n));
	free(h);
}

static void test_all_slots_taken(void **state)
{
	(void)state;
	all_taken(1, 0);
	all_taken(FEW, 0);
	all_taken(FEW, 1);
}

struct crowd {
	fipc_rwlock *l;
	struct gate in, leave;
};

static void *read_in_a_crowd(void *argument)
{
	struct crowd *c = argument;

	must_be(fipc_rwlock_rdlock(c->l), 0);
	gate_open(&c->in);
	gate_pass(&c->leave);
	must_be(fipc_rwlock_unlock(c->l), 0);
	return NULL;
}

static void be_a_crowd(void *argument)
{
	pthread_t threads[MANY];

	for (int i = 0; i < MANY - 1; i++)
		must_be(pthread_create(&threads[i], NULL, read_in_a_crowd, argument), 0);
	for (int i = 0; i < MANY - 1; i++)
		must_be(pthread_join(threads[i], NULL), 0);
}

/* More slots than can be slept on at once: whichever is freed, the one who waits gets it. */
static void test_more_slots_than_watched(void **state)
{
	struct crowd c = {.l = make_shared(MANY)};
	struct holder late[2];
	pid_t crowd;

	(void)state;
	gate_make(&c.in);
	gate_make(&c.leave);
	crowd = start(be_a_crowd, &c);
	for (int i = 0; i < MANY - 1; i++)
		gate_pass(&c.in);
	enter(&late[0], c.l, fipc_rwlock_rdlock);
	assert_int_equal(look_at(c.l).readers, MANY);
	for (int i = 0; i < 100; i++) {
		begin(&late[(i + 1) % 2], c.l, fipc_rwlock_rdlock);
		await(look_at(c.l).waiters == 1);
		if (i % 2)
			leave(&late[i % 2]);
		else
			die(&late[i % 2]);
		gate_pass(&late[(i + 1) % 2].in);
	}
	leave(&late[0]);
	for (int i = 0; i < MANY - 1; i++)
		gate_open(&c.leave);
	assert_int_equal(finish(crowd), 0);
	assert_int_equal(in_child(write_once, c.l), 0);
	gate_free(&c.in);
	gate_free(&c.leave);
	munmap(c.l, fipc_rwlock_size(MANY));
}

/* ---- deaths ---- */

static void test_reader_dies(void **state)
{
	struct holder dead, alive, writer;
	fipc_rwlock *l = make_shared(FEW);

	(void)state;
	assert_int_equal(in_child(read_and_die, l), 128 + SIGKILL);
	assert_int_equal(look_at(l).state, FIPC_RWLOCK_FREE);
	assert_int_equal(look_at(l).reader_deaths, 1);
	assert_int_equal(in_child(write_once, l), 0);
	enter(&dead, l, fipc_rwlock_rdlock);
	enter(&alive, l, fipc_rwlock_rdlock);
	begin(&writer, l, fipc_rwlock_wrlock);
	await(look_at(l).waiters == 1);
	die(&dead);
	assert_int_equal(gate_try(&writer.in, 20), 0);
	die(&alive);
	gate_pass(&writer.in);
	leave(&writer);
	assert_int_equal(look_at(l).owner_deaths, 0);
	munmap(l, fipc_rwlock_size(FEW));
}

static void test_writer_dies(void **state)
{
	fipc_rwlock *l = make_shared(FEW);

	(void)state;
	assert_int_equal(in_child(write_and_die, l), 128 + SIGKILL);
	assert_int_equal(look_at(l).state, FIPC_RWLOCK_DIED);
	assert_int_equal(look_at(l).writer_tid, 0);
	assert_int_equal(fipc_rwlock_rdlock(l), FIPC_OWNER_DIED);
	assert_int_equal(look_at(l).state, FIPC_RWLOCK_RECOVERING);
	assert_int_equal(look_at(l).writer_tid, getpid());
	assert_int_equal(in_child(try_to_read, l), EBUSY);
	assert_int_equal(fipc_rwlock_rdlock(l), -EDEADLK);
	assert_int_equal(fipc_rwlock_consistent(l), 0);
	assert_int_equal(fipc_rwlock_consistent(l), -EINVAL);
	assert_int_equal(look_at(l).state, FIPC_RWLOCK_WRITTEN);
	assert_int_equal(in_child(try_to_read, l), EBUSY);
	assert_int_equal(fipc_rwlock_unlock(l), 0);
	assert_int_equal(in_child(read_once, l), 0);
	assert_int_equal(in_child(write_and_die, l), 128 + SIGKILL);
	assert_int_equal(in_child(write_and_die, l), 128 + SIGKILL); /* told, and dies again */
	assert_int_equal(in_child(be_told_writing, l), 0);
	assert_int_equal(in_child(write_once, l), 0);
	assert_int_equal(look_at(l).owner_deaths, 3);
	munmap(l, fipc_rwlock_size(FEW));
}

static void test_waiters_are_told(void **state)
{
	void (*const told[])(void *) = {be_told_reading, be_told_writing};
	struct holder writer;
	fipc_rwlock *l = make_shared(FEW);

	(void)state;
	for (int i = 0; i < 2; i++) {
		pid_t waiter;

		enter(&writer, l, fipc_rwlock_wrlock);
		waiter = start(told[i], l);
		await(look_at(l).waiters == 1);
		die(&writer);
		assert_int_equal(finish(waiter), 0);
	}
	assert_int_equal(in_child(read_once, l), 0);
	munmap(l, fipc_rwlock_size(FEW));
}

/* It has changed nothing yet. */
static void test_writer_dies_waiting(void **state)
{
	struct holder reader, writer, next;
	fipc_rwlock *l = make_shared(FEW);
	pid_t late;

	(void)state;
	enter(&reader, l, fipc_rwlock_rdlock);
	begin(&writer, l, fipc_rwlock_wrlock);
	await(look_at(l).waiters == 1);
	late = start(read_once, l);
	await(look_at(l).waiters == 2);
	die(&writer);
	assert_int_equal(finish(late), 0);
	begin(&next, l, fipc_rwlock_wrlock);
	await(look_at(l).waiters == 1);
	leave(&reader);
	gate_pass(&next.in);
	leave(&next);
	assert_int_equal(look_at(l).owner_deaths, 0);
	munmap(l, fipc_rwlock_size(FEW));
}

static void write_and_abandon(void *l)
{
	must_be(fipc_rwlock_wrlock(l), 0);
	must_be(fipc_rwlock_abandon(l), 0);
	must_be(fipc_rwlock_abandon(l), -EPERM);
}

static void leave_it_to_others(void *l)
{
	must_be(fipc_rwlock_rdlock(l), FIPC_OWNER_DIED);
	must_be(fipc_rwlock_abandon(l), 0);
}

static void read_and_abandon(void *l)
{
	must_be(fipc_rwlock_rdlock(l), 0);
	must_be(fipc_rwlock_abandon(l), 0);
}

static void test_abandoned(void **state)
{
	fipc_rwlock *l = make_shared(FEW);

	(void)state;
	assert_int_equal(fipc_rwlock_abandon(l), -EPERM);
	assert_int_equal(in_child(write_and_abandon, l), 0);
	assert_int_equal(look_at(l).state, FIPC_RWLOCK_DIED);
	assert_int_equal(in_child(leave_it_to_others, l), 0);
	assert_int_equal(in_child(be_told_writing, l), 0);
	assert_int_equal(in_child(read_and_abandon, l), 0);
	assert_int_equal(in_child(write_once, l), 0);
	assert_int_equal(look_at(l).owner_deaths, 2);
	munmap(l, fipc_rwlock_size(FEW));
}

static void give_up(void *l)
{
	must_be(fipc_rwlock_wrlock(l), FIPC_OWNER_DIED);
	must_be(fipc_rwlock_unlock(l), 0);
}

static void test_not_recoverable(void **state)
{
	fipc_rwlock *l = make_shared(FEW);

	(void)state;
	assert_int_equal(in_child(write_and_die, l), 128 + SIGKILL);
	assert_int_equal(in_child(give_up, l), 0);
	assert_int_equal(look_at(l).state, FIPC_RWLOCK_NOT_RECOVERABLE);
	assert_int_equal(fipc_rwlock_rdlock(l), -ENOTRECOVERABLE);
	assert_int_equal(fipc_rwlock_tryrdlock(l), -ENOTRECOVERABLE);
	assert_int_equal(fipc_rwlock_wrlock(l), -ENOTRECOVERABLE);
	assert_int_equal(fipc_rwlock_init(l, fipc_rwlock_size(FEW), 0), 0);
	assert_int_equal(in_child(read_once, l), 0);
	munmap(l, fipc_rwlock_size(FEW));
}

static void *end_reading(void *l)
{
	must_be(fipc_rwlock_rdlock(l), 0);
	return NULL;
}

static void *end_writing(void *l)
{
	must_be(fipc_rwlock_wrlock(l), 0);
	return NULL;
}

static void in_thread(void *(*body)(void *), void *argument)
{
	pthread_t thread;

	must_be(pthread_create(&thread, NULL, body, argument), 0);
	must_be(pthread_join(thread, NULL), 0);
}

IN_CHILD(test_thread_ends_holding)
{
	fipc_rwlock *l = make_shared(FEW);

	in_thread(end_reading, l);
	write_once(l);
	in_thread(end_writing, l);
	be_told_reading(l);
	read_once(l);
}

IN_CHILD(test_fork)
{
	fipc_rwlock *l = make_shared(FEW);

	must_be(fipc_rwlock_rdlock(l), 0);
	must_be(in_child(try_to_read, l), 0);
	must_be(in_child(try_to_write, l), EBUSY);
	must_be(fipc_rwlock_unlock(l), 0);
	must_be(fipc_rwlock_wrlock(l), 0);
	must_be(in_child(try_to_read, l), EBUSY);
	must_be(fipc_rwlock_unlock(l), 0);
}

/* ---- everybody at once, and some die ---- */

struct arena {
	fipc_rwlock *l;
	fipc_word over;
	uint64_t a, b; /* the lock protects: a == b */
	fipc_word torn;
};

static void mend(struct arena *arena)
{
	arena->a = arena->b;
	must_be(fipc_rwlock_consistent(arena->l), 0);
}

static void look_whether_torn(struct arena *arena)
{
	if (arena->a != arena->b)
		fipc_word_store(&arena->torn, 1);
}

static void write_in_arena(void *argument)
{
	struct arena *arena = argument;

	while (!fipc_word_load(&arena->over)) {
		int r = fipc_rwlock_wrlock(arena->l);

		must_not_fail(r);
		if (r == FIPC_OWNER_DIED)
			mend(arena);
		look_whether_torn(arena);
		arena->a++;
		arena->b++;
		must_be(fipc_rwlock_unlock(arena->l), 0);
	}
}

static void read_in_arena(void *argument)
{
	struct arena *arena = argument;

	while (!fipc_word_load(&arena->over)) {
		int r = fipc_rwlock_rdlock(arena->l);

		must_not_fail(r);
		if (r == FIPC_OWNER_DIED)
			mend(arena);
		look_whether_torn(arena);
		must_be(fipc_rwlock_unlock(arena->l), 0);
	}
}

static void *read_in_thread(void *argument)
{
	read_in_arena(argument);
	return NULL;
}

static void *write_in_thread(void *argument)
{
	write_in_arena(argument);
	return NULL;
}

/* Threads, so that a sanitizer sees all of it. */
IN_CHILD(test_threads_torture)
{
	enum { READERS = 4, WRITERS = 2, MS = 500 };
	struct arena arena = {.l = make_shared(READERS - 1)};
	pthread_t threads[READERS + WRITERS];
	int64_t end = now_ns() + MS * INT64_C(1000000);

	for (int i = 0; i < READERS + WRITERS; i++)
		must_be(pthread_create(&threads[i], NULL, i < READERS ? read_in_thread : write_in_thread, &arena), 0);
	while (now_ns() < end)
		nap_us(1000);
	await(look_at(arena.l).writes > 100 && look_at(arena.l).reads > 100);
	fipc_word_store(&arena.over, 1);
	for (int i = 0; i < READERS + WRITERS; i++)
		must_be(pthread_join(threads[i], NULL), 0);
	must(!fipc_word_load(&arena.torn));
	must(arena.a == arena.b && arena.a > 0);
}

static void test_processes_torture(void **state)
{
	enum { READERS = 4, WRITERS = 2, ALL = READERS + WRITERS, KILLS = 300 };
	struct arena *arena = share(sizeof(*arena));
	pid_t pids[ALL];

	(void)state;
	arena->l = make_shared(READERS - 1);
	for (int i = 0; i < ALL; i++)
		pids[i] = start(i < READERS ? read_in_arena : write_in_arena, arena);
	for (int k = 0; k < KILLS; k++) {
		struct fipc_rwlock_info info = look_at(arena->l);
		int i = k % ALL;

		await(look_at(arena->l).writes - info.writes > 3 || look_at(arena->l).reads - info.reads > 100);
		nap_us(rand() % 1000);
		murder(pids[i]);
		pids[i] = start(i < READERS ? read_in_arena : write_in_arena, arena);
	}
	fipc_word_store(&arena->over, 1);
	for (int i = 0; i < ALL; i++)
		assert_int_equal(finish(pids[i]), 0);
	assert_int_equal(fipc_word_load(&arena->torn), 0);
	assert_true(look_at(arena->l).owner_deaths + look_at(arena->l).reader_deaths > 0);
	munmap(arena->l, fipc_rwlock_size(READERS - 1));
	munmap(arena, sizeof(*arena));
}

/* ---- attach ---- */

static void attach_and_count(void *argument)
{
	fipc_word *made = argument;
	uint32_t n;
	int r = fipc_rwlock_attach((fipc_rwlock *)(void *)(made + 2), fipc_rwlock_size(FEW), 0);

	must_not_fail(r);
	n = fipc_word_load(made);
	while (r == FIPC_CREATED && !fipc_word_cas(made, &n, n + 1))
		;
	write_once(made + 2);
}

static void test_attach(void **state)
{
	enum { ALL = 6, ROUNDS = 50 };
	size_t size = fipc_rwlock_size(FEW);
	fipc_word *made = share(8 + size);
	fipc_rwlock *l = (fipc_rwlock *)(void *)(made + 2);

	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		pid_t pids[ALL];

		memset(made, 0, 8 + size);
		for (int i = 0; i < ALL; i++)
			pids[i] = start(attach_and_count, made);
		for (int i = 0; i < ALL; i++)
			assert_int_equal(finish(pids[i]), 0);
		assert_int_equal(fipc_word_load(made), 1);
	}
	assert_int_equal(fipc_rwlock_attach(l, size, FIPC_PRIVATE), -EINVAL);
	assert_int_equal(fipc_rwlock_attach(l, fipc_rwlock_size(FEW - 1), 0), -EINVAL);
	assert_int_equal(fipc_rwlock_attach(l, fipc_rwlock_size(FEW + 1), 0), 0);
	assert_int_equal(fipc_rwlock_destroy(l), 0);
	assert_int_equal(fipc_rwlock_attach(l, size, 0), FIPC_CREATED);
	assert_int_equal(in_child(read_once, l), 0);
	memset(l, 0x55, size);
	assert_int_equal(fipc_rwlock_attach(l, size, 0), -EINVAL);
	munmap(made, 8 + size);
}

/* ---- by name ---- */

static fipc_rwlock *must_open_rwlock(unsigned readers, unsigned flags, int wanted)
{
	fipc_rwlock *l;

	must_be(fipc_rwlock_open(&l, "a", readers, flags, 0600), wanted);
	return l;
}

static void *hold_named(void *argument)
{
	struct holder *h = argument;

	hold(h);
	return NULL;
}

static void close_while_held(fipc_rwlock *l, int (*lock)(fipc_rwlock *))
{
	struct holder h = {.l = l, .lock = lock};
	pthread_t thread;

	gate_make(&h.in);
	gate_make(&h.leave);
	must_be(pthread_create(&thread, NULL, hold_named, &h), 0);
	gate_pass(&h.in);
	must_be(fipc_rwlock_close(l), -EBUSY);
	gate_open(&h.leave);
	must_be(pthread_join(thread, NULL), 0);
	forget(&h);
}

IN_CHILD(test_named)
{
	const char *dir = fresh_dir();
	fipc_rwlock *l, *view;

	must_be(fipc_rwlock_open(&l, "a", 0, FIPC_CREATE, 0600), -EINVAL);
	must_be(fipc_rwlock_open(&l, "a", FIPC_RWLOCK_READERS_MAX + 1, FIPC_CREATE, 0600), -EINVAL);
	must_be(fipc_rwlock_open(&l, "a", 1, FIPC_CREATE | FIPC_TIMESTAMPS, 0600), -EINVAL);
	l = must_open_rwlock(FIPC_RWLOCK_READERS_MAX, FIPC_CREATE, FIPC_CREATED);
	must(inode_of(dir, "a.rwlock") != 0);
	must_be((long)look_at(l).max_readers, FIPC_RWLOCK_READERS_MAX);
	must(must_open_rwlock(0, 0, 0) == l);
	must_be(fipc_rwlock_close(l), 0);
	must_be(fipc_rwlock_destroy(l), -EINVAL);
	must_be(fipc_rwlock_rdlock(l), 0);
	must_be(in_child(try_to_write, l), EBUSY);
	must_be(fipc_rwlock_close(l), -EBUSY);
	must_be(fipc_rwlock_unlock(l), 0);
	close_while_held(l, fipc_rwlock_rdlock);
	close_while_held(l, fipc_rwlock_wrlock);
	view = must_open_rwlock(0, FIPC_READONLY, 0);
	must_be(fipc_rwlock_rdlock(view), -EACCES);
	must_be(fipc_rwlock_wrlock(view), -EACCES);
	must_be(fipc_rwlock_unlock(view), -EACCES);
	must_be((long)look_at(view).max_readers, FIPC_RWLOCK_READERS_MAX);
	must_be((long)look_at(view).reads, 2);
	must_be(fipc_rwlock_close(view), 0);
	must_be(fipc_rwlock_unlink("a"), 0);
	must_be(fipc_rwlock_unlink("a"), -ENOENT);
	must_be(fipc_rwlock_close(l), 0);
	must_be(fipc_rwlock_close(NULL), 0);
	must_become_clean(dir, 1);
}

static int find_rwlock(const struct fipc_object *o, void *ret)
{
	must_be(o->error, 0);
	must_be((long)o->type, FIPC_TYPE_RWLOCK);
	*(struct fipc_rwlock_info *)ret = o->rwlock;
	return 0;
}

static struct fipc_rwlock_info walk_to_it(const char *dir)
{
	struct fipc_rwlock_info info = {0};
	fipc_registry *r;

	must_be(fipc_registry_open(&r, dir, 0), 0);
	must_be(fipc_registry_walk(r, 0, NULL, find_rwlock, &info), 0);
	fipc_registry_close(r);
	return info;
}

IN_CHILD(test_registry)
{
	const char *dir = fresh_dir();
	fipc_rwlock *l = must_open_rwlock(MANY, FIPC_CREATE, FIPC_CREATED);
	struct holder reader, writer;

	must_be(walk_to_it(dir).state, FIPC_RWLOCK_FREE);
	must_be(walk_to_it(dir).max_readers, MANY);
	enter(&reader, l, fipc_rwlock_rdlock);
	must_be(walk_to_it(dir).readers, 1);
	must_be(walk_to_it(dir).state, FIPC_RWLOCK_READ);
	begin(&writer, l, fipc_rwlock_wrlock);
	await(walk_to_it(dir).waiters == 1);
	leave(&reader);
	gate_pass(&writer.in);
	must_be(walk_to_it(dir).state, FIPC_RWLOCK_WRITTEN);
	must_be(walk_to_it(dir).writer_pid, writer.pid);
	die(&writer);
	must_be(walk_to_it(dir).state, FIPC_RWLOCK_DIED);
	must_be(fipc_rwlock_close(l), 0);
	must_become_clean(dir, 1);
}

/* What a peer writes into the head: the number of slots that this process has is its own affair. */
IN_CHILD(test_scribbled_head)
{
	enum { N_SLOTS = 4 }; /* as 32-bit words, from the beginning */
	fipc_rwlock *l;
	uint32_t *head;

	fresh_dir();
	l = must_open_rwlock(FEW, FIPC_CREATE, FIPC_CREATED);
	head = (uint32_t *)(void *)l;
	must_be(head[N_SLOTS], FEW);
	must_be(fipc_rwlock_rdlock(l), 0);
	head[N_SLOTS] = FIPC_RWLOCK_READERS_MAX;
	must_be(fipc_rwlock_unlock(l), 0);
	must_be(fipc_rwlock_rdlock(l), -EINVAL);
	must_be(fipc_rwlock_wrlock(l), -EINVAL);
	head[N_SLOTS] = 0;
	must_be(fipc_rwlock_rdlock(l), -EINVAL);
	must_be(fipc_rwlock_unlock(l), -EPERM);
	head[N_SLOTS] = FEW;
	write_once(l);
	head[0] = 0;
	must_be(fipc_rwlock_rdlock(l), -EINVAL);
	must_be(fipc_rwlock_close(l), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_size_and_init),
		cmocka_unit_test(test_held_by_this_thread),
		cmocka_unit_test(test_through_another_mapping),
		cmocka_unit_test(test_any_order_with_other_locks),
		cmocka_unit_test(test_too_many_held),
		cmocka_unit_test(test_readers_together_writers_alone),
		cmocka_unit_test(test_writer_shuts_the_gate),
		cmocka_unit_test(test_writers_do_not_starve),
		cmocka_unit_test(test_all_slots_taken),
		cmocka_unit_test(test_more_slots_than_watched),
		cmocka_unit_test(test_reader_dies),
		cmocka_unit_test(test_writer_dies),
		cmocka_unit_test(test_waiters_are_told),
		cmocka_unit_test(test_writer_dies_waiting),
		cmocka_unit_test(test_abandoned),
		cmocka_unit_test(test_not_recoverable),
		cmocka_unit_test(test_thread_ends_holding),
		cmocka_unit_test(test_fork),
		cmocka_unit_test(test_threads_torture),
		cmocka_unit_test(test_processes_torture),
		cmocka_unit_test(test_attach),
		cmocka_unit_test(test_named),
		cmocka_unit_test(test_registry),
		cmocka_unit_test(test_scribbled_head),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
