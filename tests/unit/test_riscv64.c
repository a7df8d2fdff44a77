/* RISC-V as bytes: what displaced code, stubs and patches look like.  The code is run in
 * tests/cross; this runs on any machine. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arch/riscv64/insn.h"
#include "arch/trap.h"
#include "unwind/signal_riscv64.h"

enum {
	FROM = 0x1000000,
	TO = 0x1080000,
	NOP = 0x00000013,
	RET = 0x00008067,
	C_NOP = 0x0001,
	C_RET = 0x8082,
	AUIPC_A5 = 0x00021797, /* auipc a5, 0x21 */
};

static const struct arch_trap *trap(void)
{
	return arch_riscv64.trap;
}

static void put(uint8_t *at, uint32_t code)
{
	for (int i = 0; i < 4; i++)
		at[i] = (uint8_t)(code >> (8 * i));
}

/* Two instructions of 16 bits. */
#define PAIR(first, second) ((uint32_t)(first) | (uint32_t)(second) << 16)

static struct rv_insn decoded(uint32_t code)
{
	struct rv_insn insn;
	uint8_t bytes[4];

	put(bytes, code);
	assert_true(rv_decode(bytes, sizeof(bytes), &insn));
	return insn;
}

/* As objdump reads them. */
static void test_decode(void **state)
{
	static const struct {
		uint32_t code;
		uint8_t kind, len;
		int64_t rel;
	} rows[] = {
		{0xaa29, RV_J, 2, 0x1f9a - 0x1e80},			/* c.j */
		{0xb7d1, RV_J, 2, 0x1ef2 - 0x1f2e},
		{0xdbfd, RV_BRANCH, 2, 0x1e80 - 0x1e8a}, /* c.beqz a5 */
		{0xe59d, RV_BRANCH, 2, 0x1ec6 - 0x1e98}, /* c.bnez a1 */
		{0x00f50363, RV_BRANCH, 4, 6},		 /* beq a0, a5 */
		{0x02089b63, RV_BRANCH, 4, 0x1f1a - 0x1ee4},
		{0x06e58863, RV_BRANCH, 4, 0x1f7a - 0x1f0a},
		{AUIPC_A5, RV_AUIPC, 4, 0x21000},
		{0xffffe517, RV_AUIPC, 4, -0x2000},
		{0x00000017, RV_LPAD, 4, 0},
		{0xfc478793, RV_ADD, 4, 0},
		{0x1141, RV_ADD, 2, 0},	  /* c.addi sp, -16 */
		{0x7139, RV_ADD, 2, 0},	  /* c.addi16sp sp, -64 */
		{0x6605, RV_PLAIN, 2, 0}, /* c.lui a2, 1 */
		{0x4605, RV_PLAIN, 2, 0}, /* c.li a2, 1 */
		{0x6b94, RV_PLAIN, 2, 0}, /* c.ld */
		{0xcde7b783, RV_LOAD, 4, 0},
		{0x0310000f, RV_PLAIN, 4, 0}, /* fence rw, w */
		{0x00000073, RV_PLAIN, 4, 0}, /* ecall */
		{RET, RV_JR, 4, 0},
		{C_RET, RV_JR, 2, 0},
		{0x9782, RV_JALR, 2, 0},	  /* c.jalr a5 */
		{0x000780e7, RV_JALR, 4, 0}, /* jalr a5 */
		{0x9002, RV_BREAK, 2, 0},
		{0x00100073, RV_BREAK, 4, 0},
		{0x0000, RV_ILLEGAL, 2, 0},
		{0x0000001f, RV_ILLEGAL, 4, 0}, /* 48 bits */
		{NOP, RV_NOP, 4, 0},
		{C_NOP, RV_NOP, 2, 0},
	};
	struct rv_insn insn;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		insn = decoded(rows[i].code);
		assert_int_equal(insn.kind, rows[i].kind);
		assert_int_equal(insn.len, rows[i].len);
		assert_int_equal(insn.rel, rows[i].rel);
	}
	assert_int_equal(decoded(0x1141).value, -16);
	assert_int_equal(decoded(0x7139).value, -64);
	assert_int_equal(decoded(0xfc478793).value, -60);
	assert_false(rv_decode((const uint8_t[]){0x13, 0}, 2, &insn));
	assert_false(rv_decode((const uint8_t[]){1}, 1, &insn));
}

