/* SPDX-License-Identifier: Apache-2.0 */
/* The contract of a message queue, while everybody lives. */
#include "support.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

static fipc_mq *make(uint32_t messages, uint32_t size)
{
	const struct fipc_mq_attr attr = {messages, size};
	fipc_mq *q;

	must_be(fipc_mq_open(&q, "q", &attr, FIPC_CREATE | FIPC_EXCL, 0600), FIPC_CREATED);
	return q;
}

static void send_text(fipc_mq *q, const char *text, unsigned prio)
{
	must_be(fipc_mq_send(q, text, strlen(text) + 1, prio, FIPC_NOW), 0);
}

static void must_receive(fipc_mq *q, const char *text, unsigned prio)
{
	char buf[64];
	unsigned got;

	must_be(fipc_mq_receive(q, buf, sizeof(buf), &got, FIPC_NOW), (long)strlen(text) + 1);
	must_be(strcmp(buf, text), 0);
	must_be(got, prio);
}

static struct fipc_mq_info look(const fipc_mq *q)
{
	struct fipc_mq_info info;

	must_be(fipc_mq_info(q, &info, sizeof(info)), 0);
	return info;
}

/* ---- open ---- */

IN_CHILD(test_open)
{
	const struct fipc_mq_attr other = {3, 5};
	struct fipc_mq_attr attr;
	fipc_mq *q, *again;

	fresh_dir();
	must_be(fipc_mq_open(&q, "q", NULL, 0, 0), -ENOENT);
	must_be(fipc_mq_open(&q, "q", NULL, FIPC_CREATE, 0640), FIPC_CREATED);
	must_be(fipc_mq_open(&again, "/q", &other, FIPC_CREATE, 0600), 0);
	must(again == q);
	must_be(strcmp(fipc_name(q), "q"), 0);
	must_be(fipc_mq_getattr(q, &attr), 0);
	must(attr.max_messages == 10 && attr.max_message_size == 8192);
	must_be(fipc_mq_open(&again, "q", NULL, FIPC_CREATE | FIPC_EXCL, 0600), -EEXIST);
	must_be(fipc_mq_close(q), 0);
	must_be(fipc_mq_close(q), 0);
	must_be(fipc_mq_close(q), -EINVAL);
	must_be(fipc_mq_close(NULL), 0);
	must_be(fipc_mq_open(&q, "q", NULL, 0, 0), -ENOENT);
	must_be(fipc_mq_unlink("q"), -ENOENT);
}

static int try_open(uint32_t messages, uint32_t size)
{
	const struct fipc_mq_attr attr = {messages, size};
	fipc_mq *q;

	return fipc_mq_open(&q, "odd", &attr, FIPC_CREATE, 0600);
}

IN_CHILD(test_open_refuses)
{
	fipc_mq *q;

	fresh_dir();
	must_be(try_open(0, 1), -EINVAL);
	must_be(try_open(1, 0), -EINVAL);
	must_be(try_open(1000001, 1), -EINVAL);
	must_be(try_open(1, (16 << 20) + 1), -EINVAL);
	must_be(try_open(UINT32_MAX, UINT32_MAX), -EINVAL);
	must_be(fipc_mq_open(&q, "odd", NULL, FIPC_CREATE | FIPC_OWNED, 0600), -EINVAL);
	must_be(fipc_mq_open(&q, "odd", NULL, FIPC_CREATE | FIPC_TIMESTAMPS, 0600), -EINVAL);
	must(try_open(1000000, 16 << 20) == -ENOSPC); /* 16 TB */
	must_be(fipc_mq_open(&q, "odd", NULL, 0, 0), -ENOENT);
}

IN_CHILD(test_memory_is_had_at_create)
{
	char path[200];
	struct stat st;

	snprintf(path, sizeof(path), "%s/q.mq", fresh_dir());
	make(100, 10000);
	must_be(stat(path, &st), 0);
	must(st.st_size >= 100 * 10000 && st.st_blocks * 512 >= st.st_size);
	must_be(st.st_mode & 0777, 0600);
}

