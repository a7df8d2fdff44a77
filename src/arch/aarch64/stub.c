/*
 * The stubs: how a patched function is entered and left so that one stop shows its
 * arguments, its result and its caller's stack.
 *
 *    STUB_RETURN              STUB_ENTRY              STUB_BOTH
 *      stp x2, x30, [sp,-16]!   stp x2, x30, [sp,-16]!  stp x2, x30, [sp,-16]!
 *      stp x0, x1, [sp,-16]!    bl trap                 bl trap
 *      bl copy                  ldp x2, x30, [sp],16    stp x0, x1, [sp,-16]!
 *      bl trap                  copy...                 bl copy
 *      ldr x30, [sp,24]                                 bl trap
 *      add sp, sp, 32                                   ldr x30, [sp,24]
 *      ret                                              add sp, sp, 32
 *      copy...                                          ret
 *                                                       copy...
 *    STUB_INSTEAD: as STUB_RETURN with
 *      [x0 <-> x1]; bl the other function's copy; cbz x0, 1f
 *      bl trap ... ret
 *    1: ldp x0, x1, [sp],16; ldp x2, x30, [sp],16
 *      copy...
 *
 * The return address into the caller, which a call leaves in x30, is thereby always the
 * last word of the stub's frame: the caller's sp is behind it, as on x86.  The frame is
 * three arguments and x30, so sp stays a multiple of 16.
 *
 * A function whose landing pad is paciasp comes here with x30 signed for its sp.  The
 * stub begins with autiasp then, and in front of the copy is the paciasp again: the
 * copy's own return address is signed, for the sp it is called with, which the function's
 * autiasp will find.  On CPUs without PAC all of them are hints and do nothing.
 *
 * The stack in the trap at trap.pc, one word a line, sp at the lowest:
 *
 *          entry side                          return side
 *    +0    the signal set to unblock           the same
 *    +8    the thread's signal mask            the same
 *    +16   x0, x1, x2, x3                      x0: the result ...
 *    +48   x8, and a word that is not used     the same
 *    +64   x4
 *    +72   x30, site: return address into the stub
 *    +80   x2, pushed by the stub              1st argument, pushed by the stub
 *    +88   return address into the caller      2nd
 *    +96                                       3rd
 *    +104                                      return address into the caller
 *
 * and x4 = the 1st argument (entry side), x3 = the mask, x30 = site.  A system call changes x0
 * and nothing else (arch/arm64/kernel/entry.S, kernel_exit), so every register and flag is
 * left alone, as x86_64/stub.c says; but for what of SVE's vectors lies above 128 bits, its
 * predicates and FFR, which a system call sets to 0 (Documentation/arch/arm64/sve.rst, 3).
 *
 * Where there is an agent (agent/agent.h) the stubs call a gate in front of the trap, with the
 * stub's number in a movz of xzr (which does nothing) before that call, and with ENTRY_SIDE where the
 * function has not run yet; the agent, called from the gate, finds both through the return address:
 *
 *      movz xzr, #number                     known: ldp x16, x30, [sp], #16
 *      bl gate                                      ret
 *      ...                                   gate:  stp x16, x30, [sp, #-16]!
 *                                                   ldr x16, address of the agent's entry
 *                                                   blr x16
 *                                                   cbz x16, known
 *                                                   ldp x16, x30, [sp], #16
 *                                            trap:  ...
 *
 * It keeps all but x16, which says by 0 that the trap is not needed.
 *
 * Written code reaches the instruction stream by the kernel's hand: /proc/PID/mem and
 * PTRACE_POKEDATA copy with copy_to_user_page(), which cleans the data cache and
 * invalidates the instruction cache for executable mappings (arch/arm64/mm/flush.c,
 * flush_ptrace_access), and a thread that was stopped meanwhile returns to user space
 * through an exception return, which synchronises its context.
 */
#include "arch/aarch64/aarch64.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "arch/aarch64/encode.h"
#include "arch/aarch64/insn.h"
#include "arch/stubs_build.h"

enum { HEADER_LEN = 16, LAST_STANDARD_SIGNAL = 31 };

