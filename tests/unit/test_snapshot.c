/* Snapshots of a region: what is copied, walked and chosen. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "heap/snapshot.h"
#include "region/arrays.h" /* to damage one */
#include "region_case.h"

/* `blocks` blocks of `size` from a stack of two frames, the leaf at `leaf`. */
static uint32_t allocate(uint64_t leaf, unsigned blocks, uint64_t size)
{
	const frame_t stack[] = {frame_of(1, leaf), frame_of(2, 0x40)};
	uint32_t id = region_context(region, &space, stack, 2, WALK_ROOT);

	for (unsigned i = 0; i < blocks; i++)
		region_alloc(region, &space, (leaf << 20) + 16 * (i + 1), size, id, 5, false);
	return id;
}

static void release(uint64_t leaf, unsigned block)
{
	struct region_block taken;

	assert_true(region_take(region, (leaf << 20) + 16 * (block + 1), &taken));
	region_free(region, &taken);
}

static struct snapshot *snapshot(void)
{
	struct snapshot *s = NULL;
	struct err err;

	assert_int_equal(snapshot_create(space.base, space.limit, &s, &err), 0);
	return s;
}

static void test_is_a_copy(void **state)
{
	frame_t frames[8];
	enum walk_end end;
	struct snapshot *s;
	uint32_t id = allocate(0x10, 3, 7);

	(void)state;
	s = snapshot();
	allocate(0x10, 1, 100);
	region_clear(region, &space);
	assert_int_equal(s->totals.allocs, 3);
	assert_int_equal(s->context_count, 2);
	assert_int_equal(s->contexts[id].allocated_bytes, 21);
	assert_int_equal(s->node_count, WALK_ENDS + 2);
	assert_int_equal(region_memory(region), 5 * 65536);
	assert_int_equal(snapshot_stack(s, id, frames, 8, &end), 2);
	assert_int_equal(frames[0], frame_of(1, 0x10));
	assert_int_equal(frames[1], frame_of(2, 0x40));
	assert_int_equal(end, WALK_ROOT);
	assert_int_equal(snapshot_stack(s, id, frames, 1, &end), 1);
	assert_int_equal(end, WALK_DEPTH);
	assert_int_equal(snapshot_stack(s, 0, frames, 8, &end), 0);
	assert_int_equal(end, WALK_LOST);
	assert_int_equal(snapshot_stack(s, 99, frames, 8, &end), 0);
	assert_int_equal(end, WALK_LOST);
	snapshot_destroy(s);
	snapshot_destroy(NULL);
}

static void test_modules_and_strings_are_owned(void **state)
{
	struct snapshot *s = snapshot();

	(void)state;
	assert_null(snapshot_module(s, 1));
	s->modules = calloc(2, sizeof(*s->modules));
	s->module_count = 2;
	s->modules[1].id.path = strdup("/lib/x.so");
	s->command = calloc(2, sizeof(*s->command));
	s->command[0] = strdup("demo");
	s->threads = calloc(1, sizeof(*s->threads));
	assert_string_equal(snapshot_module(s, 2)->id.path, "/lib/x.so");
	assert_null(snapshot_module(s, 0));
	assert_null(snapshot_module(s, 3));
	snapshot_destroy(s); /* the leak checker says the rest */
}

static void expect_order(const struct snapshot *s, enum snapshot_order order, bool all,
			 const uint32_t *expected, size_t count)
{
	uint32_t *ids = NULL;
	struct err err;
	size_t n = 0;

	assert_int_equal(snapshot_select(s, order, all, &ids, &n, &err), 0);
	assert_int_equal(n, count);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(ids[i], expected[i]);
	free(ids);
}

static void test_select(void **state)
{
	struct snapshot *s;

	(void)state;
	allocate(1, 2, 100); /* 200 bytes */
	allocate(2, 5, 10);  /* 50 bytes */
	allocate(3, 1, 200); /* 200 bytes */
	allocate(4, 9, 999); /* all freed */
	allocate(5, 2, 0);   /* no bytes, but blocks */
	for (unsigned i = 0; i < 9; i++)
		release(4, i);
	s = snapshot();
	expect_order(s, SNAPSHOT_BY_BYTES, false, (uint32_t[]){1, 3, 2, 5}, 4);
	expect_order(s, SNAPSHOT_BY_BLOCKS, false, (uint32_t[]){2, 1, 5, 3}, 4);
	expect_order(s, SNAPSHOT_BY_ALLOCS, false, (uint32_t[]){2, 1, 5, 3}, 4);
	expect_order(s, SNAPSHOT_BY_ALLOCS, true, (uint32_t[]){4, 2, 1, 5, 3}, 5);
	expect_order(s, SNAPSHOT_BY_BYTES, true, (uint32_t[]){1, 3, 2, 4, 5}, 5);
	snapshot_destroy(s);
}

static void test_overflow_context_is_shown(void **state)
{
	struct snapshot *s;

	(void)state;
	region_alloc(region, &space, 0x1000, 10, REGION_OVERFLOW_CONTEXT, 1, false);
	s = snapshot();
	expect_order(s, SNAPSHOT_BY_BYTES, false, (uint32_t[]){0}, 1);
	snapshot_destroy(s);
}

static void test_damage_is_refused(void **state)
{
	struct region_context *context;
	struct region_node *node;
	struct snapshot *s = NULL;
	struct err err;
	uint32_t id = allocate(1, 1, 1);

	(void)state;
	node = arrays_at(region, REGION_NODES, WALK_ENDS);
	context = arrays_at(region, REGION_CONTEXTS, id);
	node->parent = WALK_ENDS; /* its own parent: a walk without end */
	assert_int_equal(snapshot_create(space.base, space.limit, &s, &err), -EINVAL);
	node->parent = WALK_ROOT;
	context->node = 1000000;
	assert_int_equal(snapshot_create(space.base, space.limit, &s, &err), -EINVAL);
	assert_string_equal(err.text, "the recorded call stacks are damaged");
	assert_null(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_is_a_copy, region_setup, region_teardown),
		cmocka_unit_test_setup_teardown(test_modules_and_strings_are_owned,
						region_setup, region_teardown),
		cmocka_unit_test_setup_teardown(test_select, region_setup, region_teardown),
		cmocka_unit_test_setup_teardown(test_overflow_context_is_shown, region_setup,
						region_teardown),
		cmocka_unit_test_setup_teardown(test_damage_is_refused, region_setup,
						region_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
