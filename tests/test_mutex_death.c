/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of a mutex in place when its owner, or one who waits for it, dies. */
#include "support.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static fipc_mutex *make_shared(int n)
{
	fipc_mutex *m = share(n * sizeof(*m));

	for (int i = 0; i < n; i++)
		must_be(fipc_mutex_init(&m[i], 0), 0);
	return m;
}

static void lock_and_die(void *argument)
{
	must_be(fipc_mutex_lock(argument), 0);
	raise(SIGKILL);
}

static void take_over(fipc_mutex *m)
{
	assert_int_equal(fipc_mutex_lock(m), FIPC_OWNER_DIED);
	assert_int_equal(fipc_mutex_consistent(m), 0);
	assert_int_equal(fipc_mutex_unlock(m), 0);
	assert_int_equal(fipc_mutex_lock(m), 0);
	assert_int_equal(fipc_mutex_unlock(m), 0);
}

/* ---- the ways to die ---- */

static void test_killed(void **state)
{
	fipc_mutex *m = make_shared(1);
	struct fipc_mutex_info info;

	(void)state;
	assert_int_equal(in_child(lock_and_die, m), 128 + SIGKILL);
	assert_int_equal(state_of(m), FIPC_MUTEX_DIED);
	assert_int_equal(fipc_mutex_info(m, &info, sizeof(info)), 0);
	assert_int_equal(info.owner_pid, 0);
	assert_int_equal(info.owner_tid, 0);
	assert_int_equal(fipc_mutex_trylock(m), FIPC_OWNER_DIED);
	assert_int_equal(state_of(m), FIPC_MUTEX_RECOVERING);
	assert_int_equal(fipc_mutex_info(m, &info, sizeof(info)), 0);
	assert_int_equal(info.owner_deaths, 1);
	assert_int_equal(info.owner_pid, getpid());
	assert_int_equal(fipc_mutex_lock(m), -EDEADLK);
	assert_int_equal(fipc_mutex_consistent(m), 0);
	assert_int_equal(fipc_mutex_consistent(m), -EINVAL);
	assert_int_equal(state_of(m), FIPC_MUTEX_HELD);
	assert_int_equal(fipc_mutex_unlock(m), 0);
	assert_int_equal(state_of(m), FIPC_MUTEX_FREE);
	munmap(m, sizeof(*m));
}

static void lock_and_exit(void *argument)
{
	must_be(fipc_mutex_lock(argument), 0);
	_exit(0);
}

static void lock_and_exec(void *argument)
{
	must_be(fipc_mutex_lock(argument), 0);
	execl("/bin/true", "true", (char *)NULL);
	_exit(1);
}

static void test_exit_and_exec(void **state)
{
	fipc_mutex *m = make_shared(1);

	(void)state;
	assert_int_equal(in_child(lock_and_exit, m), 0);
	take_over(m);
	assert_int_equal(in_child(lock_and_exec, m), 0);
	take_over(m);
	munmap(m, sizeof(*m));
}

enum { SEVERAL = 9 };

static void *lock_several_and_return(void *argument)
{
	fipc_mutex *m = argument;

	for (int i = 0; i < SEVERAL; i++)
		must_be(fipc_mutex_lock(&m[i]), 0);
	must_be(fipc_mutex_unlock(&m[3]), 0);
	return NULL;
}

static void thread_exits_holding(fipc_mutex *m)
{
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, lock_several_and_return, m), 0);
	pthread_join(thread, NULL);
	for (int i = 0; i < SEVERAL; i++)
		if (i == 3)
			assert_int_equal(state_of(&m[i]), FIPC_MUTEX_FREE);
		else
			take_over(&m[i]);
}

static void test_thread_exits_holding(void **state)
{
	static fipc_mutex fixed[SEVERAL];
	fipc_mutex *m = make_shared(SEVERAL);

	(void)state;
	thread_exits_holding(m);
	for (int i = 0; i < SEVERAL; i++)
		assert_int_equal(fipc_mutex_init(&fixed[i], FIPC_PRIVATE), 0);
	thread_exits_holding(fixed);
	munmap(m, SEVERAL * sizeof(*m));
}