/* The last byte is the version of the layout. */
const uint8_t aarch64_magic[AARCH64_MAGIC_LEN] = {'m', 'e', 'm', 't', 'r', 'c', 0, 1};

enum a64_code {
	TRAP_ENTER = 0xd10143ff,    /* sub sp, sp, #80 */
	TRAP_SAVE_LR = 0xa9047be4,  /* stp x4, x30, [sp, #64]: on top, as a stub's frame has it */
	TRAP_LEAVE = 0x910143ff,    /* add sp, sp, #80 */
	MOVZ_X8_LSL16 = 0xd2a00008, /* movz x8, #imm, lsl #16 */
	MOVZ_X0 = 0xd2800000,	    /* movz x0, #imm */
	MOVK_X0_LSL16 = 0xf2a00000, /* movk x0, #imm, lsl #16 */
	MOVZ_X1 = 0xd2800001,	    /* movz x1, #imm */
	MOVZ_X2 = 0xd2800002,	    /* movz x2, #imm */
	MOVZ_X8 = 0xd2800008,	    /* movz x8, #imm */
	TID_TO_X1 = 0xaa0003e1,	    /* mov x1, x0 */
	CALL_TGKILL = 0xd2801068,   /* mov x8, #131 */
	CALL_TKILL = 0xd2801048,    /* mov x8, #130 */
	NOP = 0xd503201f,
	RET = 0xd65f03c0,
	PUSH_X2_LR = 0xa9bf7be2,  /* stp x2, x30, [sp, #-16]! */
	PUSH_X0_X1 = 0xa9bf07e0,  /* stp x0, x1, [sp, #-16]! */
	POP_X0_X1 = 0xa8c107e0,	  /* ldp x0, x1, [sp], #16 */
	POP_X2_LR = 0xa8c17be2,	  /* ldp x2, x30, [sp], #16 */
	LOAD_LR = 0xf9400ffe,	  /* ldr x30, [sp, #24] */
	DROP_FRAME = 0x910083ff,  /* add sp, sp, #32 */
	EXCHANGE = 0xa94003e1,	  /* ldp x1, x0, [sp]: as pushed, the other way round */
	CBZ_X0_OVER = 0xb40000a0, /* cbz x0, over bl, ldr, add, ret */
	OVER_ONE_MORE = 1 << 5,	  /* in a cbz: over the number, too */
	MOVZ_XZR = 0xd280001f,	  /* movz xzr, #imm, lsl #(16 * 0 .. 3) */
	PUSH_X16_LR = 0xa9bf7bf0, /* stp x16, x30, [sp, #-16]! */
	POP_X16_LR = 0xa8c17bf0,  /* ldp x16, x30, [sp], #16 */
	PACIASP = 0xd503233f,
	AUT_OF_PAC = 0xd50323bf - 0xd503233f, /* autiasp - paciasp, and so with pacibsp */
};

static const uint32_t trap_code[] = {
	TRAP_ENTER,
	TRAP_SAVE_LR,
	0xa90107e0,    /* stp x0, x1, [sp, #16] */
	0xa9020fe2,    /* stp x2, x3, [sp, #32] */
	0xf9001be8,    /* str x8, [sp, #48] */
	MOVZ_X8_LSL16, /* or without lsl: 1 << (signo - 1) */
	0xf90003e8,    /* str x8, [sp] */
	0xd2800020,    /* mov x0, #1: SIG_UNBLOCK */
	0x910003e1,    /* mov x1, sp */
	0x910023e2,    /* add x2, sp, #8 */
	0xd2800103,    /* mov x3, #8: the size of a set */
	0xd28010e8,    /* mov x8, #135: rt_sigprocmask */
	0xd4000001,    /* svc #0 */
	/* trap.open */
	0xd2801648, /* mov x8, #178: gettid */
	0xd4000001, /* svc #0 */
	TID_TO_X1,
	MOVZ_X2,       /* mov x2, #signo */
	MOVZ_X0,       /* mov x0, #process, its lower half */
	MOVK_X0_LSL16, /* its upper one */
	0xf9400be4, /* ldr x4, [sp, #16] */
	0xf94007e3, /* ldr x3, [sp, #8]: the mask, for the tracer */
	CALL_TGKILL,
	0xd4000001, /* svc #0 */
	/* trap.pc */
	0xd2800040, /* mov x0, #2: SIG_SETMASK */
	0x910023e1, /* add x1, sp, #8 */
	0xd2800002, /* mov x2, #0 */
	0xd2800103, /* mov x3, #8 */
	0xd28010e8, /* mov x8, #135 */
	0xd4000001, /* svc #0 */
	0xa94107e0, /* ldp x0, x1, [sp, #16] */
	0xa9420fe2, /* ldp x2, x3, [sp, #32] */
	0xf9401be8, /* ldr x8, [sp, #48] */
	0xa9447be4, /* ldp x4, x30, [sp, #64] */
	TRAP_LEAVE,
	RET,
};

