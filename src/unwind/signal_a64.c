/*
 * sp points to struct rt_sigframe (arch/arm64/kernel/signal.c):
 *
 *    +0    siginfo                    128 bytes
 *    +128  ucontext: flags, link, stack, sigmask and room for a larger one: 168, aligned
 *    +304  sigcontext (asm/sigcontext.h): fault_address
 *    +312                             x0 ... x30, sp, pc, pstate
 *
 * which is in the order of the DWARF numbers.
 */
#include "unwind/signal_a64.h"

#include <errno.h>

#include "base/cursor.h"

enum { AT_REGISTERS = 312, REGISTERS = 33, SP = 31 };

bool signal_a64_is(const uint8_t *code)
{
	struct cursor c = cursor_over(code, SIGNAL_A64_CODE);

	/* mov x8, #139; svc #0 */
	return cursor_u32(&c) == 0xd2801168 && cursor_u32(&c) == 0xd4000001;
}

int signal_a64_step(struct memory *memory, struct full_regs *regs, uint64_t *cfa,
		    uint8_t *flags)
{
	uint8_t bytes[8 * REGISTERS];
	struct cursor c = cursor_over(bytes, sizeof(bytes));

	if (memory_read(memory, regs->value[SP] + AT_REGISTERS, bytes, sizeof(bytes)))
		return -EFAULT;
	for (unsigned reg = 0; reg < REGISTERS; reg++)
		regs->value[reg] = cursor_u64(&c);
	regs->known = (1ull << REGISTERS) - 1;
	*cfa = regs->value[SP];
	*flags = ROW_SIGNAL;
	return 0;
}
