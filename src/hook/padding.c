/* The space behind a module's text; see padding.h. */
#include "hook/padding.h"

#include <elf.h>
#include <errno.h>
#include <string.h>

enum { LARGEST_PAGE = 65536, ALIGN = 16 };

/* Where the padding behind `end` ends: with the mapping, or before another segment that
 * begins in it (the kernel merges what is mapped alike side by side). */
static taddr_t padding_end(const struct module *module, const struct mapping *mapping,
			   taddr_t end)
{
	size_t count = 0;
	const struct image_segment *segments = image_segments(module->image, &count);
	taddr_t limit = mapping->end;

	for (size_t i = 0; i < count; i++) {
		taddr_t begin = module->bias + segments[i].vaddr;

		if (begin >= end && begin < limit)
			limit = begin;
	}
	return limit;
}

bool padding_of(const struct module *module, const struct maps *maps, struct space *ret)
{
	size_t count = 0;
	const struct image_segment *segments;

	if (!module->image || !module->mapped || module->vdso)
		return false;
	segments = image_segments(module->image, &count);
	for (size_t i = 0; i < count; i++) {
		const struct image_segment *s = &segments[i];
		taddr_t end = module->bias + s->vaddr + s->file_size;
		taddr_t base = (end + ALIGN - 1) & ~(taddr_t)(ALIGN - 1);
		const struct mapping *mapping = maps_find(maps, end - 1);
		taddr_t page_end = mapping ? padding_end(module, mapping, end) : 0;

		if (!(s->flags & PF_X) || s->mem_size != s->file_size || base >= page_end)
			continue;
		if (!mapping->exec || mapping->write || mapping->shared ||
		    page_end - end >= LARGEST_PAGE)
			continue;
		ret->base = base;
		ret->len = (uint32_t)(page_end - base);
		ret->host = module->instance;
		return true;
	}
	return false;
}

/* As many of len bytes as the file has: it may end within. */
static void read_there(struct memory *source, uint64_t offset, uint8_t *ret, size_t len)
{
	for (size_t piece = len; piece;) {
		if (memory_read(source, offset, ret, piece)) {
			piece /= 2;
			continue;
		}
		offset += piece;
		ret += piece;
		len -= piece;
		piece = piece < len ? piece : len;
	}
}

int padding_original(const struct module *module, const struct space *space, uint8_t *old,
		     size_t len)
{
	size_t count = 0;
	const struct image_segment *segments = image_segments(module->image, &count);
	uint64_t vaddr = space->base - module->bias;

	memset(old, 0, len);
	for (size_t i = 0; i < count; i++) {
		const struct image_segment *s = &segments[i];

		if (!(s->flags & PF_X) || vaddr < s->vaddr ||
		    vaddr - s->vaddr > s->file_size + LARGEST_PAGE)
			continue;
		if (!module_has_file(module))
			return 0; /* no file: only zeros were accepted as padding */
		read_there(module->source, s->offset + (vaddr - s->vaddr), old, len);
		return 0;
	}
	return -EFAULT;
}
