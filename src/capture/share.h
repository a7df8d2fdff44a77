/*
 * What memtrace and the agent tell each other (region/shared.h), by what happens:
 *
 *    functions are hooked       --> what their calls mean            share_hooks()
 *    a pc is met                --> its row                          walker_share()
 *    a thread stops at a trap,  --> where its stack is               share_call_begins(),
 *      or functions are hooked                                       share_threads_enter()
 *    a call is counted by us    <-> the thread's last call; whose    share_call_begins(),
 *                                   a block is                       share_settle()
 *    a report, a clear, the end <-- all that it has counted          share_sum() ...
 *
 * All of it is the tracer thread's.  Without an agent these do nothing.
 */
#ifndef MEMTRACE_SHARE_H
#define MEMTRACE_SHARE_H

#include "capture/call.h"
#include "capture/engine.h"

/* The memory is there, and the agent is off.  It stays the caller's. */
void share_begin(struct engine *engine, const struct shared *shared);
/* The same of one that counts on, alone (takeover.h); and not, after all. */
void share_go_on(struct engine *engine, const struct shared *shared);
void share_give_up(struct engine *engine);
/* All threads are stopped: what each has counted, by us, too, is where the agent counts on. */
void share_threads_stay(struct engine *engine);
/* All threads are stopped: those that have a place there keep it, and no others have one. */
void share_threads_go_on(struct engine *engine);
/* All that was counted is in the region; of the memory only the blocks in use are still read. */
void share_end(struct engine *engine);
/* Nor are they: the program is another one. */
void share_forget(struct engine *engine);

/* The hooks that are planned, before their stubs are there. */
void share_hooks(struct engine *engine);

/* All threads are stopped: those on their own stacks have a place from now on, without a trap. */
void share_threads_enter(struct engine *engine);

/* The thread is stopped at the trap of a call. */
void share_call_begins(struct engine *engine, struct thread *thread, const struct call *call);
/* A block that the call is about, before it is counted. */
void share_take(struct engine *engine, taddr_t block);
/* It is counted. */
void share_settle(struct engine *engine, taddr_t block);
/* Does the allocation count, and for how many?  moves: it is not a realloc that returns what it was given. */
void share_selected(struct engine *engine, struct thread *thread, taddr_t slot,
		    struct book_event *event, bool moves);
void share_call_ends(struct engine *engine, struct thread *thread);
/* A free of a block that nobody knows: has another thread one to which it belongs (a realloc that is
 * pending, an inner call's)?  True: it
 * was the latter. */
bool share_ask_others(struct engine *engine, taddr_t block);

/* A new process that shares the memory, before it runs. */
void share_on_sharer(struct engine *engine, struct thread *sharer);
/* The thread has ended; what it was within is to be put back. */
void share_thread_ends(struct engine *engine, struct thread *thread);

/* All that was counted until now is in the region, and in the threads' own counts. */
void share_sum(struct engine *engine);
/* What was counted without us. */
void share_describe_alone(const struct engine *engine, struct snapshot_alone *ret);
/* A generation of blocks ends (heap/generations.h): those from now on have another age. */
void share_generation_ends(struct engine *engine);
/* What is added up between is for a mark (capture/ages.h). */
void share_mark_begins(struct engine *engine);
void share_mark_ends(struct engine *engine);
/* Statistics begin anew (ledger_clear()).  All threads are stopped for that, if there is an
 * agent. */
void share_clear(struct engine *engine);

#endif
