/*
 * The stubs: as on x86-64 (x86_64/stub.c), with what a link register changes.
 *
 *    STUB_RETURN                STUB_ENTRY                 STUB_BOTH
 *      push {r0, r1, r2, lr}      push {r0, r1, r2, lr}      push {r0, r1, r2, lr}
 *      bl copy                    bl trap                    bl trap
 *      bl trap                    copy...                    push {r0, r1, r2, lr}
 *      bx lr                                                 bl copy
 *      copy...                                               bl trap
 *                                                            bx lr
 *                                                            copy...
 *
 * The stub's push puts lr where a call of another CPU would have put the return address:
 * right below the caller's sp, so "the slot, and the CFA a word above it" holds here too.
 * Its 16 bytes keep the stack aligned to 8 as it is at any function's entry.  The trap puts
 * lr back and takes the four words off.
 *
 * Of a function with more than four arguments the stub puts those that are on the stack there
 * once more before it calls the copy, as many as there may be, and takes them off behind it.
 *
 * Everything is A32 code, which every core that runs Linux with an MMU has, made of
 * instructions of ARMv5T.  The patch of a T32 function is a b.w, which stays in T32
 * state, so its stub begins with `bx pc`, the old way to A32 state four bytes on; its
 * copy is called by blx and comes back by the return address, which is even; and where
 * the stub ends in the copy, it goes there by loading pc, which needs no register.
 *
 * The stack in the trap at trap.pc, one word a line, sp at the lowest:
 *
 *    +0    the thread's signal mask (two words)
 *    +8    the signal set to unblock (two words)
 *    +16   r0   1st argument, or the result
 *    +20   r1
 *    +24   r2
 *    +28   r3
 *    +32   r7   the caller's: the register itself holds a system call's number
 *    +36   ip
 *    +40   site: return address into the stub
 *    +44   r0   1st argument, pushed by the stub
 *    +48   r1   2nd
 *    +52   r2   3rd
 *    +56   return address into the caller
 *
 * and ip = the 1st argument, lr = site, r3 = the lower word of the mask.  System calls change r0 alone.
 *
 * Where there is an agent (agent/agent.h) the stubs call a gate in front of the trap, with the
 * stub's number in a pld (which does nothing but to hint) before that call; the agent, called from
 * the gate, finds it through the return address.  All three arguments are in the stub's frame:
 *
 *      pld [pc, #number]              gate:  push {ip, lr}
 *      bl gate                               ldr ip, address of the agent's entry
 *      ...                                   blx ip
 *                                     known: pop {ip, lr}
 *                                            push {lr}; ldr lr, [sp, #16]; ldr pc, [sp], #20
 *                                            address
 *                                     else:  pop {ip, lr}
 *                                     trap:  ...
 *
 * The agent keeps all but ip; it comes back to `else` if the trap is needed (agent/arm/entry.S).
 *
 * Every register and flag is left alone as x86_64/stub.c says, also ip, which a linker's
 * veneer may change before a function's entry, but the function itself need not.
 */
#include "arch/arm/arm.h"

#include <errno.h>
#include <inttypes.h>

#include "arch/arm/encode.h"
#include "arch/arm/insn.h"
#include "arch/stubs_build.h"

enum { HEADER_LEN = 16, LAST_STANDARD_SIGNAL = 31, VENEER_LEN = 4 };

/* The last byte is the version of the layout. */
const uint8_t arm_magic[ARM_MAGIC_LEN] = {'m', 'e', 'm', 't', 'r', 'c', 0, 1};

