/*
 * A system call made by a thread of the target: A32 code, whatever the thread runs.
 *
 *      ldr r0, =...                       its first argument
 *      svc 0
 *      ldr r0, =... to ldr r5, ldr r7     as they were
 *      ldr pc, =home                      with its state bit
 *      the words
 *
 * A svc changes r0 and nothing else.  The other arguments are in the registers with which the code is
 * entered; r0 is not, as the kernel writes it behind the stop of an exec.
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
 *
 * A copy of the process (tracer/copy.h), in the same manner; two words behind the code are read
 * by the kernel:
 *
 *      rt_sigprocmask(all); clone(CLONE_VM | CLONE_FILES)
 *         helper: clone(CLONE_FILES)
 *                    copy: close_range(CLOSE_RANGE_UNSHARE); exit
 *                 exit
 *      waitid(helper); rt_sigprocmask(as before); flags, registers; home
 */
#include "arch/arm/arm.h"

#include <errno.h>

#include "arch/arm/encode.h"
#include "arch/remote.h"

enum {
	SVC = 0xef000000,
	T32_SVC = 0xdf00,
	LOAD_WORD = 0xe59f0000, /* ldr reg, [pc, #offset] */
	MOV = 0xe3a00000,	/* of a byte, rotated right by twice bits 8 to 11 */
	MVN = 0xe3e00000,
	CMP_R0 = 0xe3500000, /* with 0 */
	BEQ = 0x0a000000,
	ADD_R1_PC = 0xe28f1f00, /* words */
	MOV_R1_R0 = 0xe1a01000,
	MSR_FLAGS_R0 = 0xe128f000, /* N, Z, C, V, Q, as cmp changes some of them */
	AHEAD = 8,		   /* what pc reads as more */
	NUMBER = 7,		   /* r7 */
	PC = 15,
	AT_PC = 4 * PC,
	AT_CPSR = 64,
	AT_ORIG_R0 = 68,
	THUMB = 1 << 5,
	OTHERWISE = 0x0700fe00, /* IT, J, E */
	NR_CLONE = 120,
	NR_RT_SIGPROCMASK = 175,
	NR_EXIT_GROUP = 248,
	NR_WAITID = 280,
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

static bool is_thumb(const struct regs *regs)
{
	return regs_u32(regs, AT_CPSR) & THUMB;
}

enum remote_at arm_remote_at(const struct regs *regs, const uint8_t *code)
{
	uint32_t half = code[0] | (uint32_t)code[1] << 8;
	uint32_t insn = half | (uint32_t)code[2] << 16 | (uint32_t)code[3] << 24;

