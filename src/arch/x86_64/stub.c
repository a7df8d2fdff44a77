/*
 * The stubs: how a patched function is entered and left so that one stop shows its
 * arguments, its result and its caller's stack.
 *
 *    STUB_RETURN         STUB_ENTRY          STUB_BOTH           STUB_INSTEAD
 *      push rdx, rsi, rdi  push rdx, rsi, rdi  push rdx, rsi, rdi  push rdx, rsi, rdi
 *      call copy           call trap           call trap           [xchg rdi, rsi]
 *      call trap           copy...             push rdx, rsi, rdi  call the other's copy
 *      ret                                     call copy           test rax, rax; jz 1f
 *      copy...                                 call trap           call trap
 *                                              ret                 ret
 *                                              copy...           1: pop rdi, rsi, rdx
 *                                                                  copy...
 *
 * The three words pushed are the arguments for the stop, and keep the stack aligned for the
 * copy as it is at any function's entry.  The trap takes them off again (ret 24).  Calls and
 * returns are balanced, so the CPU's return predictor and a shadow stack agree with what
 * happens.  The patch is a direct jump, so the stub needs no endbr64.
 *
 * Where the function's first instruction stays in front of the patch (stay.c) and has lowered
 * sp, a stub begins with a lea that raises it again.
 *
 * The stack in the trap at trap.pc, one word a line, sp at the lowest:
 *
 *    +0    the signal set to unblock
 *    +8    the thread's signal mask
 *    +16   r10, r11
 *    +32   rdi, rsi, rdx: entry side: the first arguments; else what the function left there
 *    +56   rax: the result
 *    +64   rcx, r8, r9
 *    +88   site: return address into the stub
 *    +96   1st argument, pushed by the stub
 *    +104  2nd
 *    +112  3rd
 *    +120  return address into the caller
 *
 * and r8 = the 1st argument (entry side), r9 = site, r10 = the thread's signal mask.
 *
 * What the function would leave alone, stub and trap leave alone: every register, and the
 * flags.  That a register is dead at a function's entry or return is a convention, and
 * where a compiler sees both sides (gcc's -fipa-ra, LTO) or a human writes them, none holds.
 * So no instruction here changes a flag or a register that is not put back; a system call
 * brings the flags back from r11, and the kernel keeps the vector registers, of which
 * nothing here is used.  Memory below sp is not kept, which a signal handler would not
 * either.  STUB_INSTEAD runs another function, and what that one changes is changed.
 *
 * Where there is an agent (agent/agent.h) the stubs call a gate in front of the trap, with the
 * stub's number in a nop before that call; the agent, called from the gate, finds both through
 * the return address:
 *
 *      nop number                            known: pop rcx
 *      call gate                                    ret 24
 *      ...                                   gate:  push rcx
 *                                                   call *(address of the agent's entry)
 *                                                   jrcxz known
 *                                                   pop rcx
 *                                            trap:  ...
 *
 * It keeps all but rcx, which says by 0 that the trap is not needed.
 *
 * Where a seccomp filter forbids the soft trap's system calls there is the hard trap: an
 * int3 in their place.  The soft one is made to lead there by a short jump over one whole
 * instruction, so no thread can stand within what is overwritten; disarmed, it leads to its
 * last instruction in the same way.
 */
#include "arch/x86_64/x86_64.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "arch/x86_64/encode.h"
#include "arch/x86_64/insn.h"
#include "arch/x86_64/stub_parts.h"
#include "arch/stubs_build.h"

enum { HEADER_LEN = 16, LAST_STANDARD_SIGNAL = 31 };

/* The last byte is the version of the layout. */
const uint8_t x86_64_magic[X86_64_MAGIC_LEN] = {'m', 'e', 'm', 't', 'r', 'c', 0, 1};