/* clang-format off */
static const uint32_t trap_code[] = {
	0xe92d508f, /* push {r0, r1, r2, r3, r7, ip, lr} */
	0xe1a0c000, /* mov ip, r0 */
	0xe3a02000, /* mov r2, #(1 << (signo - 1)) */
	0xe3a03000, /* mov r3, #0 */
	0xe92d000c, /* push {r2, r3}: the set */
	0xe24dd008, /* sub sp, sp, #8: room for the mask */
	0xe3a00001, /* mov r0, #SIG_UNBLOCK */
	0xe28d1008, /* add r1, sp, #8 */
	0xe1a0200d, /* mov r2, sp */
	0xe3a03008, /* mov r3, #8: the size of a set */
	0xe3a070af, /* mov r7, #175: rt_sigprocmask */
	0xef000000, /* svc 0 */
	/* trap.open */
	0xe3a070e0, /* mov r7, #224: gettid */
	0xef000000, /* svc 0 */
	0xe1a01000, /* mov r1, r0 */
	0xe3a02000, /* mov r2, #signo */
	0xe59d3000, /* ldr r3, [sp]: the mask, for the tracer */
	0xe59f0030, /* ldr r0, process */
	0xe3a07f43, /* mov r7, #268: tgkill */
	0xef000000, /* svc 0 */
	/* trap.pc */
	0xe3a00002, /* mov r0, #SIG_SETMASK */
	0xe1a0100d, /* mov r1, sp */
	0xe3a02000, /* mov r2, #0 */
	0xe3a03008, /* mov r3, #8 */
	0xe3a070af, /* mov r7, #175: rt_sigprocmask */
	0xef000000, /* svc 0 */
	0xe28dd010, /* add sp, sp, #16 */
	0xe8bd508f, /* pop {r0, r1, r2, r3, r7, ip, lr} */
	/* leave: as right behind the call of the trap */
	0xe52de004, /* push {lr} */
	0xe59de010, /* ldr lr, [sp, #16]: the return address into the caller */
	0xe49df014, /* ldr pc, [sp], #20 */
	0,          /* process */
};
/* clang-format on */

/* In front of the trap, where there is an agent. */
static const uint32_t gate_code[] = {
	0xe92d5000, /* push {ip, lr} */
	0xe59fc010, /* ldr ip, the address of the agent's entry */
	0xe12fff3c, /* blx ip */
	0xe8bd5000, /* pop {ip, lr}: known */
	0xe52de004, /* push {lr}, and as the trap leaves */
	0xe59de010, /* ldr lr, [sp, #16] */
	0xe49df014, /* ldr pc, [sp], #20 */
	0,	    /* the address */
	0xe8bd5000, /* pop {ip, lr}: else */
};

enum { GATE_AGENT = 7, GATE_ELSE = 8 }; /* in gate_code */

enum { /* in trap_code */
       TRAP_SET = 2,
       TRAP_OPEN = 12,
       TRAP_TID = 14,
       TRAP_SIGNO = 15,
       TRAP_LOAD_PROCESS = 17,
       TRAP_CALL = 18,
       TRAP_PC = 20,
       TRAP_DONE = 26,
       TRAP_LEAVE = 28,
       TRAP_PROCESS = 31,
};

enum {
	PUSH_ARGUMENTS = 0xe92d4007, /* push {r0, r1, r2, lr} */
	POP_ARGUMENTS = 0xe8bd4007,  /* pop {r0, r1, r2, lr} */
	BRANCH = 0xea000000,
	BRANCH_LINK = 0xeb000000,
	BX_PC_NOP = 0x46c04778,	   /* T32: bx pc; nop */
	LOAD_PC_NEXT = 0xe51ff004, /* ldr pc, [pc, #-4]: from the word behind it */
	BX_LR = 0xe12fff1e,
	IF_FAILED = 0xe3500000,	     /* cmp r0, #0 */
	SKIP_IF_FAILED = 0x0a000001, /* beq, over the call of the trap and the return */
	OVER_ONE_MORE = 1,	     /* in it: over the number, too */
	FRAME_LEN = 16,		     /* of a stub */
	PLD_PC = 0xf5dff000,	     /* pld [pc, #imm12] */
	NUMBERS = 0x7ff,	     /* in it: a stub's number, and: .. */
	IS_ENTERED = 0x800,	     /* STUB_ENTERED */
};

/* The arguments on the stack once more, for the copy; ip is put back. */
static const uint32_t arguments[] = {
	0xe24dd018, /* sub sp, sp, #24 */
	0xe58dc010, /* str ip, [sp, #16] */
	0xe59dc028, /* ldr ip, [sp, #40]: behind these 24 bytes and FRAME_LEN */
	0xe58dc000, /* str ip, [sp] */
	0xe59dc02c, /* ldr ip, [sp, #44] */
	0xe58dc004, /* str ip, [sp, #4] */
	0xe59dc030, /* ldr ip, [sp, #48] */
	0xe58dc008, /* str ip, [sp, #8] */
	0xe59dc034, /* ldr ip, [sp, #52] */
	0xe58dc00c, /* str ip, [sp, #12] */
	0xe59dc010, /* ldr ip, [sp, #16] */
};
enum { DROP_ARGUMENTS = 0xe28dd018 }; /* add sp, sp, #24 */

