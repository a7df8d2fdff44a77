/*
 * DWARF expressions as they occur in unwind data: a stack machine over registers
 * and memory (DWARF 5, 2.5.1).  Steps and stack are bounded, so that a loop in a
 * broken file ends.
 */
#include <errno.h>

#include "unwind/cfi_parts.h"

enum {
	OP_ADDR = 0x03,
	OP_DEREF = 0x06,
	OP_CONST1U = 0x08,
	OP_CONST1S = 0x09,
	OP_CONST2U = 0x0a,
	OP_CONST2S = 0x0b,
	OP_CONST4U = 0x0c,
	OP_CONST4S = 0x0d,
	OP_CONST8U = 0x0e,
	OP_CONST8S = 0x0f,
	OP_CONSTU = 0x10,
	OP_CONSTS = 0x11,
	OP_DUP = 0x12,
	OP_DROP = 0x13,
	OP_OVER = 0x14,
	OP_PICK = 0x15,
	OP_SWAP = 0x16,
	OP_ROT = 0x17,
	OP_ABS = 0x19,
	OP_AND = 0x1a,
	OP_DIV = 0x1b,
	OP_MINUS = 0x1c,
	OP_MOD = 0x1d,
	OP_MUL = 0x1e,
	OP_NEG = 0x1f,
	OP_NOT = 0x20,
	OP_OR = 0x21,
	OP_PLUS = 0x22,
	OP_PLUS_UCONST = 0x23,
	OP_SHL = 0x24,
	OP_SHR = 0x25,
	OP_SHRA = 0x26,
	OP_XOR = 0x27,
	OP_BRA = 0x28,
	OP_EQ = 0x29,
	OP_GE = 0x2a,
	OP_GT = 0x2b,
	OP_LE = 0x2c,
	OP_LT = 0x2d,
	OP_NE = 0x2e,
	OP_SKIP = 0x2f,
	OP_LIT0 = 0x30,
	OP_LIT31 = 0x4f,
	OP_BREG0 = 0x70,
	OP_BREG31 = 0x8f,
	OP_BREGX = 0x92,
	OP_DEREF_SIZE = 0x94,
	OP_NOP = 0x96,
};

enum { STACK = 64, LIMIT_STEPS = 1000 };

struct machine {
	const struct cfi *cfi;
	const struct full_regs *regs;
	struct memory *memory;
	const uint8_t *begin; /* of the expression, for branches */
	struct cursor c;
	int failed; /* the first error; then nothing more is done */
	unsigned depth;
	uint64_t stack[STACK];
};

static void fail(struct machine *m, int code)
{
	if (!m->failed)
		m->failed = code;
}

static void push(struct machine *m, uint64_t value)
{
	if (m->depth == STACK)
		fail(m, -EINVAL);
	else
		m->stack[m->depth++] = value & m->cfi->mask;
}

static uint64_t pop(struct machine *m)
{
	if (m->depth == 0) {
		fail(m, -EINVAL);
		return 0;
	}
	return m->stack[--m->depth];
}

/* A copy of the item `index` below the top. */
static void pick(struct machine *m, unsigned index)
{
	if (index >= m->depth)
		fail(m, -EINVAL);
	else
		push(m, m->stack[m->depth - 1 - index]);
}

static void push_register(struct machine *m, uint64_t reg, int64_t offset)
{
	if (reg >= ARCH_MAX_REGS || !(m->regs->known >> reg & 1))
		fail(m, -EINVAL);
	else
		push(m, m->regs->value[reg] + (uint64_t)offset);
}

static void dereference(struct machine *m, unsigned width)
{
	uint64_t addr = pop(m);
	uint8_t bytes[8];
	struct cursor c = cfi_cursor(m->cfi, bytes, sizeof(bytes));

	if (m->failed)
		return;
	if (width == 0 || width > sizeof(bytes)) {
		fail(m, -EINVAL);
	} else if (memory_read(m->memory, addr, bytes, width)) {
		fail(m, -EFAULT);
	} else {
		push(m, cursor_uint(&c, width));
	}
}

static void branch(struct machine *m, int16_t distance, bool taken)
{
	int64_t at = m->c.at - m->begin + distance;

	if (!taken)
		return;
	if (at < 0 || at > m->c.end - m->begin)
		fail(m, -EINVAL);
	else
		m->c.at = m->begin + at;
}

/* A value of the target's word size as a signed number. */
static int64_t as_signed(const struct machine *m, uint64_t value)
{
	return m->cfi->mask == UINT32_MAX ? (int32_t)value : (int64_t)value;
}

/* Constants and registers: pushed without looking at the stack. */
static bool push_operand(struct machine *m, uint8_t opcode)
{
	uint64_t reg;

	if (opcode >= OP_LIT0 && opcode <= OP_LIT31) {
		push(m, opcode - OP_LIT0);
		return true;
	}
	if (opcode >= OP_BREG0 && opcode <= OP_BREG31) {
		push_register(m, opcode - OP_BREG0, cursor_sleb(&m->c));
		return true;
	}
	switch (opcode) {
	case OP_ADDR:
		push(m, cursor_uint(&m->c, m->cfi->arch->word_size));
		return true;
	case OP_CONST1U:
		push(m, cursor_u8(&m->c));
		return true;
	case OP_CONST1S:
		push(m, (uint64_t)(int8_t)cursor_u8(&m->c));
		return true;
	case OP_CONST2U:
		push(m, cursor_u16(&m->c));
		return true;
	case OP_CONST2S:
		push(m, (uint64_t)(int16_t)cursor_u16(&m->c));
		return true;
	case OP_CONST4U:
		push(m, cursor_u32(&m->c));
		return true;
	case OP_CONST4S:
		push(m, (uint64_t)(int32_t)cursor_u32(&m->c));
		return true;
	case OP_CONST8U:
	case OP_CONST8S:
		push(m, cursor_u64(&m->c));
		return true;
	case OP_CONSTU:
		push(m, cursor_uleb(&m->c));
		return true;
	case OP_CONSTS:
		push(m, (uint64_t)cursor_sleb(&m->c));
		return true;
	case OP_BREGX:
		reg = cursor_uleb(&m->c);
		push_register(m, reg, cursor_sleb(&m->c));
		return true;
	}
	return false;
}

