/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_zero_and_less_is_now(void **state)
{
	(void)state;
	assert_true(fipc_after_ns(0) == FIPC_NOW);
	assert_true(fipc_after_ns(-1) == FIPC_NOW);
	assert_true(fipc_after_ns(INT64_MIN) == FIPC_NOW);
	assert_true(fipc_after_ms(0) == FIPC_NOW);
	assert_true(fipc_after_ms(-1) == FIPC_NOW);
	assert_true(fipc_after_ms(INT64_MIN) == FIPC_NOW);
}

static void test_too_far_is_forever(void **state)
{
	(void)state;
	assert_true(fipc_after_ns(INT64_MAX) == FIPC_FOREVER);
	assert_true(fipc_after_ns(INT64_MAX - 1) == FIPC_FOREVER);
	assert_true(fipc_after_ms(INT64_MAX) == FIPC_FOREVER);
	assert_true(fipc_after_ms(INT64_MAX / 1000000 + 1) == FIPC_FOREVER);
	assert_true(fipc_after_ms(INT64_MAX / 1000000) == FIPC_FOREVER);
}

static void test_is_on_the_monotonic_clock(void **state)
{
	int64_t before = now_ns();
	fipc_deadline ns = fipc_after_ns(5000000000), ms = fipc_after_ms(5000);
	int64_t after = now_ns();

	(void)state;
	assert_true(ns >= before + 5000000000 && ns <= after + 5000000000);
	assert_true(ms >= before + 5000000000 && ms <= after + 5000000000);
	assert_true(fipc_after_ns(1) > before);
}

static void test_large_but_not_too_large(void **state)
{
	int64_t year = INT64_C(365) * 86400 * 1000;
	fipc_deadline d = fipc_after_ms(100 * year);

	(void)state;
	assert_true(d < FIPC_FOREVER);
	assert_true(d > 99 * year * 1000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_zero_and_less_is_now),
		cmocka_unit_test(test_too_far_is_forever),
		cmocka_unit_test(test_is_on_the_monotonic_clock),
		cmocka_unit_test(test_large_but_not_too_large),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
