/*
 * Prologues of RISC-V code are regular: sp is lowered once, by a constant, and what must be kept is
 * stored above it; s0 is set to the CFA where sp will depend on a value, or where it was asked for.
 *
 *     addi sp, sp, -48;  sd ra, 40(sp);  sd s0, 32(sp);  [addi s0, sp, 48]
 *     addi sp, sp, -2032;  sd ra, 2024(sp);  ...  lui t0, -4096;  add sp, sp, t0
 *
 * The code is read once, in its order.  Behind a way out (ret, j) comes code that a branch leads to:
 * it has the frame that the first such branch had, or, if that comes from behind, the frame of the
 * function's body: what there was before the registers were put back.  That is what shrink-wrapped
 * functions need.  So has code behind a call that a branch leads to: the call may not return (but the
 * place itself, at the end, is where a call is to return to).
 *
 * A number that is made for a frame too large for an immediate is followed (lui, li, addi), until
 * something else is put into its register.
 *
 * Sources: RISC-V ABIs Specification 1.0, "Frame Pointer Convention"; The RISC-V Instruction Set
 * Manual I (20240411), 2, 27.8; gcc's riscv_expand_prologue().
 */
#include <errno.h>
#include <string.h>

#include "arch/cpu.h"
#include "arch/riscv64/insn.h"
#include "base/types.h"
#include "base/vec.h"
#include "unwind/riscv64_frame.h"

enum {
	RA = 1,
	SP = 2,
	S0 = 8,
	KEPT = 1 << RA | 1 << S0 | 1 << 9 | 0x3ff << 18, /* ra, s0, s1, s2 to s11 */
	BEHIND_CALL = 4,
};

/* What an instruction may mean for a frame. */
enum meaning {
	NOTHING, /* but that it writes to `reg` */
	STORE,	 /* reg at sp + number */
	LOAD,	 /* the same */
	SET,	 /* reg = number */
	ADD,	 /* reg = base + number */
	ADD_REG, /* sp = sp + base */
	SP_LOST, /* sp = something else */
};

struct effect {
	uint8_t meaning; /* enum meaning */
	uint8_t reg, base;
	int32_t number;
};

static uint32_t field(uint32_t code, unsigned low, unsigned count)
{
	return code >> low & ((1u << count) - 1);
}

static int32_t extended(uint32_t value, unsigned count)
{
	return (int32_t)(value << (32 - count)) >> (32 - count);
}

/* c.mv, c.add, and jumps */
static struct effect effect_two_registers(uint32_t code, uint8_t reg, uint8_t other)
{
	if (!other)
		return (struct effect){0};
	if (reg == SP)
		return (struct effect){.meaning = code & 1 << 12 ? ADD_REG : SP_LOST, .base = other};
	return (struct effect){.reg = reg};
}

static struct effect effect_short(uint32_t code)
{
	uint8_t reg = (uint8_t)field(code, 7, 5), other = (uint8_t)field(code, 2, 5);
	int32_t number = extended(other | field(code, 12, 1) << 5, 6);

	switch (field(code, 13, 3) << 2 | (code & 3)) {
	case 0 << 2 | 0: /* c.addi4spn */
		return (struct effect){ADD, (uint8_t)(8 + field(code, 2, 3)), SP,
				       (int32_t)(field(code, 11, 2) << 4 |
						 field(code, 7, 4) << 6 | field(code, 6, 1) << 2 |
						 field(code, 5, 1) << 3)};
	case 2 << 2 | 0: /* c.lw */
	case 3 << 2 | 0: /* c.ld */
		return (struct effect){.reg = (uint8_t)(8 + field(code, 2, 3))};
	case 1 << 2 | 1: /* c.addiw */
		return (struct effect){ADD, reg, reg, number};
	case 2 << 2 | 1: /* c.li */
		return (struct effect){SET, reg, 0, number};
	case 3 << 2 | 1: /* c.lui (c.addi16sp is RV_ADD) */
		return (struct effect){SET, reg, 0, number * 4096};
	case 4 << 2 | 1: /* arithmetic of two registers, one of which it writes */
		return (struct effect){.reg = (uint8_t)(8 + field(code, 7, 3))};
	case 0 << 2 | 2: /* c.slli */
	case 2 << 2 | 2: /* c.lwsp */
		return (struct effect){.reg = reg};
	case 3 << 2 | 2: /* c.ldsp */
		return (struct effect){LOAD, reg, SP,
				       (int32_t)(field(code, 5, 2) << 3 | field(code, 12, 1) << 5 |
						 field(code, 2, 3) << 6)};
	case 4 << 2 | 2:
		return effect_two_registers(code, reg, other);
	case 7 << 2 | 2: /* c.sdsp */
		return (struct effect){STORE, other, SP,
				       (int32_t)(field(code, 10, 3) << 3 | field(code, 7, 3) << 6)};
	}
	return (struct effect){0};
}

