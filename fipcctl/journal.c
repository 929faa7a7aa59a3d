/* SPDX-License-Identifier: Apache-2.0 */
#include <message_id.h>
#include <syslog.h>
#include <unistd.h>

#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

#include "column.h"
#include "journal.h"

static const struct {
	const char *action, *done, *id;
} deeds[] = {
	[DEED_REVOKE] = {"revoke", "revoked", MESSAGE_ID_REVOKE},
	[DEED_UNLINK] = {"unlink", "unlinked", MESSAGE_ID_UNLINK},
};

void journal_deed(enum deed deed, const json_t *object)
{
	const char *name = json_text(object, "name"), *type = json_text(object, "type");
	const char *dir = json_text(object, "dir");
	json_int_t owner = json_number(object, "state.owner_pid");

	/* In fipcd's words. Without an owner its field is the NULL that ends them. */
	sd_journal_send("MESSAGE=uid %u (process %d) %s %s %s in %s", getuid(), getpid(), deeds[deed].done, type, name,
			dir, "PRIORITY=%d", LOG_NOTICE, "SYSLOG_IDENTIFIER=fipcctl", "MESSAGE_ID=%s", deeds[deed].id,
			"FIPC_ACTION=%s", deeds[deed].action, "FIPC_OBJECT=%s", name, "FIPC_TYPE=%s", type,
			"FIPC_DIR=%s", dir, "FIPC_CALLER_UID=%u", getuid(), "FIPC_CALLER_PID=%d", getpid(),
			owner ? "FIPC_PID=%lld" : NULL, (long long)owner, NULL);
}
