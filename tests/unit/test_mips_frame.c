/* Frames of MIPS code by the code itself: words as gcc 12 writes them, in both orders of bytes. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arch/cpu.h"
#include "base/memory.h"
#include "base/types.h"
#include "unwind/mips_frame.h"

enum {
	NOP = 0,
	LUI_GP = 0x3c1c0002,
	LOWER_32 = 0x27bdffe0,
	RAISE_32 = 0x27bd0020,
	SW_RA_28 = 0xafbf001c,
	SW_S8_24 = 0xafbe0018,
	SW_S0_24 = 0xafb00018,
	SW_S0_16 = 0xafb00010, /* a fifth argument */
	MOVE_S8_SP = 0x03a0f025,
	SUBU_SP_V0 = 0x03a2e823,
	BEQZ_A0 = 0x10800000,
	JR_RA = 0x03e00008,
	JALR_T9 = 0x0320f809,
	LW_RA_28 = 0x8fbf001c,
};

#define CODE(...) (const uint32_t[]){__VA_ARGS__}, sizeof((const uint32_t[]){__VA_ARGS__}) / 4

static const struct arch *const both[] = {&arch_mipsel, &arch_mips};

static uint8_t *encoded(const struct arch *arch, const uint32_t *words, size_t count)
{
	static uint8_t bytes[512];

	for (size_t i = 0; i < count; i++)
		arch_put_word(arch, bytes + 4 * i, words[i]);
	return bytes;
}

/* base 0: not known. */
static void is_frame(const uint32_t *words, size_t count, unsigned base, int size, int ra, int s8,
		     int s0)
{
	for (size_t i = 0; i < ARRAY_SIZE(both); i++) {
		struct code_frame frame;
		int rc = mips_scan(both[i], encoded(both[i], words, count), 4 * count, &frame);

		assert_int_equal(rc, base ? 0 : -ENOENT);
		if (rc)
			continue;
		assert_int_equal(frame.base, base);
		assert_int_equal(frame.cfa_offset, size);
		assert_int_equal(frame.at[MIPS_RA], ra);
		assert_int_equal(frame.at[MIPS_S8], s8);
		assert_int_equal(frame.at[16], s0);
		assert_true(frame.guess);
	}
}

static void test_prologues(void **state)
{
	(void)state;
	is_frame(CODE(LUI_GP), 29, 0, 0, 0, 0);
	is_frame(CODE(LUI_GP, LOWER_32), 29, 32, 0, 0, 0);
	is_frame(CODE(LUI_GP, LOWER_32, SW_RA_28, SW_S0_24, JALR_T9, NOP), 29, 32, 4, 0, 8);
	/* a register that was saved is an argument later */
	is_frame(CODE(LOWER_32, SW_RA_28, SW_S0_24, SW_S0_16, JALR_T9, NOP), 29, 32, 4, 0, 8);
	/* a save behind that of sp to s8, which then is lowered by a value */
	is_frame(CODE(LOWER_32, SW_S8_24, MOVE_S8_SP, SW_RA_28, SUBU_SP_V0, SW_S0_16, JALR_T9, NOP),
		 30, 32, 4, 8, 0);
	is_frame(CODE(LOWER_32, SW_RA_28, SUBU_SP_V0, JALR_T9, NOP), 0, 0, 0, 0, 0);
	/* in two parts: system calls of six arguments */
	is_frame(CODE(LOWER_32, SW_RA_28, LOWER_32), 29, 64, 4, 0, 0);
	is_frame(CODE(LOWER_32, SW_RA_28, LOWER_32, RAISE_32), 29, 32, 4, 0, 0);
}

static void test_ways_out(void **state)
{
	(void)state;
	/* the body goes on behind an early return, .. */
	is_frame(CODE(LOWER_32, SW_RA_28, BEQZ_A0 | 4, NOP, LW_RA_28, JR_RA, RAISE_32, JALR_T9, NOP),
		 29, 32, 4, 0, 0);
	is_frame(CODE(LOWER_32, SW_RA_28, BEQZ_A0 | 4, NOP, LW_RA_28, JR_RA, RAISE_32), 29, 32, 4, 0,
		 0);
	is_frame(CODE(LOWER_32, SW_RA_28, BEQZ_A0 | 4, NOP, LW_RA_28, JR_RA), 29, 32, 4, 0, 0);
	/* .. but not where a branch without a frame led */
	is_frame(CODE(BEQZ_A0 | 6, NOP, LOWER_32, SW_RA_28, LW_RA_28, JR_RA, RAISE_32, NOP), 29, 0, 0,
		 0, 0);
	/* and there a second one may be made */
	is_frame(CODE(BEQZ_A0 | 6, NOP, LOWER_32, SW_RA_28, LW_RA_28, JR_RA, RAISE_32, LOWER_32,
		      SW_S0_24, SW_RA_28),
		 29, 32, 4, 0, 8);
}

static void test_begin(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(both); i++) {
		uint8_t *code = encoded(both[i], CODE(JR_RA, LOWER_32, SW_RA_28, LOWER_32, NOP,
						      JALR_T9, NOP));

		assert_int_equal(mips_scan_begin(both[i], code, 28), 4);
		assert_int_equal(mips_scan_begin(both[i], code, 8), -ENOENT);
		assert_true(mips_is_behind_call(both[i], code + 20));
		assert_false(mips_is_behind_call(both[i], code + 16));
	}
}

