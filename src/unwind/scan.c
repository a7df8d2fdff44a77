/*
 * The scan: a function's code followed with a small abstract state.
 *
 *   entry:  push {r4, r7, lr}    CFA = sp + 12, lr at CFA - 4, r7 at CFA - 8
 *           cbz r0, 1f    -----> the same state goes to 1
 *           sub sp, #20          CFA = sp + 32
 *           ...                  calls change nothing
 *           pop {r4, r7, pc}     the end of this way; what comes behind it is reached
 *   1:      ...                  by a branch, with the state that the branch had
 *
 * The state is, for every register, its distance below the CFA where that is known, and
 * for every saved one, its place below the CFA.  All ways through the function are
 * followed: both of a branch, the one behind a call, all of a jump table that a compare
 * gives the length of.  Where ways meet, what they don't agree on is unknown from there
 * on (a function with alloca() on one way: sp; then r7 or r11 tells the CFA).  So the
 * result holds on every way, or there is none.  Code that is made to have more ways than
 * any compiler makes has none, too.
 *
 * Code that no way leads to is behind a jump to nobody knows where (a table that no
 * compare bounds), and has the state of such jumps, or is where exceptions land, and has
 * the state of the calls: if they all have the same one.
 *
 * Some functions don't return, and what comes behind a call of them belongs to another
 * way.  They have no mark; but if the way behind a call runs straight into an
 * instruction that other ways reach with another state, that is what the call is taken
 * for, and all is done again without that way.
 *
 * Instructions in an IT block or with a condition are taken to change nothing, because
 * compilers make those that move sp or save registers conditional only in a return.
 */
#include "unwind/scan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "base/vec.h"
#include "unwind/scan_insn.h"

enum { FP = 11, SP = 13, LR = 14, PC = 15 };
enum { MAX_CODE = 1 << 17, MAX_TABLE = 1024, MAX_ROUNDS = 200 };
enum { MAX_ARRIVALS = 1 << 21 }; /* of one scan; of libc's and python3's functions: 20 651 */
enum { CLOBBERED = 0x500f };	 /* r0-r3, r12, lr: by a call (AAPCS 6.1.1) */

struct state {
	int32_t below[SCAN_REGS]; /* CFA - r[n] where bit n of known is set, else 0 */
	int32_t at[SCAN_REGS];	  /* see struct scan_frame */
	int32_t compared; /* the last number a register was compared with, on the way that
			   * came first; -1: none */
	uint16_t known;
	uint16_t written; /* bit n: r[n] is not what it was at the entry */
	uint8_t called;	  /* a call was made: no saving any more */
	uint8_t zero_lr, lr_intact;
	uint8_t met; /* in scan.states: the instruction was reached */
};

/* The state of several instructions, if it is one and the same. */
struct common {
	struct state state; /* .met: there were any */
	bool differs;
};

/* What is kept by instruction is kept for every place where one may begin: a word of A32, a
 * halfword of T32. */
struct scan {
	const struct scan_function *function;
	uint32_t wanted;      /* offset in the function */
	bool far;	      /* .. also if no way leads there */
	struct state *states; /* when the instruction there begins */
	uint32_t *from_call;  /* 1 + the offset of the call it was reached from
			       * alone; 0: from elsewhere too */
	uint8_t *no_return;   /* the call there does not return */
	VEC(uint32_t) work;   /* instructions whose state is new */
	struct common jumps;  /* of jumps to nobody knows where */
	struct common calls;
	bool again, no_memory;
	uint32_t arrivals; /* of all rounds */
};

static uint32_t unit_of(const struct scan *s, uint32_t at)
{
	return s->function->thumb ? at / 2 : at / 4;
}

static size_t units(const struct scan *s)
{
	return unit_of(s, (uint32_t)s->function->len) + 1;
}

static void forget(struct state *state, unsigned reg)
{
	state->known &= (uint16_t) ~(1u << reg);
	state->below[reg] = 0;
}

