/* AArch64 as bytes: what displaced code, stubs and patches look like.  The code is run in
 * tests/cross; this runs on any machine. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arch/aarch64/insn.h"
#include "arch/trap.h"

enum {
	FROM = 0x1000000,
	TO = 0x2000000,
	NOP = 0xd503201f,
	RET = 0xd65f03c0,
	PACIASP = 0xd503233f,
	AUTIASP = 0xd50323bf,
	BTI_C = 0xd503245f,
};

struct row {
	uint32_t code;
	uint32_t copy[4]; /* up to the first 0 */
	const char *map;  /* pairs original, copy */
	size_t map_len;
};

#define MAP(pairs) pairs, (sizeof(pairs) - 1) / 2
/* b from TO + at back to FROM + 4 */
#define BACK(at) (0x14000000 | ((FROM + 4 - TO - (at)) / 4 & 0x3ffffff))

static const struct row rows[] = {
	/* stp x29, x30, [sp, #-32]! */
	{0xa9be7bfd, {0xa9be7bfd, BACK(4)}, MAP("\0\0\4\4")},
	/* paciasp, svc #0: as any */
	{PACIASP, {PACIASP, BACK(4)}, MAP("\0\0\4\4")},
	{0xd4000001, {0xd4000001, BACK(4)}, MAP("\0\0\4\4")},
	/* b .+0x100: b to the same place, and that is all */
	{0x14000040, {0x14000000 | ((FROM + 0x100 - TO) / 4 & 0x3ffffff)}, MAP("\0\0")},
	/* ret, br x17 */
	{RET, {RET}, MAP("\0\0")},
	{0xd61f0220, {0xd61f0220}, MAP("\0\0")},
	/* cbz x0, .+8; b.ne .-4; tbnz w1, #31, .+0x20 */
	{0xb4000040,
	 {0xb4000040, BACK(4), 0x14000000 | ((FROM + 8 - TO - 8) / 4 & 0x3ffffff)},
	 MAP("\0\0\4\4\0\10")},
	{0x54ffffe1,
	 {0x54000041, BACK(4), 0x14000000 | ((FROM - 4 - TO - 8) / 4 & 0x3ffffff)},
	 MAP("\0\0\4\4\0\10")},
	{0x37f80101,
	 {0x37f80041, BACK(4), 0x14000000 | ((FROM + 0x20 - TO - 8) / 4 & 0x3ffffff)},
	 MAP("\0\0\4\4\0\10")},
	/* adrp x2, .+0x3000: 0x1003000 from 0x2000000 is -0xffd pages */
	{0xf0000002 | 0 << 5, {0xf0000002 | (0x7ffff & -0x400) << 5, BACK(4)}, MAP("\0\0\4\4")},
	/* adr x3, .+0x14: adrp x3; add x3, x3, #0x14 */
	{0x100000a3,
	 {0x90000003 | (0x7ffff & -0x400) << 5, 0x91005063, BACK(8)},
	 MAP("\0\0\4\10")},
	/* ldr x5, .+0x10; ldr w5; ldrsw x5: by the register itself */
	{0x58000085,
	 {0x90000005 | (0x7ffff & -0x400) << 5, 0x910040a5, 0xf94000a5, BACK(12)},
	 MAP("\0\0\4\14")},
	{0x18000085,
	 {0x90000005 | (0x7ffff & -0x400) << 5, 0x910040a5, 0xb94000a5, BACK(12)},
	 MAP("\0\0\4\14")},
	{0x98000085,
	 {0x90000005 | (0x7ffff & -0x400) << 5, 0x910040a5, 0xb98000a5, BACK(12)},
	 MAP("\0\0\4\14")},
	/* what does nothing: prfm; ldr xzr; adr xzr, adrp xzr (add would name sp) */
	{0xd8000080, {NOP, BACK(4)}, MAP("\0\0\4\4")},
	{0x5800009f, {NOP, BACK(4)}, MAP("\0\0\4\4")},
	{0x1000009f, {NOP, BACK(4)}, MAP("\0\0\4\4")},
	{0x9000001f, {NOP, BACK(4)}, MAP("\0\0\4\4")},
};

