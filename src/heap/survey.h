/*
 * What the memory of a process is made of: the allocators' own books, what pins the pages that
 * they could give back, and all that is mapped beside them.  Plain values, made while the picture
 * is there.
 */
#ifndef MEMTRACE_SURVEY_H
#define MEMTRACE_SURVEY_H

#include "base/vec.h"
#include "heap/leak/leak.h"
#include "heap/mapped.h"

struct survey_input {
	struct leak *leak; /* made with leak_input.survey */
	const struct maps *maps;
	const struct modules *modules;
	const struct mapping_use *uses; /* by the kernel, ascending; of a moment before the picture */
	size_t use_count;
	const struct leak_thread *threads;
	size_t thread_count;
	const struct mapped_range *mapped; /* with --mmap: the highest first */
	size_t mapped_count;
};

/* Blocks that pin pages which are three quarters free: of one call stack, or, from before the
 * attach, of one size. */
struct survey_pin {
	uint32_t context; /* 0: from before the attach */
	uint64_t size;	  /* of each, then */
	uint64_t blocks, bytes; /* bytes: of free memory on their pages */
};

enum survey_kind {
	SURVEY_ANONYMOUS, /* no allocator's that is known */
	SURVEY_STACK,	  /* a thread's */
	SURVEY_NAMED,	  /* a file, or what the kernel has a name for */
	SURVEY_AGENT,	  /* memtrace's, not the process' own: in none of the sums */
};

/* What is mapped and belongs to no allocator: files by their path, all else one by one. */
struct survey_mapping {
	enum survey_kind kind;
	taddr_t begin, end;   /* of the first */
	const char *path;     /* SURVEY_NAMED; as long as maps and modules */
	int tid;	      /* SURVEY_STACK */
	uint32_t context;     /* by whom most of it was mapped, as far as that is known; 0: it is not */
	uint64_t by_context;  /* bytes that were: the kernel makes one of neighbours */
	uint64_t mappings;    /* how many */
	uint64_t bytes, resident, swapped;
};

struct survey {
	uint64_t resident, swapped; /* of the process */
	uint64_t anonymous, anonymous_resident, anonymous_swapped; /* SURVEY_ANONYMOUS: how many, and bytes */
	uint64_t pinned, pin_blocks;
	struct leak_sum before; /* of these, by blocks from before the attach */
	VEC(struct survey_pin) pins; /* the most bytes first */
	VEC(struct survey_mapping) mappings; /* the most resident bytes first */
};

/* False: memory is short; survey_deinit() is due in any case. */
bool survey_make(const struct survey_input *input, struct survey *ret);
void survey_deinit(struct survey *survey);

#endif
