/*
 * What the agent and the book have counted between them, held against a book that has seen all
 * of the same calls: random programs of two threads, whose rows are told as they are met.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "agent_case.h"
#include "capture/missing.h"
#include "capture/tally.h"
#include "capture/unfinished.h"
#include "region/book.h"
#include "region/counters.h"
#include "region/live.h"

enum { BLOCKS = 200, THREADS = 2, OTHER = POINTER + 64 };

/* A region with a book; the first has an agent before it. */
struct side {
	struct region_space space;
	struct region *region;
	struct book book;
	struct book_thread threads[THREADS];
};

static struct side both[2];
static struct side *const with = &both[0], *const all = &both[1];
static struct tally tally;
static uint64_t agents, books; /* calls */
static bool is_told[FUNCTIONS];

/* ---- the two --------------------------------------------------------------- */

static void side_begin(struct side *side)
{
	memset(side, 0, sizeof(*side));
	assert_int_equal(region_space_private(&side->space, 1ull << 32), 0);
	assert_int_equal(region_init(&side->space, &side->region), 0);
	side->book = (struct book){.region = side->region, .space = &side->space};
}

static void case_begin(void)
{
	assert_true(shared_case_begin(&shared, PIECES, SHIFT, DEPTH));
	tell_hooks();
	known_thread_set(&shared, POINTER, at_word(0), at_word(WORDS));
	known_thread_set(&shared, OTHER, at_word(0), at_word(WORDS));
	memset(is_told, 0, sizeof(is_told));
	side_begin(with);
	side_begin(all);
	tally_begin(&tally, &shared, with->region, &with->space);
	agents = books = 0;
}

static void case_end(void)
{
	tally_end(&tally);
	region_space_deinit(&with->space);
	region_space_deinit(&all->space);
	shared_case_end(&shared);
}

static struct shared_thread *own(unsigned thread)
{
	return known_thread_at(&shared, known_thread(&shared, thread ? OTHER : POINTER));
}

/* As memtrace does when a thread stops at the trap: it learns the stack's pcs, .. */
static void learn(const unsigned *chain, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		struct row row = row_for(chain[i]);

		if (!is_told[chain[i]] && chain[i] != UNKNOWN)
			known_pc_add(&shared, pc_of(chain[i]), false, frame_at(chain[i]), &row);
		is_told[chain[i]] = true;
	}
}

/* .. and hears of the thread's last calls. */
static struct book_thread *hear(unsigned thread)
{
	struct book_thread *book = &with->threads[thread];

	unfinished_pending(&tally, &with->book, book, own(thread), 1);
	unfinished_inner(&tally, own(thread));
	book->last_free = own(thread)->last_free;
	book->last_alloc = own(thread)->last_alloc;
	books++;
	return book;
}

static void tell(unsigned thread)
{
	own(thread)->last_free = with->threads[thread].last_free;
	own(thread)->last_alloc = with->threads[thread].last_alloc;
	tally_tell(&tally);
}

/* ---- calls ----------------------------------------------------------------- */

static uint32_t context_in(struct side *side, const unsigned *chain, unsigned count,
			   uint32_t hook)
{
	frame_t frames[64];
	enum walk_end end;
	size_t n = chain_frames(chain, count, hook, DEPTH, frames, &end);

	return region_context(side->region, &side->space, frames, n, end);
}

static bool asks_agent(unsigned thread, const unsigned *chain, unsigned count, uint32_t hook,
		       uint64_t argument, uint64_t size, uint64_t result)
{
	struct agent_call call = call_by(chain, count, hook);
	bool known;

	call.pointer = thread ? OTHER : POINTER;
	call.argument[0] = argument;
	call.argument[1] = size;
	call.result = result;
	known = agent_call(&shared, &call);
	agents += known;
	if (!known)
		learn(chain, count);
	return known;
}

static void alloc_event(struct side *side, struct book_thread *thread, const unsigned *chain,
			unsigned count, uint64_t size, uint64_t result, bool nested)
{
	struct book_event event = {
		.result = result, .size = size, .now = 1, .nested = nested};

	if (!nested)
		event.context = context_in(side, chain, count, MALLOC);
	book_alloc(&side->book, thread, &event);
}

static bool asks_agent_of_inner(unsigned thread, uint64_t size, uint64_t result)
{
	const unsigned chain[] = {0, 4, STUB, 8};

	return asks_agent(thread, chain, 4, MALLOC, size, 0, result);
}

