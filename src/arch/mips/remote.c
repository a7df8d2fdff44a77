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
 *
 * A copy of the process (tracer/copy.h), in the same manner; two masks behind the code are read by
 * the kernel:
 *
 *      rt_sigprocmask(all); clone(CLONE_VM | CLONE_FILES)
 *         helper: clone(CLONE_FILES)
 *                    copy: close_range(CLOSE_RANGE_UNSHARE); exit
 *                 exit
 *      wait4(helper); rt_sigprocmask(as before); registers; home
 *
 * (waitid() has a fifth argument.  What it is has at most 240 bytes, as the vdso of Linux 6.1 has little room.)  On its way home to a system call of its own the thread has no need
 * of at, t0 to t8, hi and lo, as every call changes them; those that are in code of their own have to have
 * values in them that take few instructions.
 */
#include "arch/mips/mips.h"

#include <errno.h>
#include <string.h>

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
	BEQZ_V0 = 0x10400000,
	BNEZ_V0 = 0x14400000,
	BNEZ_A3 = 0x14e00000,
	NEG_A0_V0 = 0x00022023, /* subu a0, zero, v0 */
	LI_A1_ALL = 0x2405ffff,
	SIG_SETMASK_O32 = 3,	/* arch/mips/include/uapi/asm/signal.h */
	SIGNAL_SET = 16,
	WCLONE_UPPER = 0x8000, /* __WCLONE, of it */
	NR_WAIT4 = 4114,
	NR_CLONE = 4120,
	NR_RT_SIGPROCMASK = 4195,
	NR_EXIT_GROUP = 4246,
	NR_CLOSE_RANGE_O32 = 4436,
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

