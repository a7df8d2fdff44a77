/*
 * A system call made by a thread of the target.
 *
 *      mov eax, number; syscall
 *      mov rdi, ... mov r11, imm      every register that was changed, as it was
 *      jmp home
 *
 * The arguments are in the registers with which the code is entered; rax is not, as the
 * kernel writes it when the thread stands at an exec (the result of execve()).  A syscall
 * changes rax, rcx and r11 and nothing else.  The jump is direct, or by an address behind
 * it: no register is free.
 *
 * A call of the thread's own that the stop has interrupted shows by its number in orig_rax
 * and one of the kernel's restart codes in rax (include/linux/errno.h there).  The kernel
 * would deal with that when the thread goes on, but our call comes between; so home is
 * where it makes that call anew, as arch_do_signal_or_restart() in
 * arch/x86/kernel/signal.c would have it.
 */
#include "arch/x86_64/x86_64.h"

#include <errno.h>

#include "arch/x86_64/encode.h"

enum {
	ERESTARTSYS = 512,
	ERESTARTNOINTR = 513,
	ERESTARTNOHAND = 514,
	ERESTART_RESTARTBLOCK = 516,
	RESTART_SYSCALL = 219,
	SYSCALL_LEN = 2,
	CODE_64 = 0x33,	   /* __USER_CS: not 32-bit code (0x23) */
	TRAP_FLAG = 0x100, /* it steps through itself */
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

static uint64_t word_at(const struct regs *regs, size_t offset)
{
	uint64_t value;

	memcpy(&value, regs->bytes + offset, sizeof(value));
	return value;
}

static void word_write(struct regs *regs, size_t offset, uint64_t value)
{
	memcpy(regs->bytes + offset, &value, sizeof(value));
}

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
	int64_t number = (int64_t)word_at(regs, AT_ORIG_RAX);

	if (number < 0)
		return;
	switch (-(int64_t)word_at(regs, AT_RAX)) {
	case ERESTART_RESTARTBLOCK:
		number = RESTART_SYSCALL;
		/* fall through */
	case ERESTARTSYS:
	case ERESTARTNOINTR:
	case ERESTARTNOHAND:
		word_write(regs, AT_RAX, (uint64_t)number);
		word_write(regs, AT_RIP, word_at(regs, AT_RIP) - SYSCALL_LEN);
	}
}

int x86_64_remote_build(taddr_t at, const struct remote_call *call, const struct regs *regs,
			struct remote_code *ret)
{
	struct encoder e = {.bytes = ret->bytes, .room = sizeof(ret->bytes), .base = at};
	struct regs home = *regs;

	if (word_at(regs, AT_CS) != CODE_64 || word_at(regs, AT_EFLAGS) & TRAP_FLAG)
		return -ENOTSUP;
	make_again(&home);
	encode_mov(&e, 0, (uint32_t)call->number);
	encode_bytes(&e, (const uint8_t[]){0x0f, 0x05}, SYSCALL_LEN);
	ret->behind = encode_here(&e);
	for (size_t i = 0; i < ARRAY_SIZE(changed); i++)
		encode_mov(&e, changed[i].number, word_at(&home, changed[i].offset));
	encode_home(&e, word_at(&home, AT_RIP));
	if (e.full)
		return -ENOTSUP;
	ret->at = at;
	ret->len = (uint32_t)e.len;
	ret->begin = home;
	for (size_t i = 0; i < REMOTE_ARGUMENTS; i++)
		word_write(&ret->begin, changed[i].offset, call->argument[i]);
	word_write(&ret->begin, AT_ORIG_RAX, UINT64_MAX); /* nothing to be made again */
	word_write(&ret->begin, AT_RIP, at);
	return 0;
}
