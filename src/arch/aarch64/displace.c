/*
 * Moving the first instruction of a function elsewhere, so that a branch fits there.
 *
 *    function:  cbz x0, target         copy:  cbz x0, 1f
 *               rest...                       b function + 4
 *                                         1:  b target
 *
 * One instruction is always enough.  What it does must not depend on its address:
 *
 *    b                         b to the same target, which ends the copy
 *    b.cond, cbz, tbz          as above
 *    adrp                      adrp of the same page
 *    adr                       adrp and add
 *    ldr from a literal        adrp and add of the register itself, and the load from
 *                              there; of a vector register the same load, where it reaches
 *    bl, blr                   refused: the return address would be elsewhere
 *
 * No other register is changed, not even x16 (IP0): that it is free here is a convention.
 *
 * And nobody may enter the covered instruction but by a call: a branch of the function
 * back to it would pass the patch once more.  A patch covers one instruction, so there is
 * nothing to come into from elsewhere.
 */
#include "arch/aarch64/aarch64.h"

#include <errno.h>
#include <inttypes.h>

#include "arch/aarch64/encode.h"
#include "arch/aarch64/insn.h"

enum { NOP = 0xd503201f, ZERO_REGISTER = 31, LITERAL_VECTOR = 1 << 26 };

/*
 * Behind a landing pad: where the module is guarded (BTI), an indirect call faults if it
 * meets anything else.  paciasp is one, so it stays too; the stub takes its signature off
 * again and the copy begins with it (stub.c).
 */
uint32_t aarch64_patch_offset(const uint8_t *code, size_t len)
{
	struct a64_insn insn;

	if (len < A64_LEN)
		return 0;
	insn = a64_decode(a64_read(code));
	return insn.kind == A64_BTI || insn.kind == A64_PAC ? A64_LEN : 0;
}

/* Why an instruction can't be moved, or NULL: it can. */
static const char *reason_to_stay(const struct a64_insn *insn)
{
	switch (insn->kind) {
	case A64_BL:
	case A64_BLR:
		return "a call, whose return address would be elsewhere";
	case A64_BREAK:
		return "a breakpoint (is a debugger at work?)";
	case A64_UNDEFINED:
		return "an undefined instruction";
	}
	return NULL;
}

/* What has register 31 for its result, which reads as zero, or only warms the cache. */
static bool does_nothing(uint32_t code, const struct a64_insn *insn)
{
	if (insn->kind == A64_LITERAL)
		return code >> 24 == 0xd8 || /* prfm */
		       (!(code & LITERAL_VECTOR) && (code & 0x1f) == ZERO_REGISTER);
	return (insn->kind == A64_ADR || insn->kind == A64_ADRP) && (code & 0x1f) == ZERO_REGISTER;
}

/* A load from a literal: of w, x, or w with its sign, by opc; or of a vector register. */
static void move_literal(struct encoder *e, uint32_t code, taddr_t target)
{
	static const uint32_t loads[3] = {0xb9400000, 0xf9400000, 0xb9800000};
	unsigned reg = code & 0x1f;

	if (code & LITERAL_VECTOR) {
		encode_u32(e, (code & ~(0x7ffffu << 5)) | encode_distance(e, target, 5, 19));
		return;
	}
	encode_address(e, reg, target);
	encode_u32(e, loads[code >> 30] | reg << 5 | reg);
}

/* A conditional branch with its distance changed to two instructions ahead. */
static uint32_t condition_over_next(uint32_t code, const struct a64_insn *insn)
{
	uint32_t mask = insn->kind == A64_TBZ ? 0x3fffu << 5 : 0x7ffffu << 5;

	return (code & ~mask) | 2u << 5;
}

static void map(struct displaced *d, uint32_t original, size_t copy)
{
	d->map[d->count].original = (uint8_t)original;
	d->map[d->count++].copy = (uint8_t)copy;
}

static void jump_back(struct encoder *e, taddr_t from, struct displaced *d)
{
	map(d, d->original_len, e->len);
	encode_b(e, from + d->original_len);
}

/* Writes the instruction, which is at `from`, and the jump back where one is needed. */
static void move(struct encoder *e, uint32_t code, taddr_t from, struct displaced *d)
{
	struct a64_insn insn = a64_decode(code);
	taddr_t target = from + (taddr_t)insn.rel;

	map(d, 0, 0);
	if (does_nothing(code, &insn)) {
		encode_u32(e, (uint32_t)NOP);
		jump_back(e, from, d);
		return;
	}
	switch (insn.kind) {
	case A64_B:
		encode_b(e, target);
		return;
	case A64_BCOND:
	case A64_CBZ:
	case A64_TBZ:
		encode_u32(e, condition_over_next(code, &insn));
		jump_back(e, from, d);
		map(d, 0, e->len); /* the frame is the function's, as at its entry */
		encode_b(e, target);
		return;
	case A64_ADR:
		encode_address(e, code & 0x1f, target);
		break;
	case A64_ADRP:
		encode_adrp(e, code & 0x1f, (from & ~(taddr_t)0xfff) + (taddr_t)insn.rel);
		break;
	case A64_LITERAL:
		move_literal(e, code, target);
		break;
	default:
		encode_u32(e, code);
		if (a64_is_end(&insn))
			return;
	}
	jump_back(e, from, d);
}

/* Looks for a way into the covered instruction other than by a call. */
static int check_ways_in(const uint8_t *code, size_t len, taddr_t from, struct err *err)
{
	for (size_t at = 0; at + A64_LEN <= len; at += A64_LEN) {
		struct a64_insn insn = a64_decode(a64_read(code + at));

		if (a64_is_branch(&insn) && insn.kind != A64_BL && (int64_t)at + insn.rel == 0)
			return err_set(err, -ENOTSUP,
				       "the instruction at 0x%" PRIx64
				       " leads back to the first, which a patch would cover",
				       from + at);
	}
	return 0;
}

int aarch64_displace(const uint8_t *code, size_t len, taddr_t from, taddr_t to,
		     struct displaced *ret, struct err *err)
{
	struct displaced d = {.original_len = AARCH64_PATCH_LEN};
	struct encoder e = {.bytes = d.copy, .room = sizeof(d.copy), .base = to};
	struct a64_insn insn;
	const char *reason;
	int error;

	if (len < AARCH64_PATCH_LEN)
		return err_set(err, -ENOTSUP, "its code ends after %zu bytes", len);
	insn = a64_decode(a64_read(code));
	reason = reason_to_stay(&insn);
	if (reason)
		return err_set(err, -ENOTSUP, "it begins with %s", reason);
	error = check_ways_in(code, len, from, err);
	if (error)
		return error;
	move(&e, a64_read(code), from, &d);
	if (e.out_of_reach)
		return err_set(err, -ERANGE,
			       "code at 0x%" PRIx64
			       " refers to what is out of reach of 0x%" PRIx64,
			       from, to);
	d.copy_len = (uint32_t)e.len;
	*ret = d;
	return 0;
}
