/*
 * Ways into covered bytes: see arch/trap.h.  Of T32 code alone: an A32 patch covers one
 * instruction.  The halfwords that can begin a branch are few, and only they are decoded.
 */
#include "arch/arm/arm.h"

#include "arch/arm/insn.h"

static bool may_branch(uint32_t half)
{
	return (half & 0xf000) == 0xd000 || (half & 0xf800) == 0xe000 || /* b */
	       (half & 0xf500) == 0xb100 ||				 /* cbz */
	       (half & 0xf800) == 0xf000;				 /* b.w, bl */
}

static bool is_covered(const struct covered *covered, size_t count, taddr_t target)
{
	for (size_t i = 0; i < count; i++)
		if (target > covered[i].begin && target < covered[i].end)
			return true;
	return false;
}

size_t arm_ways_in(const uint8_t *code, size_t len, taddr_t from, bool anywhere,
		   const struct covered *covered, size_t count, struct way *ret, size_t max)
{
	taddr_t begin = from & ~1ull;
	size_t found = 0;
	struct insn insn;

	for (size_t at = 0; at + 2 <= len; at += anywhere ? 2 : insn.len) {
		insn.len = 2;
		if (anywhere && !may_branch(code[at] | (uint32_t)code[at + 1] << 8))
			continue;
		if (arm_insn_decode(code + at, len - at, (begin + at) | 1, &insn))
			continue;
		if ((insn.kind != INSN_BRANCH && insn.kind != INSN_CBZ &&
		     insn.kind != INSN_CALL && insn.kind != INSN_ADDRESS) ||
		    !is_covered(covered, count, insn.target))
			continue;
		if (found < max)
			ret[found] = (struct way){begin + at, insn.target};
		found++;
	}
	return found;
}