enum { /* in trap_code, instructions */
       TRAP_SET_AT = 5,
       TRAP_OPEN_AT = 13,
       TRAP_SIGNO_AT = 16,
       TRAP_PC_AT = 23,
       TRAP_DONE_AT = 29,
};

/* In front of the trap, where there is an agent. */
static const uint32_t gate_code[] = {
	POP_X16_LR, /* known */
	RET,
	0, 0, /* the address of the agent's entry */
	/* gate */
	PUSH_X16_LR,
	0x58ffffb0, /* ldr x16, .-12 */
	0xd63f0200, /* blr x16 */
	0xb4ffff30, /* cbz x16, known */
	POP_X16_LR,
};

enum { /* in gate_code, instructions */
       GATE_AGENT_AT = 2,
       GATE_AT = 4,
};

/* Beside a stub's number. */
enum { ENTRY_SIDE = 1 << 17 };

static void encode_gate(struct encoder *e, struct stub_area *area)
{
	area->gate = encode_here(e);
	if (!area->agent)
		return;
	area->gate += GATE_AT * A64_LEN;
	for (size_t i = 0; i < ARRAY_SIZE(gate_code); i++)
		encode_u32(e, i == GATE_AGENT_AT	   ? (uint32_t)area->agent
			      : i == GATE_AGENT_AT + 1 ? (uint32_t)(area->agent >> 32)
						       : gate_code[i]);
}

/* The same of a trap for whoever comes. */
static uint32_t to_any_insn(uint32_t insn, int signo)
{
	switch (insn) {
	case TID_TO_X1:
	case MOVZ_X0:
	case MOVK_X0_LSL16:
		return NOP;
	case MOVZ_X2:
		return (uint32_t)MOVZ_X1 | (uint32_t)signo << 5;
	case CALL_TGKILL:
		return CALL_TKILL;
	}
	return insn;
}

/* Instruction i of the trap that sends signo to a thread of the process. */
static uint32_t trap_insn(size_t i, uint32_t process, int signo)
{
	unsigned bit = (unsigned)signo - 1;

	if (i == TRAP_SET_AT)
		return (bit < 16 ? (uint32_t)MOVZ_X8 : (uint32_t)MOVZ_X8_LSL16) |
		       1u << (bit % 16) << 5;
	if (i > TRAP_OPEN_AT && i < TRAP_PC_AT && !process)
		return to_any_insn(trap_code[i], signo);
	switch (trap_code[i]) {
	case MOVZ_X0:
		return (uint32_t)MOVZ_X0 | (process & 0xffff) << 5;
	case MOVK_X0_LSL16:
		return (uint32_t)MOVK_X0_LSL16 | process >> 16 << 5;
	}
	return i == TRAP_SIGNO_AT ? (uint32_t)MOVZ_X2 | (uint32_t)signo << 5 : trap_code[i];
}

static void encode_trap(struct encoder *e, uint32_t process, int signo)
{
	for (size_t i = 0; i < ARRAY_SIZE(trap_code); i++)
		encode_u32(e, trap_insn(i, process, signo));
}

void aarch64_trap_change_signal(struct stub_area *area, int signo)
{
	struct encoder e = {.bytes = area->bytes,
			    .room = area->len,
			    .len = (size_t)(area->trap.begin - area->base),
			    .base = area->base};

	encode_trap(&e, area->process, signo);
}

