/* SPDX-License-Identifier: Apache-2.0 */
/* Deadlocks: found where there is one, told once by fipcd, and never where there is none. */
#include "fipcctl_support.h"
#include "fipcd_support.h"
#include "graph.h"
#include "interface_support.h"

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

enum { MOST = 8 };

/* ---- processes that each hold one thing and want another ---- */

typedef int (*take_fn)(unsigned which);

struct part {
	take_fn has, wants;
	unsigned which_has, which_wants;
};

struct ring { /* shared */
	struct part parts[MOST];
	unsigned n;
	struct gate has, go[MOST];
	_Atomic int64_t closed_ns; /* when the last one was about to want */
	pid_t pids[MOST];
};

static fipc_mutex *mutexes[MOST];
static fipc_rwlock *rwlocks[MOST];

static void open_all(void)
{
	char name[16];
	for (int i = 0; i < MOST; i++) {
		snprintf(name, sizeof(name), "m%d", i);
		must_not_fail(fipc_mutex_open(&mutexes[i], name, FIPC_CREATE, 0600));
		snprintf(name, sizeof(name), "l%d", i);
		must_not_fail(fipc_rwlock_open(&rwlocks[i], name, 2, FIPC_CREATE, 0600));
	}
}

static int locks(unsigned which)
{
	return fipc_mutex_lock(mutexes[which]);
}

static int locks_for_a_while(unsigned which)
{
	return fipc_mutex_lock_until(mutexes[which], fipc_after_ms(PATIENCE_MS));
}

static int reads(unsigned which)
{
	return fipc_rwlock_rdlock(rwlocks[which]);
}

static int writes(unsigned which)
{
	return fipc_rwlock_wrlock(rwlocks[which]);
}

struct place {
	struct ring *ring;
	unsigned i;
};

static void take_part(void *argument)
{
	const struct place *place = argument;
	struct ring *ring = place->ring;
	const struct part *p = &ring->parts[place->i];
	open_all();
	must_not_fail(p->has(p->which_has)); /* whoever had it in the ring before was killed */
	gate_open(&ring->has);
	gate_pass(&ring->go[place->i]);
	ring->closed_ns = now_ns();
	must_not_fail(p->wants(p->which_wants));
	pause();
}

/* Start them, and let them want what they want, one after the other. */
static struct ring *ring_of(const struct part *parts, unsigned n)
{
	struct ring *ring = share(sizeof(*ring));
	ring->n = n;
	memcpy(ring->parts, parts, n * sizeof(*parts));
	gate_make(&ring->has);
	for (unsigned i = 0; i < n; i++) {
		struct place place = {ring, i};
		gate_make(&ring->go[i]);
		ring->pids[i] = start(take_part, &place);
		gate_pass(&ring->has);
	}
	for (unsigned i = 0; i < n; i++) {
		gate_open(&ring->go[i]);
		await(asleep_in_futex(ring->pids[i]));
	}
	return ring;
}

static void ring_ends(struct ring *ring)
{
	for (unsigned i = 0; i < ring->n; i++)
		murder(ring->pids[i]);
	for (unsigned i = 0; i < ring->n; i++)
		gate_free(&ring->go[i]);
	gate_free(&ring->has);
	munmap(ring, sizeof(*ring));
}

static const struct part three[] = {{locks, locks, 0, 1}, {locks, locks, 1, 2}, {locks, locks, 2, 0}};

/* ---- the graph itself ---- */

static struct graph *look(void)
{
	fipc_registry *r;
	struct graph *g;
	must_be(fipc_registry_open(&r, NULL, 0), 0);
	must_be(graph_look(&g, r, NULL, NULL), 0);
	fipc_registry_close(r);
	return g;
}

struct picture {
	size_t waits, deadlocks, length;
	bool possible;
	char text[500];
};

