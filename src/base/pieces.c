/* Pieces in ascending order; what touches or overlaps becomes one, so that whatever was
 * read once lies in a single piece. */
#include "base/pieces.h"

#include <errno.h>
#include <string.h>

/* The first piece that ends at or behind `at`. */
static size_t piece_at(const struct pieces *pieces, uint64_t at)
{
	size_t i = 0;

	while (i < pieces->list.len && pieces->list.at[i].begin + pieces->list.at[i].len < at)
		i++;
	return i;
}

static int pieces_memory(struct memory *memory, taddr_t addr, void *buf, size_t len)
{
	struct pieces *pieces = (struct pieces *)memory;
	uint64_t begin = addr - pieces->base;
	size_t i = piece_at(pieces, begin);
	const struct piece *p = i < pieces->list.len ? &pieces->list.at[i] : NULL;
	int failed;

	if (p && begin >= p->begin && begin - p->begin <= p->len &&
	    len <= p->len - (begin - p->begin)) {
		memcpy(buf, p->bytes + (begin - p->begin), len);
		return 0;
	}
	if (!pieces->behind)
		return -EFAULT;
	failed = memory_read(pieces->behind, addr, buf, len);
	return failed ? failed : pieces_add(pieces, begin, buf, len);
}

void pieces_init(struct pieces *pieces, struct memory *behind, taddr_t base)
{
	*pieces = (struct pieces){.memory.read = pieces_memory, .behind = behind, .base = base};
}

void pieces_deinit(struct pieces *pieces)
{
	for (size_t i = 0; i < pieces->list.len; i++)
		free(pieces->list.at[i].bytes);
	vec_deinit(&pieces->list);
}

int pieces_add(struct pieces *pieces, uint64_t begin, const void *bytes, uint64_t len)
{
	size_t first = piece_at(pieces, begin), last = first;
	struct piece *list, whole = {begin, begin + len, NULL};

	if (len > INT32_MAX || begin > UINT64_MAX - len)
		return -EINVAL;
	if (!vec_reserve(&pieces->list, pieces->list.len + 1))
		return -ENOMEM;
	list = pieces->list.at;
	for (; last < pieces->list.len && list[last].begin <= begin + len; last++) {
		whole.begin = list[last].begin < whole.begin ? list[last].begin : whole.begin;
		if (list[last].begin + list[last].len > whole.len)
			whole.len = list[last].begin + list[last].len;
	}
	whole.len -= whole.begin; /* until here it was the end */
	whole.bytes = malloc(whole.len ? whole.len : 1);
	if (!whole.bytes)
		return -ENOMEM;
	for (size_t i = first; i < last; i++) {
		memcpy(whole.bytes + (list[i].begin - whole.begin), list[i].bytes, list[i].len);
		free(list[i].bytes);
	}
	memcpy(whole.bytes + (begin - whole.begin), bytes, len);
	memmove(&list[first + 1], &list[last], (pieces->list.len - last) * sizeof(*list));
	pieces->list.len = pieces->list.len - last + first + 1;
	list[first] = whole;
	return 0;
}

static void write_u64(uint64_t value, FILE *out)
{
	for (int i = 0; i < 8; i++)
		putc((int)(value >> (8 * i) & 0xff), out);
}

void pieces_write(const struct pieces *pieces, FILE *out)
{
	for (size_t i = 0; i < pieces->list.len; i++) {
		write_u64(pieces->list.at[i].begin, out);
		write_u64(pieces->list.at[i].len, out);
		fwrite(pieces->list.at[i].bytes, pieces->list.at[i].len, 1, out);
	}
}
