/* What follows from a frame that is known: a row, or a step with all registers. */
#include "unwind/code_frame.h"

#include <errno.h>

#include "arch/cpu.h"
#include "base/memory.h"
#include "base/types.h"

static bool fits(int32_t at)
{
	return at <= INT16_MAX;
}

int code_frame_row(const struct arch *arch, const struct code_frame *frame, bool exact,
		   struct row *ret)
{
	uint8_t guess = frame->guess ? ROW_GUESS : 0;
	int32_t ra = frame->at[arch->reg_lr], fp = frame->at[arch->reg_fp];

	*ret = (struct row){.cfa = ROW_CFA_NONE};
	if (frame->root) {
		*ret = (struct row){.cfa = ROW_CFA_ROOT, .flags = guess};
		return 0;
	}
	if (!ra && !exact)
		return -ENOENT;
	*ret = (struct row){
		.cfa = frame->base == arch->reg_sp ? ROW_CFA_SP : ROW_CFA_FP,
		.cfa_offset = frame->cfa_offset,
		.ra = ra ? ROW_AT_CFA : ROW_SAME,
		.ra_offset = (int16_t)-ra,
		.fp = fp ? ROW_AT_CFA : ROW_SAME,
		.fp_offset = (int16_t)-fp,
		.flags = guess,
	};
	if (!fits(ra) || !fits(fp) ||
	    (frame->base != arch->reg_sp && frame->base != arch->reg_fp))
		*ret = (struct row){.cfa = ROW_CFA_FULL, .flags = guess};
	return 0;
}

/* An address: without what is above the CPU's words. */
static uint64_t wrapped(const struct arch *arch, uint64_t address)
{
	return arch->word_size == 4 ? (uint32_t)address : address;
}

int code_frame_step(const struct arch *arch, const struct code_frame *frame, bool exact,
		    struct memory *memory, struct full_regs *regs, uint64_t *cfa,
		    uint8_t *flags)
{
	struct full_regs caller = *regs;
	uint64_t top = wrapped(arch, regs->value[frame->base] + (uint64_t)frame->cfa_offset);
	unsigned lr = (unsigned)arch->reg_lr, sp = (unsigned)arch->reg_sp;

	if (frame->root)
		return -ENODATA;
	if (!(regs->known >> frame->base & 1) ||
	    (!frame->at[lr] && !(exact && regs->known >> lr & 1)))
		return -EINVAL;
	caller.known &= arch->callee_saved;
	for (unsigned reg = 0; reg < CODE_FRAME_REGS; reg++) {
		uint8_t bytes[8];

		if (!frame->at[reg] || reg == sp)
			continue;
		if (memory_read(memory, wrapped(arch, top - (uint64_t)frame->at[reg]), bytes,
				arch->word_size))
			return -EFAULT;
		caller.value[reg] = arch_word(arch, bytes);
		caller.known |= 1ull << reg;
	}
	caller.value[arch->reg_pc] = caller.value[lr];
	caller.value[sp] = top;
	caller.known = (caller.known & ~(1ull << lr)) | 1ull << sp | 1ull << arch->reg_pc;
	*regs = caller;
	*cfa = top;
	*flags = frame->guess ? ROW_GUESS : 0;
	return 0;
}