static void wait_and_be_told(void *argument)
{
	must_be(fipc_mutex_lock(argument), FIPC_OWNER_DIED);
	must_be(fipc_mutex_consistent(argument), 0);
	must_be(fipc_mutex_unlock(argument), 0);
}

static void *return_when_awaited(void *argument)
{
	must_be(fipc_mutex_lock(argument), 0);
	await(sleepers(argument) == 1);
	return NULL;
}

/* Also the sleeper has to be woken, not just the next who comes. */
static void test_thread_exits_with_a_waiter(void **state)
{
	fipc_mutex *m = make_shared(1);
	pthread_t thread;
	pid_t pid;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, return_when_awaited, m), 0);
	await(state_of(m) == FIPC_MUTEX_HELD);
	pid = start(wait_and_be_told, m);
	pthread_join(thread, NULL);
	assert_int_equal(finish(pid), 0);
	munmap(m, sizeof(*m));
}

static void hold_for_ever(void *argument)
{
	must_be(fipc_mutex_lock(argument), 0);
	for (;;)
		pause();
}

static void test_killed_with_waiters(void **state)
{
	fipc_mutex *m = make_shared(1);
	pid_t owner = start(hold_for_ever, m), first, second;
	int status;

	(void)state;
	await(state_of(m) == FIPC_MUTEX_HELD);
	first = start(hold_for_ever, m);
	await(sleepers(m) == 1);
	second = start(wait_and_be_told, m);
	await(sleepers(m) == 2);
	murder(first);
	murder(owner);
	assert_true(ended(second, &status, PATIENCE_MS));
	assert_int_equal(status, 0);
	assert_int_equal(fipc_mutex_lock(m), 0);
	assert_int_equal(fipc_mutex_unlock(m), 0);
	munmap(m, sizeof(*m));
}

/* Died recovering: the next is told again. */
static void recover_and_die(void *argument)
{
	must_be(fipc_mutex_lock(argument), FIPC_OWNER_DIED);
	raise(SIGKILL);
}

static void mend_and_die(void *argument)
{
	must_be(fipc_mutex_lock(argument), FIPC_OWNER_DIED);
	must_be(fipc_mutex_consistent(argument), 0);
	raise(SIGKILL);
}

static void test_died_again(void **state)
{
	fipc_mutex *m = make_shared(1);
	struct fipc_mutex_info info;

	(void)state;
	in_child(lock_and_die, m);
	in_child(recover_and_die, m);
	in_child(mend_and_die, m);
	take_over(m);
	assert_int_equal(fipc_mutex_info(m, &info, sizeof(info)), 0);
	assert_int_equal(info.owner_deaths, 3);
	munmap(m, sizeof(*m));
}

/* ---- abandoned, which is as a death, but its owner goes on ---- */

static void lock_and_abandon(void *argument)
{
	must_be(fipc_mutex_lock(argument), 0);
	must_be(fipc_mutex_abandon(argument), 0);
	must_be(fipc_mutex_abandon(argument), -EPERM);
	must_be(fipc_mutex_unlock(argument), -EPERM);
}

static void leave_it_to_others(void *argument)
{
	must_be(fipc_mutex_lock(argument), FIPC_OWNER_DIED);
	must_be(fipc_mutex_abandon(argument), 0);
}

static void test_abandoned(void **state)
{
	fipc_mutex *m = make_shared(1), none = {{0}};
	struct fipc_mutex_info info;

	(void)state;
	assert_int_equal(fipc_mutex_abandon(m), -EPERM);
	assert_int_equal(fipc_mutex_abandon(&none), -EINVAL);
	assert_int_equal(in_child(lock_and_abandon, m), 0);
	assert_int_equal(state_of(m), FIPC_MUTEX_DIED);
	assert_int_equal(in_child(leave_it_to_others, m), 0);
	assert_int_equal(in_child(leave_it_to_others, m), 0);
	take_over(m);
	assert_int_equal(fipc_mutex_info(m, &info, sizeof(info)), 0);
	assert_int_equal(info.owner_deaths, 3);
	munmap(m, sizeof(*m));
}

