/* The instruction decoder: one row per form, with the answer written by hand. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arch/x86_64/insn.h"

struct row {
	const char *hex;
	int len; /* -EINVAL: refused */
	enum insn_kind kind;
	unsigned rel_at, rel_len;
	int32_t rel;
};

/* clang-format off */
#define ROW(hex, len, kind) {hex, len, kind, 0, 0, 0}
#define REL(hex, len, kind, at, width, value) {hex, len, kind, at, width, value}
#define BAD(hex) {hex, -EINVAL, INSN_PLAIN, 0, 0, 0}

static const struct row rows[] = {
	ROW("90", 1, INSN_NOP),
	ROW("6690", 2, INSN_NOP),
	ROW("f390", 2, INSN_PLAIN), /* pause */
	ROW("4190", 2, INSN_PLAIN), /* xchg r8, rax */
	ROW("0f1f8000000000", 7, INSN_NOP),
	ROW("66662e0f1f840000000000", 11, INSN_NOP),
	REL("0f1f0500000000", 7, INSN_NOP, 3, 4, 0),
	ROW("f30f1efa", 4, INSN_ENDBR64),
	ROW("0f1efa", 3, INSN_PLAIN),
	ROW("55", 1, INSN_PLAIN),
	ROW("4883ec08", 4, INSN_PLAIN),
	REL("488b05785634f2", 7, INSN_PLAIN, 3, 4, (int32_t)0xf2345678),
	REL("833d0100000002", 7, INSN_PLAIN, 2, 4, 1), /* cmp dword [rip+1], 2 */
	REL("813dffffffff11223344", 10, INSN_PLAIN, 2, 4, -1),
	REL("66813dffffffff1122", 9, INSN_PLAIN, 3, 4, -1),
	REL("67488b0500000000", 8, INSN_PLAIN, 4, 4, 0),
	ROW("488b042510000000", 8, INSN_PLAIN), /* absolute, by SIB */
	ROW("488b4424f8", 5, INSN_PLAIN),
	ROW("488b842400010000", 8, INSN_PLAIN),
	ROW("480fc7f8", 4, INSN_PLAIN), /* rdseed */
	ROW("48b81122334455667788", 10, INSN_PLAIN),
	ROW("b811223344", 5, INSN_PLAIN),
	ROW("66b81122", 4, INSN_PLAIN),
	ROW("6648b81122334455667788", 11, INSN_PLAIN),
	ROW("48a11122334455667788", 10, INSN_PLAIN),
	ROW("67a111223344", 6, INSN_PLAIN),
	ROW("48664889c8", 5, INSN_PLAIN), /* the first REX is void */
	ROW("f6c101", 3, INSN_PLAIN),
	ROW("f6d9", 2, INSN_PLAIN),
	ROW("f7c111223344", 6, INSN_PLAIN),
	ROW("66f7c11122", 5, INSN_PLAIN),
	ROW("48f7f1", 3, INSN_PLAIN),
	ROW("c8100000", 4, INSN_PLAIN), /* enter */
	REL("c7f811223344", 6, INSN_XBEGIN, 2, 4, 0x44332211),
	ROW("c70011223344", 6, INSN_PLAIN),
	ROW("6668ffff", 4, INSN_PLAIN),
	ROW("660f78c00102", 6, INSN_PLAIN), /* extrq */
	ROW("0f78c1", 3, INSN_PLAIN), /* vmread */
	ROW("0f0fc19e", 4, INSN_PLAIN), /* 3DNow! pfadd */
	ROW("0f22d8", 3, INSN_PLAIN), /* mov cr3, rax */
	ROW("0f2205", 3, INSN_PLAIN), /* its mod is not looked at */
	ROW("660f3a0fc108", 6, INSN_PLAIN),
	ROW("660f3800c1", 5, INSN_PLAIN),
	ROW("c5f877", 3, INSN_PLAIN), /* vzeroupper */
	REL("c5f96f0500000000", 8, INSN_PLAIN, 4, 4, 0),
	ROW("c4e37d39c101", 6, INSN_PLAIN),
	REL("62f1fd486f0500000000", 10, INSN_PLAIN, 6, 4, 0),
	REL("62f37d48190d0000000001", 11, INSN_PLAIN, 6, 4, 0),
	ROW("8fe97801c1", 5, INSN_PLAIN), /* XOP blcfill */
	ROW("8fea781008ffffffff", 9, INSN_PLAIN), /* XOP bextr imm32 */
	ROW("8f00", 2, INSN_PLAIN), /* pop [rax] */
	REL("7405", 2, INSN_JCC, 1, 1, 5),
	REL("0f8411223344", 6, INSN_JCC, 2, 4, 0x44332211),
	REL("2e7480", 3, INSN_JCC, 2, 1, -128),
	REL("ebfe", 2, INSN_JMP, 1, 1, -2),
	REL("e9fbffffff", 5, INSN_JMP, 1, 4, -5),
	REL("f2e9fbffffff", 6, INSN_JMP, 2, 4, -5),
	REL("66e9fbff", 4, INSN_JMP, 2, 2, -5),
	REL("e800000000", 5, INSN_CALL, 1, 4, 0),
	REL("666648e800000000", 8, INSN_CALL, 4, 4, 0), /* the TLS idiom */
	REL("e2fe", 2, INSN_LOOP, 1, 1, -2),
	REL("67e300", 3, INSN_LOOP, 2, 1, 0),
	ROW("c3", 1, INSN_RET),
	ROW("f3c3", 2, INSN_RET),
	ROW("c20800", 3, INSN_RET),
	REL("ff2500000000", 6, INSN_JMP_INDIRECT, 2, 4, 0),
	ROW("3effe0", 3, INSN_JMP_INDIRECT),
	ROW("ffd0", 2, INSN_CALL_INDIRECT),
	REL("ff1500000000", 6, INSN_CALL_INDIRECT, 2, 4, 0),
	ROW("ff30", 2, INSN_PLAIN), /* push [rax] */
	ROW("cc", 1, INSN_INT3),
	ROW("cd80", 2, INSN_PLAIN),
	ROW("0f0b", 2, INSN_UD),
	ROW("f4", 1, INSN_UD),
	ROW("0f05", 2, INSN_SYSCALL), /* refused */
	BAD(""),
	BAD("06"),
	BAD("0f0a"),
	BAD("9a"),
	BAD("82c001"),
	BAD("d5"),
	BAD("ea"),
	BAD("66c5f877"),
	BAD("48c5f877"),
	BAD("62f9fd486fc0"), /* EVEX with a bit that must be 0 */
	BAD("62f1f9486fc0"), /* and one that must be 1 */
	BAD("c4e07800c0"), /* VEX map 0 */
	/* 15 bytes are the most */
	ROW("2e2e2e2e2e2e2e2e2e2e2e2e2e2e90", 15, INSN_NOP),
	BAD("2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e90"),
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

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct row *row = &rows[i];
		uint8_t bytes[32];
		struct insn insn;
		size_t len = unhex(row->hex, bytes);
		int error = insn_decode(bytes, len, &insn);

		if (row->len < 0) {
			if (error != -EINVAL)
				fail_msg("%s is accepted", row->hex);
			continue;
		}
		if (error || insn.len != row->len || insn.kind != row->kind ||
		    insn.rel_at != row->rel_at || insn.rel_len != row->rel_len ||
		    insn.rel != row->rel)
			fail_msg("%s: %d len %u kind %u rel %u %u %d", row->hex, error,
				 insn.len, insn.kind, insn.rel_at, insn.rel_len, insn.rel);
	}
}

/* An instruction cut anywhere is refused, and nothing behind the cut is read. */
static void test_cut(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		for (int len = 0; len < rows[i].len; len++) {
			uint8_t whole[32];
			struct insn insn = {.len = 77};
			size_t full = unhex(rows[i].hex, whole);
			uint8_t *cut = malloc(len ? (size_t)len : 1);

			assert_true(len < (int)full);
			memcpy(cut, whole, (size_t)len);
			assert_int_equal(insn_decode(cut, (size_t)len, &insn), -EINVAL);
			assert_int_equal(insn.len, 77);
			free(cut);
		}
	}
}

static void test_condition(void **state)
{
	struct insn insn;

	(void)state;
	assert_int_equal(insn_decode((const uint8_t *)"\x7c\x00", 2, &insn), 0);
	assert_int_equal(insn.condition, 0xc);
	assert_int_equal(insn_decode((const uint8_t *)"\x0f\x8d\x00\x00\x00\x00", 6, &insn), 0);
	assert_int_equal(insn.condition, 0xd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_condition),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
