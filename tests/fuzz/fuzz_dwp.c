/*
 * The index of a package of split DWARF, which whoever built the program wrote.
 *
 * What is held: nothing outside the bytes is read; a unit that is found has the two parts that
 * each unit has, and is found again.
 */
#include <string.h>

#include "fuzz.h"
#include "serve/dwp_index.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dwp_unit unit, again;
	uint64_t id;

	if (size < sizeof(id))
		return 0;
	memcpy(&id, data, sizeof(id));
	if (!dwp_index_find(data + sizeof(id), size - sizeof(id), id, &unit))
		return 0;
	assert(unit.parts[DWP_INFO].len && unit.parts[DWP_ABBREV].len);
	assert(dwp_index_find(data + sizeof(id), size - sizeof(id), id, &again));
	assert(!memcmp(&unit, &again, sizeof(unit)));
	return 0;
}
