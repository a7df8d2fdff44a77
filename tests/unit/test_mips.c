/* MIPS as words: what displaced code, stubs and patches look like.  Words are in this machine's
 * order, as code is in a target that it traces; big-endian is the same test on such a machine.  The
 * code is run in tests/cross. */
#include <elf.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arch/mips/insn.h"
#include "arch/remote.h"
#include "arch/trap.h"
#include "base/memory.h"
#include "elf/image.h"
#include "unwind/cfi.h"

#define ARCH  (ARCH_HOST_BIG ? &arch_mips : &arch_mipsel)
#define J(to) (0x08000000 | ((to) >> 2 & 0x3ffffff))

enum {
	FROM = 0x1000000,
	TO = 0x2000000,
	NOP = 0,
	LUI_GP = 0x3c1c001b,	/* lui gp, 0x1b */
	ADDIU_GP = 0x279c9b40,	/* addiu gp, gp, -25792 */
	ADDU_GP_T9 = 0x0399e021, /* addu gp, gp, t9 */
	JR_RA = 0x03e00008,
};

/* As objdump (binutils 2.40) reads them. */
static void test_decode(void **state)
{
	static const struct {
		uint32_t code;
		enum mips_kind kind;
		taddr_t target;
	} insns[] = {
		{NOP, MIPS_NOP, 0},
		{LUI_GP, MIPS_PLAIN, 0},
		{0x0000000c, MIPS_PLAIN, 0},		    /* syscall */
		{0x1000ffff, MIPS_B, FROM},		    /* b . */
		{0x04010003, MIPS_B, FROM + 16},	    /* bgez zero: b .+16 */
		{0x10800005, MIPS_BRANCH, FROM + 24},	    /* beqz a0 */
		{0x14a6fffe, MIPS_BRANCH, FROM - 4},	    /* bne a1, a2 */
		{0x18800001, MIPS_BRANCH, FROM + 8},	    /* blez a0 */
		{0x1c800001, MIPS_BRANCH, FROM + 8},	    /* bgtz a0 */
		{0x04800001, MIPS_BRANCH, FROM + 8},	    /* bltz a0 */
		{0x04830001, MIPS_BRANCH, FROM + 8},	    /* bgezl a0 */
		{0x50800001, MIPS_BRANCH, FROM + 8},	    /* beqzl a0 */
		{0x54850001, MIPS_BRANCH, FROM + 8},	    /* bnel a0, a1 */
		{0x45010001, MIPS_BRANCH, FROM + 8},	    /* bc1t */
		{0x46001105, MIPS_PLAIN, 0},		    /* abs.s f4, f2 */
		{0x041c0001, MIPS_BRANCH, FROM + 8},	    /* bposge32 */
		{0x04110001, MIPS_BAL, FROM + 8},	    /* bal */
		{0x04900001, MIPS_BAL, FROM + 8},	    /* bltzal a0 */
		{0x041f0000, MIPS_PLAIN, 0},		    /* synci 0(zero) */
		{0x04880001, MIPS_PLAIN, 0},		    /* tgei a0, 1 */
		{J(FROM + 0x40), MIPS_J, FROM + 0x40},	    /* j */
		{0x0c400010, MIPS_JAL, FROM + 0x40},	    /* jal */
		{0x74400010, MIPS_JAL, FROM + 0x40},	    /* jalx */
		{JR_RA, MIPS_JR, 0},
		{0x0320f809, MIPS_JALR, 0},		    /* jalr t9 */
		{0x0000000d, MIPS_BREAK, 0},		    /* break */
		{0x7000003f, MIPS_BREAK, 0},		    /* sdbbp */
		{0x70851002, MIPS_PLAIN, 0},		    /* mul v0, a0, a1 */
		{0x7c03e83b, MIPS_PLAIN, 0},		    /* rdhwr v1, $29 */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(insns); i++) {
		struct mips_insn insn = mips_decode(insns[i].code, FROM);

		assert_int_equal(insn.kind, insns[i].kind);
		assert_int_equal(insn.target, insns[i].target);
	}
	/* A jump stays in the 256 MB of its delay slot. */
	assert_int_equal(mips_decode(J(0x40), 0x0ffffffc).target, 0x10000040);
	assert_int_equal(mips_decode(0x1000ffff, 0).target, 0);
}