/* add, sub and their like */
static struct effect effect_of_add(uint32_t code, uint8_t reg)
{
	uint8_t first = (uint8_t)field(code, 15, 5), second = (uint8_t)field(code, 20, 5);

	if (reg != SP)
		return (struct effect){.reg = reg};
	if (code & 0xfe007000 || (first != SP && second != SP))
		return (struct effect){.meaning = SP_LOST};
	return (struct effect){.meaning = ADD_REG, .base = first == SP ? second : first};
}

static struct effect effect_long(uint32_t code)
{
	uint8_t reg = (uint8_t)field(code, 7, 5);

	switch (code & 0x7f) {
	case 0x23: /* stores: sd reg, number(sp) */
		if ((code & 0xff07f) != (0x3023 | SP << 15))
			return (struct effect){0};
		return (struct effect){STORE, (uint8_t)field(code, 20, 5), SP,
				       extended(reg | field(code, 25, 7) << 5, 12)};
	case 0x37: /* lui */
		return (struct effect){SET, reg, 0, (int32_t)(code & 0xfffff000)};
	case 0x1b: /* addiw, and shifts */
		if (field(code, 12, 3))
			break;
		return (struct effect){ADD, reg, (uint8_t)field(code, 15, 5),
				       extended(code >> 20, 12)};
	case 0x33:
		return effect_of_add(code, reg);
	case 0x63: /* branches */
		return (struct effect){0};
	case 0x03: /* loads */
	case 0x13: /* arithmetic with numbers, */
	case 0x17: /* auipc, */
	case 0x3b: /* of the lower 32 bits */
		break;
	default: /* (none of the others writes to sp: that is a number of another register) */
		return (struct effect){.reg = reg == SP ? 0 : reg};
	}
	return (struct effect){.reg = reg};
}

static struct effect effect_of(const uint8_t *code, const struct rv_insn *insn)
{
	struct effect e;

	if (insn->kind == RV_ADD || insn->kind == RV_LOAD) {
		e = (struct effect){ADD, insn->reg, insn->base, insn->value};
		if (insn->kind == RV_LOAD)
			e.meaning = insn->base == SP ? LOAD : NOTHING;
		return e;
	}
	e = insn->len == RV_SHORT ? effect_short(code[0] | (uint32_t)code[1] << 8)
				  : effect_long(rv_read(code));
	if (e.meaning == NOTHING && e.reg == SP)
		e.meaning = SP_LOST;
	return e;
}

struct state {
	int32_t below;	  /* CFA - sp; 0: no frame (yet) */
	bool sp_lost;	  /* .. is not known */
	bool fp_set;
	int32_t fp_below; /* CFA - s0, which was set */
	int32_t at[CODE_FRAME_REGS];
};

/* What a branch has led to. */
struct led {
	size_t to;
	struct state state;
};

struct scan {
	struct state now, body;
	bool leaves;	  /* registers are put back: what comes is the way out */
	bool raised;	  /* .. or rather arguments are taken off the stack */
	uint32_t numbers; /* bit n: number[n] is what register n holds */
	int32_t number[CODE_FRAME_REGS];
	VEC(struct led) led; /* forward, in the order of the branches */
};

static void lower_sp(struct scan *s, int64_t by)
{
	int64_t below = s->now.below + by;

	if (s->now.sp_lost)
		return;
	if (by > 0 && s->leaves) { /* (another frame than the body's) */
		s->now = (struct state){0};
		below = by;
	}
	s->raised = by < 0 && (s->raised || !s->leaves);
	s->leaves = by < 0;
	if (below <= 0 || below > INT32_MAX) {
		s->now = (struct state){0};
		s->raised = false;
		return;
	}
	s->now.below = (int32_t)below;
}

