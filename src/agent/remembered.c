/*
 * Frames that lie outermost first, so that what two stacks have in common stays where it is:
 *
 *    tail   | root's | ... | innermost |          scratch | innermost | ... |
 *             what holds still                      what comes behind it
 *
 * A walk goes by what is remembered wherever it comes to a remembered frame: there it needs but the
 * word where the caller's pc was.  Where that is another one, what lies within is put aside (its
 * rows hold; its nodes, where their parents are the same), and the walk goes on by rows until it
 * comes to a remembered frame again.
 *
 * fp is any value in most frames, and read only where a CFA, or a walk's end, is told by it: from
 * where the next frame within has saved it, or from its register.
 *
 * Only frames of the usual kind are kept (the CFA from sp or fp, the return address and fp below
 * it), of stacks that end within what is kept: at their root, where it is known that nothing is
 * known, or where they are cut.  Whatever the bytes are, all that is read lies between the call's
 * sp and the stack's end, and every loop is bounded.
 *
 * A handler that interrupts this meets `busy`, and walks in the usual way.  One that never comes
 * back here (siglongjmp) leaves it: whoever calls from the same place or farther out is not
 * within that call, and takes over; `count` is 0 meanwhile, so nothing half made is believed.
 */
#include "agent/remembered.h"

#include "region/interned.h"
#include "region/known.h"
#include "region/walk_body.h"

/* Seldom run, or long: not to be repeated. */
#define APART __attribute__((noinline))

enum { FARTHEST = INT32_MAX }; /* from sp: to what is kept */

struct remembering {
	const struct shared *shared;
	struct shared_walk *walk;
	uint64_t slot, room; /* what may be read: words up to so far from there */
	uint64_t fp, fp_at;  /* the register, or where it is saved since; 0: nowhere */
	uint32_t most;	     /* frames are kept of a stack */
	uint32_t tail;	     /* frames of walk->tail that hold, outermost first */
	uint32_t count;	     /* of walk->scratch, innermost first */
	uint32_t changes;    /* of walk, as long as nobody else is at it */
	enum walk_end end;
};

struct state {
	uint64_t pc, sp;
};

enum step {
	STEP_ON,
	STEP_END,
	STEP_OTHER /* not of the usual kind, or not known */
};

static inline bool word_read(const struct remembering *r, uint64_t at, uint64_t *ret)
{
	return at - r->slot <= r->room && agent_read(at, ret);
}

/* The same of a return address. */
static inline bool ra_read(const struct remembering *r, uint64_t at, uint64_t *ret)
{
	bool is = word_read(r, at, ret);

	*ret &= AGENT_CODE_MASK;
	return is;
}

static inline bool fp_read(const struct remembering *r, uint64_t *ret)
{
	*ret = r->fp;
	return !r->fp_at || word_read(r, r->fp_at, ret);
}

/* ---- by rows --------------------------------------------------------------- */

static enum step ends(struct remembering *r, enum walk_end end)
{
	r->end = end;
	return STEP_END;
}

/* Would a walk guess, where it has no row? */
static APART bool would_guess(const struct remembering *r, uint64_t sp)
{
	const struct walk_ops ops = {.word_size = sizeof(agent_word)};
	uint64_t fp;

	return AGENT_CHAINS && (!fp_read(r, &fp) || walk_body_is_fp(&ops, sp, fp));
}

/* As walk_body_step() without a row, where nothing is to be guessed. */
static enum step ends_without_row(struct remembering *r, uint64_t sp)
{
	const struct walk_ops ops = {.first_sp = shared_told(r->shared)->first_sp};

	if (walk_body_is_outermost(&ops, sp))
		return ends(r, WALK_ROOT);
	return would_guess(r, sp) ? STEP_OTHER : ends(r, WALK_NO_DATA);
}

static bool is_usual(const struct shared_pc *known)
{
	const struct row *row = &known->row;

	return (row->cfa == ROW_CFA_SP || row->cfa == ROW_CFA_FP) && row->ra == ROW_AT_CFA &&
	       row->fp <= ROW_AT_CFA && !(row->flags & ~ROW_PAC) && !(known->frame & FRAME_GUESS);
}

/* The CFA, and where the row says that the words are. */
static bool find_words(struct remembering *r, const struct row *row, struct shared_link *link,
		       struct shared_frame *frame, uint64_t *cfa)
{
	uint64_t base = frame->sp, fp_at;

