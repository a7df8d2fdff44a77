/* What nobody uses of a space; see free_space.h. */
#include "hook/free_space.h"

#include "hook/area.h"
#include "tracer/inside.h"

enum { AREA_ALIGN = 16 };

/* What of a space is in use: areas of ours, written or not yet, and what predecessors left. */
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

bool free_space_in(const struct hooks *hooks, struct space *space)
{
	struct taken taken = {.count = 0};
	taddr_t base = space->base, end = base + space->len;

	area_visit(hooks->process.tracee, space, taken_note, &taken);
	for (size_t i = 0; i < hooks->areas.len; i++) {
		const struct stub_area *area = &hooks->areas.at[i].area;

		if (hooks->areas.at[i].used && taken.count < ARRAY_SIZE(taken.at))
			taken_note(&taken, area->base, area->base + area->len);
	}
	space->len = (uint32_t)(free_until(&taken, base, end) - base);
	for (size_t i = 0; i < taken.count; i++) {
		taddr_t begin = taken.at[i].end;

		if (begin < base || begin >= end ||
		    free_until(&taken, begin, end) - begin <= space->len)
			continue;
		space->base = begin;
		space->len = (uint32_t)(free_until(&taken, begin, end) - begin);
	}
	return taken.count < ARRAY_SIZE(taken.at); /* else there may be more */
}

bool free_space_behind(const struct hooks *hooks, const struct module *host, struct space *ret)
{
	return padding_of(host, hooks->process.maps, ret) && free_space_in(hooks, ret);
}
