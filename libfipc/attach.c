/* SPDX-License-Identifier: Apache-2.0 */
#include "attach.h"

#include "meta.h"
#include "name.h"
#include "root.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define ATTACHED_BYTE (INT64_MAX - 1) /* off_t's last but one; whoever locks parts of his own shm file stays clear of it */
#define PATIENCE_MS 5000
#define SLEEP_FIRST_NS 10000
#define SLEEP_LONGEST_NS 10000000
#define LINK_TRIES 100 /* a collector may remove an empty .pids again and again, each time for another reason */

bool fipc__be_patient(struct patience *p)
{
	struct timespec pause;
	if (p->until == 0)
		*p = (struct patience){fipc_after_ms(PATIENCE_MS), SLEEP_FIRST_NS};
	else if (fipc_after_ns(1) > p->until)
		return false;
	pause = (struct timespec){.tv_nsec = p->sleep_ns};
	nanosleep(&pause, NULL);
	if (p->sleep_ns < SLEEP_LONGEST_NS)
		p->sleep_ns *= 2;
	return true;
}

int fipc__file_lock(int fd)
{
	return flock(fd, LOCK_EX | LOCK_NB) == 0 ? 0 : errno == EWOULDBLOCK || errno == EINTR ? -EBUSY : -errno;
}