/* .. of a thread that is within a system call: see above. */
static void encode_home_to_call(struct encoder *e, const struct regs *home)
{
	for (uint8_t reg = MIPS_A0; reg <= MIPS_A3; reg++)
		encode_value(e, reg, regs_u32(home, AT_R0 + WORD * reg));
	encode_value(e, MIPS_V0, regs_u32(home, AT_V0));
	encode_j(e, regs_u32(home, AT_PC));
	encode_word(e, 0);
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

static bool can_leave(const struct regs *regs, const int64_t *own)
{
	return regs_u32(regs, AT_PC) % MIPS_LEN == 0 &&
	       !(own && is_leaving(regs_u32(regs, AT_V0)));
}

static void begin_at(struct remote_code *code, const struct regs *regs, taddr_t at)
{
	code->at = at;
	code->begin = *regs;
	regs_put_u32(&code->begin, AT_PC, (uint32_t)at);
}

int mips_remote_build(taddr_t at, const struct remote_call *call, const struct regs *regs,
		      const int64_t *own, struct remote_code *ret)
{
	struct encoder e = {.bytes = ret->bytes, .room = sizeof(ret->bytes), .base = at};

	if (!can_leave(regs, own))
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
	begin_at(ret, regs, at);
	for (size_t i = 0; i < IN_REGISTERS; i++)
		regs_put_u32(&ret->begin, AT_A0 + WORD * i, (uint32_t)call->argument[i]);
	regs_put_u32(&ret->begin, AT_V0, (uint32_t)call->number);
	ret->calling = ret->begin;
	regs_put_u32(&ret->calling, AT_PC, (uint32_t)ret->behind);
	return 0;
}

/* ---- a copy of the process ---------------------------------------------- */

static void encode_syscall(struct encoder *e, uint32_t number)
{
	encode_word(e, MIPS_LI(MIPS_V0, number));
	encode_word(e, MIPS_SYSCALL);
}

/* To the mask that lies at `mask`. */
static void encode_mask(struct encoder *e, taddr_t mask)
{
	encode_word(e, MIPS_LI(MIPS_A0, SIG_SETMASK_O32));
	encode_li(e, MIPS_A1, (uint32_t)mask);
	encode_word(e, MIPS_MOVE(MIPS_A2, MIPS_ZERO));
	encode_word(e, MIPS_LI(MIPS_A3, SIGNAL_SET));
	encode_syscall(e, NR_RT_SIGPROCMASK);
}

/* A branch, and what is in its delay slot; its target is bound later. */
static size_t encode_branch(struct encoder *e, uint32_t insn, uint32_t slot)
{
	size_t at = e->len;

	encode_word(e, insn);
	encode_word(e, slot);
	return at;
}

static void bind_here(struct encoder *e, size_t branch)
{
	uint32_t insn;

	if (e->full)
		return;
	memcpy(&insn, e->bytes + branch, sizeof(insn));
	insn |= (uint32_t)(e->len - branch) / MIPS_LEN - 1;
	memcpy(e->bytes + branch, &insn, sizeof(insn));
}

/* a1 is 0 (on the same stack, which nobody uses here).  The helper ends with what clone() gave. */
static void encode_helper(struct encoder *e)
{
	size_t end;

	encode_word(e, MIPS_LI(MIPS_A0, CLONE_FILES));
	encode_syscall(e, NR_CLONE);
	end = encode_branch(e, BNEZ_V0, NEG_A0_V0);
	encode_word(e, LI_A1_ALL); /* (a0 is 0 in the copy) */
	encode_word(e, MIPS_LI(MIPS_A2, 2)); /* CLOSE_RANGE_UNSHARE */
	encode_syscall(e, NR_CLOSE_RANGE_O32);
	bind_here(e, end);
	encode_syscall(e, NR_EXIT_GROUP);
}

/* For the helper, which is in a0, if there is one: else the call has failed, and a3 says so. */
static void encode_wait(struct encoder *e)
{
	size_t none = encode_branch(e, BNEZ_A3, MIPS_MOVE(MIPS_A1, MIPS_ZERO));

	encode_word(e, MIPS_LUI(MIPS_A2, WCLONE_UPPER)); /* (a3 is 0) */
	encode_syscall(e, NR_WAIT4);
	bind_here(e, none);
}

/* masks: where both lie.  Returns where they have to. */
static taddr_t encode_copy(struct encoder *e, taddr_t masks, bool to_call, struct remote_code *ret)
{
	size_t helper;

	encode_mask(e, masks);
	encode_word(e, MIPS_LI(MIPS_A0, CLONE_VM | CLONE_FILES));
	encode_word(e, MIPS_MOVE(MIPS_A1, MIPS_ZERO));
	encode_syscall(e, NR_CLONE);
	ret->behind_clone = encode_here(e);
	helper = encode_branch(e, BEQZ_V0, MIPS_MOVE(MIPS_A0, MIPS_V0));
	encode_wait(e);
	encode_mask(e, masks + SIGNAL_SET);
	ret->behind = encode_here(e);
	(to_call ? encode_home_to_call : encode_home)(e, &ret->home);
	bind_here(e, helper);
	encode_helper(e);
	return encode_here(e);
}

int mips_copy_build(taddr_t at, const void *mask, const struct regs *regs, const int64_t *own,
		    struct remote_code *ret)
{
	struct encoder measured = {.bytes = ret->bytes, .room = sizeof(ret->bytes), .base = at};
	struct encoder e = measured;
	uint8_t all[SIGNAL_SET];
	taddr_t masks;

	if (!can_leave(regs, own))
		return -ENOTSUP;
	ret->home = *regs;
	if (own)
		put_home(ret, *own);
	masks = encode_copy(&measured, at, own, ret);
	encode_copy(&e, masks, own, ret);
	memset(all, 0xff, sizeof(all));
	encode_bytes(&e, all, sizeof(all));
	encode_bytes(&e, mask, SIGNAL_SET);
	if (e.full || e.out_of_reach)
		return -ERANGE;
	ret->len = (uint32_t)e.len;
	begin_at(ret, regs, at);
	return 0;
}
