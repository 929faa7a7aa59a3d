/* SPDX-License-Identifier: Apache-2.0 */
/* The contract of a mutex in place, while everybody lives. */
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

static fipc_mutex *make_shared(unsigned flags)
{
	fipc_mutex *m = share(sizeof(*m));

	must_be(fipc_mutex_init(m, flags), 0);
	return m;
}

static struct fipc_mutex_info look(const fipc_mutex *m)
{
	struct fipc_mutex_info info;

	must_be(fipc_mutex_info(m, &info, sizeof(info)), 0);
	return info;
}

/* ---- init, destroy, what is not a mutex ---- */

static void test_init_over_anything(void **state)
{
	fipc_mutex m;

	(void)state;
	memset(&m, 0xa5, sizeof(m));
	assert_int_equal(fipc_mutex_init(&m, 0), 0);
	assert_int_equal(fipc_mutex_lock(&m), 0);
	assert_int_equal(fipc_mutex_unlock(&m), 0);
	assert_int_equal(fipc_mutex_init(&m, FIPC_PRIVATE), 0);
	assert_int_equal(fipc_mutex_init(&m, FIPC_TIMESTAMPS | FIPC_PRIVATE), 0);
	assert_int_equal(fipc_mutex_destroy(&m), 0);
}

static void test_init_refuses(void **state)
{
	fipc_mutex pair[2];

	(void)state;
	assert_int_equal(fipc_mutex_init(&pair[0], FIPC_AUTORESET), -EINVAL);
	assert_int_equal(fipc_mutex_init(&pair[0], FIPC_CREATE), -EINVAL);
	assert_int_equal(fipc_mutex_init(&pair[0], FIPC_PERSIST), -EINVAL);
	assert_int_equal(fipc_mutex_init(&pair[0], 1u << 31), -EINVAL);
	for (int shift = 1; shift < 8; shift++)
		assert_int_equal(fipc_mutex_init((void *)((char *)pair + shift), 0), -EINVAL);
}

/* Every call says -EINVAL of what is not a mutex, and changes nothing. */
static void refuse_all(fipc_mutex *m)
{
	struct fipc_mutex_info info;
	fipc_mutex before = *m;

	assert_int_equal(fipc_mutex_lock(m), -EINVAL);
	assert_int_equal(fipc_mutex_trylock(m), -EINVAL);
	assert_int_equal(fipc_mutex_lock_until(m, fipc_after_ms(1)), -EINVAL);
	assert_true(fipc_mutex_unlock(m) < 0);
	assert_int_equal(fipc_mutex_consistent(m), -EINVAL);
	assert_int_equal(fipc_mutex_info(m, &info, sizeof(info)), -EINVAL);
	assert_int_equal(fipc_mutex_destroy(m), -EINVAL);
	assert_memory_equal(m, &before, sizeof(*m));
}

static void test_not_a_mutex(void **state)
{
	fipc_mutex m;

	(void)state;
	memset(&m, 0, sizeof(m));
	refuse_all(&m);
	memset(&m, 0xff, sizeof(m));
	refuse_all(&m);
	assert_int_equal(fipc_mutex_init(&m, 0), 0);
	*(char *)&m ^= 1;
	refuse_all(&m);
}

static void test_destroyed(void **state)
{
	fipc_mutex m;

	(void)state;
	assert_int_equal(fipc_mutex_init(&m, 0), 0);
	assert_int_equal(fipc_mutex_lock(&m), 0);
	assert_int_equal(fipc_mutex_destroy(&m), -EBUSY);
	assert_int_equal(fipc_mutex_unlock(&m), 0);
	assert_int_equal(fipc_mutex_destroy(&m), 0);
	refuse_all(&m);
	assert_int_equal(fipc_mutex_attach(&m, 0), FIPC_CREATED);
	assert_int_equal(fipc_mutex_lock(&m), 0);
	assert_int_equal(fipc_mutex_unlock(&m), 0);
}

static void test_static_initializer(void **state)
{
	static fipc_mutex fixed = FIPC_MUTEX_INITIALIZER;
	fipc_mutex made;

	(void)state;
	assert_int_equal(fipc_mutex_init(&made, FIPC_PRIVATE), 0);
	assert_int_equal(fipc_mutex_lock(&fixed), 0);
	assert_int_equal(fipc_mutex_trylock(&fixed), -EDEADLK);
	assert_int_equal(fipc_mutex_unlock(&fixed), 0);
	assert_int_equal(look(&fixed).acquisitions, 1);
	assert_true(fixed.opaque[0] == made.opaque[0]);
}