struct case_row {
	uint32_t code;
	uint32_t copy[5]; /* words, up to the first 0 */
	uint32_t original_len;
	const char *map; /* pairs original, copy */
	size_t map_len;
};

#define MAP(pairs) pairs, (sizeof(pairs) - 1) / 2
/* jal x0 from TO + at to `to`: below, by up to a megabyte */
#define J_BITS(rel)                                                                             \
	(0x6f | ((rel) & 0xff000) | ((rel) >> 11 & 1) << 20 | ((rel) >> 1 & 0x3ff) << 21 |     \
	 ((rel) >> 20 & 1u) << 31)
#define J(at, to) J_BITS((uint32_t)((to) - (TO + (at))))

static const struct case_row rows[] = {
	/* addi a5, a5, -60 */
	{0xfc478793, {0xfc478793, J(4, FROM + 4)}, 4, MAP("\0\0\4\4")},
	/* c.addi sp, -16; c.sdsp ra, 8(sp): both */
	{PAIR(0x1141, 0xe406), {PAIR(0x1141, 0xe406), J(4, FROM + 4)}, 4, MAP("\0\0\2\2\4\4")},
	/* jal x0, .+0x100; c.j .+0x11a and padding: a jump there, and that is all */
	{0x1000006f, {J(0, FROM + 0x100)}, 4, MAP("\0\0")},
	{PAIR(0xaa29, C_NOP), {J(0, FROM + 0x11a)}, 4, MAP("\0\0")},
	/* ret */
	{RET, {RET}, 4, MAP("\0\0")},
	/* beq a0, a5, .+6: over the way back, from where it goes on */
	{0x00f50363, {0x00f50463, J(4, FROM + 4), J(8, FROM + 6)}, 4, MAP("\0\0\4\4\0\10")},
	/* c.beqz a5, .-10; c.addi sp, -16: see below */
	{PAIR(0xdbfd, 0x1141), {0}, 4, MAP("\0\0\2\4\4\6\0\12")},
	/* auipc a5, 0x21: auipc and addi */
	{AUIPC_A5, {0x00000797 | (0x21000 - (TO - FROM)), 0x00078793, J(8, FROM + 4)}, 4,
	 MAP("\0\0\4\10")},
	/* a landing pad has done its work */
	{0x00000017, {NOP, J(4, FROM + 4)}, 4, MAP("\0\0\4\4")},
};

static void test_displace(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint8_t code[8];
		struct displaced d;
		uint32_t len = 0;

		put(code, rows[i].code);
		put(code + 4, NOP);
		assert_int_equal(trap()->displace(code, 8, FROM, TO, &d, NULL), 0);
		assert_int_equal(d.original_len, rows[i].original_len);
		for (; rows[i].copy[len / 4]; len += 4)
			assert_int_equal(rv_read(d.copy + len), rows[i].copy[len / 4]);
		if (len)
			assert_int_equal(d.copy_len, len);
		assert_int_equal(d.count, rows[i].map_len);
		for (uint32_t m = 0; m < d.count; m++) {
			assert_int_equal(d.map[m].original, rows[i].map[2 * m]);
			assert_int_equal(d.map[m].copy, rows[i].map[2 * m + 1]);
		}
	}
}

