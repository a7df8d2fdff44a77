/* RISC-V: which register nobody reads any more, and what has a thread make a system call.  That is
 * run by test_remote, in tests/cross; this runs on any machine. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "arch/trap.h"
#include "tracer/remote.h"
#include "tracer/remote_parts.h"

enum {
	ECALL = 0x00000073,
	RET = 0x00008067,
	TO_T6 = 0x00078f93,   /* mv t6, a5 */
	FROM_T6 = 0x000f8793, /* mv a5, t6 */
	FROM_T5 = 0x000f0793,
	T1 = 6,
	T5 = 30,
	T6 = 31,
};

static const struct arch_trap *trap(void)
{
	return arch_riscv64.trap;
}

static unsigned spare(const uint32_t *code, size_t count, size_t at)
{
	return trap()->spare_register((const uint8_t *)code, count * 4, at * 4);
}

#define SPARE(...)                                                                                 \
	spare((const uint32_t[]){__VA_ARGS__}, sizeof((const uint32_t[]){__VA_ARGS__}) / 4, 0)

static void until_a_return(void **state)
{
	(void)state;
	assert_int_equal(SPARE(ECALL, RET), T6);
	assert_int_equal(SPARE(ECALL, FROM_T6, RET), T5);
	assert_int_equal(SPARE(ECALL, FROM_T6, FROM_T5, RET), 29);
	assert_int_equal(SPARE(ECALL, 0x8082), T6);		/* c.ret */
	assert_int_equal(SPARE(ECALL, 0x87fe | 0x8082u << 16), T5); /* c.mv a5, t6; c.ret */
	assert_int_equal(SPARE(0x01df00b3, RET), T6);		/* add ra, t5, t4 */
	assert_int_equal(SPARE(0x01df00b3, FROM_T6, 0x000e0793, RET), T1); /* .. t6, t3 */
	assert_int_equal(SPARE(0x01df00b3, FROM_T6, 0x000e0793, 0x00030793, RET), 0); /* .. t1 */
}

/* Fields that are read, and aren't where others have what they read. */
static void of_more_registers(void **state)
{
	(void)state;
	assert_int_equal(SPARE(0x00b5bfaf, RET), T6 - 1);	 /* amoadd.d t6, a1, (a1): the field alone is looked at */
	assert_int_equal(SPARE(0x28b63faf, RET), T6 - 1);	 /* amocas.d t6, a1, (a2) */
	assert_int_equal(SPARE(0x29e64f2f, RET), 29);		 /* amocas.q t5, t5, (a2): t6, too */
	assert_int_equal(SPARE(0x29c64e2f, FROM_T6, RET), T5); /* t3, and t4 */
	assert_int_equal(SPARE(0x0000000b, RET), 0);		 /* custom-0 */
	assert_int_equal(SPARE(0x0000002b, RET), 0);
	assert_int_equal(SPARE(0x0000005b, RET), 0);
	assert_int_equal(SPARE(0x0000007b, RET), 0);
	assert_int_equal(SPARE(0x0000003b, RET), T6); /* addw */
}

static unsigned spare_at(struct tracee *tracee, const void *code)
{
	struct regs regs = {.len = arch_riscv64.regs_len};

	regs_write(&arch_riscv64, &regs, arch_riscv64.reg_pc, (taddr_t)(uintptr_t)code);
	return remote_spare(tracee, &regs);
}

static void in_code_of_a_file(void **state)
{
	static const uint8_t code[] = {0x73, 0, 0, 0, 0x67, 0x80, 0, 0}; /* ecall; ret */
	struct tracee tracee = {.pid = getpid(), .arch = &arch_riscv64};
	uint8_t *made = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)state;
	assert_true(made != MAP_FAILED);
	memcpy(made, code, sizeof(code));
	assert_int_equal(target_open(&tracee.target, tracee.pid, NULL), 0);
	assert_int_equal(spare_at(&tracee, code), T6);
	assert_int_equal(spare_at(&tracee, made), 0);
	munmap(made, 4096);
	assert_int_equal(spare_at(&tracee, made), 0);
	target_close(&tracee.target);
}

