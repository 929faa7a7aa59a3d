/* SPDX-License-Identifier: Apache-2.0 */
#include <fipc/registry.h>

#include "attach.h"
#include "fork.h"
#include "meta.h"
#include "name.h"
#include "object.h"
#include "root.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct fipc_registry {
	int root;
	bool explicitly;
	char path[];
};

/* ---- words ---- */

const char *fipc_life_name(enum fipc_life life)
{
	return life == FIPC_ALIVE ? "alive" : life == FIPC_DEAD ? "dead" : "unknown";
}

static const struct {
	bool takes;
	const char *name, *text;
} reasons[] = {
	[FIPC_KEEP_ATTACHED] = {false, "attached", "a live process has it"},
	[FIPC_KEEP_PERSISTENT] = {false, "persistent", "it was made to persist"},
	[FIPC_KEEP_UNKNOWN] = {false, "unknown", "whether a process that is attached lives cannot be told"},
	[FIPC_KEEP_UNTRACKED] = {false, "untracked", "a process that left no entry has it open or mapped"},
	[FIPC_KEEP_BUSY] = {false, "busy", "it is being opened or closed at this moment"},
	[FIPC_KEEP_NOT_PERMITTED] = {false, "not-permitted", "only its owner or root can tell, or take it away"},
	[FIPC_KEEP_DAMAGED] = {false, "damaged", "it is no object of this version of fipc"},
	[FIPC_KEEP_FAILED] = {false, "failed", "the system refused"},
	[FIPC_TAKE_UNUSED] = {true, "unused", "nobody is attached"},
	[FIPC_TAKE_ORPHAN] = {true, "orphan", "its name is gone, and who was attached is dead"},
	[FIPC_TAKE_UNFINISHED] = {true, "unfinished", "whoever was making it is dead"},
};

int fipc_reason_takes(enum fipc_reason reason)
{
	return reasons[reason].takes;
}

const char *fipc_reason_name(enum fipc_reason reason)
{
	return reasons[reason].name;
}

const char *fipc_reason_text(enum fipc_reason reason)
{
	return reasons[reason].text;
}

/* ---- open, close ---- */

static void make_trackers(int root)
{
	int fd = fipc__root_open_trackers(root, true, true);
	if (fd >= 0)
		close(fd);
}

int fipc_registry_open(fipc_registry **ret, const char *dir, unsigned flags)
{
	struct root_choice choice = {dir, true};
	fipc_registry *r;
	int fd, error = flags & ~(unsigned)FIPC_CREATE ? -EINVAL : 0;
	if (error == 0)
		error = dir ? fipc__root_check_path(dir) : fipc__root_choose(&choice);
	if (error == 0)
		error = fipc__process_enter();
	if (error < 0)
		return error;
	fd = fipc__root_open(&choice, (flags & FIPC_CREATE) != 0);
	if (fd < 0)
		return fd;
	if (flags & FIPC_CREATE) /* before somebody else makes it, whom nobody trusts */
		make_trackers(fd);
	r = malloc(sizeof(*r) + strlen(choice.path) + 1);
	if (!r) {
		close(fd);
		return -ENOMEM;
	}
	r->root = fd;
	r->explicitly = choice.explicitly;
	strcpy(r->path, choice.path);
	*ret = r;
	return 0;
}

void fipc_registry_close(fipc_registry *r)
{
	if (!r)
		return;
	close(r->root);
	free(r);
}

const char *fipc_registry_dir(const fipc_registry *r)
{
	return r->path;
}

/* ---- lists that grow ---- */

struct attachments {
	struct fipc_attachment *items;
	unsigned n, room;
};

static int remember(const struct fipc_attachment *a, void *context)
{
	struct attachments *list = context;
	if (list->n == list->room) {
		unsigned room = list->room ? 2 * list->room : 16;
		void *p = realloc(list->items, room * sizeof(*list->items));
		if (!p)
			return -ENOMEM;
		list->items = p;
		list->room = room;
	}
	list->items[list->n++] = *a;
	return 0;
}

struct found { /* a name in the directory that is worth a look */
	char *file;
	bool unfinished;
};

struct names {
	struct found *items;
	size_t n, room;
};

