/* A child by vfork() that asks to be traced (PTRACE_TRACEME): a debugger's, a sandbox's. */
#ifndef MEMTRACE_TRACEME_H
#define MEMTRACE_TRACEME_H

#include "capture/engine.h"

/* ptrace() is about to be called: a child that shares the memory and asks to be traced is
 * held, until traceme_let_go() (PENDING_TRACEME). */
void traceme_on_ptrace(struct engine *engine, struct thread *thread, long request);

/* Lets those go that are held.  All threads are stopped behind it, or -errno; or they run, and
 * who was held goes on with us. */
int traceme_let_go(struct engine *engine, struct err *err) MUST_CHECK;
/* The same where all are stopped, or are about to be let go, and no trap does anything. */
void traceme_let_go_stopped(struct engine *engine);

/* Does one that was let go still share the memory?  It may be inside the stubs. */
bool traceme_is_shared(const struct engine *engine);

#endif
