/* SPDX-License-Identifier: Apache-2.0 */
#include "fork.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* In the page that fork wipes. NEW: just started, or a child that has not looked yet. */
enum { NEW, ENTERING, ENTERED };
static struct page {
	_Atomic uint32_t state;
	_Atomic uint32_t pidns;
	_Atomic uint64_t number;
} *_Atomic page; /* set once; read in the fork handlers, too */

static pthread_mutex_t starting = PTHREAD_MUTEX_INITIALIZER;
static _Atomic bool started;
static pthread_mutex_t objects, threads;
static int cancel_state;             /* of who holds `objects` */
static _Atomic uint32_t known_pidns; /* kept over fork */

void fipc__objects_lock(void)
{
	int state;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	pthread_mutex_lock(&objects);
	cancel_state = state;
}

void fipc__objects_unlock(void)
{
	int state = cancel_state;
	pthread_mutex_unlock(&objects);
	pthread_setcancelstate(state, NULL);
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
	fipc__strays_forked();
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

static void after_fork_in_child(void)
{
	fipc__threads_unlock(); /* taken by this thread, before the fork: now they are the child's, and the child's to release */
	pthread_mutex_unlock(&objects);
	enter_once();
	pthread_setcancelstate(cancel_state, NULL);
}

/* Tried again at the next call if it fails: memory may be short only for a moment. */
static int start(void)
{
	int r = 0;
	pthread_mutex_lock(&starting);
	if (!started && !page) {
		page = fipc__map_wiped_at_fork(sizeof(*page));
		if (!page)
			r = errno == EINVAL ? -ENOSYS : -ENOMEM;
	}
	if (!started && r == 0) {
		r = -pthread_atfork(before_fork, after_fork, after_fork_in_child);
		started = r == 0;
	}
	pthread_mutex_unlock(&starting);
	return r;
}

#ifndef PIDFD_GET_PID_NAMESPACE
#define PIDFD_GET_PID_NAMESPACE _IO(0xff, 5) /* <linux/pidfd.h> of 6.11 */
#endif

/* An error that is one for ever: Linux before 6.11. */
static int pidns_by_pidfd(uint32_t *ret)
{
	struct stat st;
	int r = 0, ns, pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
	if (pidfd < 0)
		return -errno;
	ns = ioctl(pidfd, (int)PIDFD_GET_PID_NAMESPACE, 0);
	if (ns < 0)
		r = -errno;
	close(pidfd);
	if (r < 0)
		return r;
	if (fstat(ns, &st) < 0)
		r = -errno;
	else
		*ret = (uint32_t)st.st_ino;
	close(ns);
	return r;
}

/*
 * Without /proc (after a chroot, say) the kernel tells by a pidfd. An older one does not: then it is the last one that
 * was known, unless this may be the first process of a new namespace. An error: it cannot be told for the moment, and
 * nothing is guessed, for that would stay.
 */
static int find_pidns(uint32_t *ret)
{
	struct stat st;
	int r = 0;
	if (stat("/proc/self/ns/pid", &st) == 0)
		*ret = (uint32_t)st.st_ino;
	else
		r = pidns_by_pidfd(ret);
	if (r == -EMFILE || r == -ENFILE || r == -ENOMEM)
		return r;
	if (r < 0)
		*ret = known_pidns && getpid() != 1 && getppid() != 0 ? known_pidns : 1;
	return 0;
}

/* relaxed, here and below: a number that every thread would find the same */
static int learn_pidns(void)
{
	uint32_t ns;
	int r = find_pidns(&ns);
	if (r < 0)
		return r;
	atomic_store_explicit(&page->pidns, ns, memory_order_relaxed);
	atomic_store_explicit(&known_pidns, ns, memory_order_relaxed);
	return 0;
}

uint32_t fipc__process_pidns(void)
{
	return atomic_load_explicit(&page->pidns, memory_order_relaxed);
}

int fipc__process_enter(void)
{
	int r = started ? 0 : start();
	if (r < 0)
		return r;
	enter_once();
	return fipc__process_pidns() ? 0 : learn_pidns();
}

uint64_t fipc__process_number(void)
{
	/* relaxed: the first one stands, and who reads it needs nothing else */
	uint64_t n = atomic_load_explicit(&page->number, memory_order_relaxed);
	struct timespec now;
	if (n)
		return n;
	clock_gettime(CLOCK_BOOTTIME, &now);
	if (atomic_compare_exchange_strong_explicit(&page->number, &n,
						    (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec,
						    memory_order_relaxed, memory_order_relaxed))
		return atomic_load_explicit(&page->number, memory_order_relaxed);
	return n;
}
