/* SPDX-License-Identifier: Apache-2.0 */
#include <client.h>
#include <errno.h>
#include <fipc/registry.h>
#include <linux/magic.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "color.h"
#include "column.h"
#include "doctor.h"
#include "object.h"
#include "say.h"
#include "source.h"

#define TMPFILES "systemd-tmpfiles --create, or as root: chmod 1777"
enum {
	SHARED_MODE = 01777,
	FULL_PERCENT = 90,     /* from here on it is a warning */
	DESCRIPTORS_MIN = 256, /* a shared memory and a queue take one each */
	PATIENCE_MS = 5000,
};

static const char *const healths[] = {[HEALTH_OK] = "ok", [HEALTH_WARN] = "warn", [HEALTH_FAIL] = "fail"};

void find_that(struct patient *p, enum health health, const char *cure, const char *format, ...)
{
	va_list arguments;
	char *text = NULL, *safe;

	va_start(arguments, format);
	if (vasprintf(&text, format, arguments) < 0)
		text = NULL;
	va_end(arguments);
	safe = text ? safe_text(text) : NULL;
	if (!safe || json_array_append_new(p->report, json_pack("{ss, ss, ss, ss*}", "check", p->check, "health",
								healths[health], "text", safe, "cure", cure)))
		p->error = -ENOMEM;
	free(text);
	free(safe);
}

/* ---- the directory ---- */

static bool is_trusted(const struct patient *p, uid_t uid)
{
	return p->named || uid == 0 || uid == geteuid();
}

static void examine_trackers(struct patient *p)
{
	char *path = make_text("%s/" FIPC_TRACKERS, p->directory);
	struct stat st;

	if (path && stat(path, &st) == 0 && (st.st_mode & 07777) != SHARED_MODE)
		find_that(p, HEALTH_WARN, TMPFILES, "%s has mode %04o: others than its owner cannot be tracked", path,
			  st.st_mode & 07777);
	free(path);
}

static void examine_mode(struct patient *p, const struct stat *st)
{
	unsigned mode = st->st_mode & 07777;

	if ((mode & S_IWOTH) && !(mode & S_ISVTX))
		find_that(p, HEALTH_FAIL, TMPFILES, "%s has mode %04o: everybody can remove everybody's objects",
			  p->directory, mode);
	else if (!is_trusted(p, st->st_uid))
		find_that(p, HEALTH_FAIL, "let root make it: " TMPFILES ", or name it in FIPC_DIR if that is meant",
			  "%s belongs to user %u: other users' programs refuse it", p->directory, st->st_uid);
	else if (mode != SHARED_MODE && !p->named)
		find_that(p, HEALTH_WARN, TMPFILES, "%s has mode %04o: not everybody can make objects there",
			  p->directory, mode);
	else
		find_that(p, HEALTH_OK, NULL, "%s, mode %04o, of user %u", p->directory, mode, st->st_uid);
}

static void examine_directory(struct patient *p)
{
	struct stat st;

	p->absent = stat(p->directory, &st) < 0 || !S_ISDIR(st.st_mode);
	if (!p->absent) {
		examine_mode(p, &st);
		examine_trackers(p);
	} else if (access(p->directory, F_OK) == 0) {
		find_that(p, HEALTH_FAIL, "remove it", "%s is no directory", p->directory);
	} else {
		find_that(p, errno == ENOENT ? HEALTH_WARN : HEALTH_FAIL,
			  "systemd-tmpfiles --create makes it for all users; else the first program does, for its own",
			  "%s: %s", p->directory, strerror(errno));
	}
}

/* ---- room ---- */

