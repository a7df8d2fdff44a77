/*
 * Where code leads to: calls and jumps, by one instruction or by two, and through a slot, as a
 * PLT entry does:
 *
 *     auipc t1, hi; jalr ra, lo(t1)                    a call, a tail call
 *     auipc t3, hi; ld t3, lo(t3); jalr t1, t3; nop    through a slot
 *
 * What an auipc has made is followed to the instruction that adds its lower part, by the
 * register: others may stand in between.
 */
#include "arch/riscv64/insn.h"
#include "arch/riscv64/riscv64.h"

/* Where an instruction leads to; of its upper parts at most 32 are known. */
static bool callee_of(const struct rv_insn *insn, taddr_t at, const taddr_t *upper,
		      struct callee *ret)
{
	taddr_t sum = upper[insn->base] + (taddr_t)(int64_t)insn->value;

	if (insn->kind == RV_J || insn->kind == RV_JAL)
		*ret = (struct callee){.target = at + (taddr_t)insn->rel};
	else if ((insn->kind == RV_JR || insn->kind == RV_JALR) && upper[insn->base])
		*ret = (struct callee){.target = sum};
	else if (insn->kind == RV_LOAD && upper[insn->base])
		*ret = (struct callee){.slot = sum};
	else
		return false;
	return true;
}

size_t riscv64_callees(const uint8_t *code, size_t len, taddr_t from, struct callee *ret,
		       size_t max)
{
	taddr_t upper[32] = {0};
	struct rv_insn insn;
	size_t count = 0;

	for (size_t at = 0; count < max && rv_decode(code + at, len - at, &insn); at += insn.len) {
		count += callee_of(&insn, from + at, upper, &ret[count]);
		if (insn.kind == RV_AUIPC)
			upper[insn.reg] = from + at + (taddr_t)insn.rel;
		else if (insn.kind == RV_LOAD)
			upper[insn.reg] = 0;
	}
	return count;
}

size_t riscv64_addresses(const uint8_t *code, size_t len, taddr_t from, taddr_t *ret, size_t max)
{
	taddr_t upper[32] = {0};
	struct rv_insn insn;
	size_t count = 0;

	for (size_t at = 0; count < max && rv_decode(code + at, len - at, &insn); at += insn.len) {
		if (insn.kind == RV_ADD && upper[insn.base])
			ret[count++] = upper[insn.base] + (taddr_t)(int64_t)insn.value;
		if (insn.kind == RV_AUIPC)
			upper[insn.reg] = from + at + (taddr_t)insn.rel;
		else if (insn.kind == RV_ADD || insn.kind == RV_LOAD)
			upper[insn.reg] = 0;
	}
	return count;
}
