/*
 * ARM EHABI: finding an entry, and what its instructions mean.
 *
 *   .ARM.exidx   [ prel31 function | 1                     ]  can't be unwound
 *   (sorted)     [ prel31 function | 1xxx.. instructions   ]
 *                [ prel31 function | prel31 into .ARM.extab]
 *
 * The instructions move a virtual sp (vsp) from the frame's sp to the caller's and say
 * which registers lie on the way; where pc is not popped, it is lr.  They are executed
 * twice over: exidx_step() with values, for which every encoding has a meaning, and
 * exidx_row() with places, "sp + n" or "r11 + n", because that is what a row can say.
 *
 * How a row's `fp` is to be understood on 32-bit ARM: it is r11, always.  A32 code
 * keeps its frame pointer there, Thumb code in r7, GCC takes any other register when it
 * likes; there is no chain to follow in either.  So of all `vsp = r[n]` only r11 makes
 * a row, the others are ROW_CFA_FULL and walked with all registers.  Code compiled with
 * optimisation has such frames in functions with alloca() only.  A signal frame, which
 * pops r0 to r15 (glibc's sigrestorer.S), is ROW_CFA_FULL too: the interrupted function
 * may be a leaf, and its return address in lr.
 */
#include "unwind/exidx.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>

#include "base/cursor.h"
#include "base/order.h"
#include "unwind/exidx_parts.h"

enum { FP = 11, SP = 13, LR = 14, PC = 15, CORE = 16 };
enum { ENTRY_LEN = 8, CANTUNWIND = 1, CPSR_THUMB = 1 << 5, MAX_OPS = 1024 };

int exidx_open(struct image *image, struct exidx **ret, struct err *err)
{
	const struct image_bytes *bytes = image_exidx(image);
	struct exidx *exidx;

	if (!bytes->bytes || bytes->len < ENTRY_LEN)
		return err_set(err, -ENOENT, "the file has no unwind table (.ARM.exidx)");
	exidx = calloc(1, sizeof(*exidx));
	if (!exidx)
		return err_sys(err, -ENOMEM, "reading unwind data");
	exidx->image = image;
	exidx->table = bytes->bytes;
	exidx->vaddr = bytes->vaddr;
	exidx->count = bytes->len / ENTRY_LEN;
	*ret = exidx;
	return 0;
}

void exidx_close(struct exidx *exidx)
{
	free(exidx);
}

/* ---- entries ------------------------------------------------------------- */

static uint32_t table_word(const struct exidx *exidx, size_t index, size_t at)
{
	struct cursor c = cursor_over(exidx->table + index * ENTRY_LEN + at, 4);

	return cursor_u32(&c);
}

/* A 31-bit signed offset from its own place. */
static uint64_t prel31(uint64_t place, uint32_t word)
{
	return (uint32_t)(place + (uint32_t)((int32_t)(word << 1) >> 1));
}

static uint64_t function_at(const struct exidx *exidx, size_t index)
{
	uint64_t place = exidx->vaddr + index * ENTRY_LEN;

	return prel31(place, table_word(exidx, index, 0)) & ~1ull;
}

size_t exidx_count(const struct exidx *exidx)
{
	return exidx->count;
}

bool exidx_entry(const struct exidx *exidx, size_t index, struct exidx_entry *ret)
{
	struct exidx_entry entry = {.inlined = true};

	if (index >= exidx->count)
		return false;
	entry.begin = function_at(exidx, index);
	entry.end = index + 1 < exidx->count ? function_at(exidx, index + 1) : UINT32_MAX;
	entry.at = exidx->vaddr + index * ENTRY_LEN + 4;
	entry.word = table_word(exidx, index, 4);
	entry.cantunwind = entry.word == CANTUNWIND;
	if (!entry.cantunwind && !(entry.word >> 31)) {
		entry.inlined = false;
		entry.at = prel31(entry.at, entry.word);
		if (!exidx_word(exidx, entry.at, &entry.word))
			return false;
	}
	*ret = entry;
	return true;
}

bool exidx_find(const struct exidx *exidx, uint64_t vaddr, struct exidx_entry *ret)
{
	size_t low = order_count(exidx->count, i, function_at(exidx, i) <= vaddr);

	return low && exidx_entry(exidx, low - 1, ret) && vaddr < ret->end;
}

/* The instructions in force at vaddr.  -ENOENT: none. */
static int ops_at(const struct exidx *exidx, uint64_t vaddr, struct exidx_ops *ret)
{
	struct exidx_entry entry;

	if (!exidx_find(exidx, vaddr, &entry) || entry.cantunwind)
		return -ENOENT;
	return exidx_ops_begin(exidx, &entry, ret);
}

/* ---- to a row ------------------------------------------------------------ */

struct place {
	uint8_t base; /* ROW_AT_SP or ROW_AT_FP; ROW_SAME: nowhere */
	int64_t offset;
};

struct places {
	struct place vsp, reg[CORE];
	bool beyond; /* no row can say it */
};

static void place_set(struct places *p, int64_t reg)
{
	p->beyond |= reg != FP || p->reg[FP].base != ROW_SAME;
	p->vsp = (struct place){.base = ROW_AT_FP};
}

static void place_pop(struct places *p, uint16_t mask)
{
	p->beyond |= mask >> SP & 1;
	for (int reg = 0; reg < CORE; reg++) {
		if (!(mask >> reg & 1))
			continue;
		p->reg[reg] = p->vsp;
		p->vsp.offset += 4;
	}
}

