/*
 * First instructions that stay where they are.
 *
 * The kernel puts a uprobe (perf probe, bpftrace, bcc's memleak) on a function's first byte
 * without a look at what is there: an int3, then it runs the instruction that the *file* has
 * there, goes on behind it, and in the end writes that instruction's first byte back.  Under a
 * jump that begins there the thread goes on in the middle of the jump.  So the jump comes
 * behind the first instruction:
 *
 *    function:  push %r12 | jmp stub | ...      the uprobe sees what it knows
 *    stub:      lea 8(%rsp), %rsp; ...; copy: push %r12; ...
 *
 * That instruction is executed twice, then, the second time in the copy.  It may be one that
 * lowers sp, which the stub takes back; or one that does the same again: it writes to nothing
 * but a register (and the flags), in which no argument is that the tracer reads, and which it
 * does not read itself.  Others, and functions with no room for it, have the jump in front.
 */
#include "arch/x86_64/x86_64.h"

#include "arch/x86_64/insn.h"

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R11 = 11, NONE = 16 };

struct operands {
	uint8_t opcode, rex, mod;
	int reg, rm, base, index; /* rm: of mod 3; NONE: not there */
	int32_t immediate;	  /* the instruction's last 1 or 4 bytes */
	bool zero;		  /* the displacement is 0 */
};

/* Operands of a one-byte opcode with a ModRM byte (Intel SDM, volume 2, 2.1.5). */
static struct operands operands_of(const uint8_t *code, const struct insn *insn)
{
	struct operands o = {.rm = NONE, .base = NONE, .index = NONE};
	uint8_t modrm;

	code += code[0] == 0x64; /* fs: */
	if ((*code & 0xf0) == 0x40)
		o.rex = *code++;
	o.opcode = *code++;
	modrm = *code++;
	o.mod = modrm >> 6;
	o.reg = (modrm >> 3 & 7) | (o.rex & 4) << 1;
	o.immediate = (int8_t)code[0];
	if (o.mod == 3) {
		o.rm = (modrm & 7) | (o.rex & 1) << 3;
	} else if ((modrm & 7) != 4) {
		o.base = (modrm & 7) | (o.rex & 1) << 3;
		o.zero = o.mod == 0 || (o.mod == 1 && code[0] == 0);
	} else {
		o.base = (code[0] & 7) | (o.rex & 1) << 3;
		o.index = (code[0] >> 3 & 7) | (o.rex & 2) << 2;
	}
	if (insn->rel_len) /* rip-relative */
		o.base = NONE;
	return o;
}

static bool is_scratch(int reg)
{
	return reg == RAX || reg == RCX || (reg >= R8 && reg <= R11);
}

static bool sets_apart(const struct operands *o, int to, int from)
{
	return is_scratch(to) && to != from && to != o->base && to != o->index;
}

static bool compares(uint8_t opcode, int extension)
{
	switch (opcode) {
	case 0x38: /* cmp */
	case 0x39:
	case 0x3a:
	case 0x3b:
	case 0x84: /* test */
	case 0x85:
		return true;
	case 0x80: /* cmp with an immediate */
	case 0x81:
	case 0x83:
		return extension == 7;
	case 0xf6: /* test with one */
	case 0xf7:
		return extension == 0;
	}
	return false;
}

/* Does the same when it is executed again. */
static bool repeats(const uint8_t *code, const struct insn *insn)
{
	const uint8_t *opcode = code + ((*code & 0xf0) == 0x40);
	struct operands o;

	if (insn->kind == INSN_NOP)
		return true;
	if (insn->kind != INSN_PLAIN || insn->prefix66 || insn->prefix67)
		return false;
	if ((*opcode & 0xf8) == 0xb8) /* mov immediate */
		return is_scratch((*opcode & 7) | (opcode > code ? (*code & 1) << 3 : 0));
	o = operands_of(code, insn);
	switch (o.opcode) {
	case 0x31: /* xor of a register with itself */
	case 0x33:
		return o.mod == 3 && o.reg == o.rm && is_scratch(o.reg);
	case 0x89: /* mov to a register */
		return o.mod == 3 && sets_apart(&o, o.rm, o.reg);
	case 0x8b: /* mov from anywhere */
		return sets_apart(&o, o.reg, o.rm);
	case 0x8d: /* lea; of a register to itself it does nothing */
		return sets_apart(&o, o.reg, NONE) ||
		       (o.rex == 0x48 && o.reg == o.base && o.index == NONE && o.zero);
	}
	return compares(o.opcode, o.reg & 7);
}

/* sub of an immediate from rsp, or push of a register: by how much; 0: something else. */
static uint32_t lowers(const uint8_t *code)
{
	const uint8_t *opcode = code + (*code == 0x41);
	uint32_t by = 0;

	if ((*opcode & 0xf8) == 0x50)
		return 8;
	if (code[0] != 0x48 || code[2] != 0xec)
		return 0;
	if (code[1] == 0x83 && code[3] < 0x80)
		return code[3];
	if (code[1] == 0x81 && code[6] == 0)
		for (int i = 0; i < 3; i++)
			by |= (uint32_t)code[3 + i] << 8 * i;
	return by;
}

bool x86_64_can_stay(const uint8_t *code, size_t len, uint32_t *stays, uint32_t *lowered)
{
	struct insn insn;

	if (len < INSN_MAX_LEN || insn_decode(code, len, &insn))
		return false;
	*stays = insn.len;
	*lowered = lowers(code);
	return *lowered || repeats(code, &insn);
}

bool x86_64_is_breakpoint(const uint8_t *code)
{
	return code[0] == 0xcc;
}
