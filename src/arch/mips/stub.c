/*
 * The stubs: how a patched function is entered and left so that one stop shows its
 * arguments, its result and its caller's stack.
 *
 *    STUB_RETURN              STUB_ENTRY               STUB_BOTH
 *      addiu sp, sp, -32        addiu sp, sp, -32        addiu sp, sp, -32
 *      sw ra, 28(sp)            sw ra, 28(sp)            sw ra, 28(sp)
 *      sw a0, 16(sp)            sw a0, 16(sp)            sw a0, 16(sp)
 *      sw a1, 20(sp)            sw a1, 20(sp)            sw a1, 20(sp)
 *      bal copy                 bal trap                 bal trap
 *       sw a2, 24(sp)            sw a2, 24(sp)            sw a2, 24(sp)
 *      bal trap                 lw ra, 28(sp)            bal copy
 *       nop                     addiu sp, sp, 32          nop
 *      lw ra, 28(sp)            copy...                  bal trap
 *      jr ra                                              nop
 *       addiu sp, sp, 32                                 lw ra, 28(sp); jr ra
 *      copy...                                            addiu sp, sp, 32
 *                                                        copy...
 *    STUB_INSTEAD: as STUB_RETURN with
 *      [a0 <-> a1]; t9 = the other function; bal the other's copy; beqz v0, 1f
 *      bal trap ... jr ra
 *    1: a0, a1, a2, ra, sp as they were; t9 = the function
 *      copy...
 *
 * The return address is the last word of the stub's frame, so the caller's sp is behind it, as
 * on x86.  The four words at its lower end are what the ABI (o32) has a caller leave to a function
 * for its arguments.  Of a function with more than four arguments those on the stack are put there
 * once more, as many as there may be, in front of the call of the copy: ra is free for that.
 *
 * t9 is the function's address where that is position independent, and is left alone.  Where
 * another function is run instead it is set; so t9 may be another at the function's own copy
 * than it was at the call, if that was a direct one: code that looks at t9 has it from its ABI.
 *
 * The stack in the trap at trap.pc, one word a line, sp at the lowest:
 *
 *    +0    the thread's signal mask (four words: there are 128 signals)
 *    +16   the signal set to unblock (four words)
 *    +32   v0, v1: the result, on the return side
 *    +40   a0, a1, a2, a3
 *    +56   at, t0 ... t9
 *    +100  hi, lo
 *    +108  site: return address into the stub
 *    +112  room for the arguments of the copy
 *    +128  a0, a1, a2: the first three arguments, by the stub
 *    +140  return address into the caller
 *
 * and t9 = the 1st argument, v1 = the lowest word of the mask, ra = site.  A system call in which
 * the thread stops changes at, t0 to t8, hi and lo, of which the kernel keeps nothing
 * (arch/mips/include/asm/stackframe.h, SAVE_SOME), and v0 and a3.
 *
 * Written code reaches the instruction stream by the kernel's hand: access_remote_vm() copies by
 * copy_to_user_page() (arch/mips/mm/init.c), which for an executable mapping flushes it
 * (flush_cache_page()) on all cores.
 */
#include "arch/mips/mips.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "arch/mips/encode.h"
#include "arch/mips/insn.h"
#include "arch/stubs_build.h"

enum { HEADER_LEN = 16, LAST_STANDARD_SIGNAL = 31 };

/* The last byte is the version of the layout. */
const uint8_t mips_magic[MIPS_MAGIC_LEN] = {'m', 'e', 'm', 't', 'r', 'c', 0, 1};

enum {
	NOP = 0,
	STUB_FRAME = 32,
	AT_RETURN = 28, /* in it */
	TRAP_FRAME = 112,
	AT_SITE = 108, /* in it */
	ARGUMENTS = 4, /* on the stack, at most */
	SIG_UNBLOCK_ = 2, /* arch/mips/include/uapi/asm/signal.h */
	SIG_SETMASK_ = 3,
	SIGNAL_SET = 16,
	NR_RT_SIGPROCMASK = 4195,
	NR_GETTID = 4222,
	NR_TKILL = 4236,
	NR_TGKILL = 4266,
	BEQZ_V0 = 0x10400000,
};

#define TRAP_SAVED(op)                                                                          \
	op(MIPS_V1, 36), op(MIPS_A0, 40), op(MIPS_A1, 44), op(MIPS_A2, 48), op(MIPS_A3, 52),    \
		op(MIPS_AT, 56), op(8, 60), op(9, 64), op(10, 68), op(11, 72), op(12, 76),      \
		op(13, 80), op(14, 84), op(15, 88), op(24, 92), op(MIPS_T9, 96)

