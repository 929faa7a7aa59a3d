/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes of two libcs on one mutex, and what depends on the libc in each of them. This program only directs; who
 * locks is partner.c. PARTNER_GLIBC and, where there is a musl-gcc, PARTNER_MUSL are the paths of its two builds.
 */
#include "partner.h"

#include "../support.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

enum { GLIBC, MUSL, LIBCS };

static const char *const partners[LIBCS] = {
	PARTNER_GLIBC,
#ifdef PARTNER_MUSL
	PARTNER_MUSL,
#endif
};
#define HAVE_MUSL (partners[MUSL] != NULL)

static void skip_without_musl(void)
{
	if (HAVE_MUSL)
		return;
	skip_aloud("musl", "no musl-gcc was found when this was built (Debian: musl-tools)");
	skip();
}

/* ---- partners ---- */

struct partner {
	const char *path, *role, *file;
	int orders[2], answers[2]; /* pipes: its standard input and output. None if it has no file */
	pid_t pid;
};

static void become(void *argument)
{
	const struct partner *p = argument;

	if (p->file) {
		must_not_fail(dup2(p->orders[0], STDIN_FILENO));
		must_not_fail(dup2(p->answers[1], STDOUT_FILENO));
	}
	execl(p->path, p->path, p->role, p->file, (char *)NULL);
	must_fail(p->path, 0, "exec", 0);
}

static void engage(struct partner *p, int libc, const char *role, const char *file)
{
	*p = (struct partner){.path = partners[libc], .role = role, .file = file};
	must_be(pipe2(p->orders, O_CLOEXEC), 0);
	must_be(pipe2(p->answers, O_CLOEXEC), 0);
	p->pid = start(become, p);
	close(p->orders[0]);
	close(p->answers[1]);
}

static void shoot(struct partner *p)
{
	murder(p->pid);
	close(p->orders[1]);
	close(p->answers[0]);
}

/* It ends by itself when there are no more orders. */
static void thank(struct partner *p)
{
	close(p->orders[1]);
	must_be(finish(p->pid), 0);
	close(p->answers[0]);
}

static void order(const struct partner *p, char what)
{
	must_be(write(p->orders[1], &what, 1), 1);
}

static int answer(const struct partner *p)
{
	struct pollfd ready = {.fd = p->answers[0], .events = POLLIN};
	int r;

	must_be(poll(&ready, 1, PATIENCE_MS), 1);
	must_be(read(p->answers[0], &r, sizeof(r)), sizeof(r));
	return r;
}

static int ask(const struct partner *p, char what)
{
	order(p, what);
	return answer(p);
}

/* Has what it has been waiting for: told of a death it mends, and lets go. */
static void let_go(const struct partner *p, int told)
{
	must_not_fail(told);
	if (told == FIPC_OWNER_DIED)
		must_be(ask(p, ORDER_CONSISTENT), 0);
	must_be(ask(p, ORDER_UNLOCK), 0);
}

/* A file of zeros; the first partner makes a mutex of it. */
static struct arena *open_arena(char path[static PATH_MAX])
{
	struct arena *arena;
	int fd;

