/* What of a log is in a process' memory still; nothing is written. */
#include <string.h>

#include "tracer/undo.h"

static bool patch_is_undone(const struct undo_patch *patch, struct target *target)
{
	uint8_t there[sizeof(patch->old)];
	uint32_t from;

	if (target_read(target, patch->addr, there, patch->len))
		return true; /* nothing is there */
	from = undo_has_breakpoint(patch, there);
	return !memcmp(there + from, patch->old + from, patch->len - from);
}

/* Of several on one place the first knows the original. */
static bool patch_is_first(const struct undo *undo, uint32_t index)
{
	for (uint32_t i = 0; i < index; i++)
		if (undo->patch[i].active && undo->patch[i].addr == undo->patch[index].addr)
			return false;
	return true;
}

size_t undo_others(const struct undo *undo, struct target *target, taddr_t *first)
{
	size_t count = 0;

	for (uint32_t i = 0; i < undo->patch_count; i++) {
		const struct undo_patch *patch = &undo->patch[i];

		if (!patch->active || undo_covers(undo, patch->addr) ||
		    patch_is_undone(patch, target) || !patch_is_first(undo, i))
			continue;
		if (!count++)
			*first = patch->addr;
	}
	return count;
}

void undo_for_each_replaced(const struct undo *undo, struct target *target,
			    void (*visit)(void *arg, taddr_t addr), void *arg)
{
	for (uint32_t i = 0; i < undo->patch_count; i++) {
		const struct undo_patch *patch = &undo->patch[i];
		uint8_t there[sizeof(patch->now)];

		if (patch->active && !undo_covers(undo, patch->addr) &&
		    !target_read(target, patch->addr, there, patch->len) &&
		    memcmp(there, patch->now, patch->len))
			visit(arg, patch->addr);
	}
}

bool undo_is_patched(const struct undo_patch *patch, struct target *target)
{
	uint8_t there[sizeof(patch->now)];
	uint32_t from;

	if (!patch->active || target_read(target, patch->addr, there, patch->len))
		return false;
	from = undo_has_breakpoint(patch, there);
	return !memcmp(there + from, patch->now + from, patch->len - from);
}

static bool area_is_there(const struct undo_area *area, struct target *target)
{
	uint8_t there[sizeof(area->head)];

	return area->active && !target_read(target, area->base, there, area->head_len) &&
	       !memcmp(there, area->head, area->head_len);
}

bool undo_is_in(const struct undo *undo, struct target *target)
{
	bool patched = false, has_area = undo->area_count == 0;

	for (uint32_t i = 0; i < undo->area_count && !has_area; i++)
		has_area = area_is_there(&undo->area[i], target);
	for (uint32_t i = 0; i < undo->patch_count && has_area && !patched; i++)
		patched = undo_is_patched(&undo->patch[i], target);
	return patched;
}

bool undo_is_agent(const struct undo *undo, taddr_t addr)
{
	return addr - undo->agent.base < undo->agent.len;
}

bool undo_covers(const struct undo *undo, taddr_t addr)
{
	for (uint32_t i = 0; i < undo->area_count; i++)
		if (undo->area[i].active && addr - undo->area[i].base < undo->area[i].len)
			return true;
	return undo_is_agent(undo, addr);
}
