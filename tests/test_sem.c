/* SPDX-License-Identifier: Apache-2.0 */
/* The contract of a semaphore, in place and named, while everybody lives. */
#include "support.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

static fipc_sem *make_shared(uint32_t initial)
{
	fipc_sem *s = share(sizeof(*s));

	must_be(fipc_sem_init(s, initial, 0), 0);
	return s;
}

static struct fipc_sem_info look(const fipc_sem *s)
{
	struct fipc_sem_info info;

	must_be(fipc_sem_info(s, &info, sizeof(info)), 0);
	return info;
}

/* ---- init, attach, destroy, what is not a semaphore ---- */

static void test_init(void **state)
{
	fipc_sem s, pair[2];

	(void)state;
	memset(&s, 0xa5, sizeof(s));
	assert_int_equal(fipc_sem_init(&s, 3, 0), 0);
	assert_int_equal(fipc_sem_value(&s), 3);
	assert_int_equal(fipc_sem_init(&s, UINT32_MAX, FIPC_PRIVATE | FIPC_TIMESTAMPS), 0);
	assert_true(fipc_sem_value(&s) == UINT32_MAX);
	assert_int_equal(fipc_sem_init(&s, 0, FIPC_OWNED), -EINVAL);
	assert_int_equal(fipc_sem_init(&s, 0, FIPC_CREATE), -EINVAL);
	assert_int_equal(fipc_sem_init(&s, 0, 1u << 31), -EINVAL);
	assert_int_equal(fipc_sem_init(NULL, 0, 0), -EINVAL);
	for (int shift = 1; shift < 8; shift++)
		assert_int_equal(fipc_sem_init((void *)((char *)pair + shift), 0, 0), -EINVAL);
}

/* Every call says so of what is no semaphore, and changes nothing. */
static void refuse_all(fipc_sem *s, int wanted)
{
	struct fipc_sem_info info;
	fipc_sem before = *s;

	assert_int_equal(fipc_sem_wait(s), wanted);
	assert_int_equal(fipc_sem_trywait(s), wanted);
	assert_int_equal(fipc_sem_wait_until(s, fipc_after_ms(1)), wanted);
	assert_int_equal(fipc_sem_post(s, 1), wanted);
	assert_int_equal(fipc_sem_post(s, 0), wanted);
	assert_int_equal(fipc_sem_value(s), wanted);
	assert_int_equal(fipc_sem_info(s, &info, sizeof(info)), wanted);
	assert_int_equal(fipc_sem_destroy(s), wanted);
	assert_memory_equal(s, &before, sizeof(*s));
}

static void test_not_a_semaphore(void **state)
{
	fipc_sem s;
	fipc_mutex m;

	(void)state;
	memset(&s, 0, sizeof(s));
	refuse_all(&s, -EINVAL);
	memset(&s, 0xff, sizeof(s));
	refuse_all(&s, -EINVAL);
	assert_int_equal(fipc_sem_init(&s, 1, 0), 0);
	*(char *)&s ^= 1;
	refuse_all(&s, -EINVAL);
	/* The second half of the header's eight bytes is its kind: ABI in byte 5. */
	assert_int_equal(fipc_sem_init(&s, 1, 0), 0);
	((unsigned char *)&s)[5] = 0x7e;
	refuse_all(&s, -ENOTSUP);
	assert_int_equal(fipc_mutex_init(&m, 0), 0);
	refuse_all((fipc_sem *)(void *)&m, -EINVAL);
}

static void test_destroy(void **state)
{
	fipc_sem s;

	(void)state;
	assert_int_equal(fipc_sem_init(&s, 2, 0), 0);
	assert_int_equal(fipc_sem_destroy(&s), 0);
	refuse_all(&s, -EINVAL);
	assert_int_equal(fipc_sem_attach(&s, 7, 0), FIPC_CREATED);
	assert_int_equal(fipc_sem_value(&s), 7);
}

static void test_static_initializer(void **state)
{
	static fipc_sem none = FIPC_SEM_INITIALIZER(0), some = FIPC_SEM_INITIALIZER(5);
	fipc_sem made;

	(void)state;
	assert_int_equal(fipc_sem_init(&made, 0, FIPC_PRIVATE), 0);
	assert_memory_equal(&none, &made, sizeof(made));
	assert_int_equal(fipc_sem_init(&made, 5, FIPC_PRIVATE), 0);
	assert_memory_equal(&some, &made, sizeof(made));
	assert_int_equal(fipc_sem_trywait(&none), -EAGAIN);
	assert_int_equal(fipc_sem_trywait(&some), 0);
}

