/*
 * The blocks of jemalloc 5.2 and 5.3, on 64-bit CPUs with pages of 4 KB.
 *
 *   rtree root (.bss): 2^18 pointers --> leaf: 2^18 entries, one per page of 2^30 bytes
 *                                           | szind << 48 | extent | slab
 *                                           v
 *   extent (edata_t, extent_t):  bits | address | size | ... | bitmap of a slab's free regions
 *
 * The entry of an extent's first page and the extent say the same twice: page and address, size
 * class, slab or not (those of other pages may be old); a slab counts its free regions beside
 * the bitmap.  That tells the root among all words of .bss, and the release, and is the check
 * of the walk.  Taken away again: what threads' caches hold (in their thread-local data), and
 * the caches' own arrays, which are full of old pointers.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/order.h"
#include "heap/leak/parts.h"

enum {
	PAGE = 4096,
	FAN = 1 << 18,
	LEAF_BYTES = FAN * 8,
	SLAB_BITMAP = 64, /* offset in an extent */
	REGIONS_MAX = 512,
	CLASSES = 232,
	BASE = 2 << 20, /* blocks of metadata are such, and aligned to it */
	BINS_CACHED = 4096,
};

struct jemalloc_row {
	const char *version;
	uint8_t state_shift, state_bits, class_shift, free_shift;
	uint8_t leaf_low; /* bits of an entry that are no address */
};
static const struct jemalloc_row rows[] = {
	{"5.3", 17, 3, 20, 28, 7}, /* include/jemalloc/internal/edata.h, rtree.h */
	{"5.2", 16, 2, 18, 26, 1}, /* extent_structs.h, rtree.h */
};

struct jemalloc {
	struct leak *leak;
	struct leak_allocator *allocator;
	const struct jemalloc_row *row;
	struct reader *reader;
	taddr_t root;
	uint64_t sizes[CLASSES];
	taddr_t leaf_begin;  /* the leaf that is read */
	uint64_t number;     /* and which one it is */
	unsigned good, bad;  /* of a sample */
	VEC(taddr_t) stacks; /* arrays of thread caches */
	struct leak_arena arena; /* all of them */
};

struct extent {
	taddr_t at, addr;
	uint64_t size;
	unsigned class, free, state;
	bool slab;
	bool agrees; /* it and the entry say the same, of one in use */
};

/* 8, 16 .. 128 by 16, then four to each doubling (size classes, sc.c). */
static void sizes_fill(uint64_t *sizes)
{
	unsigned n = 0;

	sizes[n++] = 8;
	for (uint64_t size = 16; size <= 128; size += 16)
		sizes[n++] = size;
	for (uint64_t base = 128; n < CLASSES; base *= 2)
		for (unsigned i = 1; i <= 4 && n < CLASSES; i++)
			sizes[n++] = base + i * (base / 4);
}

enum { ACTIVE, DIRTY, MUZZY }; /* extent states: in use; free, with content or maybe so */

/* What the entry of a page leads to.  False: nothing, or an extent that does not begin there. */
static bool extent_read(struct jemalloc *j, uint64_t entry, uint64_t page, struct extent *ret)
{
	const struct jemalloc_row *row = j->row;
	uint64_t bits, size;

	ret->at = entry << 16 >> 16 & ~(uint64_t)((1 << row->leaf_low) - 1);
	if (!ret->at || !reader_word(j->reader, ret->at, &bits) ||
	    !reader_word(j->reader, ret->at + 8, &ret->addr) ||
	    !reader_word(j->reader, ret->at + 16, &size) ||
	    (ret->addr / PAGE & (FAN - 1)) != page)
		return false;
	ret->state = bits >> row->state_shift & ((1u << row->state_bits) - 1);
	ret->size = size & ~(uint64_t)(PAGE - 1);
	ret->class = bits >> row->class_shift & 255;
	ret->free = bits >> row->free_shift & 1023;
	ret->slab = bits >> 12 & 1;
	ret->agrees = (entry & 1) == ret->slab && entry >> 48 == ret->class &&
		      ret->class < CLASSES && ret->size;
	return true;
}

/* The next extent that bytes of a leaf, which are at `at`, lead to from *i on, which is then
 * behind its entry. */
static bool next_extent(struct jemalloc *j, taddr_t at, const uint8_t *bytes, size_t len,
			size_t *i, struct extent *ret)
{
	while (*i + 8 <= len) {
		uint64_t entry = word_at(bytes + *i, 8), page = (at + *i - j->leaf_begin) / 8;

		*i += 8;
		if (entry && extent_read(j, entry, page, ret))
			return true;
	}
	return false;
}

/* ---- the root ------------------------------------------------------------------------- */

enum { SAMPLE = 64 };

