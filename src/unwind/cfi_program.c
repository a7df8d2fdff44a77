/*
 * Call frame instructions, executed up to an address.  DWARF 5, 6.4.2 and 6.4.3.
 *
 * A CIE's instructions give the initial rules (DW_CFA_restore goes back to them), an
 * FDE's modify them as the address advances; the rules in force at vaddr are those
 * when the next advance would pass it.  remember_state and restore_state keep a
 * stack of whole rule sets, the CFA's included, as every producer expects.
 */
#include <elf.h>
#include <errno.h>

#include "unwind/cfi_parts.h"

enum {
	CFA_ADVANCE_LOC = 0x40, /* these three: operand in the low 6 bits */
	CFA_OFFSET = 0x80,
	CFA_RESTORE = 0xc0,
	CFA_NOP = 0x00,
	CFA_SET_LOC = 0x01,
	CFA_ADVANCE_LOC1 = 0x02,
	CFA_ADVANCE_LOC2 = 0x03,
	CFA_ADVANCE_LOC4 = 0x04,
	CFA_OFFSET_EXTENDED = 0x05,
	CFA_RESTORE_EXTENDED = 0x06,
	CFA_UNDEFINED = 0x07,
	CFA_SAME_VALUE = 0x08,
	CFA_REGISTER = 0x09,
	CFA_REMEMBER_STATE = 0x0a,
	CFA_RESTORE_STATE = 0x0b,
	CFA_DEF_CFA = 0x0c,
	CFA_DEF_CFA_REGISTER = 0x0d,
	CFA_DEF_CFA_OFFSET = 0x0e,
	CFA_DEF_CFA_EXPRESSION = 0x0f,
	CFA_EXPRESSION = 0x10,
	CFA_OFFSET_EXTENDED_SF = 0x11,
	CFA_DEF_CFA_SF = 0x12,
	CFA_DEF_CFA_OFFSET_SF = 0x13,
	CFA_VAL_OFFSET = 0x14,
	CFA_VAL_OFFSET_SF = 0x15,
	CFA_VAL_EXPRESSION = 0x16,
	CFA_MIPS_ADVANCE_LOC8 = 0x1d,
	CFA_AARCH64_NEGATE_RA_STATE_WITH_PC = 0x2c,
	CFA_AARCH64_NEGATE_RA_STATE = 0x2d,
	CFA_GNU_ARGS_SIZE = 0x2e,
	CFA_GNU_NEGATIVE_OFFSET_EXTENDED = 0x2f,
};

enum { LIMIT_REMEMBERED = 16 }; /* compilers nest one or two deep */

struct run {
	const struct cfi *cfi;
	const struct cfi_section *section;
	const struct cfi_cie *cie;
	const struct cfi_rules *initial; /* NULL while they are being made */
	uint64_t location;
	bool placed; /* by DW_CFA_set_loc */
	struct cursor c;
	struct cfi_rules *rules;
	unsigned remembered_count;
	struct cfi_rules remembered[LIMIT_REMEMBERED];
};

/* Sets a rule; registers beyond those we follow (vectors, masks) are passed over. */
static void set_rule(struct run *r, uint64_t reg, struct cfi_rule rule)
{
	if (reg < ARCH_MAX_REGS)
		r->rules->reg[reg] = rule;
}

static void set_offset(struct run *r, uint64_t reg, enum cfi_kind kind, int64_t factored)
{
	int64_t offset;

	if (__builtin_mul_overflow(factored, r->cie->data_align, &offset))
		r->c.bad = true;
	else
		set_rule(r, reg, (struct cfi_rule){.kind = (uint8_t)kind, .offset = offset});
}

/* A register number as a rule keeps it; too large stays too large. */
static uint32_t number_of(uint64_t reg)
{
	return reg < UINT32_MAX ? (uint32_t)reg : UINT32_MAX;
}

static void set_cfa(struct run *r, uint64_t reg, int64_t offset)
{
	r->rules->cfa = (struct cfi_rule){
		.kind = CFI_REGISTER, .number = number_of(reg), .offset = offset};
	r->rules->cfa_offset = offset;
}

/* Only the register.  After an expression the offset from before it holds again, and where
 * there was no rule it is 0: the standard doesn't say so, but producers rely on it (libgcrypt's
 * assembler; every CIE of MIPS). */
static void set_cfa_register(struct run *r, uint64_t reg)
{
	set_cfa(r, reg, r->rules->cfa_offset);
}

/* Only the offset: the rule must be register + offset already. */
static void set_cfa_offset(struct run *r, int64_t offset)
{
	if (r->rules->cfa.kind != CFI_REGISTER)
		r->c.bad = true;
	else
		set_cfa(r, r->rules->cfa.number, offset);
}

