/*
 * Unwinding by reading code: arbitrary A32 and T32 code as a function.
 *
 *   input: flags u8 (bit 0: T32, bit 1: exact), vaddr u16, code... (also the stack)
 *
 * What is held: every place is answered in bounded time, and a row leads to the same
 * caller as a step does.
 */
#include <errno.h>
#include <string.h>

#include "base/cursor.h"
#include "row_and_step.h"
#include "unwind/scan.h"
#include "unwind/signal_arm.h"

enum { CODE = 0x10000, CODE_MAX = 4096 };

static void compare(const struct scan_frame *scanned, bool exact, struct memory *stack)
{
	const struct arch *arch = &arch_arm;
	struct row_and_step both;
	struct row row;
	int found = scan_row(scanned, exact, &row), stepped;
	uint64_t cfa = 0;
	uint8_t flags = 0;
	frame_t frame;

	assert(found == 0 || (found == -ENOENT && row.cfa == ROW_CFA_NONE));
	row_and_step_init(&both, arch, &row, stack, CODE, exact);
	stepped = scan_step(scanned, stack, &both.regs, &cfa, &flags);
	/* -EFAULT: of a register that no row is about. */
	if (row.cfa == ROW_CFA_NONE || row.cfa == ROW_CFA_FULL || stepped == -EFAULT ||
	    walk_step(&both.ops, &both.state, &frame) != WALK_ENDS)
		return;
	assert(stepped == 0 && both.state.sp == cfa);
	assert(both.state.pc == (both.regs.value[arch->reg_pc] & arch->code_mask));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor c = cursor_over(data, size);
	uint8_t mode = cursor_u8(&c);
	uint64_t vaddr = CODE + (uint64_t)cursor_u16(&c) % CODE_MAX;
	struct scan_function function = {.begin = CODE, .thumb = mode & 1};
	struct memory_buffer stack;
	struct scan_frame frame;

	function.len = cursor_left(&c) < CODE_MAX ? cursor_left(&c) : CODE_MAX;
	function.code = cursor_bytes(&c, function.len);
	if (c.bad)
		return 0;
	memory_buffer_init(&stack, STACK, function.code, function.len);
	if (scan_find(&function, vaddr, &frame) == 0)
		compare(&frame, mode & 2, &stack.memory);
	if (scan_find_around(&function, vaddr, &frame) == 0)
		compare(&frame, mode & 2, &stack.memory);
	signal_arm_is_exit(function.code, function.len, function.thumb);
	signal_arm_context(function.code, function.len, function.thumb);
	if (function.len >= 4)
		scan_is_behind_call(function.code, function.thumb);
	return 0;
}