static void until_a_call(void **state)
{
	(void)state;
	assert_int_equal(SPARE(ECALL, 0x008000ef, FROM_T6, RET), T6); /* jal ra */
	assert_int_equal(SPARE(ECALL, 0x000780e7, FROM_T6), T6);      /* jalr a5 */
	assert_int_equal(SPARE(ECALL, 0x000f80e7, FROM_T6), T5);      /* jalr t6 */
	assert_int_equal(SPARE(ECALL, 0x008002ef, RET, RET), 0);      /* jal t0: it saves registers */
	assert_int_equal(SPARE(ECALL, 0x00078067), 0);		       /* jr a5: to wherever */
}

static void on_all_ways(void **state)
{
	static const uint32_t back[] = {FROM_T6, RET, ECALL, 0xfe050ce3}; /* beqz a0, -8 */

	(void)state;
	assert_int_equal(SPARE(0x00050663, FROM_T6, RET, FROM_T5, RET), 29); /* beqz a0, +12 */
	assert_int_equal(SPARE(0x00c0006f, FROM_T6, RET, FROM_T5, RET), T6);
	assert_int_equal(SPARE(ECALL, 0xfe050ee3, RET), T6); /* beqz a0, -4: around and around */
	assert_int_equal(spare(back, 4, 2), 0);		     /* the way on is not known */
	assert_int_equal(SPARE(0x10050063, RET), 0);	     /* beqz a0: to beyond it */
	assert_int_equal(SPARE(0x1000006f, RET), 0);
	assert_int_equal(SPARE(ECALL, 0x00100073), 0); /* ebreak */
	assert_int_equal(SPARE(ECALL, TO_T6), 0);
}

/* Without such a register there is no way home. */
static void nobody_is_taken(void **state)
{
	const struct remote_call call = {172, {1}};
	struct regs regs = {.len = arch_riscv64.regs_len};
	struct remote_code code = {.spare = 0};

	(void)state;
	assert_int_equal(trap()->remote_build(0x1000, &call, &regs, NULL, &code), -ENOTSUP);
	code.spare = T6;
	assert_int_equal(trap()->remote_build(0x1000, &call, &regs, NULL, &code), 0);
	assert_true(code.begin.len == regs.len);
	regs_write(&arch_riscv64, &regs, 10, (uint64_t)-512);
	assert_int_equal(trap()->remote_build(0x1000, &call, &regs, NULL, &code), -ENOTSUP);
}

/* As objdump reads it; the words come first. */
static void the_code_of_a_call(void **state)
{
	static const uint32_t expected[] = {
		0x040fb503, ECALL,	/* ld a0, 64(t6) */
		0x000fb503, 0x008fb583, 0x010fb603, 0x018fb683, 0x020fb703, 0x028fb783,
		0x030fb883, 0x038fbf83, /* ld a7; ld t6 */
		0x000f8067,		/* jr t6 */
	};
	const struct remote_call call = {172, {7, 8}};
	struct regs regs = {.len = arch_riscv64.regs_len};
	struct remote_code code = {.spare = T6};
	uint64_t words[9];

	(void)state;
	for (int reg = 1; reg < arch_riscv64.reg_count; reg++)
		regs_write(&arch_riscv64, &regs, reg, 100u + (unsigned)reg);
	assert_int_equal(trap()->remote_build(0x1000, &call, &regs, NULL, &code), 0);
	assert_int_equal(code.len, sizeof(words) + sizeof(expected));
	assert_int_equal(code.at, 0x1000 + sizeof(words));
	assert_int_equal(code.behind, code.at + 8);
	assert_memory_equal(code.bytes + sizeof(words), expected, sizeof(expected));
	memcpy(words, code.bytes, sizeof(words));
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(words[i], 110 + i);
	assert_int_equal(words[6], 117);
	assert_int_equal(words[7], 132); /* pc */
	assert_int_equal(words[8], 7);
	assert_int_equal(regs_read(&arch_riscv64, &code.begin, T6), 0x1000);
	assert_int_equal(regs_read(&arch_riscv64, &code.begin, 11), 8);
	assert_int_equal(regs_read(&arch_riscv64, &code.begin, 17), 172);
	assert_memory_equal(&code.home, &regs, sizeof(regs));
}