static const uint32_t trap_code[] = {
	NOP, /* disarm() makes it a return, */
	NOP, /* .. whose delay slot this is */
	MIPS_ADD_SP(-TRAP_FRAME),
	MIPS_SW(MIPS_RA, AT_SITE),
	MIPS_SW(MIPS_V0, 32),
	TRAP_SAVED(MIPS_SW),
	0x00001010, /* mfhi v0 */
	MIPS_SW(MIPS_V0, 100),
	0x00001012, /* mflo v0 */
	MIPS_SW(MIPS_V0, 104),
	0, /* v0 = 1 << (signo - 1) */
	MIPS_SW(MIPS_V0, 16),
	MIPS_SW(MIPS_ZERO, 20),
	MIPS_SW(MIPS_ZERO, 24),
	MIPS_SW(MIPS_ZERO, 28),
	MIPS_LI(MIPS_A0, SIG_UNBLOCK_),
	0x27a50010, /* addiu a1, sp, 16 */
	MIPS_MOVE(MIPS_A2, MIPS_SP),
	MIPS_LI(MIPS_A3, SIGNAL_SET),
	MIPS_LI(MIPS_V0, NR_RT_SIGPROCMASK),
	MIPS_SYSCALL,
	/* trap.open */
	MIPS_LI(MIPS_V0, NR_GETTID),
	MIPS_SYSCALL,
	MIPS_MOVE(MIPS_A1, MIPS_V0),
	0, /* a2 = signo */
	0, /* a0 = process, its upper half */
	0, /* .. and its lower one */
	MIPS_LW(MIPS_V1, 0),
	MIPS_LW(MIPS_T9, 40),
	0, /* v0 = tgkill */
	MIPS_SYSCALL,
	/* trap.pc */
	MIPS_LI(MIPS_A0, SIG_SETMASK_),
	MIPS_MOVE(MIPS_A1, MIPS_SP),
	MIPS_MOVE(MIPS_A2, MIPS_ZERO),
	MIPS_LI(MIPS_A3, SIGNAL_SET),
	MIPS_LI(MIPS_V0, NR_RT_SIGPROCMASK),
	MIPS_SYSCALL,
	/* trap.done */
	MIPS_LW(MIPS_V0, 100),
	0x00400011, /* mthi v0 */
	MIPS_LW(MIPS_V0, 104),
	0x00400013, /* mtlo v0 */
	MIPS_LW(MIPS_V0, 32),
	TRAP_SAVED(MIPS_LW),
	MIPS_LW(MIPS_RA, AT_SITE),
	MIPS_JR_RA,
	MIPS_ADD_SP(TRAP_FRAME),
};

enum { /* in trap_code */
       TRAP_SAVES = 5,
       TRAP_SAVED_COUNT = 16,
       TRAP_SET = TRAP_SAVES + TRAP_SAVED_COUNT + 4,
       TRAP_OPEN = TRAP_SET + 11,
       TRAP_TID = TRAP_OPEN + 2,
       TRAP_SIGNO,
       TRAP_PROCESS,
       TRAP_PROCESS_LOW,
       TRAP_CALL = TRAP_PROCESS_LOW + 3,
       TRAP_PC = TRAP_CALL + 2,
       TRAP_DONE = TRAP_PC + 6,
};
_Static_assert(ARRAY_SIZE(trap_code) == TRAP_DONE + 5 + TRAP_SAVED_COUNT + 3, "its places");

/* Instruction i of the trap that sends signo to a thread of the process; 0: to whoever comes. */
static uint32_t trap_insn(size_t i, uint32_t process, int signo)
{
	unsigned bit = (unsigned)signo - 1;

	switch (i) {
	case TRAP_SET:
		return bit < 16 ? MIPS_ORI(0, 1u << bit) | MIPS_V0 << 16
				: MIPS_LUI(MIPS_V0, 1u << (bit - 16));
	case TRAP_TID:
		return process ? trap_code[i] : MIPS_MOVE(MIPS_A0, MIPS_V0);
	case TRAP_SIGNO:
		return MIPS_LI(process ? MIPS_A2 : MIPS_A1, (uint32_t)signo);
	case TRAP_PROCESS:
		return process ? MIPS_LUI(MIPS_A0, process >> 16) : NOP;
	case TRAP_PROCESS_LOW:
		return process ? MIPS_ORI(MIPS_A0, process & 0xffff) : NOP;
	case TRAP_CALL:
		return MIPS_LI(MIPS_V0, process ? NR_TGKILL : NR_TKILL);
	}
	return trap_code[i];
}

static void encode_trap(struct encoder *e, uint32_t process, int signo)
{
	for (size_t i = 0; i < ARRAY_SIZE(trap_code); i++)
		encode_word(e, trap_insn(i, process, signo));
}