	snprintf(path, PATH_MAX, "%s/arena.XXXXXX", test_dir());
	fd = mkostemp(path, O_CLOEXEC);
	must(fd >= 0);
	must_be(ftruncate(fd, sizeof(*arena)), 0);
	arena = mmap(NULL, sizeof(*arena), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	must(arena != MAP_FAILED);
	close(fd);
	return arena;
}

static void close_arena(struct arena *arena, const char *path)
{
	munmap(arena, sizeof(*arena));
	unlink(path);
}

/* ---- three on one mutex, and one of them dies ---- */

enum { ROUNDS = 24, DELAY = 100000 };

struct scene {
	struct arena *arena;
	struct partner holder, waiter, last; /* the last sleeps behind the waiter */
	unsigned delay;
};

static void holder_dies(struct scene *s)
{
	shoot(&s->holder);
	must_be(answer(&s->waiter), FIPC_OWNER_DIED);
	let_go(&s->waiter, FIPC_OWNER_DIED);
	thank(&s->waiter);
	must_be(answer(&s->last), 0);
	let_go(&s->last, 0);
}

static void waiter_dies(struct scene *s)
{
	shoot(&s->waiter);
	must_be(ask(&s->holder, ORDER_UNLOCK), 0);
	thank(&s->holder);
	must_be(answer(&s->last), 0);
	let_go(&s->last, 0);
}

/* About when it is woken: still asleep, on its way, or inside already. */
static void woken_dies(struct scene *s)
{
	order(&s->holder, ORDER_UNLOCK);
	for (unsigned i = s->delay; i > 0; i--)
		__asm__ volatile("");
	shoot(&s->waiter);
	must_be(answer(&s->holder), 0);
	thank(&s->holder);
	let_go(&s->last, answer(&s->last));
}

static void set(struct scene *s, int round, const char *file)
{
	/* All eight castings. */
	engage(&s->holder, round & 1, "obey", file);
	must_be(ask(&s->holder, ORDER_LOCK), 0);
	engage(&s->waiter, round >> 1 & 1, "obey", file);
	order(&s->waiter, ORDER_LOCK);
	await(sleepers(&s->arena->m) == 1);
	engage(&s->last, round >> 2 & 1, "obey", file);
	order(&s->last, ORDER_LOCK);
	await(sleepers(&s->arena->m) == 2);
}

static void play(void (*act)(struct scene *))
{
	unsigned seed = 1;

	skip_without_musl();
	for (int round = 0; round < ROUNDS; round++) {
		char path[PATH_MAX];
		struct scene s = {.arena = open_arena(path), .delay = rand_r(&seed) % DELAY};

		set(&s, round, path);
		act(&s);
		thank(&s.last);
		must_be(fresh_trylock(&s.arena->m), 0);
		close_arena(s.arena, path);
	}
}

static void test_holder_dies(void **state)
{
	(void)state;
	play(holder_dies);
}

static void test_waiter_dies(void **state)
{
	(void)state;
	play(waiter_dies);
}

static void test_woken_dies(void **state)
{
	(void)state;
	play(woken_dies);
}

/* ---- four who work, killed at random ---- */

enum { WORKERS = 4, MURDERS = 300 };

static uint64_t done_by(const struct arena *arena, int libc)
{
	return fipc_u64_load(&arena->done[libc]);
}

/* Nobody is stranded: both libcs get on. */
static void must_get_on(const struct arena *arena)
{
	for (int libc = 0; libc < LIBCS; libc++) {
		uint64_t before = done_by(arena, libc);

		await(done_by(arena, libc) > before);
	}
}

static void test_killed_at_random(void **state)
{
	struct partner workers[WORKERS];
	struct arena *arena;
	char path[PATH_MAX];
	unsigned seed = 1;

	(void)state;
	skip_without_musl();
	arena = open_arena(path);
	for (int i = 0; i < WORKERS; i++)
		engage(&workers[i], i % LIBCS, "work", path);
	must_get_on(arena);
	for (int n = 0; n < MURDERS; n++) {
		int i = rand_r(&seed) % WORKERS;

		nap_us(rand_r(&seed) % 3000);
		shoot(&workers[i]);
		must_get_on(arena);
		engage(&workers[i], i % LIBCS, "work", path);
	}
	for (int i = 0; i < WORKERS; i++)
		shoot(&workers[i]);
	print_message("%d killed, %u of them inside; glibc had it %llu times, musl %llu\n", MURDERS,
		      fipc_word_load(&arena->deaths), (unsigned long long)done_by(arena, GLIBC),
		      (unsigned long long)done_by(arena, MUSL));
	assert_int_equal(fipc_word_load(&arena->violations), 0);
	assert_true(fresh_trylock(&arena->m) >= 0);
	close_arena(arena, path);
}

/* ---- exec by a thread that is not the leader ---- */

/*
 * The kernel gives the thread the leader's TID before it looks at the robust list, so what it held stays held, by a TID
 * that is nobody's any more. A process of the other libc sets that right.
 */
static void exec_loses_the_lock(int libc)
{
	struct partner gone, other;
	struct arena *arena;
	char path[PATH_MAX];

	skip_without_musl();
	arena = open_arena(path);
	engage(&gone, libc, "exec", path);
	must_be(ask(&gone, ORDER_UNLOCK), -EPERM); /* from here on it has been an exec ago */
	engage(&other, !libc, "obey", path);
	assert_int_equal(state_of(&arena->m), FIPC_MUTEX_HELD);
	order(&other, ORDER_LOCK);
	await(sleepers(&arena->m) == 1);
	must_be(ask(&gone, ORDER_REVOKE), 0);
	must_be(answer(&other), FIPC_OWNER_DIED);
	let_go(&other, FIPC_OWNER_DIED);
	must_be(ask(&gone, ORDER_LOCK), 0);
	let_go(&gone, 0);
	thank(&gone);
	thank(&other);
	close_arena(arena, path);
}

static void test_exec_glibc(void **state)
{
	(void)state;
	exec_loses_the_lock(GLIBC);
}

static void test_exec_musl(void **state)
{
	(void)state;
	exec_loses_the_lock(MUSL);
}

/* ---- each libc by itself: roles that are tests ---- */

static void play_alone(int libc, const char *role)
{
	struct partner p = {.path = partners[libc], .role = role};
	int status;

	if (libc == MUSL)
		skip_without_musl();
	test_dir(); /* names that a role opens go there */
	p.pid = start(become, &p);
	status = finish(p.pid);
	if (status == SKIPPED) {
		skip_aloud(role, "this libc has no such function");
		skip();
	}
	assert_int_equal(status, 0);
}

#define ALONE(test, role)                                                                                             \
	static void test##_glibc(void **state)                                                                        \
	{                                                                                                             \
		(void)state;                                                                                          \
		play_alone(GLIBC, role);                                                                              \
	}                                                                                                             \
	static void test##_musl(void **state)                                                                         \
	{                                                                                                             \
		(void)state;                                                                                          \
		play_alone(MUSL, role);                                                                               \
	}

ALONE(test_mixed_with_pthreads, "mix")
ALONE(test_thread_ends_with_scribbled_links, "scribble")
ALONE(test_fork_while_opening, "fork")
ALONE(test_fork_without_handlers, "_Fork")
ALONE(test_clone_without_libc, "clone")

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_holder_dies),
		cmocka_unit_test(test_waiter_dies),
		cmocka_unit_test(test_woken_dies),
		cmocka_unit_test(test_killed_at_random),
		cmocka_unit_test(test_exec_glibc),
		cmocka_unit_test(test_exec_musl),
		cmocka_unit_test(test_mixed_with_pthreads_glibc),
		cmocka_unit_test(test_mixed_with_pthreads_musl),
		cmocka_unit_test(test_thread_ends_with_scribbled_links_glibc),
		cmocka_unit_test(test_thread_ends_with_scribbled_links_musl),
		cmocka_unit_test(test_fork_while_opening_glibc),
		cmocka_unit_test(test_fork_while_opening_musl),
		cmocka_unit_test(test_fork_without_handlers_glibc),
		cmocka_unit_test(test_fork_without_handlers_musl),
		cmocka_unit_test(test_clone_without_libc_glibc),
		cmocka_unit_test(test_clone_without_libc_musl),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
