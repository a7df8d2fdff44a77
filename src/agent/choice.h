/* Does an allocation count, where not all do (region/sample.h, capture/selection.h)? */
#ifndef MEMTRACE_CHOICE_H
#define MEMTRACE_CHOICE_H

#include "agent/agent.h"

struct choice {
	uint64_t addr, size;
	bool moves;	/* it is not a realloc that returns what it was given */
	uint32_t level; /* of the sample that it is of; 0: it stands for itself */
};

/* By the thread of that number.  What is chosen is chosen also for who does the rest (shared_thread: selected).
 * is->level is written. */
bool choice_make(const struct shared *shared, uint32_t number, const struct agent_call *call,
		 struct choice *is);

#endif
