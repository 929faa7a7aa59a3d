/* SPDX-License-Identifier: Apache-2.0 */
/* The contract of an event, in place and by name; and what becomes of a wake-up when one who was woken is killed. */
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
#include <unistd.h>

#include <cmocka.h>

static fipc_event *make_shared(unsigned flags)
{
	fipc_event *e = share(sizeof(*e));

	must_be(fipc_event_init(e, flags), 0);
	return e;
}

static struct fipc_event_info look(const fipc_event *e)
{
	struct fipc_event_info info;

	must_be(fipc_event_info(e, &info, sizeof(info)), 0);
	return info;
}

/* ---- init, attach, destroy, what is no event ---- */

static void test_init_over_anything(void **state)
{
	fipc_event e;

	(void)state;
	memset(&e, 0xa5, sizeof(e));
	assert_int_equal(fipc_event_init(&e, 0), 0);
	assert_int_equal(fipc_event_is_set(&e), 0);
	assert_int_equal(fipc_event_set(&e), 0);
	assert_int_equal(fipc_event_init(&e, FIPC_PRIVATE | FIPC_AUTORESET), 0);
	assert_int_equal(fipc_event_is_set(&e), 0);
	assert_int_equal(fipc_event_destroy(&e), 0);
	assert_int_equal(fipc_event_set(&e), -EINVAL);
}

static void test_init_refuses(void **state)
{
	fipc_event pair[2];

	(void)state;
	assert_int_equal(fipc_event_init(&pair[0], FIPC_TIMESTAMPS), -EINVAL);
	assert_int_equal(fipc_event_init(&pair[0], FIPC_CREATE), -EINVAL);
	assert_int_equal(fipc_event_init(&pair[0], 1u << 31), -EINVAL);
	for (int shift = 1; shift < 8; shift++)
		assert_int_equal(fipc_event_init((void *)((char *)pair + shift), 0), -EINVAL);
}

static void refuse_all(fipc_event *e)
{
	struct fipc_event_info info;
	fipc_event before = *e;

	assert_int_equal(fipc_event_set(e), -EINVAL);
	assert_int_equal(fipc_event_clear(e), -EINVAL);
	assert_int_equal(fipc_event_is_set(e), -EINVAL);
	assert_int_equal(fipc_event_wait(e), -EINVAL);
	assert_int_equal(fipc_event_wait_until(e, FIPC_NOW), -EINVAL);
	assert_int_equal(fipc_event_info(e, &info, sizeof(info)), -EINVAL);
	assert_int_equal(fipc_event_destroy(e), -EINVAL);
	assert_memory_equal(e, &before, sizeof(*e));
}

static void test_no_event(void **state)
{
	fipc_event e = {{0}};

	(void)state;
	refuse_all(&e);
	memset(&e, 0xff, sizeof(e));
	refuse_all(&e);
	assert_int_equal(fipc_mutex_init((fipc_mutex *)&e, 0), 0);
	refuse_all(&e);
}

static void test_other_abi(void **state)
{
	fipc_event e;

	(void)state;
	assert_int_equal(fipc_event_init(&e, 0), 0);
	((unsigned char *)&e)[5]++;
	assert_int_equal(fipc_event_set(&e), -ENOTSUP);
	assert_int_equal(fipc_event_clear(&e), -ENOTSUP);
	assert_int_equal(fipc_event_is_set(&e), -ENOTSUP);
	assert_int_equal(fipc_event_wait_until(&e, FIPC_NOW), -ENOTSUP);
}

IN_CHILD(test_attach)
{
	fipc_event *e = share(sizeof(*e));

	must_be(fipc_event_attach(e, FIPC_PRIVATE), -EINVAL);
	must_be(fipc_event_attach(e, FIPC_AUTORESET), FIPC_CREATED);
	must_be(fipc_event_attach(e, 0), 0);
	must_be(look(e).autoreset, 1);
	must_be(fipc_event_set(e), 0);
	must_be(fipc_event_destroy(e), 0);
	must_be(fipc_event_attach(e, 0), FIPC_CREATED);
	must_be(look(e).autoreset, 0);
	must_be(fipc_event_is_set(e), 0);
	memset(e, 0x5a, sizeof(*e));
	must_be(fipc_event_attach(e, 0), -EINVAL);
}

/* ---- one thread ---- */

