/* 32-bit ARM as bytes: displaced code, stubs and patches.  The code is run in tests/cross;
 * this runs on any machine. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arch/trap.h"

enum { FROM = 0x1000000, TO = 0x1100000, SIGURG_ARM = 23 };

struct row {
	bool thumb;
	const char *code;
	const char *copy; /* NULL: refused */
	unsigned original;
	const char *map;    /* "original:copy ..." */
	const char *reason; /* a part of the error's text */
};

/* clang-format off */
#define A32(code, original, copy, map) {false, code, copy, original, map, NULL}
#define T32(code, original, copy, map) {true, code, copy, original, map, NULL}
#define REFUSED(thumb, code, reason) {thumb, code, NULL, 0, NULL, reason}

static const struct row rows[] = {
	/* push {r4, lr}; then b 0x1000004 */
	A32("10402de900f020e3", 4, "10402de9fefffbea", "0:0 4:4"),
	/* ldr r3, [pc, #16]: ldr r3, [pc, #4]; ldr r3, [r3]; b; 0x1000018 */
	A32("10309fe510402de9", 4, "04309fe5003093e5fdfffbea18000001", "0:0 4:8"),
	/* ldreq r3, [pc, #-8] keeps its condition */
	A32("08301f0500f020e3", 4, "04309f0500309305fdfffbea00000001", "0:0 4:8"),
	/* add r0, pc, #16; sub r0, pc, #16: loads of what they give */
	A32("10008fe200f020e3", 4, "00009fe5fefffbea18000001", "0:0 4:4"),
	A32("10004fe200f020e3", 4, "00009fe5fefffbeaf8ffff00", "0:0 4:4"),
	/* b .+0x100 (musl); bne .+0x100; bx lr */
	A32("3e0000ea00f020e3", 4, "3e00fcea", "0:0"),
	A32("3e00001a00f020e3", 4, "3e00fc1afefffbea", "0:0 4:4"),
	A32("1eff2fe100f020e3", 4, "1eff2fe1", "0:0"),
	/* ldr pc, [pc, #-4], ldrne: by the stack */
	A32("04f01fe578563412", 4, "03002de908009fe5000090e504008de50180bde804000001", "0:0"),
	A32("04f01f1578563412", 4,
	    "03002d190c009f150000901504008d150180bd18fafffbea04000001", "0:0 4:20"),
	/* sub r0, pc, #0x80000000 */
	A32("02014fe200f020e3", 4, "00009fe5fefffbea08000081", "0:0 4:4"),
	REFUSED(false, "04d01fe578563412", "byte 0 begins an address for the stack pointer"),
	/* push {lr}; bl to itself is a call */
	A32("04e02de5fdffffeb1eff2fe1", 4, "04e02de5fefffbea", "0:0 4:4"),
	REFUSED(false, "3e0000eb00f020e3", "byte 0 begins a call"),
	REFUSED(false, "33ff2fe100f020e3", "byte 0 begins a call"), /* blx r3 */
	REFUSED(false, "03308fe000f020e3", "reads its own address"), /* add r3, pc, r3 */
	REFUSED(false, "01009fe700f020e3", "reads its own address"), /* ldr r0, [pc, r1] */
	REFUSED(false, "01802de900f020e3", "reads its own address"), /* push {r0, pc} */
	REFUSED(false, "f001f0e700f020e3", "breakpoint"),
	REFUSED(false, "04e02de5fdffffea", "0x1000004 leads back to byte 0"),
	REFUSED(false, "04e02d", "its code ends after 0 bytes"),

	/* push {r4, lr}; mov r4, r0; then b.w 0x1000004 */
	T32("10b5044600bf", 4, "10b50446fff6febf", "0:0 2:2 4:4"),
	/* push {r4, lr}; cbz r0, .+0x10: cbnz over a b.w */
	T32("10b530b100bf", 4, "10b508b900f705b8fff6fcbf", "0:0 2:2 4:8"),
	T32("33b9012000bf", 4, "0bb100f705b80120fff6fcbf", "0:0 2:6 4:8"),
	/* cmp r0, #0; beq.n; beq.w */
	T32("00280ed000bf", 4, "002801d100f70db8fff6fcbf", "0:0 2:2 4:8"),
	T32("01f0fe8700bf", 4, "01d101f7fdbffff6fdbf", "0:0 4:6"),
	/* b.n, with a nop behind it; b.w; bx lr; nop */
	T32("0ee000bf", 4, "00f70eb8", "0:0"),
	T32("01f0febf00bf", 4, "01f7febf", "0:0"),
	T32("704700bf", 4, "7047", "0:0"),
	/* ldr r3, [pc, #16] in 16 and in 32 bits; adr; adr.w back */
	T32("044b00b500bf", 4, "dff80c30d3f8003000b5fff6fbbf00bf14000001", "0:0 2:8 4:10"),
	T32("dff810f000bf", 4, "03b4dff80c00d0f80000019001bd00bf14000001", "0:0"),
	T32("dff8103000b500bf", 4, "dff80830d3f80030fff6fcbf14000001", "0:0 4:8"),
	T32("04a100b500bf", 4, "dff8081000b5fff6fdbf00bf14000001", "0:0 2:4 4:6"),
	T32("aff2041100bf", 4, "dff80410fff6febf00ffff00", "0:0 4:4"),
	/* an IT block is taken whole: cmp; it eq; bxeq lr */
	T32("002808bf704700bf", 6, "002808bf7047fff6febf", "0:0 2:2 4:4 6:6"),
	T32("00b518bf00bd00bf", 6, "00b518bf00bdfff6febf", "0:0 2:2 4:4 6:6"),
	/* instructions of 32 bits, also over the patch's end */
	T32("2de9f04300bf", 4, "2de9f043fff6febf", "0:0 4:4"),
	T32("00202de9f04300bf", 6, "00202de9f043fff6febf", "0:0 2:2 6:6"),
	/* a call of its own beginning */
	T32("00b5012000b1fff7faff", 4, "00b50120fff6febf", "0:0 2:2 4:4"),
	REFUSED(true, "704700b5", "it ends after 2 bytes, and no padding follows"),
	REFUSED(true, "002804bf0248704700bf", "byte 4 begins a conditional use"),
	REFUSED(true, "00b500f07ef8", "byte 2 begins a call"),
	REFUSED(true, "00b57b4400bf", "byte 2 begins an instruction that reads its own"), /* add r3, pc */
	REFUSED(true, "dfe800f000bf", "reads its own address"), /* tbb [pc, r0] */
	REFUSED(true, "00b500be", "byte 2 begins a breakpoint"),
	REFUSED(true, "00b50120fde700bf", "0x1000004 leads back to byte 2"),
	REFUSED(true, "00b5", "its code ends after 2 bytes"),
};
/* clang-format on */

