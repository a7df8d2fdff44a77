/*
 * RISC-V code without call frame information: the code itself, and the end of a thread, which is
 * known by its two instructions.
 */
#include <errno.h>

#include "arch/cpu.h"
#include "base/cursor.h"
#include "unwind/riscv64_frame.h"

enum {
	CALL = 4,
	END = 64,
	RET = 2,
	LI_A7_EXIT = 0x05d00893, /* addi a7, x0, 93 */
	ECALL = 0x73,
};

static const struct code_reader reader = {riscv64_scan, riscv64_scan_begin};

/* clone()'s child comes back from its function to exit(), and nobody called it. */
static bool is_end_of_thread(struct image *image, const struct unwinder_place *place)
{
	uint8_t code[8];
	struct cursor c = cursor_over(code, sizeof(code));

	return !place->exact && image_read(image, place->vaddr, code, sizeof(code)) == 0 &&
	       cursor_u32(&c) == LI_A7_EXIT && cursor_u32(&c) == ECALL;
}

static bool is_behind_call(struct image *image, const struct unwinder_place *place)
{
	uint8_t code[CALL];

	return image_read(image, place->vaddr - CALL, code, sizeof(code)) == 0 &&
	       riscv64_is_behind_call(code);
}

/* The last instructions of a function. */
static bool end_at(struct image *image, const struct unwinder_place *place, struct code_frame *ret)
{
	uint8_t code[END];

	for (size_t len = sizeof(code); len >= RET; len /= 2)
		if (!image_read(image, place->vaddr, code, len))
			return !riscv64_scan_end(code, len, ret);
	return false;
}

static int frame_at(struct image *image, const struct arch *arch,
		    const struct unwinder_place *place, struct code_frame *ret)
{
	const struct code_place code = {image, arch, &reader};
	uint64_t vaddr = unwinder_lookup(place), begin = 0;
	struct image_symbol symbol;
	bool known;

	*ret = (struct code_frame){.root = true};
	if (is_end_of_thread(image, place))
		return 0;
	if (!place->exact && !is_behind_call(image, place))
		return -ENOENT;
	if (place->exact && end_at(image, place, ret))
		return 0;
	*ret = (struct code_frame){.root = true};
	known = code_function_begin(&code, vaddr, false, &begin, &symbol);
	if (code_is_start(&code, vaddr, known, begin))
		return 0;
	return code_scan(&code, place->vaddr, known, begin, ret);
}

void riscv64_place_row(struct image *image, const struct arch *arch,
		       const struct unwinder_place *place, struct row *ret)
{
	struct code_frame frame;

	if (frame_at(image, arch, place, &frame) == 0)
		code_frame_row(arch, &frame, place->exact, ret);
}

int riscv64_place_step(struct image *image, const struct arch *arch,
		       const struct unwinder_place *place, struct memory *memory,
		       struct full_regs *regs, uint64_t *cfa, uint8_t *flags)
{
	struct code_frame frame;

	if (frame_at(image, arch, place, &frame))
		return -ENOENT;
	return code_frame_step(arch, &frame, place->exact, memory, regs, cfa, flags);
}