/* ---- one thread ---- */

static void test_lock_unlock(void **state)
{
	fipc_mutex m;

	(void)state;
	assert_int_equal(fipc_mutex_init(&m, 0), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(fipc_mutex_lock(&m), 0);
		assert_int_equal(fipc_mutex_unlock(&m), 0);
		assert_int_equal(fipc_mutex_trylock(&m), 0);
		assert_int_equal(fipc_mutex_unlock(&m), 0);
		assert_int_equal(fipc_mutex_lock_until(&m, FIPC_NOW), 0);
		assert_int_equal(fipc_mutex_unlock(&m), 0);
		assert_int_equal(fipc_mutex_lock_until(&m, 1), 0);
		assert_int_equal(fipc_mutex_unlock(&m), 0);
		assert_int_equal(fipc_mutex_lock_until(&m, FIPC_FOREVER), 0);
		assert_int_equal(fipc_mutex_unlock(&m), 0);
	}
}

static void test_not_recursive(void **state)
{
	fipc_mutex m;

	(void)state;
	assert_int_equal(fipc_mutex_init(&m, 0), 0);
	assert_int_equal(fipc_mutex_lock(&m), 0);
	assert_int_equal(fipc_mutex_lock(&m), -EDEADLK);
	assert_int_equal(fipc_mutex_trylock(&m), -EDEADLK);
	assert_int_equal(fipc_mutex_lock_until(&m, FIPC_FOREVER), -EDEADLK);
	assert_int_equal(fipc_mutex_lock_until(&m, FIPC_NOW), -EDEADLK);
	assert_int_equal(look(&m).state, FIPC_MUTEX_HELD);
	assert_int_equal(fipc_mutex_unlock(&m), 0);
	assert_int_equal(fipc_mutex_unlock(&m), -EPERM);
	assert_int_equal(fipc_mutex_consistent(&m), -EINVAL);
}

static void test_consistent_needs_a_death(void **state)
{
	fipc_mutex m;

	(void)state;
	assert_int_equal(fipc_mutex_init(&m, 0), 0);
	assert_int_equal(fipc_mutex_consistent(&m), -EINVAL);
	assert_int_equal(fipc_mutex_lock(&m), 0);
	assert_int_equal(fipc_mutex_consistent(&m), -EINVAL);
	assert_int_equal(fipc_mutex_unlock(&m), 0);
	assert_int_equal(fipc_mutex_lock(&m), 0);
	assert_int_equal(fipc_mutex_unlock(&m), 0);
}

static void test_two_addresses(void **state)
{
	int fd = memfd_create("two", MFD_CLOEXEC);
	fipc_mutex *a, *b;

	(void)state;
	assert_int_equal(ftruncate(fd, 4096), 0);
	a = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	b = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	assert_int_equal(fipc_mutex_init(a, 0), 0);
	assert_int_equal(fipc_mutex_lock(a), 0);
	assert_int_equal(fipc_mutex_lock(b), -EDEADLK);
	assert_int_equal(fipc_mutex_trylock(b), -EDEADLK);
	assert_int_equal(fipc_mutex_unlock(b), -EPERM);
	assert_int_equal(look(b).state, FIPC_MUTEX_HELD);
	assert_int_equal(fipc_mutex_unlock(a), 0);
	assert_int_equal(fipc_mutex_lock(b), 0);
	assert_int_equal(fipc_mutex_unlock(b), 0);
	munmap(a, 4096);
	munmap(b, 4096);
}

enum { MANY = 40 };

