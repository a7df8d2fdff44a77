/* The memory that memtrace and the agent share: against a naive model, by four threads, full,
 * and with any bytes. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "region/counters.h"
#include "region/interned.h"
#include "region/known.h"
#include "region/live.h"
#include "shared_case.h"

enum { PIECES = 64, SHIFT = 4, DEPTH = 64, DEEPEST = 12 };

static struct shared shared;

/* A fixed sequence of numbers (splitmix64), so that a failure comes again. */
static uint64_t next_random(uint64_t *seed)
{
	uint64_t z = *seed += 0x9e3779b97f4a7c15ull;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

static void begin(uint32_t pieces)
{
	assert_true(shared_case_begin(&shared, pieces, SHIFT, DEPTH));
}

/* ---- stacks ---------------------------------------------------------------- */

/* Stack number n: many begin and end alike. */
static size_t stack_make(unsigned n, frame_t *frames, enum walk_end *end)
{
	uint64_t seed = n / 3;
	size_t count = 1 + next_random(&seed) % (DEEPEST - 1);

	for (size_t i = 0; i < count; i++)
		frames[i] = frame_of(1 + next_random(&seed) % 3, next_random(&seed) % 40);
	frames[0] = frame_of(9, 1 + n); /* so all are distinct */
	*end = n % 2 ? WALK_ROOT : WALK_DEPTH;
	return count;
}

static uint32_t stack_intern(unsigned n)
{
	frame_t frames[DEEPEST];
	enum walk_end end;
	size_t count = stack_make(n, frames, &end);

	return interned_context(&shared, frames, count, end);
}

static void stack_check(unsigned n, uint32_t context)
{
	uint32_t node = interned_leaf(&shared, context);
	frame_t frames[DEEPEST];
	struct shared_node is;
	enum walk_end end;
	size_t count = stack_make(n, frames, &end);

	for (size_t i = 0; i < count; i++) {
		assert_true(interned_node(&shared, node, &is));
		assert_true(is.frame == frames[i]);
		if (i == 0)
			assert_int_equal(is.context, context);
		node = is.parent;
	}
	assert_int_equal(node, end);
}

static void test_stacks_are_told_apart(void **state)
{
	enum { STACKS = 3000 };

	(void)state;
	begin(PIECES);
	for (unsigned n = 0; n < STACKS; n++)
		assert_int_equal(stack_intern(n), n + 1);
	for (unsigned n = STACKS; n-- > 0;) {
		assert_int_equal(stack_intern(n), n + 1);
		stack_check(n, n + 1);
	}
	assert_int_equal(interned_contexts(&shared), STACKS + 1);
	assert_int_equal(interned_leaf(&shared, 0), 0);
	assert_int_equal(interned_leaf(&shared, STACKS + 1), 0);
	shared_case_end(&shared);
}

static void test_a_stack_within_another_is_its_own(void **state)
{
	const frame_t frames[] = {frame_of(1, 3), frame_of(1, 2), frame_of(1, 1)};
	uint32_t all, outer;

	(void)state;
	begin(PIECES);
	all = interned_context(&shared, frames, 3, WALK_ROOT);
	outer = interned_context(&shared, frames + 1, 2, WALK_ROOT);
	assert_int_equal(all, 1);
	assert_int_equal(outer, 2);
	assert_int_equal(interned_nodes(&shared), WALK_ENDS + 3);
	assert_int_equal(interned_context(&shared, frames, 3, WALK_DEPTH), 3);
	shared_case_end(&shared);
}

/* ---- live blocks ----------------------------------------------------------- */

enum { SLOTS = 4000 };

static uint64_t model_size[SLOTS];
static uint32_t model_context[SLOTS]; /* 0: not there */

/* Two arenas, far apart. */
static uint64_t slot_addr(unsigned slot)
{
	return (slot % 2 ? 0x7f1234560000ull : 0x560000000000ull) + (uint64_t)slot * 16;
}

static void count_live(void *arg, const struct live_block *block)
{
	unsigned *count = arg, slot = (unsigned)(block->addr & 0xfff0) / 16;

	++*count;
	assert_true(slot < SLOTS && slot_addr(slot) == block->addr);
	assert_int_equal(model_context[slot], block->context);
	assert_true(model_size[slot] == block->size);
}

static unsigned live_count(void)
{
	unsigned count = 0;

	live_for_each(&shared, count_live, &count);
	return count;
}

static void live_step(unsigned slot, uint64_t *seed, unsigned *there)
{
	struct live_block block;
	uint64_t *place;

	assert_int_equal(live_find(&shared, slot_addr(slot), &block), model_context[slot] != 0);
	place = live_place(&shared, slot_addr(slot), 1);
	assert_int_equal(place != NULL, model_context[slot] == 0);
	if (place) {
		model_context[slot] = 1 + next_random(seed) % (LIVE_ELSEWHERE - 1);
		model_size[slot] = next_random(seed) & LIVE_MAX_SIZE;
		live_note(&shared, place, slot_addr(slot), model_context[slot],
			  model_size[slot]);
		++*there;
		return;
	}
	assert_int_equal(block.context, model_context[slot]);
	assert_true(block.size == model_size[slot]);
	live_remove(&block);
	model_context[slot] = 0;
	--*there;
}

static void test_live_blocks(void **state)
{
	uint64_t seed = 1;
	unsigned there = 0;

	(void)state;
	begin(PIECES);
	memset(model_context, 0, sizeof(model_context));
	for (unsigned i = 0; i < 100000; i++)
		live_step((unsigned)(next_random(&seed) % SLOTS), &seed, &there);
	assert_int_equal(live_count(), there);
	assert_true(there > SLOTS / 4);
	assert_null(live_place(&shared, 0, 1));
	assert_null(live_place(&shared, 0x10000, LIVE_MAX_SIZE + 1));
	shared_case_end(&shared);
}

/* Closer than the shift says: the second one is not kept, and no one is taken for it. */
static void test_blocks_that_are_too_close(void **state)
{
	struct live_block block;
	uint64_t *place;

	(void)state;
	begin(PIECES);
	place = live_place(&shared, 0x5008, 1);
	assert_non_null(place);
	assert_true(live_note(&shared, place, 0x5008, 7, 3));
	assert_false(live_note(&shared, place, 0x5000, 8, 3)); /* (both had found it free) */
	assert_null(live_place(&shared, 0x5000, 1));
	assert_false(live_find(&shared, 0x5000, &block));
	assert_true(live_find(&shared, 0x5008, &block));
	assert_int_equal(block.context, 7);
	shared_case_end(&shared);
}

/* ---- full ------------------------------------------------------------------ */

static void test_full_of_nodes_and_contexts(void **state)
{
	frame_t frames[3] = {frame_of(1, 1), frame_of(1, 2), frame_of(1, 3)};

	(void)state;
	begin(PIECES);
	shared_taken(&shared)->nodes = SHARED_NODES - 4;
	assert_int_equal(interned_context(&shared, frames, 3, WALK_ROOT), 1);
	assert_int_equal(interned_context(&shared, frames + 1, 2, WALK_ROOT), 2);
	frames[0] = frame_of(1, 7);
	assert_int_equal(interned_context(&shared, frames, 3, WALK_ROOT), 3);
	frames[0] = frame_of(1, 8);
	assert_false(shared_is_full(&shared, SHARED_PART_NODES));
	assert_int_equal(interned_context(&shared, frames, 3, WALK_ROOT), 0);
	assert_true(shared_is_full(&shared, SHARED_PART_NODES));
	assert_int_equal(interned_context(&shared, frames + 1, 2, WALK_ROOT), 2);
	shared_taken(&shared)->contexts = SHARED_CONTEXTS;
	assert_int_equal(interned_context(&shared, frames + 2, 1, WALK_ROOT), 0);
	assert_true(shared_is_full(&shared, SHARED_PART_CONTEXTS));
	shared_case_end(&shared);
}

static void test_full_of_pieces(void **state)
{
	(void)state;
	begin(2);
	assert_non_null(live_place(&shared, 0x10000, 1));
	assert_non_null(counters_of(&shared, 5, 1));
	assert_false(shared_is_full(&shared, SHARED_PART_PIECES));
	assert_null(counters_of(&shared, 6, 1));
	assert_true(shared_is_full(&shared, SHARED_PART_PIECES));
	assert_null(live_place(&shared, 0x7f0000000000ull, 1));
	assert_non_null(live_place(&shared, 0x10010, 1));
	assert_non_null(counters_of(&shared, 5, 2));
	shared_case_end(&shared);
}

static void test_full_of_chunks(void **state)
{
	struct shared_chunk *directory;

	(void)state;
	begin(PIECES);
	directory = shared_at(&shared, SHARED_DIRECTORY_AT);
	for (unsigned i = 0; i < SHARED_DIRECTORY; i++)
		directory[i].key = UINT32_MAX;
	assert_null(live_place(&shared, 0x10000, 1));
	assert_true(shared_is_full(&shared, SHARED_PART_DIRECTORY));
	shared_case_end(&shared);
}

static void test_full_of_threads(void **state)
{
	uint32_t home = known_thread_home(0x7000);
	uint32_t number;

	(void)state;
	begin(PIECES);
	number = known_thread_set(&shared, 0x7000, 0x1000, 0x2000);
	assert_int_equal(known_thread(&shared, 0x7000), number);
	assert_int_equal(known_thread_set(&shared, 0x7000, 0x1800, 0x2000), number);
	assert_int_equal(known_thread(&shared, 0x7008), KNOWN_NONE);
	assert_int_equal(known_thread(&shared, 0), KNOWN_NONE);
	for (unsigned i = 0; i < KNOWN_PROBES; i++)
		known_place(&shared, home + i)->pointer = 1;
	assert_int_equal(known_thread_set(&shared, 0x7000, 1, 2), KNOWN_NONE);
	shared_case_end(&shared);
}

/* ---- pcs ------------------------------------------------------------------- */

static void test_pcs(void **state)
{
	const struct row row = {.cfa = ROW_CFA_SP, .cfa_offset = 16};
	uint32_t sequence;

	(void)state;
	begin(PIECES);
	sequence = known_sequence(&shared);
	assert_int_equal(sequence % 2, 0);
	for (uint64_t pc = 0x400000; pc < 0x402000; pc += 3)
		assert_true(known_pc_add(&shared, pc, pc % 2, frame_of(2, pc), &row));
	for (uint64_t pc = 0x400000; pc < 0x402000; pc += 3) {
		const struct shared_pc *known = known_pc(&shared, pc, pc % 2);

		assert_non_null(known);
		assert_true(known->frame == frame_of(2, pc));
		assert_int_equal(known->row.cfa_offset, 16);
		assert_null(known_pc(&shared, pc, pc % 2 == 0));
		assert_null(known_pc(&shared, pc + 1, pc % 2));
	}
	known_pcs_forget(&shared);
	for (uint64_t pc = 0x400000; pc < 0x402000; pc += 3)
		assert_null(known_pc(&shared, pc, pc % 2));
	assert_int_equal(known_sequence(&shared), sequence + 2);
	shared_case_end(&shared);
}

/* ---- many at once ---------------------------------------------------------- */

enum { THREADS = 4, STACKS = 5000 };

struct worker {
	pthread_t thread;
	uint32_t number, add;
	uint32_t context[STACKS];
	bool short_of;
};

static pthread_barrier_t together;

static void *worker_run(void *arg)
{
	struct worker *worker = arg;

	pthread_barrier_wait(&together);
	for (unsigned n = 0; n < STACKS; n++) {
		uint32_t context = stack_intern(n);
		struct shared_counters *counters =
			counters_of(&shared, worker->number, context);
		uint64_t addr = 0x600000 + (uint64_t)(n * THREADS + worker->add) * 16;
		uint64_t *place = live_place(&shared, addr, n);

		worker->context[n] = context;
		worker->short_of |= !context || !counters || !place;
		if (worker->short_of)
			break;
		atom_add64(&counters->allocs, 1);
		atom_add64(&counters->allocated_bytes, n + worker->add);
		live_note(&shared, place, addr, context, n);
	}
	return NULL;
}

static void count_all(void *arg, const struct live_block *block)
{
	unsigned *count = arg;

	assert_true(block->size == (block->addr - 0x600000) / 16 / THREADS);
	++*count;
}

static void test_threads_find_the_same(void **state)
{
	static struct worker workers[THREADS];
	struct shared_counters *sums;
	unsigned live = 0;

	(void)state;
	begin(256);
	memset(workers, 0, sizeof(workers));
	assert_int_equal(pthread_barrier_init(&together, NULL, THREADS), 0);
	for (unsigned i = 0; i < THREADS; i++) {
		workers[i].number = known_thread_set(&shared, 0x7000 + i * 64, 1, 2);
		workers[i].add = i;
		assert_int_equal(
			pthread_create(&workers[i].thread, NULL, worker_run, &workers[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(workers[i].thread, NULL);
	pthread_barrier_destroy(&together);
	sums = calloc(interned_contexts(&shared), sizeof(*sums));
	assert_non_null(sums);
	counters_sum(&shared, sums, interned_contexts(&shared));
	for (unsigned n = 0; n < STACKS; n++) {
		uint32_t context = workers[0].context[n];

		for (unsigned i = 0; i < THREADS; i++) {
			assert_false(workers[i].short_of);
			assert_int_equal(workers[i].context[n], context);
		}
		stack_check(n, context);
		assert_int_equal(sums[context].allocs, THREADS);
		assert_int_equal(sums[context].allocated_bytes, THREADS * n + 6);
		assert_int_equal(sums[context].frees, 0);
	}
	live_for_each(&shared, count_all, &live);
	assert_int_equal(live, THREADS * STACKS);
	free(sums);
	shared_case_end(&shared);
}

/* ---- any bytes ------------------------------------------------------------- */

static void scribble(uint64_t from, uint64_t bytes, unsigned words, uint64_t *seed)
{
	for (unsigned i = 0; i < words; i++) {
		uint64_t at = from + next_random(seed) % bytes / 4 * 4;
		uint64_t value = next_random(seed);
		uint32_t word = value >> 62 ? (uint32_t)value : (uint32_t)value % 512;

		memcpy(shared_at(&shared, at), &word, sizeof(word));
	}
}

static void no_more_than_there_are(void *arg, const struct live_block *block)
{
	unsigned *count = arg;

	(void)block;
	++*count;
}

static void use_all(uint64_t *seed)
{
	static struct shared_counters sums[4096];
	struct live_block block;
	struct shared_node node;
	unsigned count = 0;

	for (unsigned i = 0; i < 50; i++) {
		uint64_t addr = next_random(seed) >> (i % 2 ? 0 : 20);
		struct shared_counters *counters =
			counters_of(&shared, (uint32_t)addr, (uint32_t)(addr >> 32));
		uint64_t *place = live_place(&shared, addr, addr & LIVE_MAX_SIZE);
		uint32_t leaf, steps = 0;

		if (counters)
			atom_add64(&counters->allocs, 1);
		if (place)
			live_note(&shared, place, addr, 5, 1);
		if (live_find(&shared, slot_addr(i), &block))
			live_remove(&block);
		leaf = interned_leaf(&shared, stack_intern((unsigned)addr % 1000));
		for (; interned_node(&shared, leaf, &node); leaf = node.parent)
			assert_true(steps++ < SHARED_NODES);
		known_pc(&shared, addr, i % 2);
		known_thread(&shared, addr);
	}
	counters_sum(&shared, sums, 4096);
	live_for_each(&shared, no_more_than_there_are, &count);
}

/* Nothing outside is touched (the guards), and every loop ends (the test does). */
static void test_any_bytes(void **state)
{
	uint64_t seed = 5;

	(void)state;
	begin(4);
	for (unsigned n = 0; n < 500; n++)
		stack_intern(n);
	for (unsigned round = 0; round < 60; round++) {
		scribble(SHARED_TAKEN_AT, sizeof(struct shared_taken), 2, &seed);
		scribble(SHARED_PLACES_AT, 4096, 20, &seed);
		scribble(SHARED_REFS_AT, 1 << 16, 400, &seed);
		scribble(SHARED_INDEX_AT, SHARED_INDEX * 4, 20000, &seed);
		scribble(SHARED_NODES_AT, 1 << 16, 1000, &seed);
		scribble(SHARED_CONTEXTS_AT, 1 << 13, 200, &seed);
		scribble(SHARED_DIRECTORY_AT, SHARED_DIRECTORY * 8, 5000, &seed);
		scribble(SHARED_PIECES_AT, 4 * SHARED_PIECE, 1000, &seed);
		use_all(&seed);
	}
	shared_case_end(&shared);
}

/* A parent that is not older than its child would make a walk go round. */
static void test_a_walk_by_nodes_ends(void **state)
{
	struct shared_node *nodes, node;
	uint32_t leaf;

	(void)state;
	begin(PIECES);
	leaf = interned_leaf(&shared, stack_intern(1));
	nodes = shared_at(&shared, SHARED_NODES_AT);
	assert_true(interned_node(&shared, leaf, &node));
	nodes[leaf].parent = leaf;
	assert_false(interned_node(&shared, leaf, &node));
	nodes[leaf].parent = leaf + 1;
	assert_false(interned_node(&shared, leaf, &node));
	shared_case_end(&shared);
}

static void test_is_sound(void **state)
{
	(void)state;
	begin(1);
	assert_true(shared_is_sound(&shared));
	shared_told(&shared)->version++;
	assert_false(shared_is_sound(&shared));
	shared_case_end(&shared);
	memset(&shared, 0, sizeof(shared));
	assert_false(shared_case_begin(&shared, 1, 6, DEPTH));
	shared_case_end(&shared);
	assert_false(shared_case_begin(&shared, 1, SHIFT, 0));
	shared_case_end(&shared);
}

/* ---- neighbours that come at once ------------------------------------------- */

enum { NEIGHBOURS = 1 << 21 };

struct neighbour {
	pthread_t thread;
	uint64_t first;
	unsigned noted;
};

static void *neighbour_run(void *arg)
{
	struct neighbour *n = arg;

	for (uint64_t i = 0; i < NEIGHBOURS; i++) {
		uint64_t addr = n->first + i * 16, *place = live_place(&shared, addr, 8);

		n->noted += place && live_note(&shared, place, addr, 5, 8);
	}
	return NULL;
}

/* Two blocks in one entry's place: one of them is kept, and who brought the other one knows. */
static void test_neighbours(void **state)
{
	struct neighbour both[2] = {{.first = 0x10000000}, {.first = 0x10000008}};

	(void)state;
	if (sizeof(void *) < 8)
		skip(); /* one thread writes there (region/atom.h) */
	assert_true(shared_case_begin(&shared, 600, 4, 8));
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&both[i].thread, NULL, neighbour_run, &both[i]), 0);
	for (int i = 0; i < 2; i++)
		pthread_join(both[i].thread, NULL);
	assert_int_equal(both[0].noted + both[1].noted, NEIGHBOURS);
	shared_case_end(&shared);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stacks_are_told_apart),
		cmocka_unit_test(test_neighbours),
		cmocka_unit_test(test_a_stack_within_another_is_its_own),
		cmocka_unit_test(test_live_blocks),
		cmocka_unit_test(test_blocks_that_are_too_close),
		cmocka_unit_test(test_full_of_nodes_and_contexts),
		cmocka_unit_test(test_full_of_pieces),
		cmocka_unit_test(test_full_of_chunks),
		cmocka_unit_test(test_full_of_threads),
		cmocka_unit_test(test_pcs),
		cmocka_unit_test(test_threads_find_the_same),
		cmocka_unit_test(test_any_bytes),
		cmocka_unit_test(test_a_walk_by_nodes_ends),
		cmocka_unit_test(test_is_sound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
