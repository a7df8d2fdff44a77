/*
 * The stubs: how a patched function is entered and left so that one stop shows its
 * arguments, its result and its caller's stack.
 *
 *    STUB_RETURN            STUB_ENTRY             STUB_BOTH
 *      push                   push                   push
 *      jal copy               jal trap               jal trap
 *      jal trap               ld ra, 24(sp)          jal copy
 *      ld ra, 24(sp)          addi sp, sp, 32        jal trap
 *      addi sp, sp, 32        copy...                ld ra, 24(sp)
 *      ret                                           addi sp, sp, 32
 *      copy...                                       ret
 *                                                    copy...
 *    push: addi sp, sp, -32; sd ra, 24(sp); sd a0, 0(sp); sd a1, 8(sp); sd a2, 16(sp)
 *
 * Where the function's first instruction stays in front of the patch (stay.c) and has lowered sp,
 * the stub begins with addi sp, sp, by as much.
 *
 *    STUB_INSTEAD: as STUB_RETURN with
 *      [ld a0, 8(sp); ld a1, 0(sp)]; jal the other function's copy; beq a0, x0, 1f
 *      jal trap ... ret
 *    1: ld a0, 0(sp); ld a1, 8(sp); ld a2, 16(sp); ld ra, 24(sp); addi sp, sp, 32
 *      copy...
 *
 * A patch is `jal x0, stub`; where that is more than a megabyte away, `auipc t1; jalr x0, t1`.  t1 is
 * free where a function begins: a PLT entry has changed it (RISC-V ABIs Specification 1.0, "Procedure
 * Linkage Table"), and a compiler that looks into a function before it calls it (gcc's -fipa-ra) takes
 * t1 for changed where a function of another file is called in the end, as all of ours do.
 *
 * A call leaves the return address in ra; it becomes the last word of the stub's frame: the
 * caller's sp is behind it, as on x86.
 *
 * The stack in the trap at trap.pc, one word a line, sp at the lowest:
 *
 *    +0    the signal set to unblock
 *    +8    the thread's signal mask
 *    +16   a0 (return side: the result), a1, a2, a3
 *    +48   a7
 *    +56   ra, site: return address into the stub
 *    +64   a4, and a word that is not used
 *    +80   the first three arguments, pushed by the stub
 *    +104  return address into the caller
 *
 * and a4 = a0 as it was, a3 = the mask, ra = site.  A system call changes a0 and nothing else
 * (arch/riscv/kernel/entry.S: all of pt_regs is loaded again), so every register is left alone,
 * as x86_64/stub.c says; but for the vector registers of the V extension, which a system call
 * is free to change (Documentation/arch/riscv/vector.rst, 3), as a function is by the ABI.
 *
 * Written code reaches the instruction stream by the kernel's hand: /proc/PID/mem and
 * PTRACE_POKEDATA copy with copy_to_user_page(), which flushes the instruction cache of all
 * harts (arch/riscv/include/asm/cacheflush.h).
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "arch/riscv64/encode.h"
#include "arch/riscv64/insn.h"
#include "arch/riscv64/riscv64.h"
#include "arch/stubs_build.h"

enum {
	HEADER_LEN = 16,
	LAST_STANDARD_SIGNAL = 31,
	TRAP_FRAME = 80,
	STUB_FRAME = 32,
	AT_SET = 0,
	AT_MASK = 8,
	AT_SAVED = 16,
	AT_SAVED_A7 = 48,
	AT_SAVED_RA = 56,
	AT_SAVED_A4 = 64,
	STUB_AT_RA = 24,

	RA = RV_RA,
	SP = RV_SP,
	A0 = RV_A0,
	A1,
	A2,
	A3,
	A4,
	A7 = 17,

	NOP = 0x00000013,
	RET = 0x00008067,
	ECALL = 0x00000073,
	LUI_A0 = 0x00000537,
	ADDIW_A0_A0 = 0x0005051b,
	SLLI_A7_A7 = 0x00089893,
	ENTER_TRAP = 0xfb010113, /* addi sp, sp, -80 */
	LEAVE_TRAP = 0x05010113, /* addi sp, sp, 80 */
	ENTER_STUB = 0xfe010113, /* addi sp, sp, -32 */
	LEAVE_STUB = 0x02010113, /* addi sp, sp, 32 */
	SAVE_RA = 0x02113c23,	 /* sd ra, 56(sp): of the trap */
	STUB_SAVE_RA = 0x00113c23, /* sd ra, 24(sp) */

	NR_RT_SIGPROCMASK = 135,
	NR_GETTID = 178,
	NR_TKILL = 130,
	NR_TGKILL = 131,
	SIG_UNBLOCK_ = 1,
	SIG_SETMASK_ = 2,
	SET_SIZE = 8,
};

