/* Moving instructions: bytes in, bytes out, from 0x1000000 to 0x2000000. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arch/trap.h"

enum { FROM = 0x1000000, TO = 0x2000000 };

struct row {
	const char *code;
	const char *copy;   /* NULL: refused */
	unsigned original;  /* bytes covered */
	const char *map;    /* "original:copy ..." */
	const char *reason; /* a part of the error's text */
};

#define MOVED(code, original, copy, map)                                                       \
	{                                                                                      \
		code, copy, original, map, NULL                                                \
	}
#define REFUSED(code, reason)                                                                  \
	{                                                                                      \
		code, NULL, 0, NULL, reason                                                    \
	}

/* clang-format off */
static const struct row rows[] = {
	/* nothing that knows its place: push; mov rbp, rsp; push r12 */
	MOVED("554889e54154", 6, "554889e54154" "e9fbfffffe", "0:0 1:1 4:4 6:6"),
	/* exactly the patch: mov eax, imm32 */
	MOVED("b811223344", 5, "b811223344" "e9fbfffffe", "0:0 5:5"),
	/* mov rax, [rip + 0x10]; cmp dword [rip + 0x10], 2: an immediate behind */
	MOVED("488b0510000000", 7, "488b05100000ff" "e9fbfffffe", "0:0 7:7"),
	MOVED("833d1000000002", 7, "833d100000ff02" "e9fbfffffe", "0:0 7:7"),
	/* test rdi, rdi; je +0x10: to its long form */
	MOVED("4885ff7410", 5, "4885ff" "0f840c0000ff" "e9f7fffffe", "0:0 3:3 5:9"),
	/* jne rel32 keeps its condition */
	MOVED("0f8510000000", 6, "0f85100000ff" "e9fbfffffe", "0:0 6:6"),
	/* branch to the first byte behind what is covered */
	MOVED("7e0390909090", 5, "0f8effffff" "fe" "909090" "e9f7fffffe", "0:0 2:6 3:7 4:8 5:9"),
	/* a function that is a jump; padding is not copied, and has no entry */
	MOVED("e910000000", 5, "e9100000ff", "0:0"),
	MOVED("f2e910000000", 6, "e9110000ff", "0:0"), /* bnd: does nothing any more */
	MOVED("eb100f1f4000", 6, "e90d0000ff", "0:0"),
	MOVED("ff2510000000", 6, "ff25100000ff", "0:0"),
	/* short functions, and what compilers and linkers pad with */
	MOVED("c366662e0f1f840000000000", 12, "c3", "0:0"),
	MOVED("c3662e0f1f840000000000", 11, "c3", "0:0"),
	MOVED("31c0c36690", 5, "31c0c3", "0:0 2:2"),
	MOVED("c3cccccccc", 5, "c3", "0:0"),
	MOVED("c39090909090", 5, "c3", "0:0"),
	MOVED("0f0bcccccccc", 5, "0f0b", "0:0"),
	/* a system call goes with the rest */
	MOVED("b8390000000f05c3", 5, "b839000000" "e9fbfffffe", "0:0 5:5"),
	/* a call of itself is a call; so is the address of itself harmless */
	MOVED("554889e54154e8f5ffffff", 6, "554889e54154" "e9fbfffffe", "0:0 1:1 4:4 6:6"),
	MOVED("488d05f9ffffff", 7, "488d05f9ffff" "fe" "e9fbfffffe", "0:0 7:7"),

	/* a call may be the last: it returns into the copy */
	MOVED("e810000000", 5, "e8100000ff" "e9fbfffffe", "0:0 5:5"),
	MOVED("4883ec08e810000000", 9, "4883ec08e8100000ff" "e9fbfffffe", "0:0 4:4 9:9"),
	MOVED("ff1510000000", 6, "ff15100000ff" "e9fbfffffe", "0:0 6:6"),
	REFUSED("55ffd0909090", "byte 1 begins a call"),
	REFUSED("4885ffe310", "byte 3 begins a loop or jrcxz"),
	REFUSED("e210909090", "byte 0 begins a loop"),
	REFUSED("c7f810000000", "xbegin"),
	REFUSED("cc4889e54154", "breakpoint"),
	REFUSED("66e9100090", "operand size"),
	REFUSED("67488b0510000000", "32-bit"),
	REFUSED("0655555555", "byte 0 begins an unknown"),
	REFUSED("55550f0a5555555555555555555555555555", "byte 2 begins an unknown"),
	REFUSED("55488b", "byte 1 begins an unknown"),
	REFUSED("", "its code ends after 0 bytes"),
	REFUSED("c3", "its code ends after 1 bytes"),
	REFUSED("c355555555", "it ends after 1 bytes, and no padding follows"),
	REFUSED("31c0c39055", "it ends after 4 bytes"),
	REFUSED("eb1090e910000000", "it ends after 3 bytes"),
	/* ways in: within what is covered, ... */
	REFUSED("7401555555", "0x1000000 leads back to byte 3"),
	REFUSED("4885ff74fb", "0x1000003 leads back to byte 0"),
	REFUSED("488d05fcffffff", "0x1000000 leads back to byte 3"),
	/* ... and from the rest, into the middle and to the first byte, by all of jcc, jmp,
	 * call, loop */
	REFUSED("554889e54154" "75f9", "0x1000006 leads back to byte 1"),
	REFUSED("554889e54154" "0f85f8ffffff", "0x1000006 leads back to byte 4"),
	REFUSED("554889e54154" "c3" "ebf7", "0x1000007 leads back to byte 0"),
	REFUSED("554889e54154" "e8f6ffffff", "0x1000006 leads back to byte 1"),
	REFUSED("554889e54154" "e2f8", "0x1000006 leads back to byte 0"),
	/* also behind bytes that are no instructions */
	REFUSED("554889e54154" "c3" "0606" "ebf5", "0x1000009 leads back to byte 0"),
};
/* clang-format on */

