/* Blocks of inner calls (book.h): a set of addresses.  For region/'s own files only. */
#ifndef MEMTRACE_INNER_H
#define MEMTRACE_INNER_H

#include "region/tables.h"

#define INNER_FIRST_CAPACITY 2048u

/* False: no room, and it is not in. */
bool inner_add(struct region *region, struct region_space *space, uint64_t addr);

/* Was it in? */
bool inner_remove(struct region *region, uint64_t addr);

bool inner_has(const struct region *region, uint64_t addr);

/* Empties the set and gives its memory back. */
void inner_clear(struct region *region, struct region_space *space);

#endif
