/*
 * The agent's decision, in a simulated target: functions with made-up pcs and rows, a stack
 * that is an array of ours, an allocator that gives addresses.  What it counts is held against
 * the book that memtrace keeps (region/book.h), fed with the same calls.
 */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>
#include <cmocka.h>

#include "agent/agent.h"
#include "region/book.h"
#include "region/counters.h"
#include "region/interned.h"
#include "region/known.h"
#include "region/live.h"
#include "agent_case.h"

static bool malloc_by(const unsigned *chain, unsigned count, uint64_t size, uint64_t result)
{
	struct agent_call call = call_by(chain, count, MALLOC);

	call.argument[0] = size;
	call.result = result;
	return agent_call(&shared, &call);
}

static bool free_by(const unsigned *chain, unsigned count, uint64_t addr)
{
	struct agent_call call = call_by(chain, count, FREE);

	call.argument[0] = addr;
	return agent_call(&shared, &call);
}

static struct shared_counters sum_of(uint32_t context)
{
	static struct shared_counters sums[SHARED_CONTEXTS];

	memset(sums, 0, (interned_contexts(&shared) + 1) * sizeof(*sums));
	counters_sum(&shared, sums, interned_contexts(&shared));
	return sums[context];
}

static struct shared_thread *own(void)
{
	return known_thread_at(&shared, known_thread(&shared, POINTER));
}

static const unsigned few[] = {0, 3, 7, 12, 1};
enum { FEW = sizeof(few) / sizeof(*few) };

/* ---- against the book ------------------------------------------------------ */

static struct region_space space;
static struct region *region;
static struct book book;

/* The region's context of the same stack. */
static uint32_t context_in_region(uint32_t context)
{
	frame_t frames[512];
	struct shared_node node;
	uint32_t at = interned_leaf(&shared, context);
	size_t count = 0;

	assert_true(at >= WALK_ENDS);
	for (; at >= WALK_ENDS; at = node.parent) {
		assert_true(interned_node(&shared, at, &node));
		frames[count++] = node.frame;
	}
	return region_context(region, &space, frames, count, (enum walk_end)at);
}

static void is_in_region(void *arg, const struct live_block *block)
{
	const struct region_block *is = region_find(region, block->addr);

	(void)arg;
	assert_non_null(is);
	assert_true(is->size == block->size);
	assert_int_equal(is->context, context_in_region(block->context));
}

static void compare(const struct book_thread *thread)
{
	static struct shared_counters sums[SHARED_CONTEXTS];
	uint32_t count = interned_contexts(&shared);
	unsigned live = 0;

	memset(sums, 0, sizeof(sums));
	counters_sum(&shared, sums, count);
	assert_int_equal(region_context_count(region), count);
	for (uint32_t c = 1; c < count; c++) {
		const struct region_context *is =
			region_context_at(region, context_in_region(c));

		assert_int_equal(sums[c].allocs, is->allocs);
		assert_int_equal(sums[c].frees, is->frees);
		assert_int_equal(sums[c].allocated_bytes, is->allocated_bytes);
		assert_int_equal(sums[c].freed_bytes, is->freed_bytes);
		live += (unsigned)(is->allocs - is->frees);
	}
	assert_int_equal(region_totals(region)->live_blocks, live);
	live_for_each(&shared, is_in_region, NULL);
	assert_int_equal(own()->allocs, thread->allocs);
	assert_int_equal(own()->frees, thread->frees);
	assert_int_equal(own()->last_free, thread->last_free);
	assert_int_equal(own()->last_alloc, thread->last_alloc);
}

enum { BLOCKS = 300 };

static void book_malloc(struct book_thread *thread, const unsigned *chain, unsigned count,
			unsigned depth, uint64_t size, uint64_t result)
{
	frame_t frames[512];
	enum walk_end end;
	size_t n = chain_frames(chain, count, MALLOC, depth, frames, &end);
	struct book_event event = {.result = result, .size = size};

	event.context = region_context(region, &space, frames, n, end);
	book_alloc(&book, thread, &event);
}

static void run_against_book(unsigned depth, unsigned most)
{
	struct book_thread thread = {0};
	bool there[BLOCKS] = {false};
	unsigned chain[128], count;
	uint64_t seed = depth;

	begin(depth);
	assert_int_equal(region_space_private(&space, 1ull << 32), 0);
	assert_int_equal(region_init(&space, &region), 0);
	book = (struct book){.region = region, .space = &space};
	for (unsigned i = 0; i < 20000; i++) {
		unsigned block = (unsigned)(next_random(&seed) % BLOCKS);
		uint64_t addr = 0x7f0000001000 + block * 32ull, size = next_random(&seed) % 999;

		if (i % 16 == 0) /* (before, so that stacks come again) */
			seed = i % 4096;
		count = chain_make(&seed, chain, most);
		if (there[block]) {
			assert_true(free_by(chain, count, addr));
			assert_int_equal(book_free(&book, &thread, addr), BOOK_FREED);
		} else {
			assert_true(malloc_by(chain, count, size, addr));
			book_malloc(&thread, chain, count, depth, size, addr);
		}
		there[block] = !there[block];
	}
	compare(&thread);
	region_space_deinit(&space);
	shared_case_end(&shared);
}

static void test_counts_what_the_book_counts(void **state)
{
	(void)state;
	run_against_book(DEPTH, 20);
}

static void test_deeper_than_is_kept(void **state)
{
	(void)state;
	run_against_book(4, 20);
	run_against_book(1, 10);
}

static void test_deeper_than_is_walked(void **state)
{
	(void)state;
	run_against_book(DEPTH, 100);
}

/* ---- one by one ------------------------------------------------------------ */

static void test_a_pair(void **state)
{
	struct live_block block;
	frame_t frames[64];
	enum walk_end end;
	size_t count;

	(void)state;
	begin(DEPTH);
	assert_true(malloc_by(few, FEW, 100, 0x10000));
	count = chain_frames(few, FEW, MALLOC, DEPTH, frames, &end);
	assert_int_equal(interned_context(&shared, frames, count, end), 1);
	assert_true(live_find(&shared, 0x10000, &block));
	assert_int_equal(block.context, 1);
	assert_int_equal(block.size, 100);
	assert_int_equal(sum_of(1).allocs, 1);
	assert_int_equal(sum_of(1).allocated_bytes, 100);
	assert_int_equal(sum_of(1).frees, 0);
	assert_int_equal(own()->last_alloc, 0x10000);
	assert_true(free_by(few, FEW, 0x10000));
	assert_int_equal(sum_of(1).frees, 1);
	assert_int_equal(sum_of(1).freed_bytes, 100);
	assert_false(live_find(&shared, 0x10000, &block));
	assert_int_equal(own()->free_hook, FREE);
	shared_case_end(&shared);
}