struct moved {
	uint32_t code[3];
	uint32_t copy[8];
	size_t copy_len, original_len;
	const char *map; /* pairs original, copy */
	size_t map_len;
};

#define MAP(pairs) pairs, (sizeof(pairs) - 1) / 2

static const struct moved rows[] = {
	/* what nearly all begin with */
	{{LUI_GP, ADDIU_GP, ADDU_GP_T9},
	 {LUI_GP, ADDIU_GP, J(FROM + 8), NOP},
	 16,
	 8,
	 MAP("\0\0\4\4\10\10")},
	/* jr ra; nop: _dl_debug_state */
	{{JR_RA, NOP, LUI_GP}, {JR_RA, NOP}, 8, 8, MAP("\0\0")},
	/* b .+0x10; addiu a0, a0, 1 */
	{{0x10000003, 0x24840001, NOP}, {J(FROM + 16), 0x24840001}, 8, 8, MAP("\0\0")},
	/* beqz a0, .+0x10; addiu a0, a0, 1 */
	{{0x10800003, 0x24840001, NOP},
	 {0x10800003, 0x24840001, J(FROM + 8), NOP, J(FROM + 16), NOP},
	 24,
	 8,
	 MAP("\0\0\10\10")},
	/* .. behind another: its delay slot is covered, too */
	{{LUI_GP, 0x50850003, 0x24840001},
	 {LUI_GP, 0x50850003, 0x24840001, J(FROM + 12), NOP, J(FROM + 4 + 16), NOP},
	 28,
	 12,
	 MAP("\0\0\4\4\14\14")},
};

static void test_displace(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct moved *row = &rows[i];
		struct displaced d;

		assert_int_equal(ARCH->trap->displace((const uint8_t *)row->code, 12, FROM, TO, &d,
						      NULL),
				 0);
		assert_int_equal(d.original_len, row->original_len);
		assert_int_equal(d.copy_len, row->copy_len);
		assert_memory_equal(d.copy, row->copy, row->copy_len);
		for (uint32_t m = 0; m < row->map_len; m++) {
			assert_int_equal(d.map[m].original, row->map[2 * m]);
			assert_int_equal(d.map[m].copy, row->map[2 * m + 1]);
		}
		assert_int_equal(d.count, row->map_len);
	}
}

static void test_refused(void **state)
{
	static const struct {
		uint32_t code[3];
		taddr_t from, to;
		int error;
		const char *reason;
	} refused[] = {
		{{0x04110001, NOP}, FROM, TO, -ENOTSUP, "a call"},
		{{LUI_GP, 0x0320f809, NOP}, FROM, TO, -ENOTSUP, "byte 4 begins a call"},
		{{0x0000000d, NOP}, FROM, TO, -ENOTSUP, "a breakpoint"},
		{{0xec000000, NOP}, FROM, TO, -ENOTSUP, "not known"}, /* addiupc, release 6 */
		{{0x10800003, 0x10800003}, FROM, TO, -ENOTSUP, "in a delay slot"},
		{{LUI_GP, ADDIU_GP, 0x1000fffe}, FROM, TO, -ENOTSUP, "leads back to byte 4"},
		{{LUI_GP, ADDIU_GP, 0x1000fffd}, FROM, TO, -ENOTSUP, "leads back to byte 0"},
		{{LUI_GP, ADDIU_GP}, FROM | 1, TO, -ENOTSUP, "MIPS16"},
		{{LUI_GP, ADDIU_GP}, FROM, 0x10000000, -ERANGE, "out of reach"},
	};
	struct displaced d;
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		assert_int_equal(ARCH->trap->displace((const uint8_t *)refused[i].code, 12,
						      refused[i].from, refused[i].to, &d, &err),
				 refused[i].error);
		assert_non_null(strstr(err.text, refused[i].reason));
	}
	assert_int_equal(ARCH->trap->displace((const uint8_t *)rows[0].code, 4, FROM, TO, &d, &err),
			 -ENOTSUP);
	/* calls itself, and that is a call */
	assert_int_equal(ARCH->trap->displace((const uint8_t *)(uint32_t[]){LUI_GP, ADDIU_GP, 0x0c400000},
					      12, FROM, TO, &d, &err),
			 0);
}

