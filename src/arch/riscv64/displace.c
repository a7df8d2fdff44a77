/*
 * Moving the first instructions of a function elsewhere, so that a jal fits there.
 *
 *    function:  c.beqz a0, target      copy:  beq a0, x0, 1f
 *               c.addi16sp sp, -32            c.addi16sp sp, -32
 *               rest...                       jal x0, function + 4
 *                                          1: jal x0, target
 *
 * One instruction, or two where the first has 16 bits, or one more where that one stays (stay.c).  What
 * they do must not depend on their address:
 *
 *    jal x0, c.j                   jal x0 to the same target, which ends the copy
 *    beq ..., c.beqz, c.bnez       as above
 *    auipc                         auipc and addi: the same value, in the same register
 *    jal, jalr, c.jalr             refused: the return address would be elsewhere
 *
 * No other register is changed where all is within the reach of a jal, a megabyte.  Where it is not,
 * a jump is by auipc and jalr, and needs a register: one that the instruction which is jumped to
 * writes to without reading it, for which more instructions are moved if need be; at a return it is t1.
 *
 * And nobody may enter the bytes that the patch covers but by a call of the first (what is moved beyond them is
 * still there): branches of the function itself that lead into them are looked for here, others by hook/ways.c.
 */
#include <errno.h>
#include <inttypes.h>

#include "arch/riscv64/encode.h"
#include "arch/riscv64/insn.h"
#include "arch/riscv64/riscv64.h"

enum {
	NOP = 0x13,
	MOST_MOVED = 40, /* bytes, until one is found behind which a register is free */
	MOST = MOST_MOVED / RV_SHORT + 2,
};

/* Behind a landing pad: where those are asked for, an indirect jump faults if it meets anything
 * else. */
uint32_t riscv64_patch_offset(const uint8_t *code, size_t len)
{
	struct rv_insn insn;

	return rv_decode(code, len, &insn) && insn.kind == RV_LPAD ? insn.len : 0;
}

/* Why an instruction can't be moved, or NULL: it can. */
static const char *reason_to_stay(const struct rv_insn *insn)
{
	switch (insn->kind) {
	case RV_JAL:
	case RV_JALR:
		return "a call, whose return address would be elsewhere";
	case RV_BREAK:
		return "a breakpoint (is a debugger at work?)";
	case RV_ILLEGAL:
		return "an illegal instruction";
	}
	return NULL;
}

struct moving {
	struct encoder e;
	struct displaced d;
	struct { /* branches, whose targets are jumped to at the end */
		uint32_t original;
		size_t copy;
		struct rv_insn insn;
		taddr_t target;
	} branch[MOST];
	size_t branches;
	bool ended; /* nothing follows the last one */
	uint32_t covered; /* at least */
};

static void map(struct displaced *d, uint32_t original, size_t copy)
{
	d->map[d->count].original = (uint8_t)original;
	d->map[d->count++].copy = (uint8_t)copy;
}

/* At an instruction of the function's: a register that nobody reads there any more, or 0. */
static unsigned free_register(const uint8_t *code, size_t len)
{
	struct rv_insn insn;

	if (rv_decode(code, len, &insn) && insn.kind == RV_JR && insn.base == RV_RA)
		return RV_T1;
	return riscv64_overwrites(code, len);
}

/* To byte `to` of the function, or anywhere else. */
static void leave(struct moving *m, const uint8_t *code, size_t len, taddr_t from, taddr_t target)
{
	size_t to = (size_t)(target - from);
	unsigned reg;

	if (rv_reaches(encode_here(&m->e), target)) {
		encode_j(&m->e, target);
		return;
	}
	reg = to < len ? free_register(code + to, len - to) : 0;
	if (reg)
		encode_far_j(&m->e, reg, target);
	else
		m->e.out_of_reach = true;
}

/* Writes one instruction, which is at `at`, for its new place. */
static void move(struct moving *m, const uint8_t *code, const struct rv_insn *insn, taddr_t at)
{
	taddr_t target = at + (taddr_t)insn->rel;

	switch (insn->kind) {
	case RV_J:
		encode_j(&m->e, target);
		return;
	case RV_BRANCH:
		m->branch[m->branches].original = m->d.original_len;
		m->branch[m->branches].copy = m->e.len;
		m->branch[m->branches].insn = *insn;
		m->branch[m->branches++].target = target;
		encode_u32(&m->e, 0); /* bound later */
		return;
	case RV_AUIPC:
		encode_address(&m->e, insn->reg, target);
		return;
	case RV_LPAD:
		encode_u32(&m->e, NOP);
		return;
	default:
		encode_bytes(&m->e, code, insn->len);
	}
}

