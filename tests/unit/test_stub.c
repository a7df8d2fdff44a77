/* The stubs of x86-64 as bytes: layout, places, what does not fit.  test_stub_run.c runs them.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arch/trap.h"

static const uint8_t plain_code[] = {0x55, 0x48, 0x89, 0xe5, 0x5d, 0xc3};

static int build(struct stub_area *area, int signo, struct stub *stubs, size_t count,
		 size_t *failed, struct err *err)
{
	const uint8_t *code[] = {plain_code, plain_code, plain_code};
	const size_t len[] = {sizeof(plain_code), sizeof(plain_code), sizeof(plain_code)};

	return arch_x86_64.trap->stubs_build(area, signo, stubs, count, code, len, failed, err);
}

static void test_layout(void **state)
{
	const struct arch *arch = &arch_x86_64;
	struct stub_area area = {.base = 0x2000000, .room = 2048};
	struct stub stubs[3] = {{.kind = STUB_RETURN, .function = 0x1000000},
				{.kind = STUB_ENTRY, .function = 0x1000100},
				{.kind = STUB_BOTH, .function = 0x1000200}};
	uint8_t disarmed[8];

	(void)state;
	assert_int_equal(build(&area, 23, stubs, 3, NULL, NULL), 0);
	assert_memory_equal(area.bytes, arch->trap->magic, arch->trap->magic_len);
	assert_memory_equal(area.bytes + 8,
			    ((uint8_t[]){(uint8_t)area.len, 0, 0, 0, 0, 0, 0, 0}), 8);
	assert_int_equal(area.trap.begin, 0x2000010);
	assert_int_equal(area.trap.pc, 0x2000010 + 77);
	/* Both are behind a system call, and sp is the same. */
	assert_int_equal(area.trap.open, 0x2000010 + 46);
	assert_memory_equal(area.bytes + 16 + 46 - 2, "\x0f\x05", 2);
	assert_memory_equal(area.bytes + 16 + 77 - 2, "\x0f\x05", 2);
	for (taddr_t pc = area.trap.open; pc <= area.trap.pc; pc++)
		assert_true(arch->trap->stub_frame(&area, NULL, pc, false) == 88 ||
			    arch->trap->stub_frame(&area, NULL, pc, false) == -ENOENT);
	assert_int_equal(stubs[0].entry, 0x2000010 + 110 + 6);
	assert_int_equal(stubs[0].copy, stubs[0].entry + 14);
	assert_int_equal(stubs[0].payload_entry, 0);
	assert_int_equal(stubs[0].copy_return, stubs[0].entry + 8);
	assert_int_equal(stubs[0].payload_return, stubs[0].entry + 13);
	assert_int_equal(stubs[1].entry, stubs[0].copy + 10);
	assert_int_equal(stubs[1].copy, stubs[1].entry + 8);
	assert_int_equal(stubs[1].payload_entry, stubs[1].copy);
	assert_int_equal(stubs[1].copy_return, 0);
	assert_int_equal(stubs[1].payload_return, 0);
	assert_int_equal(stubs[2].entry, stubs[1].copy + 10);
	assert_int_equal(stubs[2].copy, stubs[2].entry + 22);
	assert_int_equal(stubs[2].payload_entry, stubs[2].entry + 8);
	assert_int_equal(stubs[2].copy_return, stubs[2].entry + 16);
	assert_int_equal(stubs[2].payload_return, stubs[2].entry + 21);
	assert_int_equal(area.base + area.len, stubs[2].copy + 10);
	for (int i = 0; i < 3; i++)
		assert_int_equal(arch->trap->patch_target(stubs[i].patch, stub_patch_at(&stubs[i])),
				 stubs[i].entry);
	assert_int_equal(arch->trap->patch_target(plain_code, 0x1000000), 0);
	/* Over whole instructions: disarmed to the last one, hardened to behind it. */
	assert_int_equal(arch->trap->disarm(disarmed), 2);
	assert_memory_equal(disarmed, "\xeb\x69", 2);
	assert_memory_equal(area.bytes + 16 + 2 + 0x69, "\xc2\x18\x00", 3);
	/* One byte is another, so that threads may run through it. */
	assert_memory_equal(area.bytes + 16, "\xeb\x00\x41\x51", 4);
	assert_int_equal(area.trap.to_break, area.trap.begin + 23);
	assert_memory_equal(area.bytes + 16 + 23, "\x6a\x00", 2);
	assert_int_equal(arch->trap->use_break(&area, disarmed), 2);
	assert_memory_equal(disarmed, "\xeb\x55", 2);
	assert_int_equal(area.trap.hard, area.trap.to_break + 2 + 0x55);
}

static int frame_at(const struct stub_area *area, const struct stub *stub, taddr_t pc)
{
	return arch_x86_64.trap->stub_frame(area, stub, pc, false);
}

