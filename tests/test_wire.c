/* SPDX-License-Identifier: Apache-2.0 */
/* Frames and messages: any split, any number at once, and what is none. */
#include "message.h"
#include "text.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static const char two[] = "{\"method\":\"a.b.C\"}\0{\"method\":\"a.b.D\",\"parameters\":{\"x\":1}}";

static void expect_message(struct wire_buffer *b, const char *wanted)
{
	const char *text;
	size_t size;
	assert_int_equal(wire_buffer_next(b, &text, &size), 1);
	assert_int_equal(size, strlen(wanted));
	assert_memory_equal(text, wanted, size);
	assert_int_equal(text[size], 0);
}

static void expect_none(struct wire_buffer *b, int wanted)
{
	const char *text;
	size_t size;
	assert_int_equal(wire_buffer_next(b, &text, &size), wanted);
}

static void every_split_of_two_messages(void **state)
{
	(void)state;
	size_t first = strlen(two) + 1;
	for (size_t split = 0; split <= sizeof(two); split++) {
		struct wire_buffer b = {0};
		assert_int_equal(wire_buffer_add(&b, two, split), 0);
		if (split >= first)
			expect_message(&b, two);
		if (split < sizeof(two))
			expect_none(&b, 0);
		assert_int_equal(wire_buffer_add(&b, two + split, sizeof(two) - split), 0);
		if (split < first)
			expect_message(&b, two);
		expect_message(&b, two + first);
		expect_none(&b, 0);
		assert_int_equal(wire_buffer_pending(&b), 0);
		wire_buffer_free(&b);
	}
}

static void byte_by_byte(void **state)
{
	(void)state;
	struct wire_buffer b = {0};
	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < sizeof(two); i++) {
			assert_int_equal(wire_buffer_add(&b, two + i, 1), 0);
			if (two[i])
				expect_none(&b, 0);
			else
				expect_message(&b, i == strlen(two) ? two : two + strlen(two) + 1);
		}
	}
	wire_buffer_free(&b);
}

static void through_a_socket_that_takes_little(void **state)
{
	(void)state;
	enum { SIZE = 3 << 20 };
	int fds[2];
	struct wire_buffer out = {0}, in = {0};
	char *text = malloc(SIZE);
	assert_non_null(text);
	memset(text, 'x', SIZE);
	text[SIZE - 1] = 0;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	assert_int_equal(wire_buffer_add(&out, text, SIZE), 0);
	while (wire_buffer_send(&out, fds[0]) == -EAGAIN) {
		expect_none(&in, 0);
		assert_true(wire_buffer_receive(&in, fds[1]) > 0);
	}
	while (wire_buffer_receive(&in, fds[1]) > 0)
		expect_none(&out, 0);
	expect_message(&in, text);
	close(fds[0]);
	assert_int_equal(wire_buffer_receive(&in, fds[1]), 0);
	assert_true(wire_buffer_add(&out, "x", 1) == 0 && wire_buffer_send(&out, fds[1]) == -EPIPE);
	close(fds[1]);
	wire_buffer_free(&in);
	wire_buffer_free(&out);
	free(text);
}

static void message_sizes(void **state)
{
	(void)state;
	struct wire_buffer b = {0};
	char *text = calloc(1, WIRE_MESSAGE_MAX + 1);
	assert_non_null(text);
	memset(text, 'x', WIRE_MESSAGE_MAX - 1);
	assert_int_equal(wire_buffer_add(&b, text, WIRE_MESSAGE_MAX), 0);
	expect_message(&b, text);
	expect_none(&b, 0);
	assert_true(b.capacity < WIRE_MESSAGE_MAX); /* what one long message took is given back */

	text[WIRE_MESSAGE_MAX - 1] = 'x';
	assert_int_equal(wire_buffer_add(&b, text, WIRE_MESSAGE_MAX - 1), 0);
	expect_none(&b, 0);
	assert_int_equal(wire_buffer_add(&b, "x", 1), 0);
	expect_none(&b, -EMSGSIZE);
	wire_buffer_free(&b);

	assert_int_equal(wire_buffer_add(&b, text, WIRE_MESSAGE_MAX + 1), 0);
	expect_none(&b, -EMSGSIZE);
	wire_buffer_free(&b);

	assert_int_equal(wire_buffer_add(&b, "", 1), 0);
	expect_none(&b, -EBADMSG);
	wire_buffer_free(&b);
	free(text);
}

