/* SPDX-License-Identifier: Apache-2.0 */
#include "handle.h"

#include "fork.h"
#include "root.h"
#include "slot.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define CLOSE_PATIENCE_MS 100 /* for a thread that is on its way out of unlock */

struct root {
	struct root *next;
	bool explicitly;
	struct tracker tracker; /* page NULL: this process has none here yet */
	struct desk desk;
	char path[];
};

struct handle {
	struct handle *next;
	struct root *root;
	const struct object_kind *kind;
	struct stat st;
	struct tracker tracker; /* under which its entry is; page NULL: the parent's */
	bool readonly, persistent;
	unsigned references;
	char *map;
	size_t map_size;
	union {
		_Atomic uint32_t magic;
		uint64_t bytes[8];
	} view; /* what a reader is given instead of memory that he may not write */
	struct object_local *local;
	char *name; /* behind file */
	char file[]; /* its whole path */
};

static struct root *roots;
static struct handle *handles;
static _Atomic bool untracked; /* a child that has its parent's handles and no tracker; changed under the lock */

void fipc__objects_forked(void)
{
	/* Trackers are the parent's; their mappings did not come along, so there is nothing to unmap. */
	for (struct root *r = roots; r; r = r->next) {
		r->tracker = (struct tracker){0};
		fipc__desk_forked(&r->desk);
	}
	for (struct handle *h = handles; h; h = h->next)
		h->tracker = (struct tracker){0};
	untracked = handles != NULL;
}

static void *object_of(struct handle *h)
{
	return h->local ? h->local : h->readonly ? (void *)&h->view : h->map + OBJECT_OFFSET;
}

static struct handle *handle_of(const void *object)
{
	struct handle *h = handles;
	while (h && object_of(h) != object)
		h = h->next;
	return h;
}

/* ---- directories and trackers ---- */

static int root_for(const struct root_choice *choice, struct root **ret)
{
	struct root *r = roots;
	while (r && strcmp(r->path, choice->path) != 0)
		r = r->next;
	if (!r) {
		r = calloc(1, sizeof(*r) + strlen(choice->path) + 1);
		if (!r)
			return -ENOMEM;
		strcpy(r->path, choice->path);
		r->desk.directory = r->path;
		r->next = roots;
		roots = r;
	}
	r->explicitly = choice->explicitly;
	*ret = r;
	return 0;
}

static int open_trackers(struct root *root)
{
	struct root_choice choice = {root->path, root->explicitly};
	int trackers, fd = fipc__root_open(&choice, false);
	if (fd < 0)
		return fd;
	trackers = fipc__root_open_trackers(fd, root->explicitly, true);
	close(fd);
	return trackers;
}

/* A process that has changed its user needs another one; the old one stays mapped, for entries made before live by it. */
static int make_tracker(struct root *root)
{
	int trackers, r;
	if (root->tracker.page && root->tracker.uid == geteuid())
		return 0;
	trackers = open_trackers(root);
	if (trackers < 0)
		return trackers;
	r = fipc__tracker_make(trackers, &root->tracker);
	if (r == 0)
		fipc__desk_open(&root->desk, &root->tracker);
	close(trackers);
	return r;
}

/* Somebody removed the directory, or our tracker from it. Make another, and move all that is open to it. */
static int renew_tracker(struct root *root)
{
	struct tracker old = root->tracker;
	int r;
	root->tracker = (struct tracker){0};
	r = make_tracker(root);
	if (r < 0) {
		root->tracker = old;
		return r;
	}
	for (struct handle *h = handles; h; h = h->next) {
		if (h->root != root || h->tracker.page != old.page)
			continue;
		r = fipc__entry_add(AT_FDCWD, h->file, &root->tracker, &h->st, true);
		(void)r; /* without an entry, what is mapped protects it */
		fipc__entry_remove(AT_FDCWD, h->file, &old, h->st.st_ino);
		h->tracker = root->tracker;
	}
	fipc__desk_abandon(&old);
	return 0;
}