IN_CHILD(test_readonly)
{
	struct fipc_mq_attr attr;
	char buf[16];
	fipc_mq *q, *r;

	fresh_dir();
	q = make(4, 16);
	send_text(q, "one", 0);
	must_be(fipc_mq_open(&r, "q", NULL, FIPC_READONLY, 0), 0);
	must(r != q);
	must_be(fipc_mq_count(r), 1);
	must_be(fipc_mq_getattr(r, &attr), 0);
	must_be(look(r).messages, 1);
	must_be(fipc_mq_send(r, "x", 1, 0, FIPC_NOW), -EACCES);
	must_be(fipc_mq_receive(r, buf, sizeof(buf), NULL, FIPC_NOW), -EACCES);
	must_be(fipc_mq_fd(r), -EACCES);
	must_be(fipc_mq_notify(r, NULL), -EACCES);
	must_receive(q, "one", 0);
	must_be(fipc_mq_count(r), 0);
	must_be(fipc_mq_close(r), 0);
	must_be(fipc_mq_close(q), 0);
}

/* ---- order ---- */

IN_CHILD(test_priorities)
{
	fipc_mq *q;

	fresh_dir();
	q = make(10, 64);
	send_text(q, "low 1", 0);
	send_text(q, "high 1", UINT32_MAX);
	send_text(q, "low 2", 0);
	send_text(q, "middle", 1u << 31);
	send_text(q, "high 2", UINT32_MAX);
	must_receive(q, "high 1", UINT32_MAX);
	send_text(q, "high 3", UINT32_MAX);
	must_receive(q, "high 2", UINT32_MAX);
	must_receive(q, "high 3", UINT32_MAX);
	must_receive(q, "middle", 1u << 31);
	must_receive(q, "low 1", 0);
	send_text(q, "low 3", 0);
	must_receive(q, "low 2", 0);
	must_receive(q, "low 3", 0);
	must_be(fipc_mq_count(q), 0);
}

/* The same queue, by hand: a list in which the next one is looked for. */
enum { MODEL = 50 };
struct model {
	unsigned n;
	struct {
		unsigned prio;
		uint32_t value;
	} messages[MODEL];
};

static unsigned next_of(const struct model *m)
{
	unsigned best = 0;

	for (unsigned i = 1; i < m->n; i++)
		if (m->messages[i].prio > m->messages[best].prio)
			best = i;
	return best;
}

static void model_send(struct model *m, fipc_mq *q, unsigned prio, uint32_t value)
{
	must_be(fipc_mq_send(q, &value, sizeof(value), prio, FIPC_NOW), m->n == MODEL ? -EAGAIN : 0);
	if (m->n == MODEL)
		return;
	m->messages[m->n].prio = prio;
	m->messages[m->n++].value = value;
}

static void model_receive(struct model *m, fipc_mq *q)
{
	unsigned prio, best = next_of(m);
	uint32_t value;

	if (m->n == 0) {
		must_be(fipc_mq_receive(q, &value, sizeof(value), &prio, FIPC_NOW), -EAGAIN);
		return;
	}
	must_be(fipc_mq_receive(q, &value, sizeof(value), &prio, FIPC_NOW), sizeof(value));
	must_be(prio, m->messages[best].prio);
	must_be(value, m->messages[best].value);
	memmove(&m->messages[best], &m->messages[best + 1], (--m->n - best) * sizeof(*m->messages));
}

/* Runs of one priority and mixtures of several, full and empty and in between. */
IN_CHILD(test_order_at_random)
{
	enum { STEPS = 60000, RUN = 300 };
	struct model m = {0};
	unsigned seed = 1, kinds = 1, bias = 50;
	fipc_mq *q;

	fresh_dir();
	q = make(MODEL, sizeof(uint32_t));
	for (uint32_t i = 0; i < STEPS; i++) {
		if (i % RUN == 0) {
			kinds = 1 + (unsigned)rand_r(&seed) % 4;
			bias = 20 + (unsigned)rand_r(&seed) % 60;
		}
		if ((unsigned)rand_r(&seed) % 100 < bias)
			model_send(&m, q, (unsigned)rand_r(&seed) % kinds, i);
		else
			model_receive(&m, q);
		must_be(fipc_mq_count(q), m.n);
	}
}

