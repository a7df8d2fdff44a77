/*
 * How long each block is, by its place among all in the order of addresses; so any word is told
 * to be a pointer to a block's begin, into its middle, or none.  32 bits a block; the few larger
 * ones ("giants") are in a list of their own.
 */
#include <errno.h>
#include <inttypes.h>

#include "base/order.h"
#include "heap/leak/parts.h"

uint64_t leak_size(const struct leak *leak, uint32_t block)
{
	if (leak->sizes[block] != GIANT)
		return leak->sizes[block];
	return leak->giants
		.at[order_count(leak->giants.len, i, leak->giants.at[i].block < block)]
		.size;
}

static int compare_giants(const void *a, const void *b)
{
	const struct giant *x = a, *y = b;

	return order_u64(x->block, y->block);
}

static bool size_store(struct leak *leak, uint32_t block, uint64_t size)
{
	leak->sizes[block] = size < GIANT ? (uint32_t)size : GIANT;
	return size < GIANT || leak_push(leak, &leak->giants, ((struct giant){block, size}));
}

/* From the order in which they were met to the order of addresses. */
static bool sizes_sort(struct leak *leak)
{
	for (uint64_t i = 0; i < leak->pending; i++) {
		const struct pending *p = pending_at(leak, i);
		taddr_t begin;
		uint32_t block;

		if (!index_has(&leak->index, p->addr))
			continue;
		block = index_find(&leak->index, p->addr, &begin);
		if (!size_store(leak, block, p->size))
			return false;
	}
	if (leak->giants.len)
		qsort(leak->giants.at, leak->giants.len, sizeof(*leak->giants.at),
		      compare_giants);
	for (size_t i = 0; i < leak->pieces.len; i++)
		leak_give(leak, leak->pieces.at[i], 1, sizeof(struct pending_piece));
	leak->pieces.len = 0;
	return true;
}

/* Blocks lie apart: the proof that what was walked makes sense as a whole. */
static int sizes_check(struct leak *leak, struct err *err)
{
	taddr_t far = (taddr_t)INDEX_GRANULES << leak->index.shift, addr, end = 0;
	struct index_walk walk;
	uint32_t block = 0;

	for (index_walk_init(&walk, &leak->index); index_walk_next(&walk, &addr); block++) {
		uint64_t size = leak_size(leak, block);

		if (addr < end || addr + size < addr)
			return err_set(err, -ENOTSUP,
				       "the heap could not be read: a block at " TADDR_FORMAT
				       " would lie within another one",
				       addr);
		end = addr + size;
		if (addr / far != (end - 1) / far && size) {
			uint64_t before = leak->index.bytes;

			if (!index_cover(&leak->index, addr, end))
				return leak_no_memory(leak, err);
			leak->held += leak->index.bytes - before;
		}
	}
	return 0;
}

int leak_index(struct leak *leak, struct err *err)
{
	index_seal(&leak->index);
	leak->count = leak->index.count;
	if (leak->pending >= LEAK_INTERIOR)
		return err_set(err, -ENOTSUP, "there are more than 2^31 blocks");
	leak->sizes = leak_take(leak, leak->count, sizeof(*leak->sizes));
	if (!leak->sizes || !sizes_sort(leak))
		return leak_no_memory(leak, err);
	return sizes_check(leak, err);
}

uint32_t leak_target(const struct leak *leak, taddr_t value)
{
	taddr_t begin;
	uint32_t block;

	value &= leak->tag_mask;
	block = index_find(&leak->index, value, &begin);
	if (block == UINT32_MAX || begin == value)
		return block;
	return value - begin < leak_size(leak, block) ? block | LEAK_INTERIOR : LEAK_NONE;
}