static struct picture picture(void)
{
	struct graph *g = look();
	const struct graph_deadlock *d;
	const struct graph_wait *w;
	struct picture p = {graph_waits(g, &w), graph_deadlocks(g, &d), 0, false, ""};
	if (p.deadlocks > 0) {
		char *text = graph_deadlock_text(d);
		p.length = d->n;
		p.possible = d->possible;
		snprintf(p.text, sizeof(p.text), "%s", text);
		free(text);
	}
	graph_free(g);
	return p;
}

/* These wait so, and of them so many in a circle; or nobody does. */
static struct picture must_find(const struct part *parts, unsigned n, unsigned waits, unsigned in_circle)
{
	struct ring *ring = ring_of(parts, n);
	struct picture p;
	await((p = picture()).waits == waits && p.length == in_circle);
	must_be(p.deadlocks, in_circle > 0);
	ring_ends(ring);
	return p;
}

IN_CHILD(three_over_three_mutexes)
{
	fresh_dir();
	struct picture p = must_find(three, 3, 3, 3);
	must(!p.possible);
	must(!strncmp(p.text, "deadlock: ", 10));
	for (int i = 0; i < 3; i++)
		must(strstr(p.text, (char[]){'m', (char)('0' + i), '.', 0}));
	must_be(picture().waits, 0);
}

IN_CHILD(a_chain_is_no_circle)
{
	static const struct part chain[] = {{locks, locks, 0, 1}, {locks, locks, 1, 2}, {locks, locks, 2, 3}};
	fresh_dir();
	open_all();
	must_be(fipc_mutex_lock(mutexes[3]), 0);
	must_find(chain, 3, 3, 0);
}

IN_CHILD(others_who_wait_for_a_circle_are_not_in_it)
{
	static const struct part parts[] = {
		{locks, locks, 0, 1}, {locks, locks, 1, 0}, {locks, locks, 2, 0}, {locks, locks, 3, 2}};
	fresh_dir();
	must_find(parts, 4, 4, 2);
}

IN_CHILD(with_a_deadline_it_is_possible)
{
	static const struct part parts[] = {{locks, locks, 0, 1}, {locks, locks_for_a_while, 1, 0}};
	fresh_dir();
	must(must_find(parts, 2, 2, 2).possible);
}

IN_CHILD(a_writer_waits_for_readers_and_they_for_him)
{
	static const struct part parts[] = {{reads, locks, 0, 0}, {locks, writes, 0, 0}};
	fresh_dir();
	must_find(parts, 2, 2, 2);
}

IN_CHILD(one_of_two_readers_is_enough)
{
	static const struct part parts[] = {{reads, locks, 0, 1}, {reads, locks, 0, 0}, {locks, writes, 0, 0}};
	fresh_dir();
	open_all();
	must_be(fipc_mutex_lock(mutexes[1]), 0); /* the first of them waits for us, who wait for nobody */
	must_find(parts, 3, 3, 2);
}

IN_CHILD(readers_and_writers_of_two_rwlocks)
{
	static const struct part parts[] = {{writes, reads, 0, 1}, {writes, reads, 1, 0}};
	static const struct part mixed[] = {{reads, writes, 0, 1}, {reads, writes, 1, 0}};
	fresh_dir();
	must_find(parts, 2, 2, 2);
	must_find(mixed, 2, 2, 2);
}

IN_CHILD(who_queues_behind_a_writer_that_waits_for_him)
{
	/* The first reads l0, the second wants to write it and has the gate, the third queues there with m0. */
	static const struct part parts[] = {{reads, locks, 0, 0}, {locks, writes, 1, 0}, {locks, reads, 0, 0}};
	fresh_dir();
	must_find(parts, 3, 3, 3);
}

/* All slots are taken: each reader that lets go is enough. */
IN_CHILD(a_reader_waits_for_any_slot)
{
	static const struct part one_stuck[] = {{reads, locks, 0, 0}, {reads, locks, 0, 1}, {locks, reads, 0, 0}};
	static const struct part both_stuck[] = {{reads, locks, 0, 0}, {reads, locks, 0, 0}, {locks, reads, 0, 0}};
	fresh_dir();
	open_all();
	must_be(fipc_mutex_lock(mutexes[1]), 0);
	must_find(one_stuck, 3, 3, 0);
	must_find(both_stuck, 3, 3, 2);
}

