/* What follows from a frame that is known: a row, or a step with all registers. */
#include "unwind/mips_frame.h"

#include <errno.h>

#include "arch/cpu.h"
#include "base/memory.h"
#include "base/types.h"

enum { WORD = 4, KEPT = 0xff << 16 | 1 << MIPS_S8 };

static bool fits(int32_t at)
{
	return at <= INT16_MAX;
}

int mips_row(const struct mips_frame *frame, bool exact, struct row *ret)
{
	uint8_t guess = frame->guess ? ROW_GUESS : 0;
	const int32_t *at = frame->at;

	*ret = (struct row){.cfa = ROW_CFA_NONE};
	if (frame->root) {
		*ret = (struct row){.cfa = ROW_CFA_ROOT, .flags = guess};
		return 0;
	}
	if (!at[MIPS_RA] && !exact)
		return -ENOENT;
	*ret = (struct row){
		.cfa = frame->base == MIPS_SP ? ROW_CFA_SP : ROW_CFA_FP,
		.cfa_offset = frame->cfa_offset,
		.ra = at[MIPS_RA] ? ROW_AT_CFA : ROW_SAME,
		.ra_offset = (int16_t)-at[MIPS_RA],
		.fp = at[MIPS_S8] ? ROW_AT_CFA : ROW_SAME,
		.fp_offset = (int16_t)-at[MIPS_S8],
		.flags = guess,
	};
	if (!fits(at[MIPS_RA]) || !fits(at[MIPS_S8]))
		*ret = (struct row){.cfa = ROW_CFA_FULL, .flags = guess};
	return 0;
}

int mips_step(const struct arch *arch, const struct mips_frame *frame, bool exact,
	      struct memory *memory, struct full_regs *regs, uint64_t *cfa, uint8_t *flags)
{
	struct full_regs caller = *regs;
	uint64_t top = (uint32_t)(regs->value[frame->base] + (uint64_t)frame->cfa_offset);

	if (frame->root)
		return -ENODATA;
	if (!(regs->known >> frame->base & 1) ||
	    (!frame->at[MIPS_RA] && !(exact && regs->known >> MIPS_RA & 1)))
		return -EINVAL;
	caller.known &= KEPT;
	for (unsigned reg = 0; reg < MIPS_FRAME_REGS; reg++) {
		uint8_t bytes[8];

		if (!frame->at[reg] || reg == MIPS_SP)
			continue;
		if (memory_read(memory, (uint32_t)(top - (uint64_t)frame->at[reg]), bytes,
				WORD))
			return -EFAULT;
		caller.value[reg] = arch_word(arch, bytes);
		caller.known |= 1ull << reg;
	}
	caller.value[MIPS_PC] = caller.value[MIPS_RA];
	caller.value[MIPS_SP] = top;
	caller.known = (caller.known & ~(1ull << MIPS_RA)) | 1ull << MIPS_SP | 1ull << MIPS_PC;
	*regs = caller;
	*cfa = top;
	*flags = frame->guess ? ROW_GUESS : 0;
	return 0;
}
