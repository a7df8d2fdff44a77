/* Frames of RISC-V code by the code itself: instructions as gcc writes them. */
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
#include "unwind/riscv64_frame.h"

/* clang-format off */
enum {
	LOWER_64 = 0x7139, LOWER_16 = 0x1141, RAISE_64 = 0x6121, RAISE_16 = 0x0141,
	SD_RA_56 = 0xfc06, SD_RA_8 = 0xe406, SD_S0_48 = 0xf822, SD_S0_0 = 0xe022,
	LD_RA_56 = 0x70e2, LD_RA_8 = 0x60a2, LD_S0_48 = 0x7442, LD_S0_0 = 0x6402,
	FP_64 = 0x0080, SP_FP_64 = 0xfc040113, /* addi s0, sp, 64; addi sp, s0, -64 */
	SUB_SP_A5 = 0x40f10133, MV_SP_S2 = 0x814a,
	LOWER_2032 = 0x81010113, SD_RA_2024 = 0x7e113423, SD_S0_2016 = 0x7e813023,
	LOWER_1248 = 0xb2010113, RAISE_1248 = 0x4e010113, LD_RA_2024 = 0x7e813083, RAISE_2032 = 0x7f010113,
	LUI_T0 = 0x72fd, ADD_T0 = 0x12c1, ADD_SP_T0 = 0x9116, /* -4096; -16 */
	FADD_FT2 = 0x02107153,
	BEQZ_A0 = 0x00050063, /* beq a0, x0: | AHEAD() */
	JAL = 0x000000ef, ECALL = 0x73, RET = 0x8082, NOP = 0x0001,
};
/* clang-format on */
#define AHEAD(bytes) ((uint32_t)(bytes) << 7)

#define CODE(...) \
	(const uint32_t[]){__VA_ARGS__}, sizeof((const uint32_t[]){__VA_ARGS__}) / 4

static size_t encoded(const uint32_t *code, size_t count, uint8_t *bytes)
{
	size_t len = 0;

	for (size_t i = 0; i < count; i++)
		for (int b = 0; b < ((code[i] & 3) == 3 ? 4 : 2); b++)
			bytes[len++] = (uint8_t)(code[i] >> 8 * b);
	return len;
}

/* base 0: not known. */
static void is_frame(const uint32_t *code, size_t count, unsigned base, int size, int ra, int s0)
{
	struct code_frame frame;
	uint8_t bytes[256];
	int rc = riscv64_scan(&arch_riscv64, bytes, encoded(code, count, bytes), &frame);

	assert_int_equal(rc, base ? 0 : -ENOENT);
	if (rc)
		return;
	assert_int_equal(frame.base, base);
	assert_int_equal(frame.cfa_offset, size);
	assert_int_equal(frame.at[1], ra);
	assert_int_equal(frame.at[8], s0);
	assert_true(frame.guess);
}

static void test_prologues(void **state)
{
	(void)state;
	is_frame(CODE(NOP), 2, 0, 0, 0);
	is_frame(CODE(NOP, LOWER_64), 2, 64, 0, 0);
	is_frame(CODE(LOWER_64, SD_RA_56, SD_S0_48, JAL), 2, 64, 8, 16);
	/* s0 says what sp does not any more */
	is_frame(CODE(LOWER_64, SD_RA_56, SD_S0_48, FP_64, JAL), 2, 64, 8, 16);
	is_frame(CODE(LOWER_64, SD_RA_56, SD_S0_48, FP_64, SUB_SP_A5, JAL), 8, 0, 8, 16);
	is_frame(CODE(LOWER_64, SD_RA_56, SUB_SP_A5, JAL), 0, 0, 0, 0);
	is_frame(CODE(LOWER_64, SD_RA_56, SD_S0_48, FP_64, MV_SP_S2, JAL), 8, 0, 8, 16);
	is_frame(CODE(LOWER_64, SD_RA_56, SD_S0_48, FP_64, LD_S0_48, SUB_SP_A5, JAL), 0, 0, 0, 0);
	/* what is stored behind that is the function's own */
	is_frame(CODE(LOWER_64, SD_RA_56, SD_S0_48, SD_S0_0, JAL), 2, 64, 8, 16);
	/* more than an immediate: by two, or by a number in a register */
	is_frame(CODE(LOWER_2032, SD_RA_2024, SD_S0_2016, LOWER_1248, JAL), 2, 3280, 8, 16);
	is_frame(CODE(LOWER_2032, SD_RA_2024, LUI_T0, ADD_T0, ADD_SP_T0, JAL), 2, 2032 + 4112, 8, 0);
	is_frame(CODE(LOWER_2032, SD_RA_2024, LUI_T0, 0x62c2 /* ld t0, 16(sp) */, ADD_SP_T0, JAL), 0,
		 0, 0, 0);
	/* not sp, but the other register of that number */
	is_frame(CODE(LOWER_64, SD_RA_56, FADD_FT2, JAL), 2, 64, 8, 0);
}

