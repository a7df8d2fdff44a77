/*
 * A system call made by a thread of the target.
 *
 *      movz x0, ...   movk ...     its first argument
 *      svc #0
 *      movz x0, ...   movk ...     x0 to x5 and x8, as they were
 *      b home
 *
 * A svc changes x0 and nothing else (but what is told below), and no register is free to jump
 * by: so the code is where b reaches home from it, within 128 MB.
 *
 * The other arguments are in the registers with which the code is entered; x0 is not, as the kernel
 * writes it behind the stop of an exec.
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
 *
 * A copy of the process (tracer/copy.h), in the same manner; two words behind the code are read
 * by the kernel:
 *
 *      rt_sigprocmask(all); clone(CLONE_VM | CLONE_FILES)
 *         helper: clone(CLONE_FILES)
 *                    copy: close_range(CLOSE_RANGE_UNSHARE); exit
 *                 exit
 *      waitid(helper); rt_sigprocmask(as before); registers; home
 */
#include "arch/aarch64/aarch64.h"

#include <errno.h>

#include "arch/aarch64/encode.h"
#include "arch/aarch64/insn.h"
#include "arch/generic_calls.h"

enum {
	SVC = 0xd4000001,
	MOVZ = 0xd2800000,
	MOVN = 0x92800000,
	MOVK = 0xf2800000,
	CBZ_X0 = 0xb4000000,
	ADR_X1 = 0x10000001,
	MOV_X1_X0 = 0xaa0003e1,
	NUMBER = 8, /* x8 */
	AT_PC = 256,
	AT_PSTATE = 264,
	MODE = 0x1f,	 /* 0: user mode in AArch64 state */
	BTYPE = 3 << 10, /* behind an indirect branch */
};

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

static const struct generic_calls calls = {8 * NUMBER, 0, AT_PC, A64_LEN};

enum remote_at aarch64_remote_at(const struct regs *regs, const uint8_t *code)
{
	return a64_read(code) == SVC ? generic_calls_at(&calls, regs) : REMOTE_AT_CODE;
}

static bool can_leave(const struct regs *regs)
{
	return !(regs_u64(regs, AT_PSTATE) & MODE) && !remote_is_restart(regs_u64(regs, 0));
}

static void begin_at(struct remote_code *code, const struct regs *regs, taddr_t at)
{
	code->at = at;
	code->begin = *regs;
	regs_put_u64(&code->begin, AT_PC, at);
	regs_put_u64(&code->begin, AT_PSTATE, regs_u64(regs, AT_PSTATE) & ~(uint64_t)BTYPE);
}

static void encode_home(struct encoder *e, const struct regs *home)
{
	for (unsigned i = 0; i < REMOTE_ARGUMENTS; i++)
		encode_mov(e, i, regs_u64(home, 8 * i));
	encode_mov(e, NUMBER, regs_u64(home, 8 * NUMBER));
	encode_b(e, regs_u64(home, AT_PC));
}

int aarch64_remote_build(taddr_t at, const struct remote_call *call, const struct regs *regs,
			 const int64_t *own, struct remote_code *ret)
{
	struct encoder e = {.bytes = ret->bytes, .room = sizeof(ret->bytes), .base = at};

	if (!can_leave(regs))
		return -ENOTSUP;
	ret->home = *regs;
	if (own)
		generic_calls_home(&calls, ret, *own);
	encode_mov(&e, 0, call->argument[0]);
	encode_u32(&e, SVC);
	ret->behind = encode_here(&e);
	encode_home(&e, &ret->home);
	if (e.full || e.out_of_reach)
		return -ERANGE;
	ret->len = (uint32_t)e.len;
	begin_at(ret, regs, at);
	for (unsigned i = 0; i < REMOTE_ARGUMENTS; i++)
		regs_put_u64(&ret->begin, 8 * i, call->argument[i]);
	regs_put_u64(&ret->begin, 8 * NUMBER, (uint64_t)call->number);
	return 0;
}

/* ---- a copy of the process ---------------------------------------------- */

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

/* Its target is here: forward, in words, for which adr and cbz have a field from bit 5 on. */
static void bind_here(struct encoder *e, size_t behind)
{
	struct encoder insn = {.bytes = e->bytes + behind - A64_LEN, .room = A64_LEN};
	uint32_t words = (uint32_t)(e->len - behind) / A64_LEN + 1;

	if (!e->full)
		encode_u32(&insn, a64_read(insn.bytes) | words << 5);
}

/* To the mask in the words that are bound later; x2 is 0. */
static size_t encode_mask(struct encoder *e)
{
	size_t word;

	encode_mov(e, 0, SIG_SETMASK_);
	word = encode_later(e, ADR_X1);
	encode_mov(e, 3, 8);
	encode_syscall(e, NR_RT_SIGPROCMASK);
	return word;
}

/* x1 is 0: on the same stack, which nobody uses here. */
static void encode_helper(struct encoder *e)
{
	size_t copy;

	encode_mov(e, 0, CLONE_FILES);
	encode_u32(e, SVC); /* x8 is clone's still */
	copy = encode_later(e, CBZ_X0);
	encode_syscall(e, NR_EXIT_GROUP); /* with what clone() gave */
	bind_here(e, copy);
	encode_mov(e, 0, 0);
	encode_mov(e, 1, UINT32_MAX);
	encode_mov(e, 2, 2); /* CLOSE_RANGE_UNSHARE */
	encode_syscall(e, NR_CLOSE_RANGE);
	encode_mov(e, 0, 0);
	encode_syscall(e, NR_EXIT_GROUP);
}

static void encode_wait(struct encoder *e)
{
	encode_u32(e, MOV_X1_X0);
	encode_mov(e, 0, 1);	      /* P_PID */
	encode_mov(e, 3, 0x80000004); /* __WCLONE | WEXITED */
	encode_mov(e, 4, 0);
	encode_syscall(e, NR_WAITID);
}

int aarch64_copy_build(taddr_t at, const void *mask, const struct regs *regs, const int64_t *own,
		       struct remote_code *ret)
{
	struct encoder e = {.bytes = ret->bytes, .room = sizeof(ret->bytes), .base = at};
	size_t all, before, helper;

	if (!can_leave(regs))
		return -ENOTSUP;
	ret->home = *regs;
	if (own)
		generic_calls_home(&calls, ret, *own);
	encode_mov(&e, 2, 0);
	all = encode_mask(&e);
	encode_mov(&e, 0, CLONE_VM | CLONE_FILES);
	encode_mov(&e, 1, 0);
	encode_syscall(&e, NR_CLONE);
	ret->behind_clone = encode_here(&e);
	helper = encode_later(&e, CBZ_X0);
	encode_wait(&e);
	before = encode_mask(&e);
	ret->behind = encode_here(&e);
	encode_home(&e, &ret->home);
	bind_here(&e, helper);
	encode_helper(&e);
	bind_here(&e, all);
	encode_u64(&e, UINT64_MAX);
	bind_here(&e, before);
	encode_bytes(&e, mask, 8);
	if (e.full || e.out_of_reach)
		return -ERANGE;
	ret->len = (uint32_t)e.len;
	begin_at(ret, regs, at);
	return 0;
}
