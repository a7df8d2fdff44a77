/*
 * Moving the first instructions of a function elsewhere, so that a jump fits there.
 *
 *    function:  lui gp, hi; addiu gp, gp, lo; addu gp, gp, t9; ...
 *        patch: j stub; nop
 *        copy:  lui gp, hi; addiu gp, gp, lo; j function + 8; nop
 *
 * The patch are two instructions, the second in the delay slot of the first, and so nothing of
 * the function's is executed before the stub is.  Where the last that is covered has a delay slot
 * of its own, that goes along, and its place stays as it was.
 *
 *    function:  beq a, b, target; slot;   copy:  beq a, b, 1f; slot
 *               rest                             j rest; nop
 *                                             1: j target; nop
 *
 * A branch under a condition reaches 128 KB, a jump what is in the same 256 MB as its delay slot;
 * what can't reach any more is -ERANGE.  A call would leave another return address.  Position
 * independent code has its own address in t9, which is not an instruction's: it works in the copy
 * as long as t9 is left alone.
 *
 * A thread never stands at a delay slot: the kernel puts it on the branch (Cause.BD).
 *
 * As everywhere, nobody may enter the covered bytes but by their first; see x86_64/displace.c,
 * which keeps the same rules.
 */
#include "arch/mips/mips.h"

#include <errno.h>
#include <inttypes.h>

#include "arch/mips/encode.h"
#include "arch/mips/insn.h"

enum { NOP = 0, OVER_JUMP = 3 /* from the delay slot, over `j rest; nop` */ };

uint32_t mips_patch_offset(const uint8_t *code, size_t len)
{
	(void)code;
	(void)len;
	return 0;
}

/* Why an instruction can't be moved, or NULL: it can. */
static const char *reason_to_stay(const struct mips_insn *insn)
{
	if (mips_is_call(insn))
		return "a call, whose return address would be elsewhere";
	if (insn->kind == MIPS_BREAK)
		return "a breakpoint (is a debugger at work?)";
	return insn->kind == MIPS_UNDEFINED ? "an instruction that is not known" : NULL;
}

static void encode_j_alone(struct encoder *e, taddr_t target)
{
	encode_j(e, target);
	encode_word(e, NOP);
}

/* back: of what follows the branch and its delay slot. */
static void move(struct encoder *e, uint32_t code, const struct mips_insn *insn, uint32_t slot,
		 taddr_t back)
{
	switch (insn->kind) {
	case MIPS_B:
	case MIPS_J:
		encode_j(e, insn->target);
		encode_word(e, slot);
		return;
	case MIPS_JR:
		encode_word(e, code);
		encode_word(e, slot);
		return;
	case MIPS_BRANCH:
		encode_word(e, (code & 0xffff0000) | OVER_JUMP);
		encode_word(e, slot);
		encode_j_alone(e, back);
		encode_j_alone(e, insn->target);
		return;
	}
	encode_word(e, code);
}

/* Looks for a way into the covered bytes other than by a call. */
static int check_ways_in(const uint8_t *code, size_t len, taddr_t from, uint32_t covered,
			 struct err *err)
{
	for (size_t at = 0; at + MIPS_LEN <= len; at += MIPS_LEN) {
		struct mips_insn insn = mips_decode(mips_read(code + at), from + at);

		if (!insn.target || insn.target - from >= covered ||
		    (mips_is_call(&insn) && insn.target == from))
			continue;
		return err_set(err, -ENOTSUP,
			       "the instruction at 0x%" PRIx64 " leads back to byte %u of the "
			       "function, which a patch would cover",
			       from + at, (unsigned)(insn.target - from));
	}
	return 0;
}

static void map(struct displaced *d, size_t copy)
{
	d->map[d->count].original = (uint8_t)d->original_len;
	d->map[d->count++].copy = (uint8_t)copy;
}

/* The instruction that comes next, its delay slot with it; *ended: the copy does. */
static int move_next(struct encoder *e, const uint8_t *code, size_t len, taddr_t from,
		     struct displaced *d, bool *ended, struct err *err)
{
	uint32_t at = d->original_len, slot = NOP, word;
	struct mips_insn insn = {.kind = MIPS_UNDEFINED}, behind;
	const char *reason;
	bool two;

	if (at + MIPS_LEN > len)
		return err_set(err, -ENOTSUP, "its code ends after %zu bytes", len);
	word = mips_read(code + at);
	insn = mips_decode(word, from + at);
	reason = reason_to_stay(&insn);
	if (reason)
		return err_set(err, -ENOTSUP, "byte %u begins %s", at, reason);
	two = mips_has_delay_slot(&insn);
	if (two && at + 2 * MIPS_LEN > len)
		return err_set(err, -ENOTSUP, "its code ends after %zu bytes", len);
	if (two) {
		slot = mips_read(code + at + MIPS_LEN);
		behind = mips_decode(slot, from + at + MIPS_LEN);
		if (behind.kind != MIPS_PLAIN && behind.kind != MIPS_NOP)
			return err_set(err, -ENOTSUP, "byte %u is in a delay slot, and not plain",
				       at + MIPS_LEN);
	}
	map(d, e->len);
	d->original_len += two ? 2 * MIPS_LEN : MIPS_LEN;
	if (insn.kind == MIPS_BRANCH)
		map(d, e->len + 2 * MIPS_LEN); /* (at the jump to its target nobody is moved) */
	move(e, word, &insn, slot, from + d->original_len);
	*ended = two; /* as move() has written it */
	return 0;
}

int mips_displace(const uint8_t *code, size_t len, taddr_t from, taddr_t to,
		  struct displaced *ret, struct err *err)
{
	struct displaced d = {0};
	struct encoder e = {.bytes = d.copy, .room = sizeof(d.copy), .base = to};
	bool ended = false;
	int rc = 0;

	if (from % MIPS_LEN)
		return err_set(err, -ENOTSUP, "it is MIPS16 or microMIPS code");
	while (!rc && !ended && d.original_len < MIPS_PATCH_LEN)
		rc = move_next(&e, code, len, from, &d, &ended, err);
	if (!rc)
		rc = check_ways_in(code, len, from, d.original_len, err);
	if (rc)
		return rc;
	if (!ended) {
		map(&d, e.len);
		encode_j_alone(&e, from + d.original_len);
	}
	if (e.out_of_reach)
		return err_set(err, -ERANGE,
			       "code at 0x%" PRIx64
			       " refers to what is out of reach of 0x%" PRIx64,
			       from, to);
	d.copy_len = (uint32_t)e.len;
	*ret = d;
	return 0;
}
