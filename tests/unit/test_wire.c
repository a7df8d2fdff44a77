/* The wire: what is written is what is read; what is cut, too long or unknown is
 * refused by name. */
#include "symbols/wire.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The message at *at of out; moves *at behind it. */
static struct wire_message next_message(const struct wire_out *out, size_t *at,
					enum wire_side sender)
{
	struct wire_message message;
	struct err err = {};
	int64_t n;

	assert_false(out->bad);
	n = wire_read(out->bytes.at + *at, out->bytes.len - *at, sender, &message, &err);
	assert_true(n > 0);
	*at += (size_t)n;
	return message;
}

static struct wire_message only_message(const struct wire_out *out, enum wire_side sender)
{
	size_t at = 0;
	struct wire_message message = next_message(out, &at, sender);

	assert_int_equal(at, out->bytes.len);
	return message;
}

static void test_hello(void **state)
{
	static const uint8_t bytes[] = "\x0f\0\0\0\1\0\0\0\7\0\0\0memtrace\1\0\2\0\0\0";
	struct wire_out out = {};
	struct wire_hello hello;
	struct wire_message message;
	struct err err;
	(void)state;

	wire_write_hello(&out, 7, &(struct wire_hello){1, 2, ""});
	assert_int_equal(out.bytes.len, 27);
	assert_memory_equal(out.bytes.at, bytes, 27);
	message = only_message(&out, WIRE_CLIENT);
	assert_int_equal(message.type, WIRE_HELLO);
	assert_int_equal(message.request, 7);
	assert_int_equal(wire_read_hello(&message, &hello, &err), 0);
	assert_int_equal(hello.oldest, 1);
	assert_int_equal(hello.newest, 2);
	assert_string_equal(hello.program, "");
	out.bytes.at[WIRE_HEADER] = 'M';
	assert_int_equal(wire_read_hello(&message, &hello, &err), -EPROTO);
	assert_string_equal(err.text, "the peer is no memtrace");
	wire_out_deinit(&out);
}

static void test_welcome(void **state)
{
	struct wire_welcome in = {1, "memtrace-fs 9", 2, {"/a", "/b/c"}}, ret;
	struct wire_out out = {};
	struct wire_message message;
	(void)state;

	wire_write_welcome(&out, 1, &in);
	message = only_message(&out, WIRE_SERVER);
	assert_int_equal(wire_read_welcome(&message, &ret, NULL), 0);
	assert_int_equal(ret.version, 1);
	assert_string_equal(ret.program, "memtrace-fs 9");
	assert_int_equal(ret.dir_count, 2);
	assert_string_equal(ret.dirs[1], "/b/c");
	wire_out_deinit(&out);
}

static void test_module(void **state)
{
	struct wire_module in = {.handle = 16383,
				 .pid = 77,
				 .machine = 62,
				 .id = {.path = "/lib/libc.so.6",
					.build_id_len = 3,
					.build_id = "abc",
					.fingerprint_len = 2,
					.fingerprint = "fp",
					.debuglink = "x.debug",
					.debuglink_crc = 0x01020304}};
	struct wire_module ret;
	struct wire_out out = {};
	struct wire_message message;
	struct err err;
	(void)state;

	wire_write_module(&out, 1, &in);
	message = only_message(&out, WIRE_CLIENT);
	assert_int_equal(wire_read_module(&message, &ret, &err), 0);
	assert_int_equal(ret.handle, 16383);
	assert_int_equal(ret.pid, 77);
	assert_int_equal(ret.machine, 62);
	assert_string_equal(ret.id.path, "/lib/libc.so.6");
	assert_int_equal(ret.id.build_id_len, 3);
	assert_memory_equal(ret.id.build_id, "abc", 3);
	assert_int_equal(ret.id.fingerprint_len, 2);
	assert_memory_equal(ret.id.fingerprint, "fp", 2);
	assert_string_equal(ret.id.debuglink, "x.debug");
	assert_int_equal(ret.id.debuglink_crc, 0x01020304);
	out.bytes.at[WIRE_HEADER + 1] = 0x40; /* handle 16384 */
	assert_int_equal(wire_read_module(&message, &ret, &err), -EPROTO);
	assert_string_equal(err.text, "broken message MODULE");
	wire_out_deinit(&out);
}

