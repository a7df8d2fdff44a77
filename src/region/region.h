/*
 * The region: the one store of what was seen.  Written by exactly one engine (the functions
 * here), read by everybody else (reader.h).  Compiled into both worlds, so freestanding: no
 * libc, no pointers inside (offsets from its base), memory from one reserved range that the
 * owner commits on demand.
 *
 *   base +--------+---------+----------+-----------+----------+ - - - - - -+ limit
 *        | header | nodes   | node     | contexts  | blocks   |  free      |
 *        |        | (tree)  | index    | (counters)| (table)  |            |
 *        +--------+---------+----------+-----------+----------+ - - - - - -+
 *
 * Tables start small and grow: hash tables by a copy of twice the size, filled little
 * by little, and the old place is given back (`release`); arrays (nodes, contexts, modules)
 * by a further segment, so that no item ever moves.  A table that can grow no more
 * sends what does not fit to the overflow context (id 0), visibly; nothing is
 * probed without bound, nothing is dropped in silence.
 *
 * node     {frame, parent, context}: one frame of an interned call stack.  The
 *          first WALK_ENDS nodes are roots: a stack's outermost frame has the
 *          root "why the walk ended" as its parent.
 * context  a distinct call stack that allocated: counters.  Its id (1..) is
 *          given in order of first appearance and stays for the session, across
 *          region_clear() too.
 * block    a live allocation: address -> {size, context, time}; of a sample (sample.h), where it
 *          stands for several, all counters have them.
 */
#ifndef MEMTRACE_REGION_H
#define MEMTRACE_REGION_H

#include "region/frame.h"
#include "region/sample.h"
#include "region/walk.h"

#define REGION_OVERFLOW_CONTEXT 0u

struct region_node {	  /* 16 bytes; W engine before it is counted; R engine, reader */
	frame_t frame;	  /* leaf side */
	uint32_t parent;  /* towards the root; < WALK_ENDS: a root, = enum walk_end */
	uint32_t context; /* 0: no allocation ended at this node itself.  W engine, once, any time */
};

/* W: who writes a field; R: who reads it; "reader": anybody with reader.h, at any time. */
struct region_context { /* W engine, under its sequence; R engine, reader */
	uint64_t allocs, frees;
	uint64_t allocated_bytes, freed_bytes; /* in use = allocated - freed, exactly */
	uint64_t peak_bytes;		       /* largest in-use bytes of this context */
	uint32_t node;			       /* its leaf */
	uint32_t first_time, last_time; /* of its allocations, in ticks since the start */
	uint32_t sequence; /* sequence.h */
};

struct region_block { /* W, R engine alone: a block moves when its table does */
	uint64_t addr; /* 0: empty slot */
	uint64_t size : 48; /* as requested */
	uint64_t level : 16; /* not 0: of a sample; it counts as sample_weight() such blocks */
	uint32_t context;
	uint32_t time; /* ticks (1/100 s since the start) */
};

struct region_totals { /* since the start or the last clear.  W engine, under its sequence; R reader */
	uint64_t allocs, frees, allocated_bytes, freed_bytes;
	uint64_t peak_bytes;
	uint64_t frees_of_unknown; /* blocks from before the attach or the last clear */
	uint64_t lost_events;	   /* must be 0: contradictions seen (see region_alloc) */
	uint64_t overflow_blocks;  /* allocations that could not be kept: memory is short */
	uint64_t live_blocks;	   /* blocks in the table now, or noted by others (of a sample: what they
				    * stand for) */
};

/* Whose region it is, and what its times mean; for who comes to it later. */
struct region_origin {
	uint32_t pid;		   /* of the target, in the engine's namespace */
	uint32_t ticks_per_second; /* of every time in the region */
	uint64_t start_time;	   /* of the target: field 22 of /proc/PID/stat */
	uint64_t realtime_ns;	   /* CLOCK_REALTIME at tick 0 */
	uint64_t monotonic_ns;	   /* CLOCK_MONOTONIC at tick 0 */
};

/* What the instance in a frame stands for.  W engine, under its sequence; R reader. */
struct region_module {
	uint64_t begin, end, bias; /* where it is mapped, or was; bias: address - file's address */
	uint32_t sequence;	   /* sequence.h */
	uint8_t mapped;
	uint8_t id_len;	   /* 0: it has no build-id */
	uint16_t path_len; /* more than path[] holds: cut */
	uint8_t id[64];	   /* build-id */
	char path[416];	   /* not terminated */
};

/* How the region gets memory within its reserved range [base, base + limit).
 * commit: make [offset, offset + len) readable, writable and zero; 0 or < 0.
 * release: [offset, offset + len) is no longer used.  Page-aligned both. */
struct region_space {
	uint8_t *base;
	uint64_t limit;
	int (*commit)(struct region_space *space, uint64_t offset, uint64_t len);
	void (*release)(struct region_space *space, uint64_t offset, uint64_t len);
};

/* The private mapping of the breakpoint engine: reserves limit bytes (PROT_NONE;
 * half as many, and so on, where the system refuses: ret->limit says), commits with
 * mprotect, releases by mapping anew.  Not freestanding: lives in private_space.c.
 * 0 or -errno. */
int region_space_private(struct region_space *ret, uint64_t limit);
void region_space_deinit(struct region_space *space);

