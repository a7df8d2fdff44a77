/* Ways into covered bytes: see arch/trap.h. */
#include "arch/mips/insn.h"
#include "arch/mips/mips.h"

static bool is_covered(const struct covered *covered, size_t count, taddr_t target)
{
	for (size_t i = 0; i < count; i++)
		if (target > covered[i].begin && target < covered[i].end)
			return true;
	return false;
}

/* (`anywhere` is the same: there are no instructions but at multiples of four, and MIPS16's
 * reach none of them but by a call of a function.) */
size_t mips_ways_in(const uint8_t *code, size_t len, taddr_t from, bool anywhere,
		    const struct covered *covered, size_t count, struct way *ret, size_t max)
{
	size_t found = 0;

	(void)anywhere;
	for (size_t at = -from % MIPS_LEN; at + MIPS_LEN <= len; at += MIPS_LEN) {
		struct mips_insn insn = mips_decode(mips_read(code + at), from + at);

		if (!insn.target || !is_covered(covered, count, insn.target))
			continue;
		if (found < max)
			ret[found] = (struct way){from + at, insn.target};
		found++;
	}
	return found;
}