/* clang-format off */
static const uint8_t trap_code[] = {
	0xeb, 0x00,                         /* jmp +0: to the end where it is disarmed */
	0x41, 0x51,                         /* push r9 */
	0x41, 0x50,                         /* push r8 */
	0x51,                               /* push rcx */
	0x50,                               /* push rax */
	0x52,                               /* push rdx */
	0x56,                               /* push rsi */
	0x57,                               /* push rdi */
	0x41, 0x53,                         /* push r11 */
	0x41, 0x52,                         /* push r10 */
	0x49, 0x89, 0xf8,                   /* mov r8, rdi */
	0x4c, 0x8b, 0x4c, 0x24, 0x48,       /* mov r9, [rsp + 72]: site */
	/* to_break: the bytes of use_break() */
	0x6a, 0x00,                         /* push 0: room for the mask */
	0x54, 0x5a,                         /* rdx = rsp */
	0x68, 0, 0, 0, 0,                   /* push 1 << (signo - 1) */
	0x54, 0x5e,                         /* rsi = rsp */
	0x6a, 0x0e, 0x58,                   /* eax = 14, rt_sigprocmask */
	0x6a, 0x01, 0x5f,                   /* edi = SIG_UNBLOCK */
	0x6a, 0x08, 0x41, 0x5a,             /* r10 = 8, the size of a set */
	0x0f, 0x05,                         /* syscall */
	/* trap.open: sp stays as it is from here to trap.pc */
	0xb8, 0xba, 0x00, 0x00, 0x00,       /* mov eax, 186: gettid */
	0x0f, 0x05,                         /* syscall */
	0x89, 0xc6,                         /* mov esi, eax */
	0xba, 0x00, 0x00, 0x00, 0x00,       /* mov edx, signo */
	0xbf, 0x00, 0x00, 0x00, 0x00,       /* mov edi, process */
	0x4c, 0x8b, 0x54, 0x24, 0x08,       /* mov r10, [rsp + 8]: the mask, for the tracer */
	0xb8, 0xea, 0x00, 0x00, 0x00,       /* mov eax, 234: tgkill */
	0x0f, 0x05,                         /* syscall */
	/* trap.pc */
	0x5a,                               /* pop rdx: the set */
	0x54, 0x5e,                         /* rsi = rsp */
	0x6a, 0x0e, 0x58,                   /* eax = 14, rt_sigprocmask */
	0x6a, 0x02, 0x5f,                   /* edi = SIG_SETMASK */
	0x99,                               /* cdq: edx = 0 */
	0x6a, 0x08, 0x41, 0x5a,             /* r10 = 8 */
	0x0f, 0x05,                         /* syscall */
	/* the end of the hard trap, too */
	0x5f,                               /* pop rdi: the mask */
	0x41, 0x5a,                         /* pop r10 */
	0x41, 0x5b,                         /* pop r11 */
	0x5f,                               /* pop rdi */
	0x5e,                               /* pop rsi */
	0x5a,                               /* pop rdx */
	0x58,                               /* pop rax */
	0x59,                               /* pop rcx */
	0x41, 0x58,                         /* pop r8 */
	0x41, 0x59,                         /* pop r9 */
	0xc2, 0x18, 0x00,                   /* ret 24 */
};

static const uint8_t hard_code[] = {
	0x50, 0x50,                         /* push rax, twice: the places of mask and set */
	0xcc,                               /* int3 */
	/* hard_pc */
	0x5f,                               /* pop rdi: the set */
	0xeb, 0x00,                         /* jmp, to the end of the soft trap */
};

/* From TRAP_SEND_AT on where it is for whoever comes. */
static const uint8_t send_to_any[] = {
	0x89, 0xc7,                         /* mov edi, eax */
	0xbe, 0x00, 0x00, 0x00, 0x00,       /* mov esi, signo */
	0x0f, 0x1f, 0x44, 0x00, 0x00,       /* nop */
	0x4c, 0x8b, 0x54, 0x24, 0x08,       /* mov r10, [rsp + 8] */
	0xb8, 0xc8, 0x00, 0x00, 0x00,       /* mov eax, 200: tkill */
};

/* In front of the trap, where there is an agent. */
static const uint8_t gate_code[] = {
	0x59,                               /* known: pop rcx */
	0xc2, 0x18, 0x00,                   /* ret 24 */
	0xcc, 0xcc, 0xcc, 0xcc,
	0, 0, 0, 0, 0, 0, 0, 0,             /* the address of the agent's entry */
	/* gate */
	0x51,                               /* push rcx */
	0xff, 0x15, 0xf1, 0xff, 0xff, 0xff, /* call *[rip - 15] */
	0xe3, 0xe7,                         /* jrcxz known */
	0x59,                               /* pop rcx */
};
/* clang-format on */

