/*
 * The last stack of a thread, so that the next one need not be walked where it is the same.
 *
 *    walk now      pc sp --> pc sp --> pc sp == a remembered frame
 *                                        |
 *    remembered            pc sp --> pc sp --> pc sp --> pc sp --> root
 *                                         ^ return addresses: still the same?
 *
 * A walk is a function of its first state, of the rows, and of the words that it reads.  So from
 * an equal state on it is the same, if the rows are (known.h: the sequence), and every word that it
 * read still has its value.  All of them are looked at, in the order of the walk, so that nothing is
 * read that a walk would not read.  fp is a part of the state where a CFA, or the end, depends on it:
 * only there it is compared.
 *
 * Some frames of earlier walks are met again, too: for each of them one word is read instead of its
 * row looked for, and its node is known, if its caller's is the same.
 */
#ifndef MEMTRACE_REMEMBERED_H
#define MEMTRACE_REMEMBERED_H

#include "agent/agent.h"

/*
 * The context of a call's stack, by what is remembered of thread `number`, and remembered
 * itself.  end: of the thread's stack.  False: it is to be walked in the usual way (deep, or with
 * frames of other kinds, or within another call of this).  *context 0: it is not known.
 */
bool remembered_context(const struct shared *shared, uint32_t number, uint64_t end,
			const struct agent_call *call, frame_t leaf, uint32_t *context);

#endif