static void test_unlock_in_any_order(void **state)
{
	static fipc_mutex m[MANY];
	int order[MANY];
	unsigned seed = 1;

	(void)state;
	for (int i = 0; i < MANY; i++)
		assert_int_equal(fipc_mutex_init(&m[i], 0), 0);
	for (int round = 0; round < 50; round++) {
		for (int i = 0; i < MANY; i++) {
			assert_int_equal(fipc_mutex_lock(&m[i]), 0);
			order[i] = i;
		}
		for (int i = MANY - 1; i > 0; i--) {
			int j = rand_r(&seed) % (i + 1), other = order[j];

			order[j] = order[i];
			order[i] = other;
		}
		for (int i = 0; i < MANY; i++) {
			assert_int_equal(fipc_mutex_unlock(&m[order[i]]), 0);
			assert_int_equal(fipc_mutex_unlock(&m[order[i]]), -EPERM);
		}
	}
}

enum { HELD_LIMIT = 2047 };

static void test_most_held(void **state)
{
	fipc_mutex *m = calloc(HELD_LIMIT + 1, sizeof(*m));

	(void)state;
	for (int i = 0; i <= HELD_LIMIT; i++)
		assert_int_equal(fipc_mutex_init(&m[i], 0), 0);
	for (int i = 0; i < HELD_LIMIT; i++)
		assert_int_equal(fipc_mutex_lock(&m[i]), 0);
	assert_int_equal(fipc_mutex_lock(&m[HELD_LIMIT]), -EAGAIN);
	assert_int_equal(fipc_mutex_trylock(&m[HELD_LIMIT]), -EAGAIN);
	assert_int_equal(look(&m[HELD_LIMIT]).state, FIPC_MUTEX_FREE);
	assert_int_equal(fipc_mutex_unlock(&m[HELD_LIMIT / 2]), 0);
	assert_int_equal(fipc_mutex_lock(&m[HELD_LIMIT]), 0);
	assert_int_equal(fipc_mutex_unlock(&m[HELD_LIMIT]), 0);
	for (int i = 0; i < HELD_LIMIT; i++)
		assert_int_equal(fipc_mutex_unlock(&m[i]), i == HELD_LIMIT / 2 ? -EPERM : 0);
	free(m);
}

/* ---- several ---- */

struct held_elsewhere {
	fipc_mutex *m;
	struct gate held, release;
};

static void *hold(void *argument)
{
	struct held_elsewhere *h = argument;

	must_be(fipc_mutex_lock(h->m), 0);
	gate_open(&h->held);
	gate_pass(&h->release);
	must_be(fipc_mutex_unlock(h->m), 0);
	return NULL;
}

static void hold_in_child(void *argument)
{
	hold(argument);
}

static void refused_while_held(fipc_mutex *m)
{
	int64_t end = now_ns() + 20000000;

	assert_int_equal(fipc_mutex_trylock(m), -EBUSY);
	assert_int_equal(fipc_mutex_lock_until(m, FIPC_NOW), -EBUSY);
	assert_int_equal(fipc_mutex_lock_until(m, -1), -EBUSY);
	assert_int_equal(fipc_mutex_lock_until(m, 1), -ETIMEDOUT);
	assert_int_equal(fipc_mutex_lock_until(m, end), -ETIMEDOUT);
	assert_true(now_ns() >= end);
	assert_int_equal(fipc_mutex_unlock(m), -EPERM);
	assert_int_equal(fipc_mutex_consistent(m), -EINVAL);
	assert_int_equal(fipc_mutex_destroy(m), -EBUSY);
}

static void held_by_a_thread(unsigned flags)
{
	struct held_elsewhere h = {.m = make_shared(flags)};
	pthread_t thread;

	gate_make(&h.held);
	gate_make(&h.release);
	assert_int_equal(pthread_create(&thread, NULL, hold, &h), 0);
	gate_pass(&h.held);
	refused_while_held(h.m);
	gate_open(&h.release);
	assert_int_equal(fipc_mutex_lock(h.m), 0);
	assert_int_equal(fipc_mutex_unlock(h.m), 0);
	pthread_join(thread, NULL);
	assert_int_equal(fipc_mutex_destroy(h.m), 0);
	gate_free(&h.held);
	gate_free(&h.release);
	munmap(h.m, sizeof(*h.m));
}

static void test_held_by_another_thread(void **state)
{
	(void)state;
	held_by_a_thread(0);
	held_by_a_thread(FIPC_PRIVATE);
	held_by_a_thread(FIPC_TIMESTAMPS);
}