/* ---- stubs -------------------------------------------------------------- */

enum { STUBS = 5 };
static const uint32_t function[] = {LUI_GP, ADDIU_GP, ADDU_GP_T9};

static void build(struct stub_area *area, struct stub *s)
{
	const uint8_t *code[STUBS];
	size_t len[STUBS];

	for (int i = 0; i < STUBS; i++) {
		code[i] = (const uint8_t *)function;
		len[i] = sizeof(function);
	}
	assert_int_equal(ARCH->trap->stubs_build(area, 21, s, STUBS, code, len, NULL, NULL), 0);
}

#define ALL_KINDS                                                                              \
	{{.kind = STUB_RETURN, .function = FROM},                                              \
	 {.kind = STUB_ENTRY, .function = FROM + 0x100},                                       \
	 {.kind = STUB_BOTH, .function = FROM + 0x200},                                        \
	 {.kind = STUB_INSTEAD, .function = FROM + 0x300, .swap = true},                       \
	 {.kind = STUB_RETURN, .function = FROM + 0x400, .on_stack = true}}

static uint32_t at(const struct stub_area *area, taddr_t pc)
{
	return mips_read(area->bytes + (pc - area->base));
}

/* Of each stub, as objdump reads it; X: a bal, checked by where it leads. */
static void test_code(void **state)
{
	enum { X = 0x04110000, ENTER = 0x27bdffe0, LEAVE = 0x27bd0020, SW_RA = 0xafbf001c,
	       SW_A0 = 0xafa40010, SW_A1 = 0xafa50014, SW_A2 = 0xafa60018, LW_RA = 0x8fbf001c };
	static const uint32_t expected[STUBS][32] = {
		{ENTER, SW_RA, SW_A0, SW_A1, X, SW_A2, X, NOP, LW_RA, JR_RA, LEAVE},
		{ENTER, SW_RA, SW_A0, SW_A1, X, SW_A2, LW_RA, LEAVE},
		{ENTER, SW_RA, SW_A0, SW_A1, X, SW_A2, X, NOP, X, NOP, LW_RA, JR_RA, LEAVE},
		/* a0, a1 exchanged; t9 = the first; beqz v0, behind the return */
		{ENTER, SW_RA, SW_A0, SW_A1, SW_A2, 0x8fa40014, 0x8fa50010, 0x3c190100, 0x37390000,
		 X, NOP, 0x10400006, NOP, X, NOP, LW_RA, JR_RA, LEAVE, 0x8fa40010, 0x8fa50014,
		 0x8fa60018, LW_RA, 0x3c190100, 0x37390300, LEAVE},
		/* four words from above the frame, by ra */
		{ENTER, SW_RA, SW_A0, SW_A1, SW_A2, ENTER, 0x8fbf0050, 0xafbf0010, 0x8fbf0054,
		 0xafbf0014, 0x8fbf0058, 0xafbf0018, 0x8fbf005c, 0xafbf001c, X, NOP, LEAVE, X, NOP,
		 LW_RA, JR_RA, LEAVE},
	};
	struct stub_area area = {.base = TO, .room = 2048};
	struct stub s[STUBS] = ALL_KINDS;

	(void)state;
	build(&area, s);
	for (int i = 0; i < STUBS; i++) {
		taddr_t callee = i == 3 ? s[0].copy : s[i].copy, trap = area.trap.begin;

		for (taddr_t pc = s[i].entry; pc < s[i].copy; pc += 4) {
			uint32_t want = expected[i][(pc - s[i].entry) / 4];
			taddr_t target = mips_decode(at(&area, pc), pc).target;

			if (want == X)
				assert_int_equal(target, pc + 8 == s[i].copy_return ? callee : trap);
			else
				assert_int_equal(at(&area, pc), want);
		}
		assert_int_equal(at(&area, s[i].copy), LUI_GP);
	}
}

