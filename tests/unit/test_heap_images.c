/*
 * Looks at recorded processes (tests/unit/images; scripts/record_heap_images.py): heap_list with 120
 * blocks, by the libcs and allocators of several releases.  Each block is found, and is what the program
 * says; and with any byte broken the answer is a refusal, or one that makes sense.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "heap_image.h"

#define IMAGES "tests/unit/images"

enum { CHANGES = 400, READS_MAX = 1000000 };

static const struct {
	const char *file, *allocator, *version;
} images[] = {
	{"glibc-2.31", "glibc", "2.27-2.42"}, {"glibc-2.36", "glibc", "2.27-2.42"},
	{"glibc-2.41", "glibc", "2.27-2.42"}, {"glibc-2.43", "glibc", "2.43"},
	{"musl-1.2.3", "musl", "1.2.1-"},     {"musl-old-malloc", "musl", "-1.2.0"},
	{"musl-1.1.24", "musl", "-1.2.0"},    {"jemalloc-5.2", "jemalloc", "5.2"},
	{"jemalloc-5.3", "jemalloc", "5.3"},
};
enum { IMAGES_COUNT = sizeof(images) / sizeof(images[0]) };

static void load(struct heap_image *image, unsigned i)
{
	char path[128];

	snprintf(path, sizeof(path), IMAGES "/%s", images[i].file);
	if (!heap_image_load(image, path))
		fail_msg("no %s", path);
}

static bool found(const struct leak *leak, const char *allocator, const char *version)
{
	size_t count;
	const struct leak_allocator *a = leak_allocators(leak, &count);

	for (size_t i = 0; i < count; i++)
		if (a[i].read && !strcmp(a[i].name, allocator) && !strcmp(a[i].version, version))
			return true;
	return false;
}

static void blocks_of_each(void **state)
{
	(void)state;
	for (unsigned i = 0; i < IMAGES_COUNT; i++) {
		struct heap_image image;
		struct leak *leak = NULL;
		struct err err = {0};
		unsigned others = 0;

		load(&image, i);
		assert_int_equal(image.block_count, 120);
		if (leak_create(&image.input, &leak, &err))
			fail_msg("%s: %s", images[i].file, err.text);
		assert_true(found(leak, images[i].allocator, images[i].version));
		for (size_t b = 0; b < image.block_count; b++) {
			const struct image_block *told = &image.blocks[b];
			uint32_t index = leak_find(leak, told->addr);
			struct leak_block block;

			assert_true(index != LEAK_NONE);
			leak_block(leak, index, &block);
			assert_true(block.addr == told->addr && block.size >= told->size);
			others += block.class != told->class;
		}
		if (others > 2) /* (an old word in a frame holds one, and what it leads to) */
			fail_msg("%s: %u blocks are not what the program says", images[i].file, others);
		leak_destroy(leak);
		heap_image_free(&image);
	}
}

/* What a look at a broken heap may say. */
static void makes_sense(const struct heap_image *image, const struct leak *leak)
{
	uint64_t blocks = 0;

	for (uint32_t i = 0; i < leak_count(leak); i++) {
		struct leak_block b;
		const struct mapping *mapping;

		leak_block(leak, i, &b);
		mapping = maps_find(&image->maps, b.addr);
		assert_true(mapping && b.size <= mapping->end - b.addr);
	}
	for (unsigned c = 0; c < LEAK_CLASSES; c++)
		blocks += leak_totals(leak)->classes[c].blocks;
	assert_int_equal(blocks, leak_count(leak));
	assert_true(image->reads < READS_MAX);
}

/* (Of those that have content: the others are in the middle of nothing.) */
static void a_byte_broken(struct heap_image *image, uint32_t *seed)
{
	struct leak *leak = NULL;
	struct err err = {0};
	uint8_t *byte, was;

	do {
		*seed = *seed * 1664525 + 1013904223;
		byte = &image->pages[(*seed >> 8) % image->page_count].bytes[*seed >> 20];
	} while (!*byte);
	was = *byte;
	*byte ^= (uint8_t)(*seed >> 3 | 1);
	image->reads = 0;
	if (leak_create(&image->input, &leak, &err))
		assert_true(err.code < 0 && err.text[0] && image->reads < READS_MAX);
	else
		makes_sense(image, leak);
	leak_destroy(leak);
	*byte = was;
}

static void any_byte_broken(void **state)
{
	uint32_t seed = 2029;

	(void)state;
	for (unsigned i = 0; i < IMAGES_COUNT; i++) {
		struct heap_image image;

		load(&image, i);
		for (unsigned k = 0; k < (i < 6 ? CHANGES : CHANGES / 20); k++)
			a_byte_broken(&image, &seed);
		heap_image_free(&image);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blocks_of_each),
		cmocka_unit_test(any_byte_broken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
