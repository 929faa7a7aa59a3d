/* SPDX-License-Identifier: Apache-2.0 */
/* Revoking: of nobody's lock, of a living owner's, of an owner whose death the kernel did not tell. */
#include "support.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct scene {
	fipc_mutex m, other;
	pthread_mutex_t robust;
	struct gate ready, go;
	int waiter_got;
};

static struct scene *make_scene(void)
{
	struct scene *s = share(sizeof(*s));
	pthread_mutexattr_t attr;
	must_be(fipc_mutex_init(&s->m, 0), 0);
	must_be(fipc_mutex_init(&s->other, 0), 0);
	must_be(pthread_mutexattr_init(&attr), 0);
	must_be(pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED), 0);
	must_be(pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST), 0);
	must_be(pthread_mutex_init(&s->robust, &attr), 0);
	gate_make(&s->ready);
	gate_make(&s->go);
	return s;
}

IN_CHILD(test_nobody_holds_it)
{
	struct scene *s = make_scene();
	must_be(fipc_mutex_revoke(&s->m), -ESRCH);
	must_be(fipc_mutex_lock(&s->m), 0);
	must_be(fipc_mutex_unlock(&s->m), 0);
	memset(&s->m, 0, sizeof(s->m));
	must_be(fipc_mutex_revoke(&s->m), -EINVAL);
}

/* Holds three locks, waits, unlocks the first if it is told to, and dies holding the others. */
static void owner(void *argument)
{
	struct scene *s = argument;
	must_be(pthread_mutex_lock(&s->robust), 0);
	must_be(fipc_mutex_lock(&s->m), 0);
	must_be(fipc_mutex_lock(&s->other), 0);
	gate_open(&s->ready);
	gate_pass(&s->go);
	must_be(fipc_mutex_unlock(&s->m), 0);
	gate_open(&s->ready);
	gate_pass(&s->go); /* never opened: it is killed here */
}

static void waiter(void *argument)
{
	struct scene *s = argument;
	s->waiter_got = fipc_mutex_lock(&s->m);
	exit(0);
}

IN_CHILD(test_living_owner)
{
	struct scene *s = make_scene();
	pid_t o = start(owner, s), w[2];
	gate_pass(&s->ready);
	for (int i = 0; i < 2; i++)
		w[i] = start(waiter, s);
	await(sleepers(&s->m) == 2);
	must_be(fipc_mutex_revoke(&s->m), 0);
	for (int i = 0; i < 2; i++)
		must_be(finish(w[i]), 0);
	must_be(s->waiter_got, -ENOTRECOVERABLE);
	must_be(fipc_mutex_lock(&s->m), -ENOTRECOVERABLE);
	must_be(fipc_mutex_trylock(&s->m), -ENOTRECOVERABLE);
	must_be(state_of(&s->m), FIPC_MUTEX_NOT_RECOVERABLE);
	must_be(fipc_mutex_revoke(&s->m), 0);
	gate_open(&s->go); /* its unlock is no error */
	gate_pass(&s->ready);
	must_be(fipc_mutex_lock(&s->m), -ENOTRECOVERABLE);
	murder(o);
	must_be(fipc_mutex_lock(&s->m), -ENOTRECOVERABLE);
	must_be(fipc_mutex_lock(&s->other), FIPC_OWNER_DIED);
	must_be(pthread_mutex_lock(&s->robust), EOWNERDEAD);
}

/* Revoked, then killed while it still holds: not recoverable all the same, and the others are. */
IN_CHILD(test_living_owner_dies)
{
	struct scene *s = make_scene();
	pid_t o = start(owner, s);
	gate_pass(&s->ready);
	must_be(fipc_mutex_revoke(&s->m), 0);
	murder(o);
	must_be(fipc_mutex_lock(&s->m), -ENOTRECOVERABLE);
	must_be(fipc_mutex_lock(&s->other), FIPC_OWNER_DIED);
	must_be(pthread_mutex_lock(&s->robust), EOWNERDEAD);
}

static void *exec_holding(void *argument)
{
	struct scene *s = argument;
	must_be(fipc_mutex_lock(&s->m), 0);
	gate_open(&s->ready);
	execl("/bin/sleep", "sleep", "60", (char *)NULL);
	must(!"exec");
	return NULL;
}

static void exec_by_second_thread(void *argument)
{
	pthread_t t;
	must_be(pthread_create(&t, NULL, exec_holding, argument), 0);
	pthread_join(t, NULL);
}

/* An exec by a thread that is not the main one: its TID vanishes, and the kernel does not walk its list in time. */
IN_CHILD(test_death_that_nobody_told)
{
	struct scene *s = make_scene();
	struct fipc_mutex_info info;
	pid_t p = start(exec_by_second_thread, s), w;
	gate_pass(&s->ready);
	must_be(fipc_mutex_info(&s->m, &info, sizeof(info)), 0);
	must((pid_t)info.owner_tid != p);
	await(kill((pid_t)info.owner_tid, 0) < 0 && errno == ESRCH); /* the exec has happened */
	must_be(fipc_mutex_trylock(&s->m), -EBUSY);
	w = start(waiter, s);
	await(sleepers(&s->m) == 1);
	must_be(fipc_mutex_revoke(&s->m), 0);
	must_be(finish(w), 0);
	must_be(s->waiter_got, FIPC_OWNER_DIED);
	must_be(fipc_mutex_lock(&s->m), FIPC_OWNER_DIED); /* the waiter ended holding it */
	must_be(fipc_mutex_consistent(&s->m), 0);
	must_be(fipc_mutex_unlock(&s->m), 0);
	murder(p);
}

/* Revoked while its new owner recovers: it cannot say that it is consistent any more. */
IN_CHILD(test_while_recovering)
{
	struct scene *s = make_scene();
	pid_t o = start(owner, s);
	gate_pass(&s->ready);
	murder(o);
	must_be(fipc_mutex_lock(&s->m), FIPC_OWNER_DIED);
	must_be(fipc_mutex_revoke(&s->m), 0);
	must_be(fipc_mutex_consistent(&s->m), -EINVAL);
	must_be(fipc_mutex_unlock(&s->m), 0);
	must_be(fipc_mutex_lock(&s->m), -ENOTRECOVERABLE);
	must_be(fipc_mutex_init(&s->m, 0), 0);
	must_be(fipc_mutex_lock(&s->m), 0);
	must_be(fipc_mutex_unlock(&s->m), 0);
}

IN_CHILD(test_read_only)
{
	fipc_mutex *m, *view;
	test_dir();
	m = must_open("a", FIPC_CREATE, FIPC_CREATED);
	view = must_open("a", FIPC_READONLY, 0);
	must_be(fipc_mutex_lock(m), 0);
	must_be(fipc_mutex_revoke(view), -EACCES);
	must_be(fipc_mutex_revoke(m), 0);
	must_be(fipc_mutex_unlock(m), 0);
	must_be(fipc_mutex_close(view), 0);
	must_be(fipc_mutex_close(m), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nobody_holds_it),
		cmocka_unit_test(test_living_owner),
		cmocka_unit_test(test_living_owner_dies),
		cmocka_unit_test(test_death_that_nobody_told),
		cmocka_unit_test(test_while_recovering),
		cmocka_unit_test(test_read_only),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
