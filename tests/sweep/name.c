/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process killed at any point of open, close or unlink leaves nothing that a collection does not remove, keeps nobody
 * from opening the name at once, takes nothing from those who are attached, and never leaves two objects of one name.
 *
 * The same of a mutex, whose header is in its file, and of shared memory, whose header lies beside its entries.
 *
 * The victim is killed at the entry and at the exit of each of its system calls; what others can see changes there. And
 * somewhere behind each of them: of the instructions between two calls none but stores into shared memory could matter.
 */
#include "step.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#define NAME "swept"

enum { FURTHEST = 211, ENOUGH_FAILURES = 3 };

/* What it is played with. */
struct prop {
	const char *file;
	int (*open)(void **ret, const char *name, unsigned flags);
	int (*close)(void *object);
	int (*unlink)(const char *name);
	void (*hold)(void *object);
	void (*meet)(void *object); /* what another process holds */
	void (*let_go)(void *object);
};

struct scene {
	const struct prop *prop;
	void (*victim)(void *);
	int peer;         /* another process is attached */
	int victim_first; /* the victim has it open already; the peer joins it */
	int dead_before;  /* the name is there, and all who used it are dead */
	int renames;      /* it takes the name from those who are attached, on purpose */
};

static struct gate victim_ready, victim_go;
static const char *dir;
static const struct prop *prop;

/* ---- mutexes and shared memory ---- */

static int open_mutex(void **ret, const char *name, unsigned flags)
{
	fipc_mutex *m = NULL;
	int r = fipc_mutex_open(&m, name, flags, 0600);

	*ret = m;
	return r;
}

static int close_mutex(void *object)
{
	return fipc_mutex_close(object);
}

static void lock(void *object)
{
	must_not_fail(fipc_mutex_lock(object));
}

static void meet_locked(void *object)
{
	must_be(fipc_mutex_trylock(object), -EBUSY);
}

static void unlock(void *object)
{
	must_be(fipc_mutex_unlock(object), 0);
}

static const struct prop mutex = {NAME ".mutex", open_mutex, close_mutex, fipc_mutex_unlink, lock, meet_locked, unlock};

static int open_shm(void **ret, const char *name, unsigned flags)
{
	fipc_shm *h = NULL;
	int r = fipc_shm_open(&h, name, 100, flags, 0600);

	*ret = h;
	return r;
}

static int close_shm(void *object)
{
	return fipc_shm_close(object);
}

static void write_shm(void *object)
{
	must_be(fipc_shm_size(object), 100);
	memset(fipc_shm_data(object), 5, 100);
}

static void meet_written(void *object)
{
	must_be(((char *)fipc_shm_data(object))[99], 5);
}

static void clear_shm(void *object)
{
	memset(fipc_shm_data(object), 0, 100);
}

static const struct prop shm = {NAME ".shm", open_shm, close_shm, fipc_shm_unlink, write_shm, meet_written, clear_shm};

static void *open_prop(const char *name, unsigned flags, int wanted)
{
	void *object;

	must_be(prop->open(&object, name, flags), wanted);
	return object;
}

/* Another process that uses it. */
struct guest {
	unsigned flags;
	int wanted, holds;
	pid_t pid;
	struct gate ready, leave;
};

static void be_guest(void *argument)
{
	struct guest *g = argument;
	void *object = open_prop(NAME, g->flags, g->wanted);

	if (g->holds)
		prop->hold(object);
	gate_open(&g->ready);
	gate_pass(&g->leave);
	if (!g->holds)
		prop->hold(object);
	prop->let_go(object);
	must_be(prop->close(object), 0);
}

static void guest_begins(struct guest *g)
{
	gate_make(&g->ready);
	gate_make(&g->leave);
	g->pid = start(be_guest, g);
	gate_pass(&g->ready);
}

