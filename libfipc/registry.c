/* SPDX-License-Identifier: Apache-2.0 */
#include <fipc/registry.h>

#include "attach.h"
#include "each.h"
#include "fastipc.h"
#include "fork.h"
#include "mend.h"
#include "meta.h"
#include "name.h"
#include "object.h"
#include "probe.h"
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
	struct recall recall;
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
	[FIPC_KEEP_OWNER_DIED] = {false, "owner-died", "it is in use; gc takes it from its owner, who is dead"},
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
	fipc__recall_init(&r->recall, fd);
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
	fipc__recall_forget(&r->recall);
	free(r);
}

const char *fipc_registry_dir(const fipc_registry *r)
{
	return r->path;
}

int fipc__registry_root(const fipc_registry *r)
{
	return r->root;
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
	size_t name; /* how much of it is before the type; 0 of an unfinished one */
	bool unfinished;
	bool regular; /* readdir says that it is a regular file of ours */
	enum fipc_type python; /* of a segment of Python's fastipc; 0: it is none */
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

/* An object's file and its .pids were made together, so they mostly lie together, too: one of them will do. */
static bool is_last(const struct names *list, const char *file)
{
	return list->n > 0 && strcmp(list->items[list->n - 1].file, file) == 0;
}

static int add_name(struct names *list, const char *file, size_t name, bool unfinished)
{
	char *copy;
	if (is_last(list, file))
		return 0;
	if (list->n == list->room) {
		size_t room = list->room ? 2 * list->room : 64;
		void *p = realloc(list->items, room * sizeof(*list->items));
		if (!p)
			return -ENOMEM;
		list->items = p;
		list->room = room;
	}
	copy = strndup(file, NAME_MAX);
	if (!copy)
		return -ENOMEM;
	list->items[list->n++] = (struct found){copy, name, unfinished, false, 0};
	return 0;
}

static int add_object(struct names *list, const char *file, size_t name, bool regular)
{
	int r = add_name(list, file, name, false);
	if (r == 0 && regular)
		list->items[list->n - 1].regular = true;
	return r;
}

static int add_segment(struct names *list, const char *file, enum fipc_type type)
{
	int r = add_name(list, file, strlen(file), false);
	if (r == 0)
		list->items[list->n - 1].python = type;
	return r;
}

/* Not for the moment; any other error says something of the file. */
static bool out_of_something(int error)
{
	return error == -EMFILE || error == -ENFILE || error == -ENOMEM;
}

/* ---- one object ---- */

struct fipc_walk {
	fipc_registry *r;
	bool collect, by_owner;
	uint32_t owner;
	fipc_object_fn callback;
	void *context;
	struct names names;
	size_t next; /* of them */
	struct attachments attachments;
	unsigned metas; /* beside them, that stay */
	fipc_deadline living_until;
	struct scratch *scratch;
	struct fastipc *python; /* NULL: there is no place for segments of it */
};

/*
 * So long a process that was found alive is not asked again. In the order of names the objects of one process lie far from
 * each other: of thousands each has to be met again within that time, or all would be asked for each object.
 */
enum { LIVING_MS = 1000 };

struct scratch {
	struct memory memory;
	unsigned char copy[OBJECT_OFFSET + LOOK_MAX]; /* of the object looked at */
	struct fipc_holder holders[FIPC_HOLDERS_MAX];
};

/* Look inside an object, without touching its memory: its file may be truncated at any moment. */
static int look_inside(struct fipc_walk *w, int fd, const struct object_kind *kind, size_t copied, struct fipc_object *o)
{
	const size_t size = copied < LOOK_MAX ? copied : LOOK_MAX;
	/* One of the dead may have been woken and not passed it on; who is woken for nothing sleeps again. */
	struct look_map map = {.fd = fd, .size = size};
	const struct look l = {
		.copy = w->scratch->copy + OBJECT_OFFSET,
		.copied = size,
		.size = o->size,
		.map = &map,
		.holders = w->scratch->holders,
		.wake = o->entries_removed > 0 && o->n_alive > 0,
	};
	int r = kind->look(&l, o);
	if (map.at)
		munmap(map.at, OBJECT_OFFSET + size);
	return r;
}

static void note_header(const struct object_header *header, struct fipc_object *o)
{
	o->flags = header->flags;
	o->creator = header->creator;
	o->pidns = header->pidns;
	o->created_ns = header->created_ns;
}

static int read_copy(struct fipc_walk *w, const char *file, int fd, const struct object_kind *kind,
		     struct fipc_object *o)
{
	unsigned char *copy = w->scratch->copy;
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
	o->holders = w->scratch->holders;
	copied = (size_t)n - OBJECT_OFFSET < size ? (size_t)n - OBJECT_OFFSET : size;
	r = look_inside(w, fd, kind, copied, o);
	if (r == 0 && w->collect)
		fipc__mend_locks(w->r->root, file, o, copy + OBJECT_OFFSET, copied);
	return r;
}

/* All that is known of it is beside it. */
static int look_beside(const struct fipc_walk *w, const char *file, const struct object_kind *kind, const struct stat *st,
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

static void read_object(struct fipc_walk *w, const char *file, int fd, const struct stat *st, struct fipc_object *o)
{
	const struct object_kind *kind = fipc__object_kind(o->type);
	if (kind && kind->bare) {
		o->error = look_beside(w, file, kind, st, o);
		return;
	}
	o->size = st->st_size > (off_t)OBJECT_OFFSET ? (size_t)st->st_size - OBJECT_OFFSET : 0;
	o->error = kind ? read_copy(w, file, fd, kind, o) : -EINVAL;
}

static void note_owner(const struct stat *st, struct fipc_object *o)
{
	o->uid = st->st_uid;
	o->gid = st->st_gid;
	o->mode = st->st_mode & 0777;
	o->inode = st->st_ino;
}

/* Who is attached. remove: the entries of the dead. */
static int read_entries(struct fipc_walk *w, const char *file, bool remove, struct fipc_object *o)
{
	struct survey s;
	int r;
	w->attachments.n = 0;
	r = fipc_type_is_python(o->type)
		    ? fipc__fastipc_entries(w->python, file, remove, remember, &w->attachments, &s)
		    : fipc__entries_survey(w->r->root, file, o->inode, remove, &w->scratch->memory, remember,
					   &w->attachments, &s);
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
static enum fipc_reason last_verdict(struct fipc_walk *w, const char *file, int fd, const struct stat *st,
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

static void judge_open(struct fipc_walk *w, const char *file, int fd, const struct stat *st, struct fipc_object *o)
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
static void judge_orphan(struct fipc_walk *w, const char *file, const struct stat *st, struct fipc_object *o)
{
	char pids[PIDS_SIZE_MAX];
	int r;
	o->uid = st->st_uid;
	o->gid = st->st_gid;
	o->mode = st->st_mode & 0777;
	o->error = -ENOENT;
	r = read_entries(w, file, w->collect, o);
	o->reason = r < 0 ? reason_of(r) : w->metas > 0 ? FIPC_KEEP_BUSY : FIPC_TAKE_ORPHAN;
	if (fipc_type_is_python(o->type) && r == 0 && o->n_attachments == 0 && fipc__fastipc_is_new(st))
		o->reason = FIPC_KEEP_BUSY;
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

/* ---- a segment of Python's fastipc ---- */

static enum fipc_reason take_from_the_dead(struct fipc_walk *w, const char *file, int fd, struct fipc_object *o)
{
	int r = w->collect ? fipc__fastipc_free(w->python, file, fd, o) : 0;
	if (r == 0)
		return FIPC_KEEP_OWNER_DIED;
	if (r == -EAGAIN || r == -EBUSY)
		return FIPC_KEEP_BUSY;
	o->error = r;
	return reason_of(r);
}

static enum fipc_reason judge_used(struct fipc_walk *w, const char *file, int fd, int entries, struct fipc_object *o)
{
	if (o->error < 0)
		return o->error == -ENODATA ? FIPC_KEEP_BUSY : FIPC_KEEP_DAMAGED;
	if (fipc__fastipc_owner_died(w->python, o))
		return take_from_the_dead(w, file, fd, o);
	if (entries < 0)
		return reason_of(entries);
	return o->n_alive > 0 ? FIPC_KEEP_ATTACHED : o->n_unknown > 0 ? FIPC_KEEP_UNKNOWN : FIPC_KEEP_UNTRACKED;
}

/* The kernel is asked first, and knows: who has an entry need not have the segment any more, and the reverse. */
static void judge_segment(struct fipc_walk *w, const char *file, int fd, const struct stat *st, struct fipc_object *o)
{
	int entries = read_entries(w, file, w->collect, o), r;
	o->error = fipc__fastipc_look(fd, st, w->collect, o);
	r = fipc__file_lease(fd);
	if (r == -EAGAIN)
		o->reason = judge_used(w, file, fd, entries, o);
	else if (r < 0)
		o->reason = reason_of(r);
	else if (o->error < 0)
		o->reason = o->error != -ENODATA        ? FIPC_KEEP_DAMAGED
			    : fipc__fastipc_is_new(st) ? FIPC_KEEP_BUSY
						       : FIPC_TAKE_UNFINISHED;
	else
		o->reason = FIPC_TAKE_UNUSED;
}

/* It was not used a moment ago, and is closed now, for our own look would count. */
static void take_segment(struct fipc_walk *w, const char *file, const struct stat *st, struct fipc_object *o)
{
	int r = fipc__fastipc_drop(w->python, file, st, &o->entries_removed);
	if (r == 0)
		o->collected = 1;
	else if (r == -EAGAIN || r == -EBUSY)
		o->reason = FIPC_KEEP_BUSY;
	else {
		o->error = r;
		o->reason = reason_of(r);
	}
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

static bool owner_wanted(const struct fipc_walk *w, uint32_t uid)
{
	return !w->by_owner || w->owner == uid;
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

/* A quick look at what is most probably there and whole: the two system calls that it spares are a fifth of a walk. */
static bool judge_quickly(struct fipc_walk *w, const struct found *f, struct fipc_object *o)
{
	int fd = f->regular && !w->by_owner ? open_quietly(w->r->root, f->file) : -ENOENT;
	struct stat st;
	if (fd < 0)
		return false;
	if (fstat(fd, &st) == 0) {
		note_owner(&st, o);
		judge_open(w, f->file, fd, &st, o);
	}
	close(fd);
	return true;
}

/* False: there is nothing, or it is not wanted. */
static bool judge(struct fipc_walk *w, const struct found *f, struct fipc_object *o)
{
	const int at = f->python ? w->python->shm : w->r->root;
	char pids[PIDS_SIZE_MAX];
	struct stat st;
	int fd;
	if (fstatat(at, f->file, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		fipc__name_pids(pids, f->file);
		if (f->unfinished || fstatat(w->r->root, pids, &st, AT_SYMLINK_NOFOLLOW) < 0 || !owner_wanted(w, st.st_uid))
			return false;
		judge_orphan(w, f->file, &st, o);
		return true;
	}
	if (!owner_wanted(w, st.st_uid))
		return false;
	note_owner(&st, o);
	fd = S_ISREG(st.st_mode) ? open_quietly(at, f->file) : -ELOOP;
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
			judge_unfinished(at, f->file, w->collect, fd, o);
		else if (f->python)
			judge_segment(w, f->file, fd, &st, o);
		else
			judge_open(w, f->file, fd, &st, o);
	}
	close(fd);
	if (f->python && w->collect && fipc_reason_takes(o->reason))
		take_segment(w, f->file, &st, o);
	return true;
}

static int visit(struct fipc_walk *w, const struct found *f)
{
	char name[FILE_SIZE_MAX];
	struct fipc_object o = {.name = f->file, .type = f->python};
	bool wanted;
	if (!f->unfinished && !f->python) {
		o.type = (enum fipc_type)fipc_type_from_name(f->file + f->name + 1);
		memcpy(name, f->file, f->name);
		name[f->name] = '\0';
		o.name = name;
	}
	fipc__objects_lock(); /* no fork meanwhile, for a child would keep the object's lock and lease */
	wanted = judge_quickly(w, f, &o) || judge(w, f, &o);
	fipc__objects_unlock();
	if (!wanted)
		return 0;
	if (o.collected)
		PROBE3(reclaimed, o.name, o.type, o.inode);
	return w->callback ? w->callback(&o, w->context) : 0;
}

/* ---- all of them ---- */

int fipc__by_inode(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

static bool name_wanted(const struct fipc_filter *f, const char *file, size_t length, enum fipc_type type)
{
	char name[NAME_MAX + 1];
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

struct listing {
	struct fipc_walk *w;
	const struct fipc_filter *filter;
};

static bool inode_wanted(const struct fipc_filter *f, uint64_t inode)
{
	return !f || !f->inodes || bsearch(&inode, f->inodes, f->n_inodes, sizeof(*f->inodes), fipc__by_inode);
}

/* Is the segment of this name worth a look? inode: 0 if it is not known. */
static int consider_segment(const struct listing *l, const char *file, uint64_t inode)
{
	enum fipc_type type = l->w->python ? fipc__fastipc_type(file) : 0;
	struct stat st;
	if (!type || !name_wanted(l->filter, file, strlen(file), type))
		return 0;
	if (inode == 0 && l->filter && l->filter->inodes)
		inode = fstatat(l->w->python->shm, file, &st, AT_SYMLINK_NOFOLLOW) == 0 ? st.st_ino : 0;
	return inode_wanted(l->filter, inode) ? add_segment(&l->w->names, file, type) : 0;
}

/* Is this directory entry, an object's file, its .pids or a temporary file, worth a look? */
static int consider(int root, const struct dirent *e, void *context)
{
	const struct listing *l = context;
	const struct fipc_filter *f = l->filter;
	size_t length = strlen(e->d_name), name_length;
	bool inodes = f && f->inodes, pids = fipc__name_is_pids(e->d_name, &length);
	char file[NAME_MAX + 1];
	int type;
	if (!pids && !inode_wanted(f, e->d_ino))
		return 0;
	if (strncmp(e->d_name, UNFINISHED, strlen(UNFINISHED)) == 0)
		return f && (f->type || f->pattern) ? 0 : add_name(&l->w->names, e->d_name, 0, true);
	memcpy(file, e->d_name, length);
	file[length] = '\0';
	type = fipc__name_of_file(file, &name_length);
	if (type < 0)
		return pids ? consider_segment(l, file, 0) : 0;
	if (!name_wanted(f, file, name_length, (enum fipc_type)type))
		return 0;
	if (pids && inodes && !perhaps_orphan(root, file, type))
		return 0;
	return add_object(&l->w->names, file, name_length, !pids && e->d_type == DT_REG);
}

static int consider_shared(int shm, const struct dirent *e, void *context)
{
	(void)shm;
	return consider_segment(context, e->d_name, e->d_ino);
}

/* By name, then type. */
static int by_file(const void *a, const void *b)
{
	const struct found *x = a, *y = b;
	int r = memcmp(x->file, y->file, x->name < y->name ? x->name : y->name);
	if (r != 0 || x->name != y->name)
		return r != 0 ? r : x->name < y->name ? -1 : 1;
	return strcmp(x->file + x->name, y->file + y->name);
}

/* A name without wildcards leads to its files without a search. */
static bool is_one_name(const struct fipc_filter *f)
{
	return f && f->pattern && !f->inodes && !strpbrk(f->pattern, "*?[\\");
}

/* A directory that does not answer for all has only those that have entries in it. */
static int list_one_segment(const struct listing *l)
{
	const char *file = l->filter->pattern;
	char pids[PIDS_SIZE_MAX];
	if (!l->w->python || !fipc__fastipc_type(file) || strchr(file, '/') || strlen(file) > NAME_MAX)
		return 0;
	fipc__name_pids(pids, file);
	if (!l->w->python->all && faccessat(l->w->r->root, pids, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	return consider_segment(l, file, 0);
}

static int list_one_name(const struct listing *l)
{
	const struct fipc_filter *f = l->filter;
	struct names *names = &l->w->names;
	char name[NAME_LONGEST + 1], file[PATH_SIZE_MAX];
	int r = 0;
	if (strncmp(f->pattern, UNFINISHED, strlen(UNFINISHED)) == 0)
		return f->type || strchr(f->pattern, '/') ? 0 : add_name(names, f->pattern, 0, true);
	if (fipc__name_parse(f->pattern, name) < 0 || strcmp(f->pattern, name) != 0)
		return list_one_segment(l);
	for (int type = FIPC_TYPE_MUTEX; r == 0 && type <= FIPC_TYPE_MQ; type++) {
		if (f->type && f->type != (enum fipc_type)type)
			continue;
		fipc__name_file(file, NULL, name, (enum fipc_type)type);
		r = add_name(names, file, strlen(name), false);
	}
	return r;
}

static int list_names(int at, each_fn visit, struct listing *l)
{
	int fd = openat(at, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fipc__each_name(fd < 0 ? -errno : fd, visit, l);
}

static int list_directories(struct listing *l)
{
	const struct fastipc *python = l->w->python;
	int error = list_names(l->w->r->root, consider, l);
	if (error < 0 || !python || !python->all)
		return error;
	error = list_names(python->shm, consider_shared, l);
	return error == -EACCES ? 0 : error;
}

static int list(struct listing *l)
{
	struct names *names = &l->w->names;
	int r = is_one_name(l->filter) ? list_one_name(l) : list_directories(l);
	if (names->n > 0)
		qsort(names->items, names->n, sizeof(*names->items), by_file);
	return r;
}

/* A machine without /dev/shm has no such segments, and who may not look there sees none. */
static int make_python(fipc_walk *w)
{
	int r;
	w->python = malloc(sizeof(*w->python));
	if (!w->python)
		return -ENOMEM;
	r = fipc__fastipc_open(w->python, w->r->root);
	if (r == 0)
		return 0;
	free(w->python);
	w->python = NULL;
	return out_of_something(r) ? r : 0;
}

/* What the looks need; made with the first. */
static int make_scratch(fipc_walk *w)
{
	w->scratch = calloc(1, sizeof(*w->scratch));
	if (!w->scratch)
		return -ENOMEM;
	w->scratch->memory.recall = &w->r->recall;
	return 0;
}

static void make_recall(fipc_walk *w, bool all)
{
	fipc__objects_lock();
	fipc__recall_make_room(&w->r->recall, w->names.n, all);
	fipc__objects_unlock();
}

static void release(fipc_walk *w)
{
	free(w->attachments.items);
	free(w->scratch);
	fipc__fastipc_close(w->python);
	free(w->python);
}

int fipc_walk_open(fipc_walk **ret, fipc_registry *r, unsigned flags, const struct fipc_filter *filter)
{
	fipc_walk *w;
	int error;
	if (flags & ~(unsigned)FIPC_WALK_COLLECT)
		return -EINVAL;
	w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	w->r = r;
	w->collect = (flags & FIPC_WALK_COLLECT) != 0;
	w->by_owner = filter && filter->by_owner;
	w->owner = filter ? filter->owner : 0;
	error = make_python(w);
	if (error == 0)
		error = list(&(struct listing){w, filter});
	if (error == 0 && w->names.n > 0)
		error = make_scratch(w);
	if (error == 0)
		make_recall(w, !filter);
	if (error < 0)
		fipc_walk_close(w);
	else
		*ret = w;
	return error;
}

/* However long a walk takes, nobody is told what was true long ago. */
static void forget_living(fipc_walk *w)
{
	if (!w->scratch || fipc_after_ns(1) < w->living_until)
		return;
	memset(&w->scratch->memory.living, 0, sizeof(w->scratch->memory.living));
	w->living_until = fipc_after_ms(LIVING_MS);
}

int fipc_walk_step(fipc_walk *w, size_t n, fipc_object_fn callback, void *context)
{
	const struct names *names = &w->names;
	int error = 0;
	w->callback = callback;
	w->context = context;
	for (; error == 0 && n > 0 && w->next < names->n; w->next++, n--) {
		forget_living(w);
		/* an object and its .pids are one */
		if (w->next == 0 || by_file(&names->items[w->next - 1], &names->items[w->next]) != 0)
			error = visit(w, &names->items[w->next]);
	}
	return error;
}

int fipc_walk_is_over(const fipc_walk *w)
{
	return w->next == w->names.n;
}

void fipc_walk_close(fipc_walk *w)
{
	if (!w)
		return;
	forget_names(&w->names);
	release(w);
	free(w);
}

int fipc_registry_walk(fipc_registry *r, unsigned flags, const struct fipc_filter *filter, fipc_object_fn callback,
		       void *context)
{
	fipc_walk *w;
	int error = fipc_walk_open(&w, r, flags, filter);
	if (error == 0) {
		error = fipc_walk_step(w, SIZE_MAX, callback, context);
		fipc_walk_close(w);
	}
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

struct visit {
	bool collect;
	fipc_process_fn callback;
	void *context;
};

static int visit_process(int trackers, const char *name, void *context)
{
	const struct visit *visit = context;
	struct fipc_process p;
	struct stat st;
	int r, fd;
	if (strncmp(name, UNFINISHED, strlen(UNFINISHED)) == 0) {
		if (visit->collect)
			drop_unfinished(trackers, name);
		return 0;
	}
	fd = fipc__tracker_open(trackers, name, &p, &st);
	if (fd < 0)
		return out_of_something(fd) ? fd : 0;
	fipc__tracker_describe(fd, &st, &p);
	r = visit->callback ? visit->callback(&p, visit->context) : 0;
	if (visit->collect && p.life == FIPC_DEAD)
		drop_tracker(trackers, name, fd);
	close(fd);
	return r;
}

int fipc__registry_trackers(fipc_registry *r, tracker_fn visit, void *context)
{
	int error = 0, fd = fipc__root_open_trackers(r->root, true, false);
	struct dirent *e;
	DIR *dir;
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	dir = fdopendir(fd);
	if (!dir) {
		error = -errno;
		close(fd);
		return error;
	}
	while (error == 0 && (errno = 0, e = readdir(dir)))
		error = visit(fd, e->d_name, context);
	if (error == 0)
		error = -errno;
	closedir(dir);
	return error;
}

int fipc_registry_processes(fipc_registry *r, unsigned flags, fipc_process_fn callback, void *context)
{
	struct visit visit = {(flags & FIPC_WALK_COLLECT) != 0, callback, context};
	return flags & ~(unsigned)FIPC_WALK_COLLECT ? -EINVAL : fipc__registry_trackers(r, visit_process, &visit);
}

/* ---- one dead process ---- */

struct hints {
	struct tracker_hint of[TRACKER_HINTS];
	uint64_t nameless[TRACKER_HINTS];
	size_t n, n_nameless;
};

/* Look at the objects whose names it said; of the others, note the inodes. */
static int visit_named(struct fipc_walk *w, struct hints *h)
{
	int error = 0;
	for (size_t i = 0; error == 0 && i < h->n; i++) {
		struct found f = {.file = h->of[i].file};
		if (fipc__name_of_file(f.file, &f.name) >= 0)
			error = visit(w, &f);
		else
			h->nameless[h->n_nameless++] = h->of[i].inode;
	}
	return error;
}

static int visit_nameless(struct fipc_walk *w, struct hints *h)
{
	const struct fipc_filter filter = {.inodes = h->nameless, .n_inodes = h->n_nameless};
	if (h->n_nameless == 0)
		return 0;
	qsort(h->nameless, h->n_nameless, sizeof(*h->nameless), fipc__by_inode);
	return fipc_registry_walk(w->r, FIPC_WALK_COLLECT, &filter, w->callback, w->context);
}

static int visit_hinted(struct fipc_walk *w, int fd)
{
	struct hints *h = malloc(sizeof(*h));
	int error = h ? make_scratch(w) : -ENOMEM;
	if (error == 0) {
		h->n = fipc__tracker_read_hints(fd, h->of);
		h->n_nameless = 0;
		error = visit_named(w, h);
	}
	release(w);
	if (error == 0)
		error = visit_nameless(w, h);
	free(h);
	return error;
}

static int reclaim(fipc_registry *r, int fd, fipc_object_fn callback, void *context)
{
	struct fipc_walk w = {.r = r, .collect = true, .callback = callback, .context = context};
	struct stat st;
	int error = visit_hinted(&w, fd);
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
