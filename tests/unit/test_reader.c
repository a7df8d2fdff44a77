/* Reading a region: what is refused, and a reader beside a writer, both at full speed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/types.h"
#include "region/arrays.h"
#include "region/reader.h"
#include "region/sequence.h"
#include "region_case.h"

static struct reader reader;

static int reopen(void)
{
	return reader_open(&reader, space.base, space.limit);
}

static uint32_t allocate(uint64_t leaf, uint64_t addr, uint64_t size)
{
	const frame_t stack[] = {frame_of(1, leaf), frame_of(1, leaf % 7), frame_of(2, 1)};
	uint32_t id = region_context(region, &space, stack, 3, WALK_ROOT);

	region_alloc(region, &space, addr, size, id, 5, false);
	return id;
}

/* ---- what is there ----------------------------------------------------------------- */

static void test_what_was_written(void **state)
{
	const frame_t stack[] = {frame_of(1, 8), frame_of(1, 1), frame_of(2, 1)};
	uint32_t id = allocate(8, 16, 100), node;
	struct region_context c;
	struct region_node n;

	(void)state;
	assert_int_equal(reopen(), 0);
	assert_true(reader_context(&reader, id, &c));
	assert_int_equal(c.allocated_bytes, 100);
	assert_int_equal(c.sequence, 0);
	node = c.node;
	for (int i = 0; i < 3; i++, node = n.parent) {
		assert_true(reader_node(&reader, node, &n));
		assert_true(n.frame == stack[i]);
		assert_int_equal(n.context, i ? 0 : id);
	}
	assert_int_equal(node, WALK_ROOT);
	assert_false(reader_node(&reader, WALK_ROOT, &n));
	assert_false(reader_node(&reader, reader_node_count(&reader), &n));
	assert_false(reader_context(&reader, reader_context_count(&reader), &c));
	assert_int_equal(reader.totals.live_blocks, 1);
}

/* The view ends where it ended when it was opened. */
static void test_later_items_are_not_there(void **state)
{
	struct region_context c;
	struct region_node n;
	uint32_t id;

	(void)state;
	assert_int_equal(reopen(), 0);
	assert_true(reader_is_still(&reader));
	id = allocate(9, 16, 1);
	assert_false(reader_context(&reader, id, &c));
	assert_false(reader_node(&reader, WALK_ENDS, &n));
	assert_false(reader_is_still(&reader));
	assert_false(reader_is_overtaken(&reader));
	region_clear(region, &space);
	assert_true(reader_is_overtaken(&reader));
	/* A node that is in the view may name a context that is not. */
	assert_int_equal(reopen(), 0);
	id = region_node(region, region_context_at(region, id)->node)->parent;
	((struct region_node *)arrays_at(region, REGION_NODES, id))->context = 100;
	assert_true(reader_node(&reader, id, &n));
	assert_int_equal(n.context, 0);
}

static void test_sums(void **state)
{
	struct region_context contexts[3];
	struct region_totals totals;

	(void)state;
	allocate(1, 16, 10);
	allocate(2, 32, 20);
	assert_int_equal(reopen(), 0);
	for (uint32_t i = 0; i < 3; i++)
		assert_true(reader_context(&reader, i, &contexts[i]));
	assert_true(reader_sum(&reader, contexts, &totals));
	assert_memory_equal(&totals, region_totals(region), sizeof(totals));
	/* The engine's totals are not those of its contexts. */
	contexts[1].allocated_bytes += 1000;
	assert_true(reader_sum(&reader, contexts, &totals));
	assert_int_equal(totals.lost_events, 1);
	assert_int_equal(totals.allocated_bytes, 1030);
	assert_int_equal(totals.peak_bytes, 1030);
	/* But while it counts on they need not be. */
	region_free_unknown(region);
	assert_true(reader_sum(&reader, contexts, &totals));
	assert_int_equal(totals.lost_events, 0);
	contexts[2].freed_bytes = contexts[1].freed_bytes = UINT64_MAX;
	assert_false(reader_sum(&reader, contexts, &totals));
}

