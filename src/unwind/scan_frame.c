/* What follows from a frame that the scan found: a row, or a step with all registers. */
#include <errno.h>

#include "base/cursor.h"
#include "unwind/scan.h"

enum { FP = 11, SP = 13, LR = 14, PC = 15 };

static bool fits(int32_t at)
{
	return at <= INT16_MAX;
}

int scan_row(const struct scan_frame *frame, bool exact, struct row *ret)
{
	struct row row = {.cfa_offset = frame->cfa_offset, .flags = ROW_GUESS};
	const int32_t *at = frame->at;

	*ret = (struct row){.cfa = ROW_CFA_NONE};
	if (frame->root) {
		*ret = (struct row){.cfa = ROW_CFA_ROOT, .flags = ROW_GUESS};
		return 0;
	}
	if (at[LR] <= 0 && !(exact && frame->lr_intact && !at[LR]))
		return -ENOENT;
	row.cfa = frame->base == SP ? ROW_CFA_SP : ROW_CFA_FP;
	row.ra = at[LR] ? ROW_AT_CFA : ROW_SAME;
	row.ra_offset = (int16_t)-at[LR];
	row.fp = at[FP] == SCAN_EITHER ? ROW_UNDEFINED : at[FP] ? ROW_AT_CFA : ROW_SAME;
	row.fp_offset = at[FP] > 0 ? (int16_t)-at[FP] : 0;
	if ((frame->base != SP && frame->base != FP) || !fits(at[LR]) || !fits(at[FP]))
		row = (struct row){.cfa = ROW_CFA_FULL, .flags = ROW_GUESS};
	*ret = row;
	return 0;
}

static int load(struct memory *memory, uint64_t addr, uint64_t *ret)
{
	uint8_t bytes[4];
	struct cursor c = cursor_over(bytes, sizeof(bytes));

	if (memory_read(memory, addr & UINT32_MAX, bytes, sizeof(bytes)))
		return -EFAULT;
	*ret = cursor_u32(&c);
	return 0;
}

int scan_step(const struct scan_frame *frame, struct memory *memory, struct full_regs *regs,
	      uint64_t *cfa, uint8_t *flags)
{
	struct full_regs caller = *regs;
	uint64_t top = (uint32_t)(regs->value[frame->base] + (uint64_t)frame->cfa_offset);

	if (frame->root)
		return -ENODATA;
	if (!(regs->known >> frame->base & 1) || frame->at[LR] == SCAN_EITHER ||
	    (!frame->at[LR] && !(frame->lr_intact && regs->known >> LR & 1)))
		return -EINVAL;
	caller.known &= 0x0ff0; /* r4-r11 */
	for (unsigned reg = 4; reg < SCAN_REGS; reg++) {
		if (frame->at[reg] == SCAN_EITHER)
			caller.known &= ~(1ull << reg);
		if (frame->at[reg] <= 0 || reg == SP || reg == PC)
			continue;
		if (load(memory, top - (uint64_t)frame->at[reg], &caller.value[reg]))
			return -EFAULT;
		caller.known |= reg < 12 ? 1ull << reg : 0;
	}
	caller.value[PC] = caller.value[LR];
	caller.value[SP] = top;
	caller.known |= 1ull << SP | 1ull << PC;
	*regs = caller;
	*cfa = top;
	*flags = ROW_GUESS;
	return 0;
}
