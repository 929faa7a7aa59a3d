/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the daemon tells the administrator: journal entries with fields when its standard error is the journal, else
 * lines on standard error.
 */
#ifndef FIPCD_LOG_H
#define FIPCD_LOG_H

#include <stdbool.h>
#include <sys/types.h>
#include <syslog.h>

struct log_fields { /* NULL or 0: not there */
	const char *dir;    /* FIPC_DIR */
	const char *object; /* FIPC_OBJECT */
	const char *type;   /* FIPC_TYPE */
	const char *action; /* FIPC_ACTION, one of those in log.c; and its MESSAGE_ID */
	int pid;            /* FIPC_PID */
	bool has_caller;    /* somebody asked for it, or was refused: */
	uid_t caller_uid;   /* FIPC_CALLER_UID */
	pid_t caller_pid;   /* FIPC_CALLER_PID */
};

/* Ask once, at the start, where to log. */
void log_open(void);

/* priority: as syslog(3). fields may be NULL. */
void log_event(int priority, const struct log_fields *fields, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
