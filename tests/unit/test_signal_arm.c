/* 32-bit ARM's signal frames: told by two instructions, stepped over by what the kernel saved.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "unwind/signal_arm.h"

/* A word of the stack is its own address. */
static int echo(struct memory *memory, taddr_t addr, void *buf, size_t len)
{
	uint32_t *words = buf;

	(void)memory;
	if (len % 4 || addr < 0x8000 || addr + len > 0x9000)
		return -EFAULT;
	for (size_t i = 0; i < len / 4; i++)
		words[i] = (uint32_t)addr + 4 * (uint32_t)i;
	return 0;
}

static struct memory stack = {.read = echo};

static void told_by_the_code(void **state)
{
	const uint8_t a32[] = {0xad, 0x70, 0xa0, 0xe3, 0, 0, 0, 0xef};
	const uint8_t t32[] = {0x77, 0x27, 0x00, 0xdf};

	(void)state;
	assert_int_equal(signal_arm_context(a32, sizeof(a32), false), 160);
	assert_int_equal(signal_arm_context(t32, sizeof(t32), true), 32);
	assert_int_equal(signal_arm_context(t32, sizeof(t32) - 1, true), 0);
	assert_int_equal(signal_arm_context(a32, sizeof(a32), true), 0);
	assert_false(signal_arm_is_exit(t32, sizeof(t32), true));
	assert_true(
		signal_arm_is_exit((uint8_t[]){0x4f, 0xf0, 0x01, 0x07, 0x00, 0xdf}, 6, true));
	assert_true(signal_arm_is_exit((uint8_t[]){0x01, 0x27, 0x00, 0xdf}, 4, true));
	assert_false(
		signal_arm_is_exit((uint8_t[]){0x4f, 0xf0, 0x01, 0x06, 0x00, 0xdf}, 6, true));
}

static void stepped_over(void **state)
{
	struct full_regs regs = {.known = 0xaff0, .value = {[13] = 0x8000}};
	uint64_t cfa;
	uint8_t flags;

	(void)state;
	assert_int_equal(signal_arm_step(32, &stack, &regs, &cfa, &flags), 0);
	assert_int_equal(flags, ROW_SIGNAL);
	assert_int_equal(regs.value[0], 0x8020);
	assert_int_equal(regs.value[14], 0x8058);
	assert_int_equal(regs.value[13], 0x8054);
	/* cpsr is 0x8060: bit 5 says Thumb */
	assert_int_equal(regs.value[15], 0x805d);
	assert_int_equal(regs.known, 0xffff);
	assert_int_equal(cfa, 0x8054);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(told_by_the_code),
		cmocka_unit_test(stepped_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
