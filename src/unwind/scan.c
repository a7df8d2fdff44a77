/*
 * The scan: a function's code followed with a small abstract state.
 *
 *   entry:  push {r4, r7, lr}    CFA = sp + 12, lr at CFA - 4, r7 at CFA - 8
 *           cbz r0, 1f    -----> the same state goes to 1
 *           sub sp, #20          CFA = sp + 32
 *           ...                  calls change nothing
 *           pop {r4, r7, pc}     the end of this way; what stands behind it is reached
 *   1:      ...                  by a branch, with the state that the branch had
 *
 * The state is, for every register, its distance below the CFA where that is known, and
 * for every saved one, its place below the CFA.  All ways through the function are
 * followed: both of a branch, the one behind a call, all of a jump table that a compare
 * gives the length of.  Where ways meet, what they don't agree on is unknown from there
 * on (a function with alloca() on one way: sp; then r7 or r11 tells the CFA).  So the
 * result holds on every way, or there is none.
 *
 * Code that no way leads to is behind a jump to nobody knows where (a table that no
 * compare bounds), and has the state of such jumps, or is where exceptions land, and has
 * the state of the calls: if they all have the same one.
 *
 * Some functions don't return, and what stands behind a call of them belongs to another
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
enum { MAX_CODE = 1 << 15, MAX_TABLE = 1024, MAX_ROUNDS = 200, MAX_BEGINS = 8 };
enum { CLOBBERED = 0x500f }; /* r0-r3, r12, lr: by a call (AAPCS 6.1.1) */

struct state {
	int32_t below[SCAN_REGS]; /* CFA - r[n] where bit n of known is set, else 0 */
	int32_t at[SCAN_REGS];	  /* see struct scan_frame */
	int32_t compared;	  /* the last number a register was compared with; -1: none */
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

struct scan {
	const struct scan_function *function;
	uint32_t wanted;      /* offset in the function */
	bool far;	      /* .. also if no way leads there */
	struct state *states; /* by halfword: when the instruction there begins */
	uint32_t *from_call;  /* by halfword: 1 + the offset of the call it was reached from
			       * alone; 0: from elsewhere too */
	uint8_t *no_return;   /* by halfword: the call there does not return */
	VEC(uint32_t) work;   /* instructions whose state is new */
	struct common jumps;  /* of jumps to nobody knows where */
	struct common calls;
	bool again, no_memory;
};

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
	if (other->compared != into->compared)
		into->compared = -1;
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
	struct state *there = &s->states[at / 2];
	uint32_t *call = &s->from_call[at / 2], ended;

