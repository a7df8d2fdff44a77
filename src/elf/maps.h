/* /proc/PID/maps, parsed. */
#ifndef MEMTRACE_MAPS_H
#define MEMTRACE_MAPS_H

#include "base/err.h"
#include "base/types.h"
#include "base/vec.h"

struct mapping {
	taddr_t begin, end;
	uint64_t offset;
	uint64_t dev, inode;
	bool read, write, exec, shared;
	bool deleted;	  /* the path ended in " (deleted)", which is cut off */
	const char *path; /* "" for anonymous memory; "[stack]", "[vdso]", ... */
};

struct maps {
	VEC(struct mapping) list; /* ascending */
	char *text;		  /* owns the paths */
};

struct range {
	taddr_t begin, end;
};

/* What of a mapping is there, by /proc/PID/smaps: bytes. */
struct mapping_use {
	struct range range;
	uint64_t resident, swapped;
};
VEC_TYPE(ranges, struct range); /* ascending, apart from each other */

/* Parses text as the kernel writes it; a line that can't be understood is an error. */
int maps_parse(const char *text, size_t len, struct maps *ret, struct err *err) MUST_CHECK;
/* Reads and parses /proc/PID/maps. */
int maps_read(int pid, struct maps *ret, struct err *err) MUST_CHECK;
void maps_deinit(struct maps *maps);

/* The mapping that contains addr, or NULL.  O(log n). */
const struct mapping *maps_find(const struct maps *maps, taddr_t addr);

#endif