static void put(uint8_t *at, uint32_t code)
{
	for (int i = 0; i < 4; i++)
		at[i] = (uint8_t)(code >> (8 * i));
}

static void test_displace(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint8_t code[8];
		struct displaced d;
		uint32_t len = 0;

		put(code, rows[i].code);
		put(code + 4, NOP);
		assert_int_equal(arch_aarch64.trap->displace(code, 8, FROM, TO, &d, NULL), 0);
		assert_int_equal(d.original_len, 4);
		for (; len / 4 < 4 && rows[i].copy[len / 4]; len += 4)
			assert_int_equal(a64_read(d.copy + len), rows[i].copy[len / 4]);
		assert_int_equal(d.copy_len, len);
		assert_int_equal(d.count, rows[i].map_len);
		for (uint32_t m = 0; m < d.count; m++) {
			assert_int_equal(d.map[m].original, rows[i].map[2 * m]);
			assert_int_equal(d.map[m].copy, rows[i].map[2 * m + 1]);
		}
	}
}

/* A load of a vector register has no other register to spare: it stays as it is. */
static void test_near_load(void **state)
{
	uint8_t code[8];
	struct displaced d;

	(void)state;
	put(code, 0x9c000085); /* ldr q5, .+0x10 */
	put(code + 4, NOP);
	assert_int_equal(arch_aarch64.trap->displace(code, 8, FROM, FROM + 0x1000, &d, NULL), 0);
	assert_int_equal(a64_read(d.copy), 0x9c000005 | (0x7ffff & -0x3fc) << 5);
	assert_int_equal(d.copy_len, 8);
}

static void test_refused(void **state)
{
	static const struct {
		uint32_t code, next;
		taddr_t to;
		int error;
		const char *reason;
	} refused[] = {
		{0x94000040, NOP, TO, -ENOTSUP, "a call"},	 /* bl */
		{0xd63f0200, NOP, TO, -ENOTSUP, "a call"},	 /* blr x16 */
		{0xd4200000, NOP, TO, -ENOTSUP, "a breakpoint"}, /* brk #0 */
		{0x00000000, NOP, TO, -ENOTSUP, "an undefined"}, /* udf #0 */
		{0x9c000085, NOP, TO, -ERANGE, "out of reach"},	 /* ldr q5: 1 MB */
		{NOP, 0x17ffffff, TO, -ENOTSUP, "leads back"},	 /* b .-4 */
		{NOP, 0xb5ffffe0, TO, -ENOTSUP, "leads back"},	 /* cbnz x0, .-4 */
		{NOP, NOP, FROM + 0x8000008, -ERANGE, "out of reach"},
		{0x90000002, NOP, FROM + (1ull << 33), -ERANGE, "out of reach"}, /* adrp */
	};
	uint8_t code[8];
	struct displaced d;
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		put(code, refused[i].code);
		put(code + 4, refused[i].next);
		assert_int_equal(arch_aarch64.trap->displace(code, 8, FROM, refused[i].to, &d, &err),
				 refused[i].error);
		assert_non_null(strstr(err.text, refused[i].reason));
	}
	assert_int_equal(arch_aarch64.trap->displace(code, 3, FROM, TO, &d, &err), -ENOTSUP);
	put(code, NOP);
	put(code + 4, 0x97ffffff); /* bl .-4: calls itself, and that is a call */
	assert_int_equal(arch_aarch64.trap->displace(code, 8, FROM, TO, &d, &err), 0);
}

static void test_landing(void **state)
{
	static const struct {
		uint32_t code, offset;
	} pads[] = {{BTI_C, 4},	     {0xd50324df, 4}, {PACIASP, 4},
		    {0xd503237f, 4}, {NOP, 0},	      {RET, 0}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(pads); i++) {
		uint8_t code[4];

		put(code, pads[i].code);
		assert_int_equal(arch_aarch64.trap->patch_offset(code, 4), pads[i].offset);
		assert_int_equal(arch_aarch64.trap->patch_offset(code, 3), 0);
	}
}

static uint8_t function[12]; /* a landing pad, and what stands behind it */

