/* SPDX-License-Identifier: Apache-2.0 */
#include "slot.h"

#include "clock.h"
#include "object.h"
#include "probe.h"
#include "robust.h"
#include "room.h"
#include "rwlock.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LONG_NS INT64_C(50000000) /* a wait that fipcd is told of */

/* ---- what lies where: the pages in which sleepers' words are, by address ---- */

#define PAGE ((uintptr_t)4096)
#define FORGOTTEN 1 /* an item whose object was closed: no address, but others may stand behind it */
#define TABLE_MIN 64

/*
 * Open addressing, half empty. Changed under fipc__objects_lock; read without one, by threads that use the object,
 * which therefore stays open and known meanwhile. `page` is stored last; release; pairs with the acquire in find().
 */
struct known {
	_Atomic uintptr_t page; /* 0: none was ever here */
	_Atomic uintptr_t map;
	_Atomic uint64_t inode;
	_Atomic uint32_t type;
	struct desk *_Atomic desk;
};

struct table {
	struct table *smaller; /* somebody may still be reading it: kept; all of them are no larger than this one */
	size_t size, used;
	struct known *items;
};
static struct known first_items[TABLE_MIN];
static struct table first = {.size = TABLE_MIN, .items = first_items};
static struct table *_Atomic table = &first;

static size_t place_of(const struct table *t, uintptr_t page)
{
	return (page / PAGE * UINT64_C(0x9e3779b97f4a7c15) >> 32) & (t->size - 1);
}

static struct known *find(struct table *t, uintptr_t page)
{
	size_t i = place_of(t, page);
	uintptr_t at;
	while ((at = atomic_load_explicit(&t->items[i].page, memory_order_acquire)) != 0) {
		if (at == page)
			return &t->items[i];
		i = (i + 1) & (t->size - 1);
	}
	return NULL;
}

static struct known *find_room(struct table *t, uintptr_t page)
{
	size_t i = place_of(t, page);
	while (atomic_load_explicit(&t->items[i].page, memory_order_relaxed) > FORGOTTEN)
		i = (i + 1) & (t->size - 1);
	return &t->items[i];
}

static uint64_t relaxed(const _Atomic uint64_t *v)
{
	return atomic_load_explicit(v, memory_order_relaxed);
}

/* relaxed, all but the last: published by it */
static void put(struct table *t, uintptr_t page, const struct named *n)
{
	struct known *k = find_room(t, page);
	if (atomic_load_explicit(&k->page, memory_order_relaxed) == 0)
		t->used++;
	atomic_store_explicit(&k->map, (uintptr_t)n->map, memory_order_relaxed);
	atomic_store_explicit(&k->inode, n->inode, memory_order_relaxed);
	atomic_store_explicit(&k->type, n->type, memory_order_relaxed);
	atomic_store_explicit(&k->desk, n->desk, memory_order_relaxed);
	atomic_store_explicit(&k->page, page, memory_order_release);
}

static void copy(struct table *to, const struct known *k)
{
	uintptr_t page = atomic_load_explicit(&k->page, memory_order_relaxed);
	const struct named n = {
		.map = (const void *)atomic_load_explicit(&k->map, memory_order_relaxed),
		.inode = relaxed(&k->inode),
		.type = (enum fipc_type)atomic_load_explicit(&k->type, memory_order_relaxed),
		.desk = atomic_load_explicit(&k->desk, memory_order_relaxed),
	};
	if (page > FORGOTTEN)
		put(to, page, &n);
}

/* NULL: no memory; then who sleeps there is not shown. */
static struct table *with_room(struct table *old)
{
	size_t size = 2 * old->size;
	struct table *t;
	if (2 * (old->used + 1) <= old->size)
		return old;
	t = calloc(1, sizeof(*t) + size * sizeof(*t->items));
	if (!t)
		return NULL;
	t->smaller = old;
	t->size = size;
	t->items = (struct known *)(t + 1);
	for (size_t i = 0; i < old->size; i++)
		copy(t, &old->items[i]);
	/* release; pairs with the acquire in look_up() */
	atomic_store_explicit(&table, t, memory_order_release);
	return t;
}

/* Of most types all words that are slept on are in the first page. */
static size_t known_size(enum fipc_type type, size_t size)
{
	return type == FIPC_TYPE_RWLOCK ? size : PAGE;
}

void fipc__slot_know(const struct named *n)
{
	for (size_t at = 0; at < known_size(n->type, n->size); at += PAGE) {
		struct table *t = with_room(atomic_load_explicit(&table, memory_order_relaxed));
		if (t)
			put(t, (uintptr_t)n->map + at, n);
	}
}

