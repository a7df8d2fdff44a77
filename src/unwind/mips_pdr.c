/*
 * A procedure descriptor is eight words (binutils: include/coff/sym.h, gas/config/tc-mips.c,
 * s_mips_end()):
 *
 *   adr | regmask | regoffset | fregmask | fregoffset | frameoffset | framereg | pcreg
 *
 * The registers of regmask are stored below CFA + regoffset (which is negative), the highest of
 * them there, the next lower one a word below it, ...; CFA = r[framereg] + frameoffset.
 *
 * It is no part of what is loaded, but strip keeps it.  A procedure that the linker has left out
 * has the address 0 still.  Of MIPS16 code bit 0 of adr is set, and its frame pointer is s1.
 */
#include "unwind/mips_pdr.h"

#include <stdlib.h>

#include "arch/cpu.h"
#include "base/types.h"

enum { WORD = 4, DESCRIPTOR = 8 * WORD, FRAME_MOST = 1 << 24 };

struct procedure {
	uint32_t begin, mask;
	int32_t saved_at, frame;
	uint8_t base;
};

struct mips_pdr {
	size_t count;
	struct procedure procedures[];
};

static int compare(const void *a, const void *b)
{
	uint32_t x = ((const struct procedure *)a)->begin,
		 y = ((const struct procedure *)b)->begin;

	return (x > y) - (x < y);
}

static struct procedure procedure_read(const struct arch *arch, const uint8_t *bytes)
{
	return (struct procedure){
		.begin = (uint32_t)arch_word(arch, bytes),
		.mask = (uint32_t)arch_word(arch, bytes + WORD),
		.saved_at = (int32_t)arch_word(arch, bytes + 2 * WORD),
		.frame = (int32_t)arch_word(arch, bytes + 5 * WORD),
		.base = (uint8_t)arch_word(arch, bytes + 6 * WORD),
	};
}

struct mips_pdr *mips_pdr_open(struct image *image, const struct arch *arch)
{
	size_t len, count = 0;
	uint8_t *bytes = image_section_copy(image, ".pdr", &len);
	struct mips_pdr *pdr = NULL;

	if (bytes && len >= DESCRIPTOR)
		pdr = malloc(sizeof(*pdr) + len / DESCRIPTOR * sizeof(struct procedure));
	for (size_t at = 0; pdr && at + DESCRIPTOR <= len; at += DESCRIPTOR) {
		pdr->procedures[count] = procedure_read(arch, bytes + at);
		count += pdr->procedures[count].begin != 0;
	}
	free(bytes);
	if (!pdr)
		return NULL;
	pdr->count = count;
	qsort(pdr->procedures, count, sizeof(struct procedure), compare);
	return pdr;
}

void mips_pdr_close(struct mips_pdr *pdr)
{
	free(pdr);
}

/* How many begin at or below vaddr. */
static size_t count_below(const struct mips_pdr *pdr, uint64_t vaddr)
{
	size_t low = 0, high = pdr->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (pdr->procedures[middle].begin <= vaddr)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool mips_pdr_find(const struct mips_pdr *pdr, uint64_t vaddr, uint64_t *begin,
		   struct code_frame *ret)
{
	size_t below = pdr ? count_below(pdr, vaddr) : 0;
	const struct procedure *p;
	int32_t at;

	if (!below)
		return false;
	p = &pdr->procedures[below - 1];
	if ((p->base != MIPS_SP && p->base != MIPS_S8 && p->base != MIPS_S1) || p->frame < 0 ||
	    p->saved_at > 0 || p->saved_at < -FRAME_MOST)
		return false;
	*ret = (struct code_frame){.base = p->base, .cfa_offset = p->frame};
	at = -p->saved_at;
	for (unsigned reg = CODE_FRAME_REGS; reg--;) {
		if (!(p->mask >> reg & 1))
			continue;
		ret->at[reg] = at;
		at += WORD;
	}
	*begin = p->begin;
	return true;
}
