/*
 * A system call made by a thread of the target.
 *
 *      words: a0 to a5, a7, pc as they were; the call's first argument
 *      ld a0, argument(t6); ecall
 *      ld a0 to a5, a7; ld t6, pc(t6); jr t6         home
 *
 * An ecall changes a0 and nothing else (stub.c), and a jal home reaches a megabyte: so t6 is in this picture a
 * register that nobody reads any more where home is (spare.c), and home may be anywhere.  It is among the
 * registers with which the code is entered, as the other arguments are; a0 is not, as the kernel writes it behind the
 * stop of an exec, and takes a call's first argument from where no register set has it (orig_a0) once the
 * call is entered.
 *
 * Of a call of the thread's own that the stop had interrupted arch_do_signal_or_restart()
 * (arch/riscv/kernel/signal.c) has put pc and a0 back before a tracer sees them, and knows behind the stop what it
 * did, if pc is still there: as on AArch64 (aarch64/remote.c).  So the thread is made to enter its own call
 * (remote_code.enters), where it is interrupted as it was before.
 *
 * A copy of the process (tracer/copy.h), in the same manner:
 *
 *      rt_sigprocmask(all); clone(CLONE_VM | CLONE_FILES)
 *         helper: clone(CLONE_FILES)
 *                    copy: close_range(CLOSE_RANGE_UNSHARE); exit
 *                 exit
 *      waitid(helper); rt_sigprocmask(as before); registers; home
 */
#include "arch/riscv64/riscv64.h"

#include <errno.h>

#include "arch/generic_calls.h"
#include "arch/riscv64/encode.h"
#include "arch/riscv64/insn.h"

enum {
	WORD = 8,
	AT_PC = 0,
	AT_A0 = WORD * RV_A0,
	A1 = RV_A0 + 1,
	A2,
	A3,
	A4,
	A7 = 17,
	AT_A7 = WORD * A7,
	ECALL = 0x73,
};

/* The words in front of the code. */
enum { HOME_A0, HOME_A7 = REMOTE_ARGUMENTS, HOME_PC, WORDS };

static const struct generic_calls calls = {AT_A7, AT_A0, AT_PC, RV_LEN};

enum remote_at riscv64_remote_at(const struct regs *regs, const uint8_t *code)
{
	return rv_read(code) == ECALL ? generic_calls_at(&calls, regs) : REMOTE_AT_CODE;
}

/* ret->spare is what it was given. */
static bool begin(struct remote_code *ret, struct encoder *e, const struct regs *regs,
		  const int64_t *own, taddr_t at)
{
	if (!ret->spare || remote_is_restart(regs_u64(regs, AT_A0)))
		return false;
	ret->home = *regs;
	if (own)
		generic_calls_home(&calls, ret, *own);
	*e = (struct encoder){.bytes = ret->bytes, .room = sizeof(ret->bytes), .base = at};
	for (unsigned i = 0; i < REMOTE_ARGUMENTS; i++)
		encode_u64(e, regs_u64(&ret->home, AT_A0 + WORD * i));
	encode_u64(e, regs_u64(&ret->home, AT_A7));
	encode_u64(e, regs_u64(&ret->home, AT_PC));
	return true;
}

/* ld reg, the nth word: t6 has their address. */
static void encode_word_to(struct encoder *e, unsigned reg, unsigned spare, uint32_t nth)
{
	encode_u32(e, 0x3003 | reg << 7 | spare << 15 | nth * WORD << 20);
}

static void encode_li(struct encoder *e, unsigned reg, int32_t value)
{
	encode_addi(e, reg, RV_X0, value);
}

/* From behind its last word on it is code. */
static void enter(struct remote_code *ret, const struct encoder *e, const struct regs *regs)
{
	ret->at = encode_here(e);
	ret->begin = *regs;
	regs_put_u64(&ret->begin, AT_PC, ret->at);
	regs_put_u64(&ret->begin, WORD * ret->spare, e->base);
}

static int end(struct remote_code *ret, const struct encoder *e)
{
	if (e->full || e->out_of_reach)
		return -ERANGE;
	ret->len = (uint32_t)e->len;
	return 0;
}

