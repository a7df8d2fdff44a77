/*
 * The blocks of jemalloc 5.2 and 5.3; see jemalloc_parts.h for how they lie.
 *
 * The entry of an extent's first page and the extent say the same twice: page and address, size
 * class, slab or not (those of other pages may be old); a slab counts its free regions beside
 * the bitmap.  That tells the root among all words of .bss, and the release, and is the check
 * of the walk.  Taken away again: what threads' caches hold (jemalloc_cache.c), and the caches' own
 * arrays, which are full of old pointers.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "heap/leak/jemalloc_parts.h"
#include "heap/leak/obtained_parts.h"

enum {
	HOPELESS = 256,	    /* entries of what is no leaf */
	REGIONS_MAX = 8192, /* of a slab: bytes of a page by 8 */
	BASE = 2 << 20, /* blocks of metadata are such, and aligned to it */
};

/* include/jemalloc/internal/{edata,rtree,bitmap,sc}.h of 5.3.0, {extent_structs,rtree}.h of 5.2.1 */
static const struct jemalloc_row rows[] = {
	{"5.3", 8, 12, 18, 8, 17, 3, 20, 8, 10, 7, 64, true},
	{"5.2", 8, 12, 18, 8, 16, 2, 18, 8, 10, 1, 64, false},
	{"5.3", 8, 16, 16, 8, 17, 3, 20, 8, 14, 7, 64, true},
	{"5.2", 8, 16, 16, 8, 16, 2, 18, 8, 14, 1, 64, false},
	{"5.3", 4, 12, 10, 8, 17, 3, 20, 7, 10, 7, 48, true},
	{"5.2", 4, 12, 10, 12, 16, 2, 18, 7, 10, 3, 40, false},
	{"5.3", 4, 16, 8, 8, 17, 3, 20, 7, 14, 7, 48, true},
	{"5.2", 4, 16, 8, 12, 16, 2, 18, 7, 14, 3, 40, false},
};

static uint64_t page_size(const struct jemalloc *j)
{
	return 1ull << j->row->page_shift;
}

static uint64_t leaf_bytes(const struct jemalloc *j)
{
	return (uint64_t)j->row->entry_bytes << j->row->fan_bits;
}

struct extent {
	taddr_t at, addr;
	uint64_t size;
	unsigned class, free, state;
	bool slab;
	bool agrees; /* it and the entry say the same, of one in use */
	bool purged; /* active, and of no class: taken from the free ones, to be given back */
};

/* 8, four by the quantum (16 bytes; 8 on 32-bit ARM), then four to each doubling (size classes, sc.c,
 * quantum.h). */
static void sizes_fill(uint64_t *sizes, unsigned quantum)
{
	unsigned n = 0;

	if (quantum > 8)
		sizes[n++] = 8;
	for (unsigned i = 1; i <= 4; i++)
		sizes[n++] = i * quantum;
	for (uint64_t base = 4 * quantum; n < JEMALLOC_CLASSES; base *= 2)
		for (unsigned i = 1; i <= 4 && n < JEMALLOC_CLASSES; i++)
			sizes[n++] = base + i * (base / 4);
}

enum { ACTIVE, DIRTY, MUZZY }; /* extent states: in use; free, with content or maybe so */

/* SC_NSIZES, the number behind the last class: of one that would be half of all memory, or more. */
static bool is_no_class(const struct jemalloc *j, unsigned class)
{
	return class >= JEMALLOC_CLASSES || (j->row->word == 4 && j->sizes[class] >> 31);
}

/* What the entry of a page leads to.  False: nothing, or an extent that does not begin there. */
static bool extent_read(struct jemalloc *j, const struct jemalloc_entry *entry, uint64_t page,
			struct extent *ret)
{
	const struct jemalloc_row *row = j->row;
	const uint8_t *head;
	uint64_t bits;

	ret->at = entry->extent;
	/* (of what is no leaf, nearly all; the smallest blocks are in slabs) */
	if (j->sampling &&
	    ((!entry->class && !entry->slab) || !maps_find(j->leak->in.maps, ret->at)))
		return false;
	head = ret->at ? reader_bytes(j->reader, ret->at, 8 + 2 * row->word) : NULL;
	if (!head)
		return false;
	bits = word_at(head, 8);
	ret->addr = word_at(head + 8, row->word);
	if ((ret->addr >> row->page_shift & ((1u << row->fan_bits) - 1)) != page)
		return false;
	ret->state = bits >> row->state_shift & ((1u << row->state_bits) - 1);
	ret->size = word_at(head + 8 + row->word, row->word) & ~(page_size(j) - 1);
	ret->class = bits >> row->class_shift & ((1u << row->class_bits) - 1);
	ret->free = bits >> (row->class_shift + row->class_bits) & ((1u << row->free_bits) - 1);
	ret->slab = bits >> 12 & 1;
	ret->agrees = entry->slab == ret->slab && entry->class == ret->class &&
		      ret->class < JEMALLOC_CLASSES && ret->size;
	ret->purged = ret->state == ACTIVE && entry->class == ret->class && !ret->slab &&
		      is_no_class(j, ret->class);
	return true;
}

