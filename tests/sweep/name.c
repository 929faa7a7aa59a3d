/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process killed at any point of open, close or unlink leaves nothing that a collection does not remove, keeps nobody
 * from opening the name at once, takes nothing from those who are attached, and never leaves two objects of one name.
 *
 * The victim is killed at the entry and at the exit of each of its system calls; what others can see changes there. And
 * somewhere behind each of them: of the instructions between two calls none but stores into shared memory could matter.
 */
#include "step.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#define NAME "swept"
#define FILE_NAME NAME ".mutex"

enum { FURTHEST = 211, ENOUGH_FAILURES = 3 };

struct scene {
	void (*victim)(void *);
	int peer;         /* another process is attached */
	int victim_first; /* the victim has it open already; the peer joins it */
	int dead_before;  /* the name is there, and all who used it are dead */
	int renames;      /* it takes the name from those who are attached, on purpose */
};

static struct gate victim_ready, victim_go;
static const char *dir;

/* ---- the victims ---- */

static void victim_opens(void *argument)
{
	fipc_mutex *m;

	(void)argument;
	trace_me();
	must_not_fail(fipc_mutex_open(&m, NAME, FIPC_CREATE, 0600));
	trace_over();
}

/* It has a tracker, and knows the directory. */
static void victim_opens_again(void *argument)
{
	fipc_mutex *m;

	must_be(fipc_mutex_close(must_open("other", FIPC_CREATE, FIPC_CREATED)), 0);
	(void)argument;
	trace_me();
	must_not_fail(fipc_mutex_open(&m, NAME, FIPC_CREATE, 0600));
	trace_over();
}

static void victim_closes(void *argument)
{
	fipc_mutex *m = must_open(NAME, FIPC_CREATE, FIPC_CREATED);

	(void)argument;
	gate_open(&victim_ready);
	gate_pass(&victim_go);
	trace_me();
	must_be(fipc_mutex_close(m), 0);
	trace_over();
}

static void victim_unlinks(void *argument)
{
	must_open("other", FIPC_CREATE, FIPC_CREATED);
	(void)argument;
	trace_me();
	must_be(fipc_mutex_unlink(NAME), 0);
	trace_over();
}

static void victim_replaces(void *argument)
{
	fipc_mutex *m;

	(void)argument;
	trace_me();
	must_be(fipc_mutex_open(&m, NAME, FIPC_CREATE | FIPC_REPLACE, 0600), FIPC_CREATED);
	trace_over();
}

/* ---- a run ---- */

struct run {
	pid_t victim;
	enum stop stop;
	struct peer peer;
	uint64_t peer_inode;
};

static void open_and_die(void *argument)
{
	(void)argument;
	must_not_fail(fipc_mutex_lock(must_open(NAME, FIPC_CREATE, FIPC_CREATED)));
	raise(SIGKILL);
}

static void begin(const struct scene *scene, struct run *run)
{
	*run = (struct run){.peer = {.name = NAME, .flags = scene->victim_first ? 0 : FIPC_CREATE,
				     .wanted = scene->victim_first ? 0 : FIPC_CREATED}};
	if (scene->dead_before)
		must_be(in_child(open_and_die, NULL), 128 + SIGKILL);
	if (scene->victim_first) {
		run->victim = start(scene->victim, NULL);
		gate_pass(&victim_ready);
	}
	if (scene->peer) {
		peer_begins(&run->peer);
		run->peer_inode = inode_of(dir, FILE_NAME);
	}
	if (scene->victim_first)
		gate_open(&victim_go);
	else
		run->victim = start(scene->victim, NULL);
	await_traced(run->victim);
}

/* What anybody who comes now does: it works at once, and is shared with who comes next. */
static void open_and_use(void *argument)
{
	const struct run *run = argument;
	struct peer second = {.name = NAME, .holds = 1};
	fipc_mutex *m;
	int r = fipc_mutex_open(&m, NAME, FIPC_CREATE, 0600);

	must(r >= 0);
	if (run->peer_inode)
		must_be(r, 0);
	must_not_fail(fipc_mutex_lock(m));
	must_be(fipc_mutex_unlock(m), 0);
	peer_begins(&second);
	must_be(fipc_mutex_trylock(m), -EBUSY);
	peer_leaves(&second);
	must_be(fipc_mutex_close(m), 0);
}

