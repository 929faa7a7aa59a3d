/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the demo plays: a private directory, fipcd behind a socket of its own, workers. Whatever ends the demo, all of
 * it is taken away: theatre_open() arranges for that, and the kernel kills the children should the director be killed.
 */
#ifndef FIPC_DEMO_THEATRE_H
#define FIPC_DEMO_THEATRE_H

#include "worker.h"

#include <stdnoreturn.h>
#include <sys/types.h>

/* What the demo claims has not happened, or somebody pressed Ctrl-C: say so, clean up, exit 1. */
noreturn void fall(const char *format, ...) __attribute__((format(printf, 1, 2)));
#define claim(condition, ...) ((condition) ? (void)0 : fall(__VA_ARGS__))

/* A line of the time line, at this time; below it; or at a time after an event. */
void tell(const char *format, ...) __attribute__((format(printf, 1, 2)));
void tell_more(const char *format, ...) __attribute__((format(printf, 1, 2)));
void tell_after(int64_t ns, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Make the directory, set FIPC_DIR and FIPC_SOCKET, and let systemd-socket-activate listen for fipcd. */
void theatre_open(void);
int fipcd_runs(void); /* has it been started by its first connection? */

struct stage *theatre_stage(void);
pid_t worker_start(int self);
pid_t worker_pid(int self);
int64_t worker_kill(int self); /* SIGKILL; the time just before */
void worker_wait(int self);    /* until it has left as wished */

/* Run fipcctl with arguments, of which the last is NULL, and show its output. Returns how many lines it had. */
int fipcctl(const char *argument, ...) __attribute__((sentinel));
void show_log(void); /* what fipcd has said since the last time */

struct view { /* the lock, as the registry sees it */
	int there;
	unsigned waiters, attached, left; /* left: entries of dead processes */
};
struct view look(void);
int is_tracked(pid_t pid);
int name_is_there(void); /* without opening it, as look() does for an instant: what is open is not removed */

/* Wait until condition holds: looks some 10,000 times a second, for 10 s. */
#define await(condition, what)                                                                                         \
	for (int64_t await_end = now_ns() + INT64_C(10000000000); !(condition);)                                       \
	await_step(await_end, what)
void await_step(int64_t end, const char *what);

#endif