/* The next extent that bytes of a leaf, which are at `at`, lead to from *i on, which is then
 * behind its entry. */
static bool next_extent(struct jemalloc *j, taddr_t at, const uint8_t *bytes, size_t len,
			size_t *i, struct extent *ret)
{
	unsigned step = j->row->entry_bytes;

	while (*i + step <= len) {
		uint64_t page = (at + *i - j->leaf_begin) / step;
		struct jemalloc_entry entry = jemalloc_entry(j, bytes + *i);

		*i += step;
		if (!entry.extent)
			continue;
		if (j->sampling && !j->good && j->looked++ == HOPELESS)
			return false;
		if (extent_read(j, &entry, page, ret))
			return true;
	}
	return false;
}

/* As leak_scan() of the leaf; entries of 12 bytes go over the edges of its pieces, and come in pieces
 * of their own, one by one where not all of a leaf can be read. */
static int leaf_scan(struct jemalloc *j, scan_visit *visit, uint64_t *unread)
{
	enum { PIECE = 256 };
	unsigned step = j->row->entry_bytes;
	taddr_t at = j->leaf_begin, end = at + leaf_bytes(j);
	uint8_t entries[PIECE * JEMALLOC_ENTRY];
	size_t most = (size_t)PIECE * step;
	int code = 0;

	if (step == j->row->word)
		return leak_scan(j->leak, at, end, visit, j, unread);
	while (at < end && !code) {
		size_t len = end - at < most ? (size_t)(end - at) : most;

		if (reader_copy(j->reader, at, entries, len)) {
			code = visit(j->leak, j, at, entries, len);
		} else if (most > step) {
			most = step;
			continue;
		} else {
			*unread += step;
		}
		at += len;
	}
	return code;
}

/* ---- the root ------------------------------------------------------------------------- */

enum { SAMPLE = 256 };

static int sample(struct leak *leak, void *arg, taddr_t at, const uint8_t *bytes, size_t len)
{
	struct jemalloc *j = arg;
	struct extent extent;
	size_t i = 0;

	(void)leak;
	while (next_extent(j, at, bytes, len, &i, &extent)) {
		if (extent.state != ACTIVE || extent.purged)
			continue;
		if (extent.agrees && (!j->good || jemalloc_leaf(j, extent.addr) == j->number)) {
			j->number = jemalloc_leaf(j, extent.addr);
			j->good++;
		} else {
			j->bad++;
		}
		if (j->good + j->bad == SAMPLE)
			return 1;
	}
	return j->looked > HOPELESS;
}

static bool is_leaf(struct jemalloc *j, taddr_t leaf)
{
	const struct mapping *mapping = maps_find(j->leak->in.maps, leaf);
	uint64_t unread = 0;

	if (!mapping || !mapping_is_anonymous(mapping) || leaf % 64 ||
	    mapping->end - leaf < leaf_bytes(j))
		return false;
	j->good = j->bad = j->looked = 0;
	j->sampling = true;
	j->leaf_begin = leaf;
	leaf_scan(j, sample, &unread);
	j->sampling = false;
	return j->good > 2 && j->good > 2 * j->bad && j->number < 1u << j->row->fan_bits;
}

/* Is a leaf's address at offset `at` of data one of a root's? */
static bool is_root(struct jemalloc *j, const struct data *data, size_t at, taddr_t leaf)
{
	unsigned word = j->leak->in.cpu.word;

	for (size_t r = 0; r < ARRAY_SIZE(rows); r++) {
		j->row = &rows[r];
		if (j->row->word != word || data->len >> j->row->fan_bits < word ||
		    !is_leaf(j, leaf) || j->number * word > at)
			continue;
		j->root = data->begin + at - j->number * word;
		return true;
	}
	return false;
}

/* Is what lies at `at` in data nothing, or the address of a leaf by its looks, as all of a root is? */
static bool is_like_root(const struct data *data, size_t at, unsigned word)
{
	return at >= data->len || word > data->len - at || word_at(data->bytes + at, word) % 64 == 0;
}

