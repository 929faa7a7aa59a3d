/* SPDX-License-Identifier: Apache-2.0 */
#include "room.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* of <linux/mman.h>; older headers lack it */
#endif

/*
 * A signal makes some kernels give up, undoing what was done (fallocate(2), EINTR): who gets many of them would never
 * be done. So the second try is without.
 */
static int make_room_unheard(int fd, off_t from, off_t size)
{
	sigset_t all, old;
	int r;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	do
		r = posix_fallocate(fd, from, size);
	while (r == EINTR); /* SIGSTOP */
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return -r;
}

int fipc__make_room(int fd, off_t from, off_t size)
{
	int r = posix_fallocate(fd, from, size);
	return r == EINTR ? make_room_unheard(fd, from, size) : -r;
}

bool fipc__page_has_memory(const void *at)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), first = (uintptr_t)at & ~(page - 1);
	return madvise((void *)first, page, MADV_POPULATE_WRITE) == 0;
}
