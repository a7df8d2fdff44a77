/*
 * Exception handling tables of the ARM EABI (.ARM.exidx, .ARM.extab) of one image:
 * "Exception Handling ABI for the Arm Architecture" (EHABI), sections 5 to 7 and 10.3.
 *
 *   vaddr --(search)--> entry --> instructions --> row (exidx_row)
 *                                             \-> the caller's registers (exidx_step)
 */
#ifndef MEMTRACE_EXIDX_H
#define MEMTRACE_EXIDX_H

#include "elf/image.h"
#include "region/row.h"
#include "unwind/cfi.h"

struct exidx;

/* -ENOENT: the file has no table (or is for another CPU).  The image must stay open. */
int exidx_open(struct image *image, struct exidx **ret, struct err *err) MUST_CHECK;
void exidx_close(struct exidx *exidx); /* NULL is allowed */

/*
 * The row in force at vaddr (for a return address the caller passes pc - 1; no Thumb
 * bit).  Always fills *ret: ROW_CFA_NONE with -ENOENT where no entry covers vaddr or
 * the entry says EXIDX_CANTUNWIND, with -EINVAL where it is broken or refuses.
 */
int exidx_row(const struct exidx *exidx, uint64_t vaddr, struct row *ret);

/*
 * Steps from one frame to its caller: as cfi_step().  The caller's pc keeps its Thumb
 * bit; of a signal frame's interrupted code it is made from the saved CPSR.
 */
int exidx_step(const struct exidx *exidx, uint64_t vaddr, struct memory *memory,
	       struct full_regs *regs, uint64_t *cfa, uint8_t *flags);

/* One entry: what it covers.  The linker joins neighbours that can't be unwound, so a
 * range of them may hold many functions. */
struct exidx_entry {
	uint64_t begin, end; /* vaddrs; end of the last: UINT32_MAX */
	bool cantunwind;
	uint64_t at;   /* vaddr of the word that the instructions begin in */
	uint32_t word; /* its value */
	bool inlined;  /* it is in the table itself: no more words follow */
};
size_t exidx_count(const struct exidx *exidx);
/* Entry `index`.  False: broken (or not there). */
bool exidx_entry(const struct exidx *exidx, size_t index, struct exidx_entry *ret);
/* The entry that covers vaddr.  False: none. */
bool exidx_find(const struct exidx *exidx, uint64_t vaddr, struct exidx_entry *ret);

#endif
