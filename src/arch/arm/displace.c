/*
 * Moving the first instructions of a function elsewhere, so that a branch fits there.
 *
 *    A32 function:  ldr r3, [pc, #n]; push ...        the patch covers 4 bytes: one
 *        copy:      ldr r3, [pc, #4]; ldr r3, [r3]; b function + 4; .word address
 *
 *    T32 function:  push {r4, lr}; cbz r0, 1f; ...    4 bytes: one or two
 *        copy:      push {r4, lr}; cbnz r0, 2f; b.w 1f; 2: b.w function + 4
 *
 * A load from behind the code goes to its old place by an address of its own, an adr
 * becomes a load of what it would give.  Branches get their reach; what can't reach any
 * more is -ERANGE.  A call would leave another return address, and other uses of pc
 * (tbb, add rX, pc) are refused.  An IT block is covered whole, and moved as it is, or
 * not at all.
 *
 * As everywhere, nobody may enter the covered bytes but by their first; see
 * x86_64/displace.c, which keeps the same rules.  Literal pools are met on that search
 * and taken for instructions; at worst one looks like a branch to here, and the
 * function is refused.
 */
#include "arch/arm/arm.h"

#include <errno.h>
#include <inttypes.h>

#include "arch/arm/encode.h"
#include "arch/arm/insn.h"

enum { MAX_LITERALS = 8 };

struct mover {
	struct encoder e;
	bool thumb;
	unsigned literals;
	struct {
		size_t at; /* of the load that wants it, in the copy */
		uint32_t value;
	} literal[MAX_LITERALS];
};

uint32_t arm_patch_offset(const uint8_t *code, size_t len)
{
	(void)code;
	(void)len;
	return 0;
}

/* Why an instruction can't be moved, or NULL: it can. */
static const char *reason_to_stay(const struct insn *insn, bool in_it)
{
	bool moves = insn->kind == INSN_PLAIN || insn->kind == INSN_NOP ||
		     insn->kind == INSN_END || insn->kind == INSN_UD;

	if ((insn->kind == INSN_LITERAL || insn->kind == INSN_ADDRESS) && insn->reg == ARM_SP)
		return "an address for the stack pointer";
	switch (insn->kind) {
	case INSN_CALL:
		return "a call, whose return address would be elsewhere";
	case INSN_BREAK:
		return "a breakpoint (is a debugger at work?)";
	case INSN_PC:
		return "an instruction that reads its own address";
	default:
		return in_it && !moves ? "a conditional use of its own address" : NULL;
	}
}

/* ldr reg, [literal]: the literal comes behind the code. */
static void load(struct mover *m, uint32_t reg, uint32_t condition, uint32_t value)
{
	m->literal[m->literals].at = m->e.len;
	m->literal[m->literals++].value = value;
	if (m->thumb)
		encode_t32(&m->e, 0xf8df0000 | reg << 12);
	else
		encode_u32(&m->e, 0x059f0000 | condition << 28 | reg << 12);
}

/* reg = [reg] */
static void load_from_itself(struct mover *m, uint32_t reg, uint32_t condition)
{
	if (m->thumb)
		encode_t32(&m->e, 0xf8d00000 | reg << 16 | reg << 12);
	else
		encode_u32(&m->e, 0x05900000 | condition << 28 | reg << 16 | reg << 12);
}

/* A jump by a literal has no register to spare: not even ip, which is free here by
 * convention only.  push {r0, r1}; r0 = target; str r0, [sp, #4]; pop {r0, pc} */
static void jump_by_literal(struct mover *m, const struct insn *insn)
{
	uint32_t condition = insn->condition;

	if (m->thumb)
		encode_u16(&m->e, 0xb403);
	else
		encode_u32(&m->e, 0x092d0003 | condition << 28);
	load(m, 0, condition, (uint32_t)insn->target);
	load_from_itself(m, 0, condition);
	if (m->thumb) {
		encode_u16(&m->e, 0x9001);
		encode_u16(&m->e, 0xbd01);
	} else {
		encode_u32(&m->e, 0x058d0004 | condition << 28);
		encode_u32(&m->e, 0x08bd8001 | condition << 28);
	}
}

static void move_literal(struct mover *m, const struct insn *insn)
{
	if (insn->reg == ARM_PC) {
		jump_by_literal(m, insn);
		return;
	}
	load(m, insn->reg, insn->condition, (uint32_t)insn->target);
	load_from_itself(m, insn->reg, insn->condition);
}

/* A T32 branch with a condition has less reach than one without. */
static void move_branch(struct mover *m, const struct insn *insn)
{
	if (!m->thumb) {
		encode_a32_branch(&m->e, (uint32_t)insn->condition << 28 | 0x0a000000,
				  insn->target);
		return;
	}
	if (insn->kind == INSN_CBZ) /* the opposite, over the b.w */
		encode_u16(&m->e, (insn->nonzero ? 0xb108u : 0xb908u) | insn->reg);
	else if (insn->condition != ARM_ALWAYS)
		encode_u16(&m->e, 0xd001u | (insn->condition ^ 1u) << 8);
	encode_t32_branch(&m->e, insn->target);
}