/* nested: the walk meets a stub. */
static void do_malloc(unsigned thread, const unsigned *chain, unsigned count, uint64_t size,
		      uint64_t result, bool nested)
{
	alloc_event(all, &all->threads[thread], chain, count, size, result, nested);
	if (nested ? asks_agent_of_inner(thread, size, result)
		   : asks_agent(thread, chain, count, MALLOC, size, 0, result))
		return;
	hear(thread);
	tally_adopt(&tally, result, 1);
	alloc_event(with, &with->threads[thread], chain, count, size, result, nested);
	tally_settle(&tally, result);
	tell(thread);
}

static void free_event(struct side *side, struct book_thread *thread, uint64_t addr)
{
	if (book_free(&side->book, thread, addr) == BOOK_UNKNOWN)
		book_free_unknown(&side->book, thread, addr);
}

static void do_free(unsigned thread, const unsigned *chain, unsigned count, uint64_t addr)
{
	free_event(all, &all->threads[thread], addr);
	if (asks_agent(thread, chain, count, FREE, addr, 0, 0))
		return;
	hear(thread);
	for (unsigned other = 0; other < THREADS; other++) /* as share_ask_others() */
		if (own(other)->inner == addr)
			unfinished_inner(&tally, own(other));
	tally_adopt(&tally, addr, 1);
	free_event(with, &with->threads[thread], addr);
	tally_settle(&tally, addr);
	tell(thread);
}

static uint64_t slot_of(const unsigned *chain, unsigned count)
{
	return call_by(chain, count, REALLOC).slot;
}

static void realloc_event(struct side *side, struct book_thread *thread, const unsigned *chain,
			  unsigned count, uint64_t addr, uint64_t size, uint64_t result)
{
	struct book_event event = {.result = result, .size = size, .now = 1};

	if (result)
		event.context = context_in(side, chain, count, REALLOC);
	book_realloc_return(&side->book, thread, slot_of(chain, count), addr, &event);
}

static void realloc_begins(unsigned thread, const unsigned *chain, unsigned count, uint64_t addr)
{
	uint64_t slot = slot_of(chain, count);

	book_realloc_entry(&all->book, &all->threads[thread], slot, addr);
	if (asks_agent(thread, chain, count, REALLOC | SHARED_ENTERED, addr, 0, 0))
		return;
	hear(thread);
	tally_adopt(&tally, addr, 1);
	book_realloc_entry(&with->book, &with->threads[thread], slot, addr);
	tally_settle(&tally, addr);
	tell(thread);
}

static void realloc_ends(unsigned thread, const unsigned *chain, unsigned count, uint64_t addr,
			 uint64_t size, uint64_t result)
{
	realloc_event(all, &all->threads[thread], chain, count, addr, size, result);
	if (asks_agent(thread, chain, count, REALLOC, addr, size, result))
		return;
	hear(thread);
	tally_adopt(&tally, result, 1);
	realloc_event(with, &with->threads[thread], chain, count, addr, size, result);
	tally_settle(&tally, result);
	tally_settle(&tally, addr);
	tell(thread);
}

static void do_realloc(unsigned thread, const unsigned *chain, unsigned count, uint64_t addr,
		       uint64_t size, uint64_t result)
{
	realloc_begins(thread, chain, count, addr);
	realloc_ends(thread, chain, count, addr, size, result);
}

/* A longjmp leaves it; what comes next, farther out, shows that. */
static void left_realloc(unsigned thread, const unsigned *chain, unsigned count, uint64_t addr)
{
	realloc_begins(thread, chain, count, addr);
	do_realloc(thread, chain, 1, 0, 1, 0);
}

/* ---- comparing ------------------------------------------------------------- */

static uint32_t context_in_all(uint32_t id)
{
	uint32_t node = region_context_at(with->region, id)->node;
	frame_t frames[64];
	size_t n = 0;

	for (; node >= WALK_ENDS; node = region_node(with->region, node)->parent)
		frames[n++] = region_node(with->region, node)->frame;
	return n ? region_context(all->region, &all->space, frames, n, (enum walk_end)node)
		 : REGION_OVERFLOW_CONTEXT;
}

static void is_in_all(void *arg, const struct region_block *block)
{
	const struct region_block *is = region_find(all->region, block->addr);
	uint64_t *count = arg;

	++*count;
	assert_non_null(is);
	assert_true(is->size == block->size);
	assert_int_equal(is->context, context_in_all(block->context));
}

