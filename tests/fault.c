/* SPDX-License-Identifier: Apache-2.0 */
#include "fault.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_futex_waitv /* the same number on every machine */
#define SYS_futex_waitv 449
#endif

/* How each may fail: beyond a limit, refused, in passing. 0: not so. */
#define FUNCTIONS(X)                                                                                                  \
	X(calloc, ENOMEM, 0, 0)                                                                                       \
	X(eventfd, EMFILE, ENFILE, 0)                                                                                 \
	X(faccessat, ENOMEM, EACCES, ENOENT)                                                                          \
	X(fchmod, 0, EPERM, 0)                                                                                        \
	X(fcntl_dup, EMFILE, 0, 0)                                                                                    \
	X(fcntl_getlk, 0, ENOLCK, 0)                                                                                  \
	X(fcntl_lease, ENOMEM, EACCES, EAGAIN)                                                                        \
	X(fcntl_setlk, ENOLCK, EINVAL, EAGAIN)                                                                        \
	X(fcntl_setsig, 0, EINVAL, 0)                                                                                 \
	X(fdopendir, ENOMEM, 0, 0)                                                                                    \
	X(flock, ENOLCK, ENOTSUP, EWOULDBLOCK)                                                                        \
	X(fopen, EMFILE, EACCES, ENOENT)                                                                              \
	X(fstat, ENOMEM, EIO, 0)                                                                                      \
	X(fstatat, ENOMEM, EACCES, 0)                                                                                 \
	X(futex, 0, ENOSYS, EINTR)                                                                                    \
	X(futex_waitv, ENOMEM, ENOSYS, EINTR)                                                                         \
	X(get_robust_list, 0, ENOSYS, 0)                                                                              \
	X(getrandom, 0, ENOSYS, EAGAIN)                                                                               \
	X(ioctl, 0, ENOTTY, 0)                                                                                        \
	X(linkat, ENOSPC, EACCES, 0)                                                                                  \
	X(lstat, ENOMEM, EACCES, 0)                                                                                   \
	X(madvise, ENOMEM, EINVAL, 0)                                                                                 \
	X(malloc, ENOMEM, 0, 0)                                                                                       \
	X(mkdirat, ENOSPC, EACCES, 0)                                                                                 \
	X(mmap, ENOMEM, EPERM, 0)                                                                                     \
	X(mremap, ENOMEM, 0, 0)                                                                                       \
	X(openat, EMFILE, EACCES, EAGAIN)                                                                             \
	X(openat_directory, EMFILE, EACCES, 0)                                                                        \
	X(openat_path, ENFILE, EACCES, 0)                                                                             \
	X(openat_tmpfile, ENOSPC, EROFS, EOPNOTSUPP)                                                                  \
	X(pidfd_open, EMFILE, ENOSYS, 0)                                                                              \
	X(posix_fallocate, ENOSPC, EIO, EINTR)                                                                        \
	X(pread, ENOMEM, EIO, 0)                                                                                      \
	X(pthread_atfork, ENOMEM, 0, 0)                                                                               \
	X(pthread_create, EAGAIN, EPERM, 0)                                                                           \
	X(pthread_key_create, EAGAIN, ENOMEM, 0)                                                                      \
	X(pthread_mutexattr_setrobust, 0, ENOTSUP, 0)                                                                 \
	X(pthread_setspecific, ENOMEM, 0, 0)                                                                          \
	X(pwrite, ENOSPC, EIO, 0)                                                                                     \
	X(readdir, ENOMEM, EIO, 0)                                                                                    \
	X(realloc, ENOMEM, 0, 0)                                                                                      \
	X(renameat, ENOSPC, EACCES, ENOENT)                                                                           \
	X(renameat2, ENOSPC, EACCES, ENOSYS)                                                                          \
	X(sched_getaffinity, 0, EINVAL, 0)                                                                            \
	X(set_robust_list, 0, ENOSYS, 0)                                                                              \
	X(stat, ENOMEM, EACCES, ENOENT)                                                                               \
	X(strndup, ENOMEM, 0, 0)                                                                                      \
	X(unlinkat, ENOMEM, EACCES, 0)