static void test_modules(void **state)
{
	struct region_module module = {.begin = 0x1000, .end = 0x2000, .bias = 0x1000,
				       .mapped = 1, .path_len = 4, .path = "/lib"};
	struct region_module read;

	(void)state;
	assert_true(region_set_module(region, &space, 3, &module));
	assert_int_equal(region->modules_epoch, 1);
	assert_true(region_set_module(region, &space, 3, &module)); /* nothing new */
	assert_int_equal(region->modules_epoch, 1);
	assert_int_equal(reopen(), 0);
	assert_int_equal(reader_module_count(&reader), 3);
	assert_true(reader_module(&reader, 1, &read));
	assert_int_equal(read.path_len, 0);
	assert_true(reader_module(&reader, 3, &read));
	assert_memory_equal(&read, &module, sizeof(module));
	assert_false(reader_module(&reader, 0, &read));
	assert_false(reader_module(&reader, 4, &read));
	module.mapped = 0;
	module.path_len = 60000;
	assert_true(region_set_module(region, &space, 3, &module));
	assert_int_equal(region->modules_epoch, 2);
	assert_true(reader_module(&reader, 3, &read));
	assert_int_equal(read.path_len, sizeof(read.path));
	module.path[100] = 'x';
	assert_true(region_set_module(region, &space, 3, &module));
	assert_int_equal(region->modules_epoch, 3);
	module.id_len = 65;
	assert_true(region_set_module(region, &space, 3, &module));
	assert_false(reader_module(&reader, 3, &read));
	for (uint32_t i = 1; i < FRAME_INSTANCES; i++)
		assert_true(region_set_module(region, &space, i, &module));
	assert_int_equal(reopen(), 0);
	assert_false(region_set_module(region, &space, FRAME_INSTANCES, &module));
	assert_false(region_set_module(region, &space, 0, &module));
	assert_int_equal(reopen(), 0);
	assert_true(arrays_room(region, &space, REGION_MODULES));
	arrays_publish(region, REGION_MODULES);
	assert_int_equal(reopen(), -EINVAL);
}

/* ---- what is refused --------------------------------------------------------------- */

#define REFUSED(field, value, rc)                                                              \
	do {                                                                                   \
		struct region sound = *region;                                                 \
		region->field = (value);                                                       \
		assert_int_equal(reopen(), rc);                                                \
		*region = sound;                                                               \
		assert_int_equal(reopen(), 0);                                                 \
	} while (0)

static void test_headers_that_are_refused(void **state)
{
	uint64_t far = space.limit;

	(void)state;
	allocate(1, 16, 1);
	assert_int_equal(reader_open(&reader, space.base, 100), -EINVAL);
	assert_int_equal(reader_open(&reader, space.base + 4, far - 4), -EINVAL);
	REFUSED(magic, 1, -EINVAL);
	REFUSED(version, REGION_VERSION - 1, -EINVAL);
	REFUSED(header_bytes, 100, -EINVAL);
	REFUSED(totals_sequence, 1, -EAGAIN);
	REFUSED(arrays[REGION_NODES].count, WALK_ENDS - 1, -EINVAL);
	REFUSED(arrays[REGION_NODES].count, UINT32_MAX, -EINVAL);
	REFUSED(arrays[REGION_NODES].count, 4097, -EINVAL); /* segment 1 is not there */
	REFUSED(arrays[REGION_NODES].first_bits, 3, -EINVAL);
	REFUSED(arrays[REGION_NODES].first_bits, 32, -EINVAL);
	REFUSED(arrays[REGION_NODES].first_bits, UINT32_MAX, -EINVAL);
	REFUSED(arrays[REGION_NODES].item_bytes, 8, -EINVAL);
	REFUSED(arrays[REGION_CONTEXTS].count, 0, -EINVAL);
	REFUSED(arrays[REGION_CONTEXTS].segment[0], far, -EINVAL);
	REFUSED(arrays[REGION_CONTEXTS].segment[0], far - 2 * 56 + 8, -EINVAL);
	REFUSED(arrays[REGION_CONTEXTS].segment[0], -56ull, -EINVAL);
	REFUSED(arrays[REGION_CONTEXTS].segment[0], sizeof(*region) - 8, -EINVAL);
	REFUSED(arrays[REGION_CONTEXTS].segment[0],
		region->arrays[REGION_CONTEXTS].segment[0] + 4, -EINVAL);
}

static void test_items_that_are_refused(void **state)
{
	uint32_t id = allocate(1, 16, 1);
	struct region_context *c = arrays_at(region, REGION_CONTEXTS, id), sound = *c, got;
	struct region_node *n = arrays_at(region, REGION_NODES, c->node), node;

	(void)state;
	assert_int_equal(reopen(), 0);
	n->parent = c->node; /* a walk without end */
	assert_false(reader_node(&reader, c->node, &node));
	c->node = reader_node_count(&reader);
	assert_false(reader_context(&reader, id, &got));
	*c = sound;
	c->frees = 2;
	assert_false(reader_context(&reader, id, &got));
	*c = sound;
	c->freed_bytes = 2;
	assert_false(reader_context(&reader, id, &got));
	*c = sound;
	c->peak_bytes = 0;
	assert_false(reader_context(&reader, id, &got));
	*c = sound;
	c->sequence |= 1; /* its writer has died within */
	assert_false(reader_context(&reader, id, &got));
	region_alloc(region, &space, 32, 1, id, 1, false); /* the next one */
	assert_true(reader_context(&reader, id, &got));
	assert_int_equal(got.allocs, 2);
}