static void guest_goes(struct guest *g, int dies)
{
	if (dies) {
		murder(g->pid);
	} else {
		gate_open(&g->leave);
		must_be(finish(g->pid), 0);
	}
	gate_free(&g->ready);
	gate_free(&g->leave);
}

/* ---- the victims ---- */

static void victim_opens(void *argument)
{
	void *object;

	(void)argument;
	trace_me();
	must_not_fail(prop->open(&object, NAME, FIPC_CREATE));
	trace_over();
}

/* It has a tracker, and knows the directory. */
static void victim_opens_again(void *argument)
{
	void *object;

	must_be(prop->close(open_prop("other", FIPC_CREATE, FIPC_CREATED)), 0);
	(void)argument;
	trace_me();
	must_not_fail(prop->open(&object, NAME, FIPC_CREATE));
	trace_over();
}

static void victim_closes(void *argument)
{
	void *object = open_prop(NAME, FIPC_CREATE, FIPC_CREATED);

	(void)argument;
	gate_open(&victim_ready);
	gate_pass(&victim_go);
	trace_me();
	must_be(prop->close(object), 0);
	trace_over();
}

static void victim_unlinks(void *argument)
{
	open_prop("other", FIPC_CREATE, FIPC_CREATED);
	(void)argument;
	trace_me();
	must_be(prop->unlink(NAME), 0);
	trace_over();
}

static void victim_replaces(void *argument)
{
	void *object;

	(void)argument;
	trace_me();
	must_be(prop->open(&object, NAME, FIPC_CREATE | FIPC_REPLACE), FIPC_CREATED);
	trace_over();
}

static int fill(void *data, size_t size, void *context)
{
	(void)context;
	memset(data, 1, size);
	return 0;
}

static void victim_fills(void *argument)
{
	fipc_shm *h;

	(void)argument;
	trace_me();
	must_not_fail(fipc_shm_create(&h, NAME, 100, FIPC_CREATE, 0600, fill, NULL));
	trace_over();
}

/* ---- a run ---- */

struct run {
	pid_t victim;
	enum stop stop;
	struct guest peer;
	uint64_t peer_inode;
};

static void open_and_die(void *argument)
{
	(void)argument;
	prop->hold(open_prop(NAME, FIPC_CREATE, FIPC_CREATED));
	raise(SIGKILL);
}