/* Who has the shared memory alone, as memtrace was killed, has every count, but for a thread's end or a
 * longjmp since they were summed. */
static void survives(void)
{
	const struct region_totals *a, *b = region_totals(all->region);
	struct side after;
	struct tally next;

	side_begin(&after);
	tally_go_on(&next, &shared, after.region, &after.space);
	assert_true(tally_counters(&next, 3));
	assert_false(next.damaged);
	a = region_totals(after.region);
	assert_int_equal(a->allocs, b->allocs);
	assert_int_equal(a->frees, b->frees);
	assert_int_equal(a->allocated_bytes, b->allocated_bytes);
	assert_int_equal(a->freed_bytes, b->freed_bytes);
	tally_end(&next);
	region_space_deinit(&after.space);
}

static void compare(void)
{
	const struct region_totals *a, *b = region_totals(all->region);
	uint64_t live = 0;

	assert_true(tally_counters(&tally, 2));
	assert_false(tally.damaged);
	a = region_totals(with->region);
	assert_int_equal(a->allocs, b->allocs);
	assert_int_equal(a->frees, b->frees);
	assert_int_equal(a->allocated_bytes, b->allocated_bytes);
	assert_int_equal(a->freed_bytes, b->freed_bytes);
	assert_int_equal(a->frees_of_unknown, b->frees_of_unknown);
	assert_int_equal(a->lost_events, b->lost_events);
	assert_int_equal(a->live_blocks, b->live_blocks);
	assert_int_equal(region_context_count(with->region), region_context_count(all->region));
	for (uint32_t id = 1; id < region_context_count(with->region); id++) {
		const struct region_context *c = region_context_at(with->region, id);
		const struct region_context *d =
			region_context_at(all->region, context_in_all(id));

		assert_int_equal(c->allocs, d->allocs);
		assert_int_equal(c->frees, d->frees);
		assert_int_equal(c->allocated_bytes, d->allocated_bytes);
		assert_int_equal(c->freed_bytes, d->freed_bytes);
		assert_true(c->peak_bytes >= c->allocated_bytes - c->freed_bytes);
	}
	region_for_each_block(with->region, is_in_all, &live);
	tally_for_each_block(&tally, is_in_all, &live);
	assert_int_equal(live, b->live_blocks);
	survives();
	for (unsigned i = 0; i < THREADS; i++) {
		const struct book_thread *t = &with->threads[i];

		assert_int_equal(t->allocs + own(i)->allocs, all->threads[i].allocs);
		assert_int_equal(t->frees + own(i)->frees, all->threads[i].frees);
		assert_int_equal(own(i)->last_free, all->threads[i].last_free);
		assert_int_equal(own(i)->last_alloc, all->threads[i].last_alloc);
	}
}

static void clear(void)
{
	tally_clear(&tally);
	for (int i = 0; i < 2; i++) {
		for (int t = 0; t < THREADS; t++)
			book_forget(&both[i].threads[t]);
		region_clear(both[i].region, &both[i].space);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		with->threads[i].allocs -= own(i)->allocs;
		with->threads[i].frees -= own(i)->frees;
		tell(i);
	}
}

/* ---- random programs --------------------------------------------------------- */

static uint64_t addr_of(unsigned block)
{
	return 0x7f0000001000 + block * 32ull;
}

static void step(uint64_t *seed, bool *there, unsigned i)
{
	unsigned block = (unsigned)(next_random(seed) % BLOCKS), chain[64], count;
	unsigned thread = (unsigned)(next_random(seed) % THREADS);
	uint64_t which = next_random(seed) % 64, size = next_random(seed) % 999;
	uint64_t stacks = which % 16 ? i % 50 : next_random(seed);

	count = chain_make(&stacks, chain, 18);
	if (which % 8 == 7) /* from where the stack can't be walked by rows */
		chain[count / 2] = UNKNOWN;
	if (which == 60 && !there[block]) /* a layer's: an inner call, and an outer one */
		do_malloc(thread, chain, count, size + 16, addr_of(block), true);
	if (which == 33 && there[block])
		left_realloc(thread, chain, count, addr_of(block));
	if (which % 10 == 3 && there[block])
		do_realloc(thread, chain, count, addr_of(block), size,
			   which == 3 ? 0 : addr_of(block));
	else if (there[block])
		do_free(thread, chain, count, addr_of(block));
	else
		do_malloc(thread, chain, count, size, addr_of(block), false);
	if (there[block] && which == 50) /* delete, free */
		do_free(thread, chain, count, addr_of(block));
	if (which % 10 != 3 || !there[block])
		there[block] = !there[block];
	if (which == 61)
		do_free(thread, chain, count, 0x66660000 + which); /* from before us */
}