/* Stack, memory, flow, and arithmetic on the top item alone. */
static bool execute_unary(struct machine *m, uint8_t opcode)
{
	uint64_t a, b, top;
	int16_t distance;

	switch (opcode) {
	case OP_NOP:
		return true;
	case OP_DEREF:
		dereference(m, m->cfi->arch->word_size);
		return true;
	case OP_DEREF_SIZE:
		dereference(m, cursor_u8(&m->c));
		return true;
	case OP_DUP:
		pick(m, 0);
		return true;
	case OP_DROP:
		pop(m);
		return true;
	case OP_OVER:
		pick(m, 1);
		return true;
	case OP_PICK:
		pick(m, cursor_u8(&m->c));
		return true;
	case OP_SWAP:
		top = pop(m);
		a = pop(m);
		push(m, top);
		push(m, a);
		return true;
	case OP_ROT: /* the top goes below the next two */
		top = pop(m);
		a = pop(m);
		b = pop(m);
		push(m, top);
		push(m, b);
		push(m, a);
		return true;
	case OP_ABS:
		top = pop(m);
		push(m, as_signed(m, top) < 0 ? -top : top);
		return true;
	case OP_NEG:
		push(m, -pop(m));
		return true;
	case OP_NOT:
		push(m, ~pop(m));
		return true;
	case OP_PLUS_UCONST:
		push(m, pop(m) + cursor_uleb(&m->c));
		return true;
	case OP_SKIP:
		distance = (int16_t)cursor_u16(&m->c);
		branch(m, distance, true);
		return true;
	case OP_BRA:
		distance = (int16_t)cursor_u16(&m->c);
		branch(m, distance, pop(m) != 0);
		return true;
	}
	return false;
}

static uint64_t divide(struct machine *m, int64_t a, int64_t b)
{
	if (b == 0 || (a == INT64_MIN && b == -1)) {
		fail(m, -EINVAL);
		return 0;
	}
	return (uint64_t)(a / b);
}

/* Two items give one: a OP b, where b is the top. */
static bool execute_binary(struct machine *m, uint8_t opcode)
{
	uint64_t b = pop(m), a = pop(m);
	int64_t sa = as_signed(m, a), sb = as_signed(m, b);

	switch (opcode) {
	case OP_AND:
		push(m, a & b);
		return true;
	case OP_OR:
		push(m, a | b);
		return true;
	case OP_XOR:
		push(m, a ^ b);
		return true;
	case OP_PLUS:
		push(m, a + b);
		return true;
	case OP_MINUS:
		push(m, a - b);
		return true;
	case OP_MUL:
		push(m, a * b);
		return true;
	case OP_DIV:
		push(m, divide(m, sa, sb));
		return true;
	case OP_MOD:
		if (b == 0)
			fail(m, -EINVAL);
		else
			push(m, a % b);
		return true;
	case OP_SHL:
		push(m, b < 64 ? a << b : 0);
		return true;
	case OP_SHR:
		push(m, b < 64 ? a >> b : 0);
		return true;
	case OP_SHRA:
		push(m, (uint64_t)(sa >> (b < 64 ? b : 63)));
		return true;
	case OP_EQ:
		push(m, a == b);
		return true;
	case OP_NE:
		push(m, a != b);
		return true;
	case OP_GE:
		push(m, sa >= sb);
		return true;
	case OP_GT:
		push(m, sa > sb);
		return true;
	case OP_LE:
		push(m, sa <= sb);
		return true;
	case OP_LT:
		push(m, sa < sb);
		return true;
	}
	return false;
}

int cfi_expr_value(const struct cfi *cfi, const uint8_t *expression, size_t len,
		   const struct full_regs *regs, struct memory *memory, const uint64_t *initial,
		   uint64_t *ret)
{
	struct machine m; /* large: not cleared */
	uint64_t value;

	m.cfi = cfi;
	m.regs = regs;
	m.memory = memory;
	m.begin = expression;
	m.c = cfi_cursor(cfi, expression, len);
	m.failed = 0;
	m.depth = 0;
	if (initial)
		push(&m, *initial);
	for (unsigned steps = 0; cursor_left(&m.c) && !m.failed; steps++) {
		uint8_t opcode = cursor_u8(&m.c);

		if (steps == LIMIT_STEPS ||
		    (!push_operand(&m, opcode) && !execute_unary(&m, opcode) &&
		     !execute_binary(&m, opcode)) ||
		    m.c.bad)
			fail(&m, -EINVAL);
	}
	value = pop(&m);
	if (!m.failed)
		*ret = value;
	return m.failed;
}