/* Half words as gcc 12 writes them with -mips16: the return address is behind the last one. */
static void is_behind_call_of_16(const uint16_t halves[4], bool expected)
{
	for (size_t i = 0; i < ARRAY_SIZE(both); i++) {
		uint8_t code[8];

		for (size_t at = 0; at < 4; at++) {
			code[2 * at + both[i]->big_endian] = (uint8_t)halves[at];
			code[2 * at + !both[i]->big_endian] = (uint8_t)(halves[at] >> 8);
		}
		assert_int_equal(mips16_is_behind_call(both[i], code), expected);
	}
}

static void test_behind_calls_of_16(void **state)
{
	enum {
		JALR_V0 = 0xea40,
		JALRC_V0 = 0xeac0,
		JAL_16 = 0x1a00,
		JALX_16 = 0x1e00,
		JR_RA_16 = 0xe820,
		NOP_16 = 0x6500
	};

	(void)state;
	is_behind_call_of_16((const uint16_t[]){NOP_16, NOP_16, JALR_V0, 0x653a}, true);
	is_behind_call_of_16((const uint16_t[]){NOP_16, NOP_16, NOP_16, JALRC_V0}, true);
	is_behind_call_of_16((const uint16_t[]){NOP_16, JAL_16, 0x1234, NOP_16}, true);
	is_behind_call_of_16((const uint16_t[]){NOP_16, JALX_16, 0x1234, NOP_16}, true);
	is_behind_call_of_16((const uint16_t[]){NOP_16, JALR_V0, NOP_16, NOP_16}, false);
	is_behind_call_of_16((const uint16_t[]){NOP_16, NOP_16, NOP_16, JALR_V0}, false);
	is_behind_call_of_16((const uint16_t[]){NOP_16, NOP_16, JR_RA_16, NOP_16}, false);
}

static void test_rows(void **state)
{
	struct code_frame frame = {.base = 29, .guess = true, .cfa_offset = 48};
	struct row row;

	(void)state;
	/* not in a call: its return address is in ra still */
	assert_int_equal(code_frame_row(&arch_mipsel, &frame, false, &row), -ENOENT);
	assert_int_equal(row.cfa, ROW_CFA_NONE);
	assert_int_equal(code_frame_row(&arch_mipsel, &frame, true, &row), 0);
	assert_int_equal(row.ra, ROW_SAME);
	frame.at[MIPS_RA] = 4;
	frame.at[MIPS_S8] = 8;
	assert_int_equal(code_frame_row(&arch_mipsel, &frame, false, &row), 0);
	assert_int_equal(row.cfa, ROW_CFA_SP);
	assert_int_equal(row.cfa_offset, 48);
	assert_int_equal(row.ra, ROW_AT_CFA);
	assert_int_equal(row.ra_offset, -4);
	assert_int_equal(row.fp, ROW_AT_CFA);
	assert_int_equal(row.fp_offset, -8);
	assert_int_equal(row.flags, ROW_GUESS);
	frame.base = 17; /* MIPS16's frame pointer: no row has it */
	assert_int_equal(code_frame_row(&arch_mipsel, &frame, false, &row), 0);
	assert_int_equal(row.cfa, ROW_CFA_FULL);
	frame.base = 30;
	frame.guess = false;
	assert_int_equal(code_frame_row(&arch_mipsel, &frame, false, &row), 0);
	assert_int_equal(row.cfa, ROW_CFA_FP);
	assert_int_equal(row.flags, 0);
	frame.at[MIPS_RA] = 40000;
	assert_int_equal(code_frame_row(&arch_mipsel, &frame, false, &row), 0);
	assert_int_equal(row.cfa, ROW_CFA_FULL);
	frame.root = true;
	assert_int_equal(code_frame_row(&arch_mipsel, &frame, false, &row), 0);
	assert_int_equal(row.cfa, ROW_CFA_ROOT);
}

static void test_step(void **state)
{
	enum { BASE = 0x7fff0000 };
	const struct code_frame frame = {
		.base = 29, .cfa_offset = 16, .at = {[MIPS_RA] = 4, [MIPS_S8] = 8, [16] = 12}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(both); i++) {
		struct memory_buffer bytes;
		struct full_regs regs = {.value = {[29] = BASE, [17] = 7}, .known = 1u << 29 | 1 << 17};
		uint8_t *stack = encoded(both[i], CODE(1, 0x11, 0x22, 0x400100));
		uint64_t cfa;
		uint8_t flags;

		memory_buffer_init(&bytes, BASE, stack, 16);
		assert_int_equal(code_frame_step(both[i], &frame, false, &bytes.memory, &regs, &cfa, &flags),
				 0);
		assert_int_equal(cfa, BASE + 16);
		assert_int_equal(regs.value[29], BASE + 16);
		assert_int_equal(regs.value[32], 0x400100);
		assert_int_equal(regs.value[16], 0x11);
		assert_int_equal(regs.value[30], 0x22);
		assert_true(regs.known == (1ull << 16 | 1ull << 17 | 1ull << 29 | 1ull << 30 | 1ull << 32));
		regs.known = 0;
		assert_int_equal(code_frame_step(both[i], &frame, false, &bytes.memory, &regs, &cfa, &flags),
				 -EINVAL);
		regs.known = 1u << 29;
		assert_int_equal(code_frame_step(both[i], &frame, false, &bytes.memory, &regs, &cfa, &flags),
				 -EFAULT);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_prologues), cmocka_unit_test(test_ways_out),
		cmocka_unit_test(test_begin),	  cmocka_unit_test(test_rows),
		cmocka_unit_test(test_step),	  cmocka_unit_test(test_behind_calls_of_16),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
