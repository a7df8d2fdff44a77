/* What a guest asks of the kernel.  Used within tracer/ only. */
#ifndef MEMTRACE_GUESTS_H
#define MEMTRACE_GUESTS_H

#include "tracer/tracee.h"

/* A new guest, stopped; its parent's sp when it was made, 0: not known.  Says whether its next
 * system calls are looked at. */
void guests_begin(struct tracee *tracee, struct thread *guest, taddr_t parent_sp);
/* The request that continues a thread. */
int guests_request(const struct thread *thread);
/* Is the status one of a system call of a guest's that is looked at?  (Those that remote.h makes
 * are told apart before.) */
bool guests_is_call(int status);
/* At such a stop: is it about to ask to be traced by its parent?  Then it is refused, unless the
 * call is given back to it before it goes on. */
bool guests_asks(struct tracee *tracee, struct thread *guest);
void guests_give_call(const struct tracee *tracee, struct thread *guest);

#endif