static size_t unhex(const char *hex, uint8_t *ret)
{
	size_t len = strlen(hex) / 2;

	for (size_t i = 0; i < len; i++)
		ret[i] = (uint8_t)strtoul((char[]){hex[2 * i], hex[2 * i + 1], 0}, NULL, 16);
	return len;
}

static void displaced_code(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct row *row = &rows[i];
		uint8_t code[64], copy[64];
		char map[64] = "";
		struct displaced d;
		struct err err = {0};
		int found = arch_arm.trap->displace(code, unhex(row->code, code), FROM | row->thumb,
					      TO, &d, &err);

		if (!row->copy) {
			if (found != -ENOTSUP || !strstr(err.text, row->reason))
				fail_msg("%s: %d %s", row->code, found, err.text);
			continue;
		}
		if (found)
			fail_msg("%s: %d %s", row->code, found, err.text);
		assert_int_equal(d.original_len, row->original);
		assert_int_equal(d.copy_len, unhex(row->copy, copy));
		assert_memory_equal(d.copy, copy, d.copy_len);
		for (uint32_t m = 0; m < d.count; m++)
			snprintf(map + strlen(map), sizeof(map) - strlen(map), "%s%u:%u",
				 m ? " " : "", d.map[m].original, d.map[m].copy);
		assert_string_equal(map, row->map);
	}
}

