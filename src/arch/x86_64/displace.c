/*
 * Moving the first instructions of a function elsewhere, so that a jump fits there.
 *
 *    function:  push %rbp; test %rdi,%rdi; je +0x20 ...      the patch covers 5 bytes: all
 * three copy:      push %rbp; test %rdi,%rdi; je rel32 to the same target; jmp rel32 to
 * function + 6
 *
 * What an instruction does must not depend on its address.  Most do not; a
 * rip-relative operand and a direct branch get a new displacement; what has no long
 * form (loop, jrcxz) is refused.  A call may be the last of them: it then returns into
 * the copy, from where the jump leads back.  Only an exception must not pass there, as
 * the copy has no unwind data that the C++ runtime would know: displaced.calls says so.
 *
 * And nobody may enter the covered bytes but by their first: branches of the function
 * that lead into them are looked for, as far as its bytes are known.  One to the first
 * byte is refused too: it would pass the patch once more, with registers alive that
 * are not at a call.  A call to the first byte is just a call.  Branches from elsewhere
 * are looked for too, by hook/ways.c.
 */
#include "arch/x86_64/x86_64.h"

#include <errno.h>
#include <inttypes.h>

#include "arch/x86_64/encode.h"
#include "arch/x86_64/insn.h"

uint32_t x86_64_patch_offset(const uint8_t *code, size_t len)
{
	struct insn insn;

	if (insn_decode(code, len, &insn) == 0 && insn.kind == INSN_ENDBR64)
		return insn.len;
	return 0;
}

bool x86_64_is_direct_branch(const struct insn *insn)
{
	switch (insn->kind) {
	case INSN_JCC:
	case INSN_JMP:
	case INSN_CALL:
	case INSN_LOOP:
	case INSN_XBEGIN:
		return true;
	default:
		return false;
	}
}

/* Whether execution stops here: what follows is padding, or reached by a branch. */
static bool is_end(const struct insn *insn)
{
	return insn->kind == INSN_RET || insn->kind == INSN_JMP ||
	       insn->kind == INSN_JMP_INDIRECT || insn->kind == INSN_UD;
}

/* Why an instruction can't be moved, or NULL: it can. */
static const char *reason_to_stay(const struct insn *insn)
{
	switch (insn->kind) {
	case INSN_LOOP:
		return "a loop or jrcxz, which has no long form";
	case INSN_XBEGIN:
		return "an xbegin";
	case INSN_INT3:
		return "a breakpoint (is a debugger at work?)";
	default:
		break;
	}
	if (x86_64_is_direct_branch(insn) && insn->prefix66)
		return "a branch with an operand size prefix";
	if (insn->kind == INSN_CALL && !insn->rel) /* of what is behind it */
		return "a call that asks for its own address";
	if (insn->rel_len && insn->prefix67 && !x86_64_is_direct_branch(insn))
		return "a 32-bit rip-relative address";
	return NULL;
}

/* Writes one instruction, which is at `at`, for its new place. */
static void move(struct encoder *e, const uint8_t *code, const struct insn *insn, taddr_t at)
{
	taddr_t target = at + insn->len + (taddr_t)(int64_t)insn->rel;

	if (insn->kind == INSN_JCC) {
		encode_jcc(e, insn->condition, target);
	} else if (insn->kind == INSN_JMP) {
		encode_jmp(e, target);
	} else if (insn->rel_len) {
		size_t behind = insn->len - insn->rel_at - 4u;

		encode_bytes(e, code, insn->rel_at);
		encode_rel32(e, target, behind);
		encode_bytes(e, code + insn->rel_at + 4, behind);
	} else {
		encode_bytes(e, code, insn->len);
	}
}

/* Looks for a way into the covered bytes [from, from + covered) other than by a call. */
static int check_ways_in(const uint8_t *code, size_t len, taddr_t from, uint32_t covered,
			 struct err *err)
{
	struct insn insn;

	for (size_t at = 0; at < len; at += insn.len) {
		taddr_t target;

		if (insn_decode(code + at, len - at, &insn)) {
			insn.len = 1; /* data between instructions: find the next one */
			continue;
		}
		target = at + insn.len + (taddr_t)(int64_t)insn.rel;
		if (!insn.rel_len || target >= covered)
			continue;
		if (target == 0 && (insn.kind == INSN_CALL || !x86_64_is_direct_branch(&insn)))
			continue; /* calls itself, takes its own address */
		return err_set(err, -ENOTSUP,
			       "the instruction at 0x%" PRIx64 " leads back to byte %u of the "
			       "function, which a patch would cover",
			       from + at, (unsigned)target);
	}
	return 0;
}

/* Covers and moves whole instructions until a patch fits; *ended: with a ret or jmp. */
static int move_all(struct encoder *e, const uint8_t *code, size_t len, taddr_t from,
		    uint32_t least, struct displaced *d, bool *ended, struct err *err)
{
	*ended = false;
	while (d->original_len < least) {
		uint32_t at = d->original_len;
		const char *reason;
		struct insn insn;

		if (at == len)
			return err_set(err, -ENOTSUP, "its code ends after %u bytes", at);
		if (insn_decode(code + at, len - at, &insn))
			return err_set(err, -ENOTSUP, "byte %u begins an unknown instruction",
				       at);
		d->original_len += insn.len;
		if (*ended) {
			if (insn.kind != INSN_NOP && insn.kind != INSN_INT3)
				return err_set(err, -ENOTSUP,
					       "it ends after %u bytes, and no padding follows",
					       at);
			continue;
		}
		reason = reason_to_stay(&insn);
		if (insn.kind == INSN_CALL || insn.kind == INSN_CALL_INDIRECT)
			d->calls = true;
		if (d->calls && d->original_len < least)
			reason = "a call, which other covered instructions follow";
		if (reason)
			return err_set(err, -ENOTSUP, "byte %u begins %s", at, reason);
		d->map[d->count].original = (uint8_t)at;
		d->map[d->count++].copy = (uint8_t)e->len;
		move(e, code + at, &insn, from + at);
		*ended = is_end(&insn);
	}
	return 0;
}

int x86_64_displace(const uint8_t *code, size_t len, taddr_t from, taddr_t to,
		    struct displaced *ret, struct err *err)
{
	return x86_64_displace_more(code, len, from, to, X86_64_PATCH_LEN, ret, err);
}

int x86_64_displace_more(const uint8_t *code, size_t len, taddr_t from, taddr_t to, uint32_t least,
			 struct displaced *ret, struct err *err)
{
	struct displaced d = {0};
	struct encoder e = {.bytes = d.copy, .room = sizeof(d.copy), .base = to};
	bool ended;
	int error = move_all(&e, code, len, from, least, &d, &ended, err);

	if (!error)
		error = check_ways_in(code, len, from, d.original_len, err);
	if (error)
		return error;
	if (!ended) {
		d.map[d.count].original = (uint8_t)d.original_len;
		d.map[d.count++].copy = (uint8_t)e.len;
		encode_jmp(&e, from + d.original_len);
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