static const uint32_t exchange[] = {0xe59d0004, 0xe59d1000}; /* ldr r0, [sp, #4]; ldr r1, [sp] */

/* A single bit as an A32 immediate: 8 bits, rotated right by twice the field. */
static uint32_t bit_immediate(unsigned bit)
{
	return bit < 8 ? 1u << bit : (16 - bit / 2) << 8 | 1u << (bit % 2);
}

/* Instruction i of a trap for whoever comes. */
static uint32_t to_any_insn(size_t i)
{
	switch (i) {
	case TRAP_TID:
	case TRAP_LOAD_PROCESS:
		return 0xe1a00000; /* nop */
	case TRAP_SIGNO:
		return 0xe3a01000; /* mov r1, #signo */
	case TRAP_CALL:
		return 0xe3a070ee; /* mov r7, #238: tkill */
	}
	return trap_code[i];
}

static void encode_trap(struct encoder *e, uint32_t process, int signo)
{
	for (size_t i = 0; i < ARRAY_SIZE(trap_code); i++) {
		uint32_t insn = process ? trap_code[i] : to_any_insn(i);

		if (i == TRAP_SET)
			insn |= bit_immediate((unsigned)signo - 1);
		if (i == TRAP_SIGNO)
			insn |= (uint32_t)signo;
		if (i == TRAP_PROCESS)
			insn = process;
		encode_u32(e, insn);
	}
}

void arm_trap_change_signal(struct stub_area *area, int signo)
{
	struct encoder e = {.bytes = area->bytes,
			    .room = area->len,
			    .len = (size_t)(area->trap.begin - area->base),
			    .base = area->base};

	encode_trap(&e, area->process, signo);
}

static void encode_gate(struct encoder *e, struct stub_area *area)
{
	area->gate = encode_here(e);
	for (size_t i = 0; area->agent && i < ARRAY_SIZE(gate_code); i++)
		encode_u32(e, i == GATE_AGENT ? (uint32_t)area->agent : gate_code[i]);
}

struct building {
	struct encoder *e;
	const struct stub_area *area;
};

/* By way of the agent? */
static bool is_asked(const struct building *b, const struct stub *stub)
{
	return b->area->agent && stub->number && stub->number <= NUMBERS;
}

/* Bytes of a stub before its copy, which has to be known for the call of the copy. */
static size_t stub_len(const struct building *b, const struct stub *stub)
{
	size_t number = is_asked(b, stub);
	size_t begin = 1 + (stub->thumb ? 1 : 0); /* veneer, push */
	size_t into_copy = stub->thumb ? 2 : 0;
	size_t again = stub->on_stack ? ARRAY_SIZE(arguments) + 1 : 0;

	switch (stub->kind) {
	case STUB_ENTRY:
		return 4 * (begin + number + 1 + into_copy);
	case STUB_RETURN:
		return 4 * (begin + again + number + 3);
	case STUB_BOTH:
		return 4 * (begin + again + 2 * number + 5);
	case STUB_INSTEAD:
		return 4 * (begin + (stub->swap ? ARRAY_SIZE(exchange) : 0) + number + 6 +
			    into_copy);
	}
	return 0;
}

static void encode_call(struct encoder *e, taddr_t target, bool thumb)
{
	if (thumb)
		encode_a32_blx(e, target);
	else
		encode_a32_branch(e, BRANCH_LINK, target);
}

/* On into the copy right behind, with everything as at the function's entry. */
static void encode_into_copy(struct encoder *e, const struct stub *stub)
{
	if (!stub->thumb)
		return;
	encode_u32(e, LOAD_PC_NEXT);
	encode_u32(e, (uint32_t)stub->copy | 1);
}

