/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RemoveIPC=: systemd deletes all that a user has in /dev/shm when the user's last session ends (logind), or when a
 * unit that runs as the user stops. Is there anybody here whom that would hit?
 */
#include <ctype.h>
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "column.h"
#include "doctor.h"
#include "say.h"
#include "source.h"

#define UNITS_COMMAND "systemctl show --property=Id,UID,User,RemoveIPC,DynamicUser --type=service '*' 2>/dev/null"
#define LINGERING "/var/lib/systemd/linger/"
enum {
	SYSTEM_UID_MAX = 999, /* of Debian, and logind spares users up to it */
	LINE_SIZE = 1024,
};

/* The uids of those who have objects here: an array of integers. */
static json_t *owners(const struct settings *settings)
{
	json_t *uids = json_object(), *objects = NULL, *object;
	struct source *source = NULL;
	size_t index;

	if (source_open(&source, settings) == STATUS_DONE && source_list(source, NULL, NULL, &objects) == STATUS_DONE) {
		json_array_foreach(objects, index, object) {
			char uid[24];

			snprintf(uid, sizeof(uid), INT, json_number(object, "uid"));
			json_object_set_new(uids, uid, json_true());
		}
	}
	json_decref(objects);
	source_close(source);
	return uids;
}

static const char *user_name(const char *uid, char *buffer, size_t size)
{
	const struct passwd *user = getpwuid((uid_t)strtoul(uid, NULL, 10));

	snprintf(buffer, size, "%s", user ? user->pw_name : uid);
	return buffer;
}

/* The value of a line KEY=value, without blanks around it; NULL: another line. */
static char *value_of(char *line, const char *key)
{
	size_t length = strlen(key);
	char *end;

	line += strspn(line, " \t");
	if (strncmp(line, key, length) != 0)
		return NULL;
	line += length + strspn(line + length, " \t");
	if (*line++ != '=')
		return NULL;
	line += strspn(line, " \t");
	for (end = line + strlen(line); end > line && isspace((unsigned char)end[-1]); end--)
		;
	*end = '\0';
	return line;
}

static bool is_true(const char *value)
{
	return !strcmp(value, "yes") || !strcmp(value, "true") || !strcmp(value, "1") || !strcmp(value, "on");
}

/* ---- logind ---- */

/* It is the default; the last word in its files is the one that counts. */
static bool logind_removes(void)
{
	FILE *files = popen("systemd-analyze cat-config systemd/logind.conf 2>/dev/null", "re");
	char line[LINE_SIZE];
	bool removes = true;

	while (files && fgets(line, sizeof(line), files)) {
		const char *value = value_of(line, "RemoveIPC");

		if (value)
			removes = !*value || is_true(value);
	}
	if (files)
		pclose(files);
	return removes;
}

static bool lingers(const char *name)
{
	char path[sizeof(LINGERING) + 256];

	snprintf(path, sizeof(path), LINGERING "%s", name);
	return access(path, F_OK) == 0;
}

static unsigned warn_of_logind(struct patient *p, json_t *uids)
{
	const char *uid;
	unsigned n = 0;
	json_t *value;

	json_object_foreach(uids, uid, value) {
		char name[256];

		if (strtoul(uid, NULL, 10) <= SYSTEM_UID_MAX || lingers(user_name(uid, name, sizeof(name))))
			continue;
		n++;
		find_that(p, HEALTH_WARN,
			  "RemoveIPC=no in logind.conf, or loginctl enable-linger, or FIPC_DIR outside of /dev/shm",
			  "logind deletes the objects of user %s at the end of the last session", name);
	}
	return n;
}

/* ---- units ---- */

struct unit {
	char id[256];
	char uid[24], user[256];
	bool removes;
};

static bool owns(const struct unit *unit, json_t *uids)
{
	const struct passwd *user = *unit->user ? getpwnam(unit->user) : NULL;
	char uid[24];

	if (json_object_get(uids, unit->uid))
		return true;
	snprintf(uid, sizeof(uid), "%u", user ? user->pw_uid : 0);
	return user && json_object_get(uids, uid);
}

static unsigned warn_of_unit(struct patient *p, const struct unit *unit, json_t *uids)
{
	if (!unit->removes || !owns(unit, uids))
		return 0;
	find_that(p, HEALTH_WARN,
		  "RemoveIPC=no, User= in place of DynamicUser=, or FIPC_DIR=%t/... with RuntimeDirectory=",
		  "%s deletes the objects of its user when it stops (RemoveIPC= or DynamicUser=)", unit->id);
	return 1;
}

static void read_property(struct unit *unit, char *line)
{
	const char *value;

	if ((value = value_of(line, "Id")))
		snprintf(unit->id, sizeof(unit->id), "%s", value);
	else if ((value = value_of(line, "UID")))
		snprintf(unit->uid, sizeof(unit->uid), "%s", value);
	else if ((value = value_of(line, "User")))
		snprintf(unit->user, sizeof(unit->user), "%s", value);
	else if ((value = value_of(line, "RemoveIPC")) || (value = value_of(line, "DynamicUser")))
		unit->removes |= is_true(value);
}

/* One blank line between two of them. Returns how many were warned of; sets *met if there are any at all. */
static unsigned look_at_units(struct patient *p, json_t *uids, bool *met)
{
	FILE *units = popen(UNITS_COMMAND, "re");
	struct unit unit = {0};
	char line[LINE_SIZE];
	unsigned n = 0;

	*met = false;
	while (units && fgets(line, sizeof(line), units)) {
		*met = true;
		read_property(&unit, line);
		if (*line != '\n')
			continue;
		n += warn_of_unit(p, &unit, uids);
		unit = (struct unit){0};
	}
	if (units)
		pclose(units);
	return n + warn_of_unit(p, &unit, uids);
}

void examine_remove_ipc(struct patient *p)
{
	bool systemd;
	unsigned n;
	json_t *uids;

	if (p->absent)
		return;
	if (strncmp(p->directory, "/dev/shm/", strlen("/dev/shm/")) != 0) {
		find_that(p, HEALTH_OK, NULL, "%s is not in /dev/shm, and so left alone", p->directory);
		return;
	}
	uids = owners(p->settings);
	n = look_at_units(p, uids, &systemd);
	if (!systemd)
		find_that(p, HEALTH_OK, NULL, "systemd does not run here");
	else if (logind_removes())
		n += warn_of_logind(p, uids);
	if (systemd && n == 0)
		find_that(p, HEALTH_OK, NULL,
			  "nobody who has objects here would lose them at a log-out, or when a unit stops");
	json_decref(uids);
}
