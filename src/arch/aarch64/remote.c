/*
 * A system call made by a thread of the target.
 *
 *      svc #0
 *      movz x0, ...   movk ...     x0 to x5 and x8, as they were
 *      b home
 *
 * A svc changes x0 and nothing else (but what is told below), and no register is free to jump
 * by: so the code is where b reaches home from it, within 128 MB.
 *
 * At the stop at the call's entry the arguments are set once more: a thread that stood at an
 * exec has had its x0 written by then.
 *
 * Of a call of the thread's own that the stop had interrupted do_signal()
 * (arch/arm64/kernel/signal.c) has put pc and x0 back before a tracer sees them, and knows
 * behind the stop what it did, if pc is still there: when a handler is to run, the call may
 * have to end with EINTR; or restart_syscall() goes on with it.  Our call comes between, and
 * orig_x0, from which do_signal() would do all of it again, can't be set.  So the thread is
 * made to enter its own call (remote_code.enters), where it is interrupted as it was before.
 *
 * What lies above 128 bits of SVE's vectors, its predicates and streaming mode a svc sets to
 * 0: a thread that has such in use, outside a call, is not taken (vector_sets in arch.h).
 */
#include "arch/aarch64/aarch64.h"

#include <errno.h>

#include "arch/aarch64/encode.h"
#include "arch/aarch64/insn.h"

enum {
	ERESTARTSYS = 512, /* include/linux/errno.h of the kernel */
	ERESTART_RESTARTBLOCK = 516,
	RESTART_SYSCALL = 128,
	SVC = 0xd4000001,
	MOVZ = 0xd2800000,
	MOVN = 0x92800000,
	MOVK = 0xf2800000,
	NUMBER = 8, /* x8 */
	AT_PC = 256,
	AT_PSTATE = 264,
	MODE = 0x1f,	 /* 0: user mode in AArch64 state */
	BTYPE = 3 << 10, /* behind an indirect branch */
};

/* That do not come back, not here, or twice. */
static const int16_t leaving[] = {
	93,  /* exit */
	94,  /* exit_group */
	139, /* rt_sigreturn */
	220, /* clone */
	221, /* execve */
	281, /* execveat */
	435, /* clone3 */
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

/* As do_signal() reads it. */
static bool is_restart(uint64_t result)
{
	int32_t value = -(int32_t)(uint32_t)result;

	return value >= ERESTARTSYS && value <= ERESTART_RESTARTBLOCK;
}

/* In as few instructions as there are: from zeros, or from ones. */
static void encode_mov(struct encoder *e, unsigned reg, uint64_t value)
{
	unsigned zeros = 0, ones = 0, done = 0;
	uint32_t rest;

	for (unsigned i = 0; i < 4; i++) {
		zeros += (value >> 16 * i & 0xffff) == 0;
		ones += (value >> 16 * i & 0xffff) == 0xffff;
	}
	rest = ones > zeros ? 0xffff : 0;
	for (unsigned i = 0; i < 4; i++) {
		uint32_t half = value >> 16 * i & 0xffff;

		if (half == rest && (i < 3 || done))
			continue;
		if (done++)
			encode_u32(e, (uint32_t)MOVK | i << 21 | half << 5 | reg);
		else
			encode_u32(e, (rest ? (uint32_t)MOVN : (uint32_t)MOVZ) | i << 21 |
					      (half ^ rest) << 5 | reg);
	}
}

enum remote_at aarch64_remote_at(const struct regs *regs, const uint8_t *code)
{
	uint64_t number = word_at(regs, 8 * NUMBER);

	if (a64_read(code) != SVC)
		return REMOTE_AT_CODE;
	for (size_t i = 0; i < ARRAY_SIZE(leaving); i++)
		if (number == (uint64_t)leaving[i])
			return REMOTE_AT_LEAVING;
	return REMOTE_AT_CALL;
}

/* A call of its own: home is on it, unless it has come to its end. */
static void put_home(struct remote_code *code, int64_t own)
{
	code->enters = is_restart((uint64_t)own);
	if (own == -ERESTART_RESTARTBLOCK)
		word_write(&code->home, 8 * NUMBER, RESTART_SYSCALL);
	if (!code->enters) {
		word_write(&code->home, 0, (uint64_t)own);
		word_write(&code->home, AT_PC, word_at(&code->home, AT_PC) + A64_LEN);
	}
}

int aarch64_remote_build(taddr_t at, const struct remote_call *call, const struct regs *regs,
			 const int64_t *own, struct remote_code *ret)
{
	struct encoder e = {.bytes = ret->bytes, .room = sizeof(ret->bytes), .base = at};

	if (word_at(regs, AT_PSTATE) & MODE || is_restart(word_at(regs, 0)))
		return -ENOTSUP;
	ret->home = *regs;
	if (own)
		put_home(ret, *own);
	encode_u32(&e, SVC);
	ret->behind = encode_here(&e);
	for (unsigned i = 0; i < REMOTE_ARGUMENTS; i++)
		encode_mov(&e, i, word_at(&ret->home, 8 * i));
	encode_mov(&e, NUMBER, word_at(&ret->home, 8 * NUMBER));
	encode_b(&e, word_at(&ret->home, AT_PC));
	if (e.full || e.out_of_reach)
		return -ERANGE;
	ret->at = at;
	ret->len = (uint32_t)e.len;
	ret->begin = *regs;
	for (unsigned i = 0; i < REMOTE_ARGUMENTS; i++)
		word_write(&ret->begin, 8 * i, call->argument[i]);
	word_write(&ret->begin, 8 * NUMBER, (uint64_t)call->number);
	word_write(&ret->begin, AT_PC, at);
	word_write(&ret->begin, AT_PSTATE, word_at(regs, AT_PSTATE) & ~(uint64_t)BTYPE);
	ret->calling = ret->begin;
	word_write(&ret->calling, AT_PC, ret->behind);
	return 0;
}