static void expect_bad_call(const char *text)
{
	struct wire_call call;
	if (wire_call_parse(&call, text, strlen(text)) != -EBADMSG)
		fail_msg("taken for a call: %.60s", text);
}

static void expect_bad_reply(const char *text)
{
	struct wire_reply reply;
	if (wire_reply_parse(&reply, text, strlen(text)) != -EBADMSG)
		fail_msg("taken for a reply: %.60s", text);
}

static void calls(void **state)
{
	(void)state;
	struct wire_call call;
	static const char full[] = "{\"more\":false,\"oneway\":true,\"upgrade\":null,"
				   "\"parameters\":{\"x\":[1]},\"method\":\"m\"}";
	assert_int_equal(wire_call_parse(&call, full, strlen(full)), 0);
	assert_string_equal(call.method, "m");
	assert_true(call.oneway && !call.more && !call.upgrade && json_object_size(call.parameters) == 1);
	wire_call_done(&call);

	static const char null[] = "{\"method\":\"m\",\"parameters\":null}";
	assert_int_equal(wire_call_parse(&call, null, strlen(null)), 0);
	assert_null(call.parameters);
	wire_call_done(&call);
}

static void garbage(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"", " ", "x", "{", "[]", "1", "null", "\"method\"", "{}", "{\"method\":1}", "{\"method\":null}",
		"{\"method\":\"m\"", "{\"method\":\"m\"}}", "{\"method\":\"m\",}", "{\"method\":\"m\",\"method\":\"n\"}",
		"{\"method\":\"m\",\"parameters\":[]}", "{\"method\":\"m\",\"parameters\":1}",
		"{\"method\":\"m\",\"more\":1}", "{\"method\":\"m\",\"oneway\":\"true\"}", "{\"method\":\"\xff\"}",
		"{\"method\":\"\\u0000\"}", "{\"method\":\"\\ud800\"}",
		"{\"method\":\"m\",\"parameters\":{\"x\":99999999999999999999}}",
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		expect_bad_call(bad[i]);
	expect_bad_reply("[]");
	expect_bad_reply("{\"error\":1}");
	expect_bad_reply("{\"parameters\":[]}");
	expect_bad_reply("{\"continues\":\"yes\"}");
}

/* Neither the stack nor the memory of the one who parses is the sender's to spend. */
static void deep_and_wide(void **state)
{
	(void)state;
	enum { DEPTH = 1 << 20 };
	char *text = malloc(DEPTH + 1);
	assert_non_null(text);
	memset(text, '[', DEPTH);
	text[DEPTH] = 0;
	expect_bad_call(text);
	expect_bad_reply(text);
	for (int i = 0; i + 5 <= DEPTH; i += 5)
		memcpy(text + i, "{\"a\":", 5);
	expect_bad_call(text);
	expect_bad_reply(text);
	strcpy(text, "{\"method\":\"m\",\"parameters\":{\"x\":[0");
	for (int i = 0; i < WIRE_CALL_VALUES; i++)
		strcat(text, ",0");
	strcat(text, "]}}");
	expect_bad_call(text);
	free(text);
}