static int build(struct stub_area *area, int signo, struct stub *stubs, size_t count,
		 size_t *failed, struct err *err)
{
	const uint8_t *code[] = {function + 4, function + 4, function + 4, function + 4};
	const size_t len[] = {8, 8, 8, 8};

	return arch_aarch64.trap->stubs_build(area, signo, stubs, count, code, len, failed, err);
}

static void landing_is(uint32_t pad)
{
	put(function, pad);
	put(function + 4, 0xa9be7bfd);
	put(function + 8, NOP);
}

static uint32_t at(const struct stub_area *area, taddr_t pc)
{
	return a64_read(area->bytes + (pc - area->base));
}

/* Where the branch at pc leads. */
static taddr_t led(const struct stub_area *area, taddr_t pc)
{
	return pc + (taddr_t)a64_decode(at(area, pc)).rel;
}

/* One stub of each kind as objdump reads it; ? = a branch, checked elsewhere. */
static void test_code(void **state)
{
	static const uint32_t expected[4][16] = {
		/* stp x2, x30; stp x0, x1; bl; bl; ldr x30, [sp, #24]; add sp, #32; ret */
		{0xa9bf7be2, 0xa9bf07e0, 0, 0, 0xf9400ffe, 0x910083ff, RET},
		/* stp x2, x30; bl; ldp x2, x30, [sp], #16 */
		{0xa9bf7be2, 0, 0xa8c17be2},
		{0xa9bf7be2, 0, 0xa9bf07e0, 0, 0, 0xf9400ffe, 0x910083ff, RET},
		/* ldp x1, x0, [sp]; bl; cbz x0, .+20; ... ldp x0, x1; ldp x2, x30 */
		{0xa9bf7be2, 0xa9bf07e0, 0xa94003e1, 0, 0xb40000a0, 0, 0xf9400ffe, 0x910083ff,
		 RET, 0xa8c107e0, 0xa8c17be2},
	};
	struct stub_area area = {.base = TO, .room = 2048};
	struct stub s[4] = {{.kind = STUB_RETURN, .function = FROM},
			    {.kind = STUB_ENTRY, .function = FROM + 0x100},
			    {.kind = STUB_BOTH, .function = FROM + 0x200},
			    {.kind = STUB_INSTEAD, .function = FROM + 0x300, .swap = true}};

	(void)state;
	landing_is(NOP);
	assert_int_equal(build(&area, 23, s, 4, NULL, NULL), 0);
	for (int i = 0; i < 4; i++) {
		for (taddr_t pc = s[i].entry; pc < s[i].copy; pc += 4) {
			uint32_t want = expected[i][(pc - s[i].entry) / 4];

			if (want)
				assert_int_equal(at(&area, pc), want);
			else
				assert_int_equal(a64_decode(at(&area, pc)).kind, A64_BL);
		}
	}
}