static void test_attach(void **state)
{
	fipc_sem *s = share(sizeof(*s)), pair[2] = {{{0}}};

	(void)state;
	assert_int_equal(fipc_sem_attach(s, 3, FIPC_TIMESTAMPS), FIPC_CREATED);
	assert_int_equal(fipc_sem_attach(s, 9, 0), 0);
	assert_int_equal(fipc_sem_value(s), 3);
	assert_int_equal(fipc_sem_wait(s), 0);
	assert_true(look(s).acquired_ns > 0);
	assert_int_equal(fipc_sem_attach(pair, 0, FIPC_PRIVATE), -EINVAL);
	assert_int_equal(fipc_sem_attach(pair, 0, FIPC_OWNED), -EINVAL);
	assert_int_equal(fipc_sem_attach(NULL, 0, 0), -EINVAL);
	assert_int_equal(fipc_sem_attach((void *)((char *)pair + 4), 0, 0), -EINVAL);
	memset(pair, 0xff, sizeof(pair));
	assert_int_equal(fipc_sem_attach(pair, 0, 0), -EINVAL);
	munmap(s, sizeof(*s));
}

enum { RACERS = 4, RACES = 50 };
static struct race {
	fipc_sem s;
	fipc_word go, made;
} *race;

static void attach_and_wait(void *argument)
{
	int r;

	(void)argument;
	while (!fipc_word_load(&race->go))
		nap_us(10);
	r = fipc_sem_attach(&race->s, RACERS, 0);
	must_not_fail(r);
	if (r == FIPC_CREATED) {
		uint32_t seen = fipc_word_load(&race->made);

		while (!fipc_word_cas(&race->made, &seen, seen + 1))
			;
	}
	must_be(fipc_sem_trywait(&race->s), 0); /* had it been made twice, there would be one too many left */
}

static void test_attach_race(void **state)
{
	(void)state;
	race = share(sizeof(*race));
	for (int i = 0; i < RACES; i++) {
		pid_t pids[RACERS];

		memset(race, 0, sizeof(*race));
		for (int j = 0; j < RACERS; j++)
			pids[j] = start(attach_and_wait, NULL);
		fipc_word_store(&race->go, 1);
		for (int j = 0; j < RACERS; j++)
			assert_int_equal(finish(pids[j]), 0);
		assert_int_equal(fipc_word_load(&race->made), 1);
		assert_int_equal(fipc_sem_value(&race->s), 0);
	}
	munmap(race, sizeof(*race));
}

/* ---- one thread ---- */

static void test_counts(void **state)
{
	fipc_sem s;

	(void)state;
	assert_int_equal(fipc_sem_init(&s, 1, 0), 0);
	assert_int_equal(fipc_sem_post(&s, 0), 0);
	assert_int_equal(fipc_sem_post(&s, 3), 0);
	assert_int_equal(fipc_sem_value(&s), 4);
	assert_int_equal(fipc_sem_wait(&s), 0);
	assert_int_equal(fipc_sem_trywait(&s), 0);
	assert_int_equal(fipc_sem_wait_until(&s, FIPC_NOW), 0);
	assert_int_equal(fipc_sem_wait_until(&s, 1), 0); /* long past, but there is a token */
	assert_int_equal(fipc_sem_value(&s), 0);
	assert_int_equal(fipc_sem_trywait(&s), -EAGAIN);
	assert_int_equal(fipc_sem_wait_until(&s, FIPC_NOW), -EAGAIN);
	assert_int_equal(fipc_sem_wait_until(&s, -5), -EAGAIN);
	assert_int_equal(fipc_sem_wait_until(&s, 1), -ETIMEDOUT);
	assert_int_equal(fipc_sem_value(&s), 0);
}

static void test_limits(void **state)
{
	fipc_sem s;

	(void)state;
	assert_int_equal(fipc_sem_init(&s, 0, 0), 0);
	assert_int_equal(fipc_sem_post(&s, UINT32_MAX), 0);
	assert_true(fipc_sem_value(&s) == UINT32_MAX);
	assert_int_equal(fipc_sem_post(&s, 1), -EOVERFLOW);
	assert_int_equal(fipc_sem_post(&s, UINT32_MAX), -EOVERFLOW);
	assert_int_equal(fipc_sem_post(&s, 0), 0);
	assert_int_equal(fipc_sem_wait(&s), 0);
	assert_int_equal(fipc_sem_post(&s, 2), -EOVERFLOW);
	assert_int_equal(fipc_sem_post(&s, 1), 0);
	assert_true(fipc_sem_value(&s) == UINT32_MAX);
}