static void test_manual(void **state)
{
	fipc_event e;

	(void)state;
	assert_int_equal(fipc_event_init(&e, 0), 0);
	assert_int_equal(fipc_event_wait_until(&e, FIPC_NOW), -EAGAIN);
	assert_int_equal(fipc_event_wait_until(&e, -1), -EAGAIN);
	assert_int_equal(fipc_event_wait_until(&e, fipc_after_ms(1)), -ETIMEDOUT);
	assert_int_equal(fipc_event_set(&e), 0);
	assert_int_equal(fipc_event_set(&e), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(fipc_event_wait(&e), 0);
	assert_int_equal(fipc_event_is_set(&e), 1);
	assert_int_equal(look(&e).sets, 1);
	assert_int_equal(fipc_event_clear(&e), 0);
	assert_int_equal(fipc_event_clear(&e), 0);
	assert_int_equal(fipc_event_wait_until(&e, FIPC_NOW), -EAGAIN);
	assert_int_equal(fipc_event_set(&e), 0);
	assert_int_equal(look(&e).sets, 2);
}

static void test_autoreset(void **state)
{
	fipc_event e;

	(void)state;
	assert_int_equal(fipc_event_init(&e, FIPC_AUTORESET), 0);
	assert_int_equal(look(&e).autoreset, 1);
	assert_int_equal(fipc_event_set(&e), 0);
	assert_int_equal(fipc_event_set(&e), 0);
	assert_int_equal(fipc_event_is_set(&e), 1);
	assert_int_equal(fipc_event_wait(&e), 0);
	assert_int_equal(fipc_event_is_set(&e), 0);
	assert_int_equal(fipc_event_wait_until(&e, FIPC_NOW), -EAGAIN);
	assert_int_equal(fipc_event_set(&e), 0);
	assert_int_equal(fipc_event_clear(&e), 0);
	assert_int_equal(fipc_event_wait_until(&e, fipc_after_ms(1)), -ETIMEDOUT);
}

/* The struct grows: what the caller was not compiled with is left alone. */
static void test_info_sizes(void **state)
{
	unsigned char bytes[sizeof(struct fipc_event_info) + 8];
	struct fipc_event_info info;
	fipc_event e;

	(void)state;
	assert_int_equal(fipc_event_init(&e, 0), 0);
	assert_int_equal(fipc_event_info(&e, &info, 7), -EINVAL);
	memset(bytes, 0xee, sizeof(bytes));
	assert_int_equal(fipc_event_info(&e, (void *)bytes, 8), 0);
	assert_int_equal(bytes[8], 0xee);
	assert_int_equal(fipc_event_info(&e, (void *)bytes, sizeof(bytes)), 0);
	assert_int_equal(bytes[sizeof(info)], 0xee);
}

/* ---- several ---- */

enum { MANY = 4 };

struct stage {
	fipc_event e;
	fipc_word passed;
};

static void wait_once(void *argument)
{
	struct stage *s = argument;
	uint32_t n;

	must_be(fipc_event_wait(&s->e), 0);
	n = fipc_word_load(&s->passed);
	while (!fipc_word_cas(&s->passed, &n, n + 1))
		;
}

static struct stage *with_sleepers(unsigned flags, int n, pid_t *pids)
{
	struct stage *s = share(sizeof(*s));

	must_be(fipc_event_init(&s->e, flags), 0);
	for (int i = 0; i < n; i++) {
		pids[i] = start(wait_once, s);
		await(look(&s->e).waiters == (unsigned)i + 1);
	}
	return s;
}

static void test_set_wakes_all(void **state)
{
	pid_t pids[MANY];
	struct stage *s = with_sleepers(0, MANY, pids);

	(void)state;
	assert_int_equal(fipc_event_set(&s->e), 0);
	for (int i = 0; i < MANY; i++)
		assert_int_equal(finish(pids[i]), 0);
	munmap(s, sizeof(*s));
}

/* None of the sleepers has run when it is cleared again, and yet all pass. */
static void test_pulse_wakes_all(void **state)
{
	pid_t pids[MANY];
	struct stage *s = with_sleepers(0, MANY, pids);

	(void)state;
	for (int i = 0; i < MANY; i++)
		kill(pids[i], SIGSTOP);
	assert_int_equal(fipc_event_set(&s->e), 0);
	assert_int_equal(fipc_event_clear(&s->e), 0);
	for (int i = 0; i < MANY; i++)
		kill(pids[i], SIGCONT);
	for (int i = 0; i < MANY; i++)
		assert_int_equal(finish(pids[i]), 0);
	assert_int_equal(fipc_event_is_set(&s->e), 0);
	munmap(s, sizeof(*s));
}

static void test_autoreset_lets_one_through(void **state)
{
	pid_t pids[MANY];
	struct stage *s = with_sleepers(FIPC_AUTORESET, MANY, pids);

	(void)state;
	for (unsigned i = 0; i < MANY; i++) {
		assert_int_equal(fipc_event_set(&s->e), 0);
		await(fipc_word_load(&s->passed) == i + 1);
		assert_int_equal(fipc_event_is_set(&s->e), 0);
		await(look(&s->e).waiters == MANY - i - 1);
	}
	for (int i = 0; i < MANY; i++)
		assert_int_equal(finish(pids[i]), 0);
	munmap(s, sizeof(*s));
}

static void test_destroy_is_refused_to_sleepers(void **state)
{
	pid_t pid;
	struct stage *s = with_sleepers(0, 1, &pid);

	(void)state;
	assert_int_equal(fipc_event_destroy(&s->e), -EBUSY);
	assert_int_equal(fipc_event_set(&s->e), 0);
	assert_int_equal(finish(pid), 0);
	assert_int_equal(fipc_event_destroy(&s->e), 0);
	munmap(s, sizeof(*s));
}

/* ---- signals ---- */

static fipc_event *bell;
static volatile sig_atomic_t handled;

static void handle(int signal)
{
	(void)signal;
	handled++;
}

static void ring(int signal)
{
	(void)signal;
	must_be(fipc_event_set(bell), 0);
}

static void be_interrupted(void *argument)
{
	struct sigaction action = {.sa_handler = handle, .sa_flags = SA_RESTART};
	struct stage *s = argument;

	sigaction(SIGUSR1, &action, NULL);
	must_be(fipc_set_interruptible(1), 0);
	must_be(fipc_event_wait(&s->e), -EINTR);
	fipc_word_store(&s->passed, 1);
	must_be(fipc_event_wait_until(&s->e, fipc_after_ms(PATIENCE_MS)), -EINTR);
	fipc_set_interruptible(0);
	fipc_word_store(&s->passed, 2);
	must_be(fipc_event_wait(&s->e), 0);
	must(handled >= 2);
}

static void test_interruption(void **state)
{
	struct stage *s = share(sizeof(*s));
	pid_t pid;

	(void)state;
	assert_int_equal(fipc_event_init(&s->e, 0), 0);
	pid = start(be_interrupted, s);
	for (unsigned i = 0; i < 3; i++) {
		await(fipc_word_load(&s->passed) == i && look(&s->e).waiters == 1);
		assert_int_equal(kill(pid, SIGUSR1), 0);
	}
	await(look(&s->e).waiters == 1);
	assert_int_equal(fipc_event_set(&s->e), 0);
	assert_int_equal(finish(pid), 0);
	munmap(s, sizeof(*s));
}

/* Set from a handler, by a thread that sleeps in another call of ours, and on this very event. */
static void sleep_and_ring(void *argument)
{
	struct sigaction action = {.sa_handler = ring};

	bell = argument;
	sigaction(SIGUSR1, &action, NULL);
	must_be(fipc_event_wait(bell), 0);
}

static void test_set_from_a_handler(void **state)
{
	fipc_event *e;
	pid_t pid;

	(void)state;
	skip_under_tsan("it keeps handlers waiting until a call that it knows returns");
	e = make_shared(0);
	pid = start(sleep_and_ring, e);
	await(look(e).waiters == 1);
	assert_int_equal(kill(pid, SIGUSR1), 0);
	assert_int_equal(fipc_event_wait(e), 0);
	assert_int_equal(finish(pid), 0);
	munmap(e, sizeof(*e));
}

/* ---- deaths ---- */

static int is_asleep_beside_nothing(const fipc_event *e)
{
	struct fipc_event_info info = look(e);

	return info.waiters == 1 && !info.set;
}

/* The first one dies as soon as it is woken, mostly before it has run; if it was quicker, it has taken the one set. */
static int next_one_passes(unsigned flags)
{
	pid_t pids[2];
	struct stage *s = with_sleepers(flags, 2, pids);
	int passed, status, ok;

	must_be(fipc_event_set(&s->e), 0);
	murder(pids[0]);
	await((passed = ended(pids[1], &status, 0)) || (flags && is_asleep_beside_nothing(&s->e)));
	if (!passed) {
		must_be(fipc_event_set(&s->e), 0);
		passed = ended(pids[1], &status, PATIENCE_MS);
	}
	ok = passed && status == 0;
	if (!passed)
		murder(pids[1]);
	munmap(s, sizeof(*s));
	return ok;
}

static void test_killed_when_woken(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++) {
		assert_true(next_one_passes(FIPC_AUTORESET));
		assert_true(next_one_passes(0));
	}
}

