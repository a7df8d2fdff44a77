/*
 * The frame that AArch64's kernel pushes for a signal handler.  The handler returns to two
 * instructions, in the vDSO or the C library, whose unwind data, where there is any, says
 * less than the frame itself: it takes the link register for the interrupted pc.
 */
#ifndef MEMTRACE_SIGNAL_A64_H
#define MEMTRACE_SIGNAL_A64_H

#include "unwind/full.h"

enum { SIGNAL_A64_CODE = 8 };

/* Do SIGNAL_A64_CODE bytes at a return address call rt_sigreturn? */
bool signal_a64_is(const uint8_t *code);
/* Steps from there to what was interrupted, all registers known.  -EFAULT. */
int signal_a64_step(struct memory *memory, struct full_regs *regs, uint64_t *cfa,
		    uint8_t *flags);

#endif