/* ---- sizes ---- */

IN_CHILD(test_lengths)
{
	char buf[64] = {0};
	fipc_mq *q;

	fresh_dir();
	q = make(3, 64);
	must_be(fipc_mq_send(q, buf, 65, 0, FIPC_NOW), -EMSGSIZE);
	must_be(fipc_mq_send(q, buf, SIZE_MAX, 0, FIPC_NOW), -EMSGSIZE);
	must_be(fipc_mq_send(q, NULL, 1, 0, FIPC_NOW), -EINVAL);
	must_be(fipc_mq_send(NULL, buf, 1, 0, FIPC_NOW), -EINVAL);
	must_be(fipc_mq_count(q), 0);
	must_be(fipc_mq_send(q, NULL, 0, 7, FIPC_NOW), 0);
	memset(buf, 'x', sizeof(buf));
	must_be(fipc_mq_send(q, buf, 64, 7, FIPC_NOW), 0);
	must_be(fipc_mq_receive(q, buf, 63, NULL, FIPC_NOW), -EMSGSIZE);
	must_be(fipc_mq_receive(q, NULL, 64, NULL, FIPC_NOW), -EINVAL);
	must_be(fipc_mq_receive(NULL, buf, 64, NULL, FIPC_NOW), -EINVAL);
	must_be(fipc_mq_count(NULL), -EINVAL);
	memset(buf, 'y', sizeof(buf));
	must_be(fipc_mq_receive(q, buf, 64, NULL, FIPC_NOW), 0);
	must_be(buf[0], 'y');
	must_be(fipc_mq_receive(q, buf, 64, NULL, FIPC_NOW), 64);
	must(buf[0] == 'x' && buf[63] == 'x');
}

enum { MOST_BYTES = 20000 };

/* From and to odd addresses; by a thread that runs `there`, and receives `here`. */
static void pass(fipc_mq *q, const unsigned char *out, size_t n, const cpu_set_t *there, const cpu_set_t *here)
{
	static unsigned char in[MOST_BYTES + 8];

	must_be(sched_setaffinity(0, sizeof(*there), there), 0);
	for (int i = 0; i < 2; i++)
		must_be(fipc_mq_send(q, out + n % 8 + i, n, 0, FIPC_NOW), 0);
	must_be(sched_setaffinity(0, sizeof(*here), here), 0);
	for (int i = 0; i < 2; i++) {
		memset(in, 0, sizeof(in));
		must_be(fipc_mq_receive(q, in + n % 5, MOST_BYTES, NULL, FIPC_NOW), (long)n);
		must_be(memcmp(in + n % 5, out + n % 8 + i, n), 0);
		must_be(in[n % 5 + n], 0);
	}
}

/* At every length around the cache lines, and where copying changes its way; more sparsely elsewhere. */
static void pass_all(const cpu_set_t *there, const cpu_set_t *here)
{
	static unsigned char out[MOST_BYTES + 8];
	fipc_mq *q;

	fresh_dir();
	q = make(2, MOST_BYTES);
	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = (unsigned char)(i * 7 + i / 251);
	for (size_t n = 0; n <= MOST_BYTES; n += n < 200 || (n > 4000 && n < 4200) || (n > 8150 && n < 8250) ? 1 : 97)
		pass(q, out, n, there, here);
}

IN_CHILD(test_bytes)
{
	cpu_set_t all;

	must_be(sched_getaffinity(0, sizeof(all), &all), 0);
	pass_all(&all, &all);
}

