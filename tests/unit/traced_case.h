/* A child_case that is attached to, with an undo log: for what is done by the target itself. */
#ifndef MEMTRACE_TRACED_CASE_H
#define MEMTRACE_TRACED_CASE_H

#include "child_case.h"
#include "tracer/undo.h"

struct traced {
	struct child_case child;
	struct tracee tracee;
	struct undo *undo;
};

/* The child says 1 when it is ready; then it is waited for in that system call (0: not).  can: does the
 * architecture have what the test is of?  Else it is skipped. */
static inline struct traced traced_start(void (*run)(struct child_case *self, void *arg),
					 long in_call, bool can)
{
	struct traced t = {.child = child_start(run, NULL), .undo = undo_create()};

	if (!can)
		skip();
	assert_int_equal(child_hear(&t.child), 1);
	if (in_call)
		child_wait_for_call(t.child.pid, in_call);
	assert_int_equal(tracee_attach(&t.tracee, t.child.pid, NULL), 0);
	return t;
}

static inline void traced_stop(struct traced *t)
{
	assert_int_equal(child_stop(&t->tracee, child_go_on, &t->tracee, NULL), 0);
}

static inline void traced_let_go(struct traced *t)
{
	tracee_release(&t->tracee);
	undo_destroy(t->undo);
}

#endif
