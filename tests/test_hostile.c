/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A peer who may write an object, and does: at random, or addresses of the victim's own memory, while the victim locks,
 * unlocks, is told of deaths, ends and is killed. It does not crash, and nothing outside of the object changes.
 */
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { CANARIES = 512 };
#define CANARY UINT64_C(0x5a5a5a5a5a5a5a5a)

static void put_canaries(uint64_t *canaries)
{
	for (int i = 0; i < CANARIES; i++)
		canaries[i] = CANARY;
}

static void expect_canaries(const uint64_t *canaries)
{
	for (int i = 0; i < CANARIES; i++)
		must(canaries[i] == CANARY);
}

static uint64_t *heap; /* canaries, too; in private memory */

static void fill_heap(void)
{
	heap = malloc(CANARIES * sizeof(*heap));
	must(heap != NULL);
	put_canaries(heap);
}

/* ---- one field aimed at one place, while the lock is held ---- */

enum place { HEAP, SHARED, LINKS_ONLY, HEAP_TAGGED = LINKS_ONLY, NOWHERE, ITSELF, PLACES };
enum ending { UNLOCKS, UNLOCKS_OLDER_FIRST, LOCKS_AGAIN, THREAD_ENDS, EXITS, IS_KILLED, ENDINGS };

struct scene {
	fipc_mutex older, target, newer; /* locked in this order */
	uint64_t canaries[CANARIES];     /* these can be looked at when the victim is dead */
	enum place place;
	enum ending ending;
	size_t at; /* of target, where 8 bytes are overwritten */
};

static uintptr_t address_of(const struct scene *s)
{
	switch (s->place) {
	case HEAP:
		return (uintptr_t)&heap[CANARIES / 2];
	case HEAP_TAGGED: /* bit 0 of a link: a PI mutex, to the kernel */
		return (uintptr_t)&heap[CANARIES / 2] | 1;
	case SHARED:
		return (uintptr_t)&s->canaries[CANARIES / 2];
	case NOWHERE:
		return 0x100;
	default:
		return (uintptr_t)&s->target + s->at;
	}
}

/* As a peer would, who knows where this process's memory lies. */
static void aim(struct scene *s)
{
	uintptr_t address = address_of(s);

	memcpy((char *)&s->target + s->at, &address, sizeof(address));
}

static void lock_all_and_aim(struct scene *s)
{
	must_be(fipc_mutex_lock(&s->older), 0);
	must_be(fipc_mutex_lock(&s->target), 0);
	must_be(fipc_mutex_lock(&s->newer), 0);
	aim(s);
}

/* Whatever it says of the one that was ruined, the thread has let go of it: and so a second unlock finds nothing. */
static void unlock_target(struct scene *s)
{
	int r = fipc_mutex_unlock(&s->target);

	must(r == 0 || r == -EINVAL);
	r = fipc_mutex_unlock(&s->target);
	must(r == -EPERM || r == -EINVAL);
}

static void unlock_all(struct scene *s)
{
	must_be(fipc_mutex_unlock(s->ending == UNLOCKS_OLDER_FIRST ? &s->older : &s->newer), 0);
	unlock_target(s);
	must_be(fipc_mutex_unlock(s->ending == UNLOCKS_OLDER_FIRST ? &s->newer : &s->older), 0);
}

/* Everything else that a thread can do with it. It may be had, and then is unlocked; it may be anything. */
static void try_everything(struct scene *s)
{
	struct fipc_mutex_info info;

	for (int i = 0; i < 3; i++) {
		int r = i == 0 ? fipc_mutex_trylock(&s->target) : fipc_mutex_lock_until(&s->target, fipc_after_ms(1));

		if (r == FIPC_OWNER_DIED)
			must(fipc_mutex_consistent(&s->target) <= 0);
		if (r >= 0)
			unlock_target(s);
		must(fipc_mutex_revoke(&s->target) <= 0);
		must(fipc_mutex_info(&s->target, &info, sizeof(info)) <= 0);
		aim(s);
	}
}

static void *end_holding(void *argument)
{
	lock_all_and_aim(argument);
	return NULL;
}

