/*
 * Unwinding by .ARM.exidx, on a file built here: one entry per case, functions 16 bytes
 * apart from 0x1000 on; what an entry's instructions do to a stack of known words.
 */
#include <elf.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "unwind/exidx.h"

enum { TABLE = 0x100, EXTAB = 0x300, FILE_LEN = 0x1000, CODE = 0x1000, STACK = 0x8000 };

static uint8_t file_bytes[FILE_LEN];
static struct memory_buffer file;
static struct image *image;
static struct exidx *exidx;

/* Word n of the stack is 0xabc000 + 4n, so that a popped value says where it lay. */
static int stack_read(struct memory *memory, taddr_t addr, void *buf, size_t len)
{
	uint32_t value = (uint32_t)(0xabc000 + (addr - STACK));

	(void)memory;
	if (addr < STACK || addr >= STACK + 0x1000 || len != 4)
		return -EFAULT;
	memcpy(buf, &value, 4);
	return 0;
}

static struct memory stack = {.read = stack_read};

static void put(size_t at, uint32_t word)
{
	memcpy(file_bytes + at, &word, 4);
}

static uint32_t prel31(uint32_t from, uint32_t to)
{
	return (to - from) & 0x7fffffff;
}

enum {
	PUSH_R4_LR, /* inline: pop {r4, r14} */
	CANTUNWIND,
	FRAME_R11,  /* vsp = r11; vsp -= 4; pop {r11, r14} */
	FRAME_R7,   /* vsp = r7; pop {r7, r14} */
	LONG_EXTAB, /* 0x204 + ..., pop {r4-r11, r14} in a Lu16 with one word more */
	GENERIC,    /* behind a personality routine: vsp += 8, pop {r14} */
	SIGNAL,	    /* pop {r0-r3}, pop {r4-r15} */
	REFUSE,
	BROKEN, /* its table lies nowhere */
	LEAF,	/* vsp += 8 */
	ENTRIES,
};

static const uint32_t inlined[ENTRIES] = {
	[PUSH_R4_LR] = 0x80a8b0b0, [CANTUNWIND] = 1,	[FRAME_R7] = 0x80978408,
	[REFUSE] = 0x808000b0,	   [LEAF] = 0x8001b0b0,
};