int fipc__file_is_named(int at, const char *file, const struct stat *st)
{
	struct stat now;
	if (fstatat(at, file, &now, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	return now.st_ino == st->st_ino && now.st_dev == st->st_dev;
}

static struct flock attached_byte(short type)
{
	return (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = ATTACHED_BYTE, .l_len = 1};
}

int fipc__file_attach(int fd)
{
	struct flock lock = attached_byte(F_RDLCK);
	return fcntl(fd, F_OFD_SETLK, &lock) == 0 ? 0 : errno == EAGAIN || errno == EACCES ? -EBUSY : -errno;
}

int fipc__file_anybody(int fd)
{
	struct flock lock = attached_byte(F_WRLCK);
	return fcntl(fd, F_OFD_GETLK, &lock) < 0 ? -errno : lock.l_type != F_UNLCK;
}

int fipc__file_lease(int fd)
{
	/* Whoever opens the file while we have the lease is refused (all of fipc opens with O_NONBLOCK) or waits, and we
	 * get a signal. It must not be SIGIO, which kills; SIGURG is ignored by whoever does not want it. */
	if (fcntl(fd, F_SETSIG, SIGURG) < 0 || fcntl(fd, F_SETLEASE, F_WRLCK) < 0)
		return -errno;
	return 0;
}

void fipc__file_end_lease(int fd)
{
	fcntl(fd, F_SETLEASE, F_UNLCK);
}

/* Its owner, and whoever may use the object, may leave an entry; nobody may take another's away. */
static mode_t pids_mode(mode_t object)
{
	mode_t mode = (object & 0777) | S_IRWXU | S_ISVTX;
	for (int shift = 0; shift < 6; shift += 3)
		if (object >> shift & 06)
			mode |= 01 << shift;
	return mode;
}

static int make_pids(int root, const char *pids, const struct stat *object)
{
	int fd = fipc__make_directory(root, pids, pids_mode(object->st_mode));
	if (fd == -ENOENT) /* an empty one was taken away between its making and its opening */
		return -EAGAIN;
	if (fd < 0)
		return fd == -ENOTDIR || fd == -ELOOP ? -EINVAL : fd;
	close(fd);
	return 0;
}

/*
 * See to the .pids of this object. It must be root's, the object's owner's or this user's, for a directory's owner can
 * remove what is in it: an empty one of somebody else's gives way, if we may. Ours is given the mode that this object
 * wants: it may have been another's, of this name, before. -EAGAIN: look again.
 * Its owner can put a symbolic link there between this look and the entry's making; the entry, a link to our own tracker,
 * then lies about somewhere, and our life is told by the lock alone.
 */
static int check_pids(int root, const char *pids, const struct stat *object)
{
	struct stat st;
	if (fstatat(root, pids, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? make_pids(root, pids, object) : -errno;
	if (!S_ISDIR(st.st_mode))
		return -EINVAL;
	if (st.st_uid == object->st_uid && (st.st_mode & 07777) == pids_mode(object->st_mode))
		return 0;
	if (st.st_uid == geteuid())
		return (st.st_mode & 07777) == pids_mode(object->st_mode) ? 0 : make_pids(root, pids, object);
	if (st.st_uid == 0 || st.st_uid == object->st_uid)
		return 0;
	return unlinkat(root, pids, AT_REMOVEDIR) == 0 ? -EAGAIN : -EPERM;
}

int fipc__pids_check(int root, const char *file, const struct stat *object)
{
	char pids[PIDS_SIZE_MAX];
	fipc__name_pids(pids, file);
	return check_pids(root, pids, object);
}

int fipc__entries_usable(int root, const char *file, const struct stat *object)
{
	char pids[PIDS_SIZE_MAX];
	int r;
	fipc__name_pids(pids, file);
	r = check_pids(root, pids, object);
	return r == -EAGAIN ? 0 : r;
}

static int link_entry(int root, const char *file, struct tracker *t, uint64_t object)
{
	char from[PATH_SIZE_MAX], entry[ENTRY_SIZE_MAX];
	fipc__name_tracker(from, file, t->name);
	fipc__name_entry(entry, file, t->pid, t->inode, object);
	return linkat(root, from, root, entry, 0) == 0 || errno == EEXIST ? 0 : -errno;
}

/*
 * Whoever makes the object sees to its .pids before, and once an entry of his is in it and it cannot be removed any more.
 * From then on it stays as long as the object has its name and somebody is attached, so whoever joins need not look at it again; unless
 * it is missing.
 */
static int add_entry(int root, const char *file, struct tracker *t, const struct stat *object, bool look)
{
	char pids[PIDS_SIZE_MAX];
	fipc__name_pids(pids, file);
	for (int i = 0; i < LINK_TRIES; i++) {
		int r = look ? check_pids(root, pids, object) : 0;
		if (r == 0)
			r = link_entry(root, file, t, object->st_ino);
		if (r == 0 && look) {
			r = check_pids(root, pids, object);
			if (r < 0)
				fipc__entry_remove(root, file, t, object->st_ino);
		}
		if (r != -ENOENT && r != -EAGAIN && (r != -ENOTDIR || look))
			return r;
		look = true;
	}
	return -ESTALE;
}

int fipc__entry_add(int root, const char *file, struct tracker *t, const struct stat *object, bool maker)
{
	int r;
	fipc__tracker_hint(t, object->st_ino, file);
	r = add_entry(root, file, t, object, maker);
	if (r < 0 && r != -EACCES && r != -EROFS) /* who may not write there attaches untracked: the hint is all there is */
		fipc__tracker_unhint(t, object->st_ino);
	return r;
}

void fipc__entry_remove(int root, const char *file, const struct tracker *t, uint64_t object)
{
	char entry[ENTRY_SIZE_MAX];
	fipc__name_entry(entry, file, t->pid, t->inode, object);
	unlinkat(root, entry, 0);
}

struct survey_of {
	int root;
	const char *file;
	uint64_t object;
	bool remove_dead;
	struct memory *memory;
	attachment_fn callback;
	void *context;
};

/* Inodes lie at equal distances if each process makes as many objects; times the golden ratio, they spread evenly. */
static struct life_seen *row_of(struct living *living, uint64_t tracker)
{
	return living->at[tracker * UINT64_C(0x9e3779b97f4a7c15) >> (64 - LIVING_ROW_BITS)];
}

/* An entry is a link to its tracker: their inodes are one, and it is the kernel that says which. */
static bool was_alive(const struct survey_of *q, uint64_t tracker, struct fipc_attachment *a)
{
	const struct life_seen *row = q->memory ? row_of(&q->memory->living, tracker) : NULL;
	for (int i = 0; row && i < LIVING_IN_ROW; i++) {
		if (row[i].tracker != tracker)
			continue;
		a->life = FIPC_ALIVE;
		a->uid = row[i].uid;
		return true;
	}
	return false;
}

/* The newest comes first, and the oldest gives way. */
static void note_alive(struct living *living, const struct stat *st)
{
	struct life_seen *row = row_of(living, st->st_ino);
	memmove(row + 1, row, (LIVING_IN_ROW - 1) * sizeof(*row));
	row[0] = (struct life_seen){st->st_ino, st->st_uid};
}

static void judge(int pids, const struct dirent *e, const struct survey_of *q, struct fipc_attachment *a,
		  struct survey *s)
{
	struct stat st = {0};
	int life;
	if (was_alive(q, e->d_ino, a))
		return;
	life = fipc__tracker_life(pids, e->d_name, &st);
	if (life == -ENOENT)
		life = FIPC_DEAD; /* gone since */
	else if (life == FIPC_DEAD && q->remove_dead && unlinkat(pids, e->d_name, 0) == 0)
		s->removed++;
	a->life = life;
	a->uid = st.st_uid;
	if (q->memory && life == FIPC_ALIVE && st.st_ino == e->d_ino)
		note_alive(&q->memory->living, &st);
}

static void tally(enum fipc_life life, struct survey *s)
{
	if (life == FIPC_ALIVE)
		s->alive++;
	else if (life == FIPC_DEAD)
		s->dead++;
	else
		s->unknown++;
}

static int survey_one(int pids, const struct dirent *e, const struct survey_of *q, struct survey *s,
		      struct recalled *seen)
{
	struct fipc_attachment a = {0};
	uint64_t of = 0;
	if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
		return 0;
	if (fipc__name_of_meta(e->d_name, &of)) {
		if (of == q->object)
			return 0;
		fipc__recall_note(seen, 0, 0);
		if (!fipc__meta_left_over(q->root, q->file, pids, of, q->remove_dead))
			s->metas++;
		return 0;
	}
	fipc__name_of_entry(e->d_name, &a.pid, &a.tracker, &of);
	a.current = of == q->object;
	fipc__recall_note(seen, a.current && a.tracker == e->d_ino ? a.tracker : 0, a.pid);
	judge(pids, e, q, &a, s);
	if (!a.current && a.life == FIPC_UNKNOWN)
		a.current = 1; /* no name of ours: it might be anything, so it counts */
	if (a.current)
		tally(a.life, s);
	return q->callback ? q->callback(&a, q->context) : 0;
}

/*
 * Not by readdir, whose buffer costs more than all the rest when there are few entries, as there mostly are. With 64
 * bits the kernel's struct linux_dirent64 is struct dirent.
 */
static int read_directory(int pids, const struct survey_of *q, struct survey *s, struct recalled *seen)
{
	_Alignas(struct dirent) char entries[4096];
	long n;
	while ((n = syscall(SYS_getdents64, pids, entries, sizeof(entries))) > 0) {
		const struct dirent *e;
		for (long at = 0; at < n; at += e->d_reclen) {
			e = (const void *)(entries + at);
			int r = survey_one(pids, e, q, s, seen);
			if (r != 0)
				return r;
		}
	}
	return n < 0 ? -errno : 0;
}

static int survey(int pids, const struct survey_of *q, struct survey *s)
{
	struct recall *recall = q->memory ? q->memory->recall : NULL;
	struct recalled seen;
	int r;
	fipc__recall_begin(recall, &seen, pids, q->object);
	r = read_directory(pids, q, s, &seen);
	if (r == 0)
		fipc__recall_keep(recall, &seen);
	return r;
}

/*
 * Those whom the last look found there. False: one of them has to be asked whether he lives, for which the directory is
 * needed anyway; or it may have changed.
 */
static bool survey_from_memory(const char *pids, const struct survey_of *q, struct fipc_attachment ret[RECALL_ENTRIES],
			       unsigned *ret_n)
{
	const struct recalled *was = q->memory ? fipc__recall_find(q->memory->recall, q->object) : NULL;
	struct stat st;
	if (!was)
		return false;
	for (unsigned i = 0; i < was->n; i++) {
		ret[i] = (struct fipc_attachment){.pid = was->pids[i], .tracker = was->trackers[i], .current = 1};
		if (!was_alive(q, was->trackers[i], &ret[i]))
			return false;
	}
	*ret_n = was->n;
	return fstatat(q->root, pids, &st, AT_SYMLINK_NOFOLLOW) == 0 && fipc__recall_holds(q->memory->recall, was, &st);
}

static int tell_all(const struct fipc_attachment *a, unsigned n, const struct survey_of *q, struct survey *s)
{
	int r = 0;
	for (unsigned i = 0; r == 0 && i < n; i++) {
		tally(a[i].life, s);
		r = q->callback ? q->callback(&a[i], q->context) : 0;
	}
	return r;
}

int fipc__entries_survey(int root, const char *file, uint64_t object, bool remove_dead, struct memory *memory,
			 attachment_fn callback, void *context, struct survey *ret)
{
	const struct survey_of q = {root, file, object, remove_dead, memory, callback, context};
	struct fipc_attachment attached[RECALL_ENTRIES];
	char pids[PIDS_SIZE_MAX];
	unsigned n;
	int fd, r;
	*ret = (struct survey){0};
	fipc__name_pids(pids, file);
	if (survey_from_memory(pids, &q, attached, &n))
		return tell_all(attached, n, &q, ret);
	fd = openat(root, pids, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	r = survey(fd, &q, ret);
	close(fd);
	return r;
}

static int stop_at_the_living(const struct fipc_attachment *a, void *context)
{
	(void)context;
	return a->current && a->life != FIPC_DEAD;
}

bool fipc__entries_any(int root, const char *file, uint64_t object)
{
	struct survey s;
	return fipc__entries_survey(root, file, object, false, NULL, stop_at_the_living, NULL, &s) != 0;
}

bool fipc__pids_remove(int root, const char *file, uint64_t object)
{
	char pids[PIDS_SIZE_MAX];
	fipc__name_pids(pids, file);
	if (unlinkat(root, pids, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return true;
	if (errno != ENOTEMPTY || !fipc__meta_remove(root, file, object))
		return false;
	return unlinkat(root, pids, AT_REMOVEDIR) == 0 || errno == ENOENT;
}

/* A header beside the entries outlives the name: without it, nobody could say any more what the name leads to. */
int fipc__object_drop(int root, const char *file, uint64_t object)
{
	char pids[PIDS_SIZE_MAX];
	bool empty;
	fipc__name_pids(pids, file);
	/* if not, a header is in it, or those of an older object */
	empty = unlinkat(root, pids, AT_REMOVEDIR) == 0 || errno == ENOENT;
	if (unlinkat(root, file, 0) < 0 && errno != ENOENT)
		return -errno;
	if (!empty)
		fipc__pids_remove(root, file, object);
	return 0;
}
