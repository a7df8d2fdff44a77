/*
 * Which function's frame an address of a stack lies in: the frames of one thread, of memory that
 * does not change (a picture).
 *
 *    sp |  frame of pc 0  | frame of its caller | ...      ascending addresses
 *
 * By rows alone: where one needs all registers the map ends.
 */
#ifndef MEMTRACE_STACK_MAP_H
#define MEMTRACE_STACK_MAP_H

#include "base/memory.h"
#include "base/vec.h"
#include "elf/module.h"
#include "region/walk.h"
#include "unwind/unwinder.h"

struct stack_map_frame {
	taddr_t begin; /* its sp; it ends where the next one begins */
	taddr_t end;
	taddr_t pc; /* for a look-up: of a return address, that of the call */
};

struct stack_map {
	VEC(struct stack_map_frame) frames;
};

struct stack_map_unwinder { /* of a module */
	const struct module *module;
	struct unwinder *unwinder; /* NULL: it can't be read */
};

/* What many maps share. */
struct stack_mapper {
	struct memory *memory;
	const struct modules *modules;
	const struct arch *arch;
	VEC(struct stack_map_unwinder) unwinders;
	struct row row;
};

void stack_mapper_deinit(struct stack_mapper *mapper);

/* regs: of a stopped thread; lr 0 where the architecture has none. */
void stack_map_make(struct stack_mapper *mapper, const struct walk_regs *regs,
		    struct stack_map *ret);
void stack_map_deinit(struct stack_map *map);

/* The frame that has addr, or NULL. */
const struct stack_map_frame *stack_map_find(const struct stack_map *map, taddr_t addr);

#endif