static void test_ways_out(void **state)
{
	(void)state;
	/* the body goes on behind an early return, .. */
	is_frame(CODE(LOWER_64, SD_RA_56, LD_RA_56, RAISE_64, RET, JAL), 2, 64, 8, 0);
	is_frame(CODE(LOWER_64, SD_RA_56, LD_RA_56, RAISE_64), 2, 0, 0, 0);
	is_frame(CODE(LOWER_2032, SD_RA_2024, LOWER_1248, RAISE_1248, LD_RA_2024, RAISE_2032, RET, JAL),
		 2, 3280, 8, 0);
	is_frame(CODE(LOWER_64, SD_RA_56, SD_S0_48, FP_64, SUB_SP_A5, SP_FP_64, LD_RA_56, LD_S0_48,
		      RAISE_64, RET, JAL),
		 8, 0, 8, 16);
	is_frame(CODE(LOWER_64, SD_RA_56, SD_S0_48, FP_64, LD_RA_56, LD_S0_48, RAISE_64, RET, SUB_SP_A5,
		      JAL),
		 8, 0, 8, 16);
	/* .. but with what the branch had that led there */
	is_frame(CODE(BEQZ_A0 | AHEAD(14), LOWER_16, SD_RA_8, LD_RA_8, RAISE_16, RET, JAL), 2, 0, 0,
		 0);
	is_frame(CODE(LOWER_16, SD_RA_8, BEQZ_A0 | AHEAD(14), SD_S0_0, LD_S0_0, LD_RA_8, RAISE_16, RET,
		      JAL),
		 2, 16, 8, 0);
	/* a call that does not return; the place itself is one that it returns to */
	is_frame(CODE(BEQZ_A0 | AHEAD(12), LOWER_16, SD_RA_8, JAL, NOP), 2, 0, 0, 0);
	is_frame(CODE(BEQZ_A0 | AHEAD(12), LOWER_16, SD_RA_8, JAL), 2, 16, 8, 0);
	/* arguments on the stack are no way out */
	is_frame(CODE(LOWER_64, SD_RA_56, LOWER_16, JAL, RAISE_16, JAL, LD_RA_56, RAISE_64, RET, JAL),
		 2, 64, 8, 0);
}

/* cfa_offset < 0: not known. */
static void is_end(const uint32_t *code, size_t count, int size, int ra, int s0)
{
	struct code_frame frame = {.guess = true};
	uint8_t bytes[256];
	int rc = riscv64_scan_end(bytes, encoded(code, count, bytes), &frame);

	assert_int_equal(rc, size < 0 ? -ENOENT : 0);
	if (rc)
		return;
	assert_int_equal(frame.base, 2);
	assert_int_equal(frame.cfa_offset, size);
	assert_int_equal(frame.at[1], ra);
	assert_int_equal(frame.at[8], s0);
	assert_false(frame.guess);
}