void mips_trap_change_signal(struct stub_area *area, int signo)
{
	struct encoder e = {.bytes = area->bytes,
			    .room = area->len,
			    .len = (size_t)(area->trap.begin - area->base),
			    .base = area->base};

	encode_trap(&e, area->process, signo);
}

/* ---- stubs -------------------------------------------------------------- */

static void encode_call(struct encoder *e, taddr_t target, uint32_t slot)
{
	encode_bal(e, target);
	encode_word(e, slot);
}

static void encode_return(struct encoder *e)
{
	encode_word(e, MIPS_LW(MIPS_RA, AT_RETURN));
	encode_word(e, MIPS_JR_RA);
	encode_word(e, MIPS_ADD_SP(STUB_FRAME));
}

/* The call of the copy, with the caller's arguments on the stack in front of it. */
static void encode_call_on_stack(struct encoder *e, taddr_t copy)
{
	const uint32_t room = 4 * ARGUMENTS; /* for those in registers */

	encode_word(e, MIPS_ADD_SP(-2 * (int)room));
	for (uint32_t i = 0; i < ARGUMENTS; i++) {
		encode_word(e, MIPS_LW(MIPS_RA, 2 * room + STUB_FRAME + room + 4 * i));
		encode_word(e, MIPS_SW(MIPS_RA, room + 4 * i));
	}
	encode_call(e, copy, NOP);
}

/* Behind its call: how far to the copy if it failed. */
enum { INSTEAD_SKIP = 6, /* from the delay slot, to behind encode_return() */ };

static void encode_instead(struct encoder *e, taddr_t trap, const struct stub *other,
			   struct stub *stub)
{
	encode_word(e, MIPS_SW(MIPS_A2, 24));
	if (stub->swap) {
		encode_word(e, MIPS_LW(MIPS_A0, 20));
		encode_word(e, MIPS_LW(MIPS_A1, 16));
	}
	encode_li(e, MIPS_T9, (uint32_t)other->function);
	encode_call(e, other->copy, NOP);
	stub->copy_return = encode_here(e);
	encode_word(e, BEQZ_V0 | INSTEAD_SKIP);
	encode_word(e, NOP);
	encode_call(e, trap, NOP);
	stub->payload_return = encode_here(e);
	encode_return(e);
	encode_word(e, MIPS_LW(MIPS_A0, 16));
	encode_word(e, MIPS_LW(MIPS_A1, 20));
	encode_word(e, MIPS_LW(MIPS_A2, 24));
	encode_word(e, MIPS_LW(MIPS_RA, AT_RETURN));
	encode_li(e, MIPS_T9, (uint32_t)stub->function);
	encode_word(e, MIPS_ADD_SP(STUB_FRAME));
}

/* Up to the copy, which is at stub->copy. */
static void encode_stub(struct encoder *e, taddr_t trap, const struct stub *other,
			struct stub *stub)
{
	uint32_t slot = MIPS_SW(MIPS_A2, 24);

	stub->entry = encode_here(e);
	stub->payload_entry = stub->payload_return = stub->copy_return = 0;
	encode_word(e, MIPS_ADD_SP(-STUB_FRAME));
	encode_word(e, MIPS_SW(MIPS_RA, AT_RETURN));
	encode_word(e, MIPS_SW(MIPS_A0, 16));
	encode_word(e, MIPS_SW(MIPS_A1, 20));
	if (stub->kind == STUB_INSTEAD) {
		encode_instead(e, trap, other, stub);
		return;
	}
	if (stub->kind != STUB_RETURN) {
		encode_call(e, trap, slot);
		stub->payload_entry = encode_here(e);
		slot = NOP;
	}
	if (stub->kind == STUB_ENTRY) {
		encode_word(e, MIPS_LW(MIPS_RA, AT_RETURN));
		encode_word(e, MIPS_ADD_SP(STUB_FRAME));
		return;
	}
	if (stub->on_stack) {
		encode_word(e, slot);
		encode_call_on_stack(e, stub->copy);
	} else {
		encode_call(e, stub->copy, slot);
	}
	stub->copy_return = encode_here(e);
	if (stub->on_stack)
		encode_word(e, MIPS_ADD_SP(8 * ARGUMENTS));
	encode_call(e, trap, NOP);
	stub->payload_return = encode_here(e);
	encode_return(e);
}

struct building {
	struct encoder *e;
	taddr_t trap;
};