/* ---- none where there is none ---- */

enum { CROWD = 24, SOAK_MS = 1500 };

static _Atomic bool enough;

static void *locks_in_order(void *argument)
{
	unsigned seed = (unsigned)(uintptr_t)argument;
	while (!enough) {
		unsigned first = (unsigned)rand_r(&seed) % (MOST - 1);
		unsigned last = first + 1 + (unsigned)rand_r(&seed) % (MOST - 1 - first);
		bool write = rand_r(&seed) % 2;
		must_be(fipc_mutex_lock(mutexes[first]), 0);
		must_be(fipc_mutex_lock(mutexes[last]), 0);
		must_be(write ? fipc_rwlock_wrlock(rwlocks[first]) : fipc_rwlock_rdlock(rwlocks[first]), 0);
		must_be(fipc_rwlock_rdlock(rwlocks[last]), 0);
		if (rand_r(&seed) % 4 == 0)
			nap_us(rand_r(&seed) % 2000);
		must_be(fipc_rwlock_unlock(rwlocks[last]), 0);
		must_be(fipc_rwlock_unlock(rwlocks[first]), 0);
		must_be(fipc_mutex_unlock(mutexes[last]), 0);
		must_be(fipc_mutex_unlock(mutexes[first]), 0);
	}
	return NULL;
}

static void crowd(void *argument)
{
	pthread_t threads[CROWD];
	const struct gate *end = argument;
	open_all();
	for (uintptr_t i = 0; i < CROWD; i++)
		must_be(pthread_create(&threads[i], NULL, locks_in_order, (void *)(i + (uintptr_t)getpid())), 0);
	gate_pass(end);
	enough = true;
	for (int i = 0; i < CROWD; i++)
		must_be(pthread_join(threads[i], NULL), 0);
}

IN_CHILD(none_is_found_where_all_lock_in_order)
{
	struct gate end;
	pid_t pids[2];
	size_t met = 0, looks = 0;
	fresh_dir();
	gate_make(&end);
	for (int i = 0; i < 2; i++)
		pids[i] = start(crowd, &end);
	for (int64_t until = now_ns() + SOAK_MS * INT64_C(1000000); now_ns() < until; looks++) {
		fipc_registry *r;
		struct graph *g;
		const struct graph_wait *w;
		const struct graph_deadlock *d;
		must_be(fipc_registry_open(&r, NULL, 0), 0);
		must_be(graph_scan(&g, r, NULL, NULL), 0); /* also without a second look */
		met += graph_waits(g, &w);
		must_be(graph_deadlocks(g, &d), 0);
		graph_free(g);
		fipc_registry_close(r);
	}
	must(met > 0 && looks > 1);
	gate_open(&end);
	gate_open(&end);
	for (int i = 0; i < 2; i++)
		must_be(finish(pids[i]), 0);
}

/* ---- fipcd ---- */

static unsigned times_logged(const struct daemon *d, const char *text)
{
	static char log[1 << 16];
	unsigned n = 0;
	FILE *f = fopen(d->log, "re");
	must(f);
	log[fread(log, 1, sizeof(log) - 1, f)] = '\0';
	fclose(f);
	for (const char *at = log; (at = strstr(at, text)); at++)
		n++;
	return n;
}

static void stand_by(void *ready)
{
	open_all();
	gate_open(ready);
	for (;;)
		pause();
}

/* Who dies having them open makes fipcd wake all who sleep there: they sleep again, in the same deadlock. */
static void a_bystander_dies(const struct daemon *d)
{
	struct gate ready;
	gate_make(&ready);
	pid_t bystander = start(stand_by, &ready);
	gate_pass(&ready);
	murder(bystander);
	await(daemon_logged(d, "detached the dead (1) from mutex m1 "));
	gate_free(&ready);
}