static void test_what_the_arguments_mean(void **state)
{
	struct agent_call call;
	struct live_block block;
	uint64_t elsewhere = 0x30000;

	(void)state;
	begin(DEPTH);
	call = call_by(few, FEW, CALLOC);
	call.argument[0] = 7, call.argument[1] = 9, call.result = 0x10000;
	assert_true(agent_call(&shared, &call));
	assert_true(live_find(&shared, 0x10000, &block));
	assert_int_equal(block.size, 63);
	call = call_by(few, FEW, ALIGNED);
	call.argument[0] = 4096, call.argument[1] = 5, call.result = 0x11000;
	assert_true(agent_call(&shared, &call));
	assert_true(live_find(&shared, 0x11000, &block));
	assert_int_equal(block.size, 5);
	call = call_by(few, FEW, ALIGN);
	call.argument[0] = at_word(WORDS - 1), call.argument[2] = 6;
	call.result = 12; /* EINVAL */
	assert_true(agent_call(&shared, &call));
	assert_int_equal(own()->allocs, 2);
	call.argument[0] = (uint64_t)(uintptr_t)&elsewhere;
	call.result = 0;
	assert_false(agent_call(&shared, &call));
	call = call_by(few, FEW, SLOW);
	call.result = 0x20000;
	assert_false(agent_call(&shared, &call));
	call.hook = 77; /* nobody's */
	assert_false(agent_call(&shared, &call));
	assert_int_equal(own()->allocs, 2);
	shared_case_end(&shared);
}

static void test_posix_memalign_on_the_stack(void **state)
{
	const unsigned chain[] = {0, 4, 7}; /* 4: four words beside the return address */
	struct agent_call call;
	struct live_block block;

	(void)state;
	begin(DEPTH);
	call = call_by(chain, 3, ALIGN);
	stack[WORDS - 3] = 0x12000; /* a local variable of function 4's */
	call.argument[0] = at_word(WORDS - 3), call.argument[1] = 64, call.argument[2] = 6;
	assert_true(agent_call(&shared, &call));
	assert_true(live_find(&shared, 0x12000, &block));
	assert_int_equal(block.size, 6);
	shared_case_end(&shared);
}

/* Nothing is changed by a call that is not known. */
static void nothing(void)
{
	assert_int_equal(own()->allocs, 0);
	assert_int_equal(own()->frees, 0);
	assert_int_equal(own()->last_free, 0);
	assert_int_equal(interned_contexts(&shared), 1);
}

static void test_calls_that_are_not_known(void **state)
{
	const unsigned unknown[] = {0, 3, UNKNOWN, 5}, no_begin[] = {3, 5};
	struct agent_call call;
	uint64_t *place;

	(void)state;
	begin(DEPTH);
	assert_false(malloc_by(unknown, 4, 1, 0x10000));  /* so is a call within another one */
	assert_false(malloc_by(no_begin, 2, 1, 0x10000)); /* the walk leaves the stack */
	assert_false(free_by(few, FEW, 0x10000));	  /* nobody's block */
	call = call_by(few, FEW, MALLOC);
	call.result = 0x10000;
	call.pointer++;
	assert_false(agent_call(&shared, &call)); /* nobody's thread */
	call.pointer = 0;
	assert_false(agent_call(&shared, &call));
	nothing();
	place = live_place(&shared, 0x10000, 1);
	live_note(&shared, place, 0x10000, LIVE_ELSEWHERE, 1);
	assert_false(free_by(few, FEW, 0x10000));      /* memtrace's block */
	assert_false(malloc_by(few, FEW, 1, 0x10000)); /* .. and its place */
	assert_false(malloc_by(few, FEW, LIVE_MAX_SIZE + 1, 0x20000));
	nothing();
	assert_true(malloc_by(few, FEW, 1, 0)); /* it failed: nothing happened */
	assert_true(free_by(few, FEW, 0));
	nothing();
	shared_case_end(&shared);
}

/* On another stack than its own, or at its very end, a thread is not known. */
static void test_bounds_of_the_stack(void **state)
{
	struct agent_call call;

	(void)state;
	begin(DEPTH);
	call = call_by(few, FEW, MALLOC);
	call.result = 0x10000;
	known_thread_set(&shared, POINTER, call.slot - AGENT_STACK + WORD, at_word(WORDS));
	assert_false(agent_call(&shared, &call));
	known_thread_set(&shared, POINTER, call.slot + WORD, at_word(WORDS));
	assert_false(agent_call(&shared, &call));
	known_thread_set(&shared, POINTER, at_word(0), call.slot);
	assert_false(agent_call(&shared, &call));
	known_thread_set(&shared, POINTER, at_word(0), call.slot + WORD);
	assert_false(agent_call(&shared, &call)); /* the walk leaves it */
	known_thread_set(&shared, POINTER, 0, 0);
	assert_false(agent_call(&shared, &call));
	nothing();
	known_thread_set(&shared, POINTER, call.slot - AGENT_STACK, at_word(WORDS));
	assert_true(agent_call(&shared, &call));
	shared_case_end(&shared);
}

/* The same address twice by the same thread, with nothing between, is one free; but not where
 * memtrace may have a block there that the table has no room for. */
static void test_freed_twice_is_freed_once(void **state)
{
	(void)state;
	begin(DEPTH);
	assert_true(malloc_by(few, FEW, 1, 0x10000));
	assert_true(free_by(few, FEW, 0x10000));
	assert_true(free_by(few, 3, 0x10000));
	assert_int_equal(own()->frees, 1);
	shared_full(&shared, SHARED_PART_PLACE);
	assert_false(free_by(few, 3, 0x10000));
	shared_taken(&shared)->full = 0;
	assert_true(malloc_by(few, FEW, 1, 0x20000));
	assert_false(free_by(few, FEW, 0x10000));
	shared_case_end(&shared);
}

static void test_rows_that_are_forgotten(void **state)
{
	(void)state;
	begin(DEPTH);
	shared_told(&shared)->sequence++;
	assert_false(malloc_by(few, FEW, 1, 0x10000));
	shared_told(&shared)->sequence++;
	assert_true(malloc_by(few, FEW, 1, 0x10000));
	known_pcs_forget(&shared);
	assert_false(malloc_by(few, FEW, 1, 0x20000));
	tell_rows();
	assert_true(malloc_by(few, FEW, 1, 0x20000));
	assert_int_equal(sum_of(1).allocs, 2);
	shared_case_end(&shared);
}

