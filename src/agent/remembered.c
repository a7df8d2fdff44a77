/*
 * Frames that lie outermost first, so that what two stacks have in common stays where it is:
 *
 *    tail   | root's | ... | innermost |          scratch | innermost | ... |
 *             what holds still                      what is walked anew, then put behind it
 *
 * Only frames of the usual kind are kept (the CFA from sp or fp, the return address below it), of
 * stacks that end within what is kept, at their root or where it is known that nothing is known
 * (which is so by the state alone, if fp is none).  Whatever the bytes are, all that is read
 * lies between the call's sp and the stack's end, and every loop is bounded.
 *
 * A handler that interrupts this meets `busy`, and walks in the usual way.  One that never comes
 * back here (siglongjmp) leaves it: whoever calls from the same place or farther out is not
 * within that call, and takes over; `count` is 0 meanwhile, so nothing half made is believed.
 */
#include "agent/remembered.h"

#include "region/interned.h"
#include "region/known.h"
#include "region/walk_body.h"

struct remembering {
	const struct shared *shared;
	struct shared_walk *walk;
	uint64_t slot, room; /* what may be read: words up to so far from there */
	uint32_t tail;	    /* frames of walk->tail that hold, outermost first */
	uint32_t count;	    /* of walk->scratch, innermost first */
	enum walk_end why;  /* the walk to the root ended */
};

struct state {
	uint64_t pc, sp, fp;
};

enum step {
	STEP_ON,
	STEP_ROOT,
	STEP_OTHER /* not of the usual kind, or not known */
};

static inline bool word_read(const struct remembering *r, uint64_t at, uint64_t *ret)
{
	return at - r->slot <= r->room && agent_read(at, ret);
}

static inline bool word_is(const struct remembering *r, uint64_t at, uint64_t value)
{
	uint64_t word;

	return word_read(r, at, &word) && word == value;
}

/* The same of a return address. */
static inline bool ra_is(const struct remembering *r, uint64_t at, uint64_t value)
{
	uint64_t word;

	return word_read(r, at, &word) && (word & AGENT_CODE_MASK) == value;
}

static enum step ends(struct remembering *r, enum walk_end why)
{
	r->why = why;
	return STEP_ROOT;
}

/* As walk_body_step() without a row, where nothing is to be guessed. */
static enum step ends_without_row(struct remembering *r, const struct state *s)
{
	const struct walk_ops ops = {.word_size = sizeof(agent_word),
				     .first_sp = shared_told(r->shared)->first_sp};

	if (walk_body_is_outermost(&ops, s->sp))
		return ends(r, WALK_ROOT);
	return AGENT_CHAINS && walk_body_is_fp(&ops, s->sp, s->fp) ? STEP_OTHER
								   : ends(r, WALK_NO_DATA);
}

/* As walk_body_row(), for the usual rows. */
static enum step step(struct remembering *r, struct state *s, struct shared_frame *ret)
{
	const struct shared_pc *known = known_pc(r->shared, s->pc & ~(uint64_t)AGENT_STATE_MASK, false);
	uint64_t cfa, ra, fp = s->fp;
	const struct row *row;

	if (!known)
		return STEP_OTHER;
	row = &known->row;
	*ret = (struct shared_frame){.pc = s->pc, .sp = s->sp, .fp = s->fp, .frame = known->frame};
	if (row->cfa == ROW_CFA_ROOT)
		return ends(r, WALK_ROOT);
	if (row->cfa == ROW_CFA_NONE)
		return ends_without_row(r, s);
	cfa = (row->cfa == ROW_CFA_SP ? s->sp : s->fp) + (uint64_t)(int64_t)row->cfa_offset;
	if ((row->cfa != ROW_CFA_SP && row->cfa != ROW_CFA_FP) || row->ra != ROW_AT_CFA ||
	    row->fp > ROW_AT_CFA || row->flags || cfa <= s->sp || known->frame & FRAME_GUESS)
		return STEP_OTHER;
	ret->ra_at = cfa + (uint64_t)(int64_t)row->ra_offset;
	if (!word_read(r, ret->ra_at, &ra))
		return STEP_OTHER;
	if (row->fp == ROW_AT_CFA) {
		ret->fp_at = cfa + (uint64_t)(int64_t)row->fp_offset;
		if (!word_read(r, ret->fp_at, &fp))
			return STEP_OTHER;
	}
	ra &= AGENT_CODE_MASK;
	if (!ra)
		return ends(r, WALK_ROOT);
	*s = (struct state){ra, cfa, fp};
	return STEP_ON;
}

/* Do all words that lead from the frame `at` to the root have their values? */
static bool tail_holds(const struct remembering *r, uint32_t at)
{
	const struct shared_frame *tail = r->walk->tail;

	for (; at; at--)
		if (!ra_is(r, tail[at].ra_at, tail[at - 1].pc) ||
		    (tail[at].fp_at && !word_is(r, tail[at].fp_at, tail[at - 1].fp)))
			return false;
	/* the root: by its row, by none, or by a return address of 0 */
	return !tail->ra_at || (ra_is(r, tail->ra_at, 0) &&
				(!tail->fp_at || word_read(r, tail->fp_at, &(uint64_t){0})));
}