static void examine_share(struct patient *p, const char *what, unsigned long long all, unsigned long long left)
{
	unsigned percent = all ? (unsigned)((all - left) * 100 / all) : 0; /* of 0 there is no limit */

	if (all && !left)
		find_that(p, HEALTH_FAIL,
			  "fipcctl gc; mount -o remount,size=...,nr_inodes=...; or FIPC_DIR on a tmpfs of its own",
			  "no %s left: nothing can be made", what);
	else
		find_that(p, percent >= FULL_PERCENT ? HEALTH_WARN : HEALTH_OK,
			  percent >= FULL_PERCENT ? "fipcctl gc; see what else fills it; or a larger tmpfs" : NULL,
			  "%s: %u%% used", what, percent);
}

static void examine_room(struct patient *p)
{
	struct statvfs room;
	struct statfs kind;

	if (p->absent || statvfs(p->directory, &room) < 0 || statfs(p->directory, &kind) < 0)
		return;
	if (kind.f_type != TMPFS_MAGIC)
		find_that(p, HEALTH_WARN, "FIPC_DIR on a tmpfs: in /dev/shm or /run",
			  "%s is not on a tmpfs: every lock would be written to a disk, and outlives a boot",
			  p->directory);
	examine_share(p, "memory", room.f_blocks, room.f_bavail);
	examine_share(p, "inodes", room.f_files, room.f_favail);
}

/* ---- limits ---- */

static void examine_descriptors(struct patient *p)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	if (limit.rlim_cur < DESCRIPTORS_MIN)
		find_that(p, HEALTH_WARN, "ulimit -n, or LimitNOFILE= of the unit",
			  "%llu descriptors: open fails with EMFILE soon", (unsigned long long)limit.rlim_cur);
	else
		find_that(p, HEALTH_OK, NULL, "%llu descriptors", (unsigned long long)limit.rlim_cur);
}

static void examine_watches(struct patient *p)
{
	int fd = inotify_init1(IN_CLOEXEC);

	if (fd < 0)
		find_that(p, HEALTH_FAIL, "sysctl fs.inotify.max_user_instances=1024", "no inotify instance: %s",
			  strerror(errno));
	else if (inotify_add_watch(fd, "/", IN_DELETE_SELF) < 0)
		find_that(p, HEALTH_FAIL, "sysctl fs.inotify.max_user_watches=1048576", "no inotify watch: %s",
			  strerror(errno));
	else
		find_that(p, HEALTH_OK, NULL, "inotify: instances and watches are left");
	if (fd >= 0)
		close(fd);
}

static void examine_limits(struct patient *p)
{
	examine_descriptors(p);
	examine_watches(p);
}

/* ---- fipcd ---- */

static void examine_version(struct patient *p, const char *version)
{
	if (strcmp(version, FIPC_VERSION) != 0)
		find_that(p, HEALTH_WARN, "systemctl restart fipcd, or install the two from one release",
			  "fipcd is version %s, this is " FIPC_VERSION, version);
	else
		find_that(p, HEALTH_OK, NULL, "fipcd " FIPC_VERSION " answers");
}

/* A name that there cannot be: all that matters is whether the directory is its. */
static void examine_service(struct patient *p, struct wire_client *client)
{
	json_t *parameters = json_pack("{ss, ss}", "dir", p->directory, "name", "."), *reply = NULL;
	char *error = NULL;

	if (wire_client_call(client, "io.fipc.Manager.List", parameters, &reply, &error) < 0)
		find_that(p, HEALTH_FAIL, "systemctl restart fipcd; journalctl -u fipcd", "fipcd hung up");
	else if (error && !p->absent)
		find_that(p, HEALTH_WARN, "systemctl edit fipcd, ExecStart= with --dir of it besides",
			  "fipcd does not look after %s (%s)", p->directory, error);
	json_decref(reply);
	free(error);
}

static void interview(struct patient *p, struct wire_client *client, const char *socket)
{
	json_t *reply = NULL;
	char *error = NULL;
	int r = wire_client_call(client, "org.varlink.service.GetInfo", NULL, &reply, &error);

	if (r < 0)
		find_that(p, HEALTH_FAIL, "systemctl restart fipcd; journalctl -u fipcd",
			  "fipcd at %s does not answer: %s", socket, strerror(-r));
	else if (error || strcmp(json_text(reply, "product"), "fipcd") != 0)
		find_that(p, HEALTH_FAIL, "see who listens there: ss -lxp", "what answers at %s is not fipcd", socket);
	else
		examine_version(p, json_text(reply, "version"));
	json_decref(reply);
	free(error);
	if (r == 0)
		examine_service(p, client);
}

