/* What share.c, share_alone.c and share_enter.c share. */
#ifndef MEMTRACE_SHARE_PARTS_H
#define MEMTRACE_SHARE_PARTS_H

#include "capture/engine.h"
#include "capture/parts.h"

/* NULL: there is no agent. */
static inline const struct shared *share_memory(const struct engine *engine)
{
	return parts_have(PART_agent) ? engine->ledger.tally.shared : NULL;
}

/* Another thread that has the thread pointer; NULL. */
struct thread *share_owner_of(struct engine *engine, const struct thread *but, taddr_t pointer);
/* The thread's calls go to the trap from now on. */
void share_ban(struct engine *engine, struct thread *thread);

/* The thread stands with its sp at the slot: if that is on its stack, it has a place there. */
void share_enter(struct engine *engine, struct thread *thread, taddr_t slot);

#endif