/* c.beqz a5, .-10; c.addi sp, -16: a branch of 32 bits, and one of 16 behind it. */
static void test_displace_a_branch_and_more(void **state)
{
	uint8_t code[8];
	struct displaced d;
	struct rv_insn insn;

	(void)state;
	put(code, PAIR(0xdbfd, 0x1141));
	put(code + 4, NOP);
	assert_int_equal(trap()->displace(code, 8, FROM, TO, &d, NULL), 0);
	assert_int_equal(d.copy_len, 14);
	insn = decoded(rv_read(d.copy));
	assert_int_equal(insn.kind, RV_BRANCH);
	assert_int_equal(insn.base, 15);
	assert_int_equal(insn.other, 0);
	assert_int_equal(insn.rel, 10);
	assert_int_equal(d.copy[4] | d.copy[5] << 8, 0x1141);
	assert_int_equal(TO + 6 + decoded(rv_read(d.copy + 6)).rel, FROM + 4);
	assert_int_equal(TO + 10 + decoded(rv_read(d.copy + 10)).rel, FROM - 10);
}

static void test_refused(void **state)
{
	static const struct {
		uint32_t code, next;
		taddr_t to;
		int error;
		const char *reason;
	} refused[] = {
		{0x100000ef, NOP, TO, -ENOTSUP, "a call"},		     /* jal ra */
		{PAIR(0x9782, C_NOP), NOP, TO, -ENOTSUP, "a call"},	     /* c.jalr */
		{PAIR(C_NOP, 0x9782), NOP, TO, -ENOTSUP, "byte 2 begins a call"},
		{PAIR(0x9002, C_NOP), NOP, TO, -ENOTSUP, "a breakpoint"},
		{0x00100073, NOP, TO, -ENOTSUP, "a breakpoint"},
		{0x00000000, NOP, TO, -ENOTSUP, "an illegal"},
		{PAIR(C_RET, 0x1141), NOP, TO, -ENOTSUP, "ends after 2 bytes"},
		{PAIR(C_NOP, C_NOP), 0xffdff06f, TO, -ENOTSUP, "byte 0"}, /* jal x0, .-4 */
		{PAIR(C_NOP, C_NOP), 0xffffffff, TO, 0, ""},
		{PAIR(C_NOP, C_NOP), 0xfe000fe3, TO, -ENOTSUP, "byte 2"}, /* beq .-2 */
		{PAIR(C_NOP, C_NOP), 0xffdff0ef, TO, 0, ""}, /* jal ra, .-4: calls itself */
		{NOP, NOP, FROM + (1 << 20) + 8, -ERANGE, "out of reach"},
	};
	uint8_t code[8];
	struct displaced d;
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		put(code, refused[i].code);
		put(code + 4, refused[i].next);
		assert_int_equal(trap()->displace(code, 8, FROM, refused[i].to, &d, &err),
				 refused[i].error);
		if (refused[i].error)
			assert_non_null(strstr(err.text, refused[i].reason));
	}
	assert_int_equal(trap()->displace(code, 3, FROM, TO, &d, &err), -ENOTSUP);
	put(code, 0x00000017); /* lpad */
	assert_int_equal(trap()->patch_offset(code, 4), 4);
	put(code, NOP);
	assert_int_equal(trap()->patch_offset(code, 4), 0);
}