static void test_info(void **state)
{
	struct fipc_sem_info info;
	fipc_sem s;

	(void)state;
	assert_int_equal(fipc_sem_init(&s, 2, FIPC_TIMESTAMPS), 0);
	info = look(&s);
	assert_int_equal(info.size, sizeof(info));
	assert_int_equal(info.value, 2);
	assert_int_equal(info.last_pid, 0);
	assert_true(info.acquired_ns == 0);
	assert_int_equal(fipc_sem_wait(&s), 0);
	info = look(&s);
	assert_int_equal(info.value, 1);
	assert_int_equal(info.last_pid, getpid());
	assert_true(info.acquired_ns > 0 && (int64_t)info.acquired_ns <= now_ns());
	assert_int_equal(info.waiters, 0);
	assert_int_equal(info.holders, 0);
	/* One compiled with a shorter struct gets no more than that. */
	memset(&info, 0xee, sizeof(info));
	assert_int_equal(fipc_sem_info(&s, &info, 8), 0);
	assert_int_equal(info.size, 8);
	assert_int_equal(info.value, 1);
	assert_int_equal(info.waiters, 0xeeeeeeee);
	assert_int_equal(fipc_sem_info(&s, &info, 7), -EINVAL);
	assert_int_equal(fipc_sem_info(NULL, &info, sizeof(info)), -EINVAL);
	assert_int_equal(fipc_sem_value(NULL), -EINVAL);
}

/* ---- waiting ---- */

static void test_deadline(void **state)
{
	fipc_sem s;
	int64_t begun = now_ns();

	(void)state;
	assert_int_equal(fipc_sem_init(&s, 0, 0), 0);
	assert_int_equal(fipc_sem_wait_until(&s, fipc_after_ms(20)), -ETIMEDOUT);
	assert_true(now_ns() - begun >= 20000000);
	assert_int_equal(look(&s).waiters, 0);
	assert_int_equal(fipc_sem_post(&s, 1), 0); /* finds nobody to wake */
	assert_int_equal(fipc_sem_wait_until(&s, fipc_after_ms(PATIENCE_MS)), 0);
}

struct waiter {
	fipc_sem *s;
	int result, interruptible;
	fipc_word tid, done;
	pthread_t thread;
};

static void *wait_for_one(void *argument)
{
	struct waiter *w = argument;

	must_be(fipc_set_interruptible(w->interruptible), 0);
	fipc_word_store(&w->tid, (uint32_t)syscall(SYS_gettid));
	w->result = fipc_sem_wait(w->s);
	fipc_word_store(&w->done, 1);
	return NULL;
}

static void begin_waiting(struct waiter *w, fipc_sem *s, unsigned waiters)
{
	w->s = s;
	must_be(pthread_create(&w->thread, NULL, wait_for_one, w), 0);
	await(look(s).waiters == waiters);
}

static void test_wakes_one(void **state)
{
	fipc_sem *s = make_shared(0);
	struct waiter w = {0};

	(void)state;
	begin_waiting(&w, s, 1);
	assert_int_equal(fipc_sem_destroy(s), -EBUSY);
	assert_int_equal(fipc_sem_post(s, 1), 0);
	pthread_join(w.thread, NULL);
	assert_int_equal(w.result, 0);
	assert_int_equal(fipc_sem_value(s), 0);
	munmap(s, sizeof(*s));
}

enum { CROWD = 5 };

static unsigned count_done(struct waiter *w)
{
	unsigned n = 0;

	for (int i = 0; i < CROWD; i++)
		n += fipc_word_load(&w[i].done);
	return n;
}

/* As many as there are tokens, no more, no less. */
static void test_wakes_as_many_as_tokens(void **state)
{
	fipc_sem *s = make_shared(0);
	struct waiter w[CROWD] = {{0}};

	(void)state;
	for (unsigned i = 0; i < CROWD; i++)
		begin_waiting(&w[i], s, i + 1);
	assert_int_equal(fipc_sem_post(s, 1), 0);
	await(count_done(w) == 1);
	assert_int_equal(fipc_sem_post(s, 3), 0);
	await(count_done(w) == 4);
	await(look(s).waiters == 1);
	assert_int_equal(fipc_sem_value(s), 0);
	assert_int_equal(fipc_sem_post(s, 10), 0);
	for (int i = 0; i < CROWD; i++) {
		pthread_join(w[i].thread, NULL);
		assert_int_equal(w[i].result, 0);
	}
	assert_int_equal(fipc_sem_value(s), 9);
	munmap(s, sizeof(*s));
}

