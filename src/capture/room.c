/* Free parts of a slack; see room.h. */
#include "capture/room.h"

#include "capture/heritage.h"
#include "tracer/inside.h"

enum { AREA_ALIGN = 16 };

/* What of a slack is in use: areas of ours, written or not yet, and what predecessors left. */
struct taken {
	struct inside_range at[64];
	size_t count;
};

static bool taken_note(void *arg, taddr_t begin, taddr_t end)
{
	struct taken *taken = arg;

	taken->at[taken->count++] = (struct inside_range){
		begin, (end + AREA_ALIGN - 1) & ~(taddr_t)(AREA_ALIGN - 1)};
	return taken->count == ARRAY_SIZE(taken->at);
}

/* How far [begin, end) is free from its beginning on. */
static taddr_t free_until(const struct taken *taken, taddr_t begin, taddr_t end)
{
	for (size_t i = 0; i < taken->count; i++) {
		if (begin >= taken->at[i].begin && begin < taken->at[i].end)
			return begin;
		if (taken->at[i].begin >= begin && taken->at[i].begin < end)
			end = taken->at[i].begin;
	}
	return end;
}

bool room_find(const struct hooks *hooks, struct tracee *tracee, const struct module *home,
	       const struct maps *maps, struct slack *ret)
{
	struct taken taken = {.count = 0};
	taddr_t base, end;

	if (!slack_of(home, maps, ret))
		return false;
	base = ret->base;
	end = base + ret->room;
	heritage_visit(tracee, ret, taken_note, &taken);
	for (size_t i = 0; i < hooks->areas.len; i++) {
		const struct stub_area *area = &hooks->areas.at[i].area;

		if (area->trap_pc && taken.count < ARRAY_SIZE(taken.at))
			taken_note(&taken, area->base, area->base + area->len);
	}
	ret->room = (uint32_t)(free_until(&taken, base, end) - base);
	for (size_t i = 0; i < taken.count; i++) {
		taddr_t begin = taken.at[i].end;

		if (begin < base || begin >= end ||
		    free_until(&taken, begin, end) - begin <= ret->room)
			continue;
		ret->base = begin;
		ret->room = (uint32_t)(free_until(&taken, begin, end) - begin);
	}
	return taken.count < ARRAY_SIZE(taken.at); /* else there may be more */
}