static void examine_daemon(struct patient *p)
{
	const char *socket = source_socket(p->settings);
	struct wire_client *client = NULL;
	int r;

	if (p->settings->direct)
		return;
	r = wire_client_connect(&client, socket, PATIENCE_MS);
	if (r < 0)
		find_that(p, p->settings->socket ? HEALTH_FAIL : HEALTH_WARN,
			  "systemctl enable --now fipcd.socket fipcd.path",
			  "no fipcd at %s (%s): what the dead leave is cleared up only when somebody comes by", socket,
			  strerror(-r));
	else
		interview(p, client, socket);
	wire_client_free(client);
}

/* ---- the command ---- */

static const struct {
	const char *name;
	void (*examine)(struct patient *p);
} checks[] = {
	{"directory", examine_directory}, {"room", examine_room},    {"kernel", examine_kernel},
	{"limits", examine_limits},       {"fipcd", examine_daemon}, {"RemoveIPC", examine_remove_ipc},
};

/* One line each. */
static void print_finding(const json_t *finding, bool colors)
{
	const char *health = json_text(finding, "health"), *cure = json_text(finding, "cure");
	const char *begin = colors ? shade_begin(shade_of("health", health)) : "";

	printf("%s%-4s%s %s: %s%s%s\n", begin, health, *begin ? SHADE_END : "", json_text(finding, "check"),
	       json_text(finding, "text"), *cure ? "; to mend it: " : "", cure);
}

static int print_findings(const json_t *report, const struct settings *settings)
{
	bool colors = color_wanted(settings);
	const json_t *finding;
	size_t index;

	json_array_foreach((json_t *)report, index, finding)
		print_finding(finding, colors);
	return STATUS_DONE;
}

static bool is_ill(const json_t *report)
{
	const json_t *finding;
	size_t index;

	json_array_foreach((json_t *)report, index, finding) {
		if (!strcmp(json_text(finding, "health"), healths[HEALTH_FAIL]))
			return true;
	}
	return false;
}

static int examine(struct patient *p)
{
	for (size_t i = 0; i < sizeof(checks) / sizeof(*checks); i++) {
		p->check = checks[i].name;
		checks[i].examine(p);
	}
	return p->error ? fail("out of memory") : STATUS_DONE;
}

static int run(const struct command *self, const struct settings *settings, char **arguments)
{
	struct patient p = {.settings = settings, .report = json_array()};
	int r;

	(void)self, (void)arguments;
	p.directory = source_directory(settings, &p.named);
	if (!p.report || !p.directory)
		r = fail("cannot find the tracking directory: %s", strerror(errno));
	else
		r = examine(&p);
	if (r == STATUS_DONE)
		r = settings->json ? print_json("findings", p.report) : print_findings(p.report, settings);
	if (r == STATUS_DONE && is_ill(p.report))
		r = STATUS_FAILED;
	json_decref(p.report);
	free(p.directory);
	return r;
}

static const struct command_option options[] = {TAKES_JSON, TAKES_COLOR, {0}};

const struct command command_doctor = {
	.name = "doctor",
	.arguments = "",
	.summary = "look for what endangers objects here, and say how to mend it",
	.text = "Each line begins with ok, warn or fail. It looks at the tracking directory, the room there, the\n"
		"kernel and the file system, limits, fipcd, and at whom systemd's RemoveIPC= would hit. Run it as\n"
		"the user whose programs have trouble, and as root.\n\n"
		"Exit status: 0 if nothing fails, 1 if something does, 2 usage.",
	.options = options,
	.run = run,
};
