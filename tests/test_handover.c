/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unlock, then unmap, by chance: one thread gives an object, another one takes it and closes it at once, the last
 * handle of it. What sweep/unmap.c does step by step is done here at full speed, and under the sanitizers, which see
 * whether the first one touches what is gone.
 */
#include "sweep/handover.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

enum { ROUNDS = 300 };

static struct {
	const struct handover *type;
	void *object;
	struct gate open, closed;
} shared;

/* Every other time it comes a little later: then it most often finds the object given, and need not sleep. */
static void *take_and_close(void *unused)
{
	const struct handover *type = shared.type;
	unsigned seed = 1;

	(void)unused;
	use_the_library();
	for (int i = 0; i < ROUNDS; i++) {
		gate_pass(&shared.open);
		for (volatile int n = rand_r(&seed) % 2 ? rand_r(&seed) % 4096 : 0; n > 0; n--)
			;
		must_be(type->take(shared.object, FIPC_FOREVER), 0);
		while (type->close(shared.object) != 0)
			;
		gate_open(&shared.closed);
	}
	return NULL;
}

static void give_and_lose(const struct handover *type)
{
	unsigned seed = 2;
	pthread_t closer;

	shared.type = type;
	must_be(pthread_create(&closer, NULL, take_and_close, NULL), 0);
	for (int i = 0; i < ROUNDS; i++) {
		shared.object = type->open();
		gate_open(&shared.open);
		for (volatile int n = rand_r(&seed) % 16384; n > 0; n--)
			;
		must_be(type->give(shared.object), 0);
		gate_pass(&shared.closed);
	}
	must_be(pthread_join(closer, NULL), 0);
}

IN_CHILD(test_given_then_closed)
{
	fresh_dir();
	gate_make(&shared.open);
	gate_make(&shared.closed);
	for (unsigned i = 0; i < n_handovers; i++)
		if (handovers[i].before != TO_SLEEPERS)
			give_and_lose(&handovers[i]);
}

/* A thread that has not used the library before, each time. */
static void *give_it(void *argument)
{
	must_be(shared.type->give(argument), 0);
	return NULL;
}

static void give_by_a_new_thread(const struct handover *type)
{
	pthread_t closer, giver;

	shared.type = type;
	must_be(pthread_create(&closer, NULL, take_and_close, NULL), 0);
	for (int i = 0; i < ROUNDS; i++) {
		shared.object = type->open();
		gate_open(&shared.open);
		must_be(pthread_create(&giver, NULL, give_it, shared.object), 0);
		gate_pass(&shared.closed);
		must_be(pthread_join(giver, NULL), 0);
	}
	must_be(pthread_join(closer, NULL), 0);
}

IN_CHILD(test_given_by_a_new_thread)
{
	fresh_dir();
	gate_make(&shared.open);
	gate_make(&shared.closed);
	for (unsigned i = 0; i < n_handovers; i++)
		if (handovers[i].before == NOT_THERE)
			give_by_a_new_thread(&handovers[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_given_then_closed),
		cmocka_unit_test(test_given_by_a_new_thread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