/* What is whole, and more than there may be. */
static void test_limits(void **state)
{
	for (uint8_t len = WIRE_MAX_BUILD_ID; len <= WIRE_MAX_BUILD_ID + 1; len++) {
		uint8_t bytes[128] = {[10] = 1, [12] = 'a', [14] = len};
		size_t end = 15 + (size_t)len + 2;
		struct wire_message message = {.type = WIRE_MODULE};
		struct wire_module module;

		bytes[end] = bytes[end + 1] = 0xff; /* no debuglink */
		message.payload = cursor_over(bytes, end + 6);
		assert_int_equal(wire_read_module(&message, &module, NULL),
				 len > WIRE_MAX_BUILD_ID ? -EPROTO : 0);
	}
	for (uint32_t first = WIRE_MAX_OFFSETS - 1; first <= WIRE_MAX_OFFSETS; first++) {
		uint8_t head[3 * sizeof(uint32_t)] = {[0] = 7, [8] = 1};
		struct wire_message message = {.type = WIRE_FRAMES,
					       .payload = cursor_over(head, sizeof(head))};
		struct wire_part part;

		for (unsigned i = 0; i < sizeof(first); i++)
			head[4 + i] = (uint8_t)(first >> 8 * i);
		assert_int_equal(wire_read_part(&message, &part, NULL),
				 first == WIRE_MAX_OFFSETS ? -EPROTO : 0);
	}
	(void)state;
}

static void test_module_info(void **state)
{
	struct wire_module_info in = {5, WIRE_NAMES_LINES, "its own", NULL}, ret;
	struct wire_out out = {};
	struct wire_message message;
	(void)state;

	wire_write_module_info(&out, 1, &in);
	message = only_message(&out, WIRE_SERVER);
	assert_int_equal(wire_read_module_info(&message, &ret, NULL), 0);
	assert_int_equal(ret.handle, 5);
	assert_int_equal(ret.names, WIRE_NAMES_LINES);
	assert_string_equal(ret.source, "its own");
	assert_null(ret.remark);
	wire_out_deinit(&out);
}

static void test_numbers(void **state)
{
	uint64_t values[WIRE_MAX_OFFSETS + 1] = {1, UINT64_MAX, 0x0102030405060708};
	struct wire_numbers ret;
	struct wire_out out = {};
	struct wire_message message;
	(void)state;

	wire_write_numbers(&out, 1, WIRE_LOOKUP, 9, values, 3);
	message = only_message(&out, WIRE_CLIENT);
	assert_int_equal(wire_read_numbers(&message, &ret, NULL), 0);
	assert_int_equal(ret.handle, 9);
	assert_int_equal(ret.count, 3);
	for (uint32_t i = 0; i < 3; i++)
		assert_true(wire_number(&ret, i) == values[i]);
	wire_write_numbers(&out, 1, WIRE_LOOKUP, 9, values, WIRE_MAX_OFFSETS + 1);
	assert_true(out.bad);
	wire_out_deinit(&out);
}

static void test_symbols(void **state)
{
	static const char *names[WIRE_MAX_NAMES + 5];
	static char name[4000];
	struct wire_names_list ret;
	struct wire_out out = {};
	struct wire_message message;
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		names[i] = i % 2 ? "free" : "malloc";
	assert_int_equal(wire_write_symbols(&out, 1, 4, names, ARRAY_SIZE(names)),
			 WIRE_MAX_NAMES);
	message = only_message(&out, WIRE_CLIENT);
	assert_int_equal(wire_read_symbols(&message, &ret, NULL), 0);
	assert_int_equal(ret.count, WIRE_MAX_NAMES);
	assert_string_equal(wire_next_text(&ret.texts), "malloc");
	assert_string_equal(wire_next_text(&ret.texts), "free");
	wire_out_deinit(&out);

	/* Long names: as many as one message holds. */
	memset(name, 'x', sizeof(name) - 1);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		names[i] = name;
	assert_int_equal(wire_write_symbols(&out, 1, 4, names, ARRAY_SIZE(names)), 15);
	message = only_message(&out, WIRE_CLIENT);
	assert_int_equal(wire_read_symbols(&message, &ret, NULL), 0);
	assert_int_equal(ret.count, 15);
	wire_out_deinit(&out);
}