/* Is the walk, in this state, where a remembered one was?  What can't be met any more is dropped. */
static bool meets_tail(struct remembering *r, const struct state *s)
{
	const struct shared_frame *tail = r->walk->tail;

	while (r->tail && tail[r->tail - 1].sp < s->sp)
		r->tail--;
	if (!r->tail || tail[r->tail - 1].sp != s->sp || tail[r->tail - 1].pc != s->pc ||
	    tail[r->tail - 1].fp != s->fp)
		return false;
	if (tail_holds(r, r->tail - 1))
		return true;
	r->tail = 0;
	return false;
}

/* To the root, or to what is remembered. */
static bool walk_on(struct remembering *r, struct state s)
{
	enum step made = STEP_ON;

	for (; made == STEP_ON && !meets_tail(r, &s); r->count++) {
		if (r->count == SHARED_FRAMES)
			return false;
		made = step(r, &s, &r->walk->scratch[r->count]);
	}
	if (made == STEP_ROOT)
		r->tail = 0;
	return made != STEP_OTHER && r->tail + r->count <= SHARED_FRAMES;
}

/* Puts what was walked anew behind what holds.  False: there is no room for nodes. */
static bool tail_extend(struct remembering *r)
{
	struct shared_frame *tail = r->walk->tail;

	while (r->count) {
		uint32_t parent = r->tail ? (uint32_t)tail[r->tail - 1].node : r->why;
		struct shared_frame frame = r->walk->scratch[--r->count];

		frame.node = interned_child(r->shared, frame.frame, parent);
		if (!frame.node)
			return false;
		tail[r->tail++] = frame;
	}
	return true;
}

static uint32_t context_find(struct remembering *r, frame_t leaf, bool same)
{
	struct shared_walk *walk = r->walk;
	uint32_t node;

	if (same && walk->leaf == leaf && walk->context)
		return walk->context % SHARED_CONTEXTS;
	node = interned_child(r->shared, leaf, (uint32_t)walk->tail[r->tail - 1].node);
	walk->leaf = leaf;
	walk->context = node ? interned_context_of(r->shared, node) : 0;
	return walk->context;
}

/* The usual case: all is as it was, and nothing need be written.  A handler that interrupts this and calls an
 * allocator changes what is remembered: then `changes` is another number. */
static bool is_same(const struct remembering *r, const struct state *s, frame_t leaf,
		    uint32_t sequence, uint32_t *context)
{
	const struct shared_walk *walk = r->walk;
	uint32_t changes = atom_load32(&walk->changes), count = atom_load32(&walk->count);
	const struct shared_frame *top = walk->tail + (count ? count - 1 : 0);

	if (count - 1 >= SHARED_FRAMES || walk->sequence != sequence || walk->leaf != leaf ||
	    top->sp != s->sp || top->pc != s->pc || top->fp != s->fp || !tail_holds(r, count - 1))
		return false;
	*context = walk->context % SHARED_CONTEXTS;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	return *context && atom_load32(&walk->changes) == changes &&
	       count < shared_told(r->shared)->depth && known_sequence(r->shared) == sequence;
}

bool remembered_context(const struct shared *shared, uint32_t number, uint64_t end,
			const struct agent_call *call, frame_t leaf, uint32_t *context)
{
	struct remembering r = {shared, shared_walk(shared, number), call->slot,
				end - sizeof(agent_word) - call->slot, 0, 0, WALK_ROOT};
	struct state s = {.sp = call->slot + sizeof(agent_word), .fp = call->fp};
	uint32_t sequence = known_sequence(shared), before;
	uint64_t busy = atom_load64(&r.walk->busy);
	bool known, same;

	if ((busy && busy > call->slot) || sequence % 2 || !word_read(&r, call->slot, &s.pc) ||
	    !s.pc)
		return false;
	s.pc &= AGENT_CODE_MASK;
	if (!busy && is_same(&r, &s, leaf, sequence, context))
		return true;
	atom_store32(&r.walk->changes, r.walk->changes + 1);
	atom_store64(&r.walk->busy, call->slot);
	before = r.walk->sequence == sequence && !busy ? r.walk->count : 0;
	before = before <= SHARED_FRAMES ? before : 0;
	atom_store32(&r.walk->count, 0);
	r.tail = before;
	known = walk_on(&r, s) && r.tail + r.count && r.tail + r.count < shared_told(shared)->depth;
	same = known && !r.count && r.tail == before;
	if (known)
		*context = tail_extend(&r) ? context_find(&r, leaf, same) : 0;
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if (known && *context && known_sequence(shared) == sequence) {
		r.walk->sequence = sequence;
		atom_store32(&r.walk->count, r.tail);
	} else if (known) {
		*context = 0;
	}
	atom_store64(&r.walk->busy, 0);
	return known;
}