/* Where code leads to, and into what a patch would cover. */
static void test_ways(void **state)
{
	static const uint32_t code[] = {
		PAIR(0xa011, C_NOP), /* 0: c.j .+4 */
		0x00000797,	     /* 4: auipc a5, 0 */
		0x00a78793,	     /* 8: addi a5, a5, 10: of 14 */
		0x100000ef,	     /* 12: jal ra, .+256 */
		0x00002e17,	     /* 16: auipc t3, 2 */
		0x010e3e03,	     /* 20: ld t3, 16(t3) */
		0x000e0367,	     /* 24: jalr t1, t3 */
	};
	uint8_t bytes[sizeof(code)];
	struct callee callees[8];
	taddr_t addresses[4];
	const struct covered covered[] = {{FROM + 2, FROM + 6}, {FROM + 12, FROM + 16}};
	struct way ways[8];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(code); i++)
		put(bytes + 4 * i, code[i]);
	assert_int_equal(trap()->callees(bytes, sizeof(bytes), FROM, callees, 8), 3);
	assert_int_equal(callees[0].target, FROM + 4);
	assert_int_equal(callees[1].target, FROM + 12 + 256);
	assert_int_equal(callees[2].slot, FROM + 16 + 0x2000 + 16);
	assert_int_equal(trap()->callees(bytes, sizeof(bytes), FROM, callees, 1), 1);
	assert_int_equal(trap()->addresses(bytes, sizeof(bytes), FROM, addresses, 4), 1);
	assert_int_equal(addresses[0], FROM + 14);
	for (int anywhere = 0; anywhere < 2; anywhere++) {
		assert_int_equal(trap()->ways_in(bytes, sizeof(bytes), FROM, anywhere, covered, 2,
						 ways, 8),
				 2);
		assert_int_equal(ways[0].at, FROM);
		assert_int_equal(ways[0].target, FROM + 4);
		assert_int_equal(ways[1].at, FROM + 8);
		assert_int_equal(ways[1].target, FROM + 14);
	}
	assert_int_equal(trap()->ways_in(bytes, sizeof(bytes), FROM, true, covered, 1, ways, 8), 1);
}

static uint8_t function[8];

static int build(struct stub_area *area, int signo, struct stub *stubs, size_t count,
		 size_t *failed, struct err *err)
{
	const uint8_t *code[] = {function, function, function, function};
	const size_t len[] = {8, 8, 8, 8};

	return trap()->stubs_build(area, signo, stubs, count, code, len, failed, err);
}

static uint32_t at(const struct stub_area *area, taddr_t pc)
{
	return rv_read(area->bytes + (pc - area->base));
}

static taddr_t led(const struct stub_area *area, taddr_t pc)
{
	return pc + (taddr_t)decoded(at(area, pc)).rel;
}

#define PUSH 0xfe010113, 0x00113c23, 0x00a13023, 0x00b13423, 0x00c13823
#define POP  0x01813083, 0x02010113

static struct stub_area area;
static struct stub s[4];

static int setup(void **state)
{
	(void)state;
	area = (struct stub_area){.base = TO, .room = 2048, .process = 0x123fff};
	s[0] = (struct stub){.kind = STUB_RETURN, .function = FROM};
	s[1] = (struct stub){.kind = STUB_ENTRY, .function = FROM + 0x100};
	s[2] = (struct stub){.kind = STUB_BOTH, .function = FROM + 0x200};
	s[3] = (struct stub){.kind = STUB_INSTEAD, .function = FROM + 0x300, .swap = true};
	put(function, PAIR(0xe406, 0x1141)); /* c.sdsp ra, 8(sp): does not stay */
	put(function + 4, NOP);
	return build(&area, 23, s, 4, NULL, NULL);
}

/* One stub of each kind as objdump reads it; 0 = a jal ra. */
static void test_code(void **state)
{
	static const uint32_t expected[4][20] = {
		{PUSH, 0, 0, POP, RET},
		{PUSH, 0, POP},
		{PUSH, 0, 0, 0, POP, RET},
		/* ld a0, 8(sp); ld a1, 0(sp); jal; beqz a0, .+20; ... ld a0, a1, a2 */
		{PUSH, 0x00813503, 0x00013583, 0, 0x00050a63, 0, POP, RET, 0x00013503,
		 0x00813583, 0x01013603, POP},
	};

	(void)state;
	for (int i = 0; i < 4; i++) {
		taddr_t pc = s[i].entry;

		for (; pc < s[i].copy; pc += 4) {
			uint32_t want = expected[i][(pc - s[i].entry) / 4];

			if (want)
				assert_int_equal(at(&area, pc), want);
			else
				assert_int_equal(decoded(at(&area, pc)).kind, RV_JAL);
		}
		assert_int_equal(expected[i][(pc - s[i].entry) / 4], 0);
		assert_int_equal(at(&area, s[i].copy), PAIR(0xe406, 0x1141));
		assert_int_equal(led(&area, s[i].copy + 4), s[i].function + 4);
		assert_int_equal(trap()->patch_target(s[i].patch, s[i].function), s[i].entry);
	}
	assert_int_equal(led(&area, s[0].copy_return - 4), s[0].copy);
	assert_int_equal(led(&area, s[0].payload_return - 4), area.trap.begin);
	assert_int_equal(led(&area, s[1].payload_entry - 4), area.trap.begin);
	assert_int_equal(led(&area, s[3].copy_return - 4), s[0].copy);
	assert_int_equal(led(&area, s[3].copy_return), s[3].payload_return + 12);
	assert_int_equal(trap()->patch_target(function, FROM), 0);
}

