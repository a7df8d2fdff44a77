/*
 * Stacks that are remembered (agent/remembered.h): of a few functions that call each other at
 * random, with frames that grow as they please (alloca), so that what is remembered often looks like
 * what is there now, and old words lie in between.  Each context's frames are the true ones.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "region/counters.h"
#include "region/live.h"

#include "agent_case.h"

enum { MOST = 9, ROUNDS = 300000, BLOCK = 0x500000 };

static uint64_t seed;

static unsigned dice(unsigned below)
{
	return (unsigned)(next_random(&seed) % below);
}

/* Some that look alike: 3, 18 and 33 have a frame pointer; 1, 16 and 31 one word; 2, 17 and 32 two; 4, 19
 * and 34 save the frame pointer's register. */
static unsigned some_function(void)
{
	static const unsigned functions[] = {3, 18, 33, 1, 16, 31, 2, 17, 32, 4, 19, 34};

	return functions[dice(sizeof(functions) / sizeof(*functions))];
}

/* As call_by(), but what a frame pointer's function has below its frame is of any size, and keeps
 * what was there. */
static struct agent_call call_of(const unsigned *chain, const unsigned *grown, unsigned count)
{
	static uint64_t last[MOST]; /* what looks as if it had not been changed */
	unsigned at = WORDS;
	uint64_t fp = 0;

	for (unsigned i = 0; i < count; i++) {
		if (i && has_fp(chain[i])) {
			stack[--at] = (agent_word)fp;
			fp = at_word(at);
		}
		if (i && saves_fp(chain[i])) {
			stack[at - 1] = (agent_word)fp;
			fp = dice(2) ? last[i % MOST] : at_word(WORDS - dice(64));
			last[i % MOST] = stack[at - 1];
		}
		at -= has_fp(chain[i]) ? grown[i] : (unsigned)frame_words(chain[i]);
		stack[--at] = (agent_word)pc_of(chain[i]);
	}
	return (struct agent_call){.pointer = POINTER,
				   .slot = at_word(at),
				   .fp = fp,
				   .argument = {64},
				   .result = BLOCK,
				   .hook = MALLOC};
}

/* Of a stack that is kept with `depth` frames, the leaf among them. */
static void check_cut(const unsigned *chain, unsigned count, const frame_t *frame_by_function,
		      unsigned depth)
{
	unsigned left = count < depth ? 0 : count - depth + 1;
	struct live_block block;
	struct shared_node node = {.parent = 0};
	uint32_t at;

	assert_true(live_find(&shared, BLOCK, &block));
	live_remove(&block);
	at = interned_leaf(&shared, block.context);
	assert_true(interned_node(&shared, at, &node));
	assert_true(node.frame == shared_hook(&shared, MALLOC)->frame);
	for (unsigned i = count; i-- > left;) {
		assert_true(interned_node(&shared, node.parent, &node));
		assert_true(node.frame == frame_by_function[chain[i]]);
	}
	assert_int_equal(node.parent, left ? WALK_DEPTH : WALK_ROOT);
}

static void check_frames(const unsigned *chain, unsigned count, const frame_t *frame_by_function)
{
	check_cut(chain, count, frame_by_function, DEPTH);
}

static void frames_init(frame_t *ret)
{
	for (unsigned f = 0; f < FUNCTIONS; f++)
		ret[f] = frame_at(f);
}

/* The next call comes from nearly the same place. */
static void chain_change(unsigned *chain, unsigned *grown, unsigned *count, unsigned most)
{
	unsigned i = 1 + dice(*count - 1), other = 1 + dice(*count - 1), by = 1 + dice(2);

	switch (dice(6)) {
	case 0: /* deeper, or less deep */
		*count = 2 + dice(most - 1);
		break;
	case 1:
		chain[i] = some_function();
		break;
	case 2: /* one that looks alike */
		chain[i] = chain[i] + 15 < UNKNOWN ? chain[i] + 15 : chain[i] % 15;
		break;
	case 3: /* the same sum */
		if (grown[i] >= by) {
			grown[i] -= by;
			grown[other] += by;
		}
		break;
	case 4:
		grown[i] = dice(4);
		break;
	default:
		break;
	}
}

static void test_nearly_the_same(void **state)
{
	unsigned chain[MOST + 1] = {0}, grown[MOST + 1] = {0}, count = MOST;
	frame_t frames[FUNCTIONS];

	(void)state;
	begin(DEPTH);
	frames_init(frames);
	seed = 20;
	for (unsigned i = 1; i <= MOST; i++)
		chain[i] = some_function();
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct agent_call call;

		chain_change(chain, grown, &count, MOST);
		call = call_of(chain, grown, count);
		assert_true(agent_call(&shared, &call));
		check_frames(chain, count, frames);
	}
	shared_case_end(&shared);
}

