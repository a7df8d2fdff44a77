/* A thread's stack is walked when it is first asked about; see leak_stacks.h. */
#include "cli/leak_stacks.h"

#include <stdlib.h>

#include "unwind/stack_map.h"

struct thread_map {
	int tid;
	struct stack_map map;
};

struct leak_stacks {
	const struct picture *picture;
	struct stack_mapper mapper;
	VEC(struct thread_map) maps;
};

struct leak_stacks *leak_stacks_create(const struct picture *picture,
				       const struct modules *modules)
{
	struct leak_stacks *stacks = calloc(1, sizeof(*stacks));

	if (!stacks)
		return NULL;
	stacks->picture = picture;
	stacks->mapper.memory = (struct memory *)&picture->memory;
	stacks->mapper.modules = modules;
	stacks->mapper.arch = picture->arch;
	return stacks;
}

void leak_stacks_destroy(struct leak_stacks *stacks)
{
	if (!stacks)
		return;
	for (size_t i = 0; i < stacks->maps.len; i++)
		stack_map_deinit(&stacks->maps.at[i].map);
	vec_deinit(&stacks->maps);
	stack_mapper_deinit(&stacks->mapper);
	free(stacks);
}

static uint64_t reg_of(const struct arch *arch, const struct picture_thread *thread, int reg)
{
	size_t at = reg >= 0 && arch->reg_offset[reg] >= 0
			    ? (size_t)arch->reg_offset[reg] / arch->word_size
			    : SIZE_MAX;

	return thread->registers && at < thread->register_count ? thread->registers[at] : 0;
}

static const struct picture_thread *thread_of(const struct leak_stacks *stacks, int tid)
{
	for (size_t i = 0; i < stacks->picture->threads.len; i++)
		if (stacks->picture->threads.at[i].tid == tid)
			return &stacks->picture->threads.at[i];
	return NULL;
}

/* NULL: there is no such thread, or no memory. */
static const struct stack_map *map_of(struct leak_stacks *stacks, int tid)
{
	const struct picture_thread *thread = thread_of(stacks, tid);
	const struct arch *arch = stacks->picture->arch;
	struct thread_map made = {.tid = tid};
	struct walk_regs regs;

	for (size_t i = 0; i < stacks->maps.len; i++)
		if (stacks->maps.at[i].tid == tid)
			return &stacks->maps.at[i].map;
	if (!thread)
		return NULL;
	regs = (struct walk_regs){.pc = thread->pc,
				  .sp = thread->sp,
				  .fp = reg_of(arch, thread, arch->reg_fp),
				  .lr = reg_of(arch, thread, arch->reg_lr)};
	stack_map_make(&stacks->mapper, &regs, &made.map);
	if (vec_push(&stacks->maps, made))
		return &stacks->maps.at[stacks->maps.len - 1].map;
	stack_map_deinit(&made.map);
	return NULL;
}

bool leak_stacks_find(struct leak_stacks *stacks, int tid, taddr_t addr,
		      const struct module **module, uint64_t *vaddr)
{
	const struct stack_map *map = map_of(stacks, tid);
	const struct stack_map_frame *frame = map ? stack_map_find(map, addr) : NULL;

	*module = frame ? modules_find(stacks->mapper.modules, frame->pc) : NULL;
	if (!*module)
		return false;
	*vaddr = frame->pc - (*module)->bias;
	return true;
}
