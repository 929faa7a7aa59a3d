/* SPDX-License-Identifier: Apache-2.0 */
/* Semaphores whose tokens belong to processes: what each call says, and that tokens come back when a process dies. */
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
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { SOON_MS = 5000, MANY = 200, MEGABYTES = 256 };

static fipc_sem *make(uint32_t initial)
{
	fipc_sem *s;

	fresh_dir();
	must_be(fipc_sem_open(&s, "tokens", initial, FIPC_CREATE | FIPC_EXCL | FIPC_OWNED, 0600), FIPC_CREATED);
	return s;
}

static struct fipc_sem_info info_of(const fipc_sem *s)
{
	struct fipc_sem_info info;

	must_be(fipc_sem_info(s, &info, sizeof(info)), 0);
	return info;
}

/* ---- other processes ---- */

struct other {
	fipc_sem *s;
	unsigned takes;
	int wants;     /* then waits for one more, and gives that back */
	int keeps;     /* or says that it has it, and keeps it */
	size_t memory; /* bytes that it has touched */
	struct gate ready, go;
	pid_t pid;
};

static void be_other(void *argument)
{
	struct other *o = argument;

	if (o->memory)
		memset(malloc(o->memory), 1, o->memory);
	for (unsigned i = 0; i < o->takes; i++)
		must_be(fipc_sem_trywait(o->s), 0);
	gate_open(&o->ready);
	if (o->wants) {
		must_be(fipc_sem_wait(o->s), 0);
		if (o->keeps) {
			gate_open(&o->ready);
			gate_pass(&o->go);
		}
		must_be(fipc_sem_post(o->s, 1), 0);
		return;
	}
	gate_pass(&o->go);
}

static void begin(struct other *o)
{
	gate_make(&o->ready);
	gate_make(&o->go);
	o->pid = start(be_other, o);
	gate_pass(&o->ready);
}

static void begin_waiting(struct other *o)
{
	o->wants = 1;
	begin(o);
	await(asleep_in_futex(o->pid));
}

static void gets_one_soon(struct other *o)
{
	int status;

	must(ended(o->pid, &status, SOON_MS));
	must_be(status, 0);
	gate_free(&o->ready);
	gate_free(&o->go);
}

static void kill_other(struct other *o)
{
	murder(o->pid);
	gate_free(&o->ready);
	gate_free(&o->go);
}

/* ---- the contract ---- */

IN_CHILD(test_take_and_give)
{
	fipc_sem *s = make(3);

	must_be(fipc_sem_value(s), 3);
	must_be(fipc_sem_post(s, 1), -EPERM);
	must_be(fipc_sem_wait(s), 0);
	must_be(fipc_sem_trywait(s), 0);
	must_be(fipc_sem_wait_until(s, FIPC_NOW), 0);
	must_be(fipc_sem_value(s), 0);
	must_be(fipc_sem_trywait(s), -EAGAIN);
	must_be(fipc_sem_wait_until(s, fipc_after_ms(5)), -ETIMEDOUT);
	must_be(fipc_sem_wait_until(s, 1), -ETIMEDOUT);
	must_be(info_of(s).holders, 1);
	must_be(info_of(s).last_pid, getpid());
	must_be(fipc_sem_close(s), -EBUSY);
	must_be(fipc_sem_post(s, 4), -EPERM);
	must_be(fipc_sem_value(s), 0);
	must_be(fipc_sem_post(s, 2), 0);
	must_be(fipc_sem_value(s), 2);
	must_be(fipc_sem_post(s, 0), 0);
	must_be(fipc_sem_post(s, 1), 0);
	must_be(fipc_sem_post(s, 1), -EPERM);
	must_be(info_of(s).holders, 0);
	must_be(info_of(s).acquired_ns, 0);
	must_be(fipc_sem_close(s), 0);
}

IN_CHILD(test_none_and_many)
{
	fipc_sem *s = make(0);

	must_be(fipc_sem_trywait(s), -EAGAIN);
	must_be(fipc_sem_post(s, 1), -EPERM);
	must_be(fipc_sem_close(s), 0);
	s = make(UINT32_MAX);
	for (int i = 0; i < MANY; i++)
		must_be(fipc_sem_wait(s), 0);
	must_be(fipc_sem_value(s), UINT32_MAX - (int64_t)MANY);
	must_be(fipc_sem_post(s, MANY), 0);
	must_be(fipc_sem_value(s), UINT32_MAX);
	must_be(fipc_sem_close(s), 0);
}

