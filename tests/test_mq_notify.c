/* SPDX-License-Identifier: Apache-2.0 */
/* Hearing of messages without waiting in receive: the descriptor, and fipc_mq_notify(). */
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#define NO_THREADS "TSan lets no child of a process with threads start one"

static fipc_mq *make(uint32_t messages)
{
	const struct fipc_mq_attr attr = {messages, 8};
	fipc_mq *q;

	fresh_dir();
	must_be(fipc_mq_open(&q, "q", &attr, FIPC_CREATE | FIPC_EXCL, 0600), FIPC_CREATED);
	return q;
}

static void send_to(fipc_mq *q)
{
	must_be(fipc_mq_send(q, "x", 1, 0, FIPC_NOW), 0);
}

static void receive_from(fipc_mq *q)
{
	char buf[8];

	must_be(fipc_mq_receive(q, buf, sizeof(buf), NULL, FIPC_NOW), 1);
}

static void child_sends(void *argument)
{
	send_to(argument);
}

static void child_receives(void *argument)
{
	receive_from(argument);
}

static struct fipc_mq_info look(const fipc_mq *q)
{
	struct fipc_mq_info info;

	must_be(fipc_mq_info(q, &info, sizeof(info)), 0);
	return info;
}

/* ---- the descriptor ---- */

static int is_readable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	must_not_fail(poll(&p, 1, 0));
	return p.revents == POLLIN;
}

/* In one process it is exact at once. */
IN_CHILD(test_fd_of_one_process)
{
	fipc_mq *q = make(3);
	int fd;

	send_to(q);
	fd = fipc_mq_fd(q);
	must_not_fail(fd);
	must_be(fipc_mq_fd(q), fd);
	must(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	for (int i = 0; i < 200; i++) {
		must(is_readable(fd));
		send_to(q);
		must(is_readable(fd));
		receive_from(q);
		must(is_readable(fd));
		receive_from(q);
		must(!is_readable(fd));
		send_to(q);
	}
	must_be(fipc_mq_close(q), 0);
	must_be(fcntl(fd, F_GETFD), -1);
}

/* What others do is told soon. */
IN_CHILD(test_fd_of_several)
{
	fipc_mq *q = make(3);
	struct pollfd p = {.fd = fipc_mq_fd(q), .events = POLLIN};

	must_not_fail(p.fd);
	for (int i = 0; i < 20; i++) {
		must(!is_readable(p.fd));
		must_be(in_child(child_sends, q), 0);
		must_be(poll(&p, 1, PATIENCE_MS), 1);
		must_be(in_child(child_sends, q), 0);
		must_be(in_child(child_receives, q), 0);
		must(is_readable(p.fd));
		must_be(in_child(child_receives, q), 0);
		await(!is_readable(p.fd));
	}
	must_be(fipc_mq_close(q), 0);
}

IN_CHILD(test_fd_and_epoll)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u32 = 7};
	fipc_mq *q = make(3);
	int fd = fipc_mq_fd(q), epoll = epoll_create1(EPOLL_CLOEXEC);

	must_not_fail(fd);
	must_be(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event), 0);
	must_be(epoll_wait(epoll, &event, 1, 0), 0);
	must_be(in_child(child_sends, q), 0);
	must_be(epoll_wait(epoll, &event, 1, PATIENCE_MS), 1);
	must_be(event.data.u32, 7);
}

/* The thread behind it takes no message, and a receiver's wake-up does not end with it. */
static void child_waits(void *argument)
{
	char buf[8];

	must_be(fipc_mq_receive(argument, buf, sizeof(buf), NULL, FIPC_FOREVER), 1);
}

IN_CHILD(test_fd_beside_receivers)
{
	fipc_mq *q = make(3);
	int fd = fipc_mq_fd(q);
	pid_t pids[3];

	must_not_fail(fd);
	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < 3; i++) {
			pids[i] = start(child_waits, q);
			await(asleep_in_futex(pids[i]));
		}
		for (int i = 0; i < 3; i++)
			send_to(q);
		for (int i = 0; i < 3; i++)
			must_be(finish(pids[i]), 0);
		await(!is_readable(fd));
	}
}

