/* Unwinding by reading code: instructions in, the frame at one of them out. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "work.h"
#include "unwind/scan.h"

enum { BEGIN = 0x10000, SILENT = -1, ROOT = -2 };

/* T32: halfwords; A32: words.  cfa: SILENT, ROOT, or the distance from `base`. */
struct row_of_code {
	const char *what;
	bool thumb;
	uint32_t code[16];
	unsigned units; /* of code */
	unsigned at;	/* where the frame stands: which unit */
	uint8_t base;
	int32_t cfa, lr, fp; /* fp: of r7 in T32, r11 in A32 */
};

/* clang-format off */
static const struct row_of_code rows[] = {
	{"push {r4, r7, lr}; sub sp, #8; bl", true,
	 {0xb590, 0xb082, 0xf000, 0xf800}, 4, 2, 13, 20, 4, 8},
	{"scheduled: push {r4, lr}; mov r4, r0; sub sp, #16; bl", true,
	 {0xb510, 0x4604, 0xb084, 0xf000, 0xf800}, 5, 3, 13, 24, 4, 0},
	{"push.w {r4-r8, lr}; sub.w sp, sp, #1024; vpush {d8}; bl", true,
	 {0xe92d, 0x41f0, 0xf5ad, 0x6d80, 0xed2d, 0x8b02, 0xf000, 0xf800}, 8, 6, 13, 1056, 4, 12},
	{"str lr, [sp, #-4]!; bl", true, {0xf84d, 0xed04, 0xf000, 0xf800}, 4, 2, 13, 4, 4, 0},
	{"shrink-wrapped: cbz r0, 1f; push {r4, lr}; bl; pop {r4, pc}; 1: push {lr}; sub sp, #12; bl",
	 true, {0xb118, 0xb510, 0xf000, 0xf800, 0xbd10, 0xb500, 0xb083, 0xf000, 0xf800}, 9, 7,
	 13, 16, 4, 0},
	{"behind a return in an it block: push {r4, lr}; cmp; it eq; popeq {r4, pc}; bl", true,
	 {0xb510, 0x2800, 0xbf08, 0xbd10, 0xf000, 0xf800}, 6, 4, 13, 8, 4, 0},
	{"alloca: push {r7, lr}; add r7, sp, #0; sub.w sp, sp, r0; bl", true,
	 {0xb580, 0xaf00, 0xebad, 0x0d00, 0xf000, 0xf800}, 6, 4, 7, 8, 4, 8},
	{"alloca on one way: push {r7, lr}; mov r7, sp; cbz r0, 1f; sub.w sp, r0; 1: bl", true,
	 {0xb580, 0x466f, 0xb108, 0xebad, 0x0d00, 0xf000, 0xf800}, 7, 5, 7, 8, 4, 8},
	{"alloca without frame pointer: push {r4, lr}; sub.w sp, sp, r0; bl", true,
	 {0xb510, 0xebad, 0x0d00, 0xf000, 0xf800}, 5, 3, 0, SILENT, 0, 0},
	{"a call that can't be one: lr was not saved", true, {0xb082, 0xf000, 0xf800}, 3, 1, 13,
	 8, 0, 0},
	{"sp differs by the way: cbz r0, 1f; push {r4, lr}; 1: bl", true,
	 {0xb100, 0xb510, 0xf000, 0xf800}, 4, 2, 0, SILENT, 0, 0},
	{"tbb of two: push {r4, lr}; cmp r0, #1; tbb [pc, r0]; .byte 1, 2; nop; pop {r4, pc}; bl",
	 true, {0xb510, 0x2801, 0xe8df, 0xf000, 0x0201, 0xbd10, 0xf000, 0xf800}, 8, 6, 13, 8, 4, 0},
	{"behind a call of abort: cbz r0, 1f; push {r4, lr}; bl; 1: push {r4, r5, r6, lr}; bl",
	 true, {0xb110, 0xb510, 0xf000, 0xf800, 0xb570, 0xf000, 0xf800}, 7, 5, 13, 16, 4, 0},
	{"an argument behind a call: push {lr}; bl; push {r7}; bl", true,
	 {0xb500, 0xf000, 0xf800, 0xb480, 0xf000, 0xf800}, 6, 4, 13, 8, 4, 0},
	/* (the frame stands at the last one, a unit behind what `at` names) */
	{"where exceptions land: push {r4, lr}; sub sp, #8; bl; add sp, #8; pop {r4, pc}; blx r5",
	 true, {0xb510, 0xb082, 0xf000, 0xf800, 0xb002, 0xbd10, 0x47a8}, 7, 5, 13, 16, 4, 0},
	{"_start: mov.w fp, #0; mov.w lr, #0; pop {r1}; bl", true,
	 {0xf04f, 0x0b00, 0xf04f, 0x0e00, 0xbc02, 0xf000, 0xf800}, 7, 5, 13, ROOT, 0, 0},

	{"A32: push {r4, fp, lr}; sub sp, sp, #12; bl", false,
	 {0xe92d4810, 0xe24dd00c, 0xebfffffe}, 3, 2, 13, 24, 4, 8},
	{"A32: str fp, [sp, #-8]!; str lr, [sp, #4]; add fp, sp, #4; sub sp, sp, r0; bl", false,
	 {0xe52db008, 0xe58de004, 0xe28db004, 0xe04dd000, 0xebfffffe}, 5, 4, 11, 4, 4, 8},
	{"A32: mov ip, sp; push {fp, ip, lr, pc}; sub fp, ip, #4; sub sp, sp, r0; bl", false,
	 {0xe1a0c00d, 0xe92dd800, 0xe24cb004, 0xe04dd000, 0xebfffffe}, 5, 4, 11, 4, 8, 16},
	{"A32: push {r4, lr}; popeq {r4, pc}; bl", false,
	 {0xe92d4010, 0x08bd8010, 0xebfffffe}, 3, 2, 13, 8, 4, 0},
	{"A32: push {lr}; cmp r0, #1; addls pc, pc, r0, lsl #2; b 1f; b 1f; b 2f; 1: pop {pc}; 2: bl",
	 false, {0xe52de004, 0xe3500001, 0x908ff100, 0xea000001, 0xea000000, 0xea000000, 0xe49df004, 0xebfffffe},
	 8, 7, 13, 4, 4, 0},
	{"A32: vpush {d8-d9}; push {lr}; bl", false, {0xed2d8b04, 0xe52de004, 0xebfffffe}, 3, 2,
	 13, 20, 20, 0},
	{"A32: an argument behind a call: push {lr}; bl; push {fp}; bl", false,
	 {0xe52de004, 0xebfffffe, 0xe52db004, 0xebfffffe}, 4, 3, 13, 8, 4, 0},
	{"A32: .. on one way: push {lr}; cmp r0, #0; bne 1f; b 2f; 1: bl; 2: push {fp}; bl",
	 false, {0xe52de004, 0xe3500000, 0x1a000000, 0xea000000, 0xebfffffe, 0xe52db004, 0xebfffffe},
	 7, 6, 13, 8, 4, SCAN_EITHER},
	{"A32: the same by stores: push {lr}; sub sp, #8; bl; str fp, [sp]; bl", false,
	 {0xe52de004, 0xe24dd008, 0xebfffffe, 0xe58db000, 0xebfffffe}, 5, 4, 13, 12, 4, 0},
	{"A32: mov fp, #0; mov lr, #0; bl", false, {0xe3a0b000, 0xe3a0e000, 0xebfffffe}, 3, 2,
	 13, ROOT, 0, 0},
};
/* clang-format on */

