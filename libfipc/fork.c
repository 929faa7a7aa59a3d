/* SPDX-License-Identifier: Apache-2.0 */
#include "fork.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>

/* In the page that fork wipes. NEW: just started, or a child that has not looked yet. */
enum { NEW, ENTERING, ENTERED };
static struct page {
	_Atomic uint32_t state;
	_Atomic uint32_t pidns;
} *page;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_mutex_t objects, threads;
static int failed;

void fipc__objects_lock(void)
{
	pthread_mutex_lock(&objects);
}

void fipc__objects_unlock(void)
{
	pthread_mutex_unlock(&objects);
}

void fipc__threads_lock(void)
{
	pthread_mutex_lock(&threads);
}

void fipc__threads_unlock(void)
{
	pthread_mutex_unlock(&threads);
}

void *fipc__map_wiped_at_fork(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	if (madvise(p, size, MADV_WIPEONFORK) < 0) {
		munmap(p, size);
		return NULL;
	}
	return p;
}

static void enter_once(void)
{
	uint32_t expected = NEW;
	/* acquire; pairs with the release below: who sees ENTERED sees the fresh locks and lists */
	if (atomic_load_explicit(&page->state, memory_order_acquire) == ENTERED)
		return;
	if (!atomic_compare_exchange_strong(&page->state, &expected, ENTERING)) {
		while (atomic_load_explicit(&page->state, memory_order_acquire) != ENTERED)
			sched_yield();
		return;
	}
	/* A child may have been copied while another thread held them. */
	pthread_mutex_init(&objects, NULL);
	pthread_mutex_init(&threads, NULL);
	fipc__threads_forked();
	fipc__objects_forked();
	atomic_store_explicit(&page->state, ENTERED, memory_order_release);
}

static void before_fork(void)
{
	enter_once(); /* in a child that forks again before its first call */
	fipc__objects_lock();
	fipc__threads_lock();
}

static void after_fork(void)
{
	fipc__threads_unlock();
	fipc__objects_unlock();
}

static void start(void)
{
	page = fipc__map_wiped_at_fork(sizeof(*page));
	if (!page)
		failed = errno == EINVAL ? -ENOSYS : -ENOMEM;
	else if (pthread_atfork(before_fork, after_fork, enter_once) != 0)
		failed = -ENOMEM;
}

int fipc__process_enter(void)
{
	pthread_once(&once, start);
	if (failed)
		return failed;
	enter_once();
	return 0;
}

uint32_t fipc__process_pidns(void)
{
	/* relaxed: a number that every thread would find the same */
	uint32_t ns = atomic_load_explicit(&page->pidns, memory_order_relaxed);
	struct stat st;
	if (ns)
		return ns;
	ns = stat("/proc/self/ns/pid", &st) == 0 ? (uint32_t)st.st_ino : 1;
	atomic_store_explicit(&page->pidns, ns, memory_order_relaxed);
	return ns;
}