static void test_trap(void **state)
{
	uint8_t disarmed[8];

	(void)state;
	assert_memory_equal(area.bytes, trap()->magic, trap()->magic_len);
	assert_int_equal(area.len % 4, 0);
	assert_int_equal(rv_read(area.bytes + 8), area.len);
	assert_int_equal(at(&area, area.trap.pc - 4), 0x00000073);	/* ecall */
	assert_int_equal(at(&area, area.trap.pc - 8), 0x08300893);	/* li a7, 131 */
	assert_int_equal(at(&area, area.trap.pc - 24), 0x00124537);	/* lui a0, 0x124 */
	assert_int_equal(at(&area, area.trap.pc - 20), 0xfff5051b); /* addiw a0, a0, -1 */
	assert_int_equal(at(&area, area.trap.open - 4), 0x00000073);
	assert_int_equal(at(&area, area.trap.begin + 4 * 9), 0x01689893); /* slli a7, a7, 22 */
	assert_int_equal(trap()->disarm(disarmed), 4);
	assert_int_equal(rv_read(disarmed), RET);
	trap()->change_signal(&area, 12);
	assert_int_equal(at(&area, area.trap.begin + 4 * 9), 0x00b89893);
	setup(NULL);
	area.process = 0;
	assert_int_equal(build(&area, 23, s, 4, NULL, NULL), 0);
	assert_int_equal(at(&area, area.trap.pc - 8), 0x08200893); /* li a7, 130 */
	assert_int_equal(at(&area, area.trap.pc - 20), NOP);
}

static int frame(const struct stub *stub, taddr_t pc)
{
	int exact = trap()->stub_frame(&area, stub, pc, false);

	assert_int_equal(trap()->stub_frame(&area, stub, pc, true), exact);
	return exact;
}

static void test_stub_frame(void **state)
{
	(void)state;
	assert_int_equal(frame(NULL, area.trap.begin), -ENOENT);
	assert_int_equal(frame(NULL, area.trap.pc), 80 - 8);
	assert_int_equal(frame(&s[0], s[0].entry), -ENOENT);
	assert_int_equal(frame(&s[0], s[0].entry + 8), 24);
	assert_int_equal(frame(&s[0], s[0].copy_return), 24);
	assert_int_equal(frame(&s[0], s[0].copy - 4), -ENOENT); /* ret */
	assert_int_equal(frame(&s[3], s[3].copy - 4), 24);
	assert_int_equal(frame(&s[3], s[3].copy), -ENOENT);
}