	if (row->cfa == ROW_CFA_FP) {
		if (!fp_read(r, &base) || base - frame->sp >= FARTHEST)
			return false;
		frame->by_fp = (uint32_t)(base - frame->sp) + 1;
	}
	*cfa = base + (uint64_t)(int64_t)row->cfa_offset;
	link->ra_at = *cfa + (uint64_t)(int64_t)row->ra_offset;
	if (*cfa - frame->sp - 1 >= FARTHEST || link->ra_at & SHARED_SPECIAL)
		return false;
	if (row->fp != ROW_AT_CFA)
		return true;
	fp_at = *cfa + (uint64_t)(int64_t)row->fp_offset;
	frame->fp_at = (uint32_t)(fp_at - frame->sp) + 1;
	return fp_at >= frame->sp && fp_at <= link->ra_at;
}

/* As walk_body_row(), for the usual rows. */
static APART enum step step(struct remembering *r, struct state *s)
{
	struct shared_link *link = &r->walk->scratch_link[r->count % SHARED_FRAMES];
	struct shared_frame *frame = &r->walk->scratch[r->count++ % SHARED_FRAMES];
	const struct shared_pc *known =
		known_pc(r->shared, s->pc & ~(uint64_t)AGENT_STATE_MASK, false);
	uint64_t cfa, ra;

	if (!known)
		return STEP_OTHER;
	*link = (struct shared_link){s->pc, SHARED_SPECIAL};
	*frame = (struct shared_frame){.sp = s->sp, .frame = known->frame};
	if (known->row.cfa == ROW_CFA_ROOT)
		return ends(r, WALK_ROOT);
	if (known->row.cfa == ROW_CFA_NONE)
		return ends_without_row(r, s->sp);
	if (!is_usual(known) || !find_words(r, &known->row, link, frame, &cfa) ||
	    !ra_read(r, link->ra_at, &ra))
		return STEP_OTHER;
	if (frame->fp_at)
		r->fp_at = frame->sp + frame->fp_at - 1;
	if (frame->by_fp || !ra)
		link->ra_at |= SHARED_SPECIAL;
	*s = (struct state){ra, cfa};
	return ra ? STEP_ON : ends(r, WALK_ROOT);
}

/* ---- by what is remembered ------------------------------------------------- */

/* Does the walk end at tail[0], as the remembered one, if it comes there as its frame `number`? */
static bool ends_still(const struct remembering *r, uint32_t number)
{
	const struct shared_walk *walk = r->walk;
	uint64_t at = walk->link->ra_at & ~(uint64_t)SHARED_SPECIAL, ra;

	if (walk->end == WALK_NO_DATA)
		return !at && !would_guess(r, walk->tail->sp);
	if (walk->end == WALK_DEPTH)
		return number == r->most && ra_read(r, at, &ra) && ra;
	return walk->end == WALK_ROOT && (!at || (ra_read(r, at, &ra) && !ra));
}

/* Is fp where it was, if it matters, and the end, if this is it? */
static APART bool special_holds(const struct remembering *r, uint32_t i, uint32_t number)
{
	const struct shared_frame *frame = &r->walk->tail[i];
	uint64_t fp;

	if (frame->by_fp && (!fp_read(r, &fp) || fp != frame->sp + frame->by_fp - 1))
		return false;
	return i || ends_still(r, number);
}

/* fp at tail[i], which the walk has come to from tail[count - 1].  (Rarely asked, so not kept on the way.) */
static APART bool special_holds_from(struct remembering *r, uint32_t i, uint32_t count,
				     uint32_t number)
{
	const struct shared_frame *tail = r->walk->tail;
	uint64_t before = r->fp_at;
	bool holds;

	for (uint32_t k = i + 1; k < count; k++)
		if (tail[k].fp_at) {
			r->fp_at = tail[k].sp + tail[k].fp_at - 1;
			break;
		}
	holds = special_holds(r, i, number);
	r->fp_at = before;
	return holds;
}

/* Do all words that lead from tail[count - 1], where the walk is, to its end have their values?
 * number: of tail[0] then. */
static inline bool tail_holds(struct remembering *r, uint32_t count, uint32_t number)
{
	const struct shared_link *link = r->walk->link;

	for (uint32_t i = count - 1;; i--) {
		uint64_t at = link[i].ra_at, ra;

		if (at & SHARED_SPECIAL) {
			if (!special_holds_from(r, i, count, number))
				return false;
			if (!i)
				return true;
			at -= SHARED_SPECIAL;
		}
		if (!i || !ra_read(r, at, &ra) || ra != link[i - 1].pc)
			return false;
	}
}

/* The walk is at `s`, its frame `number`: is that tail[i]? */
static inline bool is_at(const struct remembering *r, uint32_t i, const struct state *s,
			 uint32_t number)
{
	const struct shared_walk *walk = r->walk;

	return walk->link[i].pc == s->pc && walk->tail[i].sp == s->sp &&
	       (!(walk->link[i].ra_at & SHARED_SPECIAL) || special_holds(r, i, number));
}

