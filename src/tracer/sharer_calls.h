/* What a sharer asks of the kernel.  Used within tracer/ only. */
#ifndef MEMTRACE_SHARER_CALLS_H
#define MEMTRACE_SHARER_CALLS_H

#include "tracer/tracee.h"

/* A new sharer, stopped; its parent's sp when it was made, 0: not known.  Says whether its next
 * system calls are looked at. */
void sharer_calls_begin(struct tracee *tracee, struct thread *sharer, taddr_t parent_sp);
/* One that was made before we came, at its first stop: has it been refused just now, because it is
 * ours?  Then it asks again when it goes on. */
void sharer_calls_ask_again(struct tracee *tracee, struct thread *sharer);
/* The request that continues a thread. */
int sharer_calls_request(const struct thread *thread);
/* Is the status one of a system call of a sharer's that is looked at?  (Those that remote.h
 * makes are told apart before.) */
bool sharer_calls_is(int status);
/* At such a stop: is it about to ask to be traced by its parent?  Then it is refused, unless
 * the call is given back to it before it goes on. */
bool sharer_calls_asks(struct tracee *tracee, struct thread *sharer);
void sharer_calls_give_call(const struct tracee *tracee, struct thread *sharer);

#endif
