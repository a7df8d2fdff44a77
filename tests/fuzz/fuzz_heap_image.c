/*
 * A recorded heap (tests/unit/images) that is broken.
 *
 *   input: which image u8; then changes {where u32, a length u8, bytes}: where counts the bytes of
 * the image's pages, one page behind the other
 *
 * What is held: an end, within bounded reading; a refusal in words, or blocks that are mapped, with
 * sums that are theirs; and the queries about them answer.
 */
#include "fuzz.h"
#include "../unit/heap_image.h"

enum { IMAGES = 9, CHANGES = 16, READS_MAX = 4000000 };

static struct heap_image *image_of(unsigned i)
{
	static const char *const names[IMAGES] = {"glibc-2.31", "glibc-2.36",	   "glibc-2.41",   "glibc-2.43",
						  "musl-1.2.3", "musl-old-malloc", "jemalloc-5.2", "jemalloc-5.3",
						  "musl-1.1.24"};
	static struct heap_image images[IMAGES];
	char path[64];

	snprintf(path, sizeof(path), "tests/unit/images/%s", names[i]);
	if (!images[i].bytes && !heap_image_load(&images[i], path)) {
		fprintf(stderr, "no %s here\n", path);
		abort();
	}
	return &images[i];
}

static void ask(struct leak *leak, uint32_t block)
{
	struct leak_link links[4];
	struct leak_place places[4];
	struct leak_content content;
	struct leak_sum sum;
	struct leak_block b;

	leak_block(leak, block, &b);
	leak_content(leak, block, &content);
	assert(memchr(content.text, 0, sizeof(content.text)));
	assert((leak_why(leak, &block, 1, links, 4, NULL) > 0) == (b.class == LEAK_HELD));
	leak_who(leak, b.addr, places, 4);
	assert(leak_retained(leak, &block, 1, &sum) && sum.blocks >= 1);
}

static void look(struct heap_image *image)
{
	struct leak_sum sums[LEAK_CLASSES] = {{0}};
	struct leak *leak = NULL;
	struct err err = {0};

	image->reads = 0;
	image->input.memory_limit = 64 << 20;
	if (leak_create(&image->input, &leak, &err)) {
		assert(err.code < 0 && err.text[0] && image->reads < READS_MAX);
		return;
	}
	for (uint32_t i = 0; i < leak_count(leak); i++) {
		struct leak_block b;
		const struct mapping *mapping;

		leak_block(leak, i, &b);
		mapping = maps_find(&image->maps, b.addr);
		assert(mapping && b.size <= mapping->end - b.addr);
		sums[b.class].blocks++;
		sums[b.class].bytes += b.size;
		if (i < 4)
			ask(leak, i);
	}
	assert(!memcmp(sums, leak_totals(leak)->classes, sizeof(sums)));
	assert(image->reads < READS_MAX);
	leak_destroy(leak);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor c = cursor_over(data, size);
	struct heap_image *image = image_of(cursor_u8(&c) % IMAGES);
	struct {
		uint8_t *at, was[255];
		size_t len;
	} done[CHANGES];
	unsigned count = 0;

	while (cursor_left(&c) > 5 && count < CHANGES) {
		size_t where = cursor_u32(&c) % (image->page_count * HEAP_IMAGE_PAGE);
		size_t within = where % HEAP_IMAGE_PAGE, len = cursor_u8(&c);
		uint8_t *at = image->pages[where / HEAP_IMAGE_PAGE].bytes + within;
		const uint8_t *bytes;

		len = len < cursor_left(&c) ? len : cursor_left(&c);
		len = len < HEAP_IMAGE_PAGE - within ? len : HEAP_IMAGE_PAGE - within;
		bytes = cursor_bytes(&c, len);
		done[count].at = at;
		done[count].len = len;
		memcpy(done[count++].was, at, len);
		memcpy(at, bytes, len);
	}
	look(image);
	while (count--)
		memcpy(done[count].at, done[count].was, done[count].len);
	return 0;
}
