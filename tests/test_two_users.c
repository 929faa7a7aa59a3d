/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One object, used by two users at once, as its mode allows: 0600, 0660 with a group in common, 0666. They wait for
 * each other, inherit from each other, and whoever leaves last need not be whose it is. Needs root, to be others.
 */
#include "support.h"

#include <errno.h>
#include <grp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { ALICE = 1001, BOB = 1002, TEAM = 2001, TURNS = 2000 };

struct user {
	uid_t uid;
	gid_t gid, also; /* also: a supplementary group; 0 none */
};
static const struct user alice = {ALICE, TEAM, 0}, mate = {BOB, BOB, TEAM}, stranger = {BOB, BOB, 0};

static void become(const struct user *u)
{
	become_member(u->uid, u->gid, u->also);
}

/* Alice makes "a" of that mode. What Bob does with it is the case's affair. */
struct scene {
	const char *dir;
	mode_t mode;
	const struct user *bob;
	fipc_u64 sum; /* under the mutex; one turn is one step of two halves */
	struct gate ready, go, bob_ready, bob_go;
};

static struct scene *new_scene(mode_t mode, const struct user *bob)
{
	struct scene *s = share(sizeof(*s));

	s->dir = fresh_dir();
	s->mode = mode;
	s->bob = bob;
	for (struct gate *g = &s->ready; g <= &s->bob_go; g++)
		gate_make(g);
	return s;
}

static fipc_mutex *be_alice(const struct scene *s)
{
	fipc_mutex *m;

	become(&alice);
	must_be(fipc_mutex_open(&m, "a", FIPC_CREATE, s->mode), FIPC_CREATED);
	return m;
}

static fipc_mutex *be_bob(const struct scene *s)
{
	fipc_mutex *m;

	become(s->bob);
	must_be(fipc_mutex_open(&m, "a", FIPC_ANY_OWNER, 0), 0);
	return m;
}

/* Every mode under which both may use it. */
static void with_each_mode(void (*play)(struct scene *s))
{
	play(new_scene(0660, &mate));
	play(new_scene(0666, &stranger));
	play(new_scene(0666, &mate));
}

/* ---- they take turns ---- */

static void take_turns(struct scene *s, fipc_mutex *m)
{
	for (int i = 0; i < TURNS; i++) {
		must_be(fipc_mutex_lock(m), 0);
		must(fipc_u64_load(&s->sum) % 2 == 0);
		fipc_u64_store(&s->sum, fipc_u64_load(&s->sum) + 1);
		if (i % 64 == 0)
			nap_us(20); /* long enough for the other one to fall asleep */
		fipc_u64_store(&s->sum, fipc_u64_load(&s->sum) + 1);
		must_be(fipc_mutex_unlock(m), 0);
	}
}

static void alice_takes_turns(void *argument)
{
	struct scene *s = argument;
	fipc_mutex *m = be_alice(s);

	gate_open(&s->ready);
	gate_pass(&s->go);
	take_turns(s, m);
	must_be(fipc_mutex_close(m), 0);
}

static void bob_takes_turns(void *argument)
{
	struct scene *s = argument;
	fipc_mutex *m = be_bob(s);

	gate_open(&s->go);
	take_turns(s, m);
	must_be(fipc_mutex_close(m), 0);
}

static void play_turns(struct scene *s)
{
	pid_t owner = start(alice_takes_turns, s);

	gate_pass(&s->ready);
	must_be(in_child(bob_takes_turns, s), 0);
	must_be(finish(owner), 0);
	must(fipc_u64_load(&s->sum) == UINT64_C(4) * TURNS);
	must_become_clean(s->dir, 0);
}

IN_CHILD(test_they_take_turns)
{
	with_each_mode(play_turns);
}

/* ---- one is killed inside ---- */

static void alice_locks(void *argument)
{
	struct scene *s = argument;
	fipc_mutex *m = be_alice(s);

	must_be(fipc_mutex_lock(m), 0);
	gate_open(&s->ready);
	gate_pass(&s->go); /* never opened, or her lock was revoked: it is still hers to unlock */
	must_be(fipc_mutex_unlock(m), 0);
	must_be(fipc_mutex_lock(m), -ENOTRECOVERABLE);
	must_be(fipc_mutex_close(m), 0);
}

static void bob_inherits(void *argument)
{
	struct scene *s = argument;
	fipc_mutex *m = be_bob(s);

	gate_open(&s->bob_ready);
	must_be(fipc_mutex_lock(m), FIPC_OWNER_DIED);
	must_be(fipc_mutex_consistent(m), 0);
	must_be(fipc_mutex_unlock(m), 0);
	must_be(fipc_mutex_close(m), 0);
}

static void play_inheritance(struct scene *s)
{
	pid_t owner = start(alice_locks, s), heir;

	gate_pass(&s->ready);
	heir = start(bob_inherits, s);
	gate_pass(&s->bob_ready);
	await(asleep_in_futex(heir));
	murder(owner);
	must_be(finish(heir), 0);
	must_become_clean(s->dir, 0);
}

IN_CHILD(test_one_is_killed_inside)
{
	with_each_mode(play_inheritance);
}

/* ---- one is revoked by the other, who may not even send him a signal ---- */

