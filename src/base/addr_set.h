/*
 * A set of addresses: open addressing, grown by doubling, deletion without tombstones
 * (Knuth, The Art of Computer Programming 3, 6.4, algorithm R).  Zeroed is empty; 0 is no
 * member.
 */
#ifndef MEMTRACE_ADDR_SET_H
#define MEMTRACE_ADDR_SET_H

#include "base/types.h"

struct addr_set {
	taddr_t *at;
	size_t room; /* a power of two, or 0 */
	size_t len;
};

/* False: no memory, and it is not in. */
bool addr_set_add(struct addr_set *set, taddr_t addr);
/* Was it in? */
bool addr_set_remove(struct addr_set *set, taddr_t addr);
bool addr_set_has(const struct addr_set *set, taddr_t addr);
void addr_set_deinit(struct addr_set *set);

#endif