/* Returns where it comes back to. */
static taddr_t encode_call_payload(const struct building *b, const struct stub *stub, bool entered)
{
	if (is_asked(b, stub))
		encode_u32(b->e, PLD_PC | stub->number | (entered ? IS_ENTERED : 0));
	encode_call(b->e, is_asked(b, stub) ? b->area->gate : b->area->trap.begin, false);
	return encode_here(b->e);
}

static void encode_payload_and_return(const struct building *b, struct stub *stub)
{
	stub->payload_return = encode_call_payload(b, stub, false);
	encode_u32(b->e, BX_LR);
}

/* Behind its push.  other: whose copy it runs. */
static void encode_instead(const struct building *b, const struct stub *other, struct stub *stub)
{
	struct encoder *e = b->e;

	for (size_t i = 0; stub->swap && i < ARRAY_SIZE(exchange); i++)
		encode_u32(e, exchange[i]);
	encode_call(e, other->copy, other->thumb);
	stub->copy_return = encode_here(e);
	encode_u32(e, IF_FAILED);
	encode_u32(e, SKIP_IF_FAILED + (is_asked(b, stub) ? OVER_ONE_MORE : 0));
	encode_payload_and_return(b, stub);
	encode_u32(e, POP_ARGUMENTS);
	encode_into_copy(e, stub);
}

/* other: whose copy STUB_INSTEAD runs. */
static void encode_stub(const struct building *b, const struct stub *other, struct stub *stub)
{
	struct encoder *e = b->e;

	stub->entry = encode_here(e);
	stub->copy = stub->entry + stub_len(b, stub);
	stub->payload_entry = stub->payload_return = stub->copy_return = 0;
	if (stub->thumb)
		encode_u32(e, BX_PC_NOP);
	encode_u32(e, PUSH_ARGUMENTS);
	if (stub->kind == STUB_INSTEAD) {
		encode_instead(b, other, stub);
		return;
	}
	if (stub->kind != STUB_RETURN)
		stub->payload_entry = encode_call_payload(b, stub, stub->kind == STUB_BOTH);
	if (stub->kind == STUB_ENTRY) {
		encode_into_copy(e, stub);
		return;
	}
	if (stub->kind == STUB_BOTH)
		encode_u32(e, PUSH_ARGUMENTS);
	for (size_t i = 0; stub->on_stack && i < ARRAY_SIZE(arguments); i++)
		encode_u32(e, arguments[i]);
	encode_call(e, stub->copy, stub->thumb);
	stub->copy_return = encode_here(e);
	if (stub->on_stack)
		encode_u32(e, DROP_ARGUMENTS);
	encode_payload_and_return(b, stub);
}

static void encode_patch(struct encoder *e, const struct stub *stub)
{
	if (stub->thumb)
		encode_t32_branch(e, stub->entry);
	else
		encode_a32_branch(e, BRANCH, stub->entry);
}

/* Stub, copy and patch of one function, at the encoder's place. */
static int build_one(void *arg, struct stub *stub, const struct stub *other, const uint8_t *code,
		     size_t code_len, struct err *err)
{
	const struct building *b = arg;
	struct encoder *e = b->e;
	struct encoder patch = {
		.bytes = stub->patch, .room = sizeof(stub->patch), .base = stub->function};
	int error;

	encode_stub(b, other, stub);
	error = arm_displace(code, code_len, stub->function | stub->thumb, stub->copy,
			     &stub->displaced, err);
	if (error)
		return error;
	encode_bytes(e, stub->displaced.copy, stub->displaced.copy_len);
	if (e->len % 4)
		encode_u16(e, 0);
	encode_patch(&patch, stub);
	if (patch.out_of_reach || e->out_of_reach)
		return err_set(err, -ERANGE,
			       "0x%" PRIx64 " is too far from 0x%" PRIx64 " for a branch",
			       stub->entry, stub->function);
	return 0;
}

int arm_stubs_build(struct stub_area *area, int signo, struct stub *stubs, size_t count,
		    const uint8_t *const *code, const size_t *code_len, size_t *failed,
		    struct err *err)
{
	struct encoder e = {
		.bytes = area->bytes, .room = sizeof(area->bytes), .base = area->base};
	uint8_t header[HEADER_LEN] = {0};
	struct encoder head = {.bytes = header, .room = sizeof(header)};
	struct building b = {&e, area};
	int error;