/* A signal frame: the interrupted pc is exact, and found by a key of its own. */
static void test_through_a_signal_frame(void **state)
{
	const struct row trampoline = {.cfa = ROW_CFA_SP_DEREF,
				       .cfa_offset = 3 * WORD,
				       .ra = ROW_AT_SP,
				       .ra_offset = 2 * WORD,
				       .fp = ROW_SAME,
				       .flags = ROW_SIGNAL};
	struct row row = row_for(7);
	struct agent_call call;
	struct shared_node node;
	unsigned outer, at;

	(void)state;
	begin(DEPTH);
	call = call_by(few, FEW, MALLOC);
	outer = (unsigned)((call.slot - at_word(0)) / WORD);
	stack[outer - 4] = 0x500000;	   /* the handler returns into the trampoline */
	stack[outer - 1] = pc_of(7) + 2;   /* sp + 2 words: where it was interrupted, .. */
	stack[outer] = at_word(outer + 1); /* sp + 3: .. and its sp */
	stack[outer + 1 + frame_words(7)] = pc_of(0);
	call.slot = at_word(outer - 4);
	call.result = 0x10000;
	assert_false(agent_call(&shared, &call));
	known_pc_add(&shared, 0x500000, false, frame_of(3, 0), &trampoline);
	known_pc_add(&shared, pc_of(7) + 2, false, frame_of(1, 1), &row);
	assert_false(agent_call(&shared, &call));
	row.cfa_offset = WORD * (frame_words(7) + 1);
	known_pc_add(&shared, pc_of(7) + 2, true, frame_of(1, 1), &row);
	assert_true(agent_call(&shared, &call));
	at = interned_leaf(&shared, 1);
	for (int i = 0; i < 2; i++, at = node.parent)
		assert_true(interned_node(&shared, at, &node));
	assert_true(interned_node(&shared, at, &node));
	assert_true(node.frame == (frame_of(1, 1) | FRAME_EXACT));
	stack[outer + 1 + frame_words(7)] = pc_of(STUB); /* a handler's call is no inner one */
	call.result = 0x20000;
	assert_false(agent_call(&shared, &call));
	assert_int_equal(own()->inner, 0);
	shared_case_end(&shared);
}

/* Who is found by a row that was guessed is marked, as by the trap's walk. */
static void test_a_guess_is_marked(void **state)
{
	struct row row = row_for(12);
	struct shared_node node = {.parent = 0};

	(void)state;
	begin(DEPTH);
	known_pcs_forget(&shared);
	row.flags |= ROW_GUESS;
	known_pc_add(&shared, pc_of(12), false, frame_at(12), &row);
	tell_rows();
	assert_true(malloc_by(few, FEW, 1, 0x10000));
	assert_true(interned_node(&shared, interned_leaf(&shared, 1), &node));
	for (unsigned i = FEW; i-- > 0;) {
		assert_true(interned_node(&shared, node.parent, &node));
		assert_true(node.frame == (frame_at(few[i]) | (few[i] == 7 ? FRAME_GUESS : 0)));
	}
	shared_case_end(&shared);
}

static enum walk_end end_of(uint32_t context)
{
	struct shared_node node;
	uint32_t at = interned_leaf(&shared, context);

	for (; at >= WALK_ENDS; at = node.parent)
		assert_true(interned_node(&shared, at, &node));
	return (enum walk_end)at;
}

/* How the stack of a call of that fp ends, remembered or walked; -1: the call is not known. */
static int end_by(const unsigned *chain, uint64_t fp, bool remembered)
{
	struct agent_call call = call_by(chain, 3, MALLOC);
	struct shared_walk *walk = shared_walk(&shared, known_thread(&shared, POINTER));
	struct live_block block;

	walk->busy = remembered ? 0 : call.slot + WORD;
	call.argument[0] = 1;
	call.result = 0x10000;
	call.fp = fp;
	if (!agent_call(&shared, &call))
		return -1;
	assert_true(live_find(&shared, call.result, &block));
	live_remove(&block);
	return (int)end_of(block.context);
}

/* The outermost frame is one of which it is known that there is no unwind data: musl's. */
static void test_where_there_is_no_unwind_data(void **state)
{
	const unsigned chain[] = {0, 1, 2}, unknown[] = {UNKNOWN, 1, 2};
	const struct row none = {.cfa = ROW_CFA_NONE};
	uint64_t top = at_word(WORDS - 3); /* sp there */

	(void)state;
	for (int remembered = 0; remembered < 2; remembered++) {
		begin(DEPTH);
		known_pcs_forget(&shared);
		known_pc_add(&shared, pc_of(0), false, frame_at(0), &none);
		tell_rows();
		for (int again = 0; again < 2; again++) {
			assert_int_equal(end_by(chain, 0, remembered), WALK_NO_DATA);
			assert_int_equal(end_by(chain, top - 8, remembered), WALK_NO_DATA);
			assert_int_equal(end_by(chain, top + 4, remembered), WALK_NO_DATA);
		}
		assert_int_equal(end_by(chain, top, remembered), AGENT_CHAINS ? -1 : WALK_NO_DATA);
		assert_int_equal(end_by(unknown, 0, remembered), -1);
		known_pcs_forget(&shared);
		known_pc_add(&shared, pc_of(0), false, frame_at(0), &none);
		tell_rows();
		shared_told(&shared)->first_sp = top + 16;
		assert_int_equal(end_by(chain, 0, remembered), WALK_ROOT);
		assert_int_equal(end_by(chain, top, remembered), WALK_ROOT);
		assert_int_equal(end_by(unknown, 0, remembered), -1);
		shared_case_end(&shared);
	}
}

/* ---- realloc --------------------------------------------------------------- */

static bool entered(const unsigned *chain, unsigned count, uint64_t addr)
{
	struct agent_call call = call_by(chain, count, REALLOC | SHARED_ENTERED);

	call.argument[0] = addr;
	return agent_call(&shared, &call);
}

static bool returned(const unsigned *chain, unsigned count, uint64_t addr, uint64_t size,
		     uint64_t result)
{
	struct agent_call call = call_by(chain, count, REALLOC);

	call.argument[0] = addr;
	call.argument[1] = size;
	call.result = result;
	return agent_call(&shared, &call);
}

static bool is_live(uint64_t addr, uint64_t size)
{
	struct live_block block;

	return live_find(&shared, addr, &block) && block.size == size;
}

static void are(uint64_t allocs, uint64_t frees, uint64_t in_use)
{
	struct shared_counters sum = {0};

	for (uint32_t context = 1; context < interned_contexts(&shared); context++)
		counters_sum_one(&shared, context, &sum);
	assert_int_equal(sum.allocs, allocs);
	assert_int_equal(sum.frees, frees);
	assert_int_equal(sum.allocated_bytes - sum.freed_bytes, in_use);
	assert_int_equal(own()->allocs, allocs);
	assert_int_equal(own()->frees, frees);
	assert_int_equal(own()->pending.slot, 0);
}