/* The last byte is the version of the layout. */
const uint8_t riscv64_magic[RISCV64_MAGIC_LEN] = {'m', 'e', 'm', 't', 'r', 'c', 0, 1};

static void encode_li(struct encoder *e, unsigned reg, int32_t value)
{
	encode_addi(e, reg, RV_X0, value);
}

static void encode_syscall(struct encoder *e, int32_t number)
{
	encode_li(e, A7, number);
	encode_u32(e, ECALL);
}

/* process, or, of a trap for whoever comes, as many instructions that do nothing */
static void encode_process(struct encoder *e, uint32_t process)
{
	uint32_t upper = (process + 0x800) & 0xfffff000;

	encode_u32(e, process ? (uint32_t)LUI_A0 | upper : (uint32_t)NOP);
	encode_u32(e, process ? (uint32_t)ADDIW_A0_A0 | (process - upper) << 20 : (uint32_t)NOP);
}

/* Up to the signal: the signal is unblocked, the mask kept. */
static void encode_unblock(struct encoder *e, int signo)
{
	encode_u32(e, (uint32_t)ENTER_TRAP);
	encode_store(e, A7, AT_SAVED_A7);
	encode_u32(e, (uint32_t)SAVE_RA);
	for (unsigned i = 0; i < 4; i++)
		encode_store(e, A0 + i, AT_SAVED + 8 * i);
	encode_store(e, A4, AT_SAVED_A4);
	encode_li(e, A7, 1);
	encode_u32(e, (uint32_t)SLLI_A7_A7 | (uint32_t)(signo - 1) << 20);
	encode_store(e, A7, AT_SET);
	encode_li(e, A0, SIG_UNBLOCK_);
	encode_addi(e, A1, SP, AT_SET);
	encode_addi(e, A2, SP, AT_MASK);
	encode_li(e, A3, SET_SIZE);
	encode_syscall(e, NR_RT_SIGPROCMASK);
}

static void encode_signal(struct encoder *e, uint32_t process, int signo)
{
	encode_syscall(e, NR_GETTID);
	encode_addi(e, process ? A1 : A0, A0, 0);
	encode_li(e, process ? A2 : A1, signo);
	encode_process(e, process);
	encode_load(e, A4, AT_SAVED);
	encode_load(e, A3, AT_MASK);
	encode_syscall(e, process ? NR_TGKILL : NR_TKILL);
}

static void encode_mask_back(struct encoder *e)
{
	encode_li(e, A0, SIG_SETMASK_);
	encode_addi(e, A1, SP, AT_MASK);
	encode_li(e, A2, 0);
	encode_li(e, A3, SET_SIZE);
	encode_syscall(e, NR_RT_SIGPROCMASK);
}

static void encode_leave(struct encoder *e)
{
	for (unsigned i = 0; i < 4; i++)
		encode_load(e, A0 + i, AT_SAVED + 8 * i);
	encode_load(e, A4, AT_SAVED_A4);
	encode_load(e, A7, AT_SAVED_A7);
	encode_load(e, RA, AT_SAVED_RA);
	encode_u32(e, (uint32_t)LEAVE_TRAP);
	encode_u32(e, (uint32_t)RET);
}

static void encode_trap(struct encoder *e, uint32_t process, int signo, struct trap_place *ret)
{
	ret->begin = encode_here(e);
	encode_unblock(e, signo);
	ret->open = encode_here(e);
	encode_signal(e, process, signo);
	ret->pc = encode_here(e);
	encode_mask_back(e);
	ret->done = ret->skip = encode_here(e);
	encode_leave(e);
	ret->to_break = ret->hard = ret->hard_pc = 0;
}

void riscv64_trap_change_signal(struct stub_area *area, int signo)
{
	struct encoder e = {.bytes = area->bytes,
			    .room = area->len,
			    .len = (size_t)(area->trap.begin - area->base),
			    .base = area->base};
	struct trap_place same;

	encode_trap(&e, area->process, signo, &same);
}

struct building {
	struct encoder e;
	taddr_t trap;
	taddr_t other; /* STUB_INSTEAD: where what it runs is called */
	bool stay;     /* if possible, the first instruction in its place */
};

static void encode_push(struct encoder *e)
{
	encode_u32(e, (uint32_t)ENTER_STUB);
	encode_u32(e, (uint32_t)STUB_SAVE_RA);
	for (unsigned i = 0; i < 3; i++)
		encode_store(e, A0 + i, 8 * i);
}