/* Where a register was saved, in a row's terms. */
static bool reduce(const struct place *saved, const struct place *cfa, uint8_t *where,
		   int16_t *offset)
{
	int64_t distance = saved->offset;

	*where = saved->base;
	if (saved->base == ROW_SAME)
		return true;
	if (saved->base == cfa->base) {
		*where = ROW_AT_CFA;
		distance -= cfa->offset;
	}
	*offset = (int16_t)distance;
	return *offset == distance;
}

static int run_places(struct exidx_ops *ops, struct places *p)
{
	for (int n = 0; n < MAX_OPS; n++) {
		struct exidx_op op;
		int failed = exidx_ops_next(ops, &op);

		if (failed)
			return failed;
		switch ((enum exidx_kind)op.kind) {
		case EXIDX_FINISH:
			return 0;
		case EXIDX_SET:
			place_set(p, op.number);
			break;
		case EXIDX_POP:
			place_pop(p, op.mask);
			break;
		case EXIDX_REFUSE:
		case EXIDX_SPARE:
			return -EINVAL;
		default:
			p->vsp.offset += op.number;
		}
	}
	return -EINVAL;
}

int exidx_row(const struct exidx *exidx, uint64_t vaddr, struct row *ret)
{
	struct places p = {.vsp = {.base = ROW_AT_SP}};
	struct exidx_ops ops;
	struct row row = {.cfa = ROW_CFA_FULL};
	int failed = ops_at(exidx, vaddr, &ops);
	const struct place *ra;

	*ret = (struct row){.cfa = ROW_CFA_NONE};
	if (!failed)
		failed = run_places(&ops, &p);
	if (failed)
		return failed;
	*ret = row;
	row.cfa = p.vsp.base == ROW_AT_SP ? ROW_CFA_SP : ROW_CFA_FP;
	row.cfa_offset = (int32_t)p.vsp.offset;
	ra = p.reg[PC].base != ROW_SAME ? &p.reg[PC] : &p.reg[LR];
	if (!p.beyond && row.cfa_offset == p.vsp.offset &&
	    reduce(ra, &p.vsp, &row.ra, &row.ra_offset) &&
	    reduce(&p.reg[FP], &p.vsp, &row.fp, &row.fp_offset))
		*ret = row;
	return 0;
}

/* ---- with all registers --------------------------------------------------- */

struct machine {
	struct memory *memory;
	struct full_regs regs;
	uint32_t vsp;
	uint32_t popped; /* bit n: r[n] was */
	uint32_t behind; /* address of the word behind the last one popped */
};

static int load(struct machine *m, uint32_t addr, uint32_t *ret)
{
	uint8_t bytes[4];
	struct cursor c = cursor_over(bytes, sizeof(bytes));

	if (memory_read(m->memory, addr, bytes, sizeof(bytes)))
		return -EFAULT;
	*ret = cursor_u32(&c);
	return 0;
}

static int pop(struct machine *m, uint16_t mask)
{
	for (int reg = 0; reg < CORE; reg++) {
		uint32_t value;

		if (!(mask >> reg & 1))
			continue;
		if (load(m, m->vsp, &value))
			return -EFAULT;
		m->regs.value[reg] = value;
		m->regs.known |= 1ull << reg;
		m->popped |= 1u << reg;
		m->vsp += 4;
	}
	m->behind = m->vsp;
	if (mask >> SP & 1)
		m->vsp = (uint32_t)m->regs.value[SP];
	return 0;
}

static int run_values(struct exidx_ops *ops, struct machine *m)
{
	for (int n = 0; n < MAX_OPS; n++) {
		struct exidx_op op;
		int failed = exidx_ops_next(ops, &op);

		if (failed)
			return failed;
		switch ((enum exidx_kind)op.kind) {
		case EXIDX_FINISH:
			return 0;
		case EXIDX_SET:
			if (!(m->regs.known >> op.number & 1))
				return -EINVAL;
			m->vsp = (uint32_t)m->regs.value[op.number];
			break;
		case EXIDX_POP:
			if (pop(m, op.mask))
				return -EFAULT;
			break;
		case EXIDX_REFUSE:
		case EXIDX_SPARE:
			return -EINVAL;
		default:
			m->vsp += (uint32_t)op.number;
		}
	}
	return -EINVAL;
}

/* struct sigcontext of Linux: r0 .. r15, cpsr.  That is where the state is kept. */
static int thumb_of_interrupted(struct machine *m)
{
	uint32_t cpsr;

	if (load(m, m->behind, &cpsr))
		return -EFAULT;
	if (cpsr & CPSR_THUMB)
		m->regs.value[PC] |= 1;
	return 0;
}

int exidx_step(const struct exidx *exidx, uint64_t vaddr, struct memory *memory,
	       struct full_regs *regs, uint64_t *cfa, uint8_t *flags)
{
	const uint64_t callee_saved = 0x0ff0; /* r4-r11 (AAPCS 6.1.1) */
	struct machine m = {.memory = memory, .regs = *regs, .vsp = (uint32_t)regs->value[SP]};
	const uint32_t all = (1u << CORE) - 1;
	struct exidx_ops ops;
	int failed = ops_at(exidx, vaddr, &ops);

	if (!failed)
		failed = run_values(&ops, &m);
	if (failed)
		return failed;
	if (!(m.popped >> PC & 1)) {
		if (!(m.regs.known >> LR & 1))
			return -EINVAL;
		m.regs.value[PC] = m.regs.value[LR];
	}
	*flags = 0;
	if ((m.popped & all) == all) {
		*flags = ROW_SIGNAL;
		failed = thumb_of_interrupted(&m);
	} else {
		m.regs.known &= callee_saved | (m.popped & ~(1u << LR));
	}
	if (failed)
		return failed;
	m.regs.value[SP] = m.vsp;
	m.regs.known |= 1ull << SP | 1ull << PC;
	*cfa = m.vsp;
	*regs = m.regs;
	return 0;
}