static void forget_names(struct names *list)
{
	for (size_t i = 0; i < list->n; i++)
		free(list->items[i].file);
	free(list->items);
}

static int add_name(struct names *list, const char *file, size_t length, bool unfinished)
{
	char *copy;
	if (list->n == list->room) {
		size_t room = list->room ? 2 * list->room : 64;
		void *p = realloc(list->items, room * sizeof(*list->items));
		if (!p)
			return -ENOMEM;
		list->items = p;
		list->room = room;
	}
	copy = strndup(file, length);
	if (!copy)
		return -ENOMEM;
	list->items[list->n++] = (struct found){copy, unfinished};
	return 0;
}

/* ---- one object ---- */

struct walk {
	fipc_registry *r;
	bool collect;
	const struct fipc_filter *filter;
	fipc_object_fn callback;
	void *context;
	struct attachments attachments;
	unsigned metas; /* beside them, that stay */
	unsigned char *copy; /* of the object looked at: OBJECT_OFFSET + LOOK_MAX bytes */
	struct fipc_holder holders[FIPC_HOLDERS_MAX];
};

/* Look inside an object, without touching its memory: its file may be truncated at any moment. */
static int look_inside(struct walk *w, int fd, const struct object_kind *kind, size_t copied, struct fipc_object *o)
{
	const size_t size = copied < LOOK_MAX ? copied : LOOK_MAX;
	/* One of the dead may have been woken and not passed it on; who is woken for nothing sleeps again. */
	struct look l = {
		.copy = w->copy + OBJECT_OFFSET,
		.copied = size,
		.size = o->size,
		.holders = w->holders,
		.wake = o->entries_removed > 0 && o->n_alive > 0,
	};
	char *p = mmap(NULL, OBJECT_OFFSET + size, PROT_READ, MAP_SHARED, fd, 0);
	int r;
	if (p != MAP_FAILED)
		l.map = p + OBJECT_OFFSET;
	r = kind->look(&l, o);
	if (p != MAP_FAILED)
		munmap(p, OBJECT_OFFSET + size);
	return r;
}

static void note_header(const struct object_header *header, struct fipc_object *o)
{
	o->flags = header->flags;
	o->creator = header->creator;
	o->pidns = header->pidns;
	o->created_ns = header->created_ns;
}

static int read_copy(struct walk *w, int fd, const struct object_kind *kind, struct fipc_object *o)
{
	unsigned char *copy = w->copy;
	struct object_header header;
	ssize_t n = pread(fd, copy, OBJECT_OFFSET + LOOK_MAX, 0);
	size_t copied, size = o->size;
	int r;
	if (n < 0)
		return -errno;
	if (n < (ssize_t)(OBJECT_OFFSET + OBJECT_HEAD))
		return -EINVAL;
	memcpy(&header, copy, sizeof(header));
	r = fipc__header_check(&header, o->type);
	if (r == 0)
		r = kind->check(copy + OBJECT_OFFSET, &size);
	if (r < 0)
		return r;
	note_header(&header, o);
	o->size = size;
	o->holders = w->holders;
	copied = (size_t)n - OBJECT_OFFSET;
	return look_inside(w, fd, kind, copied < size ? copied : size, o);
}

/* All that is known of it is beside it. */
static int look_beside(const struct walk *w, const char *file, const struct object_kind *kind, const struct stat *st,
		       struct fipc_object *o)
{
	const struct look l = {.st = st};
	struct object_header header;
	int looked, r = fipc__meta_read(w->r->root, file, st, &header);
	o->size = (uint64_t)st->st_size;
	looked = kind->look(&l, o);
	if (r < 0 || looked < 0)
		return r < 0 ? r : looked;
	note_header(&header, o);
	return 0;
}

static void read_object(struct walk *w, const char *file, int fd, const struct stat *st, struct fipc_object *o)
{
	const struct object_kind *kind = fipc__object_kind(o->type);
	if (kind && kind->bare) {
		o->error = look_beside(w, file, kind, st, o);
		return;
	}
	o->size = st->st_size > (off_t)OBJECT_OFFSET ? (size_t)st->st_size - OBJECT_OFFSET : 0;
	o->error = kind ? read_copy(w, fd, kind, o) : -EINVAL;
}

