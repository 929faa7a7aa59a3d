/* SPDX-License-Identifier: Apache-2.0 */
/* fipcctl doctor: what it finds wrong, and where it finds nothing. */
#include "fipcctl_support.h"

#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { OTHER_UID = 54321, SYSTEM_UID_MAX = 999 };

static void write_file(const char *path, const char *text, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

	must(fd >= 0);
	must_be(write(fd, text, strlen(text)), (long)strlen(text));
	close(fd);
}

IN_CHILD(doctor_finds_nothing_wrong)
{
	json_t *findings, *finding;
	size_t index;

	names();
	fipcctl(DONE, "doctor --direct");
	must_be(*told.err, '\0');
	must_say(told.out, "ok   kernel: futex_waitv");
	must(!strstr(told.out, "fail"));
	fipcctl(DONE, "doctor --direct --json");
	findings = answer("findings");
	must(json_array_size(findings) > 8);
	json_array_foreach(findings, index, finding) {
		const char *check, *health, *text;

		must_be(json_unpack(finding, "{s:s, s:s, s:s}", "check", &check, "health", &health, "text", &text), 0);
		must(!strcmp(health, "ok") || json_is_string(json_object_get(finding, "cure")));
	}
	json_decref(findings);
}

IN_CHILD(doctor_looks_at_the_directory)
{
	char other[200];

	snprintf(other, sizeof(other), "%s/none", names());
	fipcctl(DONE, "doctor --direct --dir %", other);
	must_say(told.out, "warn directory: ");
	must_say(told.out, "systemd-tmpfiles --create");
	must_be(mkdir(other, 0700), 0);
	fipcctl(DONE, "doctor --direct --dir %", other);
	must_be(chmod(other, 0777), 0);
	fipcctl(FAILED, "doctor --direct --dir %", other);
	must_say(told.out, "has mode 0777: everybody can remove everybody's objects; to mend it: ");
	must_be(rmdir(other), 0);
	write_file(other, "", 0600);
	fipcctl(FAILED, "doctor --direct --dir %", other);
	must_say(told.out, "is no directory");
}

IN_CHILD(doctor_asks_fipcd)
{
	struct service service = {0};
	char other[200];

	service_name(&service);
	fipcctl(FAILED, "doctor --socket %", service.socket);
	must_say(told.out, "fail fipcd: no fipcd at ");
	fipcctl(DONE, "doctor");
	must_say(told.out, "warn fipcd: no fipcd at /nonexistent/socket");
	service_start(&service);
	fipcctl(DONE, "doctor --socket %", service.socket);
	must_say(told.out, "ok   fipcd: fipcd ");
	snprintf(other, sizeof(other), "%s/other", names());
	must_be(mkdir(other, 0700), 0);
	fipcctl(DONE, "doctor --socket % --dir %", service.socket, other);
	must_say(told.out, "warn fipcd: fipcd does not look after ");
	service_stop(&service);
}

/* systemd's own programs, as they would answer. */
static void pretend(const char *bin, const char *program, const char *says)
{
	char path[300], script[600];

	snprintf(path, sizeof(path), "%s/%s", bin, program);
	snprintf(script, sizeof(script), "#!/bin/sh\ncat <<'END'\n%s\nEND\n", says);
	write_file(path, script, 0700);
}

/* An object of an ordinary user, if we can give it to one. */
static uid_t somebodys_object(void)
{
	uid_t uid = getuid() == 0 ? OTHER_UID : getuid();
	char path[200];

	snprintf(path, sizeof(path), "%s/his.mutex", names());
	fipcctl(DONE, "lock his -- true");
	must_be(chown(path, uid, (gid_t)-1), 0);
	return uid;
}

IN_CHILD(doctor_warns_of_remove_ipc)
{
	char bin[200], path[600], units[300];
	uid_t uid = somebodys_object();

	snprintf(bin, sizeof(bin), "%s/bin", names());
	must_be(mkdir(bin, 0700), 0);
	snprintf(path, sizeof(path), "%s:%s", bin, getenv("PATH"));
	must_be(setenv("PATH", path, 1), 0);
	snprintf(units, sizeof(units),
		 "UID=%u\nId=busy.service\nRemoveIPC=yes\nDynamicUser=no\n\n"
		 "UID=4294967295\nId=other.service\nRemoveIPC=yes",
		 uid);
	pretend(bin, "systemctl", units);
	pretend(bin, "systemd-analyze", "# a comment\n[Login]\nRemoveIPC=no\n RemoveIPC = yes ");
	fipcctl(DONE, "doctor --direct");
	must_say(told.out, "warn RemoveIPC: busy.service deletes the objects of its user when it stops");
	must(!strstr(told.out, "other.service"));
	must_be(strstr(told.out, "warn RemoveIPC: logind deletes the objects of user ") != NULL, uid > SYSTEM_UID_MAX);
	pretend(bin, "systemctl", "Id=other.service\nUID=4294967295\nDynamicUser=yes\nRemoveIPC=yes");
	pretend(bin, "systemd-analyze", "[Login]\n#RemoveIPC=yes\nRemoveIPC=no");
	fipcctl(DONE, "doctor --direct");
	must_say(told.out, "ok   RemoveIPC: nobody who has objects here");
	remove_tree(bin);
}

IN_CHILD(doctor_sees_a_full_tmpfs)
{
	char path[200];

	snprintf(path, sizeof(path), "%s/small", names());
	must_be(mkdir(path, 0755), 0);
	if (unshare(CLONE_NEWNS) < 0 || mount("", "/", "", MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", path, "tmpfs", 0, "size=64k,nr_inodes=2,mode=1777") < 0) {
		skip_aloud("a full tmpfs", "needs the right to mount one");
		_exit(SKIPPED);
	}
	must_be(setenv("FIPC_DIR", path, 1), 0);
	strcat(path, "/last");
	write_file(path, "", 0600);
	fipcctl(FAILED, "doctor --direct");
	must_say(told.out, "fail room: no inodes left: nothing can be made; to mend it: fipcctl gc");
	must_say(told.out, "ok   room: memory");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(doctor_finds_nothing_wrong), cmocka_unit_test(doctor_looks_at_the_directory),
		cmocka_unit_test(doctor_asks_fipcd),          cmocka_unit_test(doctor_warns_of_remove_ipc),
		cmocka_unit_test(doctor_sees_a_full_tmpfs),
	};

	test_dir();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
