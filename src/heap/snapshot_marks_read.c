/*
 * The marks of a snapshot file: each is the one before and what changed since; none has counted
 * what the snapshot, which is later, has not.
 */
#include <string.h>

#include "heap/generations.h"
#include "heap/snapshot_reader.h"

/* Bytes of a context's record with all its counters: whoever writes marks writes these, and so what
 * marks take, 32 such counters at most, is some 25 times the contexts' section. */
enum { CONTEXT_COUNTED = 40 };

static bool is_later(const struct mark_counters *c, const struct region_context *now)
{
	return c->allocs <= now->allocs && c->frees <= now->frees &&
	       c->allocated_bytes <= now->allocated_bytes &&
	       c->freed_bytes <= now->freed_bytes &&
	       snapshot_counts_sound(c->allocs, c->frees, c->allocated_bytes, c->freed_bytes);
}

/* Sums them up; false: they contradict themselves. */
static bool check(const struct snapshot *s, struct mark *m)
{
	for (uint32_t id = 0; id < m->context_count; id++) {
		const struct mark_counters *c = &m->contexts[id];

		if (!is_later(c, &s->contexts[id]))
			return false;
		m->total.allocs += c->allocs;
		m->total.frees += c->frees;
		m->total.allocated_bytes += c->allocated_bytes;
		m->total.freed_bytes += c->freed_bytes;
	}
	return true;
}

/* A mark and its bytes of MARK_CHANGES, from *at on. */
static bool read_mark(struct snapshot_reader *r, size_t i, size_t *at)
{
	const struct snapshot_section *changes = &r->sections[LAYOUT_MARK_CHANGES];
	uint8_t bytes[LAYOUT_MARK_RECORD];
	struct cursor c = snapshot_record(&r->sections[LAYOUT_MARKS], i, bytes, sizeof(bytes));
	struct snapshot *s = r->file->snapshot;
	struct marks *marks = &r->file->marks;
	struct mark *m = &marks->at[i], *before = i ? m - 1 : NULL;
	uint64_t len;

	memcpy(m->name, bytes, MARK_NAME_SIZE);
	for (unsigned k = 0; k < MARK_NAME_SIZE; k += 8)
		cursor_u64(&c); /* (the name) */
	m->started = s->started;
	m->taken.tv_sec = (time_t)cursor_u64(&c);
	m->taken.tv_nsec = (long)(cursor_u32(&c) % 1000000000);
	m->ticks = cursor_u32(&c);
	m->numbered = cursor_u32(&c) & LAYOUT_MARK_NUMBERED;
	m->context_count = cursor_u32(&c);
	len = cursor_u64(&c);
	if (!m->name[0] || m->name[MARK_NAME_SIZE - 1] || m->context_count > s->context_count ||
	    (before && before->context_count > m->context_count) || len > changes->count - *at ||
	    !generations_are_valid(changes->at + *at, (size_t)len, m->context_count))
		return false;
	m->contexts = snapshot_allocate(r, m->context_count, sizeof(*m->contexts));
	marks->count = i + 1;
	if (!m->contexts)
		return false;
	if (before)
		memcpy(m->contexts, before->contexts,
		       before->context_count * sizeof(*m->contexts));
	generations_apply(changes->at + *at, (size_t)len, m->contexts);
	*at += (size_t)len;
	return check(s, m);
}

int snapshot_read_marks(struct snapshot_reader *r)
{
	const struct snapshot_section *section = &r->sections[LAYOUT_MARKS];
	const struct snapshot_section *changes = &r->sections[LAYOUT_MARK_CHANGES];
	bool bad = section->count > MARKS_MAX ||
		   (section->count && (!changes->at || changes->record != 1 ||
				       r->sections[LAYOUT_CONTEXTS].record < CONTEXT_COUNTED));
	size_t at = 0;

	for (size_t i = 0; i < section->count && !bad; i++)
		bad = !read_mark(r, i, &at);
	if (bad || r->no_memory)
		return snapshot_broken(r, "its marks");
	if (section->count)
		r->file->snapshot->marks = &r->file->marks;
	return 0;
}
