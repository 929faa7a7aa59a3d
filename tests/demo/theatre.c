/* SPDX-License-Identifier: Apache-2.0 */
#include "theatre.h"

#include <errno.h>
#include <fcntl.h>
#include <fipc/registry.h>
#include <ftw.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ARGUMENTS_MAX = 8 };

static struct theatre {
	char base[64], directory[80], socket[80], log[80];
	pid_t director, fipcd, workers[WORKERS];
	int killed[WORKERS];
	struct stage *stage;
	fipc_registry *registry;
	long log_shown;
	int64_t start_ns;
} theatre;

static volatile sig_atomic_t interrupted;

/* ---- the time line ---- */

static void tell_line(const char *when, const char *format, va_list arguments)
{
	printf("%11s  ", when);
	vprintf(format, arguments);
	putchar('\n');
	fflush(stdout);
}

void tell(const char *format, ...)
{
	va_list arguments;
	char when[32];

	snprintf(when, sizeof(when), "%.3f s", (double)(now_ns() - theatre.start_ns) / 1e9);
	va_start(arguments, format);
	tell_line(when, format, arguments);
	va_end(arguments);
}

void tell_more(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	tell_line("", format, arguments);
	va_end(arguments);
}

void tell_after(int64_t ns, const char *format, ...)
{
	va_list arguments;
	char when[32];

	snprintf(when, sizeof(when), "+%lld us", (long long)ns / 1000);
	va_start(arguments, format);
	tell_line(when, format, arguments);
	va_end(arguments);
}

void fall(const char *format, ...)
{
	va_list arguments;

	fflush(stdout);
	fputs("fipc-demo: ", stderr);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	exit(1);
}

/* Has one ended that was neither killed nor wished to leave? It stays to be waited for. */
static int worker_lost(void)
{
	for (int i = 0; i < WORKERS; i++) {
		siginfo_t end = {0};

		if (theatre.workers[i] <= 0 || theatre.killed[i])
			continue;
		waitid(P_PID, (id_t)theatre.workers[i], &end, WEXITED | WNOHANG | WNOWAIT);
		if (end.si_pid && !(end.si_code == CLD_EXITED && end.si_status == 0))
			return 1;
	}
	return 0;
}

void await_step(int64_t end, const char *what)
{
	claim(!interrupted, "interrupted");
	claim(!theatre.stage->error, "a worker failed: %s", strerror(-theatre.stage->error));
	claim(!worker_lost(), "a worker has crashed");
	claim(now_ns() < end, "waited 10 s in vain: %s", what);
	nap_us(20);
}

/* ---- beginning and end ---- */

