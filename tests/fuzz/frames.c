/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzed frames: all of fipcd but its main() and its log, in a thread; each input is what one client sends. Between its
 * messages the client puts calls of its own, each of a method that nobody has: so the replies must come back in order,
 * at most one that ends an answer for each message, and each of them whole.
 */
#include "fuzz.h"
#include "log.h"
#include "manager.h"
#include "message.h"

#include <errno.h>
#include <fcntl.h>
#include <fipc.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { QUIET_MS = 50 }; /* an answer that never ends says nothing for so long */

/* How the names of its own methods begin: other for each input, for libFuzzer sees what is compared, and tries it. */
static char probe[32];

/* Nobody reads it. */
void log_open(void)
{
}

void log_event(int priority, const struct log_fields *fields, const char *format, ...)
{
	(void)priority, (void)fields, (void)format;
}

static struct sockaddr_un address = {.sun_family = AF_UNIX};

static void *be_fipcd(void *ready)
{
	const char *dirs[] = {getenv("FIPC_DIR")};
	const struct manager_options options = {.socket = address.sun_path, .dirs = dirs, .n_dirs = 1};
	struct manager *manager;

	fuzz_must(manager_new(&manager, &options) >= 0);
	pthread_barrier_wait(ready);
	manager_run(manager);
	return NULL;
}

static void make_objects(void)
{
	fipc_mutex *mutex;
	fipc_sem *sem;
	fipc_rwlock *lock;
	fipc_mq *queue;
	fipc_shm *shm;

	fuzz_must(fipc_mutex_open(&mutex, "held", FIPC_CREATE, 0600) >= 0 && fipc_mutex_lock(mutex) == 0);
	fuzz_must(fipc_sem_open(&sem, "tokens", 3, FIPC_CREATE | FIPC_OWNED, 0600) >= 0 && fipc_sem_wait(sem) == 0);
	fuzz_must(fipc_rwlock_open(&lock, "read", 4, FIPC_CREATE, 0600) >= 0 && fipc_rwlock_rdlock(lock) == 0);
	fuzz_must(fipc_mq_open(&queue, "jobs", NULL, FIPC_CREATE, 0600) >= 0);
	fuzz_must(fipc_shm_open(&shm, "bytes", 100, FIPC_CREATE, 0600) >= 0);
}

static unsigned long random_bits(void)
{
	unsigned long bits;

	fuzz_must(getrandom(&bits, sizeof(bits), 0) == sizeof(bits));
	return bits;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	pthread_barrier_t ready;
	pthread_t thread;

	(void)argc, (void)argv;
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", fuzz_directory());
	make_objects();
	fuzz_must(pthread_barrier_init(&ready, NULL, 2) == 0);
	fuzz_must(pthread_create(&thread, NULL, be_fipcd, &ready) == 0);
	pthread_barrier_wait(&ready);
	return 0;
}

/* ---- one client ---- */

struct client {
	int fd;
	struct wire_buffer in, out;
	unsigned probes;  /* answered */
	unsigned replies; /* since the last of them, that ended an answer */
};

static void add_probe(struct client *c, unsigned n)
{
	char text[64];
	int length = snprintf(text, sizeof(text), "{\"method\":\"%s.%u.M\"}", probe, n);

	fuzz_must(wire_buffer_add(&c->out, text, (size_t)length + 1) == 0);
}

/* Each message of the input, then a probe; what is behind the last NUL comes last, and is no message. */
static void prepare(struct client *c, const uint8_t *data, size_t size)
{
	const uint8_t *nul;

	for (unsigned n = 1; (nul = memchr(data, 0, size)); n++) {
		size_t length = (size_t)(nul - data) + 1;

		fuzz_must(wire_buffer_add(&c->out, data, length) == 0);
		add_probe(c, n);
		data += length;
		size -= length;
	}
	fuzz_must(wire_buffer_add(&c->out, data, size) == 0);
}

static unsigned probe_of(const struct wire_reply *reply)
{
	const char *interface = json_string_value(json_object_get(reply->parameters, "interface"));

	return reply->error && interface && strncmp(interface, probe, strlen(probe)) == 0
		       ? (unsigned)atoi(interface + strlen(probe) + 1)
		       : 0;
}

static void check(struct client *c, const char *text, size_t size)
{
	struct wire_reply reply;

	fuzz_must(wire_reply_parse(&reply, text, size) == 0);
	if (probe_of(&reply) > 0) {
		fuzz_must(probe_of(&reply) == ++c->probes);
		c->replies = 0;
	} else {
		fuzz_must(c->replies == 0);
		c->replies += !reply.continues;
	}
	wire_reply_done(&reply);
}

static void take_replies(struct client *c)
{
	const char *text;
	size_t size;
	int r;

	while ((r = wire_buffer_next(&c->in, &text, &size)) == 1)
		check(c, text, size);
	fuzz_must(r == 0);
}

/* Is there more to send? No, too, when the daemon has hung up. */
static bool send_some(struct client *c)
{
	int r = wire_buffer_send(&c->out, c->fd);

	if (r == 0)
		shutdown(c->fd, SHUT_WR);
	return r == -EAGAIN;
}

/* False: the daemon has hung up. */
static bool receive_some(struct client *c)
{
	ssize_t n = wire_buffer_receive(&c->in, c->fd);

	take_replies(c);
	return n > 0 || n == -EAGAIN;
}

static void converse(struct client *c)
{
	bool sends = true;

	for (;;) {
		struct pollfd p = {.fd = c->fd, .events = (short)(POLLIN | (sends ? POLLOUT : 0))};

		if (poll(&p, 1, QUIET_MS) == 0)
			return;
		if (p.revents & POLLOUT)
			sends = send_some(c);
		if ((p.revents & (POLLIN | POLLHUP | POLLERR)) && !receive_some(c))
			return;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct client c = {.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};

	fuzz_must(c.fd >= 0);
	snprintf(probe, sizeof(probe), "probe%lx", random_bits());
	while (connect(c.fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		fuzz_must(errno == EAGAIN || errno == EINTR);
	prepare(&c, data, size);
	converse(&c);
	wire_buffer_free(&c.in);
	wire_buffer_free(&c.out);
	close(c.fd);
	return 0;
}
