/* SPDX-License-Identifier: Apache-2.0 */
#include "log.h"
#include "message_id.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

enum { MESSAGE_SIZE = 1024, FIELD_SIZE = 1200, FIELDS = 10 };

/* Each kind of event has a number by which journalctl finds it, and its explanation in systemd/fipc.catalog. */
static const struct {
	const char *action;
	const char *id;
} kinds[] = {
	{"reclaim", "44be726f87f345f6b7f06eaec1f8fb3b"},
	{"detach", "f29b262975ad4c85bdfeaf95f3f5f570"},
	{"revoke", MESSAGE_ID_REVOKE},
	{"unlink", MESSAGE_ID_UNLINK},
	{"refuse", "e32d780a01f348b8ac723b4804f22fbe"},
	{"owner-died", "db16188e9b97486b8209f5d27b3ea7d3"},
	{"deadlock", "495a57eca0bc4c9cb9c41fceb89e261c"},
	{"limit", "3aafb705b34b4c11bd98d240579f8c83"},
	{"give-up", "b5e46ab93edf4382ad4f7f9c22c61f36"},
	{"failed", "9e0d0f2e68fc47d1a014f1b5f294d0d9"},
	{"gone", "eaf73fbbd23d44309fa4c8ff0696bc1e"},
	{"back", "15f83bb41e344779926c5cb27ba1f585"},
	{"idle-exit", "0adc7dfeab7044cbb2968ac7dd97500e"},
};

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

static void add_number(struct entry *e, const char *key, int64_t value)
{
	char number[24];
	snprintf(number, sizeof(number), "%lld", (long long)value);
	add(e, key, number);
}

static const char *message_id(const char *action)
{
	for (size_t i = 0; action && i < sizeof(kinds) / sizeof(*kinds); i++)
		if (strcmp(kinds[i].action, action) == 0)
			return kinds[i].id;
	return NULL;
}

static void send_entry(int priority, const struct log_fields *fields, const char *message)
{
	struct entry e;
	e.n = 0;
	add(&e, "MESSAGE", message);
	add_number(&e, "PRIORITY", priority);
	add(&e, "MESSAGE_ID", message_id(fields->action));
	add(&e, "FIPC_DIR", fields->dir);
	add(&e, "FIPC_OBJECT", fields->object);
	add(&e, "FIPC_TYPE", fields->type);
	add(&e, "FIPC_ACTION", fields->action);
	if (fields->pid)
		add_number(&e, "FIPC_PID", fields->pid);
	if (fields->has_caller) {
		add_number(&e, "FIPC_CALLER_UID", fields->caller_uid);
		add_number(&e, "FIPC_CALLER_PID", fields->caller_pid);
	}
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