static void test_values_and_rows(void **state)
{
	struct row row = {-8, -16, 24, ROW_CFA_FP, ROW_AT_CFA, ROW_AT_SP, ROW_SIGNAL}, row_ret;
	struct wire_answer answer;
	struct wire_out out = {};
	struct wire_message message;
	struct wire_part part;
	uint64_t size, vaddr;
	size_t at = 0;
	(void)state;

	wire_answer_begin(&answer, &out, 1, WIRE_VALUES, 2);
	wire_answer_value(&answer, 0x1000, 16);
	wire_answer_value(&answer, 0, 0);
	wire_answer_end(&answer);
	wire_answer_begin(&answer, &out, 2, WIRE_UNWIND_TABLE, 2);
	wire_answer_unwind(&answer, 0x2000, &row);
	wire_answer_end(&answer);

	message = next_message(&out, &at, WIRE_SERVER);
	assert_int_equal(wire_read_part(&message, &part, NULL), 0);
	assert_int_equal(part.handle, 2);
	assert_int_equal(part.first, 0);
	assert_int_equal(part.count, 2);
	assert_int_equal(wire_next_value(&part, &size), 0x1000);
	assert_int_equal(size, 16);
	assert_int_equal(wire_next_value(&part, &size), 0);
	message = next_message(&out, &at, WIRE_SERVER);
	assert_int_equal(wire_read_part(&message, &part, NULL), 0);
	assert_int_equal(part.count, 1);
	wire_next_unwind(&part, &vaddr, &row_ret);
	assert_int_equal(vaddr, 0x2000);
	assert_memory_equal(&row, &row_ret, sizeof(row));
	wire_out_deinit(&out);
}

static void test_unwind(void **state)
{
	struct wire_range range;
	struct wire_out out = {};
	struct wire_answer answer;
	struct wire_message message;
	struct wire_part part;
	const struct row row = {-5, -8, 16, ROW_CFA_FP, ROW_AT_CFA, ROW_SAME, ROW_SIGNAL};
	struct row ret;
	uint64_t vaddr;
	size_t at = 0;
	(void)state;

	wire_write_range(&out, 3, WIRE_UNWIND, &(struct wire_range){7, 0x1000, UINT64_MAX});
	message = only_message(&out, WIRE_CLIENT);
	assert_int_equal(wire_read_range(&message, &range, NULL), 0);
	assert_int_equal(range.handle, 7);
	assert_int_equal(range.begin, 0x1000);
	assert_true(range.end == UINT64_MAX);
	vec_clear(&out.bytes);
	wire_answer_begin(&answer, &out, 3, WIRE_UNWIND_TABLE, 7);
	for (uint32_t i = 0; i < WIRE_MAX_UNWIND; i++)
		wire_answer_unwind(&answer, 0x1000 + i, &row);
	wire_answer_end(&answer);
	for (uint32_t seen = 0; seen < WIRE_MAX_UNWIND;) {
		message = next_message(&out, &at, WIRE_SERVER);
		assert_int_equal(wire_read_part(&message, &part, NULL), 0);
		assert_int_equal(part.first, seen);
		for (uint32_t i = 0; i < part.count; i++, seen++) {
			wire_next_unwind(&part, &vaddr, &ret);
			assert_int_equal(vaddr, 0x1000 + seen);
			assert_memory_equal(&ret, &row, sizeof(row));
		}
		assert_int_equal(message.flags, seen < WIRE_MAX_UNWIND ? WIRE_MORE : 0);
	}
	assert_int_equal(at, out.bytes.len);
	wire_out_deinit(&out);
}

static void test_progress_and_error(void **state)
{
	struct wire_out out = {};
	struct wire_progress progress;
	struct wire_error error;
	struct wire_message message;
	size_t at = 0;
	(void)state;

	wire_write_progress(&out, 3, &(struct wire_progress){1ull << 40, 2, "reading"});
	wire_write_error(&out, 4, WIRE_CODE_FILE, "truncated");
	message = next_message(&out, &at, WIRE_SERVER);
	assert_int_equal(wire_read_progress(&message, &progress, NULL), 0);
	assert_true(progress.done == 1ull << 40);
	assert_string_equal(progress.what, "reading");
	message = next_message(&out, &at, WIRE_SERVER);
	assert_int_equal(message.request, 4);
	assert_int_equal(wire_read_error(&message, &error, NULL), 0);
	assert_int_equal(error.code, WIRE_CODE_FILE);
	assert_string_equal(error.text, "truncated");
	wire_out_deinit(&out);
}

