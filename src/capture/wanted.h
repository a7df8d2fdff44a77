/*
 * Programs that another memtrace is to follow from their first instruction (--follow=NAME, exec): all
 * descendants stay traced for it (tracer/runners.h), and who begins one of them is given away where
 * it stands (heirs.h).
 *
 *    followed --- fork, vfork ---> runner --- exec of a wanted one ---> heirs_runner()
 *                                   ^  +--- exec of another one ---+
 *                                   +------------------------------+
 */
#ifndef MEMTRACE_WANTED_H
#define MEMTRACE_WANTED_H

#include "capture/engine.h"

/* A child that is whole, in its first stop; or behind its exec.  False: it is to be let go. */
bool wanted_child(struct engine *engine, struct thread *child);
bool wanted_sharer(struct engine *engine, struct thread *sharer);
/* A runner begins a program: it is given away, or goes on. */
void wanted_exec(struct engine *engine, pid_t runner);
/* The process that is followed has begun a program itself, or was started. */
void wanted_own(struct engine *engine);
/* The process has ended, and what it left may begin one still: looks for those who have not stopped
 * for the first time yet. */
bool wanted_lasts(struct engine *engine);
/* Programs were asked for by name, and none of them began. */
bool wanted_missed(const struct engine *engine);
/* .. and only others than the process' own did. */
bool wanted_others(const struct engine *engine);

#endif
