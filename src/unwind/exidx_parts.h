/* Unwind instructions as exidx_op.c decodes and exidx.c executes them. */
#ifndef MEMTRACE_EXIDX_PARTS_H
#define MEMTRACE_EXIDX_PARTS_H

#include "unwind/exidx.h"

struct exidx {
	struct image *image;
	const uint8_t *table;
	uint64_t vaddr;
	size_t count;
};

enum exidx_kind {
	EXIDX_FINISH,	/* also what the end of the bytes means */
	EXIDX_ADD,	/* vsp += number */
	EXIDX_SET,	/* vsp = r[number] */
	EXIDX_POP,	/* core registers by mask, lowest first, 4 bytes each */
	EXIDX_VFP,	/* D[first] and on, `number` bytes: vsp += number */
	EXIDX_VFP_X,	/* the same, saved by FSTMFDX: a word of format is behind them */
	EXIDX_WMMX,	/* wR[first] and on; wCGR0-3 by mask when `mask` is not 0 */
	EXIDX_AUTH,	/* the pseudo-register of the return address' authentication code */
	EXIDX_AUTH_VSP, /* vsp is the modifier of that code */
	EXIDX_REFUSE,	/* "refuse to unwind" */
	EXIDX_SPARE,	/* an encoding without meaning */
};

struct exidx_op {
	uint8_t kind;  /* enum exidx_kind */
	uint8_t first; /* EXIDX_VFP*, EXIDX_WMMX: the first register; they are 8 bytes each */
	uint16_t mask; /* EXIDX_POP: bit n for r[n] */
	int64_t number;
};

/* The instructions of an entry, one after the other. */
struct exidx_ops {
	const struct exidx *exidx;
	uint64_t next;	/* vaddr of the next word */
	unsigned words; /* how many follow */
	uint32_t word;	/* the current one, the next byte at its top */
	unsigned left;	/* bytes left in it */
};
/* -EINVAL: broken, or of an unknown personality. */
int exidx_ops_begin(const struct exidx *exidx, const struct exidx_entry *entry,
		    struct exidx_ops *ret);
/* The next instruction; EXIDX_FINISH at and beyond the end.  -EINVAL: cut off. */
int exidx_ops_next(struct exidx_ops *ops, struct exidx_op *ret);

/* A word of the image (exidx_op.c). */
bool exidx_word(const struct exidx *exidx, uint64_t vaddr, uint32_t *ret);

#endif
