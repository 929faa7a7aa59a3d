/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose tracking directory is trusted: one that was named explicitly, or else root's and the caller's own. And who the
 * caller is, where users have no number.
 */
#include "root.h"
#include "support.h"

#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { ALICE = 1001, NOBODY = 65534 };

static char place[PATH_MAX];

/* A directory of this user, with one of trackers in it. */
static void make_place(const char *name, uid_t owner, uid_t owner_of_trackers)
{
	char trackers[PATH_MAX + sizeof(FIPC_TRACKERS) + 1];

	snprintf(place, sizeof(place), "%s/%s", test_dir(), name);
	must_be(mkdir(place, 0755), 0);
	snprintf(trackers, sizeof(trackers), "%s/%s", place, FIPC_TRACKERS);
	must_be(mkdir(trackers, 0755), 0);
	must_be(chown(trackers, owner_of_trackers, (gid_t)-1), 0);
	must_be(chown(place, owner, (gid_t)-1), 0);
}

/* 0, or an error of the first call that has one. */
static int try_place(bool explicitly)
{
	const struct root_choice choice = {place, explicitly};
	int trackers, trusted = fipc__root_trust(&choice), fd = fipc__root_open(&choice, false);

	must_be(fd < 0 ? fd : 0, trusted);
	if (fd < 0)
		return fd;
	trackers = fipc__root_open_trackers(fd, explicitly, false);
	close(fd);
	if (trackers >= 0)
		close(trackers);
	return trackers < 0 ? trackers : 0;
}

IN_CHILD(test_own)
{
	make_place("own", geteuid(), geteuid());
	must_be(try_place(true), 0);
	must_be(try_place(false), 0);
}

IN_CHILD(test_of_others)
{
	if (geteuid() != 0) {
		skip_aloud("test_of_others", "needs root");
		_exit(SKIPPED);
	}
	make_place("other", ALICE, 0);
	must_be(try_place(true), 0);
	must_be(try_place(false), -EPERM);
	make_place("trackers", 0, ALICE);
	must_be(try_place(true), 0);
	must_be(try_place(false), -EPERM);
}

IN_CHILD(test_none)
{
	const struct root_choice choice = {place, false};

	snprintf(place, sizeof(place), "%s/none", test_dir());
	must_be(try_place(false), -ENOENT);
	must_be(symlink("/dev/shm", place), 0);
	must_be(fipc__root_trust(&choice), -ENOTDIR); /* anybody could have put it there */
	must(fipc__root_open(&choice, false) < 0);
}

static int all_have_numbers(void)
{
	unsigned long from, to, count;
	FILE *f = fopen("/proc/self/uid_map", "re");
	int n = f ? fscanf(f, "%lu %lu %lu", &from, &to, &count) : 0;

	if (f)
		fclose(f);
	return n == 3 && from == 0 && to == 0 && count == UINT32_MAX;
}

/* Whom the kernel calls 65534 may be anybody, unless all have numbers: then it is one user, as good as any. */
IN_CHILD(test_nobody)
{
	if (geteuid() != 0) {
		skip_aloud("test_nobody", "needs root");
		_exit(SKIPPED);
	}
	must(fipc__uid_trusted(0));
	must(!fipc__uid_trusted(NOBODY));
	must_be(seteuid(NOBODY), 0);
	must(fipc__uid_trusted(0));
	must_be(fipc__uid_trusted(NOBODY), all_have_numbers());
	must_be(seteuid(0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_own),
		cmocka_unit_test(test_of_others),
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_nobody),
	};

	test_dir();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
