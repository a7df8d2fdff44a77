/*
 * Leaving: memtrace goes, and the agent in the process counts on, alone (agent/alone.h).
 *
 *    all stand, nobody is in a trap or within a call that the book has
 *      blocks, counters ---> the agent's tables           tally_yield_all()
 *      all else -----------> its memory                   estate.h
 *      "alone", and traps that return at once
 *      "left" is written: from here on a memtrace that comes goes on (takeover.h)
 *      the guardian is told that nothing is to be undone
 *    they are let go
 *
 * Killed before "left" is written, the guardian puts everything back; behind it, it may, too, until
 * it was told.  If it is killed with us, the process counts on, and who comes later takes it up or, if
 * nothing was written, clears it away.
 */
#ifndef MEMTRACE_LEAVE_H
#define MEMTRACE_LEAVE_H

#include "capture/engine.h"

/* On the tracer thread.  0: the process is let go, ending.left.  Else nothing has changed, it runs,
 * and err says why. */
int leave(struct engine *engine, struct err *err) MUST_CHECK;

#endif
