/* Following what the process maps: modules come and go, hooks with them. */
#ifndef MEMTRACE_FOLLOW_H
#define MEMTRACE_FOLLOW_H

#include "capture/engine.h"

/* Looks at the modules, plans, applies, and lets all threads go on.  All threads are stopped,
 * or one, or none.  As program_check(), if it runs another program now. */
int follow_modules(struct engine *engine, enum hook_scope scope, struct err *err) MUST_CHECK;

/* Clears away what memtraces that were killed left; before the first follow_modules(). */
int follow_inherit(struct engine *engine, struct err *err) MUST_CHECK;

/* As follow_inherit(), of a child that stands at its birth, put back by who followed its parent: it
 * stands until follow_modules() has done its work. */
int follow_begin(struct engine *engine, struct err *err) MUST_CHECK;

/* The same, and the agent is in the log, to go when the process is let go. */
int follow_clear(struct engine *engine, struct err *err) MUST_CHECK;

/* Has the loader still to map the libraries, or is it about to?  By its r_debug. */
bool follow_is_loading(struct engine *engine);

/* A thread is at the loader's notification. */
void follow_on_loader(struct engine *engine);

#endif