/* The patch comes behind a first instruction of 16 bits that can run again. */
static void test_stays(void **state)
{
	static const struct {
		uint32_t code;
		uint32_t stays, lowered;
		bool nothing_for_0;
	} firsts[] = {
		{0x1141, 2, 16, false},  /* c.addi sp, -16 */
		{0x7139, 2, 64, false},  /* c.addi16sp sp, -64 */
		{0x6145, 0, 0, false},	  /* c.addi16sp sp, 48 */
		{0x87aa, 2, 0, false},	  /* c.mv a5, a0 */
		{0x852e, 0, 0, false},	  /* c.mv a0, a1 */
		{0x97aa, 0, 0, false},	  /* c.add a5, a0 */
		{0x4781, 2, 0, false},	  /* c.li a5, 0 */
		{0x4505, 0, 0, false},	  /* c.li a0, 1 */
		{0x611c, 2, 0, false},	  /* c.ld a5, 0(a0) */
		{0x639c, 0, 0, false},	  /* c.ld a5, 0(a5) */
		{0x8782, 0, 0, false},	  /* c.jr a5 */
		{0xc105, 0, 0, false},	  /* c.beqz a0 */
		{0xc105, 2, 0, true},
		{0xc185, 0, 0, true},	  /* c.beqz a1 */
		{0xe105, 0, 0, true},	  /* c.bnez a0 */
		{0x02050063, 4, 0, true}, /* beq a0, x0 */
		{0x02b50063, 0, 0, true}, /* beq a0, a1 */
		{AUIPC_A5, 4, 0, false},
		{0x00021517, 0, 0, false}, /* auipc a0 */
		{0x000217b7, 4, 0, false}, /* lui a5 */
		{0x00053783, 4, 0, false}, /* ld a5, 0(a0) */
		{0x0007b783, 0, 0, false}, /* ld a5, 0(a5) */
		{0x00053503, 0, 0, false}, /* ld a0, 0(a0) */
		{0x00a53023, 0, 0, false}, /* sd a0, 0(a0) */
		{0x02c5b7b3, 4, 0, false}, /* mulhu a5, a1, a2 */
		{0x00f587b3, 0, 0, false}, /* add a5, a1, a5 */
		{0x00b787b3, 0, 0, false}, /* add a5, a5, a1 */
		{0x81010113, 4, 2032, false}, /* addi sp, sp, -2032 */
		{0x80010113, 0, 0, false}, /* addi sp, sp, -2048: no addi takes it back */
		{0xff078113, 0, 0, false}, /* addi sp, a5, -16 */
		{C_NOP, 2, 0, false},
		{0x78fd, 2, 0, false},	  /* c.lui a7 */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(firsts); i++) {
		put(function, (firsts[i].code & 3) == 3 ? firsts[i].code
							: PAIR(firsts[i].code, C_NOP));
		put(function + 4, NOP);
		s[0].nothing_for_0 = firsts[i].nothing_for_0;
		if (build(&area, 23, s, 3, NULL, NULL)) {
			assert_int_equal(firsts[i].code, 0x8782); /* it ends there */
			continue;
		}
		assert_int_equal(s[0].stays, firsts[i].stays);
		assert_int_equal(s[0].lowered, firsts[i].lowered);
		assert_int_equal(s[0].displaced.original_len, firsts[i].stays ? 8 : 4);
		assert_int_equal(trap()->patch_target(s[0].patch, stub_patch_at(&s[0])),
				 s[0].entry);
	}
}

static void test_stays_lowered(void **state)
{
	(void)state;
	put(function, PAIR(0x1101, 0xe406)); /* c.addi sp, -32: as much as a stub's frame */
	assert_int_equal(build(&area, 23, s, 3, NULL, NULL), 0);
	assert_int_equal(at(&area, s[0].entry), 0x02010113); /* addi sp, sp, 32 */
	assert_int_equal(at(&area, s[0].entry + 4), 0xfe010113);
	assert_int_equal(at(&area, s[0].copy), PAIR(0x1101, 0xe406));
	assert_int_equal(led(&area, s[0].copy + 8), s[0].function + 8);
	assert_int_equal(frame(&s[0], s[0].entry), -ENOENT);
	assert_int_equal(frame(&s[0], s[0].entry + 4), -ENOENT);
	assert_int_equal(frame(&s[0], s[0].copy_return), 24);
	assert_int_equal(frame(&s[2], s[2].payload_entry), 24);
	assert_int_equal(frame(&s[0], s[0].copy - 4), -ENOENT);
	area.room = area.len - 4; /* where what stays has no room the patch is in front */
	assert_int_equal(build(&area, 23, s, 3, NULL, NULL), 0);
	assert_int_equal(s[0].stays, 0);
}