/* On a call of its own, pc as the kernel has put it back. */
static void a_call_of_its_own(void **state)
{
	static const int64_t again = -512, with_time = -516, ended = -4;
	const struct remote_call call = {172, {0}};
	struct regs regs = {.len = arch_riscv64.regs_len};
	struct remote_code code = {.spare = T6};

	(void)state;
	regs_write(&arch_riscv64, &regs, 32, 0x5000);
	regs_write(&arch_riscv64, &regs, 17, 63);
	assert_int_equal(trap()->remote_build(0x1000, &call, &regs, &again, &code), 0);
	assert_true(code.enters);
	assert_memory_equal(&code.home, &regs, sizeof(regs));
	assert_int_equal(trap()->remote_build(0x1000, &call, &regs, &with_time, &code), 0);
	assert_true(code.enters);
	assert_int_equal(regs_read(&arch_riscv64, &code.home, 17), 128);
	assert_int_equal(trap()->remote_build(0x1000, &call, &regs, &ended, &code), 0);
	assert_false(code.enters);
	assert_int_equal((int64_t)regs_read(&arch_riscv64, &code.home, 10), -4);
	assert_int_equal(regs_read(&arch_riscv64, &code.home, 32), 0x5004);
}

/* Who execs, ends, or is made twice makes no call for us meanwhile. */
static void calls_that_cannot_be_left(void **state)
{
	static const struct {
		uint64_t number;
		enum remote_at at;
	} calls[] = {
		{93, REMOTE_AT_LEAVING},  {94, REMOTE_AT_LEAVING},  {139, REMOTE_AT_LEAVING}, {220, REMOTE_AT_LEAVING},
		{221, REMOTE_AT_LEAVING}, {281, REMOTE_AT_LEAVING}, {435, REMOTE_AT_LEAVING}, {63, REMOTE_AT_CALL},
	};
	static const uint32_t ecall = 0x73, nop = 0x13;
	struct regs regs = {.len = arch_riscv64.regs_len};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		regs_write(&arch_riscv64, &regs, 17, calls[i].number);
		assert_int_equal(trap()->remote_at(&regs, (const uint8_t *)&ecall), calls[i].at);
		assert_int_equal(trap()->remote_at(&regs, (const uint8_t *)&nop), REMOTE_AT_CODE);
	}
}

static void the_code_of_a_copy_has_room(void **state)
{
	static const uint8_t mask[8] = {1, 2, 3, 4, 5, 6, 7, 8};
	struct regs regs = {.len = arch_riscv64.regs_len};
	struct remote_code code = {.spare = T6};
	uint32_t helper;

	(void)state;
	assert_int_equal(trap()->copy_build(0x1000, mask, &regs, NULL, &code), 0);
	assert_true(code.len < REMOTE_CODE);
	assert_memory_equal(code.bytes + 72, mask, sizeof(mask));
	memcpy(&helper, code.bytes + (code.behind_clone - 0x1000), 4);
	assert_int_equal(helper & 0xfff, 0x063 | (helper & 0xf80)); /* beqz a0 */
	assert_int_equal(helper >> 15 & 31, 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(until_a_return),
		cmocka_unit_test(of_more_registers),
		cmocka_unit_test(in_code_of_a_file),
		cmocka_unit_test(until_a_call),
		cmocka_unit_test(on_all_ways),
		cmocka_unit_test(nobody_is_taken),
		cmocka_unit_test(the_code_of_a_call),
		cmocka_unit_test(a_call_of_its_own),
		cmocka_unit_test(calls_that_cannot_be_left),
		cmocka_unit_test(the_code_of_a_copy_has_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
