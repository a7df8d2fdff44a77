/*
 * How MIPS code (o32) without call frame information is unwound, in order of trust:
 *
 *   signal frames, ends of threads   known by their two instructions
 *   .pdr                             exact at calls: what the compiler says of each function
 *   the code itself                  ROW_GUESS; not of MIPS16 and microMIPS
 */
#ifndef MEMTRACE_UNWIND_MIPS_H
#define MEMTRACE_UNWIND_MIPS_H

#include "unwind/unwinder.h"

struct mips_unwind;

struct mips_unwind *mips_create(struct image *image, const struct arch *arch); /* NULL: no memory */
void mips_destroy(struct mips_unwind *u);			 /* NULL is allowed */

/* Does a handler return here, by sigreturn() or rt_sigreturn()?  Nothing else is asked then. */
bool mips_is_signal(struct mips_unwind *u, const struct unwinder_place *place);
int mips_signal_step(struct mips_unwind *u, const struct unwinder_place *place,
		     struct memory *memory, struct full_regs *regs, uint64_t *cfa, uint8_t *flags);

/* Of code that nothing else describes, as those of the unwinder. */
void mips_place_row(struct mips_unwind *u, const struct unwinder_place *place, struct row *ret);
int mips_place_step(struct mips_unwind *u, const struct unwinder_place *place,
		    struct memory *memory, struct full_regs *regs, uint64_t *cfa,
		    uint8_t *flags);

#endif