static void out_of_reach(void **state)
{
	uint8_t code[8];
	struct displaced d;
	struct err err;
	size_t len = unhex("10b5044600bf", code);

	(void)state;
	/* b.w: 16 MB; b: 32 MB */
	assert_int_equal(arch_arm.trap->displace(code, len, FROM | 1, FROM + 0xfffff0, &d, &err), 0);
	assert_int_equal(arch_arm.trap->displace(code, len, FROM | 1, FROM + 0x1000010, &d, &err),
			 -ERANGE);
	len = unhex("10402de900f020e3", code);
	assert_int_equal(arch_arm.trap->displace(code, len, FROM, FROM + 0x1fffff0, &d, &err), 0);
	assert_int_equal(arch_arm.trap->displace(code, len, FROM, FROM + 0x2000010, &d, &err),
			 -ERANGE);
}

static uint32_t word_at(const struct stub_area *area, taddr_t at)
{
	uint32_t word;

	memcpy(&word, area->bytes + (at - area->base), 4);
	return word;
}

static const uint8_t push_t32[] = {0x10, 0xb5, 0x04, 0x46, 0x00, 0xbf, 0x00, 0xbf};
static const uint8_t push_a32[] = {0x10, 0x40, 0x2d, 0xe9, 0x00, 0xf0, 0x20, 0xe3};

static int frame_at(const struct stub_area *area, const struct stub *stub, taddr_t pc)
{
	return arch_arm.trap->stub_frame(area, stub, pc, false);
}

/* One stub on code of one kind. */
static struct stub build(struct stub_area *area, enum stub_kind kind, bool thumb)
{
	struct stub stub = {.kind = kind, .thumb = thumb, .function = FROM};
	const uint8_t *code = thumb ? push_t32 : push_a32;
	const size_t len = sizeof(push_t32);
	struct err err = {0};

	*area = (struct stub_area){.base = TO, .room = sizeof(area->bytes)};
	assert_int_equal(
		arch_arm.trap->stubs_build(area, SIGURG_ARM, &stub, 1, &code, &len, NULL, &err), 0);
	return stub;
}

static void assert_words(const struct stub_area *area, taddr_t at, const uint32_t *words,
			 size_t count)
{
	for (size_t i = 0; i < count; i++)
		assert_int_equal(word_at(area, at + 4 * i), words[i]);
}

/* bl from one address to another. */
static uint32_t bl(taddr_t from, taddr_t to)
{
	return 0xeb000000 | ((uint32_t)(to - from - 8) >> 2 & 0xffffff);
}

static void stubs_a32(void **state)
{
	struct stub_area area;
	struct stub stub = build(&area, STUB_RETURN, false);

	(void)state;
	assert_memory_equal(area.bytes, "memtrc\0\1", 8);
	assert_int_equal(word_at(&area, TO + 8), area.len);
	assert_words(&area, stub.entry,
		     (uint32_t[]){0xe92d4007, bl(stub.entry + 4, stub.copy),
				  bl(stub.entry + 8, area.trap.begin), 0xe12fff1e, 0xe92d4010},
		     5);
	assert_int_equal(stub.copy, stub.entry + 16);
	assert_int_equal(stub.copy_return, stub.entry + 8);
	assert_int_equal(stub.payload_return, stub.entry + 12);
	assert_int_equal(stub.payload_entry, 0);
	assert_int_equal(arch_arm.trap->patch_target(stub.patch, FROM), stub.entry);
	assert_int_equal(arch_arm.trap->patch_target(push_a32, FROM), 0);
	assert_int_equal(arch_arm.trap->patch_target(stub.patch, FROM + 2), 0);

	stub = build(&area, STUB_ENTRY, false);
	assert_words(&area, stub.entry,
		     (uint32_t[]){0xe92d4007, bl(stub.entry + 4, area.trap.begin), 0xe92d4010},
		     3);
	assert_int_equal(stub.payload_entry, stub.entry + 8);
	assert_int_equal(stub.copy_return, 0);
	assert_int_equal(stub.copy, stub.entry + 8);

	stub = build(&area, STUB_BOTH, false);
	assert_words(&area, stub.entry,
		     (uint32_t[]){0xe92d4007, bl(stub.entry + 4, area.trap.begin), 0xe92d4007,
				  bl(stub.entry + 12, stub.copy),
				  bl(stub.entry + 16, area.trap.begin), 0xe12fff1e, 0xe92d4010},
		     7);
}

