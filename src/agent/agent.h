/*
 * The agent: runs in the target, between a stub and the trap, and says whether the trap is
 * needed.
 *
 *   stub --> agent_call(): is all that this call means known?
 *              yes   it is counted in the shared memory (region/shared.h); back to the program
 *              no    nothing was changed; the trap, and memtrace does it, and makes it known
 *
 * It is a cache of what memtrace would do, not another engine: it walks by the same rows with
 * the same code (region/walk_body.h), and what it can't do exactly it leaves.
 *
 * It makes no system call, takes no lock, calls nothing of the program's, keeps no state of its
 * own, and no vector register; at most AGENT_STACK bytes of stack.  So any thread may run it in
 * any place, and be interrupted by a handler that runs it, too, at any instruction, and not
 * come back.  What it reads of the program's memory is between the thread's sp and the end of
 * its stack, which memtrace has found to be mapped, and, of posix_memalign(), what that has
 * written.
 */
#ifndef MEMTRACE_AGENT_H
#define MEMTRACE_AGENT_H

#include "region/shared.h"

enum {
	AGENT_FRAMES = 128, /* of a walk: deeper stacks that are to be kept are not known */
	AGENT_NESTED = 32,  /* so deep at least a call is looked for within another one:
			     * WALKER_NESTED of the trap's */
	AGENT_STACK = 4096,
};

/* Of a return address as it lies on the stack: without a signature (PAC), which is above bit 48. */
#ifdef __aarch64__
#define AGENT_CODE_MASK ((1ull << 48) - 1)
#else
#define AGENT_CODE_MASK UINT64_MAX
#endif

/* Bits of a return address that say how its code is read (T32): no part of what is looked up. */
#ifdef __arm__
enum { AGENT_STATE_MASK = 1, AGENT_CHAINS = false /* frame pointers, see walk_ops: no_chain */ };
#else
enum { AGENT_STATE_MASK = 0, AGENT_CHAINS = true };
#endif

typedef uintptr_t agent_word; /* of the program's stack */

/* The word there.  False: it can't be read in one piece there. */
static inline bool agent_read(uint64_t at, uint64_t *ret)
{
	agent_word word;

#ifdef __arm__
	if (at % sizeof(word))
		return false;
	word = *(const volatile agent_word *)(uintptr_t)at;
#else
	__builtin_memcpy(&word, (const void *)(uintptr_t)at, sizeof(word));
#endif
	*ret = word;
	return true;
}

struct agent_call {	  /* as a stub has found it */
	uint64_t pointer; /* the thread pointer */
	uint64_t slot;	  /* where the return address lies */
	uint64_t fp;	  /* the caller's */
	uint64_t argument[3];
	uint64_t result; /* of a function that has returned */
	uint32_t hook;	 /* number of a struct shared_hook */
	uint32_t reserved;
};

/* True: counted.  False: nothing was changed, the trap is needed. */
bool agent_call(const struct shared *shared, const struct agent_call *call);

#endif