enum function {
#define ID(name, ...) IN_##name,
	FUNCTIONS(ID)
#undef ID
};

static const struct {
	const char *name;
	int errors[FAULT_KINDS];
} functions[] = {
#define ROW(name, ...) {#name, {__VA_ARGS__}},
	FUNCTIONS(ROW)
#undef ROW
};
#define N_FUNCTIONS (sizeof(functions) / sizeof(*functions))

static _Thread_local struct {
	bool armed;
	unsigned nth, calls, failures;
	enum fault_kind kind;
	enum fault_reach reach;
	enum function first;
	bool gave[N_FUNCTIONS];
} plan;
static _Atomic long pieces, mapped;

void fault_arm(unsigned nth, enum fault_kind kind, enum fault_reach reach)
{
	memset(&plan, 0, sizeof(plan));
	plan.nth = nth;
	plan.kind = kind;
	plan.reach = reach;
	plan.armed = true;
}

unsigned fault_disarm(void)
{
	plan.armed = false;
	return plan.failures;
}

bool fault_gave(int error)
{
	for (size_t i = 0; i < N_FUNCTIONS; i++)
		if (plan.gave[i] && functions[i].errors[plan.kind] == error)
			return true;
	return false;
}

const char *fault_first(void)
{
	return plan.failures ? functions[plan.first].name : "none";
}

bool fault_first_is(const char *function)
{
	return strcmp(fault_first(), function) == 0;
}

struct fault_balance fault_balance(void)
{
	return (struct fault_balance){pieces, mapped};
}

static bool is_turn(enum function f)
{
	unsigned n = ++plan.calls;

	if (n <= plan.nth || !plan.failures)
		return n == plan.nth;
	return plan.reach == FAULT_ALL || (plan.reach == FAULT_FUNCTION && f == plan.first);
}

/* The errno that this call has to give, 0: none. */
static int fault(enum function f)
{
	int error = plan.armed ? functions[f].errors[plan.kind] : 0;

	if (!error || !is_turn(f))
		return 0;
	if (!plan.failures++)
		plan.first = f;
	plan.gave[f] = true;
	return error;
}

/* In the same way, for who says so by -1 and errno. */
static bool fails(enum function f)
{
	int error = fault(f);

	if (error)
		errno = error;
	return error != 0;
}

/* ---- the heap, and what stands for it inside libc ---- */

#define WRAP(type, name, ...)                                                                                         \
	type __real_##name(__VA_ARGS__);                                                                              \
	type __wrap_##name(__VA_ARGS__);                                                                              \
	type __wrap_##name(__VA_ARGS__)

static void *got(void *p)
{
	pieces += p != NULL;
	return p;
}

WRAP(void *, malloc, size_t size)
{
	return fails(IN_malloc) ? NULL : got(__real_malloc(size));
}

WRAP(void *, calloc, size_t n, size_t size)
{
	return fails(IN_calloc) ? NULL : got(__real_calloc(n, size));
}

WRAP(void *, realloc, void *p, size_t size)
{
	bool had = p != NULL;
	void *new = fails(IN_realloc) ? NULL : __real_realloc(p, size);

	pieces += new && !had;
	return new;
}

WRAP(char *, strndup, const char *text, size_t size)
{
	return fails(IN_strndup) ? NULL : got(__real_strndup(text, size));
}

WRAP(void, free, void *p)
{
	pieces -= p != NULL;
	__real_free(p);
}

WRAP(FILE *, fopen, const char *path, const char *mode)
{
	return fails(IN_fopen) ? NULL : got(__real_fopen(path, mode));
}

WRAP(int, fclose, FILE *f)
{
	pieces--;
	return __real_fclose(f);
}

WRAP(DIR *, fdopendir, int fd)
{
	return fails(IN_fdopendir) ? NULL : got(__real_fdopendir(fd));
}

/* Of the tests alone; it is here for what closes it. */
WRAP(DIR *, opendir, const char *path)
{
	return got(__real_opendir(path));
}