/* More of them than a thread remembers, and closed and opened again at what may be the same address. */
IN_CHILD(test_several)
{
	enum { SEVERAL = 20 };
	fipc_sem *s[SEVERAL];
	char name[16];

	fresh_dir();
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < SEVERAL; i++) {
			snprintf(name, sizeof(name), "s%d", i);
			must_be(fipc_sem_open(&s[i], name, 1 + (uint32_t)(i + round) % 3 * 100,
					      FIPC_CREATE | FIPC_OWNED, 0600),
				FIPC_CREATED);
			must_be(fipc_sem_wait(s[i]), 0);
		}
		for (int i = 0; i < SEVERAL; i += 2)
			must_be(fipc_sem_post(s[i], 1), 0);
		for (int i = 1; i < SEVERAL; i += 2)
			must_be(fipc_sem_post(s[i], 1), 0);
		for (int i = 0; i < SEVERAL; i++) {
			must_be(fipc_sem_value(s[i]), 1 + (i + round) % 3 * 100);
			must_be(fipc_sem_close(s[i]), 0);
		}
	}
}

IN_CHILD(test_looking_only)
{
	fipc_sem *s, *view;

	fresh_dir();
	must_be(fipc_sem_open(&s, "t", 2, FIPC_CREATE | FIPC_OWNED | FIPC_TIMESTAMPS, 0600), FIPC_CREATED);
	must_be(fipc_sem_open(&view, "t", 0, FIPC_READONLY, 0), 0);
	must_be(fipc_sem_wait(s), 0);
	must_be(fipc_sem_value(view), 1);
	must_be(info_of(view).holders, 1);
	must(info_of(view).acquired_ns != 0);
	must_be(fipc_sem_trywait(view), -EACCES);
	must_be(fipc_sem_post(view, 1), -EACCES);
	must_be(fipc_sem_post(s, 1), 0);
	must_be(fipc_sem_close(view), 0);
	must_be(fipc_sem_close(s), 0);
}

/* ---- threads and forked children ---- */

static void *take_one(void *s)
{
	must_be(fipc_sem_wait(s), 0);
	return NULL;
}

static void *give_one(void *s)
{
	must_be(fipc_sem_post(s, 1), 0);
	return NULL;
}

static void in_thread(void *(*body)(void *), void *argument)
{
	pthread_t thread;

	must_be(pthread_create(&thread, NULL, body, argument), 0);
	must_be(pthread_join(thread, NULL), 0);
}

IN_CHILD(test_threads_share)
{
	fipc_sem *s = make(4);

	must_be(fipc_sem_wait(s), 0);
	in_thread(give_one, s);
	must_be(fipc_sem_value(s), 4);
	in_thread(take_one, s);
	in_thread(take_one, s);
	must_be(fipc_sem_value(s), 2);
	must_be(fipc_sem_wait(s), 0);
	must_be(fipc_sem_value(s), 1);
	must_be(info_of(s).holders, 1);
	must_be(fipc_sem_post(s, 4), -EPERM);
	must_be(fipc_sem_post(s, 3), 0);
	must_be(fipc_sem_value(s), 4);
	must_be(fipc_sem_close(s), 0);
}

static void *take_and_stay(void *argument)
{
	struct other *o = argument;

	must_be(fipc_sem_wait(o->s), 0);
	gate_open(&o->ready);
	gate_pass(&o->go);
	return NULL;
}

/* The thread that took it lives, another one gave it back: the slot is that thread's until it ends. */
IN_CHILD(test_given_for_another)
{
	struct other o = {.s = make(1)};
	pthread_t thread;

	gate_make(&o.ready);
	gate_make(&o.go);
	must_be(pthread_create(&thread, NULL, take_and_stay, &o), 0);
	gate_pass(&o.ready);
	must_be(fipc_sem_close(o.s), -EBUSY);
	must_be(fipc_sem_post(o.s, 1), 0);
	must_be(fipc_sem_value(o.s), 1);
	must_be(fipc_sem_close(o.s), -EBUSY);
	gate_open(&o.go);
	must_be(pthread_join(thread, NULL), 0);
	must_be(fipc_sem_close(o.s), 0);
}

static void child_holds_nothing(void *s)
{
	must_be(fipc_sem_post(s, 1), -EPERM);
	must_be(fipc_sem_wait(s), 0);
	must_be(fipc_sem_post(s, 2), -EPERM);
	raise(SIGKILL);
}

