/*
 * Traps: what the stubs do beside their functions.  A thread that calls one stops for us, by
 * a signal that it sends itself (soft) or by a break instruction (hard); arch/trap.h, struct
 * stub_area, has what lies where then.
 */
#ifndef MEMTRACE_TRAPS_H
#define MEMTRACE_TRAPS_H

#include "hook/hooks.h"

struct traps {
	struct hooks *hooks;
	int signo;	/* of the soft trap */
	bool hard;	/* all are break instructions: something forbids the others */
	bool filtered;	/* some thread has a seccomp filter */
	taddr_t agent;	/* its entry, which is asked before a trap; 0 */
	bool contested; /* the program catches the signal, and every other that it could be */
};

/* The payload of traps->hooks. */
struct hook_payload traps_payload(struct traps *traps);

/* Makes the traps of all areas hard from now on.  Nobody may be made to run what is not
 * written yet: all threads are stopped, or the one thread is. */
int traps_use_break(struct traps *traps, struct err *err) MUST_CHECK;

/* Another signal for the soft traps, traps->signo from now on.  All threads are stopped.
 * -EAGAIN: a thread is just sending the old one; let it run a moment. */
int traps_change_signal(struct traps *traps, int signo, struct err *err) MUST_CHECK;

/* The signal by which a thread in one of our traps, at pc, is reported; 0: it is in none. */
int traps_signal_at(const struct traps *traps, taddr_t pc);
/* Where a thread that is in a soft trap, its signal unblocked but not sent, will be reported:
 * its trap.pc; 0: it is not there. */
taddr_t traps_open_at(const struct traps *traps, taddr_t pc);
/* The hook whose stub called the trap from `site`; *entry: before the function.  NULL: its
 * module is gone, or the stub is a predecessor's. */
const struct hook *traps_hook_at(const struct traps *traps, taddr_t site, bool *entry);

#endif
