/*
 * A direct-mapped cache of windows: an address has one window in which it can be.  A window
 * ends where the mapping does, as the picture is read exactly or not at all; where that fails a
 * page may still be there, so it is tried.
 */
#include "heap/leak/reader.h"

#include <stdlib.h>

enum { PAGE = 4096 };

bool reader_init(struct reader *reader, struct memory *memory, const struct maps *maps,
		 uint8_t word, uint32_t size, uint32_t count)
{
	*reader = (struct reader){memory, maps, word, size, count, NULL, NULL};
	/* (room behind the last window for what begins in one and ends in the next) */
	reader->bytes = malloc((size_t)size * count + 64);
	reader->windows = calloc(count, sizeof(*reader->windows));
	return reader->bytes && reader->windows;
}

void reader_deinit(struct reader *reader)
{
	free(reader->bytes);
	free(reader->windows);
}

/* What of [begin, begin + size) is of one mapping with addr: *from, and the length. */
static size_t extent(const struct reader *reader, taddr_t addr, taddr_t *from)
{
	const struct mapping *mapping = maps_find(reader->maps, addr);
	taddr_t begin = addr & ~(taddr_t)(reader->size - 1);

	if (!mapping || !mapping->read)
		return 0;
	*from = mapping->begin > begin ? mapping->begin : begin;
	return mapping->end - begin < reader->size ? (size_t)(mapping->end - *from)
						   : (size_t)(begin + reader->size - *from);
}

const uint8_t *reader_fill(struct reader *reader, taddr_t addr, size_t len)
{
	uint32_t slot = (uint32_t)(addr / reader->size) & (reader->count - 1);
	struct window *window = &reader->windows[slot];
	uint8_t *bytes = reader->bytes + (size_t)slot * reader->size;
	uint8_t *beyond = reader->bytes + (size_t)reader->count * reader->size;
	taddr_t from;
	size_t have = extent(reader, addr, &from);

	if (have && addr - from + len <= have) {
		window->len = 0;
		if (memory_read(reader->memory, from, bytes, have) == 0) {
			*window = (struct window){from, (uint32_t)have};
			return bytes + (addr - from);
		}
		from = addr & ~(taddr_t)(PAGE - 1);
		if (reader->size >= PAGE && addr - from + len <= PAGE &&
		    memory_read(reader->memory, from, bytes, PAGE) == 0) {
			*window = (struct window){from, PAGE};
			return bytes + (addr - from);
		}
	}
	/* across the border of windows, or of something that is read in part only */
	if (len > 64 || !maps_find(reader->maps, addr) || memory_read(reader->memory, addr, beyond, len))
		return NULL;
	return beyond;
}

bool reader_copy(struct reader *reader, taddr_t addr, void *buf, size_t len)
{
	const struct mapping *mapping = maps_find(reader->maps, addr);

	return mapping && len <= mapping->end - addr &&
	       memory_read(reader->memory, addr, buf, len) == 0;
}