static void test_held_by_another_process(void **state)
{
	struct held_elsewhere h = {.m = make_shared(0)};
	struct fipc_mutex_info info;
	pid_t pid;

	(void)state;
	gate_make(&h.held);
	gate_make(&h.release);
	pid = start(hold_in_child, &h);
	gate_pass(&h.held);
	refused_while_held(h.m);
	info = look(h.m);
	assert_int_equal(info.state, FIPC_MUTEX_HELD);
	assert_int_equal(info.owner_pid, pid);
	assert_int_equal(info.owner_tid, pid);
	gate_open(&h.release);
	assert_int_equal(fipc_mutex_lock_until(h.m, fipc_after_ms(PATIENCE_MS)), 0);
	assert_int_equal(fipc_mutex_unlock(h.m), 0);
	assert_int_equal(finish(pid), 0);
	gate_free(&h.held);
	gate_free(&h.release);
	munmap(h.m, sizeof(*h.m));
}

struct counter {
	fipc_mutex m;
	long a, b;
	unsigned inside;
};

enum { WORKERS = 4, ROUNDS = 20000 };

static void count(void *argument)
{
	struct counter *c = argument;

	for (int i = 0; i < ROUNDS; i++) {
		if (i % 3 == 0)
			must_be(fipc_mutex_lock_until(&c->m, fipc_after_ms(PATIENCE_MS)), 0);
		else
			must_be(fipc_mutex_lock(&c->m), 0);
		must_be(c->inside++, 0);
		must(c->a == c->b);
		c->a++;
		c->b++;
		c->inside--;
		must_be(fipc_mutex_unlock(&c->m), 0);
	}
}

static void *count_thread(void *argument)
{
	count(argument);
	return NULL;
}

static void test_exclusion_of_processes(void **state)
{
	struct counter *c = share(sizeof(*c));
	pid_t pids[WORKERS];

	(void)state;
	assert_int_equal(fipc_mutex_init(&c->m, 0), 0);
	for (int i = 0; i < WORKERS; i++)
		pids[i] = start(count, c);
	for (int i = 0; i < WORKERS; i++)
		assert_int_equal(finish(pids[i]), 0);
	assert_int_equal(c->a, WORKERS * ROUNDS);
	assert_int_equal(look(&c->m).acquisitions, WORKERS * ROUNDS);
	assert_int_equal(look(&c->m).waiters, 0);
	munmap(c, sizeof(*c));
}

static void test_exclusion_of_threads(void **state)
{
	static struct counter c = {.m = FIPC_MUTEX_INITIALIZER};
	pthread_t threads[WORKERS];

	(void)state;
	for (int i = 0; i < WORKERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, count_thread, &c), 0);
	for (int i = 0; i < WORKERS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(c.a, WORKERS * ROUNDS);
}

/* ---- signals ---- */

static volatile sig_atomic_t handled;

static void handle(int number)
{
	(void)number;
	handled++;
}

struct interruption {
	fipc_mutex *m;
	fipc_deadline deadline;
	int on, result;
	fipc_word ready, returned;
};

static void *lock_through_signals(void *argument)
{
	struct interruption *i = argument;

	fipc_set_interruptible(i->on);
	fipc_word_store(&i->ready, 1);
	i->result = fipc_mutex_lock_until(i->m, i->deadline);
	if (i->result >= 0)
		must_be(fipc_mutex_unlock(i->m), 0);
	fipc_word_store(&i->returned, 1);
	return NULL;
}

static void run_interruption(int on, int sa_flags, fipc_deadline d)
{
	struct interruption i = {.m = make_shared(0), .deadline = d, .on = on};
	struct sigaction action = {.sa_handler = handle, .sa_flags = sa_flags};
	pthread_t thread;

	handled = 0;
	sigaction(SIGUSR1, &action, NULL);
	assert_int_equal(fipc_mutex_lock(i.m), 0);
	assert_int_equal(pthread_create(&thread, NULL, lock_through_signals, &i), 0);
	await(fipc_word_load(&i.ready));
	if (on) {
		await(fipc_word_load(&i.returned) || pthread_kill(thread, SIGUSR1) != 0);
		assert_int_equal(i.result, -EINTR);
	} else {
		for (int n = 1; n <= 20; n++) {
			await(sleepers(i.m) == 1);
			pthread_kill(thread, SIGUSR1);
			await(handled >= n);
		}
		assert_false(fipc_word_load(&i.returned));
	}
	assert_int_equal(fipc_mutex_unlock(i.m), 0);
	pthread_join(thread, NULL);
	if (!on)
		assert_int_equal(i.result, 0);
	munmap(i.m, sizeof(*i.m));
}

