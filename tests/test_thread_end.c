/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first and the last that a thread does with the library: when there is no memory for it, when the main thread has
 * ended, and in destructors that run after the library's own.
 */
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

static void lock_once(void *m)
{
	must_be(fipc_mutex_lock(m), 0);
	must_be(fipc_mutex_unlock(m), 0);
}

/* ---- the first call, when there is no memory for it ---- */

static void limit_memory(const struct rlimit *limit)
{
	must_be(setrlimit(RLIMIT_AS, limit), 0);
}

/* Memory is short for that moment only: what failed is tried again. */
IN_CHILD(test_memory_comes_back)
{
	static fipc_mutex own = FIPC_MUTEX_INITIALIZER;
	struct rlimit all, none;
	fipc_mutex *m = NULL;
	int opened, locked;

	fresh_dir();
	must_be(getrlimit(RLIMIT_AS, &all), 0);
	none = all;
	none.rlim_cur = 4096; /* what there is stays; there is no more */
	limit_memory(&none);
	opened = fipc_mutex_open(&m, "a", FIPC_CREATE, 0600);
	locked = fipc_mutex_lock(&own);
	limit_memory(&all);
	must_be(opened, -ENOMEM);
	must_be(locked, -ENOMEM);
	must(!m);
	m = must_open("a", FIPC_CREATE, FIPC_CREATED);
	limit_memory(&none); /* enough for the process, not for its thread */
	locked = fipc_mutex_lock(&own);
	limit_memory(&all);
	must_be(locked, -ENOMEM);
	lock_once(&own);
	lock_once(m);
	must_be(in_child(lock_once, m), 0);
	must_be(fipc_mutex_close(m), 0);
}

/* ---- without the main thread ---- */

/* An unnamed file is given its name through /proc, or without it by Linux 6.10 and later; here it is an earlier one. */
static bool early_linux;

__attribute__((visibility("default"))) /* the library calls it */
int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
	if (early_linux && flags & AT_EMPTY_PATH) {
		errno = ENOENT;
		return -1;
	}
	return (int)syscall(SYS_linkat, from_dir, from, to_dir, to, flags);
}

static pthread_t main_thread;

static void *create_alone(void *dir)
{
	must_be(pthread_join(main_thread, NULL), 0);
	await(count_entries("/proc/self/fd") <= 0); /* its "self" is the main thread */
	for (int i = 0; i < 2; i++) {
		fipc_mutex *m = must_open("a", FIPC_CREATE, FIPC_CREATED);

		lock_once(m);
		must_be(count_entries(dir), 3); /* the object, its entries, the trackers: no temporary name */
		must_be(fipc_mutex_close(m), 0);
		early_linux = true;
	}
	_exit(0);
}

IN_CHILD(test_main_thread_has_ended)
{
	pthread_t thread;

	skip_child_under_tsan("it fails where the main thread ends before others");
	main_thread = pthread_self();
	must_be(pthread_create(&thread, NULL, create_alone, (void *)(uintptr_t)fresh_dir()), 0);
	pthread_exit(NULL);
}

/* ---- destructors ---- */

enum { LAST_ROUND = 4 }; /* glibc and musl call destructors as often as that */

struct ending {
	pthread_key_t key;
	fipc_mutex own, held;
	int rounds;
};

/* Keys are destroyed in the order of their making: this one after the library's, in the last round too. */
static void use_and_come_again(void *argument)
{
	struct ending *e = argument;

	lock_once(&e->own);
	must_be(pthread_setspecific(e->key, e), 0);
	if (++e->rounds == LAST_ROUND)
		must_be(fipc_mutex_lock(&e->held), 0);
}

static void *end(void *argument)
{
	struct ending *e = argument;

	lock_once(&e->own);
	must_be(pthread_setspecific(e->key, e), 0);
	return NULL;
}

/* The library knows no thread that is gone, and what a thread holds to the last comes back all the same. */
IN_CHILD(test_used_after_its_end)
{
	struct ending *e = share(sizeof(*e));
	pthread_attr_t attr;
	pthread_t thread;
	fipc_mutex *m;

	skip_child_under_tsan("it lets go of the thread before the last destructors run");
	fresh_dir();
	must_be(fipc_mutex_init(&e->own, 0), 0);
	must_be(fipc_mutex_init(&e->held, 0), 0);
	m = must_open("a", FIPC_CREATE, FIPC_CREATED);
	lock_once(m); /* the library makes its key */
	must_be(pthread_key_create(&e->key, use_and_come_again), 0);
	must_be(pthread_attr_init(&attr), 0);
	must_be(pthread_attr_setstacksize(&attr, 64 << 20), 0); /* libc keeps none so large: it goes with the thread */
	for (int i = 0; i < 3; i++) {
		e->rounds = 0;
		must_be(pthread_create(&thread, &attr, end, e), 0);
		must_be(pthread_join(thread, NULL), 0);
		must_be(e->rounds, LAST_ROUND);
		must_be(fipc_mutex_lock(&e->held), FIPC_OWNER_DIED);
		must_be(fipc_mutex_consistent(&e->held), 0);
		must_be(fipc_mutex_unlock(&e->held), 0);
	}
	must_be(in_child(lock_once, m), 0);
	must_be(fipc_mutex_close(m), 0); /* looks at all threads */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_memory_comes_back),
		cmocka_unit_test(test_main_thread_has_ended),
		cmocka_unit_test(test_used_after_its_end),
	};

	test_dir();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