/* Writes one instruction for its new place. */
static void move(struct mover *m, const uint8_t *code, const struct insn *insn)
{
	switch (insn->kind) {
	case INSN_LITERAL:
		move_literal(m, insn);
		break;
	case INSN_ADDRESS:
		load(m, insn->reg, insn->condition, (uint32_t)insn->target);
		break;
	case INSN_BRANCH:
	case INSN_CBZ:
		move_branch(m, insn);
		break;
	default:
		encode_bytes(&m->e, code, insn->len);
	}
}

static void write_literals(struct mover *m)
{
	if (m->literals && m->e.len & 2)
		encode_u16(&m->e, m->thumb ? 0xbf00 : 0);
	for (unsigned i = 0; i < m->literals; i++) {
		uint8_t *at = m->e.bytes + m->literal[i].at + (m->thumb ? 2 : 0);
		taddr_t pc = m->e.base + m->literal[i].at + (m->thumb ? 4 : 8);
		uint32_t distance = (uint32_t)(encode_here(&m->e) - (pc & ~3ull));

		at[0] = (uint8_t)distance;
		at[1] |= (uint8_t)(distance >> 8 & 15);
		encode_u32(&m->e, m->literal[i].value);
	}
}

/* Execution stops here: what follows is padding, or reached by a branch. */
static bool is_end(const struct insn *insn, bool in_it)
{
	if (in_it || insn->condition != ARM_ALWAYS)
		return false;
	return insn->kind == INSN_END || insn->kind == INSN_BRANCH || insn->kind == INSN_UD ||
	       (insn->kind == INSN_LITERAL && insn->reg == ARM_PC);
}

/* Looks for a way into the covered bytes other than by a call. */
static int check_ways_in(const uint8_t *code, size_t len, taddr_t from, uint32_t covered,
			 struct err *err)
{
	taddr_t begin = from & ~1ull;
	struct insn insn;

	for (size_t at = 0; at < len; at += insn.len) {
		if (arm_insn_decode(code + at, len - at, from + at, &insn))
			break;
		if ((insn.kind != INSN_BRANCH && insn.kind != INSN_CBZ &&
		     insn.kind != INSN_CALL) ||
		    !insn.target || insn.target - begin >= covered ||
		    (insn.kind == INSN_CALL && insn.target == begin))
			continue;
		return err_set(err, -ENOTSUP,
			       "the instruction at 0x%" PRIx64 " leads back to byte %u of the "
			       "function, which a patch would cover",
			       begin + at, (unsigned)(insn.target - begin));
	}
	return 0;
}

/* Covers and moves whole instructions until a patch fits; *ended: with a return. */
static int move_all(struct mover *m, const uint8_t *code, size_t len, taddr_t from,
		    struct displaced *d, bool *ended, struct err *err)
{
	unsigned in_it = 0;

	*ended = false;
	while (d->original_len < ARM_PATCH_LEN || in_it) {
		uint32_t at = d->original_len;
		const char *reason;
		struct insn insn;

		if (at >= ARCH_MAX_DISPLACED ||
		    arm_insn_decode(code + at, len - at, from + at, &insn))
			return err_set(err, -ENOTSUP, "its code ends after %u bytes", at);
		d->original_len += insn.len;
		if (*ended) {
			if (insn.kind != INSN_NOP)
				return err_set(err, -ENOTSUP,
					       "it ends after %u bytes, and no padding follows",
					       at);
			continue;
		}
		reason = reason_to_stay(&insn, in_it > 0);
		if (reason)
			return err_set(err, -ENOTSUP, "byte %u begins %s", at, reason);
		d->map[d->count].original = (uint8_t)at;
		d->map[d->count++].copy = (uint8_t)m->e.len;
		move(m, code + at, &insn);
		*ended = is_end(&insn, in_it > 0);
		in_it = insn.kind == INSN_IT ? insn.count : in_it - (in_it > 0);
	}
	return 0;
}

int arm_displace(const uint8_t *code, size_t len, taddr_t from, taddr_t to,
		 struct displaced *ret, struct err *err)
{
	struct displaced d = {0};
	struct mover m = {.e = {.bytes = d.copy, .room = sizeof(d.copy), .base = to & ~1ull},
			  .thumb = from & 1};
	bool ended;
	int error = move_all(&m, code, len, from, &d, &ended, err);

	if (!error)
		error = check_ways_in(code, len, from, d.original_len, err);
	if (error)
		return error;
	if (!ended) {
		taddr_t back = (from & ~1ull) + d.original_len;

		d.map[d.count].original = (uint8_t)d.original_len;
		d.map[d.count++].copy = (uint8_t)m.e.len;
		if (m.thumb)
			encode_t32_branch(&m.e, back);
		else
			encode_a32_branch(&m.e, 0xea000000, back);
	}
	write_literals(&m);
	if (m.e.out_of_reach)
		return err_set(err, -ERANGE,
			       "code at 0x%" PRIx64
			       " refers to what is out of reach of 0x%" PRIx64,
			       from, to);
	d.copy_len = (uint32_t)m.e.len;
	*ret = d;
	return 0;
}
