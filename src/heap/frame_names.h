/*
 * What frames are called, as values: what a resolver or a symbol table said, before anybody
 * makes text of it.  Made by report/names.c, kept in snapshot files.
 */
#ifndef MEMTRACE_FRAME_NAMES_H
#define MEMTRACE_FRAME_NAMES_H

#include "base/types.h"
#include "region/frame.h"

/* One function of a frame: those inlined at its pc, and the real one. */
struct frame_line {
	const char *function; /* as people write it; NULL: unknown */
	const char *symbol;   /* as the symbol table has it, where the name is from one of the
			       * target's side; NULL: it is from debug information */
	const char *file;     /* NULL: unknown */
	uint32_t line;	      /* 0: unknown */
	bool inlined;	      /* into the next line of the frame */
	uint64_t base;	      /* where the function begins, as an offset; 0: unknown */
};

struct named_frame {
	frame_t frame;
	uint32_t first, count; /* of its lines: innermost first, the real function last */
};

/* Texts are in memory of whoever made it. */
struct frame_names {
	struct named_frame *frames; /* ascending by frame_order() */
	size_t frame_count;
	struct frame_line *lines;
	size_t line_count;
	const char **sources; /* per module, by instance - 1: where its names are from, in
			       * words; NULL: it has none.  The array may be NULL, too */
	size_t module_count;  /* of sources */
};

/* By module, then offset, the flags last: so that the offsets of a module ascend.  < 0, 0, > 0.
 */
int frame_order(frame_t a, frame_t b);

/* O(log n); NULL: not there.  names may be NULL. */
const struct named_frame *frame_names_find(const struct frame_names *names, frame_t frame);

#endif
