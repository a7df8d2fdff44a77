/*
 * x86-64: which first instructions may stay in front of a patch, and the stubs behind them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "arch/x86_64/x86_64.h"

#define CODE(...)                                                                             \
	{                                                                                     \
		__VA_ARGS__                                                                   \
	}

static const struct {
	const char *what;
	uint8_t code[16];
	uint32_t stays; /* 0: it does not */
	uint32_t lowered;
} cases[] = {
	{"push %rbp", CODE(0x55), 1, 8},
	{"push %r12", CODE(0x41, 0x54), 2, 8},
	{"sub $0x58, %rsp", CODE(0x48, 0x83, 0xec, 0x58), 4, 0x58},
	{"sub $0x88, %rsp", CODE(0x48, 0x81, 0xec, 0x88), 7, 0x88},
	{"sub $-128, %rsp", CODE(0x48, 0x83, 0xec, 0x80), 0, 0},
	{"sub $8, %rax", CODE(0x48, 0x83, 0xe8, 0x08), 0, 0},
	{"test %rdi, %rdi", CODE(0x48, 0x85, 0xff), 3, 0},
	{"cmp $0x1000, %rdi", CODE(0x48, 0x81, 0xff, 0x00, 0x10), 7, 0},
	{"cmpb $0, x(%rip)", CODE(0x80, 0x3d, 1, 2, 0x14), 7, 0},
	{"mov %rdi, %rax", CODE(0x48, 0x89, 0xf8), 3, 0},
	{"mov %rdi, %r8", CODE(0x49, 0x89, 0xf8), 3, 0},
	{"mov x(%rip), %rax", CODE(0x48, 0x8b, 0x05, 1, 2, 3), 7, 0},
	{"mov %fs:0x28, %rax", CODE(0x64, 0x48, 0x8b, 0x04, 0x25, 0x28), 9, 0},
	{"mov (%rax), %rax", CODE(0x48, 0x8b, 0x00), 0, 0},
	{"mov (%rdi,%rcx), %rcx", CODE(0x48, 0x8b, 0x0c, 0x0f), 0, 0},
	{"mov %rsi, %rdi", CODE(0x48, 0x89, 0xf7), 0, 0}, /* an argument */
	{"mov x(%rip), %rdx", CODE(0x48, 0x8b, 0x15, 1, 2, 3), 0, 0},
	{"mov %rdi, (%rsp)", CODE(0x48, 0x89, 0x3c, 0x24), 0, 0}, /* memory */
	{"mov %rdi, %rbx", CODE(0x48, 0x89, 0xfb), 0, 0},	  /* the caller's */
	{"mov $22, %eax", CODE(0xb8, 0x16), 5, 0},
	{"mov $22, %esi", CODE(0xbe, 0x16), 0, 0},
	{"lea -1(%rdi), %eax", CODE(0x8d, 0x47, 0xff), 3, 0},
	{"lea 1(%rax), %rax", CODE(0x48, 0x8d, 0x40, 0x01), 0, 0},
	{"lea 0(%rdi), %rdi", CODE(0x48, 0x8d, 0x7f, 0x00), 4, 0},
	{"lea 1(%rdi), %rdi", CODE(0x48, 0x8d, 0x7f, 0x01), 0, 0},
	{"lea 0(%rdi), %edi", CODE(0x8d, 0x7f, 0x00), 0, 0}, /* its upper half becomes 0 */
	{"xor %eax, %eax", CODE(0x31, 0xc0), 2, 0},
	{"xor %esi, %esi", CODE(0x31, 0xf6), 0, 0},
	{"xor %ecx, %eax", CODE(0x31, 0xc8), 0, 0},
	{"nopl 0(%rax)", CODE(0x0f, 0x1f, 0x40, 0x00), 4, 0},
	{"imul %rsi, %rdi", CODE(0x48, 0x0f, 0xaf, 0xfe), 0, 0},
	{"lock incq (%rcx)", CODE(0xf0, 0x48, 0xff, 0x01), 0, 0},
	{"jmp +16", CODE(0xe9, 0x10), 0, 0},
	{"je +16", CODE(0x74, 0x10), 0, 0},
	{"call +16", CODE(0xe8, 0x10), 0, 0},
	{"ret", CODE(0xc3), 0, 0},
	{"int3", CODE(0xcc), 0, 0},
};

