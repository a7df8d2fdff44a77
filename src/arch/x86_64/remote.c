/*
 * A system call made by a thread of the target.
 *
 *      mov eax, number; syscall
 *      mov rdi, ... mov r11, imm      every register that was changed, as it was
 *      jmp home
 *
 * The arguments are in the registers with which the code is entered; rax is not, as the
 * kernel writes it when the thread is in the stop of an exec (the result of execve()).  A syscall
 * changes rax, rcx and r11 and nothing else.  The jump is direct, or by an address behind
 * it: no register is free.
 *
 * A call of the thread's own that the stop has interrupted shows by its number in orig_rax
 * and one of the kernel's restart codes in rax (include/linux/errno.h there).  The kernel
 * would deal with that when the thread goes on, but our call comes between; so home is
 * where it makes that call anew, as arch_do_signal_or_restart() in
 * arch/x86/kernel/signal.c would have it.
 *
 * A copy of the process (tracer/copy.h), in the same manner; two words behind the code are read
 * by the kernel:
 *
 *      rt_sigprocmask(all); clone(CLONE_VM | CLONE_FILES)
 *         helper: clone(CLONE_FILES)
 *                    copy: close_range(CLOSE_RANGE_UNSHARE); exit
 *                 exit
 *      waitid(helper); rt_sigprocmask(as before); registers; home
 */
#include "arch/x86_64/x86_64.h"

#include <errno.h>

#include "arch/x86_64/encode.h"
#include "arch/remote.h"

enum {
	RESTART_SYSCALL = 219,
	SYSCALL_LEN = 2,
	CODE_64 = 0x33,	   /* __USER_CS: not 32-bit code (0x23) */
	TRAP_FLAG = 0x100, /* it steps through itself */
	RAX = 0,	   /* by the numbers of instructions */
	RDX = 2,
	RSI = 6,
	RDI = 7,
	R8 = 8,
	R10 = 10,
	NR_RT_SIGPROCMASK = 14,
	NR_CLONE = 56,
	NR_EXIT_GROUP = 231,
	NR_WAITID = 247,
};

/* By the numbers of instructions, in the order of a call's arguments; then what else a
 * syscall changes. */
static const struct {
	uint8_t number;
	uint8_t offset;
} changed[] = {
	{7, AT_RDI}, {6, AT_RSI}, {2, AT_RDX},	{10, AT_R10}, {8, AT_R8},
	{9, AT_R9},  {1, AT_RCX}, {11, AT_R11}, {0, AT_RAX},
};

/* In as few bytes as there are. */
static void encode_mov(struct encoder *e, uint8_t reg, uint64_t value)
{
	const uint8_t high = reg >= 8, low = reg & 7;

	if (value <= UINT32_MAX) { /* mov r32, imm32: the upper half is 0 */
		encode_bytes(e, (const uint8_t[]){0x41, (uint8_t)(0xb8 | low)} + !high,
			     1u + high);
		encode_u32(e, (uint32_t)value);
	} else if ((int64_t)value == (int32_t)value) { /* mov r64, simm32 */
		encode_bytes(e,
			     (const uint8_t[]){(uint8_t)(0x48 | high), 0xc7,
					       (uint8_t)(0xc0 | low)},
			     3);
		encode_u32(e, (uint32_t)value);
	} else {
		encode_bytes(
			e, (const uint8_t[]){(uint8_t)(0x48 | high), (uint8_t)(0xb8 | low)}, 2);
		encode_u32(e, (uint32_t)value);
		encode_u32(e, (uint32_t)(value >> 32));
	}
}

static void encode_home(struct encoder *e, taddr_t home)
{
	struct encoder near = *e;

	encode_jmp(&near, home);
	if (!near.out_of_reach) {
		*e = near;
		return;
	}
	encode_bytes(e, (const uint8_t[]){0xff, 0x25, 0, 0, 0, 0}, 6); /* jmp *(rip) */
	encode_u32(e, (uint32_t)home);
	encode_u32(e, (uint32_t)(home >> 32));
}

static void make_again(struct regs *regs)
{
	int64_t number = (int64_t)regs_u64(regs, AT_ORIG_RAX);

	if (number < 0)
		return;
	switch (-(int64_t)regs_u64(regs, AT_RAX)) {
	case ERESTART_RESTARTBLOCK:
		number = RESTART_SYSCALL;
		/* fall through */
	case ERESTARTSYS:
	case ERESTARTNOINTR:
	case ERESTARTNOHAND:
		regs_put_u64(regs, AT_RAX, (uint64_t)number);
		regs_put_u64(regs, AT_RIP, regs_u64(regs, AT_RIP) - SYSCALL_LEN);
	}
}

/* What is common: the code ends with the way home, and is entered with `argument`s. */
static int finish(struct encoder *e, const struct regs *regs, const uint64_t *argument,
		  struct remote_code *ret)
{
	struct regs home = *regs;

	make_again(&home);
	for (size_t i = 0; i < ARRAY_SIZE(changed); i++)
		encode_mov(e, changed[i].number, regs_u64(&home, changed[i].offset));
	encode_home(e, regs_u64(&home, AT_RIP));
	ret->begin = home;
	for (size_t i = 0; i < REMOTE_ARGUMENTS; i++)
		regs_put_u64(&ret->begin, changed[i].offset, argument[i]);
	regs_put_u64(&ret->begin, AT_ORIG_RAX, UINT64_MAX); /* nothing to be made again */
	regs_put_u64(&ret->begin, AT_RIP, e->base);
	ret->at = e->base;
	return 0;
}

