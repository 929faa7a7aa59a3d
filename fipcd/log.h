/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the daemon tells the administrator: journal entries with fields when its standard error is the journal, else
 * lines on standard error.
 */
#ifndef FIPCD_LOG_H
#define FIPCD_LOG_H

#include <syslog.h>

struct log_fields { /* NULL or 0: not there */
	const char *dir;    /* FIPC_DIR */
	const char *object; /* FIPC_OBJECT */
	const char *type;   /* FIPC_TYPE */
	const char *action; /* FIPC_ACTION */
	int pid;            /* FIPC_PID */
};

/* Ask once, at the start, where to log. */
void log_open(void);

/* priority: as syslog(3). fields may be NULL. */
void log_event(int priority, const struct log_fields *fields, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
