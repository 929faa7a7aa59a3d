/* SPDX-License-Identifier: Apache-2.0 */
#include "partner.h"

#include "../support.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifdef __GLIBC__
#define LIBC 0
#else
#define LIBC 1
#endif

static char *self; /* our path */

/* ---- the arena ---- */

/* Whoever is first initialises the mutex, of whichever libc he is. */
static struct arena *enter_arena(const char *file)
{
	int fd = open(file, O_RDWR | O_CLOEXEC);
	struct arena *arena;

	must(fd >= 0);
	arena = mmap(NULL, sizeof(*arena), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	must(arena != MAP_FAILED);
	close(fd);
	must_not_fail(fipc_mutex_attach(&arena->m, 0));
	return arena;
}

static int carry_out(fipc_mutex *m, char order)
{
	switch (order) {
	case ORDER_LOCK:
		return fipc_mutex_lock(m);
	case ORDER_UNLOCK:
		return fipc_mutex_unlock(m);
	case ORDER_CONSISTENT:
		return fipc_mutex_consistent(m);
	case ORDER_REVOKE:
		return fipc_mutex_revoke(m);
	default:
		return -EINVAL;
	}
}

static int obey(const char *file)
{
	struct arena *arena = enter_arena(file);
	char order;

	while (read(STDIN_FILENO, &order, 1) == 1) {
		int r = carry_out(&arena->m, order);

		must_be(write(STDOUT_FILENO, &r, sizeof(r)), sizeof(r));
	}
	return 0;
}

static void *lock_and_exec(void *file)
{
	must_be(fipc_mutex_lock(&enter_arena(file)->m), 0);
	execl(self, self, "obey", file, (char *)NULL);
	must_fail(__FILE__, __LINE__, "exec", errno);
}

static int exec_from_a_thread(const char *file)
{
	pthread_t thread;

	must_be(pthread_create(&thread, NULL, lock_and_exec, (void *)file), 0);
	pthread_join(thread, NULL);
	return 1;
}

static int work(const char *file)
{
	struct arena *arena = enter_arena(file);
	unsigned seed = (unsigned)getpid();

	for (;;) {
		int r = fipc_mutex_lock(&arena->m);

		must_not_fail(r);
		if (r == FIPC_OWNER_DIED) {
			fipc_word_store(&arena->deaths, fipc_word_load(&arena->deaths) + 1);
			arena->inside = 0;
			arena->b = arena->a;
			must_be(fipc_mutex_consistent(&arena->m), 0);
		}
		if (arena->inside || arena->a != arena->b)
			fipc_word_store(&arena->violations, fipc_word_load(&arena->violations) + 1);
		arena->inside = 1;
		arena->a++;
		for (int i = rand_r(&seed) % 4096; i > 0; i--)
			__asm__ volatile("");
		arena->b++;
		fipc_u64_store(&arena->done[LIBC], fipc_u64_load(&arena->done[LIBC]) + 1);
		arena->inside = 0;
		must_be(fipc_mutex_unlock(&arena->m), 0);
		if (rand_r(&seed) % 64 == 0)
			nap_us(rand_r(&seed) % 30);
	}
}

/* ---- fipc's and libc's, interleaved ---- */

enum { OF_EACH = 8, MIXTURES = 300, NOTHING = -1 };

struct mixture {
	fipc_mutex f[OF_EACH];
	pthread_mutex_t p[OF_EACH];
	unsigned seed;
	int from; /* 0: both kinds; OF_EACH: libc's alone, in a child that has not called fipc yet */
	volatile unsigned steps;
	/* What is held; of the one that is changing at this moment it is not known. Those of libc from OF_EACH on. */
	volatile int held[2 * OF_EACH], changing;
};

static void init_libcs(pthread_mutex_t *m)
{
	pthread_mutexattr_t attr;

	must_be(pthread_mutexattr_init(&attr), 0);
	must_be(pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED), 0);
	must_be(pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST), 0);
	must_be(pthread_mutex_init(m, &attr), 0);
	pthread_mutexattr_destroy(&attr);
}

static int change(struct mixture *x, int i)
{
	if (i < OF_EACH)
		return x->held[i] ? fipc_mutex_unlock(&x->f[i]) : fipc_mutex_lock(&x->f[i]);
	i -= OF_EACH;
	return x->held[i + OF_EACH] ? pthread_mutex_unlock(&x->p[i]) : pthread_mutex_lock(&x->p[i]);
}

static void mix_until_killed(void *argument)
{
	struct mixture *x = argument;

	for (;;) {
		int i = x->from + rand_r(&x->seed) % (2 * OF_EACH - x->from);

		x->changing = i;
		must_be(change(x, i), 0);
		x->held[i] ^= 1;
		x->changing = NOTHING;
		x->steps++;
	}
}