/* sigaction() of Debian 13's libc, more than a megabyte from any room. */
static void test_far(void **state)
{
	static const taddr_t away = (taddr_t)3 << 20;
	uint8_t code[24];
	struct stub far = {.kind = STUB_ENTRY, .function = TO - away};
	const uint8_t *codes[] = {code};
	const size_t len = sizeof(code);
	const struct displaced *d = &far.displaced;
	taddr_t back;

	(void)state;
	put(code, PAIR(0x7139, 0xec4e)); /* c.addi16sp sp, -64; c.sdsp s3, 24(sp) */
	put(code + 4, 0x00120997);	 /* auipc s3 */
	put(code + 8, 0xb529b983);	 /* ld s3, -1198(s3) */
	put(code + 12, 0x0009b783);	 /* ld a5, 0(s3) */
	put(code + 16, PAIR(0xe43e, 0x4781));
	put(code + 20, NOP);
	area = (struct stub_area){.base = TO, .room = 2048};
	assert_int_equal(trap()->stubs_build(&area, 23, &far, 1, codes, &len, NULL, NULL), 0);
	assert_int_equal(far.stays, 2);
	assert_int_equal(far.lowered, 64);
	assert_int_equal(rv_read(far.patch) & 0xfff, 0x317);	     /* auipc t1 */
	assert_int_equal(rv_read(far.patch + 4) & 0xfffff, 0x30067); /* jalr x0, t1 */
	assert_int_equal(arch_patch_len(trap(), far.patch), 8);
	assert_int_equal(arch_patch_most(trap()), 8);
	assert_int_equal(trap()->patch_target(far.patch, stub_patch_at(&far)), far.entry);
	assert_int_equal(d->original_len, 12);
	/* a5 is written to behind it */
	back = far.copy + d->copy_len - 8;
	assert_int_equal(at(&area, back) & 0xfff, 0x797);	    /* auipc a5 */
	assert_int_equal(at(&area, back + 4) & 0xfffff, 0x78067); /* jalr x0, a5 */
	assert_int_equal((uint32_t)back + (at(&area, back) & 0xfffff000) +
				 (uint32_t)((int32_t)at(&area, back + 4) >> 20),
			 far.function + 12);
	assert_int_equal(d->count, 6);
	assert_int_equal(d->map[4].original, 12);
	assert_int_equal(d->map[4].copy, d->copy_len - 8);
	assert_int_equal(d->map[5].original, 12);
	assert_int_equal(d->map[5].copy, d->copy_len - 4);
	/* where none is, more is moved: behind ld a5, 0(s3) a5 is in use, sd a5 frees none, li does */
	put(code + 12, PAIR(0xec4e, 0xe43e));
	put(code + 16, PAIR(0xe43e, 0xe43e));
	assert_int_equal(trap()->stubs_build(&area, 23, &far, 1, codes, &len, NULL, NULL), -ERANGE);
	put(code + 16, PAIR(0x4781, 0xe43e)); /* c.li a5, 0 */
	assert_int_equal(trap()->stubs_build(&area, 23, &far, 1, codes, &len, NULL, NULL), 0);
	assert_int_equal(d->original_len, 16);
	assert_int_equal(displaced_covered(d), 10); /* what stays, and the patch */
	/* what is moved beyond the patch is there still, to be led back to */
	put(code + 20, 0xfe079ce3); /* bnez a5, -8 */
	assert_int_equal(trap()->stubs_build(&area, 23, &far, 1, codes, &len, NULL, NULL), 0);
	assert_int_equal(far.stays, 2);
	put(code + 20, 0xfe079ae3); /* -12: behind one that is in front */
	assert_int_equal(trap()->stubs_build(&area, 23, &far, 1, codes, &len, NULL, NULL), 0);
	assert_int_equal(far.stays, 0);
	put(code + 20, 0xfe0798e3); /* -16 */
	assert_int_equal(trap()->stubs_build(&area, 23, &far, 1, codes, &len, NULL, NULL), -ERANGE);
	put(code + 20, NOP);
	/* t1 is not free behind what stays and writes to it */
	put(code, 0x00120317);
	put(code + 4, 0x0009b783);
	assert_int_equal(trap()->stubs_build(&area, 23, &far, 1, codes, &len, NULL, NULL), 0);
	assert_int_equal(far.stays, 0);
	/* what covers too much there may do where a jal reaches: it calls behind four bytes */
	put(code, PAIR(C_NOP, C_NOP));
	put(code + 4, 0x100000ef);
	assert_int_equal(trap()->stubs_build(&area, 23, &far, 1, codes, &len, NULL, NULL), -ERANGE);
	far.function = TO - 4096;
	assert_int_equal(trap()->stubs_build(&area, 23, &far, 1, codes, &len, NULL, NULL), 0);
	/* two gigabytes are out of reach */
	far.function = TO - ((taddr_t)1 << 32);
	assert_int_equal(trap()->stubs_build(&area, 23, &far, 1, codes, &len, NULL, NULL), -ERANGE);
}