/* ---- not recoverable ---- */

static void be_refused(void *argument)
{
	must_be(fipc_mutex_lock(argument), -ENOTRECOVERABLE);
}

static void refused_for_good(fipc_mutex *m)
{
	assert_int_equal(state_of(m), FIPC_MUTEX_NOT_RECOVERABLE);
	assert_int_equal(fipc_mutex_lock(m), -ENOTRECOVERABLE);
	assert_int_equal(fipc_mutex_trylock(m), -ENOTRECOVERABLE);
	assert_int_equal(fipc_mutex_lock_until(m, fipc_after_ms(PATIENCE_MS)), -ENOTRECOVERABLE);
	assert_int_equal(fipc_mutex_unlock(m), -EPERM);
	assert_int_equal(fipc_mutex_consistent(m), -EINVAL);
	assert_int_equal(fresh_trylock(m), -ENOTRECOVERABLE);
	assert_int_equal(fipc_mutex_attach(m, 0), 0);
}

static void test_not_recoverable(void **state)
{
	fipc_mutex *m = make_shared(1);

	(void)state;
	in_child(lock_and_die, m);
	assert_int_equal(fipc_mutex_lock(m), FIPC_OWNER_DIED);
	assert_int_equal(fipc_mutex_unlock(m), 0);
	refused_for_good(m);
	assert_int_equal(fipc_mutex_init(m, 0), 0);
	assert_int_equal(fipc_mutex_lock(m), 0);
	assert_int_equal(fipc_mutex_unlock(m), 0);
	munmap(m, sizeof(*m));
}

/* All who sleep are told, not one of them. */
static void test_not_recoverable_with_waiters(void **state)
{
	fipc_mutex *m = make_shared(1);
	pid_t pids[3];

	(void)state;
	in_child(lock_and_die, m);
	assert_int_equal(fipc_mutex_lock(m), FIPC_OWNER_DIED);
	for (unsigned i = 0; i < 3; i++) {
		pids[i] = start(be_refused, m);
		await(sleepers(m) == i + 1);
	}
	assert_int_equal(fipc_mutex_unlock(m), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(finish(pids[i]), 0);
	refused_for_good(m);
	assert_int_equal(fipc_mutex_destroy(m), 0);
	munmap(m, sizeof(*m));
}

/* ---- many held ---- */

enum { HELD_LIMIT = 2047 };

static void lock_most_and_die(void *argument)
{
	fipc_mutex *m = argument;

	for (int i = 0; i < HELD_LIMIT; i++)
		must_be(fipc_mutex_lock(&m[i]), 0);
	must_be(fipc_mutex_lock(&m[HELD_LIMIT]), -EAGAIN);
	raise(SIGKILL);
}

static void *lock_most_and_return(void *argument)
{
	fipc_mutex *m = argument;

	for (int i = 0; i < HELD_LIMIT; i++)
		must_be(fipc_mutex_lock(&m[i]), 0);
	return NULL;
}

static void all_but_the_last_died(fipc_mutex *m)
{
	for (int i = 0; i < HELD_LIMIT; i++)
		take_over(&m[i]);
	assert_int_equal(state_of(&m[HELD_LIMIT]), FIPC_MUTEX_FREE);
}

static void test_most_held_by_a_process(void **state)
{
	fipc_mutex *m = make_shared(HELD_LIMIT + 1);

	(void)state;
	assert_int_equal(in_child(lock_most_and_die, m), 128 + SIGKILL);
	all_but_the_last_died(m);
	munmap(m, (HELD_LIMIT + 1) * sizeof(*m));
}

static void test_most_held_by_a_thread(void **state)
{
	fipc_mutex *m = make_shared(HELD_LIMIT + 1);
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, lock_most_and_return, m), 0);
	pthread_join(thread, NULL);
	all_but_the_last_died(m);
	munmap(m, (HELD_LIMIT + 1) * sizeof(*m));
}

/* ---- together with libc's ---- */

enum { OF_EACH = 8, INTERLEAVINGS = 300 };

