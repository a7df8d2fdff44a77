/* What the encoders of remote calls (trap->remote_build(), copy_build()) share. */
#ifndef MEMTRACE_ARCH_REMOTE_H
#define MEMTRACE_ARCH_REMOTE_H

#include "arch/encode.h"
#include "arch/trap.h"

enum {
	/* include/linux/errno.h of the kernel: what a tracer finds as a call's result */
	ERESTARTSYS = 512,
	ERESTARTNOINTR = 513,
	ERESTARTNOHAND = 514,
	ERESTART_RESTARTBLOCK = 516,
	/* The same for all CPUs: <linux/sched.h>, <asm-generic/unistd.h>, <asm-generic/signal.h> */
	CLONE_VM = 0x100,
	CLONE_FILES = 0x400,
	NR_CLOSE_RANGE = 436,
	SIG_SETMASK_ = 2,
};

/* Will the kernel make the interrupted call again, when the thread goes on? */
static inline bool remote_is_restart(int64_t result)
{
	int32_t value = -(int32_t)result;

	return value >= ERESTARTSYS && value <= ERESTART_RESTARTBLOCK;
}

/* The registers' words at a byte offset, as the kernel of this machine has them. */
static inline uint64_t regs_u64(const struct regs *regs, size_t offset)
{
	uint64_t value;

	memcpy(&value, regs->bytes + offset, sizeof(value));
	return value;
}

static inline void regs_put_u64(struct regs *regs, size_t offset, uint64_t value)
{
	memcpy(regs->bytes + offset, &value, sizeof(value));
}

static inline uint32_t regs_u32(const struct regs *regs, size_t offset)
{
	uint32_t value;

	memcpy(&value, regs->bytes + offset, sizeof(value));
	return value;
}

static inline void regs_put_u32(struct regs *regs, size_t offset, uint32_t value)
{
	memcpy(regs->bytes + offset, &value, sizeof(value));
}

#endif
