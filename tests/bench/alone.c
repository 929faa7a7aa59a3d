/* SPDX-License-Identifier: Apache-2.0 */
/* A lock that nobody else wants. */
#include "bench.h"
#include "boost.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

enum { PAIRS = 1000000, SYSCALL_PAIRS = 20000 };

static void fipc(const void *argument, double *ret)
{
	fipc_mutex *m = &locks->fipc;

	(void)argument;
	TIME_PAIRS(ret, PAIRS, fipc_mutex_lock(m), fipc_mutex_unlock(m));
}

static void libc(const void *argument, double *ret)
{
	pthread_mutex_t *m = *(pthread_mutex_t *const *)argument;

	TIME_PAIRS(ret, PAIRS, pthread_mutex_lock(m), pthread_mutex_unlock(m));
}

#ifdef HAVE_BOOST
static void boost(const void *argument, double *ret)
{
	(void)argument;
	TIME_PAIRS(ret, PAIRS, (boost_mutex_lock(), 0), (boost_mutex_unlock(), 0));
}
#endif

/* What no lock can be without: one compare-and-swap, one exchange. */
static void atomics(const void *argument, double *ret)
{
	_Atomic uint32_t *w = &locks->word;
	uint32_t zero;

	(void)argument;
	TIME_PAIRS(ret, PAIRS, (zero = 0, !atomic_compare_exchange_strong(w, &zero, 1)), atomic_exchange(w, 0) != 1);
}

/* ---- locks of the kernel's that a death gives back ---- */

static int file;
static pthread_mutex_t *normal, *robust, *pi, *robust_pi;

static void prepare(void)
{
	char path[64];

	normal = &locks->normal;
	robust = &locks->robust;
	pi = &locks->pi;
	robust_pi = &locks->robust_pi;
	snprintf(path, sizeof(path), "%s/locked", test_dir());
	file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	must(file >= 0);
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
	.quantities = {{NULL, "ns", 0}},
	.contenders = {{"fipc", fipc, NULL, 1},
		       {"two bare atomics", atomics, NULL, 0},
		       {"pthread", libc, &normal, 0},
		       {"pthread, robust", libc, &robust, 1},
		       {"pthread, PI", libc, &pi, 0},
		       {"pthread, robust, PI", libc, &robust_pi, 1},
		       BOOST("Boost interprocess_mutex", boost, NULL, 0)
		       {"semop", time_semop, &semop_plain, 0},
		       {"semop, SEM_UNDO", time_semop, &semop_undo, 1},
		       {"flock", flock_file, NULL, 1},
		       {"OFD lock", ofd_file, NULL, 1}},
};
