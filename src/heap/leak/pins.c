/*
 * What keeps pages from going back to the kernel: pages of the heaps of which a quarter at most
 * is in use.  Blocks come by ascending address; those of one page share what they pin.
 */
#include "heap/leak/parts.h"

enum { PAGE = 4096, PINNED = PAGE / 4, ON_A_PAGE = PINNED / 8 };

struct page {
	taddr_t at;
	uint32_t used; /* bytes; PAGE: enough not to be looked at */
	uint32_t count, blocks[ON_A_PAGE];
	void (*visit)(void *arg, uint32_t block, uint64_t pinned);
	void *arg;
	uint64_t total;
};

static void page_end(struct page *page)
{
	uint64_t free = PAGE - page->used;

	if (!page->count || page->used > PINNED)
		return;
	page->total += free;
	for (uint32_t i = 0; i < page->count; i++)
		page->visit(page->arg, page->blocks[i],
			    free / page->count + (i < free % page->count));
}

/* `bytes` of a block are on the page at `at`. */
static void page_add(struct page *page, taddr_t at, uint32_t block, uint64_t bytes)
{
	if (at != page->at) {
		page_end(page);
		page->at = at;
		page->used = page->count = 0;
	}
	page->used = page->used + bytes > PAGE ? PAGE : page->used + (uint32_t)bytes;
	if (page->count < ON_A_PAGE)
		page->blocks[page->count++] = block;
	else
		page->used = PAGE;
}

uint64_t leak_for_each_pin(struct leak *leak,
			   void (*visit)(void *arg, uint32_t block, uint64_t pinned), void *arg)
{
	struct page page = {.at = UINT64_MAX, .visit = visit, .arg = arg};
	struct index_walk walk;
	uint32_t block = 0;
	taddr_t addr;

	for (index_walk_init(&walk, &leak->index); index_walk_next(&walk, &addr); block++) {
		uint64_t size = leak_size(leak, block);
		taddr_t end = addr + (size ? size : 1), last = (end - 1) & ~(taddr_t)(PAGE - 1);
		taddr_t first = addr & ~(taddr_t)(PAGE - 1);

		page_add(&page, first, block, (last == first ? end : first + PAGE) - addr);
		if (last != first) /* (pages in between are full) */
			page_add(&page, last, block, end - last);
	}
	page_end(&page);
	return page.total;
}