struct mixture {
	fipc_mutex f[OF_EACH];
	pthread_mutex_t p[OF_EACH];
	unsigned seed;
	/* Written before the lock changes hands would be too early, after it too late; the dying stands still. */
	int f_held[OF_EACH], p_held[OF_EACH];
};

static void mix(struct mixture *x)
{
	int steps = 5 + rand_r(&x->seed) % 60;

	while (steps--) {
		int i = rand_r(&x->seed) % OF_EACH, of_fipc = rand_r(&x->seed) & 1;

		if (of_fipc && x->f_held[i])
			must_be(fipc_mutex_unlock(&x->f[i]), 0);
		else if (of_fipc)
			must_be(fipc_mutex_lock(&x->f[i]), 0);
		else if (x->p_held[i])
			must_be(pthread_mutex_unlock(&x->p[i]), 0);
		else
			must_be(pthread_mutex_lock(&x->p[i]), 0);
		*(of_fipc ? &x->f_held[i] : &x->p_held[i]) ^= 1;
	}
}

static void mix_and_die(void *argument)
{
	mix(argument);
	raise(SIGKILL);
}

static void *mix_and_return(void *argument)
{
	mix(argument);
	return NULL;
}

static void make_mixture(struct mixture *x, unsigned seed)
{
	pthread_mutexattr_t attr;

	memset(x, 0, sizeof(*x));
	x->seed = seed;
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	for (int i = 0; i < OF_EACH; i++) {
		must_be(fipc_mutex_init(&x->f[i], 0), 0);
		must_be(pthread_mutex_init(&x->p[i], &attr), 0);
	}
}

static void none_lost(struct mixture *x)
{
	for (int i = 0; i < OF_EACH; i++) {
		int r = pthread_mutex_trylock(&x->p[i]);

		assert_int_equal(r, x->p_held[i] ? EOWNERDEAD : 0);
		if (r == EOWNERDEAD)
			pthread_mutex_consistent(&x->p[i]);
		pthread_mutex_unlock(&x->p[i]);
		r = fipc_mutex_trylock(&x->f[i]);
		assert_int_equal(r, x->f_held[i] ? FIPC_OWNER_DIED : 0);
		assert_int_equal(fipc_mutex_unlock(&x->f[i]), 0);
	}
}

static void test_interleaved_with_pthread(void **state)
{
	struct mixture *x = share(sizeof(*x));

	(void)state;
	for (unsigned i = 0; i < INTERLEAVINGS; i++) {
		pthread_t thread;

		make_mixture(x, 7919 * i + 1);
		if (i % 2) {
			assert_int_equal(in_child(mix_and_die, x), 128 + SIGKILL);
		} else {
			assert_int_equal(pthread_create(&thread, NULL, mix_and_return, x), 0);
			pthread_join(thread, NULL);
		}
		none_lost(x);
	}
	munmap(x, sizeof(*x));
}

/* ---- fork ---- */

struct family {
	fipc_mutex parents, shared, dies;
	int in_child_of_fork;
};

static noreturn void child_of_a_holder(struct family *f)
{
	must_be(fipc_mutex_unlock(&f->parents), -EPERM);
	must_be(fipc_mutex_trylock(&f->parents), -EBUSY);
	must_be(fipc_mutex_lock_until(&f->parents, fipc_after_ms(1)), -ETIMEDOUT);
	must_be(fipc_mutex_consistent(&f->parents), -EINVAL);
	must_be(fipc_mutex_lock(&f->shared), 0);
	must_be(fipc_mutex_unlock(&f->shared), 0);
	must_be(fipc_mutex_lock(&f->dies), 0);
	raise(SIGKILL);
	_exit(1);
}

