/* The agent's own frames, by the unwind data that it was built with (agent/blob.h): they are met
 * below a signal handler that has interrupted it. */
#ifndef MEMTRACE_AGENT_FRAMES_H
#define MEMTRACE_AGENT_FRAMES_H

#include "tracer/undo.h"
#include "unwind/cfi.h"

struct agent_frames {
	struct cfi *cfi; /* opened when it is needed; NULL */
};

/* pc as walk_ops has it.  False: it is not in the agent's code. */
bool agent_frames_row(struct agent_frames *frames, const struct arch *arch,
		      const struct undo *undo, taddr_t pc, bool exact, struct row *ret);
void agent_frames_deinit(struct agent_frames *frames);

#endif