static void test_signals(void **state)
{
	(void)state;
	skip_under_tsan("a handler runs only at a call that TSan knows, and a futex wait is none");
	run_interruption(0, 0, FIPC_FOREVER);
	run_interruption(0, SA_RESTART, FIPC_FOREVER);
	run_interruption(0, 0, fipc_after_ms(4 * PATIENCE_MS));
	run_interruption(1, 0, FIPC_FOREVER);
	run_interruption(1, SA_RESTART, FIPC_FOREVER);
	run_interruption(1, SA_RESTART, fipc_after_ms(4 * PATIENCE_MS));
}

/* ---- info ---- */

static void test_info_of_states(void **state)
{
	fipc_mutex *m = make_shared(0);
	struct fipc_mutex_info info = look(m);

	(void)state;
	assert_int_equal(info.size, sizeof(info));
	assert_int_equal(info.state, FIPC_MUTEX_FREE);
	assert_int_equal(info.owner_pid, 0);
	assert_int_equal(info.owner_tid, 0);
	assert_int_equal(info.last_pid, 0);
	assert_int_equal(info.acquisitions, 0);
	assert_int_equal(fipc_mutex_lock(m), 0);
	info = look(m);
	assert_int_equal(info.state, FIPC_MUTEX_HELD);
	assert_int_equal(info.owner_pid, getpid());
	assert_int_equal(info.owner_tid, syscall(SYS_gettid));
	assert_int_equal(info.acquisitions, 1);
	assert_int_equal(info.contended, 0);
	assert_int_equal(info.owner_deaths, 0);
	assert_true(info.acquired_ns == 0);
	assert_int_equal(look(m).acquisitions, 1);
	assert_int_equal(fipc_mutex_unlock(m), 0);
	assert_int_equal(look(m).owner_pid, 0);
	assert_int_equal(look(m).last_pid, getpid());
	assert_int_equal(fipc_mutex_lock(m), 0);
	assert_int_equal(look(m).acquisitions, 2);
	assert_int_equal(fipc_mutex_unlock(m), 0);
	munmap(m, sizeof(*m));
}

static void test_info_of_sizes(void **state)
{
	fipc_mutex *m = make_shared(0);
	unsigned char bytes[sizeof(struct fipc_mutex_info) + 16];
	struct fipc_mutex_info *info = (void *)bytes;

	(void)state;
	memset(bytes, 0xee, sizeof(bytes));
	assert_int_equal(fipc_mutex_info(m, info, 7), -EINVAL);
	assert_int_equal(fipc_mutex_info(m, info, 0), -EINVAL);
	assert_int_equal(bytes[0], 0xee);
	assert_int_equal(fipc_mutex_info(m, info, 8), 0);
	assert_int_equal(info->size, 8);
	assert_int_equal(info->state, FIPC_MUTEX_FREE);
	assert_int_equal(bytes[8], 0xee);
	memset(bytes, 0xee, sizeof(bytes));
	assert_int_equal(fipc_mutex_info(m, info, sizeof(bytes)), 0);
	assert_int_equal(info->size, sizeof(*info));
	assert_int_equal(bytes[sizeof(*info)], 0xee);
	munmap(m, sizeof(*m));
}

static void test_timestamps(void **state)
{
	fipc_mutex *m = make_shared(FIPC_TIMESTAMPS);
	int64_t before, after;

	(void)state;
	assert_true(look(m).acquired_ns == 0);
	before = now_ns();
	assert_int_equal(fipc_mutex_lock(m), 0);
	after = now_ns();
	assert_true((int64_t)look(m).acquired_ns >= before && (int64_t)look(m).acquired_ns <= after);
	assert_int_equal(fipc_mutex_unlock(m), 0);
	before = now_ns();
	assert_int_equal(fipc_mutex_trylock(m), 0);
	assert_true((int64_t)look(m).acquired_ns >= before);
	assert_int_equal(fipc_mutex_unlock(m), 0);
	munmap(m, sizeof(*m));
}

