/*
 * Where a function begins that no symbol tells of: at the nearest instruction before that
 * saves lr as prologues do, if from there the code leads to the frame's pc.
 */
#include "unwind/scan.h"

#include <errno.h>

#include "unwind/scan_insn.h"

enum { SP = 13, LR = 14, MAX_BEGINS = 8 };

/* May this halfword be the second one of an instruction?  Not behind a whole bl, nor behind
 * what is rather a function's last literal, the way back to a function before (a callback):
 * as an instruction it would be one of few on d16-d31. */
static bool is_second_half(const struct scan_function *f, uint32_t at)
{
	if (at < 2 || f->code[at - 1] >> 3 < 0x1d)
		return false;
	if (!((f->begin + at) & 3) && f->code[at - 1] == 0xff && f->code[at - 2] >= 0xf0)
		return false;
	return at < 4 || f->code[at - 3] >> 3 != 0x1e || (f->code[at - 1] & 0xd0) != 0xd0;
}

/* Does the instruction save lr as prologues do? */
static bool saves_lr(const struct scan_function *f, uint32_t at)
{
	struct scan_insn insn;

	if (!(f->thumb ? scan_t32 : scan_a32)(f->code, f->len, at, &insn) || insn.conditional ||
	    (f->thumb && is_second_half(f, at)))
		return false;
	return (insn.kind == SCAN_PUSH && insn.mask >> LR & 1) ||
	       (insn.kind == SCAN_STORE && insn.reg == LR && insn.writeback);
}

/*
 * Functions of variable arguments, and such that take a struct in registers, make room
 * for the latter first: push {r1, r2, r3}; sub sp, #8.  A few other instructions may
 * come between.
 */
static uint32_t before_arguments(const struct scan_function *f, uint32_t at)
{
	enum { FEW = 6, ARGUMENTS_LEN = 16 };
	uint32_t step = f->thumb ? 2 : 4, begin = at;
	struct scan_insn insn;

	for (unsigned i = 0; i < FEW && at >= step; i++) {
		at -= step;
		if (!(f->thumb ? scan_t32 : scan_a32)(f->code, f->len, at, &insn) ||
		    scan_insn_is_end(&insn) || saves_lr(f, at))
			break;
		if ((insn.kind == SCAN_PUSH && insn.mask >> 3 == 1) ||
		    (insn.kind == SCAN_SET && insn.reg == SP && insn.base == SP &&
		     insn.number < 0 && insn.number >= -ARGUMENTS_LEN))
			begin = at;
	}
	return begin;
}

int scan_find_around(const struct scan_function *around, uint64_t vaddr, struct scan_frame *ret)
{
	uint32_t step = around->thumb ? 2 : 4, at = (uint32_t)(vaddr - around->begin),
		 tried = 0;

	if (vaddr < around->begin || vaddr - around->begin >= around->len)
		return -ENOENT;
	for (at &= ~(step - 1); at >= step && tried < MAX_BEGINS;) {
		struct scan_function function = *around;
		uint32_t begin;

		at -= step;
		if (!saves_lr(around, at))
			continue;
		begin = before_arguments(around, at);
		function.begin += begin;
		function.code += begin;
		function.len -= begin;
		tried++;
		if (scan_find_reached(&function, vaddr, ret) == 0)
			return ret->at[LR] > 0 ? 0 : -ENOENT;
	}
	return -ENOENT;
}

bool scan_is_behind_call(const uint8_t code[4], bool thumb)
{
	struct scan_insn insn;

	if (!thumb)
		return scan_a32(code, 4, 0, &insn) && insn.kind == SCAN_CALL;
	return (scan_t32(code, 4, 0, &insn) && insn.len == 4 && insn.kind == SCAN_CALL) ||
	       (scan_t32(code, 4, 2, &insn) && insn.kind == SCAN_CALL);
}