static size_t assemble(const struct row_of_code *row, uint8_t *code)
{
	unsigned unit = row->thumb ? 2 : 4;

	for (unsigned i = 0; i < row->units; i++)
		for (unsigned byte = 0; byte < unit; byte++)
			code[i * unit + byte] = (uint8_t)(row->code[i] >> (8 * byte));
	return row->units * unit;
}

static void frames(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct row_of_code *row = &rows[i];
		uint8_t code[64];
		struct scan_function f = {BEGIN, code, assemble(row, code), row->thumb};
		unsigned unit = row->thumb ? 2 : 4;
		struct scan_frame frame;
		/* A call is 4 bytes: pc - 1 is in its last ones. */
		int found = scan_find(&f, BEGIN + row->at * unit + 3, &frame);

		if (found != (row->cfa == SILENT ? -ENOENT : 0))
			fail_msg("%s: %d", row->what, found);
		if (found)
			continue;
		if (frame.root != (row->cfa == ROOT))
			fail_msg("%s: root %d", row->what, frame.root);
		if (frame.root)
			continue;
		if (frame.base != row->base || frame.cfa_offset != row->cfa ||
		    frame.at[14] != row->lr || frame.at[row->thumb ? 7 : 11] != row->fp)
			fail_msg("%s: CFA r%d + %d, lr at -%d, fp at -%d", row->what,
				 frame.base, frame.cfa_offset, frame.at[14],
				 frame.at[row->thumb ? 7 : 11]);
	}
}