/* Stub, copy and patch of one function, at the encoder's place. */
static int build_one(void *arg, struct stub *stub, const struct stub *other, const uint8_t *code,
		     size_t code_len, struct err *err)
{
	const struct building *b = arg;
	struct encoder *e = b->e;
	struct encoder patch = {
		.bytes = stub->patch, .room = sizeof(stub->patch), .base = stub->function};
	struct encoder measured = *e;
	int error;

	stub->copy = encode_here(e);
	encode_stub(&measured, b->trap, other, stub); /* its length is what the copy's place is */
	stub->copy = encode_here(&measured);
	encode_stub(e, b->trap, other, stub);
	error = mips_displace(code, code_len, stub->function | stub->thumb, stub->copy,
			      &stub->displaced, err);
	if (error)
		return error;
	encode_bytes(e, stub->displaced.copy, stub->displaced.copy_len);
	encode_j(&patch, stub->entry);
	encode_word(&patch, NOP);
	if (patch.out_of_reach || e->out_of_reach)
		return err_set(err, -ERANGE,
			       "0x%" PRIx64 " is not in the same 256 MB as 0x%" PRIx64,
			       stub->entry, stub->function);
	return 0;
}

int mips_stubs_build(struct stub_area *area, int signo, struct stub *stubs, size_t count,
		     const uint8_t *const *code, const size_t *code_len, size_t *failed,
		     struct err *err)
{
	size_t room = area->room < sizeof(area->bytes) ? area->room : sizeof(area->bytes);
	struct encoder e = {
		.bytes = area->bytes, .room = room & ~(size_t)3, .base = area->base};
	uint8_t header[HEADER_LEN] = {0};
	struct building b = {.e = &e};
	int error;

	if (signo < 1 || signo > LAST_STANDARD_SIGNAL)
		return err_set(err, -EINVAL, "signal %d can't be a soft trap's", signo);
	encode_bytes(&e, header, sizeof(header));
	area->trap.begin = encode_here(&e);
	area->trap.open = area->trap.begin + MIPS_LEN * TRAP_OPEN;
	area->trap.pc = area->trap.begin + MIPS_LEN * TRAP_PC;
	area->trap.done = area->trap.skip = area->trap.begin + MIPS_LEN * TRAP_DONE;
	area->trap.to_break = area->trap.hard = area->trap.hard_pc = 0;
	encode_trap(&e, area->process, signo);
	b.trap = area->trap.begin;
	error = stubs_build_each(&e, stubs, count, code, code_len, build_one, &b, failed, err);
	if (error)
		return error;
	if (e.full)
		return err_set(err, -ENOSPC, "the trap does not fit in %zu bytes", e.room);
	area->len = (uint32_t)e.len;
	memcpy(header, mips_magic, MIPS_MAGIC_LEN);
	memcpy(header + MIPS_MAGIC_LEN, &area->len, sizeof(area->len));
	memcpy(area->bytes, header, sizeof(header));
	return 0;
}

/* Over the first instruction, so a thread further on in the trap goes through the rest. */
uint32_t mips_trap_disarm(uint8_t *ret)
{
	const uint32_t jr_ra = MIPS_JR_RA;

	memcpy(ret, &jr_ra, sizeof(jr_ra));
	return sizeof(jr_ra);
}

taddr_t mips_patch_target(const uint8_t *code, taddr_t function)
{
	struct mips_insn insn;

	if (function % MIPS_LEN)
		return 0;
	insn = mips_decode(mips_read(code), function);
	return insn.kind == MIPS_J && mips_read(code + MIPS_LEN) == NOP ? insn.target : 0;
}

/* ---- their frames ------------------------------------------------------- */

struct frame {
	int pushed; /* bytes below the sp at the entry */
	int saved;  /* the return address, above sp; < 0: it is in ra alone */
};

static void frame_step(struct frame *frame, uint32_t code)
{
	int distance = (int16_t)code;

	if (code >> 16 == MIPS_ADD_SP(0) >> 16) {
		frame->pushed -= distance;
		frame->saved -= frame->saved < 0 ? 0 : distance;
		if (!frame->pushed)
			frame->saved = -1;
	} else if (code >> 16 == MIPS_SW(MIPS_RA, 0) >> 16 && frame->saved < 0) {
		frame->saved = distance;
	}
}

int mips_stub_frame(const struct stub_area *area, const struct stub *stub, taddr_t pc,
		    bool called)
{
	size_t at = (stub ? stub->entry : area->trap.begin) - area->base;
	size_t end = stub ? stub->copy - area->base : at + sizeof(trap_code);
	size_t until = pc - area->base;
	struct frame frame = {0, -1}, before = frame;

	(void)called; /* the trap leaves sp as it was */
	if (until < at || until >= end || end > area->len)
		return -ENOENT;
	for (; at < until; at += MIPS_LEN) {
		uint32_t code = mips_read(area->bytes + at);

		if (code == MIPS_JR_RA)
			before = frame;
		frame_step(&frame, code);
		/* behind a return and its delay slot: STUB_INSTEAD, the other way */
		if (!frame.pushed && at + MIPS_LEN < end && before.pushed)
			frame = before, before = (struct frame){0, -1};
	}
	return frame.saved < 0 ? -ENOENT : frame.saved;
}