	if (is_thumb(regs) ? half != T32_SVC : insn != SVC)
		return REMOTE_AT_CODE;
	for (size_t i = 0; i < ARRAY_SIZE(leaving); i++)
		if (regs_u32(regs, 4 * NUMBER) == (uint32_t)leaving[i])
			return REMOTE_AT_LEAVING;
	return REMOTE_AT_CALL;
}

/* A call of its own: home is on it. */
static void own_call(struct remote_code *code, const struct regs *regs, int64_t own)
{
	struct regs behind = *regs;

	regs_put_u32(&behind, 0, (uint32_t)own);
	regs_put_u32(&behind, AT_PC, regs_u32(regs, AT_PC) + (is_thumb(regs) ? 2 : 4));
	regs_put_u32(&behind, AT_ORIG_R0, regs_u32(regs, 0));
	if (!remote_is_restart(own))
		code->home = behind; /* it has come to its end */
	else if (own == -ERESTART_RESTARTBLOCK)
		code->ended = behind;
	else
		code->enters = true;
}

static bool can_leave(const struct regs *regs)
{
	return !(regs_u32(regs, AT_CPSR) & OTHERWISE) && !remote_is_restart(regs_u32(regs, 0));
}

static void begin_at(struct remote_code *code, const struct regs *regs, taddr_t at)
{
	code->at = at;
	code->begin = *regs;
	regs_put_u32(&code->begin, AT_PC, (uint32_t)at);
	regs_put_u32(&code->begin, AT_CPSR, regs_u32(regs, AT_CPSR) & ~(uint32_t)THUMB);
}

static void encode_load(struct encoder *e, uint32_t reg, taddr_t word)
{
	encode_u32(e, LOAD_WORD | reg << 12 | (uint32_t)(word - encode_here(e) - AHEAD));
}

static void encode_home(struct encoder *e, const struct regs *home)
{
	taddr_t word = encode_here(e) + 4 * ARRAY_SIZE(changed);

	for (size_t i = 0; i < ARRAY_SIZE(changed); i++, word += 4)
		encode_load(e, changed[i], word);
	for (size_t i = 0; i < ARRAY_SIZE(changed); i++)
		encode_u32(e, regs_u32(home, 4 * changed[i]) |
				      (changed[i] == PC && is_thumb(home)));
}

int arm_remote_build(taddr_t at, const struct remote_call *call, const struct regs *regs,
		     const int64_t *own, struct remote_code *ret)
{
	struct encoder e = {.bytes = ret->bytes, .room = sizeof(ret->bytes), .base = at};

	if (!can_leave(regs))
		return -ENOTSUP;
	ret->home = *regs;
	if (own)
		own_call(ret, regs, *own);
	encode_load(&e, 0, at + 8 + 8 * ARRAY_SIZE(changed)); /* the last word */
	encode_u32(&e, SVC);
	ret->behind = encode_here(&e);
	encode_home(&e, &ret->home);
	encode_u32(&e, (uint32_t)call->argument[0]);
	if (e.full)
		return -ERANGE;
	ret->len = (uint32_t)e.len;
	begin_at(ret, regs, at);
	for (size_t i = 0; i < REMOTE_ARGUMENTS; i++)
		regs_put_u32(&ret->begin, 4 * i, (uint32_t)call->argument[i]);
	regs_put_u32(&ret->begin, 4 * NUMBER, (uint32_t)call->number);
	return 0;
}

/* ---- a copy of the process ---------------------------------------------- */

/* A value that is a byte, shifted left by an even number or rotated. */
static void encode_mov(struct encoder *e, uint32_t reg, uint32_t value)
{
	for (uint32_t i = 0; i < 16; i++) {
		uint32_t byte = i ? value << 2 * i | value >> (32 - 2 * i) : value;

		if (byte <= UINT8_MAX) {
			encode_u32(e, MOV | reg << 12 | i << 8 | byte);
			return;
		}
	}
	e->full = true;
}

static void encode_syscall(struct encoder *e, uint32_t number)
{
	encode_mov(e, NUMBER, number);
	encode_u32(e, SVC);
}

/* An instruction whose target is bound later. */
static size_t encode_later(struct encoder *e, uint32_t insn)
{
	encode_u32(e, insn);
	return e->len;
}

/* Where the call has given 0. */
static size_t encode_if_born(struct encoder *e)
{
	encode_u32(e, CMP_R0);
	return encode_later(e, BEQ);
}

/* Its target is here: forward, in words in the lowest bits of add and b. */
static void bind_here(struct encoder *e, size_t behind)
{
	struct encoder last = {.bytes = e->bytes + behind - 4, .room = 4};
	uint32_t insn;

	if (e->full)
		return;
	memcpy(&insn, last.bytes, sizeof(insn));
	encode_u32(&last, insn | ((uint32_t)(e->len - behind) / 4 - 1));
}

/* To the mask in the words that are bound later; r2 is 0. */
static size_t encode_mask(struct encoder *e)
{
	size_t words;

	encode_mov(e, 0, SIG_SETMASK_);
	words = encode_later(e, ADD_R1_PC);
	encode_mov(e, 3, 8);
	encode_syscall(e, NR_RT_SIGPROCMASK);
	return words;
}

/* r1 is 0 (on the same stack, which nobody uses here), and r7 is clone's still. */
static void encode_helper(struct encoder *e)
{
	size_t copy;

	encode_mov(e, 0, CLONE_FILES);
	encode_u32(e, SVC);
	copy = encode_if_born(e);
	encode_syscall(e, NR_EXIT_GROUP); /* with what clone() gave */
	bind_here(e, copy);
	encode_mov(e, 0, 0);
	encode_u32(e, MVN | 1 << 12);
	encode_mov(e, 2, 2); /* CLOSE_RANGE_UNSHARE */
	encode_syscall(e, NR_CLOSE_RANGE);
	encode_mov(e, 0, 0);
	encode_syscall(e, NR_EXIT_GROUP);
}

static void encode_wait(struct encoder *e)
{
	encode_u32(e, MOV_R1_R0);
	encode_mov(e, 0, 1);	      /* P_PID */
	encode_mov(e, 3, 0x80000004); /* __WCLONE | WEXITED */
	encode_mov(e, 4, 0);
	encode_syscall(e, NR_WAITID);
}

/* Flags, then as encode_home(), behind whose words the flags are. */
static void encode_home_with_flags(struct encoder *e, const struct regs *home)
{
	encode_load(e, 0, encode_here(e) + 8 + 8 * ARRAY_SIZE(changed));
	encode_u32(e, MSR_FLAGS_R0);
	encode_home(e, home);
	encode_u32(e, regs_u32(home, AT_CPSR));
}

int arm_copy_build(taddr_t at, const void *mask, const struct regs *regs, const int64_t *own,
		   struct remote_code *ret)
{
	struct encoder e = {.bytes = ret->bytes, .room = sizeof(ret->bytes), .base = at};
	size_t all, before, helper;

	if (!can_leave(regs))
		return -ENOTSUP;
	ret->home = *regs;
	if (own)
		own_call(ret, regs, *own);
	encode_mov(&e, 2, 0);
	all = encode_mask(&e);
	encode_mov(&e, 0, CLONE_VM | CLONE_FILES);
	encode_mov(&e, 1, 0);
	encode_syscall(&e, NR_CLONE);
	ret->behind_clone = encode_here(&e);
	helper = encode_if_born(&e);
	encode_wait(&e);
	before = encode_mask(&e);
	ret->behind = encode_here(&e);
	encode_home_with_flags(&e, &ret->home);
	bind_here(&e, helper);
	encode_helper(&e);
	bind_here(&e, all);
	encode_u64(&e, UINT64_MAX);
	bind_here(&e, before);
	encode_bytes(&e, mask, 8);
	if (e.full)
		return -ERANGE;
	ret->len = (uint32_t)e.len;
	begin_at(ret, regs, at);
	return 0;
}