/* Large ones are copied in another way then. */
IN_CHILD(test_bytes_from_another_processor)
{
	cpu_set_t all, sets[2];
	int n = 0;

	must_be(sched_getaffinity(0, sizeof(all), &all), 0);
	for (int cpu = 0; cpu < CPU_SETSIZE && n < 2; cpu++)
		if (CPU_ISSET(cpu, &all)) {
			CPU_ZERO(&sets[n]);
			CPU_SET(cpu, &sets[n++]);
		}
	if (n < 2) {
		skip_aloud("test_bytes_from_another_processor", "there is one processor only");
		_exit(SKIPPED);
	}
	pass_all(&sets[0], &sets[1]);
}

IN_CHILD(test_a_million_of_one_byte)
{
	enum { N = 1000000 };
	fipc_mq *q;
	unsigned char byte;

	fresh_dir();
	q = make(N, 1);
	for (int i = 0; i < N; i++) {
		byte = (unsigned char)i;
		must_be(fipc_mq_send(q, &byte, 1, (unsigned)i % 3, FIPC_NOW), 0);
	}
	must_be(fipc_mq_send(q, &byte, 1, 9, FIPC_NOW), -EAGAIN);
	must_be(fipc_mq_count(q), N);
	for (int prio = 2; prio >= 0; prio--)
		for (int i = prio; i < N; i += 3) {
			unsigned got;

			must_be(fipc_mq_receive(q, &byte, 1, &got, FIPC_NOW), 1);
			must(got == (unsigned)prio && byte == (unsigned char)i);
		}
	must_be(fipc_mq_receive(q, &byte, 1, NULL, FIPC_NOW), -EAGAIN);
}

IN_CHILD(test_the_largest_message)
{
	const size_t size = 16 << 20;
	unsigned char *out = malloc(size), *in = malloc(size);
	fipc_mq *q;

	fresh_dir();
	must(out && in);
	q = make(1, (uint32_t)size);
	for (size_t i = 0; i < size; i++)
		out[i] = (unsigned char)(i >> 8 ^ i);
	must_be(fipc_mq_send(q, out, size, 0, FIPC_NOW), 0);
	must_be(fipc_mq_send(q, out, 0, 0, FIPC_NOW), -EAGAIN);
	must_be(fipc_mq_receive(q, in, size, NULL, FIPC_NOW), (long)size);
	must_be(memcmp(in, out, size), 0);
	free(in);
	free(out);
}

/* ---- waiting ---- */

IN_CHILD(test_deadlines)
{
	int64_t begun = now_ns();
	fipc_mq *q;
	char c = 0;

	fresh_dir();
	q = make(1, 1);
	must_be(fipc_mq_receive(q, &c, 1, NULL, FIPC_NOW), -EAGAIN);
	must_be(fipc_mq_receive(q, &c, 1, NULL, -5), -EAGAIN);
	must_be(fipc_mq_receive(q, &c, 1, NULL, 1), -ETIMEDOUT);
	must_be(fipc_mq_receive(q, &c, 1, NULL, fipc_after_ms(20)), -ETIMEDOUT);
	must(now_ns() - begun >= 20000000);
	must_be(fipc_mq_send(q, "a", 1, 0, fipc_after_ms(20)), 0);
	must_be(fipc_mq_send(q, "b", 1, 0, FIPC_NOW), -EAGAIN);
	must_be(fipc_mq_send(q, "b", 1, 0, fipc_after_ms(20)), -ETIMEDOUT);
	must(now_ns() - begun >= 40000000);
	must_be(fipc_mq_receive(q, &c, 1, NULL, 1), 1);
	must_be(c, 'a');
}

struct waiter {
	fipc_mq *q;
	int sends, result;
	char c;
	_Atomic pid_t tid;
	pthread_t thread;
};

static void *wait_in(void *argument)
{
	struct waiter *w = argument;

	w->tid = (pid_t)syscall(SYS_gettid);
	if (w->sends)
		w->result = fipc_mq_send(w->q, &w->c, 1, 0, FIPC_FOREVER);
	else
		w->result = (int)fipc_mq_receive(w->q, &w->c, 1, NULL, FIPC_FOREVER);
	return NULL;
}

static void begin(struct waiter *w)
{
	must_be(pthread_create(&w->thread, NULL, wait_in, w), 0);
	await(w->tid && asleep_in_futex(w->tid));
}