static void on_signal(int signal)
{
	(void)signal;
}

static void handle(int signal, void (*handler)(int))
{
	struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};

	must_be(sigaction(signal, &action, NULL), 0);
}

static void test_interrupted(void **state)
{
	fipc_sem *s = make_shared(0);
	struct waiter deaf = {0}, listening = {.interruptible = 1};

	(void)state;
	handle(SIGUSR1, on_signal);
	begin_waiting(&deaf, s, 1);
	begin_waiting(&listening, s, 2);
	assert_int_equal(pthread_kill(deaf.thread, SIGUSR1), 0);
	while (!fipc_word_load(&listening.done)) {
		assert_int_equal(pthread_kill(listening.thread, SIGUSR1), 0);
		nap_us(1000);
	}
	pthread_join(listening.thread, NULL);
	assert_int_equal(listening.result, -EINTR);
	assert_int_equal(fipc_word_load(&deaf.done), 0);
	assert_int_equal(fipc_sem_post(s, 1), 0);
	pthread_join(deaf.thread, NULL);
	assert_int_equal(deaf.result, 0);
	munmap(s, sizeof(*s));
}

static fipc_sem *to_post;
static fipc_word posts;

static void post_it(int signal)
{
	int saved = errno;

	(void)signal;
	must_be(fipc_sem_post(to_post, 1), 0);
	must_be(errno, saved);
	fipc_word_store(&posts, fipc_word_load(&posts) + 1);
}

static void *keep_busy(void *argument)
{
	fipc_sem other;
	fipc_mutex m;

	must_be(fipc_sem_init(&other, 0, 0), 0);
	must_be(fipc_mutex_init(&m, 0), 0);
	while (!fipc_word_load(argument)) {
		must_be(fipc_sem_post(&other, 1), 0);
		must_be(fipc_sem_wait(&other), 0);
		must_be(fipc_sem_wait_until(&other, 1), -ETIMEDOUT);
		must_be(fipc_mutex_lock(&m), 0);
		must_be(fipc_mutex_unlock(&m), 0);
	}
	return NULL;
}

/* A handler posts, whatever it interrupts; the sleeper is woken each time. */
static void test_post_in_a_handler(void **state)
{
	enum { SIGNALS = 200 };
	fipc_word stop = {0};
	pthread_t busy;

	(void)state;
	to_post = make_shared(0);
	fipc_word_store(&posts, 0);
	handle(SIGUSR2, post_it);
	assert_int_equal(pthread_create(&busy, NULL, keep_busy, &stop), 0);
	for (uint32_t i = 0; i < SIGNALS; i++) {
		assert_int_equal(pthread_kill(busy, SIGUSR2), 0);
		assert_int_equal(fipc_sem_wait_until(to_post, fipc_after_ms(PATIENCE_MS)), 0);
		await(fipc_word_load(&posts) == i + 1);
	}
	fipc_word_store(&stop, 1);
	pthread_join(busy, NULL);
	assert_int_equal(fipc_sem_value(to_post), 0);
	munmap(to_post, sizeof(*to_post));
}

/* ---- fork ---- */

static void take_and_say(void *argument)
{
	fipc_sem *s = argument;

	must_be(fipc_sem_wait(s), 0);
	must_be((int)look(s).last_pid, getpid());
	must_be(fipc_sem_wait_until(s, fipc_after_ms(PATIENCE_MS)), 0);
}

static void test_fork(void **state)
{
	fipc_sem *s = make_shared(2);
	pid_t child;

	(void)state;
	assert_int_equal(fipc_sem_wait(s), 0); /* this thread is ready, and its child is to be made ready anew */
	child = start(take_and_say, s);
	await(look(s).waiters == 1);
	assert_int_equal(fipc_sem_post(s, 1), 0);
	assert_int_equal(finish(child), 0);
	munmap(s, sizeof(*s));
}

/* ---- named ---- */

static fipc_sem *must_open_sem(const char *name, uint32_t initial, unsigned flags, int wanted)
{
	fipc_sem *s = NULL;

	must_be(fipc_sem_open(&s, name, initial, flags, 0600), wanted);
	return s;
}

