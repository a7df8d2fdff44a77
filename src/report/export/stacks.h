/*
 * What the formats of other people's viewers have in common: every call stack that allocated,
 * whatever -n and --all say, so that sums are right; and what each of its lines is called.
 */
#ifndef MEMTRACE_STACKS_EXPORT_H
#define MEMTRACE_STACKS_EXPORT_H

#include "report/job.h"

/* What stands for the call stacks that an earlier -n left out. */
#define EXPORTS_LEFT_OUT "[left out of the report]"

struct exports {
	struct report_job *job;
	const struct snapshot *snapshot;
	struct names *names;
	const struct frame_names *values; /* of all frames of the snapshot */
};

struct export_stack {
	struct region_context counters;
	uint64_t bytes, blocks;		   /* in use */
	frame_t frames[REPORT_MAX_FRAMES]; /* leaf first */
	size_t count;
	char cut[40]; /* what stands for the frames that are missing, outermost, or says that the numbers are
		       * estimates; "": it is whole */
};

/* Finds names.  0, -ENOMEM or -ECANCELED. */
int exports_begin(struct report_job *job, struct exports *ret, struct err *err) MUST_CHECK;
void exports_end(struct exports *exports);

/* False: no memory. */
typedef bool export_stack_fn(void *arg, const struct export_stack *stack);

/* Each stack that allocated, by id; last, as a stack without frames, what -n left out of the
 * report that the snapshot is from.  0, -ENOMEM, -ECANCELED, or -errno of a failed write to
 * out (may be NULL). */
int exports_for_each(const struct exports *exports, export_stack_fn *each, void *arg, FILE *out,
		     struct err *err) MUST_CHECK;

/* The stack of one context, as exports_for_each() gives it; false: it has not allocated. */
bool exports_stack(const struct exports *exports, uint32_t id, struct export_stack *ret);

/* The lines of a frame (numbers of values->lines); never none. */
const struct named_frame *exports_frame(const struct exports *exports, frame_t frame);

/* Where the instruction was in the process: of callers the call, as far as is known its last
 * byte. */
uint64_t exports_pc(const struct exports *exports, frame_t frame);

/* What a viewer calls a line: its function, or "libfoo.so+0x1234"; malloc'ed, NULL: no memory. */
char *exports_label(const struct names_line *line);

/* The same as valgrind's tools write it: "0x401136: main (demo.c:28)", "... (in /lib/x.so)". */
char *exports_place(const struct exports *exports, const struct names_line *line);

/* How many of a stack's frames, from the leaf on, are only ways into the allocator; 0 where all
 * are. */
size_t exports_skipped(const struct exports *exports, const struct export_stack *stack);

/* Text on one line: what is no character to be seen is \\xNN, and `not` (0: nothing) becomes `but`. */
void exports_print(FILE *out, const char *text, char not, char but);

/* No memory for it, in words. */
int exports_no_memory(struct err *err) MUST_CHECK;

#endif
