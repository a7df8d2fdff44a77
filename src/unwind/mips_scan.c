/*
 * Prologues of MIPS code are regular: sp is lowered once, by a constant, and what must be kept is
 * stored above it; s8 is set to sp where that will depend on a value.
 *
 *     addiu sp, sp, -48;  sw ra, 44(sp);  sw s0, 40(sp);  [move s8, sp]
 *
 * The code is read once, in its order.  Behind a way out (jr, b, j, and the delay slot) comes code
 * that a branch leads to: it has no frame if one led there that had none, else the frame of the
 * function's body.  That is what shrink-wrapped functions need, of which some 20 in Debian's libc
 * lower sp later than in their first 12 instructions.
 *
 * Sources: System V ABI, MIPS, 3-21; gcc's mips_expand_prologue().
 */
#include <errno.h>
#include <stdlib.h>

#include "arch/cpu.h"
#include "arch/mips/insn.h"
#include "base/types.h"
#include "unwind/mips_frame.h"

enum {
	ADDIU_SP = 0x27bd, /* the upper half: addiu sp, sp, # */
	CALLEE_SAVED = 0xff << 16,
};

static uint32_t word_at(const struct arch *arch, const uint8_t *code)
{
	return (uint32_t)arch_word(arch, code);
}

static bool is_store_to_sp(uint32_t word)
{
	return (word & 0xffe00000) == 0xafa00000;
}

static bool is_kept(unsigned reg)
{
	return (CALLEE_SAVED >> reg & 1) || reg == MIPS_S8 || reg == MIPS_RA;
}

/* addu, or or, of sp and zero: what `move` has been. */
static bool is_fp_setup(uint32_t word)
{
	return word == 0x03a0f021 || word == 0x03a0f025;
}

/* addu sp, .. or subu sp, .., but for a move from s8 */
static bool is_sp_of_value(uint32_t word)
{
	uint32_t operation = word & 0xfc00ffff;

	return (operation == 0x0000e821 || operation == 0x0000e823) &&
	       (word >> 21 & 31) != MIPS_S8;
}

bool mips_is_behind_call(const struct arch *arch, const uint8_t *code)
{
	struct mips_insn insn = mips_decode(word_at(arch, code), 0);

	return mips_is_call(&insn);
}

/* jal, jalx and jalr have a delay slot of two bytes, jalrc has none. */
bool mips16_is_behind_call(const struct arch *arch, const uint8_t *code)
{
	uint32_t before[3]; /* the last half words, the last one first */

	for (unsigned i = 0; i < ARRAY_SIZE(before); i++) {
		const uint8_t *at = code + 8 - 2 * (i + 1);

		before[i] = arch->big_endian ? (uint32_t)at[0] << 8 | at[1]
					     : (uint32_t)at[1] << 8 | at[0];
	}
	return (before[0] & 0xf8ff) == 0xe8c0 || (before[1] & 0xf8ff) == 0xe840 ||
	       (before[2] & 0xf800) == 0x1800;
}

struct scan {
	struct code_frame now, body;
	bool leaves; /* sp was raised: what comes is the way out */
	bool moved;  /* sp is lower by a value since s8 was set: places from it are not known */
	bool failed;
};

static void lower_sp(struct scan *s, int by)
{
	if (s->now.cfa_offset && !s->leaves) { /* a frame made in two steps */
		s->now.cfa_offset += s->now.base == MIPS_SP ? by : 0;
		s->moved |= s->now.base == MIPS_S8;
	} else {
		s->now = (struct code_frame){.base = MIPS_SP, .guess = true, .cfa_offset = by};
		s->moved = false;
	}
	s->leaves = false;
}

static void save(struct code_frame *frame, uint32_t word)
{
	unsigned reg = word >> 16 & 31;
	int offset = (int16_t)word;

	/* (the first one: later ones are arguments of calls) */
	if (is_kept(reg) && !frame->at[reg] && offset >= 0 &&
	    offset < frame->cfa_offset)
		frame->at[reg] = frame->cfa_offset - offset;
}

static void step(struct scan *s, uint32_t word)
{
	struct code_frame *now = &s->now;
	int by = -(int16_t)word;

	if (word >> 16 == ADDIU_SP && by > 0) {
		lower_sp(s, by);
	} else if (word >> 16 == ADDIU_SP) {
		now->cfa_offset += by; /* (a part of it: behind a system call of six arguments) */
		s->leaves = now->cfa_offset <= 0;
		if (s->leaves)
			*now = (struct code_frame){.base = MIPS_SP, .guess = true};
	} else if (is_store_to_sp(word) && !s->moved) {
		save(now, word);
	} else if (is_fp_setup(word) && now->cfa_offset) {
		now->base = MIPS_S8;
	} else if (is_sp_of_value(word)) {
		s->failed |= now->base == MIPS_SP;
		s->moved = true;
	}
	if (!s->leaves && now->cfa_offset)
		s->body = *now;
}

/* Behind a way out: as where a branch from before led here, or as the body. */
static void go_on_behind(struct scan *s, bool frameless)
{
	if (frameless)
		s->now = (struct code_frame){.base = MIPS_SP, .guess = true};
	else if (s->body.cfa_offset)
		s->now = s->body;
	s->leaves = false;
}

static void scan_all(struct scan *s, const struct arch *arch, const uint8_t *code, size_t count,
		     uint8_t *frameless)
{
	size_t out = SIZE_MAX; /* behind the last way out */

	for (size_t i = 0; i <= count; i++) {
		uint32_t word = i < count ? word_at(arch, code + i * MIPS_LEN) : 0;
		struct mips_insn insn = mips_decode(word, i * MIPS_LEN);
		size_t to = insn.target / MIPS_LEN;

		if (i == out)
			go_on_behind(s, frameless[i / 8] >> i % 8 & 1);
		if (i == count)
			return;
		if ((insn.kind == MIPS_B || insn.kind == MIPS_BRANCH) && to > i && to <= count &&
		    !s->now.cfa_offset && !s->leaves)
			frameless[to / 8] |= (uint8_t)(1u << to % 8);
		step(s, word);
		if (insn.kind == MIPS_B || insn.kind == MIPS_J || insn.kind == MIPS_JR)
			out = i + 2;
	}
}

int mips_scan(const struct arch *arch, const uint8_t *code, size_t len, struct code_frame *ret)
{
	uint8_t *frameless = calloc(1, len / MIPS_LEN / 8 + 1); /* a bit an instruction */
	struct scan s = {.now = {.base = MIPS_SP, .guess = true}};

	if (!frameless)
		return -ENOENT;
	scan_all(&s, arch, code, len / MIPS_LEN, frameless);
	free(frameless);
	*ret = s.now;
	return s.failed && s.now.base == MIPS_SP ? -ENOENT : 0;
}

int64_t mips_scan_begin(const struct arch *arch, const uint8_t *code, size_t len)
{
	bool saves = false;

	for (size_t at = len / MIPS_LEN * MIPS_LEN; at >= MIPS_LEN;) {
		uint32_t word = word_at(arch, code + (at -= MIPS_LEN));

		saves |= is_store_to_sp(word) && (word >> 16 & 31) == MIPS_RA;
		if (saves && word >> 16 == ADDIU_SP && (int16_t)word < 0)
			return (int64_t)at;
	}
	return -ENOENT;
}
