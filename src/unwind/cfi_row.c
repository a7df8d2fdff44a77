/*
 * Rules reduced to a row: what a walk with pc, sp and fp alone can follow.
 *
 * A row is exact or it is ROW_CFA_FULL.  Beside "register + offset" a few
 * expressions are recognised, because real programs live in them:
 *
 *   breg(sp) n; deref                CFA of a signal frame (glibc's __restore_rt)
 *   breg(fp) n; deref                CFA of a realigned frame (gcc: the CFA is saved at fp - n)
 *   breg(sp|fp) n, as a register's   where a signal frame or a realigned one keeps fp and ra
 *   breg(sp) 8; breg(pc) 0; lit15; and; lit N; ge; lit3; shl; plus
 *                                    CFA in the linker's PLT: 8 more behind the push, which
 *                                    ends at byte N of a 16-byte entry
 */
#include <errno.h>

#include "unwind/cfi_parts.h"

enum {
	OP_DEREF = 0x06,
	OP_DROP = 0x13,
	OP_AND = 0x1a,
	OP_PLUS = 0x22,
	OP_SHL = 0x24,
	OP_GE = 0x2a,
	OP_LIT0 = 0x30,
	OP_BREG0 = 0x70,
};

/* Where an address is: a register, an offset, and whether it is behind a load. */
struct place {
	uint64_t reg;
	int64_t offset;
	bool deref;
};

/* [drop] breg; [deref].  `pushed`: the CFA lies on the stack before (and dropping it
 * or leaving it below makes no difference). */
static bool parse_place(const struct cfi_rule *rule, bool pushed, struct place *ret)
{
	struct cursor c = cursor_over(rule->expression, rule->number);
	uint8_t opcode = cursor_u8(&c);

	if (pushed && opcode == OP_DROP)
		opcode = cursor_u8(&c);
	if (opcode < OP_BREG0 || opcode >= OP_BREG0 + 32)
		return false;
	ret->reg = opcode - OP_BREG0;
	ret->offset = cursor_sleb(&c);
	ret->deref = cursor_left(&c) > 0;
	if (ret->deref && cursor_u8(&c) != OP_DEREF)
		return false;
	return !c.bad && cursor_left(&c) == 0;
}

/* The PLT's CFA; 0, or the byte of an entry at which the push is done. */
static unsigned parse_plt(const struct cfi *cfi, const struct cfi_rule *rule)
{
	const uint8_t expected[] = {
		(uint8_t)(OP_BREG0 + cfi->arch->reg_sp),
		8,
		(uint8_t)(OP_BREG0 + cfi->arch->reg_pc),
		0,
		OP_LIT0 + 15,
		OP_AND,
		0,
		OP_GE,
		OP_LIT0 + 3,
		OP_SHL,
		OP_PLUS,
	};
	unsigned pushed_at;

	if (rule->number != sizeof(expected) || cfi->arch->word_size != 8)
		return 0;
	pushed_at = (unsigned)rule->expression[6] - OP_LIT0;
	for (size_t i = 0; i < sizeof(expected); i++) {
		if (i != 6 && rule->expression[i] != expected[i])
			return 0;
	}
	return pushed_at == 9 || pushed_at == 11 ? pushed_at : 0;
}

/* The CFA's rule.  False: all registers are needed. */
static bool reduce_cfa(const struct cfi *cfi, const struct cfi_rule *rule, struct row *row)
{
	struct place place = {.reg = rule->number, .offset = rule->offset};
	unsigned pushed_at;

	if (rule->kind == CFI_VAL_EXPRESSION) {
		pushed_at = parse_plt(cfi, rule);
		if (pushed_at) {
			row->cfa = pushed_at == 11 ? ROW_CFA_PLT : ROW_CFA_PLT9;
			row->cfa_offset = 8;
			return true;
		}
		if (!parse_place(rule, false, &place))
			return false;
	}
	if (place.offset < INT32_MIN || place.offset > INT32_MAX)
		return false;
	row->cfa_offset = (int32_t)place.offset;
	if (place.reg == (uint64_t)cfi->arch->reg_sp)
		row->cfa = place.deref ? ROW_CFA_SP_DEREF : ROW_CFA_SP;
	else if (place.reg == (uint64_t)cfi->arch->reg_fp)
		row->cfa = place.deref ? ROW_CFA_FP_DEREF : ROW_CFA_FP;
	else
		return false;
	return true;
}

