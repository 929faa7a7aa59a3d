/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The library twice in one process: linked into the program, and again by dlopen(), as for a plug-in. Both keep their
 * locks on the one list that a thread has, and libc its own; whoever dies, none of them is lost.
 */
#include "support.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum {
	EARLY = 1,   /* ours before the other's */
	UNORDERED = 2, /* some are given back and taken again */
	MODES = 4,
};

struct scene {
	pthread_mutex_t robust[3];
	fipc_mutex ours[2], theirs[2];
	int mode;
};

static int (*their_lock)(fipc_mutex *);
static int (*their_unlock)(fipc_mutex *);

static void load_another(void)
{
	void *library = dlopen(FIPC_SHARED_PATH, RTLD_NOW | RTLD_LOCAL);

	if (!library)
		must_fail(__FILE__, __LINE__, dlerror(), 0);
	*(void **)&their_lock = dlsym(library, "fipc_mutex_lock");
	*(void **)&their_unlock = dlsym(library, "fipc_mutex_unlock");
	must(their_lock && their_lock != fipc_mutex_lock);
	must(their_unlock && their_unlock != fipc_mutex_unlock);
}

static void make_robust(pthread_mutex_t *m)
{
	pthread_mutexattr_t attr;

	must_be(pthread_mutexattr_init(&attr), 0);
	must_be(pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED), 0);
	must_be(pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST), 0);
	must_be(pthread_mutex_init(m, &attr), 0);
}

static struct scene *make_scene(int mode)
{
	struct scene *s = share(sizeof(*s));

	s->mode = mode;
	for (int i = 0; i < 3; i++)
		make_robust(&s->robust[i]);
	for (int i = 0; i < 2; i++) {
		must_be(fipc_mutex_init(&s->ours[i], 0), 0);
		must_be(fipc_mutex_init(&s->theirs[i], 0), 0);
	}
	return s;
}

static void *take_all(void *argument)
{
	struct scene *s = argument;

	must_be(pthread_mutex_lock(&s->robust[0]), 0);
	if (s->mode & EARLY)
		must_be(fipc_mutex_lock(&s->ours[0]), 0);
	must_be(pthread_mutex_lock(&s->robust[1]), 0);
	must_be(their_lock(&s->theirs[0]), 0);
	if (!(s->mode & EARLY))
		must_be(fipc_mutex_lock(&s->ours[0]), 0);
	must_be(pthread_mutex_lock(&s->robust[2]), 0);
	must_be(their_lock(&s->theirs[1]), 0);
	must_be(fipc_mutex_lock(&s->ours[1]), 0);
	if (!(s->mode & UNORDERED))
		return NULL;
	must_be(pthread_mutex_unlock(&s->robust[1]), 0);
	must_be(their_unlock(&s->theirs[0]), 0);
	must_be(fipc_mutex_unlock(&s->ours[0]), 0);
	must_be(their_lock(&s->theirs[0]), 0);
	must_be(pthread_mutex_lock(&s->robust[1]), 0);
	must_be(fipc_mutex_lock(&s->ours[0]), 0);
	return NULL;
}

static void all_come_back(struct scene *s)
{
	for (int i = 0; i < 3; i++) {
		must_be(pthread_mutex_trylock(&s->robust[i]), EOWNERDEAD);
		must_be(pthread_mutex_consistent(&s->robust[i]), 0);
		must_be(pthread_mutex_unlock(&s->robust[i]), 0);
	}
	for (int i = 0; i < 2; i++) {
		/* Either copy takes over what the other one held. */
		must_be(their_lock(&s->ours[i]), FIPC_OWNER_DIED);
		must_be(their_unlock(&s->ours[i]), 0);
		must_be(fipc_mutex_lock(&s->theirs[i]), FIPC_OWNER_DIED);
		must_be(fipc_mutex_unlock(&s->theirs[i]), 0);
	}
}

static void take_all_in_a_thread(void *argument)
{
	pthread_t thread;

	must_be(pthread_create(&thread, NULL, take_all, argument), 0);
	must_be(pthread_join(thread, NULL), 0);
}

static void take_all_and_die(void *argument)
{
	take_all(argument);
	raise(SIGKILL);
}

IN_CHILD(test_thread_ends)
{
	load_another();
	for (int mode = 0; mode < MODES; mode++) {
		struct scene *s = make_scene(mode);

		take_all_in_a_thread(s);
		all_come_back(s);
	}
}

IN_CHILD(test_process_is_killed)
{
	load_another();
	for (int mode = 0; mode < MODES; mode++) {
		struct scene *s = make_scene(mode);

		must_be(in_child(take_all_and_die, s), 128 + SIGKILL);
		all_come_back(s);
	}
}

IN_CHILD(test_thread_ends_in_a_child)
{
	load_another();
	for (int mode = 0; mode < MODES; mode++) {
		struct scene *s = make_scene(mode);

		must_be(in_child(take_all_in_a_thread, s), 0);
		all_come_back(s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_thread_ends),
		cmocka_unit_test(test_process_is_killed),
		cmocka_unit_test(test_thread_ends_in_a_child),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
