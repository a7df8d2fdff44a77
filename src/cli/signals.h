/*
 * Signals to memtrace, as values read from a descriptor, and what each one means.
 * One table (signals.c) is the policy.
 */
#ifndef MEMTRACE_SIGNALS_H
#define MEMTRACE_SIGNALS_H

#include <signal.h>

#include "base/err.h"
#include "base/types.h"

enum signal_action {
	SIGNAL_NOTHING,
	SIGNAL_INTERRUPT,  /* Ctrl-C: cancel what is under way; see session.c */
	SIGNAL_LEAVE,	   /* detach and report, as `quit` does */
	SIGNAL_LEAVE_FAILED, /* the same, and exit with 128 + signal */
	SIGNAL_PASS,	   /* the program's, not ours: hand it on */
	SIGNAL_SUSPEND,	   /* the job is to stop: we stop too */
	SIGNAL_STAY,	   /* asked to stop, but must not */
	SIGNAL_RESUMED,
	SIGNAL_RESIZED,
	SIGNAL_REPORT, /* write one now */
};

struct signal_event {
	int signo;
	enum signal_action action;
	bool shared; /* from the terminal: the program of our job has its own copy */
};

struct signals {
	int fd;		   /* readable: signals_next() has one */
	sigset_t blocked;  /* what we take from here */
	sigset_t original; /* the mask before signals_init() */
	bool launched;	   /* a PROGRAM of ours, in our process group */
};

/*
 * Blocks every signal that means something to us, in this thread and those it
 * starts (so before any is started), and all else that would end us in the middle
 * of a patch.  What was ignored when we were started (nohup) stays ignored.
 */
int signals_init(struct signals *signals, bool launched, struct err *err) MUST_CHECK;

/* Takes one; false: none waits. */
bool signals_next(struct signals *signals, struct signal_event *ret);
/* What a signal means, as if somebody had sent it to us alone. */
struct signal_event signals_event(const struct signals *signals, int signo);

/* Takes one that says leave, or an interrupt, and no other; false: none waits. */
bool signals_take_leave(const struct signals *signals, struct signal_event *ret);
/* Whether a SIGINT waits. */
bool signals_is_interrupted(void);
/* In the calling thread: such a signal ends us, as it ends any program. */
void signals_unblock_leave(const struct signals *signals);

/* Stops us as SIGTSTP would have: not where no shell could continue us (in an orphaned process
 * group, a container's first one), which only the kernel knows. */
void signals_suspend(void);

/* From here on the process has nothing to lose: those that wait are dropped, later
 * ones end us as they end any program. */
void signals_release(struct signals *signals);

#endif