static void move(struct state *state, unsigned reg, unsigned base, int32_t number)
{
	if (reg == LR)
		state->lr_intact = state->zero_lr = false;
	state->written |= (uint16_t)(1u << reg);
	if (base >= SCAN_REGS || !(state->known >> base & 1) || number == INT32_MIN ||
	    __builtin_sub_overflow(state->below[base], number, &state->below[reg]))
		forget(state, reg);
	else
		state->known |= (uint16_t)(1u << reg);
}

static void push(struct state *state, uint16_t mask)
{
	int64_t below;

	move(state, SP, SP, -4 * __builtin_popcount(mask));
	below = state->below[SP];
	for (unsigned reg = 0; reg < SCAN_REGS; reg++) {
		if (!(mask >> reg & 1))
			continue;
		if (reg >= 4 && !state->at[reg] && below >= INT32_MIN &&
		    state->known >> SP & 1 && !state->called)
			state->at[reg] = (int32_t)below;
		below -= 4;
	}
}

static void pop(struct state *state, uint16_t mask)
{
	for (unsigned reg = 0; reg < SCAN_REGS; reg++) {
		if (!(mask >> reg & 1))
			continue;
		if (reg == LR)
			state->lr_intact = state->at[LR] > 0;
		state->written &= (uint16_t) ~(state->at[reg] > 0 ? 1u << reg : 0);
		state->at[reg] = 0;
		forget(state, reg);
	}
	if (!(mask >> SP & 1))
		move(state, SP, SP, 4 * __builtin_popcount(mask));
}

static void store(struct state *state, const struct scan_insn *insn)
{
	for (unsigned i = 0; i < insn->count; i++) {
		unsigned reg = insn->reg + i;
		int64_t below = (int64_t)state->below[SP] - insn->number - 4 * (int64_t)i;

		if (reg >= 4 && reg < SCAN_REGS && !state->at[reg] && below > 0 &&
		    below <= INT32_MAX && state->known >> SP & 1 && !state->called &&
		    !(state->written >> reg & 1))
			state->at[reg] = (int32_t)below;
	}
	if (insn->writeback)
		move(state, SP, SP, insn->number);
}

static void apply(struct state *state, const struct scan_insn *insn)
{
	switch ((enum scan_kind)insn->kind) {
	case SCAN_PUSH:
		push(state, insn->mask);
		break;
	case SCAN_POP:
		pop(state, insn->mask);
		break;
	case SCAN_STORE:
		store(state, insn);
		break;
	case SCAN_SET:
		move(state, insn->reg, insn->base, insn->number);
		break;
	case SCAN_CALL:
		for (unsigned reg = 0; reg < SCAN_REGS; reg++)
			if (CLOBBERED >> reg & 1)
				forget(state, reg);
		state->called = true;
		state->zero_lr = state->lr_intact = false;
		break;
	case SCAN_COMPARE:
		state->compared = insn->number;
		break;
	case SCAN_ZERO_LR:
		forget(state, LR);
		state->zero_lr = true;
		state->lr_intact = false;
		break;
	default:
		break;
	}
}

/* What holds on both ways.  False: nothing new. */
static bool merge(struct state *into, const struct state *other)
{
	struct state old = *into;

	for (unsigned reg = 0; reg < SCAN_REGS; reg++) {
		if (!(other->known >> reg & 1) || other->below[reg] != into->below[reg])
			forget(into, reg);
		if (other->at[reg] != into->at[reg])
			into->at[reg] = SCAN_EITHER;
	}
	into->written |= other->written;
	into->called |= other->called;
	into->zero_lr &= other->zero_lr;
	into->lr_intact &= other->lr_intact;
	return memcmp(&old, into, sizeof(old)) != 0;
}

static bool differ(const struct state *a, const struct state *b)
{
	return a->known >> SP != b->known >> SP || a->below[SP] != b->below[SP] ||
	       a->at[LR] != b->at[LR];
}

/* A way with this state comes to the instruction at `at`, from a call right before it
 * (from_call: 1 + its offset) or otherwise (0). */
