/* System calls of CPUs that have the numbers of <asm-generic/unistd.h> (AArch64, RISC-V), for remote calls. */
#ifndef MEMTRACE_ARCH_GENERIC_CALLS_H
#define MEMTRACE_ARCH_GENERIC_CALLS_H

#include "arch/remote.h"

enum {
	NR_EXIT_GROUP = 94,
	NR_WAITID = 95,
	NR_RESTART_SYSCALL = 128,
	NR_RT_SIGPROCMASK = 135,
	NR_CLONE = 220,
};

/* Offsets of registers' words; insn_len: of the instruction that makes a call. */
struct generic_calls {
	uint16_t number, result, pc, insn_len;
};

/* Of a thread that stands on that instruction: REMOTE_AT_CALL, or REMOTE_AT_LEAVING. */
enum remote_at generic_calls_at(const struct generic_calls *calls, const struct regs *regs);

/* A call of its own, which ended so: code->home is on it, unless it has come to its end. */
void generic_calls_home(const struct generic_calls *calls, struct remote_code *code, int64_t own);

#endif
