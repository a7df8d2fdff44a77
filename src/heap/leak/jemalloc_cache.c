/*
 * jemalloc's caches of threads, in their thread-local data (tcache.c, cache_bin.h): an array of bins,
 * 24 bytes each, one per size class, whose stacks of blocks lie one behind the other in one array:
 *
 *   5.3  head (first block) | requests | low water, full, empty: 16 low bits of addresses
 *   5.2  low water | how many | requests | end (behind the last block)
 *
 * Where the bins are nothing says; four in a row with stacks in a row are taken for them.
 *
 * A bin that is full is flushed with its blocks still in it, so some of them are free already; one that
 * is empty is filled behind its end.  (arena.c, arena_cache_bin_fill_small(); tcache.c,
 * tcache_bin_flush_impl())  Then a thread has the bin in its hands.
 */
#include <errno.h>
#include <string.h>

#include "base/order.h"
#include "heap/leak/jemalloc_parts.h"

enum { BIN = 24, IN_A_ROW = 4, BINS_CACHED = 4096, PAGE = 4096, UP_ROOM = 100 /* half of 200 (lg_fill_div) */ };

struct bin {
	taddr_t first, end; /* of the blocks that it has; end of its stack */
	unsigned count;
	unsigned room; /* blocks that it may be filled with */
};

static bool down_read(const struct jemalloc *j, const uint8_t *b, struct bin *ret)
{
	unsigned word = j->row->word, low = u32_at(b + 16) & 0xffff, full = u32_at(b + 16) >> 16;
	unsigned empty = u32_at(b + 20) & 0xffff, most = (empty - full) & 0xffff, bytes;

	ret->first = word_at(b, word);
	bytes = (unsigned)(empty - ret->first) & 0xffff;
	ret->end = ret->first + bytes;
	ret->count = bytes / word;
	ret->room = most / word;
	return most && most % word == 0 && bytes % word == 0 && bytes <= most &&
	       most <= word * BINS_CACHED && ((empty - low) & 0xffff) <= most;
}

static bool up_read(const struct jemalloc *j, const uint8_t *b, struct bin *ret)
{
	int32_t low = (int32_t)u32_at(b), cached = (int32_t)u32_at(b + 4);

	if (cached < 0 || cached > BINS_CACHED || low < -1 || low > cached)
		return false;
	ret->count = (unsigned)cached;
	ret->room = UP_ROOM;
	ret->end = word_at(b + 16, j->row->word);
	ret->first = ret->end - (taddr_t)j->row->word * ret->count;
	return true;
}

static bool bin_read(struct jemalloc *j, taddr_t at, struct bin *ret)
{
	uint8_t b[BIN];

	if (!reader_copy(j->reader, at, b, sizeof(b)) ||
	    !(j->row->stack_down ? down_read(j, b, ret) : up_read(j, b, ret)))
		return false;
	return ret->first && ret->first % j->row->word == 0 && !(ret->first >> 48) &&
	       maps_find(j->leak->in.maps, ret->end - 1);
}

/* How many bins there are in a row. */
static unsigned bins_at(struct jemalloc *j, taddr_t at)
{
	struct bin bin, next;
	unsigned count = 0;

	if (!bin_read(j, at, &bin))
		return 0;
	for (count = 1; bin_read(j, at + (taddr_t)count * BIN, &next); count++) {
		if (next.end <= bin.end || next.end - bin.end > (taddr_t)j->row->word * BINS_CACHED)
			break;
		bin = next;
	}
	return count;
}

static taddr_t bin_word(const struct jemalloc *j, const struct bin *bin, unsigned i)
{
	return reader_word_or_0(j->reader, bin->first + (taddr_t)j->row->word * i);
}

