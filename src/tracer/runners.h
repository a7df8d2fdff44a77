/*
 * Descendants of a process that are not followed, and traced all the same, until one begins a
 * program that is wanted: they run as if nobody was there (their memory is their own, and whole),
 * every stop of theirs is ended where it is decoded, but that of an exec.
 *
 *    fork child, mended ---> RUNNING --- exec ---> STOP_RUNNER_EXEC ---> runners_continue()
 *    vfork child, behind its exec ---^ ^                            +--> runners_let_go()
 *                                      +-- what it makes itself
 *
 * When we die they run on: none has anything of ours.
 */
#ifndef MEMTRACE_RUNNERS_H
#define MEMTRACE_RUNNERS_H

#include "tracer/tracee.h"

/* A stopped thread of the tracee's table (STOP_CHILD, mended; STOP_SHARER_EXEC) is one from now on,
 * and still stands.  False: there are too many, it is to be let go. */
bool runners_take(struct tracee *tracee, struct thread *thread);
/* Ends a stop. */
void runners_continue(struct tracee *tracee, pid_t tid);
/* It is none any more, and runs. */
void runners_let_go(struct tracee *tracee, pid_t tid);
/* No more of them are wanted: each is let go when it stops next by itself, or with our end.  None is
 * interrupted for it: a call that waits would show that (EINTR). */
void runners_leave(struct tracee *tracee);

/* A task that is, or was born of, one of them? */
bool runners_know(struct tracee *tracee, pid_t tid);
/* Its status.  True: *ret is to be handed out (STOP_RUNNER_EXEC). */
bool runners_stop(struct tracee *tracee, pid_t tid, int status, struct stop *ret);

#endif