static void test_frames(void **state)
{
	const struct wire_frame in[] = {
		{"f", "/src/a.c", 3, true}, {"g", "/src/a.c", 9, true}, {"f", NULL, 0, false}};
	struct wire_frame ret[WIRE_MAX_INLINED];
	struct wire_answer answer;
	struct wire_out out = {};
	struct wire_message message;
	struct wire_frames frames;
	size_t count;
	(void)state;

	wire_answer_begin(&answer, &out, 1, WIRE_FRAMES, 6);
	wire_answer_frames(&answer, in, 3);
	wire_answer_frames(&answer, NULL, 0);
	wire_answer_frames(&answer, in, 1);
	wire_answer_end(&answer);
	message = only_message(&out, WIRE_SERVER);
	assert_int_equal(message.flags, 0);
	assert_int_equal(wire_frames_open(&message, &frames, NULL), 0);
	assert_int_equal(frames.part.count, 3);
	assert_int_equal(wire_frames_next(&frames, ret, &count, NULL), 0);
	assert_int_equal(count, 3);
	assert_string_equal(ret[0].function, "f");
	assert_string_equal(ret[1].file, "/src/a.c");
	assert_int_equal(ret[1].line, 9);
	assert_true(ret[1].inlined);
	assert_ptr_equal(ret[2].function, ret[0].function);
	assert_null(ret[2].file);
	assert_false(ret[2].inlined);
	assert_int_equal(frames.texts.len, 3);
	assert_int_equal(wire_frames_next(&frames, ret, &count, NULL), 0);
	assert_int_equal(count, 0);
	assert_int_equal(wire_frames_next(&frames, ret, &count, NULL), 0);
	assert_int_equal(count, 1);
	/* There is no fourth. */
	assert_int_equal(wire_frames_next(&frames, ret, &count, NULL), -EPROTO);
	wire_frames_close(&frames);
	wire_out_deinit(&out);
}

/* An answer that is too long for one message: parts that follow each other. */
static void test_frames_split(void **state)
{
	enum { COUNT = 3000 };
	struct wire_frame ret[WIRE_MAX_INLINED];
	struct wire_answer answer;
	struct wire_out out = {};
	uint32_t seen = 0, messages = 0;
	char name[64];
	size_t count;
	(void)state;

	wire_answer_begin(&answer, &out, 1, WIRE_FRAMES, 6);
	for (uint32_t i = 0; i < COUNT; i++) {
		snprintf(name, sizeof(name), "function_with_a_name_%u", i / 2);
		wire_answer_frames(&answer, &(struct wire_frame){name, "/src/a.c", i, false},
				   1);
	}
	wire_answer_end(&answer);
	for (size_t at = 0; at < out.bytes.len; messages++) {
		struct wire_message message = next_message(&out, &at, WIRE_SERVER);
		struct wire_frames frames;
		assert_true(cursor_left(&message.payload) < WIRE_SOFT_PAYLOAD + 200);
		assert_int_equal(message.flags, at < out.bytes.len ? WIRE_MORE : 0);
		assert_int_equal(wire_frames_open(&message, &frames, NULL), 0);
		assert_int_equal(frames.part.first, seen);
		for (uint32_t i = 0; i < frames.part.count; i++, seen++) {
			assert_int_equal(wire_frames_next(&frames, ret, &count, NULL), 0);
			snprintf(name, sizeof(name), "function_with_a_name_%u", seen / 2);
			assert_string_equal(ret[0].function, name);
			assert_int_equal(ret[0].line, seen);
		}
		wire_frames_close(&frames);
	}
	assert_int_equal(seen, COUNT);
	assert_int_equal(messages, 2);
	wire_out_deinit(&out);
}

