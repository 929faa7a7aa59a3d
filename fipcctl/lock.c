/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lock NAME -- COMMAND: a flock(1) that tells when the last owner died inside.
 *
 * Killed                          leaves
 *   before it has the lock        an entry of a dead process, for fipcd or the next open
 *   with it, before the fork      the lock in the hands of the next one, who is told
 *   while the command runs        the same; and the kernel kills the command, for two must not be inside
 *   after the unlock              an entry, as above
 */
#include <errno.h>
#include <fipc.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "command.h"
#include "library.h"
#include "say.h"

#define TOLD "FIPC_OWNER_DIED"
enum {
	DEFAULT_MODE = 0600,
	STATUS_MAX = 255,
	STATUS_SIGNAL = 128, /* and the signal's number, as a shell tells it */
	STATUS_NOT_EXECUTABLE = 126,
	STATUS_NOT_FOUND = 127,
};

/* Sent to us, they are meant for the command. */
static const int forwarded[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};

struct lock {
	const char *name;
	fipc_mutex *mutex;
	bool owner_died;
};

/* ---- having it ---- */

static int parse_mode(const char *text, mode_t *ret)
{
	char *end = NULL;
	unsigned long mode = text ? strtoul(text, &end, 8) : DEFAULT_MODE;

	if (text && (!strchr("01234567", *text) || !*text || *end || mode > 0777))
		return misuse("--mode: '%s' is no mode; 0660 is one", text);
	*ret = (mode_t)mode;
	return STATUS_DONE;
}

static int open_lock(struct lock *l, const struct settings *settings)
{
	/* PERSIST: with the last user the name would go, and with it the word that the last user died. */
	unsigned flags = FIPC_CREATE | FIPC_PERSIST | FIPC_TIMESTAMPS | (settings->any_owner ? FIPC_ANY_OWNER : 0);
	mode_t mode = 0;
	int r = parse_mode(settings->mode, &mode);

	if (r != STATUS_DONE)
		return r;
	r = fipc_mutex_open(&l->mutex, l->name, flags, mode);
	if (r == -EPERM && !settings->any_owner)
		return fail("cannot open the mutex '%s': %s; if that is meant, --any-owner", l->name, library_words(r));
	return r < 0 ? fail("cannot open the mutex '%s': %s", l->name, library_words(r)) : STATUS_DONE;
}

static struct fipc_mutex_info look(const struct lock *l)
{
	struct fipc_mutex_info info = {0};

	if (fipc_mutex_info(l->mutex, &info, sizeof(info)) < 0)
		info.size = 0; /* nothing is known */
	return info;
}

/* Who it was is known only if nobody had the lock between our look and the death. */
static void tell_death(const struct lock *l, const struct fipc_mutex_info *before)
{
	struct fipc_mutex_info now = look(l);

	if (before->last_pid && now.acquisitions == before->acquisitions + 1)
		say("the previous owner (process %u) died while it held '%s'", before->last_pid, l->name);
	else
		say("the previous owner died while it held '%s'", l->name);
}

static int not_obtained(const struct lock *l, int error, const struct settings *settings)
{
	struct fipc_mutex_info info = look(l);
	const char *when = error == -ETIMEDOUT ? " in time" : "";

	if (error == -ENOTRECOVERABLE)
		return fail("'%s' is lost: an owner died inside, or it was revoked; mended: fipcctl unlink %s.mutex",
			    l->name, l->name);
	if (error != -ETIMEDOUT && error != -EBUSY)
		return fail("cannot lock '%s': %s", l->name, strerror(-error));
	if (info.owner_pid)
		say("'%s' was not to be had%s: process %u has it", l->name, when, info.owner_pid);
	else
		say("'%s' was not to be had%s", l->name, when);
	return settings->conflict_status ? (int)settings->conflict_status : STATUS_FAILED;
}

/* Give the mutex back that could not be locked. */
static int leave(const struct lock *l, int status)
{
	int r = fipc_mutex_close(l->mutex);

	if (r < 0)
		say("cannot close '%s': %s", l->name, strerror(-r));
	return status;
}

static int obtain(struct lock *l, const struct settings *settings)
{
	struct fipc_mutex_info before = look(l);
	fipc_deadline deadline = settings->nonblock        ? FIPC_NOW
				 : settings->timeout.given ? fipc_after_ns(settings->timeout.ns)
							   : FIPC_FOREVER;
	int r = fipc_mutex_lock_until(l->mutex, deadline);

	if (r < 0)
		return leave(l, not_obtained(l, r, settings));
	l->owner_died = r == FIPC_OWNER_DIED;
	if (l->owner_died)
		tell_death(l, &before);
	return STATUS_DONE;
}

/* ---- the command ---- */

