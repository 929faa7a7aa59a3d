/* SPDX-License-Identifier: Apache-2.0 */
/* The locks that are compared. */
#include "bench.h"
#include "boost.h"

#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/sem.h>

struct locks *locks;

static void make_pthread(pthread_mutex_t *m, int robustness, int protocol)
{
	pthread_mutexattr_t attr;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&attr, robustness);
	pthread_mutexattr_setprotocol(&attr, protocol);
	must_be(pthread_mutex_init(m, &attr), 0);
}

static sem_t *semaphore;
static fipc_sem *owned;
static int kernel_semaphore;
static char path[64];

void make_locks(void)
{
	locks = share(sizeof(*locks));
	must_be(fipc_mutex_init(&locks->fipc, 0), 0);
	make_pthread(&locks->normal, PTHREAD_MUTEX_STALLED, PTHREAD_PRIO_NONE);
	make_pthread(&locks->robust, PTHREAD_MUTEX_ROBUST, PTHREAD_PRIO_NONE);
	make_pthread(&locks->pi, PTHREAD_MUTEX_STALLED, PTHREAD_PRIO_INHERIT);
	make_pthread(&locks->robust_pi, PTHREAD_MUTEX_ROBUST, PTHREAD_PRIO_INHERIT);
	semaphore = share(sizeof(*semaphore));
	must_be(sem_init(semaphore, 1, 1), 0);
	must_be(fipc_sem_open(&owned, "owned-lock", 1, FIPC_CREATE | FIPC_OWNED, 0600), FIPC_CREATED);
	kernel_semaphore = make_semaphores(1, 1);
	snprintf(path, sizeof(path), "%s/locked", test_dir());
#ifdef HAVE_BOOST
	boost_make();
#endif
}

static void lock_fipc(void)
{
	if (fipc_mutex_lock(&locks->fipc) == FIPC_OWNER_DIED)
		must_be(fipc_mutex_consistent(&locks->fipc), 0);
}

static void unlock_fipc(void)
{
	must_be(fipc_mutex_unlock(&locks->fipc), 0);
}

#define PTHREAD_LOCK(name)                                                                                            \
	static void lock_##name(void)                                                                                 \
	{                                                                                                             \
		int r = pthread_mutex_lock(&locks->name);                                                             \
                                                                                                                      \
		must_be(r == EOWNERDEAD ? pthread_mutex_consistent(&locks->name) : r, 0);                             \
	}                                                                                                             \
	static void unlock_##name(void)                                                                               \
	{                                                                                                             \
		must_be(pthread_mutex_unlock(&locks->name), 0);                                                       \
	}                                                                                                             \
	const struct lock name##_lock = {lock_##name, unlock_##name, NULL}

PTHREAD_LOCK(normal);
PTHREAD_LOCK(robust);
PTHREAD_LOCK(pi);
PTHREAD_LOCK(robust_pi);

static void lock_semaphore(void)
{
	must_be(sem_wait(semaphore), 0);
}

static void unlock_semaphore(void)
{
	must_be(sem_post(semaphore), 0);
}

static void lock_owned(void)
{
	must_be(fipc_sem_wait(owned), 0);
}

static void unlock_owned(void)
{
	must_be(fipc_sem_post(owned, 1), 0);
}

/* ---- of the kernel's ---- */

static void add(short n, short flags)
{
	struct sembuf what = {0, n, flags};

	must_be(semop(kernel_semaphore, &what, 1), 0);
}

static void lock_semop(void)
{
	add(-1, 0);
}

static void unlock_semop(void)
{
	add(1, 0);
}

static void lock_undo(void)
{
	add(-1, SEM_UNDO);
}

static void unlock_undo(void)
{
	add(1, SEM_UNDO);
}

const short semop_plain = 0, semop_undo = SEM_UNDO;

void time_semop(const void *argument, double *ret)
{
	enum { PAIRS = 20000 };
	short flags = *(const short *)argument;
	struct sembuf down = {0, -1, flags}, up = {0, 1, flags};

	TIME_PAIRS(ret, PAIRS, semop(kernel_semaphore, &down, 1), semop(kernel_semaphore, &up, 1));
}

/* The lock belongs to an open file description, which a child of fork shares: each opens it itself. */
static int file;

static void open_file(void)
{
	file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	must(file >= 0);
}

static void lock_flock(void)
{
	must_be(flock(file, LOCK_EX), 0);
}

static void unlock_flock(void)
{
	must_be(flock(file, LOCK_UN), 0);
}

static void set_ofd(short type)
{
	struct flock whole = {.l_type = type};

	must_be(fcntl(file, F_OFD_SETLKW, &whole), 0);
}

static void lock_ofd(void)
{
	set_ofd(F_WRLCK);
}

static void unlock_ofd(void)
{
	set_ofd(F_UNLCK);
}

const struct lock fipc_lock = {lock_fipc, unlock_fipc, NULL}, semaphore_lock = {lock_semaphore, unlock_semaphore, NULL},
		  owned_lock = {lock_owned, unlock_owned, NULL}, semop_lock = {lock_semop, unlock_semop, NULL},
		  undo_lock = {lock_undo, unlock_undo, NULL}, flock_lock = {lock_flock, unlock_flock, open_file},
		  ofd_lock = {lock_ofd, unlock_ofd, open_file};
#ifdef HAVE_BOOST
const struct lock boost_lock = {boost_mutex_lock, boost_mutex_unlock, NULL};
#endif
