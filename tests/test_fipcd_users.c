/* SPDX-License-Identifier: Apache-2.0 */
/* Who may see and do what, and how much: needs root, to be others. */
#include "fipcd_support.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define MANAGER "io.fipc.Manager"

enum { ALICE = 61001, BOB = 61002, NOBODY = 65534, CLIENTS_PER_USER = 256, WALKS_BURST = 128 };

struct actor {
	uid_t uid;
	const struct daemon *daemon;
	void (*act)(const struct daemon *d);
	gid_t also; /* a group that he is in besides; 0: none */
};

static void run_actor(void *argument)
{
	const struct actor *actor = argument;
	become_member(actor->uid, actor->uid, actor->also);
	actor->act(actor->daemon);
}

static void as_member(uid_t uid, gid_t also, const struct daemon *d, void (*act)(const struct daemon *d))
{
	struct actor actor = {uid, d, act, also};
	assert_int_equal(in_child(run_actor, &actor), 0);
}

static void as(uid_t uid, const struct daemon *d, void (*act)(const struct daemon *d))
{
	as_member(uid, 0, d, act);
}

struct resident {
	uid_t uid;
	const char *name;
	mode_t mode;
	struct gate ready;
};

static void reside(void *argument)
{
	const struct resident *r = argument;
	fipc_mutex *m;
	become_user(r->uid);
	must(fipc_mutex_open(&m, r->name, FIPC_CREATE, r->mode) == FIPC_CREATED);
	must_be(fipc_mutex_lock(m), 0);
	gate_open(&r->ready);
	for (;;)
		pause();
}

static pid_t start_resident(uid_t uid, const char *name, mode_t mode)
{
	struct resident r = {.uid = uid, .name = name, .mode = mode};
	gate_make(&r.ready);
	pid_t pid = start(reside, &r);
	gate_pass(&r.ready);
	gate_free(&r.ready);
	return pid;
}

static void see_as_bob(const struct daemon *d)
{
	json_t *reply = call(d, MANAGER ".List", NULL);
	json_t *closed = object_named(reply, "closed"), *open = object_named(reply, "open");
	must(strcmp(string_of(closed, "error"), "EACCES") == 0);
	must(number_of(closed, "uid") == ALICE && number_of(closed, "mode") == 0600 && number_of(closed, "inode") > 0);
	must(!json_object_get(closed, "state") && !json_object_get(closed, "attachments"));
	must(!json_object_get(closed, "creator_pid") && !json_object_get(closed, "attached"));
	must(!json_object_get(open, "error") && json_object_get(open, "state"));
	must(number_of(open, "attached") == 1);
	json_decref(reply);
	reply = call(d, MANAGER ".ListProcesses", NULL);
	must(json_array_size(json_object_get(reply, "processes")) == 2);
	json_decref(reply);
}

static void see_all(const struct daemon *d)
{
	json_t *reply = call(d, MANAGER ".List", NULL);
	must(number_of(object_named(reply, "closed"), "attached") == 1);
	must(number_of(object_named(reply, "open"), "attached") == 1);
	json_decref(reply);
}

static void others_see_what_ls_shows(void **state)
{
	pid_t closed = start_resident(ALICE, "closed", 0600), open = start_resident(ALICE, "open", 0644);
	as(BOB, *state, see_as_bob);
	as(ALICE, *state, see_all);
	as(0, *state, see_all);
	murder(closed);
	murder(open);
}

/* As the kernel: whoever is in the group has the group's rights, and no others. */
static void see_as_a_member(const struct daemon *d)
{
	json_t *reply = call(d, MANAGER ".List", NULL);
	must(!json_object_get(object_named(reply, "groups"), "error"));
	must(number_of(object_named(reply, "groups"), "attached") == 1);
	must(strcmp(string_of(object_named(reply, "others"), "error"), "EACCES") == 0);
	json_decref(reply);
}

static void see_as_a_stranger(const struct daemon *d)
{
	json_t *reply = call(d, MANAGER ".List", NULL);
	must(strcmp(string_of(object_named(reply, "groups"), "error"), "EACCES") == 0);
	must(!json_object_get(object_named(reply, "others"), "error"));
	json_decref(reply);
}

static void a_group_sees_what_is_its(void **state)
{
	enum { ANOTHER = 61003 };
	pid_t groups = start_resident(ALICE, "groups", 0640), others = start_resident(ALICE, "others", 0604);
	as_member(BOB, ALICE, *state, see_as_a_member);
	as_member(BOB, ANOTHER, *state, see_as_a_stranger);
	murder(groups);
	murder(others);
}

static void collect_as_bob(const struct daemon *d)
{
	json_t *reply = call(d, MANAGER ".Collect", NULL);
	must(json_array_size(json_object_get(reply, "objects")) == 1);
	must(object_named(reply, "bobs"));
	json_decref(reply);
}

static void collect_as_nobody(const struct daemon *d)
{
	expect_refused(d, MANAGER ".Collect", NULL, MANAGER ".PermissionDenied");
	expect_refused(d, MANAGER ".Collect", "{\"dry_run\":true}", MANAGER ".PermissionDenied");
}