static void test_a_realloc(void **state)
{
	(void)state;
	begin(DEPTH);
	assert_true(entered(few, FEW, 0)); /* of no block */
	assert_true(returned(few, FEW, 0, 100, 0x10000));
	are(1, 0, 100);
	assert_true(entered(few, FEW, 0x10000)); /* it moves */
	assert_false(is_live(0x10000, 100));
	assert_false(free_by(few, FEW - 1, 0x77777000)); /* what is nobody's */
	assert_true(returned(few, FEW, 0x10000, 200, 0x20000));
	assert_true(is_live(0x20000, 200));
	assert_int_equal(own()->last_alloc, 0x20000);
	are(2, 1, 200);
	assert_true(entered(few, FEW - 1, 0x20000)); /* it stays; from another stack */
	assert_true(returned(few, FEW - 1, 0x20000, 300, 0x20000));
	are(3, 2, 300);
	assert_true(entered(few, FEW, 0x20000)); /* it fails */
	assert_true(returned(few, FEW, 0x20000, 1ull << 60, 0));
	assert_true(is_live(0x20000, 300));
	are(3, 2, 300);
	assert_true(entered(few, FEW, 0)); /* so does that of no block */
	assert_true(returned(few, FEW, 0, 0, 0));
	are(3, 2, 300);
	assert_true(entered(few, FEW, 0x20000)); /* it frees */
	assert_true(returned(few, FEW, 0x20000, 0, 0));
	assert_false(is_live(0x20000, 300));
	are(3, 3, 0);
	shared_case_end(&shared);
}

static void test_reallocarray(void **state)
{
	struct agent_call call = call_by(few, FEW, REALLOCARRAY);

	(void)state;
	begin(DEPTH);
	assert_true(malloc_by(few, FEW, 1, 0x10000));
	call.argument[0] = 0x10000;
	call.argument[1] = 6;
	call.argument[2] = 7;
	for (int failed = 0; failed < 2; failed++) {
		call.hook |= SHARED_ENTERED;
		assert_true(agent_call(&shared, &call));
		call.hook &= ~SHARED_ENTERED;
		call.result = failed ? 0 : 0x10000;
		assert_int_equal(agent_call(&shared, &call), !failed);
	}
	own()->pending.slot = 0;
	are(2, 1, 42);
	shared_case_end(&shared);
}

/* Then memtrace has all of it, the entry and the return. */
static void test_realloc_that_is_not_known(void **state)
{
	const unsigned unknown[] = {0, 3, UNKNOWN}, inner[] = {0, 3, STUB, 5};

	(void)state;
	begin(DEPTH);
	assert_false(entered(few, FEW, 0x10000)); /* a block that nobody knows */
	assert_false(returned(few, FEW, 0x10000, 5, 0x20000));
	assert_true(malloc_by(few, FEW, 1, 0x10000));
	assert_false(returned(few, FEW, 0x10000, 5, 0x20000)); /* entered before we came */
	assert_true(entered(unknown, 3, 0x10000));
	assert_false(returned(unknown, 3, 0x10000, 5, 0x10000));
	assert_int_equal(own()->pending.addr, 0x10000);
	assert_int_equal(own()->pending.size, 1);
	assert_int_equal(own()->pending.context, 1);
	own()->pending.slot = 0; /* memtrace has heard of it */
	assert_false(returned(unknown, 3, 0x10000, 5, 0x10000));
	assert_true(entered(inner, 4, 0));
	assert_false(returned(inner, 4, 0, 5, 0x30000));
	own()->pending.slot = 0;
	are(1, 0, 1);
	assert_true(malloc_by(few, FEW, 1, 0x40000));
	assert_true(entered(few, FEW, 0x40000));
	own()->pending.context = 0; /* cleared meanwhile */
	assert_false(returned(few, FEW, 0x40000, 5, 0x40000));
	shared_case_end(&shared);
}

/* Calls within it: a free of its block is part of it, what allocates is an inner call by its
 * stack, another realloc is not known.  What comes from farther out shows that it was left. */
static void test_within_realloc(void **state)
{
	const unsigned inner[] = {0, 3, 7, 12, 1, STUB, 5};

	(void)state;
	begin(DEPTH);
	assert_true(malloc_by(few, FEW, 1, 0x10000));
	assert_true(entered(few, FEW, 0x10000));
	assert_true(malloc_by(inner, 7, 50, 0x20000));
	assert_int_equal(own()->inner, 0x20000);
	assert_false(malloc_by(inner, 7, 50, 0x30000)); /* one of them is kept */
	assert_true(free_by(inner, 7, 0x10000));
	assert_false(entered(inner, 7, 0));
	assert_true(returned(few, FEW, 0x10000, 2, 0x20000));
	assert_int_equal(own()->inner, 0);
	are(2, 1, 2);
	assert_true(entered(inner, 7, 0x20000));
	assert_false(free_by(few, FEW, 0x20000)); /* it has been left: memtrace judges that */
	assert_true(entered(few, FEW, 0)); /* so it is put back */
	assert_true(is_live(0x20000, 2));
	assert_true(returned(few, FEW, 0, 3, 0x30000));
	are(3, 1, 5);
	assert_true(malloc_by(inner, 7, 50, 0x40000));
	assert_false(is_live(0x40000, 50));
	assert_true(free_by(few, FEW, 0x40000)); /* of what an inner call returned */
	assert_int_equal(own()->inner, 0);
	are(3, 1, 5);
	own()->pending = (struct shared_pending){
		call_by(inner, 7, REALLOC).slot | SHARED_BUSY, 0x50000, 9, 1, 0, 0};
	assert_true(entered(few, FEW, 0)); /* left half done: nobody knows how far it came */
	assert_false(is_live(0x50000, 9));
	assert_true(returned(few, FEW, 0, 3, 0));
	are(3, 1, 5);
	shared_case_end(&shared);
}

/* ---- threads --------------------------------------------------------------- */

enum { THREADS = 4, ROUNDS = 20000 };

struct worker {
	pthread_t thread;
	uint64_t words[512];
	uint64_t pointer;
	bool unknown;
};

static pthread_barrier_t together;

