/*
 * Where code leads to: calls and jumps, and through a slot, as a PLT entry does, which is
 * A32 code:
 *
 *     add ip, pc, #a; add ip, ip, #b; ldr pc, [ip, #c]!
 */
#include "arch/arm/arm.h"
#include "arch/arm/insn.h"

static uint32_t rotated(uint32_t word)
{
	uint32_t value = word & 0xff, by = word >> 7 & 30;

	return by ? value >> by | value << (32 - by) : value;
}

/* The slot as far as it has been added up at `at`; 0: this is no PLT entry. */
static taddr_t slot_step(uint32_t word, taddr_t at, taddr_t so_far)
{
	if ((word & 0xfffff000) == 0xe28fc000) /* add ip, pc, # */
		return (uint32_t)(at + 8 + rotated(word));
	if (so_far && (word & 0xfffff000) == 0xe28cc000) /* add ip, ip, # */
		return (uint32_t)(so_far + rotated(word));
	return 0;
}

size_t arm_callees(const uint8_t *code, size_t len, taddr_t from, struct callee *ret,
		   size_t max)
{
	bool thumb = from & 1;
	taddr_t slot = 0;
	struct insn insn;
	size_t count = 0;

	for (size_t at = 0; at < len && count < max; at += insn.len) {
		uint32_t word = 0;

		if (arm_insn_decode(code + at, len - at, from + at, &insn))
			break;
		if (!thumb && len - at >= 4)
			word = code[at] | (uint32_t)code[at + 1] << 8 |
			       (uint32_t)code[at + 2] << 16 | (uint32_t)code[at + 3] << 24;
		if ((insn.kind == INSN_CALL || insn.kind == INSN_BRANCH) && insn.target)
			ret[count++] = (struct callee){.target = insn.target};
		else if (slot && (word & 0xfffff000) == 0xe5bcf000) /* ldr pc, [ip, #]! */
			ret[count++] = (struct callee){.slot = slot + (word & 0xfff)};
		slot = slot_step(word, from + at, slot);
	}
	return count;
}

/* adr alone: other addresses are sums of words between the code. */
size_t arm_addresses(const uint8_t *code, size_t len, taddr_t from, taddr_t *ret, size_t max)
{
	struct insn insn;
	size_t count = 0;

	for (size_t at = 0; at < len && count < max; at += insn.len) {
		if (arm_insn_decode(code + at, len - at, from + at, &insn))
			break;
		if (insn.kind == INSN_ADDRESS)
			ret[count++] = insn.target;
	}
	return count;
}