static void test_area(void **state)
{
	struct stub_area area = {.base = TO, .room = 2048, .process = 0x123456};
	struct stub s[STUBS] = ALL_KINDS;
	uint8_t disarmed[8];
	uint32_t len;

	(void)state;
	build(&area, s);
	assert_memory_equal(area.bytes, ARCH->trap->magic, ARCH->trap->magic_len);
	memcpy(&len, area.bytes + 8, sizeof(len));
	assert_int_equal(len, area.len);
	/* 13 functions of glibc's have to have place in 1136 bytes */
	assert_int_equal(s[0].entry - TO, 320);
	assert_int_equal(s[1].entry - s[0].entry, 60);
	assert_int_equal(at(&area, area.trap.pc - 4), 0x0000000c);
	assert_int_equal(at(&area, area.trap.pc - 8), 0x240210aa); /* v0 = tgkill */
	assert_int_equal(at(&area, area.trap.pc - 20), 0x34843456);
	assert_int_equal(at(&area, area.trap.pc - 24), 0x3c040012);
	assert_int_equal(at(&area, area.trap.pc - 28), 0x24060015); /* a2 = 21 */
	assert_int_equal(at(&area, area.trap.open - 4), 0x0000000c);
	assert_int_equal(at(&area, area.trap.done - 4), 0x0000000c);
	ARCH->trap->change_signal(&area, 5);
	assert_int_equal(at(&area, area.trap.pc - 28), 0x24060005);
	assert_int_equal(at(&area, area.trap.open - 44), 0x34020010); /* v0 = 1 << 4 */
	assert_int_equal(ARCH->trap->disarm(disarmed), 4);
	assert_int_equal(mips_read(disarmed), JR_RA);
	assert_int_equal(at(&area, area.trap.begin + 4), NOP);
	assert_int_equal(mips_read(s[2].patch), J(s[2].entry));
	assert_int_equal(ARCH->trap->patch_target(s[2].patch, FROM + 0x200), s[2].entry);
	assert_int_equal(ARCH->trap->patch_target(s[2].patch, FROM + 0x201), 0);
	assert_int_equal(ARCH->trap->patch_target((const uint8_t *)function, FROM), 0);
	/* whoever comes: tkill(tid, signo) */
	area.process = 0;
	build(&area, s);
	assert_int_equal(at(&area, area.trap.pc - 8), 0x2402108c);
	assert_int_equal(at(&area, area.trap.pc - 28), 0x24050015);
	assert_int_equal(at(&area, area.trap.pc - 32), 0x00402025); /* a0 = v0 */
}

/* At each pc of all stubs and of the trap the return address is where the code has it. */
static void test_frames(void **state)
{
	struct stub_area area = {.base = TO, .room = 2048};
	struct stub s[STUBS] = ALL_KINDS;
	int (*frame)(const struct stub_area *, const struct stub *, taddr_t, bool) =
		ARCH->trap->stub_frame;

	(void)state;
	build(&area, s);
	for (int i = 0; i < STUBS; i++) {
		assert_int_equal(frame(&area, &s[i], s[i].entry, false), -ENOENT);
		assert_int_equal(frame(&area, &s[i], s[i].entry + 4, false), -ENOENT);
		assert_int_equal(frame(&area, &s[i], s[i].entry + 8, false), 28);
		assert_int_equal(frame(&area, &s[i], s[i].copy, false), -ENOENT);
		if (s[i].copy_return)
			assert_int_equal(frame(&area, &s[i], s[i].copy_return, true),
					 s[i].on_stack ? 60 : 28);
		if (s[i].payload_entry)
			assert_int_equal(frame(&area, &s[i], s[i].payload_entry, true), 28);
		if (s[i].payload_return)
			assert_int_equal(frame(&area, &s[i], s[i].payload_return, true), 28);
	}
	/* behind a return: STUB_INSTEAD whose other function has failed */
	assert_int_equal(frame(&area, &s[3], s[3].copy - 4, false), 28);
	assert_int_equal(frame(&area, NULL, area.trap.begin + 8, false), -ENOENT);
	assert_int_equal(frame(&area, NULL, area.trap.begin + 12, false), -ENOENT);
	assert_int_equal(frame(&area, NULL, area.trap.begin + 16, false), 108);
	assert_int_equal(frame(&area, NULL, area.trap.pc, false), 108);
	assert_int_equal(frame(&area, NULL, area.trap.done, false), 108);
}