/* Where nothing stands behind it, a forgotten item is as good as one that never was; and so the one before it. */
static void forget(struct table *t, struct known *k)
{
	size_t mask = t->size - 1, i = (size_t)(k - t->items);
	atomic_store_explicit(&k->page, FORGOTTEN, memory_order_relaxed);
	while (atomic_load_explicit(&t->items[i].page, memory_order_relaxed) == FORGOTTEN &&
	       atomic_load_explicit(&t->items[(i + 1) & mask].page, memory_order_relaxed) == 0) {
		atomic_store_explicit(&t->items[i].page, 0, memory_order_relaxed);
		t->used--;
		i = (i - 1) & mask;
	}
}

void fipc__slot_forget(const void *map, size_t size, enum fipc_type type)
{
	struct table *t = atomic_load_explicit(&table, memory_order_relaxed);
	for (size_t at = 0; at < known_size(type, size); at += PAGE) {
		struct known *k = find(t, (uintptr_t)map + at);
		if (k)
			forget(t, k);
	}
}

static const struct known *look_up(const void *word)
{
	return find(atomic_load_explicit(&table, memory_order_acquire), (uintptr_t)word & ~(PAGE - 1));
}

/* ---- the desk, and each thread's slot ---- */

void fipc__desk_open(struct desk *d, const struct tracker *t)
{
	atomic_store_explicit(&d->tracker, t->inode, memory_order_relaxed);
	/* release; pairs with the acquire in slot_of(): the mapping is there */
	atomic_store_explicit(&d->page, t->page, memory_order_release);
}

void fipc__desk_forked(struct desk *d)
{
	atomic_store_explicit(&d->page, NULL, memory_order_relaxed);
}

void fipc__desk_abandon(struct tracker *t)
{
	mmap(t->page, sizeof(*t->page), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE,
	     -1, 0);
}

/* There is memory for one more page of them: say so to readers. relaxed: they look at all of the page anyway */
static bool open_page(struct tracker_page *page, uint32_t i)
{
	uint32_t pages = atomic_load_explicit(&page->slot_pages, memory_order_relaxed);
	if (!fipc__page_has_memory(&page->slots[i * WAIT_SLOTS_PAGE]))
		return false;
	while (pages <= i && !atomic_compare_exchange_weak_explicit(&page->slot_pages, &pages, i + 1,
								    memory_order_relaxed, memory_order_relaxed))
		;
	return true;
}

/* relaxed: its thread alone has it; that the number is even is seen before its fields change, see fill() */
static bool take(struct wait_slot *s, uint32_t tid)
{
	uint32_t owner = 0, number = atomic_load_explicit(&s->number, memory_order_relaxed);
	if (!atomic_compare_exchange_strong_explicit(&s->tid, &owner, tid, memory_order_relaxed,
						     memory_order_relaxed) &&
	    owner != tid) /* a thread that ended without telling had this tid, or a handler of this one was first */
		return false;
	if (number & 1)
		atomic_store_explicit(&s->number, number + 1, memory_order_relaxed);
	return true;
}

static struct wait_slot *find_slot(struct tracker_page *page, uint32_t tid)
{
	for (uint32_t i = 0; i < WAIT_SLOTS; i++) {
		if (i % WAIT_SLOTS_PAGE == 0 && !open_page(page, i / WAIT_SLOTS_PAGE))
			return NULL;
		if (take(&page->slots[i], tid))
			return &page->slots[i];
	}
	return NULL;
}

void fipc__slot_leave(struct thread *t)
{
	struct wait_slot *s = t->slot;
	t->slot = NULL;
	if (s)
		atomic_store_explicit(&s->tid, 0, memory_order_relaxed);
}

/* NULL: there is no tracker, no memory, or no slot left. */
static struct wait_slot *slot_of(struct thread *t, const struct desk *d)
{
	struct tracker_page *page = atomic_load_explicit(&d->page, memory_order_acquire);
	if (t->slot && t->slot_page == page)
		return t->slot;
	fipc__slot_leave(t); /* it is of another directory, or of a tracker that was given up */
	if (page)
		t->slot = find_slot(page, t->tid);
	t->slot_page = page;
	return t->slot;
}

/* ---- one wait ---- */

/* What the word says, and the object that it is in. */
struct wait {
	uint32_t what, owner_tid, acquisition;
	uint64_t object;
	int64_t since_ns;
};

static void note_mutex(struct wait *w, const struct mutex *m, uint32_t word)
{
	w->what = WAIT_WHAT(FIPC_TYPE_MUTEX, FIPC_WAIT_LOCK, 0);
	w->owner_tid = word & WORD_TID;
	w->acquisition = atomic_load_explicit(&m->acquisitions, memory_order_relaxed);
}

static void note_rwlock(struct wait *w, const struct rwlock *l, const struct futex_place *place, bool reads)
{
	bool at_gate = place->word == (const void *)&l->gate.word;
	enum fipc_wait_kind kind = at_gate ? (reads ? FIPC_WAIT_READ : FIPC_WAIT_WRITE)
					   : (reads ? FIPC_WAIT_SLOT : FIPC_WAIT_READERS);
	w->what = WAIT_WHAT(FIPC_TYPE_RWLOCK, kind, 0);
	w->owner_tid = place->expected & WORD_TID;
	w->acquisition = atomic_load_explicit(&l->writes, memory_order_relaxed);
}