static void child_asks_anew(void *argument)
{
	fipc_mq *q = argument;
	int fd = fipc_mq_fd(q);

	must_not_fail(fd);
	must(!is_readable(fd));
	send_to(q);
	must(is_readable(fd));
	receive_from(q);
	must_be(fipc_mq_close(q), 0);
}

IN_CHILD(test_fd_and_fork)
{
	fipc_mq *q;
	int fd;

	skip_child_under_tsan(NO_THREADS);
	q = make(3);
	fd = fipc_mq_fd(q);

	must_not_fail(fd);
	must_be(in_child(child_asks_anew, q), 0);
	must(!is_readable(fd));
	send_to(q);
	must(is_readable(fd));
	must_be(fipc_mq_close(q), 0);
}

/* ---- notify: by a signal ---- */

enum { SIGNAL = 40, VALUE = 4711 };

static const struct sigevent by_signal = {
	.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGNAL, .sigev_value.sival_int = VALUE};
static const struct sigevent by_nothing = {.sigev_notify = SIGEV_NONE};

static void block_signal(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGNAL);
	must_be(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
}

static int take_signal(siginfo_t *ret, int ms)
{
	const struct timespec timeout = {ms / 1000, ms % 1000 * 1000000L};
	sigset_t set;
	int r;

	sigemptyset(&set);
	sigaddset(&set, SIGNAL);
	do
		r = sigtimedwait(&set, ret, &timeout);
	while (r < 0 && errno == EINTR);
	return r == SIGNAL;
}

IN_CHILD(test_notify_by_signal)
{
	fipc_mq *q = make(3);
	siginfo_t info;

	block_signal();
	for (int i = 0; i < 50; i++) {
		must_be(fipc_mq_notify(q, &by_signal), 0);
		must_be(look(q).notify_pid, getpid());
		must_be(fipc_mq_notify(q, &by_signal), -EBUSY);
		send_to(q);
		must(take_signal(&info, PATIENCE_MS));
		must_be(info.si_code, SI_MESGQ);
		must_be(info.si_value.sival_int, VALUE);
		must_be(info.si_pid, getpid());
		must_be(info.si_uid, getuid());
		await(look(q).notify_pid == 0);
		send_to(q);
		receive_from(q);
		receive_from(q);
		send_to(q); /* once */
		must(!take_signal(&info, 0));
		receive_from(q);
	}
	must_be(fipc_mq_close(q), 0);
}

static void child_is_told(void *argument)
{
	fipc_mq *q = argument;
	siginfo_t info;

	block_signal();
	must_be(fipc_mq_notify(q, &by_signal), 0);
	must(take_signal(&info, PATIENCE_MS));
	must_be(info.si_pid, getppid());
}

/* Of messages that are there already it does not tell; of the next one that comes when it is empty it does. */
IN_CHILD(test_notify_when_not_empty)
{
	fipc_mq *q = make(3);
	pid_t pid;

	send_to(q);
	pid = start(child_is_told, q);
	await(look(q).notify_pid == (uint32_t)pid);
	send_to(q);
	receive_from(q);
	send_to(q);
	must_be(look(q).notify_pid, pid);
	receive_from(q);
	receive_from(q);
	must_be(look(q).notify_pid, pid);
	send_to(q);
	must_be(finish(pid), 0);
	must_be(look(q).notify_pid, 0);
}

/* It is emptied, and sent to again, while who is registered is about to sleep, or to look why it was woken. */
IN_CHILD(test_notify_as_it_is_emptied)
{
	fipc_mq *q = make(3);
	siginfo_t info;

	block_signal();
	for (int i = 0; i < 1000; i++) {
		send_to(q);
		must_be(fipc_mq_notify(q, &by_signal), 0);
		if (i % 2)
			nap_us(50);
		receive_from(q);
		send_to(q);
		must(take_signal(&info, PATIENCE_MS));
		receive_from(q);
		await(look(q).notify_pid == 0);
	}
}

