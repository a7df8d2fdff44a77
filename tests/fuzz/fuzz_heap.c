/*
 * A heap that is broken: a made-up process of glibc's, musl's (the old one's, too) or jemalloc's
 * (tests/unit/heap_case.h), in which the input changes bytes.
 *
 *   input: which heap u8; then changes, {where u16, bytes from there on: a length u8 and the
 * bytes}: below 0x2000 in the heap, from there on in the data of the libc; of jemalloc's below 0x1000 in
 * what describes it, to 0x1800 in a leaf of its tree, from 0x2000 on in the caches
 *
 * What is held: an end, within bounded reading; a refusal in words, or blocks that are mapped,
 * with sums that are theirs; and the queries about each of them answer.
 */
#include "base/cursor.h"
#include "fuzz.h"
#include "../unit/heap_case.h"

enum { READS_MAX = 1000000, IN_DATA = 0x2000 };

static void change(struct case_piece *heap, struct case_piece *data, const uint8_t *input,
		   size_t size)
{
	struct cursor c = cursor_over(input, size);

	while (cursor_left(&c) > 3) {
		uint16_t where = cursor_u16(&c);
		struct case_piece *piece = where < IN_DATA ? heap : data;
		size_t at = where % IN_DATA, len = cursor_u8(&c);
		const uint8_t *bytes;

		if (len > cursor_left(&c))
			len = cursor_left(&c);
		bytes = cursor_bytes(&c, len);
		if (bytes && at + len <= piece->len)
			memcpy(piece->bytes + at, bytes, len);
	}
}

static void ask(struct leak *leak, uint32_t block)
{
	struct leak_link links[4];
	struct leak_place places[4];
	struct leak_content content;
	struct leak_sum sum;
	struct leak_block b;

	leak_block(leak, block, &b);
	leak_content(leak, block, &content);
	assert(memchr(content.text, 0, sizeof(content.text)));
	assert((leak_why(leak, &block, 1, links, 4, NULL) > 0) == (b.class == LEAK_HELD));
	leak_who(leak, b.addr, places, 4);
	assert(leak_retained(leak, &block, 1, &sum) && sum.blocks >= 1);
}

static void look(struct heap_case *c)
{
	struct leak *leak = NULL;
	struct err err = {0};
	struct leak_sum sums[LEAK_CLASSES] = {{0}};

	c->in.memory_limit = 64 << 20;
	if (leak_create(&c->in, &leak, &err)) {
		assert(err.code < 0 && err.text[0] && c->reads < READS_MAX);
		return;
	}
	for (uint32_t i = 0; i < leak_count(leak); i++) {
		struct leak_block b;
		const struct mapping *mapping;

		leak_block(leak, i, &b);
		mapping = maps_find(&c->maps, b.addr);
		assert(mapping && b.size <= mapping->end - b.addr);
		sums[b.class].blocks++;
		sums[b.class].bytes += b.size;
		if (i < 8)
			ask(leak, i);
	}
	assert(!memcmp(sums, leak_totals(leak)->classes, sizeof(sums)));
	assert(c->reads < READS_MAX);
	leak_destroy(leak);
}

static void glibc(unsigned version, const uint8_t *data, size_t size)
{
	struct glibc_heap h;
	taddr_t cache, blocks[8];

	glibc_heap_init(&h, &glibc_versions[version % GLIBC_VERSIONS]);
	cache = h.v->cache_counts ? glibc_heap_cache(&h) : 0;
	for (unsigned i = 0; i < 8; i++)
		blocks[i] = glibc_heap_add(&h, 8 * h.v->word);
	glibc_heap_free(&h, blocks[1]);
	if (cache) {
		glibc_heap_cache_put(&h, cache, blocks[3]);
		glibc_heap_cache_put(&h, cache, blocks[4]);
	}
	if (h.v->fast)
		glibc_heap_fast_put(&h, blocks[5]);
	glibc_heap_map(&h, 0x3000, 0);
	case_put(&h.c, blocks[0], blocks[2]);
	case_put(&h.c, heap_global(&h, 0), blocks[0]);
	change(&h.c.pieces[0], &h.c.pieces[3], data, size);
	look(&h.c);
	case_deinit(&h.c);
}

static void musl(unsigned kind, const uint8_t *data, size_t size)
{
	struct musl_heap h;

	musl_heap_init(&h, kind & 1 ? 4 : 8, kind & 2);
	case_put(&h.c, h.blocks[0], h.blocks[5]);
	case_put(&h.c, case_data(&h.c) + CASE_GLOBALS, h.blocks[0]);
	change(&h.c.pieces[0], &h.c.pieces[2], data, size);
	look(&h.c);
	case_deinit(&h.c);
}

static void musl_old(unsigned kind, const uint8_t *data, size_t size)
{
	struct old_heap h;

	old_heap_init(&h, kind & 1 ? 4 : 8);
	case_put(&h.c, h.blocks[0], h.blocks[2]);
	case_put(&h.c, case_data(&h.c) + CASE_GLOBALS, h.blocks[0]);
	change(&h.c.pieces[0], &h.c.pieces[3], data, size);
	look(&h.c);
	case_deinit(&h.c);
}

/* (32 bits: a leaf of 64 takes 2 MB) */
static void jemalloc(unsigned kind, const uint8_t *data, size_t size)
{
	struct je_heap h;
	struct case_piece words, caches;

	je_heap_init(&h, &je_versions[4 + (kind & 3)]);
	case_put(&h.c, case_data(&h.c) + CASE_GLOBALS, h.blocks[0]);
	case_put(&h.c, h.blocks[0], h.blocks[6]);
	words = (struct case_piece){.len = 0x2000, .bytes = case_at(&h.c, h.base + 0x1000)};
	memcpy(words.bytes + 0x1000, case_at(&h.c, h.leaf), 0x800);
	caches = (struct case_piece){.len = 0x1000, .bytes = case_at(&h.c, h.c.thread.tp - 0x800)};
	change(&words, &caches, data, size);
	memcpy(case_at(&h.c, h.leaf), words.bytes + 0x1000, 0x800);
	look(&h.c);
	case_deinit(&h.c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	if (data[0] < 0x80)
		glibc(data[0], data + 1, size - 1);
	else if (data[0] >= 0xe0)
		jemalloc(data[0], data + 1, size - 1);
	else if (data[0] >= 0xc0)
		musl_old(data[0], data + 1, size - 1);
	else
		musl(data[0], data + 1, size - 1);
	return 0;
}