static void encode_pop(struct encoder *e)
{
	encode_load(e, RA, STUB_AT_RA);
	encode_u32(e, (uint32_t)LEAVE_STUB);
}

/* Of STUB_INSTEAD, behind the call of the other: where it has failed, past the return. */
static void encode_unless_failed(struct encoder *e)
{
	encode_branch(e, 0, A0, RV_X0, encode_here(e) + 5u * RV_LEN);
}

/* Up to the copy.  callee: where the copy, or the other function's, is called. */
static void encode_stub(struct building *b, struct stub *stub, taddr_t callee)
{
	struct encoder *e = &b->e;

	stub->payload_entry = stub->payload_return = stub->copy_return = 0;
	stub->entry = encode_here(e);
	if (stub->lowered)
		encode_addi(e, SP, SP, (int32_t)stub->lowered);
	encode_push(e);
	if (stub->kind == STUB_ENTRY || stub->kind == STUB_BOTH) {
		encode_jal(e, RA, b->trap);
		stub->payload_entry = encode_here(e);
	}
	if (stub->kind == STUB_ENTRY) {
		encode_pop(e);
		return;
	}
	if (stub->kind == STUB_INSTEAD && stub->swap) {
		encode_load(e, A0, 8);
		encode_load(e, A1, 0);
	}
	encode_jal(e, RA, callee);
	stub->copy_return = encode_here(e);
	if (stub->kind == STUB_INSTEAD)
		encode_unless_failed(e);
	encode_jal(e, RA, b->trap);
	stub->payload_return = encode_here(e);
	encode_pop(e);
	encode_u32(e, (uint32_t)RET);
	if (stub->kind == STUB_INSTEAD) {
		for (unsigned i = 0; i < 3; i++)
			encode_load(e, A0 + i, 8 * i);
		encode_pop(e);
	}
}

/* Stub and copy of one function, at the encoder's place, with the first stub->stays bytes left in
 * theirs. */
static int build_with(struct building *b, struct stub *stub, const uint8_t *code, size_t code_len,
		      struct err *err)
{
	struct building measured = *b;
	uint32_t patch_len = rv_reaches(stub_patch_at(stub), encode_here(&b->e))
				     ? RISCV64_PATCH_LEN
				     : RISCV64_FAR_PATCH_LEN;
	int error;

	encode_stub(&measured, stub, b->other); /* its length is what the copy's place is */
	encode_stub(b, stub,
		    stub->kind == STUB_INSTEAD ? b->other : encode_here(&measured.e));
	stub->copy = encode_here(&b->e);
	error = riscv64_displace_more(code, code_len, stub->function, stub->copy,
				      stub->stays + patch_len, &stub->displaced, err);
	if (error == -ENOTSUP && patch_len > RISCV64_PATCH_LEN) /* nearer, fewer bytes are covered */
		return -ERANGE;
	if (error)
		return error;
	encode_bytes(&b->e, stub->displaced.copy, stub->displaced.copy_len);
	while (b->e.len % RV_LEN && !b->e.full)
		encode_bytes(&b->e, (const uint8_t[]){0, 0}, RV_SHORT);
	return 0;
}

/* The same, as good as it can be, and the patch. */
static int build_one(void *arg, struct stub *stub, const struct stub *other, const uint8_t *code,
		     size_t code_len, struct err *err)
{
	struct building *b = arg;
	struct encoder patch = {.bytes = stub->patch, .room = sizeof(stub->patch)};
	struct encoder before = b->e;
	int error = -ENOTSUP;

	b->other = other ? other->copy : 0;
	stub->stays = stub->lowered = 0;
	if (b->stay && riscv64_overwrites(code, code_len) != RV_T1 && /* (which a far patch changes) */
	    riscv64_can_stay(code, code_len, stub->nothing_for_0, &stub->stays, &stub->lowered))
		error = build_with(b, stub, code, code_len, err);
	if (error) {
		b->e = before;
		stub->stays = stub->lowered = 0;
		error = build_with(b, stub, code, code_len, err);
	}
	if (error)
		return error;
	patch.base = stub_patch_at(stub);
	if (rv_reaches(patch.base, stub->entry))
		encode_j(&patch, stub->entry);
	else
		encode_far_j(&patch, RV_T1, stub->entry);
	if (patch.out_of_reach)
		return err_set(err, -ERANGE, "0x%" PRIx64 " is too far from 0x%" PRIx64 " for a jump",
			       stub->entry, stub->function);
	return 0;
}