enum { /* in trap_code */
       TRAP_TO_BREAK_AT = 23,
       TRAP_SET_AT = 28,
       TRAP_OPEN_AT = 46,
       TRAP_SEND_AT = 53,
       TRAP_SIGNO_AT = 56,
       TRAP_PROCESS_AT = 61,
       TRAP_PC_AT = 77,
       TRAP_END_AT = 93,
       TRAP_RET_AT = sizeof(trap_code) - 3,
};
enum { HARD_PC_AT = 3 }; /* in hard_code */
_Static_assert(sizeof(hard_code) == STUB_HARD_LEN, "stub_parts.h");
_Static_assert(sizeof(trap_code) + sizeof(hard_code) < 127, "short jumps lead over the trap");

enum { CALL_LEN = 5, NUMBER_LEN = 7 };

static const uint8_t push_arguments[] = {0x52, 0x56, 0x57}; /* push rdx, rsi, rdi */
static const uint8_t pop_arguments[] = {0x5f, 0x5e, 0x5a};  /* pop rdi, rsi, rdx */
static const uint8_t exchange[] = {0x48, 0x87, 0xf7};	    /* xchg rdi, rsi */
static const uint8_t ret_code[] = {STUB_RET};
/* test rax, rax; jz behind the call of the trap and the return */
static const uint8_t skip_if_failed[] = {0x48, 0x85, 0xc0, 0x74, 0};

static void put_u32(uint8_t *at, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		at[i] = (uint8_t)(value >> (8 * i));
}

/* Says where the stubs go to. */
static void encode_gate(struct encoder *e, struct stub_area *area)
{
	uint8_t code[sizeof(gate_code)];

	area->gate = encode_here(e);
	if (!area->agent)
		return;
	area->gate += STUB_GATE_AT;
	memcpy(code, gate_code, sizeof(code));
	put_u32(code + STUB_GATE_AGENT_AT, (uint32_t)area->agent);
	put_u32(code + STUB_GATE_AGENT_AT + 4, (uint32_t)(area->agent >> 32));
	encode_bytes(e, code, sizeof(code));
}

/* The soft trap, and the hard one behind it. */
static void encode_trap(struct encoder *e, uint32_t process, int signo)
{
	uint8_t code[sizeof(trap_code)], hard[sizeof(hard_code)];

	memcpy(code, trap_code, sizeof(code));
	if (process)
		put_u32(code + TRAP_PROCESS_AT, process);
	else
		memcpy(code + TRAP_SEND_AT, send_to_any, sizeof(send_to_any));
	put_u32(code + TRAP_SET_AT, 1u << (signo - 1));
	code[TRAP_SIGNO_AT] = (uint8_t)signo;
	encode_bytes(e, code, sizeof(code));
	memcpy(hard, hard_code, sizeof(hard));
	hard[sizeof(hard) - 1] = (uint8_t)(TRAP_END_AT - sizeof(code) - sizeof(hard));
	encode_bytes(e, hard, sizeof(hard));
}

/* lea rsp, [rsp + by] */
static void encode_raise(struct encoder *e, uint32_t by)
{
	uint8_t near[] = {0x48, 0x8d, 0x64, 0x24, (uint8_t)by};
	uint8_t far[] = {0x48, 0x8d, 0xa4, 0x24, 0, 0, 0, 0};

	put_u32(far + 4, by);
	if (by)
		encode_bytes(e, by < 0x80 ? near : far, by < 0x80 ? sizeof(near) : sizeof(far));
}

/* Where the stubs of an area lead to, and whether by way of the agent. */
static bool is_asked(const struct stub_area *area, const struct stub *stub)
{
	return area->agent && stub->number;
}

static void encode_call_trap(struct encoder *e, const struct stub_area *area,
			     const struct stub *stub, uint32_t side)
{
	if (is_asked(area, stub)) { /* nop [rax + number] */
		encode_bytes(e, (const uint8_t[]){0x0f, 0x1f, 0x80}, 3);
		encode_u32(e, stub->number | side);
	}
	encode_call(e, is_asked(area, stub) ? area->gate : area->trap.begin);
}

/* Bytes of a stub before its copy, behind the raise: they have to be known for the call of
 * the copy. */
