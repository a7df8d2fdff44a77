/*
 * The frame walker, with arbitrary rows and an arbitrary stack.
 *
 *   input: pc, sp, fp, lr as u16; word size and limit u8; row count u8;
 *          rows, 12 bytes each; the stack, from STACK upwards
 *
 * What is held: it ends, says why, and writes no frame too many.
 */
#include <string.h>

#include "base/cursor.h"
#include "fuzz.h"
#include "region/walk.h"

enum { STACK = 0x8000, MODULES = 0x4000, MAX_FRAMES = 256 };

struct world {
	const uint8_t *stack;
	size_t stack_len;
	struct row rows[256];
	size_t row_count;
	unsigned word_size;
	size_t asked;
};

static const struct row *row_of(void *arg, uint64_t pc, uint64_t lookup_pc, frame_t *frame)
{
	struct world *world = arg;

	world->asked++;
	assert(lookup_pc == pc || lookup_pc == pc - 1);
	*frame = frame_of(pc < MODULES ? 1 : FRAME_NOWHERE, pc);
	return &world->rows[world->row_count ? lookup_pc % world->row_count : 0];
}

static int read_word(void *arg, uint64_t addr, uint64_t *ret)
{
	struct world *world = arg;
	uint64_t offset = addr - STACK, value = 0;

	if (addr < STACK || offset > world->stack_len ||
	    world->stack_len - offset < world->word_size)
		return -1;
	memcpy(&value, world->stack + offset, world->word_size);
	*ret = value;
	return 0;
}

static void read_rows(struct cursor *c, struct world *world, size_t count)
{
	while (world->row_count < count && cursor_left(c) >= sizeof(struct row))
		memcpy(&world->rows[world->row_count++], cursor_bytes(c, sizeof(struct row)),
		       sizeof(struct row));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor c = cursor_over(data, size);
	struct world world = {.word_size = 8};
	struct walk_ops ops = {.row = row_of,
			       .read_word = read_word,
			       .arg = &world,
			       .word_size = 8,
			       .code_mask = ~0ull};
	struct walk_regs regs = {.pc = cursor_u16(&c)};
	frame_t frames[MAX_FRAMES + 1];
	enum walk_end end = WALK_ENDS;
	size_t count, max;
	bool exact;
	uint8_t mode;

	regs.sp = cursor_u16(&c);
	regs.fp = cursor_u16(&c);
	regs.lr = cursor_u16(&c);
	mode = cursor_u8(&c);
	exact = mode & 2;
	if (mode & 1)
		ops.word_size = world.word_size = 4;
	if (mode & 4)
		ops.code_mask = ~1ull;
	max = (mode >> 3) * 8u + 1;
	read_rows(&c, &world, cursor_u8(&c));
	world.stack_len = cursor_left(&c);
	world.stack = cursor_bytes(&c, world.stack_len);
	memset(frames, 0xa5, sizeof(frames));
	count = walk_stack(&ops, &regs, exact, frames, max, &end);
	assert(count >= 1 && count <= max && end < WALK_ENDS);
	assert(frame_offset(frames[0]) == regs.pc && !(frames[0] & FRAME_GUESS));
	assert(!!(frames[0] & FRAME_EXACT) == exact);
	assert(end != WALK_DEPTH || count == max);
	assert(frames[max] == 0xa5a5a5a5a5a5a5a5ull);
	assert(world.asked <= 2 * count);
	return 0;
}