_Noreturn static void become(const struct lock *l, char **command, const sigset_t *mask, pid_t parent)
{
	/* The kernel gives our lock to the next one when we are killed. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(STATUS_SIGNAL + SIGKILL);
	library_leave();
	if (!l->owner_died)
		unsetenv(TOLD);
	else if (setenv(TOLD, "1", 1) < 0)
		_exit(fail("out of memory"));
	sigprocmask(SIG_SETMASK, mask, NULL);
	execvp(*command, command);
	say("cannot run '%s': %s", *command, strerror(errno));
	_exit(errno == ENOENT ? STATUS_NOT_FOUND : STATUS_NOT_EXECUTABLE);
}

static void watched_signals(sigset_t *ret)
{
	sigemptyset(ret);
	sigaddset(ret, SIGCHLD);
	for (size_t i = 0; i < sizeof(forwarded) / sizeof(*forwarded); i++)
		sigaddset(ret, forwarded[i]);
}

/* What a terminal sends (si_code > 0) goes to its whole foreground: the command has had it already. */
static int await_end(pid_t pid, const sigset_t *watched)
{
	siginfo_t info;
	int status;

	while (waitpid(pid, &status, WNOHANG) != pid) {
		int signal = sigwaitinfo(watched, &info);

		if (signal > 0 && signal != SIGCHLD && info.si_code <= 0)
			kill(pid, signal);
	}
	return WIFSIGNALED(status) ? STATUS_SIGNAL + WTERMSIG(status) : WEXITSTATUS(status);
}

static int run_command(const struct lock *l, char **command)
{
	sigset_t watched, before;
	pid_t parent = getpid(), pid;

	signal(SIGCHLD, SIG_DFL); /* ignored, there would be no status */
	watched_signals(&watched);
	sigprocmask(SIG_BLOCK, &watched, &before);
	pid = fork();
	if (pid == 0)
		become(l, command, &before, parent);
	return pid < 0 ? fail("cannot start the command: %s", strerror(errno)) : await_end(pid, &watched);
}

/*
 * A command that was told of a death, and fails, has not mended what the dead one left. To unlock now would say that
 * nobody can; so our exit lets go of the lock, as a death, and the next one is told in turn.
 */
static int let_go(const struct lock *l, int status)
{
	int r = 0;

	if (l->owner_died && status != 0) {
		say("the command failed: '%s' stays as the dead owner left it, and the next one is told", l->name);
		return status;
	}
	if (l->owner_died)
		r = fipc_mutex_consistent(l->mutex);
	if (r == 0)
		r = fipc_mutex_unlock(l->mutex);
	if (r == 0)
		r = fipc_mutex_close(l->mutex);
	if (r < 0)
		say("cannot let go of '%s': %s", l->name, strerror(-r));
	return r < 0 && status == 0 ? STATUS_FAILED : status;
}

static int check(const struct settings *settings)
{
	if (!settings->dashes)
		return misuse("lock: put -- before the command, so that its options stay its own");
	if (settings->nonblock && settings->timeout.given)
		return misuse("--nonblock does not wait, --timeout does: give one of them");
	if (settings->conflict_status > STATUS_MAX)
		return misuse("--conflict-exit-code: an exit status is %d at most", STATUS_MAX);
	return STATUS_DONE;
}

static int run(const struct command *self, const struct settings *settings, char **arguments)
{
	struct lock lock = {.name = arguments[0]};
	int r = check(settings);

	(void)self;
	if (r == STATUS_DONE)
		r = library_enter(settings);
	if (r == STATUS_DONE)
		r = open_lock(&lock, settings);
	if (r == STATUS_DONE)
		r = obtain(&lock, settings);
	return r == STATUS_DONE ? let_go(&lock, run_command(&lock, arguments + 1)) : r;
}

static const struct command_option options[] = {
	{'w', "timeout", OPTION_DURATION, "TIME", "wait no longer than this (5s, 200ms)",
	 offsetof(struct settings, timeout), NULL},
	{0, "wait", OPTION_DURATION, "TIME", "the same", offsetof(struct settings, timeout), NULL},
	{'n', "nonblock", OPTION_FLAG, NULL, "do not wait", offsetof(struct settings, nonblock), NULL},
	{'E', "conflict-exit-code", OPTION_NUMBER, "N", "exit status if the lock was not to be had (else 1)",
	 offsetof(struct settings, conflict_status), NULL},
	{0, "mode", OPTION_TEXT, "MODE", "permission bits of a mutex that is made (else 0600)",
	 offsetof(struct settings, mode), NULL},
	{0, "any-owner", OPTION_FLAG, NULL, "use a mutex that another user has made",
	 offsetof(struct settings, any_owner), NULL},
	{0},
};

const struct command command_lock = {
	.name = "lock",
	.arguments = "NAME -- COMMAND...",
	.summary = "run a command while holding a mutex",
	.text = "As flock(1), on the mutex NAME, which is made if it is missing and stays (fipcctl unlink takes it\n"
		"away). If its previous owner died inside, that is said on standard error, and the command finds\n"
		"FIPC_OWNER_DIED=1 in its environment. If it then ends with 0, what the lock protects counts as\n"
		"mended; if not, the next one is told, too.\n\n"
		"Signals sent to fipcctl (HUP, INT, QUIT, TERM, USR1, USR2) go to the command. If fipcctl itself is\n"
		"killed by SIGKILL, the lock goes to the next one, who is told, and the command is killed; what the\n"
		"command has started in turn is not.\n\n"
		"Exit status: the command's; 128 + N if signal N ended it; 127 if it is not there, 126 if it cannot\n"
		"be run; 1, or --conflict-exit-code, if the lock was not to be had; 1 if something failed; 2 usage.",
	.options = options,
	.kind = ARGUMENT_COMMAND,
	.min_arguments = 2,
	.max_arguments = INT_MAX,
	.run = run,
};