static int64_t factored_sleb(struct run *r)
{
	int64_t offset;

	if (__builtin_mul_overflow(cursor_sleb(&r->c), r->cie->data_align, &offset))
		r->c.bad = true;
	return offset;
}

static struct cfi_rule take_expression(struct run *r, enum cfi_kind kind)
{
	uint64_t len = cursor_uleb(&r->c);
	const uint8_t *bytes;

	if (len > UINT32_MAX)
		r->c.bad = true;
	bytes = cursor_bytes(&r->c, (size_t)len);
	return (struct cfi_rule){
		.kind = (uint8_t)kind, .number = (uint32_t)len, .expression = bytes};
}

static void restore(struct run *r, uint64_t reg)
{
	if (!r->initial)
		r->c.bad = true;
	else if (reg < ARCH_MAX_REGS)
		r->rules->reg[reg] = r->initial->reg[reg];
}

static void remember(struct run *r)
{
	if (r->remembered_count == LIMIT_REMEMBERED)
		r->c.bad = true;
	else
		r->remembered[r->remembered_count++] = *r->rules;
}

static void recall(struct run *r)
{
	if (r->remembered_count == 0)
		r->c.bad = true;
	else
		*r->rules = r->remembered[--r->remembered_count];
}

static void advance(struct run *r, uint64_t delta)
{
	r->location = (r->location + delta * r->cie->code_align) & r->cfi->mask;
}

static void set_location(struct run *r)
{
	uint64_t location;

	r->placed = true;
	if (cfi_entry_pointer(r->cfi, r->section, &r->c, r->cie->encoding, r->cie->address_size,
			      &location))
		r->location = location;
	else
		r->c.bad = true;
}

/* Instructions about the CFA; false: it is none of these. */
static bool execute_cfa(struct run *r, uint8_t opcode)
{
	uint64_t reg;

	switch (opcode) {
	case CFA_DEF_CFA:
		reg = cursor_uleb(&r->c);
		set_cfa(r, reg, (int64_t)cursor_uleb(&r->c));
		return true;
	case CFA_DEF_CFA_SF:
		reg = cursor_uleb(&r->c);
		set_cfa(r, reg, factored_sleb(r));
		return true;
	case CFA_DEF_CFA_REGISTER:
		set_cfa_register(r, cursor_uleb(&r->c));
		return true;
	case CFA_DEF_CFA_OFFSET:
		set_cfa_offset(r, (int64_t)cursor_uleb(&r->c));
		return true;
	case CFA_DEF_CFA_OFFSET_SF:
		set_cfa_offset(r, factored_sleb(r));
		return true;
	case CFA_DEF_CFA_EXPRESSION:
		r->rules->cfa = take_expression(r, CFI_VAL_EXPRESSION);
		return true;
	}
	return false;
}

/* Instructions about one register, which is their first operand. */
static bool execute_register(struct run *r, uint8_t opcode)
{
	struct cursor before = r->c;
	uint64_t reg = cursor_uleb(&r->c);
	uint32_t other;

	switch (opcode) {
	case CFA_OFFSET_EXTENDED:
		set_offset(r, reg, CFI_OFFSET, (int64_t)cursor_uleb(&r->c));
		return true;
	case CFA_OFFSET_EXTENDED_SF:
		set_offset(r, reg, CFI_OFFSET, cursor_sleb(&r->c));
		return true;
	case CFA_GNU_NEGATIVE_OFFSET_EXTENDED:
		set_offset(r, reg, CFI_OFFSET, (int64_t)-cursor_uleb(&r->c));
		return true;
	case CFA_VAL_OFFSET:
		set_offset(r, reg, CFI_VAL_OFFSET, (int64_t)cursor_uleb(&r->c));
		return true;
	case CFA_VAL_OFFSET_SF:
		set_offset(r, reg, CFI_VAL_OFFSET, cursor_sleb(&r->c));
		return true;
	case CFA_RESTORE_EXTENDED:
		restore(r, reg);
		return true;
	case CFA_UNDEFINED:
		set_rule(r, reg, (struct cfi_rule){.kind = CFI_UNDEFINED});
		return true;
	case CFA_SAME_VALUE:
		set_rule(r, reg, (struct cfi_rule){.kind = CFI_SAME});
		return true;
	case CFA_REGISTER:
		other = number_of(cursor_uleb(&r->c));
		set_rule(r, reg, (struct cfi_rule){.kind = CFI_REGISTER, .number = other});
		return true;
	case CFA_EXPRESSION:
		set_rule(r, reg, take_expression(r, CFI_EXPRESSION));
		return true;
	case CFA_VAL_EXPRESSION:
		set_rule(r, reg, take_expression(r, CFI_VAL_EXPRESSION));
		return true;
	}
	r->c = before;
	return false;
}