static void run(uint64_t seed, unsigned steps, unsigned sum_every, unsigned clear_every)
{
	bool there[BLOCKS] = {false};

	case_begin();
	for (unsigned i = 1; i <= steps; i++) {
		if (i % 5000 == 0) { /* modules came or went */
			known_pcs_forget(&shared);
			memset(is_told, 0, sizeof(is_told));
		}
		step(&seed, there, i);
		if (i % sum_every == 0)
			assert_true(tally_counters(&tally, 2));
		if (i % 1000 == 0)
			compare();
		if (i % 97 == 0) { /* killed just then */
			tally_counters(&tally, 2);
			survives();
		}
		if (i % clear_every == 0)
			clear();
	}
	compare();
	assert_true(agents > steps / 4);
	assert_true(books > steps / 16);
	case_end();
}

static void test_as_if_the_book_had_all(void **state)
{
	(void)state;
	run(1, 30000, 100, 40000);
}

static void test_summed_seldom(void **state)
{
	(void)state;
	run(2, 20000, 700, 30000);
}

static void test_summed_often(void **state)
{
	(void)state;
	run(3, 6000, 1, 30000);
}

static void test_cleared(void **state)
{
	(void)state;
	run(4, 20000, 37, 1111);
}

/* A block that was counted at a stop goes to the agent; and in between the region knows of no block
 * that is gone. */
static void test_given_back(void **state)
{
	const unsigned chain[] = {0, UNKNOWN, 7, 12, 1}, known[] = {0, 3, 7, 12, 1};
	uint64_t stopped;

	(void)state;
	case_begin();
	learn(known, 5);
	for (unsigned i = 0; i < 3; i++)
		do_malloc(0, chain, 5, 10 + i, addr_of(i), false);
	assert_int_equal(books, 3);
	for (unsigned i = 0; i < 3; i++)
		assert_null(region_find(with->region, addr_of(i)));
	compare();
	for (unsigned i = 0; i < 3; i++)
		do_free(1, known, 5, addr_of(i));
	assert_int_equal(agents, 3);
	compare();
	stopped = books;
	for (unsigned i = 0; i < 1000; i++) { /* not summed */
		do_malloc(0, chain, 5, 1000, addr_of(1), false);
		do_realloc(0, chain, 5, addr_of(1), 500, addr_of(2));
		do_free(0, known, 5, addr_of(2));
	}
	assert_int_equal(books - stopped, 2000); /* malloc, realloc's return */
	survives();
	compare();
	assert_int_equal(region_totals(with->region)->peak_bytes,
			 region_totals(all->region)->peak_bytes);
	case_end();
}

/* What an inner call has returned is nobody's, and the agent's when the outer one has returned it,
 * too.  And it is known since when there are any. */
static void test_given_back_by_the_outer_call(void **state)
{
	const unsigned chain[] = {0, UNKNOWN, 7, 12, 1};

	(void)state;
	case_begin();
	for (unsigned i = 0; i < 3; i++) { /* realloc(NULL) that calls malloc */
		do_malloc(0, chain, 5, 10, addr_of(i), true);
		assert_true(own(0)->inner == addr_of(i) ||
			    region_inner_has(with->region, addr_of(i)));
		do_realloc(0, chain, 5, 0, 10, addr_of(i));
		assert_int_equal(own(0)->inner, 0);
		assert_false(region_inner_has(with->region, addr_of(i)));
		assert_null(region_find(with->region, addr_of(i)));
	}
	agents = 0;
	for (unsigned i = 0; i < 3; i++)
		do_free(1, chain, 5, addr_of(i));
	assert_int_equal(agents, 3);
	compare();
	assert_int_equal(region_context_at(with->region, 1)->first_time, 1);
	assert_int_equal(region_context_at(with->region, 1)->last_time, 1);
	case_end();
}

