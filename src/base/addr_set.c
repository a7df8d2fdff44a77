/* A set of addresses; see addr_set.h. */
#include "base/addr_set.h"

#include <stdlib.h>

enum { FIRST_ROOM = 64 };

static size_t home_of(const struct addr_set *set, taddr_t addr)
{
	return (size_t)((addr * 0x9e3779b97f4a7c15ull) >> 32) & (set->room - 1);
}

/* Where it is, or where it would be. */
static size_t slot_of(const struct addr_set *set, taddr_t addr)
{
	size_t i = home_of(set, addr);

	while (set->at[i] && set->at[i] != addr)
		i = (i + 1) & (set->room - 1);
	return i;
}

static bool grow(struct addr_set *set)
{
	struct addr_set grown = {.room = set->room ? set->room * 2 : FIRST_ROOM,
				 .len = set->len};

	if (set->len * 2 < set->room)
		return true;
	grown.at = calloc(grown.room, sizeof(*grown.at));
	if (!grown.at)
		return false;
	for (size_t i = 0; i < set->room; i++)
		if (set->at[i])
			grown.at[slot_of(&grown, set->at[i])] = set->at[i];
	free(set->at);
	*set = grown;
	return true;
}

bool addr_set_add(struct addr_set *set, taddr_t addr)
{
	size_t i;

	if (!grow(set))
		return false;
	i = slot_of(set, addr);
	set->len += !set->at[i];
	set->at[i] = addr;
	return true;
}

bool addr_set_has(const struct addr_set *set, taddr_t addr)
{
	return set->room && addr && set->at[slot_of(set, addr)] == addr;
}

bool addr_set_remove(struct addr_set *set, taddr_t addr)
{
	size_t mask = set->room - 1, hole, i;

	if (!addr_set_has(set, addr))
		return false;
	hole = i = slot_of(set, addr);
	for (;;) {
		i = (i + 1) & mask;
		if (!set->at[i])
			break;
		/* May it move into the hole, or does it lie behind it by its own home? */
		if (((i - home_of(set, set->at[i])) & mask) < ((i - hole) & mask))
			continue;
		set->at[hole] = set->at[i];
		hole = i;
	}
	set->at[hole] = 0;
	set->len--;
	return true;
}

void addr_set_deinit(struct addr_set *set)
{
	free(set->at);
	*set = (struct addr_set){0};
}