IN_CHILD(test_receivers_wait)
{
	struct waiter w[3];
	fipc_mq *q;
	int sum = 0;

	fresh_dir();
	q = make(5, 1);
	for (int i = 0; i < 3; i++) {
		w[i] = (struct waiter){.q = q};
		begin(&w[i]);
		await(look(q).receivers == (unsigned)i + 1);
	}
	for (char c = 1; c <= 3; c++)
		must_be(fipc_mq_send(q, &c, 1, 0, FIPC_NOW), 0);
	for (int i = 0; i < 3; i++) {
		must_be(pthread_join(w[i].thread, NULL), 0);
		must_be(w[i].result, 1);
		sum += w[i].c;
	}
	must_be(sum, 6);
	must_be(look(q).receivers, 0);
	must_be(look(q).sent, 3);
	must_be(look(q).received, 3);
}

IN_CHILD(test_senders_wait)
{
	struct waiter w[3];
	fipc_mq *q;
	char c;
	int sum = 0;

	fresh_dir();
	q = make(1, 1);
	must_be(fipc_mq_send(q, "", 1, 0, FIPC_NOW), 0);
	for (int i = 0; i < 3; i++) {
		w[i] = (struct waiter){.q = q, .sends = 1, .c = (char)(i + 1)};
		begin(&w[i]);
		await(look(q).senders == (unsigned)i + 1);
	}
	must_be(fipc_mq_close(q), -EBUSY);
	for (int i = 0; i < 4; i++) {
		must_be(fipc_mq_receive(q, &c, 1, NULL, FIPC_FOREVER), 1);
		sum += c;
	}
	must_be(sum, 6);
	for (int i = 0; i < 3; i++) {
		must_be(pthread_join(w[i].thread, NULL), 0);
		must_be(w[i].result, 0);
	}
	must_be(fipc_mq_close(q), 0);
}

static void on_signal(int signo)
{
	(void)signo;
}

static void *wait_interruptibly(void *argument)
{
	fipc_set_interruptible(1);
	return wait_in(argument);
}

IN_CHILD(test_interrupted)
{
	struct sigaction action = {.sa_handler = on_signal};
	struct waiter w = {0};

	fresh_dir();
	w.q = make(1, 1);
	must_be(sigaction(SIGUSR1, &action, NULL), 0);
	must_be(pthread_create(&w.thread, NULL, wait_interruptibly, &w), 0);
	await(w.tid && asleep_in_futex(w.tid));
	must_be(pthread_kill(w.thread, SIGUSR1), 0);
	must_be(pthread_join(w.thread, NULL), 0);
	must_be(w.result, -EINTR);
	w = (struct waiter){.q = w.q};
	begin(&w);
	must_be(pthread_kill(w.thread, SIGUSR1), 0);
	must_be(fipc_mq_send(w.q, "x", 1, 0, FIPC_NOW), 0);
	must_be(pthread_join(w.thread, NULL), 0);
	must_be(w.result, 1);
}

/* Who is stopped in his sleep holds up nobody but the one message he may have been woken for. */
static void receive_one(void *argument)
{
	char c;

	must_be(fipc_mq_receive(argument, &c, 1, NULL, FIPC_FOREVER), 1);
}

IN_CHILD(test_a_stopped_sleeper)
{
	fipc_mq *q;
	pid_t stopped, other;

	fresh_dir();
	q = make(4, 1);
	stopped = start(receive_one, q);
	await(look(q).receivers == 1);
	other = start(receive_one, q);
	await(look(q).receivers == 2);
	must_be(kill(stopped, SIGSTOP), 0);
	must_be(fipc_mq_send(q, "1", 1, 0, FIPC_NOW), 0);
	must_be(fipc_mq_send(q, "2", 1, 0, FIPC_NOW), 0);
	must_be(finish(other), 0);
	must_be(fipc_mq_count(q), 1);
	must_be(kill(stopped, SIGCONT), 0);
	must_be(finish(stopped), 0);
}

/* ---- processes ---- */

