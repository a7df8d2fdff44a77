/*
 * What predecessors, memtraces that were killed, guardian and all, left in the target.
 */
#ifndef MEMTRACE_PREDECESSOR_H
#define MEMTRACE_PREDECESSOR_H

#include "hook/process.h"

/*
 * Puts the original bytes back under every patch that leads into such an area, lets the
 * threads run until none is inside, and wipes the areas.  Stops and resumes all threads.
 * What can't be wiped in time stays, harmless and unreachable, and so does, harmless, what is
 * entered from code whose file can't be read: *left.  0, or the error of tracee_stop().
 */
int predecessor_clear(const struct hook_process *process, bool *left, struct err *err) MUST_CHECK;

/* The same at once, for all areas that nobody is in.  True: in some there is somebody, and they
 * stay.  *left: some stay, for whatever reason.  All threads are stopped. */
bool predecessor_wipe(const struct hook_process *process, bool *left);

#endif