/* ---- where code leads --------------------------------------------------- */

static void test_ways(void **state)
{
	const uint32_t code[] = {0x10800003, 0x1000fffe, J(FROM + 0x104), 0x0c400041};
	const struct covered covered[] = {{FROM, FROM + 8}, {FROM + 0x100, FROM + 0x108}};
	struct way ways[4];

	(void)state;
	/* from FROM + 8: to + 24, + 8 (its end: not in between), into the second one twice */
	assert_int_equal(ARCH->trap->ways_in((const uint8_t *)code, sizeof(code), FROM + 8, true,
					     covered, 2, ways, 4),
			 2);
	assert_int_equal(ways[0].at, FROM + 16);
	assert_int_equal(ways[0].target, FROM + 0x104);
	assert_int_equal(ways[1].at, FROM + 20);
	/* from FROM on the second branch leads to FROM + 4 - 4 + 4 */
	assert_int_equal(ARCH->trap->ways_in((const uint8_t *)(code + 1), 4, FROM + 4, true,
					     &covered[0], 1, ways, 4),
			 0);
	assert_int_equal(ARCH->trap->ways_in((const uint8_t *)(code + 1), 4, FROM + 8, true,
					     &covered[0], 1, ways, 4),
			 1);
}

static void test_callees(void **state)
{
	/* gp = 0x1000000 + 0x1b0000 - 0x64c0; lw t9, -32(gp); jalr t9; bal .+8 */
	const uint32_t code[] = {LUI_GP,     ADDIU_GP, ADDU_GP_T9, 0x8f99ffe0,
				 0x0320f809, NOP,      0x04110001, NOP};
	/* lui t7, 0x41; lw t9, 0x10(t7); addiu t8, t7, 0x10; jr t9 */
	const uint32_t plt[] = {0x3c0f0041, 0x8df90010, 0x25f80010, 0x03200008};
	struct callee callees[4];
	taddr_t addresses[4];

	(void)state;
	assert_int_equal(ARCH->trap->callees((const uint8_t *)code, sizeof(code), FROM, callees, 4),
			 2);
	assert_int_equal(callees[0].slot, FROM + 0x1b0000 - 0x64c0 - 0x20);
	assert_int_equal(callees[1].target, FROM + 32);
	assert_int_equal(ARCH->trap->callees((const uint8_t *)plt, sizeof(plt), FROM, callees, 4),
			 1);
	assert_int_equal(callees[0].slot, 0x410010);
	assert_int_equal(ARCH->trap->addresses((const uint8_t *)plt, sizeof(plt), FROM, addresses, 4),
			 1);
	assert_int_equal(addresses[0], 0x410010);
}

/* ---- calls for us ------------------------------------------------------- */

enum { AT_V0 = 32, AT_A0 = 40, AT_A3 = 52, AT_HI = 156, AT_PC = 160 };

static struct regs some_regs(uint32_t pc)
{
	struct regs regs = {.len = ARCH->regs_len};

	for (uint32_t i = 0; i < 32; i++)
		regs_put_u32(&regs, 24 + 4 * i, 0x10000 * i + i);
	regs_put_u32(&regs, AT_HI, 0x12345678);
	regs_put_u32(&regs, AT_PC, pc);
	return regs;
}

