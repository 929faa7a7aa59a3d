/* SPDX-License-Identifier: Apache-2.0 */
#include "handle.h"

#include "fork.h"
#include "root.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define CLOSE_PATIENCE_MS 100 /* for a thread that is on its way out of unlock */

struct root {
	struct root *next;
	bool explicitly;
	struct tracker tracker; /* page NULL: this process has none here yet */
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
	char name[NAME_LONGEST + 1], file[FILE_SIZE_MAX];
};

static struct root *roots;
static struct handle *handles;
static _Atomic bool untracked; /* a child that has its parent's handles and no tracker; changed under the lock */

void fipc__objects_forked(void)
{
	/* Trackers are the parent's; their mappings did not come along, so there is nothing to unmap. */
	for (struct root *r = roots; r; r = r->next)
		r->tracker = (struct tracker){0};
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
		r->next = roots;
		roots = r;
	}
	r->explicitly = choice->explicitly;
	*ret = r;
	return 0;
}

/* A process that has changed its user needs another one; the old one stays mapped, for entries made before live by it. */
static int make_tracker(struct root *root, int fd)
{
	int trackers, r;
	if (root->tracker.page && root->tracker.uid == geteuid())
		return 0;
	trackers = fipc__root_open_trackers(fd, root->explicitly, true);
	if (trackers < 0)
		return trackers;
	r = fipc__tracker_make(trackers, &root->tracker);
	close(trackers);
	return r;
}

/* Somebody removed the directory, or our tracker from it. Make another, and move all that is open to it. */
static int renew_tracker(struct root *root, int fd)
{
	struct tracker old = root->tracker;
	int r;
	root->tracker = (struct tracker){0};
	r = make_tracker(root, fd);
	if (r < 0) {
		root->tracker = old;
		return r;
	}
	for (struct handle *h = handles; h; h = h->next) {
		if (h->root != root || h->tracker.page != old.page)
			continue;
		r = fipc__entry_add(fd, h->file, &root->tracker, &h->st);
		(void)r; /* without an entry the lease protects it */
		r = fipc__entry_remove(fd, h->file, &old, h->st.st_ino);
		(void)r; /* it dies with the old tracker */
		h->tracker = root->tracker;
	}
	munmap(old.page, sizeof(*old.page));
	return 0;
}

/* Leave an entry. Who may not write there stays untracked, and is protected by the lease alone. */
static int track(struct root *root, int fd, const char *file, const struct stat *st, struct tracker *ret)
{
	int r = make_tracker(root, fd);
	if (r == 0)
		r = fipc__entry_add(fd, file, &root->tracker, st);
	if (r == -ESTALE) {
		r = renew_tracker(root, fd);
		if (r == 0)
			r = fipc__entry_add(fd, file, &root->tracker, st);
	}
	if (r == 0)
		*ret = root->tracker;
	return r == -EACCES || r == -EROFS ? 0 : r;
}

static void adopt(struct handle *h)
{
	struct root_choice choice = {h->root->path, h->root->explicitly};
	struct object o;
	int fd = fipc__root_open(&choice, false), r;
	if (fd < 0)
		return;
	/* Under the object's lock if the name still leads to it, and nobody has it: without lock or entry there is the lease,
	 * which is refused for what is mapped. */
	if (fipc__object_find(fd, h->file, FIPC_READONLY | FIPC_ANY_OWNER, &o) == 0) {
		if (o.st.st_ino == h->st.st_ino)
			fipc__file_lock(o.fd);
		r = track(h->root, fd, h->file, &h->st, &h->tracker);
		(void)r;
		fipc__object_settle(&o);
	}
	close(fd);
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
	int fd; /* of the root */
	const struct object_kind *kind;
	const void *params;
	const char *name;
	char file[FILE_SIZE_MAX];
	unsigned flags;
	mode_t mode;
};

static struct handle *new_handle(const struct request *q, const struct object *o)
{
	struct handle *h = calloc(1, sizeof(*h));
	if (!h)
		return NULL;
	h->root = q->root;
	h->kind = q->kind;
	h->st = o->st;
	h->readonly = (q->flags & FIPC_READONLY) != 0;
	h->persistent = (o->header.flags & FIPC_PERSIST) != 0;
	h->references = 1;
	h->view.magic = VIEW_MAGIC;
	strcpy(h->name, q->name);
	strcpy(h->file, q->file);
	h->map_size = OBJECT_OFFSET + o->size;
	return h;
}

/* What its users get, of a type that gives out something of the process's own. */
static int make_local(struct handle *h)
{
	int r;
	if (!h->kind->local_size)
		return 0;
	h->local = calloc(1, h->kind->local_size);
	if (!h->local)
		return -ENOMEM;
	*h->local = (struct object_local){h->map + OBJECT_OFFSET, h->map_size - OBJECT_OFFSET, h->readonly};
	r = h->kind->begin ? h->kind->begin(h->local) : 0;
	if (r < 0) {
		free(h->local);
		h->local = NULL;
	}
	return r;
}

static void discard(struct handle *h)
{
	if (h->local && h->kind->end)
		h->kind->end(h->local);
	free(h->local);
	if (h->map)
		munmap(h->map, h->map_size);
	free(h);
}

/* Make a handle of an object that was joined or created, and stays locked meanwhile. */
static int make_handle(const struct request *q, struct object *o, struct handle **ret)
{
	struct handle *h = new_handle(q, o);
	int r;
	if (!h)
		return -ENOMEM;
	r = !h->readonly && o->header.pidns != fipc__process_pidns() ? -EXDEV : 0;
	if (r == 0)
		r = fipc__object_map(q->fd, q->file, o, h->map_size, h->readonly, &h->map);
	if (r == 0)
		r = make_local(h);
	if (r == 0)
		r = track(q->root, q->fd, q->file, &o->st, &h->tracker);
	if (r < 0) {
		discard(h);
		return r;
	}
	h->next = handles;
	handles = h;
	*ret = h;
	return 0;
}