static void holder_survives(struct family *f, pid_t (*how_to_fork)(void))
{
	pid_t pid;

	must_be(fipc_mutex_init(&f->parents, 0), 0);
	must_be(fipc_mutex_init(&f->shared, 0), 0);
	must_be(fipc_mutex_init(&f->dies, 0), 0);
	must_be(fipc_mutex_lock(&f->parents), 0);
	pid = how_to_fork();
	must(pid >= 0);
	if (!pid)
		child_of_a_holder(f);
	must_be(finish(pid), 128 + SIGKILL);
	must_be(state_of(&f->parents), FIPC_MUTEX_HELD);
	must_be(fipc_mutex_lock(&f->parents), -EDEADLK);
	must_be(fipc_mutex_lock(&f->dies), FIPC_OWNER_DIED);
	must_be(fipc_mutex_unlock(&f->parents), 0);
	must_be(fipc_mutex_consistent(&f->dies), 0);
	must_be(fipc_mutex_unlock(&f->dies), 0);
}

IN_CHILD(test_fork)
{
	holder_survives(share(sizeof(struct family)), fork);
}

IN_CHILD(test_fork_without_handlers)
{
#if defined(__GLIBC__) && !__GLIBC_PREREQ(2, 34)
	skip_aloud("_Fork", "this glibc has none");
	_exit(SKIPPED);
#else
	holder_survives(share(sizeof(struct family)), _Fork);
#endif
}

static void lock_in_grandchild(void *argument)
{
	fipc_mutex *m = argument;
	pid_t pid;

	must_be(fipc_mutex_lock(&m[0]), 0);
	pid = fork();
	if (!pid) {
		must_be(fipc_mutex_lock(&m[1]), 0);
		pid = fork();
		if (!pid)
			lock_and_die(&m[2]);
		must_be(finish(pid), 128 + SIGKILL);
		must_be(state_of(&m[1]), FIPC_MUTEX_HELD);
		raise(SIGKILL);
	}
	must_be(finish(pid), 128 + SIGKILL);
	must_be(state_of(&m[0]), FIPC_MUTEX_HELD);
	raise(SIGKILL);
}

static void test_generations(void **state)
{
	fipc_mutex *m = make_shared(3);

	(void)state;
	assert_int_equal(in_child(lock_in_grandchild, m), 128 + SIGKILL);
	for (int i = 0; i < 3; i++)
		take_over(&m[i]);
	munmap(m, 3 * sizeof(*m));
}

/* Threads that lock and one that forks: a child must not find anything of the library's own locked. */
struct forking {
	fipc_mutex m;
	fipc_word stop;
};

static void *lock_once(void *argument)
{
	must_be(fipc_mutex_lock(argument), 0);
	must_be(fipc_mutex_unlock(argument), 0);
	return NULL;
}

static void *lock_until_stopped(void *argument)
{
	struct forking *f = argument;

	while (!fipc_word_load(&f->stop))
		lock_once(&f->m);
	return NULL;
}

/* A thread's first and last use of the library take locks of its own. */
static void *come_and_go(void *argument)
{
	struct forking *f = argument;
	pthread_t thread;

	while (!fipc_word_load(&f->stop)) {
		must_be(pthread_create(&thread, NULL, lock_once, &f->m), 0);
		pthread_join(thread, NULL);
	}
	return NULL;
}

static void lock_and_unlock(void *argument)
{
	lock_once(argument);
}

IN_CHILD(test_fork_among_threads)
{
	static struct forking f; /* private: the child locks a copy, which another thread of the parent may hold */
	fipc_mutex *shared = make_shared(1);
	pthread_t threads[2];

	must_be(fipc_mutex_init(&f.m, FIPC_PRIVATE), 0);
	must_be(pthread_create(&threads[0], NULL, lock_until_stopped, &f), 0);
	must_be(pthread_create(&threads[1], NULL, come_and_go, &f), 0);
	for (int i = 0; i < 100; i++)
		must_be(in_child(lock_and_unlock, shared), 0);
	fipc_word_store(&f.stop, 1);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
}

/* ---- hostile peers ---- */

static void lock_scribbled_and_die(void *argument)
{
	fipc_mutex *m = argument;

	for (int i = 0; i < SEVERAL; i++)
		must_be(fipc_mutex_lock(&m[i]), 0);
	memset(&m[4], 0xff, sizeof(m[4]));
	raise(SIGKILL);
}