static void end_process(pid_t *pid)
{
	if (*pid <= 0)
		return;
	kill(*pid, SIGKILL);
	waitpid(*pid, NULL, 0);
	*pid = 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static void clean_up(void)
{
	if (getpid() != theatre.director)
		return;
	for (int i = 0; i < WORKERS; i++)
		end_process(&theatre.workers[i]);
	end_process(&theatre.fipcd);
	fipc_registry_close(theatre.registry);
	if (*theatre.base)
		nftw(theatre.base, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void interrupt(int number)
{
	(void)number;
	interrupted = 1;
}

static void catch_signals(void)
{
	struct sigaction action = {.sa_handler = interrupt, .sa_flags = SA_RESTART};

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static void make_directories(void)
{
	char template[] = "/dev/shm/fipc-demo.XXXXXX";

	claim(mkdtemp(template), "cannot make a directory in /dev/shm: %s", strerror(errno));
	snprintf(theatre.base, sizeof(theatre.base), "%s", template);
	snprintf(theatre.directory, sizeof(theatre.directory), "%s/names", template);
	snprintf(theatre.socket, sizeof(theatre.socket), "%s/fipcd.sock", template);
	snprintf(theatre.log, sizeof(theatre.log), "%s/log", template);
	claim(mkdir(theatre.directory, 0700) == 0, "cannot make %s: %s", theatre.directory, strerror(errno));
	setenv("FIPC_DIR", theatre.directory, 1);
	setenv("FIPC_SOCKET", theatre.socket, 1);
}

/* In a child: it shall not outlive the director, and a Ctrl-C is the director's affair. */
static void become_child(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != theatre.director)
		_exit(1);
	signal(SIGINT, SIG_IGN);
}

static void exec_fipcd(void)
{
	int log = open(theatre.log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	become_child();
	dup2(log, STDERR_FILENO);
	dup2(log, STDOUT_FILENO);
	execlp("systemd-socket-activate", "systemd-socket-activate", "-l", theatre.socket, FIPCD_PATH, "--dir",
	       theatre.directory, (char *)NULL);
	_exit(127);
}

static int fipcd_ended(void)
{
	if (waitpid(theatre.fipcd, NULL, WNOHANG) != theatre.fipcd)
		return 0;
	theatre.fipcd = 0;
	return 1;
}

static void start_fipcd(void)
{
	theatre.fipcd = fork();
	claim(theatre.fipcd >= 0, "cannot fork: %s", strerror(errno));
	if (theatre.fipcd == 0)
		exec_fipcd();
	await(access(theatre.socket, F_OK) == 0 || fipcd_ended(), "systemd-socket-activate to listen");
	claim(theatre.fipcd, "cannot run systemd-socket-activate, of Debian's package systemd");
}

void theatre_open(void)
{
	int r;

	theatre.director = getpid();
	theatre.start_ns = now_ns();
	atexit(clean_up);
	catch_signals();
	theatre.stage = mmap(NULL, sizeof(*theatre.stage), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	claim(theatre.stage != MAP_FAILED, "no shared memory: %s", strerror(errno));
	stage_init(theatre.stage);
	make_directories();
	start_fipcd();
	r = fipc_registry_open(&theatre.registry, NULL, 0);
	claim(r == 0, "cannot open %s: %s", theatre.directory, strerror(-r));
}

struct stage *theatre_stage(void)
{
	return theatre.stage;
}

int fipcd_runs(void)
{
	char path[64], comm[32] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/comm", theatre.fipcd);
	file = fopen(path, "re");
	if (!file)
		return 0;
	if (!fgets(comm, sizeof(comm), file))
		comm[0] = '\0';
	fclose(file);
	return !strcmp(comm, "fipcd\n");
}

/* ---- workers ---- */

pid_t worker_start(int self)
{
	pid_t pid = fork();

	claim(pid >= 0, "cannot fork: %s", strerror(errno));
	if (pid == 0) {
		become_child();
		_exit(worker_run(theatre.stage, self));
	}
	theatre.workers[self] = pid;
	return pid;
}

pid_t worker_pid(int self)
{
	return theatre.workers[self];
}

int64_t worker_kill(int self)
{
	int64_t before;

	theatre.killed[self] = 1;
	before = now_ns();
	kill(theatre.workers[self], SIGKILL);
	return before;
}

void worker_wait(int self)
{
	int status = 0;

	await(waitpid(theatre.workers[self], &status, WNOHANG) != 0, "a worker to leave");
	theatre.workers[self] = 0;
	claim(WIFEXITED(status) && WEXITSTATUS(status) == 0, "a worker did not leave in order");
}

/* ---- fipcd and fipcctl ---- */

static pid_t start_fipcctl(char *const *arguments, int output)
{
	pid_t pid = fork();

	claim(pid >= 0, "cannot fork: %s", strerror(errno));
	if (pid)
		return pid;
	become_child();
	dup2(output, STDOUT_FILENO);
	execv(FIPCCTL_PATH, arguments);
	_exit(127);
}

static int show_lines(int fd)
{
	FILE *file = fdopen(fd, "r");
	char line[400];
	int n = 0;

	claim(file, "out of memory");
	for (; fgets(line, sizeof(line), file); n++)
		tell_more("  %.*s", (int)strcspn(line, "\n"), line);
	fclose(file);
	return n;
}

static void print_command(char *const *arguments)
{
	char text[200] = "$ fipcctl";

	for (int i = 1; arguments[i]; i++) {
		size_t used = strlen(text);

		snprintf(text + used, sizeof(text) - used, " %s", arguments[i]);
	}
	tell_more("%s", text);
}

static int run_fipcctl(char *const *arguments)
{
	int ends[2], status = 0, lines;
	pid_t pid;

	claim(pipe2(ends, O_CLOEXEC) == 0, "no pipe: %s", strerror(errno));
	print_command(arguments);
	pid = start_fipcctl(arguments, ends[1]);
	close(ends[1]);
	lines = show_lines(ends[0]);
	waitpid(pid, &status, 0);
	claim(status == 0, "fipcctl failed");
	return lines;
}

int fipcctl(const char *argument, ...)
{
	char *arguments[ARGUMENTS_MAX + 1] = {(char *)"fipcctl"};
	va_list list;
	int n = 1;

	va_start(list, argument);
	for (const char *a = argument; a && n < ARGUMENTS_MAX; a = va_arg(list, const char *))
		arguments[n++] = (char *)a;
	va_end(list);
	return run_fipcctl(arguments);
}

void show_log(void)
{
	FILE *file = fopen(theatre.log, "re");
	char line[400];

	claim(file, "cannot read what fipcd says: %s", strerror(errno));
	fseek(file, theatre.log_shown, SEEK_SET);
	while (fgets(line, sizeof(line), file))
		if (!strncmp(line, "fipcd: ", 7))
			tell_more("  %.*s", (int)strcspn(line, "\n"), line);
	theatre.log_shown = ftell(file);
	fclose(file);
}

/* ---- what can be seen ---- */

static int keep_view(const struct fipc_object *object, void *context)
{
	struct view *view = context;

	view->there = object->inode != 0;
	view->waiters = object->mutex.waiters;
	view->attached = object->n_alive;
	view->left = object->n_dead;
	return 1;
}

struct view look(void)
{
	struct fipc_filter filter = {.pattern = LOCK_NAME};
	struct view view = {0};
	int r = fipc_registry_walk(theatre.registry, 0, &filter, keep_view, &view);

	claim(r >= 0, "cannot look into %s: %s", theatre.directory, strerror(-r));
	return view;
}

static int compare_pid(const struct fipc_process *process, void *context)
{
	const pid_t *pid = context;

	return process->pid == *pid;
}

int is_tracked(pid_t pid)
{
	int r = fipc_registry_processes(theatre.registry, 0, compare_pid, &pid);

	claim(r >= 0, "cannot look into %s: %s", theatre.directory, strerror(-r));
	return r;
}

int name_is_there(void)
{
	char path[120];

	snprintf(path, sizeof(path), "%s/%s.%s", theatre.directory, LOCK_NAME, fipc_type_name(FIPC_TYPE_MUTEX));
	return access(path, F_OK) == 0;
}