static void be_victim(void *argument)
{
	struct scene *s = argument;
	pthread_t thread;

	fill_heap();
	if (s->ending == THREAD_ENDS) {
		must_be(pthread_create(&thread, NULL, end_holding, s), 0);
		must_be(pthread_join(thread, NULL), 0);
	} else {
		lock_all_and_aim(s);
	}
	if (s->ending == IS_KILLED)
		raise(SIGKILL);
	if (s->ending == EXITS)
		exit(0);
	if (s->ending != THREAD_ENDS)
		unlock_all(s);
	if (s->ending == LOCKS_AGAIN)
		try_everything(s);
	expect_canaries(heap);
	free(heap);
}

/* The link to the next older lock lies in bytes 36 to 47, in which of them is a matter of the C library. */
static int cuts_the_list(const struct scene *s)
{
	return s->at + sizeof(uintptr_t) > 36 && s->at < 48;
}

static void expect_lock(fipc_mutex *m, int wanted)
{
	must_be(fipc_mutex_trylock(m), wanted);
	must_be(wanted ? fipc_mutex_consistent(m) : 0, 0);
	must_be(fipc_mutex_unlock(m), 0);
}

static void play(struct scene *s)
{
	int dies = s->ending >= THREAD_ENDS, kernel_walks = s->ending > THREAD_ENDS;

	must_be(fipc_mutex_init(&s->older, 0), 0);
	must_be(fipc_mutex_init(&s->target, 0), 0);
	must_be(fipc_mutex_init(&s->newer, 0), 0);
	must_be(in_child(be_victim, s), s->ending == IS_KILLED ? 128 + SIGKILL : 0);
	expect_canaries(s->canaries);
	expect_lock(&s->newer, dies ? FIPC_OWNER_DIED : 0);
	if (!kernel_walks || !cuts_the_list(s))
		expect_lock(&s->older, dies ? FIPC_OWNER_DIED : 0);
}

static struct scene *new_scene(void)
{
	struct scene *s = share(sizeof(*s));

	put_canaries(s->canaries);
	return s;
}

static void aim_every_field(enum ending ending)
{
	struct scene *s = new_scene();

	s->ending = ending;
	for (s->at = 0; s->at + sizeof(uintptr_t) <= sizeof(fipc_mutex); s->at += 4)
		for (s->place = 0; s->place < (cuts_the_list(s) ? PLACES : LINKS_ONLY); s->place++)
			play(s);
}

IN_CHILD(test_aimed_then_unlocked)
{
	aim_every_field(UNLOCKS);
	aim_every_field(UNLOCKS_OLDER_FIRST);
}

IN_CHILD(test_aimed_then_locked_again)
{
	aim_every_field(LOCKS_AGAIN);
}

IN_CHILD(test_aimed_then_a_thread_ends)
{
	aim_every_field(THREAD_ENDS);
}

IN_CHILD(test_aimed_then_it_exits)
{
	aim_every_field(EXITS);
}

IN_CHILD(test_aimed_then_killed)
{
	aim_every_field(IS_KILLED);
}

/* ---- all of a named object, at random, all the time ---- */

/*
 * An object has 128 bytes: a header, and the mutex. Two threads that both got the lock, thanks to a scribble, are a race, as
 * TSan rightly says: there it is one thread.
 */
enum { WORDS = 16, THREADS = UNDER_TSAN ? 1 : 2, ROUNDS = 24, STEPS = 300 };

struct storm {
	char path[PATH_MAX];
	uint64_t good[WORDS];
	uint64_t canaries[CANARIES];
	fipc_u64 steps;
	fipc_mutex own; /* that no peer touches */
	int kills;      /* the victim goes on until it is killed; else it ends */
	struct gate ready;
};