/* ---- by name ---- */

IN_CHILD(test_named)
{
	fipc_event *e, *again, *reader, *other;
	struct fipc_event_info info;

	test_dir();
	must_be(fipc_event_open(&e, "gate", 0, 0), -ENOENT);
	must_be(fipc_event_open(&e, "gate", FIPC_CREATE | FIPC_TIMESTAMPS, 0600), -EINVAL);
	must_be(fipc_event_open(&e, "gate", FIPC_CREATE | FIPC_AUTORESET, 0600), FIPC_CREATED);
	must_be(fipc_event_open(&again, "gate", 0, 0), 0);
	must(e == again);
	must_be(strcmp(fipc_name(e), "gate"), 0);
	must_be(fipc_event_open(&reader, "gate", FIPC_READONLY, 0), 0);
	must_be(fipc_event_set(e), 0);
	must_be(fipc_event_is_set(reader), 1);
	must_be(fipc_event_info(reader, &info, sizeof(info)), 0);
	must(info.set && info.autoreset && info.sets == 1 && info.waiters == 0);
	must_be(fipc_event_set(reader), -EACCES);
	must_be(fipc_event_clear(reader), -EACCES);
	must_be(fipc_event_wait(reader), -EACCES);
	must_be(fipc_event_wait_until(reader, FIPC_NOW), -EACCES);
	must_be(fipc_event_attach(reader, 0), -EACCES);
	must_be(fipc_event_destroy(reader), -EACCES);
	must_be(fipc_event_destroy(e), -EINVAL);
	must_be(fipc_event_wait(e), 0);
	must_be(fipc_event_unlink("gate"), 0);
	must_be(fipc_event_unlink("gate"), -ENOENT);
	must_be(fipc_event_open(&other, "gate", FIPC_CREATE, 0600), FIPC_CREATED);
	must(other != e);
	must_be(fipc_event_close(other), 0);
	must_be(fipc_event_close(reader), 0);
	must_be(fipc_event_close(again), 0);
	must_be(fipc_event_close(e), 0);
	must_be(fipc_event_close(NULL), 0);
	must_be(fipc_event_close(&(fipc_event){{0}}), -EINVAL);
	must_become_clean(test_dir(), 1);
}

