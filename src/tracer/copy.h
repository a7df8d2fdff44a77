/*
 * A copy of the process that nobody notices: memory as it is at one moment, to be read while the
 * process runs on.
 *
 *    a thread of the process:   all its signals blocked; clone(CLONE_VM | CLONE_FILES, 0)
 *        a helper, a child without a signal of its end, and without memory of its own:
 *            clone(CLONE_FILES, 0)
 *                the copy: gives the table of descriptors up, with nothing kept of it, and is stopped
 *            ends
 *    waits for the helper, signals as before, home
 *
 * So no SIGCHLD is sent, the process' own waits find no child that is not its own (the helper
 * is gone before any other thread runs; the copy's parent is the first process), and no file,
 * lock or connection is held by the copy but those of mappings.
 *
 * All three are traced from birth.  If memtrace dies the copy is killed by the kernel, or ends
 * by itself as its next instructions say; the thread's code goes on alone (remote.h).
 */
#ifndef MEMTRACE_COPY_H
#define MEMTRACE_COPY_H

#include "tracer/tracee.h"
#include "tracer/undo.h"

/*
 * All threads are stopped.  *ret: the copy, a tracee of the calling thread in a stop that was
 * reaped; copy_end() is due.  Its memory is that of the process but for what madvise() says of
 * children (MADV_DONTFORK, MADV_WIPEONFORK), and what is shared.
 * -EAGAIN: no thread can make it just now.  -ETIMEDOUT: it takes long, and a thread is not
 * stopped.  -EUSERS: no more processes; -EPERM, -ENOTSUP, -ENOMEM, ...: it can't be made, and
 * why.
 */
int copy_make(struct tracee *tracee, struct undo *undo, const struct undo_place *place,
	      pid_t *ret, struct err *err) MUST_CHECK;
/* Would the copy become the process' own child, as it adopts orphans (PR_SET_CHILD_SUBREAPER)?
 * Errors as remote_call()'s. */
int copy_is_reaper(struct tracee *tracee, struct undo *undo, const struct undo_place *place,
		   const struct maps *maps, bool *ret, struct err *err) MUST_CHECK;
/* By any thread; the status of its end is for the tracer to reap (tracee_next() does). */
void copy_end(pid_t copy);
/*
 * All threads are stopped.  Room for the code, behind the end of the vdso or (see copy_place.c) of a file's code; base 0:
 * there is none.  Code that a memtrace has left there which was killed together with its guardian
 * is taken away.  -EAGAIN: a thread is in such code, which will come to its end.
 */
int copy_place(struct tracee *tracee, const struct maps *maps, struct undo_place *ret,
	       struct err *err) MUST_CHECK;

#endif
