/*
 * The agent in the process (agent/agent.h): put there, switched on and off, taken out.
 *
 *    base               + BLOB_BYTES  + BLOB_CONTROL    memory
 *    +-------------------+---------+                    +------------------------------+
 *    | code              | control |                    | shared with us (shared.h)    |
 *    +-------------------+---------+                    +------------------------------+
 *
 * The process maps both itself (remote.h), and closes the memory's descriptor again; what is
 * written to the first is written from outside.  It is done in steps, each in the log before it is
 * made, and inject_remove() takes away whatever of them was made: for us, for the guardian, for
 * who comes later.  Nothing runs the code before stubs lead there, and it does nothing before it
 * is on.
 *
 * The child of a fork has all of it, too: its control page is zeros, so there it is off.  The
 * memory stays mapped there because a handler that interrupts the agent may fork, and its child
 * return into the agent; it is emptied when the process gives it up.
 */
#ifndef MEMTRACE_INJECT_H
#define MEMTRACE_INJECT_H

#include "agent/blob.h"
#include "tracer/tracee.h"
#include "tracer/undo.h"

struct injected {
	taddr_t entry;	      /* what stubs ask; 0: there is no agent */
	struct shared shared; /* the memory, where we have it */
	uint64_t bytes;
	int file; /* it, to be asked alone (O_PATH); -1 */
};

/* How far it has come, so that it can go on when threads had to run in between. */
struct injection {
	struct tracee *tracee;
	struct undo *undo;
	struct undo_places places; /* for the code of the calls */
	uint32_t pieces, shift;	   /* of struct shared */
	/* inject_next()'s own, zeros at first */
	unsigned step;
	uint64_t locked_kb;
	int64_t descriptor; /* there */
	int file;	    /* the same file, ours; -1 */
};

/* Before anything is changed, while it runs (pid: a thread that has not ended): -ENOTSUP and why
 * there can be no agent with so large a memory; or 0. */
int inject_doubt(pid_t pid, const struct arch *arch, uint64_t bytes, struct err *err) MUST_CHECK;

/*
 * All threads are stopped.  0: it is there, off.  -EAGAIN: let them run a moment, and call again.
 * Else what was begun is left to inject_remove(), and err says why, in half a sentence.
 */
int inject_next(struct injection *injection, struct injected *ret, struct err *err) MUST_CHECK;
/* Frees what inject_next() holds, in any case. */
void inject_end(struct injection *injection);

/* What the memory takes in the machine: bytes, at any time. */
uint64_t inject_taken(const struct injected *injected);

/* Threads may run. */
int inject_switch(const struct undo *undo, struct target *target, bool on);

/* Our side of the memory, and what is in it on all sides. */
void inject_forget(struct injected *injected);

/*
 * Takes it out, where no thread is inside, and nothing leads there.  All threads are stopped.
 * 0: nothing is left, or was there; -EAGAIN: let them run a moment; else why it stays, off.
 */
int inject_remove(struct tracee *tracee, struct undo *undo);

/* What a predecessor left, by its looks: from now on it is in our log, and off.  held: stubs that lead there
 * stay (undo_agent_hold()).  False: nothing. */
bool inject_adopt(struct tracee *tracee, struct undo *undo, const struct undo_places *places, bool held);

#endif
