/* SPDX-License-Identifier: Apache-2.0 */
#include "robust.h"

#include "fork.h"
#include "handle.h"
#include "mutex.h"
#include "slot.h"

#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct thread nobody; /* a thread that has not used fipc yet: holds nothing, and no room for more */
FIPC_TLS struct thread *fipc__self = &nobody;

/* What the kernel knows of a thread: struct robust_list_head of <linux/futex.h>. */
struct robust_head {
	void *list;
	intptr_t futex_offset;
	void *_Atomic pending;
};

static struct thread *threads;
static FIPC_TLS struct robust_head *libc_head; /* kept over fork: in a child of clone(2) the kernel has none */
static FIPC_TLS bool left;             /* another destructor may use fipc after ours, perhaps without a next round */
static pthread_key_t key;
static bool has_key; /* under fipc__threads_lock */

static void *untag(void *node)
{
	return (void *)((uintptr_t)node & ~(uintptr_t)1); /* bit 0 of a link marks a PI mutex */
}

/* glibc and musl alike keep `prev` in the 8 bytes before `next`. The head has none in musl, and glibc never reads it. */
static void set_prev(void **head, void *node, void *prev)
{
	node = untag(node);
	if (node != head)
		memcpy((char *)node - sizeof(void *), &prev, sizeof(void *));
}

static void put_sentinel(struct robust_head *head, struct sentinel *s)
{
	void *node = &s->next;
	s->words[(offsetof(struct sentinel, next) + head->futex_offset) / 4 - 1] = KIND_MUSL_SHARED;
	s->next = head->list;
	s->prev = head;
	barrier();
	set_prev(&head->list, head->list, node);
	barrier();
	*(void *volatile *)&head->list = node;
}

static void take_sentinels(struct thread *t)
{
	void *next = t->last.next, *prev = t->first.prev;
	*(void *volatile *)prev = next;
	barrier();
	set_prev(t->head, next, prev);
}

/* libc tells the kernel of its list only once the thread has locked a robust mutex (musl, newer glibc). */
static int make_libc_register(void)
{
	pthread_mutexattr_t attr;
	pthread_mutex_t m;
	int r = pthread_mutexattr_init(&attr);
	if (r == 0)
		r = pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	if (r == 0)
		r = pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	if (r == 0)
		r = pthread_mutex_init(&m, &attr);
	if (r == 0 && (r = pthread_mutex_lock(&m)) == 0)
		r = pthread_mutex_unlock(&m);
	return r == 0 ? 0 : -ENOSYS;
}

static int find_head(struct robust_head **ret)
{
	struct robust_head *head = NULL;
	size_t size = 0;
	int r = make_libc_register();
	if (r < 0)
		return r;
	/* qemu-user: the mutex above worked, but there is no list */
	if (syscall(SYS_get_robust_list, 0, &head, &size) < 0 || size != sizeof(*head))
		return -ENOSYS;
	if (!head && libc_head) {
		head = libc_head;
		head->list = &head->list;
		if (syscall(SYS_set_robust_list, head, sizeof(*head)) < 0)
			return -ENOSYS;
	}
	if (!head)
		return -ENOSYS;
	libc_head = head;
	if (head->futex_offset != LINK_GLIBC && head->futex_offset != LINK_MUSL)
		return -ENOSYS;
	*ret = head;
	return 0;
}

/*
 * The block of a forked child's thread is zeros, but libc's list may still lead to it (musl copies its head): then it
 * has to stay as it is, an end of the list, and the thread takes a new one.
 */
static struct thread *block_for(struct robust_head *head)
{
	struct thread *old = fipc__self;
	if (old != &nobody) {
		if (head->list == &old->first.next)
			head->list = &head->list;
		if (head->list == &head->list)
			return old;
		old->first.next = &head->list; /* with a zero the kernel's walk would fail there, and never come to `pending` */
	}
	return fipc__map_wiped_at_fork(sizeof(struct thread));
}

static void list_thread(struct thread *t)
{
	fipc__threads_lock();
	t->next_thread = threads;
	t->back = &threads;
	if (threads)
		threads->back = &t->next_thread;
	threads = t;
	fipc__threads_unlock();
}