/* The branches lead to here, and on to where they led. */
static void branches_bind(struct moving *m, const uint8_t *code, size_t len, taddr_t from)
{
	for (size_t i = 0; i < m->branches; i++) {
		const struct rv_insn *insn = &m->branch[i].insn;
		struct encoder at = {.bytes = m->e.bytes,
				     .room = m->e.room,
				     .len = m->branch[i].copy,
				     .base = m->e.base};

		encode_branch(&at, insn->condition, insn->base, insn->other,
			      encode_here(&m->e));
		map(&m->d, m->branch[i].original, m->e.len); /* nothing is changed by then */
		leave(m, code, len, from, m->branch[i].target);
	}
}

/* Covers and moves whole instructions until a patch fits. */
static int move_all(struct moving *m, const uint8_t *code, size_t len, taddr_t from,
		    struct err *err)
{
	while (m->d.original_len < m->covered) {
		uint32_t at = m->d.original_len;
		const char *reason;
		struct rv_insn insn;

		if (!rv_decode(code + at, len - at, &insn))
			return err_set(err, -ENOTSUP, "its code ends after %u bytes", at);
		if (m->ended && insn.kind != RV_NOP)
			return err_set(err, -ENOTSUP,
				       "it ends after %u bytes, and no padding follows", at);
		reason = reason_to_stay(&insn);
		if (reason)
			return err_set(err, -ENOTSUP, "byte %u begins %s", at, reason);
		if (!m->ended) {
			map(&m->d, at, m->e.len);
			move(m, code + at, &insn, from + at);
		}
		m->d.original_len += insn.len;
		m->ended |= rv_is_end(&insn);
	}
	return 0;
}

/* .. and more of them, where a jump back needs a register. */
static void move_until_free(struct moving *m, const uint8_t *code, size_t len, taddr_t from)
{
	struct moving tried = *m;
	struct err err;

	while (!tried.ended && tried.d.original_len < MOST_MOVED) {
		uint32_t done = tried.d.original_len;

		if (rv_reaches(encode_here(&tried.e), from + done) ||
		    free_register(code + done, len - done)) {
			*m = tried;
			m->e.bytes = m->d.copy;
			return;
		}
		tried.covered = done + RV_SHORT;
		tried.e.bytes = tried.d.copy;
		if (move_all(&tried, code, len, from, &err))
			return;
	}
	if (tried.ended) {
		*m = tried;
		m->e.bytes = m->d.copy;
	}
}

/* Looks for a way into the covered bytes other than by a call of the first. */
static int check_ways_in(const uint8_t *code, size_t len, taddr_t from, uint32_t covered,
			 struct err *err)
{
	struct rv_insn insn;

	for (size_t at = 0; rv_decode(code + at, len - at, &insn); at += insn.len) {
		int64_t target = (int64_t)at + insn.rel;

		if (!rv_is_branch(&insn) || target < 0 || target >= covered ||
		    (target == 0 && insn.kind == RV_JAL))
			continue;
		return err_set(err, -ENOTSUP,
			       "the instruction at 0x%" PRIx64 " leads back to byte %u of the "
			       "function, which a patch would cover",
			       from + at, (unsigned)target);
	}
	return 0;
}

int riscv64_displace_more(const uint8_t *code, size_t len, taddr_t from, taddr_t to,
			  uint32_t covered, struct displaced *ret, struct err *err)
{
	struct moving m = {.covered = covered};
	int error;

	m.e = (struct encoder){.bytes = m.d.copy, .room = sizeof(m.d.copy), .base = to};
	error = move_all(&m, code, len, from, err);
	if (!error)
		move_until_free(&m, code, len, from);
	if (!error)
		error = check_ways_in(code, len, from, covered, err);
	if (error)
		return error;
	m.d.covered = covered;
	if (!m.ended) {
		map(&m.d, m.d.original_len, m.e.len);
		leave(&m, code, len, from, from + m.d.original_len);
		if (m.e.len - m.d.map[m.d.count - 1].copy > RV_LEN) /* (the register is free there) */
			map(&m.d, m.d.original_len, m.e.len - RV_LEN);
	}
	branches_bind(&m, code, len, from);
	if (m.e.full)
		return err_set(err, -ENOTSUP, "too much of it would have to be moved");
	if (m.e.out_of_reach)
		return err_set(err, -ERANGE,
			       "code at 0x%" PRIx64
			       " refers to what is out of reach of 0x%" PRIx64,
			       from, to);
	m.d.copy_len = (uint32_t)m.e.len;
	*ret = m.d;
	return 0;
}

int riscv64_displace(const uint8_t *code, size_t len, taddr_t from, taddr_t to,
		     struct displaced *ret, struct err *err)
{
	return riscv64_displace_more(code, len, from, to, RISCV64_PATCH_LEN, ret, err);
}
