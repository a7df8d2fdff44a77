/*
 * A system call made by a thread of the target: A32 code, whatever the thread runs.
 *
 *      svc 0
 *      ldr r0, =... to ldr r5, ldr r7     as they were
 *      ldr pc, =home                      with its state bit
 *      the words
 *
 * A svc changes r0 and nothing else.  At the stop at the call's entry the arguments are set
 * once more: a thread that stood at an exec has had its r0 written by then.
 *
 * Of a call of the thread's own that the stop had interrupted do_signal()
 * (arch/arm/kernel/signal.c) has put pc and r0 back before a tracer sees them.  If pc is still
 * there behind the stop the kernel makes it again without coming out, with a number that it
 * has kept: that would be our call's by now.  So the thread is made to enter its own call
 * (remote_code.enters), where it is stopped as it was before.  Only
 * what restart_syscall() goes on with is told by what it had ended with; then the kernel
 * chooses the number.
 *
 * A thread within an IT block, or with another order of bytes, is not taken.
 */
#include "arch/arm/arm.h"

#include <errno.h>

#include "arch/arm/encode.h"

enum {
	ERESTARTSYS = 512, /* include/linux/errno.h of the kernel */
	ERESTART_RESTARTBLOCK = 516,
	SVC = 0xef000000,
	T32_SVC = 0xdf00,
	LOAD_WORD = 0xe59f0000, /* ldr reg, [pc, #offset] */
	AHEAD = 8,		/* what pc reads as more */
	NUMBER = 7,		/* r7 */
	PC = 15,
	AT_PC = 4 * PC,
	AT_CPSR = 64,
	AT_ORIG_R0 = 68,
	THUMB = 1 << 5,
	OTHERWISE = 0x0700fe00, /* IT, J, E */
};

/* With what a call of ours changes, in the order of the code. */
static const uint8_t changed[] = {0, 1, 2, 3, 4, 5, NUMBER, PC};

/* That do not come back, not here, or twice. */
static const int16_t leaving[] = {
	1,   /* exit */
	2,   /* fork */
	11,  /* execve */
	119, /* sigreturn */
	120, /* clone */
	173, /* rt_sigreturn */
	190, /* vfork */
	248, /* exit_group */
	387, /* execveat */
	435, /* clone3 */
};

static uint32_t word_at(const struct regs *regs, size_t offset)
{
	uint32_t value;

	memcpy(&value, regs->bytes + offset, sizeof(value));
	return value;
}

static void word_write(struct regs *regs, size_t offset, uint32_t value)
{
	memcpy(regs->bytes + offset, &value, sizeof(value));
}

static bool is_thumb(const struct regs *regs)
{
	return word_at(regs, AT_CPSR) & THUMB;
}

static bool is_restart(uint32_t result)
{
	int32_t value = -(int32_t)result;

	return value >= ERESTARTSYS && value <= ERESTART_RESTARTBLOCK;
}

enum remote_at arm_remote_at(const struct regs *regs, const uint8_t *code)
{
	uint32_t half = code[0] | (uint32_t)code[1] << 8;
	uint32_t insn = half | (uint32_t)code[2] << 16 | (uint32_t)code[3] << 24;

	if (is_thumb(regs) ? half != T32_SVC : insn != SVC)
		return REMOTE_AT_CODE;
	for (size_t i = 0; i < ARRAY_SIZE(leaving); i++)
		if (word_at(regs, 4 * NUMBER) == (uint32_t)leaving[i])
			return REMOTE_AT_LEAVING;
	return REMOTE_AT_CALL;
}

/* A call of its own: home is on it. */
static void own_call(struct remote_code *code, const struct regs *regs, int64_t own)
{
	struct regs behind = *regs;

	word_write(&behind, 0, (uint32_t)own);
	word_write(&behind, AT_PC, word_at(regs, AT_PC) + (is_thumb(regs) ? 2 : 4));
	word_write(&behind, AT_ORIG_R0, word_at(regs, 0));
	if (!is_restart((uint32_t)own))
		code->home = behind; /* it has come to its end */
	else if (own == -ERESTART_RESTARTBLOCK)
		code->ended = behind;
	else
		code->enters = true;
}

static void encode(struct encoder *e, struct remote_code *code)
{
	taddr_t word;

	encode_u32(e, SVC);
	code->behind = encode_here(e);
	word = code->behind + 4 * ARRAY_SIZE(changed);
	for (size_t i = 0; i < ARRAY_SIZE(changed); i++, word += 4)
		encode_u32(e, LOAD_WORD | (uint32_t)changed[i] << 12 |
				      (uint32_t)(word - encode_here(e) - AHEAD));
	for (size_t i = 0; i < ARRAY_SIZE(changed); i++)
		encode_u32(e, word_at(&code->home, 4 * changed[i]) |
				      (changed[i] == PC && is_thumb(&code->home)));
}

int arm_remote_build(taddr_t at, const struct remote_call *call, const struct regs *regs,
		     const int64_t *own, struct remote_code *ret)
{
	struct encoder e = {.bytes = ret->bytes, .room = sizeof(ret->bytes), .base = at};

	if (word_at(regs, AT_CPSR) & OTHERWISE || is_restart(word_at(regs, 0)))
		return -ENOTSUP;
	ret->home = *regs;
	if (own)
		own_call(ret, regs, *own);
	encode(&e, ret);
	if (e.full)
		return -ERANGE;
	ret->at = at;
	ret->len = (uint32_t)e.len;
	ret->begin = *regs;
	for (size_t i = 0; i < REMOTE_ARGUMENTS; i++)
		word_write(&ret->begin, 4 * i, (uint32_t)call->argument[i]);
	word_write(&ret->begin, 4 * NUMBER, (uint32_t)call->number);
	word_write(&ret->begin, AT_PC, (uint32_t)at);
	word_write(&ret->begin, AT_CPSR, word_at(regs, AT_CPSR) & ~(uint32_t)THUMB);
	ret->calling = ret->begin;
	word_write(&ret->calling, AT_PC, (uint32_t)ret->behind);
	return 0;
}