static void to_rows(void **state)
{
	struct scan_frame frame = {.base = 13, .cfa_offset = 24, .at = {[14] = 4, [11] = 8}};
	struct row row;

	(void)state;
	assert_int_equal(scan_row(&frame, false, &row), 0);
	assert_int_equal(row.cfa, ROW_CFA_SP);
	assert_int_equal(row.cfa_offset, 24);
	assert_int_equal(row.ra, ROW_AT_CFA);
	assert_int_equal(row.ra_offset, -4);
	assert_int_equal(row.fp, ROW_AT_CFA);
	assert_int_equal(row.fp_offset, -8);
	assert_int_equal(row.flags, ROW_GUESS);
	frame.base = 7;
	assert_int_equal(scan_row(&frame, false, &row), 0);
	assert_int_equal(row.cfa, ROW_CFA_FULL);
	frame.base = 11;
	assert_int_equal(scan_row(&frame, false, &row), 0);
	assert_int_equal(row.cfa, ROW_CFA_FP);
	/* not saved: only where the frame itself was interrupted */
	frame.at[14] = 0;
	frame.lr_intact = true;
	assert_int_equal(scan_row(&frame, false, &row), -ENOENT);
	assert_int_equal(row.cfa, ROW_CFA_NONE);
	assert_int_equal(scan_row(&frame, true, &row), 0);
	assert_int_equal(row.ra, ROW_SAME);
	frame.root = true;
	assert_int_equal(scan_row(&frame, false, &row), 0);
	assert_int_equal(row.cfa, ROW_CFA_ROOT);
}

/* A word of the stack is its own address. */
static int echo(struct memory *memory, taddr_t addr, void *buf, size_t len)
{
	uint32_t value = (uint32_t)addr;

	(void)memory;
	if (len != 4 || addr < 0x8000 || addr >= 0x9000)
		return -EFAULT;
	memcpy(buf, &value, 4);
	return 0;
}

static struct memory stack = {.read = echo};

static void steps(void **state)
{
	struct scan_frame frame = {
		.base = 7, .cfa_offset = 8, .at = {[14] = 4, [7] = 8, [5] = SCAN_EITHER}};
	struct full_regs regs = {.known = 0xaff0,
				 .value = {[6] = 6, [7] = 0x8010, [13] = 0x8000}};
	uint64_t cfa;
	uint8_t flags;

	(void)state;
	assert_int_equal(scan_step(&frame, &stack, &regs, &cfa, &flags), 0);
	assert_int_equal(cfa, 0x8018);
	assert_int_equal(flags, ROW_GUESS);
	assert_int_equal(regs.value[15], 0x8014);
	assert_int_equal(regs.value[13], 0x8018);
	assert_int_equal(regs.value[7], 0x8010);
	assert_int_equal(regs.value[6], 6);
	assert_int_equal(regs.known, 0xafd0);
	regs.known &= ~(1ull << 7);
	assert_int_equal(scan_step(&frame, &stack, &regs, &cfa, &flags), -EINVAL);
}