static void it_is_told_once_and_soon(void **state)
{
	struct daemon *d = *state;
	struct ring *ring = ring_of(three, 3);
	await(daemon_logged(d, "deadlock: "));
	int64_t took = now_ns() - ring->closed_ns;
	print_message("named after %.0f ms\n", (double)took / 1e6);
	assert_true(took < INT64_C(10000000000));
	must(picture().deadlocks == 1);
	a_bystander_dies(d);
	/* Somebody else waits long: everybody is looked at again. */
	static const struct part two[] = {{locks, locks, 4, 5}, {locks, locks, 5, 4}};
	struct ring *other = ring_of(two, 2);
	await(times_logged(d, "deadlock: ") == 2);
	assert_int_equal(times_logged(d, "m1.mutex"), 1);
	ring_ends(ring);
	ring_ends(other);
}

/* A daemon that comes when it has closed already has heard of nothing. */
static void one_that_was_there_before(void **state)
{
	struct daemon *d = *state;
	daemon_stop(d);
	struct ring *ring = ring_of(three, 3);
	await(picture().deadlocks == 1);
	daemon_start(d);
	await(times_logged(d, "deadlock: ") == 1);
	ring_ends(ring);
}

static void graph_is_served(void **state)
{
	struct daemon *d = *state;
	struct ring *ring = ring_of(three, 3);
	await(picture().deadlocks == 1);
	json_t *reply = call(d, "io.fipc.Manager.Graph", NULL);
	must_be_reply("Graph", reply);
	assert_int_equal(json_array_size(json_object_get(reply, "waits")), 3);
	json_t *deadlock = json_array_get(json_object_get(reply, "deadlocks"), 0);
	assert_non_null(deadlock);
	assert_true(json_is_false(json_object_get(deadlock, "possible")));
	assert_int_equal(json_array_size(json_object_get(deadlock, "waits")), 3);
	json_decref(reply);
	ring_ends(ring);
}

/* The next event of this kind, and there may be others before. */
static json_t *next_of(int fd, struct wire_buffer *b, const char *kind)
{
	for (;;) {
		json_t *event = next_event(fd, b);
		if (!strcmp(string_of(event, "event"), kind))
			return event;
		json_decref(event);
	}
}

static void who_listens_hears_of_it(void **state)
{
	struct daemon *d = *state;
	struct wire_buffer b = {0};
	int fd = listen_to(d, "{}", &b);
	struct ring *ring = ring_of(three, 3);
	json_t *event = next_of(fd, &b, "deadlock");
	must_be_reply("Monitor", event);
	assert_true(json_is_false(json_object_get(event, "possible")));
	assert_int_equal(json_array_size(json_object_get(event, "waits")), 3);
	assert_true(daemon_logged(d, string_of(event, "text")));
	json_decref(event);
	ring_ends(ring);
	wire_buffer_free(&b);
	close(fd);
}

static void who_has_it_and_who_sleeps_is_told(void **state)
{
	struct daemon *d = *state;
	static const struct part parts[] = {{locks, locks, 0, 1}, {locks, locks_for_a_while, 1, 0}};
	struct ring *ring = ring_of(parts, 2);
	await(picture().waits == 2);
	json_t *reply = call(d, "io.fipc.Manager.Get", "{\"name\": \"m0\"}");
	json_t *of = json_object_get(json_object_get(reply, "object"), "state");
	must_be_reply("Get", reply);
	json_t *sleeper = json_array_get(json_object_get(of, "sleepers"), 0);
	assert_int_equal(number_of(of, "owner_pid"), ring->pids[0]);
	assert_int_equal(number_of(of, "owner_uid"), getuid());
	assert_string_not_equal(string_of(of, "owner_comm"), "");
	assert_int_equal(number_of(sleeper, "pid"), ring->pids[1]);
	assert_int_equal(number_of(sleeper, "tid"), ring->pids[1]);
	assert_int_equal(number_of(sleeper, "uid"), getuid());
	assert_string_equal(string_of(sleeper, "kind"), "lock");
	assert_true(json_is_true(json_object_get(sleeper, "timed")));
	assert_int_equal(number_of(of, "held_since_nsec"), number_of(sleeper, "since_nsec"));
	json_decref(reply);
	ring_ends(ring);
}