/* The first store of each: later ones are the function's own. */
static void save(struct state *now, const struct effect *e)
{
	int32_t at = now->below - e->number;

	if ((KEPT >> e->reg & 1) && !now->at[e->reg] && !now->sp_lost && at > 0)
		now->at[e->reg] = at;
}

static void put_back(struct scan *s, const struct effect *e)
{
	struct state *now = &s->now;

	s->leaves |= e->reg == RA && now->at[RA] && now->at[RA] == now->below - e->number;
	now->fp_set &= e->reg != S0;
}

/* reg = base + number */
static void add(struct scan *s, const struct effect *e)
{
	struct state *now = &s->now;

	if (e->reg == SP && e->base == SP) {
		lower_sp(s, -(int64_t)e->number);
	} else if (e->reg == SP && e->base == S0 && now->fp_set) {
		now->below = now->fp_below - e->number;
		now->sp_lost = false;
		s->leaves = true;
	} else if (e->reg == SP) {
		now->sp_lost = true;
	} else if (e->reg == S0 && e->base == SP && now->below && !now->sp_lost) {
		now->fp_set = true;
		now->fp_below = now->below - e->number;
	} else if (e->reg == S0) {
		now->fp_set = false;
	}
}

/* What a register holds: a number, a number more, or something else. */
static void number_set(struct scan *s, const struct effect *e)
{
	uint32_t bit = 1u << e->reg;

	if (e->meaning == SET)
		s->number[e->reg] = e->number;
	if (e->meaning == ADD && e->base && (e->base != e->reg || !(s->numbers & bit)))
		s->numbers &= ~bit;
	else if (e->meaning == ADD)
		s->number[e->reg] = e->number + (e->base ? s->number[e->reg] : 0);
	if (e->meaning == SET || (e->meaning == ADD && !e->base))
		s->numbers |= bit;
	else if (e->meaning == LOAD || e->meaning == NOTHING)
		s->numbers &= ~bit;
}

static void step(struct scan *s, const struct effect *e)
{
	switch ((enum meaning)e->meaning) {
	case STORE:
		save(&s->now, e);
		break;
	case LOAD:
		put_back(s, e);
		break;
	case ADD:
		add(s, e);
		break;
	case ADD_REG:
		if (s->numbers >> e->base & 1)
			lower_sp(s, -(int64_t)s->number[e->base]);
		else
			s->now.sp_lost = true;
		break;
	case SP_LOST:
		s->now.sp_lost = true;
		break;
	case SET:
	case NOTHING:
		s->now.fp_set &= e->reg != S0;
		break;
	}
	number_set(s, e);
	if (!s->leaves && s->now.below)
		s->body = s->now;
}

static const struct led *led_to(const struct scan *s, size_t at)
{
	for (size_t i = 0; i < s->led.len; i++)
		if (s->led.at[i].to == at)
			return &s->led.at[i];
	return NULL;
}

/* Behind a way out: as where a branch from before led here, or as the body. */
static void go_on_behind(struct scan *s, const struct led *led)
{
	if (led)
		s->now = led->state;
	else if (s->body.below)
		s->now = s->body;
	s->leaves = s->raised = false;
	s->numbers = 0;
}

static bool branch(struct scan *s, const struct rv_insn *insn, size_t at, size_t len)
{
	struct led led = {.to = at + (size_t)insn->rel, .state = s->now};

	if (s->raised) /* no way out goes on so */
		s->leaves = s->raised = false;
	if ((insn->kind != RV_J && insn->kind != RV_BRANCH) || insn->rel <= 0 || led.to > len ||
	    s->leaves)
		return true;
	return vec_push(&s->led, led);
}

static int scan_all(struct scan *s, const uint8_t *code, size_t len)
{
	bool out = false, call = false;
	struct rv_insn insn;

	for (size_t at = 0; at <= len; at += insn.len) {
		const struct led *led = out || (call && at < len) ? led_to(s, at) : NULL;
		struct effect e;

		if (out || led)
			go_on_behind(s, led);
		if (at == len || !rv_decode(code + at, len - at, &insn))
			return 0;
		if (rv_is_branch(&insn) && !branch(s, &insn, at, len))
			return -ENOMEM;
		e = effect_of(code + at, &insn);
		step(s, &e);
		out = rv_is_end(&insn);
		call = insn.kind == RV_JAL || insn.kind == RV_JALR;
	}
	return 0;
}