/* From tail[i], where the walk is, to its caller. */
static inline enum step step_remembered(struct remembering *r, uint32_t i, struct state *s)
{
	const struct shared_frame *frame = &r->walk->tail[i];

	if (!i)
		return ends(r, (enum walk_end)r->walk->end);
	if (!ra_read(r, r->walk->link[i].ra_at & ~(uint64_t)SHARED_SPECIAL, &s->pc) || !s->pc)
		return STEP_OTHER;
	s->sp = frame[-1].sp;
	if (frame->fp_at)
		r->fp_at = frame->sp + frame->fp_at - 1;
	return STEP_ON;
}

static struct shared_met *met_at(const struct remembering *r, uint64_t pc, uint64_t sp)
{
	uint32_t hash = (uint32_t)pc * 0x9e3779b1u ^ (uint32_t)sp * 0x85ebca6bu;

	return &r->walk->met[hash >> 16 & (SHARED_MET - 1)];
}

/* As step(), where a walk was in this state before. */
static inline bool step_met(struct remembering *r, struct state *s)
{
	const struct shared_met *met = met_at(r, s->pc, s->sp);
	uint64_t fp, ra, at = met->link.ra_at & ~(uint64_t)SHARED_SPECIAL;

	if (met->link.pc != s->pc || met->frame.sp != s->sp || !ra_read(r, at, &ra) || !ra)
		return false;
	if (met->frame.by_fp && (!fp_read(r, &fp) || fp != s->sp + met->frame.by_fp - 1))
		return false;
	r->walk->scratch_link[r->count % SHARED_FRAMES] = met->link;
	r->walk->scratch[r->count++ % SHARED_FRAMES] = met->frame;
	if (met->frame.fp_at)
		r->fp_at = s->sp + met->frame.fp_at - 1;
	*s = (struct state){ra, met->cfa};
	return true;
}

/* (In this order, as a walk may be left for ever at any instruction.) */
static APART void meet(const struct remembering *r, const struct shared_link *link,
		       const struct shared_frame *frame, uint64_t cfa)
{
	struct shared_met *met = met_at(r, link->pc, frame->sp);

	atom_store64(&met->link.pc, 0);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	met->link.ra_at = link->ra_at;
	met->frame = *frame;
	met->cfa = cfa;
	atom_store64(&met->link.pc, link->pc);
}

static APART void met_forget(const struct remembering *r, uint32_t sequence)
{
	for (uint32_t i = 0; i < SHARED_MET; i++)
		r->walk->met[i].link.pc = 0;
	for (uint32_t i = 0; i < SHARED_LEAFS; i++)
		r->walk->leafs[i].context = 0;
	atom_store32(&r->walk->met_sequence, sequence);
}

/* tail[from .. r->tail), from the innermost on, are put aside. */
static APART bool put_aside(struct remembering *r, uint32_t from)
{
	struct shared_walk *walk = r->walk;

	for (; r->tail > from; r->count++) {
		if (r->count >= SHARED_FRAMES)
			return false;
		walk->scratch_link[r->count] = walk->link[--r->tail];
		walk->scratch[r->count] = walk->tail[r->tail];
	}
	r->tail = 0;
	return true;
}

/*
 * To the end.  tail[0 .. before) is what may be met.  What holds at last is tail[0 .. r->tail), and
 * scratch.
 */
static bool walk_on(struct remembering *r, struct state s, uint32_t before)
{
	const struct shared_frame *tail = r->walk->tail;
	enum step made = STEP_ON;
	uint32_t at = before, number = 0;

	while (made == STEP_ON && number < r->most) {
		while (at && tail[at - 1].sp < s.sp)
			at--;
		number++;
		if (at && is_at(r, at - 1, &s, number)) {
			if (!r->tail && number - 1 + at <= r->most &&
			    tail_holds(r, at, number - 1 + at)) {
				r->tail = at;
				r->end = (enum walk_end)r->walk->end;
				return true;
			}
			r->tail = r->tail ? r->tail : at;
			made = step_remembered(r, --at, &s);
		} else {
			if ((r->tail && !put_aside(r, at)) || r->count >= SHARED_FRAMES)
				return false;
			made = step_met(r, &s) ? STEP_ON : step(r, &s);
		}
	}
	if (made != STEP_ON)
		return made == STEP_END;
	r->end = WALK_DEPTH; /* cut; not so if fewer were kept than a walk looks at */
	return shared_told(r->shared)->depth - 1 == r->most && r->most >= AGENT_NESTED - 1 &&
	       put_aside(r, at);
}

static APART uint32_t node_of(const struct remembering *r, frame_t frame, uint32_t parent)
{
	return interned_child(r->shared, frame, parent);
}

