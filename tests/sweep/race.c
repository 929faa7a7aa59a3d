/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attach against collect: some processes open and close one name, others collect, any of them is killed at any moment.
 * A live attachment must never lose its name, and nothing may be left at the end. race [<seconds>], 5 unless told.
 */
#include "../support.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { USERS = 3, COLLECTORS = 2, ALL = USERS + COLLECTORS };

static struct {
	fipc_word opened, created, collected, lost;
} *shared;
static const char *dir;

static void add_to(fipc_word *w, unsigned n)
{
	uint32_t seen = fipc_word_load(w);

	while (!fipc_word_cas(w, &seen, seen + n))
		;
}

/* The inode of the file that is mapped here, as the kernel says it. */
static uint64_t mapped_inode(const void *address)
{
	unsigned long long from, to, inode = 0;
	char line[PATH_MAX + 128];
	FILE *f = fopen("/proc/self/maps", "re");

	must(f != NULL);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "%llx-%llx %*s %*s %*s %llu", &from, &to, &inode) == 3 && (uintptr_t)address >= from &&
		    (uintptr_t)address < to)
			break;
	fclose(f);
	return inode;
}

static void use(void *argument)
{
	unsigned seed = (unsigned)getpid();

	(void)argument;
	for (;;) {
		fipc_mutex *m;
		int r = fipc_mutex_open(&m, "raced", FIPC_CREATE, 0600);

		if (r == -EBUSY) /* somebody was stopped in the middle for longer than an open waits */
			continue;
		must_not_fail(r);
		add_to(&shared->opened, 1);
		add_to(&shared->created, r == FIPC_CREATED);
		if (inode_of(dir, "raced.mutex") != mapped_inode(m))
			add_to(&shared->lost, 1);
		nap_us(rand_r(&seed) % 100);
		if (inode_of(dir, "raced.mutex") != mapped_inode(m))
			add_to(&shared->lost, 1);
		r = fipc_mutex_lock(m);
		must_not_fail(r);
		must_be(r == FIPC_OWNER_DIED ? fipc_mutex_consistent(m) : 0, 0);
		must_be(fipc_mutex_unlock(m), 0);
		must_be(fipc_mutex_close(m), 0);
		nap_us(rand_r(&seed) % 400); /* so that now and then nobody is left */
	}
}

static void collect_for_ever(void *argument)
{
	(void)argument;
	for (;;)
		add_to(&shared->collected, (unsigned)collect(dir));
}

static pid_t begin(int i)
{
	return start(i < USERS ? use : collect_for_ever, NULL);
}

int main(int argc, char **argv)
{
	int64_t end = now_ns() + (argc > 1 ? atoi(argv[1]) : 5) * INT64_C(1000000000);
	unsigned seed = 7, kills = 0;
	pid_t pids[ALL];

	dir = test_dir();
	shared = share(sizeof(*shared));
	for (int i = 0; i < ALL; i++)
		pids[i] = begin(i);
	while (now_ns() < end) {
		int first = rand_r(&seed) % ALL, last = rand_r(&seed) % 8 ? first : ALL - 1, status;

		nap_us(rand_r(&seed) % 3000);
		for (int i = first; i <= last; i++) {
			must(!ended(pids[i], &status, 0)); /* nobody ends by himself */
			murder(pids[i]);
			kills++;
		}
		for (int i = first; i <= last; i++)
			pids[i] = begin(i);
	}
	for (int i = 0; i < ALL; i++)
		murder(pids[i]);
	must_become_clean(dir, 0);
	printf("race: %u kills, %u opened, %u created, %u collected, %u live attachments lost their name\n", kills,
	       fipc_word_load(&shared->opened), fipc_word_load(&shared->created), fipc_word_load(&shared->collected),
	       fipc_word_load(&shared->lost));
	return fipc_word_load(&shared->lost) || !fipc_word_load(&shared->opened);
}