static void begin(const struct scene *scene, struct run *run)
{
	*run = (struct run){.peer = {.flags = scene->victim_first ? 0 : FIPC_CREATE,
				     .wanted = scene->victim_first ? 0 : FIPC_CREATED}};
	if (scene->dead_before)
		must_be(in_child(open_and_die, NULL), 128 + SIGKILL);
	if (scene->victim_first) {
		run->victim = start(scene->victim, NULL);
		gate_pass(&victim_ready);
	}
	if (scene->peer) {
		guest_begins(&run->peer);
		run->peer_inode = inode_of(dir, prop->file);
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
	struct guest second = {.holds = 1};
	void *object;
	int r = prop->open(&object, NAME, FIPC_CREATE);

	must(r >= 0);
	if (run->peer_inode)
		must_be(r, 0);
	prop->hold(object);
	prop->let_go(object);
	guest_begins(&second);
	prop->meet(object);
	guest_goes(&second, 0);
	must_be(prop->close(object), 0);
}

/* What fipcd does at the news of deaths, and no more: nobody looks at the whole directory. */
static void reclaim(void)
{
	char trackers[PATH_MAX];
	fipc_registry *r;
	struct dirent *e;
	DIR *list;

	must_be(fipc_registry_open(&r, dir, 0), 0);
	snprintf(trackers, sizeof(trackers), "%s/" FIPC_TRACKERS, dir);
	list = opendir(trackers);
	while (list && (e = readdir(list)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			must_not_fail(fipc_registry_reclaim(r, e->d_name, NULL, NULL));
	if (list)
		closedir(list);
	fipc_registry_close(r);
}

/* open_first: somebody comes before anybody has collected. */
static void judge(const struct scene *scene, struct run *run, int open_first)
{
	if (scene->renames)
		run->peer_inode = 0;
	if (open_first)
		must_be(in_child(open_and_use, run), 0);
	else if (!scene->peer && scene->prop == &shm) {
		reclaim();
		must_be(is_clean(dir, 0), 1);
	}
	collect(dir);
	if (!open_first)
		must_be(in_child(open_and_use, run), 0);
	if (run->peer_inode)
		must(inode_of(dir, prop->file) == run->peer_inode);
	if (scene->peer)
		guest_goes(&run->peer, !open_first);
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
	prop = scene->prop;
	gate_make(&victim_ready);
	gate_make(&victim_go);
	stops = count_stops(scene);
	for (unsigned i = sweep_first(); i < stops && failures < ENOUGH_FAILURES; i += sweep_every(), points += 3) {
		failures += attempt(name, scene, (struct where){i, 0, 0});
		failures += attempt(name, scene, (struct where){i, 0, 1});
		failures += attempt(name, scene, (struct where){i, 1 + i * 37 % FURTHEST, i % 4 < 2});
	}
	printf("%s: %u kill points, %u left something or broke somebody\n", name, points, failures);
	fflush(stdout);
	must(stops > 10);
	must_be(failures, 0);
}

#define SCENES(test, ...)                                                                                             \
	IN_CHILD(test)                                                                                                \
	{                                                                                                             \
		const struct scene scene = {.prop = &mutex, __VA_ARGS__};                                             \
                                                                                                                      \
		sweep(#test, &scene);                                                                                 \
	}                                                                                                             \
	IN_CHILD(test##_shm)                                                                                          \
	{                                                                                                             \
		const struct scene scene = {.prop = &shm, __VA_ARGS__};                                               \
                                                                                                                      \
		sweep(#test " of shared memory", &scene);                                                             \
	}

SCENES(create, .victim = victim_opens)
SCENES(create_with_a_tracker, .victim = victim_opens_again)
SCENES(join, .victim = victim_opens, .peer = 1)
SCENES(open_what_the_dead_left, .victim = victim_opens, .dead_before = 1)
SCENES(close_as_the_last, .victim = victim_closes, .victim_first = 1)
SCENES(close_with_others, .victim = victim_closes, .victim_first = 1, .peer = 1)
SCENES(unlink_with_others, .victim = victim_unlinks, .peer = 1, .renames = 1)
SCENES(unlink_what_the_dead_left, .victim = victim_unlinks, .dead_before = 1)
SCENES(replace, .victim = victim_replaces, .peer = 1, .renames = 1)
SCENES(replace_what_the_dead_left, .victim = victim_replaces, .dead_before = 1)

IN_CHILD(create_filled_shm)
{
	const struct scene scene = {.prop = &shm, .victim = victim_fills};

	sweep("create_filled", &scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(create),
		cmocka_unit_test(create_shm),
		cmocka_unit_test(create_with_a_tracker),
		cmocka_unit_test(create_with_a_tracker_shm),
		cmocka_unit_test(join),
		cmocka_unit_test(join_shm),
		cmocka_unit_test(open_what_the_dead_left),
		cmocka_unit_test(open_what_the_dead_left_shm),
		cmocka_unit_test(close_as_the_last),
		cmocka_unit_test(close_as_the_last_shm),
		cmocka_unit_test(close_with_others),
		cmocka_unit_test(close_with_others_shm),
		cmocka_unit_test(unlink_with_others),
		cmocka_unit_test(unlink_with_others_shm),
		cmocka_unit_test(unlink_what_the_dead_left),
		cmocka_unit_test(unlink_what_the_dead_left_shm),
		cmocka_unit_test(replace),
		cmocka_unit_test(replace_shm),
		cmocka_unit_test(replace_what_the_dead_left),
		cmocka_unit_test(replace_what_the_dead_left_shm),
		cmocka_unit_test(create_filled_shm),
	};

	test_dir();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
