/*
 * What is mapped at an address: the same file's same bytes, still, or something else?
 *
 * Contents don't say: what has come there may look alike, and belong to a file that others
 * map, too, into which one must not write.
 */
#ifndef MEMTRACE_PLACE_H
#define MEMTRACE_PLACE_H

#include "elf/maps.h"

struct place {
	uint64_t dev, inode, offset; /* of the address, in the file; all 0: anonymous memory */
	bool code;		     /* executable, and private */
};

static inline struct place place_of_address(const struct maps *maps, taddr_t addr)
{
	const struct mapping *mapping = maps_find(maps, addr);

	if (!mapping)
		return (struct place){0, 0, 0, false};
	return (struct place){mapping->dev, mapping->inode,
			      mapping->inode ? mapping->offset + (addr - mapping->begin) : 0,
			      mapping->exec && !mapping->shared};
}

static inline bool place_is(const struct place *place, const struct maps *maps, taddr_t addr)
{
	struct place now = place_of_address(maps, addr);

	return now.code && now.dev == place->dev && now.inode == place->inode &&
	       now.offset == place->offset;
}

#endif
