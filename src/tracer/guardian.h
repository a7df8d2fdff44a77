/*
 * The guardian: a process that does nothing until memtrace dies without having
 * undone its changes, and then undoes them.
 *
 * The target's survival does not depend on it (the soft trap sees to that): it only
 * brings the target back to native speed and leaves its code as it was.
 */
#ifndef MEMTRACE_GUARDIAN_H
#define MEMTRACE_GUARDIAN_H

#include "tracer/undo.h"

struct guardian {
	pid_t pid;
	int fd;	       /* open as long as we live */
	pid_t *target; /* shared with it: whom to mend; 0: nobody */
};

/* Before anything is changed in the target.  -errno: no guardian (memtrace may go
 * on without). */
int guardian_start(struct guardian *ret, struct undo *undo, struct err *err) MUST_CHECK;
/* From now on this process is to be mended (0: none any more). */
void guardian_watch(struct guardian *guardian, pid_t target);
/* Ends it, with nothing to do, and reaps it. */
void guardian_stop(struct guardian *guardian);

#endif