static bool execute_other(struct run *r, uint8_t opcode)
{
	switch (opcode) {
	case CFA_NOP:
		return true;
	case CFA_SET_LOC:
		set_location(r);
		return true;
	case CFA_ADVANCE_LOC1:
		advance(r, cursor_u8(&r->c));
		return true;
	case CFA_ADVANCE_LOC2:
		advance(r, cursor_u16(&r->c));
		return true;
	case CFA_ADVANCE_LOC4:
		advance(r, cursor_u32(&r->c));
		return true;
	case CFA_MIPS_ADVANCE_LOC8:
		advance(r, cursor_u64(&r->c));
		return true;
	case CFA_REMEMBER_STATE:
		remember(r);
		return true;
	case CFA_RESTORE_STATE:
		recall(r);
		return true;
	case CFA_GNU_ARGS_SIZE: /* for exception handlers alone: how much is pushed */
		cursor_uleb(&r->c);
		return true;
	case CFA_AARCH64_NEGATE_RA_STATE:
	case CFA_AARCH64_NEGATE_RA_STATE_WITH_PC:
		r->rules->signed_ra = !r->rules->signed_ra;
		return r->cfi->arch->elf_machine == EM_AARCH64;
	}
	return false;
}

static void execute(struct run *r)
{
	uint8_t opcode = cursor_u8(&r->c), low = opcode & 0x3f;

	switch (opcode & 0xc0) {
	case CFA_ADVANCE_LOC:
		advance(r, low);
		return;
	case CFA_OFFSET:
		set_offset(r, low, CFI_OFFSET, (int64_t)cursor_uleb(&r->c));
		return;
	case CFA_RESTORE:
		restore(r, low);
		return;
	}
	if (!execute_cfa(r, opcode) && !execute_other(r, opcode) &&
	    !execute_register(r, opcode))
		r->c.bad = true;
}

/* Executes what is left while the location is at or before vaddr. */
static int go_on(struct run *r, uint64_t vaddr)
{
	while (cursor_left(&r->c) && !r->c.bad) {
		execute(r);
		if (r->location > vaddr)
			break;
	}
	return r->c.bad ? -EINVAL : 0;
}

/* Executes [program, end) so. */
static int run(struct run *r, const uint8_t *program, const uint8_t *end, uint64_t vaddr)
{
	r->c = cfi_cursor(r->cfi, program, (size_t)(end - program));
	return go_on(r, vaddr);
}

/* Runs the CIE's instructions, if they aren't those of last time, and the FDE's. */
static int run_fde(struct run *r, struct cfi *cfi, const struct cfi_fde *fde, uint64_t vaddr,
		   struct cfi_rules *ret)
{
	r->cfi = cfi;
	r->section = fde->section;
	r->cie = &fde->cie;
	r->placed = false;
	r->remembered_count = 0;
	if (cfi->last_section != fde->section || cfi->last_offset != fde->cie.offset) {
		cfi->last_section = NULL;
		cfi->last_initial = (struct cfi_rules){0};
		r->initial = NULL;
		r->rules = &cfi->last_initial;
		r->location = 0;
		if (run(r, fde->cie.program, fde->cie.end, UINT64_MAX))
			return -EINVAL;
		cfi->last_section = fde->section;
		cfi->last_offset = fde->cie.offset;
	}
	*ret = cfi->last_initial;
	r->initial = &cfi->last_initial;
	r->rules = ret;
	r->location = fde->begin;
	return run(r, fde->program, fde->program_end, vaddr);
}

bool cfi_program_names_places(struct cfi *cfi, const struct cfi_fde *fde)
{
	struct cfi_rules rules;
	struct run r; /* large: not cleared */

	if (fde->cie.encoding == 0)
		return false;
	return run_fde(&r, cfi, fde, UINT64_MAX, &rules) || r.placed;
}

int cfi_program_run(struct cfi *cfi, const struct cfi_fde *fde, uint64_t vaddr,
		    struct cfi_rules *ret)
{
	struct run r; /* large: not cleared */

	return run_fde(&r, cfi, fde, vaddr, ret) || ret->cfa.kind == CFI_UNSPECIFIED ? -EINVAL
										     : 0;
}

void cfi_program_each(struct cfi *cfi, const struct cfi_fde *fde, uint64_t vaddr,
		      bool (*visit)(void *arg, uint64_t begin, uint64_t end,
				    const struct cfi_rules *rules),
		      void *arg)
{
	struct cfi_rules rules;
	struct run r; /* large: not cleared */
	int failed = run_fde(&r, cfi, fde, vaddr, &rules);

	while (vaddr < fde->end) {
		bool last = failed || r.location <= vaddr || r.location >= fde->end;
		uint64_t end = last ? fde->end : r.location;
		bool known = !failed && rules.cfa.kind != CFI_UNSPECIFIED;

		if (visit(arg, vaddr, end, known ? &rules : NULL))
			return;
		vaddr = end;
		if (!last)
			failed = go_on(&r, vaddr);
	}
}
