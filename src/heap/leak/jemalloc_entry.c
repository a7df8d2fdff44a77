/* The entries of jemalloc's tree; see jemalloc_parts.h for how they lie. */
#include "heap/leak/jemalloc_parts.h"

uint64_t jemalloc_leaf(const struct jemalloc *j, taddr_t addr)
{
	return addr >> (j->row->page_shift + j->row->fan_bits);
}

struct jemalloc_entry jemalloc_entry(const struct jemalloc *j, const uint8_t *bytes)
{
	const struct jemalloc_row *row = j->row;
	uint64_t low = (1ull << row->leaf_low) - 1, word = word_at(bytes, row->word);

	if (row->word == 8)
		return (struct jemalloc_entry){word << 16 >> 16 & ~low, (unsigned)(word >> 48), word & 1};
	if (row->entry_bytes == 8) /* szind << 5, state << 2, head << 1, slab */
		return (struct jemalloc_entry){word & ~low, u32_at(bytes + 4) >> 5, u32_at(bytes + 4) & 1};
	return (struct jemalloc_entry){word & ~low, u32_at(bytes + 4), bytes[8]};
}

bool jemalloc_page(struct jemalloc *j, taddr_t addr, struct jemalloc_entry *ret)
{
	const struct jemalloc_row *row = j->row;
	uint64_t number = jemalloc_leaf(j, addr), pages = (1ull << row->fan_bits) - 1;
	uint8_t entry[JEMALLOC_ENTRY];
	taddr_t leaf;

	if (number > pages)
		return false;
	leaf = reader_word_or_0(j->reader, j->root + row->word * number);
	if (!leaf || !reader_copy(j->reader, leaf + (addr >> row->page_shift & pages) * row->entry_bytes,
				  entry, row->entry_bytes))
		return false;
	*ret = jemalloc_entry(j, entry);
	return ret->extent != 0;
}