static void test_remote(void **state)
{
	const struct remote_call call = {4091, {0x5000, 0x1000}};
	const int64_t restarted = -512, block = -516, ended = -4, done = 3;
	struct regs regs = some_regs(FROM + 0x40);
	struct remote_code code = {.enters = false};
	uint32_t last;

	(void)state;
	assert_int_equal(ARCH->trap->remote_build(TO, &call, &regs, NULL, &code), 0);
	assert_int_equal(code.behind, TO + 4);
	assert_int_equal(regs_u32(&code.begin, AT_PC), TO);
	assert_int_equal(regs_u32(&code.begin, AT_V0), 4091);
	assert_int_equal(regs_u32(&code.begin, AT_A0 + 4), 0x1000);
	assert_int_equal(regs_u32(&code.calling, AT_PC), TO + 4);
	assert_int_equal(mips_read(code.bytes), 0x0000000c);
	memcpy(&last, code.bytes + code.len - 8, sizeof(last));
	assert_int_equal(last, J(FROM + 0x40));
	/* on a call of its own: it enters that again, or it has ended */
	assert_int_equal(ARCH->trap->remote_build(TO, &call, &regs, &restarted, &code), 0);
	assert_true(code.enters);
	assert_int_equal(regs_u32(&code.home, AT_PC), FROM + 0x40);
	assert_int_equal(ARCH->trap->remote_build(TO, &call, &regs, &block, &code), 0);
	assert_int_equal(regs_u32(&code.home, AT_V0), 4253);
	assert_int_equal(ARCH->trap->remote_build(TO, &call, &regs, &ended, &code), 0);
	assert_false(code.enters);
	assert_int_equal(regs_u32(&code.home, AT_PC), FROM + 0x44);
	assert_int_equal(regs_u32(&code.home, AT_V0), 4);
	assert_int_equal(regs_u32(&code.home, AT_A3), 1);
	assert_int_equal(ARCH->trap->remote_build(TO, &call, &regs, &done, &code), 0);
	assert_int_equal(regs_u32(&code.home, AT_V0), 3);
	assert_int_equal(regs_u32(&code.home, AT_A3), 0);
	/* MIPS16; another 256 MB */
	regs = some_regs(FROM | 1);
	assert_int_equal(ARCH->trap->remote_build(TO, &call, &regs, NULL, &code), -ENOTSUP);
	regs = some_regs(FROM);
	assert_int_equal(ARCH->trap->remote_build(0x10000000, &call, &regs, NULL, &code), -ERANGE);
}

/* From a call of its own it fits into what is free in the vdso, whatever is in its registers; from its own
 * code only if these hold little. */
static void test_copy(void **state)
{
	enum { ROOM = 240 };
	const int64_t again = -512, ended = -4;
	uint8_t mask[16];
	struct regs regs = some_regs(FROM + 0x40), few = {.len = ARCH->regs_len};
	struct remote_code code = {.enters = false};

	(void)state;
	for (size_t i = 0; i < sizeof(mask); i++)
		mask[i] = (uint8_t)(0x81 + i);
	assert_int_equal(ARCH->trap->copy_build(TO, mask, &regs, &again, &code), 0);
	assert_true(code.len <= ROOM && code.enters);
	assert_memory_equal(code.bytes + code.len - 16, mask, 16);
	for (size_t i = 0; i < 16; i++)
		assert_int_equal(code.bytes[code.len - 32 + i], 0xff);
	assert_int_equal(mips_read(code.bytes + (code.behind_clone - TO) - 8), 0x24021018); /* v0 = clone */
	assert_int_equal(mips_read(code.bytes + (code.behind - TO) - 4), 0x0000000c);
	/* the child leads to the helper's code, behind the way home; no child: to the mask */
	assert_int_equal(mips_decode(mips_read(code.bytes + (code.behind_clone - TO)), code.behind_clone).target,
			 TO + code.len - 32 - 4 * 11);
	assert_int_equal(mips_decode(mips_read(code.bytes + (code.behind_clone - TO) + 8),
				     code.behind_clone + 8).target,
			 code.behind - 28);
	assert_int_equal(ARCH->trap->copy_build(TO, mask, &regs, &ended, &code), 0);
	assert_true(code.len <= ROOM && !code.enters);
	assert_int_equal(ARCH->trap->copy_build(TO, mask, &regs, NULL, &code), -ERANGE);
	regs_put_u32(&few, AT_PC, FROM);
	assert_int_equal(ARCH->trap->copy_build(TO, mask, &few, NULL, &code), 0);
	regs_put_u32(&few, AT_PC, FROM | 1);
	assert_int_equal(ARCH->trap->copy_build(TO, mask, &few, NULL, &code), -ENOTSUP);
}

