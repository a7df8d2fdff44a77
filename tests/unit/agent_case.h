/*
 * A simulated target of the agent: functions with made-up pcs and rows, a stack that is an array
 * of ours, an allocator that gives addresses.
 */
#ifndef MEMTRACE_AGENT_CASE_H
#define MEMTRACE_AGENT_CASE_H

#include <stdint.h>

#include "agent/agent.h"
#include "region/interned.h"
#include "region/known.h"
#include "shared_case.h"

enum {
	PIECES = 64,
	SHIFT = 4,
	DEPTH = 24,
	FUNCTIONS = 40,
	POINTER = 0x7ffff000,
	WORDS = 8192,
	WORD = sizeof(agent_word),
	UNKNOWN = 39, /* this function's pc has no row */
	STUB = 38,    /* and this is in a stub: what it calls is an inner call */
};
enum { MALLOC = 1, FREE, CALLOC, ALIGN, SLOW, ALIGNED, REALLOC, REALLOCARRAY };

static struct shared shared;
static agent_word stack[WORDS];

static inline uint64_t next_random(uint64_t *seed)
{
	uint64_t z = *seed += 0x9e3779b97f4a7c15ull;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

/* ---- the target ------------------------------------------------------------ */

/* Where function f's calls return to. */
static inline uint64_t pc_of(unsigned f)
{
	return 0x400000 + f * 64 + 4;
}

static inline frame_t frame_at(unsigned f)
{
	return f == STUB ? frame_of(SHARED_STUB, 0) : frame_of(1, f * 64 + 4);
}

/* A third of the functions has a frame pointer, saved below the return address; the others'
 * frames have f % 5 words beside the return address. */
static inline bool has_fp(unsigned f)
{
	return f % 3 == 0;
}

static inline int frame_words(unsigned f)
{
	return (int)(f % 5);
}

/* Some of them use the frame pointer's register for anything else, and save it first. */
static inline bool saves_fp(unsigned f)
{
	return !has_fp(f) && frame_words(f) == 4;
}

static inline struct row row_for(unsigned f)
{
	struct row row = {.ra = ROW_AT_CFA, .ra_offset = -WORD};

	if (f == 0) /* where a thread begins */
		return (struct row){.cfa = ROW_CFA_ROOT};
	if (f == STUB)
		return (struct row){.cfa = ROW_CFA_FULL};
	row.cfa = has_fp(f) ? ROW_CFA_FP : ROW_CFA_SP;
	row.cfa_offset = has_fp(f) ? 2 * WORD : WORD * (frame_words(f) + 1);
	row.fp = has_fp(f) || saves_fp(f) ? ROW_AT_CFA : ROW_SAME;
	row.fp_offset = row.fp == ROW_AT_CFA ? -2 * WORD : 0;
	return row;
}

static inline void tell_rows(void)
{
	for (unsigned f = 0; f < FUNCTIONS; f++) {
		struct row row = row_for(f);

		if (f != UNKNOWN)
			assert_true(known_pc_add(&shared, pc_of(f), false, frame_at(f), &row));
	}
}

static inline void tell_hooks(void)
{
	const struct shared_hook hooks[] = {
		[MALLOC] = {frame_of(2, MALLOC) | FRAME_EXACT, SHARED_ALLOC, 0},
		[FREE] = {frame_of(2, FREE) | FRAME_EXACT, SHARED_FREE, 0},
		[CALLOC] = {frame_of(2, CALLOC) | FRAME_EXACT, SHARED_CALLOC, 0},
		[ALIGN] = {frame_of(2, ALIGN) | FRAME_EXACT, SHARED_ALIGN, 0},
		[SLOW] = {frame_of(2, SLOW) | FRAME_EXACT, SHARED_SLOW, 0},
		[ALIGNED] = {frame_of(2, ALIGNED) | FRAME_EXACT, SHARED_ALLOC, 1},
		[REALLOC] = {frame_of(2, REALLOC) | FRAME_EXACT, SHARED_REALLOC, 0},
		[REALLOCARRAY] = {frame_of(2, REALLOCARRAY) | FRAME_EXACT,
				  SHARED_REALLOCARRAY, 0},
	};

	for (unsigned i = 0; i < sizeof(hooks) / sizeof(*hooks); i++)
		*shared_hook(&shared, i) = hooks[i];
}

static inline uint64_t at_word(unsigned word)
{
	return (uint64_t)(uintptr_t)&stack[word];
}

static inline void begin(unsigned depth)
{
	assert_true(shared_case_begin(&shared, PIECES, SHIFT, depth));
	tell_rows();
	tell_hooks();
	known_thread_set(&shared, POINTER, at_word(0), at_word(WORDS));
}

/*
 * The stack of a thread that has come along chain[0..count), outermost first, into a function
 * `hook` of the allocator.  Its frames are of chain, leaf first, when it is counted.
 */
static inline struct agent_call call_by(const unsigned *chain, unsigned count, uint32_t hook)
{
	unsigned at = WORDS;
	uint64_t fp = 0;

	for (unsigned i = 0; i < count; i++) { /* a frame is entered, and makes a call */
		if (i && has_fp(chain[i])) {
			stack[--at] = (agent_word)fp;
			fp = at_word(at);
		}
		for (int k = 0; k < (has_fp(chain[i]) ? 3 : frame_words(chain[i])); k++)
			stack[--at] = i && !k && saves_fp(chain[i]) ? (agent_word)fp : 0xbad0000;
		fp = i && saves_fp(chain[i]) ? 0xbad0000 : fp;
		stack[--at] = (agent_word)pc_of(chain[i]);
	}
	return (struct agent_call){
		.pointer = POINTER, .slot = at_word(at), .fp = fp, .hook = hook};
}

/* chain[0] is 0, the others are others. */
static inline unsigned chain_make(uint64_t *seed, unsigned *chain, unsigned most)
{
	unsigned count = 2 + (unsigned)(next_random(seed) % (most - 1));

	chain[0] = 0;
	for (unsigned i = 1; i < count; i++)
		chain[i] = 1 + (unsigned)(next_random(seed) % (STUB - 1));
	return count;
}

static inline size_t chain_frames(const unsigned *chain, unsigned count, uint32_t hook, unsigned depth,
			   frame_t *frames, enum walk_end *end)
{
	size_t n = 0;

	*end = WALK_ROOT;
	frames[n++] = shared_hook(&shared, hook)->frame;
	for (unsigned i = count; i-- > 0;) {
		if (n == depth) {
			*end = WALK_DEPTH;
			break;
		}
		frames[n++] = frame_at(chain[i]);
	}
	return n;
}

#endif
