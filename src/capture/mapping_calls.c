/*
 * Mappings, as the C library's functions make and unmake them (--mmap).
 *
 *   mmap      return: what lies there is replaced, the range entered
 *   munmap    entry: taken --> return: gone, or put back when it failed
 *   mremap    entry: the old range taken --> return: gone (put back when it failed, or when the
 *             old one stays), the new one entered, by this call's stack
 *   brk       return: the break went up (entered) or down (removed)
 *
 * What is unmapped leaves the list before the kernel gives the addresses to another thread, as
 * with free().  The calls that an allocator makes for itself are known by the stack (region/
 * book.h): what they map is its, and counted in its blocks; it only replaces what was there.
 */
#include "capture/mapping_calls.h"

#include <string.h>
#include <unistd.h>

#include "capture/context.h"
#include "capture/mappings.h"

enum { OLD_STAYS = 4 }; /* MREMAP_DONTUNMAP, linux/mman.h, since Linux 5.7 */

static taddr_t page_mask(void)
{
	return (taddr_t)sysconf(_SC_PAGESIZE) - 1;
}

static taddr_t page_up(taddr_t addr)
{
	return (addr + page_mask()) & ~page_mask();
}

/* (MAP_FAILED, and whatever else is no page) */
static bool is_mapping(uint64_t result)
{
	return result && !(result & page_mask());
}

/* False: an allocator made the call for itself. */
static bool range_of(struct engine *engine, struct thread *thread, const struct call *call,
		     taddr_t begin, taddr_t end, struct mapped_range *ret)
{
	*ret = (struct mapped_range){
		.begin = begin, .end = end, .time = ledger_now(&engine->ledger)};
	return !context_walk(engine, thread, call, &ret->context);
}

static void enter(struct engine *engine, struct thread *thread, const struct call *call,
		  taddr_t begin, uint64_t len)
{
	struct mapped *mapped = &engine->ledger.mapped;
	struct mapped_range range;

	if (range_of(engine, thread, call, begin, begin + page_up(len), &range))
		mapped_add(mapped, &range);
	else
		mapped_remove(mapped, range.begin, range.end);
}

static void unmap(struct engine *engine, struct thread *thread, const struct call *call)
{
	struct mapped *mapped = &engine->ledger.mapped;
	taddr_t begin = call->argument[0];

	if (!call->entered)
		mapped_settle(mapped, thread->tid, call->slot, (uint32_t)call->result != 0);
	else if (!(begin & page_mask()))
		mapped_take(mapped, thread->tid, call->slot, false, begin,
			    begin + page_up(call->argument[1]));
}

static void remap(struct engine *engine, struct thread *thread, const struct call *call)
{
	struct mapped *mapped = &engine->ledger.mapped;
	taddr_t begin = call->argument[0];
	bool moved = is_mapping(call->result);

	if (call->entered) {
		/* (with a length of 0 another mapping of the same is made) */
		if (!(call->argument[3] & OLD_STAYS) && !(begin & page_mask()))
			mapped_take(mapped, thread->tid, call->slot, true, begin,
				    begin + page_up(call->argument[1]));
		return;
	}
	mapped_settle(mapped, thread->tid, call->slot, !moved);
	if (moved)
		enter(engine, thread, call, call->result, call->argument[2]);
}

/* Where the heap by brk() ends, by what is mapped; 0: there is none. */
static taddr_t break_by_maps(struct engine *engine, bool begin)
{
	const struct maps *maps = &engine->program.maps;

	for (size_t i = 0; i < maps->list.len; i++)
		if (!strcmp(maps->list.at[i].path, "[heap]"))
			return begin ? maps->list.at[i].begin : maps->list.at[i].end;
	return 0;
}

/* The break before this call: as the last one left it, else as it was when modules were last
 * looked at; where there was none yet, all of it is this call's. */
static taddr_t break_before(struct engine *engine, taddr_t now)
{
	taddr_t before = engine->ledger.program_break;

	if (!before)
		before = break_by_maps(engine, false);
	if (!before && !mappings_update(engine, NULL))
		before = break_by_maps(engine, true);
	return before ? before : now;
}

static void move_break(struct engine *engine, struct thread *thread, const struct call *call)
{
	taddr_t now = page_up(call->argument[0]), before;
	struct mapped *mapped = &engine->ledger.mapped;
	struct mapped_range range;

	if ((uint32_t)call->result || !now) /* (brk(0) asks) */
		return;
	before = break_before(engine, now);
	engine->ledger.program_break = now;
	if (now < before)
		mapped_remove(mapped, now, before);
	else if (now > before && range_of(engine, thread, call, before, now, &range))
		mapped_extend(mapped, &range);
}

void mapping_call(struct engine *engine, struct thread *thread, const struct call *call)
{
	switch (call->function->call) {
	case CALL_MMAP:
		if (is_mapping(call->result))
			enter(engine, thread, call, call->result, call->argument[1]);
		break;
	case CALL_MUNMAP:
		unmap(engine, thread, call);
		break;
	case CALL_MREMAP:
		remap(engine, thread, call);
		break;
	default:
		move_break(engine, thread, call);
	}
}