static void child_waits_and_listens(void *argument)
{
	fipc_set_interruptible(1);
	child_waits(argument);
}

/* A receiver who waits gets the message, and nobody is told. */
IN_CHILD(test_notify_and_a_receiver)
{
	fipc_mq *q = make(3);
	siginfo_t info;
	pid_t pid;

	block_signal();
	must_be(fipc_mq_notify(q, &by_signal), 0);
	for (int i = 0; i < 20; i++) {
		pid = start(i % 2 ? child_waits_and_listens : child_waits, q);
		await(asleep_in_futex(pid));
		send_to(q);
		must_be(finish(pid), 0);
	}
	must_be(look(q).notify_pid, getpid());
	must(!take_signal(&info, 0));
	send_to(q);
	must(take_signal(&info, PATIENCE_MS));
}

/* ---- notify: by a thread ---- */

static struct gate called;
static fipc_mq *called_of;
static int registered_again;
static pthread_t main_thread;

static void on_message(union sigval value)
{
	sigset_t mask;

	must_be(value.sival_int, VALUE);
	must(!pthread_equal(pthread_self(), main_thread));
	must_be(pthread_sigmask(SIG_SETMASK, NULL, &mask), 0);
	must_be(sigismember(&mask, SIGNAL), 1); /* as in who registered */
	must_be(sigismember(&mask, SIGTERM), 0);
	receive_from(called_of);
	if (registered_again) {
		struct sigevent again = {.sigev_notify = SIGEV_THREAD, .sigev_value.sival_int = VALUE};

		registered_again = 0;
		again.sigev_notify_function = on_message;
		must_be(fipc_mq_notify(called_of, &again), 0);
	}
	gate_open(&called);
}

IN_CHILD(test_notify_by_thread)
{
	struct sigevent how = {.sigev_notify = SIGEV_THREAD, .sigev_value.sival_int = VALUE};
	pthread_attr_t attr;

	called_of = make(3);
	main_thread = pthread_self();
	block_signal();
	gate_make(&called);
	how.sigev_notify_function = on_message;
	for (int i = 0; i < 10; i++) {
		must_be(fipc_mq_notify(called_of, &how), 0);
		send_to(called_of);
		gate_pass(&called);
	}
	must_be(pthread_attr_init(&attr), 0);
	must_be(pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED), 0);
	how.sigev_notify_attributes = &attr;
	registered_again = 1;
	must_be(fipc_mq_notify(called_of, &how), 0);
	for (int i = 0; i < 2; i++) {
		send_to(called_of);
		gate_pass(&called);
	}
	send_to(called_of);
	must(!gate_try(&called, 0));
	must_be(fipc_mq_close(called_of), 0);
}

/* ---- one registration ---- */

static void child_is_refused(void *argument)
{
	must_be(fipc_mq_notify(argument, &by_nothing), -EBUSY);
	must_be(fipc_mq_notify(argument, NULL), 0); /* it has none to end */
	must_be(fipc_mq_notify(argument, &by_nothing), -EBUSY);
}

static void child_registers(void *argument)
{
	must_be(fipc_mq_notify(argument, &by_nothing), 0);
	for (;;)
		pause();
}

static void child_registers_and_closes(void *argument)
{
	must_be(fipc_mq_notify(argument, &by_nothing), 0);
	must_be(fipc_mq_close(argument), 0);
	for (;;)
		pause();
}