/* A pc from which a function ends: what it is in front of does not matter. */
static void test_ends(void **state)
{
	(void)state;
	is_end(CODE(RET, JAL), 0, 0, 0);
	is_end(CODE(ECALL, RET, LOWER_64), 0, 0, 0);
	is_end(CODE(LD_S0_48, LD_RA_56, RAISE_64, RET), 64, 8, 16);
	is_end(CODE(RAISE_16, LD_RA_56, RAISE_64, RET), 80, 8, 0);
	is_end(CODE(RAISE_64, RET), 64, 0, 0);
	is_end(CODE(LD_RA_56, RAISE_16, RET), -1, 0, 0); /* from what is not its frame */
	is_end(CODE(LD_S0_48, JAL, RET), -1, 0, 0);
	is_end(CODE(BEQZ_A0 | AHEAD(8), RET), -1, 0, 0);
	is_end(CODE(SD_S0_48, LD_S0_48, RAISE_64, RET), -1, 0, 0);
	is_end(CODE(FP_64, RAISE_64, RET), -1, 0, 0);
	is_end(CODE(LOWER_16, RET), -1, 0, 0);
	is_end(CODE(MV_SP_S2, RET), -1, 0, 0);
	is_end(CODE(NOP, NOP), -1, 0, 0);
}

static int64_t begin(const uint32_t *code, size_t count)
{
	uint8_t bytes[256];

	return riscv64_scan_begin(&arch_riscv64, bytes, encoded(code, count, bytes));
}

static void test_begin(void **state)
{
	(void)state;
	assert_int_equal(begin(CODE(LOWER_16, SD_RA_8, RET, LOWER_64, SD_RA_56, JAL)), 6);
	assert_int_equal(begin(CODE(LOWER_16, SD_RA_8, RET, LOWER_64, JAL)), 0);
	assert_int_equal(begin(CODE(LOWER_16, NOP, RET)), -ENOENT);
	/* c.addi16sp, but in the middle of lui a3, 0x71390, and the end is not met from it */
	assert_int_equal(begin(CODE(LOWER_16, SD_RA_8, 0x713906b7, 0x00000797 /* auipc */)), 0);
}

static void test_behind_call(void **state)
{
	static const struct {
		uint8_t code[4];
		bool is;
	} rows[] = {
		{{0xef, 0, 0, 0}, true},	  /* jal ra */
		{{0xe7, 0x80, 0x07, 0}, true},	  /* jalr ra, a5 */
		{{1, 0, 0x82, 0x97}, true},	  /* nop; jalr a5 */
		{{0x82, 0x97, 1, 0}, false},	  /* jalr a5; nop */
		{{0x6f, 0, 0, 0}, false},	  /* j */
		{{1, 0, 0x82, 0x80}, false},	  /* nop; ret */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(riscv64_is_behind_call(rows[i].code), rows[i].is);
}

static void test_step(void **state)
{
	enum { BASE = 0x3f00000000 };
	const struct code_frame frame = {.base = 2, .cfa_offset = 16, .at = {[1] = 8, [8] = 16}};
	uint64_t stack[2] = {0x22, 0x2aaaaa100};
	struct memory_buffer bytes;
	struct full_regs regs = {.value = {[2] = BASE, [9] = 7}, .known = 1u << 2 | 1u << 9};
	struct row row;
	uint64_t cfa;
	uint8_t flags;

	(void)state;
	memory_buffer_init(&bytes, BASE, (uint8_t *)stack, sizeof(stack));
	assert_int_equal(code_frame_row(&arch_riscv64, &frame, false, &row), 0);
	assert_int_equal(row.cfa, ROW_CFA_SP);
	assert_int_equal(row.ra_offset, -8);
	assert_int_equal(row.fp_offset, -16);
	assert_int_equal(code_frame_step(&arch_riscv64, &frame, false, &bytes.memory, &regs, &cfa,
					 &flags),
			 0);
	assert_true(cfa == BASE + 16 && regs.value[2] == cfa);
	assert_true(regs.value[32] == 0x2aaaaa100);
	assert_int_equal(regs.value[8], 0x22);
	assert_true(regs.known == (1ull << 2 | 1ull << 8 | 1ull << 9 | 1ull << 32));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_prologues), cmocka_unit_test(test_ways_out),
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_begin),	  cmocka_unit_test(test_behind_call),
		cmocka_unit_test(test_step),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
