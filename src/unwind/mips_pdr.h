/* .pdr: what the compiler says of each procedure of a MIPS file. */
#ifndef MEMTRACE_MIPS_PDR_H
#define MEMTRACE_MIPS_PDR_H

#include "elf/image.h"
#include "unwind/mips_frame.h"

struct mips_pdr;

/* NULL: there is none, or no memory. */
struct mips_pdr *mips_pdr_open(struct image *image, const struct arch *arch);
void mips_pdr_close(struct mips_pdr *pdr); /* NULL is allowed */

/* The procedure that vaddr is in, by where it and the next one begin, and the frame that it has
 * wherever it calls.  False: not known.  No pdr knows nothing. */
bool mips_pdr_find(const struct mips_pdr *pdr, uint64_t vaddr, uint64_t *begin,
		   struct code_frame *ret);

#endif
