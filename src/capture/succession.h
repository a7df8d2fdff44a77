/*
 * The program behind a wrapper: it is followed instead, from its first instruction.
 *
 *    wrapper followed --- a descendant's exec of it ---> stands at it
 *         --> wrapper put back and let go --> that process followed, as one that was just started
 */
#ifndef MEMTRACE_SUCCESSION_H
#define MEMTRACE_SUCCESSION_H

#include "capture/engine.h"

/* A child that is whole, in its first stop; or behind its exec.  False: it is to be let go. */
bool succession_child(struct engine *engine, struct thread *child);
bool succession_sharer(struct engine *engine, struct thread *sharer);
/* A runner begins a program: it is the one, or goes on. */
void succession_exec(struct engine *engine, pid_t runner);
/* What is followed has begun a program itself, or was started: if that is the one, nobody else is waited
 * for ("exec" is one of others only). */
void succession_own(struct engine *engine);
/* The wrapper has ended, and what it left may begin the program still: looks for those who have not
 * stopped for the first time yet. */
bool succession_lasts(struct engine *engine);

#endif