int riscv64_scan(const struct arch *arch, const uint8_t *code, size_t len,
		 struct code_frame *ret)
{
	struct scan s = {0};
	const struct state *now = &s.now;
	int failed = scan_all(&s, code, len);

	(void)arch;
	vec_deinit(&s.led);
	if (failed)
		return -ENOENT;
	if (now->sp_lost && !now->fp_set)
		return -ENOENT;
	*ret = (struct code_frame){.guess = true,
				   .base = now->sp_lost ? S0 : SP,
				   .cfa_offset = now->sp_lost ? now->fp_below : now->below};
	memcpy(ret->at, now->at, sizeof(ret->at));
	return 0;
}

/*
 * From a pc at which a thread is, all registers of which are known: where instructions lead to the
 * function's return, one by one, what they put back is what the caller has.  No guess, then; and
 * assembler functions without a symbol (musl's around a raise()) have no begin that could be found.
 */
int riscv64_scan_end(const uint8_t *code, size_t len, struct code_frame *ret)
{
	int32_t at[CODE_FRAME_REGS] = {0}, raised = 0;
	struct rv_insn insn = {.kind = RV_ILLEGAL};

	for (size_t i = 0; rv_decode(code + i, len - i, &insn); i += insn.len) {
		struct effect e = effect_of(code + i, &insn);

		if (insn.kind == RV_JR && insn.base == RA && !insn.value)
			break;
		if (insn.kind != RV_PLAIN && insn.kind != RV_ADD && insn.kind != RV_LOAD &&
		    insn.kind != RV_AUIPC && insn.kind != RV_NOP)
			return -ENOENT;
		if (e.meaning == ADD && e.reg == SP && e.base == SP && e.number > 0)
			raised += e.number;
		else if (e.meaning == LOAD && (KEPT >> e.reg & 1) && e.number >= 0)
			at[e.reg] = raised + e.number + 1; /* (from sp as it is; 0: not put back) */
		else if (e.meaning >= ADD_REG || e.reg == SP || (KEPT >> e.reg & 1))
			return -ENOENT;
	}
	if (insn.kind != RV_JR)
		return -ENOENT;
	*ret = (struct code_frame){.base = SP, .cfa_offset = raised};
	for (unsigned reg = 0; reg < CODE_FRAME_REGS; reg++) {
		ret->at[reg] = at[reg] ? raised - (at[reg] - 1) : 0;
		if (at[reg] && ret->at[reg] <= 0)
			return -ENOENT;
	}
	return 0;
}

/* Do instructions follow each other from here to the end? */
static bool leads_to(const uint8_t *code, size_t at, size_t len, bool *saves_ra)
{
	struct rv_insn insn;

	*saves_ra = false;
	for (; at < len; at += insn.len) {
		struct effect e;

		if (!rv_decode(code + at, len - at, &insn) || insn.kind == RV_ILLEGAL)
			return false;
		e = effect_of(code + at, &insn);
		*saves_ra |= e.meaning == STORE && e.reg == RA;
	}
	return true;
}

int64_t riscv64_scan_begin(const struct arch *arch, const uint8_t *code, size_t len)
{
	struct rv_insn insn;
	bool saves;

	(void)arch;
	for (size_t at = len & ~(size_t)1; at >= RV_SHORT;) {
		at -= RV_SHORT;
		if (!rv_decode(code + at, len - at, &insn) || insn.kind != RV_ADD ||
		    insn.reg != SP || insn.base != SP || insn.value >= 0)
			continue;
		if (leads_to(code, at, len, &saves) && saves)
			return (int64_t)at;
	}
	return -ENOENT;
}

bool riscv64_is_behind_call(const uint8_t *code)
{
	struct rv_insn insn;

	for (size_t at = 0; at < BEHIND_CALL; at += RV_SHORT)
		if (rv_decode(code + at, BEHIND_CALL - at, &insn) &&
		    insn.len == BEHIND_CALL - at && (insn.kind == RV_JAL || insn.kind == RV_JALR))
			return true;
	return false;
}