static void note_owner(const struct stat *st, struct fipc_object *o)
{
	o->uid = st->st_uid;
	o->gid = st->st_gid;
	o->mode = st->st_mode & 0777;
	o->inode = st->st_ino;
}

/* Who is attached. remove: the entries of the dead. */
static int read_entries(struct walk *w, const char *file, bool remove, struct fipc_object *o)
{
	struct survey s;
	int r;
	w->attachments.n = 0;
	r = fipc__entries_survey(w->r->root, file, o->inode, remove, remember, &w->attachments, &s);
	o->attachments = w->attachments.items;
	o->n_attachments = w->attachments.n;
	o->n_alive = s.alive;
	o->n_dead = s.dead;
	o->n_unknown = s.unknown;
	o->entries_removed += s.removed;
	w->metas = s.metas;
	return r;
}

static enum fipc_reason reason_of(int error)
{
	return error == -EACCES || error == -EPERM ? FIPC_KEEP_NOT_PERMITTED : FIPC_KEEP_FAILED;
}

/* What the entries and the object itself say. */
static enum fipc_reason first_verdict(int entries, const struct fipc_object *o)
{
	if (entries < 0)
		return reason_of(entries);
	if (o->n_alive > 0)
		return FIPC_KEEP_ATTACHED;
	if (o->n_unknown > 0)
		return FIPC_KEEP_UNKNOWN;
	if (o->error < 0)
		return o->error == -EBUSY ? FIPC_KEEP_BUSY : FIPC_KEEP_DAMAGED;
	return o->flags & FIPC_PERSIST ? FIPC_KEEP_PERSISTENT : FIPC_TAKE_UNUSED;
}

/* Nobody seems to be attached: make sure, under the lock, with the kernel for a witness, and take it away. */
static enum fipc_reason last_verdict(struct walk *w, const char *file, int fd, const struct stat *st,
				     struct fipc_object *o)
{
	enum fipc_reason verdict;
	int r;
	if (fipc__file_lock(fd) < 0)
		return FIPC_KEEP_BUSY;
	r = fipc__file_is_named(w->r->root, file, st);
	if (r <= 0)
		return r == 0 ? FIPC_KEEP_BUSY : reason_of(r);
	verdict = first_verdict(read_entries(w, file, w->collect, o), o);
	if (verdict != FIPC_TAKE_UNUSED)
		return verdict;
	r = fipc__file_lease(fd);
	if (r < 0)
		return r == -EAGAIN ? FIPC_KEEP_UNTRACKED : reason_of(r);
	if (w->collect) {
		r = fipc__object_drop(w->r->root, file, st->st_ino);
		if (r < 0) {
			o->error = r;
			return reason_of(r);
		}
		o->collected = 1;
	}
	return FIPC_TAKE_UNUSED;
}

static void judge_open(struct walk *w, const char *file, int fd, const struct stat *st, struct fipc_object *o)
{
	int entries = read_entries(w, file, w->collect, o);
	if (S_ISREG(st->st_mode))
		read_object(w, file, fd, st, o);
	else
		o->error = -EINVAL;
	o->reason = first_verdict(entries, o);
	if (o->reason == FIPC_TAKE_UNUSED)
		o->reason = last_verdict(w, file, fd, st, o);
}

/* Only entries are left. There is nothing to lock; who makes the object anew makes the directory anew too. */
static void judge_orphan(struct walk *w, const char *file, const struct stat *st, struct fipc_object *o)
{
	char pids[PIDS_SIZE_MAX];
	int r;
	o->uid = st->st_uid;
	o->gid = st->st_gid;
	o->mode = st->st_mode & 0777;
	o->error = -ENOENT;
	r = read_entries(w, file, w->collect, o);
	o->reason = r < 0 ? reason_of(r) : w->metas > 0 ? FIPC_KEEP_BUSY : FIPC_TAKE_ORPHAN;
	for (unsigned i = 0; r == 0 && i < o->n_attachments; i++)
		if (o->attachments[i].life != FIPC_DEAD)
			o->reason = o->attachments[i].life == FIPC_ALIVE ? FIPC_KEEP_ATTACHED : FIPC_KEEP_UNKNOWN;
	if (o->reason != FIPC_TAKE_ORPHAN || !w->collect)
		return;
	fipc__name_pids(pids, file);
	if (unlinkat(w->r->root, pids, AT_REMOVEDIR) == 0 || errno == ENOENT)
		o->collected = 1;
	else
		o->reason = errno == ENOTEMPTY ? FIPC_KEEP_BUSY : reason_of(-errno);
}