static void which_stay(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint32_t stays = 0, lowered = 0;
		bool can = x86_64_can_stay(cases[i].code, sizeof(cases[i].code), &stays, &lowered);

		if (can != (cases[i].stays != 0) ||
		    (can && (stays != cases[i].stays || lowered != cases[i].lowered)))
			fail_msg("%s: %d, %u bytes, sp lowered by %u", cases[i].what, can, stays,
				 lowered);
	}
}

enum { FUNCTION = 0x10000, PLACE = 0x20000 };

/* push %r12; push %rbp; push %rbx; mov %rdi,%rbx; sub $16,%rsp; ... */
static const uint8_t code[32] = {0x41, 0x54, 0x55, 0x53, 0x48, 0x89, 0xfb, 0x48, 0x83, 0xec, 0x10};

static void build(struct stub_area *area, uint32_t room, struct stub *stub, size_t len)
{
	const uint8_t *codes[] = {code};
	struct err err;

	*area = (struct stub_area){.base = PLACE, .room = room};
	if (x86_64_stubs_build(area, SIGURG, stub, 1, codes, &len, NULL, &err))
		fail_msg("%s", err.text);
}

/* It is displaced with what the patch covers, and the return address is found everywhere. */
static void a_stub_behind_it(void **state)
{
	struct stub stub = {.kind = STUB_RETURN, .function = FUNCTION};
	struct stub_area area;

	(void)state;
	build(&area, 2048, &stub, sizeof(code));
	assert_int_equal(stub.stays, 2);
	assert_int_equal(stub.lowered, 8);
	assert_int_equal(stub.displaced.original_len, 7);
	assert_true(stub_patch_at(&stub) == FUNCTION + 2);
	assert_true(x86_64_patch_target(stub.patch, FUNCTION + 2) == stub.entry);
	assert_memory_equal(area.bytes + (stub.entry - PLACE), "\x48\x8d\x64\x24\x08", 5);
	assert_int_equal(x86_64_stub_frame(&area, &stub, stub.entry, false), 8);
	assert_int_equal(x86_64_stub_frame(&area, &stub, stub.entry + 5, false), 0);
	assert_int_equal(x86_64_stub_frame(&area, &stub, stub.entry + 6, false), 8);
	assert_memory_equal(area.bytes + (stub.copy - PLACE), code, 7);
}

/* Where the room is not enough, or the function too short, the patch comes in front. */
static void a_stub_in_front(void **state)
{
	struct stub behind = {.kind = STUB_RETURN, .function = FUNCTION}, stub = behind;
	struct stub must = {.kind = STUB_RETURN, .function = FUNCTION, .must_stay = true};
	const uint8_t *codes[] = {code};
	size_t len = sizeof(code), short_len = 12;
	struct stub_area area;
	struct err err;

	(void)state;
	build(&area, 2048, &behind, sizeof(code));
	build(&area, area.len - 1, &stub, sizeof(code));
	assert_int_equal(stub.stays, 0);
	assert_int_equal(stub.displaced.original_len, 7);
	assert_int_equal(x86_64_stub_frame(&area, &stub, stub.entry, false), 0);
	/* But not under a breakpoint. */
	area = (struct stub_area){.base = PLACE, .room = area.len - 1};
	assert_int_equal(x86_64_stubs_build(&area, SIGURG, &must, 1, codes, &len, NULL, &err),
			 -ENOSPC);
	area.room = 2048;
	assert_int_equal(x86_64_stubs_build(&area, SIGURG, &must, 1, codes, &short_len, NULL, &err),
			 -ENOTSUP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(which_stay),
		cmocka_unit_test(a_stub_behind_it),
		cmocka_unit_test(a_stub_in_front),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