static void header_write(struct stub_area *area)
{
	memset(area->bytes, 0, HEADER_LEN);
	memcpy(area->bytes, riscv64_magic, RISCV64_MAGIC_LEN);
	for (int i = 0; i < 4; i++)
		area->bytes[RISCV64_MAGIC_LEN + i] = (uint8_t)(area->len >> (8 * i));
}

static int build_all(struct stub_area *area, int signo, struct stub *stubs, size_t count, bool stay,
		     const uint8_t *const *code, const size_t *code_len, size_t *failed,
		     struct err *err)
{
	size_t room = area->room < sizeof(area->bytes) ? area->room : sizeof(area->bytes);
	struct building b = {
		.e = {.bytes = area->bytes, .room = room & ~(size_t)3, .base = area->base},
		.stay = stay};
	int error;

	if (signo < 1 || signo > LAST_STANDARD_SIGNAL)
		return err_set(err, -EINVAL, "signal %d can't be a soft trap's", signo);
	for (int i = 0; i < HEADER_LEN; i += RV_LEN)
		encode_u32(&b.e, 0);
	encode_trap(&b.e, area->process, signo, &area->trap);
	b.trap = area->trap.begin;
	error = stubs_build_each(&b.e, stubs, count, code, code_len, build_one, &b, failed, err);
	if (error)
		return error;
	if (b.e.full)
		return err_set(err, -ENOSPC, "the trap does not fit in %zu bytes", room);
	area->len = (uint32_t)b.e.len;
	header_write(area);
	return 0;
}

int riscv64_stubs_build(struct stub_area *area, int signo, struct stub *stubs, size_t count,
			const uint8_t *const *code, const size_t *code_len, size_t *failed,
			struct err *err)
{
	int error = build_all(area, signo, stubs, count, true, code, code_len, failed, err);

	/* What stays takes some bytes more. */
	return error == -ENOSPC
		       ? build_all(area, signo, stubs, count, false, code, code_len, failed, err)
		       : error;
}

/* One instruction, so that a thread anywhere within the trap goes on through the rest. */
uint32_t riscv64_trap_disarm(uint8_t *ret)
{
	for (int i = 0; i < RV_LEN; i++)
		ret[i] = (uint8_t)((uint32_t)RET >> (8 * i));
	return RV_LEN;
}

bool riscv64_is_far_patch(const uint8_t *code)
{
	struct rv_insn upper, jump;

	return rv_decode(code, RV_LEN, &upper) && rv_decode(code + RV_LEN, RV_LEN, &jump) &&
	       upper.kind == RV_AUIPC && upper.reg == RV_T1 && jump.kind == RV_JR &&
	       jump.base == RV_T1 && jump.len == RV_LEN;
}

taddr_t riscv64_patch_target(const uint8_t *code, taddr_t function)
{
	struct rv_insn insn, jump;

	if (function % RV_SHORT || !rv_decode(code, RV_LEN, &insn) || insn.len != RV_LEN)
		return 0;
	if (riscv64_is_far_patch(code) && rv_decode(code + RV_LEN, RV_LEN, &jump))
		return function + (taddr_t)insn.rel + (taddr_t)(int64_t)jump.value;
	return insn.kind == RV_J ? function + (taddr_t)insn.rel : 0;
}

/* How far an instruction of ours moves the word with the return address away from sp: it is on
 * the stack once ra was saved. */
static int pushed_by(uint32_t code)
{
	switch (code) {
	case SAVE_RA:
		return TRAP_FRAME;
	case LEAVE_TRAP:
		return -TRAP_FRAME;
	case STUB_SAVE_RA:
		return STUB_FRAME;
	case LEAVE_STUB:
		return -STUB_FRAME;
	case RET: /* behind it: STUB_INSTEAD, the other way */
		return STUB_FRAME;
	}
	return 0;
}

int riscv64_stub_frame(const struct stub_area *area, const struct stub *stub, taddr_t pc,
		       bool called)
{
	size_t at = (stub ? stub->entry : area->trap.begin) - area->base;
	size_t trap_len = area->trap.done - area->trap.begin + 9u * RV_LEN; /* encode_leave() */
	size_t end = stub ? stub->copy - area->base : at + trap_len;
	size_t until = pc - area->base;
	int pushed = 0;

	(void)called; /* the trap leaves sp as it was */
	if (until < at || until >= end || end > area->len)
		return -ENOENT;
	if (stub && stub->lowered && until > at)
		at += RV_LEN; /* behind it sp is as it was */
	for (; at < until; at += RV_LEN)
		pushed += pushed_by(rv_read(area->bytes + at));
	/* Where nothing is pushed the return address is in ra alone. */
	return pushed ? pushed - 8 : -ENOENT;
}