static void test_whereabouts(void **state)
{
	const uint32_t insn = 0x0000000c, nop = NOP;
	struct regs regs = some_regs(FROM);

	(void)state;
	regs_put_u32(&regs, AT_V0, 514);
	regs_put_u32(&regs, AT_A3, 1);
	assert_int_equal(ARCH->trap->remote_at(&regs, (const uint8_t *)&insn), REMOTE_AT_CALL);
	assert_int_equal(ARCH->trap->remote_at(&regs, (const uint8_t *)&nop), REMOTE_AT_CODE);
	regs_put_u32(&regs, AT_V0, 4); /* EINTR, which the program sees */
	assert_int_equal(ARCH->trap->remote_at(&regs, (const uint8_t *)&insn), REMOTE_AT_CODE);
	regs_put_u32(&regs, AT_V0, 512);
	regs_put_u32(&regs, AT_A3, 0);
	assert_int_equal(ARCH->trap->remote_at(&regs, (const uint8_t *)&insn), REMOTE_AT_CODE);
}

static void test_data(void **state)
{
	static const uint8_t little[8] = {0x10, 0, 0, 0x80}, big[8] = {0x80, 0, 0, 0x10};
	struct regs regs = {.len = 180};

	(void)state;
	assert_ptr_equal(arch_find(8, 1, false), &arch_mipsel);
	assert_ptr_equal(arch_find(8, 1, true), &arch_mips);
	assert_int_equal(arch_word(&arch_mipsel, little), 0x80000010);
	assert_int_equal(arch_word(&arch_mips, big), 0x80000010);
	assert_int_equal(arch_mips.audit_arch, 8);
	assert_int_equal(arch_mipsel.ucontext_sp, 68);
	assert_int_equal(arch_mips.ucontext_sp, 69);
	/* an error is a flag */
	memcpy(regs.bytes + AT_V0 + 3, &little[0], 1);
	assert_int_equal(regs_syscall_result(&arch_mips, &regs), 16);
	regs.bytes[AT_A3] = 1;
	assert_int_equal(regs_syscall_result(&arch_mips, &regs), -16);
	/* the lowest signals of 128 come first in both orders */
	assert_int_equal(arch_signal_set(&arch_mips, (const uint8_t[16]){0, 0, 0, 2, 0, 0, 0, 1}),
			 2 | 1ull << 32);
}

/* n32 has the same class and machine, release 6 other instructions. */
static void test_other_abis(void **state)
{
	static const struct {
		uint32_t flags;
		bool ours;
	} files[] = {{0x70001007, true}, {0x00001000, true},  {0x60000027, false},
		     {0x90001407, false}, {0xa0000027, false}};
	Elf32_Ehdr head = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS32, ELFDATA2LSB, 1},
			   .e_type = ET_DYN,
			   .e_machine = EM_MIPS};

	(void)state;
	for (size_t i = 0; !ARCH_HOST_BIG && i < ARRAY_SIZE(files); i++) {
		struct memory_buffer file;
		struct image *image;

		head.e_flags = files[i].flags;
		memory_buffer_init(&file, 0, &head, sizeof(head));
		assert_int_equal(image_open(&file.memory, &image, NULL), 0);
		assert_int_equal(cfi_is_for(image, &arch_mipsel), files[i].ours);
		assert_false(cfi_is_for(image, &arch_mips));
		image_close(image);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_decode),	  cmocka_unit_test(test_displace),
		cmocka_unit_test(test_refused),	  cmocka_unit_test(test_code),
		cmocka_unit_test(test_area),	  cmocka_unit_test(test_frames),
		cmocka_unit_test(test_ways),	  cmocka_unit_test(test_callees),
		cmocka_unit_test(test_remote),	  cmocka_unit_test(test_whereabouts),
		cmocka_unit_test(test_data),	  cmocka_unit_test(test_other_abis),
		cmocka_unit_test(test_copy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
