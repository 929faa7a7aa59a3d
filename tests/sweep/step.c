/* SPDX-License-Identifier: Apache-2.0 */
#include "step.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

void trace_me(void)
{
	must_be(ptrace(PTRACE_TRACEME, 0, 0, 0), 0);
	raise(SIGSTOP);
}

noreturn void trace_over(void)
{
	_exit(0);
}

void await_traced(pid_t pid)
{
	int status;

	must_be(waitpid(pid, &status, __WALL), pid);
	must(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
	must_be(ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD), 0);
}

/* Its state letter in /proc: S or D while it sleeps in a system call, t while it stands still for us. */
static char state_letter(pid_t pid)
{
	char path[64], text[256], *end;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n > 0 ? n : 0] = 0;
	end = strrchr(text, ')');
	return end ? end[2] : 0;
}

/* Most system calls return at once; of one that does not, /proc tells. */
static int wait_until_stopped_or_asleep(pid_t pid)
{
	enum { QUICK_NS = 100000 };
	int64_t start = now_ns();
	int status;
	pid_t got;

	while ((got = waitpid(pid, &status, WNOHANG)) == 0) {
		int64_t waited = now_ns() - start;

		if (waited < QUICK_NS)
			continue;
		if (asleep_in_futex(pid) && state_letter(pid) == 'S')
			return -1;
		must(waited < PATIENCE_MS * INT64_C(1000000));
		nap_us(20);
	}
	must(got == pid);
	return status;
}

static enum stop wait_for_stop(pid_t pid, int may_sleep)
{
	int status;

	if (may_sleep)
		status = wait_until_stopped_or_asleep(pid);
	else
		must_be(waitpid(pid, &status, 0), pid);
	if (status == -1)
		return SLEEPS;
	if (WIFEXITED(status)) {
		must_be(WEXITSTATUS(status), 0);
		return FINISHED;
	}
	must(WIFSTOPPED(status));
	return STEPPED;
}

static uintptr_t program_counter(pid_t pid)
{
	struct user_regs_struct registers;
	struct iovec vec = {.iov_base = &registers, .iov_len = sizeof(registers)};

	must_be(ptrace(PTRACE_GETREGSET, pid, NT_PRSTATUS, &vec), 0);
#if defined(__x86_64__)
	return registers.rip;
#elif defined(__aarch64__)
	return registers.pc;
#else
#error "where is the program counter?"
#endif
}

static int at_syscall(pid_t pid)
{
	long code = ptrace(PTRACE_PEEKTEXT, pid, program_counter(pid), 0);

#if defined(__x86_64__)
	return (code & 0xffff) == 0x050f;
#else
	return (code & 0xffe0001f) == 0xd4000001;
#endif
}

enum stop step_instruction(pid_t pid)
{
	int may_sleep = at_syscall(pid);

	must_be(ptrace(PTRACE_SINGLESTEP, pid, 0, 0), 0);
	return wait_for_stop(pid, may_sleep);
}

enum stop step_syscall(pid_t pid)
{
	must_be(ptrace(PTRACE_SYSCALL, pid, 0, 0), 0);
	return wait_for_stop(pid, 1);
}

enum stop step_instructions(pid_t pid, unsigned n)
{
	enum stop stop = STEPPED;

	while (n-- && stop == STEPPED)
		stop = step_instruction(pid);
	return stop;
}

pid_t start_until_it_sleeps(void (*victim)(void *), void *argument)
{
	enum { ENOUGH_TRIES = 100 };
	enum stop stop = FINISHED;
	pid_t pid = 0;

	for (int tries = 0; stop != SLEEPS; tries++) {
		must(tries < ENOUGH_TRIES);
		pid = start(victim, argument);
		await_traced(pid);
		do
			stop = step_syscall(pid);
		while (stop == STEPPED);
	}
	return pid;
}

int stops_again(pid_t pid)
{
	int64_t end = now_ns() + PATIENCE_MS * INT64_C(1000000);
	int status;

	while (waitpid(pid, &status, WNOHANG) == 0) {
		if (now_ns() > end)
			return 0;
		nap_us(20);
	}
	must(WIFSTOPPED(status));
	return 1;
}

void kill_there(pid_t pid, enum stop stop)
{
	if (stop != FINISHED)
		murder(pid);
}

/* How often each address has been met. Open addressing; an operation has a few thousand addresses at most. */
enum { SEEN_SIZE = 1 << 16 };
struct seen {
	uintptr_t pc;
	unsigned times;
};

static unsigned meet(struct seen *table, uintptr_t pc)
{
	size_t i = (pc * UINT64_C(0x9e3779b97f4a7c15)) >> 48;

	while (table[i].pc && table[i].pc != pc)
		i = (i + 1) % SEEN_SIZE;
	table[i].pc = pc;
	return ++table[i].times;
}

unsigned sweep_every(void)
{
	const char *every = getenv("FIPC_SWEEP_EVERY");
	int n = every ? atoi(every) : 1;

	return n > 0 ? (unsigned)n : 1;
}

unsigned sweep_first(void)
{
	return (unsigned)(now_ns() / 1000) % sweep_every();
}

/* Of a short operation more than that; and its last point, where it is done, always. */
static struct points thin(struct points all)
{
	enum { FEWEST = 20 };
	unsigned every = sweep_every(), most = all.n / FEWEST, first;
	struct points left = {.at = all.at};

	if (every > most)
		every = most > 0 ? most : 1;
	first = sweep_first() % every;
	for (unsigned i = first; i < all.n; i += every)
		left.at[left.n++] = all.at[i];
	if (all.n > 0 && (all.n - 1) % every != first)
		left.at[left.n++] = all.at[all.n - 1];
	return left;
}

enum { TWICE = 2, NOW_AND_THEN = 61 };

struct points record_points(pid_t pid, enum stop *ret)
{
	struct seen *table = calloc(SEEN_SIZE, sizeof(*table));
	struct points points = {0};

	*ret = STEPPED;
	for (unsigned step = 0; *ret == STEPPED; step++) {
		if (meet(table, program_counter(pid)) <= TWICE || step % NOW_AND_THEN == 0) {
			points.at = realloc(points.at, (points.n + 1) * sizeof(*points.at));
			points.at[points.n++] = step;
		}
		*ret = step_instruction(pid);
	}
	free(table);
	return thin(points);
}

struct points record_some_points(pid_t pid, unsigned most, enum stop *ret)
{
	struct points points = {.at = calloc(most, sizeof(*points.at))};
	unsigned length = 0, stride;

	for (*ret = STEPPED; *ret == STEPPED; length++)
		*ret = step_instruction(pid);
	stride = length / most + 1;
	for (unsigned at = 0; at < length; at += stride)
		points.at[points.n++] = at;
	return thin(points);
}

void sweep_points(const char *name, struct points points, int (*killed_at)(const void *scene, unsigned point),
		  const void *scene)
{
	enum { ENOUGH_FAILURES = 5, FEWEST = 10 };
	unsigned done = 0, failures = 0;

	for (; done < points.n && failures < ENOUGH_FAILURES; done++)
		failures += (unsigned)killed_at(scene, points.at[done]);
	printf("%s: %u kill points, %u failures\n", name, done, failures);
	free(points.at);
	assert_true(done > FEWEST);
	assert_int_equal(failures, 0);
}
