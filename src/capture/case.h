/*
 * Unwind cases: call stacks recorded with all that their walk looked at, to be walked
 * again on any machine (tests/unit/test_walk_cases.c; tests/offline/cases).
 *
 *   DIR/000.case    text: one thing a line, numbers in hex without 0x
 *       arch NAME
 *       slot ADDR                        where the allocation function's return address lies
 *       first_sp ADDR                    of struct walk_ops; none: 0
 *       reg NUMBER VALUE                 by DWARF number, as in the function's caller; others
 *                                        are 0
 *       module INSTANCE BEGIN END BIAS BUILD-ID PIECES PATH
 *                                        PIECES: see below, "-": nothing of it was needed
 *       row INSTANCE VADDR CFA CFA_OFFSET RA RA_OFFSET FP FP_OFFSET FLAGS
 *                                        what memtrace-fs supplied for that address
 *       leaf INSTANCE OFFSET
 *       frame INSTANCE OFFSET [exact] [guess]    what is expected; the leaf is the first
 *       end NUMBER                       enum walk_end
 *   DIR/000.stack   the stack's bytes from the slot up
 *   DIR/NAME.ID.file, NAME.ID.memory     what was read of a module's file (by offset), or of
 *                                        its memory (by address - BEGIN): see base/recording.h
 *
 * A case is written only if its own walk, over nothing but what is written, found the
 * frames of the live one.
 */
#ifndef MEMTRACE_CASE_H
#define MEMTRACE_CASE_H

#include "capture/walker.h"

struct walk_case {
	const struct arch *arch;
	const struct modules *modules;
	const struct externals *externals; /* may be NULL */
	struct regs regs;
	taddr_t slot, first_sp; /* of struct walk_ops */
	frame_t leaf;
	const uint8_t *stack; /* the bytes from slot up */
	size_t stack_len;
};

/* As walker_walk(), without a process.  *ret: the count.  -ENOMEM, ... */
int case_walk(const struct walk_case *c, frame_t *frames, size_t max, size_t *ret,
	      enum walk_end *end);

struct case_recorder {
	const char *dir;	/* NULL: nothing is recorded */
	struct modules modules; /* the live ones again, read through pieces */
	VEC(uint64_t) written;	/* hashes of the stacks that have a case */
};

/* dir may be NULL; it is made if need be. */
int case_recorder_open(struct case_recorder *ret, const char *dir, struct err *err) MUST_CHECK;
void case_recorder_close(struct case_recorder *recorder);

/* Records a stack, unless there is a case of it.  `live`: what walked it, whose modules and memory
 * they are.  An error says why there is no case. */
int case_record(struct case_recorder *recorder, const struct walker *live,
		const struct walked *walked, struct err *err) MUST_CHECK;

#endif
