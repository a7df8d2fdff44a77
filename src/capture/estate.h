/*
 * What a memtrace that leaves (leave.h) writes into the agent's memory for the one that comes
 * (succession of both: takeover.h), as bytes: the undo log, hooks, modules, and what was counted, but
 * for what the agent's own tables have.
 *
 * One list of fields for writing and reading (estate.c).  Read are those of the same build alone, and
 * nothing of them is trusted: the program may have written them.
 */
#ifndef MEMTRACE_ESTATE_H
#define MEMTRACE_ESTATE_H

#include "capture/engine.h"

/* All blocks are the agent's (tally_yield_all()).  Bytes written
 * at `at`; 0: more than `room`, or the agent has no room for a context. */
size_t estate_write(struct engine *engine, uint8_t *at, size_t room);

/* bytes: ours alone.  The engine has followed nothing yet; its tally has begun.  False: they are
 * not what estate_write() writes. */
bool estate_read(struct engine *engine, uint8_t *bytes, size_t len);

/* Who can read the estates of whom: the same build. */
uint64_t estate_build(void);
/* Who writes it, when, and of which process. */
void estate_sign(struct engine *engine, struct shared_left *left);

/* Of the bytes, so that what was left half written, or written over, is noticed. */
uint64_t estate_hash(const uint8_t *bytes, size_t len);

#endif