static bool root_find(struct jemalloc *j, const struct data *data)
{
	enum { TRIES = 256 };
	unsigned tries = 0, word = j->leak->in.cpu.word;

	for (size_t at = -data->begin % word; at + word <= data->len && tries < TRIES; at += word) {
		taddr_t leaf = word_at(data->bytes + at, word);

		if (!leaf || leaf % 64 || leaf >> 48 || !is_like_root(data, at - word, word) ||
		    !is_like_root(data, at + word, word) || !maps_find(j->leak->in.maps, leaf))
			continue;
		tries++;
		if (is_root(j, data, at, leaf))
			return true;
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

	if (count > REGIONS_MAX || !reader_copy(j->reader, extent->at + j->row->bitmap, bitmap,
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
	taddr_t page = extent->addr & ~(page_size(j) - 1), base = extent->at & -(taddr_t)BASE;
	int code = leak_note_heap(j->leak, page, page + extent->size);

	if (!code)
		code = leak_note_heap(j->leak, base,
				      base + BASE); /* (extents lie in metadata) */
	if (code)
		return code;
	if (extent->slab)
		code = slab_walk(j, extent);
	else if (leak_in_hand(j->leak, extent->at) && !leak_doubt(j->leak, extent->addr, extent->addr + 1))
		return -ENOMEM;
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

/* Pages that it keeps.  False: an old entry. */
static bool is_kept(const struct jemalloc *j, const struct extent *extent)
{
	return (extent->state == DIRTY || extent->state == MUZZY || extent->purged) && extent->size &&
	       jemalloc_leaf(j, extent->addr) == j->number &&
	       (extent->addr & (page_size(j) - 1)) == 0;
}

/* They are its own to give back, and no roots. */
static void free_extent(struct jemalloc *j, const struct extent *extent)
{
	taddr_t page = extent->addr;

	if (!is_kept(j, extent) ||
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

		if (extent.state != ACTIVE || extent.purged) {
			free_extent(j, &extent);
			continue;
		}
		if (!extent.agrees || jemalloc_leaf(j, extent.addr) != j->number) {
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

	for (taddr_t i = 0; i < 1u << j->row->fan_bits; i++) {
		int code;

		j->leaf_begin = reader_word_or_0(j->reader, j->root + j->row->word * i);
		if (!j->leaf_begin)
			continue;
		j->number = i;
		code = leaf_scan(j, visit, &unread);
		if (code)
			return code == 1 ? 0 : code;
		code = leak_note_heap(j->leak, j->leaf_begin, j->leaf_begin + leaf_bytes(j));
		if (code)
			return code;
	}
	return unread ? leak_refuse(j->allocator, "some of its tables could not be read") : 0;
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
	code = jemalloc_caches_drop(j);
	return code	? code
	       : leak_push(j->leak, &j->leak->arenas, j->arena) ? 0 : -ENOMEM;
}

int jemalloc_enumerate(struct leak *leak, const struct data *data, struct leak_allocator *ret)
{
	struct jemalloc j = {.leak = leak, .allocator = ret, .reader = &leak->jump};
	int code;

	sizes_fill(j.sizes, leak->in.cpu.word == 8 ? 16 : 8);
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

/* ---- what it has of the kernel ------------------------------------------------------ */

static int add_obtained(struct leak *leak, void *arg, taddr_t at, const uint8_t *bytes, size_t len)
{
	struct jemalloc *j = arg;
	struct extent extent;
	size_t i = 0;

	(void)leak;
	while (next_extent(j, at, bytes, len, &i, &extent))
		if (extent.state == ACTIVE && !extent.purged
			    ? extent.agrees && jemalloc_leaf(j, extent.addr) == j->number
			    : is_kept(j, &extent))
			j->arena.system += extent.size;
	return 0;
}

static bool read_obtained(struct leak *leak, const struct obtained_source *source, uint64_t *bytes)
{
	struct jemalloc j = {
		.leak = leak, .reader = &leak->jump, .root = source->at[0], .row = source->row};
	uint64_t unread = 0;

	for (taddr_t i = 0; i < 1u << j.row->fan_bits && !unread; i++) {
		j.leaf_begin = reader_word_or_0(j.reader, j.root + j.row->word * i);
		j.number = i;
		if (j.leaf_begin)
			leaf_scan(&j, add_obtained, &unread);
	}
	*bytes = j.arena.system;
	return *bytes && !unread;
}

bool jemalloc_obtained(struct leak *leak, const struct data *data, struct obtained_source *ret)
{
	struct jemalloc j = {.leak = leak, .reader = &leak->jump};

	if (!root_find(&j, data))
		return false;
	*ret = (struct obtained_source){read_obtained, {j.root}, j.row};
	return true;
}
