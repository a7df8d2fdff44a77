/* The steps one after the other, the memory that they may take, and what is known behind them.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "heap/leak/parts.h"

enum { STREAM = 256 << 10, JUMP = 4096, JUMPS = 64 };

/* ---- memory of ours ---------------------------------------------------------------- */

static bool may_take(struct leak *leak, uint64_t bytes)
{
	if (leak->in.memory_limit && leak->held + bytes > leak->in.memory_limit)
		return false;
	leak->held += bytes;
	if (leak->held > leak->totals.own_bytes)
		leak->totals.own_bytes = leak->held;
	return true;
}

void *leak_take(struct leak *leak, uint64_t count, size_t size)
{
	void *at;

	if (count > SIZE_MAX / size || !may_take(leak, count * size))
		return NULL;
	at = calloc(count ? (size_t)count : 1, size);
	if (!at)
		leak->held -= count * size;
	return at;
}

void leak_give(struct leak *leak, void *at, uint64_t count, size_t size)
{
	if (at)
		leak->held -= count * size;
	free(at);
}

bool leak_grow_(struct leak *leak, void **at, size_t *cap, size_t want, size_t size)
{
	size_t grown = *cap;

	if (want <= *cap)
		return true;
	/* (by half where it is large: what is asked for counts as held, touched or not) */
	if (grown > (1 << 20) && want <= grown + grown / 2)
		want = grown + grown / 2;
	else if (want < 2 * grown)
		want = 2 * grown;
	if (want < 8)
		want = 8;
	if (want > SIZE_MAX / size || !may_take(leak, (uint64_t)(want - grown) * size))
		return false;
	if (want > *cap) {
		void *bytes = realloc(*at, want * size);

		if (!bytes) {
			leak->held -= (uint64_t)(want - grown) * size;
			return false;
		}
		*at = bytes;
		*cap = want;
	}
	return true;
}

void leak_trim_(struct leak *leak, void **at, size_t *cap, size_t len, size_t size)
{
	void *bytes = len ? realloc(*at, len * size) : NULL;

	if (!bytes)
		return;
	leak->held -= (uint64_t)(*cap - len) * size;
	*at = bytes;
	*cap = len;
}

int leak_no_memory(const struct leak *leak, struct err *err)
{
	if (leak->in.memory_limit)
		return err_set(err, -ENOMEM,
			       "more than the %" PRIu64 " MB that may be used would be needed",
			       leak->in.memory_limit >> 20);
	return err_set(err, -ENOMEM, "out of memory, with %" PRIu64 " MB in use",
		       leak->held >> 20);
}

int leak_tick(struct leak *leak, enum leak_step step, uint64_t done, uint64_t total)
{
	if (!leak->in.progress || ++leak->ticks % 256)
		return 0;
	return leak->in.progress(leak->in.progress_arg, step, done, total) ? 0 : -ECANCELED;
}

/* ---- sizes ------------------------------------------------------------------------- */

uint64_t leak_size(const struct leak *leak, uint32_t block)
{
	size_t low = 0, high = leak->giants.len;

	if (leak->sizes[block] != GIANT)
		return leak->sizes[block];
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (leak->giants.at[middle].block < block)
			low = middle + 1;
		else
			high = middle;
	}
	return leak->giants.at[low].size;
}