static void lock_and_unlock(void *argument)
{
	must_be(fipc_mutex_lock(argument), 0);
	must_be(fipc_mutex_unlock(argument), 0);
}

/* Exact also when a sleeper is killed, where a counter in shared memory would not be. */
static void test_info_counts_sleepers(void **state)
{
	fipc_mutex *m = make_shared(0);
	pid_t pids[4];

	(void)state;
	assert_int_equal(fipc_mutex_lock(m), 0);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(sleepers(m), i);
		pids[i] = start(lock_and_unlock, m);
		await(sleepers(m) == i + 1);
	}
	assert_int_equal(fipc_mutex_destroy(m), -EBUSY);
	murder(pids[1]);
	assert_int_equal(sleepers(m), 3);
	murder(pids[2]);
	assert_int_equal(sleepers(m), 2);
	assert_int_equal(look(m).contended, 0);
	assert_int_equal(fipc_mutex_unlock(m), 0);
	assert_int_equal(finish(pids[0]), 0);
	assert_int_equal(finish(pids[3]), 0);
	assert_int_equal(sleepers(m), 0);
	assert_int_equal(look(m).contended, 2);
	assert_int_equal(look(m).owner_deaths, 0);
	munmap(m, sizeof(*m));
}

/* ---- a peer that writes what it likes ---- */

static void test_overwritten_while_held(void **state)
{
	fipc_mutex *m = make_shared(0), *other = make_shared(0), *third = make_shared(0);

	(void)state;
	assert_int_equal(fipc_mutex_lock(third), 0);
	assert_int_equal(fipc_mutex_lock(m), 0);
	assert_int_equal(fipc_mutex_lock(other), 0);
	memset(m, 0x5a, sizeof(*m));
	assert_int_equal(fipc_mutex_unlock(m), -EINVAL);
	assert_true(fipc_mutex_unlock(m) < 0);
	assert_int_equal(fipc_mutex_unlock(other), 0);
	assert_int_equal(fipc_mutex_unlock(third), 0);
	assert_int_equal(fipc_mutex_init(m, 0), 0);
	assert_int_equal(fipc_mutex_lock(m), 0);
	assert_int_equal(fipc_mutex_unlock(m), 0);
	munmap(m, sizeof(*m));
	munmap(other, sizeof(*other));
	munmap(third, sizeof(*third));
}

/* The bytes stop being a mutex while somebody waits: the owner's unlock wakes it, and it is told. */
static void wait_for_what_vanishes(void *argument)
{
	must_be(fipc_mutex_lock_until(argument, fipc_after_ms(PATIENCE_MS)), -EINVAL);
}

static void test_vanishes_under_a_waiter(void **state)
{
	fipc_mutex *m = make_shared(0);
	pid_t pid;

	(void)state;
	assert_int_equal(fipc_mutex_lock(m), 0);
	pid = start(wait_for_what_vanishes, m);
	await(sleepers(m) == 1);
	memset(m, 0, 4);
	assert_true(fipc_mutex_unlock(m) <= 0);
	assert_int_equal(finish(pid), 0);
	munmap(m, sizeof(*m));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_init_over_anything),
		cmocka_unit_test(test_init_refuses),
		cmocka_unit_test(test_not_a_mutex),
		cmocka_unit_test(test_destroyed),
		cmocka_unit_test(test_static_initializer),
		cmocka_unit_test(test_lock_unlock),
		cmocka_unit_test(test_not_recursive),
		cmocka_unit_test(test_consistent_needs_a_death),
		cmocka_unit_test(test_two_addresses),
		cmocka_unit_test(test_unlock_in_any_order),
		cmocka_unit_test(test_most_held),
		cmocka_unit_test(test_held_by_another_thread),
		cmocka_unit_test(test_held_by_another_process),
		cmocka_unit_test(test_exclusion_of_processes),
		cmocka_unit_test(test_exclusion_of_threads),
		cmocka_unit_test(test_signals),
		cmocka_unit_test(test_info_of_states),
		cmocka_unit_test(test_info_of_sizes),
		cmocka_unit_test(test_timestamps),
		cmocka_unit_test(test_info_counts_sleepers),
		cmocka_unit_test(test_overwritten_while_held),
		cmocka_unit_test(test_vanishes_under_a_waiter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
