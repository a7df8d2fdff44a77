/*
 * The DWARF of one module, arranged for questions by address: which compilation unit,
 * which function, what was inlined there, which line.
 */
#ifndef MEMTRACE_UNITS_H
#define MEMTRACE_UNITS_H

#include <elfutils/libdw.h>

#include "base/err.h"
#include "symbols/wire.h"

struct units;
struct splits;

/* The index of units by address; a unit's own tree is read when it is first asked for.
 * dw must stay open.  -ENOENT: no unit says where its code is.  Units that are split off are
 * had from splits, which is taken over; `missing` says which could not be, or has code 0. */
int units_create(Dwarf *dw, struct splits *splits, struct units **ret, struct err *missing,
		 struct err *err) MUST_CHECK;
void units_destroy(struct units *units); /* NULL is allowed */

/*
 * The frames at vaddr, innermost inlined function first, at most max (>= 1).  Texts live
 * as long as units.  Returns their count; 0: no unit has this address.  The last frame's
 * function is NULL where only lines are known; *linkage (may be NULL) is set to its
 * linkage name as it stands in the file, or NULL.
 */
size_t units_frames(struct units *units, uint64_t vaddr, struct wire_frame *ret, size_t max,
		    const char **linkage);

#endif
