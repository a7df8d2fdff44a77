/*
 * The agent of the program that is followed: whether there is to be one, and whether there is.
 *
 * It is put into the process once for each program (tracer/inject.h), before any stub is planned,
 * as stubs know its address; where that can't be, the reason is kept, and every call goes to
 * the trap.  It leaves with the stubs (detach.c).
 */
#ifndef MEMTRACE_RESIDENT_H
#define MEMTRACE_RESIDENT_H

#include <stdatomic.h>

#include "tracer/inject.h"
#include "tracer/status.h"

struct engine;

enum capture_engine { /* in the order of --engine's words */
	CAPTURE_TRAP,
	CAPTURE_AUTO,  /* the agent, where it can be */
	CAPTURE_AGENT, /* or nothing is followed */
};

struct resident {
	enum capture_engine engine; /* that the user has asked for */
	struct injected injected;
	bool tried;
	bool stays; /* it goes on without us (leave.h) */
	bool faults; /* threads go without a thread pointer at times, and need us then (agent_fault.h) */
	int64_t maps_after_ms; /* not before, the mappings are read again for a thread's stack (share.c) */
	bool full;	/* it was said that its memory is full */
	bool owed;	/* it is off because a thread had no thread pointer */
	unsigned asked; /* how often there was a reason to look again */
	/* What of the program's memory is the agent's, at most: bytes / 1024; 0: there is none.  For any thread. */
	atomic_uint taken_kb;
	char reason[160]; /* why there is none; "": none was asked for */
};

/* Why the process of that thread can have none, as far as it can be known without touching it.  -ENOSYS: no process
 * here can.  insists: also where little memory is left. */
int resident_doubt(pid_t pid, const struct arch *arch, bool insists, struct err *err) MUST_CHECK;

/* Threads run, and do afterwards; or those of a program that begins are stopped, and are so
 * afterwards.  The modules are known.  Once for each program.  An error only where the agent is insisted on, or the process is gone. */
int resident_enter(struct engine *engine, struct err *err) MUST_CHECK;

/* On, off: threads may run.  -EAGAIN: some thread has no thread pointer, which the agent reads. */
int resident_switch(struct engine *engine, bool on);

/* A thread has a thread pointer now (PENDING_AGENT): on, if all have.  All are stopped behind it. */
int resident_ask(struct engine *engine, struct err *err) MUST_CHECK;

/* How much memory it takes is asked: of the tracer thread. */
void resident_measure(struct engine *engine);

/* Resident memory of the process without the agent's, by resident_measure(): bytes.  Any thread. */
uint64_t resident_of_program(const struct resident *resident, const struct status *status);

/* All threads are stopped, and the stubs are gone: as inject_remove(). */
int resident_leave(struct engine *engine);

/* The program is another one, or nobody needs what was counted any more. */
void resident_forget(struct resident *resident);

#endif