/* ---- fipcctl ---- */

static void says_the_deadlock(const char *way, const char *dir)
{
	char line[300];
	snprintf(line, sizeof(line), "graph %s --dir %s", way, dir);
	fipcctl(DONE, line);
	must_say(told.out, "PID");
	must_say(told.out, "m1.mutex");
	must_say(told.out, "\ndeadlock: ");
	must_be(lines(told.out), 1 + 3 + 1 + 1);
	snprintf(line, sizeof(line), "graph --dot %s --dir %s", way, dir);
	fipcctl(DONE, line);
	must_say(told.out, "digraph fipc {\n");
	must_say(told.out, "label=\"m2.mutex\", color=red];\n");
	snprintf(line, sizeof(line), "graph --json %s --dir %s", way, dir);
	fipcctl(DONE, line);
	json_t *root = json_loads(told.out, 0, NULL);
	must_be(json_array_size(json_object_get(root, "waits")), 3);
	must_be(json_array_size(json_object_get(root, "deadlocks")), 1);
	json_decref(root);
}

static void the_tool_says_it(void **state)
{
	const struct daemon *d = *state;
	struct ring *ring = ring_of(three, 3);
	char way[200];
	await(picture().deadlocks == 1);
	says_the_deadlock("--direct", d->dir);
	snprintf(way, sizeof(way), "--socket %s", d->socket);
	says_the_deadlock(way, d->dir);
	ring_ends(ring);
	fipcctl(DONE, "graph --direct --dir %s", d->dir);
	assert_string_equal(told.out, "");
	fipcctl(USAGE, "graph --dot --json --dir %s", d->dir);
}

static void show_names_owner_and_sleepers(void **state)
{
	const struct daemon *d = *state;
	struct ring *ring = ring_of(three, 3);
	char words[200];
	await(picture().deadlocks == 1);
	fipcctl(DONE, "show m0 --direct --stack --dir %s", d->dir);
	snprintf(words, sizeof(words), "held by process %d (", (int)ring->pids[0]);
	must_say(told.out, words);
	must_say(told.out, "Owner        user ");
	must_say(told.out, "Held for     at least ");
	must_say(told.out, "SLEEPER");
	squeeze(told.out);
	snprintf(words, sizeof(words), "\n%d %d %d ", (int)ring->pids[2], (int)ring->pids[2], (int)getuid());
	must_say(told.out, words);
	/* The stack, or one line why not. */
	if (!strstr(told.out, "Kernel stack of the owner"))
		assert_int_equal(lines(told.err), 1);
	ring_ends(ring);
}

#define WITH_DAEMON(test) cmocka_unit_test_setup_teardown(test, daemon_set_up, daemon_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(three_over_three_mutexes),
		cmocka_unit_test(a_chain_is_no_circle),
		cmocka_unit_test(others_who_wait_for_a_circle_are_not_in_it),
		cmocka_unit_test(with_a_deadline_it_is_possible),
		cmocka_unit_test(a_writer_waits_for_readers_and_they_for_him),
		cmocka_unit_test(one_of_two_readers_is_enough),
		cmocka_unit_test(readers_and_writers_of_two_rwlocks),
		cmocka_unit_test(who_queues_behind_a_writer_that_waits_for_him),
		cmocka_unit_test(a_reader_waits_for_any_slot),
		cmocka_unit_test(none_is_found_where_all_lock_in_order),
		WITH_DAEMON(it_is_told_once_and_soon),
		WITH_DAEMON(one_that_was_there_before),
		WITH_DAEMON(graph_is_served),
		WITH_DAEMON(who_listens_hears_of_it),
		WITH_DAEMON(who_has_it_and_who_sleeps_is_told),
		WITH_DAEMON(the_tool_says_it),
		WITH_DAEMON(show_names_owner_and_sleepers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
