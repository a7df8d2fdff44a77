/*
 * sp points to (arch/arm/include/asm: ucontext.h, sigcontext.h)
 *
 *    +0    siginfo                    128 bytes, of rt_sigreturn alone
 *    +128  ucontext: flags, link, stack[3]
 *    +148  sigcontext: trap_no, error_code, oldmask
 *    +160                             r0 ... r15, cpsr
 */
#include "unwind/signal_arm.h"

#include <errno.h>

#include "base/cursor.h"

enum {
	EXIT = 1,
	SIGRETURN = 119,
	RT_SIGRETURN = 173,
	SIGINFO_LEN = 128,
	TO_R0 = 32,
	THUMB = 1 << 5
};
enum { REGISTERS = 16, SP = 13, PC = 15 };

/* The number of the system call that the code makes at once; -1: it is not such code. */
static int call_made(const uint8_t *code, size_t len, bool thumb)
{
	struct cursor c = cursor_over(code, len);
	uint32_t move = thumb ? cursor_u16(&c) : cursor_u32(&c), call;

	if (thumb && move == 0xf04f) { /* mov.w r7, #... */
		move = cursor_u16(&c);
		move = move >> 8 == 7 ? 0x2700 | (move & 0xff) : 0;
	}
	call = thumb ? cursor_u16(&c) : cursor_u32(&c);
	if (c.bad || call != (thumb ? 0xdf00u : 0xef000000u))
		return -1;
	move -= thumb ? 0x2700u : 0xe3a07000u; /* mov r7, #... */
	return move < 256 ? (int)move : -1;
}

bool signal_arm_is_exit(const uint8_t *code, size_t len, bool thumb)
{
	return call_made(code, len, thumb) == EXIT;
}

uint32_t signal_arm_context(const uint8_t *code, size_t len, bool thumb)
{
	int number = call_made(code, len, thumb);

	return number == SIGRETURN ? TO_R0 : number == RT_SIGRETURN ? SIGINFO_LEN + TO_R0 : 0;
}

int signal_arm_step(uint32_t context, struct memory *memory, struct full_regs *regs,
		    uint64_t *cfa, uint8_t *flags)
{
	uint8_t bytes[4 * (REGISTERS + 1)];
	struct cursor c = cursor_over(bytes, sizeof(bytes));

	if (memory_read(memory, regs->value[SP] + context, bytes, sizeof(bytes)))
		return -EFAULT;
	for (unsigned reg = 0; reg < REGISTERS; reg++)
		regs->value[reg] = cursor_u32(&c);
	regs->known = (1u << REGISTERS) - 1;
	regs->value[PC] |= cursor_u32(&c) & THUMB ? 1 : 0;
	*cfa = regs->value[SP];
	*flags = ROW_SIGNAL;
	return 0;
}