	if (at >= s->function->len || at & 1)
		return; /* another function: a tail call */
	if (!there->met) {
		*there = *state;
		there->met = true;
		*call = from_call;
	} else {
		struct state other = *state;

		other.met = true;
		ended = from_call && !*call ? from_call : from_call ? 0 : *call;
		if (ended && differ(there, &other)) {
			s->no_return[(ended - 1) / 2] = s->again = true;
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

static bool is_end(const struct scan_insn *insn)
{
	return insn->kind == SCAN_BRANCH || insn->kind == SCAN_JUMP ||
	       insn->kind == SCAN_TABLE || insn->kind == SCAN_END;
}

/* Sends the states behind an instruction on.  Conditional instructions of an IT block
 * are passed with it, as one, but for where they may go. */
static void leave(struct scan *s, uint32_t at)
{
	const struct scan_function *f = s->function;
	struct state state = s->states[at / 2];
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
		if (insn.kind == SCAN_JUMP && state.at[LR])
			common_add(&s->jumps, &state);
		if (call)
			common_add(&s->calls, &state);
		if (!conditional && (is_end(&insn) || s->no_return[at / 2]))
			return;
		if (!conditional || call)
			apply(&state, &insn);
		at += insn.len;
		if (in_it && at < f->len) { /* a place to stand in, all the same */
			s->states[at / 2] = state;
			s->states[at / 2].met = true;
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
	if (f->thumb && at && !s->states[at / 2].met &&
	    scan_t32(f->code, f->len, at - 2, &insn) && insn.len == 4)
		at -= 2;
	return &s->states[at / 2];
}

static void work_off(struct scan *s)
{
	while (s->work.len && !s->again && !s->no_memory)
		leave(s, s->work.at[--s->work.len]);
}

static int one_round(struct scan *s)
{
	struct state entry = {.known = 1 << SP, .compared = -1, .lr_intact = true};
	size_t halves = s->function->len / 2 + 1;

	memset(s->states, 0, halves * sizeof(*s->states));
	memset(s->from_call, 0, halves * sizeof(*s->from_call));
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
	return s->no_memory ? -ENOMEM : 0;
}

static int scan_all(struct scan *s)
{
	size_t halves = s->function->len / 2 + 1;
	int failed = 0, rounds = 0;

	s->states = malloc(halves * sizeof(*s->states));
	s->from_call = malloc(halves * sizeof(*s->from_call));
	s->no_return = calloc(halves, 1);
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

/* far: also where no way leads to.  See scan_find(). */
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

/* ---- where a function begins ---------------------------------------------- */

/* May this halfword be the second one of an instruction?  Not behind a whole bl, nor behind
 * what is rather a function's last literal, the way back to a function before (a callback):
 * as an instruction it would be one of few on d16-d31. */
static bool is_second_half(const struct scan_function *f, uint32_t at)
{
	if (at < 2 || f->code[at - 1] >> 3 < 0x1d)
		return false;
	if (!((f->begin + at) & 3) && f->code[at - 1] == 0xff && f->code[at - 2] >= 0xf0)
		return false;
	return at < 4 || f->code[at - 3] >> 3 != 0x1e || (f->code[at - 1] & 0xd0) != 0xd0;
}

/* Does the instruction save lr as prologues do? */
static bool saves_lr(const struct scan_function *f, uint32_t at)
{
	struct scan_insn insn;

	if (!(f->thumb ? scan_t32 : scan_a32)(f->code, f->len, at, &insn) || insn.conditional ||
	    (f->thumb && is_second_half(f, at)))
		return false;
	return (insn.kind == SCAN_PUSH && insn.mask >> LR & 1) ||
	       (insn.kind == SCAN_STORE && insn.reg == LR && insn.writeback);
}

/*
 * Functions of variable arguments, and such that take a struct in registers, make room
 * for the latter first: push {r1, r2, r3}; sub sp, #8.  A few other instructions may
 * stand between.
 */
static uint32_t before_arguments(const struct scan_function *f, uint32_t at)
{
	enum { FEW = 6, ARGUMENTS_LEN = 16 };
	uint32_t step = f->thumb ? 2 : 4, begin = at;
	struct scan_insn insn;

	for (unsigned i = 0; i < FEW && at >= step; i++) {
		at -= step;
		if (!(f->thumb ? scan_t32 : scan_a32)(f->code, f->len, at, &insn) ||
		    is_end(&insn) || saves_lr(f, at))
			break;
		if ((insn.kind == SCAN_PUSH && insn.mask >> 3 == 1) ||
		    (insn.kind == SCAN_SET && insn.reg == SP && insn.base == SP &&
		     insn.number < 0 && insn.number >= -ARGUMENTS_LEN))
			begin = at;
	}
	return begin;
}

int scan_find_around(const struct scan_function *around, uint64_t vaddr, struct scan_frame *ret)
{
	uint32_t step = around->thumb ? 2 : 4, at = (uint32_t)(vaddr - around->begin),
		 tried = 0;

	if (vaddr < around->begin || vaddr - around->begin >= around->len)
		return -ENOENT;
	for (at &= ~(step - 1); at >= step && tried < MAX_BEGINS;) {
		struct scan_function function = *around;
		uint32_t begin;

		at -= step;
		if (!saves_lr(around, at))
			continue;
		begin = before_arguments(around, at);
		function.begin += begin;
		function.code += begin;
		function.len -= begin;
		tried++;
		if (scan_reach(&function, vaddr, false, ret) == 0)
			return ret->at[LR] > 0 ? 0 : -ENOENT;
	}
	return -ENOENT;
}

bool scan_is_behind_call(const uint8_t code[4], bool thumb)
{
	struct scan_insn insn;

	if (!thumb)
		return scan_a32(code, 4, 0, &insn) && insn.kind == SCAN_CALL;
	return (scan_t32(code, 4, 0, &insn) && insn.len == 4 && insn.kind == SCAN_CALL) ||
	       (scan_t32(code, 4, 2, &insn) && insn.kind == SCAN_CALL);
}

/* ---- what follows from it ------------------------------------------------- */

static bool fits(int32_t at)
{
	return at <= INT16_MAX;
}

int scan_row(const struct scan_frame *frame, bool exact, struct row *ret)
{
	struct row row = {.cfa_offset = frame->cfa_offset, .flags = ROW_GUESS};
	const int32_t *at = frame->at;

	*ret = (struct row){.cfa = ROW_CFA_NONE};
	if (frame->root) {
		*ret = (struct row){.cfa = ROW_CFA_ROOT, .flags = ROW_GUESS};
		return 0;
	}
	if (at[LR] <= 0 && !(exact && frame->lr_intact && !at[LR]))
		return -ENOENT;
	row.cfa = frame->base == SP ? ROW_CFA_SP : ROW_CFA_FP;
	row.ra = at[LR] ? ROW_AT_CFA : ROW_SAME;
	row.ra_offset = (int16_t)-at[LR];
	row.fp = at[FP] == SCAN_EITHER ? ROW_UNDEFINED : at[FP] ? ROW_AT_CFA : ROW_SAME;
	row.fp_offset = at[FP] > 0 ? (int16_t)-at[FP] : 0;
	if ((frame->base != SP && frame->base != FP) || !fits(at[LR]) || !fits(at[FP]))
		row = (struct row){.cfa = ROW_CFA_FULL, .flags = ROW_GUESS};
	*ret = row;
	return 0;
}

static int load(struct memory *memory, uint64_t addr, uint64_t *ret)
{
	uint8_t bytes[4];
	struct cursor c = cursor_over(bytes, sizeof(bytes));

	if (memory_read(memory, addr & UINT32_MAX, bytes, sizeof(bytes)))
		return -EFAULT;
	*ret = cursor_u32(&c);
	return 0;
}

int scan_step(const struct scan_frame *frame, struct memory *memory, struct full_regs *regs,
	      uint64_t *cfa, uint8_t *flags)
{
	struct full_regs caller = *regs;
	uint64_t top = (uint32_t)(regs->value[frame->base] + (uint64_t)frame->cfa_offset);

	if (frame->root)
		return -ENODATA;
	if (!(regs->known >> frame->base & 1) || frame->at[LR] == SCAN_EITHER ||
	    (!frame->at[LR] && !(frame->lr_intact && regs->known >> LR & 1)))
		return -EINVAL;
	caller.known &= 0x0ff0; /* r4-r11 */
	for (unsigned reg = 4; reg < SCAN_REGS; reg++) {
		if (frame->at[reg] == SCAN_EITHER)
			caller.known &= ~(1ull << reg);
		if (frame->at[reg] <= 0 || reg == SP || reg == PC)
			continue;
		if (load(memory, top - (uint64_t)frame->at[reg], &caller.value[reg]))
			return -EFAULT;
		caller.known |= reg < 12 ? 1ull << reg : 0;
	}
	caller.value[PC] = caller.value[LR];
	caller.value[SP] = top;
	caller.known |= 1ull << SP | 1ull << PC;
	*regs = caller;
	*cfa = top;
	*flags = ROW_GUESS;
	return 0;
}

/* ---- signal frames -------------------------------------------------------- */

enum {
	EXIT = 1,
	SIGRETURN = 119,
	RT_SIGRETURN = 173,
	SIGINFO_LEN = 128,
	TO_R0 = 32,
	THUMB = 1 << 5
};

/* The number of the system call that the code makes at once; -1: it is not such code. */
static int call_made(const uint8_t *code, size_t len, bool thumb)
{
	struct cursor c = cursor_over(code, len);
	uint32_t move = thumb ? cursor_u16(&c) : cursor_u32(&c), call;

	if (thumb && move == 0xf04f) { /* mov.w r7, #... */
		move = cursor_u16(&c);
		move = move >> 8 == 7 ? 0x2700 | (move & 0xff) : 0;
	}
	call = thumb ? cursor_u16(&c) : cursor_u32(&c);
	if (c.bad || call != (thumb ? 0xdf00u : 0xef000000u))
		return -1;
	move -= thumb ? 0x2700u : 0xe3a07000u; /* mov r7, #... */
	return move < 256 ? (int)move : -1;
}

bool scan_is_exit(const uint8_t *code, size_t len, bool thumb)
{
	return call_made(code, len, thumb) == EXIT;
}

/* sp points to struct ucontext {flags, link, stack[3], trap_no, error_code, oldmask, r0 ...},
 * of rt_sigreturn behind a siginfo (arch/arm/include/asm: ucontext.h, sigcontext.h). */
uint32_t scan_sigreturn(const uint8_t *code, size_t len, bool thumb)
{
	int number = call_made(code, len, thumb);

	return number == SIGRETURN ? TO_R0 : number == RT_SIGRETURN ? SIGINFO_LEN + TO_R0 : 0;
}

int scan_sigreturn_step(uint32_t context, struct memory *memory, struct full_regs *regs,
			uint64_t *cfa, uint8_t *flags)
{
	uint64_t at = regs->value[SP] + context, cpsr;
	struct full_regs caller = {.known = 0xffff};

	for (unsigned reg = 0; reg < SCAN_REGS; reg++) {
		if (load(memory, at + 4 * reg, &caller.value[reg]))
			return -EFAULT;
	}
	if (load(memory, at + 4 * SCAN_REGS, &cpsr))
		return -EFAULT;
	caller.value[PC] |= cpsr & THUMB ? 1 : 0;
	*regs = caller;
	*cfa = caller.value[SP];
	*flags = ROW_SIGNAL;
	return 0;
}
