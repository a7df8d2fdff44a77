/* jemalloc's blocks, of every release, size of words and of pages, in processes that are made up. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "heap_case.h"

static struct leak *scan(struct je_heap *h)
{
	struct leak *leak = NULL;
	struct err err = {0};

	if (leak_create(&h->c.in, &leak, &err))
		fail_msg("%s", err.text);
	return leak;
}

static void check_blocks(const struct je_heap *h, struct leak *leak)
{
	assert_int_equal(leak_count(leak), JE_BLOCKS);
	for (uint32_t i = 0; i < JE_BLOCKS; i++) {
		struct leak_block block;

		leak_block(leak, i, &block);
		assert_int_equal(block.addr, h->blocks[i]);
		assert_int_equal(block.size, h->sizes[i]);
	}
}

static void blocks_of_each(void **state)
{
	(void)state;
	for (unsigned i = 0; i < JE_VERSIONS; i++) {
		const struct leak_allocator *found;
		const struct leak_arena *arena;
		struct je_heap h;
		struct leak *leak;
		size_t count;

		je_heap_init(&h, &je_versions[i]);
		leak = scan(&h);
		found = leak_allocators(leak, &count);
		assert_int_equal(count, 1);
		assert_string_equal(found->name, "jemalloc");
		assert_string_equal(found->version, je_versions[i].name);
		assert_int_equal(found->used.blocks, JE_BLOCKS);
		assert_int_equal(found->cached.blocks, 2);
		assert_int_equal(found->in_flight, 0);
		check_blocks(&h, leak);
		arena = leak_arenas(leak, &count, NULL);
		assert_int_equal(count, 1);
		/* two slabs, nine pages and five in use, four that are free */
		assert_int_equal(arena->system, 20ull << je_versions[i].page_shift);
		leak_destroy(leak);
		case_deinit(&h.c);
	}
}

/* What the caches' array says of old is no pointer; and what looks like a bin beside them is none. */
static void caches(void **state)
{
	(void)state;
	for (unsigned i = 0; i < JE_VERSIONS; i++) {
		unsigned w = je_versions[i].word;
		struct leak_block block;
		struct je_heap h;
		struct leak *leak;
		taddr_t decoy;

		je_heap_init(&h, &je_versions[i]);
		decoy = h.c.thread.sp + 0x80;
		case_put(&h.c, h.stacks, h.blocks[1]);
		case_put(&h.c, decoy, h.blocks[0]);
		je_bin(&h, h.bins + 0x300, decoy + w, 1);
		case_put(&h.c, case_data(&h.c) + CASE_GLOBALS, h.blocks[2]);
		case_put(&h.c, h.blocks[2], h.blocks[6] + 100);
		leak = scan(&h);
		check_blocks(&h, leak);
		for (uint32_t k = 0; k < JE_BLOCKS; k++) {
			leak_block(leak, k, &block);
			assert_int_equal(block.class, k == 0 || k == 2 || k == 6 ? LEAK_HELD : LEAK_LOST);
		}
		leak_destroy(leak);
		case_deinit(&h.c);
	}
}

static void refused(struct je_heap *h, const char *text)
{
	struct leak *leak = NULL;
	struct err err = {0};

	assert_int_equal(leak_create(&h->c.in, &leak, &err), -ENOTSUP);
	assert_non_null(strstr(err.text, text));
	case_deinit(&h->c);
}

/* Extents that contradict their entries, or each other. */
static void refusals(void **state)
{
	(void)state;
	for (unsigned i = 0; i < JE_VERSIONS; i++) {
		struct je_heap h;

		je_heap_init(&h, &je_versions[i]);
		case_put(&h.c, case_data(&h.c) + JE_ROOT + (h.heap >> (h.v->page_shift + h.v->fan)) * h.v->word, 0);
		refused(&h, "no allocator that memtrace can read was found");
		je_heap_init(&h, &je_versions[i]);
		je_extent(&h, 20, 1 << 14, 0, 16ull << h.v->page_shift, false, 0, 0);
		refused(&h, "it claims memory that is not mapped");
		je_heap_init(&h, &je_versions[i]);
		je_extent(&h, 21, 1, 0, 64, true, 0, 0);
		for (unsigned k = 0; k < 3; k++)
			je_extent(&h, 22 + k, 1, 0, 1 << 14, true, 1, 0);
		refused(&h, "3 extents contradict themselves");
	}
}

/* Of each byte of the descriptions, the entries and the bins. */
static void any_byte_broken(void **state)
{
	unsigned read = 0;

	(void)state;
	for (unsigned i = 4; i < 6; i++) { /* (of 64 bits a leaf has 2 MB) */
		for (unsigned at = 0; at < 0x700; at++) {
			struct leak *leak = NULL;
			struct err err = {0};
			struct je_heap h;
			taddr_t byte;

			je_heap_init(&h, &je_versions[i]);
			byte = at < 0x500   ? h.base + 0x1000 + at
			       : at < 0x600 ? h.leaf + at - 0x500
					    : h.bins + at - 0x600;
			*case_at(&h.c, byte) ^= (uint8_t)(1 + at % 255);
			if (leak_create(&h.c.in, &leak, &err)) {
				assert_true(err.text[0]);
			} else {
				read++;
				assert_true(leak_count(leak) < 2000);
			}
			leak_destroy(leak);
			case_deinit(&h.c);
		}
	}
	assert_true(read > 1000);
}

/* Data full of what looks like a root, of addresses of memory without content: it takes few reads to see
 * that there is none. */
static void nothing_but_zeros(void **state)
{
	(void)state;
	for (unsigned i = 0; i < JE_VERSIONS; i++) {
		struct leak *leak = NULL;
		struct err err = {0};
		struct je_heap h;
		unsigned word = je_versions[i].word;

		je_heap_init(&h, &je_versions[i]);
		for (taddr_t at = 0; at < 0x1000; at += word)
			case_put(&h.c, case_data(&h.c) + at, h.base + 0x100000 + 64 * at / word);
		assert_int_equal(leak_create(&h.c.in, &leak, &err), -EOPNOTSUPP); /* no allocator */
		assert_true(h.c.reads > 256 && h.c.reads < 16384);
		leak_destroy(leak);
		case_deinit(&h.c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blocks_of_each),
		cmocka_unit_test(caches),
		cmocka_unit_test(refusals),
		cmocka_unit_test(any_byte_broken),
		cmocka_unit_test(nothing_but_zeros),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