static size_t stub_len(const struct stub_area *area, const struct stub *stub)
{
	const size_t arguments = sizeof(push_arguments), ret = sizeof(ret_code);
	const size_t trap = CALL_LEN + (is_asked(area, stub) ? NUMBER_LEN : 0);

	switch (stub->kind) {
	case STUB_ENTRY:
		return arguments + trap;
	case STUB_RETURN:
		return arguments + CALL_LEN + trap + ret;
	case STUB_BOTH:
		return 2 * arguments + CALL_LEN + 2 * trap + ret;
	case STUB_INSTEAD:
		return arguments + (stub->swap ? sizeof(exchange) : 0) + CALL_LEN + trap +
		       sizeof(skip_if_failed) + ret + sizeof(pop_arguments);
	}
	return 0;
}

static void encode_trap_and_return(struct encoder *e, const struct stub_area *area,
				   struct stub *stub)
{
	encode_call_trap(e, area, stub, 0);
	stub->payload_return = encode_here(e);
	encode_bytes(e, ret_code, sizeof(ret_code));
}

static void encode_instead(struct encoder *e, const struct stub_area *area, taddr_t other,
			   struct stub *stub)
{
	uint8_t skip[sizeof(skip_if_failed)];

	memcpy(skip, skip_if_failed, sizeof(skip));
	skip[sizeof(skip) - 1] = CALL_LEN + (is_asked(area, stub) ? NUMBER_LEN : 0) +
				 sizeof(ret_code);
	encode_bytes(e, push_arguments, sizeof(push_arguments));
	if (stub->swap)
		encode_bytes(e, exchange, sizeof(exchange));
	encode_call(e, other);
	stub->copy_return = encode_here(e);
	encode_bytes(e, skip, sizeof(skip));
	encode_trap_and_return(e, area, stub);
	encode_bytes(e, pop_arguments, sizeof(pop_arguments));
}

/* other: the copy of what STUB_INSTEAD runs. */
static void encode_stub(struct encoder *e, const struct stub_area *area, taddr_t other,
			struct stub *stub)
{
	stub->entry = encode_here(e);
	encode_raise(e, stub->lowered);
	stub->copy = encode_here(e) + stub_len(area, stub);
	stub->payload_entry = stub->payload_return = stub->copy_return = 0;
	if (stub->kind == STUB_INSTEAD) {
		encode_instead(e, area, other, stub);
		return;
	}
	if (stub->kind != STUB_RETURN) {
		encode_bytes(e, push_arguments, sizeof(push_arguments));
		encode_call_trap(e, area, stub, stub->kind == STUB_BOTH ? STUB_ENTERED : 0);
		stub->payload_entry = encode_here(e);
	}
	if (stub->kind != STUB_ENTRY) {
		encode_bytes(e, push_arguments, sizeof(push_arguments));
		encode_call(e, stub->copy);
		stub->copy_return = encode_here(e);
		encode_trap_and_return(e, area, stub);
	}
}

/* Stub and copy of one function, with the first stub->stays bytes left in place. */
static int build_with(struct encoder *e, const struct stub_area *area, taddr_t other,
		      struct stub *stub, const uint8_t *code, size_t code_len, struct err *err)
{
	int error;

	encode_stub(e, area, other, stub);
	error = x86_64_displace_more(code, code_len, stub->function, stub->copy,
				     stub->stays + X86_64_PATCH_LEN, &stub->displaced, err);
	if (error)
		return error;
	if (stub->displaced.calls && stub->kind == STUB_INSTEAD)
		return err_set(err, -ENOTSUP,
			       "it calls what may throw in its first instructions");
	encode_bytes(e, stub->displaced.copy, stub->displaced.copy_len);
	return 0;
}

struct building {
	struct encoder *e;
	const struct stub_area *area;
	bool stay; /* if possible, the first instruction in its place */
};