/* Had without waiting: after a death inside or not? Mended, and free afterwards. */
static int died(struct mixture *x, int i)
{
	int r;

	if (i < OF_EACH) {
		r = fipc_mutex_trylock(&x->f[i]);
		if (r == FIPC_OWNER_DIED)
			must_be(fipc_mutex_consistent(&x->f[i]), 0);
		must_not_fail(r);
		must_be(fipc_mutex_unlock(&x->f[i]), 0);
		return r;
	}
	r = pthread_mutex_trylock(&x->p[i - OF_EACH]);
	must(r == 0 || r == EOWNERDEAD);
	if (r == EOWNERDEAD)
		must_be(pthread_mutex_consistent(&x->p[i - OF_EACH]), 0);
	must_be(pthread_mutex_unlock(&x->p[i - OF_EACH]), 0);
	return r == EOWNERDEAD;
}

static int mix(const char *file)
{
	struct mixture *x = share(sizeof(*x));
	unsigned seed = 1, held = 0;

	(void)file;
	for (int i = 0; i < OF_EACH; i++) {
		must_be(fipc_mutex_init(&x->f[i], 0), 0);
		init_libcs(&x->p[i]);
	}
	for (unsigned round = 0; round < MIXTURES; round++) {
		pid_t pid;

		x->seed = 7919 * round + 1;
		x->from = round % 4 ? 0 : OF_EACH;
		x->changing = NOTHING;
		x->steps = 0;
		memset((void *)x->held, 0, sizeof(x->held));
		pid = start(mix_until_killed, x);
		await(x->steps > 0);
		for (int i = rand_r(&seed) % 20000; i > 0; i--)
			__asm__ volatile("");
		murder(pid);
		for (int i = 0; i < 2 * OF_EACH; i++) {
			int told = died(x, i);

			held += told;
			must(told == x->held[i] || i == x->changing);
		}
	}
	printf("mix: %d killed, %u locks held then, none lost\n", MIXTURES, held);
	return 0;
}

/* ---- a thread ends, and a peer has overwritten the links ---- */

/* In a mutex's bytes 32 to 47 lie the links: with glibc's list from byte 40 on, with musl's from 36. */
enum { LINKS_BEGIN = 32, LINKS_END = 48, SCRIBBLED = 3, CANARIES = 256 };

struct scene {
	fipc_mutex f[SCRIBBLED];
	pthread_mutex_t p;
	struct gate locked, scribbled;
};

static void *end_holding(void *argument)
{
	struct scene *s = argument;

	for (int i = 0; i < SCRIBBLED; i++) {
		must_be(fipc_mutex_lock(&s->f[i]), 0);
		if (i == 0)
			must_be(pthread_mutex_lock(&s->p), 0);
	}
	gate_open(&s->locked);
	gate_pass(&s->scribbled);
	pthread_exit(NULL);
}

static void wait_to_be_told(void *argument)
{
	struct scene *s = argument;

	must_be(fipc_mutex_lock(&s->f[1]), FIPC_OWNER_DIED);
	must_be(fipc_mutex_consistent(&s->f[1]), 0);
	must_be(fipc_mutex_unlock(&s->f[1]), 0);
}

static void aim(struct scene *s, size_t at, const void *target)
{
	for (int i = 0; i < SCRIBBLED; i++) {
		char *bytes = (char *)&s->f[i];

		memset(bytes + LINKS_BEGIN, 0, LINKS_END - LINKS_BEGIN);
		memcpy(bytes + at, &target, sizeof(target));
	}
}

static void scribble_at(struct scene *s, size_t at)
{
	uint64_t *canaries = malloc(CANARIES * sizeof(*canaries));
	pthread_t thread;
	pid_t waiter;

	must(canaries != NULL);
	memset(canaries, 0x5a, CANARIES * sizeof(*canaries));
	for (int i = 0; i < SCRIBBLED; i++)
		must_be(fipc_mutex_init(&s->f[i], 0), 0);
	init_libcs(&s->p);
	must_be(pthread_create(&thread, NULL, end_holding, s), 0);
	gate_pass(&s->locked);
	waiter = start(wait_to_be_told, s);
	await(sleepers(&s->f[1]) == 1);
	/* As a peer would, who knows where this process's memory lies. */
	aim(s, at, &canaries[CANARIES / 2]);
	gate_open(&s->scribbled);
	pthread_join(thread, NULL);
	must_be(finish(waiter), 0);
	for (int i = 0; i < SCRIBBLED; i++)
		must_be(fresh_trylock(&s->f[i]), i == 1 ? 0 : FIPC_OWNER_DIED);
	must_be(pthread_mutex_trylock(&s->p), EOWNERDEAD);
	must_be(pthread_mutex_consistent(&s->p), 0);
	must_be(pthread_mutex_unlock(&s->p), 0);
	for (int i = 0; i < CANARIES; i++)
		must(canaries[i] == UINT64_C(0x5a5a5a5a5a5a5a5a));
	free(canaries);
}

static int scribble(const char *file)
{
	struct scene *s = share(sizeof(*s));

	(void)file;
	gate_make(&s->locked);
	gate_make(&s->scribbled);
	for (size_t at = LINKS_BEGIN; at + sizeof(void *) <= LINKS_END; at += 4)
		scribble_at(s, at);
	return 0;
}