static void *sleep_on_it(void *argument)
{
	must_be(fipc_event_wait(argument), 0);
	return NULL;
}

IN_CHILD(test_close_with_a_sleeper)
{
	pthread_t thread;
	fipc_event *e;

	test_dir();
	must_be(fipc_event_open(&e, "gate", FIPC_CREATE, 0600), FIPC_CREATED);
	must_be(pthread_create(&thread, NULL, sleep_on_it, e), 0);
	await(look(e).waiters == 1);
	must_be(fipc_event_close(e), -EBUSY);
	must_be(fipc_event_set(e), 0);
	must_be(pthread_join(thread, NULL), 0);
	must_be(fipc_event_close(e), 0);
}

static int see(const struct fipc_object *object, void *argument)
{
	struct fipc_event_info *ret = argument;

	must_be(object->type, FIPC_TYPE_EVENT);
	must_be(object->error, 0);
	*ret = object->event;
	return 0;
}

static void wait_for_gate(void *argument)
{
	fipc_event *e;

	(void)argument;
	must_be(fipc_event_open(&e, "gate", 0, 0), 0);
	must_be(fipc_event_wait(e), 0);
	must_be(fipc_event_close(e), 0);
}

IN_CHILD(test_in_the_registry)
{
	struct fipc_event_info info;
	fipc_registry *registry;
	fipc_event *e;
	pid_t pid;

	test_dir();
	must_be(fipc_event_open(&e, "gate", FIPC_CREATE, 0600), FIPC_CREATED);
	must_be(fipc_registry_open(&registry, test_dir(), 0), 0);
	pid = start(wait_for_gate, NULL);
	await(look(e).waiters == 1);
	must_be(fipc_registry_walk(registry, 0, NULL, see, &info), 0);
	must(info.waiters == 1 && !info.set && !info.autoreset);
	must_be(fipc_event_set(e), 0);
	must_be(finish(pid), 0);
	must_be(fipc_registry_walk(registry, 0, NULL, see, &info), 0);
	must(info.waiters == 0 && info.set && info.sets == 1);
	fipc_registry_close(registry);
	must_be(fipc_event_close(e), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_init_over_anything),
		cmocka_unit_test(test_init_refuses),
		cmocka_unit_test(test_no_event),
		cmocka_unit_test(test_other_abi),
		cmocka_unit_test(test_attach),
		cmocka_unit_test(test_manual),
		cmocka_unit_test(test_autoreset),
		cmocka_unit_test(test_info_sizes),
		cmocka_unit_test(test_set_wakes_all),
		cmocka_unit_test(test_pulse_wakes_all),
		cmocka_unit_test(test_autoreset_lets_one_through),
		cmocka_unit_test(test_destroy_is_refused_to_sleepers),
		cmocka_unit_test(test_interruption),
		cmocka_unit_test(test_set_from_a_handler),
		cmocka_unit_test(test_killed_when_woken),
		cmocka_unit_test(test_named),
		cmocka_unit_test(test_close_with_a_sleeper),
		cmocka_unit_test(test_in_the_registry),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
