/* SPDX-License-Identifier: Apache-2.0 */
#include "attach.h"

#include "name.h"
#include "root.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

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

bool fipc__file_is_named(int at, const char *file, const struct stat *st)
{
	struct stat now;
	return fstatat(at, file, &now, AT_SYMLINK_NOFOLLOW) == 0 && now.st_ino == st->st_ino && now.st_dev == st->st_dev;
}

static int take_lease(int fd, int type)
{
	/* Whoever opens the file while we have the lease is refused (all of fipc opens with O_NONBLOCK) or waits, and we
	 * get a signal. It must not be SIGIO, which kills; SIGURG is ignored by whoever does not want it. */
	if (fcntl(fd, F_SETSIG, SIGURG) < 0 || fcntl(fd, F_SETLEASE, type) < 0)
		return -errno;
	return 0;
}

int fipc__file_lease(int fd)
{
	return take_lease(fd, F_WRLCK);
}

int fipc__file_lease_from_writers(int fd)
{
	return take_lease(fd, F_RDLCK);
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

/* Without following a symbolic link, which anybody could have put there. Fills st. */
static int open_pids(int root, const char *file, struct stat *st)
{
	char pids[PIDS_SIZE_MAX];
	int fd;
	fipc__name_pids(pids, file);
	fd = openat(root, pids, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOTDIR || errno == ELOOP ? -EINVAL : -errno;
	if (fstat(fd, st) < 0) {
		int r = -errno;
		close(fd);
		return r;
	}
	return fd;
}

static int make_pids(int root, const char *file, const struct stat *object)
{
	char pids[PIDS_SIZE_MAX];
	int fd;
	fipc__name_pids(pids, file);
	fd = fipc__make_directory(root, pids, pids_mode(object->st_mode));
	if (fd < 0)
		return fd == -ENOTDIR || fd == -ELOOP ? -EINVAL : fd;
	close(fd);
	return 0;
}

/*
 * The .pids of this object. It must be root's, the object's owner's or this user's, for a directory's owner can remove
 * what is in it: an empty one of somebody else's gives way, if we may. Ours is given the mode that this object wants: it may
 * have been another's, of this name, before.
 */
static int open_own_pids(int root, const char *file, const struct stat *object)
{
	char pids[PIDS_SIZE_MAX];
	struct stat st;
	int r, fd = open_pids(root, file, &st);
	if (fd == -ENOENT) {
		r = make_pids(root, file, object);
		return r < 0 ? r : open_pids(root, file, &st);
	}
	if (fd < 0)
		return fd;
	if (st.st_uid != 0 && st.st_uid != object->st_uid && st.st_uid != geteuid()) {
		close(fd);
		fipc__name_pids(pids, file);
		return unlinkat(root, pids, AT_REMOVEDIR) == 0 ? -ENOENT : -EPERM;
	}
	if (st.st_uid == geteuid() && (st.st_mode & 07777) != pids_mode(object->st_mode))
		make_pids(root, file, object);
	return fd;
}

static int link_entry(int root, int pids, struct tracker *t, uint64_t object)
{
	char from[sizeof(FIPC_TRACKERS) + sizeof(t->name)], entry[ENTRY_SIZE_MAX];
	snprintf(from, sizeof(from), FIPC_TRACKERS "/%s", t->name);
	fipc__name_entry(entry, t->inode, object);
	return linkat(root, from, pids, entry, 0) == 0 || errno == EEXIST ? 0 : -errno;
}

static int add_entry(int root, const char *file, struct tracker *t, const struct stat *object)
{
	for (int i = 0; i < LINK_TRIES; i++) {
		int r, pids = open_own_pids(root, file, object);
		if (pids == -ENOENT)
			continue; /* taken away between its making and its opening */
		if (pids < 0)
			return pids;
		r = link_entry(root, pids, t, object->st_ino);
		close(pids);
		if (r != -ENOENT)
			return r;
	}
	return -ESTALE;
}

int fipc__entry_add(int root, const char *file, struct tracker *t, const struct stat *object)
{
	int r;
	fipc__tracker_hint(t, object->st_ino);
	r = add_entry(root, file, t, object);
	if (r < 0 && r != -EACCES && r != -EROFS) /* who may not write there attaches untracked: the hint is all there is */
		fipc__tracker_unhint(t, object->st_ino);
	return r;
}

int fipc__entry_remove(int root, const char *file, const struct tracker *t, uint64_t object)
{
	char entry[ENTRY_SIZE_MAX];
	struct stat st;
	int pids = open_pids(root, file, &st);
	if (pids < 0)
		return pids == -EMFILE || pids == -ENFILE || pids == -ENOMEM ? pids : 0;
	fipc__name_entry(entry, t->inode, object);
	unlinkat(pids, entry, 0);
	close(pids);
	return 0;
}

static void judge(int pids, const char *name, bool remove_dead, struct fipc_attachment *a, struct survey *s)
{
	struct stat st = {0};
	int life = fipc__tracker_life(pids, name, &st);
	if (life == -ENOENT)
		life = FIPC_DEAD; /* gone since */
	else if (life == FIPC_DEAD && remove_dead && unlinkat(pids, name, 0) == 0)
		s->removed++;
	a->life = life;
	a->uid = st.st_uid;
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

static int survey(DIR *dir, uint64_t object, bool remove_dead, attachment_fn callback, void *context, struct survey *s)
{
	struct dirent *e;
	while (errno = 0, (e = readdir(dir))) {
		struct fipc_attachment a = {0};
		uint64_t of = 0;
		int r;
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		fipc__name_of_entry(e->d_name, &a.pid, &a.tracker, &of);
		a.current = of == object;
		judge(dirfd(dir), e->d_name, remove_dead, &a, s);
		if (!a.current && a.life == FIPC_UNKNOWN)
			a.current = 1; /* no name of ours: it might be anything, so it counts */
		if (a.current)
			tally(a.life, s);
		r = callback ? callback(&a, context) : 0;
		if (r != 0)
			return r;
	}
	return -errno;
}

int fipc__entries_survey(int root, const char *file, uint64_t object, bool remove_dead, attachment_fn callback,
			 void *context, struct survey *ret)
{
	char pids[PIDS_SIZE_MAX];
	int fd, r;
	DIR *dir;
	*ret = (struct survey){0};
	fipc__name_pids(pids, file);
	fd = openat(root, pids, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	dir = fdopendir(fd);
	if (!dir) {
		r = -errno;
		close(fd);
		return r;
	}
	r = survey(dir, object, remove_dead, callback, context, ret);
	closedir(dir);
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
	return fipc__entries_survey(root, file, object, false, stop_at_the_living, NULL, &s) != 0;
}

int fipc__object_drop(int root, const char *file)
{
	char pids[PIDS_SIZE_MAX];
	fipc__name_pids(pids, file);
	unlinkat(root, pids, AT_REMOVEDIR); /* stays when those of an older object of this name are in it */
	return unlinkat(root, file, 0) < 0 && errno != ENOENT ? -errno : 0;
}