/* ---- fork while another thread is inside open and close ---- */

enum { FORKS = 200 };

static fipc_word over, opened;

static void *open_and_close(void *argument)
{
	(void)argument;
	while (!fipc_word_load(&over)) {
		fipc_mutex *m;

		must_not_fail(fipc_mutex_open(&m, "looped", FIPC_CREATE, 0600));
		must_be(fipc_mutex_close(m), 0);
		fipc_word_store(&opened, fipc_word_load(&opened) + 1);
	}
	return NULL;
}

static void use(const char *name)
{
	fipc_mutex *m;

	must_not_fail(fipc_mutex_open(&m, name, FIPC_CREATE, 0600));
	must_be(fipc_mutex_lock(m), 0);
	must_be(fipc_mutex_unlock(m), 0);
	must_be(fipc_mutex_close(m), 0);
}

static void use_names(void *argument)
{
	use("looped");
	use("other");
	/* The parent has it open, and so has the child. */
	must_be(fipc_mutex_lock(argument), 0);
	must_be(fipc_mutex_unlock(argument), 0);
	must_be(fipc_mutex_close(argument), 0);
}

static int fork_while_opening(const char *file)
{
	fipc_mutex *inherited;
	pthread_t thread;

	(void)file;
	must_not_fail(fipc_mutex_open(&inherited, "inherited", FIPC_CREATE, 0600));
	must_be(pthread_create(&thread, NULL, open_and_close, NULL), 0);
	await(fipc_word_load(&opened) > 0);
	for (int i = 0; i < FORKS; i++)
		must_be(in_child(use_names, inherited), 0);
	fipc_word_store(&over, 1);
	pthread_join(thread, NULL);
	must_be(fipc_mutex_close(inherited), 0);
	printf("fork: %d children, %u times opened meanwhile\n", FORKS, fipc_word_load(&opened));
	return 0;
}

/* ---- children that our handlers do not know of ---- */

struct family {
	fipc_mutex parents, childs;
	pthread_mutex_t libcs;
};

static noreturn void child_dies_holding(struct family *f, int with_libcs)
{
	must_be(fipc_mutex_unlock(&f->parents), -EPERM);
	must_be(fipc_mutex_trylock(&f->parents), -EBUSY);
	must_be(fipc_mutex_lock(&f->childs), 0);
	if (with_libcs)
		must_be(pthread_mutex_lock(&f->libcs), 0);
	kill(getpid(), SIGKILL); /* raise() would ask libc who we are, and get the parent */
	_exit(1);
}

static int child_of(pid_t (*make_child)(void), int with_libcs)
{
	struct family *f = share(sizeof(*f));
	pid_t pid;

	must_be(fipc_mutex_init(&f->parents, 0), 0);
	must_be(fipc_mutex_init(&f->childs, 0), 0);
	init_libcs(&f->libcs);
	must_be(fipc_mutex_lock(&f->parents), 0);
	pid = make_child();
	must(pid >= 0);
	if (!pid)
		child_dies_holding(f, with_libcs);
	must_be(finish(pid), 128 + SIGKILL);
	must_be(state_of(&f->parents), FIPC_MUTEX_HELD);
	must_be(fipc_mutex_trylock(&f->childs), FIPC_OWNER_DIED);
	must_be(fipc_mutex_consistent(&f->childs), 0);
	must_be(fipc_mutex_unlock(&f->childs), 0);
	if (with_libcs)
		must_be(pthread_mutex_trylock(&f->libcs), EOWNERDEAD);
	must_be(fipc_mutex_unlock(&f->parents), 0);
	must_be(fipc_mutex_trylock(&f->parents), 0);
	must_be(fipc_mutex_unlock(&f->parents), 0);
	return 0;
}

extern pid_t _Fork(void) __attribute__((weak));

static int fork_without_handlers(const char *file)
{
	(void)file;
	return _Fork ? child_of(_Fork, 1) : SKIPPED;
}

/* libc's own robust mutexes do not work in it: libc has the parent's TID in mind. */
static pid_t bare_clone(void)
{
	return (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
}

static int clone_without_libc(const char *file)
{
	(void)file;
	return child_of(bare_clone, 0);
}

static const struct role {
	const char *name;
	int (*play)(const char *file);
} roles[] = {
	{"obey", obey},
	{"exec", exec_from_a_thread},
	{"work", work},
	{"mix", mix},
	{"scribble", scribble},
	{"fork", fork_while_opening},
	{"_Fork", fork_without_handlers},
	{"clone", clone_without_libc},
};

int main(int argc, char **argv)
{
	self = argv[0];
	for (size_t i = 0; argc > 1 && i < sizeof(roles) / sizeof(*roles); i++)
		if (strcmp(argv[1], roles[i].name) == 0)
			return roles[i].play(argv[2]);
	fprintf(stderr, "usage: partner <role> [<file>]; see partner.h\n");
	return 2;
}
