/* SPDX-License-Identifier: Apache-2.0 */
#include "tracker.h"

#include "fork.h"
#include "name.h"
#include "room.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MAKE_TRIES 100
#define TRACKER_MODE 0644 /* everybody may ask for its lock */

/* ---- of this process ---- */

/* Fields 2 and 22 of proc(5)'s stat: name, which may hold anything, and start. Left alone when there is no /proc. */
static void read_stat(char comm[64], unsigned long long *start)
{
	char text[1024], *open, *close;
	FILE *f = fopen("/proc/self/stat", "re");
	size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;
	if (f)
		fclose(f);
	text[n] = '\0';
	open = strchr(text, '(');
	close = strrchr(text, ')');
	if (!open || !close)
		return;
	*close = '\0';
	snprintf(comm, 64, "%s", open + 1);
	for (char *p = comm; *p; p++)
		if (*p < ' ' || *p > '~')
			*p = '?';
	sscanf(close + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu", start);
}

static void write_text(struct tracker_page *page)
{
	char comm[64] = "?";
	unsigned long long start = 0;
	read_stat(comm, &start);
	snprintf(page->text, sizeof(page->text),
		 "fipc tracker 1\npid: %d\nstart: %llu\npidns: %" PRIu32 "\nuid: %u\ncomm: %s\n", (int)getpid(), start,
		 fipc__process_pidns(), (unsigned)geteuid(), comm);
}

static int lock_and_map(int fd, struct tracker_page **ret)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	void *p;
	int r;
	if (fcntl(fd, F_OFD_SETLK, &lock) < 0)
		return -errno;
	r = fipc__make_room(fd, 0, sizeof(**ret));
	if (r < 0)
		return r;
	p = mmap(NULL, sizeof(**ret), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	if (madvise(p, sizeof(**ret), MADV_DONTFORK) < 0) {
		int saved = -errno;
		munmap(p, sizeof(**ret));
		return saved;
	}
	*ret = p;
	return 0;
}

static int give_name(int fd, int trackers, const char *unfinished, struct tracker *t)
{
	struct stat st;
	if (fchmod(fd, TRACKER_MODE) < 0 || fstat(fd, &st) < 0)
		return -errno;
	t->inode = st.st_ino;
	t->uid = st.st_uid;
	t->pid = (uint32_t)getpid();
	snprintf(t->name, sizeof(t->name), "%d-%" PRIu64, (int)getpid(), t->inode);
	return renameat(trackers, unfinished, trackers, t->name) < 0 ? -errno : 0;
}

static int make(int trackers, struct tracker *ret)
{
	struct tracker t = {0};
	char unfinished[PATH_SIZE_MAX];
	int fd, r;
	fipc__name_unfinished(unfinished, NULL);
	fd = openat(trackers, unfinished, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	r = lock_and_map(fd, &t.page);
	if (r == 0) {
		write_text(t.page);
		r = give_name(fd, trackers, unfinished, &t);
		if (r < 0)
			munmap(t.page, sizeof(*t.page));
	}
	if (r < 0)
		unlinkat(trackers, unfinished, 0);
	else
		*ret = t;
	close(fd); /* the mapping keeps the lock */
	return r;
}

/*
 * Between the moment that open(2) has made the temporary file and the moment that it has it open, a collector may get the
 * lease and take it away: then the rename finds nothing, and it is made once more.
 */
int fipc__tracker_make(int trackers, struct tracker *ret)
{
	int r = -ENOENT;
	for (int i = 0; i < MAKE_TRIES && r == -ENOENT; i++)
		r = make(trackers, ret);
	return r;
}

/* Only this process writes, under its objects lock; read when it is dead. relaxed: the kernel orders death and reading. */
static _Atomic uint64_t *find_hint(struct tracker *t, uint64_t value)
{
	for (unsigned i = 0; i < t->used; i++)
		if (atomic_load_explicit(&t->page->hints[i], memory_order_relaxed) == value)
			return &t->page->hints[i];
	return NULL;
}

void fipc__tracker_hint(struct tracker *t, uint64_t object)
{
	_Atomic uint64_t *slot;
	if (find_hint(t, object))
		return;
	slot = find_hint(t, 0);
	if (!slot && t->used < TRACKER_HINTS)
		slot = &t->page->hints[t->used++];
	if (slot)
		atomic_store_explicit(slot, object, memory_order_relaxed);
}

bool fipc__tracker_crowded(const struct tracker *t)
{
	return t->used > TRACKER_HINTS / 2;
}

void fipc__tracker_unhint(struct tracker *t, uint64_t object)
{
	_Atomic uint64_t *slot = find_hint(t, object);
	if (slot)
		atomic_store_explicit(slot, 0, memory_order_relaxed);
}

/* ---- of any process ---- */

enum fipc_life fipc__tracker_life_of(int fd)
{
	/* A read lock would only be refused by a write lock, which nobody can hold who could not write the file: anybody
	 * may hold a read lock on it, and that is no life. */
	struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
	if (fcntl(fd, F_OFD_GETLK, &lock) < 0)
		return FIPC_UNKNOWN;
	return lock.l_type == F_WRLCK ? FIPC_ALIVE : lock.l_type == F_UNLCK ? FIPC_DEAD : FIPC_UNKNOWN;
}

int fipc__tracker_life(int at, const char *path, struct stat *st)
{
	int life = FIPC_UNKNOWN, fd = openat(at, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -ENOENT : FIPC_UNKNOWN;
	if (fstat(fd, st) == 0 && S_ISREG(st->st_mode))
		life = fipc__tracker_life_of(fd);
	close(fd);
	return life;
}

static uint64_t field_number(const char *text, const char *key)
{
	const char *at = strstr(text, key);
	return at ? strtoull(at + strlen(key), NULL, 10) : 0;
}

void fipc__tracker_read_text(int fd, struct tracker_text *ret)
{
	char text[TRACKER_TEXT + 1];
	ssize_t n = pread(fd, text, TRACKER_TEXT, 0);
	const char *comm;
	size_t i = 0;
	text[n > 0 ? n : 0] = '\0';
	comm = strstr(text, "\ncomm: ");
	ret->start = field_number(text, "\nstart: ");
	ret->pidns = field_number(text, "\npidns: ");
	if (comm)
		for (comm += strlen("\ncomm: "); comm[i] >= ' ' && comm[i] <= '~' && i < sizeof(ret->comm) - 1; i++)
			ret->comm[i] = comm[i];
	ret->comm[i] = '\0';
}

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

size_t fipc__tracker_read_hints(int fd, uint64_t ret[TRACKER_HINTS])
{
	ssize_t n = pread(fd, ret, TRACKER_HINTS * sizeof(*ret), TRACKER_TEXT);
	size_t used = 0;
	for (size_t i = 0; i < (n > 0 ? (size_t)n / sizeof(*ret) : 0); i++)
		if (ret[i] != 0)
			ret[used++] = ret[i];
	qsort(ret, used, sizeof(*ret), by_number);
	return used;
}

bool fipc__tracker_parse_name(const char *name, int32_t *ret_pid, uint64_t *ret_inode)
{
	char *stop;
	unsigned long pid;
	if (*name < '0' || *name > '9')
		return false;
	errno = 0;
	pid = strtoul(name, &stop, 10);
	if (errno || pid > INT32_MAX || stop[0] != '-' || stop[1] < '0' || stop[1] > '9')
		return false;
	*ret_pid = (int32_t)pid;
	*ret_inode = strtoull(stop + 1, &stop, 10);
	return errno == 0 && *stop == '\0';
}
