/* Pieces in ascending order; what touches or overlaps becomes one, so that whatever was
 * read once lies in a single piece. */
#include "base/recording.h"

#include <errno.h>
#include <string.h>

/* The first piece that ends at or behind `at`. */
static size_t recorded_at(const struct recording *recording, uint64_t at)
{
	size_t i = 0;

	while (i < recording->list.len &&
	       recording->list.at[i].begin + recording->list.at[i].len < at)
		i++;
	return i;
}

static int recording_memory(struct memory *memory, taddr_t addr, void *buf, size_t len)
{
	struct recording *recording = (struct recording *)memory;
	uint64_t begin = addr - recording->base;
	size_t i = recorded_at(recording, begin);
	const struct recorded *p = i < recording->list.len ? &recording->list.at[i] : NULL;
	int failed;

	if (p && begin >= p->begin && begin - p->begin <= p->len &&
	    len <= p->len - (begin - p->begin)) {
		memcpy(buf, p->bytes + (begin - p->begin), len);
		return 0;
	}
	if (!recording->behind)
		return -EFAULT;
	failed = memory_read(recording->behind, addr, buf, len);
	return failed ? failed : recording_add(recording, begin, buf, len);
}

void recording_init(struct recording *recording, struct memory *behind, taddr_t base)
{
	*recording = (struct recording){
		.memory.read = recording_memory, .behind = behind, .base = base};
}

void recording_deinit(struct recording *recording)
{
	for (size_t i = 0; i < recording->list.len; i++)
		free(recording->list.at[i].bytes);
	vec_deinit(&recording->list);
}

int recording_add(struct recording *recording, uint64_t begin, const void *bytes, uint64_t len)
{
	size_t first = recorded_at(recording, begin), last = first;
	struct recorded *list, whole = {begin, begin + len, NULL};

	if (len > INT32_MAX || begin > UINT64_MAX - len)
		return -EINVAL;
	if (!vec_reserve(&recording->list, recording->list.len + 1))
		return -ENOMEM;
	list = recording->list.at;
	for (; last < recording->list.len && list[last].begin <= begin + len; last++) {
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
	memmove(&list[first + 1], &list[last], (recording->list.len - last) * sizeof(*list));
	recording->list.len = recording->list.len - last + first + 1;
	list[first] = whole;
	return 0;
}

static void write_u64(uint64_t value, FILE *out)
{
	for (int i = 0; i < 8; i++)
		putc((int)(value >> (8 * i) & 0xff), out);
}

void recording_write(const struct recording *recording, FILE *out)
{
	for (size_t i = 0; i < recording->list.len; i++) {
		write_u64(recording->list.at[i].begin, out);
		write_u64(recording->list.at[i].len, out);
		fwrite(recording->list.at[i].bytes, recording->list.at[i].len, 1, out);
	}
}