static void collect_as_root(const struct daemon *d)
{
	json_t *reply = call(d, MANAGER ".Collect", NULL);
	must(json_array_size(json_object_get(reply, "objects")) == 3);
	json_decref(reply);
}

static void each_collects_what_is_his(void **state)
{
	pid_t a = start_resident(ALICE, "alices", 0666), b = start_resident(BOB, "bobs", 0600);
	pid_t n = start_resident(NOBODY, "nobodys", 0666);
	as(BOB, *state, collect_as_bob);
	as(NOBODY, *state, collect_as_nobody);
	as(0, *state, collect_as_root);
	murder(a);
	murder(b);
	murder(n);
}

/* ---- what is another's ---- */

static void expect_denied(const struct daemon *d, const char *method, const char *parameters)
{
	json_t *reply = refused(d, method, parameters, MANAGER ".PermissionDenied");
	must_be(json_object_size(reply), 0);
	json_decref(reply);
}

static void meddle(const struct daemon *d)
{
	expect_denied(d, MANAGER ".Revoke", "{\"name\":\"alices\"}");
	expect_denied(d, MANAGER ".Unlink", "{\"name\":\"alices\",\"type\":\"mutex\"}");
	expect_denied(d, MANAGER ".Collect", "{\"name\":\"alices\"}");
	expect_denied(d, MANAGER ".Collect", "{\"name\":\"al*\",\"dry_run\":true}");
	expect_refused(d, MANAGER ".Revoke", "{\"name\":\"nobodys\"}", MANAGER ".NoSuchObject");
}

static void expect_untouched(const struct daemon *d, uint64_t inode)
{
	json_t *reply = call(d, MANAGER ".Get", "{\"name\":\"alices\"}"), *object = json_object_get(reply, "object");
	assert_string_equal(string_of(json_object_get(object, "state"), "state"), "held");
	assert_int_equal(number_of(object, "attached"), 1);
	assert_true(inode_of(d->dir, "alices.mutex") == inode);
	json_decref(reply);
}

static void what_is_anothers_is_refused_and_logged(void **state)
{
	struct daemon *d = *state;
	pid_t alice = start_resident(ALICE, "alices", 0666), bob = start_resident(BOB, "bobs", 0600);
	uint64_t inode = inode_of(d->dir, "alices.mutex");
	as(BOB, d, meddle);
	as(NOBODY, d, meddle);
	expect_untouched(d, inode);
	assert_true(daemon_logged(d, "refused: uid 61002 (process "));
	assert_true(daemon_logged(d, "may not revoke mutex alices in "));
	assert_true(daemon_logged(d, "may not unlink mutex alices in "));
	assert_true(daemon_logged(d, "may not collect mutex alices in "));
	assert_true(daemon_logged(d, ": it belongs to uid 61001\n"));
	assert_true(daemon_logged(d, "refused: uid 65534 (process "));
	murder(alice);
	murder(bob);
}

static void revoke_and_unlink_own(const struct daemon *d)
{
	json_t *reply = call(d, MANAGER ".Revoke", "{\"name\":\"alices\"}");
	must(strcmp(string_of(reply, "state"), "not-recoverable") == 0);
	json_decref(reply);
	reply = call(d, MANAGER ".Unlink", "{\"name\":\"alices\"}");
	must_be(number_of(reply, "attached"), 1);
	json_decref(reply);
}

static void what_is_his_own_he_may_change(void **state)
{
	struct daemon *d = *state;
	char held[100];
	pid_t alice = start_resident(ALICE, "alices", 0600), bob = start_resident(BOB, "bobs", 0600);
	as(ALICE, d, revoke_and_unlink_own);
	assert_false(exists(d, "alices"));
	snprintf(held, sizeof(held), ", which process %d (thread %d) held: it is not-recoverable now\n", alice, alice);
	assert_true(daemon_logged(d, "uid 61001 (process ") && daemon_logged(d, ") revoked mutex alices in "));
	assert_true(daemon_logged(d, held));
	assert_true(daemon_logged(d, ") unlinked mutex alices in "));
	json_decref(call(d, MANAGER ".Revoke", "{\"name\":\"bobs\"}")); /* root */
	json_decref(call(d, MANAGER ".Unlink", "{\"name\":\"bobs\"}"));
	murder(alice);
	murder(bob);
}

/* ---- events ---- */

static struct gate listening;

/* Until the last of three has died: he is told of each death, and of what he may read. */
static void listen_as_bob(const struct daemon *d)
{
	struct wire_buffer b = {0};
	int fd = listen_to(d, "{}", &b), open = 0, bobs = 0;
	gate_open(&listening);
	for (int died = 0; died < 3;) {
		json_t *event = next_event(fd, &b);
		must(strcmp(string_of(event, "name"), "closed") != 0);
		open += strcmp(string_of(event, "name"), "open") == 0;
		bobs += strcmp(string_of(event, "name"), "bobs") == 0;
		died += strcmp(string_of(event, "event"), "died") == 0;
		json_decref(event);
	}
	must(open >= 3 && bobs >= 3); /* created, attached, owner-died; of the reclaimed one, that too */
	wire_buffer_free(&b);
	close(fd);
}