struct region; /* the header, at space->base */

/* 0, or -errno when the space can't hold even the first tables.  Begins anew in a
 * space whose memory is zero where it is committed. */
int region_init(struct region_space *space, struct region **ret);

/*
 * Interns a stack (frames leaf first, as walk_stack() gives them) and returns
 * its context id; REGION_OVERFLOW_CONTEXT when there is no room.
 */
uint32_t region_context(struct region *region, struct region_space *space,
			const frame_t *frames, size_t count, enum walk_end end);

/*
 * A new live block; nothing where addr is 0 (the allocation failed).  If addr is
 * live already: with replace, the old record was the inner half of this same call
 * (calloc -> malloc): it is un-counted as if it had never been, and the new one
 * takes its place; without, the free of the old one was missed: lost_events + 1,
 * and the old one is counted as freed.
 *
 * Where the table is full and can't grow, the block is not kept and not counted,
 * except as overflow_blocks + 1; its free will be one of an unknown block.
 */
void region_alloc(struct region *region, struct region_space *space, uint64_t addr,
		  uint64_t size, uint32_t context, uint32_t now, bool replace);

/* The same of a block of a sample. */
void region_alloc_block(struct region *region, struct region_space *space,
			const struct region_block *block, bool replace);

/* Takes a block out of the table without counting anything; false if not there.
 * After a region_clear() what was taken before belongs to no count any more: the
 * caller forgets it and calls region_free_unknown() where it would have freed it. */
bool region_take(struct region *region, uint64_t addr, struct region_block *ret);

/* The same, of a block that is in the counts, but in no table here (region_add()). */
void region_taken(struct region *region, const struct region_block *block);

/* Counts what region_take() took as freed. */
void region_free(struct region *region, const struct region_block *block);

/* Puts back what region_take() took: the realloc failed. */
void region_put_back(struct region *region, struct region_space *space,
		     const struct region_block *block);

/* A free of a block that isn't in the table. */
void region_free_unknown(struct region *region);

/* Calls that were counted by others (region/counters.h), added up. */
struct region_counts {
	uint64_t allocs, allocated_bytes, frees, freed_bytes;
};

/* So many more calls of a context, the first and the last of its allocations at these times; their
 * blocks are in no table of ours, but live ones.
 * False, and nothing is added: sums that no calls make. */
bool region_add(struct region *region, uint32_t context, const struct region_counts *counts,
		uint32_t first, uint32_t last);

/* A live block that region_add() has counted comes into the table.  False: no room. */
bool region_adopt(struct region *region, struct region_space *space,
		  const struct region_block *block);

/* The reverse: a live block goes to the others, its allocation with it, as if it had not been
 * counted here; region_add() is to count it again.  False: it is not there. */
bool region_yield(struct region *region, uint64_t addr);

/* The blocks that inner calls of allocators have returned (book.h), which are in no count: a
 * set of addresses.  One that can't be kept is overflow_blocks + 1: its free will be taken for
 * that of an unknown block.  region_clear() leaves them. */
void region_inner_add(struct region *region, struct region_space *space, uint64_t addr);
bool region_inner_remove(struct region *region, uint64_t addr); /* was it in? */
bool region_inner_has(const struct region *region, uint64_t addr);
void region_inner_clear(struct region *region, struct region_space *space);

/* A contradiction was seen by the engine itself: lost_events + 1. */
void region_lost(struct region *region);

/* What another region had counted for the same context (0: overflow), none of whose blocks are in
 * the table here; nothing was counted for it before.  False: no calls make such sums. */
bool region_restore(struct region *region, uint32_t context, const struct region_context *counters);
/* The same of what is in no context: the peak, and what could not be counted. */
void region_restore_totals(struct region *region, const struct region_totals *totals);
/* Blocks of the context were counted anew, in an agent's tables: the times and the peak of before hold. */
void region_keep_times(struct region *region, uint32_t context, const struct region_context *before);

/* Empties the block table and zeroes every counter; nodes and ids stay. */
void region_clear(struct region *region, struct region_space *space);

/* Who comes to the region later knows by this whose it is. */
void region_set_origin(struct region *region, const struct region_origin *origin);

/* Says what instance (1..) stands for now; counts modules_epoch where that is new.  The
 * record's sequence is the region's own.  False: no room, or no frame can name it. */
bool region_set_module(struct region *region, struct region_space *space, uint32_t instance,
		       const struct region_module *module);

/* The engine's own reading, valid until its next call that writes.  Others: reader.h. */
const struct region_totals *region_totals(const struct region *region);
uint32_t region_node_count(const struct region *region);
const struct region_node *region_node(const struct region *region, uint32_t node);
uint32_t region_context_count(const struct region *region); /* [0] is the overflow context */
const struct region_context *region_context_at(const struct region *region, uint32_t id);
const struct region_block *region_find(const struct region *region, uint64_t addr);

/* Blocks in the table itself. */
uint32_t region_block_count(const struct region *region);

/* Calls visit for every live block, in no order. */
void region_for_each_block(const struct region *region,
			   void (*visit)(void *arg, const struct region_block *block),
			   void *arg);

/* Bytes committed now. */
uint64_t region_memory(const struct region *region);

#endif