/* Leave an entry. Who may not write there stays untracked; what he has mapped protects the object. */
static int track(struct root *root, const char *file, const struct stat *st, bool maker, struct tracker *ret)
{
	int r = root->tracker.page ? 0 : make_tracker(root); /* whose it is was looked at before, in an open */
	if (r == 0)
		r = fipc__entry_add(AT_FDCWD, file, &root->tracker, st, maker);
	if (r == -ESTALE) {
		r = renew_tracker(root);
		if (r == 0)
			r = fipc__entry_add(AT_FDCWD, file, &root->tracker, st, maker);
	}
	if (r == 0)
		*ret = root->tracker;
	return r == -EACCES || r == -EROFS ? 0 : r;
}

static void adopt(struct handle *h)
{
	struct root_choice choice = {h->root->path, h->root->explicitly};
	int r = fipc__root_trust(&choice);
	if (r == 0)
		r = track(h->root, h->file, &h->st, true, &h->tracker);
	(void)r; /* without an entry, what is mapped protects it */
}

static void adopt_all(void)
{
	if (!atomic_exchange(&untracked, false))
		return;
	for (struct handle *h = handles; h; h = h->next)
		adopt(h);
}

void fipc__handles_adopt(void)
{
	if (!atomic_load(&untracked))
		return;
	fipc__objects_lock();
	adopt_all();
	fipc__objects_unlock();
}

/* ---- open ---- */

static struct handle *find_open(struct root *root, const struct stat *st, bool readonly)
{
	struct handle *h = handles;
	while (h && (h->root != root || h->st.st_ino != st->st_ino || h->st.st_dev != st->st_dev ||
		     h->readonly != readonly))
		h = h->next;
	return h;
}

static bool other_handle(const struct handle *than)
{
	return find_open(than->root, &than->st, !than->readonly) != NULL;
}

struct request {
	struct root *root;
	const struct object_kind *kind;
	const void *params;
	const char *name;
	char file[PATH_SIZE_MAX];
	unsigned flags;
	mode_t mode;
};

static struct handle *new_handle(const struct request *q, const struct object *o)
{
	size_t length = strlen(q->file) + 1;
	struct handle *h = calloc(1, sizeof(*h) + length + strlen(q->name) + 1);
	if (!h)
		return NULL;
	h->root = q->root;
	h->kind = q->kind;
	h->st = o->st;
	h->readonly = (q->flags & FIPC_READONLY) != 0;
	h->persistent = (o->header.flags & FIPC_PERSIST) != 0;
	h->references = 1;
	h->view.magic = VIEW_MAGIC;
	strcpy(h->file, q->file);
	h->name = strcpy(h->file + length, q->name);
	h->map_size = OBJECT_OFFSET + o->size;
	return h;
}

/* What its users get, of a type that gives out something of the process's own. */
static int begin_local(struct handle *h, int fd)
{
	int r;
	h->local = calloc(1, h->kind->local_size);
	if (!h->local)
		return -ENOMEM;
	*h->local = (struct object_local){
		.object = h->map ? h->map + OBJECT_OFFSET : NULL,
		.size = h->map_size - OBJECT_OFFSET,
		.readonly = h->readonly,
		.fd = fd,
	};
	r = h->kind->begin ? h->kind->begin(h->local) : 0;
	if (r < 0) {
		free(h->local);
		h->local = NULL;
	}
	return r;
}

static int map_object(struct handle *h, const struct object *o)
{
	struct named named = {.size = h->map_size, .inode = o->st.st_ino, .type = h->kind->type, .desk = &h->root->desk};
	int r = fipc__object_map(o, h->map_size, h->readonly, &h->map);
	if (r < 0)
		return r;
	named.map = h->map;
	fipc__slot_know(&named);
	return h->kind->local_size ? begin_local(h, -1) : 0;
}

static int keep_bare(struct handle *h, const struct object *o)
{
	int r, fd = fipc__object_keep(o, h->readonly);
	if (fd < 0)
		return fd;
	r = begin_local(h, fd);
	if (r < 0)
		close(fd);
	return r;
}