/* Also while the next one writes nothing can be read. */
static void test_behind_a_writer_that_died(void **state)
{
	uint32_t sequence = 5, word = 1, got;

	(void)state;
	sequence_begin(&sequence);
	assert_false(sequence_copy(&sequence, &got, &word, sizeof(word), NULL));
	sequence_end(&sequence);
	assert_true(sequence_copy(&sequence, &got, &word, sizeof(word), &sequence));
	assert_int_equal(got, 1);
}

/* ---- both at full speed ------------------------------------------------------------ */

/*
 * Every block of a stack is of its leaf + 1 bytes, so each record of a context that was read
 * while it changed shows itself.  Three stacks allocate all the while, others come between.
 */
#if !defined(__x86_64__) /* tested in emulated machines */
enum { STACKS = 60000 / 8 };
#else
enum { STACKS = 60000 };
#endif
enum { BLOCKS = 1000, READINGS = 60 /* with that many contexts */ };

static atomic_bool stop;

static void write_round(uint32_t round, uint32_t *leaf)
{
	struct region_block block;

	for (uint64_t i = 1; i <= BLOCKS; i++) {
		uint32_t own = i % 2 && *leaf < STACKS ? (*leaf)++ : (uint32_t)(i % 3);

		allocate(own, i * 16, own + 1);
		if (i % 5 && region_take(region, i * 16, &block))
			region_free(region, &block);
	}
	for (uint64_t i = 5; i <= BLOCKS; i += 5)
		if (region_take(region, i * 16, &block))
			region_free(region, &block);
	region_set_module(region, &space, 1 + round % 300,
			  &(struct region_module){
				  .begin = round, .end = round, .bias = round});
	if (round % 100 == 99)
		region_clear(region, &space);
}

static void *write_on(void *arg)
{
	uint32_t leaf = 3;

	for (uint32_t i = 0; i < 3; i++)
		allocate(i, 1 << 20 | i << 4, i + 1);
	for (uint32_t round = 0; !atomic_load(&stop); round++)
		write_round(round, &leaf);
	return arg;
}

/* The leaf of a stack of allocate(). */
static uint32_t check_stack(uint32_t leaf)
{
	struct region_node n;
	frame_t frames[4];
	int count = 0;

	for (uint32_t node = leaf; node >= WALK_ENDS; node = n.parent) {
		assert_true(count < 4 && reader_node(&reader, node, &n));
		frames[count++] = n.frame;
	}
	assert_int_equal(count, 3);
	assert_true(frames[2] == frame_of(2, 1));
	assert_true(frames[1] == frame_of(1, frame_offset(frames[0]) % 7));
	return (uint32_t)frame_offset(frames[0]);
}

static void check_context(uint32_t id)
{
	struct region_context c;
	uint64_t size;

	if (!reader_context(&reader, id, &c)) /* refused: it did not stand still */
		return;
	assert_int_equal(check_stack(c.node), id - 1);
	size = id;
	assert_true(c.allocated_bytes == c.allocs * size);
	assert_true(c.freed_bytes == c.frees * size);
	assert_true(c.peak_bytes % size == 0);
}

static void check_all(void)
{
	struct region_module module;

	for (uint32_t id = 1; id < reader_context_count(&reader); id++)
		check_context(id);
	for (uint32_t i = 1; i <= reader_module_count(&reader); i++)
		if (reader_module(&reader, i, &module))
			assert_true(module.begin == module.end && module.end == module.bias);
}

/* What has just come, and what changes most, over and over. */
static void check_hot(void)
{
	struct region_node n;

	for (int i = 0; i < 2000; i++) {
		if (reopen())
			continue;
		if (reader_node_count(&reader) > WALK_ENDS) {
			assert_true(reader_node(&reader, reader_node_count(&reader) - 1, &n));
			assert_true(n.frame != 0);
		}
		for (uint32_t id = 1; id <= 3 && id < reader_context_count(&reader); id++)
			check_context(id);
		if (reader_context_count(&reader) > 1)
			check_context(reader_context_count(&reader) - 1);
	}
}

static void test_beside_a_writer(void **state)
{
	pthread_t writer;
	unsigned readings = 0;

	(void)state;
	atomic_store(&stop, false);
	assert_int_equal(pthread_create(&writer, NULL, write_on, NULL), 0);
	while (readings < READINGS) {
		int rc;

		check_hot();
		rc = reopen();
		assert_true(rc == 0 || rc == -EAGAIN);
		if (!rc) {
			check_all();
			readings += reader_context_count(&reader) == STACKS + 1;
		}
	}
	atomic_store(&stop, true);
	pthread_join(writer, NULL);
	assert_int_equal(reopen(), 0);
	check_all();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, region_setup, region_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_what_was_written),
		TEST(test_later_items_are_not_there),
		TEST(test_sums),
		TEST(test_modules),
		TEST(test_headers_that_are_refused),
		TEST(test_items_that_are_refused),
		TEST(test_behind_a_writer_that_died),
		TEST(test_beside_a_writer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