IN_CHILD(test_one_registration)
{
	fipc_mq *q;
	pid_t pid;

	skip_child_under_tsan(NO_THREADS);
	q = make(3);
	must_be(fipc_mq_notify(q, NULL), 0);
	must_be(fipc_mq_notify(q, &by_nothing), 0);
	must_be(in_child(child_is_refused, q), 0);
	must_be(fipc_mq_notify(q, NULL), 0);
	must_be(look(q).notify_pid, 0);
	pid = start(child_registers, q);
	await(look(q).notify_pid == (uint32_t)pid);
	must_be(fipc_mq_notify(q, &by_signal), -EBUSY);
	murder(pid); /* a registrant that dies frees it */
	must_be(fipc_mq_notify(q, &by_nothing), 0);
	send_to(q); /* uses it up, and nothing happens */
	await(look(q).notify_pid == 0);
	receive_from(q);
	pid = start(child_registers_and_closes, q);
	await(look(q).notify_pid == 0 && fipc_mq_notify(q, &by_nothing) == 0);
	murder(pid);
}

IN_CHILD(test_notify_refuses)
{
	fipc_mq *q = make(3);
	struct sigevent how = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = 0};

	must_be(fipc_mq_notify(NULL, &how), -EINVAL);
	must_be(fipc_mq_notify(q, &how), -EINVAL);
	how.sigev_signo = SIGRTMAX + 1;
	must_be(fipc_mq_notify(q, &how), -EINVAL);
	how = (struct sigevent){.sigev_notify = SIGEV_THREAD};
	must_be(fipc_mq_notify(q, &how), -EINVAL);
	how.sigev_notify = 77;
	must_be(fipc_mq_notify(q, &how), -EINVAL);
	must_be(fipc_mq_fd(NULL), -EINVAL);
	must_be(look(q).notify_pid, 0);
}

/* A child of fork has neither; it may have its own. */
static void child_starts_anew(void *argument)
{
	fipc_mq *q = argument;
	siginfo_t info;

	must_be(fipc_mq_notify(q, NULL), 0);
	must_be(look(q).notify_pid, getppid());
	must_be(fipc_mq_notify(q, &by_signal), -EBUSY);
	send_to(q);
	must(!take_signal(&info, 0));
	must_be(fipc_mq_close(q), 0);
}

IN_CHILD(test_notify_and_fork)
{
	fipc_mq *q;
	siginfo_t info;

	skip_child_under_tsan(NO_THREADS);
	q = make(3);
	block_signal();
	must_be(fipc_mq_notify(q, &by_signal), 0);
	must_be(in_child(child_starts_anew, q), 0);
	must(take_signal(&info, PATIENCE_MS));
}

/* Descriptor and registration at once, made and ended over and over. */
IN_CHILD(test_both_many_times)
{
	int before = open_descriptors();

	for (int i = 0; i < 100; i++) {
		fipc_mq *q;
		siginfo_t info;
		int fd;

		block_signal();
		must_not_fail(fipc_mq_open(&q, "q", NULL, FIPC_CREATE, 0600));
		fd = fipc_mq_fd(q);
		must_not_fail(fd);
		must_be(fipc_mq_notify(q, &by_signal), 0);
		if (i % 2) {
			must_be(fipc_mq_send(q, NULL, 0, 0, FIPC_NOW), 0);
			must(is_readable(fd));
			must(take_signal(&info, PATIENCE_MS));
		}
		must_be(fipc_mq_close(q), 0);
	}
	must_be(open_descriptors(), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fd_of_one_process),
		cmocka_unit_test(test_fd_of_several),
		cmocka_unit_test(test_fd_and_epoll),
		cmocka_unit_test(test_fd_beside_receivers),
		cmocka_unit_test(test_fd_and_fork),
		cmocka_unit_test(test_notify_by_signal),
		cmocka_unit_test(test_notify_when_not_empty),
		cmocka_unit_test(test_notify_as_it_is_emptied),
		cmocka_unit_test(test_notify_and_a_receiver),
		cmocka_unit_test(test_notify_by_thread),
		cmocka_unit_test(test_one_registration),
		cmocka_unit_test(test_notify_refuses),
		cmocka_unit_test(test_notify_and_fork),
		cmocka_unit_test(test_both_many_times),
	};

	test_dir();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
