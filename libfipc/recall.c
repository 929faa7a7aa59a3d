/* SPDX-License-Identifier: Apache-2.0 */
#include "recall.h"

#include "clock.h"

#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>

#define IN_ROW 4 /* slots that an object may have: the newest comes first, and the oldest gives way */
#define LEAST_ROWS 16

_Static_assert(sizeof(struct recalled) == 64, "a line of the cache");

void fipc__recall_init(struct recall *r, int root)
{
	struct statfs fs;
	struct stat st;
	*r = (struct recall){.usable = fstatfs(root, &fs) == 0 && fs.f_type == TMPFS_MAGIC && fstat(root, &st) == 0};
	if (r->usable)
		r->device = st.st_dev;
}

void fipc__recall_forget(struct recall *r)
{
	free(r->slots);
	r->slots = NULL;
	r->n = 0;
}

void fipc__recall_make_room(struct recall *r, size_t objects, bool all)
{
	size_t n = LEAST_ROWS * IN_ROW;
	while (n < objects && n < RECALL_OBJECTS_MAX)
		n *= 2;
	if (!r->usable || n == r->n || (n < r->n && (!all || n > r->n / 4)))
		return;
	fipc__recall_forget(r); /* it is found out again in the walk that this is for */
	r->slots = calloc(n, sizeof(*r->slots));
	r->n = r->slots ? n : 0;
}

/* Inodes lie at equal distances if each process makes as many objects; times the golden ratio, they spread evenly. */
static struct recalled *row_of(const struct recall *r, uint64_t object)
{
	uint64_t spread = object * UINT64_C(0x9e3779b97f4a7c15) >> 32;
	return r->slots + (spread * (r->n / IN_ROW) >> 32) * IN_ROW;
}

const struct recalled *fipc__recall_find(const struct recall *r, uint64_t object)
{
	const struct recalled *row = r->slots && object ? row_of(r, object) : NULL;
	for (int i = 0; row && i < IN_ROW; i++)
		if (row[i].object == object)
			return &row[i];
	return NULL;
}

static int64_t changed_ns(const struct stat *st)
{
	return st->st_ctim.tv_sec * INT64_C(1000000000) + st->st_ctim.tv_nsec;
}

bool fipc__recall_holds(const struct recall *r, const struct recalled *what, const struct stat *directory)
{
	return directory->st_ino == what->directory && directory->st_dev == r->device &&
	       changed_ns(directory) == what->changed_ns;
}

void fipc__recall_begin(const struct recall *r, struct recalled *ret, int directory, uint64_t object)
{
	int64_t now = fipc__clock_ns(CLOCK_REALTIME_COARSE);
	struct stat st;
	*ret = (struct recalled){.n = RECALL_ENTRIES + 1};
	if (r && r->slots && fstat(directory, &st) == 0 && st.st_dev == r->device && changed_ns(&st) < now)
		*ret = (struct recalled){.object = object, .directory = st.st_ino, .changed_ns = changed_ns(&st)};
}

void fipc__recall_note(struct recalled *what, uint64_t tracker, int32_t pid)
{
	if (what->n >= RECALL_ENTRIES || tracker == 0) {
		what->n = RECALL_ENTRIES + 1;
		return;
	}
	what->trackers[what->n] = tracker;
	what->pids[what->n++] = pid;
}

void fipc__recall_keep(struct recall *r, const struct recalled *what)
{
	struct recalled *row;
	int i = 0;
	if (what->n == 0 || what->n > RECALL_ENTRIES)
		return;
	row = row_of(r, what->object);
	while (i < IN_ROW - 1 && row[i].object != what->object)
		i++;
	memmove(row + 1, row, (size_t)i * sizeof(*row));
	row[0] = *what;
}
