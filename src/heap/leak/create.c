/* The steps one after the other, and what is known behind them. */
#include <errno.h>
#include <string.h>

#include "base/order.h"
#include "heap/leak/parts.h"

enum { STREAM = 256 << 10, JUMP = 4096, JUMPS = 64 };

const char *leak_step_name(enum leak_step step)
{
	static const char *const names[] = {
		[LEAK_STEP_ENUMERATE] = "finding blocks",
		[LEAK_STEP_ROOTS] = "reading roots",
		[LEAK_STEP_EDGES] = "following pointers",
		[LEAK_STEP_MARK] = "marking what is held",
	};

	return names[step];
}

/* ---- blocks that memtrace has seen ------------------------------------------------- */

static int compare_live(const void *a, const void *b)
{
	const struct leak_live *x = a, *y = b;

	return order_u64(x->addr, y->addr);
}

static bool in_a_heap(const struct leak *leak, taddr_t addr)
{
	size_t low = order_count(leak->heaps.len, i, leak->heaps.at[i].end <= addr);

	return low < leak->heaps.len && leak->heaps.at[low].begin <= addr;
}

static void live_count(struct leak *leak)
{
	for (size_t i = 0; i < leak->in.live_count; i++) {
		taddr_t addr = leak->in.live[i].addr;

		if (index_has(&leak->index, addr))
			leak->totals.live_found++;
		else if (in_a_heap(leak, addr))
			leak->totals.live_missed++;
	}
}

static const struct leak_live *live_of(const struct leak *leak, taddr_t addr)
{
	struct leak_live key = {.addr = addr};

	return leak->in.live_count ? bsearch(&key, leak->in.live, leak->in.live_count,
					     sizeof(*leak->in.live), compare_live)
				   : NULL;
}

/* ---- all in all -------------------------------------------------------------------- */

static int run(struct leak *leak, struct err *err)
{
	int code = leak_enumerate(leak, err);

	if (!code)
		code = leak_index(leak, err);
	if (!code)
		live_count(leak);
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
	vec_deinit(&leak->hand_words);
	vec_deinit(&leak->doubts);
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

static void block_fill(const struct leak *leak, uint32_t index, taddr_t addr,
		       const struct leak_live *live, struct leak_block *ret)
{
	uint8_t state = leak->state[index];

	*ret = (struct leak_block){
		.addr = addr,
		.size = leak_size(leak, index),
		.class = state & STATE_HELD	? LEAK_HELD
			 : state & STATE_LEADER ? LEAK_LOST
						: LEAK_LOST_THROUGH,
		.interior = (state & (STATE_HELD | STATE_EXACT)) == STATE_HELD,
		.doubted = !(state & STATE_HELD) && leak_doubted(leak, addr),
		.leader = state & (STATE_HELD | STATE_LEADER) ? LEAK_NONE : leak->parent[index],
		.context = live ? live->context : 0,
		.asked = live ? live->size : 0,
	};
}

void leak_block(const struct leak *leak, uint32_t index, struct leak_block *ret)
{
	taddr_t addr = index_addr(&leak->index, index);

	block_fill(leak, index, addr, live_of(leak, addr), ret);
}

bool leak_for_each_block(const struct leak *leak,
			 bool (*visit)(void *arg, uint32_t index, const struct leak_block *block),
			 void *arg)
{
	const struct leak_live *live = leak->in.live, *end = live + leak->in.live_count;
	struct index_walk walk;
	struct leak_block block;
	uint32_t index = 0;
	taddr_t addr;

	for (index_walk_init(&walk, &leak->index); index_walk_next(&walk, &addr); index++) {
		while (live < end && live->addr < addr)
			live++;
		block_fill(leak, index, addr, live < end && live->addr == addr ? live : NULL,
			   &block);
		if (!visit(arg, index, &block))
			return false;
	}
	return true;
}

uint32_t leak_find(const struct leak *leak, taddr_t addr)
{
	uint32_t target = leak_target(leak, addr);

	return target == LEAK_NONE ? LEAK_NONE : target & ~LEAK_INTERIOR;
}
