/* SPDX-License-Identifier: Apache-2.0 */
#include "mend.h"

#include "child.h"
#include "fork.h"
#include "futex.h"
#include "mutex.h"
#include "rwlock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * Gone, or a zombie: its list has been walked. Of a thread that is no process of its own there is no pidfd; nor where a
 * filter, or valgrind, does not know them. Then it has to be gone.
 */
static bool is_dead(uint32_t tid)
{
	int saved = errno, fd = (int)syscall(SYS_pidfd_open, (pid_t)tid, 0);
	struct pollfd ended = {.fd = fd, .events = POLLIN};
	bool dead = fd < 0 ? fipc__thread_is_gone(tid) : poll(&ended, 1, 0) == 1;
	if (fd >= 0)
		close(fd);
	errno = saved;
	return dead;
}

struct lost {
	_Atomic uint32_t *word;
	uint32_t seen;
};

/* acquire and release: stands for the owner, as the kernel would */
__attribute__((no_sanitize("thread"))) static int take_from_the_dead(void *argument)
{
	const struct lost *l = argument;
	uint32_t seen = l->seen, left = (seen & WORD_WAITERS) | WORD_OWNER_DIED;
	if (!__atomic_compare_exchange_n((uint32_t *)l->word, &seen, left, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
		return EAGAIN;
	if (seen & WORD_WAITERS)
		fipc__futex_wake(l->word, 1, FUTEX_SHARED);
	return 0;
}

/* What cannot be written is left to its owner's next look, or root's. */
static void mend(int root, const char *file, const struct fipc_object *o, size_t at, uint32_t seen)
{
	int fd = openat(root, file, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	size_t size = at + sizeof(uint32_t);
	struct stat st;
	char *map;
	if (fd < 0)
		return;
	if (fstat(fd, &st) == 0 && st.st_ino == o->inode && st.st_size >= (off_t)size &&
	    (map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)) != MAP_FAILED) {
		struct lost lost = {(_Atomic uint32_t *)(void *)(map + at), seen};
		fipc__in_child(take_from_the_dead, &lost);
		munmap(map, size);
	}
	close(fd);
}

static unsigned locks_of(const struct fipc_object *o, size_t *ret_first)
{
	*ret_first = o->type == FIPC_TYPE_RWLOCK ? offsetof(struct rwlock, gate) : 0;
	return o->type == FIPC_TYPE_MUTEX ? 1 : o->type == FIPC_TYPE_RWLOCK ? 1 + o->rwlock.max_readers : 0;
}

void fipc__mend_locks(int root, const char *file, const struct fipc_object *o, const void *copy, size_t copied)
{
	size_t first;
	unsigned n = locks_of(o, &first);
	if (n == 0 || o->pidns != fipc__process_pidns())
		return;
	for (unsigned i = 0; i < n && first + (i + 1) * sizeof(struct mutex) <= copied; i++) {
		size_t at = first + i * sizeof(struct mutex) + offsetof(struct mutex, word);
		uint32_t v;
		memcpy(&v, (const char *)copy + at, sizeof(v));
		if ((v & WORD_TID) != 0 && is_dead(v & WORD_TID))
			mend(root, file, o, OBJECT_OFFSET + at, v);
	}
}