static int compare_giants(const void *a, const void *b)
{
	const struct giant *x = a, *y = b;

	return x->block < y->block ? -1 : x->block > y->block;
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
		const struct pending *p =
			&leak->pieces.at[i / PENDING_PIECE]->at[i % PENDING_PIECE];
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

/* ---- blocks that memtrace has seen ------------------------------------------------- */

static int compare_live(const void *a, const void *b)
{
	const struct leak_live *x = a, *y = b;

	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

static bool in_a_heap(const struct leak *leak, taddr_t addr)
{
	size_t low = 0, high = leak->heaps.len;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (leak->heaps.at[middle].end <= addr)
			low = middle + 1;
		else
			high = middle;
	}
	return low < leak->heaps.len && leak->heaps.at[low].begin <= addr;
}

static bool live_sort(struct leak *leak)
{
	size_t count = leak->in.live_count;

	leak->live = leak_take(leak, count, sizeof(*leak->live));
	if (!leak->live)
		return false;
	if (count) {
		memcpy(leak->live, leak->in.live, count * sizeof(*leak->live));
		qsort(leak->live, count, sizeof(*leak->live), compare_live);
	}
	for (size_t i = 0; i < count; i++) {
		if (index_has(&leak->index, leak->live[i].addr))
			leak->totals.live_found++;
		else if (in_a_heap(leak, leak->live[i].addr))
			leak->totals.live_missed++;
	}
	return true;
}

static uint32_t context_of(const struct leak *leak, taddr_t addr)
{
	struct leak_live key = {.addr = addr};
	const struct leak_live *found = leak->in.live_count
						? bsearch(&key, leak->live, leak->in.live_count,
							  sizeof(*leak->live), compare_live)
						: NULL;

	return found ? found->context : 0;
}

/* ---- all in all -------------------------------------------------------------------- */

static int run(struct leak *leak, struct err *err)
{
	int code = leak_enumerate(leak, err);

	if (!code)
		code = leak_index(leak, err);
	if (!code && !live_sort(leak))
		code = leak_no_memory(leak, err);
	if (!code)
		code = leak_find_stacks(leak, err);
	if (!code)
		code = leak_find_roots(leak, err);
	if (!code)
		code = leak_find_edges(leak, err);
	if (!code)
		code = leak_mark(leak, err);
	return code ? code : leak_group(leak, err);
}

int leak_create(const struct leak_input *input, struct leak **ret, struct err *err)
{
	struct leak *leak = calloc(1, sizeof(*leak));
	uint8_t word = input->cpu.word;
	int code;

	if (!leak)
		return err_set(err, -ENOMEM, "out of memory");
	leak->in = *input;
	leak->tag_mask = UINT64_MAX >> input->cpu.tag_bits;
	index_init(&leak->index, 2 * word);
	leak->held = leak->index.bytes + STREAM + JUMP * JUMPS;
	if (reader_init(&leak->stream, input->memory, input->maps, word, STREAM, 1) &&
	    reader_init(&leak->jump, input->memory, input->maps, word, JUMP, JUMPS))
		code = run(leak, err);
	else
		code = err_set(err, -ENOMEM, "out of memory");
	if (code) {
		leak_destroy(leak);
		return code;
	}
	*ret = leak;
	return 0;
}

void leak_destroy(struct leak *leak)
{
	if (!leak)
		return;
	for (size_t i = 0; i < leak->pieces.len; i++)
		free(leak->pieces.at[i]);
	vec_deinit(&leak->pieces);
	reader_deinit(&leak->stream);
	reader_deinit(&leak->jump);
	index_deinit(&leak->index);
	vec_deinit(&leak->allocators);
	vec_deinit(&leak->arenas);
	vec_deinit(&leak->heaps);
	vec_deinit(&leak->giants);
	vec_deinit(&leak->roots);
	vec_deinit(&leak->edges);
	vec_deinit(&leak->groups);
	vec_deinit(&leak->stacks);
	free(leak->sizes);
	free(leak->first);
	free(leak->state);
	free(leak->parent);
	free(leak->order);
	free(leak->live);
	free(leak);
}

const struct leak_totals *leak_totals(const struct leak *leak)
{
	return &leak->totals;
}

const struct leak_allocator *leak_allocators(const struct leak *leak, size_t *count)
{
	*count = leak->allocators.len;
	return leak->allocators.at;
}

const struct leak_arena *leak_arenas(const struct leak *leak, size_t *count,
				     struct leak_sum *mapped)
{
	*count = leak->arenas.len;
	if (mapped)
		*mapped = leak->mapped;
	return leak->arenas.at;
}

uint32_t leak_count(const struct leak *leak)
{
	return leak->count;
}

void leak_block(const struct leak *leak, uint32_t index, struct leak_block *ret)
{
	uint8_t state = leak->state[index];

	*ret = (struct leak_block){
		.addr = index_addr(&leak->index, index),
		.size = leak_size(leak, index),
		.class = state & STATE_HELD	? LEAK_HELD
			 : state & STATE_LEADER ? LEAK_LOST
						: LEAK_LOST_THROUGH,
		.interior = (state & (STATE_HELD | STATE_EXACT)) == STATE_HELD,
		.leader = state & (STATE_HELD | STATE_LEADER) ? LEAK_NONE : leak->parent[index],
	};
	ret->context = context_of(leak, ret->addr);
}

uint32_t leak_find(const struct leak *leak, taddr_t addr)
{
	uint32_t target = leak_target(leak, addr);

	return target == LEAK_NONE ? LEAK_NONE : target & ~LEAK_INTERIOR;
}
