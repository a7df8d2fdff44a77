/*
 * sp points to struct rt_sigframe (arch/riscv/kernel/signal.c):
 *
 *    +0    siginfo                    128 bytes
 *    +128  ucontext: flags, link, stack, sigmask and room for a larger one: 168, aligned
 *    +304  sigcontext (asm/sigcontext.h): pc, x1 ... x31
 */
#include "unwind/signal_riscv64.h"

#include <errno.h>

#include "base/cursor.h"

enum { AT_REGISTERS = 304, REGISTERS = 32, SP = 2, PC = 32 };

bool signal_riscv64_is(const uint8_t *code)
{
	struct cursor c = cursor_over(code, SIGNAL_RISCV64_CODE);

	/* addi a7, x0, 139; ecall */
	return cursor_u32(&c) == 0x08b00893 && cursor_u32(&c) == 0x00000073;
}

int signal_riscv64_step(struct memory *memory, struct full_regs *regs, uint64_t *cfa,
			uint8_t *flags)
{
	uint8_t bytes[8 * REGISTERS];
	struct cursor c = cursor_over(bytes, sizeof(bytes));

	if (memory_read(memory, regs->value[SP] + AT_REGISTERS, bytes, sizeof(bytes)))
		return -EFAULT;
	regs->value[PC] = cursor_u64(&c);
	regs->value[0] = 0;
	for (unsigned reg = 1; reg < REGISTERS; reg++)
		regs->value[reg] = cursor_u64(&c);
	regs->known = (1ull << (PC + 1)) - 1;
	*cfa = regs->value[SP];
	*flags = ROW_SIGNAL;
	return 0;
}