/* What inner calls have returned, and no outer one: a layer keeps it, and any thread may free it. */
static void test_a_layer_keeps(void **state)
{
	const unsigned chain[] = {0, 3, 7, 12, 1};

	(void)state;
	case_begin();
	for (unsigned i = 0; i < 4; i++)
		do_malloc(0, chain, 5, 10, addr_of(i), true);
	assert_int_equal(own(0)->inner, addr_of(3));
	do_free(0, chain, 5, addr_of(0));
	do_free(1, chain, 5, addr_of(1));
	for (unsigned i = 4; i < 7; i++)
		do_malloc(0, chain, 5, 10, addr_of(i), true);
	do_free(1, chain, 5, own(0)->inner); /* of a thread that does not stand */
	assert_int_equal(own(0)->inner, 0);
	for (unsigned i = 2; i < 7; i++)
		do_free(1, chain, 5, addr_of(i));
	compare();
	assert_int_equal(region_totals(with->region)->frees_of_unknown, 1); /* the second one of it */
	case_end();
}

/* A memtrace is killed that has a block in its hands: a realloc's, and one that had no place. */
static void test_what_is_missing(void **state)
{
	const unsigned chain[] = {0, 3, 7, 12, 1}, unknown[] = {0, UNKNOWN, 7, 12, 1};

	(void)state;
	case_begin();
	learn(chain, 5);
	for (unsigned i = 0; i < 4; i++)
		do_malloc(0, chain, 5, 10, addr_of(i), false);
	realloc_begins(0, chain, 5, addr_of(3)); /* the agent's: it is pending */
	assert_int_equal(missing_settle(&shared), 0);
	do_malloc(1, unknown, 5, 1ull << 40, addr_of(8), false);
	assert_non_null(region_find(with->region, addr_of(8)));
	tally_adopt(&tally, addr_of(2), 1);
	book_realloc_entry(&with->book, &with->threads[1], slot_of(unknown, 5), addr_of(2));
	tally_settle(&tally, addr_of(2));
	tell(1);
	assert_int_equal(missing_settle(&shared), 2);
	assert_int_equal(missing_settle(&shared), 0);
	assert_true(tally_counters(&tally, 2));
	assert_int_equal(region_totals(with->region)->allocs, 5);
	assert_int_equal(region_totals(with->region)->frees, 2);
	assert_int_equal(region_totals(with->region)->freed_bytes, 10 + (1ull << 40));
	case_end();
}

/* ---- what nobody writes ----------------------------------------------------- */

static void test_what_can_not_be(void **state)
{
	const unsigned chain[] = {0, 3, 7, 12, 1};
	struct shared_counters *counters;

	(void)state;
	case_begin();
	learn(chain, 5);
	do_malloc(0, chain, 5, 10, addr_of(1), false);
	assert_int_equal(agents, 1);
	compare();
	counters = counters_of(&shared, known_thread(&shared, POINTER), 1);
	counters->frees = 5; /* more than there are */
	assert_true(tally_counters(&tally, 2));
	assert_true(tally.damaged);
	assert_int_equal(region_totals(with->region)->lost_events, 1);
	assert_int_equal(region_totals(with->region)->frees, 0);
	counters->frees = 0;
	shared_taken(&shared)->contexts = 3; /* of which the second has no leaf */
	counters[1].allocs = 1;
	assert_true(tally_counters(&tally, 2));
	assert_int_equal(region_totals(with->region)->allocs, 2);
	assert_int_equal(region_context_at(with->region, 0)->allocs, 1);
	case_end();
}

static void test_without_an_agent(void **state)
{
	struct tally none = {.shared = NULL};

	(void)state;
	assert_true(tally_counters(&none, 1));
	tally_adopt(&none, 0x1000, 1);
	tally_settle(&none, 0x1000);
	tally_clear(&none);
	tally_for_each_block(&none, NULL, NULL);
	tally_end(&none);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_as_if_the_book_had_all),
		cmocka_unit_test(test_summed_seldom),
		cmocka_unit_test(test_summed_often),
		cmocka_unit_test(test_cleared),
		cmocka_unit_test(test_given_back),
		cmocka_unit_test(test_given_back_by_the_outer_call),
		cmocka_unit_test(test_a_layer_keeps),
		cmocka_unit_test(test_what_is_missing),
		cmocka_unit_test(test_what_can_not_be),
		cmocka_unit_test(test_without_an_agent),
	};

	if (sizeof(void *) == 4) /* no agent is there yet */
		return 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
