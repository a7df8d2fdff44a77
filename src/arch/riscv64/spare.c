/*
 * A register that nobody reads any more, from a place in the code on: whoever brings a thread back to that place may
 * jump by it.
 *
 * t1, t3 to t6, of those that no way on from there reads before it comes to a call or a return: both leave
 * these five to whom they lead to (RISC-V ABIs Specification 1.0, "Integer register convention"), and nothing
 * is passed in them, as it is in t2 (the chain of a nested function).  All ways are gone, within the code that is
 * given; what they lead to beyond it, or by a register that is not ra, is not known: then there is none.
 *
 * That is an agreement of compilers, not the CPU's.  So it is counted on in the code of files alone (remote_choose.c);
 * and while memtrace lives all registers are put back by ptrace: who goes home by this one has been left alone,
 * as memtrace was killed, or did not wait any longer.
 *
 * A compiler that has looked into a function (gcc's -fipa-ra) may keep something in such a register over
 * a call of it.  It takes t6 last of these: so that is taken first.
 */
#include "arch/riscv64/encode.h"
#include "arch/riscv64/insn.h"
#include "arch/riscv64/riscv64.h"

enum { SPARES = 1u << RV_T1 | 0xfu << 28, MOST_WAYS = 16, MOST_STEPS = 256 };

struct walk {
	const uint8_t *code;
	size_t len;
	size_t ways[MOST_WAYS]; /* where they begin: gone, and those that are to be gone */
	size_t count;
	unsigned steps;
	uint32_t spare; /* 0: not to be told */
};

/* Of 32 bits.  An amocas (Zacas) compares with what is in rd, and that of 128 bits has pairs of registers; what a maker's own
 * instructions read nobody else knows. */
static uint32_t long_reads(uint32_t bits)
{
	uint32_t first = 1u << (bits >> 15 & 31), second = 1u << (bits >> 20 & 31);
	uint32_t third = 1u << (bits >> 7 & 31);

	switch (bits & 0x7f) {
	case 0x2f: /* AMO */
		return first | second | second << 1 | third | third << 1;
	case 0x0b: /* custom-0 to -3 */
	case 0x2b:
	case 0x5b:
	case 0x7b:
		return UINT32_MAX;
	}
	return first | second;
}

/* At least those that it reads.  (A field that is a number, or a register of floating-point numbers, looks like one.) */
static uint32_t reads(const uint8_t *code, const struct rv_insn *insn)
{
	uint32_t bits;

	if (insn->kind == RV_JAL || insn->kind == RV_J || insn->kind == RV_AUIPC)
		return 0;
	if (insn->len == RV_LEN)
		return long_reads(rv_read(code));
	bits = code[0] | (uint32_t)code[1] << 8;
	return 1u << (bits >> 7 & 31) | 1u << (bits >> 2 & 31);
}

static void add_way(struct walk *w, int64_t to)
{
	if (to < 0 || (size_t)to >= w->len || w->count == MOST_WAYS) {
		w->spare = 0;
		return;
	}
	for (size_t i = 0; i < w->count; i++)
		if (w->ways[i] == (size_t)to)
			return;
	w->ways[w->count++] = (size_t)to;
}

/* One instruction.  False: the way ends there, or goes on as another. */
static bool step(struct walk *w, size_t at, const struct rv_insn *insn)
{
	bool by_ra = insn->kind == RV_JR ? insn->base == RV_RA : insn->reg == RV_RA;

	w->spare &= ~reads(w->code + at, insn);
	switch (insn->kind) {
	case RV_JAL:
	case RV_JALR:
	case RV_JR:
		if (!by_ra)
			w->spare = 0;
		return false;
	case RV_J:
		add_way(w, (int64_t)at + insn->rel);
		return false;
	case RV_BRANCH:
		add_way(w, (int64_t)at + insn->rel);
		return true;
	case RV_BREAK:
	case RV_ILLEGAL:
		w->spare = 0;
		return false;
	}
	return true;
}

unsigned riscv64_spare_register(const uint8_t *code, size_t len, size_t at)
{
	struct walk w = {.code = code, .len = len, .ways = {at}, .count = 1, .spare = SPARES};
	struct rv_insn insn;

	for (size_t way = 0; way < w.count && w.spare; way++)
		for (at = w.ways[way]; w.spare; at += insn.len) {
			if (w.steps++ == MOST_STEPS || at > len || !rv_decode(code + at, len - at, &insn))
				return 0;
			if (!step(&w, at, &insn))
				break;
		}
	return w.spare ? 31 - (unsigned)__builtin_clz(w.spare) : 0;
}
