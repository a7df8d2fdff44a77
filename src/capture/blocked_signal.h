/* A signal of the trap's number that the program blocks, and that must go on waiting. */
#ifndef MEMTRACE_BLOCKED_SIGNAL_H
#define MEMTRACE_BLOCKED_SIGNAL_H

#include "capture/traps.h"

struct blocked_signal { /* what the thread has at the end of the trap that it is in */
	taddr_t trap_pc;
	uint64_t mask;
	uint64_t argument; /* the function's first */
};

/* Has a thread that is stopped by signo it blocked, but for the soft trap that it is in, whose
 * own it can't be, as that is not sent yet?  Changes nothing. */
bool blocked_signal_is(const struct traps *traps, struct thread *thread, int signo,
		       struct blocked_signal *ret);

/* Moves the thread to the end of the trap, where it blocks the signal. */
void blocked_signal_end_trap(struct tracee *tracee, struct thread *thread,
			     const struct blocked_signal *blocked);

/* The signal waits again, behind blocked_signal_end_trap(). */
void blocked_signal_wait_again(struct tracee *tracee, struct thread *thread);

/* Our own signal `signo` was seen at the trap: from now on the thread blocks what it blocked
 * before. */
void blocked_signal_close_trap(struct tracee *tracee, struct thread *thread, int signo);

#endif
