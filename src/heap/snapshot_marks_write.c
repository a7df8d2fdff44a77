/*
 * The marks of a snapshot file: of each the name and when it was, and what every context had
 * counted until then, as what changed since the mark before.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "heap/generations.h"
#include "heap/snapshot_writer.h"

struct changes {
	uint8_t *bytes;
	size_t len;
};

/* 0 or -ENOMEM. */
static int encode(const struct marks *marks, struct changes *ret)
{
	int e = 0;

	for (size_t i = 0; i < marks->count && !e; i++) {
		const struct mark *m = &marks->at[i], *before = i ? m - 1 : NULL;

		e = generations_encode(before ? before->contexts : NULL,
				       before ? before->context_count : 0, m->contexts,
				       m->context_count, &ret[i].bytes, &ret[i].len);
	}
	return e;
}

static void write_mark(struct snapshot_writer *w, const struct mark *m, size_t len)
{
	char name[MARK_NAME_SIZE] = "";

	snprintf(name, sizeof(name), "%s", m->name);
	snapshot_put_bytes(w, name, sizeof(name));
	snapshot_put_u64(w, (uint64_t)m->taken.tv_sec);
	snapshot_put_u32(w, (uint64_t)m->taken.tv_nsec);
	snapshot_put_u32(w, (uint64_t)m->ticks);
	snapshot_put_u32(w, m->numbered ? LAYOUT_MARK_NUMBERED : 0);
	snapshot_put_u32(w, m->context_count);
	snapshot_put_u64(w, len);
}

static void write_sections(struct snapshot_writer *w, const struct marks *marks,
			   const struct changes *changes)
{
	uint64_t sum = 0;

	snapshot_put_section(w, LAYOUT_MARKS, LAYOUT_MARK_RECORD,
			     (uint64_t)marks->count * LAYOUT_MARK_RECORD);
	for (size_t i = 0; i < marks->count; i++) {
		write_mark(w, &marks->at[i], changes[i].len);
		sum += changes[i].len;
	}
	snapshot_end_section(w);
	snapshot_put_section(w, LAYOUT_MARK_CHANGES, 1, sum);
	for (size_t i = 0; i < marks->count; i++)
		snapshot_put_bytes(w, changes[i].bytes, changes[i].len);
	snapshot_end_section(w);
}

void snapshot_write_marks(struct snapshot_writer *w)
{
	struct changes changes[MARKS_MAX] = {{0}};
	const struct marks *marks = w->s->marks;

	if (!marks || !marks->count)
		return;
	if (encode(marks, changes))
		w->failed = w->failed ? w->failed : -ENOMEM;
	else
		write_sections(w, marks, changes);
	for (size_t i = 0; i < marks->count; i++)
		free(changes[i].bytes);
}