/* Where a register (ra or fp) was saved.  False: all registers are needed. */
static bool reduce_register(const struct cfi *cfi, struct cfi_rule rule, int own,
			    uint8_t *where, int16_t *offset)
{
	struct place place = {.offset = rule.offset};

	switch ((enum cfi_kind)rule.kind) {
	case CFI_UNDEFINED:
		*where = ROW_UNDEFINED;
		return true;
	case CFI_SAME:
		*where = ROW_SAME;
		return true;
	case CFI_REGISTER:
		*where = ROW_SAME;
		return own >= 0 && rule.number == (uint32_t)own;
	case CFI_OFFSET:
		*where = ROW_AT_CFA;
		break;
	case CFI_EXPRESSION:
		if (!parse_place(&rule, true, &place) || place.deref)
			return false;
		if (place.reg == (uint64_t)cfi->arch->reg_sp)
			*where = ROW_AT_SP;
		else if (place.reg == (uint64_t)cfi->arch->reg_fp)
			*where = ROW_AT_FP;
		else
			return false;
		break;
	default:
		return false;
	}
	*offset = (int16_t)place.offset;
	return *offset == place.offset;
}

/* Whether the caller's sp is the CFA, as a walk by rows takes it to be. */
static bool sp_is_cfa(const struct cfi *cfi, const struct cfi_rules *rules)
{
	struct cfi_rule rule = rules->reg[cfi->arch->reg_sp];
	struct place saved, cfa;

	if (rule.kind == CFI_UNSPECIFIED || (rule.kind == CFI_VAL_OFFSET && rule.offset == 0))
		return true;
	/* A signal frame says both: CFA = *(sp + n), and sp was saved at sp + n. */
	return rule.kind == CFI_EXPRESSION && rules->cfa.kind == CFI_VAL_EXPRESSION &&
	       parse_place(&rule, true, &saved) && parse_place(&rules->cfa, false, &cfa) &&
	       saved.reg == cfa.reg && saved.offset == cfa.offset && cfa.deref && !saved.deref;
}

void cfi_row_reduce(const struct cfi *cfi, const struct cfi_fde *fde,
		    const struct cfi_rules *rules, struct row *row)
{
	struct cfi_rule ra = cfi_step_rule(cfi, rules, fde->cie.ra_reg);
	struct cfi_rule fp = cfi_step_rule(cfi, rules, (uint64_t)cfi->arch->reg_fp);

	row->flags = (fde->cie.signal ? ROW_SIGNAL : 0) | (rules->signed_ra ? ROW_PAC : 0);
	if (ra.kind == CFI_UNDEFINED) {
		row->cfa = ROW_CFA_ROOT;
		return;
	}
	if (!reduce_cfa(cfi, &rules->cfa, row) ||
	    !reduce_register(cfi, ra, cfi->arch->reg_lr, &row->ra, &row->ra_offset) ||
	    !reduce_register(cfi, fp, cfi->arch->reg_fp, &row->fp, &row->fp_offset) ||
	    !sp_is_cfa(cfi, rules) || (row->ra == ROW_SAME && cfi->arch->reg_lr == ARCH_NO_REG))
		*row = (struct row){.cfa = ROW_CFA_FULL, .flags = row->flags};
}

int cfi_row(struct cfi *cfi, uint64_t vaddr, struct row *ret)
{
	struct cfi_fde fde;
	struct cfi_rules rules;
	int failed = cfi_table_find(cfi, vaddr, &fde);

	*ret = (struct row){.cfa = ROW_CFA_NONE};
	if (!failed)
		failed = cfi_program_run(cfi, &fde, vaddr, &rules);
	if (!failed)
		cfi_row_reduce(cfi, &fde, &rules, ret);
	return failed;
}
