/*
 * Pages of our own in the process: room for stubs where no module has enough of it.
 *
 * The process maps them itself (remote.h): private, anonymous, readable and executable from
 * the start, so that no policy against code that is written sees any.  A page begins with a
 * header of its own, an area without stubs, by which a successor knows it.  What is in it is
 * written and taken away as areas (undo.h); when all of it is zeros again and nobody is
 * inside or could return there it is unmapped.  The child of a fork has a copy, which stays
 * there, empty.
 */
#ifndef MEMTRACE_PAGES_H
#define MEMTRACE_PAGES_H

#include "tracer/tracee.h"
#include "tracer/undo.h"

enum { PAGE_HEAD = 16 };

/* Maps [base, base + len), where nothing is.  All threads are stopped.  Errors as
 * remote_call()'s, and -EEXIST: something is there. */
int pages_map(struct tracee *tracee, struct undo *undo, const struct undo_places *places,
	      taddr_t base, uint32_t len, struct err *err) MUST_CHECK;

/* Unmaps those that are empty.  All threads are stopped.  -EAGAIN: let them run a moment;
 * else 0 or why one stays. */
int pages_unmap(struct tracee *tracee, struct undo *undo);

/* A page that a predecessor left at base?  Then it is ours from now on. */
bool pages_adopt(struct tracee *tracee, struct undo *undo, const struct undo_places *places,
		 taddr_t base, uint32_t len);

#endif
