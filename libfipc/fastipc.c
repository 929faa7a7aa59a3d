/* SPDX-License-Identifier: Apache-2.0 */
#include "fastipc.h"

#include "child.h"
#include "clock.h"
#include "each.h"
#include "futex.h"
#include "name.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_MS INT64_C(1000000)
#define SECOND_LOOK_NS 1000000
#define NEW_NS (2000 * NS_PER_MS)

/* ---- its bytes ---- */

/*
 * A mutex: word 0 free, 1 held, 2 held and perhaps slept on; pid: its owner, 0 of a free one. A semaphore: word is the number of
 * tokens, pid who took the last one. The word is the futex. Written by an owner in this order: word, pid, acquired_ns;
 * at release: word, pid. So a pid may be missing for a moment, and so may the time of an acquisition.
 */
struct head {
	uint32_t magic, flags;
	union {
		struct {
			uint32_t word, pid;
		};
		uint64_t held; /* both, for a compare-and-swap */
	};
	int64_t acquired_ns; /* CLOCK_REALTIME */
};
static_assert(offsetof(struct head, word) == 8 && offsetof(struct head, pid) == 12 &&
	      offsetof(struct head, acquired_ns) == 16, "fastipc's mutex and semaphore");

enum { FREE, HELD, CONTENDED };

static const struct segment {
	const char *kind;
	enum fipc_type type;
	off_t size;
	uint32_t magic; /* 0: it begins with its word */
} segments[] = {
	{"mutex_", FIPC_TYPE_PY_MUTEX, 64, UINT32_C(0x4d555458)},
	{"sema_", FIPC_TYPE_PY_SEMA, 64, UINT32_C(0x53454d41)},
	{"event_", FIPC_TYPE_PY_EVENT, 4, 0},
};

enum fipc_type fipc__fastipc_type(const char *file)
{
	if (strncmp(file, FIPC_PYTHON_PREFIX, strlen(FIPC_PYTHON_PREFIX)) != 0)
		return 0;
	file += strlen(FIPC_PYTHON_PREFIX);
	for (size_t i = 0; i < sizeof(segments) / sizeof(*segments); i++)
		if (strncmp(file, segments[i].kind, strlen(segments[i].kind)) == 0)
			return segments[i].type;
	return 0;
}

static const struct segment *segment_of(enum fipc_type type)
{
	const struct segment *s = segments;
	while (s->type != type)
		s++;
	return s;
}

/* Whoever makes a mutex writes the magic and then zeros; so there is none until somebody else joins it. */
static bool magic_fits(uint32_t magic, const struct segment *s)
{
	return magic == s->magic || magic == __builtin_bswap32(s->magic) || magic == 0;
}

/* ---- directories ---- */

/* One that is not named twice: what is done to it is done to nothing else. */
static bool is_segment(const struct stat *st)
{
	return S_ISREG(st->st_mode) && st->st_nlink == 1;
}

static bool is_directly_below(int root, int shm)
{
	struct stat above, st;
	return fstatat(root, "..", &above, 0) == 0 && fstat(shm, &st) == 0 && above.st_ino == st.st_ino &&
	       above.st_dev == st.st_dev;
}