static void test_places(void **state)
{
	struct stub_area area = {.base = 0x2000000, .room = 2048};
	struct stub stubs[3] = {{.kind = STUB_RETURN, .function = 0x1000000},
				{.kind = STUB_ENTRY, .function = 0x1000100},
				{.kind = STUB_BOTH, .function = 0x1000200}};

	(void)state;
	assert_int_equal(build(&area, 23, stubs, 3, NULL, NULL), 0);
	for (int i = 0; i < 3; i++) {
		const struct stub *s = &stubs[i];

		assert_int_equal(stub_place(s, s->entry - 1), STUB_OUTSIDE);
		assert_int_equal(stub_place(s, s->entry), STUB_BEFORE);
		assert_int_equal(stub_place(s, s->copy), STUB_COPY);
		assert_int_equal(stub_place(s, s->copy + s->displaced.copy_len - 1), STUB_COPY);
		assert_int_equal(stub_place(s, s->copy + s->displaced.copy_len), STUB_OUTSIDE);
		assert_int_equal(stub_place(s, s->copy - 1),
				 i == 1 ? STUB_BEFORE : STUB_BEHIND);
		if (s->copy_return) {
			assert_int_equal(stub_place(s, s->copy_return - 1), STUB_BEFORE);
			assert_int_equal(stub_place(s, s->copy_return), STUB_BEHIND);
			assert_int_equal(frame_at(&area, s, s->copy_return), 24);
		}
		assert_int_equal(frame_at(&area, s, s->entry), 0);
		assert_int_equal(frame_at(&area, s, s->entry + 2), 16);
		assert_int_equal(frame_at(&area, s, s->copy), -ENOENT);
		assert_int_equal(frame_at(&area, s, s->entry - 1), -ENOENT);
		/* The trap's return takes the arguments off. */
		if (s->payload_entry)
			assert_int_equal(
				arch_x86_64.trap->stub_frame(&area, s, s->payload_entry, true),
				24);
		if (s->payload_return) {
			assert_int_equal(
				arch_x86_64.trap->stub_frame(&area, s, s->payload_return, true),
				24);
			assert_int_equal(frame_at(&area, s, s->payload_return), 0);
		}
	}
	assert_int_equal(frame_at(&area, &stubs[2], stubs[2].payload_entry), 0);
	assert_int_equal(frame_at(&area, NULL, area.trap.pc), 88);
	assert_int_equal(frame_at(&area, NULL, area.trap.hard_pc), 88);
	assert_int_equal(frame_at(&area, NULL, area.trap.begin - 1), -ENOENT);
	assert_int_equal(frame_at(&area, NULL, area.trap.hard + 6), -ENOENT);
}

/* An exception of operator new must not pass a return address in the copy: it has no unwind
 * data.  The same call is all right for the others. */
static void test_instead_that_calls(void **state)
{
	static const uint8_t calling[] = {0xe8, 0x00, 0x10, 0x00, 0x00, 0xc3};
	const uint8_t *code[] = {plain_code, calling};
	const size_t len[] = {sizeof(plain_code), sizeof(calling)};
	struct stub_area area = {.base = 0x2000000, .room = 2048};
	struct stub stubs[2] = {{.kind = STUB_RETURN, .function = 0x1000000},
				{.kind = STUB_INSTEAD, .function = 0x1000100}};
	struct err err;
	size_t failed = 99;

	(void)state;
	assert_int_equal(arch_x86_64.trap->stubs_build(&area, 23, stubs, 2, code, len, &failed, &err),
			 -ENOTSUP);
	assert_int_equal(failed, 1);
	stubs[1].kind = STUB_RETURN;
	assert_int_equal(arch_x86_64.trap->stubs_build(&area, 23, stubs, 2, code, len, &failed, &err),
			 0);
	assert_true(stubs[1].displaced.calls);
}

static void test_failures(void **state)
{
	struct stub_area area = {.base = 0x2000000, .room = 2048};
	struct stub stubs[3] = {{.kind = STUB_RETURN, .function = 0x1000000},
				{.kind = STUB_ENTRY, .function = 0x1000100},
				{.kind = STUB_BOTH, .function = 0x1000200}};
	struct err err;
	size_t failed = 99;

	(void)state;
	assert_int_equal(build(&area, 0, stubs, 3, &failed, &err), -EINVAL);
	assert_int_equal(build(&area, 32, stubs, 3, &failed, &err), -EINVAL);
	assert_int_equal(failed, 99);
	assert_int_equal(build(&area, 31, stubs, 3, &failed, &err), 0);
	area.room = area.len;
	assert_int_equal(build(&area, 23, stubs, 3, &failed, &err), 0);
	area.room--;
	assert_int_equal(build(&area, 23, stubs, 3, &failed, &err), -ENOSPC);
	assert_int_equal(failed, 2);
	area.room = 16;
	assert_int_equal(build(&area, 23, stubs, 3, &failed, &err), -ENOSPC);
	assert_int_equal(failed, 0);
	assert_int_equal(build(&area, 23, stubs, 0, &failed, &err), -ENOSPC);
	area.room = 4096; /* more than area.bytes hold is no use */
	stubs[1].function = 0x1000000 + 0x82000000;
	assert_int_equal(build(&area, 23, stubs, 3, &failed, &err), -ERANGE);
	assert_int_equal(failed, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layout),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_instead_that_calls),
		cmocka_unit_test(test_failures),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