static void child_uses_it(void *argument)
{
	fipc_mq *q = argument, *again;

	must_receive(q, "from the parent", 1);
	send_text(q, "from the child", 2);
	must_be(fipc_mq_open(&again, "q", NULL, 0, 0), 0);
	must(again == q);
	must_be(fipc_mq_close(q), 0);
	must_be(fipc_mq_close(q), 0);
}

IN_CHILD(test_fork)
{
	fipc_mq *q;

	fresh_dir();
	q = make(4, 64);
	send_text(q, "from the parent", 1);
	must_be(in_child(child_uses_it, q), 0);
	must_receive(q, "from the child", 2);
	must_be(fipc_mq_close(q), 0);
}

static int see(const struct fipc_object *o, void *context)
{
	struct fipc_object *seen = context;

	must_be(o->type, FIPC_TYPE_MQ);
	must_be(o->error, 0);
	*seen = *o;
	return 0;
}

IN_CHILD(test_listed)
{
	struct fipc_object o = {0};
	fipc_registry *registry;
	const char *dir = fresh_dir();
	fipc_mq *q = make(7, 100);

	send_text(q, "x", 0);
	must_be(fipc_registry_open(&registry, dir, 0), 0);
	must_be(fipc_registry_walk(registry, 0, NULL, see, &o), 0);
	fipc_registry_close(registry);
	must(o.mq.max_messages == 7 && o.mq.max_message_size == 100 && o.mq.messages == 1);
	must(o.mq.sent == 1 && o.mq.received == 0 && o.mq.notify_pid == 0);
}

/* As it stands in the header. */
IN_CHILD(test_example)
{
	struct job {
		uint64_t id;
		uint32_t pages;
	} job = {1, 2};
	fipc_mq *jobs;
	struct fipc_mq_attr attr = {.max_messages = 100, .max_message_size = sizeof(struct job)};
	ssize_t n;

	fresh_dir();
	must_be(fipc_mq_open(&jobs, "jobs", &attr, FIPC_CREATE, 0600), FIPC_CREATED);
	must_be(fipc_mq_send(jobs, &job, sizeof(job), 0, FIPC_FOREVER), 0);
	job.id = 0;
	n = fipc_mq_receive(jobs, &job, sizeof(job), NULL, fipc_after_ms(1000));
	must(n == sizeof(job) && job.id == 1 && job.pages == 2);
}

/* What an older or newer program was compiled with. */
IN_CHILD(test_info_sizes)
{
	struct fipc_mq_info info;
	unsigned char more[sizeof(info) + 8];
	fipc_mq *q;

	fresh_dir();
	q = make(1, 1);
	memset(&info, 0xff, sizeof(info));
	must_be(fipc_mq_info(q, &info, 8), 0);
	must(info.size == 8 && info.max_messages == 1 && info.max_message_size == UINT32_MAX);
	memset(more, 0xff, sizeof(more));
	must_be(fipc_mq_info(q, (void *)more, sizeof(more)), 0);
	must_be(more[sizeof(info)], 0xff);
	must_be(fipc_mq_info(q, &info, 7), -EINVAL);
	must_be(fipc_mq_info(NULL, &info, sizeof(info)), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_open),
		cmocka_unit_test(test_open_refuses),
		cmocka_unit_test(test_memory_is_had_at_create),
		cmocka_unit_test(test_readonly),
		cmocka_unit_test(test_priorities),
		cmocka_unit_test(test_order_at_random),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_bytes_from_another_processor),
		cmocka_unit_test(test_a_million_of_one_byte),
		cmocka_unit_test(test_the_largest_message),
		cmocka_unit_test(test_deadlines),
		cmocka_unit_test(test_receivers_wait),
		cmocka_unit_test(test_senders_wait),
		cmocka_unit_test(test_interrupted),
		cmocka_unit_test(test_a_stopped_sleeper),
		cmocka_unit_test(test_fork),
		cmocka_unit_test(test_listed),
		cmocka_unit_test(test_example),
		cmocka_unit_test(test_info_sizes),
	};

	test_dir();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