WRAP(int, closedir, DIR *dir)
{
	pieces--;
	return __real_closedir(dir);
}

WRAP(struct dirent *, readdir, DIR *dir)
{
	return fails(IN_readdir) ? NULL : __real_readdir(dir);
}

/* ---- mappings ---- */

WRAP(void *, mmap, void *at, size_t size, int prot, int flags, int fd, off_t offset)
{
	void *p = fails(IN_mmap) ? MAP_FAILED : __real_mmap(at, size, prot, flags, fd, offset);

	mapped += p == MAP_FAILED ? 0 : (long)size;
	return p;
}

WRAP(int, munmap, void *p, size_t size)
{
	mapped -= (long)size;
	return __real_munmap(p, size);
}

/* The library passes no address. To make it smaller needs nothing, as ftruncate(2) does not. */
WRAP(void *, mremap, void *old, size_t old_size, size_t size, int flags)
{
	void *p = size > old_size && fails(IN_mremap) ? MAP_FAILED : __real_mremap(old, old_size, size, flags);

	mapped += p == MAP_FAILED ? 0 : (long)size - (long)old_size;
	return p;
}

WRAP(int, madvise, void *p, size_t size, int advice)
{
	return fails(IN_madvise) ? -1 : __real_madvise(p, size, advice);
}

/* ---- files ---- */

static enum function kind_of_openat(int flags)
{
	if ((flags & O_TMPFILE) == O_TMPFILE)
		return IN_openat_tmpfile;
	return flags & O_PATH ? IN_openat_path : flags & O_DIRECTORY ? IN_openat_directory : IN_openat;
}

WRAP(int, openat, int at, const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list arguments;

	if (flags & (O_CREAT | O_TMPFILE)) {
		va_start(arguments, flags);
		mode = va_arg(arguments, mode_t);
		va_end(arguments);
	}
	return fails(kind_of_openat(flags)) ? -1 : __real_openat(at, path, flags, mode);
}

WRAP(int, linkat, int from_at, const char *from, int to_at, const char *to, int flags)
{
	return fails(IN_linkat) ? -1 : __real_linkat(from_at, from, to_at, to, flags);
}

WRAP(int, renameat, int from_at, const char *from, int to_at, const char *to)
{
	return fails(IN_renameat) ? -1 : __real_renameat(from_at, from, to_at, to);
}

WRAP(int, unlinkat, int at, const char *path, int flags)
{
	return fails(IN_unlinkat) ? -1 : __real_unlinkat(at, path, flags);
}

WRAP(int, mkdirat, int at, const char *path, mode_t mode)
{
	return fails(IN_mkdirat) ? -1 : __real_mkdirat(at, path, mode);
}

WRAP(int, faccessat, int at, const char *path, int mode, int flags)
{
	return fails(IN_faccessat) ? -1 : __real_faccessat(at, path, mode, flags);
}

WRAP(int, stat, const char *path, struct stat *ret)
{
	return fails(IN_stat) ? -1 : __real_stat(path, ret);
}

WRAP(int, lstat, const char *path, struct stat *ret)
{
	return fails(IN_lstat) ? -1 : __real_lstat(path, ret);
}

WRAP(int, fstat, int fd, struct stat *ret)
{
	return fails(IN_fstat) ? -1 : __real_fstat(fd, ret);
}

WRAP(int, fstatat, int at, const char *path, struct stat *ret, int flags)
{
	return fails(IN_fstatat) ? -1 : __real_fstatat(at, path, ret, flags);
}

WRAP(int, fchmod, int fd, mode_t mode)
{
	return fails(IN_fchmod) ? -1 : __real_fchmod(fd, mode);
}

WRAP(ssize_t, pread, int fd, void *to, size_t size, off_t at)
{
	return fails(IN_pread) ? -1 : __real_pread(fd, to, size, at);
}

WRAP(ssize_t, pwrite, int fd, const void *from, size_t size, off_t at)
{
	return fails(IN_pwrite) ? -1 : __real_pwrite(fd, from, size, at);
}

