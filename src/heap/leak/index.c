/* See index.h for the picture.  A section is made when the first block in it is met. */
#include "heap/leak/index.h"

#include <errno.h>
#include <string.h>

#include "base/order.h"

void index_init(struct index *index, unsigned granule)
{
	memset(index, 0, sizeof(*index));
	index->shift = (unsigned)__builtin_ctz(granule);
	index->low = UINT64_MAX;
}

void index_deinit(struct index *index)
{
	for (size_t i = 0; i < INDEX_TOP; i++)
		free(index->mids[i]);
	for (size_t i = 0; i < index->sections.len; i++)
		free(index->sections.at[i].cells);
	vec_deinit(&index->sections);
}

/* The middle entry for a section's number, made if need be; NULL: no address, or no memory. */
static uint32_t *entry_of(struct index *index, taddr_t number, bool make)
{
	uint32_t **mid;

	if (number >> INDEX_RADIX >= INDEX_TOP)
		return NULL;
	mid = &index->mids[number >> INDEX_RADIX];
	if (!*mid && make) {
		*mid = calloc(INDEX_FAN, sizeof(**mid));
		index->bytes += *mid ? INDEX_FAN * sizeof(**mid) : 0;
	}
	return *mid ? &(*mid)[number & (INDEX_FAN - 1)] : NULL;
}

/* The cell of addr, and its bit; NULL: not made. */
static struct index_cell *cell_of(const struct index *index, taddr_t addr, uint32_t *bit)
{
	uint32_t *entry = entry_of((struct index *)index, addr >> (index->shift + 16), false);
	uint32_t offset = (uint32_t)(addr >> index->shift) & (INDEX_GRANULES - 1);

	if (!entry || !*entry)
		return NULL;
	*bit = 1u << (offset % 32);
	return &index->sections.at[*entry - 1].cells[offset / 32];
}

static bool section_make(struct index *index, taddr_t addr)
{
	taddr_t number = addr >> (index->shift + 16);
	uint32_t *entry = entry_of(index, number, true);
	struct index_section section = {number << (index->shift + 16), 0, NULL};

	if (!entry)
		return false;
	section.cells = calloc(INDEX_CELLS, sizeof(*section.cells));
	if (!section.cells || !vec_push(&index->sections, section)) {
		free(section.cells);
		return false;
	}
	index->bytes += INDEX_CELLS * sizeof(*section.cells) + sizeof(section);
	*entry = (uint32_t)index->sections.len;
	return true;
}

int index_add(struct index *index, taddr_t addr)
{
	uint32_t bit;
	struct index_cell *cell = cell_of(index, addr, &bit);

	if (!cell) {
		if (addr >> (index->shift + 16 + INDEX_RADIX) >= INDEX_TOP)
			return -EINVAL;
		if (!section_make(index, addr))
			return -ENOMEM;
		cell = cell_of(index, addr, &bit);
	}
	if (addr & (((taddr_t)1 << index->shift) - 1))
		return -EINVAL;
	if (cell->bits & bit)
		return -EEXIST;
	cell->bits |= bit;
	return 0;
}

bool index_remove(struct index *index, taddr_t addr)
{
	uint32_t bit;
	struct index_cell *cell = cell_of(index, addr, &bit);

	if (!cell || !(cell->bits & bit) || addr & (((taddr_t)1 << index->shift) - 1))
		return false;
	cell->bits &= ~bit;
	return true;
}

bool index_has(const struct index *index, taddr_t addr)
{
	uint32_t bit;
	struct index_cell *cell = cell_of(index, addr, &bit);

	return cell && cell->bits & bit && !(addr & (((taddr_t)1 << index->shift) - 1));
}

static int compare(const void *a, const void *b)
{
	const struct index_section *x = a, *y = b;

	return order_u64(x->base, y->base);
}

void index_seal(struct index *index)
{
	struct index_walk walk;
	taddr_t addr;

	if (index->sections.len)
		qsort(index->sections.at, index->sections.len, sizeof(*index->sections.at),
		      compare);
	index->count = 0;
	for (size_t i = 0; i < index->sections.len; i++) {
		struct index_section *section = &index->sections.at[i];

		section->first = index->count;
		*entry_of(index, section->base >> (index->shift + 16), false) = (uint32_t)i + 1;
		for (size_t k = 0; k < INDEX_CELLS; k++) {
			section->cells[k].rank = index->count;
			index->count += index_popcount(section->cells[k].bits);
		}
	}
	index_walk_init(&walk, index);
	if (index_walk_next(&walk, &addr)) {
		index->low = addr;
		index->high = index_addr(index, index->count - 1);
	}
}

bool index_cover(struct index *index, taddr_t addr, taddr_t end)
{
	unsigned shift = index->shift + 16;
	uint32_t from = *entry_of(index, addr >> shift, false);

	for (taddr_t number = (addr >> shift) + 1; number <= (end - 1) >> shift; number++) {
		uint32_t *entry = entry_of(index, number, true);

		if (!entry)
			return false;
		if (!*entry)
			*entry = from | INDEX_COVERED;
	}
	return true;
}

taddr_t index_addr(const struct index *index, uint32_t block)
{
	size_t sections =
		order_count(index->sections.len, i, index->sections.at[i].first <= block);
	const struct index_section *section = &index->sections.at[sections - 1];
	size_t cell = order_count(INDEX_CELLS, i, section->cells[i].rank <= block) - 1;
	uint32_t bits = section->cells[cell].bits;

	for (uint32_t rest = block - section->cells[cell].rank; rest && bits; rest--)
		bits &= bits - 1;
	return section->base +
	       ((taddr_t)(cell * 32 + (bits ? (unsigned)__builtin_ctz(bits) : 0))
		<< index->shift);
}

void index_walk_init(struct index_walk *walk, const struct index *index)
{
	*walk = (struct index_walk){.index = index};
	if (index->sections.len)
		walk->bits = index->sections.at[0].cells[0].bits;
}

bool index_walk_next(struct index_walk *walk, taddr_t *ret)
{
	const struct index *index = walk->index;
	const struct index_section *section;

	if (walk->section >= index->sections.len)
		return false;
	while (!walk->bits) {
		if (++walk->cell == INDEX_CELLS) {
			walk->cell = 0;
			if (++walk->section >= index->sections.len)
				return false;
		}
		walk->bits = index->sections.at[walk->section].cells[walk->cell].bits;
	}
	section = &index->sections.at[walk->section];
	*ret = section->base + ((taddr_t)(walk->cell * 32 + (unsigned)__builtin_ctz(walk->bits))
				<< index->shift);
	walk->bits &= walk->bits - 1;
	return true;
}
