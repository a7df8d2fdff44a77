/* Tasks that a tracee's threads make.  Used within tracer/ only. */
#ifndef MEMTRACE_CHILDREN_H
#define MEMTRACE_CHILDREN_H

#include "tracer/tracee.h"

/* The parent's event, at which it is stopped: the child has stopped already (true: *ret is that), or will. */
bool children_announced(struct tracee *tracee, struct thread *parent, struct birth *birth,
			struct stop *ret);
/* Was it announced?  Then it is so no longer. */
bool children_expected(struct tracee *tracee, pid_t pid, struct birth *ret);
/* One was announced, or is traced by us, that has not stopped yet. */
void children_expect(struct tracee *tracee, const struct birth *birth);
/* It has stopped for the first time, and is announced. */
void children_stop(struct tracee *tracee, struct thread *child, const struct birth *birth,
		   struct stop *ret);
/* A first stop from a task that we have not heard of.  NULL: memory is short. */
struct thread *children_adopt(struct tracee *tracee, pid_t tid);
/* One that waits for an event which will not come; false: there is none. */
bool children_unannounced(struct tracee *tracee, struct stop *ret);
/* A rest while some wait.  1: *ret is one that has waited for long; 0: a signal of ours came;
 * -EAGAIN: look again for what has come. */
int children_wait(struct tracee *tracee, struct stop *ret);

/* Copies of the process (copy.h) are children that nobody tells of, in a stop that was reaped: none
 * of them is to be waited for.  False: there are COPIES_MOST. */
bool children_note_copy(struct tracee *tracee, pid_t copy);
bool children_is_copy(const struct tracee *tracee, pid_t pid);
/* It has ended, if it was one. */
void children_forget_copy(struct tracee *tracee, pid_t pid);

#endif