static int sample(struct leak *leak, void *arg, taddr_t at, const uint8_t *bytes, size_t len)
{
	struct jemalloc *j = arg;
	struct extent extent;
	size_t i = 0;

	(void)leak;
	while (next_extent(j, at, bytes, len, &i, &extent)) {
		if (extent.state != ACTIVE)
			continue;
		if (extent.agrees && (!j->good || extent.addr >> 30 == j->number)) {
			j->number = extent.addr >> 30;
			j->good++;
		} else {
			j->bad++;
		}
		if (j->good + j->bad == SAMPLE)
			return 1;
	}
	return 0;
}

static bool is_leaf(struct jemalloc *j, taddr_t leaf)
{
	const struct mapping *mapping = maps_find(j->leak->in.maps, leaf);
	uint64_t unread = 0;

	if (!mapping || !mapping_is_anonymous(mapping) || leaf % 64 ||
	    mapping->end - leaf < LEAF_BYTES)
		return false;
	j->good = j->bad = 0;
	j->leaf_begin = leaf;
	leak_scan(j->leak, leaf, leaf + LEAF_BYTES, sample, j, &unread);
	return j->good > 2 && j->good > 8 * j->bad && j->number < FAN;
}

static bool root_find(struct jemalloc *j, const struct data *data)
{
	enum { TRIES = 256 };
	unsigned tries = 0;

	for (size_t at = -data->begin % 8; at + 8 <= data->len && tries < TRIES; at += 8) {
		taddr_t leaf = word_at(data->bytes + at, 8);

		if (!leaf || leaf % 64 || leaf >> 48 || !maps_find(j->leak->in.maps, leaf))
			continue;
		tries++;
		for (size_t r = 0; r < ARRAY_SIZE(rows); r++) {
			j->row = &rows[r];
			if (!is_leaf(j, leaf) || j->number * 8 > at)
				continue;
			j->root = data->begin + at - j->number * 8;
			return true;
		}
	}
	return false;
}

/* ---- blocks --------------------------------------------------------------------------- */

static void count_used(struct jemalloc *j, uint64_t bytes)
{
	j->arena.used.blocks++;
	j->arena.used.bytes += bytes;
}

static int slab_walk(struct jemalloc *j, const struct extent *extent)
{
	uint64_t step = j->sizes[extent->class], count = extent->size / step;
	uint8_t bitmap[REGIONS_MAX / 8];
	unsigned free = 0;

	if (count > REGIONS_MAX || !reader_copy(j->reader, extent->at + SLAB_BITMAP, bitmap,
						(size_t)(count + 63) / 64 * 8))
		return leak_refuse(j->allocator, "a slab of %" PRIu64 " regions", count);
	for (unsigned i = 0; i < count; i++) {
		int code;

		if (bitmap[i / 8] >> i % 8 & 1) {
			free++;
			leak_add_free(j->leak, &j->arena, step, 0, 0);
			continue;
		}
		code = leak_add(j->leak, extent->addr + i * step, step);
		if (code)
			return code;
		count_used(j, step);
	}
	j->allocator->in_flight += free != extent->free;
	return 0;
}

static int extent_walk(struct jemalloc *j, const struct extent *extent)
{
	taddr_t page = extent->addr & ~(taddr_t)(PAGE - 1), base = extent->at & -(taddr_t)BASE;
	int code = leak_note_heap(j->leak, page, page + extent->size);

	if (!code)
		code = leak_note_heap(j->leak, base,
				      base + BASE); /* (extents lie in metadata) */
	if (code)
		return code;
	if (extent->slab)
		code = slab_walk(j, extent);
	else
		code = leak_add(j->leak, extent->addr, j->sizes[extent->class]);
	if (!code && !extent->slab)
		count_used(j, j->sizes[extent->class]);
	j->arena.system += extent->size;
	if (code == -EEXIST || code == -EINVAL)
		return leak_refuse(j->allocator, "an extent that can't be at " TADDR_FORMAT,
				   extent->addr);
	return code ? code : leak_tick(j->leak, LEAK_STEP_ENUMERATE, j->leak->pending, 0);
}

/* Pages that it keeps: they are its own to give back, and no roots. */
static void free_extent(struct jemalloc *j, const struct extent *extent)
{
	taddr_t page = extent->addr & ~(taddr_t)(PAGE - 1);

	if ((extent->state != DIRTY && extent->state != MUZZY) ||
	    extent->addr >> 30 != j->number || !extent->size || page != extent->addr ||
	    leak_note_heap(j->leak, page, page + extent->size))
		return; /* (an old entry) */
	j->arena.system += extent->size;
	leak_add_free(j->leak, &j->arena, extent->size, page, page + extent->size);
}

static int visit(struct leak *leak, void *arg, taddr_t at, const uint8_t *bytes, size_t len)
{
	struct jemalloc *j = arg;
	struct extent extent;
	size_t i = 0;

	(void)leak;
	while (next_extent(j, at, bytes, len, &i, &extent)) {
		int code;

		if (extent.state != ACTIVE) {
			free_extent(j, &extent);
			continue;
		}
		if (!extent.agrees || extent.addr >> 30 != j->number) {
			j->allocator->in_flight++;
			continue;
		}
		code = extent_walk(j, &extent);
		if (code || refused(j->allocator))
			return code ? code : 1;
	}
	return 0;
}