/* More frames than an address may have, and longer names: cut, still readable. */
static void test_frames_limits(void **state)
{
	struct wire_frame in[100], ret[WIRE_MAX_INLINED];
	static char names[100][5000];
	struct wire_answer answer;
	struct wire_out out = {};
	struct wire_message message;
	struct wire_frames frames;
	size_t count;
	(void)state;

	for (size_t i = 0; i < 100; i++) {
		memset(names[i], 'a' + (int)i % 26, sizeof(names[i]) - 1);
		names[i][0] = (char)('0' + i / 26);
		in[i] = (struct wire_frame){names[i], names[i], (uint32_t)i, i < 99};
	}
	wire_answer_begin(&answer, &out, 1, WIRE_FRAMES, 6);
	wire_answer_frames(&answer, in, 100);
	wire_answer_end(&answer);
	message = only_message(&out, WIRE_SERVER);
	assert_int_equal(wire_frames_open(&message, &frames, NULL), 0);
	assert_int_equal(wire_frames_next(&frames, ret, &count, NULL), 0);
	assert_int_equal(count, WIRE_MAX_INLINED);
	assert_int_equal(ret[62].line, 62);
	assert_int_equal(ret[63].line, 99);
	assert_false(ret[63].inlined);
	assert_int_equal(strlen(ret[0].function), WIRE_MAX_TEXT);
	assert_string_equal(ret[0].function + WIRE_MAX_TEXT - 4, "a...");
	wire_frames_close(&frames);
	wire_out_deinit(&out);
}

/* Names that are cut are shared as others are, also by each other where they begin alike. */
static void test_frames_cut(void **state)
{
	static char one[WIRE_MAX_TEXT + 100], other[WIRE_MAX_TEXT + 2],
		short_one[WIRE_MAX_TEXT + 1];
	struct wire_frame ret[WIRE_MAX_INLINED];
	struct wire_answer answer;
	struct wire_out out = {};
	struct wire_message message;
	struct wire_frames frames;
	size_t count;
	(void)state;

	memset(one, 'a', sizeof(one) - 1);
	memset(other, 'a', sizeof(other) - 1);
	memset(short_one, 'a', sizeof(short_one) - 1);
	wire_answer_begin(&answer, &out, 1, WIRE_FRAMES, 6);
	for (int i = 0; i < 2048; i++)
		wire_answer_frames(&answer, &(struct wire_frame){one, other, 1, false}, 1);
	wire_answer_frames(&answer, &(struct wire_frame){short_one, one, 1, false}, 1);
	wire_answer_end(&answer);
	assert_in_range(out.bytes.len, 2 * WIRE_MAX_TEXT, 2 * WIRE_MAX_TEXT + 2049 * 14 + 100);
	message = only_message(&out, WIRE_SERVER);
	assert_int_equal(wire_frames_open(&message, &frames, NULL), 0);
	for (int i = 0; i < 2048; i++) {
		assert_int_equal(wire_frames_next(&frames, ret, &count, NULL), 0);
		assert_int_equal(strlen(ret[0].function), WIRE_MAX_TEXT);
		assert_string_equal(ret[0].function + WIRE_MAX_TEXT - 4, "a...");
		assert_ptr_equal(ret[0].file, ret[0].function);
	}
	assert_int_equal(wire_frames_next(&frames, ret, &count, NULL), 0);
	assert_string_equal(ret[0].function, short_one);
	assert_int_equal(frames.texts.len, 2);
	wire_frames_close(&frames);
	wire_out_deinit(&out);
}

/* Decodes a message wholly, whatever it is.  0 or -EPROTO. */
static int decode(const struct wire_message *message)
{
	union {
		struct wire_hello hello;
		struct wire_welcome welcome;
		struct wire_module module;
		struct wire_module_info info;
		struct wire_range range;
		struct wire_numbers numbers;
		struct wire_names_list names;
		struct wire_part part;
		struct wire_progress progress;
		struct wire_error error;
		struct wire_fetch fetch;
		uint64_t length;
	} u;
	struct wire_frame ret[WIRE_MAX_INLINED];
	struct wire_frames frames;
	size_t count;
	int e;

	switch (message->type) {
	case WIRE_HELLO:
		return wire_read_hello(message, &u.hello, NULL);
	case WIRE_WELCOME:
		return wire_read_welcome(message, &u.welcome, NULL);
	case WIRE_MODULE:
		return wire_read_module(message, &u.module, NULL);
	case WIRE_MODULE_INFO:
		return wire_read_module_info(message, &u.info, NULL);
	case WIRE_LOOKUP:
		return wire_read_numbers(message, &u.numbers, NULL);
	case WIRE_SYMBOLS:
		return wire_read_symbols(message, &u.names, NULL);
	case WIRE_UNWIND:
	case WIRE_RULES:
		return wire_read_range(message, &u.range, NULL);
	case WIRE_VALUES:
	case WIRE_UNWIND_TABLE:
	case WIRE_RULE_TABLE:
		return wire_read_part(message, &u.part, NULL);
	case WIRE_LOOK:
		return wire_read_look(message, &u.length, NULL);
	case WIRE_FETCH:
		return wire_read_fetch(message, &u.fetch, NULL);
	case WIRE_FETCHED:
	case WIRE_FOUND: /* nothing but bytes */
		return cursor_left(&message->payload) == 3 ? 0 : -EPROTO;
	case WIRE_PROGRESS:
		return wire_read_progress(message, &u.progress, NULL);
	case WIRE_ERROR:
		return wire_read_error(message, &u.error, NULL);
	}
	e = wire_frames_open(message, &frames, NULL);
	for (uint32_t i = 0; !e && i < frames.part.count; i++)
		e = wire_frames_next(&frames, ret, &count, NULL);
	wire_frames_close(&frames);
	return e;
}

