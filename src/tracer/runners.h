/*
 * Descendants of a process that are not followed, and traced all the same, until one becomes the
 * program that is wanted: they run as if nobody was there (their memory is their own, and whole),
 * every stop of theirs is ended where it is decoded, but that of an exec.
 *
 *    fork child, mended ---> RUNNING --- exec ---> STOP_RUNNER_EXEC ---> runners_continue()
 *    vfork child, behind its exec ---^ ^                            +--> tracee_succeed_to()
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
/* One that stands at its exec stays there, for tracee_succeed_to(). */
void runners_park(struct tracee *tracee, pid_t tid);
/* No more of them are wanted: each is let go when it stops next by itself, or with our end.  None is
 * interrupted for it: a call that waits would show that (EINTR). */
void runners_leave(struct tracee *tracee);

/* A task that is, or was born of, one of them? */
bool runners_know(struct tracee *tracee, pid_t tid);
/* Its status.  True: *ret is to be handed out (STOP_RUNNER_EXEC). */
bool runners_stop(struct tracee *tracee, pid_t tid, int status, struct stop *ret);

/* A status of the wrapper, tracee.wrapper: its end is noted; a thread of it that waited for a vfork
 * child when it was let go (and so was not) is let go now.  False: it is another's. */
bool runners_wrapper(struct tracee *tracee, pid_t tid, int status);

/* A status when no process is followed any more: whoever it is runs on. */
void runners_end_stop(struct tracee *tracee, pid_t tid, int status);

/*
 * The process is let go (tracee_release() was called), and the runner that stands at its exec is the
 * process from now on, its one thread stopped as behind tracee_launch().  The runners stay runners.
 * -ESRCH: it is gone.
 */
int tracee_succeed_to(struct tracee *tracee, pid_t runner, struct err *err) MUST_CHECK;

#endif