static size_t unhex(const char *hex, uint8_t *bytes)
{
	size_t len = 0;

	for (; hex[0]; hex += 2) {
		const char digits[3] = {hex[0], hex[1], 0};

		bytes[len++] = (uint8_t)strtoul(digits, NULL, 16);
	}
	return len;
}

static void check_moved(const struct row *row, const struct displaced *d)
{
	char hex[2 * sizeof(d->copy) + 1] = "", map[256] = "";

	for (uint32_t i = 0; i < d->copy_len; i++)
		sprintf(hex + 2 * i, "%02x", d->copy[i]);
	for (uint32_t i = 0; i < d->count; i++)
		sprintf(map + strlen(map), "%s%u:%u", i ? " " : "", d->map[i].original,
			d->map[i].copy);
	assert_string_equal(hex, row->copy);
	assert_string_equal(map, row->map);
	assert_int_equal(d->original_len, row->original);
}

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct displaced d = {.count = 99};
		struct err err = {0};
		uint8_t bytes[64];
		size_t len = unhex(rows[i].code, bytes);
		uint8_t *code = malloc(len ? len : 1);
		int error;

		memcpy(code, bytes, len);
		error = arch_x86_64.trap->displace(code, len, FROM, TO, &d, &err);
		if (error && rows[i].copy)
			fail_msg("%s: %s", rows[i].code, err.text);
		if (rows[i].copy) {
			check_moved(&rows[i], &d);
		} else {
			assert_int_equal(error, -ENOTSUP);
			assert_int_equal(d.count, 99);
			if (!strstr(err.text, rows[i].reason))
				fail_msg("%s: %s", rows[i].code, err.text);
		}
		free(code);
	}
}

/* Whatever the new place: the farthest that a rel32 reaches, and one byte more. */
static void test_reach(void **state)
{
	static const uint8_t load[] = {0x48, 0x8b, 0x05, 0, 0, 0, 0}; /* refers to FROM + 7 */
	static const uint8_t plain[] = {0x55, 0x48, 0x89, 0xe5, 0x90};
	const taddr_t from = 0x7f0000000000;
	struct displaced d;
	struct err err;

	(void)state;
	assert_int_equal(arch_x86_64.trap->displace(load, 7, from, from + 0x80000000 - 5, &d, &err),
			 0);
	assert_int_equal(arch_x86_64.trap->displace(load, 7, from, from + 0x80000000 - 4, &d, &err),
			 -ERANGE);
	assert_int_equal(arch_x86_64.trap->displace(load, 7, from, from - 0x7fffffff, &d, &err), 0);
	assert_int_equal(arch_x86_64.trap->displace(load, 7, from, from - 0x80000000, &d, &err),
			 -ERANGE);
	assert_int_equal(arch_x86_64.trap->displace(plain, 5, from, from + 0x80000000 - 5, &d, &err),
			 0);
	assert_int_equal(arch_x86_64.trap->displace(plain, 5, from, from + 0x80000000 - 4, &d, &err),
			 -ERANGE);
}

static void test_patch_offset(void **state)
{
	static const uint8_t endbr[] = {0xf3, 0x0f, 0x1e, 0xfa, 0x55};

	(void)state;
	assert_int_equal(arch_x86_64.trap->patch_offset(endbr, sizeof(endbr)), 4);
	assert_int_equal(arch_x86_64.trap->patch_offset(endbr, 3), 0);
	assert_int_equal(arch_x86_64.trap->patch_offset(endbr + 4, 1), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_reach),
		cmocka_unit_test(test_patch_offset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