/* A temporary file: its maker has it open until it has its name. Nobody opens it but its maker. */
static void judge_unfinished(int at, const char *file, bool collect, int fd, struct fipc_object *o)
{
	int r = fipc__file_lease(fd);
	o->reason = r == 0 ? FIPC_TAKE_UNFINISHED : r == -EAGAIN ? FIPC_KEEP_BUSY : reason_of(r);
	if (r < 0 || !collect)
		return;
	if (unlinkat(at, file, 0) < 0 && errno != ENOENT)
		o->reason = reason_of(-errno);
	else
		o->collected = 1;
}

static bool owner_wanted(const struct fipc_filter *f, uint32_t uid)
{
	return !f || !f->by_owner || f->owner == uid;
}

static int open_quietly(int at, const char *file)
{
	int fd = openat(at, file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static enum fipc_reason reason_not_opened(int error)
{
	if (error == -EAGAIN)
		return FIPC_KEEP_BUSY; /* another collector has the lease */
	return error == -ELOOP || error == -ENXIO || error == -ENODEV ? FIPC_KEEP_DAMAGED : reason_of(error);
}

/* False: there is nothing, or it is not wanted. */
static bool judge(struct walk *w, const struct found *f, struct fipc_object *o)
{
	char pids[PIDS_SIZE_MAX];
	struct stat st;
	int fd;
	if (fstatat(w->r->root, f->file, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		fipc__name_pids(pids, f->file);
		if (f->unfinished || fstatat(w->r->root, pids, &st, AT_SYMLINK_NOFOLLOW) < 0 || !owner_wanted(w->filter, st.st_uid))
			return false;
		judge_orphan(w, f->file, &st, o);
		return true;
	}
	if (!owner_wanted(w->filter, st.st_uid))
		return false;
	note_owner(&st, o);
	fd = S_ISREG(st.st_mode) ? open_quietly(w->r->root, f->file) : -ELOOP;
	if (fd == -ENOENT)
		return false;
	if (fd < 0) {
		o->error = fd == -ELOOP ? -EINVAL : fd;
		o->reason = reason_not_opened(fd);
		return true;
	}
	if (fstat(fd, &st) == 0) {
		note_owner(&st, o);
		if (f->unfinished)
			judge_unfinished(w->r->root, f->file, w->collect, fd, o);
		else
			judge_open(w, f->file, fd, &st, o);
	}
	close(fd);
	return true;
}

static int visit(struct walk *w, const struct found *f)
{
	char name[FILE_SIZE_MAX];
	struct fipc_object o = {.name = f->file};
	bool wanted;
	size_t length;
	if (!f->unfinished) {
		o.type = (enum fipc_type)fipc__name_of_file(f->file, &length);
		memcpy(name, f->file, length);
		name[length] = '\0';
		o.name = name;
	}
	fipc__objects_lock(); /* no fork meanwhile, for a child would keep the object's lock and lease */
	wanted = judge(w, f, &o);
	fipc__objects_unlock();
	if (!wanted)
		return 0;
	return w->callback ? w->callback(&o, w->context) : 0;
}

/* ---- all of them ---- */

static int by_inode(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

static bool name_wanted(const struct fipc_filter *f, const char *file, size_t length, enum fipc_type type)
{
	char name[FILE_SIZE_MAX];
	if (f && f->type && f->type != type)
		return false;
	if (!f || !f->pattern)
		return true;
	memcpy(name, file, length);
	name[length] = '\0';
	return fnmatch(f->pattern, name, 0) == 0;
}

/*
 * Somebody may have been killed who was making or removing an object with its header beside it: then .pids stands alone,
 * and no inode leads to it.
 */
static bool perhaps_orphan(int root, const char *file, int type)
{
	const struct object_kind *kind = fipc__object_kind((enum fipc_type)type);
	struct stat st;
	return kind && kind->bare && fstatat(root, file, &st, AT_SYMLINK_NOFOLLOW) < 0;
}

/* Is this directory entry, an object's file, its .pids or a temporary file, worth a look? */
static int consider(int root, const struct fipc_filter *f, const struct dirent *e, struct names *ret)
{
	size_t length = strlen(e->d_name), name_length;
	bool inodes = f && f->inodes, pids = fipc__name_is_pids(e->d_name, &length);
	char file[NAME_MAX + 1];
	int type;
	if (inodes && !pids && !bsearch(&(uint64_t){e->d_ino}, f->inodes, f->n_inodes, sizeof(*f->inodes), by_inode))
		return 0;
	if (strncmp(e->d_name, UNFINISHED, strlen(UNFINISHED)) == 0)
		return f && (f->type || f->pattern) ? 0 : add_name(ret, e->d_name, length, true);
	memcpy(file, e->d_name, length);
	file[length] = '\0';
	type = fipc__name_of_file(file, &name_length);
	if (type < 0 || !name_wanted(f, file, name_length, (enum fipc_type)type))
		return 0;
	if (pids && inodes && !perhaps_orphan(root, file, type))
		return 0;
	return add_name(ret, file, length, false);
}

/* By name, then type. */
static int by_file(const void *a, const void *b)
{
	const char *x = ((const struct found *)a)->file, *y = ((const struct found *)b)->file;
	size_t i = 0, x_name = (size_t)(strrchr(x, '.') - x), y_name = (size_t)(strrchr(y, '.') - y);
	while (i < x_name && i < y_name && x[i] == y[i])
		i++;
	if (i < x_name && i < y_name)
		return (unsigned char)x[i] - (unsigned char)y[i];
	return x_name != y_name ? (x_name < y_name ? -1 : 1) : strcmp(x + x_name, y + y_name);
}

static int list(int root, const struct fipc_filter *filter, struct names *ret)
{
	int r = 0, fd = openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	if (!dir) {
		r = -errno;
		if (fd >= 0)
			close(fd);
		return r;
	}
	while (r == 0 && (errno = 0, e = readdir(dir)))
		r = consider(root, filter, e, ret);
	if (r == 0)
		r = -errno;
	closedir(dir);
	if (ret->n > 0)
		qsort(ret->items, ret->n, sizeof(*ret->items), by_file);
	return r;
}

int fipc_registry_walk(fipc_registry *r, unsigned flags, const struct fipc_filter *filter, fipc_object_fn callback,
		       void *context)
{
	struct walk w = {
		.r = r,
		.collect = (flags & FIPC_WALK_COLLECT) != 0,
		.filter = filter,
		.callback = callback,
		.context = context,
	};
	struct names names = {0};
	int error = flags & ~(unsigned)FIPC_WALK_COLLECT ? -EINVAL : list(r->root, filter, &names);
	if (error == 0 && names.n > 0 && !(w.copy = malloc(OBJECT_OFFSET + LOOK_MAX)))
		error = -ENOMEM;
	for (size_t i = 0; error == 0 && i < names.n; i++)
		if (i == 0 || by_file(&names.items[i - 1], &names.items[i]) != 0) /* an object and its .pids are one */
			error = visit(&w, &names.items[i]);
	forget_names(&names);
	free(w.attachments.items);
	free(w.copy);
	return error;
}

/* ---- processes ---- */

/* The tracker of a dead process goes when its last entry has gone. */
static void drop_tracker(int trackers, const char *name, int fd)
{
	struct stat st;
	if (fstat(fd, &st) == 0 && st.st_nlink == 1)
		unlinkat(trackers, name, 0);
}

static void drop_unfinished(int trackers, const char *name)
{
	struct fipc_object o = {0};
	int fd;
	fipc__objects_lock();
	fd = open_quietly(trackers, name);
	if (fd >= 0) {
		judge_unfinished(trackers, name, true, fd, &o);
		close(fd);
	}
	fipc__objects_unlock();
}

/* Not for the moment; any other error says something of the file. */
static bool out_of_something(int error)
{
	return error == -EMFILE || error == -ENFILE || error == -ENOMEM;
}

static int visit_process(int trackers, const char *name, bool collect, fipc_process_fn callback, void *context)
{
	struct fipc_process p = {0};
	struct tracker_text text;
	struct stat st;
	int fd, r = 0;
	if (!fipc__tracker_parse_name(name, &p.pid, &p.tracker))
		return 0;
	fd = open_quietly(trackers, name);
	if (fd < 0)
		return out_of_something(fd) ? fd : 0;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_ino == p.tracker) {
		p.life = fipc__tracker_life_of(fd);
		fipc__tracker_read_text(fd, &text);
		p.uid = st.st_uid;
		p.gid = st.st_gid;
		p.pidns = text.pidns;
		p.start = text.start;
		p.attachments = (unsigned)(st.st_nlink - 1);
		memcpy(p.comm, text.comm, sizeof(p.comm));
		r = callback ? callback(&p, context) : 0;
		if (collect && p.life == FIPC_DEAD)
			drop_tracker(trackers, name, fd);
	}
	close(fd);
	return r;
}

int fipc_registry_processes(fipc_registry *r, unsigned flags, fipc_process_fn callback, void *context)
{
	bool collect = (flags & FIPC_WALK_COLLECT) != 0;
	int error = 0, fd;
	struct dirent *e;
	DIR *dir;
	if (flags & ~(unsigned)FIPC_WALK_COLLECT)
		return -EINVAL;
	fd = fipc__root_open_trackers(r->root, true, false);
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	dir = fdopendir(fd);
	if (!dir) {
		error = -errno;
		close(fd);
		return error;
	}
	while (error == 0 && (errno = 0, e = readdir(dir)))
		if (strncmp(e->d_name, UNFINISHED, strlen(UNFINISHED)) != 0)
			error = visit_process(fd, e->d_name, collect, callback, context);
		else if (collect)
			drop_unfinished(fd, e->d_name);
	if (error == 0)
		error = -errno;
	closedir(dir);
	return error;
}

/* ---- one dead process ---- */

static int reclaim(fipc_registry *r, int fd, fipc_object_fn callback, void *context)
{
	uint64_t hints[TRACKER_HINTS];
	struct fipc_filter filter = {.inodes = hints, .n_inodes = fipc__tracker_read_hints(fd, hints)};
	struct stat st;
	int error = filter.n_inodes == 0 ? 0 : fipc_registry_walk(r, FIPC_WALK_COLLECT, &filter, callback, context);
	/* The hints were only hints. A link that is left is an entry somewhere else. */
	if (error == 0 && fstat(fd, &st) == 0 && st.st_nlink > 1)
		error = fipc_registry_walk(r, FIPC_WALK_COLLECT, NULL, callback, context);
	return error;
}

/* 1: it was dead, and this has been done. */
static int reclaim_if_dead(fipc_registry *r, int trackers, const char *tracker, fipc_object_fn callback, void *context)
{
	struct stat st;
	int32_t pid;
	uint64_t inode;
	int error = 0, fd = fipc__tracker_parse_name(tracker, &pid, &inode) ? open_quietly(trackers, tracker) : -ENOENT;
	if (fd < 0)
		return out_of_something(fd) ? fd : 0;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_ino == inode &&
	    fipc__tracker_life_of(fd) == FIPC_DEAD) {
		error = reclaim(r, fd, callback, context);
		if (error == 0) {
			drop_tracker(trackers, tracker, fd);
			error = 1;
		}
	}
	close(fd);
	return error;
}

int fipc_registry_reclaim(fipc_registry *r, const char *tracker, fipc_object_fn callback, void *context)
{
	int error = 0, trackers = fipc__root_open_trackers(r->root, true, false);
	if (trackers < 0)
		return trackers == -ENOENT ? 0 : trackers;
	if (strncmp(tracker, UNFINISHED, strlen(UNFINISHED)) == 0 && !strchr(tracker, '/'))
		drop_unfinished(trackers, tracker);
	else
		error = reclaim_if_dead(r, trackers, tracker, callback, context);
	close(trackers);
	return error;
}