/* One of each. */
static void write_all(struct wire_out *out)
{
	const char *names[] = {"malloc", "free"};
	uint64_t numbers[] = {1, 2, 3};
	struct wire_frame frame = {"f", "a.c", 3, false};
	struct wire_answer answer;

	wire_write_hello(out, 1, &(struct wire_hello){1, 1, "p"});
	wire_write_welcome(out, 1, &(struct wire_welcome){1, "p", 1, {"/d"}});
	wire_write_module(
		out, 2, &(struct wire_module){1, 2, 3, {"/p", "abcd", 4, "ef", 2, "link", 7}});
	wire_write_module_info(out, 2, &(struct wire_module_info){1, 1, "s", "r"});
	wire_write_numbers(out, 3, WIRE_LOOKUP, 1, numbers, 3);
	wire_write_symbols(out, 5, 1, names, 2);
	for (enum wire_type type = WIRE_FRAMES; type <= WIRE_VALUES; type += 2) {
		wire_answer_begin(&answer, out, 6, type, 1);
		if (type == WIRE_FRAMES)
			wire_answer_frames(&answer, &frame, 1);
		else
			wire_answer_value(&answer, 1, 2);
		wire_answer_end(&answer);
	}
	wire_write_range(out, 9, WIRE_UNWIND, &(struct wire_range){1, 2, 3});
	wire_answer_begin(&answer, out, 9, WIRE_UNWIND_TABLE, 1);
	wire_answer_unwind(&answer, 5, &(struct row){1, 2, 3, 1, 1, 1, 1});
	wire_answer_end(&answer);
	wire_write_range(out, 10, WIRE_RULES, &(struct wire_range){1, 2, 3});
	wire_answer_begin(&answer, out, 10, WIRE_RULE_TABLE, 1);
	wire_answer_bytes(&answer, (const uint8_t *)"rules", 5);
	wire_answer_end(&answer);
	wire_write_look(out, 11, 1234);
	wire_write_fetch(out, 11, &(struct wire_fetch){WIRE_WANTED_FILE, 2, 3, 4});
	wire_write_bytes(out, 11, WIRE_FETCHED, false, (const uint8_t *)"abc", 3);
	wire_write_bytes(out, 11, WIRE_FOUND, true, (const uint8_t *)"def", 3);
	wire_write_progress(out, 7, &(struct wire_progress){1, 2, "w"});
	wire_write_error(out, 8, 1, "e");
	assert_false(out->bad);
}

static enum wire_side sender_of(uint16_t type)
{
	return type == WIRE_HELLO || type == WIRE_MODULE || type == WIRE_LOOKUP ||
			       type == WIRE_SYMBOLS || type == WIRE_UNWIND ||
			       type == WIRE_RULES || type == WIRE_LOOK || type == WIRE_FETCHED
		       ? WIRE_CLIENT
		       : WIRE_SERVER;
}

/*
 * Every message cut at every byte: as received so far, it is "more to come"; with a
 * header that claims the shorter length, it is refused by every decoder.  One byte too
 * many is refused as well (HELLO may grow).  The bytes stand in memory of exactly their
 * size, so that the sanitizer sees a read beyond.
 */
