/* Words of the picture, through windows: reading them one by one would be a system call each.
 */
#ifndef MEMTRACE_LEAK_READER_H
#define MEMTRACE_LEAK_READER_H

#include <string.h>

#include "base/memory.h"
#include "elf/maps.h"

struct reader {
	struct memory *memory;
	const struct maps *maps;
	uint8_t word;	/* bytes of one: 4, 8 */
	uint32_t size;	/* of a window: a power of two */
	uint32_t count; /* of windows: a power of two */
	uint8_t *bytes; /* count windows */
	struct window {
		taddr_t at;   /* a multiple of size */
		uint32_t len; /* from `at` on what is valid; 0: nothing is */
	} * windows;
};

/* False: no memory. */
bool reader_init(struct reader *reader, struct memory *memory, const struct maps *maps,
		 uint8_t word, uint32_t size, uint32_t count);
void reader_deinit(struct reader *reader);

/* Exactly len bytes (<= 64, or what lies in one window), for the moment; NULL: not there. */
const uint8_t *reader_fill(struct reader *reader, taddr_t addr, size_t len);

static inline const uint8_t *reader_bytes(struct reader *reader, taddr_t addr, size_t len)
{
	uint32_t slot = (uint32_t)(addr / reader->size) & (reader->count - 1);
	taddr_t in = addr - reader->windows[slot].at;

	if (in < reader->windows[slot].len && len <= reader->windows[slot].len - in)
		return reader->bytes + (size_t)slot * reader->size + in;
	return reader_fill(reader, addr, len);
}

/* A word; false: nothing is there. */
static inline bool reader_word(struct reader *reader, taddr_t addr, taddr_t *ret)
{
	const uint8_t *bytes = reader_bytes(reader, addr, reader->word);
	uint64_t wide;
	uint32_t narrow;

	if (!bytes)
		return false;
	if (reader->word == 8) {
		memcpy(&wide, bytes, sizeof(wide));
		*ret = wide;
	} else {
		memcpy(&narrow, bytes, sizeof(narrow));
		*ret = narrow;
	}
	return true;
}

/* The same, 0 where nothing is. */
static inline taddr_t reader_word_or_0(struct reader *reader, taddr_t addr)
{
	taddr_t value;

	return reader_word(reader, addr, &value) ? value : 0;
}

/* Any number of bytes: all, or false. */
bool reader_copy(struct reader *reader, taddr_t addr, void *buf, size_t len);

#endif