static void arrive(struct scan *s, uint32_t at, const struct state *state, uint32_t from_call)
{
	struct state *there;
	uint32_t *call, ended;

	if (at >= s->function->len || at & (s->function->thumb ? 1 : 3))
		return; /* another function: a tail call */
	if (s->arrivals == MAX_ARRIVALS)
		return;
	s->arrivals++;
	there = &s->states[unit_of(s, at)];
	call = &s->from_call[unit_of(s, at)];
	if (!there->met) {
		*there = *state;
		there->met = true;
		*call = from_call;
	} else {
		struct state other = *state;

		other.met = true;
		ended = from_call && !*call ? from_call : from_call ? 0 : *call;
		if (ended && differ(there, &other)) {
			s->no_return[unit_of(s, ended - 1)] = s->again = true;
			return;
		}
		if (!from_call)
			*call = 0;
		if (!merge(there, &other))
			return;
	}
	if (!vec_push(&s->work, at))
		s->no_memory = true;
}

static void common_add(struct common *common, const struct state *state)
{
	if (!common->state.met)
		common->state = *state;
	common->differs |= differ(&common->state, state);
	if (!common->differs)
		merge(&common->state, state);
}

/* The targets of a table of addresses behind the instruction at `at`. */
static void arrive_by_addresses(struct scan *s, uint32_t at, const struct state *state)
{
	const struct scan_function *f = s->function;
	struct cursor c = cursor_over(f->code, f->len);

	cursor_bytes(&c, (size_t)at + 8);
	for (int32_t i = 0; i <= state->compared && i < MAX_TABLE; i++) {
		uint32_t target = cursor_u32(&c) - (uint32_t)f->begin;

		if (c.bad)
			return;
		arrive(s, target, state, 0);
	}
}

/* The targets of a jump table behind the instruction at `at`. */
static void arrive_by_table(struct scan *s, uint32_t at, const struct scan_insn *insn,
			    const struct state *state)
{
	const struct scan_function *f = s->function;

	for (int32_t i = 0; i <= state->compared && i < MAX_TABLE; i++) {
		uint32_t entry = at + 4 + (uint32_t)i * insn->reg;
		struct cursor c;

		if (insn->reg == 4) {
			arrive(s, at + 8 + 4 * (uint32_t)i, state, 0);
			continue;
		}
		if (entry + insn->reg > f->len)
			return;
		c = cursor_over(f->code + entry, insn->reg);
		arrive(s, at + 4 + 2 * (uint32_t)cursor_uint(&c, insn->reg), state, 0);
	}
}

/* Sends the states behind an instruction on.  Conditional instructions of an IT block
 * are passed with it, as one, but for where they may go. */
static void leave(struct scan *s, uint32_t at)
{
	const struct scan_function *f = s->function;
	struct state state = s->states[unit_of(s, at)];
	unsigned in_it = 0;
	struct scan_insn insn;

	do {
		bool conditional, call;

		if (!(f->thumb ? scan_t32 : scan_a32)(f->code, f->len, at, &insn))
			return;
		conditional = insn.conditional || in_it;
		call = insn.kind == SCAN_CALL;
		in_it = insn.kind == SCAN_IT ? insn.count : in_it - (in_it > 0);
		if (insn.kind == SCAN_BRANCH)
			arrive(s, insn.target, &state, 0);
		if (insn.kind == SCAN_TABLE)
			arrive_by_table(s, at, &insn, &state);
		if (insn.kind == SCAN_ADDRESSES)
			arrive_by_addresses(s, at, &state);
		if (insn.kind == SCAN_JUMP && state.at[LR])
			common_add(&s->jumps, &state);
		if (call)
			common_add(&s->calls, &state);
		if (!conditional && (scan_insn_is_end(&insn) || s->no_return[unit_of(s, at)]))
			return;
		if (!conditional || call)
			apply(&state, &insn);
		at += insn.len;
		if (in_it && at < f->len) { /* a place to stand in, all the same */
			s->states[unit_of(s, at)] = state;
			s->states[unit_of(s, at)].met = true;
		}
		if (!in_it)
			arrive(s, at, &state, call && !conditional ? at - insn.len + 1 : 0);
	} while (in_it && at < f->len);
}