static void start_listening(void *argument)
{
	become_user(BOB);
	listen_as_bob(argument);
}

static void each_hears_of_what_he_may_read(void **state)
{
	gate_make(&listening);
	pid_t listener = start(start_listening, *state);
	gate_pass(&listening);
	murder(start_resident(ALICE, "closed", 0600));
	murder(start_resident(ALICE, "open", 0644));
	murder(start_resident(BOB, "bobs", 0600));
	assert_int_equal(finish(listener), 0);
	gate_free(&listening);
}

static void every_users_dead_are_reclaimed(void **state)
{
	struct daemon *d = *state;
	murder(start_resident(ALICE, "a", 0600));
	murder(start_resident(BOB, "b", 0600));
	await(is_clean(d->dir, 0));
}

static void ask_for_a_private_directory(const struct daemon *d)
{
	char parameters[200];
	snprintf(parameters, sizeof(parameters), "{\"dir\":\"%s\"}", d->dir);
	expect_refused(d, MANAGER ".List", parameters, MANAGER ".PermissionDenied");
	expect_refused(d, MANAGER ".ListProcesses", parameters, MANAGER ".PermissionDenied");
	expect_refused(d, MANAGER ".Get", "{\"name\":\"open\"}", MANAGER ".NoSuchObject");
	json_t *reply = call(d, MANAGER ".List", NULL);
	must(json_array_size(json_object_get(reply, "objects")) == 0);
	json_decref(reply);
}

static void a_private_directory_stays_private(void **state)
{
	struct daemon *d = *state;
	pid_t open = start_resident(0, "open", 0666);
	must_be(chmod(d->dir, 0700), 0);
	as(BOB, d, ask_for_a_private_directory);
	murder(open);
}

static void connect_often(const struct daemon *d)
{
	int fds[CLIENTS_PER_USER];
	struct wire_buffer b = {0};
	for (int i = 0; i < CLIENTS_PER_USER; i++)
		fds[i] = connect_raw(d);
	int refused = connect_raw(d);
	json_t *message = receive_raw(refused, &b);
	must(strcmp(string_of(message, "error"), MANAGER ".Busy") == 0);
	must(!receive_raw(refused, &b));
	json_decref(message);
	wire_buffer_free(&b);
	for (int i = 0; i < CLIENTS_PER_USER; i++)
		close(fds[i]);
	close(refused);
}

static void one_user_does_not_take_all_connections(void **state)
{
	int fds[2 * CLIENTS_PER_USER];
	for (int i = 0; i < 2 * CLIENTS_PER_USER; i++)
		fds[i] = connect_raw(*state);
	as(ALICE, *state, connect_often);
	json_decref(call(*state, MANAGER ".List", NULL));
	for (int i = 0; i < 2 * CLIENTS_PER_USER; i++)
		close(fds[i]);
}

/* Hanging up between the calls is no way around it. */
static void ask_often(const struct daemon *d)
{
	static const char list[] = "{\"method\":\"" MANAGER ".List\"}";
	int answered = 0, busy = 0;
	for (int round = 0; round < 4; round++) {
		struct wire_buffer b = {0};
		int fd = connect_raw(d);
		for (int i = 0; i < WALKS_BURST; i++)
			send_raw(fd, list, sizeof(list));
		for (int i = 0; i < WALKS_BURST; i++) {
			json_t *message = receive_raw(fd, &b);
			const char *error = string_of(message, "error");
			must(!*error || strcmp(error, MANAGER ".Busy") == 0);
			*error ? busy++ : answered++;
			json_decref(message);
		}
		wire_buffer_free(&b);
		close(fd);
	}
	must(answered >= WALKS_BURST);
	must(busy > 0);
}

static void one_user_does_not_take_all_time(void **state)
{
	as(ALICE, *state, ask_often);
	for (int i = 0; i < 2 * WALKS_BURST; i++)
		json_decref(call(*state, MANAGER ".List", NULL));
}

int main(void)
{
#define WITH_DAEMON(test) cmocka_unit_test_setup_teardown(test, daemon_set_up, daemon_tear_down)
	const struct CMUnitTest tests[] = {
		WITH_DAEMON(others_see_what_ls_shows),
		WITH_DAEMON(a_group_sees_what_is_its),
		WITH_DAEMON(each_collects_what_is_his),
		WITH_DAEMON(what_is_anothers_is_refused_and_logged),
		WITH_DAEMON(what_is_his_own_he_may_change),
		WITH_DAEMON(each_hears_of_what_he_may_read),
		WITH_DAEMON(every_users_dead_are_reclaimed),
		WITH_DAEMON(a_private_directory_stays_private),
		WITH_DAEMON(one_user_does_not_take_all_connections),
		WITH_DAEMON(one_user_does_not_take_all_time),
	};
	if (geteuid() != 0) {
		skip_aloud("test_fipcd_users", "needs root, to act as other users");
		return SKIPPED;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