/* switch of A32 where code is not moved: a table of addresses, as many as a compare says. */
static void addresses(void **state)
{
	const uint32_t code[] = {
		0xe92d4010,		/* push {r4, lr} */
		0xe3500001, 0x979ff100, /* cmp r0, #1; ldrls pc, [pc, r0, lsl #2] */
		0xea000004,		/* b 36 */
		BEGIN + 28, BEGIN + 28, BEGIN + 32, 0xe8bd8010, /* 28: pop {r4, pc} */
		0xebfffffe,					/* 32: bl */
		0xe8bd8010,
	};
	struct scan_function f = {BEGIN, (const uint8_t *)code, sizeof(code), false};
	struct scan_frame frame;

	(void)state;
	assert_int_equal(scan_find_reached(&f, BEGIN + 28, &frame), 0);
	assert_int_equal(frame.cfa_offset, 8);
	assert_int_equal(frame.at[14], 4);
	/* the third address is beyond the compare, */
	assert_int_equal(scan_find_reached(&f, BEGIN + 32, &frame), -ENOENT);
	/* .. and a table may be cut off. */
	f.len = 24;
	assert_int_equal(scan_find_reached(&f, BEGIN + 12, &frame), 0);
}

/* On two ways, with two compares: what either allows is reached. */
static void a_table_behind_two_compares(void **state)
{
	const uint32_t code[] = {
		0xe92d4010,		/* push {r4, lr} */
		0xe3510000, 0x0a000001, /* cmp r1, #0; beq 20 */
		0xe3500001, 0xea000000, /* cmp r0, #1; b 24 */
		0xe3500002,		/* 20: cmp r0, #2 */
		0x979ff100, 0xe8bd8010, /* 24: ldrls pc, [pc, r0, lsl #2]; pop {r4, pc} */
		BEGIN + 44, BEGIN + 44, BEGIN + 44, 0xebfffffe, /* 44: bl */
		0xe8bd8010,
	};
	struct scan_function f = {BEGIN, (const uint8_t *)code, sizeof(code), false};
	struct scan_frame frame;

	(void)state;
	assert_int_equal(scan_find_reached(&f, BEGIN + 24, &frame), 0);
	assert_int_equal(scan_find_reached(&f, BEGIN + 44, &frame), 0);
	assert_int_equal(frame.cfa_offset, 8);
}

/* No code, of any length, harms. */
static void any_code(void **state)
{
	uint8_t code[256];
	uint32_t random = 1;

	(void)state;
	for (int round = 0; round < 2000; round++) {
		struct scan_function f = {BEGIN, code, (size_t)round % sizeof(code) + 1,
					  round & 1};
		struct scan_frame frame;

		for (size_t i = 0; i < f.len; i++) {
			random = random * 1664525 + 1013904223;
			code[i] = (uint8_t)(random >> 24);
		}
		scan_find(&f, BEGIN + random % f.len, &frame);
	}
}

/* Tables all over, each of a thousand ways, and pushes between them: code that nobody
 * compiled. */
static void ways_without_end_have_an_end(void **state)
{
	enum { LEN = 1 << 15 };
	uint8_t *code = malloc(LEN);
	struct scan_function function = {BEGIN, code, LEN, true};
	struct scan_frame frame;
	uint32_t seed = 1;
	double began = work_seconds();

	(void)state;
	/* push {lr}; cmp.w r0, #4080 */
	memcpy(code, (uint16_t[]){0xb500, 0xf5b0, 0x6f7f}, 6);
	for (size_t at = 6; at + 4 <= LEN; at += 4) {
		uint16_t table[] = {0xe8df, 0xf000}, pushes[] = {0xb081, 0xb402};

		seed = seed * 1103515245 + 12345;
		pushes[0] += seed >> 16 & 3;
		pushes[1] |= 1u << (seed >> 18 & 7);
		memcpy(code + at, seed >> 21 & 7 ? table : pushes, 4);
	}
	memset(code + LEN - 2, 0, 2);
	assert_int_equal(scan_find(&function, BEGIN + LEN - 100, &frame), -ENOENT);
	assert_true(work_seconds() - began < 30 * work_unit());
	free(code);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames),   cmocka_unit_test(to_rows),
		cmocka_unit_test(steps),    cmocka_unit_test(addresses),
		cmocka_unit_test(a_table_behind_two_compares),
		cmocka_unit_test(any_code),
		cmocka_unit_test(ways_without_end_have_an_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
