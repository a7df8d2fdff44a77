/* Whose is the signal that a thread stops by: our trap's, or the program's? */
#ifndef MEMTRACE_TRAP_SIGNAL_H
#define MEMTRACE_TRAP_SIGNAL_H

#include "capture/blocked_signal.h"
#include "capture/thread_data.h"
#include "capture/traps.h"

enum trap_verdict_kind {
	/* The program's; or, of a stop without a signal, nothing of ours. */
	TRAP_PROGRAMS,
	/* As TRAP_PROGRAMS, but at a trap whose own signal is still to come: the trap is to
	 * be counted now. */
	TRAP_OVERTAKING,
	/* The program's, which the thread blocks but for the trap that it is in: to wait again,
	 * and the trap to be counted. */
	TRAP_BLOCKED,
	/* Our trap's: to be counted, and the signal dropped. */
	TRAP_OURS,
	/* Our trap's, which was counted before: to be dropped. */
	TRAP_COUNTED,
};

struct trap_verdict {
	enum trap_verdict_kind kind;
	int trap; /* the signal by which the trap that the thread is in is reported; 0: it is
		     in none, or that does not matter */
	struct blocked_signal blocked; /* of TRAP_BLOCKED */
};

/* Of a thread that is stopped by signo, or (0) otherwise.  Changes nothing. */
struct trap_verdict trap_signal_judge(const struct traps *traps, struct thread *thread, int signo);

/* The signal by which the trap that a stopped thread is in is reported; 0: in none. */
int trap_signal_of(const struct traps *traps, struct thread *thread);

/* The trap that the thread is in is about to be counted: what comes by the same signal from
 * now on is the program's, where it may catch it. */
void trap_signal_mark(const struct traps *traps, struct thread *thread, int signo);

#endif