static void test_stubs(void **state)
{
	struct stub_area area = {.base = TO, .room = 2048, .process = 0x123456};
	struct stub s[4] = {{.kind = STUB_RETURN, .function = FROM, .skipped = 4},
			    {.kind = STUB_ENTRY, .function = FROM + 0x100},
			    {.kind = STUB_BOTH, .function = FROM + 0x200},
			    {.kind = STUB_INSTEAD, .function = FROM + 0x300, .swap = true}};
	uint8_t disarmed[8];

	(void)state;
	landing_is(BTI_C);
	assert_int_equal(build(&area, 23, s, 4, NULL, NULL), 0);
	assert_memory_equal(area.bytes, arch_aarch64.trap->magic, arch_aarch64.trap->magic_len);
	assert_int_equal(a64_read(area.bytes + 8), area.len);
	assert_int_equal(area.trap.begin, TO + 16);
	assert_int_equal(at(&area, area.trap.begin + 20), 0xd2a00808); /* x8 = 1 << 22 */
	assert_int_equal(at(&area, area.trap.pc - 28), 0xd28002e2);    /* x2 = 23 */
	assert_int_equal(at(&area, area.trap.pc - 24), 0xd2868ac0);    /* x0 = 0x3456 */
	assert_int_equal(at(&area, area.trap.pc - 20), 0xf2a00240);    /* | 0x12 << 16 */
	assert_int_equal(at(&area, area.trap.pc - 8), 0xd2801068);     /* x8 = tgkill */
	assert_int_equal(at(&area, area.trap.pc - 4), 0xd4000001);
	assert_int_equal(at(&area, area.trap.open - 4), 0xd4000001);
	assert_int_equal(at(&area, area.trap.open), 0xd2801648); /* x8 = gettid */
	assert_int_equal(at(&area, s[0].entry - 4), RET); /* of the trap */
	assert_int_equal(s[0].entry, area.trap.begin + 35 * 4);
	assert_int_equal(s[0].copy_return, s[0].entry + 12);
	assert_int_equal(s[0].payload_return, s[0].entry + 16);
	assert_int_equal(s[0].payload_entry, 0);
	assert_int_equal(s[0].copy, s[0].entry + 28);
	assert_int_equal(led(&area, s[0].copy_return - 4), s[0].copy);
	assert_int_equal(led(&area, s[0].payload_return - 4), area.trap.begin);
	assert_int_equal(s[1].entry, s[0].copy + 8);
	assert_int_equal(s[1].payload_entry, s[1].entry + 8);
	assert_int_equal(s[1].copy, s[1].entry + 12);
	assert_int_equal(s[1].copy_return | s[1].payload_return, 0);
	assert_int_equal(s[2].payload_entry, s[2].entry + 8);
	assert_int_equal(s[2].copy_return, s[2].entry + 16);
	assert_int_equal(s[2].copy, s[2].entry + 32);
	assert_int_equal(led(&area, s[3].copy_return - 4), s[0].copy);
	/* cbz leads to where the arguments come back */
	assert_int_equal(led(&area, s[3].copy_return), s[3].copy - 8);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(at(&area, s[i].copy), 0xa9be7bfd);
		assert_int_equal(led(&area, s[i].copy + 4), s[i].function + 4);
		assert_int_equal(arch_aarch64.trap->patch_target(s[i].patch, s[i].function),
				 s[i].entry);
	}
	assert_int_equal(area.base + area.len, s[3].copy + 8);
	assert_int_equal(arch_aarch64.trap->patch_target(function, FROM), 0);
	assert_int_equal(arch_aarch64.trap->disarm(disarmed), 4);
	assert_int_equal(a64_read(disarmed), RET);
}

/* A signed return address is taken off its signature, and the copy signs its own. */
static void test_signed(void **state)
{
	struct stub_area area = {.base = TO, .room = 2048};
	struct stub s[2] = {{.kind = STUB_RETURN, .function = FROM + 4, .skipped = 4},
			    {.kind = STUB_ENTRY, .function = FROM + 0x104, .skipped = 4}};

	(void)state;
	landing_is(PACIASP);
	assert_int_equal(build(&area, 17, s, 2, NULL, NULL), 0);
	assert_int_equal(at(&area, area.trap.begin + 20), 0xd2a00028); /* x8 = 1 << 16 */
	for (int i = 0; i < 2; i++) {
		assert_int_equal(at(&area, s[i].entry), AUTIASP);
		assert_int_equal(at(&area, s[i].copy - 4), PACIASP);
		assert_int_equal(at(&area, s[i].copy), 0xa9be7bfd);
	}
	assert_int_equal(led(&area, s[0].copy_return - 4), s[0].copy - 4);
	arch_aarch64.trap->change_signal(&area, 5);
	assert_int_equal(at(&area, area.trap.begin + 20), 0xd2800208); /* x8 = 1 << 4 */
	/* For whoever comes: x1 = 5, x8 = tkill, and nothing of a process. */
	assert_int_equal(at(&area, area.trap.pc - 28), 0xd28000a1);
	assert_int_equal(at(&area, area.trap.pc - 24), NOP);
	assert_int_equal(at(&area, area.trap.pc - 20), NOP);
	assert_int_equal(at(&area, area.trap.pc - 8), 0xd2801048);
	assert_int_equal(at(&area, s[0].entry), AUTIASP);
}

static int frame_at(const struct stub_area *area, const struct stub *stub, taddr_t pc)
{
	int exact = arch_aarch64.trap->stub_frame(area, stub, pc, false);

	assert_int_equal(arch_aarch64.trap->stub_frame(area, stub, pc, true), exact);
	return exact;
}