IN_CHILD(test_named)
{
	fipc_sem *s, *again, *sentinel = (fipc_sem *)(uintptr_t)8, *unset = sentinel;

	fresh_dir();
	must_be(fipc_sem_open(&unset, "s", 1, 0, 0600), -ENOENT);
	must_be(fipc_sem_open(&unset, "s", 1, FIPC_CREATE | FIPC_AUTORESET, 0600), -EINVAL);
	must(unset == sentinel);
	s = must_open_sem("s", 2, FIPC_CREATE, FIPC_CREATED);
	again = must_open_sem("s", 9, FIPC_CREATE, 0);
	must(again == s && strcmp(fipc_name(s), "s") == 0);
	must_be(fipc_sem_value(s), 2);
	must_be(fipc_sem_wait(s), 0);
	must_be(fipc_sem_post(s, 3), 0);
	must_be(fipc_sem_value(s), 4);
	must_be(fipc_sem_destroy(s), -EINVAL);
	must_be(fipc_sem_close(again), 0);
	must_be(fipc_sem_close(s), 0);
	must_be(fipc_sem_close(NULL), 0);
	must_be(fipc_sem_unlink("s"), -ENOENT); /* it went with its last user */
	must_be(fipc_mutex_unlink("s"), -ENOENT);
}

IN_CHILD(test_readonly)
{
	fipc_sem *s, *view;
	struct fipc_sem_info info;

	fresh_dir();
	s = must_open_sem("s", 4, FIPC_CREATE, FIPC_CREATED);
	view = must_open_sem("s", 0, FIPC_READONLY, 0);
	must(view != s);
	must_be(fipc_sem_value(view), 4);
	must_be(fipc_sem_info(view, &info, sizeof(info)), 0);
	must_be(info.value, 4);
	must_be(fipc_sem_post(view, 1), -EACCES);
	must_be(fipc_sem_post(view, 0), -EACCES);
	must_be(fipc_sem_wait(view), -EACCES);
	must_be(fipc_sem_trywait(view), -EACCES);
	must_be(fipc_sem_wait_until(view, fipc_after_ms(1)), -EACCES);
	must_be(fipc_sem_destroy(view), -EACCES);
	must_be(fipc_sem_attach(view, 0, 0), -EACCES);
	must_be(fipc_sem_close(view), 0);
	must_be(fipc_sem_value(s), 4);
	must_be(fipc_sem_close(s), 0);
}

IN_CHILD(test_close_while_slept_on)
{
	struct waiter w = {0};
	fipc_sem *s;

	fresh_dir();
	s = must_open_sem("s", 0, FIPC_CREATE, FIPC_CREATED);
	begin_waiting(&w, s, 1);
	must_be(fipc_sem_close(s), -EBUSY);
	must_be(fipc_sem_post(s, 1), 0);
	pthread_join(w.thread, NULL);
	must_be(w.result, 0);
	must_be(fipc_sem_close(s), 0);
}

static int see(const struct fipc_object *object, void *context)
{
	*(struct fipc_object *)context = *object;
	return 0;
}

IN_CHILD(test_in_the_registry)
{
	const char *dir = fresh_dir();
	struct fipc_object seen = {0};
	struct waiter w = {0};
	fipc_registry *registry;
	fipc_sem *s;

	s = must_open_sem("s", 1, FIPC_CREATE, FIPC_CREATED);
	must_be(fipc_sem_wait(s), 0);
	begin_waiting(&w, s, 1);
	must_be(fipc_registry_open(&registry, dir, 0), 0);
	must_be(fipc_registry_walk(registry, 0, NULL, see, &seen), 0);
	must_be(seen.type, FIPC_TYPE_SEM);
	must_be(seen.error, 0);
	must_be(seen.sem.value, 0);
	must_be(seen.sem.waiters, 1);
	must_be((int)seen.sem.last_pid, getpid());
	must_be(fipc_sem_post(s, 1), 0);
	pthread_join(w.thread, NULL);
	fipc_registry_close(registry);
	must_be(fipc_sem_close(s), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_init),
		cmocka_unit_test(test_not_a_semaphore),
		cmocka_unit_test(test_destroy),
		cmocka_unit_test(test_static_initializer),
		cmocka_unit_test(test_attach),
		cmocka_unit_test(test_attach_race),
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_info),
		cmocka_unit_test(test_deadline),
		cmocka_unit_test(test_wakes_one),
		cmocka_unit_test(test_wakes_as_many_as_tokens),
		cmocka_unit_test(test_interrupted),
		cmocka_unit_test(test_post_in_a_handler),
		cmocka_unit_test(test_fork),
		cmocka_unit_test(test_named),
		cmocka_unit_test(test_readonly),
		cmocka_unit_test(test_close_while_slept_on),
		cmocka_unit_test(test_in_the_registry),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