/* Stacks that are cut: the frames that are kept begin elsewhere as it grows. */
static void test_deeper_than_is_kept(void **state)
{
	enum { DEEPEST = 70, KEPT = 40 };
	unsigned chain[DEEPEST + 1] = {0}, grown[DEEPEST + 1] = {0}, count = DEEPEST;
	frame_t frames[FUNCTIONS];

	(void)state;
	begin(KEPT);
	frames_init(frames);
	seed = 21;
	for (unsigned i = 1; i <= DEEPEST; i++)
		chain[i] = some_function();
	for (unsigned round = 0; round < ROUNDS / 10; round++) {
		struct agent_call call;

		chain_change(chain, grown, &count, DEEPEST);
		call = call_of(chain, grown, count);
		assert_true(agent_call(&shared, &call));
		check_cut(chain, count, frames, KEPT);
		assert_true(count < 2 || shared_walk(&shared, known_thread(&shared, POINTER))->count ==
						 (count < KEPT ? count : KEPT - 1));
	}
	shared_case_end(&shared);
}

/* As if it were no more: nothing else says that a row was not looked for. */
static void row_hide(unsigned f)
{
	for (uint32_t slot = 0; slot < SHARED_PCS; slot++)
		if (known_pc_at(&shared, slot)->key == pc_of(f) * 2)
			known_pc_at(&shared, slot)->key = 1;
}

/* A register that nobody needs as a frame pointer is another one, and so is a frame in between: what lies
 * outside of that is not walked anew, nor is what was met before. */
static void test_only_what_changed_is_walked(void **state)
{
	unsigned chain[] = {0, 3, 1, 4, 2, 16}, other[] = {0, 3, 1, 19, 2, 16}, grown[6] = {0};
	frame_t frames[FUNCTIONS];
	struct agent_call call;

	(void)state;
	begin(DEPTH);
	frames_init(frames);
	call = call_of(chain, grown, 6);
	assert_true(agent_call(&shared, &call));
	check_frames(chain, 6, frames);
	row_hide(0);
	row_hide(3);
	row_hide(1);
	row_hide(4);
	row_hide(2);
	row_hide(16);
	for (unsigned i = 0; i < 6; i++) { /* fp is of dice */
		call = call_of(i % 2 ? other : chain, grown, 6);
		assert_true(agent_call(&shared, &call));
		check_frames(i % 2 ? other : chain, 6, frames);
	}
	shared_case_end(&shared);
}

/* Rows are forgotten, and others are told for the same pcs: libraries have changed places. */
static void test_rows_change(void **state)
{
	const unsigned chain[] = {0, 3, 1, 2, 16}, grown[] = {0, 1, 0, 0, 0}, count = 5;
	frame_t frames[FUNCTIONS];

	(void)state;
	begin(DEPTH);
	frames_init(frames);
	for (unsigned i = 0; i < 50; i++) {
		struct agent_call call = call_of(chain, grown, count);

		assert_true(agent_call(&shared, &call));
		check_frames(chain, count, frames);
		known_pcs_forget(&shared);
		for (unsigned f = 0; f < FUNCTIONS; f++) {
			struct row row = row_for(f);

			frames[f] = frame_of(1 + i, f * 64 + 4);
			known_pc_add(&shared, pc_of(f), false, frames[f], &row);
		}
	}
	shared_case_end(&shared);
}

/* A handler that interrupts the agent walks for itself, and leaves what is remembered alone; one
 * that was left for ever is overcome by who calls from farther out. */
static void test_within_another(void **state)
{
	const unsigned inner[] = {0, 3, 1, 2}, outer[] = {0, 3}, grown[4] = {0};
	struct shared_walk *walk, before;
	struct agent_call call;
	frame_t frames[FUNCTIONS];

	(void)state;
	begin(DEPTH);
	frames_init(frames);
	walk = shared_walk(&shared, known_thread(&shared, POINTER));
	call = call_of(outer, grown, 2);
	assert_true(agent_call(&shared, &call));
	check_frames(outer, 2, frames);
	assert_int_equal(walk->count, 2);
	walk->busy = call.slot;
	before = *walk;
	call = call_of(inner, grown, 4);
	assert_true(agent_call(&shared, &call));
	check_frames(inner, 4, frames);
	assert_memory_equal(walk, &before, sizeof(before));
	call = call_of(outer, grown, 2);
	assert_true(agent_call(&shared, &call));
	check_frames(outer, 2, frames);
	assert_int_equal(walk->busy, 0);
	assert_int_equal(walk->count, 2);
	shared_case_end(&shared);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nearly_the_same),
		cmocka_unit_test(test_deeper_than_is_kept),
		cmocka_unit_test(test_only_what_changed_is_walked),
		cmocka_unit_test(test_rows_change),
		cmocka_unit_test(test_within_another),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
