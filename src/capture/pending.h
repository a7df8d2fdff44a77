/*
 * What is to be done before the thread by which we know of it goes on: it, and whoever else
 * stops meanwhile, waits (engine_turn()).
 */
#ifndef MEMTRACE_PENDING_H
#define MEMTRACE_PENDING_H

#include <sys/types.h>

/* In the order in which they are done. */
enum {
	PENDING_DETACH =
		1 << 0, /* the process is to be let go, and can't end while it is not */
	PENDING_CORE_DUMP = 1 << 1, /* `dying` is about to end the process: core_dump.h */
	PENDING_SIGNAL = 1 << 2,  /* the program is about to catch the trap's: trap_choice.h */
	PENDING_HARD = 1 << 3,	  /* its system calls are about to be forbidden: the same */
	PENDING_TRACEME = 1 << 4, /* a child that is held asks to be traced: traceme.h */
	PENDING_AGENT = 1 << 5,	  /* it may be on now: resident.h */
	PENDING_MODULES = 1 << 6, /* the loader has changed its list, or a program begins */
};

struct pending {
	unsigned set;
	/* What is being done, all that was set before; a new program needs none. */
	unsigned now;
	pid_t dying; /* a thread; 0: none.  It stays when it was done */
};

#endif