static void discard(struct handle *h)
{
	if (h->local && h->kind->end)
		h->kind->end(h->local);
	free(h->local);
	if (h->map) {
		fipc__slot_forget(h->map, h->map_size, h->kind->type);
		munmap(h->map, h->map_size);
	}
	free(h);
}

/* Make a handle of an object that was joined or created. */
static int make_handle(const struct request *q, struct object *o, struct handle **ret)
{
	struct handle *h = new_handle(q, o);
	int r;
	if (!h)
		return -ENOMEM;
	r = !h->kind->anywhere && !h->readonly && o->header.pidns != fipc__process_pidns() ? -EXDEV : 0;
	if (r == 0)
		r = h->kind->bare ? keep_bare(h, o) : map_object(h, o);
	if (r == 0)
		r = track(q->root, q->file, &o->st, o->made, &h->tracker);
	if (r < 0) {
		discard(h);
		return r;
	}
	h->next = handles;
	handles = h;
	*ret = h;
	return 0;
}

/* Attached, and yet not opened: somebody may have left meanwhile and seen that he was not the last. */
static void back_out(const struct request *q, struct object *o)
{
	int r;
	fipc__object_settle(o);
	r = fipc__object_leave(AT_FDCWD, q->file, fipc__object_open_to_leave(AT_FDCWD, q->file), &o->st,
			       (o->header.flags & FIPC_PERSIST) != 0);
	if (r == 0)
		fipc__tracker_unhint(&q->root->tracker, o->st.st_ino);
}