static void stubs_t32(void **state)
{
	struct stub_area area;
	struct stub stub = build(&area, STUB_RETURN, true);

	(void)state;
	assert_int_equal(stub.entry % 4, 0);
	assert_words(&area, stub.entry,
		     (uint32_t[]){0x46c04778, 0xe92d4007, 0xfa000001,
				  bl(stub.entry + 12, area.trap.begin), 0xe12fff1e, 0x4604b510},
		     6);
	assert_int_equal(stub.copy, stub.entry + 20);
	assert_int_equal(arch_arm.trap->patch_target(stub.patch, FROM | 1), stub.entry);
	assert_int_equal(arch_arm.trap->patch_target(push_t32, FROM | 1), 0);

	stub = build(&area, STUB_ENTRY, true);
	assert_words(&area, stub.entry,
		     (uint32_t[]){0x46c04778, 0xe92d4007, bl(stub.entry + 8, area.trap.begin),
				  0xe51ff004, (uint32_t)stub.copy | 1, 0x4604b510},
		     6);
	assert_int_equal(stub.copy, stub.entry + 20);
}

/* operator new, for which malloc is run, with the arguments exchanged. */
static void stub_instead(void **state)
{
	struct stub stubs[2] = {{.kind = STUB_RETURN, .thumb = true, .function = FROM},
				{.kind = STUB_INSTEAD, .swap = true, .function = FROM + 64}};
	const uint8_t *code[2] = {push_t32, push_a32};
	const size_t len[2] = {8, 8};
	struct stub_area area = {.base = TO, .room = sizeof(area.bytes)};
	struct err err = {0};
	size_t failed;
	taddr_t at;

	(void)state;
	assert_int_equal(
		arch_arm.trap->stubs_build(&area, SIGURG_ARM, stubs, 2, code, len, &failed, &err), 0);
	at = stubs[1].entry;
	assert_words(&area, at,
		     (uint32_t[]){0xe92d4007, 0xe59d0004, 0xe59d1000,
				  0xfa000000 | (bl(at + 12, stubs[0].copy) & 0xffffff),
				  0xe3500000, 0x0a000001, bl(at + 24, area.trap.begin),
				  0xe12fff1e, 0xe8bd4007, 0xe92d4010},
		     10);
	assert_int_equal(stubs[1].copy_return, at + 16);
	assert_int_equal(frame_at(&area, &stubs[1], at + 32), 12); /* 1: */
	stubs[1].instead = 1;
	assert_int_equal(
		arch_arm.trap->stubs_build(&area, SIGURG_ARM, stubs, 2, code, len, &failed, &err),
		-EINVAL);
	assert_int_equal(failed, 1);
}

