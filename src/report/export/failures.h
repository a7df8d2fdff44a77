/* What the formats of test runners have in common: which call stacks an expectation fails for,
 * and each as lines. */
#ifndef MEMTRACE_FAILURES_H
#define MEMTRACE_FAILURES_H

#include "report/expect.h"
#include "report/export/stacks.h"

/* Of an expectation that is not met: the call stacks beyond its limit, or, of the process, those
 * that it is made of; the most first, then the lower id.  *ret is malloc'ed.  False: no memory. */
bool failures_of(const struct expect_results *results, const struct expect_result *result,
		 struct expect_context **ret, size_t *count);

/* One function of a call stack. */
struct failure_line {
	struct names_line line;
	char *label; /* as exports_label() */
};

struct failure_stack {
	VEC(struct failure_line) lines; /* innermost first */
	size_t fault; /* the first line that is no way into the allocator */
	char cut[40]; /* what stands for the lines that are missing; "": none */
};

/* False: no memory.  failure_stack_deinit(), in both cases. */
bool failure_stack(const struct exports *exports, uint32_t id, struct failure_stack *ret);
void failure_stack_deinit(struct failure_stack *stack);

/* Whose the memory is: a function; never NULL, of a stack that there is. */
const char *failure_function(const struct failure_stack *stack);

/* What the process is called: the last part of its command, or "process". */
const char *failure_program(const struct snapshot *snapshot);

#endif
