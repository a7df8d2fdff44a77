/* Keeping our stops invisible to the program. */
#ifndef MEMTRACE_HIDE_H
#define MEMTRACE_HIDE_H

#include "tracer/tracee.h"
#include "tracer/undo.h"

/*
 * A stop that is not the program's business (an interrupt of ours, a signal that
 * has no effect) may have ended a system call with EINTR.  Has the kernel make the call
 * again, if no signal of the program's own ends it before the thread runs on.  For every
 * stop, before it is ended: at one that is the program's business what was done at an
 * earlier one is taken back.  True: the call will be made again.
 */
bool hide_stop(struct tracee *tracee, const struct stop *stop);

#endif
