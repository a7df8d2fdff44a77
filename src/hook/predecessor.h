/*
 * What predecessors, memtraces that were killed, guardian and all, left in the target.
 */
#ifndef MEMTRACE_PREDECESSOR_H
#define MEMTRACE_PREDECESSOR_H

#include "hook/hooks.h"
#include "hook/padding.h"

/* Calls visit for every area of stubs that lies in a slack, until it returns true. */
void predecessor_visit(struct tracee *tracee, const struct slack *slack,
		       bool (*visit)(void *arg, taddr_t begin, taddr_t end), void *arg);

/*
 * Puts the original bytes back under every patch that leads into such an area, lets the
 * threads run until none is inside, and wipes the areas.  Stops and resumes the world;
 * stops that come go to `handle`.  What can't be wiped in time stays, harmless and
 * unreachable, and so does, harmless, what is entered from code whose file can't be read:
 * *left.  0, or the error of tracee_stop().
 */
int predecessor_clear(struct tracee *tracee, const struct modules *modules,
		      const struct maps *maps, void (*handle)(void *arg, struct stop *stop),
		      void *arg, bool *left, struct err *err);

/* The same at once, for all areas that nobody is in.  True: in some there is somebody, and they
 * stay.  The world stands. */
bool predecessor_wipe(struct tracee *tracee, const struct modules *modules,
		      const struct maps *maps);

#endif
