/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of the library share: processes that are started, met at a gate and killed; a tracking directory of
 * one's own; and a check that is safe in a child.
 *
 * A child must never leave through cmocka's assert_*(): that jumps into the parent's runner, in the child. Children,
 * and everything below, use must().
 */
#ifndef FIPC_TESTS_SUPPORT_H
#define FIPC_TESTS_SUPPORT_H

#include <fipc.h>
#include <fipc/registry.h>
#include <stdint.h>
#include <stdnoreturn.h>
#include <sys/types.h>

enum {
	PATIENCE_MS = 60000, /* how long anything may take before it counts as stuck; generous for valgrind, and a busy machine */
	SKIPPED = 77,        /* exit status of a test, or of a child's body, that cannot run here */
};

/* The tracking directory may be named on a command line, so it is as short as mkdtemp allows. */
#define TEST_DIR_TEMPLATE "/dev/shm/fipc-test.XXXXXX"

noreturn void must_fail(const char *file, int line, const char *what, long got);
#define must(condition) ((condition) ? (void)0 : must_fail(__FILE__, __LINE__, #condition, 0))
#define must_be(call, wanted)                                                                                         \
	do {                                                                                                          \
		long must_got = (call);                                                                               \
		if (must_got != (wanted))                                                                             \
			must_fail(__FILE__, __LINE__, #call " == " #wanted, must_got);                                \
	} while (0)

#define must_not_fail(call)                                                                                           \
	do {                                                                                                          \
		long must_got = (call);                                                                               \
		if (must_got < 0)                                                                                     \
			must_fail(__FILE__, __LINE__, #call " >= 0", must_got);                                       \
	} while (0)

/* Say why something cannot run here, in the form that the summary of the tests counts. */
void skip_aloud(const char *what, const char *why);

int lacks_root(const char *what);  /* 1, and says so, when this process is not root's */
void needs_root(const char *what); /* the body of an IN_CHILD: skipped then */
/*
 * The same where an emulator stands for the kernel: qemu-user has no robust list, and says yes to madvise(2) whatever it is
 * asked for, and does nothing (MADV_WIPEONFORK, MADV_POPULATE_WRITE).
 */
int lacks_robust(const char *what);
void needs_robust(const char *what);
void become_user(uid_t uid);       /* and its group alone; dies with its parent all the same */
void become_member(uid_t uid, gid_t gid, gid_t also); /* of a group, and of another one besides, unless it is 0 */

/* A cmocka case, or the body of one IN_CHILD, that cannot run under ThreadSanitizer; why, for the summary. */
#if defined(__SANITIZE_THREAD__)
#define UNDER_TSAN 1
#elif defined(__has_feature)
#define UNDER_TSAN __has_feature(thread_sanitizer)
#else
#define UNDER_TSAN 0
#endif
#if defined(__SANITIZE_ADDRESS__)
#define UNDER_SANITIZER 1
#elif defined(__has_feature)
#define UNDER_SANITIZER (UNDER_TSAN || __has_feature(address_sanitizer))
#else
#define UNDER_SANITIZER UNDER_TSAN
#endif
#define skip_under_tsan(why)                                                                                          \
	do {                                                                                                          \
		if (UNDER_TSAN) {                                                                                     \
			skip_aloud(__func__, why);                                                                    \
			skip();                                                                                       \
		}                                                                                                     \
	} while (0)
#define skip_child_under_tsan(why)                                                                                    \
	do {                                                                                                          \
		if (UNDER_TSAN) {                                                                                     \
			skip_aloud(__func__, why);                                                                    \
			_exit(SKIPPED);                                                                               \
		}                                                                                                     \
	} while (0)

/* Zeroed memory that children share. */
void *share(size_t size);

/* A gate lets as many pass as it has been opened times; between processes and between threads. */
struct gate {
	int pipe[2];
};
void gate_make(struct gate *gate);
void gate_free(struct gate *gate);
void gate_open(const struct gate *gate);
void gate_pass(const struct gate *gate);         /* must() within PATIENCE_MS */
int gate_try(const struct gate *gate, int ms); /* 1 passed, 0 nobody opened it in time */

/* Fork. The child dies with the caller's thread, and ends with status 0 when body returns. */
pid_t start(void (*body)(void *), void *argument);
int finish(pid_t pid);  /* wait for its end: exit status, or 128 + signal */
int ended(pid_t pid, int *status, int ms); /* the same if it ends within ms: 1, else 0 */
void murder(pid_t pid); /* SIGKILL, and reap */
int in_child(void (*body)(void *), void *argument); /* start and finish */

/* A cmocka test whose body runs in a child: it may use the library and leave things behind as it likes. */
#define IN_CHILD(test)                                                                                                \
	static void test##_body(void *argument);                                                                      \
	static void test(void **state)                                                                                \
	{                                                                                                             \
		int status = in_child(test##_body, NULL);                                                             \
                                                                                                                      \
		(void)state;                                                                                          \
		if (status == SKIPPED)                                                                                \
			skip();                                                                                       \
		assert_int_equal(status, 0);                                                                          \
	}                                                                                                             \
	static void test##_body(void *argument __attribute__((unused)))

/* Wait, bounded, until condition holds: for what no gate can tell, as that somebody sleeps. */
#define await(condition)                                                                                              \
	do {                                                                                                          \
		int64_t await_end = now_ns() + PATIENCE_MS * INT64_C(1000000);                                        \
		while (!(condition))                                                                                  \
			if (now_ns() > await_end)                                                                     \
				must_fail(__FILE__, __LINE__, "await " #condition, 0);                                \
			else                                                                                          \
				nap_us(50);                                                                           \
	} while (0)
int64_t now_ns(void);
void nap_us(long us);

int asleep_in_futex(pid_t tid);      /* 1: that thread, of a process of ours, sleeps in a futex call */
int asleep_in(pid_t tid, long call); /* the same, in that system call */
unsigned sleepers(const fipc_mutex *m); /* fipc_mutex_info().waiters */
unsigned state_of(const fipc_mutex *m); /* fipc_mutex_info().state */

/* Lock without waiting, in a process that has nothing to do with this one; unlock (and mend) if that worked. */
int fresh_trylock(fipc_mutex *m);

/* Open a mutex by name, mode 0600: it has to say `wanted`. */
fipc_mutex *must_open(const char *name, unsigned flags, int wanted);

/* Another process that has a name open, until it is told to leave or killed. */
struct peer {
	const char *name;
	unsigned flags;
	int wanted; /* what its open has to say */
	int holds;  /* it also holds the mutex meanwhile */
	pid_t pid;
	struct gate ready, leave;
};
void peer_begins(struct peer *p);
void peer_leaves(struct peer *p); /* it locks, or has held, unlocks and closes it; all of that must work */
void peer_dies(struct peer *p);

/* FIPC_DIR of its own, made at the first call, shared with children, and removed when all of them have ended. */
const char *test_dir(void);
/* Another one inside it, empty. In a child: it changes what FIPC_DIR says. */
const char *fresh_dir(void);
void remove_tree(const char *path);
int count_entries(const char *dir); /* what is in a directory, without . and ..; < 0: cannot read it */
void print_tree(const char *dir);   /* on standard error, what is left in it */
uint64_t inode_of(const char *dir, const char *file); /* 0: not there */

int open_descriptors(void);

/* Collect as `fipcctl gc` does: objects, then trackers. Returns how many objects went. */
int collect(const char *dir);
/* 1 when there is nothing below dir but the directory of trackers, with no more than `living` in it. */
int is_clean(const char *dir, int living);
/* Collect until it is; what is left is printed. */
void must_become_clean(const char *dir, int living);

#endif
