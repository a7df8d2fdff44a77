/* The map of a stack, by the walker's own steps; see stack_map.h. */
#include "unwind/stack_map.h"

#include <string.h>

enum { FRAMES_MAX = 4096 };

static struct unwinder *unwinder_of(struct stack_mapper *mapper, const struct module *module)
{
	struct stack_map_unwinder found = {module, NULL};

	for (size_t i = 0; i < mapper->unwinders.len; i++)
		if (mapper->unwinders.at[i].module == module)
			return mapper->unwinders.at[i].unwinder;
	if (module->image && unwinder_open(module->image, mapper->arch, &found.unwinder, NULL))
		found.unwinder = NULL;
	if (vec_push(&mapper->unwinders, found))
		return found.unwinder;
	unwinder_close(found.unwinder);
	return NULL;
}

static const struct row *row_of(void *arg, uint64_t pc, uint64_t lookup_pc, frame_t *frame)
{
	struct stack_mapper *mapper = arg;
	uint64_t state = pc & mapper->arch->state_mask, at = pc & ~state;
	const struct module *module = modules_find(mapper->modules, at);
	struct unwinder *unwinder = module ? unwinder_of(mapper, module) : NULL;
	struct unwinder_place place;

	memset(&mapper->row, 0, sizeof(mapper->row));
	*frame = frame_of(FRAME_NOWHERE, at);
	if (!module) {
		mapper->row.cfa = ROW_CFA_NO_CODE;
		return &mapper->row;
	}
	*frame = frame_of(module->instance, at - module->bias);
	place = (struct unwinder_place){at - module->bias, pc == lookup_pc, state != 0};
	if (unwinder)
		unwinder_row(unwinder, &place, &mapper->row);
	return &mapper->row;
}

static int read_word(void *arg, uint64_t addr, uint64_t *ret)
{
	struct stack_mapper *mapper = arg;
	uint8_t bytes[8] = {0};
	int rc = memory_read(mapper->memory, addr, bytes, mapper->arch->word_size);

	if (!rc)
		*ret = arch_word(mapper->arch, bytes);
	return rc;
}

void stack_map_make(struct stack_mapper *mapper, const struct walk_regs *regs,
		    struct stack_map *ret)
{
	const struct arch *arch = mapper->arch;
	const struct walk_ops ops = {
		.row = row_of,
		.read_word = read_word,
		.arg = mapper,
		.word_size = arch->word_size,
		.code_mask = arch->code_mask | arch->state_mask,
		.record_below = arch->chain == ARCH_CHAIN_BELOW,
		.record_behind = arch->chain == ARCH_CHAIN_BEHIND,
		.no_chain = arch->chain == ARCH_CHAIN_NONE,
	};
	struct walk_state state = {.pc = regs->pc,
				   .sp = regs->sp,
				   .fp = regs->fp,
				   .lr = regs->lr,
				   .exact = true,
				   .lr_live = regs->lr != 0};
	enum walk_end end = WALK_ENDS;

	memset(ret, 0, sizeof(*ret));
	while (end == WALK_ENDS && ret->frames.len < FRAMES_MAX) {
		struct stack_map_frame frame = {.begin = state.sp,
						.pc = (state.pc & ~arch->state_mask) - !state.exact};
		frame_t ignored;

		end = walk_step(&ops, &state, &ignored);
		frame.end = end == WALK_ENDS ? state.sp : end == WALK_ROOT ? UINT64_MAX : frame.begin;
		/* (another stack: a signal's, a coroutine's) */
		if (frame.end > frame.begin && !vec_push(&ret->frames, frame))
			return;
	}
}

void stack_map_deinit(struct stack_map *map)
{
	vec_deinit(&map->frames);
}

const struct stack_map_frame *stack_map_find(const struct stack_map *map, taddr_t addr)
{
	for (size_t i = 0; i < map->frames.len; i++)
		if (addr >= map->frames.at[i].begin && addr < map->frames.at[i].end)
			return &map->frames.at[i];
	return NULL;
}

void stack_mapper_deinit(struct stack_mapper *mapper)
{
	for (size_t i = 0; i < mapper->unwinders.len; i++)
		unwinder_close(mapper->unwinders.at[i].unwinder);
	vec_deinit(&mapper->unwinders);
}