static int walk(struct jemalloc *j)
{
	uint64_t unread = 0;

	for (taddr_t i = 0; i < FAN; i++) {
		int code;

		j->leaf_begin = reader_word_or_0(j->reader, j->root + 8 * i);
		if (!j->leaf_begin)
			continue;
		j->number = i;
		code = leak_scan(j->leak, j->leaf_begin, j->leaf_begin + LEAF_BYTES, visit, j,
				 &unread);
		if (code)
			return code == 1 ? 0 : code;
		code = leak_note_heap(j->leak, j->leaf_begin, j->leaf_begin + LEAF_BYTES);
		if (code)
			return code;
	}
	return unread ? leak_refuse(j->allocator, "some of its tables could not be read") : 0;
}

/* ---- caches of threads ---------------------------------------------------------------- */

/* A bin: `count` blocks from `first` on; false: it is none. */
static bool bin_read(struct jemalloc *j, taddr_t at, taddr_t *first, unsigned *count)
{
	const uint8_t *b = reader_bytes(j->reader, at, 24);
	taddr_t head;

	if (!b)
		return false;
	if (j->row ==
	    &rows[0]) { /* stack_head, requests, low_water, full, empty (low 16 bits) */
		unsigned low = u32_at(b + 16) & 0xffff, full = u32_at(b + 16) >> 16;
		unsigned empty = u32_at(b + 20) & 0xffff, most = (empty - full) & 0xffff;
		unsigned bytes;

		head = *first = word_at(b, 8);
		bytes = (unsigned)(empty - head) & 0xffff;
		*count = bytes / 8;
		if (!most || most % 8 || bytes % 8 || bytes > most || most > 8 * BINS_CACHED ||
		    ((empty - low) & 0xffff) > most)
			return false;
	} else { /* low_water, ncached, requests, avail: behind the last one */
		int32_t low = (int32_t)u32_at(b), cached = (int32_t)u32_at(b + 4);

		head = word_at(b + 16, 8);
		if (cached < 0 || cached > BINS_CACHED || low < -1 || low > cached)
			return false;
		*count = (unsigned)cached;
		*first = head - 8 * (taddr_t)*count;
	}
	return head && head % 8 == 0 && !(head >> 48);
}

/* Takes a bin's blocks away, if all of them are blocks. */
static int bin_drop(struct jemalloc *j, taddr_t at)
{
	taddr_t first;
	unsigned count;

	if (!bin_read(j, at, &first, &count) || !maps_find(j->leak->in.maps, first))
		return 0;
	for (unsigned i = 0; i < count; i++)
		if (!index_has(&j->leak->index, reader_word_or_0(j->reader, first + 8 * i)))
			return 0;
	for (unsigned i = 0; i < count; i++) {
		leak_drop(j->leak, reader_word_or_0(j->reader, first + 8 * i));
		j->allocator->cached.blocks++;
	}
	return leak_push(j->leak, &j->stacks, first) ? 0 : -ENOMEM;
}

static int caches_drop(struct jemalloc *j)
{
	uint64_t span = leak_tls_size(j->leak) + PAGE;

	for (size_t i = 0; i < j->leak->in.thread_count; i++) {
		taddr_t tp = j->leak->in.threads[i].tp & j->leak->tag_mask & ~(taddr_t)7;

		/* (bins are as far from each other as they are long, from the first one on) */
		for (taddr_t at = tp - span; tp && at < tp + span; at += 8) {
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

	return *x < *y ? -1 : *x > *y;
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

static int enumerate(struct jemalloc *j)
{
	int code;

	strcpy(j->allocator->name, "jemalloc");
	strcpy(j->allocator->version, j->row->version);
	code = walk(j);
	if (code || refused(j->allocator))
		return code;
	if (j->allocator->in_flight > 2 * j->leak->in.thread_count)
		return leak_refuse(j->allocator, "%u extents contradict themselves",
				   j->allocator->in_flight);
	code = caches_drop(j);
	stacks_drop(j);
	return code	? code
	       : leak_push(j->leak, &j->leak->arenas, j->arena) ? 0 : -ENOMEM;
}

int jemalloc_enumerate(struct leak *leak, const struct data *data, struct leak_allocator *ret)
{
	struct jemalloc j = {.leak = leak, .allocator = ret, .reader = &leak->jump};
	int code;

	if (leak->in.cpu.word != 8 || data->len < LEAF_BYTES)
		return 0;
	sizes_fill(j.sizes);
	if (!root_find(&j, data))
		return 0;
	if (leak->index.shift > 3) /* regions of 8 bytes */
		return -EDOM;
	j.arena.allocator = (uint32_t)leak->allocators.len;
	j.arena.addr = j.root;
	code = enumerate(&j);
	leak_give(leak, j.stacks.at, j.stacks.cap, sizeof(*j.stacks.at));
	return code;
}
