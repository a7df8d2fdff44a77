/*
 * What two instructions at a return address tell on 32-bit ARM, where no unwind data does:
 * a system call that the code makes at once.
 */
#ifndef MEMTRACE_SIGNAL_ARM_H
#define MEMTRACE_SIGNAL_ARM_H

#include "unwind/cfi.h"

enum { SIGNAL_ARM_CODE = 8 };

/* Does it end the thread (mov r7, #exit; svc 0)?  Then nobody called it: the outermost frame
 * of a thread, clone() of glibc or musl. */
bool signal_arm_is_exit(const uint8_t *code, size_t len, bool thumb);

/* Is it the kernel's way back from a signal handler (mov r7, #sigreturn or rt_sigreturn;
 * svc 0)?  Where struct sigcontext's r0 lies from sp; 0: it is not. */
uint32_t signal_arm_context(const uint8_t *code, size_t len, bool thumb);

/* Steps from there to what was interrupted, all registers known.  -EFAULT. */
int signal_arm_step(uint32_t context, struct memory *memory, struct full_regs *regs,
		    uint64_t *cfa, uint8_t *flags);

#endif