static void *lock_scribbled_and_return(void *argument)
{
	fipc_mutex *m = argument;

	for (int i = 0; i < SEVERAL; i++)
		must_be(fipc_mutex_lock(&m[i]), 0);
	for (size_t i = 0; i < sizeof(m[4]) / sizeof(m[4].opaque[0]); i++)
		m[4].opaque[i] = (uintptr_t)&m[SEVERAL]; /* a victim's address, wherever a link may be */
	return NULL;
}

/* The locks newer than the one that a peer ruined come back; a thread that ends gives all others back. */
static void test_scribbled_while_held(void **state)
{
	fipc_mutex *m = make_shared(SEVERAL + 1);
	unsigned char victim[sizeof(*m)];
	pthread_t thread;

	(void)state;
	in_child(lock_scribbled_and_die, m);
	for (int i = 5; i < SEVERAL; i++)
		take_over(&m[i]);
	for (int i = 0; i < SEVERAL; i++)
		assert_int_equal(fipc_mutex_init(&m[i], 0), 0);
	memset(&m[SEVERAL], 0x11, sizeof(m[SEVERAL]));
	memcpy(victim, &m[SEVERAL], sizeof(victim));
	assert_int_equal(pthread_create(&thread, NULL, lock_scribbled_and_return, m), 0);
	pthread_join(thread, NULL);
	assert_memory_equal(victim, &m[SEVERAL], sizeof(victim));
	for (int i = 0; i < SEVERAL; i++)
		if (i != 4)
			take_over(&m[i]);
	munmap(m, (SEVERAL + 1) * sizeof(*m));
}

/* ---- another PID namespace ---- */

static void use_from_another_namespace(void *argument)
{
	fipc_mutex *m = argument, zero = {{0}};
	struct fipc_mutex_info info;

	must_be(getpid(), 1);
	must_be(fipc_mutex_lock(m), -EXDEV);
	must_be(fipc_mutex_trylock(m), -EXDEV);
	must_be(fipc_mutex_lock_until(m, fipc_after_ms(1)), -EXDEV);
	must_be(fipc_mutex_attach(m, 0), -EXDEV);
	must_be(fipc_mutex_destroy(m), -EXDEV);
	must_be(fipc_mutex_info(m, &info, sizeof(info)), 0);
	must_be(info.state, FIPC_MUTEX_HELD);
	must_be(fipc_mutex_attach(&zero, 0), FIPC_CREATED);
	must_be(fipc_mutex_lock(&zero), 0);
	must_be(fipc_mutex_unlock(&zero), 0);
}

IN_CHILD(test_pid_namespace)
{
	fipc_mutex *m = make_shared(1);
	pid_t pid;

	must_be(fipc_mutex_lock(m), 0);
	if (unshare(CLONE_NEWPID) != 0) {
		skip_aloud("a mutex of another PID namespace", "needs root to make a PID namespace");
		_exit(SKIPPED);
	}
	pid = fork(); /* not start(): its check of getppid() means nothing here */
	must(pid >= 0);
	if (!pid) {
		use_from_another_namespace(m);
		_exit(0);
	}
	must_be(finish(pid), 0);
	must_be(fipc_mutex_unlock(m), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_killed),
		cmocka_unit_test(test_exit_and_exec),
		cmocka_unit_test(test_thread_exits_holding),
		cmocka_unit_test(test_thread_exits_with_a_waiter),
		cmocka_unit_test(test_killed_with_waiters),
		cmocka_unit_test(test_died_again),
		cmocka_unit_test(test_abandoned),
		cmocka_unit_test(test_not_recoverable),
		cmocka_unit_test(test_not_recoverable_with_waiters),
		cmocka_unit_test(test_most_held_by_a_process),
		cmocka_unit_test(test_most_held_by_a_thread),
		cmocka_unit_test(test_interleaved_with_pthread),
		cmocka_unit_test(test_fork),
		cmocka_unit_test(test_fork_without_handlers),
		cmocka_unit_test(test_generations),
		cmocka_unit_test(test_fork_among_threads),
		cmocka_unit_test(test_scribbled_while_held),
		cmocka_unit_test(test_pid_namespace),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