int fipc__fastipc_open(struct fastipc *ret, int root)
{
	int shm = open(FIPC_PYTHON_DIR, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (shm < 0)
		return -errno;
	*ret = (struct fastipc){.root = root, .shm = shm, .all = is_directly_below(root, shm)};
	return 0;
}

void fipc__fastipc_close(struct fastipc *f)
{
	if (!f)
		return;
	close(f->shm);
	fipc__census_forget(&f->census);
}

static int open_entries(const struct fastipc *f, const char *file)
{
	char pids[PIDS_SIZE_MAX];
	int fd;
	fipc__name_pids(pids, file);
	fd = openat(f->root, pids, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* ---- looking ---- */

static uint32_t asleep(int fd, size_t word, uint32_t wake)
{
	char *map = mmap(NULL, sizeof(struct head), PROT_READ, MAP_SHARED, fd, 0);
	uint32_t n;
	if (map == MAP_FAILED)
		return 0;
	n = fipc__futex_sleepers(map + word);
	if (n > 0 && wake > 0)
		fipc__futex_wake(map + word, wake, FUTEX_SHARED);
	munmap(map, sizeof(struct head));
	return n;
}

/* Nobody is told "woken" of these two but looks at the word himself. Of an event he is told so, and it is left alone. */
static void note_mutex(int fd, const struct head *h, bool mend, struct fipc_object *ret)
{
	bool held = h->word != FREE;
	ret->mutex = (struct fipc_mutex_info){
		.state = held ? FIPC_MUTEX_HELD : FIPC_MUTEX_FREE,
		.owner_pid = held ? h->pid : 0,
		.waiters = asleep(fd, offsetof(struct head, word), mend && !held),
		.acquired_ns = (uint64_t)h->acquired_ns,
	};
}

static void note_sema(int fd, const struct head *h, bool mend, struct fipc_object *ret)
{
	ret->sem = (struct fipc_sem_info){
		.value = h->word,
		.last_pid = h->pid,
		.waiters = asleep(fd, offsetof(struct head, word), mend ? h->word : 0),
		.acquired_ns = (uint64_t)h->acquired_ns,
	};
}

static int read_head(int fd, const struct segment *s, struct head *ret)
{
	ssize_t n = pread(fd, ret, sizeof(*ret), 0);
	if (n < 0)
		return -errno;
	if (!s->magic)
		return n >= (ssize_t)sizeof(uint32_t) ? 0 : -EINVAL;
	if (n < (ssize_t)sizeof(*ret) || !magic_fits(ret->magic, s))
		return -EINVAL;
	return s->type == FIPC_TYPE_PY_MUTEX && ret->word > CONTENDED ? -EINVAL : 0;
}

int fipc__fastipc_look(int fd, const struct stat *st, bool mend, struct fipc_object *ret)
{
	const struct segment *s = segment_of(ret->type);
	struct head head = {.magic = 0};
	int r;
	if (!is_segment(st))
		return -EINVAL;
	if (st->st_size < s->size)
		return st->st_size == 0 ? -ENODATA : -EINVAL;
	r = read_head(fd, s, &head);
	if (r < 0)
		return r;
	ret->size = (uint64_t)st->st_size;
	if (ret->type == FIPC_TYPE_PY_MUTEX)
		note_mutex(fd, &head, mend, ret);
	else if (ret->type == FIPC_TYPE_PY_SEMA)
		note_sema(fd, &head, mend, ret);
	else
		ret->event = (struct fipc_event_info){.set = head.magic != 0, .waiters = asleep(fd, 0, 0)};
	return 0;
}

/* ---- a mutex whose owner is dead ---- */

bool fipc__fastipc_owner_died(struct fastipc *f, const struct fipc_object *o)
{
	return o->type == FIPC_TYPE_PY_MUTEX && o->mutex.state == FIPC_MUTEX_HELD && o->mutex.owner_pid &&
	       fipc__census_life(&f->census, o->mutex.owner_pid, (int64_t)o->mutex.acquired_ns) == FIPC_DEAD;
}

/*
 * Who is a moment after his acquisition has not written his pid yet, or the time; then those of a dead one are still
 * there. So they are looked at twice.
 */
static bool is_still_so(int fd, const struct fipc_object *o)
{
	struct timespec pause = {.tv_nsec = SECOND_LOOK_NS};
	struct head h;
	nanosleep(&pause, NULL);
	return read_head(fd, segment_of(o->type), &h) == 0 && h.word != FREE && h.pid == o->mutex.owner_pid &&
	       (uint64_t)h.acquired_ns == o->mutex.acquired_ns;
}

struct held_by {
	uint64_t *held;
	uint32_t pid;
};

/* acquire: what the dead one wrote is there for the next owner, as after his own release; release: pairs with its acquire. */
__attribute__((no_sanitize("thread"))) static int swap_if_held_by(void *argument)
{
	const struct held_by *by = argument;
	for (uint32_t word = HELD; word <= CONTENDED; word++) { /* it only goes from one to the other meanwhile */
		struct head h = {.word = word, .pid = by->pid};
		if (__atomic_compare_exchange_n(by->held, &h.held, 0, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
			return 0;
	}
	return EAGAIN;
}

/*
 * Killed after the swap, before the wake: a free mutex that somebody sleeps on; the next collecting look wakes him
 * (note_mutex).
 */
static int free_mapped(int fd, uint32_t pid)
{
	struct head *h = mmap(NULL, sizeof(*h), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	int r;
	if (h == MAP_FAILED)
		return -errno;
	r = fipc__in_child(swap_if_held_by, &(struct held_by){&h->held, pid});
	if (r == 0)
		fipc__futex_wake(&h->word, 1, FUTEX_SHARED);
	munmap(h, sizeof(*h));
	return r > 0 ? -r : r;
}

static int open_to_write(const struct fastipc *f, const char *file, uint64_t inode, struct stat *st)
{
	int fd = openat(f->shm, file, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC), r;
	if (fd < 0)
		return errno == ENOENT || errno == ELOOP ? -EBUSY : -errno;
	r = fstat(fd, st) < 0 ? -errno : st->st_ino != inode || !is_segment(st) ? -EBUSY : 0;
	if (r < 0)
		close(fd);
	return r < 0 ? r : fd;
}

int fipc__fastipc_free(struct fastipc *f, const char *file, int fd, const struct fipc_object *o)
{
	struct stat st;
	int writable, r;
	if (f->frees == FASTIPC_FREES)
		return -EBUSY;
	f->frees++;
	if (!is_still_so(fd, o))
		return -EAGAIN;
	writable = open_to_write(f, file, o->inode, &st);
	if (writable < 0)
		return writable;
	r = free_mapped(writable, o->mutex.owner_pid);
	close(writable);
	return r;
}

/* ---- entries ---- */

/* The PID that an entry's name is; 0: it is none. */
static int32_t pid_of(const char *entry)
{
	size_t digits = strspn(entry, "0123456789");
	unsigned long pid = digits > 0 && entry[digits] == '\0' ? strtoul(entry, NULL, 10) : 0;
	return pid <= INT32_MAX ? (int32_t)pid : 0;
}

struct entries {
	struct fastipc *f;
	bool remove_dead;
	attachment_fn callback;
	void *context;
	struct survey *survey;
};

static void tally(const struct entries *q, int pids, const char *entry, enum fipc_life life)
{
	struct survey *s = q->survey;
	unsigned *counters[] = {[FIPC_UNKNOWN] = &s->unknown, [FIPC_ALIVE] = &s->alive, [FIPC_DEAD] = &s->dead};
	++*counters[life];
	if (life == FIPC_DEAD && q->remove_dead && unlinkat(pids, entry, 0) == 0)
		s->removed++;
}

static int visit_entry(int pids, const struct dirent *e, void *context)
{
	const struct entries *q = context;
	struct fipc_attachment a = {.pid = pid_of(e->d_name), .current = 1};
	struct stat st;
	if (fstatat(pids, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (a.pid && S_ISREG(st.st_mode))
		a.life = fipc__census_life(&q->f->census, (uint32_t)a.pid,
					   st.st_mtim.tv_sec * 1000 * NS_PER_MS + st.st_mtim.tv_nsec);
	a.uid = st.st_uid;
	a.tracker = st.st_ino;
	tally(q, pids, e->d_name, a.life);
	return q->callback ? q->callback(&a, q->context) : 0;
}

int fipc__fastipc_entries(struct fastipc *f, const char *file, bool remove_dead, attachment_fn callback, void *context,
			  struct survey *ret)
{
	struct entries q = {f, remove_dead, callback, context, ret};
	int r;
	*ret = (struct survey){0};
	r = fipc__each_name(open_entries(f, file), visit_entry, &q);
	return r == -ENOENT ? 0 : r;
}

static int remove_entry(int pids, const struct dirent *e, void *removed)
{
	if (pid_of(e->d_name) && unlinkat(pids, e->d_name, 0) == 0)
		++*(unsigned *)removed;
	return 0;
}

bool fipc__fastipc_is_new(const struct stat *st)
{
	int64_t age = fipc__clock_ns(CLOCK_REALTIME) - (st->st_mtim.tv_sec * 1000 * NS_PER_MS + st->st_mtim.tv_nsec);
	return age >= 0 && age < NEW_NS;
}

/* ---- taking one away ---- */

/*
 * The package opens a segment without looking afterwards whether its name still leads to it, and that open waits while
 * the lease is held: it would get a segment without a name, and the next process another one. So it is emptied first:
 * an open that finds fewer bytes than it wants is tried again by the package, and then makes a new one.
 *
 * Killed after
 *	the emptying   an empty segment, which nobody can use until the next collection takes it
 *	the entries    the same
 *	the name       an empty directory of entries, taken as an orphan
 */
static int drop_leased(const struct fastipc *f, const char *file, int fd, const struct stat *st, unsigned *removed)
{
	char pids[PIDS_SIZE_MAX];
	int named = fipc__file_is_named(f->shm, file, st);
	if (named <= 0)
		return named == 0 ? -EBUSY : named;
	if (ftruncate(fd, 0) < 0)
		return -errno;
	fipc__each_name(open_entries(f, file), remove_entry, removed); /* what is left will be an orphan */
	if (unlinkat(f->shm, file, 0) < 0 && errno != ENOENT)
		return -errno;
	fipc__name_pids(pids, file);
	unlinkat(f->root, pids, AT_REMOVEDIR);
	return 0;
}

int fipc__fastipc_drop(struct fastipc *f, const char *file, const struct stat *st, unsigned *removed)
{
	struct stat now;
	int fd = open_to_write(f, file, st->st_ino, &now);
	int r = fd < 0 ? fd : fipc__file_lease(fd);
	if (r >= 0) /* the inode may have been given to a new one */
		r = fstat(fd, &now) < 0 ? -errno : is_segment(&now) && now.st_size == st->st_size ? 0 : -EBUSY;
	if (r == 0)
		r = drop_leased(f, file, fd, &now, removed);
	if (fd >= 0)
		close(fd);
	return r;
}