/* The clock last: what was seen of the owner, he had by then. */
static struct wait describe(const struct thread *t, const struct known *k, const struct futex_place *place,
			    fipc_deadline d)
{
	const void *object = (const char *)atomic_load_explicit(&k->map, memory_order_relaxed) + OBJECT_OFFSET;
	uint32_t type = atomic_load_explicit(&k->type, memory_order_relaxed);
	struct wait w = {.what = WAIT_WHAT(type, FIPC_WAIT_WAKE, 0), .object = relaxed(&k->inode)};
	if (type == FIPC_TYPE_MUTEX)
		note_mutex(&w, object, place->expected);
	else if (type == FIPC_TYPE_RWLOCK)
		note_rwlock(&w, object, place, t->reads);
	w.what |= WAIT_WHAT(0, 0, d != FIPC_FOREVER);
	w.since_ns = fipc__now_ns();
	return w;
}

/*
 * release, each: a reader that sees one of these sees that the number was even before. He reads all of it twice
 * (fipc__tracker_read_waits), and what changed in between he does not believe.
 */
static void fill(struct wait_slot *s, const struct wait *w)
{
	atomic_store_explicit(&s->object, w->object, memory_order_release);
	atomic_store_explicit(&s->since_ns, (uint64_t)w->since_ns, memory_order_release);
	atomic_store_explicit(&s->what, w->what, memory_order_release);
	atomic_store_explicit(&s->owner_tid, w->owner_tid, memory_order_release);
	atomic_store_explicit(&s->acquisition, w->acquisition, memory_order_release);
}

/* The swap fails if a handler that slept came in between: then the fields are his, or mixed. */
static void say(struct wait_slot *s, const struct wait *w)
{
	uint32_t number = atomic_load_explicit(&s->number, memory_order_relaxed);
	do {
		if (number & 1) { /* we are a handler that interrupted a sleeper; that one is not shown any more */
			number++;
			atomic_store_explicit(&s->number, number, memory_order_relaxed);
		}
		fill(s, w);
	} while (!atomic_compare_exchange_strong_explicit(&s->number, &number, number + 1, memory_order_release,
							  memory_order_relaxed));
}

/* relaxed: fill() orders what comes after. Even already: a handler slept meanwhile. */
static void say_no_more(struct wait_slot *s)
{
	uint32_t number = atomic_load_explicit(&s->number, memory_order_relaxed);
	if (number & 1)
		atomic_store_explicit(&s->number, number + 1, memory_order_relaxed);
}

/* Whoever may not, or has lost the path, is shown to those who look for themselves. */
static __attribute__((noinline, cold)) void touch(const struct thread *t, const struct desk *d)
{
	char path[PATH_MAX];
	int saved = errno;
	int n = snprintf(path, sizeof(path), "%s/" FIPC_TRACKERS "/%" PRIu32 "-%" PRIu64, d->directory, t->pid,
			 relaxed(&d->tracker));
	if (n < (int)sizeof(path))
		syscall(SYS_utimensat, AT_FDCWD, path, NULL, AT_SYMLINK_NOFOLLOW);
	errno = saved;
}

/*
 * In two slices. Between them this thread sleeps on nothing, as before the first one: who changed the word meanwhile is
 * found out by the kernel, which compares it again.
 */
static int wait_long(const struct futex_place *places, unsigned n, fipc_deadline d, const struct thread *t,
		     const struct desk *desk, int64_t since_ns)
{
	fipc_deadline first = since_ns + LONG_NS;
	int r = fipc__futex_wait_any(places, n, first < d ? first : d);
	if (r != -ETIMEDOUT || first >= d)
		return r;
	touch(t, desk);
	return fipc__futex_wait_any(places, n, d);
}

static struct wait_slot *slot_for(struct thread *t, const struct known *k)
{
	int saved = errno;
	struct wait_slot *s = k && t->top ? slot_of(t, atomic_load_explicit(&k->desk, memory_order_relaxed)) : NULL;
	errno = saved;
	return s;
}

static int sleep_shown(const struct futex_place *places, unsigned n, fipc_deadline d)
{
	struct thread *t = fipc__self;
	const struct known *k = look_up(places->word);
	struct wait_slot *s = slot_for(t, k);
	struct wait w;
	int r;
	if (!s)
		return fipc__futex_wait_any(places, n, d);
	w = describe(t, k, places, d);
	say(s, &w);
	r = wait_long(places, n, d, t, atomic_load_explicit(&k->desk, memory_order_relaxed), w.since_ns);
	say_no_more(s);
	return r;
}

int fipc__sleep(const struct futex_place *places, unsigned n, fipc_deadline d)
{
	int r;
	PROBE3(contended, places->word, places->expected, d);
	r = sleep_shown(places, n, d);
	PROBE2(woken, places->word, r);
	return r;
}