/* open_first: somebody comes before anybody has collected. */
static void judge(const struct scene *scene, struct run *run, int open_first)
{
	if (scene->renames)
		run->peer_inode = 0;
	if (open_first)
		must_be(in_child(open_and_use, run), 0);
	collect(dir);
	if (!open_first)
		must_be(in_child(open_and_use, run), 0);
	if (run->peer_inode)
		must(inode_of(dir, FILE_NAME) == run->peer_inode);
	if (scene->peer && open_first)
		peer_leaves(&run->peer);
	else if (scene->peer)
		peer_dies(&run->peer);
	must_become_clean(dir, 0);
}

struct where {
	unsigned stops, instructions; /* system call entries and exits, then instructions */
	int open_first;
};

/* In a child of its own, so that a must() that fails ends no more than this. */
struct attempt {
	const struct scene *scene;
	struct where where;
};

static void make_attempt(void *argument)
{
	const struct attempt *a = argument;
	struct run run;

	begin(a->scene, &run);
	for (unsigned i = 0; i < a->where.stops && run.stop == STEPPED; i++)
		run.stop = step_syscall(run.victim);
	if (run.stop == STEPPED)
		run.stop = step_instructions(run.victim, a->where.instructions);
	kill_there(run.victim, run.stop);
	judge(a->scene, &run, a->where.open_first);
}

static unsigned count_stops(const struct scene *scene)
{
	struct run run;
	unsigned n = 0;

	begin(scene, &run);
	for (; run.stop == STEPPED; n++)
		run.stop = step_syscall(run.victim);
	judge(scene, &run, 0);
	return n;
}

static unsigned attempt(const char *name, const struct scene *scene, struct where where)
{
	struct attempt a = {scene, where};

	if (in_child(make_attempt, &a) == 0)
		return 0;
	fprintf(stderr, "%s: killed after %u entries and exits of system calls and %u instructions, then %s\n", name,
		where.stops, where.instructions, where.open_first ? "opened" : "collected");
	dir = fresh_dir(); /* the next one is judged by itself */
	return 1;
}

static void sweep(const char *name, const struct scene *scene)
{
	unsigned failures = 0, points = 0, stops;

	dir = fresh_dir();
	gate_make(&victim_ready);
	gate_make(&victim_go);
	stops = count_stops(scene);
	for (unsigned i = 0; i < stops && failures < ENOUGH_FAILURES; i++, points += 3) {
		failures += attempt(name, scene, (struct where){i, 0, 0});
		failures += attempt(name, scene, (struct where){i, 0, 1});
		failures += attempt(name, scene, (struct where){i, 1 + i * 37 % FURTHEST, i % 4 < 2});
	}
	printf("%s: %u kill points, %u left something or broke somebody\n", name, points, failures);
	fflush(stdout);
	must(stops > 10);
	must_be(failures, 0);
}

#define SCENE(test, ...)                                                                                              \
	IN_CHILD(test)                                                                                                \
	{                                                                                                             \
		const struct scene scene = {__VA_ARGS__};                                                             \
                                                                                                                      \
		sweep(#test, &scene);                                                                                 \
	}

SCENE(create, .victim = victim_opens)
SCENE(create_with_a_tracker, .victim = victim_opens_again)
SCENE(join, .victim = victim_opens, .peer = 1)
SCENE(open_what_the_dead_left, .victim = victim_opens, .dead_before = 1)
SCENE(close_as_the_last, .victim = victim_closes, .victim_first = 1)
SCENE(close_with_others, .victim = victim_closes, .victim_first = 1, .peer = 1)
SCENE(unlink_with_others, .victim = victim_unlinks, .peer = 1, .renames = 1)
SCENE(unlink_what_the_dead_left, .victim = victim_unlinks, .dead_before = 1)
SCENE(replace, .victim = victim_replaces, .peer = 1, .renames = 1)
SCENE(replace_what_the_dead_left, .victim = victim_replaces, .dead_before = 1)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(create),
		cmocka_unit_test(create_with_a_tracker),
		cmocka_unit_test(join),
		cmocka_unit_test(open_what_the_dead_left),
		cmocka_unit_test(close_as_the_last),
		cmocka_unit_test(close_with_others),
		cmocka_unit_test(unlink_with_others),
		cmocka_unit_test(unlink_what_the_dead_left),
		cmocka_unit_test(replace),
		cmocka_unit_test(replace_what_the_dead_left),
	};

	test_dir();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