static int make_directory(const struct request *q)
{
	struct root_choice choice = {q->root->path, q->root->explicitly};
	int fd = fipc__root_open(&choice, true);
	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

static int create(const struct request *q, struct handle **ret)
{
	const struct making making = {q->kind, q->params, q->flags, q->mode};
	struct object o;
	int r = make_directory(q);
	if (r == 0)
		r = make_tracker(q->root); /* first, so that a death from now on is news */
	if (r == 0)
		r = fipc__object_create(AT_FDCWD, q->file, &making, &q->root->tracker, &o);
	if (r < 0)
		return r;
	r = make_handle(q, &o, ret);
	if (r < 0) {
		fipc__object_unmake(AT_FDCWD, q->file, &o);
		fipc__tracker_unhint(&q->root->tracker, o.st.st_ino);
		return r;
	}
	fipc__object_settle(&o);
	return FIPC_CREATED;
}

/* The hint before the object is attached: who leaves it then leaves it to us, and we may be killed before our entry. */
static int attach(const struct request *q, struct object *o, struct handle **ret)
{
	uint64_t inode = o->st.st_ino;
	int r = make_tracker(q->root);
	if (r == 0)
		fipc__tracker_hint(&q->root->tracker, inode, q->file);
	else if (r != -EACCES && r != -EROFS) {
		fipc__object_settle(o);
		return r;
	}
	r = fipc__object_join(AT_FDCWD, q->file, q->kind, o);
	if (r < 0) {
		if (q->root->tracker.page)
			fipc__tracker_unhint(&q->root->tracker, inode);
		return r;
	}
	r = make_handle(q, o, ret);
	if (r < 0)
		back_out(q, o);
	else
		fipc__object_settle(o);
	return r;
}

static int join(const struct request *q, struct object *o, struct handle **ret)
{
	struct handle *h = find_open(q->root, &o->st, (q->flags & FIPC_READONLY) != 0);
	int r;
	if (q->flags & FIPC_EXCL) {
		r = fipc__object_probe(AT_FDCWD, q->file, q->kind, o);
		if (r < 0)
			return r;
		fipc__object_settle(o);
		return -EEXIST;
	}
	if (!h)
		return attach(q, o, ret);
	h->references++;
	fipc__object_settle(o);
	*ret = h;
	return 0;
}

/* Take away what is there, also when it is nothing that could be opened. */
static int replace(const struct request *q, int found, struct object *o)
{
	const struct stat ours = {.st_uid = geteuid(), .st_mode = q->mode};
	int r = fipc__entries_usable(AT_FDCWD, q->file, &ours); /* else the name would be lost for nothing */
	if (r < 0) {
		if (found == 0)
			fipc__object_settle(o);
		return r;
	}
	if (found == 0)
		return fipc__object_replace(AT_FDCWD, q->file, o);
	return found == -EINVAL || found == -EACCES ? fipc__object_unlink(AT_FDCWD, q->file, 0) : found;
}

static int open_once(const struct request *q, bool *replaced, struct handle **ret)
{
	struct object o;
	int r = fipc__object_find(AT_FDCWD, q->file, q->flags, &o);
	if (r == -ENOENT)
		return q->flags & FIPC_CREATE ? create(q, ret) : r;
	if (q->flags & FIPC_REPLACE && !*replaced) {
		r = replace(q, r, &o);
		if (r < 0)
			return r == -ENOENT ? -EAGAIN : r;
		*replaced = true;
		return -EAGAIN;
	}
	return r < 0 ? r : join(q, &o, ret);
}

/* Each turn somebody else has made or taken away the object; somebody got on. */
static int open_until(const struct request *q, struct handle **ret)
{
	bool replaced = false;
	int r;
	do
		r = open_once(q, &replaced, ret);
	while (r == -EAGAIN || (r == -EEXIST && !(q->flags & FIPC_EXCL)));
	return r;
}

static int check_flags(const struct object_kind *kind, unsigned flags, mode_t mode)
{
	const unsigned known = kind->flags | FIPC_CREATE | FIPC_EXCL | FIPC_REPLACE | FIPC_PERSIST | FIPC_READONLY |
			       FIPC_ANY_OWNER;
	if (flags & ~known || mode & ~(mode_t)0777)
		return -EINVAL;
	if (!(flags & FIPC_CREATE) && flags & (FIPC_EXCL | FIPC_REPLACE | FIPC_PERSIST))
		return -EINVAL;
	if (flags & FIPC_CREATE && flags & FIPC_READONLY)
		return -EINVAL;
	return flags & FIPC_EXCL && flags & FIPC_REPLACE ? -EINVAL : 0;
}

static int check_name(const char *name, unsigned flags, char ret[NAME_LONGEST + 1])
{
	if (name)
		return fipc__name_parse(name, ret);
	if (~flags & (FIPC_CREATE | FIPC_EXCL))
		return -EINVAL;
	fipc__name_random(ret);
	return 0;
}

static int open_locked(struct request *q, const struct root_choice *choice, struct handle **ret)
{
	int r = root_for(choice, &q->root);
	if (r == 0)
		r = fipc__root_trust(choice);
	if (r < 0 && (r != -ENOENT || !(q->flags & FIPC_CREATE)))
		return r;
	adopt_all();
	return open_until(q, ret);
}

int fipc__named_open(void **ret, const struct object_kind *kind, const void *params, const char *name, unsigned flags,
		     mode_t mode)
{
	char checked[NAME_LONGEST + 1];
	struct request q = {.kind = kind, .params = params, .name = checked, .flags = flags, .mode = mode};
	struct patience patience = {0};
	struct root_choice choice;
	struct handle *h;
	int state, r = check_flags(kind, flags, mode);
	if (r == 0)
		r = check_name(name, flags, checked);
	if (r == 0)
		r = fipc__root_choose(&choice);
	if (r == 0)
		r = fipc__process_enter();
	if (r < 0)
		return r;
	fipc__name_file(q.file, choice.path, checked, kind->type);
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	do {
		fipc__objects_lock();
		r = open_locked(&q, &choice, &h);
		if (r >= 0)
			*ret = object_of(h);
		fipc__objects_unlock();
	} while (r == -EBUSY && fipc__be_patient(&patience));
	pthread_setcancelstate(state, NULL);
	return r;
}

int fipc__named_prepare(struct unfinished *ret)
{
	struct root_choice choice;
	char file[PATH_SIZE_MAX];
	int fd, r = fipc__root_choose(&choice);
	if (r == 0)
		r = fipc__process_enter();
	if (r < 0)
		return r;
	fd = fipc__root_open(&choice, true);
	if (fd < 0)
		return fd;
	close(fd);
	fipc__name_file(file, choice.path, "", FIPC_TYPE_SHM); /* whatever it will be called */
	return fipc__object_prepare(AT_FDCWD, file, ret);
}

/* ---- close, unlink ---- */

static void unlist(struct handle *h)
{
	struct handle **at = &handles;
	while (*at != h)
		at = &(*at)->next;
	*at = h->next;
}

/* What is left of a handle when it is closed, until it is known whether somebody else has the object. */
struct departure {
	bool settled;
	struct root *root;
	struct stat st;
	struct tracker tracker;
	bool persistent;
	char file[PATH_SIZE_MAX];
};

/*
 * A hint stays where the object is left behind, so that our death leads fipcd to it; but not, when there are many, if
 * somebody else who stays is on record for it.
 */
static void unhint(struct departure *d, int left)
{
	struct tracker *t = &d->root->tracker;
	if (!d->tracker.page || d->tracker.page != t->page)
		return;
	if (left == 0 || (left == LEFT_BEHIND && fipc__tracker_crowded(t) &&
			  fipc__entries_any(AT_FDCWD, d->file, d->st.st_ino)))
		fipc__tracker_unhint(t, d->st.st_ino);
}

/* Closed: now see to the object. fd: as fipc__object_open_to_leave gave it. */
static void leave(struct departure *d, int fd)
{
	int r = fipc__object_leave(AT_FDCWD, d->file, fd, &d->st, d->persistent);
	d->settled = r != -EBUSY;
	if (d->settled)
		unhint(d, r);
}

static bool for_the_moment(int error)
{
	return error == -EMFILE || error == -ENFILE || error == -ENOMEM;
}

/* Take it apart. An error: nothing has changed. */
static int depart(struct handle *h, struct departure *d)
{
	bool last = !other_handle(h);
	int fd = last ? fipc__object_open_to_leave(AT_FDCWD, h->file) : -ENOENT; /* first, for it may fail */
	if (for_the_moment(fd))
		return fd;
	if (last) {
		d->root = h->root;
		d->st = h->st;
		d->tracker = h->tracker;
		d->persistent = h->persistent;
		strcpy(d->file, h->file);
		if (h->tracker.page)
			fipc__entry_remove(AT_FDCWD, h->file, &h->tracker, h->st.st_ino);
	}
	unlist(h);
	discard(h);
	if (last)
		leave(d, fd);
	return 0;
}

static int close_locked(void *object, const struct object_kind *kind, struct departure *d)
{
	struct handle *h = handle_of(object);
	int r;
	d->settled = true;
	if (!h || h->kind != kind)
		return -EINVAL;
	adopt_all();
	if (h->references > 1) {
		h->references--;
		return 0;
	}
	r = h->readonly ? 0 : kind->busy(object);
	return r < 0 ? r : depart(h, d);
}

/* Somebody was just taking it away, or looking whether to. */
static void settle(struct departure *d)
{
	struct patience patience = {0};
	while (!d->settled && fipc__be_patient(&patience)) {
		fipc__objects_lock();
		leave(d, fipc__object_open_to_leave(AT_FDCWD, d->file));
		fipc__objects_unlock();
	}
}

int fipc__named_close(void *object, const struct object_kind *kind)
{
	struct patience patience = {fipc_after_ms(CLOSE_PATIENCE_MS), 10000};
	struct departure d;
	int state, r;
	if (!object)
		return 0;
	r = fipc__process_enter();
	if (r < 0)
		return r;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	do {
		fipc__objects_lock();
		r = close_locked(object, kind, &d);
		fipc__objects_unlock();
	} while (r == -EAGAIN && fipc__be_patient(&patience));
	if (r == 0)
		settle(&d);
	pthread_setcancelstate(state, NULL);
	return r == -EAGAIN ? -EBUSY : r;
}

static int unlink_locked(const struct root_choice *choice, const char *file)
{
	int r = fipc__root_trust(choice);
	if (r < 0)
		return r;
	do
		r = fipc__object_unlink(AT_FDCWD, file, 0);
	while (r == -EAGAIN);
	return r;
}

int fipc__named_unlink(const char *name, enum fipc_type type)
{
	char checked[NAME_LONGEST + 1], file[PATH_SIZE_MAX];
	struct patience patience = {0};
	struct root_choice choice;
	int state, r = name ? fipc__name_parse(name, checked) : -EINVAL;
	if (r == 0)
		r = fipc__root_choose(&choice);
	if (r == 0)
		r = fipc__process_enter();
	if (r < 0)
		return r;
	fipc__name_file(file, choice.path, checked, type);
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	do {
		fipc__objects_lock();
		r = unlink_locked(&choice, file);
		fipc__objects_unlock();
	} while (r == -EBUSY && fipc__be_patient(&patience));
	pthread_setcancelstate(state, NULL);
	return r;
}

/* ---- looking up ---- */

static struct handle *look_up(const void *object)
{
	struct handle *h;
	if (fipc__process_enter() < 0)
		return NULL;
	fipc__objects_lock();
	h = handle_of(object);
	fipc__objects_unlock();
	return h; /* lives until its last close, which is the caller's affair */
}

bool fipc__handle_is_view(const void *object)
{
	struct handle *h = look_up(object);
	return h && h->readonly;
}

const void *fipc__handle_behind_view(const void *object)
{
	const _Atomic uint32_t *magic = object;
	struct handle *h;
	if (atomic_load_explicit(magic, memory_order_relaxed) != VIEW_MAGIC)
		return object;
	h = look_up(object);
	return h && h->readonly ? h->map + OBJECT_OFFSET : object;
}

static size_t size_of(const struct handle *h)
{
	return h ? h->map_size - OBJECT_OFFSET : 0;
}

size_t fipc__handle_size(const void *object)
{
	return size_of(look_up(object));
}

size_t fipc__handle_size_locked(const void *object)
{
	return size_of(handle_of(object));
}

bool fipc__handle_is_named(const void *object)
{
	return look_up(object) != NULL;
}

const char *fipc_name(const void *object)
{
	struct handle *h = look_up(object);
	return h ? h->name : NULL;
}

uint64_t fipc__handle_tracker(const void *object)
{
	struct handle *h = look_up(object);
	return h && h->tracker.page ? h->tracker.inode : 0;
}

/* -ENOENT: that tracker is not there (any more). */
static int tracker_life(struct root *root, int32_t pid, uint64_t tracker)
{
	int trackers = open_trackers(root), life;
	struct stat st = {0};
	char name[48];
	if (trackers < 0)
		return FIPC_UNKNOWN;
	snprintf(name, sizeof(name), "%d-%" PRIu64, (int)pid, tracker);
	life = fipc__tracker_life(trackers, name, &st);
	close(trackers);
	return life >= 0 && st.st_ino != tracker ? FIPC_UNKNOWN : life;
}

/* Without a tracker only this can be said: where there is no process of its pid, it is dead. */
enum fipc_life fipc__handle_life(const void *object, int32_t pid, uint64_t tracker)
{
	int saved = errno, life = -ENOENT;
	struct handle *h;
	fipc__objects_lock();
	h = handle_of(object);
	if (h && tracker)
		life = tracker_life(h->root, pid, tracker);
	fipc__objects_unlock();
	if (life < 0)
		life = pid > 0 && kill(pid, 0) < 0 && errno == ESRCH ? FIPC_DEAD : FIPC_UNKNOWN;
	errno = saved;
	return (enum fipc_life)life;
}