IN_CHILD(test_forked_child)
{
	fipc_sem *s = make(2);

	must_be(fipc_sem_wait(s), 0);
	must_be(in_child(child_holds_nothing, s), 128 + SIGKILL);
	must_be(fipc_sem_value(s), 1);
	must_be(fipc_sem_post(s, 1), 0);
	must_be(fipc_sem_value(s), 2);
}

/* ---- deaths ---- */

IN_CHILD(test_killed_holding)
{
	fipc_sem *s = make(5);

	for (unsigned n = 1; n <= 5; n++) {
		struct other o = {.s = s, .takes = n};

		begin(&o);
		must_be(fipc_sem_value(s), 5 - n);
		must_be(info_of(s).last_pid, o.pid);
		kill_other(&o);
		must_be(fipc_sem_value(s), 5);
		must_be(info_of(s).holders, 0);
		for (unsigned i = 0; i < 5; i++)
			must_be(fipc_sem_trywait(s), 0);
		must_be(fipc_sem_trywait(s), -EAGAIN);
		must_be(fipc_sem_post(s, 5), 0);
	}
}

IN_CHILD(test_sleepers_get_them)
{
	fipc_sem *s = make(3);
	struct other holder = {.s = s, .takes = 3}, waiters[3] = {{.s = s}, {.s = s}, {.s = s}};

	begin(&holder);
	for (int i = 0; i < 3; i++)
		begin_waiting(&waiters[i]);
	await(info_of(s).waiters == 3);
	kill_other(&holder);
	for (int i = 0; i < 3; i++)
		gets_one_soon(&waiters[i]);
	must_be(fipc_sem_value(s), 3);
}

/* One wake-up, of the kernel's, and two tokens. */
IN_CHILD(test_two_sleepers_keep_them)
{
	fipc_sem *s = make(2);
	struct other holder = {.s = s, .takes = 2}, waiters[2] = {{.s = s, .keeps = 1}, {.s = s, .keeps = 1}};

	begin(&holder);
	for (int i = 0; i < 2; i++)
		begin_waiting(&waiters[i]);
	kill_other(&holder);
	for (int i = 0; i < 2; i++)
		gate_pass(&waiters[i].ready);
	must_be(fipc_sem_value(s), 0);
	must_be(info_of(s).holders, 2);
	for (int i = 0; i < 2; i++)
		kill_other(&waiters[i]);
	must_be(fipc_sem_value(s), 2);
}

/* They hand one token on, and each dies with it. */
IN_CHILD(test_one_after_the_other_dies)
{
	enum { CHAIN = 10 };
	struct other links[CHAIN], last;
	fipc_sem *s = make(1);

	for (int i = 0; i < CHAIN; i++) {
		links[i] = (struct other){.s = s, .takes = 1};
		begin(&links[i]);
		last = (struct other){.s = s};
		begin_waiting(&last);
		kill_other(&links[i]);
		gets_one_soon(&last);
	}
	must_be(fipc_sem_value(s), 1);
}

IN_CHILD(test_large_owner)
{
	fipc_sem *s = make(1);
	struct other holder = {.s = s, .takes = 1, .memory = (size_t)MEGABYTES << 20}, waiter = {.s = s};

	begin(&holder);
	begin_waiting(&waiter);
	must_be(kill(holder.pid, SIGKILL), 0);
	gets_one_soon(&waiter);
	must_be(finish(holder.pid), 128 + SIGKILL);
}

static void take_in_thread_and_stay(void *argument)
{
	struct other *o = argument;

	in_thread(take_one, o->s);
	gate_open(&o->ready);
	gate_pass(&o->go);
	if (o->wants)
		must_be(fipc_sem_post(o->s, 1), 0);
}

/* Its thread has left, so nobody hears of its death; but whoever calls next. */
IN_CHILD(test_killed_after_thread_left)
{
	fipc_sem *s = make(1);

	for (int gives = 0; gives < 2; gives++) {
		struct other o = {.s = s, .wants = gives};

		gate_make(&o.ready);
		gate_make(&o.go);
		o.pid = start(take_in_thread_and_stay, &o);
		gate_pass(&o.ready);
		must_be(fipc_sem_trywait(s), -EAGAIN);
		must_be(fipc_sem_post(s, 1), -EPERM);
		gate_open(&o.go);
		if (gives)
			must_be(finish(o.pid), 0);
		else
			kill_other(&o);
		must_be(fipc_sem_trywait(s), 0);
		must_be(fipc_sem_post(s, 1), 0);
		must_be(fipc_sem_value(s), 1);
	}
}

