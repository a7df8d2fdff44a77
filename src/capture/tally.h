/*
 * What the agent has counted, in the region: so that all that reads the region (reports, marks,
 * the course, looks) has the calls of both.
 *
 *    shared memory (region/shared.h)                        region
 *      context --frames, interned there, too--------------> context
 *      counters of all threads, summed; what is new ------> its counters tally_counters() live
 * block that memtrace has to do with -----------> block                   tally_adopt() place
 * of a block of the region's: "elsewhere" <----- block                   tally_settle()
 *
 * The tracer thread's, as the region is.  Sums are of calls up to now, but those in flight: of
 * a call that is just being counted a part may be missing until the next time; at rest they are
 * exact.  The peak is the largest that was seen.
 *
 * The memory is trusted as little as any: what can't be so is left out, and one of lost_events.
 */
#ifndef MEMTRACE_TALLY_H
#define MEMTRACE_TALLY_H

#include <stdatomic.h>

#include "capture/ages.h"
#include "region/region.h"

struct tally_context { /* of a context of the shared memory */
	struct shared_counters added; /* of its sums, what is in the region */
	uint64_t blocks, bytes; /* in the region's counters, and in the agent's table */
	uint64_t given; /* allocations that we gave to the agent, and that are to be added */
	uint32_t given_first, given_last; /* when the first and the last of them were (ticks) */
	uint32_t id;		/* in the region; 0: not asked for yet, or no room */
	uint32_t reserved;
};

enum { TALLY_TOUCHED = 4 };

struct tally {
	const struct shared *shared; /* NULL: there is no agent, and all below do nothing */
	struct region *region;
	struct region_space *space;
	struct tally_context *contexts; /* by their numbers in the shared memory */
	struct shared_counters *sums;
	struct ages ages;
	uint32_t touched[TALLY_TOUCHED]; /* what the call that is being counted may have changed */
	uint32_t *numbers; /* in the shared memory, by the region's contexts; 0: not asked for yet */
	uint32_t number_count;
	uint32_t capacity;  /* of contexts and sums */
	atomic_bool counts; /* shared is there; for any thread */
	bool damaged;	    /* something there was seen that nobody writes */
};

/* shared stays the caller's, until tally_end(), before which all is to be added up once more.
 */
void tally_begin(struct tally *tally, const struct shared *shared, struct region *region,
		 struct region_space *space);
/* The same of a memory in which much is counted already, and blocks have ages. */
void tally_go_on(struct tally *tally, const struct shared *shared, struct region *region,
		 struct region_space *space);
void tally_end(struct tally *tally);

/* Adds up.  False: memory is short, some are left for the next time. */
bool tally_counters(struct tally *tally, uint32_t now);

/* If the agent has a block at addr, the region has it from now on, whoever comes there: the
 * thread that does is stopped, and no other can come there. */
void tally_adopt(struct tally *tally, uint64_t addr, uint32_t now);

/* What a realloc that is pending in the agent's memory has taken there, as region_take() had taken it
 * here.  False: it is in no count. */
bool tally_taken(struct tally *tally, const struct shared_pending *pending, uint32_t now,
		 struct region_block *ret);

/* Behind whatever was done to addr: the agent leaves it alone if the region has a block there.
 */
void tally_settle(struct tally *tally, uint64_t addr);

/* Behind a call: what it has changed in the region is in the agent's sums, too.  So who has these
 * alone has all counts. */
void tally_tell(struct tally *tally);

/* The live blocks that the agent has, with the region's contexts. */
void tally_for_each_block(struct tally *tally,
			  void (*visit)(void *arg, const struct region_block *block),
			  void *arg);

/*
 * Memtrace leaves.  tally_yield_all(): all blocks are the agent's from now on, and all that it has
 * counted is in the region; false: one can't be, and nothing is wrong.  tally_save(): what is known
 * of the region's context, and its number there; false: no room for it there.
 */
bool tally_yield_all(struct tally *tally, uint32_t now);
bool tally_save(struct tally *tally, uint32_t id, uint32_t *number, struct tally_context *ret);
/* And another one comes, whose region has nothing yet: by ids, in their order; false: that is no
 * such context.  Last: what inner calls have returned. */
bool tally_restore(struct tally *tally, uint32_t number, const struct tally_context *saved);
void tally_restore_inner(struct tally *tally);

/* Statistics begin anew, before region_clear(): threads are stopped, none in the midst of a call. */
void tally_clear(struct tally *tally);

#endif