/* The paciasp or pacibsp in front of a stub's function, or 0. */
static uint32_t landing_pac(const struct stub *stub, const uint8_t *code)
{
	uint32_t landing = stub->skipped >= A64_LEN ? a64_read(code - A64_LEN) : 0;

	return a64_decode(landing).kind == A64_PAC ? landing : 0;
}

struct building {
	struct encoder e;
	const struct stub_area *area;
	taddr_t other; /* STUB_INSTEAD: where what it runs is called */
	uint32_t pac;  /* landing_pac() */
	const struct stub *stubs;
	const uint8_t *const *code; /* of each of them */
};

static void encode_return(struct encoder *e)
{
	encode_u32(e, LOAD_LR);
	encode_u32(e, DROP_FRAME);
	encode_u32(e, RET);
}

/* By way of the agent? */
static bool is_asked(const struct building *b, const struct stub *stub)
{
	return b->area->agent && stub->number;
}

static void encode_call_payload(struct building *b, const struct stub *stub, uint32_t side)
{
	if (is_asked(b, stub))
		encode_u32(&b->e, (uint32_t)MOVZ_XZR | (stub->number | side) << 5);
	encode_bl(&b->e, is_asked(b, stub) ? b->area->gate : b->area->trap.begin);
}

/* Up to the copy.  callee: where the copy, or the other function's, is called. */
static void encode_stub(struct building *b, struct stub *stub, taddr_t callee)
{
	struct encoder *e = &b->e;

	stub->payload_entry = stub->payload_return = stub->copy_return = 0;
	stub->entry = encode_here(e);
	if (b->pac)
		encode_u32(e, b->pac + AUT_OF_PAC);
	encode_u32(e, PUSH_X2_LR);
	if (stub->kind == STUB_ENTRY || stub->kind == STUB_BOTH) {
		encode_call_payload(b, stub,
				    ENTRY_SIDE | (stub->kind == STUB_BOTH ? STUB_ENTERED : 0));
		stub->payload_entry = encode_here(e);
	}
	if (stub->kind == STUB_ENTRY) {
		encode_u32(e, POP_X2_LR);
		return;
	}
	encode_u32(e, PUSH_X0_X1);
	if (stub->kind == STUB_INSTEAD && stub->swap)
		encode_u32(e, EXCHANGE);
	encode_bl(e, callee);
	stub->copy_return = encode_here(e);
	if (stub->kind == STUB_INSTEAD)
		encode_u32(e, CBZ_X0_OVER + (is_asked(b, stub) ? (uint32_t)OVER_ONE_MORE : 0));
	encode_call_payload(b, stub, 0);
	stub->payload_return = encode_here(e);
	encode_return(e);
	if (stub->kind == STUB_INSTEAD) {
		encode_u32(e, POP_X0_X1);
		encode_u32(e, POP_X2_LR);
	}
}

/* Stub, copy and patch of one function, at the encoder's place. */
static int build_one(void *arg, struct stub *stub, const struct stub *other, const uint8_t *code,
		     size_t code_len, struct err *err)
{
	struct building *b = arg;
	struct encoder patch = {
		.bytes = stub->patch, .room = sizeof(stub->patch), .base = stub->function};
	struct building measured;
	int error;

	b->pac = landing_pac(stub, code);
	if (other)
		b->other = other->copy -
			   (landing_pac(other, b->code[other - b->stubs]) ? A64_LEN : 0);
	measured = *b;
	encode_stub(&measured, stub, b->other); /* its length is what the copy's place is */
	encode_stub(b, stub, other ? b->other : encode_here(&measured.e));
	if (b->pac)
		encode_u32(&b->e, b->pac);
	stub->copy = encode_here(&b->e);
	error = aarch64_displace(code, code_len, stub->function, stub->copy, &stub->displaced,
				 err);
	if (error)
		return error;
	for (uint32_t i = 0; i < stub->displaced.copy_len; i += A64_LEN)
		encode_u32(&b->e, a64_read(stub->displaced.copy + i));
	encode_b(&patch, stub->entry);
	if (patch.out_of_reach)
		return err_set(err, -ERANGE,
			       "0x%" PRIx64 " is too far from 0x%" PRIx64 " for a branch",
			       stub->entry, stub->function);
	return 0;
}

