/*
 * Reading a region that somebody else writes, maybe at this moment, maybe wrongly.
 *
 * Whatever its bytes are and become: nothing outside [base, base + len) is read, every loop
 * ends, and what is handed out contradicts neither itself nor what was handed out before: a
 * parent's number is lower than its child's, a context's leaf is a node that is there, no
 * counter of frees is above that of its allocations, the peak is not below what is in use.
 * What can't be had so is refused.  (Sequences are handed out as 0.)
 *
 * While the engine writes on, each context is as it was at one moment, and all of them as they
 * were within the reading; reader_is_still() says whether that was one moment.
 *
 * All of [base, base + len) must be readable, and stay so: of a file that another process may
 * shorten, only with F_SEAL_SHRINK.  Freestanding; allocates nothing.
 */
#ifndef MEMTRACE_READER_H
#define MEMTRACE_READER_H

#include "region/layout.h"

struct reader_array { /* checked when the view was opened, and never read again */
	uint64_t segment[REGION_SEGMENTS];
	uint32_t count, first_bits, item_bytes;
};

struct reader {
	const struct region *region;
	struct reader_array arrays[REGION_ARRAYS];
	uint32_t sequence, clears;   /* of the totals, when the view was opened */
	struct region_totals totals; /* as the engine says */
};

/*
 * A view of what is there now.  It needs nothing afterwards, and is used by one thread.  0;
 * -EINVAL (-22): no region of this version, or one that contradicts itself; -EAGAIN (-11): its
 * totals did not stand still.
 */
int reader_open(struct reader *ret, const void *base, uint64_t len);

uint32_t reader_node_count(const struct reader *reader); /* the roots included */
uint32_t reader_context_count(const struct reader *reader);
uint32_t reader_module_count(const struct reader *reader);

/* node: WALK_ENDS or above.  Its context is 0 where the view has none.  False: not there, or
 * refused. */
bool reader_node(const struct reader *reader, uint32_t node, struct region_node *ret);
bool reader_context(const struct reader *reader, uint32_t id, struct region_context *ret);
/* instance: 1 or above; path_len is at most sizeof(path), where the path may
 * have been cut. */
bool reader_module(const struct reader *reader, uint32_t instance, struct region_module *ret);

/*
 * Makes *totals, the engine's (reader->totals), those of the contexts that were read, all of
 * them: sums are theirs, the peak is not below what is in use.  In a view that is still, sums
 * that are not the engine's are lost_events + 1.  False: a sum is beyond 64 bits.
 */
bool reader_sum(const struct reader *reader, const struct region_context *contexts,
		struct region_totals *totals);

/* Has nothing been counted since the view was opened? */
bool reader_is_still(const struct reader *reader);
/* Were the counters cleared since?  Then what was read is partly from before. */
bool reader_is_overtaken(const struct reader *reader);

#endif