/* The state at the instruction that an offset is in; not met: none. */
static const struct state *place_of(const struct scan *s, uint32_t at)
{
	const struct scan_function *f = s->function;
	struct scan_insn insn;

	/* A halfword that nobody came to may be the second one of an instruction. */
	if (f->thumb && at && !s->states[unit_of(s, at)].met &&
	    scan_t32(f->code, f->len, at - 2, &insn) && insn.len == 4)
		at -= 2;
	return &s->states[unit_of(s, at)];
}

static void work_off(struct scan *s)
{
	while (s->work.len && !s->again && !s->no_memory && s->arrivals < MAX_ARRIVALS)
		leave(s, s->work.at[--s->work.len]);
}

static int one_round(struct scan *s)
{
	struct state entry = {.known = 1 << SP, .compared = -1, .lr_intact = true};

	memset(s->states, 0, units(s) * sizeof(*s->states));
	memset(s->from_call, 0, units(s) * sizeof(*s->from_call));
	memset(&s->jumps, 0, sizeof(s->jumps));
	memset(&s->calls, 0, sizeof(s->calls));
	s->again = false;
	vec_clear(&s->work);
	arrive(s, 0, &entry, 0);
	work_off(s);
	if (s->far && !place_of(s, s->wanted)->met) {
		const struct common *common = s->jumps.state.met ? &s->jumps : &s->calls;

		if (common->state.met && !common->differs)
			arrive(s, s->wanted, &common->state, 0);
		work_off(s);
	}
	if (s->arrivals == MAX_ARRIVALS)
		return -ENOENT;
	return s->no_memory ? -ENOMEM : 0;
}

static int scan_all(struct scan *s)
{
	int failed = 0, rounds = 0;

	s->states = malloc(units(s) * sizeof(*s->states));
	s->from_call = malloc(units(s) * sizeof(*s->from_call));
	s->no_return = calloc(units(s), 1);
	if (!s->states || !s->from_call || !s->no_return)
		return -ENOMEM;
	do {
		if (rounds++ == MAX_ROUNDS)
			return -ENOENT;
		failed = one_round(s);
	} while (s->again && !failed);
	return failed;
}

/* Which register the CFA is told by. */
static int base_of(const struct state *state, bool thumb)
{
	int frame_pointer = thumb ? 7 : FP;

	if (state->known >> SP & 1)
		return SP;
	return state->known >> frame_pointer & 1 ? frame_pointer : -1;
}

/* far: also where no way leads to. */
static int scan_reach(const struct scan_function *function, uint64_t vaddr, bool far,
		      struct scan_frame *ret)
{
	uint64_t at = (vaddr - function->begin) & (function->thumb ? ~1ull : ~3ull);
	struct scan s = {.function = function, .wanted = (uint32_t)at, .far = far};
	struct state state = {0};
	int failed, base;

	if (vaddr < function->begin || vaddr - function->begin >= function->len ||
	    function->len > MAX_CODE)
		return -ENOENT;
	failed = scan_all(&s);
	if (!failed)
		state = *place_of(&s, s.wanted);
	free(s.states);
	free(s.from_call);
	free(s.no_return);
	vec_deinit(&s.work);
	if (failed)
		return failed;
	base = state.met ? base_of(&state, function->thumb) : -1;
	if (base < 0)
		return -ENOENT;
	ret->base = (uint8_t)base;
	ret->cfa_offset = state.below[base];
	ret->frame_pointer = state.below[function->thumb ? 7 : FP];
	ret->root = state.zero_lr;
	ret->lr_intact = state.lr_intact;
	memcpy(ret->at, state.at, sizeof(ret->at));
	return 0;
}

int scan_find(const struct scan_function *function, uint64_t vaddr, struct scan_frame *ret)
{
	return scan_reach(function, vaddr, true, ret);
}

int scan_find_reached(const struct scan_function *function, uint64_t vaddr,
		      struct scan_frame *ret)
{
	return scan_reach(function, vaddr, false, ret);
}
