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

/* lea, with rip as its base, or the address as a number (32 bits, where code is not moved). */
size_t x86_64_addresses(const uint8_t *code, size_t len, taddr_t from, taddr_t *ret, size_t max)
{
	struct insn insn;
	size_t count = 0;

	for (size_t at = 0; at < len && count < max; at += insn.len) {
		const uint8_t *bytes = code + at;

		if (insn_decode(bytes, len - at, &insn))
			break;
		if (insn.kind == INSN_PLAIN && insn.rel_len == 4 && insn.rel_at >= 2 &&
		    bytes[insn.rel_at - 2] == 0x8d)
			ret[count++] = from + at + insn.len + (taddr_t)(int64_t)insn.rel;
		else if ((insn.len == 5 && (bytes[0] & 0xf8) == 0xb8) ||
			 (insn.len == 7 && bytes[0] == 0x48 && bytes[1] == 0xc7 &&
			  (bytes[2] & 0xf8) == 0xc0))
			ret[count++] = bytes[insn.len - 4] |
				       (taddr_t)bytes[insn.len - 3] << 8 |
				       (taddr_t)bytes[insn.len - 2] << 16 |
				       (taddr_t)bytes[insn.len - 1] << 24;
	}
	return count;
}