/* Are all that it has blocks, or, while it is flushed, in a heap of jemalloc's? */
static bool bin_is_true(struct jemalloc *j, const struct bin *bin, bool in_hand)
{
	struct jemalloc_entry entry;

	for (unsigned i = 0; i < bin->count; i++) {
		taddr_t block = bin_word(j, bin, i);

		if (!index_has(&j->leak->index, block) &&
		    !(in_hand && jemalloc_page(j, block, &entry)))
			return false;
	}
	return true;
}

/* Of one that is being filled: what there may be of it already. */
static bool doubt_filled(struct jemalloc *j, const struct bin *bin)
{
	for (unsigned i = 1; i <= bin->room; i++) {
		taddr_t block = reader_word_or_0(j->reader, bin->end - (taddr_t)j->row->word * i);

		if (index_has(&j->leak->index, block) && !leak_doubt(j->leak, block, block + 1))
			return false;
	}
	return true;
}

/* Of its blocks, which are all of one. */
static uint64_t bin_size(struct jemalloc *j, const struct bin *bin)
{
	struct jemalloc_entry entry;

	return bin->count && jemalloc_page(j, bin_word(j, bin, 0), &entry) &&
			       entry.class < JEMALLOC_CLASSES
		       ? j->sizes[entry.class]
		       : 0;
}

/* Takes a bin's blocks away, if all of them are blocks. */
static int bin_drop(struct jemalloc *j, taddr_t at)
{
	unsigned word = j->row->word;
	bool in_hand = leak_in_hand(j->leak, at);
	struct leak_sum *cached = &j->allocator->cached;
	uint64_t before = cached->blocks;
	struct bin bin;

	if (!bin_read(j, at, &bin) || !bin_is_true(j, &bin, in_hand))
		return 0;
	for (unsigned i = 0; i < bin.count; i++)
		cached->blocks += leak_drop(j->leak, bin_word(j, &bin, i));
	cached->bytes += (cached->blocks - before) * bin_size(j, &bin);
	if (in_hand && !bin.count && !doubt_filled(j, &bin))
		return -ENOMEM;
	return leak_push(j->leak, &j->stacks, bin.end - word) ? 0 : -ENOMEM;
}

/* In a thread's data. */
static int bins_drop(struct jemalloc *j, taddr_t begin, taddr_t end)
{
	for (taddr_t at = begin; at < end;) {
		unsigned count = bins_at(j, at);

		if (count < IN_A_ROW) {
			at += 8;
			continue;
		}
		for (; count; count--, at += BIN) {
			int code = bin_drop(j, at);

			if (code)
				return code;
		}
	}
	return 0;
}

static int compare(const void *a, const void *b)
{
	const taddr_t *x = a, *y = b;

	return order_u64(*x, *y);
}

/* The arrays that bins point into are blocks of jemalloc's own. */
static void stacks_drop(struct jemalloc *j)
{
	struct leak *leak = j->leak;

	if (!j->stacks.len)
		return;
	qsort(j->stacks.at, j->stacks.len, sizeof(*j->stacks.at), compare);
	for (uint64_t i = 0; i < leak->pending; i++) {
		const struct pending *p =
			&leak->pieces.at[i / PENDING_PIECE]->at[i % PENDING_PIECE];
		size_t low;

		if (p->size < PAGE)
			continue;
		low = order_count(j->stacks.len, k, j->stacks.at[k] < p->addr);
		if (low < j->stacks.len && j->stacks.at[low] - p->addr < p->size)
			leak_drop(leak, p->addr);
	}
}


int jemalloc_caches_drop(struct jemalloc *j)
{
	const struct leak *leak = j->leak;
	uint64_t span = (leak_tls_size(j->leak) + PAGE) & ~7ull;
	int code = 0;

	for (size_t i = 0; i < leak->in.thread_count && !code; i++) {
		taddr_t tp = leak->in.threads[i].tp & leak->tag_mask & ~(taddr_t)7;

		if (tp > span)
			code = bins_drop(j, tp - span, tp + span);
	}
	stacks_drop(j);
	return code;
}
