/* SPDX-License-Identifier: Apache-2.0 */
/* A lock that nobody else wants. */
#include "bench.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/sem.h>
#include <unistd.h>

enum { PAIRS = 1000000, SYSCALL_PAIRS = 20000 };

static void fipc(const void *argument, double *ret)
{
	fipc_mutex *m = &locks->fipc;

	(void)argument;
	TIME_PAIRS(ret, PAIRS, fipc_mutex_lock(m), fipc_mutex_unlock(m));
}

static void normal(const void *argument, double *ret)
{
	pthread_mutex_t *m = &locks->normal;

	(void)argument;
	TIME_PAIRS(ret, PAIRS, pthread_mutex_lock(m), pthread_mutex_unlock(m));
}

static void robust(const void *argument, double *ret)
{
	pthread_mutex_t *m = &locks->robust;

	(void)argument;
	TIME_PAIRS(ret, PAIRS, pthread_mutex_lock(m), pthread_mutex_unlock(m));
}

/* What no lock can be without: one compare-and-swap, one exchange. */
static void atomics(const void *argument, double *ret)
{
	_Atomic uint32_t *w = &locks->word;
	uint32_t zero;

	(void)argument;
	TIME_PAIRS(ret, PAIRS, (zero = 0, !atomic_compare_exchange_strong(w, &zero, 1)), atomic_exchange(w, 0) != 1);
}

/* ---- locks of the kernel's that a death gives back ---- */

static int semaphore, file;

static void remove_semaphore(void)
{
	semctl(semaphore, 0, IPC_RMID);
}

static void prepare(void)
{
	char path[64];

	semaphore = semget(IPC_PRIVATE, 1, 0600);
	must(semaphore >= 0);
	atexit(remove_semaphore);
	must_be(semctl(semaphore, 0, SETVAL, 1), 0);
	snprintf(path, sizeof(path), "%s/locked", test_dir());
	file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	must(file >= 0);
}

static void semop_undo(const void *argument, double *ret)
{
	struct sembuf down = {0, -1, SEM_UNDO}, up = {0, 1, SEM_UNDO};

	(void)argument;
	TIME_PAIRS(ret, SYSCALL_PAIRS, semop(semaphore, &down, 1), semop(semaphore, &up, 1));
}

static void flock_file(const void *argument, double *ret)
{
	(void)argument;
	TIME_PAIRS(ret, SYSCALL_PAIRS, flock(file, LOCK_EX), flock(file, LOCK_UN));
}

static void ofd_file(const void *argument, double *ret)
{
	struct flock whole = {.l_type = F_WRLCK}, nothing = {.l_type = F_UNLCK};

	(void)argument;
	TIME_PAIRS(ret, SYSCALL_PAIRS, fcntl(file, F_OFD_SETLKW, &whole), fcntl(file, F_OFD_SETLKW, &nothing));
}

const struct group bench_alone = {
	.name = "alone",
	.title = "lock and unlock, nobody else there",
	.prepare = prepare,
	.quantities = {{NULL, "ns"}},
	.contenders = {{"fipc", fipc, NULL},
		       {"two bare atomics", atomics, NULL},
		       {"pthread, process-shared", normal, NULL},
		       {"pthread, robust", robust, NULL},
		       {"semop, SEM_UNDO", semop_undo, NULL},
		       {"flock", flock_file, NULL},
		       {"OFD lock", ofd_file, NULL}},
};