static int setup(void **state)
{
	Elf32_Ehdr header = {.e_ident = ELFMAG "\1\1\1",
			     .e_type = ET_DYN,
			     .e_machine = EM_ARM,
			     .e_version = 1,
			     .e_phoff = sizeof(header),
			     .e_ehsize = sizeof(header),
			     .e_phentsize = sizeof(Elf32_Phdr),
			     .e_phnum = 2};
	Elf32_Phdr headers[2] = {
		{.p_type = PT_LOAD, .p_filesz = FILE_LEN, .p_memsz = FILE_LEN, .p_flags = PF_R},
		{.p_type = PT_ARM_EXIDX,
		 .p_offset = TABLE,
		 .p_vaddr = TABLE,
		 .p_filesz = ENTRIES * 8,
		 .p_memsz = ENTRIES * 8},
	};
	struct err err;

	(void)state;
	memcpy(file_bytes, &header, sizeof(header));
	memcpy(file_bytes + sizeof(header), headers, sizeof(headers));
	for (uint32_t i = 0; i < ENTRIES; i++) {
		put(TABLE + i * 8, prel31(TABLE + i * 8, CODE + i * 16));
		put(TABLE + i * 8 + 4,
		    inlined[i] ? inlined[i] : prel31(TABLE + i * 8 + 4, EXTAB + i * 16));
	}
	put(EXTAB + FRAME_R11 * 16, 0x81019b40);
	put(EXTAB + FRAME_R11 * 16 + 4, 0x8480b0b0);
	put(EXTAB + LONG_EXTAB * 16, 0x8101b201); /* n = 1, b2 01 */
	put(EXTAB + LONG_EXTAB * 16 + 4, 0xafb0b0b0);
	put(EXTAB + GENERIC * 16, 0x00001234);
	put(EXTAB + GENERIC * 16 + 4, 0x00018400); /* n = 0: 01, 84 00 */
	put(EXTAB + SIGNAL * 16, 0x8101b10f);
	put(EXTAB + SIGNAL * 16 + 4, 0x8fffb0b0);
	put(TABLE + BROKEN * 8 + 4, 0x3fffffff);
	memory_buffer_init(&file, 0, file_bytes, sizeof(file_bytes));
	assert_int_equal(image_open(&file.memory, &image, &err), 0);
	assert_int_equal(exidx_open(image, &exidx, &err), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	exidx_close(exidx);
	image_close(image);
	return 0;
}

static void assert_row(int entry, struct row expected)
{
	struct row row;

	assert_int_equal(exidx_row(exidx, CODE + (unsigned)entry * 16 + 6, &row), 0);
	assert_memory_equal(&row, &expected, sizeof(row));
}

static void rows(void **state)
{
	(void)state;
	assert_row(PUSH_R4_LR, (struct row){.cfa = ROW_CFA_SP,
					    .cfa_offset = 8,
					    .ra = ROW_AT_CFA,
					    .ra_offset = -4});
	assert_row(FRAME_R11, (struct row){.cfa = ROW_CFA_FP,
					   .cfa_offset = 4,
					   .ra = ROW_AT_CFA,
					   .ra_offset = -4,
					   .fp = ROW_AT_CFA,
					   .fp_offset = -8});
	assert_row(FRAME_R7, (struct row){.cfa = ROW_CFA_FULL});
	assert_row(LONG_EXTAB, (struct row){.cfa = ROW_CFA_SP,
					    .cfa_offset = 0x208 + 36,
					    .ra = ROW_AT_CFA,
					    .ra_offset = -4,
					    .fp = ROW_AT_CFA,
					    .fp_offset = -8});
	assert_row(GENERIC, (struct row){.cfa = ROW_CFA_SP,
					 .cfa_offset = 12,
					 .ra = ROW_AT_CFA,
					 .ra_offset = -4});
	assert_row(SIGNAL, (struct row){.cfa = ROW_CFA_FULL});
	assert_row(LEAF, (struct row){.cfa = ROW_CFA_SP, .cfa_offset = 8, .ra = ROW_SAME});
}

static void rows_that_are_none(void **state)
{
	struct row row = {.cfa = ROW_CFA_SP};

	(void)state;
	assert_int_equal(exidx_row(exidx, CODE + CANTUNWIND * 16, &row), -ENOENT);
	assert_int_equal(row.cfa, ROW_CFA_NONE);
	assert_int_equal(exidx_row(exidx, CODE - 1, &row), -ENOENT);
	assert_int_equal(exidx_row(exidx, CODE + REFUSE * 16, &row), -EINVAL);
	assert_int_equal(row.cfa, ROW_CFA_NONE);
	assert_int_equal(exidx_row(exidx, CODE + BROKEN * 16, &row), -ENOENT);
}

/* Registers 0..15 are 0x100 + number, but sp, r7 and r11, which point to the stack. */
static struct full_regs registers(void)
{
	struct full_regs regs = {.known = 0xffff};

	for (int i = 0; i < 16; i++)
		regs.value[i] = 0x100 + (unsigned)i;
	regs.value[13] = STACK;
	regs.value[7] = STACK + 0x40;
	regs.value[11] = STACK + 0x80;
	return regs;
}

static struct full_regs step(int entry, uint64_t *cfa, uint8_t *flags)
{
	struct full_regs regs = registers();

	assert_int_equal(
		exidx_step(exidx, CODE + (unsigned)entry * 16, &stack, &regs, cfa, flags), 0);
	return regs;
}

static void steps(void **state)
{
	struct full_regs regs;
	uint64_t cfa;
	uint8_t flags;

	(void)state;
	regs = step(PUSH_R4_LR, &cfa, &flags);
	assert_int_equal(cfa, STACK + 8);
	assert_int_equal(regs.value[4], 0xabc000);
	assert_int_equal(regs.value[15], 0xabc004);
	assert_int_equal(regs.value[13], STACK + 8);
	assert_int_equal(regs.value[5], 0x105);
	assert_int_equal(regs.known, 0xaff0); /* r4-r11, sp, pc; neither r0-r3, r12 nor lr */
	assert_int_equal(flags, 0);

	regs = step(FRAME_R7, &cfa, &flags);
	assert_int_equal(cfa, STACK + 0x48);
	assert_int_equal(regs.value[7], 0xabc040);
	assert_int_equal(regs.value[15], 0xabc044);

	regs = step(LEAF, &cfa, &flags);
	assert_int_equal(cfa, STACK + 8);
	assert_int_equal(regs.value[15], 0x10e);
}

/* r0-r15 and cpsr: of 0xabc040, bit 5 is not set. */
static void signal_frame(void **state)
{
	struct full_regs regs;
	uint64_t cfa;
	uint8_t flags;

	(void)state;
	regs = step(SIGNAL, &cfa, &flags);
	assert_int_equal(flags, ROW_SIGNAL);
	assert_int_equal(regs.value[0], 0xabc000);
	assert_int_equal(regs.value[14], 0xabc038);
	assert_int_equal(regs.value[15], 0xabc03c);
	assert_int_equal(regs.value[13], 0xabc034);
	assert_int_equal(cfa, 0xabc034);
	assert_int_equal(regs.known, 0xffff);
}

static void steps_that_fail(void **state)
{
	struct full_regs regs = registers(), before;
	uint64_t cfa;
	uint8_t flags;

	(void)state;
	regs.known &= ~(1ull << 7);
	before = regs;
	assert_int_equal(exidx_step(exidx, CODE + FRAME_R7 * 16, &stack, &regs, &cfa, &flags),
			 -EINVAL);
	assert_int_equal(exidx_step(exidx, CODE + REFUSE * 16, &stack, &regs, &cfa, &flags),
			 -EINVAL);
	assert_int_equal(exidx_step(exidx, CODE + CANTUNWIND * 16, &stack, &regs, &cfa, &flags),
			 -ENOENT);
	regs.value[13] = before.value[13] = 0x100;
	assert_int_equal(exidx_step(exidx, CODE + PUSH_R4_LR * 16, &stack, &regs, &cfa, &flags),
			 -EFAULT);
	assert_memory_equal(&regs, &before, sizeof(regs));
}

static void entries(void **state)
{
	struct exidx_entry entry;

	(void)state;
	assert_int_equal(exidx_count(exidx), ENTRIES);
	assert_true(exidx_find(exidx, CODE + CANTUNWIND * 16 + 15, &entry));
	assert_int_equal(entry.begin, CODE + CANTUNWIND * 16);
	assert_int_equal(entry.end, CODE + CANTUNWIND * 16 + 16);
	assert_true(entry.cantunwind);
	assert_false(exidx_find(exidx, CODE - 2, &entry));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows),	   cmocka_unit_test(rows_that_are_none),
		cmocka_unit_test(steps),   cmocka_unit_test(signal_frame),
		cmocka_unit_test(entries), cmocka_unit_test(steps_that_fail),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
