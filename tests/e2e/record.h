/*
 * Recorded stacks: what `memtrace --record-stacks=FILE --record-every=N` writes, read by
 * stack_oracle and written by stack_recorder too.  A stream of
 *
 *     [ type u32 | length u32 ][ payload: length bytes ]
 *
 *   RECORD_MAPS    the text of /proc/PID/maps; holds for the samples behind it
 *   RECORD_SAMPLE  struct record_sample, then u64 pcs[frames], leaf first, then
 *                  stack_len bytes of the stack from the stack pointer upwards
 *
 * A sample is the thread as if it stood at the entry of the allocation function.
 */
#ifndef RECORD_H
#define RECORD_H

#include <stdint.h>

enum { RECORD_MAPS = 1, RECORD_SAMPLE = 2 };

struct record_head {
	uint32_t type, length;
};

/* DWARF numbers of x86-64; only these are meaningful: a function's entry keeps them. */
enum { RBX = 3, RBP = 6, RSP = 7, R12 = 12, R15 = 15, RIP = 16, RECORD_REGS = 17 };

struct record_sample {
	uint32_t tid;
	uint32_t end; /* region/walk.h: enum walk_end */
	uint32_t frames, stack_len;
	uint64_t regs[RECORD_REGS];
};

#define RECORD_GUESSED (1ull << 63) /* in a pc: found without unwind data */

/* enum walk_end, of which the tests know only what they need. */
enum { END_ROOT = 0, END_DEPTH = 1, END_NO_DATA = 2, END_NO_MODULE = 3 };

#endif