static void test_frames(void **state)
{
	struct stub_area area = {.base = TO, .room = 2048};
	struct stub s[4] = {{.kind = STUB_RETURN, .function = FROM},
			    {.kind = STUB_ENTRY, .function = FROM + 0x100},
			    {.kind = STUB_BOTH, .function = FROM + 0x200},
			    {.kind = STUB_INSTEAD, .function = FROM + 0x300}};
	const struct arch *arch = &arch_aarch64;

	(void)state;
	landing_is(NOP);
	assert_int_equal(build(&area, 23, s, 4, NULL, NULL), 0);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(frame_at(&area, &s[i], s[i].entry - 4), -ENOENT);
		assert_int_equal(frame_at(&area, &s[i], s[i].entry), -ENOENT);
		assert_int_equal(frame_at(&area, &s[i], s[i].entry + 4), 8);
		assert_int_equal(frame_at(&area, &s[i], s[i].copy), -ENOENT);
		if (s[i].copy_return)
			assert_int_equal(frame_at(&area, &s[i], s[i].copy_return), 24);
		if (s[i].payload_return)
			assert_int_equal(frame_at(&area, &s[i], s[i].payload_return), 24);
	}
	assert_int_equal(frame_at(&area, &s[1], s[1].payload_entry), 8);
	assert_int_equal(frame_at(&area, &s[2], s[2].payload_entry), 8);
	assert_int_equal(frame_at(&area, &s[0], s[0].copy - 4), -ENOENT); /* ret */
	assert_int_equal(frame_at(&area, &s[3], s[3].copy - 8), 24);
	assert_int_equal(frame_at(&area, &s[3], s[3].copy - 4), 8);
	assert_int_equal(frame_at(&area, NULL, area.trap.begin), -ENOENT);
	assert_int_equal(frame_at(&area, NULL, area.trap.pc), 72);
	assert_int_equal(frame_at(&area, NULL, s[0].entry - 4), -ENOENT); /* ret */
	/* The return address and the arguments, seen from trap.pc: the trap has 80 bytes. */
	assert_int_equal(arch->trap->frame, 80 + 24);
	assert_int_equal(arch->trap->entry_frame, 80 + 8);
}

/* By way of the agent: the number and the side in front of each call of the gate. */
static void test_gate(void **state)
{
	struct stub_area area = {.base = TO, .room = 2048, .agent = 0x123456789abcdef0};
	struct stub s[4] = {{.kind = STUB_RETURN, .function = FROM, .number = 1},
			    {.kind = STUB_ENTRY, .function = FROM + 0x100, .number = 0xffff},
			    {.kind = STUB_BOTH, .function = FROM + 0x200, .number = 3},
			    {.kind = STUB_INSTEAD, .function = FROM + 0x300}};
	const uint32_t nop = 0xd280001f; /* movz xzr, #0 */

	(void)state;
	landing_is(NOP);
	assert_int_equal(build(&area, 23, s, 4, NULL, NULL), 0);
	assert_int_equal(area.gate, TO + 16 + 16);
	assert_int_equal(area.trap.begin, area.gate + 5 * 4);
	/* known: ldp x16, x30, [sp], #16; ret; the address */
	assert_int_equal(at(&area, area.gate - 16), 0xa8c17bf0);
	assert_int_equal(at(&area, area.gate - 12), RET);
	assert_int_equal(at(&area, area.gate - 8), 0x9abcdef0);
	assert_int_equal(at(&area, area.gate - 4), 0x12345678);
	/* gate: stp x16, x30, [sp, #-16]!; ldr x16, .-12; blr x16; cbz x16, known; ldp */
	assert_int_equal(at(&area, area.gate), 0xa9bf7bf0);
	assert_int_equal(at(&area, area.gate + 4), 0x58ffffb0);
	assert_int_equal(at(&area, area.gate + 8), 0xd63f0200);
	assert_int_equal(led(&area, area.gate + 12), area.gate - 16);
	assert_int_equal(at(&area, area.gate + 16), 0xa8c17bf0);
	assert_int_equal(at(&area, s[0].payload_return - 8), nop | 1 << 5);
	assert_int_equal(at(&area, s[1].payload_entry - 8), nop | 0xffff << 5 | 1 << 22);
	assert_int_equal(at(&area, s[2].payload_entry - 8), nop | 3 << 5 | 3 << 21);
	assert_int_equal(at(&area, s[2].payload_return - 8), nop | 3 << 5);
	for (int i = 0; i < 3; i++)
		assert_int_equal(led(&area, (s[i].payload_return ? s[i].payload_return
								 : s[i].payload_entry) - 4),
				 area.gate);
	/* Without a number it is not asked. */
	assert_int_equal(led(&area, s[3].payload_return - 4), area.trap.begin);
	assert_int_equal(led(&area, s[3].copy_return), s[3].payload_return + 12);
	s[3].number = 4;
	assert_int_equal(build(&area, 23, s, 4, NULL, NULL), 0);
	assert_int_equal(at(&area, s[3].payload_return - 8), nop | 4 << 5);
	assert_int_equal(led(&area, s[3].copy_return), s[3].payload_return + 12);
	assert_int_equal(frame_at(&area, NULL, area.gate - 16), 8);
	assert_int_equal(frame_at(&area, NULL, area.gate - 12), -ENOENT);
	assert_int_equal(frame_at(&area, NULL, area.gate), -ENOENT);
	for (int i = 1; i <= 4; i++)
		assert_int_equal(frame_at(&area, NULL, area.gate + 4 * i), 8);
	assert_int_equal(frame_at(&area, NULL, area.trap.begin), -ENOENT);
	assert_int_equal(frame_at(&area, NULL, area.trap.pc), 72);
}

