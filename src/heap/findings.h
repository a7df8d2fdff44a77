/*
 * What a look for leaks found, as plain values: made while the picture is there, reported when it
 * is gone.
 *
 * A finding is what is lost of one call stack, or, of blocks from before the attach, of one kind
 * of content.  A lost block takes along what only it leads to: of blocks from before the attach
 * that is no finding of its own.
 */
#ifndef MEMTRACE_FINDINGS_H
#define MEMTRACE_FINDINGS_H

#include <time.h>

#include "base/vec.h"
#include "heap/leak/leak.h"

/* (A block that was traced counts with the size that was asked for, as in every other count.) */
struct findings_sums {
	struct leak_sum lost, through, held;
	struct leak_sum perhaps; /* lost in the second picture alone, or, where there is one only, in
				  * the hands of a call of the allocator; in no other sum */
};

struct finding {
	uint32_t context; /* 0: from before the attach; of the content below */
	struct leak_content content;
	uint64_t size; /* of each, where the content has no name */
	struct findings_sums sums; /* (of one from before the attach: held is 0) */
	struct leak_sum along; /* what its lost blocks take along, of whatever kind */
	enum leak_shape shape; /* of the largest of them */
	taddr_t example;	   /* the largest */
	uint32_t through;  /* sums.through: the context of a leader; 0: from before the attach */
};

struct findings_block {
	struct leak_block block;
	taddr_t leader; /* 0: none */
	bool perhaps;
	struct leak_content content;
};

struct findings_context {
	struct findings_sums sums;
	uint32_t finding; /* 1 + its place in the list; 0: it has none */
	char *held_by; /* malloc'ed: the path to most of its held blocks; NULL: not looked for */
};

struct findings {
	uint64_t pause_ns; /* of the last picture */
	char why[200];	   /* the process stood all the while; "": it did not */
	bool confirmed;	   /* by an earlier picture */
	bool at_end;	   /* the process was about to end */
	struct timespec taken; /* the picture was: CLOCK_REALTIME */
	uint32_t ticks;	   /* the same, as snapshot.ticks_now */
	struct leak_totals totals;
	struct findings_sums all, before; /* before: of blocks from before the attach */
	struct findings_context *contexts;
	uint32_t context_count;
	VEC(struct finding) list; /* lost by itself first, the most bytes first */
	VEC(struct findings_block) blocks; /* lost ones, the same order, as many as asked for */
	uint64_t block_count;		   /* how many there are */
	VEC(struct leak_allocator) allocators;
};

struct findings_options {
	uint32_t context_count; /* ids are below */
	size_t blocks;		/* at most; 0: all */
	size_t paths;		/* held_by: of as many contexts, those with the most bytes */
	const taddr_t *confirmed; /* ascending: what was lost before; NULL: there was no look */
	size_t confirmed_count;
	/* A path as text, malloc'ed. */
	char *(*path)(void *arg, const uint32_t *blocks, size_t count);
	void *path_arg;
	/* As leak_content(), which is used where this is NULL; with names of what heads lists. */
	void (*content)(void *arg, uint32_t block, struct leak_content *ret);
};

int findings_create(struct leak *leak, const struct findings_options *options,
		    struct findings **ret, struct err *err);
void findings_destroy(struct findings *findings); /* NULL is allowed */
/* To be kept for later reports: without blocks beyond `count` (0: all stay). */
void findings_shorten(struct findings *findings, size_t count);

VEC_TYPE(findings_addrs, taddr_t);
/* The lost blocks, ascending: for the next look to confirm.  False: memory is short. */
bool findings_lost(const struct leak *leak, struct findings_addrs *ret);

/* The bytes that nobody reaches. */
static inline uint64_t findings_gone(const struct findings_sums *sums)
{
	return sums->lost.bytes + sums->through.bytes;
}

#endif
