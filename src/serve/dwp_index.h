/* Where a unit's parts lie in a package of split DWARF (.dwp). */
#ifndef MEMTRACE_DWP_INDEX_H
#define MEMTRACE_DWP_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum dwp_section {
	DWP_INFO,
	DWP_ABBREV,
	DWP_LINE,
	DWP_STR_OFFSETS,
	DWP_RNGLISTS,
	DWP_SECTIONS
};

struct dwp_unit {
	struct {
		uint32_t offset, len; /* len 0: the unit has none */
	} parts[DWP_SECTIONS];
};

/* Finds the compilation unit `id` in the bytes of .debug_cu_index.  False: it is not there,
 * or the index is of no known form.  What it says of the sections is not checked. */
bool dwp_index_find(const uint8_t *bytes, size_t len, uint64_t id, struct dwp_unit *ret);

#endif