WRAP(int, posix_fallocate, int fd, off_t from, off_t size)
{
	int error = fault(IN_posix_fallocate);

	return error ? error : __real_posix_fallocate(fd, from, size);
}

/* To unlock cannot fail. */
WRAP(int, flock, int fd, int how)
{
	return !(how & LOCK_UN) && fails(IN_flock) ? -1 : __real_flock(fd, how);
}

static bool fcntl_fails(int command, uintptr_t argument)
{
	switch (command) {
	case F_OFD_SETLK:
		return fails(IN_fcntl_setlk);
	case F_OFD_GETLK:
		return fails(IN_fcntl_getlk);
	case F_SETLEASE:
		return argument != F_UNLCK && fails(IN_fcntl_lease);
	case F_SETSIG:
		return fails(IN_fcntl_setsig);
	case F_DUPFD_CLOEXEC:
		return fails(IN_fcntl_dup);
	default:
		return false;
	}
}

/* Each command that the library uses has an argument. */
WRAP(int, fcntl, int fd, int command, ...)
{
	uintptr_t argument;
	va_list arguments;

	va_start(arguments, command);
	argument = va_arg(arguments, uintptr_t);
	va_end(arguments);
	return fcntl_fails(command, argument) ? -1 : __real_fcntl(fd, command, argument);
}

/* The library's one has a number. */
WRAP(int, ioctl, int fd, unsigned long request, long argument)
{
	return fails(IN_ioctl) ? -1 : __real_ioctl(fd, request, argument);
}

WRAP(int, eventfd, unsigned initial, int flags)
{
	return fails(IN_eventfd) ? -1 : __real_eventfd(initial, flags);
}

/* ---- threads, and the kernel ---- */

WRAP(int, pthread_atfork, void (*before)(void), void (*parent)(void), void (*child)(void))
{
	int error = fault(IN_pthread_atfork);

	return error ? error : __real_pthread_atfork(before, parent, child);
}

WRAP(int, pthread_create, pthread_t *ret, const pthread_attr_t *attributes, void *(*body)(void *), void *argument)
{
	int error = fault(IN_pthread_create);

	return error ? error : __real_pthread_create(ret, attributes, body, argument);
}

WRAP(int, pthread_key_create, pthread_key_t *ret, void (*destroy)(void *))
{
	int error = fault(IN_pthread_key_create);

	return error ? error : __real_pthread_key_create(ret, destroy);
}

WRAP(int, pthread_setspecific, pthread_key_t key, const void *value)
{
	int error = fault(IN_pthread_setspecific);

	return error ? error : __real_pthread_setspecific(key, value);
}

WRAP(int, pthread_mutexattr_setrobust, pthread_mutexattr_t *attributes, int robust)
{
	int error = fault(IN_pthread_mutexattr_setrobust);

	return error ? error : __real_pthread_mutexattr_setrobust(attributes, robust);
}

WRAP(int, sched_getaffinity, pid_t pid, size_t size, cpu_set_t *ret)
{
	return fails(IN_sched_getaffinity) ? -1 : __real_sched_getaffinity(pid, size, ret);
}

WRAP(ssize_t, getrandom, void *to, size_t size, unsigned flags)
{
	return fails(IN_getrandom) ? -1 : __real_getrandom(to, size, flags);
}

static bool syscall_fails(long number)
{
	switch (number) {
	case SYS_futex:
		return fails(IN_futex);
	case SYS_futex_waitv:
		return fails(IN_futex_waitv);
	case SYS_get_robust_list:
		return fails(IN_get_robust_list);
	case SYS_pidfd_open:
		return fails(IN_pidfd_open);
	case SYS_set_robust_list:
		return fails(IN_set_robust_list);
	case SYS_renameat2:
		return fails(IN_renameat2);
	default:
		return false;
	}
}

/* Six, as many as the kernel takes, whatever the caller passed. */
WRAP(long, syscall, long number, long a, long b, long c, long d, long e, long f)
{
	return syscall_fails(number) ? -1 : __real_syscall(number, a, b, c, d, e, f);
}