static void encode_home(struct encoder *e, unsigned spare)
{
	for (unsigned i = 0; i < REMOTE_ARGUMENTS; i++)
		encode_word_to(e, RV_A0 + i, spare, HOME_A0 + i);
	encode_word_to(e, A7, spare, HOME_A7);
	encode_word_to(e, spare, spare, HOME_PC);
	encode_u32(e, 0x67 | spare << 15); /* jr */
}

int riscv64_remote_build(taddr_t at, const struct remote_call *call, const struct regs *regs,
			 const int64_t *own, struct remote_code *ret)
{
	struct encoder e;

	if (!begin(ret, &e, regs, own, at))
		return -ENOTSUP;
	encode_u64(&e, call->argument[0]);
	enter(ret, &e, regs);
	encode_word_to(&e, RV_A0, ret->spare, WORDS);
	encode_u32(&e, ECALL);
	ret->behind = encode_here(&e);
	encode_home(&e, ret->spare);
	for (unsigned i = 1; i < REMOTE_ARGUMENTS; i++)
		regs_put_u64(&ret->begin, AT_A0 + WORD * i, call->argument[i]);
	regs_put_u64(&ret->begin, AT_A7, (uint64_t)call->number);
	return end(ret, &e);
}

/* ---- a copy of the process ---------------------------------------------- */

static void encode_syscall(struct encoder *e, int32_t number)
{
	encode_li(e, A7, number);
	encode_u32(e, ECALL);
}

/* beqz a0: its target is bound later. */
static size_t encode_beqz(struct encoder *e)
{
	encode_u32(e, 0);
	return e->len - RV_LEN;
}

static void bind_here(struct encoder *e, size_t branch)
{
	struct encoder insn = {.bytes = e->bytes, .room = e->room, .len = branch, .base = e->base};

	encode_branch(&insn, 0, RV_A0, RV_X0, encode_here(e));
}

/* To the mask in the nth word; a2 is 0. */
static void encode_mask(struct encoder *e, unsigned spare, uint32_t nth)
{
	encode_li(e, RV_A0, SIG_SETMASK_);
	encode_addi(e, A1, spare, (int32_t)nth * WORD);
	encode_li(e, A3, 8);
	encode_syscall(e, NR_RT_SIGPROCMASK);
}

/* a1 is 0: on the same stack, which nobody uses here.  What clone() gave is what the helper ends with. */
static void encode_helper(struct encoder *e)
{
	size_t copy;

	encode_li(e, RV_A0, CLONE_FILES);
	encode_u32(e, ECALL); /* a7 is clone's still */
	copy = encode_beqz(e);
	encode_syscall(e, NR_EXIT_GROUP);
	bind_here(e, copy);
	encode_li(e, A1, -1); /* (a0 is 0) */
	encode_li(e, A2, 2);  /* CLOSE_RANGE_UNSHARE */
	encode_syscall(e, NR_CLOSE_RANGE);
	encode_li(e, RV_A0, 0);
	encode_syscall(e, NR_EXIT_GROUP);
}

static void encode_wait(struct encoder *e)
{
	encode_addi(e, A1, RV_A0, 0);
	encode_li(e, RV_A0, 1);			     /* P_PID */
	encode_u32(e, 0x80000037 | (uint32_t)A3 << 7); /* lui: __WCLONE */
	encode_addi(e, A3, A3, 4);		     /* WEXITED */
	encode_li(e, A4, 0);
	encode_syscall(e, NR_WAITID);
}

int riscv64_copy_build(taddr_t at, const void *mask, const struct regs *regs, const int64_t *own,
		       struct remote_code *ret)
{
	struct encoder e;
	size_t helper;

	if (!begin(ret, &e, regs, own, at))
		return -ENOTSUP;
	encode_u64(&e, UINT64_MAX);
	encode_bytes(&e, mask, 8);
	enter(ret, &e, regs);
	encode_li(&e, A2, 0);
	encode_mask(&e, ret->spare, WORDS);
	encode_li(&e, RV_A0, CLONE_VM | CLONE_FILES);
	encode_li(&e, A1, 0);
	encode_syscall(&e, NR_CLONE);
	ret->behind_clone = encode_here(&e);
	helper = encode_beqz(&e);
	encode_wait(&e);
	encode_mask(&e, ret->spare, WORDS + 1);
	ret->behind = encode_here(&e);
	encode_home(&e, ret->spare);
	bind_here(&e, helper);
	encode_helper(&e);
	return end(ret, &e);
}
