/* The messages of the search, and where a peer is, as text. */
#include "symbols/discovery.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void test_messages(void **state)
{
	struct discovery_query query = {.nonce = "0123456789abcde"}, query_ret;
	struct discovery_answer answer = {.port = 4003, .server = 0x1122334455667788},
				answer_ret;
	uint8_t bytes[DISCOVERY_BYTES + 1] = {0};
	(void)state;

	discovery_write_query(&query, bytes);
	assert_memory_equal(bytes,
			    "mtquery\0\1\0"
			    "0123456789abcde",
			    26);
	assert_true(discovery_read_query(bytes, DISCOVERY_BYTES, &query_ret));
	assert_memory_equal(&query, &query_ret, sizeof(query));
	assert_true(discovery_read_query(bytes, DISCOVERY_BYTES + 1, &query_ret));
	assert_false(discovery_read_query(bytes, DISCOVERY_BYTES - 1, &query_ret));
	assert_false(discovery_read_answer(bytes, DISCOVERY_BYTES, &answer_ret));
	bytes[8] = 0; /* version 0 */
	assert_false(discovery_read_query(bytes, DISCOVERY_BYTES, &query_ret));

	memcpy(answer.nonce, query.nonce, sizeof(answer.nonce));
	discovery_write_answer(&answer, bytes);
	assert_memory_equal(bytes + 26, "\xa3\x0f\x88\x77\x66\x55\x44\x33\x22\x11\0\0\0\0", 14);
	assert_true(discovery_read_answer(bytes, DISCOVERY_BYTES, &answer_ret));
	assert_memory_equal(answer.nonce, answer_ret.nonce, sizeof(answer.nonce));
	assert_int_equal(answer_ret.port, 4003);
	assert_true(answer_ret.server == answer.server);
	assert_false(discovery_read_query(bytes, DISCOVERY_BYTES, &query_ret));
	bytes[26] = bytes[27] = 0; /* no port */
	assert_false(discovery_read_answer(bytes, DISCOVERY_BYTES, &answer_ret));
}

static void test_endpoints(void **state)
{
	static const struct {
		const char *text, *host, *port;
	} good[] = {
		{"localhost", "localhost", "3002"},
		{"10.0.0.1:80", "10.0.0.1", "80"},
		{"[::1]:4003", "::1", "4003"},
		{"[::1]", "::1", "3002"},
		{"::1", "::1", "3002"},
		{"fe80::1%eth0", "fe80::1%eth0", "3002"},
		{":4003", "", "4003"},
	};
	static const char *const bad[] = {"",	  "host:",  "host:0",  "host:65536", "host:8x",
					  "[::1", "[::1]x", "host:-1", "host: 80"};
	struct endpoint ret;
	struct err err;
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		assert_int_equal(endpoint_parse(good[i].text, "--connect", &ret, &err), 0);
		assert_string_equal(ret.host, good[i].host);
		assert_string_equal(ret.port, good[i].port);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(endpoint_parse(bad[i], "--connect", &ret, &err), -EINVAL);
		assert_memory_equal(err.text, "--connect: ", 11);
	}
}

static void keep(void *arg, const char *text)
{
	snprintf(arg, 128, "%s", text);
}

static void test_connect(void **state)
{
	struct endpoint at;
	char said[128] = "", from[ENDPOINT_TEXT], text[ENDPOINT_TEXT];
	int listener, fd, taken;
	unsigned port;
	struct err err;
	(void)state;

	assert_int_equal(endpoint_parse("127.0.0.1", "x", &at, &err), 0);
	strcpy(at.port, "0"); /* any that is free */
	assert_int_equal(endpoint_listen(&at, keep, said, &listener, &err), 0);
	assert_string_equal(said, "Listening on [127.0.0.1]:0");
	assert_int_equal(endpoint_accept(listener, 0, &fd, from, &err), -ETIMEDOUT);
	{
		struct sockaddr_storage own;
		socklen_t len = sizeof(own);
		assert_int_equal(getsockname(listener, (struct sockaddr *)&own, &len), 0);
		endpoint_plain((struct sockaddr *)&own, len, text);
		assert_int_equal(sscanf(text, "127.0.0.1:%u", &port), 1);
	}
	snprintf(at.port, sizeof(at.port), "%u", port);
	assert_int_equal(endpoint_connect(&at, 1000, keep, said, &fd, &err), 0);
	snprintf(text, sizeof(text), "Connecting to [127.0.0.1]:%u", port);
	assert_string_equal(said, text);
	assert_int_equal(endpoint_accept(listener, 1000, &taken, from, &err), 0);
	assert_memory_equal(from, "[127.0.0.1]:", 12);
	close(taken);
	close(fd);
	close(listener);
	assert_int_equal(endpoint_connect(&at, 1000, NULL, NULL, &fd, &err), -ECONNREFUSED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_endpoints),
		cmocka_unit_test(test_connect),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