static uint64_t *map_object(const struct storm *s)
{
	int fd = open(s->path, O_RDWR | O_CLOEXEC);
	void *p = mmap(NULL, WORDS * sizeof(uint64_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	must(fd >= 0 && p != MAP_FAILED);
	close(fd);
	return p;
}

static uint64_t random_word(unsigned *seed)
{
	return (uint64_t)rand_r(seed) << 42 ^ (uint64_t)rand_r(seed) << 21 ^ (uint64_t)rand_r(seed);
}

/* Mostly what belongs there: else nobody would come further than to the first check. */
static uint64_t spoilt(const struct storm *s, int i, unsigned *seed)
{
	switch (rand_r(seed) % 16) {
	case 0:
		return random_word(seed);
	case 1:
		return (uintptr_t)&heap[rand_r(seed) % CANARIES];
	case 2:
		return (uintptr_t)&s->canaries[rand_r(seed) % CANARIES] | 1;
	case 3:
		return s->good[i] ^ UINT64_C(1) << rand_r(seed) % 64;
	case 4:
		return UINT64_C(0xffffffffffffffff);
	default:
		return s->good[i];
	}
}

static void scribble_until_killed(void *argument)
{
	const struct storm *s = argument;
	volatile uint64_t *words = map_object(s);
	unsigned seed = (unsigned)getpid();

	for (gate_open(&s->ready);;) {
		int i = rand_r(&seed) % WORDS;

		words[i] = spoilt(s, i, &seed);
	}
}

static void walk_until_killed(void *argument)
{
	const struct storm *s = argument;

	for (gate_open(&s->ready);;)
		collect(getenv("FIPC_DIR"));
}

/* What it returns is the peer's choice. That no call fails to return is ours; that the own mutex works, too. */
static void step(struct storm *s, fipc_mutex *m, unsigned *seed)
{
	struct fipc_mutex_info info;
	int r;

	switch (rand_r(seed) % 8) {
	case 0:
		r = fipc_mutex_trylock(m);
		break;
	case 1:
		r = fipc_mutex_lock_until(m, fipc_after_ns(rand_r(seed) % 50000));
		break;
	case 2:
	case 3:
		r = fipc_mutex_unlock(m);
		break;
	case 4:
		r = fipc_mutex_consistent(m);
		break;
	case 5:
		r = fipc_mutex_revoke(m);
		break;
	case 6:
		r = fipc_mutex_info(m, &info, sizeof(info));
		break;
	default:
		r = fipc_mutex_lock(&s->own);
		must_not_fail(r);
		must_be(r == FIPC_OWNER_DIED ? fipc_mutex_consistent(&s->own) : 0, 0);
		must_be(fipc_mutex_unlock(&s->own), 0);
	}
	(void)r;
}

struct worker {
	struct storm *storm;
	fipc_mutex *m;
	unsigned seed;
	int last;
};

static void *work(void *argument)
{
	struct worker *w = argument;
	fipc_mutex *again;

	for (int i = 0; i < STEPS || w->storm->kills; i++) {
		step(w->storm, w->m, &w->seed);
		if (i % 32 == 0 && fipc_mutex_open(&again, "a", 0, 0) >= 0)
			must(fipc_mutex_close(again) <= 0);
		fipc_u64_store(&w->storm->steps, fipc_u64_load(&w->storm->steps) + 1);
	}
	w->last = fipc_mutex_trylock(w->m); /* perhaps it ends holding it */
	return NULL;
}

static void live_in_the_storm(void *argument)
{
	struct storm *s = argument;
	struct worker workers[THREADS];
	pthread_t threads[THREADS];
	unsigned seed = (unsigned)getpid();
	fipc_mutex *m = NULL;

	gate_open(&s->ready);
	await(fipc_mutex_open(&m, "a", 0, 0) >= 0); /* some moment it is whole */
	for (int i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){.storm = s, .m = m, .seed = seed + (unsigned)i};
		must_be(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
	}
	for (int i = 0; i < THREADS; i++)
		must_be(pthread_join(threads[i], NULL), 0);
	must(fipc_mutex_close(m) <= 0);
	expect_canaries(heap);
}

static void read_good(struct storm *s)
{
	uint64_t *words = map_object(s);

	memcpy(s->good, words, sizeof(s->good));
	munmap(words, sizeof(s->good));
}

static void write_good(const struct storm *s)
{
	uint64_t *words = map_object(s);

	memcpy(words, s->good, sizeof(s->good));
	munmap(words, sizeof(s->good));
}

static pid_t begins(void (*body)(void *), struct storm *s)
{
	pid_t pid = start(body, s);

	gate_pass(&s->ready);
	return pid;
}

/* Who is killed while he takes it, holding one whose link was scribbled on, leaves it: the kernel does not get there. */
static void revoke_if_lost(fipc_mutex *m)
{
	int r = fipc_mutex_revoke(m);

	must(r == 0 || r == -ESRCH);
}

IN_CHILD(test_random_scribbles)
{
	struct storm *s = share(sizeof(*s));
	const char *dir = fresh_dir();
	fipc_mutex *m = must_open("a", FIPC_CREATE, FIPC_CREATED);
	uint64_t inode = inode_of(dir, "a.mutex");
	pid_t scribbler, walker;

	fill_heap(); /* before the fork: where the scribbler aims, the victim has it too */
	put_canaries(s->canaries);
	must_be(fipc_mutex_init(&s->own, 0), 0);
	snprintf(s->path, sizeof(s->path), "%s/a.mutex", dir);
	read_good(s);
	gate_make(&s->ready);
	scribbler = begins(scribble_until_killed, s);
	walker = begins(walk_until_killed, s);
	for (unsigned i = 0; i < ROUNDS; i++) {
		uint64_t before = fipc_u64_load(&s->steps);
		pid_t victim;

		s->kills = i % 2;
		victim = begins(live_in_the_storm, s);
		if (s->kills) {
			await(fipc_u64_load(&s->steps) > before + i * 10);
			murder(victim);
			revoke_if_lost(&s->own);
		} else {
			must_be(finish(victim), 0);
		}
		expect_canaries(s->canaries);
		must(inode_of(dir, "a.mutex") == inode); /* in use, whatever its bytes say */
	}
	murder(scribbler);
	murder(walker);
	write_good(s); /* the peer is gone: what he spoilt was the object, no more */
	must_be(fipc_mutex_lock(m), 0);
	must_be(fipc_mutex_unlock(m), 0);
	must_be(fipc_mutex_close(m), 0);
	free(heap);
	must_become_clean(dir, 1);
}

/* ---- the size, all the time, under whoever looks ---- */

static void resize_until_killed(void *argument)
{
	static const off_t sizes[] = {0, 1, 63, 64, 72, 128, 4096, INT64_C(1) << 40};
	const struct storm *s = argument;
	int fd = open(s->path, O_RDWR | O_CLOEXEC);
	unsigned seed = 1;

	must(fd >= 0);
	for (gate_open(&s->ready);;) {
		must_be(ftruncate(fd, sizes[(unsigned)rand_r(&seed) % 8]), 0);
		must_be(pwrite(fd, s->good, sizeof(s->good), 0), sizeof(s->good));
	}
}

/* Its users are at the mercy of who may write it (SIGBUS). Those who list and collect are not. */
IN_CHILD(test_truncated_under_a_walk)
{
	struct storm *s = share(sizeof(*s));
	const char *dir = fresh_dir();
	fipc_registry *r;
	pid_t pid;

	must_open("a", FIPC_CREATE, FIPC_CREATED);
	snprintf(s->path, sizeof(s->path), "%s/a.mutex", dir);
	read_good(s);
	((uint32_t *)s->good)[64 / 4 + 2] |= UINT32_C(0x80000000); /* as if somebody slept: the walk then maps it */
	gate_make(&s->ready);
	pid = begins(resize_until_killed, s);
	must_be(fipc_registry_open(&r, dir, 0), 0);
	for (int i = 0; i < 1000; i++)
		must_be(fipc_registry_walk(r, FIPC_WALK_COLLECT, NULL, NULL, NULL), 0);
	fipc_registry_close(r);
	murder(pid);
	must(inode_of(dir, "a.mutex") != 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_aimed_then_unlocked),
		cmocka_unit_test(test_aimed_then_locked_again),
		cmocka_unit_test(test_aimed_then_a_thread_ends),
		cmocka_unit_test(test_aimed_then_it_exits),
		cmocka_unit_test(test_aimed_then_killed),
		cmocka_unit_test(test_random_scribbles),
		cmocka_unit_test(test_truncated_under_a_walk),
	};

	test_dir();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