/* By way of the agent: the number in front of each call of the gate; who has none is not asked. */
static void gate(void **state)
{
	struct stub stubs[3] = {
		{.kind = STUB_BOTH, .thumb = true, .function = FROM, .number = 511},
		{.kind = STUB_INSTEAD, .function = FROM + 64, .number = 2},
		{.kind = STUB_RETURN, .function = FROM + 128}};
	const uint8_t *code[3] = {push_t32, push_a32, push_a32};
	const size_t len[3] = {8, 8, 8};
	struct stub_area area = {.base = TO, .room = sizeof(area.bytes), .agent = 0x12345678};
	struct err err = {0};
	taddr_t at;

	(void)state;
	assert_int_equal(arch_arm.trap->stubs_build(&area, SIGURG_ARM, stubs, 3, code, len, NULL, &err), 0);
	assert_int_equal(area.gate, TO + 16);
	assert_int_equal(area.trap.begin, area.gate + 4 * 9);
	assert_words(&area, area.gate,
		     (uint32_t[]){0xe92d5000, 0xe59fc010, 0xe12fff3c, 0xe8bd5000, 0xe52de004,
				  0xe59de010, 0xe49df014, 0x12345678, 0xe8bd5000, 0xe92d508f},
		     10);
	at = stubs[0].entry;
	assert_words(&area, at,
		     (uint32_t[]){0x46c04778, 0xe92d4007, 0xf5dff9ff, bl(at + 12, area.gate), 0xe92d4007,
				  0xfa000002, 0xf5dff1ff, bl(at + 28, area.gate), 0xe12fff1e, 0x4604b510},
		     10);
	assert_int_equal(stubs[0].payload_entry, at + 16);
	assert_int_equal(stubs[0].copy, at + 36);
	at = stubs[1].entry;
	assert_int_equal(word_at(&area, at + 4), 0xfa000000 | (bl(at + 4, stubs[0].copy) & 0xffffff));
	assert_words(&area, at + 8,
		     (uint32_t[]){0xe3500000, 0x0a000002, 0xf5dff002, bl(at + 20, area.gate), 0xe12fff1e,
				  0xe8bd4007, 0xe92d4010},
		     7);
	assert_int_equal(word_at(&area, stubs[2].payload_return - 4),
			 bl(stubs[2].payload_return - 4, area.trap.begin));
	/* where the return address lies: the site's, from the gate's push to its pop, and as it leaves */
	assert_int_equal(frame_at(&area, NULL, area.gate), -ENOENT);
	for (int i = 1; i <= 3; i++)
		assert_int_equal(frame_at(&area, NULL, area.gate + 4 * i), 4);
	assert_int_equal(frame_at(&area, NULL, area.gate + 16), -ENOENT);
	assert_int_equal(frame_at(&area, NULL, area.gate + 20), 0);
	assert_int_equal(frame_at(&area, NULL, area.gate + 24), 0);
	assert_int_equal(frame_at(&area, NULL, area.gate + 32), 4);
	assert_int_equal(frame_at(&area, NULL, area.trap.begin), -ENOENT);
	assert_int_equal(frame_at(&area, NULL, area.trap.pc), 40);
	/* behind the known call the stub's frame is off */
	assert_int_equal(frame_at(&area, &stubs[0], stubs[0].entry + 12), 12);
	assert_int_equal(frame_at(&area, &stubs[0], stubs[0].payload_entry), -ENOENT);
	assert_int_equal(frame_at(&area, &stubs[0], stubs[0].copy_return), 12);
}

static void trap(void **state)
{
	struct stub_area area;
	struct stub stub = build(&area, STUB_BOTH, true);
	uint8_t disarm[8];

	(void)state;
	assert_int_equal(word_at(&area, area.trap.begin), 0xe92d508f);
	assert_int_equal(word_at(&area, area.trap.begin + 8),
			 0xe3a02501); /* mov r2, #1 << 22 */
	/* For whoever comes: mov r1, #23; mov r7, #tkill. */
	assert_int_equal(word_at(&area, area.trap.begin + 60), 0xe3a01017);
	assert_int_equal(word_at(&area, area.trap.pc - 8), 0xe3a070ee);
	area.process = 0x123456;
	arch_arm.trap->change_signal(&area, 17);
	/* Of one process: mov r1, r0; mov r2, #17; ldr r0, process; mov r7, #tgkill. */
	assert_int_equal(word_at(&area, area.trap.begin + 56), 0xe1a01000);
	assert_int_equal(word_at(&area, area.trap.begin + 60), 0xe3a02011);
	assert_int_equal(word_at(&area, area.trap.begin + 68), 0xe59f0030);
	assert_int_equal(word_at(&area, area.trap.begin + 68 + 8 + 0x30), 0x123456);
	assert_int_equal(word_at(&area, area.trap.pc - 8), 0xe3a07f43);
	assert_int_equal(word_at(&area, area.trap.pc - 4), 0xef000000);
	assert_int_equal(word_at(&area, area.trap.open - 4), 0xef000000);
	assert_int_equal(word_at(&area, area.trap.open), 0xe3a070e0); /* mov r7, #gettid */
	assert_int_equal(arch_arm.trap->disarm(disarm), 4);
	/* b to where it leaves: push {lr}; ldr lr, [sp, #16]; ldr pc, [sp], #20 */
	assert_memory_equal(disarm, "\x1a\x00\x00\xea", 4);
	assert_words(&area, area.trap.begin + 8 + 4 * 0x1a,
		     (uint32_t[]){0xe52de004, 0xe59de010, 0xe49df014}, 3);
	/* where the return address lies, seen from sp */
	assert_int_equal(frame_at(&area, NULL, area.trap.begin), -ENOENT);
	assert_int_equal(frame_at(&area, NULL, area.trap.begin + 4), 24);
	assert_int_equal(frame_at(&area, NULL, area.trap.pc), 40);
	assert_int_equal(frame_at(&area, NULL, area.trap.begin + 4 * 28), -ENOENT);
	assert_int_equal(frame_at(&area, NULL, area.trap.begin + 4 * 30), 0);
	assert_int_equal(frame_at(&area, &stub, stub.copy_return), 12);
	assert_int_equal(frame_at(&area, &stub, stub.copy), -ENOENT);
	/* the trap's return takes the stub's frame off, and lr is what it was */
	assert_int_equal(frame_at(&area, &stub, stub.payload_entry), -ENOENT);
	assert_int_equal(arch_arm.trap->stub_frame(&area, &stub, stub.payload_entry, true), 12);
	assert_int_equal(arch_arm.trap->stub_frame(&area, &stub, stub.payload_return, true),
			 12);
	stub = build(&area, STUB_ENTRY, false);
	assert_int_equal(arch_arm.trap->stub_frame(&area, &stub, stub.payload_entry, true), 12);
}