static void what_is_written_is_read(void **state)
{
	(void)state;
	struct wire_buffer b = {0};
	assert_int_equal(wire_call_add(&b, "a.B", json_pack("{s:i}", "x", 1)), 0);
	assert_int_equal(wire_call_add(&b, "a.B", NULL), 0);
	assert_int_equal(wire_reply_add(&b, json_object()), 0);
	assert_int_equal(wire_error_add(&b, "a.E", json_pack("{s:s}", "y", "\xc3\xa9")), 0);
	assert_int_equal(wire_error_add(&b, "a.E", NULL), 0);
	assert_int_equal(wire_reply_add(&b, NULL), -ENOMEM);
	expect_message(&b, "{\"method\":\"a.B\",\"parameters\":{\"x\":1}}");
	expect_message(&b, "{\"method\":\"a.B\"}");
	expect_message(&b, "{\"parameters\":{}}");
	expect_message(&b, "{\"error\":\"a.E\",\"parameters\":{\"y\":\"\xc3\xa9\"}}");
	expect_message(&b, "{\"error\":\"a.E\"}");
	expect_none(&b, 0);

	char *text = calloc(1, WIRE_MESSAGE_MAX);
	assert_non_null(text);
	memset(text, 'x', WIRE_MESSAGE_MAX - 1);
	assert_int_equal(wire_reply_add(&b, json_pack("{s:s}", "x", text)), -EMSGSIZE);
	assert_int_equal(wire_buffer_pending(&b), 0);
	free(text);
	wire_buffer_free(&b);
}

/* ---- text without a tree ---- */

static void expect_text(struct text *t, const char *wanted)
{
	assert_false(t->failed);
	assert_int_equal(wire_buffer_pending(&t->bytes), strlen(wanted));
	assert_memory_equal(t->bytes.data, wanted, strlen(wanted));
	text_free(t);
}

static void text_is_written_as_it_comes(void **state)
{
	(void)state;
	struct text t = {0};
	text_open(&t, NULL, '{');
	text_open(&t, "empty", '{');
	text_close(&t, '}');
	text_integer(&t, "least", INT64_MIN);
	text_open(&t, "array", '[');
	text_integer(&t, NULL, 0);
	text_truth(&t, NULL, true);
	text_open(&t, NULL, '[');
	text_close(&t, ']');
	text_string(&t, NULL, "word");
	text_close(&t, ']');
	text_truth(&t, "last", false);
	text_close(&t, '}');
	expect_text(&t, "{\"empty\":{},\"least\":-9223372036854775808,\"array\":[0,true,[],\"word\"],\"last\":false}");
}

static void foreign_bytes_become_text(void **state)
{
	(void)state;
	struct text t = {0};
	text_open(&t, NULL, '[');
	text_foreign(&t, NULL, "a\"b\\c\n\x1b\xff\x7f d", 64);
	text_foreign(&t, NULL, "abcdef", 3);
	text_close(&t, ']');
	expect_text(&t, "[\"a\\\"b\\\\c???? d\",\"abc\"]");
}

/* As it is, however long, if it is UTF-8. */
static void paths_stay_what_they_are(void **state)
{
	(void)state;
	char path[1001] = "/";
	struct text t = {0};
	const char *const paths[] = {"/dev/shm/x", "/\"\\", "/\xc3\xa9\t", path};
	memset(path + 1, 'x', sizeof(path) - 2);
	text_open(&t, NULL, '[');
	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++)
		text_path(&t, NULL, paths[i]);
	text_path(&t, NULL, "/\xff");
	text_close(&t, ']');
	json_t *json = text_to_json(&t);
	assert_int_equal(json_array_size(json), 5);
	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++)
		assert_string_equal(json_string_value(json_array_get(json, i)), paths[i]);
	assert_string_equal(json_string_value(json_array_get(json, 4)), "/?");
	json_decref(json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_split_of_two_messages),
		cmocka_unit_test(byte_by_byte),
		cmocka_unit_test(through_a_socket_that_takes_little),
		cmocka_unit_test(message_sizes),
		cmocka_unit_test(calls),
		cmocka_unit_test(garbage),
		cmocka_unit_test(deep_and_wide),
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(text_is_written_as_it_comes),
		cmocka_unit_test(foreign_bytes_become_text),
		cmocka_unit_test(paths_stay_what_they_are),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
