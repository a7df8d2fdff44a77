/*
 * A thread without a thread pointer that comes to the agent, which reads what that points to: it
 * faults there, and goes on as one that is not known, to the trap.  (As the kernel's exception
 * tables do.)
 *
 * The agent is not switched on while a thread has none; but a thread may lose it later
 * (arch_prctl(2), clone(2)), if it calls an allocator that needs none.  Its SIGSEGV is the
 * kernel's: if the program blocks or ignores that, it does not any more.
 */
#ifndef MEMTRACE_AGENT_FAULT_H
#define MEMTRACE_AGENT_FAULT_H

#include "capture/engine.h"

/* True: that is what the stop was, and the signal is dropped. */
bool agent_fault_pass(struct engine *engine, struct thread *thread, int signo);

#endif
