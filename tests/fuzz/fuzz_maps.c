/* /proc/PID/maps: any text is refused or understood. */
#include <string.h>

#include "elf/maps.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct maps maps = {0};
	struct err err = {0};
	int rc = maps_parse((const char *)data, size, &maps, &err);

	if (rc) {
		assert(rc < 0 && err.code == rc && err.text[0]);
		assert(!maps.list.at && !maps.text);
		return 0;
	}
	for (size_t i = 0; i < maps.list.len; i++) {
		const struct mapping *m = &maps.list.at[i];

		assert(m->begin < m->end && m->path);
		assert(i == 0 || m[-1].end <= m->begin);
		assert(strlen(m->path) <= size);
		assert(maps_find(&maps, m->begin) == m && maps_find(&maps, m->end - 1) == m);
	}
	if (maps.list.len) {
		assert(!maps_find(&maps, maps.list.at[0].begin - 1) ||
		       maps.list.at[0].begin == 0);
		maps_find(&maps, 0);
	}
	maps_deinit(&maps);
	return 0;
}
