/*
 * Ways into covered bytes: see arch/trap.h.  A patch of four bytes may cover two instructions.
 *
 * `anywhere`: an instruction may begin at every second byte.  An address is made by two, auipc
 * and what adds to its register; in code that is not known to be in order only one right behind
 * the other is seen, and the whole of the function when that is looked at again, in order.
 */
#include "arch/riscv64/insn.h"
#include "arch/riscv64/riscv64.h"

struct search {
	const struct covered *covered;
	size_t count;
	taddr_t low, high; /* of all of them */
	taddr_t upper[32]; /* what an auipc has put there, else 0 */
	struct way *ret;
	size_t max, found;
};

static void note(struct search *s, taddr_t at, taddr_t target)
{
	if (target <= s->low || target >= s->high)
		return;
	for (size_t i = 0; i < s->count; i++) {
		if (target <= s->covered[i].begin || target >= s->covered[i].end)
			continue;
		if (s->found < s->max)
			s->ret[s->found] = (struct way){at, target};
		s->found++;
		return;
	}
}

static void insn_look(struct search *s, const struct rv_insn *insn, taddr_t at)
{
	if (rv_is_branch(insn))
		note(s, at, at + (taddr_t)insn->rel);
	else if ((insn->kind == RV_ADD || insn->kind == RV_JR || insn->kind == RV_JALR) &&
		 s->upper[insn->base])
		note(s, at, s->upper[insn->base] + (taddr_t)(int64_t)insn->value);
	if (insn->kind == RV_AUIPC)
		s->upper[insn->reg] = at + (taddr_t)insn->rel;
	else if (insn->kind == RV_ADD || insn->kind == RV_LOAD)
		s->upper[insn->reg] = 0;
}

/* An auipc at `at`, and the instruction right behind it. */
static void pair_look(struct search *s, const uint8_t *code, size_t len, size_t at, taddr_t from,
		      const struct rv_insn *first)
{
	struct rv_insn next;

	if (!rv_decode(code + at + first->len, len - at - first->len, &next) ||
	    (next.kind != RV_ADD && next.kind != RV_JR && next.kind != RV_JALR) ||
	    next.base != first->reg)
		return;
	note(s, from + at + first->len,
	     from + at + (taddr_t)first->rel + (taddr_t)(int64_t)next.value);
}

static void search_anywhere(struct search *s, const uint8_t *code, size_t len, taddr_t from)
{
	struct rv_insn insn;

	for (size_t at = from & 1; at < len; at += RV_SHORT) {
		if (!rv_decode(code + at, len - at, &insn))
			return;
		if (rv_is_branch(&insn))
			note(s, from + at, from + at + (taddr_t)insn.rel);
		else if (insn.kind == RV_AUIPC)
			pair_look(s, code, len, at, from, &insn);
	}
}

size_t riscv64_ways_in(const uint8_t *code, size_t len, taddr_t from, bool anywhere,
		       const struct covered *covered, size_t count, struct way *ret, size_t max)
{
	struct search s = {.covered = covered,
			   .count = count,
			   .low = UINT64_MAX,
			   .ret = ret,
			   .max = max};
	struct rv_insn insn;

	for (size_t i = 0; i < count; i++) {
		s.low = covered[i].begin < s.low ? covered[i].begin : s.low;
		s.high = covered[i].end > s.high ? covered[i].end : s.high;
	}
	if (anywhere)
		search_anywhere(&s, code, len, from);
	else
		for (size_t at = 0; rv_decode(code + at, len - at, &insn); at += insn.len)
			insn_look(&s, &insn, from + at);
	return s.found;
}