/* Of those whose deaths a sleeper cannot watch: the next call finds the token. */
IN_CHILD(test_many_holders)
{
	static struct other holders[MANY];
	fipc_sem *s = make(MANY);
	struct other waiter = {.s = s};

	for (int i = 0; i < MANY; i++) {
		holders[i] = (struct other){.s = s, .takes = 1};
		begin(&holders[i]);
	}
	must_be(info_of(s).holders, MANY);
	must_be(fipc_sem_trywait(s), -EAGAIN);
	kill_other(&holders[MANY - 1]);
	must_be(fipc_sem_value(s), 1);
	must_be(fipc_sem_trywait(s), 0);
	begin_waiting(&waiter);
	kill_other(&holders[0]);
	gets_one_soon(&waiter);
	must_be(fipc_sem_value(s), 1);
	for (int i = 1; i < MANY - 1; i++)
		kill_other(&holders[i]);
	must_be(fipc_sem_value(s), MANY - 1);
	must_be(fipc_sem_post(s, 1), 0);
}

static void *exec_here(void *argument)
{
	struct other *o = argument;

	must_be(fipc_sem_wait(o->s), 0);
	gate_open(&o->ready);
	gate_pass(&o->go);
	execl("/bin/sleep", "sleep", "30", (char *)NULL);
	must(0);
	return NULL;
}

static void exec_in_thread(void *o)
{
	in_thread(exec_here, o);
}

static int is_called(pid_t pid, const char *name)
{
	char path[64], text[64] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	f = fopen(path, "re");
	must(f);
	must(fgets(text, sizeof(text), f));
	fclose(f);
	text[strcspn(text, "\n")] = '\0';
	return strcmp(text, name) == 0;
}

/* The kernel does not tell of what a thread that is not the main one held before it called exec. */
IN_CHILD(test_exec_by_thread)
{
	struct other o = {.s = make(1)};

	gate_make(&o.ready);
	gate_make(&o.go);
	o.pid = start(exec_in_thread, &o);
	gate_pass(&o.ready);
	must_be(fipc_sem_trywait(o.s), -EAGAIN);
	gate_open(&o.go);
	await(is_called(o.pid, "sleep"));
	must_be(fipc_sem_trywait(o.s), 0);
	must_be(fipc_sem_post(o.s, 1), 0);
	kill_other(&o);
	must_be(fipc_sem_value(o.s), 1);
}

/* ---- waking ---- */

IN_CHILD(test_post_wakes_as_many)
{
	fipc_sem *s = make(4);
	struct other waiters[4] = {{.s = s}, {.s = s}, {.s = s}, {.s = s}};

	for (int i = 0; i < 4; i++)
		must_be(fipc_sem_wait(s), 0);
	for (int i = 0; i < 4; i++)
		begin_waiting(&waiters[i]);
	must_be(fipc_sem_post(s, 4), 0);
	for (int i = 0; i < 4; i++)
		gets_one_soon(&waiters[i]);
	must_be(fipc_sem_value(s), 4);
}

/* A sleeper that is woken and does not run keeps nobody else from a token. */
IN_CHILD(test_stopped_sleeper)
{
	fipc_sem *s = make(2);
	struct other first = {.s = s}, second = {.s = s};

	must_be(fipc_sem_wait(s), 0);
	must_be(fipc_sem_wait(s), 0);
	begin_waiting(&first);
	must_be(kill(first.pid, SIGSTOP), 0);
	begin_waiting(&second);
	must_be(fipc_sem_post(s, 1), 0);
	must_be(fipc_sem_post(s, 1), 0);
	gets_one_soon(&second);
	must_be(kill(first.pid, SIGCONT), 0);
	gets_one_soon(&first);
	must_be(fipc_sem_value(s), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_take_and_give),
		cmocka_unit_test(test_none_and_many),
		cmocka_unit_test(test_several),
		cmocka_unit_test(test_looking_only),
		cmocka_unit_test(test_threads_share),
		cmocka_unit_test(test_given_for_another),
		cmocka_unit_test(test_forked_child),
		cmocka_unit_test(test_killed_holding),
		cmocka_unit_test(test_sleepers_get_them),
		cmocka_unit_test(test_two_sleepers_keep_them),
		cmocka_unit_test(test_one_after_the_other_dies),
		cmocka_unit_test(test_large_owner),
		cmocka_unit_test(test_killed_after_thread_left),
		cmocka_unit_test(test_many_holders),
		cmocka_unit_test(test_exec_by_thread),
		cmocka_unit_test(test_post_wakes_as_many),
		cmocka_unit_test(test_stopped_sleeper),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