static int create(const struct request *q, struct handle **ret)
{
	const struct making making = {q->kind, q->params, q->flags, q->mode};
	struct object o;
	int r = make_tracker(q->root, q->fd); /* first, so that a death from now on is news */
	if (r < 0)
		return r;
	r = fipc__object_create(q->fd, q->file, &making, &q->root->tracker, &o);
	if (r < 0)
		return r;
	r = make_handle(q, &o, ret);
	if (r < 0)
		fipc__object_drop(q->fd, q->file); /* locked and ours: nobody has joined it */
	fipc__object_settle(&o);
	return r < 0 ? r : FIPC_CREATED;
}

static int join(const struct request *q, struct object *o, struct handle **ret)
{
	struct handle *h = find_open(q->root, &o->st, (q->flags & FIPC_READONLY) != 0);
	int r;
	if (h && !(q->flags & FIPC_EXCL)) {
		h->references++;
		close(o->fd);
		*ret = h;
		return 0;
	}
	r = fipc__object_join(q->fd, q->file, q->kind, o);
	if (r < 0)
		return r;
	r = q->flags & FIPC_EXCL ? -EEXIST : make_handle(q, o, ret);
	fipc__object_settle(o);
	return r;
}

/* Take away what is there, also when it is nothing that could be opened. */
static int replace(const struct request *q, int found, struct object *o)
{
	if (found == 0)
		return fipc__object_replace(q->fd, q->file, o);
	return found == -EINVAL || found == -EACCES ? fipc__object_unlink(q->fd, q->file) : found;
}

static int open_once(const struct request *q, bool *replaced, struct handle **ret)
{
	struct object o;
	int r = fipc__object_find(q->fd, q->file, q->flags, &o);
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
	if (r < 0)
		return r;
	q->fd = fipc__root_open(choice, (q->flags & FIPC_CREATE) != 0);
	if (q->fd < 0)
		return q->fd;
	adopt_all();
	r = open_until(q, ret);
	close(q->fd);
	return r;
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
	fipc__name_file(q.file, checked, kind->type);
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
	struct root *root;
	int fd; /* of the root; < 0: there is no more to do */
	struct stat st;
	struct tracker tracker;
	bool persistent;
	char file[FILE_SIZE_MAX];
};

static bool for_the_moment(int error)
{
	return error == -EMFILE || error == -ENFILE || error == -ENOMEM;
}

/* Take the entry away. An error: nothing has changed. */
static int depart(struct handle *h, struct departure *d)
{
	struct root_choice choice = {h->root->path, h->root->explicitly};
	int r;
	*d = (struct departure){h->root, -1, h->st, h->tracker, h->persistent, {0}};
	strcpy(d->file, h->file);
	if (other_handle(h))
		return 0;
	d->fd = fipc__root_open(&choice, false);
	if (d->fd < 0) /* or the directory is gone, and our entry with it */
		return for_the_moment(d->fd) ? d->fd : 0;
	r = h->tracker.page ? fipc__entry_remove(d->fd, h->file, &h->tracker, h->st.st_ino) : 0;
	if (r < 0)
		close(d->fd);
	return r;
}

static int close_locked(void *object, const struct object_kind *kind, struct departure *d)
{
	struct handle *h = handle_of(object);
	int r;
	d->fd = -1;
	if (!h || h->kind != kind)
		return -EINVAL;
	adopt_all();
	if (h->references > 1) {
		h->references--;
		return 0;
	}
	r = h->readonly ? 0 : kind->busy(object);
	if (r == 0)
		r = depart(h, d);
	if (r < 0)
		return r;
	unlist(h);
	discard(h);
	return 0;
}

/* Closed: now see to the object. A hint stays where it is left behind, so that our death leads fipcd to it. */
static void settle(struct departure *d)
{
	struct patience patience = {0};
	int r;
	do {
		fipc__objects_lock();
		r = fipc__object_leave(d->fd, d->file, &d->st, d->persistent);
		if (r == 0 && d->tracker.page && d->tracker.page == d->root->tracker.page)
			fipc__tracker_unhint(&d->tracker, d->st.st_ino);
		fipc__objects_unlock();
	} while (r == -EBUSY && fipc__be_patient(&patience));
	close(d->fd);
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
	if (r == 0 && d.fd >= 0)
		settle(&d);
	pthread_setcancelstate(state, NULL);
	return r == -EAGAIN ? -EBUSY : r;
}

static int unlink_locked(const struct root_choice *choice, const char *file)
{
	int r, fd = fipc__root_open(choice, false);
	if (fd < 0)
		return fd;
	do
		r = fipc__object_unlink(fd, file);
	while (r == -EAGAIN);
	close(fd);
	return r;
}

int fipc__named_unlink(const char *name, enum fipc_type type)
{
	char checked[NAME_LONGEST + 1], file[FILE_SIZE_MAX];
	struct patience patience = {0};
	struct root_choice choice;
	int state, r = name ? fipc__name_parse(name, checked) : -EINVAL;
	if (r == 0)
		r = fipc__root_choose(&choice);
	if (r == 0)
		r = fipc__process_enter();
	if (r < 0)
		return r;
	fipc__name_file(file, checked, type);
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

size_t fipc__handle_size(const void *object)
{
	struct handle *h = look_up(object);
	return h ? h->map_size - OBJECT_OFFSET : 0;
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
