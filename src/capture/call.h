/* A call that a thread is stopped at the trap of, as the registers and the stack have it. */
#ifndef MEMTRACE_CALL_H
#define MEMTRACE_CALL_H

#include "capture/traps.h"
#include "capture/walker.h"

enum { CALL_ARGUMENTS = 4 };

struct call {
	const struct function *function;
	/* Of its hook, which may move when modules are looked at anew. */
	uint32_t instance;
	frame_t frame;
	taddr_t address;

	bool entered;	 /* before the function; else it has returned */
	taddr_t slot;	 /* where the return address lies */
	uint64_t result; /* when it has returned */
	/* Entered: the first alone, but all four of prctl(), munmap() and mremap();
	 * those that can't be read are 0.
	 * Returned: three. */
	uint64_t argument[CALL_ARGUMENTS];
};

/*
 * Decodes the call.  The thread is stopped in a trap.  One read of the registers, and, of one
 * that has returned, one of the stack, which the walker keeps from there on.  -ENOENT: the trap
 * is nobody's any more; -EFAULT: the stack can't be read; -ESRCH: the thread is dead.
 */
int call_read(const struct traps *traps, struct walker *walker, struct thread *thread,
	      struct call *ret);

#endif
