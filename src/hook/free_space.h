/* Room for new stubs in a module's slack: what nobody uses of it. */
#ifndef MEMTRACE_FREE_SPACE_H
#define MEMTRACE_FREE_SPACE_H

#include "hook/hooks.h"
#include "hook/padding.h"

/*
 * The largest free part of a module's slack: beside our own areas, written or not yet, and
 * beside what predecessors left.  False: there is no slack, or no telling what is free.
 */
bool room_find(const struct hooks *hooks, struct tracee *tracee, const struct module *home,
	       const struct maps *maps, struct slack *ret);
/* The same of other memory that is ours. */
bool room_free(const struct hooks *hooks, struct tracee *tracee, struct slack *slack);

#endif
