/*
 * A system call made by a thread of the target.
 *
 *      syscall
 *      lui, ori ...      hi, lo, at, v0, a0 to a3, t0 to t8 as they were
 *      j home; nop
 *
 * What a call changes is told in stub.c.  No register is free to jump by: so the code is in the
 * same 256 MB as home.  A fifth and sixth argument would be read from the thread's stack, where
 * nothing of ours may be: they are what lies there.  (mmap2() of memory without a file looks at
 * neither, unless the sixth is -1: EOVERFLOW.)
 *
 * At the stop at the call's entry the arguments are set once more: a thread that stood at an
 * exec has had its v0 and a3 written by then.
 *
 * Of a call of the thread's own that the stop had interrupted do_signal()
 * (arch/mips/kernel/signal.c) makes, behind the stop, v0 and a3 what they were and puts the pc
 * back; it has kept them in regs[0] and regs[26], which no register set has.  So the thread makes
 * its own call again, is seen where it enters it, interrupted in it again, and after our call made
 * to enter it once more (remote_code.enters).
 *
 * A thread in MIPS16 or microMIPS code is not taken.
 */
#include "arch/mips/mips.h"

#include <errno.h>

#include "arch/mips/encode.h"
#include "arch/mips/insn.h"
#include "arch/remote.h"

enum {
	WORD = 4,
	AT_R0 = 6 * WORD,
	AT_V0 = AT_R0 + WORD * MIPS_V0,
	AT_A0 = AT_R0 + WORD * MIPS_A0,
	AT_A3 = AT_R0 + WORD * MIPS_A3,
	AT_LO = 38 * WORD,
	AT_HI = 39 * WORD,
	AT_PC = 40 * WORD,
	IN_REGISTERS = 4, /* arguments */
	MTHI_V0 = 0x00400011,
	MTLO_V0 = 0x00400013,
	NR_RESTART_SYSCALL = 4253,
};

/* With what a call of ours changes, but hi and lo. */
static const uint8_t changed[] = {MIPS_V0, MIPS_A0, MIPS_A1, MIPS_A2, MIPS_A3, MIPS_AT,
				  8,	   9,	    10,	     11,      12,      13,
				  14,	   15,	    24};

/* That do not come back, not here, or twice. */
static const int16_t leaving[] = {
	4001, /* exit */
	4002, /* fork */
	4011, /* execve */
	4119, /* sigreturn */
	4120, /* clone */
	4193, /* rt_sigreturn */
	4246, /* exit_group */
	4356, /* execveat */
	4435, /* clone3 */
};

/* code: in front of the pc.  (Of a call that fails for a program v0 is at most EHWPOISON, 168.) */
enum remote_at mips_remote_at(const struct regs *regs, const uint8_t *code)
{
	if (mips_read(code) != MIPS_SYSCALL || !regs_u32(regs, AT_A3) ||
	    !remote_is_restart(-(int64_t)regs_u32(regs, AT_V0)))
		return REMOTE_AT_CODE;
	return REMOTE_AT_CALL;
}

static bool is_leaving(uint32_t number)
{
	for (size_t i = 0; i < ARRAY_SIZE(leaving); i++)
		if (number == (uint32_t)leaving[i])
			return true;
	return false;
}

/* A call of its own: home is on it, unless it has come to its end. */
static void put_home(struct remote_code *code, int64_t own)
{
	code->enters = remote_is_restart(own);
	if (own == -ERESTART_RESTARTBLOCK)
		regs_put_u32(&code->home, AT_V0, NR_RESTART_SYSCALL);
	if (!code->enters) {
		regs_put_u32(&code->home, AT_V0, (uint32_t)(own < 0 ? -own : own));
		regs_put_u32(&code->home, AT_A3, own < 0);
		regs_put_u32(&code->home, AT_PC, regs_u32(&code->home, AT_PC) + MIPS_LEN);
	}
}

static void encode_value(struct encoder *e, uint32_t reg, uint32_t value)
{
	if (value >> 16)
		encode_word(e, MIPS_LUI(reg, value >> 16));
	if (!(value >> 16) || (value & 0xffff))
		encode_word(e, (value >> 16 ? MIPS_ORI(reg, 0) : MIPS_ORI(0, 0) | reg << 16) |
				       (value & 0xffff));
}

static void encode_home(struct encoder *e, const struct regs *home)
{
	encode_value(e, MIPS_V0, regs_u32(home, AT_HI));
	encode_word(e, MTHI_V0);
	encode_value(e, MIPS_V0, regs_u32(home, AT_LO));
	encode_word(e, MTLO_V0);
	for (size_t i = 0; i < ARRAY_SIZE(changed); i++)
		encode_value(e, changed[i], regs_u32(home, AT_R0 + WORD * changed[i]));
	encode_j(e, regs_u32(home, AT_PC));
	encode_word(e, 0);
}

int mips_remote_build(taddr_t at, const struct remote_call *call, const struct regs *regs,
		      const int64_t *own, struct remote_code *ret)
{
	struct encoder e = {.bytes = ret->bytes, .room = sizeof(ret->bytes), .base = at};

	if (regs_u32(regs, AT_PC) % MIPS_LEN || (own && is_leaving(regs_u32(regs, AT_V0))))
		return -ENOTSUP;
	ret->home = *regs;
	if (own)
		put_home(ret, *own);
	encode_word(&e, MIPS_SYSCALL);
	ret->behind = encode_here(&e);
	encode_home(&e, &ret->home);
	if (e.full || e.out_of_reach)
		return -ERANGE;
	ret->len = (uint32_t)e.len;
	ret->at = at;
	ret->begin = *regs;
	regs_put_u32(&ret->begin, AT_PC, (uint32_t)at);
	for (size_t i = 0; i < IN_REGISTERS; i++)
		regs_put_u32(&ret->begin, AT_A0 + WORD * i, (uint32_t)call->argument[i]);
	regs_put_u32(&ret->begin, AT_V0, (uint32_t)call->number);
	ret->calling = ret->begin;
	regs_put_u32(&ret->calling, AT_PC, (uint32_t)ret->behind);
	return 0;
}
