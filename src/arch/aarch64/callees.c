/*
 * Where code leads to: calls and jumps, and through a slot, as a PLT entry does:
 *
 *     adrp x16, slot; ldr x17, [x16, :lo12:slot]; add x16, x16, :lo12:slot; br x17
 */
#include "arch/aarch64/aarch64.h"
#include "arch/aarch64/insn.h"

enum { ADRP_MASK = 0x1f, X16 = 16 };
static const uint32_t ldr_x17_x16 = 0xf9400211, ldr_mask = 0xffc003ff;

size_t aarch64_callees(const uint8_t *code, size_t len, taddr_t from, struct callee *ret,
		       size_t max)
{
	taddr_t page = 0;
	size_t count = 0;

	for (size_t at = 0; at + A64_LEN <= len && count < max; at += A64_LEN) {
		uint32_t word = a64_read(code + at);
		struct a64_insn insn = a64_decode(word);

		if (insn.kind == A64_BL || insn.kind == A64_B)
			ret[count++] =
				(struct callee){.target = from + at + (taddr_t)insn.rel};
		else if (insn.kind == A64_ADRP && (word & ADRP_MASK) == X16)
			page = ((from + at) & ~0xfffull) + (taddr_t)insn.rel;
		else if (page && (word & ldr_mask) == ldr_x17_x16)
			ret[count++] =
				(struct callee){.slot = page + (word >> 10 & 0xfff) * 8};
	}
	return count;
}

/* adr; or adrp, and an add to it. */
size_t aarch64_addresses(const uint8_t *code, size_t len, taddr_t from, taddr_t *ret,
			 size_t max)
{
	taddr_t page[32] = {0};
	size_t count = 0;

	for (size_t at = 0; at + A64_LEN <= len && count < max; at += A64_LEN) {
		uint32_t word = a64_read(code + at), to = word & 31, base = word >> 5 & 31;
		struct a64_insn insn = a64_decode(word);

		if (insn.kind == A64_ADR)
			ret[count++] = from + at + (taddr_t)insn.rel;
		else if (insn.kind == A64_ADRP)
			page[to] = ((from + at) & ~0xfffull) + (taddr_t)insn.rel;
		else if ((word & 0xffc00000) == 0x91000000 && page[base])
			ret[count++] = page[base] + (word >> 10 & 0xfff);
	}
	return count;
}
