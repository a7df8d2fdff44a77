/*
 * What is needed to go on without us is kept where we can't take it along: if memtrace is killed, guardian and
 * all, the agent counts on, alone (agent/alone.h), and the next memtrace takes its capture up (takeover.h).
 *
 *    the counts            are in the agent's memory behind each call             tally_tell()
 *    the estate            is written there when hooks or modules have changed, and with each sum,
 *                          by turns at two places: one of them is always whole     kept_write()
 *    nothing is to be      before anything else is changed in the process, as who
 *    taken up              is killed in between leaves what is to be cleared        undo_warns()
 *    nobody is there       is a word there that the kernel marks when this thread
 *                          ends (set_robust_list(2)), and the agent looks at
 *
 * The guardian, if it lives, puts everything back, as ever.
 */
#ifndef MEMTRACE_KEPT_H
#define MEMTRACE_KEPT_H

#include "capture/engine.h"

/* Why there is nothing that could count on without us; NULL. */
const char *kept_objection(const struct engine *engine);

/* The agent's memory is there.  On the thread whose end is memtrace's. */
void kept_begin(struct engine *engine);
/* It is to be left alone from now on, by whoever comes.  Before it is unmapped here. */
void kept_end(struct engine *engine);

/* All of it anew, if anybody can go on with it. */
void kept_write(struct engine *engine);
/* Only if it is not there. */
void kept_look(struct engine *engine);

#endif