/* Puts what was put aside behind what holds.  False: there is no room for nodes, or frames. */
static bool tail_extend(struct remembering *r)
{
	struct shared_walk *walk = r->walk;

	if (r->tail + r->count > SHARED_FRAMES)
		return false;
	if (!r->tail && r->end == WALK_DEPTH)
		walk->scratch_link[r->count - 1].ra_at |= SHARED_SPECIAL;
	for (; r->count; r->tail++) {
		uint32_t parent = r->tail ? walk->tail[r->tail - 1].node : r->end;
		struct shared_frame *frame = &walk->tail[r->tail];

		*frame = walk->scratch[--r->count];
		walk->link[r->tail] = walk->scratch_link[r->count];
		__atomic_signal_fence(__ATOMIC_SEQ_CST);
		if (atom_load32(&walk->changes) != r->changes)
			return false; /* a handler's, from farther out: on a stack within this one */
		if (frame->parent != parent || !frame->node) {
			frame->parent = parent;
			frame->node = node_of(r, frame->frame, parent);
			if (!frame->node)
				return false;
			if (r->tail)
				meet(r, &walk->link[r->tail], frame, frame[-1].sp);
		}
	}
	walk->end = r->end;
	return true;
}

static uint32_t context_find(struct remembering *r, frame_t leaf)
{
	struct shared_walk *walk = r->walk;
	uint32_t innermost = walk->tail[r->tail - 1].node;
	struct shared_leaf *met = &walk->leafs[(innermost ^ (uint32_t)leaf >> 4) % SHARED_LEAFS];
	uint32_t context = met->context, node;

	if (!context || met->innermost != innermost || met->leaf != leaf) {
		atom_store32(&met->context, 0);
		node = node_of(r, leaf, innermost);
		context = node ? interned_context_of(r->shared, node) : 0;
		met->leaf = leaf;
		met->innermost = innermost;
		atom_store32(&met->context, context);
	}
	walk->leaf = leaf;
	walk->context = context % SHARED_CONTEXTS;
	return walk->context;
}

/* ---- all as it was ---------------------------------------------------------- */

/* The usual case: all is as it was, and nothing need be written.  A handler that interrupts this and calls an
 * allocator changes what is remembered: then `changes` is another number. */
static inline bool is_same(struct remembering *r, const struct state *s, frame_t leaf,
			   uint32_t sequence, uint32_t *context)
{
	const struct shared_walk *walk = r->walk;
	uint32_t changes = atom_load32(&walk->changes), count = atom_load32(&walk->count);

	if (count - 1 >= r->most || walk->sequence != sequence || walk->leaf != leaf ||
	    walk->tail[count - 1].sp != s->sp || walk->link[count - 1].pc != s->pc ||
	    !tail_holds(r, count, count))
		return false;
	*context = walk->context % SHARED_CONTEXTS;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	return *context && atom_load32(&walk->changes) == changes &&
	       known_sequence(r->shared) == sequence;
}

bool remembered_context(const struct shared *shared, uint32_t number, uint64_t end,
			const struct agent_call *call, frame_t leaf, uint32_t *context)
{
	uint32_t depth = shared_told(shared)->depth, sequence = known_sequence(shared), before;
	struct remembering r = {.shared = shared,
				.walk = shared_walk(shared, number),
				.slot = call->slot,
				.room = end - sizeof(agent_word) - call->slot,
				.fp = call->fp,
				.most = depth - 1 < SHARED_FRAMES ? depth - 1 : SHARED_FRAMES};
	struct state s = {.sp = call->slot + sizeof(agent_word)};
	uint64_t busy = atom_load64(&r.walk->busy);
	bool known;

	if ((busy && busy > call->slot) || sequence % 2 || depth < 2 ||
	    !ra_read(&r, call->slot, &s.pc) || !s.pc)
		return false;
	if (!busy && is_same(&r, &s, leaf, sequence, context))
		return true;
	r.changes = r.walk->changes + 1;
	atom_store32(&r.walk->changes, r.changes);
	atom_store64(&r.walk->busy, call->slot);
	before = r.walk->sequence == sequence && !busy ? r.walk->count : 0;
	before = before <= SHARED_FRAMES ? before : 0;
	atom_store32(&r.walk->count, 0);
	if (r.walk->met_sequence != sequence)
		met_forget(&r, sequence);
	known = walk_on(&r, s, before);
	if (known)
		*context = tail_extend(&r) ? context_find(&r, leaf) : 0;
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if (known && *context && known_sequence(shared) == sequence &&
	    atom_load32(&r.walk->changes) == r.changes) {
		r.walk->sequence = sequence;
		atom_store32(&r.walk->count, r.tail);
	} else if (known) {
		*context = 0;
	}
	atom_store64(&r.walk->busy, 0);
	return known;
}
