/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a registry remembers of the directories of entries: only what is still so, and whatever comes or goes is seen at
 * the next look.
 */
#include "recall.h"
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { OBJECT = 77, TRACKER = 5, PID = 42, SOME = 100 };

static struct recall recall;
static int directory;

static struct stat stat_now(void)
{
	struct stat st;

	must_be(fstat(directory, &st), 0);
	return st;
}

static void make_name(const char *name)
{
	int fd = openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	must(fd >= 0);
	close(fd);
}

static void set_up(void)
{
	directory = open(test_dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	must(directory >= 0);
	fipc__recall_init(&recall, directory);
	must(recall.usable);
	fipc__recall_make_room(&recall, SOME, true);
}

static void tear_down(void)
{
	fipc__recall_forget(&recall);
	close(directory);
}

/* A look that finds so many entries, and then the end. */
static int looked(uint64_t object, int entries)
{
	struct recalled what;

	fipc__recall_begin(&recall, &what, directory, object);
	for (int i = 0; i < entries; i++)
		fipc__recall_note(&what, (uint64_t)(TRACKER + i), PID + i);
	fipc__recall_keep(&recall, &what);
	return fipc__recall_find(&recall, object) != NULL;
}

static int holds(uint64_t object)
{
	const struct stat st = stat_now();
	const struct recalled *what = fipc__recall_find(&recall, object);

	return what && fipc__recall_holds(&recall, what, &st);
}

IN_CHILD(what_was_found_is_remembered)
{
	const struct recalled *what;

	set_up();
	must(!fipc__recall_find(&recall, OBJECT));
	await(looked(OBJECT, 2)); /* as soon as the clock has gone on */
	what = fipc__recall_find(&recall, OBJECT);
	must(what->n == 2);
	must(what->trackers[1] == TRACKER + 1);
	must_be(what->pids[1], PID + 1);
	must(holds(OBJECT));
	must(!fipc__recall_find(&recall, OBJECT + 1));
	tear_down();
}

/* Nobody, more than there is room for, or what is no entry. */
IN_CHILD(what_cannot_be_remembered_is_not)
{
	struct recalled what;

	set_up();
	await(looked(OBJECT, 1));
	must(!looked(OBJECT + 1, 0));
	must(!looked(OBJECT + 2, RECALL_ENTRIES + 1));
	must(looked(OBJECT + 3, RECALL_ENTRIES));
	fipc__recall_begin(&recall, &what, directory, OBJECT + 4);
	fipc__recall_note(&what, TRACKER, PID);
	fipc__recall_note(&what, 0, 0);
	fipc__recall_keep(&recall, &what);
	must(!fipc__recall_find(&recall, OBJECT + 4));
	fipc__recall_begin(NULL, &what, directory, OBJECT + 5);
	fipc__recall_note(&what, TRACKER, PID);
	fipc__recall_keep(&recall, &what);
	must(!fipc__recall_find(&recall, OBJECT + 5));
	tear_down();
}

/* However soon after the look it happens. */
IN_CHILD(no_change_is_missed)
{
	enum { TIMES = 5000 };

	set_up();
	for (int i = 0; i < TIMES; i++) {
		looked(OBJECT, 1);
		if (i % 2 == 0)
			make_name("entry");
		else
			must_be(unlinkat(directory, "entry", 0), 0);
		must(!holds(OBJECT));
	}
	tear_down();
}

/* Of more objects than there is room for some are forgotten, and none is taken for another. */
IN_CHILD(the_latest_are_remembered)
{
	size_t kept = 0;

	set_up();
	await(looked(OBJECT, 1));
	for (uint64_t object = 1; object <= 10 * SOME; object++) {
		const struct recalled *what;

		must(looked(object, 1));
		what = fipc__recall_find(&recall, object);
		must(what->object == object);
	}
	for (uint64_t object = 1; object <= 10 * SOME; object++)
		kept += fipc__recall_find(&recall, object) != NULL;
	must(kept == recall.n);
	tear_down();
}

IN_CHILD(room_follows_the_number_of_objects)
{
	size_t n;

	set_up();
	n = recall.n;
	must(n >= SOME && n < 4 * SOME);
	fipc__recall_make_room(&recall, 1, false); /* of some of them */
	must(recall.n == n);
	fipc__recall_make_room(&recall, 16 * SOME, true);
	must(recall.n == 16 * n);
	fipc__recall_make_room(&recall, 15 * SOME, true);
	must(recall.n == 16 * n);
	fipc__recall_make_room(&recall, 1, true);
	must(recall.n > 0 && recall.n < n);
	fipc__recall_make_room(&recall, SIZE_MAX, true);
	must(recall.n == RECALL_OBJECTS_MAX);
	tear_down();
}

/* Whose clock and grain are not known. */
IN_CHILD(elsewhere_nothing_is_remembered)
{
	int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	must(proc >= 0);
	fipc__recall_init(&recall, proc);
	must(!recall.usable);
	fipc__recall_make_room(&recall, SOME, true);
	must(recall.n == 0);
	set_up();
	recall.device++;
	must(!looked(OBJECT, 1));
	tear_down();
	close(proc);
}

/* ---- walks of one registry ---- */

static fipc_registry *registry;
static int opened; /* inotify: of the directory of b */

struct users {
	unsigned alive, dead;
};

static int count_users(const struct fipc_object *object, void *context)
{
	if (strcmp(object->name, "b") == 0)
		*(struct users *)context = (struct users){object->n_alive, object->n_dead};
	must_be(object->n_attachments, object->n_alive + object->n_dead);
	return 0;
}

static struct users users_of_b(void)
{
	struct users users = {0};

	must_be(fipc_registry_walk(registry, 0, NULL, count_users, &users), 0);
	return users;
}

/* Another process has a and b: at the first it is asked whether it lives, and so need not be asked at the second. */
static void have_both(void *argument)
{
	fipc_mutex *a, *b;

	must(fipc_mutex_open(&a, "a", FIPC_CREATE, 0600) >= 0);
	must(fipc_mutex_open(&b, "b", FIPC_CREATE, 0600) >= 0);
	gate_open(argument);
	for (;;)
		pause();
}

static pid_t start_user(void)
{
	struct gate ready;
	pid_t pid;

	gate_make(&ready);
	pid = start(have_both, &ready);
	gate_pass(&ready);
	gate_free(&ready);
	return pid;
}

static int was_opened(void)
{
	char events[4096];

	return read(opened, events, sizeof(events)) > 0;
}

static int walks_without_opening(void)
{
	must_be(users_of_b().alive, 1);
	return !was_opened();
}

IN_CHILD(walks_see_who_comes_and_goes)
{
	char pids[PATH_MAX];
	pid_t first = start_user(), second;

	must_be(fipc_registry_open(&registry, test_dir(), 0), 0);
	opened = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	snprintf(pids, sizeof(pids), "%s/b.mutex.pids", test_dir());
	must(inotify_add_watch(opened, pids, IN_OPEN) >= 0);
	for (int i = 0; i < 20; i++) {
		await(walks_without_opening());
		second = start_user();
		must_be(users_of_b().alive, 2);
		must(was_opened());
		must_be(users_of_b().alive, 2);
		murder(second);
		must_be(users_of_b().alive, 1);
		must_be(fipc_registry_walk(registry, FIPC_WALK_COLLECT, NULL, NULL, NULL), 0);
	}
	murder(first);
	must_be(users_of_b().alive, 0);
	must_be(users_of_b().dead, 1);
	must_be(fipc_registry_walk(registry, FIPC_WALK_COLLECT, NULL, NULL, NULL), 0);
	fipc_registry_close(registry);
	close(opened);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_found_is_remembered),
		cmocka_unit_test(what_cannot_be_remembered_is_not),
		cmocka_unit_test(no_change_is_missed),
		cmocka_unit_test(the_latest_are_remembered),
		cmocka_unit_test(room_follows_the_number_of_objects),
		cmocka_unit_test(elsewhere_nothing_is_remembered),
		cmocka_unit_test(walks_see_who_comes_and_goes),
	};

	test_dir();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
