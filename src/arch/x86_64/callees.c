/* Where code leads to: calls and jumps, direct or through a slot (a PLT entry, -fno-plt). */
#include "arch/x86_64/insn.h"
#include "arch/x86_64/x86_64.h"

size_t x86_64_callees(const uint8_t *code, size_t len, taddr_t from, struct callee *ret,
		      size_t max)
{
	struct insn insn;
	size_t count = 0;

	for (size_t at = 0; at < len && count < max; at += insn.len) {
		taddr_t to;

		if (insn_decode(code + at, len - at, &insn))
			break;
		to = from + at + insn.len + (taddr_t)(int64_t)insn.rel;
		if (insn.kind == INSN_CALL || insn.kind == INSN_JMP || insn.kind == INSN_JCC)
			ret[count++] = (struct callee){.target = to};
		else if ((insn.kind == INSN_CALL_INDIRECT || insn.kind == INSN_JMP_INDIRECT) &&
			 insn.rel_len == 4 && !insn.prefix67)
			ret[count++] = (struct callee){.slot = to};
	}
	return count;
}