static void test_build_fails(void **state)
{
	size_t failed = 9;
	struct err err;

	(void)state;
	area.room = 300;
	assert_int_equal(build(&area, 23, s, 4, &failed, &err), -ENOSPC);
	area.room = 2048;
	s[2].function = TO - (1 << 20) - 4096;
	assert_int_equal(build(&area, 23, s, 4, &failed, &err), -ERANGE);
	assert_int_equal(failed, 2);
	assert_int_equal(build(&area, 32, s, 4, &failed, &err), -EINVAL);
}

static void test_registers(void **state)
{
	const struct arch *arch = &arch_riscv64;
	struct regs regs = {.len = arch->regs_len};

	(void)state;
	assert_ptr_equal(arch_find(243, 2, false), arch); /* EM_RISCV, ELFCLASS64 */
	for (int reg = 1; reg < arch->reg_count; reg++)
		regs_write(arch, &regs, reg, 100u + (unsigned)reg);
	for (int reg = 1; reg < 32; reg++)
		assert_int_equal(regs_read(arch, &regs, reg), 100 + reg);
	assert_int_equal(regs_read(arch, &regs, 0), 0);
	assert_int_equal(regs_word(arch, &regs, 0), 132); /* pc */
	assert_int_equal(regs_word(arch, &regs, 31 * 8), 131);
	assert_string_equal(arch->reg_name[arch->trap->arg0], "a4");
	assert_int_equal(arch->callee_saved, 0x0ffc0300);
}

static void test_signal_frame(void **state)
{
	static const uint8_t code[] = {0x93, 0x08, 0xb0, 0x08, 0x73, 0, 0, 0};

	(void)state;
	assert_true(signal_riscv64_is(code));
	assert_false(signal_riscv64_is((const uint8_t[]){0x93, 0x08, 0xb0, 0x09, 0x73, 0, 0, 0}));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_decode),
		cmocka_unit_test(test_displace),
		cmocka_unit_test(test_displace_a_branch_and_more),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_ways),
		cmocka_unit_test_setup(test_code, setup),
		cmocka_unit_test_setup(test_trap, setup),
		cmocka_unit_test_setup(test_stub_frame, setup),
		cmocka_unit_test_setup(test_stays, setup),
		cmocka_unit_test_setup(test_stays_lowered, setup),
		cmocka_unit_test_setup(test_far, setup),
		cmocka_unit_test_setup(test_build_fails, setup),
		cmocka_unit_test(test_registers),
		cmocka_unit_test(test_signal_frame),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
