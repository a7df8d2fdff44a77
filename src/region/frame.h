/*
 * A frame: where a call stack passes, in a form that outlives the mapping.
 *
 *   63      62       61          48 47                              0
 *  +-------+--------+--------------+---------------------------------+
 *  | exact | guess  |  instance    |  offset                         |
 *  +-------+--------+--------------+---------------------------------+
 *
 * instance: which module (1..; numbered by whoever maintains the module list);
 *           FRAME_NOWHERE (0) when pc is in no module (generated code).
 * offset:   pc as a virtual address of the file (pc - load bias); the pc itself
 *           when instance is 0.
 * exact:    offset is the instruction itself: the leaf, or what a signal
 *           interrupted.  Otherwise it is a return address, and the call is
 *           looked up at offset - 1.
 * guess:    found by frame pointer or prologue scan, not by unwind data.
 */
#ifndef MEMTRACE_FRAME_H
#define MEMTRACE_FRAME_H

#include <stdbool.h>
#include <stdint.h>

typedef uint64_t frame_t;

#define FRAME_EXACT       (1ull << 63)
#define FRAME_GUESS       (1ull << 62)
#define FRAME_OFFSET_MASK ((1ull << 48) - 1)
#define FRAME_NOWHERE     0u
#define FRAME_INSTANCES   (1u << 14) /* instance < FRAME_INSTANCES */

static inline frame_t frame_of(uint32_t instance, uint64_t offset)
{
	return ((uint64_t)instance << 48) | (offset & FRAME_OFFSET_MASK);
}

static inline uint32_t frame_instance(frame_t frame)
{
	return (uint32_t)(frame >> 48) & (FRAME_INSTANCES - 1);
}

static inline uint64_t frame_offset(frame_t frame)
{
	return frame & FRAME_OFFSET_MASK;
}

/* The offset to ask a symbol table or line table about. */
static inline uint64_t frame_lookup_offset(frame_t frame)
{
	uint64_t offset = frame_offset(frame);
	return (frame & FRAME_EXACT) || !offset ? offset : offset - 1;
}

#endif