	if (signo < 1 || signo > LAST_STANDARD_SIGNAL)
		return err_set(err, -EINVAL, "signal %d can't be a soft trap's", signo);
	if (area->room < e.room)
		e.room = area->room;
	encode_bytes(&e, header, sizeof(header));
	encode_gate(&e, area);
	area->trap.begin = encode_here(&e);
	area->trap.open = area->trap.begin + 4 * TRAP_OPEN;
	area->trap.pc = area->trap.begin + 4 * TRAP_PC;
	area->trap.done = area->trap.skip = area->trap.begin + 4 * TRAP_DONE;
	area->trap.to_break = area->trap.hard = area->trap.hard_pc = 0;
	encode_trap(&e, area->process, signo);
	error = stubs_build_each(&e, stubs, count, code, code_len, build_one, &b, failed, err);
	if (error)
		return error;
	if (e.full)
		return err_set(err, -ENOSPC, "the trap does not fit in %zu bytes", e.room);
	area->len = (uint32_t)e.len;
	encode_bytes(&head, arm_magic, ARM_MAGIC_LEN);
	encode_u32(&head, area->len);
	memcpy(area->bytes, header, sizeof(header));
	return 0;
}

/* Over the first instruction, so a thread further on in the trap goes through the rest. */
uint32_t arm_trap_disarm(uint8_t *ret)
{
	struct encoder e = {.bytes = ret, .room = 4};

	encode_a32_branch(&e, BRANCH, 4 * TRAP_LEAVE);
	return (uint32_t)e.len;
}

taddr_t arm_patch_target(const uint8_t *code, taddr_t function)
{
	struct insn insn;

	if ((function & 3) == 2) /* A32 is aligned to 4 bytes, T32 to 2 */
		return 0;
	if (arm_insn_decode(code, ARM_PATCH_LEN, function, &insn) || insn.kind != INSN_BRANCH ||
	    insn.condition != ARM_ALWAYS || insn.len != ARM_PATCH_LEN)
		return 0;
	return insn.target;
}

static uint32_t word_at(const uint8_t *b)
{
	return b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

/* How far an instruction of ours moves sp down. */
static int pushed_by(uint32_t insn)
{
	if ((insn & 0xffff0000) == 0xe92d0000)
		return 4 * __builtin_popcount(insn & 0xffff);
	if ((insn & 0xffff0000) == 0xe8bd0000)
		return -4 * __builtin_popcount(insn & 0xffff);
	if (insn == trap_code[TRAP_LEAVE])
		return 4;
	if ((insn & 0xffffff00) == 0xe24dd000)
		return (int)(insn & 0xff);
	if ((insn & 0xffffff00) == 0xe28dd000)
		return -(int)(insn & 0xff);
	return 0;
}

/* Has the trap come back, and taken the stub's frame along? */
static bool is_behind_trap(const struct stub *stub, taddr_t pc)
{
	return stub && (pc == stub->payload_entry || pc == stub->payload_return);
}

/* What was pushed first has the return address at its top. */
int arm_stub_frame(const struct stub_area *area, const struct stub *stub, taddr_t pc,
		   bool called)
{
	bool gate = !stub && pc < area->trap.begin;
	taddr_t at = stub   ? stub->entry + (stub->thumb ? VENEER_LEN : 0)
		     : gate ? area->gate
			    : area->trap.begin;
	taddr_t end = stub ? stub->copy : gate ? area->trap.begin : at + sizeof(trap_code);
	int pushed = 0;

	if (gate && area->agent && pc == area->gate + 4 * GATE_ELSE)
		return 4;
	if (pc < (stub ? stub->entry : at) || pc % 4 ||
	    (pc >= end && !(called && is_behind_trap(stub, pc))))
		return -ENOENT;
	while (at < pc) {
		uint32_t insn = word_at(area->bytes + (at - area->base));

		pushed += pushed_by(insn);
		if (insn == BX_LR) /* behind it: STUB_INSTEAD, the other way */
			pushed = FRAME_LEN;
		at += 4;
		if (is_behind_trap(stub, at) && !(called && at == pc))
			pushed -= FRAME_LEN;
	}
	return pushed ? pushed - 4 : -ENOENT;
}
