/*
 * The frame that RISC-V's kernel pushes for a signal handler.  The handler returns to two
 * instructions in the vDSO, of whose unwind data no rule says where the registers are.
 */
#ifndef MEMTRACE_SIGNAL_RISCV64_H
#define MEMTRACE_SIGNAL_RISCV64_H

#include "unwind/full.h"

enum { SIGNAL_RISCV64_CODE = 8 };

/* Do SIGNAL_RISCV64_CODE bytes at a return address call rt_sigreturn? */
bool signal_riscv64_is(const uint8_t *code);
/* Steps from there to what was interrupted, all registers known.  -EFAULT. */
int signal_riscv64_step(struct memory *memory, struct full_regs *regs, uint64_t *cfa,
			uint8_t *flags);

#endif