/* Each on a stack of its own, by the same call stack. */
static void *worker_run(void *arg)
{
	struct worker *worker = arg;
	struct agent_call call = {.pointer = worker->pointer};

	worker->words[510] = pc_of(5); /* (a function with nothing beside the return address) */
	worker->words[511] = pc_of(0);
	call.slot = (uint64_t)(uintptr_t)&worker->words[510];
	pthread_barrier_wait(&together);
	for (unsigned i = 0; i < ROUNDS; i++) {
		call.hook = MALLOC;
		call.argument[0] = 8;
		call.result = 0x100000 + worker->pointer * 4096 + i % 100 * 16;
		worker->unknown |= !agent_call(&shared, &call);
		call.hook = FREE;
		call.argument[0] = call.result;
		worker->unknown |= !agent_call(&shared, &call);
	}
	return NULL;
}

/* Not 1 where several made their stack's context at once: the numbers of who lost that race are
 * nobody's (region/interned.c). */
static uint32_t first_counted(void)
{
	uint32_t context = 1;

	while (context < interned_contexts(&shared) && !sum_of(context).allocs)
		context++;
	return context;
}

static void test_threads_count_for_themselves(void **state)
{
	static struct worker workers[THREADS];
	uint32_t context;

	(void)state;
	begin(DEPTH);
	assert_int_equal(pthread_barrier_init(&together, NULL, THREADS), 0);
	for (unsigned i = 0; i < THREADS; i++) {
		struct worker *w = &workers[i];

		*w = (struct worker){.pointer = 0x7000 + i};
		known_thread_set(&shared, w->pointer,
				 (uint64_t)(uintptr_t)&w->words[510] - AGENT_STACK,
				 (uint64_t)(uintptr_t)&w->words[512]);
		assert_int_equal(pthread_create(&w->thread, NULL, worker_run, w), 0);
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(workers[i].thread, NULL);
	pthread_barrier_destroy(&together);
	for (unsigned i = 0; i < THREADS; i++)
		assert_false(workers[i].unknown);
	context = first_counted();
	assert_int_equal(sum_of(context).allocs, THREADS * ROUNDS);
	assert_int_equal(sum_of(context).allocated_bytes, THREADS * ROUNDS * 8);
	assert_int_equal(sum_of(context).frees, THREADS * ROUNDS);
	assert_int_equal(sum_of(context).freed_bytes, THREADS * ROUNDS * 8);
	shared_case_end(&shared);
}

/* ---- interrupted at any instruction ---------------------------------------- */

#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)
enum { TRAP_FLAG = 1 << 8 };

static unsigned steps, stop_at; /* 0: never */
static unsigned hear_at;	/* 0: never */
static bool heard;
static bool inner_unknown;
static sigjmp_buf out;

static void single_steps(bool on)
{
	uint64_t set = on ? TRAP_FLAG : 0;

	__asm__ volatile("leaq -128(%%rsp), %%rsp\n\t"
			 "pushfq\n\t"
			 "andq $~0x100, (%%rsp)\n\t"
			 "orq %0, (%%rsp)\n\t"
			 "popfq\n\t"
			 "leaq 128(%%rsp), %%rsp"
			 :
			 : "r"(set)
			 : "memory", "cc");
}

/* The handler allocates and frees, by another stack; or never comes back. */
static void on_step(int signo)
{
	struct agent_call call = {.pointer = POINTER, .hook = MALLOC, .argument = {5}};

	(void)signo;
	if (++steps == stop_at)
		siglongjmp(out, 1);
	if (steps == hear_at) /* memtrace does, as another call of the thread's has stopped */
		heard = own()->pending.slot && !(own()->pending.slot & SHARED_BUSY) &&
			atom_replace64(&own()->pending.slot, own()->pending.slot, 0);
	if (stop_at || hear_at)
		return;
	call.slot = at_word(1000);
	call.result = 0x900000;
	inner_unknown |= !agent_call(&shared, &call);
	call.hook = FREE;
	call.argument[0] = call.result;
	inner_unknown |= !agent_call(&shared, &call);
}

static void steps_begin(unsigned stop)
{
	struct sigaction action = {.sa_handler = on_step};

	steps = 0;
	stop_at = stop;
	inner_unknown = false;
	stack[1000] = pc_of(5);
	stack[1001] = pc_of(0);
	assert_int_equal(sigaction(SIGTRAP, &action, NULL), 0);
}

static bool stepped(const struct agent_call *call)
{
	bool known;

	single_steps(true);
	known = agent_call(&shared, call);
	single_steps(false);
	return known;
}

/* A handler's stack is an array within the one that it interrupts (sigaltstack): it calls from farther out, and the
 * walk that it has interrupted goes on behind it. */
static struct agent_call farther_out;

static void on_one_step(int signo, siginfo_t *info, void *context)
{
	(void)signo;
	(void)info;
	if (++steps != stop_at)
		return;
	((ucontext_t *)context)->uc_mcontext.gregs[REG_EFL] &= ~(greg_t)TRAP_FLAG;
	agent_call(&shared, &farther_out);
}

/* The stack's words up to `at`, of calls by frames of one word. */
static struct agent_call calls_at(unsigned at, unsigned outermost, unsigned count, uint64_t block)
{
	for (unsigned i = 0; i < count; i++) {
		stack[at--] = (agent_word)pc_of(i ? i % 2 ? 16 : 31 : outermost);
		stack[at--] = 0;
	}
	return (struct agent_call){.pointer = POINTER, .slot = at_word(at + 2), .argument = {5}, .result = block,
				   .hook = MALLOC};
}

static void test_a_handler_on_a_stack_within(void **state)
{
	enum { CALLS = 9, STRIDE = 71 };
	struct sigaction action = {.sa_sigaction = on_one_step, .sa_flags = SA_SIGINFO};
	unsigned known = 0;

	(void)state;
	assert_int_equal(sigaction(SIGTRAP, &action, NULL), 0);
	for (stop_at = 1, steps = STRIDE; steps + STRIDE >= stop_at; stop_at += STRIDE) {
		struct agent_call call;
		struct live_block block;
		struct shared_node node;

		begin(DEPTH);
		call = calls_at(WORDS - 200, 0, CALLS, 0x10000);
		farther_out = calls_at(WORDS - 100, UNKNOWN, CALLS + 3, 0x20000);
		steps = 0;
		if (stepped(&call)) {
			assert_true(live_find(&shared, 0x10000, &block));
			assert_true(interned_node(&shared, interned_leaf(&shared, block.context), &node));
			for (unsigned i = CALLS; i-- > 0;) {
				assert_true(interned_node(&shared, node.parent, &node));
				assert_true(node.frame == frame_at(i ? i % 2 ? 16 : 31 : 0));
			}
			assert_int_equal(node.parent, WALK_ROOT);
			known++;
		}
		shared_case_end(&shared);
	}
	assert_true(known > 3);
}

static void test_a_handler_at_every_instruction(void **state)
{
	struct agent_call call;

	(void)state;
	begin(DEPTH);
	steps_begin(0);
	call = call_by(few, FEW, MALLOC);
	call.argument[0] = 100;
	call.result = 0x10000;
	assert_true(stepped(&call));
	call.hook = FREE;
	call.argument[0] = 0x10000;
	assert_true(stepped(&call));
	assert_false(inner_unknown);
	assert_true(steps > 200);
	for (uint32_t context = 1; context <= 2; context++) {
		bool outer = sum_of(context).allocs == 1;

		assert_int_equal(sum_of(context).allocs, outer ? 1 : steps);
		assert_int_equal(sum_of(context).frees, outer ? 1 : steps);
		assert_int_equal(sum_of(context).freed_bytes, outer ? 100 : 5 * steps);
	}
	assert_int_equal(own()->allocs, steps + 1);
	assert_int_equal(own()->frees, steps + 1);
	shared_case_end(&shared);
}

static bool stepped_return(uint64_t addr, uint64_t size, uint64_t result)
{
	struct agent_call call = call_by(few, FEW, REALLOC);

	call.argument[0] = addr;
	call.argument[1] = size;
	call.result = result;
	return stepped(&call);
}

/* memtrace comes to the thread while a handler has interrupted a realloc's return: either of the two
 * counts it, and never both. */
static void test_realloc_is_heard_of_at_any_instruction(void **state)
{
	unsigned known = 0, taken = 0, all = 1;

	(void)state;
	begin(DEPTH);
	assert_true(malloc_by(few, FEW, 1, 0x10000));
	assert_true(entered(few, FEW, 0x10000)); /* the same stack as the others' */
	assert_true(returned(few, FEW, 0x10000, 7, 0x10000));
	/* (each third of them: a signal takes 40 us) */
	for (unsigned at = 1; at <= all; at += 1 + all / 150) {
		uint64_t allocs = own()->allocs, frees = own()->frees;
		bool is;

		assert_true(entered(few, FEW, 0x10000));
		assert_false(is_live(0x10000, 7));
		steps_begin(0);
		hear_at = at;
		heard = false;
		is = stepped_return(0x10000, 7, at % 2 ? 0x10000 : 0);
		all = steps > all ? steps : all;
		hear_at = 0;
		assert_int_equal(is, !heard);
		assert_int_equal(own()->pending.slot, 0);
		assert_int_equal(own()->allocs - allocs, is && at % 2);
		assert_int_equal(own()->frees - frees, is && at % 2);
		assert_int_equal(is_live(0x10000, 7), is);
		known += is;
		taken += heard;
		if (!is) { /* memtrace counts it */
			uint64_t *place = live_place(&shared, 0x10000, 7);

			assert_true(live_note(&shared, place, 0x10000, 1, 7));
		}
	}
	assert_true(all > 100 && known > 10 && taken > 50);
	shared_case_end(&shared);
}

static uint64_t counted(void)
{
	return interned_contexts(&shared) > 1 ? sum_of(1).allocs : 0;
}

/* True: it came to its end before `stop` instructions. */
static bool left_at(unsigned stop, uint64_t result)
{
	struct agent_call call = call_by(few, FEW, MALLOC);

	call.result = result;
	steps_begin(stop);
	if (sigsetjmp(out, 1))
		return false;
	return stepped(&call);
}

/* A handler that does not come back, from all over malloc's call: the block is counted,
 * or it is not, and whatever comes then is counted exactly.  In the table is nothing that is
 * not counted. */
static void test_left_for_ever(void **state)
{
	unsigned all, tries = 0;

	(void)state;
	begin(DEPTH);
	assert_true(malloc_by(few, FEW, 1, 0x10000)); /* what is found from now on */
	assert_true(left_at(UINT32_MAX, 0x20000));
	all = steps;
	assert_true(all > 100);
	for (unsigned stop = 1; stop<all; stop += all - stop> 64 ? 1 + stop / 16 : 1) {
		uint64_t addr = 0x30000 + ++tries * 16, before = counted();
		struct live_block block;

		if (left_at(stop, addr)) { /* (fewer steps than the first one) */
			assert_true(all - stop < 64);
			break;
		}
		assert_true(counted() - before <= 1);
		if (live_find(&shared, addr, &block))
			assert_int_equal(counted() - before, 1);
		before = counted();
		assert_true(malloc_by(few, FEW, 1, 0x800000));
		assert_true(free_by(few, FEW, 0x800000));
		assert_int_equal(counted() - before, 1);
	}
	assert_true(tries > 50);
	shared_case_end(&shared);
}
#endif

/* ---- any bytes ------------------------------------------------------------- */

static void scribble(uint64_t from, uint64_t bytes, unsigned words, uint64_t *seed)
{
	for (unsigned i = 0; i < words; i++) {
		uint64_t value = next_random(seed);
		uint32_t word = value >> 62 ? (uint32_t)value : (uint32_t)value % 512;

		memcpy(shared_at(&shared, from + next_random(seed) % bytes / 4 * 4), &word,
		       sizeof(word));
	}
}

/* What both write may be anything, and so may the program's stack. */
static void test_any_bytes(void **state)
{
	unsigned chain[64], count;
	uint64_t seed = 11;

	(void)state;
	begin(DEPTH);
	for (unsigned i = 0; i < 30000; i++) {
		uint64_t addr = 0x7f0000001000 + next_random(&seed) % 500 * 16;

		count = chain_make(&seed, chain, 40);
		if (i % 200 == 0) {
			scribble(SHARED_TAKEN_AT, sizeof(struct shared_taken), i % 400 == 0,
				 &seed);
			scribble(SHARED_THREADS_AT, SHARED_THREADS * sizeof(struct shared_thread), 4000,
				 &seed);
			own()->pending.slot = i % 400 ? at_word(WORDS - 1) : 0;
			scribble(SHARED_REFS_AT, 1 << 20, 4000, &seed);
			scribble(SHARED_INDEX_AT, SHARED_INDEX * 4, 20000, &seed);
			scribble(SHARED_NODES_AT, 1 << 16, 500, &seed);
			scribble(SHARED_DIRECTORY_AT, SHARED_DIRECTORY * 8, 3000, &seed);
			scribble(SHARED_PIECES_AT, 8 * SHARED_PIECE, 3000, &seed);
		}
		if (i % 7 == 0) {
			entered(chain, count, addr);
			returned(chain, count, addr, i, i % 2 ? addr : 0);
		} else if (i % 3) {
			struct agent_call call = call_by(chain, count, MALLOC);

			call.result = addr;
			for (unsigned k = 0; i % 3 == 2 && k < 4; k++)
				stack[WORDS - 1 - next_random(&seed) % 60] = next_random(&seed);
			agent_call(&shared, &call);
		} else {
			free_by(chain, count, addr);
		}
	}
	shared_case_end(&shared);
}

/* ---- alone ------------------------------------------------------------------- */

enum { STRANGER = 0x5555000 };

static void nobody_is_there(void)
{
	atom_store32(&shared_told(&shared)->alone, 1);
}

static struct shared_alone alone(void)
{
	return shared_taken(&shared)->alone;
}

/* How a context's stack is kept: count of frames, and why it ends. */
static size_t frames_of(uint32_t context, uint32_t *end)
{
	struct shared_node node;
	size_t count = 0;

	for (*end = interned_leaf(&shared, context); *end >= WALK_ENDS; *end = node.parent, count++)
		assert_true(interned_node(&shared, *end, &node));
	return count;
}

static void a_stack_is_kept_as_far_as_it_is_known(void **state)
{
	static const unsigned chain[] = {0, 3, UNKNOWN, 7, 1};
	struct live_block block;
	uint32_t end;

	(void)state;
	begin(DEPTH);
	assert_false(malloc_by(chain, 5, 100, 0x1000));
	nobody_is_there();
	assert_true(malloc_by(chain, 5, 100, 0x1000));
	assert_true(live_find(&shared, 0x1000, &block));
	assert_int_equal(frames_of(block.context, &end), 3); /* malloc, 1, 7 */
	assert_int_equal(end, WALK_ALONE);
	assert_true(malloc_by(few, FEW, 50, 0x2000));
	assert_true(live_find(&shared, 0x2000, &block));
	assert_int_equal(frames_of(block.context, &end), FEW + 1);
	assert_int_equal(end, WALK_ROOT);
	assert_int_equal(alone().allocs, 1);
	assert_int_equal(alone().bytes, 100);
	assert_true(free_by(few, FEW, 0x1000));
	assert_true(free_by(few, FEW, 0x9000)); /* nobody's */
	assert_int_equal(alone().frees, 1);
	assert_int_equal(own()->frees, 1);
	shared_case_end(&shared);
}

static void who_has_no_place_is_counted_among_all(void **state)
{
	struct agent_call call = call_by(few, FEW, MALLOC);
	struct live_block block;
	struct shared_counters sum;
	uint32_t end;

	(void)state;
	begin(DEPTH);
	nobody_is_there();
	call.pointer = STRANGER;
	call.argument[0] = 64;
	call.result = 0x4000;
	assert_true(agent_call(&shared, &call));
	assert_true(live_find(&shared, 0x4000, &block));
	assert_int_equal(frames_of(block.context, &end), 1);
	assert_int_equal(end, WALK_ALONE);
	/* its realloc: the block goes at the entry, and another one comes at the return */
	call.hook = REALLOC | SHARED_ENTERED;
	call.argument[0] = 0x4000;
	call.argument[1] = 128;
	assert_true(agent_call(&shared, &call));
	assert_false(live_find(&shared, 0x4000, &block));
	call.hook = REALLOC;
	call.result = 0x5000;
	assert_true(agent_call(&shared, &call));
	assert_true(live_find(&shared, 0x5000, &block));
	assert_int_equal(block.size, 128);
	assert_true(free_by(few, FEW, 0x5000)); /* by a thread that has a place */
	for (uint32_t c = 1; c < interned_contexts(&shared); c++) {
		sum = sum_of(c);
		assert_int_equal(sum.allocs, 1);
		assert_int_equal(sum.frees, 1);
		assert_int_equal(sum.allocated_bytes, sum.freed_bytes);
	}
	assert_int_equal(alone().allocs, 2);
	assert_int_equal(alone().frees, 0);
	assert_int_equal(alone().unkept, 0);
	/* what can't be had back, or read, is said */
	call.hook = REALLOC | SHARED_ENTERED;
	call.argument[0] = 0x5000;
	assert_true(agent_call(&shared, &call));
	assert_int_equal(alone().frees, 1);
	call.hook = REALLOC;
	call.result = 0;
	assert_true(agent_call(&shared, &call));
	call.hook = ALIGN;
	assert_true(agent_call(&shared, &call));
	assert_int_equal(alone().unkept, 2);
	shared_case_end(&shared);
}

static void what_an_inner_call_returned_is_not_counted(void **state)
{
	struct agent_call inner = call_by(few, FEW, MALLOC), outer = call_by(few, FEW, CALLOC);
	struct live_block block;

	(void)state;
	begin(DEPTH);
	nobody_is_there();
	inner.pointer = outer.pointer = STRANGER;
	inner.argument[0] = 96;
	outer.argument[0] = 2;
	outer.argument[1] = 48;
	inner.result = outer.result = 0x6000;
	assert_true(agent_call(&shared, &inner));
	assert_true(agent_call(&shared, &outer));
	assert_true(live_find(&shared, 0x6000, &block));
	for (uint32_t c = 1; c < interned_contexts(&shared); c++)
		assert_int_equal(sum_of(c).allocs, c == block.context);
	assert_int_equal(alone().unkept, 0);
	shared_case_end(&shared);
}

static void behind_modules_that_went_no_pc_says_anything(void **state)
{
	static uint32_t loader_state;
	struct agent_call call = call_by(few, FEW, SLOW);
	struct live_block block;
	uint32_t end;

	(void)state;
	begin(DEPTH);
	shared_hook(&shared, SLOW)->kind = SHARED_LOADER;
	shared_told(&shared)->loader_state = (uintptr_t)&loader_state;
	assert_false(agent_call(&shared, &call)); /* memtrace is there, and sees to it */
	nobody_is_there();
	assert_true(malloc_by(few, FEW, 50, 0x2000)); /* (which is remembered) */
	loader_state = 1; /* RT_ADD */
	assert_true(agent_call(&shared, &call));
	assert_int_equal(shared_taken(&shared)->moved, 0);
	loader_state = 2; /* RT_DELETE */
	assert_true(agent_call(&shared, &call));
	assert_int_equal(shared_taken(&shared)->moved, 1);
	assert_true(malloc_by(few, FEW, 50, 0x3000));
	assert_true(live_find(&shared, 0x3000, &block));
	assert_int_equal(frames_of(block.context, &end), 1);
	assert_int_equal(end, WALK_ALONE);
	shared_case_end(&shared);
}

/* calloc calls malloc, and both return the block: too small once, from wherever it is called again. */
static void test_too_small_is_said_once(void **state)
{
	static const unsigned inner[] = {0, 3, 7, 12, 1, STUB}, outer[] = {0, 3, 7, 12, 1};
	struct agent_call call = call_by(outer, 5, CALLOC);

	(void)state;
	begin(DEPTH);
	shared_told(&shared)->selects = SHARED_SELECTS;
	shared_told(&shared)->min_size = 64;
	call.argument[0] = 3, call.argument[1] = 8, call.result = 0x10000;
	for (unsigned i = 1; i <= 3; i++) {
		assert_true(malloc_by(inner, 6, 24, 0x10000));
		call_by(outer, 5, CALLOC);
		assert_true(agent_call(&shared, &call));
		assert_int_equal(own()->small, i);
		assert_true(free_by(outer, 5, 0x10000));
	}
	assert_true(malloc_by(inner, 6, 24, 0x10000)); /* freed by another thread: the same place */
	assert_true(malloc_by(inner, 6, 24, 0x10000));
	assert_int_equal(own()->small, 5);
	assert_true(entered(few, FEW, 0x10000)); /* it stays where it is, from farther out */
	assert_true(returned(few, FEW, 0x10000, 30, 0x10000));
	assert_int_equal(own()->small, 6);
	shared_case_end(&shared);
}

/* Of a sample: by whole numbers, at a border of realloc's too; what is passed costs nothing and is nobody's; a
 * choice goes to the trap with a call that is not known. */
static void test_a_sample(void **state)
{
	const unsigned unknown[] = {0, 3, UNKNOWN, 5};
	enum { LEVEL = 12, SIZE = 100, COUNT = 4000 };
	const uint64_t by = sample_weight(LEVEL, SIZE);
	uint64_t counted = 0, slot = call_by(unknown, 4, MALLOC).slot;
	unsigned selected = 0;

	(void)state;
	begin(DEPTH);
	shared_told(&shared)->selects = SHARED_SELECTS + LEVEL;
	shared_told(&shared)->seed = 4711;
	shared_told(&shared)->min_size = 10;
	assert_true(malloc_by(few, FEW, 9, 0x10000));
	assert_true(free_by(few, FEW, 0x10000));
	assert_int_equal(own()->small, 1);
	for (unsigned i = 0; i < COUNT; i++) {
		assert_true(malloc_by(few, FEW, SIZE, 0x100000 + i * 128ull));
		counted += is_live(0x100000 + i * 128ull, SIZE);
	}
	assert_true(counted > 0 && counted < COUNT);
	assert_int_equal(own()->passed, COUNT - counted);
	assert_int_equal(sum_of(1).allocs, counted * by);
	for (unsigned i = 0; i < COUNT; i += 2) { /* the others stay */
		assert_true(entered(few, FEW, 0x100000 + i * 128ull));
		assert_true(returned(few, FEW, 0x100000 + i * 128ull, 1 << LEVEL, 0x100000 + i * 128ull));
	}
	for (unsigned i = 0; i < COUNT; i++)
		assert_true(free_by(few, FEW, 0x100000 + i * 128ull));
	assert_int_equal(sum_of(1).frees, counted * by);
	assert_int_equal(sum_of(1).freed_bytes, counted * by * SIZE);
	assert_int_equal(sum_of(2).allocs, COUNT / 2);
	assert_int_equal(sum_of(2).frees, COUNT / 2);
	for (unsigned i = 0; i < COUNT && !selected; i++) {
		bool known = malloc_by(unknown, 4, SIZE, 0x900000);

		assert_int_equal(own()->selected, known ? 0 : slot);
		selected += !known;
	}
	assert_int_equal(selected, 1);
	assert_int_equal(own()->sampler.level, LEVEL);
	shared_case_end(&shared);
}

/* What does not count does not either where what it frees can't be told. */
static void what_was_passed_is_not_counted(void **state)
{
	enum { LEVEL = 12, SIZE = 100, COUNT = 400 };
	const uint64_t slot = call_by(few, FEW, REALLOC).slot;
	unsigned live = 0;

	(void)state;
	begin(DEPTH);
	nobody_is_there();
	shared_told(&shared)->selects = SHARED_SELECTS + LEVEL;
	shared_told(&shared)->seed = 4711;
	shared_full(&shared, SHARED_PART_PLACE);
	for (unsigned i = 0; i < COUNT; i++) {
		uint64_t addr = 0x100000 + i * 128ull;
		struct live_block block;

		own()->pending = (struct shared_pending){.slot = slot, .addr = 0x7000};
		assert_true(returned(few, FEW, 0x7000, SIZE, addr));
		assert_int_equal(own()->selected, 0);
		if (!live_find(&shared, addr, &block))
			continue;
		assert_int_equal(block.level, LEVEL);
		live++;
	}
	assert_true(live > 0 && live < COUNT);
	assert_int_equal(live, COUNT - own()->passed);
	shared_case_end(&shared);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_pair),
		cmocka_unit_test(test_what_the_arguments_mean),
		cmocka_unit_test(test_posix_memalign_on_the_stack),
		cmocka_unit_test(test_calls_that_are_not_known),
		cmocka_unit_test(test_bounds_of_the_stack),
		cmocka_unit_test(test_freed_twice_is_freed_once),
		cmocka_unit_test(test_rows_that_are_forgotten),
		cmocka_unit_test(test_through_a_signal_frame),
		cmocka_unit_test(test_a_guess_is_marked),
		cmocka_unit_test(test_where_there_is_no_unwind_data),
		cmocka_unit_test(test_a_realloc),
		cmocka_unit_test(test_reallocarray),
		cmocka_unit_test(test_realloc_that_is_not_known),
		cmocka_unit_test(test_a_sample),
		cmocka_unit_test(test_too_small_is_said_once),
		cmocka_unit_test(test_within_realloc),
		cmocka_unit_test(test_counts_what_the_book_counts),
		cmocka_unit_test(test_deeper_than_is_kept),
		cmocka_unit_test(test_deeper_than_is_walked),
		cmocka_unit_test(test_threads_count_for_themselves),
#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)
		cmocka_unit_test(test_a_handler_at_every_instruction),
		cmocka_unit_test(test_a_handler_on_a_stack_within),
		cmocka_unit_test(test_realloc_is_heard_of_at_any_instruction),
		cmocka_unit_test(test_left_for_ever),
#endif
		cmocka_unit_test(test_any_bytes),
		cmocka_unit_test(a_stack_is_kept_as_far_as_it_is_known),
		cmocka_unit_test(who_has_no_place_is_counted_among_all),
		cmocka_unit_test(what_an_inner_call_returned_is_not_counted),
		cmocka_unit_test(what_was_passed_is_not_counted),
		cmocka_unit_test(behind_modules_that_went_no_pc_says_anything),
	};

	if (sizeof(void *) == 4) /* no agent is there yet */
		return 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
