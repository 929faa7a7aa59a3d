/* SPDX-License-Identifier: Apache-2.0 */
#include "log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

enum { MESSAGE_SIZE = 1024, FIELD_SIZE = 1200, FIELDS = 7 };

static bool to_journal;

void log_open(void)
{
	struct stat st;
	unsigned long long device, inode;
	const char *stream = getenv("JOURNAL_STREAM");
	to_journal = stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 && fstat(STDERR_FILENO, &st) == 0 &&
		     st.st_dev == device && st.st_ino == inode;
}

struct entry {
	char text[FIELDS][FIELD_SIZE];
	struct iovec fields[FIELDS];
	int n;
};

static void add(struct entry *e, const char *key, const char *value)
{
	if (!value)
		return;
	snprintf(e->text[e->n], FIELD_SIZE, "%s=%s", key, value);
	e->fields[e->n] = (struct iovec){e->text[e->n], strlen(e->text[e->n])};
	e->n++;
}

static void add_number(struct entry *e, const char *key, int value)
{
	char number[16];
	snprintf(number, sizeof(number), "%d", value);
	add(e, key, number);
}

static void send_entry(int priority, const struct log_fields *fields, const char *message)
{
	struct entry e;
	e.n = 0;
	add(&e, "MESSAGE", message);
	add_number(&e, "PRIORITY", priority);
	add(&e, "FIPC_DIR", fields->dir);
	add(&e, "FIPC_OBJECT", fields->object);
	add(&e, "FIPC_TYPE", fields->type);
	add(&e, "FIPC_ACTION", fields->action);
	if (fields->pid)
		add_number(&e, "FIPC_PID", fields->pid);
	sd_journal_sendv(e.fields, e.n);
}

void log_event(int priority, const struct log_fields *fields, const char *format, ...)
{
	static const struct log_fields none;
	char message[MESSAGE_SIZE];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(message, sizeof(message), format, arguments);
	va_end(arguments);
	if (to_journal)
		send_entry(priority, fields ? fields : &none, message);
	else
		fprintf(stderr, "fipcd: %s\n", message);
}
