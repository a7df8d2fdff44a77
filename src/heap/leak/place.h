/* What the place of a pointer is called.  For heap/leak/ alone. */
#ifndef MEMTRACE_LEAK_PLACE_H
#define MEMTRACE_LEAK_PLACE_H

#include "heap/leak/parts.h"

/* Of a root; value stays 0 for the caller to fill in. */
void place_of_root(struct leak *leak, const struct root_edge *root, struct leak_place *ret);
/* In a block, at an address; at 0: not known. */
void place_in_block(const struct leak *leak, uint32_t block, taddr_t at,
		    struct leak_place *ret);

#endif