static bool can_leave(const struct regs *regs)
{
	return regs_u64(regs, AT_CS) == CODE_64 && !(regs_u64(regs, AT_EFLAGS) & TRAP_FLAG);
}

static void encode_syscall(struct encoder *e, uint32_t number)
{
	encode_mov(e, RAX, number);
	encode_bytes(e, (const uint8_t[]){0x0f, 0x05}, SYSCALL_LEN);
}

int x86_64_remote_build(taddr_t at, const struct remote_call *call, const struct regs *regs,
			const int64_t *own, struct remote_code *ret)
{
	struct encoder e = {.bytes = ret->bytes, .room = sizeof(ret->bytes), .base = at};

	(void)own; /* the registers tell */
	if (!can_leave(regs))
		return -ENOTSUP;
	encode_syscall(&e, (uint32_t)call->number);
	ret->behind = encode_here(&e);
	finish(&e, regs, call->argument, ret);
	ret->len = (uint32_t)e.len;
	return e.full ? -ENOTSUP : 0;
}

/* ---- a copy of the process ---------------------------------------------- */

/*
 * A process was made, or not: rcx := what the call gave (no flag is touched).  Where that is 0
 * what follows runs, up to bind().
 */
static size_t encode_if_born(struct encoder *e)
{
	/* xchg eax, ecx; jrcxz over the next; jmp */
	encode_bytes(e, (const uint8_t[]){0x91, 0xe3, 2, 0xeb, 0}, 5);
	return e->len;
}

static void bind(struct encoder *e, size_t behind)
{
	if (e->len - behind > INT8_MAX)
		e->full = true;
	if (!e->full)
		e->bytes[behind - 1] = (uint8_t)(e->len - behind);
}

static void encode_wait(struct encoder *e)
{
	encode_bytes(e, (const uint8_t[]){0x89, 0xce}, 2); /* mov esi, ecx */
	encode_mov(e, RDI, 1);				   /* P_PID */
	encode_mov(e, RDX, 0);
	encode_mov(e, R10, 0x80000004); /* __WCLONE | WEXITED */
	encode_mov(e, R8, 0);
	encode_syscall(e, NR_WAITID);
}

/* rsi := the address of a word behind the code, whose place is kept. */
static size_t encode_address(struct encoder *e)
{
	encode_bytes(e, (const uint8_t[]){0x48, 0x8d, 0x35, 0, 0, 0, 0}, 7);
	return e->len;
}

static void bind_address(struct encoder *e, size_t behind)
{
	uint32_t rel = (uint32_t)(e->len - behind);

	if (!e->full)
		memcpy(e->bytes + behind - sizeof(rel), &rel, sizeof(rel));
}

/* The copy's part: what it shares with its original is the table of descriptors alone. */
static void encode_copy(struct encoder *e)
{
	encode_mov(e, RDI, 0);
	encode_mov(e, RSI, UINT32_MAX);
	encode_mov(e, RDX, 2); /* CLOSE_RANGE_UNSHARE */
	encode_syscall(e, NR_CLOSE_RANGE);
	encode_mov(e, RDI, 0);
	encode_syscall(e, NR_EXIT_GROUP);
}

static void encode_helper(struct encoder *e)
{
	size_t copy;

	encode_mov(e, RDI, CLONE_FILES);
	encode_syscall(e, NR_CLONE);
	copy = encode_if_born(e);
	encode_copy(e);
	bind(e, copy);
	encode_bytes(e, (const uint8_t[]){0x89, 0xcf}, 2); /* mov edi, ecx: its status */
	encode_syscall(e, NR_EXIT_GROUP);
}

int x86_64_copy_build(taddr_t at, const void *mask, const struct regs *regs, const int64_t *own,
		      struct remote_code *ret)
{
	struct encoder e = {.bytes = ret->bytes, .room = sizeof(ret->bytes), .base = at};
	const uint64_t begin[REMOTE_ARGUMENTS] = {SIG_SETMASK_, 0, 0, 8, 0, 0};
	size_t helper, all, home; /* where what is to be bound ends */

	(void)own; /* the registers tell */
	if (!can_leave(regs))
		return -ENOTSUP;
	all = encode_address(&e);
	encode_syscall(&e, NR_RT_SIGPROCMASK);
	encode_mov(&e, RDI, CLONE_VM | CLONE_FILES);
	encode_mov(&e, RSI, 0); /* on the same stack, which nobody uses here */
	encode_syscall(&e, NR_CLONE);
	ret->behind_clone = encode_here(&e);
	helper = encode_if_born(&e);
	encode_helper(&e);
	bind(&e, helper);
	encode_wait(&e);
	encode_mov(&e, RDI, SIG_SETMASK_);
	home = encode_address(&e);
	encode_mov(&e, R10, 8);
	encode_syscall(&e, NR_RT_SIGPROCMASK);
	ret->behind = encode_here(&e);
	finish(&e, regs, begin, ret);
	bind_address(&e, all);
	encode_u64(&e, UINT64_MAX);
	bind_address(&e, home);
	encode_bytes(&e, mask, 8);
	ret->len = (uint32_t)e.len;
	return e.full ? -ENOTSUP : 0;
}
