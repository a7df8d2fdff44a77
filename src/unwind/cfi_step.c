/*
 * One frame to its caller with all registers: what a row can't say.
 *
 * A register whose value can't be known in the caller (undefined, unsaved and not
 * preserved by the ABI, unreadable) is unknown there, and an error only when
 * something needs it.
 */
#include <errno.h>

#include "unwind/cfi_parts.h"

struct cfi_rule cfi_step_rule(const struct cfi *cfi, const struct cfi_rules *rules,
			      uint64_t reg)
{
	struct cfi_rule rule = reg < ARCH_MAX_REGS ? rules->reg[reg] : (struct cfi_rule){0};

	if (rule.kind != CFI_UNSPECIFIED)
		return rule;
	if (reg == (uint64_t)cfi->arch->reg_sp)
		rule.kind = CFI_VAL_OFFSET; /* of 0: the caller's sp is the CFA */
	else if (reg < 32 && (cfi->arch->callee_saved >> reg & 1))
		rule.kind = CFI_SAME;
	else if (cfi->arch->reg_lr != ARCH_NO_REG && reg == (uint64_t)cfi->arch->reg_lr)
		rule.kind = CFI_SAME; /* not moved yet: a leaf */
	else
		rule.kind = CFI_UNDEFINED;
	return rule;
}

struct step {
	const struct cfi *cfi;
	struct memory *memory;
	const struct full_regs *regs;
	uint64_t cfa;
};

static int load(const struct step *s, uint64_t addr, uint64_t *ret)
{
	uint8_t bytes[8];

	if (memory_read(s->memory, addr & s->cfi->mask, bytes, s->cfi->arch->word_size))
		return -EFAULT;
	*ret = arch_word(s->cfi->arch, bytes);
	return 0;
}

static int register_value(const struct step *s, uint64_t reg, uint64_t *ret)
{
	if (reg >= ARCH_MAX_REGS || !(s->regs->known >> reg & 1))
		return -EINVAL;
	*ret = s->regs->value[reg];
	return 0;
}

static int find_cfa(struct step *s, const struct cfi_rule *rule)
{
	int failed;

	if (rule->kind == CFI_VAL_EXPRESSION)
		return cfi_expr_value(s->cfi, rule->expression, rule->number, s->regs,
				      s->memory, NULL, &s->cfa);
	failed = register_value(s, rule->number, &s->cfa);
	s->cfa = (s->cfa + (uint64_t)rule->offset) & s->cfi->mask;
	return failed;
}

/* The caller's value of reg.  -EINVAL: it has none. */
static int restore(const struct step *s, struct cfi_rule rule, uint64_t reg, uint64_t *ret)
{
	uint64_t addr;
	int failed;

	switch ((enum cfi_kind)rule.kind) {
	case CFI_SAME:
		return register_value(s, reg, ret);
	case CFI_REGISTER:
		return register_value(s, rule.number, ret);
	case CFI_OFFSET:
		return load(s, s->cfa + (uint64_t)rule.offset, ret);
	case CFI_VAL_OFFSET:
		*ret = (s->cfa + (uint64_t)rule.offset) & s->cfi->mask;
		return 0;
	case CFI_EXPRESSION:
		failed = cfi_expr_value(s->cfi, rule.expression, rule.number, s->regs,
					s->memory, &s->cfa, &addr);
		return failed ? failed : load(s, addr, ret);
	case CFI_VAL_EXPRESSION:
		return cfi_expr_value(s->cfi, rule.expression, rule.number, s->regs, s->memory,
				      &s->cfa, ret);
	case CFI_UNDEFINED:
	case CFI_UNSPECIFIED:
		break;
	}
	return -EINVAL;
}

int cfi_step(struct cfi *cfi, uint64_t vaddr, struct memory *memory, struct full_regs *regs,
	     uint64_t *cfa, uint8_t *flags)
{
	struct step s = {.cfi = cfi, .memory = memory, .regs = regs};
	struct full_regs caller = {.known = 0};
	struct cfi_rules rules;
	struct cfi_fde fde;
	uint64_t pc;
	int failed;

	failed = cfi_table_find(cfi, vaddr, &fde);
	if (!failed)
		failed = cfi_program_run(cfi, &fde, vaddr, &rules);
	if (failed)
		return failed;
	if (cfi_step_rule(cfi, &rules, fde.cie.ra_reg).kind == CFI_UNDEFINED)
		return -ENODATA;
	failed = find_cfa(&s, &rules.cfa);
	if (!failed)
		failed = restore(&s, cfi_step_rule(cfi, &rules, fde.cie.ra_reg), fde.cie.ra_reg,
				 &pc);
	if (failed)
		return failed;
	for (uint64_t reg = 0; reg < (uint64_t)cfi->arch->reg_count; reg++) {
		if (!restore(&s, cfi_step_rule(cfi, &rules, reg), reg, &caller.value[reg]))
			caller.known |= 1ull << reg;
	}
	caller.value[cfi->arch->reg_pc] = pc;
	caller.known |= 1ull << cfi->arch->reg_pc;
	*regs = caller;
	*cfa = s.cfa;
	*flags = (fde.cie.signal ? ROW_SIGNAL : 0) | (rules.signed_ra ? ROW_PAC : 0);
	return 0;
}