static void bob_revokes(void *argument)
{
	struct scene *s = argument;
	fipc_mutex *m = be_bob(s);

	must_be(fipc_mutex_revoke(m), 0);
	must_be(fipc_mutex_lock(m), -ENOTRECOVERABLE);
	must_be(fipc_mutex_close(m), 0);
}

static void play_revocation(struct scene *s)
{
	pid_t owner = start(alice_locks, s);

	gate_pass(&s->ready);
	must_be(in_child(bob_revokes, s), 0);
	gate_open(&s->go);
	must_be(finish(owner), 0);
	must_become_clean(s->dir, 0);
}

IN_CHILD(test_one_revokes_the_other)
{
	with_each_mode(play_revocation);
}

/* ---- whoever leaves last ---- */

static void alice_leaves(void *argument)
{
	struct scene *s = argument;
	fipc_mutex *m = be_alice(s);

	gate_open(&s->ready);
	gate_pass(&s->go);
	must_be(fipc_mutex_close(m), 0);
}

static void bob_leaves_later(void *argument)
{
	struct scene *s = argument;
	fipc_mutex *m = be_bob(s);

	gate_open(&s->bob_ready);
	gate_pass(&s->bob_go); /* in every second case he is killed here */
	must_be(fipc_mutex_lock(m), 0);
	must_be(fipc_mutex_unlock(m), 0);
	must_be(fipc_mutex_close(m), 0);
}

/* She is no root: what she can take away is her own object, with all the entries that others left there. */
static void alice_collects(void *argument)
{
	struct scene *s = argument;

	become(&alice);
	must_be(collect(s->dir), 1);
}

static void bob_collects_nothing(void *argument)
{
	struct scene *s = argument;

	become(s->bob);
	must_be(collect(s->dir), 0);
}

static int note_attached(const struct fipc_object *object, void *context)
{
	*(unsigned *)context = object->n_alive;
	return 0;
}

static unsigned attached(const char *dir)
{
	fipc_registry *r;
	unsigned n = 0;

	must_be(fipc_registry_open(&r, dir, 0), 0);
	must_be(fipc_registry_walk(r, 0, NULL, note_attached, &n), 0);
	fipc_registry_close(r);
	return n;
}

static void play_leaving(struct scene *s, bool killed)
{
	pid_t owner = start(alice_leaves, s), last;

	gate_pass(&s->ready);
	last = start(bob_leaves_later, s);
	gate_pass(&s->bob_ready);
	must_be(attached(s->dir), 2);
	gate_open(&s->go);
	must_be(finish(owner), 0);
	must_be(collect(s->dir), 0);
	must_be(attached(s->dir), 1);
	must(inode_of(s->dir, "a.mutex") != 0);
	if (killed) {
		murder(last);
	} else {
		gate_open(&s->bob_go);
		must_be(finish(last), 0);
	}
	must_be(in_child(bob_collects_nothing, s), 0);
	must(inode_of(s->dir, "a.mutex") != 0); /* his to use, not to take away */
	must_be(in_child(alice_collects, s), 0);
	must(inode_of(s->dir, "a.mutex") == 0);
	must_become_clean(s->dir, 0);
}

static void play_closing(struct scene *s)
{
	play_leaving(s, false);
}

static void play_dying(struct scene *s)
{
	play_leaving(s, true);
}

IN_CHILD(test_the_last_one_is_not_the_owner)
{
	with_each_mode(play_closing);
	with_each_mode(play_dying);
}

/* ---- who may not ---- */

static void bob_is_refused(void *argument)
{
	struct scene *s = argument;
	fipc_mutex *m;

	become(s->bob);
	must_be(fipc_mutex_open(&m, "a", FIPC_ANY_OWNER, 0), -EACCES);
	must_be(fipc_mutex_open(&m, "a", FIPC_ANY_OWNER | FIPC_CREATE, 0666), -EACCES);
	must_be(fipc_mutex_open(&m, "a", FIPC_ANY_OWNER | FIPC_READONLY, 0), -EACCES);
	must(fipc_mutex_open(&m, "a", FIPC_ANY_OWNER | FIPC_CREATE | FIPC_REPLACE, 0666) < 0);
	must(fipc_mutex_unlink("a") < 0);
	must_be(collect(s->dir), 0);
}

static void play_refusal(struct scene *s)
{
	uint64_t inode;
	pid_t owner = start(alice_leaves, s);

	gate_pass(&s->ready);
	inode = inode_of(s->dir, "a.mutex");
	must_be(in_child(bob_is_refused, s), 0);
	must(inode_of(s->dir, "a.mutex") == inode);
	gate_open(&s->go);
	must_be(finish(owner), 0);
	must_become_clean(s->dir, 0);
}

IN_CHILD(test_refused)
{
	play_refusal(new_scene(0600, &stranger));
	play_refusal(new_scene(0600, &mate));
	play_refusal(new_scene(0660, &stranger));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_they_take_turns),
		cmocka_unit_test(test_one_is_killed_inside),
		cmocka_unit_test(test_one_revokes_the_other),
		cmocka_unit_test(test_the_last_one_is_not_the_owner),
		cmocka_unit_test(test_refused),
	};

	test_dir();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