static void unlist_thread(struct thread *t)
{
	fipc__threads_lock();
	*t->back = t->next_thread;
	if (t->next_thread)
		t->next_thread->back = t->back;
	fipc__threads_unlock();
}

static void leave(void *block);

/* Tried again if it fails: memory may be short only for a moment. */
static int make_key(void)
{
	int r = 0;
	fipc__threads_lock();
	if (!has_key)
		r = pthread_key_create(&key, leave);
	has_key = r == 0;
	fipc__threads_unlock();
	return -r;
}

int fipc__robust_begin(void)
{
	struct robust_head *head = NULL;
	struct thread *t;
	int r = fipc__process_enter();
	if (r == 0)
		r = make_key();
	if (r == 0)
		r = find_head(&head);
	if (r < 0)
		return r;
	t = block_for(head);
	if (!t)
		return -ENOMEM;
	if (pthread_setspecific(key, t) != 0) {
		munmap(t, sizeof(*t));
		return -ENOMEM;
	}
	t->pending = &head->pending;
	t->head = &head->list;
	t->futex_offset = head->futex_offset;
	t->tid = (uint32_t)syscall(SYS_gettid);
	t->pid = (uint32_t)getpid();
	t->pidns = fipc__process_pidns();
	put_sentinel(head, &t->last);
	put_sentinel(head, &t->first);
	t->stack[0] = &t->last.next;
	t->limit = t->stack + HELD_MAX;
	if (!left)
		list_thread(t);
	set_top(t, t->stack);
	fipc__self = t;
	fipc__handles_adopt();
	return 0;
}

/* The tokens that it took stay its process's: to let go of its life word says that it has left, not that it died. */
static void abandon(struct thread *t, struct mutex *m)
{
	if (atomic_load_explicit(&m->kind, memory_order_relaxed) == KIND_LIFE)
		fipc__mutex_let_go_bare(m);
	else
		fipc__mutex_abandon(t, m);
}

/*
 * A thread ends. What it holds is released as its death would; before libc does, because musl's own walk follows the
 * links of shared memory. Then the list is libc's alone again.
 */
static void leave(void *block)
{
	struct thread *t = block;
	if (t != fipc__self || !t->top)
		return; /* of the parent; libc's list may lead to it */
	while (t->top > t->stack)
		abandon(t, mutex_of_node(t, *t->top));
	take_sentinels(t);
	fipc__slot_leave(t);
	if (!left)
		unlist_thread(t);
	left = true;
	fipc__self = &nobody;
	munmap(t, sizeof(*t));
}

bool fipc__robust_pending_among(const struct mutex *first, size_t n)
{
	bool found = false;
	fipc__threads_lock();
	for (struct thread *t = threads; t && !found; t = t->next_thread) {
		/* acquire; pairs with the release in store_pending() */
		const char *node = atomic_load_explicit(t->pending, memory_order_acquire);
		found = node && (uintptr_t)node - (uintptr_t)node_of(t, first) < n * sizeof(*first);
	}
	fipc__threads_unlock();
	return found;
}

bool fipc__robust_pending(const struct mutex *m)
{
	return fipc__robust_pending_among(m, 1);
}

static bool holds(struct thread *t, const void *node)
{
	/* acquire; pairs with the release in set_top(): who is not found here is pending, and looked for after this */
	void **top = __atomic_load_n(&t->top, __ATOMIC_ACQUIRE);
	for (void **at = t->stack + 1; top && at <= top; at++)
		if (__atomic_load_n(at, __ATOMIC_RELAXED) == node)
			return true;
	return false;
}

bool fipc__robust_holds(const struct mutex *m)
{
	bool found = holds(fipc__self, node_of(fipc__self, m)); /* it may be on its way out, and not listed any more */
	fipc__threads_lock();
	for (struct thread *t = threads; t && !found; t = t->next_thread)
		found = holds(t, node_of(t, m));
	fipc__threads_unlock();
	return found;
}

void fipc__threads_forked(void)
{
	if (fipc__self != &nobody && libc_head) /* as in block_for: for a child that uses libc's mutexes alone */
		fipc__self->first.next = &libc_head->list;
	threads = NULL; /* they are the parent's; this process's blocks are zeros */
}
