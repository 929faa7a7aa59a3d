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
	r = fipc__make_room(fd, 0, TRACKER_HEAD);
	if (r < 0)
		return r;
	if (ftruncate(fd, sizeof(**ret)) < 0) /* slots and names get memory when there is need */
		return -errno;
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

static bool has_memory(struct tracker *t, size_t i)
{
	while (i >= t->named) {
		if (!fipc__page_has_memory(t->page->names[t->named]))
			return false;
		t->named += TRACKER_PAGE / TRACKER_NAME;
	}
	return true;
}

static void note_name(struct tracker *t, size_t i, const char *file)
{
	const char *slash = strrchr(file, '/'), *name = slash ? slash + 1 : file;
	size_t size = strlen(name) + 1;
	if (has_memory(t, i))
		memcpy(t->page->names[i], size <= TRACKER_NAME ? name : "", size <= TRACKER_NAME ? size : 1);
}

/* Release: the name is there before the inode. Killed before the inode: a name that says nothing. */
void fipc__tracker_hint(struct tracker *t, uint64_t object, const char *file)
{
	_Atomic uint64_t *slot;
	if (find_hint(t, object))
		return;
	slot = find_hint(t, 0);
	if (!slot && t->used < TRACKER_HINTS)
		slot = &t->page->hints[t->used++];
	if (!slot)
		return;
	note_name(t, (size_t)(slot - t->page->hints), file);
	atomic_store_explicit(slot, object, memory_order_release);
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

static void read_text(int fd, struct fipc_process *ret)
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

int fipc__tracker_open(int trackers, const char *name, struct fipc_process *ret, struct stat *st)
{
	int r, fd;
	*ret = (struct fipc_process){0};
	if (!fipc__tracker_parse_name(name, &ret->pid, &ret->tracker))
		return -EINVAL;
	fd = openat(trackers, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = fstat(fd, st) < 0 ? -errno : S_ISREG(st->st_mode) && st->st_ino == ret->tracker ? fd : -EINVAL;
	if (r < 0)
		close(fd);
	return r;
}

void fipc__tracker_describe(int fd, const struct stat *st, struct fipc_process *ret)
{
	ret->life = fipc__tracker_life_of(fd);
	ret->uid = st->st_uid;
	ret->gid = st->st_gid;
	ret->attachments = (unsigned)(st->st_nlink - 1);
	read_text(fd, ret);
}

/*
 * Twice: a slot that stands there unchanged, with an odd number, stood there whole in between. That the number is odd
 * is written last and taken away first, and no wait has the number of another.
 */
static size_t read_slots(int fd, off_t at, struct wait_slot *ret)
{
	struct wait_slot first[WAIT_SLOTS_PAGE], second[WAIT_SLOTS_PAGE];
	size_t n = 0;
	if (pread(fd, first, sizeof(first), at) != sizeof(first) ||
	    pread(fd, second, sizeof(second), at) != sizeof(second))
		return 0;
	for (unsigned i = 0; i < WAIT_SLOTS_PAGE; i++)
		if (first[i].tid != 0 && first[i].number & 1 && memcmp(&first[i], &second[i], sizeof(first[i])) == 0)
			ret[n++] = second[i];
	return n;
}

size_t fipc__tracker_read_slots(int fd, struct wait_slot ret[WAIT_SLOTS])
{
	uint32_t pages;
	size_t n = 0;
	if (pread(fd, &pages, sizeof(pages), offsetof(struct tracker_page, slot_pages)) != sizeof(pages))
		return 0;
	for (unsigned i = 0; i < pages && i < WAIT_SLOTS / WAIT_SLOTS_PAGE; i++)
		n += read_slots(fd, (off_t)offsetof(struct tracker_page, slots) + i * TRACKER_PAGE, ret + n);
	return n;
}

/* One that does not end there is none. */
static void read_name(int fd, size_t i, char ret[TRACKER_NAME])
{
	ssize_t n = pread(fd, ret, TRACKER_NAME, (off_t)(offsetof(struct tracker_page, names) + i * TRACKER_NAME));
	if (n != TRACKER_NAME || !memchr(ret, '\0', TRACKER_NAME))
		*ret = '\0';
}

size_t fipc__tracker_read_hints(int fd, struct tracker_hint ret[TRACKER_HINTS])
{
	uint64_t inodes[TRACKER_HINTS];
	ssize_t n = pread(fd, inodes, sizeof(inodes), offsetof(struct tracker_page, hints));
	size_t used = 0;
	for (size_t i = 0; i < (n > 0 ? (size_t)n / sizeof(*inodes) : 0); i++) {
		if (inodes[i] == 0)
			continue;
		ret[used].inode = inodes[i];
		read_name(fd, i, ret[used++].file);
	}
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