/* Every signal's bit is an immediate of A32. */
static void signals(void **state)
{
	(void)state;
	for (int signo = 1; signo <= 31; signo++) {
		struct stub stub = {.kind = STUB_ENTRY, .function = FROM};
		const uint8_t *code = push_a32;
		const size_t len = sizeof(push_a32);
		struct stub_area area = {.base = TO, .room = sizeof(area.bytes)};
		uint32_t insn, by;

		assert_int_equal(
			arch_arm.trap->stubs_build(&area, signo, &stub, 1, &code, &len, NULL, NULL),
			0);
		insn = word_at(&area, area.trap.begin + 8);
		by = insn >> 7 & 30;
		assert_int_equal(insn & 0xfffff000, 0xe3a02000);
		assert_int_equal(by ? (insn & 0xff) >> by | (insn & 0xff) << (32 - by)
				    : insn & 0xff,
				 1u << (signo - 1));
	}
}

static void no_room(void **state)
{
	struct stub stub = {.kind = STUB_ENTRY, .function = FROM};
	const uint8_t *code = push_a32;
	const size_t len = sizeof(push_a32);
	struct stub_area area = {.base = TO, .room = 64};
	struct err err;

	(void)state;
	assert_int_equal(arch_arm.trap->stubs_build(&area, 23, &stub, 1, &code, &len, NULL, &err),
			 -ENOSPC);
	area.room = 120;
	assert_int_equal(arch_arm.trap->stubs_build(&area, 23, &stub, 1, &code, &len, NULL, &err),
			 -ENOSPC);
	assert_int_equal(arch_arm.trap->stubs_build(&area, 32, &stub, 1, &code, &len, NULL, &err),
			 -EINVAL);
}

static void registers(void **state)
{
	struct regs regs = {.len = arch_arm.regs_len};

	(void)state;
	assert_int_equal(arch_arm.regs_len, 72);
	regs_write(&arch_arm, &regs, 15, 0x81234567);
	assert_int_equal(regs.bytes[60], 0x67);
	assert_int_equal(regs.bytes[63], 0x81);
	assert_int_equal(regs_read(&arch_arm, &regs, 15),
			 0x81234567); /* not extended by sign */
	assert_string_equal(arch_arm.reg_name[13], "sp");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(displaced_code), cmocka_unit_test(out_of_reach),
		cmocka_unit_test(stubs_a32),	  cmocka_unit_test(stubs_t32),
		cmocka_unit_test(stub_instead),	  cmocka_unit_test(gate), cmocka_unit_test(trap),
		cmocka_unit_test(signals),	  cmocka_unit_test(no_room),
		cmocka_unit_test(registers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