static void header_write(struct stub_area *area)
{
	memset(area->bytes, 0, HEADER_LEN);
	memcpy(area->bytes, aarch64_magic, AARCH64_MAGIC_LEN);
	for (int i = 0; i < 4; i++)
		area->bytes[AARCH64_MAGIC_LEN + i] = (uint8_t)(area->len >> (8 * i));
}

int aarch64_stubs_build(struct stub_area *area, int signo, struct stub *stubs, size_t count,
			const uint8_t *const *code, const size_t *code_len, size_t *failed,
			struct err *err)
{
	size_t room = area->room < sizeof(area->bytes) ? area->room : sizeof(area->bytes);
	struct building b = {
		.e = {.bytes = area->bytes, .room = room & ~(size_t)3, .base = area->base},
		.area = area,
		.stubs = stubs,
		.code = code};
	int error;

	if (signo < 1 || signo > LAST_STANDARD_SIGNAL)
		return err_set(err, -EINVAL, "signal %d can't be a soft trap's", signo);
	for (int i = 0; i < HEADER_LEN; i += A64_LEN)
		encode_u32(&b.e, 0);
	encode_gate(&b.e, area);
	area->trap.begin = encode_here(&b.e);
	area->trap.open = area->trap.begin + TRAP_OPEN_AT * A64_LEN;
	area->trap.pc = area->trap.begin + TRAP_PC_AT * A64_LEN;
	area->trap.done = area->trap.skip = area->trap.begin + TRAP_DONE_AT * A64_LEN;
	area->trap.to_break = area->trap.hard = area->trap.hard_pc = 0;
	encode_trap(&b.e, area->process, signo);
	error = stubs_build_each(&b.e, stubs, count, code, code_len, build_one, &b, failed, err);
	if (error)
		return error;
	if (b.e.full)
		return err_set(err, -ENOSPC, "the trap does not fit in %zu bytes", room);
	area->len = (uint32_t)b.e.len;
	header_write(area);
	return 0;
}

/* One instruction, so that a thread anywhere within the trap goes on through the rest. */
uint32_t aarch64_trap_disarm(uint8_t *ret)
{
	for (int i = 0; i < A64_LEN; i++)
		ret[i] = (uint8_t)((uint32_t)RET >> (8 * i));
	return A64_LEN;
}

taddr_t aarch64_patch_target(const uint8_t *code, taddr_t function)
{
	struct a64_insn insn = a64_decode(a64_read(code));

	return insn.kind == A64_B && function % A64_LEN == 0 ? function + (taddr_t)insn.rel : 0;
}

/* How far an instruction of ours moves the word with the return address away from sp. */
static int pushed_by(uint32_t code)
{
	switch (code) {
	case TRAP_SAVE_LR: /* sp was moved before, but x30 was not on the stack */
		return 80;
	case TRAP_LEAVE:
		return -80;
	case PUSH_X2_LR:
	case PUSH_X0_X1:
	case PUSH_X16_LR:
		return 16;
	case POP_X2_LR:
	case POP_X0_X1:
	case POP_X16_LR:
		return -16;
	case DROP_FRAME:
		return -32;
	case RET: /* behind it: STUB_INSTEAD, the other way */
		return 32;
	}
	return 0;
}

int aarch64_stub_frame(const struct stub_area *area, const struct stub *stub, taddr_t pc,
		       bool called)
{
	bool gate = !stub && pc < area->trap.begin;
	size_t at = (stub ? stub->entry : gate ? area->gate : area->trap.begin) - area->base;
	size_t end = stub   ? stub->copy - area->base
		     : gate ? area->trap.begin - area->base
			    : at + sizeof(trap_code);
	size_t until = pc - area->base;
	int pushed = 0;

	(void)called; /* the trap leaves sp as it was */
	if (gate && area->agent && pc == area->gate - GATE_AT * A64_LEN)
		return 8; /* known */
	if (until < at || until >= end || end > area->len)
		return -ENOENT;
	for (; at < until; at += A64_LEN)
		pushed += pushed_by(a64_read(area->bytes + at));
	/* Where nothing is pushed the return address is in x30 alone. */
	return pushed ? pushed - 8 : -ENOENT;
}
