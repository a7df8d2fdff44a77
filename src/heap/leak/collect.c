/*
 * What the walk of an allocator comes upon: blocks, in the order in which they are met, and the
 * heaps that they lie in; and the words in which one is refused.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "heap/leak/parts.h"

int leak_add(struct leak *leak, taddr_t addr, uint64_t size)
{
	uint64_t before = leak->index.bytes;
	int code = index_add(&leak->index, addr);

	if (code)
		return code;
	leak->held += leak->index.bytes - before;
	if (leak->pending == (uint64_t)leak->pieces.len * PENDING_PIECE) {
		struct pending_piece *piece = leak_take(leak, 1, sizeof(*piece));

		if (!piece || !leak_push(leak, &leak->pieces, piece)) {
			leak_give(leak, piece, 1, sizeof(*piece));
			return -ENOMEM;
		}
	}
	*pending_at(leak, leak->pending++) = (struct pending){addr, size};
	return 0;
}

bool leak_drop(struct leak *leak, taddr_t addr)
{
	return index_remove(&leak->index, addr);
}

/* Is all of [begin, end) mapped, whatever it may be used for? */
static bool is_mapped(const struct leak *leak, taddr_t begin, taddr_t end)
{
	const struct maps *maps = leak->in.maps;
	const struct mapping *mapping = maps_find(maps, begin);

	for (; mapping && mapping < maps->list.at + maps->list.len; mapping++) {
		if (mapping->begin > begin)
			return false;
		begin = mapping->end;
		if (begin >= end)
			return true;
	}
	return false;
}

int leak_note_heap(struct leak *leak, taddr_t begin, taddr_t end)
{
	struct range *last = leak->heaps.len ? &leak->heaps.at[leak->heaps.len - 1] : NULL;

	if (begin >= end || !is_mapped(leak, begin, end))
		return -EFAULT;
	if (last && last->end == begin) {
		last->end = end;
		return 0;
	}
	return leak_push(leak, &leak->heaps, ((struct range){begin, end})) ? 0 : -ENOMEM;
}

int leak_refuse(struct leak_allocator *ret, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(ret->why, sizeof(ret->why), format, args);
	va_end(args);
	return 0;
}

bool mapping_is_anonymous(const struct mapping *mapping)
{
	return mapping->read && mapping->write && !mapping->shared &&
	       (!mapping->path[0] || !strncmp(mapping->path, "[anon:", 6));
}

const uint64_t leak_free_sizes[LEAK_FREE_CLASSES] = {128, 1 << 10, 16 << 10, 128 << 10, UINT64_MAX};

void leak_add_whole(struct leak *leak, struct leak_arena *arena, taddr_t begin, taddr_t end)
{
	uint64_t present;

	if (begin >= end)
		return;
	present = leak->in.survey ? leak_present(leak, begin, end) : end - begin;
	arena->trimmable += present;
	arena->away += end - begin - present;
}

void leak_add_free(struct leak *leak, struct leak_arena *arena, uint64_t size, taddr_t begin,
		   taddr_t end)
{
	unsigned class = 0;

	arena->free.blocks++;
	arena->free.bytes += size;
	while (size > leak_free_sizes[class])
		class++;
	arena->free_by[class].blocks++;
	arena->free_by[class].bytes += size;
	leak_add_whole(leak, arena, begin, end);
}

const struct range *leak_heaps(const struct leak *leak, size_t *count)
{
	*count = leak->heaps.len;
	return leak->heaps.at;
}

uint64_t leak_present(const struct leak *leak, taddr_t begin, taddr_t end)
{
	uint64_t bytes = 0;
	struct range piece;

	if (!leak->in.present)
		return end - begin;
	while (begin < end && leak->in.present(leak->in.present_arg, begin, end, &piece)) {
		bytes += piece.end - piece.begin;
		begin = piece.end;
	}
	return bytes;
}