static void test_failures(void **state)
{
	struct stub_area area = {.base = TO, .room = 2048};
	struct stub s[2] = {{.kind = STUB_RETURN, .function = FROM},
			    {.kind = STUB_ENTRY, .function = FROM + 0x100}};
	struct err err;
	size_t failed = 99;

	(void)state;
	landing_is(NOP);
	assert_int_equal(build(&area, 0, s, 2, &failed, &err), -EINVAL);
	assert_int_equal(build(&area, 32, s, 2, &failed, &err), -EINVAL);
	assert_int_equal(build(&area, 31, s, 2, &failed, &err), 0);
	area.room = area.len;
	assert_int_equal(build(&area, 23, s, 2, &failed, &err), 0);
	area.room -= 4;
	assert_int_equal(build(&area, 23, s, 2, &failed, &err), -ENOSPC);
	assert_int_equal(failed, 1);
	area.room = 18;
	assert_int_equal(build(&area, 23, s, 0, &failed, &err), -ENOSPC);
	area.room = 2048;
	s[1].function = FROM + 0x9000000 + 0x8000000;
	assert_int_equal(build(&area, 23, s, 2, &failed, &err), -ERANGE);
	assert_int_equal(failed, 1);
}

static void test_registers(void **state)
{
	const struct arch *arch = &arch_aarch64;
	struct regs regs = {.len = arch->regs_len};

	(void)state;
	assert_int_equal(arch->regs_len, 272);
	for (unsigned i = 0; i < 33; i++)
		regs.bytes[8 * i] = (uint8_t)(i + 1);
	for (int i = 0; i < arch->reg_count; i++)
		assert_int_equal(regs_read(arch, &regs, i), i + 1);
	assert_string_equal(arch->reg_name[arch->reg_lr], "x30");
	assert_int_equal(arch->callee_saved, 0x3ff80000);
	assert_ptr_equal(arch_find(183, 2, false), arch); /* EM_AARCH64, ELFCLASS64 */
	assert_null(arch_find(183, 1, false));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_displace),  cmocka_unit_test(test_refused),
		cmocka_unit_test(test_near_load),
		cmocka_unit_test(test_landing),	  cmocka_unit_test(test_code),
		cmocka_unit_test(test_stubs),	  cmocka_unit_test(test_signed),
		cmocka_unit_test(test_frames),	  cmocka_unit_test(test_gate),
		cmocka_unit_test(test_failures),
		cmocka_unit_test(test_registers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