static void test_truncation(void **state)
{
	struct wire_out out = {};
	size_t at = 0;
	int types = 0;
	(void)state;

	write_all(&out);
	while (at < out.bytes.len) {
		enum wire_side sender = sender_of(out.bytes.at[at + 4]);
		size_t begin = at;
		struct wire_message message = next_message(&out, &at, sender), cut;
		size_t len = at - begin;
		assert_int_equal(decode(&message), 0);
		types++;
		for (size_t n = 0; n < len; n++) {
			uint8_t *copy = malloc(n + 1);
			memcpy(copy, out.bytes.at + begin, n);
			assert_int_equal(wire_read(copy, n, sender, &cut, NULL), 0);
			if (n >= WIRE_HEADER) {
				copy[0] = (uint8_t)(n - WIRE_HEADER);
				assert_int_equal(wire_read(copy, n, sender, &cut, NULL), n);
				assert_int_equal(decode(&cut), -EPROTO);
			}
			free(copy);
		}
		if (message.type != WIRE_HELLO) {
			uint8_t *copy = calloc(1, len + 1);
			memcpy(copy, out.bytes.at + begin, len);
			copy[0]++;
			assert_int_equal(wire_read(copy, len + 1, sender, &cut, NULL), len + 1);
			assert_int_equal(decode(&cut), -EPROTO);
			free(copy);
		}
	}
	assert_int_equal(types, 18);
	wire_out_deinit(&out);
}

/* Every byte of every message replaced by others: an error or a value, never a crash. */
static void test_damage(void **state)
{
	static const uint8_t others[] = {0, 1, 0x7f, 0x80, 0xff};
	struct wire_out out = {};
	uint8_t *copy;
	(void)state;

	write_all(&out);
	copy = malloc(out.bytes.len);
	for (size_t i = 0; i < out.bytes.len * sizeof(others); i++) {
		size_t at = 0;
		memcpy(copy, out.bytes.at, out.bytes.len);
		copy[i / sizeof(others)] = others[i % sizeof(others)];
		while (at < out.bytes.len) {
			struct wire_message message;
			enum wire_side sender = sender_of(copy[at + 4]);
			int64_t n = wire_read(copy + at, out.bytes.len - at, sender, &message,
					      NULL);
			if (n <= 0)
				break;
			decode(&message);
			at += (size_t)n;
		}
	}
	free(copy);
	wire_out_deinit(&out);
}

static void test_refused(void **state)
{
	struct wire_message message;
	struct err err;
	(void)state;

	assert_int_equal(wire_read((const uint8_t *)"\0\0\0\0\x63\0\0\0\0\0\0\0", 12,
				   WIRE_CLIENT, &message, &err),
			 -EPROTO);
	assert_string_equal(err.text, "unknown message 99");
	assert_int_equal(wire_read((const uint8_t *)"\0\0\0\0\0\0\0\0\0\0\0\0", 12, WIRE_CLIENT,
				   &message, &err),
			 -EPROTO);
	assert_string_equal(err.text, "unknown message 0");
	assert_int_equal(wire_read((const uint8_t *)"\1\0\1\0\5\0\0\0\0\0\0\0", 12, WIRE_CLIENT,
				   &message, &err),
			 -EPROTO);
	assert_string_equal(err.text,
			    "message LOOKUP of 65537 bytes: at most 65536 are allowed");
	assert_int_equal(wire_read((const uint8_t *)"\1\0\0\0\6\0\0\0\0\0\0\0", 12, WIRE_CLIENT,
				   &message, &err),
			 -EPROTO);
	assert_string_equal(err.text, "message FRAMES is not for this side");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hello),	      cmocka_unit_test(test_welcome),
		cmocka_unit_test(test_module),	      cmocka_unit_test(test_limits),
		cmocka_unit_test(test_module_info),   cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_symbols),	      cmocka_unit_test(test_values_and_rows),
		cmocka_unit_test(test_unwind),	      cmocka_unit_test(test_progress_and_error),
		cmocka_unit_test(test_frames),	      cmocka_unit_test(test_frames_split),
		cmocka_unit_test(test_frames_limits), cmocka_unit_test(test_frames_cut),
		cmocka_unit_test(test_truncation),    cmocka_unit_test(test_damage),
		cmocka_unit_test(test_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