/* The same, as good as it can be, and the patch. */
static int build_one(void *arg, struct stub *stub, const struct stub *instead, const uint8_t *code,
		     size_t code_len, struct err *err)
{
	const struct building *b = arg;
	struct encoder *e = b->e;
	taddr_t other = instead ? instead->copy : 0;
	struct encoder patch = {.bytes = stub->patch, .room = sizeof(stub->patch)};
	struct encoder before = *e;
	bool stay = (b->stay || stub->must_stay) &&
		    x86_64_can_stay(code, code_len, &stub->stays, &stub->lowered);
	int error = -ENOTSUP;

	if (stay)
		error = build_with(e, b->area, other, stub, code, code_len, err);
	if (error && stub->must_stay)
		return err_set(err, -ENOTSUP,
			       "a breakpoint (a uprobe?) is on its first instruction, which can't "
			       "be left in its place");
	if (error) {
		*e = before;
		stub->stays = stub->lowered = 0;
		error = build_with(e, b->area, other, stub, code, code_len, err);
	}
	if (error)
		return error;
	patch.base = stub_patch_at(stub);
	encode_jmp(&patch, stub->entry);
	if (patch.out_of_reach)
		return err_set(err, -ERANGE,
			       "0x%" PRIx64 " is too far from 0x%" PRIx64
			       " for a jump of 5 bytes",
			       stub->entry, stub->function);
	return 0;
}

static int build_all(struct stub_area *area, int signo, struct stub *stubs, size_t count,
		     bool stay, const uint8_t *const *code, const size_t *code_len,
		     size_t *failed, struct err *err)
{
	struct encoder e = {
		.bytes = area->bytes, .room = sizeof(area->bytes), .base = area->base};
	uint8_t header[HEADER_LEN] = {0};
	struct building b = {&e, area, stay};
	int error;

	if (signo < 1 || signo > LAST_STANDARD_SIGNAL)
		return err_set(err, -EINVAL, "signal %d can't be a soft trap's", signo);
	if (area->room < e.room)
		e.room = area->room;
	encode_bytes(&e, header, sizeof(header));
	encode_gate(&e, area);
	area->trap.begin = encode_here(&e);
	area->trap.open = area->trap.begin + TRAP_OPEN_AT;
	area->trap.pc = area->trap.begin + TRAP_PC_AT;
	area->trap.to_break = area->trap.begin + TRAP_TO_BREAK_AT;
	area->trap.hard = area->trap.begin + sizeof(trap_code);
	area->trap.hard_pc = area->trap.hard + HARD_PC_AT;
	area->trap.done = area->trap.begin + TRAP_END_AT;
	area->trap.skip = area->trap.hard_pc;
	encode_trap(&e, area->process, signo);
	error = stubs_build_each(&e, stubs, count, code, code_len, build_one, &b, failed, err);
	if (error)
		return error;
	if (e.full)
		return err_set(err, -ENOSPC, "the trap does not fit in %zu bytes", e.room);
	area->len = (uint32_t)e.len;
	memcpy(header, x86_64_magic, X86_64_MAGIC_LEN);
	put_u32(header + X86_64_MAGIC_LEN, area->len);
	memcpy(area->bytes, header, sizeof(header));
	return 0;
}

int x86_64_stubs_build(struct stub_area *area, int signo, struct stub *stubs, size_t count,
		       const uint8_t *const *code, const size_t *code_len, size_t *failed,
		       struct err *err)
{
	int error = build_all(area, signo, stubs, count, true, code, code_len, failed, err);

	/* What stays takes some bytes more. */
	return error == -ENOSPC
		       ? build_all(area, signo, stubs, count, false, code, code_len, failed, err)
		       : error;
}

/* The first instruction, so that a thread further on in the trap goes through the rest; and of it
 * one byte is another one, so that it may be written while threads run through it. */
uint32_t x86_64_trap_disarm(uint8_t *ret)
{
	ret[0] = trap_code[0];
	ret[1] = TRAP_RET_AT - 2;
	return 2;
}

void x86_64_trap_change_signal(struct stub_area *area, int signo)
{
	struct encoder e = {.bytes = area->bytes,
			    .room = area->len,
			    .len = (size_t)(area->trap.begin - area->base),
			    .base = area->base};

	encode_trap(&e, area->process, signo);
}

uint32_t x86_64_trap_use_break(const struct stub_area *area, uint8_t *ret)
{
	ret[0] = 0xeb; /* jmp rel8 */
	ret[1] = (uint8_t)(area->trap.hard - (area->trap.to_break + 2));
	return 2;
}

taddr_t x86_64_patch_target(const uint8_t *code, taddr_t function)
{
	struct insn insn;

	if (code[0] != 0xe9 || insn_decode(code, X86_64_PATCH_LEN, &insn))
		return 0;
	return function + insn.len + (taddr_t)(int64_t)insn.rel;
}
